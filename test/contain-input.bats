#!/usr/bin/env bats
# contain: a DIR, a table, a name and descriptors that were not foreseen once.
#
# shellcheck disable=SC2016,SC2086 # scripts of other shells; options are words
# shellcheck disable=SC2030,SC2031,SC2154 # each test sets variables of its own

load helper
load hostile

# --- What was wrong once -------------------------------------------------------------

@test "a DIR that is // is /" {
  local user how
  for user in '' alice; do
    for how in // '-r //'; do
      in_box $how /bin/echo well
      [ "$output" = well ]
    done
  done
}

@test "the directory that contain is started in may be gone, but then it is no DIR" {
  local user
  export -f in_box own_root try
  gone() {
    mkdir -p "$here/gone"
    cd "$here/gone"
    rmdir "$here/gone"
    unset OLDPWD
    "$@"
  }
  for user in '' alice; do
    export user
    try gone in_box "$root" echo well
    [[ $output == *$'\n'well$'\n'* ]]
  done
  for user in '' alice; do
    export user
    TRY_SECONDS=5 try gone in_box . echo ran
    [[ $output == *"[125]"* && $output != *$'\n'ran$'\n'* ]]
  done
}

@test "DIR's name may be longer than a host name, in any locale, and have a newline" {
  local name old=$root locale
  for name in "$(printf 'ä%.0s' {1..40})" "$(printf 'ä%.0s' {1..40})b" $'new\nline'; do
    mv "$old" "$here/$name"
    old=$here/$name
    for locale in C C.UTF-8; do
      LC_ALL=$locale in_box "$old" echo well
      [ "$output" = well ]
      LC_ALL=$locale in_box boot "$old" echo well
      [ "$output" = well ]
    done
  done
}

@test "a table that cannot be read to its end, or that has a NUL byte, mounts nothing and runs nothing" {
  local table=$here/table broken nul
  {
    echo tmpfs /tmp tmpfs
    printf '# %0200000d\n' 0
    echo "$victim /tmp none bind"
  } >"$table"
  # Its second read fails, as that of a broken disk.
  broken=(strace -f -qq -o /dev/null -P "$table" -e inject=read:error=EIO:when=2+)

  # The control: bash takes that for the end, and leaves NUL bytes out.
  try "${broken[@]}" bash -euc 'mapfile lines <"$1"; echo "${#lines[@]}"' bash "$table"
  [[ $status -eq 0 && $output -lt 3 ]] || skip "this bash sees that its read failed"
  try bash -euc 'mapfile lines </proc/self/mem; echo ran'
  [[ $status -eq 0 && $output == *ran ]] || skip "this bash sees that its read failed"

  try "${broken[@]}" contain -f "$table" "$root" sh -c 'echo ran; mount' </dev/null
  [[ $status -eq 125 && $output != *ran* && ${lines[-1]} == "safemount: read $table: I/O error" ]]
  for table in /proc/self/mem "$here" "$here/missing" -; do
    in_box -f "$table" "$root" echo ran
    [[ $status -eq 125 && $output != *ran* && ${lines[-1]} == "contain: $table cannot be read" ]]
  done
  table=$here/nul
  for nul in '\0tmpfs /tmp tmpfs\n' 'tmpfs /tmp tmpfs ro\0\n' 'tmpfs /tmp tm\0pfs\n' 'tmpfs /tmp tmpfs\n\0'; do
    printf '%b' "$nul" >"$table"
    in_box -f "$table" "$root" echo ran
    [[ $status -eq 125 && $output != *ran* && ${lines[-1]} == "safemount: $table: has a NUL in it" ]]
  done
  in_box -f /dev/zero "$root" echo ran
  [[ $status -eq 125 && $output != *ran* ]]
}

@test "a table may be a pipe, standard input, long, empty, or without a last newline" {
  local table=$here/table
  { printf '# %0900000d\n' 0 && printf 'tmpfs /tmp tmpfs'; } >"$table"
  in_box -f "$table" "$root" stat -f -c %T /tmp
  [ "$output" = tmpfs ]
  try bash -c 'contain -f <(cat "$1") "$2" stat -f -c %T /tmp </dev/null' bash "$table" "$root"
  [ "$output" = tmpfs ]
  try bash -c 'contain -f /dev/stdin "$2" stat -f -c %T /tmp <"$1"' bash "$table" "$root"
  [ "$output" = tmpfs ]
  cd "$here"
  : >-
  in_box -f - "$root" echo ran
  [ "$output" = ran ]
}

@test "names in contain's own messages are no terminal's commands, nor lines of its own" {
  local evil=$here/$'\e]0;owned\a\nroot: all is well\x7f' shown
  shown=$here/'\033]0;owned\007\012root: all is well\177'
  # The control: a message as it comes.
  try bash -c 'echo "$1 is no directory to enter" >&2' bash "$evil"
  [[ $output == *$'\e'* && ${#lines[@]} -eq 2 ]]
  in_box "$evil" echo ran
  [[ $status -eq 125 && $output == "contain: $shown is no directory to enter" ]]
  in_box -f "$evil" "$root" echo ran
  [[ $status -eq 125 && ${lines[-1]} == "contain: $shown cannot be read" ]]
  mkdir "$evil"
  in_box -s "$evil" echo ran
  [[ $status -eq 125 && $output == "contain: -s needs a directory of root's above $shown that is"* ]]
  for option in $'-\e' $'--\e[31m\n'; do
    for script in contain inject isolate pseudo; do
      try $script "$option" </dev/null
      [[ $status -eq 64 && $output != *$'\e'* ]]
      [[ ${lines[0]} == "$script: unknown option "* && ${lines[1]} == "usage: $script "* ]]
    done
  done
}

@test "a script that cannot print its usage or version ends with 125, and runs nothing" {
  local script option
  # The control: a list with && does not end the script.
  [[ $(bash -euc 'case -h in -h) echo usage && exit ;; esac; echo ran >&2' 2>&1 >/dev/full) == *ran ]]
  for script in contain inject isolate pseudo; do
    for option in -h --help -V --version; do
      try bash -c 'SHELL=/bin/echo "$@" ran </dev/null >/dev/full' bash $script $option
      [[ $status -eq 125 && $output != *ran* && $output == *"No space left"* ]]
      try bash -c '"$@" </dev/null >&-' bash $script $option
      [ "$status" -eq 125 ]
    done
    try bash -c '"$@" </dev/null 2>/dev/full' bash $script -Z
    [ "$status" -eq 64 ]
  done
}

@test "with standard error closed, CMD does not have contain or inject itself open" {
  local user
  for user in '' alice; do
    own_root
    try bash -c 'exec "$@" 2>&-' bash ${user:+as_user $user} contain "$root" sh -c '
      for fd in /proc/self/fd/*; do readlink $fd; done >/tmp/open; true'
    [ "$status" -eq 0 ]
    run cat "$root/tmp/open"
    rm -f "$root/tmp/open"
    [[ $output == */dev/null* && $output != *contain* ]]
  done
  user='' own_root
  contain "$root" sleep 100 </dev/null 3>&- &
  wait_for inject "$!" true </dev/null
  try bash -c 'exec "$@" 2>&-' bash inject "$!" sh -c 'readlink /proc/self/fd/2' </dev/null
  kill "$!"
  [ "$output" = /dev/null ]
}

@test "cgroups that the container made are gone after it, however deep" {
  TRY_SECONDS=20 in_box boot "$root" sh -c '
    cd /sys/fs/cgroup
    name=$(printf %0250d 0)
    for i in 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17 18 19 20; do
      mkdir "$name" && cd -P ./"$name" || break
    done
    exit 7'
  left=$(grep -o '/sys/fs/cgroup[^ ]*/contain-[0-9]*' <<<"$output" | head -n 1)
  if [[ -d $left ]]; then
    find "$left" -depth -type d -execdir rmdir {} \;
  fi
  [[ $status -eq 7 && $left == "" ]]
}
