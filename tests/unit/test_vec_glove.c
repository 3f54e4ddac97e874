/* test_vec_glove.c - GloVe text, which does not say how many rows or numbers it has, and its traps;
 * and fastText's .vec, which does. */
#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/err.h"
#include "common/vecfile.h"
#include "tests/support/scratch.h"
#include "tests/unit/suites.h"

static struct vec_reader *r;
static struct vec_writer *w;
static float row[4];
static const char *word;

static void teardown(void) {
    vec_close(&r);
    vec_abandon(&w);
    scratch_leave();
}

static rh_status open_text(const char *text, uint32_t dim) {
    scratch_text("x.txt", text);
    vec_close(&r);
    return vec_open_with("x.txt", &(struct vec_options){.format = VEC_GLOVE, .dim = dim}, &r);
}

static rh_status read_text(const char *text, uint32_t dim) {
    rh_status s = open_text(text, dim);
    while (s == RH_OK)
        s = vec_next(r, &word, row);
    return s == RH_ENOTFOUND ? RH_OK : s;
}

static void expect_row(const char *want, float a, float b) {
    ck_assert_int_eq(vec_next(r, &word, row), RH_OK);
    ck_assert_str_eq(word, want);
    ck_assert(row[0] == a && row[1] == b);
}

START_TEST(a_file_without_a_header_is_counted) {
    scratch_text("x.txt", "the 0.25 -1\n, 1e-3 2\n<unk> 0 0\n");
    ck_assert_int_eq(vec_open("x.txt", VEC_AUTO, &r), RH_OK);
    ck_assert_str_eq(vec_about(r), "x.txt: GloVe text, 3 x 2, no header");
    expect_row("the", 0.25f, -1);
    expect_row(",", 1e-3f, 2);
    expect_row("<unk>", 0, 0);
    ck_assert_int_eq(vec_next(r, &word, row), RH_ENOTFOUND);
}
END_TEST

/* A line end or none at last, CRLF, spaces behind, empty lines behind. */
START_TEST(lines_may_end_in_any_way) {
    static const char *const texts[] = {"a 1 2\nb 3 4", "a 1 2\r\nb 3 4\r\n", "a 1 2 \nb 3 4  \n",
                                        "a 1 2\nb 3 4\n\n\r\n  \n"};
    for (int i = 0; i < 4; i++) {
        ck_assert_int_eq(open_text(texts[i], 0), RH_OK);
        ck_assert_uint_eq(vec_rows(r), 2);
        expect_row("a", 1, 2);
        expect_row("b", 3, 4);
    }
}
END_TEST

/* As in glove.840B.300d. */
START_TEST(words_may_hold_spaces_and_the_line_is_split_from_the_right) {
    static const char text[] = "the 1 2\nof 3 4\n. . . 5 6\nat name@domain.com 7 8\n"
                               "1\xC2\xA0"
                               "1/2 9 10\nto 11 12\nand 13 14\n";
    ck_assert_int_eq(open_text(text, 0), RH_OK);
    ck_assert_uint_eq(vec_dim(r), 2);
    expect_row("the", 1, 2);
    expect_row("of", 3, 4);
    expect_row(". . .", 5, 6);
    expect_row("at name@domain.com", 7, 8);
    expect_row("1\xC2\xA0"
               "1/2",
               9, 10); /* a space in Unicode alone */
}
END_TEST

START_TEST(a_given_dim_goes_before_the_most_common_one) {
    ck_assert_int_eq(open_text(". . . 1 2\n? ? ? 3 4\n", 2), RH_OK);
    expect_row(". . .", 1, 2);
    expect_row("? ? ?", 3, 4);
    ck_assert_int_eq(read_text("the 1 2\nof 3 4\n", 3), RH_ECORRUPT);
    ck_assert_str_eq(err_text(), "x.txt line 1 has 2 numbers; asked for are 3");
    ck_assert_int_eq(open_text("a 1\n", 65537), RH_EINVAL);
    ck_assert_str_eq(err_text(), "x.txt: rows of 65537 numbers; 1 to 65536 are read");
}
END_TEST

START_TEST(the_dim_is_that_of_most_of_the_first_1000_lines) {
    enum { LINES = 3000 };
    char *text = malloc(LINES * 16), *p = text;
    for (int i = 0; i < LINES; i++) /* 400 times three fields, 600 times four; then three again */
        p += sprintf(p, i % 5 < 2 || i >= 1000 ? "w%d 1 2\n" : "w %d. 1 2\n", i);
    ck_assert_int_eq(open_text(text, 0), RH_OK);
    ck_assert_uint_eq(vec_dim(r), 3);
    ck_assert_int_eq(vec_next(r, NULL, row), RH_ECORRUPT);
    ck_assert_str_eq(err_text(), "x.txt line 1 has 2 numbers; most of the first lines have 3");
    ck_assert_int_eq(open_text("a b 1 2\nc 1 2\n", 0), RH_OK); /* a tie: the smaller */
    ck_assert_uint_eq(vec_dim(r), 2);
    free(text);
}
END_TEST

START_TEST(rows_of_another_width_are_refused_by_line) {
    ck_assert_int_eq(read_text("a 1.0 2\nb 3\nc 5.0 6\n", 0), RH_ECORRUPT);
    ck_assert_str_eq(err_text(), "x.txt line 2 has 1 numbers; most of the first lines have 2");
    ck_assert_int_eq(read_text("a 1 2\nb 3 4\nc 5 6 7\n", 0), RH_ECORRUPT);
    ck_assert_str_eq(err_text(),
                     "x.txt line 3 has more than 2 numbers, and most of the first lines have 2");
    ck_assert_int_eq(read_text("a 1.0 2.0\n\nb 3.0 4.0\nc 5.0 6.0\n", 0), RH_ECORRUPT);
    ck_assert_str_eq(err_text(), "x.txt line 2 has 0 numbers; most of the first lines have 2");
    ck_assert_int_eq(read_text("a 1 2\nb 3 4\n 5 6\n", 0), RH_ECORRUPT);
    ck_assert_str_eq(err_text(), "x.txt line 3: a word of 0 bytes; 1 to 1023 are read");
}
END_TEST

START_TEST(what_is_no_finite_number_is_refused_by_line) {
    static const struct {
        const char *text, *error;
    } cases[] = {
        {"a 1 2\nb 3 nan\n", "x.txt line 2: number 2 is NaN"},
        {"a 1 2\nb inf 4\n", "x.txt line 2: number 1 is infinite, or too large for a float32"},
        {"a 1 2\nb 3 4x\n", "x.txt line 2: number 2 is no number"},
        {"a 1 2\nb 3,5 4\n", "x.txt line 2: number 1 is no number"},
        {"a 1 2\n\xFF\xFE 3 4\n", "x.txt line 2: the word is no UTF-8 text"},
        {"a 1 2\nb\xC3 3 4\n", "x.txt line 2: the word is no UTF-8 text"}};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        ck_assert_int_eq(read_text(cases[i].text, 0), RH_ECORRUPT);
        ck_assert_str_eq(err_text(), cases[i].error);
    }
}
END_TEST

START_TEST(a_file_with_nothing_in_it_is_refused) {
    ck_assert_int_eq(open_text("\n\n", 0), RH_ECORRUPT);
    ck_assert_str_eq(err_text(), "x.txt has no rows");
    ck_assert_int_eq(open_text("word\n", 0), RH_EINVAL);
    ck_assert_str_eq(err_text(), "x.txt: rows of 0 numbers; 1 to 65536 are read");
}
END_TEST

/* 100,000 lines of which the first says that each has 60,000 numbers. */
START_TEST(memory_for_rows_that_are_not_there_is_not_promised) {
    enum { WIDE = 60000, LINES = 100000 };
    char *text = malloc(2 * WIDE + LINES + 2), *p = text;
    *p++ = 'a';
    for (int i = 0; i < WIDE; i++, p += 2)
        memcpy(p, " 0", 2);
    memset(p, '\n', LINES);
    p[LINES] = 'x';
    scratch_file("x.txt", text, (size_t)(p - text) + LINES + 1);
    ck_assert_int_eq(
        vec_open_with("x.txt", &(struct vec_options){.format = VEC_GLOVE, .dim = WIDE}, &r),
        RH_ECORRUPT);
    ck_assert_str_eq(err_text(), "x.txt has 100001 lines, which cannot all hold 60000 numbers in a "
                                 "file of 220002 bytes");
    free(text);
}
END_TEST

START_TEST(an_endless_line_is_refused) {
    size_t len = 5 << 20;
    char *text = malloc(len);
    memset(text, 'x', len);
    scratch_file("x.txt", text, len);
    ck_assert_int_eq(vec_open("x.txt", VEC_GLOVE, &r), RH_ECORRUPT);
    ck_assert_str_eq(err_text(), "x.txt line 1 is longer than any row can be, 4195328 bytes");
    free(text);
}
END_TEST

/* -write-header 1 makes it word2vec text. */
START_TEST(a_file_with_a_header_is_word2vec_text) {
    scratch_text("x.txt", "2 2\nthe 0.25 -1\nof 1e-3 2\n");
    ck_assert_int_eq(vec_open("x.txt", VEC_AUTO, &r), RH_OK);
    ck_assert_int_eq(vec_format_of(r), VEC_W2V);
}
END_TEST

START_TEST(what_is_written_has_no_header_and_words_may_hold_spaces) {
    static const float rows[2][2] = {{0.1f, -1}, {1e-30f, 2}};
    ck_assert_int_eq(vec_create("x.txt", VEC_GLOVE, 2, 2, &w), RH_OK);
    ck_assert_int_eq(vec_put(w, ". . .", rows[0]), RH_OK);
    ck_assert_int_eq(vec_put(w, "ends in 5", rows[1]), RH_EINVAL); /* which a reader would take */
    ck_assert_str_eq(err_text(), "x.txt: row 1 cannot be written: a word has 1 to 1023 bytes, and "
                                 "no line's end, nor a number at its own");
    ck_assert_int_eq(vec_put(w, "5", rows[1]), RH_OK);
    ck_assert_int_eq(vec_commit(&w), RH_OK);
    char *text = scratch_read("x.txt", NULL);
    ck_assert_str_eq(text, ". . . 0.100000001 -1\n5 1e-30 2\n");
    free(text);
}
END_TEST

START_TEST(a_file_cut_anywhere_reads_nothing_that_was_not_there) {
    static const char text[] = "a 1.5 2.25\nb 3.5 4.75\n";
    for (size_t len = 0; len < sizeof text - 1; len++) {
        scratch_file("x.txt", text, len);
        vec_close(&r);
        rh_status s =
            vec_open_with("x.txt", &(struct vec_options){.format = VEC_GLOVE, .dim = 2}, &r);
        while (s == RH_OK)
            s = vec_next(r, &word, row);
        ck_assert(s == RH_ENOTFOUND || s == RH_ECORRUPT);
    }
}
END_TEST

/* ---- fastText's .vec ---- */

START_TEST(fasttext_is_told_by_its_five_digits_and_the_space_at_the_end) {
    static const struct {
        const char *text;
        enum vec_format format;
    } cases[] = {{"2 2\n</s> 0.25 -1.0012 \nof 1e-05 2 \n", VEC_FASTTEXT},
                 {"2 2\r\n</s> 0.25 -1.0012 \r\nof 1e-05 2 \r\n", VEC_FASTTEXT},
                 {"2 2\n</s> 0.250000 -1.000000 \nof 0.001000 2.000000 \n", VEC_W2V},
                 {"2 2\n</s> 0.25 -1\nof 0.001 2\n", VEC_W2V}};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        scratch_text("x.vec", cases[i].text);
        vec_close(&r);
        ck_assert_int_eq(vec_open("x.vec", VEC_AUTO, &r), RH_OK);
        ck_assert_int_eq(vec_format_of(r), cases[i].format);
        ck_assert_int_eq(vec_next(r, &word, row), RH_OK);
        ck_assert_str_eq(word, "</s>");
        ck_assert(row[0] == 0.25f);
        ck_assert_int_eq(vec_next(r, &word, row), RH_OK);
        ck_assert_int_eq(vec_next(r, &word, row), RH_ENOTFOUND);
    }
}
END_TEST

START_TEST(fasttext_is_written_with_the_space_at_the_end) {
    static const float values[] = {0.1f, -1};
    ck_assert_int_eq(vec_create("x.vec", VEC_FASTTEXT, 1, 2, &w), RH_OK);
    ck_assert_int_eq(vec_put(w, "</s>", values), RH_OK);
    ck_assert_int_eq(vec_commit(&w), RH_OK);
    char *text = scratch_read("x.vec", NULL);
    ck_assert_str_eq(text, "1 2\n</s> 0.100000001 -1 \n");
    free(text);
}
END_TEST

Suite *vec_glove_suite(void) {
    Suite *s = suite_create("vec_glove");
    TCase *t = tcase_create("glove");
    tcase_add_checked_fixture(t, scratch_enter, teardown);
    tcase_add_test(t, a_file_without_a_header_is_counted);
    tcase_add_test(t, lines_may_end_in_any_way);
    tcase_add_test(t, words_may_hold_spaces_and_the_line_is_split_from_the_right);
    tcase_add_test(t, a_given_dim_goes_before_the_most_common_one);
    tcase_add_test(t, the_dim_is_that_of_most_of_the_first_1000_lines);
    tcase_add_test(t, rows_of_another_width_are_refused_by_line);
    tcase_add_test(t, what_is_no_finite_number_is_refused_by_line);
    tcase_add_test(t, a_file_with_nothing_in_it_is_refused);
    tcase_add_test(t, memory_for_rows_that_are_not_there_is_not_promised);
    tcase_add_test(t, an_endless_line_is_refused);
    tcase_add_test(t, a_file_with_a_header_is_word2vec_text);
    tcase_add_test(t, what_is_written_has_no_header_and_words_may_hold_spaces);
    tcase_add_test(t, a_file_cut_anywhere_reads_nothing_that_was_not_there);
    tcase_add_test(t, fasttext_is_told_by_its_five_digits_and_the_space_at_the_end);
    tcase_add_test(t, fasttext_is_written_with_the_space_at_the_end);
    suite_add_tcase(s, t);
    return s;
}
