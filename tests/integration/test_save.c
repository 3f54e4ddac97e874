/*
 * test_save.c - checkpoints of jobs that run: real servers, workers that push all the while, and what
 * is on disk afterwards.
 */
#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "tests/support/job.h"
#include "tests/support/moment.h"
#include "tests/support/scratch.h"

enum { SAVES = 10, STEPS_BSP = 40 };

static struct job job;

static void begin(int transport, uint32_t shards, uint32_t world, rh_mode mode) {
    job_start(&job, transport, shards);
    job.cfg.world = world;
    job.cfg.mode = mode;
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

START_TEST(under_bsp_all_workers_save_after_the_same_tick) {
    struct worker w[MOMENT_WORKERS];
    begin(JOB_TCP, 1 + (uint32_t)_i, MOMENT_WORKERS, RH_MODE_BSP);
    start(w, MOMENT_WORKERS, STEPS_BSP, STEPS_BSP / 4, NULL);
    join_all(w, MOMENT_WORKERS);
    ck_assert_uint_eq(moment_check("own", NULL), STEPS_BSP * MOMENT_WORKERS);
}
END_TEST

START_TEST(under_bsp_a_checkpoint_from_outside_comes_between_two_clocks) {
    struct worker w[MOMENT_WORKERS];
    atomic_bool stop = false;
    begin(JOB_TCP, 2, MOMENT_WORKERS, RH_MODE_BSP);
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

static void *wait_at_barrier(void *arg) {
    rh_client *c = arg;
    ck_assert_ok(rh_barrier(c, 60000));
    return NULL;
}

START_TEST(workers_that_wait_at_a_barrier_do_not_keep_a_checkpoint_waiting) {
    begin(JOB_TCP, 2, 2, RH_MODE_ASYNC);
    rh_client *early = job_connect(&job, 1), *c = job_connect(&job, 0);
    struct moment m, waits;
    moment_begin(&m, c, 0);
    moment_begin(&waits, early, 1);
    moment_step(&waits);
    pthread_t waiting;
    ck_assert_int_eq(pthread_create(&waiting, NULL, wait_at_barrier, early), 0);
    for (uint64_t k = 1; k <= 3; k++) {
        moment_step(&m);
        ck_assert_ok(rh_save(c, "a"));
        ck_assert_uint_eq(moment_check("a", NULL), 1 + k);
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
    tcase_add_loop_test(tc, under_bsp_all_workers_save_after_the_same_tick, 0, 3);
    tcase_add_test(tc, under_bsp_a_checkpoint_from_outside_comes_between_two_clocks);
    tcase_add_loop_test(tc, one_worker_saves_what_it_has_pushed_and_may_save_it_twice, JOB_LOCAL,
                        JOB_TRANSPORTS);
    tcase_add_loop_test(tc, servers_without_a_folder_refuse_to_save_and_say_what_to_do, JOB_LOCAL,
                        JOB_TRANSPORTS);
    tcase_add_test(tc, workers_that_wait_at_a_barrier_do_not_keep_a_checkpoint_waiting);
    tcase_add_test(tc, a_worker_that_does_not_come_on_is_named_and_the_others_go_on);
    Suite *s = suite_create("save");
    suite_add_tcase(s, tc);
    return job_main(s);
}
