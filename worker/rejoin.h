/*
 * rejoin.h - into a job, whatever has become of it. A client looks at all shards; where a server has died,
 * or somebody has left a restore half done, it puts the job right (rewind.h), and looks again, until all
 * shards are of one moment: then it joins. PROTOCOL.md, section 3, Going back.
 */
#ifndef WORKER_REJOIN_H
#define WORKER_REJOIN_H

#include "worker/client.h"

/*
 * Joins, for the first time or as a client that was never in a job: what is in flight ends as RH_EROLLBACK
 * with that text. heals: it puts right what it finds; else it comes in wherever the shards are. No other
 * thread has an operation, or begins one. timeout_ms (negative: op_timeout_ms) is that of the last
 * progress. On failure it is in no job; the text names the shard.
 */
rh_status rejoin(rh_client *c, const char *text, int timeout_ms, bool heals) MUST_CHECK;

/* The job has gone back to a checkpoint: joins it anew, and finds the tables again. c->renewing keeps other
 * threads out. On failure the client stays rolled back. */
rh_status rejoin_anew(rh_client *c, const char *what, const char *text) MUST_CHECK;

/* For rh_cursor: the client comes back if it was rolled back, or another thread of it does. */
rh_status rejoin_if_rolled_back(rh_client *c, const char *what) MUST_CHECK;

#endif
