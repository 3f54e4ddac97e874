/* test_vec_w2v_bin.c - word2vec binary as its writers leave it, and its traps. */
#include <check.h>
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

#define ONE    "\x00\x00\x80\x3F" /* 1 */
#define HALF   "\x00\x00\x00\xBF" /* -0.5 */
#define SPACES "\x20\x0A\x20\x0A" /* a small float of spaces and line ends */

static rh_status open_bytes(const void *bytes, size_t len) {
    scratch_file("x.bin", bytes, len);
    vec_close(&r);
    return vec_open("x.bin", VEC_W2V_BIN, &r);
}

static rh_status read_bytes(const void *bytes, size_t len) {
    rh_status s = open_bytes(bytes, len);
    while (s == RH_OK)
        s = vec_next(r, &word, row);
    return s == RH_ENOTFOUND ? RH_OK : s;
}
#define READ(text) read_bytes(text, sizeof(text) - 1)

static void expect_two_rows(const void *bytes, size_t len) {
    static const float want[2][2] = {{1, -0.5f}, {-0.5f, 1}};
    ck_assert_int_eq(open_bytes(bytes, len), RH_OK);
    ck_assert_uint_eq(vec_rows(r), 2);
    ck_assert_uint_eq(vec_dim(r), 2);
    for (int i = 0; i < 2; i++) {
        ck_assert_int_eq(vec_next(r, &word, row), RH_OK);
        ck_assert_str_eq(word, i == 0 ? "</s>" : "na\xC3\xAFve");
        ck_assert_mem_eq(row, want[i], sizeof want[i]);
    }
    ck_assert_int_eq(vec_next(r, &word, row), RH_ENOTFOUND);
}
#define EXPECT_TWO_ROWS(text) expect_two_rows(text, sizeof(text) - 1)

#define C_FORM "2 2\n</s> " ONE HALF "\nna\xC3\xAFve " HALF ONE "\n"

START_TEST(files_with_and_without_a_line_end_behind_the_vectors_are_read) {
    EXPECT_TWO_ROWS(C_FORM);
    EXPECT_TWO_ROWS("2 2\n</s> " ONE HALF "na\xC3\xAFve " HALF ONE);   /* gensim */
    EXPECT_TWO_ROWS("2 2\n</s> " ONE HALF "\nna\xC3\xAFve " HALF ONE); /* the last lacks it */
    EXPECT_TWO_ROWS("2 2\r\n</s> " ONE HALF "na\xC3\xAFve " HALF ONE "\n\n");
}
END_TEST

START_TEST(numbers_may_hold_the_bytes_of_spaces_and_line_ends) {
    ck_assert_int_eq(READ("2 2\na " SPACES SPACES "\nb " SPACES SPACES "\n"), RH_OK);
    static const char text[] = "2 2\na " SPACES SPACES "b " SPACES ONE;
    ck_assert_int_eq(open_bytes(text, sizeof text - 1), RH_OK);
    ck_assert_int_eq(vec_next(r, NULL, NULL), RH_OK);
    ck_assert_int_eq(vec_next(r, &word, row), RH_OK);
    ck_assert_str_eq(word, "b");
    ck_assert(row[1] == 1);
}
END_TEST

START_TEST(what_is_written_are_word2vecs_bytes) {
    static const float rows[2][2] = {{1, -0.5f}, {-0.5f, 1}};
    ck_assert_int_eq(vec_create("x.bin", VEC_AUTO, 2, 2, &w), RH_OK);
    ck_assert_int_eq(vec_put(w, "</s>", rows[0]), RH_OK);
    ck_assert_int_eq(vec_put(w, "a b", rows[0]), RH_EINVAL);
    ck_assert_int_eq(vec_put(w, "na\xC3\xAFve", rows[1]), RH_OK);
    ck_assert_int_eq(vec_commit(&w), RH_OK);
    size_t len;
    char *bytes = scratch_read("x.bin", &len);
    ck_assert_uint_eq(len, sizeof C_FORM - 1);
    ck_assert_mem_eq(bytes, C_FORM, len);
    free(bytes);
}
END_TEST

START_TEST(counts_that_the_file_cannot_hold_are_refused_before_memory_is_asked_for) {
    ck_assert_int_eq(READ("3 2\na " ONE ONE "b " ONE ONE), RH_ECORRUPT);
    ck_assert_str_eq(err_text(), "x.bin line 1 promises 3 rows of 2 numbers; they cannot be in a "
                                 "file of 24 bytes");
    ck_assert_int_eq(READ("4611686018427387904 65536\na " ONE), RH_ECORRUPT);
    ck_assert_int_eq(READ("1 65537\na " ONE), RH_EINVAL);
    ck_assert_int_eq(READ("1 0\na "), RH_EINVAL);
    ck_assert_int_eq(READ("1\na " ONE), RH_ECORRUPT);
    ck_assert_ptr_nonnull(strstr(err_text(), "x.bin line 1 is not two numbers"));
}
END_TEST

START_TEST(a_file_cut_anywhere_is_refused) {
    static const char text[] = "2 2\n</s> " ONE HALF "na\xC3\xAFve " HALF ONE;
    for (size_t len = 0; len < sizeof text - 1; len++)
        ck_assert_msg(read_bytes(text, len) == RH_ECORRUPT, "%zu bytes", len);
    ck_assert_int_eq(read_bytes(text, sizeof text - 2), RH_ECORRUPT);
    ck_assert_str_eq(err_text(), "x.bin ends at byte 31, after 1 of the 2 rows of line 1");
}
END_TEST

START_TEST(a_file_that_goes_on_is_refused) {
    ck_assert_int_eq(READ("1 1\na " ONE "\n\nb " ONE), RH_ECORRUPT);
    ck_assert_str_eq(err_text(), "x.bin byte 12: the file goes on after its 1 rows");
}
END_TEST

START_TEST(numbers_that_are_not_finite_are_refused_by_byte) {
    ck_assert_int_eq(READ("2 2\na " ONE ONE "\nb " ONE "\x00\x00\xC0\x7F\n"), RH_ECORRUPT);
    ck_assert_str_eq(err_text(), "x.bin byte 21: number 1 of row 1 is NaN");
    ck_assert_int_eq(READ("1 2\na \x00\x00\x80\xFF" ONE), RH_ECORRUPT);
    ck_assert_str_eq(err_text(), "x.bin byte 6: number 0 of row 0 is infinite");
}
END_TEST

START_TEST(a_word_that_is_empty_endless_or_no_text_is_refused_by_byte) {
    ck_assert_int_eq(READ("1 1\n " ONE "xxxx"), RH_ECORRUPT);
    ck_assert_str_eq(err_text(), "x.bin byte 4: a word of 0 bytes; 1 to 1023 are read");
    static char text[3000] = "1 1\n";
    memset(text + 4, 'x', sizeof text - 4);
    ck_assert_int_eq(read_bytes(text, sizeof text), RH_ECORRUPT);
    ck_assert_str_eq(err_text(), "x.bin byte 4: a word of 1024 bytes; 1 to 1023 are read");
    ck_assert_int_eq(READ("2 1\na " ONE "\n\xFF\xFE " ONE), RH_ECORRUPT);
    ck_assert_str_eq(err_text(), "x.bin byte 11: the word is no UTF-8 text");
    ck_assert_int_eq(READ("1 1\na\0b " ONE), RH_ECORRUPT);
}
END_TEST

START_TEST(a_word_that_word2vec_cut_inside_a_character_is_read) {
    char text[200] = "1 1\n";
    memset(text + 4, 'x', 98);
    text[4 + 97] = '\xE2';
    memcpy(text + 4 + 98, " " ONE, 5);
    ck_assert_int_eq(read_bytes(text, 4 + 98 + 5), RH_OK);
    ck_assert_uint_eq(strlen(word), 98);
}
END_TEST

START_TEST(rows_wider_than_a_block_are_read) {
    enum { ROWS = 3 };
    float *big = malloc(VEC_DIM_MAX * sizeof *big);
    for (int i = 0; i < VEC_DIM_MAX; i++)
        big[i] = (float)i;
    ck_assert_int_eq(vec_create("x.bin", VEC_AUTO, ROWS, VEC_DIM_MAX, &w), RH_OK);
    for (int i = 0; i < ROWS; i++)
        ck_assert_int_eq(vec_put(w, "w", big), RH_OK);
    ck_assert_int_eq(vec_commit(&w), RH_OK);
    ck_assert_int_eq(vec_open("x.bin", VEC_AUTO, &r), RH_OK);
    for (int i = 0; i < ROWS; i++) {
        big[VEC_DIM_MAX - 1] = 0;
        ck_assert_int_eq(vec_next(r, &word, big), RH_OK);
        ck_assert(big[VEC_DIM_MAX - 1] == VEC_DIM_MAX - 1);
    }
    ck_assert_int_eq(vec_next(r, &word, big), RH_ENOTFOUND);
    free(big);
}
END_TEST

START_TEST(any_flipped_bit_is_refused_or_harmless) {
    static const char text[] = C_FORM;
    char copy[sizeof text];
    for (size_t at = 0; at < sizeof text - 1; at++) {
        for (int bit = 0; bit < 8; bit++) {
            memcpy(copy, text, sizeof copy);
            copy[at] ^= (char)(1 << bit);
            rh_status s = open_bytes(copy, sizeof copy - 1);
            if (s == RH_OK && vec_dim(r) > 4)
                continue; /* more than row holds */
            while (s == RH_OK)
                s = vec_next(r, &word, row);
            ck_assert(s == RH_ENOTFOUND || s == RH_ECORRUPT || s == RH_EINVAL);
        }
    }
}
END_TEST

Suite *vec_w2v_bin_suite(void) {
    Suite *s = suite_create("vec_w2v_bin");
    TCase *t = tcase_create("w2v_bin");
    tcase_add_checked_fixture(t, scratch_enter, teardown);
    tcase_add_test(t, files_with_and_without_a_line_end_behind_the_vectors_are_read);
    tcase_add_test(t, numbers_may_hold_the_bytes_of_spaces_and_line_ends);
    tcase_add_test(t, what_is_written_are_word2vecs_bytes);
    tcase_add_test(t, counts_that_the_file_cannot_hold_are_refused_before_memory_is_asked_for);
    tcase_add_test(t, a_file_cut_anywhere_is_refused);
    tcase_add_test(t, a_file_that_goes_on_is_refused);
    tcase_add_test(t, numbers_that_are_not_finite_are_refused_by_byte);
    tcase_add_test(t, a_word_that_is_empty_endless_or_no_text_is_refused_by_byte);
    tcase_add_test(t, a_word_that_word2vec_cut_inside_a_character_is_read);
    tcase_add_test(t, rows_wider_than_a_block_are_read);
    tcase_add_test(t, any_flipped_bit_is_refused_or_harmless);
    suite_add_tcase(s, t);
    return s;
}
