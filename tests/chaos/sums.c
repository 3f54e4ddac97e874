/* sums.c - see sums.h. */
#include "tests/chaos/sums.h"

#include "common/rng.h"

enum { HALF = 256 }; /* small, and of both signs: sums stay far below 2^24, in any order */

void sums_step(uint32_t rank, uint64_t step, uint64_t ids[SUMS_PUSHED],
               float grads[SUMS_PUSHED * SUMS_DIM]) {
    struct rng g;
    rng_init(&g, step, rank);
    for (int i = 0; i < SUMS_PUSHED; i++) {
        ids[i] = rng_below(&g, SUMS_ROWS);
        grads[i * SUMS_DIM] = -1;
        for (int k = 1; k < SUMS_DIM; k++)
            grads[i * SUMS_DIM + k] = (float)rng_below(&g, 2 * HALF + 1) - HALF;
    }
}

static void add(struct sums *s, uint32_t rank, uint64_t step, int64_t times) {
    uint64_t ids[SUMS_PUSHED];
    float grads[SUMS_PUSHED * SUMS_DIM];
    sums_step(rank, step, ids, grads);
    for (int i = 0; i < SUMS_PUSHED; i++)
        for (int k = 0; k < SUMS_DIM; k++)
            s->rows[ids[i]][k] -= times * (int64_t)grads[i * SUMS_DIM + k];
}

void sums_go_to(struct sums *s, uint32_t workers, const uint64_t *steps) {
    for (uint32_t rank = 0; rank < workers; rank++) {
        while (s->steps[rank] < steps[rank])
            add(s, rank, ++s->steps[rank], 1);
        while (s->steps[rank] > steps[rank])
            add(s, rank, s->steps[rank]--, -1);
    }
}

struct sums_wrong sums_compare(const struct sums *s, const float *rows) {
    struct sums_wrong w = {0};
    for (int i = 0; i < SUMS_ROWS; i++) {
        const float *is = rows + (size_t)i * SUMS_DIM;
        const int64_t more = (int64_t)is[0] - s->rows[i][0];
        w.doubled += more > 0 ? (uint64_t)more : 0;
        w.lost += more < 0 ? (uint64_t)-more : 0;
        bool same = true;
        for (int k = 1; k < SUMS_DIM; k++)
            same = same && is[k] == (float)s->rows[i][k];
        w.other += more == 0 && !same;
    }
    return w;
}
