/*
 * test_save.c - checkpoints of jobs that run: real servers, workers that push all the while, and what
 * is on disk afterwards. Every worker has rows of its own on all shards, and each of its steps takes 1
 * off all of them: so a checkpoint that is one moment has the same number in all of a worker's rows,
 * and its cursor says which.
 */
#include <inttypes.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common/err.h"
#include "ps/ckpt_folder.h"
#include "ps/ckpt_shard.h"
#include "tests/support/job.h"
#include "tests/support/scratch.h"

enum { WORKERS_MAX = 3, OWN = 64, DIM = 2, SAVES = 10, STEPS_BSP = 40 };

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

/* The ids of a rank: OWN of them, over all slots. */
static void own_ids(uint32_t rank, uint64_t ids[OWN]) {
    for (uint32_t i = 0; i < OWN; i++)
        ids[i] = (uint64_t)i * WORKERS_MAX + rank;
}

static void step(rh_client *c, rh_table *t, const uint64_t *ids, uint64_t number) {
    float ones[OWN * DIM];
    for (int i = 0; i < OWN * DIM; i++)
        ones[i] = 1;
    /* In two calls: a checkpoint may not come between them. */
    ck_assert_ok(rh_push(t, ids, OWN / 2, ones));
    ck_assert_ok(rh_push(t, ids + OWN / 2, OWN / 2, ones));
    ck_assert_ok(rh_set_cursor(c, &number, sizeof number));
    ck_assert_ok(rh_tick(c));
}

static void *train(void *arg) {
    struct worker *w = arg;
    rh_client *c = job_connect(&job, w->rank);
    rh_table *t = job_table(c, "t", OWN * WORKERS_MAX, DIM);
    uint64_t ids[OWN];
    own_ids(w->rank, ids);
    for (uint64_t k = 1; w->steps == 0 ? !atomic_load(w->stop) : k <= w->steps; k++) {
        step(c, t, ids, k);
        if (w->saves_every != 0 && k % w->saves_every == 0)
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

/* ---- what is on disk ---- */

/* All rows of each worker are at its cursor. *sum: of all cursors. */
static void is_one_moment(const char *name, uint64_t *sum) {
    struct ckpt_io *io;
    struct ckpt_fd folder;
    struct ckpt_manifest m;
    struct table *t;
    uint64_t ids[OWN];
    float rows[OWN * DIM];
    *sum = 0;
    ck_assert_int_eq(ckpt_io_beneath(".", &io), RH_OK);
    ck_assert_msg(ckpt_open(io, name, &folder, &m) == RH_OK, "%s", err_text());
    ck_assert_int_eq(ckpt_table_load(&folder, &m, 1, 0, 1, true, &t), RH_OK);
    for (uint32_t i = 0; i < m.n_workers; i++) {
        uint64_t cursor = 0;
        if (m.workers[i].cursor_len > 0)
            memcpy(&cursor, m.workers[i].cursor, sizeof cursor);
        own_ids(m.workers[i].rank, ids);
        ck_assert_int_eq(table_locate(t, (const uint8_t *)ids, OWN), RH_OK);
        table_read(t, (const uint8_t *)ids, OWN, (uint8_t *)rows);
        for (int k = 0; k < OWN * DIM; k++)
            ck_assert_msg(rows[k] == -(float)cursor,
                          "%s: row %d of worker %u is %g, its cursor %" PRIu64, name, k / DIM,
                          m.workers[i].rank, (double)rows[k], cursor);
        *sum += cursor;
    }
    table_free(&t);
    ckpt_manifest_fini(&m);
    ckpt_drop(&folder);
    ckpt_io_free(&io);
}

/* ---- tests ---- */

START_TEST(a_checkpoint_of_a_job_that_runs_is_one_moment_of_all_workers) {
    atomic_bool stop = false;
    struct worker w[WORKERS_MAX];
    begin(JOB_TCP, 1 + (uint32_t)_i, WORKERS_MAX, RH_MODE_ASYNC);
    start(w, WORKERS_MAX, 0, 0, &stop);
    rh_config look = job.cfg;
    look.observer = 1;
    rh_client *c;
    ck_assert_ok(rh_connect(&look, &c));
    uint64_t before = 0;
    for (int i = 0; i < SAVES; i++) {
        uint64_t sum;
        ck_assert_ok(rh_save(c, "x"));
        is_one_moment("x", &sum);
        ck_assert_uint_gt(sum, before);
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
    join_all(w, WORKERS_MAX);
    rh_close(c);
}
END_TEST

START_TEST(under_bsp_all_workers_save_after_the_same_tick) {
    struct worker w[WORKERS_MAX];
    begin(JOB_TCP, 1 + (uint32_t)_i, WORKERS_MAX, RH_MODE_BSP);
    start(w, WORKERS_MAX, STEPS_BSP, STEPS_BSP / 4, NULL);
    join_all(w, WORKERS_MAX);
    uint64_t sum;
    is_one_moment("own", &sum);
    ck_assert_uint_eq(sum, STEPS_BSP * WORKERS_MAX);
}
END_TEST

START_TEST(under_bsp_a_checkpoint_from_outside_comes_between_two_clocks) {
    struct worker w[WORKERS_MAX];
    atomic_bool stop = false;
    begin(JOB_TCP, 2, WORKERS_MAX, RH_MODE_BSP);
    start(w, WORKERS_MAX, 0, 0, &stop);
    rh_config look = job.cfg;
    look.observer = 1;
    rh_client *c;
    ck_assert_ok(rh_connect(&look, &c));
    for (int i = 0; i < SAVES; i++) {
        uint64_t sum;
        ck_assert_ok(rh_save(c, "x"));
        is_one_moment("x", &sum);
        ck_assert_uint_eq(sum % WORKERS_MAX, 0);
    }
    atomic_store(&stop, true);
    /* A worker that stops first says goodbye, and the others' clocks go on without it. */
    join_all(w, WORKERS_MAX);
    rh_close(c);
}
END_TEST

START_TEST(one_worker_saves_what_it_has_pushed_and_may_save_it_twice) {
    begin(_i, 2, 1, RH_MODE_ASYNC);
    rh_client *c = job_connect(&job, 0);
    rh_table *t = job_table(c, "t", OWN * WORKERS_MAX, DIM);
    uint64_t ids[OWN], sum, number = 0;
    size_t len = sizeof number;
    own_ids(0, ids);
    ck_assert_refused(rh_cursor(c, 0, &number, &len), RH_ENOTFOUND, "no checkpoint");
    step(c, t, ids, 1);
    ck_assert_ok(rh_save(c, "a"));
    is_one_moment("a", &sum);
    ck_assert_uint_eq(sum, 1);
    step(c, t, ids, 2);
    ck_assert_ok(rh_save(c, "a"));
    ck_assert_ok(rh_save(c, "a"));
    ck_assert_ok(rh_save(c, "b"));
    is_one_moment("a", &sum);
    ck_assert_uint_eq(sum, 2);
    is_one_moment("b", &sum);
    ck_assert_uint_eq(sum, 2);
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
    rh_table *t = job_table(c, "t", OWN * WORKERS_MAX, DIM);
    rh_table *same = job_table(early, "t", OWN * WORKERS_MAX, DIM);
    uint64_t ids[OWN], theirs[OWN], sum;
    own_ids(0, ids);
    own_ids(1, theirs);
    step(early, same, theirs, 1);
    pthread_t waiting;
    ck_assert_int_eq(pthread_create(&waiting, NULL, wait_at_barrier, early), 0);
    for (uint64_t k = 1; k <= 3; k++) {
        step(c, t, ids, k);
        ck_assert_ok(rh_save(c, "a"));
        is_one_moment("a", &sum);
        ck_assert_uint_eq(sum, 1 + k);
    }
    ck_assert_ok(rh_barrier(c, 60000));
    ck_assert_int_eq(pthread_join(waiting, NULL), 0);
    step(early, same, theirs, 2);
    rh_close(early);
    rh_close(c);
}
END_TEST

START_TEST(a_worker_that_does_not_come_on_is_named_and_the_others_go_on) {
    begin(JOB_TCP, 2, 2, RH_MODE_ASYNC);
    job.cfg.op_timeout_ms = 12000;
    rh_client *idle = job_connect(&job, 1), *c = job_connect(&job, 0);
    rh_table *t = job_table(c, "t", OWN * WORKERS_MAX, DIM);
    uint64_t ids[OWN];
    own_ids(0, ids);
    step(c, t, ids, 1);
    ck_assert_refused(rh_save(c, "a"), RH_ETIMEDOUT, "worker 1");
    step(c, t, ids, 2);
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
