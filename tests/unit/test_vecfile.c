/* test_vecfile.c - what all files of vectors have in common: sniffing, round trips, whole files.
 * The traps of each format are in its own test_vec_<format>.c. */
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

/* Every format, and a path whose ending says so where one does. */
static const struct {
    const char *path;
    enum vec_format format;
} all_formats[] = {{"x.npy", VEC_NPY},     {"x.safetensors", VEC_SAFETENSORS},
                   {"x.vec", VEC_W2V},     {"x.bin", VEC_W2V_BIN},
                   {"x.glove", VEC_GLOVE}, {"x.fasttext", VEC_FASTTEXT}};
enum { FORMATS = 6 };
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
    ck_assert_int_eq(vec_open("x.vec", VEC_SAFETENSORS, &r), RH_ECORRUPT);
    ck_assert_ptr_null(r);
}
END_TEST

START_TEST(what_is_none_of_them_is_refused) {
    static const char *const none[] = {"the cat\n", "\x93NUMP", "word\n",
                                       "\n",        "2 3 x\n",  "a,1,2\n"};
    for (size_t i = 0; i < sizeof none / sizeof *none; i++) {
        scratch_text("x", none[i]);
        ck_assert_msg(vec_open("x", VEC_AUTO, &r) == RH_ECORRUPT, "%s", none[i]);
        ck_assert_str_eq(err_text(),
                         "x is none of the files of vectors that are read: .npy, safetensors, "
                         "word2vec text or binary, GloVe text, fastText .vec");
    }
    scratch_text("x", "");
    ck_assert_int_eq(vec_open("x", VEC_AUTO, &r), RH_ECORRUPT);
    ck_assert_str_eq(err_text(), "x is empty");
}
END_TEST

/* What lies beside people's vectors, by its first bytes, and a part of the hint. */
START_TEST(known_files_of_other_kinds_are_refused_with_a_hint) {
    static const struct {
        const char *bytes;
        size_t len;
        const char *hint;
    } cases[] = {
#define KIND(bytes, hint) {bytes, sizeof(bytes) - 1, hint}
        KIND("\xBA\x16\x4F\x2F\x0C\0\0\0", "is a model of fastText (.bin): load the .vec file"),
        KIND("\x80\x04\x95\x10\0\0\0", "is a pickle, which is a program, and is not read"),
        KIND("\x80\x02}q", "is a pickle"),
        KIND("PK\x03\x04\x14\0", "is a zip archive: of an .npz unpack the .npy"),
        KIND("\x1F\x8B\x08\0", "is packed with gzip: gunzip it first"),
        KIND("\xFD"
             "7zXZ\0",
             "is packed with xz"),
        KIND("BZh91AY", "is packed with bzip2"),
        KIND("\x28\xB5\x2F\xFD", "is packed with zstd"),
        KIND("\x89HDF\r\n", "is an HDF5 file"),
        KIND("\xEF\xBB\xBF"
             "2 2\na 1 2\nb 1 2\n",
             "begins with a byte order mark"),
        KIND("{\"weight_map\": {}}", "load the one that its weight_map names"),
        KIND("\0\0\0\0\0\0\xF0\x3F\0\0\0\0\0\0\0\x40", "GloVe's binary form"),
#undef KIND
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        scratch_file("x.vec", cases[i].bytes, cases[i].len);
        ck_assert_int_eq(vec_open("x.vec", VEC_AUTO, &r), RH_EINVAL);
        ck_assert_msg(strstr(err_text(), cases[i].hint) != NULL, "%s", err_text());
        ck_assert_int_ne(vec_open("x.vec", VEC_W2V_BIN, &r), RH_OK);
        ck_assert_ptr_null(r);
    }
}
END_TEST

START_TEST(every_format_is_known_by_its_content_and_says_what_it_is) {
    static const char *const about[] = {
        "x: npy, 2 x 3, <f4, C order",     "x: safetensors, 2 x 3, tensor 'weight', F32",
        "x: word2vec text, 2 x 3",         "x: word2vec binary, 2 x 3",
        "x: GloVe text, 2 x 3, no header", "x: fastText .vec, 2 x 3"};
    for (int f = 0; f < FORMATS; f++) {
        write_rows("x", all_formats[f].format, 2);
        ck_assert_int_eq(vec_open("x", VEC_AUTO, &r), RH_OK);
        ck_assert_int_eq(vec_format_of(r), all_formats[f].format);
        ck_assert_str_eq(vec_about(r), about[f]);
        ck_assert_int_eq(vec_has_words(r), f >= 2);
        vec_close(&r);
    }
}
END_TEST

START_TEST(a_dim_that_is_asked_for_must_be_the_files) {
    for (int f = 0; f < FORMATS; f++) {
        write_rows("x", all_formats[f].format, 2);
        ck_assert_int_eq(vec_open_with("x", &(struct vec_options){.dim = 3}, &r), RH_OK);
        vec_close(&r);
        if (all_formats[f].format == VEC_GLOVE)
            continue; /* there, it says where to split */
        ck_assert_int_eq(vec_open_with("x", &(struct vec_options){.dim = 2}, &r), RH_EMISMATCH);
        ck_assert_str_eq(err_text(), "x has rows of 3 numbers, not of 2");
    }
}
END_TEST

/* ---- walking through ---- */

START_TEST(rows_are_passed_over_looked_at_again_and_begun_anew) {
    for (int f = 0; f < FORMATS; f++) {
        float got[3];
        const char *word;
        write_rows("x", all_formats[f].format, 3);
        ck_assert_int_eq(vec_open("x", VEC_AUTO, &r), RH_OK);
        for (int round = 0; round < 2; round++) {
            ck_assert_int_eq(vec_next(r, NULL, NULL), RH_OK);
            ck_assert_int_eq(vec_next(r, &word, NULL), RH_OK);
            ck_assert_str_eq(word, vec_has_words(r) ? "word" : "");
            ck_assert_int_eq(vec_row(r, got), RH_OK);
            ck_assert_mem_eq(got, row, sizeof got);
            ck_assert_int_eq(vec_next(r, NULL, got), RH_OK);
            ck_assert_mem_eq(got, row, sizeof got);
            ck_assert_int_eq(vec_next(r, NULL, got), RH_ENOTFOUND);
            vec_rewind(r);
        }
        vec_close(&r);
    }
}
END_TEST

START_TEST(rows_come_many_at_once) {
    enum { ROWS = 50000 };
    float *got = malloc(ROWS * sizeof row);
    for (int f = 0; f < FORMATS; f++) {
        uint64_t n;
        write_rows("x", all_formats[f].format, ROWS);
        ck_assert_int_eq(vec_open("x", VEC_AUTO, &r), RH_OK);
        ck_assert_int_eq(vec_next(r, NULL, got), RH_OK);
        ck_assert_int_eq(vec_next_rows(r, 3, got, &n), RH_OK);
        ck_assert_uint_eq(n, 3);
        ck_assert_int_eq(vec_next_rows(r, UINT64_MAX, got, &n), RH_OK);
        ck_assert_uint_eq(n, ROWS - 4);
        for (uint64_t i = 0; i < n; i++)
            ck_assert_mem_eq(got + i * 3, row, sizeof row);
        ck_assert_int_eq(vec_next_rows(r, 1, got, &n), RH_OK);
        ck_assert_uint_eq(n, 0);
        vec_close(&r);
    }
    free(got);
}
END_TEST

START_TEST(what_is_no_file_is_refused) {
    ck_assert_int_eq(vec_open("nowhere", VEC_AUTO, &r), RH_ENOTFOUND);
    ck_assert_str_eq(err_text(), "cannot open nowhere: No such file or directory");
    ck_assert_int_eq(mkdir("folder", 0755), 0);
    ck_assert_int_eq(vec_open("folder", VEC_AUTO, &r), RH_EINVAL);
    ck_assert_str_eq(err_text(), "folder is no regular file: it cannot be read");
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
    for (int f = 0; f < FORMATS; f++) {
        ck_assert_int_eq(vec_create(all_formats[f].path, all_formats[f].format, ROWS, DIM, &w),
                         RH_OK);
        for (int i = 0; i < ROWS; i++)
            ck_assert_int_eq(vec_put(w, "w", all[i]), RH_OK);
        ck_assert_int_eq(vec_commit(&w), RH_OK);
        ck_assert_int_eq(vec_open(all_formats[f].path, all_formats[f].format, &r), RH_OK);
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
    for (int f = 0; f < FORMATS; f++) {
        write_rows(all_formats[f].path, all_formats[f].format, 0);
        if (all_formats[f].format == VEC_GLOVE)
            continue; /* nothing in it says how many numbers a row would have */
        ck_assert_int_eq(vec_open(all_formats[f].path, all_formats[f].format, &r), RH_OK);
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
    for (int f = 0; f < FORMATS; f++) {
        ck_assert_int_eq(vec_create(all_formats[f].path, all_formats[f].format, 2, VEC_DIM_MAX, &w),
                         RH_OK);
        ck_assert_int_eq(vec_put(w, "a", big), RH_OK);
        ck_assert_int_eq(vec_put(w, "b", big), RH_OK);
        ck_assert_int_eq(vec_commit(&w), RH_OK);
        ck_assert_int_eq(vec_open(all_formats[f].path, all_formats[f].format, &r), RH_OK);
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
    for (int f = 0; f < FORMATS; f++) {
        ck_assert_int_eq(vec_create(all_formats[f].path, all_formats[f].format, 3, 3, &w), RH_OK);
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
    for (int f = 0; f < FORMATS; f++) {
        scratch_text(all_formats[f].path, "old");
        ck_assert_int_eq(vec_create(all_formats[f].path, all_formats[f].format, 100, 3, &w), RH_OK);
        for (int i = 0; i < 100; i++)
            ck_assert_int_eq(vec_put(w, "word", row), RH_OK);
        ck_assert_int_eq(setrlimit(RLIMIT_FSIZE, &small), 0);
        rh_status st = vec_commit(&w);
        ck_assert_int_eq(setrlimit(RLIMIT_FSIZE, &kept), 0);
        ck_assert_int_eq(st, RH_EIO);
        char want[128];
        snprintf(want, sizeof want, "cannot write %s.%ld.tmp: File too large", all_formats[f].path,
                 (long)getpid());
        ck_assert_str_eq(err_text(), want);
        ck_assert_int_eq(scratch_count(), f + 1);
        char *old = scratch_read(all_formats[f].path, NULL);
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
    tcase_add_test(t, what_is_none_of_them_is_refused);
    tcase_add_test(t, known_files_of_other_kinds_are_refused_with_a_hint);
    tcase_add_test(t, every_format_is_known_by_its_content_and_says_what_it_is);
    tcase_add_test(t, a_dim_that_is_asked_for_must_be_the_files);
    tcase_add_test(t, rows_are_passed_over_looked_at_again_and_begun_anew);
    tcase_add_test(t, rows_come_many_at_once);
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
