#!/usr/bin/env bats
# contain -p: the container as a script for other shells, which does the same.
#
# shellcheck disable=SC2016,SC2086 # scripts of other shells; options are words

load helper

setup() {
  chmod 755 "$BATS_RUN_TMPDIR" "$BATS_RUN_TMPDIR/test" "$BATS_TEST_TMPDIR"
  here=$BATS_TEST_TMPDIR root=$here/root
  small_root "$root"
  give_to_container "$root"
  make_user alice 300000:65536
}

# What a process of a container can see of it.
look='
  echo $$; id; umask; env | sort; cat /proc/self/uid_map /proc/self/gid_map /proc/self/setgroups
  cat /proc/sys/kernel/hostname; grep -E "Cap|NoNewPrivs|Sig[BIC]" /proc/self/status
  for fd in 0 1 2 3 4 5 6 7 8 9; do readlink /proc/self/fd/$fd | sed "s/:.*//"; done
  for name in cgroup ipc mnt net pid time user uts; do
    [ "$(readlink /proc/self/ns/$name)" = "$(echo "$outer" | grep "^$name:")" ] && echo "shares $name"
  done
  while read -r id parent device top point rest; do
    echo "$top $point ${rest#* - }" "${rest%% *}"
  done </proc/self/mountinfo
  stat -c "%A %u %g %t:%T %n" /dev/* /*'

# same_as_contain [OPTION]... DIR: what the script that -p prints makes is what
# contain makes, under each of the shells and as $user.
same_as_contain() {
  local shell outer expected
  outer=$(readlink /proc/self/ns/*)
  try ${user:+as_user $user} contain -e "outer=$outer" "$@" /bin/sh -c "$look" </dev/null
  expected=$output
  [[ $status -eq 0 && ${#lines[@]} -gt 50 ]] || fail "$* as ${user:-root}: $output"
  try ${user:+as_user $user} contain -e "outer=$outer" -p "$@" /bin/sh -c "$look" </dev/null
  [ "$status" -eq 0 ]
  echo "$output" >"$here/script"
  for shell in dash 'busybox ash' 'bash --posix'; do
    try ${user:+as_user $user} env SECRET=key $shell "$here/script" </dev/null
    diff <(echo "$expected") <(echo "$output") || fail "$shell, $* as ${user:-root}"
  done
}

@test "the script does what contain does, for root: on a tree and on /, with each option" {
  local dir user=''
  printf 'tmpfs /tmp tmpfs size=1m\n' >"$here/table"
  for dir in "$root" /; do
    same_as_contain "$dir"
    same_as_contain -r -H boxy "$dir"
    same_as_contain -n -i true "$dir"
    same_as_contain -o 'echo "before $PPID" >/dev/null' -O true -f "$here/table" -b /etc:/dev/shm/etc:ro -e 'A=it'\''s $HOME `x`' "$dir"
  done
}

@test "and for root with -s" {
  mkdir -m 700 "$here/closed"
  small_root "$here/closed/root"
  user='' same_as_contain -s "$here/closed/root"
  user='' same_as_contain -s -r -n "$here/closed/root"
}

@test "and for a user, with delegated ids and without" {
  local dir user
  make_user bare
  chmod 777 "$here"
  for user in alice bare; do
    chown -hR "$user:" "$root"
    for dir in "$root" /; do
      same_as_contain "$dir"
      same_as_contain -r "$dir"
      same_as_contain -n "$dir"
    done
    same_as_contain -o true -O true -i true -b /etc:/tmp/etc:ro "$root"
    rm -f "$here/script"
  done
}

@test "whether there is a terminal is asked when the script runs" {
  local shell
  contain -p "$root" sh -c 'test -t 0 && echo terminal || echo none' </dev/null >"$here/script"
  for shell in dash 'busybox ash'; do
    try script -qec "$shell $here/script" /dev/null
    [[ $output == *terminal* ]]
    try $shell "$here/script" </dev/null
    [[ $status -eq 0 && $output == none ]]
  done
  contain -c -p "$root" sh -c 'test -t 0 && echo terminal; readlink /dev/console' </dev/null >"$here/script"
  try script -qec "dash $here/script" /dev/null
  [[ $output == *terminal* ]]
}

@test "status and signals are those of the command, and nothing is left" {
  contain -p "$root" sh -c 'exit 7' >"$here/script"
  try dash "$here/script" </dev/null
  [ "$status" -eq 7 ]
  contain -p "$root" sleep 1000 >"$here/script"
  dash "$here/script" </dev/null 3>&- &
  wait_for inject "$!" true </dev/null
  kill "$!"
  status=0
  wait "$!" || status=$?
  [ "$status" -eq 143 ]
  run findmnt -no TARGET
  [[ $output != *"$here/"* ]]
}

@test "it needs neither bash nor contain: busybox and the tools are enough" {
  local image=$here/image
  mkdir -p "$image/work/root" "$image/bin"
  cp -r "$root/." "$image/work/root"
  cp "$(command -v idmap)" "$(command -v safemount)" "$(command -v pivot)" /bin/busybox "$image/bin"
  ln -s busybox "$image/bin/sh"
  mkdir "$image/proc" "$image/dev" "$image/sys" "$image/etc" "$image/tmp"
  chown 1900019712:1900019712 "$image/work/root"
  alone "$image" "$here" <<'END'
    mkdir -p /work/root
    mount --bind "$1/work" /work
    PATH=$1/bin:$PATH
    contain -p /work/root sh -c 'id -u; echo $$' | sed "s:/[^ ]*/scripts/\.\./\([a-z]*\)/:/bin/:g" >"$1/script"
    umount /work
    mount --bind "$1" "$1"
    mount --rbind /proc "$1/proc"
    mount --rbind /dev "$1/dev"
    mount --rbind /sys "$1/sys"
    cd "$1"
    exec pivot . /bin/sh /script </dev/null
END
  [ "$status" -eq 0 ]
  [ "$output" = $'0\n1' ]
}

@test "names of any kind are quoted, and a table's own name is in its messages" {
  local odd=$here/$'it\'s `a` $b "c"\\\n#x'
  mv "$root" "$odd"
  cd "$here"
  printf '\n/missing /mnt none bind\n' >"$here/t'a ble"
  try contain -p -b /etc:/tmp/$'a\tb c$x`y`\\' "$odd" sh -c 'echo /tmp/*; echo "$1"' sh $'a\n\'b\' $PATH `id`' </dev/null
  echo "$output" >"$here/script"
  try dash "$here/script" </dev/null
  [ "$output" = $'/tmp/a\tb c$x`y`\\\na\n\'b\' $PATH `id`' ]
  contain -p -f "t'a ble" "$odd" echo ran >"$here/script" </dev/null
  cd /
  try dash "$here/script" </dev/null
  [[ $status -eq 125 && $output == "safemount: t'a ble:2: "* ]]
}
