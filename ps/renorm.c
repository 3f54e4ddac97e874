/* renorm.c - see renorm.h. */
#include "ps/renorm.h"

#include <assert.h>

#include "common/kern.h"

/* torch's, so that our rows are as much below max_norm as its rows. */
#define EPS 1e-7

bool renorm_row(const struct spec *s, float *row) {
    assert(s->max_norm > 0);
    double norm = kern_norm(s->dim, row, s->norm_type);
    /* A row with NaN stays as it is: its norm is NaN, which is above nothing. */
    if (!(norm > s->max_norm))
        return false;
    kern_scale(s->dim, (float)(s->max_norm / (norm + EPS)), row);
    return true;
}
