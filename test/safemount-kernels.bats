#!/usr/bin/env bats
# safemount on other kernels than ours: whole machines.
# shellcheck disable=SC2154 # helper.bash sets top, and output and status

load helper
load vm

setup() {
  initramfs=$BATS_TEST_TMPDIR/initramfs
  small_root "$initramfs"
}

@test "Linux 5.10 has binds and file systems, and flags on a bind are refused" {
  booted bullseye "$initramfs" <<'END'
    mkdir -p root/dir source
    touch source/mark
    ln -s /source root/link
    safemount -r root -f fd:0 <<TABLE
. / none rbind
/source /dir none bind
tmpfs /tmp tmpfs ro,nosuid,nodev,noexec,noatime,create=dir
/dev/null /null none bind,create=file
/proc/self/fd /fd symlink
TABLE
    [ -e root/dir/mark ]
    [ -c root/null ]
    grep ' /root/tmp ' /proc/self/mountinfo | cut -d ' ' -f 6
    safemount -r root -o bind /source link && exit 1
    for option in ro nosuid slave idmap=0:100000:1; do
      safemount -r root -o bind,$option /source dir && exit 1
    done
    safemount -r root -U dir
    [ ! -e root/dir/mark ]
END
  [ "$status" -eq 0 ]
  [[ $output == *"ro,nosuid,nodev,noexec,noatime"* ]]
  [[ $output == *"safemount: link: is a symbolic link"* ]]
  [ "$(grep -c 'mount_setattr dir: Function not implemented' <<<"$output")" -eq 4 ]
}

@test "Linux 6.1 binds with flags, and attaches a detached mount that it cannot copy" {
  musl-gcc -static -xc -o "$initramfs/bin/detach" - <<'END'
    #define _GNU_SOURCE
    #include <fcntl.h>
    #include <sys/syscall.h>
    #include <unistd.h>
    int main(int argc, char **argv) { /* PATH COMMAND... */
      int fd = syscall(428, AT_FDCWD, argv[1], 1); /* open_tree */
      dup2(fd, 7);
      execvp(argv[2], argv + 2);
      return argc;
    }
END
  booted bookworm "$initramfs" <<'END'
    mkdir -p root/dir source
    mount -t tmpfs source /source
    touch source/mark
    detach /source safemount -r root -o bind,nosuid fd:7 dir
    [ -e root/dir/mark ]
    grep ' /root/dir ' /proc/self/mountinfo | cut -d ' ' -f 6
    safemount -r root -U dir
    mount --make-unbindable /source
    exec 8</source
    safemount -r root -o bind fd:8 dir && exit 1
    [ -e source/mark ]
    mount --make-private /source
    safemount -r root -o rbind,ro,rslave,optional /source dir
    grep ' /root/dir ' /proc/self/mountinfo | cut -d ' ' -f 6
    safemount -r root -o bind,idmap=0:100000:1 /source dir && exit 1
    exit 0
END
  [ "$status" -eq 0 ]
  [[ $output == *"rw,nosuid,relatime"*"open_tree fd:8: Invalid argument"*"ro,relatime"* ]]
  [[ $output == *"mount_setattr dir: Invalid argument"* ]]
}

@test "the newest kernel that Debian has does what ours does" {
  booted trixie-backports "$initramfs" <<'END'
    mkdir -p root/dir source
    touch source/mark
    ln -s /source root/link
    safemount -r root -f fd:0 <<TABLE
. / none rbind
/source /dir none bind,ro,nosuid,noatime
tmpfs /tmp tmpfs ro,nosuid,create=dir
/dev/null /null none bind,create=file,noexec
TABLE
    grep ' /root/' /proc/self/mountinfo | cut -d ' ' -f 5,6
    safemount -r root -o bind /source link && exit 1
    safemount -r root -U dir
END
  [ "$status" -eq 0 ]
  [[ $output == *"/root/dir ro,nosuid,noatime"* ]]
  [[ $output == *"/root/tmp ro,nosuid,relatime"* && $output == *"/root/null rw,noexec"* ]]
}
