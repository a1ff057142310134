#!/usr/bin/env bats
# nsjoin -a: the limits that a container is under.
# shellcheck disable=SC2154 # bats sets status and output
# shellcheck disable=SC2016 # other shells expand what is quoted
# shellcheck disable=SC2030,SC2031,SC2034,SC2317 # each test is a subshell

load helper
load containers

# version_2: the directory of the cgroup2 hierarchy goes to $v2.
version_2() {
  v2=/sys/fs/cgroup
  [[ -e $v2/cgroup.procs ]] || v2=$v2/unified
  [[ -e $v2/cgroup.procs ]] || skip "no cgroup2 is mounted"
}

# joined: what a PROG that -a cgroup has put into the target's cgroup says.
joined() {
  background seal nsjoin -a cgroup "$inside" sleep 1001
  wait_for sleeps_below "$pid"
  theirs=$(cat "/proc/$(child_of "$pid")/cgroup")
  before=$(cat "/proc/$pid/cgroup")
  kill "$pid"
  wait "$pid" || true
}

@test "-a cgroup takes on the target's cgroup, for PROG alone, whatever its name" {
  version_2
  local name expected
  for name in "nsj$$" "kube:cri:8b2c$$" $'a b\tc'"$$" "$(head -c 200 /dev/zero | tr '\0' x)"; do
    mkdir "$v2/$name"
    container --mount --pid --cgroup
    echo "$inside" >"$v2/$name/cgroup.procs"
    joined
    expected=$(cat "/proc/$inside/cgroup")
    kill -9 "$inside"
    wait "$waiter" || true
    wait_for rmdir "$v2/$name"
    [ "$theirs" = "$expected" ]
    [ "$(grep -c '^0::/.' <<<"$theirs")" -eq 1 ]
    [ "$before" = "$(cat /proc/self/cgroup)" ]
  done
}

@test "-a cgroup is an error if the target is elsewhere in a hierarchy of version 1" {
  local group v1
  for v1 in pids freezer systemd none; do
    [[ ! -e /sys/fs/cgroup/$v1/cgroup.procs ]] || break
  done
  [ "$v1" != none ] || skip "no hierarchy of version 1 is mounted"
  version_2
  group=/sys/fs/cgroup/$v1/nsj$$
  mkdir "$group" "$v2/nsj$$"
  container --mount --pid
  echo "$inside" | tee "$group/cgroup.procs" >"$v2/nsj$$/cgroup.procs"
  try seal nsjoin -a cgroup "$inside" touch ran
  kill -9 "$inside"
  wait "$waiter" || true
  wait_for rmdir "$group" "$v2/nsj$$"
  [ "$status" -eq 125 ]
  [[ $output == *"nsj$$"* ]]
  [ ! -e ran ]
}

@test "a user who may write the target's cgroup is put into it, and another is not" {
  version_2
  make_user nsj 100000:65536
  chmod 755 "$scratch"
  mkdir -p "$v2/nsj$$/in" "$v2/nsj$$/out"
  chown -R nsj "$v2/nsj$$"
  background as_user nsj unshare --user --map-root-user --mount --pid --fork sleep 1000
  waiter=$pid
  wait_for sleeps_below "$waiter"
  inside=$(child_of "$waiter")
  echo "$inside" >"$v2/nsj$$/in/cgroup.procs"
  enter() {
    try bash -c 'echo $$ >"$1"; exec as_user nsj seal nsjoin -a cgroup "$2" cat /proc/self/cgroup' bash "$1/cgroup.procs" "$inside"
  }
  enter "$v2/nsj$$/out"
  local one=$output first=$status
  enter "$v2"
  kill -9 "$inside"
  wait "$waiter" || true
  wait_for rmdir "$v2/nsj$$/in" "$v2/nsj$$/out" "$v2/nsj$$"
  [ "$first" -eq 0 ]
  [[ $one == *"0::/nsj$$/in"* ]]
  [ "$status" -eq 125 ]
}

# What is mounted as cgroup2 is a part of the hierarchy, with the same names.
@test "-a cgroup that would end in another cgroup than the target's is an error" {
  version_2
  mkdir -p "$v2/nsj$$/nsj$$"
  container --mount --pid
  echo "$inside" >"$v2/nsj$$/cgroup.procs"
  alone "$inside" "$v2" "nsj$$" <<'END'
    mount --bind "$2/$3" "$2"
    seal nsjoin -a cgroup "$1" touch ran
END
  kill -9 "$inside"
  wait "$waiter" || true
  wait_for rmdir "$v2/nsj$$/nsj$$" "$v2/nsj$$"
  [ "$status" -eq 125 ]
  [ ! -e ran ]
}

@test "with -a a command is under what a process born inside is under" {
  background setpriv --no-new-privs --bounding-set -sys_boot,-net_raw,-checkpoint_restore \
    unshare --fork --mount-proc --mount --pid --uts bash -c 'cat /proc/self/status >born; exec sleep 1000'
  wait_for sleeps_below "$pid"
  inside=$(child_of "$pid")
  limits() {
    grep -E '^(Cap|NoNewPrivs|Seccomp|Groups|Uid|Gid|Cpus|Mems|Umask|Speculation)' | tr -d ' '
  }
  try nsenter -m -p -u -t "$inside" cat /proc/self/status
  [ "$(limits <<<"$output")" != "$(limits <born)" ]
  try seal nsjoin -a caps "$inside" cat /proc/self/status
  [ "$status" -eq 0 ]
  [ "$(limits <<<"$output")" = "$(limits <born)" ]
  try seal nsjoin -a all -u 5 "$inside" cat /proc/self/status
  [ "$status" -eq 0 ]
  [[ $output == *"NoNewPrivs:	1"* ]]
  [ "$(grep CapBnd <<<"$output")" = "$(grep CapBnd born)" ]

  for list in '' x 'cgroup,,caps'; do
    try seal nsjoin -a "$list" "$inside" true
    [ "$status" -eq 64 ]
  done
  try nsjoin -a all "/proc/$inside/ns/uts" true
  [ "$status" -eq 125 ]
}
