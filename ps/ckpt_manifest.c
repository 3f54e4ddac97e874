/* ckpt_manifest.c - see ckpt_manifest.h: names, memory, comparing, and the writing of JSON. Reading is
 * ckpt_parse.c. */
#include "ps/ckpt_manifest.h"

#include <inttypes.h>
#include <jansson.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/err.h"
#include "common/name.h"
#include "ps/ckpt_base64.h"
#include "ps/ckpt_json.h"

/* ---- names ---- */

_Static_assert((int)CKPT_NAME_MAX == (int)NAME_MAX_BYTES, "as the page has it");

rh_status ckpt_check_name(const char *name) {
    rh_status st = name_check("checkpoint", name);
    if (st != RH_OK)
        return st;
    if (name[0] == '.')
        return err_set(RH_EINVAL, "checkpoint name \"%s\" begins with a dot", name);
    return RH_OK;
}

void ckpt_file_name(uint32_t shard, uint32_t shards, char out[CKPT_FILE_NAME]) {
    snprintf(out, CKPT_FILE_NAME, "shard-%05" PRIu32 "-of-%05" PRIu32 ".rhs", shard, shards);
}

static const char *const modes[] = {"unset", "async", "ssp", "bsp"};

const char *ckpt_mode_name(uint32_t mode) {
    return mode < sizeof modes / sizeof *modes ? modes[mode] : "?";
}

/* ---- memory ---- */

void ckpt_manifest_fini(struct ckpt_manifest *m) {
    for (uint32_t i = 0; i < m->n_workers && m->workers != NULL; i++) {
        free(m->workers[i].counts);
        free(m->workers[i].cursor);
    }
    free(m->tables);
    free(m->workers);
    free(m->files);
    *m = (struct ckpt_manifest){0};
}

rh_status ckpt_manifest_files(struct ckpt_manifest *m, uint32_t shards) {
    struct ckpt_file *files = calloc(shards, sizeof *files);
    if (files == NULL)
        return err_set(RH_ENOMEM, "no memory for a list of %" PRIu32 " files", shards);
    free(m->files);
    m->files = files;
    m->shards = shards;
    return RH_OK;
}

const struct ckpt_table *ckpt_manifest_table(const struct ckpt_manifest *m, uint32_t number) {
    if (number < 1 || number > m->n_tables)
        return NULL;
    const struct ckpt_table *t = &m->tables[number - 1];
    return t->dropped_by == CKPT_NOT_DROPPED ? t : NULL;
}

/* ---- comparing ---- */

static rh_status differ(uint32_t a, uint32_t b, const char *what, uint64_t x, uint64_t y) {
    return err_set(RH_EMISMATCH,
                   "shards %" PRIu32 " and %" PRIu32 " are not at the same moment: %s is %" PRIu64
                   " here, %" PRIu64 " there",
                   a, b, what, x, y);
}

static bool same_spec(const struct spec *a, const struct spec *b) {
    uint8_t x[SPEC_BYTES], y[SPEC_BYTES];
    struct buf p, q;
    buf_wrap(&p, x, sizeof x);
    buf_wrap(&q, y, sizeof y);
    spec_put(&p, a);
    spec_put(&q, b);
    return memcmp(x, y, sizeof x) == 0;
}

static rh_status same_table(const struct ckpt_table *x, const struct ckpt_table *y, uint32_t a,
                            uint32_t b) {
    char what[128];
    if (strcmp(x->name, y->name) != 0 || !same_spec(&x->spec, &y->spec))
        return err_set(RH_EMISMATCH,
                       "shards %" PRIu32 " and %" PRIu32
                       " are not at the same moment: table number %" PRIu32
                       " is \"%s\" here, and \"%s\" of another spec there",
                       a, b, x->number, x->name, y->name);
    snprintf(what, sizeof what, "T of table \"%s\"", x->name);
    if (x->steps != y->steps)
        return differ(a, b, what, x->steps, y->steps);
    snprintf(what, sizeof what, "the last init of table \"%s\"", x->name);
    if (x->renewed != y->renewed)
        return differ(a, b, what, x->renewed, y->renewed);
    snprintf(what, sizeof what, "who dropped table \"%s\"", x->name);
    return x->dropped_by == y->dropped_by ? RH_OK
                                          : differ(a, b, what, x->dropped_by, y->dropped_by);
}

static rh_status same_worker(const struct ckpt_worker *x, const struct ckpt_worker *y, uint32_t a,
                             uint32_t b) {
    char what[128];
    snprintf(what, sizeof what, "a worker's rank");
    if (x->rank != y->rank)
        return differ(a, b, what, x->rank, y->rank);
    snprintf(what, sizeof what, "the clock of worker %" PRIu32, x->rank);
    if (x->clock != y->clock)
        return differ(a, b, what, x->clock, y->clock);
    snprintf(what, sizeof what, "the number of tables that worker %" PRIu32 " has pushed to",
             x->rank);
    if (x->n_counts != y->n_counts)
        return differ(a, b, what, x->n_counts, y->n_counts);
    for (uint32_t i = 0; i < x->n_counts; i++) {
        const struct ckpt_count *p = &x->counts[i], *q = &y->counts[i];
        snprintf(what, sizeof what, "pushes of worker %" PRIu32 " to table %" PRIu32, x->rank,
                 p->table);
        if (p->table != q->table || p->pushes != q->pushes)
            return differ(a, b, what, p->pushes, q->pushes);
        if (p->base != q->base)
            return differ(a, b, what, p->base, q->base);
    }
    return RH_OK;
}

rh_status ckpt_manifest_agree(const struct ckpt_manifest *x, const struct ckpt_manifest *y,
                              uint32_t a, uint32_t b) {
    if (x->job != y->job)
        return differ(a, b, "the job", x->job, y->job);
    if (x->mode != y->mode)
        return differ(a, b, "the mode", x->mode, y->mode);
    if (x->world != y->world)
        return differ(a, b, "the number of workers", x->world, y->world);
    if (x->clock != y->clock)
        return differ(a, b, "the clock", x->clock, y->clock);
    if (x->n_tables != y->n_tables)
        return differ(a, b, "the number of tables", x->n_tables, y->n_tables);
    if (x->n_workers != y->n_workers)
        return differ(a, b, "the number of workers that have come", x->n_workers, y->n_workers);
    rh_status st = RH_OK;
    for (uint32_t i = 0; st == RH_OK && i < x->n_tables; i++)
        st = same_table(&x->tables[i], &y->tables[i], a, b);
    for (uint32_t i = 0; st == RH_OK && i < x->n_workers; i++)
        st = same_worker(&x->workers[i], &y->workers[i], a, b);
    return st;
}

/* ---- writing. jansson's _new functions take NULL for "no memory" and say -1, which `bad` gathers
 * ---- */

static void set(json_t *o, const char *name, json_t *v, bool *bad) {
    *bad |= json_object_set_new(o, name, v) != 0;
}

static void add(json_t *a, json_t *v, bool *bad) {
    *bad |= json_array_append_new(a, v) != 0;
}

static json_t *number64(uint64_t v) {
    char text[24];
    snprintf(text, sizeof text, "%" PRIu64, v);
    return json_string(text);
}

static json_t *real(double v) {
    return isinf(v) ? json_string(v > 0 ? "inf" : "-inf") : json_real(v);
}

static json_t *reals(const double *v, size_t n, bool *bad) {
    json_t *a = json_array();
    for (size_t i = 0; i < n; i++)
        add(a, real(v[i]), bad);
    return a;
}

static json_t *put_spec(const struct spec *s, bool *bad) {
    json_t *o = json_object();
    set(o, "kind", json_integer(s->kind), bad);
    set(o, "embedding_dim", json_integer(s->dim), bad);
    set(o, "num_embeddings", number64(s->rows), bad);
    set(o, "seed", number64(s->seed), bad);
    set(o, "init", json_integer(s->init), bad);
    set(o, "init_name", json_string(spec_init_name(s->init)), bad);
    set(o, "init_args", reals(s->init_arg, SPEC_INIT_ARGS, bad), bad);
    set(o, "optimizer", json_integer(s->opt), bad);
    set(o, "optimizer_name", json_string(spec_opt_name(s->opt)), bad);
    set(o, "optimizer_args", reals(s->opt_arg, SPEC_OPT_ARGS, bad), bad);
    set(o, "optimizer_flags", json_integer(s->opt_flags), bad);
    set(o, "lr", real(s->lr), bad);
    set(o, "reduce", json_integer(s->reduce), bad);
    set(o, "frozen", json_integer(s->frozen), bad);
    set(o, "scale_grad_by_freq", json_integer(s->scale_grad_by_freq), bad);
    set(o, "nonfinite", json_integer(s->nonfinite), bad);
    set(o, "padding_idx",
        s->padding_idx == SPEC_NO_PADDING ? json_null() : number64(s->padding_idx), bad);
    set(o, "max_norm", real(s->max_norm), bad);
    set(o, "norm_type", real(s->norm_type), bad);
    return o;
}

static json_t *put_table(const struct ckpt_table *t, bool *bad) {
    json_t *o = json_object();
    set(o, "number", json_integer(t->number), bad);
    set(o, "name", json_string(t->name), bad);
    set(o, "steps", number64(t->steps), bad);
    set(o, "renewed", number64(t->renewed), bad);
    set(o, "dropped_by",
        t->dropped_by == CKPT_NOT_DROPPED ? json_null() : json_integer(t->dropped_by), bad);
    set(o, "spec", put_spec(&t->spec, bad), bad);
    return o;
}

static json_t *put_counts(const struct ckpt_worker *w, bool *bad) {
    json_t *a = json_array();
    for (uint32_t i = 0; i < w->n_counts; i++) {
        json_t *one = json_array();
        add(one, json_integer(w->counts[i].table), bad);
        add(one, number64(w->counts[i].pushes), bad);
        add(one, number64(w->counts[i].base), bad);
        add(a, one, bad);
    }
    return a;
}

static json_t *put_worker(const struct ckpt_worker *w, bool *bad) {
    json_t *o = json_object(), *floor = json_array();
    add(floor, json_integer(w->floor.clock), bad);
    add(floor, json_integer(w->floor.call), bad);
    add(floor, json_integer(w->floor.part), bad);
    set(o, "rank", json_integer(w->rank), bad);
    set(o, "incarnation", json_integer(w->incarnation), bad);
    set(o, "clock", number64(w->clock), bad);
    set(o, "left", json_boolean(w->left), bad);
    set(o, "taken", number64(w->taken), bad);
    set(o, "floor", floor, bad);
    set(o, "pushes", put_counts(w, bad), bad);
    char *text = base64_text(w->cursor, w->cursor_len);
    set(o, "cursor", text == NULL ? NULL : json_string(text), bad);
    free(text);
    return o;
}

static json_t *put_file(const struct ckpt_file *f, bool *bad) {
    char sum[HASH128_TEXT];
    json_t *o = json_object();
    hash128_text(f->sum, sum);
    set(o, "name", json_string(f->name), bad);
    set(o, "bytes", number64(f->bytes), bad);
    set(o, "rows", number64(f->rows), bad);
    set(o, "xxh3_128", json_string(sum), bad);
    return o;
}

static json_t *put_all(const struct ckpt_manifest *m, bool *bad) {
    json_t *o = json_object(), *tables = json_array(), *workers = json_array(),
           *files = json_array();
    char job[17];
    snprintf(job, sizeof job, "%016" PRIx64, m->job);
    for (uint32_t i = 0; i < m->n_tables; i++)
        add(tables, put_table(&m->tables[i], bad), bad);
    for (uint32_t i = 0; i < m->n_workers; i++)
        add(workers, put_worker(&m->workers[i], bad), bad);
    for (uint32_t i = 0; i < m->shards; i++)
        add(files, put_file(&m->files[i], bad), bad);
    set(o, "format", json_integer(CKPT_FORMAT), bad);
    set(o, "job", json_string(job), bad);
    set(o, "generation", number64(m->generation), bad);
    set(o, "saved_unix_ms", number64(m->saved_unix_ms), bad);
    set(o, "mode", json_string(ckpt_mode_name(m->mode)), bad);
    set(o, "world", json_integer(m->world), bad);
    set(o, "clock", number64(m->clock), bad);
    set(o, "shards", json_integer(m->shards), bad);
    set(o, "tables", tables, bad);
    set(o, "workers", workers, bad);
    set(o, "files", files, bad);
    return o;
}

static int append(const char *bytes, size_t n, void *out) {
    buf_put_bytes(out, bytes, n);
    return ((struct buf *)out)->bad ? -1 : 0;
}

rh_status ckpt_manifest_put(const struct ckpt_manifest *m, struct buf *out) {
    bool bad = false;
    size_t start = out->len;
    json_t *o = put_all(m, &bad);
    buf_put_bytes(out, CKPT_SUM_BEGIN, strlen(CKPT_SUM_BEGIN));
    buf_put_bytes(out, "00000000000000000000000000000000", CKPT_SUM_DIGITS);
    buf_put_bytes(out, CKPT_SUM_END, strlen(CKPT_SUM_END));
    /* The object's own brace was the first byte. */
    size_t body = out->len;
    bad |= o == NULL || json_dump_callback(o, append, out, JSON_INDENT(1) | JSON_EMBED) != 0;
    json_decref(o);
    buf_put_bytes(out, "\n}\n", 3);
    if (out->len > CKPT_MANIFEST_MAX)
        return err_set(RH_ELIMIT, "a manifest of more than %d bytes", CKPT_MANIFEST_MAX);
    if (bad || out->bad)
        return err_set(RH_ENOMEM, "no memory for the manifest");
    char sum[HASH128_TEXT];
    hash128_text(hash128(out->p + body, out->len - body), sum);
    memcpy(out->p + start + strlen(CKPT_SUM_BEGIN), sum, CKPT_SUM_DIGITS);
    return RH_OK;
}
