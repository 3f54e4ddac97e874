/* kills.c - the faults of faults.h that servers and workers die of: at any moment, at a named place, and while
 * the job still recovers from another one. */
#include <signal.h>
#include <stdio.h>
#include <unistd.h>

#include "tests/chaos/faults.h"
#include "tests/support/job.h"

static void sleep_some(struct rng *g, uint32_t most_ms) {
    usleep((useconds_t)rng_below(g, most_ms * 1000));
}

/* It dies at random, not at a place, and lives again. */
static void renew_server(struct world *w, uint32_t i) {
    ck_assert(world_restart_server(w, i, NULL));
}

/* ---- places ---- */

struct place {
    const char *name;
    uint32_t most; /* it is killed there at the latest at the mostth time */
    bool lead, bsp;
};

static const struct place server_places[] = {
    {"start.bound", 1, false, false},    {"start.filled", 1, false, false},
    {"start.reported", 1, false, false}, {"hello.before", 3, false, false},
    {"hello.after", 3, false, false},    {"beat.before", 2, false, false},
    {"apply.before", 800, false, false}, {"apply.after", 800, false, false},
    {"ack.before", 1000, false, false},  {"ack.after", 1000, false, false},
    {"tick.before", 200, false, false},  {"tick.after", 200, false, false},
    {"pull.before", 200, false, false},  {"pull.after", 200, false, false},
    {"clock.before", 100, false, true},  {"clock.table", 100, false, true},
    {"clock.after", 100, false, true},   {"barrier.before", 3, true, true},
    {"barrier.after", 3, true, true},    {"mark.before", 4, false, false},
    {"mark.after", 4, false, false},     {"cut.begin", 3, false, false},
    {"cut.before", 3, false, false},     {"cut.after", 3, false, false},
    {"slab.taken", 60, false, false},    {"mkdir.before", 3, true, false},
    {"mkdir.after", 3, true, false},     {"create.before", 3, false, false},
    {"write.before", 8, false, false},   {"write.after", 8, false, false},
    {"sync.before", 4, false, false},    {"sync.after", 4, false, false},
    {"written.before", 3, false, false}, {"manifest.before", 3, true, false},
    {"manifest.after", 3, true, false},  {"place.before", 3, true, false},
    {"place.after", 3, true, false},     {"place.synced", 3, true, false},
    {"rename.before", 5, true, false},   {"rename.after", 5, true, false},
    {"remove.before", 5, true, false},   {"committed.before", 3, true, false},
    {"committed.after", 3, true, false}, {"read.before", 4, false, false},
};

static const struct place worker_places[] = {
    {"worker.send.before", 400, false, false}, {"worker.send.after", 800, false, false},
    {"worker.tick.before", 100, false, false}, {"worker.tick.after", 100, false, false},
    {"worker.mark.before", 3, false, false},   {"worker.mark.after", 3, false, false},
};

/* Of those who take the job back. */
static const char *const back_places[] = {"worker.back.before=kill", "worker.back.lead=kill",
                                          "worker.back.all=kill"};

/* What RH_FAILPOINTS says of it. */
static const struct place *draw(const struct world *w, const struct place *all, uint32_t n,
                                struct rng *g, char told[64]) {
    const struct place *p;
    do
        p = &all[rng_below(g, n)];
    while (p->bsp && w->mode != RH_MODE_BSP);
    snprintf(told, 64, "%s=%u:kill", p->name, 1 + rng_below(g, p->most));
    return p;
}

static void kill_server_at_place(struct world *w, struct rng *g) {
    char told[64];
    const struct place *p =
        draw(w, server_places, sizeof server_places / sizeof *server_places, g, told);
    const uint32_t i = p->lead ? 0 : rng_below(g, WORLD_SHARDS);
    world_kill_server(w, i);
    if (world_restart_server(w, i, told))
        world_await_server_death(w, i, told);
    renew_server(w, i);
}

static void kill_worker_at_place(struct world *w, struct rng *g) {
    char told[64];
    const uint32_t rank = rng_below(g, WORLD_WORKERS);
    draw(w, worker_places, sizeof worker_places / sizeof *worker_places, g, told);
    world_kill_worker(w, rank);
    world_succeed_worker(w, rank, told);
    world_await_worker_death(w, rank, told);
    world_succeed_worker(w, rank, NULL);
}

/* Others carry on what it has begun; behind the first of the places there is nothing to carry on. */
static void kill_restorer(struct world *w, struct rng *g) {
    world_kill_restorer(w, back_places[rng_below(g, sizeof back_places / sizeof *back_places)]);
}

/* ---- any moment ---- */

static void kill_server(struct world *w, struct rng *g) {
    const uint32_t i = rng_below(g, WORLD_SHARDS);
    world_kill_server(w, i);
    sleep_some(g, 300);
    renew_server(w, i);
}

static void kill_all_servers(struct world *w, struct rng *g) {
    for (uint32_t i = 0; i < WORLD_SHARDS; i++)
        world_kill_server(w, i);
    sleep_some(g, 300);
    for (uint32_t i = 0; i < WORLD_SHARDS; i++)
        renew_server(w, i);
}

static void kill_worker(struct world *w, struct rng *g) {
    const uint32_t rank = rng_below(g, WORLD_WORKERS);
    world_kill_worker(w, rank);
    sleep_some(g, 100);
    world_succeed_worker(w, rank, NULL);
}

/* ---- two at once ---- */

static void kill_server_in_a_save(struct world *w, struct rng *g) {
    const uint32_t i = rng_below(g, WORLD_SHARDS);
    world_await_save(w);
    sleep_some(g, 20);
    world_kill_server(w, i);
    sleep_some(g, 100);
    renew_server(w, i);
}

/* While the job goes back because of the first one the second one dies: the same server, or another. */
static void kill_server_while_going_back(struct world *w, struct rng *g) {
    const uint32_t i = rng_below(g, WORLD_SHARDS), j = rng_below(g, WORLD_SHARDS);
    world_kill_server(w, i);
    renew_server(w, i);
    sleep_some(g, 200);
    world_kill_server(w, j);
    renew_server(w, j);
}

static void kill_worker_while_going_back(struct world *w, struct rng *g) {
    const uint32_t i = rng_below(g, WORLD_SHARDS), rank = rng_below(g, WORLD_WORKERS);
    world_kill_server(w, i);
    renew_server(w, i);
    sleep_some(g, 200);
    world_kill_worker(w, rank);
    world_succeed_worker(w, rank, NULL);
}

static void kill_server_and_worker(struct world *w, struct rng *g) {
    const uint32_t i = rng_below(g, WORLD_SHARDS), rank = rng_below(g, WORLD_WORKERS);
    world_kill_worker(w, rank);
    world_kill_server(w, i);
    sleep_some(g, 100);
    renew_server(w, i);
    world_succeed_worker(w, rank, NULL);
}

static void stop_one_while_the_other_comes_back(struct world *w, struct rng *g) {
    const uint32_t i = rng_below(g, WORLD_SHARDS), j = (i + 1) % WORLD_SHARDS;
    servers_signal(&w->servers, j, SIGSTOP);
    world_kill_server(w, i);
    renew_server(w, i);
    sleep_some(g, 1500);
    servers_signal(&w->servers, j, SIGCONT);
}

static void cut_while_going_back(struct world *w, struct rng *g) {
    const uint32_t i = rng_below(g, WORLD_SHARDS), struck = proxy_struck(&w->proxy);
    world_kill_server(w, i);
    proxy_order(&w->proxy, PROXY_CUT, rng_below(g, WORLD_SHARDS), rng_below(g, 2) == 0,
                rng_below(g, 1500), 0);
    renew_server(w, i);
    for (int64_t until_ms = job_now_ms() + WORLD_PATIENCE_MS; proxy_struck(&w->proxy) == struck;
         usleep(500))
        ck_assert_int_lt(job_now_ms(), until_ms);
}

const struct fault faults_hard[] = {
    {"server killed", kill_server, 10, true},
    {"all servers killed", kill_all_servers, 5, true},
    {"worker killed", kill_worker, 8, true},
    {"server killed in a save", kill_server_in_a_save, 8, true},
    {"server killed while the job goes back", kill_server_while_going_back, 8, true},
    {"worker killed while the job goes back", kill_worker_while_going_back, 5, true},
    {"server and worker killed", kill_server_and_worker, 5, true},
    {"server stopped while another comes back", stop_one_while_the_other_comes_back, 4, true},
    {"connection cut while the job goes back", cut_while_going_back, 6, true},
    {"who restores killed half-way", kill_restorer, 6, false},
    {"worker killed at a place, after a kill", kill_worker_at_place, 8, true},
    {"server killed at a place, after a kill", kill_server_at_place, 33, true},
};
const uint32_t faults_hard_n = sizeof faults_hard / sizeof *faults_hard;
