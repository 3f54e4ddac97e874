/* lead.c - what all shards must agree on: who is in the job and in which mode, the numbers of
 * tables, who has reached a barrier. Shard 0 decides; clients carry its word to the other shards,
 * which check it against what they know. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/err.h"
#include "common/failpoint.h"
#include "ps/shard_inner.h"

enum { MODE_TEXT = 24 };

/* "async", "ssp:3" or "bsp". */
static const char *mode_text(uint32_t mode, uint32_t staleness, char out[MODE_TEXT]) {
    if (mode == MODE_SSP)
        snprintf(out, MODE_TEXT, "ssp:%u", staleness);
    else
        snprintf(out, MODE_TEXT, "%s", mode == MODE_BSP ? "bsp" : "async");
    return out;
}

bool lead_anybody_here(const struct shard *s) {
    for (uint32_t i = 0; i < s->n_sessions; i++)
        if (s->sessions[i] != NULL && s->sessions[i]->state == SESSION_HERE)
            return true;
    return false;
}

uint64_t lead_furthest(const struct shard *s) {
    uint64_t clock = s->closed;
    for (uint32_t i = 0; i < s->n_sessions; i++)
        if (s->sessions[i] != NULL && s->sessions[i]->ended > clock)
            clock = s->sessions[i]->ended;
    return clock;
}

static rh_status check_mode(const struct shard *s, const struct head *h, const struct msg_hello *m,
                            bool settled) {
    char is[MODE_TEXT], wanted[MODE_TEXT];
    if (m->mode < MODE_ASYNC || m->mode > MODE_BSP)
        return err_set(RH_EPROTO, "worker %u asks for mode %u: there are async, ssp and bsp",
                       h->worker, m->mode);
    if (m->mode != MODE_SSP && m->staleness != 0)
        return err_set(RH_EPROTO, "worker %u asks for %s with a staleness of %u: ssp alone has one",
                       h->worker, mode_text(m->mode, 0, wanted), m->staleness);
    if (settled && (s->mode != m->mode || s->staleness != m->staleness))
        return err_set(RH_EMISMATCH, "the job runs in mode %s, worker %u asks for %s",
                       mode_text(s->mode, s->staleness, is), h->worker,
                       mode_text(m->mode, m->staleness, wanted));
    return RH_OK;
}

/* The first worker settles mode and world; so does the first after all have left. A launcher's
 * world stays. */
static rh_status check_job(struct shard *s, const struct head *h, const struct msg_hello *m) {
    bool settled = lead_anybody_here(s);
    rh_status st = check_mode(s, h, m, settled);
    if (st != RH_OK)
        return st;
    if (!settled)
        s->begun_ms = s->now_ms;
    uint32_t world = s->cfg.world != 0 ? s->cfg.world : settled ? s->world : m->world;
    if (m->world != world)
        return err_set(RH_EMISMATCH, "the job has %u worker%s, worker %u says %u", world,
                       world == 1 ? "" : "s", h->worker, m->world);
    if (world < 1 || world > SHARD_WORLD_MAX)
        return err_set(RH_EINVAL, "a world of %u workers: must be from 1 to %d", world,
                       SHARD_WORLD_MAX);
    if (h->worker >= world)
        return err_set(RH_EMISMATCH, "rank %u in a job of %u: ranks are from 0 to %u", h->worker,
                       world, world - 1);
    /* Under bsp all are in one clock: behind another mode, that of whoever was furthest. */
    if (m->mode == MODE_BSP && s->mode != MODE_BSP)
        s->closed = lead_furthest(s);
    s->mode = m->mode;
    s->staleness = m->staleness;
    s->world = world;
    return RH_OK;
}

rh_status lead_session(struct shard *s, uint32_t rank, struct session **out) {
    if (rank >= s->n_sessions) {
        struct session **p = realloc(s->sessions, s->world * sizeof *p);
        if (p == NULL)
            return err_set(RH_ENOMEM, "no memory for %u workers", s->world);
        memset(p + s->n_sessions, 0, (s->world - s->n_sessions) * sizeof *p);
        s->sessions = p;
        s->n_sessions = s->world;
    }
    if (s->sessions[rank] == NULL) {
        rh_status st = session_new(rank, &s->sessions[rank]);
        if (st != RH_OK)
            return st;
        s->sessions[rank]->inc = s->inc_floor;
        /* A worker that comes late has no part in the clocks that are over. */
        s->sessions[rank]->ended = s->closed;
    }
    *out = s->sessions[rank];
    return RH_OK;
}

rh_status lead_succeed(const struct shard *s, struct shard *into) {
    const bool others = lead_anybody_here(s);
    rh_status st = RH_OK;
    for (uint32_t rank = 0; st == RH_OK && rank < s->n_sessions && rank < into->world; rank++) {
        const struct session *was = s->sessions[rank];
        struct session *w = shard_session(into, rank);
        if (was == NULL)
            continue;
        if (w != NULL && w->inc < was->inc)
            w->inc = was->inc;
        if (!others || was->state != SESSION_GONE)
            continue;
        st = lead_session(into, rank, &w);
        if (st == RH_OK)
            w->state = SESSION_GONE;
    }
    return st;
}

/* The incarnation that this hello is, or why it may not come in. 0: it is the one that is here
 * already. */
static rh_status incarnation(const struct shard *s, const struct session *w, const struct head *h,
                             uint16_t life, uint32_t *inc) {
    bool here = w->state == SESSION_HERE;
    *inc = 0;
    /* A hello that the net has kept for longer than its client lived: nobody would ever end its clocks. */
    if (w->state == SESSION_GONE && h->num.call == w->nonce)
        return err_set(RH_EFENCED, "worker %u has said goodbye", w->rank);
    if (h->worker_inc != 0) {
        if (h->worker_inc < w->inc)
            return err_set(RH_EFENCED,
                           "a newer client (incarnation %u, not %u) took over as worker %u", w->inc,
                           h->worker_inc, w->rank);
        *inc = here && h->worker_inc == w->inc ? 0 : h->worker_inc;
        return RH_OK;
    }
    const bool same = h->num.call == w->nonce;
    if (here && same && h->num.part <= w->hello)
        return RH_OK;
    int64_t silent_ms = s->now_ms - w->heard_ms;
    if (here && !same && life <= w->life && silent_ms < SHARD_TAKEN_AFTER_MS)
        return err_set(
            RH_EMISMATCH,
            "rank %u is taken by a live worker (heard of %.1f s ago): every worker needs "
            "a rank of its own (RH_RANK)",
            w->rank, (double)silent_ms / 1000);
    *inc = w->inc + 1;
    return RH_OK;
}

rh_status lead_admit(struct shard *s, uint32_t peer, const struct head *h,
                     const struct msg_hello *m, struct session **out) {
    rh_status st = check_job(s, h, m);
    if (st != RH_OK)
        return st;
    struct session *w = NULL;
    uint32_t inc;
    st = lead_session(s, h->worker, &w);
    if (st == RH_OK)
        st = incarnation(s, w, h, m->life, &inc);
    if (st == RH_OK && inc != 0)
        st = notes_hello(s, h, m, inc);
    if (st != RH_OK)
        return st;
    if (inc != 0) {
        session_begin(w, inc, h->num.call);
        w->hello = h->num.part;
        if (s->cfg.shard == 0 && m->life > w->life)
            session_succeed(w, m->life);
        limits_recount(s); /* what it has left behind is gone */
        if (w->ended < m->clock_floor)
            w->ended = m->clock_floor;
        /* As one that comes late: what is closed has been closed without it. */
        if (s->mode == MODE_BSP && w->ended < s->closed)
            w->ended = s->closed;
    }
    w->peer = peer;
    w->heard_ms = s->now_ms;
    if (inc != 0)
        clocks_turn(s);
    *out = w;
    return RH_OK;
}

/* ---- tables ---- */

/* The table of this name as a worker sees it: the oldest whose end it has not ordered itself. Others may
 * run ahead of it under bsp: what they drop and open anew in this clock or a later one is not yet so
 * for this worker, or it would depend on who comes first. Observers: any rank that is none. */
static struct table *find_by_name(const struct shard *s, const char *name, uint32_t rank) {
    for (uint32_t i = 0; i < s->n_tables; i++)
        if (s->tables[i] != NULL && strcmp(s->tables[i]->name, name) == 0 &&
            !resets_will_drop(s, i + 1, rank))
            return s->tables[i];
    return NULL;
}

static rh_status not_there(const struct shard *s, const char *name) {
    for (uint32_t i = s->n_tables; i-- > 0;)
        if (s->dropped[i] != NULL && strcmp(s->dropped[i]->name, name) == 0)
            return err_set(RH_ENOTFOUND, "there is no table \"%s\": worker %u has dropped it", name,
                           s->dropped[i]->dropped_by);
    return err_set(RH_ENOTFOUND, "there is no table \"%s\"", name);
}

static rh_status make_table(struct shard *s, const struct msg_open *m, uint32_t number,
                            struct table **out) {
    const uint32_t before = s->n_tables;
    if (number > SHARD_TABLES_MAX)
        return err_set(RH_ELIMIT, "a job has at most %d tables, dropped ones included",
                       SHARD_TABLES_MAX);
    if (number > s->n_tables) {
        struct table **tables = realloc(s->tables, number * sizeof *tables);
        if (tables != NULL)
            s->tables = tables;
        struct table **dropped = realloc(s->dropped, number * sizeof *dropped);
        if (dropped != NULL)
            s->dropped = dropped;
        uint64_t *steps = realloc(s->steps, number * sizeof *steps);
        if (steps != NULL)
            s->steps = steps;
        if (tables == NULL || dropped == NULL || steps == NULL)
            return err_set(RH_ENOMEM, "no memory for table %s", m->name);
        memset(tables + s->n_tables, 0, (number - s->n_tables) * sizeof *tables);
        memset(dropped + s->n_tables, 0, (number - s->n_tables) * sizeof *dropped);
        memset(steps + s->n_tables, 0, (number - s->n_tables) * sizeof *steps);
        s->n_tables = number;
    }
    FAILPOINT("table.before");
    rh_status st =
        table_new(m->name, number, &m->spec, s->cfg.shard, s->cfg.shards, &s->tables[number - 1]);
    if (st != RH_OK) {
        s->n_tables = before; /* a number that nobody has heard of would stop every checkpoint */
        return st;
    }
    s->freezes += m->spec.frozen;
    *out = s->tables[number - 1];
    FAILPOINT("table.after");
    return RH_OK;
}

/* The table that stands under the lead's number, or NULL. Numbers of a name rise: one below that of a
 * table of the name which is here cannot be new. */
static rh_status find_by_number(const struct shard *s, const struct msg_open *m,
                                struct table **out) {
    if (shard_dropped(s, m->table) != NULL)
        return shard_no_table(s, "OPEN", m->table);
    *out = shard_table(s, m->table);
    if (*out != NULL && strcmp((*out)->name, m->name) != 0)
        return err_set(RH_EPROTO, "table number %u is \"%s\" here, not \"%s\"", m->table,
                       (*out)->name, m->name);
    for (uint32_t i = m->table; *out == NULL && i < s->n_tables; i++)
        if (s->tables[i] != NULL && strcmp(s->tables[i]->name, m->name) == 0)
            return err_set(RH_EPROTO, "table \"%s\" is number %u here, not %u", m->name, i + 1,
                           m->table);
    return RH_OK;
}

rh_status lead_open(struct shard *s, const struct msg_open *m, uint32_t rank, bool make,
                    struct table **out) {
    if (m->table == 0 && s->cfg.shard != 0)
        return err_set(RH_EPROTO, "only the lead, shard 0, gives numbers to tables");
    struct table *t = NULL;
    rh_status st = RH_OK;
    if (m->table == 0)
        t = find_by_name(s, m->name, rank);
    else
        st = find_by_number(s, m, &t);
    if (st == RH_OK && t == NULL && (m->find || !make))
        return not_there(s, m->name);
    if (st == RH_OK && t == NULL && s->cfg.read_only)
        return err_set(RH_EINVAL,
                       "these servers are read-only (--read-only), and have no table \"%s\": OPEN "
                       "makes none",
                       m->name);
    if (st == RH_OK)
        st = spec_check_name(m->name);
    if (st == RH_OK && !m->find)
        st = spec_check(&m->spec);
    if (st == RH_OK && t != NULL && !m->find)
        st = spec_same(&t->spec, &m->spec, m->name);
    if (st != RH_OK)
        return st;
    if (t == NULL)
        return make_table(s, m, m->table != 0 ? m->table : s->n_tables + 1, out);
    *out = t;
    return RH_OK;
}

/* ---- barriers ---- */

uint32_t lead_absent(const struct shard *s, uint32_t index) {
    for (uint32_t rank = 0; rank < s->world; rank++) {
        const struct session *w = shard_session(s, rank);
        if (w == NULL || (w->state != SESSION_GONE && w->barrier < index))
            return rank;
    }
    return WIRE_NOBODY;
}

void lead_release(struct shard *s) {
    for (uint32_t rank = 0; rank < s->world; rank++) {
        struct session *w = shard_session(s, rank);
        if (w == NULL || w->barrier_asked.kind == 0 || lead_absent(s, w->barrier) != WIRE_NOBODY)
            continue;
        uint8_t room[8];
        struct buf b;
        buf_wrap(&b, room, sizeof room);
        buf_put_u32(&b, w->barrier);
        struct head asked = w->barrier_asked;
        w->barrier_asked.kind = 0;
        shard_answer(s, w->peer, &asked, WIRE_PASSED, &b);
    }
}

static rh_status note_barrier(struct shard *s, const struct head *h, uint32_t index) {
    uint8_t room[8];
    struct buf b;
    buf_wrap(&b, room, sizeof room);
    buf_put_u32(&b, index);
    return notes_request(s, h, &b);
}

void lead_barrier(struct shard *s, struct session *w, const struct head *h, uint32_t index) {
    if (s->cfg.shard != 0) {
        shard_refuse(s, w->peer, h, err_set(RH_EPROTO, "barriers are kept by the lead, shard 0"));
        return;
    }
    FAILPOINT("barrier.before");
    if (index >= w->barrier) {
        rh_status st = index == w->barrier ? RH_OK : note_barrier(s, h, index);
        if (st != RH_OK) {
            shard_refuse(s, w->peer, h, st);
            return;
        }
        if (w->barrier_asked.kind == 0)
            w->barrier_ms = s->now_ms;
        w->barrier = index;
        w->barrier_asked = *h;
        lead_release(s);
        cuts_barrier(s, w);
        FAILPOINT("barrier.after");
        return;
    }
    /* An old question, come late: that barrier was passed. */
    uint8_t room[8];
    struct buf b;
    buf_wrap(&b, room, sizeof room);
    buf_put_u32(&b, index);
    shard_answer(s, w->peer, h, WIRE_PASSED, &b);
}
