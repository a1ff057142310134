#!/usr/bin/env bats
# pivot: the new root, and what is left of the old one.
# shellcheck disable=SC2016 # scripts in quotes are for other shells
# shellcheck disable=SC2030,SC2031,SC2154 # helper.bash sets status, output, top

load helper

setup() {
  root=$BATS_TEST_TMPDIR/root
  outside=$BATS_TEST_TMPDIR/outside # of the new root: what nobody in it may see
  small_root "$root"
  mkdir "$outside"
  echo secret >"$outside/secret"
  echo marker >"$root/marker"

  # In the new root: what is / now, and what is mounted.
  cat >"$root/bin/look" <<'END'
#!/bin/sh
cat /marker
[ -e /proc/self ] || mount -t proc proc /proc
while read -r id parent device top point rest; do echo "$point"; done </proc/self/mountinfo
END
  chmod +x "$root/bin/look"
}

# becomes_root NEW-ROOT MOUNTS <<END: after the setup that is read, NEW-ROOT ($2
# to it; $1 is a small root) becomes the root, with MOUNTS mounted in it and
# nothing else, and the namespace that our mounts are shared with is as before.
becomes_root() {
  local setup
  setup=$(cat)
  alone_shared "$root" "$1" <<END
    $setup
    before=\$(</proc/\$PPID/mountinfo)
    exec {peer}</proc/\$PPID/mountinfo
    \${in-} pivot "\$2" /bin/look
    mapfile -t after <&"\$peer"
    [ "\$before" = "\$(printf '%s\n' "\${after[@]}")" ]
END
  [ "$status" -eq 0 ]
  # shellcheck disable=SC2086 # one word a mount
  [ "$output" = "$(printf '%s\n' marker / $2)" ]
}

@test "a mount point becomes the root" {
  becomes_root "$root" /proc <<'END'
    mount --bind "$1" "$1"
END
}

@test "a plain directory becomes the root" {
  becomes_root "$root" /proc </dev/null
}

@test "a directory inside another mount becomes the root" {
  becomes_root "$root/tmp/in" /proc <<'END'
    mount -t tmpfs tmpfs "$1/tmp"
    mkdir "$1/tmp/in"
    cp -a "$1/bin" "$1/marker" "$1/tmp/in"
    mkdir "$1/tmp/in/proc"
END
}

@test ". and a path through links become the root" {
  becomes_root . /proc <<'END'
    cd "$1"
END
  ln -s root "$BATS_TEST_TMPDIR/link"
  ln -s link "$BATS_TEST_TMPDIR/chain"
  becomes_root "$BATS_TEST_TMPDIR/chain" /proc </dev/null
  becomes_root "$root/../chain/." /proc </dev/null
}

@test "an open directory becomes the root, by its name in /proc" {
  becomes_root /proc/self/fd/9 /proc <<'END'
    exec 9<"$1"
END
}

@test "a mount that is shared, private, a slave or unbindable becomes the root" {
  local kind
  for kind in shared private slave unbindable; do
    becomes_root "$root" /proc <<END
      mount --bind "\$1" "\$1"
      mount --make-$kind "\$1"
      # On a shared mount other than / it has to be bound, and this one cannot be.
      on=\$(stat -c %m "\${1%/*}")
      [[ $kind != unbindable || \$on == / ]] || mount --make-private "\$on"
END
  done
}

@test "a mount on a shared mount that is not the root becomes the root" {
  becomes_root "$BATS_TEST_TMPDIR/shared/new" /proc <<'END'
    mkdir "${1%/*}/shared"
    mount -t tmpfs tmpfs "${1%/*}/shared"
    mkdir "$2"
    mount --bind "$1" "$2"
END
}

@test "a tmpfs, an overlay and a read-only mount become the root" {
  becomes_root "$outside" /proc <<'END'
    mount -t tmpfs tmpfs "$2"
    cp -a "$1/." "$2"
END
  becomes_root "$outside/merged" /proc <<'END'
    mkdir "${2%/*}"/{upper,work,merged}
    mount -t tmpfs tmpfs "${2%/*}"
    mkdir "${2%/*}"/{upper,work,merged}
    mount -t overlay -o "lowerdir=$1,upperdir=${2%/*}/upper,workdir=${2%/*}/work" overlay "$2"
END
  becomes_root "$root" /proc <<'END'
    mount --bind "$1" "$1"
    mount -o remount,bind,ro "$1"
END
  alone "$root" <<'END'
    mount --bind "$1" "$1"
    mount -o remount,bind,ro "$1"
    pivot "$1" touch /file
END
  [[ $status -eq 1 && $output == *Read-only* ]]
}

@test "a mount that a more privileged namespace locked becomes the root" {
  becomes_root "$root" /proc <<'END'
    mount --bind "$1" "$1"
    mount --bind /proc "$1/proc"
    in='unshare --user --map-root-user --mount'
END
}

@test "in a user namespace a plain directory becomes the root" {
  becomes_root "$root" /proc <<'END'
    mount --bind /proc "$1/proc"
    in='unshare --user --map-root-user --mount'
END
}

@test "/ becomes the root: with what is mounted in it, and with what is mounted on it" {
  alone "$outside" <<'END'
    before=$(cut -d ' ' -f 5- /proc/self/mountinfo | sort)
    pivot / cut -d ' ' -f 5- /proc/self/mountinfo >"$1/after"
    [ "$before" = "$(sort "$1/after")" ]
END
  [ "$status" -eq 0 ]
  becomes_root / /proc <<'END'
    mount --rbind "$1" /
END
}

@test "a . that has been mounted over since is refused, and so is what is not below /" {
  alone "$root" <<'END'
    cd "$1"
    mount -t tmpfs tmpfs "$1"
    pivot . /bin/echo REACHED
END
  [[ $status -eq 125 && $output == *"is covered"* && $output != *REACHED* ]]
  alone "$root" <<'END'
    cd "$1/tmp"
    mount -t tmpfs tmpfs "$1"
    pivot . /bin/echo REACHED
END
  [[ $status -eq 125 && $output != *REACHED* ]]

  # Where its path cannot be looked up, the mount table says so.
  local covers
  mkdir "$outside/closed dir"
  mv "$root" "$outside/closed dir/root"
  for covers in false "mount -t tmpfs tmpfs '$outside/closed dir/root'" "mount -t tmpfs -o mode=711 tmpfs '$outside/closed dir'"; do
    alone "$outside/closed dir/root" "$covers" <<'END'
      mount --bind "$1" "$1"
      mount -t tmpfs tmpfs "$1/tmp"
      cd "$1"
      eval "$2" || true
      chmod 700 "${1%/*}"
      idmap -n mnt -u 0:100000:1 -g 0:100000:1 pivot . /bin/echo REACHED
END
    if [[ $covers == false ]]; then
      [[ $status -eq 0 && $output == *REACHED* ]]
    else
      [[ $status -eq 125 && $output == *"is covered"* && $output != *REACHED* ]]
    fi
  done
  mv "$outside/closed dir/root" "$root"

  # What is hidden covers nothing.
  alone "$outside" <<'END'
    mkdir -p "$1/closed/tree"
    mount -t tmpfs hidden "$1/closed/tree"
    mount -t tmpfs -o mode=700 tmpfs "$1/closed"
    mkdir -m 755 "$1/closed/tree"
    cd "$1/closed/tree"
    idmap -n mnt -u 0:100000:1 -g 0:100000:1 pivot . /nowhere
END
  [ "$status" -eq 127 ]

  alone "$root" <<'END'
    mount --bind "$1" "$1"
    exec 9<"$1"
    umount -l "$1"
    pivot /proc/self/fd/9 /bin/echo REACHED
END
  [[ $status -eq 125 && $output == *"is not below /"* && $output != *REACHED* ]]
  alone "$root" <<'END'
    mkdir "$1/gone"
    cd "$1/gone"
    rmdir "$1/gone"
    pivot . /bin/echo REACHED
END
  [[ $status -eq 125 && $output == *getcwd* && $output != *REACHED* ]]
}

@test "a mount in the new root stays shared with whom it was" {
  local kind
  for kind in true 'mount --bind "$1" "$1"; mount --make-private "$1"'; do
    alone_shared "$root" "$kind" <<'END'
      eval "$2"
      mount -t tmpfs tmpfs "$1/tmp"
      mount --make-shared "$1/tmp"
      mount --bind /proc "$1/proc"
      group=$(sed -n "s|.* $1/tmp .*\(shared:[0-9]*\) .*|\1|p" /proc/self/mountinfo)
      [ -n "$group" ]
      pivot "$1" cat /proc/self/mountinfo | while read -r line; do
        [[ $line != *" /tmp "*" $group "* ]] || echo same
      done
END
    [ "$output" = same ]
  done
}

@test "the mounts of a peer namespace survive, which umount -l takes away" {
  local victim=$BATS_TEST_TMPDIR/victim
  mkdir "$victim"
  alone_shared "$root" "$victim" <<'END'
    mount -t tmpfs tmpfs "$2"
    mkdir "$2/in"
    mount -t tmpfs tmpfs "$2/in"
    mount --bind "$1" "$1"
    mkdir "$1/old"
    mount --make-private /
    mount --make-private "$1"
    exec {peer}</proc/$PPID/mountinfo
    pivot_root "$1" "$1/old"
    hash -r
    umount -l /old
    mapfile -t after <&"$peer"
    [[ ${after[*]} == *" $2/in "* ]] || echo fell
END
  [[ $output == *fell* ]] || skip "umount -l took nothing away"
  alone_shared "$root" "$victim" <<'END'
    mount -t tmpfs tmpfs "$2"
    mkdir "$2/in"
    mount -t tmpfs tmpfs "$2/in"
    mount --bind "$1" "$1"
    exec {peer}</proc/$PPID/mountinfo
    pivot "$1" true
    mapfile -t after <&"$peer"
    [[ ${after[*]} == *" $2/in "* ]]
END
  [ "$status" -eq 0 ]
}

@test "names of mount points cannot fool the check of what is left" {
  becomes_root "$root" '/proc' <<'END'
    for name in 'a b' $'new\nline' 'back\slash' '\040' 'gone (deleted)' ' - rootfs x' 'für' $'\xff'; do
      mkdir "${1%/*}/$name"
      mount -t tmpfs tmpfs "${1%/*}/$name"
    done
END
  becomes_root "$root" '/tmp/a\040b /tmp/new\012line /tmp/back\134slash /tmp/gone\040(deleted) /tmp/für /proc' <<'END'
    for name in 'a b' $'new\nline' 'back\slash' 'gone (deleted)' 'für'; do
      mkdir "$1/tmp/$name"
      mount -t tmpfs tmpfs "$1/tmp/$name"
    done
END
  mv "$root" "$root"$'\xff ü'
  becomes_root "$root"$'\xff ü' '/proc' </dev/null
  mv "$root"$'\xff ü' "$root"
}

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
  [ "$output" = "pivot: the working directory still reaches the old root
pivot: descriptor 5 still reaches the old root
pivot: descriptor 7 still reaches the old root
pivot: descriptor 8 still reaches the old root
and marker" ]
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

# What may be at $1/proc: at first, what shows a process itself.
procs=(
  'mount -t proc proc "$1/proc"'
  'mount -t proc -o hidepid=2 proc "$1/proc"'
  'mount -t proc -o subset=pid proc "$1/proc"'
  'mount --bind /proc/1 "$1/proc"'
  'mount --bind "/proc/$$" "$1/proc"'
  'mount --bind /proc/sys "$1/proc"'
  'unshare --pid --fork mount -t proc proc "$1/proc"' # it has ended since
  'mount -t tmpfs tmpfs "$1/proc"'
)

@test "a chroot on a mount is not taken for the whole: its outside is told from nothing" {
  local perl='
    sub out { mkdir "/out"; chroot "/out" or die $!; chdir ".." for 1..40; chroot "."; print -e $ARGV[1] ? "out\n" : "in\n" }'
  mkdir "$root/new"

  # The control: the bare calls, pivot_root(2) and umount2(2), in such a chroot.
  alone "$perl" "$root" "$outside/secret" <<'END'
    mount --bind "$2" "$2"
    mount --bind "$2" "$2/new"
    perl -e "$1"'; chroot $ARGV[0]; chdir "/new"; $dot = ".";
      syscall(155, $dot, $dot) == 0 or die $!; syscall(166, $dot, 2) == 0 or die $!; chdir "/"; out' "$2" "$3"
END
  [[ $output == out ]] || skip "the bare calls leave nothing outside"
  local proc
  for proc in "${procs[@]}"; do
    alone "$root" "$(command -v pivot)" "$proc" <<'END'
      mount --bind "$1" "$1"
      mount --bind "$1" "$1/new"
      eval "$3"
      touch "$1/pivot"
      mount --bind "$2" "$1/pivot"
      chroot "$1" /pivot /new sh -c 'echo REACHED'
END
    [[ $status -eq 125 && $output == *"was a chroot"* && $output != *REACHED* ]]
  done
}

@test "a /proc that is not whole, or of another PID namespace, is an error before anything moves" {
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
    [ "$(grep -v '^pivot: no mount table: /proc is ' <<<"$output")" = "$(printf '%s\n' 'prog 125' 'none 125' same)" ]
  done
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

@test "a false /proc is not believed" {
  # It shows a table without the old root, whatever is mounted.
  alone "$root" <<'END'
    mount -t tmpfs tmpfs /proc
    mkdir -p /proc/self/ns
    echo "1 1 0:1 / / rw - ext4 x rw" >/proc/self/mountinfo
    strace -f -qq -o "$1/log" -e trace=openat,fsopen,execve pivot "$1" /bin/look
END
  [ "$status" -eq 0 ]
  [ "$output" = "$(printf '%s\n' marker / /proc)" ]
  sed -i '/execve("\/bin\/look"/,$d' "$root/log"
  grep -q 'fsopen("proc"' "$root/log"
  [ "$(grep -c mountinfo "$root/log")" -eq 1 ]
}

@test "without /proc it works with one of its own" {
  alone "$root" <<'END'
    while umount -l /proc; do :; done 2>/dev/null
    pivot "$1" /bin/look
END
  [[ $status -eq 0 && $output == "$(printf '%s\n' marker / /proc)" ]]
}

# hinted HINT <<END: the script fails with 125 and with that hint alone.
hinted() {
  alone "$root"
  [[ $status -eq 125 && ${lines[-1]} == "pivot: hint: $1" && ${lines[-2]} != *hint:* ]]
}

@test "each cause of EPERM is told" {
  chmod 755 "$BATS_TEST_TMPDIR" "$BATS_RUN_TMPDIR" "$BATS_RUN_TMPDIR/test"
  hinted "CAP_SYS_ADMIN is missing: a user has it in idmap -n mnt" <<'END'
    setpriv --reuid=65534 --clear-groups --inh-caps=-all pivot "$1" true
END
  hinted "this mount namespace belongs to another user namespace" <<'END'
    unshare --user --map-root-user pivot "$1" true
END
  hinted "this process has a seccomp filter" <<'END'
    # To which system call 155, pivot_root, is EPERM.
    perl -e '
      $filter = pack("SCCL" x 4, 0x20, 0, 0, 0, 0x15, 0, 1, 155, 6, 0, 0, 0x50001, 6, 0, 0, 0x7fff0000);
      syscall(157, 22, 2, pack("Sx6P", 4, $filter)) == 0 or die $!; exec @ARGV' pivot "$1" true
END
}

@test "each cause of EBUSY is told" {
  cp "$(command -v pivot)" "$root/pivot"
  hinted "NEW-ROOT is on the mount that is the root" <<'END'
    mount -t proc proc "$1/proc"
    pivot "$1" /pivot -o / /tmp true
END
  hinted "PUT-OLD is on the mount that is the root" <<'END'
    mount -t proc proc "$1/proc"
    mount -t tmpfs tmpfs "$1/tmp"
    pivot "$1" /pivot -o / /tmp true
END
}

@test "each cause of ENOTDIR is told" {
  hinted "NEW-ROOT is not a directory" <<'END'
    pivot -o "$1/tmp" "$1/marker" true
END
  hinted "PUT-OLD is not a directory" <<'END'
    pivot -o "$1/marker" "$1" true
END
}

@test "each cause of EINVAL is told" {
  mkdir "$root/in"
  cp "$(command -v pivot)" "$root/pivot"
  hinted "/ is not a mount point: a chroot" <<'END'
    mount -t tmpfs tmpfs "$1/in"
    chroot "$1" /pivot /in sh -c true
END
  hinted "NEW-ROOT is not a mount point" <<'END'
    mount -t tmpfs tmpfs "$1/in"
    mkdir -p "$1/in/new/old"
    pivot -o "$1/in/new/old" "$1/in/new"
END
  hinted "NEW-ROOT is on an unbindable mount" <<'END'
    mount -t tmpfs tmpfs "$1/in"
    mount --make-unbindable "$1/in"
    mkdir "$1/in/new"
    pivot "$1/in/new" true
END
  hinted "NEW-ROOT is not in this mount namespace" <<'END'
    coproc unshare --mount --propagation private sh -c 'mount --bind "$1" "$1"; echo ready; read -r end' sh "$1"
    read -r ready <&"${COPROC[0]}"
    pivot -o "/proc/$COPROC_PID/root$1/in" "/proc/$COPROC_PID/root$1" true || exit
END
  hinted "/ is not in this mount namespace" <<'END'
    mount --bind "$1" "$1"
    mount -t tmpfs tmpfs "$1/../outside"
    perl -e 'chdir "$ARGV[0]/../outside"; chroot $ARGV[0]; $path = "/";
      syscall(166, $path, 2) == 0 or die $!; exec "/pivot", "-o", ".", "."' "$1"
END
  hinted "the parent mount of NEW-ROOT is shared" <<'END'
    mount -t tmpfs tmpfs "$1/in"
    mount --make-shared "$1/in"
    mkdir "$1/in/new"
    mount --bind "$1" "$1/in/new"
    mount --make-private "$1/in/new"
    pivot -o "$1/in/new/tmp" "$1/in/new"
END
  hinted "PUT-OLD is on a shared mount" <<'END'
    mount --bind "$1" "$1"
    mount -t tmpfs tmpfs "$1/in"
    mount --make-shared "$1/in"
    pivot -o "$1/in" "$1"
END
  hinted "the parent mount of / is shared: a chroot" <<'END'
    mount --make-shared "$(stat -c %m "$1")"
    mount --bind "$1" "$1"
    mount --make-private "$1"
    mount --bind "$1" "$1/in"
    mount -t proc proc "$1/proc"
    chroot "$1" /pivot /in true
END
  hinted "PUT-OLD is not below NEW-ROOT" <<'END'
    mount --bind "$1" "$1"
    mount -t tmpfs tmpfs "$1/../outside"
    pivot -o "$1/../outside" "$1"
END
  hinted "NEW-ROOT is not below /" <<'END'
    mount --bind "$1" "$1"
    mount -t tmpfs tmpfs "$1/../outside"
    mount -t proc proc "$1/proc"
    mkdir "$1/../outside/old"
    chroot "$1" /pivot -o /proc/self/fd/9/old /proc/self/fd/9 9<"$1/../outside"
END
  hinted "NEW-ROOT is locked: a more privileged namespace mounted it" <<'END'
    mount --bind "$1" "$1"
    unshare --user --map-root-user --mount pivot -o "$1/tmp" "$1"
END
}

@test "no cause is named that was not seen" {
  alone "$root" <<'END'
    pivot "$1/none" true
END
  [[ $status -eq 125 && ${#lines[@]} -eq 1 && $output == *"none: No such file"* ]]
  alone "$root" <<'END'
    pivot -o "$1/none" "$1" true
END
  [[ $status -eq 125 && ${#lines[@]} -eq 1 ]]
  alone "$root" <<'END'
    mount --bind "$1" "$1"
    strace -qq -o /dev/null -e inject=pivot_root:error=EINVAL pivot -o "$1/tmp" "$1" true
END
  [[ $status -eq 125 && ${#lines[@]} -eq 1 ]]
}

@test "-o is the plain pivot_root: the old root is at PUT-OLD, with all that is mounted" {
  alone "$root" "$outside" <<'END'
    mount --bind "$1" "$1"
    mount --bind /proc "$1/proc"
    before=$(wc -l </proc/self/mountinfo)
    pivot -o "$1/tmp" "$1" sh -c 'pwd; cat /tmp"$1"/secret; while read -r line; do echo "$line"; done </proc/self/mountinfo' sh "$2" >"$2/out"
    mapfile -t out <"/tmp$2/out"
    echo "${out[0]} ${out[1]} $((${#out[@]} - 2)) of $before"
END
  [ "$status" -eq 0 ]
  [[ $output =~ ^"/ secret "([0-9]+)" of "([0-9]+)$ && ${BASH_REMATCH[1]} -eq ${BASH_REMATCH[2]} ]]
}

@test "options that make no sense together are wrong usage" {
  local options
  for options in -f '-k 3' '-f -k 3' '-o /a -f' '-o /a -k 3' -o ''; do
    # shellcheck disable=SC2086 # the words of a command line
    try pivot $options
    [ "$status" -eq 64 ]
  done
  try pivot -o /a -f / true
  [ "$status" -eq 64 ]
  try pivot -o /a -k 3 / true
  [ "$status" -eq 64 ]
}

@test "-f is refused on what is no initramfs, before a file is gone" {
  local type
  for type in tmpfs ramfs; do
    alone "$root" "$type" <<'END'
      mount -t "$2" tmp "$1/tmp"
      cp -a "$1"/bin "$1/marker" "$1/tmp"
      mkdir "$1"/tmp/{new,proc}
      cp "$(command -v pivot)" "$1/tmp/bin/pivot"
      pivot "$1/tmp" sh -c 'mount -t proc proc /proc; mount --bind /bin /new; pivot -f /new true; echo "$?"; cat /marker'
END
    [[ $status -eq 0 && $output == *"not seen to be an initramfs"*125*marker ]]
  done
  alone "$root" <<'END'
    mount --bind "$1" "$1"
    pivot -f "$1" true
END
  [[ $status -eq 125 && -e $root/marker && -e $outside/secret ]]
}

# Every call that it makes for a mount point and for a plain directory is refused
# in turn. What is not needed is close.
@test "whatever system call is refused, PROG does not run with less" {
  local setup name error names shown
  for setup in 'mount --bind "$1" "$1"' true; do
    alone "$root" "$setup" "$BATS_TEST_TMPDIR/log" <<'END'
      eval "$2"
      strace -qq -o "$3" pivot "$1" sh -c true
END
    names=$(sed -n '2,/^exec/s/(.*//p' "$BATS_TEST_TMPDIR/log" | sort -u |
      grep -vxE 'arch_prctl|set_tid_address|exec.*')
    [ "$(wc -l <<<"$names")" -ge 13 ]
    for name in $names; do
      for error in ENOSYS EPERM ENOMEM; do
        alone "$root" "$setup" "inject=$name:error=$error" <<'END'
          eval "$2"
          strace -f -qq -o /dev/null -e "$3" pivot "$1" echo REACHED
END

        shown=${name/openat/open}
        [[ $status -eq 125 && $output != *REACHED* ]]
        [[ $output == *"pivot: ${shown%2}"* || $name == getpid ]]
      done
    done
  done
}

@test "whatever is refused without PROG, it does not end as if it had been done" {
  local name error names shown
  alone "$root" "$BATS_TEST_TMPDIR/log" <<'END'
    cd /
    exec 9</usr
    strace -qq -o "$2" pivot "$1"
END
  names=$(sed -n '2,/^exit/s/(.*//p' "$BATS_TEST_TMPDIR/log" | sort -u |
    grep -vxE 'arch_prctl|set_tid_address|write|exit_group')
  [[ $names == *getdents64* && $names == *fcntl* ]]
  for name in $names; do
    for error in ENOSYS EPERM ENOMEM; do
      alone "$root" "inject=$name:error=$error" <<'END'
        cd /
        exec 9</usr
        strace -f -qq -o /dev/null -e "$2" pivot "$1"
END
      shown=${name/openat/open}
      # Without these two more is told, or nothing is different.
      [[ $name == fcntl || $name == close ]] ||
        [[ $status -eq 125 && ($output == *"pivot: ${shown%2}"* || $name == getpid) ]]
      [[ $status -ne 0 || $output == *"descriptor 9 still reaches the old root"* ]]
    done
  done
}

@test "without /proc and without the calls that make one, nothing moves" {
  local name error
  for name in fsopen fsconfig fsmount; do
    for error in ENOSYS EPERM ENOMEM; do
      alone "$root" "inject=$name:error=$error" <<'END'
        while umount -l /proc; do :; done 2>/dev/null
        strace -f -qq -o /dev/null -e "$2" pivot "$1" echo REACHED || echo "[$?]"
        strace -f -qq -o /dev/null -e "$2" pivot "$1" || echo "[$?]"
        [ ! -e /marker ] && [ -e "$1/marker" ]
END
      [[ $status -eq 0 && $output != *REACHED* && $(grep -c '^\[125\]$' <<<"$output") -eq 2 ]]
    done
  done
}

@test "without CAP_SYS_CHROOT the check fails, and says so" {
  hinted "CAP_SYS_CHROOT is missing" <<'END'
    setpriv --bounding-set=-sys_chroot --inh-caps=-sys_chroot pivot "$1" touch /reached
END
  [ ! -e "$root/reached" ]
}

@test "the other processes of the namespace are moved too, if they were in the old root" {
  alone "$root" <<'END'
    cd /
    coproc bash -c 'echo ready; read -r go; echo *'
    exec {from}<&"${COPROC[0]}" {to}>&"${COPROC[1]}"
    read -r ready <&"$from"
    pivot "$1"
    echo go >&"$to"
    read -r seen <&"$from"
    echo "$seen"
END
  [[ $status -eq 0 && $output == *marker* && $output != *usr* ]]
}

@test "-v shows every call that strace sees, and no other" {
  local setup
  for setup in 'mount --bind "$1" "$1"; set -- "$1" echo REACHED' 'set -- "$1" echo REACHED' 'cd /usr; exec 9</usr; set -- "$1"'; do
    alone "$root" "$setup" "$BATS_TEST_TMPDIR/log" <<'END'
      log=$3
      eval "$2"
      strace -qq -o "$log" pivot -v "$@"
END
    [ "$status" -eq 0 ]
    sed -n '/ppoll/,$p' "$BATS_TEST_TMPDIR/log" | sed '1d; /^exec/,$d; /^exit_group/,$d; /^write/d; s/(.*//' >"$BATS_TEST_TMPDIR/strace"
    printf '%s\n' "${lines[@]}" | sed -n '/^+ exec/d; s/^+ \([a-z0-9_]*\)(.*/\1/p' >"$BATS_TEST_TMPDIR/shown"
    sed -i 's/^getdents$/getdents64/' "$BATS_TEST_TMPDIR/strace"
    diff "$BATS_TEST_TMPDIR/strace" "$BATS_TEST_TMPDIR/shown"
  done
}

@test "a mount point takes at most 27 system calls, none twice alike" {
  alone "$root" "$BATS_TEST_TMPDIR/log" <<'END'
    mount --bind "$1" "$1"
    strace -qq -o "$2" pivot "$1" sh -c true
END
  [ "$status" -eq 0 ]
  sed -i '1d; /^arch_prctl/d; /^set_tid_address/d; /^exec/,$d' "$BATS_TEST_TMPDIR/log"
  [ "$(wc -l <"$BATS_TEST_TMPDIR/log")" -le 27 ]
  # The end of the mount table has to be read.
  [ -z "$(grep -v ^read "$BATS_TEST_TMPDIR/log" | sed 's/ = .*//' | sort | uniq -d)" ]
}
