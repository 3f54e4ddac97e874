#!/bin/bash
# restore.sh - start a job from the newest checkpoint that is whole. Its usage stands below; it needs `rowhouse`: of this
# tree's build, or on PATH.
set -euo pipefail

usage='usage: scripts/restore.sh --dir DIR [--name NAME] [flags of rowhouse run] -- PROGRAM [arguments]

Runs rowhouse run --checkpoint-dir DIR --restore CHECKPOINT with the rest of the line. CHECKPOINT is NAME; without that the
newest in DIR that verifies, byte by byte: those that are damaged are told on stderr and passed over.

  --dir DIR    the folder of checkpoints, as the servers and we know it
  --name NAME  this one and no other

It exits as rowhouse run does, with 1 if there is no checkpoint that is whole, and with 2 for wrong usage.'

misused() {
    printf 'restore: %s; --help tells more\n' "$*" >&2
    exit 2
}
say() { printf 'restore: %s\n' "$*" >&2; }
die() {
    say "$@"
    exit 1
}

dir='' name='' run=()
while [ $# -gt 0 ] && [ "$1" != -- ]; do
    case $1 in
    --help | -h)
        echo "$usage"
        exit 0
        ;;
    --dir | --name)
        [ $# -gt 1 ] || misused "$1 needs a value"
        if [ "$1" = --dir ]; then dir=$2; else name=$2; fi
        shift
        ;;
    --checkpoint-dir* | --restore*) misused "$1: here it is --dir, and --name" ;;
    *) run+=("$1") ;;
    esac
    shift
done
[ -n "$dir" ] || misused '--dir is missing: the folder of checkpoints'
[ $# -gt 1 ] || misused 'which program? Give it behind --'
rowhouse=$(PATH=${RH_BIN:-${0%/*}/../build/bin}:$PATH command -v rowhouse) || die 'rowhouse is not here: make, or make install'

# is_whole NAME: true, or $why says why not.
is_whole() { why=$("$rowhouse" ckpt verify "$dir/$1" 2>&1) || { why=${why#rowhouse ckpt: } && false; }; }

if [ -n "$name" ]; then
    is_whole "$name" || die "$why. Without --name, the newest one that is whole is taken"
else
    list=$("$rowhouse" ckpt list "$dir" 2>&1) || die "${list#rowhouse ckpt: }"
    # Behind its head a line each, newest first: a name, then its generation. Last come those whose manifest is damaged:
    # nobody knows how new they are.
    candidates=()
    while read -r candidate generation _; do
        if [[ $generation =~ ^[0-9]+$ ]]; then
            candidates+=("$candidate")
        elif ! is_whole "$candidate"; then
            say "$candidate is passed over: $why"
        fi
    done < <(tail -n +2 <<<"$list")
    for candidate in "${candidates[@]}"; do
        if is_whole "$candidate"; then
            name=$candidate
            break
        fi
        say "$candidate is passed over: $why"
    done
    [ -n "$name" ] || die "no checkpoint in $dir is whole"
fi
say "from checkpoint $name in $dir"
exec "$rowhouse" run --checkpoint-dir "$dir" --restore "$name" "${run[@]}" "$@"
