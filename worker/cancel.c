/* cancel.c - see cancel.h. */
#include "worker/cancel.h"

#include <stdio.h>

#include "proto/msg.h"

/* Held at the shards until the clock closes. Others are done, or refused, where they arrive. */
static bool is_held(uint8_t kind) {
    switch (kind) {
    case WIRE_PUSH:
    case WIRE_WRITE:
    case WIRE_LOAD:
    case WIRE_FREEZE:
    case WIRE_FREEZE_IDS:
    case WIRE_RESET:
    case WIRE_DROP:
        return true;
    default:
        return false;
    }
}

/* Frames of the operation that shards have held, or refused. */
static uint32_t count_held(const rh_op *op) {
    uint32_t n = 0;
    for (uint32_t i = 0; i < op->n_requests; i++)
        n += is_held(op->requests[i].r.head.kind);
    return n;
}

bool cancel_concerns(const rh_op *op) {
    return op->refused_ops > 0 && op->c->mode == RH_MODE_BSP && count_held(op) > 0;
}

/* No shard may apply what another has refused, and this one does not know what will become of it. */
static void fail(rh_client *c, const char *why) {
    char text[2 * ERR_TEXT_MAX];
    snprintf(text, sizeof text,
             "a call was refused by a shard, and could not be taken back from the others: %s", why);
    client_fail(c, 0, RH_ELIMIT, text);
}

static void over(rh_op *op) {
    rh_client *c = op->c;
    if (op->status == RH_OK || c->failed != RH_OK)
        return;
    c->failed = op->status;
    snprintf(c->failed_text, sizeof c->failed_text, "%s", op->text);
}

static rh_status send(rh_client *c, uint32_t call) {
    rh_op *op = op_make(c, "taking back a call that was refused");
    if (op == NULL)
        return err_set(RH_ENOMEM, "no memory for an operation");
    uint8_t room[8];
    struct buf b;
    buf_wrap(&b, room, sizeof room);
    msg_put_cancel(&b, &(struct msg_cancel){call});
    rh_status s = RH_OK;
    for (uint32_t i = 0; s == RH_OK && i < c->shards; i++)
        s = op_ask(op, i, WIRE_CANCEL, &b, 0);
    op->over = over;
    if (s == RH_OK)
        s = op_submit(op);
    if (s == RH_OK)
        op_abandon(op);
    else
        op_recycle(op);
    return s;
}

void cancel_refused(rh_client *c) {
    for (rh_op *op; (op = c->refused) != NULL;) {
        c->refused = op->next_refused;
        bool some_hold = count_held(op) > op->refused_ops;
        rh_status s = some_hold && c->failed == RH_OK ? send(c, op->call) : RH_OK;
        for (uint32_t i = 0; i < op->n_items; i++)
            if (op->items[i].counted)
                op->items[i].table->pushed--;
        op_take_back_counts(op);
        op_let_go(op);
        if (s != RH_OK)
            fail(c, err_text());
    }
}
