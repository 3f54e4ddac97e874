/* opt.h - optimizers, as torch.optim writes them. A new one is one file, one line in the registry
 * (opt.c), one golden test.
 *
 * They are lazy: a step changes the rows that it names, their state included, and nothing else. */
#ifndef PS_OPT_H
#define PS_OPT_H

#include <stdbool.h>
#include <stdint.h>
#include <string.h>

#include "proto/spec.h"

enum { OPT_CONSTANTS = 8 };

/* What is the same for every row of one update: decided once, so that the loops have no branches
 * about it. Computed in double and rounded once, as torch does with its scalars. */
struct opt_step {
    float lr; /* the step size */
    float c[OPT_CONSTANTS];
    double exact[3]; /* for those who finish the step size row by row */
};

/* One row. w, g: (dim). slots: (slots, dim). own: (own). Both zeros before the row's first update.
 * slots or own is NULL where there are none. */
typedef void opt_update(const struct opt_step *p, uint32_t dim, float *restrict w,
                        float *restrict slots, float *restrict own, const float *restrict g);
typedef void opt_naive(const struct opt_step *p, uint32_t dim, float *w, float *slots, float *own,
                       const float *g);

/* One way of working of an optimizer: a spec picks it once, when its table is made. */
struct opt_ops {
    /* Is it the way of this spec? NULL: of every spec that those before it have left. */
    bool (*fits)(const struct spec *s);

    uint32_t slots; /* floats of state per weight */
    uint32_t own;   /* words of state per row: a float, or a count (opt_count) */

    /* lr: of this update. steps: T, this update included. */
    void (*prepare)(const struct spec *s, double lr, uint64_t steps, struct opt_step *out);
    opt_update *update;
    opt_naive *naive; /* the same, written for reading; the tests hold the two together */
};

/* The ways of each optimizer; the last has no fits. */
extern const struct opt_ops opt_sgd[], opt_sparse_adam[], opt_adagrad[], opt_rowwise_adagrad[],
    opt_adam[], opt_adamw[], opt_rmsprop[];

/* spec is checked. */
const struct opt_ops *opt_find(const struct spec *s);

/* base^n by squaring: libm's pow differs between CPUs. */
double opt_power(double base, uint64_t n);

/* Counts the updates of a row in one of its own words: how many there are with this one. It stops
 * at 2^32 - 1 rather than begin anew. */
static inline uint32_t opt_count(float *own) {
    uint32_t n;
    memcpy(&n, own, sizeof n);
    n += n != UINT32_MAX;
    memcpy(own, &n, sizeof n);
    return n;
}

#endif
