/* opt.c - the registry of optimizers, and the arithmetic that several of them share. */
#include "ps/opt.h"

#include <assert.h>
#include <stddef.h>

static const struct opt_ops *const registry[SPEC_OPTS_END] = {
    [SPEC_SGD] = opt_sgd,         [SPEC_SPARSE_ADAM] = opt_sparse_adam,
    [SPEC_ADAGRAD] = opt_adagrad, [SPEC_ROWWISE_ADAGRAD] = opt_rowwise_adagrad,
    [SPEC_ADAM] = opt_adam,       [SPEC_ADAMW] = opt_adamw,
    [SPEC_RMSPROP] = opt_rmsprop,
};

const struct opt_ops *opt_find(const struct spec *s) {
    assert(s->opt < SPEC_OPTS_END && registry[s->opt] != NULL);
    const struct opt_ops *way = registry[s->opt];
    while (way->fits != NULL && !way->fits(s))
        way++;
    return way;
}

double opt_power(double base, uint64_t n) {
    double power = 1;
    for (; n; n >>= 1) {
        if (n & 1)
            power *= base;
        base *= base;
    }
    return power;
}
