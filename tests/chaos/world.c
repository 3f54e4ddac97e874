/* world.c - see world.h. */
#include "tests/chaos/world.h"

#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "tests/support/job.h"

enum {
    OPS = 4,
    PER_OP = SUMS_PUSHED / OPS,
    MARGIN = 20,
    BARRIER_EVERY = 64,
    HURRY_MS = 20,
    AGAIN_MS = 500
};

/* ---- a worker ---- */

struct worker {
    const struct world *w;
    uint32_t rank;
    rh_client *c;
    rh_table *t;
    uint64_t steps;
};

static void die(const struct worker *me, const char *what, rh_status s) {
    fprintf(stderr, "worker %u, step %" PRIu64 ": %s: %s: %s\n", me->rank, me->steps, what,
            rh_strstatus(s), rh_errmsg());
    _exit(1);
}

static rh_status open_table(struct worker *me) {
    rh_table_spec spec;
    rh_table_spec_init(&spec, SUMS_ROWS, SUMS_DIM);
    spec.init = rh_zeros();
    spec.optimizer = rh_sgd(1);
    return rh_table_open(me->c, "sums", &spec, &me->t);
}

static rh_status read_cursor(struct worker *me) {
    size_t len = sizeof me->steps;
    rh_status s = rh_cursor(me->c, me->rank, &me->steps, &len);
    if (s != RH_ENOTFOUND)
        return s;
    me->steps = 0; /* there is no checkpoint to go on from */
    return RH_OK;
}

/* Goes on from where the job stands: as rowhouse.h says, until the deadline of the test. */
static void come_back(struct worker *me) {
    const int64_t until_ms = job_now_ms() + WORLD_PATIENCE_MS;
    for (;;) {
        rh_status s = read_cursor(me);
        if (s == RH_OK)
            s = open_table(me);
        if (s == RH_OK)
            break;
        if ((s != RH_EROLLBACK && s != RH_EUNREACHABLE && s != RH_ETIMEDOUT) ||
            job_now_ms() > until_ms)
            die(me, "coming back", s);
    }
    atomic_store(&me->w->told->steps[me->rank], me->steps);
}

static void enter(struct worker *me) {
    const int64_t until_ms = job_now_ms() + WORLD_PATIENCE_MS;
    rh_config cfg;
    rh_config_init(&cfg);
    cfg.servers = me->w->proxy.list;
    cfg.rank = me->rank;
    cfg.world = WORLD_WORKERS;
    cfg.succeeds = me->w->dead[me->rank];
    cfg.mode = me->w->mode;
    cfg.op_timeout_ms = cfg.connect_timeout_ms = WORLD_PATIENCE_MS;
    rh_status s;
    /* A rank is free again some time after its worker was last heard of. */
    while ((s = rh_connect(&cfg, &me->c)) != RH_OK)
        if (job_now_ms() > until_ms)
            die(me, "rh_connect", s);
        else
            usleep(100000);
    come_back(me);
}

/* Several pushes in flight, a pull, the end of the clock, and where all are in one clock a barrier. */
static rh_status make_step(struct worker *me) {
    uint64_t ids[SUMS_PUSHED];
    float grads[SUMS_PUSHED * SUMS_DIM], rows[PER_OP * SUMS_DIM];
    rh_op *ops[OPS] = {NULL};
    rh_status s = RH_OK;
    uint64_t next = me->steps + 1;
    sums_step(me->rank, next, ids, grads);
    for (int i = 0; s == RH_OK && i < OPS; i++)
        s = rh_push_begin(me->t, ids + i * PER_OP, PER_OP, grads + i * PER_OP * SUMS_DIM, &ops[i]);
    for (int i = 0; i < OPS; i++) {
        rh_status is = ops[i] == NULL ? RH_OK : rh_wait(&ops[i], -1);
        s = s == RH_OK ? is : s;
    }
    if (s == RH_OK)
        s = rh_pull(me->t, ids, PER_OP, rows);
    if (s == RH_OK)
        s = rh_set_cursor(me->c, &next, sizeof next);
    if (s == RH_OK)
        s = rh_tick(me->c);
    if (s == RH_OK && me->w->mode == RH_MODE_BSP && next % BARRIER_EVERY == 0)
        s = rh_barrier(me->c, -1);
    return s;
}

static void run_worker(const struct world *w, uint32_t rank) {
    struct worker me = {.w = w, .rank = rank};
    struct told *told = w->told;
    enter(&me);
    for (;;) {
        while (me.steps >= atomic_load(&told->stop_at))
            usleep(1000);
        rh_status s = make_step(&me);
        if (s == RH_OK) {
            atomic_store(&told->steps[rank], ++me.steps);
            atomic_fetch_add(&told->acked[rank], 1);
        } else if (s == RH_EROLLBACK) {
            atomic_fetch_add(&told->rollbacks[rank], 1);
            come_back(&me);
        } else {
            die(&me, "a step", s);
        }
    }
}

/* ---- who saves ---- */

static void rest_between_saves(const struct world *w, bool saved) {
    const uint32_t ms = saved || w->save_every_ms < AGAIN_MS ? w->save_every_ms : AGAIN_MS;
    const int64_t until_ms = job_now_ms() + ms;
    do
        usleep(HURRY_MS * 1000);
    while (job_now_ms() < until_ms && !atomic_load(&w->told->hurry));
}

/* Saves may fail: a server is dead, the disk says no, a worker stands still. The next one may not. */
static void run_saver(const struct world *w) {
    struct told *told = w->told;
    rh_client *c = NULL;
    rh_config cfg;
    rh_config_init(&cfg);
    cfg.servers = w->servers.list;
    cfg.observer = 1;
    cfg.connect_timeout_ms = cfg.op_timeout_ms = 10000;
    for (int i = 0;; i ^= 1) {
        atomic_store(&told->is_saving, true);
        rh_status s = RH_OK;
        if (atomic_load(&told->may_save)) {
            s = c == NULL ? rh_connect(&cfg, &c) : RH_OK;
            s = s == RH_OK ? rh_save(c, i == 0 ? "a" : "b") : s;
            atomic_fetch_add(s == RH_OK ? &told->saves : &told->failed_saves, 1);
        }
        atomic_store(&told->is_saving, false);
        if (s != RH_OK && c != NULL) {
            rh_close(c);
            c = NULL;
        }
        rest_between_saves(w, s == RH_OK);
    }
}

/* ---- processes ---- */

/* failpoints: of this one alone; NULL: none. */
static pid_t spawn(const struct world *w, uint32_t rank, const char *failpoints) {
    pid_t pid = fork();
    ck_assert_int_ge(pid, 0);
    if (pid > 0)
        return pid;
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    if (failpoints != NULL)
        setenv("RH_FAILPOINTS", failpoints, 1);
    if (rank < WORLD_WORKERS)
        run_worker(w, rank);
    run_saver(w);
    _exit(1);
}

static void end(pid_t *pid) {
    if (*pid == 0)
        return;
    kill(*pid, SIGKILL);
    ck_assert_int_eq(waitpid(*pid, NULL, 0), *pid);
    *pid = 0;
}

/* Of SIGKILL, and nobody here has sent it. Most places are reached in a save. */
static void await_death(const struct world *w, pid_t *pid, const char *point) {
    const int64_t until_ms = job_now_ms() + WORLD_PATIENCE_MS;
    int status = 0;
    atomic_store(&w->told->hurry, true);
    while (waitpid(*pid, &status, WNOHANG) == 0) {
        ck_assert_msg(job_now_ms() < until_ms, "%s was not reached in %d s", point,
                      WORLD_PATIENCE_MS / 1000);
        usleep(500);
    }
    ck_assert_msg(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL,
                  "who should have died at %s has ended with status 0x%x", point, (unsigned)status);
    atomic_store(&w->told->hurry, false);
    *pid = 0;
}

static void set_server_environment(const char *failpoints) {
    setenv("RH_CHECKPOINT_DIR", "ckpt", 1);
    if (failpoints != NULL)
        setenv("RH_FAILPOINTS", failpoints, 1);
}

static void clear_environment(void) {
    unsetenv("RH_FAILPOINTS");
    unsetenv("RH_CHECKPOINT_DIR");
}

void world_begin(struct world *w, rh_mode mode, uint32_t save_every_ms, const char *failpoints) {
    memset(w, 0, sizeof *w);
    w->mode = mode;
    w->save_every_ms = save_every_ms;
    w->told =
        mmap(NULL, sizeof *w->told, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    ck_assert(w->told != MAP_FAILED);
    atomic_store(&w->told->stop_at, UINT64_MAX);
    atomic_store(&w->told->may_save, true);
    set_server_environment(failpoints);
    servers_start(&w->servers, "tcp", WORLD_SHARDS);
    clear_environment();
    proxy_start(&w->proxy, w->servers.addresses, WORLD_SHARDS);
    for (uint32_t rank = 0; rank < WORLD_WORKERS; rank++)
        w->workers[rank] = spawn(w, rank, NULL);
    world_await_steps(w, 1);
    w->saver = spawn(w, WORLD_WORKERS, NULL);
    world_await_saves(w, 1);
}

void world_end(struct world *w) {
    end(&w->saver);
    for (uint32_t rank = 0; rank < WORLD_WORKERS; rank++)
        end(&w->workers[rank]);
    proxy_stop(&w->proxy);
    servers_stop(&w->servers);
    munmap(w->told, sizeof *w->told);
}

/* ---- who dies, and comes again ---- */

void world_kill_server(struct world *w, uint32_t i) {
    servers_signal(&w->servers, i, SIGKILL);
}

/* The folder was empty when the job began: its newest generation then was 0. */
bool world_restart_server(struct world *w, uint32_t i, const char *failpoints) {
    set_server_environment(failpoints);
    bool listens = servers_again(&w->servers, i, i, WORLD_SHARDS, "--rejoin=0");
    clear_environment();
    return listens;
}

void world_await_server_death(struct world *w, uint32_t i, const char *point) {
    await_death(w, &w->servers.pids[i], point);
}

void world_kill_worker(struct world *w, uint32_t rank) {
    end(&w->workers[rank]);
}

void world_await_worker_death(struct world *w, uint32_t rank, const char *point) {
    await_death(w, &w->workers[rank], point);
}

/* To whatever is the last one when it is asked. */
static rh_status restore_last(const struct world *w) {
    rh_client *c = NULL;
    rh_checkpoint_info is = {.size = sizeof is};
    rh_config cfg;
    rh_config_init(&cfg);
    cfg.servers = w->servers.list;
    cfg.observer = 1;
    rh_status s = rh_connect(&cfg, &c);
    s = s == RH_OK ? rh_last_checkpoint(c, &is) : s;
    s = s == RH_OK ? rh_restore(c, is.name) : s;
    rh_close(c);
    return s;
}

void world_kill_restorer(struct world *w, const char *failpoint) {
    pid_t pid = fork();
    ck_assert_int_ge(pid, 0);
    if (pid == 0) {
        prctl(PR_SET_PDEATHSIG, SIGKILL);
        setenv("RH_FAILPOINTS", failpoint, 1);
        while (restore_last(w) != RH_OK)
            usleep(10000);
        _exit(0);
    }
    await_death(w, &pid, failpoint);
}

void world_succeed_worker(struct world *w, uint32_t rank, const char *failpoints) {
    w->dead[rank]++;
    w->workers[rank] = spawn(w, rank, failpoints);
}

void world_kill_saver(struct world *w) {
    end(&w->saver);
    atomic_store(&w->told->is_saving, false);
}

void world_await_saver_death(struct world *w, const char *point) {
    await_death(w, &w->saver, point);
    atomic_store(&w->told->is_saving, false);
}

void world_await_save(struct world *w) {
    atomic_store(&w->told->hurry, true);
    for (int64_t until_ms = job_now_ms() + WORLD_PATIENCE_MS; !atomic_load(&w->told->is_saving);
         usleep(200))
        ck_assert_msg(job_now_ms() < until_ms, "nobody saves");
    atomic_store(&w->told->hurry, false);
}

void world_restart_saver(struct world *w, const char *failpoints) {
    w->saver = spawn(w, WORLD_WORKERS, failpoints);
}

/* ---- waiting ---- */

/* A worker ends only when a test kills it. */
static void all_are_alive(const struct world *w) {
    for (uint32_t rank = 0; rank < WORLD_WORKERS; rank++) {
        int status;
        if (w->workers[rank] != 0)
            ck_assert_msg(waitpid(w->workers[rank], &status, WNOHANG) == 0,
                          "worker %u has ended, with status 0x%x", rank, (unsigned)status);
    }
}

static void await(const struct world *w, const atomic_uint_least64_t *at, uint64_t least,
                  const char *what) {
    const int64_t until_ms = job_now_ms() + WORLD_PATIENCE_MS;
    while (atomic_load(at) < least) {
        all_are_alive(w);
        ck_assert_msg(job_now_ms() < until_ms, "no more %s in %d s: %" PRIu64 " of %" PRIu64, what,
                      WORLD_PATIENCE_MS / 1000, (uint64_t)atomic_load(at), least);
        usleep(500);
    }
}

int64_t world_await_steps(struct world *w, uint64_t more) {
    const int64_t began_ms = job_now_ms();
    uint64_t least[WORLD_WORKERS];
    for (uint32_t rank = 0; rank < WORLD_WORKERS; rank++)
        least[rank] = atomic_load(&w->told->acked[rank]) + more;
    for (uint32_t rank = 0; rank < WORLD_WORKERS; rank++)
        await(w, &w->told->acked[rank], least[rank], "steps");
    return job_now_ms() - began_ms;
}

void world_await_saves(struct world *w, uint64_t more) {
    await(w, &w->told->saves, atomic_load(&w->told->saves) + more, "saves");
}

void world_await_failed_saves(struct world *w, uint64_t all) {
    await(w, &w->told->failed_saves, all, "saves that fail");
}

uint64_t world_rollbacks(const struct world *w) {
    uint64_t n = 0;
    for (uint32_t rank = 0; rank < WORLD_WORKERS; rank++)
        n += atomic_load(&w->told->rollbacks[rank]);
    return n;
}

/* ---- the oracle ---- */

/* Who waits behind a step ends no clock, and so no save: that one goes first. */
static void stop(struct world *w) {
    struct told *told = w->told;
    const int64_t until_ms = job_now_ms() + WORLD_PATIENCE_MS;
    uint64_t furthest = 0;
    atomic_store(&told->may_save, false);
    while (atomic_load(&told->is_saving)) {
        ck_assert_int_lt(job_now_ms(), until_ms);
        usleep(1000);
    }
    for (uint32_t rank = 0; rank < WORLD_WORKERS; rank++) {
        uint64_t is = atomic_load(&told->steps[rank]);
        furthest = is > furthest ? is : furthest;
    }
    atomic_store(&told->stop_at, furthest + MARGIN);
    for (uint32_t rank = 0; rank < WORLD_WORKERS; rank++)
        await(w, &told->steps[rank], furthest + MARGIN, "steps");
}

static void read_rows(const struct world *w, float *rows) {
    static uint64_t ids[SUMS_ROWS];
    rh_client *c;
    rh_table *t;
    rh_config cfg;
    rh_config_init(&cfg);
    cfg.servers = w->servers.list;
    cfg.observer = 1;
    for (uint64_t i = 0; i < SUMS_ROWS; i++)
        ids[i] = i;
    ck_assert_ok(rh_connect(&cfg, &c));
    ck_assert_ok(rh_table_find(c, "sums", &t));
    ck_assert_ok(rh_read(t, ids, SUMS_ROWS, rows));
    rh_close(c);
}

struct sums_wrong world_check(struct world *w) {
    static float rows[SUMS_ROWS * SUMS_DIM];
    uint64_t steps[WORLD_WORKERS], least = UINT64_MAX;
    stop(w);
    for (uint32_t rank = 0; rank < WORLD_WORKERS; rank++) {
        steps[rank] = atomic_load(&w->told->steps[rank]);
        least = steps[rank] < least ? steps[rank] : least;
    }
    /* Under bsp a clock counts when all have ended it. */
    for (uint32_t rank = 0; w->mode == RH_MODE_BSP && rank < WORLD_WORKERS; rank++)
        steps[rank] = least;
    read_rows(w, rows);
    sums_go_to(&w->sums, WORLD_WORKERS, steps);
    struct sums_wrong wrong = sums_compare(&w->sums, rows);
    atomic_store(&w->told->stop_at, UINT64_MAX);
    atomic_store(&w->told->may_save, true);
    return wrong;
}
