/* test_waits.c - what a shard says of a worker that waits: for whom, for what, since when, and what is
 * kept for it meanwhile. */
#include <check.h>

#include "tests/support/talker.h"
#include "tests/unit/suites.h"

enum { ASYNC = 1, SSP = 2, BSP = 3 };

static struct memory_net net;
static struct shard *shard;
static struct talker a, b; /* ranks 0 and 1 */

static void setup(void) {
    struct shard_config c;
    shard_config_init(&c);
    c.incarnation = 42;
    memory_net_init(&net);
    ck_assert_int_eq(shard_new(&c, &net.net, &shard), RH_OK);
    talker_init(&a, shard, &net, 0);
    talker_init(&b, shard, &net, 1);
}

static void teardown(void) {
    shard_free(&shard);
    memory_net_fini(&net);
}

static void join(struct talker *t, uint32_t mode) {
    struct spec s = {.kind = SPEC_DENSE,
                     .dim = 1,
                     .rows = 100,
                     .init = SPEC_ZEROS,
                     .opt = SPEC_SGD,
                     .lr = 1.0,
                     .padding_idx = SPEC_NO_PADDING};
    t->staleness = mode == SSP ? 2 : 0;
    ck_assert_int_eq(talker_hello(t, mode, 2), WIRE_WELCOME);
    ck_assert_int_eq(talker_open(t, "t", &s), WIRE_OPENED);
}

static int pull(struct talker *t) {
    uint64_t id = 5;
    float row;
    return talker_pull(t, 1, 1, &id, 1, &row);
}

static int push(struct talker *t, uint64_t pushes) {
    uint64_t id = 5;
    float one = 1;
    return talker_push(t, 1, 1, &id, 1, &one, pushes);
}

static void tick(struct talker *t) {
    ck_assert_int_eq(talker_end(t, WIRE_TICK, 0, 0, 0, 0), WIRE_ACK);
}

static int barrier(struct talker *t, uint32_t index) {
    uint8_t room[8];
    struct buf body;
    struct head h;
    buf_wrap(&body, room, sizeof room);
    buf_put_u32(&body, index);
    talker_send(t, WIRE_BARRIER, 0, (struct opnum){0, 70, 0}, t->last, 0, &body);
    return talker_answer(t, &h, 0, NULL);
}

static struct msg_member_facts member(uint32_t rank, int64_t now_ms) {
    struct talker o = a;
    o.now_ms = now_ms;
    return talker_facts(&o).members[rank];
}

static void waits_for(const struct msg_member_facts *m, enum msg_why why, uint32_t rank,
                      uint32_t number, uint64_t ms) {
    ck_assert_uint_eq(m->wait.why, why);
    ck_assert_uint_eq(m->wait.rank, rank);
    ck_assert_uint_eq(m->wait.number, number);
    ck_assert_uint_eq(m->wait_ms, ms);
}

START_TEST(nothing_waits) {
    join(&a, ASYNC);
    struct msg_member_facts m = member(0, 1400);
    waits_for(&m, MSG_WAITS_NOT, WIRE_NOBODY, 0, 0);
    ck_assert_uint_eq(m.silent_ms, 400);
    ck_assert_uint_eq(m.pulls + m.early + m.held + m.early_bytes + m.held_bytes, 0);
}
END_TEST

START_TEST(a_bsp_pull_waits_for_the_clock_that_is_open) {
    join(&a, BSP);
    join(&b, BSP);
    ck_assert_int_eq(push(&a, 1), WIRE_ACK);
    for (int clock = 0; clock < 3; clock++)
        tick(&a);
    ck_assert_int_eq(pull(&a), 0);
    struct msg_member_facts m = member(0, 13300);
    waits_for(&m, MSG_WAITS_CLOCK, 1, 0, 12300); /* clock 2 is far away: clock 0 is open */
    ck_assert_uint_eq(m.pulls, 1);
    ck_assert_uint_eq(m.held, 4); /* the push and three ticks */
    ck_assert_uint_eq(m.held_bytes, 4 * WIRE_HEAD + 8 + 24 + 8 + 8);
    b.now_ms = 13400;
    tick(&b);
    m = member(0, 13400);
    waits_for(&m, MSG_WAITS_CLOCK, 1, 1, 12400);
    ck_assert_uint_eq(m.held, 2);
}
END_TEST

START_TEST(an_ssp_pull_waits_for_a_clock_further_back) {
    join(&a, SSP);
    join(&b, SSP);
    for (int clock = 0; clock < 4; clock++)
        tick(&a);
    ck_assert_int_eq(pull(&a), 0);
    struct msg_member_facts m = member(0, 1500);
    waits_for(&m, MSG_WAITS_CLOCK, 1, 1, 500); /* clock 4, less 2, less 1 */
    ck_assert_uint_eq(talker_facts(&a).shard.staleness, 2);
}
END_TEST

START_TEST(what_came_early_waits_for_the_op_before_it) {
    join(&a, ASYNC);
    struct talker late = a;
    a.last = a.head.num; /* an op that the shard does not get */
    a.last.call++;
    a.head.num.call++;
    ck_assert_int_eq(push(&a, 2), 0);
    a.now_ms = 1100;
    ck_assert_int_eq(push(&a, 3), 0);
    ck_assert_int_eq(pull(&a), 0);
    struct msg_member_facts m = member(0, 3000);
    waits_for(&m, MSG_WAITS_OP, 0, 0, 2000);
    ck_assert_uint_eq(m.early, 2);
    ck_assert_uint_eq(m.early_bytes, 2 * (WIRE_HEAD + 8 + 24 + 8 + 8));
    ck_assert_uint_eq(m.pulls, 1);
    ck_assert_int_eq(push(&late, 1), WIRE_ACK);
    for (struct head h; talker_answer(&a, &h, 0, NULL) != 0;)
        ;
    m = member(0, 3000);
    waits_for(&m, MSG_WAITS_NOT, WIRE_NOBODY, 0, 0);
}
END_TEST

START_TEST(a_barrier_waits_for_the_lowest_rank_that_is_not_there_however_often_it_asks) {
    join(&a, ASYNC);
    join(&b, ASYNC);
    ck_assert_int_eq(barrier(&b, 1), 0);
    b.now_ms = 2000;
    ck_assert_int_eq(barrier(&b, 1), 0);
    struct msg_member_facts m = member(1, 2500);
    waits_for(&m, MSG_WAITS_BARRIER, 0, 1, 1500);
    struct head h;
    ck_assert_int_eq(barrier(&a, 1), WIRE_PASSED);
    ck_assert_int_eq(talker_answer(&b, &h, 0, NULL), WIRE_PASSED);
    m = member(1, 2500);
    waits_for(&m, MSG_WAITS_NOT, WIRE_NOBODY, 0, 0);
    b.now_ms = 2600;
    ck_assert_int_eq(barrier(&b, 2), 0);
    m = member(1, 2700);
    waits_for(&m, MSG_WAITS_BARRIER, 0, 2, 100);
}
END_TEST

START_TEST(of_several_requests_the_oldest_is_told) {
    join(&a, BSP);
    join(&b, BSP);
    tick(&a);
    ck_assert_int_eq(barrier(&a, 1), 0);
    a.now_ms = 1200;
    ck_assert_int_eq(pull(&a), 0);
    struct msg_member_facts m = member(0, 1500);
    waits_for(&m, MSG_WAITS_BARRIER, 1, 1, 500);
    ck_assert_int_eq(barrier(&b, 1), WIRE_PASSED);
    struct head h;
    ck_assert_int_eq(talker_answer(&b, &h, 0, NULL), WIRE_PASSED);
    m = member(0, 1500);
    waits_for(&m, MSG_WAITS_CLOCK, 1, 0, 300);
}
END_TEST

START_TEST(who_has_left_waits_for_nobody) {
    join(&a, BSP);
    join(&b, BSP);
    tick(&a);
    ck_assert_int_eq(pull(&a), 0);
    ck_assert_int_eq(talker_end(&a, WIRE_BYE, 0, 0, 0, 0), WIRE_ACK);
    struct msg_member_facts m = member(0, 1500);
    waits_for(&m, MSG_WAITS_NOT, WIRE_NOBODY, 0, 0);
}
END_TEST

Suite *waits_suite(void) {
    Suite *suite = suite_create("waits");
    TCase *tc = tcase_create("waits");
    tcase_add_checked_fixture(tc, setup, teardown);
    tcase_add_test(tc, nothing_waits);
    tcase_add_test(tc, a_bsp_pull_waits_for_the_clock_that_is_open);
    tcase_add_test(tc, an_ssp_pull_waits_for_a_clock_further_back);
    tcase_add_test(tc, what_came_early_waits_for_the_op_before_it);
    tcase_add_test(tc, a_barrier_waits_for_the_lowest_rank_that_is_not_there_however_often_it_asks);
    tcase_add_test(tc, of_several_requests_the_oldest_is_told);
    tcase_add_test(tc, who_has_left_waits_for_nobody);
    suite_add_tcase(suite, tc);
    return suite;
}
