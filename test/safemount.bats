#!/usr/bin/env bats
# safemount: tables, -U, and what makes it a step.
# shellcheck disable=SC2016,SC2317 # scripts of a shell inside; exported functions
# shellcheck disable=SC2030,SC2031,SC2154 # status, output, root, here: the helpers set them

load helper
load safemount
bats_require_minimum_version 1.5.0

@test "TABLE is fstab(5), from a file, a pipe or a descriptor" {
  alone <<'END'
    cd "$here"
    mkdir -p 'root/with space' $'root/tab\there' $'root/new\nline' 'root/back\slash' 'root/#hash'
    mkdir 'sou rce'
    printf '%s\n' '# a comment' '' '   ' $'\t# another' \
      "$here/source /with\040space none bind" \
      $'\t'"$here/source"$'\t/tab\\011here \t none\tbind,ro\t0 0 ' \
      "$here/sou\\040rce new\\012line none bind 1 2" \
      "$here/source /back\\134slash none bind" \
      "$here/source #hash none bind" >table
    printf 'tmpfs dir tmpfs' >>table # and no newline
    for how in table fd:7 fd:0 /dev/fd/8; do
      before=$(mounts)
      cat table | safemount -r root -f $how 7<table 8< <(cat table)
      [ "$(mounts)" -eq $((before + 6)) ]
      [ -e 'root/with space/mark' ]
      [ -e $'root/tab\there/mark' ]
      mountpoint -q $'root/new\nline'
      [ -e 'root/back\slash/mark' ]
      [ -e 'root/#hash/mark' ]
      umount root/*/ 2>/dev/null || true
      [ "$(mounts)" -eq "$before" ]
    done
END
  [ "$status" -eq 0 ]
}

@test "a line that is not understood is named, and no line at all is carried out" {
  local before line
  before=$(mounts)
  while read -r line; do
    printf "%b" "# first\n$here/source dir none bind\n\n$line\ntmpfs proc tmpfs\n" >"$here/table"
    try safemount -r "$root" -f "$here/table" true
    [ "$status" -eq 125 ]
    [[ $output == *"safemount: "*"table:4: "* ]]
    [ "$(mounts)" -eq "$before" ]
  done <<'END'
one
one two
tmpfs dir tmpfs ro 0 0 0
tmpfs dir tmpfs ro x
tmpfs dir tmpfs ro, nosuid
tmpfs dir tmpfs ro 0 -1
tmpfs ../dir tmpfs
tmpfs dir\\04 tmpfs
tmpfs dir\\999 tmpfs
tmpfs dir\\000x tmpfs
tmpfs dir\\400 tmpfs
tmpfs dir\\ tmpfs
tmpfs dir tmpfs bind,move
tmpfs dir none
../source dir none bind
none dir dir ro
none dir tmpfs idmap=0:0:0
END
}

@test "a table that is not read to its end, or has a NUL in it, is an error" {
  local before table
  before=$(mounts)
  printf 'tmpfs dir tmpfs\ntmpfs proc tmpfs\0\n' >"$here/nul"
  printf 'tmpfs dir tmpfs\n\0' >"$here/nul2"
  printf 'tmpfs dir tmpfs\n' >"$here/table"
  # EIO: nothing is at address 0. EISDIR: a directory.
  for table in /proc/self/mem "$here" "$here/nul" "$here/nul2"; do
    try safemount -r "$root" -f "$table" echo ran
    [[ $status -eq 125 && $output != *ran* ]]
    [ "$(mounts)" -eq "$before" ]
  done
  alone <<'END'
    refuse read:error=EIO:when=2 safemount -r "$root" -f "$here/table" echo ran && exit 1
    ! mountpoint "$root/dir"
END
  [[ $status -eq 0 && $output != *ran* ]]
}

@test "several tables are carried out in order, and a message names table and line" {
  alone <<'END'
    cd "$here"
    echo "tmpfs dir tmpfs" >one
    printf '\nnone dir/a dir\n%s dir/a none bind' "$here/source" >two # no newline
    safemount -r root -f one -f two -f fd:7 7<<<'dir/a proc none bind'
    [ -e root/proc/mark ]
    safemount -r root -f one -f two -f fd:7 echo ran 7<<<'tmpfs sys/none tmpfs' && exit 1
    safemount -r root -f fd:7:box.tab echo ran 7<<<'tmpfs sys/none tmpfs' && exit 1
    safemount -r root -f fd:7: echo ran 7<<<'tmpfs sys/none tmpfs' && exit 1
    long=$(printf '%0200d' 0)
    printf '# \n\ntmpfs x/y tmpfs\n' >"$long"
    safemount -r root -f "$long" && exit 1
    exit 0
END
  [ "$status" -eq 0 ]
  [[ $output == *"safemount: fd:7:1: open sys/none: No such file"* && $output == *"0000:3: open x: No such file"* ]]
  [[ $output == *"safemount: box.tab:1: open sys/none: No such file"* && $output == *"safemount: open sys/none: No such file"* ]]
  [[ $output != *ran* ]]
}

@test "the soft limit of descriptors is no limit for a table, and PROG has it as it was" {
  alone <<'END'
    cd "$here"
    for i in {1..200}; do echo "$here/source /many/$i none bind,create=dir"; done >table
    ulimit -Sn 64
    safemount -r root -f table bash -c 'ulimit -Sn; ulimit -Hn'
    ulimit -Hn
END
  [ "$status" -eq 0 ]
  [ "${lines[0]}" -eq 64 ]
  [ "${lines[1]}" = "${lines[2]}" ]
}

@test "a line that fails is named, those before it stay, and PROG does not run" {
  alone <<'END'
    cd "$here"
    long=$(printf '%05000d' 0)
    for line in "$here/source nowhere none bind" "$here/nowhere dir none bind" "tmpfs dir nosuchfs" \
      "tmpfs $long tmpfs" "$here/$long dir none bind" "tmpfs dir tmpfs size=$long" "$long dir tmpfs" \
      "tmpfs dir $long" "$here/source dir none bind,idmap=/nowhere"; do
      before=$(mounts)
      safemount -r root -f fd:0 touch ran <<TABLE && exit 1
tmpfs dev tmpfs
# comment

$line
tmpfs proc tmpfs
TABLE
      # What is opened beforehand fails beforehand.
      if [[ $line == "$here"/[0n]*[0e]' dir '* || $line == *idmap=* || $line == "tmpfs 00"* ]]; then
        [ "$(mounts)" -eq "$before" ]
      else
        mountpoint -q root/dev
        [ "$(mounts)" -eq $((before + 1)) ]
        umount root/dev
      fi
    done
    [ ! -e ran ]
END
  [ "$status" -eq 0 ]
  [ "$(grep -c '^safemount: fd:0:4: [^ ]' <<<"$output")" -ge 9 ]
  run ! grep -q 'fd:0:[^4]' <<<"$output"
}

@test "1000 lines in one process, and a table that is too long is refused" {
  alone <<'END'
    cd "$here"
    for i in {1..500}; do
      echo "$here/source /many/$i none bind,ro,create=dir"
      echo "many/$i /more/$i none bind,create=dir"
    done >table
    before=$(mounts)
    ulimit -n 1024
    safemount -r root -f table
    [ "$(mounts)" -eq $((before + 1000)) ]
    [ -e root/more/500/mark ]
    umount -l root/more/*
    # Descriptors do not add up.
    (ulimit -n 64 && grep '^many' table | safemount -r root -f fd:0)
    [ "$(mounts)" -eq $((before + 1000)) ]
    umount -l root/more/* root/many/*
    for i in {1..30000}; do echo "# $i, and so on, and on, and on, and on"; done >table
    echo "tmpfs dir tmpfs" >>table
    safemount -r root -f table && exit 1
    for i in {1..9000}; do echo "tmpfs dir tmpfs"; done >table
    safemount -r root -f table && exit 1
    [ "$(mounts)" -eq "$before" ]
END
  [ "$status" -eq 0 ]
  [[ $output == *"table: is longer than 1 MiB"*"table:8193: dir: has 8192 lines before it"* ]]
}

@test "a source, target or directory that we may not search, and a target 1400 levels deep" {
  chmod 755 "$BATS_RUN_TMPDIR" "$BATS_RUN_TMPDIR/test" "$here"
  alone <<'END'
    mkdir -m 700 "$here/closed" "$root/closed"
    cd "$here/closed"
    idmap -n mnt -u 0:100000:1 -g 0:100000:1 safemount -r "$root" -t tmpfs none /closed true
    idmap -n mnt -u 0:100000:1 -g 0:100000:1 safemount -r "$root" -t tmpfs none / true
    cd "$here"
    chown 5000 source
    chmod 700 source
    safemount -r root -o bind,idmap=0:100000:1 "$here/source" dir
    umount root/dir
    path=$(printf 'd/%.0s' {1..1400})
    before=$(mounts)
    safemount -r root -t tmpfs -o create=dir none "$path"
    [ "$(mounts)" -eq $((before + 1)) ]
END
  [ "$status" -eq 0 ]
}

@test "what is unbindable can be mounted where mounts are shared" {
  alone_shared <<'END'
    cd "$here"
    safemount -r root -o bind,unbindable "$here/source" dir
    safemount -r root -t tmpfs -o runbindable none proc
    [ "$(grep -c "$here/root/.* unbindable" /proc/self/mountinfo)" -eq 2 ]
END
  [ "$status" -eq 0 ]
}

@test "optional makes no directory for a file system that is not there" {
  alone <<'END'
    safemount -r "$root" -t nosuchfs -o optional none new/dir
    safemount -r "$root" -t ext4 -o optional,create=dir /dev/nonexistent new/dir
    [ ! -e "$root/new" ]
END
  [ "$status" -eq 0 ]
}

@test "a mount on / covers ROOT, and later lines are below it" {
  alone <<'END'
    cd "$here"
    safemount -r root -f fd:0 <<TABLE
. / none rbind,nosuid
$here/source /dir none bind
tmpfs . tmpfs mode=700
dir /inner none bind,optional
$here/source /inner none bind,create=dir
. /inner2 none bind,create=dir
TABLE
    [ -e root/inner/mark ]
    [ -d root/inner2/inner ]
    [ ! -e root/dir ]
    umount -l root
    [ -e root/dir/mark ]
    umount root/dir
    umount root
    [ ! -e root/inner ]
    ln -s / root/slash
    safemount -L -r root -f fd:0 <<TABLE
tmpfs slash tmpfs
$here/source /inner none bind,create=dir
TABLE
    [ -e root/inner/mark ]
    umount -R root
    [ ! -e root/inner ]

    # A working directory that is ROOT becomes what covers it, another stays.
    mkdir root/other
    cd root
    safemount -r . -t tmpfs none / test . -ef "$here/root"
    umount "$here/root"
    cd other
    exec 9<.
    safemount -r .. -t tmpfs none / test . -ef /dev/fd/9
    exec 9<&-
    umount "$here/root"
    cd "$here"
    rmdir root/other

    # "/" itself: the clone is above it, reached as "/..".
    safemount -r / -o rbind . / safemount -r / -o bind "$here/source" "$here/root/dir" \
      bash -c '[ -e "/..$here/root/dir/mark" ] && [ ! -e "$here/root/dir/mark" ]'
    safemount -f fd:0 bash -c '[ -e "/..$here/root/dir/mark" ] && [ ! -e "$here/root/dir/mark" ]' <<TABLE
. / none rbind
$here/source $here/root/dir none bind
TABLE
END
  [ "$status" -eq 0 ]
}

@test "-U takes off what is mounted below ROOT, and through no link what is mounted outside" {
  alone <<'END'
    cd "$here"
    mount -t tmpfs tmpfs victim
    mkdir victim/sub
    mount -t tmpfs tmpfs victim/sub
    mount --bind file root/file
    ln -s ../victim root/link
    ln -s "$here/victim/sub" root/absolute
    ln -s dir root/inside
    unshare --mount bash -c 'umount root/link/sub; ! mountpoint -q victim/sub' || exit 3
    before=$(mounts)
    ln -s . root/here
    for how in '' 'refuse openat2'; do
      for links in '' -L; do
        for target in link link/sub absolute ../victim dir nowhere dir/../../victim ''; do
          $how safemount $links -r root -U "$target" && exit 1
        done
      done
      $how safemount -r root -U inside && exit 1
      [ "$(mounts)" -eq "$before" ]
      mount -t tmpfs tmpfs root/dir
      mkdir root/dir/a
      mount -t tmpfs tmpfs root/dir/a
      $how safemount -r root -U dir && exit 1 # busy
      $how safemount -r root -U dir/a/
      safemount -r root -L -U inside && exit 1
      $how safemount -r root -U dir sh -c 'pwd' | grep -qx "$here"
      mount -t tmpfs tmpfs root/dir
      safemount -r root -L -U here/dir
      [ "$(mounts)" -eq "$before" ]
    done
    safemount -r root -U /file
    mount -t tmpfs tmpfs root
    safemount -r root -U /
    mountpoint -q root && exit 1
    [ "$(mounts)" -eq $((before - 1)) ]
END
  [ "$status" -ne 3 ] || skip "the control did not fall"
  [ "$status" -eq 0 ]
}

@test "-U calls what is no mount point that" {
  try safemount -r "$root" -U dir/sub
  [[ $status -eq 125 && $output == "safemount: dir/sub: is not a mount point" ]]
}

@test "a system call that is refused is an error that names it, and PROG does not run" {
  alone <<'END'
    cd "$here"
    fails() { # fails CALL ARG...
      local before said
      before=$(mounts)
      for errno in ENOSYS EPERM EINVAL ENOMEM EAGAIN; do
        said=$(refuse "$1:error=$errno" safemount -r root "${@:2}" echo ran 2>&1) && echo "$1 $errno: ran"
        [[ $said == "safemount: "* && $said != *$'\nran' ]] || echo "$1 $errno: $said"
        [[ $said == *" $1 "* ]] || echo "$1 $errno: $said"
        [ "$(mounts)" -eq "$before" ] || echo "$1 $errno: mounted"
      done
    }
    fails open_tree -o bind "$here/source" dir
    fails move_mount -o bind "$here/source" dir
    fails mount_setattr -o bind,ro "$here/source" dir
    fails mount_setattr -o bind,slave "$here/source" dir
    fails fsopen -t tmpfs none dir
    fails fsmount -t tmpfs none dir
    fails fsconfig -t tmpfs none dir
    for errno in EIO ENOMEM ENOSYS; do
      for when in 1 2+ 3; do
        refuse "statx:error=$errno:when=$when" safemount -r root -o bind "$here/source" dir echo ran && exit 1
        mountpoint root/dir && exit 1
      done
      refuse "openat:error=$errno:when=2+" safemount -r root -o bind "$here/source" dir echo ran && exit 1
      mountpoint root/dir && exit 1
    done
    for call in pipe2 clone write; do
      refuse "$call:error=EIO" safemount -r root -o bind,idmap=0:0:1 "$here/source" dir echo ran && exit 1
    done
    mountpoint root/dir && exit 1
    for errno in EIO ENOMEM EACCES EINVAL E2BIG; do
      refuse openat2:error=$errno safemount -L -r root -o bind "$here/source" dir && exit 1
    done
    strace -o log -e trace=openat2 -e inject=openat2:error=EAGAIN safemount -L -r root -o bind "$here/source" dir && exit 1
    [ "$(grep -c openat2 log)" -le 128 ]
END
  [ "$status" -eq 0 ]
  [[ $output != *ran* ]] || fail "$output"
  [ "$(grep -E '^(open_tree|move_mount|mount_setattr|fs[a-z]*|statx) ' <<<"$output")" = "" ] || fail "$output"
}

# As behind a seccomp filter whose errno is 0.
@test "a call that says 0 and does nothing is seen, and PROG does not run" {
  alone <<'END'
    cd "$here"
    lies() {
      refuse "$1:retval=0" safemount -r root "${@:2}" echo ran && exit 1
      safemount -r root -U dir && exit 1
      return 0
    }
    refuse() {
      strace -f -qq -o /dev/null -e "inject=$1" -- "${@:2}"
    }
    lies move_mount -o bind "$here/source" dir
    lies mount_setattr -o bind,ro "$here/source" dir
    lies mkdirat -t dir none new
    lies mknodat -o bind,create=file "$here/file" new
    lies symlinkat -t symlink x new
    mount -t tmpfs tmpfs root/proc
    lies umount2 -U proc
END
  [[ $status -eq 0 && $output != *ran* ]]
  [[ $output == *"dir: does not have the flags that were set"*"proc: is still mounted"* ]]
}

@test "an openat2 that is disturbed a few times is tried again" {
  alone <<'END'
    strace -o "$here/log" -e trace=openat2 -e inject=openat2:error=EAGAIN:when=1..9 \
      safemount -L -r "$root" -o bind "$here/source" dir
    mountpoint "$root/dir"
    [ "$(grep -c openat2 "$here/log")" -eq 11 ] # the last looks where the mount is
END
  [ "$status" -eq 0 ]
}

@test "a further line costs at most 17 system calls, a bind without flags 13" {
  alone <<'END'
    cd "$here"
    calls() { # of all that are made until PROG is executed
      strace -qq -o log -- safemount -r root -f fd:0 true <<<"$1"
      sed -n '2,/^exec/p' log | wc -l
    }
    more() { # more LINE: what one more of it costs, of 32
      local lines
      printf -v lines "$1\n%.0s" {1..32}
      echo $((($(calls "$lines$1") - $(calls "$1")) / 32))
    }
    more "$here/source dir none bind"
    more "$here/source dir none bind,ro"
    more "tmpfs proc tmpfs mode=755,nosuid"
END
  [ "$status" -eq 0 ]
  ((lines[0] <= 13 && lines[1] <= 14 && lines[2] <= 17))
}

@test "-v shows that a bind has its flags before it is attached, and nothing that cannot be read" {
  alone <<'END'
    cd "$here"
    safemount -v -r root -o bind,ro,nosuid,slave "$here/source" dir true
    safemount -v -r root -t tmpfs -o size=1m,ro,create=dir,rprivate tmpfs /new true
END
  [ "$status" -eq 0 ]
  diff - <(echo "${output//"$here"/HERE}") <<'END'
+ open_tree(from, "HERE/source", OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC | AT_EMPTY_PATH)
+ mount_setattr(mount, "", AT_EMPTY_PATH, "ro,nosuid")
+ mount_setattr(mount, "", AT_EMPTY_PATH, "slave")
+ move_mount(tree, "", target->fd, "", MOVE_MOUNT_F_EMPTY_PATH | MOVE_MOUNT_T_EMPTY_PATH)
+ mount_setattr(mount, "", AT_EMPTY_PATH, "slave")
+ execvp("true", argv)
+ fsopen("tmpfs", FSOPEN_CLOEXEC)
+ fsconfig(context, FSCONFIG_SET_STRING, "source", "tmpfs", 0)
+ fsconfig(context, FSCONFIG_SET_STRING, "size", "1m", 0)
+ fsconfig(context, FSCONFIG_CMD_CREATE, NULL, NULL, 0)
+ fsmount(context, FSMOUNT_CLOEXEC, "ro")
+ mkdirat(place->parent, "new", mode)
+ mount_setattr(mount, "", AT_EMPTY_PATH | AT_RECURSIVE, "rprivate")
+ move_mount(tree, "", target->fd, "", MOVE_MOUNT_F_EMPTY_PATH | MOVE_MOUNT_T_EMPTY_PATH)
+ mount_setattr(mount, "", AT_EMPTY_PATH | AT_RECURSIVE, "rprivate")
+ execvp("true", argv)
END
}

@test "the exit status says what happened" {
  status_of() {
    local expected=$1
    shift
    try unshare --mount "$@"
    [ "$status" -eq "$expected" ] || fail "$status instead of $expected"
  }
  local bind=(safemount -r "$root" -o bind "$here/source" dir)
  status_of 0 safemount -h
  status_of 0 safemount --help
  status_of 0 safemount -V
  status_of 0 safemount --version
  status_of 64 safemount
  status_of 64 safemount -o bind
  status_of 64 safemount -o bind a
  status_of 64 safemount -x
  status_of 64 safemount -o
  status_of 64 safemount -f /dev/null -o bind
  status_of 64 safemount -U x -t tmpfs
  status_of 64 safemount --bind a b
  status_of 125 safemount -r "$root" -o bind "$here/nowhere" dir
  status_of 125 safemount -r "$here/nowhere" -o bind "$here/source" dir
  status_of 125 safemount -r "$root" -f "$here/nowhere"
  status_of 126 "${bind[@]}" "$here/source"
  status_of 127 "${bind[@]}" "$here/nowhere"
  status_of 0 "${bind[@]}"
  status_of 0 "${bind[@]}" true
  status_of 7 "${bind[@]}" sh -c 'exit 7'
  status_of 143 "${bind[@]}" sh -c 'kill $$'
}

@test "PROG gets the descriptors that safemount got, and no other" {
  alone <<'END'
    cd "$here"
    exec 5<file
    printf 'tmpfs dir tmpfs\n. dir none bind\n%s dir none bind,idmap=0:1:1\n' "$here/source" >table
    sh -c 'ls /proc/$$/fd' | xargs echo fds
    safemount -r root -f table sh -c 'ls /proc/$$/fd' | xargs echo fds
    safemount -r root -U dir sh -c 'ls /proc/$$/fd' | xargs echo fds
    for closed in '<&-' '>&-' '<&- >&- 2>&-'; do
      eval "safemount -r root -f table $closed" || echo failed
    done
    ls -l root/dir/mark
END
  [ "$status" -eq 0 ]
  [ "$(grep '^fds ' <<<"$output" | sort -u | wc -l)" -eq 1 ]
  [[ $output != *failed* ]]
}
