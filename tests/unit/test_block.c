/* test_block.c - what is packed is unpacked, and nothing else is. */
#include <check.h>
#include <stdlib.h>
#include <string.h>

#include "common/block.h"
#include "common/err.h"
#include "common/rng.h"
#include "tests/support/seed.h"
#include "tests/unit/suites.h"

static struct buf b;

static void setup(void) {
    buf_init(&b, 1 << 20);
}

static void teardown(void) {
    buf_fini(&b);
}

static void fill_random(uint8_t *p, size_t n, uint64_t seed) {
    struct rng g;
    rng_init(&g, seed, 0);
    for (size_t i = 0; i < n; i++)
        p[i] = (uint8_t)rng_u32(&g);
}

static void round_trip(const uint8_t *raw, size_t n) {
    uint8_t *room = malloc(n + 1);
    const uint8_t *back;
    struct rd r;
    buf_clear(&b);
    ck_assert_int_eq(block_pack(raw, n, &b), RH_OK);
    ck_assert_uint_le(b.len, BLOCK_HEAD + n);
    rd_init(&r, b.p, b.len);
    ck_assert_int_eq(block_unpack(&r, room, n, &back), RH_OK);
    ck_assert(rd_done(&r));
    ck_assert(n == 0 || memcmp(back, raw, n) == 0);
    free(room);
}

START_TEST(bytes_of_any_size_come_back) {
    uint8_t *raw = malloc(100000);
    fill_random(raw, 100000, test_seed("block"));
    for (size_t n = 0; n < 70; n++)
        round_trip(raw, n);
    round_trip(raw, 100000);
    memset(raw, 7, 100000);
    for (size_t n = 0; n < 70; n++)
        round_trip(raw, n);
    round_trip(raw, 100000);
    round_trip(NULL, 0);
    free(raw);
}
END_TEST

START_TEST(a_block_is_laid_out_as_its_header_says) {
    ck_assert_int_eq(block_pack("abc", 3, &b), RH_OK);
    /* XXH3-64 of "abc" is 78af5f94892f3950 */
    const uint8_t want[] = {3,    0,    0,    0,    3,    0,    0,   0,   0x50, 0x39,
                            0x2F, 0x89, 0x94, 0x5F, 0xAF, 0x78, 'a', 'b', 'c'};
    ck_assert_uint_eq(b.len, sizeof want);
    ck_assert_mem_eq(b.p, want, sizeof want);
}
END_TEST

START_TEST(zeros_are_packed_and_noise_is_stored) {
    static uint8_t raw[10000];
    ck_assert_int_eq(block_pack(raw, sizeof raw, &b), RH_OK);
    ck_assert_uint_lt(b.len, 200);
    buf_clear(&b);
    fill_random(raw, sizeof raw, 3);
    ck_assert_int_eq(block_pack(raw, sizeof raw, &b), RH_OK);
    ck_assert_uint_eq(b.len, BLOCK_HEAD + sizeof raw);
}
END_TEST

/* What is zero lies in pieces of 4 KiB among noise, as rows that were not updated among others. */
START_TEST(a_large_block_is_packed_where_a_sixteenth_of_it_repeats_and_not_where_a_hair_does) {
    enum { LARGE = 256 << 10, PIECE = 4096 };
    uint8_t *raw = malloc(LARGE);
    buf_clear(&b);
    fill_random(raw, LARGE, 4);
    memset(raw + LARGE / 2, 0, PIECE);
    ck_assert_int_eq(block_pack(raw, LARGE, &b), RH_OK);
    ck_assert_uint_eq(b.len, BLOCK_HEAD + LARGE);
    for (size_t at = 0; at < LARGE; at += 8 * PIECE)
        memset(raw + at, 0, PIECE);
    buf_clear(&b);
    ck_assert_int_eq(block_pack(raw, LARGE, &b), RH_OK);
    ck_assert_uint_lt(b.len, LARGE - LARGE / 10);
    round_trip(raw, LARGE);
    free(raw);
}
END_TEST

/* Whoever reads many of them needs no copy of each. */
START_TEST(a_stored_block_is_read_where_it_lies_and_a_packed_one_in_the_room) {
    static uint8_t raw[400], room[400];
    const uint8_t *is;
    struct rd r;
    ck_assert_int_eq(block_pack(raw, 40, &b), RH_OK);
    rd_init(&r, b.p, b.len);
    ck_assert_int_eq(block_unpack(&r, room, 40, &is), RH_OK);
    ck_assert_ptr_eq(is, b.p + BLOCK_HEAD);
    buf_clear(&b);
    ck_assert_int_eq(block_pack(raw, 400, &b), RH_OK);
    rd_init(&r, b.p, b.len);
    ck_assert_int_eq(block_unpack(&r, room, 400, &is), RH_OK);
    ck_assert_ptr_eq(is, room);
}
END_TEST

START_TEST(blocks_follow_each_other) {
    char room[6];
    const uint8_t *one, *two;
    ck_assert_int_eq(block_pack("hello", 5, &b), RH_OK);
    ck_assert_int_eq(block_pack("worlds", 6, &b), RH_OK);
    struct rd r;
    rd_init(&r, b.p, b.len);
    ck_assert_int_eq(block_unpack(&r, room, 5, &one), RH_OK);
    ck_assert_int_eq(block_unpack(&r, room, 6, &two), RH_OK);
    ck_assert(rd_done(&r));
    ck_assert_mem_eq(one, "hello", 5);
    ck_assert_mem_eq(two, "worlds", 6);
}
END_TEST

START_TEST(a_full_buffer_is_a_limit) {
    static uint8_t raw[100], memory[115];
    struct buf small;
    buf_wrap(&small, memory, sizeof memory);
    ck_assert_int_eq(block_pack(raw, sizeof raw, &small), RH_ELIMIT);
    ck_assert_str_eq(err_text(), "a block of 100 bytes does not fit behind 0 of at most 115");
    ck_assert(small.bad);
    ck_assert_int_eq(block_pack(raw, 1, &small), RH_ELIMIT);
}
END_TEST

START_TEST(another_raw_length_than_expected_is_ecorrupt) {
    char room[6];
    const uint8_t *raw;
    ck_assert_int_eq(block_pack("hello", 5, &b), RH_OK);
    struct rd r;
    rd_init(&r, b.p, b.len);
    ck_assert_int_eq(block_unpack(&r, room, 6, &raw), RH_ECORRUPT);
    ck_assert_str_eq(err_text(), "a block holds 5 bytes where 6 belong");
    ck_assert(r.bad);
}
END_TEST

/* A packed block and a stored one. */
static const size_t sizes[] = {400, 40};

static void make(int kind, uint8_t raw[400]) {
    memset(raw, 0, 400);
    fill_random(raw, 40, 11);
    buf_clear(&b);
    ck_assert_int_eq(block_pack(raw, sizes[kind], &b), RH_OK);
    ck_assert(kind == 0 ? b.len < 100 : b.len == BLOCK_HEAD + 40);
}

START_TEST(a_block_cut_anywhere_is_ecorrupt) {
    uint8_t raw[400], room[400];
    const uint8_t *back;
    for (int kind = 0; kind < 2; kind++) {
        make(kind, raw);
        for (size_t len = 0; len < b.len; len++) {
            uint8_t *copy = malloc(len + 1);
            memcpy(copy, b.p, len);
            struct rd r;
            rd_init(&r, copy, len);
            ck_assert_int_eq(block_unpack(&r, room, sizes[kind], &back), RH_ECORRUPT);
            ck_assert(r.bad);
            free(copy);
        }
    }
}
END_TEST

/* LZ4 may find the same bytes elsewhere; then the flip has done no harm. */
START_TEST(a_flipped_bit_never_gives_other_bytes) {
    uint8_t raw[400], room[400];
    const uint8_t *back;
    for (int kind = 0; kind < 2; kind++) {
        make(kind, raw);
        size_t refused = 0;
        for (size_t bit = 0; bit < 8 * b.len; bit++) {
            b.p[bit / 8] ^= (uint8_t)(1 << bit % 8);
            struct rd r;
            rd_init(&r, b.p, b.len);
            rh_status st = block_unpack(&r, room, sizes[kind], &back);
            ck_assert(st == RH_OK || st == RH_ECORRUPT);
            refused += st == RH_ECORRUPT;
            ck_assert_msg(st == RH_ECORRUPT || memcmp(back, raw, sizes[kind]) == 0,
                          "kind %d bit %zu", kind, bit);
            b.p[bit / 8] ^= (uint8_t)(1 << bit % 8);
        }
        ck_assert(kind == 0 ? refused > 7 * b.len : refused == 8 * b.len);
    }
}
END_TEST

Suite *block_suite(void) {
    Suite *s = suite_create("block");
    TCase *t = tcase_create("block");
    tcase_add_checked_fixture(t, setup, teardown);
    tcase_add_test(t, bytes_of_any_size_come_back);
    tcase_add_test(t, a_block_is_laid_out_as_its_header_says);
    tcase_add_test(t, zeros_are_packed_and_noise_is_stored);
    tcase_add_test(
        t, a_large_block_is_packed_where_a_sixteenth_of_it_repeats_and_not_where_a_hair_does);
    tcase_add_test(t, a_stored_block_is_read_where_it_lies_and_a_packed_one_in_the_room);
    tcase_add_test(t, blocks_follow_each_other);
    tcase_add_test(t, a_full_buffer_is_a_limit);
    tcase_add_test(t, another_raw_length_than_expected_is_ecorrupt);
    tcase_add_test(t, a_block_cut_anywhere_is_ecorrupt);
    tcase_add_test(t, a_flipped_bit_never_gives_other_bytes);
    suite_add_tcase(s, t);
    return s;
}
