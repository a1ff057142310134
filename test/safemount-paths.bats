#!/usr/bin/env bats
# safemount: where paths end, and what somebody inside ROOT can do about that.
# shellcheck disable=SC2016,SC2317 # scripts of a shell inside; exported functions
# shellcheck disable=SC2030,SC2031,SC2154 # status, output, root, here: the helpers set them

load helper
load safemount
bats_require_minimum_version 1.5.0

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
  row d - dir/back # the mount itself would cover the link
  row d dir/sub/deep dir/back/sub/deep
  row d - dir/sub/to_top/inside
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

# rows_script: runs each row of a table with each of the $ways, into a log each.
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
  for how in $ways; do
    log=$here/log$((++i))
    walk=()
    [ "$how" = plain ] || walk=(refuse "$how")
    $1
  done
  [ -e "$here/victim/kept" ] && [ ! -e "$here/victim/mark" ]
  for log in "$here"/log?; do cmp "$here/log1" "$log"; done
'

# agree ROWS: all of them as they say, and the same each time. No message has the
# kernel's words about a link.
agree() {
  TRY_SECONDS=120 try unshare --mount --propagation private bash -eu -c "$rows_script" rows "$1"
  cat "$here/log1" || true
  [ "$status" -eq 0 ]
  run ! grep -E 'WRONG|Symbolic link loop' "$here"/log?
  [ "$(grep -c ' mounted \[' "$here/log1")" -eq "$(declare -f "$1" | grep 'row [df]' | grep -vc 'row [df] - ')" ]
}

@test "nearly a hundred paths end where they say or nowhere, and openat2 is not needed" {
  export -f prepare_rows rows rows_with_links rows_inside outcome
  export links='' ways='plain openat2 openat2:error=EPERM'
  agree rows
  [ "$(grep -c ' refused ' "$here/log1")" -ge 60 ]
}

@test "-L follows links as if ROOT were the root" {
  export -f prepare_rows rows_inside outcome
  export links=-L ways=plain
  agree rows_inside
}

@test "-L where openat2 is refused is an error that names the call" {
  local errno
  for errno in ENOSYS EPERM EAGAIN; do
    alone "$errno" <<'END'
      refuse "openat2:error=$1" safemount -L -r "$root" -o bind "$here/source" dir echo ran && exit 1
      [ ! -e "$root/dir/mark" ]
END
    [[ $status -eq 0 && $output == *"safemount: openat2 dir: "* && $output != *ran* ]]
  done
}

@test "a link that is refused is called that, with the component that is one" {
  ln -s dir "$root/trap"
  ln -s "$here/victim" "$root/dir/trap"
  local target said
  while read -r target said; do
    try safemount -r "$root" -o bind "$here/source" "$target"
    [[ $status -eq 125 && $output == "safemount: $said: is a symbolic link" ]] || fail "$output"
    try safemount -r "$root" -U "$target"
    [[ $status -eq 125 && $output == "safemount: $said: is a symbolic link" ]] || fail "$output"
  done <<'END'
trap trap
/trap /trap
/trap/ /trap
trap/sub trap
/dir/trap/x/y /dir/trap
./dir/./trap/. ./dir/./trap
END
}

# CVE-2015-1335
@test "mount(8) follows a link of every kind out of ROOT, safemount none" {
  export -f prepare_rows rows_with_links
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
# always the same.
race() {
  local mode=$1 victim=$2 control=()
  shift 2
  while [ "$1" != --- ]; do
    control+=("$1")
    shift
  done
  cd "$root" || return
  TRY_SECONDS=100 try unshare --mount "$here/race" -s "$mode" 20000 one two "$victim" "${control[@]}"
  [[ $output == *"escaped 1 "* ]] || skip "the control did not escape here: $output"

  if [ -L one ]; then
    mv one link
    mv two one
    mv link two
  fi
  TRY_SECONDS=200 try unshare --mount "$here/race" "$mode" 4000 one two "$victim" "${@:2}" 2>/dev/null
  output=$(tail -n 1 <<<"$output")
  [ "$status" -eq 0 ]
  [[ $output =~ ^escaped\ 0\ inside\ ([0-9]+)\ refused\ ([0-9]+)\ exchanged\ ([0-9]+)$ ]]
  [ "${BASH_REMATCH[1]}" -gt 0 ]
  [ "${BASH_REMATCH[2]}" -gt 0 ]
  [ "${BASH_REMATCH[3]}" -ge 20000 ]
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
