/* test_silence.c - who waits for a worker of which nothing is heard is told so, once that has lasted. */
#include <check.h>
#include <string.h>

#include "ps/shard_inner.h"
#include "tests/support/talker.h"
#include "tests/unit/suites.h"

enum { TIMEOUT_MS = 5000, BEGIN_MS = 1000000 };

static struct memory_net net;
static struct shard *shard;
static struct talker a, b; /* ranks 0 and 1 */

static void start(uint32_t timeout_ms) {
    struct shard_config c;
    shard_config_init(&c);
    c.worker_timeout_ms = timeout_ms;
    memory_net_init(&net);
    ck_assert_int_eq(shard_new(&c, &net.net, &shard), RH_OK);
    talker_init(&a, shard, &net, 0);
    talker_init(&b, shard, &net, 1);
    a.now_ms = b.now_ms = BEGIN_MS;
}

static void teardown(void) {
    shard_free(&shard);
    memory_net_fini(&net);
}

static void join(struct talker *t, uint32_t mode) {
    struct spec s = {.kind = SPEC_DENSE,
                     .dim = 1,
                     .rows = 10,
                     .init = SPEC_ZEROS,
                     .opt = SPEC_SGD,
                     .lr = 1.0,
                     .padding_idx = SPEC_NO_PADDING};
    ck_assert_int_eq(talker_hello(t, mode, 2), WIRE_WELCOME);
    ck_assert_int_eq(talker_open(t, "t", &s), WIRE_OPENED);
}

static void at(int64_t ms) {
    a.now_ms = b.now_ms = BEGIN_MS + ms;
}

/* Says that t lives. The kind of the first answer: that to something parked, or ALIVE. */
static int beat(struct talker *t, struct head *h) {
    talker_send(t, WIRE_BEAT, 0, (struct opnum){t->head.num.clock, 800, 0}, t->last, 0, NULL);
    int kind = talker_answer(t, h, 0, NULL), first = kind;
    struct head more;
    while (kind != 0)
        kind = talker_answer(t, &more, 0, NULL);
    return first;
}

static int barrier(struct talker *t, uint32_t index) {
    uint8_t room[8];
    struct buf body;
    struct head h;
    buf_wrap(&body, room, sizeof room);
    buf_put_u32(&body, index);
    talker_send(t, WIRE_BARRIER, 0, (struct opnum){t->head.num.clock, 700, 0}, t->last, 0, &body);
    return talker_answer(t, &h, 0, NULL);
}

static int pull(struct talker *t) {
    uint64_t id = 1;
    float row;
    return talker_pull(t, 1, 1, &id, 1, &row);
}

static void tick(struct talker *t) {
    ck_assert_int_eq(talker_end(t, WIRE_TICK, 0, 0, 1, 0), WIRE_ACK);
}

static void expect_refused(const struct head *h, const char *word) {
    ck_assert_uint_eq(h->status, RH_EUNREACHABLE);
    ck_assert_msg(strstr(talker_refusal(), word) != NULL, "%s", talker_refusal());
}

START_TEST(a_pull_that_waits_for_a_silent_worker_ends_and_names_it) {
    struct head h;
    start(TIMEOUT_MS);
    join(&a, MODE_BSP);
    join(&b, MODE_BSP);
    tick(&a);
    ck_assert_int_eq(pull(&a), 0);
    at(TIMEOUT_MS);
    ck_assert_int_eq(beat(&a, &h), WIRE_ALIVE);
    at(TIMEOUT_MS + 300);
    ck_assert_int_eq(beat(&a, &h), WIRE_REFUSE);
    expect_refused(&h,
                   "the end of clock 0 waits for worker 1, of which nothing was heard for 5.3 s "
                   "(--worker-timeout 5 s)");
    ck_assert_uint_eq(h.num.call, 900);
    tick(&b); /* it lives */
    ck_assert_int_eq(pull(&a), WIRE_ROWS);
}
END_TEST

START_TEST(a_worker_that_is_slow_and_heard_of_is_waited_for) {
    struct head h;
    start(TIMEOUT_MS);
    join(&a, MODE_BSP);
    join(&b, MODE_BSP);
    tick(&a);
    ck_assert_int_eq(pull(&a), 0);
    for (int64_t ms = 1000; ms < 20 * TIMEOUT_MS; ms += 1000) {
        at(ms);
        ck_assert_int_eq(beat(&a, &h), WIRE_ALIVE);
        ck_assert_int_eq(beat(&b, &h), WIRE_ALIVE);
    }
    tick(&b);
    ck_assert_int_eq(talker_answer(&a, &h, 1, NULL), WIRE_ROWS);
}
END_TEST

START_TEST(a_worker_that_has_not_come_is_waited_for_from_when_the_first_one_came) {
    struct head h;
    start(TIMEOUT_MS);
    at(10 * TIMEOUT_MS); /* the shard is older */
    join(&a, MODE_BSP);
    tick(&a);
    ck_assert_int_eq(pull(&a), 0);
    at(11 * TIMEOUT_MS);
    ck_assert_int_eq(beat(&a, &h), WIRE_ALIVE);
    at(11 * TIMEOUT_MS + 300);
    ck_assert_int_eq(beat(&a, &h), WIRE_REFUSE);
    expect_refused(&h, "worker 1, which has not come in 5.3 s");
}
END_TEST

START_TEST(a_barrier_that_waits_for_a_silent_worker_ends_and_may_be_asked_again) {
    struct head h;
    start(TIMEOUT_MS);
    join(&a, MODE_ASYNC);
    join(&b, MODE_ASYNC);
    ck_assert_int_eq(barrier(&a, 1), 0);
    at(TIMEOUT_MS + 300);
    ck_assert_int_eq(beat(&a, &h), WIRE_REFUSE);
    expect_refused(&h, "barrier 1 waits for worker 1");
    ck_assert_int_eq(beat(&a, &h), WIRE_ALIVE); /* once */
    ck_assert_int_eq(beat(&b, &h), WIRE_ALIVE);
    ck_assert_int_eq(barrier(&a, 1), 0);
    ck_assert_int_eq(barrier(&b, 1), WIRE_PASSED);
    ck_assert_int_eq(talker_answer(&a, &h, 0, NULL), WIRE_PASSED);
}
END_TEST

START_TEST(without_a_timeout_nobody_is_refused) {
    struct head h;
    start(0);
    join(&a, MODE_BSP);
    tick(&a);
    ck_assert_int_eq(pull(&a), 0);
    ck_assert_int_eq(barrier(&a, 1), 0);
    at(1000 * TIMEOUT_MS);
    ck_assert_int_eq(beat(&a, &h), WIRE_ALIVE);
}
END_TEST

Suite *silence_suite(void) {
    Suite *suite = suite_create("silence");
    TCase *tc = tcase_create("silence");
    tcase_add_checked_fixture(tc, NULL, teardown);
    tcase_add_test(tc, a_pull_that_waits_for_a_silent_worker_ends_and_names_it);
    tcase_add_test(tc, a_worker_that_is_slow_and_heard_of_is_waited_for);
    tcase_add_test(tc, a_worker_that_has_not_come_is_waited_for_from_when_the_first_one_came);
    tcase_add_test(tc, a_barrier_that_waits_for_a_silent_worker_ends_and_may_be_asked_again);
    tcase_add_test(tc, without_a_timeout_nobody_is_refused);
    suite_add_tcase(suite, tc);
    return suite;
}
