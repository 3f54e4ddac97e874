/* bench.h - the words of the benchmark. A stage is what stays while cases are measured on it: a
 * transport, a dim, an optimizer, full tables. A job is the work of one case. A contender does that
 * work in its own way: rowhouse, and what it is held against. */
#ifndef TESTS_BENCH_BENCH_H
#define TESTS_BENCH_BENCH_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/status.h"

enum { BENCH_BATCH = 8192, BENCH_DEPTH_MAX = 3 };

struct stage {
    const char *transport; /* "local:", "ipc://", "tcp://" */
    uint32_t dim;
    bool adam; /* the tables learn by SparseAdam; otherwise by SGD */
    uint64_t rows;
    const char *bin;             /* the folder of rowhouse-server */
    const char *dir;             /* a folder for sockets, ours alone */
    float *grads;                /* (BENCH_BATCH, dim) */
    float *out[BENCH_DEPTH_MAX]; /* (BENCH_BATCH, dim) each */
};

struct job {
    bool push;           /* otherwise pull */
    uint32_t depth;      /* how many batches may be in flight */
    const uint64_t *ids; /* (batches, BENCH_BATCH) */
    uint32_t batches;
    bool of_thread; /* all of it is done by the calling thread, and timed by that thread's clock:
                       other programs disturb it less */
};

struct contender {
    const char *name;
    bool (*takes_part)(const struct stage *s);
    /* Ready to run: its tables are full, every page of them was touched, its processes are up. */
    rh_status (*open)(const struct stage *s, void **out);
    /* Begins with nothing in flight and ends so. */
    rh_status (*run)(void *self, const struct job *j);
    void (*close)(void *self);
};

extern const struct contender bench_rowhouse; /* rh_pull, rh_push and their begin forms */
extern const struct contender bench_plain;    /* a loop over arrays: no ids to check, no shard */
extern const struct contender bench_bare; /* the transport alone: requests and answers as long as
                                             rowhouse's, filled with nothing */

/* What this program is when it was started to answer the bare contender: main of that process. */
int bench_answer(const char *address, int report_fd);

#endif
