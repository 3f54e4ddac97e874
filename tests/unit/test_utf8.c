/* test_utf8.c - what is UTF-8, what is cut, what is neither. */
#include <check.h>
#include <string.h>

#include "common/utf8.h"
#include "tests/unit/suites.h"

static enum utf8 check(const char *text) {
    return utf8_check(text, strlen(text));
}

START_TEST(characters_of_every_length_are_good) {
    static const char *const good[] = {"",
                                       "plain",
                                       "\x7F",
                                       "\xC2\x80",
                                       "\xDF\xBF",
                                       "\xE0\xA0\x80",
                                       "\xED\x9F\xBF",
                                       "\xEE\x80\x80",
                                       "\xEF\xBF\xBF",
                                       "\xF0\x90\x80\x80",
                                       "\xF4\x8F\xBF\xBF",
                                       "a\xC3\xAFo"};
    for (size_t i = 0; i < sizeof good / sizeof *good; i++)
        ck_assert_int_eq(check(good[i]), UTF8_GOOD);
    ck_assert_int_eq(utf8_check("a\0b", 3), UTF8_GOOD);
}
END_TEST

START_TEST(overlong_forms_surrogates_and_stray_bytes_are_bad) {
    static const char *const bad[] = {"\x80",
                                      "a\xBF",
                                      "\xC0\x80",
                                      "\xC1\xBF",
                                      "\xE0\x9F\xBF",
                                      "\xED\xA0\x80",
                                      "\xF0\x8F\xBF\xBF",
                                      "\xF4\x90\x80\x80",
                                      "\xF5\x80\x80\x80",
                                      "\xFE",
                                      "\xFF",
                                      "\xC3(",
                                      "\xE2\x82(",
                                      "\xC3\xC3\xAF"};
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
        ck_assert_int_eq(check(bad[i]), UTF8_BAD);
}
END_TEST

START_TEST(a_character_without_its_end_is_cut) {
    static const char *const whole[] = {"\xC3\xAF", "\xE2\x82\xAC", "\xF0\x9F\x90\x95"};
    for (size_t i = 0; i < 3; i++)
        for (size_t len = 1; len < strlen(whole[i]); len++)
            ck_assert_int_eq(utf8_check(whole[i], len), UTF8_CUT);
    ck_assert_int_eq(check("abc\xE2\x82"), UTF8_CUT);
}
END_TEST

Suite *utf8_suite(void) {
    Suite *s = suite_create("utf8");
    TCase *t = tcase_create("utf8");
    tcase_add_test(t, characters_of_every_length_are_good);
    tcase_add_test(t, overlong_forms_surrogates_and_stray_bytes_are_bad);
    tcase_add_test(t, a_character_without_its_end_is_cut);
    suite_add_tcase(s, t);
    return s;
}
