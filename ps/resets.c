/* resets.c - tables that begin anew or end: RESET (with INIT: another initializer) and DROP. What
 * they mean is PROTOCOL.md, section 3. A dropped table leaves its struct behind, empty: its number
 * stays refusable by name, and what is held for it can still be read by its dim. */
#include <string.h>

#include "common/err.h"
#include "ps/shard_inner.h"
#include "ps/stage.h"

static rh_status unreadable(const struct head *h) {
    return err_set(RH_EPROTO, "a %s from worker %u cannot be read", wire_kind_name(h->kind),
                   h->worker);
}

/* ---- reset ---- */

/* T of a table by what its workers have pushed since its last reset. */
static uint64_t count_steps(const struct shard *s, uint32_t table) {
    uint64_t steps = 0;
    for (uint32_t i = 0; i < s->n_sessions; i++)
        if (s->sessions[i] != NULL)
            steps += session_counted(s->sessions[i], table);
    return steps;
}

/* The counts behind a RESET, of which r reads the first. Of a rank that is not known here there is
 * nothing to take off. */
static rh_status rebase(struct shard *s, struct rd *r, const struct msg_reset *m) {
    rh_status st = RH_OK;
    for (uint32_t i = 0; st == RH_OK && i < m->count; i++) {
        struct msg_count c;
        msg_get_count(r, &c);
        struct session *w = shard_session(s, c.rank);
        if (w != NULL)
            st = session_rebase(w, m->table, c.pushes);
    }
    return st;
}

static rh_status begin_anew(struct shard *s, const struct head *h, struct rd *r, bool apply) {
    struct msg_reset m;
    msg_get_reset(r, &m);
    struct rd counts = *r;
    for (uint32_t i = 0; i < m.count && !r->bad; i++)
        msg_get_count(r, &(struct msg_count){0});
    if (!rd_done(r))
        return unreadable(h);
    struct table *t = shard_table(s, m.table);
    if (t == NULL)
        return shard_no_table(s, "RESET", m.table);
    if (!apply)
        return RH_OK;
    rh_status st = rebase(s, &counts, &m);
    if (st != RH_OK)
        return st;
    table_reset(t);
    s->freezes++; /* for what it has thawed, or frozen */
    s->steps[m.table - 1] = s->mode == MODE_BSP ? 0 : count_steps(s, m.table);
    return RH_OK;
}

static rh_status renew(struct shard *s, const struct head *h, struct rd *r, bool apply) {
    struct msg_init m;
    msg_get_init(r, &m);
    if (!rd_done(r))
        return unreadable(h);
    struct table *t = shard_table(s, m.table);
    if (t == NULL)
        return shard_no_table(s, "RESET", m.table);
    struct spec spec = t->spec;
    spec.init = m.init;
    spec.seed = m.seed;
    memcpy(spec.init_arg, m.init_arg, sizeof spec.init_arg);
    rh_status st = spec_check(&spec);
    if (st != RH_OK)
        return err_in(st, "table \"%s\"", t->name);
    uint64_t order = (uint64_t)m.turn << 32 | h->worker;
    /* Under async two workers' inits may come in another order elsewhere; a clock closes in the same
     * one everywhere. */
    if (!apply || (s->mode != MODE_BSP && order < t->renewed))
        return RH_OK;
    table_renew(t, &spec);
    if (order > t->renewed)
        t->renewed = order;
    return RH_OK;
}

rh_status resets_reset(struct shard *s, const struct head *h, const struct frame *f, bool apply) {
    struct rd r;
    rd_init(&r, f->data + WIRE_HEAD, f->len - WIRE_HEAD);
    return h->flags & WIRE_INIT ? renew(s, h, &r, apply) : begin_anew(s, h, &r, apply);
}

/* ---- drop ---- */

rh_status resets_drop(struct shard *s, const struct head *h, const struct frame *f, bool apply) {
    struct rd r;
    rd_init(&r, f->data + WIRE_HEAD, f->len - WIRE_HEAD);
    struct msg_drop m;
    msg_get_drop(&r, &m);
    if (!rd_done(&r))
        return unreadable(h);
    struct table *t = shard_table(s, m.table);
    if (t == NULL)
        return shard_no_table(s, "DROP", m.table);
    if (!apply)
        return RH_OK;
    table_empty(t);
    t->dropped_by = h->worker;
    s->dropped[m.table - 1] = t;
    s->tables[m.table - 1] = NULL;
    s->steps[m.table - 1] = 0;
    return RH_OK;
}

/* ---- under bsp: what is held ---- */

/* The ops that are held and all about one table begin with its number. */
static uint32_t table_of(const struct waiting *op) {
    struct rd r;
    rd_init(&r, op->frame->data + WIRE_HEAD, op->frame->len - WIRE_HEAD);
    return rd_u32(&r);
}

bool resets_will_drop(const struct shard *s, uint32_t table, uint32_t rank) {
    const struct session *w = shard_session(s, rank);
    for (const struct waiting *op = w == NULL ? NULL : w->held.first; op != NULL; op = op->next)
        if (op->head.kind == WIRE_DROP && table_of(op) == table)
            return true;
    return false;
}

bool resets_is_void(const struct shard *s, const struct waiting *op) {
    switch (op->head.kind) {
    case WIRE_PUSH:
    case WIRE_WRITE:
    case WIRE_TICK:
    case WIRE_BYE:
        return false; /* of many tables, or none */
    default:
        return shard_dropped(s, table_of(op)) != NULL;
    }
}

static uint64_t rows_of(const struct shard *s, const struct waiting *op, uint32_t table) {
    if (op->head.kind == WIRE_LOAD)
        return table_of(op) == table ? op->stage->rows : 0;
    if (op->head.kind != WIRE_PUSH && op->head.kind != WIRE_WRITE)
        return 0;
    uint64_t rows = 0;
    struct rd r;
    rd_init(&r, op->frame->data + WIRE_HEAD, op->frame->len - WIRE_HEAD);
    rd_u64(&r); /* the digest */
    for (uint32_t i = 0; i < op->head.sections; i++) {
        struct msg_section sec;
        msg_get_section(&r, op->head.kind, &sec);
        msg_get_rows(&r, &sec, shard_dim(s, sec.table));
        if (sec.table == table)
            rows += sec.count;
    }
    return rows;
}

uint64_t resets_held_rows(const struct shard *s, uint32_t table) {
    uint64_t rows = 0;
    for (uint32_t i = 0; i < s->n_sessions; i++) {
        const struct session *w = s->sessions[i];
        for (const struct waiting *op = w == NULL ? NULL : w->held.first; op != NULL; op = op->next)
            rows += rows_of(s, op, table);
    }
    return rows;
}
