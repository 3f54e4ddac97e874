/*
 * moment.h - a job whose checkpoints tell whether they are one moment of all its workers. Every worker has
 * rows of its own on all shards, and each of its steps takes 1 off all of them; and 1 off some rows that
 * all workers share. So in a checkpoint a worker's rows all stand at its cursor, and the shared ones have
 * lost what all cursors come to.
 */
#ifndef TESTS_SUPPORT_MOMENT_H
#define TESTS_SUPPORT_MOMENT_H

#include <stdint.h>

#include "worker/rowhouse.h"

enum { MOMENT_WORKERS = 3 };

struct moment {
    rh_client *c;
    rh_table *own, *shared;
    uint32_t rank;
    uint64_t steps; /* that it has made, ever: its cursor */
};

/* Opens the tables. */
void moment_begin(struct moment *m, rh_client *c, uint32_t rank);

/* The servers were restored: takes up the cursor, and holds its own rows against it. */
void moment_resume(struct moment *m);

/* The next step, in several calls that no checkpoint may come between; and the end of a clock. */
void moment_step(struct moment *m);

/* Half of it, as one does who dies then. moment_mend: by another of that rank, which had made so many whole
 * ones. */
void moment_half_step(struct moment *m);
void moment_mend(struct moment *m, uint64_t steps);

/* Checkpoint `name` of the folder that the process is in is one moment. The sum of all cursors in it;
 * cursors (may be NULL) gets those of the ranks that have come. */
uint64_t moment_check(const char *name, uint64_t cursors[MOMENT_WORKERS]);

#endif
