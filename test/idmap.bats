#!/usr/bin/env bats
# idmap: which ids PROG has inside, and which ids those are outside.
# shellcheck disable=SC2016,SC2154 # scripts of a shell inside; helper.bash sets it
# shellcheck disable=SC2030,SC2031 # each test is a subshell, as it should be
# shellcheck disable=SC2054 # commas belong to maps

load helper
load idmap

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

@test "ids that need more than 16 or 31 bits, and the last one, are what they are" {
  mkdir -m 777 "$here/open"
  chmod 755 "$here" "${here%/*}" "${here%/*/*}"
  for id in 65535 65536 2147483647 2147483648 4294967294; do
    try idmap -u "0:$id:1" -g "0:$id:1" sh -c 'id -u; : >"$1"; tr -s " " </proc/self/uid_map' sh "$here/open/$id"
    [ "$status" -eq 0 ]
    [ "$output" = $'0\n 0 '"$id 1" ]
    [ "$(stat -c %u:%g "$here/open/$id")" = "$id:$id" ]
    # Inside, as root's own id there.
    try idmap -u "$id:0:1" -g "$id:0:1" sh -c 'id -u; id -g'
    [ "$output" = "$id"$'\n'"$id" ]
    # As the id of the caller.
    try setpriv --reuid="$id" --regid="$id" --clear-groups idmap -u root -g self sh -c 'id -u; id -g'
    [ "$output" = $'0\n'"$id" ] || fail "$id: $output"
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
    # Both are forked before the first is waited for.
    parent=$(awk '/execve.*new[ug]idmap/ {print $1}' "$here/log" | head -n 1)
    parent=$(grep -E "(fork|clone).* = $parent\$" "$here/log" | awk '{print $1}')
    [ "$(grep -E "^$parent .*((fork|clone)\(|waitid\()" "$here/log" | grep -v CLONE_NEW | grep -oE 'fork|clone|waitid' | head -n 3 | sed 's/fork\|clone/new/' | xargs)" = 'new new waitid' ]
    helpers=$(awk '/execve.*new[ug]idmap/ {print $1}' "$here/log" | paste -sd '|')
    [ "$(grep -cE '/new[ug]idmap' "$here/log")" -ge 2 ]
    # The process that they are given has not ended before them.
    target=$(grep -o '"newuidmap", "[0-9]*"' "$here/log" | grep -o '[0-9]*' | head -n 1)
    last=$(grep -nE "^($helpers) .*exit_group" "$here/log" | tail -n 1 | cut -d: -f1)
    [ "$(grep -nE "^$target .*exit_group" "$here/log" | head -n 1 | cut -d: -f1)" -gt "$last" ]
  done
}

@test "what fuzzing found, and began with, is still taken well" {
  [ -n "$(command -v clang)" ] || skip 'there is no clang'
  TRY_SECONDS=120 try make -C "$top" fuzz T='test/fuzz-map.c test/fuzz-subid.c' RUNS=1
  [ "$status" -eq 0 ]
}
