/* test_vocab.c - a vocabulary: words by line, words with ids, and what is refused. */
#include <check.h>
#include <stdlib.h>
#include <string.h>

#include "common/err.h"
#include "common/vocab.h"
#include "tests/support/scratch.h"
#include "tests/unit/suites.h"

static struct vocab_file *v;

static void teardown(void) {
    vocab_file_close(&v);
    scratch_leave();
}

static rh_status open_text(const char *text) {
    scratch_text("v.txt", text);
    vocab_file_close(&v);
    return vocab_file_open("v.txt", &v);
}

static void expect_word(const char *word, uint64_t id) {
    uint32_t i = 77;
    ck_assert_msg(vocab_file_find(v, word, &i), "%s", word);
    ck_assert_str_eq(vocab_file_word(v, i), word);
    ck_assert_uint_eq(vocab_file_id(v, i), id);
    ck_assert(vocab_file_find_id(v, id, &i));
    ck_assert_str_eq(vocab_file_word(v, i), word);
}

START_TEST(a_word_a_line_has_the_lines_number_from_0) {
    static const char *const texts[] = {"the\n. . .\nna\xC3\xAFve\n", "the\n. . .\nna\xC3\xAFve",
                                        "the\r\n. . .\r\nna\xC3\xAFve\r\n\r\n\n"};
    uint32_t i;
    for (int k = 0; k < 3; k++) {
        ck_assert_int_eq(open_text(texts[k]), RH_OK);
        ck_assert_uint_eq(vocab_file_count(v), 3);
        expect_word("the", 0);
        expect_word(". . .", 1);
        expect_word("na\xC3\xAFve", 2);
        ck_assert(!vocab_file_find(v, "cat", &i));
        ck_assert(!vocab_file_find_id(v, 3, &i));
    }
}
END_TEST

START_TEST(a_word_and_its_id_stand_on_both_sides_of_a_tab) {
    uint32_t i;
    ck_assert_int_eq(open_text("the\t7\nof\t18446744073709551615\n12\t0\n"), RH_OK);
    expect_word("the", 7);
    expect_word("of", UINT64_MAX);
    expect_word("12", 0);
    ck_assert(!vocab_file_find_id(v, 1, &i));
}
END_TEST

START_TEST(a_byte_order_mark_is_no_part_of_the_first_word) {
    ck_assert_int_eq(open_text("\xEF\xBB\xBFthe\n\xEF\xBB\xBFof\n"), RH_OK);
    expect_word("the", 0);
    expect_word("\xEF\xBB\xBFof", 1);
    ck_assert_int_eq(open_text("\xEF\xBB\xBF"), RH_OK);
    ck_assert_uint_eq(vocab_file_count(v), 0);
}
END_TEST

START_TEST(an_empty_file_has_no_words) {
    uint32_t i;
    ck_assert_int_eq(open_text(""), RH_OK);
    ck_assert_uint_eq(vocab_file_count(v), 0);
    ck_assert(!vocab_file_find(v, "the", &i));
    ck_assert_int_eq(vocab_file_open("nowhere", &v), RH_ENOTFOUND);
}
END_TEST

START_TEST(a_line_that_is_wrong_is_refused_by_its_number) {
    static const struct {
        const char *text, *error;
    } cases[] = {
        {"the\nof\nthe\n", "v.txt line 3: the word stands on line 1 already"},
        {"the\t1\nof\t1\n", "v.txt line 2: id 1 stands on line 1 already"},
        {"the\t1\nof\n", "v.txt line 2: a tab and an id should follow the word, as on line 1"},
        {"the\nof\t1\n", "v.txt line 2: there is a tab; on line 1 there is none"},
        {"the\tx\n", "v.txt line 1: what stands behind the tab is no id"},
        {"the\t\n", "v.txt line 1: what stands behind the tab is no id"},
        {"the\t-1\n", "v.txt line 1: what stands behind the tab is no id"},
        {"the\t18446744073709551616\n", "v.txt line 1: what stands behind the tab is no id"},
        {"the\t1 \n", "v.txt line 1: what stands behind the tab is no id"},
        {"the\n\nof\n", "v.txt line 2: a word has 1 to 1023 bytes"},
        {"\t1\n", "v.txt line 1: a word has 1 to 1023 bytes"},
        {"the\n\xFF\n", "v.txt line 2: the word is no UTF-8 text"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        ck_assert_msg(open_text(cases[i].text) == RH_ECORRUPT, "%s", cases[i].text);
        ck_assert_str_eq(err_text(), cases[i].error);
        ck_assert_ptr_null(v);
    }
    scratch_file("v.txt", "a\0b\n", 4);
    ck_assert_int_eq(vocab_file_open("v.txt", &v), RH_ECORRUPT);
}
END_TEST

Suite *vocab_suite(void) {
    Suite *s = suite_create("vocab");
    TCase *t = tcase_create("vocab");
    tcase_add_checked_fixture(t, scratch_enter, teardown);
    tcase_add_test(t, a_word_a_line_has_the_lines_number_from_0);
    tcase_add_test(t, a_word_and_its_id_stand_on_both_sides_of_a_tab);
    tcase_add_test(t, a_byte_order_mark_is_no_part_of_the_first_word);
    tcase_add_test(t, an_empty_file_has_no_words);
    tcase_add_test(t, a_line_that_is_wrong_is_refused_by_its_number);
    suite_add_tcase(s, t);
    return s;
}
