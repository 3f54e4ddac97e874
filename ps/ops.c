/* ops.c - what changes state: each op is taken once, in the order of its worker's chain, and
 * answered. An op is checked whole before any of it is applied, so that a refusal has changed
 * nothing. */
#include <math.h>
#include <string.h>

#include "common/err.h"
#include "common/failpoint.h"
#include "common/hash.h"
#include "ps/shard_inner.h"

/* ---- reading the bodies ---- */

static bool is_lr(double lr) {
    return isfinite(lr) && lr >= 0;
}

/* closing: the op was held meanwhile, and its sections of tables that were dropped since then get
 * table NULL. */
static rh_status read_parts(struct shard *s, const struct head *h, const struct frame *f,
                            bool closing) {
    struct rd r;
    rd_init(&r, f->data + WIRE_HEAD, f->len - WIRE_HEAD);
    rd_bytes(&r, sizeof(uint64_t)); /* the digest */
    for (uint32_t i = 0; i < h->sections; i++) {
        struct part *p = &s->parts[i];
        msg_get_section(&r, h->kind, &p->sec);
        if (r.bad)
            break;
        p->table = shard_table(s, p->sec.table);
        const struct table *is =
            p->table == NULL && closing ? shard_dropped(s, p->sec.table) : p->table;
        if (is == NULL)
            return shard_no_table(s, wire_kind_name(h->kind), p->sec.table);
        msg_get_rows(&r, &p->sec, is->spec.dim);
        if (r.bad)
            break;
        if (p->table == NULL)
            continue;
        if (h->kind == WIRE_PUSH && (p->sec.pushes == 0 || !is_lr(p->sec.lr)))
            return err_set(RH_EPROTO, "PUSH number %llu of worker %u to table \"%s\" with lr %g",
                           (unsigned long long)p->sec.pushes, h->worker, p->table->name, p->sec.lr);
        rh_status st = table_locate(p->table, p->sec.ids, p->sec.count);
        if (st != RH_OK)
            return st;
    }
    if (!rd_done(&r))
        return err_set(RH_EPROTO, "the body of a %s from worker %u cannot be read",
                       wire_kind_name(h->kind), h->worker);
    return RH_OK;
}

rh_status ops_parts(struct shard *s, const struct head *h, const struct frame *f) {
    return read_parts(s, h, f, false);
}

rh_status ops_held_parts(struct shard *s, const struct waiting *op) {
    return read_parts(s, &op->head, op->frame, true);
}

/* ops_parts has located every section; a table that stands in several keeps only its last. */
static rh_status relocate(const struct part *parts, uint32_t i, uint32_t n) {
    if (n == 1)
        return RH_OK;
    return table_locate(parts[i].table, parts[i].sec.ids, parts[i].sec.count);
}

/* ---- applying them ---- */

static rh_status saw_pushes(struct shard *s, struct session *w, uint32_t table, uint64_t pushes) {
    uint64_t grown;
    rh_status st = session_saw_pushes(w, table, pushes, &grown);
    if (st == RH_OK && s->mode != MODE_BSP)
        s->steps[table - 1] += grown;
    return st;
}

/* T of the push in hand. One that was numbered before the table's last reset, and came after it, is a
 * first step that does not count. */
static uint64_t step_of(const struct shard *s, uint32_t table) {
    uint64_t steps = s->steps[table - 1];
    return steps == 0 ? 1 : steps;
}

static rh_status push_now(struct shard *s, struct session *w, const struct head *h) {
    struct over over = {0};
    for (uint32_t i = 0; i < h->sections; i++) {
        const struct part *p = &s->parts[i];
        rh_status st = relocate(s->parts, i, h->sections);
        if (st == RH_OK)
            st = saw_pushes(s, w, p->sec.table, p->sec.pushes);
        freeze_enter(&p->table->freeze, h->num.clock);
        limits_enter(s, p->table);
        if (st == RH_OK && !freeze_is_whole(&p->table->freeze, h->num.clock))
            st = table_update(p->table, p->sec.ids, p->sec.count, p->sec.rows, p->sec.lr,
                              step_of(s, p->sec.table));
        limits_leave(p->table, &over);
        if (st != RH_OK)
            return st;
    }
    return limits_say(s, &over);
}

rh_status ops_write(struct shard *s, const struct head *h, const struct frame *f) {
    rh_status st = read_parts(s, h, f, s->mode == MODE_BSP);
    struct over over = {0};
    for (uint32_t i = 0; st == RH_OK && i < h->sections; i++) {
        const struct part *p = &s->parts[i];
        if (p->table == NULL)
            continue;
        st = relocate(s->parts, i, h->sections);
        if (st != RH_OK)
            break;
        limits_enter(s, p->table);
        table_write(p->table, p->sec.ids, p->sec.count, p->sec.rows);
        limits_leave(p->table, &over);
    }
    return st == RH_OK ? limits_say(s, &over) : st;
}

/* Keeps a taken op until its clock closes. */
static rh_status keep(struct session *w, const struct head *h, struct frame *f) {
    struct waiting *op = waiting_new(h, f);
    if (op == NULL)
        return err_set(RH_ENOMEM, "no memory to hold an op of worker %u", w->rank);
    waiting_append(&w->held, op);
    return RH_OK;
}

/* The same of what may be refused: not of the end of a clock, which lets go of all the others. */
static rh_status hold(const struct shard *s, struct session *w, const struct head *h,
                      struct frame *f) {
    rh_status st = limits_hold(s, f->len);
    return st == RH_OK ? keep(w, h, f) : st;
}

/* The op in s->parts. */
static rh_status hold_rows(struct shard *s, struct session *w, const struct head *h,
                           struct frame *f) {
    rh_status st = limits_hold(s, f->len);
    if (st == RH_OK)
        st = limits_promise(s, h->sections);
    return st == RH_OK ? keep(w, h, f) : st;
}

static rh_status take_push(struct shard *s, struct session *w, const struct head *h,
                           struct frame *f) {
    rh_status st = ops_parts(s, h, f);
    if (st != RH_OK)
        return st;
    FAILPOINT("apply.before");
    st = s->mode == MODE_BSP ? hold_rows(s, w, h, f) : push_now(s, w, h);
    FAILPOINT("apply.after");
    if (st == RH_OK) {
        s->pushes++;
        for (uint32_t i = 0; i < h->sections; i++)
            s->pushed_rows += s->parts[i].sec.count;
    }
    return st;
}

static rh_status take_write(struct shard *s, struct session *w, const struct head *h,
                            struct frame *f) {
    if (s->mode != MODE_BSP)
        return ops_write(s, h, f);
    rh_status st = ops_parts(s, h, f);
    return st == RH_OK ? hold_rows(s, w, h, f) : st;
}

static rh_status take_freeze(struct shard *s, struct session *w, const struct head *h,
                             struct frame *f) {
    rh_status st = freezing_check(s, h, f);
    if (st == RH_OK)
        st = s->mode == MODE_BSP ? hold(s, w, h, f) : freezing_apply(s, h, f);
    return st;
}

/* A RESET or DROP: now, or at the close of its clock. */
static rh_status take_reset(struct shard *s, struct session *w, const struct head *h,
                            struct frame *f) {
    bool now = s->mode != MODE_BSP;
    rh_status st = h->kind == WIRE_RESET ? resets_reset(s, h, f, now) : resets_drop(s, h, f, now);
    return st == RH_OK && !now ? hold(s, w, h, f) : st;
}

static rh_status unreadable(const struct head *h) {
    return err_set(RH_EPROTO, "a %s from worker %u cannot be read", wire_kind_name(h->kind),
                   h->worker);
}

/* The counts of all tables, so that every shard agrees on T at a cut. */
static rh_status take_counts(struct shard *s, struct session *w, const struct head *h,
                             struct rd *r) {
    for (uint32_t i = 0; i < h->sections; i++) {
        struct msg_tick m;
        msg_get_tick(r, &m);
        if (!r->bad && shard_dropped(s, m.table) != NULL)
            continue; /* by another worker: this one may not have heard of it */
        if (r->bad || shard_table(s, m.table) == NULL || !is_lr(m.lr))
            return unreadable(h);
        /* On a read-only shard they were refused. */
        rh_status st = s->cfg.read_only ? RH_OK : saw_pushes(s, w, m.table, m.pushes);
        if (st != RH_OK)
            return st;
    }
    return RH_OK;
}

/* The end of a clock. */
static rh_status take_end(struct shard *s, struct session *w, const struct head *h,
                          struct frame *f) {
    struct rd r;
    rd_init(&r, f->data + WIRE_HEAD, f->len - WIRE_HEAD);
    FAILPOINT("tick.before");
    rh_status st = take_counts(s, w, h, &r);
    if (st == RH_OK && (!rd_done(&r) || h->num.call != WIRE_CALL_END))
        st = unreadable(h);
    return st == RH_OK && s->mode == MODE_BSP && !s->cfg.read_only ? keep(w, h, f) : st;
}

static rh_status take_cancel(struct shard *s, struct session *w, const struct head *h,
                             const struct frame *f) {
    struct rd r;
    struct msg_cancel m;
    rd_init(&r, f->data + WIRE_HEAD, f->len - WIRE_HEAD);
    msg_get_cancel(&r, &m);
    if (!rd_done(&r) || m.call >= h->num.call)
        return unreadable(h);
    bsp_cancel(s, w, h, m.call);
    return RH_OK;
}

/* A worker's position in a checkpoint. */
static rh_status take_mark(struct shard *s, struct session *w, const struct head *h,
                           struct frame *f) {
    struct rd r;
    struct msg_mark m;
    rd_init(&r, f->data + WIRE_HEAD, f->len - WIRE_HEAD);
    FAILPOINT("mark.before");
    rh_status st = take_counts(s, w, h, &r);
    if (st != RH_OK)
        return st;
    msg_get_mark(&r, &m);
    if (!rd_done(&r))
        return unreadable(h);
    if (m.cursor != NULL)
        st = cursor_set(&w->cursor, m.cursor, m.cursor_len);
    if (st == RH_OK)
        cuts_mark(s, w, m.generation);
    FAILPOINT("mark.after");
    return st;
}

/* ---- open ---- */

static rh_status read_open(const struct head *h, const struct frame *f, struct msg_open *m) {
    struct rd r;
    rd_init(&r, f->data + WIRE_HEAD, f->len - WIRE_HEAD);
    msg_get_open(&r, m);
    return rd_done(&r) ? RH_OK
                       : err_set(RH_EPROTO, "an OPEN from worker %u cannot be read", h->worker);
}

static void say_opened(struct shard *s, uint32_t peer, const struct head *h, const struct table *t,
                       uint64_t pushes) {
    uint8_t room[256];
    struct buf b;
    buf_wrap(&b, room, sizeof room);
    msg_put_opened(&b, &(struct msg_opened){.table = t->number,
                                            .frozen = freeze_is_whole(&t->freeze, h->num.clock),
                                            .pushes = pushes,
                                            .steps = s->steps[t->number - 1],
                                            .spec = t->spec});
    shard_answer(s, peer, h, WIRE_OPENED, &b);
}

void ops_find(struct shard *s, uint32_t peer, const struct head *h, struct frame *f) {
    struct msg_open m;
    struct table *t = NULL;
    rh_status st = read_open(h, f, &m);
    if (st == RH_OK && !m.find)
        st = err_set(RH_EINVAL, "an observer may look at tables, not make them");
    if (st == RH_OK)
        st = lead_open(s, &m, h->worker, false, &t);
    if (st == RH_OK)
        say_opened(s, peer, h, t, 0);
    else
        shard_refuse(s, peer, h, st);
}

/* ---- taking an op ---- */

/* What makes an op the same op: table and ids where it has some, else its whole body; of a RESET the
 * table, for a clock that is redone counts other pushes. */
static rh_status read_digest(const struct head *h, const struct frame *f, uint64_t *digest) {
    if (h->kind != WIRE_PUSH && h->kind != WIRE_WRITE) {
        size_t len = f->len - WIRE_HEAD;
        if (h->kind == WIRE_RESET && !(h->flags & WIRE_INIT) && len > sizeof(uint32_t))
            len = sizeof(uint32_t);
        *digest = hash64(f->data + WIRE_HEAD, len);
        return RH_OK;
    }
    struct rd r;
    rd_init(&r, f->data + WIRE_HEAD, f->len - WIRE_HEAD);
    *digest = rd_u64(&r);
    return r.bad ? err_set(RH_EPROTO, "an op from worker %u cannot be read", h->worker) : RH_OK;
}

static void say_ack(struct shard *s, const struct session *w, const struct head *h) {
    struct head a = shard_head(s, h, WIRE_ACK);
    a.prev.call = cuts_wanted(s, w, h);
    FAILPOINT("ack.before");
    shard_send(s, w->peer, msg_frame(s->net->pool, &a, NULL));
    FAILPOINT("ack.after");
}

/* again: it is a repeat. */
static void answer_op(struct shard *s, struct session *w, const struct head *h, struct frame *f,
                      rh_status st, bool again) {
    struct msg_open m;
    struct table *t = NULL;
    if (st == RH_OK && h->kind == WIRE_OPEN) {
        st = read_open(h, f, &m);
        if (st == RH_OK)
            st = lead_open(s, &m, h->worker, !again, &t);
    }
    if (!again)
        s->answered = (uint16_t)st;
    if (st != RH_OK)
        shard_refuse(s, w->peer, h, st);
    else if (t != NULL)
        say_opened(s, w->peer, h, t, session_pushes(w, t->number));
    else
        say_ack(s, w, h);
}

static void take(struct shard *s, struct session *w, const struct head *h, struct frame *f) {
    uint64_t digest = 0;
    rh_status st = notes_frame(s, f);
    if (st != RH_OK) { /* it was not taken: nothing of it, nor of what is behind it */
        shard_refuse(s, w->peer, h, st);
        return;
    }
    st = read_digest(h, f, &digest);
    if (h->num.clock > w->ended)
        clocks_enter(s, w, h->num.clock);
    if (st == RH_OK && h->num.clock < w->ended)
        st = err_set(RH_EPROTO, "worker %u has ended clock %u already", w->rank, h->num.clock);
    if (st == RH_OK)
        st = shard_may(s, h->kind);
    if (st == RH_OK && h->kind == WIRE_PUSH)
        st = take_push(s, w, h, f);
    else if (st == RH_OK && h->kind == WIRE_WRITE)
        st = take_write(s, w, h, f);
    else if (st == RH_OK && (h->kind == WIRE_FREEZE || h->kind == WIRE_FREEZE_IDS))
        st = take_freeze(s, w, h, f);
    else if (st == RH_OK && (h->kind == WIRE_RESET || h->kind == WIRE_DROP))
        st = take_reset(s, w, h, f);
    else if (st == RH_OK && h->kind == WIRE_LOAD)
        st = loads_take(s, w, h, f);
    else if (st == RH_OK && (h->kind == WIRE_TICK || h->kind == WIRE_BYE))
        st = take_end(s, w, h, f);
    else if (st == RH_OK && h->kind == WIRE_MARK)
        st = take_mark(s, w, h, f);
    else if (st == RH_OK && h->kind == WIRE_CANCEL)
        st = take_cancel(s, w, h, f);
    session_took(w, h->num, digest, st);
    w->idle = h->kind == WIRE_TICK || ((h->kind == WIRE_MARK || h->kind == WIRE_OPEN) && w->idle);
    if (st == RH_OK && (h->kind == WIRE_TICK || h->kind == WIRE_BYE)) {
        w->ended = (uint64_t)h->num.clock + 1;
        if (h->kind == WIRE_BYE)
            session_leave(w);
        FAILPOINT("tick.after");
    }
    answer_op(s, w, h, f, st, false);
}

static void say_nack(struct shard *s, struct session *w, const struct head *h) {
    struct head a = shard_head(s, h, WIRE_NACK);
    a.prev = w->floor;
    shard_send(s, w->peer, msg_frame(s->net->pool, &a, NULL));
}

static void repeat(struct shard *s, struct session *w, const struct head *h, struct frame *f) {
    uint64_t digest;
    rh_status was = RH_OK;
    s->repeats++;
    FAILPOINT("repeat.before");
    rh_status st = read_digest(h, f, &digest);
    if (st == RH_OK)
        st = session_recall(w, h->num, digest, &was);
    if (st == RH_OK && was != RH_OK)
        st = err_set(was, "refused before: %s", status_text(was));
    answer_op(s, w, h, f, st, true);
}

/* What taken ops have set free: parked pulls, clocks, barriers. */
static void after_taking(struct shard *s, struct session *w, bool ended) {
    pulls_release(s, w);
    if (!ended)
        return;
    clocks_turn(s);
    lead_release(s);
}

/* One op and all that it sets free. So what was taken in this order by an earlier life, and comes one
 * by one, leads to the same. */
static void take_one(struct shard *s, struct session *w, const struct head *h, struct frame *f) {
    uint64_t ended = w->ended;
    take(s, w, h, f);
    after_taking(s, w, w->ended != ended);
}

/* The next op of this worker waits: for a cut, or for clocks to close. */
static bool must_wait(const struct shard *s, const struct session *w, const struct head *h) {
    return cuts_hold(s, w) || limits_is_ahead(s, h->num.clock);
}

/* Early ops whose turn it is now. */
static void take_early(struct shard *s, struct session *w) {
    for (struct waiting *next; w->early.first != NULL && !must_wait(s, w, &w->early.first->head) &&
                               (next = session_unpark(w)) != NULL;
         waiting_free(next))
        take_one(s, w, &next->head, next->frame);
}

void ops_resume(struct shard *s) {
    for (uint32_t rank = 0; rank < s->n_sessions; rank++) {
        struct session *w = s->sessions[rank];
        if (w != NULL)
            take_early(s, w);
    }
}

void ops_frame(struct shard *s, struct session *w, const struct head *h, struct frame *f) {
    enum session_verdict verdict = session_judge(w, h->num, h->prev);
    if (verdict == SESSION_TAKE && must_wait(s, w, h))
        verdict = SESSION_EARLY;
    switch (verdict) {
    case SESSION_REPEAT:
        repeat(s, w, h, f);
        return;
    case SESSION_FORKED:
        shard_refuse(s, w->peer, h,
                     err_set(RH_EPROTO,
                             "worker %u: op (%u, %u, %u) follows one that shard %u never took",
                             w->rank, h->num.clock, h->num.call, h->num.part, s->cfg.shard));
        return;
    case SESSION_EARLY:
        if (session_park(w, h, f) != RH_OK)
            say_nack(s, w, h);
        return;
    case SESSION_TAKE:
        break;
    }
    take_one(s, w, h, f);
    take_early(s, w);
    cuts_try(s);
}
