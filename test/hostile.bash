# hostile.bash: a DIR, a victim outside of it, and a program that looks for that.
# shellcheck shell=bash
# shellcheck disable=SC2016,SC2034,SC2086,SC2154 # scripts of other shells; the
# tests use what is set here; options are words; bats sets status and output

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
