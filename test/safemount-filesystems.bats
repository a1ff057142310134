#!/usr/bin/env bats
# safemount: file systems, and their owners (idmap=).
# shellcheck disable=SC2016,SC2317 # scripts of a shell inside; exported functions
# shellcheck disable=SC2030,SC2031,SC2154 # status, output, root, here: the helpers set them

load helper
load safemount
bats_require_minimum_version 1.5.0

@test "file systems of the kernel, each with words of its own" {
  alone <<'END'
    cd "$here"
    # From the first cgroup namespace the words of cgroup2 are the whole machine's.
    while read -r type options fields; do
      idmap -K -n cgroup safemount -r root -t "$type" -o "$options" none dir || continue
      echo "$type $(fields_of root/dir)"
      umount root/dir
    done <<TABLE
proc nosuid,hidepid=invisible
sysfs ro,noexec
tmpfs size=1m,mode=700,nodev
devpts newinstance,ptmxmode=0666,mode=620
mqueue nosuid
cgroup2 nsdelegate
TABLE
END
  [ "$status" -eq 0 ]
  for line in "proc rw,nosuid,relatime - proc rw,hidepid=invisible" \
    "sysfs ro,noexec,relatime - sysfs rw" "tmpfs rw,nodev,relatime - tmpfs rw,size=1024k,mode=700" \
    "devpts rw,relatime - devpts rw,mode=620,ptmxmode=666" "mqueue rw,nosuid,relatime - mqueue rw" \
    "cgroup2 rw,relatime - cgroup2 rw"; do
    [[ $output == *"$line"* ]] || fail "no $line" "$output"
  done
}

@test "what a file system says about a refused word is printed" {
  try safemount -r "$root" -t tmpfs -o bogus=1 none dir true
  [ "$status" -eq 125 ]
  [[ $output == *"tmpfs: Unknown parameter 'bogus'"*"safemount: fsconfig bogus: Invalid argument"* ]]
  try safemount -r "$root" -t overlay -o lowerdir=/nowhere none dir true
  [ "$status" -eq 125 ]
  [[ $output == *"fsconfig lowerdir: No such file"* ]]
  try safemount -r "$root" -t tmpfs -o "size=$(printf '%0300d' 1)" none dir true
  [ "$status" -eq 125 ]
  [[ $output == *"fsconfig size: Invalid argument"* ]]
  try safemount -r "$root" -t nosuchfs none dir true
  [ "$status" -eq 125 ]
  [[ $output == *"fsopen nosuchfs: No such device"* ]]
}

# on_loop IMAGE: sets loop to a device of it.
on_loop() {
  loop=$(losetup --find --show --read-only "$1" 2>/dev/null) || skip "no loop device here"
}

teardown() {
  [ -z "${loop:-}" ] || losetup --detach "$loop"
}

@test "ext4 and squashfs from a read-only loop device" {
  mkfs.ext4 -q -d "$here/source" "$here/ext4" 2M
  mksquashfs "$here/source" "$here/squashfs" -quiet -no-progress >/dev/null
  local type
  for type in ext4 squashfs; do
    on_loop "$here/$type"
    alone "$loop" $type <<'END'
      safemount -r "$root" -t $2 -o rw "$1" dir && exit 1
      safemount -r "$root" -t $2 -o ro "$1" dir
      [ -e "$root/dir/mark" ]
      fields_of "$root/dir"
      umount "$root/dir"
END
    losetup --detach "$loop"
    loop=
    if [ $type = ext4 ]; then
      [ "$status" -eq 0 ]
      [[ $output == *"ro,relatime - ext4 ro"* ]]
    else
      # Nothing is ever written to a squashfs, so rw is no error there.
      [[ $status -le 1 ]]
    fi
  done
}

@test "overlay, as root and as a user behind idmap" {
  make_user stacked
  alone <<'END'
    mount -t tmpfs -o mode=755 tmpfs /mnt
    cd /mnt
    mkdir -p lower root/{dir,dev} upper work
    touch lower/mark
    stack=lowerdir=/mnt/lower,upperdir=/mnt/upper,workdir=/mnt/work
    safemount -r root -t overlay -o $stack none dir
    touch root/dir/new
    [ -e root/dir/mark ]
    [ -e upper/new ]
    umount root/dir
    rm -r work upper
    mkdir upper work
    chown -R stacked:stacked /mnt
    setpriv --reuid stacked --regid stacked --clear-groups idmap -u root -g root -n mnt \
      safemount -r root -f fd:0 sh -c 'touch /mnt/root/dir/mine; [ -e /mnt/root/dir/mark ]' <<TABLE
. / none rbind
overlay /dir overlay $stack,userxattr
tmpfs /dev tmpfs mode=755
/dev/null /dev/null none bind,create=file
TABLE
    stat -c %U upper/mine
END
  [ "$status" -eq 0 ]
  [[ $output == *stacked* ]]
}

@test "a new proc where /proc is masked is refused" {
  alone <<'END'
    mount --bind /dev/null /proc/version
    unshare --user --map-root-user --mount --pid --fork safemount -r "$root" -t proc none proc
END
  [ "$status" -eq 125 ]
  [[ $output == *"fsmount proc: Operation not permitted"* ]]
}

@test "idmap= shows other owners, by ranges and by a namespace, on ext4 and tmpfs" {
  alone <<'END'
    cd "$here"
    mkdir disk
    truncate -s 4M image
    mkfs.ext4 -q image
    mount -o loop image disk || mount -t tmpfs tmpfs disk
    mount -t tmpfs tmpfs victim
    unshare --user sleep 100 3>&- &
    wait_for bash -c '[ "$(readlink /proc/$1/ns/user)" != "$(readlink /proc/self/ns/user)" ]' bash $!
    echo 0 200000 10 | tee /proc/$!/uid_map >/proc/$!/gid_map
    exec {ns}</proc/$!/ns/user
    for tree in disk victim; do
      touch $tree/{a,b,c}
      chown 0:0 $tree/a
      chown 5:6 $tree/b
      chown 70000:3 $tree/c
      for maps in 0:100000:65536 0:100000:6+70000:1:1+6:300000:1 "/proc/$!/ns/user" "fd:$ns"; do
        safemount -r root -o "bind,idmap=$maps" "$here/$tree" dir
        stat -c '%n %u %g' root/dir/{a,b,c} | sed 's/.*dir.//' | xargs echo $tree "${maps%%/*}"
        umount root/dir
      done
    done
    kill $!
    safemount -r root -t tmpfs -o idmap=0:4000:1,mode=755 none dir
    stat -c 'new %u %g' root/dir
END
  [ "$status" -eq 0 ]
  local tree
  for tree in disk victim; do
    [[ $output == *"$tree 0:100000:65536 a 100000 100000 b 100005 100006 c 65534 100003"* ]]
    [[ $output == *"$tree 0:100000:6+70000:1:1+6:300000:1 a 100000 100000 b 100005 300000 c 1 100003"* ]]
    [ "$(grep -c "^$tree.* a 200000 200000 b 200005 200006 c 65534 200003" <<<"$output")" -eq 2 ]
  done
  [[ $output == *"new 4000 4000"* ]]
}

@test "idmap= refuses ranges that the kernel would misread, and a file system that cannot" {
  local before
  before=$(mounts)
  for maps in '' 0 0:1 0:1: 0:0:0 -1:0:1 +0:0:1 00:0:1 0:010:1 '0:0:1 ' 0:0:1+ 0:0:1+0:5:1 \
    0:0:5+9:4:1 4294967296:0:1 0:4294967296:1 0:0:4294967297 4294967295:0:1 0:4294967295:1 \
    0:4294967290:9 0:0:1:1 a:0:1 "$(for i in {0..340}; do printf '%s:%s:1+' $((i * 2)) $((i * 2)); done)0:9999:1" \
    "$(printf '%05000d' 0)"; do
    try safemount -r "$root" -o "bind,idmap=$maps" "$here/source" dir
    [ "$status" -eq 125 ]
    [ "$(mounts)" -eq "$before" ]
  done
  try safemount -r "$root" -o bind,idmap=0:0:1 /proc/sys dir
  [[ $status -eq 125 && $output == *"mount_setattr dir: Invalid argument"* ]]
  try safemount -r "$root" -t sysfs -o idmap=0:0:1 none dir
  [[ $status -eq 125 && $output == *"mount_setattr dir: Invalid argument"* ]]
  try safemount -r "$root" -o bind,idmap=/etc/passwd "$here/source" dir
  [ "$status" -eq 125 ]
  [ "$(mounts)" -eq "$before" ]
}

@test "a long idmap= that is the only flag is not forgotten" {
  alone <<'END'
    cd "$here"
    mount -t tmpfs tmpfs source
    maps=$(for i in {1..50}; do printf '%s:%s:1+' $((i * 9)) $((i * 7)); done)
    safemount -r root -o "bind,idmap=${maps}0:100000:1" "$here/source" dir
    stat -c %u root/dir
END
  [[ $status -eq 0 && $output == *100000* ]]
}

@test "where no user namespace can be made, idmap= is an error that names the call" {
  alone <<'END'
    unshare --user --map-root-user --mount bash -c '
      echo 0 >/proc/sys/user/max_user_namespaces
      safemount -r "$root" -t tmpfs -o idmap=0:0:1 none dir'
END
  [ "$status" -eq 125 ]
  [[ $output == *"clone CLONE_NEWUSER: No space left on device"* ]]
}

@test "idmap= takes no /proc that is not ours" {
  alone <<'END'
    cd "$here"
    shows() {
      "$@" safemount -r root -o bind,idmap=0:100000:1 "$here/source" dir
      stat -c %u root/dir
      safemount -r root -U dir
    }
    # Where the kernel permits no other one, that is an error.
    unshare --user --map-root-user --mount sh -c 'mount -t tmpfs tmpfs /proc
      exec safemount -r root -t tmpfs -o idmap=0:0:1 none dir' && exit 1
    mount -t tmpfs tmpfs source
    shows unshare --pid --fork
    mount --bind /proc/1 /proc
    shows
    umount /proc
    mount -t tmpfs tmpfs /proc
    mkdir -p "/proc/$$"
    shows
END
  [ "$status" -eq 0 ]
  [[ $output == *"/proc: is no whole procfs of our PID namespace"*$'\n100000\n100000\n100000' ]]
}
