#!/usr/bin/env bats
# contain: its options, and what must hold against the container's own root.
#
# shellcheck disable=SC2016 # what stands in single quotes is for another shell
# shellcheck disable=SC2030,SC2031 # each test has variables of its own

load helper

setup() {
  chmod 755 "$BATS_RUN_TMPDIR" "$BATS_RUN_TMPDIR/test" "$BATS_TEST_TMPDIR"
  root=$BATS_TEST_TMPDIR/root
  small_root "$root"
  closed=$BATS_TEST_TMPDIR/closed
  mkdir -m 700 "$closed"
  small_root "$closed/tree"
  chroot "$root" /bin/busybox --install -s /bin
  give_to_container "$root"
  make_user alice 300000:65536
}

teardown() {
  # nothing of it is left
  run findmnt -no TARGET
  [[ $output != *"$BATS_TEST_TMPDIR"* ]]
  wait_for eval "! pgrep -x 'idmap|safemount|pivot'"
}

# in_box [OPTION]... [-- CMD]: contain on the small root, without a terminal.
in_box() {
  try contain "$@" </dev/null
}

@test "-H names the host, -n shares its network, -i runs inside before the pivot" {
  in_box -H box "$root" cat /proc/sys/kernel/hostname
  [ "$output" = box ]
  in_box -n "$root" readlink /proc/self/ns/net
  [ "$output" = "$(readlink /proc/self/ns/net)" ]
  in_box "$root" readlink /proc/self/ns/net
  [ "$output" != "$(readlink /proc/self/ns/net)" ]
  in_box -i 'ls -d /usr/share/common-licenses; echo $$' "$root" echo after
  [ "$output" = $'/usr/share/common-licenses\n1\nafter' ]
  in_box -i 'exit 3' "$root" echo ran
  [ "$status" -eq 125 ]
  [[ $output != *ran* ]]
  in_box -i false "$root" echo ran
  [ "$status" -eq 125 ]
  [[ $output != *ran* ]]
}

@test "-o runs outside before CMD with its PID, -O after it with its status" {
  in_box -o 'readlink /proc/$PID/ns/pid; echo before' -O 'echo after $STATUS' "$root" \
    sh -c 'readlink /proc/self/ns/pid; exit 4'
  [ "$status" -eq 4 ]
  [ "${lines[0]}" = "${lines[2]}" ]
  [ "${lines[1]}" = before ]
  [ "${lines[3]}" = "after 4" ]
  in_box -o false "$root" echo ran
  [ "$status" -eq 125 ]
  [[ $output != *ran* ]]
}

@test "-O runs though the directory that contain was started in is gone" {
  mkdir "$BATS_TEST_TMPDIR/here"
  try bash -c 'cd "$1/here"; contain -o "pwd; rmdir ../here" -O "echo after; pwd" "$1/root" true' bash "$BATS_TEST_TMPDIR" </dev/null
  [ "$output" = "$BATS_TEST_TMPDIR/here"$'\nafter\n/' ]
}

@test "-f mounts what its table says, after the container's own" {
  mkdir "$BATS_TEST_TMPDIR/shared" "$root/mnt"
  echo shared >"$BATS_TEST_TMPDIR/shared/file"
  printf '%s /mnt none bind,ro\ntmpfs /tmp tmpfs size=1m' "$BATS_TEST_TMPDIR/shared" >"$BATS_TEST_TMPDIR/table"
  in_box -f "$BATS_TEST_TMPDIR/table" "$root" sh -c 'cat /mnt/file; touch /mnt/x; df -k /tmp | tail -n 1'
  [ "${lines[0]}" = shared ]
  [[ ${lines[1]} == *"Read-only file system" ]]
  [[ ${lines[2]} == *" 1024 "* ]]
  echo 'bad' >"$BATS_TEST_TMPDIR/table"
  in_box -f "$BATS_TEST_TMPDIR/table" "$root" echo ran
  [ "$status" -eq 125 ]
  [[ $output != *ran* ]]
}

@test "a table on any descriptor is mounted, beside those of files and the container's own" {
  local number program
  echo 'tmpfs /home tmpfs create=dir' >"$BATS_TEST_TMPDIR/home"
  echo 'tmpfs /opt tmpfs create=dir' >"$BATS_TEST_TMPDIR/opt"
  cd "$BATS_TEST_TMPDIR"
  for program in contain contain-boot; do
    for number in 3 4 7 8 9 10; do
      try bash -c "exec $program -f opt -f fd:$number root /bin/grep -cE ' /(home|opt) ' /proc/mounts </dev/null $number<home"
      [ "${output%$'\r'}" = 2 ] || fail "$program -f fd:$number"
    done
  done
}

@test "-b binds what it names, by the caller's own path, with options, and not outside of DIR" {
  mkdir -p "$BATS_TEST_TMPDIR/a dir/sub" "$root/old"
  echo seen >"$BATS_TEST_TMPDIR/a dir/file"
  chmod 777 "$BATS_TEST_TMPDIR/a dir"
  give_to_container "$root"
  cd "$BATS_TEST_TMPDIR"
  in_box -b 'a dir:/new dir:ro' -b "$BATS_TEST_TMPDIR/a dir/file:/old/file" -b 'a dir:/old/$`\x' "$root" \
    sh -c 'cat "/new dir/file" /old/file; touch "/new dir/x"; touch "/old/$(printf "\\044\\140\\134")x/y"; ls /old'
  [ "${lines[0]} ${lines[1]}" = 'seen seen' ]
  [[ ${lines[2]} == *"Read-only file system" ]]
  [ -e 'a dir/y' ]
  [ "${lines[3]}" = '$`\x' ]
  # What is bound stays as it is where it came from.
  touch 'a dir/x'
  in_box -b missing:/mnt "$root" echo ran
  [[ $status -eq 125 && $output == "safemount: open_tree $BATS_TEST_TMPDIR/missing: No such file or directory" ]]
  in_box -b missing:/mnt:optional "$root" echo ran
  [ "$output" = ran ]
  ln -s "$BATS_TEST_TMPDIR/a dir" "$root/link"
  in_box -b /etc:/link/sub "$root" echo ran
  [[ $status -eq 125 && $output == *"/link: is a symbolic link"* && $output != *fd:* ]]
  in_box -b /etc:/mnt:wrong "$root" echo ran
  [[ $status -eq 125 && $output == *wrong* && $output != *ran* ]]
}

@test "-b comes after the tables, so that it is not covered" {
  printf 'tmpfs /tmp tmpfs\n' >"$BATS_TEST_TMPDIR/table"
  in_box -b /etc:/tmp/etc -f "$BATS_TEST_TMPDIR/table" "$root" sh -c 'ls /tmp/etc/passwd'
  [ "$output" = /tmp/etc/passwd ]
}

@test "a message about a table names it as the caller did, and its own line" {
  cd "$BATS_TEST_TMPDIR"
  printf '# none\n\n/missing /mnt none bind\n' >table
  in_box -f table "$root" echo ran
  [[ $status -eq 125 && $output == "safemount: table:3: "*"/missing"* && ${#lines[@]} -eq 1 ]]
}

@test "-e adds to CMD's environment, and is the last to say a name" {
  in_box -e 'A=b c' -e HOME=/x -e A=d -e 'E=' "$root" env
  run sort <<<"$output"
  [[ $output == $'A=d\nE=\nHOME=/x\nLOGNAME=root\nPATH='*$'\nUSER=root\ncontainer=contain' ]]
}

@test "-v shows each call that changes something, from the first to the last" {
  in_box -v "$root" true
  [ "$status" -eq 0 ]
  [[ $output == *"unshare(mnt)"*"clone("*user*"write("*move_mount*'pivot_root(".", ".")'*umount2*execvp*true* ]]
  in_box "$root" true
  [ "$output" = '' ]
}

@test "descriptors that LISTEN_FDS announces are handed on, however many" {
  local n open=() fd dir
  for n in 1 4 5 9; do
    open=()
    for ((fd = 3; fd < 3 + n; fd++)); do
      open+=("exec $fd</etc/passwd;")
    done
    for dir in "$root" /; do
      try bash -c "${open[*]} exec 40</etc; LISTEN_FDS=$n LISTEN_PID=\$\$ LISTEN_FDNAMES=a exec contain -b /dev/null:/dev/shm/x '$dir' /bin/sh -c '
        echo \$LISTEN_PID \$LISTEN_FDS \$LISTEN_FDNAMES; set -- /proc/self/fd/*; echo \$#; head -n 1 /proc/self/fd/$((2 + n))'" </dev/null
      [ "${lines[0]}" = "1 $n a" ]
      [ "${lines[1]}" = $((4 + n)) ]
      [[ ${lines[2]} == root:* ]]
    done
  done
  # What is announced to another process is not for the container.
  try bash -c "exec 3</etc/passwd; LISTEN_FDS=1 LISTEN_PID=1 exec contain '$root' sh -c 'env; set -- /proc/self/fd/*; echo \$#'" </dev/null
  [[ ${lines[-1]} == 4 && $output != *LISTEN* ]]
}

@test "-n has the host's /sys, read-only, and its root cannot write to it" {
  local user dir
  # The control: what the container's root makes read-only, it makes writable.
  try as_user alice unshare --user --map-root-user --mount sh -c '
    mount --rbind /sys /mnt && mount -o remount,bind,ro /mnt && mount -o remount,bind,rw /mnt && umount -l /mnt && echo undone'
  [[ $output == undone ]] || skip "the control did not fall"
  for user in '' alice; do
    [[ -z $user ]] || chown -hR alice: "$root"
    for dir in "$root" /; do
      try ${user:+as_user $user} contain -n "$dir" sh -c '
        cd /sys/class/net; echo *; cd /sys
        mkdir fs/cgroup/x fs/cgroup/*/x kernel/x 2>/dev/null && echo made
        mount -o remount,bind,rw /sys && echo remounted
        umount -l /sys/fs/cgroup && umount -l /sys && echo uncovered; true' </dev/null
      [ "$status" -eq 0 ]
      [[ ${lines[0]} == *lo* && $output != *made* && $output != *remounted* && $output != *uncovered* ]]
      [ "${lines[0]}" = "$(cd /sys/class/net && echo *)" ]
    done
  done
}

@test "CMD's environment is its own, whatever the caller's was" {
  SECRET=key LD_PRELOAD='' try env 'a.b=c' "BASH_FUNC_f%%=() { :
}" contain "$root" env </dev/null
  [ "$status" -eq 0 ]
  run sort <<<"$output"
  [[ $output == $'HOME=/root\nLOGNAME=root\nPATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin'*$'\nUSER=root\ncontainer=contain' ]]
  [[ $output != *key* && $output != *a.b* && $output != *BASH* ]]
}

@test "the caller's umask reaches neither CMD nor the modes in its /dev" {
  umask 077
  in_box "$root" sh -c 'umask; stat -c %a /dev /dev/pts /dev/shm'
  [ "$status" -eq 0 ]
  [ "${lines[*]}" = "0022 755 755 1777" ]
}

@test "descriptors, keys and groups of the caller stay outside" {
  exec {secret}</etc
  in_box / sh -c 'ls /proc/self/fd; id -G; keyctl show @s 2>&1 | tail -n +2'
  exec {secret}<&-
  [ "${lines[0]} ${lines[1]} ${lines[2]} ${lines[3]}" = "0 1 2 3" ]
  [ "${lines[4]}" = 0 ]
}

# A device in a tree that somebody unpacked is the host's: a disk would be its disk.
@test "a device node in DIR is no device to a container of root's" {
  mknod -m 666 "$root/tmp/zero" c 1 5
  try chroot "$root" sh -c 'head -c 3 /tmp/zero | wc -c'
  [ "$output" = 3 ]
  in_box "$root" sh -c 'head -c 3 /tmp/zero | wc -c'
  [[ $output == *"Permission denied"* ]]
  in_box "$root" sh -c 'mount -o remount,bind,dev / && head -c 3 /tmp/zero | wc -c; umount /; true'
  [[ $output != *3* ]]
  in_box / sh -c "mount -o remount,bind,dev / && head -c 3 $root/tmp/zero | wc -c; true"
  [[ $output != *3* ]]
}

@test "-r is read-only, to the container's root too, as root and as a user" {
  chown -hR alice: "$root"
  for user in '' alice; do
    for dir in "$root" /; do
      # shellcheck disable=SC2086 # no word, or two
      try ${user:+as_user $user} contain -r "$dir" sh -c '
        touch /tmp/x && echo wrote
        mount -o remount,bind,rw / && touch /tmp/x && echo remounted
        umount -l / && touch /tmp/x && echo uncovered
        touch /dev/shm/x && echo shm' </dev/null
      [ "${lines[-1]}" = shm ]
      [[ $output != *wrote* && $output != *remounted* && $output != *uncovered* ]]
    done
  done
}

# CVE-2025-64507
@test "-s shifts a tree below a closed directory, and refuses one that others reach" {
  cp /usr/bin/id "$closed/tree/bin/id_of_host"
  in_box -s "$closed/tree" sh -c 'cp /bin/id_of_host /tmp/b; chmod 4755 /tmp/b; id -u'
  [ "$output" = 0 ]
  [ "$(stat -c %u:%a "$closed/tree/tmp/b")" = 0:4755 ]
  # the attack: root's own setuid file, made by no root of this host
  try as_user alice "$closed/tree/tmp/b" -u
  [ "$status" -ne 0 ]
  chmod 755 "$closed"
  try as_user alice "$closed/tree/tmp/b" -u
  [ "$output" = 0 ]

  in_box -s "$closed/tree" echo ran
  [ "$status" -eq 125 ]
  [[ $output == *"closed to others"* ]]
  # DIR's own mode is the container's to change
  chmod 700 "$closed/tree"
  in_box -s "$closed/tree" echo ran
  [ "$status" -eq 125 ]
  # closed to all but a user: he runs the copy
  chmod 755 "$closed/tree"
  chmod 700 "$closed"
  chown alice "$closed"
  try as_user alice "$closed/tree/tmp/b" -u
  [ "$output" = 0 ]
  in_box -s "$closed/tree" echo ran
  [ "$status" -eq 125 ]
  try as_user alice contain -s / echo ran </dev/null
  [ "$status" -eq 125 ]
}

@test "the host's processes are not under the container's /proc, as root and as a user" {
  local inside='umount -l /proc; cd /proc; cat [0-9]*/comm; for file in [0-9]*/oom_score_adj; do echo 7 >"$file"; done'
  in_box / sh -c "$inside" 3>&-
  [[ $output == *"No such file"* && $output != *timeout* && $output != *bash* ]]
  as_user alice sleep 1000 3>&- &
  try as_user alice contain / sh -c "$inside" </dev/null
  [[ $output == *"No such file"* && $output != *timeout* && $output != *bash* ]]
  [ "$(cat "/proc/$!/oom_score_adj")" = 0 ]
  # the control: with the host's proc in its place
  try as_user alice idmap -n pid,mnt sh -c "${inside#*;}"
  [[ $output == *timeout* && $(cat "/proc/$!/oom_score_adj") = 7 ]]
  kill "$!"
}

@test "DIR may have any name, and lie anywhere" {
  local dir
  for dir in "$BATS_TEST_TMPDIR/a b" "$BATS_TEST_TMPDIR/-x" "$BATS_TEST_TMPDIR/"$'new\nline' \
    "$BATS_TEST_TMPDIR/back\\slash" "$BATS_TEST_TMPDIR/x (deleted)" "$BATS_TEST_TMPDIR/a=b" \
    "$BATS_TEST_TMPDIR/$(printf 'ä%.0s' {1..100})"; do
    mv "$root" "$dir"
    LC_ALL=C.UTF-8 in_box "$dir" cat /proc/sys/kernel/hostname
    [[ ${dir##*/} == "$output"* ]]
    root=$dir
  done
  cd "$BATS_TEST_TMPDIR"
  mv "$root" ./-
  in_box -H x - echo ok
  [ "$output" = ok ]
  in_box -H x ./- echo ok
  [ "$output" = ok ]
  ln -s ./- link
  in_box link cat /proc/sys/kernel/hostname
  [ "$output" = - ]
  root=$BATS_TEST_TMPDIR/-
}

@test "wrong usage is 64" {
  in_box
  [ "$status" -eq 64 ]
  in_box -Z "$root"
  [ "$status" -eq 64 ]
  in_box -H
  [ "$status" -eq 64 ]
  in_box ''
  [ "$status" -eq 64 ]
  in_box --unknown "$root"
  [ "$status" -eq 64 ]
  [[ $output == "contain: unknown option --unknown"* ]]
  # contain -b DIR was how to boot one
  in_box -b "$root" /sbin/init
  [[ $status -eq 64 && $output == *"-b $root is not SOURCE:TARGET (contain-boot"* ]]
  for bad in -b: -b:x -bx: -eX -e=x; do
    in_box "$bad" "$root" echo ran
    [[ $status -eq 64 && $output != *ran$'\n'* && $output == *"${bad#-?}"* ]]
  done
  in_box "$root" -r
  [[ $status -eq 64 && $output == "contain: option -r stands behind DIR"* ]]
  for script in inject isolate; do
    try "$script"
    [ "$status" -eq 64 ]
    try "$script" -Z x
    [ "$status" -eq 64 ]
  done
  try pseudo -Z
  [ "$status" -eq 64 ]
  for script in contain inject isolate pseudo; do
    try "$script" --help
    [ "$status" -eq 0 ]
    [[ $output == "usage: $script "* ]]
  done
}

@test "a veth pair, made by -o, connects the container to the host and goes with it" {
  ip link show dev lo >/dev/null
  in_box -H boxy -o 'ip link add ve-boxy type veth peer name host0 netns "$PID" &&
      ip addr add 10.77.0.1/24 dev ve-boxy && ip link set ve-boxy up' / sh -c '
    ip addr add 10.77.0.2/24 dev host0 && ip link set host0 up
    ping -c 1 -w 10 10.77.0.1 >/dev/null && echo reached'
  [ "${lines[-1]}" = reached ]
  # the kernel takes a namespace down when nobody waits for it any more
  wait_for eval '! ip link show dev ve-boxy'
}

@test "a signal reaches an init that asks for it instead of having a handler" {
  local status=0
  contain / tini -- sh -c 'trap "exit 9" TERM; echo up >/dev/shm/up; sleep 1000 & wait' </dev/null 3>&- &
  wait_for inject "$!" test -e /dev/shm/up
  kill -TERM "$!"
  wait "$!" || status=$?
  [ "$status" -eq 9 ]
}

@test "fifty containers at once, and two hundred one after another, leave nothing" {
  local i pids=() status=0
  before=$(cat /proc/self/mountinfo)
  for ((i = 0; i < 50; i++)); do
    contain "$root" sh -c 'exit 5' </dev/null 3>&- &
    pids+=($!)
  done
  for i in "${pids[@]}"; do
    wait "$i" || status=$((status + $?))
  done
  [ "$status" -eq 250 ]
  for ((i = 0; i < 200; i++)); do
    contain "$root" true </dev/null
  done
  [ "$before" = "$(cat /proc/self/mountinfo)" ]
}
