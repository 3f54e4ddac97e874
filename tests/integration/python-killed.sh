#!/bin/bash
# python-killed.sh - trainers in Python under `rowhouse run`, whose servers and workers are killed: one that catches RollbackError
# and goes on, and one that knows of nothing but its cursor, fails, and is started again. Every push counts once.
# shellcheck source=tests/integration/lib.sh
. "${0%/*}/lib.sh"
# shellcheck source=tests/integration/need-python.sh
. "${0%/*}/need-python.sh" numpy
export PYTHONPATH=$PWD/worker/python

# Each worker pushes 1 to one row in each step, and to row 0: SGD(1) on zeros adds up how often.
cat >"$root/train.py" <<'END'
import os, sys
import numpy as np
import rowhouse

ROWS, STEPS, EVERY = 64, 1000, 40
careful, folder = sys.argv[1] == "careful", sys.argv[2]

def run(client):
    at = client.cursor()
    table = client.table("sums", ROWS, 2, init=rowhouse.init.zeros(), optimizer=rowhouse.SGD(1.0))
    print(f"worker {client.rank} is at step {int(at or 0)}", file=sys.stderr, flush=True)
    client.set_cursor(b"%d" % int(at or 0))
    client.tick()  # who has nothing to do any more can be saved at the barrier, if its table was opened before that
    for step in range(int(at or 0), STEPS):
        ids = np.array([0, 1 + (step * 7 + client.rank) % (ROWS - 1)], dtype=np.uint64)
        table.push(ids, -np.ones((2, 2), dtype=np.float32))
        client.set_cursor(b"%d" % (step + 1))
        client.tick()
        if (step + 1) % EVERY == 0 and (client.mode == "bsp" or client.rank == 0):
            client.save("sums")
    client.barrier()
    if client.rank == 0:
        np.save(folder + "/rows.npy", table.pull(np.arange(ROWS, dtype=np.uint64)))
    client.barrier()

client = rowhouse.connect(mode=sys.argv[3])
while True:
    try:
        run(client)
        break
    except rowhouse.RollbackError as e:
        if not careful:
            raise
        print(f"worker {client.rank}: {e}", file=sys.stderr, flush=True)
client.close()
END

cat >"$root/check.py" <<'END'
import sys
import numpy as np
want = np.zeros((64, 2), dtype=np.float32)
for rank in range(2):
    for step in range(1000):
        want[0] += 1
        want[1 + (step * 7 + rank) % 63] += 1
got = np.load(sys.argv[1])
assert np.array_equal(got, want), (got - want)[:, 0]
END

saved() { # N: so many checkpoints, at least
    local found
    found=$(grep -oE '"generation": "[0-9]+"' "$dir/ck/sums/MANIFEST.json" 2>/dev/null | grep -oE '[0-9]+')
    [ "${found:-0}" -ge "$1" ]
}
restarts() { [ "$(grep -c ': restarted as process' "$dir/err")" -ge "$1" ]; }

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

# trains HOW MODE: a server is killed, then a worker, then the lead.
trains() {
    local server
    server=$(realpath "$bin")/rowhouse-server
    "$bin/rowhouse" run -s 2 -w 2 --restarts 20 --checkpoint-dir "$dir/ck" -- "$python" "$root/train.py" "$1" "$dir" "$2" >"$dir/out" 2>"$dir/err" &
    job=$!
    until_true saved 3 || return
    kill -KILL "$(pid_of "$server --child .*--shard 1/2")"
    until_true restarts 1 || return
    until_true saved 7 || return
    kill -KILL "$(pid_of "$python $root/train.py")"
    until_true restarts 2 || return
    until_true saved 12 || return
    kill -KILL "$(pid_of "$server --child .*--shard 0/2")"
    wait "$job"
    status=$?
    [ $status = 0 ] || fail "status $status"
    "$python" "$root/check.py" "$dir/rows.npy" >>"$dir/out" 2>&1 || fail 'a push was lost, or counts twice'
    nobody_is_left
}

test_one_that_catches_the_rollback_goes_on_bsp() { trains careful bsp; }
test_one_that_catches_the_rollback_goes_on_async() { trains careful async; }
test_one_that_fails_is_started_again_bsp() { trains naive bsp; }
test_one_that_fails_is_started_again_async() { trains naive async; }

run_tests
