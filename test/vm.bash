#!/usr/bin/env bash
# vm.bash: whole machines, for what one kernel cannot show.
#
#   load helper
#   load vm
#
#   @test "an unprivileged user namespace works on Linux 5.10" {
#     booted bullseye <<'END'
#       idmap -n mnt true
#   END
#     [ "$status" -eq 0 ]
#   }
#
# The machine has the kernel of a Debian suite (test/kernels fetches it; without
# a network the test is skipped), 256 MB, one processor that is emulated, and an
# initramfs made of a directory. It boots in two to four seconds.
#
# Needs: qemu-system-x86, cpio, kmod, xz-utils, busybox-static.
# shellcheck disable=SC2154 # bats sets status and output

# The suites, oldest kernel first: 5.10, 6.1, and the newest that Debian has.
# shellcheck disable=SC2034 # for the test files
suites=(bullseye bookworm trixie-backports)

# booted SUITE [DIR] <<END: a script for busybox' sh on standard input, run with
# -eu as PID 1 of a machine with the kernel of SUITE. The initramfs is DIR, by
# default a small root, and gets the tools in /bin. /dev, /proc and /sys are
# mounted. The console's output and the script's exit status are those of run;
# the status is 255 if the machine ended without one. A script that becomes
# another init has to run "vm-exit STATUS" there.
#
#   vm_modules=(NAME...)  kernel modules that are loaded before the script
#   vm_append=WORDS       more for the kernel's command line
#   vm_arguments=(ARG...) more for qemu, such as a disk
#   vm_seconds=SECONDS    how long it may take, 60 by default
booted() {
  local kernel dir=${2-}
  kernel=$("$top/test/kernels" "$1" 2>"$BATS_TEST_TMPDIR/kernels.err") ||
    skip "no kernel of $1: $(tail -n 1 "$BATS_TEST_TMPDIR/kernels.err")"
  if [[ -z $dir ]]; then
    dir=$BATS_TEST_TMPDIR/initramfs
    small_root "$dir"
  fi
  cat >"$dir/script"
  vm_root "$dir" "$kernel"
  (cd -- "$dir" && find . -print0 | cpio --quiet -0 -o -H newc -R 0:0) >"$dir.cpio"

  run timeout -k 5 "${vm_seconds:-60}" qemu-system-x86_64 \
    -M q35 -accel tcg -cpu qemu64 -m 256 -nodefaults -no-user-config \
    -display none -serial stdio -no-reboot \
    -kernel "$kernel/vmlinuz" -initrd "$dir.cpio" \
    -append "console=ttyS0 quiet panic=-1 ${vm_append-}" \
    "${vm_arguments[@]}" </dev/null
  output=${output//$'\r'/}
  status=255
  if [[ $output =~ ^((.*)$'\n')?'vm-exit '([0-9]+)$'\n'.*Restarting ]]; then
    output=${BASH_REMATCH[2]} status=${BASH_REMATCH[3]}
  fi
  printf '%s\n[%s]\n' "$output" "$status"
}

# vm_root DIR KERNEL: makes DIR an initramfs that runs its /script.
vm_root() {
  local name module
  cp -- "$top"/{pivot/pivot,seal/seal,nsjoin/nsjoin,idmap/idmap,safemount/safemount} \
    "$1/bin" 2>/dev/null || true
  chroot "$1" /bin/busybox --install -s /bin

  cat >"$1/init" <<'END'
#!/bin/sh
mount -t devtmpfs dev /dev
mount -t proc proc /proc
mount -t sysfs sysfs /sys
for module in /modules/*.ko; do
  [ ! -e "$module" ] || insmod "$module"
done
exec sh -eu -c 'trap "vm-exit \$?" EXIT; . /script'
END
  # Small kernels have no /dev/port for a device that ends qemu with a status, so
  # it is the last line. What is still in a buffer would be lost: stty waits.
  cat >"$1/bin/vm-exit" <<'END'
#!/bin/sh
echo "vm-exit $1" >/dev/console
stty -F /dev/console sane
reboot -f
END
  chmod +x "$1/init" "$1/bin/vm-exit"

  # In the order in which they are to be loaded; what is built in has no file.
  rm -rf -- "$1/modules"
  mkdir "$1/modules"
  for name in "${vm_modules[@]}"; do
    modprobe -d "$2" -S "$(ls "$2/lib/modules")" --show-depends "$name"
  done | sed -n 's/^insmod //p' | awk '!seen[$1]++ {print $1}' |
    while read -r module; do
      printf -v name '%s/modules/%02d.ko' "$1" "$((number++))"
      cp -- "$module" "$name"
    done
}
