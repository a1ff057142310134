#!/usr/bin/env bats
# contain: what DIR, the container's root, and what the caller happens to have
# can do to the host.
#
# shellcheck disable=SC2016,SC2086 # scripts of other shells; options are words
# shellcheck disable=SC2030,SC2031,SC2154 # each test sets variables of its own

load helper

setup() {
  chmod 755 "$BATS_RUN_TMPDIR" "$BATS_RUN_TMPDIR/test" "$BATS_TEST_TMPDIR"
  here=$BATS_TEST_TMPDIR root=$here/root victim=$here/victim
  small_root "$root"
  chroot "$root" /bin/busybox --install -s /bin
  chmod 1777 "$root/tmp"
  mkdir -p "$victim/host"
  echo of-the-host | tee "$victim/secret" >"$victim/host/secret"
  make_user alice 300000:65536

  # Every way that a process could have to a file of the host's.
  cat >"$root/bin/look" <<'END'
#!/bin/sh
exec 2>/dev/null
cat secret ../victim/secret ../../../../../../../../../..$1/secret $1/secret
for p in /proc/[0-9]* /proc/self; do
  cat $p/cwd/secret $p/root$1/secret $p/cwd/../victim/secret
  for fd in $p/fd/*; do
    cat $fd/secret $fd/../victim/secret
  done
done
cd -P ..
ls -d victim is_root
END
  chmod +x "$root/bin/look"
  touch "$root/is_root"
  give_to_container "$root"
  export here root victim
  host=$(host_state)
}

teardown() {
  [ "$host" = "$(host_state)" ]
  run pgrep -x 'idmap|safemount|pivot'
  [ "$status" -eq 1 ]
}

# What no container may change.
host_state() {
  cat /proc/self/mountinfo
  ls -lR --time-style=full-iso "$victim"
  cat "$victim/secret"
}

# own_root: gives $root itself to $user, or to a container of root's.
own_root() {
  [[ ! -e $root ]] || chown "${user:-1900019712}" "$root"
}

# in_box [boot] [OPTION]... DIR [CMD]...: contain, or contain-boot, as $user, or
# as root.
in_box() {
  own_root
  if [[ $1 == boot ]]; then
    try ${user:+as_user $user} contain-boot "${@:2}" </dev/null
    output=${output//$'\r'/} # of its terminal
  else
    try ${user:+as_user $user} contain "$@" </dev/null
  fi
}

# naive COMMAND...: in $root, by mount, pivot_root and umount from a shell.
naive() {
  try unshare --mount --pid --fork --propagation private bash -c '
    mount --bind "$0" "$0"
    mount -t proc proc "$0/proc"
    mkdir -p "$0/old"
    pivot_root "$0" "$0/old"
    hash -r
    umount -l /old
    exec "$@"' "$root" "$@"
}

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

# --- What is carried across -------------------------------------------------

# CVE-2024-21626, CVE-2016-9962
@test "an open directory at 9, or at 900 of 64, and a working directory are no way out" {
  local number from user
  export -f naive in_box own_root try
  for number in 9 900; do
    for from in "$victim" /proc/self/fd/$number; do
      leave() {
        eval "exec $2<\"\$victim\""
        cd -- "$1"
        ulimit -n 64
        "${@:3}"
      }
      try leave "$from" "$number" naive look "$victim"
      [[ $output == *of-the-host* ]] || skip "pivot_root and umount left nothing open"
      for user in '' alice; do
        export user
        try leave "$from" "$number" in_box "$root" look "$victim"
        [[ $output != *of-the-host* && $output == *is_root* ]]
      done
    done
  done
  rm -rf "$root/old"
}

@test "a descriptor 0, 1 or 2 that is a directory is refused, and one that is closed is no matter" {
  local number closed user
  naive sh -c 'cat <&2; cat /proc/self/fd/0/secret' <"$victim"
  [[ $output == *of-the-host* ]] || skip "pivot_root and umount did not leave it"
  rm -rf "$root/old"
  for user in '' alice; do
    own_root
    for number in 0 1 2; do
      try bash -c "exec \"\$@\" $number<\"\$victim\"" bash ${user:+as_user $user} contain "$root" touch /tmp/ran
      [ "$status" -eq 125 ]
      [ ! -e "$root/tmp/ran" ]
    done
    for closed in '<&-' '>&-' '<&- >&-'; do
      try bash -c "exec \"\$@\" $closed" bash ${user:+as_user $user} contain "$root" sh -c '
        for fd in /proc/self/fd/*; do readlink $fd; done >/tmp/open; true'
      [ "$status" -eq 0 ]
      output=$(cat "$root/tmp/open")
      echo "$closed: $output"
      [[ $output != *nsteps* && $output != *"$here"* ]]
      rm -f "$root/tmp/open"
    done
  done
}

@test "a key of the session stays outside" {
  local user
  for user in '' alice; do
    try ${user:+as_user $user} keyctl session - bash -c '
      key=$(keyctl add user hostile of-the-key @s)
      look="keyctl print $key; keyctl print %user:hostile; keyctl search @s user hostile; cat /proc/keys"
      unshare --user --map-root-user --mount --pid --fork sh -c "$look"
      echo contain:
      contain / sh -c "$look" </dev/null'
    [[ ${output%contain:*} == *of-the-key* ]] || skip "unshare did not carry it"
    [[ ${output#*contain:} != *of-the-key* ]]
  done
}

@test "the environment of CMD has no secret, no LD_PRELOAD and no PATH of the caller" {
  local user option command
  export SECRET=of-caller LD_LIBRARY_PATH=/evil BASH_ENV=/dev/null ENV=/evil CDPATH=/evil
  try unshare --mount chroot "$root" env
  [[ $output == *SECRET=of-caller* ]] || skip "chroot(8) did not carry it"
  for user in '' alice; do
    for option in '' -r boot '-i true'; do
      [[ $user$option != aliceboot ]] || continue
      own_root
      command="contain $option"
      try ${user:+setpriv --reuid=alice --regid=alice --init-groups} ${command/ boot/-boot} "$root" env </dev/null
      [ "$status" -eq 0 ]
      [[ $output == *container=contain* ]]
      [[ $output != *of-caller* && $output != */evil* && $output != *BASH_ENV* ]]
    done
  done
  unset LD_LIBRARY_PATH BASH_ENV ENV CDPATH
}

@test "a group of the caller's opens no file of that group" {
  local user groups
  getent group readers >/dev/null || groupadd readers
  usermod -aG readers alice
  echo secret >"$root/tmp/readable"
  chown 12345:readers "$root/tmp/readable"
  chmod 640 "$root/tmp/readable"
  for user in '' alice; do
    own_root
    groups="setpriv --groups $(getent group readers | cut -d : -f 3)"
    [[ -z $user ]] || groups=
    try $groups ${user:+as_user $user} unshare --user --map-root-user chroot "$root" cat /tmp/readable
    [ "$output" = secret ] || skip "unshare did not carry it"
    try $groups ${user:+as_user $user} contain "$root" sh -c 'grep Groups /proc/self/status; cat /tmp/readable' </dev/null
    [[ $status -eq 1 && $output != *secret* ]]
  done
}

@test "capabilities of the caller, inheritable and ambient, stay outside; ignored and blocked signals do no harm" {
  local user
  carry() {
    perl -MPOSIX -e '
      $SIG{$_} = "IGNORE" for qw(CHLD INT HUP PIPE USR1);
      sigprocmask(SIG_BLOCK, POSIX::SigSet->new(SIGTERM, SIGCHLD, SIGUSR2));
      exec "setpriv", "--inh-caps", "+chown,+kill,+dac_override", "--ambient-caps", "+dac_override", @ARGV' -- "$@"
  }
  for user in '' alice; do
    own_root
    try carry ${user:+--reuid $user --regid $user --init-groups} \
      grep -E '^Cap(Inh|Amb)' /proc/self/status
    [[ $output == *CapAmb:*2 ]] || skip "setpriv did not hand them on"
    try carry ${user:+--reuid $user --regid $user --init-groups} \
      contain "$root" sh -c 'grep -E "^Cap(Inh|Amb)" /proc/self/status; exit 7' </dev/null
    [ "$status" -eq 7 ]
    [ "$output" = $'CapInh:\t0000000000000000\nCapAmb:\t0000000000000000' ]
  done
}

# CVE-2017-5226, CVE-2016-2779
@test "what is typed into the container's terminal (TIOCSTI) is not typed into the caller's" {
  local user typist='print "ran\n"; ioctl STDIN, 0x5412, $_ for split //, "typed\n"'
  after() {
    script -qec "$*; read -rt 1 line; echo \"read-\$line-\"" /dev/null < <(sleep 3)
  }
  export -f after
  try after unshare --mount --pid --fork perl -e "'$typist'"
  [[ $output == *read-typed-* ]] || skip "TIOCSTI types nothing (dev.tty.legacy_tiocsti)"
  for user in '' alice; do
    try after ${user:+as_user $user} contain / perl -e "'$typist'"
    [[ $output == *ran*read--* ]]
  done
}

# --- The old root, and the host's mounts ------------------------------------

@test ".. out of a chroot inside the container leads to the container's root" {
  local user attack='
    mkdir -p /dev/shm/in/bin /dev/shm/in/proc
    cp /bin/busybox /dev/shm/in/bin
    mount -t proc proc /dev/shm/in/proc
    exec 9</
    exec chroot /dev/shm/in /bin/busybox sh -c "cd -P /proc/self/fd/9; busybox cat ../../../../../../../../..$1/secret; /bin/busybox ls ../../../../.."'
  mkdir -p "$root/dev/shm"
  try unshare --mount --pid --fork bash -c 'mount -t tmpfs tmpfs "$root/dev"; mkdir "$root/dev/shm"; exec chroot "$@"' \
    bash "$root" sh -c "${attack//busybox cat//bin/busybox cat}" sh "$victim"
  [[ $output == *of-the-host* ]] || skip "chroot(8) has no way out"
  for user in '' alice; do
    in_box "$root" sh -c "${attack//busybox cat//bin/busybox cat}" sh "$victim"
    [[ $output != *of-the-host* && $output == *tmp* ]]
  done
}

@test "no mount of the host's goes away, or comes, or fools the check, whatever its name and propagation" {
  local closed=$here/closed
  mkdir -m 700 "$closed"
  mv "$root" "$closed/root"
  alone_shared "$closed/root" "$here" <<'END'
    cd "$2"
    for name in 'a b' $'new\nline' 'back\slash' '\040' 'x (deleted)' 'y//deleted' ' - rootfs x' $'tab\t' '#' ä $'\xff'; do
      mkdir -p "$name"
      mount -t tmpfs tmpfs "$name"
      mkdir "$name/in"
      mount -t tmpfs tmpfs "$name/in"
    done
    mkdir bound free gone
    mount --bind gone bound
    rm -r gone
    mounts() { cat /proc/$PPID/mountinfo /proc/self/mountinfo; }
    host=$(mounts)

    unshare --mount --propagation unchanged bash -c 'umount -l "a b"; mount -t tmpfs tmpfs free'
    [[ $(mounts) != *'/a\040b'* && $(mounts) != "$host" ]] || exit 3
    umount free
    mount -t tmpfs tmpfs 'a b'
    mkdir 'a b/in'
    mount -t tmpfs tmpfs 'a b/in'
    host=$(mounts)

    for how in "$1" "-r $1" "-s $1" "boot $1" "-n -i true $1" / '-r /' "as_user alice /" "as_user alice -r /"; do
      user=
      if [[ $how == as_user* ]]; then
        user='as_user alice' how=${how#as_user alice }
      fi
      command="contain $how"
      [[ $how == -s* ]] && chown 0:0 "$1" || chown 1900019712:1900019712 "$1"
      coproc $user ${command/ boot/-boot} /bin/sh -c 'echo up; read -r x; exit 7' 2>&1
      box=$!
      read -r up <&"${COPROC[0]}"
      [[ $up == up* ]]
      [ "$(mounts)" = "$host" ]
      echo >&"${COPROC[1]}"
      wait "$box" && exit 1 || [ $? -eq 7 ]
      [ "$(mounts)" = "$host" ]
    done
    contain "$1" cat /proc/self/mountinfo >table
    cut -d ' ' -f 5 table
END
  [ "$status" -ne 3 ] || skip "the control did not fall"
  [ "$status" -eq 0 ]
  [[ $output != *"$here"* ]]
}

# --- What the container's root takes back -----------------------------------

# Each tries to write below DIR, and in what was mounted there.
write_attacks='
  wrote() { touch $2/probe 2>/dev/null && echo "wrote: $1"; }
  wrote plain /tmp; wrote plain /mnt
  mount -o remount,bind,rw / ; wrote remount /tmp
  mount -o remount,bind,rw /mnt; wrote remount /mnt
  mount -o remount,rw /mnt; wrote superblock /mnt
  mkdir /dev/shm/copy
  mount --bind / /dev/shm/copy; mount -o remount,bind,rw /dev/shm/copy; wrote bind /dev/shm/copy/tmp
  mount --bind /mnt /dev/shm/copy; mount -o remount,bind,rw /dev/shm/copy; wrote bind /dev/shm/copy
  mount --rbind / /dev/shm/copy; mount -o remount,bind,rw /dev/shm/copy/mnt; wrote rbind /dev/shm/copy/mnt
  mount --make-rprivate /; mount --move /mnt /dev/shm/copy; mount -o remount,bind,rw /dev/shm/copy; wrote move /dev/shm/copy
  busybox unshare -Ur -m sh -c "mount -o remount,bind,rw /; touch /tmp/probe" && echo "wrote: nested"
  umount -l /mnt; wrote umount /mnt
  umount -l /; wrote umount /tmp
  echo end'

@test "-r holds for what is mounted below DIR too, against all that the container's root does" {
  local user
  mkdir -m 777 "$root/mnt"
  mount -t tmpfs -o mode=777 tmpfs "$root/mnt"
  try unshare --mount bash -c '
    mount --rbind "$0" "$0"
    mount -o remount,bind,ro "$0"
    mount -t proc proc "$0/proc"
    mount -t tmpfs tmpfs "$0/dev"
    mkdir "$0/dev/shm"
    exec chroot "$0" sh -c "$1"' "$root" "$write_attacks"
  rm -f "$root"/{tmp,mnt}/probe
  if [[ $output != *"wrote: plain"* || $output != *"wrote: remount"* ]]; then
    umount "$root/mnt"
    skip "mount(8) made all of it read-only for good"
  fi
  for user in '' alice; do
    in_box -r "$root" sh -c "$write_attacks" 2>/dev/null
    [[ ${lines[-1]} == end && $output != *wrote* ]] || break
    [[ ! -e $root/tmp/probe && ! -e $root/mnt/probe ]] || break
    lines=()
  done
  umount "$root/mnt"
  [ "${#lines[@]}" -eq 0 ]
}

@test "a node of the host's disk, mode 0666, opens nothing, against all that the container's root does" {
  local fell='' device attacks='
    got() { [ "$(head -c 2048 "$2" 2>/dev/null | wc -c)" = 2048 ] && echo "read: $1"; }
    got plain /tmp/node; got plain /mnt/node
    mount -o remount,bind,dev /; got remount /tmp/node
    mount -o remount,bind,dev /mnt; got remount /mnt/node
    mkdir -p /dev/shm/copy
    mount --bind /tmp /dev/shm/copy; mount -o remount,bind,dev /dev/shm/copy; got bind /dev/shm/copy/node
    mount --bind /mnt /dev/shm/copy; mount -o remount,bind,dev /dev/shm/copy; got bind /dev/shm/copy/node
    mount --rbind / /dev/shm/copy; mount -o remount,bind,dev /dev/shm/copy/mnt; got rbind /dev/shm/copy/mnt/node
    mkdir /dev/shm/over; mount -t overlay -o lowerdir=/tmp:/mnt overlay /dev/shm/over; got overlay /dev/shm/over/node
    busybox unshare -Ur -m sh -c "mount -o remount,bind,dev /; head -c 2048 /tmp/node" | grep -q . && echo "read: nested"
    mknod -m 666 /dev/shm/node $1 $2 $3; got mknod /dev/shm/node
    cp -a /tmp/node /dev/node; got cp /dev/node
    umount -l /mnt; got umount /mnt/node
    umount -l /; got umount /tmp/node
    echo end'
  mkdir "$root/mnt"
  mount -t tmpfs -o mode=755 tmpfs "$root/mnt"
  for device in "b $(findmnt -nvo MAJ:MIN / | tr : ' ')" 'c 1 5'; do
    rm -f "$root"/{tmp,mnt}/node
    mknod -m 666 "$root/tmp/node" $device
    mknod -m 666 "$root/mnt/node" $device
    try unshare --mount bash -c '
      mount --rbind "$0" "$0"
      mount -o remount,bind,nodev "$0"
      mount -t proc proc "$0/proc"
      mount -t tmpfs tmpfs "$0/dev"
      mkdir "$0/dev/shm"
      exec chroot "$0" sh -c "$@"' "$root" "$attacks" sh $device
    # a disk may be out of reach of root itself
    [[ $output == *"read: "*"read: "* ]] || continue
    fell=yes
    in_box "$root" sh -c "$attacks" sh $device
    [[ ${lines[-1]} == end && $output != *read:* ]] || fell=no
  done
  umount "$root/mnt"
  [ -n "$fell" ] || skip "no device can be opened here"
  [ "$fell" = yes ]
}

# --- What was wrong once -------------------------------------------------------------

@test "a DIR that is // is /" {
  local user how
  for user in '' alice; do
    for how in // '-r //'; do
      in_box $how /bin/echo well
      [ "$output" = well ]
    done
  done
}

@test "the directory that contain is started in may be gone, but then it is no DIR" {
  local user
  export -f in_box own_root try
  gone() {
    mkdir -p "$here/gone"
    cd "$here/gone"
    rmdir "$here/gone"
    unset OLDPWD
    "$@"
  }
  for user in '' alice; do
    export user
    try gone in_box "$root" echo well
    [[ $output == *$'\n'well$'\n'* ]]
  done
  for user in '' alice; do
    export user
    TRY_SECONDS=5 try gone in_box . echo ran
    [[ $output == *"[125]"* && $output != *$'\n'ran$'\n'* ]]
  done
}

@test "DIR's name may be longer than a host name, in any locale, and have a newline" {
  local name old=$root locale
  for name in "$(printf 'ä%.0s' {1..40})" "$(printf 'ä%.0s' {1..40})b" $'new\nline'; do
    mv "$old" "$here/$name"
    old=$here/$name
    for locale in C C.UTF-8; do
      LC_ALL=$locale in_box "$old" echo well
      [ "$output" = well ]
      LC_ALL=$locale in_box boot "$old" echo well
      [ "$output" = well ]
    done
  done
}

@test "a table that cannot be read to its end, or that has a NUL byte, mounts nothing and runs nothing" {
  local table=$here/table broken nul
  {
    echo tmpfs /tmp tmpfs
    printf '# %0200000d\n' 0
    echo "$victim /tmp none bind"
  } >"$table"
  # Its second read fails, as that of a broken disk.
  broken=(strace -f -qq -o /dev/null -P "$table" -e inject=read:error=EIO:when=2+)

  # The control: bash takes that for the end, and leaves NUL bytes out.
  try "${broken[@]}" bash -euc 'mapfile lines <"$1"; echo "${#lines[@]}"' bash "$table"
  [[ $status -eq 0 && $output -lt 3 ]] || skip "this bash sees that its read failed"
  try bash -euc 'mapfile lines </proc/self/mem; echo ran'
  [[ $status -eq 0 && $output == *ran ]] || skip "this bash sees that its read failed"

  try "${broken[@]}" contain -f "$table" "$root" sh -c 'echo ran; mount' </dev/null
  [[ $status -eq 125 && $output != *ran* && ${lines[-1]} == "safemount: read $table: I/O error" ]]
  for table in /proc/self/mem "$here" "$here/missing" -; do
    in_box -f "$table" "$root" echo ran
    [[ $status -eq 125 && $output != *ran* && ${lines[-1]} == "contain: $table cannot be read" ]]
  done
  table=$here/nul
  for nul in '\0tmpfs /tmp tmpfs\n' 'tmpfs /tmp tmpfs ro\0\n' 'tmpfs /tmp tm\0pfs\n' 'tmpfs /tmp tmpfs\n\0'; do
    printf '%b' "$nul" >"$table"
    in_box -f "$table" "$root" echo ran
    [[ $status -eq 125 && $output != *ran* && ${lines[-1]} == "safemount: $table: has a NUL in it" ]]
  done
  in_box -f /dev/zero "$root" echo ran
  [[ $status -eq 125 && $output != *ran* ]]
}

@test "a table may be a pipe, standard input, long, empty, or without a last newline" {
  local table=$here/table
  { printf '# %0900000d\n' 0 && printf 'tmpfs /tmp tmpfs'; } >"$table"
  in_box -f "$table" "$root" stat -f -c %T /tmp
  [ "$output" = tmpfs ]
  try bash -c 'contain -f <(cat "$1") "$2" stat -f -c %T /tmp </dev/null' bash "$table" "$root"
  [ "$output" = tmpfs ]
  try bash -c 'contain -f /dev/stdin "$2" stat -f -c %T /tmp <"$1"' bash "$table" "$root"
  [ "$output" = tmpfs ]
  cd "$here"
  : >-
  in_box -f - "$root" echo ran
  [ "$output" = ran ]
}

@test "names in contain's own messages are no terminal's commands, nor lines of its own" {
  local evil=$here/$'\e]0;owned\a\nroot: all is well\x7f' shown
  shown=$here/'\033]0;owned\007\012root: all is well\177'
  # The control: a message as it comes.
  try bash -c 'echo "$1 is no directory to enter" >&2' bash "$evil"
  [[ $output == *$'\e'* && ${#lines[@]} -eq 2 ]]
  in_box "$evil" echo ran
  [[ $status -eq 125 && $output == "contain: $shown is no directory to enter" ]]
  in_box -f "$evil" "$root" echo ran
  [[ $status -eq 125 && ${lines[-1]} == "contain: $shown cannot be read" ]]
  mkdir "$evil"
  in_box -s "$evil" echo ran
  [[ $status -eq 125 && $output == "contain: -s needs a directory of root's above $shown that is"* ]]
  for option in $'-\e' $'--\e[31m\n'; do
    for script in contain inject isolate pseudo; do
      try $script "$option" </dev/null
      [[ $status -eq 64 && $output != *$'\e'* ]]
      [[ ${lines[0]} == "$script: unknown option "* && ${lines[1]} == "usage: $script "* ]]
    done
  done
}

@test "a script that cannot print its usage or version ends with 125, and runs nothing" {
  local script option
  # The control: a list with && does not end the script.
  [[ $(bash -euc 'case -h in -h) echo usage && exit ;; esac; echo ran >&2' 2>&1 >/dev/full) == *ran ]]
  for script in contain inject isolate pseudo; do
    for option in -h --help -V --version; do
      try bash -c 'SHELL=/bin/echo "$@" ran </dev/null >/dev/full' bash $script $option
      [[ $status -eq 125 && $output != *ran* && $output == *"No space left"* ]]
      try bash -c '"$@" </dev/null >&-' bash $script $option
      [ "$status" -eq 125 ]
    done
    try bash -c '"$@" </dev/null 2>/dev/full' bash $script -Z
    [ "$status" -eq 64 ]
  done
}

@test "with standard error closed, CMD does not have contain or inject itself open" {
  local user
  for user in '' alice; do
    own_root
    try bash -c 'exec "$@" 2>&-' bash ${user:+as_user $user} contain "$root" sh -c '
      for fd in /proc/self/fd/*; do readlink $fd; done >/tmp/open; true'
    [ "$status" -eq 0 ]
    run cat "$root/tmp/open"
    rm -f "$root/tmp/open"
    [[ $output == */dev/null* && $output != *contain* ]]
  done
  user='' own_root
  contain "$root" sleep 100 </dev/null 3>&- &
  wait_for inject "$!" true </dev/null
  try bash -c 'exec "$@" 2>&-' bash inject "$!" sh -c 'readlink /proc/self/fd/2' </dev/null
  kill "$!"
  [ "$output" = /dev/null ]
}

@test "cgroups that the container made are gone after it, however deep" {
  TRY_SECONDS=20 in_box boot "$root" sh -c '
    cd /sys/fs/cgroup
    name=$(printf %0250d 0)
    for i in 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17 18 19 20; do
      mkdir "$name" && cd -P ./"$name" || break
    done
    exit 7'
  left=$(grep -o '/sys/fs/cgroup[^ ]*/contain-[0-9]*' <<<"$output" | head -n 1)
  if [[ -d $left ]]; then
    find "$left" -depth -type d -execdir rmdir {} \;
  fi
  [[ $status -eq 7 && $left == "" ]]
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

@test "a mount that arrives below DIR later is not in a container of root's" {
  mkdir "$root/late"
  mkfifo -m 666 "$root/go" "$root/gone"
  alone_shared "$root" <<'END'
    mount --bind "$1" "$1"
    mount --make-shared "$1"
    for how in "unshare --mount --propagation slave chroot" contain "contain -r"; do
      $how "$1" sh -c 'echo >/go; read -r x </gone; echo "sees $(ls /late)"' </dev/null &
      read -r x <"$1/go"
      mount -t tmpfs tmpfs "$1/late"
      touch "$1/late/mark"
      echo >"$1/gone"
      wait $!
      umount "$1/late"
    done
END
  [ "$status" -eq 0 ]
  [ "$output" = $'sees mark\nsees \nsees ' ]
}
