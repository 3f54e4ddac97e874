/*
 * sums.h - the oracle: what a table of whole numbers must be after so many steps of each worker. A step
 * of a worker adds to some rows; which, and what, follows from its rank and number alone, so that a step
 * which is done again is the same. The first float of a row counts what was added to it: a push that was
 * lost or doubled shows, and shows which; the others tell a lost and a doubled one apart from none.
 */
#ifndef TESTS_CHAOS_SUMS_H
#define TESTS_CHAOS_SUMS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { SUMS_ROWS = 2048, SUMS_DIM = 4, SUMS_PUSHED = 16, SUMS_WORKERS = 4 };

/* The gradients of a step, from 1, for a table under SGD with lr 1. */
void sums_step(uint32_t rank, uint64_t step, uint64_t ids[SUMS_PUSHED],
               float grads[SUMS_PUSHED * SUMS_DIM]);

struct sums {
    uint64_t steps[SUMS_WORKERS];
    int64_t rows[SUMS_ROWS][SUMS_DIM]; /* zeros at first */
};

/* Has each worker at so many steps, more or fewer than it had. */
void sums_go_to(struct sums *s, uint32_t workers, const uint64_t *steps);

struct sums_wrong {
    uint64_t lost, doubled; /* additions to a row */
    uint64_t other;         /* rows whose count is right, and whose sums are not */
};
struct sums_wrong sums_compare(const struct sums *s, const float *rows);

#endif
