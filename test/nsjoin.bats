#!/usr/bin/env bats
# nsjoin: which namespaces a program enters, and as whom.
# shellcheck disable=SC2154 # bats sets status and output
# shellcheck disable=SC2016 # other shells expand what is quoted
# shellcheck disable=SC2030,SC2031,SC2034,SC2317 # each test is a subshell

load helper
load containers

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

@test "-n picks namespaces, and one that is ours already is no matter" {
  container "${all[@]}"
  try nsjoin -n uts,net "$inside" sh -c "$show"
  [ "$status" -eq 0 ]
  [ "$(grep -cxFf <(namespaces "$inside") <<<"$output")" -eq 2 ]
  try seal nsjoin -n all "$inside" sh -c "$show"
  [ "$status" -eq 0 ]
  [ "$output" = "$(namespaces "$inside")" ]

  container --uts --pid
  try seal nsjoin -n uts,net "$inside" sh -c "$show"
  [ "$status" -eq 0 ]
  [ "$(grep -cxFf <(namespaces self) <<<"$output")" -eq 7 ]
  try nsjoin -n net "$inside" touch ran
  [ "$status" -eq 125 ]
  for list in '' 'mnt,' ',mnt' mount pid_for_children; do
    try seal nsjoin -n "$list" "$inside" touch ran
    [ "$status" -eq 64 ]
  done
  try nsjoin -f "/proc/$inside/ns/uts" "$inside" touch ran
  [ "$status" -eq 64 ]
  [ ! -e ran ]
}

@test "-n user and -n pid without mnt keep our root and directory" {
  small_root root
  container --user --map-root-user --mount --pid
  background nsenter -U -m -p -t "$inside" chroot "$scratch/root" sleep 1000
  in_root() {
    pgrep -P "$pid" >/dev/null && [ "$(readlink "/proc/$(child_of "$pid")/root")" = "$scratch/root" ]
  }
  wait_for in_root
  target=$(child_of "$pid")
  for list in user pid user,pid; do
    try seal nsjoin -n "$list" "$target" bash -c 'pwd; stat -L -c %d:%i / /proc/self/ns/mnt; id -u'
    [ "$status" -eq 0 ]
    [ "$output" = "$scratch"$'\n'"$(stat -L -c %d:%i / /proc/self/ns/mnt)"$'\n0' ]
  done
  # The control: without -n, they are the target's.
  try seal nsjoin "$target" sh -c 'pwd; ls /'
  [[ $output == /$'\n'* && $output == *run* && $output != *home* ]]
  # A chroot in our own mount namespace, too.
  background unshare --pid --fork chroot "$scratch/root" sleep 1000
  wait_for in_root
  try seal nsjoin "$(child_of "$pid")" sh -c 'pwd; ls /'
  [[ $output == /$'\n'* && $output != *home* ]]
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
  try unshare --pid --fork nsjoin -x "$inside" touch ran
  [ "$status" -eq 125 ]
  try unshare --pid --fork nsjoin -x 1 touch ran
  [ "$status" -eq 125 ]
  alone "$inside" <<'END'
    for part in /proc/1 /proc/sys /proc/self; do
      unshare --mount sh -c 'mount --bind "$1" /proc; exec nsjoin -x "$2" readlink /proc/self/ns/uts' sh $part "$1"
    done
    mount -t tmpfs tmpfs /proc
    mkdir -p "/proc/$1/ns" /proc/self/ns /proc/self/fdinfo
    touch "/proc/$1/ns/"{cgroup,ipc,mnt,net,pid,time,user,uts}
    nsjoin -x "$1" readlink /proc/self/ns/uts
END
  [ "$status" -eq 0 ]
  [ "$(sort -u <<<"$output")" = "$(readlink "/proc/$inside/ns/uts")" ]
  [ "${#lines[@]}" -eq 4 ]
  alone "$inside" <<'END'
    # Its processes have other numbers there.
    unshare --pid --fork --uts sh -c 'hostname planted; mount -t proc proc /proc; exec sleep 30' &
    wait_for grep -qx sleep /proc/1/comm
    [ "$(nsenter -t 1 -u hostname)" = planted ] || exit 3
    nsjoin -x -n uts 1 hostname || echo "[$?]"
    kill %1
END
  [ "$status" -ne 3 ] || skip "the control did not fall"
  [ "$status" -eq 0 ]
  [[ $output == *"[125]" && $output != *planted* ]]

  # Where none can be mounted either, nothing is joined.
  alone "$inside" <<'END'
    mount -t tmpfs tmpfs /proc
    strace -f -qq -o /dev/null -e inject=fsopen:error=EPERM nsjoin -x "$1" touch ran
END
  [ "$status" -eq 125 ]
  [ ! -e ran ]
}

@test "a file of the target that something is mounted on is not read" {
  container "${all[@]}"
  sed 's/^NSpid:.*/NSpid:\t7/' "/proc/$inside/status" >status
  alone "$inside" <<'END'
    mount --bind status "/proc/$1/status"
    cat "/proc/$1/status" | grep -q $'^NSpid:\t7'
    nsjoin -x "$1" touch ran
END
  [ "$status" -eq 125 ]
  mkdir other
  alone "$inside" <<'END'
    mount --bind other "/proc/$1/ns"
    nsjoin -x "$1" touch ran
END
  [ "$status" -eq 125 ]

  # By the /proc/PID of another process, only a part would be joined.
  background unshare --uts sleep 1000
  wait_for sleeps "$pid"
  alone "$inside" "$pid" <<'END'
    mount --bind "/proc/$2" "/proc/$1"
    nsjoin -n uts,net "$1" touch ran
END
  [ "$status" -eq 125 ]
  [ ! -e ran ]
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

@test "nested user namespaces are joined from outside, and from the one between" {
  background unshare --user --map-root-user --mount --pid --fork --mount-proc bash -c '
    exec unshare --user --map-root-user --mount --uts sleep 1000'
  wait_for sleeps_below "$pid"
  inside=$(child_of "$pid")
  try seal nsjoin "$inside" sh -c 'id -u; readlink /proc/self/ns/user /proc/self/ns/mnt /proc/self/ns/uts'
  [ "$status" -eq 0 ]
  [ "$output" = "$(echo 0; readlink "/proc/$inside/ns/"{user,mnt,uts})" ]
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
  [[ $output == "nsjoin: clone "* && ! -e ran ]]
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
  for call in pidfd_open:1 openat:3 openat:5 readlinkat:2 readlinkat:8 readlinkat:16 setns:1; do
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
      case ${call%32} in
        setns | pidfd_open | prctl | keyctl | setgroups | setresuid | setresgid | chroot | fchdir | close_range | clone | openat | statx | ioctl | waitid | rt_sigtimedwait | rt_sigprocmask | capset)
          [ "$status" -ne 0 ] || [[ $call == setgroups && $error == EPERM ]] || fail "$call $error went unnoticed"
          ;;
      esac
    done
  done
}
