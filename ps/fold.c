/* fold.c - see fold.h. */
#include "ps/fold.h"

#include <stdlib.h>
#include <string.h>

#include "common/err.h"
#include "common/kern.h"
#include "common/size.h"

void fold_init(struct fold *f) {
    *f = (struct fold){0};
    idset_init(&f->all);
    idset_init(&f->own);
}

void fold_fini(struct fold *f) {
    idset_fini(&f->all);
    idset_fini(&f->own);
    free(f->ids);
    free(f->own_ids);
    free(f->sum);
    free(f->own_sum);
    *f = (struct fold){0};
}

static rh_status fold_reserve(struct fold *f, size_t rows, uint32_t dim) {
    if (rows <= f->rows_cap && dim <= f->dim_cap)
        return RH_OK;
    size_t bytes, id_bytes;
    if (!size_mul3(rows, dim, sizeof(float), &bytes) ||
        !size_mul(rows, sizeof(uint64_t), &id_bytes))
        return err_set(RH_ENOMEM, "a clock of %zu rows is too large", rows);
    free(f->ids);
    free(f->own_ids);
    free(f->sum);
    free(f->own_sum);
    f->ids = malloc(id_bytes);
    f->own_ids = malloc(id_bytes);
    f->sum = malloc(bytes);
    f->own_sum = malloc(bytes);
    f->rows_cap = 0;
    f->dim_cap = 0;
    if (f->ids == NULL || f->own_ids == NULL || f->sum == NULL || f->own_sum == NULL)
        return err_set(RH_ENOMEM, "no memory to add up %zu rows of dim %u at the close of a clock",
                       rows, dim);
    f->rows_cap = rows;
    f->dim_cap = dim;
    return RH_OK;
}

rh_status fold_begin(struct fold *f, uint32_t dim, size_t rows_max) {
    f->dim = dim;
    rh_status st = fold_reserve(f, rows_max, dim);
    if (st == RH_OK)
        st = idset_reset(&f->all, rows_max);
    if (st == RH_OK)
        st = idset_reset(&f->own, rows_max);
    return st;
}

/* sums[at] += row, or = row where it is the first. -0.0 + x would differ from x in bits if we began
 * from zeros. */
static void fold_row(float *sum, const uint8_t *row, uint32_t dim, int first) {
    if (first) {
        memcpy(sum, row, dim * sizeof(float));
        return;
    }
    for (uint32_t i = 0; i < dim; i++) {
        float v;
        memcpy(&v, row + i * sizeof v, sizeof v);
        sum[i] += v;
    }
}

void fold_add(struct fold *f, uint32_t n, const uint8_t *ids, const uint8_t *rows) {
    for (uint32_t i = 0; i < n; i++) {
        uint64_t id;
        memcpy(&id, ids + i * sizeof id, sizeof id);
        uint32_t before = f->own.n;
        uint32_t at = idset_add(&f->own, id);
        f->own_ids[at] = id;
        fold_row(f->own_sum + (size_t)at * f->dim, rows + (size_t)i * f->dim * sizeof(float),
                 f->dim, at == before);
    }
}

void fold_end_worker(struct fold *f) {
    for (uint32_t i = 0; i < f->own.n; i++) {
        uint32_t before = f->all.n;
        uint32_t at = idset_add(&f->all, f->own_ids[i]);
        f->ids[at] = f->own_ids[i];
        fold_row(f->sum + (size_t)at * f->dim, (const uint8_t *)(f->own_sum + (size_t)i * f->dim),
                 f->dim, at == before);
    }
    /* Cannot fail: it has had room for as many before. */
    if (idset_reset(&f->own, f->rows_cap) != RH_OK)
        abort();
}

void fold_scale(struct fold *f, float by) {
    kern_scale((size_t)f->all.n * f->dim, by, f->sum);
}
