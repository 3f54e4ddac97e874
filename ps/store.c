/* store.c - the arrays of one table. Memory comes from mmap, so that untouched pages are zeros that
 * cost nothing, and a huge table is made by one system call. */
#include "ps/store.h"

#include <assert.h>
#include <inttypes.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "common/err.h"
#include "common/size.h"

enum { LINE_FLOATS = 16, HUGE_PAGE = 2 << 20 };

/* Huge pages save page walks: gathers of 256-byte rows from 1 GiB ran 19 to 25 % faster, SGD 21 %,
 * Adam 10 %, the first touch of every row 8 times. But a row touched alone then costs 2 MiB. So an
 * array gets them if it is at most this fraction of physical memory: even wholly resident, it does
 * no harm. */
enum { HUGE_FRACTION = 8 };

/* A row below 64 bytes never straddles a cache line, a larger one begins on a line. */
static uint32_t stride_for(uint32_t floats) {
    if (floats >= LINE_FLOATS)
        return (floats + LINE_FLOATS - 1) / LINE_FLOATS * LINE_FLOATS;
    uint32_t stride = floats != 0;
    while (stride < floats)
        stride *= 2;
    return stride;
}

static size_t memory_part(void) {
    return (size_t)sysconf(_SC_PHYS_PAGES) / HUGE_FRACTION * (size_t)sysconf(_SC_PAGESIZE);
}

static bool huge_pages_pay(const struct store *s, size_t len_bytes) {
    return len_bytes >= HUGE_PAGE && len_bytes <= s->huge_most;
}

/* NULL, with the text set, if even the address space is refused. */
static void *reserve(const struct store *s, const char *what, size_t len_bytes) {
    void *p = mmap(NULL, len_bytes, PROT_READ | PROT_WRITE,
                   MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (p == MAP_FAILED) {
        err_sys(RH_ENOMEM,
                "cannot reserve %zu bytes of address space for the %s of %" PRIu64
                " rows of dim %u; use more shards, or look at ulimit -v and "
                "vm.overcommit_memory (2 refuses large tables)",
                len_bytes, what, s->rows, s->dim);
        return NULL;
    }
    if (huge_pages_pay(s, len_bytes))
        (void)madvise(p, len_bytes, MADV_HUGEPAGE); /* a kernel without them says no: no harm */
    return p;
}

rh_status store_init(struct store *s, uint64_t rows, uint32_t dim, uint32_t slots_per_weight,
                     uint32_t own_per_row) {
    assert(rows > 0 && dim > 0);
    *s = (struct store){.rows = rows,
                        .dim = dim,
                        .slot_dim = dim * slots_per_weight,
                        .own_dim = own_per_row,
                        .huge_most = memory_part()};
    s->stride = stride_for(s->dim);
    s->slot_stride = stride_for(s->slot_dim);
    s->touched_bytes = (rows / 64 + (rows % 64 != 0)) * sizeof *s->touched;
    uint64_t pages = rows / STORE_PAGE_ROWS + (rows % STORE_PAGE_ROWS != 0);
    s->pages_bytes = (pages / 64 + (pages % 64 != 0)) * sizeof *s->pages;
    if (!size_mul3(rows, s->stride, sizeof(float), &s->weight_bytes) ||
        !size_mul3(rows, s->slot_stride, sizeof(float), &s->slot_bytes) ||
        !size_mul3(rows, s->own_dim, sizeof(float), &s->own_bytes))
        return err_set(RH_ENOMEM, "%" PRIu64 " rows of dim %u are more than can be addressed", rows,
                       dim);

    s->weights = reserve(s, "weights", s->weight_bytes);
    if (s->weights == NULL)
        return RH_ENOMEM;
    s->touched = reserve(s, "touched bits", s->touched_bytes);
    s->pages = s->touched == NULL ? NULL : reserve(s, "touched bits", s->pages_bytes);
    if (s->pages == NULL) {
        store_fini(s);
        return RH_ENOMEM;
    }
    return RH_OK;
}

rh_status store_promise(struct store *s, uint64_t row) {
    if (s->promised == NULL)
        s->promised = reserve(s, "promised bits", s->touched_bytes);
    if (s->promised == NULL)
        return RH_ENOMEM;
    s->n_promised += !store_is_promised(s, row);
    s->promised[row >> 6] |= UINT64_C(1) << (row & 63);
    return RH_OK;
}

void store_forget_promises(struct store *s) {
    if (s->promised != NULL)
        munmap(s->promised, s->touched_bytes);
    s->promised = NULL;
    s->n_promised = 0;
}

uint64_t store_row_bytes(const struct store *s, bool weights_only) {
    uint64_t floats = s->stride + (weights_only ? 0 : s->slot_stride + s->own_dim);
    return floats * sizeof(float);
}

static void close_slots(struct store *s) {
    if (s->slots != NULL)
        munmap(s->slots, s->slot_bytes);
    if (s->own != NULL)
        munmap(s->own, s->own_bytes);
    s->slots = s->own = NULL;
}

void store_fini(struct store *s) {
    if (s->weights != NULL)
        munmap(s->weights, s->weight_bytes);
    close_slots(s);
    store_forget_promises(s);
    if (s->touched != NULL)
        munmap(s->touched, s->touched_bytes);
    if (s->pages != NULL)
        munmap(s->pages, s->pages_bytes);
    *s = (struct store){0};
}

void store_reset(struct store *s) {
    close_slots(s);
    /* The address space stays, so that nothing here can run out of it. A kernel that will not take
     * the weights back (locked pages) does no harm: an untouched row's are not looked at. */
    (void)madvise(s->weights, s->weight_bytes, MADV_DONTNEED);
    if (madvise(s->touched, s->touched_bytes, MADV_DONTNEED) != 0)
        memset(s->touched, 0, s->touched_bytes);
    memset(s->pages, 0, s->pages_bytes);
    s->n_touched = 0;
}

rh_status store_open_slots(struct store *s) {
    if (s->slots == NULL && s->slot_dim != 0)
        s->slots = reserve(s, "optimizer state", s->slot_bytes);
    if (s->slots == NULL && s->slot_dim != 0)
        return RH_ENOMEM;
    if (s->own == NULL && s->own_dim != 0)
        s->own = reserve(s, "optimizer state per row", s->own_bytes);
    return s->own != NULL || s->own_dim == 0 ? RH_OK : RH_ENOMEM;
}

/* ---- many rows at once ---- */

#ifndef MADV_POPULATE_WRITE
#define MADV_POPULATE_WRITE 23
#endif

/* One of the arrays, and what goes into it. */
struct column {
    char *memory;
    size_t reserved, stride, width; /* bytes; the last two: of a row in memory, of one in from */
    const char *from;
};

static bool is_zeros(const char *p, size_t n) {
    return p[0] == 0 && memcmp(p, p + 1, n - 1) == 0;
}

/* Gives the rows their memory in one step: 4 KiB at a time, a fault for each, a restore took a fifth
 * longer. Only where every byte of it will be written. */
static void populate(const struct column *c, const uint64_t *rows, uint32_t n) {
    if (rows[n - 1] - rows[0] != n - 1)
        return;
    for (uint32_t i = 0; i < n; i++)
        if (is_zeros(c->from + i * c->width, c->width))
            return;
    const size_t page = (size_t)sysconf(_SC_PAGESIZE);
    size_t from = rows[0] * c->stride / page * page, to = (rows[n - 1] + 1) * c->stride;
    (void)madvise(c->memory + from, to - from, MADV_POPULATE_WRITE); /* before Linux 5.14: faults */
}

static void fill(const struct store *s, const struct column *c, const uint64_t *rows, uint32_t n) {
    if (c->from == NULL || c->width == 0)
        return;
    if (!huge_pages_pay(s, c->reserved))
        populate(c, rows, n);
    for (uint32_t i = 0; i < n; i++)
        if (!is_zeros(c->from + i * c->width, c->width))
            memcpy(c->memory + rows[i] * c->stride, c->from + i * c->width, c->width);
}

void store_fill(struct store *s, const uint64_t *rows, uint32_t n, const void *weights,
                const void *slots, const void *own) {
    assert((slots == NULL || s->slots != NULL) && (own == NULL || s->own != NULL));
    const size_t cell = sizeof(float);
    const struct column columns[] = {
        {(char *)s->weights, s->weight_bytes, s->stride * cell, s->dim * cell, weights},
        {(char *)s->slots, s->slot_bytes, s->slot_stride * cell, s->slot_dim * cell, slots},
        {(char *)s->own, s->own_bytes, s->own_dim * cell, s->own_dim * cell, own},
    };
    if (n == 0)
        return;
    for (uint32_t i = 0; i < n; i++) {
        assert(!store_is_touched(s, rows[i]));
        store_touch(s, rows[i]);
    }
    for (size_t i = 0; i < sizeof columns / sizeof *columns; i++)
        fill(s, &columns[i], rows, n);
}

uint64_t store_next_touched(const struct store *s, uint64_t row) {
    while (row < s->rows) {
        uint64_t page = row / STORE_PAGE_ROWS;
        uint64_t pages = s->pages[page >> 6] >> (page & 63);
        if ((pages & 1) == 0) {
            uint64_t next = page + 1 + (pages == 0 ? 63 - (page & 63) : 0);
            row = next * STORE_PAGE_ROWS;
            continue;
        }
        uint64_t word = s->touched[row >> 6] >> (row & 63);
        if (word != 0)
            return row + (uint64_t)__builtin_ctzll(word);
        row = (row / 64 + 1) * 64;
    }
    return STORE_NONE;
}

uint64_t store_memory_bytes(const struct store *s) {
    uint64_t floats =
        s->stride + (s->slots != NULL ? s->slot_stride : 0) + (s->own != NULL ? s->own_dim : 0);
    return s->n_touched * floats * sizeof(float);
}
