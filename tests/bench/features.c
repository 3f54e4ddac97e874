/* features.c - see features.h. Every feature is one line of a table here: what is called with it and
 * without it, on a table of which spec. Both sides take turns. */
#include "tests/bench/features.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/err.h"
#include "tests/bench/fill.h"
#include "tests/bench/ids.h"
#include "tests/bench/measure.h"
#include "tests/bench/report.h"

enum {
    BAG = 8,
    BAGS = BENCH_BATCH / BAG,
    PARAM_ROW = 1024, /* floats in a row of what keeps a parameter */
    PARAM_ROWS = 1024,
    PARAM_FLOATS = PARAM_ROW * PARAM_ROWS /* BENCH_BATCH * 128: see the README on its rate */
};
#define LR 1e-3

/* What all lines stand on. */
struct ground {
    struct stage stage;
    rh_client *client;
    rh_table *plain; /* SGD, and no feature */
    rh_param *param; /* of PARAM_FLOATS, by SGD */
    rh_table *flat;  /* (PARAM_ROWS, PARAM_ROW), by SGD: a parameter without that feature */
    float *values;   /* (PARAM_FLOATS) */
    uint64_t all[PARAM_ROWS]; /* the ids of flat */
};

/* ---- one batch ---- */

typedef rh_status call(const struct ground *g, rh_table *t, const uint64_t *ids);

static rh_status pull(const struct ground *g, rh_table *t, const uint64_t *ids) {
    return rh_pull(t, ids, BENCH_BATCH, g->stage.out[0]);
}

static rh_status push(const struct ground *g, rh_table *t, const uint64_t *ids) {
    (void)g;
    return rh_push(t, ids, BENCH_BATCH, g->stage.grads);
}

static rh_bags bags_of(const uint64_t *ids, rh_bag_mode mode) {
    rh_bags bags;
    rh_bags_init(&bags, ids, BENCH_BATCH, NULL, BAGS);
    bags.mode = mode;
    return bags;
}

static rh_status pull_sum(const struct ground *g, rh_table *t, const uint64_t *ids) {
    rh_bags bags = bags_of(ids, RH_BAG_SUM);
    return rh_pull_bags(t, &bags, g->stage.out[0], NULL);
}

static rh_status pull_mean(const struct ground *g, rh_table *t, const uint64_t *ids) {
    rh_bags bags = bags_of(ids, RH_BAG_MEAN);
    return rh_pull_bags(t, &bags, g->stage.out[0], NULL);
}

static rh_status pull_max(const struct ground *g, rh_table *t, const uint64_t *ids) {
    rh_bags bags = bags_of(ids, RH_BAG_MAX);
    return rh_pull_bags(t, &bags, g->stage.out[0], NULL);
}

static rh_status push_sum(const struct ground *g, rh_table *t, const uint64_t *ids) {
    rh_bags bags = bags_of(ids, RH_BAG_SUM);
    return rh_push_bags(t, &bags, g->stage.grads, NULL, NULL);
}

static rh_status push_mean(const struct ground *g, rh_table *t, const uint64_t *ids) {
    rh_bags bags = bags_of(ids, RH_BAG_MEAN);
    return rh_push_bags(t, &bags, g->stage.grads, NULL, NULL);
}

/* Any rows will do to find the largest in. */
static rh_status push_max(const struct ground *g, rh_table *t, const uint64_t *ids) {
    rh_bags bags = bags_of(ids, RH_BAG_MAX);
    return rh_push_bags(t, &bags, g->stage.grads, g->stage.out[1], NULL);
}

static rh_status pull_flat(const struct ground *g, rh_table *t, const uint64_t *ids) {
    (void)t, (void)ids;
    return rh_pull(g->flat, g->all, PARAM_ROWS, g->values);
}

static rh_status push_flat(const struct ground *g, rh_table *t, const uint64_t *ids) {
    (void)t, (void)ids;
    return rh_push(g->flat, g->all, PARAM_ROWS, g->values);
}

static rh_status pull_param(const struct ground *g, rh_table *t, const uint64_t *ids) {
    (void)t, (void)ids;
    return rh_param_pull(g->param, g->values);
}

static rh_status push_param(const struct ground *g, rh_table *t, const uint64_t *ids) {
    (void)t, (void)ids;
    return rh_param_push(g->param, g->values);
}

/* ---- specs ---- */

/* Rows of fill.c have norms up to 16, and a step moves them by some 2e-5. */
static void norm_above(rh_table_spec *s) {
    s->max_norm = 1000;
}

static void norm_below(rh_table_spec *s) {
    s->max_norm = 1e-6;
}

/* The most frequent id of zipf. */
static void padding(rh_table_spec *s) {
    s->padding_idx = 0;
}

static void by_freq(rh_table_spec *s) {
    s->scale_grad_by_freq = 1;
}

static void skip(rh_table_spec *s) {
    s->nonfinite = RH_NONFINITE_SKIP;
}

static void momentum(rh_table_spec *s) {
    s->optimizer = rh_sgd_with(LR, 0.9, 0, 0, 0);
}

static void adagrad(rh_table_spec *s) {
    s->optimizer = rh_adagrad(LR);
}

static void rowwise_adagrad(rh_table_spec *s) {
    s->optimizer = rh_rowwise_adagrad(LR);
}

static void sparse_adam(rh_table_spec *s) {
    s->optimizer = rh_sparse_adam(LR);
}

static void adam(rh_table_spec *s) {
    s->optimizer = rh_adam(LR);
}

static void rmsprop(rh_table_spec *s) {
    s->optimizer = rh_rmsprop(LR);
}

/* ---- what is done to a full table ---- */

static rh_status freeze_range(const struct stage *s, rh_table *t) {
    return rh_freeze(t, 0, s->rows / 2, 0);
}

/* Which half must not follow from the low bits of an id: they say where a row lies. */
static rh_status freeze_list(const struct stage *s, rh_table *t) {
    uint64_t *ids = malloc(s->rows * sizeof *ids);
    if (ids == NULL)
        return err_set(RH_ENOMEM, "no memory for %llu ids", (unsigned long long)s->rows);
    size_t n = 0;
    for (uint64_t id = 0; id < s->rows; id++)
        if (id * UINT64_C(0x9E3779B97F4A7C15) >> 63 != 0)
            ids[n++] = id;
    rh_status st = rh_freeze_ids(t, ids, n, 0);
    free(ids);
    return st;
}

/* ---- the features ---- */

enum { UNIFORM = 1, ZIPF = 2, BOTH = UNIFORM | ZIPF };

static const struct feature {
    const char *name;
    int kinds; /* the draws for which it is measured */
    call *without, *with;
    void (*set)(rh_table_spec *s); /* NULL, then too: with is called on the plain table */
    rh_status (*then)(const struct stage *s, rh_table *t);
} features[] = {
    {"pull max_norm, all below", BOTH, pull, pull, norm_above, NULL},
    {"pull max_norm, all above", BOTH, pull, pull, norm_below, NULL},
    {"push max_norm, all below", BOTH, push, push, norm_above, NULL},
    {"push max_norm, all above", BOTH, push, push, norm_below, NULL},
    {"push padding_idx", BOTH, push, push, padding, NULL},
    {"push scale_grad_by_freq", BOTH, push, push, by_freq, NULL},
    {"push half frozen, list", UNIFORM, push, push, NULL, freeze_list},
    {"push half frozen, range", UNIFORM, push, push, NULL, freeze_range},
    {"push nonfinite skip", UNIFORM, push, push, skip, NULL},
    {"push sgd momentum", UNIFORM, push, push, momentum, NULL},
    {"push adagrad", UNIFORM, push, push, adagrad, NULL},
    {"push rowwise_adagrad", UNIFORM, push, push, rowwise_adagrad, NULL},
    {"push sparse_adam", UNIFORM, push, push, sparse_adam, NULL},
    {"push adam", UNIFORM, push, push, adam, NULL},
    {"push rmsprop", UNIFORM, push, push, rmsprop, NULL},
    {"pull bags sum", BOTH, pull, pull_sum, NULL, NULL},
    {"pull bags mean", UNIFORM, pull, pull_mean, NULL, NULL},
    {"pull bags max", BOTH, pull, pull_max, NULL, NULL},
    {"push bags sum", BOTH, push, push_sum, NULL, NULL},
    {"push bags mean", UNIFORM, push, push_mean, NULL, NULL},
    {"push bags max", BOTH, push, push_max, NULL, NULL},
    {"pull parameter", UNIFORM, pull_flat, pull_param, NULL, NULL},
    {"push parameter", UNIFORM, push_flat, push_param, NULL, NULL},
};
enum { N_FEATURES = sizeof features / sizeof *features };

/* ---- one line ---- */

/* The work with the feature, or without it. */
struct side {
    const struct ground *ground;
    rh_table *table;
    call *call;
};

static rh_status run(void *self, const struct job *j) {
    const struct side *d = self;
    rh_status st = RH_OK;
    for (uint32_t b = 0; st == RH_OK && b < j->batches; b++)
        st = d->call(d->ground, d->table, j->ids + (size_t)b * BENCH_BATCH);
    return st;
}

static const struct contender side_with = {.name = "with", .run = run};
static const struct contender side_without = {.name = "without", .run = run};

static rh_status open_table(const struct ground *g, const char *name, const struct feature *f,
                            rh_table **out) {
    rh_table_spec spec;
    rh_table_spec_init(&spec, g->stage.rows, g->stage.dim);
    spec.optimizer = rh_sgd(LR);
    if (f != NULL && f->set != NULL)
        f->set(&spec);
    rh_status st = rh_table_open(g->client, name, &spec, out);
    if (st == RH_OK)
        st = fill_table(&g->stage, *out, true);
    if (st == RH_OK && f != NULL && f->then != NULL)
        st = f->then(&g->stage, *out);
    return st;
}

static rh_status run_draw(const struct bench_features *o, const struct feature *f,
                          const struct side *with, const struct ids_kind *kind) {
    struct job j = {.depth = 1, .batches = (uint32_t)(o->rows / BENCH_BATCH), .of_thread = true};
    size_t n = (size_t)j.batches * BENCH_BATCH;
    uint64_t *ids = malloc(n * sizeof *ids);
    if (ids == NULL)
        return err_set(RH_ENOMEM, "no memory for %zu ids", n);
    kind->draw(o->rows, n, ids);
    j.ids = ids;
    struct side without = {with->ground, with->ground->plain, f->without};
    struct runner runners[] = {{&side_with, (void *)with}, {&side_without, &without}};
    struct rate rates[2];
    rh_status st = measure(runners, 2, &j, o->rounds, rates);
    free(ids);
    if (st != RH_OK)
        return st;
    printf("%-26s %-8s", f->name,
           f->with == pull_param || f->with == push_param ? "-" : kind->name);
    report_rate(&rates[0]);
    report_rate(&rates[1]);
    printf(" %6.2f\n", rates[0].median / rates[1].median);
    fflush(stdout);
    return RH_OK;
}

static rh_status run_feature(const struct bench_features *o, const struct ground *g,
                             const struct feature *f) {
    const bool own = f->set != NULL || f->then != NULL;
    struct side with = {g, g->plain, f->with};
    rh_status st = own ? open_table(g, "with", f, &with.table) : RH_OK;
    for (int k = 0; st == RH_OK && k < IDS_KINDS; k++)
        if ((f->kinds & 1 << k) != 0 && (o->ids == NULL || strcmp(o->ids, ids_kinds[k].name) == 0))
            st = run_draw(o, f, &with, &ids_kinds[k]);
    if (st == RH_OK && own)
        st = rh_table_drop(&with.table);
    return st == RH_OK ? RH_OK : err_in(st, "%s", f->name);
}

/* ---- all of them ---- */

static rh_status open_param(struct ground *g) {
    rh_param_spec param;
    rh_param_spec_init(&param, (uint64_t[]){PARAM_ROWS, PARAM_ROW}, 2);
    param.optimizer = rh_sgd(LR);
    rh_table_spec flat;
    rh_table_spec_init(&flat, PARAM_ROWS, PARAM_ROW);
    flat.optimizer = rh_sgd(LR);
    rh_status st = rh_param_open(g->client, "param", &param, &g->param);
    if (st == RH_OK)
        st = rh_table_open(g->client, "flat", &flat, &g->flat);
    g->values = calloc(PARAM_FLOATS, sizeof *g->values);
    if (st == RH_OK && g->values == NULL)
        st = err_set(RH_ENOMEM, "no memory for a parameter");
    for (uint64_t id = 0; id < PARAM_ROWS; id++)
        g->all[id] = id;
    if (st == RH_OK)
        st = push_param(g, NULL, NULL);
    return st == RH_OK ? push_flat(g, NULL, NULL) : st;
}

static rh_status open_ground(struct ground *g) {
    rh_config cfg;
    rh_config_init(&cfg);
    cfg.servers = g->stage.transport;
    cfg.rank = 0;
    cfg.world = 1;
    cfg.mode = RH_MODE_ASYNC;
    rh_status st = rh_connect(&cfg, &g->client);
    if (st == RH_OK)
        st = open_table(g, "plain", NULL, &g->plain);
    return st == RH_OK ? open_param(g) : st;
}

rh_status bench_features(const struct bench_features *o, const struct stage *s) {
    struct ground g = {.stage = *s};
    g.stage.rows = o->rows;
    printf(
        "\nWhat features cost, %s dim %u, tables of %llu rows: millions of rows per second of this "
        "thread,\nmedian [lowest..highest]; the medians' ratio.\n\n",
        s->transport, s->dim, (unsigned long long)o->rows);
    printf("%-26s %-8s %-22s %-22s %6s\n", "feature", "ids", "with", "without", "ratio");
    fflush(stdout);
    rh_status st = open_ground(&g);
    for (const struct feature *f = features; st == RH_OK && f < features + N_FEATURES; f++)
        if (o->only == NULL || strcmp(o->only, f->name) == 0)
            st = run_feature(o, &g, f);
    rh_close(g.client);
    free(g.values);
    return st == RH_OK ? RH_OK : err_in(st, "features");
}
