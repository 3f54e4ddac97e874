/*
 * world.h - a job of real processes for faults to strike: servers behind a proxy, workers that push what
 * sums.h says, and one that saves all the while. Nothing of them is known but by what they have been acked.
 * The folder of checkpoints is "ckpt" beneath the one that the process is in. Whatever goes wrong fails the
 * test.
 */
#ifndef TESTS_CHAOS_WORLD_H
#define TESTS_CHAOS_WORLD_H

#include <stdatomic.h>
#include <stdbool.h>

#include "tests/chaos/sums.h"
#include "tests/support/proxy.h"
#include "tests/support/servers.h"
#include "worker/rowhouse.h"

enum { WORLD_SHARDS = 2, WORLD_WORKERS = 2, WORLD_PATIENCE_MS = 90000 };

/* What the processes tell; it outlives them. */
struct told {
    atomic_uint_least64_t steps[WORLD_WORKERS];     /* that are in the tables */
    atomic_uint_least64_t acked[WORLD_WORKERS];     /* steps, those that were done again too */
    atomic_uint_least64_t rollbacks[WORLD_WORKERS]; /* that were noticed */
    atomic_uint_least64_t stop_at;                  /* the step behind which workers wait */
    atomic_bool may_save, is_saving, hurry;
    atomic_uint_least64_t saves, failed_saves;
};

struct world {
    rh_mode mode;
    uint32_t save_every_ms;
    struct servers servers;
    struct proxy proxy;
    struct told *told;
    pid_t workers[WORLD_WORKERS], saver;
    uint32_t dead[WORLD_WORKERS]; /* processes that had this rank */
    struct sums sums;
};

/* failpoints: RH_FAILPOINTS of all servers, or NULL. Returns when every worker has made steps, and a
 * checkpoint is there. */
void world_begin(struct world *w, rh_mode mode, uint32_t save_every_ms, const char *failpoints);
void world_end(struct world *w);

/* ---- who dies, and comes again ---- */

/* SIGKILL to server i. Its next life takes its address and waits to be filled again; failpoints as above.
 * False: it has died before it listened. */
void world_kill_server(struct world *w, uint32_t i);
bool world_restart_server(struct world *w, uint32_t i, const char *failpoints);
/* Waits until that failpoint has killed it. */
void world_await_server_death(struct world *w, uint32_t i, const char *point);

/* SIGKILL to a worker: half a step of it may be in the tables. Its successor says that it is one, and so takes
 * the job back to its last checkpoint. */
void world_kill_worker(struct world *w, uint32_t rank);
void world_await_worker_death(struct world *w, uint32_t rank, const char *point);
void world_succeed_worker(struct world *w, uint32_t rank, const char *failpoints);

/* Returns in the midst of a save. */
void world_await_save(struct world *w);
/* Another one saves from now on. */
/* One who takes the job back to its last checkpoint, by rh_restore, and dies at a place of that. */
void world_kill_restorer(struct world *w, const char *failpoint);

void world_kill_saver(struct world *w);
void world_await_saver_death(struct world *w, const char *point);
void world_restart_saver(struct world *w, const char *failpoints);

/* ---- waiting ---- */

/* Every worker makes so many more steps. Milliseconds that it took. */
int64_t world_await_steps(struct world *w, uint64_t more);
/* So many more saves succeed. */
void world_await_saves(struct world *w, uint64_t more);
/* So many have failed since the beginning. */
void world_await_failed_saves(struct world *w, uint64_t all);

/* How often workers have noticed that the job went back. */
uint64_t world_rollbacks(const struct world *w);

/* Stops the workers at a step, compares every row with the model, and lets them go on. */
struct sums_wrong world_check(struct world *w);

#endif
