#!/usr/bin/env bats
# sweep: each system call of each tool fails once, and PROG runs after none of
# the failures unless it sees all that the step was to do.
# shellcheck disable=SC2016,SC2154,SC2317 # another shell expands and calls it

load helper

setup_file() {
  cd "$BATS_FILE_TMPDIR" || return
  gcc -std=c11 -O1 -o refuse "$BATS_TEST_DIRNAME/refuse.c"
  gcc -std=c11 -O1 -static -o witness "$BATS_TEST_DIRNAME/witness.c"
  # Their names, by number; a 32-bit tool's are others.
  local width=()
  ! is_32bit idmap || width=(-m32)
  echo '#include <asm/unistd.h>' | gcc "${width[@]}" -E -dM - |
    sed -n 's/^#define __NR_\([a-z0-9_]*\) \([0-9]*\)$/names[\2]=\1/p' >names
}

setup() {
  cp -p /etc/subuid /etc/subgid "$BATS_TEST_TMPDIR"
}

teardown() {
  cp -p "$BATS_TEST_TMPDIR"/sub[ug]id /etc
}

# is_allowed: whether the run is right all the same.
is_allowed() {
  case $tool:${names[call]-$call} in
    # musl's start code traps if it cannot set the thread pointer.
    *:arch_prctl | *:set_thread_area) [[ $code -eq 139 && -z $out ]] ;;
    # The step was whole, but the waiting failed, and that is told.
    *:waitid | *:wait4 | *:ppoll | *:poll | *:read)
      [[ $out == "$whole" && $code -eq 125 && $err == *": "* ]] ;;
    # nsjoin: a target's directory that it cannot enter is replaced by "/".
    *nsjoin*:fchdir | *nsjoin*:getcwd)
      [[ ${out/ in \/ on/} == "${whole/ in $PWD on/}" && $code -eq 7 ]] ;;
    *) false ;;
  esac
}

# look: the processes and mounts that there are, in $alive and $mounted.
look() {
  local processes=(/proc/[0-9]*)
  alive=${processes[*]}
  read -rd '' mounted </proc/self/mountinfo || true
}

# one_more N ERROR COMMAND...: a run in which the Nth call fails. What came of
# it is in $code, $call, $out, $err, $alive and $mounted.
one_more() {
  local tries=0
  code=0
  "$made/refuse" "$made/call" "$@" >"$made/out" 2>"$made/err" </dev/null || code=$?
  # The last processes of a PID namespace may take a moment to end.
  until look && [[ $alive == "$alive_before" ]] || ((++tries > 100)); do
    sleep 0.01
  done
  read -r call <"$made/call" || call="no call"
  read -rd '' out <"$made/out" || true
  read -rd '' err <"$made/err" || true
}

# judge: what is wrong with that run, in $wrong.
judge() {
  wrong=
  if [[ ($code -ne 7 || $out != "$whole") && (-n $out || $code -lt 125 || $code -gt 127 ||
    ! $err =~ (^|$'\n')$tool": ") ]] && ! is_allowed; then
    wrong="status $code, '$err' $(diff <(echo "$whole") <(echo "$out") || true)"
  fi
  # What safemount mounted stays, though it cannot execute PROG.
  if [[ $code -eq 7 || ${names[call]-} == @(execve|prlimit64) ]]; then
    $undo 2>/dev/null || true
    look
  fi
  if [[ $alive != "$alive_before" || $mounted != "$mounted_before" ]]; then
    wrong+=" left behind: $alive $(diff <(echo "$mounted_before") <(echo "$mounted") || true)"
  fi
}

# sweep TOOL COMMAND...: COMMAND, which becomes TOOL, with each call refused. Then
# either PROG, which is witness, prints all that it prints if nothing fails, or
# it prints nothing, and TOOL tells why; and nothing is left of the step. $undo
# takes back what the step is there to do.
sweep() {
  local tool=$1 n error wrong
  local code call='' out err whole alive mounted runs=0 failed=0
  local alive_before mounted_before
  shift
  # shellcheck source=/dev/null
  source "$made/names"
  look
  alive_before=$alive mounted_before=$mounted
  one_more 100000 EPERM "$@"
  whole=$out
  [[ $code -eq 7 && $call == none ]] || fail "$*: $code $err"
  $undo
  for ((n = 1; ; n++)); do
    for error in EPERM ENOSYS ENOMEM EINTR EMFILE; do
      one_more "$n" "$error" "$@"
      [[ $call != none ]] || break 2
      runs=$((runs + 1))
      judge
      if [[ -n $wrong ]]; then
        echo "$n ${names[call]-$call} $error: $wrong"
        failed=$((failed + 1))
      fi
    done
  done
  $undo
  echo "$tool: $((n - 1)) calls, $runs runs, $failed wrong"
  bad=$((bad + failed))
}

# sweeps <<END: a script that sweeps, in namespaces of its own, with a key and an
# open directory that no PROG in a container should have.
sweeps() {
  local script
  script=$(cat)
  export made=$BATS_FILE_TMPDIR undo='' SECRET=mine
  export -f fail is_allowed one_more look judge sweep
  cd "$BATS_TEST_TMPDIR" || return
  TRY_SECONDS=300 try keyctl session - unshare --mount --propagation private --pid --fork \
    --mount-proc bash -eu -c '
      keyctl add user sweep mine @s >/dev/null
      exec 9</
      bad=0
      known=$(echo $(readlink /proc/self/ns/*))
      '"$script"'
      exit $((bad > 0))'
  grep ' calls, ' <<<"$output" | sed 's/^/# /' >&3
  [ "$status" -eq 0 ]
}

@test "pivot" {
  sweeps <<'END'
    mkdir root bound
    mkdir root/proc
    cp "$made/witness" root
    mount --bind root bound
    # What it fails to cut off is seen here.
    mount --make-rshared /
    sweep pivot unshare -m --propagation unchanged pivot root /witness "$known"
    sweep pivot unshare -m --propagation unchanged pivot / "$made/witness" "$known"
    sweep pivot unshare -m --propagation unchanged pivot bound /witness "$known"
END
}

@test "seal" {
  sweeps <<'END'
    cp "$made/witness" big
    truncate -s 3M big
    sweep seal seal "$made/witness" "$known" a ""
    sweep seal seal ./big "$known"
    sweep seal seal -a name "$made/witness" "$known"
END
}

@test "safemount" {
  sweeps <<'END'
    mkdir root root/dir source
    cp "$made/witness" source
    undo="umount root/dir"
    sweep safemount safemount -r root -o bind,ro "$PWD/source" dir "$made/witness" "$known"
    sweep safemount safemount -r root -t tmpfs -o idmap=0:100000:65536,mode=755 tmpfs dir \
      "$made/witness" "$known"
    undo=
    printf "%s\n" "tmpfs / tmpfs mode=755" "$PWD/source a/b none bind,ro,nosuid,create=dir" \
      "$PWD/source/witness c/file none bind,create=file" "none d/e dir mode=1777" \
      "a/b d/link symlink" >table
    sweep safemount unshare -m safemount -r root -f table "$made/witness" "$known" \
      root/d/e root/d/link
END
}

@test "idmap" {
  make_user sweeper 100000:65536
  chmod 755 "$BATS_RUN_TMPDIR" "$BATS_FILE_TMPDIR/.." "$BATS_FILE_TMPDIR"
  sweeps <<'END'
    sweep idmap setpriv --groups 4,5 idmap -u root -g root "$made/witness" "$known"
    sweep idmap idmap -n all "$made/witness" "$known"
    sweep idmap as_user sweeper idmap "$made/witness" "$known"
END
}

@test "nsjoin" {
  sweeps <<'END'
    touch net
    idmap -K -n net mount --bind /proc/self/ns/net net
    coproc exec idmap -n all sh -c "echo ready; exec sleep 1000"
    read -ru "${COPROC[0]}"
    inside=$(pgrep -P "$COPROC_PID")
    known+=" $(echo $(readlink /proc/"$inside"/ns/*))"
    sweep nsjoin nsjoin -x "$inside" "$made/witness" "$known"
    sweep nsjoin nsjoin ./net "$made/witness" "$known"
    sweep "(seal|nsjoin)" seal nsjoin "$COPROC_PID" "$made/witness" "$known"
    kill "$COPROC_PID"
END
}
