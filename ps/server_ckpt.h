/* server_ckpt.h - the checkpoints of a server process: the folder that they are in, and the one that its
 * shards begin with. */
#ifndef PS_SERVER_CKPT_H
#define PS_SERVER_CKPT_H

#include <stdbool.h>

#include "common/status.h"
#include "ps/ckpt_io.h"
#include "ps/server.h"

struct server_ckpt {
    const char *dir;     /* --checkpoint-dir; NULL: none */
    const char *restore; /* a name, "latest", or NULL: begin empty */
    bool read_only;      /* only serve what was restored */
};

/* Whether these go together, and opens the folder. Made if it is not there, but not where something
 * is restored from it: then it would be a wrong path. *out: NULL if there is none. RH_EINVAL. */
rh_status server_ckpt_open(const struct server_ckpt *k, struct ckpt_io **out) MUST_CHECK;

/* Fills the server's shards (n), which nobody speaks to yet, in parallel: all of what they need was
 * read and found good, or it fails. RH_ENOTFOUND, RH_ECORRUPT and others name the file. */
rh_status server_ckpt_restore(const struct server_ckpt *k, struct ckpt_io *io, struct server *s,
                              uint32_t n) MUST_CHECK;

/* The newest generation in the folder that can be read; 0: there is none. */
uint64_t server_ckpt_generation(struct ckpt_io *io);

/* Shards that take the place of lost ones, in a job that began when the folder's newest checkpoint was of
 * this generation. Shards that are only read have lost nothing: they begin as they did at first. */
void server_ckpt_rejoin(const struct server_ckpt *k, uint64_t generation, struct shard_config *c);

/* Removes what attempts to save have left behind when they died. Of one process only, and while
 * nobody saves there. A failure is logged. */
void server_ckpt_clean(struct ckpt_io *io);

#endif
