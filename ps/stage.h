/* stage.h - what a shard has read for one load of one worker before any row is written: its own rows,
 * in order, and how far the reading is. The rows cost memory as long as they wait. */
#ifndef PS_STAGE_H
#define PS_STAGE_H

#include "common/err.h"
#include "ps/source.h"
#include "ps/table.h"

struct stage_rows; /* some rows with their ids */

struct stage {
    uint32_t load, table, dim;
    uint32_t steps; /* taken */
    struct source *source;
    void *file; /* NULL: not open */
    bool done;
    rh_status status; /* not RH_OK: it has failed, and text says why */
    char text[ERR_TEXT_MAX];
    struct stage_rows *first, *last;
    uint64_t rows;
    uint64_t done_bytes, total_bytes;
    struct source_end end; /* once it is done */
};

struct stage *stage_new(uint32_t load, uint32_t table); /* NULL: no memory */
void stage_free(struct stage **k);                      /* sets *k to NULL; NULL is fine */

/* Opens the file. A failure is kept. */
void stage_open(struct stage *k, struct source *source, const struct source_want *w);

/* Reads one slice more, and keeps the rows of t that this shard has. A failure is kept, and lets go
 * of what was read. */
void stage_read(struct stage *k, struct table *t, uint32_t shard, uint32_t shards);

/* Keeps this thread's last failure as the stage's. */
void stage_fail(struct stage *k, rh_status status);

/* Memory of the rows that it keeps. */
static inline size_t stage_bytes(const struct stage *k) {
    return (size_t)k->rows * (sizeof(uint64_t) + k->dim * sizeof(float));
}

/* Writes all its rows over those of t, and lets go of them as it goes. Cannot fail while t is the table
 * that was read for. */
rh_status stage_write(struct stage *k, struct table *t) MUST_CHECK;

/* with() for its rows, piece by piece, in order. Stops at what is not RH_OK, and returns it. */
rh_status stage_each(const struct stage *k,
                     rh_status (*with)(void *arg, const uint64_t *ids, const uint8_t *rows,
                                       uint32_t n),
                     void *arg);

/* Adds rows of t that an earlier life has read. */
rh_status stage_again(struct stage *k, struct table *t, const uint8_t *ids, const uint8_t *rows,
                      uint32_t n) MUST_CHECK;

#endif
