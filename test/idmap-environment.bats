#!/usr/bin/env bats
# idmap -e: the environment that PROG gets, and where PROG is looked for.
# shellcheck disable=SC2016,SC2154 # scripts of a shell inside; helper.bash sets it

load helper
load idmap

# prog_in DIR: a program "prog" there, that prints DIR.
prog_in() {
  mkdir -p "$here/$1"
  printf '#!/bin/sh\necho %s\n' "$1" >"$here/$1/prog"
  chmod 755 "$here/$1/prog"
}

@test "with -e the environment is these variables and nothing else" {
  local arguments
  for arguments in '-u all -g all' '-u all -g all -n pid' '-K -n mnt' '-K -n uts -O true'; do
    # shellcheck disable=SC2086
    try env SECRET=1 A=outside idmap $arguments -e A=1 -e 'B=two words' -e C= -e D=x=y /usr/bin/env
    [ "$status" -eq 0 ]
    [ "$output" = $'A=1\nB=two words\nC=\nD=x=y' ] || fail "$arguments: $output"
    # Without -e it is the caller's.
    # shellcheck disable=SC2086
    try env -i SECRET=1 "$(command -v idmap)" $arguments /usr/bin/env
    [ "$output" = SECRET=1 ]
  done
}

@test "PROG is looked for in the PATH that it gets, as env(1) does" {
  prog_in one
  prog_in two
  for tool in "idmap -K -n uts -e PATH=$here/two" "env -i PATH=$here/two"; do
    # shellcheck disable=SC2086
    try env PATH="$here/one:$PATH" $tool prog
    [ "$status" -eq 0 ]
    [ "$output" = two ] || fail "$tool: $output"
    # shellcheck disable=SC2086
    try env PATH="$here/one:$PATH" $tool sh
    [ "$status" -eq 127 ] || fail "$tool: $status"
  done
  # Without one, the caller's does not count, but the system's own places do.
  try env PATH="$here/one:$PATH" idmap -K -n uts -e A=1 prog
  [ "$status" -eq 127 ]
  try idmap -K -n uts -e A=1 sh -c 'echo "$A"'
  [ "$output" = 1 ]
}

@test "what is no NAME=VALUE is refused before anything is made" {
  local word
  for word in '' A =x =; do
    makes_nothing idmap -K -n uts -e "$word" true
    [ "$status" -eq 64 ] || fail "-e '$word': $status"
  done
  makes_nothing idmap -e
  [ "$status" -eq 64 ]
}

@test "-e may be given as often as there is room for" {
  mapfile -t most < <(printf -- '-eA%s=\n' {1..5000})
  [ "$(idmap -K -n uts "${most[@]}" /usr/bin/env | wc -l)" -eq 5000 ]
}

@test "the commands outside keep the caller's environment" {
  try env MARK=mine idmap -n pid -e MARK=inside -e A=1 -o 'echo "$MARK $A"' -O 'echo "$MARK $A"' \
    /bin/sh -c 'echo "$MARK $A"'
  [ "$status" -eq 0 ]
  [ "$output" = $'mine \ninside 1\nmine ' ]
}
