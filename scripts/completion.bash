# completion.bash: what bash offers for the words of the ten commands.
#
# bash-completion reads it, by the name of one of them, when that is completed
# for the first time. Sourced alone it does without.
#
# shellcheck shell=bash

# Offers what compgen has for CUR with these arguments.
_nsteps_offer() {
  mapfile -t COMPREPLY < <(compgen "$@" -- "$cur")
}

_nsteps_files() {
  compopt -o filenames 2>/dev/null
  _nsteps_offer "${@:--f}"
}

# Offers words, several of which are joined with commas.
_nsteps_list() {
  local before=''
  compopt -o nospace 2>/dev/null
  if [[ $cur == *,* ]]; then
    before=${cur%,*},
  fi
  cur=${cur##*,}
  _nsteps_offer -P "$before" -W "$*"
}

# Offers files below the directory $1, where a leading / means that.
_nsteps_below() {
  local slash='' root=${1%/}/
  if [[ $cur == /* ]]; then
    slash=/
  fi
  cur=$root${cur#/}
  _nsteps_files
  COMPREPLY=("${COMPREPLY[@]/#"$root"/$slash}")
}

# Offers a command, or what it has to offer. It is word $1 of the line.
_nsteps_command() {
  if [[ $(type -t _command_offset) == function ]]; then
    _command_offset "$1"
  elif [[ $1 -eq $COMP_CWORD ]]; then
    _nsteps_offer -c
  else
    _nsteps_files
  fi
}

_nsteps() {
  local tool=${COMP_WORDS[0]##*/} cur=${COMP_WORDS[COMP_CWORD]} options kinds=()
  local words=() at=() i letter pending='' root=/ OPTARG OPTIND=1 OPTERR
  COMPREPLY=()
  case $tool in
    contain*) options=b:ce:f:g:H:hi:nO:o:prsu:Vv kinds=(directory) ;;
    idmap) options=e:g:H:hKn:O:o:ps:tu:Vv ;;
    inject) options=hV kinds=(process) ;;
    isolate) options=hV ;;
    nsjoin) options=Ea:eg:hk:n:tu:Vvx kinds=(target) ;;
    pivot) options=fhk:o:Vv kinds=(directory) ;;
    pseudo) options=g:hu:V ;;
    safemount) options=f:hLo:r:t:U:Vv kinds=(file below) ;;
    seal) options=a:hVv ;;
  esac

  # The words before CUR. Here 0:1:1 is one, for readline it is five.

  for ((i = 1; i <= COMP_CWORD; i++)); do
    if [[ ${#words[@]} -gt 0 && (${COMP_WORDS[i]} == [:=]* || ${words[-1]} == *[:=]) ]]; then
      words[-1]+=${COMP_WORDS[i]}
    else
      at+=("$i")
      words+=("${COMP_WORDS[i]}")
    fi
  done
  unset 'words[-1]'
  cur=${cur#[:=]}

  while getopts ":$options" letter "${words[@]}"; do
    case $tool$letter in
      *:) pending=$OPTARG ;;
      safemountr) root=$OPTARG ;;
      safemount[fU]) kinds=() ;;
    esac
  done
  local operands=$((${#words[@]} - OPTIND + 1))

  if [[ -n $pending ]]; then
    set -- "$tool-$pending"
  elif [[ $operands -eq 0 && $cur == -* && ${words[*]: -1} != -- ]]; then
    cur=${cur#-}
    _nsteps_offer -P - -W "$(grep -o '[^:]' <<<"$options")"
    return
  else
    set -- "${kinds[operands]-command}"
  fi

  case $1 in
    command) _nsteps_command "${at[OPTIND - 1 + ${#kinds[@]}]}" ;;
    directory | pivot-o | safemount-r) _nsteps_files -d ;;
    file | *-f) _nsteps_files ;;
    below | safemount-U) _nsteps_below "$root" ;;
    process) _nsteps_offer -W "$(cd /proc && echo [0-9]*)" ;;
    target) _nsteps_files -f -W "$(cd /proc && echo [0-9]*)" ;;
    nsjoin-a) _nsteps_list all caps cgroup label ;;
    nsjoin-n) _nsteps_list cgroup ipc mnt net pid time user uts ;;
    idmap-n) _nsteps_list all cgroup ipc mnt net pid time user uts ;;
    nsjoin-[gu]) ;;
    contain*-b) _nsteps_files ;;
    *-[gu]) _nsteps_list all root self sub ;;
    idmap-s) _nsteps_offer -W 'allow deny' ;;
    safemount-t) _nsteps_offer -W "$(sed 's/^nodev//' /proc/filesystems)" ;;
    safemount-o)
      _nsteps_list bind rbind remount ro rw nosuid nodev noexec nosymfollow \
        noatime relatime strictatime nodiratime private slave shared unbindable \
        rprivate rslave rshared runbindable create=dir create=file optional nofail idmap=
      ;;
    *-[iOo] | seal-a) _nsteps_offer -c ;;
  esac
}
complete -F _nsteps contain contain-boot idmap inject isolate nsjoin pivot pseudo safemount seal
