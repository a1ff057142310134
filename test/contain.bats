#!/usr/bin/env bats
# contain, inject, isolate, pseudo: a real Debian in each way to run one, and
# nothing of it left behind.
#
# shellcheck disable=SC2016 # what stands in single quotes is for another shell
# shellcheck disable=SC2086 # "as_user bare" is two words

load helper

# What a container must leave as it found it. Its PID namespace is the tests'.
host_state() {
  cat /proc/self/mountinfo /proc/sys/kernel/hostname
  find /sys/fs/cgroup -maxdepth 3 -type d | sort
  ls /
}

processes() {
  local status
  for status in /proc/[0-9]*/status; do
    sed -n 's/^Name:\t//p' "$status" 2>/dev/null
  done | grep -cxE 'idmap|safemount|pivot|sleep|nsjoin' || true
}

setup_file() {
  trees=$(mktemp -d "$BATS_FILE_TMPDIR/XXXXXX")
  export trees
  chmod 755 "$BATS_RUN_TMPDIR" "$BATS_FILE_TMPDIR" "$trees"
  make_user alice 300000:65536
  make_user bare

  mkdir -m 700 "$trees/closed"
  mkdir "$trees/closed/debian"
  tar -C "$trees/closed/debian" --numeric-owner -xpf "$(debian_tar minbase)"

  mkdir "$trees/alice"
  chown alice: "$trees/alice"
  as_user alice pseudo mkdir "$trees/alice/debian"
  as_user alice pseudo tar -C "$trees/alice/debian" --numeric-owner -xpf - <"$(debian_tar minbase)"
}

setup() {
  host_state >"$BATS_TEST_TMPDIR/before"
}

teardown() {
  host_state | diff "$BATS_TEST_TMPDIR/before" -
  wait_for eval '(($(processes) == 0))' || {
    pkill -KILL -x 'idmap|sleep' # or every test after this one fails too
    return 1
  }
}

# in_root, in_alice, in_host CMD...: in root's shifted tree, in the tree that
# alice unpacked, and in the host's own.
in_root() {
  contain -s "$trees/closed/debian" "$@" </dev/null
}

in_alice() {
  as_user alice contain "$trees/alice/debian" "$@" </dev/null
}

in_host() {
  contain / "$@" </dev/null
}

ways=(in_root in_alice in_host)

# start WAY: the same with a command that goes on, contain's PID in $pid.
start() {
  case $1 in
    in_root) contain -s "$trees/closed/debian" sleep 1000 </dev/null 3>&- & ;;
    in_alice) as_user alice contain "$trees/alice/debian" sleep 1000 </dev/null 3>&- & ;;
    in_host) contain / sleep 1000 </dev/null 3>&- & ;;
  esac
  pid=$!
  wait_for pgrep -x sleep
}

@test "a container has ids, processes, a name and a network of its own" {
  local way
  for way in "${ways[@]}"; do
    try "$way" /bin/sh -c 'id; echo $$; cd /proc; set -- [0-9]*; echo "$@"
      cat sys/kernel/hostname; sed -n "s/^ *\([^ ]*\):.*/\1/p" net/dev; cat uptime >/dev/null'
    [ "$status" -eq 0 ]
    [ "${lines[0]}" = "uid=0(root) gid=0(root) groups=0(root)" ]
    [ "${lines[1]}" = 1 ]
    [ "${lines[2]}" = 1 ]
    [ "${lines[3]}" = "$([[ $way == in_host ]] && echo contain || echo debian)" ]
    [ "${lines[4]}" = lo ]
    [ "${#lines[@]}" -eq 5 ]
  done
}

@test "all eight namespaces are new" {
  local way name
  for way in "${ways[@]}"; do
    try "$way" /bin/sh -c 'cd /proc/self/ns; for n in cgroup ipc mnt net pid time user uts; do readlink $n; done'
    [ "$status" -eq 0 ]
    [ "${#lines[@]}" -eq 8 ]
    for name in "${lines[@]}"; do
      [ "$name" != "$(readlink "/proc/self/ns/${name%%:*}")" ]
    done
  done
}

@test "dpkg and apt work in a Debian tree" {
  local way
  for way in "${ways[@]}"; do
    try "$way" dpkg --list
    [ "$status" -eq 0 ]
    [ "${#lines[@]}" -gt 80 ]
    try "$way" apt-get --version
    [ "$status" -eq 0 ]
    [[ ${lines[0]} == "apt "* ]]
    try "$way" dpkg --audit
    [ "$status" -eq 0 ]
  done
}

@test "files that it makes belong to its own ids, seen from the host" {
  local make='touch /root/made && chown 33:42 /root/made && stat -c %u:%g /root/made'
  try in_root /bin/sh -c "$make"
  [ "$output" = 33:42 ]
  [ "$(stat -c %u:%g "$trees/closed/debian/root/made")" = 33:42 ]
  try in_alice /bin/sh -c "$make"
  [ "$output" = 33:42 ]
  # 0 is alice, and 1 the first of her delegated ids
  [ "$(stat -c %u:%g "$trees/alice/debian/root/made")" = 300032:300041 ]
  try in_host /bin/sh -c 'touch /tmp/made-by-contain && stat -c %u:%g /tmp/made-by-contain'
  [ "$output" = 0:0 ]
  # / has a block of ids by its name
  [ "$(stat -c %u:%g /tmp/made-by-contain)" = 1882193920:1882193920 ]
  rm /tmp/made-by-contain
}

@test "DIR's owner says whose ids root's container has, and one who is not inside is an error" {
  local box=$BATS_TEST_TMPDIR/box map
  chmod 755 "$BATS_RUN_TMPDIR" "$BATS_RUN_TMPDIR/test" "$BATS_TEST_TMPDIR"
  small_root "$box"
  for map in 1879048192 1900019712 2147418112; do
    chown -hR "$((map + 5)):$map" "$box"
    try contain "$box" sh -c 'cat /proc/self/uid_map /proc/self/gid_map; stat -c %u:%g /bin' </dev/null
    [ "$(xargs <<<"$output")" = "0 $map 65536 0 $map 65536 5:0" ]
  done
  # Outside of that range, an owner has no block.
  for map in 0 1000 1879048191 2147483648; do
    chown "$map" "$box"
    try contain "$box" echo ran </dev/null
    [[ $status -eq 125 && $output != *ran* && $output == *"$box belongs to user $map, who is not in"*"'chown -hR "[12]*":"* ]]
    try contain -r "$box" echo ran </dev/null
    [ "$output" = ran ]
    try contain -u "0:$map:1" -g 0:1:1 "$box" echo ran </dev/null
    [ "$output" = ran ]
  done
  # The advice is one that works.
  try contain "$box" true </dev/null
  # shellcheck disable=SC2046 # two words
  chown -hR $(grep -oE '[0-9]+:[0-9]+' <<<"$output") "$box"
  try contain "$box" touch /made </dev/null
  [ "$status" -eq 0 ]
  # A user is told as well, and may read.
  try as_user alice contain "$box" echo ran </dev/null
  [[ $status -eq 125 && $output != *ran* && $output == *"who is not in the container"* ]]
  try as_user alice contain -r "$box" echo ran </dev/null
  [ "$output" = ran ]
}

# The same id outside is the same to kill(2), ptrace(2), keys and files.
@test "two containers of root's with blocks of their own have no id in common" {
  local one=$BATS_TEST_TMPDIR/one two=$BATS_TEST_TMPDIR/two dir maps=()
  mkdir -m 700 "$BATS_TEST_TMPDIR/closed"
  for dir in "$one" "$two"; do
    small_root "$dir"
  done
  mv "$one" "$two" "$BATS_TEST_TMPDIR/closed"
  for dir in one two one; do
    try contain -s "$BATS_TEST_TMPDIR/closed/$dir" cat /proc/self/uid_map </dev/null
    maps+=("$(xargs <<<"$output")")
  done
  [[ ${maps[0]} == "${maps[2]}" && ${maps[0]} != "${maps[1]}" ]]
}

@test "PROG's status comes out: its own, a signal's, 126 and 127" {
  local way
  for way in "${ways[@]}"; do
    try "$way" /bin/sh -c 'exit 7'
    [ "$status" -eq 7 ]
    # PID 1 dies of no signal from inside, so the shell below it does.
      try "$way" /bin/sh -c '/bin/sh -c "kill -9 \$\$"; exit $?'
    [ "$status" -eq 137 ]
    try "$way" no-such-command
    [ "$status" -eq 127 ]
    [[ $output == *"pivot: exec no-such-command: No such file or directory" ]]
    try "$way" /etc/passwd
    [ "$status" -eq 126 ]
  done
}

@test "a signal that is sent to contain ends the container, and is its status" {
  local way pid
  for way in "${ways[@]}"; do
    start "$way"
    kill -TERM "$pid"
    status=0
    wait "$pid" || status=$?
    [ "$status" -eq 143 ]
    wait_for eval '! pgrep -x sleep'
  done
}

@test "inject runs a command inside, by contain's PID and by that of a process there" {
  local way pid inner target
  for way in "${ways[@]}"; do
    start "$way"
    inner=$(pgrep -x sleep)
    for target in "$pid" "$inner"; do
      try inject "$target" /bin/sh -c 'id -u; cat /proc/1/comm /proc/sys/kernel/hostname; for n in cgroup ipc mnt net pid time user uts; do readlink /proc/self/ns/$n; done' </dev/null
      [ "$status" -eq 0 ]
      [ "${lines[0]}" = 0 ]
      [ "${lines[1]}" = sleep ]
      [ "${lines[2]}" = "$([[ $way == in_host ]] && echo contain || echo debian)" ]
      for name in "${lines[@]:3}"; do
        [ "$name" = "$(readlink "/proc/$inner/ns/${name%%:*}")" ]
      done
      try inject "$target" /bin/sh -c 'exit 9' </dev/null
      [ "$status" -eq 9 ]
      try inject "$target" no-such-command </dev/null
      [ "$status" -eq 127 ]
    done
    kill -TERM "$pid"
    wait "$pid" || true
  done
}

@test "inject refuses what is in no container, and takes a waiter for what it waits for" {
  local pid
  for pid in $$ "$BASHPID" 1; do
    try inject "$pid" echo ran </dev/null
    [[ $status -eq 125 && $output == "inject: process $pid is in our own namespaces"* ]]
  done
  # nsjoin would enter what has another mount namespace only: the control
  unshare --mount sleep 1000 3>&- &
  pid=$!
  wait_for eval '[[ $(readlink "/proc/$pid/ns/mnt") != "$(readlink /proc/self/ns/mnt)" ]]'
  try seal nsjoin "$pid" echo entered </dev/null
  [ "$output" = entered ]
  try inject "$pid" echo ran </dev/null
  [[ $status -eq 125 && $output == "inject: process $pid is in our own namespaces"* ]]
  kill "$pid"
  # So would it if a child has another user namespace, and no PID namespace.
  unshare --mount sh -c 'unshare --user --map-root-user sleep 1000 & wait' 3>&- &
  pid=$!
  wait_for pgrep -x sleep
  try inject "$pid" echo ran </dev/null
  [[ $status -eq 125 && $output == "inject: process $pid is in our own namespaces"* ]]
  pkill -x sleep
  for pid in 0 01 -1 x 4294967296 99999999 /etc; do
    try inject "$pid" echo ran </dev/null
    [[ $status -ne 0 && $output != *ran* ]]
  done
  # A shell with other children that becomes contain has all of them.
  bash -c 'for i in 1 2 3 4 5; do sleep 1000 & done; exec contain / sh -c "exec sleep 2000"' </dev/null 3>&- &
  pid=$!
  wait_for pgrep -x -f 'sleep 2000'
  try inject "$pid" cat /proc/1/comm </dev/null
  [ "$output" = sleep ]
  kill "$pid"
  pkill -x sleep
}

@test "pseudo without delegated ids is root of one's own id, and drops no group" {
  try as_user bare pseudo sh -c 'id -u; cat /proc/self/setgroups; cat /proc/self/gid_map'
  [ "$(xargs <<<"$output")" = "0 deny 0 $(id -g bare) 1" ]
  try as_user alice pseudo sh -c 'id -u; cat /proc/self/setgroups'
  [ "$output" = $'0\nallow' ]
  try as_user alice pseudo -u 0:0 true
  [ "$status" -eq 64 ]
}

@test "isolate cannot reach out, and reaches itself, as root and as a user" {
  local user
  socat ABSTRACT-LISTEN:nsteps-probe,fork EXEC:'echo reached' 3>&- &
  wait_for socat -u ABSTRACT-CONNECT:nsteps-probe -
  for user in '' 'as_user bare'; do
    try $user socat -u ABSTRACT-CONNECT:nsteps-probe -
    [ "$output" = reached ]
    try $user isolate socat -u ABSTRACT-CONNECT:nsteps-probe -
    [ "$status" -ne 0 ]
    [[ $output != *reached* ]]
    try $user isolate id
    [ "$output" = "$($user id)" ]
    try $user isolate sh -c 'sed -n "s/^ *\([^ ]*\):.*/\1/p" /proc/net/dev
      socat TCP-LISTEN:7777,bind=127.0.0.1 EXEC:"echo loopback" &
      until socat -u TCP:127.0.0.1:7777 - 2>/dev/null; do sleep 0.1; done; wait'
    [ "$status" -eq 0 ]
    [ "$output" = $'lo\nloopback' ]
  done
  kill %1
}

# As a browser has them: hundreds at once, of each kind.
@test "in isolate no socket of hundreds gets out, and all of them reach loopback" {
  local port=$BATS_TEST_TMPDIR/port user
  chmod 755 "$BATS_RUN_TMPDIR" "$BATS_RUN_TMPDIR/test" "$BATS_TEST_TMPDIR"
  cat >"$BATS_TEST_TMPDIR/sockets" <<'END'
import asyncio, socket, sys

class Udp(asyncio.DatagramProtocol):
    def connection_made(self, transport):
        self.transport = transport
    def datagram_received(self, data, peer):
        self.transport.sendto(data, peer)

async def echo(reader, writer):
    writer.write(await reader.readline())
    await writer.drain()
    writer.close()

async def serve():
    server = await asyncio.start_server(echo, "127.0.0.1", 0, backlog=1000)
    port = server.sockets[0].getsockname()[1]
    await asyncio.start_server(echo, "::1", port, backlog=1000)
    await asyncio.get_running_loop().create_datagram_endpoint(Udp, ("127.0.0.1", port))
    return port

async def tcp(host, port):
    try:
        reader, writer = await asyncio.open_connection(host, port)
        writer.write(b"hello\n")
        return await asyncio.wait_for(reader.readline(), 10) == b"hello\n"
    except OSError:
        return False

async def udp(port):
    loop = asyncio.get_running_loop()
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM | socket.SOCK_NONBLOCK) as s:
        try:
            s.connect(("127.0.0.1", port))
            await loop.sock_sendall(s, b"hello")
            return await asyncio.wait_for(loop.sock_recv(s, 9), 10) == b"hello"
        except OSError:
            return False

async def reached(port):
    return sum(await asyncio.gather(
        *(tcp(host, port) for host in ("127.0.0.1", "::1") for i in range(150)),
        *(udp(port) for i in range(100))))

async def main():
    if sys.argv[1:]:
        print(await reached(int(sys.argv[1])), await reached(await serve()))
    else:
        print(await serve(), flush=True)
        await asyncio.sleep(100)

asyncio.run(main())
END
  python3 "$BATS_TEST_TMPDIR/sockets" >"$port" 3>&- &
  wait_for test -s "$port"
  for user in '' 'as_user bare'; do
    try $user python3 "$BATS_TEST_TMPDIR/sockets" "$(<"$port")"
    [ "$output" = '400 400' ]
    try $user isolate python3 "$BATS_TEST_TMPDIR/sockets" "$(<"$port")"
    [ "$output" = '0 400' ]
  done
  kill %1
}

@test "pseudo unpacks owners as a user, whose contain runs the result" {
  [ "$(stat -c %U:%a "$trees/alice/debian")" = alice:755 ]
  [ "$(stat -c %u "$trees/alice/debian/etc/shadow")" = "$(id -u alice)" ]
  [ "$(stat -c %g "$trees/alice/debian/etc/shadow")" = 300041 ]
  try in_alice stat -c %U:%G /etc/shadow /usr/bin/passwd
  [ "$output" = $'root:shadow\nroot:root' ]
  try as_user alice pseudo stat -c %u:%g "$trees/alice/debian/etc/shadow"
  [ "$output" = 0:42 ]
}

@test "dpkg works in a tree that a user unpacked, in a chroot of pseudo" {
  local tree=$trees/alice/debian
  try as_user alice pseudo chroot "$tree" /bin/sh -c 'PATH=/usr/sbin:/usr/bin:/sbin:/bin
    dpkg --force-depends --purge logsave && dpkg --verify coreutils && ! dpkg --status logsave 2>/dev/null'
  [ "$status" -eq 0 ]
  [ ! -e "$tree/usr/sbin/logsave" ]
  try in_alice dpkg --status coreutils
  [ "$status" -eq 0 ]
}

@test "a DIR without dev, proc and sys gets them, and has nothing else that was not there" {
  local bare=$BATS_TEST_TMPDIR/bare
  small_root "$bare"
  rmdir "$bare"/{dev,proc,sys}
  give_to_container "$bare"
  try contain "$bare" sh -c 'echo $$ >/dev/null; cat /proc/1/comm; ls /sys/class' </dev/null
  [[ $status -eq 0 && $output == sh* && $output == *net* ]]
  [ "$(cd "$bare" && echo *)" = 'bin dev etc proc run sys tmp' ]
}

@test "a DIR that is missing, a file or with a planted link is refused" {
  local bad=$BATS_TEST_TMPDIR/bad plant
  try contain "$bad" true
  [ "$status" -eq 125 ]
  [[ $output == "contain: $bad is no directory to enter" ]]
  touch "$bad"
  try contain "$bad" true
  [ "$status" -eq 125 ]
  rm "$bad"
  for plant in proc sys dev; do
    small_root "$bad"
    rmdir "$bad/$plant"
    mkdir -p "$bad/tmp/target"
    ln -s /tmp/target "$bad/$plant"
    give_to_container "$bad"
    try contain "$bad" true
    [ "$status" -eq 125 ]
    [[ $output == *"/$plant: is a symbolic link"* ]]
    rm "$bad/$plant"
  done
}

@test "maps that are malformed, and ids that nobody delegated, are refused" {
  local map
  for map in 0:0 0:0:0 a:b:c 0:1000:1,0:2000:1 '0: 1:1' 0:4294967296:1; do
    try contain -u "$map" / true
    [ "$status" -eq 64 ]
    [[ $output == idmap:* ]]
  done
  try as_user bare contain -u sub / true
  [ "$status" -eq 125 ]
  [[ $output == *"/etc/subuid"*"root can add the line"* ]]
}

@test "newuidmap that is missing or not setuid is an error, and nothing runs" {
  alone <<'END'
    mount --bind /usr/bin/true /usr/bin/newuidmap
    ! as_user alice contain / echo ran </dev/null
END
  [ "$status" -eq 0 ]
  [[ $output == "idmap: "*"uid_map"* && $output != *ran* ]]
  alone <<'END'
    cp /usr/bin/newuidmap "$BATS_TEST_TMPDIR/plain"
    mount --bind "$BATS_TEST_TMPDIR/plain" /usr/bin/newuidmap
    ! as_user alice contain / echo ran </dev/null
END
  [ "$status" -eq 0 ]
  [[ $output == *newuidmap* && $output != *ran* ]]
}

@test "where user namespaces are forbidden, contain says so and runs nothing" {
  alone <<'END'
    mount -t proc proc /proc
    unshare --user --map-root-user --mount bash -c '
      echo 0 >/proc/sys/user/max_user_namespaces
      ! idmap -u root -g root -n mnt echo ran'
END
  [ "$status" -eq 0 ]
  [[ $output == *"max_user_namespaces is 0"* && $output != *ran* ]]
}

@test "where /proc is masked, a container's own proc is an error" {
  # root is not held to it; a user's new proc must show no more than the old
  alone "$trees/alice/debian" <<'END'
    mount -t tmpfs none /proc/sys/kernel
    ! as_user alice contain "$1" echo ran </dev/null
END
  [ "$status" -eq 0 ]
  [[ $output == "safemount: "*"proc: Operation not permitted"* && $output != *fd:* && $output != *ran* ]]
}

@test "bash forks at most once before CMD, and execs once a step" {
  local log=$BATS_TEST_TMPDIR/log
  strace -f -qq -s 200 -o "$log" -e trace=clone,clone3,fork,vfork,execve,execveat -- contain / true </dev/null 3>&-
  bash_pid=$(sed -n '1s/ .*//p' "$log")
  # until it becomes idmap
  [ "$(sed -n "/^$bash_pid .*execve.*idmap\", \"-K\"/q; /^$bash_pid .*\(clone\|fork\).*SIGCHLD/p" "$log" | wc -l)" -le 1 ]
  [ "$(grep -cE 'execve\("[^"]*/(idmap|safemount|pivot)".* = 0$' "$log")" -le 7 ]
}
