/* freeze.h - which rows of a table are frozen, and until which clock, as one shard knows it. Ranges
 * are kept as runs over the whole id space, so one over a billion rows costs sixteen bytes; rows of
 * lists in side arrays, which are there once there is a list. What was said last about a row holds.
 * PROTOCOL.md, section 2, is the specification. Knows ids, rows and clocks; no workers, no frames. */
#ifndef PS_FREEZE_H
#define PS_FREEZE_H

#include <stdbool.h>
#include <stdint.h>

#include "common/status.h"
#include "ps/index.h"

#define FREEZE_FOR_EVER UINT64_MAX
#define FREEZE_NONE     UINT64_MAX

enum { FREEZE_RUNS_MAX = 1 << 20 };

/* Ids from first up to the next run's are frozen in clocks below until; 0: in none. */
struct freeze_run {
    uint64_t first, until;
};

struct freeze {
    const struct index *index;
    struct freeze_run *runs; /* (n_runs) ascending from id 0; neighbours differ */
    uint32_t n_runs;

    /* Rows that a list has named, and no later range. NULL before the first list. Address space: an
     * untouched page costs nothing. */
    uint64_t *listed; /* bit r: row r has an `until` of its own */
    uint64_t *pages;  /* bit p: rows 4096 p .. 4096 p + 4095 may have listed ones */
    uint32_t *own;    /* (rows) its until; UINT32_MAX: for ever */
    uint64_t n_listed;
    uint64_t lists_least; /* the least until of all lists since a range that was the whole table */
    uint64_t lists_most;  /* no listed row is frozen from that clock on */

    uint64_t whole; /* the table is wholly frozen in clocks below it */
    uint64_t last;  /* no row is frozen from that clock on */

    /* of the batch in hand: freeze_enter */
    uint64_t clock;
    bool thins;
};

/* frozen: every row, for ever. index is looked at until freeze_fini. */
rh_status freeze_init(struct freeze *f, const struct index *index, bool frozen) MUST_CHECK;
void freeze_fini(struct freeze *f); /* fine on a zeroed one */

/* As after freeze_init. Cannot fail; keeps the side arrays' addresses, for lists that are held. */
void freeze_reset(struct freeze *f, bool frozen);

/* Ids first .. first + count - 1, count above 0, all of them the table's. until: 0 thaws;
 * FREEZE_FOR_EVER; any other below 2^32 - 1. RH_ENOMEM: nothing has changed. */
rh_status freeze_range(struct freeze *f, uint64_t first, uint64_t count, uint64_t until) MUST_CHECK;

/* Makes the side arrays, if they are not there: freeze_rows cannot fail then. RH_ENOMEM. */
rh_status freeze_open_lists(struct freeze *f) MUST_CHECK;

/* A list, of which n rows are this shard's; n may be 0. */
void freeze_rows(struct freeze *f, const uint64_t *rows, uint32_t n, uint64_t until);

/* ---- from a checkpoint, into one as after freeze_init: first all listed rows (freeze_open_lists
 * comes before), then this ---- */
void freeze_restore_rows(struct freeze *f, const uint64_t *rows, const uint64_t *untils,
                         uint32_t n);
/* Takes runs, from malloc, n of them. RH_ECORRUPT: they are none, or until is none; runs is still the
 * caller's then. */
rh_status freeze_restore(struct freeze *f, struct freeze_run *runs, uint32_t n,
                         uint64_t lists_least, uint64_t lists_most) MUST_CHECK;

static inline bool freeze_is_whole(const struct freeze *f, uint64_t clock) {
    return clock < f->whole;
}

/* A batch of pushes of that clock comes: freeze_holds is about it from now on, and is false for
 * every row if not f->thins. */
static inline void freeze_enter(struct freeze *f, uint64_t clock) {
    f->clock = clock;
    f->thins = clock < f->last;
}

static inline bool freeze_is_listed(const struct freeze *f, uint64_t row) {
    return f->listed != NULL && (f->listed[row >> 6] >> (row & 63) & 1) != 0;
}

/* The clock from which on a row is open. */
uint64_t freeze_until(const struct freeze *f, uint64_t row, uint64_t id);

static inline bool freeze_holds(const struct freeze *f, uint64_t row, uint64_t id) {
    return f->clock < freeze_until(f, row, id);
}

/* This shard's rows that are frozen in a clock. Takes time with the runs and the listed rows. */
uint64_t freeze_count(const struct freeze *f, uint64_t clock);

/* The first listed row from `row` on, or FREEZE_NONE. */
uint64_t freeze_next_listed(const struct freeze *f, uint64_t row);

#endif
