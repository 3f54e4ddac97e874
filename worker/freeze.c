/* freeze.c - rh_freeze and its kin: one operation on all shards, so that all judge alike whether a
 * table is wholly frozen. */
#include <stdlib.h>
#include <string.h>

#include "proto/msg.h"
#include "worker/frozen.h"
#include "worker/op.h"
#include "worker/tables.h"

enum { PART_IDS = WIRE_ROWS_MAX / sizeof(uint64_t) };

struct freezing {
    rh_table *table;
    const char *what;
    uint64_t until_clock;
    bool undo;
    uint32_t ticket;
};

/* A shard must know a repeat of an observer's freeze, which has no place in a chain. */
static uint32_t draw_ticket(const rh_client *c) {
    return c->observer ? client_draw(c) : 0;
}

static rh_status prepare(const struct freezing *z, rh_op **out) {
    const rh_client *c = z->table->c;
    if (c->observer && c->mode == RH_MODE_BSP)
        return err_set(
            RH_EINVAL,
            "%s: table %s is trained under bsp, where a freeze belongs to a clock, and an "
            "observer is in none: let a worker call %s, if need be ahead of time with "
            "until_clock",
            z->what, z->table->name, z->what);
    rh_status s = op_new(z->table->c, z->what, out);
    if (s != RH_OK)
        return s;
    s = tables_check(z->table, z->what);
    if (s != RH_OK)
        op_free(*out);
    return s;
}

/* Whole or not, by what this client alone has done; what the shards know of others comes on top. */
static void note(const struct freezing *z, bool whole) {
    rh_table *t = z->table;
    uint64_t until = z->undo ? 0 : z->until_clock == 0 ? UINT64_MAX : z->until_clock;
    if (whole || until < atomic_load(&t->thaws))
        atomic_store(&t->thaws, until);
}

static rh_status run(const struct freezing *z, rh_op *op, bool whole) {
    for (uint32_t i = 0; i < op->n_requests; i++)
        op->requests[i].r.head.flags = z->undo ? WIRE_UNDO : 0;
    const int64_t deadline_ms = client_deadline(op->c, -1);
    rh_status s = op_run_until(op, deadline_ms);
    if (s != RH_OK)
        return s;
    note(z, whole);
    frozen_ask(z->table, deadline_ms);
    return RH_OK;
}

/* ---- ranges ---- */

static rh_status freeze_range(const struct freezing *z, uint64_t first, uint64_t count) {
    rh_table *t = z->table;
    uint64_t rows = t->spec.rows;
    if (first > rows || count > rows - first)
        return err_set(RH_ERANGE, "%s: %llu rows from %llu on: table %s has ids 0 to %llu", z->what,
                       (unsigned long long)count, (unsigned long long)first, t->name,
                       (unsigned long long)(rows - 1));
    rh_op *op;
    rh_status s = prepare(z, &op);
    if (s != RH_OK)
        return s;
    uint8_t room[64];
    struct buf b;
    buf_wrap(&b, room, sizeof room);
    msg_put_freeze(&b, &(struct msg_freeze){t->number, z->ticket, first, count, z->until_clock});
    for (uint32_t i = 0; s == RH_OK && count > 0 && i < t->c->shards; i++)
        s = op_ask(op, i, WIRE_FREEZE, &b, 0);
    if (s != RH_OK || count == 0) {
        op_free(op);
        return s;
    }
    return run(z, op, count == rows);
}

rh_status rh_freeze(rh_table *t, uint64_t first, uint64_t count, uint64_t until_clock) {
    struct freezing z = {t, "rh_freeze", until_clock, false, draw_ticket(t->c)};
    return freeze_range(&z, first, count);
}

rh_status rh_unfreeze(rh_table *t, uint64_t first, uint64_t count) {
    struct freezing z = {t, "rh_unfreeze", 0, true, draw_ticket(t->c)};
    return freeze_range(&z, first, count);
}

/* ---- lists ---- */

/* One frame of a list. Its digest tells it from the others of the same ticket. */
static rh_status add_part(const struct freezing *z, rh_op *op, uint32_t shard, const uint64_t *ids,
                          uint32_t n) {
    struct buf b;
    buf_init(&b, MSG_FREEZE_IDS_HEAD + PART_IDS * sizeof *ids);
    msg_put_freeze_ids(&b, &(struct msg_freeze_ids){.table = z->table->number,
                                                    .ticket = z->ticket,
                                                    .until_clock = z->until_clock,
                                                    .count = n,
                                                    .ids = (const uint8_t *)ids});
    rh_status s = b.bad ? err_set(RH_ENOMEM, "%s: no memory for a list of %u ids", z->what, n)
                        : op_ask(op, shard, WIRE_FREEZE_IDS, &b, 0);
    if (s == RH_OK)
        op->requests[op->n_requests - 1].r.credit_bytes = (uint32_t)b.len;
    buf_fini(&b);
    return s;
}

/* Every shard gets a part, be it empty: that some row of the table has a clock of its own now is
 * for all to know. */
static rh_status add_list(const struct freezing *z, rh_op *op, const struct plan *p) {
    for (uint32_t shard = 0; shard < op->c->shards; shard++) {
        uint32_t u = p->bounds[shard], end = p->bounds[shard + 1];
        do {
            uint32_t n = end - u < PART_IDS ? end - u : PART_IDS;
            rh_status s = add_part(z, op, shard, p->ids + u, n);
            if (s != RH_OK)
                return s;
            u += n;
        } while (u < end);
    }
    return RH_OK;
}

static rh_status freeze_list(const struct freezing *z, const uint64_t *ids, size_t n) {
    rh_table *t = z->table;
    struct plan plan;
    plan_init(&plan);
    rh_op *op;
    rh_status s = prepare(z, &op);
    if (s != RH_OK)
        return s;
    s = plan_make(&plan, ids, n, t->spec.rows, t->name, t->c->shards);
    s = s == RH_OK ? s : err_in(s, "%s", z->what);
    if (s == RH_OK && n > 0)
        s = add_list(z, op, &plan);
    plan_fini(&plan);
    if (s != RH_OK || n == 0) {
        op_free(op);
        return s;
    }
    return run(z, op, false);
}

rh_status rh_freeze_ids(rh_table *t, const uint64_t *ids, size_t n, uint64_t until_clock) {
    struct freezing z = {t, "rh_freeze_ids", until_clock, false, draw_ticket(t->c)};
    return freeze_list(&z, ids, n);
}

rh_status rh_unfreeze_ids(rh_table *t, const uint64_t *ids, size_t n) {
    struct freezing z = {t, "rh_unfreeze_ids", 0, true, draw_ticket(t->c)};
    return freeze_list(&z, ids, n);
}
