/*
 * frozen.h - what a client knows of a table's frozen rows, so that its pushes leave out what the
 * shards would drop. Not under bsp: there another worker may unfreeze a row in the same
 * clock, and then its gradients count. Not needed for a right result: the shards drop by themselves.
 *
 * Every answer of a shard tells how many freezes it has applied; what the client knows counts as
 * long as no shard has told another number since.
 */
#ifndef WORKER_FROZEN_H
#define WORKER_FROZEN_H

#include "worker/client.h"
#include "worker/plan.h"

#define FROZEN_UNKNOWN UINT64_MAX

/* True if a push of that clock may have something to leave out, or if there is news to ask for. */
static inline bool frozen_concerns(const rh_table *t, uint64_t clock) {
    return t->c->mode != RH_MODE_BSP && (t->told != t->c->freezes || clock < t->opens);
}

/* Takes out of the plan what is surely frozen in that clock. Asks the shards if there is news, and
 * does not wait for their answer: the plan stays whole then. Not locked; cannot fail. */
void frozen_thin(rh_table *t, uint64_t clock, struct plan *plan);

/* Asks the shards, and waits for the answer until deadline_ms. Not locked. That nobody answers is no
 * failure here: pushes are sent whole then. */
void frozen_ask(rh_table *t, int64_t deadline_ms);

/* Nothing is known any more: the job was restored. With the lock held. */
void frozen_renew(rh_table *t);

/* For client_free: the memory. */
void frozen_forget(rh_table *t);

#endif
