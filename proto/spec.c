/* spec.c - a table's spec: check, compare, encode, decode. Texts use the words of the public header
 * (embedding_dim, num_embeddings), because it is the caller of rh_table_open who reads them. */
#include "proto/spec.h"

#include <float.h>
#include <inttypes.h>
#include <math.h>
#include <string.h>

#include "common/err.h"
#include "common/name.h"

/* What an initializer or optimizer has for arguments, and their bounds, which are those of torch
 * within what a float can hold. Arguments without a name are 0. Row 0 stands for numbers that mean
 * nothing: specs come from the wire before they are checked. */
struct arg {
    const char *name;
    double low, high;
};

#define REAL        -FLT_MAX, FLT_MAX
#define NOT_BELOW_0 0, FLT_MAX
#define ABOVE_0     FLT_TRUE_MIN, FLT_MAX /* below it a float is 0, and what it divides NaN */
#define BETA        0, 0x1.fffffffffffffp-1

static const struct {
    const char *name;
    struct arg arg[SPEC_INIT_ARGS];
} inits[SPEC_INITS_END] = {
    [0] = {"?", {{0}}},
    [SPEC_ZEROS] = {"zeros", {{0}}},
    [SPEC_CONSTANT] = {"constant", {{"value", REAL}}},
    [SPEC_UNIFORM] = {"uniform", {{"low", REAL}, {"high", REAL}}},
    [SPEC_NORMAL] = {"normal", {{"mean", REAL}, {"std", NOT_BELOW_0}}},
    [SPEC_TRUNC_NORMAL] = {"trunc_normal",
                           {{"mean", REAL}, {"std", ABOVE_0}, {"a", REAL}, {"b", REAL}}},
};

static const struct {
    const char *name;
    struct arg arg[SPEC_OPT_ARGS];
    uint32_t flags; /* those that it may have */
} opts[SPEC_OPTS_END] = {
    [0] = {"?", {{0}}, 0},
    [SPEC_SGD] = {"SGD",
                  {{"momentum", NOT_BELOW_0}, {"dampening", REAL}, {"weight_decay", NOT_BELOW_0}},
                  SPEC_NESTEROV},
    [SPEC_SPARSE_ADAM] = {"SparseAdam",
                          {{"beta1", BETA}, {"beta2", BETA}, {"eps", ABOVE_0}},
                          SPEC_STEPS_PER_ROW},
    [SPEC_ADAGRAD] = {"Adagrad",
                      {{"lr_decay", NOT_BELOW_0},
                       {"weight_decay", NOT_BELOW_0},
                       {"initial_accumulator", NOT_BELOW_0},
                       {"eps", ABOVE_0}},
                      0},
    [SPEC_ROWWISE_ADAGRAD] = {"RowWiseAdagrad",
                              {{"lr_decay", NOT_BELOW_0},
                               {"weight_decay", NOT_BELOW_0},
                               {"initial_accumulator", NOT_BELOW_0},
                               {"eps", ABOVE_0}},
                              0},
    [SPEC_ADAM] =
        {"Adam",
         {{"beta1", BETA}, {"beta2", BETA}, {"eps", ABOVE_0}, {"weight_decay", NOT_BELOW_0}},
         0},
    [SPEC_ADAMW] =
        {"AdamW",
         {{"beta1", BETA}, {"beta2", BETA}, {"eps", ABOVE_0}, {"weight_decay", NOT_BELOW_0}},
         0},
    [SPEC_RMSPROP] = {"RMSprop",
                      {{"alpha", 0, 1},
                       {"eps", ABOVE_0},
                       {"weight_decay", NOT_BELOW_0},
                       {"momentum", NOT_BELOW_0}},
                      SPEC_CENTERED},
};

/* By bit. why: for those that no optimizer has today. */
static const struct {
    const char *name, *why;
} flags[] = {
    {"nesterov", ""},
    {"centered", ""},
    {"steps_per_row", ""},
    {"amsgrad", ": no optimizer here has it"},
    {"maximize", ": no optimizer here has it; push the gradient of the loss with its sign turned"},
};
enum { FLAGS = sizeof flags / sizeof *flags };

static uint32_t row_of(uint32_t number, uint32_t end) {
    return number < end ? number : 0;
}

const char *spec_init_name(uint32_t init) {
    return inits[row_of(init, SPEC_INITS_END)].name;
}

const char *spec_opt_name(uint32_t opt) {
    return opts[row_of(opt, SPEC_OPTS_END)].name;
}

static const char *nonfinite_name(uint32_t nonfinite) {
    return nonfinite == SPEC_REFUSE ? "refuse" : nonfinite == SPEC_SKIP ? "skip" : "?";
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

static rh_status check_args(const char *of, const struct arg *arg, const double *value, size_t n) {
    for (size_t i = 0; i < n; i++) {
        if (arg[i].name == NULL && !(value[i] == 0))
            return err_set(RH_EINVAL,
                           "%s's argument %zu is %.17g; allowed is 0: it has no such one", of, i,
                           value[i]);
        rh_status bad = arg[i].name == NULL
                            ? RH_OK
                            : check_real(of, arg[i].name, value[i], arg[i].low, arg[i].high);
        if (bad != RH_OK)
            return bad;
    }
    return RH_OK;
}

static rh_status check_init(const struct spec *s) {
    if (s->init == SPEC_ORTHOGONAL)
        return err_set(RH_EINVAL,
                       "init orthogonal is refused: each row would depend on all others, "
                       "but a row here is made alone, on the shard that has it; make "
                       "such rows yourself and write them");
    rh_status bad = check_int("init", s->init, SPEC_ZEROS, SPEC_INITS_END - 1);
    if (bad != RH_OK)
        return bad;
    const char *name = inits[s->init].name;
    const double *arg = s->init_arg;
    bad = check_args(name, inits[s->init].arg, arg, SPEC_INIT_ARGS);
    if (bad == RH_OK && s->init == SPEC_UNIFORM)
        bad = check_real(name, "high", arg[1], arg[0], FLT_MAX);
    if (bad == RH_OK && s->init == SPEC_TRUNC_NORMAL)
        bad = check_real(name, "b", arg[3], arg[2], FLT_MAX);
    return bad;
}

static rh_status check_flags(const struct spec *s) {
    for (uint32_t i = 0; i < 32; i++) {
        uint32_t flag = UINT32_C(1) << i;
        if ((s->opt_flags & flag) == 0 || (opts[s->opt].flags & flag) != 0)
            continue;
        return err_set(RH_EINVAL, "%s has no %s%s", opts[s->opt].name,
                       i < FLAGS ? flags[i].name : "flag of that number",
                       i < FLAGS ? flags[i].why : "");
    }
    const double *arg = s->opt_arg;
    if ((s->opt_flags & SPEC_NESTEROV) && !(arg[SGD_MOMENTUM] > 0 && arg[SGD_DAMPENING] == 0))
        return err_set(RH_EINVAL,
                       "SGD's nesterov needs momentum above 0 and dampening 0, not %.17g and %.17g",
                       arg[SGD_MOMENTUM], arg[SGD_DAMPENING]);
    return RH_OK;
}

static rh_status check_opt(const struct spec *s) {
    rh_status bad = check_int("optimizer", s->opt, SPEC_SGD, SPEC_OPTS_END - 1);
    if (bad == RH_OK)
        bad = check_args(opts[s->opt].name, opts[s->opt].arg, s->opt_arg, SPEC_OPT_ARGS);
    if (bad == RH_OK)
        bad = check_flags(s);
    return bad == RH_OK ? check_real("", "lr", s->lr, 0, FLT_MAX) : bad;
}

/* What nn.Embedding does with looked-up rows. */
static rh_status check_lookup(const struct spec *s) {
    const bool limited = s->max_norm != 0;
    rh_status bad = check_int("scale_grad_by_freq", s->scale_grad_by_freq, 0, 1);
    if (bad == RH_OK && s->padding_idx != SPEC_NO_PADDING)
        bad = check_int("padding_idx", s->padding_idx, 0, s->rows - 1);
    if (bad == RH_OK && limited && !(s->max_norm > 0))
        return err_set(RH_EINVAL, "max_norm is %.17g; allowed is above 0, or 0 for none",
                       s->max_norm);
    if (bad == RH_OK && limited && !(s->norm_type > 0))
        return err_set(RH_EINVAL, "norm_type is %.17g; allowed is above 0, infinity too",
                       s->norm_type);
    return bad == RH_OK && !limited ? check_real("", "norm_type", s->norm_type, 0, 0) : bad;
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
        bad = check_int("reduce", s->reduce, SPEC_SUM, SPEC_MEAN);
    if (bad == RH_OK)
        bad = check_int("frozen", s->frozen, 0, 1);
    if (bad == RH_OK)
        bad = check_int("nonfinite", s->nonfinite, SPEC_REFUSE, SPEC_SKIP);
    if (bad == RH_OK)
        bad = check_lookup(s);
    return bad;
}

_Static_assert((int)WIRE_NAME_MAX == (int)NAME_MAX_BYTES, "a table's name fits a frame");

rh_status spec_check_name(const char *name) {
    return name_check("table", name);
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

static rh_status differ_real(const char *table, const char *field, double have, double want) {
    return err_set(RH_EMISMATCH, "table \"%s\" has %s %.17g, not %.17g", table, field, have, want);
}

static rh_status differ_padding(const char *table, uint64_t have, uint64_t want) {
    if (have == SPEC_NO_PADDING)
        return err_set(RH_EMISMATCH, "table \"%s\" has no padding_idx, not %" PRIu64, table, want);
    if (want == SPEC_NO_PADDING)
        return err_set(RH_EMISMATCH, "table \"%s\" has padding_idx %" PRIu64 ", not none", table,
                       have);
    return differ_int(table, "padding_idx", have, want);
}

static rh_status same_args(const char *table, const char *of, const struct arg *arg,
                           const double *have, const double *want, size_t n) {
    for (size_t i = 0; i < n; i++) {
        if (have[i] != want[i])
            return err_set(RH_EMISMATCH, "table \"%s\" has %s's %s %.17g, not %.17g", table, of,
                           arg[i].name != NULL ? arg[i].name : "unused argument", have[i], want[i]);
    }
    return RH_OK;
}

static rh_status same_flags(const char *table, const char *of, uint32_t have, uint32_t want) {
    for (uint32_t i = 0; i < FLAGS; i++) {
        if ((have ^ want) >> i & 1)
            return err_set(RH_EMISMATCH, "table \"%s\" has %s %s %s", table, of,
                           have >> i & 1 ? "with" : "without", flags[i].name);
    }
    return have == want ? RH_OK : differ_int(table, "opt_flags", have, want);
}

static rh_status same_init(const struct spec *have, const struct spec *want, const char *table) {
    if (have->init != want->init)
        return differ_name(table, "init", spec_init_name(have->init), spec_init_name(want->init));
    uint32_t row = row_of(have->init, SPEC_INITS_END);
    return same_args(table, inits[row].name, inits[row].arg, have->init_arg, want->init_arg,
                     SPEC_INIT_ARGS);
}

static rh_status same_opt(const struct spec *have, const struct spec *want, const char *table) {
    if (have->opt != want->opt)
        return differ_name(table, "optimizer", spec_opt_name(have->opt), spec_opt_name(want->opt));
    uint32_t row = row_of(have->opt, SPEC_OPTS_END);
    rh_status s = same_args(table, opts[row].name, opts[row].arg, have->opt_arg, want->opt_arg,
                            SPEC_OPT_ARGS);
    return s == RH_OK ? same_flags(table, opts[row].name, have->opt_flags, want->opt_flags) : s;
}

static rh_status same_lookup(const struct spec *have, const struct spec *want, const char *table) {
    if (have->scale_grad_by_freq != want->scale_grad_by_freq)
        return differ_int(table, "scale_grad_by_freq", have->scale_grad_by_freq,
                          want->scale_grad_by_freq);
    if (have->padding_idx != want->padding_idx)
        return differ_padding(table, have->padding_idx, want->padding_idx);
    if (have->max_norm != want->max_norm)
        return differ_real(table, "max_norm", have->max_norm, want->max_norm);
    if (have->norm_type != want->norm_type)
        return differ_real(table, "norm_type", have->norm_type, want->norm_type);
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
    rh_status s = same_init(have, want, table);
    if (s == RH_OK)
        s = same_opt(have, want, table);
    if (s != RH_OK)
        return s;
    if (have->reduce != want->reduce)
        return differ_name(table, "reduce", reduce_name(have->reduce), reduce_name(want->reduce));
    if (have->nonfinite != want->nonfinite)
        return differ_name(table, "nonfinite", nonfinite_name(have->nonfinite),
                           nonfinite_name(want->nonfinite));
    return same_lookup(have, want, table);
}

/* ---- on the wire: PROTOCOL.md, section 4 ---- */

void spec_put(struct buf *b, const struct spec *s) {
    buf_put_u32(b, s->kind);
    buf_put_u32(b, s->dim);
    buf_put_u64(b, s->rows);
    buf_put_u64(b, s->seed);
    buf_put_u32(b, s->init);
    buf_put_u32(b, s->opt);
    for (size_t i = 0; i < SPEC_INIT_ARGS; i++)
        buf_put_f64(b, s->init_arg[i]);
    buf_put_f64(b, s->lr);
    for (size_t i = 0; i < SPEC_OPT_ARGS; i++)
        buf_put_f64(b, s->opt_arg[i]);
    buf_put_u32(b, s->opt_flags);
    buf_put_u32(b, s->reduce);
    buf_put_u32(b, s->frozen);
    buf_put_u32(b, s->scale_grad_by_freq);
    buf_put_u32(b, s->nonfinite);
    buf_put_u32(b, 0);
    buf_put_u64(b, s->padding_idx);
    buf_put_f64(b, s->max_norm);
    buf_put_f64(b, s->norm_type);
}

void spec_get(struct rd *r, struct spec *s) {
    s->kind = rd_u32(r);
    s->dim = rd_u32(r);
    s->rows = rd_u64(r);
    s->seed = rd_u64(r);
    s->init = rd_u32(r);
    s->opt = rd_u32(r);
    for (size_t i = 0; i < SPEC_INIT_ARGS; i++)
        s->init_arg[i] = rd_f64(r);
    s->lr = rd_f64(r);
    for (size_t i = 0; i < SPEC_OPT_ARGS; i++)
        s->opt_arg[i] = rd_f64(r);
    s->opt_flags = rd_u32(r);
    s->reduce = rd_u32(r);
    s->frozen = rd_u32(r);
    s->scale_grad_by_freq = rd_u32(r);
    s->nonfinite = rd_u32(r);
    if (rd_u32(r) != 0)
        r->bad = true;
    s->padding_idx = rd_u64(r);
    s->max_norm = rd_f64(r);
    s->norm_type = rd_f64(r);
}
