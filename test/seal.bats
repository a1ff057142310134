#!/usr/bin/env bats
# seal: the copy that runs, and what is refused.
# shellcheck disable=SC2154 # bats sets status and output
# shellcheck disable=SC2016 # other shells expand what is quoted
# shellcheck disable=SC2030,SC2031 # each test is a subshell

load helper

setup() {
  scratch=$BATS_TEST_TMPDIR
  cd "$scratch" || return
}

teardown() {
  rm -rf -- "${open:-$scratch/none}"
}

# public: makes $open, a directory that other users reach.
public() {
  open=$(mktemp -d)
  chmod 755 "$open"
}

# compile NAME [OPTION]...: C on standard input.
compile() {
  gcc -o "$1" "${@:2}" -x c -
}

# A program that says what it is: its seals, and whether it can be written to.
probe() {
  compile probe -static <<'END'
#define _GNU_SOURCE
#include <fcntl.h>
#include <stdio.h>
#include <unistd.h>
int main(int argc, char **argv) {
  char name[300] = "";
  int fd = open("/proc/self/exe", O_RDONLY);
  readlink("/proc/self/exe", name, 299);
  printf("%s %#x\n", name, fcntl(fd, F_GET_SEALS) & 0xf);
  int out = open("/proc/self/exe", O_WRONLY);
  printf("%s\n", out >= 0 && write(out, "x", 1) == 1 ? "written" : "kept");
  for (int i = 0; i < argc; i++)
    printf("[%s]\n", argv[i]);
}
END
}

@test "what runs is a sealed copy, with its words, and nobody can write to it" {
  probe
  try ./probe
  [[ $output == *"$scratch/probe"* ]]
  try seal ./probe 'a b' '' c
  [ "$status" -eq 0 ]
  [ "$output" = $'/memfd:probe (deleted) 0xf\nkept\n[./probe]\n[a b]\n[]\n[c]' ]
  try seal -a other ./probe
  [[ $output == *"[other]" ]]
  try seal -a '' ./probe
  [[ $output == *"[]" ]]
}

# CVE-2019-5736
@test "a program that is held open through /proc/PID/exe is not replaced" {
  compile victim -static <<'END'
#include <unistd.h>
int main(void) { return sleep(1); }
END
  cp victim control
  attack() {
    "$@" 3>&- &
    local pid=$!
    wait_for grep -q "$name" "/proc/$pid/comm"
    exec 8<"/proc/$pid/exe"
    wait "$pid" || true
    printf 'owned' >"/proc/self/fd/8" || true
    exec 8<&-
  }
  name=control
  attack ./control
  [ "$(head -c 5 control)" = owned ] || skip "the control did not fall"
  name=victim
  sum=$(cksum <victim)
  attack seal ./victim
  [ "$sum" = "$(cksum <victim)" ]
}

@test "static, dynamic and large programs, long names, and read-only and overlay file systems" {
  probe
  try seal /bin/busybox echo static
  [ "$output" = static ]
  try seal /bin/bash -c 'echo dynamic'
  [ "$output" = dynamic ]
  cp probe big
  truncate -s 100M big
  try seal ./big
  [ "$status" -eq 0 ]
  long=$(printf 'n%.0s' {1..255})
  cp probe "$long"
  try seal "./$long"
  [ "$status" -eq 0 ]
  dir=.
  while ((${#dir} < 3700)); do
    dir+=/$(printf 'd%.0s' {1..200})
    mkdir -p "$dir"
  done
  cp probe "$dir/$long"
  try seal "$dir/$long"
  [ "$status" -eq 0 ]
  try seal "$(printf 'x%.0s' {1..5000})"
  [[ $status -eq 126 || $status -eq 127 ]]
  cp probe $'new\nline'
  try seal $'./new\nline'
  [ "$status" -eq 0 ]
  alone <<'END'
    mkdir tmp low up work over
    mount -t tmpfs tmpfs tmp
    cp probe tmp
    cp probe low
    seal tmp/probe
    mount -o remount,ro tmp
    seal tmp/probe
    mount -t overlay -o lowerdir=low,upperdir=up,workdir=work overlay over
    seal over/probe
END
  [ "$status" -eq 0 ]
  [ "$(grep -c kept <<<"$output")" -eq 3 ]
}

@test "no /proc is needed, and no rights" {
  probe
  alone <<'END'
    umount -l /proc
    seal ./probe
END
  [[ $output == *kept* ]]
  make_user sealer
  public
  cp probe "$open"
  try as_user sealer seal "$open/probe"
  [[ $output == *"0xf"*kept* ]]
  # A false /proc does not divert it; a path there would have been followed.
  printf '#!/bin/sh\necho fell\n' >false
  chmod +x false
  alone <<'END'
    mount -t tmpfs tmpfs /proc
    mkdir -p /proc/self/fd
    for ((fd = 0; fd < 64; fd++)); do ln -s "$PWD/false" "/proc/self/fd/$fd"; done
    [ "$(/proc/self/fd/5)" = fell ]
    seal ./probe
END
  [ "$status" -eq 0 ]
  [[ $output == *kept* && $output != *fell* ]]
}

@test "PROG is found as execvp finds it" {
  probe
  mkdir a b c
  cp probe a/thing
  chmod 644 a/thing
  cp probe b/thing
  mkdir c/thing
  export old=$PATH
  try env PATH="c:a:nowhere:b:$old" seal thing
  [ "$status" -eq 0 ]
  try env PATH="a:c" "$top/seal/seal" thing
  [ "$status" -eq 126 ]
  try env PATH="nowhere" "$top/seal/seal" thing
  [ "$status" -eq 127 ]
  cp probe thing
  try env PATH="nowhere::b" "$top/seal/seal" thing
  [ "$status" -eq 0 ]
  try env PATH= "$top/seal/seal" thing
  [ "$status" -eq 0 ]
  try env -u PATH "$top/seal/seal" busybox true
  [ "$status" -eq 0 ]
  try seal ./nothing
  [ "$status" -eq 127 ]
  try seal ''
  [ "$status" -eq 127 ]
  for file in ./a/thing ./a ./probe/x /dev/null; do
    try seal "$file"
    [[ $status -eq 126 || ($file == ./probe/x && $status -eq 126) ]]
  done
  mkfifo fifo
  chmod +x fifo
  try timeout -k 1 5 seal ./fifo
  [ "$status" -eq 126 ]
  # No shell stands behind it.
  : >empty
  echo 'touch ran' >text
  chmod +x empty text
  try seal ./empty
  [ "$status" -eq 126 ]
  try seal ./text
  [ "$status" -eq 126 ]
  [ ! -e ran ]
  # What may be run but not read cannot be copied.
  make_user sealer
  public
  cp probe "$open"
  chmod 711 "$open/probe"
  try as_user sealer "$open/probe"
  [ "$status" -eq 0 ]
  try as_user sealer seal "$open/probe"
  [ "$status" -eq 126 ]
}

@test "environment, descriptors, signals, directory and status pass through" {
  exec 9</etc/hostname
  try env A=b seal bash -c 'echo $A; readlink /proc/self/fd/9; pwd; ls /proc/self/fd | wc -l; exit 7'
  seven=$output
  try env A=b bash -c 'echo $A; readlink /proc/self/fd/9; pwd; ls /proc/self/fd | wc -l; exit 7'
  exec 9<&-
  [ "$status" -eq 7 ]
  [ "$output" = "$seven" ]
  try seal sh -c 'kill -TERM $$'
  [ "$status" -eq 143 ]
  try bash -c 'trap "" INT; exec seal grep SigIgn /proc/self/status'
  sealed=$output
  try bash -c 'trap "" INT; exec grep SigIgn /proc/self/status'
  [ "$output" = "$sealed" ]
}

@test "a script is refused, with the line that works instead" {
  printf '#! /bin/sh -e\necho ran $1\n' >script
  chmod +x script
  try seal ./script word
  [ "$status" -eq 126 ]
  [[ $output == *"seal /bin/sh -e ./script"* ]]
  try seal /bin/sh -e ./script word
  [ "$output" = "ran word" ]
  # env(1) would execute what PATH has, as it is.
  printf '#!/usr/bin/env bash\nreadlink /proc/$$/exe\n' >script
  try seal ./script
  [[ $output == *"seal bash ./script"* ]]
  try seal bash ./script
  [ "$output" = '/memfd:bash (deleted)' ]
  printf '#!/proc/self/exe\n' >script
  try seal ./script
  [ "$status" -eq 126 ]
  printf '#!' >script
  try seal ./script
  [ "$status" -eq 126 ]
}

@test "what would lose its rights in a copy is refused" {
  probe
  for mode in 4755 2755 6755; do
    cp probe special
    chmod "$mode" special
    try seal ./special
    [ "$status" -eq 126 ]
    [[ $output == *"setuid or setgid"* ]]
  done
  chmod 2745 special # mandatory locking, once: no rights
  try seal ./special
  [ "$status" -eq 0 ]
  cp probe capable
  setcap cap_net_raw+ep capable
  try seal ./capable
  [ "$status" -eq 126 ]
  [[ $output == *capabilities* ]]
}

@test "what is sealed already is executed as it is" {
  probe
  try seal "$top/seal/seal" ./probe
  [[ $output == *"memfd:probe"* ]]
  compile already -static <<'END'
#define _GNU_SOURCE
#include <fcntl.h>
#include <stdio.h>
#include <sys/mman.h>
#include <sys/sendfile.h>
#include <sys/stat.h>
#include <unistd.h>
int main(int argc, char **argv) {
  int fd = open(argv[1], O_RDONLY), seals;
  int memfd = memfd_create("mine", MFD_ALLOW_SEALING);
  sscanf(argv[2], "%i", &seals);
  sendfile(memfd, fd, NULL, 1 << 30);
  fcntl(memfd, F_ADD_SEALS, seals);
  dup2(memfd, 7);
  close(memfd);
  (void)argc;
  execlp("seal", "seal", "/proc/self/fd/7", NULL);
}
END
  try ./already ./probe 0xf
  [[ $output == *"/memfd:mine"*kept* ]]
  # Any seal less, and it is copied.
  for seals in 0x7 0xe 0xd 0xb 0; do
    try ./already ./probe "$seals"
    [[ $output == *"/memfd:7 "*"0xf"*kept* ]] || fail "$seals"
  done
}

@test "vm.memfd_noexec 0 and 1 work, 2 is an error that names it" {
  [[ -e /proc/sys/vm/memfd_noexec ]] || skip "before Linux 6.3"
  probe
  with() {
    try unshare --pid --fork --mount-proc bash -c 'echo "$1" >/proc/sys/vm/memfd_noexec; seal ./probe' bash "$1"
  }
  with 0
  [[ $status -eq 0 && $output == *"0xf"*kept* ]]
  with 1
  [[ $status -eq 0 && $output == *"0xf"*kept* ]]
  with 2
  [ "$status" -eq 125 ]
  [[ $output == *vm.memfd_noexec* && $output != *probe\]* ]]
}

@test "without MFD_EXEC and the exec seal of Linux 6.3 the others do" {
  probe
  try strace -f -qq -o log -e inject=memfd_create:error=EINVAL:when=1 seal ./probe
  [ "$status" -eq 0 ]
  [[ $output == *"0xf"*kept* ]]
  try strace -f -qq -o log -e "inject=$(either fcntl):error=EINVAL:when=2" seal ./probe
  [ "$status" -eq 0 ]
  [[ $output == *"0xf"*kept* ]]
}

@test "too little memory, or a limit, is an error" {
  probe
  try bash -c 'ulimit -f 1; seal ./probe'
  [ "$status" -eq 125 ]
  [[ $output == "seal: sendfile ./probe: File too large" ]]
  # The signal that it would have been is PROG's again.
  try seal grep SigIgn /proc/self/status
  [ "$output" = "$(grep SigIgn /proc/self/status)" ]
  for error in ENOSPC ENOMEM; do
    try strace -f -qq -o log -e "inject=$(either sendfile):error=$error" seal ./probe
    [ "$status" -eq 125 ]
    [[ $output == *sendfile* ]]
  done
  try bash -c 'ulimit -n 4; exec seal ./probe 3</dev/null'
  [ "$status" -ne 0 ]
}

@test "a file that changes during the copy is not run" {
  probe
  changing() {
    cp "$1" moving
    strace -f -qq -o log -e "inject=$(either sendfile):delay_$2=700000:when=1" seal ./moving >out 2>&1 3>&- &
    local pid=$!
    wait_for grep -q memfd_create log
    sleep 0.2
    "${@:3}"
    wait "$pid"
  }
  grow() {
    cat probe >>moving
  }
  shrink() {
    truncate -s 4096 moving
  }
  rewrite() {
    printf x | dd of=moving bs=1 seek=5000 conv=notrunc status=none
  }
  for when in enter exit; do
    for change in grow shrink rewrite; do
      code=0
      changing probe "$when" "$change" || code=$?
      [ "$code" -eq 125 ] || fail "$when $change: $code"
      grep -q changed out
    done
  done
  # Replaced by name, it is the old one that runs, whole.
  replace() {
    cp /bin/busybox other
    mv other moving
  }
  changing probe enter replace
  grep -q kept out
}

@test "a system call that is refused is an error, and PROG does not run unsealed" {
  probe
  try strace -qq -o calls seal ./probe
  for call in 'open(at)?' 'fstat|newfstatat|statx' faccessat2 'fcntl(64)?' fgetxattr pread64 memfd_create 'sendfile(64)?' execveat; do
    call=$(grep -oExm 1 "($call)\(.*" calls) || fail "seal does not call $call"
    call=${call%%(*}
    for error in ENOSYS EPERM ENOMEM; do
      # Not the probe's own calls: what is written before it is all there is.
      run timeout -k 1 10 strace -f -qq -o log -e "inject=$call:error=$error" seal /bin/busybox echo ran
      # Without statx, a 32-bit libc calls fstatat64.
      if [[ $output == *ran* && $call:$error != statx:ENOSYS ]]; then
        fail "$call $error: ran"
      fi
      [[ $output == *ran* || $status -eq 125 || $status -eq 126 || $status -eq 127 ]] ||
        fail "$call $error: $status"
    done
  done
}

@test "the copy is one call, and the whole takes at most 40" {
  probe
  try strace -qq -o calls seal ./probe
  [ "$(grep -c '^sendfile' calls)" -eq 1 ]
  sed -n '2,/^execveat/p' calls >own
  [ "$(wc -l <own)" -le 40 ]
}

# memfd_wait_for_pins() of the kernel gives up after a fifth of a second.
@test "a page of the copy that the kernel holds for a moment is waited for, but not for ever" {
  # The fourth is the one that seals.
  try refuse fcntl:error=EBUSY:when=4 seal /bin/echo ran
  [ "$output" = ran ]
  try refuse fcntl:error=EBUSY:when=4+ seal /bin/echo ran
  [[ $status -eq 125 && $output == *F_ADD_SEALS*busy* ]]
}

@test "-v shows each call that changes something, in order, and no look-up" {
  [[ -e /proc/sys/vm/memfd_noexec ]] || skip "before Linux 6.3 there is no MFD_EXEC"
  try seal -v /bin/true
  [ "$status" -eq 0 ]
  diff - <(printf '%s\n' "${lines[@]}") <<'END'
+ memfd_create("true", MFD_CLOEXEC | MFD_ALLOW_SEALING | MFD_EXEC)
+ sendfile(memfd, prog->fd, NULL, most)
+ fcntl(memfd, F_ADD_SEALS, SEALS | F_SEAL_EXEC)
+ execveat(sealed, "", argv, environ, AT_EMPTY_PATH)
END
}
