#!/usr/bin/env bats
# nsjoin: the process that waits for PROG.
# shellcheck disable=SC2154 # bats sets status and output
# shellcheck disable=SC2016 # other shells expand what is quoted
# shellcheck disable=SC2030,SC2031,SC2034,SC2317 # each test is a subshell

load helper
load containers

@test "an exit status, a signal and a stop are PROG's own" {
  container "${all[@]}"
  for code in 0 1 42 125 255; do
    try seal nsjoin "$inside" sh -c "exit $code"
    [ "$status" -eq "$code" ]
  done
  for signal in TERM KILL HUP USR1 ABRT; do
    try seal nsjoin "$inside" sh -c "kill -$signal \$\$"
    [ "$status" -eq $((128 + $(kill -l $signal))) ] || fail "$signal"
  done
  [ ! -e core ]
  try seal nsjoin "$inside" /nonexistent
  [ "$status" -eq 127 ]
  try seal nsjoin "$inside" /etc/passwd
  [ "$status" -eq 126 ]
  # SIGCHLD ignored by who calls.
  try bash -c 'trap "" CHLD; exec seal nsjoin "$1" sh -c "exit 7"' bash "$inside"
  [ "$status" -eq 7 ]
}

@test "every signal that can be caught reaches PROG, also real-time ones" {
  container "${all[@]}"
  mkfifo ready
  local signal n=0
  for signal in HUP INT QUIT USR1 USR2 ALRM TERM CONT WINCH IO 34 37 50 64; do
    background env --default-signal seal nsjoin "$inside" bash -c '
      trap "echo got >&3; exit 3" "$1"; exec 3>"$2"; echo ready >&3
      while :; do sleep 0.1; done' bash "$signal" "$scratch/ready"
    exec 8<ready
    read -r -t 5 -u 8 line
    [ "$line" = ready ]
    kill -"$signal" "$pid"
    read -r -t 5 -u 8 line
    exec 8<&-
    [ "$line" = got ] || fail "$signal"
    wait "$pid" || [ $? -eq 3 ]
    n=$((n + 1))
  done
  [ "$n" -eq 14 ]
}

@test "PROG stops and goes on with nsjoin, and dies with it" {
  container "${all[@]}"
  background seal nsjoin "$inside" sleep 1001
  wait_for sleeps_below "$pid"
  child=$(child_of "$pid")
  state() {
    [[ $(sed -n 's/^State:.\(.\).*/\1/p' "/proc/$1/status") == "$2" ]]
  }
  kill -TSTP "$pid"
  wait_for state "$child" T
  wait_for state "$pid" T
  kill -CONT "$pid"
  wait_for state "$child" S
  wait_for state "$pid" S
  kill -9 "$pid"
  gone() {
    [ ! -e "/proc/$1" ]
  }
  wait_for gone "$child"

  # Stopped from inside, it is not to hold up the end of the container.
  background seal nsjoin "$inside" sleep 1002
  wait_for sleeps_below "$pid"
  child=$(child_of "$pid")
  nsenter -p -m -t "$inside" sh -c 'kill -STOP $(pgrep -x sleep)'
  wait_for state "$child" T
  kill -9 "$inside"
  wait_for gone "$pid"
  container "${all[@]}"

  # Killed before PROG runs, at each point that strace can hold.
  local call
  for call in setns fchdir setresuid close_range setsid poll execve; do
    rm -f ran
    background strace -f -qq -o /dev/null -e "inject=$(either "$call"):delay_enter=300000" -- \
      setpriv --pdeathsig KILL seal nsjoin "$inside" touch ran
    joiner() {
      pgrep -f "^nsjoin $inside touch ran" >/dev/null
    }
    wait_for joiner
    kill -9 "$(pgrep -o -f "^nsjoin $inside touch ran")"
    nobody() {
      ! pgrep -f "^nsjoin $inside touch ran" >/dev/null
    }
    wait_for nobody
    wait "$pid" || true
    [ "$(pgrep -P "$inside" | wc -l)" -eq 0 ]
  done
}

@test "a thousand joins leave nothing behind" {
  container "${all[@]}"
  local before after
  before=$(echo /proc/[0-9]*)
  for ((i = 0; i < 1000; i++)); do
    seal nsjoin "$inside" true || fail "$i"
  done
  after=$(echo /proc/[0-9]*)
  [ "$(wc -w <<<"$after")" -eq "$(wc -w <<<"$before")" ]
}

@test "the key that interrupts a foreground job reaches PROG once, and the shell sees how it ended" {
  container "${all[@]}"
  cat >job <<'END'
set -m
seal nsjoin "$1" bash -c 'trap "echo caught; exit 3" INT; echo waits; while :; do sleep 0.1; done'
echo "status $?"
seal nsjoin "$1" bash -c 'echo sleeps; exec sleep 30'
echo "status $?"
END
  cat >keys <<'END'
import os, pty, sys
pid, master = pty.fork()
if pid == 0:
    os.execvp("bash", ["bash", "job", sys.argv[1]])
seen = b""
keys = [b"waits", b"sleeps"]
while True:
    try:
        data = os.read(master, 1024)
    except OSError:
        break
    seen += data
    if keys and keys[0] in seen:
        keys.pop(0)
        os.write(master, b"\x03")
print(seen.decode().replace("\r", ""))
END
  try timeout -k 1 30 python3 keys "$inside"
  [ "$(grep -c caught <<<"$output")" -eq 1 ]
  [[ $output == *"status 3"* ]]
  [[ $output == *sleeps*"status 130"* || $output == *sleeps*"^C" ]]
}
