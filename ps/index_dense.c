/* index_dense.c - rows of a dense table, computed and never looked up: a slot's ids lie together,
 * in ascending order, and the slots follow one another, so a run of whole slots is a run of memory.
 *
 *     row = (slot(id) - first) * per_slot + id / 16384,    per_slot = ceil(num / 16384)
 *
 * The 14 low bits of an id choose the slot, the others the place in it. Where num is no multiple of
 * 16384, the last place of some slots has no id; it is never touched, so it costs address space
 * only. */
#include "ps/index.h"

#include <assert.h>
#include <inttypes.h>

#include "common/err.h"
#include "common/kern.h"
#include "proto/place.h"

static rh_status dense_init(struct index *ix, const struct spec *s, uint32_t shard,
                            uint32_t shards) {
    assert(shard < shards && shards <= PLACE_SHARDS_MAX);
    uint32_t first = place_first(shard, shards);
    uint32_t slots = place_first(shard + 1, shards) - first;
    uint64_t per_slot = s->rows / PLACE_SLOTS + (s->rows % PLACE_SLOTS != 0);
    uint64_t rows;
    if (__builtin_mul_overflow(per_slot, slots, &rows))
        return err_set(RH_ELIMIT, "num_embeddings %" PRIu64 " is more than can be addressed",
                       s->rows);
    *ix = (struct index){.ops = &index_dense,
                         .rows = rows,
                         .num = s->rows,
                         .per_slot = per_slot,
                         .first = first,
                         .slots = slots};
    return RH_OK;
}

static void dense_fini(struct index *ix) {
    *ix = (struct index){0};
}

/* Rows of all ids, and whether every id is one of ours: no early way out, so that it vectorizes
 * (250 M ids/s as the obvious loop, 750 so; a gather of 256-byte rows gains 5 %). */
KERN_CLONES
static bool compute_rows(const struct index *ix, const uint8_t *ids, uint32_t n,
                         uint64_t *restrict rows) {
    const uint64_t num = ix->num, per_slot = ix->per_slot;
    const uint32_t first = ix->first, slots = ix->slots;
    uint64_t bad = 0;
    for (uint32_t i = 0; i < n; i++) {
        uint64_t id = index_id(ids, i);
        uint32_t slot = place_slot(id) - first; /* below first: wraps to a large number */
        bad |= (id >= num) | (slot >= slots);
        rows[i] = slot * per_slot + id / PLACE_SLOTS;
    }
    return !bad;
}

static rh_status refuse_first_bad(const struct index *ix, const uint8_t *ids, uint32_t n) {
    for (uint32_t i = 0; i < n; i++) {
        uint64_t id = index_id(ids, i);
        if (id >= ix->num)
            return err_set(RH_ERANGE, "id %" PRIu64 " is not below num_embeddings %" PRIu64, id,
                           ix->num);
        if (place_slot(id) - ix->first >= ix->slots)
            return err_set(RH_ERANGE,
                           "id %" PRIu64 " is in slot %u, but this shard has slots %u to %u: "
                           "do client and servers agree on the number of shards?",
                           id, place_slot(id), ix->first, ix->first + ix->slots - 1);
    }
    assert(!"a bad id");
    return RH_OK;
}

static rh_status dense_locate(struct index *ix, const uint8_t *ids, uint32_t n, uint64_t *rows) {
    return compute_rows(ix, ids, n, rows) ? RH_OK : refuse_first_bad(ix, ids, n);
}

static uint64_t dense_id_of(const struct index *ix, uint64_t row) {
    uint64_t slot = ix->first + row / ix->per_slot;
    /* The order of bits reversed twice is the order they had. */
    return row % ix->per_slot * PLACE_SLOTS + place_slot(slot);
}

/* How many slots below `slots` have ids whose low bits are below `low`. The slots are cut into runs
 * of 2^k that begin at a multiple of it: the low bits of such a run's ids ascend by steps of
 * 2^(14 - k). So it takes 14 steps, and not 16,384. */
static uint64_t slots_with_low_bits_below(uint32_t slots, uint32_t low) {
    uint64_t n = 0;
    for (uint32_t k = 0, from = 0; k <= PLACE_SLOT_BITS; k++) {
        uint32_t bit = PLACE_SLOTS >> k; /* the largest run first */
        if ((slots & bit) == 0)
            continue;
        uint32_t step = 1u << k, least = place_slot(from);
        if (low > least)
            n += (low - least - 1) / step + 1;
        from += bit;
    }
    return n;
}

static uint64_t dense_below(const struct index *ix, uint64_t end) {
    assert(end <= ix->num);
    uint32_t low = (uint32_t)(end % PLACE_SLOTS);
    return end / PLACE_SLOTS * ix->slots + slots_with_low_bits_below(ix->first + ix->slots, low) -
           slots_with_low_bits_below(ix->first, low);
}

const struct index_ops index_dense = {.name = "dense",
                                      .init = dense_init,
                                      .fini = dense_fini,
                                      .locate = dense_locate,
                                      .id_of = dense_id_of,
                                      .below = dense_below};
