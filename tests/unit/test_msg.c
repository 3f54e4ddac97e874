/* test_msg.c - every message comes back as it was sent, and what the page rules out is refused.
 * Damage of every sort is test_hostile.c's. */
#include <check.h>
#include <math.h>
#include <string.h>

#include "common/hash.h"
#include "proto/msg.h"
#include "tests/support/any_msg.h"
#include "tests/support/seed.h"
#include "tests/unit/suites.h"

enum { ROUNDS = 200, KEEP_BYTES = 1 << 20 };

static uint64_t seed;
static struct rng g;
static struct frame_pool *pool;

static void setup(void) {
    rng_init(&g, seed, 0);
    pool = frame_pool_new(KEEP_BYTES);
}

static void teardown(void) {
    frame_pool_free(&pool);
}

/* ---- round trips ---- */

#define SAME(field) ck_assert(in.field == out.field)

/* Writes a random message, reads it back as `out`, checks that nothing is left; then the caller's
 * comparisons. */
#define ROUND_TRIP(what, compare)                   \
    for (int round = 0; round < ROUNDS; round++) {  \
        struct msg_##what in = any_##what(&g), out; \
        uint8_t room[512];                          \
        struct buf b;                               \
        buf_wrap(&b, room + round % 8, 504);        \
        msg_put_##what(&b, &in);                    \
        ck_assert(!b.bad);                          \
        struct rd r;                                \
        rd_init(&r, b.p, b.len);                    \
        msg_get_##what(&r, &out);                   \
        ck_assert(rd_done(&r));                     \
        compare                                     \
    }

static void same_spec(const struct spec *a, const struct spec *b) {
    ck_assert_int_eq(spec_same(a, b, "t"), RH_OK);
    ck_assert(a->lr == b->lr);
    ck_assert_uint_eq(a->frozen, b->frozen);
}

static void same_wait(const struct msg_wait *a, const struct msg_wait *b) {
    ck_assert(a->why == b->why && a->rank == b->rank && a->number == b->number);
}

START_TEST(hello_comes_back) {
    ROUND_TRIP(hello, SAME(shard); SAME(shards); SAME(mode); SAME(life); SAME(staleness);
               SAME(world); SAME(clock_floor);)
}
END_TEST

START_TEST(welcome_comes_back) {
    ROUND_TRIP(welcome, SAME(shard); SAME(shards); SAME(world); SAME(clock); SAME(mode);
               SAME(credit_bytes); SAME(origin); SAME(state);)
}
END_TEST

START_TEST(open_comes_back) {
    ROUND_TRIP(open, SAME(table); SAME(find); ck_assert_str_eq(in.name, out.name);
               same_spec(&in.spec, &out.spec);)
}
END_TEST

START_TEST(opened_comes_back) {
    ROUND_TRIP(opened, SAME(table); SAME(frozen); SAME(pushes); SAME(steps);
               same_spec(&in.spec, &out.spec);)
}
END_TEST

static void same_gone(const struct msg_gone *a, const struct msg_gone *b) {
    ck_assert_uint_eq(a->len, b->len);
    if (a->len > 0)
        ck_assert_mem_eq(a->bits, b->bits, a->len);
}

START_TEST(a_checkpoints_messages_come_back) {
    static const uint8_t cursor[ANY_CURSOR] = "here";
#define any_mark(g)      any_mark(g, cursor)
#define any_cursor_is(g) any_cursor_is(g, cursor)
    ROUND_TRIP(mark, SAME(generation); SAME(cursor_len);
               ck_assert((in.cursor == NULL) == (out.cursor == NULL));
               if (in.cursor_len > 0) ck_assert_mem_eq(in.cursor, out.cursor, in.cursor_len);)
    ROUND_TRIP(save, SAME(generation); ck_assert_str_eq(in.name, out.name);)
    ROUND_TRIP(saving, SAME(generation); SAME(phase); SAME(waiting_for); SAME(status);
               SAME(done_bytes); SAME(written.bytes); SAME(written.rows); SAME(written.sum.low);
               SAME(written.sum.high); SAME(written.agreed.low); SAME(written.agreed.high);
               ck_assert_str_eq(in.text, out.text);)
    ROUND_TRIP(cursor_is, SAME(generation); SAME(clock); SAME(known); SAME(len);
               ck_assert_str_eq(in.name, out.name);
               if (in.len > 0) ck_assert_mem_eq(in.bytes, out.bytes, in.len);)
    ROUND_TRIP(restore, SAME(step); SAME(ticket); ck_assert_str_eq(in.name, out.name);
               same_gone(&in.gone, &out.gone);)
    ROUND_TRIP(restored, SAME(ticket); SAME(step); SAME(done_bytes); SAME(generation);
               ck_assert_str_eq(in.name, out.name); same_gone(&in.gone, &out.gone);)
#undef any_mark
#undef any_cursor_is
}
END_TEST

START_TEST(freeze_comes_back) {
    ROUND_TRIP(freeze, SAME(table); SAME(ticket); SAME(first); SAME(count); SAME(until_clock);)
    ROUND_TRIP(freeze_ids, SAME(table); SAME(ticket); SAME(until_clock); SAME(count);
               ck_assert_uint_eq(b.len, MSG_FREEZE_IDS_HEAD + in.count * 8);
               ck_assert_mem_eq(in.ids, out.ids, in.count * 8);)
}
END_TEST

START_TEST(what_is_frozen_comes_back) {
    uint8_t room[256];
    for (int i = 0; i < 200; i++) {
        struct msg_frozen_rows in = any_frozen_rows(&g), out;
        struct buf b;
        buf_wrap(&b, room, sizeof room);
        msg_put_frozen_rows(&b, &in);
        ck_assert_uint_eq(b.len, MSG_FROZEN_HEAD);
        for (uint64_t k = 0; k < 2 * ((uint64_t)in.runs + in.rows); k++)
            buf_put_u64(&b, k);
        struct rd r;
        rd_init(&r, room, b.len);
        msg_get_frozen_rows(&r, &out);
        ck_assert(rd_done(&r));
        SAME(table);
        SAME(told);
        SAME(whole);
        SAME(runs);
        SAME(rows);
        ck_assert(in.told == 0 || out.pairs == room + MSG_FROZEN_HEAD);
    }
}
END_TEST

START_TEST(what_is_frozen_has_a_first_run_and_not_too_many_pairs) {
    static uint8_t room[MSG_FROZEN_HEAD + (MSG_FROZEN_PAIRS_MAX + 1) * MSG_FROZEN_PAIR];
    static const struct {
        uint32_t told, runs, rows;
        bool good;
    } cases[] = {{1, 1, 0, true},
                 {1, 0, 0, false},
                 {1, 0, 3, false},
                 {0, 0, 0, true},
                 {0, 1, 0, false},
                 {0, 0, 1, false},
                 {1, 1, MSG_FROZEN_PAIRS_MAX - 1, true},
                 {1, 1, MSG_FROZEN_PAIRS_MAX, false},
                 {1, UINT32_MAX, 2, false}};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct msg_frozen_rows m = {
            .table = 1, .told = cases[i].told, .runs = cases[i].runs, .rows = cases[i].rows};
        struct buf b;
        buf_wrap(&b, room, sizeof room);
        msg_put_frozen_rows(&b, &m);
        struct rd r;
        rd_init(&r, room, sizeof room);
        msg_get_frozen_rows(&r, &m);
        ck_assert_msg(r.bad == !cases[i].good, "case %zu", i);
    }
}
END_TEST

static struct msg_reset any_reset_of_three(struct rng *from) {
    return any_reset(from, 3);
}
#define any_reset any_reset_of_three

START_TEST(reset_init_and_drop_come_back) {
    ROUND_TRIP(reset, SAME(table); SAME(count);)
    ROUND_TRIP(count, SAME(rank); SAME(pushes); ck_assert_uint_eq(b.len, MSG_COUNT_BYTES);)
    ROUND_TRIP(init, SAME(table); SAME(init); SAME(seed); SAME(turn);
               ck_assert_mem_eq(in.init_arg, out.init_arg, sizeof in.init_arg);)
    ROUND_TRIP(drop, SAME(table);)
}
END_TEST

START_TEST(tick_comes_back) {
    ROUND_TRIP(tick, SAME(table); SAME(pushed); SAME(lr); SAME(pushes);
               ck_assert_uint_eq(b.len, MSG_TICK_BYTES);)
}
END_TEST

START_TEST(alive_comes_back) {
    ROUND_TRIP(alive, same_wait(&in.wait, &out.wait); SAME(taken);)
}
END_TEST

START_TEST(what_is_asked_and_told_of_files_comes_back) {
    ROUND_TRIP(stage, SAME(table); SAME(load); SAME(step); SAME(format);
               ck_assert_str_eq(in.path, out.path); ck_assert_str_eq(in.tensor, out.tensor);
               ck_assert_str_eq(in.vocab, out.vocab);)
    ROUND_TRIP(staged, SAME(load); SAME(steps); SAME(done); SAME(format); SAME(done_bytes);
               SAME(total_bytes); SAME(digest); SAME(vocab_digest); SAME(rows); SAME(matched);
               SAME(missed); SAME(duplicated); SAME(unused); ck_assert_str_eq(in.about, out.about);
               ck_assert_str_eq(in.first_matched, out.first_matched);
               ck_assert_str_eq(in.first_missed, out.first_missed);
               ck_assert_str_eq(in.first_duplicated, out.first_duplicated);)
    ROUND_TRIP(load, SAME(table); SAME(load); SAME(digest); SAME(vocab_digest);)
}
END_TEST

static struct msg_shard_facts any_facts_of_two(struct rng *from) {
    return any_shard_facts(from, 2);
}
#define any_shard_facts any_facts_of_two

static struct msg_life any_life_of_two(struct rng *from) {
    return any_life(from, 2);
}
#define any_life any_life_of_two

START_TEST(facts_come_back) {
    ROUND_TRIP(shard_facts, SAME(shard); SAME(shards); SAME(mode); SAME(world); SAME(uptime_ms);
               SAME(closed); SAME(pulls); SAME(pulled_rows); SAME(pushes); SAME(pushed_rows);
               SAME(repeats); SAME(parked); SAME(refused); SAME(bad_frames); SAME(tables);
               SAME(members); SAME(staleness);)
    ROUND_TRIP(member_facts, SAME(rank); SAME(incarnation); SAME(clock); SAME(state);
               SAME(silent_ms); same_wait(&in.wait, &out.wait); SAME(pulls); SAME(wait_ms);
               SAME(early); SAME(held); SAME(early_bytes); SAME(held_bytes);)
    ROUND_TRIP(in_hand, SAME(saving); SAME(generation); SAME(waiting_for); SAME(restoring);
               SAME(saving_ms); SAME(restoring_ms);
               ck_assert_str_eq(in.saving_name, out.saving_name);
               ck_assert_str_eq(in.restoring_name, out.restoring_name);)
    ROUND_TRIP(table_facts, SAME(table); SAME(frozen); ck_assert_str_eq(in.name, out.name);
               same_spec(&in.spec, &out.spec); SAME(steps); SAME(touched); SAME(skipped);
               SAME(memory_bytes); SAME(frozen_rows); SAME(trainable_rows);
               ck_assert_mem_eq(in.ages, out.ages, sizeof in.ages);)
    ROUND_TRIP(life, SAME(table); SAME(turn); SAME(count); SAME(steps); SAME(touched); SAME(held);)
}
END_TEST

/* ---- what the page rules out ---- */

/* A message of `len` bytes with byte `at` changed to `value` must be bad. */
#define REFUSED(what, at, value)              \
    do {                                      \
        struct msg_##what m = any_##what(&g); \
        uint8_t room[512];                    \
        struct buf b;                         \
        buf_wrap(&b, room, sizeof room);      \
        msg_put_##what(&b, &m);               \
        room[at] = value;                     \
        struct rd r;                          \
        rd_init(&r, room, b.len);             \
        msg_get_##what(&r, &m);               \
        ck_assert(r.bad);                     \
    } while (0)

START_TEST(what_must_be_zero_is_refused_when_it_is_not) {
    REFUSED(hello, 9, 1);
    REFUSED(count, 4, 1);
    REFUSED(init, 52, 1);
    REFUSED(drop, 4, 1);
    REFUSED(life, 36, 1);
    REFUSED(freeze_ids, 20, 1);
}
END_TEST

START_TEST(yes_or_no_is_0_or_1) {
    REFUSED(open, 4, 2);
    REFUSED(opened, 4, 2);
    REFUSED(tick, 5, 1);
    REFUSED(table_facts, 7, 0x80);
}
END_TEST

START_TEST(what_a_shard_is_and_the_steps_of_a_restore_are_known_ones) {
    REFUSED(welcome, 28, 4);
    REFUSED(welcome, 31, 1);
    REFUSED(restore, 0, 3);
    REFUSED(restored, 4, 4);
}
END_TEST

START_TEST(an_lr_is_finite) {
    static const double wild[] = {NAN, INFINITY, -INFINITY};
    for (size_t i = 0; i < sizeof wild / sizeof *wild; i++) {
        uint8_t room[MSG_TICK_BYTES];
        struct buf b;
        struct rd r;
        buf_wrap(&b, room, sizeof room);
        msg_put_tick(&b, &(struct msg_tick){.table = 1, .lr = wild[i]});
        rd_init(&r, room, b.len);
        msg_get_tick(&r, &(struct msg_tick){0});
        ck_assert(r.bad);

        struct msg_section s = {.table = 1, .lr = wild[i]};
        buf_wrap(&b, room, sizeof room);
        msg_put_section(&b, WIRE_PUSH, &s, 1, NULL, NULL);
        rd_init(&r, room, b.len);
        msg_get_section(&r, WIRE_PUSH, &s);
        ck_assert(r.bad);
    }
}
END_TEST

/* ---- sections ---- */

static const enum wire_kind section_kinds[] = {WIRE_PULL, WIRE_PUSH, WIRE_WRITE, WIRE_ROWS};

START_TEST(a_section_comes_back_from_any_address) {
    for (uint32_t round = 0; round < ROUNDS; round++) {
        enum wire_kind kind = section_kinds[rng_below(&g, 4)];
        bool push = kind == WIRE_PUSH, pull = kind == WIRE_PULL;
        uint32_t dim = 1 + rng_below(&g, 5), count = rng_below(&g, 4);
        struct msg_section out, in = {.table = rng_u32(&g),
                                      .count = count,
                                      .lr = push ? any_real(&g) : 0,
                                      .pushes = push ? rng_u64(&g) : 0};
        uint64_t ids[4];
        float rows[4 * 5];
        for (uint32_t i = 0; i < count; i++)
            ids[i] = rng_u64(&g);
        for (uint32_t i = 0; i < count * dim; i++)
            rows[i] = (float)any_real(&g);

        uint8_t room[256], *at_ids, *at_rows;
        memset(room, 0xa5, sizeof room);
        struct buf b;
        buf_wrap(&b, room + round % 8, 248);
        msg_put_section(&b, kind, &in, dim, &at_ids, &at_rows);
        ck_assert_uint_eq(b.len, msg_section_bytes(kind, count, dim));
        ck_assert_uint_eq(b.len % 8, 0);
        if (at_ids != NULL)
            memcpy(at_ids, ids, count * sizeof *ids);
        if (at_rows != NULL)
            memcpy(at_rows, rows, count * dim * sizeof *rows);
        ck_assert_int_eq(at_ids == NULL, kind == WIRE_ROWS);
        ck_assert_int_eq(at_rows == NULL, pull);

        struct rd r;
        rd_init(&r, b.p, b.len);
        msg_get_section(&r, kind, &out);
        if (!pull)
            msg_get_rows(&r, &out, dim);
        ck_assert(rd_done(&r));
        SAME(table);
        SAME(count);
        SAME(lr);
        SAME(pushes);
        if (kind != WIRE_ROWS)
            ck_assert_mem_eq(out.ids, ids, count * sizeof *ids);
        if (!pull)
            ck_assert_mem_eq(out.rows, rows, count * dim * sizeof *rows);
    }
}
END_TEST

START_TEST(a_section_that_does_not_fit_is_not_begun) {
    uint8_t room[64], *ids, *rows;
    struct buf b;
    buf_wrap(&b, room, 31);
    msg_put_section(&b, WIRE_PUSH, &(struct msg_section){.table = 1, .count = 1}, 1, &ids, &rows);
    ck_assert(b.bad);
    ck_assert_uint_eq(b.len, 0);
    ck_assert_ptr_null(ids);
    ck_assert_ptr_null(rows);
}
END_TEST

/* All but a PUSH or WRITE of dim 1, as the page says. */
START_TEST(a_full_part_fits_a_frame) {
    size_t heads = sizeof(uint64_t) + (WIRE_SECTIONS_MAX - 1) * (24 + 4);
    for (size_t i = 0; i < 4; i++) {
        bool change = section_kinds[i] == WIRE_PUSH || section_kinds[i] == WIRE_WRITE;
        for (uint32_t dim = change ? 2 : 1; dim <= WIRE_DIM_MAX; dim++) {
            uint32_t count = WIRE_ROWS_MAX / 4 / dim;
            ck_assert_uint_ge(count, 1);
            ck_assert_uint_le(WIRE_HEAD + heads + msg_section_bytes(section_kinds[i], count, dim),
                              WIRE_FRAME_MAX);
        }
    }
}
END_TEST

START_TEST(a_count_beyond_the_body_or_the_limit_is_bad) {
    static const uint32_t counts[] = {4, WIRE_IDS_MAX, WIRE_IDS_MAX + 1, 0x20000000, UINT32_MAX};
    static uint8_t room[32 + (WIRE_IDS_MAX + 2) * 8];
    for (size_t i = 0; i < sizeof counts / sizeof *counts; i++) {
        for (size_t kind = 0; kind < 4; kind++) {
            size_t body = msg_section_bytes(section_kinds[kind], 3, 2);
            struct buf b;
            buf_wrap(&b, room, sizeof room);
            buf_put_u32(&b, 1);
            buf_put_u32(&b, counts[i]);
            struct rd r;
            rd_init(&r, room, counts[i] > WIRE_IDS_MAX ? sizeof room : body);
            struct msg_section s;
            msg_get_section(&r, section_kinds[kind], &s);
            if (section_kinds[kind] != WIRE_PULL)
                msg_get_rows(&r, &s, 2);
            ck_assert(r.bad);
            ck_assert_uint_eq(s.count, 0);
            ck_assert_ptr_null(s.ids);
        }
    }
}
END_TEST

START_TEST(padding_is_zero) {
    uint8_t room[64], *rows;
    struct buf b;
    memset(room, 0xff, sizeof room);
    buf_wrap(&b, room, sizeof room);
    struct msg_section s = {.table = 1, .count = 1};
    msg_put_section(&b, WIRE_ROWS, &s, 3, NULL, &rows);
    ck_assert_uint_eq(b.len, 8 + 12 + 4);
    ck_assert_mem_eq(rows + 12, "\0\0\0\0", 4);
    for (int bad = 0; bad < 2; bad++) {
        rows[12] = (uint8_t)bad;
        struct rd r;
        rd_init(&r, room, b.len);
        msg_get_section(&r, WIRE_ROWS, &s);
        msg_get_rows(&r, &s, 3);
        ck_assert_int_eq(rd_done(&r), !bad);
    }
}
END_TEST

START_TEST(a_digest_depends_on_table_count_ids_and_their_order) {
    static const uint64_t ids[] = {5, 6}, turned[] = {6, 5};
    const uint8_t *p = (const uint8_t *)ids;
    uint64_t d = msg_digest(0, 1, 2, p);
    ck_assert_uint_eq(d, msg_digest(0, 1, 2, p));
    ck_assert_uint_ne(d, msg_digest(0, 2, 2, p));
    ck_assert_uint_ne(d, msg_digest(0, 1, 1, p));
    ck_assert_uint_ne(d, msg_digest(0, 1, 2, (const uint8_t *)turned));
    ck_assert_uint_ne(d, msg_digest(msg_digest(0, 1, 1, p), 1, 1, p + 8));
    ck_assert_uint_ne(msg_digest(0, 1, 0, p), 0);
}
END_TEST

START_TEST(a_digest_is_what_the_page_says) {
    static const uint8_t head[] = {1, 0, 0, 0, 2, 0, 0, 0};
    static const uint8_t ids[] = {5, 0, 0, 0, 0, 0, 0, 0, 6, 0, 0, 0, 0, 0, 0, 0};
    uint64_t d = hash64_seeded(ids, sizeof ids, hash64_seeded(head, sizeof head, 0));
    ck_assert_uint_eq(msg_digest(0, 1, 2, ids), d);
}
END_TEST

/* ---- frames ---- */

START_TEST(a_frame_is_sealed_around_its_body) {
    uint8_t room[32];
    struct buf b;
    buf_wrap(&b, room, sizeof room);
    struct msg_alive in = any_alive(&g), out;
    msg_put_alive(&b, &in);
    struct head h = {.kind = WIRE_ALIVE, .worker = 3};
    struct frame *f = msg_frame(pool, &h, &b);
    ck_assert_ptr_nonnull(f);
    struct head back;
    ck_assert_int_eq(wire_open(f->data, f->len, &back), RH_OK);
    ck_assert_uint_eq(back.worker, 3);
    ck_assert_uint_eq(back.body_len, b.len);
    struct rd r;
    rd_init(&r, f->data + WIRE_HEAD, back.body_len);
    msg_get_alive(&r, &out);
    ck_assert(rd_done(&r));
    SAME(taken);
    frame_unref(f);
}
END_TEST

START_TEST(a_frame_may_have_no_body) {
    struct head h = {.kind = WIRE_ACK}, back;
    struct frame *f = msg_frame(pool, &h, NULL);
    ck_assert_uint_eq(f->len, WIRE_HEAD);
    ck_assert_int_eq(wire_open(f->data, f->len, &back), RH_OK);
    frame_unref(f);
}
END_TEST

START_TEST(no_frame_is_made_of_a_body_that_is_bad_or_too_long) {
    uint8_t room[4];
    struct buf b;
    struct head h = {.kind = WIRE_INFO};
    buf_wrap(&b, room, sizeof room);
    buf_put_u64(&b, 1);
    ck_assert_ptr_null(msg_frame(pool, &h, &b));
    buf_init(&b, SIZE_MAX);
    ck_assert_ptr_nonnull(buf_grow(&b, WIRE_FRAME_MAX - WIRE_HEAD + 1));
    ck_assert_ptr_null(msg_frame(pool, &h, &b));
    buf_fini(&b);
}
END_TEST

START_TEST(a_refusal_echoes_the_request_and_says_why) {
    struct head h = {.kind = WIRE_PULL,
                     .flags = WIRE_RAW,
                     .job = 5,
                     .worker = 6,
                     .worker_inc = 7,
                     .server_inc = 8,
                     .num = {9, 10, 11},
                     .sections = 12,
                     .prev = {13, 14, 15}};
    struct frame *f = msg_refuse(pool, &h, RH_ERANGE, "id 7 of table \"user\"");
    struct head back;
    ck_assert_int_eq(wire_open(f->data, f->len, &back), RH_OK);
    ck_assert_uint_eq(back.kind, WIRE_REFUSE);
    ck_assert_uint_eq(back.status, RH_ERANGE);
    ck_assert_uint_eq(back.job, 5);
    ck_assert_uint_eq(back.worker, 6);
    ck_assert_uint_eq(back.worker_inc, 7);
    ck_assert_uint_eq(back.server_inc, 8);
    ck_assert_int_eq(opnum_cmp(back.num, h.num), 0);
    struct rd r;
    rd_init(&r, f->data + WIRE_HEAD, back.body_len);
    char text[WIRE_STR_MAX + 1];
    rd_str(&r, text, sizeof text);
    ck_assert(rd_done(&r));
    ck_assert_str_eq(text, "id 7 of table \"user\"");
    frame_unref(f);
}
END_TEST

/* 1,023 plain bytes, then characters of two bytes: the one that would be halved is left out. */
START_TEST(a_long_refusal_is_cut_between_characters) {
    char text[WIRE_STR_MAX + 8], back[WIRE_STR_MAX + 1];
    memset(text, 'x', WIRE_STR_MAX - 1);
    strcpy(text + WIRE_STR_MAX - 1, "\xc3\xa4\xc3\xa4");
    struct frame *f = msg_refuse(pool, &(struct head){0}, RH_EIO, text);
    struct rd r;
    rd_init(&r, f->data + WIRE_HEAD, f->len - WIRE_HEAD);
    rd_str(&r, back, sizeof back);
    ck_assert(rd_done(&r));
    ck_assert_uint_eq(strlen(back), WIRE_STR_MAX - 1);
    ck_assert_int_eq(back[WIRE_STR_MAX - 2], 'x');
    frame_unref(f);
}
END_TEST

Suite *msg_suite(void) {
    seed = test_seed("msg");
    Suite *suite = suite_create("msg");
    TCase *tc = tcase_create("msg");
    tcase_add_checked_fixture(tc, setup, teardown);
    tcase_add_test(tc, hello_comes_back);
    tcase_add_test(tc, welcome_comes_back);
    tcase_add_test(tc, open_comes_back);
    tcase_add_test(tc, opened_comes_back);
    tcase_add_test(tc, a_checkpoints_messages_come_back);
    tcase_add_test(tc, freeze_comes_back);
    tcase_add_test(tc, reset_init_and_drop_come_back);
    tcase_add_test(tc, what_is_frozen_comes_back);
    tcase_add_test(tc, what_is_frozen_has_a_first_run_and_not_too_many_pairs);
    tcase_add_test(tc, tick_comes_back);
    tcase_add_test(tc, alive_comes_back);
    tcase_add_test(tc, what_is_asked_and_told_of_files_comes_back);
    tcase_add_test(tc, facts_come_back);
    tcase_add_test(tc, what_must_be_zero_is_refused_when_it_is_not);
    tcase_add_test(tc, yes_or_no_is_0_or_1);
    tcase_add_test(tc, what_a_shard_is_and_the_steps_of_a_restore_are_known_ones);
    tcase_add_test(tc, an_lr_is_finite);
    tcase_add_test(tc, a_section_comes_back_from_any_address);
    tcase_add_test(tc, a_section_that_does_not_fit_is_not_begun);
    tcase_add_test(tc, a_full_part_fits_a_frame);
    tcase_add_test(tc, a_count_beyond_the_body_or_the_limit_is_bad);
    tcase_add_test(tc, padding_is_zero);
    tcase_add_test(tc, a_digest_depends_on_table_count_ids_and_their_order);
    tcase_add_test(tc, a_digest_is_what_the_page_says);
    tcase_add_test(tc, a_frame_is_sealed_around_its_body);
    tcase_add_test(tc, a_frame_may_have_no_body);
    tcase_add_test(tc, no_frame_is_made_of_a_body_that_is_bad_or_too_long);
    tcase_add_test(tc, a_refusal_echoes_the_request_and_says_why);
    tcase_add_test(tc, a_long_refusal_is_cut_between_characters);
    suite_add_tcase(suite, tc);
    return suite;
}
