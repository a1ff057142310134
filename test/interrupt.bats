#!/usr/bin/env bats
# nsjoin can be interrupted, whatever those inside do, and then leaves nothing.
# shellcheck disable=SC2154,SC2016 # bats sets status; other shells expand
# shellcheck disable=SC2030,SC2031 # each test is a subshell

load helper

setup() {
  cd "$BATS_TEST_TMPDIR" || return
  chmod 755 . "$BATS_RUN_TMPDIR"
  make_user alice 300000:65536
  frozen=()
  v2=/sys/fs/cgroup
  [[ -e $v2/cgroup.procs ]] || v2=$v2/unified
}

teardown() {
  local group
  for group in "${frozen[@]}"; do
    thaw "$group" || true
  done
  pkill -9 -x -f 'sleep 5[0-9]*' || true
  for group in "${frozen[@]}"; do
    wait_for rmdir "$group"
  done
  umount -l box/etc 2>/dev/null || true
}

freeze() {
  if [[ -e $1/cgroup.freeze ]]; then
    echo 1 >"$1/cgroup.freeze"
    wait_for grep -q 'frozen 1' "$1/cgroup.events"
  else
    echo FROZEN >"$1/freezer.state"
    wait_for grep -q FROZEN "$1/freezer.state"
  fi
}

thaw() {
  if [[ -e $1/cgroup.freeze ]]; then
    echo 0 >"$1/cgroup.freeze"
  else
    echo THAWED >"$1/freezer.state"
  fi
}

# boxed [OPTION]... DIR: contain, whose PID goes to $waiter, and its PID 1's to
# $init.
boxed() {
  contain -c -H box "$@" sleep 5100 </dev/null >/dev/null 2>&1 3>&- &
  waiter=$!
  wait_for pgrep -x -f 'sleep 5100'
  init=$(pgrep -x -f 'sleep 5100')
}

# interrupted SIGNAL COMMAND...: how long it takes to end after that signal, in
# tenths of a second, 99 if it does not. Its status goes to $status.
interrupted() {
  local pid tenths=0
  # What bash starts in the background has SIGINT ignored.
  env --default-signal=INT "${@:2}" >out 2>err 3>&- &
  pid=$!
  sleep 1
  kill -"$1" "$pid" || true
  while ((tenths < 60)) && grep -qs '^State:.[^Z]' "/proc/$pid/status"; do
    sleep 0.1
    tenths=$((tenths + 1))
  done
  [[ $tenths -lt 60 ]] || {
    kill -9 "$pid"
    tenths=99
    [[ ${#frozen[@]} -eq 0 || ! -e ${frozen[-1]}/freezer.state ]] || thaw "${frozen[-1]}"
  }
  status=0
  wait "$pid" || status=$?
  echo "$* took $tenths, $status: $(cat err)"
  took=$tenths
}

@test "a frozen container keeps no joiner, and none of it stays in its cgroup" {
  local group n=0
  for group in "$v2" /sys/fs/cgroup/freezer; do
    [[ -e $group/cgroup.procs ]] || continue
    group=$group/frozen-${BATS_RUN_TMPDIR##*-}
    mkdir "$group"
    frozen+=("$group")
    [[ -e $group/cgroup.freeze || -e $group/freezer.state ]] || continue
    n=$((n + 1))
    boxed /
    echo "$init" >"$group/cgroup.procs"
    freeze "$group"

    # The control: what enters that cgroup does not come to handle SIGTERM.
    interrupted TERM bash -c 'trap "exit 1" TERM; echo $$ >"$1/cgroup.procs"; nsenter -t "$2" -a true' bash "$group" "$init"
    [ "$took" -eq 99 ]
    freeze "$group"

    case $group in
      "$v2"/*) target=$waiter join=(inject) ;;
      # cgroup2 alone is joined by nsjoin -a: this one by whoever calls.
      *) target=$init join=(inject) ;;
    esac
    for signal in TERM INT HUP; do
      interrupted "$signal" setsid -w "${join[@]}" "$target" true
      [ "$took" -le 35 ] || fail "$signal: $took"
    done
    interrupted TERM timeout 5 inject "$target" true
    [ "$took" -le 35 ]
    if [[ -e $group/cgroup.freeze ]]; then
      [ "$(cat "$group/cgroup.procs")" = "$init" ]
    fi
    ! pgrep -x nsjoin || [[ -e $group/freezer.state ]] || fail 'a joiner is left'
    kill -9 "$init"
    thaw "$group"
    wait_for rmdir "$group"
    unset "frozen[-1]"
    wait_for eval '! pgrep -x nsjoin'
  done
  [ "$n" -gt 0 ] || skip 'no cgroup can be frozen here'
}

@test "a user who stops in a loop every process of theirs cannot hold root's inject" {
  setpriv --reuid=alice --regid=alice --clear-groups \
    contain -c -H box / sleep 5100 </dev/null >/dev/null 2>&1 3>&- &
  waiter=$!
  wait_for pgrep -x -f 'sleep 5100'
  init=$(pgrep -x -f 'sleep 5100')
  setpriv --reuid=alice --regid=alice --clear-groups \
    perl -e '$0 = "sleep 5200"; $end = time + 60; kill STOP => -1 while time < $end' 3>&- &
  local stopper=$!
  # The control: a joiner that waits itself inside is stopped as well.
  interrupted TERM nsenter -a -t "$init" -S 0 sleep 5300
  [ "$took" -eq 99 ] || skip 'the control is not stopped'
  for signal in TERM INT HUP; do
    interrupted "$signal" setsid -w inject "$waiter" sleep 5300
    [ "$took" -le 35 ] || fail "$signal: $took"
  done
  interrupted TERM timeout 5 inject "$waiter" true
  [ "$took" -le 35 ]
  kill -9 "$stopper"
  pkill -9 -x -f 'sleep 5300' || true # its child, which it left
  wait_for eval '! pgrep -x -f "sleep 5300"'
  wait_for eval '! pgrep -x nsjoin'
}

# A FUSE file system whose server never answers.
hang() {
  cat >hang <<'PY'
import ctypes, os, sys, time
fd = os.open("/dev/fuse", os.O_RDWR)
if ctypes.CDLL(None, use_errno=True).mount(b"fuse", sys.argv[1].encode(), b"fuse", 0,
        b"fd=%d,rootmode=40000,user_id=0,group_id=0,allow_other" % fd):
    sys.exit(1)
print("mounted", flush=True)
time.sleep(60)
PY
  python3 hang "$1" >hangs 2>&1 3>&- &
  hanger=$!
  wait_for grep -q mounted hangs
}

@test "an /etc that never answers holds no joiner" {
  [[ -c /dev/fuse ]] || skip 'there is no /dev/fuse'
  small_root box
  give_to_container box
  hang "$PWD/box/etc"
  boxed "$PWD/box"
  try timeout -s KILL 2 cat "/proc/$init/root/etc/passwd"
  [ "$status" -eq 137 ] || skip 'the control does not hang'
  for signal in TERM INT HUP; do
    interrupted "$signal" setsid -w inject "$waiter" true
    [ "$took" -le 35 ] || fail "$signal: $took"
    [ "$took" -gt 0 ] || [ "$status" -gt 128 ]
  done
  wait_for eval '! pgrep -x nsjoin'
  kill -9 "$hanger" "$init"
}

@test "a program inside that ignores every signal ends with SIGTERM to nsjoin" {
  boxed /
  interrupted TERM unshare -pf perl -e '$SIG{TERM} = "IGNORE"; sleep 20'
  [ "$took" -eq 99 ] # the control
  for signal in TERM INT HUP; do
    interrupted "$signal" setsid -w inject "$waiter" perl -e '$0 = "sleep 5400"; $SIG{$_} = "IGNORE" for qw(TERM INT HUP); sleep 20'
    [ "$took" -le 35 ] || fail "$signal: $took"
    ! pgrep -x -f 'sleep 5400' || fail 'PROG is left'
  done
  # One that takes it ends in its own time, and with its own status.
  interrupted TERM inject "$waiter" sh -c 'trap "sleep 0.5; exit 9" TERM; while :; do sleep 0.1; done'
  [ "$status" -eq 9 ]
}

# three: whether all processes of a joiner are there.
three() {
  [[ $(pgrep -c -x nsjoin) -eq 3 ]]
}

@test "a signal that comes while PROG is being made leaves nothing of it inside" {
  local group=$v2/made-${BATS_RUN_TMPDIR##*-}
  mkdir "$group"
  frozen+=("$group")
  [[ -e $group/cgroup.freeze ]] || skip 'no cgroup2 can be frozen here'
  boxed /
  # The process that makes PROG is held when it has, and PROG is frozen before it
  # can see that the process outside has ended.
  strace -f -qq -o /dev/null -e inject=clone:delay_exit=4000000 -e inject=setsid:delay_enter=2000000 \
    nsjoin -x "$waiter" sleep 5600 </dev/null >/dev/null 2>&1 3>&- &
  wait_for three
  pgrep -n -x nsjoin >"$group/cgroup.procs"
  echo 1 >"$group/cgroup.freeze"
  kill -TERM "$(pgrep -o -x nsjoin)"
  wait_for eval '! pgrep -x nsjoin'
  kill -9 "$init"
}

@test "a process that has taken the socket of the joiner's messages does not hold it" {
  boxed /
  cat >taker <<'PY'
import ctypes, os, sys, time
pid = int(sys.argv[1])
for name in os.listdir("/proc/%d/fd" % pid):
    if os.readlink("/proc/%d/fd/%s" % (pid, name)).startswith("socket:"):
        fd = ctypes.CDLL(None).syscall(438, os.pidfd_open(pid), int(name), 0)  # pidfd_getfd
        print("taken" if fd >= 0 else "no", flush=True)
        time.sleep(30)
PY
  strace -f -qq -o /dev/null -e inject=setsid:delay_enter=1500000 \
    nsjoin -x "$waiter" sh -c 'exit 9' </dev/null >/dev/null 2>&1 3>&- &
  local joiner=$! taker status=0
  wait_for three
  python3 taker "$(pgrep -n -x nsjoin)" >taken 2>&1 3>&- &
  taker=$!
  wait_for grep -q taken taken
  wait_for eval '! pgrep -x nsjoin'
  grep -q '^State:.[^Z]' "/proc/$taker/status"
  kill -9 "$taker" "$init"
  wait "$joiner" || status=$?
  [ "$status" -eq 9 ]
}

@test "SIGHUP that was ignored at the start, as nohup has it, ends nothing" {
  boxed /
  (
    trap '' HUP
    exec inject "$waiter" sh -c 'sleep 3; echo survived'
  ) >out 2>&1 3>&- &
  local pid=$!
  sleep 1
  kill -HUP "$pid"
  wait "$pid"
  [ "$(cat out)" = survived ]
}

# A container in which PID 1 writes to each terminal that appears, or stops it.
noisy() {
  cat >noisy <<'PERL'
while (1) {
  for $t (glob "/dev/pts/[0-9]*") {
    next if $seen{$t}++;
    next if fork;
    open T, "+<", $t or exit;
    if ($ARGV[0] eq "stop") { ioctl T, 0x540A, 0; sleep 100; }
    $SIG{HUP} = "IGNORE"; 1 while syswrite T, "noise\r\n" x 100;
    exit;
  }
  select undef, undef, undef, 0.001;
}
PERL
  contain -H box / perl "$PWD/noisy" "$1" </dev/null >/dev/null 2>&1 3>&- &
  waiter=$!
  wait_for pgrep -f '^perl .*noisy'
}

@test "an error of nsjoin's reaches the caller, whatever is done to the new terminal" {
  local way
  for way in flood stop; do
    noisy "$way"
    # The helper is held until those inside have its terminal; then it fails.
    interrupted TERM strace -f -qq -o /dev/null -e inject=setns:error=EPERM:delay_enter=500000 \
      seal nsjoin -t "$waiter" true </dev/null
    [ "$status" -eq 125 ]
    grep -q '^nsjoin: setns ' err
    ! grep -q noise err || fail 'not of nsjoin'
    # And what PROG cannot be, too.
    try seal nsjoin -t "$waiter" no-such-program </dev/null
    [ "$status" -eq 127 ]
    [[ $output == *'nsjoin: exec no-such-program: No such file'* ]]
    interrupted TERM inject "$waiter" sleep 5500
    [ "$took" -le 35 ]
    pkill -9 -f '^perl .*noisy'
    wait_for eval '! pgrep -f "^perl .*noisy"'
  done
}

@test "a message that those inside could write has its control characters escaped" {
  boxed /
  try seal nsjoin "$waiter" $'no\033[31msuch'
  [ "$status" -eq 127 ]
  [[ $output == *'no\033[31msuch'* && $output != *$'\033'* ]]
}

@test "whatever of waiting is refused, nsjoin ends, and PROG with it" {
  boxed /
  local call
  for call in waitid ppoll signalfd4 socketpair rt_sigprocmask rt_sigaction; do
    for when in 1 2 1+; do
      try timeout -s KILL 8 strace -qq -o /dev/null -e "inject=$(either "$call"):error=EPERM:when=$when" \
        nsjoin -x "$waiter" sh -c 'sleep 0.2; exit 3'
      [[ $status -eq 125 || $status -eq 3 ]] || fail "$call $when: $status"
      [[ $status -eq 3 || $output == *"nsjoin: "* ]]
    done
  done
}
