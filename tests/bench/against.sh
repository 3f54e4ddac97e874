#!/usr/bin/env bash
# against.sh - the same work by two builds in turns, for one who asks whether a change has made it
# slower: pairs of short runs, each build first in half of them, and the median of the pairs' ratios.
# What counts is processor time, so other programs matter less, and what slows the machine down slows
# both runs of a pair.
#
#   tests/bench/against.sh OLD NEW [PAIRS]     build directories, such as ../before/build and build
#
# Each has its own tests/bench. INSTRUCTIONS=1 counts instructions a row by valgrind instead, which
# no other program disturbs; a processor has more to do than that.
set -euo pipefail
export LC_ALL=C

works=("pull" "push sgd" "push adam")
kinds=("uniform" "zipf")
dims=(64 16)
table_bytes=$((256 << 20)) # of weights
batch=8192                 # BENCH_BATCH

bench() { # BUILD WORK DIM IDS ROWS ROUNDS
    "$1/tests/bench" --transport local: --contender rowhouse --work "$2" --dim "$3" --ids "$4" \
        --rows "$5" --rounds "$6"
}

# Seconds of processor time that a run takes.
seconds() { # as bench
    local TIMEFORMAT='%U %S'
    { time bench "$@" >"$tmp/log" 2>&1 || { cat "$tmp/log" >&2; return 1; }; } 2>&1 |
        awk '{ print $1 + $2 }'
}

# Millions of rows per second of processor time: of five rounds, less those of one.
rate() { # BUILD WORK DIM IDS
    local rows=$((table_bytes / 4 / $3)) draws one five
    draws=$rows
    [[ $2 = *adam* ]] && draws=$((rows / 3))
    one=$(seconds "$@" $rows 1)
    five=$(seconds "$@" $rows 5)
    awk -v n=$((draws / batch * batch)) -v s="$one $five" \
        'BEGIN { split(s, t); print 4 * n / (t[2] - t[1]) / 1e6 }'
}

compare_rates() { # OLD NEW PAIRS WORK DIM IDS
    for ((pair = 0; pair < $3; pair++)); do
        if ((pair % 2)); then
            new=$(rate "$2" "${@:4}") && old=$(rate "$1" "${@:4}")
        else
            old=$(rate "$1" "${@:4}") && new=$(rate "$2" "${@:4}")
        fi
        echo "$old $new"
    done | awk -v what="$(printf '%-10s %3d %-8s' "$4" "$5" "$6")" '
        function sort(a, n,    i, k, x) {
            for (i = 2; i <= n; i++) {
                x = a[i]
                for (k = i; k > 1 && a[k - 1] > x; k--)
                    a[k] = a[k - 1]
                a[k] = x
            }
        }
        { old[NR] = $1; new[NR] = $2; ratio[NR] = $2 / $1 }
        function at(a, part) { return a[1 + int((NR - 1) * part)] }
        END {
            sort(old, NR); sort(new, NR); sort(ratio, NR)
            printf "%s %8.2f %8.2f   %.3f [%.3f..%.3f]\n", what, at(old, 0.5), at(new, 0.5),
                   at(ratio, 0.5), at(ratio, 0.25), at(ratio, 0.75)
        }'
}

# Those of eight rounds: of nine, less those of one.
instructions() { # BUILD WORK DIM IDS
    local rows=$((6 * batch)) batches=6 count=() rounds
    [[ $2 = *adam* ]] && batches=2
    for rounds in 1 9; do
        valgrind --tool=callgrind --callgrind-out-file="$tmp/out" "$1/tests/bench" --transport local: \
            --contender rowhouse --work "$2" --dim "$3" --ids "$4" --rows $rows --rounds $rounds \
            >"$tmp/log" 2>&1 || { cat "$tmp/log" >&2; return 1; }
        count+=("$(sed -n 's/^summary: //p' "$tmp/out")")
    done
    awk -v n="$((count[1] - count[0]))" -v rows=$((8 * batches * batch)) 'BEGIN { print n / rows }'
}

[[ $# -ge 2 && -x $1/tests/bench && -x $2/tests/bench ]] || {
    echo "usage: $0 OLD NEW [PAIRS]: build directories with tests/bench in them" >&2
    exit 2
}
tmp=$(mktemp -d)
trap 'rm -rf "$tmp"' EXIT
echo "load $(cat /proc/loadavg)"
if [[ -n ${INSTRUCTIONS:-} ]]; then
    echo "instructions a row; in all, local:"
    printf '%-10s %3s %-8s %8s %8s   %s\n' work dim ids old new new/old
else
    echo "millions of rows per second of processor time, medians of ${3:-11}; the pairs' ratios: median [quartiles]; local:"
    printf '%-10s %3s %-8s %8s %8s   %s\n' work dim ids old new new/old
fi
for ids in "${kinds[@]}"; do
    for dim in "${dims[@]}"; do
        for work in "${works[@]}"; do
            if [[ -n ${INSTRUCTIONS:-} ]]; then
                old=$(instructions "$1" "$work" "$dim" "$ids")
                new=$(instructions "$2" "$work" "$dim" "$ids")
                printf '%-10s %3d %-8s %8.1f %8.1f   %.3f\n' "$work" "$dim" "$ids" "$old" "$new" \
                    "$(awk "BEGIN { print $new / $old }")"
            else
                compare_rates "$1" "$2" "${3:-11}" "$work" "$dim" "$ids"
            fi
        done
    done
done
echo "load $(cat /proc/loadavg)"
