/*
 * test_rollback.c - servers are killed while workers train, and others take their places: the job goes back
 * to its last checkpoint, or to its beginning, and on from there, and at the end every push counts once.
 */
#include <inttypes.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "common/rng.h"
#include "tests/support/lost_job.h"
#include "tests/support/seed.h"

enum { WORKERS = 2, MORE = 20 };

static rh_client *connect_observer(void) {
    rh_config look = lost_job.cfg;
    rh_client *c;
    look.observer = 1;
    ck_assert_ok(rh_connect(&look, &c));
    return c;
}

/* ---- workers ---- */

struct worker {
    uint32_t rank;
    atomic_uint lives;           /* times that it has begun, or gone on from somewhere else */
    atomic_uint_fast64_t next;   /* step, in this life */
    atomic_uint_fast64_t made;   /* steps, ever */
    atomic_int_fast64_t back_ms; /* when the first step of this life was over */
    pthread_t thread;
};

static atomic_uint_fast64_t target; /* steps of each, in the end */

/* As rowhouse.h has it. */
static void *train(void *arg) {
    struct worker *w = arg;
    rh_client *c = job_connect(&lost_job, w->rank);
    rh_table *t = NULL, *first = NULL;
    rh_status s;
    do {
        uint64_t next = 0;
        size_t len = sizeof next;
        s = rh_cursor(c, w->rank, &next, &len);
        if (s == RH_OK || s == RH_ENOTFOUND)
            s = lost_job_table(c, &t);
        if (s == RH_OK) {
            first = first == NULL ? t : first;
            ck_assert_ptr_eq(t, first);
            atomic_store(&w->next, next);
        }
        for (bool fresh = true; s == RH_OK && next < atomic_load(&target); fresh = false) {
            s = lost_job_step(c, t, next);
            if (s != RH_OK)
                break;
            atomic_store(&w->next, ++next);
            atomic_fetch_add(&w->made, 1);
            if (!fresh)
                continue;
            atomic_store(&w->back_ms, job_now_ms());
            atomic_fetch_add(&w->lives, 1);
        }
        ck_assert_msg(s == RH_OK || s == RH_EROLLBACK, "worker %u: %s", w->rank, rh_errmsg());
    } while (s != RH_OK);
    rh_close(c);
    return NULL;
}

static struct worker w[WORKERS];

static void start_workers(void) {
    atomic_store(&target, UINT64_MAX);
    memset(w, 0, sizeof w);
    for (uint32_t i = 0; i < WORKERS; i++) {
        w[i].rank = i;
        ck_assert_int_eq(pthread_create(&w[i].thread, NULL, train, &w[i]), 0);
    }
}

/* Until every worker has begun that often, and made some steps in that life. */
static void wait_for_lives(const uint32_t lives[WORKERS]) {
    const int64_t until_ms = job_now_ms() + 60000;
    for (uint32_t i = 0; i < WORKERS; i++) {
        while (atomic_load(&w[i].lives) < lives[i] && job_now_ms() < until_ms)
            usleep(500);
        ck_assert_msg(atomic_load(&w[i].lives) >= lives[i], "worker %u does not go on", i);
        const uint64_t made = atomic_load(&w[i].made);
        while (atomic_load(&w[i].made) < made + 5 && job_now_ms() < until_ms)
            usleep(500);
        ck_assert_msg(atomic_load(&w[i].made) >= made + 5, "worker %u stands still", i);
    }
}

static void end_workers(void) {
    uint64_t most = 0;
    for (uint32_t i = 0; i < WORKERS; i++)
        most = atomic_load(&w[i].next) > most ? atomic_load(&w[i].next) : most;
    atomic_store(&target, most + MORE);
    for (uint32_t i = 0; i < WORKERS; i++)
        ck_assert_int_eq(pthread_join(w[i].thread, NULL), 0);
}

/* ---- while they train ---- */

static uint32_t kills;
static int64_t longest_ms, sum_ms;

/* Kills them, and waits until every worker has gone on. */
static void lose(uint32_t victims) {
    uint32_t lives[WORKERS];
    int64_t first_ms = INT64_MAX;
    for (uint32_t i = 0; i < WORKERS; i++)
        lives[i] = atomic_load(&w[i].lives) + 1;
    const int64_t killed_ms = job_now_ms();
    lost_job_kill(victims);
    lost_job_replace(victims);
    wait_for_lives(lives);
    for (uint32_t i = 0; i < WORKERS; i++) {
        const int64_t took_ms = atomic_load(&w[i].back_ms) - killed_ms;
        first_ms = took_ms < first_ms ? took_ms : first_ms;
        longest_ms = took_ms > longest_ms ? took_ms : longest_ms;
    }
    sum_ms += first_ms;
    kills++;
}

/* The generation that the job stands behind; 0: none. The observer comes back first. */
static uint64_t generation(rh_client *o) {
    rh_checkpoint_info is = {.size = sizeof is};
    uint64_t cursor;
    size_t len = sizeof cursor;
    (void)!rh_cursor(o, 0, &cursor, &len); /* it may hear of it here */
    rh_status s = rh_cursor(o, 0, &cursor, &len);
    ck_assert_msg(s == RH_OK || s == RH_ENOTFOUND, "%s", rh_errmsg());
    s = rh_last_checkpoint(o, &is);
    ck_assert_msg(s == RH_OK || s == RH_ENOTFOUND, "%s", rh_errmsg());
    return s == RH_OK ? is.generation : 0;
}

/* Each shard in turn, the lead is the first, and both. */
static void lose_each(rh_client *o, uint64_t last) {
    for (uint32_t victims = 1; victims < 1u << LOST_SHARDS; victims++) {
        lose(victims);
        ck_assert_uint_eq(generation(o), last);
    }
}

static void kills_under(int transport, rh_mode mode) {
    static const uint32_t once[WORKERS] = {1, 1};
    lost_job_start(transport, mode, WORKERS);
    rh_client *o = connect_observer();
    start_workers();
    wait_for_lives(once);
    lose_each(o, 0);
    ck_assert_ok(rh_save(o, "a"));
    lose_each(o, 1);
    ck_assert_ok(rh_save(o, "b"));
    lose_each(o, 2);
    ck_assert_ok(rh_save(o, "a")); /* in the place of the older one */
    lose_each(o, 3);
    end_workers();
    rh_table *t;
    ck_assert_ok(rh_table_find(o, "t", &t));
    lost_job_check(t, WORKERS, atomic_load(&target));
    rh_close(o);
    printf("%u times servers were killed; from there to the first step of a worker %.2f s in the "
           "mean, to "
           "the first of the last worker %.2f s at most\n",
           kills, (double)sum_ms / 1000 / kills, (double)longest_ms / 1000);
}

START_TEST(async_every_push_counts_once_whichever_servers_are_killed) {
    kills_under(JOB_TCP, RH_MODE_ASYNC);
}
END_TEST

START_TEST(bsp_every_push_counts_once_whichever_servers_are_killed) {
    kills_under(JOB_IPC, RH_MODE_BSP);
}
END_TEST

/* ---- one upon the other ---- */

/* Waits for no one: the next one dies while the job is still on its way back, from any point of it. */
START_TEST(servers_that_die_while_the_job_is_still_coming_back_make_it_only_later) {
    enum { KILLS = 15, GAP_MS = 700 };
    static const uint32_t once[WORKERS] = {1, 1};
    uint32_t lives[WORKERS], saves = 0;
    struct rng g;
    rng_init(&g, test_seed("rollback") + (uint64_t)_i, 0);
    lost_job_start(JOB_TCP, _i == 0 ? RH_MODE_ASYNC : RH_MODE_BSP, WORKERS);
    rh_client *o = connect_observer();
    start_workers();
    wait_for_lives(once);
    for (int i = 0; i < KILLS; i++) {
        const uint32_t victims = 1 + rng_below(&g, 3);
        for (uint32_t k = 0; k < WORKERS; k++)
            lives[k] = atomic_load(&w[k].lives) + 1;
        lost_job_kill(victims);
        lost_job_replace(victims);
        usleep(1000 * rng_below(&g, GAP_MS));
        if (i % 5 != 4)
            continue;
        wait_for_lives(lives);
        (void)generation(o);
        saves += rh_save(o, "a") == RH_OK;
    }
    wait_for_lives(lives);
    end_workers();
    rh_table *t;
    ck_assert_uint_eq(generation(o), saves);
    ck_assert_uint_ge(saves, 2);
    ck_assert_ok(rh_table_find(o, "t", &t));
    lost_job_check(t, WORKERS, atomic_load(&target));
    rh_close(o);
}
END_TEST

int main(void) {
    TCase *tc = tcase_create("rollback");
    tcase_add_checked_fixture(tc, lost_job_setup, lost_job_teardown);
    tcase_set_timeout(tc, 120);
    tcase_add_test(tc, async_every_push_counts_once_whichever_servers_are_killed);
    tcase_add_test(tc, bsp_every_push_counts_once_whichever_servers_are_killed);
    tcase_add_loop_test(tc, servers_that_die_while_the_job_is_still_coming_back_make_it_only_later,
                        0, 2);
    Suite *s = suite_create("rollback");
    suite_add_tcase(s, tc);
    return job_main(s);
}
