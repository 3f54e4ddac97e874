/* ticks.c - clocks and farewells: rh_tick, rh_barrier, rh_close. A tick leaves only after every
 * shard has acked every op of the clock, so that no shard ever closes a clock that another lacks a
 * part of. */
#include <stdio.h>

#include "common/failpoint.h"
#include "proto/msg.h"
#include "worker/late.h"
#include "worker/mark.h"
#include "worker/op.h"

/* How long rh_close waits for its goodbye to be heard; nothing depends on it. */
enum { BYE_MS = 2000 };

/* ---- what is owed ---- */

static bool nothing_owed(const void *arg) {
    const rh_client *c = arg;
    for (uint32_t i = 0; i < c->shards; i++)
        if (link_owed(&c->links[i]) > 0)
            return false;
    return true;
}

/* Ops whose callers have given up are still applied, or refused; a refusal is told here, once. */
static rh_status settle(rh_client *c, const char *what, int64_t deadline_ms) {
    int64_t since_ms = client_now(c);
    if (!nothing_owed(c) && !client_wait(c, nothing_owed, c, deadline_ms)) {
        uint32_t shard = 0;
        while (link_owed(&c->links[shard]) == 0)
            shard++;
        return late_answer(c, what, shard, since_ms);
    }
    if (c->failed != RH_OK)
        return client_failed(c);
    rh_status s = c->owed_status;
    c->owed_status = RH_OK;
    return s == RH_OK ? s : err_set(s, "%s: an earlier call was refused: %s", what, c->owed_text);
}

/* ---- the end of a clock ---- */

static void end_clock(rh_op *op) {
    rh_client *c = op->c;
    c->gate = false;
    if (op->status != RH_OK) {
        /* Ended on some shards and not on others: no later op has a number that all would take. */
        c->failed = op->status;
        snprintf(c->failed_text, sizeof c->failed_text, "%s", op->text);
        return;
    }
    c->clock++;
    c->call = c->opens = 0;
    for (rh_table *t = c->tables; t != NULL; t = t->next)
        t->pushed = 0;
    /* A mark comes before any op of the new clock: rh_tick makes it, and opens the gate. */
    c->gate = mark_is_wanted(c);
}

rh_status ticks_put_counts(const rh_client *c, const char *what, struct buf *b, uint16_t *n) {
    *n = 0;
    for (const rh_table *t = c->tables; t != NULL; t = t->next) {
        uint64_t pushes = t->pushes;
        if (pushes == 0 || t->dropped || t->lost)
            continue;
        msg_put_tick(
            b, &(struct msg_tick){
                   .table = t->number, .pushed = t->pushed != 0, .lr = t->lr, .pushes = pushes});
        ++*n;
    }
    if (b->no_memory)
        return err_set(RH_ENOMEM, "%s: no memory to count its pushes", what);
    return b->bad ? err_set(RH_ELIMIT, "%s: a worker pushes to at most %d tables", what,
                            WIRE_SECTIONS_MAX)
                  : RH_OK;
}

/* A TICK or BYE for every shard: all of them hear of every table that this worker has pushed to. */
static rh_status make_end(rh_op *op, enum wire_kind kind) {
    rh_client *c = op->c;
    uint16_t sections;
    struct buf b;
    buf_init(&b, TICKS_BYTES_MAX);
    rh_status s = ticks_put_counts(c, op->what, &b, &sections);
    for (uint32_t i = 0; s == RH_OK && i < c->shards; i++)
        s = op_ask(op, i, kind, &b, sections);
    buf_fini(&b);
    op->over = end_clock;
    return s;
}

/* Puts the end of the clock in flight: from here on it will happen. The gate is closed. On failure
 * *out is NULL. */
static rh_status begin_end(rh_client *c, const char *what, enum wire_kind kind, rh_op *op,
                           int64_t deadline_ms) {
    rh_status s = settle(c, what, deadline_ms);
    FAILPOINT("worker.tick.before");
    if (s == RH_OK)
        s = make_end(op, kind);
    if (s == RH_OK)
        s = op_submit(op);
    if (s != RH_OK) {
        op_recycle(op);
        c->gate = false;
        c->news = true;
    }
    return s;
}

static rh_status tick(rh_client *c, rh_op **spare) {
    int64_t deadline_ms = client_deadline(c, -1);
    if (!client_wait_turn(c, &c->ending, deadline_ms))
        return c->failed != RH_OK
                   ? client_failed(c)
                   : err_set(RH_ETIMEDOUT, "rh_tick: another thread has been in it all the time");
    if (c->clock >= UINT32_MAX)
        return err_set(RH_ELIMIT, "rh_tick: a worker has at most 2^32 clocks");
    c->ending = true;
    rh_status s = RH_OK;
    if (c->tick == NULL) {
        c->gate = true;
        rh_op *op = *spare;
        *spare = NULL;
        s = begin_end(c, "rh_tick", WIRE_TICK, op, deadline_ms);
        if (s == RH_OK)
            c->tick = op;
    }
    if (s == RH_OK)
        s = op_wait(&c->tick, deadline_ms);
    c->ending = false;
    c->news = true;
    FAILPOINT("worker.tick.after");
    return s;
}

rh_status rh_tick(rh_client *c) {
    if (c->observer)
        return err_set(RH_EINVAL, "rh_tick: an observer has no clock");
    rh_op *op;
    rh_status s = op_new(c, "rh_tick", &op);
    if (s != RH_OK)
        return s;
    pthread_mutex_lock(&c->lock);
    s = tick(c, &op);
    bool marks = s == RH_OK && mark_is_wanted(c);
    if (op != NULL)
        op_recycle(op);
    s = client_leave(c, s);
    if (marks)
        mark_after_tick(c);
    return s;
}

uint64_t rh_clock(const rh_client *client) {
    rh_client *c = (rh_client *)client; /* to lock it */
    if (client_check(c) != RH_OK)
        return 0;
    pthread_mutex_lock(&c->lock);
    uint64_t clock = c->clock;
    pthread_mutex_unlock(&c->lock);
    return clock;
}

/* ---- barriers ---- */

static bool take_passed(rh_op *op, const struct op_request *q, const struct head *h,
                        struct rd *body) {
    (void)q;
    (void)h;
    return rd_u32(body) == op->c->barriers;
}

static rh_status begin_barrier(rh_client *c, rh_op *op) {
    uint8_t room[4];
    struct buf b;
    buf_wrap(&b, room, sizeof room);
    buf_put_u32(&b, c->barriers + 1);
    op->take = take_passed;
    rh_status s = op_ask(op, 0, WIRE_BARRIER, &b, 0);
    if (s != RH_OK)
        return s;
    c->barriers++;
    s = op_submit(op);
    if (s != RH_OK)
        c->barriers--;
    return s;
}

static bool passed_or_marks(const void *arg) {
    const rh_client *c = arg;
    return op_is_over(c->barrier) || mark_is_due(c);
}

/* A checkpoint does not have to wait for who waits here. */
static void wait_and_mark(rh_client *c, int64_t deadline_ms) {
    rh_status s = RH_OK;
    while (s == RH_OK && client_wait(c, passed_or_marks, c, deadline_ms) &&
           !op_is_over(c->barrier)) {
        pthread_mutex_unlock(&c->lock);
        s = mark_now(c, "rh_barrier", c->links[0].mark, deadline_ms);
        pthread_mutex_lock(&c->lock);
    }
}

static rh_status barrier(rh_client *c, int timeout_ms, rh_op **spare) {
    int64_t deadline_ms = client_deadline(c, timeout_ms);
    if (!client_wait_turn(c, &c->passing, deadline_ms))
        return c->failed != RH_OK ? client_failed(c)
                                  : err_set(RH_ETIMEDOUT, "rh_barrier: another thread is in it");
    c->passing = true;
    rh_status s = RH_OK;
    if (c->barrier == NULL) {
        s = begin_barrier(c, *spare);
        if (s == RH_OK) {
            c->barrier = *spare;
            *spare = NULL;
        }
    }
    if (s == RH_OK) {
        wait_and_mark(c, deadline_ms);
        s = op_wait(&c->barrier, client_now(c)); /* it has been waited for, or interrupted */
        if (s != RH_OK && c->barrier == NULL && c->failed == RH_OK)
            c->barriers--; /* it was refused: this one is still to be passed */
    }
    c->passing = false;
    c->news = true;
    return s;
}

rh_status rh_barrier(rh_client *c, int timeout_ms) {
    if (c->observer)
        return err_set(RH_EINVAL, "rh_barrier: an observer is not waited for");
    rh_op *op;
    rh_status s = op_new(c, "rh_barrier", &op);
    if (s != RH_OK)
        return s;
    pthread_mutex_lock(&c->lock);
    s = barrier(c, timeout_ms, &op);
    if (op != NULL)
        op_recycle(op);
    return client_leave(c, s);
}

/* ---- goodbye ---- */

/* There is no use in waiting for the acks of a shard that is silent. */
static bool settled_or_silent(const void *arg) {
    const rh_client *c = arg;
    int64_t now_ms = client_now(c);
    for (uint32_t i = 0; i < c->shards; i++)
        if (link_owed(&c->links[i]) > 0 && now_ms - c->links[i].heard_ms <= LINK_SILENT_MS)
            return false;
    return true;
}

/* Ends the clock for good on all shards, or, if a part of it is missing somewhere, on none: the
 * servers then see a worker that fell silent. */
static void say_goodbye(rh_client *c, rh_op *op, int64_t deadline_ms) {
    client_wait(c, settled_or_silent, c, deadline_ms);
    if (!nothing_owed(c) || c->failed != RH_OK || make_end(op, WIRE_BYE) != RH_OK ||
        op_submit(op) != RH_OK)
        return;
    client_wait(c, op_is_over, op, client_deadline(c, BYE_MS));
}

void rh_close(rh_client *c) {
    if (c == NULL)
        return;
    /* In a forked child nothing can be let go: the threads that owned the sockets and held the locks
     * are not there. The memory is the parent's, shared until written; freeing it would write. */
    if (client_check(c) != RH_OK)
        return;
    rh_op *op;
    const int64_t deadline_ms = client_deadline(c, -1);
    mark_farewell(c, deadline_ms);
    if (!c->observer && op_new(c, "rh_close", &op) == RH_OK) {
        pthread_mutex_lock(&c->lock);
        say_goodbye(c, op, deadline_ms);
        pthread_mutex_unlock(&c->lock);
    }
    client_free(c);
}
