#!/usr/bin/env bats
# safemount: attacks whose window is opened on purpose, and mount points.
# shellcheck disable=SC2016,SC2317 # scripts of a shell inside; exported functions
# shellcheck disable=SC2030,SC2031,SC2154 # status, output, root, here: the helpers set them

load helper
load safemount
bats_require_minimum_version 1.5.0

# attack COMMAND...: once COMMAND has walked to its target and is about to mount
# there by $call, $moved goes from root to outside, and if $copied, a copy of it
# takes its place. Prints the status of COMMAND.
attack() {
  rm -f log
  strace -f -qq -o log -e trace=mount,move_mount,umount2 \
    -e inject=mount,move_mount:delay_enter=700000 "$@" >said 2>&1 3>&- &
  wait_for grep "${call:-move_mount}(" log
  mv "root/$moved" outside
  [ -z "${copied-}" ] || cp -r "outside/${moved##*/}" "root/$moved"
  wait $! && echo '[0]' || echo "[$?]"
}

# CVE-2018-15664
@test "a directory or a file that is moved out of ROOT meanwhile takes no mount along" {
  mkdir "$here/outside"
  export -f attack
  alone <<'END'
    cd "$here"
    before=$(mounts)
    for source in source file; do
      for moved in dir dir/x; do # the directory above the target, or the target
        again() {
          rm -rf root/dir outside/*
          mkdir root/dir
          if [ "$source" = file ]; then touch root/dir/x; else mkdir root/dir/x; fi
        }
        # By a descriptor's name in /proc, as many do it.
        again
        [ "$(call=mount attack bash -c 'exec 9<root/dir/x; mount -c --bind "$0" /proc/self/fd/9' "$here/$source")" = '[0]' ]
        [ "$(grep -c "$here/outside" /proc/self/mountinfo)" -eq 1 ] || exit 3
        umount outside/{x,dir/x} 2>/dev/null || [ "$(mounts)" -eq "$before" ]
        for how in '-o bind' '-L -o rbind'; do
          again
          attack safemount -r root $how "$here/$source" dir/x echo ran
          again
          copied=yes attack safemount -r root $how "$here/$source" dir/x echo ran
          [ "$(mounts)" -eq "$before" ] || cat said /proc/self/mountinfo
          ! grep -E 'ran|still' said || exit 1
        done
      done
    done
END
  [ "$status" -ne 3 ] || skip "the control did not fall"
  [ "$status" -eq 0 ]
  [ "$output" = "$(printf '[125]\n%.0s' {1..16})" ]
}

@test "where a mount that was moved out cannot be taken off, that is said, and PROG does not run" {
  export -f attack
  alone <<'END'
    cd "$here"
    left() { # left SOURCE COMMAND...
      rm -rf root/dir outside
      mkdir -p root/dir outside
      if [ "$1" = file ]; then touch root/dir/x; else mkdir root/dir/x; fi
      moved=dir attack "${@:2}" safemount -r root -o bind "$here/$1" dir/x echo ran
      grep -c "$here/outside/dir/x" /proc/self/mountinfo || true
      grep 'still mounted' said
      ! grep ran said || exit 1
      umount outside/dir/x 2>/dev/null || true
    }
    left source -e inject=umount2:error=EPERM
    left source -e inject=umount2:retval=0
    left file -e inject=umount2:error=EPERM
    # A file has no name but in /proc, and there a user may have none.
    left file unshare --user --map-root-user --mount sh -c 'mount -t tmpfs tmpfs /proc; exec "$@"' sh
END
  [ "$status" -eq 0 ] || fail "$output"
  still='safemount: dir/x: is still mounted, where it was moved to'
  [ "$output" = "$(printf '%s\n' '[125]' 1 "$still" '[125]' 1 "$still" '[125]' 1 "$still" '[125]' 0 "$still")" ]
}

@test "a copy that is covered is seen to be in its place, and is taken off with its cover" {
  export -f attack
  alone <<'END'
    cd "$here"
    mkdir outside cover
    touch cover/upper
    mount --bind source source
    exec 9<source
    mount --bind cover source
    mount --bind file file
    before=$(mounts)
    safemount -r root -o rbind fd:9 dir/sub
    [ -e root/dir/sub/upper ]
    umount root/dir/sub root/dir/sub
    [ "$(mounts)" -eq "$before" ]
    moved=dir attack safemount -r root -o rbind fd:9 dir/sub echo ran 9<&9
    [ "$(mounts)" -eq "$before" ]
    ! grep ran said || exit 1
END
  [ "$status" -eq 0 ]
  [ "$output" = '[125]' ]
}

# The roots of its subvolumes all have one inode number, on one mount.
@test "a subvolume of btrfs that is moved out of ROOT meanwhile takes no mount along" {
  alone <<'END'
    cd "$here"
    truncate -s 200M image
    mkfs.btrfs -q image
    mkdir fs
    mount -o loop image fs || exit 3
    btrfs subvolume create fs/root
    btrfs subvolume create fs/root/nested
    mkdir fs/root/nested/dir
    strace -qq -o log -e trace=move_mount -e inject=move_mount:delay_enter=700000 \
      safemount -r fs/root -t tmpfs none nested/dir 3>&- &
    wait_for grep -q move_mount log
    mv fs/root/nested fs
    wait $! && exit 1
    awk '{ print $5 }' /proc/self/mountinfo | grep "$here/fs/nested" && exit 1
    exit 0
END
  [ "$status" -ne 3 ] || skip "no btrfs can be mounted"
  [ "$status" -eq 0 ]
}

@test "nothing can be moved out of a ROOT that is a mount" {
  mkdir "$here/outside"
  alone <<'END'
    cd "$here"
    safemount -r root -f fd:0 <<<'. / none rbind'
    safemount -r root -o bind "$here/source" dir/sub
    perl -e 'exit !rename $ARGV[0], $ARGV[1]' root/dir outside/dir && exit 1
    [ -e root/dir/sub/mark ]
END
  [ "$status" -eq 0 ]
}

@test "a directory moved out below a ROOT that is a mount is not taken for mounted on" {
  mkdir -p "$here/outside" "$root"/{naive,ours}/x
  alone <<'END'
    cd "$here"
    mount --bind root root
    # Another namespace, in which ROOT is no mount.
    mkfifo go
    unshare --mount bash -c 'umount root; while read from to; do mv "$from" "$to"; done' <go >/dev/null 2>&1 3>&- &
    exec 5>go
    wait_for bash -c '[ "$(readlink /proc/$1/ns/mnt)" != "$(readlink /proc/self/ns/mnt)" ]' bash $!
    attack() {
      strace -f -qq -o "$1.log" -e trace=mount,move_mount \
        -e inject=mount,move_mount:delay_enter=700000 "${@:2}" 3>&- 5>&- &
      local pid=$!
      wait_for grep 'mount(' "$1.log"
      echo "root/$1 outside" >&5
      wait $pid && echo "$1 [0]" || echo "$1 [$?]"
      # What is mounted on it is in no table, until it is back.
      [ -d "outside/$1/x" ] && [ ! -e "outside/$1/x/mark" ]
      echo "outside/$1 root" >&5
      wait_for [ -d "root/$1/x" ]
    }
    attack naive bash -c 'exec 9<root/naive/x; mount -c --bind source /proc/self/fd/9'
    [ -e root/naive/x/mark ] || exit 3
    attack ours safemount -r root -o bind "$here/source" ours/x echo ran
    [ ! -e root/ours/x/mark ]
END
  [ "$status" -ne 3 ] || skip "the control did not fall"
  [ "$status" -eq 0 ]
  [[ ${lines[0]} == 'naive [0]' && ${lines[-1]} == 'ours [125]' && $output != *ran* ]]
}

# CVE-2025-52881
@test "a false /proc does not divert a mount" {
  alone <<'END'
    cd "$here"
    exec 9<root/dir
    mount -t tmpfs proc /proc
    mkdir -p /proc/self/fd
    for i in {0..30}; do ln -s "$here/victim" /proc/self/fd/$i; done
    unshare --mount bash -c 'mount -nc --bind "$here/source" /proc/self/fd/9; [ -e victim/mark ]' || exit 3
    safemount -r root -o bind,ro "$here/source" dir
    [ -e root/dir/mark ]
    [ ! -e victim/mark ]
END
  [ "$status" -ne 3 ] || skip "the control did not fall"
  [ "$status" -eq 0 ]
}

@test "bind,ro is not writable at any moment" {
  alone <<'END'
    cd "$here"
    attack() { # attack NAME COMMAND...: somebody writes while COMMAND mounts on it
      mkdir "root/$1"
      bash -c 'cd root; while :; do : >"$1/written"; done' bash "$1" >/dev/null 2>&1 3>&- &
      writer=$!
      trap 'kill $writer' EXIT
      strace -f -qq -o /dev/null -e trace=mount,move_mount,mount_setattr \
        -e inject=mount,move_mount,mount_setattr:delay_enter=100000 "${@:2}"
      kill "$writer"
      trap - EXIT
    }
    attack naive mount -o bind,ro source root/naive 2>/dev/null || true # busy: being written to
    [ -e source/written ] || exit 3
    rm source/written
    attack ours safemount -r root -o bind,ro "$here/source" ours
    [ -e root/ours/mark ]
    [ ! -e source/written ]
END
  [ "$status" -ne 3 ] || skip "the control did not fall"
  [ "$status" -eq 0 ]
}

# LXC once mounted into every namespace that shared its root.
@test "behind rslave, nothing that is mounted shows up in another namespace" {
  alone_shared <<'END'
    cd "$here"
    of_peer() {
      grep -c . "/proc/$PPID/mountinfo"
    }
    before=$(of_peer)
    mount -t tmpfs tmpfs root/dir
    [ "$(of_peer)" -gt "$before" ] || exit 3
    umount root/dir
    safemount -f fd:0 <<TABLE
none / none rslave
tmpfs $root/dir tmpfs
. / none rbind
$here/source $root/proc none bind,shared
TABLE
    [ "$(of_peer)" -eq "$before" ]
END
  [ "$status" -ne 3 ] || skip "the control did not fall"
  [ "$status" -eq 0 ]
}

@test "create= makes what is missing, as mkdir does, and leaves the rest alone" {
  alone <<'END'
    cd "$here"
    mkdir -m 2770 root/set
    chown :12345 root/set
    umask 027
    safemount -r root -o bind,create=dir "$here/source" set/a/b/c
    safemount -r root -o bind,create=file "$here/file" /set/d/e
    safemount -r root -o bind,create=file "$here/file" file
    safemount -r root -o bind,create=dir "$here/source" dir
    umount root/set/a/b/c root/set/d/e root/file root/dir
    stat -c '%A %u %g' root/set/a root/set/a/b root/set/a/b/c root/set/d root/set/d/e
END
  [ "$status" -eq 0 ]
  [ "$output" = "\
$(yes 'drwxr-s--- 0 12345' | head -n 4)
-rw-r----- 0 12345" ] || [ "$(tail -n 5 <<<"$output")" = "\
drwxr-s--- 0 12345
drwxr-s--- 0 12345
drwxr-s--- 0 12345
drwxr-s--- 0 12345
-rw-r----- 0 12345" ]
}

@test "create= makes nothing through a link, and nothing of the wrong kind" {
  alone <<'END'
    cd "$here"
    ln -s ../victim root/link
    ln -s ../victim/new root/dangling
    mkdir -p root/link/control 2>/dev/null
    [ -d victim/control ] || exit 3
    : >root/dangling
    [ -e victim/new ] || exit 3
    rm -r victim/control victim/new
    before=$(ls -lR victim; mounts)
    for how in '' 'refuse openat2'; do
      for target in link/new link dangling dangling/x link/sub/new ../victim/new; do
        $how safemount -r root -o bind,create=dir "$here/source" $target && exit 1
        $how safemount -r root -o bind,create=file "$here/file" $target && exit 1
        $how safemount -r root -t dir none $target && exit 1
        $how safemount -r root -t symlink text $target/x && exit 1
      done
      $how safemount -r root -o bind,create=file "$here/source" wrong && exit 1
      $how safemount -r root -o bind,create=dir "$here/file" wrong2 && exit 1
    done
    [ "$(ls -lR victim; mounts)" = "$before" ]
END
  [ "$status" -ne 3 ] || skip "the control did not fall"
  [ "$status" -eq 0 ]
}

@test "dir and symlink lines make directories and links, once" {
  alone <<'END'
    cd "$here/root"
    for i in 1 2; do
      safemount -r . -f fd:0 <<TABLE
none /new/deep/dir dir
../a\040text /new/link symlink
/proc/self/fd /fd symlink optional
TABLE
    done
    stat -c '%F' new/deep/dir
    readlink new/link fd
    safemount -r . -t symlink other fd || echo "[$?]"
    safemount -r . -t symlink other dir || echo "[$?]"
    safemount -r . -t dir none file || echo "[$?]"
    safemount -r . -t dir none /file/ || echo "[$?]"
    safemount -r . -t dir -o ro none dir || echo "[$?]"
    readlink fd
END
  [ "$(grep -v '^safemount\|^usage\|^ \|^\$' <<<"$output")" = "directory
../a text
/proc/self/fd
[125]
[125]
[125]
[125]
[64]
/proc/self/fd" ] || fail "$output"
}

@test "mode= is exactly the mode of a directory that is made, and of nothing else" {
  alone <<'END'
    cd "$here"
    umask 077
    safemount -r root -f fd:0 <<TABLE
none /a/b dir mode=1777
none /c dir mode=0
none dir dir mode=700
tmpfs proc tmpfs create=dir,mode=750
TABLE
    stat -c '%a %n' root/a root/a/b root/c root/dir root/proc
    for mode in 8 -1 02000 07777 '' 0777x; do
      safemount -r root -t dir -o "mode=$mode" none new && exit 1
    done
    safemount -r root -t symlink -o mode=755 x new && exit 1
    [ ! -e root/new ]
END
  [ "$status" -eq 0 ] || fail "$output"
  [[ $output == $'700 root/a\n1777 root/a/b\n0 root/c\n755 root/dir\n750 root/proc\n'* ]]
}
