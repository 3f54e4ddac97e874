/* test_session.c - a session takes each op once, in the order of the chain, whatever the network does. */
#include <check.h>
#include <stdlib.h>

#include "common/err.h"
#include "common/rng.h"
#include "ps/session.h"
#include "tests/support/seed.h"
#include "tests/unit/suites.h"

static struct frame_pool *pool;
static struct session *s;

static void setup(void) {
    pool = frame_pool_new(1 << 20);
    ck_assert_int_eq(session_new(3, &s), RH_OK);
    session_begin(s, 1, 77);
}

static void teardown(void) {
    session_free(&s);
    frame_pool_free(&pool);
}

static struct opnum num(uint32_t clock, uint32_t call, uint16_t part) {
    return (struct opnum){clock, call, part};
}

static rh_status park(struct opnum n, struct opnum prev, size_t len) {
    struct frame *f = frame_new(pool, len);
    struct head h = {.kind = WIRE_PUSH, .num = n, .prev = prev};
    rh_status st = session_park(s, &h, f);
    frame_unref(f);
    return st;
}

START_TEST(the_next_op_of_the_chain_is_taken) {
    ck_assert_int_eq(session_judge(s, num(0, 1, 0), num(0, 0, 0)), SESSION_TAKE);
    session_took(s, num(0, 1, 0), 9, RH_OK);
    ck_assert_int_eq(session_judge(s, num(0, 2, 5), num(0, 1, 0)), SESSION_TAKE);
}
END_TEST

START_TEST(an_op_whose_forerunner_is_missing_is_early) {
    ck_assert_int_eq(session_judge(s, num(0, 2, 0), num(0, 1, 0)), SESSION_EARLY);
}
END_TEST

START_TEST(an_op_that_was_taken_is_a_repeat) {
    session_took(s, num(0, 1, 0), 9, RH_OK);
    session_took(s, num(0, 1, 1), 9, RH_OK);
    ck_assert_int_eq(session_judge(s, num(0, 1, 0), num(0, 0, 0)), SESSION_REPEAT);
    ck_assert_int_eq(session_judge(s, num(0, 1, 1), num(0, 1, 0)), SESSION_REPEAT);
}
END_TEST

START_TEST(an_op_with_a_past_that_was_not_is_forked) {
    session_took(s, num(0, 5, 0), 9, RH_OK);
    ck_assert_int_eq(session_judge(s, num(0, 7, 0), num(0, 4, 0)), SESSION_FORKED);
    ck_assert_int_eq(session_judge(s, num(0, 7, 0), num(0, 8, 0)), SESSION_FORKED);
}
END_TEST

START_TEST(a_repeat_gets_the_answer_it_had) {
    session_took(s, num(0, 1, 0), 9, RH_ERANGE);
    session_took(s, num(0, 2, 0), 10, RH_OK);
    rh_status was = RH_EIO;
    ck_assert_int_eq(session_recall(s, num(0, 1, 0), 9, &was), RH_OK);
    ck_assert_int_eq(was, RH_ERANGE);
    ck_assert_int_eq(session_recall(s, num(0, 2, 0), 10, &was), RH_OK);
    ck_assert_int_eq(was, RH_OK);
}
END_TEST

START_TEST(another_op_under_a_used_number_is_eproto) {
    session_took(s, num(0, 1, 0), 9, RH_OK);
    rh_status was;
    ck_assert_int_eq(session_recall(s, num(0, 1, 0), 8, &was), RH_EPROTO);
}
END_TEST

START_TEST(early_ops_are_taken_in_order_whatever_order_they_came_in) {
    ck_assert_int_eq(park(num(0, 3, 0), num(0, 2, 0), 10), RH_OK);
    ck_assert_int_eq(park(num(0, 2, 0), num(0, 1, 0), 10), RH_OK);
    ck_assert_int_eq(park(num(0, 2, 0), num(0, 1, 0), 10), RH_OK); /* doubled on the way */
    ck_assert_uint_eq(s->early.n, 2);
    ck_assert_ptr_null(session_unpark(s));
    session_took(s, num(0, 1, 0), 0, RH_OK);
    for (uint32_t call = 2; call <= 3; call++) {
        struct waiting *w = session_unpark(s);
        ck_assert_ptr_nonnull(w);
        ck_assert_uint_eq(w->head.num.call, call);
        session_took(s, w->head.num, 0, RH_OK);
        waiting_free(w);
    }
    ck_assert_ptr_null(session_unpark(s));
}
END_TEST

START_TEST(parked_ops_are_bounded_in_number) {
    for (uint32_t i = 0; i < SESSION_EARLY_MAX; i++)
        ck_assert_int_eq(park(num(0, i + 2, 0), num(0, i + 1, 0), 1), RH_OK);
    ck_assert_int_eq(park(num(1, 1, 0), num(0, WIRE_CALL_END, 0), 1), RH_ELIMIT);
}
END_TEST

START_TEST(parked_ops_are_bounded_in_bytes) {
    size_t mib = 1 << 20;
    for (uint32_t i = 0; i < SESSION_EARLY_BYTES / mib; i++)
        ck_assert_int_eq(park(num(0, i + 2, 0), num(0, i + 1, 0), mib), RH_OK);
    ck_assert_int_eq(park(num(1, 1, 0), num(0, 99, 0), mib), RH_ELIMIT);
}
END_TEST

START_TEST(a_new_client_begins_behind_the_clock_that_the_last_one_left_open) {
    s->ended = 4;
    session_took(s, num(4, 1, 0), 0, RH_OK);
    s->idle = false;
    session_begin(s, 2, 78);
    ck_assert_uint_eq(s->ended, 5);
    ck_assert_uint_eq(s->floor.call, 0);
    session_begin(s, 3, 79); /* had done nothing: nothing to skip */
    ck_assert_uint_eq(s->ended, 5);
    session_took(s, num(5, 1, 0), 0, RH_OK); /* and one that has opened a table has taken no step */
    session_begin(s, 4, 80);
    ck_assert_uint_eq(s->ended, 5);
}
END_TEST

START_TEST(a_new_client_loses_what_was_held_of_the_open_clock_only) {
    s->ended = 4;
    for (uint32_t clock = 2; clock <= 4; clock++) {
        struct frame *f = frame_new(pool, 10);
        struct head h = {.num = num(clock, 1, 0)};
        waiting_append(&s->held, waiting_new(&h, f));
        frame_unref(f);
    }
    session_begin(s, 2, 78);
    ck_assert_uint_eq(s->held.n, 2);
    struct frame *f = frame_new(pool, 10);
    struct head h = {.num = num(5, 1, 0)};
    waiting_append(&s->held, waiting_new(&h, f)); /* the list's end is where it should be */
    frame_unref(f);
    for (uint32_t want = 2; want <= 5; want += want == 3 ? 2 : 1) {
        struct waiting *w = waiting_pop(&s->held);
        ck_assert_uint_eq(w->head.num.clock, want);
        waiting_free(w);
    }
    ck_assert_ptr_null(waiting_pop(&s->held));
    ck_assert_uint_eq(s->held.bytes, 0);
}
END_TEST

START_TEST(counts_of_pushes_only_grow) {
    uint64_t grown;
    ck_assert_int_eq(session_saw_pushes(s, 40, 3, &grown), RH_OK);
    ck_assert_uint_eq(grown, 3);
    ck_assert_int_eq(session_saw_pushes(s, 40, 2, &grown), RH_OK);
    ck_assert_uint_eq(grown, 0);
    ck_assert_uint_eq(session_pushes(s, 40), 3);
    ck_assert_uint_eq(session_pushes(s, 39), 0);
    ck_assert_uint_eq(session_pushes(s, 4000), 0);
}
END_TEST

START_TEST(pushes_up_to_a_base_do_not_count_whichever_comes_first) {
    uint64_t grown;
    ck_assert_int_eq(session_saw_pushes(s, 3, 5, &grown), RH_OK);
    ck_assert_uint_eq(session_counted(s, 3), 5);
    ck_assert_int_eq(session_rebase(s, 3, 7), RH_OK);
    ck_assert_uint_eq(session_counted(s, 3), 0);
    ck_assert_uint_eq(session_pushes(s, 3), 7);
    ck_assert_int_eq(session_saw_pushes(s, 3, 6, &grown), RH_OK);
    ck_assert_uint_eq(grown, 0);
    ck_assert_int_eq(session_saw_pushes(s, 3, 9, &grown), RH_OK);
    ck_assert_uint_eq(grown, 2);
    ck_assert_int_eq(session_rebase(s, 3, 4), RH_OK); /* never lowered */
    ck_assert_uint_eq(session_counted(s, 3), 2);
    ck_assert_uint_eq(session_pushes(s, 3), 9);
    ck_assert_int_eq(session_rebase(s, 4000, 1), RH_OK);
    ck_assert_int_eq(session_saw_pushes(s, 4000, 1, &grown), RH_OK);
    ck_assert_uint_eq(grown, 0);
    ck_assert_uint_eq(session_counted(s, 5000), 0);
}
END_TEST

/* 300 chains of 100 ops, each delivered in a random order with doubles until all are through: taken once each, in order. */
START_TEST(any_order_with_doubles_gives_each_op_once) {
    uint64_t seed = test_seed("session");
    for (uint64_t round = 0; round < 300; round++) {
        struct rng g;
        rng_init(&g, seed, round);
        session_begin(s, 2 + (uint32_t)round, 0);
        s->ended = 0;
        enum { N = 100 };
        uint32_t taken = 0;
        while (taken < N) {
            uint32_t i = taken + rng_below(&g, 12);
            if (rng_below(&g, 4) == 0 && taken > 0)
                i = rng_below(&g, taken);
            if (i >= N)
                continue;
            struct opnum n = num(0, i + 1, 0), prev = num(0, i, 0);
            switch (session_judge(s, n, prev)) {
            case SESSION_TAKE:
                ck_assert_uint_eq(i, taken);
                session_took(s, n, i, RH_OK);
                taken++;
                for (struct waiting *w; (w = session_unpark(s)) != NULL; waiting_free(w)) {
                    ck_assert_uint_eq(w->head.num.call, taken + 1);
                    session_took(s, w->head.num, taken, RH_OK);
                    taken++;
                }
                break;
            case SESSION_EARLY:
                ck_assert_uint_gt(i, taken);
                ck_assert_int_eq(park(n, prev, 8), RH_OK);
                break;
            case SESSION_REPEAT: {
                rh_status was;
                ck_assert_uint_lt(i, taken);
                ck_assert_int_eq(session_recall(s, n, i, &was), RH_OK);
                break;
            }
            case SESSION_FORKED:
                ck_abort_msg("seed %llu, round %llu: forked", (unsigned long long)seed,
                             (unsigned long long)round);
            }
        }
    }
}
END_TEST

Suite *session_suite(void) {
    Suite *suite = suite_create("session");
    TCase *tc = tcase_create("session");
    tcase_add_checked_fixture(tc, setup, teardown);
    tcase_add_test(tc, the_next_op_of_the_chain_is_taken);
    tcase_add_test(tc, an_op_whose_forerunner_is_missing_is_early);
    tcase_add_test(tc, an_op_that_was_taken_is_a_repeat);
    tcase_add_test(tc, an_op_with_a_past_that_was_not_is_forked);
    tcase_add_test(tc, a_repeat_gets_the_answer_it_had);
    tcase_add_test(tc, another_op_under_a_used_number_is_eproto);
    tcase_add_test(tc, early_ops_are_taken_in_order_whatever_order_they_came_in);
    tcase_add_test(tc, parked_ops_are_bounded_in_number);
    tcase_add_test(tc, parked_ops_are_bounded_in_bytes);
    tcase_add_test(tc, a_new_client_begins_behind_the_clock_that_the_last_one_left_open);
    tcase_add_test(tc, a_new_client_loses_what_was_held_of_the_open_clock_only);
    tcase_add_test(tc, counts_of_pushes_only_grow);
    tcase_add_test(tc, pushes_up_to_a_base_do_not_count_whichever_comes_first);
    tcase_add_test(tc, any_order_with_doubles_gives_each_op_once);
    suite_add_tcase(suite, tc);
    return suite;
}
