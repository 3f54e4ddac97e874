/* pack.c - see pack.h. First everything is laid out and every frame allocated, which may fail; then
 * the frames are filled, which may not, so a push is counted as a step only when it will be sent. */
#include "worker/pack.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "common/kern.h"
#include "common/size.h"
#include "proto/msg.h"
#include "worker/frozen.h"
#include "worker/tables.h"

_Static_assert(__BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__, "ids and rows are copied as they are");

enum {
    BODY_MAX = WIRE_FRAME_MAX - WIRE_HEAD,
    SECTION_MAX = 32, /* a section's head and padding, at most */
    DIGEST = 8,       /* in front of the sections of an op */
    PARTS_MAX = UINT16_MAX
};

static bool is_change(enum op_action a) {
    return a == OP_PUSH || a == OP_WRITE;
}

static enum wire_kind kind_of(enum op_action a) {
    return a == OP_PUSH ? WIRE_PUSH : a == OP_WRITE ? WIRE_WRITE : WIRE_PULL;
}

/* ---- checking ---- */

/* The gradient of the padding row goes nowhere, so it may be anything, as in torch: losses that mask
 * their padding are full of NaN there. */
static rh_status check_finite(const rh_op *op, const rh_table *t, enum op_action action,
                              const uint64_t *ids, size_t n, const float *in) {
    const size_t dim = t->spec.dim;
    if (kern_all_finite(n * dim, in))
        return RH_OK;
    const uint64_t spared = action == OP_PUSH ? t->spec.padding_idx : SPEC_NO_PADDING;
    for (size_t pos = 0; pos < n; pos++, in += dim) {
        if (ids[pos] == spared || kern_all_finite(dim, in))
            continue;
        size_t bad = 0;
        while (kern_all_finite(1, in + bad))
            bad++;
        return err_set(RH_EINVAL,
                       "%s: table %s: value %zu of the row at position %zu (id %llu) is %f",
                       op->what, t->name, bad, pos, (unsigned long long)ids[pos], (double)in[bad]);
    }
    return RH_OK;
}

/* Whether this client may do that to this table. */
static rh_status check_right(const rh_op *op, const rh_table *t, enum op_action action) {
    const rh_client *c = op->c;
    if (t->c != c)
        return err_set(RH_EINVAL, "%s: table %s belongs to another client", op->what, t->name);
    if (c->observer && is_change(action))
        return err_set(RH_EINVAL,
                       "%s: this client is an observer: it may look at table %s, not "
                       "change it",
                       op->what, t->name);
    return tables_check(t, op->what);
}

static bool wants_finite(const rh_table *t, enum op_action action) {
    return is_change(action) && !(action == OP_PUSH && t->spec.nonfinite == SPEC_SKIP);
}

static rh_status add_item(rh_op *op, rh_table *t, enum op_action action, const uint64_t *ids,
                          size_t n, const float *in, float *out, uint32_t lacks) {
    struct op_item *it = op_add_item(op);
    if (it == NULL)
        return RH_ENOMEM;
    it->table = t;
    it->action = action;
    it->in = in;
    it->out = out;
    it->lacks = lacks;
    rh_status s = plan_make(&it->plan, ids, n, t->spec.rows, t->name, op->c->shards);
    if (s == RH_OK && action == OP_PUSH && t->spec.padding_idx != SPEC_NO_PADDING)
        plan_drop(&it->plan, t->spec.padding_idx, op->c->shards);
    if (s == RH_OK && action == OP_PUSH && frozen_concerns(t, op->clock))
        frozen_thin(t, op->clock, &it->plan);
    return s == RH_OK ? RH_OK : err_in(s, "%s", op->what);
}

rh_status pack_add(rh_op *op, rh_table *t, enum op_action action, const uint64_t *ids, size_t n,
                   const float *in, float *out) {
    uint32_t dim = t->spec.dim;
    size_t cells, bytes;
    rh_status s = check_right(op, t, action);
    if (s != RH_OK)
        return s;
    if (!size_mul(n, dim, &cells) || !size_mul(cells, sizeof *in, &bytes))
        return err_set(RH_EINVAL, "%s: %zu rows of %u floats do not fit memory", op->what, n, dim);
    if (wants_finite(t, action))
        s = check_finite(op, t, action, ids, n, in);
    return s == RH_OK ? add_item(op, t, action, ids, n, in, out, 0) : s;
}

rh_status pack_add_param(rh_op *op, rh_param *p, enum op_action action, const float *in,
                         float *out) {
    rh_table *t = p->table;
    rh_status s = check_right(op, t, action);
    if (s != RH_OK)
        return s;
    if (wants_finite(t, action) && !kern_all_finite(p->numel, in)) {
        size_t bad = 0;
        while (kern_all_finite(1, in + bad))
            bad++;
        return err_set(RH_EINVAL, "%s: parameter %s: value %zu is %f", op->what, p->name, bad,
                       (double)in[bad]);
    }
    return add_item(op, t, action, p->ids, t->spec.rows, in, out, p->lacks);
}

/* ---- laying out ---- */

/* The frame that is being laid out. */
struct layout {
    rh_op *op;
    uint32_t shard;
    bool changes;   /* pushes and writes, or pulls and reads */
    bool open;      /* the op's last request takes more sections */
    uint32_t parts; /* of this shard, ops only */
    size_t rows_bytes, body_bytes, answer_bytes;
};

static rh_status layout_open(struct layout *at, const struct op_item *it) {
    if (at->changes && at->parts++ >= PARTS_MAX)
        return err_set(RH_ELIMIT, "%s: more than %d MiB for one shard: use several calls",
                       at->op->what, PARTS_MAX);
    struct op_request *q = op_add_request(at->op, at->shard, kind_of(it->action));
    if (q == NULL)
        return RH_ENOMEM;
    q->r.head.flags = it->action == OP_READ ? WIRE_RAW : 0;
    q->piece = at->op->n_pieces;
    at->open = true;
    at->rows_bytes = at->answer_bytes = 0;
    at->body_bytes = at->changes ? DIGEST : 0;
    return RH_OK;
}

static rh_status layout_close(struct layout *at) {
    if (!at->open)
        return RH_OK;
    at->open = false;
    struct request *r = &at->op->requests[at->op->n_requests - 1].r;
    size_t credit = at->body_bytes > at->answer_bytes ? at->body_bytes : at->answer_bytes;
    r->credit_bytes = (uint32_t)credit;
    r->frame = frame_new(at->op->c->net->pool, WIRE_HEAD + at->body_bytes);
    if (r->frame == NULL)
        return err_set(RH_ENOMEM, "%s: no memory for a frame of %zu bytes", at->op->what,
                       WIRE_HEAD + at->body_bytes);
    return RH_OK;
}

/* How many of left rows fit into the open frame. */
static uint32_t room(const struct layout *at, const struct op_item *it, uint32_t left) {
    const struct op_request *q = &at->op->requests[at->op->n_requests - 1];
    size_t row = it->table->spec.dim * sizeof(float);
    size_t sent = sizeof(uint64_t) + (at->changes ? row : 0);
    size_t part_bytes = at->op->c->part_bytes;
    if (q->pieces >= WIRE_SECTIONS_MAX || at->body_bytes + SECTION_MAX + sent > BODY_MAX)
        return 0;
    /* A frame holds at least one row. */
    size_t by_rows =
        at->rows_bytes == 0 && part_bytes < row
            ? 1
            : (part_bytes - (at->rows_bytes < part_bytes ? at->rows_bytes : part_bytes)) / row;
    size_t by_body = (BODY_MAX - at->body_bytes - SECTION_MAX) / sent;
    size_t n = by_rows < by_body ? by_rows : by_body;
    return n < left ? (uint32_t)n : left;
}

static rh_status layout_item(struct layout *at, uint32_t item) {
    rh_op *op = at->op;
    const struct op_item *it = &op->items[item];
    uint32_t dim = it->table->spec.dim;
    enum wire_kind kind = kind_of(it->action);
    uint32_t u = it->plan.bounds[at->shard], end = it->plan.bounds[at->shard + 1];
    while (u < end) {
        rh_status s = at->open ? RH_OK : layout_open(at, it);
        if (s != RH_OK)
            return s;
        uint32_t n = room(at, it, end - u);
        if (n == 0) {
            s = layout_close(at);
            if (s != RH_OK)
                return s;
            continue;
        }
        struct op_piece *p = op_add_piece(op);
        if (p == NULL)
            return RH_ENOMEM;
        *p = (struct op_piece){.item = item, .at = u, .count = n};
        struct op_request *q = &op->requests[op->n_requests - 1];
        q->pieces++;
        q->r.head.sections++;
        at->rows_bytes += (size_t)n * dim * sizeof(float);
        at->body_bytes += msg_section_bytes(kind, n, dim);
        if (!at->changes)
            at->answer_bytes += msg_section_bytes(WIRE_ROWS, n, dim);
        u += n;
    }
    return RH_OK;
}

static rh_status lay_out(rh_op *op) {
    for (uint32_t shard = 0; shard < op->c->shards; shard++) {
        for (int changes = 1; changes >= 0; changes--) {
            struct layout at = {.op = op, .shard = shard, .changes = changes};
            rh_status s = RH_OK;
            for (uint32_t i = 0; s == RH_OK && i < op->n_items; i++)
                if (is_change(op->items[i].action) == (bool)changes)
                    s = layout_item(&at, i);
            if (s == RH_OK)
                s = layout_close(&at);
            if (s != RH_OK)
                return s;
        }
    }
    return RH_OK;
}

/* ---- filling ---- */

/* True if the piece's rows stand in the caller's array as they stand in the frame: arrivals of one
 * shard ascend, so the ends tell. */
static bool is_run(const struct plan *p, const struct op_piece *at) {
    const uint32_t *first = p->first + at->at;
    return p->unique == p->n && first[at->count - 1] - first[0] == at->count - 1;
}

/* to: (count, dim). The sum of equal ids, in order, of which each is divided by how many there are:
 * term by term, as torch's dense backward does it. */
static void gather_by_freq(const struct op_item *it, const struct op_piece *at, float *to) {
    const struct plan *p = &it->plan;
    size_t dim = it->table->spec.dim;
    for (uint32_t u = at->at; u < at->at + at->count; u++, to += dim) {
        uint32_t count = 1;
        memcpy(to, it->in + p->first[u] * dim, dim * sizeof *to);
        for (uint32_t pos = p->next[p->first[u]]; pos != 0; pos = p->next[pos])
            count++;
        if (count == 1)
            continue;
        const float by = (float)(1.0 / count);
        kern_scale(dim, by, to);
        for (uint32_t pos = p->next[p->first[u]]; pos != 0; pos = p->next[pos])
            kern_axpy(dim, by, it->in + pos * dim, to);
    }
}

/* Floats of the row at a position that the caller's array has. */
static size_t row_floats(const struct op_item *it, uint32_t pos) {
    return it->table->spec.dim - (pos + 1 == it->plan.n ? it->lacks : 0);
}

/* The rows of a parameter: each id once, the last one filled up with zeros. */
static void gather_param(const struct op_item *it, const struct op_piece *at, float *to) {
    size_t dim = it->table->spec.dim;
    for (uint32_t u = at->at; u < at->at + at->count; u++, to += dim) {
        uint32_t pos = it->plan.first[u];
        size_t n = row_floats(it, pos);
        memcpy(to, it->in + pos * dim, n * sizeof *to);
        memset(to + n, 0, (dim - n) * sizeof *to);
    }
}

/* Of equal ids the last. */
static void gather_last(const struct op_item *it, const struct op_piece *at, float *to) {
    const size_t dim = it->table->spec.dim;
    const float *in = it->in;
    const uint32_t *last = it->plan.last;
    for (uint32_t u = at->at, end = u + at->count; u < end; u++, to += dim)
        memcpy(to, in + last[u] * dim, dim * sizeof *to);
}

/* Of equal ids the sum, in order. */
static void gather_sum(const struct op_item *it, const struct op_piece *at, float *to) {
    const size_t dim = it->table->spec.dim;
    const float *in = it->in;
    const uint32_t *first = it->plan.first, *next = it->plan.next;
    for (uint32_t u = at->at, end = u + at->count; u < end; u++, to += dim) {
        memcpy(to, in + first[u] * dim, dim * sizeof *to);
        for (uint32_t pos = next[first[u]]; pos != 0; pos = next[pos])
            kern_add(dim, in + pos * dim, to);
    }
}

/* to: (count, dim). */
static void gather(const struct op_item *it, const struct op_piece *at, float *to) {
    const struct plan *p = &it->plan;
    size_t dim = it->table->spec.dim, row = dim * sizeof *to;
    if (it->lacks > 0) {
        gather_param(it, at, to);
        return;
    }
    if (is_run(p, at)) {
        memcpy(to, it->in + p->first[at->at] * dim, at->count * row);
        return;
    }
    if (it->action == OP_WRITE)
        gather_last(it, at, to);
    else if (it->table->spec.scale_grad_by_freq)
        gather_by_freq(it, at, to);
    else
        gather_sum(it, at, to);
}

static void fill(rh_op *op, struct op_request *q) {
    enum wire_kind kind = q->r.head.kind;
    uint64_t digest = 0;
    uint8_t *body = q->r.frame->data + WIRE_HEAD;
    struct buf b;
    buf_wrap(&b, body, q->r.frame->len - WIRE_HEAD);
    if (kind != WIRE_PULL)
        buf_grow(&b, DIGEST);
    for (uint32_t i = 0; i < q->pieces; i++) {
        const struct op_piece *at = &op->pieces[q->piece + i];
        const struct op_item *it = &op->items[at->item];
        struct msg_section s = {.table = it->table->number, .count = at->count};
        if (kind == WIRE_PUSH) {
            s.lr = it->table->lr;
            /* A table that was frozen from the first has no pushes that count yet, and 0 is no
             * number of a push. The first that counts will be number 1 as well, so T is right. */
            s.pushes = it->table->pushes == 0 ? 1 : it->table->pushes;
        }
        uint8_t *ids, *rows;
        msg_put_section(&b, kind, &s, it->table->spec.dim, &ids, &rows);
        memcpy(ids, it->plan.ids + at->at, at->count * sizeof *it->plan.ids);
        if (kind == WIRE_PULL)
            continue;
        digest = msg_digest(digest, s.table, s.count, ids);
        gather(it, at, (float *)(void *)rows);
    }
    assert(!b.bad && b.len == q->r.frame->len - WIRE_HEAD);
    if (kind == WIRE_PULL)
        return;
    buf_wrap(&b, body, DIGEST);
    buf_put_u64(&b, digest);
}

/* ---- answers ---- */

static void scatter_param(const struct op_item *it, const struct op_piece *at,
                          const uint8_t *rows) {
    size_t dim = it->table->spec.dim;
    for (uint32_t u = at->at; u < at->at + at->count; u++, rows += dim * sizeof *it->out) {
        uint32_t pos = it->plan.first[u];
        memcpy(it->out + pos * dim, rows, row_floats(it, pos) * sizeof *it->out);
    }
}

/* What stands once each, one behind the other in the caller's array, goes there in one piece. */
static void scatter_runs(const struct op_item *it, const struct op_piece *at, const uint8_t *rows) {
    const size_t dim = it->table->spec.dim, row = dim * sizeof *it->out;
    const uint32_t *first = it->plan.first, *next = it->plan.next;
    float *out = it->out;
    for (uint32_t u = at->at, end = u + at->count, n; u < end; u += n, rows += n * row) {
        uint32_t pos = first[u];
        n = 1;
        if (next[pos] == 0) {
            while (u + n < end && first[u + n] == pos + n && next[pos + n] == 0)
                n++;
            memcpy(out + pos * dim, rows, n * row);
            continue;
        }
        do {
            memcpy(out + pos * dim, rows, row);
            pos = next[pos];
        } while (pos != 0);
    }
}

static void scatter_each(const struct op_item *it, const struct op_piece *at, const uint8_t *rows) {
    const size_t dim = it->table->spec.dim, row = dim * sizeof *it->out;
    const uint32_t *first = it->plan.first, *next = it->plan.next;
    float *out = it->out;
    for (uint32_t u = at->at, end = u + at->count; u < end; u++, rows += row) {
        uint32_t pos = first[u];
        do {
            memcpy(out + pos * dim, rows, row);
            pos = next[pos];
        } while (pos != 0);
    }
}

/* rows: (count, dim), to every position that wants them. Where many ids repeat, runs are short, and
 * nobody can predict where they end: zipf draws were a quarter more mispredicted branches. */
static void scatter(const struct op_item *it, const struct op_piece *at, const uint8_t *rows) {
    const struct plan *p = &it->plan;
    if (it->lacks > 0)
        scatter_param(it, at, rows);
    else if (p->unique >= p->n - p->n / 4)
        scatter_runs(it, at, rows);
    else
        scatter_each(it, at, rows);
}

static bool take_rows(rh_op *op, const struct op_request *q, const struct head *h,
                      struct rd *body) {
    if (q->r.head.kind != WIRE_PULL)
        return true;
    if (h->sections != q->pieces)
        return false;
    for (uint32_t i = 0; i < q->pieces; i++) {
        const struct op_piece *at = &op->pieces[q->piece + i];
        const struct op_item *it = &op->items[at->item];
        struct msg_section s;
        msg_get_section(body, WIRE_ROWS, &s);
        if (s.table != it->table->number || s.count != at->count)
            return false;
        msg_get_rows(body, &s, it->table->spec.dim);
        if (body->bad)
            return false;
        scatter(it, at, s.rows);
    }
    return true;
}

rh_status pack_finish(rh_op *op) {
    rh_status s = lay_out(op);
    if (s != RH_OK)
        return s;
    /* Under bsp the shards know at a clock's close what was frozen in it, and all know the same. */
    bool bsp = op->c->mode == RH_MODE_BSP;
    for (uint32_t i = 0; i < op->n_items; i++) {
        struct op_item *it = &op->items[i];
        it->counted = it->action == OP_PUSH && (bsp || op->clock >= atomic_load(&it->table->thaws));
        if (it->counted)
            atomic_fetch_add(&it->table->pushes, 1);
    }
    for (uint32_t i = 0; i < op->n_requests; i++)
        fill(op, &op->requests[i]);
    op->take = take_rows;
    return RH_OK;
}
