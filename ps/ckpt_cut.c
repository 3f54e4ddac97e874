/* ckpt_cut.c - a shard at one moment, on its way to a file while the shard goes on. See ckpt_shard.h. What
 * is small is copied at that moment; rows are snapshots. */
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

#include "common/err.h"
#include "common/size.h"
#include "ps/ckpt_shard.h"
#include "ps/shard_inner.h"
#include "ps/snapshot.h"

struct listed {
    uint64_t id, until;
};

/* A table that was not dropped. */
struct cut_table {
    uint32_t number, dim, slot_dim, own_dim;
    struct ckpt_own own;
    struct index index;
    struct freeze_run *runs; /* (n_runs) */
    uint32_t n_runs;
    struct listed *listed; /* (n_listed) */
    uint64_t n_listed;
    struct snapshot *rows; /* NULL: none was touched */
};

struct ckpt_cut {
    struct ckpt_manifest manifest;
    struct ckpt_identity id;
    struct cut_table *tables; /* (n_tables) */
    uint32_t n_tables;
    struct snapshot_set set;
    _Atomic uint64_t done_bytes;
};

/* ---- taking ---- */

static rh_status copy_runs(struct cut_table *c, const struct freeze *f) {
    const size_t bytes = f->n_runs * sizeof *c->runs;
    c->runs = malloc(bytes);
    if (c->runs == NULL)
        return err_set(RH_ENOMEM, "no memory for %u ranges of frozen rows", f->n_runs);
    memcpy(c->runs, f->runs, bytes);
    c->n_runs = f->n_runs;
    return RH_OK;
}

static rh_status copy_listed(struct cut_table *c, const struct freeze *f) {
    size_t bytes;
    if (f->n_listed == 0)
        return RH_OK;
    c->listed = size_mul(f->n_listed, sizeof *c->listed, &bytes) ? malloc(bytes) : NULL;
    if (c->listed == NULL)
        return err_set(RH_ENOMEM, "no memory for %llu frozen rows",
                       (unsigned long long)f->n_listed);
    for (uint64_t row = 0; (row = freeze_next_listed(f, row)) != FREEZE_NONE; row++) {
        uint64_t id = c->index.ops->id_of(&c->index, row);
        c->listed[c->n_listed++] = (struct listed){id, freeze_until(f, row, id)};
    }
    return RH_OK;
}

static rh_status take_table(struct table *t, struct snapshot_set *set, struct cut_table *c) {
    const struct store *st = &t->store;
    *c = (struct cut_table){.number = t->number,
                            .dim = t->spec.dim,
                            .slot_dim = st->slots != NULL ? st->slot_dim : 0,
                            .own_dim = st->own != NULL ? st->own_dim : 0,
                            .own = {t->skipped, t->freeze.lists_least, t->freeze.lists_most},
                            .index = t->index};
    rh_status s = RH_OK;
    if (t->snapshot != NULL)
        s = err_set(RH_EINVAL, "a checkpoint of it is being written: one at a time");
    if (s == RH_OK)
        s = copy_runs(c, &t->freeze);
    if (s == RH_OK)
        s = copy_listed(c, &t->freeze);
    if (s == RH_OK && st->n_touched > 0)
        s = snapshot_take(set, st, &t->snapshot, &c->rows);
    return s == RH_OK ? RH_OK : err_in(s, "table \"%s\"", t->name);
}

static rh_status take_tables(struct shard *s, struct ckpt_cut *c) {
    c->tables = calloc(s->n_tables + 1, sizeof *c->tables);
    if (c->tables == NULL)
        return err_set(RH_ENOMEM, "no memory for a checkpoint of %u tables", s->n_tables);
    rh_status st = RH_OK;
    for (uint32_t i = 0; st == RH_OK && i < s->n_tables; i++)
        if (s->tables[i] != NULL)
            st = take_table(s->tables[i], &c->set, &c->tables[c->n_tables++]);
    return st;
}

rh_status ckpt_cut_take(struct shard *s, struct ckpt_cut **out) {
    struct ckpt_cut *c = calloc(1, sizeof *c);
    if (c == NULL)
        return err_set(RH_ENOMEM, "no memory for a checkpoint");
    c->id =
        (struct ckpt_identity){.job = s->cfg.job, .shard = s->cfg.shard, .shards = s->cfg.shards};
    snapshot_set_init(&c->set);
    rh_status st = ckpt_shard_manifest(s, &c->manifest);
    if (st == RH_OK)
        st = take_tables(s, c);
    if (st == RH_OK)
        *out = c;
    else
        ckpt_cut_free(&c);
    return st;
}

void ckpt_cut_free(struct ckpt_cut **out) {
    struct ckpt_cut *c = *out;
    if (c == NULL)
        return;
    *out = NULL;
    for (uint32_t i = 0; i < c->n_tables; i++) {
        free(c->tables[i].runs);
        free(c->tables[i].listed);
        snapshot_free(&c->tables[i].rows);
    }
    free(c->tables);
    snapshot_set_fini(&c->set);
    ckpt_manifest_fini(&c->manifest);
    free(c);
}

void ckpt_cut_limit(struct ckpt_cut *c, size_t copies_bytes, uint32_t stall_ms) {
    c->set.limit_bytes = copies_bytes;
    c->set.stall_ms = stall_ms;
}

const struct ckpt_manifest *ckpt_cut_manifest(const struct ckpt_cut *c) {
    return &c->manifest;
}

/* ---- writing ---- */

static void show(struct ckpt_cut *c, const struct ckpt_writer *w) {
    atomic_store_explicit(&c->done_bytes, ckpt_writer_bytes(w), memory_order_relaxed);
}

uint64_t ckpt_cut_done_bytes(const struct ckpt_cut *c) {
    return atomic_load_explicit(&c->done_bytes, memory_order_relaxed);
}

static rh_status put_rows(struct ckpt_cut *c, struct ckpt_writer *w, const struct cut_table *t) {
    struct snapshot_row r;
    rh_status st = RH_OK;
    while (t->rows != NULL && st == RH_OK) {
        st = snapshot_next(t->rows, &r);
        if (st != RH_OK || r.row == STORE_NONE)
            break;
        st = ckpt_writer_row(w, t->index.ops->id_of(&t->index, r.row), r.weights, r.slots, r.own);
        show(c, w);
    }
    return st;
}

static rh_status put_listed(struct ckpt_cut *c, struct ckpt_writer *w, const struct cut_table *t) {
    rh_status st = RH_OK;
    for (uint64_t i = 0; st == RH_OK && i < t->n_listed; i++) {
        st = ckpt_writer_listed(w, t->listed[i].id, t->listed[i].until);
        show(c, w);
    }
    return st;
}

static rh_status put_table(struct ckpt_cut *c, struct ckpt_writer *w, const struct cut_table *t) {
    rh_status st = ckpt_writer_table(w, t->number, &t->own, t->dim, t->slot_dim, t->own_dim);
    if (st == RH_OK)
        st = ckpt_writer_runs(w, t->runs, t->n_runs);
    if (st == RH_OK)
        st = put_rows(c, w, t);
    return st == RH_OK ? put_listed(c, w, t) : st;
}

rh_status ckpt_cut_write(struct ckpt_cut *c, const struct ckpt_fd *folder, uint64_t generation,
                         struct ckpt_file *out) {
    struct ckpt_writer *w = NULL;
    c->id.generation = generation;
    rh_status st = ckpt_writer_new(folder, &c->id, &w);
    for (uint32_t i = 0; st == RH_OK && i < c->n_tables; i++)
        st = put_table(c, w, &c->tables[i]);
    snapshot_set_end(&c->set); /* before the disk is waited for */
    if (st == RH_OK)
        st = ckpt_writer_end(w, out);
    if (st == RH_OK)
        show(c, w);
    ckpt_writer_free(&w);
    return st;
}
