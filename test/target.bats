#!/usr/bin/env bats
# nsjoin and inject: which process a PID means, and never the host.
# shellcheck disable=SC2154,SC2030,SC2031 # bats sets status, tests are subshells
# shellcheck disable=SC2016 # other shells expand what is quoted

load helper

setup() {
  cd "$BATS_TEST_TMPDIR" || return
  chmod 755 . "$BATS_RUN_TMPDIR"
  started=()
}

teardown() {
  local pid
  for pid in "${started[@]}"; do
    kill -9 "$pid" 2>/dev/null || true
  done
  pkill -9 -x -f 'sleep 7[0-9]*' || true
}

# start COMMAND...: in the background; its PID is in $pid.
start() {
  "$@" >>log 2>&1 3>&- &
  pid=$!
  started+=("$pid")
}

# inside: the PID of the container's sleep 7100, once that runs.
inside() {
  wait_for pgrep -x -f 'sleep 7100'
  pgrep -x -f 'sleep 7100'
}

# where COMMAND...: the host name that COMMAND's PROG sees.
where() {
  try "$@" cat /proc/sys/kernel/hostname
}

# A waiter with so many children that their list is longer than a page.
busy() {
  cat >busy <<'SCRIPT'
import ctypes, os, subprocess, sys
# The children that -o leaves behind become ours, and younger than PROG.
ctypes.CDLL(None).prctl(36, 1, 0, 0, 0)  # PR_SET_CHILD_SUBREAPER
for _ in range(int(sys.argv[1])):
    if os.fork() == 0:
        os.execlp("sleep", "sleep", "7200")
os.execvp("contain", ["contain", "-c", "-H", "box", "-o", sys.argv[2], "/", "sleep", "7100"])
SCRIPT
  start python3 busy "$@"
}

@test "a waiter with 1500 other children, older and younger, still means its container" {
  busy 1500 'for i in $(seq 300); do sleep 7200 & done'
  child=$(inside)
  host=$(cat /proc/sys/kernel/hostname)

  # The control: what the process itself is in, is the host.
  where nsenter -t "$pid" -a
  [ "$output" = "$host" ]
  [ "$(wc -c <"/proc/$pid/task/$pid/children")" -gt 4096 ]

  for join in inject 'seal nsjoin'; do
    # shellcheck disable=SC2086
    where $join "$pid"
    [ "$status" -eq 0 ]
    [ "$output" = box ]
  done
  try inject "$pid" readlink /proc/self/ns/pid
  [ "$output" = "$(readlink "/proc/$child/ns/pid")" ]
}

# injected CALL:error=ERRNO PATH COMMAND...: COMMAND, to which that call fails
# for PATH.
injected() {
  try strace -f -qq -o /dev/null -e "inject=$1" -P "$2" -- "${@:3}"
}

@test "processes that cannot be listed or asked, or not by that procfs, are an error, and nothing runs" {
  start contain -c -H box / sleep 7100
  child=$(inside)
  for error in EACCES EIO EMFILE ENOENT; do
    injected openat:error=$error "$child/status" seal nsjoin "$pid" touch "$PWD/ran"
    [ "$status" -eq 125 ] || fail "open $error"
    injected read:error=$error "/proc/$child/status" seal nsjoin "$pid" touch "$PWD/ran"
    [ "$status" -eq 125 ] || fail "read $error"
    injected getdents64:error=$error /proc seal nsjoin "$pid" touch "$PWD/ran"
    [ "$status" -eq 125 ] || fail "list $error"
  done
  injected getdents64:retval=0 /proc seal nsjoin "$pid" touch "$PWD/ran"
  [ "$status" -eq 125 ]
  sed 's/^NSpid:.*/NSpid:\t7/' "/proc/$child/status" >false
  try unshare -m bash -c 'mount --bind false "/proc/$2/status"; exec seal nsjoin "$1" touch "$3"' bash "$pid" "$child" "$PWD/ran"
  [ "$status" -eq 125 ]
  [ ! -e ran ]
}

@test "a process that waits for two containers is an error that names them" {
  cat >two <<'SCRIPT'
import ctypes, os, time
libc = ctypes.CDLL(None)
here = os.open("/proc/self/ns/pid", os.O_RDONLY)
for _ in range(2):
    libc.unshare(0x20000000)  # CLONE_NEWPID
    if os.fork() == 0:
        os.execlp("sleep", "sleep", "7300")
    libc.setns(here, 0)
time.sleep(1000)
SCRIPT
  start python3 two
  two() {
    [[ $(pgrep -c -x -f 'sleep 7300') -eq 2 ]]
  }
  wait_for two
  try seal nsjoin "$pid" touch "$PWD/ran"
  [ "$status" -eq 125 ]
  [ ! -e ran ]
  for child in $(pgrep -x -f 'sleep 7300'); do
    [[ $output == *"$child"* ]]
  done

  # When one of them has ended, even if nobody has waited for it, it is the other.
  kill -9 "$child"
  other=$(pgrep -x -f 'sleep 7300' | grep -v "^$child$")
  wait_for grep -q '^State:.Z' "/proc/$child/status"
  try seal nsjoin "$pid" readlink /proc/self/ns/pid
  [ "$status" -eq 0 ]
  [ "$output" = "$(readlink "/proc/$other/ns/pid")" ]
}

@test "PID 1 of a container whose child is PID 1 of another is that one itself" {
  start contain -c -H box / unshare --pid --fork sleep 7100
  nested=$(inside)
  init=$(ps -o ppid= -p "$nested")
  init=${init// /}
  # The control: a child in another PID namespace, which once was all it took.
  [ "$(readlink "/proc/$nested/ns/pid")" != "$(readlink "/proc/$init/ns/pid")" ]
  [ "$(sed -n 's/^NSpid:.*\t//p' "/proc/$init/status")" -eq 1 ]
  for target in "$init" "$pid"; do
    try inject "$target" readlink /proc/self/ns/pid
    [ "$status" -eq 0 ]
    [ "$output" = "$(readlink "/proc/$init/ns/pid")" ]
  done
}

@test "with a thread whose child the container is, it is found" {
  cat >threads <<'SCRIPT'
import ctypes, os, threading, time
def run():
    ctypes.CDLL(None).unshare(0x24000000)  # CLONE_NEWPID | CLONE_NEWUTS
    if os.fork() == 0:
        os.execlp("sleep", "sleep", "7100")
    time.sleep(1000)
threading.Thread(target=run, daemon=True).start()
time.sleep(1000)
SCRIPT
  start python3 threads
  child=$(inside)
  [ -z "$(cat "/proc/$pid/task/$pid/children")" ]
  try seal nsjoin "$pid" readlink /proc/self/ns/pid
  [ "$output" = "$(readlink "/proc/$child/ns/pid")" ]
}

@test "a child that /proc hides is an error, and so are processes that it hides" {
  make_user alice 300000:65536
  # A process of alice's with a child of root's, under hidepid=2.
  start bash -c 'sleep 7100 & exec setpriv --reuid=alice --regid=alice --clear-groups sleep 7400'
  wait_for pgrep -x -f 'sleep 7400'
  child=$(inside)
  hidden() {
    try unshare -m bash -c 'mount -t proc -o hidepid=$1 proc /proc; shift; exec as_user alice "$@"' bash "$@"
  }
  hidden 2 cat "/proc/$pid/task/$pid/children"
  [ "${output// /}" = "$child" ]
  hidden 2 ls -d "/proc/$child"
  [ "$status" -ne 0 ]
  for level in 1 2; do
    hidden "$level" seal nsjoin "$pid" touch /tmp/ran
    [ "$status" -eq 125 ]
    [[ $output == *hidepid* ]]
  done

  # One without children: whether it waits for anybody cannot be seen then.
  start setpriv --reuid=alice --regid=alice --clear-groups sleep 7401
  wait_for pgrep -x -f 'sleep 7401'
  hidden 2 seal nsjoin "$pid" touch /tmp/ran
  [ "$status" -eq 125 ]
  [[ $output == *hidepid* ]]
  hidden 0 seal nsjoin "$pid" touch /tmp/ran
  [ "$status" -eq 125 ]
  [[ $output != *hidepid* ]]
  [ ! -e /tmp/ran ]

  # A container of alice's own is no secret to alice.
  start as_user alice unshare --user --map-root-user --mount --pid --fork sleep 7402
  wait_for pgrep -x -f 'sleep 7402'
  for level in 1 2; do
    hidden "$level" seal nsjoin "$pid" readlink /proc/self/ns/pid
    [ "$output" = "$(readlink "/proc/$(pgrep -x -f 'sleep 7402')/ns/pid")" ]
  done
}
