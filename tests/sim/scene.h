/* scene.h - what a seed is: a job of a few workers, shards and tables, what each worker does, and what goes wrong
 * meanwhile. Drawn whole before anything runs, so that what the tables must hold at last is known. */
#ifndef TESTS_SIM_SCENE_H
#define TESTS_SIM_SCENE_H

#include "tests/sim/disk.h"
#include "tests/sim/wire.h"
#include "tests/sim/world.h"
#include "worker/rowhouse.h"

enum {
    SCENE_TABLES_MAX = 3,
    SCENE_DIM_MAX = 4,
    SCENE_IDS_MAX = 10,   /* of one call */
    SCENE_STEPS_MAX = 96, /* of one worker */
    SCENE_FAULTS_MAX = 8,
    SCENE_VISITS_MAX = 2,
    SCENE_LIVES_MAX = 4,
    SCENE_SHARED =
        16, /* ids below it are pushed to by everybody; each other one in one call alone, */
    SCENE_ROWS_MAX = 1200 /* with gradients that make it 1: what is lost is 0, what is doubled 2 */
};

struct step {
    enum {
        DO_PUSH,  /* and wait */
        DO_BEGIN, /* a push, and go on */
        DO_WAIT,  /* for all that were begun */
        DO_PULL,  /* and check */
        DO_BATCH, /* a push and a pull of its ids, in one */
        DO_REST,  /* for n ms */
        DO_SAVE,
        DO_TICK
    } what;
    uint32_t table, n;
    uint64_t ids[SCENE_IDS_MAX];
    float grads[SCENE_IDS_MAX * SCENE_DIM_MAX]; /* whole numbers below 0: sums are exact */
};

/* One push of one row. */
struct gift {
    uint32_t worker, step, at; /* the at-th id of that step */
    const struct gift *next;   /* of the same row */
};

/* Something that goes wrong when so many pushes are acked. */
struct mishap {
    enum fault what;
    uint64_t at_acked;
    uint32_t client,
        shard; /* whom: a shard where client is SIM_CLIENTS_MAX, or what is between them */
    int64_t for_us;
    bool forgets;
    uint32_t
        disk_at; /* which call of the disk fails, from then on; how, as errno, or 0: it does less */
    int disk_how;
    enum disk_crash crash;
    uint32_t dies_in; /* so many frames more that it sends; 0: at once */
};

struct scene {
    uint64_t seed;
    uint32_t workers, tables;
    uint32_t shards[SCENE_LIVES_MAX]; /* of each life */
    rh_mode mode;
    uint32_t staleness; /* under ssp */
    bool saves, deaths; /* of single processes, which others take the place of */
    uint32_t disk_us;   /* a step on the disk takes up to so long */
    uint32_t dims[SCENE_TABLES_MAX], rows[SCENE_TABLES_MAX];
    bool adam[SCENE_TABLES_MAX]; /* else SGD of lr 1 */
    uint32_t part_bytes;
    int op_timeout_ms, connect_timeout_ms;
    struct step *steps[SIM_WORKERS_MAX]; /* (n_steps) of each */
    uint32_t n_steps[SIM_WORKERS_MAX];
    uint32_t pushes;
    struct gift *gifts; /* of all rows */
    uint32_t n_gifts;
    const struct gift *first[SCENE_TABLES_MAX][SCENE_ROWS_MAX];

    struct weather weather;
    uint64_t weather_from;                   /* pushes acked */
    struct mishap mishaps[SCENE_FAULTS_MAX]; /* by at_acked */
    uint32_t n_mishaps;
    uint64_t visits[SCENE_VISITS_MAX]; /* pushes acked when somebody comes by and saves the job */
    uint32_t n_visits;
};

void scene_draw(struct scene *p, uint64_t seed);
void scene_fini(struct scene *p);

/* One line of what it is. */
void scene_describe(const struct scene *p, char *out, size_t cap);

bool step_pushes(const struct step *s);

/* Workers save together, behind the same tick; else whenever they like. */
static inline bool scene_saves_together(const struct scene *p) {
    return p->mode != RH_MODE_ASYNC;
}

#endif
