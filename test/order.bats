#!/usr/bin/env bats
# THE ORDER of nsteps.7: ten chains of two steps, and what each does if the two
# are swapped. Each test first runs the chain, then the swapped one.
#
# shellcheck disable=SC2016,SC2154 # other shells expand what is quoted, and
# helper.bash sets status and output
# shellcheck disable=SC2030,SC2031 # each test is a subshell

load helper

setup() {
  cd "$BATS_TEST_TMPDIR" || return
  small_root box
  chmod -R go+rX "$BATS_RUN_TMPDIR"
  chmod 777 box . # for ids of others
}

teardown() {
  if [[ -n ${started-} ]]; then
    kill -9 "$started"
    wait "$started" 2>/dev/null || true
  fi
}

# In a shell without a fork or an exec: the PID that /proc shows for it, and its
# capabilities.
own_pid='read -r pid rest </proc/self/stat; echo "$pid"'
own_capabilities='while read -r name set; do case $name in CapEff:) echo "$set"; esac; done </proc/self/status'

# waiting COMMAND...: starts it. Its PID is in $started.
waiting() {
  "$@" 3>&- &
  started=$!
}

is_in_new_namespace() {
  [[ $(readlink "/proc/$1/ns/$2") != "$(readlink "/proc/self/ns/$2")" ]]
}

@test "1: user namespace, other namespaces; swapped, the host owns the others" {
  try idmap -n uts sh -c 'busybox hostname box && uname -n'
  [ "$output" = box ]
  try idmap -K -n uts idmap busybox hostname box
  [ "$status" -ne 0 ]
  [[ $output == *"Operation not permitted" ]]
}

@test "2: setgroups deny, gid_map; swapped, a user's own group is not mapped" {
  make_user reader
  map="0 $(id -g reader) 1"
  waiting as_user reader busybox unshare -U sleep 100
  wait_for is_in_new_namespace "$started" user
  try as_user reader sh -c 'echo "$2" >"/proc/$1/gid_map"' sh "$started" "$map"
  [ "$status" -ne 0 ]
  [ -z "$(cat "/proc/$started/gid_map")" ]
  try as_user reader sh -c 'echo deny >"/proc/$1/setgroups"; echo "$2" >"/proc/$1/gid_map"' sh "$started" "$map"
  [ "$status" -eq 0 ]
  [ "$(xargs <"/proc/$started/gid_map")" = "$map" ]
}

@test "3: uid_map, exec; swapped, exec has taken the capabilities" {
  make_user reader
  try as_user reader idmap -u root -g root sh -c "$own_capabilities"
  [ $((16#$output)) -ne 0 ]
  mkfifo -m 666 mapped
  waiting as_user reader busybox unshare -U \
    sh -c "read -r line <mapped; $own_capabilities" >capabilities
  wait_for is_in_new_namespace "$started" user
  echo "0 $(id -u reader) 1" >"/proc/$started/uid_map"
  echo go >mapped
  wait "$started"
  started=
  [ $((16#$(cat capabilities))) -eq 0 ]
}

@test "4: mount namespace, mount; swapped, the mount is the host's" {
  alone <<'END'
    idmap -K -n mnt safemount -r box -t tmpfs none tmp grep -c " $PWD/box/tmp " /proc/self/mountinfo
    if grep " $PWD/box/tmp " /proc/self/mountinfo; then exit 1; fi
    safemount -r box -t tmpfs none tmp idmap -K -n mnt true
    grep -c " $PWD/box/tmp " /proc/self/mountinfo
END
  [ "$status" -eq 0 ]
  [ "$output" = $'1\n1' ]
}

@test "5: PID namespace, /proc; swapped, /proc has the PIDs of the host" {
  try idmap -n mnt,pid safemount -t proc proc /proc sh -c "$own_pid"
  [ "$output" = 1 ]
  try idmap -K -n mnt safemount -t proc proc /proc idmap -n pid sh -c "$own_pid"
  [ "$status" -eq 0 ]
  [ "$output" -gt 1 ]
}

@test "6: network namespace, /sys; swapped, /sys has the interfaces of the host" {
  try unshare --net bash -c '
    ip link add host0 type veth
    idmap -n mnt,net safemount -t sysfs none /sys ls /sys/class/net
    echo swapped:
    idmap -K -n mnt safemount -t sysfs none /sys idmap -n net ls /sys/class/net'
  [ "${output%%swapped*}" = $'lo\n' ]
  [[ ${output#*swapped} == *host0* ]]
}

@test "7: mount outside, user namespace; swapped, root of the box takes off ro" {
  local outside=(idmap -K -n mnt) inside=(idmap -n mnt)
  local bind=(safemount -r . -o "bind,ro" box box)
  local attack=(safemount -r . -o "remount,rw" none box touch box/written)
  try "${outside[@]}" "${bind[@]}" "${inside[@]}" "${attack[@]}"
  [ "$status" -eq 125 ]
  [ ! -e box/written ]
  try "${outside[@]}" "${inside[@]}" "${bind[@]}" "${attack[@]}"
  [ "$status" -eq 0 ]
  [ -e box/written ]
}

@test "8: ro, attach; swapped, a file that is opened in between stays writable" {
  local write='exec 9>box/tmp/file; "$@"; echo written >&9'
  mkdir data
  try idmap -K -n mnt safemount -r . -o bind,ro data box/tmp sh -c "$write" sh true
  [[ $output == *"Read-only file system" ]]
  [ ! -e data/file ]
  try idmap -K -n mnt safemount -r . -o bind data box/tmp sh -c "$write" sh \
    safemount -r . -o remount,ro none box/tmp
  [[ $output == *"busy" ]]
  [ "$(cat data/file)" = written ]
}

@test "9: /proc, detach the old root; swapped, no proc can be mounted any more" {
  cp "$top/safemount/safemount" box/bin
  try idmap -n mnt,pid safemount -r box -t proc proc /proc pivot box sh -c "$own_pid"
  [ "$output" = 1 ]
  try idmap -n mnt,pid pivot box safemount -t proc proc /proc sh -c "$own_pid"
  [ "$status" -eq 125 ]
  [[ $output == *"Operation not permitted" ]]
}

@test "10: seal, setns; swapped, a file of the host would enter" {
  waiting idmap -K -n mnt sleep 100
  wait_for is_in_new_namespace "$started" mnt
  try seal nsjoin "$started" readlink /proc/self/ns/mnt
  [ "$output" = "$(readlink "/proc/$started/ns/mnt")" ]
  try nsjoin "$started" seal true
  [ "$status" -eq 125 ]
}
