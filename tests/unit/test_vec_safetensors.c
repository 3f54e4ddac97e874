/* test_vec_safetensors.c - safetensors: every rule of the format, and which tensor is taken. */
#include <check.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/err.h"
#include "common/vecfile.h"
#include "tests/support/scratch.h"
#include "tests/unit/suites.h"

static struct vec_reader *r;
static struct vec_writer *w;

static void teardown(void) {
    vec_close(&r);
    vec_abandon(&w);
    scratch_leave();
}

/* A file of this header and a buffer of so many bytes, and the status of opening it. */
static rh_status open_tensor(const char *header, const void *data, size_t data_len,
                             const char *tensor) {
    static char bytes[100000];
    uint64_t len = strlen(header);
    memcpy(bytes, &len, 8);
    memcpy(bytes + 8, header, len);
    memcpy(bytes + 8 + len, data, data_len);
    scratch_file("x.safetensors", bytes, 8 + len + data_len);
    vec_close(&r);
    return vec_open_with("x.safetensors", &(struct vec_options){.tensor = tensor}, &r);
}

static rh_status open_header(const char *header, size_t data_len) {
    static const char zeros[64];
    return open_tensor(header, zeros, data_len, NULL);
}

static void expect_rows(const float *want, uint64_t rows, uint32_t dim) {
    float row[8];
    ck_assert_uint_eq(vec_rows(r), rows);
    ck_assert_uint_eq(vec_dim(r), dim);
    for (uint64_t i = 0; i < rows; i++) {
        ck_assert_int_eq(vec_next(r, NULL, row), RH_OK);
        ck_assert_mem_eq(row, want + i * dim, dim * sizeof *row);
    }
    ck_assert_int_eq(vec_next(r, NULL, row), RH_ENOTFOUND);
}

#define TENSOR(name, dtype, shape, offsets) \
    "\"" name "\":{\"dtype\":\"" dtype "\",\"shape\":" shape ",\"data_offsets\":" offsets "}"

START_TEST(floats_of_every_width_are_read) {
    static const float want[] = {1, -2, 0.5f, 1.5f};
    static const struct {
        const char *header;
        const char *data;
        size_t len;
    } cases[] = {{"{" TENSOR("w", "F32", "[2,2]", "[0,16]") "}",
                  "\0\0\x80\x3f\0\0\0\xc0\0\0\0\x3f\0\0\xc0\x3f", 16},
                 {"{" TENSOR("w", "F16", "[2,2]", "[0,8]") "}", "\0\x3c\0\xc0\0\x38\0\x3e", 8},
                 {"{" TENSOR("w", "BF16", "[2,2]", "[0,8]") "}", "\x80\x3f\0\xc0\0\x3f\xc0\x3f", 8},
                 {"{" TENSOR("w", "F64", "[2,2]", "[0,32]") "}",
                  "\0\0\0\0\0\0\xf0\x3f\0\0\0\0\0\0\0\xc0\0\0\0\0\0\0\xe0\x3f\0\0\0\0\0\0\xf8\x3f",
                  32}};
    for (int i = 0; i < 4; i++) {
        ck_assert_int_eq(open_tensor(cases[i].header, cases[i].data, cases[i].len, NULL), RH_OK);
        expect_rows(want, 2, 2);
    }
    ck_assert_str_eq(vec_about(r), "x.safetensors: safetensors, 2 x 2, tensor 'w', F64");
}
END_TEST

/* Other tensors, metadata, spaces behind the header, keys in any order, a tensor of no rows and one
 * of no dimensions: all are in real files. */
#define MIXED                                                                                     \
    "{\"__metadata__\":{\"format\":\"pt\"}," TENSOR("bias", "F32", "[2]", "[20,28]") "," TENSOR(  \
        "ids", "I64", "[1,1]",                                                                    \
        "[0,8]") "," TENSOR("step", "F32", "[]",                                                  \
                            "[8,12]") ","                                                         \
                                      "\"emb.weight\":{\"data_offsets\":[12,20],\"shape\":[1,2]," \
                                      "\"dtype\":\"F32\",\"more\":1}," TENSOR(                    \
                                          "none", "F16", "[0,3,4]", "[28,28]") "}       "

START_TEST(the_only_table_is_found_among_others) {
    static const float want[] = {1, -2};
    static const char data[28] = "iiiiiiiissss\0\0\x80\x3f\0\0\0\xc0"
                                 "bbbbbbb";
    ck_assert_int_eq(open_tensor(MIXED, data, 28, NULL), RH_OK);
    expect_rows(want, 1, 2);
    ck_assert_int_eq(open_tensor(MIXED, data, 28, "emb.weight"), RH_OK);
    expect_rows(want, 1, 2);
}
END_TEST

START_TEST(a_tensor_that_is_no_table_is_refused_by_name) {
    static const char data[28];
    ck_assert_int_eq(open_tensor(MIXED, data, 28, "emb"), RH_ENOTFOUND);
    ck_assert_str_eq(err_text(),
                     "x.safetensors has no tensor 'emb'; it has: ids, step, emb.weight, "
                     "bias, none");
    ck_assert_int_eq(open_tensor(MIXED, data, 28, "__metadata__"), RH_ENOTFOUND);
    ck_assert_int_eq(open_tensor(MIXED, data, 28, "bias"), RH_EINVAL);
    ck_assert_str_eq(err_text(), "x.safetensors: tensor 'bias' has 1 dimensions; a table has two, "
                                 "(rows, numbers in a row)");
    ck_assert_int_eq(open_tensor(MIXED, data, 28, "ids"), RH_EINVAL);
    ck_assert_str_eq(err_text(), "x.safetensors: tensor 'ids' is of type I64; F32, F16, BF16 and "
                                 "F64 are read");
    ck_assert_int_eq(open_header("{" TENSOR("w", "F32", "[4]", "[0,16]") "}", 16), RH_EINVAL);
    ck_assert_str_eq(err_text(),
                     "x.safetensors has no tensor of floats with two dimensions; it has: w");
    ck_assert_int_eq(open_header("{" TENSOR("w", "F32", "[2,0]", "[0,0]") "}", 0), RH_EINVAL);
    ck_assert_int_eq(open_header("{" TENSOR("w", "F32", "[0,65537]", "[0,0]") "}", 0), RH_EINVAL);
    ck_assert_int_eq(open_header("{}", 0), RH_EINVAL);
}
END_TEST

START_TEST(of_several_tables_one_must_be_named) {
    static const char header[] =
        "{" TENSOR("in", "F32", "[1,1]", "[0,4]") "," TENSOR("out", "F16", "[1,2]", "[4,8]") "}";
    static const char data[8] = "\0\0\x80\x3f\0\x3c\0\xc0";
    static const float in[] = {1}, out[] = {1, -2};
    ck_assert_int_eq(open_tensor(header, data, 8, NULL), RH_EINVAL);
    ck_assert_str_eq(err_text(), "x.safetensors has several tables, say which tensor: in, out");
    ck_assert_int_eq(open_tensor(header, data, 8, "in"), RH_OK);
    expect_rows(in, 1, 1);
    ck_assert_int_eq(open_tensor(header, data, 8, "out"), RH_OK);
    expect_rows(out, 1, 2);
}
END_TEST

/* Types smaller than a byte, and ones that came after us: none of our business if another is asked
 * for. */
START_TEST(tensors_of_other_types_do_no_harm) {
    static const char header[] =
        "{" TENSOR("w", "F32", "[1,1]", "[0,4]") "," TENSOR("q", "F4", "[2,3]", "[4,7]") "," TENSOR(
            "s", "F6_E2M3", "[4]", "[7,10]") "," TENSOR("n", "F2_NEW", "[9,9]", "[10,11]") "}";
    ck_assert_int_eq(open_header(header, 11), RH_OK);
    static const char zeros[11];
    ck_assert_int_eq(open_tensor(header, zeros, 11, "n"), RH_EINVAL);
    ck_assert_str_eq(err_text(), "x.safetensors: tensor 'n' is of type F2_NEW; F32, F16, BF16 and "
                                 "F64 are read");
}
END_TEST

START_TEST(offsets_have_no_hole_no_overlap_and_end_with_the_file) {
    static const char *const bad[] = {
        "{" TENSOR("w", "F32", "[1,1]", "[4,8]") "}",
        "{" TENSOR("w", "F32", "[1,1]", "[0,4]") "}",
        "{" TENSOR("w", "F32", "[1,3]", "[0,12]") "}",
        "{" TENSOR("w", "F32", "[1,1]", "[0,4]") "," TENSOR("v", "F32", "[1]", "[0,4]") "}",
        "{" TENSOR("w", "F32", "[1,1]", "[0,4]") "," TENSOR("v", "U8", "[3]", "[5,8]") "}",
        "{" TENSOR("w", "F32", "[1,2]", "[0,8]") "," TENSOR("v", "U8", "[4]", "[4,8]") "}",
        "{" TENSOR("w", "F32", "[1,1]", "[0,8]") "}",
        "{" TENSOR("w", "F32", "[1,2]", "[8,0]") "}",
        "{" TENSOR("w", "F4", "[1,1]", "[0,8]") "}",
        "{" TENSOR("w", "F32", "[4611686018427387904,4]", "[0,8]") "}",
        "{" TENSOR("w", "F32", "[4611686018427387905,1]", "[0,8]") "}",
    };
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
        ck_assert_msg(open_header(bad[i], 8) == RH_ECORRUPT, "%s", bad[i]);
    ck_assert_int_eq(open_header(bad[0], 8), RH_ECORRUPT);
    ck_assert_str_eq(err_text(),
                     "x.safetensors: tensor 'w' begins at byte 4 of the buffer; the one "
                     "before it ends at 0");
    ck_assert_int_eq(open_header(bad[1], 8), RH_ECORRUPT);
    ck_assert_str_eq(err_text(), "x.safetensors has a buffer of 8 bytes; its tensors have 4");
    ck_assert_int_eq(open_header(bad[6], 8), RH_ECORRUPT);
    ck_assert_str_eq(err_text(), "x.safetensors: tensor 'w' has data_offsets that are not of its "
                                 "shape and dtype");
}
END_TEST

START_TEST(a_header_that_is_not_as_the_format_has_it_is_refused) {
    static const char *const bad[] = {
        "{",
        "{}x",
        "{\"w\":1}",
        "{\"w\":{}}",
        "{\"w\":[]}",
        "{\"w\":{\"dtype\":1,\"shape\":[1,1],\"data_offsets\":[0,4]}}",
        "{\"w\":{\"dtype\":\"F32\",\"shape\":2,\"data_offsets\":[0,4]}}",
        "{\"w\":{\"dtype\":\"F32\",\"shape\":[1,-1],\"data_offsets\":[0,4]}}",
        "{\"w\":{\"dtype\":\"F32\",\"shape\":[1,1.0],\"data_offsets\":[0,4]}}",
        "{\"w\":{\"dtype\":\"F32\",\"shape\":[1,1],\"data_offsets\":[0]}}",
        "{\"w\":{\"dtype\":\"F32\",\"shape\":[1,1],\"data_offsets\":[0,4,8]}}",
        "{\"w\":{\"dtype\":\"F32\",\"shape\":[1,1],\"data_offsets\":[-4,0]}}",
        "{\"w\":{\"dtype\":\"F32\",\"shape\":[1,1]}}",
        "{\"w\":{\"dtype\":\"F32\",\"shape\":[99999999999999999999,1],\"data_offsets\":[0,4]}}",
        "{\"__metadata__\":1," TENSOR("w", "F32", "[1,1]", "[0,4]") "}",
        "{\"__metadata__\":{\"a\":1}," TENSOR("w", "F32", "[1,1]", "[0,4]") "}",
        "{" TENSOR("w", "F32", "[1,1]", "[0,4]") "," TENSOR("w", "F32", "[1,1]", "[0,4]") "}",
        "{" TENSOR("\xFF", "F32", "[1,1]", "[0,4]") "}",
        "{" TENSOR("a\\u0000b", "F32", "[1,1]", "[0,4]") "}",
    };
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
        ck_assert_msg(open_header(bad[i], 4) == RH_ECORRUPT, "%s: %s", bad[i], err_text());
    ck_assert_int_eq(open_header("{\"w\":x}", 4), RH_ECORRUPT);
    ck_assert_ptr_nonnull(strstr(err_text(), "x.safetensors byte 14: the header is wrong here"));
    ck_assert_int_eq(open_header(bad[16], 4), RH_ECORRUPT);
    ck_assert_ptr_nonnull(strstr(err_text(), "duplicate"));
}
END_TEST

/* Thousands of brackets, which a careless parser would follow down the stack. */
START_TEST(a_header_of_endless_depth_is_refused) {
    static char header[50001];
    memset(header, '[', sizeof header - 1);
    memcpy(header, "{\"w\":", 5);
    ck_assert_int_eq(open_header(header, 4), RH_ECORRUPT);
}
END_TEST

START_TEST(a_length_that_the_file_cannot_hold_is_refused_before_memory_is_asked_for) {
    static const struct {
        const char *head;
        const char *error;
    } cases[] = {
        {"\x04\0\0\0\0\0\0\0{}",
         "a header of 4 bytes; the limit is 100000000, and the file has 10"},
        {"\0\xE1\xF5\x05\0\0\0\0{}", "a header of 100000000 bytes"},
        {"\x01\xE1\xF5\x05\0\0\0\0{}", "a header of 100000001 bytes"},
        {"\xFF\xFF\xFF\xFF\xFF\xFF\xFF\xFF{}", "a header of 18446744073709551615 bytes"},
        {"\xFF\xFF\xFF\xFF\xFF\xFF\xFF\0{}",
         "x.safetensors byte 0: a header of 72057594037927935 bytes"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        scratch_file("x.safetensors", cases[i].head, 10);
        ck_assert_int_eq(vec_open("x.safetensors", VEC_AUTO, &r), RH_ECORRUPT);
        ck_assert_msg(strstr(err_text(), cases[i].error) != NULL, "%s", err_text());
    }
    scratch_file("x.safetensors", "\x02\0\0\0\0\0\0\0[]", 10);
    ck_assert_int_eq(vec_open("x.safetensors", VEC_SAFETENSORS, &r), RH_ECORRUPT);
    ck_assert_str_eq(err_text(), "x.safetensors is no safetensors file: it does not begin with a "
                                 "length and {");
}
END_TEST

START_TEST(spaces_behind_the_header_may_be_many_json_may_not) {
    enum { LEN = 17 << 20 };
    char *bytes = malloc(8 + LEN);
    uint64_t len = LEN;
    static const char header[] = "{" TENSOR("w", "F32", "[0,2]", "[0,0]") "}";
    memset(bytes, ' ', 8 + LEN);
    memcpy(bytes, &len, 8);
    memcpy(bytes + 8, header, sizeof header - 1);
    scratch_file("x", bytes, 8 + LEN);
    ck_assert_int_eq(vec_open("x", VEC_AUTO, &r), RH_OK);
    vec_close(&r);
    bytes[8 + LEN - 1] = '}';
    scratch_file("x", bytes, 8 + LEN);
    ck_assert_int_eq(vec_open("x", VEC_AUTO, &r), RH_ELIMIT);
    ck_assert_str_eq(err_text(), "x byte 0: a header of 17825792 bytes; headers up to 16777216 are "
                                 "read");
    free(bytes);
}
END_TEST

/* Bytes of the reference implementation's save_file({"weight": ...}): keys in this order, the
 * header padded to eight bytes. */
static const char reference[] =
    "\x40\0\0\0\0\0\0\0"
    "{\"weight\":{\"dtype\":\"F32\",\"shape\":[2,2],\"data_offsets\":[0,16]}}"
    "  \0\0\x80\x3f\0\0\0\xc0\0\0\0\x3f\0\0\xc0\x3f";

START_TEST(what_is_written_are_the_reference_writers_bytes) {
    static const float rows[2][2] = {{1, -2}, {0.5f, 1.5f}};
    ck_assert_int_eq(vec_create("x.safetensors", VEC_AUTO, 2, 2, &w), RH_OK);
    ck_assert_int_eq(vec_put(w, NULL, rows[0]), RH_OK);
    ck_assert_int_eq(vec_put(w, "ignored", rows[1]), RH_OK);
    ck_assert_int_eq(vec_commit(&w), RH_OK);
    size_t len;
    char *bytes = scratch_read("x.safetensors", &len);
    ck_assert_uint_eq(len, sizeof reference - 1);
    ck_assert_mem_eq(bytes, reference, len);
    free(bytes);
}
END_TEST

START_TEST(a_tensor_of_any_name_is_written_and_found_again) {
    static const char *const names[] = {"a\"b\\c", "\xC3\xA4\n", "emb.weight", ""};
    static const float row[] = {1, 2};
    for (int i = 0; i < 4; i++) {
        struct vec_options o = {.tensor = names[i]};
        ck_assert_int_eq(vec_create_with("x.safetensors", &o, 1, 2, &w), RH_OK);
        ck_assert_int_eq(vec_put(w, NULL, row), RH_OK);
        ck_assert_int_eq(vec_commit(&w), RH_OK);
        ck_assert_int_eq(vec_open_with("x.safetensors", &o, &r), RH_OK);
        expect_rows(row, 1, 2);
        ck_assert_ptr_null(strchr(vec_about(r), '\n'));
        vec_close(&r);
    }
    static const char *const bad[] = {"\xFF", "__metadata__"};
    for (int i = 0; i < 2; i++) {
        struct vec_options o = {.tensor = bad[i]};
        ck_assert_int_eq(vec_create_with("y.safetensors", &o, 1, 2, &w), RH_EINVAL);
    }
    ck_assert_int_eq(vec_create("y.safetensors", VEC_AUTO, UINT64_MAX, 2, &w), RH_EINVAL);
    ck_assert_int_eq(scratch_count(), 1);
}
END_TEST

START_TEST(numbers_that_are_not_finite_are_refused_by_byte) {
    char copy[sizeof reference];
    float row[2];
    memcpy(copy, reference, sizeof copy);
    memcpy(copy + 72 + 12, "\0\0\xc0\x7f", 4);
    scratch_file("x", copy, sizeof copy - 1);
    ck_assert_int_eq(vec_open("x", VEC_AUTO, &r), RH_OK);
    ck_assert_int_eq(vec_next(r, NULL, row), RH_OK);
    ck_assert_int_eq(vec_next(r, NULL, row), RH_ECORRUPT);
    ck_assert_str_eq(err_text(), "x byte 84: number 1 of row 1 is NaN");
}
END_TEST

START_TEST(a_file_cut_anywhere_is_refused) {
    for (size_t len = 0; len < sizeof reference - 1; len++) {
        scratch_file("x", reference, len);
        ck_assert_msg(vec_open("x", VEC_SAFETENSORS, &r) == RH_ECORRUPT, "%zu bytes", len);
    }
    char longer[sizeof reference];
    memcpy(longer, reference, sizeof longer);
    scratch_file("x", longer, sizeof longer);
    ck_assert_int_eq(vec_open("x", VEC_SAFETENSORS, &r), RH_ECORRUPT);
}
END_TEST

START_TEST(any_flipped_bit_is_refused_or_harmless) {
    char copy[sizeof reference];
    for (size_t at = 0; at < sizeof reference - 1; at++) {
        for (int bit = 0; bit < 8; bit++) {
            float row[8];
            memcpy(copy, reference, sizeof copy);
            copy[at] ^= (char)(1 << bit);
            scratch_file("x", copy, sizeof copy - 1);
            if (vec_open("x", VEC_SAFETENSORS, &r) != RH_OK)
                continue;
            ck_assert_uint_le(vec_dim(r), 8);
            while (vec_next(r, NULL, row) == RH_OK)
                continue;
            vec_close(&r);
        }
    }
}
END_TEST

Suite *vec_safetensors_suite(void) {
    Suite *s = suite_create("vec_safetensors");
    TCase *t = tcase_create("safetensors");
    tcase_add_checked_fixture(t, scratch_enter, teardown);
    tcase_add_test(t, floats_of_every_width_are_read);
    tcase_add_test(t, the_only_table_is_found_among_others);
    tcase_add_test(t, a_tensor_that_is_no_table_is_refused_by_name);
    tcase_add_test(t, of_several_tables_one_must_be_named);
    tcase_add_test(t, tensors_of_other_types_do_no_harm);
    tcase_add_test(t, offsets_have_no_hole_no_overlap_and_end_with_the_file);
    tcase_add_test(t, a_header_that_is_not_as_the_format_has_it_is_refused);
    tcase_add_test(t, a_header_of_endless_depth_is_refused);
    tcase_add_test(t, a_length_that_the_file_cannot_hold_is_refused_before_memory_is_asked_for);
    tcase_add_test(t, spaces_behind_the_header_may_be_many_json_may_not);
    tcase_add_test(t, what_is_written_are_the_reference_writers_bytes);
    tcase_add_test(t, a_tensor_of_any_name_is_written_and_found_again);
    tcase_add_test(t, numbers_that_are_not_finite_are_refused_by_byte);
    tcase_add_test(t, a_file_cut_anywhere_is_refused);
    tcase_add_test(t, any_flipped_bit_is_refused_or_harmless);
    suite_add_tcase(s, t);
    return s;
}
