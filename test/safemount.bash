#!/usr/bin/env bash
# safemount.bash: what the tests of safemount share.
# shellcheck disable=SC2154 # bats sets BATS_TEST_TMPDIR

setup() {
  here=$BATS_TEST_TMPDIR
  root=$here/root
  mkdir -p "$root"/{dir/sub,proc,dev,sys} "$here"/{source,victim/sub}
  touch "$here"/{source/mark,victim/kept,file} "$root/file"
  export -f fail wait_for refuse mounts fields_of
  export here root
}

# mounts: how many there are.
mounts() {
  local lines
  mapfile -t lines </proc/self/mountinfo
  echo ${#lines[@]}
}

# fields_of PATH: the flags of the mount on PATH, and behind a dash those of its
# file system, as the kernel has them; of the last one if there are several.
fields_of() {
  awk -v path="$(realpath -- "$1")" '$5 == path {
    line = $6; for (i = 7; $i != "-"; i++) line = line " " $i
    found = line " - " $(i + 1) " " $(i + 3) } END { print found }' /proc/self/mountinfo
}
