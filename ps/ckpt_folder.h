/* ckpt_folder.h - checkpoints as folders that are whole or absent: an attempt is begun, filled by
 * shards, and committed or abandoned. CHECKPOINT.md, section 1. Who begins, commits, abandons and
 * cleans is the lead alone; one attempt at a time in a root. */
#ifndef PS_CKPT_FOLDER_H
#define PS_CKPT_FOLDER_H

#include <stdint.h>

#include "common/status.h"
#include "ps/ckpt_io.h"
#include "ps/ckpt_manifest.h"

/* Makes the attempt's folder, having removed one that was left there. RH_EINVAL: the name; RH_EIO. */
rh_status ckpt_begin(struct ckpt_io *io, const char *name, struct ckpt_fd *folder) MUST_CHECK;

/* Opens the folder of an attempt that the lead has begun: for the shards that write into it.
 * RH_ENOTFOUND. */
rh_status ckpt_join(struct ckpt_io *io, const char *name, struct ckpt_fd *folder) MUST_CHECK;

/* All files are there, and m names them: writes the manifest and puts the attempt in place, of an
 * older checkpoint of that name too. Closes folder. On failure the attempt is removed, and what
 * stood under the name stands there still; but after a failed sync at the very end it may be either
 * of the two, whole. */
rh_status ckpt_commit(struct ckpt_io *io, const char *name, struct ckpt_fd *folder,
                      const struct ckpt_manifest *m) MUST_CHECK;

/* Removes the attempt; closes folder. Cannot fail: what stays is a leftover. The error text stays
 * too. */
void ckpt_abandon(struct ckpt_io *io, const char *name, struct ckpt_fd *folder);

/* Removes all leftovers in the root; *removed: how many (may be NULL). RH_EIO: the root cannot be
 * read or synced. */
rh_status ckpt_clean(struct ckpt_io *io, uint32_t *removed) MUST_CHECK;

/* Opens a checkpoint and reads its manifest. Close folder, and ckpt_manifest_fini. RH_EINVAL: the
 * name; RH_ENOTFOUND: there is none; RH_ECORRUPT, RH_EVERSION, RH_EIO, RH_ENOMEM. */
rh_status ckpt_open(struct ckpt_io *io, const char *name, struct ckpt_fd *folder,
                    struct ckpt_manifest *m) MUST_CHECK;

/* One of the root's checkpoints, whole or not. */
struct ckpt_seen {
    char name[CKPT_NAME_MAX + 1];
    rh_status status; /* of its manifest; what follows is 0 if it is not RH_OK */
    uint64_t generation, saved_unix_ms, clock, rows, bytes;
    uint32_t shards, tables;
};

/* All of them, newest first, then those whose manifest cannot be read. To be freed. */
rh_status ckpt_list(struct ckpt_io *io, struct ckpt_seen **out, uint32_t *n) MUST_CHECK;

/* The newest one's name, and the number that the next one gets; out may be NULL. RH_ENOTFOUND: there
 * is none (next is 1 then); RH_ECORRUPT and others: one of them cannot be read, so that nobody knows
 * which is the newest. */
rh_status ckpt_newest(struct ckpt_io *io, char out[CKPT_NAME_MAX + 1], uint64_t *next) MUST_CHECK;

#endif
