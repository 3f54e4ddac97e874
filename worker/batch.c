/* batch.c - pull, push, write, read, and batches of them: the functions of rowhouse.h that move
 * rows. Each is an operation of one or more items, run or begun. */
#include "worker/batch.h"

#include <stdlib.h>
#include <string.h>

#include "worker/pack.h"

/* ---- one table ---- */

/* One item of a batch, and the arguments of every call on one table, or on one parameter. */
struct rows_call {
    rh_table *table;
    enum op_action action;
    const uint64_t *ids;
    size_t n;
    const float *in;
    float *out;
    rh_param *param; /* NULL: rows ids of table are meant */
};

static struct rows_call of_param(rh_param *p, enum op_action action, const float *in, float *out) {
    return (struct rows_call){.action = action, .in = in, .out = out, .param = p};
}

static rh_status prepare(rh_client *c, const char *what, const struct rows_call *calls, size_t n,
                         rh_op **out) {
    rh_op *op;
    rh_status s = op_new(c, what, &op);
    for (size_t i = 0; s == RH_OK && i < n; i++) {
        const struct rows_call *r = &calls[i];
        s = r->param != NULL ? pack_add_param(op, r->param, r->action, r->in, r->out)
                             : pack_add(op, r->table, r->action, r->ids, r->n, r->in, r->out);
        if (s != RH_OK)
            op_free(op);
    }
    if (s != RH_OK)
        return s;
    s = pack_finish(op);
    if (s != RH_OK)
        op_free(op);
    else
        *out = op;
    return s;
}

static rh_status run(rh_client *c, const char *what, const struct rows_call *calls, size_t n) {
    rh_op *op;
    rh_status s = prepare(c, what, calls, n, &op);
    return s == RH_OK ? op_run(op) : s;
}

static rh_status begin(rh_client *c, const char *what, const struct rows_call *calls, size_t n,
                       rh_op **out) {
    rh_op *op;
    rh_status s = prepare(c, what, calls, n, &op);
    if (s != RH_OK)
        return s;
    pthread_mutex_lock(&c->lock);
    s = op_submit(op);
    client_leave(c, s);
    if (s != RH_OK)
        op_free(op);
    else
        *out = op;
    return s;
}

rh_status batch_rows(rh_table *t, const char *what, enum op_action action, const uint64_t *ids,
                     size_t n, const float *in, float *out) {
    return run(t->c, what, &(struct rows_call){t, action, ids, n, in, out, NULL}, 1);
}

rh_status rh_pull(rh_table *t, const uint64_t *ids, size_t n, float *rows) {
    return batch_rows(t, "rh_pull", OP_PULL, ids, n, NULL, rows);
}

rh_status rh_push(rh_table *t, const uint64_t *ids, size_t n, const float *grads) {
    return batch_rows(t, "rh_push", OP_PUSH, ids, n, grads, NULL);
}

rh_status rh_write(rh_table *t, const uint64_t *ids, size_t n, const float *rows) {
    return batch_rows(t, "rh_write", OP_WRITE, ids, n, rows, NULL);
}

rh_status rh_read(rh_table *t, const uint64_t *ids, size_t n, float *rows) {
    return batch_rows(t, "rh_read", OP_READ, ids, n, NULL, rows);
}

rh_status rh_pull_begin(rh_table *t, const uint64_t *ids, size_t n, float *rows, rh_op **out) {
    return begin(t->c, "rh_pull_begin", &(struct rows_call){t, OP_PULL, ids, n, NULL, rows, NULL},
                 1, out);
}

rh_status rh_push_begin(rh_table *t, const uint64_t *ids, size_t n, const float *grads,
                        rh_op **out) {
    return begin(t->c, "rh_push_begin", &(struct rows_call){t, OP_PUSH, ids, n, grads, NULL, NULL},
                 1, out);
}

/* ---- one parameter ---- */

static rh_status run_param(rh_param *p, const char *what, enum op_action action, const float *in,
                           float *out) {
    struct rows_call call = of_param(p, action, in, out);
    return run(p->table->c, what, &call, 1);
}

static rh_status begin_param(rh_param *p, const char *what, enum op_action action, const float *in,
                             float *out, rh_op **op) {
    struct rows_call call = of_param(p, action, in, out);
    return begin(p->table->c, what, &call, 1, op);
}

rh_status rh_param_pull(rh_param *p, float *out) {
    return run_param(p, "rh_param_pull", OP_PULL, NULL, out);
}

rh_status rh_param_push(rh_param *p, const float *grads) {
    return run_param(p, "rh_param_push", OP_PUSH, grads, NULL);
}

rh_status rh_param_write(rh_param *p, const float *values) {
    return run_param(p, "rh_param_write", OP_WRITE, values, NULL);
}

rh_status rh_param_pull_begin(rh_param *p, float *out, rh_op **op) {
    return begin_param(p, "rh_param_pull_begin", OP_PULL, NULL, out, op);
}

rh_status rh_param_push_begin(rh_param *p, const float *grads, rh_op **op) {
    return begin_param(p, "rh_param_push_begin", OP_PUSH, grads, NULL, op);
}

/* ---- operations in flight ---- */

rh_status rh_wait(rh_op **op, int timeout_ms) {
    if (*op == NULL)
        return RH_OK;
    rh_client *c = (*op)->c;
    rh_status s = client_check(c);
    if (s != RH_OK)
        return s;
    pthread_mutex_lock(&c->lock);
    s = op_wait(op, client_deadline(c, timeout_ms));
    if (s != RH_ETIMEDOUT && *op != NULL) { /* a shard is silent: there is no use in waiting on */
        op_abandon(*op);
        *op = NULL;
    }
    return client_leave(c, s);
}

int rh_op_done(const rh_op *op) {
    rh_client *c = op->c;
    if (client_check(c) != RH_OK)
        return 1;
    pthread_mutex_lock(&c->lock);
    client_drain(c);
    bool over = op_is_over(op);
    (void)client_leave(c, RH_OK);
    return over;
}

/* ---- batches ---- */

struct rh_batch {
    rh_client *c;
    rh_batch *next, *prev; /* in the client's list */
    struct rows_call *calls;
    size_t n, cap;
};

rh_status rh_batch_new(rh_client *c, rh_batch **out) {
    rh_batch *b = calloc(1, sizeof *b);
    if (b == NULL)
        return err_set(RH_ENOMEM, "rh_batch_new: no memory");
    rh_status s = client_enter(c);
    if (s != RH_OK) {
        free(b);
        return s;
    }
    b->c = c;
    b->next = c->batches;
    if (c->batches != NULL)
        c->batches->prev = b;
    c->batches = b;
    *out = b;
    return client_leave(c, RH_OK);
}

static rh_status add(rh_batch *b, const struct rows_call *call) {
    if (b->n >= WIRE_SECTIONS_MAX)
        return err_set(RH_ELIMIT, "rh_batch: at most %d pulls and pushes", WIRE_SECTIONS_MAX);
    if (b->n == b->cap) {
        size_t cap = b->cap == 0 ? 16 : 2 * b->cap;
        struct rows_call *calls = realloc(b->calls, cap * sizeof *calls);
        if (calls == NULL)
            return err_set(RH_ENOMEM, "rh_batch: no memory for %zu calls", cap);
        b->calls = calls;
        b->cap = cap;
    }
    b->calls[b->n++] = *call;
    return RH_OK;
}

rh_status rh_batch_pull(rh_batch *b, rh_table *t, const uint64_t *ids, size_t n, float *rows) {
    return add(b, &(struct rows_call){t, OP_PULL, ids, n, NULL, rows, NULL});
}

rh_status rh_batch_push(rh_batch *b, rh_table *t, const uint64_t *ids, size_t n,
                        const float *grads) {
    return add(b, &(struct rows_call){t, OP_PUSH, ids, n, grads, NULL, NULL});
}

rh_status rh_batch_pull_param(rh_batch *b, rh_param *p, float *out) {
    struct rows_call call = of_param(p, OP_PULL, NULL, out);
    return add(b, &call);
}

rh_status rh_batch_push_param(rh_batch *b, rh_param *p, const float *grads) {
    struct rows_call call = of_param(p, OP_PUSH, grads, NULL);
    return add(b, &call);
}

rh_status rh_batch_begin(rh_batch *b, rh_op **out) {
    size_t n = b->n;
    b->n = 0;
    return begin(b->c, "rh_batch_begin", b->calls, n, out);
}

rh_status rh_batch_run(rh_batch *b) {
    size_t n = b->n;
    b->n = 0;
    return run(b->c, "rh_batch_run", b->calls, n);
}

void rh_batch_free(rh_batch **out) {
    rh_batch *b = *out;
    if (b == NULL)
        return;
    *out = NULL;
    if (client_check(b->c) != RH_OK)
        return; /* a forked child has no right to the lock, which may be held for ever there */
    pthread_mutex_lock(&b->c->lock);
    *(b->prev != NULL ? &b->prev->next : &b->c->batches) = b->next;
    if (b->next != NULL)
        b->next->prev = b->prev;
    pthread_mutex_unlock(&b->c->lock);
    free(b->calls);
    free(b);
}

void batch_free_all(rh_client *c) {
    while (c->batches != NULL) {
        rh_batch *b = c->batches;
        c->batches = b->next;
        free(b->calls);
        free(b);
    }
}
