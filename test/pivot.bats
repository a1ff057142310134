#!/usr/bin/env bats
# pivot: the new root, and what is left of the old one.

load helper

setup() {
  root=$BATS_TEST_TMPDIR/root
  small_root "$root"
}

@test "pivot makes a mount point the root" {
  alone "$root" <<'END'
    mount --bind "$1" "$1"
    pivot "$1" sh -c 'mount -t proc proc /proc; cat /proc/self/mountinfo; ls /'
END
  [ "$status" -eq 0 ]
  [ "$(grep -c ' - ' <<<"$output")" -eq 2 ]
  [[ $output != *vmlinuz* ]]
}

@test "pivot makes a plain directory the root, and leaks no mount into a peer namespace" {
  alone_shared "$root" <<'END'
    before=$(</proc/$PPID/mountinfo)
    exec {peer}</proc/$PPID/mountinfo
    pivot "$1" sh -c 'ls /'
    mapfile -t after <&"$peer"
    [ "$before" = "$(printf '%s\n' "${after[@]}")" ]
END
  [ "$status" -eq 0 ]
  [[ $output == *bin* && $output != *vmlinuz* ]]
}
