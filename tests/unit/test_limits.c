/* test_limits.c - what a shard may hold and keep for others: what goes beyond is refused with the facts,
 * nobody waits for room, and what is refused is as if it had never been asked. */
#include <check.h>
#include <string.h>

#include "ps/shard_inner.h"
#include "tests/support/talker.h"
#include "tests/unit/suites.h"

enum {
    DIM = 256,
    ROWS = 100,
    PUSH_BYTES = 64 + 8 + 32 + 8 + DIM * 4 /* header, digest, section, an id, its row */
};

static struct memory_net net;
static struct shard *shard;
static struct talker a, b; /* ranks 0 and 1 */

static void start(uint32_t mode, uint64_t hold_bytes) {
    struct shard_config c;
    struct spec s = {.kind = SPEC_DENSE,
                     .dim = DIM,
                     .rows = ROWS,
                     .init = SPEC_ZEROS,
                     .opt = SPEC_SGD,
                     .lr = 1.0,
                     .padding_idx = SPEC_NO_PADDING};
    shard_config_init(&c);
    c.hold_bytes = hold_bytes;
    memory_net_init(&net);
    ck_assert_int_eq(shard_new(&c, &net.net, &shard), RH_OK);
    talker_init(&a, shard, &net, 0);
    talker_init(&b, shard, &net, 1);
    ck_assert_int_eq(talker_hello(&a, mode, 2), WIRE_WELCOME);
    ck_assert_int_eq(talker_hello(&b, mode, 2), WIRE_WELCOME);
    ck_assert_int_eq(talker_open(&a, "t", &s), WIRE_OPENED);
    ck_assert_int_eq(talker_open(&b, "t", &s), WIRE_OPENED);
}

static void teardown(void) {
    shard_free(&shard);
    memory_net_fini(&net);
}

static int push1(struct talker *t, uint64_t id, float x) {
    float g[DIM];
    for (int i = 0; i < DIM; i++)
        g[i] = x;
    return talker_push(t, 1, 1, &id, DIM, g, 1);
}

static float pull1(struct talker *t, uint64_t id) {
    float row[DIM];
    return talker_pull(t, 1, 1, &id, DIM, row) == WIRE_ROWS ? row[0] : -999.0f;
}

static void end_clock(void) {
    ck_assert_int_eq(talker_end(&a, WIRE_TICK, 1, 1, 1.0, 1), WIRE_ACK);
    ck_assert_int_eq(talker_end(&b, WIRE_TICK, 1, 1, 1.0, 1), WIRE_ACK);
}

static int cancel(struct talker *t, uint32_t call) {
    uint8_t room[8];
    struct buf body;
    buf_wrap(&body, room, sizeof room);
    msg_put_cancel(&body, &(struct msg_cancel){call});
    return talker_op(t, WIRE_CANCEL, 0, 0, &body);
}

/* The answer to the last op of t, once more. */
static int repeat(struct talker *t, uint8_t kind, const struct buf *body, struct head *h) {
    talker_send(t, kind, 0, t->last, (struct opnum){0}, 0, body);
    return talker_answer(t, h, 0, NULL);
}

/* ---- what is held ---- */

START_TEST(what_would_be_held_beyond_the_limit_is_refused_and_who_holds_most_is_named) {
    start(MODE_BSP, 3 * PUSH_BYTES);
    ck_assert_int_eq(push1(&a, 1, 1), WIRE_ACK);
    ck_assert_int_eq(push1(&b, 1, 10), WIRE_ACK);
    ck_assert_int_eq(push1(&b, 2, 10), WIRE_ACK);
    ck_assert_int_eq(push1(&a, 2, 1), WIRE_REFUSE);
    const char *words[] = {"shard 0 holds 0.0 MiB until clock 0 closes", "--hold-limit",
                           "worker 1 most of it", "the clock waits for worker 0"};
    for (size_t i = 0; i < sizeof words / sizeof *words; i++)
        ck_assert_msg(strstr(talker_refusal(), words[i]) != NULL, "%s", talker_refusal());
    ck_assert_int_eq(push1(&b, 3, 10), WIRE_REFUSE); /* whoever it is */
    end_clock();                                     /* is held beyond it */
    ck_assert(pull1(&a, 1) == -11.0f);
    ck_assert(pull1(&a, 2) == -10.0f);
    ck_assert(pull1(&a, 3) == 0.0f);
    ck_assert_int_eq(push1(&a, 2, 1), WIRE_ACK); /* there is room again */
}
END_TEST

START_TEST(every_kind_of_op_that_is_held_counts_and_is_refused_beyond_the_limit) {
    start(MODE_BSP, PUSH_BYTES);
    float row[DIM] = {0};
    uint64_t id = 1;
    uint8_t room[512];
    struct buf body;
    ck_assert_int_eq(talker_write(&a, 1, 1, &id, DIM, row), WIRE_ACK);
    ck_assert_int_eq(talker_write(&a, 1, 1, &id, DIM, row), WIRE_REFUSE);
    ck_assert_int_eq(push1(&a, 1, 1), WIRE_REFUSE);
    ck_assert_int_eq(talker_freeze(&b, 1, 10, 0, false), WIRE_REFUSE);
    buf_wrap(&body, room, sizeof room);
    msg_put_freeze_ids(&body, &(struct msg_freeze_ids){.table = 1, .count = 0});
    ck_assert_int_eq(talker_op(&b, WIRE_FREEZE_IDS, 0, 0, &body), WIRE_REFUSE);
    buf_wrap(&body, room, sizeof room);
    msg_put_reset(&body, &(struct msg_reset){.table = 1});
    ck_assert_int_eq(talker_op(&b, WIRE_RESET, 0, 0, &body), WIRE_REFUSE);
    buf_wrap(&body, room, sizeof room);
    msg_put_drop(&body, &(struct msg_drop){1});
    ck_assert_int_eq(talker_op(&b, WIRE_DROP, 0, 0, &body), WIRE_REFUSE);
    ck_assert_ptr_nonnull(strstr(talker_refusal(), "--hold-limit"));
    end_clock();
    ck_assert(pull1(&a, 1) == 0.0f);
}
END_TEST

START_TEST(a_refused_op_is_taken_and_its_repeat_is_refused_alike_when_there_is_room) {
    start(MODE_BSP, PUSH_BYTES);
    struct head h;
    uint8_t room[512];
    struct buf body;
    ck_assert_int_eq(push1(&a, 1, 1), WIRE_ACK);
    buf_wrap(&body, room, sizeof room);
    msg_put_freeze(&body, &(struct msg_freeze){.table = 1, .count = 10});
    ck_assert_int_eq(talker_op(&a, WIRE_FREEZE, 0, 0, &body), WIRE_REFUSE);
    ck_assert_int_eq(cancel(&a, 2), WIRE_ACK); /* the push */
    a.last.call--;
    ck_assert_int_eq(repeat(&a, WIRE_FREEZE, &body, &h), WIRE_REFUSE);
    ck_assert_uint_eq(h.status, RH_ELIMIT);
}
END_TEST

START_TEST(under_async_nothing_is_held_and_nothing_refused) {
    start(MODE_ASYNC, 1);
    ck_assert_int_eq(push1(&a, 1, 1), WIRE_ACK);
    ck_assert(pull1(&a, 1) == -1.0f);
}
END_TEST

/* ---- cancel ---- */

START_TEST(a_cancelled_call_is_not_applied_and_the_others_are) {
    start(MODE_BSP, 1 << 20);
    ck_assert_int_eq(push1(&a, 1, 1), WIRE_ACK);
    uint32_t call = a.last.call;
    ck_assert_int_eq(push1(&a, 1, 2), WIRE_ACK);
    ck_assert_int_eq(push1(&b, 1, 4), WIRE_ACK); /* its calls have the same numbers */
    ck_assert_int_eq(cancel(&a, call), WIRE_ACK);
    ck_assert_int_eq(push1(&a, 1, 8), WIRE_ACK);
    end_clock();
    ck_assert(pull1(&a, 1) == -14.0f);
    ck_assert_int_eq(push1(&a, 1, 16), WIRE_ACK);
    ck_assert_int_eq(push1(&a, 1, 32), WIRE_ACK);
    ck_assert_int_eq(cancel(&a, a.last.call), WIRE_ACK);
    end_clock();
    ck_assert(pull1(&a, 1) == -30.0f);
}
END_TEST

START_TEST(a_repeated_cancel_is_acked_and_one_of_a_later_call_is_refused) {
    start(MODE_BSP, 1 << 20);
    uint8_t room[8];
    struct buf body;
    struct head h;
    ck_assert_int_eq(push1(&a, 1, 1), WIRE_ACK);
    buf_wrap(&body, room, sizeof room);
    msg_put_cancel(&body, &(struct msg_cancel){a.last.call});
    ck_assert_int_eq(talker_op(&a, WIRE_CANCEL, 0, 0, &body), WIRE_ACK);
    ck_assert_int_eq(repeat(&a, WIRE_CANCEL, &body, &h), WIRE_ACK);
    ck_assert_int_eq(cancel(&a, a.last.call + 1), WIRE_REFUSE); /* itself */
    end_clock();
    ck_assert(pull1(&a, 1) == 0.0f);
}
END_TEST

Suite *limits_suite(void) {
    Suite *suite = suite_create("limits");
    TCase *tc = tcase_create("limits");
    tcase_add_checked_fixture(tc, NULL, teardown);
    tcase_add_test(tc, what_would_be_held_beyond_the_limit_is_refused_and_who_holds_most_is_named);
    tcase_add_test(tc, every_kind_of_op_that_is_held_counts_and_is_refused_beyond_the_limit);
    tcase_add_test(tc, a_refused_op_is_taken_and_its_repeat_is_refused_alike_when_there_is_room);
    tcase_add_test(tc, under_async_nothing_is_held_and_nothing_refused);
    tcase_add_test(tc, a_cancelled_call_is_not_applied_and_the_others_are);
    tcase_add_test(tc, a_repeated_cancel_is_acked_and_one_of_a_later_call_is_refused);
    suite_add_tcase(suite, tc);
    return suite;
}
