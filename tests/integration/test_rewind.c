/*
 * test_rewind.c - a job that runs goes back to a checkpoint, and on from there: real servers, workers that
 * train all the while. Every worker has rows of its own on all shards, each of its steps takes 1 off all
 * of them, and its cursor counts the steps: so wherever the job is put, rows and cursor say the same.
 */
#include <inttypes.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "tests/support/job.h"
#include "tests/support/lossy_net.h"
#include "tests/support/scratch.h"
#include "tests/support/seed.h"
#include "worker/client.h"
#include "worker/connect.h"
#include "worker/local.h"

enum { WORKERS_MAX = 3, OWN = 64, DIM = 2, ROWS = OWN * WORKERS_MAX, REWINDS = 8 };

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

static rh_client *connect_observer(void) {
    rh_config look = job.cfg;
    rh_client *c;
    look.observer = 1;
    ck_assert_ok(rh_connect(&look, &c));
    return c;
}

/* ---- rows that say where they are ---- */

/* The ids of a rank: OWN of them, over all slots. */
static void own_ids(uint32_t rank, uint64_t ids[OWN]) {
    for (uint32_t i = 0; i < OWN; i++)
        ids[i] = (uint64_t)i * WORKERS_MAX + rank;
}

/* Takes 1 off a rank's rows, in two calls: nothing may come between them. */
static rh_status step(rh_client *c, rh_table *t, uint32_t rank, uint64_t number) {
    float ones[OWN * DIM];
    uint64_t ids[OWN];
    own_ids(rank, ids);
    for (int i = 0; i < OWN * DIM; i++)
        ones[i] = 1;
    rh_status s = rh_push(t, ids, OWN / 2, ones);
    if (s == RH_OK)
        s = rh_push(t, ids + OWN / 2, OWN / 2, ones);
    if (s == RH_OK)
        s = rh_set_cursor(c, &number, sizeof number);
    return s == RH_OK ? rh_tick(c) : s;
}

static void train(rh_client *c, rh_table *t, uint64_t from, uint64_t to) {
    for (uint64_t k = from; k <= to; k++)
        ck_assert_ok(step(c, t, 0, k));
}

/* All rows of the rank, after so many of its steps. */
static void stands_at(rh_table *t, uint32_t rank, uint64_t steps) {
    uint64_t ids[OWN];
    float rows[OWN * DIM];
    own_ids(rank, ids);
    ck_assert_ok(rh_pull(t, ids, OWN, rows));
    for (int i = 0; i < OWN * DIM; i++)
        ck_assert_msg(rows[i] == -(float)steps,
                      "row %d of worker %u is %g, but it is %" PRIu64 " steps on", i / DIM, rank,
                      (double)rows[i], steps);
}

/* How many steps the rank had made in the checkpoint that the job stands at; 0: there is none. */
static uint64_t cursor_of(rh_client *c, uint32_t rank) {
    uint64_t steps = 0;
    size_t len = sizeof steps;
    rh_status s = rh_cursor(c, rank, &steps, &len);
    ck_assert_msg(s == RH_OK || s == RH_ENOTFOUND, "%s", rh_errmsg());
    return s == RH_OK ? steps : 0;
}

/* ---- the client that restores ---- */

START_TEST(the_job_is_what_it_was_and_goes_on_to_the_same_bits) {
    enum { NUMEL = 1500 };
    begin(_i, 2, 1, RH_MODE_ASYNC);
    rh_client *c = job_connect(&job, 0);
    rh_table_spec spec;
    rh_table *t;
    rh_param *p;
    rh_param_spec shape;
    const uint64_t numel = NUMEL;
    uint64_t ids[ROWS];
    static float grads[NUMEL], then[ROWS * DIM], later[ROWS * DIM], rows[ROWS * DIM];
    static float values[NUMEL], values_then[NUMEL];
    for (uint64_t i = 0; i < ROWS; i++)
        ids[i] = i;
    for (int i = 0; i < NUMEL; i++)
        grads[i] = (float)(i % 17) - 8;
    rh_table_spec_init(&spec, ROWS, DIM);
    spec.optimizer = rh_sparse_adam(0.1);
    ck_assert_ok(rh_table_open(c, "t", &spec, &t));
    rh_param_spec_init(&shape, &numel, 1);
    shape.optimizer = rh_adam(0.1);
    ck_assert_ok(rh_param_open(c, "p", &shape, &p));
    for (int k = 0; k < 5; k++) {
        ck_assert_ok(rh_push(t, ids, ROWS, grads));
        ck_assert_ok(rh_param_push(p, grads));
        ck_assert_ok(rh_tick(c));
    }
    ck_assert_ok(rh_freeze(t, 0, 10, 7));
    ck_assert_ok(rh_set_cursor(c, "five", 4));
    ck_assert_ok(rh_save(c, "a"));
    ck_assert_ok(rh_read(t, ids, ROWS, then));
    ck_assert_ok(rh_param_pull(p, values_then));
    for (int life = 0; life < 3; life++) {
        struct rh_table_info info;
        char cursor[8];
        size_t len = sizeof cursor;
        ck_assert_uint_eq(rh_clock(c), 5);
        ck_assert_ok(rh_table_info(t, &info));
        ck_assert_uint_eq(info.steps, 5);
        ck_assert_uint_eq(info.frozen, 10);
        ck_assert_ok(rh_cursor(c, 0, cursor, &len));
        ck_assert(len == 4 && memcmp(cursor, "five", 4) == 0);
        ck_assert_ok(rh_read(t, ids, ROWS, rows));
        ck_assert_mem_eq(rows, then, sizeof rows);
        ck_assert_ok(rh_param_pull(p, values));
        ck_assert_mem_eq(values, values_then, sizeof values);
        for (int k = 0; k < 4; k++) {
            ck_assert_ok(rh_push(t, ids, ROWS, grads));
            ck_assert_ok(rh_tick(c));
        }
        ck_assert_ok(rh_read(t, ids, ROWS, life == 0 ? later : rows));
        if (life > 0)
            ck_assert_mem_eq(rows, later, sizeof rows);
        ck_assert_ok(rh_set_cursor(c, "nine", 4));
        ck_assert_ok(rh_restore(c, "a"));
    }
    rh_checkpoint_info info = {.size = sizeof info};
    ck_assert_ok(rh_last_checkpoint(c, &info));
    ck_assert_str_eq(info.name, "a");
    ck_assert_ok(rh_save(c, "b"));
    ck_assert_ok(rh_last_checkpoint(c, &info));
    ck_assert_uint_eq(info.generation, 2);
    rh_close(c);
}
END_TEST

START_TEST(tables_that_the_checkpoint_lacks_or_has_otherwise_are_not_found) {
    begin(_i, 2, 1, RH_MODE_ASYNC);
    rh_client *c = job_connect(&job, 0);
    rh_table *t = job_table(c, "t", ROWS, DIM), *gone = job_table(c, "gone", ROWS, DIM);
    rh_table *other = job_table(c, "other", 10, 1), *again = NULL, *dead = gone;
    const uint64_t one = 1;
    struct rh_table_info info;
    float row[DIM] = {0};
    ck_assert_ok(rh_save(c, "a"));
    ck_assert_ok(rh_table_drop(&gone));
    ck_assert_ok(rh_table_drop(&other));
    other = job_table(c, "other", 20, 1);
    rh_table *fresh = job_table(c, "fresh", 10, 1);
    ck_assert_ok(rh_table_init(t, rh_constant(3), 5, 0));
    ck_assert_ok(rh_restore(c, "a"));

    stands_at(t, 0, 0); /* its initializer is what it was */
    ck_assert_refused(rh_pull(dead, &one, 1, row), RH_ENOTFOUND, "rh_pull: table gone");
    ck_assert_refused(rh_push(other, &one, 1, row), RH_ENOTFOUND, "open it again");
    ck_assert_refused(rh_pull(fresh, &one, 1, row), RH_ENOTFOUND, "");
    ck_assert_refused(rh_freeze(fresh, 0, 1, 0), RH_ENOTFOUND, "rh_freeze");
    ck_assert_refused(rh_table_reset(fresh), RH_ENOTFOUND, "rh_table_reset");
    ck_assert_refused(rh_table_info(fresh, &info), RH_ENOTFOUND, "rh_table_info");
    scratch_text("v.txt", "0 0\n");
    rh_load_options o = {.size = sizeof o, .source = RH_SOURCE_SHARD};
    ck_assert_refused(rh_load(fresh, "v.txt", &o, NULL), RH_ENOTFOUND, "rh_load");
    ck_assert_refused(rh_table_drop(&fresh), RH_ENOTFOUND, "");
    ck_assert_ptr_null(fresh);
    ck_assert_ok(rh_tick(c));

    ck_assert_ok(rh_table_find(c, "gone", &again));
    ck_assert_ptr_ne(again, dead);
    ck_assert_ok(rh_push(again, &one, 1, row));
    ck_assert_ok(rh_table_find(c, "other", &again));
    ck_assert_uint_eq(rh_table_num_embeddings(again), 10);
    ck_assert_refused(rh_table_find(c, "fresh", &again), RH_ENOTFOUND, "fresh");
    rh_close(c);
}
END_TEST

static void *wait_at_barrier(void *c) {
    ck_assert_ok(rh_barrier(c, -1));
    return NULL;
}

START_TEST(operations_in_flight_are_over_and_the_next_ones_work) {
    begin(JOB_TCP, 2, 2, RH_MODE_BSP);
    rh_client *c = job_connect(&job, 0), *other = job_connect(&job, 1);
    rh_table *t = job_table(c, "t", ROWS, DIM);
    uint64_t ids[OWN];
    float rows[OWN * DIM] = {0};
    rh_op *pull, *push;
    own_ids(0, ids);
    rh_close(other);
    rh_close(c); /* nobody is there: nobody is waited for */
    rh_client *o = connect_observer();
    ck_assert_ok(rh_save(o, "a"));
    rh_close(o);

    other = job_connect(&job, 1);
    c = job_connect(&job, 0);
    t = job_table(c, "t", ROWS, DIM);
    train(c, t, 1, 1);
    ck_assert_ok(rh_pull_begin(t, ids, OWN, rows, &pull)); /* waits for the other's tick */
    ck_assert_ok(rh_push_begin(t, ids, OWN, rows, &push));
    ck_assert_refused(rh_barrier(c, 50), RH_ETIMEDOUT, "");
    ck_assert_int_eq(rh_op_done(pull), 0);
    ck_assert_ok(rh_restore(c, "a"));
    ck_assert_refused(rh_wait(&pull, -1), RH_EROLLBACK, "restored from checkpoint \"a\"");
    rh_status s = rh_wait(&push, -1); /* it may have been acked before */
    ck_assert(s == RH_OK || s == RH_EROLLBACK);
    rh_close(other);

    other = job_connect(&job, 1);
    uint64_t first = rh_clock(c);
    train(c, t, 1, 1);
    ck_assert_ok(rh_tick(other));
    stands_at(t, 0, 1); /* what was pushed before is gone, and nothing waits for it */
    pthread_t waiting;
    ck_assert_int_eq(pthread_create(&waiting, NULL, wait_at_barrier, other), 0);
    ck_assert_ok(rh_barrier(c, -1));
    ck_assert_int_eq(pthread_join(waiting, NULL), 0);
    ck_assert_uint_eq(rh_clock(c), first + 1);
    rh_close(other);
    rh_close(c);
}
END_TEST

/* ---- the others ---- */

struct worker {
    uint32_t rank;
    uint32_t sent_back; /* how often */
    uint64_t steps;     /* where it stands at the end */
    atomic_bool *stop;  /* between two steps */
    atomic_uint *here;  /* workers that train */
    pthread_t thread;
};

/* Its rank may count as taken for a while, if it was fenced in the midst of coming back. */
static rh_client *come(uint32_t rank) {
    rh_config cfg = job.cfg;
    rh_client *c = NULL;
    rh_status s = RH_EROLLBACK;
    cfg.rank = rank;
    for (int i = 0; i < 200 && (s == RH_EROLLBACK || s == RH_EMISMATCH); i++) {
        s = rh_connect(&cfg, &c);
        if (s != RH_OK)
            usleep(100000);
    }
    ck_assert_ok(s);
    return c;
}

static rh_status find(rh_client *c, rh_table **t) {
    rh_table_spec spec;
    rh_table_spec_init(&spec, ROWS, DIM);
    spec.init = rh_zeros();
    spec.optimizer = rh_sgd(1);
    return rh_table_open(c, "t", &spec, t);
}

static rh_status go_on(struct worker *w, rh_client *c) {
    rh_table *t;
    rh_status s = find(c, &t);
    size_t len = sizeof w->steps;
    w->steps = 0;
    if (s == RH_OK)
        s = rh_cursor(c, w->rank, &w->steps, &len);
    if (s == RH_ENOTFOUND)
        s = RH_OK;
    for (bool first = true; s == RH_OK && !atomic_load(w->stop); first = false) {
        float rows[OWN * DIM];
        uint64_t ids[OWN];
        own_ids(w->rank, ids);
        s = rh_pull(t, ids, OWN, rows);
        for (int i = 0; s == RH_OK && i < OWN * DIM; i++)
            ck_assert_msg(rows[i] == -(float)w->steps, "worker %u: row %d is %g after %" PRIu64,
                          w->rank, i / DIM, (double)rows[i], w->steps);
        if (s == RH_OK)
            s = step(c, t, w->rank, w->steps + 1);
        w->steps += s == RH_OK;
        if (first && s == RH_OK)
            atomic_fetch_add(w->here, 1);
    }
    return s;
}

/* Trains until it is told to stop; whenever it is fenced it comes back, and goes on from its cursor. */
static void *train_on(void *arg) {
    struct worker *w = arg;
    rh_status s;
    do {
        rh_client *c = come(w->rank);
        s = go_on(w, c);
        if (s == RH_EROLLBACK)
            w->sent_back++;
        else
            ck_assert_ok(s);
        rh_close(c);
    } while (s != RH_OK);
    return NULL;
}

static atomic_bool stop;
static atomic_uint here;

static void start(struct worker *w, uint32_t n) {
    atomic_store(&stop, false);
    atomic_store(&here, 0);
    for (uint32_t i = 0; i < n; i++) {
        w[i] = (struct worker){.rank = i, .stop = &stop, .here = &here};
        ck_assert_int_eq(pthread_create(&w[i].thread, NULL, train_on, &w[i]), 0);
    }
}

static void wait_here(uint32_t n) {
    int64_t until_ms = job_now_ms() + 60000;
    while (atomic_load(&here) < n && job_now_ms() < until_ms)
        usleep(1000);
    ck_assert_uint_ge(atomic_load(&here), n);
}

static void end(struct worker *w, uint32_t n) {
    atomic_store(&stop, true);
    for (uint32_t i = 0; i < n; i++)
        ck_assert_int_eq(pthread_join(w[i].thread, NULL), 0);
}

/* A checkpoint of workers that were all some steps on, written by so many shards. */
static void make_checkpoint(uint32_t shards, uint32_t world, rh_mode mode, const char *name) {
    struct worker w[WORKERS_MAX];
    begin(JOB_TCP, shards, world, mode);
    rh_client *o = connect_observer();
    start(w, world);
    wait_here(world);
    ck_assert_ok(rh_save(o, name));
    for (uint32_t i = 0; i < world; i++)
        ck_assert_uint_gt(cursor_of(o, i), 0);
    end(w, world);
    rh_close(o);
    job_stop(&job);
}

static void rewinds_under(rh_mode mode, uint32_t world) {
    struct worker w[WORKERS_MAX];
    make_checkpoint(3, world, mode, "a");
    begin(JOB_TCP, 2, world, mode);
    rh_client *o = connect_observer();
    start(w, world);
    for (uint32_t i = 1; i <= REWINDS; i++) {
        wait_here(i * world); /* all of them have made steps since the last time */
        ck_assert_ok(rh_restore(o, "a"));
    }
    wait_here((REWINDS + 1) * world);
    end(w, world);
    rh_table *t;
    ck_assert_ok(rh_table_find(o, "t", &t));
    for (uint32_t i = 0; i < world; i++) {
        ck_assert_uint_ge(w[i].sent_back, REWINDS);
        ck_assert_uint_gt(w[i].steps, cursor_of(o, i));
        stands_at(t, i, w[i].steps);
    }
    rh_close(o);
}

START_TEST(files_of_three_shards_go_into_a_job_of_two_that_trains) {
    rewinds_under(RH_MODE_ASYNC, WORKERS_MAX);
}
END_TEST

START_TEST(under_bsp_the_workers_come_back_at_one_clock) {
    rewinds_under(RH_MODE_BSP, 2);
}
END_TEST

static atomic_bool saved;

static void *save_a(void *c) {
    ck_assert_ok(rh_save(c, "a"));
    atomic_store(&saved, true);
    return NULL;
}

START_TEST(other_workers_are_told_and_come_back_to_one_that_restores) {
    begin(JOB_TCP, 2, 2, RH_MODE_ASYNC);
    rh_client *c = job_connect(&job, 0), *other = job_connect(&job, 1);
    rh_table *t = job_table(c, "t", ROWS, DIM), *theirs = job_table(other, "t", ROWS, DIM);
    train(c, t, 1, 3);
    ck_assert_ok(step(other, theirs, 1, 1));
    rh_client *o = connect_observer();
    pthread_t saving;
    atomic_store(&saved, false);
    ck_assert_int_eq(pthread_create(&saving, NULL, save_a, c), 0);
    while (!atomic_load(&saved))
        ck_assert_ok(rh_tick(other)); /* it is taken at the end of a clock */
    ck_assert_int_eq(pthread_join(saving, NULL), 0);
    train(c, t, 4, 6);
    ck_assert_ok(step(other, theirs, 1, 2));
    ck_assert_ok(rh_restore(c, "a"));
    stands_at(t, 0, 3);
    stands_at(t, 1, 1);
    ck_assert_refused(step(other, theirs, 1, 3), RH_EROLLBACK,
                      "was restored from checkpoint \"a\": call rh_cursor, then open");
    ck_assert_uint_eq(cursor_of(other, 1), 1);
    ck_assert_ptr_eq(job_table(other, "t", ROWS, DIM), theirs);
    ck_assert_ok(step(other, theirs, 1, 2));
    stands_at(t, 1, 2);
    rh_table *seen;
    ck_assert_refused(rh_table_find(o, "t", &seen), RH_EROLLBACK, "rh_cursor"); /* observers too */
    ck_assert_uint_eq(cursor_of(o, 1), 1);
    ck_assert_ok(rh_table_find(o, "t", &seen));
    stands_at(seen, 1, 2);
    rh_close(o);
    rh_close(other);
    rh_close(c);
}
END_TEST

/* ---- threads of one client ---- */

struct thread {
    rh_client *c;
    rh_table *t;
    atomic_uint sent_back, fine;
    pthread_t id;
};

/* Finds its table, pulls, and pushes nothing but zeros. */
static void *use(void *arg) {
    struct thread *u = arg;
    uint64_t ids[OWN];
    float rows[OWN * DIM];
    own_ids(2, ids);
    while (!atomic_load(&stop)) {
        rh_table *t = u->t;
        rh_status s = atomic_load(&u->fine) % 5 == 0 ? rh_table_find(u->c, "t", &t) : RH_OK;
        ck_assert_ptr_eq(t, u->t);
        if (s == RH_OK)
            s = rh_pull(t, ids, OWN, rows);
        memset(rows, 0, sizeof rows);
        if (s == RH_OK)
            s = rh_push(u->t, ids, OWN, rows);
        if (s == RH_OK && atomic_load(&u->fine) % 7 == 0)
            s = rh_tick(u->c);
        if (s == RH_EROLLBACK)
            atomic_fetch_add(&u->sent_back, 1);
        else
            ck_assert_ok(s);
        atomic_fetch_add(&u->fine, s == RH_OK);
    }
    return NULL;
}

START_TEST(threads_of_the_client_are_told_and_go_on) {
    enum { THREADS = 3 };
    struct thread u[THREADS];
    begin(_i, 2, 1, RH_MODE_ASYNC);
    rh_client *c = job_connect(&job, 0);
    rh_table *t = job_table(c, "t", ROWS, DIM);
    train(c, t, 1, 3);
    ck_assert_ok(rh_save(c, "a"));
    train(c, t, 4, 5);
    atomic_store(&stop, false);
    for (int i = 0; i < THREADS; i++) {
        u[i] = (struct thread){.c = c, .t = t};
        ck_assert_int_eq(pthread_create(&u[i].id, NULL, use, &u[i]), 0);
    }
    for (int k = 0; k < REWINDS; k++) {
        uint32_t before = atomic_load(&u[0].fine);
        while (atomic_load(&u[0].fine) < before + 3)
            usleep(500);
        ck_assert_ok(rh_restore(c, "a"));
    }
    stands_at(t, 0, 3);
    struct rh_table_info info;
    uint32_t before = atomic_load(&u[THREADS - 1].fine);
    while (atomic_load(&u[THREADS - 1].fine) < before + 3)
        usleep(500);
    atomic_store(&stop, true);
    for (int i = 0; i < THREADS; i++)
        ck_assert_int_eq(pthread_join(u[i].id, NULL), 0);
    /* T is what was counted: 6 pushes until the checkpoint, and none lost or doubled since. */
    ck_assert_ok(rh_table_info(t, &info));
    uint64_t steps = info.steps;
    train(c, t, 4, 4);
    ck_assert_ok(rh_table_info(t, &info));
    ck_assert_uint_eq(info.steps, steps + 2);
    ck_assert_ok(rh_restore(c, "a"));
    ck_assert_ok(rh_table_info(t, &info));
    ck_assert_uint_eq(info.steps, 6);
    rh_close(c);
}
END_TEST

/* ---- nothing changes ---- */

static void damage(const char *path, size_t at) {
    size_t len;
    char *bytes = scratch_read(path, &len);
    ck_assert_uint_gt(len, at);
    bytes[at] ^= 1;
    scratch_file(path, bytes, len);
    free(bytes);
}

START_TEST(what_is_damaged_missing_or_misnamed_changes_nothing) {
    begin(_i, 2, 1, RH_MODE_ASYNC);
    rh_client *c = job_connect(&job, 0);
    rh_table *t = job_table(c, "t", ROWS, DIM);
    train(c, t, 1, 2);
    ck_assert_ok(rh_save(c, "a"));
    ck_assert_ok(rh_save(c, "b"));
    train(c, t, 3, 5);
    damage("a/shard-00001-of-00002.rhs", 100);
    ck_assert_refused(rh_restore(c, "a"), RH_ECORRUPT, "shard-00001-of-00002.rhs is damaged");
    ck_assert_refused(rh_restore(c, "a"), RH_ECORRUPT, "shard 1 at ");
    ck_assert_int_eq(unlink("b/shard-00000-of-00002.rhs"), 0);
    ck_assert_refused(rh_restore(c, "b"), RH_ENOTFOUND, "shard-00000-of-00002.rhs");
    ck_assert_refused(rh_restore(c, "c"), RH_ENOTFOUND, "there is no checkpoint \"c\"");
    ck_assert_refused(rh_restore(c, "../a"), RH_EINVAL, "rh_restore");
    train(c, t, 6, 6);
    stands_at(t, 0, 6);
    ck_assert_uint_eq(rh_clock(c), 6);
    ck_assert_ok(rh_save(c, "a"));
    train(c, t, 7, 7);
    ck_assert_ok(rh_restore(c, "a"));
    stands_at(t, 0, 6);
    rh_close(c);
}
END_TEST

START_TEST(servers_without_a_folder_refuse) {
    unsetenv("RH_CHECKPOINT_DIR");
    begin(_i, 2, 1, RH_MODE_ASYNC);
    rh_client *c = job_connect(&job, 0);
    ck_assert_refused(rh_restore(c, "a"), RH_EINVAL, "--checkpoint-dir");
    ck_assert_ok(rh_tick(c));
    rh_close(c);
}
END_TEST

START_TEST(a_server_that_is_dead_before_all_have_read_changes_nothing_on_the_others) {
    begin(JOB_TCP, 2, 1, RH_MODE_ASYNC);
    job.cfg.op_timeout_ms = 6000;
    rh_client *c = job_connect(&job, 0);
    rh_table *t = job_table(c, "t", ROWS, DIM);
    const uint64_t of_shard_0 = 0;
    float row[DIM];
    train(c, t, 1, 2);
    ck_assert_ok(rh_save(c, "a"));
    train(c, t, 3, 3);
    servers_signal(&job.servers, 1, SIGKILL);
    ck_assert_refused(rh_restore(c, "a"), RH_EUNREACHABLE, "shard 1");
    ck_assert_ok(rh_pull(t, &of_shard_0, 1, row));
    ck_assert(row[0] == -3);
    rh_close(c);
}
END_TEST

/* ---- half of it ---- */

/* A net that loses, of what is sent, every RESTORE step 1 to one shard; or else that shard is killed. */
struct holed_net {
    struct net net; /* first */
    struct net *inner;
    uint32_t shard, dialled, peer; /* shards are dialled in order: this one is that peer */
    bool kills;
};

static struct net *inner_of(struct net *n) {
    return ((struct holed_net *)n)->inner;
}

static rh_status holed_dial(struct net *n, const char *address, uint32_t *peer) {
    struct holed_net *l = (struct holed_net *)n;
    rh_status s = l->inner->ops->dial(l->inner, address, peer);
    if (l->dialled++ == l->shard)
        l->peer = *peer;
    return s;
}

static void holed_hangup(struct net *n, uint32_t peer) {
    inner_of(n)->ops->hangup(inner_of(n), peer);
}

static rh_status holed_send(struct net *n, uint32_t peer, struct frame *f) {
    const struct holed_net *l = (struct holed_net *)n;
    bool lost = peer == l->peer && f->data[5] == WIRE_RESTORE && f->data[WIRE_HEAD] == 1;
    if (lost && l->kills && job.servers.pids[l->shard] != 0)
        servers_signal(&job.servers, l->shard, SIGKILL);
    if (lost) {
        frame_unref(f);
        return RH_OK;
    }
    return l->inner->ops->send(l->inner, peer, f);
}

static struct frame *holed_recv(struct net *n, uint32_t *peer) {
    return inner_of(n)->ops->recv(inner_of(n), peer);
}

static int holed_fd(struct net *n) {
    return inner_of(n)->ops->fd(inner_of(n));
}

static void holed_wake(struct net *n) {
    inner_of(n)->ops->wake(inner_of(n));
}

static void holed_close(struct net *n, int linger_ms) {
    inner_of(n)->ops->close(inner_of(n), linger_ms);
}

static const struct net_ops net_holed = {
    .scheme = "holed",
    .dial = holed_dial,
    .hangup = holed_hangup,
    .send = holed_send,
    .recv = holed_recv,
    .fd = holed_fd,
    .wake = holed_wake,
    .close = holed_close,
};

/* An observer over such a net. */
static rh_client *connect_holed(struct holed_net *holed, int timeout_ms) {
    const struct net_ops *ops;
    struct roster r;
    rh_config look = job.cfg;
    rh_client *c;
    look.observer = 1;
    look.op_timeout_ms = timeout_ms;
    holed->net.ops = &net_holed;
    ck_assert_int_eq(roster_parse(job.cfg.servers, &r), RH_OK);
    ck_assert_int_eq(net_find(r.servers[0], &ops), RH_OK);
    ck_assert_int_eq(ops->open(ops, &holed->inner), RH_OK);
    holed->net.pool = holed->inner->pool;
    ck_assert_ok(connect_over(&look, &holed->net, &r, &client_real_time, &c));
    return c;
}

START_TEST(half_of_it_is_told_and_put_right_by_the_next) {
    uint32_t lost = (uint32_t)_i; /* the shard that never hears of step 1 */
    struct holed_net holed = {.shard = lost};
    begin(JOB_TCP, 3, 1, RH_MODE_ASYNC);
    rh_client *c = job_connect(&job, 0), *half;
    rh_table *seen;
    rh_table *t = job_table(c, "t", ROWS, DIM);
    train(c, t, 1, 2);
    ck_assert_ok(rh_save(c, "a"));
    train(c, t, 3, 4);
    half = connect_holed(&holed, 2000);
    char word[128];
    snprintf(word, sizeof word, "is in place on %s, and is not, as far as is known, on shard %s:",
             lost == 0   ? "no shard"
             : lost == 1 ? "shard 0, 2"
                         : "shard 0, 1",
             lost == 0   ? "0, 1, 2"
             : lost == 1 ? "1"
                         : "2");
    ck_assert_refused(rh_restore(half, "a"), RH_ETIMEDOUT, word);
    ck_assert_refused(rh_restore(half, "a"), RH_EROLLBACK, "call rh_cursor");
    rh_close(half);
    if (lost == 0) {
        train(c, t, 5, 5);
        stands_at(t, 0, 5);
    } else {
        rh_client *o = connect_observer(); /* it may look at that, and changes nothing */
        ck_assert_refused(rh_table_find(o, "t", &seen), RH_EROLLBACK,
                          "goes back to checkpoint \"a\"");
        rh_close(o);
        ck_assert_refused(rh_tick(c), RH_EROLLBACK, "restored from checkpoint \"a\"");
        ck_assert_uint_eq(cursor_of(c, 0), 2);
        stands_at(t, 0, 2);
        train(c, t, 3, 3);
    }
    rh_close(c);
    c = job_connect(&job, 0);
    t = job_table(c, "t", ROWS, DIM);
    stands_at(t, 0, lost == 0 ? 5 : 3);
    rh_close(c);
}
END_TEST

START_TEST(a_server_that_dies_in_the_midst_is_named_and_its_next_life_is_put_right) {
    struct holed_net holed = {.shard = 1, .kills = true};
    char list[sizeof job.servers.list];
    begin(JOB_TCP, 2, 1, RH_MODE_ASYNC);
    snprintf(list, sizeof list, "%s", job.cfg.servers);
    rh_client *c = job_connect(&job, 0);
    rh_table *t = job_table(c, "t", ROWS, DIM);
    train(c, t, 1, 2);
    ck_assert_ok(rh_save(c, "a"));
    train(c, t, 3, 4);
    rh_client *half = connect_holed(&holed, 6000);
    ck_assert_refused(rh_restore(half, "a"), RH_EUNREACHABLE,
                      "is in place on shard 0, and is not, as far as is known, on shard 1:");
    rh_close(half);
    rh_close(c);
    servers_add(&job.servers, "tcp", job.servers.addresses[1], 1, 2, NULL);
    job.cfg.servers = list;
    c = job_connect(&job, 0); /* it carries the restore on */
    t = job_table(c, "t", ROWS, DIM);
    stands_at(t, 0, 2);
    rh_close(c);
}
END_TEST

/* ---- two at once ---- */

struct rival {
    const char *name;
    rh_status status;
    pthread_barrier_t *ready;
    pthread_t thread;
};

static void *restore_now(void *arg) {
    struct rival *r = arg;
    rh_client *c = connect_observer();
    pthread_barrier_wait(r->ready);
    r->status = rh_restore(c, r->name);
    ck_assert_msg(r->status == RH_OK || r->status == RH_EROLLBACK, "%s", rh_errmsg());
    rh_close(c);
    return NULL;
}

START_TEST(of_two_that_restore_at_once_one_wins_and_neither_leaves_half) {
    enum { ROUNDS = 15, RIVALS = 3 };
    static const char *const names[RIVALS] = {"a", "b", "a"};
    uint32_t won = 0;
    begin(JOB_TCP, 3, 1, RH_MODE_ASYNC);
    rh_client *c = job_connect(&job, 0);
    rh_table *t = job_table(c, "t", ROWS, DIM);
    train(c, t, 1, 2);
    ck_assert_ok(rh_save(c, "a"));
    train(c, t, 3, 5);
    ck_assert_ok(rh_save(c, "b"));
    rh_close(c);
    for (int round = 0; round < ROUNDS; round++) {
        pthread_barrier_t ready;
        struct rival r[RIVALS];
        ck_assert_int_eq(pthread_barrier_init(&ready, NULL, RIVALS), 0);
        for (int i = 0; i < RIVALS; i++) {
            r[i] = (struct rival){.name = names[i], .ready = &ready};
            ck_assert_int_eq(pthread_create(&r[i].thread, NULL, restore_now, &r[i]), 0);
        }
        for (int i = 0; i < RIVALS; i++) {
            ck_assert_int_eq(pthread_join(r[i].thread, NULL), 0);
            won += r[i].status == RH_OK;
        }
        pthread_barrier_destroy(&ready);
        rh_client *o = connect_observer();
        rh_checkpoint_info is = {.size = sizeof is};
        ck_assert_ok(rh_last_checkpoint(o, &is));
        ck_assert_ok(rh_table_find(o, "t", &t));
        ck_assert_uint_eq(cursor_of(o, 0), strcmp(is.name, "a") == 0 ? 2 : 5);
        stands_at(t, 0, cursor_of(o, 0));
        rh_close(o);
    }
    ck_assert_uint_ge(won, ROUNDS);
}
END_TEST

/* ---- a net that loses frames ---- */

static int64_t time_now(void *arg) {
    return *(int64_t *)arg;
}

static void time_pause(void *arg, int64_t until_ms) {
    int64_t *now_ms = arg;
    if (until_ms > *now_ms)
        *now_ms = until_ms;
}

START_TEST(frames_that_are_lost_doubled_and_late_do_no_harm) {
    enum { ROUNDS = 10 };
    const struct lossy_config loss = {
        .seed = test_seed("rewind") + (uint64_t)_i, .lost = 20, .doubled = 20, .late = 20};
    int64_t now_ms = 1000;
    const struct client_time time = {time_now, time_pause, &now_ms};
    struct roster r;
    struct net *local;
    rh_client *c;
    memset(&job, 0, sizeof job);
    rh_config_init(&job.cfg);
    job.cfg.servers = "local:2";
    ck_assert_ok(rh_connect(&job.cfg, &c));
    rh_table *t = job_table(c, "t", ROWS, DIM);
    train(c, t, 1, 2);
    ck_assert_ok(rh_save(c, "a"));
    rh_close(c);
    job.cfg.servers = "local:3";
    job.cfg.op_timeout_ms = job.cfg.connect_timeout_ms = 600000;
    ck_assert_ok(local_open(&job.cfg, &r, &local));
    ck_assert_ok(connect_over(&job.cfg, lossy_net_new(local, &loss), &r, &time, &c));
    t = job_table(c, "t", ROWS, DIM);
    train(c, t, 1, 2);
    for (uint64_t round = 1; round <= ROUNDS; round++) {
        rh_op *late;
        uint64_t ids[OWN];
        float zeros[OWN * DIM] = {0};
        own_ids(0, ids);
        train(c, t, 3, 3 + round);
        stands_at(t, 0, 3 + round);
        ck_assert_ok(rh_push_begin(t, ids, OWN, zeros, &late));
        ck_assert_ok(rh_restore(c, "a"));
        rh_status s = rh_wait(&late, -1);
        ck_assert_msg(s == RH_OK || s == RH_EROLLBACK, "%s", rh_errmsg());
        stands_at(t, 0, 2);
        ck_assert_uint_eq(rh_clock(c), 2);
    }
    rh_close(c);
}
END_TEST

/* ---- memory ---- */

static long resident_kib(pid_t pid) {
    char path[64], line[128];
    long kib = -1;
    snprintf(path, sizeof path, "/proc/%ld/status", (long)pid);
    FILE *f = fopen(path, "r");
    ck_assert_ptr_nonnull(f);
    while (kib < 0 && fgets(line, sizeof line, f) != NULL)
        if (sscanf(line, "VmRSS: %ld kB", &kib) != 1)
            kib = -1;
    fclose(f);
    return kib;
}

START_TEST(memory_does_not_grow_from_one_restore_to_the_next) {
    enum { WIDE = 64, MANY = 20000, WARM = 4, RESTORES = 20 };
    const char *san = getenv("RH_SAN");
    static float rows[MANY * WIDE];
    static uint64_t ids[MANY];
    begin(JOB_TCP, 1, 1, RH_MODE_ASYNC);
    rh_client *c = job_connect(&job, 0);
    rh_table *t = job_table(c, "wide", MANY, WIDE);
    for (uint64_t i = 0; i < MANY; i++)
        ids[i] = i;
    for (int i = 0; i < MANY * WIDE; i++)
        rows[i] = (float)i;
    ck_assert_ok(rh_write(t, ids, MANY, rows));
    ck_assert_ok(rh_save(c, "a"));
    long before = 0;
    for (int i = 0; i < WARM + RESTORES; i++) {
        if (i == WARM)
            before = resident_kib(job.servers.pids[0]);
        ck_assert_ok(rh_restore(c, "a"));
        ck_assert_ok(rh_pull(t, ids, MANY, rows));
    }
    long after = resident_kib(job.servers.pids[0]);
    ck_assert_int_gt(before, 0);
    /* Once the table, of 20: pools and arenas fill. Sanitizers keep what is freed for a while. */
    if (san == NULL || *san == '\0')
        ck_assert_msg(after - before < MANY * WIDE * 4 / 1024, "%ld KiB, then %ld", before, after);
    rh_close(c);
}
END_TEST

int main(void) {
    TCase *tc = tcase_create("rewind");
    tcase_add_checked_fixture(tc, setup, teardown);
    tcase_set_timeout(tc, 120);
    tcase_add_loop_test(tc, the_job_is_what_it_was_and_goes_on_to_the_same_bits, JOB_LOCAL,
                        JOB_TRANSPORTS);
    tcase_add_loop_test(tc, tables_that_the_checkpoint_lacks_or_has_otherwise_are_not_found,
                        JOB_LOCAL, JOB_TRANSPORTS);
    tcase_add_test(tc, operations_in_flight_are_over_and_the_next_ones_work);
    tcase_add_test(tc, files_of_three_shards_go_into_a_job_of_two_that_trains);
    tcase_add_test(tc, under_bsp_the_workers_come_back_at_one_clock);
    tcase_add_test(tc, other_workers_are_told_and_come_back_to_one_that_restores);
    tcase_add_loop_test(tc, threads_of_the_client_are_told_and_go_on, JOB_LOCAL, JOB_TRANSPORTS);
    tcase_add_loop_test(tc, what_is_damaged_missing_or_misnamed_changes_nothing, JOB_LOCAL,
                        JOB_TRANSPORTS);
    tcase_add_loop_test(tc, servers_without_a_folder_refuse, JOB_LOCAL, JOB_TRANSPORTS);
    tcase_add_test(tc, a_server_that_is_dead_before_all_have_read_changes_nothing_on_the_others);
    tcase_add_loop_test(tc, half_of_it_is_told_and_put_right_by_the_next, 0, 3);
    tcase_add_test(tc, a_server_that_dies_in_the_midst_is_named_and_its_next_life_is_put_right);
    tcase_add_test(tc, of_two_that_restore_at_once_one_wins_and_neither_leaves_half);
    tcase_add_loop_test(tc, frames_that_are_lost_doubled_and_late_do_no_harm, 0, 6);
    tcase_add_test(tc, memory_does_not_grow_from_one_restore_to_the_next);
    Suite *s = suite_create("rewind");
    suite_add_tcase(s, tc);
    return job_main(s);
}
