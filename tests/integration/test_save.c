/*
 * test_save.c - checkpoints of jobs that run: real servers, workers that push all the while, and what
 * is on disk afterwards.
 */
#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common/err.h"
#include "common/rng.h"
#include "ps/ckpt_folder.h"
#include "ps/ckpt_shard.h"
#include "tests/support/job.h"
#include "tests/support/moment.h"
#include "tests/support/scratch.h"
#include "tests/support/seed.h"

enum { SAVES = 10, STEPS_BSP = 40 };

static struct job job;

static void begin(int transport, uint32_t shards, uint32_t world, rh_mode mode) {
    job_start(&job, transport, shards);
    job.cfg.world = world;
    job.cfg.mode = mode;
    job.cfg.staleness = 2;
}

static void setup(void) {
    scratch_enter();
    setenv("RH_CHECKPOINT_DIR", ".", 1);
}

static void teardown(void) {
    job_stop(&job);
    unsetenv("RH_CHECKPOINT_DIR");
    scratch_leave();
}

/* ---- workers ---- */

struct worker {
    uint32_t rank, saves_every; /* 0: never by itself */
    uint64_t steps;             /* 0: until stop */
    atomic_bool *stop;
    pthread_t thread;
};

static void *train(void *arg) {
    struct worker *w = arg;
    struct moment m;
    rh_client *c = job_connect(&job, w->rank);
    moment_begin(&m, c, w->rank);
    if (job.cfg.mode == RH_MODE_SSP) /* where only those who are here have one clock */
        ck_assert_ok(rh_barrier(c, -1));
    while (w->steps == 0 ? !atomic_load(w->stop) : m.steps < w->steps) {
        moment_step(&m);
        if (w->saves_every != 0 && m.steps % w->saves_every == 0)
            ck_assert_ok(rh_save(c, "own"));
    }
    rh_close(c);
    return NULL;
}

static void start(struct worker *w, uint32_t n, uint64_t steps, uint32_t saves_every,
                  atomic_bool *stop) {
    for (uint32_t i = 0; i < n; i++) {
        w[i] = (struct worker){.rank = i, .steps = steps, .saves_every = saves_every, .stop = stop};
        ck_assert_int_eq(pthread_create(&w[i].thread, NULL, train, &w[i]), 0);
    }
}

static void join_all(struct worker *w, uint32_t n) {
    for (uint32_t i = 0; i < n; i++)
        ck_assert_int_eq(pthread_join(w[i].thread, NULL), 0);
}

/* ---- tests ---- */

START_TEST(a_checkpoint_of_a_job_that_runs_is_one_moment_of_all_workers) {
    atomic_bool stop = false;
    struct worker w[MOMENT_WORKERS];
    begin(JOB_TCP, 1 + (uint32_t)_i, MOMENT_WORKERS, RH_MODE_ASYNC);
    start(w, MOMENT_WORKERS, 0, 0, &stop);
    rh_config look = job.cfg;
    look.observer = 1;
    rh_client *c;
    ck_assert_ok(rh_connect(&look, &c));
    uint64_t before = 0;
    for (int i = 0; i < SAVES; i++) {
        ck_assert_ok(rh_save(c, "x"));
        uint64_t sum = moment_check("x", NULL);
        ck_assert(sum > before || sum == 0); /* 0: no worker had come yet */
        before = sum;
    }
    rh_checkpoint_info info = {.size = sizeof info};
    ck_assert_ok(rh_last_checkpoint(c, &info));
    ck_assert_str_eq(info.name, "x");
    ck_assert_uint_ge(info.generation, SAVES);
    uint64_t cursor;
    size_t len = sizeof cursor;
    ck_assert_ok(rh_cursor(c, 2, &cursor, &len));
    ck_assert_uint_eq(len, sizeof cursor);
    atomic_store(&stop, true);
    join_all(w, MOMENT_WORKERS);
    rh_close(c);
}
END_TEST

static const rh_mode in_step[] = {RH_MODE_BSP, RH_MODE_SSP};

START_TEST(under_bsp_and_ssp_all_workers_save_after_the_same_tick) {
    struct worker w[MOMENT_WORKERS];
    begin(JOB_TCP, 1 + (uint32_t)_i / 2, MOMENT_WORKERS, in_step[_i % 2]);
    start(w, MOMENT_WORKERS, STEPS_BSP, STEPS_BSP / 4, NULL);
    join_all(w, MOMENT_WORKERS);
    ck_assert_uint_eq(moment_check("own", NULL), STEPS_BSP * MOMENT_WORKERS);
}
END_TEST

START_TEST(under_bsp_and_ssp_a_checkpoint_from_outside_comes_between_two_clocks) {
    struct worker w[MOMENT_WORKERS];
    atomic_bool stop = false;
    begin(JOB_TCP, 2, MOMENT_WORKERS, in_step[_i]);
    start(w, MOMENT_WORKERS, 0, 0, &stop);
    rh_config look = job.cfg;
    look.observer = 1;
    rh_client *c;
    ck_assert_ok(rh_connect(&look, &c));
    for (int i = 0; i < SAVES; i++) {
        ck_assert_ok(rh_save(c, "x"));
        ck_assert_uint_eq(moment_check("x", NULL) % MOMENT_WORKERS, 0);
    }
    atomic_store(&stop, true);
    /* A worker that stops first says goodbye, and the others' clocks go on without it. */
    join_all(w, MOMENT_WORKERS);
    rh_close(c);
}
END_TEST

START_TEST(one_worker_saves_what_it_has_pushed_and_may_save_it_twice) {
    begin(_i, 2, 1, RH_MODE_ASYNC);
    rh_client *c = job_connect(&job, 0);
    struct moment m;
    uint64_t number = 0;
    size_t len = sizeof number;
    moment_begin(&m, c, 0);
    ck_assert_refused(rh_cursor(c, 0, &number, &len), RH_ENOTFOUND, "no checkpoint");
    moment_step(&m);
    ck_assert_ok(rh_save(c, "a"));
    ck_assert_uint_eq(moment_check("a", NULL), 1);
    moment_step(&m);
    ck_assert_ok(rh_save(c, "a"));
    ck_assert_ok(rh_save(c, "a"));
    ck_assert_ok(rh_save(c, "b"));
    ck_assert_uint_eq(moment_check("a", NULL), 2);
    ck_assert_uint_eq(moment_check("b", NULL), 2);
    len = 1;
    ck_assert_refused(rh_cursor(c, 0, &number, &len), RH_ELIMIT, "8 bytes");
    ck_assert_uint_eq(len, sizeof number);
    ck_assert_ok(rh_cursor(c, 0, &number, &len));
    ck_assert_uint_eq(number, 2);
    ck_assert_refused(rh_save(c, "../x"), RH_EINVAL, "character");
    ck_assert_refused(rh_save(c, ".x"), RH_EINVAL, "");
    rh_close(c);
}
END_TEST

START_TEST(servers_without_a_folder_refuse_to_save_and_say_what_to_do) {
    unsetenv("RH_CHECKPOINT_DIR");
    begin(_i, 2, 1, RH_MODE_ASYNC);
    rh_client *c = job_connect(&job, 0);
    ck_assert_refused(rh_save(c, "a"), RH_EINVAL, "--checkpoint-dir");
    ck_assert_ok(rh_tick(c));
    rh_close(c);
}
END_TEST

/* ---- tables that come and go ---- */

enum { ROWS = 10000, ROW_DIM = 4, CHANGES = 6 };

/* What all rows of a worker's table are; its cursor. */
struct state {
    uint64_t steps;
    float value, initial; /* initial: of a row that was not touched */
    uint64_t there;       /* 0: it has dropped the table */
};

static void name_of(uint32_t rank, char name[16]) {
    snprintf(name, 16, "t%u", rank);
}

static void write_all(rh_table *t, float value) {
    static _Thread_local uint64_t ids[ROWS];
    static _Thread_local float rows[ROWS * ROW_DIM];
    for (uint32_t i = 0; i < ROWS; i++)
        ids[i] = i;
    for (uint32_t i = 0; i < ROWS * ROW_DIM; i++)
        rows[i] = value;
    ck_assert_ok(rh_write(t, ids, ROWS, rows));
}

/* One thing that concerns every row. */
static void change(rh_client *c, rh_table **t, const char *name, uint64_t what, struct state *is) {
    if (*t == NULL) {
        *t = job_table(c, name, ROWS, ROW_DIM);
        *is = (struct state){.steps = is->steps, .there = 1};
    }
    switch (what) {
    case 0:
        ck_assert_ok(rh_table_reset(*t));
        is->value = is->initial;
        break;
    case 1:
        is->value = is->initial = (float)is->steps;
        ck_assert_ok(rh_table_init(*t, rh_constant(is->value), 0, 1));
        break;
    case 2:
        ck_assert_ok(rh_table_drop(t));
        is->there = 0;
        break;
    default:
        is->value = (float)is->steps;
        write_all(*t, is->value);
    }
}

static void *change_all_the_while(void *arg) {
    struct worker *w = arg;
    struct state is = {0};
    struct rng g;
    char name[16];
    rh_table *t = NULL;
    rh_client *c = job_connect(&job, w->rank);
    name_of(w->rank, name);
    rng_init(&g, w->steps, w->rank);
    while (!atomic_load(w->stop)) {
        is.steps++;
        change(c, &t, name, rng_below(&g, CHANGES), &is);
        ck_assert_ok(rh_set_cursor(c, &is, sizeof is));
        ck_assert_ok(rh_tick(c));
    }
    rh_close(c);
    return NULL;
}

static void all_rows_are(const struct ckpt_fd *folder, const struct ckpt_manifest *m, uint32_t rank,
                         const struct state *is) {
    static uint64_t ids[ROWS];
    static float rows[ROWS * ROW_DIM];
    char name[16];
    const struct ckpt_table *found = NULL;
    struct table *t;
    name_of(rank, name);
    for (uint32_t i = 0; i < m->n_tables; i++)
        if (m->tables[i].dropped_by == CKPT_NOT_DROPPED && strcmp(m->tables[i].name, name) == 0)
            found = &m->tables[i];
    ck_assert_msg((found != NULL) == (is->there != 0), "%s is%s there", name, found ? "" : " not");
    if (found == NULL)
        return;
    for (uint32_t i = 0; i < ROWS; i++)
        ids[i] = i;
    ck_assert_msg(ckpt_table_load(folder, m, found->number, 0, 1, true, &t) == RH_OK, "%s",
                  err_text());
    ck_assert_int_eq(table_locate(t, (const uint8_t *)ids, ROWS), RH_OK);
    table_read(t, (const uint8_t *)ids, ROWS, (uint8_t *)rows);
    for (uint32_t i = 0; i < ROWS * ROW_DIM; i++)
        ck_assert_msg(rows[i] == is->value, "row %u of %s is %g, not %g", i / ROW_DIM, name,
                      (double)rows[i], (double)is->value);
    table_free(&t);
}

static void check_tables(const char *name) {
    struct ckpt_io *io;
    struct ckpt_fd folder;
    struct ckpt_manifest m;
    ck_assert_int_eq(ckpt_io_beneath(".", &io), RH_OK);
    ck_assert_msg(ckpt_open(io, name, &folder, &m) == RH_OK, "%s", err_text());
    for (uint32_t i = 0; i < m.n_workers; i++) {
        struct state is = {0};
        if (m.workers[i].cursor_len > 0)
            memcpy(&is, m.workers[i].cursor, sizeof is);
        all_rows_are(&folder, &m, m.workers[i].rank, &is);
    }
    ckpt_manifest_fini(&m);
    ckpt_drop(&folder);
    ckpt_io_free(&io);
}

START_TEST(tables_that_come_change_and_go_while_they_are_saved_are_as_they_were) {
    atomic_bool stop = false;
    struct worker w[MOMENT_WORKERS];
    const uint64_t seed = test_seed("save");
    begin(JOB_TCP, 2, MOMENT_WORKERS, _i == 0 ? RH_MODE_ASYNC : RH_MODE_BSP);
    for (uint32_t i = 0; i < MOMENT_WORKERS; i++) {
        w[i] = (struct worker){.rank = i, .steps = seed, .stop = &stop};
        ck_assert_int_eq(pthread_create(&w[i].thread, NULL, change_all_the_while, &w[i]), 0);
    }
    rh_config look = job.cfg;
    look.observer = 1;
    rh_client *c;
    ck_assert_ok(rh_connect(&look, &c));
    for (int i = 0; i < SAVES; i++) {
        ck_assert_ok(rh_save(c, "x"));
        check_tables("x");
    }
    atomic_store(&stop, true);
    join_all(w, MOMENT_WORKERS);
    rh_close(c);
}
END_TEST

/* ---- workers that wait ---- */

static void *wait_at_barrier(void *arg) {
    rh_client *c = arg;
    ck_assert_ok(rh_barrier(c, 60000));
    return NULL;
}

/* Behind a step of theirs, or (0) with nothing but their tables open. */
START_TEST(workers_that_wait_at_a_barrier_do_not_keep_a_checkpoint_waiting) {
    const uint64_t steps = (uint64_t)_i;
    begin(JOB_TCP, 2, 2, RH_MODE_ASYNC);
    rh_client *early = job_connect(&job, 1), *c = job_connect(&job, 0);
    struct moment m, waits;
    moment_begin(&m, c, 0);
    moment_begin(&waits, early, 1);
    if (steps > 0)
        moment_step(&waits);
    pthread_t waiting;
    ck_assert_int_eq(pthread_create(&waiting, NULL, wait_at_barrier, early), 0);
    for (uint64_t k = 1; k <= 3; k++) {
        moment_step(&m);
        ck_assert_ok(rh_save(c, "a"));
        ck_assert_uint_eq(moment_check("a", NULL), steps + k);
    }
    ck_assert_ok(rh_barrier(c, 60000));
    ck_assert_int_eq(pthread_join(waiting, NULL), 0);
    moment_step(&waits);
    rh_close(early);
    rh_close(c);
}
END_TEST

START_TEST(a_worker_that_does_not_come_on_is_named_and_the_others_go_on) {
    begin(JOB_TCP, 2, 2, RH_MODE_ASYNC);
    job.cfg.op_timeout_ms = 12000;
    rh_client *idle = job_connect(&job, 1), *c = job_connect(&job, 0);
    struct moment m;
    moment_begin(&m, c, 0);
    moment_step(&m);
    ck_assert_refused(rh_save(c, "a"), RH_ETIMEDOUT, "worker 1");
    moment_step(&m);
    rh_close(idle);
    ck_assert_ok(rh_save(c, "a"));
    rh_close(c);
}
END_TEST

int main(void) {
    TCase *tc = tcase_create("save");
    tcase_add_checked_fixture(tc, setup, teardown);
    tcase_set_timeout(tc, 120);
    tcase_add_loop_test(tc, a_checkpoint_of_a_job_that_runs_is_one_moment_of_all_workers, 0, 3);
    tcase_add_loop_test(tc, under_bsp_and_ssp_all_workers_save_after_the_same_tick, 0, 6);
    tcase_add_loop_test(tc, under_bsp_and_ssp_a_checkpoint_from_outside_comes_between_two_clocks, 0,
                        2);
    tcase_add_loop_test(tc, one_worker_saves_what_it_has_pushed_and_may_save_it_twice, JOB_LOCAL,
                        JOB_TRANSPORTS);
    tcase_add_loop_test(tc, servers_without_a_folder_refuse_to_save_and_say_what_to_do, JOB_LOCAL,
                        JOB_TRANSPORTS);
    tcase_add_loop_test(tc, tables_that_come_change_and_go_while_they_are_saved_are_as_they_were, 0,
                        2);
    tcase_add_loop_test(tc, workers_that_wait_at_a_barrier_do_not_keep_a_checkpoint_waiting, 0, 2);
    tcase_add_test(tc, a_worker_that_does_not_come_on_is_named_and_the_others_go_on);
    Suite *s = suite_create("save");
    suite_add_tcase(s, tc);
    return job_main(s);
}
