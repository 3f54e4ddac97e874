/* ckpt_restore.c - N files into a shard of M. See ckpt_shard.h. Tables are built aside, block by block,
 * and become the shard's when all of them are whole. */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/err.h"
#include "proto/place.h"
#include "ps/ckpt_shard.h"
#include "ps/shard_inner.h"

/* A table that is being filled. */
struct filling {
    struct table *table; /* NULL: not wanted */
    struct freeze_run *runs;
    uint32_t n_runs;
    uint64_t least, most;
};

struct restore {
    const struct ckpt_fd *folder;
    const struct ckpt_manifest *m;
    uint32_t shard, shards, first, end; /* first .. end - 1: its slots */
    bool state;                         /* optimizer state too */
    struct filling *tables;             /* (m->n_tables) */
    atomic_uint_fast64_t *done_bytes;   /* grows by the blocks that are done; or NULL */
};

static rh_status no_sense(const struct ckpt_reader *r, const struct ckpt_block *b,
                          const char *why) {
    return err_set(RH_ECORRUPT, "%s is damaged: the block at byte %" PRIu64 " %s",
                   ckpt_reader_name(r), b->entry->offset, why);
}

/* ---- blocks ---- */

/* The block's rows of our slots: from .. to - 1. */
static void ours(const struct restore *o, const struct ckpt_block *b, uint32_t *from,
                 uint32_t *to) {
    uint32_t n = b->entry->count;
    for (*from = 0; *from < n && place_slot(index_id(b->ids, *from)) < o->first; ++*from)
        ;
    for (*to = *from; *to < n && place_slot(index_id(b->ids, *to)) < o->end; ++*to)
        ;
}

static rh_status take_rows(const struct restore *o, const struct ckpt_reader *r,
                           const struct ckpt_block *b, struct table *t) {
    struct store *st = &t->store;
    uint32_t from, to;
    ours(o, b, &from, &to);
    bool state = o->state && (b->slot_dim > 0 || b->own_dim > 0);
    rh_status s = table_locate(t, b->ids + (size_t)from * 8, to - from);
    if (s == RH_OK && state)
        s = store_open_slots(st);
    if (s != RH_OK)
        return s;
    for (uint32_t i = 0; i < to - from; i++)
        if (store_is_touched(st, t->rows[i]))
            return no_sense(r, b, "names a row again");
    store_fill(st, t->rows, to - from, b->weights + (size_t)from * b->dim * 4,
               state && b->slot_dim > 0 ? b->slots + (size_t)from * b->slot_dim * 4 : NULL,
               state && b->own_dim > 0 ? b->words + (size_t)from * b->own_dim * 4 : NULL);
    return RH_OK;
}

static rh_status take_listed(const struct restore *o, const struct ckpt_reader *r,
                             const struct ckpt_block *b, struct table *t) {
    uint32_t from, to;
    ours(o, b, &from, &to);
    rh_status s = table_locate(t, b->ids + (size_t)from * 8, to - from);
    if (s == RH_OK)
        s = freeze_open_lists(&t->freeze);
    if (s != RH_OK)
        return s;
    for (uint32_t i = 0; i < to - from; i++) {
        uint32_t until;
        memcpy(&until, b->untils + (size_t)(from + i) * 4, sizeof until);
        if (freeze_is_listed(&t->freeze, t->rows[i]))
            return no_sense(r, b, "names a row again");
        uint64_t wide = until == UINT32_MAX ? FREEZE_FOR_EVER : until;
        freeze_restore_rows(&t->freeze, &t->rows[i], &wide, 1);
    }
    return RH_OK;
}

static rh_status take_runs(const struct ckpt_reader *r, const struct ckpt_block *b,
                           struct filling *f) {
    uint64_t n = (uint64_t)f->n_runs + b->entry->count;
    if (n > FREEZE_RUNS_MAX)
        return no_sense(r, b, "has too many ranges");
    struct freeze_run *runs = realloc(f->runs, n * sizeof *runs);
    if (runs == NULL)
        return err_set(RH_ENOMEM, "no memory for %" PRIu64 " ranges of frozen rows", n);
    f->runs = runs;
    for (uint32_t i = 0; i < b->entry->count; i++)
        runs[f->n_runs++] =
            (struct freeze_run){index_id(b->runs, 2 * i), index_id(b->runs, 2 * i + 1)};
    return RH_OK;
}

/* What a file says of a table as a whole. */
static void take_own(const struct restore *o, uint32_t file, const struct ckpt_block *b,
                     struct filling *f) {
    uint32_t begins = place_first(file, o->m->shards);
    if (begins >= o->first && begins < o->end)
        f->table->skipped += b->own.skipped;
    f->least = b->own.lists_least < f->least ? b->own.lists_least : f->least;
    f->most = b->own.lists_most > f->most ? b->own.lists_most : f->most;
}

static rh_status take_block(const struct restore *o, struct ckpt_reader *r, uint32_t file,
                            uint32_t i) {
    const struct ckpt_entry *e = ckpt_reader_entry(r, i);
    struct filling *f = &o->tables[e->table - 1];
    bool rows = e->kind == CKPT_ROWS || e->kind == CKPT_LISTED;
    if (f->table == NULL || (rows && (e->last < o->first || e->first >= o->end)) ||
        (e->kind == CKPT_RUNS && file != place_shard_of_slot(o->first, o->m->shards)))
        return RH_OK;
    struct ckpt_block b;
    rh_status st = ckpt_reader_block(r, i, &b);
    if (st != RH_OK)
        return st;
    switch (e->kind) {
    case CKPT_TABLE:
        take_own(o, file, &b, f);
        return RH_OK;
    case CKPT_RUNS:
        return take_runs(r, &b, f);
    case CKPT_ROWS:
        return take_rows(o, r, &b, f->table);
    default:
        return take_listed(o, r, &b, f->table);
    }
}

/* ---- files ---- */

/* Of a file that holds none of our slots: that it is there. */
static rh_status look_at(const struct restore *o, uint32_t file) {
    const struct ckpt_file *is = &o->m->files[file];
    struct ckpt_fd f;
    uint64_t bytes = 0;
    rh_status st = ckpt_open_file(o->folder, is->name, CKPT_READ, &f);
    if (st != RH_OK)
        return st;
    st = ckpt_size(&f, &bytes);
    if (st == RH_OK && bytes != is->bytes)
        st = err_set(RH_ECORRUPT, "%s has %" PRIu64 " bytes, its manifest says %" PRIu64, f.name,
                     bytes, is->bytes);
    ckpt_drop(&f);
    return st;
}

static rh_status take_file(const struct restore *o, uint32_t file) {
    uint32_t first = place_first(file, o->m->shards), end = place_first(file + 1, o->m->shards);
    if (end <= o->first || first >= o->end)
        return look_at(o, file);
    struct ckpt_reader *r = NULL;
    rh_status st = ckpt_reader_open(o->folder, o->m, file, &r);
    if (st != RH_OK)
        return st;
    uint32_t told = 0;
    for (uint32_t i = 0; i < ckpt_reader_blocks(r); i++)
        told += ckpt_reader_entry(r, i)->kind == CKPT_TABLE;
    for (uint32_t i = 0; i < o->m->n_tables; i++)
        told -= o->m->tables[i].dropped_by == CKPT_NOT_DROPPED;
    if (told != 0)
        st = err_set(RH_ECORRUPT, "%s has not the tables of its manifest", ckpt_reader_name(r));
    for (uint32_t i = 0; st == RH_OK && i < ckpt_reader_blocks(r); i++) {
        st = take_block(o, r, file, i);
        if (o->done_bytes != NULL)
            atomic_fetch_add(o->done_bytes, ckpt_reader_entry(r, i)->packed);
    }
    ckpt_reader_close(&r);
    return st;
}

/* ---- tables ---- */

static void restore_fini(struct restore *o) {
    for (uint32_t i = 0; o->tables != NULL && i < o->m->n_tables; i++) {
        table_free(&o->tables[i].table);
        free(o->tables[i].runs);
    }
    free(o->tables);
}

/* only: the table's number, 0: all. On success their tables are filled. */
static rh_status restore_tables(struct restore *o, uint32_t only) {
    const struct ckpt_manifest *m = o->m;
    rh_status st = RH_OK;
    o->first = place_first(o->shard, o->shards);
    o->end = place_first(o->shard + 1, o->shards);
    o->tables = calloc(m->n_tables + 1, sizeof *o->tables);
    if (o->tables == NULL)
        return err_set(RH_ENOMEM, "no memory for %" PRIu32 " tables", m->n_tables);
    for (uint32_t i = 0; st == RH_OK && i < m->n_tables; i++) {
        const struct ckpt_table *t = &m->tables[i];
        o->tables[i].least = FREEZE_FOR_EVER;
        if (t->dropped_by != CKPT_NOT_DROPPED || (only != 0 && only != t->number))
            continue;
        st = table_new(t->name, t->number, &t->spec, o->shard, o->shards, &o->tables[i].table);
    }
    for (uint32_t file = 0; st == RH_OK && file < m->shards; file++)
        st = take_file(o, file);
    for (uint32_t i = 0; st == RH_OK && i < m->n_tables; i++) {
        struct filling *f = &o->tables[i];
        if (f->table == NULL)
            continue;
        f->table->renewed = m->tables[i].renewed;
        st = freeze_restore(&f->table->freeze, f->runs, f->n_runs, f->least, f->most);
        if (st == RH_OK)
            f->runs = NULL;
        else
            st = err_in(st, "%s: table \"%s\"", o->folder->name, f->table->name);
    }
    return st;
}

rh_status ckpt_table_load(const struct ckpt_fd *folder, const struct ckpt_manifest *m,
                          uint32_t number, uint32_t shard, uint32_t shards, bool state,
                          struct table **out) {
    struct restore o = {.folder = folder, .m = m, .shard = shard, .shards = shards, .state = state};
    rh_status st = restore_tables(&o, number);
    if (st == RH_OK) {
        *out = o.tables[number - 1].table;
        o.tables[number - 1].table = NULL;
    }
    restore_fini(&o);
    return st;
}

/* ---- a shard ---- */

/* What is left of a dropped table: see table_empty. */
static struct table *ghost(const struct ckpt_table *t) {
    struct table *g = calloc(1, sizeof *g);
    if (g == NULL)
        return NULL;
    memcpy(g->name, t->name, sizeof g->name);
    g->number = t->number;
    g->spec = t->spec;
    g->dropped_by = t->dropped_by;
    return g;
}

static rh_status take_worker(const struct ckpt_worker *w, struct session **out) {
    struct session *s = NULL;
    rh_status st = session_new(w->rank, &s);
    if (st != RH_OK)
        return st;
    s->inc = w->incarnation;
    s->ended = w->clock;
    s->taken = w->taken;
    /* No floor: nobody can send again what was sent before, and with one the worker's next client
     * would begin at the clock behind this one. */
    s->state = SESSION_NEVER; /* who had left, too: every worker of the world comes anew */
    if (w->cursor_len > 0)
        st = cursor_set(&s->saved, w->cursor, w->cursor_len);
    if (st == RH_OK)
        st = cursor_set(&s->cursor, s->saved.p, s->saved.len);
    for (uint32_t i = 0; st == RH_OK && i < w->n_counts; i++) {
        uint64_t grown;
        st = session_saw_pushes(s, w->counts[i].table, w->counts[i].pushes, &grown);
        if (st == RH_OK)
            st = session_rebase(s, w->counts[i].table, w->counts[i].base);
    }
    if (st == RH_OK)
        *out = s;
    else
        session_free(&s);
    return st;
}

/* Makes room in the shard for all of it, and fills all but the tables that are not dropped. What is
 * half done here, shard_empty takes away. */
static rh_status take_rest(struct shard *s, const struct ckpt_manifest *m) {
    uint32_t ranks = m->n_workers == 0 ? 0 : m->workers[m->n_workers - 1].rank + 1;
    ranks = ranks > m->world ? ranks : m->world;
    s->tables = calloc(m->n_tables + 1, sizeof *s->tables);
    s->dropped = calloc(m->n_tables + 1, sizeof *s->dropped);
    s->steps = calloc(m->n_tables + 1, sizeof *s->steps);
    s->sessions = calloc((size_t)ranks + 1, sizeof *s->sessions);
    if (s->tables == NULL || s->dropped == NULL || s->steps == NULL || s->sessions == NULL)
        return err_set(RH_ENOMEM, "no memory for what shard %" PRIu32 " restores", s->cfg.shard);
    s->n_tables = m->n_tables;
    s->n_sessions = ranks;
    for (uint32_t i = 0; i < m->n_tables; i++) {
        s->steps[i] = m->tables[i].steps;
        if (m->tables[i].dropped_by == CKPT_NOT_DROPPED)
            continue;
        s->dropped[i] = ghost(&m->tables[i]);
        if (s->dropped[i] == NULL)
            return err_set(RH_ENOMEM, "no memory for what shard %" PRIu32 " restores",
                           s->cfg.shard);
    }
    rh_status st = RH_OK;
    for (uint32_t i = 0; st == RH_OK && i < m->n_workers; i++)
        st = take_worker(&m->workers[i], &s->sessions[m->workers[i].rank]);
    return st;
}

/* All that two checkpoints may differ in is in the sums of their files, or here. Never 0. */
static uint32_t origin_of(const struct ckpt_manifest *m) {
    uint64_t sums = 0;
    for (uint32_t i = 0; i < m->shards; i++) {
        const uint64_t next[] = {sums, m->files[i].sum.high, m->files[i].sum.low};
        sums = hash64(next, sizeof next);
    }
    const uint64_t all[] = {m->job, m->generation, m->saved_unix_ms, sums};
    uint32_t origin = (uint32_t)hash64(all, sizeof all);
    return origin == 0 ? 1 : origin;
}

rh_status ckpt_shard_restore(struct shard *s, const struct ckpt_fd *folder,
                             const struct ckpt_manifest *m, const char *name) {
    if (s->n_tables > 0 || s->n_sessions > 0)
        return err_set(RH_EINVAL,
                       "shard %" PRIu32 " has tables or workers: a checkpoint is "
                       "restored into an empty one",
                       s->cfg.shard);
    struct restore o = {.folder = folder,
                        .m = m,
                        .shard = s->cfg.shard,
                        .shards = s->cfg.shards,
                        .state = true,
                        .done_bytes = &s->filled_bytes};
    rh_status st = restore_tables(&o, 0);
    if (st == RH_OK) {
        st = take_rest(s, m);
        if (st != RH_OK)
            shard_empty(s);
    }
    if (st == RH_OK) {
        for (uint32_t i = 0; i < m->n_tables; i++) {
            s->tables[i] = o.tables[i].table;
            o.tables[i].table = NULL;
        }
        s->mode = m->mode;
        s->world = s->cfg.world != 0 ? s->cfg.world : m->world;
        s->closed = m->clock;
        snprintf(s->saved_name, sizeof s->saved_name, "%s", name);
        s->saved_generation = m->generation;
        s->saved_clock = m->clock;
        s->origin = origin_of(m);
        s->freezes++; /* whoever knew what was frozen asks again */
    }
    restore_fini(&o);
    return st;
}
