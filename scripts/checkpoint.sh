#!/bin/bash
# checkpoint.sh - save a live job from outside, again and again, and keep the newest of these checkpoints. Each is verified,
# byte by byte, before an older one goes. Its usage stands below; it needs `rowhouse`: of this tree's build, or on PATH.
set -euo pipefail

usage='usage: scripts/checkpoint.sh --every SECONDS --keep K --dir DIR [--name PREFIX] [--servers ADDRESSES] [--once]

Saves a live job every so many seconds, as PREFIX-000001, PREFIX-000002 and so on, while it trains; verifies each, and
then removes all of that prefix but the newest K. A save that fails is told on stderr, and the next is tried in its time.

  --every SECONDS      from the beginning of one save to that of the next
  --keep K             how many to keep
  --dir DIR            the --checkpoint-dir of the servers, as it is called here
  --name PREFIX        [periodic]
  --servers ADDRESSES  where the servers listen, in shard order [RH_SERVERS]; RH_JOB is the name of the job
  --once               save once; --every is not needed then

SIGTERM ends it, after the save that it may be in. It exits with 0, with what its last save has failed with (1, or 3 where
nobody answers), or with 2 for wrong usage.'

misused() {
    printf 'checkpoint: %s; --help tells more\n' "$*" >&2
    exit 2
}
say() { printf 'checkpoint: %s\n' "$*" >&2; }

every='' keep='' dir='' prefix=periodic once=''
while [ $# -gt 0 ]; do
    case $1 in
    --help | -h)
        echo "$usage"
        exit 0
        ;;
    --once) once=1 ;;
    --every | --keep | --dir | --name | --servers)
        [ $# -gt 1 ] || misused "$1 needs a value"
        case $1 in
        --every) every=$2 ;;
        --keep) keep=$2 ;;
        --dir) dir=$2 ;;
        --name) prefix=$2 ;;
        --servers) export RH_SERVERS=$2 ;;
        esac
        shift
        ;;
    *) misused "what is \"$1\"?" ;;
    esac
    shift
done
number='^[1-9][0-9]{0,6}$'
[ -n "$once" ] || [[ $every =~ $number ]] || misused '--every takes a number of seconds'
[[ $keep =~ $number ]] || misused '--keep takes a number of checkpoints, 1 or more'
[ -n "$dir" ] || misused '--dir is missing: the folder that the servers save in'
[[ $prefix =~ ^[A-Za-z0-9_-][A-Za-z0-9._-]{0,49}$ ]] ||
    misused "--name $prefix: 1 to 50 of A-Z a-z 0-9 . _ -, and no dot in front"
[ -n "${RH_SERVERS-}" ] || misused 'which job? Give --servers, or set RH_SERVERS'
[ -d "$dir" ] || {
    say "$dir is no folder here"
    exit 1
}
rowhouse=$(PATH=${RH_BIN:-${0%/*}/../build/bin}:$PATH command -v rowhouse) || {
    say 'rowhouse is not here: make, or make install'
    exit 1
}

# saved: the names of our checkpoints, oldest first.
saved() {
    local path
    for path in "$dir/$prefix"-*/; do
        path=${path%/}
        if [[ ${path##*/"$prefix"-} =~ ^[0-9]{6,}$ ]]; then echo "${path##*/}"; fi
    done | sort -V
}

# remove NAME: in one step it is no checkpoint any more, but a leftover, which whoever saves next would clear away.
remove() {
    local leftover=$dir/.$1.tmp
    rm -rf "$leftover" && mv -T "$dir/$1" "$leftover" && rm -rf "$leftover"
}

save() {
    local names name last said status extra
    mapfile -t names < <(saved)
    last=0
    [ ${#names[@]} = 0 ] || last=${names[-1]##*-}
    printf -v name '%s-%06d' "$prefix" $((10#$last + 1))
    said=$("$rowhouse" ckpt save "$name" 2>&1) || {
        status=$?
        say "$name was not saved: ${said#rowhouse ckpt save: }"
        return $status
    }
    echo "$said"
    said=$("$rowhouse" ckpt verify "$dir/$name" 2>&1) || {
        say "$name was saved, but is no good, and nothing is removed: ${said#rowhouse ckpt: }"
        return 1
    }
    names+=("$name")
    extra=$((${#names[@]} > keep ? ${#names[@]} - keep : 0))
    for name in "${names[@]:0:extra}"; do
        remove "$name" || say "$name cannot be removed"
    done
}

# In a save a signal is remembered; between two, it ends us.
status=0 busy='' stopped='' sleeper=''
on_signal() {
    stopped=1
    [ -n "$busy" ] || exit "$status"
}
trap on_signal TERM INT HUP
trap '[ -z "$sleeper" ] || kill "$sleeper" 2>/dev/null || true' EXIT

while :; do
    began=$SECONDS
    busy=1
    status=0
    save || status=$?
    busy=
    [ -z "$once$stopped" ] || exit "$status"
    sleep $((every > SECONDS - began ? every - (SECONDS - began) : 0)) &
    sleeper=$!
    wait "$sleeper"
    sleeper=
done
