/* opt_adagrad.c - torch.optim.Adagrad (torch/optim/adagrad.py), term by term:
 *
 *     d = g + weight_decay * w
 *     sum += d * d                          starts as initial_accumulator
 *     w -= clr * (d / (sqrt(sum) + eps))
 *     clr = lr / (1 + (T - 1) * lr_decay)
 *
 * and its row-wise form, as FBGEMM's embedding tables have it (weight decay as L2), where a row has
 * one sum for all its weights:
 *
 *     sum += mean over the row of d * d
 *
 * What is stored is the sum without initial_accumulator, which is added under the root: so a row
 * that never had a step needs no state. T is the table's.
 *
 * Lazy: rows that a step does not name stay as they are. A gradient of zeros would do nothing to
 * them either, so without weight decay this is torch's sparse form and its dense form at once. With
 * it torch has the dense form only; here a row decays when it is named. torch has no row-wise form;
 * at dim 1 the two are one. */
#include <math.h>

#include "common/kern.h"
#include "ps/opt.h"

enum { DECAY, INITIAL, EPS }; /* of opt_step.c */

static void adagrad_prepare(const struct spec *s, double lr, uint64_t steps, struct opt_step *out) {
    const double *arg = s->opt_arg;
    *out = (struct opt_step){.lr = (float)(lr / (1 + (double)(steps - 1) * arg[ADAGRAD_LR_DECAY]))};
    out->c[DECAY] = (float)arg[ADAGRAD_DECAY];
    out->c[INITIAL] = (float)arg[ADAGRAD_INITIAL];
    out->c[EPS] = (float)arg[ADAGRAD_EPS];
}

KERN_CLONES
static void adagrad_update(const struct opt_step *p, uint32_t dim, float *restrict w,
                           float *restrict sum, float *restrict own, const float *restrict g) {
    (void)own;
    const float lr = p->lr, decay = p->c[DECAY], initial = p->c[INITIAL], eps = p->c[EPS];
    for (uint32_t i = 0; i < dim; i++) {
        float d = g[i] + decay * w[i];
        sum[i] += d * d;
        w[i] -= lr * (d / (sqrtf(initial + sum[i]) + eps));
    }
}

static void adagrad_naive(const struct opt_step *p, uint32_t dim, float *w, float *sum, float *own,
                          const float *g) {
    (void)own;
    for (uint32_t i = 0; i < dim; i++) {
        float d = g[i] + p->c[DECAY] * w[i];
        sum[i] = sum[i] + d * d;
        float denominator = sqrtf(p->c[INITIAL] + sum[i]) + p->c[EPS];
        w[i] = w[i] - p->lr * (d / denominator);
    }
}

/* ---- row-wise. The mean has an order that no machine changes: lane l adds the columns l, l + 16,
 * ...; then lanes are folded by halves. ---- */

KERN_CLONES
static void rowwise_update(const struct opt_step *p, uint32_t dim, float *restrict w,
                           float *restrict slots, float *restrict sum, const float *restrict g) {
    (void)slots;
    const float decay = p->c[DECAY];
    const uint32_t whole = dim - dim % KERN_LANES;
    float lane[KERN_LANES] = {0};
    for (uint32_t i = 0; i < whole; i += KERN_LANES) {
        for (uint32_t l = 0; l < KERN_LANES; l++) {
            float d = g[i + l] + decay * w[i + l];
            lane[l] += d * d;
        }
    }
    for (uint32_t i = whole; i < dim; i++) {
        float d = g[i] + decay * w[i];
        lane[i - whole] += d * d;
    }
    for (uint32_t half = KERN_LANES / 2; half > 0; half /= 2)
        for (uint32_t l = 0; l < half; l++)
            lane[l] += lane[l + half];
    *sum += lane[0] / (float)dim;

    const float rate = p->lr / (sqrtf(p->c[INITIAL] + *sum) + p->c[EPS]);
    for (uint32_t i = 0; i < dim; i++)
        w[i] -= rate * (g[i] + decay * w[i]);
}

static void rowwise_naive(const struct opt_step *p, uint32_t dim, float *w, float *slots,
                          float *sum, const float *g) {
    (void)slots;
    float lane[KERN_LANES] = {0};
    for (uint32_t i = 0; i < dim; i++) {
        float d = g[i] + p->c[DECAY] * w[i];
        lane[i % KERN_LANES] += d * d;
    }
    for (uint32_t half = KERN_LANES / 2; half > 0; half /= 2)
        for (uint32_t l = 0; l < half; l++)
            lane[l] += lane[l + half];
    *sum = *sum + lane[0] / (float)dim;
    float denominator = sqrtf(p->c[INITIAL] + *sum) + p->c[EPS];
    for (uint32_t i = 0; i < dim; i++) {
        float d = g[i] + p->c[DECAY] * w[i];
        w[i] = w[i] - p->lr / denominator * d;
    }
}

const struct opt_ops opt_adagrad[] = {
    {.slots = 1, .prepare = adagrad_prepare, .update = adagrad_update, .naive = adagrad_naive},
};
const struct opt_ops opt_rowwise_adagrad[] = {
    {.own = 1, .prepare = adagrad_prepare, .update = rowwise_update, .naive = rowwise_naive},
};
