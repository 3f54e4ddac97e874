/* param.c - see param.h: opening and finding. Its rows move as those of every table, by batch.c. */
#include "worker/param.h"

#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/size.h"
#include "worker/facts.h"

/* ---- shapes ---- */

struct shape {
    uint32_t ndim;
    uint64_t at[RH_PARAM_DIMS_MAX];
};

/* How a tensor lies in its table. */
struct layout {
    uint64_t numel, rows;
    uint32_t dim;
};

/* False: a dimension of 0, or too many floats. */
static bool lay_out(const struct shape *s, struct layout *out) {
    size_t numel = 1;
    for (uint32_t i = 0; i < s->ndim; i++)
        if (s->at[i] == 0 || !size_mul(numel, s->at[i], &numel))
            return false;
    if (numel > (uint64_t)1 << PARAM_NUMEL_BITS)
        return false;
    out->numel = numel;
    out->dim = numel < PARAM_ROW ? (uint32_t)numel : PARAM_ROW;
    out->rows = (numel + out->dim - 1) / out->dim;
    return true;
}

static bool same(const struct shape *a, const struct shape *b) {
    return a->ndim == b->ndim && memcmp(a->at, b->at, a->ndim * sizeof *a->at) == 0;
}

enum { SHAPE_TEXT = RH_PARAM_DIMS_MAX * 22 + 8 };

/* As Python writes it: "(1, 197, 768)", "(64,)", "()". */
static const char *in_words(const struct shape *s, char out[SHAPE_TEXT]) {
    size_t len = (size_t)snprintf(out, SHAPE_TEXT, "(");
    for (uint32_t i = 0; i < s->ndim; i++)
        len += (size_t)snprintf(out + len, SHAPE_TEXT - len, "%s%" PRIu64, i > 0 ? ", " : "",
                                s->at[i]);
    snprintf(out + len, SHAPE_TEXT - len, s->ndim == 1 ? ",)" : ")");
    return out;
}

/* As the table's name ends: "1x197x768", "64", "scalar". */
static const char *in_a_name(const struct shape *s, char out[SHAPE_TEXT]) {
    size_t len = (size_t)snprintf(out, SHAPE_TEXT, "%s", s->ndim == 0 ? "scalar" : "");
    for (uint32_t i = 0; i < s->ndim; i++)
        len +=
            (size_t)snprintf(out + len, SHAPE_TEXT - len, "%s%" PRIu64, i > 0 ? "x" : "", s->at[i]);
    return out;
}

/* The other way round. What in_a_name would not write is no shape. */
static bool read_shape(const char *text, struct shape *out) {
    char again[SHAPE_TEXT];
    const char *p = text;
    *out = (struct shape){0};
    if (strcmp(text, "scalar") == 0)
        return true;
    while (out->ndim < RH_PARAM_DIMS_MAX) {
        char *end;
        out->at[out->ndim++] = strtoull(p, &end, 10);
        p = end;
        if (*p != 'x')
            break;
        p++;
    }
    return strcmp(in_a_name(out, again), text) == 0;
}

/* Whether a table is this parameter, in whatever shape: by its name, and by its rows, since anybody
 * may call a table "users-2". */
static bool is_param(const struct msg_table_facts *t, const char *name, struct shape *out) {
    size_t len = strlen(name);
    struct layout at;
    return strncmp(t->name, name, len) == 0 && t->name[len] == '-' &&
           read_shape(t->name + len + 1, out) && lay_out(out, &at) && t->spec.dim == at.dim &&
           t->spec.rows == at.rows;
}

/* ---- who has the name ---- */

/* The shape under which the job knows the parameter: that of the table with the lowest number, as the
 * lead gives numbers in one order for all. */
static rh_status look_up(rh_client *c, const char *name, bool *found, struct shape *out) {
    struct facts_table *list;
    uint32_t n;
    rh_status s = facts_ask_tables(c, &list, &n);
    if (s != RH_OK)
        return s;
    *found = false;
    for (uint32_t i = 0; i < n && !*found; i++)
        *found = is_param(&list[i].table, name, out);
    free(list);
    return RH_OK;
}

static rh_status check_shape(rh_client *c, const char *what, const char *name,
                             const struct shape *want, bool *found) {
    struct shape have;
    char have_text[SHAPE_TEXT], want_text[SHAPE_TEXT];
    rh_status s = look_up(c, name, found, &have);
    if (s != RH_OK || !*found || same(&have, want))
        return s;
    return err_set(RH_EMISMATCH, "%s: parameter %s exists with shape %s, not %s", what, name,
                   in_words(&have, have_text), in_words(want, want_text));
}

/* ---- the handle ---- */

static void param_free(struct rh_param *p) {
    if (p != NULL)
        free(p->ids);
    free(p);
}

void param_free_all(rh_client *c) {
    while (c->params != NULL) {
        struct rh_param *p = c->params;
        c->params = p->next;
        param_free(p);
    }
}

static struct rh_param *make(rh_table *t, const char *name, const struct shape *shape,
                             const struct layout *at) {
    struct rh_param *p = calloc(1, sizeof *p);
    if (p == NULL)
        return NULL;
    p->table = t;
    snprintf(p->name, sizeof p->name, "%s", name);
    p->ndim = shape->ndim;
    memcpy(p->shape, shape->at, sizeof p->shape);
    p->numel = at->numel;
    p->lacks = (uint32_t)(at->rows * at->dim - at->numel);
    p->ids = malloc(at->rows * sizeof *p->ids);
    for (uint64_t i = 0; p->ids != NULL && i < at->rows; i++)
        p->ids[i] = i;
    if (p->ids != NULL)
        return p;
    param_free(p);
    return NULL;
}

/* One handle for a table, also when two threads open it at once. */
static rh_status handle_of(rh_table *t, const char *what, const char *name,
                           const struct shape *shape, const struct layout *at, rh_param **out) {
    rh_client *c = t->c;
    struct rh_param *fresh = make(t, name, shape, at);
    if (fresh == NULL)
        return err_set(RH_ENOMEM, "%s: no memory for parameter %s", what, name);
    rh_status s = client_enter(c);
    if (s != RH_OK) {
        param_free(fresh);
        return s;
    }
    struct rh_param *p = c->params;
    while (p != NULL && p->table != t)
        p = p->next;
    if (p == NULL) {
        fresh->next = c->params;
        c->params = p = fresh;
        fresh = NULL;
    }
    *out = p;
    s = client_leave(c, RH_OK);
    param_free(fresh);
    return s;
}

/* ---- opening ---- */

static rh_status check_spec(const char *name, const rh_param_spec *spec, struct shape *shape,
                            struct layout *at) {
    char text[SHAPE_TEXT];
    if (spec->size != sizeof *spec)
        return err_set(RH_EINVAL,
                       "parameter %s: rh_param_spec.size is %u, not %zu: fill it in with "
                       "rh_param_spec_init",
                       name, spec->size, sizeof *spec);
    if (spec->ndim > RH_PARAM_DIMS_MAX)
        return err_set(RH_EINVAL, "parameter %s: %u dimensions: at most %d", name, spec->ndim,
                       RH_PARAM_DIMS_MAX);
    *shape = (struct shape){.ndim = spec->ndim};
    memcpy(shape->at, spec->shape, spec->ndim * sizeof *shape->at);
    if (!lay_out(shape, at))
        return err_set(
            RH_EINVAL,
            "parameter %s: shape %s: every dimension is at least 1, and all together are "
            "at most 2^%d floats",
            name, in_words(shape, text), PARAM_NUMEL_BITS);
    if (spec->optimizer.kind == SPEC_ROWWISE_ADAGRAD)
        return err_set(RH_EINVAL,
                       "parameter %s: RowWiseAdagrad keeps a number per row, and a dense parameter "
                       "has no rows of its own: use rh_adagrad",
                       name);
    if (spec->ndim < 2 && (isnan(spec->init.arg[0]) || isnan(spec->init.arg[1])))
        return err_set(
            RH_EINVAL,
            "parameter %s: shape %s: xavier and kaiming count fans, for which it takes two "
            "dimensions",
            name, in_words(shape, text));
    return RH_OK;
}

static rh_status table_name(const char *name, const struct shape *shape,
                            char out[WIRE_NAME_MAX + 1]) {
    char text[SHAPE_TEXT];
    rh_status s = spec_check_name(name);
    if (s != RH_OK)
        return s;
    int len = snprintf(out, WIRE_NAME_MAX + 1, "%s-%s", name, in_a_name(shape, text));
    if (len > WIRE_NAME_MAX)
        return err_set(RH_EINVAL,
                       "parameter %s: its table's name, %s-%s, has %d characters: at most %d", name,
                       name, text, len, WIRE_NAME_MAX);
    return RH_OK;
}

rh_status rh_param_open(rh_client *c, const char *name, const rh_param_spec *spec, rh_param **out) {
    static const char what[] = "rh_param_open";
    char full[WIRE_NAME_MAX + 1];
    struct shape shape;
    struct layout at;
    rh_table *t;
    bool known;
    if (c->observer)
        return err_set(RH_EINVAL, "%s: an observer makes no parameters: use rh_param_find", what);
    rh_status s = check_spec(name, spec, &shape, &at);
    if (s == RH_OK)
        s = table_name(name, &shape, full);
    if (s != RH_OK)
        return err_in(s, "%s", what);
    s = check_shape(c, what, name, &shape, &known);
    if (s != RH_OK)
        return s;
    rh_table_spec table;
    rh_table_spec_init(&table, at.rows, at.dim);
    table.seed = spec->seed;
    table.init = spec->init;
    table.optimizer = spec->optimizer;
    table.reduce = spec->reduce;
    table.frozen = spec->frozen;
    table.nonfinite = spec->nonfinite;
    s = rh_table_open(c, full, &table, &t);
    /* Meanwhile somebody may have made it in another shape: of two the first one counts. */
    if (s == RH_OK && !known)
        s = check_shape(c, what, name, &shape, &known);
    return s == RH_OK ? handle_of(t, what, name, &shape, &at, out) : s;
}

rh_status rh_param_find(rh_client *c, const char *name, rh_param **out) {
    static const char what[] = "rh_param_find";
    char full[WIRE_NAME_MAX + 1];
    struct shape shape;
    struct layout at;
    rh_table *t;
    bool found;
    rh_status s = spec_check_name(name);
    if (s == RH_OK)
        s = look_up(c, name, &found, &shape);
    if (s == RH_OK && !found)
        s = err_set(RH_ENOTFOUND, "no parameter is called %s", name);
    if (s == RH_OK)
        s = table_name(name, &shape, full);
    if (s == RH_OK && !lay_out(&shape, &at))
        s = err_set(RH_EPROTO, "the shape of %s makes no sense", full);
    if (s == RH_OK)
        s = rh_table_find(c, full, &t);
    return s == RH_OK ? handle_of(t, what, name, &shape, &at, out) : err_in(s, "%s", what);
}

rh_table *rh_param_table(const rh_param *p) {
    return p->table;
}

uint64_t rh_param_numel(const rh_param *p) {
    return p->numel;
}

const uint64_t *rh_param_shape(const rh_param *p, uint32_t *ndim) {
    *ndim = p->ndim;
    return p->shape;
}
