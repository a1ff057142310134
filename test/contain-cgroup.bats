#!/usr/bin/env bats
# contain: a container never owns a cgroup in which others are.
#
# shellcheck disable=SC2016 # what stands in single quotes is for another shell
# shellcheck disable=SC2030,SC2031,SC2154 # each test has variables of its own; helper.bash sets top

load helper

setup() {
  own=/sys/fs/cgroup/unified
  [[ -d $own ]] || own=/sys/fs/cgroup
  own=$(mktemp -d "$own/nsteps-XXXXXX") || skip "there is no cgroup2 to write to"
  root=$BATS_TEST_TMPDIR/root
  chmod 755 "$BATS_RUN_TMPDIR" "$BATS_RUN_TMPDIR/test" "$BATS_TEST_TMPDIR"
  small_root "$root"
  chroot "$root" /bin/busybox --install -s /bin
  mkdir "$root/top"
}

teardown() {
  [[ -z $bystander ]] || kill "$bystander" || true
  # It was empty but for those that the test put there.
  wait_for rmdir "$own"
}

# as_owner USER COMMAND...: as USER, to whom $own belongs, and in it.
as_owner() {
  echo "$BASHPID" >"$own/cgroup.procs"
  exec as_user "$@"
}

# delegate USER: another process of theirs is in $own, too.
delegate() {
  chown -R "$1:" "$own" "$root"
  as_owner "$1" sleep 1000 3>&- &
  bystander=$!
  wait_for lives
}

lives() {
  grep -qx "$bystander" "$own/cgroup.procs"
}

# was_killed: ends it, and says whether something had killed it before.
was_killed() {
  local status=0 process=$bystander
  bystander=''
  kill "$process" 2>/dev/null || true
  wait "$process" || status=$?
  [ "$status" -eq 137 ]
}

# kill_all: what is in a cgroup that the container's root owns.
kill_all='
  cd /
  umount -l /sys/fs/cgroup 2>/dev/null
  umount -l /sys 2>/dev/null
  umount -l /proc 2>/dev/null
  mount -t cgroup2 cgroup2 /dev/shm
  for file in $(find /dev/shm /sys -name cgroup.kill); do
    echo 1 >$file
  done 2>/dev/null'

@test "a user's container cannot kill what else is in the user's cgroup" {
  local way
  make_user alice 300000:65536
  delegate alice
  export -f as_owner
  export own
  try as_owner alice idmap -n cgroup,mnt,pid bash -c "$kill_all" </dev/null
  was_killed || skip "cgroup.kill of one's own cgroup killed nothing"
  for way in "$root" "-r $root" "-n $root" "-nr $root" / "-n /" "-r /"; do
    delegate alice
    # shellcheck disable=SC2086 # options are words
    try as_owner alice contain $way /bin/sh -c "$kill_all" </dev/null
    ! was_killed || fail "contain $way"
  done
}

# Only one id is mapped: so the inner container's root is the outer one's.
@test "a container in a container of a user without delegated ids cannot kill what is in the outer one" {
  make_user carol
  delegate carol
  export -f as_owner
  export own kill_all
  # shellcheck disable=SC2034 # the inner shells have it
  inner='sleep 1000 & "$@" bash -c "$kill_all"; kill $!; wait $!; echo $?'
  try as_owner carol contain -e "kill_all=$kill_all" / bash -c "$inner" bash "$top/idmap/idmap" -n cgroup,mnt,pid </dev/null
  [ "${lines[-1]}" -eq 137 ] || skip "cgroup.kill of one's own cgroup killed nothing"
  try as_owner carol contain -e "kill_all=$kill_all" / bash -c "$inner" bash "$top/scripts/contain" / </dev/null
  [ "${lines[-1]}" -eq 143 ]
}

@test "a container of root's that has root's own id cannot kill what else is in root's cgroup" {
  local program
  export -f as_owner
  export own
  for program in contain contain-boot; do
    delegate root
    try as_owner root "$program" -u 0:0:1 -g 0:0:1 / /bin/bash -c "$kill_all; cat /proc/self/cgroup" </dev/null
    ! was_killed || fail "$program"
  done
}

@test "cgroups that a container made are gone after it, whatever their names" {
  local make='cd /sys/fs/cgroup && mkdir "space " " space" "tab	" "back\\slash\\" "star*" "\$PPID" "1 0" && mkdir "space / space "'
  make_user alice 300000:65536
  chown -R alice: "$own" "$root"
  export -f as_owner
  export own
  try as_owner alice contain "$root" /bin/sh -c "$make" </dev/null
  [ "$status" -eq 0 ]
  try as_owner alice contain-boot "$root" /bin/sh -c "$make" </dev/null
  [ "$status" -eq 0 ]
  give_to_container "$root"
  try as_owner root contain-boot "$root" /bin/sh -c "$make" </dev/null
  [ "$status" -eq 0 ]
}
