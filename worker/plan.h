/*
 * plan.h - from the ids of a call to what each shard is asked: repeats folded, ids checked and
 * split by shard. No I/O. A plan keeps its memory between uses, so a warm call allocates nothing.
 */
#ifndef WORKER_PLAN_H
#define WORKER_PLAN_H

#include <stddef.h>
#include <stdint.h>

#include "common/idset.h"
#include "common/status.h"

/*
 * Unique ids stand in shard order, and within a shard in the order of their first arrival. Each has
 * its positions in the call as a chain, in order: first[u], next[first[u]], ... last[u]; the end of
 * a chain is 0, which no position but the first can be.
 */
struct plan {
    uint32_t n, unique;
    uint64_t *ids;          /* (unique) */
    uint32_t *first, *last; /* (unique) positions */
    uint32_t *next;         /* (n) the next position of the same id, or 0 */
    uint32_t *bounds;       /* (shards + 1) shard s has ids[bounds[s]] .. ids[bounds[s + 1] - 1] */

    /* scratch */
    struct idset set;
    uint64_t *arrived_ids; /* (unique) in order of arrival */
    uint32_t *arrived;     /* (3 * unique) first, last, shard */
    size_t cap;
    uint32_t bounds_cap;
};

void plan_init(struct plan *p); /* all zero is fine too */
void plan_fini(struct plan *p);

/*
 * rows: how many the table has; every id is below it. RH_ERANGE names the first id that is not, its
 * position and the table. RH_ELIMIT (too many ids), RH_ENOMEM. shards is at least 1.
 */
rh_status plan_make(struct plan *p, const uint64_t *ids, size_t n, uint64_t rows, const char *table,
                    uint32_t shards) MUST_CHECK;

/* Takes an id, if it is there, out of the unique ones: no shard is told of it. shards: as in
 * plan_make. */
void plan_drop(struct plan *p, uint64_t id, uint32_t shards);

/* Bytes that it keeps. */
size_t plan_memory_bytes(const struct plan *p);

#endif
