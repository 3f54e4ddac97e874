/* opt_sgd.c - torch.optim.SGD without momentum: w -= lr * g. No state. */
#include "common/kern.h"
#include "ps/opt.h"

static void sgd_prepare(const struct spec *s, double lr, uint64_t steps, struct opt_step *out) {
    (void)s;
    (void)steps;
    *out = (struct opt_step){.lr = (float)lr};
}

KERN_CLONES
static void sgd_update(const struct opt_step *p, uint32_t dim, float *restrict w,
                       float *restrict state, const float *restrict g) {
    (void)state;
    const float lr = p->lr;
    for (uint32_t i = 0; i < dim; i++)
        w[i] -= lr * g[i];
}

static void sgd_naive(const struct opt_step *p, uint32_t dim, float *w, float *state,
                      const float *g) {
    (void)state;
    for (uint32_t i = 0; i < dim; i++)
        w[i] = w[i] - p->lr * g[i];
}

const struct opt_ops opt_sgd = {
    .kind = SPEC_SGD, .slots = 0, .prepare = sgd_prepare, .update = sgd_update, .naive = sgd_naive};
