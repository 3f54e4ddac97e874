/* seat.h - the servers of a trial: one shard each, with a folder of checkpoints that they share, and what a
 * server does for its shard: files are written aside, while it goes on. */
#ifndef TESTS_SIM_SEAT_H
#define TESTS_SIM_SEAT_H

#include "ps/shard.h"
#include "tests/sim/disk.h"
#include "tests/sim/wire.h"

#define SEATS_JOB "sim"

struct seat {
    struct seats *all;
    struct node node;
    struct shard *shard;
    uint32_t incarnation; /* of its last life */
    uint32_t deaths;      /* in this life of the job */
    bool forgets;         /* of seats_kill */
    struct shard_task *task;
    struct coro *coro; /* that does it; NULL: it is done */
};

struct seats {
    struct world *w;
    struct wire *x;
    struct disk disk;
    struct rng rng;
    struct seat seats[SIM_SHARDS_MAX];
    uint32_t n, world;
    struct seat *working; /* its task is being done just now; or NULL */
    bool ending;          /* nobody does anything to the disk */
    uint32_t disk_us;     /* a step of a task takes up to so long */
    uint64_t restored;    /* the generation that this life began with; 0: none */
};

void seats_init(struct seats *a, struct wire *x, uint32_t world, uint32_t disk_us);
void seats_fini(struct seats *a);

/* n servers, with the newest checkpoint if there is one. False: it cannot be read; the world has
 * failed. */
bool seats_begin(struct seats *a, uint32_t n);

/* One of them dies: now, or behind so many frames more that it sends. Soon there is another in its place, which
 * has nothing. forgets: what was on its way from it, or to it, is lost. */
void seats_kill(struct seats *a, uint32_t i, uint32_t dies_in, bool forgets);

/* All of them die where they stand. */
void seats_end(struct seats *a);

#endif
