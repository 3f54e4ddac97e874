/* notes.h - what a shard writes down so that a later life of it comes to the same bits: everything that
 * changes it, in order, before it does. An ops table, since a shard knows no files. JOURNAL.md, section 1,
 * says what is written and why the rest need not be. */
#ifndef PS_NOTES_H
#define PS_NOTES_H

#include <stddef.h>
#include <stdint.h>

#include "common/buf.h"
#include "common/status.h"

/* Numbers of the file format. */
enum note_kind {
    NOTE_FRAME = 1,      /* a frame, as it came; of a HELLO the incarnation is filled in */
    NOTE_STATE = 2,      /* what a shard knows beside what a checkpoint has: notes_state_put */
    NOTE_GENERATION = 3, /* u32: the lead has begun a checkpoint */
    NOTE_STAGED = 4,     /* rows of a file that was read for a LOAD: notes_staged */
    NOTE_END = 5,        /* nothing: the server has ended in order */
    NOTE_KINDS_END
};

struct note {
    uint32_t kind;
    int64_t now_ms;    /* of the frame in hand */
    uint32_t answered; /* the status of the op before, so that who does it again can compare */
    const void *p;     /* (len) the caller's */
    size_t len;
};

/* What follows goes on from a checkpoint, or from nothing (name ""), as the shard stands now. */
struct note_base {
    bool cut; /* it is about to be written, and may never be whole; else it was put in place */
    uint32_t incarnation;
    uint64_t generation;
    const char *name;
    struct note state;
};

struct shard_notes {
    const struct shard_notes_ops *ops;
};

/* Called in the shard's thread. After a failure every further call fails. */
struct shard_notes_ops {
    /* RH_OK: it is there again whenever this process is killed from now on. RH_EIO: it is not. */
    rh_status (*take)(struct shard_notes *n, const struct note *note);
    /* The same, and it survives a loss of power. */
    rh_status (*begin)(struct shard_notes *n, const struct note_base *base);
};

#endif
