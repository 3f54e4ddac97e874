/* test_vec_w2v.c - word2vec text as its writers leave it, and its traps. */
#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/err.h"
#include "common/rng.h"
#include "common/vecfile.h"
#include "tests/support/scratch.h"
#include "tests/support/seed.h"
#include "tests/unit/suites.h"

static struct vec_reader *r;
static struct vec_writer *w;
static float row[3];
static const char *word;

static void teardown(void) {
    vec_close(&r);
    vec_abandon(&w);
    scratch_leave();
}

static rh_status open_bytes(const void *bytes, size_t len) {
    scratch_file("x.vec", bytes, len);
    vec_close(&r);
    return vec_open("x.vec", VEC_W2V, &r);
}

/* Opens it and reads all rows; RH_OK if there is nothing wrong with any. */
static rh_status read_bytes(const void *bytes, size_t len) {
    rh_status st = open_bytes(bytes, len);
    while (st == RH_OK)
        st = vec_next(r, &word, row);
    return st == RH_ENOTFOUND ? RH_OK : st;
}

static rh_status read_text(const char *text) {
    return read_bytes(text, strlen(text));
}

static void expect_row(const char *want, float a, float b) {
    ck_assert_int_eq(vec_next(r, &word, row), RH_OK);
    ck_assert_str_eq(word, want);
    ck_assert(row[0] == a && row[1] == b);
}

static void expect_two_rows(const char *text) {
    ck_assert_int_eq(open_bytes(text, strlen(text)), RH_OK);
    ck_assert_uint_eq(vec_rows(r), 2);
    ck_assert_uint_eq(vec_dim(r), 2);
    expect_row("</s>", 0.25f, -1);
    expect_row("na\xC3\xAFve", 1e-3f, 2);
    ck_assert_int_eq(vec_next(r, &word, row), RH_ENOTFOUND);
}

START_TEST(files_of_every_writer_are_read) {
    /* word2vec and fastText leave a space before the line's end, gensim does not. */
    expect_two_rows("2 2\n</s> 0.250000 -1.000000 \nna\xC3\xAFve 0.001000 2.000000 \n");
    expect_two_rows("2 2 \n</s> 0.25 -1 \nna\xC3\xAFve 1e-3 2 \n");
    expect_two_rows("2 2\n</s> 0.25 -1\nna\xC3\xAFve 0.001 +2\n");
    expect_two_rows("2 2\n</s> 0.25 -1\nna\xC3\xAFve .001 2."); /* no end of the last line */
    expect_two_rows("2 2\r\n</s> 0.25 -1\r\nna\xC3\xAFve 0.001 2 \r\n");
    expect_two_rows("2  2\n</s>  0.25  -1\nna\xC3\xAFve 0.001   2\n\n\r\n");
}
END_TEST

START_TEST(words_are_utf8_without_a_space) {
    static const char text[] = "3 2\n\xC2\xA0\xE2\x80\x83 1 2\n12.5 3 4\n\xF0\x9F\x90\x95 5 6\n";
    ck_assert_int_eq(open_bytes(text, sizeof text - 1), RH_OK);
    expect_row("\xC2\xA0\xE2\x80\x83", 1, 2); /* spaces in Unicode alone */
    expect_row("12.5", 3, 4);
    expect_row("\xF0\x9F\x90\x95", 5, 6);
    static const char *const bad[] = {"\xFF\xFE", "na\xEF", "\xC0\x80", "\xED\xA0\x80", "a\x80"};
    for (int i = 0; i < 5; i++) {
        char line[64];
        snprintf(line, sizeof line, "2 2\nking 1 2\n%s 3 4\n", bad[i]);
        ck_assert_int_eq(read_text(line), RH_ECORRUPT);
        ck_assert_str_eq(err_text(), "x.vec line 3: the word is no UTF-8 text");
    }
}
END_TEST

/* word2vec keeps 98 bytes of a word, though the last character then lacks its end. */
START_TEST(a_word_that_word2vec_cut_inside_a_character_is_read) {
    char text[200] = "1 2\n", want[100];
    memset(want, 'x', 97);
    want[97] = '\xC3';
    want[98] = '\0';
    strcat(strcat(text, want), " 1 2\n");
    ck_assert_int_eq(open_bytes(text, strlen(text)), RH_OK);
    expect_row(want, 1, 2);
    ck_assert_int_eq(vec_next(r, &word, row), RH_ENOTFOUND);
    memmove(text + 4, text + 5, strlen(text + 4)); /* 97 bytes: word2vec would not have cut it */
    ck_assert_int_eq(read_text(text), RH_ECORRUPT);
}
END_TEST

START_TEST(a_first_line_that_is_not_two_counts_is_refused) {
    static const char *const lines[] = {"",
                                        "\n",
                                        "2\n",
                                        "2 \n",
                                        "the 0.1 0.2\n",
                                        "2 2 2\n",
                                        "-2 2\n",
                                        "2 -2\n",
                                        "2.0 2\n",
                                        "2\t2\n",
                                        " 2 2\n",
                                        "2 2x\n",
                                        "0x2 2\n",
                                        "99999999999999999999 2\n"};
    for (size_t i = 0; i < sizeof lines / sizeof *lines; i++) {
        ck_assert_int_eq(read_text(lines[i]), RH_ECORRUPT);
        ck_assert_str_eq(err_text(),
                         "x.vec line 1 is not two numbers, how many rows there are and how many "
                         "numbers a row has; files without such a line are GloVe's");
    }
    ck_assert_int_eq(read_text("1 0\na\n"), RH_EINVAL);
    ck_assert_int_eq(read_text("1 65537\na 1\n"), RH_EINVAL);
    ck_assert_str_eq(err_text(), "x.vec line 1: rows of 65537 numbers; 1 to 65536 are read");
}
END_TEST

START_TEST(counts_that_the_file_cannot_hold_are_refused_before_memory_is_asked_for) {
    ck_assert_int_eq(read_text("1000000000 300\na 1\n"), RH_ECORRUPT);
    ck_assert_str_eq(err_text(),
                     "x.vec line 1 promises 1000000000 rows of 300 numbers; they cannot be "
                     "in a file of 19 bytes");
    ck_assert_int_eq(read_text("18446744073709551615 65536\n"), RH_ECORRUPT);
    ck_assert_int_eq(read_text("4611686018427387904 1\na 1\n"),
                     RH_ECORRUPT);                       /* times 4 wraps to 0 */
    ck_assert_int_eq(read_text("2 1\na 1\nb 2"), RH_OK); /* as short as can be */
}
END_TEST

START_TEST(fewer_rows_than_promised_are_refused) {
    ck_assert_int_eq(read_text("3 2\na 0.123456 1\nb 0.123456 2\n"), RH_ECORRUPT);
    ck_assert_str_eq(err_text(), "x.vec ends after 2 of the 3 rows of line 1");
}
END_TEST

START_TEST(more_rows_than_promised_are_refused) {
    ck_assert_int_eq(read_text("2 2\na 1 1\nb 2 2\nc 3 3\n"), RH_ECORRUPT);
    ck_assert_str_eq(err_text(), "x.vec line 4: the file goes on after its 2 rows");
    ck_assert_int_eq(read_text("0 2\n\n\nc"), RH_ECORRUPT);
    ck_assert_str_eq(err_text(), "x.vec line 4: the file goes on after its 0 rows");
}
END_TEST

START_TEST(rows_of_another_width_are_refused_by_line) {
    ck_assert_int_eq(read_text("2 2\na 1 1\nb 2\n\n\n"), RH_ECORRUPT);
    ck_assert_str_eq(err_text(), "x.vec line 3 has 1 numbers; line 1 says 2");
    ck_assert_int_eq(read_text("2 2\na 1 1 1\nb 2 2\n"), RH_ECORRUPT);
    ck_assert_str_eq(err_text(), "x.vec line 2 has more numbers than 2, which line 1 says");
    ck_assert_int_eq(read_text("2 2\na\nb 2 2    \n"), RH_ECORRUPT);
    ck_assert_str_eq(err_text(), "x.vec line 2 has 0 numbers; line 1 says 2");
    ck_assert_int_eq(read_text("1 2\nNew York 1 2\n"), RH_ECORRUPT);
    ck_assert_str_eq(err_text(), "x.vec line 2: number 1 is no number");
}
END_TEST

START_TEST(what_is_no_finite_number_is_refused_by_line) {
    static const char *const no_number[] = {"x",   "1x",  "1,5",  "--1",   "1\t2",
                                            "\t1", "\v1", "1\r2", "e5",    "0x1p3",
                                            ".",   "+",   "1e",   "1.2.3", "nanx"};
    char text[64];
    for (size_t i = 0; i < sizeof no_number / sizeof *no_number; i++) {
        snprintf(text, sizeof text, "1 2\na 1 %s    \n", no_number[i]);
        ck_assert_msg(read_text(text) == RH_ECORRUPT, "%s", text);
        ck_assert_str_eq(err_text(), "x.vec line 2: number 2 is no number");
    }
    ck_assert_int_eq(read_text("1 2\na 1 nan\n"), RH_ECORRUPT);
    ck_assert_str_eq(err_text(), "x.vec line 2: number 2 is NaN");
    ck_assert_int_eq(read_text("1 2\na -NaN 1\n"), RH_ECORRUPT);
    static const char *const infinite[] = {"inf", "-Infinity", "1e39", "-3.5e38"};
    for (int i = 0; i < 4; i++) {
        snprintf(text, sizeof text, "1 2\na 1 %s\n", infinite[i]);
        ck_assert_int_eq(read_text(text), RH_ECORRUPT);
        ck_assert_str_eq(err_text(),
                         "x.vec line 2: number 2 is infinite, or too large for a float32");
    }
    ck_assert_int_eq(read_text("1 2\na 1e-60 3.4028235e38\n"), RH_OK); /* too small is zero */
}
END_TEST

START_TEST(a_missing_or_endless_word_is_refused) {
    ck_assert_int_eq(read_text("1 2\n 1 2\n"), RH_ECORRUPT);
    ck_assert_str_eq(err_text(), "x.vec line 2: a word of 0 bytes; 1 to 1023 are read");
    char text[2000];
    memset(text, 'x', sizeof text);
    memcpy(text, "1 2\n", 4);
    memcpy(text + 4 + 1023, " 1 2\n", 6);
    ck_assert_int_eq(read_text(text), RH_OK);
    text[4 + 1023] = 'x';
    memcpy(text + 4 + 1024, " 1 2\n", 6);
    ck_assert_int_eq(read_text(text), RH_ECORRUPT);
    ck_assert_str_eq(err_text(), "x.vec line 2: a word of 1024 bytes; 1 to 1023 are read");
}
END_TEST

START_TEST(an_endless_line_is_refused) {
    enum { LEN = 300000 };
    char *text = malloc(LEN);
    memset(text, ' ', LEN);
    memcpy(text, "2 2\na 1 2", 9);
    ck_assert_int_eq(read_bytes(text, LEN), RH_ECORRUPT);
    ck_assert_str_eq(err_text(), "x.vec line 2 is longer than any row can be, 65536 bytes");
    memset(text, '1', LEN);
    ck_assert_int_eq(read_bytes(text, LEN), RH_ECORRUPT);
    free(text);
}
END_TEST

START_TEST(the_binary_form_is_told_apart) {
    static const char text[] = "2 2\na \0\0\x80\x3F\0\0\0\x40\nb \0\0\x80\x3F\0\0\0\x40\n";
    ck_assert_int_eq(read_bytes(text, sizeof text - 1), RH_ECORRUPT);
    ck_assert_str_eq(err_text(), "x.vec line 2 holds a 0 byte, so it is no text");
    vec_close(&r);
    ck_assert_int_eq(vec_open("x.vec", VEC_AUTO, &r), RH_OK);
    ck_assert_int_eq(vec_format_of(r), VEC_W2V_BIN);
}
END_TEST

/* Lines lie across the borders of what is read at once. */
START_TEST(a_file_of_many_rows_comes_back) {
    enum { ROWS = 20000 };
    struct rng g, same;
    char name[VEC_WORD_MAX];
    rng_init(&g, test_seed("word2vec text"), 0);
    same = g;
    ck_assert_int_eq(vec_create("x.vec", VEC_AUTO, ROWS, 3, &w), RH_OK);
    for (int i = 0; i < ROWS; i++) {
        snprintf(name, sizeof name, "%*d", 0, i);
        for (int k = 0; k < 3; k++)
            row[k] = rng_f32(&g);
        ck_assert_int_eq(vec_put(w, name, row), RH_OK);
    }
    ck_assert_int_eq(vec_commit(&w), RH_OK);
    ck_assert_int_eq(vec_open("x.vec", VEC_AUTO, &r), RH_OK);
    for (int i = 0; i < ROWS; i++) {
        snprintf(name, sizeof name, "%*d", 0, i);
        ck_assert_int_eq(vec_next(r, &word, row), RH_OK);
        ck_assert_str_eq(word, name);
        for (int k = 0; k < 3; k++)
            ck_assert(row[k] == rng_f32(&same));
    }
    ck_assert_int_eq(vec_next(r, &word, row), RH_ENOTFOUND);
}
END_TEST

START_TEST(what_is_written_has_nine_digits_and_no_space_at_the_end) {
    const float values[] = {0.1f, -1, 1e-30f};
    ck_assert_int_eq(vec_create("x.vec", VEC_AUTO, 1, 3, &w), RH_OK);
    ck_assert_int_eq(vec_put(w, "na\xC3\xAFve", values), RH_OK);
    ck_assert_int_eq(vec_commit(&w), RH_OK);
    char *text = scratch_read("x.vec", NULL);
    ck_assert_str_eq(text, "1 3\nna\xC3\xAFve 0.100000001 -1 1e-30\n");
    free(text);
}
END_TEST

START_TEST(words_that_could_not_be_read_back_are_refused) {
    char endless[VEC_WORD_MAX + 1];
    memset(endless, 'x', sizeof endless);
    endless[VEC_WORD_MAX] = '\0';
    const char *const bad[] = {"", "a b", "a\nb", "a\r", endless};
    ck_assert_int_eq(vec_create("x.vec", VEC_AUTO, 1, 3, &w), RH_OK);
    for (int i = 0; i < 5; i++) {
        ck_assert_int_eq(vec_put(w, bad[i], row), RH_EINVAL);
        ck_assert_str_eq(err_text(),
                         "x.vec: row 0 cannot be written: a word has 1 to 1023 bytes, and "
                         "no space or line's end");
    }
    ck_assert_int_eq(vec_put(w, endless + 1, row), RH_OK);
    ck_assert_int_eq(vec_commit(&w), RH_OK);
    ck_assert_int_eq(vec_open("x.vec", VEC_AUTO, &r), RH_OK);
    ck_assert_int_eq(vec_next(r, &word, row), RH_OK);
}
END_TEST

static const char sample[] = "2 2\n</s> 0.25 -1 \nking 1e-3 2.5 \n";

START_TEST(a_file_cut_anywhere_is_refused_or_ends_a_number_early) {
    for (size_t len = 0; len < sizeof sample - 1; len++) {
        rh_status st = read_bytes(sample, len);
        if (len < sizeof sample - 1 - 4) /* then "2" of "2.5" is there, or more */
            ck_assert_msg(st == RH_ECORRUPT, "%zu bytes", len);
        else
            ck_assert_int_eq(st, RH_OK);
    }
}
END_TEST

START_TEST(any_flipped_bit_is_refused_or_harmless) {
    char copy[sizeof sample];
    for (size_t at = 0; at < sizeof sample - 1; at++) {
        for (int bit = 0; bit < 8; bit++) {
            memcpy(copy, sample, sizeof copy);
            copy[at] ^= (char)(1 << bit);
            rh_status st = open_bytes(copy, sizeof copy - 1);
            if (st == RH_OK && vec_dim(r) > 3)
                continue; /* more than row holds */
            while (st == RH_OK)
                st = vec_next(r, &word, row);
            ck_assert(st == RH_ENOTFOUND || st == RH_ECORRUPT || st == RH_EINVAL);
        }
    }
}
END_TEST

Suite *vec_w2v_suite(void) {
    Suite *s = suite_create("vec_w2v");
    TCase *t = tcase_create("w2v");
    tcase_add_checked_fixture(t, scratch_enter, teardown);
    tcase_add_test(t, files_of_every_writer_are_read);
    tcase_add_test(t, words_are_utf8_without_a_space);
    tcase_add_test(t, a_word_that_word2vec_cut_inside_a_character_is_read);
    tcase_add_test(t, a_first_line_that_is_not_two_counts_is_refused);
    tcase_add_test(t, counts_that_the_file_cannot_hold_are_refused_before_memory_is_asked_for);
    tcase_add_test(t, fewer_rows_than_promised_are_refused);
    tcase_add_test(t, more_rows_than_promised_are_refused);
    tcase_add_test(t, rows_of_another_width_are_refused_by_line);
    tcase_add_test(t, what_is_no_finite_number_is_refused_by_line);
    tcase_add_test(t, a_missing_or_endless_word_is_refused);
    tcase_add_test(t, an_endless_line_is_refused);
    tcase_add_test(t, the_binary_form_is_told_apart);
    tcase_add_test(t, a_file_of_many_rows_comes_back);
    tcase_add_test(t, what_is_written_has_nine_digits_and_no_space_at_the_end);
    tcase_add_test(t, words_that_could_not_be_read_back_are_refused);
    tcase_add_test(t, a_file_cut_anywhere_is_refused_or_ends_a_number_early);
    tcase_add_test(t, any_flipped_bit_is_refused_or_harmless);
    suite_add_tcase(s, t);
    return s;
}
