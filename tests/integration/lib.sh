# shellcheck shell=bash disable=SC2034
# lib.sh - for scripts whose tests are functions test_*: each runs in a shell and a directory ($dir) of its own, three at
# a time, because most of what they do is waiting. A test fails by calling fail. The processes that it starts carry its
# mark in their environment, so that the ones left behind can be told from everybody else's.
set -u
shopt -s nullglob
bin=${RH_BIN:-$PWD/build/bin}
script=${0##*/}
root=$(mktemp -d "${TMPDIR:-/tmp}/rowhouse-sh.XXXXXX") || exit 1
trap 'rm -rf "$root"' EXIT
# How long a job may live when one of its processes has died, in milliseconds.
soon=5000
[ -n "${RH_SAN-}" ] && soon=30000
# Open MPI leaks from components that it has unloaded by then, so that no suppression can name them.
[ "${RH_SAN-}" = address ] && export ASAN_OPTIONS=${ASAN_OPTIONS-}:detect_leaks=0

fail() {
    echo "FAILED: $what: $*"
    [ -s "$dir/out" ] && sed 's/^/    out: /' "$dir/out"
    [ -s "$dir/err" ] && sed 's/^/    err: /' "$dir/err"
    touch "$dir/failed"
}

now_ms() { echo $((${EPOCHREALTIME/./} / 1000)); }

# marked: this test's processes, pid and command line.
marked() {
    local file pid words
    grep -lszF "RH_TEST_MARK=$RH_TEST_MARK" /proc/[0-9]*/environ | while read -r file; do
        pid=${file#/proc/} pid=${pid%/environ}
        words=$(tr '\0' ' ' 2>/dev/null <"/proc/$pid/cmdline")
        # A zombie has no command line; a subshell of ours has the script's.
        [ -z "$words" ] || [[ $words == *"$script"* ]] || echo "$pid $words"
    done
}

# pids_of PATTERN: those of them whose command line begins with a match.
pids_of() { marked | grep -E "^[0-9]+ $1" | cut -d' ' -f1; }
pid_of() { pids_of "$1" | head -n 1; }

# ticks [PID...]: user and system time, in hundredths of a second.
ticks() {
    local pid
    for pid in "$@"; do
        sed 's/.*) //' "/proc/$pid/stat" 2>/dev/null
    done | awk '{ sum += $12 + $13 } END { print sum + 0 }'
}

nobody_is_left() {
    local left i
    for ((i = 0; i < 20; i++)); do
        left=$(marked)
        [ -z "$left" ] && return
        sleep 0.1
    done
    fail "left behind: $left"
    awk '{print $1}' <<<"$left" | xargs -r kill -KILL
}

run_test() {
    dir=$root/$what
    mkdir "$dir"
    export RH_TEST_MARK=$what-$$
    "$what"
}

# Runs every test and prints what failed. False if anything did.
run_tests() {
    local failed
    for what in $(compgen -A function test_); do
        while [ "$(jobs -rp | wc -l)" -ge 3 ]; do wait -n; done
        run_test >"$root/$what.txt" 2>&1 &
    done
    wait
    cat "$root"/*.txt
    failed=("$root"/*/failed)
    [ ${#failed[@]} = 0 ]
}
