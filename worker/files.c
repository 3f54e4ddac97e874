/* files.c - a table from a file, and to a file, streamed by this client in chunks of rows. */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/vecload.h"
#include "worker/client.h"
#include "worker/load.h"

_Static_assert((int)VEC_AUTO == RH_FORMAT_AUTO && (int)VEC_NPY == RH_FORMAT_NPY &&
                   (int)VEC_W2V == RH_FORMAT_W2V && (int)VEC_SAFETENSORS == RH_FORMAT_SAFETENSORS &&
                   (int)VEC_W2V_BIN == RH_FORMAT_W2V_BIN && (int)VEC_GLOVE == RH_FORMAT_GLOVE &&
                   (int)VEC_FASTTEXT == RH_FORMAT_FASTTEXT,
               "vecfile.h and rowhouse.h number the formats alike");
#define SAME_ROOM(field) \
    sizeof(((rh_load_report *)0)->field) == sizeof(((struct vecload_report *)0)->field)
_Static_assert(SAME_ROOM(about) && SAME_ROOM(first_matched) && SAME_ROOM(first_missed) &&
                   SAME_ROOM(first_duplicated),
               "vecload.h and rowhouse.h report alike");

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

/* Options as their caller knows them, in the struct as we do: from a program that was built with an
 * older header it ends earlier, and the rest is zeros. */
static rh_status take_options(const char *what, void *ours, size_t ours_size, const void *theirs,
                              size_t oldest_size) {
    uint32_t size = (uint32_t)ours_size;
    if (theirs != NULL)
        memcpy(&size, theirs, sizeof size);
    if (size < oldest_size || size > ours_size)
        return err_set(RH_EINVAL, "%s.size is %" PRIu32 ", not %zu", what, size, ours_size);
    memset(ours, 0, ours_size);
    if (theirs != NULL)
        memcpy(ours, theirs, size);
    return RH_OK;
}

/* ---- loading ---- */

/* Writes the slice's rows. */
static rh_status write_slice(void *t, const struct vecload_slice *k) {
    return rh_write(t, k->ids, k->n, k->rows);
}

static rh_status only_look(void *t, const struct vecload_slice *k) {
    (void)t;
    (void)k;
    return RH_OK;
}

/* number: 0, 1, of two passes that take as long as one another, nearly. */
static void tell_progress(const struct vecload *l, const rh_load_options *o, unsigned number) {
    uint64_t done, total;
    if (o->progress == NULL)
        return;
    vecload_progress(l, &done, &total);
    o->progress(o->progress_arg, number * total + done, 2 * total);
}

/* Reads the file through. */
static rh_status pass(struct vecload *l, rh_status (*with)(void *t, const struct vecload_slice *k),
                      rh_table *t, const rh_load_options *o, unsigned number) {
    struct vecload_slice k = {.end = false};
    rh_status s = RH_OK;
    while (s == RH_OK && !k.end) {
        s = vecload_next(l, &k);
        if (s == RH_OK && k.n > 0)
            s = with(t, &k);
        if (s == RH_OK)
            tell_progress(l, o, number);
    }
    return s;
}

/* The file, and its vocabulary or NULL. */
static rh_status open_files(const char *path, const rh_load_options *o, struct vec_reader **r,
                            struct vocab_file **v) {
    const struct vec_options options = {
        .format = (enum vec_format)o->format, .tensor = o->tensor, .dim = 0};
    *v = NULL;
    rh_status s = vec_open_with(path, &options, r);
    if (s != RH_OK || o->vocab == NULL)
        return s;
    s = vocab_file_open(o->vocab, v);
    if (s != RH_OK)
        vec_close(r);
    return s;
}

static rh_status open_load(rh_table *t, const char *path, const rh_load_options *o,
                           struct vecload **out) {
    const struct vecload_table table = {t->name, t->spec.rows, t->spec.dim};
    struct vec_reader *r;
    struct vocab_file *v;
    rh_status s = open_files(path, o, &r, &v);
    return s == RH_OK ? vecload_new(&table, r, v, out) : s;
}

/* This client reads the file twice: before the first row leaves, all of it has been checked. */
static rh_status load_streamed(rh_table *t, const char *path, const rh_load_options *o,
                               struct vecload_report *report) {
    struct vecload *l = NULL;
    rh_status s = open_load(t, path, o, &l);
    if (s == RH_OK)
        s = pass(l, only_look, t, o, 0);
    if (s == RH_OK) {
        vecload_rewind(l);
        s = pass(l, write_slice, t, o, 1);
    }
    if (s == RH_OK)
        vecload_report(l, report);
    vecload_free(&l);
    return s == RH_OK ? s : err_in(s, "rh_load");
}

static void tell(const struct vecload_report *from, rh_load_report *to) {
    *to = (rh_load_report){.matched = from->matched,
                           .missed = from->missed,
                           .format = (rh_format)from->format,
                           .duplicated = from->duplicated,
                           .unused = from->unused};
    memcpy(to->about, from->about, sizeof to->about);
    memcpy(to->first_matched, from->first_matched, sizeof to->first_matched);
    memcpy(to->first_missed, from->first_missed, sizeof to->first_missed);
    memcpy(to->first_duplicated, from->first_duplicated, sizeof to->first_duplicated);
}

rh_status rh_load(rh_table *t, const char *path, const rh_load_options *options,
                  rh_load_report *report) {
    rh_load_options o;
    struct vecload_report got;
    rh_status s =
        take_options("rh_load_options", &o, sizeof o, options, offsetof(rh_load_options, vocab));
    if (s != RH_OK)
        return err_in(s, "rh_load");
    switch (o.source) {
    case RH_SOURCE_AUTO:
    case RH_SOURCE_CLIENT:
        s = load_streamed(t, path, &o, &got);
        break;
    case RH_SOURCE_SHARD:
        s = load_by_shards(t, path, &o, &got);
        break;
    default:
        return err_set(RH_EINVAL, "rh_load: rh_load_options.source is %d: there is no such source",
                       (int)o.source);
    }
    if (s == RH_OK && o.freeze)
        s = rh_freeze(t, 0, t->spec.rows, 0);
    if (s == RH_OK && report != NULL)
        tell(&got, report);
    return s;
}

rh_status rh_file_about(const char *path, const rh_load_options *options, rh_file_info *out) {
    rh_load_options o;
    struct vec_reader *r;
    struct vocab_file *v;
    rh_status s =
        take_options("rh_load_options", &o, sizeof o, options, offsetof(rh_load_options, vocab));
    if (s == RH_OK && o.source != RH_SOURCE_AUTO && o.source != RH_SOURCE_CLIENT)
        s = err_set(RH_EINVAL,
                    "a file of the servers cannot be seen from here: say the table's size");
    if (s == RH_OK)
        s = open_files(path, &o, &r, &v);
    if (s != RH_OK)
        return err_in(s, "rh_file_about");
    rh_file_info got = {
        .rows = vec_rows(r), .embedding_dim = vec_dim(r), .format = (rh_format)vec_format_of(r)};
    snprintf(got.about, sizeof got.about, "%s", vec_about(r));
    if (v != NULL) {
        got.rows = 0;
        for (uint32_t i = 0; i < vocab_file_count(v); i++)
            if (vocab_file_id(v, i) >= got.rows)
                got.rows = vocab_file_id(v, i) + 1;
    }
    vec_close(&r);
    vocab_file_close(&v);
    *out = got;
    return RH_OK;
}

/* ---- exporting ---- */

/* The word of row at + i: the caller's, the vocabulary's, or the id in figures. */
static rh_status word_for(const rh_export_options *o, const struct vocab_file *vocab, uint64_t at,
                          uint64_t id, char figures[24], const char **out) {
    uint32_t i;
    if (o->words != NULL) {
        *out = o->words[at];
        return RH_OK;
    }
    snprintf(figures, 24, "%" PRIu64, id);
    *out = figures;
    if (vocab == NULL)
        return RH_OK;
    if (!vocab_file_find_id(vocab, id, &i))
        return err_set(RH_EINVAL, "%s has no word for row %" PRIu64, o->vocab, id);
    *out = vocab_file_word(vocab, i);
    return RH_OK;
}

static rh_status put_chunk(rh_table *t, const rh_export_options *o, const struct vocab_file *vocab,
                           uint64_t at, struct chunk *k, struct vec_writer *w) {
    for (size_t i = 0; i < k->n; i++)
        k->ids[i] = o->ids == NULL ? at + i : o->ids[at + i];
    rh_status s = rh_pull(t, k->ids, k->n, k->rows);
    for (size_t i = 0; s == RH_OK && i < k->n; i++) {
        char figures[24];
        const char *word;
        s = word_for(o, vocab, at + i, k->ids[i], figures, &word);
        if (s == RH_OK)
            s = vec_put(w, word, k->rows + i * t->spec.dim);
    }
    return s;
}

/* o->n and what else is left to us is settled. */
static rh_status export(rh_table *t, const char *path, const rh_export_options *o,
                        const struct vocab_file *vocab) {
    const struct vec_options options = {.format = (enum vec_format)o->format, .tensor = o->tensor};
    struct chunk k;
    struct vec_writer *w = NULL;
    rh_status s = chunk_init(&k, t->spec.dim);
    if (s == RH_OK)
        s = vec_create_with(path, &options, o->n, t->spec.dim, &w);
    for (uint64_t at = 0; s == RH_OK && at < o->n; at += k.n) {
        k.n = o->n - at < k.cap ? (size_t)(o->n - at) : k.cap;
        s = put_chunk(t, o, vocab, at, &k, w);
        if (s == RH_OK && o->progress != NULL)
            o->progress(o->progress_arg, at + k.n, o->n);
    }
    if (s == RH_OK)
        s = vec_commit(&w);
    vec_abandon(&w);
    chunk_fini(&k);
    return s;
}

rh_status rh_export(rh_table *t, const char *path, const rh_export_options *options) {
    rh_export_options o;
    struct vocab_file *vocab = NULL;
    rh_status s = take_options("rh_export_options", &o, sizeof o, options,
                               offsetof(rh_export_options, vocab));
    if (s == RH_OK && o.ids == NULL && o.n > t->spec.rows)
        s = err_set(RH_ERANGE, "%" PRIu64 " rows of table %s, which has %" PRIu64, o.n, t->name,
                    t->spec.rows);
    if (s == RH_OK && o.vocab != NULL && o.words == NULL)
        s = vocab_file_open(o.vocab, &vocab);
    if (s == RH_OK && o.ids == NULL && o.n == 0)
        o.n = t->spec.rows;
    if (s == RH_OK && o.tensor == NULL)
        o.tensor = t->name;
    if (s == RH_OK)
        s = export(t, path, &o, vocab);
    vocab_file_close(&vocab);
    return s == RH_OK ? s : err_in(s, "rh_export");
}
