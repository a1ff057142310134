#!/usr/bin/env bats
# The manual pages and README: what they say is what happens.
#
# A transcript is a literal block (.Bd -literal; in README, lines behind four
# spaces) that begins with "# COMMAND", run by root, or "$ COMMAND", run by a
# user with delegated ids. Lines that begin with "> ", and here-documents, go on
# with the command before them. What else stands between two commands is the
# output of the first, all of it, but "..." is any text. An output of only "..." is
# no example, and fails. Other blocks are not run.
#
# Each is run by one shell, root's if there is a "#" in it, without a terminal, in
# mount and PID namespaces of its own. All of a page are run in the same
# directory, root's in one, the user's in another. There, "box" is a root that
# small_root made and that root or the user owns. README makes its own.

load helper

setup() {
  pages=("$top"/*/*.1)
  chmod 755 "$BATS_RUN_TMPDIR" "$BATS_RUN_TMPDIR/test" "$BATS_TEST_TMPDIR"
}

# section NAME PAGE: that section as it is shown, without bold letters.
section() {
  mandoc -T ascii -O width=200 "$2" | sed $'s/.\b//g' | sed -n "/^$1\$/,/^[A-Z]/{/^ /p}"
}

# options: those that a usage on standard input has, one a line; -h, -V and -v,
# which need no place in it, aside.
options() {
  grep -oE '(^|[[:space:]]|\[)-[A-Za-z]+' | grep -oE '[A-Za-z]' | grep -v '[hVv]' | sort -u
}

# page_blocks PAGE: its literal blocks as they are shown, each ended by \f.
page_blocks() {
  local line block='' inside=
  while IFS= read -r line; do
    if [[ $line == .Bd\ -literal* ]]; then
      inside=yes block=
    elif [[ $line == .Ed && -n $inside ]]; then
      inside=
      mandoc -T ascii <<<$'.Dd January 1, 2000\n.Dt X 1\n.Os\n.Sh X\n.Bd -literal\n'"$block.Ed" |
        sed -n $'s/.\b//g; /^     /s///p; /^$/p' | sed '1,/^./{/^$/d}'
      printf '\f\n'
    elif [[ -n $inside ]]; then
      block+=$line$'\n'
    fi
  done <"$1"
}

# readme_blocks FILE: what stands behind four spaces in it, each ended by \f.
readme_blocks() {
  sed -n '/^    /{s///p; $!d; s/.*/\f/p; d}; /^$/{p; d}; s/.*/\f/p' "$1"
}

# matches TEXT EXPECTED: whether TEXT is EXPECTED, in which "..." is any text.
matches() {
  local rest=$2 pattern=
  while [[ $rest == *...* ]]; do
    printf -v pattern '%s%q*' "$pattern" "${rest%%...*}"
    rest=${rest#*...}
  done
  printf -v pattern '%s%q' "$pattern" "$rest"
  eval "[[ \$1 == $pattern ]]"
}

# replay PLACE <<END: runs the transcript that is read; fails unless each command
# has the output that is shown. PLACE has the directories that it is run in.
replay() {
  local text line end='' who='$' commands=() shown=() run=() i
  text=$(cat)
  [[ $'\n'$text != *$'\n# '* ]] || who='#'
  while IFS= read -r line; do
    if [[ $end ]]; then
      commands[-1]+=$'\n'${line#'> '}
      [[ ${line#'> '} != "$end" ]] || end=
      continue
    elif [[ $line == [\#\$]\ * ]]; then
      commands+=("$line")
      shown+=('')
    elif [[ $line == '> '* && -z ${shown[-1]} ]]; then
      commands[-1]+=$'\n'${line:2}
    else
      shown[-1]+=${shown[-1]:+$'\n'}$line
      continue
    fi
    [[ ! $line =~ '<<'[\'\"]?([A-Z]+) ]] || end=${BASH_REMATCH[1]}
  done <<<"$text"
  for i in "${!shown[@]}"; do
    shown[i]=$(printf '%s' "${shown[i]}") # without the empty line of a block's end
  done
  local in=$1/as-root
  make_user reader 100000:65536
  if [[ $who == '$' ]]; then
    run=(as_user reader) in=$1/as-user
  fi
  if [[ ! -e $in ]]; then
    small_root "$in/box"
    [[ $who == '#' ]] || chown -hR reader: "$in"
    chmod 777 "$in"
  fi
  rm -rf "$1/output"
  mkdir -m 777 "$1/output"
  for i in "${!commands[@]}"; do
    line=${commands[i]:2}
    if [[ ${commands[i]} == '$ '* && $who == '#' ]]; then
      line="as_user reader bash -c ${line@Q}"
    fi
    echo "eval ${line@Q} >${1@Q}/output/$i 2>&1"
  done >"$1/script"
  (cd "$in" && TERM=dumb timeout -k 5 60 \
    unshare --mount --pid --fork --kill-child --mount-proc --propagation private \
    "${run[@]}" bash "$1/script" </dev/null 3>&- 4>&-) || true
  for i in "${!commands[@]}"; do
    [[ ${shown[i]} != ... ]] || fail "shows no output: ${commands[i]}" || return
    line=$(cat "$1/output/$i") || fail "not run: ${commands[i]}" || return
    matches "$line" "${shown[i]}" ||
      fail "${commands[i]}" "--- shown:" "${shown[i]}" "--- came out:" "$line" || return
  done
}

# replay_all NAME COUNT: replays each transcript of the blocks that are read, of
# which there have to be COUNT.
replay_all() {
  local block count=0
  mkdir -p "$BATS_TEST_TMPDIR/$1"
  while IFS= read -r -d $'\f' block; do
    block=${block#"${block%%[!$'\n']*}"}
    if [[ $block == [\#\$]\ * ]]; then
      replay "$BATS_TEST_TMPDIR/$1" <<<"${block%$'\n'}" || return
      ((++count))
    fi
  done
  [ "$count" -eq "$2" ] || fail "$1: $count transcripts of $2"
}

@test "there is a page for each command, and mandoc has nothing to say on it" {
  local page
  [ "${#pages[@]}" -eq 10 ]
  for page in "${pages[@]}"; do
    try mandoc -T lint -W warning "$page"
    [ "$status" -eq 0 ]
    [ -z "$output" ]
  done
}

@test "each page has what a reader looks for, in the same order" {
  local page sections
  for page in "${pages[@]}"; do
    sections=$(sed -n 's/^\.Sh //p' "$page" | grep -vxE 'ENVIRONMENT|STANDARDS|FILES|HISTORY|CAVEATS|BUGS|DIAGNOSTICS|NOTES' | tr '\n' ,)
    [ "$sections" = "NAME,SYNOPSIS,DESCRIPTION,EXIT STATUS,EXAMPLES,SEE ALSO,SECURITY CONSIDERATIONS," ] ||
      fail "$page: $sections"
  done
}

@test "each option of a usage is in the SYNOPSIS and described, and no other is" {
  local page name
  for page in "${pages[@]}"; do
    name=${page##*/} name=${name%.1}
    diff <("$name" -h | options) <(section SYNOPSIS "$page" | options) || fail "$name: SYNOPSIS"
    diff <("$name" -h | options) <(grep '^\.It Fl ' "$page" | sed 's/Fl /-/g' | options) ||
      fail "$name: DESCRIPTION"
  done
}

@test "the statuses 64, 125, 126 and 127 are the same in all pages" {
  local page table
  for page in "${pages[@]}"; do
    table=$(section 'EXIT STATUS' "$page" | sed -n 's/^ *\([0-9]\+\)  *\(.*\)/\1 \2/p')
    [[ $table == "64 Wrong usage."*$'\n'"125 "*fail*$'\n'"126 "*"cannot be executed"*$'\n'"127 "*"not found"* ]] ||
      fail "$page: $table"
  done
}

@test "the replay of a transcript fails if another text comes out" {
  local place=$BATS_TEST_TMPDIR/place text
  mkdir "$place"
  replay "$place" <<<$'# echo a; echo b\na\nb\n# false\n# cat <<END\n> x\n> END\nx'
  replay "$place" <<<$'# echo "a [b] * 7 c"\na [b] * ... c'
  replay "$place" <<<$'$ ls; id -un\nbox\nreader'
  replay "$place" <<<$'$ cat >file <<END\na  b\nEND\n# id -un; cat file\nroot\na  b'
  for text in $'# echo a; echo b\na' $'# echo a\na\nb' $'# echo a' $'# echo ab\na*' $'# true\nx' \
    $'# echo a7c\na...d' $'# echo a\n...' $'# exit\n# true' $'# true\n$ id -u\n0'; do
    try replay "$place" <<<"$text"
    [ "$status" -ne 0 ]
  done
}

@test "the transcripts of the pages come out as they are there" {
  local page count failed=
  for page in "${pages[@]}"; do
    count=$(grep -A 1 '^\.Bd -literal' "$page" | grep -c '^[#$] ') || fail "$page: no transcript"
    replay_all "${page##*/}" "$count" < <(page_blocks "$page") || failed+=" ${page##*/}"
  done
  [ -z "$failed" ] || fail "not as shown:$failed"
}

@test "the transcripts of README come out as they are there" {
  [ -e "$top/README" ] || skip "there is no README"
  local count
  count=$(grep -B 1 '^    [#$] ' "$top/README" | grep -vc '^    \|^--') || fail "no transcript"
  mkdir -p "$BATS_TEST_TMPDIR/README/as-root" # README makes its own box
  replay_all README "$count" < <(readme_blocks "$top/README")
}

@test "the container that README shows is the one that contain -p prints" {
  [ -e "$top/README" ] || skip "there is no README"
  local script
  mkdir "$BATS_TEST_TMPDIR/box"
  chown 1900019712:1900019712 "$BATS_TEST_TMPDIR/box"
  script=$(cd "$BATS_TEST_TMPDIR" && contain -p box | grep -v ' /dev/' |
    sed -E "s|$BATS_TEST_TMPDIR|/root|; s|^ [^ ]*/(idmap\|safemount\|pivot) | /usr/local/bin/\1 |")
  diff <(echo "$script") <(sed -n '/^    #!\/bin\/sh$/,/^$/{s/^    //p; }' "$top/README" | sed '/pivot \. /q')
}
