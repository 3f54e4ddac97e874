/* golden_bags.h - reads tests/golden/bags.txt, which make_bags.py beside it describes. What does not
 * read fails the test. */
#ifndef TESTS_GOLDEN_BAGS_H
#define TESTS_GOLDEN_BAGS_H

#include "worker/rowhouse.h"

#include <stdio.h>

enum { GOLDEN_DIM = 72, GOLDEN_ROWS = 9, GOLDEN_N = 32, GOLDEN_BAGS = 8, GOLDEN_STEPS = 2 };
#define GOLDEN_NO_PADDING UINT64_MAX

struct golden_bags {
    FILE *file;
    uint32_t dim;
    size_t n, n_bags;
    uint64_t padding; /* or GOLDEN_NO_PADDING */
    int weighted;
    rh_optimizer optimizer;
    float rows[GOLDEN_ROWS * GOLDEN_DIM];
    uint64_t ids[GOLDEN_N], offsets[GOLDEN_BAGS + 1];
    float weights[GOLDEN_N];
    rh_bags bags; /* of the arrays above */

    /* a step */
    float grads[GOLDEN_BAGS * GOLDEN_DIM], out[GOLDEN_BAGS * GOLDEN_DIM];
    float by_weight[GOLDEN_N], by_row[GOLDEN_ROWS * GOLDEN_DIM], after[GOLDEN_ROWS * GOLDEN_DIM];
};

void golden_open(struct golden_bags *g);
int golden_next_case(struct golden_bags *g); /* 0 when there is none; then the file is closed */
void golden_next_step(struct golden_bags *g);

/* What was got is what torch wrote: rtol 1e-5, atol 1e-6. */
void golden_assert_close(const char *what, size_t n, const float *got, const float *want);

#endif
