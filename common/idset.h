/* idset.h - a set of 64-bit ids that numbers its members 0, 1, 2 ... in the order of their first
 * arrival. The tool for folding repeats. Reset costs nothing per member; memory is kept between
 * uses. One thread at a time. */
#ifndef COMMON_IDSET_H
#define COMMON_IDSET_H

#include <stddef.h>
#include <stdint.h>

#include "common/status.h"

/* Key, stamp and number side by side: one look-up is one cache miss. */
struct idset_cell {
    uint64_t key;
    uint32_t stamp; /* the cell is taken if this is the set's stamp */
    uint32_t num;
};

struct idset {
    struct idset_cell *cells; /* (held) */
    size_t held;              /* cells in memory */
    size_t cap;               /* cells in use: a power of two, at least twice n_max */
    size_t n_max;             /* as idset_reset had it */
    uint32_t stamp;
    uint32_t n; /* members */
};

/* Empty, with room for no member: idset_reset comes before the first idset_add. */
void idset_init(struct idset *s);
void idset_fini(struct idset *s);

/* Empty, with room for n_max members. RH_ENOMEM; RH_ELIMIT above 2^30. On failure the set is as it
 * was. */
rh_status idset_reset(struct idset *s, size_t n_max) MUST_CHECK;

/* The member's number; it is new if it equals the n of before. At most n_max members (asserted). */
uint32_t idset_add(struct idset *s, uint64_t id);

/* Says that id will be added or looked for soon, so that its cell is on the way by then. Worth it
 * where ids are known ahead: the cells of a large set are far from the core. */
void idset_expect(const struct idset *s, uint64_t id);

/* The member's number, or UINT32_MAX if it is none. */
uint32_t idset_find(const struct idset *s, uint64_t id);

#endif
