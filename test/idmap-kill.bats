#!/usr/bin/env bats
# idmap is killed after each of its system calls: nothing of the container may
# outlive it, and a container that is killed is told of.
# shellcheck disable=SC2016 # scripts of a shell inside

load helper

setup() {
  here=$BATS_TEST_TMPDIR
  cp -p /etc/subuid /etc/subgid "$here"
  make_user alice 100000:65536
}

teardown() {
  cp -p "$here"/subuid "$here"/subgid /etc
}

# no_more MARK: that all processes with MARK on their command line are gone.
no_more() {
  ! pgrep -f "$1" >/dev/null
}

# calls_in LOG: each call of an strace LOG as NAME:when=N, for the Nth of that
# name, which is how strace counts; without the exec that starts it all.
calls_in() {
  sed -n '/ERESTART/d; s/^\([a-z0-9_]*\)(.*/\1/p' "$1" | awk '{print $1 ":when=" ++n[$1]}' | sed 1d
}

# killed_at_each USER MARK ARG...: idmap with ARGs, killed on the entry to each of
# its system calls, up to the one that waits for PROG, and then while it waits.
killed_at_each() {
  local user=$1 mark=$2 call pid
  strace -qq -o "$here/log" -u "$user" -- idmap "${@:3}" true
  sed -i '/WNOHANG/q' "$here/log"
  [ "$(calls_in "$here/log" | wc -l)" -gt 30 ]
  for call in $(calls_in "$here/log"); do
    # What is left would hold a pipe open for ever.
    status=0
    timeout -k 1 20 strace -qq -o /dev/null -u "$user" \
      -e "inject=${call/:/:signal=KILL:}" -- idmap "${@:3}" sleep "$mark" \
      >/dev/null 2>&1 3>&- || status=$?
    [ "$status" -eq 137 ] || fail "not killed at $call"
    wait_for no_more "$mark" || fail "killed at $call, and left: $(pgrep -af "$mark")"
  done
  as_user "$user" idmap "${@:3}" sleep "$mark" 3>&- &
  pid=$!
  wait_for pgrep -f "^sleep $mark\$"
  kill -KILL "$pid"
  wait_for no_more "$mark"
}

@test "killed at any system call, idmap leaves nothing of a container of root" {
  # The control: what plain unshare waits for outlives it.
  unshare --pid --fork sleep 8100.25 3>&- &
  wait_for pgrep -f '^sleep 8100.25$'
  kill -KILL "$!"
  wait "$!" || true
  pgrep -f '^sleep 8100.25$'
  pkill -KILL -f '^sleep 8100.25$'

  killed_at_each root 8101.25 -n all
}

@test "killed at any system call, idmap leaves nothing of a user's container" {
  killed_at_each alice 8102.25 -n all -u root -g root
}

@test "killed at any system call, idmap leaves nothing of a user's container with delegated ids" {
  killed_at_each alice 8103.25 -n pid,mnt
}

@test "killed at any system call, idmap leaves nothing of what -O waits for" {
  killed_at_each root 8104.25 -O true -o true
}

@test "without a PID namespace, idmap killed at any system call leaves no helper behind" {
  for arguments in '-u root -g root' '' '-n mnt -o true'; do
    for user in root alice; do
      # shellcheck disable=SC2086
      strace -qq -o "$here/log" -u "$user" -- idmap $arguments true
      sed -i '1!{/^execve/q}' "$here/log"
      [ "$(calls_in "$here/log" | wc -l)" -gt 20 ]
      for call in $(calls_in "$here/log"); do
        # shellcheck disable=SC2086
        try timeout -k 1 20 strace -qq -o /dev/null -u "$user" \
          -e "inject=${call/:/:signal=KILL:}" -- idmap $arguments true 8105.25
        [ "$status" -eq 137 ] || fail "not killed at $call"
        wait_for no_more 8105.25 || fail "killed at $call, and left: $(pgrep -af 8105.25)"
      done
    done
  done
}

@test "a container killed at any of its own system calls is told of, and PROG runs whole or not" {
  cat >"$here/prog" <<'END'
#!/bin/sh
[ $$ -eq 1 ] && [ "$(id -u)" -eq 0 ] && grep -q 1879048192 /proc/self/uid_map &&
  [ "$(uname -n)" = box ] && ip link show lo | grep -q UP && echo whole
END
  chmod 755 "$here/prog" "$here" "${here%/*}" "${here%/*/*}"
  strace -f -qq -o "$here/both" -- idmap -n all -H box "$here/prog"
  child=$(awk '/CLONE_NEWUSER/ {caller = $1} $1 == caller && /clone/ && $NF ~ /^[0-9]+$/ {print $NF; exit}' "$here/both")
  [ "$child" -gt 1 ]
  for call in read unshare setns setresgid setresuid mount socket ioctl sethostname \
    keyctl rt_sigaction rt_sigprocmask prctl ppoll; do
    for ((when = 1; when < 5; when++)); do
      # Whichever of the two comes to it.
      try timeout -k 1 20 strace -f -qq -o /dev/null \
        -e "inject=$call:signal=KILL:when=$when" -- idmap -n all -H box "$here/prog"
      if [ "$status" -eq 0 ]; then
        [ "$output" = whole ]
      else
        [ "$status" -eq 137 ] || [ "$status" -eq 1 ]
      fi
      wait_for no_more "$here/prog"
    done
  done
}
