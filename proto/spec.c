/* spec.c - a table's spec: check, compare, encode, decode. Texts use the words of the public header
 * (embedding_dim, num_embeddings), because it is the caller of rh_table_open who reads them. */
#include "proto/spec.h"

#include <float.h>
#include <inttypes.h>
#include <math.h>
#include <string.h>

#include "common/err.h"

enum { INIT_ARGS = 4, OPT_ARGS = 6 };

/* The names of what an initializer or optimizer has for arguments; those without a name are 0. Row
 * 0 stands for numbers that mean nothing: specs come from the wire before they are checked. */
static const struct {
    const char *name, *arg[INIT_ARGS];
} inits[SPEC_INITS_END] = {
    [0] = {"?", {NULL}},
    [SPEC_ZEROS] = {"zeros", {NULL}},
    [SPEC_CONSTANT] = {"constant", {"value"}},
    [SPEC_UNIFORM] = {"uniform", {"low", "high"}},
    [SPEC_NORMAL] = {"normal", {"mean", "std"}},
};
static const struct {
    const char *name, *arg[OPT_ARGS];
} opts[SPEC_OPTS_END] = {
    [0] = {"?", {NULL}},
    [SPEC_SGD] = {"SGD", {NULL}},
    [SPEC_SPARSE_ADAM] = {"SparseAdam", {"beta1", "beta2", "eps"}},
};

static uint32_t row_of(uint32_t number, uint32_t end) {
    return number < end ? number : 0;
}

const char *spec_init_name(uint32_t init) {
    return inits[row_of(init, SPEC_INITS_END)].name;
}

const char *spec_opt_name(uint32_t opt) {
    return opts[row_of(opt, SPEC_OPTS_END)].name;
}

static const char *reduce_name(uint32_t reduce) {
    return reduce == SPEC_SUM ? "sum" : reduce == SPEC_MEAN ? "mean" : "?";
}

/* ---- checking ---- */

static rh_status check_int(const char *field, uint64_t value, uint64_t low, uint64_t high) {
    if (value >= low && value <= high)
        return RH_OK;
    return err_set(RH_EINVAL, "%s is %" PRIu64 "; allowed is %" PRIu64 " to %" PRIu64, field, value,
                   low, high);
}

/* NaN is below nothing and above nothing, so it is refused. */
static rh_status check_real(const char *of, const char *field, double value, double low,
                            double high) {
    if (value >= low && value <= high)
        return RH_OK;
    return err_set(RH_EINVAL, "%s%s%s is %.17g; allowed is %.17g to %.17g", of, *of ? "'s " : "",
                   field, value, low, high);
}

static rh_status check_unused(const char *of, const char *const *names, const double *arg,
                              size_t n) {
    for (size_t i = 0; i < n; i++) {
        if (names[i] == NULL && !(arg[i] == 0))
            return err_set(RH_EINVAL,
                           "%s's argument %zu is %.17g; allowed is 0: it has no such one", of, i,
                           arg[i]);
    }
    return RH_OK;
}

static rh_status check_init(const struct spec *s) {
    rh_status bad = check_int("init", s->init, SPEC_ZEROS, SPEC_INITS_END - 1);
    if (bad != RH_OK)
        return bad;
    const char *name = inits[s->init].name;
    const char *const *arg = inits[s->init].arg;
    /* Rows are floats: a double beyond them would begin a table with infinities. */
    for (size_t i = 0; bad == RH_OK && i < INIT_ARGS && arg[i] != NULL; i++)
        bad = check_real(name, arg[i], s->init_arg[i], -FLT_MAX, FLT_MAX);
    if (bad == RH_OK && s->init == SPEC_UNIFORM)
        bad = check_real(name, "high", s->init_arg[1], s->init_arg[0], FLT_MAX);
    if (bad == RH_OK && s->init == SPEC_NORMAL)
        bad = check_real(name, "std", s->init_arg[1], 0, FLT_MAX);
    if (bad != RH_OK)
        return bad;
    return check_unused(name, arg, s->init_arg, INIT_ARGS);
}

static rh_status check_opt(const struct spec *s) {
    rh_status bad = check_int("optimizer", s->opt, SPEC_SGD, SPEC_OPTS_END - 1);
    if (bad != RH_OK)
        return bad;
    const char *name = opts[s->opt].name;
    if (s->opt == SPEC_SPARSE_ADAM) {
        const double below_one = nextafter(1, 0);
        bad = check_real(name, "beta1", s->opt_arg[0], 0, below_one);
        if (bad == RH_OK)
            bad = check_real(name, "beta2", s->opt_arg[1], 0, below_one);
        if (bad == RH_OK) /* what is smaller would be 0 as a float, and a row of zeros NaN */
            bad = check_real(name, "eps", s->opt_arg[2], FLT_TRUE_MIN, FLT_MAX);
    }
    if (bad != RH_OK)
        return bad;
    return check_unused(name, opts[s->opt].arg, s->opt_arg, OPT_ARGS);
}

rh_status spec_check(const struct spec *s) {
    if (s->kind != SPEC_DENSE)
        return err_set(RH_EINVAL, "kind is %u; allowed is %d, dense: others are not built yet",
                       s->kind, SPEC_DENSE);
    rh_status bad = check_int("embedding_dim", s->dim, 1, WIRE_DIM_MAX);
    if (bad == RH_OK)
        bad = check_int("num_embeddings", s->rows, 1, UINT64_C(1) << SPEC_ROWS_BITS);
    if (bad == RH_OK)
        bad = check_init(s);
    if (bad == RH_OK)
        bad = check_opt(s);
    if (bad == RH_OK)
        bad = check_real("", "lr", s->lr, 0, FLT_MAX);
    if (bad == RH_OK)
        bad = check_int("reduce", s->reduce, SPEC_SUM, SPEC_MEAN);
    return bad == RH_OK ? check_int("frozen", s->frozen, 0, 1) : bad;
}

rh_status spec_check_name(const char *name) {
    static const char allowed[] =
        "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_.-";
    size_t n = strnlen(name, WIRE_NAME_MAX + 1);
    if (n == 0)
        return err_set(RH_EINVAL, "a table's name is empty");
    if (n > WIRE_NAME_MAX)
        return err_set(RH_EINVAL, "table name \"%.*s...\" is longer than %d characters",
                       WIRE_NAME_MAX, name, WIRE_NAME_MAX);
    size_t good = strspn(name, allowed);
    if (good < n)
        return err_set(RH_EINVAL,
                       "table name \"%s\": character %zu (0x%02x) is none of A-Z a-z 0-9 _ . -",
                       name, good + 1, (unsigned char)name[good]);
    return RH_OK;
}

/* ---- comparing ---- */

static rh_status differ_int(const char *table, const char *field, uint64_t have, uint64_t want) {
    return err_set(RH_EMISMATCH, "table \"%s\" has %s %" PRIu64 ", not %" PRIu64, table, field,
                   have, want);
}

static rh_status differ_name(const char *table, const char *field, const char *have,
                             const char *want) {
    return err_set(RH_EMISMATCH, "table \"%s\" has %s %s, not %s", table, field, have, want);
}

static rh_status same_args(const char *table, const char *of, const char *const *names,
                           const double *have, const double *want, size_t n) {
    for (size_t i = 0; i < n; i++) {
        if (have[i] != want[i])
            return err_set(RH_EMISMATCH, "table \"%s\" has %s's %s %.17g, not %.17g", table, of,
                           names[i] != NULL ? names[i] : "unused argument", have[i], want[i]);
    }
    return RH_OK;
}

rh_status spec_same(const struct spec *have, const struct spec *want, const char *table) {
    if (have->kind != want->kind)
        return differ_int(table, "kind", have->kind, want->kind);
    if (have->dim != want->dim)
        return differ_int(table, "embedding_dim", have->dim, want->dim);
    if (have->rows != want->rows)
        return differ_int(table, "num_embeddings", have->rows, want->rows);
    if (have->seed != want->seed)
        return differ_int(table, "seed", have->seed, want->seed);
    if (have->init != want->init)
        return differ_name(table, "init", spec_init_name(have->init), spec_init_name(want->init));
    uint32_t row = row_of(have->init, SPEC_INITS_END);
    rh_status s = same_args(table, inits[row].name, inits[row].arg, have->init_arg, want->init_arg,
                            INIT_ARGS);
    if (s != RH_OK)
        return s;
    if (have->opt != want->opt)
        return differ_name(table, "optimizer", spec_opt_name(have->opt), spec_opt_name(want->opt));
    row = row_of(have->opt, SPEC_OPTS_END);
    s = same_args(table, opts[row].name, opts[row].arg, have->opt_arg, want->opt_arg, OPT_ARGS);
    if (s != RH_OK)
        return s;
    if (have->reduce != want->reduce)
        return differ_name(table, "reduce", reduce_name(have->reduce), reduce_name(want->reduce));
    return RH_OK;
}

/* ---- on the wire: PROTOCOL.md, section 4 ---- */

void spec_put(struct buf *b, const struct spec *s) {
    buf_put_u32(b, s->kind);
    buf_put_u32(b, s->dim);
    buf_put_u64(b, s->rows);
    buf_put_u64(b, s->seed);
    buf_put_u32(b, s->init);
    buf_put_u32(b, s->opt);
    for (size_t i = 0; i < INIT_ARGS; i++)
        buf_put_f64(b, s->init_arg[i]);
    buf_put_f64(b, s->lr);
    for (size_t i = 0; i < OPT_ARGS; i++)
        buf_put_f64(b, s->opt_arg[i]);
    buf_put_u32(b, s->reduce);
    buf_put_u32(b, s->frozen);
}

void spec_get(struct rd *r, struct spec *s) {
    s->kind = rd_u32(r);
    s->dim = rd_u32(r);
    s->rows = rd_u64(r);
    s->seed = rd_u64(r);
    s->init = rd_u32(r);
    s->opt = rd_u32(r);
    for (size_t i = 0; i < INIT_ARGS; i++)
        s->init_arg[i] = rd_f64(r);
    s->lr = rd_f64(r);
    for (size_t i = 0; i < OPT_ARGS; i++)
        s->opt_arg[i] = rd_f64(r);
    s->reduce = rd_u32(r);
    s->frozen = rd_u32(r);
}
