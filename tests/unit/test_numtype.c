/* test_numtype.c - arrays of every type of number, in both byte orders, at odd addresses. */
#include <check.h>
#include <math.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "common/numtype.h"
#include "common/rng.h"
#include "tests/support/seed.h"
#include "tests/unit/suites.h"

static bool same(float a, float b) {
    return memcmp(&a, &b, sizeof a) == 0 || (isnan(a) && isnan(b));
}

START_TEST(every_half_and_every_bfloat_becomes_its_float) {
    enum { ALL = 1 << 16 };
    static uint16_t in[ALL], turned[ALL];
    static float out[ALL], portable[ALL], twin[ALL], brain[ALL];
    for (uint32_t i = 0; i < ALL; i++) {
        in[i] = (uint16_t)i;
        turned[i] = (uint16_t)(i << 8 | i >> 8);
    }
    for (int big = 0; big < 2; big++) {
        const void *from = big ? turned : in;
        ck_assert(!numtype_to_float(NUMTYPE_F16, big, ALL, from, out));
        ck_assert(!numtype_halves_portable(big, ALL, from, portable));
        ck_assert(!numtype_to_float_naive(NUMTYPE_F16, big, ALL, from, twin));
        for (uint32_t i = 0; i < ALL; i++)
            ck_assert_msg(same(out[i], twin[i]) && same(portable[i], twin[i]), "%04x: %a %a %a", i,
                          (double)out[i], (double)portable[i], (double)twin[i]);
    }
    ck_assert(out[0x3C00] == 1 && out[0xC000] == -2 && out[0x0001] == 0x1p-24f &&
              out[0x03FF] == 1023 * 0x1p-24f && out[0x7BFF] == 65504 && isinf(out[0x7C00]) &&
              out[0xFC00] < 0 && isnan(out[0x7C01]) && out[0x8000] == 0 && signbit(out[0x8000]));
    for (int big = 0; big < 2; big++) {
        numtype_to_float(NUMTYPE_BF16, big, ALL, big ? turned : in, brain);
        for (uint32_t i = 0; i < ALL; i++) {
            uint32_t bits;
            memcpy(&bits, &brain[i], sizeof bits);
            ck_assert_uint_eq(bits, i << 16);
        }
    }
}
END_TEST

START_TEST(bytes_of_every_type_and_order_are_read_at_any_address) {
    static const struct {
        enum numtype type;
        bool big;
        const char *bytes; /* of 1.5 and -0.25 */
    } cases[] = {{NUMTYPE_F16, false, "\x00\x3E\x00\xB4"},
                 {NUMTYPE_F16, true, "\x3E\x00\xB4\x00"},
                 {NUMTYPE_BF16, false, "\xC0\x3F\x80\xBE"},
                 {NUMTYPE_F32, false, "\x00\x00\xC0\x3F\x00\x00\x80\xBE"},
                 {NUMTYPE_F32, true, "\x3F\xC0\x00\x00\xBE\x80\x00\x00"},
                 {NUMTYPE_F64, false, "\0\0\0\0\0\0\xF8\x3F\0\0\0\0\0\0\xD0\xBF"},
                 {NUMTYPE_F64, true, "\x3F\xF8\0\0\0\0\0\0\xBF\xD0\0\0\0\0\0\0"}};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        for (int shift = 0; shift < 2; shift++) {
            char bytes[20];
            float out[2];
            memcpy(bytes + shift, cases[i].bytes, 2 * numtype_bytes(cases[i].type));
            numtype_to_float(cases[i].type, cases[i].big, 2, bytes + shift, out);
            ck_assert(out[0] == 1.5f && out[1] == -0.25f);
        }
    }
}
END_TEST

START_TEST(doubles_become_the_nearest_float_wherever_they_lie) {
    enum { N = 5000 };
    static double in[N];
    static float out[N];
    for (size_t i = 0; i < N; i += 499) {
        in[i] = 1e300;
        numtype_to_float(NUMTYPE_F64, false, N, in, out);
        ck_assert(isinf(out[i]));
        in[i] = 0x1.FFFFFEFFFFFFFp127; /* rounds to the largest float */
        numtype_to_float(NUMTYPE_F64, false, N, in, out);
        ck_assert(out[i] == 0x1.FFFFFEp127f);
        in[i] = 0;
    }
    numtype_to_float(NUMTYPE_F64, false, 0, in, out);
}
END_TEST

/* Some bits, most of them of a finite number. */
static void fill(struct rng *g, size_t n_bytes, uint8_t *bytes) {
    for (size_t i = 0; i < n_bytes; i++)
        bytes[i] = (uint8_t)rng_u32(g);
}

START_TEST(random_bits_of_every_type_order_length_and_address_become_the_twins_floats) {
    enum { MOST = 100 };
    static const enum numtype types[] = {NUMTYPE_F16, NUMTYPE_BF16, NUMTYPE_F32, NUMTYPE_F64};
    uint8_t bytes[MOST * 8 + 8];
    float out[MOST + 1], twin[MOST + 1], portable[MOST + 1];
    struct rng g;
    rng_init(&g, test_seed("numtype"), 0);
    for (uint32_t round = 0; round < 4 * 2 * MOST * 8; round++) {
        enum numtype type = types[round % 4];
        bool big = round / 4 % 2;
        size_t n = round / 8 % MOST, shift = round / 8 / MOST;
        fill(&g, sizeof bytes, bytes);
        out[n] = portable[n] = 77; /* nothing behind the last is touched */
        bool finite = numtype_to_float(type, big, n, bytes + shift, out);
        ck_assert(finite == numtype_to_float_naive(type, big, n, bytes + shift, twin));
        for (size_t i = 0; i < n; i++)
            ck_assert_msg(same(out[i], twin[i]), "type %d, number %zu of %zu: %a, not %a", type, i,
                          n, (double)out[i], (double)twin[i]);
        if (type == NUMTYPE_F16) {
            ck_assert(finite == numtype_halves_portable(big, n, bytes + shift, portable));
            for (size_t i = 0; i < n; i++)
                ck_assert(same(portable[i], twin[i]));
        }
        ck_assert(out[n] == 77 && portable[n] == 77);
    }
}
END_TEST

START_TEST(one_number_that_is_not_finite_is_seen_wherever_it_lies) {
    enum { N = 67 };
    static const struct {
        enum numtype type;
        uint8_t high[2]; /* of infinity, and of a NaN: its highest bytes */
        uint8_t nan[2];
    } cases[] = {{NUMTYPE_F16, {0x7C, 0x00}, {0x7E, 0x00}},
                 {NUMTYPE_BF16, {0x7F, 0x80}, {0x7F, 0xC0}},
                 {NUMTYPE_F32, {0xFF, 0x80}, {0x7F, 0xC0}},
                 {NUMTYPE_F64, {0x7F, 0xF0}, {0xFF, 0xF8}}};
    static uint8_t bytes[N * 8];
    float out[N];
    for (size_t c = 0; c < sizeof cases / sizeof *cases; c++) {
        size_t width = numtype_bytes(cases[c].type);
        for (uint32_t big = 0; big < 2; big++)
            for (size_t at = 0; at < N; at++)
                for (uint32_t nan = 0; nan < 2; nan++) {
                    const uint8_t *high = nan ? cases[c].nan : cases[c].high;
                    uint8_t *p = bytes + at * width;
                    p[big ? 0 : width - 1] = high[0];
                    p[big ? 1 : width - 2] = high[1];
                    ck_assert(!numtype_to_float(cases[c].type, big, N, bytes, out));
                    ck_assert(nan ? isnan(out[at]) : isinf(out[at]));
                    memset(p, 0, width);
                    ck_assert(numtype_to_float(cases[c].type, big, N, bytes, out));
                }
    }
}
END_TEST

Suite *numtype_suite(void) {
    Suite *s = suite_create("numtype");
    TCase *t = tcase_create("numtype");
    tcase_add_test(t, every_half_and_every_bfloat_becomes_its_float);
    tcase_add_test(t, bytes_of_every_type_and_order_are_read_at_any_address);
    tcase_add_test(t, doubles_become_the_nearest_float_wherever_they_lie);
    tcase_add_test(t, random_bits_of_every_type_order_length_and_address_become_the_twins_floats);
    tcase_add_test(t, one_number_that_is_not_finite_is_seen_wherever_it_lies);
    suite_add_tcase(s, t);
    return s;
}
