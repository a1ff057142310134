#!/usr/bin/env bats
# safemount: sources, and the words of OPTIONS.
# shellcheck disable=SC2016,SC2317 # scripts of a shell inside; exported functions
# shellcheck disable=SC2030,SC2031,SC2154 # status, output, root, here: the helpers set them

load helper
load safemount
bats_require_minimum_version 1.5.0

# A number that the caller left free is one of safemount's own: ROOT is 3 or 4.
@test "a descriptor that was not open is no table, no source and no user namespace" {
  local n
  for n in 0 3 4 5 6; do
    alone "$n" <<'END'
      exec 3>&- 4>&- 5>&- 6>&-
      cd "$here"
      before=$(mounts)
      eval "exec $1<&-"
      printf '#\ntmpfs dir tmpfs\nfd:%s dir none bind\n' "$1" >table
      safemount -r root -f table echo RAN 2>&1 | grep "table:3: fd:$1: is not open"
      for how in "-f fd:$1" "-o bind,create=file fd:$1 new" "-o bind fd:$1 dir" "-o bind,idmap=fd:$1 $here/source dir"; do
        status=0
        safemount -r root $how echo RAN || status=$?
        [ "$status" -eq 125 ]
        [ "$(mounts)" -eq "$before" ]
      done
END
    [[ $status -eq 0 && $output != *RAN* && $output == *"fd:$n: is not open"* ]] || fail "$output"
  done
}

# In a chroot no table shows what is mounted outside it, and yet it is attached.
@test "a bind moves nothing away, though its source be unbindable and outside of a chroot" {
  alone <<'END'
    cd "$here"
    mount -t tmpfs tmpfs root
    mkdir root/{proc,dir}
    mount -t proc proc root/proc
    cp "$(type -p safemount)" root
    mount -t tmpfs tmpfs victim
    touch victim/mark
    mount --make-unbindable victim
    chroot root /safemount -o bind fd:9 dir 9<victim && exit 1
    [ -e victim/mark ]
    [ ! -e root/dir/mark ]
END
  [ "$status" -eq 0 ]
}

@test "an absolute source is opened before the first line is carried out" {
  alone <<'END'
    cd "$here"
    mount --rbind / root
    mount -t tmpfs tmpfs root/tmp
    safemount -r root -f fd:0 <<TABLE
tmpfs /tmp tmpfs mode=755
tmpfs /dev tmpfs mode=755
/dev/null /dev/null none bind,create=file
$here/source /tmp/there none bind,create=dir
TABLE
    stat -c %t:%T root/dev/null
    [ -e root/tmp/there/mark ]
    safemount -f fd:0 <<TABLE
tmpfs /dev tmpfs mode=755
/dev/null /dev/null none bind,create=file
TABLE
    stat -c %t:%T /dev/null
END
  [ "$output" = $'1:3\n1:3' ] || [ "$(tail -n 2 <<<"$output")" = $'1:3\n1:3' ]
}

@test "a relative source is below ROOT, and no link leads it out" {
  alone <<'END'
    cd "$here"
    touch root/dir/mine victim/secret
    ln -s ../victim root/link
    ln -s "$here/victim" root/dir/link
    mkdir root/shown
    mount --bind root/link root/shown
    [ -e root/shown/secret ] || exit 3
    umount root/shown
    for how in '' 'refuse openat2'; do
      for source in link dir/link link/sub .. dir/.. ../victim dir/../../victim link/. proc/self/root; do
        $how safemount -r root -o bind "$source" shown && exit 1
      done
      $how safemount -r root -o bind dir shown
      [ -e root/shown/mine ]
      umount root/shown
      $how safemount -r root -o bind . shown
      [ -e root/shown/dir/mine ]
      umount root/shown
      $how safemount -r root -L -o bind link shown && exit 1
    done
    ln -s dir root/inside
    safemount -r root -L -o bind inside shown
    [ -e root/shown/mine ]
END
  [ "$status" -ne 3 ] || skip "the control did not fall"
  [ "$status" -eq 0 ]
}

@test "fd:N binds what is open, and names a descriptor of another mount namespace" {
  alone <<'END'
    cd "$here"
    exec {dir}<source {file}<file {host}<"/proc/$PPID/root/$here/source"
    safemount -r root -o bind fd:$dir dir
    [ -e root/dir/mark ]
    safemount -r root -o bind,ro fd:$file file
    [ "$(stat -c %i root/file)" = "$(stat -c %i file)" ]
    before=$(mounts)
    safemount -r root -o bind fd:$host dir && exit 1
    safemount -r root -o bind fd:99 dir && exit 1
    for bad in fd: fd:-1 fd:01 fd:+1 'fd: 1' fd:1x fd:4294967296; do
      safemount -r root -o bind "$bad" dir && exit 1
    done
    [ "$(mounts)" -eq "$before" ]
END
  [ "$status" -eq 0 ]
  [[ $output == *"open_tree fd:"*": Invalid argument"* ]]
  [[ $output == *"fd:99: is not open"* ]]
}

@test "fd:N attaches a detached mount" {
  cc -xc -o "$here/detach" - <<'END'
    #define _GNU_SOURCE
    #include <fcntl.h>
    #include <sys/syscall.h>
    #include <unistd.h>
    int main(int argc, char **argv) { /* PATH N COMMAND... */
      int fd = syscall(SYS_open_tree, AT_FDCWD, argv[1], 1 | AT_RECURSIVE);
      dup2(fd, 7);
      execvp(argv[2], argv + 2);
      return argc;
    }
END
  alone <<'END'
    cd "$here"
    mount -t tmpfs tmpfs source/
    touch source/mark
    for how in '' 'refuse open_tree:error=EINVAL'; do
      ./detach source bash -c "$how safemount -r root -o bind,nosuid fd:7 dir"
      [ -e root/dir/mark ]
      fields_of root/dir
      umount root/dir
    done
END
  [ "$status" -eq 0 ]
  [ "$(grep -c '^rw,nosuid,relatime - tmpfs' <<<"$output")" -eq 2 ]
}

@test "each flag is set on a bind, and only that" {
  alone <<'END'
    cd "$here"
    mount -t tmpfs tmpfs source
    while read -r options fields; do
      safemount -r root -o "bind,$options" "$here/source" dir
      [ "$(fields_of root/dir)" = "$fields - tmpfs rw" ] || echo "$options: $(fields_of root/dir)"
      umount root/dir
    done <<TABLE
rw rw,relatime
defaults rw,relatime
ro ro,relatime
nosuid rw,nosuid,relatime
nodev rw,nodev,relatime
noexec rw,noexec,relatime
nosymfollow rw,relatime,nosymfollow
noatime rw,noatime
strictatime rw
norelatime rw
relatime rw,relatime
atime rw,relatime
nostrictatime rw,relatime
nodiratime rw,nodiratime,relatime
noatime,nodiratime rw,noatime,nodiratime
noatime,relatime rw,relatime
ro,rw rw,relatime
rw,ro ro,relatime
nosuid,suid rw,relatime
ro,nosuid,nodev,noexec,nosymfollow,noatime ro,nosuid,nodev,noexec,noatime,nosymfollow
shared rw,relatime shared:
private rw,relatime
slave rw,relatime
unbindable rw,relatime unbindable
rshared rw,relatime shared:
TABLE
END
  [ "$status" -eq 0 ]
  # A peer group has a number of its own.
  [ "$(grep -vE '^\$|^\[|shared: rw,relatime shared:[0-9]+ - tmpfs rw$' <<<"$output")" = "" ] || fail "$output"
}

@test "a bind loses no flag, nor does a remount" {
  alone <<'END'
    cd "$here"
    mount -t tmpfs -o nosuid,nodev,noexec,noatime tmpfs source
    mount --bind source root/dir
    # What mount(8) did for long: MS_REMOUNT | MS_BIND | MS_RDONLY and no more.
    perl -e '$d = "root/dir"; syscall(165, $d, $d, 0, 4129, 0) and die $!'
    echo "mount(2): $(fields_of root/dir)"
    umount root/dir
    for options in bind,ro remount,bind,rw,relatime remount,ro remount,bind,exec; do
      safemount -r root -o "$options" "$here/source" dir
      echo "$options: $(fields_of root/dir)"
    done
    fields_of source
END
  [ "$status" -eq 0 ]
  [[ $output == *"mount(2): ro,noatime - tmpfs rw"* ]] || skip "the control did not fall"
  [[ $output == *"
bind,ro: ro,nosuid,nodev,noexec,noatime - tmpfs rw
remount,bind,rw,relatime: rw,nosuid,nodev,noexec,relatime - tmpfs rw
remount,ro: ro,nosuid,nodev,noexec,relatime - tmpfs rw
remount,bind,exec: ro,nosuid,nodev,relatime - tmpfs rw
rw,nosuid,nodev,noexec,noatime - tmpfs rw"* ]]
}

@test "flags on rbind are those of every mount below" {
  alone <<'END'
    cd "$here"
    mkdir source/a
    mount -t tmpfs tmpfs source/a
    mkdir source/a/b
    mount -t tmpfs -o nodev tmpfs source/a/b
    mount --rbind -o ro source root/dir
    touch root/dir/a/b/written || exit 3
    umount -R root/dir
    mount --make-shared source/a/b
    safemount -r root -o rbind,ro,nosuid,rslave "$here/source" dir
    [[ $(fields_of root/dir/a/b) == *" master:"* && $(fields_of root/dir/a/b) != *" shared:"* ]]
    for d in dir dir/a dir/a/b; do
      touch "root/$d/written2" 2>/dev/null && exit 1
      [[ $(fields_of root/$d) == ro,nosuid* ]]
    done
    [[ $(fields_of root/dir/a/b) == ro,nosuid,nodev* ]]
    umount -R root/dir
    safemount -r root -o bind,ro "$here/source" dir
    [ ! -e root/dir/a/b ]
END
  [ "$status" -ne 3 ] || skip "the control did not fall"
  [ "$status" -eq 0 ]
}

@test "flags that a more privileged namespace locked are kept, and refused to be cleared" {
  alone <<'END'
    cd "$here"
    chmod 755 . root root/dir source
    mount -t tmpfs -o ro,nosuid,nodev tmpfs source
    unshare --user --map-root-user --mount bash -eu -c '
      safemount -r root -o rbind "$here/source" dir
      fields_of root/dir
      umount root/dir
      safemount -r root -o rbind,noexec "$here/source" dir
      fields_of root/dir
      for word in rw suid dev; do
        before=$(mounts)
        safemount -r root -o rbind,$word "$here/source" dir && exit 1
        safemount -r root -o remount,bind,$word none dir && exit 1
        [ "$(mounts)" -eq "$before" ]
      done
      fields_of root/dir'
END
  [ "$status" -eq 0 ]
  [ "$(grep -c '^ro,nosuid,nodev,relatime - tmpfs' <<<"$output")" -eq 1 ]
  [ "$(grep -c '^ro,nosuid,nodev,noexec,relatime - tmpfs' <<<"$output")" -eq 2 ]
  [ "$(grep -c 'safemount: mount_setattr dir: Operation not permitted' <<<"$output")" -eq 6 ]
}

@test "remount and propagation change the mount that is on top" {
  alone <<'END'
    cd "$here"
    mount -t tmpfs -o size=1m first root/dir
    mount -t tmpfs -o size=1m second root/dir
    safemount -r root -o remount,ro none dir
    safemount -r root -o shared none dir
    awk -v p="$root/dir" '$5 == p { print $6, $7 ~ /shared/, $(NF - 1), $NF }' /proc/self/mountinfo
    safemount -r root -o remount,ro none dir/sub && exit 1
    safemount -r root -o rprivate none dir
    awk -v p="$root/dir" '$5 == p { print $6, $7 ~ /shared/, $(NF - 1), $NF }' /proc/self/mountinfo
    safemount -r root -o rslave none proc && exit 1
    exit 0
END
  [ "$status" -eq 0 ]
  [[ $output == *"\
rw,relatime 0 first rw,size=1024k
ro,relatime 1 second rw,size=1024k"*"open dir/sub: No such file"*"\
rw,relatime 0 first rw,size=1024k
ro,relatime 0 second rw,size=1024k"*"proc: is not a mount point"* ]]
}

@test "move, and words for a file system that is there, are usage errors that name mount(8)" {
  local options
  for options in move move,nosuid remount,size=2m remount,bind,errors=panic; do
    try safemount -r "$root" -o "$options" "$here/source" dir
    [[ $status -eq 64 && $output == *"mount(8)"* ]] || fail "$output"
  done
}

@test "a word that means nothing where it stands is refused" {
  for options in bind,size=1m rbind,mode=755 bind,slave,shared size=1m,bind remount,create=dir \
    bind,create=link create=dir,create=file,bind ro ro,nosuid idmap=0:0:1 shared,ro \
    bind,bogus remount,bind,size=1m bind,idmap=0:0:1,idmap=0:0:1 remount,idmap=0:1:1; do
    try safemount -r "$root" -o "$options" "$here/source" dir
    [ "$status" -eq 64 ]
  done
  try safemount -r "$root" -o bind -o ro "$here/source" dir
  [ "$status" -eq 64 ]
  [ ! -e "$root/dir/mark" ]
}

@test "x- words and comment= are passed over, and nofail is optional" {
  alone <<'END'
    cd "$here"
    safemount -r root -f fd:0 <<TABLE
$here/source dir none bind,x-systemd.automount,comment=any\040thing,ro,x-initrd.mount
tmpfs proc tmpfs x-gvfs-show,size=1m,comment=
/nowhere sys none bind,nofail
/dev/nowhere sys ext4 defaults,nofail 0 2
TABLE
    fields_of root/dir
    fields_of root/proc
    ! mountpoint root/sys
END
  [ "$status" -eq 0 ]
  [[ $output == ro,* && $output == *size=1024k* ]]
}

@test "optional skips what does not exist, and nothing else" {
  alone <<'END'
    cd "$here"
    ln -s nowhere root/dangling
    before=$(mounts)
    safemount -r root -f fd:0 <<TABLE
/nowhere /dir none bind,optional
/nowhere/else /new none bind,optional,create=dir
nowhere /dir none bind,optional
$here/source /nowhere none bind,optional
tmpfs /nowhere/else tmpfs optional
/dev/nowhere /dir ext4 optional
TABLE
    [ "$(mounts)" -eq "$before" ]
    [ ! -e root/new ]
    safemount -r root -o bind,optional "$here/source" dangling && exit 1
    safemount -r root -o bind,optional "$here/source" file/x && exit 1
    safemount -r root -o bind,optional "$here/file/x" dir && exit 1
    [ "$(mounts)" -eq "$before" ]
END
  [ "$status" -eq 0 ]
}
