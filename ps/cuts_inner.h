/* cuts_inner.h - what cuts.c (frames about checkpoints) asks of cuts_attempt.c (the attempt in hand). */
#ifndef PS_CUTS_INNER_H
#define PS_CUTS_INNER_H

#include "ps/shard_inner.h"

static inline bool cut_is_lead(const struct shard *s) {
    return s->cfg.shard == 0;
}

static inline bool cut_in_hand(const struct cut *c) {
    return c->phase == MSG_GATHERING || c->phase == MSG_WRITING || c->phase == MSG_WRITTEN;
}

/* The folder of a checkpoint: begun by the lead, joined by the others. */
rh_status cut_work_new(struct shard *s, const char *name, struct cut_work **out) MUST_CHECK;

/* From now on this one is in hand, and gathers marks. name "": not heard yet. */
void cut_begin(struct shard *s, uint32_t generation, const char *name);

/* Training goes on; err_text says why. */
void cut_give_up(struct shard *s, rh_status status);

/* A worker that is here and has not marked, and of which nothing is heard; or WIRE_NOBODY. */
uint32_t cut_silent(const struct shard *s);

/* MSG_WRITING: how far the file is. */
uint64_t cut_done_bytes(const struct cut *c);

/* MSG_WRITTEN, at the lead: puts the checkpoint in place. The manifest is whole. */
bool cut_is_committing(const struct cut *c);
void cut_commit(struct shard *s);

#endif
