/* any_frame.c - see any_frame.h. */
#include "tests/support/any_frame.h"

#include <assert.h>
#include <string.h>

#include "common/err.h"
#include "common/hash.h"
#include "proto/msg.h"
#include "tests/support/any_msg.h"

const uint8_t any_kinds[ANY_KINDS] = {
    WIRE_HELLO,  WIRE_OPEN,       WIRE_PULL,    WIRE_PUSH,        WIRE_WRITE,     WIRE_FREEZE,
    WIRE_TICK,   WIRE_BYE,        WIRE_BARRIER, WIRE_INFO,        WIRE_BEAT,      WIRE_RESET,
    WIRE_DROP,   WIRE_WELCOME,    WIRE_ACK,     WIRE_ROWS,        WIRE_REFUSE,    WIRE_NACK,
    WIRE_OPENED, WIRE_PASSED,     WIRE_FACTS,   WIRE_ALIVE,       WIRE_LOAD,      WIRE_STAGE,
    WIRE_STAGED, WIRE_FREEZE_IDS, WIRE_FROZEN,  WIRE_FROZEN_ROWS, WIRE_MARK,      WIRE_SAVE,
    WIRE_COMMIT, WIRE_CURSOR,     WIRE_RESTORE, WIRE_SAVING,      WIRE_CURSOR_IS, WIRE_RESTORED,
    WIRE_CANCEL,
};

/* The tables that a receiver would have: number t has dims[t - 1]. */
static const uint32_t dims[] = {1, 3, 4, 16, WIRE_DIM_MAX};
enum { TABLES = sizeof dims / sizeof *dims, SMALL_TABLES = TABLES - 1 };

/* ---- making ---- */

static void fill(struct rng *g, uint8_t *p, size_t n) {
    for (size_t i = 0; i < n; i++)
        p[i] = (uint8_t)rng_u32(g);
}

static uint16_t put_sections(struct rng *g, struct buf *b, enum wire_kind kind) {
    uint32_t n = rng_below(g, 5);
    if (kind == WIRE_PUSH || kind == WIRE_WRITE)
        buf_put_u64(b, rng_u64(g)); /* the digest: only ever compared with itself */
    for (uint32_t i = 0; i < n; i++) {
        struct msg_section s = {
            .table = 1 + rng_below(g, SMALL_TABLES),
            .count = rng_below(g, 5),
            .lr = any_real(g),
            .pushes = rng_u64(g),
        };
        uint8_t *ids, *rows;
        msg_put_section(b, kind, &s, dims[s.table - 1], &ids, &rows);
        assert(!b->bad);
        if (ids != NULL)
            fill(g, ids, s.count * sizeof(uint64_t));
        if (rows != NULL)
            fill(g, rows, s.count * dims[s.table - 1] * sizeof(float));
    }
    return (uint16_t)n;
}

#define PUT(what)                            \
    do {                                     \
        struct msg_##what m = any_##what(g); \
        msg_put_##what(b, &m);               \
    } while (0)

static uint16_t put_ticks(struct rng *g, struct buf *b) {
    uint32_t n = rng_below(g, 8);
    for (uint32_t i = 0; i < n; i++)
        PUT(tick);
    return (uint16_t)n;
}

static void put_cursor(struct rng *g, struct buf *b, struct head *h) {
    uint8_t cursor[ANY_CURSOR];
    fill(g, cursor, sizeof cursor);
    if (h->kind == WIRE_MARK) {
        h->sections = put_ticks(g, b);
        struct msg_mark m = any_mark(g, cursor);
        msg_put_mark(b, &m);
    } else {
        struct msg_cursor_is m = any_cursor_is(g, cursor);
        msg_put_cursor_is(b, &m);
    }
}

static void put_commit(struct rng *g, struct buf *b) {
    uint32_t n = rng_below(g, 4);
    msg_put_commit(b, &(struct msg_commit){rng_u32(g), n});
    for (uint32_t i = 0; i < n; i++)
        PUT(written);
}

static void put_frozen_rows(struct rng *g, struct buf *b) {
    struct msg_frozen_rows m = any_frozen_rows(g);
    msg_put_frozen_rows(b, &m);
    for (uint32_t i = 0; i < 2 * (m.runs + m.rows); i++)
        buf_put_u64(b, rng_u64(g));
}

/* A client knows what it asked for by its call's number; this one asks for all in turn. */
enum asked { ASKED_SHARD, ASKED_TABLES, ASKED_LIFE, ASKED };

static enum asked asked_for(const struct head *h) {
    return h->num.call % ASKED;
}

static void put_counts(struct rng *g, struct buf *b, uint32_t n) {
    for (uint32_t i = 0; i < n; i++)
        PUT(count);
}

/* A RESET is half the time an init. */
static void put_reset(struct rng *g, struct buf *b, struct head *h) {
    if (rng_below(g, 2)) {
        h->flags = WIRE_INIT;
        PUT(init);
        return;
    }
    struct msg_reset m = any_reset(g, rng_below(g, 4));
    msg_put_reset(b, &m);
    put_counts(g, b, m.count);
}

static void put_facts(struct rng *g, struct buf *b, const struct head *h) {
    uint32_t n = rng_below(g, 4);
    if (asked_for(h) == ASKED_LIFE) {
        struct msg_life m = any_life(g, n);
        msg_put_life(b, &m);
        put_counts(g, b, n);
        return;
    }
    if (asked_for(h) == ASKED_TABLES) {
        buf_put_u32(b, n);
        for (uint32_t i = 0; i < n; i++)
            PUT(table_facts);
        return;
    }
    struct msg_shard_facts shard = any_shard_facts(g, n);
    msg_put_shard_facts(b, &shard);
    for (uint32_t i = 0; i < n; i++)
        PUT(member_facts);
    buf_put_u32(b, rng_u32(g)); /* the process's id */
    buf_put_u32(b, 0);
    PUT(in_hand);
}

static void put_body(struct rng *g, struct buf *b, struct head *h) {
    switch (h->kind) {
    case WIRE_HELLO:
        PUT(hello);
        return;
    case WIRE_OPEN:
        PUT(open);
        return;
    case WIRE_PULL:
    case WIRE_PUSH:
    case WIRE_WRITE:
    case WIRE_ROWS:
        h->sections = put_sections(g, b, h->kind);
        return;
    case WIRE_FREEZE:
        PUT(freeze);
        return;
    case WIRE_RESET:
        put_reset(g, b, h);
        return;
    case WIRE_DROP:
        PUT(drop);
        return;
    case WIRE_CANCEL:
        PUT(cancel);
        return;
    case WIRE_FREEZE_IDS:
        PUT(freeze_ids);
        return;
    case WIRE_FROZEN_ROWS:
        put_frozen_rows(g, b);
        return;
    case WIRE_TICK:
    case WIRE_BYE:
        h->sections = put_ticks(g, b);
        return;
    case WIRE_BARRIER:
    case WIRE_INFO:
    case WIRE_FROZEN:
    case WIRE_PASSED:
        buf_put_u32(b, rng_u32(g));
        return;
    case WIRE_WELCOME:
        PUT(welcome);
        return;
    case WIRE_REFUSE:
        buf_put_str(b, "shard 1 was restarted: connect again");
        return;
    case WIRE_OPENED:
        PUT(opened);
        return;
    case WIRE_FACTS:
        put_facts(g, b, h);
        return;
    case WIRE_ALIVE:
        PUT(alive);
        return;
    case WIRE_LOAD:
        PUT(load);
        return;
    case WIRE_STAGE:
        PUT(stage);
        return;
    case WIRE_STAGED:
        PUT(staged);
        return;
    case WIRE_MARK:
    case WIRE_CURSOR_IS:
        put_cursor(g, b, h);
        return;
    case WIRE_SAVE:
        PUT(save);
        return;
    case WIRE_SAVING:
        PUT(saving);
        return;
    case WIRE_COMMIT:
        put_commit(g, b);
        return;
    case WIRE_CURSOR:
        msg_put_cursor(b, &(struct msg_cursor){rng_u32(g)});
        return;
    case WIRE_RESTORE:
        PUT(restore);
        return;
    case WIRE_RESTORED:
        PUT(restored);
        return;
    default: /* BEAT, ACK, NACK: empty */
        return;
    }
}

size_t any_frame_make(struct rng *g, uint8_t kind, uint8_t *frame) {
    struct head h = {
        .kind = kind,
        .job = rng_u64(g),
        .worker = rng_u32(g),
        .worker_inc = rng_u32(g),
        .server_inc = rng_u32(g),
        .num = {rng_u32(g), rng_u32(g), (uint16_t)rng_u32(g)},
        .prev = {rng_u32(g), rng_u32(g), (uint16_t)rng_u32(g)},
        .status = kind == WIRE_REFUSE ? RH_EFENCED : RH_OK,
    };
    struct buf b;
    buf_wrap(&b, frame + WIRE_HEAD, ANY_FRAME_MAX - WIRE_HEAD);
    put_body(g, &b, &h);
    assert(!b.bad);
    h.body_len = (uint32_t)b.len;
    wire_seal(frame, &h);
    return WIRE_HEAD + b.len;
}

void any_frame_reseal(uint8_t *frame, size_t len) {
    if (len < WIRE_HEAD)
        return;
    uint8_t flags = frame[6];
    size_t body_len = len - WIRE_HEAD;
    struct buf b;
    buf_wrap(&b, frame, WIRE_HEAD);
    buf_put_u32(&b, WIRE_MAGIC);
    buf_put_u8(&b, WIRE_VERSION);
    b.len = 52; /* body_len */
    buf_put_u32(&b, (uint32_t)body_len);
    buf_put_u32(&b, flags & WIRE_NOSUM ? 0 : hash32(frame + WIRE_HEAD, body_len));
    buf_put_u32(&b, hash32(frame, b.len));
}

/* ---- reading ---- */

/* Every byte of a view is looked at here, where a sanitizer sees it: hashes may come from a library
 * that was built without. */
static void look(const uint8_t *p, size_t n) {
    uint8_t all = 0;
    for (size_t i = 0; i < n; i++)
        all ^= p[i];
    __asm__ volatile("" : : "r"(all)); /* or the loop is dead */
}

static rh_status read_sections(struct rd *r, const struct head *h) {
    uint64_t row_bytes = 0, digest = 0;
    if (h->kind == WIRE_PUSH || h->kind == WIRE_WRITE)
        rd_u64(r);
    for (uint32_t i = 0; i < h->sections && !r->bad; i++) {
        struct msg_section s;
        msg_get_section(r, h->kind, &s);
        if (r->bad)
            break;
        if (s.table < 1 || s.table > TABLES)
            return err_set(RH_ENOTFOUND, "no table %u", s.table);
        uint32_t dim = dims[s.table - 1];
        row_bytes += (uint64_t)s.count * dim * sizeof(float);
        if (h->kind != WIRE_PULL)
            msg_get_rows(r, &s, dim);
        if (r->bad)
            break;
        if (s.ids != NULL) {
            look(s.ids, s.count * sizeof(uint64_t));
            digest = msg_digest(digest, s.table, s.count, s.ids);
        }
        if (s.rows != NULL)
            look(s.rows, s.count * dim * sizeof(float));
    }
    look((const uint8_t *)&digest, sizeof digest);
    if (row_bytes > WIRE_ROWS_MAX)
        return err_set(RH_EPROTO, "a part of %llu bytes of rows", (unsigned long long)row_bytes);
    return RH_OK;
}

static void read_shard_facts(struct rd *r) {
    struct msg_shard_facts m;
    msg_get_shard_facts(r, &m);
    for (uint32_t i = 0; i < m.members && !r->bad; i++) {
        struct msg_member_facts member;
        msg_get_member_facts(r, &member);
    }
    rd_u32(r);
    if (rd_u32(r) != 0)
        r->bad = true;
    msg_get_in_hand(r, &(struct msg_in_hand){0});
}

static void read_counts(struct rd *r, uint32_t n) {
    for (uint32_t i = 0; i < n && !r->bad; i++)
        msg_get_count(r, &(struct msg_count){0});
}

static void read_life(struct rd *r) {
    struct msg_life m;
    msg_get_life(r, &m);
    read_counts(r, m.count);
}

static void read_reset(struct rd *r, const struct head *h) {
    if (h->flags & WIRE_INIT) {
        msg_get_init(r, &(struct msg_init){0});
        return;
    }
    struct msg_reset m;
    msg_get_reset(r, &m);
    read_counts(r, m.count);
}

static void read_mark(struct rd *r, const struct head *h) {
    struct msg_mark m;
    for (uint32_t i = 0; i < h->sections; i++)
        msg_get_tick(r, &(struct msg_tick){0});
    msg_get_mark(r, &m);
    if (!r->bad)
        look(m.cursor, m.cursor_len);
}

static void read_commit(struct rd *r) {
    struct msg_commit m;
    msg_get_commit(r, &m);
    for (uint32_t i = 0; i < m.shards && !r->bad; i++)
        msg_get_written(r, &(struct msg_written){0});
}

static rh_status read_table_facts(struct rd *r) {
    uint32_t n = rd_u32(r);
    rh_status s = RH_OK;
    for (uint32_t i = 0; i < n && !r->bad && s == RH_OK; i++) {
        struct msg_table_facts m;
        msg_get_table_facts(r, &m);
        if (!r->bad)
            s = spec_check(&m.spec);
        if (s == RH_OK && !r->bad)
            s = spec_check_name(m.name);
    }
    return s;
}

static rh_status read_open(struct rd *r) {
    struct msg_open m;
    msg_get_open(r, &m);
    if (r->bad)
        return RH_OK; /* said by the caller */
    rh_status s = spec_check_name(m.name);
    return s != RH_OK || m.find ? s : spec_check(&m.spec);
}

static rh_status read_body(struct rd *r, const struct head *h) {
    switch (h->kind) {
    case WIRE_HELLO:
        msg_get_hello(r, &(struct msg_hello){0});
        return RH_OK;
    case WIRE_OPEN:
        return read_open(r);
    case WIRE_PULL:
    case WIRE_PUSH:
    case WIRE_WRITE:
    case WIRE_ROWS:
        return read_sections(r, h);
    case WIRE_FREEZE:
        msg_get_freeze(r, &(struct msg_freeze){0});
        return RH_OK;
    case WIRE_RESET:
        read_reset(r, h);
        return RH_OK;
    case WIRE_DROP:
        msg_get_drop(r, &(struct msg_drop){0});
        return RH_OK;
    case WIRE_FREEZE_IDS: {
        struct msg_freeze_ids m;
        msg_get_freeze_ids(r, &m);
        if (!r->bad)
            look(m.ids, m.count * sizeof(uint64_t));
        return RH_OK;
    }
    case WIRE_FROZEN_ROWS: {
        struct msg_frozen_rows m;
        msg_get_frozen_rows(r, &m);
        if (!r->bad)
            look(m.pairs, (size_t)(m.runs + m.rows) * MSG_FROZEN_PAIR);
        return RH_OK;
    }
    case WIRE_TICK:
    case WIRE_BYE:
        for (uint32_t i = 0; i < h->sections; i++)
            msg_get_tick(r, &(struct msg_tick){0});
        return RH_OK;
    case WIRE_BARRIER:
    case WIRE_INFO:
    case WIRE_FROZEN:
    case WIRE_PASSED:
        rd_u32(r);
        return RH_OK;
    case WIRE_WELCOME:
        msg_get_welcome(r, &(struct msg_welcome){0});
        return RH_OK;
    case WIRE_REFUSE:
        rd_str(r, (char[WIRE_STR_MAX + 1]){0}, WIRE_STR_MAX + 1);
        return RH_OK;
    case WIRE_OPENED: {
        struct msg_opened m;
        msg_get_opened(r, &m);
        return r->bad ? RH_OK : spec_check(&m.spec);
    }
    case WIRE_FACTS:
        if (asked_for(h) == ASKED_TABLES)
            return read_table_facts(r);
        if (asked_for(h) == ASKED_LIFE)
            read_life(r);
        else
            read_shard_facts(r);
        return RH_OK;
    case WIRE_ALIVE:
        msg_get_alive(r, &(struct msg_alive){0});
        return RH_OK;
    case WIRE_LOAD:
        msg_get_load(r, &(struct msg_load){0});
        return RH_OK;
    case WIRE_STAGE:
        msg_get_stage(r, &(struct msg_stage){0});
        return RH_OK;
    case WIRE_STAGED:
        msg_get_staged(r, &(struct msg_staged){0});
        return RH_OK;
    case WIRE_MARK:
        read_mark(r, h);
        return RH_OK;
    case WIRE_CANCEL:
        msg_get_cancel(r, &(struct msg_cancel){0});
        return RH_OK;
    case WIRE_SAVE:
        msg_get_save(r, &(struct msg_save){0});
        return RH_OK;
    case WIRE_SAVING:
        msg_get_saving(r, &(struct msg_saving){0});
        return RH_OK;
    case WIRE_COMMIT:
        read_commit(r);
        return RH_OK;
    case WIRE_CURSOR:
        msg_get_cursor(r, &(struct msg_cursor){0});
        return RH_OK;
    case WIRE_CURSOR_IS: {
        struct msg_cursor_is m;
        msg_get_cursor_is(r, &m);
        if (!r->bad)
            look(m.bytes, m.len);
        return RH_OK;
    }
    case WIRE_RESTORE:
        msg_get_restore(r, &(struct msg_restore){0});
        return RH_OK;
    case WIRE_RESTORED:
        msg_get_restored(r, &(struct msg_restored){0});
        return RH_OK;
    default: /* BEAT, ACK, NACK: empty */
        return RH_OK;
    }
}

rh_status any_frame_read(const uint8_t *frame, size_t len) {
    struct head h;
    rh_status s = wire_open(frame, len, &h);
    if (s != RH_OK)
        return s;
    struct rd r;
    rd_init(&r, frame + WIRE_HEAD, len - WIRE_HEAD);
    s = read_body(&r, &h);
    if (s != RH_OK)
        return s;
    return rd_done(&r) ? RH_OK : err_set(RH_EPROTO, "%s cannot be read", wire_kind_name(h.kind));
}
