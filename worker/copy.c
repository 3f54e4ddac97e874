/* copy.c - rows from one table to another, through this client: rows never travel between servers.
 * Stored bits are copied, as torch's prompt.weight[i] = vocab.weight[k] does. */
#include <inttypes.h>
#include <stdlib.h>

#include "common/size.h"
#include "worker/batch.h"

enum { CHUNK_BYTES = 4 << 20 };

static rh_status check_ids(const rh_table *t, const uint64_t *ids, size_t n) {
    for (size_t i = 0; i < n; i++)
        if (ids[i] >= t->spec.rows)
            return err_set(RH_ERANGE,
                           "rh_copy: id %" PRIu64
                           " at position %zu: table %s has ids 0 to %" PRIu64,
                           ids[i], i, t->name, t->spec.rows - 1);
    return RH_OK;
}

static rh_status check(const rh_table *dst, const uint64_t *dst_ids, const rh_table *src,
                       const uint64_t *src_ids, size_t n) {
    rh_status s = client_check(dst->c);
    if (s != RH_OK)
        return s;
    if (src->c != dst->c)
        return err_set(RH_EINVAL, "rh_copy: tables %s and %s belong to different clients",
                       src->name, dst->name);
    if (dst->c->observer)
        return err_set(
            RH_EINVAL,
            "rh_copy: this client is an observer: it may look at table %s, not change it",
            dst->name);
    if (src->spec.dim != dst->spec.dim)
        return err_set(RH_EMISMATCH,
                       "rh_copy: rows of table %s have %u floats, those of table %s have %u",
                       src->name, src->spec.dim, dst->name, dst->spec.dim);
    s = check_ids(src, src_ids, n);
    return s == RH_OK ? check_ids(dst, dst_ids, n) : s;
}

/* How many rows are read before they are written. Within one table all of them: what is read may be
 * written too, and a swap is to be a swap. */
static size_t chunk_rows(const rh_table *dst, const rh_table *src, size_t n) {
    size_t cap = CHUNK_BYTES / (dst->spec.dim * sizeof(float));
    return src == dst || n < cap ? n : cap;
}

rh_status rh_copy(rh_table *dst, const uint64_t *dst_ids, rh_table *src, const uint64_t *src_ids,
                  size_t n) {
    rh_status s = check(dst, dst_ids, src, src_ids, n);
    if (s != RH_OK || n == 0)
        return s;
    size_t cap = chunk_rows(dst, src, n), bytes;
    bool fits = size_mul3(cap, dst->spec.dim, sizeof(float), &bytes);
    float *rows = fits ? malloc(bytes) : NULL;
    if (rows == NULL)
        return err_set(RH_ENOMEM, "rh_copy: no memory for %zu rows of %u floats", cap,
                       dst->spec.dim);
    for (size_t at = 0; s == RH_OK && at < n; at += cap) {
        size_t k = n - at < cap ? n - at : cap;
        s = batch_rows(src, "rh_copy", OP_READ, src_ids + at, k, NULL, rows);
        if (s == RH_OK)
            s = batch_rows(dst, "rh_copy", OP_WRITE, dst_ids + at, k, rows, NULL);
    }
    free(rows);
    return s;
}
