#!/bin/bash
# run.sh [TEST...] - run tests: Check programs, and scripts that exit 0, or 77 for "not here". Prints a line for
# each, the tail of what a failed one said, and at last "N passed, N failed". Every test has a time limit, and one that
# leaves processes behind has failed. RH_TEST_JOBS (as many as there are processors, four at most) run at once: most of
# them wait most of the time, for a server to die or a deadline to pass.
#
# A test finds in its environment RH_BUILD and RH_BIN (absolute), RH_SAN (the sanitizer, or empty), and TMPDIR,
# a directory of its own that is removed afterwards. It starts in the root of the tree.
set -u
cd "$(dirname "$0")/../.." || exit 1

build=${BUILD:-build}
limit=${RH_TEST_LIMIT:-240}
export LC_ALL=C RH_BUILD=$PWD/$build RH_BIN=$PWD/$build/bin RH_SAN=${SAN:-}
# Check's own 4 seconds are too few where others use the machine too.
export CK_DEFAULT_TIMEOUT=${CK_DEFAULT_TIMEOUT:-30}
# A test that calls make does so with the user's variables (CC=clang), without the jobserver above us.
case ${MAKEFLAGS-} in
*'-- '*) export MAKEFLAGS="-- ${MAKEFLAGS#*-- }" ;;
*) unset MAKEFLAGS ;;
esac
unset MAKELEVEL MFLAGS
for name in $(compgen -e RH_); do
    # A job of the user's own must not leak into ours.
    [[ $name =~ ^RH_(BUILD|BIN|SAN|TEST_.*)$ ]] || unset "$name"
done

logs=$build/tests/log
mkdir -p "$logs"
run_with=()
if [ -n "$RH_SAN" ]; then
    limit=$((limit * 5))
    # Sanitizers do not go well with Check's forks. A report anywhere in a test fails it: the log files tell, where
    # an exit status might be swallowed by a test that expects its servers to die.
    export CK_FORK=no
    # In quotes, because options end at a blank.
    export LSAN_OPTIONS="suppressions='$PWD/tests/lsan.supp'":print_suppressions=0
    # ThreadSanitizer cannot map its shadow where addresses are too random.
    [ "$RH_SAN" = thread ] && setarch -R true 2>/dev/null && run_with=(setarch -R)
fi

# The processes of a session: mpirun gives its ranks new groups, but not new sessions.
in_session() {
    local file stat fields
    for file in /proc/[0-9]*/stat; do
        { stat=$(<"$file"); } 2>/dev/null || continue
        read -ra fields <<<"${stat##*) }"
        [ "${fields[3]}" = "$1" ] && [ "${fields[0]}" != Z ] && basename "${file%/stat}"
    done
}

kill_session() {
    local pids
    mapfile -t pids < <(in_session "$1")
    [ ${#pids[@]} -eq 0 ] || kill -KILL "${pids[@]}" 2>/dev/null
}

seconds() { printf '%d.%d s' $(($1 / 1000000)) $(($1 / 100000 % 10)); }

# One test, in a shell of its own. What it says comes in one piece; its counts go to a file.
run_test() {
    local test=$1 counts=$2 name log began status took why left wait report passed=0 failed=0 checks=0 bad=0
    local total failures errors common
    session=
    name=$(basename "$test" .sh)
    log=$logs/$name.txt
    rm -f "$logs/report.$name".*
    export TMPDIR
    TMPDIR=$(mktemp -d /tmp/rowhouse-test.XXXXXX) || exit 1
    trap '[ -z "$session" ] || kill_session "$session"; rm -rf "$TMPDIR"; exit 130' TERM
    # In quotes, because options end at a blank.
    common="print_stacktrace=1:halt_on_error=1:log_path='$PWD/$logs/report.$name'"
    export UBSAN_OPTIONS=$common
    export ASAN_OPTIONS=$common:detect_stack_use_after_return=1
    export TSAN_OPTIONS="$common:second_deadlock_stack=1:suppressions='$PWD/tests/tsan.supp'"

    began=${EPOCHREALTIME/./}
    "${run_with[@]}" setsid timeout -k 5 "$limit" "$test" >"$log" 2>&1 </dev/null &
    session=$!
    wait "$session"
    status=$?
    took=$((${EPOCHREALTIME/./} - began))

    why=
    case $status in
    0 | 77) ;;
    124) why="no end after $limit s" ;;
    *) why="exit status $status" ;;
    esac
    left=$(in_session "$session" | wc -l)
    for ((wait = 0; left > 0 && wait < 20; wait++)); do
        sleep 0.1
        left=$(in_session "$session" | wc -l)
    done
    if [ "$left" -gt 0 ]; then
        why=${why:-left $left processes behind}
        kill_session "$session"
    fi
    for report in "$logs/report.$name".*; do
        [ -s "$report" ] || continue
        why=${why:-a sanitizer reported}
        cat "$report" >>"$log"
    done
    session=
    rm -rf "$TMPDIR"

    # A Check program tells how many of its tests passed; a script is one test.
    while read -r total failures errors; do
        checks=$((checks + total)) bad=$((bad + failures + errors))
    done < <(sed -n 's/^[0-9]*%: Checks: \([0-9]*\), Failures: \([0-9]*\), Errors: \([0-9]*\)$/\1 \2 \3/p' "$log")

    if [ -n "$why" ]; then
        printf 'FAIL %s %s: %s\n%s\n' "$name" "$(seconds $took)" "$why" "$(tail -n 40 "$log" | sed 's/^/    /')"
        failed=$((bad > 0 ? bad : 1))
        passed=$((checks - bad))
    elif [ $status = 77 ]; then
        printf 'skip %s: %s\n' "$name" "$(tail -n 1 "$log")"
    elif [ $checks -gt 0 ]; then
        printf 'ok %s %s, %d checks\n' "$name" "$(seconds $took)" $checks
        passed=$checks
    else
        printf 'ok %s %s\n' "$name" "$(seconds $took)"
        passed=1
    fi
    echo "$passed $failed" >>"$counts"
}

jobs=${RH_TEST_JOBS:-$(nproc)}
[ "$jobs" -le 4 ] || [ -n "${RH_TEST_JOBS-}" ] || jobs=4
counts=$(mktemp /tmp/rowhouse-tests.XXXXXX) || exit 1
running=()
trap 'mapfile -t running < <(jobs -p); kill "${running[@]}" 2>/dev/null; wait; rm -f "$counts"; exit 130' INT TERM

for test in "$@"; do
    while [ "$(jobs -rp | wc -l)" -ge "$jobs" ]; do
        wait -n
    done
    run_test "$test" "$counts" &
done
wait

passed=0 failed=0 told=0
while read -r good bad; do
    passed=$((passed + good)) failed=$((failed + bad)) told=$((told + 1))
done <"$counts"
rm -f "$counts"
# A test of which nothing was heard, for its shell was killed, has not passed.
failed=$((failed + $# - told))

printf '%d passed, %d failed\n' $passed $failed
[ $failed -eq 0 ]
