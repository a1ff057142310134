# helper.bash: what the tests share.
# shellcheck disable=SC2034 # status, output and lines are for the tests

top=$(cd "$BATS_TEST_DIRNAME/.." && pwd)
PATH=$top/pivot:$top/seal:$top/nsjoin:$top/idmap:$top/safemount:$top/scripts:$top/test:$PATH

# try COMMAND...: as bats' run, but nothing may hang, 127 is a status like any
# other, and a failed test shows what was run and what came of it. COMMAND has
# no descriptors but 0 to 2.
try() {
  local limit=(timeout -k 5 "${TRY_SECONDS:-60}")
  if declare -F "$1" >/dev/null; then
    export -f "${1?}"
    # shellcheck disable=SC2016 # the inner shell expands it
    limit+=(bash -c '"$@"' bash)
  fi
  status=0
  output=$("${limit[@]}" "$@" 2>&1 3>&- 4>&-) || status=$?
  mapfile -t lines <<<"$output"
  printf '$ %s\n%s\n[%s]\n' "$*" "$output" "$status"
}

# alone [ARG]... <<END: a bash script on standard input, in a mount namespace of
# its own, its output and status as those of run.
alone() {
  local script
  script=$(cat)
  try unshare --mount --propagation private bash -eu -c "$script" alone "$@"
}

# alone_shared: the same, with mounts that are shared with another namespace, that
# of $PPID: what must not propagate has somewhere to propagate to.
alone_shared() {
  local script
  script=$(cat)
  try unshare --mount --propagation private bash -eu -c '
    mount --make-rshared /
    unshare --mount --propagation unchanged bash -eu -c "$@"
    exit' alone "$script" alone "$@"
}

# small_root DIR: a root with a static shell, and nothing of the host.
small_root() {
  local applet
  mkdir -p "$1"/{bin,dev,etc,proc,run,sys,tmp}
  cp /bin/busybox "$1/bin/busybox"
  for applet in sh cat echo env id ip ls mkdir mount ps readlink sleep stat touch true umount; do
    ln -sf busybox "$1/bin/$applet"
  done
}

# give_to_container DIR: its owner is an id of those that contain of root's gives
# to a container whose DIR has such an owner.
give_to_container() {
  chown -hR 1900019712:1900019712 "$1"
}

# make_user NAME [FIRST:COUNT]...: a user, with ranges of delegated ids. Inside
# test/run /etc is an overlay, so the machine's own users are not touched.
make_user() {
  local name=$1 range
  getent passwd "$name" >/dev/null || useradd --no-create-home --shell /bin/bash "$name"
  sed -i "/^$name:/d" /etc/subuid /etc/subgid
  for range in "${@:2}"; do
    echo "$name:$range" | tee -a /etc/subuid >>/etc/subgid
  done
}

# either CALL[,CALL]...: these system calls for strace, also as they are called on
# 32-bit machines where ids, sizes or times once had fewer bits.
either() {
  local name list=
  for name in ${1//,/ }; do
    list+=",$name,?${name}32,?${name}64,?${name}_time64"
  done
  echo "${list#,}"
}
export -f either

# is_32bit TOOL: the kernel has other numbers for the system calls of such a tool.
is_32bit() {
  [[ $(od -An -tu1 -j4 -N1 "$top/$1/$1") -eq 1 ]]
}

# refuse CALL[:error=ERRNO][:when=N] COMMAND...: COMMAND, to which that system
# call fails (ENOSYS by default), as on an older kernel or behind a filter.
# Several are joined with a slash: openat2:error=EPERM/statx.
refuse() {
  local rules=() rule
  for rule in ${1//\// }; do
    [[ $rule == *:error=* ]] || rule=$rule:error=ENOSYS
    rules+=(-e "inject=$(either "${rule%%:*}"):${rule#*:}")
  done
  strace -f -qq -o /dev/null "${rules[@]}" -- "${@:2}"
}

# calls_of COMMAND...: the names of the system calls that its process makes
# between its start and its exec, in order; what libc does to start aside.
calls_of() {
  local log=$BATS_TEST_TMPDIR/calls
  strace -qq -o "$log" -- "$@" >/dev/null 2>&1 || true
  sed -n '2,/^exec/s/(.*//p' "$log" | grep -vxE 'arch_prctl|set_tid_address|exec.*'
}

# fail MESSAGE...: for a check that is no command.
fail() {
  printf '%s\n' "$@" >&2
  return 1
}

# debian_tar minbase|systemd|runit: the path of a Debian tree, which mmdebstrap
# makes once, in a tar. Its devices are left out: a user cannot make them.
debian_tar() {
  local tar=$top/test/cache/$1.tar options=(--variant=minbase)
  mkdir -p "${tar%/*}"
  case $1 in
    systemd) options=(--variant=apt "--include=systemd,systemd-sysv,dbus,libpam-systemd,login,passwd,procps,iproute2,socat") ;;
    runit) options=(--variant=essential --include=runit-init) ;;
  esac
  if [[ ! -e $tar ]]; then
    mmdebstrap --quiet "${options[@]}" bookworm "${tar%.tar}.new" >&2
    tar --exclude='./dev/?*' --xattrs --numeric-owner -C "${tar%.tar}.new" -cf "$tar.new" .
    rm -r "${tar%.tar}.new"
    mv "$tar.new" "$tar"
  fi
  echo "$tar"
}

# wait_for COMMAND...: until it succeeds, for at most a minute.
wait_for() {
  local tries=0
  until "$@" >/dev/null 2>&1; do
    if ((++tries > 600)); then
      fail "never came true: $*"
      return
    fi
    sleep 0.1
  done
}
