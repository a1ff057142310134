#!/usr/bin/env bats
# idmap -t and nsjoin -t: a terminal of PROG's own, and nothing of ours in reach.
#
# Ours is one of tmux', with a shell on it that never changes its settings.
#
# shellcheck disable=SC2016,SC1003,SC2028 # what stands in single quotes is for
# another shell, or for tmux

load helper

setup() {
  cd "$BATS_TEST_TMPDIR" || return
  chmod 755 . "$BATS_RUN_TMPDIR"
}

teardown() {
  pkill -9 -x -f 'sleep 8[0-9]*' || true
  screen kill-server 2>/dev/null || true
}

screen() {
  tmux -S "$BATS_TEST_TMPDIR/tmux" -f /dev/null "$@"
}

open_screen() {
  screen new-session -d -x 80 -y 24 "PS1='out: ' TERM=screen dash" 3>&-
  ours=$(screen display-message -p '#{pane_tty}')
  sees '^out: ' # before that, tmux has not made its own settings
  settings=$(stty -F "$ours" -g)
}

# enter TEXT: types a line.
enter() {
  screen send-keys -l "$1"
  screen send-keys Enter
}

shows() {
  screen capture-pane -p -J -S - | grep -qE -- "$1"
}

# sees REGEX: a line of the screen matches, now or soon.
sees() {
  wait_for shows "$1" || {
    screen capture-pane -p
    return 1
  }
}

is_raw() {
  stty -F "$ours" -a | grep -q -- -icanon
}

is_as_before() {
  [ "$(stty -F "$ours" -g)" = "$settings" ]
}

pid_of() {
  pgrep -x -f -- "$*"
}

# ldisc TTY: its line discipline.
ldisc() {
  perl -e 'open F, "+<", $ARGV[0]; $n = pack "i", -1; ioctl F, 0x5424, $n; print unpack "i", $n' "$1"
}

# What a program does that wants its terminal to type for it.
typist() {
  printf '%s\n' 'ioctl STDIN, 0x5412, $_ for split //, "echo typed-\$((40 + 2))\n"' >typist
}

# target SCRIPT: runs it, as the root of a new container, then sleep.
target() {
  rm -f ready
  mkfifo -m 666 ready
  idmap -n all sh -c "$1"'; echo >ready; exec sleep 8100' 3>&- &
  read -r _ <ready
  wait_for pid_of sleep 8100
  pid=$(pid_of sleep 8100)
}

@test "idmap -t gives PROG a controlling terminal that belongs to 0:0" {
  try idmap -t -n all sh -c 'tty; stat -c %u:%g:%t "$(tty)"; echo x >/dev/tty; ls -l /proc/self/fd/[012] | wc -l' </dev/null
  [ "$status" -eq 0 ]
  [[ ${lines[0]} == /dev/pts/* ]]
  [[ ${lines[1]} == 0:0:88* ]]
  [[ ${lines[2]} == x* ]]

  make_user fritz 100000:65536
  try as_user fritz idmap -t -n all sh -c 'stat -c %u:%g "$(tty)"; echo x >/dev/tty' </dev/null
  [ "$status" -eq 0 ]
  [[ ${lines[0]} == 0:0* ]]

  # Without a new PID namespace, too; and it is not the one that we have.
  try script -qec 'tty; idmap -t tty' /dev/null </dev/null
  [ "$status" -eq 0 ]
  [ "${lines[0]}" != "${lines[1]}" ]
}

@test "the terminal is of PROG's mount namespace: it can be bound" {
  touch console
  try script -qec 'idmap -n all safemount -r . -o bind fd:0 console true' /dev/null </dev/null
  [ "$status" -ne 0 ] || skip "a descriptor of another mount namespace can be bound here"
  try script -qec 'idmap -t -n all safemount -r . -o bind fd:0 console stat -c %t console' /dev/null </dev/null
  [ "$status" -eq 0 ]
  [[ $output == *88* ]]
}

@test "idmap -t refuses a slave in /dev/pts that is not its own" {
  # Two devpts have a terminal 0 each: the shell's, unlocked by TIOCSPTLCK, is in
  # /dev/pts, and the other's multiplexer is /dev/ptmx.
  alone <<'END'
    mount -t tmpfs tmpfs /mnt
    mkdir /mnt/pts /mnt/other
    mount -t devpts -o newinstance,ptmxmode=666 devpts /mnt/pts
    mount -t devpts -o newinstance,ptmxmode=666 devpts /mnt/other
    ln -s other/ptmx /mnt/ptmx
    exec 7<>/mnt/pts/ptmx
    perl -e 'open F, "+<&=7"; $n = pack "i", 0; ioctl F, 0x40045431, $n or die $!'
    mount --rbind /mnt /dev
    exec idmap -t -n all -u 0:0:1 -g 0:0:1 touch ran
END
  [ "$status" -eq 125 ]
  [[ $output == *' is not the new terminal'* ]]
  [ ! -e ran ]
}

@test "a shell on the new terminal has job control, and its keys" {
  open_screen
  enter "idmap -t -n all env PS1='in: ' bash --norc --noprofile"
  sees '^in: '
  is_raw
  enter 'sleep 8001'
  wait_for pid_of sleep 8001
  screen send-keys C-z
  sees 'Stopped +sleep 8001'
  enter fg
  sees '^sleep 8001'
  screen send-keys C-c
  enter 'echo int $?'
  sees '^int 130'
  enter 'sleep 8002'
  wait_for pid_of sleep 8002
  screen send-keys 'C-\'
  enter 'echo quit $?'
  sees '^quit 131'
  enter 'cat; echo end of cat'
  enter 'a line'
  screen send-keys C-d
  sees '^end of cat'
  enter 'exit 5'
  sees '^out: $'
  enter 'echo ended $?'
  sees '^ended 5'
  is_as_before
}

@test "full-screen programs work on the new terminal, and see its size change" {
  open_screen
  enter "idmap -t -n all env PS1='in: ' bash --norc --noprofile"
  sees '^in: '
  enter 'stty size'
  sees '^24 80'
  enter 'seq 1000 | less'
  sees '^23'
  screen send-keys G
  sees '^1000'
  screen send-keys q
  sees '^in: $'
  enter "trap 'echo now \$(stty size)' WINCH; echo set''up"
  sees '^setup'
  screen resize-window -x 90 -y 30
  sees 'now 30 90'
  enter 'vi -u NONE'
  sees '^~'
  screen send-keys -l ':q!'
  screen send-keys Enter
  enter 'exit'
  wait_for is_as_before
}

@test "Ctrl-C and Ctrl-\\ end a PROG that is PID 1 and has no handler" {
  open_screen
  enter 'idmap -t -n all sleep 8011'
  wait_for pid_of sleep 8011
  wait_for is_raw
  screen send-keys C-c
  wait_for is_as_before
  enter 'echo first $?'
  sees '^first 130'
  enter 'idmap -t -n all sleep 8012'
  wait_for pid_of sleep 8012
  wait_for is_raw
  screen send-keys 'C-\'
  wait_for is_as_before
  enter 'echo second $?'
  sees '^second 131'
  enter 'idmap -t sleep 8013'
  wait_for pid_of sleep 8013
  wait_for is_raw
  screen send-keys C-c
  wait_for is_as_before
  enter 'echo third $?'
  sees '^third 130'
}

@test "Ctrl-Z stops PROG and us, and gives our terminal back until fg" {
  open_screen
  for names in all mnt; do
    enter "idmap -t -n $names sleep 8021"
    wait_for pid_of sleep 8021
    wait_for is_raw
    screen send-keys C-z
    sees "Stopped.* idmap -t -n $names"
    is_as_before
    [[ $(ps -o stat= -p "$(pid_of sleep 8021)") == T* ]]
    enter fg
    wait_for is_raw
    wait_for eval '[[ $(ps -o stat= -p "$(pid_of sleep 8021)") == S* ]]'
    screen send-keys C-c
    wait_for is_as_before
    enter 'echo '$names' ended $?'
    sees "$names ended 130"
  done
}

@test "our terminal is as it was after PROG is killed, or we are stopped and continued" {
  open_screen
  enter 'idmap -t -n all sleep 8031; echo ended $?'
  wait_for pid_of sleep 8031
  wait_for is_raw
  kill -9 "$(pid_of sleep 8031)"
  sees 'ended 137'
  is_as_before

  # Stopped by SIGSTOP we leave it raw, and so does dash. What we put back in
  # the end is what was there at first.
  enter 'idmap -t -n all sleep 8032'
  wait_for pid_of sleep 8032
  wait_for is_raw
  kill -STOP "$(pid_of idmap -t -n all sleep 8032)"
  sees 'Stopped'
  screen send-keys -l fg
  screen send-keys C-j
  wait_for eval '[[ $(ps -o stat= -p "$(pid_of idmap -t -n all sleep 8032)") == S* ]]'
  wait_for is_raw
  kill "$(pid_of idmap -t -n all sleep 8032)"
  wait_for is_as_before
}

@test "in the background idmap -t leaves our terminal alone, and has it after fg" {
  open_screen
  enter 'idmap -t -n all sh -c '\''echo ready; read x; echo "got ${x}ed"'\'' &'
  sees 'ready$'
  is_as_before
  enter 'echo out''side'
  sees '^outside'
  enter fg
  wait_for is_raw
  enter work
  sees '^got worked'
  wait_for is_as_before
}

@test "standard output that is no terminal stays what it is" {
  open_screen
  enter "idmap -t -n all sh -c 'test -t 0 && test -t 2 && echo one; echo two' >$PWD/file; echo ended \$?"
  sees '^ended 0'
  [ "$(od -c file)" = "$(printf 'one\ntwo\n' | od -c)" ]
}

@test "a pager at the end of the pipe gets its keys, and we leave our terminal to it" {
  mkfifo -m 666 go
  open_screen
  enter "idmap -t -n all sh -c 'seq 30; cat $PWD/go; seq 31 200' | less"
  sees '^20'
  screen send-keys j j
  sees '^25'
  echo >go
  screen send-keys G
  sees '^200'
  screen send-keys q
  sees '^out: '
  wait_for is_as_before

  enter 'idmap -t -n all sh -c "read x; echo got \$x" | cat'
  enter 'a line'
  sees '^got a line'
}

@test "standard input that is no terminal is typed, and its end is the key for that" {
  try idmap -t -n all sh -c 'test -t 0 && cat; echo end' <<<'a line'
  [ "$status" -eq 0 ]
  [ "${output//$'\r'/}" = $'a line\nend' ]
  try idmap -t -n all sh -c 'cat; echo end' < <(printf 'no line')
  [ "${output//$'\r'/}" = 'no lineend' ]
  try idmap -t -n all cat </dev/null
  [ "$status" -eq 0 ]
  [ -z "$output" ]
  try bash -c 'idmap -t -n all cat <&-'
  [ "$status" -eq 0 ]
  [ -z "$output" ]
}

@test "with standard input that is no terminal, Ctrl-C reaches the foreground inside" {
  open_screen
  enter "idmap -t -u root -g root bash -c 'sleep 8001; echo not this' </dev/null"
  wait_for pid_of sleep 8001
  screen send-keys C-c
  gone() {
    ! pgrep -x 'idmap|sleep'
  }
  wait_for gone
  ! shows '^not this' || fail 'only PROG got it'
}

@test "100 MB go through, each way, without loss or reorder" {
  head -c 100000000 /dev/urandom >big
  sum=$(sha256sum <big)

  [ "$(timeout 60 idmap -t -n all sh -c "stty raw; cat $PWD/big" </dev/null | sha256sum)" = "$sum" ]

  # On a terminal that is ours.
  printf 'stty raw -echo\ncat %s\n' "$PWD/big" >out
  [ "$(timeout 60 socat -u EXEC:"idmap -t -n all sh $PWD/out",pty,raw,setsid,ctty STDOUT | sha256sum)" = "$sum" ]

  # Keys are keys until PROG says that they are not: it is waited for.
  mkfifo -m 666 ready
  [ "$( (
    read -r _ <ready
    cat big
  ) | timeout 60 idmap -t -n all sh -c "stty raw -echo; echo >$PWD/ready; head -c 100000000" | sha256sum)" = "$sum" ]
}

@test "PROG ends when the pipe that it is shown in closes" {
  try bash -c 'idmap -t -n all yes </dev/null | head -n 1; exit "${PIPESTATUS[0]}"'
  [ "$status" -eq 141 ]

  # Also one that ignores the signal: its terminal is gone.
  try bash -c 'idmap -t -n all sh -c "trap \"\" PIPE HUP; yes; exit 3" </dev/null | head -n 1; exit "${PIPESTATUS[0]}"'
  [ "$status" -eq 3 ]
}

@test "a process that keeps the terminal open, or writes to it, does not keep us" {
  mkfifo -m 666 go
  try timeout 20 idmap -t sh -c '(trap "" HUP; echo >go; exec sleep 8041) 3>&- & read x <go; echo last words' </dev/null
  kill "$(pid_of sleep 8041)"
  [ "$status" -eq 0 ]
  [[ $output == *'last words'* ]]

  # One that writes faster than what we show is read.
  echo '(trap "" HUP; yes "$(seq 100)" & echo >go) 3>&- & read x <go; sleep 0.1; echo last words' >noise
  echo 'while (sysread STDIN, $bytes, 4096) { print $bytes; select undef, undef, undef, 0.01 }' >slow
  try bash -c 'timeout 20 idmap -t sh noise </dev/null | perl slow; exit "${PIPESTATUS[0]}"'
  pkill -x yes || true
  [ "$status" -eq 0 ]
  [[ $output == *'last words'* ]]
}

# CVE-2016-2779, CVE-2017-5226
@test "what PROG types into its terminal (TIOCSTI) is not typed into ours" {
  typist
  open_screen
  enter "idmap -t -n all perl $PWD/typist; echo first''end"
  sees '^firstend'
  target 'mount -t devpts -o newinstance,ptmxmode=666,mode=620 devpts /dev/pts'
  enter "seal nsjoin -t $pid perl $PWD/typist; echo second''end"
  sees '^secondend'
  enter "echo third''end"
  sees '^thirdend'
  if shows 'typed-42'; then
    fail "typed into ours"
  fi
  kill -9 "$pid"

  enter "idmap -n all perl $PWD/typist"
  wait_for shows 'typed-42' || skip "the direct control types nothing (dev.tty.legacy_tiocsti)"
}

@test "the line discipline (TIOCSETD) that PROG sets is its own terminal's" {
  echo '$n = pack "i", 27; ioctl STDIN, 0x5423, $n or die $!' >setter
  open_screen
  enter "idmap -t -n all perl $PWD/setter; echo ended \$?"
  sees '^ended 0'
  target 'mount -t devpts -o newinstance,ptmxmode=666,mode=620 devpts /dev/pts'
  enter "seal nsjoin -t $pid perl $PWD/setter; echo then \$?"
  sees '^then 0'
  [ "$(ldisc "$ours")" -eq 0 ]
  kill -9 "$pid"

  enter "idmap -n all perl $PWD/setter; sleep 8061"
  wait_for eval '[ "$(ldisc "$ours")" -eq 27 ]' || skip "the direct control sets nothing"
}

@test "TIOCLINUX of PROG reaches no virtual console of ours" {
  # TIOCL_GETSHIFTSTATE, the least of them: only a console knows it.
  echo '$a = "\6"; print ioctl(STDIN, 0x541c, $a) ? "console" : "none"' >ask
  if ! { [ -c /dev/tty1 ] && : <>/dev/tty1; } 2>/dev/null; then
    skip "there is no virtual console here"
  fi
  try setsid -c -w idmap -n all perl ask <>/dev/tty1
  [[ $output == *console* ]] || skip "the direct control reaches nothing"
  try setsid -c -w idmap -t -n all perl ask <>/dev/tty1
  [[ $output == *none* ]]
}

@test "nsjoin -t gives PROG a terminal of the target's own devpts, by its name there" {
  target 'mount -t devpts -o newinstance,ptmxmode=666,mode=620 devpts /dev/pts'
  try seal nsjoin -t "$pid" sh -c 'tty; stat -c %u:%g "$(tty)"; echo x >/dev/tty; ls -1 /dev/pts; exit 5' </dev/null
  [ "$status" -eq 5 ]
  [ "${output//$'\r'/}" = $'/dev/pts/0\n0:0\nx\n0\nptmx' ]

  try seal nsjoin -t "$pid" no-such-program </dev/null
  [ "$status" -eq 127 ]
  [[ $output == *'nsjoin: exec no-such-program: No such file'* ]]

  # However fast it ends.
  for ((i = 0; i < 100; i++)); do
    status=0
    timeout -k 1 10 seal nsjoin -t "$pid" false </dev/null || status=$?
    [ "$status" -eq 1 ]
  done
  try seal nsjoin -t "$pid" cat <<<'a line'
  [ "${output//$'\r'/}" = 'a line' ]
  kill -9 "$pid"
}

@test "nsjoin -t: who holds our terminal stays outside, and PROG has nothing of it" {
  target 'mount -t devpts -o newinstance,ptmxmode=666,mode=620 devpts /dev/pts'
  open_screen
  enter "seal nsjoin -t $pid sleep 8051"
  wait_for pid_of sleep 8051
  wait_for is_raw
  prog=$(pid_of sleep 8051)
  outside=$(ps -o ppid= -p "$prog")
  [ "$(readlink "/proc/${outside// /}/ns/mnt")" = "$(readlink /proc/self/ns/mnt)" ]
  [ "$(readlink "/proc/$prog/ns/mnt")" = "$(readlink "/proc/$pid/ns/mnt")" ]
  for fd in "/proc/$prog/fd"/*; do
    [ "$(stat -L -c %d:%i "$fd")" != "$(stat -c %d:%i "$ours")" ]
  done
  screen send-keys C-c
  wait_for is_as_before
  kill -9 "$pid"
}

# CVE-2019-14271 and its like: what is inside may be anything.
@test "nsjoin -t opens nothing that the target calls /dev/pts/ptmx and is not" {
  for trap in 'mkfifo /dev/pts/ptmx' 'ln -s /dev/ptmx /dev/pts/ptmx' 'echo >/dev/pts/ptmx' \
    'touch /dev/pts/ptmx && mount --bind /dev/null /dev/pts/ptmx' \
    'touch /dev/pts/ptmx && mount --bind /dev/ptmx /dev/pts/ptmx' 'mkdir /dev/pts/ptmx' : \
    'mount -t tmpfs tmpfs /mnt; mkdir /mnt/pts /mnt/dev; mount -t devpts devpts /mnt/pts; ln -s /mnt/pts /mnt/dev/pts; mount --rbind /mnt/dev /dev'; do
    target "mount -t tmpfs tmpfs /dev/pts; $trap"
    TRY_SECONDS=10 try seal nsjoin -t "$pid" touch "$PWD/ran" </dev/null
    kill -9 "$pid"
    [ "$status" -eq 125 ]
    [[ $output == *'/dev/pts/ptmx of the target'* ]]
    [ ! -e ran ]
    wait_for eval '! pid_of sleep 8100'
  done
}
