#!/usr/bin/env bats
# pivot: what is left of the old root, and what happens when a call fails.
# shellcheck disable=SC2016 # scripts in quotes are for other shells
# shellcheck disable=SC2030,SC2031,SC2154 # the helpers set root, outside, status, output, top

load helper
load new_root

@test "a detach that fails, or that only says it worked, is an error" {
  local lie
  for lie in umount2:error=EPERM umount2:error=EBUSY umount2:retval=0; do
    alone "$root" "$lie" <<'END'
      mount --bind "$1" "$1"
      strace -f -qq -o /dev/null -e inject="$2" pivot "$1" echo REACHED
END
    [[ $status -eq 125 && $output != *REACHED* ]]
  done
  [[ $output == *"the old root is still mounted"* ]]

  # The control: a script that takes no notice goes on in the old root's company.
  alone "$root" "$outside/secret" <<'END'
    mount --bind "$1" "$1"
    mkdir "$1/old"
    pivot_root "$1" "$1/old"
    hash -r
    umount /old || true
    cat "/old$2"
END
  [[ $output == *secret* ]]
}

@test "the old root is detached once" {
  alone "$root" "$BATS_TEST_TMPDIR/log" <<'END'
    strace -f -qq -o "$2" -e trace=umount2,pivot_root pivot "$1" true
END
  [ "$(grep -c umount2 "$BATS_TEST_TMPDIR/log")" -eq 1 ]
  [ "$(grep -c pivot_root "$BATS_TEST_TMPDIR/log")" -eq 1 ]
}

@test "a working directory in the old root is no way back" {
  alone "$root" "$outside" <<'END'
    cd "$2"
    mount --bind "$1" "$1"
    mkdir "$1/old"
    pivot_root "$1" "$1/old"
    hash -r
    umount -l /old
    exec sh -c 'cat secret'
END
  [[ $output == *secret* ]] || skip "pivot_root moved the working directory too"
  alone "$root" "$outside" <<'END'
    cd "$2"
    pivot "$1" sh -c 'cat secret; cat ../outside/secret; cd -P ..; echo * "$PWD"'
END
  [[ $output != *$'\n'secret* && ${lines[-1]} == *" marker "*" /" ]]
}

@test "a descriptor is no way back, at 9 or at 900 of 64" {
  local number
  for number in 9 900; do
    alone "$root" "$outside" "$number" <<'END'
      eval "exec $3<\$2"
      ulimit -n 64
      mount --bind "$1" "$1"
      mount -t proc proc "$1/proc"
      mkdir -p "$1/old"
      pivot_root "$1" "$1/old"
      hash -r
      umount -l /old
      exec sh -c "cat /proc/self/fd/$3/secret"
END
    [ "$output" = secret ] || skip "pivot_root closed descriptors"
    alone "$root" "$outside" "$number" <<'END'
      eval "exec $3<\$2"
      ulimit -n 64
      mount -t proc proc "$1/proc"
      pivot "$1" sh -c "cat /proc/self/fd/$3/secret; echo /proc/self/fd/*"
END
    [[ $output != *$'\n'secret* ]]
    [[ ${lines[-1]} != *"/fd/$number"* && ${lines[-1]} == */fd/2* ]]
  done
}

@test "standard input, output or error that is a directory is refused" {
  local number
  for number in 0 1 2; do
    alone "$root" "$outside" "$number" <<'END'
      eval 'pivot "$1" touch /ran '"$3"'<"$2"'
END
    [ "$status" -eq 125 ]
    [ ! -e "$root/ran" ]
  done
  alone "$root" "$outside" <<'END'
    mount -t proc proc "$1/proc"
    chroot "$1" sh -c 'cat /proc/self/fd/0/secret' <"$2"
END
  [ "$output" = secret ]
}

@test "nothing of pivot's own lands on a closed descriptor 0, 1 or 2" {
  alone "$root" <<'END'
    mount -t proc proc "$1/proc"
    pivot "$1" sh -c 'echo /proc/self/fd/* >/closed' <&- >&- 2>&-
END
  [ "$status" -eq 0 ]
  # It is the shell that has 0 open, to read the directory.
  [ "$(<"$root/closed")" = /proc/self/fd/0 ] || fail "open: $(<"$root/closed")"
}

@test "-k keeps the descriptors of its list, and no other" {
  alone "$root" "$outside/secret" <<'END'
    mount -t proc proc "$1/proc"
    exec 3<"$2" 4<"$2" 5<"$2" 6<"$2" 7<"$2" 8<"$2" 90<"$2"
    LISTEN_FDS=1 pivot -k 3,5-6,90-2147483647 "$1" sh -c '
      cat <&3
      echo "$LISTEN_FDS"
      for fd in 3 4 5 6 7 8 90; do [ ! -e /proc/self/fd/$fd ] || echo $fd; done'
END
  [ "$output" = "$(printf '%s\n' secret 1 3 5 6 90)" ]
}

@test "-k takes plain numbers only" {
  local list
  for list in '' ',' '3,' 3,,4 -3 3- 7-5 03 +3 ' 3' 3x 0x3 2147483648 4294967299; do
    alone "$root" "$list" <<'END'
      pivot -k "$2" "$1" echo REACHED
END
    [[ $status -eq 64 && $output != *REACHED* ]]
  done
}

@test "without PROG it is told what of the caller's still reaches the old root" {
  alone "$root" "$outside" <<'END'
    exec 5<"$2" 6<"$2/secret" 7<"$1"
    mkdir "$2/gone"
    exec 8<"$2/gone"
    rmdir "$2/gone"
    cd "$2"
    mount --bind "$1" "$1"
    exec 9<"$1"
    pivot "$1"
    echo "and $(</marker)"
END
  [ "$status" -eq 0 ]
  [ "$output" = "pivot: the working directory: still reaches the old root
pivot: descriptor 5: still reaches the old root
pivot: descriptor 7: still reaches the old root
pivot: descriptor 8: still reaches the old root
and marker" ]
}

@test "without PROG the first eight descriptors are told" {
  alone "$root" "$outside" <<'END'
    for ((fd = 20; fd < 40; fd++)); do eval "exec $fd<\$2"; done
    pivot "$1"
END
  [ "$status" -eq 0 ]
  [ "$(printf '%s\n' "${lines[@]}" | grep -c 'descriptor 2[0-7]: still')" -eq 8 ]
  [ "${#lines[@]}" -le 9 ]
}

@test "without PROG a caller in / is moved, and nothing is told that is not so" {
  local from
  for from in / "$root"; do
    alone "$root" "$from" <<'END'
      mount --bind "$1" "$1"
      cd "$2"
      pivot "$1" && exec sh -c 'echo * "$(ls -di / .)"'
END
    [ "$status" -eq 0 ]
    [[ $output == *marker* && $output != *pivot:* ]]
  done
}

@test "after pivot in a script, the script itself cannot get out of its root" {
  local perl='
    sub out { mkdir "/out"; chroot "/out" or die $!; chdir ".." for 1..40; chroot "."; print -e $ARGV[1] ? "out\n" : "in\n" }'

  # The control: chroot(1)'s call, and the well-known way out of it.
  try perl -e "$perl"'; chroot $ARGV[0] or die $!; chdir "/"; out' "$root" "$outside/secret"
  [[ $output == out ]] || skip "this machine's chroot has no way out"
  rmdir "$root/out"
  alone "$perl" "$root" "$outside/secret" <<'END'
    perl -e "$1"'; chdir "/"; system("pivot", $ARGV[0]) == 0 or die; out' "$2" "$3"
END
  [ "$output" = in ]
}

@test "a false /proc is not believed: a tmpfs, a part of a procfs, another namespace's" {
  # A procfs of its own finds the old root that umount2(2) left; a false one
  # shows a table without it, whatever is mounted.
  local lie
  for lie in 'mount -t tmpfs tmpfs /proc; mkdir -p /proc/self/ns; echo "1 1 0:1 / / rw - ext4 x rw" >/proc/self/mountinfo; ln -s self "/proc/$$"' \
    'mount --bind "/proc/$$" /proc' 'mount --bind /proc/sys /proc' \
    'unshare --pid --fork --kill-child mount -t proc proc /proc' \
    'mount --bind /dev/null "/proc/$$/mountinfo"' 'while umount -l /proc; do :; done 2>/dev/null'; do
    alone "$root" "$lie" <<'END'
      eval "$2"
      exec pivot "$1" /bin/look
END
    if [[ $lie == *mountinfo\"* ]]; then
      [[ $status -eq 125 && $output != *marker* ]]
    else
      [[ $status -eq 0 && $output == "$(printf '%s\n' marker / /proc)" ]]
    fi
    alone "$root" "$lie" <<'END'
      eval "$2"
      exec strace -f -qq -o /dev/null -e inject=umount2:retval=0 pivot "$1" /bin/look
END
    [[ $status -eq 125 && $output != *marker* ]]
  done
}

@test "a table of mounts is not believed in a false /proc, or mounted on the true one" {
  # umount2(2) does nothing here, and the false table does not show that.
  local kind
  for kind in tmpfs file; do
    alone "$root" "$outside" "$kind" <<'END'
      mount --bind "$1" "$1"
      while read -r id parent device top point rest; do
        [[ $point != "$1" ]] || table="$id $parent $device $top / $rest"
      done </proc/self/mountinfo
      mount -t proc proc "$2"
      echo "$table" >"$1/table"
      if [[ $3 == tmpfs ]]; then
        mount -t tmpfs tmpfs /proc
        mkdir -p "/proc/$$/ns"
        ln -s "$$" /proc/self
        ln -s "$2/$$/ns/mnt" "/proc/$$/ns/mnt"
        cp "$1/table" "/proc/$$/mountinfo"
      else
        mount --bind "$1/table" "/proc/$$/mountinfo"
      fi
      cmp "$1/table" "/proc/$$/mountinfo" && echo false
      exec strace -D -f -qq -o /dev/null -e inject=umount2:retval=0 pivot "$1" echo REACHED
END
    [[ $status -eq 125 && ${lines[0]} == false && $output != *REACHED* ]]
  done
}

@test "the /proc of another PID namespace is not used" {
  local log=$BATS_TEST_TMPDIR/log
  alone "$root" "$log" <<'END'
    unshare --mount strace -qq -o "$2" -e trace=fsopen pivot "$1" true
    [ ! -s "$2" ]
    unshare --mount --pid --fork strace -qq -o "$2" -e trace=fsopen pivot "$1" true
END
  [ "$status" -eq 0 ]
  grep -q 'fsopen("proc"' "$log"
}

@test "hidepid and subset hide nothing that is needed" {
  local proc
  for proc in "${procs[@]:0:3}"; do
    alone "$root" "$proc" <<'END'
      eval "$2"
      mount --move "$1/proc" /proc
      strace -f -qq -o "$1/log" -e trace=fsopen pivot "$1" /bin/look
END
    [[ $status -eq 0 && $output == "$(printf '%s\n' marker / /proc)" ]]
    [ "$(grep -c fsopen "$root/log")" -eq 0 ]
  done
}

@test "where no whole /proc can be had it is an error, before anything moves" {
  local proc
  # A user may not mount another, so there is none.
  for proc in "${procs[@]:3}"; do
    alone "$root" "$outside/secret" "$proc" <<'END'
      eval "$3"
      unshare --user --map-root-user --mount sh -c '
        mount --rbind "$1/proc" /proc
        before=$(stat -c %d:%i / .)
        pivot "$1" echo REACHED || echo "prog $?"
        pivot "$1" || echo "none $?"
        [ -e "$2" ] && [ "$before" = "$(stat -c %d:%i / .)" ] && echo same' sh "$1" "$2"
END
    [[ $status -eq 0 && $output != *REACHED* ]]
    [ "$(grep -v '^pivot: /proc: ' <<<"$output")" = "$(printf '%s\n' 'prog 125' 'none 125' same)" ]
  done
  local name error
  for name in fsopen fsconfig fsmount; do
    for error in ENOSYS EPERM ENOMEM; do
      alone "$root" "inject=$name:error=$error" <<'END'
        while umount -l /proc; do :; done 2>/dev/null
        exec strace -f -qq -o /dev/null -e "$2" pivot "$1" echo REACHED
END
      [[ $status -eq 125 && $output == "pivot: /proc: "* ]]
    done
  done
}

@test "after EPERM one line says what was read that can be a cause" {
  chmod 755 "$BATS_TEST_TMPDIR" "$BATS_RUN_TMPDIR" "$BATS_RUN_TMPDIR/test"
  alone "$root" <<'END'
    setpriv --reuid=65534 --clear-groups --inh-caps=-all pivot "$1" touch /reached
END
  [[ $status -eq 125 && $output == "pivot: "*": Operation not permitted"$'\n'"pivot: here: CAP_SYS_ADMIN is missing"* ]]
  alone "$root" <<'END'
    setpriv --bounding-set=-sys_chroot --inh-caps=-sys_chroot pivot "$1" touch /reached
END
  [[ $status -eq 125 && $output == "pivot: setns self/ns/mnt: Operation not permitted" ]]
  # The number of pivot_root, to which it is EPERM.
  local number=155
  ! is_32bit pivot || number=217
  alone "$root" "$number" <<'END'
    perl -e '
      $filter = pack("SCCL" x 4, 0x20, 0, 0, 0, 0x15, 0, 1, shift, 6, 0, 0, 0x50001, 6, 0, 0, 0x7fff0000);
      syscall(157, 22, 2, pack("Sx6P", 4, $filter)) == 0 or die $!; exec @ARGV' "$2" pivot "$1" touch /reached
END
  [ "$status" -eq 125 ]
  [ "${lines[1]}" = "pivot: here: a seccomp filter is in force" ]
  [ ! -e "$root/reached" ]
}

@test "no cause is named that was not seen, and a failure is one line" {
  local arguments
  for arguments in '"$1/none" true' '-o "$1/none" "$1" true' '-o "$1/tmp" "$1/marker" true' \
    '-o "$1" "$1/tmp" true' '-o "$1/marker" "$1" true' '"$1/marker" true'; do
    alone "$root" "$arguments" <<'END'
      eval "pivot $2"
END
    [[ $status -eq 125 && ${#lines[@]} -eq 1 && $output == "pivot: "*"$root"*": "* ]]
  done
  alone "$root" <<'END'
    mount --bind "$1" "$1"
    strace -qq -o /dev/null -e inject=pivot_root:error=EINVAL pivot -o "$1/tmp" "$1" true
END
  [[ $status -eq 125 && $output == "pivot: pivot_root $root: Invalid argument" ]]
  alone "$root" <<'END'
    mount -t tmpfs tmpfs "$1/tmp"
    mount --make-unbindable "$1/tmp"
    mkdir "$1/tmp/new"
    pivot "$1/tmp/new" true
END
  [[ $status -eq 125 && $output == "pivot: open_tree $root/tmp/new: Invalid argument" ]]
}

# Every call that it makes for a mount point and for a plain directory is refused
# in turn. Left out are those that libc makes, that have another way, or that only
# guard: close, fcntl (F_GETFD), fstatfs and readlinkat of /proc, getpid, getppid.
@test "whatever system call is refused, PROG does not run with less" {
  local setup name error names
  for setup in 'mount --bind "$1" "$1"' true; do
    alone "$root" "$setup" "$BATS_TEST_TMPDIR/log" <<'END'
      eval "$2"
      strace -qq -o "$3" pivot "$1" sh -c true
END
    names=$(sed -n '2,/^exec/s/(.*//p' "$BATS_TEST_TMPDIR/log" | sort -u |
      grep -vxE 'arch_prctl|set_thread_area|set_tid_address|exec.*|brk|mmap|munmap|mprotect|close|fcntl(64)?|fstatfs(64)?|readlinkat|getp?pid|wait4|rt_sig.*')
    [ "$(wc -l <<<"$names")" -ge 13 ]
    for name in $names; do
      for error in ENOSYS EPERM ENOMEM; do
        alone "$root" "$setup" "inject=$name:error=$error" <<'END'
          eval "$2"
          strace -f -qq -o /dev/null -e "$3" pivot "$1" echo REACHED
END
        [[ $status -eq 125 && $output != *REACHED* && $output == *"pivot: "* ]] || fail "$name $error"
      done
    done
  done
}

@test "whatever is refused without PROG, it does not end as if it had been done" {
  local name error names
  alone "$root" "$BATS_TEST_TMPDIR/log" <<'END'
    cd /
    exec 9</usr
    strace -qq -o "$2" pivot "$1"
END
  names=$(sed -n '2,/^exit/s/(.*//p' "$BATS_TEST_TMPDIR/log" | sort -u |
    grep -vxE 'arch_prctl|set_thread_area|set_tid_address|write|writev|exit_group|brk|mmap|munmap|mprotect|rt_sig.*|wait4')
  [[ $names == *fcntl* && $names == *pivot_root* ]]
  for name in $names; do
    for error in ENOSYS EPERM ENOMEM; do
      alone "$root" "inject=$name:error=$error" <<'END'
        cd /
        exec 9</usr
        strace -f -qq -o /dev/null -e "$2" pivot "$1"
END
      # These have another way, or only guard.
      [[ $name == @(fcntl?(64)|close|fstatfs?(64)|readlinkat|getpid|getppid) ]] ||
        [[ $status -eq 125 && $output == *"pivot: "* ]] || fail "$name $error"
      [[ $name == fcntl?(64) || $status -ne 0 || $output == *"descriptor 9: still reaches the old root"* ]]
    done
  done
}

@test "-v shows each call that changes something, in order, and no look-up" {
  alone "$root" <<'END'
    mount --bind "$1" "$1"
    pivot -v "$1" true
END
  [ "$status" -eq 0 ]
  diff - <(printf '%s\n' "${lines[@]}") <<END
+ chdir("$root")
+ close_range("3-4294967295")
+ mount(NULL, "/", NULL, MS_SLAVE, NULL)
+ mount(NULL, ".", NULL, MS_SLAVE, NULL)
+ pivot_root(".", ".")
+ mount(NULL, "/..", NULL, MS_SLAVE | MS_REC, NULL)
+ umount2("/..", MNT_DETACH | UMOUNT_NOFOLLOW)
+ chdir("/")
+ execvp("true", argv)
END
  alone "$root" <<'END'
    pivot -v -k 5 "$1"/../root
END
  [ "$status" -eq 64 ]
  alone "$root" <<'END'
    pivot -v -k 5,7-8 "$1" sh -c true
END
  [ "$status" -eq 0 ]
  diff - <(printf '%s\n' "${lines[@]}" | sed '1d; /^+ pivot_root/,$d') <<'END'
+ close_range("3-4")
+ close_range("6-6")
+ close_range("9-4294967295")
+ open_tree(AT_FDCWD, ".", OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC | AT_RECURSIVE)
+ mount(NULL, "/", NULL, MS_SLAVE | MS_REC, NULL)
+ move_mount(tree, "", AT_FDCWD, ".", MOVE_MOUNT_F_EMPTY_PATH)
+ fchdir(tree)
+ mount(NULL, "/", NULL, MS_SLAVE, NULL)
+ mount(NULL, ".", NULL, MS_SLAVE, NULL)
END
  # What is shown is what was made, under strace, and before it was made.
  alone "$root" "$BATS_TEST_TMPDIR/log" <<'END'
    strace -qq -o "$2" -e trace=chdir,fchdir,close_range,open_tree,mount,move_mount,pivot_root,umount2,execve,write,writev pivot -v "$1" true
END
  diff <(sed -n 's/^writev\{0,1\}(2, .*"+ \([a-z_0-9]*\)(.*/\1/p' "$BATS_TEST_TMPDIR/log" | sed 's/execvp/execve/') \
    <(sed -n '1d; /^write/d; s/(.*//p' "$BATS_TEST_TMPDIR/log" | awk '$0 != "execve" || !seen++')
}

@test "a mount point takes at most 100 system calls" {
  alone "$root" "$BATS_TEST_TMPDIR/log" <<'END'
    mount --bind "$1" "$1"
    strace -qq -o "$2" pivot "$1" sh -c true
END
  [ "$status" -eq 0 ]
  sed -i '1d; /^exec/,$d' "$BATS_TEST_TMPDIR/log"
  [ "$(wc -l <"$BATS_TEST_TMPDIR/log")" -le 100 ]
}
