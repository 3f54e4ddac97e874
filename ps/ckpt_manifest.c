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

static void sum_table(struct buf *b, const struct ckpt_table *t) {
    buf_put_str(b, t->name);
    spec_put(b, &t->spec);
    buf_put_u64(b, t->steps);
    buf_put_u64(b, t->renewed);
    buf_put_u32(b, t->dropped_by);
}

static void sum_worker(struct buf *b, const struct ckpt_worker *w) {
    buf_put_u32(b, w->rank);
    buf_put_u64(b, w->clock);
    buf_put_u32(b, w->n_counts);
    for (uint32_t i = 0; i < w->n_counts; i++) {
        buf_put_u32(b, w->counts[i].table);
        buf_put_u64(b, w->counts[i].pushes);
        buf_put_u64(b, w->counts[i].base);
    }
}

rh_status ckpt_manifest_agreed(const struct ckpt_manifest *m, struct hash128 *out) {
    struct buf b;
    buf_init(&b, CKPT_MANIFEST_MAX);
    buf_put_u64(&b, m->job);
    buf_put_u32(&b, m->mode);
    buf_put_u32(&b, m->world);
    buf_put_u64(&b, m->clock);
    buf_put_u32(&b, m->n_tables);
    buf_put_u32(&b, m->n_workers);
    for (uint32_t i = 0; i < m->n_tables; i++)
        sum_table(&b, &m->tables[i]);
    for (uint32_t i = 0; i < m->n_workers; i++)
        sum_worker(&b, &m->workers[i]);
    bool bad = b.bad;
    if (!bad)
        *out = hash128(b.p, b.len);
    buf_fini(&b);
    return bad ? err_set(RH_ENOMEM, "no memory to sum up a manifest") : RH_OK;
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
