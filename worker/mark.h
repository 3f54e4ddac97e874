/* mark.h - this worker's position in a checkpoint: the op MARK, with its cursor. Marked at the end of a
 * clock, when the lead has asked for it in the tick's answer, or by rh_save. */
#ifndef WORKER_MARK_H
#define WORKER_MARK_H

#include "common/buf.h"
#include "proto/msg.h"
#include "worker/client.h"

enum { TICKS_BYTES_MAX = WIRE_SECTIONS_MAX * MSG_TICK_BYTES };

/* ticks.c: the counts of all tables that this worker has pushed to, *n of them. With the lock held.
 * RH_ELIMIT. */
rh_status ticks_put_counts(const rh_client *c, const char *what, struct buf *b,
                           uint16_t *n) MUST_CHECK;

/* The lead has asked for a mark that was not made. With the lock held. */
bool mark_is_wanted(const rh_client *c);

/* It is wanted, and no op of this clock stands before it but those that opened tables. */
bool mark_is_due(const rh_client *c);

/* Makes it, and opens the gate that the tick has left closed for it. A failure is the checkpoint's
 * alone: the servers name this worker as the one that is missing. */
void mark_after_tick(rh_client *c);

/* Marks as this worker stands now; does not wait for the answer. */
rh_status mark_now(rh_client *c, const char *what, uint32_t generation,
                   int64_t deadline_ms) MUST_CHECK;

/* A checkpoint that comes when this worker has gone has its last cursor. */
void mark_farewell(rh_client *c, int64_t deadline_ms);

/* Nothing has changed since this worker marked. With the lock held. */
bool mark_is_fresh(const rh_client *c);

#endif
