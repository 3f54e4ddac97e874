/*
 * test_lossy.c - frames lost, doubled and reordered all the time: the results are exactly those of
 * a plain array. Real client and real shards in one process, over a net that misbehaves, in a time
 * of the test's own, so that seconds of resending cost nothing.
 *
 * A failed run has printed its seed last: RH_TEST_SEED takes it back.
 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/rng.h"
#include "tests/support/job.h"
#include "tests/support/lossy_net.h"
#include "tests/support/seed.h"
#include "worker/client.h"
#include "worker/connect.h"
#include "worker/local.h"

enum { ROWS = 300, TABLES = 2, N_MAX = 64, FLIGHTS = 6, STEPS = 400, SEEDS = 12, WORK_MAX = 64 };
static const uint32_t dims[TABLES] = {3, 16};
enum { DIM_MAX = 16 };

/* ---- a time of our own ---- */

static int64_t time_now(void *arg) {
    return *(int64_t *)arg;
}

static void time_pause(void *arg, int64_t until_ms) {
    int64_t *now_ms = arg;
    if (until_ms > *now_ms)
        *now_ms = until_ms;
}

/* ---- the model: plain arrays ---- */

/* A call that bsp keeps until the clock closes. */
struct work {
    enum { PUSH, WRITE, RESET, INIT } what;
    int table;
    float value; /* of an init */
    uint32_t n;
    uint64_t ids[N_MAX];
    float rows[N_MAX * DIM_MAX];
};

struct scene {
    struct rng rng;
    bool bsp;
    int64_t now_ms;
    struct net *net;
    rh_client *c;
    rh_table *t[TABLES];
    float initial[TABLES]; /* what an untouched row is, all over */
    float rows[TABLES][ROWS * DIM_MAX];
    struct work kept[WORK_MAX];
    int n_kept;
};

static void fill(struct scene *s, int table, float value) {
    s->initial[table] = value;
    for (uint32_t i = 0; i < ROWS * dims[table]; i++)
        s->rows[table][i] = value;
}

static void apply(struct scene *s, const struct work *w) {
    uint32_t dim = dims[w->table];
    if (w->what == RESET || w->what == INIT) {
        fill(s, w->table, w->what == INIT ? w->value : s->initial[w->table]);
        return;
    }
    for (uint32_t i = 0; i < w->n; i++) {
        for (uint32_t d = 0; d < dim; d++) {
            float *at = &s->rows[w->table][w->ids[i] * dim + d];
            *at = w->what == WRITE ? w->rows[i * dim + d] : *at - w->rows[i * dim + d];
        }
    }
}

/* Under bsp a clock's pushes come last. */
static void close_clock(struct scene *s) {
    for (int push = 0; push <= 1; push++)
        for (int i = 0; i < s->n_kept; i++)
            if ((s->kept[i].what == PUSH) == (bool)push)
                apply(s, &s->kept[i]);
    s->n_kept = 0;
}

static void note(struct scene *s, const struct work *w) {
    if (s->bsp)
        s->kept[s->n_kept++] = *w;
    else
        apply(s, w);
}

/* ---- what the worker does ---- */

static void ok(struct scene *s, rh_status status) {
    ck_assert_msg(status == RH_OK, "%s: %s (at %" PRId64 " ms)", rh_strstatus(status), rh_errmsg(),
                  s->now_ms);
}

static void make_ids(struct scene *s, uint32_t *n, uint64_t *ids) {
    *n = rng_below(&s->rng, N_MAX + 1);
    uint32_t kinds = 1 + rng_below(&s->rng, ROWS);
    for (uint32_t i = 0; i < *n; i++)
        ids[i] = rng_below(&s->rng, kinds);
}

/* Whole numbers: their sums are exact in any order. */
static void make_work(struct scene *s, bool write, struct work *w) {
    w->what = write ? WRITE : PUSH;
    w->table = (int)rng_below(&s->rng, TABLES);
    make_ids(s, &w->n, w->ids);
    for (uint32_t i = 0; i < w->n * dims[w->table]; i++)
        w->rows[i] = (float)rng_below(&s->rng, 9) - 4;
}

/* Several pushes in flight, then several pulls. */
struct pulled {
    int table;
    uint32_t n;
    uint64_t ids[N_MAX];
    float rows[N_MAX * DIM_MAX];
};

static void check_pulled(const struct scene *s, const struct pulled *p) {
    uint32_t dim = dims[p->table];
    for (uint32_t i = 0; i < p->n; i++) {
        const float *want = &s->rows[p->table][p->ids[i] * dim], *got = &p->rows[i * dim];
        for (uint32_t d = 0; d < dim; d++)
            if (got[d] != want[d])
                ck_abort_msg("table %d id %" PRIu64 ": %f, not %f", p->table, p->ids[i],
                             (double)got[d], (double)want[d]);
    }
}

static void make_pull(struct scene *s, struct pulled *p) {
    p->table = (int)rng_below(&s->rng, TABLES);
    make_ids(s, &p->n, p->ids);
}

static void push_many(struct scene *s) {
    rh_op *ops[FLIGHTS];
    uint32_t n = 1 + rng_below(&s->rng, FLIGHTS);
    for (uint32_t i = 0; i < n; i++) {
        struct work w;
        make_work(s, false, &w);
        ok(s, rh_push_begin(s->t[w.table], w.ids, w.n, w.rows, &ops[i]));
        note(s, &w);
    }
    if (rng_below(&s->rng, 2) == 0) /* a pull that must see them all */
        goto wait;
    struct pulled p;
    make_pull(s, &p);
    ok(s, rh_pull(s->t[p.table], p.ids, p.n, p.rows));
    check_pulled(s, &p);
wait:
    for (uint32_t i = 0; i < n; i++)
        ok(s, rh_wait(&ops[i], -1));
}

static void pull_many(struct scene *s) {
    static struct pulled p[FLIGHTS];
    rh_op *ops[FLIGHTS];
    uint32_t n = 1 + rng_below(&s->rng, FLIGHTS);
    for (uint32_t i = 0; i < n; i++) {
        make_pull(s, &p[i]);
        ok(s, rh_pull_begin(s->t[p[i].table], p[i].ids, p[i].n, p[i].rows, &ops[i]));
    }
    for (uint32_t i = 0; i < n; i++) {
        ok(s, rh_wait(&ops[i], -1));
        check_pulled(s, &p[i]);
    }
}

static void write_and_read(struct scene *s) {
    struct work w;
    make_work(s, true, &w);
    ok(s, rh_write(s->t[w.table], w.ids, w.n, w.rows));
    note(s, &w);
    struct pulled p;
    make_pull(s, &p);
    ok(s, rh_read(s->t[p.table], p.ids, p.n, p.rows));
    check_pulled(s, &p);
}

static void run_batch(struct scene *s) {
    rh_batch *b;
    struct work w[2];
    static struct pulled p[2];
    ok(s, rh_batch_new(s->c, &b));
    for (int i = 0; i < 2; i++) {
        make_pull(s, &p[i]);
        ok(s, rh_batch_pull(b, s->t[p[i].table], p[i].ids, p[i].n, p[i].rows));
        make_work(s, false, &w[i]);
        ok(s, rh_batch_push(b, s->t[w[i].table], w[i].ids, w[i].n, w[i].rows));
    }
    ok(s, rh_batch_run(b));
    for (int i = 0; i < 2; i++)
        note(s, &w[i]);
    for (int i = 0; i < 2; i++) /* pushes go before pulls */
        check_pulled(s, &p[i]);
    rh_batch_free(&b);
}

static rh_table *open_one(struct scene *s, int i) {
    rh_table *t;
    char name[16];
    snprintf(name, sizeof name, "t%d", i);
    rh_table_spec spec;
    rh_table_spec_init(&spec, ROWS, dims[i]);
    spec.init = rh_zeros();
    spec.optimizer = rh_sgd(1);
    ok(s, rh_table_open(s->c, name, &spec, &t));
    return t;
}

/* A table is reset, gets another initializer, or is dropped and made again. What this clock has done to
 * a dropped one is lost; the new one is there at once. */
static void begin_anew(struct scene *s) {
    struct work w = {.what = rng_below(&s->rng, 2) ? RESET : INIT,
                     .table = (int)rng_below(&s->rng, TABLES),
                     .value = (float)rng_below(&s->rng, 9) - 4};
    if (rng_below(&s->rng, 4) != 0) {
        rh_table *t = s->t[w.table];
        rh_init init = rh_constant((double)w.value);
        ok(s, w.what == RESET ? rh_table_reset(t) : rh_table_init(t, init, rng_u64(&s->rng), 1));
        note(s, &w);
        return;
    }
    ok(s, rh_table_drop(&s->t[w.table]));
    ck_assert_ptr_null(s->t[w.table]);
    int n = 0;
    for (int i = 0; i < s->n_kept; i++)
        if (s->kept[i].table != w.table)
            s->kept[n++] = s->kept[i];
    s->n_kept = n;
    s->t[w.table] = open_one(s, w.table);
    fill(s, w.table, 0);
}

static void tick(struct scene *s) {
    uint64_t clock = rh_clock(s->c);
    ok(s, rh_tick(s->c));
    ck_assert_uint_eq(rh_clock(s->c), clock + 1);
    close_clock(s);
}

static void step(struct scene *s) {
    if (s->n_kept + FLIGHTS + 2 > WORK_MAX)
        tick(s);
    switch (rng_below(&s->rng, 11)) {
    case 0:
    case 1:
    case 2:
        push_many(s);
        break;
    case 3:
    case 4:
    case 5:
        pull_many(s);
        break;
    case 6:
        write_and_read(s);
        break;
    case 7:
    case 8:
        run_batch(s);
        break;
    case 9:
        begin_anew(s);
        break;
    default:
        tick(s);
    }
}

/* ---- the scene ---- */

static void begin(struct scene *s, uint64_t seed, bool bsp, const struct lossy_config *weather) {
    memset(s, 0, sizeof *s);
    rng_init(&s->rng, seed, 2);
    s->bsp = bsp;
    rh_config cfg;
    rh_config_init(&cfg);
    cfg.servers = "local:";
    cfg.job = "lossy";
    cfg.local_shards = 1 + rng_below(&s->rng, 4);
    cfg.mode = bsp ? RH_MODE_BSP : RH_MODE_ASYNC;
    cfg.connect_timeout_ms = cfg.op_timeout_ms = 10 * 60 * 1000;
    struct roster r;
    struct net *local;
    ok(s, local_open(&cfg, &r, &local));
    s->net = lossy_net_new(local, weather);
    struct client_time time = {time_now, time_pause, &s->now_ms};
    ok(s, connect_over(&cfg, s->net, &r, &time, &s->c));
    s->c->part_bytes = 128; /* so that small calls have many parts */
    for (int i = 0; i < TABLES; i++)
        s->t[i] = open_one(s, i);
}

/* Every row, at last. */
static void check_all(struct scene *s) {
    uint64_t ids[ROWS];
    float rows[ROWS * DIM_MAX];
    tick(s);
    for (uint64_t i = 0; i < ROWS; i++)
        ids[i] = i;
    for (int t = 0; t < TABLES; t++) {
        ok(s, rh_pull(s->t[t], ids, ROWS, rows));
        ck_assert_mem_eq(rows, s->rows[t], ROWS * dims[t] * sizeof *rows);
    }
}

static void live(uint64_t seed, bool bsp) {
    static struct scene s;
    struct lossy_config weather = {.seed = seed, .lost = 5, .doubled = 10, .late = 20};
    printf("seed %" PRIu64 ", %s\n", seed, bsp ? "bsp" : "async");
    fflush(stdout);
    begin(&s, seed, bsp, &weather);
    for (int i = 0; i < STEPS; i++)
        step(&s);
    check_all(&s);
    struct lossy_counts n = lossy_net_counts(s.net);
    ck_assert_uint_gt(n.lost, 0);
    ck_assert_uint_gt(n.doubled, 0);
    ck_assert_uint_gt(n.late, 0);
    rh_close(s.c);
}

static void live_many(bool bsp) {
    uint64_t seed = test_seed("lossy");
    for (uint64_t i = 0; i < SEEDS; i++)
        live(seed + i, bsp);
}

START_TEST(async_results_are_exact_over_a_net_that_loses_doubles_and_reorders) {
    live_many(false);
}
END_TEST

START_TEST(bsp_results_are_exact_over_a_net_that_loses_doubles_and_reorders) {
    live_many(true);
}
END_TEST

/* ---- one of two shards is cut off ---- */

/* A push to both is under way, and the second does not hear it. */
static void begin_cut_off(struct scene *s, struct lossy_counts *counts, rh_op **op) {
    rh_config cfg;
    struct roster r;
    struct net *local;
    static uint64_t ids[ROWS];
    static float ones[ROWS * DIM_MAX];
    memset(s, 0, sizeof *s);
    rh_config_init(&cfg);
    cfg.servers = "local:2";
    cfg.op_timeout_ms = 3000;
    ok(s, local_open(&cfg, &r, &local));
    s->net = lossy_net_new(local, &(struct lossy_config){.seed = 1, .counts = counts});
    struct client_time time = {time_now, time_pause, &s->now_ms};
    ok(s, connect_over(&cfg, s->net, &r, &time, &s->c));
    s->t[0] = open_one(s, 0);
    for (uint64_t i = 0; i < ROWS; i++)
        ids[i] = i;
    lossy_net_cut(s->net, s->c->links[1].cfg.peer, true);
    ok(s, rh_push_begin(s->t[0], ids, ROWS, ones, op));
}

START_TEST(a_clock_ends_nowhere_before_every_shard_has_acked_its_ops) {
    static struct scene s;
    struct lossy_counts counts = {0};
    rh_op *op;
    begin_cut_off(&s, &counts, &op);
    ck_assert_int_eq(rh_tick(s.c), RH_ETIMEDOUT);
    ck_assert_ptr_nonnull(strstr(rh_errmsg(), "shard 1"));
    ck_assert_uint_eq(counts.sent[WIRE_TICK], 0);
    lossy_net_cut(s.net, 0, false);
    ok(&s, rh_wait(&op, 60000)); /* it is sent again */
    ok(&s, rh_tick(s.c));
    ck_assert_uint_eq(counts.sent[WIRE_TICK], 2);
    ck_assert_uint_eq(rh_clock(s.c), 1);
    rh_close(s.c);
    ck_assert_uint_eq(counts.sent[WIRE_BYE], 2);
}
END_TEST

START_TEST(a_worker_whose_pushes_are_not_acked_says_goodbye_nowhere) {
    static struct scene s;
    struct lossy_counts counts = {0};
    rh_op *op;
    begin_cut_off(&s, &counts, &op);
    rh_close(s.c);
    ck_assert_uint_gt(counts.sent[WIRE_PUSH], 1);
    ck_assert_uint_eq(counts.sent[WIRE_BYE], 0);
}
END_TEST

START_TEST(a_net_that_loses_everything_ends_in_eunreachable_at_the_deadline) {
    static struct scene s;
    memset(&s, 0, sizeof s);
    rh_config cfg;
    rh_config_init(&cfg);
    cfg.servers = "local:2";
    cfg.connect_timeout_ms = 30000;
    struct roster r;
    struct net *local;
    ok(&s, local_open(&cfg, &r, &local));
    struct net *net = lossy_net_new(local, &(struct lossy_config){.seed = 1, .lost = 100});
    struct client_time time = {time_now, time_pause, &s.now_ms};
    ck_assert_int_eq(connect_over(&cfg, net, &r, &time, &s.c), RH_EUNREACHABLE);
    ck_assert_ptr_nonnull(strstr(rh_errmsg(), "local:0"));
    ck_assert_int_eq(s.now_ms, 30000);
}
END_TEST

int main(void) {
    Suite *suite = suite_create("lossy");
    TCase *t = tcase_create("lossy");
    tcase_set_timeout(t, 100);
    tcase_add_test(t, async_results_are_exact_over_a_net_that_loses_doubles_and_reorders);
    tcase_add_test(t, bsp_results_are_exact_over_a_net_that_loses_doubles_and_reorders);
    tcase_add_test(t, a_clock_ends_nowhere_before_every_shard_has_acked_its_ops);
    tcase_add_test(t, a_worker_whose_pushes_are_not_acked_says_goodbye_nowhere);
    tcase_add_test(t, a_net_that_loses_everything_ends_in_eunreachable_at_the_deadline);
    suite_add_tcase(suite, t);
    return job_main(suite);
}
