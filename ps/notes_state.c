/* notes_state.c - what a shard knows that stands in no checkpoint, as bytes: its sessions with their floors
 * and answers, so that what was acked is not taken again; which life it is in. JOURNAL.md, section 4. */
#include <string.h>

#include "common/err.h"
#include "ps/shard_inner.h"
#include "ps/stage.h"

/* ---- to bytes ---- */

static void put_num(struct buf *b, struct opnum n) {
    buf_put_u32(b, n.clock);
    buf_put_u32(b, n.call);
    buf_put_u32(b, n.part);
}

static uint32_t answers_of(const struct session *w) {
    return w->n_answers < SESSION_ANSWERS ? w->n_answers : SESSION_ANSWERS;
}

/* Oldest first. */
static void put_answers(const struct session *w, struct buf *b) {
    const uint32_t n = answers_of(w);
    buf_put_u32(b, n);
    for (uint32_t i = w->n_answers - n; i != w->n_answers; i++) {
        const struct answer *a = &w->answers[i % SESSION_ANSWERS];
        put_num(b, a->num);
        buf_put_u32(b, a->status);
        buf_put_u64(b, a->digest);
    }
}

static void put_counts(const struct session *w, struct buf *b) {
    uint32_t n = w->n_counts;
    while (n > 0 && w->counts[n - 1].pushes == 0 && w->counts[n - 1].base == 0)
        n--;
    buf_put_u32(b, n);
    for (uint32_t i = 0; i < n; i++) {
        buf_put_u64(b, w->counts[i].pushes);
        buf_put_u64(b, w->counts[i].base);
    }
}

static void put_session(const struct session *w, struct buf *b) {
    const bool reading = w->stage != NULL && !w->stage->done; /* it is begun anew: loads.c */
    buf_put_u32(b, w->rank);
    buf_put_u32(b, w->state);
    buf_put_u32(b, w->inc);
    buf_put_u32(b, w->nonce);
    buf_put_u32(b, w->hello);
    buf_put_u32(b, w->life);
    buf_put_u32(b, w->worked);
    buf_put_u32(b, w->redone);
    buf_put_u32(b, w->idle);
    put_num(b, w->floor);
    buf_put_u64(b, w->ended);
    buf_put_u64(b, w->taken);
    buf_put_u32(b, w->barrier);
    buf_put_u32(b, w->loads - reading);
    buf_put_u32(b, w->marked);
    buf_put_u32(b, w->cursor.p == NULL ? UINT32_MAX : w->cursor.len);
    buf_put_bytes(b, w->cursor.p, w->cursor.len);
    put_answers(w, b);
    put_counts(w, b);
}

static bool came(const struct session *w) {
    return w != NULL && (w->state != SESSION_NEVER || w->inc != 0);
}

void notes_state_put(const struct shard *s, struct buf *b) {
    const uint32_t tickets = s->n_tickets < SHARD_TICKETS ? s->n_tickets : SHARD_TICKETS;
    uint32_t sessions = 0;
    buf_put_u32(b, s->state);
    buf_put_u32(b, s->mode);
    buf_put_u32(b, s->staleness);
    buf_put_u32(b, s->world);
    buf_put_u64(b, s->closed);
    buf_put_u32(b, s->inc_floor);
    buf_put_u32(b, s->origin);
    buf_put_u32(b, s->freezes);
    buf_put_u32(b, s->answered);
    buf_put_u32(b, s->cut.begun);
    buf_put_u32(b, s->restored.times);
    buf_put_u32(b, s->restored.ticket);
    buf_put_u64(b, s->restored.generation);
    buf_put_str(b, s->restored.name);
    buf_put_u32(b, tickets);
    for (uint32_t i = s->n_tickets - tickets; i != s->n_tickets; i++)
        buf_put_u64(b, s->tickets[i % SHARD_TICKETS]);
    for (uint32_t i = 0; i < s->n_sessions; i++)
        sessions += came(s->sessions[i]);
    buf_put_u32(b, sessions);
    for (uint32_t i = 0; i < s->n_sessions; i++)
        if (came(s->sessions[i]))
            put_session(s->sessions[i], b);
}

/* ---- from bytes ---- */

static struct opnum get_num(struct rd *r) {
    struct opnum n = {.clock = rd_u32(r)};
    n.call = rd_u32(r);
    uint32_t part = rd_u32(r);
    rd_must(r, part <= UINT16_MAX);
    n.part = (uint16_t)part;
    return n;
}

static void get_answers(struct session *w, struct rd *r) {
    uint32_t n = rd_u32(r);
    rd_must(r, n <= SESSION_ANSWERS);
    for (w->n_answers = 0; !r->bad && w->n_answers < n; w->n_answers++) {
        struct answer *a = &w->answers[w->n_answers];
        a->num = get_num(r);
        a->status = (uint16_t)rd_u32(r);
        a->digest = rd_u64(r);
    }
}

static rh_status get_counts(struct session *w, struct rd *r) {
    uint32_t n = rd_u32(r);
    rh_status st = RH_OK;
    rd_must(r, n <= SHARD_TABLES_MAX + 1);
    for (uint32_t i = 0; st == RH_OK && !r->bad && i < n; i++) {
        uint64_t grown, pushes = rd_u64(r), base = rd_u64(r);
        if (r->bad || (pushes == 0 && base == 0))
            continue;
        st = session_saw_pushes(w, i, pushes, &grown);
        if (st == RH_OK)
            st = session_rebase(w, i, base);
    }
    return st;
}

static rh_status get_cursor(struct session *w, struct rd *r) {
    uint32_t len = rd_u32(r);
    if (len == UINT32_MAX)
        return cursor_set(&w->cursor, NULL, 0);
    const uint8_t *p = rd_bytes(r, len);
    return r->bad ? RH_OK : cursor_set(&w->cursor, p, len);
}

static rh_status get_session(struct shard *s, struct rd *r) {
    uint32_t rank = rd_u32(r), state = rd_u32(r);
    struct session *w = NULL;
    rd_must(r, rank < SHARD_WORLD_MAX && state <= SESSION_GONE);
    if (r->bad)
        return RH_OK;
    const uint32_t world = s->world;
    s->world = rank < world ? world : rank + 1; /* it may have been larger when this one came */
    rh_status st = lead_session(s, rank, &w);
    s->world = world;
    if (st != RH_OK)
        return st;
    w->state = (enum session_state)state;
    w->inc = rd_u32(r);
    w->nonce = rd_u32(r);
    w->hello = (uint16_t)rd_u32(r);
    w->life = (uint16_t)rd_u32(r);
    w->worked = rd_yesno(r);
    w->redone = rd_yesno(r);
    w->idle = rd_yesno(r);
    w->floor = get_num(r);
    w->ended = rd_u64(r);
    w->taken = rd_u64(r);
    w->barrier = rd_u32(r);
    w->loads = rd_u32(r);
    w->marked = rd_u32(r);
    st = get_cursor(w, r);
    if (st == RH_OK)
        get_answers(w, r);
    return st == RH_OK ? get_counts(w, r) : st;
}

rh_status notes_state_get(struct shard *s, const void *p, size_t len) {
    struct rd r;
    rd_init(&r, p, len);
    s->state = (enum msg_state)rd_u32(&r);
    s->mode = rd_u32(&r);
    s->staleness = rd_u32(&r);
    s->world = rd_u32(&r);
    s->closed = rd_u64(&r);
    s->inc_floor = rd_u32(&r);
    s->origin = rd_u32(&r);
    s->freezes = rd_u32(&r);
    s->answered = rd_u32(&r);
    s->cut.begun = rd_u32(&r);
    s->restored.times = rd_u32(&r);
    s->restored.ticket = rd_u32(&r);
    s->restored.generation = rd_u64(&r);
    rd_str(&r, s->restored.name, sizeof s->restored.name);
    uint32_t tickets = rd_u32(&r);
    rd_must(&r, s->state <= MSG_PENDING && s->mode <= MODE_BSP && s->world <= SHARD_WORLD_MAX &&
                    tickets <= SHARD_TICKETS);
    for (s->n_tickets = 0; !r.bad && s->n_tickets < tickets; s->n_tickets++)
        s->tickets[s->n_tickets] = rd_u64(&r);
    rh_status st = RH_OK;
    for (uint32_t n = rd_u32(&r); st == RH_OK && !r.bad && n > 0; n--)
        st = get_session(s, &r);
    if (st == RH_OK && !rd_done(&r))
        st = err_set(RH_ECORRUPT, "what shard %u knew makes no sense", s->cfg.shard);
    return st;
}
