/* bags.c - bags of rows, pooled here in the order of their positions, and the way back: what torch's
 * embedding_bag computes, out of rows that were pulled, and of gradients that are then pushed. */
#include <stdlib.h>
#include <string.h>

#include "common/kern.h"
#include "common/size.h"
#include "worker/batch.h"

/* ---- the bags, checked ---- */

/* Where a bag begins and ends is a question of offsets alone from here on. */
struct view {
    size_t dim, n, n_bags;
    const uint64_t *ids, *offsets;
    size_t each; /* without offsets: positions of a bag */
    bool last;   /* offsets has one more */
    rh_bag_mode mode;
    const float *weights; /* (n) or NULL */
    uint64_t padding;     /* no id is SPEC_NO_PADDING */
};

void rh_bags_init(rh_bags *bags, const uint64_t *ids, size_t n, const uint64_t *offsets,
                  size_t n_bags) {
    *bags = (rh_bags){.size = sizeof *bags,
                      .mode = RH_BAG_MEAN,
                      .ids = ids,
                      .n = n,
                      .offsets = offsets,
                      .n_bags = n_bags};
}

static rh_status check_mode(const char *what, const rh_table *t, const rh_bags *b) {
    if (b->mode != RH_BAG_SUM && b->mode != RH_BAG_MEAN && b->mode != RH_BAG_MAX)
        return err_set(RH_EINVAL, "%s: rh_bags.mode is %d: there are sum (%d), mean (%d), max (%d)",
                       what, (int)b->mode, RH_BAG_SUM, RH_BAG_MEAN, RH_BAG_MAX);
    if (b->per_sample_weights != NULL && b->mode != RH_BAG_SUM)
        return err_set(RH_EINVAL, "%s: per_sample_weights go with mode sum only, not with %s", what,
                       b->mode == RH_BAG_MEAN ? "mean" : "max");
    if (t->spec.scale_grad_by_freq != 0 && b->mode == RH_BAG_MAX)
        return err_set(RH_EINVAL, "%s: table %s has scale_grad_by_freq, which mode max has not",
                       what, t->name);
    return RH_OK;
}

/* Offsets are not to be trusted: what they say is where we read and write. */
static rh_status check_offsets(const char *what, const rh_bags *b) {
    size_t count = b->n_bags + (b->include_last_offset ? 1 : 0);
    for (size_t i = 0; i < count; i++) {
        uint64_t at = b->offsets[i], before = i == 0 ? 0 : b->offsets[i - 1];
        if (i == 0 && at != 0)
            return err_set(RH_EINVAL, "%s: offsets[0] is %llu: the first bag begins at 0", what,
                           (unsigned long long)at);
        if (at < before)
            return err_set(RH_EINVAL, "%s: offsets[%zu] is %llu, below the %llu before it", what, i,
                           (unsigned long long)at, (unsigned long long)before);
        if (at > b->n)
            return err_set(RH_EINVAL, "%s: offsets[%zu] is %llu: there are %zu ids", what, i,
                           (unsigned long long)at, b->n);
    }
    /* torch 1.13 lets it be less, and then divides a mean by the wrong count, and writes beyond an
     * array in max. */
    if (b->include_last_offset && b->offsets[b->n_bags] != b->n)
        return err_set(RH_EINVAL,
                       "%s: offsets[%zu], the end of the last bag, is %llu: there are %zu ids",
                       what, b->n_bags, (unsigned long long)b->offsets[b->n_bags], b->n);
    return RH_OK;
}

static rh_status view_make(const char *what, const rh_table *t, const rh_bags *b, struct view *v) {
    if (b->size != sizeof *b)
        return err_set(RH_EINVAL, "%s: rh_bags.size is %u, not %zu: fill it in with rh_bags_init",
                       what, b->size, sizeof *b);
    rh_status s = check_mode(what, t, b);
    if (s == RH_OK && b->n_bags == 0 && b->n > 0)
        s = err_set(RH_EINVAL, "%s: %zu ids and no bag", what, b->n);
    if (s == RH_OK && b->offsets != NULL)
        s = check_offsets(what, b);
    if (s != RH_OK)
        return s;
    if (b->offsets == NULL && b->n_bags > 0 && b->n % b->n_bags != 0)
        return err_set(RH_EINVAL,
                       "%s: %zu ids do not make %zu bags of one size, and there are no offsets",
                       what, b->n, b->n_bags);
    size_t cells, bytes;
    if (!size_mul3(b->n, t->spec.dim, sizeof(float), &bytes) ||
        !size_mul3(b->n_bags, t->spec.dim, sizeof(float), &cells))
        return err_set(RH_EINVAL, "%s: %zu ids in %zu bags of %u floats do not fit memory", what,
                       b->n, b->n_bags, t->spec.dim);
    *v = (struct view){.dim = t->spec.dim,
                       .n = b->n,
                       .n_bags = b->n_bags,
                       .ids = b->ids,
                       .offsets = b->offsets,
                       .each = b->n_bags > 0 ? b->n / b->n_bags : 0,
                       .last = b->include_last_offset != 0,
                       .mode = b->mode,
                       .weights = b->per_sample_weights,
                       .padding = t->spec.padding_idx};
    return RH_OK;
}

/* One bag: positions at .. end - 1, of which count take part. */
struct bag {
    size_t at, end, count;
};

static struct bag bag_of(const struct view *v, size_t i) {
    struct bag b = {.at = i * v->each, .end = (i + 1) * v->each};
    if (v->offsets != NULL) {
        b.at = v->offsets[i];
        b.end = i + 1 < v->n_bags || v->last ? v->offsets[i + 1] : v->n;
    }
    for (size_t pos = b.at; pos < b.end; pos++)
        b.count += v->ids[pos] != v->padding;
    return b;
}

/* ---- forward ---- */

/* rows: (n, dim). out: (dim). */
static void pool_sum(const struct view *v, const struct bag *b, const float *rows, float *out) {
    memset(out, 0, v->dim * sizeof *out);
    for (size_t pos = b->at; pos < b->end; pos++) {
        if (v->ids[pos] == v->padding)
            continue;
        if (v->weights != NULL)
            kern_axpy(v->dim, v->weights[pos], rows + pos * v->dim, out);
        else
            kern_add(v->dim, rows + pos * v->dim, out);
    }
    if (v->mode == RH_BAG_MEAN && b->count > 0)
        kern_scale(v->dim, 1.0f / (float)b->count, out);
}

static void pool_max(const struct view *v, const struct bag *b, const float *rows, float *out) {
    bool first = true;
    for (size_t pos = b->at; pos < b->end; pos++) {
        if (v->ids[pos] == v->padding)
            continue;
        if (first)
            memcpy(out, rows + pos * v->dim, v->dim * sizeof *out);
        else
            kern_max(v->dim, rows + pos * v->dim, out);
        first = false;
    }
    if (first)
        memset(out, 0, v->dim * sizeof *out);
}

static void pool(const struct view *v, const float *rows, float *out) {
    for (size_t i = 0; i < v->n_bags; i++) {
        struct bag b = bag_of(v, i);
        if (v->mode == RH_BAG_MAX)
            pool_max(v, &b, rows, out + i * v->dim);
        else
            pool_sum(v, &b, rows, out + i * v->dim);
    }
}

/* ---- backward ---- */

enum { COLUMNS = 64 }; /* at a time, so that what max remembers of them is on the stack */

/* g: (dim). row_grads: (n, dim), of this bag zeros. Each column's gradient goes to the row that was
 * its maximum, the first of equals. */
static void unpool_max(const struct view *v, const struct bag *b, const float *g, const float *rows,
                       float *row_grads) {
    size_t from[COLUMNS];
    float top[COLUMNS];
    for (size_t d = 0; d < v->dim; d += COLUMNS) {
        size_t n = v->dim - d < COLUMNS ? v->dim - d : COLUMNS;
        bool first = true;
        for (size_t pos = b->at; pos < b->end; pos++) {
            const float *row = rows + pos * v->dim + d;
            if (v->ids[pos] == v->padding)
                continue;
            for (size_t k = 0; k < n; k++)
                if (first || row[k] > top[k]) {
                    top[k] = row[k];
                    from[k] = pos;
                }
            first = false;
        }
        for (size_t k = 0; k < n && !first; k++)
            row_grads[from[k] * v->dim + d + k] = g[d + k];
    }
}

static void unpool_sum(const struct view *v, const struct bag *b, const float *g,
                       float *row_grads) {
    for (size_t pos = b->at; pos < b->end; pos++) {
        float *to = row_grads + pos * v->dim;
        if (v->ids[pos] == v->padding)
            continue;
        memcpy(to, g, v->dim * sizeof *to);
        if (v->weights != NULL)
            kern_scale(v->dim, v->weights[pos], to);
        else if (v->mode == RH_BAG_MEAN)
            kern_scale(v->dim, 1.0f / (float)b->count, to);
    }
}

static void unpool_weights(const struct view *v, const struct bag *b, const float *g,
                           const float *rows, float *d_weights) {
    for (size_t pos = b->at; pos < b->end; pos++)
        d_weights[pos] = v->ids[pos] == v->padding ? 0 : kern_dot(v->dim, g, rows + pos * v->dim);
}

static void unpool(const struct view *v, const float *grads, const float *rows, float *row_grads,
                   float *d_weights) {
    memset(row_grads, 0, v->n * v->dim * sizeof *row_grads);
    for (size_t i = 0; i < v->n_bags; i++) {
        struct bag b = bag_of(v, i);
        const float *g = grads + i * v->dim;
        if (v->mode == RH_BAG_MAX)
            unpool_max(v, &b, g, rows, row_grads);
        else
            unpool_sum(v, &b, g, row_grads);
        if (d_weights != NULL)
            unpool_weights(v, &b, g, rows, d_weights);
    }
}

/* What the gradients are made of must be there. */
static rh_status check_back(const char *what, const struct view *v, const float *rows,
                            const float *d_weights) {
    if (d_weights != NULL && v->weights == NULL)
        return err_set(RH_EINVAL, "%s: a gradient of weights, but no per_sample_weights", what);
    if (rows == NULL && (v->mode == RH_BAG_MAX || d_weights != NULL))
        return err_set(RH_EINVAL, "%s: %s needs the rows that rh_pull_bags gave", what,
                       v->mode == RH_BAG_MAX ? "mode max" : "the gradient of per_sample_weights");
    return RH_OK;
}

/* ---- the functions of rowhouse.h ---- */

rh_status rh_bags_pool(const rh_table *t, const rh_bags *bags, const float *rows, float *out) {
    struct view v;
    rh_status s = view_make("rh_bags_pool", t, bags, &v);
    if (s == RH_OK)
        pool(&v, rows, out);
    return s;
}

rh_status rh_bags_unpool(const rh_table *t, const rh_bags *bags, const float *grads,
                         const float *rows, float *row_grads, float *d_weights) {
    struct view v;
    rh_status s = view_make("rh_bags_unpool", t, bags, &v);
    if (s == RH_OK)
        s = check_back("rh_bags_unpool", &v, rows, d_weights);
    if (s == RH_OK)
        unpool(&v, grads, rows, row_grads, d_weights);
    return s;
}

/* (n, dim), not to be NULL where n is 0. */
static float *new_rows(const char *what, const struct view *v) {
    float *rows = malloc(v->n > 0 ? v->n * v->dim * sizeof *rows : 1);
    if (rows == NULL)
        err_set(RH_ENOMEM, "%s: no memory for %zu rows of %zu floats", what, v->n, v->dim);
    return rows;
}

rh_status rh_pull_bags(rh_table *t, const rh_bags *bags, float *out, float *rows) {
    static const char what[] = "rh_pull_bags";
    struct view v;
    rh_status s = view_make(what, t, bags, &v);
    if (s != RH_OK)
        return s;
    float *own = rows == NULL ? new_rows(what, &v) : NULL;
    float *got = rows == NULL ? own : rows;
    if (got == NULL)
        return RH_ENOMEM;
    s = batch_rows(t, what, OP_PULL, v.ids, v.n, NULL, got);
    if (s == RH_OK)
        pool(&v, got, out);
    free(own);
    return s;
}

rh_status rh_push_bags(rh_table *t, const rh_bags *bags, const float *grads, const float *rows,
                       float *d_weights) {
    static const char what[] = "rh_push_bags";
    struct view v;
    rh_status s = view_make(what, t, bags, &v);
    if (s == RH_OK)
        s = check_back(what, &v, rows, d_weights);
    if (s != RH_OK)
        return s;
    float *row_grads = new_rows(what, &v);
    if (row_grads == NULL)
        return RH_ENOMEM;
    unpool(&v, grads, rows, row_grads, d_weights);
    s = batch_rows(t, what, OP_PUSH, v.ids, v.n, row_grads, NULL);
    free(row_grads);
    return s;
}
