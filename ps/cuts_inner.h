/* cuts_inner.h - what the files that make checkpoints of the running job ask of each other: cuts.c (frames
 * about them), cuts_begin.c (the lead begins one), cuts_attempt.c (the attempt in hand). */
#ifndef PS_CUTS_INNER_H
#define PS_CUTS_INNER_H

#include "ps/shard_inner.h"

static inline bool cut_is_lead(const struct shard *s) {
    return s->cfg.shard == 0;
}

static inline bool cut_in_hand(const struct cut *c) {
    return c->phase == MSG_GATHERING || c->phase == MSG_WRITING || c->phase == MSG_WRITTEN;
}

/* ---- cuts.c ---- */
/* It waits at a barrier, and will not mark. */
bool cuts_is_stuck(const struct shard *s, const struct session *w);
/* Answers of how far the attempt in hand is; that none can be had now, since this rank is waited for. */
void cuts_say_how_far(struct shard *s, uint32_t peer, const struct head *h);
void cuts_say_busy(struct shard *s, uint32_t peer, const struct head *h, uint32_t waiting_for);
/* What has become of one that was begun some time ago. */
void cuts_say_become(struct shard *s, uint32_t peer, const struct head *h, uint32_t generation);

/* ---- cuts_begin.c ---- */
/* SAVE with generation 0, at the lead; the name is good. w NULL: an observer. */
void cuts_want(struct shard *s, struct session *w, uint32_t peer, const struct head *h,
               const struct msg_save *m);

/* ---- cuts_attempt.c ---- */
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
