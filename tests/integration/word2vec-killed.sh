#!/bin/bash
# word2vec-killed.sh - `rowhouse run` with the trainer, bsp, whose servers and workers are killed in the middle: each time
# training goes on by itself, and ends with the vectors of a job that nobody has touched, to the bit.
# shellcheck source=tests/integration/lib.sh
. "${0%/*}/lib.sh"
root=$(realpath "$root")
w2v=$(realpath "$bin")/rowhouse-word2vec
server=$(realpath "$bin")/rowhouse-server

awk 'BEGIN {
    srand(11)
    for (line = 0; line < 4000; line++) {
        text = ""
        for (i = 0; i < 9; i++)
            text = text "w" int(40 * rand() * rand()) " "
        print text
    }
}' >"$root/text"

# 1,800 steps for each of two workers; 720 where each of them is slow.
epochs=50
[ -n "${RH_SAN-}" ] && epochs=20
train=("$w2v" -input "$root/text" -dim 16 -minCount 1 -batch 500 -epoch "$epochs" -t 1e-2 -mode bsp)
often=(-checkpoint-every 60)

"$bin/rowhouse" run -s 1 -w 2 -- "${train[@]}" -output "$root/whole" >/dev/null 2>&1 || exit 1
mkdir "$root/ck"
"$bin/rowhouse" run -s 1 -w 2 --checkpoint-dir "$root/ck" -- "${train[@]}" -output "$root/often" "${often[@]}" >/dev/null 2>&1 || exit 1

# begin FLAG... -- ARGUMENT...: a job of two servers and two workers in the background, $job.
begin() {
    local flags=()
    while [ "$1" != -- ]; do
        flags+=("$1")
        shift
    done
    "$bin/rowhouse" run -s 2 -w 2 --checkpoint-dir "$dir/ck" "${flags[@]}" -- \
        "${train[@]}" -output "$dir/v" "${@:2}" >"$dir/out" 2>"$dir/err" &
    job=$!
}

# until_true COMMAND...
until_true() {
    local i
    for ((i = 0; i < 1200; i++)); do
        "$@" && return
        kill -0 "$job" 2>/dev/null || break
        sleep 0.05
    done
    fail "waited in vain: $*"
    return 1
}

# generation N: so many checkpoints have been saved, at least.
generation() {
    local found
    found=$(grep -oE '"generation": "[0-9]+"' "$dir/ck/word2vec/MANIFEST.json" 2>/dev/null | grep -oE '[0-9]+')
    [ "${found:-0}" -ge "$1" ]
}

restarts() { [ "$(grep -c ': restarted as process' "$dir/err")" -ge "$1" ]; }
clocks() { # N: shard 0 has closed so many, at least
    [ "$(cat "$dir/env" 2>/dev/null)" ] || return
    # shellcheck source=/dev/null
    (. "$dir/env" && "$bin/rowhouse" status 2>/dev/null | grep -oE '[0-9]+ clocks closed' | head -n 1 | { read -r n _ && [ "$n" -ge "$1" ]; })
}

victim() { # server I | worker
    if [ "$1" = server ]; then
        pid_of "$server --child .*--shard $2/2"
    else
        pid_of "$w2v"
    fi
}

# kills WHOM...: each "server I" or "worker"; at once.
kills() {
    local pids=()
    while [ $# -gt 0 ]; do
        pids+=("$(victim "$@")")
        [ "$1" = server ] && shift
        shift
    done
    kill -KILL "${pids[@]}" || fail 'there was nobody to kill'
}

# ends_as WHOLE: the job ends well, and its vectors are those.
ends_as() {
    wait "$job"
    status=$?
    [ $status = 0 ] || fail "status $status"
    cmp "$dir/v.vec" "$root/$1.vec" >/dev/null || fail "not the vectors of $1"
    nobody_is_left
}

# killed_behind_a_checkpoint RESTARTS WHOM...
killed_behind_a_checkpoint() {
    begin -- "${often[@]}"
    until_true generation 3 || return
    kills "${@:2}"
    until_true restarts "$1" || return
    ends_as often
    [ "$(grep -c 'goes on from checkpoint "word2vec"' "$dir/err")" -ge 2 ] || fail 'who went on'
}

test_a_server_is_killed() { killed_behind_a_checkpoint 1 server 1; }
test_the_lead_is_killed() { killed_behind_a_checkpoint 1 server 0; }
test_all_servers_are_killed() { killed_behind_a_checkpoint 2 server 0 server 1; }
test_a_worker_is_killed() { killed_behind_a_checkpoint 1 worker; }
test_a_worker_and_the_lead_are_killed() { killed_behind_a_checkpoint 2 worker server 0; }

test_a_server_is_killed_twice() {
    begin -- "${often[@]}"
    until_true generation 2 || return
    kills server 1
    until_true restarts 1 || return
    until_true generation 6 || return
    kills server 1
    until_true restarts 2 || return
    ends_as often
}

# Where there is no checkpoint the last one is the beginning.
killed_before_any() {
    begin --env-file "$dir/env" --
    until_true clocks 200 || return
    kills "$@"
    until_true restarts 1 || return
    ends_as whole
    [ "$(grep -c 'begins at the beginning' "$dir/err")" -ge 2 ] || fail 'who began'
}

test_a_server_is_killed_before_any_checkpoint() { killed_before_any server 0; }
test_a_worker_is_killed_before_any_checkpoint() { killed_before_any worker; }

# And then somebody types what it has said.
test_when_the_budget_is_spent_the_way_on_is_told() {
    local line
    begin --restarts 1 -- "${often[@]}"
    until_true generation 2 || return
    kills server 1
    until_true restarts 1 || return
    until_true generation 5 || return
    kills server 1
    wait "$job"
    status=$?
    [ $status = 137 ] || fail "status $status"
    nobody_is_left
    grep -Eq '^rowhouse run: server 1 \(process [0-9]+\) was killed by signal 9 \(Killed\), after 1 restart in 10 min \(--restarts 1\); the job is stopped$' "$dir/err" ||
        fail 'what it said'
    line=$(sed -n 's/^rowhouse run: to go on from the newest checkpoint in .*(the program may want a flag for it): //p' "$dir/err")
    [[ $line == *' --restore latest -- '* ]] || fail "the way on: $line"
    eval "$line -resume" >"$dir/out" 2>"$dir/err"
    status=$?
    [ $status = 0 ] || fail "the way on: status $status"
    cmp "$dir/v.vec" "$root/often.vec" >/dev/null || fail 'not the vectors of often'
}

run_tests
