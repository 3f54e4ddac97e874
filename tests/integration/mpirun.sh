#!/bin/bash
# mpirun.sh - the plain line, `mpirun -np 2 rowhouse-server : -np 2 PROGRAM`: programs find their servers with "mpi:", who
# waits sleeps, and a death ends the job.
set -u
shopt -s nullglob
bin=${RH_BIN:-$PWD/build/bin}
dir=$(mktemp -d "${TMPDIR:-/tmp}/mpirun.XXXXXX") || exit 1
trap 'rm -rf "$dir"' EXIT
failures=0
export RH_TEST_MARK=mpirun-$$
# What `rowhouse run` would see to.
export OMPI_MCA_rmaps_base_oversubscribe=1 OMPI_MCA_hwloc_base_binding_policy=none
export OMPI_MCA_btl_vader_single_copy_mechanism=none
if [ "$(id -u)" = 0 ]; then export OMPI_ALLOW_RUN_AS_ROOT=1 OMPI_ALLOW_RUN_AS_ROOT_CONFIRM=1; fi

fail() {
    echo "FAILED: $*"
    [ -s "$dir/out" ] && sed 's/^/    out: /' "$dir/out"
    [ -s "$dir/err" ] && sed 's/^/    err: /' "$dir/err"
    failures=$((failures + 1))
}

# Processes of ours named $1.
ours() {
    local pid
    for pid in $(pgrep -x "${1:0:15}"); do
        grep -qszF "RH_TEST_MARK=$RH_TEST_MARK" "/proc/$pid/environ" && echo "$pid"
    done
}

nobody_is_left() {
    local i left
    for ((i = 0; i < 20; i++)); do
        left=$(ours rowhouse-server; ours rowhouse-word2vec; ours mpirun)
        [ -z "$left" ] && return
        sleep 0.1
    done
    fail "$1: left behind: $left"
    xargs -r kill -KILL <<<"$left"
}

yes 'the dog and the cat saw the small bird in the old tree by the river' | head -n 500 >"$dir/text"
train=("$bin/rowhouse-word2vec" -input "$dir/text" -output "$dir/v" -dim 8 -minCount 1)

# ---- jobs that end well ----

for ranks in '1 1' '2 2' '3 2'; do
    read -r s w <<<"$ranks"
    rm -f "$dir/v.vec"
    mpirun -np "$s" "$bin/rowhouse-server" : -np "$w" "${train[@]}" -epoch 1 >"$dir/out" 2>"$dir/err"
    status=$?
    [ $status = 0 ] || fail "$s+$w: status $status"
    [ -s "$dir/v.vec" ] || fail "$s+$w: no vectors"
    grep -qvE '^rowhouse-word2vec: ' "$dir/err" && fail "$s+$w: something on stderr that is not the program's"
    nobody_is_left "$s+$w"
done

# A server of several shards, each with a port of its own.
rm -f "$dir/v.vec"
mpirun -np 1 "$bin/rowhouse-server" --shards 3 : -np 1 "${train[@]}" -epoch 1 >"$dir/out" 2>"$dir/err" || fail "--shards 3"
[ -s "$dir/v.vec" ] || fail "--shards 3: no vectors"

# ---- who waits sleeps ----

# User and system time of process $1, in hundredths of a second.
ticks() { sed 's/.*) //' "/proc/$1/stat" | awk '{ print $12 + $13 }'; }

# waits WHO: whoever of that name is there 2 s after the start has used no more than what starting takes.
waits() {
    local pid used
    sleep 1
    pid=$(ours "$1")
    [ -n "$pid" ] || { fail "no $1 was waiting"; return; }
    used=$(ticks "$pid")
    sleep 2
    used=$(($(ticks "$pid") - used))
    [ $used -le 6 ] || fail "$1 used $used hundredths of a second of two, waiting"
}

mpirun -np 1 bash -c "sleep 4; exec '$bin/rowhouse-server'" : -np 1 "${train[@]}" -epoch 1 >"$dir/out" 2>"$dir/err" &
waits rowhouse-word2vec
wait $! || fail 'servers that come late'

mpirun -np 1 "$bin/rowhouse-server" : -np 1 bash -c "sleep 4; exec \"\$@\"" - "${train[@]}" -epoch 1 \
    >"$dir/out" 2>"$dir/err" &
waits rowhouse-server
wait $! || fail 'a worker that comes late'

# ---- jobs that do not ----

# killed NAME: a long job whose first process of that name is killed ends within 5 s, with a status.
killed() {
    local job i pid began_ms
    mpirun -np 2 "$bin/rowhouse-server" : -np 2 "${train[@]}" -epoch 1000000 >"$dir/out" 2>"$dir/err" &
    job=$!
    for ((i = 0; i < 200; i++)); do
        [ "$(ours "$1" | wc -l)" = 2 ] && [ -s "$dir/err" ] && break
        sleep 0.1
    done
    pid=$(ours "$1" | head -n 1)
    [ -n "$pid" ] || { fail "no $1 to kill"; return; }
    kill -KILL "$pid"
    began_ms=$((${EPOCHREALTIME/./} / 1000))
    wait "$job" && fail "kill -9 of a $1: status 0"
    [ $((${EPOCHREALTIME/./} / 1000 - began_ms)) -le "${soon:-5000}" ] || fail "kill -9 of a $1: it lived on"
    nobody_is_left "kill -9 of a $1"
}

killed rowhouse-word2vec
killed rowhouse-server

mpirun -np 1 "$bin/rowhouse-server" : -np 1 bash -c 'exit 3' >"$dir/out" 2>"$dir/err"
status=$?
[ $status = 3 ] || fail "a program that exits with 3: status $status"
nobody_is_left 'a program that exits with 3'

# Servers without workers have nothing to do, and workers without servers nowhere to go.
mpirun -np 2 "$bin/rowhouse-server" >"$dir/out" 2>"$dir/err" && fail 'no worker: status 0'
grep -q 'no worker rank' "$dir/err" || fail 'no worker: not said'
mpirun -np 2 "${train[@]}" -epoch 1 >"$dir/out" 2>"$dir/err" && fail 'no server: status 0'
grep -q 'no server rank' "$dir/err" || fail 'no server: not said'
nobody_is_left 'half a job'

RH_MPI_PLUGIN=/no/such.so mpirun -np 1 "$bin/rowhouse-server" : -np 1 "${train[@]}" >"$dir/out" 2>"$dir/err" &&
    fail 'no plug-in: status 0'
grep -q 'MPI cannot be used: /no/such.so: .*openmpi-bin' "$dir/err" || fail 'no plug-in: not said'

[ $failures = 0 ]
