/* outfile.h - a file that appears whole or not at all: written beside its place, synced, renamed
 * into it, the folder synced. Until commit, and after any failure before the rename, what stood in
 * its place stands there still. One thread at a time. */
#ifndef COMMON_OUTFILE_H
#define COMMON_OUTFILE_H

#include <stddef.h>
#include <stdio.h>

#include "common/status.h"

struct outfile {
    FILE *f;
    char *path, *tmp;
    int failed; /* errno of the first write that failed, else 0 */
};

/* Starts path.PID.tmp. RH_EIO; RH_EINVAL if path is there and no regular file (renaming over
 * /dev/null would replace it). On failure there is nothing to abandon. */
rh_status outfile_create(struct outfile *o, const char *path) MUST_CHECK;

/* RH_EIO, now and in every later call: a failed write is never forgotten. */
rh_status outfile_write(struct outfile *o, const void *p, size_t len_bytes) MUST_CHECK;

/* Makes the file appear. RH_EIO names the step that failed; the tmp is then gone. *o is over either
 * way. */
rh_status outfile_commit(struct outfile *o) MUST_CHECK;

/* Removes the tmp. Also for an outfile that is all zeros or over. */
void outfile_abandon(struct outfile *o);

#endif
