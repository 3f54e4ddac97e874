/* fold.h - the sum of a clock's gradients of one table, in an order that does not depend on arrival
 * or on the number of shards: per worker the left fold of its contributions in call order, then the
 * left fold of the workers in rank order. */
#ifndef PS_FOLD_H
#define PS_FOLD_H

#include <stdint.h>

#include "common/idset.h"
#include "common/status.h"

struct fold {
    uint32_t dim;
    struct idset all, own; /* rows of the clock; rows of the worker whose turn it is */
    uint64_t *ids;         /* (all.n) */
    uint64_t *own_ids;     /* (own.n) */
    float *sum, *own_sum;  /* (n, dim) */
    size_t rows_cap;
    uint32_t dim_cap;
};

void fold_init(struct fold *f);
void fold_fini(struct fold *f);

/* Empty, for at most rows_max contributions in all. RH_ENOMEM. Memory is kept from clock to clock.
 */
rh_status fold_begin(struct fold *f, uint32_t dim, size_t rows_max) MUST_CHECK;

/* Adds n rows of the worker whose turn it is; views of a frame, at any address. */
void fold_add(struct fold *f, uint32_t n, const uint8_t *ids, const uint8_t *rows);

/* This worker is done; the next one's rows follow. */
void fold_end_worker(struct fold *f);

/* Multiplies the sums: 1 / W for the mean. */
void fold_scale(struct fold *f, float by);

#endif
