/*
 * test_deadlines.c - every call ends by its deadline, and says whom it has waited for: a shard whose
 * server is stopped, a worker that does not go on, another thread that is in a call. Each call has a
 * client and a thread of its own, and all wait at the same time.
 */
#include <pthread.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "tests/support/job.h"
#include "tests/support/scratch.h"

enum {
    DEADLINE_MS = 4000,
    SLACK_MS = 3000, /* a machine that has much to do. Two deadlines in a row would be beyond it */
    N = 4,
    DIM = 2
};

static struct job job;

/* What a call has to work with. */
struct caller {
    rh_client *c;
    rh_table *t;
    rh_param *p;
    float rows[N * DIM]; /* of a pull that outlives its call */
};

struct call {
    const char *name;
    rh_status (*run)(struct caller *k);
    struct caller with;
    pthread_t thread;
    rh_status status;
    char text[512];
    int64_t took_ms;
};

/* Rows of both shards. */
static const uint64_t ids[N] = {0, 1, 2, 3};
static const float grads[N * DIM] = {1, 1, 1, 1, 1, 1, 1, 1};

/* ---- the calls ---- */

static rh_status do_pull(struct caller *k) {
    float rows[N * DIM];
    return rh_pull(k->t, ids, N, rows);
}

static rh_status do_read(struct caller *k) {
    float rows[N * DIM];
    return rh_read(k->t, ids, N, rows);
}

static rh_status do_push(struct caller *k) {
    return rh_push(k->t, ids, N, grads);
}

static rh_status do_write(struct caller *k) {
    return rh_write(k->t, ids, N, grads);
}

static rh_status do_copy(struct caller *k) {
    return rh_copy(k->t, ids, k->t, ids, N);
}

static rh_status do_wait(struct caller *k) {
    rh_op *op;
    rh_status s = rh_pull_begin(k->t, ids, N, k->rows, &op);
    return s == RH_OK ? rh_wait(&op, DEADLINE_MS) : s;
}

static rh_status do_batch(struct caller *k) {
    float rows[N * DIM];
    rh_batch *b;
    rh_status s = rh_batch_new(k->c, &b);
    if (s == RH_OK)
        s = rh_batch_push(b, k->t, ids, N, grads);
    if (s == RH_OK)
        s = rh_batch_pull(b, k->t, ids, N, rows);
    if (s == RH_OK)
        s = rh_batch_run(b);
    return s;
}

static rh_status do_bags(struct caller *k) {
    float out[DIM];
    const uint64_t offsets[] = {0};
    rh_bags bags;
    rh_bags_init(&bags, ids, N, offsets, 1);
    return rh_pull_bags(k->t, &bags, out, NULL);
}

static rh_status do_param(struct caller *k) {
    float values[3000];
    return rh_param_pull(k->p, values);
}

static rh_status do_tick(struct caller *k) {
    return rh_tick(k->c);
}

static rh_status do_push_and_tick(struct caller *k) {
    rh_op *op;
    rh_status s = rh_push_begin(k->t, ids, N, grads, &op);
    return s == RH_OK ? rh_tick(k->c) : s;
}

static rh_status do_freeze(struct caller *k) {
    return rh_freeze(k->t, 0, N, 0);
}

static rh_status do_thaw(struct caller *k) {
    return rh_unfreeze_ids(k->t, ids, N);
}

static rh_status do_open(struct caller *k) {
    rh_table_spec spec;
    rh_table *t;
    rh_table_spec_init(&spec, 100, DIM);
    return rh_table_open(k->c, "another", &spec, &t);
}

static rh_status do_open_param(struct caller *k) {
    const uint64_t shape = 3000;
    rh_param_spec spec;
    rh_param *p;
    rh_param_spec_init(&spec, &shape, 1);
    return rh_param_open(k->c, "another", &spec, &p);
}

static rh_status do_reset(struct caller *k) {
    return rh_table_reset(k->t);
}

static rh_status do_init(struct caller *k) {
    return rh_table_init(k->t, rh_zeros(), 1, 1);
}

static rh_status do_drop(struct caller *k) {
    return rh_table_drop(&k->t);
}

static rh_status do_info(struct caller *k) {
    struct rh_table_info info;
    return rh_table_info(k->t, &info);
}

static rh_status do_load(struct caller *k) {
    return rh_load(k->t, "in.npy", NULL, NULL);
}

static rh_status do_export(struct caller *k) {
    return rh_export(k->t, "out.npy", NULL);
}

static rh_status do_save(struct caller *k) {
    return rh_save(k->c, "x");
}

static rh_status do_connect(struct caller *k) {
    rh_config cfg = job.cfg;
    rh_client *c;
    (void)k;
    cfg.observer = 1;
    cfg.connect_timeout_ms = DEADLINE_MS;
    return rh_connect(&cfg, &c);
}

/* ---- all at once ---- */

static void *run(void *arg) {
    struct call *call = arg;
    int64_t start_ms = job_now_ms();
    call->status = call->run(&call->with);
    snprintf(call->text, sizeof call->text, "%s", rh_errmsg());
    call->took_ms = job_now_ms() - start_ms;
    return NULL;
}

static void prepare(struct call *calls, uint32_t n) {
    const uint64_t shape = 3000;
    for (uint32_t i = 0; i < n; i++) {
        struct caller *k = &calls[i].with;
        rh_param_spec spec;
        rh_param_spec_init(&spec, &shape, 1);
        k->c = job_connect(&job, i);
        k->t = job_table(k->c, "t", 100, DIM);
        ck_assert_ok(rh_param_open(k->c, "p", &spec, &k->p));
    }
    if (n > 0)
        ck_assert_ok(rh_export(calls[0].with.t, "in.npy", NULL));
}

static void start_all(struct call *calls, uint32_t n) {
    for (uint32_t i = 0; i < n; i++)
        ck_assert_int_eq(pthread_create(&calls[i].thread, NULL, run, &calls[i]), 0);
}

/* Each has ended in time, for want of somebody whom it names. */
static void check_all(struct call *calls, uint32_t n, const char *whom) {
    for (uint32_t i = 0; i < n; i++) {
        const struct call *k = &calls[i];
        ck_assert_int_eq(pthread_join(k->thread, NULL), 0);
        ck_assert_msg(k->status == RH_ETIMEDOUT || k->status == RH_EUNREACHABLE, "%s: %s: %s",
                      k->name, rh_strstatus(k->status), k->text);
        ck_assert_msg(strstr(k->text, whom) != NULL, "%s: \"%s\" does not name %s", k->name,
                      k->text, whom);
        ck_assert_msg(k->took_ms < DEADLINE_MS + SLACK_MS, "%s took %.1f s", k->name,
                      (double)k->took_ms / 1000);
    }
}

static void close_all(struct call *calls, uint32_t n) {
    for (uint32_t i = 0; i < n; i++)
        rh_close(calls[i].with.c);
}

static void begin(int transport, uint32_t world, rh_mode mode) {
    scratch_enter();
    setenv("RH_CHECKPOINT_DIR", ".", 1);
    job_start(&job, transport, 2);
    job.cfg.world = world;
    job.cfg.mode = mode;
    job.cfg.op_timeout_ms = DEADLINE_MS;
}

static void end(void) {
    job_stop(&job);
    unsetenv("RH_CHECKPOINT_DIR");
    scratch_leave();
}

START_TEST(with_a_stopped_server_every_call_ends_by_its_deadline_and_names_the_shard) {
    struct call calls[] = {
        {.name = "rh_pull", .run = do_pull},
        {.name = "rh_wait", .run = do_wait},
        {.name = "rh_save", .run = do_save},
        {.name = "rh_read", .run = do_read},
        {.name = "rh_push", .run = do_push},
        {.name = "rh_write", .run = do_write},
        {.name = "rh_copy", .run = do_copy},
        {.name = "rh_batch_run", .run = do_batch},
        {.name = "rh_pull_bags", .run = do_bags},
        {.name = "rh_param_pull", .run = do_param},
        {.name = "rh_tick", .run = do_tick},
        {.name = "rh_tick after rh_push_begin", .run = do_push_and_tick},
        {.name = "rh_freeze", .run = do_freeze},
        {.name = "rh_unfreeze_ids", .run = do_thaw},
        {.name = "rh_table_open", .run = do_open},
        {.name = "rh_param_open", .run = do_open_param},
        {.name = "rh_table_reset", .run = do_reset},
        {.name = "rh_table_init", .run = do_init},
        {.name = "rh_table_drop", .run = do_drop},
        {.name = "rh_table_info", .run = do_info},
        {.name = "rh_load", .run = do_load},
        {.name = "rh_export", .run = do_export},
        {.name = "rh_connect", .run = do_connect},
    };
    const uint32_t n = sizeof calls / sizeof *calls;
    begin(_i, n, RH_MODE_ASYNC);
    prepare(calls, n);
    servers_signal(&job.servers, 1, SIGSTOP);
    start_all(calls, n);
    check_all(calls, n, "shard 1 at ");
    servers_signal(&job.servers, 1, SIGCONT);
    close_all(calls, n);
    end();
}
END_TEST

/* The last one is in no call: whom the others wait for. */
START_TEST(with_a_worker_that_does_not_go_on_every_call_ends_by_its_deadline_and_names_it) {
    struct call calls[] = {
        {.name = "rh_pull", .run = do_pull},
        {.name = "rh_wait", .run = do_wait},
        {.name = "rh_read", .run = do_read},
        {.name = "rh_copy", .run = do_copy},
        {.name = "rh_batch_run", .run = do_batch},
        {.name = "rh_pull_bags", .run = do_bags},
        {.name = "rh_param_pull", .run = do_param},
        {.name = "rh_table_open", .run = do_open},
        {.name = "rh_param_open", .run = do_open_param},
        {.name = "rh_export", .run = do_export},
        {.name = "nothing"},
    };
    const uint32_t n = sizeof calls / sizeof *calls - 1;
    begin(_i, n + 1, RH_MODE_BSP);
    prepare(calls, n + 1);
    for (uint32_t i = 0; i < n; i++)
        ck_assert_ok(rh_tick(calls[i].with.c));
    start_all(calls, n);
    check_all(calls, n, "worker 10");
    close_all(calls, n + 1);
    end();
}
END_TEST

START_TEST(who_waits_for_another_thread_of_its_client_has_one_deadline_too) {
    struct call calls[] = {
        {.name = "rh_tick", .run = do_push_and_tick},
        {.name = "rh_push", .run = do_push},
        {.name = "rh_freeze", .run = do_freeze},
        {.name = "rh_table_open", .run = do_open},
        {.name = "rh_table_open, second", .run = do_open},
        {.name = "rh_table_open, third", .run = do_open},
    };
    const uint32_t n = sizeof calls / sizeof *calls;
    begin(_i, 1, RH_MODE_ASYNC);
    prepare(calls, 1);
    for (uint32_t i = 1; i < n; i++)
        calls[i].with = calls[0].with;
    servers_signal(&job.servers, 1, SIGSTOP);
    start_all(calls, 1);
    usleep(500000); /* so that the others find the clock being ended; if not, it is no harm */
    start_all(calls + 1, n - 1);
    check_all(calls, n, "");
    servers_signal(&job.servers, 1, SIGCONT);
    close_all(calls, 1);
    end();
}
END_TEST

int main(void) {
    Suite *s = suite_create("deadlines");
    TCase *t = tcase_create("deadlines");
    tcase_set_timeout(t, 120);
    tcase_add_loop_test(t,
                        with_a_stopped_server_every_call_ends_by_its_deadline_and_names_the_shard,
                        JOB_IPC, JOB_TCP + 1);
    tcase_add_loop_test(
        t, with_a_worker_that_does_not_go_on_every_call_ends_by_its_deadline_and_names_it, JOB_IPC,
        JOB_TCP + 1);
    tcase_add_loop_test(t, who_waits_for_another_thread_of_its_client_has_one_deadline_too, JOB_IPC,
                        JOB_TCP + 1);
    suite_add_tcase(s, t);
    return job_main(s);
}
