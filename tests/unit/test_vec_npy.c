/* test_vec_npy.c - .npy as numpy writes it, and its traps. */
#include <check.h>
#include <math.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common/err.h"
#include "common/rng.h"
#include "common/vecfile.h"
#include "tests/support/scratch.h"
#include "tests/support/seed.h"
#include "tests/unit/suites.h"

static struct vec_reader *r;

static void teardown(void) {
    vec_close(&r);
    scratch_leave();
}

/* [[1, 2, 3], [-0.5, 0.25, 0.001]] as float32 */
static const float rows[2][3] = {{1, 2, 3}, {-0.5f, 0.25f, 0.001f}};
#define DATA                                                                                       \
    "\x00\x00\x80\x3f\x00\x00\x00\x40\x00\x00\x40\x40\x00\x00\x00\xbf\x00\x00\x80\x3e\x6f\x12\x83" \
    "\x3a"
enum { DATA_LEN = sizeof rows };

/* A file of this version with this header and these data; the status of opening it. */
static rh_status open_with(int version, const char *header, size_t data_len) {
    static char bytes[30000];
    size_t len = strlen(header), at = version == 1 ? 10 : 12;
    memset(bytes, 0, sizeof bytes);
    memcpy(bytes, "\x93NUMPY", 6);
    bytes[6] = (char)version;
    bytes[8] = (char)(len & 0xFF);
    bytes[9] = (char)(len >> 8);
    memcpy(bytes + at, header, len);
    memcpy(bytes + at + len, DATA, DATA_LEN);
    scratch_file("x.npy", bytes, at + len + data_len);
    vec_close(&r);
    return vec_open("x.npy", VEC_AUTO, &r);
}

#define DICT(descr, fortran, shape) \
    "{'descr': " descr ", 'fortran_order': " fortran ", 'shape': " shape ", }\n"
#define GOOD DICT("'<f4'", "False", "(2, 3)")

static void expect_rows(void) {
    float got[3];
    const char *word = NULL;
    ck_assert_uint_eq(vec_rows(r), 2);
    ck_assert_uint_eq(vec_dim(r), 3);
    for (int i = 0; i < 2; i++) {
        ck_assert_int_eq(vec_next(r, &word, got), RH_OK);
        ck_assert_mem_eq(got, rows[i], sizeof got);
        ck_assert_str_eq(word, "");
    }
    ck_assert_int_eq(vec_next(r, &word, got), RH_ENOTFOUND);
}

/* Bytes of numpy 1.24's save(). */
static const char numpys[] =
    "\x93NUMPY\x01\x00v\x00{'descr': '<f4', 'fortran_order': False, 'shape': (2, 3), }"
    "                                                          \n" DATA;

START_TEST(what_numpy_writes_is_read) {
    scratch_file("x.npy", numpys, sizeof numpys - 1);
    ck_assert_int_eq(vec_open("x.npy", VEC_AUTO, &r), RH_OK);
    expect_rows();
}
END_TEST

START_TEST(what_is_written_are_numpys_bytes) {
    struct vec_writer *w;
    ck_assert_int_eq(vec_create("x.npy", VEC_AUTO, 2, 3, &w), RH_OK);
    ck_assert_int_eq(vec_put(w, NULL, rows[0]), RH_OK);
    ck_assert_int_eq(vec_put(w, "ignored", rows[1]), RH_OK);
    ck_assert_int_eq(vec_commit(&w), RH_OK);
    size_t len;
    char *bytes = scratch_read("x.npy", &len);
    ck_assert_uint_eq(len, sizeof numpys - 1);
    ck_assert_mem_eq(bytes, numpys, len);
    free(bytes);
}
END_TEST

START_TEST(a_header_of_the_largest_counts_is_aligned) {
    struct vec_writer *w;
    ck_assert_int_eq(vec_create("x.npy", VEC_AUTO, UINT64_MAX, VEC_DIM_MAX, &w), RH_OK);
    vec_abandon(&w);
    ck_assert_int_eq(vec_create("x.npy", VEC_AUTO, 0, VEC_DIM_MAX, &w), RH_OK);
    ck_assert_int_eq(vec_commit(&w), RH_OK);
    size_t len;
    free(scratch_read("x.npy", &len));
    ck_assert_uint_eq(len % 64, 0);
}
END_TEST

START_TEST(all_three_versions_are_read) {
    for (int version = 1; version <= 3; version++) {
        ck_assert_int_eq(open_with(version, GOOD, DATA_LEN), RH_OK);
        expect_rows();
    }
    ck_assert_int_eq(open_with(4, GOOD, DATA_LEN), RH_EINVAL);
    ck_assert_str_eq(err_text(), "x.npy is of .npy version 4.0; 1.0, 2.0 and 3.0 are read");
    ck_assert_int_eq(open_with(0, GOOD, DATA_LEN), RH_EINVAL);
}
END_TEST

START_TEST(data_begin_where_the_header_says_not_at_128) {
    ck_assert_int_eq(open_with(1, "{'descr':'<f4','fortran_order':False,'shape':(2,3)}", DATA_LEN),
                     RH_OK);
    expect_rows();
}
END_TEST

START_TEST(keys_may_come_in_any_order_and_quotes) {
    ck_assert_int_eq(
        open_with(1, "{\"shape\": (2, 3), \"fortran_order\": False, \"descr\": \"<f4\"}\n",
                  DATA_LEN),
        RH_OK);
    expect_rows();
    ck_assert_int_eq(open_with(1, DICT("'<f4'", "False", "(2L, 3L)"), DATA_LEN), RH_OK);
    expect_rows();
}
END_TEST

/* A header of this type and order, then these data. */
static rh_status open_array(const char *descr, bool fortran, const char *shape, const void *data,
                            size_t len) {
    static char bytes[1000];
    int n = snprintf(bytes + 10, sizeof bytes - 10,
                     "{'descr': '%s', 'fortran_order': %s, 'shape': %s, }\n", descr,
                     fortran ? "True" : "False", shape);
    memcpy(bytes, "\x93NUMPY\x01\0", 8);
    bytes[8] = (char)n;
    bytes[9] = 0;
    memcpy(bytes + 10 + n, data, len);
    scratch_file("x.npy", bytes, 10 + (size_t)n + len);
    vec_close(&r);
    return vec_open("x.npy", VEC_AUTO, &r);
}

/* The bytes of a number, the other way round. */
static void turn(char *bytes, size_t len, size_t width) {
    for (size_t i = 0; i < len; i += width)
        for (size_t k = 0; k < width / 2; k++) {
            char c = bytes[i + k];
            bytes[i + k] = bytes[i + width - 1 - k];
            bytes[i + width - 1 - k] = c;
        }
}

START_TEST(every_type_byte_order_and_array_order_is_read) {
    static const double want[2][3] = {{1, -2, 0.5}, {0.25, 3, -1.5}};
    static const char *const descrs[] = {"<f2", ">f2", "<f4", ">f4", "<f8", ">f8"};
    static const uint16_t halves[] = {0x3C00, 0xC000, 0x3800, 0x3400, 0x4200, 0xBE00};
    for (int d = 0; d < 6; d++) {
        for (int fortran = 0; fortran < 2; fortran++) {
            char bytes[48];
            size_t width = d < 2 ? 2 : d < 4 ? 4 : 8;
            for (int i = 0; i < 2; i++) {
                for (int k = 0; k < 3; k++) {
                    int at = fortran ? k * 2 + i : i * 3 + k;
                    float f = (float)want[i][k];
                    const void *from = width == 2   ? (const void *)&halves[i * 3 + k]
                                       : width == 4 ? (const void *)&f
                                                    : (const void *)&want[i][k];
                    memcpy(bytes + (size_t)at * width, from, width);
                }
            }
            if (*descrs[d] == '>')
                turn(bytes, 6 * width, width);
            ck_assert_int_eq(open_array(descrs[d], fortran, "(2, 3)", bytes, 6 * width), RH_OK);
            for (int i = 0; i < 2; i++) {
                float got[3];
                ck_assert_int_eq(vec_next(r, NULL, got), RH_OK);
                for (int k = 0; k < 3; k++)
                    ck_assert(got[k] == (float)want[i][k]);
            }
            ck_assert_int_eq(vec_next(r, NULL, NULL), RH_ENOTFOUND);
        }
    }
    ck_assert_str_eq(vec_about(r), "x.npy: npy, 2 x 3, >f8, Fortran order");
}
END_TEST

START_TEST(a_double_too_large_for_a_float_is_refused_by_place) {
    double values[] = {1, 2, 3, 1e39};
    float got[2];
    ck_assert_int_eq(open_array("<f8", false, "(2, 2)", values, sizeof values), RH_OK);
    ck_assert_int_eq(vec_next(r, NULL, got), RH_OK);
    ck_assert_int_eq(vec_next(r, NULL, got), RH_ECORRUPT);
    char want[120];
    size_t len;
    free(scratch_read("x.npy", &len));
    snprintf(want, sizeof want,
             "x.npy byte %zu: number 1 of row 1 is infinite, or too large for a float32", len - 8);
    ck_assert_str_eq(err_text(), want);
    values[3] = 1e-60; /* is zero */
    ck_assert_int_eq(open_array("<f8", false, "(2, 2)", values, sizeof values), RH_OK);
    ck_assert_int_eq(vec_next(r, NULL, got), RH_OK);
    ck_assert_int_eq(vec_next(r, NULL, got), RH_OK);
    ck_assert(got[1] == 0);
}
END_TEST

START_TEST(in_fortran_order_too_what_is_not_finite_is_refused_by_place) {
    float values[] = {1, 2, 3, 4, 5, 6}, got[3]; /* rows 1 3 5 and 2 4 6 */
    memcpy(&values[3], "\0\0\xc0\x7f", 4);
    ck_assert_int_eq(open_array("<f4", true, "(2, 3)", values, sizeof values), RH_OK);
    ck_assert_int_eq(vec_next(r, NULL, got), RH_OK);
    ck_assert(got[0] == 1 && got[1] == 3 && got[2] == 5);
    ck_assert_int_eq(vec_next(r, NULL, got), RH_ECORRUPT);
    char want[120];
    size_t len;
    free(scratch_read("x.npy", &len));
    snprintf(want, sizeof want, "x.npy byte %zu: number 1 of row 1 is NaN", len - 12);
    ck_assert_str_eq(err_text(), want);
    uint64_t n;
    float all[6];
    vec_rewind(r);
    ck_assert_int_eq(vec_next_rows(r, 2, all, &n), RH_ECORRUPT);
    ck_assert_str_eq(err_text(), want);
}
END_TEST

/* More rows than a block has, and columns that are no multiple of a tile. */
START_TEST(an_array_in_fortran_order_of_many_blocks_is_turned_around) {
    enum { ROWS = 40000, DIM = 19 };
    static const char head[] =
        "\x93NUMPY\x01\0\x3F\0{'descr': '<f4', 'fortran_order': True, 'shape': (40000, 19), }\n";
    size_t head_len = sizeof head - 1, len = head_len + ROWS * DIM * sizeof(float);
    char *bytes = malloc(len);
    memcpy(bytes, head, head_len);
    bytes[8] = (char)(head_len - 10);
    for (uint32_t k = 0; k < DIM; k++) {
        for (uint32_t i = 0; i < ROWS; i++) {
            float v = (float)(i * DIM + k);
            memcpy(bytes + head_len + (k * (size_t)ROWS + i) * sizeof v, &v, sizeof v);
        }
    }
    scratch_file("x.npy", bytes, len);
    free(bytes);
    ck_assert_int_eq(vec_open("x.npy", VEC_AUTO, &r), RH_OK);
    for (int round = 0; round < 2; round++) {
        for (uint32_t i = 0; i < ROWS; i++) {
            float got[DIM];
            ck_assert_int_eq(vec_next(r, NULL, got), RH_OK);
            for (uint32_t k = 0; k < DIM; k++)
                ck_assert(got[k] == (float)(i * DIM + k));
        }
        vec_rewind(r);
    }
    float *all = malloc(ROWS * DIM * sizeof *all);
    uint64_t n;
    ck_assert_int_eq(vec_next_rows(r, ROWS, all, &n), RH_OK);
    ck_assert_uint_eq(n, ROWS);
    for (uint32_t i = 0; i < ROWS * DIM; i++)
        ck_assert(all[i] == (float)i);
    free(all);
}
END_TEST

/* An array of this type whose numbers are small integers: number (i, k) is (i * dim + k) % 2000. */
static void write_fortran(const char *descr, uint64_t n, uint32_t dim, uint64_t nan_at) {
    char head[128];
    const size_t width = (size_t)(descr[2] - '0');
    int len =
        snprintf(head, sizeof head,
                 "\x93NUMPY%c%c%c%c{'descr': '%s', 'fortran_order': True, 'shape': (%d, %d)}\n", 1,
                 0, 0, 0, descr, (int)n, (int)dim);
    head[8] = (char)(len - 10);
    char *bytes = malloc((size_t)len + n * dim * width), *p = bytes + len;
    memcpy(bytes, head, (size_t)len);
    for (uint64_t at = 0; at < n * dim; at++, p += width) {
        uint32_t v = (uint32_t)(at % n * dim + at / n) % 2000, half = 0;
        float single = at == nan_at ? NAN : (float)v;
        double wide = (double)single;
        for (uint32_t e = 0; e < 11 && v > 0; e++)
            if (v >> e == 1)
                half = (e + 15) << 10 | (v << (10 - e) & 0x3FF);
        memcpy(p, width == 2 ? (void *)&half : width == 4 ? (void *)&single : (void *)&wide, width);
        for (size_t b = 0; descr[0] == '>' && b < width / 2; b++) {
            char kept = p[b];
            p[b] = p[width - 1 - b];
            p[width - 1 - b] = kept;
        }
    }
    scratch_file("x.npy", bytes, (size_t)len + n * dim * width);
    free(bytes);
}

START_TEST(rows_of_fortran_order_come_in_portions_of_any_size) {
    enum { ROWS = 2500, DIM_MAX = 131 };
    static const char *const descrs[] = {"<f4", ">f4", "<f2", ">f2", "<f8", ">f8"};
    static const uint32_t dims[] = {1, 16, 67, DIM_MAX};
    static float got[ROWS * DIM_MAX];
    struct rng g;
    rng_init(&g, test_seed("fortran"), 0);
    for (int c = 0; c < 24; c++) {
        uint32_t dim = dims[c % 4];
        write_fortran(descrs[c / 4], ROWS, dim, UINT64_MAX);
        ck_assert_int_eq(vec_open("x.npy", VEC_AUTO, &r), RH_OK);
        uint64_t n, first = 0;
        do {
            uint64_t most = rng_u32(&g) % 3 == 0 ? rng_u32(&g) % 9 + 1 : rng_u32(&g) % 1500 + 1;
            ck_assert_int_eq(vec_next_rows(r, most, got, &n), RH_OK);
            ck_assert_uint_eq(n, most < ROWS - first ? most : ROWS - first);
            for (uint64_t i = 0; i < n * dim; i++)
                ck_assert_msg(got[i] == (float)((first * dim + i) % 2000), "%s, dim %u, row %d",
                              descrs[c / 4], dim, (int)(first + i / dim));
            first += n;
        } while (n > 0);
        ck_assert_uint_eq(first, ROWS);
        vec_close(&r);
    }
}
END_TEST

START_TEST(many_rows_of_fortran_order_are_refused_by_the_place_of_what_is_not_finite) {
    static float got[3000 * 20];
    uint64_t n;
    write_fortran(">f4", 3000, 20, 17 * 3000 + 1234);
    ck_assert_int_eq(vec_open("x.npy", VEC_AUTO, &r), RH_OK);
    ck_assert_int_eq(vec_next_rows(r, 3000, got, &n), RH_ECORRUPT);
    ck_assert_ptr_nonnull(strstr(err_text(), ": number 17 of row 1234 is NaN"));
}
END_TEST

START_TEST(a_file_that_shrinks_while_it_is_read_ends_too_early) {
    enum { ROWS = 100000 };
    struct vec_writer *w;
    float got[3];
    ck_assert_int_eq(vec_create("x.npy", VEC_AUTO, ROWS, 3, &w), RH_OK);
    for (int i = 0; i < ROWS; i++)
        ck_assert_int_eq(vec_put(w, NULL, rows[0]), RH_OK);
    ck_assert_int_eq(vec_commit(&w), RH_OK);
    ck_assert_int_eq(vec_open("x.npy", VEC_AUTO, &r), RH_OK);
    ck_assert_int_eq(vec_next(r, NULL, got), RH_OK);
    ck_assert_int_eq(truncate("x.npy", 600000), 0);
    rh_status s;
    while ((s = vec_next(r, NULL, got)) == RH_OK)
        continue;
    ck_assert_int_eq(s, RH_ECORRUPT);
    ck_assert_str_eq(err_text(), "x.npy ends too early, after 49989 of its rows");
}
END_TEST

START_TEST(files_of_another_kind_are_refused_in_clear_words) {
    static const struct {
        const char *header, *error;
    } cases[] = {
        {DICT("'<i8'", "False", "(2, 3)"), "holds <i8; floats of 2, 4 and 8 bytes are read"},
        {DICT("'<f16'", "False", "(2, 3)"), "save it with astype('<f4')"},
        {DICT("'|f4'", "False", "(2, 3)"), "holds |f4; floats"},
        {DICT("'<c8'", "False", "(2, 3)"), "holds <c8; floats"},
        {DICT("'|O'", "False", "(2, 3)"), "holds pickled Python objects"},
        {DICT("[('a', '<f4')]", "False", "(2, 3)"), "holds records"},
        {DICT("'<f4'", "False", "(6,)"), "has shape (6,); a table has two dimensions"},
        {DICT("'<f4'", "False", "()"), "has shape (); a table has two dimensions"},
        {DICT("'<f4'", "False", "(2, 3, 1)"), "has shape (2, 3, 1); a table has two dimensions"},
        {DICT("'<f4'", "False", "(6, 0)"), "has shape (6, 0); rows of 1 to 65536 numbers"},
        {DICT("'<f4'", "False", "(0, 65537)"), "has shape (0, 65537); rows of 1 to 65536 numbers"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        ck_assert_int_eq(open_with(1, cases[i].header, DATA_LEN), RH_EINVAL);
        ck_assert_msg(strstr(err_text(), cases[i].error) != NULL, "%s: %s", cases[i].header,
                      err_text());
        ck_assert(strncmp(err_text(), "x.npy ", 6) == 0);
        ck_assert_ptr_null(r);
    }
}
END_TEST

START_TEST(a_header_that_is_no_dict_of_the_three_keys_is_refused) {
    static const char *const headers[] = {
        "",
        "x",
        "{",
        "{}",
        "{'descr': '<f4'",
        "{'descr': '<f4', 'fortran_order': False}",
        "{'descr': '<f4', 'fortran_order': False, 'shape': (2, 3)",
        "{'descr': '<f4', 'fortran_order': False, 'shape': (2, 3}",
        "{'descr': '<f4', 'fortran_order': False, 'shape': (2, 3), 'more': 1}",
        "{'descr': '<f4', 'fortran_order': False, 'shape': (2, 3), 'shape': (2, 3)}",
        "{'descr': '<f4', 'fortran_order': False, 'shape': (2, 3)} x",
        "{'descr': '<f4', 'fortran_order': False 'shape': (2, 3)}",
        "{'descr' '<f4', 'fortran_order': False, 'shape': (2, 3)}",
        "{'descr': <f4, 'fortran_order': False, 'shape': (2, 3)}",
        "{'descr': '<f4, 'fortran_order': False, 'shape': (2, 3)}",
        "{'descr': '\\x3cf4', 'fortran_order': False, 'shape': (2, 3)}",
        "{'descr': '<f4', 'fortran_order': 0, 'shape': (2, 3)}",
        "{'descr': '<f4', 'fortran_order': False, 'shape': (-2, 3)}",
        "{'descr': '<f4', 'fortran_order': False, 'shape': (2 3)}",
        "{'descr': '<f4', 'fortran_order': False, 'shape': 6}",
        "{'descr': '<f4', 'fortran_order': False, 'shape': (99999999999999999999, 3)}",
        "{'descr': __import__('os').abort(), 'fortran_order': False, 'shape': (2, 3)}",
    };
    for (size_t i = 0; i < sizeof headers / sizeof *headers; i++)
        ck_assert_msg(open_with(1, headers[i], DATA_LEN) == RH_ECORRUPT, "%s: %s", headers[i],
                      err_text());
    ck_assert_int_eq(open_with(1, "{'descr': <f4}", DATA_LEN), RH_ECORRUPT);
    ck_assert_str_eq(err_text(), "x.npy byte 20: the header should have a type such as '<f4' here");
}
END_TEST

START_TEST(a_header_may_have_10000_bytes_and_no_more) {
    char header[10002];
    memset(header, ' ', sizeof header);
    memcpy(header, GOOD, sizeof GOOD - 1);
    header[10000] = '\0';
    ck_assert_int_eq(open_with(2, header, DATA_LEN), RH_OK);
    expect_rows();
    header[10000] = ' ';
    header[10001] = '\0';
    ck_assert_int_eq(open_with(2, header, DATA_LEN), RH_ECORRUPT);
    ck_assert_str_eq(err_text(), "x.npy byte 8: the header has 10001 bytes; the limit is 10000");
}
END_TEST

START_TEST(the_file_has_just_the_bytes_of_its_shape) {
    ck_assert_int_eq(open_with(1, GOOD, DATA_LEN - 1), RH_ECORRUPT);
    char want[128];
    snprintf(
        want, sizeof want,
        "x.npy has %zu bytes, which is not its header of %zu and an array of <f4 of shape (2, 3)",
        10 + strlen(GOOD) + DATA_LEN - 1, 10 + strlen(GOOD));
    ck_assert_str_eq(err_text(), want);
    ck_assert_int_eq(open_with(1, GOOD, DATA_LEN + 1), RH_ECORRUPT);
    ck_assert_int_eq(open_with(1, DICT("'<f4'", "False", "(1000000000000, 3)"), DATA_LEN),
                     RH_ECORRUPT);
    /* 2^63 * 2 * 4 wraps to 0, were it not checked */
    ck_assert_int_eq(open_with(1, DICT("'<f4'", "False", "(9223372036854775808, 2)"), 0),
                     RH_ECORRUPT);
}
END_TEST

START_TEST(a_file_cut_anywhere_is_refused) {
    for (size_t len = 0; len < sizeof numpys - 1; len++) {
        scratch_file("x.npy", numpys, len);
        ck_assert_msg(vec_open("x.npy", VEC_NPY, &r) == RH_ECORRUPT, "%zu bytes", len);
    }
}
END_TEST

START_TEST(any_flipped_bit_of_the_header_is_refused_or_harmless) {
    char copy[sizeof numpys];
    float got[3];
    for (size_t at = 0; at < 128; at++) {
        for (int bit = 0; bit < 8; bit++) {
            memcpy(copy, numpys, sizeof copy);
            copy[at] ^= (char)(1 << bit);
            scratch_file("x.npy", copy, sizeof copy - 1);
            if (vec_open("x.npy", VEC_NPY, &r) != RH_OK)
                continue;
            while (vec_next(r, NULL, got) == RH_OK)
                ck_assert_uint_eq(vec_dim(r), 3);
            vec_close(&r);
        }
    }
}
END_TEST

START_TEST(nan_and_infinity_are_refused_by_place) {
    char copy[sizeof numpys];
    float got[3];
    memcpy(copy, numpys, sizeof copy);
    memcpy(copy + 128 + 16, "\x00\x00\xc0\x7f", 4);
    scratch_file("x.npy", copy, sizeof copy - 1);
    ck_assert_int_eq(vec_open("x.npy", VEC_AUTO, &r), RH_OK);
    ck_assert_int_eq(vec_next(r, NULL, got), RH_OK);
    ck_assert_int_eq(vec_next(r, NULL, got), RH_ECORRUPT);
    ck_assert_str_eq(err_text(), "x.npy byte 144: number 1 of row 1 is NaN");
    vec_close(&r);
    memcpy(copy + 128, "\x00\x00\x80\xff", 4);
    scratch_file("x.npy", copy, sizeof copy - 1);
    ck_assert_int_eq(vec_open("x.npy", VEC_AUTO, &r), RH_OK);
    ck_assert_int_eq(vec_next(r, NULL, got), RH_ECORRUPT);
    ck_assert_str_eq(err_text(), "x.npy byte 128: number 0 of row 0 is infinite");
}
END_TEST

Suite *vec_npy_suite(void) {
    Suite *s = suite_create("vec_npy");
    TCase *t = tcase_create("npy");
    tcase_add_checked_fixture(t, scratch_enter, teardown);
    tcase_add_test(t, what_numpy_writes_is_read);
    tcase_add_test(t, what_is_written_are_numpys_bytes);
    tcase_add_test(t, a_header_of_the_largest_counts_is_aligned);
    tcase_add_test(t, all_three_versions_are_read);
    tcase_add_test(t, data_begin_where_the_header_says_not_at_128);
    tcase_add_test(t, keys_may_come_in_any_order_and_quotes);
    tcase_add_test(t, every_type_byte_order_and_array_order_is_read);
    tcase_add_test(t, a_double_too_large_for_a_float_is_refused_by_place);
    tcase_add_test(t, in_fortran_order_too_what_is_not_finite_is_refused_by_place);
    tcase_add_test(t, an_array_in_fortran_order_of_many_blocks_is_turned_around);
    tcase_add_test(t, rows_of_fortran_order_come_in_portions_of_any_size);
    tcase_add_test(t, many_rows_of_fortran_order_are_refused_by_the_place_of_what_is_not_finite);
    tcase_add_test(t, a_file_that_shrinks_while_it_is_read_ends_too_early);
    tcase_add_test(t, files_of_another_kind_are_refused_in_clear_words);
    tcase_add_test(t, a_header_that_is_no_dict_of_the_three_keys_is_refused);
    tcase_add_test(t, a_header_may_have_10000_bytes_and_no_more);
    tcase_add_test(t, the_file_has_just_the_bytes_of_its_shape);
    tcase_add_test(t, a_file_cut_anywhere_is_refused);
    tcase_add_test(t, any_flipped_bit_of_the_header_is_refused_or_harmless);
    tcase_add_test(t, nan_and_infinity_are_refused_by_place);
    suite_add_tcase(s, t);
    return s;
}
