/* test_err.c - the last failure of a thread, in words. */
#include <check.h>
#include <errno.h>
#include <pthread.h>
#include <string.h>

#include "common/err.h"
#include "tests/unit/suites.h"

static void setup(void) {
    err_clear();
}

START_TEST(without_a_failure_the_text_is_empty) {
    ck_assert_str_eq(err_text(), "");
}
END_TEST

START_TEST(set_gives_the_status_back_and_keeps_the_text) {
    ck_assert_int_eq(err_set(RH_ERANGE, "id %d of table %s", 7, "words"), RH_ERANGE);
    ck_assert_str_eq(err_text(), "id 7 of table words");
    err_clear();
    ck_assert_str_eq(err_text(), "");
}
END_TEST

START_TEST(in_puts_the_larger_circumstance_in_front) {
    err_set(RH_EIO, "disk full");
    ck_assert_int_eq(err_in(RH_EIO, "block %d", 3), RH_EIO);
    err_in(RH_EIO, "checkpoint %s", "x");
    ck_assert_str_eq(err_text(), "checkpoint x: block 3: disk full");
}
END_TEST

START_TEST(in_without_an_earlier_text_leaves_no_colon) {
    err_in(RH_EIO, "checkpoint");
    ck_assert_str_eq(err_text(), "checkpoint");
}
END_TEST

START_TEST(sys_says_what_errno_says) {
    errno = ENOENT;
    ck_assert_int_eq(err_sys(RH_ENOTFOUND, "cannot open %s", "x.vec"), RH_ENOTFOUND);
    ck_assert_str_eq(err_text(), "cannot open x.vec: No such file or directory");
}
END_TEST

START_TEST(the_old_text_may_be_an_argument_of_the_new) {
    err_set(RH_EIO, "inner");
    err_set(RH_EIO, "outer (%s)", err_text());
    ck_assert_str_eq(err_text(), "outer (inner)");
    err_in(RH_EIO, "after %s", err_text());
    ck_assert_str_eq(err_text(), "after outer (inner): outer (inner)");
}
END_TEST

START_TEST(a_text_that_is_too_long_is_cut_and_terminated) {
    char longer[3 * ERR_TEXT_MAX];
    memset(longer, 'x', sizeof longer - 1);
    longer[sizeof longer - 1] = '\0';
    err_set(RH_EIO, "%s", longer);
    ck_assert_uint_eq(strlen(err_text()), ERR_TEXT_MAX - 1);
    err_in(RH_EIO, "front");
    ck_assert_uint_eq(strlen(err_text()), ERR_TEXT_MAX - 1);
    ck_assert(strncmp(err_text(), "front: xxx", 10) == 0);
    err_in(RH_EIO, "%s", longer);
    errno = EIO;
    err_sys(RH_EIO, "%s", longer);
    ck_assert_uint_eq(strlen(err_text()), ERR_TEXT_MAX - 1);
}
END_TEST

static void *fail_elsewhere(void *seen) {
    *(int *)seen = err_text()[0] != '\0';
    err_set(RH_EIO, "other");
    return NULL;
}

START_TEST(each_thread_has_its_own_text) {
    err_set(RH_EINVAL, "mine");
    int seen = -1;
    pthread_t t;
    ck_assert_int_eq(pthread_create(&t, NULL, fail_elsewhere, &seen), 0);
    pthread_join(t, NULL);
    ck_assert_int_eq(seen, 0);
    ck_assert_str_eq(err_text(), "mine");
}
END_TEST

Suite *err_suite(void) {
    Suite *s = suite_create("err");
    TCase *t = tcase_create("err");
    tcase_add_checked_fixture(t, setup, NULL);
    tcase_add_test(t, without_a_failure_the_text_is_empty);
    tcase_add_test(t, set_gives_the_status_back_and_keeps_the_text);
    tcase_add_test(t, in_puts_the_larger_circumstance_in_front);
    tcase_add_test(t, in_without_an_earlier_text_leaves_no_colon);
    tcase_add_test(t, sys_says_what_errno_says);
    tcase_add_test(t, the_old_text_may_be_an_argument_of_the_new);
    tcase_add_test(t, a_text_that_is_too_long_is_cut_and_terminated);
    tcase_add_test(t, each_thread_has_its_own_text);
    suite_add_tcase(s, t);
    return s;
}
