/* opt_sparse_adam.c - torch.optim.SparseAdam (torch/optim/_functional.py, sparse_adam), term by
 * term:
 *
 *     m += (g - m) * (1 - beta1)            state is m (dim), then v (dim)
 *     v += (g * g - v) * (1 - beta2)
 *     w -= step_size * (m / (sqrt(v) + eps))
 *     step_size = lr * sqrt(1 - beta2^T) / (1 - beta1^T)
 *
 * T is the table's; eps stands outside the corrected root; rows that a step does not name stay as
 * they are. Constants are computed in double and rounded once, as torch does with its scalars. */
#include <math.h>

#include "common/kern.h"
#include "ps/opt.h"

enum { ARG_BETA1, ARG_BETA2, ARG_EPS };    /* of spec.opt_arg */
enum { STEP_RATE1, STEP_RATE2, STEP_EPS }; /* of opt_step.c */

static void adam_prepare(const struct spec *s, double lr, uint64_t steps, struct opt_step *out) {
    const double beta1 = s->opt_arg[ARG_BETA1], beta2 = s->opt_arg[ARG_BETA2];
    const double correction1 = 1 - opt_power(beta1, steps);
    const double correction2 = 1 - opt_power(beta2, steps);
    *out = (struct opt_step){.lr = (float)(lr * sqrt(correction2) / correction1)};
    out->c[STEP_RATE1] = (float)(1 - beta1);
    out->c[STEP_RATE2] = (float)(1 - beta2);
    out->c[STEP_EPS] = (float)s->opt_arg[ARG_EPS];
}

KERN_CLONES
static void adam_update(const struct opt_step *p, uint32_t dim, float *restrict w,
                        float *restrict state, const float *restrict g) {
    float *m = state, *v = state + dim;
    const float rate1 = p->c[STEP_RATE1], rate2 = p->c[STEP_RATE2], eps = p->c[STEP_EPS];
    const float step_size = p->lr;
    for (uint32_t i = 0; i < dim; i++) {
        m[i] += (g[i] - m[i]) * rate1;
        v[i] += (g[i] * g[i] - v[i]) * rate2;
        w[i] -= step_size * (m[i] / (sqrtf(v[i]) + eps));
    }
}

static void adam_naive(const struct opt_step *p, uint32_t dim, float *w, float *state,
                       const float *g) {
    for (uint32_t i = 0; i < dim; i++) {
        float m = state[i], v = state[dim + i];
        m = m + (g[i] - m) * p->c[STEP_RATE1];
        v = v + (g[i] * g[i] - v) * p->c[STEP_RATE2];
        state[i] = m;
        state[dim + i] = v;
        float denominator = sqrtf(v) + p->c[STEP_EPS];
        w[i] = w[i] - p->lr * (m / denominator);
    }
}

const struct opt_ops opt_sparse_adam = {.kind = SPEC_SPARSE_ADAM,
                                        .slots = 2,
                                        .prepare = adam_prepare,
                                        .update = adam_update,
                                        .naive = adam_naive};
