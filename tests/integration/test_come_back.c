/*
 * test_come_back.c - a client whose job has lost a server: what it is told, how it comes back, its threads, and
 * clients that die while they put the job right.
 */
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "tests/support/dying_net.h"
#include "tests/support/lost_job.h"
#include "tests/support/scratch.h"
#include "worker/client.h"
#include "worker/connect.h"

static void train_alone(rh_client *c, rh_table *t, uint64_t from, uint64_t to) {
    for (uint64_t k = from; k < to; k++)
        ck_assert_ok(lost_job_step(c, t, k));
}

static uint64_t come_back(rh_client *c) {
    uint64_t next = 0;
    size_t len = sizeof next;
    rh_status s = rh_cursor(c, 0, &next, &len);
    ck_assert_msg(s == RH_OK || s == RH_ENOTFOUND, "%s", rh_errmsg());
    return next;
}

/* Alone, behind a checkpoint of 3 steps and 2 more. */
static rh_client *begin_alone(rh_table **t) {
    lost_job_start(JOB_TCP, RH_MODE_ASYNC, 2);
    rh_client *c = job_connect(&lost_job, 0);
    *t = job_table(c, "t", LOST_ROWS, LOST_DIM);
    train_alone(c, *t, 0, 3);
    ck_assert_ok(rh_save(c, "a"));
    train_alone(c, *t, 3, 5);
    return c;
}

static void wait_until_rolled_back(rh_client *c) {
    const int64_t until_ms = job_now_ms() + 60000;
    while (rh_set_cursor(c, NULL, 0) == RH_OK && job_now_ms() < until_ms)
        usleep(1000);
}

START_TEST(every_call_is_told_until_the_cursor_was_read) {
    rh_table *t, *same;
    rh_client *c = begin_alone(&t);
    const uint64_t id = 1;
    float row[LOST_DIM] = {0};
    struct rh_table_info info;
    rh_checkpoint_info last = {.size = sizeof last};
    lost_job_kill(2);
    lost_job_replace(2);
    wait_until_rolled_back(c);
    static const char to_do[] = "call rh_cursor, then open your tables again";
    ck_assert_refused(rh_pull(t, &id, 1, row), RH_EROLLBACK, to_do);
    ck_assert_refused(rh_push(t, &id, 1, row), RH_EROLLBACK, "shard 1 at tcp://");
    ck_assert_refused(rh_write(t, &id, 1, row), RH_EROLLBACK, "was restarted");
    ck_assert_refused(rh_tick(c), RH_EROLLBACK, to_do);
    ck_assert_refused(rh_barrier(c, 1000), RH_EROLLBACK, to_do);
    ck_assert_refused(rh_save(c, "b"), RH_EROLLBACK, to_do);
    ck_assert_refused(rh_restore(c, "a"), RH_EROLLBACK, to_do);
    ck_assert_refused(rh_table_find(c, "t", &same), RH_EROLLBACK, to_do);
    ck_assert_refused(rh_table_info(t, &info), RH_EROLLBACK, to_do);
    ck_assert_refused(rh_last_checkpoint(c, &last), RH_EROLLBACK, to_do);
    ck_assert_uint_eq(come_back(c), 3);
    ck_assert_uint_eq(rh_clock(c), 3);
    ck_assert_ptr_eq(job_table(c, "t", LOST_ROWS, LOST_DIM), t);
    lost_job_check(t, 1, 3);
    train_alone(c, t, 3, 6);
    lost_job_check(t, 1, 6);
    rh_close(c);
}
END_TEST

START_TEST(tables_of_a_job_that_begins_anew_are_not_found_until_they_are_opened) {
    lost_job_start(JOB_TCP, RH_MODE_ASYNC, 1);
    rh_client *c = job_connect(&lost_job, 0);
    rh_table *t = job_table(c, "t", LOST_ROWS, LOST_DIM), *u = job_table(c, "u", 7, 1);
    train_alone(c, t, 0, 2);
    lost_job_kill(1);
    lost_job_replace(1);
    wait_until_rolled_back(c);
    const uint64_t id = 1;
    float row[LOST_DIM] = {0};
    ck_assert_uint_eq(come_back(c), 0);
    ck_assert_uint_eq(rh_clock(c), 0);
    ck_assert_refused(rh_pull(t, &id, 1, row), RH_ENOTFOUND, "open it again");
    ck_assert_refused(rh_push(u, &id, 1, row), RH_ENOTFOUND, "table u");
    ck_assert_ptr_eq(job_table(c, "u", 7, 1), u);
    ck_assert_ptr_eq(job_table(c, "t", LOST_ROWS, LOST_DIM), t);
    ck_assert_ok(rh_push(u, &id, 1, row));
    train_alone(c, t, 0, 4);
    lost_job_check(t, 1, 4);
    rh_close(c);
}
END_TEST

static void read_all(rh_table *t, float rows[LOST_ROWS * LOST_DIM]) {
    uint64_t ids[LOST_ROWS];
    for (uint64_t i = 0; i < LOST_ROWS; i++)
        ids[i] = i;
    ck_assert_ok(rh_read(t, ids, LOST_ROWS, rows));
}

/* As long as one server lives that has heard its goodbye. */
START_TEST(a_worker_that_had_left_is_not_waited_for) {
    static float before[LOST_ROWS * LOST_DIM], after[LOST_ROWS * LOST_DIM];
    rh_client *c[2];
    rh_table *t[2];
    lost_job_start(JOB_TCP, RH_MODE_BSP, 2);
    for (uint32_t rank = 0; rank < 2; rank++) {
        c[rank] = job_connect(&lost_job, rank);
        ck_assert_ok(lost_job_table(c[rank], &t[rank]));
    }
    for (uint64_t k = 0; k < 3; k++)
        for (uint32_t rank = 0; rank < 2; rank++)
            ck_assert_ok(lost_job_step(c[rank], t[rank], k));
    rh_close(c[1]);
    train_alone(c[0], t[0], 3, 5);
    ck_assert_ok(rh_save(c[0], "a"));
    train_alone(c[0], t[0], 5, 8);
    read_all(t[0], before);
    for (uint32_t victims = 1; victims < 3; victims++) {
        lost_job_kill(victims);
        lost_job_replace(victims);
        wait_until_rolled_back(c[0]);
        ck_assert_uint_eq(come_back(c[0]), 5);
        train_alone(c[0], t[0], 5, 8);
        ck_assert_ok(rh_barrier(c[0], -1));
        read_all(t[0], after);
        ck_assert_mem_eq(after, before, sizeof after);
    }
    rh_close(c[0]);
}
END_TEST

START_TEST(who_finds_no_server_is_told_which_and_may_call_again) {
    rh_table *t;
    rh_client *c = begin_alone(&t);
    c->op_timeout_ms = 2000;
    lost_job_kill(3);
    lost_job_replace(1);
    wait_until_rolled_back(c);
    uint64_t next;
    size_t len = sizeof next;
    ck_assert_refused(rh_cursor(c, 0, &next, &len), RH_EUNREACHABLE, "shard 1 at tcp://");
    ck_assert_refused(rh_tick(c), RH_EROLLBACK, "shard 1 at tcp://");
    lost_job_replace(2);
    c->op_timeout_ms = 60000;
    ck_assert_uint_eq(come_back(c), 3);
    train_alone(c, t, 3, 5);
    lost_job_check(t, 1, 5);
    rh_close(c);
}
END_TEST

/* ---- threads of one client ---- */

struct thread {
    rh_client *c;
    rh_table *t;
    atomic_uint fine, sent_back;
    pthread_t id;
};

static atomic_bool stop;

static void *use(void *arg) {
    struct thread *u = arg;
    uint64_t ids[LOST_BATCH];
    float rows[LOST_BATCH * LOST_DIM];
    lost_job_draw(1, 1, ids, rows);
    while (!atomic_load(&stop)) {
        rh_status s = rh_pull(u->t, ids, LOST_BATCH, rows);
        memset(rows, 0, sizeof rows);
        if (s == RH_OK)
            s = rh_push(u->t, ids, LOST_BATCH, rows);
        ck_assert_msg(s == RH_OK || s == RH_EROLLBACK, "%s", rh_errmsg());
        atomic_fetch_add(&u->fine, s == RH_OK);
        if (s == RH_OK)
            continue;
        uint64_t next;
        size_t len = sizeof next;
        s = rh_cursor(u->c, 0, &next, &len);
        ck_assert_msg(s == RH_OK || s == RH_EROLLBACK, "%s", rh_errmsg());
        atomic_fetch_add(&u->sent_back, s == RH_OK);
    }
    return NULL;
}

START_TEST(threads_of_a_client_may_all_read_the_cursor_and_one_brings_it_back) {
    enum { THREADS = 3 };
    struct thread u[THREADS];
    rh_table *t;
    rh_client *c = begin_alone(&t);
    atomic_store(&stop, false);
    for (int i = 0; i < THREADS; i++) {
        u[i] = (struct thread){.c = c, .t = t};
        ck_assert_int_eq(pthread_create(&u[i].id, NULL, use, &u[i]), 0);
    }
    for (uint32_t round = 0; round < 3; round++) {
        uint32_t sent_back[THREADS], fine[THREADS];
        const int64_t until_ms = job_now_ms() + 60000;
        for (int i = 0; i < THREADS; i++)
            sent_back[i] = atomic_load(&u[i].sent_back);
        lost_job_kill(round + 1);
        lost_job_replace(round + 1);
        for (int i = 0; i < THREADS; i++) {
            while (atomic_load(&u[i].sent_back) == sent_back[i] && job_now_ms() < until_ms)
                usleep(500);
            fine[i] = atomic_load(&u[i].fine);
        }
        for (int i = 0; i < THREADS; i++) {
            while (atomic_load(&u[i].fine) < fine[i] + 3 && job_now_ms() < until_ms)
                usleep(500);
            ck_assert_uint_ge(atomic_load(&u[i].fine), fine[i] + 3);
        }
    }
    atomic_store(&stop, true);
    for (int i = 0; i < THREADS; i++)
        ck_assert_int_eq(pthread_join(u[i].id, NULL), 0);
    lost_job_check(t, 1, 3);
    rh_close(c);
}
END_TEST

/* ---- clients that die while they put it right ---- */

/* Worker 1 comes and puts the job right. True if it has died: so many RESTOREs were not enough. */
static bool dies_behind(uint32_t restores) {
    const struct net_ops *ops;
    struct roster r;
    struct net *inner, *net;
    rh_config cfg = lost_job.cfg;
    rh_client *c = NULL;
    cfg.rank = 1;
    cfg.connect_timeout_ms = cfg.op_timeout_ms = 1000;
    ck_assert_int_eq(roster_parse(lost_job.cfg.servers, &r), RH_OK);
    ck_assert_int_eq(net_find(r.servers[0], &ops), RH_OK);
    ck_assert_int_eq(ops->open(ops, &inner), RH_OK);
    net = dying_net_new(inner, restores);
    rh_status s = connect_over(&cfg, net, &r, &client_real_time, &c);
    if (s == RH_OK)
        rh_close(c);
    else
        ck_assert_msg(s == RH_ETIMEDOUT || s == RH_EUNREACHABLE, "%s", rh_errmsg());
    return s != RH_OK;
}

/* However far one comes, the next goes on from there. */
START_TEST(a_client_that_dies_while_it_puts_the_job_right_keeps_nobody_out) {
    uint32_t far = 0;
    rh_table *t;
    rh_client *c = begin_alone(&t);
    rh_close(c);
    for (bool died = true; died; far++) {
        lost_job_kill(1 + far % 3);
        lost_job_replace(1 + far % 3);
        died = dies_behind(far);
        c = job_connect(&lost_job, 0);
        ck_assert_uint_eq(come_back(c), 3);
        t = job_table(c, "t", LOST_ROWS, LOST_DIM);
        lost_job_check(t, 1, 3);
        train_alone(c, t, 3, 4);
        rh_close(c);
    }
    ck_assert_uint_ge(far, 5); /* two of step 0, two of step 1, one of step 2, at least */
}
END_TEST

START_TEST(half_of_a_clients_cure_is_carried_on_by_one_that_was_rolled_back) {
    rh_table *t;
    rh_client *c = begin_alone(&t);
    for (uint32_t far = 2; far < 5; far++) {
        lost_job_kill(2);
        lost_job_replace(2);
        wait_until_rolled_back(c);
        ck_assert(dies_behind(far));
        ck_assert_uint_eq(come_back(c), 3);
        lost_job_check(t, 1, 3);
        train_alone(c, t, 3, 6);
        lost_job_check(t, 1, 6);
    }
    rh_close(c);
}
END_TEST

/* ---- a job that was begun with a checkpoint ---- */

static void end_servers(void) {
    servers_stop(&lost_job.servers);
}

START_TEST(a_job_that_began_with_a_checkpoint_goes_back_to_it_and_not_to_anothers) {
    rh_table *t;
    rh_client *c = begin_alone(&t);
    ck_assert_ok(rh_save(c, "z")); /* generation 2, which the next job does not begin with */
    rh_close(c);
    end_servers();
    scratch_text("conf", "restore = a\n");
    memset(&lost_job.servers, 0, sizeof lost_job.servers);
    for (uint32_t i = 0; i < LOST_SHARDS; i++)
        servers_add(&lost_job.servers, "tcp", NULL, i, LOST_SHARDS, "--config=conf");
    lost_job.cfg.servers = lost_job.servers.list;
    c = job_connect(&lost_job, 0);
    t = job_table(c, "t", LOST_ROWS, LOST_DIM);
    ck_assert_uint_eq(come_back(c), 3);
    train_alone(c, t, 3, 4);
    scratch_text("conf", "restore = a\nrejoin = 2\n");
    for (uint32_t victims = 1; victims < 1u << LOST_SHARDS; victims++) {
        lost_job_kill(victims);
        for (uint32_t i = 0; i < LOST_SHARDS; i++)
            if (victims >> i & 1)
                ck_assert(servers_again(&lost_job.servers, i, i, LOST_SHARDS, "--config=conf"));
        wait_until_rolled_back(c);
        ck_assert_uint_eq(come_back(c), victims == 3 ? 5 : 3);
        lost_job_check(t, 1, victims == 3 ? 5 : 3);
        if (victims == 2) { /* what it saves itself goes before */
            train_alone(c, t, 3, 5);
            ck_assert_ok(rh_save(c, "own"));
        }
        train_alone(c, t, 5, 6);
    }
    rh_close(c);
}
END_TEST

int main(void) {
    TCase *tc = tcase_create("come back");
    tcase_add_checked_fixture(tc, lost_job_setup, lost_job_teardown);
    tcase_set_timeout(tc, 120);
    tcase_add_test(tc, every_call_is_told_until_the_cursor_was_read);
    tcase_add_test(tc, tables_of_a_job_that_begins_anew_are_not_found_until_they_are_opened);
    tcase_add_test(tc, a_worker_that_had_left_is_not_waited_for);
    tcase_add_test(tc, who_finds_no_server_is_told_which_and_may_call_again);
    tcase_add_test(tc, threads_of_a_client_may_all_read_the_cursor_and_one_brings_it_back);
    tcase_add_test(tc, a_client_that_dies_while_it_puts_the_job_right_keeps_nobody_out);
    tcase_add_test(tc, half_of_a_clients_cure_is_carried_on_by_one_that_was_rolled_back);
    tcase_add_test(tc, a_job_that_began_with_a_checkpoint_goes_back_to_it_and_not_to_anothers);
    Suite *s = suite_create("come back");
    suite_add_tcase(s, tc);
    return job_main(s);
}
