/* opt.c - the registry of optimizers, and the arithmetic that several of them share. */
#include "ps/opt.h"

#include <stddef.h>

static const struct opt_ops *const registry[] = {
    &opt_sgd,
    &opt_sparse_adam,
};

const struct opt_ops *opt_find(uint32_t kind) {
    for (size_t i = 0; i < sizeof registry / sizeof *registry; i++)
        if (registry[i]->kind == kind)
            return registry[i];
    return NULL;
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
