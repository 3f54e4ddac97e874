/* saving.h - the table of what a job feels of being saved: the word2vec trainer's words a second, and how long
 * pulls and pushes take, without a save and while one is going on, in turns within one run. */
#ifndef TESTS_BENCH_SAVING_H
#define TESTS_BENCH_SAVING_H

#include <stdint.h>

#include "common/status.h"

struct bench_saving {
    const char *bin;  /* the folder of the programs */
    const char *dir;  /* a folder of ours, on the file system that is saved to */
    uint64_t rows;    /* of the table that is pushed to */
    uint64_t words;   /* of the trainer's vocabulary */
    unsigned rounds;  /* of each: once without, once with saves */
    const char *only; /* this line alone, as the table calls it; NULL: all */
};

/* Prints the table. A goal that is missed is no failure. */
rh_status bench_saving(const struct bench_saving *o) MUST_CHECK;

#endif
