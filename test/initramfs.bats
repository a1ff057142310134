#!/usr/bin/env bats
# pivot in an initramfs: whole machines, on each kernel.
# shellcheck disable=SC2034,SC2154 # vm.bash and helper.bash read and set them

load helper
load vm

setup() {
  initramfs=$BATS_TEST_TMPDIR/initramfs
  small_root "$initramfs"
  mkdir "$initramfs/newroot"

  # The file system on disk. Its init tells what it finds.
  disk_root=$BATS_TEST_TMPDIR/disk_root
  small_root "$disk_root"
  mkdir "$disk_root/sbin"
  chroot "$disk_root" /bin/busybox --install -s /bin
  cp "$top"/idmap/idmap "$top/pivot/pivot" "$disk_root/bin"
  echo 'nobody:x:65534:65534::/:/bin/sh' >"$disk_root/etc/passwd"
  cat >"$disk_root/sbin/init" <<'END'
#!/bin/sh
PATH=$PATH:/run
echo "pid $$"
while read -r id parent device top point options rest; do
  echo "mount $point ${rest##*- }"
done </proc/self/mountinfo
echo 3 >/proc/sys/vm/drop_caches
echo "free $(sed -n 's/MemFree: *\([0-9]*\) kB/\1/p' /proc/meminfo)"
su nobody -c 'idmap -n mnt cat /proc/self/uid_map' && echo "namespaces work"
[ -c /dev/null ] && [ -d /sys/kernel ] && [ -x /run/vm-exit ] && echo "all came along"
vm-exit 3
END
  chmod +x "$disk_root/sbin/init"
  vm_modules=(virtio_pci virtio_blk squashfs)
}

# disk TYPE: gives the machine a disk with that file system.
disk() {
  local image=$BATS_TEST_TMPDIR/$1
  rm -f "$image"
  if [[ $1 == ext4 ]]; then
    truncate -s 32M "$image"
    mkfs.ext4 -q -d "$disk_root" "$image"
  else
    mksquashfs "$disk_root" "$image" -quiet -no-progress >/dev/null
  fi
  vm_arguments=(-drive "file=$image,if=virtio,format=raw,snapshot=on")
}

# has LINE...: each is a line of the console.
has() {
  local line
  for line; do
    grep -qxF -- "$line" <<<"$output" || fail "missing: $line"
  done
}

# An initramfs like a distribution's: 30 MB, in many files and folders.
fill() {
  mkdir -p "$1/lib/deep/"{1,2,3,4}/{5,6,7}/8
  head -c 30M /dev/urandom >"$1/lib/large"
  touch "$1"/lib/deep/1/5/file{1..400} "$1/lib/"$'new\nline' "$1/lib/.hidden"
  ln -s /newroot "$1/lib/link"
  mkfifo "$1/lib/fifo"
}

@test "pivot -f leaves the initramfs for a disk, with all of its memory, on each kernel" {
  local suite type free
  fill "$initramfs"
  for suite in "${suites[@]}"; do
    for type in ext4 squashfs; do
      disk "$type"
      booted "$suite" "$initramfs" <<END
        mount -t $type /dev/vda /newroot
        mount -t tmpfs tmpfs /run
        cp /bin/vm-exit /run
        mount -t tmpfs tmpfs /tmp
        mkdir /tmp/under
        mount -t tmpfs tmpfs /tmp/under
        echo "release \$(uname -r)"
        echo 3 >/proc/sys/vm/drop_caches
        echo "free \$(sed -n 's/MemFree: *\([0-9]*\) kB/\1/p' /proc/meminfo)"
        exec pivot -v -f /newroot /sbin/init
END
      [ "$status" -eq 3 ]
      has "pid 1" "namespaces work" "all came along"

      # No mount is left but the new root and what came along.
      [ "$(sed -n 's/^mount \([^ ]*\) .*/\1/p' <<<"$output" | sort | xargs)" = "/ /dev /proc /run /sys" ]
      [[ $output == *"mount / $type /dev/vda "* ]]

      # The 30 MB are free again.
      mapfile -t free < <(sed -n 's/^free //p' <<<"$output")
      ((free[1] - free[0] > 28 * 1024)) || fail "free: ${free[*]} kB"

      # A kernel that can pivot its initramfs does.
      if [[ $output =~ release\ ([0-9]+)\. && ${BASH_REMATCH[1]} -ge 7 ]]; then
        [[ $output == *'+ pivot_root(".", ".")'*'+ umount2("/..", MNT_DETACH'* && $output != *'+ chroot('* ]]
      else
        [[ $output == *'+ pivot_root(".", ".")'*'+ move_mount(AT_FDCWD, ".", AT_FDCWD, "/"'*'+ chroot(".")'* ]]
      fi
    done
  done
}

@test "a bare chroot out of the initramfs leaves a user no namespaces, and the files" {
  # The control of the test above.
  disk ext4
  booted bookworm "$initramfs" <<'END'
    mount -t ext4 /dev/vda /newroot
    mount -t proc proc /newroot/proc
    mount -t devtmpfs dev /newroot/dev
    cp /bin/vm-exit /newroot/bin
    chroot /newroot su nobody -c 'idmap -n mnt true' || vm-exit 4
END
  [ "$status" -eq 4 ]
}

@test "without -f the files stay, and everything else holds" {
  local suite
  disk ext4
  for suite in "${suites[@]}"; do
    booted "$suite" "$initramfs" <<'END'
      mount -t ext4 /dev/vda /newroot
      mount -t tmpfs tmpfs /run
      cp /bin/vm-exit /run
      exec pivot /newroot /sbin/init
END
    [ "$status" -eq 3 ]
    has "pid 1" "namespaces work" "all came along"
  done
}

@test "a new root on a shared mount, or a plain directory of another, can be left for" {
  local suite
  disk ext4
  for suite in bullseye "${suites[-1]}"; do
    booted "$suite" "$initramfs" <<'END'
      mount -t tmpfs tmpfs /run
      cp /bin/vm-exit /run
      mkdir /tmp/shared
      mount -t tmpfs tmpfs /tmp/shared
      mount --make-rshared /
      mkdir /tmp/shared/root
      mount -t ext4 /dev/vda /tmp/shared/root
      exec pivot -f /tmp/shared/root /sbin/init
END
    [ "$status" -eq 3 ]
    has "pid 1" "namespaces work" "all came along"
    booted "$suite" "$initramfs" <<'END'
      mount -t tmpfs tmpfs /run
      cp /bin/vm-exit /run
      mount -t ext4 /dev/vda /newroot
      mkdir /newroot/in
      cp -a /newroot/[!i]* /newroot/in 2>/dev/null || true
      exec pivot -f /newroot/in /sbin/init
END
    [ "$status" -eq 3 ]
    has "pid 1" "namespaces work" "all came along"
  done
}

@test "mounts that hide each other, with odd names, do not stay" {
  local suite
  disk ext4
  for suite in bullseye "${suites[-1]}"; do
    booted "$suite" "$initramfs" <<'END'
      mount -t tmpfs tmpfs /run
      cp /bin/vm-exit /run
      mount -t ext4 /dev/vda /newroot
      mkdir -p /a/b
      mount -t tmpfs tmpfs /a/b
      mount -t tmpfs tmpfs /a
      mount -t tmpfs tmpfs /a
      for name in 'a b' 'new
line' 'back\slash' '\040' 'gone (deleted)'; do
        mkdir "/$name"
        mount -t tmpfs tmpfs "/$name"
      done
      exec pivot -f /newroot /sbin/init
END
    [ "$status" -eq 3 ]
    has "pid 1" "namespaces work" "all came along"
    [ "$(sed -n 's/^mount \([^ ]*\) .*/\1/p' <<<"$output" | sort | xargs)" = "/ /dev /proc /run /sys" ]
  done
}

@test "-f deletes nothing of another file system, nor of an initramfs that is still in use" {
  local suite
  disk ext4
  for suite in bullseye "${suites[-1]}"; do
    # What is mounted on a directory is kept; what was below it is gone.
    booted "$suite" "$initramfs" <<'END'
      mount -t tmpfs tmpfs /run
      cp /bin/vm-exit /run
      mount -t ext4 /dev/vda /newroot
      mkdir /newroot/kept /kept /again
      echo kept >/newroot/kept/file
      mount --bind /newroot/kept /kept
      mount -t ext4 /dev/vda /again
      mkdir -p /again/kept/sub
      printf '%s\n' 'cat /kept/file; ls -d /kept/sub' >>/newroot/etc/rc
      sed -i '2i . /etc/rc' /newroot/sbin/init
      exec pivot -f /newroot /sbin/init
END
    [ "$status" -eq 3 ]
    has "pid 1" kept /kept/sub

    # A bind of the initramfs in the new root, the new root itself of the
    # initramfs, and a caller that is not PID 1: refused, with every file there.
    booted "$suite" "$initramfs" <<'END'
      before=$(find / -xdev | sort | md5sum)
      mount -t ext4 /dev/vda /newroot
      mkdir /newroot/modules
      (pivot -f /newroot echo REACHED) || echo "not PID 1: $?"
      as_one() {
        unshare -p -m -f sh -euc "mount -t proc proc /proc; $1; exec pivot -f $2 echo REACHED"
      }
      as_one 'mount --bind /bin /newroot/modules' /newroot || echo "bind in it: $?"
      as_one 'mount --bind /bin /newroot' /newroot || echo "bind: $?"
      as_one true /bin || echo "plain: $?"
      umount /newroot
      [ "$before" = "$(find / -xdev | sort | md5sum)" ]
END
    [ "$status" -eq 0 ]
    has "not PID 1: 125" "bind in it: 125" "bind: 125" "plain: 125"
    [[ $output != *REACHED* ]]
  done
}

@test "the initramfs is named as the cause where pivot_root alone cannot do it" {
  disk ext4
  booted bullseye "$initramfs" <<'END'
    mount -t ext4 /dev/vda /newroot
    pivot -o /newroot/tmp /newroot && exit 1
    pivot /newroot && exit 1
    exit 0
END
  [ "$status" -eq 0 ]
  has "pivot: pivot_root /newroot: Invalid argument" \
    "pivot: /: can only be covered, which needs PROG"
}

@test "PID 1, which shares its root with the kernel, can pivot again from there" {
  local suite
  disk ext4
  for suite in bullseye "${suites[-1]}"; do
    booted "$suite" "$initramfs" <<'END'
      mount -t tmpfs tmpfs /run
      cp /bin/vm-exit /run
      mount -t ext4 /dev/vda /newroot
      exec pivot -f /newroot /bin/sh -euc '
        mount -t tmpfs tmpfs /tmp
        cp -a /bin /sbin /etc /tmp
        mkdir /tmp/dev /tmp/proc /tmp/sys /tmp/run
        for dir in dev proc sys run; do mount --move /$dir /tmp/$dir; done
        mount --bind /tmp/proc /proc
        exec pivot /tmp /sbin/init'
END
    [ "$status" -eq 3 ]
    has "pid 1" "namespaces work" "all came along"
    [ "$(sed -n 's/^mount \([^ ]*\) .*/\1/p' <<<"$output" | sort | xargs)" = "/ /dev /proc /run /sys" ]
  done
}

@test "where the initramfs can be pivoted, PROG is not needed, and no false way back is told" {
  disk ext4
  booted "${suites[-1]}" "$initramfs" <<'END'
    mount -t ext4 /dev/vda /newroot
    mount -t tmpfs tmpfs /run
    cp /bin/vm-exit /run
    cd /
    pivot /newroot
    exec /sbin/init
END
  [ "$status" -eq 3 ]
  has "pid 1" "namespaces work" "all came along"
  [[ $output != *"still reaches"* ]]
}

@test "on a machine that lives in its initramfs, a namespace of root's can pivot, a container from Linux 7.0 on" {
  local suite kind libraries containers
  local points=(/ /dev /dev/{console,full,null,pts,random,shm,tty,urandom,zero} /proc /sys /sys/fs/cgroup)
  small_root "$initramfs/newroot"
  echo marker >"$initramfs/newroot/marker"
  cp "$disk_root/etc/passwd" "$initramfs/etc"

  # contain needs bash, and all else that busybox has.
  cp "$top/scripts/contain" "$(type -P bash)" "$initramfs/bin"
  ln -s . "$initramfs/usr"
  mapfile -t libraries < <(ldd "$(type -P bash)" | grep -o '/[^ ]*')
  cp -L --parents -- "${libraries[@]}" "$initramfs"

  for suite in bullseye "${suites[-1]}"; do
    booted "$suite" "$initramfs" <<'END'
      mount -t tmpfs tmpfs /run
      touch /run/secret
      before=$(cat /proc/self/mountinfo)
      look='read -r line </marker; echo "$1 $line"; while read -r a b c d point rest; do echo "$1 $point"; done </proc/self/mountinfo'
      unshare -m pivot /newroot sh -c "$look" sh plain
      unshare -m sh -c 'mount --bind /newroot /newroot; exec pivot /newroot sh -c "$@"' sh "$look" sh mount
      unshare -m pivot / sh -c "cp /newroot/marker /marker; $look" sh root
      unshare -m sh -c 'mount --rbind / /; exec pivot / sh -c "$@"' sh "$look" sh covered
      su nobody -c 'idmap -n mnt pivot /newroot cat /marker' && echo user

      # What a container's root sees of the machine, and of what it may uncover.
      export look="$look"'
        for path in / /..; do
          ! umount -l $path || echo "$1 took off $path"
        done
        for path in /newroot /proc/1/root/newroot /run/*; do
          [ ! -e "$path" ] || echo "$1 sees $path"
        done
        nsenter --mount=/proc/self/ns/mnt sh -c "[ ! -e /newroot ]" || echo "$1 can leave"'
      chown 1900019712 /newroot
      contain -c /newroot sh -c "$look" sh root-contain || echo "root-contain failed: $?"
      chown nobody /newroot
      su nobody -c 'contain -c /newroot sh -c "$look" sh user-contain' || echo "user-contain failed: $?"
      [ "$before" = "$(cat /proc/self/mountinfo)" ]
      ! uname -r | grep -q '^[7-9]' || echo new

      # On a copy of the initramfs, which root has put on top, any kernel can.
      exec pivot / sh -euc '
        su nobody -c "contain -c /newroot sh -c \"\$look\" sh on-copy"
        vm-exit 0'
END
    [ "$status" -eq 0 ]
    for kind in plain mount root covered; do
      [ "$(grep "^$kind " <<<"$output" | sort | xargs)" = "$kind / $kind /dev $kind /proc $kind /run $kind /sys $kind marker" ]
    done
    containers=(on-copy)
    if grep -qx new <<<"$output"; then
      has user
      containers+=(root-contain user-contain)
    else
      has "pivot: pivot_root /newroot: Invalid argument" \
        "root-contain failed: 125" "user-contain failed: 125"
      [[ $output != *$'\n'user$'\n'* ]]
    fi
    for kind in "${containers[@]}"; do
      diff <(grep "^$kind " <<<"$output" | sort) <(printf "$kind %s\n" "${points[@]}" marker | sort)
    done
  done
}

@test "on each kernel a namespace of root's and one of a user's get the new root, and only that" {
  local suite kind
  small_root "$disk_root/srv/root"
  echo marker >"$disk_root/srv/root/marker"
  cat >"$disk_root/namespaces" <<'END'
trap '/run/vm-exit $?' EXIT
mount --make-rshared /
before=$(cat /proc/self/mountinfo)
look='read -r line </marker; echo "$1 $line"; [ -e /proc/self ] || mount -t proc proc /proc
  while read -r a b c d point rest; do echo "$1 $point"; done </proc/self/mountinfo'
unshare -m --propagation shared pivot /srv/root sh -c "$look" sh plain
unshare -m --propagation shared sh -c 'mount --bind /srv/root /srv/root; exec pivot /srv/root sh -c "$@"' sh "$look" sh mount
umount /srv/root
unshare -m sh -c 'mount --bind /srv /srv; mount --make-shared /srv; mount --bind root /srv/root
  exec pivot /srv/root sh -c "$@"' sh "$look" sh below
mount --bind /srv/root /srv/root
mount --bind /proc /srv/root/proc
locked=$(cat /proc/self/mountinfo)
su nobody -c "idmap -n mnt pivot /srv/root sh -c '$look' sh locked"
[ "$locked" = "$(cat /proc/self/mountinfo)" ]
umount /srv/root/proc
umount /srv/root
su nobody -c "idmap -n mnt sh -c 'mount --rbind /proc /srv/root/proc; exec pivot /srv/root cat /marker'"
su nobody -c 'idmap -n mnt pivot / cat /srv/root/marker'
[ "$before" = "$(cat /proc/self/mountinfo)" ]
END
  disk ext4
  for suite in "${suites[@]}"; do
    booted "$suite" "$initramfs" <<'END'
      mount -t ext4 /dev/vda /newroot
      mount -t tmpfs tmpfs /run
      cp /bin/vm-exit /run
      exec pivot -f /newroot /bin/sh -eu /namespaces
END
    [ "$status" -eq 0 ]
    for kind in plain mount below locked; do
      [ "$(grep "^$kind " <<<"$output" | sort | xargs)" = "$kind / $kind /proc $kind marker" ]
    done
    [ "$(grep -cx marker <<<"$output")" -eq 2 ]
  done
}

@test "in an initramfs without /proc it works as well" {
  local suite
  disk ext4
  for suite in bullseye "${suites[-1]}"; do
    booted "$suite" "$initramfs" <<'END'
      mount -t tmpfs tmpfs /run
      cp /bin/vm-exit /run
      mount -t ext4 /dev/vda /newroot
      sed -i '2i mount -t proc proc /proc' /newroot/sbin/init
      umount /proc
      exec pivot -f /newroot /sbin/init
END
    [ "$status" -eq 3 ]
    has "pid 1" "namespaces work" "all came along"
  done
}
