/* ckpt_shard.h - a shard to files, and back: what it knows goes into a manifest, its rows into one
 * file; and N files into a shard of M. A shard may go on while its file is written: its cut is what it
 * was at a moment. CHECKPOINT.md, section 4. */
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

/* ---- a cut: a shard at one moment, on its way to a file (ckpt_cut.c) ---- */

struct ckpt_cut;

/* The shard's thread. Takes the moment: touched bits, and what is frozen, are copied; rows are not. One
 * cut of a shard at a time. RH_EINVAL: this is no moment for a checkpoint; RH_ENOMEM. Nothing has
 * changed then. */
rh_status ckpt_cut_take(struct shard *s, struct ckpt_cut **out) MUST_CHECK;

/* ckpt_shard_manifest at that moment. Lives as long as the cut. */
const struct ckpt_manifest *ckpt_cut_manifest(const struct ckpt_cut *c);

/* Any one thread, once, while the shard goes on: writes the shard's file into a folder that is open, and
 * says what it has become. RH_EIO, RH_ENOMEM; the text is that thread's. The shard keeps a copy of each
 * row that it changes before this has come to it. Where copies would take more than the limit, the
 * shard's thread waits until this has come on, and before it resets, drops or initializes a table anew,
 * until this has passed the table. So begin it soon after ckpt_cut_take. If it does not come on for 30 s
 * while it is waited for, the shard goes on without it, and this is RH_EIO. */
rh_status ckpt_cut_write(struct ckpt_cut *c, const struct ckpt_fd *folder, uint64_t generation,
                         struct ckpt_file *out) MUST_CHECK;

/* Any thread: bytes of the file so far. */
uint64_t ckpt_cut_done_bytes(const struct ckpt_cut *c);

/* The shard's thread, after ckpt_cut_write has returned, or if it was never begun; before shard_free.
 * NULL is fine. */
void ckpt_cut_free(struct ckpt_cut **c);

/* Other bounds than 256 MiB and 30 s. Before the shard goes on. */
void ckpt_cut_limit(struct ckpt_cut *c, size_t copies_bytes, uint32_t stall_ms);

/* All of it, for a shard that stands still. */
rh_status ckpt_shard_write(struct shard *s, const struct ckpt_fd *folder, uint64_t generation,
                           struct ckpt_file *out) MUST_CHECK;

/* ---- the way back ---- */

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
