/* shard.h - one shard: a deterministic state machine. Frames and the time go in; frames come out
 * through a net. It opens no socket, reads no clock, draws no random number and takes no lock: one
 * thread owns it. What a frame may ask is PROTOCOL.md. */
#ifndef PS_SHARD_H
#define PS_SHARD_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "common/status.h"
#include "proto/frame.h"
#include "proto/net.h"
#include "ps/ckpt_io.h"
#include "ps/notes.h"
#include "ps/source.h"

struct shard;

/* Work that a shard gives away, because it takes its time: files. run is called once, in whatever
 * thread; it may not touch the shard. Then done is true, and t is the shard's again. */
struct shard_task {
    void (*run)(struct shard_task *t);
    bool yields; /* where processors are scarce, others go before it */
    atomic_bool done;
};

/* Runs it, here and now. */
static inline void shard_task_run(struct shard_task *t) {
    t->run(t);
    atomic_store(&t->done, true);
}

struct shard_config {
    uint32_t shard, shards;
    uint32_t incarnation;  /* differs from that of any earlier life of this shard; not 0 */
    uint32_t world;        /* workers of the job; 0: the first hello says */
    uint64_t job;          /* XXH3-64 of the job's name */
    uint32_t credit_bytes; /* granted to each worker */
    uint64_t hold_bytes;   /* bsp: at most so much is held for clocks that are open */
    uint64_t memory_bytes; /* of rows, with their optimizer state; 0: no limit */
    bool no_sums;          /* answers need no body sums: the transport is memory */
    uint32_t pid;          /* for facts */
    struct source *source; /* of the files that it reads itself; outlives it. NULL: it reads none */

    struct shard_notes
        *notes; /* what it writes down before it changes; outlives it. NULL: nothing */

    struct ckpt_io *ckpt; /* the folder of its checkpoints; outlives it. NULL: it has none */
    int64_t unix_ms;      /* of the moment 0 of the time that frames come with: for people */
    uint32_t
        worker_timeout_ms; /* who waits for a worker that is silent for so long is refused; 0: waits */
    uint32_t cut_timeout_ms; /* how long a checkpoint waits for the marks of all workers */
    bool read_only;          /* refuses every change */

    /* It takes the place of one that died, and what that one had is lost: a client fills it. The lead
     * must know which checkpoints are of this job: those newer than this generation, which was the newest
     * in the folder when the job began; and which one the job has begun with (NULL: none). */
    bool rejoins;
    uint64_t rejoin_generation;
    const char *began_with; /* outlives it */

    /* Runs a task, now or in a thread of its own; it must be over before shard_free. One at a time:
     * the one before is done. NULL: now. */
    void (*start)(void *arg, struct shard_task *t);
    void *start_arg;
};

/* Fills *c with the defaults: shard 0 of 1, incarnation 1, credit 8 MiB, 1 GiB of held ops, 10 s for the
 * marks. */
void shard_config_init(struct shard_config *c);

/* net must outlive the shard; answers are made from its pool and sent through it. */
rh_status shard_new(const struct shard_config *c, struct net *net, struct shard **out) MUST_CHECK;
void shard_free(struct shard **s);

/* Handles one frame from a peer. The caller keeps its reference; the shard takes its own of what it
 * holds. */
void shard_frame(struct shard *s, uint32_t peer, struct frame *f, int64_t now_ms);

/* It refuses every request from now on, but for a RESTORE, since what it takes could not be written
 * down; err_text says why. */
void shard_break(struct shard *s, rh_status status);

/* True once the world was known from the start and every worker of it has come and said goodbye. */
bool shard_finished(const struct shard *s);

#endif
