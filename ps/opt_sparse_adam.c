/* opt_sparse_adam.c - torch.optim.SparseAdam (torch/optim/_functional.py, sparse_adam), term by
 * term:
 *
 *     m += (g - m) * (1 - beta1)            slots are m (dim), then v (dim)
 *     v += (g * g - v) * (1 - beta2)
 *     w -= step_size * (m / (sqrt(v) + eps))
 *     step_size = lr * sqrt(1 - beta2^T) / (1 - beta1^T)
 *
 * eps stands outside the corrected root, so it damps early steps more than in Adam. Lazy: rows that
 * a step does not name stay as they are.
 *
 * T is the table's, as in torch: a row that first comes late in a table's life is taken for a mature
 * one, and its first step is about (1 - beta1) / sqrt(1 - beta2) lr, 3.16 lr as a rule. With
 * steps_per_row T is the row's own count of updates, as several other libraries have it. */
#include <math.h>

#include "common/kern.h"
#include "ps/opt.h"

enum { RATE1, RATE2, EPS }; /* of opt_step.c */
enum { LR, BETA1, BETA2 };  /* of opt_step.exact */

static float step_size(const struct opt_step *p, uint64_t steps) {
    const double correction1 = 1 - opt_power(p->exact[BETA1], steps);
    const double correction2 = 1 - opt_power(p->exact[BETA2], steps);
    return (float)(p->exact[LR] * sqrt(correction2) / correction1);
}

static void adam_prepare(const struct spec *s, double lr, uint64_t steps, struct opt_step *out) {
    const double beta1 = s->opt_arg[ADAM_BETA1], beta2 = s->opt_arg[ADAM_BETA2];
    *out = (struct opt_step){.exact = {[LR] = lr, [BETA1] = beta1, [BETA2] = beta2}};
    out->lr = step_size(out, steps);
    out->c[RATE1] = (float)(1 - beta1);
    out->c[RATE2] = (float)(1 - beta2);
    out->c[EPS] = (float)s->opt_arg[ADAM_EPS];
}

/* ---- T of the table ---- */

static bool counts_by_table(const struct spec *s) {
    return (s->opt_flags & SPEC_STEPS_PER_ROW) == 0;
}

KERN_CLONES
static void adam_update(const struct opt_step *p, uint32_t dim, float *restrict w,
                        float *restrict slots, float *restrict own, const float *restrict g) {
    (void)own;
    float *m = slots, *v = slots + dim;
    const float rate1 = p->c[RATE1], rate2 = p->c[RATE2], eps = p->c[EPS], size = p->lr;
    for (uint32_t i = 0; i < dim; i++) {
        m[i] += (g[i] - m[i]) * rate1;
        v[i] += (g[i] * g[i] - v[i]) * rate2;
        w[i] -= size * (m[i] / (sqrtf(v[i]) + eps));
    }
}

static void adam_naive(const struct opt_step *p, uint32_t dim, float *w, float *slots, float *own,
                       const float *g) {
    (void)own;
    for (uint32_t i = 0; i < dim; i++) {
        float m = slots[i], v = slots[dim + i];
        m = m + (g[i] - m) * p->c[RATE1];
        v = v + (g[i] * g[i] - v) * p->c[RATE2];
        slots[i] = m;
        slots[dim + i] = v;
        float denominator = sqrtf(v) + p->c[EPS];
        w[i] = w[i] - p->lr * (m / denominator);
    }
}

/* ---- T of the row: the same, with a step size of its own ---- */

static struct opt_step step_of_row(const struct opt_step *p, float *own) {
    struct opt_step step = *p;
    step.lr = step_size(p, opt_count(own));
    return step;
}

static void row_update(const struct opt_step *p, uint32_t dim, float *restrict w,
                       float *restrict slots, float *restrict own, const float *restrict g) {
    const struct opt_step step = step_of_row(p, own);
    adam_update(&step, dim, w, slots, NULL, g);
}

static void row_naive(const struct opt_step *p, uint32_t dim, float *w, float *slots, float *own,
                      const float *g) {
    const struct opt_step step = step_of_row(p, own);
    adam_naive(&step, dim, w, slots, NULL, g);
}

const struct opt_ops opt_sparse_adam[] = {
    {.fits = counts_by_table,
     .slots = 2,
     .prepare = adam_prepare,
     .update = adam_update,
     .naive = adam_naive},
    {.slots = 2, .own = 1, .prepare = adam_prepare, .update = row_update, .naive = row_naive},
};
