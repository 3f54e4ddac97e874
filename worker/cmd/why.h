/* why.h - who waits for whom in a live job, in sentences: for `rowhouse status`. */
#ifndef CMD_WHY_H
#define CMD_WHY_H

#include "worker/facts.h"

enum { WHY_TEXT = 320 };

/* What worker `rank` has waited longest for, at any of n shards: the sentence into out, and where and
 * what it is. False: it waits for nothing. */
struct why {
    const struct facts_shard *at;
    const struct msg_member_facts *who;
    char text[WHY_TEXT];
};
bool why_waits(const struct facts_shard *shards, uint32_t n, uint32_t rank, struct why *out);

/* How long ago that shard has heard of a worker, in ms; -1: never. */
int64_t why_silent_ms(const struct facts_shard *at, uint32_t rank);

/* The checkpoint that the shard saves, and the one that it restores; "" if there is none. */
void why_saves(const struct facts_shard *f, char out[WHY_TEXT]);
void why_restores(const struct facts_shard *f, char out[WHY_TEXT]);

#endif
