#!/usr/bin/env bats
# What a program inside can do to the terminal, the session and the processes of
# the caller: with each of descriptors 0-2 redirected in turn, nothing.
#
# The caller's terminal is one of tmux', with a dash on it.
#
# shellcheck disable=SC2154 # bats sets status and output
# shellcheck disable=SC2016 # what stands in single quotes is for another shell

load helper

setup() {
  cd "$BATS_TEST_TMPDIR" || return
  chmod 755 . "$BATS_RUN_TMPDIR"
  box=$PWD/box
  small_root "$box"
}

teardown() {
  pkill -9 -x -f 'sleep 6[0-9]*' || true
  screen kill-server 2>/dev/null || true
}

screen() {
  tmux -S "$BATS_TEST_TMPDIR/tmux${server-}" -f /dev/null "$@"
}

open_screen() {
  screen new-session -d -x 80 -y 24 "PS1='out: ' TERM=screen dash" 3>&-
  ours=$(screen display-message -p '#{pane_tty}')
  sees '^out: ' # before that, tmux has not made its own settings
  settings=$(stty -F "$ours" -g)
}

# anew: a screen with nothing on it.
anew() {
  screen kill-server 2>/dev/null || true
  server=$((${server-0} + 1))
  open_screen
}

# fresh_file NAME: empty, and for everybody to write.
fresh_file() {
  rm -f "$1"
  : >"$1"
  chmod 666 "$1"
}

enter() {
  screen send-keys -l "$1"
  screen send-keys Enter
}

shows() {
  screen capture-pane -p -J -S - | grep -qE -- "$1"
}

sees() {
  wait_for shows "$1" || {
    screen capture-pane -p
    return 1
  }
}

is_as_before() {
  [ "$(stty -F "$ours" -g)" = "$settings" ]
}

echoes() {
  stty -F "$ours" -a | grep -qE -- '[ ;]echo '
}

pid_of() {
  pgrep -x -f -- "$*"
}

# thief: types into each terminal that it has open, and into its controlling one;
# with FILE it then makes itself the foreground there, and writes to FILE what is
# typed next.
make_thief() {
  cat >thief <<'PERL'
use POSIX;
$SIG{TTOU} = $SIG{TTIN} = "IGNORE";
open TTY, "+<", "/dev/tty";
for $file (*STDIN, *STDOUT, *STDERR, *TTY) {
  ioctl $file, 0x5412, $_ for split //, "echo typed-\$((40 + 2))\n";
}
if ($ARGV[0]) {
  open OUT, ">", $ARGV[0];
  syswrite OUT, "ready\n";
  POSIX::tcsetpgrp(fileno TTY, getpgrp) if fileno TTY;
  alarm 5;
  sysread TTY, $keys, 100 if fileno TTY;
  syswrite OUT, "keys: $keys";
}
PERL
}

# a_container: the PID of contain, whose PID 1 sleeps, goes to $waiter.
a_container() {
  contain -H box / sleep 6100 </dev/null >/dev/null 2>&1 3>&- &
  waiter=$!
  wait_for pid_of sleep 6100
}

redirections=('</dev/null' '>/dev/null' '2>/dev/null' '</dev/null 2>/dev/null'
  '</dev/null >/dev/null' '>/dev/null 2>&1' '</dev/null >/dev/null 2>&1' '| cat' '2>&1 | cat')

# CVE-2016-2779, CVE-2017-5226
@test "TIOCSTI through any of 0-2 and /dev/tty types nothing into the caller's shell" {
  make_thief
  a_container
  open_screen
  # The control: it is the controlling terminal that is typed into.
  enter "unshare -pf perl $PWD/thief </dev/null >/dev/null 2>&1"
  wait_for shows 'typed-42' || skip 'the control types nothing (dev.tty.legacy_tiocsti)'
  anew

  n=0
  for redirection in "${redirections[@]}"; do
    for tool in 'contain /' "inject $waiter" "seal nsjoin -t $waiter"; do
      enter "$tool perl $PWD/thief $redirection; echo end''ed-$n"
      sees "^ended-$n"
      n=$((n + 1))
    done
  done
  enter "idmap -n pid,mnt perl $PWD/thief </dev/null >/dev/null 2>&1; echo end''ed-$n"
  sees "^ended-$n"
  enter "cat /dev/null | contain / perl $PWD/thief; echo end''ed-more"
  sees '^ended-more'
  enter "echo last''ly"
  sees '^lastly'
  ! shows 'typed-42' || fail 'typed into ours'
  [ "$n" -eq 27 ]
}

@test "no program inside becomes the foreground and reads what the caller types next" {
  make_thief
  a_container
  # steal TOOL...: what a thief in the background got.
  steal() {
    rm -f loot
    fresh_file loot
    anew
    enter "$* perl $PWD/thief $PWD/loot </dev/null >/dev/null 2>&1 &"
    wait_for grep -q ready loot
    sleep 0.3
    enter 'echo my secret'
    wait_for grep -q keys: loot
    grep -q secret loot
  }
  steal unshare -pf || skip 'the control gets nothing'
  ! steal contain / || fail contain
  ! steal inject "$waiter" || fail inject
  ! steal seal nsjoin "$waiter" || fail nsjoin
  ! steal idmap -n pid || fail idmap
}

@test "kill(0) from inside reaches neither the caller's script nor another container" {
  a_container
  other=$(pid_of sleep 6100)
  cat >script <<'SH'
contain -H two / sleep 6200 </dev/null >/dev/null 2>&1 &
until pgrep -x -f 'sleep 6200' >/dev/null; do sleep 0.1; done
trap '' TERM
"$@" sh -c 'kill -KILL 0' </dev/null >/dev/null 2>&1
echo survived
SH
  try setsid -w bash script unshare -pf
  [[ $output != *survived* ]] || skip 'the control survives'
  pkill -9 -x -f 'sleep 6200' || true

  for tool in 'contain /' 'idmap -n pid' 'idmap -n all -u root -g root' "inject $waiter" "seal nsjoin $waiter"; do
    # shellcheck disable=SC2086
    try setsid -w bash script $tool
    [[ $output == *survived* ]] || fail "$tool"
    pid_of sleep 6200
    kill -0 "$other"
    pkill -9 -x -f 'sleep 6200'
  done
}

@test "SIGCONT to the session from inside continues nothing of the caller's" {
  # Any process of a session may send SIGCONT to any other of it: kill(2).
  cat >script <<'SH'
sleep 6300 &
kill -STOP $!
"$@" perl -e 'kill CONT => 0' </dev/null >/dev/null 2>&1
sleep 0.2
grep State /proc/$!/status
kill -9 $!
SH
  try setsid -w bash script unshare -pf
  [[ $output == *S*sleeping* ]] || skip 'the control continues nothing'
  try setsid -w bash script contain /
  [[ $output == *T*stopped* ]]
  try setsid -w bash script idmap -n pid
  [[ $output == *T*stopped* ]]
}

@test "with a new PID namespace, a terminal that is handed over keeps the session, nothing else does" {
  # shellcheck disable=SC2016
  show='sed -n "s/^NSsid:.*\t//p" /proc/self/status'
  try script -qec "idmap -n pid,mnt sh -c 'mount -t proc proc /proc; $show'" /dev/null </dev/null
  [ "${output//$'\r'/}" = 0 ]
  try script -qec "idmap -n pid,mnt sh -c 'mount -t proc proc /proc; $show' </dev/null 2>&1 | cat" /dev/null </dev/null
  [ "${output//$'\r'/}" = 1 ]
  try idmap -n pid,mnt sh -c "mount -t proc proc /proc; $show" </dev/null
  [ "$output" = 1 ]
}

@test "what is a file or a pipe goes in as it is, and each terminal becomes the new one" {
  open_screen
  # The names of two terminals can be the same: they are told apart by device.
  cat >look.pl <<'PERL'
$ours = shift; open OUT, ">", shift;
for $fd (0, 1, 2) {
  open F, "<&=", $fd;
  ($dev, $ino) = stat F;
  print OUT "$fd:", ("$dev:$ino" eq $ours ? "ours" : -t F ? "new" : -p F ? "pipe" : "file"), " ";
}
PERL
  while read -r redirection expected; do
    id=$(stat -c %d:%i "$ours")
    fresh_file seen
    enter "contain / perl $PWD/look.pl $id $PWD/seen ${redirection//_/ }; echo end''ed"
    sees '^ended'
    [ "$(cat seen)" = "$expected " ] || fail "$redirection: $(cat seen), not $expected"
    anew
  done <<'TABLE'
: 0:new 1:new 2:new
</etc/passwd 0:file 1:new 2:new
>/dev/null 0:new 1:file 2:new
2>/dev/null 0:new 1:new 2:file
</etc/passwd_2>/dev/null 0:file 1:new 2:file
</etc/passwd_>/dev/null 0:file 1:file 2:new
>/dev/null_2>&1 0:new 1:file 2:file
|_cat 0:new 1:pipe 2:new
</etc/passwd_2>&1_|_cat 0:file 1:pipe 2:pipe
TABLE
}

@test "standard input that is a file arrives whole, and what comes back is not changed" {
  open_screen
  head -c 3000000 /dev/urandom >big
  sum=$(sha256sum <big)
  enter "contain / sha256sum <$PWD/big"
  sees "^${sum%% *}"
  enter "cat $PWD/big | contain / sh -c 'cat' | sha256sum; echo end''ed"
  sees '^ended'
  [ "$(screen capture-pane -p -J -S - | grep -c "^${sum%% *}")" -eq 2 ]
  is_as_before
}

@test "where keys are not relayed, nothing of ours is read, and /dev/tty is refused at once" {
  open_screen
  enter "contain / sh -c 'read x </dev/tty || echo no tty; echo got \$x' </dev/null"
  sees '^got *$'
  shows '^no tty'
  enter "contain / sh -c 'sleep 1; cat' </dev/null"
  enter "echo for the sh''ell"
  sees 'for the shell$'
  is_as_before
}

@test "lines go in while the caller's terminal is in line mode with echo, and end with ^D" {
  open_screen
  enter "contain / sh -c 'while read -r x; do echo \"got \$x\"; done; echo all' | cat"
  wait_for pgrep -x idmap
  enter 'one line'
  sees '^got one line'
  [ "$(screen capture-pane -p -J -S - | grep -c 'one line')" -eq 2 ] # ours echoes it, once
  enter 'another'
  sees '^got another'
  screen send-keys C-d
  sees '^all'
  sees '^out: $'
  is_as_before
}

@test "another program of the pipeline that asks for a password gets all of it" {
  cat >asks <<'PERL'
use POSIX;
open TTY, "+<", "/dev/tty" or die;
$t = POSIX::Termios->new; $t->getattr(fileno TTY);
$t->setlflag($t->getlflag & ~ECHO); $t->setattr(fileno TTY, TCSAFLUSH);
print STDERR "password: \n"; $word = <TTY>;
$t->setlflag($t->getlflag | ECHO); $t->setattr(fileno TTY, TCSAFLUSH);
chomp $word; print STDERR "it is <$word>\n"; print while <STDIN>;
PERL
  open_screen
  for i in 1 2 3 4 5; do
    enter "contain / sh -c 'sleep 2; echo done-$i' | perl $PWD/asks"
    sees "^password: "
    wait_for pgrep -x idmap
    sleep 0.3
    enter "long secret $i"
    sees "^it is <long secret $i>"
    sees "^done-$i"
    anew
  done
}

@test "a password that CMD asks for is not shown, and our echo is back after it" {
  open_screen
  enter "contain / sh -c 'stty -echo <&2; echo ready >&2; read x; stty echo <&2; echo \"got \$x\"; read y; echo \"and \$y\"' | cat"
  sees '^ready'
  wait_for eval '! echoes'
  enter 'hidden word'
  sees '^got hidden word'
  [ "$(screen capture-pane -p -J -S - | grep -c 'hidden word')" -eq 1 ]
  wait_for echoes
  enter 'seen word'
  sees '^and seen word'
  [ "$(screen capture-pane -p -J -S - | grep -c 'seen word')" -eq 2 ]
  wait_for is_as_before

  # Also if it ends without its own echo.
  enter "contain / sh -c 'stty -echo <&2; echo ready-2 >&2; sleep 6400' | cat"
  sees '^ready-2'
  wait_for eval '! echoes'
  kill -9 "$(pid_of sleep 6400)"
  wait_for is_as_before
}

@test "^] three times ends a program that ignores all else, reads nothing and writes without end" {
  cat >stubborn <<'PERL'
$SIG{$_} = "IGNORE" for qw(INT TERM HUP QUIT TSTP PIPE TTOU TTIN USR1);
system "stty raw -echo";
syswrite STDOUT, "stubborn\r\n";
if (@ARGV) { 1 while syswrite STDOUT, "x" x 100 . "\r\n" }
sleep 1 while 1;
PERL
  a_container
  open_screen
  for flood in '' flood; do
    for tool in 'contain /' "inject $waiter" 'idmap -t -n all'; do
      enter "$tool perl $PWD/stubborn $flood; echo end''ed"
      wait_for pgrep -f "^perl .*stubborn"
      sees '^(stubborn|x{50})' # it ignores signals by now
      # Two, and then a pause, are keys as others.
      screen send-keys C-c C-] C-]
      sleep 3
      screen send-keys C-]
      sleep 0.3
      pgrep -f '^perl .*stubborn'
      # With more than PROG's terminal holds, which it does not read.
      # It is keys of a hand that come, and are lost.
      screen send-keys C-] C-] C-]
      sees '^ended'
      wait_for is_as_before
      ! pgrep -f '^perl .*stubborn' || fail "$tool left it"
      anew
    done
  done
}

@test "^] three times ends it though more was typed than anybody reads" {
  open_screen
  enter "contain / sh -c 'stty raw -echo; echo ready; sleep 6500'; echo end''ed"
  sees ready
  for ((i = 0; i < 60; i++)); do
    screen send-keys -l "$(printf '%02000d' 0)"
  done
  sleep 1.5
  screen send-keys C-] C-] C-]
  sees '^ended'
  wait_for is_as_before
}

@test "where keys are not relayed, the second Ctrl-C ends a program that ignores the first" {
  a_container
  open_screen
  for tool in 'contain /' "inject $waiter"; do
    enter "$tool sh -c 'trap \"echo one\" INT; trap \"\" TERM; while :; do sleep 0.1; done' </dev/null"
    wait_for pgrep -f '^sh -c trap'
    sleep 0.5
    screen send-keys C-c
    sees 'one$'
    sleep 0.3
    pgrep -f '^sh -c trap'
    screen send-keys C-c
    sees '^out: $'
    ! pgrep -f '^sh -c trap' || fail 'still there'
    anew
  done
}

@test "a terminal that does not say that it is one is not handed in" {
  open_screen
  id=$(stat -c %d:%i "$ours")
  cat >fds <<'PERL'
open OUT, ">", $ARGV[0];
for $fd (0, 1, 2) { open F, "<&=", $fd; ($dev, $ino) = stat F; print OUT "$dev:$ino\n"; }
PERL
  # The control: without -t, it has ours.
  fresh_file has
  enter "idmap -n all perl $PWD/fds $PWD/has; echo end''ed"
  sees '^ended'
  grep -q "^$id$" has
  for error in EIO EPERM EACCES; do
    for n in 3 4 5; do
      fresh_file has
      enter "strace -qq -o /dev/null -e inject=ioctl:error=$error:when=$n idmap -t -n all perl $PWD/fds $PWD/has; echo end''ed-$error-$n"
      sees "^ended-$error-$n"
      ! grep -q "^$id$" has || fail "$error $n: ours"
    done
  done
}
