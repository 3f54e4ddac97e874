/* trial.h - one seed, played: its shards, its workers, and at the end what the tables hold beside what they
 * must. */
#ifndef TESTS_SIM_TRIAL_H
#define TESTS_SIM_TRIAL_H

#include "tests/sim/scene.h"
#include "tests/sim/seat.h"
#include "worker/rowhouse.h"

enum { FLIGHTS_MAX = 8 };

/* A worker: what it does, and how far it is. */
struct worker {
    struct trial *t;
    struct node node;
    uint32_t rank;
    uint32_t at; /* its next step */
    rh_client *c;
    rh_table *tables[SCENE_TABLES_MAX];
    struct {
        rh_op *op;
        uint32_t step;
    } flights[FLIGHTS_MAX];
    uint32_t n_flights;
    uint32_t succeeds;  /* processes that died in its place, in this life of the job */
    bool ends;          /* it has done all, and waits for the others to leave */
    bool back;          /* the job went back: it must read its cursor */
    uint32_t comebacks; /* of the trial, when its pull began */
    uint32_t life;      /* of the lead, when it joined */
    bool joined;        /* in this life, ... */
    int64_t joined_us;
    bool shifted; /* it has begun behind clock 0 */
    bool gone;    /* it has said goodbye, and all shards have heard it */
    const char *doing;
    int64_t since_us;
};

struct trial {
    const struct scene *scene;
    struct world w;
    struct wire x;
    struct seats seats;
    struct worker workers[SIM_WORKERS_MAX];
    struct node observer, visitor;
    /* For every push the clock that it was made in, + 1; 0: it was not. */
    uint32_t made[SIM_WORKERS_MAX][SCENE_STEPS_MAX];
    uint32_t
        comebacks; /* workers that went back to a checkpoint: what is there was made anew meanwhile */
    bool over;     /* somebody has done all, and all have come to the end: nobody dies any more */
    bool ending;   /* everybody dies: nobody comes again */
    bool quiet;    /* nothing goes wrong */
    uint32_t next_mishap, next_visit, life;
    const struct mishap *ends; /* everybody is to die of it; or NULL */
    uint64_t saved, restored;  /* checkpoints */
    uint64_t durable;          /* the newest generation that a worker was told is committed */
    uint64_t lost, doubled;    /* of rows that one push alone changes */
    /* What the tables hold at last. */
    float rows[SCENE_TABLES_MAX][SCENE_ROWS_MAX * SCENE_DIM_MAX];
};

struct outcome {
    bool failed;
    char why[1024];
    bool counted; /* what was to go wrong did, and pushes were acked before and after */
    uint64_t faults[FAULTS];
    uint64_t pushes, lost, doubled, saved, restored, back;
    int64_t virtual_us;
    uint64_t digest;
};

/* Plays a seed. */
void trial_run(uint64_t seed, bool verbose, struct outcome *out);

/* ---- worker.c: a coro's code ---- */
void worker_run(void *arg);
/* ---- model.c ---- */
/* What worker w has just read of rows of a table is what it must be, or the world has failed. */
void model_check(struct worker *w, uint32_t table, uint32_t n, const uint64_t *ids,
                 const float *rows);
/* Likewise of everything at last; want: of an undisturbed run, where bits count, or NULL. */
void model_check_all(struct trial *t, const struct trial *want);

/* ---- observer.c: reads everything into t->rows; a coro's code ---- */
void observer_run(void *arg);

/* Somebody else saves the job; a coro's code. */
void visitor_run(void *arg);

/* Whether a checkpoint may fail so: training goes on then. */
bool save_may_fail(const struct trial *t, rh_status s);
/* A checkpoint was saved: from now on it must be found. */
void save_note(struct trial *t, rh_client *c);

/* Its process has died: there will be another. */
void trial_revive(struct worker *k);

/* What worker and observer have in common: a client of their own. */
rh_status trial_connect(struct trial *t, struct node *n, bool observer, uint32_t succeeds,
                        rh_client **out);

/* A push was acked: what is to go wrong now does. */
void trial_acked(struct trial *t);

/* All have come to the end: nobody dies any more. */
void trial_is_over(struct trial *t);

/* A process that begins nearly at once. */
void trial_begin_client(struct trial *t, struct node *n, void (*run)(void *arg), void *arg);

#endif
