/* snapshot.h - one table's rows as they stood at a moment, while the table goes on. At that moment bits
 * are copied, and no row. Then one thread, the reader, walks the rows in order, while the table's thread
 * keeps a copy of each row that it is about to write and that the reader has not come to. Knows
 * stores; no ids, no files. */
#ifndef PS_SNAPSHOT_H
#define PS_SNAPSHOT_H

#include <pthread.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/status.h"
#include "ps/store.h"

struct snapshot;
struct snapshot_block;

#define SNAPSHOT_COPIES_BYTES ((size_t)256 << 20)
enum { SNAPSHOT_STALL_MS = 30000 };

/* What the snapshots of one moment share: a lock, which is held while rows are copied and never while
 * they are packed or written to a disk, and the memory for copies. */
struct snapshot_set {
    /* may be changed before a table goes on */
    size_t limit_bytes; /* of copies. Where they would take more, the table's thread waits for the
                           reader */
    uint32_t stall_ms;  /* a reader that is waited for so long, and does not come on, is given up */

    pthread_mutex_t lock;
    pthread_cond_t came_on; /* signalled if awaited */
    uint64_t steps;         /* of the reader */
    bool awaited, over, given_up;
    uint8_t *memory;             /* (limit_bytes) NULL: no copy so far */
    size_t used_bytes;           /* of memory, ever */
    struct snapshot_block *idle; /* (n_idle) and of these, what the reader has given back */
    size_t n_idle;
};

void snapshot_set_init(struct snapshot_set *g);
void snapshot_set_fini(struct snapshot_set *g); /* its snapshots are freed */

/* The reader has all that it wants, or has failed: nothing is copied, and nobody waits, any more. */
void snapshot_set_end(struct snapshot_set *g);

/* ---- the table's thread ---- */

/* Of a store with rows that were touched. *place is where the table finds it, NULL so far: set, and
 * NULL again as soon as the snapshot needs nothing more of the table. RH_ENOMEM. */
rh_status snapshot_take(struct snapshot_set *g, const struct store *s, struct snapshot **place,
                        struct snapshot **out) MUST_CHECK;

/* These rows are about to be written. As a rule it waits for nobody. */
void snapshot_before(struct snapshot *s, const uint64_t *rows, uint32_t n);

/* All rows are about to change or go: waits until the reader has walked them. */
void snapshot_leave(struct snapshot *s);

/* The reader is done, or never came. NULL is fine. */
void snapshot_free(struct snapshot **s);

/* ---- the reader ---- */

/* A row as it stood: views until the next call. slots, own: NULL if there was no such state. */
struct snapshot_row {
    uint64_t row;
    const float *weights, *slots, *own;
};

/* The next one that was touched, ascending; row is STORE_NONE behind the last. RH_ENOMEM. RH_EIO: the
 * reader was given up. */
rh_status snapshot_next(struct snapshot *s, struct snapshot_row *out) MUST_CHECK;

#endif
