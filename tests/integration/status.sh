#!/bin/bash
# status.sh - `rowhouse status` of a live job says who waits for whom, and how stale what is pulled may be. The job is the
# word2vec trainer, on a text that it would read for ever.
# shellcheck source=tests/integration/lib.sh
. "${0%/*}/lib.sh"
rowhouse=$bin/rowhouse

awk 'BEGIN { for (i = 0; i < 20000; i++) print "word" (i * 7919 % 401) " and word" (i * 104729 % 599) }' >"$root/text"
train=("$bin/rowhouse-word2vec" -input "$root/text" -dim 16 -minCount 1 -epoch 1000000 -batch 100)

# await COMMAND...: until it is true. The machine may have more to do.
await() {
    local i
    for ((i = 0; i < 600; i++)); do
        "$@" && return
        sleep 0.1
    done
    fail "in vain for a minute: $*"
    return 1
}

# job MODE: two servers and two trainers, once they train. ${servers[@]} and ${trainers[@]} are their pids.
job() {
    local i at
    servers=() trainers=() list=''
    for i in 0 1; do
        "$bin/rowhouse-server" --listen 'tcp://127.0.0.1:*' --shard "$i/2" --report-fd 3 3>"$dir/at.$i" 2>>"$dir/err" &
        servers+=($!)
        await test -s "$dir/at.$i" || return
        read -r at _ <"$dir/at.$i"
        list=$list${list:+,}$at
    done
    for i in 0 1; do
        RH_RANK=$i RH_WORLD=2 RH_MODE=$1 "${train[@]}" -output "$dir/v$i" --servers "$list" >/dev/null 2>"$dir/trainer.$i" &
        trainers+=($!)
    done
    await is_beyond 0 0 && await is_beyond 1 0
}

look() { "$rowhouse" status --servers "$list" --timeout 60000 >"$dir/status" 2>&1 || fail "status: $(cat "$dir/status")"; }

# clock_of RANK: at shard 0. is_beyond RANK CLOCK.
clock_of() { look && sed -n "/^shard 1/q; s/^  worker $1: here, clock \([0-9]*\),.*/\1/p" "$dir/status"; }
is_beyond() {
    local clock
    clock=$(clock_of "$1")
    [ "${clock:-0}" -gt "$2" ]
}

# query EXPRESSION: of j, the status as JSON, in Python.
query() { "$rowhouse" status --servers "$list" --timeout 60000 --json | /usr/bin/python3 -c "import json, sys; j = json.load(sys.stdin); print($1)"; }

end() {
    kill -CONT "${trainers[@]}" 2>/dev/null
    kill -KILL "${trainers[@]}" "${servers[@]}"
    wait
    nobody_is_left
}

says() { look && grep -qE "$1" "$dir/status"; }

test_a_stopped_worker_is_named_by_whom_it_keeps_waiting() {
    job bsp || return
    kill -STOP "${trainers[0]}"
    await says '^worker 1 waits \([0-9]+\.[0-9] s\) at shard [01] for worker 0 to end clock [0-9]+; worker 0 was last heard of ([2-9]|[1-9][0-9]+)\.[0-9] s ago$'
    grep -q '^worker 0 waits' "$dir/status" && fail 'the stopped one waits too'
    clock=$(clock_of 0)
    grep -q "for worker 0 to end clock $clock;" "$dir/status" || fail "worker 0 is in clock $clock: $(cat "$dir/status")"
    grep -qE '^  worker 1: here, .*, [1-9][0-9]* pulls parked' "$dir/status" || fail "no pull is parked: $(cat "$dir/status")"
    got=$(query '[(w["worker"], w["for"], w["rank"], w["number"]) for w in j["waiting"]]')
    [ "$got" = "[(1, 'clock', 0, $clock)]" ] || fail "in JSON: $got"
    kill -CONT "${trainers[0]}"
    await is_beyond 1 $((clock + 5))
    end
}

test_under_ssp_the_staleness_is_bounded_and_a_stopped_worker_named() {
    job ssp:2 || return
    kill -STOP "${trainers[1]}"
    await says '^worker 0 waits \([0-9]+\.[0-9] s\) at shard [01] for worker 1 to end clock [0-9]+; worker 1 was last heard of ([2-9]|[1-9][0-9]+)\.[0-9] s ago$'
    behind=$(clock_of 1) ahead=$(clock_of 0)
    [ $((ahead - behind)) -ge 3 ] || fail "worker 0 is in clock $ahead, worker 1 in $behind"
    grep -q "for worker 1 to end clock $behind;" "$dir/status" || fail "worker 1 is in clock $behind: $(cat "$dir/status")"
    grep -qE '^shard 0 of 2 at .*: ssp:2, ' "$dir/status" || fail "the mode: $(cat "$dir/status")"
    grep -qE '^table word2vec.input: pulls by how many clocks stale they may have been: .*2: [1-9]' "$dir/status" ||
        fail "no histogram: $(cat "$dir/status")"
    got=$(query 'sorted({age for t in j["tables"] for age, n in t["pulls_by_age"].items() if n and age not in "012"})')
    [ "$got" = '[]' ] || fail "pulls were staler than 2 clocks: $got"
    end
}

run_tests
