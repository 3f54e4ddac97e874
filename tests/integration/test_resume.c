/*
 * test_resume.c - a job that is killed and goes on from its checkpoint arrives where one arrives that was
 * never killed: every bit of weights and optimizer state, T, and what is frozen. Workers are processes,
 * so that SIGKILL is what they get.
 */
#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "common/err.h"
#include "common/rng.h"
#include "ps/ckpt_folder.h"
#include "ps/ckpt_shard.h"
#include "tests/support/job.h"
#include "tests/support/scratch.h"

enum {
    WORLD = 2,
    TABLES = 4,
    DIM = 6,
    ROWS = 500,
    N = 40,
    SAVE_AT = 80,
    KILL_AT = 93,
    FROZEN_UNTIL = 120,
    CLOCKS = 200
};

static struct job job;

static void setup(void) {
    scratch_enter();
    setenv("RH_CHECKPOINT_DIR", ".", 1);
}

static void teardown(void) {
    unsetenv("RH_CHECKPOINT_DIR");
    scratch_leave();
}

/* ---- one worker ---- */

static void open_tables(rh_client *c, rh_table *t[TABLES]) {
    const rh_optimizer optimizers[TABLES] = {rh_sparse_adam(0.01),
                                             rh_sgd_with(0.02, 0.9, 0.1, 0.001, 0),
                                             rh_adagrad(0.05), rh_rowwise_adagrad(0.05)};
    for (int i = 0; i < TABLES; i++) {
        char name[16];
        rh_table_spec spec;
        rh_table_spec_init(&spec, ROWS, DIM);
        spec.optimizer = optimizers[i];
        spec.seed = 17;
        spec.padding_idx = i == 2 ? 3 : RH_NO_PADDING;
        spec.max_norm = i == 3 ? 2.0 : 0;
        snprintf(name, sizeof name, "t%d", i);
        ck_assert_ok(rh_table_open(c, name, &spec, &t[i]));
    }
}

/* What a rank does in a clock depends on rank, clock and the rows that it pulls, and on nothing else. */
static void step(rh_client *c, rh_table *t[TABLES], uint32_t rank, uint64_t clock) {
    struct rng g;
    uint64_t ids[N];
    float rows[N * DIM];
    rng_init(&g, clock, rank);
    for (int i = 0; i < TABLES; i++) {
        for (int k = 0; k < N; k++)
            ids[k] = rng_below(&g, ROWS);
        ck_assert_ok(rh_pull(t[i], ids, N, rows));
        for (int k = 0; k < N * DIM; k++)
            rows[k] = 0.3f * rows[k] + (float)rng_unit_open(rng_u64(&g)) - 0.5f;
        ck_assert_ok(rh_push(t[i], ids, N, rows));
    }
    if (rank == 0 && clock == 5)
        ck_assert_ok(rh_freeze(t[0], 100, 200, FROZEN_UNTIL));
    clock++;
    ck_assert_ok(rh_set_cursor(c, &clock, sizeof clock));
    ck_assert_ok(rh_tick(c));
}

/* From the cursor on, if there is one. Then it saves as `name`, and goes on until kill_at. */
static void train(uint32_t rank, bool resumes, uint64_t save_at, const char *name,
                  uint64_t kill_at) {
    rh_client *c = job_connect(&job, rank);
    rh_table *t[TABLES];
    uint64_t clock = 0;
    size_t len = sizeof clock;
    open_tables(c, t);
    if (resumes)
        ck_assert_ok(rh_cursor(c, rank, &clock, &len));
    ck_assert_uint_eq(clock, resumes ? SAVE_AT : 0);
    ck_assert_uint_eq(rh_clock(c), clock);
    for (; clock < save_at; clock++)
        step(c, t, rank, clock);
    ck_assert_ok(rh_save(c, name));
    for (; clock < kill_at; clock++)
        step(c, t, rank, clock);
    if (kill_at > save_at)
        pause(); /* SIGKILL ends it */
    rh_close(c);
}

/* Runs all workers; kills them and the servers if they wait for that. */
static void run(uint32_t shards, const char *restore, uint64_t save_at, const char *name,
                uint64_t kill_at) {
    char flag[64];
    pid_t pids[WORLD];
    memset(&job, 0, sizeof job);
    rh_config_init(&job.cfg);
    snprintf(flag, sizeof flag, "--restore=%s", restore == NULL ? "" : restore);
    for (uint32_t i = 0; i < shards; i++)
        servers_add(&job.servers, "tcp", NULL, i, shards, restore == NULL ? NULL : flag);
    job.cfg.servers = job.servers.list;
    job.cfg.world = WORLD;
    job.cfg.mode = RH_MODE_BSP;
    job.cfg.op_timeout_ms = job.cfg.connect_timeout_ms = 60000;
    for (uint32_t rank = 0; rank < WORLD; rank++) {
        pids[rank] = fork();
        ck_assert_int_ge(pids[rank], 0);
        if (pids[rank] == 0) {
            prctl(PR_SET_PDEATHSIG, SIGKILL);
            train(rank, restore != NULL, save_at, name, kill_at);
            _exit(0);
        }
    }
    bool kills = kill_at > save_at;
    /* They are somewhere behind the checkpoint then. */
    if (kills) {
        struct ckpt_io *io;
        ck_assert_int_eq(ckpt_io_beneath(".", &io), RH_OK);
        while (ckpt_newest(io, NULL, &(uint64_t){0}) != RH_OK)
            usleep(10000);
        ckpt_io_free(&io);
        usleep(20000);
    }
    for (uint32_t i = 0; kills && i < shards; i++)
        servers_signal(&job.servers, i, SIGKILL);
    for (uint32_t rank = 0; rank < WORLD; rank++) {
        int status;
        if (kills)
            kill(pids[rank], SIGKILL);
        ck_assert_int_eq(waitpid(pids[rank], &status, 0), pids[rank]);
        ck_assert(kills ? WIFSIGNALED(status) : WIFEXITED(status) && WEXITSTATUS(status) == 0);
    }
    servers_stop(&job.servers);
}

/* ---- comparing ---- */

struct loaded {
    struct ckpt_io *io;
    struct ckpt_fd folder;
    struct ckpt_manifest m;
    struct table *t[TABLES];
};

static void load(const char *name, struct loaded *l) {
    ck_assert_int_eq(ckpt_io_beneath(".", &l->io), RH_OK);
    ck_assert_msg(ckpt_open(l->io, name, &l->folder, &l->m) == RH_OK, "%s", err_text());
    ck_assert_uint_eq(l->m.n_tables, TABLES);
    for (uint32_t i = 0; i < TABLES; i++)
        ck_assert_int_eq(ckpt_table_load(&l->folder, &l->m, i + 1, 0, 1, true, &l->t[i]), RH_OK);
}

static void unload(struct loaded *l) {
    for (uint32_t i = 0; i < TABLES; i++)
        table_free(&l->t[i]);
    ckpt_manifest_fini(&l->m);
    ckpt_drop(&l->folder);
    ckpt_io_free(&l->io);
}

static void same_bytes(const float *a, const float *b, size_t n, uint64_t row, const char *what) {
    if (n > 0)
        ck_assert_msg(memcmp(a, b, n * sizeof *a) == 0, "the %s of local row %" PRIu64 " differs",
                      what, row);
}

static void same_table(const struct table *a, const struct table *b) {
    const struct store *x = &a->store, *y = &b->store;
    uint64_t row = 0;
    ck_assert_uint_eq(x->n_touched, y->n_touched);
    for (; (row = store_next_touched(x, row)) != STORE_NONE; row++) {
        ck_assert_uint_eq(store_next_touched(y, row), row);
        same_bytes(store_row(x, row), store_row(y, row), x->dim, row, "weights");
        same_bytes(store_slot(x, row), store_slot(y, row), x->slot_dim, row, "state");
        same_bytes(store_own(x, row), store_own(y, row), x->own_dim, row, "state of the row");
    }
    ck_assert_uint_eq(a->freeze.n_runs, b->freeze.n_runs);
    ck_assert_mem_eq(a->freeze.runs, b->freeze.runs, a->freeze.n_runs * sizeof *a->freeze.runs);
}

static void same(const char *a, const char *b) {
    struct loaded x, y;
    load(a, &x);
    load(b, &y);
    ck_assert_uint_eq(x.m.clock, CLOCKS);
    ck_assert_uint_eq(y.m.clock, CLOCKS);
    for (uint32_t i = 0; i < TABLES; i++) {
        ck_assert_uint_eq(x.m.tables[i].steps, y.m.tables[i].steps);
        ck_assert_uint_gt(x.t[i]->store.n_touched, ROWS * 9 / 10);
        same_table(x.t[i], y.t[i]);
    }
    unload(&x);
    unload(&y);
}

START_TEST(a_job_that_was_killed_arrives_where_one_does_that_was_not) {
    static const uint32_t then[] = {1, 3, 5};
    run(2, NULL, SAVE_AT, "killed", KILL_AT);
    run(then[_i], "killed", CLOCKS, "resumed", CLOCKS);
    run(2, NULL, CLOCKS, "whole", CLOCKS);
    same("whole", "resumed");
}
END_TEST

int main(void) {
    TCase *tc = tcase_create("resume");
    tcase_add_checked_fixture(tc, setup, teardown);
    tcase_set_timeout(tc, 120);
    tcase_add_loop_test(tc, a_job_that_was_killed_arrives_where_one_does_that_was_not, 0, 3);
    Suite *s = suite_create("resume");
    suite_add_tcase(s, tc);
    return job_main(s);
}
