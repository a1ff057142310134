#!/usr/bin/env bats
# nsteps.7: what its lessons show is what happens.
#
# A transcript is a literal block that begins with "# COMMAND", which root types,
# or "$ COMMAND", which a user types. A line after a backslash, and a
# here-document, go on with the command before them. All other lines are the whole
# output of the command before them. Two kinds of figures differ from machine to
# machine: 47xx is a PID, and 4026xxxxxx is a namespace. Within a lesson, one such
# figure stands for one number, and two figures for two. /home/user is the working
# directory, and the tools are in /usr/local/bin.
#
# All transcripts of a lesson are typed into one shell of root's, and after that
# those of its answers into another. Lines of the user that follow each other are
# typed into a shell of the user's. The shells have a terminal and a machine: a
# host name, network interfaces, shared mounts, and a user with the id 1000.
#
# shellcheck disable=SC2016,SC2028,SC2154 # other shells expand what is quoted,
# and helper.bash sets top
# shellcheck disable=SC2128,SC2178 # $shown and $came of one command are strings

load helper

page=$top/scripts/nsteps.7

setup() {
  place=$BATS_TEST_TMPDIR
  chmod 755 "$BATS_RUN_TMPDIR" "$BATS_RUN_TMPDIR/test" "$place"
  sed -i '/:1000:/d' /etc/passwd /etc/group
  useradd --no-create-home --uid 1000 --shell /bin/bash reader
  make_user reader 100000:65536
}

# transcripts REGEX: those of the section, or subsection, of the page with that
# heading, without the escapes of mdoc.
transcripts() {
  awk -v heading="^[.]S[hs] $1" '
    /^[.]Sh / || $1 == kind { here = 0 }
    $0 ~ heading { here = 1; kind = $1 }
    /^[.]Ed/ { shown = 0 }
    begins { shown = /^[#$] /; begins = 0 }
    here && shown { print }
    /^[.]Bd -literal/ { begins = 1 }
  ' "$page" | sed 's/^\\&//; s/\\e/\\/g'
}

# read_transcripts: each command that is read is in $commands, with its prompt,
# and what it shows is in $shown.
read_transcripts() {
  local line end=''
  commands=() shown=()
  while IFS= read -r line; do
    if [[ -n $end ]]; then
      commands[-1]+=$'\n'$line
      [[ $line != "$end" ]] || end=
    elif [[ $line == [\#\$]\ * ]]; then
      commands+=("$line")
      shown+=('')
      [[ ! $line =~ '<<'\'?([A-Z]+) ]] || end=${BASH_REMATCH[1]}
    elif [[ ${commands[-1]} == *\\ ]]; then
      commands[-1]+=$'\n'$line
    else
      shown[-1]+=${shown[-1]:+$'\n'}$line
    fi
  done
}

# sleeps_below PID: whether the last process below that one is a sleep.
sleeps_below() {
  local pid=$1 child
  while child=$(pgrep -P "$pid" | tail -n 1) && [[ -n $child ]]; do
    pid=$child
  done
  [[ $(<"/proc/$pid/comm") == sleep ]]
}

# machine: becomes the terminal in which root's shell runs.
machine() {
  hostname host
  ip link set lo up
  ip link add eth0 type veth peer name eth1
  mount -t sysfs sysfs /sys
  mount -t cgroup2 cgroup2 /sys/fs/cgroup
  mount --make-rshared /
  cd "$1/lessons" && exec setpriv --groups 0 script -qec 'bash -m ../root' /dev/null
}

# type_in: types $commands. What each of them shows is in $came, which begins
# with what came before the first. A command in the background ends in a sleep:
# nothing is typed before that sleeps.
type_in() {
  local i file line keys functions
  rm -rf "$place"/{lessons,keys,root,user-*}
  mkdir -m 777 "$place/lessons"
  functions=$(declare -f fail wait_for sleeps_below)
  echo "$functions" >"$place/root"
  for i in "${!commands[@]}"; do
    if [[ ${commands[i]} == '# '* ]]; then
      file=$place/root
    elif [[ $i -eq 0 || ${commands[i - 1]} == '# '* ]]; then
      file=$place/user-$i
      echo "$functions" >"$file"
      echo "as_user reader bash -m ../user-$i" >>"$place/root"
    fi
    line=${commands[i]:2}
    echo "printf '\036'; eval ${line@Q}" >>"$file"
    [[ ${commands[i]} != *' &' ]] || echo 'wait_for sleeps_below $!' >>"$file"
  done
  echo "printf '\036'" >>"$place/root"
  mkfifo "$place/keys" # the end of the keys would be typed as Ctrl-D
  exec {keys}<>"$place/keys"
  export -f machine
  mapfile -d $'\036' -t came < <(
    timeout -k 5 60 unshare --mount --pid --fork --kill-child --mount-proc --net --uts \
      --propagation private bash -c 'machine "$1"' machine "$place" <&"$keys" 3>&- 4>&- 2>&1
  )
  exec {keys}>&-
}

# is_same CAME SHOWN: whether one is the other, but for the figures that differ.
# $means has the number that a figure stands for, and the figure of a number.
is_same() {
  local came=$1 shown=$2 figure number
  while [[ $shown =~ ^([^0-9]*)([0-9]+)(.*)$ ]]; do
    [[ $came == "${BASH_REMATCH[1]}"* ]] || return
    came=${came:${#BASH_REMATCH[1]}}
    figure=${BASH_REMATCH[2]} shown=${BASH_REMATCH[3]}
    number=${came%%[!0-9]*}
    came=${came#"$number"}
    if [[ $figure == 47?? || $figure == 4026?????? ]]; then
      [[ -n $number && ${means[$figure]-$number} == "$number" &&
        ${means[of $number]-$figure} == "$figure" ]] || return
      means[$figure]=$number means[of $number]=$figure
    else
      [[ $number == "$figure" ]] || return
    fi
  done
  [[ $came == "$shown" ]]
}

# replay: types the transcripts that are read, after that of the box. Fails unless
# each command shows what is shown there. A shell's lines about its jobs are not.
replay() {
  local -A means=()
  local commands shown came text i
  read_transcripts < <(transcripts 'THE BOX$' && cat)
  type_in
  for i in "${!commands[@]}"; do
    text=$(tr -d '\r' <<<"${came[i + 1]-not typed}" |
      sed -E '/^\[[0-9]+\][+-] /d; s/\t/ /g; s/ *$//
        s|'"$place"'/lessons|/home/user|g; s|[^ "]*/(idmap\|safemount\|pivot)/\1|/usr/local/bin/\1|g')
    is_same "$text" "${shown[i]}" ||
      fail "${commands[i]}" "--- shown:" "${shown[i]}" "--- came out:" "$text" || return
  done
}

# lesson N: replays that lesson, and its answers.
lesson() {
  replay < <(transcripts "LESSON $1[.]") && replay < <(transcripts "Lesson $1\$")
}

@test "mandoc has nothing to say on the page" {
  try mandoc -T lint -W warning "$page"
  [ "$status" -eq 0 ]
  [ -z "$output" ]
}

@test "a transcript fails if another text comes out" {
  local text
  replay <<<$'# id -u; uname -n\n0\nhost\n$ id -u\n1000\n# echo 12 13 12\n4711 4712 4711\n# cat <<END\na\nEND\na\n# echo \\\na\na'
  for text in $'# echo a\nb' $'# echo a' $'# true\na' $'# exit\n# true' $'$ id -u\n0' $'# echo 1\n2' \
    $'# echo 12 13\n4711 4711' $'# echo 12 12\n4711 4712' $'# echo a\n4711'; do
    if replay <<<"$text"; then
      fail "this passed: $text"
    fi
  done
}

@test "lesson 1: a name of one's own" {
  lesson 1
}

@test "lesson 2: who is who" {
  lesson 2
}

@test "lesson 3: the first process" {
  lesson 3
}

@test "lesson 4: mounts" {
  lesson 4
}

@test "lesson 5: furnishing" {
  lesson 5
}

@test "lesson 6: leaving" {
  lesson 6
}

@test "lesson 7: a network" {
  lesson 7
}

@test "lesson 8: going in" {
  lesson 8
}

@test "lesson 9: a terminal" {
  local sysctl=/proc/sys/dev/tty/legacy_tiocsti
  [[ ! -e $sysctl || $(<"$sysctl") -eq 1 ]] || skip "this kernel types nothing (legacy_tiocsti is 0)"
  lesson 9
}

@test "lesson 10: all of it" {
  lesson 10
}
