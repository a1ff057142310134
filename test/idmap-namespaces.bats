#!/usr/bin/env bats
# idmap: which namespaces are made, what is in them, and what comes of it if the
# kernel refuses a part.
# shellcheck disable=SC2154,SC2258 # helper.bash sets it; commas belong to lists

load helper
load idmap

@test "every set of namespaces is made as asked, and no other" {
  names=(cgroup ipc mnt net pid time uts)
  declare -A outer
  for name in "${names[@]}" user; do
    outer[$name]=$(readlink "/proc/self/ns/$name")
  done
  for ((set = 0; set < 128; set++)); do
    list=user
    for ((i = 0; i < 7; i++)); do
      ((set >> i & 1)) && list+=,${names[i]}
    done
    links=$(timeout 20 idmap -u root -g root -n "$list" \
      bash -c 'cd /proc/self/ns; exec readlink cgroup ipc mnt net pid time uts user')
    mapfile -t links <<<"$links"
    [ "${#links[@]}" -eq 8 ]
    for ((i = 0; i < 7; i++)); do
      if ((set >> i & 1)); then
        [ "${links[i]}" != "${outer[${names[i]}]}" ] || fail "$list: no new ${names[i]}"
      else
        [ "${links[i]}" = "${outer[${names[i]}]}" ] || fail "$list: a new ${names[i]}"
      fi
    done
    [ "${links[7]}" != "${outer[user]}" ]
  done
}

@test "-K makes them in the present user namespace, without maps" {
  try idmap -K -n all sh -c 'readlink /proc/self/ns/*; echo $$'
  [ "$status" -eq 0 ]
  [[ $output == *"$(readlink /proc/self/ns/user)"* ]]
  for name in cgroup ipc mnt net pid time uts; do
    [[ $output != *"$(readlink "/proc/self/ns/$name")"* ]]
  done
  [ "${lines[-1]}" = 1 ]
  for arguments in '-K' '-K -n mnt -u root' '-K -n mnt -g root' '-K -n mnt -s allow' '-K -n mnt -p' '-K -n user,mnt'; do
    # shellcheck disable=SC2086
    makes_nothing idmap $arguments true
    [ "$status" -eq 64 ] || fail "$arguments: $status"
  done
}

@test "-K needs rights that a user has not, and says so" {
  make_user alice
  try as_user alice idmap -K -n mnt true
  [ "$status" -eq 125 ]
  [[ $output == *'here: CAP_SYS_ADMIN is missing'* ]]
}

@test "an unknown namespace is refused" {
  for list in '' , mnt, ,mnt mnt,,net foo mntx mn ALL all,foo 'mnt net' mount; do
    makes_nothing idmap -n "$list" true
    [ "$status" -eq 64 ] || fail "$list: $status"
  done
}

@test "all leaves out a namespace that the kernel does not have; its name is an error" {
  lacking=(strace -f -qq -o /dev/null -P self/ns/time -e inject=statx:error=ENOENT --)
  for arguments in '-u all -g all' -K; do
    # shellcheck disable=SC2086
    try "${lacking[@]}" idmap $arguments -n all readlink /proc/self/ns/time /proc/self/ns/uts
    [ "$status" -eq 0 ]
    [ "${lines[0]}" = "$(readlink /proc/self/ns/time)" ]
    [ "${lines[1]}" != "$(readlink /proc/self/ns/uts)" ]
    # shellcheck disable=SC2086
    try "${lacking[@]}" idmap -v $arguments -n uts,time echo ran
    [ "$status" -eq 125 ]
    [[ $output == *ns/time* && $output != *ran && $output != *unshare* ]]
  done
}

@test "in a new network namespace, lo is up" {
  make_user alice 100000:65536
  for user in root alice; do
    try as_user "$user" idmap -n net ip -o address show dev lo
    [ "$status" -eq 0 ]
    [[ $output == *127.0.0.1* ]]
  done
}

@test "-H names the new UTS namespace, and needs one" {
  old=$(uname -n)
  try idmap -n uts -H box uname -n
  [ "$output" = box ]
  [ "$(uname -n)" = "$old" ]
  try idmap -n uts -H "$(printf '%064d' 0)" uname -n
  [ "$output" = "$(printf '%064d' 0)" ]
  makes_nothing idmap -H box true
  [ "$status" -eq 64 ]
  makes_nothing idmap -n uts -H "$(printf '%065d' 0)" true
  [ "$status" -eq 64 ]
}

@test "what is mounted inside is not seen outside, and what is mounted outside comes in" {
  mkdir "$here/point" "$here/other"
  mkfifo "$here/go" "$here/gone"
  alone_shared "$here" <<'END'
    idmap -K -n mnt bash -c '
      mount -t tmpfs inner "$1/point"; echo >"$1/gone"
      read -r < "$1/go"; grep -c "outer" /proc/self/mountinfo' bash "$1" &
    read -r <"$1/gone"
    if grep inner /proc/self/mountinfo; then
      kill "$!"
      exit 1
    fi
    mount -t tmpfs outer "$1/other"
    echo >"$1/go"
    wait $!
END
  [ "$status" -eq 0 ]
  [ "$output" = 1 ]
}

@test "a process with a new time namespace is in it" {
  for arguments in '-n time' '-n time,pid' '-K -n time' '-K -n time,pid'; do
    # shellcheck disable=SC2086
    try idmap $arguments bash -c 'exec readlink /proc/self/ns/time /proc/self/ns/time_for_children'
    [ "$status" -eq 0 ]
    [ "${lines[0]}" = "${lines[1]}" ]
    [ "${lines[0]}" != "$(readlink /proc/self/ns/time)" ]
  done
}

@test "a key of the session does not come into a new PID namespace" {
  try keyctl session - bash -c '
    keyctl add user nsteps-secret hello @s >/dev/null
    keyctl show @s | grep -c nsteps-secret
    unshare --pid --fork keyctl show @s | grep -c nsteps-secret
    idmap -u all -g all -n pid keyctl show @s | grep -c nsteps-secret'
  [ "${lines[1]}" = 1 ]
  [ "${lines[2]}" = 1 ] || skip 'the key does not even come along with unshare'
  [ "${lines[3]}" = 0 ]
}

@test "without a PID namespace, PROG takes idmap's place and has no children" {
  make_user alice 100000:65536
  for user in root alice; do
    for arguments in '-u root -g root' '' '-n mnt,net' '-o true'; do
      # shellcheck disable=SC2086
      try as_user "$user" bash -c 'echo $$; exec idmap '"$arguments"' bash -c "echo \$\$; exec cat /proc/self/task/\$\$/children"'
      [ "$status" -eq 0 ]
      [ "${lines[0]}" = "${lines[1]}" ]
      [ "${#lines[@]}" -eq 2 ]
    done
  done
}

@test "with a /proc of another PID namespace, it is still its own child that gets the maps" {
  make_user alice 100000:65536
  # The new process is number 2 or so there, and so is somebody else here. A
  # whole procfs of this namespace is made, and seen by nobody else.
  try idmap -K -n pid,mnt sh -c 'true; idmap -n pid sh -c "echo \$\$; true"; exec grep -c " /proc" /proc/self/mountinfo'
  [ "$status" -eq 0 ]
  [ "$output" = "1"$'\n'"$(grep -c ' /proc' /proc/self/mountinfo)" ]
  try as_user alice idmap -n pid,mnt sh -c 'true; idmap -u 0:5:10 -g 0:5:10 -n pid id -u'
  [ "$status" -eq 0 ]
  [ "$output" = 0 ]
}

@test "a /proc that is none, or a part of one, is not believed" {
  for false in 'mount -t tmpfs tmpfs /proc; mkdir /proc/self; echo "0 7 1" | tee /proc/self/uid_map >/proc/self/gid_map' \
    'mount --bind /proc/1 /proc' 'mount --bind /proc/sys /proc' 'mount --bind /proc/self /proc'; do
    # Root can have another one; the maps are those that were meant.
    try unshare --mount --propagation private bash -ec "$false"'; exec idmap -u 0:5:10 -g 0:5:10 bash -c "mount -t proc proc /mnt 2>/dev/null; id -u"' bash
    [ "$status" -eq 0 ]
    [ "$output" = 0 ]
    # In a user namespace that shows none, nobody can.
    try unshare --user --map-root-user --mount --propagation private bash -ec "$false"'; exec idmap -u root -g root echo ran' bash
    [ "$status" -eq 125 ]
    [[ $output == *'/proc: is no whole procfs'* && $output != *ran ]]
  done
}

# --- Why it is forbidden ----------------------------------------------------

@test "what forbids namespaces here is read, and told in one line" {
  try idmap -u all -g all -n user sh -c 'echo 0 >/proc/sys/user/max_user_namespaces; idmap -u all -g all true'
  [ "$status" -eq 125 ]
  [[ $output == *'idmap: here: '*'user.max_user_namespaces is 0' ]]
  try setpriv --bounding-set=-sys_admin idmap -K -n mnt true
  [ "$status" -eq 125 ]
  [[ $output == *$'\n''idmap: here: CAP_SYS_ADMIN is missing' ]]
  # What was not seen is not named.
  try refuse unshare:error=EPERM idmap -K -n mnt true
  [ "$status" -eq 125 ]
  [[ $output != *here:* ]]
}

@test "if a part of the step fails, PROG does not run" {
  make_user alice 100000:65536
  for call in mount sethostname socket ioctl keyctl setresuid setresgid setgroups \
    clone socketpair prctl unshare getgroups rt_sigaction; do
    try setpriv --groups 7777 strace -f -qq -o /dev/null -e "inject=$(either "$call"):error=EPERM" \
      -- idmap -n all -H box echo ran
    case $call in
    getgroups | rt_sigaction) ;;
    *)
      [ "$status" -eq 125 ] || fail "$call: $status"
      [[ $output != *ran ]] || fail "$call: ran"
      ;;
    esac
  done
  for call in waitid fork,clone socketpair unshare setresuid write:when=1 write:when=2 write:when=3; do
    try refuse "${call%%:*}:error=EPERM${call#"${call%%:*}"}" idmap -n mnt echo ran
    [ "$status" -eq 125 ] || fail "$call: $status"
    [[ $output != *ran ]] || fail "$call: ran"
  done
}

@test "a session keyring that a filter keeps is an error, also if that says ENOSYS" {
  [ -e /proc/keys ] || skip 'this kernel has no keys'
  for error in ENOSYS EPERM EACCES; do
    try keyctl session - strace -f -qq -o /dev/null -e "inject=keyctl:error=$error" \
      idmap -n pid -u all -g all echo ran
    [ "$status" -eq 125 ] || fail "$error: $status"
    [[ $output == *keyctl* && $output != *ran* ]]
  done
}
