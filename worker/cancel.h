/* cancel.h - a refusal is whole: under bsp, where shards hold the ops of a clock, a call of which one shard
 * has refused a part is cancelled on all of them, so that no half of it is ever applied (PROTOCOL.md,
 * section 2). */
#ifndef WORKER_CANCEL_H
#define WORKER_CANCEL_H

#include "worker/op.h"

/* An operation that is over, and of which a shard has refused a part: it is to count for nothing, and
 * others may hold parts of it. */
bool cancel_concerns(const rh_op *op);

/* Puts the cancels of the client's refused operations in flight: before the clock ends, for they are
 * owed from here on, and before the lock is let go, so that no call returns earlier. A client that
 * cannot do so fails: it ends no clock any more. With the lock held, and not inside a link. */
void cancel_refused(rh_client *c);

#endif
