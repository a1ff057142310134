#!/usr/bin/env bats
# idmap: whose ids, which namespaces, and what becomes of PROG.
# shellcheck disable=SC2016,SC2154 # scripts of a shell inside; helper.bash sets it
# shellcheck disable=SC2030,SC2031 # each test is a subshell, as it should be
# shellcheck disable=SC2054,SC2258 # commas belong to maps and lists
# shellcheck disable=SC2010,SC2012 # no names but numbers in /proc/PID/fd

load helper

setup() {
  here=$BATS_TEST_TMPDIR
  export here
  cp -p /etc/subuid /etc/subgid "$here"
  : | tee /etc/subuid >/etc/subgid
}

teardown() {
  cp -p "$here"/subuid "$here"/subgid /etc
}

# says MAP: that idmap, as it was just tried, printed this uid map.
says() {
  [ "$status" -eq 0 ]
  [ "$(tr -s ' ' <<<"$output" | sed 's/^ //; /^$/,$d')" = "$(printf '%s\n' "$@")" ]
}

# makes_nothing COMMAND...: fails, before there is any process or namespace.
makes_nothing() {
  local log=$here/calls
  try strace -f -qq -o "$log" -- "$@"
  [ "$status" -ne 0 ]
  ! sed '1,/execve("[^"]*\/idmap"/d' "$log" |
    grep -E '(clone|clone3|fork|vfork|unshare|setgroups|setns)\('
}

# --- The grammar ------------------------------------------------------------

@test "-p prints the maps as the kernel shows them, and makes nothing" {
  make_user alice 100000:65536 300000:10
  log=$here/calls
  try strace -f -qq -o "$log" as_user alice idmap -p
  [ "$status" -eq 0 ]
  if sed '1,/execve("[^"]*\/idmap"/d' "$log" | grep -E '(clone|unshare|setns)\(|O_WRONLY|O_RDWR|uidmap"'; then
    fail 'it did more than read'
  fi
  printed=$output
  try as_user alice idmap sh -c 'cat /proc/self/uid_map; echo; cat /proc/self/gid_map'
  [ "$status" -eq 0 ]
  [ "$printed" = "$output" ]
}

@test "a number that the kernel would take for another is refused, and the kernel does take it" {
  # The control: 2^32 is the host's root.
  try unshare --user --map-users=4294967296,0,1 cat /proc/self/uid_map
  if [ "$status" -ne 0 ] || [[ $(tr -s ' ' <<<"$output") != " 0 0 1" ]]; then
    skip "unshare does not make a host root of 2^32 here"
  fi
  for map in 0:4294967296:1 4294967296:0:1 0:18446744073709551616:1 0:4294967297:1; do
    makes_nothing idmap -u "$map" -g root true
    [ "$status" -eq 64 ]
  done
}

@test "whatever is no map is refused before anything is made" {
  local rows=(
    '' , : :: 0:0 0:0:0 0:0:0:1 0:0:1: 0:0:1, ,0:0:1 0:0:1,, '0:0:1 ' ' 0:0:1'
    -1:0:1 0:-1:1 0:0:-1 +0:0:1 00:0:1 0:010:1 0:0:01 0x0:0:1 0:0:1e3 0:0:x
    4294967295:0:1 0:4294967295:1 4294967294:0:2 0:4294967294:2 1:1:4294967295
    0:0:4294967296 0:0:18446744073709551617 $'0:0:1\n' $'0:0:1\n1:1:1'
    root,root 0:5:1,0:9:1 0:5:1,9:5:1 0:0:10,9:20:1 0:0:10,20:9:1 root,self,0:7:1
    roo rootx Root ROOT root:0:1 self:self:1 alll su sub:0:1 none 'root self'
  )
  for map in "${rows[@]}"; do
    makes_nothing idmap -u "$map" -g root true
    [ "$status" -eq 64 ] || fail "-u '$map': $status"
    makes_nothing idmap -u root -g "$map" true
    [ "$status" -eq 64 ] || fail "-g '$map': $status"
  done
}

@test "340 ranges are mapped, and 341 are refused" {
  most=$(for ((i = 0; i < 340; i++)); do printf '%d:%d:1,' "$((2 * i))" "$((3 * i))"; done)
  try idmap -u "${most%,}" -g root cat /proc/self/uid_map
  [ "$status" -eq 0 ]
  [ "${#lines[@]}" -eq 340 ]
  [ "$(tr -s ' ' <<<"${lines[339]}")" = ' 678 1017 1' ]
  makes_nothing idmap -u "${most}9999:9999:1" -g root true
  [ "$status" -eq 64 ]
  [[ $output == *'9999:9999:1'*340* ]]
}

@test "a map of more than the 4095 bytes that the kernel reads is refused" {
  long=$(for ((i = 0; i < 200; i++)); do
    printf '%d:%d:1,' "$((1000000000 + 2 * i))" "$((2000000000 + 2 * i))"
  done)
  makes_nothing idmap -u "${long%,}" -g root true
  [ "$status" -eq 64 ]
  [[ $output == *4095* ]]
}

@test "-p prints two maps of 340 ranges whole" {
  most=$(for ((i = 0; i < 340; i++)); do printf '%d:%d:1,' "$((2 * i))" "$((3 * i))"; done)
  try idmap -u "${most%,}" -g "${most%,}" -p
  [ "$status" -eq 0 ]
  [ "${#lines[@]}" -eq 681 ]
}

@test "the words mean what the manual says, in any order" {
  make_user alice 100000:10
  id=$(id -u alice)
  try as_user alice idmap -u root -p
  says "0 $id 1"
  try as_user alice idmap -u self -p
  says "$id $id 1"
  try as_user alice idmap -u sub -p
  says '0 100000 10'
  try as_user alice idmap -u sub,root -p
  says "0 $id 1" '1 100000 10'
  try as_user alice idmap -u "sub,3:$id:1,sub" -p
  says "3 $id 1" '0 100000 3' '4 100003 7'
  try idmap -u all -p
  says '0 0 4294967295'
}

@test "ids that are not mapped where we are cannot be mapped further, and nothing is made" {
  try idmap -u 0:100000:1000,2000:200000:10 -g root idmap -v -u 0:500:600 -g root true
  [ "$status" -eq 125 ]
  [[ $output == *500*'mapped here'* ]]
  [[ $output != *clone* && $output != *unshare* ]]
  try idmap -u 0:100000:1000,2000:200000:10 -g root \
    idmap -u 0:500:500,500:2000:10 -g root cat /proc/self/uid_map
  says '0 500 500' '500 2000 10'
}

# --- Whose ids --------------------------------------------------------------

# delegates LINES MAP...: with LINES as /etc/subuid and /etc/subgid, user chris
# (4711:4711) is given this map of both.
delegates() {
  printf '%b' "$1" | tee /etc/subuid >/etc/subgid
  try as_user chris idmap -p
  [ "$status" -eq 0 ]
  local both
  both=$(grep -v ^idmap: <<<"$output" | tr -s ' ' | sed 's/^ //')
  [ "$both" = "$(printf '%s\n' "${@:2}" '' "${@:2}")" ] || fail "$1 gave $both"
}

@test "every line of /etc/subuid and /etc/subgid that is the user's counts, and no other" {
  groupadd --gid 4711 chris
  useradd --no-create-home --uid 4711 --gid 4711 chris
  delegates '' '0 4711 1'
  delegates 'chris:100000:65536\n' '0 4711 1' '1 100000 65536'
  delegates 'chris:100000:65536' '0 4711 1' '1 100000 65536'
  delegates '4711:100000:65536\n' '0 4711 1' '1 100000 65536'
  delegates 'chris:100000:10\nbob:5000:5\n4711:300000:20\nchris:200000:1\n' \
    '0 4711 1' '1 100000 10' '11 300000 20' '31 200000 1'
  delegates 'christine:100000:10\nchri:200000:10\n47110:300000:10\n471:1:1\n:1:1\n' '0 4711 1'
  delegates '# chris:100000:10\n\nchris\nchris:\nchris:1\nchris:x:1\nchris:1:x\nchris:-1:5\nchris:5:0\nchris:1:2:3\n chris:1:2\nchris :1:2\nchris:010:5\nchris:4294967296:1\n' '0 4711 1'
  delegates 'chris:100000:10\nchris:100000:10\n' '0 4711 1' '1 100000 10'
  delegates 'chris:100000:10\nchris:100005:10\nchris:99990:40\n' \
    '0 4711 1' '1 100000 10' '11 100010 5' '16 99990 10' '26 100015 15'
  delegates 'chris:4700:20\n' '0 4711 1' '1 4700 11' '12 4712 8'
  delegates 'chris:4711:1\n' '0 4711 1'
  delegates 'chris:0:5\n' '0 4711 1' '1 1 4'
  delegates 'chris:0:1\n' '0 4711 1'
  delegates 'chris:4294967290:100\n' '0 4711 1' '1 4294967290 5'
  delegates "$(printf 'x%.0s' {1..9000})\nchris:100000:10\n" '0 4711 1' '1 100000 10'
  delegates 'chris:\\0001:5\nchris:100000:10\n' '0 4711 1' '1 100000 10'
}

@test "the files need not exist, and a name of one's own is not needed" {
  rm -f /etc/subuid /etc/subgid
  try setpriv --reuid=54321 --regid=54322 --clear-groups idmap -p
  says '0 54321 1'
  echo 54321:700000:5 >/etc/subuid
  echo 54321:800000:6 >/etc/subgid
  try setpriv --reuid=54321 --regid=54322 --clear-groups idmap -p
  [ "$(tr -s ' ' <<<"$output")" = "$(printf '%s\n' ' 0 54321 1' ' 1 700000 5' '' ' 0 54322 1' ' 1 800000 6')" ]
}

@test "sub without a line is an error that says how to get one" {
  make_user alice
  makes_nothing as_user alice idmap -u root,sub true
  [ "$status" -eq 125 ]
  [[ $output == *"/etc/subuid"*"$(id -u alice):100000:65536"* ]]
  makes_nothing setpriv --reuid=54323 --regid=54323 --clear-groups idmap -g sub true
  [[ $output == *'54323:100000:65536'* ]]
}

@test "root's ids are its delegated ones, or the block that nobody has" {
  sed -i '/^root:/d; /^0:/d' /etc/subuid /etc/subgid
  try idmap sh -c 'id -u; cat /proc/self/uid_map /proc/self/gid_map'
  [ "$(tr -s ' ' <<<"$output")" = $'0\n 0 1879048192 65536\n 0 1879048192 65536' ]
  echo root:200000:1000 | tee -a /etc/subuid >>/etc/subgid
  try idmap cat /proc/self/uid_map /proc/self/gid_map
  [ "$(tr -s ' ' <<<"$output")" = $' 0 200000 1000\n 0 200000 1000' ]
}

@test "a user's ids work as the files that they make show" {
  make_user alice 100000:65536
  mkdir -m 777 "$here/open"
  chmod 755 "$here" "${here%/*}" "${here%/*/*}"
  try as_user alice idmap sh -c 'cd "$1"; touch mine; touch theirs; chown 7:8 theirs' sh "$here/open"
  [ "$status" -eq 0 ]
  [ "$(stat -c %u:%g "$here/open/mine")" = "$(id -u alice):$(id -g alice)" ]
  [ "$(stat -c %u:%g "$here/open/theirs")" = 100006:100007 ]
}

@test "one nests in another three deep, as root and as a user" {
  local read_map='cat /proc/self/uid_map'
  try idmap -u 0:100000:1000 -g 0:100000:1000 \
    idmap -u 0:100:500 -g 0:100:500 idmap -u 0:50:100 -g 0:50:100 sh -c "id -u; id -g; $read_map"
  [ "$status" -eq 0 ]
  [ "$(tr -s ' ' <<<"$output")" = $'0\n0\n 0 50 100' ]
  make_user alice 100000:65536
  try as_user alice idmap -n all idmap -n all -u all -g all idmap -u self -g self \
    sh -c "id -u; $read_map"
  [ "$status" -eq 0 ]
  [ "$(tr -s ' ' <<<"$output")" = $'0\n 0 0 1' ]
}

@test "root of a container has ids inside it that are not its own, if there are any" {
  try idmap -u 0:100000:1000 -g 0:100000:1000 idmap cat /proc/self/uid_map /proc/self/gid_map
  says '0 1 999' '0 1 999'
  try idmap -u 0:100000:1,7:100007:3 -g 0:100000:1,7:100007:3 idmap cat /proc/self/uid_map
  says '0 7 3'
  # Where only 0 is mapped, that is it, and groups cannot be dropped.
  try idmap -u root -g root idmap sh -c 'cat /proc/self/uid_map /proc/self/setgroups'
  says '0 0 1' deny
  echo root:3000:2000 | tee -a /etc/subuid >>/etc/subgid
  try idmap -u 0:100000:3500 -g 0:100000:3500 idmap cat /proc/self/uid_map
  says '0 3000 500'
}

@test "one whose own id is not mapped where he is can go nowhere, and is told" {
  try idmap -u 5:100000:1 -g 5:100000:1 -n user true
  [ "$status" -eq 125 ]
  make_user alice 100000:65536
  try unshare --user sh -c 'idmap -u root -g root true'
  [ "$status" -eq 125 ]
  [[ $output == *'our own user id'*'not mapped'* ]]
}

@test "PROG is 0 if 0 is mapped, else its caller if he is, else it does not run" {
  make_user alice 100000:10
  id=$(id -u alice) gid=$(id -g alice)
  ids='id -u; id -g'
  try as_user alice idmap sh -c "$ids"
  [ "$output" = $'0\n0' ]
  try as_user alice idmap -u self -g self sh -c "$ids"
  [ "$output" = "$id"$'\n'"$gid" ]
  try as_user alice idmap -u self -g root sh -c "$ids"
  [ "$output" = "$id"$'\n0' ]
  try as_user alice idmap -u "7:$id:1" -g "8:$gid:1,20:100000:2" sh -c "$ids"
  [ "$output" = $'7\n8' ]
  makes_nothing as_user alice idmap -u 5:100000:5 -g root true
  [ "$status" -eq 125 ]
}

@test "what a user was not delegated is refused in newuidmap's own words" {
  make_user alice 100000:10
  try as_user alice idmap -u 0:200000:1 -g root touch "$here/ran"
  [ "$status" -eq 125 ]
  [[ $output == *'newuidmap: uid range'*'not allowed'* ]]
  try as_user alice idmap -u root -g 0:200000:1 true
  [ "$status" -eq 125 ]
  [[ $output == *'newgidmap: gid range'*'not allowed'* ]]
}

@test "newuidmap and newgidmap run side by side, for a process that is still there" {
  make_user alice 100000:10
  for space in mnt mnt,pid; do
    try strace -f -qq -u alice -e trace=fork,clone,execve,wait4,waitid,exit_group -o "$here/log" idmap -n $space true
    [ "$status" -eq 0 ]
    # Both are started before the first has ended.
    new=$(grep -nE 'execve.*/new[ug]idmap' "$here/log" | tail -n 1 | cut -d: -f1)
    helpers=$(awk '/execve.*new[ug]idmap/ {print $1}' "$here/log" | paste -sd '|')
    [ "$(grep -cE '/new[ug]idmap' "$here/log")" -ge 2 ]
    end=$(grep -nE "^($helpers) .*exit_group" "$here/log" | head -n 1 | cut -d: -f1)
    [ "$new" -lt "$end" ]
    # The process that they are given has not ended before them.
    target=$(grep -o '"/usr/bin/newuidmap", "[0-9]*"' "$here/log" | grep -o '[0-9]*' | head -n 1)
    last=$(grep -nE "^($helpers) .*exit_group" "$here/log" | tail -n 1 | cut -d: -f1)
    [ "$(grep -nE "^$target .*exit_group" "$here/log" | head -n 1 | cut -d: -f1)" -gt "$last" ]
  done
}

# --- newuidmap, and where it cannot work ------------------------------------

# with_bin COMMAND: COMMAND in bash, where /usr/bin may be changed and alice is a
# user with delegated ids.
with_bin() {
  make_user alice 100000:10
  mkdir -p "$here/layers"
  mount -t tmpfs tmpfs "$here/layers"
  mkdir -p "$here"/layers/{upper,work}
  try unshare --mount --propagation private bash -eu -c "
    mount -t overlay -o lowerdir=/usr/bin,upperdir=$here/layers/upper,workdir=$here/layers/work overlay /usr/bin
    $1"
  umount "$here/layers"
}

@test "a newuidmap that is missing, not setuid, or refuses stops everything, and is told apart" {
  with_bin 'rm /usr/bin/newuidmap; as_user alice idmap echo ran'
  [ "$status" -eq 125 ]
  [[ $output == *'newuidmap: is not installed'* && $output != *ran* ]]
  with_bin 'chmod 755 /usr/bin/newgidmap; as_user alice idmap echo ran'
  [ "$status" -eq 125 ]
  [[ $output == *newgidmap* && $output != *ran ]]
  with_bin 'printf "#!/bin/sh\necho no such luck >&2; exit 3\n" >/usr/bin/newuidmap
    chmod 4755 /usr/bin/newuidmap; as_user alice idmap echo ran'
  [ "$status" -eq 125 ]
  [[ $output == *'no such luck'*'newuidmap: failed'* ]]
  with_bin 'mount -o remount,bind,nosuid /usr/bin; as_user alice idmap echo ran'
  [ "$status" -eq 125 ]
  [[ $output == *newuidmap* && $output != *ran ]]
}

@test "a newuidmap that lies about what it wrote is found out" {
  with_bin 'rm /usr/bin/newuidmap; printf "#!/bin/sh\nexit 0\n" >/usr/bin/newuidmap
    chmod 755 /usr/bin/newuidmap; as_user alice idmap echo ran'
  [ "$status" -eq 125 ]
  [[ $output == *'uid_map: is not the map'* && $output != *ran ]]
}

@test "a slow newuidmap is waited for" {
  make_user alice 100000:10
  try strace -f -qq -u alice -o /dev/null -e inject=execve:delay_enter=400000:when=1 idmap id -u
  [ "$status" -eq 0 ]
  [ "$output" = 0 ]
}

@test "with no_new_privs a user has the own id alone" {
  make_user alice 100000:10
  try as_user alice setpriv --no-new-privs idmap echo ran
  [ "$status" -eq 125 ]
  [[ $output == *newuidmap* && $output != *ran ]]
  try as_user alice setpriv --no-new-privs idmap -u root -g root id -u
  [ "$output" = 0 ]
}

# --- Groups -----------------------------------------------------------------

@test "CVE-2014-8989: who is kept out by a group cannot drop it" {
  make_user alice 100000:65536
  groupadd kept-out
  usermod --append --groups kept-out alice
  chmod 755 "$here" "${here%/*}" "${here%/*/*}"
  echo secret >"$here/denied"
  chgrp kept-out "$here/denied"
  chmod 604 "$here/denied"
  try as_user alice cat "$here/denied"
  [ "$status" -ne 0 ]

  try as_user alice unshare --user --map-root-user --map-auto setpriv --clear-groups cat "$here/denied"
  [[ $output == *secret* ]] || skip "unshare --map-auto lets nobody drop a group here"

  for arguments in '' '-u root -g root' '-n all' '-s deny'; do
    # shellcheck disable=SC2086
    try as_user alice idmap $arguments cat "$here/denied"
    [ "$status" -ne 0 ]
    # shellcheck disable=SC2086
    try as_user alice idmap $arguments setpriv --clear-groups cat "$here/denied"
    [ "$status" -ne 0 ]
    [[ $output != *secret* ]]
  done

  # Allowed on purpose, it is possible, as the manual page says.
  try as_user alice idmap -s allow cat "$here/denied"
  [[ $output == *secret* ]]
}

@test "supplementary groups: root's are dropped unless mapped, a user's stay unless he may drop them" {
  make_user alice 100000:65536
  make_user bob
  groupadd --gid 7777 extra
  usermod --append --groups extra alice
  usermod --append --groups extra bob
  try setpriv --groups 7777 idmap -u all -g all sh -c 'id -G; cat /proc/self/setgroups'
  [ "$output" = $'0 7777\ndeny' ]
  try setpriv --groups 7777 idmap sh -c 'id -G; cat /proc/self/setgroups'
  [ "$output" = $'0\ndeny' ]
  try setpriv --groups 7777 idmap -n pid -O 'id -G' id -G
  [ "$output" = $'0\n0 7777' ]
  try as_user alice idmap sh -c 'id -G; cat /proc/self/setgroups'
  [ "$output" = $'0 65534\ndeny' ]
  try as_user alice idmap -s allow sh -c 'id -G; cat /proc/self/setgroups'
  [ "$output" = $'0\nallow' ]
  try as_user bob idmap sh -c 'id -G; cat /proc/self/setgroups'
  [ "$output" = $'0 65534\ndeny' ]
}

@test "-s allow that the kernel would not allow is an error, and nothing is made" {
  make_user bob
  makes_nothing as_user bob idmap -s allow true
  [ "$status" -eq 125 ]
  [[ $output == *'-s allow'* ]]
  makes_nothing idmap -s maybe true
  [ "$status" -eq 64 ]
}

# --- Namespaces -------------------------------------------------------------

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

# --- What the waiting process holds -----------------------------------------

# waiting_for MARK: the PID of the idmap whose PROG is "sleep MARK".
waiting_for() {
  pgrep -o -f "^idmap .*sleep $1\$"
}

@test "the waiting process has nothing open but what it needs, in the caller's namespaces" {
  idmap -n all sh -c 'echo >&7; exec sleep 7001' 5</etc/passwd 7>"$here/started" 900</etc/group 3>&- &
  pid=$!
  wait_for test -s "$here/started"
  wait_for test ! -e "/proc/$pid/fd/5"
  # stderr, the link, /proc, and the signals.
  [ "$(ls "/proc/$pid/fd" | wc -l)" -eq 4 ] || fail "$(ls -l "/proc/$pid/fd")"
  [ "$(ls -l "/proc/$pid/fd" | grep -cE '/etc/|started')" -eq 0 ]
  for name in cgroup ipc mnt net pid time user uts; do
    [ "$(readlink "/proc/$pid/ns/$name")" = "$(readlink "/proc/self/ns/$name")" ]
  done
  child=$(cat "/proc/$pid/task/$pid/children")
  [ -e "/proc/${child% }/fd/900" ]
  kill "$pid"
  wait "$pid" || true
}

@test "what PROG closes is closed" {
  # A reader of what PROG wrote must not wait for idmap.
  mkfifo "$here/out" "$here/held"
  idmap -n pid sh -c 'exec >/dev/null 7>&-; exec sleep 7002' >"$here/out" 7>"$here/held" 3>&- &
  pid=$!
  cat "$here/held" >"$here/seen" 3>&- &
  try timeout 10 cat "$here/out"
  [ "$status" -eq 0 ]
  kill -0 "$pid"
  kill "$pid"
  wait "$pid" || true
}

# --- -o and -O --------------------------------------------------------------

@test "-o runs outside with the new process' PID, before PROG, once the maps are there" {
  for space in '' '-n pid' '-n all'; do
    # shellcheck disable=SC2086
    try idmap $space -u 0:0:10 -g root -o 'echo "o $STATUS"
      [ "$(readlink /proc/self/ns/user)" != "$(readlink /proc/$PID/ns/user)" ] && echo other
      tr -s " " </proc/$PID/uid_map' sh -c 'echo prog; readlink /proc/self/ns/user'
    [ "$status" -eq 0 ]
    [ "${lines[0]}" = 'o ' ]
    [ "${lines[1]}" = other ]
    [ "${lines[2]}" = ' 0 0 10' ]
    [ "${lines[3]}" = prog ]
  done
}

@test "-o that fails stops everything" {
  for space in '' '-n pid' '-K -n mnt' '-K -n pid'; do
    for command in 'exit 1' false 'kill -9 $$' 'nonesuch 2>/dev/null' 'if'; do
      # shellcheck disable=SC2086
      try idmap $space -o "$command" echo ran
      [ "$status" -eq 125 ]
      [[ $output != *ran ]]
    done
  done
}

@test "-O runs outside after the end, with the status, however PROG ended" {
  try idmap -O 'echo "$STATUS $(readlink /proc/self/ns/user)"; [ "$PID" -gt 1 ]' sh -c 'exit 7'
  [ "$status" -eq 7 ]
  [ "$output" = "7 $(readlink /proc/self/ns/user)" ]
  try idmap -n all -O 'echo "$STATUS"' sh -c 'kill -9 $$; echo >/dev/null'
  [ "$output" = 0 ] # PID 1 cannot kill itself
  try idmap -O 'echo "$STATUS"' sh -c 'kill -9 $$'
  [ "$output" = 137 ]
  [ "$status" -eq 137 ]
  try idmap -O 'exit 3' true
  [ "$status" -eq 125 ]
  try env PID=x STATUS=y idmap -O 'exec sh -c "echo \$PID \$STATUS"' true
  [[ $output =~ ^[0-9]+\ 0$ ]]
  mkfifo "$here/go"
  idmap -u all -g all -n pid -O "echo \$STATUS >$here/status" sh -c "echo >$here/go; exec sleep 7003" 3>&- &
  read -r <"$here/go"
  kill "$!"
  wait "$!" || true
  wait_for test -s "$here/status"
  [ "$(<"$here/status")" = 143 ]
}

@test "a cgroup is made in -o, entered before its namespace is made, and removed in -O" {
  base=/sys/fs/cgroup
  [ -e $base/cgroup.procs ] || base=/sys/fs/cgroup/unified
  mkdir "$base/nsteps-probe" || skip 'no cgroup can be made here'
  rmdir "$base/nsteps-probe"
  group=$base/nsteps-$BATS_TEST_NUMBER
  try idmap -n all -o "mkdir $group; echo \$PID >$group/cgroup.procs" -O "rmdir $group" \
    sh -c "cat /proc/self/cgroup; cat $group/cgroup.procs | wc -l"
  [ "$status" -eq 0 ]
  [[ $output == *'0::/'$'\n'* ]]
  [ "${lines[-1]}" = 3 ] # PROG, its cat and wc: idmap is not in it
  [ ! -e "$group" ]
}

@test "a veth pair is moved in by -o, carries a ping, and is gone with the container" {
  unshare --net true || skip 'no network namespaces here'
  try unshare --net bash -euc '
    ip link add ve-box type veth peer name ve-peer || exit 77
    ip link delete ve-box
    idmap -n all \
      -o "ip link add ve-box type veth peer name host0 netns \$PID
          ip address add 192.0.2.1/30 dev ve-box; ip link set ve-box up" \
      sh -c "ip address add 192.0.2.2/30 dev host0; ip link set host0 up
             ping -c 1 -W 5 192.0.2.1 && echo answered"
    for ((i = 0; i < 50; i++)); do
      [[ -e /proc/net/dev_snmp6/ve-box ]] || grep -q ve-box /proc/net/dev || exit 0
      sleep 0.1
    done
    echo "ve-box is left"'
  [ "$status" -ne 77 ] || skip 'this kernel has no veth'
  [ "$status" -eq 0 ]
  [[ $output == *answered* && $output != *left* ]]
}

# --- Signals, ends ----------------------------------------------------------

# started SCRIPT [ARG]...: idmap with ARGs runs sh -c SCRIPT, which has said that
# it is ready; its PID in $pid.
started() {
  rm -f "$here/ready"
  mkfifo "$here/ready"
  env --default-signal idmap -u all -g all "${@:2}" sh -c "$1" sh "$here/ready" >"$here/out" 2>&1 3>&- &
  pid=$!
  timeout 20 cat "$here/ready"
}

# ended: how $pid ended, in $status.
ended() {
  status=0
  timeout 20 tail -s 0.1 --pid="$pid" -f /dev/null || kill -KILL "$pid"
  wait "$pid" || status=$?
}

@test "SIGTERM, SIGINT and SIGHUP end a PID 1 without a handler, as they would any process" {
  for signal in TERM INT HUP USR1 ALRM RTMIN+3; do
    number=$(kill -l "${signal#SIG}")
    started 'echo >"$1"; exec sleep 7004' -n pid
    wait_for pgrep -x -f 'sleep 7004' # a dash has a handler for SIGINT
    kill -s "$signal" "$pid"
    ended
    [ "$status" -eq "$((128 + number))" ] || fail "$signal: $status"
  done
}

@test "PID 1 of plain unshare does not even notice SIGTERM" {
  timeout 5 unshare --pid --fork sleep 2 3>&- &
  pid=$!
  wait_for eval 'pgrep -P "$(pgrep -P "$pid" -x unshare)" -x sleep'
  kill -TERM "$(pgrep -P "$(pgrep -P "$pid" -x unshare)" -x sleep)"
  wait "$pid"
}

@test "PID 1 in six hundred groups, whose status is long, is ended all the same" {
  mkfifo "$here/go"
  setpriv --groups "$(seq -s , 4000000000 4000000600)" \
    idmap -K -n pid sh -c 'echo >"$1"; exec sleep 7006' sh "$here/go" 3>&- &
  pid=$!
  timeout 20 cat "$here/go"
  kill "$pid"
  ended
  [ "$status" -eq 143 ]
}

@test "a signal reaches the handler of a PID 1 that has one, real-time signals too" {
  for signal in TERM HUP INT USR1 WINCH RTMIN+3 RTMAX; do
    started "trap 'exit 42' $(kill -l "$signal")"'; echo >"$1"; while :; do sleep 0.05; done' -n pid
    kill -s "$signal" "$pid"
    ended
    [ "$status" -eq 42 ] || fail "$signal: $status $(<"$here/out")"
  done
}

@test "a signal that PID 1 ignores does not end it, and those that mean nothing do not" {
  started "trap '' TERM HUP; echo >\"\$1\"; sleep 0.5; exit 3" -n pid
  kill -TERM "$pid"
  kill -HUP "$pid"
  kill -WINCH "$pid"
  kill -CONT "$pid"
  kill -URG "$pid"
  kill -CHLD "$pid"
  ended
  [ "$status" -eq 3 ]
}

# alarm(2) is kept across exec, and comes from the kernel as the keys do.
@test "an alarm that was set before ends PROG" {
  local space
  for space in '-n pid' '-O true'; do
    # shellcheck disable=SC2086
    try env --default-signal perl -e 'alarm 1; exec @ARGV' idmap -u root -g root $space sleep 9
    [ "$status" -eq 142 ]
  done
}

@test "PID 1 with 65536 groups gets a signal that it has no handler for" {
  python3 -c 'import os, sys; os.setgroups(range(65536)); os.execvp("idmap", sys.argv[1:])' \
    idmap -u all -g all -n pid sleep 7006 3>&- &
  pid=$!
  wait_for pgrep -x -f 'sleep 7006'
  kill -TERM "$pid"
  ended
  [ "$status" -eq 143 ]
}

@test "it stops when PROG stops, and both go on" {
  for space in '-n pid' '-O true'; do
    # shellcheck disable=SC2086
    started 'echo >"$1"; sleep 7005; exit 5' $space
    child=$(cat "/proc/$pid/task/$pid/children")
    kill -STOP "${child% }"
    wait_for grep -q '^State:.*T' "/proc/$pid/status"
    kill -CONT "$pid"
    wait_for grep -q '^State:.*S' "/proc/${child% }/status"
    wait_for grep -q '^State:.*S' "/proc/$pid/status"
    kill -TSTP "$pid"
    wait_for grep -q '^State:.*T' "/proc/${child% }/status"
    wait_for grep -q '^State:.*T' "/proc/$pid/status"
    kill -CONT "$pid"
    wait_for grep -q '^State:.*S' "/proc/${child% }/status"
    kill -KILL "${child% }"
    ended
    [ "$status" -eq 137 ]
  done
}

@test "it ends as PROG ended, with its status or by its signal, and leaves no core" {
  for space in '-n pid' '-O true' ''; do
    for code in 0 1 64 125 126 127 128 200 255; do
      # shellcheck disable=SC2086
      try idmap $space sh -c "exit $code"
      [ "$status" -eq "$code" ]
    done
  done
  for signal in 9 11 15 6; do
    try bash -c 'ulimit -c unlimited; cd "$1"; idmap -O true sh -c "kill -$2 \$\$"; echo "$?"; ls' bash "$BATS_TEST_TMPDIR" "$signal"
    [[ $output == *"$((128 + signal))"* ]]
  done
  # By the signal itself: a shell that saw an exit status would not say so.
  try bash -c 'idmap -O true sh -c "kill -SEGV \$\$"; true'
  [[ $output == *'Segmentation fault'* ]]
}

@test "SIGCHLD that was inherited as ignored eats no status, and PROG inherits it again" {
  for space in '' '-n pid' '-o true' '-n pid -o true'; do
    # shellcheck disable=SC2086
    try env --ignore-signal=CHLD idmap $space sh -c 'exit 9'
    [ "$status" -eq 9 ]
    # shellcheck disable=SC2086
    try env --ignore-signal=CHLD idmap $space grep SigIgn /proc/self/status
    mask=$((16#${lines[0]##*[[:space:]]}))
    ((mask >> 16 & 1))
  done
}

@test "PROG has the signal mask that its caller had" {
  for space in '' '-n pid'; do
    # shellcheck disable=SC2086
    try env --block-signal=USR1 idmap $space grep SigBlk /proc/self/status
    [ "$((16#${lines[0]##*[[:space:]]}))" -eq "$((1 << 9))" ]
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

@test "a map that needs a capability which is missing is an error" {
  for row in 'setfcap all all' 'setuid 0:5:10 root' 'setgid root 0:5:10'; do
    read -r cap uids gids <<<"$row"
    try setpriv --bounding-set=-"$cap" idmap -u "$uids" -g "$gids" echo ran
    [ "$status" -eq 125 ] || fail "$row"
    [[ $output == *_map*'Operation not permitted' ]]
  done
  try setpriv --bounding-set=-setfcap idmap -u 0:1:10 -g root true
  [ "$status" -eq 0 ]
}

@test "if a part of the step fails, PROG does not run" {
  make_user alice 100000:65536
  for call in mount sethostname socket ioctl keyctl setresuid setresgid setgroups \
    clone socketpair prctl unshare getgroups rt_sigaction; do
    try setpriv --groups 7777 strace -f -qq -o /dev/null -e "inject=$call:error=EPERM" \
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

@test "PROG has not run if the step ends with 125, whichever call of the waiting process fails" {
  local call when
  for call in signalfd4 write sendto waitid ppoll rt_sigprocmask rt_sigaction close_range openat read getgroups socketpair; do
    for when in 1 2 3 4 5; do
      rm -f "$here/ran"
      try timeout -s KILL 8 strace -qq -o /dev/null -e "inject=$call:error=EIO:when=$when" \
        idmap -n pid,mnt -u all -g all sh -c ': >"$1"; sleep 0.2; exit 3' sh "$here/ran"
      case $status in
        3) [ -e "$here/ran" ] ;;
        # Only what waits while PROG runs can fail after it has begun.
        125) [[ ! -e $here/ran || $call == waitid || $call == ppoll ]] || fail "$call $when: ran" ;;
        *) fail "$call $when: $status" ;;
      esac
      [[ $status -eq 3 || $output == *"idmap: "* ]] || fail "$call $when: no line"
    done
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

@test "what fuzzing found, and began with, is still taken well" {
  [ -n "$(command -v clang)" ] || skip 'there is no clang'
  TRY_SECONDS=120 try make -C "$top" fuzz T='test/fuzz-map.c test/fuzz-subid.c' RUNS=1
  [ "$status" -eq 0 ]
}
