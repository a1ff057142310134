# containers.bash: containers for the tests of nsjoin, made by unshare(1).
# shellcheck shell=bash
# shellcheck disable=SC2016 # other shells expand what is quoted
# shellcheck disable=SC2034,SC2154 # the tests use what is set here, bats sets status

setup() {
  scratch=$BATS_TEST_TMPDIR
  cd "$scratch" || return
}

teardown() {
  local pid
  for pid in "${started[@]}"; do
    kill -9 "$pid" 2>/dev/null || true
    wait "$pid" 2>/dev/null || true
  done
}

# background COMMAND...: starts it; its PID is in $pid.
background() {
  "$@" >>"$scratch/log" 2>&1 3>&- &
  pid=$!
  started+=("$pid")
}

# sleeps PID: whether that process has become its sleep.
sleeps() {
  [[ $(readlink "/proc/$1/exe") =~ (sleep|busybox)$ ]]
}

child_of() {
  pgrep -P "$1"
}

sleeps_below() {
  sleeps "$(child_of "$1")"
}

all=(--user --map-root-user --mount --pid --net --ipc --uts --cgroup --time)

# container [OPTION]...: a container that unshare(1) makes and waits for. The
# PID of unshare is in $waiter, that of PID 1 in $inside.
container() {
  background unshare --fork --mount-proc "$@" sleep 1000
  waiter=$pid
  wait_for sleeps_below "$waiter"
  inside=$(child_of "$waiter")
  started+=("$inside")
}

# rooted: the same, with a small root of its own in $root.
rooted() {
  root=$scratch/root
  [[ -d $root ]] || small_root "$root"
  mkdir -p "$root/etc"
  background unshare --fork --mount --pid bash -c '
    mount --bind "$1" "$1"
    mount -t proc proc "$1/proc"
    pivot "$1" sleep 1000' bash "$root"
  waiter=$pid
  wait_for sleeps_below "$waiter"
  inside=$(child_of "$waiter")
  started+=("$inside")
}

# namespaces PID [NAME]...: what those are.
namespaces() {
  local name
  for name in cgroup ipc mnt net pid time user uts; do
    readlink "/proc/$1/ns/$name"
  done
}

show='for n in cgroup ipc mnt net pid time user uts; do readlink /proc/self/ns/$n; done'
