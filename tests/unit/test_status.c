/* test_status.c - the one list of statuses. */
#include <check.h>
#include <string.h>

#include "common/status.h"
#include "tests/unit/suites.h"

/* Frozen: they are on the wire and in programs that were built long ago. */
START_TEST(the_numbers_never_change) {
    ck_assert_int_eq(RH_OK, 0);
    ck_assert_int_eq(RH_EINVAL, 1);
    ck_assert_int_eq(RH_ERANGE, 2);
    ck_assert_int_eq(RH_EMISMATCH, 3);
    ck_assert_int_eq(RH_ENOTFOUND, 4);
    ck_assert_int_eq(RH_ETIMEDOUT, 5);
    ck_assert_int_eq(RH_EUNREACHABLE, 6);
    ck_assert_int_eq(RH_EFENCED, 7);
    ck_assert_int_eq(RH_EROLLBACK, 8);
    ck_assert_int_eq(RH_EPROTO, 9);
    ck_assert_int_eq(RH_EVERSION, 10);
    ck_assert_int_eq(RH_ECORRUPT, 11);
    ck_assert_int_eq(RH_ELIMIT, 12);
    ck_assert_int_eq(RH_ENOMEM, 13);
    ck_assert_int_eq(RH_EIO, 14);
}
END_TEST

START_TEST(every_status_has_its_own_words) {
    const char *texts[32] = {0};
    unsigned n = 0;
    for (; status_known(n); n++) {
        texts[n] = status_text((rh_status)n);
        ck_assert_ptr_nonnull(texts[n]);
        ck_assert_str_ne(texts[n], "");
        ck_assert_str_ne(texts[n], "unknown status");
        for (unsigned i = 0; i < n; i++)
            ck_assert_str_ne(texts[i], texts[n]);
    }
    ck_assert_uint_eq(n, 15);
    ck_assert_str_eq(status_text(RH_ERANGE), "id out of range");
}
END_TEST

START_TEST(a_number_that_is_no_status_is_told_apart) {
    ck_assert(!status_known(15));
    ck_assert(!status_known(255));
    ck_assert(!status_known(0xFFFFFFFF));
    ck_assert_str_eq(status_text((rh_status)15), "unknown status");
}
END_TEST

Suite *status_suite(void) {
    Suite *s = suite_create("status");
    TCase *t = tcase_create("status");
    tcase_add_test(t, the_numbers_never_change);
    tcase_add_test(t, every_status_has_its_own_words);
    tcase_add_test(t, a_number_that_is_no_status_is_told_apart);
    suite_add_tcase(s, t);
    return s;
}
