/* test_spearman.c - ranks agree, disagree, and are shared. */
#include <check.h>

#include "common/err.h"
#include "tests/unit/suites.h"
#include "worker/cmd/spearman.h"

static double of(size_t n, const double *a, const double *b) {
    double out = 99;
    ck_assert_int_eq(spearman(n, a, b, &out), RH_OK);
    return out;
}

START_TEST(the_same_order_is_1_and_the_reverse_is_minus_1) {
    const double a[] = {10, -3, 7, 1e9}, b[] = {2, 0.5, 1, 3}, c[] = {-2, -0.5, -1, -3};
    ck_assert_double_eq_tol(of(4, a, b), 1, 1e-15);
    ck_assert_double_eq_tol(of(4, a, c), -1, 1e-15);
}
END_TEST

START_TEST(equal_numbers_share_the_mean_of_their_ranks) {
    /* a ranks 0, 1.5, 1.5, 3 */
    const double a[] = {1, 2, 2, 3}, b[] = {1, 2, 3, 4};
    ck_assert_double_eq_tol(of(4, a, b), 0.9486832980505138, 1e-15);
    /* ranks 5, 5, 5, 1, 2.5, 2.5, 7, 0 and 3, 0.5, 4, 0.5, 5, 7, 2, 6: -16 / sqrt(39.5 * 41.5) */
    const double c[] = {5, 5, 5, 1, 2, 2, 9, 0}, d[] = {3, 1, 4, 1, 5, 9, 2, 6};
    ck_assert_double_eq_tol(of(8, c, d), -0.39518221077919696, 1e-15);
}
END_TEST

START_TEST(without_ranks_there_is_no_correlation) {
    const double a[] = {1, 2, 3}, flat[] = {4, 4, 4};
    double out = 99;
    ck_assert_int_eq(spearman(0, a, a, &out), RH_EINVAL);
    ck_assert_int_eq(spearman(1, a, a, &out), RH_EINVAL);
    ck_assert_str_eq(err_text(), "a correlation needs at least two pairs, and there is 1");
    ck_assert_int_eq(spearman(3, a, flat, &out), RH_EINVAL);
    ck_assert_int_eq(spearman(3, flat, a, &out), RH_EINVAL);
    ck_assert_double_eq(out, 99);
}
END_TEST

Suite *spearman_suite(void) {
    Suite *s = suite_create("spearman");
    TCase *t = tcase_create("spearman");
    tcase_add_test(t, the_same_order_is_1_and_the_reverse_is_minus_1);
    tcase_add_test(t, equal_numbers_share_the_mean_of_their_ranks);
    tcase_add_test(t, without_ranks_there_is_no_correlation);
    suite_add_tcase(s, t);
    return s;
}
