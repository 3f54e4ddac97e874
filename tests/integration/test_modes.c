/*
 * test_modes.c - async, ssp and bsp with uneven workers against real servers: clocks without a push or
 * a pull, several pushes in one, workers that finish early. Each worker pushes to rows of its own whole
 * numbers that follow from the seed, so every row that is pulled tells which pushes it has seen; and a
 * model says which it must have, and which it may.
 */
#include <inttypes.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

#include "common/rng.h"
#include "tests/support/job.h"
#include "tests/support/seed.h"

enum { WORKERS = 4, OWN = 8, CLOCKS = 40, PUSHES_MAX = 3 };

static struct job job;
static uint64_t seed;

/* ---- the plan ---- */

struct step {
    uint32_t pushes;
    uint32_t id[PUSHES_MAX]; /* of the worker's rows */
    float grad[PUSHES_MAX];
    bool pulls;
};

struct plan {
    uint32_t clocks; /* then it says goodbye */
    struct step steps[CLOCKS];
};

static struct plan plans[WORKERS];

static void make_plans(uint32_t round) {
    for (uint32_t rank = 0; rank < WORKERS; rank++) {
        struct plan *p = &plans[rank];
        struct rng g;
        rng_init(&g, seed + round, rank);
        p->clocks = rank == 0 ? CLOCKS : 1 + (uint32_t)rng_below(&g, CLOCKS);
        for (uint32_t clock = 0; clock < CLOCKS; clock++) {
            struct step *s = &p->steps[clock];
            s->pushes = (uint32_t)rng_below(&g, PUSHES_MAX + 1);
            for (uint32_t i = 0; i < s->pushes; i++) {
                s->id[i] = (uint32_t)rng_below(&g, OWN);
                s->grad[i] = 1 + (float)rng_below(&g, 9);
            }
            s->pulls = rng_below(&g, 4) != 0;
        }
    }
}

/* What a worker's row has lost after its pushes of the clocks below `until`. */
static float lost(uint32_t rank, uint32_t id, uint32_t until) {
    float sum = 0;
    for (uint32_t clock = 0; clock < until && clock < plans[rank].clocks; clock++)
        for (uint32_t i = 0; i < plans[rank].steps[clock].pushes; i++)
            if (plans[rank].steps[clock].id[i] == id)
                sum += plans[rank].steps[clock].grad[i];
    return sum;
}

/* T: of the pushes, or under bsp of the clocks that had some. */
static uint64_t steps_of_plans(void) {
    uint64_t pushes = 0, clocks = 0;
    for (uint32_t clock = 0; clock < CLOCKS; clock++) {
        uint64_t before = pushes;
        for (uint32_t rank = 0; rank < WORKERS; rank++)
            if (clock < plans[rank].clocks)
                pushes += plans[rank].steps[clock].pushes;
        clocks += pushes > before;
    }
    return job.cfg.mode == RH_MODE_BSP ? clocks : pushes;
}

/* ---- a worker ---- */

struct worker {
    uint32_t rank;
    pthread_t thread;
    rh_client *c;
    rh_table *t;
};

static uint64_t row_of(uint32_t rank, uint32_t id) {
    return (uint64_t)id * WORKERS + rank; /* over all slots, so over all shards */
}

/* A pull of this clock: between what it must have seen of each worker, and what it may. */
static void check_pull(struct worker *w, uint32_t clock, const uint32_t mine[OWN]) {
    uint64_t ids[WORKERS * OWN];
    float rows[WORKERS * OWN];
    for (uint32_t i = 0; i < WORKERS * OWN; i++)
        ids[i] = row_of(i / OWN, i % OWN);
    ck_assert_ok(rh_pull(w->t, ids, WORKERS * OWN, rows));
    for (uint32_t i = 0; i < WORKERS * OWN; i++) {
        const uint32_t rank = i / OWN, id = i % OWN, s = job.cfg.staleness;
        float least = 0, most = lost(rank, id, CLOCKS);
        if (job.cfg.mode == RH_MODE_BSP)
            least = most = lost(rank, id, clock);
        else if (rank == w->rank)
            least = most = (float)mine[id];
        else if (job.cfg.mode == RH_MODE_SSP)
            least = lost(rank, id, clock > s ? clock - s : 0);
        ck_assert_msg(-rows[i] >= least && -rows[i] <= most,
                      "worker %" PRIu32 ", clock %" PRIu32 ": row %" PRIu32 " of worker %" PRIu32
                      " has lost %g, not %g to %g",
                      w->rank, clock, id, rank, (double)-rows[i], (double)least, (double)most);
    }
}

static void *run_worker(void *arg) {
    struct worker *w = arg;
    const struct plan *p = &plans[w->rank];
    uint32_t mine[OWN] = {0};
    w->c = job_connect(&job, w->rank);
    w->t = job_table(w->c, "t", WORKERS * OWN, 1);
    ck_assert_ok(rh_barrier(w->c, -1));
    for (uint32_t clock = 0; clock < p->clocks; clock++) {
        const struct step *s = &p->steps[clock];
        for (uint32_t i = 0; i < s->pushes; i++) {
            uint64_t id = row_of(w->rank, s->id[i]);
            ck_assert_ok(rh_push(w->t, &id, 1, &s->grad[i]));
            mine[s->id[i]] += (uint32_t)s->grad[i];
        }
        if (s->pulls)
            check_pull(w, clock, mine);
        if (clock + 1 < p->clocks) /* the goodbye ends the last */
            ck_assert_ok(rh_tick(w->c));
    }
    rh_close(w->c);
    return NULL;
}

static void check_end(void) {
    rh_config look = job.cfg;
    rh_client *c;
    rh_table *t;
    struct rh_table_info info;
    look.observer = 1;
    ck_assert_ok(rh_connect(&look, &c));
    ck_assert_ok(rh_table_find(c, "t", &t));
    for (uint32_t i = 0; i < WORKERS * OWN; i++) {
        uint64_t id = row_of(i / OWN, i % OWN);
        float row;
        ck_assert_ok(rh_pull(t, &id, 1, &row));
        ck_assert_float_eq(row, -lost(i / OWN, i % OWN, CLOCKS));
    }
    ck_assert_ok(rh_table_info(t, &info));
    ck_assert_uint_eq(info.steps, steps_of_plans());
    rh_close(c);
}

static void uneven_workers(int transport, rh_mode mode, uint32_t staleness, uint32_t round) {
    struct worker w[WORKERS];
    job_start(&job, transport, 1 + round % 3);
    job.cfg.world = WORKERS;
    job.cfg.mode = mode;
    job.cfg.staleness = staleness;
    make_plans(round);
    for (uint32_t i = 0; i < WORKERS; i++) {
        w[i] = (struct worker){.rank = i};
        ck_assert_int_eq(pthread_create(&w[i].thread, NULL, run_worker, &w[i]), 0);
    }
    for (uint32_t i = 0; i < WORKERS; i++)
        ck_assert_int_eq(pthread_join(w[i].thread, NULL), 0);
    check_end();
    job_stop(&job);
}

/* ---- tests ---- */

START_TEST(uneven_async_workers_lose_nothing) {
    for (uint32_t round = 0; round < 3; round++)
        uneven_workers(_i, RH_MODE_ASYNC, 0, round);
}
END_TEST

START_TEST(uneven_ssp_workers_see_all_but_the_last_clocks) {
    for (uint32_t round = 0; round < 4; round++)
        uneven_workers(_i, RH_MODE_SSP, round, round);
}
END_TEST

START_TEST(uneven_bsp_workers_see_exactly_the_earlier_clocks) {
    for (uint32_t round = 0; round < 3; round++)
        uneven_workers(_i, RH_MODE_BSP, 0, round);
}
END_TEST

static void ages_are(rh_table *t, const uint64_t want[8]) {
    struct rh_table_info info;
    ck_assert_ok(rh_table_info(t, &info));
    for (int i = 0; i < 8; i++)
        ck_assert_uint_eq(info.pulls_by_age[i], want[i]);
}

START_TEST(how_stale_pulls_may_have_been_is_counted_by_every_shard) {
    job_start(&job, _i, 2);
    job.cfg.world = 2;
    job.cfg.mode = RH_MODE_ASYNC;
    rh_client *a = job_connect(&job, 0), *b = job_connect(&job, 1);
    rh_table *t = job_table(a, "t", 100, 1), *other = job_table(a, "other", 100, 1);
    uint64_t ids[] = {0, 1}; /* one on each shard */
    float rows[2];
    for (int clock = 0; clock < 7; clock++) {
        ck_assert_ok(rh_pull(t, ids, 2, rows));
        ck_assert_ok(rh_tick(a));
    }
    ages_are(t, (uint64_t[]){2, 2, 2, 2, 2, 4, 0, 0});
    ages_are(other, (uint64_t[]){0, 0, 0, 0, 0, 0, 0, 0});
    for (int clock = 0; clock < 6; clock++)
        ck_assert_ok(rh_tick(b));
    ck_assert_ok(rh_pull(t, ids, 1, rows)); /* of clock 7, and b has ended 6 */
    ages_are(t, (uint64_t[]){2, 3, 2, 2, 2, 4, 0, 0});
    rh_close(b);
    ck_assert_ok(rh_read(t, ids, 2, rows));
    ages_are(t, (uint64_t[]){4, 3, 2, 2, 2, 4, 0, 0});
    rh_close(a);
    job_stop(&job);
}
END_TEST

START_TEST(an_ssp_pull_names_the_worker_that_it_waits_for) {
    job_start(&job, _i, 2);
    job.cfg.world = 2;
    job.cfg.mode = RH_MODE_SSP;
    job.cfg.staleness = 1;
    rh_client *a = job_connect(&job, 0), *b = job_connect(&job, 1), *other;
    rh_table *t = job_table(a, "t", 100, 1);
    uint64_t ids[] = {1, 99};
    float rows[2];
    rh_op *op;
    rh_config cfg = job.cfg;
    cfg.staleness = 2;
    ck_assert_refused(rh_connect(&cfg, &other), RH_EMISMATCH,
                      "mode ssp:1, worker 0 asks for ssp:2");
    ck_assert_ok(rh_tick(a));
    ck_assert_ok(rh_pull(t, ids, 2, rows));
    ck_assert_ok(rh_tick(a));
    ck_assert_ok(rh_pull_begin(t, ids, 2, rows, &op));
    ck_assert_refused(rh_wait(&op, 1500), RH_ETIMEDOUT, "waits for worker 1 to end clock 0");
    ck_assert_ok(rh_tick(b));
    ck_assert_ok(rh_wait(&op, -1));
    rh_close(a);
    rh_close(b);
    job_stop(&job);
}
END_TEST

int main(void) {
    Suite *s = suite_create("modes");
    TCase *t = tcase_create("modes");
    seed = test_seed("modes");
    tcase_set_timeout(t, 120);
    tcase_add_loop_test(t, uneven_async_workers_lose_nothing, JOB_IPC, JOB_TCP + 1);
    tcase_add_loop_test(t, uneven_ssp_workers_see_all_but_the_last_clocks, JOB_IPC, JOB_TCP + 1);
    tcase_add_loop_test(t, uneven_bsp_workers_see_exactly_the_earlier_clocks, JOB_IPC, JOB_TCP + 1);
    tcase_add_loop_test(t, how_stale_pulls_may_have_been_is_counted_by_every_shard, JOB_IPC,
                        JOB_TCP + 1);
    tcase_add_loop_test(t, an_ssp_pull_names_the_worker_that_it_waits_for, JOB_IPC, JOB_TCP + 1);
    suite_add_tcase(s, t);
    return job_main(s);
}
