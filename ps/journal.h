/* journal.h - a shard's journal: files that hold everything which changes the shard, so that a later life
 * comes to the same bits and sessions, and workers notice a pause. JOURNAL.md is the format's law.
 *
 * One thread, the shard's, owns a journal; journal_sync alone may be called from another. */
#ifndef PS_JOURNAL_H
#define PS_JOURNAL_H

#include <stdbool.h>
#include <stdint.h>

#include "common/status.h"
#include "ps/ckpt_io.h"
#include "ps/shard.h"

struct journal;

/* When what was written is also on the disk. Numbers of the file format. */
enum journal_mode { JOURNAL_NEVER = 0, JOURNAL_SOON = 1, JOURNAL_ALWAYS = 2 };

struct journal_options {
    struct ckpt_io *io;   /* the folder of journals; outlives it */
    struct ckpt_io *ckpt; /* that of checkpoints; NULL: none */
    uint64_t job;
    uint64_t boot; /* a number of the time since the machine was started; 0: not known */
    uint32_t shard, shards;
    enum journal_mode mode;
};

/* What was found. */
struct journal_report {
    bool found;          /* an earlier life is in it; else the rest is 0 */
    uint64_t generation; /* of the checkpoint that it goes on from; 0: from nothing */
    char name[65];
    uint64_t records;
    uint64_t cut_bytes; /* a torn end that is passed over */
    bool may_have_lost; /* acked ops, too: the machine was stopped before they were on its disk */
};

/* Looks at what there is; nothing is changed. RH_ECORRUPT, RH_EVERSION, RH_EMISMATCH (another job's, or of
 * another number of shards), RH_EIO, RH_ENOMEM. */
rh_status journal_open(const struct journal_options *o, struct journal **out) MUST_CHECK;
bool journal_found(const struct journal *j);

/* The net that the shard answers through: `under`, but answers may wait for the disk. */
struct net *journal_net(struct journal *j, struct net *under);

/* Brings a shard that is new to where the earlier life was; it is that life's incarnation again, or the
 * next one where acked ops may be lost. From now on the shard writes down here what changes it. RH_ENOTFOUND,
 * RH_ECORRUPT: the checkpoint or a record; the shard may be half filled then. */
rh_status journal_replay(struct journal *j, struct shard *s, int64_t now_ms,
                         struct journal_report *out) MUST_CHECK;

/* There was nothing: begins with the shard as it stands, empty or just restored. */
rh_status journal_begin(struct journal *j, struct shard *s) MUST_CHECK;

/* Any thread: what was written so far is on the disk. A failure is final. */
rh_status journal_sync(struct journal *j) MUST_CHECK;

/* Before the shard's thread sleeps: syncs if answers wait, and lets them go. *sent: some have gone. After a
 * failure: shard_break. */
rh_status journal_flush(struct journal *j, bool *sent) MUST_CHECK;
bool journal_is_full(const struct journal *j); /* many answers wait: flush now */

/* The end, in order. finished: nobody comes again, and the files are removed. NULL is fine. */
void journal_close(struct journal **j, bool finished);

#endif
