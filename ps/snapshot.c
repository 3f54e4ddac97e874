/* snapshot.c - see snapshot.h. The reader takes a slab at a time, the 64 rows of one word of touched
 * bits: those that were kept, and the others from the table. */
#include "ps/snapshot.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <time.h>

#include "common/err.h"
#include "common/failpoint.h"
#include "common/size.h"

enum {
    SLAB_ROWS = 64,
    BLOCK_BYTES = 320,
    BLOCK_FLOATS = (BLOCK_BYTES - 16) / sizeof(float),
    LINE_BYTES = 64,
    AHEAD = 8,         /* rows */
    AHEAD_BYTES = 1024 /* of a row */
};

/* A part of a row that was kept. Blocks have one size, so that what one table had is good for any
 * other; and none has parts of two rows, because to look for room in a block cost more than to copy. */
struct snapshot_block {
    struct snapshot_block *next; /* of the slab, in any order */
    uint32_t row, first;         /* of the slab; of the row's floats */
    float floats[BLOCK_FLOATS];
};
_Static_assert(sizeof(struct snapshot_block) == BLOCK_BYTES, "no padding");

struct snapshot {
    struct snapshot_set *set;
    struct snapshot **place; /* NULL: the table has forgotten us */
    struct store at;         /* as it was: touched and pages are copies, rows the table's */
    size_t floats;           /* of a row: weights, slots, own */
    size_t row_blocks;       /* of a copy of it */
    void *map;               /* (map_bytes) touched, left, kept, pages */
    size_t map_bytes;

    /* the table's thread */
    uint64_t *left; /* bit r: row r was touched, and is not kept */
    float *row;     /* (row_blocks, BLOCK_FLOATS) one that is being kept */

    /* under the lock */
    struct snapshot_block **kept; /* by slab */
    uint64_t walked;              /* the reader has all rows below it; STORE_NONE: all */

    /* the reader */
    float *rows;   /* (SLAB_ROWS, floats) of the slab in hand */
    uint64_t slab; /* which it is */
    uint64_t rest; /* bits: its rows that were not told of yet */
};

/* ---- the set ---- */

void snapshot_set_init(struct snapshot_set *g) {
    *g = (struct snapshot_set){.limit_bytes = SNAPSHOT_COPIES_BYTES, .stall_ms = SNAPSHOT_STALL_MS};
    pthread_condattr_t monotonic;
    pthread_condattr_init(&monotonic);
    pthread_condattr_setclock(&monotonic, CLOCK_MONOTONIC);
    pthread_mutex_init(&g->lock, NULL);
    pthread_cond_init(&g->came_on, &monotonic);
    pthread_condattr_destroy(&monotonic);
}

static void free_memory(struct snapshot_set *g) {
    if (g->memory != NULL)
        munmap(g->memory, g->limit_bytes);
    g->memory = NULL;
}

void snapshot_set_fini(struct snapshot_set *g) {
    free_memory(g);
    pthread_cond_destroy(&g->came_on);
    pthread_mutex_destroy(&g->lock);
}

/* Under the lock: the reader has done something. */
static void come_on(struct snapshot_set *g) {
    g->steps++;
    if (g->awaited)
        pthread_cond_signal(&g->came_on);
}

void snapshot_set_end(struct snapshot_set *g) {
    pthread_mutex_lock(&g->lock);
    g->over = true;
    free_memory(g);
    come_on(g);
    pthread_mutex_unlock(&g->lock);
}

static struct timespec in_ms(uint32_t ms) {
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    t.tv_sec += ms / 1000;
    t.tv_nsec += (long)(ms % 1000) * 1000000;
    if (t.tv_nsec >= 1000000000) {
        t.tv_sec++;
        t.tv_nsec -= 1000000000;
    }
    return t;
}

/* Under the lock, which the reader gets meanwhile. Training goes before checkpoints: a disk that stands
 * still takes the checkpoint with it, not the job. */
static void wait_for_reader(struct snapshot_set *g) {
    const struct timespec until = in_ms(g->stall_ms);
    const uint64_t was = g->steps;
    g->awaited = true;
    for (int e = 0; g->steps == was && e == 0;)
        e = pthread_cond_timedwait(&g->came_on, &g->lock, &until);
    g->awaited = false;
    if (g->steps == was)
        g->over = g->given_up = true;
}

/* ---- blocks, under the lock ---- */

static bool has_room(struct snapshot_set *g, size_t blocks) {
    if (blocks > (g->limit_bytes - g->used_bytes) / BLOCK_BYTES + g->n_idle)
        return false;
    if (g->memory != NULL)
        return true;
    void *p = mmap(NULL, g->limit_bytes, PROT_READ | PROT_WRITE,
                   MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (p == MAP_FAILED)
        return false;
    /* Page faults were half of what a copy cost. */
    (void)madvise(p, g->limit_bytes, MADV_HUGEPAGE);
    g->memory = p;
    return true;
}

static struct snapshot_block *block_new(struct snapshot_set *g) {
    struct snapshot_block *b = g->idle;
    if (b != NULL) {
        g->idle = b->next;
        g->n_idle--;
    } else {
        b = (struct snapshot_block *)(g->memory + g->used_bytes);
        g->used_bytes += BLOCK_BYTES;
    }
    return b;
}

static void block_free(struct snapshot_set *g, struct snapshot_block *b) {
    b->next = g->idle;
    g->idle = b;
    g->n_idle++;
}

/* ---- rows ---- */

/* to: (floats) */
static void read_row(const struct store *at, uint64_t row, float *to) {
    memcpy(to, store_row(at, row), at->dim * sizeof *to);
    to += at->dim;
    if (at->slots != NULL) {
        memcpy(to, store_slot(at, row), at->slot_dim * sizeof *to);
        to += at->slot_dim;
    }
    if (at->own != NULL)
        memcpy(to, store_own(at, row), at->own_dim * sizeof *to);
}

static size_t part_of(const struct snapshot *s, size_t first) {
    const size_t rest = s->floats - first;
    return rest < BLOCK_FLOATS ? rest : BLOCK_FLOATS;
}

/* There is room. */
static void keep_row(struct snapshot *s, uint64_t row) {
    struct snapshot_block **kept = &s->kept[row / SLAB_ROWS];
    read_row(&s->at, row, s->row);
    for (size_t first = 0; first < s->floats; first += BLOCK_FLOATS) {
        struct snapshot_block *b = block_new(s->set);
        b->row = row % SLAB_ROWS;
        b->first = (uint32_t)first;
        memcpy(b->floats, s->row + first, sizeof b->floats);
        b->next = *kept;
        *kept = b;
    }
}

/* ---- begin and end ---- */

/* The bits of pages with touched rows alone: the others are zeros, and stay untouched memory. */
static void copy_bits(struct snapshot *s, const struct store *from) {
    const uint64_t words = from->touched_bytes / sizeof *from->touched;
    const uint64_t page_words = STORE_PAGE_ROWS / SLAB_ROWS;
    memcpy(s->at.pages, from->pages, from->pages_bytes);
    for (uint64_t first = 0, page = 0; first < words; first += page_words, page++) {
        if ((from->pages[page >> 6] >> (page & 63) & 1) == 0)
            continue;
        const uint64_t rest = words - first;
        const size_t bytes = (rest < page_words ? rest : page_words) * sizeof *from->touched;
        memcpy(s->at.touched + first, from->touched + first, bytes);
        memcpy(s->left + first, from->touched + first, bytes);
    }
}

static rh_status no_memory(void) {
    return err_set(RH_ENOMEM, "no memory for its rows as they are now");
}

/* Address space: a page of it costs memory if rows of that page were touched. */
static rh_status open_map(struct snapshot *s, const struct store *st) {
    _Static_assert(sizeof *s->kept == sizeof *st->touched, "a slab has a word of each");
    bool fits = size_mul(st->touched_bytes, 3, &s->map_bytes) &&
                size_add(s->map_bytes, st->pages_bytes, &s->map_bytes);
    s->map = fits ? mmap(NULL, s->map_bytes, PROT_READ | PROT_WRITE,
                         MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0)
                  : MAP_FAILED;
    if (s->map == MAP_FAILED)
        return err_set(
            RH_ENOMEM,
            "cannot reserve %zu bytes of address space for its rows as they are now; look "
            "at ulimit -v and vm.overcommit_memory",
            s->map_bytes);
    const size_t words = st->touched_bytes / sizeof *st->touched;
    s->at.touched = s->map;
    s->left = s->at.touched + words;
    s->kept = (struct snapshot_block **)(s->left + words);
    s->at.pages = s->left + 2 * words;
    return RH_OK;
}

rh_status snapshot_take(struct snapshot_set *g, const struct store *st, struct snapshot **place,
                        struct snapshot **out) {
    assert(st->n_touched > 0 && *place == NULL);
    const size_t slots = st->slots != NULL ? st->slot_dim : 0;
    const size_t own = st->own != NULL ? st->own_dim : 0;
    struct snapshot *s = calloc(1, sizeof *s);
    if (s == NULL)
        return no_memory();
    s->set = g;
    s->at = *st;
    s->floats = st->dim + slots + own;
    s->row_blocks = (s->floats + BLOCK_FLOATS - 1) / BLOCK_FLOATS;
    s->row = calloc(s->row_blocks * BLOCK_FLOATS, sizeof *s->row);
    rh_status is = s->row == NULL ? no_memory() : open_map(s, st);
    if (is != RH_OK) {
        free(s->row);
        free(s);
        return is;
    }
    copy_bits(s, st);
    s->place = place;
    *place = *out = s;
    return RH_OK;
}

static void forget_place(struct snapshot *s) {
    if (s->place != NULL)
        *s->place = NULL;
    s->place = NULL;
}

void snapshot_free(struct snapshot **out) {
    struct snapshot *s = *out;
    if (s == NULL)
        return;
    *out = NULL;
    forget_place(s);
    munmap(s->map, s->map_bytes);
    free(s->row);
    free(s->rows);
    free(s);
}

/* ---- the table's thread ---- */

static bool is_over(const struct snapshot *s) {
    return s->walked == STORE_NONE || s->set->over;
}

static bool is_left(const struct snapshot *s, uint64_t row) {
    return s->left[row / SLAB_ROWS] >> row % SLAB_ROWS & 1;
}

static void keep(struct snapshot *s, uint64_t row) {
    s->left[row / SLAB_ROWS] &= ~(UINT64_C(1) << row % SLAB_ROWS);
    while (row >= s->walked && !s->set->over && !has_room(s->set, s->row_blocks))
        wait_for_reader(s->set);
    if (row < s->walked || s->set->over)
        return;
    FAILPOINT("slab.keep");
    keep_row(s, row);
}

static void fetch(const void *row, size_t floats) {
    for (size_t at = 0; at < floats * sizeof(float) && at < AHEAD_BYTES; at += LINE_BYTES)
        __builtin_prefetch((const char *)row + at);
}

/* A batch names its rows before they are needed, as in table.c. */
static void fetch_row(const struct store *at, uint64_t row) {
    fetch(store_row(at, row), at->dim);
    if (at->slots != NULL)
        fetch(store_slot(at, row), at->slot_dim);
}

void snapshot_before(struct snapshot *s, const uint64_t *rows, uint32_t n) {
    uint32_t i = 0;
    while (i < n && !is_left(s, rows[i]))
        i++;
    if (i == n)
        return;
    pthread_mutex_lock(&s->set->lock);
    for (; i < n && !is_over(s); i++) {
        if (i + AHEAD < n && is_left(s, rows[i + AHEAD]))
            fetch_row(&s->at, rows[i + AHEAD]);
        if (is_left(s, rows[i]))
            keep(s, rows[i]);
    }
    const bool over = is_over(s);
    pthread_mutex_unlock(&s->set->lock);
    if (over)
        forget_place(s);
}

void snapshot_leave(struct snapshot *s) {
    pthread_mutex_lock(&s->set->lock);
    while (!is_over(s))
        wait_for_reader(s->set);
    pthread_mutex_unlock(&s->set->lock);
    forget_place(s);
}

/* ---- the reader ---- */

/* Under the lock: the slab of `row` becomes the reader's. */
static void take_slab(struct snapshot *s, uint64_t row) {
    s->slab = row / SLAB_ROWS;
    s->rest = s->at.touched[s->slab];
    uint64_t live = s->rest;
    for (struct snapshot_block *b; (b = s->kept[s->slab]) != NULL;) {
        live &= ~(UINT64_C(1) << b->row);
        memcpy(s->rows + b->row * s->floats + b->first, b->floats,
               part_of(s, b->first) * sizeof *s->rows);
        s->kept[s->slab] = b->next;
        block_free(s->set, b);
    }
    for (; live != 0; live &= live - 1) {
        const unsigned i = (unsigned)__builtin_ctzll(live);
        read_row(&s->at, s->slab * SLAB_ROWS + i, s->rows + i * s->floats);
    }
    s->walked = (s->slab + 1) * SLAB_ROWS;
    FAILPOINT("slab.taken");
}

/* s->rest is 0 behind the last. */
static rh_status next_slab(struct snapshot *s) {
    struct snapshot_set *g = s->set;
    if (s->rows == NULL)
        s->rows = malloc(SLAB_ROWS * s->floats * sizeof *s->rows);
    if (s->rows == NULL)
        return err_set(RH_ENOMEM, "no memory to read %d rows of a table", SLAB_ROWS);
    const uint64_t row = store_next_touched(&s->at, s->walked);
    pthread_mutex_lock(&g->lock);
    const bool given_up = g->given_up;
    if (!given_up && row != STORE_NONE)
        take_slab(s, row);
    else if (!given_up)
        s->walked = STORE_NONE;
    come_on(g);
    pthread_mutex_unlock(&g->lock);
    if (given_up)
        return err_set(
            RH_EIO,
            "training has waited %u ms for a checkpoint that did not come on, and gave it "
            "up: is the disk full, slow or gone?",
            g->stall_ms);
    return RH_OK;
}

rh_status snapshot_next(struct snapshot *s, struct snapshot_row *out) {
    rh_status st = s->rest == 0 ? next_slab(s) : RH_OK;
    if (st != RH_OK)
        return st;
    *out = (struct snapshot_row){.row = STORE_NONE};
    if (s->rest == 0)
        return RH_OK;
    const unsigned i = (unsigned)__builtin_ctzll(s->rest);
    s->rest &= s->rest - 1;
    out->row = s->slab * SLAB_ROWS + i;
    out->weights = s->rows + i * s->floats;
    if (s->at.slots != NULL)
        out->slots = out->weights + s->at.dim;
    if (s->at.own != NULL)
        out->own = out->weights + s->floats - s->at.own_dim;
    return RH_OK;
}
