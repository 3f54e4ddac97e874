/* spearman.c - see spearman.h. */
#include "worker/cmd/spearman.h"

#include <math.h>
#include <stdlib.h>

#include "common/err.h"

struct ranked {
    double value, rank;
    size_t at; /* where it stood in the list */
};

static int by_value(const void *a, const void *b) {
    const struct ranked *x = a, *y = b;
    return (x->value > y->value) - (x->value < y->value);
}

static int by_place(const void *a, const void *b) {
    const struct ranked *x = a, *y = b;
    return (x->at > y->at) - (x->at < y->at);
}

static void rank(size_t n, const double *values, struct ranked *out) {
    for (size_t i = 0; i < n; i++)
        out[i] = (struct ranked){.value = values[i], .at = i};
    qsort(out, n, sizeof *out, by_value);
    for (size_t first = 0, last; first < n; first = last + 1) {
        last = first;
        while (last + 1 < n && out[last + 1].value == out[first].value)
            last++;
        for (size_t i = first; i <= last; i++)
            out[i].rank = (double)(first + last) / 2;
    }
    qsort(out, n, sizeof *out, by_place);
}

/* Pearson's correlation of the ranks. Their mean is (n - 1) / 2, ties or not. */
static double correlate(size_t n, const struct ranked *a, const struct ranked *b) {
    double mean = (double)(n - 1) / 2, ab = 0, aa = 0, bb = 0;
    for (size_t i = 0; i < n; i++) {
        double x = a[i].rank - mean, y = b[i].rank - mean;
        ab += x * y;
        aa += x * x;
        bb += y * y;
    }
    return ab / sqrt(aa * bb); /* NaN if one of them does not vary */
}

rh_status spearman(size_t n, const double *a, const double *b, double *out) {
    if (n < 2)
        return err_set(RH_EINVAL, "a correlation needs at least two pairs, and there is %zu", n);
    struct ranked *x = malloc(2 * n * sizeof *x);
    if (!x)
        return err_set(RH_ENOMEM, "no memory to rank %zu pairs", n);
    rank(n, a, x);
    rank(n, b, x + n);
    double r = correlate(n, x, x + n);
    free(x);
    if (isnan(r))
        return err_set(RH_EINVAL, "there is no correlation with a list of equal numbers");
    *out = r;
    return RH_OK;
}
