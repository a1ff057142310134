#!/usr/bin/env bats
# What bash offers for the words of a command line.

load helper

# offers WORD...: what is offered for the last of them, sorted, in one line.
offers() {
  local i
  COMP_WORDS=("$@") COMP_CWORD=$(($# - 1)) COMPREPLY=()
  COMP_LINE="$*" COMP_POINT=${#COMP_LINE}
  i=$(complete -p "$1") # -F FUNCTION NAME
  i=${i#*-F }
  "${i%% *}" "$1" "${!#}" "${*: -2:1}"
  [[ ${#COMPREPLY[@]} -eq 0 ]] || printf '%s\n' "${COMPREPLY[@]}" | sort -u | tr '\n' ' '
}

# expect LINE... : rows "WORD... => OFFER..." on standard input.
expect() {
  local row words want got
  while IFS= read -r row; do
    read -ra words <<<"${row%%=>*}"
    [[ ${row%%=>*} != *"_ " ]] || words[-1]=
    read -r want <<<"${row#*=>}"
    got=$(offers "${words[@]}")
    [[ ${got% } == "$want" ]] || fail "$row" "offered: $got"
  done
}

setup() {
  # shellcheck disable=SC1091,SC2154 # helper.bash sets top
  source "$top/scripts/completion.bash"
  cd "$BATS_TEST_TMPDIR" || return
  small_root root
  mkdir rootless
  touch table
}

# An underscore at the end stands for an empty word.

@test "options are those of the usage, with -h, -V and -v, and only before the operands" {
  local name letters
  for name in contain contain-boot idmap inject isolate nsjoin pivot pseudo safemount seal; do
    letters=$("$name" -h | grep -oE '(^|[[:space:]]|\[)-[A-Za-z]+' | grep -oE '[A-Za-z]') || true # it has none
    letters+=$'\nh\nV'
    # shellcheck disable=SC2086 # a line each
    [ "$(offers "$name" -)" = "$(printf -- '-%s\n' $letters | sort -u | tr '\n' ' ')" ] ||
      fail "$name: $(offers "$name" -)"
  done
  expect <<'END'
pivot root - =>
contain -r -- - =>
END
}

@test "an operand is a directory, a process or a file, and then there is a command" {
  expect <<'END'
contain ro => root rootless
contain -r -H web ro => root rootless
contain -f table root readlin => readlink
pivot ta =>
pivot root readlin => readlink
seal readlin => readlink
isolate readlin => readlink
pseudo -u root readlin => readlink
idmap -n net,pid readlin => readlink
idmap -u 0 : 1 : 1 readlin => readlink
safemount -r root -t tmpfs tmpfs ro =>
safemount -r root tmpfs bi => bin
safemount -r root tmpfs /bi => /bin
safemount -r root root /bin readlin => readlink
safemount -f table readlin => readlink
safemount -r root -U sy => sys
END
  [[ " $(offers inject '') " == *" $$ "* ]]
  [[ " $(offers nsjoin '') " == *" $$ "* ]]
  [[ " $(offers nsjoin ta) " == *" table "* ]]
  expect <<'END'
inject 1 readlin => readlink
nsjoin -t 1 readlin => readlink
END
}

@test "an option's argument is what that option takes" {
  expect <<'END'
idmap -n u => user uts
idmap -n net,u => net,user net,uts
nsjoin -n u => user uts
nsjoin -a c => caps cgroup
nsjoin -a caps,l => caps,label
nsjoin -u _ =>
idmap -u s => self sub
idmap -u 0 : 1 : 1,s => 1,self 1,sub
idmap -g root,su => root,sub
idmap -s _ => allow deny
idmap -vs _ => allow deny
contain -u r => root
pseudo -g al => all
contain -f ta => table
contain -H _ =>
contain -o readlin => readlink
pivot -o ro => root rootless
pivot -k _ =>
safemount -o bind,nod => bind,nodev bind,nodiratime
safemount -t tmp => tmpfs
safemount -r rootl => rootless
seal -a readlin => readlink
END
}

# make_in_prefix TARGET: not with test/install on PATH, which is another program.
make_in_prefix() {
  PATH=/usr/bin:/bin timeout -k 5 60 \
    make -s -C "$top" "$1" PREFIX=/prefix DESTDIR="$BATS_TEST_TMPDIR/dest"
}

@test "bash-completion finds it by the name of each command" {
  local loader=/usr/share/bash-completion/bash_completion name
  [ -e "$loader" ] || skip "there is no bash-completion"
  make_in_prefix install
  for name in contain contain-boot idmap inject isolate nsjoin pivot pseudo safemount seal; do
    # shellcheck disable=SC2016 # the inner shell expands it
    try env XDG_DATA_DIRS="$BATS_TEST_TMPDIR/dest/prefix/share" bash --norc -c '
      source "$1"
      _completion_loader "$2"
      complete -p "$2"
      COMP_WORDS=("$2" -) COMP_CWORD=1
      _nsteps
      echo "${COMPREPLY[@]}"' bash "$loader" "$name"
    [[ $output == *"-F _nsteps $name"*-h* ]]
  done
  # It offers what the command behind the operands has to offer.
  # shellcheck disable=SC2016 # the inner shell expands it
  try env XDG_DATA_DIRS="$BATS_TEST_TMPDIR/dest/prefix/share" bash --norc -c '
    source "$1"
    _completion_loader contain
    COMP_WORDS=(contain root isolate env --ignore) COMP_CWORD=4
    COMP_LINE=${COMP_WORDS[*]} COMP_POINT=${#COMP_LINE}
    _nsteps
    echo "${COMPREPLY[@]}"' bash "$loader"
  [[ $output == *--ignore-environment* ]]
}

@test "make install puts all in its place, and make uninstall takes it away" {
  local name
  make_in_prefix install
  cd "$BATS_TEST_TMPDIR/dest/prefix" || return
  for name in contain contain-boot idmap inject isolate nsjoin pivot pseudo safemount seal; do
    [ -x "bin/$name" ]
    [ -s "share/man/man1/$name.1" ]
    [ -s "share/bash-completion/completions/$name" ]
  done
  [ -s share/man/man7/nsteps.7 ]
  [ "$(find . ! -type d | wc -l)" -eq 32 ]
  make_in_prefix uninstall
  [ -z "$(find . ! -type d)" ]
}
