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
    ROW_BYTES = DIM * 4,
    MANY = 4,
    /* header, digest, section, an id, its row; and what it takes to hold it */
    PUSH_BYTES = 64 + 8 + 32 + 8 + DIM * 4 + WAITING_BYTES
};

static struct memory_net net;
static struct shard *shard;
static struct talker a, b; /* ranks 0 and 1 */
static uint64_t pushes;    /* of both */

static void start_with(uint32_t mode, uint64_t hold_bytes, uint64_t memory_bytes,
                       enum spec_opt opt) {
    struct shard_config c;
    struct spec s = {.kind = SPEC_DENSE,
                     .dim = DIM,
                     .rows = ROWS,
                     .init = SPEC_ZEROS,
                     .opt = opt,
                     .lr = 1.0,
                     .padding_idx = SPEC_NO_PADDING};
    if (opt == SPEC_SPARSE_ADAM)
        memcpy(s.opt_arg, (double[]){0.9, 0.999, 1e-8}, 3 * sizeof(double));
    pushes = 0;
    shard_config_init(&c);
    c.hold_bytes = hold_bytes;
    c.memory_bytes = memory_bytes;
    memory_net_init(&net);
    ck_assert_int_eq(shard_new(&c, &net.net, &shard), RH_OK);
    talker_init(&a, shard, &net, 0);
    talker_init(&b, shard, &net, 1);
    ck_assert_int_eq(talker_hello(&a, mode, 2), WIRE_WELCOME);
    ck_assert_int_eq(talker_hello(&b, mode, 2), WIRE_WELCOME);
    ck_assert_int_eq(talker_open(&a, "t", &s), WIRE_OPENED);
    ck_assert_int_eq(talker_open(&b, "t", &s), WIRE_OPENED);
}

static void start(uint32_t mode, uint64_t hold_bytes) {
    start_with(mode, hold_bytes, 0, SPEC_SGD);
}

/* Room for so many rows of weights alone. */
static void start_for(uint32_t mode, uint32_t rows) {
    start_with(mode, 1 << 20, rows * ROW_BYTES, SPEC_SGD);
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

/* Rows id .. id + MANY - 1. */
static int push_many(struct talker *t, uint64_t id, float x) {
    float g[MANY * DIM];
    uint64_t ids[MANY];
    for (int i = 0; i < MANY * DIM; i++)
        g[i] = x;
    for (int i = 0; i < MANY; i++)
        ids[i] = id + (uint64_t)i;
    return talker_push(t, 1, MANY, ids, DIM, g, ++pushes);
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

/* ---- what waits ---- */

START_TEST(a_worker_runs_at_most_so_many_clocks_ahead_under_bsp_and_then_waits) {
    start(MODE_BSP, 1 << 20);
    struct head h;
    for (uint32_t i = 0; i < SHARD_CLOCKS_AHEAD; i++)
        ck_assert_int_eq(talker_end(&a, WIRE_TICK, 1, 1, 1.0, 1), WIRE_ACK);
    ck_assert_int_eq(push1(&a, 1, 1), 0); /* neither taken nor refused */
    ck_assert_uint_eq(shard->sessions[0]->held.n, SHARD_CLOCKS_AHEAD);
    talker_send(&a, WIRE_BEAT, 0, (struct opnum){a.head.num.clock, 800, 0}, a.last, 0, NULL);
    ck_assert_int_eq(talker_answer(&a, &h, 0, NULL), WIRE_ALIVE);
    ck_assert_int_eq(talker_end(&b, WIRE_TICK, 1, 1, 1.0, 1), WIRE_ACK);
    ck_assert_int_eq(talker_answer(&a, &h, 0, NULL), WIRE_ACK); /* the push */
    ck_assert_uint_eq(h.worker, 0);
    ck_assert_uint_eq(h.num.clock, SHARD_CLOCKS_AHEAD);
    ck_assert_uint_eq(shard->sessions[0]->early.n, 0);
}
END_TEST

START_TEST(parked_pulls_are_bounded_in_number) {
    start(MODE_BSP, 1 << 20);
    struct head h;
    ck_assert_int_eq(talker_end(&a, WIRE_TICK, 1, 1, 1.0, 1), WIRE_ACK);
    for (uint32_t i = 0; i <= SESSION_PULLS_MAX; i++) {
        talker_send(&a, WIRE_PULL, 0, (struct opnum){1, 1000 + i, 0}, a.last, 0, NULL);
        ck_assert_int_eq(talker_answer(&a, &h, 0, NULL), i < SESSION_PULLS_MAX ? 0 : WIRE_REFUSE);
    }
    ck_assert_uint_eq(h.status, RH_ELIMIT);
    ck_assert_ptr_nonnull(strstr(talker_refusal(), "worker 0 has 1024 pulls of 65536 bytes"));
}
END_TEST

START_TEST(parked_pulls_are_bounded_in_bytes_by_the_credit_and_a_frame) {
    enum { IDS = 100000, BYTES = 64 + 8 + IDS * 8 };
    static uint8_t room[8 + IDS * 8];
    start(MODE_BSP, 1 << 20);
    struct head h;
    struct buf body;
    uint8_t *ids;
    uint32_t most = (shard->cfg.credit_bytes + WIRE_FRAME_MAX) / BYTES;
    buf_wrap(&body, room, sizeof room);
    msg_put_section(&body, WIRE_PULL, &(struct msg_section){.table = 1, .count = IDS}, 0, &ids,
                    NULL);
    ck_assert_int_eq(talker_end(&a, WIRE_TICK, 1, 1, 1.0, 1), WIRE_ACK);
    for (uint32_t i = 0; i <= most; i++) {
        talker_send(&a, WIRE_PULL, 0, (struct opnum){1, 1000 + i, 0}, a.last, 1, &body);
        ck_assert_int_eq(talker_answer(&a, &h, 0, NULL), i < most ? 0 : WIRE_REFUSE);
    }
    ck_assert_uint_eq(h.status, RH_ELIMIT);
    ck_assert_uint_eq(shard->sessions[0]->pulls.n, most);
}
END_TEST

/* ---- memory ---- */

START_TEST(under_async_the_rows_that_fit_are_taken_and_the_others_named) {
    start_for(MODE_ASYNC, 6);
    ck_assert_int_eq(push_many(&a, 10, 1), WIRE_ACK);
    ck_assert_int_eq(push_many(&a, 12, 1), WIRE_ACK); /* two are there */
    ck_assert_int_eq(push_many(&b, 13, 1), WIRE_REFUSE);
    const char *words[] = {"no room for 1 new row, the first of them id 16 of table \"t\"",
                           "has taken all other rows of the call", "--memory-limit"};
    for (size_t i = 0; i < sizeof words / sizeof *words; i++)
        ck_assert_msg(strstr(talker_refusal(), words[i]) != NULL, "%s", talker_refusal());
    ck_assert(pull1(&a, 12) == -2.0f);
    ck_assert(pull1(&a, 15) == -2.0f);
    ck_assert(pull1(&a, 16) == 0.0f); /* served, as what it was */
    ck_assert_int_eq(push_many(&b, 20, 1), WIRE_REFUSE);
    ck_assert_ptr_nonnull(
        strstr(talker_refusal(), "no room for 4 new rows, the first of them id 20"));
    ck_assert_int_eq(push_many(&b, 10, 1), WIRE_ACK);
    float row[DIM] = {5};
    uint64_t ids[] = {15, 30};
    ck_assert_int_eq(talker_write(&a, 1, 1, &ids[0], DIM, row), WIRE_ACK);
    ck_assert_int_eq(talker_write(&a, 1, 1, &ids[1], DIM, row), WIRE_REFUSE);
    ck_assert(pull1(&a, 15) == 5.0f);
    ck_assert(pull1(&a, 30) == 0.0f);
}
END_TEST

START_TEST(what_was_refused_is_final_and_counts_as_a_step) {
    start_for(MODE_ASYNC, 1);
    struct head h;
    ck_assert_int_eq(push_many(&a, 10, 1), WIRE_REFUSE);
    ck_assert(pull1(&a, 10) == -1.0f);
    ck_assert_uint_eq(shard->steps[0], 1);
    struct buf body;
    uint8_t room[16];
    buf_wrap(&body, room, sizeof room);
    buf_put_u64(&body, shard->sessions[0]->answers[1].digest);
    ck_assert_int_eq(repeat(&a, WIRE_PUSH, &body, &h), WIRE_REFUSE);
    ck_assert_uint_eq(h.status, RH_ELIMIT);
    ck_assert(pull1(&a, 10) == -1.0f);
}
END_TEST

START_TEST(a_row_counts_with_its_optimizer_state_before_there_is_any) {
    start_with(MODE_ASYNC, 1 << 20, 2 * 3 * ROW_BYTES + ROW_BYTES, SPEC_SPARSE_ADAM);
    float row[DIM] = {5};
    for (uint64_t id = 0; id < 2; id++)
        ck_assert_int_eq(talker_write(&a, 1, 1, &id, DIM, row), WIRE_ACK);
    uint64_t id = 2;
    ck_assert_int_eq(talker_write(&a, 1, 1, &id, DIM, row), WIRE_REFUSE);
    ck_assert_int_eq(push1(&a, 1, 1), WIRE_ACK);
    ck_assert_uint_eq(store_memory_bytes(&shard->tables[0]->store), 2 * 3 * ROW_BYTES);
    ck_assert_int_eq(push1(&a, 2, 1), WIRE_REFUSE);
}
END_TEST

START_TEST(under_bsp_an_op_whose_new_rows_do_not_all_fit_is_refused_as_whole) {
    start_for(MODE_BSP, 6);
    ck_assert_int_eq(push_many(&a, 10, 1), WIRE_ACK);
    ck_assert_int_eq(push_many(&b, 10, 1), WIRE_ACK);    /* the same rows: they count once */
    ck_assert_int_eq(push_many(&b, 20, 1), WIRE_REFUSE); /* what is held counts */
    ck_assert_ptr_nonnull(
        strstr(talker_refusal(), "no room for 2 new rows, the first of them id 22"));
    ck_assert_ptr_nonnull(strstr(talker_refusal(), "nothing of the call is applied"));
    ck_assert_int_eq(push_many(&a, 12, 1), WIRE_ACK); /* there is room for it still */
    end_clock();
    ck_assert(pull1(&a, 10) == -2.0f);
    ck_assert(pull1(&a, 12) == -3.0f);
    ck_assert(pull1(&a, 15) == -1.0f);
    ck_assert(pull1(&a, 20) == 0.0f);
    ck_assert_int_eq(push1(&a, 20, 1), WIRE_REFUSE);
    ck_assert_int_eq(push_many(&a, 12, 1), WIRE_ACK);
    end_clock();
    ck_assert(pull1(&a, 12) == -4.0f);
}
END_TEST

START_TEST(rows_of_what_was_cancelled_or_let_go_do_not_count) {
    start_for(MODE_BSP, MANY);
    ck_assert_int_eq(push_many(&a, 10, 1), WIRE_ACK);
    ck_assert_int_eq(push_many(&a, 20, 1), WIRE_REFUSE);
    ck_assert_int_eq(cancel(&a, a.last.call - 1), WIRE_ACK);
    ck_assert_int_eq(push_many(&a, 20, 1), WIRE_ACK);
    ck_assert_int_eq(push_many(&b, 30, 1), WIRE_REFUSE);
    a.now_ms = b.now_ms = 60000; /* a client of rank 0 comes anew: its clock is void */
    a.head.worker_inc = a.head.server_inc = 0;
    a.head.num.call = 77;
    ck_assert_int_eq(talker_hello(&a, MODE_BSP, 2), WIRE_WELCOME);
    ck_assert_int_eq(push_many(&b, 30, 1), WIRE_ACK);
}
END_TEST

START_TEST(a_reset_gives_the_room_back) {
    start_for(MODE_ASYNC, MANY);
    uint8_t room[64];
    struct buf body;
    ck_assert_int_eq(push_many(&a, 10, 1), WIRE_ACK);
    ck_assert_int_eq(push_many(&a, 20, 1), WIRE_REFUSE);
    buf_wrap(&body, room, sizeof room);
    msg_put_reset(&body, &(struct msg_reset){.table = 1});
    ck_assert_int_eq(talker_op(&a, WIRE_RESET, 0, 0, &body), WIRE_ACK);
    ck_assert_int_eq(push_many(&a, 20, 1), WIRE_ACK);
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
    tcase_add_test(tc, a_worker_runs_at_most_so_many_clocks_ahead_under_bsp_and_then_waits);
    tcase_add_test(tc, parked_pulls_are_bounded_in_number);
    tcase_add_test(tc, parked_pulls_are_bounded_in_bytes_by_the_credit_and_a_frame);
    tcase_add_test(tc, under_async_the_rows_that_fit_are_taken_and_the_others_named);
    tcase_add_test(tc, what_was_refused_is_final_and_counts_as_a_step);
    tcase_add_test(tc, a_row_counts_with_its_optimizer_state_before_there_is_any);
    tcase_add_test(tc, under_bsp_an_op_whose_new_rows_do_not_all_fit_is_refused_as_whole);
    tcase_add_test(tc, rows_of_what_was_cancelled_or_let_go_do_not_count);
    tcase_add_test(tc, a_reset_gives_the_room_back);
    suite_add_tcase(suite, tc);
    return suite;
}
