#!/usr/bin/env bats
# contain-boot: a whole Debian, with systemd as PID 1, booted as systemd asks to be.
#
# shellcheck disable=SC2016 # what stands in single quotes is for another shell
# shellcheck disable=SC2030,SC2031,SC2154 # each test sets its own; helper.bash sets top

load helper

setup_file() {
  closed=$(mktemp -d "$BATS_FILE_TMPDIR/XXXXXX")
  export closed debian=$closed/debian
  mkdir "$debian"
  tar -C "$debian" --numeric-owner -xpf "$(debian_tar systemd)"
  sed -i 's/^root:[^:]*:/root::/' "$debian/etc/shadow"
  rm "$debian/etc/hostname"
}

# boot env [VARIABLE=VALUE]...: boots it, by the command in init if there is one,
# with a pipe to type into and a log of its console, and waits until it is up.
boot() {
  console=$BATS_TEST_TMPDIR/console
  mkfifo "$BATS_TEST_TMPDIR/keys"
  exec {keys}<>"$BATS_TEST_TMPDIR/keys"
  TERM=linux "$@" contain-boot -s "$debian" "${init[@]}" <&"$keys" >"$console" 2>&1 3>&- &
  contain=$!
  wait_for grep -q 'login: ' "$console"
  wait_for is_up || {
    is_up || inject "$contain" systemctl --failed --no-pager </dev/null
    return 1
  }
}

is_up() {
  try inject "$contain" systemctl is-system-running </dev/null
  [ "$output" = running ]
}

# ends_with STATUS
ends_with() {
  local status=0
  wait_for eval '! kill -0 $contain'
  wait "$contain" || status=$?
  [ "$status" -eq "$1" ]
}

# left: the cgroups of containers that were not there before the test.
left() {
  find /sys/fs/cgroup -depth -path '*/contain-*' -type d | grep -vxFf "$BATS_TEST_TMPDIR/before"
}

setup() {
  find /sys/fs/cgroup -depth -path '*/contain-*' -type d >"$BATS_TEST_TMPDIR/before"
}

teardown() {
  rmdir /sys/fs/cgroup/{,unified/}nsteps-alice 2>/dev/null || true
  tail -n 20 "$console" || true
  if pkill -KILL -x idmap || left; then
    wait_for eval 'left | tr "\n" "\0" | xargs -0 rmdir' || true # for the next test
    return 1
  fi
}

@test "Debian boots to running, with no failed unit and a login that works, and ends by SIGRTMIN+3" {
  boot env
  try inject "$contain" systemctl --failed --no-legend </dev/null
  [ "$output" = "" ]
  printf 'root\n' >&"$keys"
  wait_for grep -q '# ' "$console"
  printf 'tty; echo $((6 * 7))-; id -u\n' >&"$keys"
  wait_for grep -q '^42-' "$console"
  grep -q '/dev/console' "$console"
  kill -s 37 "$contain"
  ends_with 130
}

@test "poweroff inside ends contain by SIGINT, reboot by SIGHUP, systemctl exit by a status" {
  boot env
  inject "$contain" systemctl --no-block poweroff </dev/null
  ends_with 130
  rm "$BATS_TEST_TMPDIR/keys"
  boot env
  inject "$contain" systemctl --no-block reboot </dev/null
  ends_with 129
  rm "$BATS_TEST_TMPDIR/keys"
  boot env
  inject "$contain" systemctl --no-block exit 42 </dev/null
  ends_with 42
}

@test "inside it is as systemd's CONTAINER_INTERFACE has it" {
  uuid=0123456789abcdef0123456789abcdef
  : >"$debian/etc/machine-id"
  boot env container_uuid=01234567-89ab-cdef-0123-456789abcdef container_ttys=pts/5
  inside() {
    try inject "$contain" "$@" </dev/null
  }
  inside systemd-detect-virt --container
  [ "$output" = container-other ]
  inside cat /run/systemd/container
  [ "$output" = contain ]
  inside cat /etc/machine-id
  [ "$output" = "$uuid" ]
  inside sh -c 'tr "\0" "\n" </proc/1/environ | sort'
  [[ $output == *container=contain* && $output == *container_ttys=pts/5* ]]
  [[ $output != *BATS* && $output != *HOME=/root/* ]]
  inside cat /run/host/container-manager /run/host/container-uuid
  [ "$output" = $'contain\n01234567-89ab-cdef-0123-456789abcdef' ]
  inside cmp /run/host/os-release /etc/os-release
  [ "$status" -eq 0 ]
  inside sh -c 'for m in /run /tmp /proc /sys /sys/fs/cgroup /run/host/proc /run/host/sys; do findmnt -no FSTYPE $m; done'
  [ "$output" = $'tmpfs\ntmpfs\nproc\nsysfs\ncgroup2\nproc\nsysfs' ]
  inside sh -c 'echo 1 >/proc/sys/kernel/printk'
  [ "$status" -ne 0 ]
  inside sh -c 'echo 1 >/proc/sys/net/ipv4/ip_forward; cat /proc/sys/net/ipv4/ip_forward'
  [ "$output" = 1 ]
  inside sh -c 'touch /sys/probe'
  [ "$status" -ne 0 ]
  inside systemctl is-enabled systemd-modules-load.service sys-kernel-debug.mount
  [ "$output" = $'masked-runtime\nmasked-runtime' ] # Debian 13's own list of modules fails to load
  inside sh -c 'readlink /proc/1/ns/cgroup >/dev/null; cat /proc/1/cgroup'
  [[ $output == *"0::/init.scope"* ]]
  inside sh -c 'mkdir /sys/fs/cgroup/probe && echo $$ >/sys/fs/cgroup/probe/cgroup.procs && cat /proc/self/cgroup'
  [[ $output == *"0::/probe"* ]]
  # idmap itself is not in the cgroup that the container was given
  grep -qx '0::/' <(sed 's/contain-[0-9]*//' "/proc/$contain/cgroup")
  inside sh -c 'unshare --user --map-root-user --pid --fork --mount-proc true'
  [ "$status" -eq 0 ]
  kill -s 37 "$contain"
  ends_with 130
}

@test "a login is served on a terminal of container_ttys, which is made before the init" {
  local init=(/bin/sh -c 'setsid socat PTY,ignoreeof UNIX-LISTEN:/run/tty0 & exec /sbin/init')
  local log=$BATS_TEST_TMPDIR/log line inject
  boot env container_ttys=pts/0
  mkfifo "$BATS_TEST_TMPDIR/line"
  exec {line}<>"$BATS_TEST_TMPDIR/line"
  inject "$contain" socat - UNIX-CONNECT:/run/tty0 <&"$line" >"$log" 3>&- &
  inject=$!
  wait_for grep -q 'login: ' "$log"
  printf 'root\n' >&"$line"
  wait_for grep -q '# ' "$log"
  printf 'ps -o tty=,args= $$; echo $((6 * 7))-\n' >&"$line"
  wait_for grep -q '^42-' "$log"
  grep -q 'pts/0  *-bash' "$log"
  kill "$inject"
  wait "$inject" || true
  kill -s 37 "$contain"
  ends_with 130
}

@test "a socket is handed over and served by LISTEN_FDS" {
  mkdir -p "$debian/etc/systemd/system/sockets.target.wants"
  cat >"$debian/etc/systemd/system/probe.socket" <<'END'
[Socket]
ListenStream=127.0.0.1:7070
Accept=yes
END
  cat >"$debian/etc/systemd/system/probe@.service" <<'END'
[Service]
ExecStart=/bin/cat /proc/sys/kernel/hostname
StandardOutput=socket
END
  ln -sf ../probe.socket "$debian/etc/systemd/system/sockets.target.wants/"
  console=$BATS_TEST_TMPDIR/console
  systemd-socket-activate -l 127.0.0.1:7070 contain-boot -s "$debian" </dev/null >"$console" 2>&1 3>&- &
  contain=$!
  wait_for eval 'ss -ltn | grep -q 127.0.0.1:7070'
  try socat -u -T 30 TCP:127.0.0.1:7070 -
  [[ $output == *debian* ]]
  kill -s 37 "$contain"
  ends_with 130
}

@test "busybox init boots, and ends contain as systemd does" {
  local root=$BATS_TEST_TMPDIR/root command=(poweroff reboot) statuses=(130 129) i
  chmod 755 "$BATS_RUN_TMPDIR" "$BATS_RUN_TMPDIR/test" "$BATS_TEST_TMPDIR"
  console=$BATS_TEST_TMPDIR/console
  small_root "$root"
  chroot "$root" /bin/busybox --install -s /bin
  mkdir "$root/sbin"
  ln -s /bin/busybox "$root/sbin/init"
  give_to_container "$root"
  printf '::sysinit:/bin/echo is up\n::respawn:/bin/sleep 1000\n' >"$root/etc/inittab"
  for i in 0 1; do
    contain-boot "$root" </dev/null >"$console" 2>&1 3>&- &
    contain=$!
    wait_for grep -q 'is up' "$console"
    try inject "$contain" cat /proc/1/comm </dev/null
    [ "$output" = init ]
    inject "$contain" "${command[i]}" </dev/null || true # init ends it as well
    ends_with "${statuses[i]}"
  done
}

@test "runit boots Debian with its System V scripts, and ends contain as systemd does" {
  local root=$closed/runit command=(poweroff reboot) statuses=(130 129) i
  console=$BATS_TEST_TMPDIR/console
  mkdir "$root"
  tar -C "$root" --numeric-owner -xpf "$(debian_tar runit)"
  mkdir "$root/etc/sv/getty-console"
  printf '#!/bin/sh\nexec getty 38400 console linux\n' >"$root/etc/sv/getty-console/run"
  chmod +x "$root/etc/sv/getty-console/run"
  ln -s /etc/sv/getty-console "$root/etc/runit/runsvdir/default/"
  for i in 0 1; do
    contain-boot -s "$root" </dev/null >"$console" 2>&1 3>&- &
    contain=$!
    wait_for grep -q 'login: ' "$console"
    grep -q 'enter stage: /etc/runit/2' "$console"
    try inject "$contain" sh -c 'cat /proc/1/comm; sv status getty-console' </dev/null
    [[ $output == $'runit\nrun: getty-console: (pid '* ]]
    inject "$contain" "${command[i]}" </dev/null || true
    ends_with "${statuses[i]}"
    grep -q 'leave stage: /etc/runit/3' "$console"
  done
}

@test "-r with / is read-only for good, but for the cgroup" {
  console=/dev/null
  local script='
    touch /var/tmp/nsteps && echo wrote
    mount -o remount,bind,rw / && touch /var/tmp/nsteps && echo remounted
    umount -l / && touch /var/tmp/nsteps && echo uncovered
    umount -l /sys/fs/cgroup && umount -l /sys && mkdir /sys/fs/cgroup/*/probe && echo outside
    mount -t cgroup2 cgroup2 /sys/fs/cgroup
    mkdir /sys/fs/cgroup/probe && echo $$ >/sys/fs/cgroup/probe/cgroup.procs && cat /proc/self/cgroup'
  try contain-boot -r / /bin/sh -c "$script" </dev/null
  [ "$status" -eq 0 ]
  [[ ${lines[-1]} == 0::/probe* ]]
  [[ $output != *wrote* && $output != *remounted* && $output != *uncovered* && $output != *outside* ]]
  # the control: it is -r that does it
  try contain-boot / /bin/sh -c 'touch /var/tmp/nsteps && rm /var/tmp/nsteps && echo wrote' </dev/null
  [[ $output == wrote* ]]
}

@test "it goes with -n, and a socket that is handed over with /" {
  console=/dev/null
  try contain-boot -n / /bin/sh -c 'readlink /proc/self/ns/net; ls /run/host/sys/class/net' </dev/null
  [ "${lines[0]//$'\r'/}" = "$(readlink /proc/self/ns/net)" ]
  [[ $output == *lo* ]]
  try bash -c 'exec 3</etc/passwd; LISTEN_FDS=1 LISTEN_PID=$$ exec contain-boot / /bin/sh -c "echo \$LISTEN_PID; head -c 5 <&3"' </dev/null
  [[ ${output//$'\r'/} == $'1\nroot:'* ]]
}

@test "a user boots it in a cgroup that is his, and is told where it is not" {
  local home=$BATS_TEST_TMPDIR/home own=/sys/fs/cgroup/unified/nsteps-alice
  [[ -d ${own%/*} ]] || own=/sys/fs/cgroup/nsteps-alice
  make_user alice 300000:65536
  mkdir "$home"
  chown alice: "$home"
  chmod 755 "$BATS_RUN_TMPDIR" "$BATS_RUN_TMPDIR/test" "$BATS_TEST_TMPDIR"
  as_user alice pseudo tar -C "$home" --numeric-owner -xpf - <"$(debian_tar systemd)"
  console=$BATS_TEST_TMPDIR/console
  try as_user alice contain-boot "$home" </dev/null
  [ "$status" -eq 125 ]
  [[ $output == *"we may make no cgroup"*"Delegate=yes"* ]]
  mkdir "$own"
  chown alice: "$own" "$own"/cgroup.{procs,subtree_control,threads}
  (
    echo "$BASHPID" >"$own/cgroup.procs"
    exec as_user alice contain-boot "$home" </dev/null >"$console" 2>&1 3>&-
  ) &
  contain=$!
  wait_for is_up
  # What alice injects is under the container's limits, and idmap is not in it.
  enter() {
    echo "$BASHPID" >"$1/cgroup.procs"
    exec as_user alice inject "${@:2}"
  }
  try enter "$own" "$contain" sh -c 'cat /proc/self/cgroup' </dev/null
  [[ $output == *0::/* && $output != *0::/../* ]]
  # From a cgroup that is not hers alice may not move it, and it runs there.
  try as_user alice inject "$contain" sh -c 'cat /proc/self/cgroup' </dev/null
  [[ $output == *0::/../* ]]
  [[ $(grep ^0: "/proc/$contain/cgroup") == 0::*/nsteps-alice ]]
  # Those who own it cannot lift its limits, and reach nothing above it.
  try as_user alice inject "$contain" sh -c 'cd /sys/fs/cgroup; umount -l /sys/fs/cgroup; mount -t cgroup2 none /sys/fs/cgroup
    cd /sys/fs/cgroup; ls -d contain-* ../cgroup.kill 2>/dev/null
    i=0; while mkdir "new$i" 2>/dev/null; do i=$((i + 1)); done; test $i -lt 1000 && echo bounded' </dev/null
  [ "${lines[-1]}" = bounded ]
  [[ $output != *contain-* ]]
  kill -s 37 "$contain"
  ends_with 130
  wait_for rmdir "$own"
}

# systemd before 258 moves credentials in by a mount that has to propagate.
@test "credentials arrive, and a service with mounts of its own sees a later one" {
  boot env
  try inject "$contain" systemd-run --quiet --wait --pipe -p SetCredential=key:of-the-test sh -c 'cat "$CREDENTIALS_DIRECTORY/key"' </dev/null
  [ "$output" = of-the-test ]
  inject "$contain" systemd-run --quiet --unit=private -p PrivateTmp=yes sleep 1000 </dev/null
  inject "$contain" sh -c 'mkdir -p /mnt/late && mount -t tmpfs late /mnt/late && touch /mnt/late/mark' </dev/null
  try inject "$contain" sh -c 'nsenter -m -t "$(systemctl show -p MainPID --value private)" ls /mnt/late' </dev/null
  [ "$output" = mark ]
  kill -s 37 "$contain"
  ends_with 130
}

@test "an -o that fails leaves no cgroup, and nothing runs" {
  console=/dev/null
  try contain-boot -o false / /bin/sh -c 'echo ran' </dev/null
  [[ $status -eq 125 && $output != *ran* ]]
  [ "$(left)" = "" ]
  # What -o and -O have, and where they are.
  cd "$BATS_TEST_TMPDIR"
  try contain-boot -o 'pwd; cat "/proc/$PID/cgroup"' -O 'pwd; echo $STATUS' / /bin/sh -c 'exit 3' </dev/null
  [[ $status -eq 3 && ${lines[0]} == "$PWD" && $output == */box*"$PWD"$'\n3' ]]
}

@test "thousands of cgroups, deep and with long names, cannot be made, and what was is removed at once" {
  console=/dev/null
  TRY_SECONDS=40 try contain-boot / /bin/sh -c '
    cd /sys/fs/cgroup
    echo max >cgroup.max.depth; echo max >cgroup.max.descendants
    name=$(printf %0250d 0)
    for i in $(seq 40); do
      mkdir "$name" && cd -P "./$name" || break
    done 2>/dev/null
    echo deep $i
    cd /sys/fs/cgroup
    i=0; while mkdir "new $i" 2>/dev/null; do i=$((i + 1)); done
    echo wide $i; exit 7' </dev/null
  [ "$status" -eq 7 ]
  output=${output//$'\r'/}
  [[ $output == *"deep 1"[0-9]$'\n'* && $(grep -o 'wide.*' <<<"$output" | cut -d' ' -f2) -lt 1000 ]]
  [ "$(left)" = "" ]
}

@test "what the caller mounts below /run and /tmp is not covered" {
  console=/dev/null
  printf '/etc /run/etc none bind,create=dir\n' >"$BATS_TEST_TMPDIR/table"
  try contain-boot -b /etc:/tmp/etc -f "$BATS_TEST_TMPDIR/table" / /bin/sh -c 'ls -1 /run/etc/passwd /tmp/etc/passwd' </dev/null
  [ "${output//$'\r'/}" = $'/run/etc/passwd\n/tmp/etc/passwd' ]
}

@test "wrong usage of contain-boot is 64, and -p prints what it would execute" {
  console=/dev/null
  for bad in '' -Z -H --unknown; do
    try contain-boot ${bad:+"$bad"} </dev/null
    [[ $status -eq 64 && $output == contain-boot:*"usage: contain-boot "* ]]
  done
  try contain-boot --help
  [[ $status -eq 0 && $output == "usage: contain-boot "* ]]
  try contain-boot -V
  [ "$output" = 'contain-boot 2.0' ]
  contain-boot -p / /bin/sh -c 'cat /proc/1/comm; cat /run/host/container-manager' >"$BATS_TEST_TMPDIR/script"
  try dash "$BATS_TEST_TMPDIR/script" </dev/null
  [ "${output//$'\r'/}" = $'sh\ncontain' ]
}
