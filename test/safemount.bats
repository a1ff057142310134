#!/usr/bin/env bats
# safemount: mounts below a directory, and what somebody inside it can do about
# that.
# shellcheck disable=SC2016,SC2317 # scripts of a shell inside; exported functions
# shellcheck disable=SC2030,SC2031 # each test sets its own status, output, links
# shellcheck disable=SC2154 # count: set in the script that calls outcome

load helper
bats_require_minimum_version 1.5.0

setup() {
  here=$BATS_TEST_TMPDIR
  root=$here/root
  mkdir -p "$root"/{dir/sub,proc,dev,sys} "$here"/{source,victim/sub}
  touch "$here"/{source/mark,victim/kept,file} "$root/file"
  export -f fail wait_for refuse mounts fields_of prepare_rows rows rows_with_links rows_inside outcome
  export here root
}

# mounts: how many there are.
mounts() {
  local lines
  mapfile -t lines </proc/self/mountinfo
  echo ${#lines[@]}
}

# fields_of PATH: the flags of the mount on PATH, and behind a dash those of its
# file system, as the kernel has them; of the last one if there are several.
fields_of() {
  awk -v path="$(realpath -- "$1")" '$5 == path {
    line = $6; for (i = 7; $i != "-"; i++) line = line " " $i
    found = line " - " $(i + 1) " " $(i + 3) } END { print found }' /proc/self/mountinfo
}

# --- Paths ------------------------------------------------------------------

# Everything that somebody inside ROOT could have put there.
prepare_rows() {
  cd "$root" || return
  n255=$(printf '%0255d' 0)
  mkdir -p -- 'with space' $'new\nline' 'back\slash' "$n255" ... ..x 'a,b' dir/sub/deep locked '*' -dash
  ln -s "$here/victim" absolute
  ln -s / slash
  ln -s ../victim relative
  ln -s dir inside
  ln -s /dir inside_absolute
  ln -s .. up
  ln -s . dot
  ln -s dir/../dir detour
  ln -s file to_file
  ln -s "$here/victim/kept" to_kept
  ln -s nowhere dangling
  ln -s inside chain
  ln -s chain chain2
  ln -s loop2 loop1
  ln -s loop1 loop2
  ln -s self self
  ln -s "$here/victim" dir/absolute
  ln -s ../../victim dir/relative
  ln -s ../inside dir/back
  ln -s ../../../../../../../../.. dir/far_up
  ln -s /up dir/sub/to_top
  ln -s dir many1
  for i in {2..41}; do ln -s many$((i - 1)) "many$i"; done
  ln -s "dir/$(printf '%04000d' 0)" too_long
  mkfifo fifo
  mknod device c 1 3
  mknod disk b 7 99
  socat -u UNIX-LISTEN:socket,fork /dev/null 3>&- &
  until [ -S socket ]; do :; done
  kill -9 %1
  mount -t proc proc proc
  deep=$(printf 'd/%.0s' {1..200})
  mkdir -p "$deep"
  pad() { # pad BYTES: ./ and ./ and dir, so many bytes long
    printf './%.0s' $(seq $((($1 - 3) / 2)))
    (($1 % 2)) || printf /
    printf dir
  }
  p4095=$(pad 4095) p4096=$(pad 4096) p5000=$(pad 5000)
  cd /
  exec 9<"$here/victim"
}

# Each row: the source (d directory, f file), where the mount has to be ("-" for
# nowhere), the target.
rows() {
  row d dir dir
  row d dir /dir
  row d dir //dir
  row d dir dir/
  row d dir ./dir
  row d dir dir/.
  row d dir .//dir//.//
  row d dir/sub dir/sub
  row d dir/sub /dir/./sub
  row d dir/sub/deep dir/sub/deep
  row d . /
  row d . .
  row d . ./
  row d . //.//
  row d 'with space' 'with space'
  row d $'new\nline' $'new\nline'
  row d 'back\slash' 'back\slash'
  row d "$n255" "$n255"
  row d ... ...
  row d ..x ..x
  row d 'a,b' 'a,b'
  row d '*' '*'
  row d -dash /-dash
  row d "$deep" "$deep"
  row d dir "$p4095"
  row f file file
  row f file /file
  row f fifo fifo
  row f socket socket
  row f device device
  row f disk disk
  row d - "$p4096"
  row d - "$p5000"
  row d - "${n255}0"
  row d - ''
  row d - ..
  row d - ../victim
  row d - /../victim
  row d - dir/..
  row d - dir/../dir
  row d - dir/../../victim
  row d - ./..
  row d - dir/sub/../..
  row d - "dir/../../../../../../../../$here/victim"
  row d - missing
  row d - missing/dir
  row d - dir/missing
  row d - file
  row d - file/
  row d - file/dir
  row d - file/.
  row d - fifo
  row d - fifo/
  row d - socket/x
  row d - device
  row f - dir
  row f - /
  row f - file/
  row f - missing
  rows_with_links
}

# Those with a link in them, none of which is followed.
rows_with_links() {
  row d - absolute
  row d - /absolute
  row d - absolute/
  row d - absolute/.
  row d - absolute/sub
  row d - relative
  row d - relative/sub
  row d - inside
  row d - inside/sub
  row d - inside_absolute
  row d - slash
  row d - "slash/$here/victim"
  row d - up
  row d - up/victim
  row d - dot
  row d - dot/dir
  row d - detour
  row d - dangling
  row d - dangling/x
  row d - chain
  row d - chain2/sub
  row d - loop1
  row d - loop1/x
  row d - self
  row d - dir/absolute
  row d - dir/relative/sub
  row d - dir/back
  row d - dir/far_up
  row d - too_long
  row f - to_file
  row f - to_kept
  row f - dangling
  row d - proc/self
  row d - proc/self/root
  row d - "proc/self/root/$here/victim"
  row d - proc/self/cwd
  row d - proc/self/fd/9
  row d - proc/self/fd/9/sub
  row d - proc/thread-self/root
  row f - proc/self/exe
}

# With -L: a link is followed as if ROOT were the root.
rows_inside() {
  row d dir inside
  row d dir inside_absolute
  row d dir /inside/
  row d dir/sub inside/sub
  row d dir detour
  row d . slash
  row d . up
  row d . dot
  row d . dir/far_up
  row d dir up/dir
  row d dir dot/dot/dot/inside
  row d dir slash/inside
  row d dir chain
  row d dir chain2
  row d dir/sub chain2/sub
  row d dir dir/back
  row d dir/sub/deep dir/back/sub/deep
  row d dir dir/sub/to_top/inside
  row d dir "$p4095"
  row f file to_file
  row f file slash/to_file
  row d - absolute
  row d - absolute/sub
  row d - relative
  row d - relative/sub
  row d - "slash/$here/victim"
  row d - dir/absolute
  row d - dir/relative
  row d - up/victim
  row d - dangling
  row d - dangling/x
  row d - loop1
  row d - loop1/x
  row d - self
  row d - too_long
  row d - to_file
  row d - to_file/
  row d - to_file/x
  row d - inside/..
  row d - many41
  row d dir many40
  row f - to_kept
  row d - proc/self/root
  row d - "proc/self/root/$here/victim"
  row d - proc/self/fd/9
  row d - proc/self/fd/9/sub
  row f - proc/self/exe
}

# outcome SOURCE PLACE: whether exactly one mount is new, and where.
outcome() {
  local now
  now=$(mounts)
  if [ "$2" = - ]; then
    [ "$now" -eq "$count" ] && echo refused && return
  elif [ "$now" -eq $((count + 1)) ]; then
    if [ "$1" = d ]; then
      [ -e "$root/$2/mark" ] && echo mounted && return
    else
      [ "$(stat -c %d:%i "$root/$2")" = "$(stat -c %d:%i "$here/file")" ] && echo mounted && return
    fi
  fi
  echo "WRONG: $now mounts instead of $count"
}

# rows_script: runs each row of a table with each way of walking, into a log each.
rows_script='
  source_of() { [ "$1" = d ] && echo "$here/source" || echo "$here/file"; }
  row() {
    local said=
    said=$(cd / && "${walk[@]}" timeout -k 5 20 safemount $links -r "$root" -o bind "$(source_of "$1")" "$3" 2>&1) || true
    printf "%q %s %s [%s]\n" "$3" "$2" "$(outcome "$1" "$2")" "$said" >>"$log"
    if [ "$(mounts)" -gt "$count" ]; then umount "$root/$2"; fi
  }
  prepare_rows
  count=$(mounts)
  i=0
  for how in "" openat2 openat2:error=EPERM; do
    log=$here/log$((++i))
    walk=(${how:+refuse "$how"})
    $1
  done
  [ -e "$here/victim/kept" ] && [ ! -e "$here/victim/mark" ]
  cmp "$here/log1" "$here/log2"
  cmp "$here/log1" "$here/log3"
'

# agree ROWS: all of them as they say, and the same three times.
agree() {
  TRY_SECONDS=120 try unshare --mount --propagation private bash -eu -c "$rows_script" rows "$1"
  cat "$here/log1" || true
  [ "$status" -eq 0 ]
  run ! grep WRONG "$here"/log{1,2,3}
  [ "$(grep -c ' mounted \[' "$here/log1")" -eq "$(declare -f "$1" | grep 'row [df]' | grep -vc 'row [df] - ')" ]
}

@test "nearly a hundred paths end where they say or nowhere, with openat2 and without" {
  export links=
  agree rows
  [ "$(grep -c ' refused ' "$here/log1")" -ge 60 ]
}

@test "-L follows links as if ROOT were the root, with openat2 and without" {
  export links=-L
  agree rows_inside
}

# CVE-2015-1335
@test "mount(8) follows a link of every kind out of ROOT, safemount none" {
  alone <<'END'
    escaped=0
    row() {
      [ "$1" = d ] || return 0
      unshare --mount bash -c '
        mount --bind "$here/source" "$root/$1"
        [ -e "$here/victim/mark" ] || [ -e "$here/victim/sub/mark" ]' bash "$3" 2>/dev/null &&
        escaped=$((escaped + 1)) || true
    }
    prepare_rows
    rows_with_links
    echo "$escaped escaped"
    [ "$escaped" -ge 10 ] || exit 3
END
  [ "$status" -ne 3 ] || skip "mount(8) did not fall here: $output"
  [ "$status" -eq 0 ]
}

# --- Races ------------------------------------------------------------------

# race_setup: one is a directory, two a link that leads to the victim, and
# somebody exchanges them.
race_setup() {
  cc -O2 -o "$here/race" "$BATS_TEST_DIRNAME/race.c"
  mkdir -p "$root/one/x" "$here/victim/x"
  touch "$here/victim/x/secret"
  ln -s ../victim "$root/two"
  export race="$here/race -n"
}

# race MODE VICTIM CONTROL... --- SAFEMOUNT...: the control has to escape, and
# safemount, run 4000 times against many more exchanges, to do neither that nor
# always the same; with openat2 and without.
race() {
  local mode=$1 victim=$2 how control=()
  shift 2
  while [ "$1" != --- ]; do
    control+=("$1")
    shift
  done
  cd "$root" || return
  TRY_SECONDS=100 try unshare --mount "$here/race" -s "$mode" 20000 one two "$victim" "${control[@]}"
  [[ $output == *"escaped 1 "* ]] || skip "the control did not escape here: $output"

  for how in '' -n; do
    if [ -L one ]; then
      mv one link
      mv two one
      mv link two
    fi
    # shellcheck disable=SC2086 # how is an option or none
    TRY_SECONDS=200 try unshare --mount "$here/race" $how "$mode" 4000 one two "$victim" "${@:2}" 2>/dev/null
    output=$(tail -n 1 <<<"$output")
    [ "$status" -eq 0 ]
    [[ $output =~ ^escaped\ 0\ inside\ ([0-9]+)\ refused\ ([0-9]+)\ exchanged\ ([0-9]+)$ ]]
    [ "${BASH_REMATCH[1]}" -gt 0 ]
    [ "${BASH_REMATCH[2]}" -gt 0 ]
    [ "${BASH_REMATCH[3]}" -ge 20000 ]
  done
}

# CVE-2021-30465, CVE-2018-15664
@test "a target whose directory is exchanged for a link 20000 times and more is never mounted on outside" {
  race_setup
  race mount ../victim mount --bind "$here/source" one/x \
    --- safemount -r . -o bind "$here/source" one/x
}

@test "a mount point is never made outside while its directory is exchanged for a link" {
  race_setup
  rm -r "$root/one/x" "$here/victim/x"
  race mkdir ../victim mkdir one/x --- safemount -r . -t dir none one/x
}

@test "a relative source never comes from outside while its directory is exchanged for a link" {
  race_setup
  mkdir -p "$root/shown/x"
  race source shown mount --bind one/x shown/x --- safemount -r . -o bind one/x shown/x
}

@test "a mount outside is never taken off while its directory is exchanged for a link" {
  race_setup
  race umount ../victim umount one/x --- safemount -r . -U one/x
}

# --- Attacks whose window is opened on purpose ------------------------------

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
  still='safemount: dir/x is still mounted, where it was moved to'
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

# --- Making mount points ----------------------------------------------------

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

# --- Sources ----------------------------------------------------------------

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
      safemount -r root -f table echo RAN 2>&1 | grep "line 3: .*fd:$1: Bad"
      for how in "-f fd:$1" "-o bind,create=file fd:$1 new" "-o bind fd:$1 dir" "-o bind,idmap=fd:$1 $here/source dir"; do
        status=0
        safemount -r root $how echo RAN || status=$?
        [ "$status" -eq 125 ]
        [ "$(mounts)" -eq "$before" ]
      done
END
    [[ $status -eq 0 && $output != *RAN* && $output == *"fd:$n: Bad file descriptor"* ]] || fail "$output"
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
  [[ $output == *"was opened in another mount namespace"* ]]
  [[ $output == *"fd:99: Bad file descriptor"* ]]
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

# --- Words of OPTIONS -------------------------------------------------------

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
remount,ro: ro,nosuid,nodev,noexec,relatime - tmpfs ro
remount,bind,exec: ro,nosuid,nodev,relatime - tmpfs ro
rw,nosuid,nodev,noexec,noatime - tmpfs ro"* ]]
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
  for word in ro nosuid nodev; do
    [[ $output == *"hint: $word is locked: a more privileged namespace set it"* ]]
  done
}

@test "remount and propagation change the mount that is on top" {
  alone <<'END'
    cd "$here"
    mount -t tmpfs -o size=1m first root/dir
    mount -t tmpfs -o size=1m second root/dir
    safemount -r root -o remount,ro,size=2m none dir
    safemount -r root -o shared none dir
    awk -v p="$root/dir" '$5 == p { print $6, $7 ~ /shared/, $(NF - 1), $NF }' /proc/self/mountinfo
    safemount -r root -o remount,bogus none dir && exit 1
    safemount -r root -o remount,ro none dir/sub && exit 1
    safemount -r root -o rprivate none dir
    awk -v p="$root/dir" '$5 == p { print $6, $7 ~ /shared/, $(NF - 1), $NF }' /proc/self/mountinfo
    safemount -r root -o rslave none proc && exit 1
    exit 0
END
  [ "$status" -eq 0 ]
  [[ $output == *"\
rw,relatime 0 first rw,size=1024k
ro,relatime 1 second ro,size=2048k"*"bogus"*"\
rw,relatime 0 first rw,size=1024k
ro,relatime 0 second ro,size=2048k"* ]]
}

@test "move moves a mount, and says why it cannot" {
  alone <<'END'
    cd "$here"
    mount -t tmpfs tmpfs source
    touch source/moved
    safemount -r root -o move,nosuid "$here/source" dir
    [ ! -e source/moved ]
    [ -e root/dir/moved ]
    fields_of root/dir
    safemount -r root -o move "$here/victim" dir && exit 1
    mount --bind victim victim
    mount --make-shared victim
    mount -t tmpfs tmpfs victim/sub
    safemount -r root -o move "$here/victim/sub" dir && exit 1
    safemount -r root -o move dir proc
    [ -e root/proc/moved ]
END
  [ "$status" -eq 0 ]
  [[ $output == *"rw,nosuid,relatime - tmpfs"* ]]
  [[ $output == *"hint: what is to be moved is not a mount point"* ]]
  [[ $output == *"hint: the mount that it is on is shared"* ]]
}

@test "a word that means nothing where it stands is refused" {
  for options in bind,size=1m rbind,mode=755 bind,move move,remount bind,slave,shared \
    bind,create=link create=dir,create=file,bind bind,idmap=0 ro idmap=0:0:1 \
    bind,bogus remount,bind,size=1m bind,idmap=0:0:1,idmap=0:0:1 move,idmap=0:1:1; do
    try safemount -r "$root" -o "$options" "$here/source" dir
    [ "$status" -eq 64 ]
  done
  try safemount -r "$root" -o bind -o ro "$here/source" dir
  [ "$status" -eq 64 ]
  [ ! -e "$root/dir/mark" ]
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

# --- File systems -----------------------------------------------------------

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
  [[ $output == *"safemount: fsconfig tmpfs bogus=1: Invalid argument"*"tmpfs: Unknown parameter 'bogus'"* ]]
  try safemount -r "$root" -t overlay -o lowerdir=/nowhere none dir true
  [ "$status" -eq 125 ]
  [[ $output == *"overlay"*"/nowhere"* ]]
  try safemount -r "$root" -t tmpfs -o "size=$(printf '%0300d' 1)" none dir true
  [ "$status" -eq 125 ]
  [[ $output == *"hint: fsconfig takes at most 255 bytes"* ]]
  try safemount -r "$root" -t nosuchfs none dir true
  [ "$status" -eq 125 ]
  [[ $output == *"hint: this kernel has no file system nosuchfs"* ]]
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

@test "a masked /proc is named as what forbids a new one" {
  alone <<'END'
    mount --bind /dev/null /proc/version
    unshare --user --map-root-user --mount --pid --fork safemount -r "$root" -t proc none proc
END
  [ "$status" -eq 125 ]
  [[ $output == *"fsmount proc: Operation not permitted"*"hint: something is mounted on the proc that is there"* ]]
}

# --- idmap= -----------------------------------------------------------------

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

@test "idmap= refuses ranges that the kernel would misread, and names a file system that cannot" {
  local before
  before=$(mounts)
  for maps in '' 0 0:1 0:1: 0:0:0 -1:0:1 +0:0:1 00:0:1 0:010:1 '0:0:1 ' 0:0:1+ +0:0:1 0:0:1+0:5:1 \
    0:0:5+9:4:1 4294967296:0:1 0:4294967296:1 0:0:4294967297 4294967295:0:1 0:4294967295:1 \
    0:4294967290:9 0:0:1:1 a:0:1 "$(for i in {0..340}; do printf '%s:%s:1+' $((i * 2)) $((i * 2)); done)0:9999:1"; do
    try safemount -r "$root" -o "bind,idmap=$maps" "$here/source" dir
    [ "$status" -eq 64 ]
  done
  try safemount -r "$root" -o bind,idmap=0:0:1 /proc/sys dir
  [ "$status" -eq 125 ]
  [[ $output == *"hint: proc cannot be idmapped by this kernel"* ]]
  try safemount -r "$root" -t sysfs -o idmap=0:0:1 none dir
  [ "$status" -eq 125 ]
  [[ $output == *"hint: sysfs cannot be idmapped by this kernel"* ]]
  try safemount -r "$root" -o bind,idmap=/etc/passwd "$here/source" dir
  [ "$status" -eq 125 ]
  [ "$(mounts)" -eq "$before" ]
}

@test "a sysctl that forbids user namespaces is named where idmap= needs one" {
  alone <<'END'
    unshare --user --map-root-user --mount bash -c '
      echo 0 >/proc/sys/user/max_user_namespaces
      safemount -r "$root" -t tmpfs -o idmap=0:0:1 none dir'
END
  [ "$status" -eq 125 ]
  [[ $output == *"hint: /proc/sys/user/max_user_namespaces is 0"* ]]
}

@test "idmap= refuses a /proc that is not ours" {
  alone <<'END'
    unshare --pid --fork safemount -r "$root" -o bind,idmap=0:100000:1 "$here/source" dir && exit 1
    mount --bind /proc/1 /proc
    safemount -r "$root" -o bind,idmap=0:100000:1 "$here/source" dir && exit 1
    mount -t tmpfs tmpfs /proc
    safemount -r "$root" -o bind,idmap=0:100000:1 "$here/source" dir && exit 1
    [ ! -e "$root/dir/mark" ]
END
  [ "$status" -eq 0 ]
  [[ $output == *"another PID namespace"*"only a part"*"not a procfs"* ]]
}

# --- TABLE ------------------------------------------------------------------

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
  local before line n255
  n255=$(printf '%0255d' 0)
  before=$(mounts)
  while read -r line; do
    printf "%b" "# first\n$here/source dir none bind\n\n$line\ntmpfs proc tmpfs\n" >"$here/table"
    try safemount -r "$root" -f "$here/table" true
    [ "$status" -eq 125 ]
    [[ $output == *"safemount: line 4: "* ]]
    [ "$(mounts)" -eq "$before" ]
  done <<'END'
one
one two
tmpfs dir tmpfs ro 0 0 0
tmpfs dir tmpfs ro x
tmpfs dir tmpfs ro 0 -1
tmpfs ../dir tmpfs
tmpfs dir\\04 tmpfs
tmpfs dir\\999 tmpfs
tmpfs dir\\000x tmpfs
tmpfs dir\\400 tmpfs
tmpfs dir\\ tmpfs
tmpfs dir tmpfs\r
tmpfs dir tmpfs ro\r
\r
tmpfs di\0000r tmpfs
\0000
tmpfs dir tmpfs bind,move
tmpfs dir none
fd:x dir none bind
../source dir none bind
none dir dir ro
none dir tmpfs idmap=0:0:0
END
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
      if [[ $line == "$here/nowhere"* || $line == "$here/00"* ]]; then
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
  [ "$(grep -c '^safemount: line 4: [^ ]' <<<"$output")" -ge 9 ]
  run ! grep -q 'line [^4]' <<<"$output"
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
  [[ $output == *"longer than 1 MiB"*"more than 8192 mounts"* ]]
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

# --- -U ---------------------------------------------------------------------

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
      $how safemount -r root -L -U inside sh -c 'pwd' | grep -qx "$here"
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

# --- Steps ------------------------------------------------------------------

@test "a system call that is refused is an error that names it, and PROG does not run" {
  alone <<'END'
    cd "$here"
    fails() { # fails CALL NEEDS ARG...
      local before said
      before=$(mounts)
      for errno in ENOSYS EPERM EINVAL ENOMEM EAGAIN; do
        said=$(refuse "$1:error=$errno" safemount -r root "${@:3}" echo ran 2>&1) && echo "$1 $errno: ran"
        [[ $said == "safemount: "* && $said != *$'\nran' ]] || echo "$1 $errno: $said"
        [[ $errno != ENOSYS || $said == *"hint: $1 needs Linux $2"* ]] || echo "$1 $errno: $said"
        [ "$(mounts)" -eq "$before" ] || echo "$1 $errno: mounted"
      done
    }
    fails open_tree 5.2 -o bind "$here/source" dir
    fails move_mount 5.2 -o bind "$here/source" dir
    fails mount_setattr 5.12 -o bind,ro "$here/source" dir
    fails mount_setattr 5.12 -o bind,slave "$here/source" dir
    fails fsopen 5.2 -t tmpfs none dir
    fails fsmount 5.2 -t tmpfs none dir
    fails fsconfig 5.2 -t tmpfs none dir
    fails fspick 5.2 -o remount,ro none dir
    fails statx 5.8 -o bind "$here/source" dir
    for errno in EIO ENOMEM ENOSYS; do
      for when in 1 2+ 3; do
        refuse "statx:error=$errno:when=$when" safemount -r root -o bind "$here/source" dir echo ran && exit 1
        mountpoint root/dir && exit 1
      done
      refuse "openat2:error=$errno:when=2+/openat:error=$errno:when=2+" \
        safemount -r root -o bind "$here/source" dir echo ran && exit 1
      mountpoint root/dir && exit 1
    done
    for call in openat fstatfs pipe2 clone write; do
      refuse "$call:error=EIO" safemount -r root -o bind,idmap=0:0:1 "$here/source" dir echo ran && exit 1
    done
    mountpoint root/dir && exit 1
    for errno in ENOSYS EPERM EAGAIN; do
      refuse openat2:error=$errno safemount -r root -o bind "$here/source" dir
      mountpoint root/dir
      umount root/dir
    done
    for errno in EIO ENOMEM EACCES EINVAL E2BIG; do
      refuse openat2:error=$errno safemount -r root -o bind "$here/source" dir && exit 1
    done
    strace -o log -e trace=openat2 -e inject=openat2:error=EAGAIN safemount -r root -o bind "$here/source" dir
    [ "$(grep -c openat2 log)" -le 128 ]
END
  [ "$status" -eq 0 ]
  [[ $output != *ran* ]] || fail "$output"
  [ "$(grep -E '^(open_tree|move_mount|mount_setattr|fs[a-z]*|statx) ' <<<"$output")" = "" ] || fail "$output"
}

@test "an openat2 that is disturbed a few times is tried again" {
  alone <<'END'
    strace -o "$here/log" -e trace=openat2 -e inject=openat2:error=EAGAIN:when=1..9 \
      safemount -r "$root" -o bind "$here/source" dir
    mountpoint "$root/dir"
    [ "$(grep -c openat2 "$here/log")" -eq 11 ] # the last looks where the mount is
END
  [ "$status" -eq 0 ]
}

@test "a bind costs at most 11 system calls, each further line 8, or 12 for a file system" {
  alone <<'END'
    cd "$here"
    calls() {
      strace -qq -o log -- safemount "$@" true
      sed -n '2,/^exec/s/(.*//p' log | grep -cvxE 'arch_prctl|set_tid_address|exec.*'
    }
    table() {
      calls -r root -f fd:0 <<<"$first$1"
    }
    more() { # more LINE: what one more of it costs, of 32
      local lines
      printf -v lines "$1\n%.0s" {1..32}
      echo $((($(table "$lines$1") - $(table "$1")) / 32))
    }
    first=
    calls -o bind "$here/source" "$here/root/dir"
    calls -o bind,ro,nosuid "$here/source" "$here/root/dir"
    calls -r root -o bind,ro,nosuid "$here/source" dir
    calls -r root -o bind,ro "$here/file" file
    more "$here/source dir none bind"
    more "$here/source dir none bind,ro"
    more ". proc none bind,ro"
    more "dir proc none bind,ro,nosuid"
    first=$'. / none bind\n'
    more "dir proc none bind"
    more "tmpfs proc tmpfs mode=755,nosuid"
    more "proc proc proc nosuid,nodev,noexec"
END
  [ "$status" -eq 0 ]
  local counts
  mapfile -t counts < <(grep -x '[0-9]*' <<<"$output")
  echo "${counts[@]}"
  for i in 0 1 2 3; do ((counts[i] <= 11)); done
  for i in 4 5 6 7 8; do ((counts[i] <= 8)); done
  for i in 9 10; do ((counts[i] <= 12)); done
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
  status_of 64 safemount -f table -o bind
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

# --- The manual page --------------------------------------------------------

@test "the examples of the manual page come out as they stand there" {
  local line command='' expected='' here_document=''
  mkdir "$here/page"
  cd "$here/page"
  small_root root
  replay() {
    [ "$command" ] || return 0
    try bash -c 'for fd in /proc/self/fd/*; do fd=${fd##*/}; ((fd < 3)) || eval "exec $fd>&-"; done
      eval "$1"' bash "$command"
    [ "$output" = "${expected%$'\n'}" ] || fail "$command" "gives $output" "instead of $expected"
    command='' expected=''
  }
  while IFS= read -r line; do
    line=${line#\\&}
    if [ "$here_document" ]; then
      command+=$'\n'$line
      [ "$line" != END ] || here_document=
    elif [[ $line == '# '* || $line == '$ '* ]]; then
      replay
      command=${line:2}
      [[ $command != *'<<END' ]] || here_document=1
    else
      expected+=$line$'\n'
    fi
  done < <(sed -n '/^\.Bd -literal/,/^\.Ed/{/^\.[BE]d/!p}' "$top/safemount/safemount.1")
  replay
}
