/* full_shard.h - a shard with one table, SparseAdam, every row of which was touched: what a checkpoint
 * is made of when a job has run for long. */
#ifndef TESTS_SUPPORT_FULL_SHARD_H
#define TESTS_SUPPORT_FULL_SHARD_H

#include <stdbool.h>
#include <stdint.h>

#include "ps/ckpt_io.h"
#include "tests/support/talker.h"

struct full_shard {
    struct memory_net net;
    struct shard *shard;
};

/* Weights are random; the optimizer's state is random, or zeros as in rows that were loaded and are
 * not updated yet. */
rh_status full_shard_new(uint64_t rows, uint32_t dim, bool zeros,
                         struct full_shard *out) MUST_CHECK;

/* One that has no table and no worker, to restore into. */
rh_status full_shard_empty(struct full_shard *out) MUST_CHECK;

/* It alone becomes a checkpoint, of generation 1, committed; and comes back into an empty one. */
rh_status full_shard_save(const struct full_shard *f, struct ckpt_io *io,
                          const char *name) MUST_CHECK;
rh_status full_shard_restore(struct full_shard *f, struct ckpt_io *io, const char *name) MUST_CHECK;

void full_shard_free(struct full_shard *f); /* fine on a zeroed one */

/* Of all bits of all rows and their state. */
uint64_t full_shard_digest(const struct full_shard *f);

#endif
