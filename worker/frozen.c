/* frozen.c - see frozen.h. */
#include "worker/frozen.h"

#include <stdlib.h>
#include <string.h>

#include "common/size.h"
#include "proto/msg.h"
#include "worker/op.h"

/* As on the wire: an id, and the clock from which on its rows are open. */
struct pair {
    uint64_t id, until;
};

_Static_assert(sizeof(struct pair) == MSG_FROZEN_PAIR, "pairs are copied as they are");

struct told {
    struct pair *pairs; /* (runs + rows) each ascending */
    uint32_t runs, rows;
};

/* What all shards have told of one table. Does not change once it is whole. */
struct frozen {
    uint32_t refs;    /* under the client's lock */
    uint32_t freezes; /* the sum of the shards' when they told it */
    bool all;         /* none of them had too much to tell */
    uint64_t whole;   /* the table is wholly frozen in clocks below it */
    uint64_t opens;   /* no row is frozen from that clock on */
    uint32_t shards;
    struct told by[]; /* (shards) */
};

static struct frozen *frozen_new(uint32_t shards) {
    size_t bytes;
    if (!size_mul(shards, sizeof(struct told), &bytes))
        return NULL;
    struct frozen *f = calloc(1, sizeof *f + bytes);
    if (f != NULL)
        *f = (struct frozen){.refs = 1, .all = true, .whole = UINT64_MAX, .shards = shards};
    return f;
}

static void unref(struct frozen *f) {
    if (f == NULL || --f->refs > 0)
        return;
    for (uint32_t i = 0; i < f->shards; i++)
        free(f->by[i].pairs);
    free(f);
}

void frozen_forget(rh_table *t) {
    unref(t->frozen);
    unref(t->coming);
    t->frozen = t->coming = NULL;
}

void frozen_renew(rh_table *t) {
    if (t->asking != NULL)
        op_recycle(t->asking); /* it is over, as all that was asked in the life before */
    t->asking = NULL;
    frozen_forget(t);
    atomic_store(&t->opens, 0);
    atomic_store(&t->told, FROZEN_UNKNOWN);
}

/* ---- asking ---- */

static int by_id(const void *a, const void *b) {
    const struct pair *x = a, *y = b;
    return x->id < y->id ? -1 : x->id > y->id;
}

/* Runs ascend from id 0, so that every id is in one. */
static bool are_runs(const struct told *k) {
    for (uint32_t i = 0; i < k->runs; i++)
        if (i == 0 ? k->pairs[i].id != 0 : k->pairs[i].id <= k->pairs[i - 1].id)
            return false;
    return true;
}

static bool take_frozen(rh_op *op, const struct op_request *q, const struct head *h,
                        struct rd *body) {
    struct frozen *f = op->sink;
    struct told *k = &f->by[q->shard];
    struct msg_frozen_rows m;
    msg_get_frozen_rows(body, &m);
    if (body->bad)
        return false;
    f->freezes += h->prev.clock;
    f->whole = m.whole < f->whole ? m.whole : f->whole;
    size_t n = (size_t)m.runs + m.rows;
    k->pairs = m.told ? malloc(n * sizeof *k->pairs) : NULL;
    if (k->pairs == NULL) {
        f->all = false;
        return true;
    }
    memcpy(k->pairs, m.pairs, n * sizeof *k->pairs);
    k->runs = m.runs;
    k->rows = m.rows;
    /* They come in the order of the shard's memory. */
    qsort(k->pairs + k->runs, k->rows, sizeof *k->pairs, by_id);
    for (size_t i = 0; i < n; i++)
        f->opens = k->pairs[i].until > f->opens ? k->pairs[i].until : f->opens;
    return are_runs(k);
}

/* Puts the question into an operation. Locked. */
static rh_status fill(rh_op *op, rh_table *t) {
    uint8_t room[4];
    struct buf b;
    buf_wrap(&b, room, sizeof room);
    buf_put_u32(&b, t->number);
    t->coming = frozen_new(op->c->shards);
    if (t->coming == NULL)
        return RH_ENOMEM;
    op->take = take_frozen;
    op->sink = t->coming;
    rh_status s = RH_OK;
    for (uint32_t i = 0; s == RH_OK && i < op->c->shards; i++)
        s = op_ask(op, i, WIRE_FROZEN, &b, 0);
    return s;
}

/* Locked. An answer that came meanwhile counts, unless something was frozen or thawed since. */
static void collect(rh_table *t) {
    rh_client *c = t->c;
    if (t->asking == NULL || !op_is_over(t->asking))
        return;
    bool good = t->asking->status == RH_OK && t->coming->freezes == c->freezes;
    op_recycle(t->asking);
    t->asking = NULL;
    if (good) {
        unref(t->frozen);
        t->frozen = t->coming;
        atomic_store(&t->thaws, t->frozen->whole);
        atomic_store(&t->opens, t->frozen->all ? t->frozen->opens : 0);
        atomic_store(&t->told, t->frozen->freezes);
    } else {
        unref(t->coming);
    }
    t->coming = NULL;
}

/* Begins to ask if there is news and nobody is at it. Returns with the lock held; false: the client
 * has failed, and it is not. */
static bool begin(rh_table *t) {
    rh_client *c = t->c;
    rh_op *op;
    if (op_new(c, "asking what is frozen", &op) != RH_OK)
        return false;
    pthread_mutex_lock(&c->lock);
    collect(t);
    if (t->asking == NULL && t->told != c->freezes) {
        rh_status s = fill(op, t);
        if (s == RH_OK)
            s = op_submit(op);
        if (s == RH_OK) {
            t->asking = op;
            return true;
        }
        unref(t->coming);
        t->coming = NULL;
    }
    op_recycle(op);
    return true;
}

static bool is_answered(const void *table) {
    const rh_table *t = table;
    return t->asking == NULL || op_is_over(t->asking);
}

void frozen_ask(rh_table *t, int64_t deadline_ms) {
    rh_client *c = t->c;
    if (c->mode == RH_MODE_BSP || c->observer)
        return;
    /* Twice if a question was on its way already, from before the last news. */
    for (int i = 0; i < 2 && t->told != c->freezes; i++) {
        if (!begin(t))
            return;
        if (client_wait(c, is_answered, t, deadline_ms))
            collect(t);
        (void)client_leave(c, RH_OK);
    }
}

/* ---- leaving out ---- */

/* The last pair whose id is not above; NULL if there is none. */
static const struct pair *last_not_above(const struct pair *pairs, uint32_t n, uint64_t id) {
    uint32_t low = 0, high = n;
    while (low < high) {
        uint32_t mid = low + (high - low) / 2;
        if (pairs[mid].id <= id)
            low = mid + 1;
        else
            high = mid;
    }
    return low == 0 ? NULL : &pairs[low - 1];
}

static uint64_t until_of(const struct told *k, uint64_t id) {
    const struct pair *row = last_not_above(k->pairs + k->runs, k->rows, id);
    return row != NULL && row->id == id ? row->until : last_not_above(k->pairs, k->runs, id)->until;
}

static void thin(const struct frozen *f, uint64_t clock, struct plan *p) {
    uint32_t kept = 0, from = 0;
    for (uint32_t shard = 0; shard < f->shards; shard++) {
        uint32_t end = p->bounds[shard + 1];
        for (uint32_t u = from; u < end; u++) {
            if (clock < until_of(&f->by[shard], p->ids[u]))
                continue;
            p->ids[kept] = p->ids[u];
            p->first[kept] = p->first[u];
            p->last[kept] = p->last[u];
            kept++;
        }
        from = end;
        p->bounds[shard + 1] = kept;
    }
    p->unique = kept;
}

void frozen_thin(rh_table *t, uint64_t clock, struct plan *plan) {
    rh_client *c = t->c;
    struct frozen *f = NULL;
    if (t->told != c->freezes ? !begin(t) : client_enter(c) != RH_OK)
        return;
    collect(t); /* over a net in memory the answer is here already */
    if (t->told == c->freezes && clock < t->opens) {
        f = t->frozen;
        f->refs++;
    }
    (void)client_leave(c, RH_OK);
    if (f == NULL)
        return;
    thin(f, clock, plan);
    pthread_mutex_lock(&c->lock);
    unref(f);
    pthread_mutex_unlock(&c->lock);
}
