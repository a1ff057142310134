#!/usr/bin/env bats
# idmap: who writes the maps, and which groups PROG can drop.
# shellcheck disable=SC2154 # helper.bash sets it

load helper
load idmap

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

@test "what was written is read back: setgroups, and a map that needs no newuidmap" {
  # A write that the kernel does not get, and that says it was done.
  for row in '4 1 setgroups' '7 2 uid_map' '7 3 gid_map'; do
    read -r length when name <<<"$row"
    for space in uts pid; do
      try strace -f -qq -o /dev/null -e "inject=write:retval=$length:when=$when" \
        idmap -n "$space" -u 0:5:10 -g 0:5:10 echo ran
      [ "$status" -eq 125 ] || fail "$name: $status"
      [[ $output == *"$name: is not "* && $output != *ran ]]
    done
  done
}

@test "-s allow that the kernel would not allow is an error, and nothing is made" {
  make_user bob
  makes_nothing as_user bob idmap -s allow true
  [ "$status" -eq 125 ]
  [[ $output == *'-s allow'* ]]
  makes_nothing idmap -s maybe true
  [ "$status" -eq 64 ]
}
