/* opt_sgd.c - torch.optim.SGD (torch/optim/sgd.py), term by term:
 *
 *     d = g + weight_decay * w
 *     buf = momentum * buf + (1 - dampening) * d      the row's first step: buf = d
 *     d = buf, or with nesterov d + momentum * buf
 *     w -= lr * d
 *
 * Lazy: a row that a step does not name keeps its weights and its buf, and does not decay; its first
 * step is its own, not the table's. torch's sparse form goes on moving every row it has ever seen
 * along its buf, and has no weight decay; where a step names every row, the two are the same.
 *
 * A buf of zeros makes a first step of 1 * d by itself; only with dampening must it be known that
 * the step is the first, so only then does a row have a count of its own. */
#include "common/kern.h"
#include "ps/opt.h"

enum { MOMENTUM, RATE, DECAY }; /* of opt_step.c */

static void sgd_prepare(const struct spec *s, double lr, uint64_t steps, struct opt_step *out) {
    (void)steps;
    *out = (struct opt_step){.lr = (float)lr};
    out->c[MOMENTUM] = (float)s->opt_arg[SGD_MOMENTUM];
    out->c[RATE] = (float)(1 - s->opt_arg[SGD_DAMPENING]);
    out->c[DECAY] = (float)s->opt_arg[SGD_DECAY];
}

/* ---- neither momentum nor weight decay ---- */

static bool is_plain(const struct spec *s) {
    return s->opt_arg[SGD_MOMENTUM] == 0 && s->opt_arg[SGD_DECAY] == 0;
}

KERN_CLONES
static void plain_update(const struct opt_step *p, uint32_t dim, float *restrict w,
                         float *restrict slots, float *restrict own, const float *restrict g) {
    (void)slots, (void)own;
    const float lr = p->lr;
    for (uint32_t i = 0; i < dim; i++)
        w[i] -= lr * g[i];
}

static void plain_naive(const struct opt_step *p, uint32_t dim, float *w, float *slots, float *own,
                        const float *g) {
    (void)slots, (void)own;
    for (uint32_t i = 0; i < dim; i++)
        w[i] = w[i] - p->lr * g[i];
}

/* ---- no momentum ---- */

static bool is_still(const struct spec *s) {
    return s->opt_arg[SGD_MOMENTUM] == 0;
}

KERN_CLONES
static void still_update(const struct opt_step *p, uint32_t dim, float *restrict w,
                         float *restrict slots, float *restrict own, const float *restrict g) {
    (void)slots, (void)own;
    const float lr = p->lr, decay = p->c[DECAY];
    for (uint32_t i = 0; i < dim; i++)
        w[i] -= lr * (g[i] + decay * w[i]);
}

static void still_naive(const struct opt_step *p, uint32_t dim, float *w, float *slots, float *own,
                        const float *g) {
    (void)slots, (void)own;
    for (uint32_t i = 0; i < dim; i++) {
        float d = g[i] + p->c[DECAY] * w[i];
        w[i] = w[i] - p->lr * d;
    }
}

/* ---- nesterov ---- */

static bool is_nesterov(const struct spec *s) {
    return (s->opt_flags & SPEC_NESTEROV) != 0;
}

KERN_CLONES
static void nesterov_update(const struct opt_step *p, uint32_t dim, float *restrict w,
                            float *restrict buf, float *restrict own, const float *restrict g) {
    (void)own;
    const float lr = p->lr, momentum = p->c[MOMENTUM], decay = p->c[DECAY];
    for (uint32_t i = 0; i < dim; i++) {
        float d = g[i] + decay * w[i];
        buf[i] = momentum * buf[i] + d;
        w[i] -= lr * (d + momentum * buf[i]);
    }
}

static void nesterov_naive(const struct opt_step *p, uint32_t dim, float *w, float *buf, float *own,
                           const float *g) {
    (void)own;
    for (uint32_t i = 0; i < dim; i++) {
        float d = g[i] + p->c[DECAY] * w[i];
        float b = p->c[MOMENTUM] * buf[i] + d;
        buf[i] = b;
        d = d + p->c[MOMENTUM] * b;
        w[i] = w[i] - p->lr * d;
    }
}

/* ---- momentum ---- */

static bool is_undampened(const struct spec *s) {
    return s->opt_arg[SGD_DAMPENING] == 0;
}

KERN_CLONES
static void momentum_update(const struct opt_step *p, uint32_t dim, float *restrict w,
                            float *restrict buf, float *restrict own, const float *restrict g) {
    (void)own;
    const float lr = p->lr, momentum = p->c[MOMENTUM], rate = p->c[RATE], decay = p->c[DECAY];
    for (uint32_t i = 0; i < dim; i++) {
        buf[i] = momentum * buf[i] + rate * (g[i] + decay * w[i]);
        w[i] -= lr * buf[i];
    }
}

static void momentum_naive(const struct opt_step *p, uint32_t dim, float *w, float *buf, float *own,
                           const float *g) {
    (void)own;
    for (uint32_t i = 0; i < dim; i++) {
        float d = g[i] + p->c[DECAY] * w[i];
        buf[i] = p->c[MOMENTUM] * buf[i] + p->c[RATE] * d;
        w[i] = w[i] - p->lr * buf[i];
    }
}

/* ---- momentum with dampening ---- */

static struct opt_step step_of_row(const struct opt_step *p, float *own) {
    struct opt_step step = *p;
    if (opt_count(own) == 1)
        step.c[RATE] = 1;
    return step;
}

static void dampened_update(const struct opt_step *p, uint32_t dim, float *restrict w,
                            float *restrict buf, float *restrict own, const float *restrict g) {
    const struct opt_step step = step_of_row(p, own);
    momentum_update(&step, dim, w, buf, NULL, g);
}

static void dampened_naive(const struct opt_step *p, uint32_t dim, float *w, float *buf, float *own,
                           const float *g) {
    const struct opt_step step = step_of_row(p, own);
    momentum_naive(&step, dim, w, buf, NULL, g);
}

const struct opt_ops opt_sgd[] = {
    {.fits = is_plain, .prepare = sgd_prepare, .update = plain_update, .naive = plain_naive},
    {.fits = is_still, .prepare = sgd_prepare, .update = still_update, .naive = still_naive},
    {.fits = is_nesterov,
     .slots = 1,
     .prepare = sgd_prepare,
     .update = nesterov_update,
     .naive = nesterov_naive},
    {.fits = is_undampened,
     .slots = 1,
     .prepare = sgd_prepare,
     .update = momentum_update,
     .naive = momentum_naive},
    {.slots = 1,
     .own = 1,
     .prepare = sgd_prepare,
     .update = dampened_update,
     .naive = dampened_naive},
};
