/* opt_adam.c - torch.optim.Adam and AdamW (torch/optim/adam.py, adamw.py), term by term:
 *
 *     Adam:  d = g + weight_decay * w                AdamW:  w *= 1 - lr * weight_decay;  d = g
 *
 *     m = beta1 * m + (1 - beta1) * d                slots are m (dim), then v (dim)
 *     v = beta2 * v + (1 - beta2) * d * d
 *     w -= lr / (1 - beta1^T) * (m / (sqrt(v) / sqrt(1 - beta2^T) + eps))
 *
 * eps is added to the corrected root: not so in SparseAdam. T is the table's. Lazy: a row that a
 * step does not name keeps its weights, m and v, and does not decay, where torch's dense form would
 * shrink m and v and move the row on. Where every step names every row, as with dense parameters,
 * this is torch. */
#include <math.h>

#include "common/kern.h"
#include "ps/opt.h"

/* Of opt_step.c. One loop does both: KEEP is 1 in Adam, DECAY 0 in AdamW. */
enum { BETA1, BETA2, RATE1, RATE2, ROOT, EPS, DECAY, KEEP };

static void common_prepare(const struct spec *s, double lr, uint64_t steps, struct opt_step *out) {
    const double beta1 = s->opt_arg[ADAM_BETA1], beta2 = s->opt_arg[ADAM_BETA2];
    *out = (struct opt_step){.lr = (float)(lr / (1 - opt_power(beta1, steps)))};
    out->c[BETA1] = (float)beta1;
    out->c[BETA2] = (float)beta2;
    out->c[RATE1] = (float)(1 - beta1);
    out->c[RATE2] = (float)(1 - beta2);
    out->c[ROOT] = (float)sqrt(1 - opt_power(beta2, steps));
    out->c[EPS] = (float)s->opt_arg[ADAM_EPS];
}

static void adam_prepare(const struct spec *s, double lr, uint64_t steps, struct opt_step *out) {
    common_prepare(s, lr, steps, out);
    out->c[DECAY] = (float)s->opt_arg[ADAM_DECAY];
    out->c[KEEP] = 1;
}

static void adamw_prepare(const struct spec *s, double lr, uint64_t steps, struct opt_step *out) {
    common_prepare(s, lr, steps, out);
    out->c[DECAY] = 0;
    out->c[KEEP] = (float)(1 - lr * s->opt_arg[ADAM_DECAY]);
}

KERN_CLONES
static void adam_update(const struct opt_step *p, uint32_t dim, float *restrict w,
                        float *restrict slots, float *restrict own, const float *restrict g) {
    (void)own;
    float *m = slots, *v = slots + dim;
    const float beta1 = p->c[BETA1], beta2 = p->c[BETA2], rate1 = p->c[RATE1], rate2 = p->c[RATE2];
    const float root = p->c[ROOT], eps = p->c[EPS], decay = p->c[DECAY], keep = p->c[KEEP];
    const float size = p->lr;
    for (uint32_t i = 0; i < dim; i++) {
        float kept = keep * w[i];
        float d = g[i] + decay * kept;
        m[i] = beta1 * m[i] + rate1 * d;
        v[i] = beta2 * v[i] + rate2 * d * d;
        w[i] = kept - size * (m[i] / (sqrtf(v[i]) / root + eps));
    }
}

static void adam_naive(const struct opt_step *p, uint32_t dim, float *w, float *slots, float *own,
                       const float *g) {
    (void)own;
    for (uint32_t i = 0; i < dim; i++) {
        float m = slots[i], v = slots[dim + i];
        w[i] = p->c[KEEP] * w[i];
        float d = g[i] + p->c[DECAY] * w[i];
        m = p->c[BETA1] * m + p->c[RATE1] * d;
        v = p->c[BETA2] * v + p->c[RATE2] * d * d;
        slots[i] = m;
        slots[dim + i] = v;
        float denominator = sqrtf(v) / p->c[ROOT] + p->c[EPS];
        w[i] = w[i] - p->lr * (m / denominator);
    }
}

const struct opt_ops opt_adam[] = {
    {.slots = 2, .prepare = adam_prepare, .update = adam_update, .naive = adam_naive},
};
const struct opt_ops opt_adamw[] = {
    {.slots = 2, .prepare = adamw_prepare, .update = adam_update, .naive = adam_naive},
};
