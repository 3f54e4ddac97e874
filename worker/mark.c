/* mark.c - see mark.h; and the cursor that goes with a mark. */
#include "worker/mark.h"

#include <stdlib.h>
#include <string.h>

#include "common/failpoint.h"
#include "worker/op.h"
#include "worker/rejoin.h"

_Static_assert(RH_CURSOR_MAX == MSG_CURSOR_MAX, "what a mark holds");

bool mark_is_wanted(const rh_client *c) {
    return c->links[0].mark > c->marked;
}

bool mark_is_due(const rh_client *c) {
    return mark_is_wanted(c) && (c->call == c->opens || mark_is_fresh(c));
}

bool mark_is_fresh(const rh_client *c) {
    return c->marked != 0 && c->marked_clock == c->clock && c->marked_call == c->call;
}

/* The lead alone keeps cursors. */
static rh_status make(rh_op *op, uint32_t generation) {
    rh_client *c = op->c;
    uint16_t sections;
    struct buf b;
    buf_init(&b, TICKS_BYTES_MAX);
    rh_status s = ticks_put_counts(c, op->what, &b, &sections);
    for (uint32_t i = 0; s == RH_OK && i < c->shards; i++) {
        struct msg_mark m = {.generation = generation};
        struct buf body;
        if (i == 0) {
            m.cursor = c->cursor;
            m.cursor_len = c->cursor_len;
        }
        buf_init(&body, TICKS_BYTES_MAX + MSG_CURSOR_MAX + sizeof m);
        if (b.len > 0)
            buf_put_bytes(&body, b.p, b.len);
        msg_put_mark(&body, &m);
        s = body.bad ? err_set(RH_ENOMEM, "%s: no memory for a cursor", op->what)
                     : op_ask(op, i, WIRE_MARK, &body, sections);
        buf_fini(&body);
    }
    buf_fini(&b);
    return s;
}

static rh_status mark(rh_client *c, rh_op *op, uint32_t generation, int64_t deadline_ms) {
    FAILPOINT("worker.mark.before");
    rh_status s = make(op, generation);
    if (s == RH_OK)
        s = op_submit_until(op, deadline_ms);
    if (s != RH_OK) {
        op_recycle(op);
        return s;
    }
    c->marked = generation;
    c->marked_clock = c->clock;
    c->marked_call = c->call;
    op_abandon(op);
    FAILPOINT("worker.mark.after");
    return RH_OK;
}

rh_status mark_now(rh_client *c, const char *what, uint32_t generation, int64_t deadline_ms) {
    rh_op *op;
    rh_status s = op_new(c, what, &op);
    if (s != RH_OK)
        return s;
    pthread_mutex_lock(&c->lock);
    return client_leave(c, mark(c, op, generation, deadline_ms));
}

void mark_after_tick(rh_client *c) {
    rh_op *op = NULL;
    rh_status s = op_new(c, "rh_tick", &op);
    pthread_mutex_lock(&c->lock);
    c->gate = false;
    if (s == RH_OK)
        s = mark(c, op, c->links[0].mark, client_now(c)); /* the gate is open */
    (void)client_leave(c, s);
}

void mark_farewell(rh_client *c, int64_t deadline_ms) {
    pthread_mutex_lock(&c->lock);
    bool has_cursor = c->cursor != NULL;
    pthread_mutex_unlock(&c->lock);
    rh_status ignored = has_cursor ? mark_now(c, "rh_close", 0, deadline_ms) : RH_OK;
    (void)ignored;
}

/* ---- the cursor ---- */

rh_status rh_set_cursor(rh_client *c, const void *blob, size_t len) {
    if (len > RH_CURSOR_MAX)
        return err_set(RH_ELIMIT, "rh_set_cursor: a cursor of %zu bytes, of at most %d", len,
                       RH_CURSOR_MAX);
    if (c->observer)
        return err_set(RH_EINVAL, "rh_set_cursor: an observer has no position");
    uint8_t *copy = malloc(len > 0 ? len : 1);
    if (copy == NULL)
        return err_set(RH_ENOMEM, "rh_set_cursor: no memory for %zu bytes", len);
    if (len > 0)
        memcpy(copy, blob, len);
    rh_status s = client_enter(c);
    if (s != RH_OK) {
        free(copy);
        return s;
    }
    free(c->cursor);
    c->cursor = copy;
    c->cursor_len = (uint32_t)len;
    c->marked_call = UINT32_MAX; /* the mark that was made has another */
    return client_leave(c, RH_OK);
}

/* What the lead says of the newest checkpoint. */
struct newest {
    struct msg_cursor_is is;
    uint8_t *bytes; /* (is.len) */
    bool bad;
};

static bool take_cursor(rh_op *op, const struct op_request *q, const struct head *h,
                        struct rd *body) {
    (void)q;
    (void)h;
    struct newest *n = op->sink;
    msg_get_cursor_is(body, &n->is);
    if (body->bad)
        return false;
    n->bytes = malloc(n->is.len + 1);
    n->bad = n->bytes == NULL;
    if (!n->bad && n->is.len > 0)
        memcpy(n->bytes, n->is.bytes, n->is.len);
    return true;
}

static rh_status ask_newest(rh_client *c, const char *what, uint32_t rank, struct newest *out) {
    rh_op *op;
    uint8_t room[8];
    struct buf b;
    *out = (struct newest){0};
    rh_status s = op_new(c, what, &op);
    if (s != RH_OK)
        return s;
    buf_wrap(&b, room, sizeof room);
    msg_put_cursor(&b, &(struct msg_cursor){.rank = rank});
    op->take = take_cursor;
    op->sink = out;
    s = op_ask(op, 0, WIRE_CURSOR, &b, 0);
    if (s == RH_OK)
        s = op_run(op);
    else
        op_free(op);
    if (s == RH_OK && out->bad)
        s = err_set(RH_ENOMEM, "%s: no memory for a cursor", what);
    if (s == RH_OK && out->is.generation == 0)
        s = err_set(RH_ENOTFOUND,
                    "%s: there is no checkpoint: these servers have saved none, and were started "
                    "without --restore",
                    what);
    if (s != RH_OK)
        free(out->bytes);
    return s;
}

rh_status rh_cursor(rh_client *c, uint32_t rank, void *buf, size_t *len) {
    struct newest n;
    rh_status s = rejoin_if_rolled_back(c, "rh_cursor");
    if (s == RH_OK)
        s = ask_newest(c, "rh_cursor", rank, &n);
    if (s != RH_OK)
        return s;
    if (!n.is.known)
        s = err_set(RH_ENOTFOUND, "rh_cursor: worker %u had set no cursor in checkpoint \"%s\"",
                    rank, n.is.name);
    else if (*len < n.is.len)
        s = err_set(RH_ELIMIT,
                    "rh_cursor: the cursor of worker %u has %u bytes, there is room for %zu", rank,
                    n.is.len, *len);
    else if (n.is.len > 0)
        memcpy(buf, n.bytes, n.is.len);
    if (s == RH_OK || s == RH_ELIMIT)
        *len = n.is.len;
    free(n.bytes);
    return s;
}

rh_status rh_last_checkpoint(rh_client *c, rh_checkpoint_info *out) {
    if (out->size != sizeof *out)
        return err_set(RH_EINVAL, "rh_last_checkpoint: size is %u, not %zu", out->size,
                       sizeof *out);
    struct newest n;
    rh_status s = ask_newest(c, "rh_last_checkpoint", 0, &n);
    if (s != RH_OK)
        return s;
    out->reserved = 0;
    out->generation = n.is.generation;
    out->clock = n.is.clock;
    memcpy(out->name, n.is.name, sizeof out->name);
    free(n.bytes);
    return RH_OK;
}
