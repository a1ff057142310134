#!/usr/bin/env bats
# contain: what DIR holds, and what it is exchanged for, leads nowhere outside.
#
# shellcheck disable=SC2016,SC2086 # scripts of other shells; options are words
# shellcheck disable=SC2030,SC2031,SC2154 # each test sets variables of its own

load helper
load hostile

# --- What DIR may hold ------------------------------------------------------

links=(absolute relative chain magic)
kinds=("${links[@]}" inside dangling loop to_file file fifo socket device)

# plant KIND PATH: that, and no directory, stands in DIR there.
plant() {
  rm -rf "$2"
  case $1 in
    absolute) ln -s "$victim" "$2" ;;
    relative) ln -s "$(realpath -m --relative-to "${2%/*}" "$victim")" "$2" ;;
    chain) ln -sfn "$victim" "$root/link" && ln -s "$root/link" "$2" ;;
    magic) ln -s "/proc/self/root/$victim" "$2" ;;
    inside) ln -s /tmp "$2" ;;
    dangling) ln -s "$victim/new" "$2" ;;
    loop) ln -s "${2##*/}" "$2" ;;
    to_file) ln -s "$victim/secret" "$2" ;;
    file) echo planted >"$2" ;;
    fifo) mkfifo "$2" ;;
    socket) perl -e 'use Socket; socket S, PF_UNIX, SOCK_STREAM, 0; bind S, sockaddr_un(shift)' "$2" ;;
    device) mknod -m 666 "$2" c 1 5 ;;
  esac
}

# CVE-2019-19921, CVE-2023-27561, CVE-2023-28642
@test "what is no directory where contain mounts is refused: in proc, sys, dev, run, tmp and a table's" {
  local kind place user option
  for kind in "${links[@]}"; do
    plant "$kind" "$root/dev"
    try unshare --mount bash -c 'mount -t tmpfs tmpfs "$root/dev"; ls "$victim"'
    [ "$output" = "" ] || skip "mount(8) did not follow a link that is $kind"
  done
  printf 'tmpfs /etc tmpfs\n' >"$here/table-etc"
  printf '%s /home/there none bind,create=dir\n' "$victim" >"$here/table-home"
  for kind in "${kinds[@]}"; do
    for place in proc sys dev run tmp etc home; do
      option=
      case $place in
        run | tmp) option=boot ;;
        etc | home) option="-f $here/table-$place" ;;
      esac
      plant "$kind" "$root/$place"
      for user in '' alice; do
        # a user has to be given a cgroup first
        [[ $user$option != aliceboot ]] || continue
        in_box $option "$root" sh -c 'echo r''an'
        [[ $status -eq 125 && $output != *ran* && $output == *"safemount: "*"/$place"* ]]
      done
      rm -f "$root/$place"
      mkdir -m 1777 "$root/$place"
    done
  done
}

# CVE-2025-31133, CVE-2025-52565, CVE-2026-41579
@test "what DIR has below dev, sys and run is covered by the host's own, and left alone" {
  local kind place user option
  plant to_file "$root/dev/null"
  try unshare --mount bash -c 'mount --bind /dev/zero "$root/dev/null"; stat -c %t:%T "$victim/secret"'
  [ "$output" = 1:5 ] || skip "mount(8) did not follow a link"
  for kind in "${kinds[@]}"; do
    mkdir -p "$root/sys/fs"
    for place in dev/{null,zero,tty,console,ptmx,pts,shm,fd,stdin} sys/fs/cgroup run/host run/systemd; do
      plant "$kind" "$root/$place"
    done
    for option in '' boot; do
      for user in '' alice; do
        [[ $user$option != aliceboot ]] || continue
        in_box $option "$root" sh -c '
          stat -c %F:%t:%T /dev/null /dev/zero /dev/full /dev/random /dev/urandom /dev/tty
          stat -L -c %F:%t:%T /dev/ptmx
          for link in ptmx fd stdin; do readlink /dev/$link; done
          while read -r id parent device top point rest; do
            case $point in
              /proc | /sys | /sys/fs/cgroup | /dev | /dev/pts | /dev/shm) rest=${rest#* - } && echo $point ${rest%% *} ;;
            esac
          done </proc/self/mountinfo'
        [ "$output" = "$(stat -c %F:%t:%T /dev/{null,zero,full,random,urandom,tty,ptmx})
pts/ptmx
/proc/self/fd
/proc/self/fd/0
/proc proc
/sys sysfs
/sys/fs/cgroup cgroup2
/dev tmpfs
/dev/pts devpts
/dev/shm tmpfs" ]
      done
    done
    # its console is the caller's standard input, if that is a terminal, or null
    in_box "$root" stat -c %F:%t:%T /dev/console
    [ "$output" = "character special file:1:3" ]
  done
}

@test "a directory of DIR that is exchanged for a link during the call leads nowhere" {
  local place window pid
  mkfifo -m 666 "$here/go" "$here/gone"
  exchange() {
    mv "$root/$place" "$root/moved"
    ln -s "$victim" "$root/$place"
  }
  place=dev
  export -f exchange
  try unshare --mount bash -c '[ ! -L "$root/dev" ] && place=dev exchange && mount -t tmpfs tmpfs "$root/dev"; ls "$victim"'
  [ "$output" = "" ] || skip "a look before mount(8) was enough"
  rm "$root/dev"
  mv "$root/moved" "$root/dev"
  for user in '' alice; do
    own_root
    for window in -o -i; do
      for place in proc sys dev; do
        # before anything is mounted in DIR, and after all is
        ${user:+as_user $user} contain "$window" "echo >$here/go; read -r x <$here/gone" \
          "$root" sh -c "echo r''an; cat /$place/secret" </dev/null >"$here/output" 2>&1 3>&- &
        pid=$!
        read -r _ <"$here/go"
        exchange
        echo >"$here/gone"
        status=0
        wait "$pid" || status=$?
        rm "$root/$place"
        mv "$root/moved" "$root/$place"
        output=$(cat "$here/output")
        echo "$user $window $place: $output [$status]"
        [[ $output != *of-the-host* && $status -ne 0 ]]
        [[ $window == -i || $status -eq 125 && $output != *ran* ]]
        [ "$host" = "$(host_state)" ]
      done
    done
  done
}

# CVE-2019-14271
@test "no name is looked up in DIR before CMD: its etc and lib may be anything" {
  local name user
  for name in passwd group nsswitch.conf ld.so.preload ld.so.cache hostname localtime; do
    mkfifo "$root/etc/$name"
  done
  TRY_SECONDS=1 try chroot --userspec=nobody:nogroup "$root" true
  [ "$status" -eq 124 ] || skip "chroot(8) did not hang at a FIFO"
  for user in '' alice; do
    for option in '' -r boot; do
      [[ $user$option != aliceboot ]] || continue
      TRY_SECONDS=10 in_box $option "$root" echo well
      [[ $status -eq 0 && $output == well* ]]
    done
  done
}

# CVE-2019-5736
@test "a CMD that is /proc/self/exe, by #! or a link, does not get at the programs that run it" {
  local tools=$here/tools sums how
  mkdir -p "$tools"/{idmap,pivot,safemount,scripts} "$root/lib64"
  cp "$top/idmap/idmap" "$tools/idmap"
  cp "$top/pivot/pivot" "$tools/pivot"
  cp "$top/safemount/safemount" "$tools/safemount"
  cp "$top/scripts/contain" "$tools/scripts"
  cp "$(command -v chroot)" "$tools/chroot"

  # It comes in the place of the dynamic linker of whatever runs.
  musl-gcc -static -no-pie -o "$root/lib64/ld-linux-x86-64.so.2" -x c - <<'END'
#include <fcntl.h>
#include <unistd.h>
int main(void) {
  dup2(open("/proc/self/exe", O_RDONLY), 9);
  execl("/bin/sh", "sh", "-c", "echo owned >/proc/self/fd/9", NULL);
}

END
  printf '#!/proc/self/exe\n' >"$root/bin/script"
  printf '#!/proc/self/exe -h\n' >"$root/bin/option"
  printf '#!/bin/exe\n' >"$root/bin/indirect"
  ln -s /proc/self/exe "$root/bin/exe"
  ln -s /proc/1/exe "$root/bin/first"
  chmod +x "$root/bin/"{script,option,indirect}
  try unshare --mount --pid --fork bash -c 'mount -t proc proc "$root/proc"; "$0" "$root" /bin/script' "$tools/chroot"
  [ "$(head -c 5 "$tools/chroot")" = owned ] || skip "chroot(8) was not overwritten"

  sums=$(cat "$tools"/{*/*,chroot} | cksum)
  for how in script option indirect exe first; do
    try "$tools/scripts/contain" -u 0:0:65536 -g 0:0:65536 "$root" "/bin/$how" a b </dev/null
    [ "$sums" = "$(cat "$tools"/{*/*,chroot} | cksum)" ]
    try "$tools/scripts/contain" -i "/bin/true" -u 0:0:65536 -g 0:0:65536 "$root" "/bin/$how" a b </dev/null
    [ "$sums" = "$(cat "$tools"/{*/*,chroot} | cksum)" ]
  done
}

@test "CMD is a program of DIR, not what a link of DIR means outside" {
  local user program
  cp /bin/busybox "$victim/echo"
  host=$(host_state)
  ln -s "$victim/echo" "$root/bin/absolute"
  ln -s ../../victim/echo "$root/bin/relative"
  printf '#!%s\n' "$victim/echo" >"$root/bin/script"
  chmod +x "$root/bin/script"
  for program in absolute relative script; do
    for user in '' alice; do
      in_box "$root" "$program" ran
      [[ $status -eq 127 && $output != *$'\n'ran* && $output != ran* ]]
      in_box "$root" "/bin/$program" ran
      [[ $status -eq 127 && $output != *$'\n'ran* && $output != ran* ]]
    done
  done
}

# Somebody who may write above DIR, or to DIR.
@test "a DIR that is exchanged for a link during the call is not exchanged for what that names" {
  local window option pid status
  mkfifo -m 666 "$here/go" "$here/gone"
  small_root "$victim"
  host=$(host_state)
  local hold="echo >$here/go; read -r x <$here/gone" looks='cat /secret; ls -d /is_root; true' commands
  # the control looks DIR up when it has been exchanged
  commands=("unshare --mount sh -c '$hold; exec chroot \"\$0\" \"\$@\"'")
  for option in '' -r; do
    for window in -o -i; do
      commands+=("contain $option $window '$hold'")
    done
  done
  for option in "${!commands[@]}"; do
    eval "${commands[option]} \"\$root\" sh -c '$looks'" </dev/null >"$here/output" 2>&1 3>&- &
    pid=$!
    read -r _ <"$here/go"
    mv "$root" "$here/moved"
    ln -s "$victim" "$root"
    echo >"$here/gone"
    status=0
    wait "$pid" || status=$?
    rm "$root"
    mv "$here/moved" "$root"
    output=$(<"$here/output")
    echo "${commands[option]}: $output [$status]"
    if [[ $option -eq 0 ]]; then
      [[ $output == *of-the-host* ]] || skip 'the control did not fall'
    else
      [[ $status -eq 0 && $output == */is_root && $output != *of-the-host* ]]
    fi
  done
}

@test "contain-boot writes nothing outside while DIR/run is exchanged for a link" {
  local pid command
  mkfifo -m 666 "$here/go" "$here/gone"
  chmod 777 "$victim/host"
  host=$(host_state)
  # the control: a command of -i, which looks up what it writes
  for command in 'echo fell >run/host/container-manager' true; do
    contain-boot -i "echo >$here/go; read -r x <$here/gone; $command" "$root" true </dev/null >"$here/output" 2>&1 3>&- &
    pid=$!
    read -r _ <"$here/go"
    mv "$root/run" "$root/moved"
    ln -s "$victim" "$root/run"
    echo >"$here/gone"
    wait "$pid" || true
    rm "$root/run"
    mv "$root/moved" "$root/run"
    if [[ $command != true ]]; then
      rm "$victim/host/container-manager"
      host=$(host_state)
    fi
  done
}

# The steps run with DIR as their working directory.
@test "relative parts of the caller's PATH and LD_LIBRARY_PATH do not lead into DIR" {
  local tool user
  for tool in env stat idmap safemount pivot; do
    printf '#!/bin/bash\necho FELL >&2\n' >"$root/$tool"
    chmod +x "$root/$tool"
    cp -f --remove-destination "$root/$tool" "$root/bin"
  done
  echo not a library >"$root/libc.so.6"
  cd "$root"
  PATH=.:$PATH try env
  [[ $output == *FELL* ]]
  LD_LIBRARY_PATH=/nowhere: try /usr/bin/env true
  [[ $output == *"libc.so.6: file too short"* || $output == *"libc.so.6: invalid ELF"* ]]
  cd "$here"
  for user in '' alice; do
    own_root
    for parts in "PATH=.:$PATH" "PATH=:$PATH" "PATH=bin:$PATH" LD_LIBRARY_PATH=/nowhere: LD_PRELOAD=libc.so.6; do
      try ${user:+as_user $user} "$top/scripts/contain" -V
      try env "$parts" ${user:+as_user $user} bash "$top/scripts/contain" "$root" echo ran </dev/null
      [[ $output == *ran* && $output != *FELL* ]]
    done
  done
}
