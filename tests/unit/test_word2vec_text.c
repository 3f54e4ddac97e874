/* test_word2vec_text.c - a text comes apart into words and into parts, and nothing is lost between. */
#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "common/err.h"
#include "common/rng.h"
#include "tests/support/scratch.h"
#include "tests/support/seed.h"
#include "tests/unit/suites.h"
#include "worker/examples/word2vec_text.h"

static struct text text;
static struct text_reader reader;

static void open_text(const char *bytes, size_t len) {
    scratch_file("text", bytes, len);
    ck_assert_int_eq(text_open("text", &text), RH_OK);
    ck_assert_int_eq(text_reader_init(&reader, &text), RH_OK);
}

static void close_text(void) {
    text_reader_fini(&reader);
    text_close(&text);
}

/* Words of [begin, end), each with a blank behind it, and a | before each that opens a line. Appends
 * to out, which is freed if the text is read on. */
static char *words_of(uint64_t begin, uint64_t end, int lines, char *out) {
    size_t len = out ? strlen(out) : 0;
    out = realloc(out, len + 3 * (end - begin) + 1);
    ck_assert_ptr_nonnull(out);
    out[len] = 0;
    text_seek(&reader, begin, end);
    for (struct text_word w; text_next(&reader, &w);) {
        if (lines && w.opens_line)
            out[len++] = '|';
        memcpy(out + len, w.p, w.len);
        len += w.len;
        out[len++] = ' ';
        out[len] = 0;
    }
    return out;
}

static void expect_words(const char *bytes, const char *want) {
    open_text(bytes, strlen(bytes));
    char *got = words_of(0, text.size_bytes, 1, NULL);
    ck_assert_int_eq(reader.status, RH_OK);
    ck_assert_str_eq(got, want);
    free(got);
    close_text();
}

START_TEST(words_stand_between_white_space) {
    expect_words("the cat\nsat", "|the cat |sat ");
    expect_words("  the\t cat \r\n\n\n sat\v.\f\n", "|the cat |sat . ");
    expect_words("\n \n", "");
    expect_words("na\xc3\xafve A,b", "|na\xc3\xafve A,b ");
}
END_TEST

START_TEST(words_longer_than_100_bytes_are_left_out_and_counted) {
    char bytes[512], want[512];
    snprintf(bytes, sizeof bytes, "a\n%0100d %0101d b", 0, 0);
    snprintf(want, sizeof want, "|a |%0100d b ", 0);
    open_text(bytes, strlen(bytes));
    char *got = words_of(0, text.size_bytes, 1, NULL);
    ck_assert_str_eq(got, want);
    ck_assert_uint_eq(reader.too_long, 1);
    free(got);
    close_text();
}
END_TEST

START_TEST(words_cross_the_blocks_of_reading) {
    size_t len = 3 * TEXT_BLOCK;
    char *bytes = malloc(len + 1);
    for (size_t i = 0; i < len; i++)
        bytes[i] = i % 8 == 6 ? ' ' : (char)('a' + i % 25);
    bytes[len] = 0;
    open_text(bytes, len);
    char *got = words_of(0, len, 0, NULL);
    ck_assert_uint_eq(strlen(got), len + 1); /* and the last blank */
    ck_assert_int_eq(memcmp(got, bytes, len), 0);
    free(got);
    free(bytes);
    close_text();
}
END_TEST

/* What no reader can start with. */
START_TEST(a_text_that_is_none_is_refused_by_name) {
    ck_assert_int_eq(text_open("missing", &text), RH_ENOTFOUND);
    ck_assert_str_eq(err_text(), "missing: cannot open this text: No such file or directory");
    ck_assert_int_eq(mkdir("folder", 0755), 0);
    ck_assert_int_eq(text_open("folder", &text), RH_EINVAL);
    ck_assert_str_eq(err_text(), "folder: this is a directory; name a file in it");
    ck_assert_int_eq(mkfifo("pipe", 0644), 0);
    ck_assert_int_eq(text_open("pipe", &text), RH_EINVAL);
    scratch_text("nothing", "");
    ck_assert_int_eq(text_open("nothing", &text), RH_EINVAL);
    ck_assert_str_eq(err_text(), "nothing: this text is empty");
}
END_TEST

START_TEST(a_zero_byte_is_no_text) {
    open_text("ab\0cd", 5);
    free(words_of(0, 5, 0, NULL));
    ck_assert_int_eq(reader.status, RH_EINVAL);
    ck_assert_str_eq(err_text(), "text: this is no text: byte 2 is zero");
    close_text();
}
END_TEST

START_TEST(an_endless_word_is_no_text) {
    size_t len = TEXT_BLOCK + 10;
    char *bytes = malloc(len);
    memset(bytes, 'x', len);
    memcpy(bytes, "a b ", 4);
    open_text(bytes, len);
    char *got = words_of(0, len, 0, NULL);
    ck_assert_int_eq(reader.status, RH_EINVAL);
    ck_assert_str_eq(err_text(),
                     "text: this is no text: no white space in the 65536 bytes from byte 4 on");
    free(got);
    free(bytes);
    close_text();
}
END_TEST

START_TEST(a_file_that_shrinks_is_an_error_and_no_shorter_text) {
    open_text("some words", 10);
    scratch_text("text", "some");
    free(words_of(0, 10, 0, NULL));
    ck_assert_int_eq(reader.status, RH_EIO);
    close_text();
}
END_TEST

static uint64_t cut(uint64_t part, uint64_t parts) {
    uint64_t at = UINT64_MAX;
    ck_assert_int_eq(text_cut(&text, part, parts, &at), RH_OK);
    return at;
}

START_TEST(parts_begin_where_lines_begin) {
    open_text("aa\nbb\ncc\ndd\n", 12);
    ck_assert_uint_eq(cut(0, 4), 0);
    ck_assert_uint_eq(cut(1, 4), 3); /* a line that begins right at the cut */
    ck_assert_uint_eq(cut(2, 4), 6);
    ck_assert_uint_eq(cut(3, 4), 9);
    ck_assert_uint_eq(cut(4, 4), 12);
    ck_assert_uint_eq(cut(1, 3), 6); /* at 4, in the middle of one */
    ck_assert_uint_eq(cut(1, 2), 6);
    close_text();
}
END_TEST

/* Lines of words of any length; some are longer than a cut looks, and some have no blank in them. */
static size_t random_text(struct rng *g, char *out, size_t cap) {
    size_t len = rng_below(g, (uint32_t)cap) + 1;
    uint32_t word = 1 + rng_below(g, 8), line = 1 + rng_below(g, 9000);
    for (size_t i = 0; i < len; i++)
        out[i] = rng_below(g, line) == 0 ? '\n' : rng_below(g, word) == 0 ? ' ' : 'x';
    return len;
}

START_TEST(every_byte_is_in_exactly_one_part_and_no_word_is_cut) {
    enum { CAP = 40000 };
    struct rng g;
    rng_init(&g, test_seed("word2vec_text"), 0);
    char *bytes = malloc(CAP);
    for (int round = 0; round < 60; round++) {
        open_text(bytes, random_text(&g, bytes, CAP));
        uint64_t parts = 1 + rng_below(&g, round % 2 ? 12 : 3000), before = 0;
        ck_assert_uint_eq(cut(0, parts), 0);
        ck_assert_uint_eq(cut(parts, parts), text.size_bytes);
        char *whole = words_of(0, text.size_bytes, 0, NULL), *pieces = NULL;
        for (uint64_t i = 1; i <= parts; i++) {
            uint64_t at = cut(i, parts);
            ck_assert_uint_ge(at, before);
            pieces = words_of(before, at, 0, pieces);
            before = at;
        }
        ck_assert_str_eq(pieces, whole);
        free(whole);
        free(pieces);
        close_text();
    }
    free(bytes);
}
END_TEST

START_TEST(one_endless_line_is_cut_between_words) {
    size_t len = 100000;
    char *bytes = malloc(len);
    for (size_t i = 0; i < len; i++)
        bytes[i] = i % 5 == 4 ? ' ' : 'w';
    open_text(bytes, len);
    for (uint64_t i = 1; i < 10; i++)
        ck_assert_uint_eq(cut(i, 10), i * 10000);
    ck_assert_uint_eq(cut(1, 3), 33335);
    free(bytes);
    close_text();
}
END_TEST

Suite *word2vec_text_suite(void) {
    Suite *s = suite_create("word2vec_text");
    TCase *t = tcase_create("word2vec_text");
    tcase_add_checked_fixture(t, scratch_enter, scratch_leave);
    tcase_add_test(t, words_stand_between_white_space);
    tcase_add_test(t, words_longer_than_100_bytes_are_left_out_and_counted);
    tcase_add_test(t, words_cross_the_blocks_of_reading);
    tcase_add_test(t, a_text_that_is_none_is_refused_by_name);
    tcase_add_test(t, a_zero_byte_is_no_text);
    tcase_add_test(t, an_endless_word_is_no_text);
    tcase_add_test(t, a_file_that_shrinks_is_an_error_and_no_shorter_text);
    tcase_add_test(t, parts_begin_where_lines_begin);
    tcase_add_test(t, every_byte_is_in_exactly_one_part_and_no_word_is_cut);
    tcase_add_test(t, one_endless_line_is_cut_between_words);
    suite_add_tcase(s, t);
    return s;
}
