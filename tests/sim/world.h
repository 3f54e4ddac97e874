/* world.h - time and what happens in it. One thread plays shards and workers: events in the order of
 * virtual time, and nothing that is not drawn from the seed. A node is one process: it has a clock
 * of its own, which may jump, and may be frozen, as by SIGSTOP, or dead. */
#ifndef TESTS_SIM_WORLD_H
#define TESTS_SIM_WORLD_H

#include <stdbool.h>
#include <stdint.h>

#include "common/rng.h"
#include "proto/frame.h"
#include "tests/sim/coro.h"

enum { SIM_SHARDS_MAX = 3, SIM_WORKERS_MAX = 6, SIM_CLIENTS_MAX = SIM_WORKERS_MAX + 2 };

/* What goes wrong. */
enum fault {
    FAULT_LOST,
    FAULT_DOUBLED,
    FAULT_LATE,
    FAULT_CUT,
    FAULT_PAUSE,
    FAULT_JUMP,
    FAULT_DISK,
    FAULT_WORKER, /* dies */
    FAULT_SHARD,  /* likewise */
    FAULT_KILL,   /* all of them at once */
    FAULT_POWER,  /* likewise, and what was not synced */
    FAULTS
};
extern const char *const fault_names[FAULTS];

struct world;
struct node;

struct event {
    int64_t at_us;
    uint64_t turn; /* of equal times the first that was made goes first */
    void (*run)(struct world *w, const struct event *e);
    struct node *node;   /* it waits while this one is frozen; NULL */
    uint32_t a, b;       /* for run */
    void *arg;           /* likewise */
    struct frame *frame; /* likewise; the event has a reference. NULL */
};

/* A frame that a client has not taken in yet. */
struct mail {
    struct frame *frame;
    uint32_t peer;
};

struct node {
    struct world *w;
    char name[16];
    uint32_t number;   /* of the shard; of the client: its rank, or above all ranks */
    int64_t ahead_us;  /* its clock is so far before that of the world */
    int64_t frozen_us; /* until then */
    bool dead;
    int64_t dead_ms;  /* what a dead client's clock says: all its waits are over at once */
    uint32_t dies_in; /* this many frames that it sends are its last; 0: none are */

    /* a client */
    struct coro *coro;
    bool waits;
    uint32_t wake; /* the number of the wait */
    struct mail *mail;
    uint32_t mail_first, mail_n, mail_cap;
};

struct world {
    uint64_t seed;
    int64_t now_us, end_us; /* nobody may need longer */
    struct event *heap;
    uint32_t n, cap;
    uint64_t turns;
    bool verbose;
    bool failed;
    char why[1024];
    uint64_t acked; /* pushes */
    uint64_t faults[FAULTS];
    uint64_t acked_first, acked_last; /* when the first fault came, and the last one */
    uint64_t digest; /* of all that was sent: two runs of a seed are the same run */
};

void world_init(struct world *w, uint64_t seed, bool verbose);
/* What has not happened does not. */
void world_fini(struct world *w);

/* e happens in delay_us from now. It takes the reference to its frame. */
void world_add(struct world *w, int64_t delay_us, struct event e);

/* The next event. False: there is none, or the world has failed, or its end has come: that is a
 * failure too, which the caller may tell of better. */
bool world_step(struct world *w);

/* The first failure stays. */
void world_fail(struct world *w, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

/* Something goes wrong now. */
void world_note(struct world *w, enum fault f);

/* A line of the trace, where one is wanted. n: who, or NULL. */
void world_say(const struct world *w, const struct node *n, const char *fmt, ...)
    __attribute__((format(printf, 3, 4)));

/* ---- nodes ---- */

void node_init(struct node *n, struct world *w, const char *kind, uint32_t number);
void node_fini(struct node *n);

int64_t node_now_ms(const struct node *n);

/* In a client's coro: until the node's clock says until_ms, or there is mail. */
void node_pause(struct node *n, int64_t until_ms);

/* It wakes in a little while, if it waits. */
void node_wake(struct node *n, int64_t delay_us);

void node_mail(struct node *n, uint32_t peer, struct frame *f); /* takes the reference */
bool node_take_mail(struct node *n, struct mail *out);
void node_drop_mail(struct node *n);

/* From now on nothing that it sends leaves. Its coro, if it has one, comes to its end when it is
 * resumed. */
void node_kill(struct node *n);

#endif
