/* facts.c - see facts.h. */
#include "worker/facts.h"

#include <stdlib.h>
#include <string.h>

#include "worker/op.h"

enum {
    ASK_SHARD = 0,
    ASK_TABLES = 1,    /* a table's number comes on top */
    TABLE_FACTS = 160, /* bytes of one table's facts, at least: a bound for hostile counts */
    RANKS_MAX = 1 << 16
};

/* ---- asking ---- */

static rh_status ask(rh_op *op, uint32_t shard, uint32_t what) {
    uint8_t room[4];
    struct buf b;
    buf_wrap(&b, room, sizeof room);
    buf_put_u32(&b, what);
    return op_ask(op, shard, WIRE_INFO, &b, 0);
}

typedef bool take_fn(rh_op *op, const struct op_request *q, const struct head *h, struct rd *body);

static rh_status ask_until(rh_client *c, uint32_t first, uint32_t n, uint32_t what, take_fn *take,
                           void *sink, int64_t deadline_ms) {
    rh_op *op;
    rh_status s = op_new(c, "facts", &op);
    if (s != RH_OK)
        return s;
    op->take = take;
    op->sink = sink;
    for (uint32_t i = first; s == RH_OK && i < first + n; i++)
        s = ask(op, i, what);
    if (s != RH_OK) {
        op_free(op);
        return s;
    }
    return op_run_until(op, deadline_ms);
}

static rh_status ask_and_wait(rh_client *c, uint32_t first, uint32_t n, uint32_t what,
                              take_fn *take, void *sink) {
    return ask_until(c, first, n, what, take, sink, client_deadline(c, -1));
}

/* ---- a shard ---- */

static bool take_shard(rh_op *op, const struct op_request *q, const struct head *h,
                       struct rd *body) {
    (void)h;
    struct facts_shard *f = op->sink;
    msg_get_shard_facts(body, &f->shard);
    if (body->bad || f->shard.members > rd_left(body) / MSG_MEMBER_BYTES)
        return false;
    f->members = calloc(f->shard.members + 1, sizeof *f->members);
    if (f->members == NULL)
        return op_no_memory(op, q, body);
    for (uint32_t i = 0; i < f->shard.members; i++)
        msg_get_member_facts(body, &f->members[i]);
    f->pid = rd_u32(body);
    rd_must(body, rd_u32(body) == 0);
    msg_get_in_hand(body, &f->in_hand);
    return !body->bad;
}

rh_status facts_ask_shard(rh_client *c, uint32_t shard, struct facts_shard *out) {
    struct facts_shard f = {0};
    rh_status s = ask_and_wait(c, shard, 1, ASK_SHARD, take_shard, &f);
    if (s != RH_OK) {
        facts_fini_shard(&f);
        return s;
    }
    *out = f;
    return RH_OK;
}

void facts_fini_shard(struct facts_shard *f) {
    free(f->members);
    f->members = NULL;
}

/* ---- tables ---- */

struct tables {
    struct facts_table *list; /* ascending by number */
    uint32_t n;
};

/* The table's place in the list, made if need be; NULL: no memory. */
static struct facts_table *place(struct tables *all, const struct msg_table_facts *m) {
    uint32_t i = all->n;
    while (i > 0 && all->list[i - 1].table.table > m->table)
        i--;
    if (i > 0 && all->list[i - 1].table.table == m->table)
        return &all->list[i - 1];
    struct facts_table *list = realloc(all->list, (all->n + 1) * sizeof *list);
    if (list == NULL)
        return NULL;
    all->list = list;
    for (uint32_t k = all->n; k > i; k--)
        list[k] = list[k - 1];
    all->n++;
    list[i] = (struct facts_table){.table = *m};
    list[i].table.touched = list[i].table.skipped = list[i].table.memory_bytes =
        list[i].table.steps = 0;
    list[i].table.frozen_rows = list[i].table.trainable_rows = 0;
    memset(list[i].table.ages, 0, sizeof list[i].table.ages);
    return &list[i];
}

static bool take_tables(rh_op *op, const struct op_request *q, const struct head *h,
                        struct rd *body) {
    (void)h;
    struct tables *all = op->sink;
    uint32_t n = rd_u32(body);
    if (n > rd_left(body) / TABLE_FACTS)
        return false;
    for (uint32_t i = 0; i < n; i++) {
        struct msg_table_facts m;
        msg_get_table_facts(body, &m);
        if (body->bad)
            return false;
        struct facts_table *t = place(all, &m);
        if (t == NULL)
            return op_no_memory(op, q, body);
        t->shards++;
        t->table.touched += m.touched;
        t->table.skipped += m.skipped;
        t->table.memory_bytes += m.memory_bytes;
        t->table.frozen_rows += m.frozen_rows;
        t->table.trainable_rows += m.trainable_rows;
        for (int k = 0; k < WIRE_AGES; k++)
            t->table.ages[k] += m.ages[k];
        if (m.steps > t->table.steps)
            t->table.steps = m.steps;
    }
    return true;
}

rh_status facts_ask_tables(rh_client *c, struct facts_table **out, uint32_t *n) {
    struct tables all = {0};
    rh_status s = ask_and_wait(c, 0, c->shards, ASK_TABLES, take_tables, &all);
    if (s != RH_OK) {
        free(all.list);
        return s;
    }
    *out = all.list;
    *n = all.n;
    return RH_OK;
}

rh_status facts_ask_table(rh_client *c, uint32_t number, struct facts_table *out) {
    struct tables all = {0};
    rh_status s = ask_and_wait(c, 0, c->shards, ASK_TABLES + number, take_tables, &all);
    if (s == RH_OK && (all.n != 1 || all.list[0].table.table != number))
        s = err_set(RH_EPROTO, "asked about table %u, and %u others were told of", number, all.n);
    if (s == RH_OK)
        *out = all.list[0];
    free(all.list);
    return s;
}

/* ---- a table's life ---- */

/* False: no memory. */
static bool saw(struct facts_life *l, const struct msg_count *c) {
    if (c->rank >= l->workers) {
        uint64_t *p = realloc(l->pushes, (c->rank + 1) * sizeof *p);
        if (p == NULL)
            return false;
        memset(p + l->workers, 0, (c->rank + 1 - l->workers) * sizeof *p);
        l->pushes = p;
        l->workers = c->rank + 1;
    }
    if (c->pushes > l->pushes[c->rank])
        l->pushes[c->rank] = c->pushes;
    return true;
}

static bool take_life(rh_op *op, const struct op_request *q, const struct head *h,
                      struct rd *body) {
    (void)h;
    struct facts_life *l = op->sink;
    struct msg_life m;
    msg_get_life(body, &m);
    if (body->bad || m.count > rd_left(body) / MSG_COUNT_BYTES)
        return false;
    l->steps = m.steps > l->steps ? m.steps : l->steps;
    l->turn = m.turn > l->turn ? m.turn : l->turn;
    l->touched += m.touched;
    l->held += m.held;
    for (uint32_t i = 0; i < m.count; i++) {
        struct msg_count c;
        msg_get_count(body, &c);
        if (body->bad || c.rank >= RANKS_MAX)
            return false;
        if (!saw(l, &c))
            return op_no_memory(op, q, body);
    }
    return true;
}

rh_status facts_ask_life(rh_client *c, uint32_t number, int64_t deadline_ms,
                         struct facts_life *out) {
    struct facts_life l = {0};
    rh_status s = ask_until(c, 0, c->shards, MSG_ASK_LIFE | number, take_life, &l, deadline_ms);
    if (s == RH_OK)
        *out = l;
    else
        facts_fini_life(&l);
    return s;
}

void facts_fini_life(struct facts_life *l) {
    free(l->pushes);
    *l = (struct facts_life){0};
}

uint64_t facts_parameters(const struct facts_table *t) {
    return t->table.spec.rows * t->table.spec.dim;
}

uint64_t facts_trainable(const struct facts_table *t) {
    return t->table.trainable_rows * t->table.spec.dim;
}
