/* opt.h - optimizers, as torch.optim writes them. A new one is one file, one line in the registry
 * (opt.c), one golden test. */
#ifndef PS_OPT_H
#define PS_OPT_H

#include <stdint.h>

#include "proto/spec.h"

/* What is the same for every row of one update: decided once, so that the loops have no branches
 * about it. */
struct opt_step {
    float lr;   /* the step size, computed in double, rounded once */
    float c[4]; /* constants of the formula */
};

struct opt_ops {
    uint32_t kind;  /* enum spec_opt */
    uint32_t slots; /* floats of state per weight; a row's state is (slots, dim) */

    /* lr: of this update. steps: T, this update included. */
    void (*prepare)(const struct spec *s, double lr, uint64_t steps, struct opt_step *out);

    /* One row. w, g: (dim). state: (slots, dim), zeros before the first update. */
    void (*update)(const struct opt_step *p, uint32_t dim, float *restrict w, float *restrict state,
                   const float *restrict g);
    /* The same, written for reading; the tests hold the two together. */
    void (*naive)(const struct opt_step *p, uint32_t dim, float *w, float *state, const float *g);
};

extern const struct opt_ops opt_sgd, opt_sparse_adam;

/* NULL if there is none. */
const struct opt_ops *opt_find(uint32_t kind);

/* base^n by squaring: libm's pow differs between CPUs. */
double opt_power(double base, uint64_t n);

#endif
