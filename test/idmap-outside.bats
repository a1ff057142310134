#!/usr/bin/env bats
# idmap: the commands that run outside, before PROG (-o) and after it (-O).
# shellcheck disable=SC2016,SC2154 # scripts of a shell inside; helper.bash sets it

load helper
load idmap

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

@test "-O runs if -o failed, if PROG cannot be executed, and if a later part of the step fails" {
  : >"$here/no-program"
  for arguments in '-u all -g all' '-u all -g all -n pid' '-K -n mnt'; do
    # shellcheck disable=SC2086
    try idmap $arguments -o 'echo made; exit 3' -O 'echo "$STATUS"' echo ran
    [ "$status" -eq 125 ]
    [[ $output == made*$'\n'125 && $output != *ran* ]]
    # shellcheck disable=SC2086
    try idmap $arguments -o 'echo made' -O 'echo "$STATUS"' nonesuch
    [ "$status" -eq 127 ]
    [[ $output == made*$'\n'127 ]]
    # shellcheck disable=SC2086
    try idmap $arguments -o 'echo made' -O 'echo "$STATUS"' "$here/no-program"
    [ "$status" -eq 126 ]
    [[ $output == made*$'\n'126 ]]
  done
  try refuse mount:error=EPERM idmap -n mnt -o 'echo made' -O 'echo "$STATUS"' echo ran
  [ "$status" -eq 125 ]
  [[ $output == made*$'\n'125 && $output != *ran* ]]
}

@test "-O does not run if -o never began" {
  make_user alice 100000:10
  try as_user alice idmap -u 0:200000:1 -g root -o 'echo before' -O 'echo after' echo ran
  [ "$status" -eq 125 ]
  [[ $output != *before* && $output != *after* && $output != *ran ]]
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

@test "-o sets the clocks of a new time namespace, and PROG sees them" {
  make_user alice 100000:65536
  outside=$(cut -d. -f1 /proc/uptime)
  for row in 'root -n time' 'root -n time,pid' 'root -K -n time' 'root -n all' 'alice -n time' 'alice -n all'; do
    read -r user arguments <<<"$row"
    # shellcheck disable=SC2086
    try as_user "$user" idmap $arguments -o 'echo boottime 864000 0 >"/proc/$PID/timens_offsets"' cat /proc/uptime
    [ "$status" -eq 0 ] || fail "$row"
    [ "${output%%.*}" -ge "$((outside + 864000))" ] || fail "$row"
  done
  [ "$(cut -d. -f1 /proc/uptime)" -lt "$((outside + 864000))" ]
}

@test "a cgroup is made in -o, entered before its namespace is made, and removed in -O" {
  base=/sys/fs/cgroup
  [ -e $base/cgroup.procs ] || base=/sys/fs/cgroup/unified
  mkdir "$base/nsteps-probe" || skip 'no cgroup can be made here'
  rmdir "$base/nsteps-probe"
  group=$base/nsteps-$BATS_TEST_NUMBER
  try idmap -n all -o "mkdir $group; echo \$PID >$group/cgroup.procs" -O "rmdir $group" \
    sh -c "cat /proc/self/cgroup; list=\$(cat $group/cgroup.procs); echo \$list | wc -w"
  [ "$status" -eq 0 ]
  [[ $output == *'0::/'$'\n'* ]]
  [ "${lines[-1]}" = 2 ] # PROG and its cat: idmap is not in it
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
