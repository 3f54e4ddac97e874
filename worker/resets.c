/* resets.c - tables that begin anew, in whole or in their weights, or end. PROTOCOL.md, section 3,
 * says why the shards are asked first: what all of them must agree on is decided here. */
#include <stdatomic.h>
#include <string.h>

#include "proto/msg.h"
#include "worker/facts.h"
#include "worker/frozen.h"
#include "worker/op.h"
#include "worker/tables.h"

static rh_status check_worker(const rh_table *t, const char *what) {
    if (t->c->observer)
        return err_set(RH_EINVAL, "%s: an observer may look at table %s, not change it", what,
                       t->name);
    return tables_check(t, what);
}

/* The same op to every shard. */
static rh_status tell_all(rh_table *t, const char *what, enum wire_kind kind, uint16_t flags,
                          const struct buf *body, int64_t deadline_ms) {
    rh_client *c = t->c;
    rh_op *op;
    if (body->bad)
        return err_set(RH_ENOMEM, "%s: table %s: no memory", what, t->name);
    rh_status s = op_new(c, what, &op);
    if (s != RH_OK)
        return s;
    for (uint32_t i = 0; s == RH_OK && i < c->shards; i++) {
        s = op_ask(op, i, kind, body, 0);
        if (s == RH_OK)
            op->requests[i].r.head.flags = flags;
    }
    if (s != RH_OK) {
        op_free(op);
        return s;
    }
    return op_run_until(op, deadline_ms);
}

/* How often this worker has pushed, by what any shard has seen: less than it has, where the last
 * calls had no rows and no tick has told. */
static uint64_t seen_of_mine(const rh_table *t, const struct facts_life *l) {
    return t->c->rank < l->workers ? l->pushes[t->c->rank] : 0;
}

/* ---- reset ---- */

static uint64_t max_u64(uint64_t a, uint64_t b) {
    return a > b ? a : b;
}

/* From here on each worker's pushes count from the last that any shard has seen; of this worker, from
 * the last that it has made. */
static void put_reset(rh_table *t, const struct facts_life *l, struct buf *b) {
    uint32_t rank = t->c->rank;
    uint64_t mine = max_u64(t->pushes, seen_of_mine(t, l));
    /* What was pushed while the table was known to be frozen has gone under a number that the next
     * push would have had. */
    uint64_t was = t->pushes;
    while (was < mine && !atomic_compare_exchange_weak(&t->pushes, &was, mine))
        ;
    uint32_t count = mine != 0;
    for (uint32_t i = 0; i < l->workers; i++)
        count += i != rank && l->pushes[i] != 0;
    msg_put_reset(b, &(struct msg_reset){.table = t->number, .count = count});
    if (mine != 0)
        msg_put_count(b, &(struct msg_count){.rank = rank, .pushes = mine});
    for (uint32_t i = 0; i < l->workers; i++)
        if (i != rank && l->pushes[i] != 0)
            msg_put_count(b, &(struct msg_count){.rank = i, .pushes = l->pushes[i]});
}

rh_status rh_table_reset(rh_table *t) {
    static const char what[] = "rh_table_reset";
    const int64_t deadline_ms = client_deadline(t->c, -1);
    rh_status s = check_worker(t, what);
    if (s != RH_OK)
        return s;
    struct buf b;
    buf_init(&b, WIRE_FRAME_MAX - WIRE_HEAD);
    struct facts_life l = {0};
    if (t->c->mode == RH_MODE_BSP) {
        msg_put_reset(&b, &(struct msg_reset){.table = t->number});
    } else {
        s = facts_ask_life(t->c, t->number, deadline_ms, &l);
        if (s == RH_OK)
            put_reset(t, &l, &b);
    }
    if (s == RH_OK)
        s = tell_all(t, what, WIRE_RESET, 0, &b, deadline_ms);
    if (s == RH_OK) {
        atomic_store(&t->thaws, t->spec.frozen ? UINT64_MAX : 0);
        frozen_ask(t, deadline_ms);
    }
    facts_fini_life(&l);
    buf_fini(&b);
    return s;
}

/* ---- init ---- */

rh_status rh_table_init(rh_table *t, rh_init init, uint64_t seed, int force) {
    static const char what[] = "rh_table_init";
    const int64_t deadline_ms = client_deadline(t->c, -1);
    rh_status s = check_worker(t, what);
    if (s == RH_OK)
        s = client_enter(t->c);
    if (s != RH_OK)
        return s;
    struct spec spec = t->spec;
    (void)client_leave(t->c, RH_OK);
    spec.init = init.kind;
    spec.seed = seed;
    memcpy(spec.init_arg, init.arg, sizeof spec.init_arg);
    s = spec_check(&spec);
    if (s != RH_OK)
        return err_in(s, "%s: table %s", what, t->name);
    struct facts_life l;
    s = facts_ask_life(t->c, t->number, deadline_ms, &l);
    if (s != RH_OK)
        return s;
    uint64_t mine = t->pushes, seen = seen_of_mine(t, &l);
    l.steps += mine > seen ? mine - seen : 0;
    if (!force && l.touched + l.held + l.steps != 0)
        s = err_set(RH_EINVAL,
                    "%s: table %s has %llu touched rows and %llu steps%s, and all rows would be "
                    "overwritten: give force 1, or call rh_table_reset first",
                    what, t->name, (unsigned long long)l.touched, (unsigned long long)l.steps,
                    l.held != 0 ? ", and pushes or writes of this clock" : "");
    uint8_t room[64];
    struct buf b;
    buf_wrap(&b, room, sizeof room);
    struct msg_init m = {.table = t->number, .init = spec.init, .seed = seed, .turn = l.turn + 1};
    memcpy(m.init_arg, spec.init_arg, sizeof m.init_arg);
    msg_put_init(&b, &m);
    if (s == RH_OK)
        s = tell_all(t, what, WIRE_RESET, WIRE_INIT, &b, deadline_ms);
    facts_fini_life(&l);
    if (s != RH_OK)
        return s;
    pthread_mutex_lock(&t->c->lock);
    tables_renew(t, &spec);
    return client_leave(t->c, RH_OK);
}

/* ---- drop ---- */

rh_status rh_table_drop(rh_table **table) {
    rh_table *t = *table;
    rh_status s = check_worker(t, "rh_table_drop");
    uint8_t room[16];
    struct buf b;
    buf_wrap(&b, room, sizeof room);
    msg_put_drop(&b, &(struct msg_drop){.table = t->number});
    if (s == RH_OK)
        s = tell_all(t, "rh_table_drop", WIRE_DROP, 0, &b, client_deadline(t->c, -1));
    if (s != RH_OK && s != RH_ENOTFOUND)
        return s;
    /* The handle stays with its client: operations in flight may still look at it. */
    pthread_mutex_lock(&t->c->lock);
    t->dropped = true;
    *table = NULL;
    return client_leave(t->c, s);
}
