/* op.c - see op.h. */
#include "worker/op.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/failpoint.h"
#include "common/size.h"
#include "worker/cancel.h"
#include "worker/late.h"
#include "worker/pack.h"

enum {
    SPARES_MAX = 16,           /* operations kept for use */
    SPARE_BYTES_MAX = 32 << 20 /* of plans: a call of millions of ids gives its memory back */
};

/* ---- memory ---- */

/* Room for n + 1 elements in *array. */
static bool grow(void *array, uint32_t n, uint32_t *cap, size_t size) {
    if (n < *cap)
        return true;
    void **p = array;
    size_t more = *cap == 0 ? 4 : (size_t)*cap * 2, bytes;
    if (more > UINT32_MAX || !size_mul(more, size, &bytes))
        return false;
    void *moved = realloc(*p, bytes);
    if (moved == NULL)
        return false;
    *p = moved;
    memset((char *)moved + *cap * size, 0, bytes - *cap * size);
    *cap = (uint32_t)more;
    return true;
}

rh_op *op_make(rh_client *c, const char *what) {
    rh_op *op = c->spare;
    if (op != NULL) {
        c->spare = op->next;
        c->spares--;
    } else {
        op = calloc(1, sizeof *op);
    }
    if (op != NULL) {
        op->c = c;
        op->what = what;
        op->clock = c->clock;
        op->begun = false;
        c->unbegun++;
        op->prev = NULL;
        op->next = c->live;
        if (c->live != NULL)
            c->live->prev = op;
        c->live = op;
    }
    return op;
}

rh_status op_new(rh_client *c, const char *what, rh_op **out) {
    rh_status s = client_enter(c);
    if (s != RH_OK)
        return s;
    rh_op *op = op_make(c, what);
    pthread_mutex_unlock(&c->lock);
    if (op == NULL)
        return err_set(RH_ENOMEM, "no memory for an operation");
    *out = op;
    return RH_OK;
}

/* Who joins the job anew waits for operations that were made before, and are not in flight. */
static void note_begun(rh_op *op) {
    op->begun = true;
    op->c->unbegun--;
    op->c->news |= op->c->renewing;
}

static void unlink_live(rh_op *op) {
    *(op->prev != NULL ? &op->prev->next : &op->c->live) = op->next;
    if (op->next != NULL)
        op->next->prev = op->prev;
}

void op_destroy(rh_op *op) {
    for (uint32_t i = 0; i < op->n_requests; i++)
        frame_unref(op->requests[i].r.frame);
    for (uint32_t i = 0; i < op->items_cap; i++)
        plan_fini(&op->items[i].plan);
    free(op->items);
    free(op->pieces);
    free(op->requests);
    free(op);
}

static size_t memory_bytes(const rh_op *op) {
    size_t bytes = op->pieces_cap * sizeof *op->pieces + op->requests_cap * sizeof *op->requests;
    for (uint32_t i = 0; i < op->items_cap; i++)
        bytes += plan_memory_bytes(&op->items[i].plan);
    return bytes;
}

void op_recycle(rh_op *op) {
    rh_client *c = op->c;
    if (!op->begun)
        note_begun(op);
    unlink_live(op);
    if (c->spares >= SPARES_MAX || memory_bytes(op) > SPARE_BYTES_MAX) {
        op_destroy(op);
        return;
    }
    for (uint32_t i = 0; i < op->n_requests; i++) {
        frame_unref(op->requests[i].r.frame);
        op->requests[i].r.frame = NULL;
    }
    op->n_items = op->n_pieces = op->n_requests = op->left = op->refused_ops = 0;
    op->take = NULL;
    op->over = NULL;
    op->sink = NULL;
    op->detached = false;
    op->status = RH_OK;
    op->text[0] = '\0';
    op->next = c->spare;
    c->spare = op;
    c->spares++;
}

void op_take_back_counts(rh_op *op) {
    for (uint32_t i = 0; i < op->n_items; i++)
        if (op->items[i].action == OP_PUSH && op->items[i].counted)
            atomic_fetch_sub(&op->items[i].table->pushes, 1);
}

void op_free(rh_op *op) {
    if (op == NULL)
        return;
    rh_client *c = op->c;
    op_take_back_counts(op);
    pthread_mutex_lock(&c->lock);
    op_recycle(op);
    (void)client_leave(c, RH_OK);
}

/* ---- filling ---- */

struct op_item *op_add_item(rh_op *op) {
    if (!grow(&op->items, op->n_items, &op->items_cap, sizeof *op->items)) {
        err_set(RH_ENOMEM, "no memory for a call on %u tables", op->n_items + 1);
        return NULL;
    }
    struct op_item *it = &op->items[op->n_items++];
    it->counted = false;
    return it;
}

struct op_piece *op_add_piece(rh_op *op) {
    if (!grow(&op->pieces, op->n_pieces, &op->pieces_cap, sizeof *op->pieces)) {
        err_set(RH_ENOMEM, "no memory for a call of %u sections", op->n_pieces + 1);
        return NULL;
    }
    return &op->pieces[op->n_pieces++];
}

/* ---- the life of a request ---- */

static struct op_request *request_of(struct request *r) {
    return (struct op_request *)r;
}

static bool take(struct request *r, const struct head *h, struct rd *body) {
    struct op_request *q = request_of(r);
    if (q->op->take == NULL || q->op->detached) {
        body->p = body->end;
        return true;
    }
    return q->op->take(q->op, q, h, body);
}

static void keep_failure(rh_op *op, uint32_t shard, rh_status status, const char *text) {
    if (op->status != RH_OK)
        return;
    const rh_client *c = op->c;
    op->status = status;
    /* The text of a failed session names the shard already. */
    if (c->links[shard].state == LINK_FAILED)
        snprintf(op->text, sizeof op->text, "%s", text);
    else
        snprintf(op->text, sizeof op->text, "%s: shard %u at %s: %s", op->what, shard,
                 c->links[shard].cfg.address, text);
}

static void finish(rh_op *op) {
    rh_client *c = op->c;
    c->news = true;
    if (op->over != NULL)
        op->over(op);
    if (cancel_concerns(op)) {
        op->next_refused = c->refused;
        c->refused = op;
        return;
    }
    op_let_go(op);
}

void op_let_go(rh_op *op) {
    rh_client *c = op->c;
    if (!op->detached)
        return;
    if (op->status != RH_OK && c->owed_status == RH_OK) {
        c->owed_status = op->status;
        snprintf(c->owed_text, sizeof c->owed_text, "%s", op->text);
    }
    op_recycle(op);
}

bool op_no_memory(rh_op *op, const struct op_request *q, struct rd *body) {
    body->p = body->end;
    keep_failure(op, q->shard, RH_ENOMEM, "no memory for its answer");
    return true;
}

static void done(struct request *r, rh_status status, const char *text) {
    struct op_request *q = request_of(r);
    rh_op *op = q->op;
    q->answered = true;
    if (status != RH_OK) {
        keep_failure(op, q->shard, status, text);
        op->refused_ops += wire_is_op(r->head.kind);
    }
    if (--op->left == 0)
        finish(op);
}

struct op_request *op_add_request(rh_op *op, uint32_t shard, enum wire_kind kind) {
    if (!grow(&op->requests, op->n_requests, &op->requests_cap, sizeof *op->requests)) {
        err_set(RH_ENOMEM, "no memory for a call of %u frames", op->n_requests + 1);
        return NULL;
    }
    struct op_request *q = &op->requests[op->n_requests++];
    *q = (struct op_request){.op = op, .shard = shard};
    q->r.head.kind = (uint8_t)kind;
    q->r.take = take;
    q->r.done = done;
    return q;
}

rh_status op_ask(rh_op *op, uint32_t shard, enum wire_kind kind, const struct buf *body,
                 uint16_t sections) {
    assert(!body->bad);
    struct op_request *q = op_add_request(op, shard, kind);
    if (q == NULL)
        return RH_ENOMEM;
    q->r.head.sections = sections;
    q->r.frame = frame_new(op->c->net->pool, WIRE_HEAD + body->len);
    if (q->r.frame == NULL)
        return err_set(RH_ENOMEM, "no memory for a frame");
    if (body->len > 0)
        memcpy(q->r.frame->data + WIRE_HEAD, body->p, body->len);
    return RH_OK;
}

/* ---- in flight ---- */

static bool has_ops(const rh_op *op) {
    for (uint32_t i = 0; i < op->n_requests; i++)
        if (wire_is_op(op->requests[i].r.head.kind))
            return true;
    return false;
}

/* Everything must fit before anything is sent. */
static rh_status check_room(const rh_op *op) {
    const rh_client *c = op->c;
    for (uint32_t i = 0; i < op->n_requests;) {
        uint32_t shard = op->requests[i].shard, n[LINK_LANES] = {0};
        for (; i < op->n_requests && op->requests[i].shard == shard; i++)
            n[wire_is_op(op->requests[i].r.head.kind) ? LINK_OPS : LINK_ASKS]++;
        for (int lane = 0; lane < LINK_LANES; lane++)
            if (!link_has_room(&c->links[shard], lane, n[lane]))
                return err_set(RH_ELIMIT,
                               "%s: %d requests wait for shard %u at %s already: wait for some of "
                               "them before beginning more",
                               op->what, LINK_REQUESTS_MAX, shard, c->links[shard].cfg.address);
    }
    return RH_OK;
}

/* An op may not enter a clock that is being ended: rh_tick waits for the clock's last op. */
static rh_status wait_for_gate(const rh_op *op, int64_t deadline_ms) {
    rh_client *c = op->c;
    if (!c->gate || client_wait_turn(c, &c->gate, deadline_ms))
        return RH_OK;
    if (c->failed != RH_OK)
        return client_failed(c);
    return err_set(RH_ETIMEDOUT,
                   "%s: clock %llu has not ended yet: call rh_tick again to wait for it", op->what,
                   (unsigned long long)c->clock);
}

/* Numbers a request and sends it, unless its session has just failed. */
static void submit_one(rh_op *op, struct op_request *q, uint32_t call, uint16_t part) {
    rh_client *c = op->c;
    struct link *l = &c->links[q->shard];
    q->r.head.num = (struct opnum){.clock = (uint32_t)c->clock, .call = call, .part = part};
    if (l->state != LINK_UP) {
        frame_unref(q->r.frame);
        q->r.frame = NULL;
        done(&q->r, l->status, l->text);
        return;
    }
    link_submit(l, &q->r, client_now(c));
}

rh_status op_submit(rh_op *op) {
    return op_submit_until(op, client_deadline(op->c, -1));
}

rh_status op_submit_until(rh_op *op, int64_t deadline_ms) {
    rh_client *c = op->c;
    rh_status s = client_may(c);
    if (s != RH_OK)
        return s;
    bool ops = has_ops(op);
    /* What ends the clock is itself behind the gate, and what is cancelled was before it. */
    bool cancels = op->n_requests > 0 && op->requests[0].r.head.kind == WIRE_CANCEL;
    bool ends = op->n_requests > 0 && (op->requests[0].r.head.kind == WIRE_TICK ||
                                       op->requests[0].r.head.kind == WIRE_BYE);
    if (ops && !ends && !cancels)
        s = wait_for_gate(op, deadline_ms);
    if (s == RH_OK)
        s = client_may(c);
    if (s == RH_OK)
        s = check_room(op);
    if (s != RH_OK)
        return s;
    note_begun(op);
    FAILPOINT("worker.send.before");
    for (uint32_t i = 0; i < op->n_items; i++)
        if (op->items[i].counted)
            op->items[i].table->pushed++;
    op->begun_ms = client_now(c);
    if (op->n_requests == 0) {
        if (op->over != NULL)
            op->over(op);
        return RH_OK;
    }
    op->call = !ops ? 0 : ends ? WIRE_CALL_END : ++c->call;
    if (ops && op->requests[0].r.head.kind == WIRE_OPEN && c->opens + 1 == c->call)
        c->opens = c->call;
    uint32_t shard = WIRE_NOBODY;
    uint16_t part = 0;
    op->left = op->n_requests;
    for (uint32_t i = 0; i < op->n_requests; i++) {
        struct op_request *q = &op->requests[i];
        if (q->shard != shard) {
            shard = q->shard;
            part = 0;
        }
        submit_one(op, q, op->call, part++);
        FAILPOINT("worker.send.after");
        /* Over a net in memory the answer is here already, and still in the cache. */
        client_drain(c);
    }
    cancel_refused(c);
    return RH_OK;
}

bool op_is_over(const void *op) {
    return ((const rh_op *)op)->left == 0;
}

static const struct op_request *first_unanswered(const rh_op *op) {
    const struct op_request *q = op->requests;
    while (q->answered)
        q++;
    return q;
}

rh_status op_wait(rh_op **out, int64_t deadline_ms) {
    rh_op *op = *out;
    rh_client *c = op->c;
    if (!op_is_over(op) && !client_wait(c, op_is_over, op, deadline_ms)) {
        if (c->failed != RH_OK) {
            op_abandon(op);
            *out = NULL;
            return client_failed(c);
        }
        const struct op_request *q = first_unanswered(op);
        return late_answer(c, op->what, q->shard, op->begun_ms);
    }
    rh_status s = op->status;
    if (s != RH_OK)
        err_set(s, "%s", op->text);
    op_recycle(op);
    *out = NULL;
    return s;
}

void op_abandon(rh_op *op) {
    for (uint32_t i = 0; i < op->n_requests; i++) {
        struct op_request *q = &op->requests[i];
        if (q->answered || wire_is_op(q->r.head.kind))
            continue;
        link_forget(&op->c->links[q->shard], &q->r);
        q->answered = true;
        op->left--;
    }
    if (op->left == 0)
        op_recycle(op);
    else
        op->detached = true;
}

rh_status op_run(rh_op *op) {
    return op_run_until(op, client_deadline(op->c, -1));
}

rh_status op_run_until(rh_op *op, int64_t deadline_ms) {
    rh_client *c = op->c;
    pthread_mutex_lock(&c->lock);
    rh_status s = op_submit_until(op, deadline_ms);
    if (s != RH_OK) {
        op_take_back_counts(op);
        op_recycle(op);
        return client_leave(c, s);
    }
    s = op_wait(&op, deadline_ms);
    if (op != NULL)
        op_abandon(op);
    return client_leave(c, s);
}
