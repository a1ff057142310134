#!/usr/bin/env bats
# pivot: what becomes the root, and what is refused.
# shellcheck disable=SC2016 # scripts in quotes are for other shells
# shellcheck disable=SC2030,SC2031,SC2154 # the helpers set root, outside, status, output, top

load helper
load new_root

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

@test "fd:N, an inherited directory, becomes the root, and nothing else does" {
  local fd
  becomes_root fd:9 /proc <<'END'
    exec 9<"$1"
END
  for fd in fd: fd:x fd:09 fd:-1 fd:+9 fd:4294967305 fd:18446744073709551625; do
    alone "$root" "$fd" <<'END'
      pivot "$2" echo REACHED 9<"$1"
END
    [[ $status -eq 64 && $output != *REACHED* ]]
  done
  for fd in fd:3 fd:4 fd:5 fd:8; do
    alone "$root" "$fd" <<'END'
      pivot "$2" echo REACHED 8<"$1/marker"
END
    [[ $status -eq 125 && $output != *REACHED* ]]
  done
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
  [[ $status -eq 125 && $output == "pivot: getcwd "* && $output != *REACHED* ]]
  alone "$root" <<'END'
    mkdir "$1/gone"
    cd "$1/gone"
    rmdir "$1/gone"
    pivot . /bin/echo REACHED
END
  [[ $status -eq 125 && $output == *getcwd* && $output != *REACHED* ]]
}

@test "a new root that was shared is shared again, and still receives; no other is" {
  alone_shared "$root" <<'END'
    mount --bind "$1" "$1"
    mount --make-private "$1"
    mount --make-shared "$1"
    mount --bind /proc "$1/proc"
    pivot "$1" cat /proc/self/mountinfo | while read -r id parent device inside point options optional; do
      [[ $point != / ]] || echo "$optional"
    done
END
  [[ $status -eq 0 && $output == "shared:"* ]]

  # A peer that is left outside is what it receives from.
  alone "$root" <<'END'
    mount --bind "$1" "$1"
    mount --make-shared "$1"
    mkfifo "$1/ready" "$1/go"
    unshare --mount --propagation unchanged pivot "$1" sh -c '
      echo >/ready; read -r go </go
      while read -r id parent device top point options optional; do echo "$point ${optional%% - *}"; done </proc/self/mountinfo' &
    read -r ready <"$1/ready"
    mount -t tmpfs tmpfs "$1/tmp"
    mount -t proc proc "$1/proc"
    echo >"$1/go"
    wait "$!"
END
  [[ $status -eq 0 && $output =~ (^|$'\n')"/ shared:"[0-9]+" master:"[0-9]+ && $output == *$'\n'"/tmp "* ]]

  local kind
  for kind in private slave; do
    alone_shared "$root" "$kind" <<'END'
      mount --bind "$1" "$1"
      mount "--make-$2" "$1"
      mount --bind /proc "$1/proc"
      pivot "$1" cat /proc/self/mountinfo | while read -r id parent device inside point options optional; do
        [[ $point != / ]] || echo "${optional%% - *}"
      done
END
    [[ $status -eq 0 && $output != *shared* ]]
  done
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

@test "in the mount namespace of PID 1 it is refused, unless PID 1 or its child asks" {
  # PID 1 is a shell. Its child is another, whose child is pivot.
  namespace_of_pid_1() {
    try unshare --mount --pid --fork --mount-proc --propagation private sh -c "$1" sh "$root"
  }
  namespace_of_pid_1 'sh -c "pivot \"\$1\" echo REACHED; status=\$?; exit \$status" sh "$1"; exit $?'
  [[ $status -eq 125 && $output == "pivot: /: is in PID 1"* && $output != *REACHED* ]]
  namespace_of_pid_1 'sh -c "pivot -o \"\$1/tmp\" \"\$1\" echo REACHED; status=\$?; exit \$status" sh "$1"; exit $?'
  [[ $status -eq 125 && $output == "pivot: /: is in PID 1"* ]]

  # Its child, PID 1 itself, and another namespace.
  namespace_of_pid_1 'pivot "$1" echo REACHED; exit $?'
  [ "$output" = REACHED ]
  namespace_of_pid_1 'exec pivot "$1" echo REACHED'
  [ "$output" = REACHED ]
  namespace_of_pid_1 'sh -c "unshare --mount pivot \"\$1\" echo REACHED; status=\$?; exit \$status" sh "$1"; exit $?'
  [ "$output" = REACHED ]

  # What cannot be asked is not refused.
  namespace_of_pid_1 'sh -c "refuse() { strace -f -qq -o /dev/null -P 1/mountinfo -e inject=openat:error=EACCES \"\$@\"; }
    refuse pivot \"\$1\" echo REACHED; status=\$?; exit \$status" sh "$1"; exit $?'
  [ "$output" = REACHED ]
}

@test "a chroot is refused before anything moves, on a mount or in a directory" {
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
  local on proc
  for on in 'mount --bind "$1" "$1"' true; do
    for proc in "${procs[@]}"; do
      alone_shared "$root" "$(command -v pivot)" "$on" "$proc" <<'END'
      eval "$3"
      mount --bind "$1" "$1/new"
      eval "$4"
      touch "$1/pivot"
      mount --bind "$2" "$1/pivot"
      before=$(</proc/self/mountinfo)
      chroot "$1" /pivot /new sh -c 'echo REACHED' || echo "$?"
      [ "$before" = "$(</proc/self/mountinfo)" ] && echo unchanged
END
      [[ $status -eq 0 && $output == "pivot: /: is not the root"*$'\n'125$'\n'unchanged ]]
    done
  done
}

@test "it works for a caller that ignores SIGCHLD" {
  alone "$root" <<'END'
    perl -e '$SIG{CHLD} = "IGNORE"; exec "pivot", @ARGV' "$1" cat /marker
END
  [[ $status -eq 0 && $output == marker ]]
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
    [[ $status -eq 0 && $output == *"-f: / is not an initramfs"*125*marker ]]
  done
  alone "$root" <<'END'
    mount --bind "$1" "$1"
    pivot -f "$1" true
END
  [[ $status -eq 125 && -e $root/marker && -e $outside/secret ]]
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
