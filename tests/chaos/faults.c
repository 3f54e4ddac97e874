/* faults.c - see faults.h. */
#include "tests/chaos/faults.h"

#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "tests/support/job.h"

/* ---- processes that stand still ---- */

static void sleep_some(struct rng *g, uint32_t least_ms, uint32_t most_ms) {
    usleep((useconds_t)(least_ms + rng_below(g, most_ms - least_ms)) * 1000);
}

static void stop_server(struct world *w, struct rng *g) {
    const uint32_t i = rng_below(g, WORLD_SHARDS);
    servers_signal(&w->servers, i, SIGSTOP);
    sleep_some(g, 100, 3000);
    servers_signal(&w->servers, i, SIGCONT);
}

static void stop_all_servers(struct world *w, struct rng *g) {
    for (uint32_t i = 0; i < WORLD_SHARDS; i++)
        servers_signal(&w->servers, i, SIGSTOP);
    sleep_some(g, 100, 1500);
    for (uint32_t i = 0; i < WORLD_SHARDS; i++)
        servers_signal(&w->servers, i, SIGCONT);
}

static void stop_worker(struct world *w, struct rng *g) {
    const uint32_t rank = rng_below(g, WORLD_WORKERS);
    ck_assert_int_eq(kill(w->workers[rank], SIGSTOP), 0);
    sleep_some(g, 100, 3000);
    ck_assert_int_eq(kill(w->workers[rank], SIGCONT), 0);
}

/* Longer than any deadline inside: connections are given up, beats are missed. */
static void stop_server_long(struct world *w, struct rng *g) {
    const uint32_t i = rng_below(g, WORLD_SHARDS);
    servers_signal(&w->servers, i, SIGSTOP);
    sleep_some(g, 9000, 20000);
    servers_signal(&w->servers, i, SIGCONT);
}

/* ---- connections ---- */

/* Struck somewhere in the next bytes, in the midst of a frame or of its head as well. */
static void connection(struct world *w, struct rng *g, enum proxy_fault fault, uint32_t ms) {
    const int64_t until_ms = job_now_ms() + WORLD_PATIENCE_MS;
    const uint32_t struck = proxy_struck(&w->proxy), over = proxy_over(&w->proxy);
    proxy_order(&w->proxy, fault, rng_below(g, WORLD_SHARDS), rng_below(g, 2) == 0,
                rng_below(g, 20000), ms);
    while (proxy_struck(&w->proxy) == struck || proxy_over(&w->proxy) == over) {
        ck_assert_msg(job_now_ms() < until_ms, "no %s in %d s", proxy_fault_names[fault],
                      WORLD_PATIENCE_MS / 1000);
        usleep(500);
    }
}

static void cut(struct world *w, struct rng *g) {
    connection(w, g, PROXY_CUT, 0);
}

static void cut_many(struct world *w, struct rng *g) {
    for (uint32_t i = 2 + rng_below(g, 4); i > 0; i--)
        connection(w, g, PROXY_CUT, 0);
}

static void half_open(struct world *w, struct rng *g) {
    connection(w, g, PROXY_HALF_OPEN, 100 + rng_below(g, 2000));
}

/* Nobody ever tells: only that nothing is heard. */
static void half_open_long(struct world *w, struct rng *g) {
    connection(w, g, PROXY_HALF_OPEN, 12000 + rng_below(g, 8000));
}

static void black_hole(struct world *w, struct rng *g) {
    connection(w, g, PROXY_BLACKHOLE, 100 + rng_below(g, 3000));
}

static void black_hole_long(struct world *w, struct rng *g) {
    connection(w, g, PROXY_BLACKHOLE, 12000 + rng_below(g, 8000));
}

static void trickle(struct world *w, struct rng *g) {
    connection(w, g, PROXY_TRICKLE, 1500 + rng_below(g, 2500));
}

static void delay(struct world *w, struct rng *g) {
    connection(w, g, PROXY_DELAY, 1 + rng_below(g, 500));
}

/* ---- who saves ---- */

/* It holds nothing that is not a server's; what it has begun is given up. */
static void kill_saver(struct world *w, struct rng *g) {
    world_await_save(w);
    sleep_some(g, 0, 50);
    world_kill_saver(w);
    world_restart_saver(w, NULL);
}

static void kill_saver_at_commit(struct world *w, struct rng *g) {
    static const char *const points[] = {"worker.commit.before=kill", "worker.commit.after=kill"};
    const char *point = points[rng_below(g, 2)];
    world_kill_saver(w);
    world_restart_saver(w, point);
    world_await_saver_death(w, point);
    world_restart_saver(w, NULL);
}

/* ---- a trial ---- */

const struct fault faults_mild[] = {
    {"server stopped, 0.1 to 3 s", stop_server, 14, false},
    {"all servers stopped, 0.1 to 1.5 s", stop_all_servers, 5, false},
    {"worker stopped, 0.1 to 3 s", stop_worker, 10, false},
    {"connection cut", cut, 26, false},
    {"2 to 5 connections cut", cut_many, 14, false},
    {"half-open, 0.1 to 2 s", half_open, 10, false},
    {"black hole, 0.1 to 3 s", black_hole, 6, false},
    {"one byte a second, 1.5 to 4 s", trickle, 4, false},
    {"held up, to 0.5 s", delay, 8, false},
    {"who saves killed", kill_saver, 4, false},
    {"who saves killed at its commit", kill_saver_at_commit, 3, false},
    {"half-open, 12 to 20 s", half_open_long, 1, false},
    {"black hole, 12 to 20 s", black_hole_long, 1, false},
    {"server stopped, 9 to 20 s", stop_server_long, 1, false},
};
const uint32_t faults_mild_n = sizeof faults_mild / sizeof *faults_mild;

/* RH_TEST_KIND: a part of the names of those that are wanted. */
static uint32_t share_of(const struct fault *f) {
    const char *kind = getenv("RH_TEST_KIND");
    return kind == NULL || strstr(f->kind, kind) != NULL ? f->share : 0;
}

const struct fault *faults_draw(const struct fault *all, uint32_t n, struct rng *g) {
    uint32_t shares = 0, i = 0;
    for (i = 0; i < n; i++)
        shares += share_of(&all[i]);
    if (shares == 0)
        return NULL;
    uint32_t at = rng_below(g, shares);
    for (i = 0; at >= share_of(&all[i]); i++)
        at -= share_of(&all[i]);
    return &all[i];
}

int64_t faults_try(struct world *w, const struct fault *f, struct rng *g, struct tally *t) {
    world_await_steps(w, FAULTS_STEPS);
    sleep_some(g, 0, 50);
    const uint64_t rollbacks = world_rollbacks(w);
    printf("%s: ", f->kind);
    fflush(stdout);
    f->strike(w, g);
    const int64_t took_ms = world_await_steps(w, 1), again_ms = job_now_ms();
    world_await_steps(w, FAULTS_STEPS);
    const struct sums_wrong wrong = world_check(w);
    printf("steps again after %" PRId64 " ms; lost %" PRIu64 ", doubled %" PRIu64 "\n", took_ms,
           wrong.lost, wrong.doubled);
    fflush(stdout);
    ck_assert_msg(!f->goes_back || world_rollbacks(w) > rollbacks, "no worker has gone back");
    t->fired++;
    t->lost += wrong.lost;
    t->doubled += wrong.doubled;
    t->slowest_ms = took_ms > t->slowest_ms ? took_ms : t->slowest_ms;
    ck_assert_msg(wrong.lost == 0 && wrong.doubled == 0 && wrong.other == 0,
                  "after \"%s\" %" PRIu64 " additions are lost, %" PRIu64 " doubled, and %" PRIu64
                  " rows have other sums",
                  f->kind, wrong.lost, wrong.doubled, wrong.other);
    return again_ms;
}

void faults_print(const struct fault *all, uint32_t n, const struct tally *tallies) {
    printf(
        "| kind of fault | fired | lost | doubled | slowest recovery |\n|---|---|---|---|---|\n");
    for (uint32_t i = 0; i < n; i++)
        if (tallies[i].fired > 0)
            printf("| %s | %" PRIu32 " | %" PRIu64 " | %" PRIu64 " | %.2f s |\n", all[i].kind,
                   tallies[i].fired, tallies[i].lost, tallies[i].doubled,
                   (double)tallies[i].slowest_ms / 1000);
    fflush(stdout);
}
