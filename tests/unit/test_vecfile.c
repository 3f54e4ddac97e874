/* test_vecfile.c - what all files of vectors have in common: sniffing, round trips, whole files.
 * The traps of each format are in test_vec_npy.c and test_vec_w2v.c. */
#include <check.h>
#include <locale.h>
#include <math.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/err.h"
#include "common/rng.h"
#include "common/vecfile.h"
#include "tests/support/scratch.h"
#include "tests/support/seed.h"
#include "tests/unit/suites.h"

static struct vec_reader *r;
static struct vec_writer *w;

static void teardown(void) {
    vec_close(&r);
    vec_abandon(&w);
    scratch_leave();
}

static const char *const both[] = {"x.npy", "x.vec"};
static const float row[] = {1, -2.5f, 0};

static void write_rows(const char *path, enum vec_format format, uint64_t rows) {
    ck_assert_int_eq(vec_create(path, format, rows, 3, &w), RH_OK);
    for (uint64_t i = 0; i < rows; i++)
        ck_assert_int_eq(vec_put(w, "word", row), RH_OK);
    ck_assert_int_eq(vec_commit(&w), RH_OK);
    ck_assert_ptr_null(w);
}

/* ---- opening ---- */

START_TEST(the_content_decides_not_the_name) {
    write_rows("npy.vec", VEC_NPY, 2);
    write_rows("w2v.npy", VEC_W2V, 2);
    ck_assert_int_eq(vec_open("npy.vec", VEC_AUTO, &r), RH_OK);
    ck_assert_int_eq(vec_format_of(r), VEC_NPY);
    vec_close(&r);
    ck_assert_int_eq(vec_open("w2v.npy", VEC_AUTO, &r), RH_OK);
    ck_assert_int_eq(vec_format_of(r), VEC_W2V);
    ck_assert_uint_eq(vec_rows(r), 2);
    ck_assert_uint_eq(vec_dim(r), 3);
}
END_TEST

START_TEST(a_format_that_is_asked_for_must_be_there) {
    write_rows("x.npy", VEC_AUTO, 2);
    write_rows("x.vec", VEC_AUTO, 2);
    ck_assert_int_eq(vec_open("x.npy", VEC_NPY, &r), RH_OK);
    vec_close(&r);
    ck_assert_int_eq(vec_open("x.vec", VEC_NPY, &r), RH_ECORRUPT);
    ck_assert_str_eq(err_text(), "x.vec is no .npy file: it does not begin with \\x93NUMPY");
    ck_assert_int_eq(vec_open("x.npy", VEC_W2V, &r), RH_ECORRUPT);
    ck_assert_int_eq(vec_open("x.npy", (enum vec_format)9, &r), RH_EINVAL);
    ck_assert_str_eq(err_text(), "x.npy: there is no format of number 9");
    ck_assert_ptr_null(r);
}
END_TEST

START_TEST(what_is_neither_is_refused) {
    static const char *const neither[] = {"", "the 0.1 0.2\n", "\x93NUMP", "{\"a\": 1}", " 2 3\n"};
    for (int i = 0; i < 5; i++) {
        scratch_text("x", neither[i]);
        ck_assert_int_eq(vec_open("x", VEC_AUTO, &r), RH_ECORRUPT);
        ck_assert_str_eq(err_text(),
                         "x is neither an .npy file nor word2vec text, whose first line has two "
                         "numbers: how many rows there are, and how many numbers a row has");
    }
}
END_TEST

START_TEST(what_is_no_file_is_refused) {
    ck_assert_int_eq(vec_open("nowhere", VEC_AUTO, &r), RH_ENOTFOUND);
    ck_assert_str_eq(err_text(), "cannot open nowhere: No such file or directory");
    ck_assert_int_eq(mkdir("folder", 0755), 0);
    ck_assert_int_eq(vec_open("folder", VEC_AUTO, &r), RH_EINVAL);
    ck_assert_str_eq(err_text(), "folder is no regular file: vectors cannot be read from it");
}
END_TEST

/* Nobody will ever write to it: opening it may not wait. */
START_TEST(a_pipe_is_refused_at_once) {
    ck_assert_int_eq(mkfifo("pipe", 0644), 0);
    ck_assert_int_eq(vec_open("pipe", VEC_AUTO, &r), RH_EINVAL);
}
END_TEST

/* ---- writing ---- */

START_TEST(any_float_comes_back_with_its_bits) {
    enum { ROWS = 500, DIM = 7 };
    static float all[ROWS][DIM];
    static const float edges[DIM] = {0, -0.0f, 0x1p-149f, 0x1.FFFFFEp127f, 0.1f, -1e-38f, 16777216};
    struct rng g;
    rng_init(&g, test_seed("vecfile"), 0);
    for (int i = 0; i < ROWS; i++) {
        for (int k = 0; k < DIM; k++) {
            do {
                uint32_t bits = rng_u32(&g);
                memcpy(&all[i][k], &bits, sizeof bits);
            } while (!isfinite(all[i][k]));
        }
    }
    memcpy(all[0], edges, sizeof edges);
    for (int f = 0; f < 2; f++) {
        ck_assert_int_eq(vec_create(both[f], VEC_AUTO, ROWS, DIM, &w), RH_OK);
        for (int i = 0; i < ROWS; i++)
            ck_assert_int_eq(vec_put(w, "w", all[i]), RH_OK);
        ck_assert_int_eq(vec_commit(&w), RH_OK);
        ck_assert_int_eq(vec_open(both[f], VEC_AUTO, &r), RH_OK);
        ck_assert_uint_eq(vec_rows(r), ROWS);
        float got[DIM];
        for (int i = 0; i < ROWS; i++) {
            ck_assert_int_eq(vec_next(r, NULL, got), RH_OK);
            ck_assert_mem_eq(got, all[i], sizeof got);
        }
        ck_assert_int_eq(vec_next(r, NULL, got), RH_ENOTFOUND);
        ck_assert_int_eq(vec_next(r, NULL, got), RH_ENOTFOUND);
        vec_close(&r);
    }
}
END_TEST

START_TEST(a_file_of_no_rows_is_a_file) {
    for (int f = 0; f < 2; f++) {
        write_rows(both[f], VEC_AUTO, 0);
        ck_assert_int_eq(vec_open(both[f], VEC_AUTO, &r), RH_OK);
        ck_assert_uint_eq(vec_rows(r), 0);
        ck_assert_uint_eq(vec_dim(r), 3);
        float got[3];
        ck_assert_int_eq(vec_next(r, NULL, got), RH_ENOTFOUND);
        vec_close(&r);
    }
}
END_TEST

START_TEST(rows_of_the_largest_dim_come_back) {
    float *big = calloc(VEC_DIM_MAX, sizeof *big);
    for (int i = 0; i < VEC_DIM_MAX; i++)
        big[i] = -0x1.FFFFFEp127f;
    for (int f = 0; f < 2; f++) {
        ck_assert_int_eq(vec_create(both[f], VEC_AUTO, 2, VEC_DIM_MAX, &w), RH_OK);
        ck_assert_int_eq(vec_put(w, "a", big), RH_OK);
        ck_assert_int_eq(vec_put(w, "b", big), RH_OK);
        ck_assert_int_eq(vec_commit(&w), RH_OK);
        ck_assert_int_eq(vec_open(both[f], VEC_AUTO, &r), RH_OK);
        ck_assert_int_eq(vec_next(r, NULL, big), RH_OK);
        ck_assert_int_eq(vec_next(r, NULL, big), RH_OK);
        ck_assert(big[VEC_DIM_MAX - 1] == -0x1.FFFFFEp127f);
        ck_assert_int_eq(vec_next(r, NULL, big), RH_ENOTFOUND);
        vec_close(&r);
    }
    free(big);
}
END_TEST

START_TEST(a_dim_beyond_the_limit_is_refused) {
    ck_assert_int_eq(vec_create("x.vec", VEC_AUTO, 1, 0, &w), RH_EINVAL);
    ck_assert_int_eq(vec_create("x.vec", VEC_AUTO, 1, VEC_DIM_MAX + 1, &w), RH_EINVAL);
    ck_assert_str_eq(err_text(), "x.vec: vectors have 1 to 65536 numbers, not 65537");
    ck_assert_int_eq(vec_create("x.vec", (enum vec_format)9, 1, 3, &w), RH_EINVAL);
    ck_assert_int_eq(scratch_count(), 0);
}
END_TEST

START_TEST(a_file_with_rows_missing_does_not_appear) {
    for (int f = 0; f < 2; f++) {
        ck_assert_int_eq(vec_create(both[f], VEC_AUTO, 3, 3, &w), RH_OK);
        ck_assert_int_eq(vec_put(w, "word", row), RH_OK);
        ck_assert_int_eq(scratch_count(), 1);
        ck_assert_int_eq(vec_commit(&w), RH_EINVAL);
        ck_assert_ptr_null(w);
        ck_assert_ptr_nonnull(strstr(err_text(), ": 1 of its 3 rows were put"));
        ck_assert_int_eq(scratch_count(), 0);
    }
}
END_TEST

START_TEST(an_abandoned_file_leaves_nothing) {
    ck_assert_int_eq(vec_create("x.vec", VEC_AUTO, 3, 3, &w), RH_OK);
    ck_assert_int_eq(vec_put(w, "word", row), RH_OK);
    vec_abandon(&w);
    vec_abandon(&w);
    ck_assert_int_eq(scratch_count(), 0);
}
END_TEST

START_TEST(a_full_disk_is_eio_and_the_old_file_stands) {
    struct rlimit kept, small;
    signal(SIGXFSZ, SIG_IGN);
    ck_assert_int_eq(getrlimit(RLIMIT_FSIZE, &kept), 0);
    small = kept;
    small.rlim_cur = 300;
    for (int f = 0; f < 2; f++) {
        scratch_text(both[f], "old");
        ck_assert_int_eq(vec_create(both[f], VEC_AUTO, 100, 3, &w), RH_OK);
        for (int i = 0; i < 100; i++)
            ck_assert_int_eq(vec_put(w, "word", row), RH_OK);
        ck_assert_int_eq(setrlimit(RLIMIT_FSIZE, &small), 0);
        rh_status st = vec_commit(&w);
        ck_assert_int_eq(setrlimit(RLIMIT_FSIZE, &kept), 0);
        ck_assert_int_eq(st, RH_EIO);
        char want[128];
        snprintf(want, sizeof want, "cannot write %s.%ld.tmp: File too large", both[f],
                 (long)getpid());
        ck_assert_str_eq(err_text(), want);
        ck_assert_int_eq(scratch_count(), f + 1);
        char *old = scratch_read(both[f], NULL);
        ck_assert_str_eq(old, "old");
        free(old);
    }
}
END_TEST

/* Applications set locales in which a decimal point is a comma. */
START_TEST(the_locale_changes_nothing) {
    static const char *const with_comma[] = {"de_DE.UTF-8", "de_DE.utf8", "fr_FR.UTF-8", "de_DE"};
    int i = 0;
    while (i < 4 && setlocale(LC_ALL, with_comma[i]) == NULL)
        i++;
    if (i == 4)
        return; /* this machine knows none */
    write_rows("x.vec", VEC_AUTO, 1);
    char *text = scratch_read("x.vec", NULL);
    ck_assert_str_eq(text, "1 3\nword 1 -2.5 0\n");
    free(text);
    float got[3];
    ck_assert_int_eq(vec_open("x.vec", VEC_AUTO, &r), RH_OK);
    ck_assert_int_eq(vec_next(r, NULL, got), RH_OK);
    ck_assert(got[1] == -2.5f);
    ck_assert_int_eq(*localeconv()->decimal_point, ','); /* it is still the application's */
    setlocale(LC_ALL, "C");
}
END_TEST

Suite *vecfile_suite(void) {
    Suite *s = suite_create("vecfile");
    TCase *t = tcase_create("opening");
    tcase_add_checked_fixture(t, scratch_enter, teardown);
    tcase_add_test(t, the_content_decides_not_the_name);
    tcase_add_test(t, a_format_that_is_asked_for_must_be_there);
    tcase_add_test(t, what_is_neither_is_refused);
    tcase_add_test(t, what_is_no_file_is_refused);
    tcase_add_test(t, a_pipe_is_refused_at_once);
    suite_add_tcase(s, t);
    t = tcase_create("writing");
    tcase_add_checked_fixture(t, scratch_enter, teardown);
    tcase_add_test(t, any_float_comes_back_with_its_bits);
    tcase_add_test(t, a_file_of_no_rows_is_a_file);
    tcase_add_test(t, rows_of_the_largest_dim_come_back);
    tcase_add_test(t, a_dim_beyond_the_limit_is_refused);
    tcase_add_test(t, a_file_with_rows_missing_does_not_appear);
    tcase_add_test(t, an_abandoned_file_leaves_nothing);
    tcase_add_test(t, a_full_disk_is_eio_and_the_old_file_stands);
    tcase_add_test(t, the_locale_changes_nothing);
    suite_add_tcase(s, t);
    return s;
}
