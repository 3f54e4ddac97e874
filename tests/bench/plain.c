/* plain.c - what the machine does when nobody asks for a server: naked loops over arrays of the
 * same size, with the same stride, in pages of the same kind, in the order of the ids. The rows that
 * a batch names twice are updated twice. Nothing is fetched ahead. */
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include "common/err.h"
#include "common/kern.h"
#include "tests/bench/bench.h"

struct plain {
    const struct stage *stage;
    size_t bytes;     /* of each array */
    float *w, *m, *v; /* (rows, dim); m and v only for Adam */
};

static void gather(const float *table, size_t dim, const uint64_t *ids, float *out) {
    for (size_t i = 0; i < BENCH_BATCH; i++)
        memcpy(out + i * dim, table + ids[i] * dim, dim * sizeof *out);
}

KERN_CLONES
static void sgd(float *w, size_t dim, const uint64_t *ids, const float *grads) {
    const float lr = 1e-3f;
    for (size_t i = 0; i < BENCH_BATCH; i++) {
        float *restrict row = w + ids[i] * dim;
        const float *restrict g = grads + i * dim;
        for (size_t k = 0; k < dim; k++)
            row[k] -= lr * g[k];
    }
}

/* As torch.optim.SparseAdam at a late step, when both corrections are 1. */
KERN_CLONES
static void adam(const struct plain *p, size_t dim, const uint64_t *ids, const float *grads) {
    const float lr = 1e-3f, rate1 = 0.1f, rate2 = 0.001f, eps = 1e-8f;
    for (size_t i = 0; i < BENCH_BATCH; i++) {
        size_t at = ids[i] * dim;
        float *restrict w = p->w + at, *restrict m = p->m + at, *restrict v = p->v + at;
        const float *restrict g = grads + i * dim;
        for (size_t k = 0; k < dim; k++) {
            m[k] += (g[k] - m[k]) * rate1;
            v[k] += (g[k] * g[k] - v[k]) * rate2;
            w[k] -= lr * (m[k] / (sqrtf(v[k]) + eps));
        }
    }
}

/* ---- the contender ---- */

static bool takes_part(const struct stage *s) {
    (void)s;
    return true;
}

/* In huge pages, as a server would have it (ps/store.c), and touched. */
static float *new_array(size_t bytes) {
    float *a = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (a == MAP_FAILED)
        return NULL;
    (void)madvise(a, bytes, MADV_HUGEPAGE);
    for (size_t i = 0; i < bytes / sizeof *a; i++)
        a[i] = 1e-3f;
    return a;
}

static void close_plain(void *self) {
    struct plain *p = self;
    float *arrays[] = {p->w, p->m, p->v};
    for (size_t i = 0; i < sizeof arrays / sizeof *arrays; i++)
        if (arrays[i] != NULL)
            munmap(arrays[i], p->bytes);
    free(p);
}

static rh_status open_plain(const struct stage *s, void **out) {
    struct plain *p = calloc(1, sizeof *p);
    if (p == NULL)
        return err_set(RH_ENOMEM, "no memory");
    p->stage = s;
    p->bytes = s->rows * s->dim * sizeof *p->w;
    p->w = new_array(p->bytes);
    p->m = s->adam ? new_array(p->bytes) : NULL;
    p->v = s->adam ? new_array(p->bytes) : NULL;
    if (p->w == NULL || (s->adam && (p->m == NULL || p->v == NULL))) {
        err_set(RH_ENOMEM, "no memory for plain arrays of %zu bytes", p->bytes);
        close_plain(p);
        return RH_ENOMEM;
    }
    *out = p;
    return RH_OK;
}

static rh_status run(void *self, const struct job *j) {
    struct plain *p = self;
    const struct stage *s = p->stage;
    for (uint32_t b = 0; b < j->batches; b++) {
        const uint64_t *ids = j->ids + (size_t)b * BENCH_BATCH;
        if (!j->push)
            gather(p->w, s->dim, ids, s->out[b % j->depth]);
        else if (s->adam)
            adam(p, s->dim, ids, s->grads);
        else
            sgd(p->w, s->dim, ids, s->grads);
    }
    return RH_OK;
}

const struct contender bench_plain = {.name = "plain",
                                      .takes_part = takes_part,
                                      .open = open_plain,
                                      .run = run,
                                      .close = close_plain};
