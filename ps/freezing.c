/* freezing.c - what workers and observers ask of a table's freezes: frames are read and checked whole,
 * then applied, now or at the close of their clock; and told of, so that clients can leave out what
 * would be dropped. */
#include "common/err.h"
#include "common/hash.h"
#include "ps/shard_inner.h"

/* ---- reading ---- */

/* A FREEZE or FREEZE_IDS. */
struct change {
    struct table *table;
    uint32_t ticket;
    uint64_t until;
    bool listed;           /* FREEZE_IDS */
    uint64_t first, count; /* a range; or count ids of a list */
    const uint8_t *ids;
};

static uint64_t read_until(const struct head *h, uint64_t until_clock) {
    if (h->flags & WIRE_UNDO)
        return 0;
    return until_clock == 0 || until_clock >= UINT32_MAX ? FREEZE_FOR_EVER : until_clock;
}

/* Reads the body, and locates a list's rows. Changes nothing but what table_locate keeps. */
static rh_status read_change(struct shard *s, const struct head *h, const struct frame *f,
                             struct change *out) {
    struct rd r;
    struct msg_freeze range = {0};
    struct msg_freeze_ids list = {0};
    rd_init(&r, f->data + WIRE_HEAD, f->len - WIRE_HEAD);
    bool listed = h->kind == WIRE_FREEZE_IDS;
    if (listed)
        msg_get_freeze_ids(&r, &list);
    else
        msg_get_freeze(&r, &range);
    if (!rd_done(&r))
        return err_set(RH_EPROTO, "a %s from worker %u cannot be read", wire_kind_name(h->kind),
                       h->worker);
    uint32_t number = listed ? list.table : range.table;
    struct table *t = shard_table(s, number);
    if (t == NULL)
        return shard_no_table(s, wire_kind_name(h->kind), number);
    *out = listed ? (struct change){.table = t,
                                    .ticket = list.ticket,
                                    .until = read_until(h, list.until_clock),
                                    .listed = true,
                                    .count = list.count,
                                    .ids = list.ids}
                  : (struct change){.table = t,
                                    .ticket = range.ticket,
                                    .until = read_until(h, range.until_clock),
                                    .first = range.first,
                                    .count = range.count};
    if (listed)
        return table_locate(t, list.ids, list.count);
    if (range.first > t->spec.rows || range.count > t->spec.rows - range.first)
        return err_set(RH_ERANGE, "%llu rows from %llu on: table \"%s\" has %llu",
                       (unsigned long long)range.count, (unsigned long long)range.first, t->name,
                       (unsigned long long)t->spec.rows);
    return RH_OK;
}

/* ---- checking and applying ---- */

static rh_status check(const struct change *c) {
    struct freeze *f = &c->table->freeze;
    if (c->listed)
        return freeze_open_lists(f);
    if (c->count > 0 && f->n_runs + 2 > FREEZE_RUNS_MAX)
        return err_set(
            RH_ELIMIT,
            "table \"%s\" has %u ranges of frozen rows, of at most %d: name rows by lists",
            c->table->name, f->n_runs, FREEZE_RUNS_MAX);
    return RH_OK;
}

static rh_status apply(struct shard *s, const struct change *c) {
    rh_status st = RH_OK;
    if (c->listed)
        freeze_rows(&c->table->freeze, c->table->rows, (uint32_t)c->count, c->until);
    else if (c->count > 0)
        st = freeze_range(&c->table->freeze, c->first, c->count, c->until);
    if (st == RH_OK)
        s->freezes++;
    return st;
}

rh_status freezing_check(struct shard *s, const struct head *h, const struct frame *f) {
    struct change c;
    rh_status st = read_change(s, h, f, &c);
    return st == RH_OK ? check(&c) : st;
}

rh_status freezing_apply(struct shard *s, const struct head *h, const struct frame *f) {
    struct change c;
    rh_status st = read_change(s, h, f, &c);
    return st == RH_OK ? apply(s, &c) : st;
}

/* ---- observers ---- */

static bool was_taken(const struct shard *s, uint64_t digest) {
    uint32_t n = s->n_tickets < SHARD_TICKETS ? s->n_tickets : SHARD_TICKETS;
    for (uint32_t i = 0; i < n; i++)
        if (s->tickets[i] == digest)
            return true;
    return false;
}

/* An observer is in no clock, so nothing could make all shards apply its freeze in the same one. */
static rh_status check_observer(const struct shard *s, const struct change *c) {
    if (s->mode == MODE_BSP)
        return err_set(
            RH_EINVAL,
            "table \"%s\" is trained under bsp, where a freeze belongs to a clock, and only "
            "workers are in one: let a worker call rh_freeze or rh_unfreeze, if need be "
            "ahead of time with until_clock",
            c->table->name);
    if (c->ticket == 0)
        return err_set(RH_EPROTO, "an observer's freeze needs a ticket");
    return RH_OK;
}

void freezing_observed(struct shard *s, uint32_t peer, const struct head *h, struct frame *f) {
    struct change c;
    uint64_t digest = hash64(f->data + WIRE_HEAD, f->len - WIRE_HEAD);
    rh_status st = read_change(s, h, f, &c);
    if (st == RH_OK)
        st = check_observer(s, &c);
    if (st == RH_OK && !was_taken(s, digest)) {
        st = check(&c);
        if (st == RH_OK)
            st = notes_frame(s, f);
        if (st == RH_OK)
            st = apply(s, &c);
        if (st == RH_OK)
            s->tickets[s->n_tickets++ % SHARD_TICKETS] = digest;
    }
    if (st == RH_OK)
        shard_answer(s, peer, h, WIRE_ACK, NULL);
    else
        shard_refuse(s, peer, h, st);
}

/* ---- telling ---- */

static void put_pair(struct buf *b, uint64_t id, uint64_t until) {
    buf_put_u64(b, id);
    buf_put_u64(b, until);
}

static void put_frozen(const struct table *t, struct buf *b) {
    const struct freeze *f = &t->freeze;
    struct msg_frozen_rows m = {.table = t->number, .whole = f->whole};
    m.told = f->n_runs + f->n_listed <= MSG_FROZEN_PAIRS_MAX;
    if (m.told) {
        m.runs = f->n_runs;
        m.rows = (uint32_t)f->n_listed;
    }
    msg_put_frozen_rows(b, &m);
    for (uint32_t i = 0; i < m.runs; i++)
        put_pair(b, f->runs[i].first, f->runs[i].until);
    if (m.rows == 0)
        return;
    for (uint64_t row = 0; (row = freeze_next_listed(f, row)) != FREEZE_NONE; row++) {
        uint64_t id = t->index.ops->id_of(&t->index, row);
        put_pair(b, id, freeze_until(f, row, id));
    }
}

void freezing_tell(struct shard *s, uint32_t peer, const struct head *h, uint32_t table) {
    const struct table *t = shard_table(s, table);
    if (t == NULL) {
        shard_refuse(s, peer, h, err_set(RH_ENOTFOUND, "there is no table number %u", table));
        return;
    }
    struct buf b;
    buf_init(&b, WIRE_FRAME_MAX - WIRE_HEAD);
    put_frozen(t, &b);
    if (b.bad)
        shard_refuse(s, peer, h, err_set(RH_ENOMEM, "no memory to tell what is frozen"));
    else
        shard_answer(s, peer, h, WIRE_FROZEN_ROWS, &b);
    buf_fini(&b);
}
