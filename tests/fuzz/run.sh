#!/bin/bash
# run.sh SECONDS FUZZER... - libFuzzer, as many at once as there are cores, at least two. Each begins with the inputs of
# tests/fuzz/corpus/, and with what it has found in earlier runs, which it keeps in corpus/ of its build directory.
# One that fails is shown with its last lines, which name the input; that stays there. False if any did.
set -u
seconds=$1
shift
at_once=$(nproc)
[ "$at_once" -ge 2 ] || at_once=2

fuzz() {
    local name=${1##*/} build=${1%/tests/*}
    local found=$build/corpus/$name log=$build/$name.log kept=(tests/fuzz/corpus/"$name")
    mkdir -p "$found"
    [ -d "${kept[0]}" ] || kept=()
    if "$1" -max_total_time="$seconds" -timeout=20 -print_final_stats=1 -artifact_prefix="$build/$name-" "$found" \
        "${kept[@]}" >"$log" 2>&1; then
        echo "ok $name, $(sed -n 's/^stat::number_of_executed_units: *//p' "$log") inputs"
    else
        echo "FAILED $name: $log"
        tail -n 40 "$log"
        return 1
    fi
}

running=0 failed=0
for fuzzer in "$@"; do
    if [ $running -ge "$at_once" ]; then
        wait -n || failed=$((failed + 1))
        running=$((running - 1))
    fi
    fuzz "$fuzzer" &
    running=$((running + 1))
done
for ((; running > 0; running--)); do
    wait -n || failed=$((failed + 1))
done
[ $failed -eq 0 ]
