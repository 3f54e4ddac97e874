/* opt_rmsprop.c - torch.optim.RMSprop (torch/optim/rmsprop.py), term by term:
 *
 *     d = g + weight_decay * w
 *     v = alpha * v + (1 - alpha) * d * d
 *     a = sqrt(v) + eps            centered: m = alpha * m + (1 - alpha) * d
 *                                            a = sqrt(v - m * m) + eps
 *     w -= lr * d / a              with momentum: buf = momentum * buf + d / a
 *                                                 w -= lr * buf
 *
 * The slots are v (dim), then m if it is centered, then buf if there is momentum. There is no T.
 * Lazy: a row that a step does not name keeps its weights and all of these, where torch's dense form
 * would shrink them and move the row on. Where every step names every row, this is torch.
 *
 * As in torch, v - m * m may come out below 0 where a gradient hardly changes, and the weight is NaN
 * then: a larger alpha or no centering helps. */
#include <math.h>

#include "common/kern.h"
#include "ps/opt.h"

enum { ALPHA, RATE, EPS, DECAY, MOMENTUM, CENTERED }; /* of opt_step.c */

static void rms_prepare(const struct spec *s, double lr, uint64_t steps, struct opt_step *out) {
    (void)steps;
    const double *arg = s->opt_arg;
    *out = (struct opt_step){.lr = (float)lr};
    out->c[ALPHA] = (float)arg[RMSPROP_ALPHA];
    out->c[RATE] = (float)(1 - arg[RMSPROP_ALPHA]);
    out->c[EPS] = (float)arg[RMSPROP_EPS];
    out->c[DECAY] = (float)arg[RMSPROP_DECAY];
    out->c[MOMENTUM] = (float)arg[RMSPROP_MOMENTUM];
    out->c[CENTERED] = (s->opt_flags & SPEC_CENTERED) != 0;
}

/* The compiler takes both questions out of the loop. */
KERN_CLONES
static void rms_update(const struct opt_step *p, uint32_t dim, float *restrict w,
                       float *restrict slots, float *restrict own, const float *restrict g) {
    (void)own;
    const bool centered = p->c[CENTERED] != 0, moving = p->c[MOMENTUM] != 0;
    float *v = slots, *m = slots + dim, *buf = centered ? m + dim : m;
    const float lr = p->lr, alpha = p->c[ALPHA], rate = p->c[RATE], eps = p->c[EPS];
    const float decay = p->c[DECAY], momentum = p->c[MOMENTUM];
    for (uint32_t i = 0; i < dim; i++) {
        float d = g[i] + decay * w[i];
        v[i] = alpha * v[i] + rate * d * d;
        float square = v[i];
        if (centered) {
            m[i] = alpha * m[i] + rate * d;
            square -= m[i] * m[i];
        }
        float step = d / (sqrtf(square) + eps);
        if (moving) {
            buf[i] = momentum * buf[i] + step;
            step = buf[i];
        }
        w[i] -= lr * step;
    }
}

static void rms_naive(const struct opt_step *p, uint32_t dim, float *w, float *slots, float *own,
                      const float *g) {
    (void)own;
    for (uint32_t i = 0; i < dim; i++) {
        float *slot = slots + i;
        float d = g[i] + p->c[DECAY] * w[i];
        *slot = p->c[ALPHA] * *slot + p->c[RATE] * d * d;
        float square = *slot;
        if (p->c[CENTERED] != 0) {
            slot += dim;
            *slot = p->c[ALPHA] * *slot + p->c[RATE] * d;
            square = square - *slot * *slot;
        }
        float step = d / (sqrtf(square) + p->c[EPS]);
        if (p->c[MOMENTUM] != 0) {
            slot += dim;
            *slot = p->c[MOMENTUM] * *slot + step;
            step = *slot;
        }
        w[i] = w[i] - p->lr * step;
    }
}

static bool has_all(const struct spec *s) {
    return (s->opt_flags & SPEC_CENTERED) != 0 && s->opt_arg[RMSPROP_MOMENTUM] != 0;
}

static bool has_one(const struct spec *s) {
    return (s->opt_flags & SPEC_CENTERED) != 0 || s->opt_arg[RMSPROP_MOMENTUM] != 0;
}

const struct opt_ops opt_rmsprop[] = {
    {.fits = has_all, .slots = 3, .prepare = rms_prepare, .update = rms_update, .naive = rms_naive},
    {.fits = has_one, .slots = 2, .prepare = rms_prepare, .update = rms_update, .naive = rms_naive},
    {.slots = 1, .prepare = rms_prepare, .update = rms_update, .naive = rms_naive},
};
