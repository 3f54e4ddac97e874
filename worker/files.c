/* files.c - a table from a file, and to a file, streamed by this client in chunks of rows. */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/vecfile.h"
#include "common/vocab.h"
#include "worker/client.h"

_Static_assert((int)VEC_AUTO == RH_FORMAT_AUTO && (int)VEC_NPY == RH_FORMAT_NPY &&
                   (int)VEC_W2V == RH_FORMAT_W2V && (int)VEC_SAFETENSORS == RH_FORMAT_SAFETENSORS &&
                   (int)VEC_W2V_BIN == RH_FORMAT_W2V_BIN && (int)VEC_GLOVE == RH_FORMAT_GLOVE &&
                   (int)VEC_FASTTEXT == RH_FORMAT_FASTTEXT,
               "vecfile.h and rowhouse.h number the formats alike");

enum { CHUNK_BYTES = 4 << 20, LISTED_MAX = 5 };

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

struct load {
    rh_table *t;
    struct vec_reader *r;
    struct vocab_file *vocab; /* NULL: row i of the file is row i of the table */
    uint8_t *seen;            /* (words of the vocabulary / 8 + 1) bits: has come in this pass */
    struct chunk chunk;
    rh_load_report report;
};

/* The count-th of a kind, from 1 on: the first few are listed, then dots. */
static void list(char out[128], uint64_t count, const char *name) {
    size_t len = strlen(out), need = strlen(name) + strlen(", ");
    if (count > LISTED_MAX + 1 || (len >= 3 && strcmp(out + len - 3, "...") == 0))
        return;
    bool fits = count <= LISTED_MAX && len + need + strlen(", ...") < 128;
    snprintf(out + len, 128 - len, "%s%s", len > 0 ? ", " : "", fits ? name : "...");
}

static rh_status flush(struct load *l) {
    rh_status s = rh_write(l->t, l->chunk.ids, l->chunk.n, l->chunk.rows);
    l->chunk.n = 0;
    return s;
}

/* Reads a file of no vocabulary through; writes its rows unless this is only to check it. */
static rh_status pass_in_order(struct load *l, bool write) {
    struct chunk *k = &l->chunk;
    for (uint64_t at = 0;;) {
        uint64_t n;
        rh_status s = vec_next_rows(l->r, k->cap, k->rows, &n);
        if (s != RH_OK || n == 0)
            return s;
        for (uint64_t i = 0; i < n; i++)
            k->ids[i] = at + i;
        k->n = (size_t)n;
        at += n;
        s = write ? flush(l) : RH_OK;
        if (s != RH_OK)
            return s;
    }
}

/* Whether the row just passed over is to be written, and counts it for the report. */
static bool claim(struct load *l, const char *word, uint64_t *id) {
    uint32_t i;
    if (!vocab_file_find(l->vocab, word, &i)) {
        l->report.unused++;
        return false;
    }
    uint8_t bit = (uint8_t)(1 << i % 8);
    if (l->seen[i / 8] & bit) {
        list(l->report.first_duplicated, ++l->report.duplicated, word);
        return false;
    }
    l->seen[i / 8] |= bit;
    list(l->report.first_matched, ++l->report.matched, word);
    *id = vocab_file_id(l->vocab, i);
    return true;
}

/* The same by words. The check looks at every number, also of rows that nobody wants. */
static rh_status pass_by_word(struct load *l, bool write) {
    struct chunk *k = &l->chunk;
    const char *word;
    rh_status s;
    memset(l->seen, 0, vocab_file_count(l->vocab) / 8 + 1);
    l->report.matched = l->report.duplicated = l->report.unused = 0;
    l->report.first_matched[0] = l->report.first_duplicated[0] = '\0';
    while ((s = vec_next(l->r, &word, write ? NULL : k->rows)) == RH_OK) {
        if (!claim(l, word, &k->ids[k->n]) || !write)
            continue;
        s = vec_row(l->r, k->rows + k->n * l->t->spec.dim);
        k->n++;
        if (s == RH_OK && k->n == k->cap)
            s = flush(l);
        if (s != RH_OK)
            return s;
    }
    if (s == RH_ENOTFOUND)
        s = k->n > 0 ? flush(l) : RH_OK;
    return s;
}

static void report_in_order(struct load *l) {
    rh_load_report *report = &l->report;
    char figures[24];
    report->matched = vec_rows(l->r);
    report->missed = l->t->spec.rows - report->matched;
    for (uint64_t i = 0; i < report->matched && i <= LISTED_MAX; i++) {
        snprintf(figures, sizeof figures, "%" PRIu64, i);
        list(report->first_matched, i + 1, figures);
    }
    for (uint64_t i = 0; i < report->missed && i <= LISTED_MAX; i++) {
        snprintf(figures, sizeof figures, "%" PRIu64, report->matched + i);
        list(report->first_missed, i + 1, figures);
    }
}

static void report_missed_words(struct load *l) {
    uint32_t words = vocab_file_count(l->vocab);
    for (uint32_t i = 0; i < words; i++)
        if (!(l->seen[i / 8] & 1 << i % 8))
            list(l->report.first_missed, ++l->report.missed, vocab_file_word(l->vocab, i));
}

static rh_status open_vocab(struct load *l, const char *path) {
    rh_status s = vocab_file_open(path, &l->vocab);
    if (s != RH_OK)
        return s;
    uint32_t words = vocab_file_count(l->vocab);
    for (uint32_t i = 0; i < words; i++)
        if (vocab_file_id(l->vocab, i) >= l->t->spec.rows)
            return err_set(RH_ERANGE, "%s line %" PRIu32 ": row %" PRIu64 "; table %s has %" PRIu64,
                           path, i + 1, vocab_file_id(l->vocab, i), l->t->name, l->t->spec.rows);
    l->seen = malloc(words / 8 + 1);
    return l->seen != NULL ? RH_OK : err_set(RH_ENOMEM, "no memory for the words of %s", path);
}

static rh_status open_all(struct load *l, const char *path, const rh_load_options *o) {
    const struct vec_options options = {
        .format = (enum vec_format)o->format, .tensor = o->tensor, .dim = 0};
    rh_status s = vec_open_with(path, &options, &l->r);
    if (s != RH_OK)
        return s;
    const rh_table *t = l->t;
    if (vec_dim(l->r) != t->spec.dim)
        return err_set(RH_EMISMATCH, "%s has rows of %u floats, table %s of %u", path,
                       vec_dim(l->r), t->name, t->spec.dim);
    if (o->vocab == NULL && vec_rows(l->r) > t->spec.rows)
        return err_set(RH_EMISMATCH,
                       "%s has %" PRIu64 " rows, table %s only %" PRIu64
                       ": a vocabulary would choose among them",
                       path, vec_rows(l->r), t->name, t->spec.rows);
    if (o->vocab != NULL && !vec_has_words(l->r))
        return err_set(RH_EINVAL,
                       "%s has no words, so that no vocabulary can say which row is whose", path);
    if (o->vocab != NULL)
        s = open_vocab(l, o->vocab);
    return s == RH_OK ? chunk_init(&l->chunk, t->spec.dim) : s;
}

static rh_status load(struct load *l) {
    rh_status (*pass)(struct load *, bool) = l->vocab != NULL ? pass_by_word : pass_in_order;
    rh_status s = pass(l, false);
    if (s != RH_OK)
        return s;
    vec_rewind(l->r);
    s = pass(l, true);
    if (s != RH_OK)
        return s;
    if (l->vocab != NULL)
        report_missed_words(l);
    else
        report_in_order(l);
    l->report.format = (rh_format)vec_format_of(l->r);
    snprintf(l->report.about, sizeof l->report.about, "%s", vec_about(l->r));
    return RH_OK;
}

rh_status rh_load(rh_table *t, const char *path, const rh_load_options *options,
                  rh_load_report *report) {
    rh_load_options o;
    struct load l = {.t = t};
    rh_status s =
        take_options("rh_load_options", &o, sizeof o, options, offsetof(rh_load_options, vocab));
    if (s == RH_OK)
        s = open_all(&l, path, &o);
    if (s == RH_OK)
        s = load(&l);
    vec_close(&l.r);
    vocab_file_close(&l.vocab);
    free(l.seen);
    chunk_fini(&l.chunk);
    if (s == RH_OK && report != NULL)
        *report = l.report;
    return s == RH_OK ? s : err_in(s, "rh_load");
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
