#!/bin/bash
# serve.sh - a job without MPI: servers under scripts/serve.sh are killed and started again, and the workers, which nobody has
# touched, end with the same vectors, to the bit. And the unit for systemd is one.
# shellcheck source=tests/integration/lib.sh
. "${0%/*}/lib.sh"
bin=$(realpath "$bin")
scripts=$PWD/scripts
w2v=$bin/rowhouse-word2vec
export RH_JOB=serve
export PATH=$bin:$PATH

awk 'BEGIN { srand(5); for (i = 0; i < 20000; i++) printf "w%d%s", 40 * rand() * rand(), i % 9 ? " " : "\n" }' >"$root/text"
epochs=100
[ -n "${RH_SAN-}" ] && epochs=40
train=("$w2v" -input "$root/text" -dim 16 -minCount 1 -batch 500 -epoch "$epochs" -t 1e-2 -mode bsp -checkpoint-every 60)

# serves SHARD FLAG...: what systemd would do, once; ${server[SHARD]}.
serves() {
    # A folder without a build beside it: so the server is that on PATH, which may be a sanitizer's.
    "$dir/scripts/serve.sh" "$dir/state.$1" --listen "ipc://$dir/shard.$1" --shard "$1/2" --world 2 --checkpoint-dir "$dir/ck" \
        2>>"$dir/err" &
    server[$1]=$!
}

begin() {
    mkdir -p "$dir/scripts"
    cp "$scripts/serve.sh" "$dir/scripts"
    serves 0
    serves 1
    for rank in 0 1; do
        RH_SERVERS=ipc://$dir/shard.0,ipc://$dir/shard.1 RH_RANK=$rank RH_WORLD=2 "${train[@]}" -output "$dir/v" >"$dir/out.$rank" 2>"$dir/err.$rank" &
        worker[rank]=$!
    done
}

finish() {
    local status
    for rank in 0 1; do
        wait "${worker[rank]}"
        status=$?
        [ $status = 0 ] || fail "worker $rank: status $status: $(tail -n 2 "$dir/err.$rank")"
    done
}

# generation N: so many checkpoints have been saved, at least.
generation() {
    local found
    found=$(grep -oE '"generation": "[0-9]+"' "$dir/ck/word2vec/MANIFEST.json" 2>/dev/null | grep -oE '[0-9]+')
    [ "${found:-0}" -ge "$1" ]
}

# dies SHARD...: all of them at once, and each is started again.
dies() {
    local shard
    for shard in "$@"; do kill -KILL "${server[shard]}" || fail "server $shard had gone"; done
    for shard in "$@"; do
        wait "${server[shard]}" 2>/dev/null
        serves "$shard"
    done
}

until_saved() {
    local i
    for ((i = 0; i < 1200; i++)); do
        generation "$1" && return
        sleep 0.05
    done
    fail "there is no generation $1"
    return 1
}

test_workers_outlive_servers() {
    begin
    finish
    mv "$dir/v.vec" "$dir/whole.vec"
    kill "${server[@]}" 2>/dev/null
    wait
    rm -r "$dir"/state.* "$dir/ck"
    begin
    until_saved 2 || return
    dies 1
    until_saved 5 || return
    dies 0
    until_saved 8 || return
    dies 0 1
    finish
    grep -q 'the servers went back: goes on from checkpoint' "$dir/err.0" || fail 'nothing had to be done again'
    cmp "$dir/v.vec" "$dir/whole.vec" >/dev/null || fail 'not the same vectors'
    kill "${server[@]}" 2>/dev/null
    wait
}

test_a_server_that_never_listened_begins_its_job() {
    local state=$dir/state
    mkdir "$state"
    printf 'ipc://half/a/li' >"$state/begun"
    "$scripts/serve.sh" "$state" --listen "ipc://$dir/s" --world nonsense >"$dir/out" 2>"$dir/err"
    [ $? = 2 ] || fail 'a wrong flag is not status 2'
    [ ! -s "$state/begun" ] || fail 'it remembers what has not begun'
    "$scripts/serve.sh" >"$dir/out" 2>"$dir/err"
    [ $? = 2 ] || fail 'without a folder it is not status 2'
}

test_the_unit_is_one() {
    command -v systemd-analyze >/dev/null || return
    cp "$scripts/rowhouse-server@.service" "$dir/rowhouse-server@x.service"
    systemd-analyze verify "$dir/rowhouse-server@x.service" >"$dir/out" 2>&1 || fail 'systemd does not take it'
    [ ! -s "$dir/out" ] || fail 'systemd complains'
}

run_tests
