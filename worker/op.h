/*
 * op.h - an operation: what one call asks of the shards, as requests, and what became of them. Used
 * by every function that talks to shards. Operations are recycled with their memory, so that a warm
 * call allocates nothing.
 *
 * Life: op_new, then pack_* or op_ask fill it, op_submit puts it in flight. Then op_wait ends it, or
 * op_abandon leaves what is owed to the client. op_free at any time before op_submit.
 */
#ifndef WORKER_OP_H
#define WORKER_OP_H

#include "worker/client.h"
#include "worker/plan.h"

enum op_action { OP_PULL, OP_READ, OP_PUSH, OP_WRITE };

/* One table's part of a call. */
struct op_item {
    rh_table *table;
    enum op_action action;
    const float *in; /* (n, dim) of a push or write: read while it is packed, not later */
    float *out;      /* (n, dim) of a pull or read */
    uint32_t lacks;  /* floats of row n - 1 that in and out have not: a dense parameter's. Else 0 */
    bool counted;    /* this push has raised the table's pushes */
    struct plan plan;
};

/* A run of an item's unique ids that makes one section: plan.ids[at] .. [at + count - 1]. */
struct op_piece {
    uint32_t item, at, count;
};

struct op_request {
    struct request r; /* first: the link hands it back */
    struct rh_op *op;
    uint32_t shard;
    uint32_t piece, pieces; /* its sections, in order */
    bool answered;
};

struct rh_op {
    rh_client *c;
    struct rh_op *next, *prev; /* in the client's live list; next alone in its spare list */
    const char *what;          /* for texts: "rh_pull" */
    uint64_t clock;            /* the client's when the op was made */
    int64_t begun_ms;

    struct op_item *items; /* (items_cap); those beyond n_items keep their plan's memory */
    uint32_t n_items, items_cap;
    struct op_piece *pieces;
    uint32_t n_pieces, pieces_cap;
    struct op_request *requests; /* grouped by shard; does not move once it is in flight */
    uint32_t n_requests, requests_cap;

    /* Reads an answer; not called once nobody waits. False: it makes no sense. */
    bool (*take)(struct rh_op *op, const struct op_request *q, const struct head *h,
                 struct rd *body);
    void *sink;                     /* take's */
    void (*over)(struct rh_op *op); /* when the last answer came, or NULL. Under the lock */

    bool begun;    /* it was submitted */
    uint32_t left; /* requests in flight */
    bool detached; /* nobody waits: it is recycled when it is over */
    uint32_t call; /* number of its ops in their clock */
    uint32_t refused_ops;
    rh_op *next_refused; /* in the client's list */
    rh_status status;
    char text[ERR_TEXT_MAX]; /* of the first refusal */
};

/* An empty operation of the client, which must not have failed. Locks and unlocks. */
rh_status op_new(rh_client *c, const char *what, rh_op **out) MUST_CHECK;

/* Gives back an operation that is not in flight. Not locked. */
void op_free(rh_op *op);

/* Room for one more; NULL: no memory, or a limit (err is set). Pointers to earlier ones may die. */
struct op_item *op_add_item(rh_op *op);
struct op_piece *op_add_piece(rh_op *op);
struct op_request *op_add_request(rh_op *op, uint32_t shard, enum wire_kind kind);

/* A request with a small body. */
rh_status op_ask(rh_op *op, uint32_t shard, enum wire_kind kind, const struct buf *body,
                 uint16_t sections) MUST_CHECK;

/* For take: there is no memory for this answer. That is the operation's failure, not the session's.
 * Reads the answer to its end; true. */
bool op_no_memory(rh_op *op, const struct op_request *q, struct rd *body);

/* ---- with the lock held ---- */

/*
 * Numbers the requests and hands them to the links, all in one go. Waits (as long as an operation
 * may) while the clock is being ended, if it has ops. On failure nothing was sent, and the caller
 * still has it.
 */
rh_status op_submit(rh_op *op) MUST_CHECK;
/* The same, but waits until deadline_ms at most. */
rh_status op_submit_until(rh_op *op, int64_t deadline_ms) MUST_CHECK;

bool op_is_over(const void *op);

/* Waits for an operation in flight. When it is over: recycles it, sets *op to NULL and returns what
 * became of it. At the deadline: RH_ETIMEDOUT or RH_EUNREACHABLE, and *op lives on. */
rh_status op_wait(rh_op **op, int64_t deadline_ms) MUST_CHECK;

/* Nobody will wait for it: forgets its asks, so that no caller's array is touched any more; its ops
 * stay owed. */
void op_abandon(rh_op *op);

/* Submits, waits op_timeout_ms, abandons at the deadline. Takes the op in any case, but on a failure
 * to submit recycles it. */
rh_status op_run(rh_op *op) MUST_CHECK;

/* The same, to another deadline. */
rh_status op_run_until(rh_op *op, int64_t deadline_ms) MUST_CHECK;

/* As op_new, with the lock held; NULL: no memory. */
rh_op *op_make(rh_client *c, const char *what);

/* A push that was counted and then not sent, or not taken, is no step. */
void op_take_back_counts(rh_op *op);

/* It is over: recycles it if nobody waits, and keeps what it was refused for. */
void op_let_go(rh_op *op);

/* Puts a dead operation on the spare list. */
void op_recycle(rh_op *op);

/* For client_free: the memory itself. */
void op_destroy(rh_op *op);

#endif
