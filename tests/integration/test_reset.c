/*
 * test_reset.c - tables that begin anew, get another initializer, or are dropped, with real clients
 * over every transport: that a second life is the first one again, bit for bit; that memory goes
 * back; what other workers see; and the same bits for any number of shards.
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

enum { ROWS = 997, DIM = 6, N = 40, STEPS = 12 };

static struct job job;

static void begin(int transport, uint32_t shards, uint32_t world, rh_mode mode) {
    job_start(&job, transport, shards);
    job.cfg.world = world;
    job.cfg.mode = mode;
}

static void open_table(rh_client *c, const char *name, rh_table **t) {
    rh_table_spec spec;
    rh_table_spec_init(&spec, ROWS, DIM);
    spec.optimizer = rh_sparse_adam(0.01);
    spec.seed = 5;
    ck_assert_ok(rh_table_open(c, name, &spec, t));
}

static void pull_all(rh_table *t, float *rows) {
    uint64_t ids[ROWS];
    for (uint64_t i = 0; i < ROWS; i++)
        ids[i] = i;
    ck_assert_ok(rh_pull(t, ids, ROWS, rows));
}

static struct rh_table_info info_of(rh_table *t) {
    struct rh_table_info info;
    ck_assert_ok(rh_table_info(t, &info));
    return info;
}

/* Every second push has even ids only, which are those of the lower shards: the others hear of it at
 * the tick, if there is one. */
static void train(rh_client *c, rh_table *t, uint64_t seed, bool ticks) {
    struct rng g;
    rng_init(&g, seed, 0);
    for (int step = 0; step < STEPS; step++) {
        uint64_t ids[N];
        float grads[N * DIM];
        for (int i = 0; i < N; i++)
            ids[i] = step % 2 == 0 ? rng_below(&g, ROWS) : rng_below(&g, ROWS) & ~UINT64_C(1);
        for (int i = 0; i < N * DIM; i++)
            grads[i] = rng_f32(&g) - 0.4f;
        ck_assert_ok(rh_push(t, ids, N, grads));
        if (ticks)
            ck_assert_ok(rh_tick(c));
    }
}

/* ---- one worker ---- */

START_TEST(a_reset_table_trains_as_a_new_one_bit_for_bit) {
    static float first[ROWS * DIM], second[ROWS * DIM], fresh[ROWS * DIM];
    begin(_i, 3, 1, RH_MODE_ASYNC);
    rh_client *c = job_connect(&job, 0);
    rh_table *t;
    open_table(c, "t", &t);
    pull_all(t, fresh);
    train(c, t, 1, false);
    pull_all(t, first);
    ck_assert_uint_eq(info_of(t).steps, STEPS);
    for (int life = 0; life < 3; life++) {
        ck_assert_ok(rh_table_reset(t));
        ck_assert_uint_eq(info_of(t).steps, 0);
        ck_assert_uint_eq(info_of(t).touched, 0);
        pull_all(t, second);
        ck_assert_mem_eq(second, fresh, sizeof fresh);
        train(c, t, 1, life == 1);
        pull_all(t, second);
        ck_assert_mem_eq(second, first, sizeof first);
        ck_assert_uint_eq(info_of(t).steps, STEPS);
    }
    rh_close(c);
    job_stop(&job);
}
END_TEST

START_TEST(a_table_reset_while_frozen_trains_as_a_new_one_once_it_is_not) {
    static float first[ROWS * DIM], second[ROWS * DIM];
    begin(_i, 2, 1, RH_MODE_ASYNC);
    rh_client *c = job_connect(&job, 0);
    rh_table_spec spec;
    rh_table *t;
    rh_table_spec_init(&spec, ROWS, DIM);
    spec.optimizer = rh_sparse_adam(0.01);
    spec.frozen = 1;
    ck_assert_ok(rh_table_open(c, "t", &spec, &t));
    for (int life = 0; life < 2; life++) {
        train(c, t, 2, false); /* dropped */
        ck_assert_uint_eq(info_of(t).touched, 0);
        ck_assert_ok(rh_unfreeze(t, 0, ROWS));
        train(c, t, 1, false);
        pull_all(t, life == 0 ? first : second);
        ck_assert_uint_eq(info_of(t).steps, STEPS);
        ck_assert_ok(rh_table_reset(t));
        ck_assert_uint_eq(info_of(t).frozen, ROWS); /* as the spec says */
    }
    ck_assert_mem_eq(first, second, sizeof first);
    rh_close(c);
    job_stop(&job);
}
END_TEST

static size_t resident_bytes(pid_t pid) {
    char path[64], line[256];
    size_t kib = 0;
    snprintf(path, sizeof path, "/proc/%d/status", (int)pid);
    FILE *f = fopen(path, "r");
    ck_assert_ptr_nonnull(f);
    while (fgets(line, sizeof line, f) != NULL)
        if (sscanf(line, "VmRSS: %zu", &kib) == 1)
            break;
    fclose(f);
    return kib * 1024;
}

static size_t servers_resident(void) {
    if (job.servers.n == 0)
        return resident_bytes(getpid());
    size_t all = 0;
    for (uint32_t i = 0; i < job.servers.n; i++)
        all += resident_bytes(job.servers.pids[i]);
    return all;
}

/* 64 MiB of weights and state are there and go. */
static void fill_table(rh_table *t, uint64_t rows, uint32_t dim) {
    enum { BATCH = 1024 };
    static float grads[BATCH * 64];
    uint64_t ids[BATCH];
    for (uint64_t at = 0; at < rows; at += BATCH) {
        for (uint64_t i = 0; i < BATCH; i++)
            ids[i] = at + i;
        for (uint32_t i = 0; i < BATCH * dim; i++)
            grads[i] = 1;
        ck_assert_ok(rh_push(t, ids, BATCH, grads));
    }
}

START_TEST(reset_and_drop_give_the_memory_back) {
    enum { BIG = 1 << 17, WIDE = 64 };
    const size_t used = (size_t)BIG * WIDE * 3 * sizeof(float), part = used / 4;
    const char *by = getenv("RH_SAN");
    const bool sanitized = by != NULL && *by != '\0';
    begin(_i, 2, 1, RH_MODE_ASYNC);
    rh_client *c = job_connect(&job, 0);
    rh_table_spec spec;
    rh_table *t;
    rh_table_spec_init(&spec, BIG, WIDE);
    spec.optimizer = rh_sparse_adam(0.01);
    ck_assert_ok(rh_table_open(c, "t", &spec, &t));
    for (int how = 0; how < 2; how++) {
        size_t before = servers_resident();
        fill_table(t, BIG, WIDE);
        ck_assert_uint_eq(info_of(t).memory_bytes, used);
        size_t full = servers_resident();
        ck_assert_uint_gt(full, before + 3 * part);
        if (how == 0) {
            ck_assert_ok(rh_table_reset(t));
            ck_assert_uint_eq(info_of(t).memory_bytes, 0);
        } else {
            ck_assert_ok(rh_table_drop(&t));
        }
        if (!sanitized) /* whose notes of memory stay */
            ck_assert_uint_lt(servers_resident(), before + part);
    }
    rh_close(c);
    job_stop(&job);
}
END_TEST

START_TEST(an_init_after_the_first_op_wants_force) {
    begin(_i, 2, 1, RH_MODE_ASYNC);
    rh_client *c = job_connect(&job, 0);
    rh_table *t, *same = NULL;
    rh_table_spec spec;
    rh_table_spec_init(&spec, ROWS, DIM);
    spec.optimizer = rh_sgd_with(1, 0.5, 0, 0, 0);
    ck_assert_ok(rh_table_open(c, "t", &spec, &t));
    uint64_t ids[] = {3, 4, 5};
    float ones[3 * DIM], rows[3 * DIM];
    for (int i = 0; i < 3 * DIM; i++)
        ones[i] = 1;
    ck_assert_ok(rh_table_init(t, rh_constant(7), 0, 0)); /* before it, not */
    ck_assert_ok(rh_pull(t, ids, 3, rows));
    ck_assert_float_eq(rows[0], 7);
    ck_assert_ok(rh_push(t, ids, 2, ones));
    ck_assert_refused(rh_table_init(t, rh_constant(8), 0, 0), RH_EINVAL,
                      "2 touched rows and 1 steps");
    ck_assert_refused(rh_table_init(t, rh_constant(8), 0, 0), RH_EINVAL, "force 1");
    ck_assert_refused(rh_table_init(t, rh_orthogonal(), 0, 1), RH_EINVAL, "orthogonal");
    ck_assert_ok(rh_pull(t, ids, 3, rows));
    ck_assert_float_eq(rows[0], 6);
    ck_assert_ok(rh_table_init(t, rh_constant(8), 0, 1));
    ck_assert_ok(rh_pull(t, ids, 3, rows));
    for (int i = 0; i < 3 * DIM; i++)
        ck_assert_float_eq(rows[i], 8);
    ck_assert_uint_eq(info_of(t).touched, 2);
    ck_assert_uint_eq(info_of(t).steps, 1);
    ck_assert_ok(rh_push(t, ids, 3, ones)); /* ids 3 and 4 keep their momentum, as in torch */
    ck_assert_ok(rh_pull(t, ids, 3, rows));
    ck_assert_float_eq(rows[0], 6.5f);
    ck_assert_float_eq(rows[2 * DIM], 7);
    ck_assert_uint_eq(info_of(t).steps, 2);
    ck_assert_refused(rh_table_open(c, "t", &spec, &same), RH_EMISMATCH, "init");
    spec.init = rh_constant(8);
    ck_assert_ok(rh_table_open(c, "t", &spec, &same));
    ck_assert_ptr_eq(same, t);
    ck_assert_ok(rh_table_reset(t)); /* and then it is as new: no force */
    ck_assert_ok(rh_table_init(t, rh_zeros(), 0, 0));
    ck_assert_ok(rh_push(t, ids, 0, ones));
    ck_assert_refused(rh_table_init(t, rh_ones(), 0, 0), RH_EINVAL, "0 touched rows and 1 steps");
    rh_close(c);
    job_stop(&job);
}
END_TEST

START_TEST(an_init_of_another_seed_has_other_values_and_the_same_seed_the_same) {
    static float rows[3][ROWS * DIM];
    begin(_i, 3, 1, RH_MODE_ASYNC);
    rh_client *c = job_connect(&job, 0);
    rh_table *t, *other;
    rh_table_spec spec;
    open_table(c, "t", &t);
    train(c, t, 1, false);
    for (uint64_t seed = 1; seed <= 3; seed++) {
        ck_assert_ok(rh_table_init(t, rh_uniform(-0.5, 0.5), seed % 2, 1));
        pull_all(t, rows[seed - 1]);
        for (int i = 0; i < ROWS * DIM; i++)
            ck_assert(rows[seed - 1][i] >= -0.5f && rows[seed - 1][i] < 0.5f);
    }
    ck_assert_mem_eq(rows[0], rows[2], sizeof rows[0]);
    ck_assert_mem_ne(rows[0], rows[1], sizeof rows[0]);
    /* what a new table of that name and spec would have */
    ck_assert_ok(rh_table_drop(&t));
    rh_table_spec_init(&spec, ROWS, DIM);
    spec.init = rh_uniform(-0.5, 0.5);
    ck_assert_ok(rh_table_open(c, "t", &spec, &other));
    pull_all(other, rows[0]);
    ck_assert_mem_eq(rows[0], rows[1], sizeof rows[0]);
    rh_close(c);
    job_stop(&job);
}
END_TEST

START_TEST(a_dropped_name_is_free) {
    begin(_i, 2, 1, _i == JOB_IPC ? RH_MODE_BSP : RH_MODE_ASYNC);
    rh_client *c = job_connect(&job, 0);
    uint64_t id = 1;
    float row[8] = {1, 1, 1, 1, 1, 1, 1, 1};
    for (uint32_t dim = 1; dim <= 8; dim++) { /* also in one clock, where a clock must close */
        rh_table *t = job_table(c, "t", 100, dim), *found;
        ck_assert_ok(rh_push(t, &id, 1, row));
        if (dim % 2 == 0)
            ck_assert_ok(rh_tick(c));
        ck_assert_ok(rh_table_drop(&t));
        ck_assert_ptr_null(t);
        ck_assert_refused(rh_table_find(c, "t", &found), RH_ENOTFOUND, "\"t\"");
    }
    for (int i = 0; i < 2; i++)
        ck_assert_ok(rh_tick(c));
    rh_table *t = job_table(c, "t", 100, 2);
    ck_assert_ok(rh_push(t, &id, 1, row));
    ck_assert_ok(rh_tick(c));
    ck_assert_ok(rh_pull(t, &id, 1, row));
    ck_assert_float_eq(row[0], -1);
    ck_assert_uint_eq(info_of(t).steps, 1);
    rh_close(c);
    job_stop(&job);
}
END_TEST

START_TEST(more_tables_may_come_and_go_than_a_tick_can_name) {
    begin(_i, 2, 1, RH_MODE_ASYNC);
    rh_client *c = job_connect(&job, 0);
    uint64_t id = 1;
    float one = 1;
    for (int i = 0; i < 1100; i++) {
        rh_table *t = job_table(c, "t", 100, 1);
        ck_assert_ok(rh_push(t, &id, 1, &one));
        ck_assert_ok(rh_table_drop(&t));
    }
    ck_assert_ok(rh_tick(c));
    rh_close(c);
    job_stop(&job);
}
END_TEST

/* ---- two workers ---- */

START_TEST(another_workers_handle_is_told_who_dropped_its_table) {
    begin(_i, 2, 2, RH_MODE_ASYNC);
    rh_client *a = job_connect(&job, 0), *b = job_connect(&job, 1), *o = NULL;
    rh_config cfg = job.cfg;
    cfg.observer = 1;
    ck_assert_ok(rh_connect(&cfg, &o));
    rh_table *t = job_table(a, "t", 100, 2), *u = job_table(b, "t", 100, 2), *seen, *w;
    ck_assert_ok(rh_table_find(o, "t", &seen));
    uint64_t ids[] = {1, 2};
    float rows[4] = {1, 1, 1, 1};
    ck_assert_refused(rh_table_reset(seen), RH_EINVAL, "observer");
    ck_assert_refused(rh_table_init(seen, rh_zeros(), 0, 1), RH_EINVAL, "observer");
    ck_assert_refused(rh_table_drop(&seen), RH_EINVAL, "observer");
    ck_assert_ok(rh_push(u, ids, 2, rows));
    ck_assert_ok(rh_table_drop(&t));
    static const char why[] = "table \"t\" was dropped by worker 0";
    ck_assert_refused(rh_pull(u, ids, 2, rows), RH_ENOTFOUND, why);
    ck_assert_refused(rh_push(u, ids, 2, rows), RH_ENOTFOUND, why);
    ck_assert_refused(rh_write(u, ids, 2, rows), RH_ENOTFOUND, why);
    ck_assert_refused(rh_freeze(u, 0, 100, 0), RH_ENOTFOUND, why);
    ck_assert_refused(rh_table_reset(u), RH_ENOTFOUND, why);
    ck_assert_refused(rh_table_init(u, rh_zeros(), 0, 1), RH_ENOTFOUND, why);
    struct rh_table_info info;
    ck_assert_refused(rh_table_info(u, &info), RH_ENOTFOUND, why);
    ck_assert_refused(rh_pull(seen, ids, 2, rows), RH_ENOTFOUND, why);
    ck_assert_refused(rh_table_find(b, "t", &w), RH_ENOTFOUND, "worker 0 has dropped it");
    ck_assert_ok(rh_tick(b)); /* which names it still */
    ck_assert_ok(rh_tick(a));
    /* a new one of the name is another table, also to a client with a handle of the old one */
    rh_table *v = job_table(a, "t", 100, 2);
    w = job_table(b, "t", 100, 2);
    ck_assert_ptr_ne(w, u);
    ck_assert_ok(rh_push(v, ids, 2, rows));
    ck_assert_ok(rh_pull(w, ids, 2, rows));
    ck_assert_float_eq(rows[0], -1);
    ck_assert_refused(rh_pull(u, ids, 2, rows), RH_ENOTFOUND, why);
    ck_assert_refused(rh_table_drop(&u), RH_ENOTFOUND, why);
    ck_assert_ptr_null(u);
    ck_assert_ok(rh_tick(b));
    rh_close(a);
    rh_close(b);
    rh_close(o);
    job_stop(&job);
}
END_TEST

/* Each clock of a has other pushes than b's: only after a reset by base do all shards agree on T, and
 * so on every bit, whoever was heard of where. */
START_TEST(t_begins_anew_for_the_pushes_of_all_workers) {
    begin(_i, 3, 2, RH_MODE_ASYNC);
    rh_client *a = job_connect(&job, 0), *b = job_connect(&job, 1);
    rh_table *t, *u, *w;
    static float rows[2][ROWS * DIM];
    open_table(a, "t", &t);
    open_table(b, "t", &u);
    open_table(a, "fresh", &w);
    ck_assert_ok(rh_table_init(w, rh_zeros(), 0, 0));
    train(a, t, 1, false);
    train(b, u, 2, false);
    uint64_t even = 4;
    float grad[DIM] = {1};
    ck_assert_ok(rh_push(u, &even, 1, grad)); /* which two shards have not heard of */
    ck_assert_ok(rh_table_reset(t));
    ck_assert_ok(rh_table_init(t, rh_zeros(), 0, 0));
    train(b, u, 3, false);
    train(a, w, 3, false);
    pull_all(u, rows[0]);
    pull_all(w, rows[1]);
    ck_assert_mem_eq(rows[0], rows[1], sizeof rows[0]);
    ck_assert_ok(rh_tick(a));
    ck_assert_ok(rh_tick(b));
    ck_assert_uint_eq(info_of(t).steps, STEPS);
    train(a, t, 4, true);
    ck_assert_uint_eq(info_of(t).steps, 2 * STEPS);
    rh_close(a);
    rh_close(b);
    job_stop(&job);
}
END_TEST

/* ---- workers in threads ---- */

enum { WORKERS = 3 };

struct worker {
    uint32_t rank;
    pthread_t thread;
    rh_client *c;
    void (*work)(struct worker *w);
};

static void *run_worker(void *arg) {
    struct worker *w = arg;
    w->c = job_connect(&job, w->rank);
    w->work(w);
    rh_close(w->c);
    return NULL;
}

static void run_all(void (*work)(struct worker *)) {
    struct worker w[WORKERS];
    for (uint32_t i = 0; i < WORKERS; i++) {
        w[i] = (struct worker){.rank = i, .work = work};
        ck_assert_int_eq(pthread_create(&w[i].thread, NULL, run_worker, &w[i]), 0);
    }
    for (uint32_t i = 0; i < WORKERS; i++)
        ck_assert_int_eq(pthread_join(w[i].thread, NULL), 0);
}

/* Between lead and other shards it may have gone again. */
static rh_table *open_against_drops(rh_client *c) {
    rh_table_spec spec;
    rh_table_spec_init(&spec, ROWS, DIM);
    spec.optimizer = rh_sparse_adam(0.01);
    spec.seed = 5;
    rh_table *t = NULL;
    rh_status s;
    while ((s = rh_table_open(c, "t", &spec, &t)) == RH_ENOTFOUND)
        ;
    ck_assert_msg(s == RH_OK, "%s", rh_errmsg());
    return t;
}

/* Rank 0 drops the table under the others' hands, again and again. */
static void push_to_what_another_drops(struct worker *w) {
    enum { ROUNDS = 60 };
    uint64_t ids[N];
    static _Thread_local float grads[N * DIM];
    struct rng g;
    rng_init(&g, 9, w->rank);
    rh_table *t = open_against_drops(w->c);
    for (int round = 0; round < ROUNDS; round++) {
        for (int i = 0; i < N; i++)
            ids[i] = rng_below(&g, ROWS);
        rh_op *op = NULL;
        rh_status s = rh_push(t, ids, N, grads);
        if (s == RH_OK)
            s = rh_push_begin(t, ids, N, grads, &op);
        if (w->rank == 0 && round % 3 == 0)
            ck_assert_ok(rh_table_drop(&t));
        rh_status waited = rh_wait(&op, -1);
        s = s == RH_OK ? waited : s;
        ck_assert_msg(s == RH_OK || s == RH_ENOTFOUND, "%s", rh_errmsg());
        if (t == NULL || s == RH_ENOTFOUND)
            t = open_against_drops(w->c);
        ck_assert_ok(rh_tick(w->c));
    }
}

START_TEST(no_session_ends_because_another_worker_drops_tables) {
    begin(_i % 2 == 0 ? JOB_IPC : JOB_TCP, 3, WORKERS, _i < 2 ? RH_MODE_ASYNC : RH_MODE_BSP);
    run_all(push_to_what_another_drops);
    job_stop(&job);
}
END_TEST

/* ---- the same bits ---- */

static float trained[3][ROWS * DIM]; /* by rank 0 */

static void change_tables(struct worker *w) {
    static const char *const names[] = {"a", "b", "c"};
    rh_table *t[3];
    for (int i = 0; i < 3; i++)
        open_table(w->c, names[i], &t[i]);
    for (uint32_t step = 0; step < 6; step++) {
        for (int i = 0; i < 3; i++) {
            uint64_t ids[N];
            float grads[N * DIM];
            struct rng g;
            rng_init(&g, 50 + step, w->rank * 3 + (uint32_t)i);
            for (int k = 0; k < N; k++)
                ids[k] = rng_below(&g, ROWS);
            for (int k = 0; k < N * DIM; k++)
                grads[k] = rng_f32(&g) * 1e3f - 300;
            ck_assert_ok(rh_push(t[i], ids, N, grads));
            if (step == 1 + w->rank)
                ck_assert_ok(rh_write(t[i], ids, 3, grads));
        }
        if (step == 2) /* two workers in one clock: the higher rank's stays */
            ck_assert_ok(rh_table_init(t[0], rh_normal(0, 1 + w->rank), w->rank, 1));
        if (step == 3 && w->rank != 1)
            ck_assert_ok(rh_table_reset(t[1]));
        if (step == 4 && w->rank == 2)
            ck_assert_ok(rh_table_drop(&t[2]));
        ck_assert_ok(rh_tick(w->c));
        if (step != 4)
            continue;
        ck_assert_ok(rh_barrier(w->c, -1));
        open_table(w->c, "c", &t[2]);
    }
    if (w->rank != 0)
        return;
    for (int i = 0; i < 3; i++)
        pull_all(t[i], trained[i]);
}

START_TEST(three_bsp_workers_that_change_tables_have_the_same_bits_on_1_2_3_and_7_shards) {
    static const uint32_t shards[] = {1, 2, 3, 7};
    static float first[3][ROWS * DIM];
    for (size_t i = 0; i < sizeof shards / sizeof *shards; i++) {
        begin(_i, shards[i], WORKERS, RH_MODE_BSP);
        run_all(change_tables);
        job_stop(&job);
        if (i == 0)
            memcpy(first, trained, sizeof first);
        ck_assert_msg(memcmp(first, trained, sizeof first) == 0,
                      "%" PRIu32 " shards have other bits than 1", shards[i]);
    }
}
END_TEST

int main(void) {
    Suite *s = suite_create("reset");
    TCase *t = tcase_create("reset");
    tcase_set_timeout(t, 60);
#define OVER_ALL(test)     tcase_add_loop_test(t, test, JOB_LOCAL, JOB_TRANSPORTS)
#define OVER_SOCKETS(test) tcase_add_loop_test(t, test, JOB_IPC, JOB_TCP + 1)
    OVER_ALL(a_reset_table_trains_as_a_new_one_bit_for_bit);
    OVER_ALL(a_table_reset_while_frozen_trains_as_a_new_one_once_it_is_not);
    OVER_ALL(reset_and_drop_give_the_memory_back);
    OVER_ALL(an_init_after_the_first_op_wants_force);
    OVER_ALL(an_init_of_another_seed_has_other_values_and_the_same_seed_the_same);
    OVER_ALL(a_dropped_name_is_free);
    OVER_ALL(more_tables_may_come_and_go_than_a_tick_can_name);
    OVER_SOCKETS(another_workers_handle_is_told_who_dropped_its_table);
    OVER_SOCKETS(t_begins_anew_for_the_pushes_of_all_workers);
    OVER_SOCKETS(three_bsp_workers_that_change_tables_have_the_same_bits_on_1_2_3_and_7_shards);
#undef OVER_ALL
#undef OVER_SOCKETS
    tcase_add_loop_test(t, no_session_ends_because_another_worker_drops_tables, 0, 4);
    suite_add_tcase(s, t);
    return job_main(s);
}
