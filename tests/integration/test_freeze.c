/*
 * test_freeze.c - freezing rows through the client: ranges, lists and stages over every transport, T,
 * what is not sent any more, the same bits on any number of shards, and the commands.
 */
#include <inttypes.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "common/rng.h"
#include "tests/support/job.h"
#include "worker/facts.h"

enum { SHARDS = 3, WORKERS_MAX = 3 };

static struct job job;
static rh_client *c;

static void begin(int transport, rh_mode mode) {
    job_start(&job, transport, SHARDS);
    job.cfg.mode = mode;
    c = job_connect(&job, 0);
}

static void end(void) {
    rh_close(c);
    job_stop(&job);
}

/* Pushes 1 to rows first .. first + n - 1 of a table of dim 1. */
static void push(rh_table *t, uint64_t first, size_t n) {
    uint64_t *ids = malloc(n * sizeof *ids);
    float *ones = malloc(n * sizeof *ones);
    for (size_t i = 0; i < n; i++) {
        ids[i] = first + i;
        ones[i] = 1;
    }
    ck_assert_ok(rh_push(t, ids, n, ones));
    free(ids);
    free(ones);
}

static float value(rh_table *t, uint64_t id) {
    float row;
    ck_assert_ok(rh_pull(t, &id, 1, &row));
    return row;
}

static struct rh_table_info info(rh_table *t) {
    struct rh_table_info i;
    ck_assert_ok(rh_table_info(t, &i));
    return i;
}

/* ---- rows ---- */

START_TEST(ranges_and_lists_are_frozen_and_thawed_and_counted) {
    begin(_i, RH_MODE_ASYNC);
    rh_table *t = job_table(c, "t", 50000, 1);
    uint64_t ids[] = {16384, 5, 49999, 5};
    ck_assert_ok(rh_freeze(t, 100, 20000, 0));
    ck_assert_ok(rh_freeze_ids(t, ids, 4, 0));
    ck_assert_uint_eq(info(t).frozen, 20002);
    ck_assert_uint_eq(info(t).trainable, 50000 - 20002);
    push(t, 0, 50000);
    ck_assert(value(t, 5) == 0 && value(t, 6) == -1 && value(t, 49999) == 0);
    ck_assert(value(t, 99) == -1 && value(t, 100) == 0 && value(t, 20099) == 0);
    ck_assert(value(t, 20100) == -1);
    ck_assert_uint_eq(info(t).touched, 50000 - 20002);
    ck_assert_ok(rh_unfreeze(t, 200, 100));
    ck_assert_ok(rh_unfreeze_ids(t, ids, 2));
    ck_assert_uint_eq(info(t).frozen, 20002 - 100 - 2);
    push(t, 0, 50000);
    ck_assert(value(t, 5) == -1 && value(t, 16384) == -1 && value(t, 49999) == 0);
    ck_assert(value(t, 199) == 0 && value(t, 200) == -1 && value(t, 300) == 0);
    ck_assert_uint_eq(info(t).steps, 2);
    end();
}
END_TEST

START_TEST(the_padding_row_is_not_trainable_frozen_or_not) {
    begin(_i, RH_MODE_ASYNC);
    rh_table_spec spec;
    rh_table *t;
    rh_table_spec_init(&spec, 1000, 4);
    spec.padding_idx = -1;
    ck_assert_ok(rh_table_open(c, "t", &spec, &t));
    ck_assert(info(t).frozen == 0 && info(t).trainable == UINT64_C(4) * 999);
    ck_assert_ok(rh_freeze(t, 990, 10, 0));
    ck_assert(info(t).frozen == 10 && info(t).trainable == UINT64_C(4) * 990);
    ck_assert_ok(rh_unfreeze(t, 999, 1));
    ck_assert(info(t).frozen == 9 && info(t).trainable == UINT64_C(4) * 990);
    end();
}
END_TEST

START_TEST(a_reset_thaws_what_the_spec_does_not_freeze) {
    begin(_i, RH_MODE_ASYNC);
    rh_table *t = job_table(c, "t", 1000, 1);
    uint64_t id = 7;
    ck_assert_ok(rh_freeze(t, 0, 1000, 0));
    ck_assert_ok(rh_unfreeze_ids(t, &id, 1));
    push(t, 0, 1000);
    ck_assert(value(t, 7) == -1 && value(t, 8) == 0);
    ck_assert_ok(rh_table_reset(t));
    ck_assert_uint_eq(info(t).frozen, 0);
    push(t, 0, 1000);
    ck_assert(value(t, 7) == -1 && value(t, 8) == -1);
    ck_assert_uint_eq(info(t).steps, 1);
    ck_assert_ok(rh_table_drop(&t));
    t = job_table(c, "t", 10, 1);
    ck_assert_ok(rh_freeze(t, 0, 5, 0));
    push(t, 0, 10);
    ck_assert(value(t, 4) == 0 && value(t, 5) == -1);
    end();
}
END_TEST

START_TEST(rows_that_are_not_there_are_erange_and_nothing_has_changed) {
    begin(_i, RH_MODE_ASYNC);
    rh_table *t = job_table(c, "t", 100, 1);
    uint64_t ids[] = {1, 100};
    ck_assert_refused(rh_freeze(t, 99, 2, 0), RH_ERANGE,
                      "2 rows from 99 on: table t has ids 0 to 99");
    ck_assert_refused(rh_freeze(t, UINT64_MAX, 2, 0), RH_ERANGE, "table t");
    ck_assert_refused(rh_unfreeze(t, 101, 0), RH_ERANGE, "rh_unfreeze");
    ck_assert_refused(rh_freeze_ids(t, ids, 2, 0), RH_ERANGE, "id 100 at position 1");
    ck_assert_refused(rh_unfreeze_ids(t, ids, 2), RH_ERANGE, "rh_unfreeze_ids");
    ck_assert_uint_eq(info(t).frozen, 0);
    ck_assert_ok(rh_freeze(t, 100, 0, 0));
    ck_assert_ok(rh_freeze_ids(t, ids, 0, 0));
    push(t, 0, 100);
    ck_assert(value(t, 1) == -1);
    ck_assert_ok(rh_tick(c));
    end();
}
END_TEST

START_TEST(a_list_of_many_frames_is_one_freeze) {
    enum { N = 300000 };
    begin(_i, RH_MODE_ASYNC);
    rh_table *t = job_table(c, "t", 2 * N, 1);
    uint64_t *ids = malloc(N * sizeof *ids);
    for (uint64_t i = 0; i < N; i++)
        ids[i] = 2 * i;
    ck_assert_ok(rh_freeze_ids(t, ids, N, 1));
    ck_assert_uint_eq(info(t).frozen, N);
    push(t, 0, 1000);
    ck_assert(value(t, 998) == 0 && value(t, 999) == -1);
    ck_assert_ok(rh_tick(c));
    ck_assert_uint_eq(info(t).frozen, 0);
    push(t, 0, 1000);
    ck_assert(value(t, 998) == -1 && value(t, 999) == -2);
    free(ids);
    end();
}
END_TEST

/* ---- stages ---- */

enum { STAGE_ROWS = 64, STAGE_DIM = 8, STAGE_CLOCKS = 60, STAGE_THAW = 50 };

static rh_table *stage_table(const char *name, uint64_t rows) {
    rh_table_spec spec;
    rh_table *t = NULL;
    rh_table_spec_init(&spec, rows, STAGE_DIM);
    spec.init = rh_constant(0.25);
    spec.optimizer = rh_sparse_adam(0.1);
    ck_assert_ok(rh_table_open(c, name, &spec, &t));
    return t;
}

/* Backbone and head are trained together for 60 batches, the backbone from batch 50 on. Its rows are
 * then those of a table that nobody had pushed to before: no state, no step of those 50 is left. */
static void fine_tune(int transport, rh_mode mode) {
    begin(transport, mode);
    struct rng g;
    rng_init(&g, 3, 0);
    rh_table *backbone = stage_table("backbone", STAGE_ROWS);
    rh_table *head = stage_table("head", 4), *fresh = stage_table("fresh", STAGE_ROWS);
    ck_assert_ok(rh_freeze(backbone, 0, STAGE_ROWS, STAGE_THAW));
    uint64_t ids[16], first = 0;
    float grads[16 * STAGE_DIM], before[STAGE_DIM], row[STAGE_DIM];
    ck_assert_ok(rh_pull(backbone, &first, 1, before));
    for (int clock = 0; clock < STAGE_CLOCKS; clock++) {
        for (int i = 0; i < 16; i++)
            ids[i] = rng_below(&g, STAGE_ROWS);
        for (int i = 0; i < 16 * STAGE_DIM; i++)
            grads[i] = rng_f32(&g) - 0.5f;
        if (clock == STAGE_THAW - 1) {
            ck_assert_ok(rh_pull(backbone, &first, 1, row));
            ck_assert_mem_eq(row, before, sizeof row);
            struct rh_table_info i = info(backbone);
            ck_assert(i.steps == 0 && i.touched == 0 && i.memory_bytes == 0);
            ck_assert(i.frozen == STAGE_ROWS && i.trainable == 0);
            ck_assert_uint_eq(info(head).steps, STAGE_THAW - 1);
        }
        ck_assert_ok(rh_push(backbone, ids, 16, grads));
        if (clock >= STAGE_THAW)
            ck_assert_ok(rh_push(fresh, ids, 16, grads));
        for (int i = 0; i < 16; i++)
            ids[i] %= 4;
        ck_assert_ok(rh_push(head, ids, 16, grads));
        ck_assert_ok(rh_tick(c));
    }
    for (uint64_t id = 0; id < STAGE_ROWS; id++) {
        ck_assert_ok(rh_pull(backbone, &id, 1, row));
        ck_assert_ok(rh_pull(fresh, &id, 1, before));
        ck_assert_mem_eq(row, before, sizeof row);
    }
    ck_assert_uint_eq(info(backbone).steps, STAGE_CLOCKS - STAGE_THAW);
    ck_assert_uint_eq(info(backbone).trainable, STAGE_ROWS * STAGE_DIM);
    ck_assert_uint_eq(info(head).steps, STAGE_CLOCKS);
    end();
}

START_TEST(a_backbone_frozen_for_50_batches_begins_afresh_then) {
    fine_tune(_i, RH_MODE_ASYNC);
}
END_TEST

START_TEST(a_backbone_frozen_for_50_batches_begins_afresh_then_under_bsp) {
    fine_tune(_i, RH_MODE_BSP);
}
END_TEST

START_TEST(frozen_rows_keep_their_state_and_gather_no_new_one) {
    begin(_i, RH_MODE_ASYNC);
    rh_table *t = stage_table("t", 100), *u = stage_table("u", 100);
    uint64_t ids[] = {1, 2, 3};
    float grads[3 * STAGE_DIM], a[3 * STAGE_DIM], b[3 * STAGE_DIM];
    for (int i = 0; i < 3 * STAGE_DIM; i++)
        grads[i] = (float)(i + 1);
    ck_assert_ok(rh_push(t, ids, 3, grads));
    ck_assert_ok(rh_push(u, ids, 3, grads));
    ck_assert_ok(rh_freeze(t, 0, 3, 0)); /* rows 1 and 2, not 3 */
    for (int k = 0; k < 5; k++) {
        ck_assert_ok(rh_push(t, ids, 3, grads));
        ck_assert_ok(rh_push(u, ids + 2, 1, grads + 2 * STAGE_DIM)); /* as if they were absent */
    }
    ck_assert_ok(rh_unfreeze(t, 0, 3));
    ck_assert_ok(rh_push(t, ids, 3, grads));
    ck_assert_ok(rh_push(u, ids, 3, grads));
    ck_assert_ok(rh_pull(t, ids, 3, a));
    ck_assert_ok(rh_pull(u, ids, 3, b));
    ck_assert_mem_eq(a, b, sizeof a);
    ck_assert_uint_eq(info(t).steps, 7); /* a push counts, though most of it was dropped */
    end();
}
END_TEST

/* ---- what workers know ---- */

static uint64_t rows_that_came(void) {
    uint64_t n = 0;
    for (uint32_t i = 0; i < SHARDS; i++) {
        struct facts_shard f;
        ck_assert_ok(facts_ask_shard(c, i, &f));
        n += f.shard.pushed_rows;
        facts_fini_shard(&f);
    }
    return n;
}

START_TEST(what_would_be_dropped_is_not_sent) {
    begin(_i, RH_MODE_ASYNC);
    rh_table *t = job_table(c, "t", 1000, 1);
    uint64_t ids[] = {900, 901};
    push(t, 0, 1000);
    ck_assert_uint_eq(rows_that_came(), 1000);
    ck_assert_ok(rh_freeze(t, 0, 600, 1));
    ck_assert_ok(rh_freeze_ids(t, ids, 2, 0));
    push(t, 0, 1000);
    ck_assert_uint_eq(rows_that_came(), 1000 + 398);
    push(t, 0, 10); /* nothing of it: it is a step all the same */
    ck_assert_uint_eq(rows_that_came(), 1000 + 398);
    ck_assert_ok(rh_tick(c));
    ck_assert_uint_eq(info(t).steps, 3);
    push(t, 0, 1000); /* clock 1: only the list is frozen */
    ck_assert_uint_eq(rows_that_came(), 1000 + 398 + 998);
    ck_assert(value(t, 0) == -2 && value(t, 700) == -3 && value(t, 900) == -1);
    end();
}
END_TEST

/* A batch names a row twice, and half of its rows are frozen: what is left is as it was asked for. */
START_TEST(a_push_without_its_frozen_rows_adds_up_the_rest) {
    begin(_i, RH_MODE_ASYNC);
    rh_table *t = job_table(c, "t", 1000, 2);
    uint64_t ids[] = {7, 500, 7, 8, 501, 8, 7, 2};
    float grads[16], rows[16];
    const float want[] = {-10, -100, 0, 0, -10, -100, -9, -90, 0, 0, -9, -90, -10, -100, -8, -80};
    for (int i = 0; i < 8; i++) {
        grads[2 * i] = (float)(i + 1);
        grads[2 * i + 1] = (float)(10 * (i + 1));
    }
    grads[0] = 0, grads[1] = 0; /* so that 7 gets 3 + 7 and 8 gets 4 + 6 - 1 */
    grads[10] = 5, grads[11] = 50;
    ck_assert_ok(rh_freeze(t, 500, 500, 0));
    ck_assert_ok(rh_push(t, ids, 8, grads));
    ck_assert_ok(rh_pull(t, ids, 8, rows));
    ck_assert_mem_eq(rows, want, sizeof want);
    end();
}
END_TEST

START_TEST(another_workers_freeze_and_thaw_are_heard_of) {
    job_start(&job, _i, SHARDS);
    job.cfg.world = 2;
    c = job_connect(&job, 0);
    rh_client *d = job_connect(&job, 1);
    rh_table *t = job_table(c, "t", 1000, 1), *u = job_table(d, "t", 1000, 1);
    push(u, 0, 1000);
    ck_assert_ok(rh_freeze(t, 0, 1000, 0));
    ck_assert_ok(rh_tick(d)); /* every shard's ack tells it */
    push(u, 0, 1000);         /* asks, and does not wait for the answer */
    uint64_t came = rows_that_came();
    ck_assert_ok(rh_tick(d));
    for (int k = 0; k < 5; k++)
        push(u, 0, 1000);
    ck_assert_uint_le(rows_that_came(), came + 1000);
    ck_assert_float_eq(value(u, 3), -1);
    uint64_t steps = info(u).steps;
    ck_assert_ok(rh_unfreeze(t, 0, 1000));
    ck_assert_ok(rh_tick(d));
    push(u, 0, 1000); /* not one of them is withheld */
    ck_assert_float_eq(value(u, 3), -2);
    push(u, 0, 1000);
    ck_assert_float_eq(value(u, 3), -3);
    ck_assert_ok(rh_tick(d));
    ck_assert_uint_ge(info(u).steps, steps + 1);
    rh_close(d);
    end();
}
END_TEST

START_TEST(a_worker_that_comes_late_knows_what_is_frozen) {
    job_start(&job, _i, SHARDS);
    job.cfg.world = 2;
    c = job_connect(&job, 0);
    rh_table *t = job_table(c, "t", 1000, 1);
    ck_assert_ok(rh_freeze(t, 0, 999, 5));
    rh_client *d = job_connect(&job, 1);
    rh_table *u = job_table(d, "t", 1000, 1);
    push(u, 0, 1000);
    ck_assert_uint_eq(rows_that_came(), 1);
    ck_assert(value(t, 999) == -1 && value(t, 0) == 0);
    rh_close(d);
    end();
}
END_TEST

/* ---- the same bits ---- */

enum { BITS_ROWS = 20000, BITS_DIM = 3, BITS_N = 700, BITS_CLOCKS = 9 };

struct worker {
    uint32_t rank;
    pthread_t thread;
    rh_client *c;
};

static float trained[BITS_ROWS * BITS_DIM]; /* by rank 0 */
static struct rh_table_info trained_info;

static void freeze_something(struct rng *g, rh_table *t) {
    uint64_t ids[50], first = rng_below(g, BITS_ROWS);
    uint64_t count = 1 + rng_below(g, BITS_ROWS - (uint32_t)first),
             until = rng_below(g, BITS_CLOCKS);
    for (int i = 0; i < 50; i++)
        ids[i] = rng_below(g, BITS_ROWS);
    switch (rng_below(g, 6)) {
    case 0:
        ck_assert_ok(rh_freeze(t, first, count, until));
        return;
    case 1:
        ck_assert_ok(rh_unfreeze(t, first, count));
        return;
    case 2:
        ck_assert_ok(rh_freeze_ids(t, ids, 50, until));
        return;
    case 3:
        ck_assert_ok(rh_unfreeze_ids(t, ids, 50));
        return;
    case 4:
        ck_assert_ok(rh_freeze(t, 0, BITS_ROWS, until));
        return;
    default:
        return;
    }
}

/* Every row, for clocks 4 and 5, in three calls: no step is taken in these. */
static void freeze_by_halves(rh_table *t) {
    ck_assert_ok(rh_unfreeze(t, 0, BITS_ROWS));
    ck_assert_ok(rh_freeze(t, 0, BITS_ROWS / 2, 6));
    ck_assert_ok(rh_freeze(t, BITS_ROWS / 2, BITS_ROWS / 2, 6));
}

static void *train(void *arg) {
    struct worker *w = arg;
    struct rng g;
    rng_init(&g, 2718, w->rank);
    w->c = job_connect(&job, w->rank);
    rh_table_spec spec;
    rh_table *t = NULL;
    rh_table_spec_init(&spec, BITS_ROWS, BITS_DIM);
    spec.optimizer = rh_sparse_adam(0.01);
    spec.seed = 5;
    ck_assert_ok(rh_table_open(w->c, "t", &spec, &t));
    uint64_t ids[BITS_N];
    float grads[BITS_N * BITS_DIM];
    for (int clock = 0; clock < BITS_CLOCKS; clock++) {
        for (int i = 0; i < BITS_N; i++)
            ids[i] = rng_below(&g, BITS_ROWS);
        for (int i = 0; i < BITS_N * BITS_DIM; i++)
            grads[i] = rng_f32(&g) * 1e3f - 300;
        bool quiet = clock == 4 || clock == 5;
        if (clock == 4 && w->rank == 0)
            freeze_by_halves(t);
        if (!quiet)
            freeze_something(&g, t);
        ck_assert_ok(rh_push(t, ids, BITS_N, grads));
        if (!quiet)
            freeze_something(&g, t);
        ck_assert_ok(rh_tick(w->c));
    }
    if (w->rank == 0) {
        uint64_t *all = malloc(BITS_ROWS * sizeof *all);
        for (uint64_t i = 0; i < BITS_ROWS; i++)
            all[i] = i;
        ck_assert_ok(rh_pull(t, all, BITS_ROWS, trained));
        free(all);
        trained_info = info(t);
    }
    rh_close(w->c);
    return NULL;
}

static void same_bits_for_all_shards(int transport, uint32_t world) {
    static const uint32_t shards[] = {1, 2, 3, 7};
    static float first[BITS_ROWS * BITS_DIM];
    struct rh_table_info first_info = {0};
    for (size_t i = 0; i < sizeof shards / sizeof *shards; i++) {
        struct worker w[WORKERS_MAX];
        job_start(&job, transport, shards[i]);
        job.cfg.world = world;
        job.cfg.mode = RH_MODE_BSP;
        for (uint32_t k = 0; k < world; k++) {
            w[k].rank = k;
            ck_assert_int_eq(pthread_create(&w[k].thread, NULL, train, &w[k]), 0);
        }
        for (uint32_t k = 0; k < world; k++)
            ck_assert_int_eq(pthread_join(w[k].thread, NULL), 0);
        job_stop(&job);
        if (i == 0) {
            memcpy(first, trained, sizeof first);
            first_info = trained_info;
            ck_assert_uint_le(first_info.steps, BITS_CLOCKS - 2);
            ck_assert_uint_gt(first_info.steps, 0);
            ck_assert_uint_lt(first_info.touched, BITS_ROWS);
        }
        ck_assert_msg(memcmp(first, trained, sizeof first) == 0,
                      "%" PRIu32 " shards have other bits than 1", shards[i]);
        ck_assert_uint_eq(first_info.steps, trained_info.steps);
        ck_assert_uint_eq(first_info.touched, trained_info.touched);
        ck_assert_uint_eq(first_info.frozen, trained_info.frozen);
        ck_assert_uint_eq(first_info.trainable, trained_info.trainable);
    }
}

START_TEST(one_bsp_worker_that_freezes_leaves_the_same_bits_on_1_2_3_and_7_shards) {
    same_bits_for_all_shards(_i, 1);
}
END_TEST

START_TEST(three_bsp_workers_that_freeze_leave_the_same_bits_on_1_2_3_and_7_shards) {
    same_bits_for_all_shards(_i, 3);
}
END_TEST

/* ---- observers and commands ---- */

START_TEST(an_observer_freezes_in_async_and_is_refused_under_bsp) {
    begin(_i, RH_MODE_ASYNC);
    rh_table *t = job_table(c, "t", 100, 1), *seen;
    rh_config cfg = job.cfg;
    rh_client *o;
    cfg.observer = 1;
    ck_assert_ok(rh_connect(&cfg, &o));
    ck_assert_ok(rh_table_find(o, "t", &seen));
    ck_assert_ok(rh_freeze(seen, 0, 50, 0));
    uint64_t id = 60;
    ck_assert_ok(rh_freeze_ids(seen, &id, 1, 0));
    ck_assert_uint_eq(info(seen).frozen, 51);
    push(t, 0, 100);
    ck_assert(value(t, 0) == 0 && value(t, 50) == -1 && value(t, 60) == 0);
    ck_assert_ok(rh_unfreeze(seen, 0, 100));
    ck_assert_ok(rh_tick(c));
    push(t, 0, 100);
    ck_assert(value(t, 0) == -1 && value(t, 60) == -1);
    rh_close(o);
    end();
    begin(_i, RH_MODE_BSP);
    t = job_table(c, "t", 100, 1);
    cfg = job.cfg;
    cfg.observer = 1;
    ck_assert_ok(rh_connect(&cfg, &o));
    ck_assert_ok(rh_table_find(o, "t", &seen));
    ck_assert_refused(rh_freeze(seen, 0, 50, 0), RH_EINVAL, "bsp");
    ck_assert_refused(rh_unfreeze_ids(seen, &id, 1), RH_EINVAL, "let a worker call");
    rh_close(o);
    end();
}
END_TEST

/* Runs `rowhouse COMMAND` and checks its exit code, and that it says something. */
static void rowhouse(int want, const char *says, const char *command) {
    char line[2048], said[4096] = "";
    const char *bin = getenv("RH_BIN");
    snprintf(line, sizeof line, "%s/rowhouse %s 2>&1", bin != NULL ? bin : "build/bin", command);
    FILE *p = popen(line, "r");
    ck_assert_ptr_nonnull(p);
    size_t n = fread(said, 1, sizeof said - 1, p);
    said[n] = '\0';
    int status = pclose(p);
    ck_assert_msg(WIFEXITED(status) && WEXITSTATUS(status) == want, "%s: status %d: %s", line,
                  status, said);
    ck_assert_msg(strstr(said, says) != NULL, "%s: \"%s\" does not say \"%s\"", line, said, says);
}

START_TEST(the_commands_freeze_and_thaw_a_live_job) {
    char path[256];
    snprintf(path, sizeof path, "%s/ids-%d.txt", getenv("TMPDIR") ? getenv("TMPDIR") : "/tmp",
             (int)getpid());
    begin(_i, RH_MODE_ASYNC);
    setenv("RH_SERVERS", job.cfg.servers, 1);
    rh_table *t = job_table(c, "words", 100, 2);
    rowhouse(0, "words: 100 of 100 rows frozen, 0 of 200 parameters trainable", "freeze words");
    rowhouse(0, "1 table, 200 parameters, 0 trainable", "tables");
    rowhouse(0, " all ", "tables");
    rowhouse(0, "words: 90 of 100 rows frozen, 20 of 200", "unfreeze words --rows 5:10");
    rowhouse(0, "words: 88 of 100 rows frozen, 24 of 200", "unfreeze words --ids 0,99");
    rowhouse(0, " 88 ", "tables");
    rowhouse(0, "\"frozen_rows\": 88", "tables --json");
    FILE *f = fopen(path, "w");
    ck_assert_ptr_nonnull(f);
    fprintf(f, "1\n 2\t3\r\n\n0004");
    fclose(f);
    char line[512];
    snprintf(line, sizeof line, "freeze words --ids %s --until-clock 1", path);
    rowhouse(0, "words: 100 of 100 rows frozen", "freeze words");
    rowhouse(0, "words: 100 of 100 rows frozen", line);
    float two[2] = {1, 1}, row[2];
    uint64_t id = 4;
    ck_assert_ok(rh_tick(c));
    ck_assert_ok(rh_push(t, &id, 1, two));
    ck_assert_ok(rh_pull(t, &id, 1, row));
    ck_assert_float_eq(row[0], -1);
    ck_assert_uint_eq(info(t).frozen, 96);
    /* What makes no sense. */
    rowhouse(2, "which table?", "freeze");
    rowhouse(2, "one table at a time", "freeze words words");
    rowhouse(2, "give one of them", "freeze words --rows 0:1 --ids 1");
    rowhouse(2, "give FIRST:COUNT", "freeze words --rows 0-1");
    rowhouse(2, "give FIRST:COUNT", "freeze words --rows 0:18446744073709551616");
    rowhouse(2, "\"\" is no id", "freeze words --ids 1,,2");
    rowhouse(2, "until-clock", "unfreeze words --until-clock 3");
    rowhouse(1, "there is no table \"word\"", "freeze word");
    rowhouse(1, "ids 0 to 99", "freeze words --rows 99:2");
    rowhouse(1, "id 100 at position 1", "freeze words --ids 1,100");
    rowhouse(1, "no-such-file", "freeze words --ids no-such-file");
    f = fopen(path, "w");
    fprintf(f, "1\n2x\n");
    fclose(f);
    snprintf(line, sizeof line, "freeze words --ids %s", path);
    rowhouse(1, "line 2: \"2x\" is no id", line);
    ck_assert_uint_eq(info(t).frozen, 96);
    remove(path);
    end();
    rowhouse(3, "nobody answered", "freeze words --timeout 300");
    begin(_i, RH_MODE_BSP);
    setenv("RH_SERVERS", job.cfg.servers, 1);
    job_table(c, "words", 100, 2);
    rowhouse(1, "let a worker call", "freeze words");
    end();
}
END_TEST

int main(void) {
    Suite *s = suite_create("freeze");
    TCase *t = tcase_create("freeze");
    tcase_set_timeout(t, 60);
#define OVER_ALL(test)     tcase_add_loop_test(t, test, 0, JOB_TRANSPORTS)
#define OVER_SOCKETS(test) tcase_add_loop_test(t, test, JOB_IPC, JOB_TCP + 1)
    OVER_ALL(ranges_and_lists_are_frozen_and_thawed_and_counted);
    OVER_ALL(the_padding_row_is_not_trainable_frozen_or_not);
    OVER_ALL(a_reset_thaws_what_the_spec_does_not_freeze);
    OVER_ALL(rows_that_are_not_there_are_erange_and_nothing_has_changed);
    OVER_ALL(a_list_of_many_frames_is_one_freeze);
    OVER_ALL(a_backbone_frozen_for_50_batches_begins_afresh_then);
    OVER_ALL(a_backbone_frozen_for_50_batches_begins_afresh_then_under_bsp);
    OVER_ALL(frozen_rows_keep_their_state_and_gather_no_new_one);
    OVER_ALL(what_would_be_dropped_is_not_sent);
    OVER_ALL(a_push_without_its_frozen_rows_adds_up_the_rest);
    OVER_SOCKETS(another_workers_freeze_and_thaw_are_heard_of);
    OVER_SOCKETS(a_worker_that_comes_late_knows_what_is_frozen);
    OVER_ALL(one_bsp_worker_that_freezes_leaves_the_same_bits_on_1_2_3_and_7_shards);
    OVER_SOCKETS(three_bsp_workers_that_freeze_leave_the_same_bits_on_1_2_3_and_7_shards);
    OVER_SOCKETS(an_observer_freezes_in_async_and_is_refused_under_bsp);
    OVER_SOCKETS(the_commands_freeze_and_thaw_a_live_job);
#undef OVER_ALL
#undef OVER_SOCKETS
    suite_add_tcase(s, t);
    return job_main(s);
}
