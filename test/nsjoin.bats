#!/usr/bin/env bats
# nsjoin: into the namespaces of a process, and what stays outside.
# shellcheck disable=SC2154 # bats sets status and output
# shellcheck disable=SC2016 # other shells expand what is quoted
# shellcheck disable=SC2030,SC2031,SC2317 # each test is a subshell

load helper

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

@test "all eight namespaces of a process are joined" {
  container "${all[@]}"
  try seal nsjoin "$inside" sh -c "$show"
  [ "$status" -eq 0 ]
  [ "$output" = "$(namespaces "$inside")" ]
}

@test "given the process that waits for a container, its child is joined" {
  container "${all[@]}"
  try seal nsjoin "$waiter" sh -c "$show"
  [ "$status" -eq 0 ]
  [ "$output" = "$(namespaces "$inside")" ]

  background idmap -n mnt,pid,uts sleep 1000
  wait_for sleeps_below "$pid"
  try seal nsjoin "$pid" readlink /proc/self/ns/uts
  [ "$output" = "$(readlink "/proc/$(child_of "$pid")/ns/uts")" ]
  [ "$output" != "$(readlink /proc/self/ns/uts)" ]

  # A child that waits for a container itself is none.
  background unshare --mount sh -c 'unshare --pid --fork sleep 1000 & sleep 1000'
  two() {
    [[ $(child_of "$pid" | wc -l) -eq 2 ]]
  }
  wait_for two
  try seal nsjoin "$pid" readlink /proc/self/ns/pid
  [ "$status" -eq 0 ]
  [ "$output" = "$(readlink /proc/self/ns/pid)" ]
}

@test "a pidfd is joined as fd:N, and so is a namespace file" {
  container "${all[@]}"
  gcc -o pidfd -x c - <<'END'
#include <stdlib.h>
#include <sys/syscall.h>
#include <unistd.h>
int main(int argc, char **argv) {
  (void)argc;
  dup2(syscall(SYS_pidfd_open, atoi(argv[1]), 0), 7);
  execvp(argv[2], argv + 2);
}
END
  try ./pidfd "$inside" seal nsjoin fd:7 sh -c "$show; ls /proc/self/fd"
  [ "$status" -eq 0 ]
  [[ $output == "$(namespaces "$inside")"* ]]
  [[ $output != *$'\n7'* ]]

  exec 8<"/proc/$inside/ns/uts"
  try nsjoin fd:8 readlink /proc/self/ns/uts
  exec 8<&-
  [ "$output" = "$(readlink "/proc/$inside/ns/uts")" ]
  try nsjoin "/proc/$inside/ns/uts" readlink /proc/self/ns/uts
  [ "$output" = "$(readlink "/proc/$inside/ns/uts")" ]

  for name in fd:0 fd:99 /etc/passwd fd:x fd:-1; do
    try nsjoin "$name" true
    [[ $status -eq 125 || $status -eq 64 ]]
  done
}

@test "-n picks namespaces, and -f adds files in whatever order they need" {
  container "${all[@]}"
  try nsjoin -n uts,net "$inside" sh -c "$show"
  [ "$status" -eq 0 ]
  [ "$(grep -cxFf <(namespaces "$inside") <<<"$output")" -eq 2 ]

  try seal nsjoin -f "/proc/$inside/ns/net" -f "/proc/$inside/ns/user" "/proc/$inside/ns/uts" sh -c "$show; id -u"
  [ "$status" -eq 0 ]
  [ "${lines[8]}" = 0 ]
  [ "$(grep -cxFf <(namespaces "$inside") <<<"$output")" -eq 3 ]

  # A file takes the place of what the process has.
  touch net
  unshare --net=net true
  try seal nsjoin -f ./net "$inside" readlink /proc/self/ns/net
  local inode
  inode=$(stat -L -c %i net)
  umount net
  [ "$status" -eq 0 ]
  [ "$output" = "net:[$inode]" ]

  try seal nsjoin -f "/proc/$inside/ns/net" "/proc/$inside/ns/net" true
  [ "$status" -eq 125 ]
  for list in '' all 'mnt,' ',mnt' mount pid_for_children; do
    try seal nsjoin -n "$list" "$inside" true
    [ "$status" -eq 64 ]
  done
}

@test "what is no PID of a process to join is refused" {
  container "${all[@]}"
  for word in 0 01 ' 1' '1 ' +1 1x 0x1 4294967297 18446744073709551617 self '' "-$inside"; do
    try nsjoin -x -- "$word" touch ran
    [ "$status" -eq 64 ]
  done
  try nsjoin -x -1 touch ran
  [ "$status" -eq 64 ]
  try nsjoin -x 2147483646 touch ran
  [ "$status" -eq 125 ]

  # Ourselves, and a process that is in all of our namespaces.
  try bash -c 'exec nsjoin -x $$ touch ran'
  [ "$status" -eq 125 ]
  background sleep 1000
  try nsjoin -x "$pid" touch ran
  [ "$status" -eq 125 ]

  # A zombie.
  background sh -c 'sleep 0.2 & exec sleep 1000'
  zombie() {
    grep -q '^State:.Z' "/proc/$(child_of "$pid")/status"
  }
  wait_for zombie
  try nsjoin -x "$(child_of "$pid")" touch ran
  [ "$status" -eq 125 ]

  # A process of somebody else.
  make_user nsj
  try as_user nsj nsjoin -x "$inside" touch /tmp/ran
  [ "$status" -eq 125 ]
  [[ ! -e ran && ! -e /tmp/ran ]]
}

@test "a /proc of another PID namespace, or a part of one, or none, names nobody else" {
  export -f wait_for fail
  container "${all[@]}"
  try unshare --pid --fork nsjoin -x "$inside" true
  [[ $status -eq 125 && $output == *"/proc is of another PID namespace" ]]
  try unshare --pid --fork nsjoin -x 1 true
  [[ $status -eq 125 && $output == *"/proc is of another PID namespace" ]]
  alone "$inside" <<'END'
    for part in /proc/1 /proc/sys /proc/self; do
      unshare --mount sh -c 'mount --bind "$1" /proc; exec nsjoin -x "$2" echo ran' sh $part "$1" || echo "[$?]"
    done
    # Its processes have other numbers there.
    unshare --pid --fork --uts sh -c 'hostname planted; mount -t proc proc /proc; exec sleep 30' &
    wait_for grep -qx sleep /proc/1/comm
    [ "$(nsenter -t 1 -u hostname)" = planted ] || exit 3
    nsjoin -x 1 -n uts hostname || echo "[$?]"
    kill %1
END
  [ "$status" -ne 3 ] || skip "the control did not fall"
  [ "$status" -eq 0 ]
  [ "$output" = 'nsjoin: a process needs a whole procfs: /proc is only a part of a procfs
[125]
nsjoin: a process needs a whole procfs: /proc is only a part of a procfs
[125]
nsjoin: a process needs a whole procfs: /proc is only a part of a procfs
[125]
nsjoin: a process needs a whole procfs: /proc is of another PID namespace
[125]' ]
  alone "$inside" <<'END'
    mount -t tmpfs tmpfs /proc
    mkdir -p "/proc/$1/ns" /proc/self/ns /proc/self/fdinfo
    touch "/proc/$1/ns/"{cgroup,ipc,mnt,net,pid,time,user,uts}
    nsjoin -x "$1" readlink /proc/self/ns/uts
END
  [ "$status" -eq 0 ]
  [ "$output" = "$(readlink "/proc/$inside/ns/uts")" ]
}

@test "nsjoin enters only as a sealed copy, whatever somebody says" {
  container "${all[@]}"
  try nsjoin "$inside" true
  [ "$status" -eq 125 ]
  [[ $output == *"seal nsjoin"* ]]
  try env _SEALED=1 SEALED=1 _LIBCONTAINER_CLONED_BINARY=1 nsjoin "$inside" true
  [ "$status" -eq 125 ]
  try bash -c 'exec -a /memfd:nsjoin nsjoin "$1" true' bash "$inside"
  [ "$status" -eq 125 ]
  for name in mnt user pid; do
    try nsjoin -n "$name" "$inside" true
    [ "$status" -eq 125 ]
  done
  try nsjoin -x "$inside" true
  [ "$status" -eq 0 ]
  try nsjoin -n net,uts,ipc,cgroup,time "$inside" true
  [ "$status" -eq 0 ]
}

@test "other namespaces alone leave environment, descriptors and directory as they are" {
  touch net
  unshare --net=net true
  exec 9</etc/hostname
  SECRET=x try nsjoin ./net bash -c 'echo $SECRET; pwd; readlink /proc/self/fd/9'
  exec 9<&-
  umount net
  [ "$status" -eq 0 ]
  [ "$output" = "x"$'\n'"$scratch"$'\n'/etc/hostname ]
  ip netns add nsj$$
  try nsjoin "/run/netns/nsj$$" ip -o link
  ip netns del nsj$$
  [ "$status" -eq 0 ]
  [ "${#lines[@]}" -ge 1 ]
  [[ $output != *eth0* ]]
}

# CVE-2016-9962, CVE-2024-21626
@test "no descriptor enters but 0, 1 and 2 and those of -k" {
  container --user --map-root-user --mount --pid
  exec 9</
  # The control: nsenter carries the host's root inside.
  try nsenter --all -t "$inside" readlink /proc/self/fd/9
  [ "$output" = / ]
  try seal nsjoin "$inside" ls /proc/self/fd
  [ "$output" = $'0\n1\n2\n3' ]
  try bash -c 'exec 900</; ulimit -n 64; seal nsjoin "$1" ls /proc/self/fd' bash "$inside"
  [ "$output" = $'0\n1\n2\n3' ]
  try seal nsjoin -k 9 "$inside" readlink /proc/self/fd/9
  [ "$output" = / ]
  try seal nsjoin -k 3,9-10 "$inside" readlink /proc/self/fd/9
  [ "$output" = / ]
  exec 9<&-
  for list in '' x 3- '3,' 5-3 -1; do
    try seal nsjoin -k "$list" "$inside" touch ran
    [ "$status" -eq 64 ]
    try nsjoin -k "$list" "/proc/$inside/ns/uts" touch ran
    [ "$status" -eq 64 ]
  done
  try bash -c 'seal nsjoin "$1" touch ran </' bash "$inside"
  [ "$status" -eq 125 ]
  [ ! -e ran ]
  try bash -c 'seal nsjoin "$1" true >&- 2>&- <&-' bash "$inside"
  [ "$status" -eq 0 ]
}

@test "the environment is a minimal one, the target's with -e, the caller's with -E" {
  export TARGET=theirs
  container --user --map-root-user --mount --pid
  unset TARGET
  export SECRET=ours LD_LIBRARY_PATH=/evil TERM=dumb
  try nsenter --all -t "$inside" env
  [[ $output == *SECRET=ours* ]]
  try seal nsjoin "$inside" cat /proc/self/environ
  [ -n "$output" ]
  try seal nsjoin "$inside" env
  # shellcheck disable=SC2001 # at each line
  [ "$(sed 's/=.*//' <<<"$output" | sort)" = $'HOME\nLOGNAME\nPATH\nSHELL\nTERM\nUSER' ]
  [[ $output == *HOME=/root* && $output == *TERM=dumb* ]]
  try seal nsjoin -e "$inside" env
  [[ $output == *TARGET=theirs* && $output != *SECRET* ]]
  try seal nsjoin -E "$inside" env
  [[ $output == *SECRET=ours* && $output == *LD_LIBRARY_PATH=/evil* ]]
  try seal nsjoin -e -E "$inside" env
  [ "$status" -eq 64 ]
  try env -i "$top/seal/seal" "$top/nsjoin/nsjoin" "$inside" /usr/bin/env
  [[ $output != *TERM* && $output == *USER=root* ]]
}

@test "without PROG a shell runs, the one of the container's passwd" {
  rooted
  printf '#!/bin/sh\necho "my shell, $HOME"\n' >"$root/bin/myshell"
  chmod +x "$root/bin/myshell"
  echo 'root:x:0:0::/tmp:/bin/myshell' >"$root/etc/passwd"
  try seal nsjoin "$inside"
  [ "$output" = "my shell, /tmp" ]
  rm "$root/etc/passwd"
  try bash -c 'echo "echo \$0 \$HOME \$USER" | seal nsjoin "$1"' bash "$inside"
  [ "$output" = "/bin/sh / root" ]
}

@test "groups, capabilities, signals, mask, umask and keys of the caller stay outside" {
  container --mount --pid --uts
  carry() {
    setpriv --groups 4,27 --inh-caps +chown,+kill --ambient-caps +chown \
      perl -MPOSIX -e '
        $SIG{INT} = $SIG{PIPE} = $SIG{CHLD} = "IGNORE";
        sigprocmask(SIG_BLOCK, POSIX::SigSet->new(SIGTERM, SIGUSR1));
        umask 0; exec @ARGV' "$@"
  }
  state() {
    grep -E '^(Groups|CapInh|CapAmb|SigBlk|SigIgn|Umask)'
  }
  # The control: with nsenter all of it goes in.
  try carry nsenter -m -u -p -t "$inside" grep -E '^(Groups|CapInh|CapAmb|SigBlk|SigIgn|Umask)' /proc/self/status
  [[ $output == *"4 27"* && $output == *000000000000021* && $output == *0000000000000001* ]]
  try carry seal nsjoin "$inside" grep -E '^(Groups|CapInh|CapAmb|SigBlk|SigIgn|Umask)' /proc/self/status
  [ "$status" -eq 0 ]
  [ "$(tr -d ' \t' <<<"$output")" = "Umask:0022
Groups:
SigBlk:0000000000000000
SigIgn:0000000000000000
CapInh:0000000000000000
CapAmb:0000000000000000" ]

  # A session keyring crosses every namespace.
  try keyctl session - bash -c '
    key=$(keyctl add user nsj$$ secret @s)
    nsenter -m -u -p -t "$1" keyctl print "$key" && echo fell
    seal nsjoin "$1" keyctl print "$key"' bash "$inside"
  [[ $output == *fell* ]] || skip "no keys here"
  [ "$status" -ne 0 ]
}

# The command would run as the host's root on files that a user's container made.
@test "a mount namespace below the user namespace of PROG is refused" {
  make_user nsj 100000:65536
  background as_user nsj unshare --user --map-root-user --mount --pid --fork sleep 1000
  wait_for sleeps_below "$pid"
  inside=$(child_of "$pid")
  try nsenter -m -t "$inside" id -u
  [ "$output" = 0 ]
  for list in mnt mnt,pid; do
    try seal nsjoin -n "$list" "$inside" touch ran
    [ "$status" -eq 125 ]
  done
  try seal nsjoin "/proc/$inside/ns/mnt" touch ran
  [ "$status" -eq 125 ]
  [ ! -e ran ]
  try seal nsjoin -n user,mnt "$inside" true
  [ "$status" -eq 0 ]

  # One that is owned from above is no danger.
  background unshare --mount unshare --user --map-root-user sleep 1000
  wait_for sleeps "$pid"
  try seal nsjoin "$pid" readlink /proc/self/ns/mnt
  [ "$output" = "$(readlink "/proc/$pid/ns/mnt")" ]
}

@test "root and directory are the target's, and the directory is never outside" {
  small_root root
  mkdir -p outer/sub
  container --mount --pid
  # A target in a chroot of its own.
  background nsenter -m -p -t "$inside" bash -c 'cd "$1/tmp" && exec chroot "$1" sleep 1000' bash "$scratch/root"
  wait_for sleeps_below "$pid" || wait_for sleeps "$pid"
  chrooted=$(child_of "$pid")
  try seal nsjoin "$chrooted" sh -c 'pwd; ls /'
  [ "$status" -eq 0 ]
  [[ $output != *vmlinuz* && $output == *busybox* || $output == *bin* ]]
  [ "$(stat -L -c %d:%i "/proc/$chrooted/root")" = "$(stat -c %d:%i root)" ]

  # CVE-2024-21626: a directory that is outside the root, or deleted.
  gcc -static -o escape -x c - <<'END'
#include <unistd.h>
int main(int argc, char **argv) {
  (void)argc;
  chdir(argv[2]);
  chroot(argv[1]);
  for (;;) pause();
}
END
  mkdir gone
  for dir in "$scratch/outer/sub" "$scratch/gone"; do
    background unshare --mount --pid --fork ./escape "$scratch/root" "$dir"
    in_root() {
      [ "$(readlink "/proc/$(child_of "$pid")/root")" = "$scratch/root" ]
    }
    wait_for in_root
    [ ! -d gone ] || [ "$dir" != "$scratch/gone" ] || rmdir gone
    try nsenter --all --wd -t "$(child_of "$pid")" ls
    echo "nsenter: $output"
    try seal nsjoin "$(child_of "$pid")" sh -c 'pwd; ls -d bin'
    [ "$status" -eq 0 ]
    [ "$output" = $'/\nbin' ]
    kill -9 "$(child_of "$pid")"
  done
}

# CVE-2019-14271 and its like: names inside are data.
@test "the container's passwd is data: a link, a FIFO, endless or lying" {
  rooted
  home() {
    try timeout -k 1 5 seal nsjoin "$inside" sh -c 'echo $HOME $USER $SHELL'
    [ "$status" -eq 0 ]
  }
  echo 'root:x:0:0::/data:/bin/sh' >"$root/etc/passwd"
  home
  [ "$output" = "/data root /bin/sh" ]
  printf 'root:x:0:0::/data:/bin/sh' >"$root/etc/passwd"
  home
  [ "$output" = "/data root /bin/sh" ]
  local plain="/ root /bin/sh" lie
  for lie in 'root:x:4294967296:0::/data:/bin/sh' 'root:x:00:0::/data:/bin/sh' 'root:x:-0:0::/data:/bin/sh' \
    'root:x:0:0::/data' ':x:0:0::/data:/bin/sh' '::::::' $'ro\eot:x:0:0::/data:/bin/sh'; do
    echo "$lie" >"$root/etc/passwd"
    home
    [ "$output" = "$plain" ]
  done
  echo 'root:x:0:0::data:sh' >"$root/etc/passwd"
  home
  [ "$output" = "$plain" ]
  { head -c 65536 /dev/zero | tr '\0' x && echo && echo 'root:x:0:0::/data:/bin/sh'; } >"$root/etc/passwd"
  home
  [ "$output" = "$plain" ]
  rm "$root/etc/passwd"
  home
  [ "$output" = "$plain" ]
  ln -s /proc/1/root/etc/other "$root/etc/passwd"
  echo 'root:x:0:0::/data:/bin/sh' >"$root/etc/other"
  home
  [ "$output" = "$plain" ]
  rm "$root/etc/passwd"
  mkfifo "$root/etc/passwd"
  home
  [ "$output" = "$plain" ]
  rm "$root/etc/passwd"
  mkdir "$root/etc/passwd"
  home
  [ "$output" = "$plain" ]
  rmdir "$root/etc/passwd"
  truncate -s 1G "$root/etc/passwd"
  home
  [ "$output" = "$plain" ]
  rm "$root/etc/passwd"
  mv "$root/etc" "$root/real"
  ln -s real "$root/etc"
  echo 'root:x:0:0::/data:/bin/sh' >"$root/real/passwd"
  home
  [ "$output" = "$plain" ]
  try refuse openat2 seal nsjoin "$inside" sh -c 'echo $HOME'
  [ "$output" = / ]
  rm "$root/etc"
  mv "$root/real" "$root/etc"
  try refuse openat2 seal nsjoin "$inside" sh -c 'echo $HOME'
  [ "$output" = /data ]
}

@test "-a takes on the target's cgroups, of version 1 and 2, for PROG alone" {
  local v2=/sys/fs/cgroup
  [[ -e $v2/cgroup.procs ]] || v2=$v2/unified
  [[ -e $v2/cgroup.procs ]] || skip "no cgroup2 is mounted"
  local groups=("$v2/nsj$$") v1 group
  for v1 in pids freezer systemd; do
    [[ ! -e /sys/fs/cgroup/$v1/cgroup.procs ]] || groups+=("/sys/fs/cgroup/$v1/nsj$$")
  done
  mkdir "${groups[@]}"
  container --mount --pid --cgroup
  for group in "${groups[@]}"; do
    echo "$inside" >"$group/cgroup.procs"
  done
  background seal nsjoin -a cgroup "$inside" sleep 1001
  wait_for sleeps_below "$pid"
  local theirs ours before
  theirs=$(cat "/proc/$(child_of "$pid")/cgroup")
  before=$(cat "/proc/$pid/cgroup")
  try cat "/proc/$inside/cgroup"
  kill "$pid"
  wait "$pid" || true
  ours=$(cat /proc/self/cgroup)
  kill -9 "$inside"
  wait "$waiter" || true
  wait_for rmdir "${groups[@]}"
  [ "$theirs" = "$output" ]
  [ "$(grep -c "nsj$$" <<<"$theirs")" -eq "${#groups[@]}" ]
  [ "$before" = "$ours" ]
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

# The kernel shows securebits to nobody: they are inferred.
@test "-a caps gives no capability to the root of a container whose root has none" {
  background unshare --mount --pid --uts --fork setpriv --securebits +noroot,+noroot_locked \
    --inh-caps -all setpriv --no-new-privs sleep 1000
  wait_for sleeps_below "$pid"
  inside=$(child_of "$pid")
  [[ $(grep CapPrm "/proc/$inside/status") == *0000000000000000 ]]
  try nsenter -m -u -p -t "$inside" cat /proc/self/status
  [[ $output != *CapPrm:?0000000000000000* ]]
  try seal nsjoin -a caps "$inside" setpriv --dump
  [[ $output == *noroot_locked* ]]
  try seal nsjoin -a caps "$inside" cat "/proc/self/status"
  [[ $output == *CapEff:?0000000000000000* && $output == *CapPrm:?0000000000000000* ]]
}

@test "a user enters the container that is the user's own, with the groups that it cannot drop" {
  make_user nsj 100000:65536
  for how in "idmap -n all sleep 1000" "unshare --user --map-root-user --mount --pid --fork sleep 1000"; do
    # shellcheck disable=SC2086 # words
    background as_user nsj $how
    wait_for sleeps_below "$pid"
    inside=$(child_of "$pid")
    # The control: to join what one is in and does not own is refused.
    if [[ $how == unshare* ]]; then
      try as_user nsj nsenter --all -t "$inside" id -u
      [ "$status" -ne 0 ]
    fi
    for target in "$inside" "$pid"; do
      try as_user nsj seal nsjoin "$target" sh -c "id -u; id -g; $show"
      [ "$status" -eq 0 ]
      [ "${lines[0]}${lines[1]}" = 00 ]
      [ "$(readlink "/proc/$inside/ns/mnt")" = "${lines[4]}" ] || [[ $output == *"$(readlink "/proc/$inside/ns/user")"* ]]
    done
    # Root of the host enters as root of the container.
    try seal nsjoin "$inside" sh -c 'id -u; cat /proc/self/uid_map'
    [ "${lines[0]}" = 0 ]
    kill -9 "$inside"
  done
}

@test "groups stay only where the caller owns the namespace that denies setgroups" {
  make_user nsj
  groupadd -f nsjextra
  usermod -aG nsjextra nsj
  install -m 640 -g nsjextra /dev/null secret
  chmod 755 "$scratch"
  background as_user nsj unshare --user --map-root-user --mount sleep 1000
  wait_for sleeps "$pid"
  try as_user nsj seal nsjoin "$pid" id -G
  [ "$status" -eq 0 ]
  [[ $output == *65534* ]]
  # One who does not own it, and cannot drop its groups either.
  try setpriv --groups "$(getent group nsjextra | cut -d: -f3)" --bounding-set -setgid \
    seal nsjoin "$pid" true
  [ "$status" -eq 125 ]
  [[ $output == *setgroups* ]]
  # Root drops them before.
  try setpriv --groups 4,27 seal nsjoin "$pid" id -G
  [ "$output" = 0 ]
}

@test "uid and gid are 0 if mapped, otherwise the target's, or those of -u and -g" {
  background unshare --user sleep 1000
  wait_for sleeps "$pid"
  echo 1000 5000 10 >"/proc/$pid/uid_map"
  echo 100 6000 10 >"/proc/$pid/gid_map"
  background nsenter --user --setuid 1003 --setgid 105 -t "$pid" sleep 1000
  wait_for sleeps "$pid"
  try seal nsjoin "$pid" sh -c 'id -u; id -g; id -G'
  [ "$output" = $'1003\n105\n105' ]
  try seal nsjoin -u 1001 -g 101 "$pid" sh -c 'id -u; id -g'
  [ "$output" = $'1001\n101' ]
  try seal nsjoin -u 0 "$pid" touch ran
  [ "$status" -eq 125 ]
  try seal nsjoin -u 1500 "$pid" touch ran
  [ "$status" -eq 125 ]
  for id in -1 4294967295 4294967296 01 root '' ' 1' 1x; do
    try seal nsjoin -u "$id" "$pid" touch ran
    [ "$status" -eq 64 ]
    try seal nsjoin -g "$id" "$pid" touch ran
    [ "$status" -eq 64 ]
  done
  # By file alone there is no process to take them from.
  try seal nsjoin "/proc/$pid/ns/user" touch ran
  [ "$status" -eq 125 ]
  [ ! -e ran ]
  container --mount --pid
  try seal nsjoin -u 7 -g 8 "$inside" sh -c 'id -u; id -g; id -G; grep CapEff /proc/self/status'
  [[ $output == $'7\n8\n8\n'*0000000000000000 ]]
}

@test "nested user namespaces are joined from outside, and from the one between" {
  background unshare --user --map-root-user --mount --pid --fork --mount-proc bash -c '
    exec unshare --user --map-root-user --mount --uts sleep 1000'
  wait_for sleeps_below "$pid"
  inside=$(child_of "$pid")
  try seal nsjoin "$inside" sh -c 'id -u; readlink /proc/self/ns/user /proc/self/ns/mnt /proc/self/ns/uts'
  [ "$status" -eq 0 ]
  [ "$output" = "$(echo 0; readlink "/proc/$inside/ns/"{user,mnt,uts})" ]
}

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
  for call in setns fchdir setresuid close_range ppoll execve; do
    rm -f ran
    background strace -f -qq -o /dev/null -e "inject=$call:delay_enter=300000" -- \
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

@test "a join of eight namespaces is at most 90 system calls, none of them twice" {
  container "${all[@]}"
  local target
  for target in "$inside" "$waiter"; do
    try strace -f -qq -o calls nsjoin -x "$target" /bin/true
    [ "$status" -eq 0 ]
    grep -E '^[0-9]+ +[a-z_0-9]+\(' calls | grep -v exit_group |
      sed -n '/ppoll.*fd=2/,/execve/p' | sed 's/^[0-9]* *//; s/ = .*//; s/ <unfinished.*//' | sed '$d' >own
    wc -l own
    [ "$(wc -l <own)" -le 90 ]
    [ "$(wc -l <own)" -gt 40 ]
    # How often it waits depends on what ends first.
    [ -z "$(grep -vE '^(ppoll|waitid|read|close)\(' own | sort | uniq -d)" ]
  done
}

# containerd's cgroups have colons in their names, and /kube may be there, too.
@test "-a cgroup joins the cgroup whose name has a colon, or is longer than a line may be, or none" {
  container --pid --mount
  local name
  for name in '/kube:cri:8b2c' "/$(head -c 4093 /dev/zero | tr '\0' x)"; do
    alone "$inside" "0::$name" <<'END'
      echo "$2" >cg
      mount --bind cg "/proc/$1/cgroup"
      seal nsjoin -v -a cgroup "$1" echo RAN
END
    [[ $status -eq 125 && $output != *$'\n'RAN* ]]
    [[ ${#name} -gt 99 || $output == *'"./kube:cri:8b2c/cgroup.procs"'* ]]
  done
}

# CVE-2019-5736: a container with the host's root keeps /proc/PID/exe of what
# enters open, and writes to it when that has ended.
@test "those inside cannot write to the program that enters" {
  rooted
  gcc -static -o "$root/bin/hunter" -x c - <<'END'
#define _GNU_SOURCE
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>
int main(int argc, char **argv) {
  char path[64];
  int fd = -1;
  (void)argc;
  alarm(30);
  while (fd < 0)
    for (int pid = 3; pid < 300 && fd < 0; pid++) {
      char name[256] = "";
      sprintf(path, "/proc/%d/exe", pid);
      if (pid != getpid() && readlink(path, name, 255) > 0 &&
          strstr(name, argv[1]))
        fd = open(path, O_RDONLY);
    }
  sprintf(path, "/proc/self/fd/%d", fd);
  puts("held");
  fflush(stdout);
  for (int i = 0; i < 200; i++) {
    int out = open(path, O_WRONLY);
    if (out >= 0 && write(out, "#!owned\n", 8) == 8) {
      puts("fell");
      return 0;
    }
    usleep(20000);
  }
  puts("stood");
}
END
  # PROG is the program that entered: #!/proc/self/exe.
  printf '#!/proc/self/exe\n' >"$root/bin/bait"
  chmod +x "$root/bin/bait"

  # The control.
  gcc -static -o victim -x c - <<'END'
#define _GNU_SOURCE
#include <fcntl.h>
#include <sched.h>
#include <stdio.h>
#include <sys/wait.h>
#include <unistd.h>
int main(int argc, char **argv) {
  char *const words[] = {argv[2], NULL};
  char path[64];
  if (argc < 3)
    return sleep(1);
  for (int i = 0; i < 2; i++) {
    sprintf(path, "/proc/%s/ns/%s", argv[1], i ? "mnt" : "pid");
    int fd = open(path, O_RDONLY);
    if (setns(fd, 0))
      return 9;
    if (i == 1)
      break;
  }
  if (fork() == 0) {
    sleep(1);
    execv(words[0], words);
  }
  wait(NULL);
}
END
  background nsenter -m -p -t "$inside" /bin/hunter victim
  hunter=$pid
  ./victim "$inside" /bin/true || true
  wait "$hunter" || true
  grep -q fell log || skip "the control did not fall: $(cat log)"
  [ "$(head -c 7 victim)" = '#!owned' ]

  cp "$top/nsjoin/nsjoin" .
  sum=$(cksum <nsjoin)
  : >log
  background nsenter -m -p -t "$inside" /bin/hunter nsjoin
  hunter=$pid
  # Held in its last call before exec.
  strace -f -qq -o /dev/null -e inject=ppoll:delay_enter=500000 seal ./nsjoin "$inside" /bin/true || true
  timeout 5 seal ./nsjoin "$inside" /bin/bait || true
  wait "$hunter" || true
  cat log
  grep -q stood log
  [ "$sum" = "$(cksum <nsjoin)" ]
}

# The joiner is held between its birth in the container and exec.
@test "whoever looks at the joiner from inside sees a memfd, 0-2, a socket and no environment" {
  container --mount --pid
  exec 9</
  export SECRET=ours
  look() {
    nsenter -m -p -t "$inside" sh -c '
      for p in /proc/[0-9]*; do
        if [ "$(tr "\0" " " <$p/cmdline | cut -d" " -f1)" = "$1" ]; then
          readlink $p/exe; ls -l $p/fd | sed "s/.* \([0-9]* -> .*\)/\1/"; tr -d "\0" <$p/environ; echo "root $(readlink $p/root)"
          exit
        fi
      done; exit 1' sh "$1"
  }
  # The control: nsenter shows all of it.
  background strace -f -qq -o /dev/null -e 'inject=execve:delay_enter=2000000:when=2' nsenter -m -p -t "$inside" true
  wait_for look nsenter
  run look nsenter
  [[ $output == *SECRET=ours* && $output == *"9 -> /"* && $output == */nsenter* ]]

  background strace -f -qq -o /dev/null -e 'inject=execve:delay_enter=2000000:when=2' seal nsjoin "$inside" true
  wait_for look nsjoin
  run look nsjoin
  echo "$output"
  exec 9<&-
  [[ $output == *"/memfd:nsjoin"* ]]
  [[ $output != *SECRET* && $output != *"-> /proc"* && $output != *"9 -> "* && $output != *pidfd* ]]
  local fds
  fds=$(grep -cE '^[0-9]+ -> ' <<<"$output")
  [ "$fds" -le 4 ]
  [[ $output == *socket:* && $output != *pipe:* ]]
}

# What is joined is one process, whatever happens to its number.
@test "a PID that is recycled during the join is the old process or an error" {
  [[ -w /proc/sys/kernel/ns_last_pid ]] || skip "no ns_last_pid"
  # recycle PID OPTION...: a new container with that very PID.
  cat >recycle <<'END'
old=$1
shift
kill -9 "$old"
while [[ -e /proc/$old ]]; do sleep 0.01; done
for ((i = 0; i < 200; i++)); do
  echo $((old - 1)) >/proc/sys/kernel/ns_last_pid
  unshare "$@" sleep 1000 3>&- >/dev/null 2>&1 &
  if [[ $! -eq $old ]]; then
    while [[ ! $(readlink "/proc/$old/exe") == *sleep ]]; do sleep 0.01; done
    echo recycled
    exit
  fi
  kill -9 $!
done
END
  join() {
    unshare --uts --net --ipc sleep 1000 3>&- >/dev/null 2>&1 &
    target=$!
    wait_for sleeps "$target"
    old=$(namespaces "$target")
    strace -qq -f -o trace -e "inject=$1:delay_enter=1500000:when=$2" "${@:3}" "$target" \
      sh -c "$show" >joined 2>&1 3>&- &
    tracer=$!
    grown() {
      [ -s trace ] && grep -q "$1" trace
    }
    sleep 0.7
    disown "$target"
    bash recycle "$target" --uts --net --ipc >recycled
    wait "$tracer" || true
    new=$(namespaces "$target")
    kill -9 "$target" || true
    grep -q recycled recycled
  }
  mixed() {
    local theirs
    theirs=$(grep -E '^(uts|net|ipc)' joined | sort)
    [ -n "$theirs" ] &&
      [ "$theirs" != "$(grep -E '^(uts|net|ipc)' <<<"$old" | sort)" ] &&
      [ "$theirs" != "$(grep -E '^(uts|net|ipc)' <<<"$new" | sort)" ]
  }
  # The control opens the namespaces one by one.
  gcc -o naive -x c - <<'END'
#define _GNU_SOURCE
#include <fcntl.h>
#include <sched.h>
#include <stdio.h>
#include <unistd.h>
int main(int argc, char **argv) {
  const char *names[] = {"uts", "net", "ipc"};
  char path[64];
  (void)argc;
  for (int i = 0; i < 3; i++) {
    sprintf(path, "/proc/%s/ns/%s", argv[1], names[i]);
    int fd = open(path, O_RDONLY);
    if (fd < 0 || setns(fd, 0))
      return 9;
  }
  execvp(argv[2], argv + 2);
}
END
  join setns 2 ./naive
  mixed || skip "the control did not fall: $(cat joined)"
  local call seen=0
  for call in pidfd_open:1 openat:2 openat:3 openat:5 statx:2 statx:7 setns:1; do
    join "${call%:*}" "${call#*:}" nsjoin -n uts,net,ipc
    ! mixed || fail "$call: half of each"
    seen=$((seen + 1))
  done
  [ "$seen" -eq 7 ]
}

@test "a system call that is refused is an error, or done in another way, and PROG never runs half joined" {
  container "${all[@]}"
  local call error expected
  expected=$(namespaces "$inside"; echo 0)
  try strace -f -qq -o calls seal nsjoin "$waiter" true
  local calls
  calls=$(grep -oE '^[0-9]+ +[a-z_0-9]+\(' calls | grep -oE '[a-z_0-9]+\(' | tr -d '(' | sort -u |
    grep -vxE 'execve|exit_group|arch_prctl|set_tid_address|brk|mmap|munmap|mprotect|prlimit64|access|newfstatat|rseq|set_robust_list|write|getrandom|gete?[ug]id')
  for call in $calls; do
    for error in ENOSYS EPERM ENOMEM; do
      # Only nsjoin's own calls: PROG is static and told apart by its output.
      run timeout -k 1 10 strace -f -qq -o /dev/null -e "inject=$call:error=$error" \
        nsjoin -x "$waiter" /bin/busybox sh -c "for n in cgroup ipc mnt net pid time user uts; do busybox readlink /proc/self/ns/\$n; done; busybox id -u"
      if [ "$status" -eq 0 ] && [ -n "$output" ]; then
        [ "$output" = "$expected" ] || [[ $call =~ ^(getpid|wait|readlink) ]] || fail "$call $error: $output"
      fi
      [ "$status" -ne 0 ] || echo "$call $error: another way"
      case $call in
        setns | pidfd_open | prctl | keyctl | setgroups | setresuid | setresgid | chroot | fchdir | close_range | clone | openat | statx | ioctl | fstatfs | pipe2 | waitid | signalfd4 | rt_sigprocmask | capset)
          [ "$status" -ne 0 ] || [[ $call == setgroups && $error == EPERM ]] || fail "$call $error went unnoticed"
          ;;
      esac
    done
  done
}

@test "a time namespace is joined without a child, a PID namespace without its PID 1 is an error" {
  container "${all[@]}"
  try nsjoin -n time "$inside" readlink /proc/self/ns/time /proc/self/ns/time_for_children
  [ "$status" -eq 0 ]
  [ "${lines[0]}" = "$(readlink "/proc/$inside/ns/time")" ]
  [ "${lines[1]}" = "${lines[0]}" ]
  touch dead
  unshare --pid=dead --fork true
  try nsjoin -x ./dead touch ran
  umount dead
  [ "$status" -eq 125 ]
  [[ $output == *"PID 1"* && ! -e ran ]]
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
