/*
 * client.h - the inside of a client: its sessions, its lock, and who drives the net. A caller that
 * waits drives the net itself, so that a pull costs no thread hand-off; while nobody waits, a
 * background thread does, so that beats, resends and queued frames go on while the application
 * computes. A net in memory ("local:") needs neither waiting nor thread.
 */
#ifndef WORKER_CLIENT_H
#define WORKER_CLIENT_H

#include "worker/rowhouse.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "common/err.h"
#include "proto/net.h"
#include "proto/roster.h"
#include "proto/spec.h"
#include "worker/link.h"

/* What the client knows of time. Tests put one of their own in its place. */
struct client_time {
    int64_t (*now_ms)(void *arg);
    /* For nets in memory: nothing can come before until_ms. */
    void (*pause)(void *arg, int64_t until_ms);
    void *arg;
};

extern const struct client_time client_real_time;

struct rh_table {
    struct rh_client *c;
    struct rh_table *next;
    uint32_t number;
    char name[WIRE_NAME_MAX + 1];
    struct spec spec;
    _Atomic double lr;           /* of this worker's next pushes */
    atomic_uint_fast64_t pushes; /* t_w: calls of this worker that pushed to it */
    atomic_uint_fast64_t thaws;  /* pushes of clocks below it are dropped, as far as we know */
    uint32_t pushed;             /* calls of this clock that have. Under the client's lock */
    bool dropped;                /* likewise: its name, if it is open again, is another handle's */
    atomic_bool lost;            /* by a restore: its number may be another table's */

    /* frozen.c's: which rows a push may leave out. */
    atomic_uint_fast64_t told; /* the client's freezes when the shards told it, or FROZEN_UNKNOWN */
    atomic_uint_fast64_t opens; /* no row is frozen from that clock on, by what was told */
    struct frozen *frozen,
        *coming;          /* under the client's lock: what was told, and is being told ... */
    struct rh_op *asking; /* ... by this operation, or NULL */
};

struct rh_client {
    /* settled by rh_connect */
    pid_t pid; /* of the process that connected: a forked child has no threads and no sockets */
    uint32_t rank, world, shards;
    enum rh_mode mode;
    bool observer;
    int op_timeout_ms;
    rh_interrupted *interrupted; /* asked by calls of the thread that connected; or NULL */
    void *interrupted_arg;
    pthread_t connector;
    uint64_t job;
    uint32_t part_bytes; /* rows in one frame, at most WIRE_ROWS_MAX */
    struct client_time time;
    struct roster roster; /* the shards' addresses */
    struct net *net;
    int fd; /* of the net; -1: in memory */

    pthread_mutex_t lock;   /* guards everything below, and the net */
    pthread_cond_t changed; /* something that callers wait for has happened, or nobody drives */
    pthread_cond_t rest;    /* the background thread's */
    pthread_t thread;
    bool has_thread, closing;
    uint32_t waiters;  /* callers in client_wait */
    bool polling;      /* one of them polls the net */
    bool news;         /* an operation was over since the last broadcast */
    int64_t driven_ms; /* when a caller drove last */

    struct link *links;           /* (shards) */
    atomic_uint_fast32_t freezes; /* the sum of theirs; wraps at 2^32. Read without the lock */
    rh_status failed;             /* not RH_OK: a session is over, and every call returns this */
    uint32_t failed_shard;
    char failed_text[ERR_TEXT_MAX];

    uint64_t clock; /* how many this worker has ended */
    uint32_t call;  /* calls of this clock, */
    uint32_t opens; /* of which the first so many opened tables */
    bool gate;      /* the clock is being ended: new ops wait */
    /* A thread is inside rh_tick or rh_close, rh_table_open, rh_barrier, a load by the shards, rh_save or
     * rh_restore: others take turns. */
    bool ending, opening, passing, loading, saving;
    uint32_t loads;        /* by the shards, begun */
    uint64_t load_steps;   /* answered: progress */
    struct rh_op *tick;    /* in flight since a tick timed out, or NULL */
    struct rh_op *barrier; /* likewise */
    uint32_t barriers;     /* begun */
    uint8_t *cursor;       /* (cursor_len) for the next mark; NULL: as it was */
    uint32_t cursor_len;
    uint32_t marked; /* generation of the last checkpoint that this worker has marked; 0: none, or
                              its cursor has changed since. Where it stood then: */
    uint64_t marked_clock;
    uint32_t marked_call;
    rh_status owed_status; /* the first refusal of an op that nobody waited for any more */
    char owed_text[ERR_TEXT_MAX];

    /* A thread is about to join the job anew, since it has gone back to a checkpoint: other threads'
     * calls fail. */
    bool renewing;
    pthread_t renewer;
    uint32_t unbegun; /* operations that are made, and not in flight yet */

    struct rh_table *tables;
    struct rh_param *params;
    struct rh_op *live, *spare; /* operations in use, and kept for use */
    struct rh_op *refused;      /* of which some shards may hold a part: see cancel.c */
    uint32_t spares;
    struct rh_batch *batches;
};

/* Frames that were sent have this long to leave when the client is freed. */
enum { CLIENT_LINGER_MS = 1000 };

/* A client without sessions. It takes net and what roster points to, unless it is NULL: no memory. */
rh_client *client_new(struct net *net, const struct roster *roster, const struct client_time *time);

/* Nothing for a net in memory needs one. */
rh_status client_start_thread(rh_client *c) MUST_CHECK;

/* Stops the thread and frees everything, without a word to the shards. NULL is fine. */
void client_free(rh_client *c);

/* ---- for every public function ---- */

/* Locks. RH_EINVAL in a forked child, or as client_may: then it is not locked. */
rh_status client_enter(rh_client *c) MUST_CHECK;

/* The same for those that need no lock yet. */
rh_status client_check(const rh_client *c) MUST_CHECK;

/* Takes in what has come meanwhile (the net's fd is edge-triggered), wakes whom it concerns, and
 * unlocks. Passes status on. */
rh_status client_leave(rh_client *c, rh_status status);

/* ---- with the lock held ---- */

int64_t client_now(const rh_client *c);

/* Hands what has come to the links. */
void client_drain(rh_client *c);

/* Waits until over(arg), or the client has failed, or deadline_ms; driving the net, or letting
 * another caller drive it. What over() says. The lock is released meanwhile. */
bool client_wait(rh_client *c, bool (*over)(const void *arg), const void *arg, int64_t deadline_ms);

/* Waits until *flag is false; true if it is. */
bool client_wait_turn(rh_client *c, const bool *flag, int64_t deadline_ms);

/* As client_wait, for what other threads do without a word to the net. */
bool client_wait_others(rh_client *c, bool (*over)(const void *arg), const void *arg,
                        int64_t deadline_ms);

/* What the client has failed with, for this thread. */
rh_status client_failed(const rh_client *c);

/* What the client has failed with, or RH_EROLLBACK: another thread is joining the job anew. */
rh_status client_may(const rh_client *c) MUST_CHECK;

/* From now on it has failed with this; every operation in flight is done with it. */
void client_fail(rh_client *c, uint32_t shard, rh_status status, const char *text);

/* A random number that is not 0. */
uint32_t client_draw(const rh_client *c);

/* The deadline of timeout_ms from now; negative: the client's op_timeout_ms. */
int64_t client_deadline(const rh_client *c, int timeout_ms);

#endif
