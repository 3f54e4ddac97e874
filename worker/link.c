/* link.c - see link.h. Top down: lists, sending, hello, requests, answers, time. */
#include "worker/link.h"

#include <assert.h>
#include <stdio.h>
#include <string.h>

#include "proto/msg.h"

/* Which answer a request wants; 0 for what is not answered as a request (HELLO, BEAT). */
static const uint8_t answer_to[WIRE_REQUESTS_END] = {
    [WIRE_OPEN] = WIRE_OPENED,      [WIRE_PULL] = WIRE_ROWS,          [WIRE_PUSH] = WIRE_ACK,
    [WIRE_WRITE] = WIRE_ACK,        [WIRE_FREEZE] = WIRE_ACK,         [WIRE_TICK] = WIRE_ACK,
    [WIRE_BYE] = WIRE_ACK,          [WIRE_BARRIER] = WIRE_PASSED,     [WIRE_INFO] = WIRE_FACTS,
    [WIRE_RESET] = WIRE_ACK,        [WIRE_DROP] = WIRE_ACK,           [WIRE_LOAD] = WIRE_ACK,
    [WIRE_FREEZE_IDS] = WIRE_ACK,   [WIRE_FROZEN] = WIRE_FROZEN_ROWS, [WIRE_STAGE] = WIRE_STAGED,
    [WIRE_MARK] = WIRE_ACK,         [WIRE_SAVE] = WIRE_SAVING,        [WIRE_COMMIT] = WIRE_SAVING,
    [WIRE_CURSOR] = WIRE_CURSOR_IS, [WIRE_RESTORE] = WIRE_RESTORED,   [WIRE_CANCEL] = WIRE_ACK,
};

/* ---- lists ---- */

static void list_append(struct request_list *q, struct request *r) {
    r->next = NULL;
    r->prev = q->last;
    if (q->last != NULL)
        q->last->next = r;
    else
        q->first = r;
    q->last = r;
    q->n++;
}

static void list_remove(struct request_list *q, struct request *r) {
    *(r->prev != NULL ? &r->prev->next : &q->first) = r->next;
    *(r->next != NULL ? &r->next->prev : &q->last) = r->prev;
    q->n--;
}

static struct lane *lane_of(struct link *l, const struct request *r) {
    return &l->lanes[wire_is_op(r->head.kind) ? LINK_OPS : LINK_ASKS];
}

/* Out of its list, its credit returned, its frame let go. */
static void detach(struct link *l, struct request *r) {
    struct lane *lane = lane_of(l, r);
    list_remove(r->flying ? &lane->flying : &lane->queued, r);
    if (r->flying && r->credit_bytes > 0) {
        lane->paying--;
        l->credit_used -= r->credit_bytes;
    }
    frame_unref(r->frame);
    r->frame = NULL;
}

/* ---- sending ---- */

/* Takes the reference. A net that cannot send now has lost the frame: it will be sent again. */
static void send_frame(struct link *l, struct frame *f, int64_t now_ms) {
    rh_status lost = l->cfg.net->ops->send(l->cfg.net, l->cfg.peer, f);
    (void)lost;
    l->sent_ms = now_ms;
}

static uint32_t who(const struct link *l) {
    return l->looks ? WIRE_OBSERVER : l->cfg.worker;
}

/* What every header of this session says. */
static void fill_head(const struct link *l, struct head *h) {
    h->version = WIRE_VERSION;
    h->flags |= l->cfg.no_sums ? WIRE_NOSUM : 0;
    h->job = l->cfg.job;
    h->worker = who(l);
    h->worker_inc = l->worker_inc;
    h->server_inc = l->server_inc;
    h->prev = l->last;
    h->status = RH_OK;
}

/* A small frame that nobody keeps: a hello, a beat. If memory is short, the next one will do. */
static void send_small(struct link *l, struct head *h, const struct buf *body, int64_t now_ms) {
    fill_head(l, h);
    struct frame *f = msg_frame(l->cfg.net->pool, h, body);
    if (f != NULL)
        send_frame(l, f, now_ms);
}

static void fly(struct link *l, struct request *r, int64_t now_ms) {
    struct lane *lane = lane_of(l, r);
    if (r->credit_bytes > 0) {
        lane->paying++;
        l->credit_used += r->credit_bytes;
    }
    r->flying = true;
    r->wait_ms = LINK_RESEND_MS;
    r->due_ms = now_ms + r->wait_ms;
    if (r->due_ms < l->resend_due_ms)
        l->resend_due_ms = r->due_ms;
    list_append(&lane->flying, r);
    send_frame(l, frame_ref(r->frame), now_ms);
}

static bool may_fly(const struct link *l, const struct lane *lane, const struct request *r) {
    if (lane->flying.n >= LINK_FLYING_MAX)
        return false;
    /* One of each lane always may: pulls that are parked at the shard until another worker ticks
     * must not stop our own ops, and a frame may be larger than all credit. */
    return r->credit_bytes == 0 || lane->paying == 0 ||
           l->credit_used + r->credit_bytes <= l->credit_bytes;
}

/* Sends what waits, as far as the credit goes. */
static void flow(struct link *l, int64_t now_ms) {
    struct lane *ops = &l->lanes[LINK_OPS], *asks = &l->lanes[LINK_ASKS];
    struct request *r;
    while ((r = ops->queued.first) != NULL && may_fly(l, ops, r)) {
        list_remove(&ops->queued, r);
        fly(l, r, now_ms);
    }
    while ((r = asks->queued.first) != NULL && may_fly(l, asks, r)) {
        /* Before the op that it follows it would only be parked. */
        if (ops->queued.first != NULL && opnum_cmp(ops->queued.first->head.num, r->head.prev) <= 0)
            break;
        list_remove(&asks->queued, r);
        fly(l, r, now_ms);
    }
}

/* ---- hello ---- */

void link_init(struct link *l, const struct link_config *cfg) {
    *l = (struct link){.cfg = *cfg, .wait.rank = WIRE_NOBODY, .resend_due_ms = INT64_MAX};
    l->nack_ms = INT64_MIN / 2;
}

void link_renew(struct link *l) {
    assert(l->state == LINK_FAILED);
    const struct link_config cfg = l->cfg;
    const uint16_t lives = l->lives;
    link_init(l, &cfg);
    l->lives = (uint16_t)(lives + 1);
}

void link_fini(struct link *l) {
    for (int i = 0; i < LINK_LANES; i++) {
        while (l->lanes[i].queued.first != NULL)
            detach(l, l->lanes[i].queued.first);
        while (l->lanes[i].flying.first != NULL)
            detach(l, l->lanes[i].flying.first);
    }
}

static void say_hello(struct link *l, int64_t now_ms) {
    const struct link_config *c = &l->cfg;
    uint8_t room[64];
    struct buf b;
    buf_wrap(&b, room, sizeof room);
    msg_put_hello(&b, &(struct msg_hello){.shard = c->shard,
                                          .shards = c->shards,
                                          .mode = c->mode,
                                          .life = c->life,
                                          .staleness = c->staleness,
                                          .world = c->world,
                                          .clock_floor = l->clock_floor});
    struct head h = {.kind = WIRE_HELLO, .num = {.call = c->nonce, .part = l->lives}};
    if (who(l) == WIRE_OBSERVER)
        h.flags |= WIRE_LOOK;
    send_small(l, &h, &b, now_ms);
    l->hello_due_ms = now_ms + l->hello_wait_ms;
    l->hello_wait_ms *= 2;
    if (l->hello_wait_ms > LINK_HELLO_MAX_MS)
        l->hello_wait_ms = LINK_HELLO_MAX_MS;
}

void link_hello(struct link *l, uint32_t worker_inc, uint32_t clock_floor, int64_t now_ms) {
    assert(l->state == LINK_NEW);
    l->state = LINK_SAYING;
    l->worker_inc = worker_inc;
    l->clock_floor = clock_floor;
    l->hello_wait_ms = LINK_HELLO_MS;
    say_hello(l, now_ms);
}

void link_look(struct link *l, int64_t now_ms) {
    l->looks = true;
    link_hello(l, 0, 0, now_ms);
}

/* As link_fail, for what this shard did. */
static void fail_here(struct link *l, rh_status status, const char *text) {
    char whole[ERR_TEXT_MAX + 448];
    snprintf(whole, sizeof whole, "shard %u at %s: %s", l->cfg.shard, l->cfg.address, text);
    link_fail(l, status, whole);
}

static void on_welcome(struct link *l, const struct head *h, struct rd *body) {
    struct msg_welcome m;
    msg_get_welcome(body, &m);
    if (l->state != LINK_SAYING || !rd_done(body)) {
        l->dropped++;
        return;
    }
    if (m.shard != l->cfg.shard || m.shards != l->cfg.shards) {
        char text[128];
        snprintf(text, sizeof text, "it was called as shard %u of %u, but is shard %u of %u",
                 l->cfg.shard, l->cfg.shards, m.shard, m.shards);
        fail_here(l, RH_EMISMATCH, text);
        return;
    }
    l->state = LINK_UP;
    l->worker_inc = h->worker_inc;
    l->server_inc = h->server_inc;
    l->clock = m.clock;
    l->mode = m.mode;
    l->world = m.world;
    l->origin = m.origin;
    l->is = m.state;
    l->credit_bytes = m.credit_bytes;
    l->freezes = h->prev.clock;
}

static void beat(struct link *l, int64_t now_ms) {
    struct head h = {.kind = WIRE_BEAT, .num = {.clock = l->clock, .call = ++l->serial}};
    send_small(l, &h, NULL, now_ms);
    l->beat_ms = now_ms;
}

void link_start(struct link *l, uint32_t clock, int64_t now_ms) {
    assert(l->state == LINK_UP && clock >= l->clock);
    l->clock = clock;
    beat(l, now_ms);
}

void link_withdraw(struct link *l, int64_t now_ms) {
    /* A successor that has not brought the job back is missed: the others must not go on without it. */
    if (l->server_inc == 0 || l->is == MSG_REDONE || who(l) == WIRE_OBSERVER)
        return;
    struct head h = {.kind = WIRE_BYE, .num = {.clock = l->clock, .call = WIRE_CALL_END}};
    send_small(l, &h, NULL, now_ms);
}

/* ---- requests ---- */

bool link_has_room(const struct link *l, enum link_lane lane, uint32_t n) {
    const struct lane *a = &l->lanes[lane];
    return n <= LINK_REQUESTS_MAX - (a->queued.n + a->flying.n);
}

void link_submit(struct link *l, struct request *r, int64_t now_ms) {
    assert(l->state == LINK_UP && answer_to[r->head.kind] != 0);
    assert(r->frame->len >= WIRE_HEAD);
    struct lane *lane = lane_of(l, r);
    struct head *h = &r->head;
    bool op = wire_is_op(h->kind);
    fill_head(l, h);
    h->body_len = (uint32_t)(r->frame->len - WIRE_HEAD);
    if (op) {
        assert(opnum_cmp(h->num, l->last) > 0);
        l->last = h->num;
    } else {
        /* The upper half of the calls, so that a refusal tells which lane it is for. */
        h->num.call = (l->serial++ % 0x7FFFFFFFu) | 0x80000000u;
        h->num.part = 0;
    }
    if (h->num.clock > l->clock)
        l->clock = h->num.clock;
    wire_seal(r->frame->data, h);
    r->flying = false;
    if (!op && r->credit_bytes == 0) {
        fly(l, r, now_ms);
        return;
    }
    list_append(&lane->queued, r);
    flow(l, now_ms);
}

void link_expect_end(struct link *l, bool ends) {
    l->ends = ends;
}

void link_forget(struct link *l, struct request *r) {
    assert(!wire_is_op(r->head.kind));
    detach(l, r);
}

static void finish(struct link *l, struct request *r, rh_status status, const char *text) {
    detach(l, r);
    r->done(r, status, text);
}

void link_fail(struct link *l, rh_status status, const char *text) {
    assert(status != RH_OK);
    if (l->state == LINK_FAILED)
        return;
    l->state = LINK_FAILED;
    l->status = status;
    snprintf(l->text, sizeof l->text, "%s", text);
    for (int i = 0; i < LINK_LANES; i++) {
        while (l->lanes[i].flying.first != NULL)
            finish(l, l->lanes[i].flying.first, status, l->text);
        while (l->lanes[i].queued.first != NULL)
            finish(l, l->lanes[i].queued.first, status, l->text);
    }
}

/* ---- answers ---- */

static struct request *find_flying(struct link *l, struct opnum num) {
    bool op = num.call < 0x80000000u || num.call == WIRE_CALL_END;
    struct request *r = l->lanes[op ? LINK_OPS : LINK_ASKS].flying.first;
    while (r != NULL && opnum_cmp(r->head.num, num) != 0)
        r = r->next;
    return r;
}

/* The session is over when the shard says that we are not who it knows, or that we make no sense.
 * Any other refusal is the request's own. */
static void on_refuse(struct link *l, const struct head *h, struct rd *body) {
    char text[ERR_TEXT_MAX];
    rd_str(body, text, sizeof text);
    if (!rd_done(body)) {
        l->dropped++;
        return;
    }
    rh_status status = (rh_status)h->status;
    struct request *r = find_flying(l, h->num);
    if (l->ends && (status == RH_EROLLBACK || status == RH_EFENCED)) {
        if (r != NULL && r->head.kind == WIRE_RESTORE)
            finish(l, r, status, text);
        return;
    }
    if (status == RH_EROLLBACK) {
        char whole[ERR_TEXT_MAX + 64];
        snprintf(whole, sizeof whole, "%s: " LINK_COME_BACK, text);
        fail_here(l, status, whole);
        return;
    }
    if (l->state == LINK_SAYING || status == RH_EFENCED || status == RH_EPROTO ||
        status == RH_EVERSION) {
        fail_here(l, status, text);
        return;
    }
    if (r != NULL)
        finish(l, r, status, text);
    else
        l->dropped++;
}

static void resend(struct link *l, struct request *r, int64_t now_ms) {
    r->due_ms = now_ms + r->wait_ms;
    if (r->due_ms < l->resend_due_ms)
        l->resend_due_ms = r->due_ms;
    send_frame(l, frame_ref(r->frame), now_ms);
}

static void on_nack(struct link *l, const struct head *h, int64_t now_ms) {
    if (now_ms - l->nack_ms < LINK_NACK_MS && opnum_cmp(h->prev, l->nack_floor) == 0)
        return;
    l->nack_ms = now_ms;
    l->nack_floor = h->prev;
    for (struct request *r = l->lanes[LINK_OPS].flying.first; r != NULL; r = r->next)
        if (opnum_cmp(r->head.num, h->prev) > 0)
            resend(l, r, now_ms);
}

static void on_alive(struct link *l, struct rd *body, int64_t now_ms) {
    struct msg_alive m;
    msg_get_alive(body, &m);
    if (!rd_done(body)) {
        l->dropped++;
        return;
    }
    l->wait = m.wait;
    l->alive_ms = now_ms;
}

static void on_answer(struct link *l, const struct head *h, struct rd *body) {
    struct request *r = find_flying(l, h->num);
    if (r == NULL || answer_to[r->head.kind] != h->kind) {
        l->dropped++;
        return;
    }
    if (!r->take(r, h, body) || !rd_done(body)) {
        char text[128];
        snprintf(text, sizeof text, "its %s to our %s makes no sense", wire_kind_name(h->kind),
                 wire_kind_name(r->head.kind));
        fail_here(l, RH_EPROTO, text);
        return;
    }
    finish(l, r, RH_OK, "");
}

/* True if the frame is an answer to this client, in this life of it and of the shard. */
static bool is_ours(const struct link *l, const struct head *h) {
    if (h->kind < WIRE_REQUESTS_END)
        return false;
    if (h->kind == WIRE_REFUSE && h->status == RH_EVERSION)
        return true; /* its author could not read who we are */
    if (h->worker != who(l) || (h->job != l->cfg.job && h->kind != WIRE_REFUSE))
        return false;            /* a refusal may come from another job: that is then its reason */
    if (l->state == LINK_SAYING) /* what was asked before the hello was of another life */
        return (h->kind == WIRE_WELCOME || h->kind == WIRE_REFUSE) && h->num.call == l->cfg.nonce &&
               h->num.part == l->lives;
    return h->server_inc == l->server_inc && h->worker_inc == l->worker_inc;
}

void link_frame(struct link *l, const struct frame *f, int64_t now_ms) {
    if (l->state == LINK_NEW || l->state == LINK_FAILED)
        return;
    struct head h;
    rh_status s = wire_open(f->data, f->len, &h);
    if (s == RH_EVERSION) {
        fail_here(l, s, err_text());
        return;
    }
    if (s != RH_OK || !is_ours(l, &h)) {
        l->dropped++;
        return;
    }
    l->heard = true;
    l->heard_ms = now_ms;
    if (h.kind != WIRE_NACK && h.kind != WIRE_REFUSE && (int32_t)(h.prev.clock - l->freezes) > 0)
        l->freezes = h.prev.clock; /* answers may come in any order */
    if ((h.kind == WIRE_ACK || h.kind == WIRE_ALIVE) && h.prev.call > l->mark)
        l->mark = h.prev.call;
    struct rd body;
    rd_init(&body, f->data + WIRE_HEAD, f->len - WIRE_HEAD);
    switch (h.kind) {
    case WIRE_WELCOME:
        on_welcome(l, &h, &body);
        break;
    case WIRE_REFUSE:
        on_refuse(l, &h, &body);
        break;
    case WIRE_NACK:
        on_nack(l, &h, now_ms);
        break;
    case WIRE_ALIVE:
        on_alive(l, &body, now_ms);
        break;
    default:
        on_answer(l, &h, &body);
    }
    if (l->state == LINK_UP)
        flow(l, now_ms);
}

/* ---- time ---- */

static void resend_due(struct link *l, int64_t now_ms) {
    l->resend_due_ms = INT64_MAX;
    for (int i = 0; i < LINK_LANES; i++) {
        for (struct request *r = l->lanes[i].flying.first; r != NULL; r = r->next) {
            if (r->due_ms <= now_ms) {
                r->wait_ms *= 2;
                if (r->wait_ms > LINK_RESEND_MAX_MS)
                    r->wait_ms = LINK_RESEND_MAX_MS;
                resend(l, r, now_ms);
            } else if (r->due_ms < l->resend_due_ms) {
                l->resend_due_ms = r->due_ms;
            }
        }
    }
}

/* Every second when nothing else was sent; and every second while something is unanswered, for the
 * answer says whom the shard waits for. */
static int64_t beat_due(const struct link *l) {
    bool asking = l->lanes[LINK_OPS].flying.n + l->lanes[LINK_ASKS].flying.n != 0;
    return (asking ? l->beat_ms : l->sent_ms) + LINK_BEAT_MS;
}

int64_t link_turn(struct link *l, int64_t now_ms) {
    switch (l->state) {
    case LINK_SAYING:
        if (now_ms >= l->hello_due_ms)
            say_hello(l, now_ms);
        return l->hello_due_ms;
    case LINK_UP:
        if (now_ms >= l->resend_due_ms)
            resend_due(l, now_ms);
        flow(l, now_ms);
        if (now_ms >= beat_due(l))
            beat(l, now_ms);
        return l->resend_due_ms < beat_due(l) ? l->resend_due_ms : beat_due(l);
    default:
        return INT64_MAX;
    }
}
