#!/usr/bin/env bash
# idmap.bash: what the tests of idmap share: /etc/subuid and /etc/subgid of their
# own, and a look at what idmap did.
# shellcheck disable=SC2154 # helper.bash sets status and output

setup() {
  here=$BATS_TEST_TMPDIR
  export here
  cp -p /etc/subuid /etc/subgid "$here"
  : | tee /etc/subuid >/etc/subgid
}

teardown() {
  cp -p "$here"/subuid "$here"/subgid /etc
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
