#!/usr/bin/env bash
# new_root.bash: what the tests of pivot share: a small root, and a look at it.
# shellcheck disable=SC2154 # helper.bash sets status and output

setup() {
  root=$BATS_TEST_TMPDIR/root
  outside=$BATS_TEST_TMPDIR/outside # of the new root: what nobody in it may see
  small_root "$root"
  mkdir "$outside"
  echo secret >"$outside/secret"
  echo marker >"$root/marker"

  # In the new root: what is / now, and what is mounted.
  cat >"$root/bin/look" <<'END'
#!/bin/sh
cat /marker
[ -e /proc/self ] || mount -t proc proc /proc
while read -r id parent device top point rest; do echo "$point"; done </proc/self/mountinfo
END
  chmod +x "$root/bin/look"
}

# becomes_root NEW-ROOT MOUNTS <<END: after the setup that is read, NEW-ROOT ($2
# to it; $1 is a small root) becomes the root, with MOUNTS mounted in it and
# nothing else, and the namespace that our mounts are shared with is as before.
becomes_root() {
  local setup
  setup=$(cat)
  alone_shared "$root" "$1" <<END
    $setup
    before=\$(</proc/\$PPID/mountinfo)
    exec {peer}</proc/\$PPID/mountinfo
    \${in-} pivot "\$2" /bin/look
    mapfile -t after <&"\$peer"
    [ "\$before" = "\$(printf '%s\n' "\${after[@]}")" ]
END
  [ "$status" -eq 0 ]
  # shellcheck disable=SC2086 # one word a mount
  [ "$output" = "$(printf '%s\n' marker / $2)" ]
}

# What may be at $1/proc: at first, what shows a process itself.
# shellcheck disable=SC2016,SC2034 # the inner shell expands it
procs=(
  'mount -t proc proc "$1/proc"'
  'mount -t proc -o hidepid=2 proc "$1/proc"'
  'mount -t proc -o subset=pid proc "$1/proc"'
  'mount --bind /proc/1 "$1/proc"'
  'mount --bind "/proc/$$" "$1/proc"'
  'mount --bind /proc/sys "$1/proc"'
  'unshare --pid --fork mount -t proc proc "$1/proc"' # it has ended since
  'mount -t tmpfs tmpfs "$1/proc"'
)
