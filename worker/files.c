/* files.c - a table from a file, and to a file, streamed by this client in chunks of rows. */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/size.h"
#include "common/vecfile.h"
#include "worker/client.h"

_Static_assert((int)VEC_AUTO == RH_FORMAT_AUTO && (int)VEC_NPY == RH_FORMAT_NPY &&
                   (int)VEC_W2V == RH_FORMAT_W2V,
               "vecfile.h and rowhouse.h number the formats alike");

enum { CHUNK_BYTES = 4 << 20 };

/* Some rows with their ids. */
struct chunk {
    uint64_t *ids;
    float *rows;
    size_t cap, n;
};

static rh_status chunk_init(struct chunk *k, uint32_t dim) {
    *k = (struct chunk){.cap = CHUNK_BYTES / (dim * sizeof(float))};
    k->ids = malloc(k->cap * sizeof *k->ids);
    k->rows = malloc(k->cap * dim * sizeof *k->rows);
    if (k->ids == NULL || k->rows == NULL)
        return err_set(RH_ENOMEM, "no memory for %zu rows at a time", k->cap);
    return RH_OK;
}

static void chunk_fini(struct chunk *k) {
    free(k->ids);
    free(k->rows);
}

/* ---- loading ---- */

static rh_status open_for(const rh_table *t, const char *path, enum vec_format format,
                          struct vec_reader **out) {
    struct vec_reader *r;
    rh_status s = vec_open(path, format, &r);
    if (s != RH_OK)
        return s;
    if (vec_dim(r) != t->spec.dim)
        s = err_set(RH_EMISMATCH, "%s has rows of %u floats, table %s of %u", path, vec_dim(r),
                    t->name, t->spec.dim);
    else if (vec_rows(r) > t->spec.rows)
        s = err_set(RH_EMISMATCH, "%s has %" PRIu64 " rows, table %s only %" PRIu64, path,
                    vec_rows(r), t->name, t->spec.rows);
    if (s != RH_OK)
        vec_close(&r);
    else
        *out = r;
    return s;
}

/* Reads the file to its end; writes its rows unless this is only to check it. */
static rh_status read_through(rh_table *t, struct vec_reader *r, struct chunk *k, bool write) {
    uint64_t rows = vec_rows(r);
    uint32_t dim = t->spec.dim;
    rh_status s = RH_OK;
    for (uint64_t i = 0; s == RH_OK && i < rows; i++) {
        k->ids[k->n] = i;
        s = vec_next(r, NULL, k->rows + k->n * dim);
        k->n++;
        if (s != RH_OK || (k->n < k->cap && i + 1 < rows))
            continue;
        if (write)
            s = rh_write(t, k->ids, k->n, k->rows);
        k->n = 0;
    }
    if (s != RH_OK)
        return s;
    s = vec_next(r, NULL, k->rows); /* proves that the file ends where it should */
    return s == RH_ENOTFOUND ? RH_OK : s;
}

static rh_status pass(rh_table *t, const char *path, enum vec_format format, struct chunk *k,
                      bool write, rh_load_report *report) {
    struct vec_reader *r;
    rh_status s = open_for(t, path, format, &r);
    if (s != RH_OK)
        return s;
    s = read_through(t, r, k, write);
    report->matched = vec_rows(r);
    report->missed = t->spec.rows - vec_rows(r);
    report->format = (rh_format)vec_format_of(r);
    vec_close(&r);
    return s;
}

rh_status rh_load(rh_table *t, const char *path, const rh_load_options *o, rh_load_report *report) {
    if (o != NULL && o->size != sizeof *o)
        return err_set(RH_EINVAL, "rh_load: rh_load_options.size is %u, not %zu", o->size,
                       sizeof *o);
    enum vec_format format = o == NULL ? VEC_AUTO : (enum vec_format)o->format;
    struct chunk k;
    rh_load_report seen;
    rh_status s = chunk_init(&k, t->spec.dim);
    if (s == RH_OK)
        s = pass(t, path, format, &k, false, &seen);
    if (s == RH_OK)
        s = pass(t, path, format, &k, true, &seen);
    chunk_fini(&k);
    if (s == RH_OK && report != NULL)
        *report = seen;
    return s == RH_OK ? s : err_in(s, "rh_load");
}

/* ---- exporting ---- */

static rh_status put_chunk(rh_table *t, const rh_export_options *o, uint64_t at, struct chunk *k,
                           struct vec_writer *w) {
    for (size_t i = 0; i < k->n; i++)
        k->ids[i] = o->ids == NULL ? at + i : o->ids[at + i];
    rh_status s = rh_read(t, k->ids, k->n, k->rows);
    for (size_t i = 0; s == RH_OK && i < k->n; i++) {
        char figures[24];
        snprintf(figures, sizeof figures, "%" PRIu64, k->ids[i]);
        s = vec_put(w, o->words == NULL ? figures : o->words[at + i], k->rows + i * t->spec.dim);
    }
    return s;
}

rh_status rh_export(rh_table *t, const char *path, const rh_export_options *options) {
    rh_export_options o = {.size = sizeof o};
    if (options != NULL)
        o = *options;
    if (o.size != sizeof o)
        return err_set(RH_EINVAL, "rh_export: rh_export_options.size is %u, not %zu", o.size,
                       sizeof o);
    if (o.ids == NULL && o.n > t->spec.rows)
        return err_set(RH_ERANGE, "rh_export: %" PRIu64 " rows of table %s, which has %" PRIu64,
                       o.n, t->name, t->spec.rows);
    if (o.ids == NULL && o.n == 0)
        o.n = t->spec.rows;
    struct chunk k;
    struct vec_writer *w = NULL;
    rh_status s = chunk_init(&k, t->spec.dim);
    if (s == RH_OK)
        s = vec_create(path, (enum vec_format)o.format, o.n, t->spec.dim, &w);
    for (uint64_t at = 0; s == RH_OK && at < o.n; at += k.n) {
        k.n = o.n - at < k.cap ? (size_t)(o.n - at) : k.cap;
        s = put_chunk(t, &o, at, &k, w);
    }
    if (s == RH_OK)
        s = vec_commit(&w);
    vec_abandon(&w);
    chunk_fini(&k);
    return s == RH_OK ? s : err_in(s, "rh_export");
}
