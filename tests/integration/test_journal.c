/*
 * test_journal.c - servers with a journal are killed again and again, at random moments, one of them or all,
 * while two workers push and pull and save: no call of the workers fails, and in the end every row is what
 * plain addition says.
 *
 * A failed run has printed its seed last: RH_TEST_SEED takes it back.
 */
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "common/rng.h"
#include "tests/support/job.h"
#include "tests/support/scratch.h"
#include "tests/support/seed.h"

enum { SHARDS = 2, WORKERS = 2, ROWS = 400, DIM = 3, BATCH = 40, PATIENCE_MS = 60000 };

/* What parent and workers know of one another. */
struct shared {
    volatile uint32_t steps[WORKERS];
    volatile uint32_t stop_at; /* 0: not yet */
    volatile uint32_t saved, failed;
};

static struct shared *shared;
static struct job job;
static uint64_t seed;

/* ---- servers ---- */

static void start(uint32_t i, const char *address) {
    struct servers one = {0};
    servers_add(&one, "tcp", address, i, SHARDS, NULL);
    job.servers.pids[i] = one.pids[0];
    memcpy(job.servers.addresses[i], one.addresses[0], sizeof one.addresses[0]);
    job.servers.n = i >= job.servers.n ? i + 1 : job.servers.n;
}

static void begin(const char *sync) {
    mkdir("journal", 0700);
    setenv("RH_JOURNAL", "journal", 1);
    setenv("RH_JOURNAL_SYNC", sync, 1);
    setenv("RH_CHECKPOINT_DIR", "checkpoints", 1);
    shared = mmap(NULL, sizeof *shared, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    ck_assert_ptr_ne(shared, MAP_FAILED);
    memset(&job, 0, sizeof job);
    for (uint32_t i = 0; i < SHARDS; i++)
        start(i, NULL);
    snprintf(job.servers.list, sizeof job.servers.list, "%s,%s", job.servers.addresses[0],
             job.servers.addresses[1]);
    rh_config_init(&job.cfg);
    job.cfg.servers = job.servers.list;
    job.cfg.world = WORKERS;
    job.cfg.connect_timeout_ms = job.cfg.op_timeout_ms = PATIENCE_MS;
}

/* Killed, and at once started again. */
static void kill_some(struct rng *g) {
    uint32_t which = rng_below(g, SHARDS + 1); /* SHARDS: all */
    for (uint32_t i = 0; i < SHARDS; i++)
        if (which == i || which == SHARDS)
            servers_signal(&job.servers, i, SIGKILL);
    for (uint32_t i = 0; i < SHARDS; i++)
        if (which == i || which == SHARDS)
            start(i, job.servers.addresses[i]);
}

/* ---- workers ---- */

/* What worker `rank` pushes in its n-th step: small whole numbers, whose sums are exact. */
static void draw(uint32_t rank, uint32_t n, uint64_t ids[BATCH], float grads[BATCH * DIM]) {
    struct rng g;
    rng_init(&g, seed + rank, n);
    for (int i = 0; i < BATCH; i++)
        ids[i] = rng_below(&g, ROWS);
    for (int i = 0; i < BATCH * DIM; i++)
        grads[i] = (float)rng_below(&g, 9) - 4;
}

/* Check would not hear of it: this is a process of its own. */
static void must(rh_status st, const char *call, uint32_t rank, uint32_t n) {
    if (st == RH_OK)
        return;
    fprintf(stderr, "worker %u, step %u: %s: %s: %s\n", rank, n, call, rh_strstatus(st),
            rh_errmsg());
    _exit(1);
}

static void work(uint32_t rank, rh_mode mode, uint32_t save_every) {
    rh_config cfg = job.cfg;
    rh_client *c = NULL;
    uint64_t ids[BATCH];
    float grads[BATCH * DIM];
    cfg.rank = rank;
    cfg.mode = mode;
    must(rh_connect(&cfg, &c), "rh_connect", rank, 0);
    rh_table *t = job_table(c, "t", ROWS, DIM);
    for (uint32_t n = 0; shared->stop_at == 0 || n < shared->stop_at; n++) {
        draw(rank, n, ids, grads);
        must(rh_push(t, ids, BATCH / 2, grads), "rh_push", rank, n);
        must(rh_push(t, ids + BATCH / 2, BATCH / 2, grads + BATCH / 2 * DIM), "rh_push", rank, n);
        must(rh_pull(t, ids, BATCH, grads), "rh_pull", rank, n);
        must(rh_tick(c), "rh_tick", rank, n);
        /* Under async one saves, and falls behind the other; who waits for it at the end marks with its
         * beats alone, one a second. */
        const bool mine = mode == RH_MODE_BSP || (rank == 0 && shared->stop_at == 0);
        if (save_every != 0 && n % save_every == save_every - 1 && mine) {
            must(rh_save(c, n / save_every % 2 == 0 ? "even" : "odd"), "rh_save", rank, n);
            shared->saved++;
        }
        shared->steps[rank] = n + 1;
    }
    must(rh_barrier(c, PATIENCE_MS), "rh_barrier", rank, shared->stop_at);
    rh_close(c);
}

static pid_t fork_worker(uint32_t rank, rh_mode mode, uint32_t save_every) {
    pid_t pid = fork();
    ck_assert_int_ge(pid, 0);
    if (pid != 0)
        return pid;
    work(rank, mode, save_every);
    _exit(0);
}

/* ---- the model ---- */

static void check(uint32_t steps) {
    float want[ROWS * DIM] = {0}, is[ROWS * DIM];
    uint64_t ids[BATCH], all[ROWS];
    float grads[BATCH * DIM];
    for (uint32_t rank = 0; rank < WORKERS; rank++)
        for (uint32_t n = 0; n < steps; n++) {
            draw(rank, n, ids, grads);
            for (int i = 0; i < BATCH; i++)
                for (int d = 0; d < DIM; d++)
                    want[ids[i] * DIM + (uint64_t)d] -= grads[i * DIM + d];
        }
    rh_config cfg = job.cfg;
    rh_client *c = NULL;
    rh_table *t = NULL;
    cfg.observer = 1;
    ck_assert_ok(rh_connect(&cfg, &c));
    ck_assert_ok(rh_table_find(c, "t", &t));
    for (uint64_t i = 0; i < ROWS; i++)
        all[i] = i;
    ck_assert_ok(rh_pull(t, all, ROWS, is));
    for (int i = 0; i < ROWS * DIM; i++)
        ck_assert_msg(want[i] == is[i], "row %d: %g, not %g, after %u steps of each (seed %llu)",
                      i / DIM, (double)is[i], (double)want[i], steps, (unsigned long long)seed);
    rh_close(c);
}

static uint32_t least_steps(void) {
    return shared->steps[0] < shared->steps[1] ? shared->steps[0] : shared->steps[1];
}

/* Both workers come so far, with none of them dead. */
static void await_steps(uint32_t steps, pid_t pids[WORKERS]) {
    int64_t until_ms = job_now_ms() + 2 * PATIENCE_MS;
    while (least_steps() < steps) {
        for (int i = 0; i < WORKERS; i++)
            ck_assert_msg(waitpid(pids[i], NULL, WNOHANG) == 0, "worker %d has ended", i);
        ck_assert_msg(job_now_ms() < until_ms, "no step in %d s", 2 * PATIENCE_MS / 1000);
        nanosleep(&(struct timespec){.tv_nsec = 1000000}, NULL);
    }
}

static void run(rh_mode mode, const char *sync, int kills, uint32_t save_every) {
    struct rng g;
    pid_t pids[WORKERS];
    seed = test_seed("journal");
    rng_init(&g, seed, 99);
    begin(sync);
    for (uint32_t rank = 0; rank < WORKERS; rank++)
        pids[rank] = fork_worker(rank, mode, save_every);
    await_steps(1, pids);
    for (int k = 0; k < kills; k++) {
        uint32_t then = least_steps();
        nanosleep(&(struct timespec){.tv_nsec = (long)rng_below(&g, 60) * 1000000}, NULL);
        kill_some(&g);
        await_steps(then + 2, pids); /* they go on, before the next */
    }
    uint32_t most = shared->steps[0] > shared->steps[1] ? shared->steps[0] : shared->steps[1];
    shared->stop_at = most + 10;
    for (int i = 0; i < WORKERS; i++) {
        int status = 0;
        ck_assert_int_eq(waitpid(pids[i], &status, 0), pids[i]);
        ck_assert_msg(WIFEXITED(status) && WEXITSTATUS(status) == 0, "worker %d: status 0x%x", i,
                      (unsigned)status);
    }
    ck_assert(save_every == 0 || shared->saved > 0);
    check(shared->stop_at);
    for (uint32_t i = 0; i < SHARDS; i++) { /* and once more, from what is written now */
        servers_signal(&job.servers, i, i == 0 ? SIGKILL : SIGTERM);
        if (i != 0)
            ck_assert_int_eq(waitpid(job.servers.pids[i], NULL, 0), job.servers.pids[i]);
        start(i, job.servers.addresses[i]);
    }
    check(shared->stop_at);
    printf("%d kills, %u steps of each worker, %u saves: exact\n", kills, shared->stop_at,
           shared->saved);
    servers_stop(&job.servers);
}

START_TEST(async_workers_notice_a_pause_and_nothing_is_lost_or_doubled) {
    run(RH_MODE_ASYNC, "never", 8, 0);
}
END_TEST

START_TEST(bsp_workers_notice_a_pause_and_nothing_is_lost_or_doubled) {
    run(RH_MODE_BSP, "100", 8, 0);
}
END_TEST

START_TEST(while_checkpoints_are_saved_too) {
    run(_i == 0 ? RH_MODE_ASYNC : RH_MODE_BSP, "always", 8, 4);
}
END_TEST

int main(void) {
    signal(SIGPIPE, SIG_IGN);
    Suite *s = suite_create("journal");
    TCase *t = tcase_create("journal");
    tcase_set_timeout(t, 600);
    tcase_add_checked_fixture(t, scratch_enter, scratch_leave);
    tcase_add_test(t, async_workers_notice_a_pause_and_nothing_is_lost_or_doubled);
    tcase_add_test(t, bsp_workers_notice_a_pause_and_nothing_is_lost_or_doubled);
    suite_add_tcase(s, t);
    t = tcase_create("saves");
    tcase_set_timeout(t, 600);
    tcase_add_checked_fixture(t, scratch_enter, scratch_leave);
    tcase_add_loop_test(t, while_checkpoints_are_saved_too, 0, 2);
    suite_add_tcase(s, t);
    return job_main(s);
}
