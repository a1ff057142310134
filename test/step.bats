#!/usr/bin/env bats
# What makes a program a step: each rule, tried on each of the five tools.

load helper

tools=(pivot seal nsjoin idmap safemount)

setup() {
  mkdir "$BATS_TEST_TMPDIR"/{source,target}
  touch "$BATS_TEST_TMPDIR/net"
  unshare --net="$BATS_TEST_TMPDIR/net" true
}

teardown() {
  umount "$BATS_TEST_TMPDIR/net"
}

# step TOOL [OPTION]... -- PROG [ARG]...: that tool doing a harmless step, in a
# mount namespace of its own, and then PROG.
step() {
  local tool=$1 options=() operands=()
  shift
  while [[ $1 != -- ]]; do
    options+=("$1")
    shift
  done
  shift
  case $tool in
    pivot) operands=(/) ;;
    nsjoin) operands=("$BATS_TEST_TMPDIR/net") ;;
    idmap) operands=(-u all -g all) ;;
    safemount) operands=(-o bind "$BATS_TEST_TMPDIR/source" "$BATS_TEST_TMPDIR/target") ;;
  esac
  try unshare --mount "$tool" "${options[@]}" "${operands[@]}" "$@"
}

# shellcheck disable=SC2154 # helper.bash sets top
@test "each tool is a static position-independent program, without an executable stack, and small" {
  local total=0 size tool
  for tool in "${tools[@]}"; do
    size=$(stat -c %s "$top/$tool/$tool")
    total=$((total + size))
    run readelf -hlWd "$top/$tool/$tool"
    [[ $output == *"DYN (Position-Independent Executable file)"* ]]
    [[ $output != *INTERP* && $output != *NEEDED* ]]
    [[ $output =~ GNU_STACK.*RW\ +0x ]]
    echo "$tool: $size bytes"
    [[ $tool != @(pivot|seal) ]] || ((size <= 40 * 1024))
  done
  echo "all: $total bytes"
  # test/machines has the sizes of other machines.
  is_32bit pivot || ((total <= 192 * 1024))
}

@test "two builds in other directories, at other times, by other users are the same bytes" {
  local tool here=$BATS_TEST_TMPDIR
  make_user alice
  chmod 755 "$BATS_RUN_TMPDIR" "$BATS_RUN_TMPDIR"/* "$here"
  mkdir -p "$here/one" "$here/a longer name/two"
  cp -r "$top"/{Makefile,pivot,seal,nsjoin,idmap,safemount} "$here/one"
  cp -r -p "$top"/{Makefile,pivot,seal,nsjoin,idmap,safemount} "$here/a longer name/two"
  chown -R alice "$here/one"
  # What a compiler takes for the time, and in which zone and language.
  TRY_SECONDS=300 try as_user alice env SOURCE_DATE_EPOCH=1 TZ=Asia/Tokyo LC_ALL=C make -s -B -C "$here/one"
  [ "$status" -eq 0 ]
  (umask 077 && env -i PATH="$PATH" LC_ALL=C.UTF-8 make -s -B -j2 -C "$here/a longer name/two")
  for tool in "${tools[@]}"; do
    cmp "$here/one/$tool/$tool" "$here/a longer name/two/$tool/$tool"
  done
}

@test "-h and --help print the usage on standard output, -V and --version the version" {
  local tool option
  for tool in "${tools[@]}"; do
    for option in -h --help; do
      try "$tool" "$option" 2>/dev/null
      [ "$status" -eq 0 ]
      [[ $output == "usage: $tool ["* ]]
    done
    for option in -V --version; do
      try "$tool" "$option" 2>/dev/null
      [ "$status" -eq 0 ]
      [[ $output =~ ^$tool\ [0-9]+\.[0-9]+$ ]]
    done
    # shellcheck disable=SC2016 # for that bash
    try bash -c '"$1" -h >/dev/full' bash "$tool"
    [ "$status" -eq 125 ]
  done
}

@test "wrong usage is 64, with the reason and the usage on standard error" {
  local tool options
  for tool in "${tools[@]}"; do
    for options in -Z --nonsense --helpx --v -: -+ -- '-vZ' -v-help; do
      [[ $options != -- ]] || continue
      try bash -c '"$@" >/dev/null' bash "$tool" "$options" x y
      [ "$status" -eq 64 ]
      [[ ${lines[0]} == "$tool: "*" option"* ]]
      [[ ${lines[1]} == "usage: $tool ["* ]]
      try bash -c '"$@" 2>/dev/null' bash "$tool" "$options" x y
      [ "$output" = "" ]
    done
  done
  for tool in 'pivot -k' 'seal -a' 'nsjoin -n' 'idmap -u' 'safemount -o'; do
    # shellcheck disable=SC2086 # a tool and its option
    try $tool
    [ "$status" -eq 64 ]
    [[ ${lines[0]} == *" needs an argument" ]]
  done
  for tool in 'pivot -k 3 -k 4 /' 'seal -a x -ay true' 'nsjoin -n net -n uts 1' 'idmap -u root -g root -uself' 'safemount -U a -U b'; do
    # shellcheck disable=SC2086 # a tool and its words
    try $tool
    [ "$status" -eq 64 ]
    [[ ${lines[0]} == *" is given twice" ]]
  done
  for tool in pivot seal nsjoin safemount; do
    try "$tool"
    [ "$status" -eq 64 ]
  done
}

@test "PROG's status is the tool's: its own, 126 or 127, or its death by a signal" {
  local tool
  for tool in "${tools[@]}"; do
    step "$tool" -- sh -c 'exit 7'
    [ "$status" -eq 7 ]
    # shellcheck disable=SC2016 # for that sh
    step "$tool" -- sh -c 'kill -TERM $$'
    [ "$status" -eq 143 ]
    step "$tool" -- /etc/passwd
    [ "$status" -eq 126 ]
    [[ $output == "$tool: "*": Permission denied" ]]
    step "$tool" -- /etc
    [ "$status" -eq 126 ]
    step "$tool" -- no-such-program
    [ "$status" -eq 127 ]
    [[ $output == "$tool: "*": No such file or directory" ]]
    step "$tool" -- /no/such/program
    [ "$status" -eq 127 ]
    step "$tool" -- ''
    [ "$status" -eq 127 ]
  done
}

@test "options end at the first operand, and at --" {
  local tool
  for tool in "${tools[@]}"; do
    step "$tool" -- echo -h -Z --help
    [ "$output" = "-h -Z --help" ]
  done
  try seal -- echo -V
  [ "$output" = "-V" ]
  try idmap -u all -g all -- echo -V
  [ "$output" = "-V" ]
}

@test "arguments, environment, descriptors and umask reach PROG as they were" {
  local tool expected
  for tool in "${tools[@]}"; do
    # shellcheck disable=SC2016 # for that sh
    step "$tool" -- env -i A=b "$BASH" -c 'printf "%s|" "$@"' bash 'x y' '' $'\n' '*'
    [ "$output" = $'x y||\n|*|' ]
    PROBE=value step "$tool" -- printenv PROBE
    [ "$output" = value ]
    umask 027
    step "$tool" -- sh -c umask
    [ "$output" = 0027 ]
    umask 022
    try ls /proc/self/fd
    [ "$tool" != pivot ] || output=$'0\n1\n2\n3'
    expected=$output
    step "$tool" -- ls /proc/self/fd
    [ "$output" = "$expected" ]
  done
}

@test "closed descriptors 0 to 2 stay closed for PROG, and no step lands on one" {
  local tool closed seen=$BATS_TEST_TMPDIR/seen
  for tool in "${tools[@]}"; do
    for closed in '0<&-' '1>&-' '2>&-' '0<&- 1>&-' '0<&- 2>&-' '1>&- 2>&-' '0<&- 1>&- 2>&-'; do
      case $tool in
        pivot) set -- pivot / ;;
        seal) set -- seal ;;
        nsjoin) set -- nsjoin "$BATS_TEST_TMPDIR/net" ;;
        idmap) set -- idmap -u all -g all ;;
        safemount) set -- safemount -o bind "$BATS_TEST_TMPDIR/source" "$BATS_TEST_TMPDIR/target" ;;
      esac
      # shellcheck disable=SC2016 # for the inner shells
      try unshare --mount bash -c '
        seen=$1; shift
        exec {out}>"$seen.control" {err}>"$seen"
        bash -c "for i in 0 1 2; do [ -e /proc/self/fd/\$i ] && echo \$i; done >$seen.control" '"$closed"'
        "$@" bash -c "for i in 0 1 2; do [ -e /proc/self/fd/\$i ] && echo \$i; done >$seen" '"$closed" bash "$seen" "$@"
      [ "$status" -le 1 ]
      diff "$seen.control" "$seen"
    done
  done
}

@test "a setuid or setgid tool refuses to run for whom it would be a gain" {
  local tool mode dir=$BATS_TEST_TMPDIR/bin
  make_user alice
  chmod 755 "$BATS_RUN_TMPDIR" "$BATS_RUN_TMPDIR"/* "$BATS_TEST_TMPDIR"
  mkdir "$dir"
  for tool in "${tools[@]}"; do
    for mode in 4755 2755; do
      cp "$top/$tool/$tool" "$dir/$tool"
      chmod "$mode" "$dir/$tool"
      try as_user alice "$dir/$tool" -h
      [ "$status" -eq 125 ]
      [[ $output == "$tool: "*"refuses to run "* ]]
    done
  done
}

@test "-v shows each system call that changes something, in order and before it is made" {
  local tool shown=$BATS_TEST_TMPDIR/shown log=$BATS_TEST_TMPDIR/log
  # The others of these calls only look.
  local changing='chdir|fchdir|close_range|open_tree|mount|move_mount|pivot_root|umount2|memfd_create|sendfile|fcntl [0-9]*, F_ADD_SEALS|unshare|setns|execve|execveat'
  for tool in "${tools[@]}"; do
    case $tool in
      pivot) set -- pivot -v / /bin/true ;;
      seal) set -- seal -v /bin/true ;;
      nsjoin) set -- nsjoin -v "$BATS_TEST_TMPDIR/net" /bin/true ;;
      idmap) set -- idmap -v -K -n mnt /bin/true ;;
      safemount) set -- safemount -v -o bind "$BATS_TEST_TMPDIR/source" "$BATS_TEST_TMPDIR/target" /bin/true ;;
    esac
    unshare --mount strace -qq -o "$log" -- "$@" 2>"$shown"
    sed -i 's/^+ \([a-z0-9_]*\)(.*/\1/; s/execvp/execve/' "$shown"
    # On 32-bit machines, names of calls end in their width. libc's start, the look
    # at 0 to 2 before the options are read, the messages themselves, and /bin/true
    # are not the step.
    sed -n '2,/^exec/s/^\([a-z0-9_]*\)(\(.*\)/\1 \2/p' "$log" |
      sed -E 's/^([a-z_]*)(32|64) /\1 /' |
      grep -vE '^(arch_prctl|set_tid_address) |^ppoll \[\{fd=0|^write 2,' |
      grep -E "^($changing)[ ,]" |
      sed 's/ .*//' | diff - "$shown"
  done
}

@test "no tool opens a file that its step does not need" {
  local tool opened log=$BATS_TEST_TMPDIR/log target=${BATS_TEST_TMPDIR#/}/target
  for tool in "${tools[@]}"; do
    case $tool in
      pivot) set -- / /bin/true ;;
      seal) set -- /bin/true ;;
      nsjoin) set -- "$BATS_TEST_TMPDIR/net" /bin/true ;;
      idmap) set -- -n mnt,uts -H x -u all -g all /bin/true ;;
      safemount) set -- -o bind "$BATS_TEST_TMPDIR/source" "$BATS_TEST_TMPDIR/target" /bin/true ;;
    esac
    unshare --mount strace -f -qq -e trace=open,openat,openat2,open_tree,creat -o "$log" -- "$tool" "$@"
    # until /bin/true, which has a loader
    opened=$(sed -n '\|ld.so|q; s/^[^"]*"\([^"]*\)".*/\1/p' "$log" | sort -u | tr '\n' ' ')
    echo "$tool: $opened"
    case $tool in
      pivot) [[ $opened =~ ^(\.|/|/\.\.|/proc|[1self]+/mountinfo|self/ns/mnt|\ )*$ ]] ;;
      seal) [ "$opened" = "/ /bin/true " ] ;;
      nsjoin) [[ $opened =~ ^(/|$BATS_TEST_TMPDIR/net|/proc|self(/ns/[a-z]+)?|\ )*$ ]] ;;
      idmap) [[ $opened =~ ^(/|/proc|(self|[0-9]+)/(uid_map|gid_map|setgroups)|\ )*$ ]] ;;
      safemount) [[ $opened =~ ^(/|/\.\.|${target//\//|}|$BATS_TEST_TMPDIR/source|\ )*$ ]] ;; # by component
    esac
  done
}
