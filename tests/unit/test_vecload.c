/* test_vecload.c - rows of files for rows of a table: by place and by word, in slices of any file,
 * read once or again, and what is told of them. */
#include <check.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "common/err.h"
#include "common/vecload.h"
#include "tests/support/scratch.h"
#include "tests/unit/suites.h"

enum { DIM = 2, ROWS = 10 };

static struct vecload *l;
static float table[ROWS][DIM];
static struct vecload_report report;

static void setup(void) {
    scratch_enter();
    memset(table, 0, sizeof table);
}

static void teardown(void) {
    vecload_free(&l);
    scratch_leave();
}

static rh_status begin(const char *file, const char *vocab, uint64_t rows) {
    const struct vecload_table t = {"t", rows, DIM};
    struct vec_reader *r;
    struct vocab_file *v = NULL;
    vecload_free(&l);
    rh_status s = vec_adopt(open(file, O_RDONLY), file, &(struct vec_options){0}, &r);
    if (s != RH_OK)
        return s;
    if (vocab != NULL)
        ck_assert_int_eq(vocab_file_open(vocab, &v), RH_OK);
    return vecload_new(&t, r, v, &l);
}

/* Reads on to the end, and fills the table. */
static rh_status finish(void) {
    struct vecload_slice k = {.end = false};
    while (!k.end) {
        rh_status s = vecload_next(l, &k);
        if (s != RH_OK)
            return s;
        for (size_t i = 0; i < k.n; i++) {
            ck_assert_uint_lt(k.ids[i], ROWS);
            memcpy(table[k.ids[i]], k.rows + i * DIM, sizeof table[0]);
        }
    }
    vecload_report(l, &report);
    return RH_OK;
}

static rh_status load(const char *file, const char *vocab) {
    rh_status s = begin(file, vocab, ROWS);
    return s == RH_OK ? finish() : s;
}

static void expect_row(int row, float a, float b) {
    ck_assert_msg(table[row][0] == a && table[row][1] == b, "row %d: %g %g", row,
                  (double)table[row][0], (double)table[row][1]);
}

START_TEST(without_a_vocabulary_row_i_is_row_i) {
    scratch_text("x.vec", "3 2\na 1 2\nb 3 4\nc 5 6\n");
    ck_assert_int_eq(load("x.vec", NULL), RH_OK);
    expect_row(0, 1, 2);
    expect_row(2, 5, 6);
    ck_assert_uint_eq(report.matched, 3);
    ck_assert_uint_eq(report.missed, 7);
    ck_assert_str_eq(report.first_matched, "0, 1, 2");
    ck_assert_str_eq(report.first_missed, "3, 4, 5, 6, 7, ...");
    ck_assert_str_eq(report.about, "x.vec: word2vec text, 3 x 2");
    ck_assert_int_eq(report.format, VEC_W2V);
}
END_TEST

START_TEST(a_vocabulary_chooses_and_the_first_of_equal_words_counts) {
    scratch_text("v.txt", "the\t7\n. . .\t2\ncat\t9\n");
    scratch_text("x.txt", "of 9 9\n. . . 1 2\nthe 3 4\n. . . 5 6\n");
    for (int again = 0; again < 2; again++) {
        if (again == 0)
            ck_assert_int_eq(load("x.txt", "v.txt"), RH_OK);
        else {
            memset(table, 0, sizeof table);
            vecload_rewind(l);
            ck_assert_int_eq(finish(), RH_OK);
        }
        expect_row(7, 3, 4);
        expect_row(2, 1, 2);
        expect_row(9, 0, 0);
        ck_assert_uint_eq(report.matched, 2);
        ck_assert_uint_eq(report.missed, 1);
        ck_assert_uint_eq(report.duplicated, 1);
        ck_assert_uint_eq(report.unused, 1);
        ck_assert_str_eq(report.first_matched, ". . ., the");
        ck_assert_str_eq(report.first_missed, "cat");
        ck_assert_str_eq(report.first_duplicated, ". . .");
    }
}
END_TEST

START_TEST(a_file_that_is_not_for_the_table_is_refused_before_its_first_row) {
    struct vecload_slice k;
    scratch_text("x.vec", "3 2\na 1 2\nb 3 4\nc 5 6\n");
    scratch_text("wide.vec", "1 3\na 1 2 3\n");
    scratch_text("v.txt", "a\t10\n");
    ck_assert_int_eq(begin("wide.vec", NULL, ROWS), RH_OK);
    ck_assert_int_eq(vecload_next(l, &k), RH_EMISMATCH);
    ck_assert_str_eq(err_text(), "wide.vec has rows of 3 floats, table t of 2");
    ck_assert_int_eq(begin("x.vec", NULL, 2), RH_OK);
    ck_assert_int_eq(vecload_next(l, &k), RH_EMISMATCH);
    ck_assert_int_eq(begin("x.vec", "v.txt", ROWS), RH_ERANGE);
    ck_assert_str_eq(err_text(), "v.txt line 1: row 10; table t has 10");
    struct vec_writer *w;
    float row[DIM] = {1, 2};
    ck_assert_int_eq(vec_create("x.npy", VEC_NPY, 1, DIM, &w), RH_OK);
    ck_assert_int_eq(vec_put(w, NULL, row), RH_OK);
    ck_assert_int_eq(vec_commit(&w), RH_OK);
    scratch_text("v.txt", "a\n");
    ck_assert_int_eq(begin("x.npy", "v.txt", ROWS), RH_OK);
    ck_assert_int_eq(vecload_next(l, &k), RH_EINVAL);
}
END_TEST

/* A GloVe file of n rows; row i of the table, if it is read by vocabulary, is word wi. */
static void write_glove(uint32_t n, const char *end) {
    FILE *f = fopen("big.txt", "w");
    for (uint32_t i = 0; i < n; i++)
        fprintf(f, "w%u %u.000000000000000000000000000000 -%u\n", i, i, i);
    fputs(end, f);
    ck_assert_int_eq(fclose(f), 0);
}

/* Even what only the whole file tells, how many lines it has, is asked in slices. */
START_TEST(a_large_file_comes_in_slices_from_its_opening_on) {
    enum { N = 200000 };
    write_glove(N, "");
    scratch_text("v.txt", "w199999\nw0\nw100000\n");
    ck_assert_int_eq(begin("big.txt", "v.txt", ROWS), RH_OK);
    struct vecload_slice k = {.end = false};
    uint64_t done, total, before = 0;
    int calls = 0, empty = 0;
    for (; !k.end; calls++) {
        ck_assert_int_eq(vecload_next(l, &k), RH_OK);
        vecload_progress(l, &done, &total);
        ck_assert_uint_ge(done, before);
        ck_assert_uint_le(done, total);
        ck_assert_uint_le(done - before, 2 * VECLOAD_SLICE_BYTES);
        before = done;
        empty += k.n == 0;
        for (size_t i = 0; i < k.n; i++)
            memcpy(table[k.ids[i]], k.rows + i * DIM, sizeof table[0]);
    }
    ck_assert_uint_eq(done, total);
    ck_assert_int_gt(empty, 2);
    ck_assert_int_gt(calls, 4);
    expect_row(0, 199999, -199999);
    expect_row(1, 0, 0);
    expect_row(2, 100000, -100000);
    vecload_report(l, &report);
    ck_assert_str_eq(report.about, "big.txt: GloVe text, 200000 x 2, no header");
    ck_assert_str_eq(report.first_matched, "w0, w100000, w199999");
    ck_assert_uint_eq(report.unused, N - 3);
}
END_TEST

START_TEST(what_is_bad_at_the_end_of_a_large_file_is_found_and_its_line_is_named) {
    write_glove(200000, "x 1 2 3\n");
    scratch_text("v.txt", "w0\n");
    ck_assert_int_eq(load("big.txt", "v.txt"), RH_ECORRUPT);
    ck_assert_ptr_nonnull(strstr(err_text(), "big.txt line 200001"));
}
END_TEST

START_TEST(a_file_that_changes_while_it_is_read_is_refused) {
    struct vecload_slice k;
    write_glove(200000, "");
    scratch_text("v.txt", "w0\n");
    ck_assert_int_eq(begin("big.txt", "v.txt", ROWS), RH_OK);
    ck_assert_int_eq(vecload_next(l, &k), RH_OK);
    struct timespec times[2] = {{.tv_sec = 1}, {.tv_sec = 1}};
    ck_assert_int_eq(utimensat(AT_FDCWD, "big.txt", times, 0), 0); /* as a write would */
    ck_assert_int_eq(finish(), RH_ECORRUPT);
    ck_assert_str_eq(err_text(), "big.txt was changed while it was read");
}
END_TEST

static void digests(const char *file, const char *vocab, uint64_t *of_file, uint64_t *of_vocab) {
    ck_assert_int_eq(begin(file, vocab, ROWS), RH_OK);
    vecload_sum(l);
    ck_assert_int_eq(finish(), RH_OK);
    vecload_digests(l, of_file, of_vocab);
}

START_TEST(digests_are_of_all_words_and_numbers_and_of_the_vocabulary) {
    uint64_t a, b, va, vb;
    scratch_text("v.txt", "b\nc\n");
    scratch_text("x.vec", "3 2\na 1 2\nb 3 4\nc 5 6\n");
    digests("x.vec", "v.txt", &a, &va);
    digests("x.vec", "v.txt", &b, &vb);
    ck_assert(a == b && va == vb && va != 0);
    digests("x.vec", NULL, &b, &vb);
    ck_assert(a == b && vb == 0);
    static const char *const others[] = {"3 2\nz 1 2\nb 3 4\nc 5 6\n",
                                         "3 2\na 1 2.1\nb 3 4\nc 5 6\n",
                                         "3 2\nb 3 4\na 1 2\nc 5 6\n", "2 2\na 1 2\nb 3 4\n"};
    for (int i = 0; i < 4; i++) {
        scratch_text("x.vec", others[i]);
        digests("x.vec", "v.txt", &b, &vb);
        ck_assert(a != b && va == vb);
        digests("x.vec", NULL, &b, &vb);
        ck_assert(a != b);
    }
    scratch_text("v.txt", "c\nb\n");
    digests("x.vec", "v.txt", &a, &vb);
    ck_assert(va != vb);
}
END_TEST

Suite *vecload_suite(void) {
    Suite *suite = suite_create("vecload");
    TCase *tc = tcase_create("vecload");
    tcase_set_timeout(tc, 60);
    tcase_add_checked_fixture(tc, setup, teardown);
    tcase_add_test(tc, without_a_vocabulary_row_i_is_row_i);
    tcase_add_test(tc, a_vocabulary_chooses_and_the_first_of_equal_words_counts);
    tcase_add_test(tc, a_file_that_is_not_for_the_table_is_refused_before_its_first_row);
    tcase_add_test(tc, a_large_file_comes_in_slices_from_its_opening_on);
    tcase_add_test(tc, what_is_bad_at_the_end_of_a_large_file_is_found_and_its_line_is_named);
    tcase_add_test(tc, a_file_that_changes_while_it_is_read_is_refused);
    tcase_add_test(tc, digests_are_of_all_words_and_numbers_and_of_the_vocabulary);
    suite_add_tcase(suite, tc);
    return suite;
}
