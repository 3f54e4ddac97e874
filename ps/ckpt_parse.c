/* ckpt_parse.c - MANIFEST.json as a struct. Hostile bytes: the sum first, then JSON, then every member
 * with its bounds. The first fault is kept, later looks find nothing: so the readers below are
 * straight lines. */
#include <errno.h>
#include <inttypes.h>
#include <jansson.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "common/err.h"
#include "proto/place.h"
#include "ps/ckpt_base64.h"
#include "ps/ckpt_json.h"
#include "ps/ckpt_manifest.h"

enum { RANKS_MAX = 65536, TABLES_MAX = 65536 };

struct parse {
    const char *what; /* the file */
    rh_status st;
};

static void fault(struct parse *p, const char *name, const char *why) {
    if (p->st == RH_OK)
        p->st = err_set(RH_ECORRUPT, "%s: \"%s\" %s", p->what, name, why);
}

static void no_memory(struct parse *p) {
    if (p->st == RH_OK)
        p->st = err_set(RH_ENOMEM, "%s: no memory for what it says", p->what);
}

/* ---- members ---- */

static const json_t *member(struct parse *p, const json_t *o, const char *name) {
    const json_t *v = json_object_get(o, name);
    if (v == NULL)
        fault(p, name, "is missing");
    return v;
}

static uint64_t as_number(struct parse *p, const json_t *v, const char *name, uint64_t max) {
    if (!json_is_integer(v) || json_integer_value(v) < 0 || (uint64_t)json_integer_value(v) > max) {
        fault(p, name, "is no whole number that may stand here");
        return 0;
    }
    return (uint64_t)json_integer_value(v);
}

static uint32_t get_u32(struct parse *p, const json_t *o, const char *name, uint32_t max) {
    return (uint32_t)as_number(p, member(p, o, name), name, max);
}

/* Decimal digits, as they are written: no sign, no leading 0. */
static uint64_t as_u64(struct parse *p, const json_t *v, const char *name) {
    const char *text = json_string_value(v);
    bool good = text != NULL && *text != '\0' && strlen(text) == strspn(text, "0123456789") &&
                (text[0] != '0' || text[1] == '\0');
    errno = 0;
    unsigned long long n = good ? strtoull(text, NULL, 10) : 0;
    if (!good || errno != 0)
        fault(p, name, "is no string of digits that fits into 64 bits");
    return n;
}

static uint64_t get_u64(struct parse *p, const json_t *o, const char *name) {
    return as_u64(p, member(p, o, name), name);
}

static double as_real(struct parse *p, const json_t *v, const char *name) {
    const char *text = json_string_value(v);
    if (text != NULL && strcmp(text, "inf") == 0)
        return INFINITY;
    if (text != NULL && strcmp(text, "-inf") == 0)
        return -INFINITY;
    if (!json_is_number(v))
        fault(p, name, "is no number");
    return json_number_value(v);
}

static double get_real(struct parse *p, const json_t *o, const char *name) {
    return as_real(p, member(p, o, name), name);
}

static void get_reals(struct parse *p, const json_t *o, const char *name, double *out, size_t n) {
    const json_t *a = member(p, o, name);
    if (!json_is_array(a) || json_array_size(a) != n)
        fault(p, name, "has another number of reals");
    for (size_t i = 0; p->st == RH_OK && i < n; i++)
        out[i] = as_real(p, json_array_get(a, i), name);
}

static void get_text(struct parse *p, const json_t *o, const char *name, char *out, size_t cap) {
    const json_t *v = member(p, o, name);
    if (!json_is_string(v) || json_string_length(v) >= cap ||
        strlen(json_string_value(v)) != json_string_length(v))
        fault(p, name, "is no text that may stand here");
    else
        memcpy(out, json_string_value(v), json_string_length(v) + 1);
}

/* n digits of a number. */
static uint64_t hex(struct parse *p, const char *name, const char *text, size_t n) {
    uint64_t v = 0;
    for (size_t i = 0; i < n; i++) {
        char c = text[i];
        bool figure = c >= '0' && c <= '9', letter = c >= 'a' && c <= 'f';
        if (!figure && !letter)
            fault(p, name, "has a digit that is none of 0-9 a-f");
        v = v << 4 | (uint64_t)(figure ? c - '0' : letter ? c - 'a' + 10 : 0);
    }
    return v;
}

static uint64_t get_hex(struct parse *p, const json_t *o, const char *name) {
    char text[17] = "0000000000000000";
    get_text(p, o, name, text, sizeof text);
    if (strlen(text) != 16)
        fault(p, name, "is no 16 digits");
    return p->st == RH_OK ? hex(p, name, text, 16) : 0;
}

/* An array of at most max, and how many. */
static const json_t *get_array(struct parse *p, const json_t *o, const char *name, size_t max,
                               uint32_t *n) {
    const json_t *a = member(p, o, name);
    if (!json_is_array(a) || json_array_size(a) > max)
        fault(p, name, "is no list, or too long a one");
    *n = p->st == RH_OK ? (uint32_t)json_array_size(a) : 0;
    return a;
}

/* ---- what they make up ---- */

static void get_spec(struct parse *p, const json_t *o, struct spec *s) {
    s->kind = get_u32(p, o, "kind", UINT32_MAX);
    s->dim = get_u32(p, o, "embedding_dim", UINT32_MAX);
    s->rows = get_u64(p, o, "num_embeddings");
    s->seed = get_u64(p, o, "seed");
    s->init = get_u32(p, o, "init", UINT32_MAX);
    get_reals(p, o, "init_args", s->init_arg, SPEC_INIT_ARGS);
    s->opt = get_u32(p, o, "optimizer", UINT32_MAX);
    get_reals(p, o, "optimizer_args", s->opt_arg, SPEC_OPT_ARGS);
    s->opt_flags = get_u32(p, o, "optimizer_flags", UINT32_MAX);
    s->lr = get_real(p, o, "lr");
    s->reduce = get_u32(p, o, "reduce", UINT32_MAX);
    s->frozen = get_u32(p, o, "frozen", UINT32_MAX);
    s->scale_grad_by_freq = get_u32(p, o, "scale_grad_by_freq", UINT32_MAX);
    s->nonfinite = get_u32(p, o, "nonfinite", UINT32_MAX);
    const json_t *padding = member(p, o, "padding_idx");
    s->padding_idx = json_is_null(padding) ? SPEC_NO_PADDING : as_u64(p, padding, "padding_idx");
    s->max_norm = get_real(p, o, "max_norm");
    s->norm_type = get_real(p, o, "norm_type");
}

static void get_table(struct parse *p, const json_t *o, uint32_t number, struct ckpt_table *t) {
    t->number = get_u32(p, o, "number", TABLES_MAX);
    if (t->number != number)
        fault(p, "number", "of a table is out of order");
    get_text(p, o, "name", t->name, sizeof t->name);
    t->steps = get_u64(p, o, "steps");
    t->renewed = get_u64(p, o, "renewed");
    const json_t *dropped = member(p, o, "dropped_by");
    t->dropped_by = json_is_null(dropped)
                        ? CKPT_NOT_DROPPED
                        : (uint32_t)as_number(p, dropped, "dropped_by", RANKS_MAX);
    get_spec(p, member(p, o, "spec"), &t->spec);
    if (p->st != RH_OK)
        return;
    rh_status st = spec_check_name(t->name);
    if (st == RH_OK)
        st = spec_check(&t->spec);
    if (st != RH_OK)
        p->st = err_in(RH_ECORRUPT, "%s: table \"%s\"", p->what, t->name);
}

static void get_tables(struct parse *p, const json_t *o, struct ckpt_manifest *m) {
    uint32_t n;
    const json_t *a = get_array(p, o, "tables", TABLES_MAX, &n);
    m->tables = calloc(n + 1, sizeof *m->tables);
    if (m->tables == NULL) {
        no_memory(p);
        return;
    }
    m->n_tables = n;
    for (uint32_t i = 0; p->st == RH_OK && i < n; i++)
        get_table(p, json_array_get(a, i), i + 1, &m->tables[i]);
}

static void get_counts(struct parse *p, const json_t *o, struct ckpt_worker *w) {
    uint32_t n;
    const json_t *a = get_array(p, o, "pushes", TABLES_MAX, &n);
    w->counts = calloc(n + 1, sizeof *w->counts);
    if (w->counts == NULL) {
        no_memory(p);
        return;
    }
    w->n_counts = n;
    for (uint32_t i = 0; p->st == RH_OK && i < n; i++) {
        const json_t *one = json_array_get(a, i);
        struct ckpt_count *c = &w->counts[i];
        c->table = (uint32_t)as_number(p, json_array_get(one, 0), "pushes", TABLES_MAX);
        c->pushes = as_u64(p, json_array_get(one, 1), "pushes");
        c->base = as_u64(p, json_array_get(one, 2), "pushes");
        if (c->table < 1 || (i > 0 && c->table <= w->counts[i - 1].table))
            fault(p, "pushes", "names tables out of order");
    }
}

static void get_cursor(struct parse *p, const json_t *o, struct ckpt_worker *w) {
    const json_t *v = member(p, o, "cursor");
    size_t len = json_string_length(v);
    if (!json_is_string(v) || len > (CKPT_CURSOR_MAX + 2) / 3 * 4) {
        fault(p, "cursor", "is no text, or too long");
        return;
    }
    w->cursor = malloc(len / 4 * 3 + 1);
    if (w->cursor == NULL) {
        no_memory(p);
        return;
    }
    int64_t n = base64_bytes(json_string_value(v), len, w->cursor);
    if (n < 0 || n > CKPT_CURSOR_MAX)
        fault(p, "cursor", "is no base64 of bytes that may stand here");
    else
        w->cursor_len = (uint32_t)n;
}

static void get_worker(struct parse *p, const json_t *o, struct ckpt_worker *w) {
    uint32_t n = 0;
    w->rank = get_u32(p, o, "rank", RANKS_MAX - 1);
    w->incarnation = get_u32(p, o, "incarnation", UINT32_MAX);
    w->clock = get_u64(p, o, "clock");
    const json_t *left = member(p, o, "left");
    if (!json_is_boolean(left))
        fault(p, "left", "is neither true nor false");
    w->left = json_is_true(left);
    w->taken = get_u64(p, o, "taken");
    const json_t *floor = get_array(p, o, "floor", 3, &n);
    w->floor.clock = (uint32_t)as_number(p, json_array_get(floor, 0), "floor", UINT32_MAX);
    w->floor.call = (uint32_t)as_number(p, json_array_get(floor, 1), "floor", UINT32_MAX);
    w->floor.part = (uint16_t)as_number(p, json_array_get(floor, 2), "floor", UINT16_MAX);
    if (p->st == RH_OK)
        get_counts(p, o, w);
    if (p->st == RH_OK)
        get_cursor(p, o, w);
}

static void get_workers(struct parse *p, const json_t *o, struct ckpt_manifest *m) {
    uint32_t n;
    const json_t *a = get_array(p, o, "workers", RANKS_MAX, &n);
    m->workers = calloc(n + 1, sizeof *m->workers);
    if (m->workers == NULL) {
        no_memory(p);
        return;
    }
    m->n_workers = n;
    for (uint32_t i = 0; p->st == RH_OK && i < n; i++) {
        get_worker(p, json_array_get(a, i), &m->workers[i]);
        if (i > 0 && m->workers[i].rank <= m->workers[i - 1].rank)
            fault(p, "rank", "of a worker is out of order");
    }
}

static void get_files(struct parse *p, const json_t *o, struct ckpt_manifest *m) {
    uint32_t n;
    const json_t *a = get_array(p, o, "files", PLACE_SHARDS_MAX, &n);
    if (p->st == RH_OK && (n != m->shards || n == 0))
        fault(p, "files", "are not one for each shard");
    m->files = p->st == RH_OK ? calloc(n, sizeof *m->files) : NULL;
    if (m->files == NULL)
        no_memory(p);
    for (uint32_t i = 0; p->st == RH_OK && i < n; i++) {
        const json_t *one = json_array_get(a, i);
        struct ckpt_file *f = &m->files[i];
        char is[CKPT_FILE_NAME], sum[HASH128_TEXT] = "";
        ckpt_file_name(i, n, is);
        get_text(p, one, "name", f->name, sizeof f->name);
        f->bytes = get_u64(p, one, "bytes");
        f->rows = get_u64(p, one, "rows");
        get_text(p, one, "xxh3_128", sum, sizeof sum);
        if (p->st == RH_OK && (strcmp(is, f->name) != 0 || strlen(sum) != HASH128_TEXT - 1))
            fault(p, "files", "has a name or a sum that cannot be");
        if (p->st != RH_OK)
            return;
        f->sum.high = hex(p, "xxh3_128", sum, 16);
        f->sum.low = hex(p, "xxh3_128", sum + 16, 16);
    }
}

static uint32_t get_mode(struct parse *p, const json_t *o) {
    char text[16] = "";
    get_text(p, o, "mode", text, sizeof text);
    for (uint32_t mode = 0; mode < 4; mode++)
        if (strcmp(text, ckpt_mode_name(mode)) == 0)
            return mode;
    fault(p, "mode", "is no mode");
    return 0;
}

static void get_all(struct parse *p, const json_t *o, struct ckpt_manifest *m) {
    uint32_t format = get_u32(p, o, "format", UINT32_MAX);
    if (p->st == RH_OK && format != CKPT_FORMAT) {
        p->st = err_set(RH_EVERSION, "%s: its format is %" PRIu32 ", this program reads %d",
                        p->what, format, CKPT_FORMAT);
        return;
    }
    m->job = get_hex(p, o, "job");
    m->generation = get_u64(p, o, "generation");
    m->saved_unix_ms = get_u64(p, o, "saved_unix_ms");
    m->mode = get_mode(p, o);
    m->world = get_u32(p, o, "world", RANKS_MAX);
    m->clock = get_u64(p, o, "clock");
    m->shards = get_u32(p, o, "shards", PLACE_SHARDS_MAX);
    if (p->st == RH_OK)
        get_files(p, o, m);
    if (p->st == RH_OK)
        get_tables(p, o, m);
    if (p->st == RH_OK)
        get_workers(p, o, m);
}

/* ---- the whole ---- */

static rh_status check_sum(const char *bytes, size_t len, const char *what) {
    char sum[HASH128_TEXT];
    const char *end = bytes + strlen(CKPT_SUM_BEGIN) + CKPT_SUM_DIGITS;
    if (len < CKPT_SUM_HEAD || memcmp(bytes, CKPT_SUM_BEGIN, strlen(CKPT_SUM_BEGIN)) != 0 ||
        memcmp(end, CKPT_SUM_END, strlen(CKPT_SUM_END)) != 0)
        return err_set(RH_ECORRUPT, "%s does not begin as a manifest of a checkpoint does", what);
    hash128_text(hash128(bytes + CKPT_SUM_HEAD, len - CKPT_SUM_HEAD), sum);
    if (memcmp(end - CKPT_SUM_DIGITS, sum, CKPT_SUM_DIGITS) != 0)
        return err_set(RH_ECORRUPT, "%s is damaged: its XXH3-128 is %s, it says %.32s", what, sum,
                       end - CKPT_SUM_DIGITS);
    return RH_OK;
}

rh_status ckpt_manifest_get(const void *bytes, size_t len, const char *what,
                            struct ckpt_manifest *out) {
    rh_status st = check_sum(bytes, len, what);
    if (st != RH_OK)
        return st;
    json_error_t e;
    json_t *o = json_loadb(bytes, len, JSON_REJECT_DUPLICATES, &e);
    if (o == NULL)
        return err_set(RH_ECORRUPT, "%s is no JSON: line %d: %s", what, e.line, e.text);
    struct parse p = {.what = what};
    struct ckpt_manifest m = {0};
    if (json_is_object(o))
        get_all(&p, o, &m);
    else
        p.st = err_set(RH_ECORRUPT, "%s is no JSON object", what);
    json_decref(o);
    if (p.st != RH_OK) {
        ckpt_manifest_fini(&m);
        return p.st;
    }
    *out = m;
    return RH_OK;
}
