#!/usr/bin/env bats
# nsjoin into what other programs make: which namespaces, ids and groups the
# command has there.
# shellcheck disable=SC2154 # bats sets status and output
# shellcheck disable=SC2016 # other shells expand what is quoted
# shellcheck disable=SC2030,SC2031,SC2317 # each test is a subshell

load helper

setup() {
  scratch=$(mktemp -d)
  chmod 755 "$scratch"
  cd "$scratch" || return
  small_root root
  touch root/etc/os-release
  mkdir -p root/usr
  cp /bin/busybox root/bin/forever
}

teardown() {
  local pid
  for pid in $(pgrep -f 'sleep 4711'); do
    kill -9 "$pid" || true
  done
  if [[ -n ${started-} ]]; then
    kill -9 "$started" 2>/dev/null || true
    wait "$started" 2>/dev/null || true
  fi
  cd /
  rm -rf -- "$scratch"
}

# start COMMAND...: its PID is in $started, that of the sleep in its container,
# its only descendant with that name, in $inside.
start() {
  "$@" >log 2>&1 3>&- </dev/null &
  started=$!
  if ! wait_for found; then
    skip "does not start here: $(tail -n 3 log | tr '\n' ' ')"
  fi
  inside=$(pgrep -f '^(/bin/)?sleep 4711')
}

found() {
  [[ $(pgrep -cf '^(/bin/)?sleep 4711') -eq 1 ]]
}

# namespaces PID: what those are.
namespaces() {
  local name
  for name in cgroup ipc mnt net pid time user uts; do
    readlink "/proc/$1/ns/$name"
  done
}

# shows COMMAND...: starts a command inside, and looks at it from outside.
shows() {
  timeout -k 1 20 "$@" /bin/sleep 4712 >joined 2>&1 3>&- </dev/null &
  local joiner=$! pid
  joined_one() {
    [[ $(pgrep -cf '^/bin/sleep 4712') -eq 1 ]]
  }
  wait_for joined_one || fail "$(cat joined)" || return
  pid=$(pgrep -f '^/bin/sleep 4712')
  namespaces "$pid"
  awk '/^(Uid|Gid):/ {print $1 $3} /^Groups:/ {$1 = ""; print "Groups:" $0}' "/proc/$pid/status"
  kill -9 "$pid"
  wait "$joiner" || true
}

# expect UID GID [GROUP]: the namespaces of $inside, and these ids outside.
expect() {
  namespaces "$inside"
  printf 'Uid:%s\nGid:%s\nGroups:%s\n' "$1" "$2" "${3:+ $3}"
}

# check UID GID: nsjoin into $inside.
check() {
  local now
  now=$(shows seal nsjoin "$inside")
  diff <(echo "$now") <(expect "$1" "$2")
}

@test "bubblewrap, by root and by a user" {
  start bwrap --unshare-all --bind root / --proc /proc --dev /dev sleep 4711
  check 0 0
  check_waiter
  kill -9 "$started" "$inside"
  make_user wrapper
  start setpriv --reuid wrapper --regid wrapper --clear-groups bwrap --unshare-all --bind root / --proc /proc --dev /dev sleep 4711
  check "$(id -u wrapper)" "$(id -g wrapper)"
  # The user cannot drop a group here, nor can anybody inside.
  now=$(shows as_user wrapper seal nsjoin "$inside")
  diff <(echo "$now") <(expect "$(id -u wrapper)" "$(id -g wrapper)" "$(id -g wrapper)")
}

# check_waiter: nsjoin given the process that waits for the container.
check_waiter() {
  diff <(shows seal nsjoin "$started" | head -n 8) <(namespaces "$inside")
}

# bundle PROGRAM: an OCI bundle, whose command is a sleep.
bundle() {
  mkdir bundle
  mv root bundle/rootfs
  (cd bundle && "$1" spec)
  python3 - <<'END'
import json
path = "bundle/config.json"
with open(path) as file:
    config = json.load(file)
config["process"]["terminal"] = False
config["process"]["args"] = ["sleep", "4711"]
config["root"]["readonly"] = False
config["linux"].pop("resources", None)
config["linux"]["namespaces"] = [n for n in config["linux"]["namespaces"] if n["type"] != "cgroup"]
config["mounts"] = [m for m in config["mounts"] if m["type"] != "cgroup"]
with open(path, "w") as file:
    json.dump(config, file)
END
}

@test "crun" {
  bundle crun
  # It wants one hierarchy, or the other.
  start unshare --mount bash -c 'umount -l /sys/fs/cgroup/unified; exec "$@"' bash \
    crun --root "$scratch/state" --cgroup-manager=disabled run -b bundle nsj
  check 0 0
  check_waiter
  # Its limits are taken on.
  try seal nsjoin -a caps "$inside" cat /proc/self/status
  [ "$(grep -E '^(CapBnd|NoNewPrivs)' <<<"$output")" = "$(grep -E '^(CapBnd|NoNewPrivs)' "/proc/$inside/status")" ]
}

@test "runc" {
  bundle runc
  start runc --root "$scratch/state" run -b bundle nsj
  check 0 0
  check_waiter # whichever thread of it has made the container
  try seal nsjoin -a label,caps "$inside" cat /proc/self/status
  [ "$(grep -E '^(CapBnd|NoNewPrivs)' <<<"$output")" = "$(grep -E '^(CapBnd|NoNewPrivs)' "/proc/$inside/status")" ]
  runc --root "$scratch/state" delete -f nsj || true
}

@test "LXC" {
  mkdir lxc
  printf '%s\n' "lxc.rootfs.path = dir:$scratch/root" 'lxc.uts.name = nsj' 'lxc.init.cmd = /bin/sleep 4711' \
    'lxc.net.0.type = empty' 'lxc.mount.auto = proc' 'lxc.pty.max = 4' \
    'lxc.idmap = u 0 300000 65536' 'lxc.idmap = g 0 300000 65536' >conf
  chown -R 300000:300000 root
  make_user root 300000:65536
  start lxc-start -P "$scratch/lxc" -n nsj -f conf -F
  check 300000 300000
  check_waiter
}

@test "systemd-nspawn" {
  start systemd-nspawn -q --register=no --keep-unit --private-users=393216:65536 --private-users-ownership=chown -D root sleep 4711
  check 393216 393216
  check_waiter
}
