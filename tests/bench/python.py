#!/usr/bin/python3
"""python.py [ROUNDS] - what a call costs more from Python than from C: over local:, on one table, in one process, in
turns. No time is a failure; see README.md."""
import ctypes as C
import importlib.util
import os
import random
import statistics
import subprocess
import sys
import tempfile
import time

sys.dont_write_bytecode = True
here = os.path.dirname(os.path.abspath(__file__))
sys.path[:0] = [os.path.join(here, "../../worker/python")]

ROWS, DIM, BATCH, BATCHES, POOLS = 1 << 20, 64, 8192, 16, 8
ROUNDS = int(sys.argv[1]) if len(sys.argv) > 1 else 60

# The same loop in C, and its time of this thread in microseconds. rows: NULL for a new array each time, the last one of
# which is held until the next is there, as a variable does.
LOOP = """
#include <stdlib.h>
#include <time.h>
#include "rowhouse.h"
typedef rh_status call(rh_table *, const uint64_t *, size_t, float *);
static double now(void) {
    struct timespec t;
    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t);
    return (double)t.tv_sec * 1e6 + (double)t.tv_nsec / 1e3;
}
double loop(call *f, rh_table *t, const uint64_t *ids, size_t n, size_t batches, size_t dim, float *rows) {
    double begin = now();
    float *held = NULL;
    for (size_t i = 0; i < batches; i++) {
        float *to = rows != NULL ? rows : malloc(n * dim * sizeof *to);
        if (to == NULL || f(t, ids + i * n, n, to) != RH_OK)
            abort();
        if (rows == NULL) {
            free(held);
            held = to;
        }
    }
    free(held);
    return now() - begin;
}
"""


def compiled():
    with tempfile.TemporaryDirectory() as folder:
        path = os.path.join(folder, "loop.so")
        subprocess.run([os.environ.get("CC", "cc"), "-O2", "-shared", "-fPIC", f"-I{here}/../../worker", "-x", "c", "-",
                        "-o", path], input=LOOP, text=True, check=True)
        loop = C.CDLL(path).loop
    loop.restype = C.c_double
    loop.argtypes = [C.c_void_p, C.c_void_p, C.c_void_p, C.c_size_t, C.c_size_t, C.c_size_t, C.c_void_p]
    return loop


def timed(call, batches):
    """call returns what is to be held until the next is there, as in C."""
    begin = time.clock_gettime_ns(time.CLOCK_THREAD_CPUTIME_ID)
    for batch in batches:
        held = call(batch)  # noqa: F841
    return (time.clock_gettime_ns(time.CLOCK_THREAD_CPUTIME_ID) - begin) / 1e3


def main():
    import numpy as np
    import rowhouse
    lib, loop = rowhouse._lib.lib, compiled()
    client = rowhouse.connect("local:")
    table = client.table("t", ROWS, DIM, optimizer=rowhouse.SGD(0.01))
    for first in range(0, ROWS, BATCH):
        table.write(np.arange(first, first + BATCH), np.ones((BATCH, DIM), np.float32))
    pools = np.random.default_rng(1).integers(0, ROWS, (POOLS, BATCHES, BATCH))
    rows = np.full((BATCH, DIM), 1e-3, np.float32)
    pull, push = (C.cast(f, C.c_void_p) for f in (lib.rh_pull, lib.rh_push))

    def of_c(function, out):
        return lambda pool: loop(function, table._handle, pool.ctypes.data, BATCH, BATCHES, DIM, out)

    def of(call, convert=list):
        return lambda pool: timed(call, convert(pool))
    works = [("pull, out=array", of_c(pull, rows.ctypes.data), of(lambda ids: table.pull(ids, out=rows))),
             ("pull, a new array", of_c(pull, None), of(table.pull)),
             ("push", of_c(push, rows.ctypes.data), of(lambda ids: table.push(ids, rows)))]
    if importlib.util.find_spec("torch") is not None:
        import torch
        import rowhouse.torch as rt
        torch.set_grad_enabled(False)
        emb = rt.Embedding(ROWS, DIM, client=client, name="t", optimizer=rowhouse.SGD(0.01))
        tensor = torch.from_numpy(rows)
        works.insert(1, ("pull, out=tensor", works[0][1], of(lambda ids: table.pull(ids, out=tensor), of_tensors(torch))))
        works.insert(3, ("rt.Embedding, no_grad", works[2][1], of(emb, of_tensors(torch))))
    print(f"Microseconds of a call of {BATCH} rows of dim {DIM} over local:, in C and in Python: medians of {ROUNDS} rounds of "
          f"{BATCHES} calls; over C: that of a round's difference [quarter..three quarters].\n")
    print(f"{'work':<22} {'C':>8} {'Python':>8} {'over C':>8}")
    for name, in_c, in_python in works:
        report(name, in_c, in_python, pools)


def of_tensors(torch):
    return lambda pool: list(torch.from_numpy(pool))


def report(name, in_c, in_python, pools):
    took = []
    for _ in range(ROUNDS):
        sides = [(i, f, pools[random.randrange(POOLS)]) for i, f in enumerate((in_c, in_python))]
        random.shuffle(sides)
        took.append([us / BATCHES for _, us in sorted((i, f(pool)) for i, f, pool in sides)])
    c, python = (statistics.median(side) for side in zip(*took))
    low, over, high = statistics.quantiles([p - c for c, p in took], n=4)
    print(f"{name:<22} {c:8.1f} {python:8.1f} {over:+8.1f} [{low:+.1f}..{high:+.1f}]", flush=True)


if __name__ == "__main__":
    if importlib.util.find_spec("numpy") is None:
        print(f"Python's calls are not measured: {sys.executable} has no numpy (Debian: python3-numpy)")
    else:
        main()
