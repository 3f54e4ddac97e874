/* test_buf.c - bytes in order: what is put is got, everything else is refused and stays refused;
 * and the checked sizes of size.h. */
#include <check.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "common/buf.h"
#include "common/rng.h"
#include "common/size.h"
#include "tests/support/seed.h"
#include "tests/unit/suites.h"

/* ---- writing ---- */

START_TEST(numbers_are_little_endian) {
    struct buf b;
    buf_init(&b, 100);
    buf_put_u8(&b, 0x01);
    buf_put_u16(&b, 0x0302);
    buf_put_u32(&b, 0x07060504);
    buf_put_u64(&b, 0x0F0E0D0C0B0A0908);
    buf_put_f32(&b, 1.0f);
    buf_put_f64(&b, -2.0);
    const uint8_t want[] = {1,  2, 3, 4,    5,    6, 7, 8, 9, 10, 11, 12, 13,  14,
                            15, 0, 0, 0x80, 0x3F, 0, 0, 0, 0, 0,  0,  0,  0xC0};
    ck_assert(!b.bad);
    ck_assert_uint_eq(b.len, sizeof want);
    ck_assert_mem_eq(b.p, want, sizeof want);
    buf_fini(&b);
}
END_TEST

START_TEST(text_is_put_with_its_length_or_bare) {
    struct buf b;
    buf_init(&b, 100);
    buf_put_str(&b, "abc");
    buf_put_str(&b, "");
    buf_printf(&b, "%d-%s", 42, "x");
    ck_assert_uint_eq(b.len, 11);
    ck_assert_mem_eq(b.p,
                     "\3\0abc\0\0"
                     "42-x",
                     11);
    buf_fini(&b);
}
END_TEST

START_TEST(a_growing_buffer_keeps_what_it_holds) {
    struct buf b;
    buf_init(&b, 100000);
    for (uint32_t i = 0; i < 25000; i++)
        buf_put_u32(&b, i);
    ck_assert(!b.bad);
    struct rd r;
    rd_init(&r, b.p, b.len);
    for (uint32_t i = 0; i < 25000; i++)
        ck_assert_uint_eq(rd_u32(&r), i);
    ck_assert(rd_done(&r));
    buf_fini(&b);
    ck_assert_ptr_null(b.p);
}
END_TEST

START_TEST(a_full_buffer_is_bad_and_stays_so) {
    struct buf b;
    buf_init(&b, 10);
    buf_put_u64(&b, 1);
    buf_put_u32(&b, 2);
    ck_assert(b.bad);
    ck_assert_uint_eq(b.len, 8);
    buf_put_u8(&b, 3); /* would fit, and is not put */
    buf_put_bytes(&b, "x", 1);
    buf_put_str(&b, "");
    buf_printf(&b, "x");
    ck_assert_ptr_null(buf_grow(&b, 0));
    ck_assert(b.bad);
    ck_assert_uint_eq(b.len, 8);
    buf_clear(&b);
    ck_assert(!b.bad);
    buf_put_u64(&b, 1);
    buf_put_u16(&b, 2);
    ck_assert(!b.bad);
    ck_assert_uint_eq(b.len, 10);
    buf_fini(&b);
}
END_TEST

START_TEST(growing_by_more_than_sizes_can_say_is_bad_not_a_wrap) {
    struct buf b;
    buf_init(&b, SIZE_MAX);
    buf_put_u64(&b, 1);
    ck_assert_ptr_null(buf_grow(&b, SIZE_MAX));
    ck_assert(b.bad);
    ck_assert_uint_eq(b.len, 8);
    buf_fini(&b);
}
END_TEST

START_TEST(fixed_memory_is_filled_to_its_last_byte_and_never_freed) {
    uint8_t memory[9];
    memory[8] = 0xEE;
    struct buf b;
    buf_wrap(&b, memory, 8);
    buf_put_u32(&b, 7);
    buf_printf(&b, "%s", "abcd"); /* its 0 has no room, and needs none */
    ck_assert(!b.bad);
    buf_put_u8(&b, 1);
    ck_assert(b.bad);
    ck_assert_mem_eq(memory, "\7\0\0\0abcd\xEE", 9);
    buf_fini(&b);
}
END_TEST

START_TEST(a_string_beyond_its_length_field_is_bad) {
    char *s = malloc(65537);
    memset(s, 'x', 65536);
    s[65536] = '\0';
    struct buf b;
    buf_init(&b, 200000);
    buf_put_str(&b, s);
    ck_assert(b.bad);
    buf_clear(&b);
    buf_put_str(&b, s + 1);
    ck_assert(!b.bad);
    ck_assert_uint_eq(b.len, 2 + 65535);
    buf_fini(&b);
    free(s);
}
END_TEST

START_TEST(nothing_may_be_put_from_nowhere) {
    struct buf b;
    buf_init(&b, 0);
    buf_put_bytes(&b, NULL, 0);
    ck_assert(!b.bad);
    ck_assert_uint_eq(b.len, 0);
    buf_fini(&b);
}
END_TEST

/* ---- reading ---- */

START_TEST(what_was_put_is_got) {
    struct buf b;
    buf_init(&b, 1000);
    buf_put_u8(&b, 200);
    buf_put_u16(&b, 60000);
    buf_put_u32(&b, 4000000000);
    buf_put_u64(&b, UINT64_MAX - 1);
    buf_put_f32(&b, -0.0f);
    buf_put_f64(&b, 0x1.23456789ABCDEp-1022);
    buf_put_str(&b, "na\xC3\xAFve");
    struct rd r;
    char text[7];
    rd_init(&r, b.p, b.len);
    ck_assert_uint_eq(rd_u8(&r), 200);
    ck_assert_uint_eq(rd_u16(&r), 60000);
    ck_assert_uint_eq(rd_u32(&r), 4000000000);
    ck_assert_uint_eq(rd_u64(&r), UINT64_MAX - 1);
    float zero = rd_f32(&r);
    ck_assert(zero == 0 && signbit(zero));
    ck_assert(rd_f64(&r) == 0x1.23456789ABCDEp-1022);
    ck_assert_uint_eq(rd_left(&r), 8);
    rd_str(&r, text, sizeof text);
    ck_assert_str_eq(text, "na\xC3\xAFve");
    ck_assert(rd_done(&r));
    buf_fini(&b);
}
END_TEST

START_TEST(reading_beyond_the_end_is_bad_and_stays_so) {
    const uint8_t bytes[] = {1, 2, 3};
    struct rd r;
    rd_init(&r, bytes, sizeof bytes);
    ck_assert_uint_eq(rd_u32(&r), 0);
    ck_assert(r.bad);
    ck_assert_uint_eq(rd_u8(&r), 0);
    ck_assert_ptr_null(rd_bytes(&r, 0));
    ck_assert_uint_eq(rd_left(&r), 0);
    ck_assert(!rd_done(&r));
    char text[4] = "old";
    rd_str(&r, text, sizeof text);
    ck_assert_str_eq(text, "");
}
END_TEST

START_TEST(a_huge_length_is_bad_not_a_wrap) {
    const uint8_t bytes[] = {1, 2, 3};
    struct rd r;
    rd_init(&r, bytes, sizeof bytes);
    rd_u8(&r);
    ck_assert_ptr_null(rd_bytes(&r, SIZE_MAX));
    ck_assert(r.bad);
}
END_TEST

START_TEST(a_string_that_is_cut_holds_a_zero_or_is_too_long_is_bad) {
    static const char *const bytes[] = {"\4\0abc", "\3\0a\0c", "\4\0abcd", "\1", ""};
    static const size_t lens[] = {5, 5, 6, 1, 0};
    for (int i = 0; i < 5; i++) {
        char text[4] = "old";
        struct rd r;
        rd_init(&r, bytes[i], lens[i]);
        rd_str(&r, text, sizeof text);
        ck_assert_msg(r.bad, "string %d", i);
        ck_assert_str_eq(text, "");
    }
}
END_TEST

START_TEST(nothing_can_be_read_from_nowhere) {
    struct rd r;
    rd_init(&r, NULL, 0);
    ck_assert(rd_done(&r));
    ck_assert_ptr_nonnull(rd_bytes(&r, 0));
    ck_assert(rd_done(&r));
    ck_assert_uint_eq(rd_u8(&r), 0);
    ck_assert(r.bad);
}
END_TEST

/* One of the puts, chosen by kind, with its value from g; and the get that belongs to it. */
static void put_any(struct buf *b, uint32_t kind, struct rng *g) {
    uint64_t v = rng_u64(g);
    if (kind == 0)
        buf_put_u8(b, (uint8_t)v);
    else if (kind == 1)
        buf_put_u16(b, (uint16_t)v);
    else if (kind == 2)
        buf_put_u32(b, (uint32_t)v);
    else if (kind == 3)
        buf_put_u64(b, v);
    else
        buf_put_str(b, v % 2 == 0 ? "rowhouse" : "");
}

static bool get_matches(struct rd *r, uint32_t kind, struct rng *g) {
    uint64_t v = rng_u64(g);
    char text[16];
    if (kind == 0)
        return rd_u8(r) == (uint8_t)v;
    if (kind == 1)
        return rd_u16(r) == (uint16_t)v;
    if (kind == 2)
        return rd_u32(r) == (uint32_t)v;
    if (kind == 3)
        return rd_u64(r) == v;
    rd_str(r, text, sizeof text);
    return strcmp(text, v % 2 == 0 ? "rowhouse" : "") == 0;
}

START_TEST(any_sequence_comes_back_and_no_prefix_of_it_does) {
    uint64_t seed = test_seed("buf");
    struct rng kinds, values, same_kinds, same_values;
    rng_init(&kinds, seed, 0);
    rng_init(&values, seed, 1);
    same_kinds = kinds;
    same_values = values;
    struct buf b;
    buf_init(&b, 1 << 16);
    for (int i = 0; i < 300; i++)
        put_any(&b, rng_below(&kinds, 5), &values);
    ck_assert(!b.bad);
    for (size_t len = 0; len <= b.len; len++) {
        struct rng k = same_kinds, v = same_values;
        uint8_t *copy =
            malloc(len + 1); /* its own memory, so that a sanitizer sees a step too far */
        memcpy(copy, b.p, len);
        struct rd r;
        rd_init(&r, copy, len);
        bool all = true;
        for (int i = 0; i < 300; i++)
            all = get_matches(&r, rng_below(&k, 5), &v) && all;
        ck_assert_msg(rd_done(&r) == (len == b.len), "%zu of %zu bytes", len, b.len);
        ck_assert(all || len < b.len);
        free(copy);
    }
    buf_fini(&b);
}
END_TEST

/* ---- sizes ---- */

START_TEST(sizes_are_multiplied_and_added_or_refused) {
    size_t out = 1;
    ck_assert(size_mul(1 << 20, 1 << 20, &out));
    ck_assert_uint_eq(out, (size_t)1 << 40);
    ck_assert(size_mul(0, SIZE_MAX, &out));
    ck_assert_uint_eq(out, 0);
    ck_assert(!size_mul(SIZE_MAX / 2 + 1, 2, &out));
    ck_assert(size_add(SIZE_MAX - 1, 1, &out));
    ck_assert_uint_eq(out, SIZE_MAX);
    ck_assert(!size_add(SIZE_MAX, 1, &out));
    ck_assert(size_mul3(3, 5, 7, &out));
    ck_assert_uint_eq(out, 105);
    ck_assert(!size_mul3((size_t)1 << 32, (size_t)1 << 31, 2, &out));
    ck_assert(
        !size_mul3((size_t)1 << 32, (size_t)1 << 32, 0, &out)); /* the first step is too much */
}
END_TEST

Suite *buf_suite(void) {
    Suite *s = suite_create("buf");
    TCase *t = tcase_create("writing");
    tcase_add_test(t, numbers_are_little_endian);
    tcase_add_test(t, text_is_put_with_its_length_or_bare);
    tcase_add_test(t, a_growing_buffer_keeps_what_it_holds);
    tcase_add_test(t, a_full_buffer_is_bad_and_stays_so);
    tcase_add_test(t, growing_by_more_than_sizes_can_say_is_bad_not_a_wrap);
    tcase_add_test(t, fixed_memory_is_filled_to_its_last_byte_and_never_freed);
    tcase_add_test(t, a_string_beyond_its_length_field_is_bad);
    tcase_add_test(t, nothing_may_be_put_from_nowhere);
    suite_add_tcase(s, t);
    t = tcase_create("reading");
    tcase_add_test(t, what_was_put_is_got);
    tcase_add_test(t, reading_beyond_the_end_is_bad_and_stays_so);
    tcase_add_test(t, a_huge_length_is_bad_not_a_wrap);
    tcase_add_test(t, a_string_that_is_cut_holds_a_zero_or_is_too_long_is_bad);
    tcase_add_test(t, nothing_can_be_read_from_nowhere);
    tcase_add_test(t, any_sequence_comes_back_and_no_prefix_of_it_does);
    suite_add_tcase(s, t);
    t = tcase_create("sizes");
    tcase_add_test(t, sizes_are_multiplied_and_added_or_refused);
    suite_add_tcase(s, t);
    return s;
}
