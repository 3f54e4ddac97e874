/* server.h - the edge around the shards of one process: a thread, a net and a port for each. Owns what the state machine may
 * not: sockets, threads, the clock. */
#ifndef PS_SERVER_H
#define PS_SERVER_H

#include <stdbool.h>
#include <stdint.h>

#include "common/status.h"
#include "proto/roster.h"
#include "ps/shard.h"

struct server;

struct journals;

struct server_options {
    /* "tcp://127.0.0.1:7700"; further shards take the next ports ("*": free ones). Or one for each,
     * comma-separated. */
    const char *listen;
    uint32_t shards;          /* how many shards this process serves */
    int64_t stuck_timeout_ms; /* a thread that is stuck for so long ends the process; 0: never */
    int insecure;             /* listen beyond this host without encryption */
};

/* Binds one address per shard; nothing is answered yet. RH_EINVAL, RH_EIO. */
rh_status server_open(const struct server_options *o, struct server **out) MUST_CHECK;

/* (o.shards) the addresses to give to others, in shard order. */
const char *const *server_addresses(const struct server *s);

/* Makes the shards. base: what all share, and the number of the first. Tasks that they give away get
 * a thread of their own, one for each shard at a time. journals: where they were looked for, and what is
 * written then; it outlives the shards. NULL: none. */
rh_status server_make(struct server *s, const struct shard_config *base,
                      struct journals *journals) MUST_CHECK;

/* The i-th shard of this process, which nobody speaks to yet. */
struct shard *server_shard(struct server *s, uint32_t i);

/* Starts a thread per shard: from now on they answer. */
rh_status server_start(struct server *s) MUST_CHECK;

/* Ends the process with SIGABRT when a shard's thread is stuck (watch.h): a supervisor starts it again.
 * Waits until every shard is finished, or a signal of the blocked set (SIGTERM, SIGINT) comes. Returns that signal, or 0. */
int server_wait(struct server *s);

/* True once every shard is, before server_close: the job is over. */
bool server_finished(const struct server *s);

/* Stops the threads (a stuck one ends the process, as above), waits for tasks that run, lets answers leave, frees. */
void server_close(struct server **s);

#endif
