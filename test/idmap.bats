#!/usr/bin/env bats
# idmap: whose ids, which namespaces, and what becomes of PROG.
# shellcheck disable=SC2016,SC2317 # scripts of a shell inside; exported functions

load helper

setup() {
  here=$BATS_TEST_TMPDIR
  export here
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
  ! grep -E '(clone|unshare|setns)\(|O_WRONLY|O_RDWR|/newuidmap' "$log"
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
  [[ $output == *'more than 340'* ]]
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
  try idmap -u 0:100000:1000,2000:200000:10 -g root \
    strace -f -qq -o "$here/calls" idmap -u 0:500:600 -g root true
  [ "$status" -eq 125 ]
  [[ $output == *'0:500:600'*'mapped here'* ]]
  ! grep -qE '(clone|unshare)\(' "$here/calls"
  try idmap -u 0:100000:1000,2000:200000:10 -g root \
    idmap -u 0:500:500,500:2000:10 -g root cat /proc/self/uid_map
  says '0 500 500' '500 2000 10'
}

# --- Whose ids --------------------------------------------------------------

# delegates LINES MAP...: with LINES as /etc/subuid and /etc/subgid, user chris
# (4711:4711) is given this map of both.
delegates() {
  printf "$1" | tee /etc/subuid >/etc/subgid
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
  [[ $output == *'usermod --add-subuids'*alice* ]]
  makes_nothing setpriv --reuid=54321 --regid=54321 --clear-groups idmap -g sub true
  [[ $output == *'54321:100000:65536'* ]]
}

@test "a range that is another user's is said so" {
  make_user alice 100000:10
  make_user bob
  id=$(id -u bob)
  echo "alice:$id:1" >>/etc/subuid
  try as_user alice idmap -p
  [ "$status" -eq 0 ]
  [[ $output == *'warning: /etc/subuid delegates id '*"$id"*bob* ]]
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
  chmod 755 "$here" "${here%/*}" "${here%/*/*}" "${here%/*/*/*}"
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
  try as_user alice idmap -n all idmap -n all -u all -g all \
    idmap -u self -g self idmap -u all -g all sh -c "id -u; $read_map"
  [ "$status" -eq 0 ]
  [ "$(tr -s ' ' <<<"$output")" = $'0\n 0 0 1' ]
}

@test "root of a namespace takes what is mapped there, and says so where it has none" {
  try idmap -u 0:100000:1000 -g 0:100000:1000 idmap true
  [ "$status" -eq 125 ]
  [[ $output == *'not mapped here'*'-u all -g all'* ]]
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
  [[ $output == *'our own user id is not mapped here'* ]]
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

@test "newuidmap and newgidmap run side by side, for a child that is still ours" {
  make_user alice 100000:10
  try strace -f -qq -u alice -e trace=clone,execve,wait4,waitid,setns -o "$here/log" idmap -n mnt true
  [ "$status" -eq 0 ]
  # Both are started before the first is waited for.
  main=$(awk 'NR == 1 {print $1}' "$here/log")
  [ "$(awk -v p="$main" '$1 == p && /clone\(|waitid\(/ {print substr($2, 1, 5)}' "$here/log" | head -4 | xargs)" = 'clone clone clone waiti' ]
  # What they are given is the first child, and it is waited for after both.
  child=$(awk -v p="$main" '$1 != p {print $1; exit}' "$here/log")
  target=$(grep -o '"/usr/bin/newuidmap", "[0-9]*"' "$here/log" | grep -o '[0-9]*')
  awk -v p="$main" '$1 == p && /CLONE_NEWUSER/' "$here/log" | grep -q "= $target\$" ||
    grep -q "clone resumed.*= $target\$" "$here/log"
  [ "$(awk -v p="$main" '$1 == p && /waitid\(P_PID/' "$here/log" | grep -o 'P_PID, [0-9]*' | tail -n 1)" = "P_PID, $target" ]
}

# --- newuidmap, and where it cannot work ------------------------------------

# with_bin COMMAND: COMMAND in bash, where /usr/bin may be changed and alice is a
# user with delegated ids.
with_bin() {
  make_user alice 100000:10
  mkdir -p "$here"/{upper,work}
  mount -t tmpfs tmpfs "$here"
  mkdir -p "$here"/{upper,work}
  try unshare --mount --propagation private bash -eu -c "
    mount -t overlay -o lowerdir=/usr/bin,upperdir=$here/upper,workdir=$here/work overlay /usr/bin
    $1"
  umount "$here"
}

@test "a newuidmap that is missing, not setuid, or refuses stops everything, and is told apart" {
  with_bin 'rm /usr/bin/newuidmap; as_user alice idmap echo ran'
  [ "$status" -eq 125 ]
  [[ $output == *'exec newuidmap: No such file'* || $output == *'newuidmap: No such file'* ]]
  [[ $output != *ran* && $output != *hint* ]]
  with_bin 'chmod 755 /usr/bin/newgidmap; as_user alice idmap echo ran'
  [ "$status" -eq 125 ]
  [[ $output == *'hint: /usr/bin/newgidmap is not setuid root here'* && $output != *ran$'\n'* ]]
  with_bin 'printf "#!/bin/sh\necho no such luck >&2; exit 3\n" >/usr/bin/newuidmap
    chmod 4755 /usr/bin/newuidmap; as_user alice idmap echo ran'
  [ "$status" -eq 125 ]
  [[ $output == *'no such luck'*'newuidmap failed'* ]]
  with_bin 'mount -o remount,nosuid /usr/bin; as_user alice idmap echo ran'
  [ "$status" -eq 125 ]
  [[ $output == *'nosuid mount'* ]]
}

@test "a newuidmap that lies about what it wrote is found out" {
  with_bin 'rm /usr/bin/newuidmap; printf "#!/bin/sh\nexit 0\n" >/usr/bin/newuidmap
    chmod 755 /usr/bin/newuidmap; as_user alice idmap echo ran'
  [ "$status" -eq 125 ]
  [[ $output == *'uid_map is not the map'* && $output != *ran ]]
}

@test "a slow newuidmap is waited for" {
  make_user alice 100000:10
  try strace -f -qq -u alice -o /dev/null -e inject=execve:delay_enter=400000:when=1 idmap id -u
  [ "$status" -eq 0 ]
  [ "$output" = 0 ]
}

@test "no_new_privs is named where it is what stops newuidmap" {
  make_user alice 100000:10
  try as_user alice setpriv --no-new-privs idmap true
  [ "$status" -eq 125 ]
  [[ $output == *'hint: no_new_privs is set'* ]]
  try as_user alice setpriv --no-new-privs idmap -u root -g root id -u
  [ "$output" = 0 ]
}

# --- Groups -----------------------------------------------------------------

@test "CVE-2014-8989: who is kept out by a group cannot drop it" {
  make_user alice 100000:65536
  groupadd kept-out
  usermod --append --groups kept-out alice
  chmod 755 "$here" "${here%/*}" "${here%/*/*}" "${here%/*/*/*}"
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

@test "supplementary groups: root's are dropped, a user's stay unless he may drop them" {
  make_user alice 100000:65536
  make_user bob
  groupadd --gid 7777 extra
  usermod --append --groups extra alice
  usermod --append --groups extra bob
  try setpriv --groups 7777 idmap -u all -g all sh -c 'id -G; cat /proc/self/setgroups'
  [ "$output" = $'0\ndeny' ]
  try setpriv --groups 7777 idmap -n pid -u all -g all -O 'id -G' id -G
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
