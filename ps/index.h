/* index.h - from ids to local rows of one shard, behind a small ops table: dense tables compute the
 * row; an index that grows fits in beside it. */
#ifndef PS_INDEX_H
#define PS_INDEX_H

#include <stdint.h>
#include <string.h>

#include "common/status.h"
#include "proto/spec.h"

struct index {
    const struct index_ops *ops;
    uint64_t rows;         /* how many local rows there can be: 0 .. rows - 1 */
    uint64_t num;          /* num_embeddings of the whole table */
    uint64_t per_slot;     /* dense: rows of a slot */
    uint32_t first, slots; /* this shard's range of slots */
};

struct index_ops {
    const char *name;

    /* Sets up ix for this shard's part of a table. RH_ELIMIT if it cannot be addressed. */
    rh_status (*init)(struct index *ix, const struct spec *s, uint32_t shard, uint32_t shards);
    void (*fini)(struct index *ix);

    /* rows[i] = local row of id i; ids: n little-endian u64 at any address. RH_ERANGE names an id
     * that is not below num, or that belongs to another shard; rows is then undefined. */
    rh_status (*locate)(struct index *ix, const uint8_t *ids, uint32_t n, uint64_t *rows);

    /* The other way: the id that locate found this row for. */
    uint64_t (*id_of)(const struct index *ix, uint64_t row);

    /* How many of the ids below end (at most num) are of this shard. */
    uint64_t (*below)(const struct index *ix, uint64_t end);
};

extern const struct index_ops index_dense;

/* The i-th of the ids that locate takes. memcpy, not a cast: frames arrive at odd addresses. */
static inline uint64_t index_id(const uint8_t *ids, uint32_t i) {
    uint64_t id;
    memcpy(&id, ids + (size_t)i * sizeof id, sizeof id);
    return id;
}

#endif
