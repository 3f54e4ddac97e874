/* test_freezing.c - freezes as frames: what a shard makes of ranges and lists from workers and
 * observers, what it refuses, and what it tells. */
#include <check.h>
#include <string.h>

#include "tests/support/talker.h"
#include "tests/unit/suites.h"

enum { ASYNC = 1, BSP = 3, ROWS = 100 };

static struct memory_net net;
static struct shard *shard;
static struct talker a, b, o; /* ranks 0 and 1, and an observer */
static uint64_t pushes;

static void setup(void) {
    struct shard_config c;
    shard_config_init(&c);
    c.incarnation = 42;
    memory_net_init(&net);
    ck_assert_int_eq(shard_new(&c, &net.net, &shard), RH_OK);
    talker_init(&a, shard, &net, 0);
    talker_init(&b, shard, &net, 1);
    talker_init(&o, shard, &net, WIRE_OBSERVER);
    pushes = 0;
}

static void teardown(void) {
    shard_free(&shard);
    memory_net_fini(&net);
}

static void join(struct talker *t, uint32_t mode, uint32_t world, bool frozen) {
    struct spec s = {.kind = SPEC_DENSE,
                     .dim = 1,
                     .rows = ROWS,
                     .init = SPEC_ZEROS,
                     .opt = SPEC_SGD,
                     .lr = 1.0,
                     .frozen = frozen,
                     .padding_idx = SPEC_NO_PADDING};
    ck_assert_int_eq(talker_hello(t, mode, world), WIRE_WELCOME);
    ck_assert_int_eq(talker_open(t, "t", &s), WIRE_OPENED);
}

/* Pushes 1 to a row: its value becomes one less, if it is open. */
static void push(struct talker *t, uint64_t id) {
    float one = 1;
    ck_assert_int_eq(talker_push(t, 1, 1, &id, 1, &one, ++pushes), WIRE_ACK);
}

static float value(struct talker *t, uint64_t id) {
    float row;
    ck_assert_int_eq(talker_pull(t, 1, 1, &id, 1, &row), WIRE_ROWS);
    return row;
}

static int range(struct talker *t, uint32_t ticket, uint64_t first, uint64_t count, uint64_t until,
                 bool undo) {
    uint8_t room[64];
    struct buf body;
    buf_wrap(&body, room, sizeof room);
    msg_put_freeze(&body, &(struct msg_freeze){1, ticket, first, count, until});
    return talker_op(t, WIRE_FREEZE, undo ? WIRE_UNDO : 0, 0, &body);
}

static int list(struct talker *t, uint32_t ticket, const uint64_t *ids, uint32_t n, uint64_t until,
                bool undo) {
    uint8_t room[256];
    struct buf body;
    buf_wrap(&body, room, sizeof room);
    msg_put_freeze_ids(&body, &(struct msg_freeze_ids){1, ticket, until, n, (const uint8_t *)ids});
    return talker_op(t, WIRE_FREEZE_IDS, undo ? WIRE_UNDO : 0, 0, &body);
}

static void tick(struct talker *t, uint32_t pushed) {
    ck_assert_int_eq(talker_end(t, WIRE_TICK, 1, pushed, 1, pushes), WIRE_ACK);
}

/* ---- workers ---- */

START_TEST(a_frozen_range_drops_its_pushes_and_no_others) {
    join(&a, ASYNC, 1, false);
    ck_assert_int_eq(range(&a, 0, 10, 20, 0, false), WIRE_ACK);
    uint64_t ids[] = {9, 10, 29, 30};
    for (int i = 0; i < 4; i++)
        push(&a, ids[i]);
    ck_assert(value(&a, 9) == -1 && value(&a, 10) == 0 && value(&a, 29) == 0 &&
              value(&a, 30) == -1);
    ck_assert_int_eq(range(&a, 0, 10, 1, 0, true), WIRE_ACK);
    push(&a, 10);
    push(&a, 11);
    ck_assert(value(&a, 10) == -1 && value(&a, 11) == 0);
}
END_TEST

START_TEST(a_list_and_a_range_override_one_another) {
    join(&a, ASYNC, 1, false);
    uint64_t ids[] = {5, 50};
    ck_assert_int_eq(list(&a, 0, ids, 2, 0, false), WIRE_ACK);
    ck_assert_int_eq(range(&a, 0, 0, 10, 0, true), WIRE_ACK);
    push(&a, 5);
    push(&a, 50);
    ck_assert(value(&a, 5) == -1 && value(&a, 50) == 0);
    ck_assert_int_eq(range(&a, 0, 0, ROWS, 0, false), WIRE_ACK);
    ck_assert_int_eq(list(&a, 0, ids, 2, 0, true), WIRE_ACK);
    push(&a, 5);
    push(&a, 6);
    ck_assert(value(&a, 5) == -2 && value(&a, 6) == 0);
}
END_TEST

START_TEST(a_freeze_until_a_past_clock_thaws) {
    join(&a, ASYNC, 1, true);
    for (int k = 0; k < 3; k++)
        tick(&a, 0);
    ck_assert_int_eq(range(&a, 0, 0, 10, 3, false), WIRE_ACK);
    ck_assert_int_eq(range(&a, 0, 10, 10, 4, false), WIRE_ACK);
    push(&a, 5);
    push(&a, 15);
    push(&a, 25);
    ck_assert(value(&a, 5) == -1 && value(&a, 15) == 0 && value(&a, 25) == 0);
    tick(&a, 1);
    push(&a, 15);
    push(&a, 25);
    ck_assert(value(&a, 15) == -1 && value(&a, 25) == 0);
}
END_TEST

START_TEST(rows_beyond_the_table_are_erange_and_change_nothing) {
    static const struct {
        uint64_t first, count;
    } bad[] = {{99, 2}, {101, 0}, {0, 101}, {UINT64_MAX, 2}, {2, UINT64_MAX}};
    join(&a, ASYNC, 1, false);
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        ck_assert_int_eq(range(&a, 0, bad[i].first, bad[i].count, 0, false), WIRE_REFUSE);
        ck_assert_ptr_nonnull(strstr(talker_refusal(), "\"t\" has 100"));
    }
    uint64_t ids[] = {1, 100};
    ck_assert_int_eq(list(&a, 0, ids, 2, 0, false), WIRE_REFUSE);
    ck_assert_ptr_nonnull(strstr(talker_refusal(), "id 100 "));
    push(&a, 1);
    ck_assert(value(&a, 1) == -1);
    ck_assert_int_eq(range(&a, 0, 100, 0, 0, false), WIRE_ACK);
    ck_assert_int_eq(list(&a, 0, ids, 0, 0, false), WIRE_ACK);
}
END_TEST

START_TEST(bsp_freezes_in_rank_order_before_the_clocks_pushes) {
    join(&a, BSP, 2, false);
    join(&b, BSP, 2, false);
    uint64_t id = 7;
    push(&a, 7);
    push(&a, 8);
    ck_assert_int_eq(list(&b, 0, &id, 1, 0, true), WIRE_ACK); /* comes first, counts last */
    ck_assert_int_eq(range(&a, 0, 0, ROWS, 0, false), WIRE_ACK);
    tick(&b, 0);
    tick(&a, 1);
    ck_assert(value(&a, 7) == -1 && value(&a, 8) == 0);
}
END_TEST

START_TEST(bsp_takes_no_step_while_ranges_of_several_workers_hold_the_table) {
    join(&a, BSP, 2, false);
    join(&b, BSP, 2, false);
    ck_assert_int_eq(range(&a, 0, 0, 50, 2, false), WIRE_ACK);
    ck_assert_int_eq(range(&b, 0, 50, 50, 3, false), WIRE_ACK);
    for (int clock = 0; clock < 4; clock++) {
        push(&a, 1);
        push(&a, 99);
        tick(&a, 1);
        tick(&b, 0);
    }
    ck_assert(value(&a, 1) == -2 && value(&a, 99) == -1);
    uint8_t room[4];
    struct buf body;
    buf_wrap(&body, room, sizeof room);
    buf_put_u32(&body, 1);
    talker_send(&a, WIRE_INFO, 0, (struct opnum){4, 0x80000001, 0}, a.last, 0, &body);
    struct frame *f = memory_net_take(&net);
    struct rd r;
    struct msg_table_facts m;
    rd_init(&r, f->data + WIRE_HEAD, f->len - WIRE_HEAD);
    ck_assert_uint_eq(rd_u32(&r), 1);
    msg_get_table_facts(&r, &m);
    ck_assert_uint_eq(m.steps, 2); /* clocks 2 and 3 */
    ck_assert_uint_eq(m.frozen_rows, 0);
    ck_assert_uint_eq(m.trainable_rows, ROWS);
    frame_unref(f);
}
END_TEST

/* ---- observers ---- */

START_TEST(an_observers_freeze_is_applied_at_once_and_its_repeat_is_not) {
    join(&a, ASYNC, 1, false);
    ck_assert_int_eq(range(&o, 77, 0, 10, 0, false), WIRE_ACK);
    push(&a, 5);
    ck_assert(value(&a, 5) == 0);
    ck_assert_int_eq(range(&a, 0, 0, 10, 0, true), WIRE_ACK);
    ck_assert_int_eq(range(&o, 77, 0, 10, 0, false), WIRE_ACK); /* its ack was lost */
    push(&a, 5);
    ck_assert(value(&a, 5) == -1);
    ck_assert_int_eq(range(&o, 78, 0, 10, 0, false), WIRE_ACK); /* somebody means it */
    push(&a, 5);
    ck_assert(value(&a, 5) == -1);
    uint64_t id = 5;
    ck_assert_int_eq(list(&o, 79, &id, 1, 0, true), WIRE_ACK);
    push(&a, 5);
    ck_assert(value(&a, 5) == -2);
}
END_TEST

START_TEST(an_observer_is_refused_under_bsp_and_without_a_ticket) {
    join(&a, BSP, 1, false);
    ck_assert_int_eq(range(&o, 77, 0, 10, 0, false), WIRE_REFUSE);
    ck_assert_ptr_nonnull(strstr(talker_refusal(), "bsp"));
    ck_assert_ptr_nonnull(strstr(talker_refusal(), "rh_freeze"));
    teardown();
    setup();
    join(&a, ASYNC, 1, false);
    ck_assert_int_eq(range(&o, 0, 0, 10, 0, false), WIRE_REFUSE);
    ck_assert_ptr_nonnull(strstr(talker_refusal(), "ticket"));
    ck_assert_int_eq(range(&o, 1, 99, 2, 0, false), WIRE_REFUSE);
    push(&a, 5);
    ck_assert(value(&a, 5) == -1);
}
END_TEST

/* ---- telling ---- */

static uint32_t freezes_told(struct talker *t) {
    struct head h;
    talker_send(t, WIRE_BEAT, 0, (struct opnum){0, 0x80000001, 0}, t->last, 0, NULL);
    ck_assert_int_eq(talker_answer(t, &h, 0, NULL), WIRE_ALIVE);
    return h.prev.clock;
}

START_TEST(every_answer_tells_how_many_freezes_there_were) {
    join(&a, ASYNC, 1, true);
    ck_assert_uint_eq(freezes_told(&a), 1); /* it was born frozen */
    ck_assert_int_eq(range(&a, 0, 0, 10, 0, true), WIRE_ACK);
    ck_assert_uint_eq(freezes_told(&a), 2);
    push(&a, 5);
    ck_assert_uint_eq(freezes_told(&a), 2);
    ck_assert_int_eq(range(&a, 0, 0, ROWS + 1, 0, false), WIRE_REFUSE);
    ck_assert_uint_eq(freezes_told(&o), 2);
    ck_assert_int_eq(list(&o, 3, NULL, 0, 0, true), WIRE_ACK); /* others' rows, but it matters */
    ck_assert_uint_eq(freezes_told(&a), 3);
}
END_TEST

START_TEST(what_is_frozen_is_told_as_runs_and_rows) {
    join(&a, ASYNC, 1, false);
    uint64_t ids[] = {70, 3};
    ck_assert_int_eq(range(&a, 0, 10, 20, 9, false), WIRE_ACK);
    ck_assert_int_eq(list(&a, 0, ids, 2, 0, false), WIRE_ACK);
    uint8_t room[4];
    struct buf body;
    buf_wrap(&body, room, sizeof room);
    buf_put_u32(&body, 1);
    talker_send(&a, WIRE_FROZEN, 0, (struct opnum){0, 0x80000001, 0}, a.last, 0, &body);
    struct frame *f = memory_net_take(&net);
    struct head h;
    ck_assert_int_eq(wire_open(f->data, f->len, &h), RH_OK);
    ck_assert_int_eq(h.kind, WIRE_FROZEN_ROWS);
    ck_assert_uint_eq(h.prev.clock, 2);
    struct rd r;
    struct msg_frozen_rows m;
    rd_init(&r, f->data + WIRE_HEAD, f->len - WIRE_HEAD);
    msg_get_frozen_rows(&r, &m);
    ck_assert(rd_done(&r));
    ck_assert(m.table == 1 && m.told == 1 && m.whole == 0 && m.runs == 3 && m.rows == 2);
    /* Rows as they lie in memory: slots are bits reversed, so 70 comes before 3. */
    const uint64_t want[] = {0, 0, 10, 9, 30, 0, 70, UINT64_MAX, 3, UINT64_MAX};
    ck_assert_mem_eq(m.pairs, want, sizeof want);
    frame_unref(f);
    buf_clear(&body);
    buf_wrap(&body, room, sizeof room);
    buf_put_u32(&body, 2);
    talker_send(&o, WIRE_FROZEN, 0, (struct opnum){0, 0x80000002, 0}, o.last, 0, &body);
    ck_assert_int_eq(talker_answer(&o, &h, 0, NULL), WIRE_REFUSE);
}
END_TEST

Suite *freezing_suite(void) {
    TCase *tc = tcase_create("freezing");
    tcase_add_checked_fixture(tc, setup, teardown);
    tcase_add_test(tc, a_frozen_range_drops_its_pushes_and_no_others);
    tcase_add_test(tc, a_list_and_a_range_override_one_another);
    tcase_add_test(tc, a_freeze_until_a_past_clock_thaws);
    tcase_add_test(tc, rows_beyond_the_table_are_erange_and_change_nothing);
    tcase_add_test(tc, bsp_freezes_in_rank_order_before_the_clocks_pushes);
    tcase_add_test(tc, bsp_takes_no_step_while_ranges_of_several_workers_hold_the_table);
    tcase_add_test(tc, an_observers_freeze_is_applied_at_once_and_its_repeat_is_not);
    tcase_add_test(tc, an_observer_is_refused_under_bsp_and_without_a_ticket);
    tcase_add_test(tc, every_answer_tells_how_many_freezes_there_were);
    tcase_add_test(tc, what_is_frozen_is_told_as_runs_and_rows);
    Suite *s = suite_create("freezing");
    suite_add_tcase(s, tc);
    return s;
}
