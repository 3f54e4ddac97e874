/*
 * test_workers.c - several workers of one job, each a client in a thread of its own, against real
 * servers: what they see of each other under async and bsp, barriers, observers; and the same bits
 * for any number of shards.
 */
#include <inttypes.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common/rng.h"
#include "tests/support/job.h"

enum { WORKERS_MAX = 3 };

static struct job job;

static void begin(int transport, uint32_t shards, uint32_t world, rh_mode mode) {
    job_start(&job, transport, shards);
    job.cfg.world = world;
    job.cfg.mode = mode;
}

/* Runs work(rank) in a thread for every worker, with a client of its own. */
struct worker {
    uint32_t rank;
    pthread_t thread;
    rh_client *c;
    rh_table *t;
    void (*work)(struct worker *w);
};

static void *run_worker(void *arg) {
    struct worker *w = arg;
    w->c = job_connect(&job, w->rank);
    w->work(w);
    rh_close(w->c);
    return NULL;
}

static void run_all(struct worker *w, uint32_t n, void (*work)(struct worker *)) {
    for (uint32_t i = 0; i < n; i++) {
        w[i] = (struct worker){.rank = i, .work = work};
        ck_assert_int_eq(pthread_create(&w[i].thread, NULL, run_worker, &w[i]), 0);
    }
    for (uint32_t i = 0; i < n; i++)
        ck_assert_int_eq(pthread_join(w[i].thread, NULL), 0);
}

/* ---- async ---- */

static void push_to_the_same_rows(struct worker *w) {
    enum { N = 500, ROUNDS = 40 };
    uint64_t ids[N];
    float grads[N * 4], rows[N * 4];
    w->t = job_table(w->c, "t", 10000, 4);
    for (uint32_t i = 0; i < N; i++)
        ids[i] = i * 20;
    for (uint32_t i = 0; i < N * 4; i++)
        grads[i] = 1;
    ck_assert_ok(rh_barrier(w->c, -1));
    for (int k = 1; k <= ROUNDS; k++) {
        ck_assert_ok(rh_push(w->t, ids, N, grads));
        ck_assert_ok(rh_pull(w->t, ids, N, rows));
        int wrong = 0; /* it sees its own at least */
        for (uint32_t i = 0; i < N * 4; i++)
            wrong += rows[i] > (float)-k || rows[i] < (float)-ROUNDS * WORKERS_MAX;
        ck_assert_int_eq(wrong, 0);
        ck_assert_ok(rh_tick(w->c));
    }
    ck_assert_ok(rh_barrier(w->c, -1));
    ck_assert_ok(rh_pull(w->t, ids, N, rows));
    int wrong = 0;
    for (uint32_t i = 0; i < N * 4; i++)
        wrong += rows[i] != (float)-ROUNDS * WORKERS_MAX;
    ck_assert_int_eq(wrong, 0);
    struct rh_table_info info;
    ck_assert_ok(rh_table_info(w->t, &info));
    ck_assert_uint_eq(info.steps, ROUNDS * WORKERS_MAX);
    ck_assert_uint_eq(info.touched, N);
}

START_TEST(async_workers_see_all_pushes_once) {
    struct worker w[WORKERS_MAX];
    begin(_i, 2, WORKERS_MAX, RH_MODE_ASYNC);
    run_all(w, WORKERS_MAX, push_to_the_same_rows);
    job_stop(&job);
}
END_TEST

/* ---- bsp ---- */

static void see_exactly_the_earlier_clocks(struct worker *w) {
    w->t = job_table(w->c, "t", 100, 2);
    uint64_t ids[] = {50, w->rank};
    for (uint32_t clock = 0; clock < 20; clock++) {
        float grads[] = {1, 1, 2, 2}, rows[4];
        ck_assert_ok(rh_pull(w->t, ids, 2, rows));
        ck_assert_float_eq(rows[0], -(float)clock * (float)rh_world(w->c));
        ck_assert_float_eq(rows[2], -2.0f * (float)clock);
        ck_assert_ok(rh_push(w->t, ids, 2, grads));
        ck_assert_ok(rh_pull(w->t, ids, 2, rows)); /* its own pushes are held, too */
        ck_assert_float_eq(rows[2], -2.0f * (float)clock);
        ck_assert_ok(rh_tick(w->c));
    }
}

START_TEST(bsp_workers_see_exactly_the_earlier_clocks) {
    struct worker w[WORKERS_MAX];
    for (uint32_t world = 2; world <= WORKERS_MAX; world++) {
        begin(_i, 2, world, RH_MODE_BSP);
        run_all(w, world, see_exactly_the_earlier_clocks);
        job_stop(&job);
    }
}
END_TEST

START_TEST(a_bsp_pull_names_the_worker_that_it_waits_for) {
    begin(_i, 2, 2, RH_MODE_BSP);
    rh_client *a = job_connect(&job, 0), *b = job_connect(&job, 1);
    rh_table *t = job_table(a, "t", 100, 2);
    uint64_t ids[] = {1, 99};
    float rows[4] = {7, 7, 7, 7};
    ck_assert_ok(rh_tick(a));
    rh_op *op;
    ck_assert_ok(rh_pull_begin(t, ids, 2, rows, &op));
    ck_assert_refused(rh_wait(&op, 1500), RH_ETIMEDOUT, "waits for worker 1 to end clock 0");
    ck_assert_ptr_nonnull(op);
    ck_assert_ok(rh_tick(b));
    ck_assert_ok(rh_wait(&op, -1));
    ck_assert_float_eq(rows[3], 0);
    rh_close(a);
    rh_close(b);
    job_stop(&job);
}
END_TEST

START_TEST(a_bsp_worker_that_leaves_is_not_waited_for) {
    begin(_i, 2, 2, RH_MODE_BSP);
    rh_client *a = job_connect(&job, 0), *b = job_connect(&job, 1);
    rh_table *t = job_table(a, "t", 100, 2), *u = job_table(b, "t", 100, 2);
    uint64_t id = 1;
    float one[2] = {1, 1}, row[2];
    ck_assert_ok(rh_push(u, &id, 1, one));
    rh_close(b); /* its last clock counts */
    ck_assert_ok(rh_push(t, &id, 1, one));
    ck_assert_ok(rh_tick(a));
    ck_assert_ok(rh_pull(t, &id, 1, row));
    ck_assert_float_eq(row[0], -2);
    ck_assert_ok(rh_tick(a));
    ck_assert_ok(rh_pull(t, &id, 1, row));
    rh_close(a);
    job_stop(&job);
}
END_TEST

START_TEST(a_bsp_worker_trains_a_table_that_another_has_unfrozen) {
    begin(_i, 2, 2, RH_MODE_BSP);
    rh_client *a = job_connect(&job, 0), *b = job_connect(&job, 1);
    rh_table_spec spec;
    rh_table *t, *u;
    uint64_t id = 1;
    float one[2] = {1, 1}, row[2];
    struct rh_table_info info;
    rh_table_spec_init(&spec, 100, 2);
    spec.init = rh_zeros();
    spec.optimizer = rh_sgd(1);
    spec.frozen = 1;
    ck_assert_ok(rh_table_open(a, "t", &spec, &t));
    ck_assert_ok(rh_table_open(b, "t", &spec, &u));
    ck_assert_ok(rh_push(u, &id, 1, one)); /* frozen: no step */
    ck_assert_ok(rh_tick(a));
    ck_assert_ok(rh_unfreeze(t, 0, 100));
    ck_assert_ok(rh_push(u, &id, 1, one)); /* b has not heard of it */
    ck_assert_ok(rh_tick(b));
    ck_assert_ok(rh_tick(a));
    ck_assert_ok(rh_push(u, &id, 1, one));
    ck_assert_ok(rh_tick(b));
    ck_assert_ok(rh_tick(a));
    ck_assert_ok(rh_tick(b));
    ck_assert_ok(rh_pull(u, &id, 1, row));
    ck_assert_float_eq(row[0], -1);
    ck_assert_ok(rh_table_info(u, &info));
    ck_assert_uint_eq(info.steps, 1);
    rh_close(a);
    rh_close(b);
    job_stop(&job);
}
END_TEST

/* ---- the same bits ---- */

enum { BITS_ROWS = 997, BITS_DIM = 12, BITS_N = 300, BITS_CLOCKS = 8 };

static float trained[2][BITS_ROWS * BITS_DIM]; /* by rank 0 */

/* Gradients that no order of adding would forgive, with repeats, from every worker. */
static void train(struct worker *w) {
    struct rng g;
    rng_init(&g, 77, w->rank);
    rh_table_spec spec;
    rh_table *adam;
    rh_table_spec_init(&spec, BITS_ROWS, BITS_DIM);
    spec.optimizer = rh_sparse_adam(0.01);
    spec.seed = 5;
    ck_assert_ok(rh_table_open(w->c, "adam", &spec, &adam));
    spec.optimizer = rh_sgd(0.3);
    spec.reduce = RH_REDUCE_MEAN;
    ck_assert_ok(rh_table_open(w->c, "sgd", &spec, &w->t));
    uint64_t ids[BITS_N];
    static _Thread_local float grads[BITS_N * BITS_DIM];
    for (int clock = 0; clock < BITS_CLOCKS; clock++) {
        for (int part = 0; part < 2; part++) {
            for (int i = 0; i < BITS_N; i++)
                ids[i] = rng_below(&g, BITS_ROWS);
            for (int i = 0; i < BITS_N * BITS_DIM; i++)
                grads[i] = rng_f32(&g) * 1e3f - 300;
            ck_assert_ok(rh_push(w->t, ids, BITS_N, grads));
            ck_assert_ok(rh_push(adam, ids, BITS_N, grads));
        }
        ck_assert_ok(rh_tick(w->c));
    }
    if (w->rank != 0)
        return;
    uint64_t all[BITS_ROWS];
    for (uint64_t i = 0; i < BITS_ROWS; i++)
        all[i] = i;
    ck_assert_ok(rh_pull(w->t, all, BITS_ROWS, trained[0]));
    ck_assert_ok(rh_pull(adam, all, BITS_ROWS, trained[1]));
}

static void same_bits_for_all_shards(int transport, uint32_t world) {
    static const uint32_t shards[] = {1, 2, 3, 7};
    static float first[2][BITS_ROWS * BITS_DIM];
    for (size_t i = 0; i < sizeof shards / sizeof *shards; i++) {
        struct worker w[WORKERS_MAX];
        begin(transport, shards[i], world, RH_MODE_BSP);
        run_all(w, world, train);
        job_stop(&job);
        if (i == 0)
            memcpy(first, trained, sizeof first);
        ck_assert_msg(memcmp(first, trained, sizeof first) == 0,
                      "%" PRIu32 " shards have other bits than 1", shards[i]);
    }
}

START_TEST(one_bsp_worker_trains_the_same_bits_on_1_2_3_and_7_shards) {
    same_bits_for_all_shards(_i, 1);
}
END_TEST

START_TEST(three_bsp_workers_train_the_same_bits_on_1_2_3_and_7_shards) {
    same_bits_for_all_shards(_i, 3);
}
END_TEST

/* ---- who may come in ---- */

START_TEST(a_barrier_names_who_is_missing_and_keeps_the_place) {
    begin(_i, 2, 2, RH_MODE_ASYNC);
    rh_client *a = job_connect(&job, 0), *b = job_connect(&job, 1);
    ck_assert_refused(rh_barrier(a, 1500), RH_ETIMEDOUT, "worker 1");
    ck_assert_ok(rh_barrier(b, 1000)); /* a's place was kept */
    ck_assert_ok(rh_barrier(a, 1000));
    ck_assert_refused(rh_barrier(b, 1500), RH_ETIMEDOUT, "worker 0");
    rh_close(a);
    rh_close(b);
    job_stop(&job);
}
END_TEST

START_TEST(a_taken_rank_another_mode_and_another_world_are_emismatch) {
    begin(_i, 2, 2, RH_MODE_ASYNC);
    rh_client *a = job_connect(&job, 0), *other = NULL;
    rh_config cfg = job.cfg;
    ck_assert_refused(rh_connect(&cfg, &other), RH_EMISMATCH, "rank 0 is taken");
    cfg.rank = 1, cfg.mode = RH_MODE_BSP;
    ck_assert_refused(rh_connect(&cfg, &other), RH_EMISMATCH, "mode async");
    cfg.mode = RH_MODE_ASYNC, cfg.world = 3;
    ck_assert_refused(rh_connect(&cfg, &other), RH_EMISMATCH, "2 workers");
    cfg = job.cfg, cfg.job = "other";
    ck_assert_refused(rh_connect(&cfg, &other), RH_EFENCED, "another job");
    ck_assert_ptr_null(other);
    rh_close(a);
    job_stop(&job);
}
END_TEST

START_TEST(a_rank_comes_back_after_its_goodbye) {
    begin(_i, 2, 1, RH_MODE_BSP);
    uint64_t id = 5;
    float one[2] = {1, 1}, row[2];
    for (int life = 0; life < 3; life++) {
        rh_client *c = job_connect(&job, 0);
        rh_table *t = job_table(c, "t", 100, 2);
        ck_assert_ok(rh_pull(t, &id, 1, row));
        ck_assert_float_eq(row[0], (float)(-2 * life));
        ck_assert_ok(rh_push(t, &id, 1, one));
        ck_assert_ok(rh_tick(c));
        ck_assert_ok(rh_push(t, &id, 1, one));
        rh_close(c);
    }
    job_stop(&job);
}
END_TEST

START_TEST(an_observer_looks_and_changes_nothing) {
    begin(_i, 2, 1, RH_MODE_ASYNC);
    rh_client *c = job_connect(&job, 0), *o = NULL;
    rh_table *t = job_table(c, "t", 100, 2), *seen, *made;
    rh_config cfg = job.cfg;
    cfg.observer = 1;
    ck_assert_ok(rh_connect(&cfg, &o));
    ck_assert_ok(rh_table_find(o, "t", &seen));
    ck_assert_refused(rh_table_find(o, "u", &made), RH_ENOTFOUND, "u");
    uint64_t ids[] = {1, 2, 1};
    float one[6] = {1, 1, 1, 1, 1, 1}, rows[6];
    ck_assert_ok(rh_push(t, ids, 3, one));
    ck_assert_ok(rh_pull(seen, ids, 3, rows));
    ck_assert_float_eq(rows[0], -2);
    ck_assert_ok(rh_read(seen, ids, 3, rows));
    ck_assert_float_eq(rows[2], -1);
    struct rh_table_info info;
    ck_assert_ok(rh_table_info(seen, &info));
    ck_assert_uint_eq(info.touched, 2);
    rh_table_spec spec;
    rh_table_spec_init(&spec, 100, 2);
    ck_assert_refused(rh_table_open(o, "u", &spec, &made), RH_EINVAL, "observer");
    ck_assert_refused(rh_push(seen, ids, 3, one), RH_EINVAL, "observer");
    ck_assert_refused(rh_write(seen, ids, 3, one), RH_EINVAL, "observer");
    ck_assert_refused(rh_set_lr(seen, 1), RH_EINVAL, "observer");
    ck_assert_refused(rh_tick(o), RH_EINVAL, "observer");
    ck_assert_refused(rh_barrier(o, 10), RH_EINVAL, "observer");
    ck_assert_refused(rh_push(seen, ids, 3, one), RH_EINVAL, "observer");
    rh_close(o);
    ck_assert_ok(rh_tick(c));
    rh_close(c);
    job_stop(&job);
}
END_TEST

int main(void) {
    Suite *s = suite_create("workers");
    TCase *t = tcase_create("workers");
    tcase_set_timeout(t, 60);
#define OVER_SOCKETS(test) tcase_add_loop_test(t, test, JOB_IPC, JOB_TCP + 1)
    OVER_SOCKETS(async_workers_see_all_pushes_once);
    OVER_SOCKETS(bsp_workers_see_exactly_the_earlier_clocks);
    OVER_SOCKETS(a_bsp_pull_names_the_worker_that_it_waits_for);
    OVER_SOCKETS(a_bsp_worker_that_leaves_is_not_waited_for);
    OVER_SOCKETS(a_bsp_worker_trains_a_table_that_another_has_unfrozen);
    OVER_SOCKETS(a_barrier_names_who_is_missing_and_keeps_the_place);
    OVER_SOCKETS(a_taken_rank_another_mode_and_another_world_are_emismatch);
    OVER_SOCKETS(a_rank_comes_back_after_its_goodbye);
    OVER_SOCKETS(an_observer_looks_and_changes_nothing);
    OVER_SOCKETS(three_bsp_workers_train_the_same_bits_on_1_2_3_and_7_shards);
#undef OVER_SOCKETS
    tcase_add_loop_test(t, one_bsp_worker_trains_the_same_bits_on_1_2_3_and_7_shards, JOB_LOCAL,
                        JOB_TRANSPORTS);
    suite_add_tcase(s, t);
    return job_main(s);
}
