#!/usr/bin/env bats
# contain-boot on Debian's own kernel, where cgroups are version 2 and nothing else.
#
# shellcheck disable=SC2016 # what stands in single quotes is for another shell
# shellcheck disable=SC2034,SC2154 # helper.bash and vm.bash set and read them

load helper
load vm

@test "Debian boots in a container of Debian, with its controllers delegated" {
  local disk=$BATS_TEST_TMPDIR/disk tree=$BATS_TEST_TMPDIR/tree tool
  mkdir -p "$tree/closed/debian"
  tar -C "$tree" --numeric-owner -xpf "$(debian_tar systemd)"
  tar -C "$tree/closed/debian" --numeric-owner -xpf "$(debian_tar systemd)"
  chmod 700 "$tree/closed"
  for tool in pivot seal nsjoin idmap safemount; do
    cp "$top/$tool/$tool" "$tree/usr/local/bin"
  done
  cp "$top"/scripts/{contain,contain-boot,inject} "$tree/usr/local/bin"
  cat >"$tree/test" <<'END'
#!/bin/bash
exec 2>&1
trap '/run/vm-exit $?' EXIT
set -e
PATH=/usr/local/bin:/usr/bin:/bin:/usr/sbin:/sbin
mkdir -p /dev/pts
mount -t devpts devpts /dev/pts
mount -t cgroup2 cgroup2 /sys/fs/cgroup
echo '+memory +pids' >/sys/fs/cgroup/cgroup.subtree_control
mount -t tmpfs tmpfs /tmp
mkfifo /tmp/keys
exec {keys}<>/tmp/keys
contain-boot -s /closed/debian <&$keys >/tmp/console 2>&1 &
contain=$!
until grep -q 'login: ' /tmp/console; do
  sleep 1
  kill -0 $contain || cat /tmp/console
done
until state=$(inject $contain systemctl is-system-running </dev/null); [[ $state != starting ]]; do sleep 1; done
echo "state $state"
echo "failed $(inject $contain systemctl --failed --no-legend </dev/null)"
echo "controllers $(inject $contain cat /sys/fs/cgroup/cgroup.controllers </dev/null)"
echo "tasks $(inject $contain cat /sys/fs/cgroup/system.slice/dbus.service/pids.max </dev/null)"
echo "owner $(stat -c %u /sys/fs/cgroup/contain-*/box/cgroup.procs)"
kill -s RTMIN+3 $contain
status=0
wait $contain || status=$?
echo "status $status"
echo "left $(find /sys/fs/cgroup -name 'contain-*')"
END
  chmod +x "$tree/test"
  truncate -s 900M "$disk"
  mkfs.ext4 -q -d "$tree" "$disk"
  rm -rf "$tree"

  vm_modules=(virtio_pci virtio_blk ext4)
  vm_arguments=(-m 1024 -drive "file=$disk,if=virtio,format=raw")
  vm_seconds=240
  booted bookworm <<'END'
    mkdir -p /newroot
    mount -t ext4 /dev/vda /newroot
    mount -t tmpfs tmpfs /run
    cp /bin/busybox /run
    printf '#!/run/busybox sh\necho "vm-exit $1" >/dev/console\n/run/busybox stty -F /dev/console sane\n/run/busybox reboot -f\n' >/run/vm-exit
    chmod +x /run/vm-exit
    exec pivot -f /newroot /test
END
  [ "$status" -eq 0 ]
  [[ $output == *$'state running\nfailed \n'* ]]
  [[ $output =~ controllers\ .*memory\ pids ]]
  [[ $output =~ tasks\ [0-9]+ ]]
  [[ $output == *$'\nowner '[12]?????????$'\nstatus 130\nleft ' ]]
}
