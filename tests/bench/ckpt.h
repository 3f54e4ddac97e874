/* ckpt.h - the fourth table of the benchmark: how fast a shard becomes a checkpoint and comes back,
 * beside what the same file system does with the same bytes when nobody looks at them. */
#ifndef TESTS_BENCH_CKPT_H
#define TESTS_BENCH_CKPT_H

#include <stdint.h>

#include "common/status.h"

struct bench_ckpt {
    const char *dir; /* a folder for the files, which are removed again */
    uint64_t rows;   /* of the table */
    uint32_t dim;
    unsigned rounds;  /* medians of so many */
    const char *only; /* only rows of this kind, as the table calls them; or NULL */
};

/* Prints three lines for each kind of rows, and which goals were reached. Where there is too little
 * room on the disk it says so, and that is no failure; a restore to other bits is one. */
rh_status bench_ckpt(const struct bench_ckpt *o) MUST_CHECK;

#endif
