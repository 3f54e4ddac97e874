/* store.h - the memory of one table on one shard: an array of weights, and, from the first update
 * on, the optimizer's state: an array of slots, and one of words that belong to a row as a whole;
 * side arrays of bits. Address space is reserved for every row at
 * once and costs memory only where a row was touched, so a table of a billion rows is made in no
 * time. Knows nothing of ids, optimizers or clocks. */
#ifndef PS_STORE_H
#define PS_STORE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/status.h"

enum { STORE_PAGE_ROWS = 32768 }; /* a memory page of bits */
#define STORE_NONE UINT64_MAX

struct store {
    float *weights; /* (rows, stride) */
    float *slots;   /* (rows, slot_stride), NULL before store_open_slots */
    float *own;     /* (rows, own_dim), likewise. Apart from the slots: behind them, one word would
                          cost a whole line of each row */
    uint64_t *touched;  /* bit r: row r was written or updated; its weights count */
    uint64_t *pages;    /* bit p: rows STORE_PAGE_ROWS p .. may have touched ones, so that those of
                          a huge table are found without a look at every bit */
    uint64_t *promised; /* likewise: ops that are held will touch it. NULL before the first */
    uint64_t rows, n_touched, n_promised;
    uint32_t dim,
        stride; /* floats; stride: next power of two below 64 bytes, else a multiple of 64 bytes */
    uint32_t slot_dim, slot_stride; /* floats of optimizer state in a row: dim * slots per weight */
    uint32_t own_dim;               /* words of optimizer state of a row as a whole */
    size_t weight_bytes, slot_bytes, own_bytes, touched_bytes, pages_bytes; /* reserved */
    size_t huge_most; /* larger arrays have small pages */
};

/* RH_ENOMEM with the sizes, when even the address space is refused. */
rh_status store_init(struct store *s, uint64_t rows, uint32_t dim, uint32_t slots_per_weight,
                     uint32_t own_per_row) MUST_CHECK;
void store_fini(struct store *s); /* fine on a zeroed or half-made store */

/* Reserves the optimizer's state, all zero. Does nothing if it is there or there is none to keep. */
rh_status store_open_slots(struct store *s) MUST_CHECK;

/* All rows untouched, no optimizer state: the memory goes back to the kernel. Cannot fail. */
void store_reset(struct store *s);

static inline float *store_row(const struct store *s, uint64_t row) {
    return s->weights + row * s->stride;
}
static inline float *store_slot(const struct store *s, uint64_t row) {
    return s->slots != NULL ? s->slots + row * s->slot_stride : NULL;
}
static inline float *store_own(const struct store *s, uint64_t row) {
    return s->own != NULL ? s->own + row * s->own_dim : NULL;
}
static inline bool store_is_touched(const struct store *s, uint64_t row) {
    return s->touched[row >> 6] >> (row & 63) & 1;
}
static inline void store_touch(struct store *s, uint64_t row) {
    uint64_t page = row / STORE_PAGE_ROWS;
    s->touched[row >> 6] |= UINT64_C(1) << (row & 63);
    s->pages[page >> 6] |= UINT64_C(1) << (page & 63);
    s->n_touched++;
}

/* A row that is not touched yet will be. RH_ENOMEM. */
rh_status store_promise(struct store *s, uint64_t row) MUST_CHECK;
static inline bool store_is_promised(const struct store *s, uint64_t row) {
    return s->promised != NULL && (s->promised[row >> 6] >> (row & 63) & 1);
}
/* Nothing is promised any more. */
void store_forget_promises(struct store *s);

/* Bytes of a row: its weights and, if it has or may come to have any, its optimizer's state. */
uint64_t store_row_bytes(const struct store *s, bool weights_only);

/* Touches n rows that are not touched yet, and writes them and, where slots or own is not NULL, their
 * state: weights (n, dim), slots (n, slot_dim), own (n, own_dim), at any address. rows ascend. For a
 * store that was not reset: its memory is zeros until something else is written, so that a row of
 * zeros takes none. */
void store_fill(struct store *s, const uint64_t *rows, uint32_t n, const void *weights,
                const void *slots, const void *own);

/* The first touched row from `row` on, or STORE_NONE. */
uint64_t store_next_touched(const struct store *s, uint64_t row);

/* Bytes that touched rows use: weights and, if there is any, optimizer state. */
uint64_t store_memory_bytes(const struct store *s);

#endif
