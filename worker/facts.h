/*
 * facts.h - what shards tell of themselves and of their tables: for rh_table_info, and for the
 * commands that look at a live job. Not exported.
 */
#ifndef WORKER_FACTS_H
#define WORKER_FACTS_H

#include "proto/msg.h"
#include "worker/client.h"

struct facts_shard {
    struct msg_shard_facts shard;
    struct msg_member_facts *members; /* (shard.members) */
    uint32_t pid;
    struct msg_in_hand in_hand;
};

/* Asks one shard about itself. */
rh_status facts_ask_shard(rh_client *c, uint32_t shard, struct facts_shard *out) MUST_CHECK;
void facts_fini_shard(struct facts_shard *f);

/* One table, all shards taken together. */
struct facts_table {
    struct msg_table_facts table; /* steps is the largest, the other counts are sums */
    uint32_t shards; /* how many know it; fewer than there are while it is being made */
};

/* Every table, by number. *out is the caller's to free. */
rh_status facts_ask_tables(rh_client *c, struct facts_table **out, uint32_t *n) MUST_CHECK;

/* One table by its number. RH_ENOTFOUND. */
rh_status facts_ask_table(rh_client *c, uint32_t number, struct facts_table *out) MUST_CHECK;

/* What all shards together have seen of a table: the largest of each. */
struct facts_life {
    uint64_t steps, touched, held; /* touched and held are sums */
    uint32_t turn;
    uint64_t *pushes; /* (workers) by rank: t_w */
    uint32_t workers;
};

rh_status facts_ask_life(rh_client *c, uint32_t number, int64_t deadline_ms,
                         struct facts_life *out) MUST_CHECK;
void facts_fini_life(struct facts_life *l);

/* Parameters that the table has, and those that a push may change. */
uint64_t facts_parameters(const struct facts_table *t);
uint64_t facts_trainable(const struct facts_table *t);

#endif
