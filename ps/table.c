/* table.c - rows in, rows out, of one table on one shard. What limits these loops is memory, and a
 * batch names its rows before the first is needed: so each loop fetches a few rows ahead of the one
 * it works on. */
#include "ps/table.h"

#include <assert.h>
#include <stdalign.h>
#include <stdlib.h>
#include <string.h>

#include "common/err.h"
#include "common/kern.h"
#include "ps/renorm.h"
#include "ps/snapshot.h"

enum {
    LINE_BYTES = 64,
    AHEAD = 8,         /* rows; from 4 to 24 it makes no difference that can be measured */
    AHEAD_BYTES = 1024 /* of a row; the hardware sees the stream and goes on by itself */
};

rh_status table_new(const char *name, uint32_t number, const struct spec *s, uint32_t shard,
                    uint32_t shards, struct table **out) {
    assert(strlen(name) <= WIRE_NAME_MAX);
    struct table *t = calloc(1, sizeof *t);
    if (t == NULL)
        return err_set(RH_ENOMEM, "table \"%s\": no memory", name);
    memcpy(t->name, name, strlen(name));
    t->number = number;
    t->room = TABLE_ROOM;
    t->spec = *s;
    t->opt = opt_find(s);
    init_setup(&t->init, s, name);

    rh_status st = index_dense.init(&t->index, s, shard, shards);
    if (st != RH_OK)
        goto free_table;
    st = freeze_init(&t->freeze, &t->index, s->frozen);
    if (st != RH_OK)
        goto free_table;
    st = store_init(&t->store, t->index.rows, s->dim, t->opt->slots, t->opt->own);
    if (st != RH_OK)
        goto free_table;
    size_t row_bytes = s->dim * sizeof *t->scratch;
    t->scratch = aligned_alloc(LINE_BYTES, (row_bytes + LINE_BYTES - 1) / LINE_BYTES * LINE_BYTES);
    if (t->scratch == NULL) {
        st = err_set(RH_ENOMEM, "no memory for a row of dim %u", s->dim);
        goto free_table;
    }
    *out = t;
    return RH_OK;
free_table:
    table_free(&t);
    return err_in(st, "table \"%s\"", name);
}

void table_free(struct table **t) {
    if (*t == NULL)
        return;
    table_empty(*t);
    free(*t);
    *t = NULL;
}

rh_status table_locate(struct table *t, const uint8_t *ids, uint32_t n) {
    if (n > t->rows_cap) {
        uint64_t *rows = realloc(t->rows, n * sizeof *rows);
        if (rows == NULL)
            return err_set(RH_ENOMEM, "table \"%s\": no memory to locate %u rows", t->name, n);
        t->rows = rows;
        t->rows_cap = n;
    }
    rh_status st = t->index.ops->locate(&t->index, ids, n, t->rows);
    return st == RH_OK ? RH_OK : err_in(st, "table \"%s\"", t->name);
}

/* To read, also where the row will be written: nobody else has its lines, and prefetchw made updates
 * 16 % slower where it was measured. */
static inline void fetch(const void *row, size_t len_bytes) {
    const char *p = row;
    for (size_t at = 0; at < len_bytes; at += LINE_BYTES)
        __builtin_prefetch(p + at);
}

static inline size_t min_size(size_t a, size_t b) {
    return a < b ? a : b;
}

void table_read(struct table *t, const uint8_t *ids, uint32_t n, uint8_t *out) {
    const struct store *s = &t->store;
    const size_t row_bytes = s->dim * sizeof(float);
    const size_t ahead_bytes = min_size(row_bytes, AHEAD_BYTES);
    for (uint32_t i = 0; i < n; i++, out += row_bytes) {
        if (i + AHEAD < n)
            fetch(store_row(s, t->rows[i + AHEAD]), ahead_bytes);
        const float *row = store_row(s, t->rows[i]);
        if (!store_is_touched(s, t->rows[i])) {
            init_row(&t->init, index_id(ids, i), t->scratch);
            row = t->scratch;
        }
        memcpy(out, row, row_bytes);
    }
}

void table_pull(struct table *t, const uint8_t *ids, uint32_t n, uint8_t *out) {
    table_read(t, ids, n, out);
    if (t->spec.max_norm == 0)
        return;
    const size_t row_bytes = t->spec.dim * sizeof(float);
    for (uint32_t i = 0; i < n; i++, out += row_bytes) {
        memcpy(t->scratch, out, row_bytes);
        if (renorm_row(&t->spec, t->scratch))
            memcpy(out, t->scratch, row_bytes);
    }
}

/* A row that nobody has touched is about to be. False: there is no room. */
static inline bool admit(struct table *t, uint64_t id) {
    if (t->room == TABLE_ROOM)
        return true;
    if (t->room == 0) {
        if (t->refused++ == 0)
            t->refused_first = id;
        return false;
    }
    t->room--;
    return true;
}

void table_write(struct table *t, const uint8_t *ids, uint32_t n, const uint8_t *in) {
    struct store *s = &t->store;
    const size_t row_bytes = s->dim * sizeof(float);
    const size_t ahead_bytes = min_size(row_bytes, AHEAD_BYTES);
    if (t->snapshot != NULL)
        snapshot_before(t->snapshot, t->rows, n);
    for (uint32_t i = 0; i < n; i++, in += row_bytes) {
        if (i + AHEAD < n)
            fetch(store_row(s, t->rows[i + AHEAD]), ahead_bytes);
        if (!store_is_touched(s, t->rows[i])) {
            if (!admit(t, index_id(ids, i)))
                continue;
            store_touch(s, t->rows[i]);
        }
        memcpy(store_row(s, t->rows[i]), in, row_bytes);
    }
}

/* A batch of gradients on its way into the rows. */
struct update {
    struct table *t;
    const uint8_t *ids, *grads;
    uint32_t n;
    struct opt_step step;
};

/* Whether this batch has rows to look at before they are updated. */
static bool has_rules(const struct table *t) {
    return t->room != TABLE_ROOM || t->spec.max_norm != 0 || t->freeze.thins ||
           t->spec.nonfinite == SPEC_SKIP;
}

/* Rows from .. to - 1 of the batch. Inlined for ruled true and false, so that a table without rules
 * has no branch about them in the loop: those were 5 % of the instructions here. */
static inline __attribute__((always_inline)) void update_rows(const struct update *u, uint32_t from,
                                                              uint32_t to, bool ruled) {
    struct table *t = u->t;
    const struct store *s = &t->store;
    const size_t row_bytes = s->dim * sizeof(float);
    const size_t ahead_bytes = min_size(row_bytes, AHEAD_BYTES);
    const size_t ahead_slot_bytes = min_size(s->slot_dim * sizeof(float), 2 * AHEAD_BYTES);
    const bool limited = ruled && t->spec.max_norm != 0;
    const bool thins = ruled && t->freeze.thins;
    const bool skips = ruled && t->spec.nonfinite == SPEC_SKIP;
    const uint8_t *grads = u->grads + from * row_bytes;
    const bool aligned = (uintptr_t)grads % alignof(float) == 0; /* often not, off a socket */
    for (uint32_t i = from; i < to; i++, grads += row_bytes) {
        if (i + AHEAD < u->n) {
            uint64_t ahead = t->rows[i + AHEAD];
            fetch(store_row(s, ahead), ahead_bytes);
            fetch(store_slot(s, ahead), ahead_slot_bytes);
            fetch(store_own(s, ahead), s->own_dim * sizeof(float));
        }
        if (thins && freeze_holds(&t->freeze, t->rows[i], index_id(u->ids, i)))
            continue;
        const float *g = t->scratch;
        if (aligned)
            g = (const float *)grads;
        else
            memcpy(t->scratch, grads, row_bytes);
        if (skips && !kern_all_finite(s->dim, g)) {
            t->skipped++;
            continue;
        }
        float *row = store_row(s, t->rows[i]);
        if (!store_is_touched(s, t->rows[i])) {
            if (ruled && !admit(t, index_id(u->ids, i)))
                continue;
            init_row(&t->init, index_id(u->ids, i), row);
            store_touch(&t->store, t->rows[i]);
        }
        if (limited)
            renorm_row(&t->spec, row);
        t->opt->update(&u->step, s->dim, row, store_slot(s, t->rows[i]), store_own(s, t->rows[i]),
                       g);
    }
}

/* Where the padding row stands in the batch, at from or behind it; n if it does not. */
static uint32_t find_padding(const struct table *t, const uint8_t *ids, uint32_t from, uint32_t n) {
    const uint64_t padding = t->spec.padding_idx;
    if (padding == SPEC_NO_PADDING)
        return n;
    while (from < n && index_id(ids, from) != padding)
        from++;
    return from;
}

rh_status table_update(struct table *t, const uint8_t *ids, uint32_t n, const uint8_t *grads,
                       double lr, uint64_t steps) {
    assert(steps > 0);
    rh_status st = store_open_slots(&t->store);
    if (st != RH_OK)
        return err_in(st, "table \"%s\"", t->name);
    if (t->snapshot != NULL)
        snapshot_before(t->snapshot, t->rows, n);
    struct update u = {.t = t, .ids = ids, .grads = grads, .n = n};
    t->opt->prepare(&t->spec, lr, steps, &u.step);
    const bool ruled = has_rules(t);
    for (uint32_t from = 0, to; from < n; from = to + 1) {
        to = find_padding(t, ids, from, n);
        if (ruled)
            update_rows(&u, from, to, true);
        else
            update_rows(&u, from, to, false);
    }
    return RH_OK;
}
