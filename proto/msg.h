/* msg.h - the bodies of PROTOCOL.md, one put and one get per message, and frames made of them. A
 * put writes into a buf, a get reads from an rd; both are sticky, so callers ask once: rd_done()
 * after the last get. No I/O, no state. */
#ifndef PROTO_MSG_H
#define PROTO_MSG_H

#include <stdbool.h>
#include <stdint.h>

#include "common/buf.h"
#include "common/hash.h"
#include "proto/frame.h"
#include "proto/spec.h"
#include "proto/wire.h"

struct msg_hello {
    uint32_t shard, shards;
    uint8_t mode;  /* rh_mode's numbers: 1 async, 2 ssp, 3 bsp */
    uint16_t life; /* how many had its rank before, and are dead. 0: nobody counts */
    uint32_t staleness, world, clock_floor;
};
void msg_put_hello(struct buf *b, const struct msg_hello *m);
void msg_get_hello(struct rd *r, struct msg_hello *m);

/* What a shard is, as its welcome says. */
enum msg_state {
    MSG_WHOLE,
    MSG_LOST,    /* it has begun anew in the place of one that died */
    MSG_PENDING, /* the lead: it has gone back to a checkpoint, and others may not have yet */
    MSG_REDONE   /* the lead, to a worker's successor: rows have what that one will do again */
};

struct msg_welcome {
    uint32_t shard, shards, world, clock, mode, credit_bytes, origin, state;
};
void msg_put_welcome(struct buf *b, const struct msg_welcome *m);
void msg_get_welcome(struct rd *r, struct msg_welcome *m);

struct msg_open {
    uint32_t table; /* 0: the lead is asked to give a number */
    bool find;      /* only if it exists: spec is not sent */
    char name[WIRE_NAME_MAX + 1];
    struct spec spec;
};
void msg_put_open(struct buf *b, const struct msg_open *m);
void msg_get_open(struct rd *r, struct msg_open *m);

struct msg_opened {
    uint32_t table, frozen;
    uint64_t pushes, steps;
    struct spec spec;
};
void msg_put_opened(struct buf *b, const struct msg_opened *m);
void msg_get_opened(struct rd *r, struct msg_opened *m);

struct msg_freeze {
    uint32_t table;
    uint32_t ticket; /* an observer's; 0 of a worker */
    uint64_t first, count, until_clock;
};
void msg_put_freeze(struct buf *b, const struct msg_freeze *m);
void msg_get_freeze(struct rd *r, struct msg_freeze *m);

/* RESET begins with msg_reset; then msg_count, count times. With WIRE_INIT it is msg_init. */
struct msg_reset {
    uint32_t table, count;
};
struct msg_count {
    uint32_t rank;
    uint64_t pushes;
};
struct msg_init {
    uint32_t table, init;
    double init_arg[SPEC_INIT_ARGS];
    uint64_t seed;
    uint32_t turn;
};
struct msg_drop {
    uint32_t table;
};
struct msg_cancel {
    uint32_t call; /* of this clock: what is held of it is let go */
};
enum { MSG_COUNT_BYTES = 16 };
void msg_put_reset(struct buf *b, const struct msg_reset *m);
void msg_get_reset(struct rd *r, struct msg_reset *m);
void msg_put_count(struct buf *b, const struct msg_count *m);
void msg_get_count(struct rd *r, struct msg_count *m);
void msg_put_init(struct buf *b, const struct msg_init *m);
void msg_get_init(struct rd *r, struct msg_init *m);
void msg_put_cancel(struct buf *b, const struct msg_cancel *m);
void msg_get_cancel(struct rd *r, struct msg_cancel *m);
void msg_put_drop(struct buf *b, const struct msg_drop *m);
void msg_get_drop(struct rd *r, struct msg_drop *m);
struct msg_freeze_ids {
    uint32_t table, ticket;
    uint64_t until_clock;
    uint32_t count;
    const uint8_t *ids; /* a view: count u64, at any address */
};
enum { MSG_FREEZE_IDS_HEAD = 24 }; /* bytes before the ids */
void msg_put_freeze_ids(struct buf *b, const struct msg_freeze_ids *m);
void msg_get_freeze_ids(struct rd *r, struct msg_freeze_ids *m);

/* The body of FROZEN_ROWS. put writes what stands before the pairs: they are for the caller to
 * append. get hands out a view of them. */
struct msg_frozen_rows {
    uint32_t table;
    uint32_t told; /* 0: too many to tell */
    uint64_t whole;
    uint32_t runs, rows;
    const uint8_t *pairs; /* (runs + rows) of two u64, at any address */
};
enum { MSG_FROZEN_PAIRS_MAX = 131072, MSG_FROZEN_HEAD = 24, MSG_FROZEN_PAIR = 16 };
void msg_put_frozen_rows(struct buf *b, const struct msg_frozen_rows *m);
void msg_get_frozen_rows(struct rd *r, struct msg_frozen_rows *m);

/* One per table in the body of TICK and BYE; head.sections counts them. */
struct msg_tick {
    uint32_t table, pushed;
    double lr;
    uint64_t pushes;
};
enum { MSG_TICK_BYTES = 24 };
void msg_put_tick(struct buf *b, const struct msg_tick *m);
void msg_get_tick(struct rd *r, struct msg_tick *m);

/* Why a request is not answered yet. */
enum msg_why {
    MSG_WAITS_NOT,
    MSG_WAITS_CLOCK,   /* worker `rank` has not ended clock `number` */
    MSG_WAITS_MARK,    /* worker `rank`, or nobody any more, has not marked generation `number` */
    MSG_WAITS_BARRIER, /* worker `rank` has not come to barrier `number` */
    MSG_WAITS_OP       /* an earlier op of this worker, in or before clock `number`, has not come */
};
struct msg_wait {
    uint32_t why, rank, number; /* rank: WIRE_NOBODY if there is none */
};
void msg_put_wait(struct buf *b, const struct msg_wait *m);
void msg_get_wait(struct rd *r, struct msg_wait *m);

struct msg_alive {
    struct msg_wait wait;
    uint64_t taken;
};
void msg_put_alive(struct buf *b, const struct msg_alive *m);
void msg_get_alive(struct rd *r, struct msg_alive *m);

/* The strings of a file to be read, and of what was read. */
struct msg_stage {
    uint32_t table, load, step, format;
    char path[WIRE_STR_MAX + 1], tensor[WIRE_STR_MAX + 1], vocab[WIRE_STR_MAX + 1];
};
void msg_put_stage(struct buf *b, const struct msg_stage *m);
void msg_get_stage(struct rd *r, struct msg_stage *m);

struct msg_staged {
    uint32_t load, steps, done, format;
    uint64_t done_bytes, total_bytes;
    uint64_t digest, vocab_digest;
    uint64_t rows, matched, missed, duplicated, unused;
    char about[256], first_matched[128], first_missed[128], first_duplicated[128];
};
void msg_put_staged(struct buf *b, const struct msg_staged *m);
void msg_get_staged(struct rd *r, struct msg_staged *m);

struct msg_load {
    uint32_t table, load;
    uint64_t digest, vocab_digest;
};
void msg_put_load(struct buf *b, const struct msg_load *m);
void msg_get_load(struct rd *r, struct msg_load *m);

struct msg_shard_facts {
    uint32_t shard, shards, mode, world;
    uint64_t uptime_ms, closed, pulls, pulled_rows, pushes, pushed_rows, repeats, parked, refused,
        bad_frames;
    uint32_t tables, members, staleness;
};
struct msg_member_facts {
    uint32_t rank, incarnation, clock, state; /* 1 here, 2 gone */
    uint64_t silent_ms;
    struct msg_wait wait;
    uint32_t pulls; /* parked */
    uint64_t wait_ms;
    uint32_t early, held; /* ops */
    uint64_t early_bytes, held_bytes;
};
enum { MSG_MEMBER_BYTES = 72 };
/* A checkpoint that is being saved, and one that is being restored. */
struct msg_in_hand {
    uint32_t saving; /* a phase: MSG_GATHERING to MSG_WRITTEN; 0: none */
    uint32_t generation, waiting_for;
    uint32_t restoring; /* 1: being read. 2: read, and not yet in place. 0: none */
    uint64_t saving_ms, restoring_ms;
    char saving_name[WIRE_NAME_MAX + 1], restoring_name[WIRE_NAME_MAX + 1];
};
void msg_put_shard_facts(struct buf *b, const struct msg_shard_facts *m);
void msg_get_shard_facts(struct rd *r, struct msg_shard_facts *m);
void msg_put_member_facts(struct buf *b, const struct msg_member_facts *m);
void msg_get_member_facts(struct rd *r, struct msg_member_facts *m);
void msg_put_in_hand(struct buf *b, const struct msg_in_hand *m);
void msg_get_in_hand(struct rd *r, struct msg_in_hand *m);

struct msg_table_facts {
    uint32_t table, frozen;
    char name[WIRE_NAME_MAX + 1];
    struct spec spec;
    uint64_t steps, touched, skipped, memory_bytes, frozen_rows, trainable_rows;
    uint64_t ages[WIRE_AGES];
};
void msg_put_table_facts(struct buf *b, const struct msg_table_facts *m);
void msg_get_table_facts(struct rd *r, struct msg_table_facts *m);

/* Of one table; then msg_count, count times. */
struct msg_life {
    uint32_t table, turn, count;
    uint64_t steps, touched, held;
};
#define MSG_ASK_LIFE 0x80000000u /* of what an INFO asks for; a table's number below it */
void msg_put_life(struct buf *b, const struct msg_life *m);
void msg_get_life(struct rd *r, struct msg_life *m);

/* ---- checkpoints (msg_ckpt.c) ---- */

enum { MSG_CURSOR_MAX = 65536 };
#define MSG_CURSOR_KEPT UINT32_MAX

/* Stands behind as many msg_tick as head.sections says. */
struct msg_mark {
    uint32_t generation, cursor_len;
    const uint8_t *cursor; /* (cursor_len) a view; NULL: it is as it was */
};
void msg_put_mark(struct buf *b, const struct msg_mark *m);
void msg_get_mark(struct rd *r, struct msg_mark *m);

struct msg_save {
    uint32_t generation; /* 0: begin one, and then ... */
    uint32_t ticket;     /* ... which wish for one this is; else 0 */
    char name[WIRE_NAME_MAX + 1];
};
void msg_put_save(struct buf *b, const struct msg_save *m);
void msg_get_save(struct rd *r, struct msg_save *m);

enum msg_phase {
    MSG_GATHERING = 1,
    MSG_WRITING,
    MSG_WRITTEN,
    MSG_COMMITTED,
    MSG_GIVEN_UP,
    MSG_BUSY
};

/* One shard's file, and what it takes to be the same on all shards. */
struct msg_written {
    uint64_t bytes, rows;
    struct hash128 sum, agreed;
};
void msg_put_written(struct buf *b, const struct msg_written *m);
void msg_get_written(struct rd *r, struct msg_written *m);

struct msg_saving {
    uint32_t generation, phase;
    uint32_t waiting_for; /* a rank, or WIRE_NOBODY */
    uint32_t status;      /* of MSG_GIVEN_UP */
    uint64_t done_bytes;
    struct msg_written written;
    char text[WIRE_STR_MAX + 1];
};
void msg_put_saving(struct buf *b, const struct msg_saving *m);
void msg_get_saving(struct rd *r, struct msg_saving *m);

/* Then msg_written, shards times. */
struct msg_commit {
    uint32_t generation, shards;
};
void msg_put_commit(struct buf *b, const struct msg_commit *m);
void msg_get_commit(struct rd *r, struct msg_commit *m);

struct msg_cursor {
    uint32_t rank;
};
void msg_put_cursor(struct buf *b, const struct msg_cursor *m);
void msg_get_cursor(struct rd *r, struct msg_cursor *m);

struct msg_cursor_is {
    uint64_t generation, clock;
    char name[WIRE_NAME_MAX + 1];
    uint32_t known, len;
    const uint8_t *bytes; /* (len) a view */
};
void msg_put_cursor_is(struct buf *b, const struct msg_cursor_is *m);
void msg_get_cursor_is(struct rd *r, struct msg_cursor_is *m);

/* Which ranks have said goodbye: a bit each. */
enum { MSG_GONE_MAX = 8192 };
struct msg_gone {
    uint32_t len; /* bytes of bits */
    uint8_t bits[MSG_GONE_MAX];
};
bool msg_gone_has(const struct msg_gone *m, uint32_t rank);
void msg_gone_add(struct msg_gone *m, uint32_t rank); /* below 8 * MSG_GONE_MAX */

struct msg_restore {
    uint32_t step, ticket;
    char name[WIRE_NAME_MAX + 1];
    struct msg_gone gone;
};
void msg_put_restore(struct buf *b, const struct msg_restore *m);
void msg_get_restore(struct rd *r, struct msg_restore *m);

struct msg_restored {
    uint32_t ticket, step;
    uint64_t done_bytes, generation;
    char name[WIRE_NAME_MAX + 1];
    struct msg_gone gone;
};
void msg_put_restored(struct buf *b, const struct msg_restored *m);
void msg_get_restored(struct rd *r, struct msg_restored *m);

/* ---- sections of PULL, PUSH, WRITE and ROWS ---- */

struct msg_section {
    uint32_t table, count;
    double lr;           /* PUSH; else 0 */
    uint64_t pushes;     /* PUSH; else 0 */
    const uint8_t *ids;  /* a view: count u64, at any address. NULL in ROWS */
    const uint8_t *rows; /* a view: count * dim f32, at any address. NULL in PULL */
};

/* Bytes of a section of that kind, padding included. Cannot overflow within the limits of wire.h
 * (asserted). */
size_t msg_section_bytes(enum wire_kind kind, uint32_t count, uint32_t dim);

/* Writes the section's head, and leaves room: *ids and *rows are where they go (8- and 4-aligned if
 * the frame's memory is), NULL where the kind has none or where it does not fit (b->bad). Either
 * pointer may be NULL. Padding is zeroed. */
void msg_put_section(struct buf *b, enum wire_kind kind, const struct msg_section *s, uint32_t dim,
                     uint8_t **ids, uint8_t **rows);

/* The head and the ids; then, for kinds with rows, the rows, once the caller knows the table's dim.
 * When r is bad the section is all zeros. count is at most WIRE_IDS_MAX; that sections add up to at
 * most WIRE_ROWS_MAX of rows, or of a pull's answer, is for the caller to see to. */
void msg_get_section(struct rd *r, enum wire_kind kind, struct msg_section *s);
void msg_get_rows(struct rd *r, struct msg_section *s, uint32_t dim);

/* The digest of an op's (table, ids), section by section: start with 0, feed each. */
uint64_t msg_digest(uint64_t digest, uint32_t table, uint32_t count, const uint8_t *ids);

/* ---- frames ---- */

/* A sealed frame of h and a finished body (may be NULL: empty). NULL if body is bad or memory is
 * out. */
struct frame *msg_frame(struct frame_pool *pool, struct head *h, const struct buf *body);

/* REFUSE with a text, answering request h; server_inc is taken from h too, so the caller puts its
 * own there. A text beyond WIRE_STR_MAX is cut. s is not RH_OK. */
struct frame *msg_refuse(struct frame_pool *pool, const struct head *h, rh_status s,
                         const char *text);

#endif
