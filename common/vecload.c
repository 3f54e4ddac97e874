/* vecload.c - see vecload.h. */
#include "common/vecload.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/err.h"
#include "common/hash.h"

enum { LISTED_MAX = 5 };

struct vecload {
    struct vecload_table t;
    char name[80];
    struct vec_reader *r;
    struct vocab_file *vocab; /* NULL: row i of the file is row i of the table */
    uint8_t *seen;            /* (words of the vocabulary / 8 + 1) bits: has come in this pass */
    bool open, again, sums;
    uint64_t at; /* rows passed over in this pass */
    size_t cap;  /* rows in a slice */
    uint64_t *ids;
    float *rows;
    uint64_t digest, vocab_digest;
    struct vecload_report report;
};

/* ---- what there is to tell ---- */

/* The count-th of a kind, from 1 on: the first few are listed, then dots. */
static void list(char out[VECLOAD_LIST], uint64_t count, const char *name) {
    size_t len = strlen(out), need = strlen(name) + strlen(", ");
    if (count > LISTED_MAX + 1 || (len >= 3 && strcmp(out + len - 3, "...") == 0))
        return;
    bool fits = count <= LISTED_MAX && len + need + strlen(", ...") < VECLOAD_LIST;
    snprintf(out + len, VECLOAD_LIST - len, "%s%s", len > 0 ? ", " : "", fits ? name : "...");
}

static void list_rows(char out[VECLOAD_LIST], uint64_t first, uint64_t n) {
    char figures[24];
    for (uint64_t i = 0; i < n && i <= LISTED_MAX; i++) {
        snprintf(figures, sizeof figures, "%" PRIu64, first + i);
        list(out, i + 1, figures);
    }
}

static void conclude(struct vecload *l) {
    struct vecload_report *report = &l->report;
    report->format = vec_format_of(l->r);
    snprintf(report->about, sizeof report->about, "%s", vec_about(l->r));
    report->first_missed[0] = '\0';
    if (l->vocab == NULL) {
        report->matched = vec_rows(l->r);
        report->missed = l->t.rows - report->matched;
        report->first_matched[0] = '\0';
        list_rows(report->first_matched, 0, report->matched);
        list_rows(report->first_missed, report->matched, report->missed);
        return;
    }
    report->missed = 0;
    uint32_t words = vocab_file_count(l->vocab);
    for (uint32_t i = 0; i < words; i++)
        if (!(l->seen[i / 8] & 1 << i % 8))
            list(report->first_missed, ++report->missed, vocab_file_word(l->vocab, i));
}

/* ---- opening ---- */

static rh_status check_vocab(struct vecload *l) {
    uint32_t words = vocab_file_count(l->vocab);
    for (uint32_t i = 0; i < words; i++)
        if (vocab_file_id(l->vocab, i) >= l->t.rows)
            return err_set(RH_ERANGE, "%s line %" PRIu32 ": row %" PRIu64 "; table %s has %" PRIu64,
                           vocab_file_name(l->vocab), i + 1, vocab_file_id(l->vocab, i), l->t.name,
                           l->t.rows);
    l->seen = calloc(words / 8 + 1, 1);
    return l->seen != NULL
               ? RH_OK
               : err_set(RH_ENOMEM, "no memory for the words of %s", vocab_file_name(l->vocab));
}

rh_status vecload_new(const struct vecload_table *t, struct vec_reader *r, struct vocab_file *v,
                      struct vecload **out) {
    struct vecload *l = calloc(1, sizeof *l);
    if (l == NULL) {
        vec_close(&r);
        vocab_file_close(&v);
        return err_set(RH_ENOMEM, "no memory to load table %s", t->name);
    }
    l->t = *t;
    snprintf(l->name, sizeof l->name, "%s", t->name);
    l->t.name = l->name;
    l->r = r;
    l->vocab = v;
    l->cap = VECLOAD_SLICE_BYTES / (t->dim * sizeof *l->rows);
    l->cap = l->cap < VECLOAD_ROWS_MAX ? l->cap : VECLOAD_ROWS_MAX;
    l->ids = malloc(l->cap * sizeof *l->ids);
    l->rows = malloc(l->cap * t->dim * sizeof *l->rows);
    rh_status s = RH_OK;
    if (l->ids == NULL || l->rows == NULL)
        s = err_set(RH_ENOMEM, "no memory for %zu rows at a time", l->cap);
    if (s == RH_OK && v != NULL)
        s = check_vocab(l);
    if (s != RH_OK)
        vecload_free(&l);
    else
        *out = l;
    return s;
}

void vecload_free(struct vecload **out) {
    struct vecload *l = *out;
    *out = NULL;
    if (l == NULL)
        return;
    vec_close(&l->r);
    vocab_file_close(&l->vocab);
    free(l->seen);
    free(l->ids);
    free(l->rows);
    free(l);
}

/* Once the file is open: whether it is for this table. */
static rh_status check_file(const struct vecload *l) {
    const char *path = vec_name(l->r);
    if (vec_dim(l->r) != l->t.dim)
        return err_set(RH_EMISMATCH, "%s has rows of %u floats, table %s of %u", path,
                       vec_dim(l->r), l->t.name, l->t.dim);
    if (l->vocab == NULL && vec_rows(l->r) > l->t.rows)
        return err_set(RH_EMISMATCH,
                       "%s has %" PRIu64 " rows, table %s only %" PRIu64
                       ": a vocabulary would choose among them",
                       path, vec_rows(l->r), l->t.name, l->t.rows);
    if (l->vocab != NULL && !vec_has_words(l->r))
        return err_set(RH_EINVAL,
                       "%s has no words, so that no vocabulary can say which row is whose", path);
    return RH_OK;
}

/* ---- reading ---- */

static void sum_row(struct vecload *l, const char *word, const float *row) {
    l->digest = hash64_seeded(word, strlen(word) + 1, l->digest);
    l->digest = hash64_seeded(row, l->t.dim * sizeof *row, l->digest);
}

/* Rows of a file of no vocabulary. */
static rh_status take_in_order(struct vecload *l, struct vecload_slice *out) {
    uint64_t n = 0;
    rh_status s = RH_OK;
    if (!l->sums || !vec_has_words(l->r)) {
        s = vec_next_rows(l->r, l->cap, l->rows, &n);
        for (uint64_t i = 0; s == RH_OK && l->sums && i < n; i++)
            sum_row(l, "", l->rows + i * l->t.dim);
    } else {
        const char *word;
        while (n < l->cap && (s = vec_next(l->r, &word, l->rows + n * l->t.dim)) == RH_OK)
            sum_row(l, word, l->rows + n++ * l->t.dim);
        if (s == RH_ENOTFOUND)
            s = RH_OK;
    }
    if (s != RH_OK)
        return s;
    for (uint64_t i = 0; i < n; i++)
        l->ids[i] = l->at + i;
    out->n = (size_t)n;
    out->end = n == 0;
    l->at += n;
    return RH_OK;
}

/* Whether the row just passed over is for the table, and counts it for the report. */
static bool claim(struct vecload *l, const char *word, uint64_t *id) {
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

/* The same by words. The first pass looks at every number, also of rows that nobody wants. */
static rh_status take_by_word(struct vecload *l, struct vecload_slice *out) {
    const char *word;
    rh_status s = RH_OK;
    for (size_t i = 0; i < l->cap; i++) {
        float *row = l->rows + out->n * l->t.dim;
        s = vec_next(l->r, &word, l->again ? NULL : row);
        if (s != RH_OK)
            break;
        if (l->sums)
            sum_row(l, word, row);
        if (!claim(l, word, &l->ids[out->n]))
            continue;
        s = l->again ? vec_row(l->r, row) : RH_OK;
        if (s != RH_OK)
            break;
        out->n++;
    }
    out->end = s == RH_ENOTFOUND;
    return out->end ? RH_OK : s;
}

rh_status vecload_next(struct vecload *l, struct vecload_slice *out) {
    *out = (struct vecload_slice){.ids = l->ids, .rows = l->rows};
    if (!l->open) {
        rh_status s = vec_open_more(l->r, VECLOAD_SLICE_BYTES, &l->open);
        return s == RH_OK && l->open ? check_file(l) : s;
    }
    rh_status s = l->vocab != NULL ? take_by_word(l, out) : take_in_order(l, out);
    if (s != RH_OK || !out->end)
        return s;
    s = vec_unchanged(l->r);
    if (s != RH_OK)
        return s;
    conclude(l);
    l->sums = false;
    return RH_OK;
}

void vecload_rewind(struct vecload *l) {
    vec_rewind(l->r);
    l->again = true;
    l->at = 0;
    l->report = (struct vecload_report){0};
    if (l->vocab != NULL)
        memset(l->seen, 0, vocab_file_count(l->vocab) / 8 + 1);
}

void vecload_report(const struct vecload *l, struct vecload_report *out) {
    *out = l->report;
}

/* ---- sums ---- */

void vecload_sum(struct vecload *l) {
    l->sums = true;
    if (l->vocab == NULL)
        return;
    uint32_t words = vocab_file_count(l->vocab);
    l->vocab_digest = words;
    for (uint32_t i = 0; i < words; i++) {
        const char *word = vocab_file_word(l->vocab, i);
        uint64_t id = vocab_file_id(l->vocab, i);
        l->vocab_digest = hash64_seeded(word, strlen(word) + 1, l->vocab_digest);
        l->vocab_digest = hash64_seeded(&id, sizeof id, l->vocab_digest);
    }
}

void vecload_digests(const struct vecload *l, uint64_t *file, uint64_t *vocab) {
    *file = l->digest;
    *vocab = l->vocab_digest;
}

void vecload_progress(const struct vecload *l, uint64_t *done_bytes, uint64_t *total_bytes) {
    vec_progress(l->r, done_bytes, total_bytes);
}
