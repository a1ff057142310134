#!/usr/bin/env bats
# contain: what the caller happens to have stays outside, and the host as it is,
# whatever the container's root does.
#
# shellcheck disable=SC2016,SC2086 # scripts of other shells; options are words
# shellcheck disable=SC2030,SC2031,SC2154 # each test sets variables of its own

load helper
load hostile

# --- What is carried across -------------------------------------------------

# CVE-2024-21626, CVE-2016-9962
@test "an open directory at 9, or at 900 of 64, and a working directory are no way out" {
  local number from user
  export -f naive in_box own_root try
  for number in 9 900; do
    for from in "$victim" /proc/self/fd/$number; do
      leave() {
        eval "exec $2<\"\$victim\""
        cd -- "$1"
        ulimit -n 64
        "${@:3}"
      }
      try leave "$from" "$number" naive look "$victim"
      [[ $output == *of-the-host* ]] || skip "pivot_root and umount left nothing open"
      for user in '' alice; do
        export user
        try leave "$from" "$number" in_box "$root" look "$victim"
        [[ $output != *of-the-host* && $output == *is_root* ]]
      done
    done
  done
  rm -rf "$root/old"
}

@test "a descriptor 0, 1 or 2 that is a directory is refused, and one that is closed is no matter" {
  local number closed user
  naive sh -c 'cat <&2; cat /proc/self/fd/0/secret' <"$victim"
  [[ $output == *of-the-host* ]] || skip "pivot_root and umount did not leave it"
  rm -rf "$root/old"
  for user in '' alice; do
    own_root
    for number in 0 1 2; do
      try bash -c "exec \"\$@\" $number<\"\$victim\"" bash ${user:+as_user $user} contain "$root" touch /tmp/ran
      [ "$status" -eq 125 ]
      [ ! -e "$root/tmp/ran" ]
    done
    for closed in '<&-' '>&-' '<&- >&-'; do
      try bash -c "exec \"\$@\" $closed" bash ${user:+as_user $user} contain "$root" sh -c '
        for fd in /proc/self/fd/*; do readlink $fd; done >/tmp/open; true'
      [ "$status" -eq 0 ]
      output=$(cat "$root/tmp/open")
      echo "$closed: $output"
      [[ $output != *nsteps* && $output != *"$here"* ]]
      rm -f "$root/tmp/open"
    done
  done
}

@test "a key of the session stays outside" {
  local user
  for user in '' alice; do
    try ${user:+as_user $user} keyctl session - bash -c '
      key=$(keyctl add user hostile of-the-key @s)
      look="keyctl print $key; keyctl print %user:hostile; keyctl search @s user hostile; cat /proc/keys"
      unshare --user --map-root-user --mount --pid --fork sh -c "$look"
      echo contain:
      contain / sh -c "$look" </dev/null'
    [[ ${output%contain:*} == *of-the-key* ]] || skip "unshare did not carry it"
    [[ ${output#*contain:} != *of-the-key* ]]
  done
}

@test "the environment of CMD has no secret, no LD_PRELOAD and no PATH of the caller" {
  local user option command
  export SECRET=of-caller LD_LIBRARY_PATH=/evil BASH_ENV=/dev/null ENV=/evil CDPATH=/evil
  try unshare --mount chroot "$root" env
  [[ $output == *SECRET=of-caller* ]] || skip "chroot(8) did not carry it"
  for user in '' alice; do
    for option in '' -r boot '-i true'; do
      [[ $user$option != aliceboot ]] || continue
      own_root
      command="contain $option"
      try ${user:+setpriv --reuid=alice --regid=alice --init-groups} ${command/ boot/-boot} "$root" env </dev/null
      [ "$status" -eq 0 ]
      [[ $output == *container=contain* ]]
      [[ $output != *of-caller* && $output != */evil* && $output != *BASH_ENV* ]]
    done
  done
  unset LD_LIBRARY_PATH BASH_ENV ENV CDPATH
}

@test "a group of the caller's opens no file of that group" {
  local user groups
  getent group readers >/dev/null || groupadd readers
  usermod -aG readers alice
  echo secret >"$root/tmp/readable"
  chown 12345:readers "$root/tmp/readable"
  chmod 640 "$root/tmp/readable"
  for user in '' alice; do
    own_root
    groups="setpriv --groups $(getent group readers | cut -d : -f 3)"
    [[ -z $user ]] || groups=
    try $groups ${user:+as_user $user} unshare --user --map-root-user chroot "$root" cat /tmp/readable
    [ "$output" = secret ] || skip "unshare did not carry it"
    try $groups ${user:+as_user $user} contain "$root" sh -c 'grep Groups /proc/self/status; cat /tmp/readable' </dev/null
    [[ $status -eq 1 && $output != *secret* ]]
  done
}

@test "capabilities of the caller, inheritable and ambient, stay outside; ignored and blocked signals do no harm" {
  local user
  carry() {
    perl -MPOSIX -e '
      $SIG{$_} = "IGNORE" for qw(CHLD INT HUP PIPE USR1);
      sigprocmask(SIG_BLOCK, POSIX::SigSet->new(SIGTERM, SIGCHLD, SIGUSR2));
      exec "setpriv", "--inh-caps", "+chown,+kill,+dac_override", "--ambient-caps", "+dac_override", @ARGV' -- "$@"
  }
  for user in '' alice; do
    own_root
    try carry ${user:+--reuid $user --regid $user --init-groups} \
      grep -E '^Cap(Inh|Amb)' /proc/self/status
    [[ $output == *CapAmb:*2 ]] || skip "setpriv did not hand them on"
    try carry ${user:+--reuid $user --regid $user --init-groups} \
      contain "$root" sh -c 'grep -E "^Cap(Inh|Amb)" /proc/self/status; exit 7' </dev/null
    [ "$status" -eq 7 ]
    [ "$output" = $'CapInh:\t0000000000000000\nCapAmb:\t0000000000000000' ]
  done
}

# CVE-2017-5226, CVE-2016-2779
@test "what is typed into the container's terminal (TIOCSTI) is not typed into the caller's" {
  local user typist='print "ran\n"; ioctl STDIN, 0x5412, $_ for split //, "typed\n"'
  after() {
    script -qec "$*; read -rt 1 line; echo \"read-\$line-\"" /dev/null < <(sleep 3)
  }
  export -f after
  try after unshare --mount --pid --fork perl -e "'$typist'"
  [[ $output == *read-typed-* ]] || skip "TIOCSTI types nothing (dev.tty.legacy_tiocsti)"
  for user in '' alice; do
    try after ${user:+as_user $user} contain / perl -e "'$typist'"
    [[ $output == *ran*read--* ]]
  done
}

# --- The old root, and the host's mounts ------------------------------------

@test ".. out of a chroot inside the container leads to the container's root" {
  local user attack='
    mkdir -p /dev/shm/in/bin /dev/shm/in/proc
    cp /bin/busybox /dev/shm/in/bin
    mount -t proc proc /dev/shm/in/proc
    exec 9</
    exec chroot /dev/shm/in /bin/busybox sh -c "cd -P /proc/self/fd/9; busybox cat ../../../../../../../../..$1/secret; /bin/busybox ls ../../../../.."'
  mkdir -p "$root/dev/shm"
  try unshare --mount --pid --fork bash -c 'mount -t tmpfs tmpfs "$root/dev"; mkdir "$root/dev/shm"; exec chroot "$@"' \
    bash "$root" sh -c "${attack//busybox cat//bin/busybox cat}" sh "$victim"
  [[ $output == *of-the-host* ]] || skip "chroot(8) has no way out"
  for user in '' alice; do
    in_box "$root" sh -c "${attack//busybox cat//bin/busybox cat}" sh "$victim"
    [[ $output != *of-the-host* && $output == *tmp* ]]
  done
}

@test "no mount of the host's goes away, or comes, or fools the check, whatever its name and propagation" {
  local closed=$here/closed
  mkdir -m 700 "$closed"
  mv "$root" "$closed/root"
  alone_shared "$closed/root" "$here" <<'END'
    cd "$2"
    for name in 'a b' $'new\nline' 'back\slash' '\040' 'x (deleted)' 'y//deleted' ' - rootfs x' $'tab\t' '#' ä $'\xff'; do
      mkdir -p "$name"
      mount -t tmpfs tmpfs "$name"
      mkdir "$name/in"
      mount -t tmpfs tmpfs "$name/in"
    done
    mkdir bound free gone
    mount --bind gone bound
    rm -r gone
    mounts() { cat /proc/$PPID/mountinfo /proc/self/mountinfo; }
    host=$(mounts)

    unshare --mount --propagation unchanged bash -c 'umount -l "a b"; mount -t tmpfs tmpfs free'
    [[ $(mounts) != *'/a\040b'* && $(mounts) != "$host" ]] || exit 3
    umount free
    mount -t tmpfs tmpfs 'a b'
    mkdir 'a b/in'
    mount -t tmpfs tmpfs 'a b/in'
    host=$(mounts)

    for how in "$1" "-r $1" "-s $1" "boot $1" "-n -i true $1" / '-r /' "as_user alice /" "as_user alice -r /"; do
      user=
      if [[ $how == as_user* ]]; then
        user='as_user alice' how=${how#as_user alice }
      fi
      command="contain $how"
      [[ $how == -s* ]] && chown 0:0 "$1" || chown 1900019712:1900019712 "$1"
      coproc $user ${command/ boot/-boot} /bin/sh -c 'echo up; read -r x; exit 7' 2>&1
      box=$!
      read -r up <&"${COPROC[0]}"
      [[ $up == up* ]]
      [ "$(mounts)" = "$host" ]
      echo >&"${COPROC[1]}"
      wait "$box" && exit 1 || [ $? -eq 7 ]
      [ "$(mounts)" = "$host" ]
    done
    contain "$1" cat /proc/self/mountinfo >table
    cut -d ' ' -f 5 table
END
  [ "$status" -ne 3 ] || skip "the control did not fall"
  [ "$status" -eq 0 ]
  [[ $output != *"$here"* ]]
}

# --- What the container's root takes back -----------------------------------

# Each tries to write below DIR, and in what was mounted there.
write_attacks='
  wrote() { touch $2/probe 2>/dev/null && echo "wrote: $1"; }
  wrote plain /tmp; wrote plain /mnt
  mount -o remount,bind,rw / ; wrote remount /tmp
  mount -o remount,bind,rw /mnt; wrote remount /mnt
  mount -o remount,rw /mnt; wrote superblock /mnt
  mkdir /dev/shm/copy
  mount --bind / /dev/shm/copy; mount -o remount,bind,rw /dev/shm/copy; wrote bind /dev/shm/copy/tmp
  mount --bind /mnt /dev/shm/copy; mount -o remount,bind,rw /dev/shm/copy; wrote bind /dev/shm/copy
  mount --rbind / /dev/shm/copy; mount -o remount,bind,rw /dev/shm/copy/mnt; wrote rbind /dev/shm/copy/mnt
  mount --make-rprivate /; mount --move /mnt /dev/shm/copy; mount -o remount,bind,rw /dev/shm/copy; wrote move /dev/shm/copy
  busybox unshare -Ur -m sh -c "mount -o remount,bind,rw /; touch /tmp/probe" && echo "wrote: nested"
  umount -l /mnt; wrote umount /mnt
  umount -l /; wrote umount /tmp
  echo end'

@test "-r holds for what is mounted below DIR too, against all that the container's root does" {
  local user
  mkdir -m 777 "$root/mnt"
  mount -t tmpfs -o mode=777 tmpfs "$root/mnt"
  try unshare --mount bash -c '
    mount --rbind "$0" "$0"
    mount -o remount,bind,ro "$0"
    mount -t proc proc "$0/proc"
    mount -t tmpfs tmpfs "$0/dev"
    mkdir "$0/dev/shm"
    exec chroot "$0" sh -c "$1"' "$root" "$write_attacks"
  rm -f "$root"/{tmp,mnt}/probe
  if [[ $output != *"wrote: plain"* || $output != *"wrote: remount"* ]]; then
    umount "$root/mnt"
    skip "mount(8) made all of it read-only for good"
  fi
  for user in '' alice; do
    in_box -r "$root" sh -c "$write_attacks" 2>/dev/null
    [[ ${lines[-1]} == end && $output != *wrote* ]] || break
    [[ ! -e $root/tmp/probe && ! -e $root/mnt/probe ]] || break
    lines=()
  done
  umount "$root/mnt"
  [ "${#lines[@]}" -eq 0 ]
}

@test "a node of the host's disk, mode 0666, opens nothing, against all that the container's root does" {
  local fell='' device attacks='
    got() { [ "$(head -c 2048 "$2" 2>/dev/null | wc -c)" = 2048 ] && echo "read: $1"; }
    got plain /tmp/node; got plain /mnt/node
    mount -o remount,bind,dev /; got remount /tmp/node
    mount -o remount,bind,dev /mnt; got remount /mnt/node
    mkdir -p /dev/shm/copy
    mount --bind /tmp /dev/shm/copy; mount -o remount,bind,dev /dev/shm/copy; got bind /dev/shm/copy/node
    mount --bind /mnt /dev/shm/copy; mount -o remount,bind,dev /dev/shm/copy; got bind /dev/shm/copy/node
    mount --rbind / /dev/shm/copy; mount -o remount,bind,dev /dev/shm/copy/mnt; got rbind /dev/shm/copy/mnt/node
    mkdir /dev/shm/over; mount -t overlay -o lowerdir=/tmp:/mnt overlay /dev/shm/over; got overlay /dev/shm/over/node
    busybox unshare -Ur -m sh -c "mount -o remount,bind,dev /; head -c 2048 /tmp/node" | grep -q . && echo "read: nested"
    mknod -m 666 /dev/shm/node $1 $2 $3; got mknod /dev/shm/node
    cp -a /tmp/node /dev/node; got cp /dev/node
    umount -l /mnt; got umount /mnt/node
    umount -l /; got umount /tmp/node
    echo end'
  mkdir "$root/mnt"
  mount -t tmpfs -o mode=755 tmpfs "$root/mnt"
  for device in "b $(findmnt -nvo MAJ:MIN / | tr : ' ')" 'c 1 5'; do
    rm -f "$root"/{tmp,mnt}/node
    mknod -m 666 "$root/tmp/node" $device
    mknod -m 666 "$root/mnt/node" $device
    try unshare --mount bash -c '
      mount --rbind "$0" "$0"
      mount -o remount,bind,nodev "$0"
      mount -t proc proc "$0/proc"
      mount -t tmpfs tmpfs "$0/dev"
      mkdir "$0/dev/shm"
      exec chroot "$0" sh -c "$@"' "$root" "$attacks" sh $device
    # a disk may be out of reach of root itself
    [[ $output == *"read: "*"read: "* ]] || continue
    fell=yes
    in_box "$root" sh -c "$attacks" sh $device
    [[ ${lines[-1]} == end && $output != *read:* ]] || fell=no
  done
  umount "$root/mnt"
  [ -n "$fell" ] || skip "no device can be opened here"
  [ "$fell" = yes ]
}

@test "a mount that arrives below DIR later is not in a container of root's" {
  mkdir "$root/late"
  mkfifo -m 666 "$root/go" "$root/gone"
  alone_shared "$root" <<'END'
    mount --bind "$1" "$1"
    mount --make-shared "$1"
    for how in "unshare --mount --propagation slave chroot" contain "contain -r"; do
      $how "$1" sh -c 'echo >/go; read -r x </gone; echo "sees $(ls /late)"' </dev/null &
      read -r x <"$1/go"
      mount -t tmpfs tmpfs "$1/late"
      touch "$1/late/mark"
      echo >"$1/gone"
      wait $!
      umount "$1/late"
    done
END
  [ "$status" -eq 0 ]
  [ "$output" = $'sees mark\nsees \nsees ' ]
}
