#!/usr/bin/env bats
# nsjoin: what stays outside a container, and what is refused.
# shellcheck disable=SC2154 # bats sets status and output
# shellcheck disable=SC2016 # other shells expand what is quoted
# shellcheck disable=SC2030,SC2031,SC2034,SC2317 # each test is a subshell

load helper
load containers

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
  done
  # Where nothing is closed, -k is a mistake.
  try nsjoin -k 3 "/proc/$inside/ns/uts" touch ran
  [ "$status" -eq 64 ]
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
  # 32 to 34 are libc's own: it does not change how they are handled.
  [ "$(tr -d ' \t' <<<"$output" | sed -E 's/^SigIgn:0000000[0-3][08]0000000$/SigIgn:0000000000000000/')" = "Umask:0022
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
    'root:x:0:0::/data' ':x:0:0::/data:/bin/sh' '::::::' "$(printf '%01020d' 0):x:0:0::/data:/bin/sh"; do
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
  strace -f -qq -o /dev/null -e inject=setsid:delay_enter=500000 seal ./nsjoin "$inside" /bin/true || true
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
  [ "$fds" -le 5 ] # standard error twice
  [[ $output == *socket:* && $output != *pipe:* ]]
}
