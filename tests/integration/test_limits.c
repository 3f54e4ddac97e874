/*
 * test_limits.c - what goes beyond a limit of a server, as a client sees it: a refusal with the facts, and
 * whole: what one shard of several refuses is applied on none, and counts for nothing.
 */
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "tests/support/job.h"
#include "tests/support/scratch.h"

enum { DIM = 256, ROWS = 4096, FEW = 64, PATIENT_MS = 20000 };

static struct job job;
static rh_client *c;
static rh_table *t;
static uint64_t ids[ROWS];
static float ones[ROWS * DIM], rows[ROWS * DIM];

/* Two servers; the second one with a flag of its own. One worker, and a table of zeros. */
static void begin(rh_mode mode, const char *flag, int op_timeout_ms) {
    job_start(&job, JOB_LOCAL, 1);
    job.cfg.op_timeout_ms = op_timeout_ms;
    servers_add(&job.servers, "tcp", NULL, 0, 2, NULL);
    servers_add(&job.servers, "tcp", NULL, 1, 2, flag);
    job.cfg.servers = job.servers.list;
    job.cfg.mode = mode;
    for (int i = 0; i < ROWS * DIM; i++)
        ones[i] = 1;
    for (uint32_t i = 0; i < ROWS; i++)
        ids[i] = i;
    c = job_connect(&job, 0);
    t = job_table(c, "t", ROWS, DIM);
}

static void end(void) {
    rh_close(c);
    job_stop(&job);
}

/* Rows first .. first + n - 1 all have this value; and so many steps were made. */
static void expect(uint32_t first, uint32_t n, float value, uint64_t steps) {
    struct rh_table_info info;
    int wrong = 0;
    ck_assert_ok(rh_pull(t, ids + first, n, rows));
    for (uint32_t i = 0; i < n * DIM; i++)
        wrong += rows[i] != value;
    ck_assert_msg(wrong == 0, "%d wrong, the first value is %f", wrong, (double)rows[0]);
    ck_assert_ok(rh_table_info(t, &info));
    ck_assert_uint_eq(info.steps, steps);
}

/* ---- --hold-limit ---- */

START_TEST(a_push_that_one_shard_cannot_hold_is_applied_on_none) {
    begin(RH_MODE_BSP, "--hold-limit=1", PATIENT_MS);
    ck_assert_refused(rh_push(t, ids, ROWS, ones), RH_ELIMIT, "of at most 1.0 MiB (--hold-limit)");
    ck_assert_ptr_nonnull(strstr(rh_errmsg(), "rh_push: shard 1 at "));
    ck_assert_ok(rh_tick(c));
    expect(0, ROWS, 0, 0);
    ck_assert_ok(rh_push(t, ids, FEW, ones)); /* nothing is left of it */
    ck_assert_ok(rh_tick(c));
    expect(0, FEW, -1, 1);
    expect(FEW, ROWS - FEW, 0, 1);
    end();
}
END_TEST

START_TEST(what_is_held_already_stays_and_counts) {
    begin(RH_MODE_BSP, "--hold-limit=1", PATIENT_MS);
    ck_assert_ok(rh_push(t, ids, FEW, ones));
    ck_assert_refused(rh_push(t, ids, ROWS, ones), RH_ELIMIT, "--hold-limit");
    ck_assert_ok(rh_push(t, ids, FEW, ones)); /* there is room for it again */
    ck_assert_ok(rh_tick(c));
    expect(0, FEW, -2, 1);
    expect(FEW, ROWS - FEW, 0, 1);
    end();
}
END_TEST

START_TEST(a_write_is_refused_as_whole_too) {
    begin(RH_MODE_BSP, "--hold-limit=1", PATIENT_MS);
    ck_assert_ok(rh_push(t, ids, FEW, ones));
    ck_assert_refused(rh_write(t, ids, ROWS, ones), RH_ELIMIT, "rh_write: shard 1");
    ck_assert_ok(rh_tick(c));
    expect(0, FEW, -1, 1);
    expect(FEW, ROWS - FEW, 0, 1);
    end();
}
END_TEST

START_TEST(a_refusal_that_nobody_waited_for_is_told_by_the_tick_and_nothing_of_it_is_applied) {
    begin(RH_MODE_BSP, "--hold-limit=1", 8000);
    ck_assert_ok(rh_push(t, ids, FEW, ones));
    servers_signal(&job.servers, 1, SIGSTOP);
    ck_assert_refused(rh_push(t, ids, ROWS, ones), RH_EUNREACHABLE, "shard 1");
    servers_signal(&job.servers, 1, SIGCONT);
    rh_status s = rh_tick(c);
    for (int i = 0; i < 60 && s == RH_ETIMEDOUT; i++)
        s = rh_tick(c);
    ck_assert_int_eq(s, RH_ELIMIT);
    ck_assert_ptr_nonnull(strstr(rh_errmsg(), "an earlier call was refused"));
    ck_assert_ok(rh_tick(c));
    expect(0, FEW, -1, 1);
    expect(FEW, ROWS - FEW, 0, 1);
    end();
}
END_TEST

START_TEST(under_async_nothing_is_held) {
    begin(RH_MODE_ASYNC, "--hold-limit=1", PATIENT_MS);
    ck_assert_ok(rh_push(t, ids, ROWS, ones));
    expect(0, ROWS, -1, 1);
    end();
}
END_TEST

START_TEST(a_journal_brings_back_what_was_refused_as_refused) {
    scratch_enter();
    ck_assert_int_eq(mkdir("journal", 0700), 0);
    setenv("RH_JOURNAL", "journal", 1);
    begin(RH_MODE_BSP, "--hold-limit=1", PATIENT_MS);
    ck_assert_ok(rh_push(t, ids, FEW, ones));
    ck_assert_refused(rh_push(t, ids, ROWS, ones), RH_ELIMIT, "--hold-limit");
    servers_signal(&job.servers, 1, SIGKILL);
    ck_assert(servers_again(&job.servers, 1, 1, 2, "--hold-limit=1"));
    unsetenv("RH_JOURNAL");
    ck_assert_ok(rh_tick(c));
    expect(0, FEW, -1, 1);
    expect(FEW, ROWS - FEW, 0, 1);
    end();
    scratch_leave();
}
END_TEST

/* ---- --memory-limit ---- */

START_TEST(under_async_old_rows_are_updated_and_new_ones_refused_by_name) {
    begin(RH_MODE_ASYNC, "--memory-limit=1", PATIENT_MS); /* 1,024 rows of the second shard */
    ck_assert_refused(rh_push(t, ids, ROWS, ones), RH_ELIMIT, "has no room for 1024 new rows");
    ck_assert_ptr_nonnull(strstr(rh_errmsg(), "rh_push: shard 1 at "));
    struct rh_table_info info;
    ck_assert_ok(rh_table_info(t, &info));
    ck_assert_uint_eq(info.touched, ROWS - 1024);
    ck_assert_ok(rh_pull(t, ids, ROWS, rows));
    uint32_t learned = 0;
    for (uint32_t i = 0; i < ROWS; i++)
        learned += rows[(size_t)i * DIM] == -1;
    ck_assert_uint_eq(learned, ROWS - 1024);
    end();
}
END_TEST

START_TEST(under_bsp_a_push_whose_new_rows_do_not_fit_on_one_shard_is_applied_on_none) {
    begin(RH_MODE_BSP, "--memory-limit=1", PATIENT_MS);
    ck_assert_ok(rh_push(t, ids, FEW, ones));
    ck_assert_refused(rh_push(t, ids, ROWS, ones), RH_ELIMIT, "nothing of the call is applied");
    ck_assert_ok(rh_tick(c));
    expect(0, FEW, -1, 1);
    expect(FEW, ROWS - FEW, 0, 1);
    end();
}
END_TEST

/* ---- --worker-timeout ---- */

/* Worker 1 in a process of its own: it comes, and then does nothing. */
static pid_t start_other(void) {
    int ends[2];
    char byte;
    ck_assert_int_eq(pipe(ends), 0);
    pid_t pid = fork();
    ck_assert_int_ge(pid, 0);
    if (pid == 0) {
        rh_client *other = job_connect(&job, 1);
        if (other == NULL || write(ends[1], "x", 1) != 1)
            _exit(1);
        for (;;)
            pause();
    }
    close(ends[1]);
    ck_assert_int_eq(read(ends[0], &byte, 1), 1);
    close(ends[0]);
    return pid;
}

START_TEST(who_waits_for_a_worker_that_has_died_is_told_so_long_before_its_deadline) {
    job_start(&job, JOB_LOCAL, 1);
    servers_add(&job.servers, "tcp", NULL, 0, 1, "--worker-timeout=2");
    job.cfg.servers = job.servers.list;
    job.cfg.mode = RH_MODE_BSP;
    job.cfg.world = 2;
    job.cfg.op_timeout_ms = 100000;
    pid_t other = start_other();
    c = job_connect(&job, 0);
    t = job_table(c, "t", ROWS, DIM);
    int64_t start_ms = job_now_ms();
    ck_assert_int_eq(kill(other, SIGKILL), 0);
    ck_assert_int_eq(waitpid(other, NULL, 0), other);
    ck_assert_refused(rh_barrier(c, -1), RH_EUNREACHABLE, "waits for worker 1");
    ck_assert_ok(rh_tick(c));
    ck_assert_refused(rh_pull(t, ids, FEW, rows), RH_EUNREACHABLE, "--worker-timeout 2 s");
    ck_assert_int_lt(job_now_ms() - start_ms, 50000);
    end();
}
END_TEST

/* ---- --stuck-timeout ---- */

START_TEST(a_server_whose_thread_is_stuck_in_a_push_ends_by_itself) {
    int status;
    job_start(&job, JOB_LOCAL, 1);
    setenv("RH_FAILPOINTS", "apply.before=2:sleep:600000", 1);
    servers_add(&job.servers, "tcp", NULL, 0, 1, "--stuck-timeout=1");
    unsetenv("RH_FAILPOINTS");
    job.cfg.servers = job.servers.list;
    c = job_connect(&job, 0);
    t = job_table(c, "t", ROWS, DIM);
    ck_assert_ok(rh_push(t, ids, FEW, ones));
    rh_op *op = NULL;
    ck_assert_ok(rh_push_begin(t, ids, FEW, ones, &op));
    ck_assert_int_eq(waitpid(job.servers.pids[0], &status, 0), job.servers.pids[0]);
    ck_assert(WIFSIGNALED(status) && WTERMSIG(status) == SIGABRT);
    job.servers.n = 0; /* it is reaped */
    rh_close(c);
}
END_TEST

START_TEST(a_server_that_is_busy_or_paused_or_idle_is_not_stuck) {
    begin(RH_MODE_ASYNC, "--stuck-timeout=1", PATIENT_MS);
    for (int i = 0; i < 20; i++)
        ck_assert_ok(rh_push(t, ids, ROWS, ones));
    servers_signal(&job.servers, 1, SIGSTOP);
    sleep(3);
    servers_signal(&job.servers, 1, SIGCONT);
    ck_assert_ok(rh_push(t, ids, ROWS, ones));
    sleep(3);
    ck_assert_ok(rh_push(t, ids, ROWS, ones));
    expect(0, ROWS, -22, 22);
    end();
}
END_TEST

int main(void) {
    Suite *s = suite_create("limits");
    TCase *tc = tcase_create("limits");
    tcase_set_timeout(tc, 120);
    tcase_add_test(tc, a_push_that_one_shard_cannot_hold_is_applied_on_none);
    tcase_add_test(tc, what_is_held_already_stays_and_counts);
    tcase_add_test(tc, a_write_is_refused_as_whole_too);
    tcase_add_test(
        tc, a_refusal_that_nobody_waited_for_is_told_by_the_tick_and_nothing_of_it_is_applied);
    tcase_add_test(tc, under_async_nothing_is_held);
    tcase_add_test(tc, a_journal_brings_back_what_was_refused_as_refused);
    tcase_add_test(tc, under_async_old_rows_are_updated_and_new_ones_refused_by_name);
    tcase_add_test(tc, under_bsp_a_push_whose_new_rows_do_not_fit_on_one_shard_is_applied_on_none);
    tcase_add_test(tc, who_waits_for_a_worker_that_has_died_is_told_so_long_before_its_deadline);
    tcase_add_test(tc, a_server_whose_thread_is_stuck_in_a_push_ends_by_itself);
    tcase_add_test(tc, a_server_that_is_busy_or_paused_or_idle_is_not_stuck);
    suite_add_tcase(s, tc);
    return job_main(s);
}
