/* ids.c - see ids.h. */
#include "tests/bench/ids.h"

#include <math.h>

#include "common/rng.h"

static double unit(struct rng *g) {
    return rng_unit_open(rng_u64(g));
}

static void draw_uniform(uint64_t rows, size_t n, uint64_t *ids) {
    struct rng g;
    rng_init(&g, 1, 0);
    for (size_t i = 0; i < n; i++)
        ids[i] = (uint64_t)(unit(&g) * (double)rows);
}

/* The integral of x^-IDS_ZIPF_EXPONENT, up to a constant, and its inverse. */
static double area(double x) {
    return pow(x, 1 - IDS_ZIPF_EXPONENT) / (1 - IDS_ZIPF_EXPONENT);
}

static double area_inverse(double a) {
    return pow(a * (1 - IDS_ZIPF_EXPONENT), 1 / (1 - IDS_ZIPF_EXPONENT));
}

/* A rank in [1, n] with probability proportional to rank^-IDS_ZIPF_EXPONENT, without a table of
 * them: rejection-inversion (Hoermann and Derflinger, 1996). */
static uint64_t zipf_rank(struct rng *g, uint64_t n) {
    const double low = area(1.5) - 1, high = area((double)n + 0.5);
    for (;;) {
        double a = low + unit(g) * (high - low);
        double rank = floor(area_inverse(a) + 0.5);
        if (rank < 1)
            rank = 1;
        if (rank > (double)n)
            rank = (double)n;
        if (a >= area(rank + 0.5) - pow(rank, -IDS_ZIPF_EXPONENT))
            return (uint64_t)rank;
    }
}

/* Frequent rows do not lie together: a vocabulary may be sorted, a user table is not. */
static void draw_zipf(uint64_t rows, size_t n, uint64_t *ids) {
    const uint64_t scatter = 2654435761; /* a prime, so that ranks stay apart */
    struct rng g;
    rng_init(&g, 1, 1);
    for (size_t i = 0; i < n; i++)
        ids[i] = (zipf_rank(&g, rows) - 1) * scatter % rows;
}

const struct ids_kind ids_kinds[IDS_KINDS] = {{"uniform", draw_uniform}, {"zipf", draw_zipf}};
