#!/usr/bin/env bats
# idmap waits for PROG: what it holds meanwhile, the signals that it passes on, and
# how it ends.
# shellcheck disable=SC2016,SC2154 # scripts of a shell inside; helper.bash sets it
# shellcheck disable=SC2030,SC2031 # each test is a subshell, as it should be
# shellcheck disable=SC2010,SC2012 # no names but numbers in /proc/PID/fd

load helper
load idmap

@test "the waiting process has nothing open but what it needs, in the caller's namespaces" {
  idmap -n all sh -c 'echo >&7; exec sleep 7001' 5</etc/passwd 7>"$here/started" 900</etc/group 3>&- &
  pid=$!
  wait_for test -s "$here/started"
  wait_for test ! -e "/proc/$pid/fd/5"
  # stderr, the link, /proc, and the signals.
  [ "$(ls "/proc/$pid/fd" | wc -l)" -eq 4 ] || fail "$(ls -l "/proc/$pid/fd")"
  [ "$(ls -l "/proc/$pid/fd" | grep -cE '/etc/|started')" -eq 0 ]
  for name in cgroup ipc mnt net pid time user uts; do
    [ "$(readlink "/proc/$pid/ns/$name")" = "$(readlink "/proc/self/ns/$name")" ]
  done
  child=$(cat "/proc/$pid/task/$pid/children")
  [ -e "/proc/${child% }/fd/900" ]
  kill "$pid"
  wait "$pid" || true
}

@test "with -v each line begins with the PID of the process that makes the call" {
  try bash -c 'echo "$$"; exec idmap -v -n pid -u all -g all true'
  [ "$status" -eq 0 ]
  pid=${lines[0]}
  [[ ${lines[1]} == "$pid + clone("* ]]
  [[ ${lines[-1]} == '1 + execvp("true"'* ]]
  [ "$(grep -cvE "^($pid|1) \+ " <<<"$output")" -eq 1 ]
}

@test "what PROG closes is closed" {
  # A reader of what PROG wrote must not wait for idmap.
  mkfifo "$here/out" "$here/held"
  idmap -n pid sh -c 'exec >/dev/null 7>&-; exec sleep 7002' >"$here/out" 7>"$here/held" 3>&- &
  pid=$!
  cat "$here/held" >"$here/seen" 3>&- &
  try timeout 10 cat "$here/out"
  [ "$status" -eq 0 ]
  kill -0 "$pid"
  kill "$pid"
  wait "$pid" || true
}

# --- Signals, ends ----------------------------------------------------------

# started SCRIPT [ARG]...: idmap with ARGs runs sh -c SCRIPT, which has said that
# it is ready; its PID in $pid.
started() {
  rm -f "$here/ready"
  mkfifo "$here/ready"
  env --default-signal idmap -u all -g all "${@:2}" sh -c "$1" sh "$here/ready" >"$here/out" 2>&1 3>&- &
  pid=$!
  timeout 20 cat "$here/ready"
}

# ended: how $pid ended, in $status.
ended() {
  status=0
  timeout 20 tail -s 0.1 --pid="$pid" -f /dev/null || kill -KILL "$pid"
  wait "$pid" || status=$?
}

@test "SIGTERM, SIGINT and SIGHUP end a PID 1 without a handler, as they would any process" {
  for signal in TERM INT HUP USR1 ALRM RTMIN+3; do
    number=$(kill -l "${signal#SIG}")
    started 'echo >"$1"; exec sleep 7004' -n pid
    wait_for pgrep -x -f 'sleep 7004' # a dash has a handler for SIGINT
    kill -s "$signal" "$pid"
    ended
    [ "$status" -eq "$((128 + number))" ] || fail "$signal: $status"
  done
}

@test "PID 1 of plain unshare does not even notice SIGTERM" {
  timeout 5 unshare --pid --fork sleep 2 3>&- &
  pid=$!
  wait_for eval 'pgrep -P "$(pgrep -P "$pid" -x unshare)" -x sleep'
  kill -TERM "$(pgrep -P "$(pgrep -P "$pid" -x unshare)" -x sleep)"
  wait "$pid"
}

@test "PID 1 in six hundred groups, whose status is long, is ended all the same" {
  mkfifo "$here/go"
  setpriv --groups "$(seq -s , 4000000000 4000000600)" \
    idmap -K -n pid sh -c 'echo >"$1"; exec sleep 7006' sh "$here/go" 3>&- &
  pid=$!
  timeout 20 cat "$here/go"
  kill "$pid"
  ended
  [ "$status" -eq 143 ]
}

@test "a signal reaches the handler of a PID 1 that has one, real-time signals too" {
  for signal in TERM HUP INT USR1 WINCH RTMIN+3 RTMAX; do
    started "trap 'exit 42' $(kill -l "$signal")"'; echo >"$1"; while :; do sleep 0.05; done' -n pid
    kill -s "$signal" "$pid"
    ended
    [ "$status" -eq 42 ] || fail "$signal: $status $(<"$here/out")"
  done
}

@test "a signal that comes during -o ends PROG afterwards" {
  for arguments in '-n pid' '-O true'; do
    # shellcheck disable=SC2086
    try env --default-signal idmap $arguments -o 'kill -TERM $PPID' sleep 9
    [ "$status" -eq 143 ] || fail "$arguments: $status"
  done
  # Also if it is passed on before PROG runs, while all signals are blocked.
  try env --default-signal strace -f -qq -o /dev/null -e inject=prctl:delay_enter=500000 \
    idmap -n pid -o 'kill -TERM $PPID' sleep 9
  [ "$status" -eq 143 ]
}

@test "a signal that PID 1 ignores does not end it, and those that mean nothing do not" {
  started "trap '' TERM HUP; echo >\"\$1\"; sleep 0.5; exit 3" -n pid
  kill -TERM "$pid"
  kill -HUP "$pid"
  kill -WINCH "$pid"
  kill -CONT "$pid"
  kill -URG "$pid"
  kill -CHLD "$pid"
  ended
  [ "$status" -eq 3 ]
}

# alarm(2) is kept across exec, and comes from the kernel as the keys do.
@test "an alarm that was set before ends PROG" {
  local space
  for space in '-n pid' '-O true'; do
    # shellcheck disable=SC2086
    try env --default-signal perl -e 'alarm 1; exec @ARGV' idmap -u root -g root $space sleep 9
    [ "$status" -eq 142 ]
  done
}

@test "PID 1 with 65536 groups gets a signal that it has no handler for" {
  python3 -c 'import os, sys; os.setgroups(range(65536)); os.execvp("idmap", sys.argv[1:])' \
    idmap -u all -g all -n pid sleep 7006 3>&- &
  pid=$!
  wait_for pgrep -x -f 'sleep 7006'
  kill -TERM "$pid"
  ended
  [ "$status" -eq 143 ]
}

@test "it stops when PROG stops, and both go on" {
  for space in '-n pid' '-O true'; do
    # shellcheck disable=SC2086
    started 'echo >"$1"; sleep 7005; exit 5' $space
    child=$(cat "/proc/$pid/task/$pid/children")
    kill -STOP "${child% }"
    wait_for grep -q '^State:.*T' "/proc/$pid/status"
    kill -CONT "$pid"
    wait_for grep -q '^State:.*S' "/proc/${child% }/status"
    wait_for grep -q '^State:.*S' "/proc/$pid/status"
    kill -TSTP "$pid"
    wait_for grep -q '^State:.*T' "/proc/${child% }/status"
    wait_for grep -q '^State:.*T' "/proc/$pid/status"
    kill -CONT "$pid"
    wait_for grep -q '^State:.*S' "/proc/${child% }/status"
    kill -KILL "${child% }"
    ended
    [ "$status" -eq 137 ]
  done
}

@test "it ends as PROG ended, with its status or by its signal, and leaves no core" {
  for space in '-n pid' '-O true' ''; do
    for code in 0 1 64 125 126 127 128 200 255; do
      # shellcheck disable=SC2086
      try idmap $space sh -c "exit $code"
      [ "$status" -eq "$code" ]
    done
  done
  for signal in 9 11 15 6; do
    try bash -c 'ulimit -c unlimited; cd "$1"; idmap -O true sh -c "kill -$2 \$\$"; echo "$?"; ls' bash "$BATS_TEST_TMPDIR" "$signal"
    [[ $output == *"$((128 + signal))"* ]]
  done
  # By the signal itself: a shell that saw an exit status would not say so.
  try bash -c 'idmap -O true sh -c "kill -SEGV \$\$"; true'
  [[ $output == *'Segmentation fault'* ]]
}

@test "SIGCHLD that was inherited as ignored eats no status, and PROG inherits it again" {
  for space in '' '-n pid' '-o true' '-n pid -o true'; do
    # shellcheck disable=SC2086
    try env --ignore-signal=CHLD idmap $space sh -c 'exit 9'
    [ "$status" -eq 9 ]
    # shellcheck disable=SC2086
    try env --ignore-signal=CHLD idmap $space grep SigIgn /proc/self/status
    mask=$((16#${lines[0]##*[[:space:]]}))
    ((mask >> 16 & 1))
  done
}

@test "PROG has the signal mask that its caller had" {
  for space in '' '-n pid'; do
    # shellcheck disable=SC2086
    try env --block-signal=USR1 idmap $space grep SigBlk /proc/self/status
    [ "$((16#${lines[0]##*[[:space:]]}))" -eq "$((1 << 9))" ]
  done
}

@test "PROG has not run if the step ends with 125, whichever call of the waiting process fails" {
  local call when
  for call in signalfd4 write sendto waitid ppoll rt_sigprocmask rt_sigaction close_range openat read getgroups socketpair; do
    for when in 1 2 3 4 5; do
      rm -f "$here/ran"
      try timeout -s KILL 8 strace -qq -o /dev/null -e "inject=$(either "$call"):error=EIO:when=$when" \
        idmap -n pid,mnt -u all -g all sh -c ': >"$1"; sleep 0.2; exit 3' sh "$here/ran"
      case $status in
        3) [ -e "$here/ran" ] ;;
        # Only what waits while PROG runs can fail after it has begun.
        125) [[ ! -e $here/ran || $call == waitid || $call == ppoll ]] || fail "$call $when: ran" ;;
        *) fail "$call $when: $status" ;;
      esac
      [[ $status -eq 3 || $output == *"idmap: "* ]] || fail "$call $when: no line"
    done
  done
}
