/* freeze.c - see freeze.h. */
#include "ps/freeze.h"

#include <assert.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include "common/err.h"

enum { PAGE_ROWS = 4096, WORD_ROWS = 64, PAGE_WORDS = PAGE_ROWS / WORD_ROWS };

/* ---- memory ---- */

static uint64_t words_for(uint64_t bits) {
    return bits / WORD_ROWS + (bits % WORD_ROWS != 0);
}

static uint64_t pages_for(uint64_t rows) {
    return rows / PAGE_ROWS + (rows % PAGE_ROWS != 0);
}

/* Bytes of listed, of pages and of own. A shard's rows times four can be addressed: its weights
 * are. */
static size_t listed_bytes(const struct freeze *f) {
    return pages_for(f->index->rows) * PAGE_WORDS * sizeof *f->listed;
}

static size_t pages_bytes(const struct freeze *f) {
    return words_for(pages_for(f->index->rows)) * sizeof *f->pages;
}

static size_t own_bytes(const struct freeze *f) {
    return f->index->rows * sizeof *f->own;
}

static void *reserve(size_t len_bytes) {
    void *p = mmap(NULL, len_bytes, PROT_READ | PROT_WRITE,
                   MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    return p == MAP_FAILED ? NULL : p;
}

static void close_lists(struct freeze *f) {
    if (f->listed != NULL)
        munmap(f->listed, listed_bytes(f));
    if (f->pages != NULL)
        munmap(f->pages, pages_bytes(f));
    if (f->own != NULL)
        munmap(f->own, own_bytes(f));
    f->listed = f->pages = NULL;
    f->own = NULL;
}

rh_status freeze_open_lists(struct freeze *f) {
    if (f->listed != NULL)
        return RH_OK;
    f->listed = reserve(listed_bytes(f));
    f->pages = reserve(pages_bytes(f));
    f->own = reserve(own_bytes(f));
    if (f->listed != NULL && f->pages != NULL && f->own != NULL)
        return RH_OK;
    close_lists(f);
    return err_sys(RH_ENOMEM,
                   "cannot reserve %zu bytes of address space for the list of frozen rows; look at "
                   "ulimit -v and vm.overcommit_memory",
                   listed_bytes(f) + own_bytes(f));
}

rh_status freeze_init(struct freeze *f, const struct index *index, bool frozen) {
    *f = (struct freeze){.index = index, .n_runs = 1, .lists_least = FREEZE_FOR_EVER};
    f->runs = malloc(sizeof *f->runs);
    if (f->runs == NULL)
        return err_set(RH_ENOMEM, "no memory for what is frozen");
    f->whole = f->last = f->runs[0].until = frozen ? FREEZE_FOR_EVER : 0;
    f->runs[0].first = 0;
    return RH_OK;
}

void freeze_fini(struct freeze *f) {
    close_lists(f);
    free(f->runs);
    *f = (struct freeze){0};
}

/* ---- looking ---- */

/* The run that an id is in. */
static uint32_t run_of(const struct freeze *f, uint64_t id) {
    uint32_t low = 0, high = f->n_runs;
    while (high - low > 1) {
        uint32_t mid = low + (high - low) / 2;
        if (f->runs[mid].first <= id)
            low = mid;
        else
            high = mid;
    }
    return low;
}

static uint64_t own_until(const struct freeze *f, uint64_t row) {
    return f->own[row] == UINT32_MAX ? FREEZE_FOR_EVER : f->own[row];
}

uint64_t freeze_until(const struct freeze *f, uint64_t row, uint64_t id) {
    return freeze_is_listed(f, row) ? own_until(f, row) : f->runs[run_of(f, id)].until;
}

uint64_t freeze_next_listed(const struct freeze *f, uint64_t row) {
    if (f->n_listed == 0)
        return FREEZE_NONE;
    while (row < f->index->rows) {
        uint64_t page = row / PAGE_ROWS;
        uint64_t pages = f->pages[page / WORD_ROWS] >> page % WORD_ROWS;
        if ((pages & 1) == 0) {
            uint64_t next = page + 1 + (pages == 0 ? 63 - page % WORD_ROWS : 0);
            row = next * PAGE_ROWS;
            continue;
        }
        uint64_t word = f->listed[row / WORD_ROWS] >> row % WORD_ROWS;
        if (word != 0)
            return row + (uint64_t)__builtin_ctzll(word);
        row = (row / WORD_ROWS + 1) * WORD_ROWS;
    }
    return FREEZE_NONE;
}

uint64_t freeze_count(const struct freeze *f, uint64_t clock) {
    const struct index *ix = f->index;
    uint64_t n = 0;
    for (uint32_t i = 0; i < f->n_runs; i++) {
        uint64_t end = i + 1 < f->n_runs ? f->runs[i + 1].first : ix->num;
        if (clock < f->runs[i].until)
            n += ix->ops->below(ix, end) - ix->ops->below(ix, f->runs[i].first);
    }
    for (uint64_t row = 0; (row = freeze_next_listed(f, row)) != FREEZE_NONE; row++) {
        n -= clock < f->runs[run_of(f, ix->ops->id_of(ix, row))].until;
        n += clock < own_until(f, row);
    }
    return n;
}

/* ---- changing ---- */

static uint64_t least(uint64_t a, uint64_t b) {
    return a < b ? a : b;
}

static uint64_t most(uint64_t a, uint64_t b) {
    return a > b ? a : b;
}

static void sum_up(struct freeze *f) {
    f->whole = f->lists_least;
    f->last = f->lists_most;
    for (uint32_t i = 0; i < f->n_runs; i++) {
        f->whole = least(f->whole, f->runs[i].until);
        f->last = most(f->last, f->runs[i].until);
    }
}

static void append(struct freeze_run *runs, uint32_t *n, uint64_t first, uint64_t until) {
    if (*n == 0 || runs[*n - 1].until != until)
        runs[(*n)++] = (struct freeze_run){first, until};
}

/* A range was spoken of last: its rows' own clocks are over. */
static void forget_listed(struct freeze *f, uint64_t first, uint64_t count) {
    for (uint64_t row = 0; (row = freeze_next_listed(f, row)) != FREEZE_NONE; row++) {
        if (f->index->ops->id_of(f->index, row) - first >= count) /* below first: wraps */
            continue;
        f->listed[row / WORD_ROWS] &= ~(UINT64_C(1) << row % WORD_ROWS);
        f->n_listed--;
    }
    if (f->n_listed == 0)
        f->lists_most = 0;
    if (count < f->index->num)
        return;
    f->lists_least = FREEZE_FOR_EVER;
    if (f->listed == NULL)
        return;
    /* Their memory, not their addresses: a list may be held whose rows must find room. Every bit is
     * clear already, so nothing depends on it. */
    (void)madvise(f->listed, listed_bytes(f), MADV_DONTNEED);
    (void)madvise(f->pages, pages_bytes(f), MADV_DONTNEED);
    (void)madvise(f->own, own_bytes(f), MADV_DONTNEED);
}

void freeze_reset(struct freeze *f, bool frozen) {
    f->runs[0] = (struct freeze_run){0, frozen ? FREEZE_FOR_EVER : 0};
    f->n_runs = 1;
    forget_listed(f, 0, f->index->num);
    sum_up(f);
}

rh_status freeze_range(struct freeze *f, uint64_t first, uint64_t count, uint64_t until) {
    const uint64_t num = f->index->num, end = first + count;
    assert(count > 0 && first < num && count <= num - first);
    assert(until < UINT32_MAX || until == FREEZE_FOR_EVER);
    struct freeze_run *runs = malloc((f->n_runs + 2) * sizeof *runs);
    if (runs == NULL)
        return err_set(RH_ENOMEM, "no memory for %" PRIu32 " ranges of frozen rows", f->n_runs + 2);
    uint32_t n = 0, i = 0;
    for (; i < f->n_runs && f->runs[i].first < first; i++)
        append(runs, &n, f->runs[i].first, f->runs[i].until);
    append(runs, &n, first, until);
    if (end < num)
        append(runs, &n, end, f->runs[run_of(f, end)].until);
    for (; i < f->n_runs; i++)
        if (f->runs[i].first > end)
            append(runs, &n, f->runs[i].first, f->runs[i].until);
    free(f->runs);
    f->runs = runs;
    f->n_runs = n;
    forget_listed(f, first, count);
    sum_up(f);
    return RH_OK;
}

static void list_row(struct freeze *f, uint64_t row, uint64_t until) {
    uint64_t page = row / PAGE_ROWS;
    f->n_listed += !freeze_is_listed(f, row);
    f->listed[row / WORD_ROWS] |= UINT64_C(1) << row % WORD_ROWS;
    f->pages[page / WORD_ROWS] |= UINT64_C(1) << page % WORD_ROWS;
    f->own[row] = until == FREEZE_FOR_EVER ? UINT32_MAX : (uint32_t)until;
}

void freeze_rows(struct freeze *f, const uint64_t *rows, uint32_t n, uint64_t until) {
    assert(f->listed != NULL);
    assert(until < UINT32_MAX || until == FREEZE_FOR_EVER);
    for (uint32_t i = 0; i < n; i++)
        list_row(f, rows[i], until);
    if (n > 0)
        f->lists_most = most(f->lists_most, until);
    f->lists_least = least(f->lists_least, until);
    sum_up(f);
}

/* ---- from a checkpoint ---- */

void freeze_restore_rows(struct freeze *f, const uint64_t *rows, const uint64_t *untils,
                         uint32_t n) {
    assert(f->listed != NULL);
    for (uint32_t i = 0; i < n; i++)
        list_row(f, rows[i], untils[i]);
}

static bool is_until(uint64_t until) {
    return until < UINT32_MAX || until == FREEZE_FOR_EVER;
}

rh_status freeze_restore(struct freeze *f, struct freeze_run *runs, uint32_t n,
                         uint64_t lists_least, uint64_t lists_most) {
    bool good = n > 0 && n <= FREEZE_RUNS_MAX && is_until(lists_least) && is_until(lists_most);
    for (uint32_t i = 0; good && i < n; i++) {
        good = is_until(runs[i].until) && runs[i].first < f->index->num;
        if (i == 0)
            good &= runs[i].first == 0;
        else
            good &= runs[i].first > runs[i - 1].first && runs[i].until != runs[i - 1].until;
    }
    if (!good)
        return err_set(RH_ECORRUPT, "its %" PRIu32 " ranges of frozen rows make no sense", n);
    free(f->runs);
    f->runs = runs;
    f->n_runs = n;
    f->lists_least = lists_least;
    f->lists_most = lists_most;
    sum_up(f);
    return RH_OK;
}
