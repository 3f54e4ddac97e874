/* bsp.c - clocks under bsp: the ops of a clock are held, and applied as one when every worker has
 * ended it: first writes, freezes, resets and drops, in rank order; then per table the fold of all gradients, as
 * one step of the optimizer. */
#include <stdio.h>
#include <string.h>

#include "common/err.h"
#include "common/failpoint.h"
#include "ps/shard_inner.h"

uint32_t bsp_laggard(const struct shard *s, uint64_t clock) {
    for (uint32_t rank = 0; rank < s->world; rank++) {
        const struct session *w = shard_session(s, rank);
        if (w == NULL || (w->state != SESSION_GONE && w->ended <= clock))
            return rank;
    }
    return WIRE_NOBODY;
}

/* The clocks that are over for all. When everybody has left: those that anybody has ended. */
static uint64_t over(const struct shard *s) {
    uint64_t lowest = UINT64_MAX, highest = 0;
    for (uint32_t rank = 0; rank < s->world; rank++) {
        const struct session *w = shard_session(s, rank);
        uint64_t ended = w == NULL ? 0 : w->ended;
        if (w == NULL || w->state != SESSION_GONE)
            lowest = ended < lowest ? ended : lowest;
        highest = ended > highest ? ended : highest;
    }
    return lowest < highest ? lowest : highest;
}

/* Held ops stand in order, and no op of an earlier clock is left: the clock's are the first ones.
 */
static bool in_clock(const struct waiting *op, uint64_t clock) {
    return op != NULL && op->head.num.clock == clock;
}

/* What the ticks of a clock say about one table: did anybody push, and at which lr (the lowest
 * rank's). */
struct verdict {
    bool pushed;
    double lr;
};

static struct verdict ask_ticks(const struct shard *s, uint64_t clock, uint32_t table) {
    for (uint32_t rank = 0; rank < s->n_sessions; rank++) {
        if (s->sessions[rank] == NULL)
            continue;
        for (const struct waiting *op = s->sessions[rank]->held.first; in_clock(op, clock);
             op = op->next) {
            if (op->head.kind != WIRE_TICK && op->head.kind != WIRE_BYE)
                continue;
            struct rd r;
            rd_init(&r, op->frame->data + WIRE_HEAD, op->frame->len - WIRE_HEAD);
            for (uint32_t i = 0; i < op->head.sections; i++) {
                struct msg_tick m;
                msg_get_tick(&r, &m);
                if (m.table == table && m.pushed)
                    return (struct verdict){.pushed = true, .lr = m.lr};
            }
        }
    }
    return (struct verdict){.pushed = false};
}

/* The sections of one held push that are for table t: counts their rows, and adds them to the fold
 * if there is one. */
static size_t visit(const struct shard *s, const struct waiting *op, const struct table *t,
                    struct fold *into) {
    if (op->head.kind != WIRE_PUSH)
        return 0;
    size_t rows = 0;
    struct rd r;
    rd_init(&r, op->frame->data + WIRE_HEAD, op->frame->len - WIRE_HEAD);
    rd_bytes(&r, sizeof(uint64_t)); /* the digest */
    for (uint32_t i = 0; i < op->head.sections; i++) {
        struct msg_section sec;
        msg_get_section(&r, WIRE_PUSH, &sec);
        msg_get_rows(&r, &sec, shard_dim(s, sec.table));
        if (sec.table != t->number)
            continue;
        rows += sec.count;
        if (into != NULL)
            fold_add(into, sec.count, sec.ids, sec.rows);
    }
    return rows;
}

static rh_status apply_pushes(struct shard *s, uint64_t clock, struct table *t, double lr) {
    size_t rows = 0;
    for (uint32_t rank = 0; rank < s->n_sessions; rank++) {
        const struct session *w = s->sessions[rank];
        for (struct waiting *op = w == NULL ? NULL : w->held.first; in_clock(op, clock);
             op = op->next)
            rows += visit(s, op, t, NULL);
    }
    rh_status st = rows == 0 ? RH_OK : fold_begin(&s->fold, t->spec.dim, rows);
    if (st != RH_OK || rows == 0)
        return st;
    for (uint32_t rank = 0; rank < s->n_sessions; rank++) {
        const struct session *w = s->sessions[rank];
        for (struct waiting *op = w == NULL ? NULL : w->held.first; in_clock(op, clock);
             op = op->next)
            visit(s, op, t, &s->fold);
        fold_end_worker(&s->fold);
    }
    if (t->spec.reduce == SPEC_MEAN)
        fold_scale(&s->fold, 1.0f / (float)s->world);
    const uint8_t *ids = (const uint8_t *)s->fold.ids;
    freeze_enter(&t->freeze, clock);
    st = table_locate(t, ids, s->fold.all.n);
    if (st == RH_OK)
        st = table_update(t, ids, s->fold.all.n, (const uint8_t *)s->fold.sum, lr,
                          s->steps[t->number - 1]);
    return st;
}

/* What a held op does before the sum. */
static rh_status apply_one(struct shard *s, struct waiting *op) {
    if (op->head.kind == WIRE_WRITE)
        return ops_write(s, &op->head, op->frame);
    if (resets_is_void(s, op))
        return RH_OK;
    switch (op->head.kind) {
    case WIRE_FREEZE:
    case WIRE_FREEZE_IDS:
        return freezing_apply(s, &op->head, op->frame);
    case WIRE_RESET:
        return resets_reset(s, &op->head, op->frame, true);
    case WIRE_DROP:
        return resets_drop(s, &op->head, op->frame, true);
    case WIRE_LOAD:
        return loads_apply(s, op);
    default:
        return RH_OK;
    }
}

/* Writes, loads, freezes, resets and drops of the clock, in rank order. */
static rh_status apply_writes(struct shard *s, uint64_t clock) {
    rh_status st = RH_OK;
    for (uint32_t rank = 0; rank < s->n_sessions; rank++) {
        const struct session *w = s->sessions[rank];
        for (struct waiting *op = w == NULL ? NULL : w->held.first;
             st == RH_OK && in_clock(op, clock); op = op->next)
            st = apply_one(s, op);
    }
    return st;
}

static rh_status close_one(struct shard *s, uint64_t clock) {
    FAILPOINT("clock.before");
    rh_status st = apply_writes(s, clock);
    for (uint32_t i = 0; st == RH_OK && i < s->n_tables; i++) {
        if (s->tables[i] == NULL || freeze_is_whole(&s->tables[i]->freeze, clock))
            continue;
        struct verdict v = ask_ticks(s, clock, s->tables[i]->number);
        if (!v.pushed)
            continue;
        s->steps[i]++;
        st = apply_pushes(s, clock, s->tables[i], v.lr);
        FAILPOINT("clock.table");
    }
    for (uint32_t rank = 0; rank < s->n_sessions; rank++) {
        struct session *w = s->sessions[rank];
        while (w != NULL && in_clock(w->held.first, clock))
            waiting_free(waiting_pop(&w->held));
    }
    FAILPOINT("clock.after");
    return st;
}

void bsp_cancel(struct shard *s, struct session *w, const struct head *h, uint32_t call) {
    for (struct waiting **at = &w->held.first; *at != NULL;) {
        if (in_clock(*at, h->num.clock) && (*at)->head.num.call == call)
            waiting_free(waiting_remove(&w->held, at));
        else
            at = &(*at)->next;
    }
    limits_recount(s);
}

void bsp_close(struct shard *s) {
    uint64_t until = over(s), from = s->closed;
    while (s->closed < until && s->broken == RH_OK) {
        rh_status st = close_one(s, s->closed);
        if (st != RH_OK) {
            /* Half a clock is applied: what is here is no state of the job any more. */
            snprintf(s->broken_text, sizeof s->broken_text,
                     "shard %u could not close clock %llu: %s", s->cfg.shard,
                     (unsigned long long)s->closed, err_text());
            s->broken = st;
            return;
        }
        s->closed++;
        limits_recount(s);
    }
    if (s->closed != from)
        pulls_release_all(s);
}
