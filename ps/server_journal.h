/* server_journal.h - the journals of a server process: one for each of its shards, in one folder, and a
 * thread that syncs them now and then. */
#ifndef PS_SERVER_JOURNAL_H
#define PS_SERVER_JOURNAL_H

#include "common/status.h"
#include "ps/server.h"

struct server_journal {
    const char *dir;  /* --journal; NULL: none */
    const char *sync; /* --journal-sync: "never", "always", or milliseconds */
};

struct journals;

/* Whether the settings make sense, and opens the folder, made if need be. *out: NULL if there is none.
 * RH_EINVAL. */
rh_status journals_open(const struct server_journal *k, struct journals **out) MUST_CHECK;

/* Looks for the journals of these shards; before server_make. *found: an earlier life of each is there.
 * RH_EINVAL: of some of them only, where they are to begin with a checkpoint (restore). */
rh_status journals_look(struct journals *k, const struct shard_config *base, uint32_t n,
                        bool restore, bool *found) MUST_CHECK;

/* The net of the i-th shard. */
struct net *journals_net(struct journals *k, uint32_t i, struct net *under);
struct journal *journals_of(struct journals *k, uint32_t i);

/* After server_make, and after what is to be restored is: brings the shards to where they were, in
 * parallel, or begins their journals; then starts the syncing. */
rh_status journals_begin(struct journals *k, struct server *s) MUST_CHECK;

/* The end, in order, when no shard runs any more. finished: the job is over, and its journals go. NULL is
 * fine. */
void journals_close(struct journals **k, bool finished);

#endif
