/* idset.c - see idset.h. Open addressing, linear probing, at most half full. A cell belongs to the
 * set only while it bears the set's stamp, so emptying the set is counting the stamp up. */
#include "common/idset.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "common/err.h"
#include "common/size.h"

enum { CELLS_MIN = 16 };
static const size_t MEMBERS_MAX = (size_t)1 << 30;

void idset_init(struct idset *s) {
    *s = (struct idset){0};
}

void idset_fini(struct idset *s) {
    free(s->cells);
    *s = (struct idset){0};
}

rh_status idset_reset(struct idset *s, size_t n_max) {
    if (n_max > MEMBERS_MAX)
        return err_set(RH_ELIMIT, "%zu ids in one set; the limit is %zu", n_max, MEMBERS_MAX);
    size_t cap = CELLS_MIN;
    while (cap < 2 * n_max)
        cap *= 2;
    if (cap > s->held) {
        /* Not realloc: nothing of the old is wanted, and zeroed pages come for free. */
        size_t bytes;
        struct idset_cell *cells = size_mul(cap, sizeof *cells, &bytes) ? calloc(1, bytes) : NULL;
        if (cells == NULL)
            return err_set(RH_ENOMEM, "no memory for a set of %zu ids", n_max);
        free(s->cells);
        s->cells = cells;
        s->held = cap;
        s->stamp = 0;
    }
    if (++s->stamp == 0) { /* after 2^32 resets the oldest stamps would count again */
        memset(s->cells, 0, s->held * sizeof *s->cells);
        s->stamp = 1;
    }
    /* A small set after a large one uses few cells, which stay in the cache. */
    s->cap = cap;
    s->n_max = n_max;
    s->n = 0;
    return RH_OK;
}

/* Where the search for id begins. */
static size_t home(const struct idset *s, uint64_t id) {
    /* Multiplying carries low bits up but none down, so the high half is brought down first; then
     * the top bits, which depend on all, are the place. 0x9E37... is 2^64 by the golden ratio. */
    uint64_t mixed = (id ^ id >> 32) * 0x9E3779B97F4A7C15;
    return (size_t)(mixed >> (__builtin_clzll(s->cap) + 1));
}

/* The cell of id, or the free one where it belongs. */
static struct idset_cell *place(const struct idset *s, uint64_t id) {
    size_t at = home(s, id);
    while (s->cells[at].stamp == s->stamp && s->cells[at].key != id)
        at = (at + 1) & (s->cap - 1);
    return &s->cells[at];
}

uint32_t idset_add(struct idset *s, uint64_t id) {
    assert(s->cells != NULL);
    struct idset_cell *cell = place(s, id);
    if (cell->stamp != s->stamp) {
        assert(s->n < s->n_max);
        *cell = (struct idset_cell){.key = id, .stamp = s->stamp, .num = s->n++};
    }
    return cell->num;
}

void idset_expect(const struct idset *s, uint64_t id) {
    assert(s->cells != NULL);
    __builtin_prefetch(&s->cells[home(s, id)]);
}

uint32_t idset_find(const struct idset *s, uint64_t id) {
    if (s->cells == NULL)
        return UINT32_MAX;
    const struct idset_cell *cell = place(s, id);
    return cell->stamp == s->stamp ? cell->num : UINT32_MAX;
}
