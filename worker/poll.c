/* poll.c - see poll.h. */
#include "worker/poll.h"

enum { PAUSE_FIRST_MS = 1, PAUSE_MAX_MS = 50, ANSWER_MS = 1000 };

void poll_init(struct poll *p, rh_client *c, const char *what, int timeout_ms) {
    *p = (struct poll){.c = c,
                       .what = what,
                       .timeout_ms = timeout_ms,
                       .deadline_ms = client_deadline(c, timeout_ms),
                       .pause_ms = PAUSE_FIRST_MS};
}

rh_status poll_begin(struct poll *p, rh_client *c, const char *what) {
    rh_status s = client_enter(c);
    if (s != RH_OK)
        return s;
    if (!client_wait_turn(c, &c->saving, client_deadline(c, -1))) {
        s = c->failed != RH_OK ? client_failed(c)
                               : err_set(RH_ETIMEDOUT, "%s: another thread is in it", what);
        return client_leave(c, s);
    }
    c->saving = true;
    poll_init(p, c, what, -1);
    return client_leave(c, RH_OK);
}

void poll_end(struct poll *p) {
    pthread_mutex_lock(&p->c->lock);
    p->c->saving = false;
    p->c->news = true;
    (void)client_leave(p->c, RH_OK);
}

static rh_status make(const struct poll *p, uint32_t first, uint32_t n, enum wire_kind kind,
                      uint16_t flags, const struct buf *body, rh_op **out) {
    rh_op *op;
    rh_status s =
        body->bad ? err_set(RH_ENOMEM, "%s: no memory", p->what) : op_new(p->c, p->what, &op);
    if (s != RH_OK)
        return s;
    for (uint32_t i = 0; s == RH_OK && i < n; i++) {
        s = op_ask(op, first + i, kind, body, 0);
        if (s == RH_OK)
            op->requests[i].r.head.flags = flags;
    }
    if (s == RH_OK)
        *out = op;
    else
        op_free(op);
    return s;
}

rh_status poll_ask(const struct poll *p, uint32_t first, uint32_t n, enum wire_kind kind,
                   uint16_t flags, const struct buf *body,
                   bool (*take)(rh_op *op, const struct op_request *q, const struct head *h,
                                struct rd *body),
                   void *sink) {
    rh_op *op;
    rh_status s = make(p, first, n, kind, flags, body, &op);
    if (s != RH_OK)
        return s;
    op->take = take;
    op->sink = sink;
    /* The last question is asked in good time to be answered. */
    int64_t soon_ms = client_deadline(p->c, p->timeout_ms), now_ms = client_now(p->c);
    soon_ms = soon_ms < now_ms + ANSWER_MS ? soon_ms : now_ms + ANSWER_MS;
    return op_run_until(op, p->deadline_ms > soon_ms ? p->deadline_ms : soon_ms);
}

void poll_tell(const struct poll *p, uint32_t first, uint32_t n, enum wire_kind kind,
               uint16_t flags, const struct buf *body) {
    rh_op *op;
    if (make(p, first, n, kind, flags, body, &op) != RH_OK)
        return;
    pthread_mutex_lock(&p->c->lock);
    if (op_submit(op) == RH_OK)
        op_abandon(op);
    else
        op_recycle(op);
    (void)client_leave(p->c, RH_OK);
}

static bool never(const void *arg) {
    (void)arg;
    return false;
}

bool poll_rest_ms(struct poll *p, int ms) {
    rh_client *c = p->c;
    pthread_mutex_lock(&c->lock);
    int64_t until_ms = client_now(c) + ms;
    bool late = until_ms > p->deadline_ms;
    if (!late)
        client_wait(c, never, NULL, until_ms);
    bool interrupted = !late && client_now(c) < until_ms && c->failed == RH_OK;
    (void)client_leave(c, RH_OK);
    return !late && !interrupted;
}

bool poll_rest(struct poll *p) {
    int ms = p->pause_ms;
    p->pause_ms = ms < PAUSE_MAX_MS ? 2 * ms : PAUSE_MAX_MS;
    return poll_rest_ms(p, ms);
}

void poll_note(struct poll *p, uint64_t seen) {
    if (seen == p->seen)
        return;
    p->seen = seen;
    pthread_mutex_lock(&p->c->lock);
    p->deadline_ms = client_deadline(p->c, p->timeout_ms);
    pthread_mutex_unlock(&p->c->lock);
}
