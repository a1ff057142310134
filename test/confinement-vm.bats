#!/usr/bin/env bats
# nsjoin -a label, on kernels that have labels.
# shellcheck disable=SC2154 # bats sets status and output

load helper
load vm

# The tools are there already when vm.bash adds its own.
setup() {
  root=$BATS_TEST_TMPDIR/root
  small_root "$root"
}

@test "the AppArmor profile of the target is taken on with -a label, and not without" {
  command -v apparmor_parser >/dev/null || skip "no apparmor_parser, of Debian's apparmor"
  cat >"$BATS_TEST_TMPDIR/box" <<'END'
profile box flags=(attach_disconnected,mediate_deleted) {
  file,
  capability,
  mount,
  umount,
  pivot_root,
  ptrace,
  signal,
  network,
  unix,
  change_profile,
  deny /secret r,
}
END
  apparmor_parser -S -Q -K --policy-features=/etc/apparmor.d/abi/3.0 "$BATS_TEST_TMPDIR/box" >"$root/profile"
  echo secret >"$root/secret"
  for suite in "${suites[@]}"; do
    vm_append='security=apparmor apparmor=1' booted "$suite" "$root" <<'END'
      mount -t securityfs securityfs /sys/kernel/security
      cat /profile >/sys/kernel/security/apparmor/.load
      idmap -K -n mnt,pid sh -c '
        echo changeprofile box >/proc/self/attr/current; exec sleep 1000' &
      until grep -qs box /proc/*/attr/current; do sleep 0.1; done
      seal nsjoin $! cat /proc/self/attr/current /secret
      seal nsjoin -a label $! cat /proc/self/attr/current
      seal nsjoin -a all $! sh -c 'cat /proc/self/attr/current; cat /secret' || echo $?
END
    [ "$status" -eq 0 ]
    [ "$(grep -v '^\[' <<<"$output")" = "unconfined
secret
box (enforce)
box (enforce)
cat: can't open '/secret': Permission denied
1" ]
  done
}

@test "the SELinux context of the target is taken on with -a label, and not without" {
  command -v secilc >/dev/null || skip "no secilc"
  cat >"$BATS_TEST_TMPDIR/policy.cil" <<'END'
(handleunknown allow)
(sid kernel)
(sid security)
(sid unlabeled)
(sid file)
(sid init)
(sidorder (kernel security unlabeled file init))
(classorder (process file))
(class process (fork transition dyntransition sigchld setexec setcurrent getattr))
(class file (read write execute entrypoint))
(user u)
(role r)
(type host)
(type box)
(roletype r host)
(roletype r box)
(userrole u r)
(sensitivity s0)
(sensitivityorder (s0))
(category c0)
(categoryorder (c0))
(sensitivitycategory s0 (c0))
(userlevel u (s0))
(userrange u ((s0) (s0 (c0))))
(sidcontext kernel (u r host ((s0) (s0))))
(sidcontext security (u r host ((s0) (s0))))
(sidcontext unlabeled (u r host ((s0) (s0))))
(sidcontext file (u r host ((s0) (s0))))
(sidcontext init (u r host ((s0) (s0))))
(allow host host (process (fork transition sigchld setexec getattr)))
(allow host box (process (transition)))
(allow box host (file (read execute entrypoint)))
END
  secilc -M true -c 30 -o "$root/policy" -f /dev/null "$BATS_TEST_TMPDIR/policy.cil"
  for suite in "${suites[@]}"; do
    vm_append='security=selinux selinux=1 enforcing=0' booted "$suite" "$root" <<'END'
      mount -t selinuxfs selinuxfs /sys/fs/selinux
      cat /policy >/sys/fs/selinux/load
      idmap -K -n mnt,pid sh -c '
        echo -n u:r:box:s0 >/proc/self/attr/current; exec sleep 1000' &
      until grep -qs box /proc/*/attr/current; do sleep 0.1; done
      seal nsjoin $! cat /proc/self/attr/current
      echo
      seal nsjoin -a label $! cat /proc/self/attr/current
      echo
END
    [ "$status" -eq 0 ]
    run tr -d '\0' <<<"$output"
    [[ $output == u:r:host:s0*$'\n'u:r:box:s0* ]]
  done
}
