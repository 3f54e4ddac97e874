/* ckpt_shard.h - a shard to files, and back: what it knows goes into a manifest, its rows into one
 * file; and N files into a shard of M. The shard stands still meanwhile. CHECKPOINT.md, section 4. */
#ifndef PS_CKPT_SHARD_H
#define PS_CKPT_SHARD_H

#include "common/status.h"
#include "ps/ckpt_file.h"
#include "ps/shard.h"
#include "ps/table.h"

/* What this shard knows that is the same on all: the job, its tables, its workers. No files, no
 * cursors, generation and time 0: the lead's to say. RH_ENOMEM. RH_EINVAL: the shard has ops that no
 * file will hold (a clock is open), or lacks a table: this is no moment for a checkpoint. */
rh_status ckpt_shard_manifest(const struct shard *s, struct ckpt_manifest *out) MUST_CHECK;

/* Writes this shard's file into a folder that is open, and says what it has become. */
rh_status ckpt_shard_write(const struct shard *s, const struct ckpt_fd *folder, uint64_t generation,
                           struct ckpt_file *out) MUST_CHECK;

struct ckpt_cut;
rh_status ckpt_cut_take(struct shard *s, struct ckpt_cut **out) MUST_CHECK;
rh_status ckpt_cut_write(struct ckpt_cut *c, const struct ckpt_fd *folder, uint64_t generation,
                         struct ckpt_file *out) MUST_CHECK;
uint64_t ckpt_cut_done_bytes(const struct ckpt_cut *c);
void ckpt_cut_free(struct ckpt_cut **c);

/* Fills a shard that has no worker and no table yet (RH_EINVAL otherwise) with its part of checkpoint
 * `name`, of this job or another's. On failure it is as it was. Files of which it needs nothing
 * must be there all the same, with the right size. Every worker of the world is waited for, also one
 * that had said goodbye. RH_ENOTFOUND, RH_ECORRUPT, RH_EIO, RH_ENOMEM. */
rh_status ckpt_shard_restore(struct shard *s, const struct ckpt_fd *folder,
                             const struct ckpt_manifest *m, const char *name) MUST_CHECK;

/* One table (not a dropped one) as shard `shard` of `shards` has it: for those who want no whole shard.
 * state: optimizer state too. */
rh_status ckpt_table_load(const struct ckpt_fd *folder, const struct ckpt_manifest *m,
                          uint32_t number, uint32_t shard, uint32_t shards, bool state,
                          struct table **out) MUST_CHECK;

#endif
