#!/usr/bin/env bats
# idmap on other kernels: Debian's own switch for users' namespaces, and what
# older ones do not have.
# shellcheck disable=SC2154 # vm.bash sets suites

load helper
load vm

@test "Debian's unprivileged_userns_clone is named where it forbids, and does not bind root" {
  for suite in "${suites[@]}"; do
    booted "$suite" <<'END'
      echo 'user:x:1000:1000::/:/bin/sh' >/etc/passwd
      [ -e /proc/sys/kernel/unprivileged_userns_clone ] || { echo no switch; exit 0; }
      echo 0 >/proc/sys/kernel/unprivileged_userns_clone
      su user -c 'idmap -u root -g root true' 2>&1 && exit 1
      idmap -u root -g root id -u
      echo 1 >/proc/sys/kernel/unprivileged_userns_clone
      su user -c 'idmap -u root -g root id -u'
END
    [ "$status" -eq 0 ]
    [[ $output != *'no switch'* ]] || continue
    [[ $output == *'idmap: unshare: Operation not permitted'* ]]
    [ "${output##*$'\n'}" = 0 ]
  done
}

@test "all eight namespaces, maps, a time namespace that PROG is in, on each kernel" {
  for suite in "${suites[@]}"; do
    booted "$suite" <<'END'
      readlink /proc/self/ns/time >/outer
      idmap -n all -H box -u 0:100000:65536 -g 0:100000:65536 sh -c '
        echo $$ $(id -u) $(uname -n)
        tr -s " " </proc/self/uid_map'
      # Not from a shell, whose children are in it at any rate.
      idmap -n all readlink /proc/self/ns/time
      idmap -n time,mnt readlink /proc/self/ns/time
      sh -c 'idmap -n pid sh -c "sleep 1000" & sleep 1; kill $!; wait $!; echo $?' 2>/dev/null
      cat /outer
END
    [ "$status" -eq 0 ]
    mapfile -t lines <<<"$output"
    [ "${lines[0]}" = '1 0 box' ]
    [ "${lines[1]}" = ' 0 100000 65536' ]
    [[ ${lines[2]} == time:* && ${lines[3]} == time:* ]]
    [ "${lines[4]}" = 143 ]
    [[ ${lines[5]} == time:* ]]
    [ "${lines[2]}" != "${lines[5]}" ]
    [ "${lines[3]}" != "${lines[5]}" ]
  done
}

@test "in an initramfs, whose root is not a mount that can be left, namespaces are made" {
  booted bookworm <<'END'
    idmap -n all -u root -g root sh -c 'echo $$'
END
  [ "$status" -eq 0 ]
  [ "$output" = 1 ]
}
