#!/bin/bash
# launcher-restart.sh - `rowhouse run` when one of its children dies: another one takes its place, and knows it, as often
# as the budget allows; then the job ends, and says so. Whatever else dies ends the job at once, and leaves nobody.
# shellcheck source=tests/integration/lib.sh
. "${0%/*}/lib.sh"

# How long something may take to come about on a machine that is busy, in tenths of a second.
patience=600

# begin FLAG... -- PROGRAM...: a job in the background, $job.
begin() {
    "$bin/rowhouse" run "$@" >"$dir/out" 2>"$dir/err" &
    job=$!
}

# until_true COMMAND...: waits for it.
until_true() {
    local i
    for ((i = 0; i < patience; i++)); do
        "$@" && return
        sleep 0.1
    done
    fail "waited in vain: $*"
    return 1
}

# finish STATUS: waits for the job, which leaves nobody.
finish() {
    wait "$job" 2>/dev/null
    status=$?
    [ "$status" = "$1" ] || fail "status $status, expected $1"
    nobody_is_left
}

# said TEXT: a line of rowhouse run matches it.
said() { grep -Eq "^rowhouse run: $1\$" "$dir/err" || fail "it did not say '$1'"; }

servers() { pids_of "$(realpath "$bin")/rowhouse-server --child"; }
# ---- workers ----

# What it finds, and what has been there: the first of rank 0 ends as $1 says, when all have begun.
# shellcheck disable=SC2016
first_ends='echo "$RH_RANK/$RH_WORLD ${RH_SUCCEEDS-first} ${#RH_JOB} ${RH_SERVERS//[^,]/}" >>"$0/began"
            [ "$RH_RANK.${RH_SUCCEEDS-first}" = 0.first ] && sleep 1.1 && eval "$1"; exit 0'

test_a_worker_that_is_killed_has_a_successor_that_knows_it() {
    begin -s 2 -w 2 -- bash -c "$first_ends" "$dir" 'kill -9 $$'
    finish 0
    said 'worker 0 \(process [0-9]+\) was killed by signal 9 \(Killed\): restarted as process [0-9]+ \(1 of 5 in 10 min\)'
    [ "$(sort "$dir/began")" = $'0/2 1 32 ,\n0/2 first 32 ,\n1/2 first 32 ,' ] || fail "who began: $(cat "$dir/began")"
}

test_so_has_one_that_fails() {
    begin -s 1 -w 1 --restarts 1 -- bash -c "$first_ends" "$dir" 'exit 7'
    finish 0
    said 'worker 0 \(process [0-9]+\) ended with status 7: restarted as process [0-9]+ \(1 of 1 in 10 min\)'
    [ "$(grep -c '' "$dir/err")" = 1 ] || fail 'it said more'
}

test_what_a_user_has_in_the_environment_makes_no_successor() {
    RH_SUCCEEDS=1 begin -s 1 -w 1 -- bash -c "$first_ends" "$dir" 'true'
    finish 0
    [ "$(cat "$dir/began")" = '0/1 first 32 ' ] || fail "who began: $(cat "$dir/began")"
}

test_when_the_budget_is_spent_the_job_ends_as_its_worker() {
    local began_ms
    began_ms=$(now_ms)
    # shellcheck disable=SC2016
    begin -s 2 -w 2 --restarts 2 -- bash -c '[ "$RH_RANK" = 1 ] && exit 5; exec sleep 1000'
    finish 5
    said 'worker 1 \(process [0-9]+\) ended with status 5, after 2 restarts in 10 min \(--restarts 2\); the job is stopped'
    [ "$(grep -c ': restarted as process' "$dir/err")" = 2 ] || fail 'how often it was restarted'
    # Each lived for less than a second, so the next one waited for one.
    [ $(($(now_ms) - began_ms)) -ge 2000 ] || fail 'it was in a hurry'
}

test_a_wrong_flag_is_no_crash() {
    local code
    for code in 2 126 127; do
        begin -s 1 -w 1 -- bash -c "exit $code"
        finish "$code"
        said "worker 0 \\(process [0-9]+\\) ended with status $code; the job is stopped"
        [ "$(grep -c '' "$dir/err")" = 1 ] || fail 'it said more'
    done
}

# ---- servers ----

test_a_server_comes_back_where_it_was() {
    local was began_ms took_ms
    for shards in 1 3; do
        rm -f "$dir/up" "$dir/go"
        # shellcheck disable=SC2016
        begin -s 1 -w 1 --shards $shards -- bash -c 'touch "$0/up"; while [ ! -e "$0/go" ]; do sleep 0.1; done
                                                     "$1" status >"$0/status" 2>&1; true' "$dir" "$bin/rowhouse"
        until_true test -e "$dir/up" || return
        was=$(servers)
        sleep 1.1
        kill -KILL "$was"
        began_ms=$(now_ms)
        until_true grep -q 'restarted as process' "$dir/err" || return
        took_ms=$(($(now_ms) - began_ms))
        echo "a server of $shards shards was back after $took_ms ms" >>"$dir/took"
        [ "$took_ms" -le "$soon" ] || fail "a server of $shards shards was back after $took_ms ms"
        touch "$dir/go"
        finish 0
        said "server 0 \\(process $was\\) was killed by signal 9 \\(Killed\\): restarted as process [0-9]+ \\(1 of 5 in 10 min\\)"
        [ "$(grep -c "^shard [0-9]* of $shards " "$dir/status")" = $shards ] || fail "who is there: $(cat "$dir/status")"
    done
}

# ---- whoever else dies ----

sleepers() { [ "$(pids_of 'sleep 1000' | wc -l)" = "$1" ]; }

# death PATTERN TEXT: kills the first process that matches; the job ends soon, with 137 and TEXT in its line.
death() {
    local began_ms
    begin -s 2 -w 2 -- sleep 1000
    until_true sleepers 2 || return
    kill -KILL "$(pid_of "$1")"
    began_ms=$(now_ms)
    finish 137
    [ $(($(now_ms) - began_ms)) -le "$soon" ] || fail 'it took too long'
    said "$2"
}

test_a_supervisor_that_is_killed_ends_the_job() {
    death '(/.*/)?rowhouse-server --supervise' "one of mpirun's processes was killed by signal 9; the job is stopped"
}

test_an_mpirun_that_is_killed_ends_the_job() {
    death 'mpirun ' 'mpirun was killed by signal 9 \(Killed\); the job is stopped'
}

# A supervisor that waits before it starts another child is stopped, too.
test_a_job_is_stopped_while_a_successor_is_waited_for() {
    # shellcheck disable=SC2016
    begin -s 1 -w 2 --restarts 100 -- bash -c '[ "$RH_RANK" = 1 ] && exit 5; exec sleep 1000'
    until_true grep -q '2 of 100' "$dir/err" || return
    kill -TERM "$job"
    finish 143
    said 'stopped by signal 15 \(Terminated\)'
}

run_tests
