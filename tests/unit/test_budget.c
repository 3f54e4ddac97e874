/* test_budget.c - a child is started again so many times in any ten minutes, not too soon, and only
 * where that can help. */
#include <check.h>
#include <signal.h>
#include <sys/wait.h>

#include "ps/supervise_budget.h"
#include "tests/unit/suites.h"

static struct budget b;

START_TEST(so_many_restarts_and_no_more) {
    budget_init(&b, 5);
    for (uint32_t i = 0; i < 5; i++) {
        ck_assert_uint_eq(budget_used(&b, 1000), i);
        ck_assert(budget_take(&b, 1000));
    }
    ck_assert(!budget_take(&b, 1000));
    ck_assert_uint_eq(budget_used(&b, 1000), 5);
}
END_TEST

START_TEST(each_comes_back_ten_minutes_later) {
    budget_init(&b, 2);
    ck_assert(budget_take(&b, 0));
    ck_assert(budget_take(&b, 400000));
    ck_assert(!budget_take(&b, BUDGET_WINDOW_MS - 1));
    ck_assert(budget_take(&b, BUDGET_WINDOW_MS));
    ck_assert(!budget_take(&b, 400000 + BUDGET_WINDOW_MS - 1));
    ck_assert(budget_take(&b, 400000 + BUDGET_WINDOW_MS));
    ck_assert_uint_eq(budget_used(&b, 400000 + BUDGET_WINDOW_MS), 2);
}
END_TEST

START_TEST(none_is_none) {
    budget_init(&b, 0);
    ck_assert(!budget_take(&b, 0));
    ck_assert(!budget_take(&b, INT64_C(10) * BUDGET_WINDOW_MS));
}
END_TEST

START_TEST(the_largest_budget_holds_for_ever) {
    budget_init(&b, BUDGET_MAX);
    for (int64_t round = 0; round < 3; round++) {
        for (int i = 0; i < BUDGET_MAX; i++)
            ck_assert(budget_take(&b, round * BUDGET_WINDOW_MS + i));
        ck_assert(!budget_take(&b, round * BUDGET_WINDOW_MS + BUDGET_MAX));
    }
}
END_TEST

START_TEST(who_lived_less_than_a_second_waits_one) {
    ck_assert_int_eq(budget_next_ms(5000, 5000), 6000);
    ck_assert_int_eq(budget_next_ms(5000, 5999), 6999);
    ck_assert_int_eq(budget_next_ms(5000, 6000), 6000);
    ck_assert_int_eq(budget_next_ms(5000, 70000), 70000);
}
END_TEST

START_TEST(a_crash_is_mended_and_a_wrong_flag_is_not) {
    ck_assert(budget_mends(W_EXITCODE(0, SIGKILL)));
    ck_assert(budget_mends(W_EXITCODE(0, SIGSEGV)));
    ck_assert(budget_mends(W_EXITCODE(0, SIGTERM)));
    ck_assert(budget_mends(W_EXITCODE(1, 0)));
    ck_assert(budget_mends(W_EXITCODE(3, 0)));
    ck_assert(!budget_mends(W_EXITCODE(0, 0)));
    ck_assert(!budget_mends(W_EXITCODE(2, 0)));
    ck_assert(!budget_mends(W_EXITCODE(126, 0)));
    ck_assert(!budget_mends(W_EXITCODE(127, 0)));
}
END_TEST

Suite *budget_suite(void) {
    Suite *s = suite_create("budget");
    TCase *t = tcase_create("budget");
    tcase_add_test(t, so_many_restarts_and_no_more);
    tcase_add_test(t, each_comes_back_ten_minutes_later);
    tcase_add_test(t, none_is_none);
    tcase_add_test(t, the_largest_budget_holds_for_ever);
    tcase_add_test(t, who_lived_less_than_a_second_waits_one);
    tcase_add_test(t, a_crash_is_mended_and_a_wrong_flag_is_not);
    suite_add_tcase(s, t);
    return s;
}
