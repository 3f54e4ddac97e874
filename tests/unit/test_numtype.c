/* test_numtype.c - arrays of every type of number, in both byte orders, at odd addresses. */
#include <check.h>
#include <math.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "common/numtype.h"
#include "tests/unit/suites.h"

/* By the definition: fraction and exponent, one number after the other. */
static float half_naive(uint16_t h) {
    int exponent = h >> 10 & 31, fraction = h & 1023;
    double v = exponent == 0    ? ldexp(fraction, -24)
               : exponent == 31 ? (fraction == 0 ? INFINITY : NAN)
                                : ldexp(1024 + fraction, exponent - 25);
    return (float)(h >> 15 ? -v : v);
}

static bool same(float a, float b) {
    return memcmp(&a, &b, sizeof a) == 0 || (isnan(a) && isnan(b));
}

START_TEST(every_half_and_every_bfloat_becomes_its_float) {
    enum { ALL = 1 << 16 };
    static uint16_t in[ALL], turned[ALL];
    static float out[ALL], brain[ALL];
    for (uint32_t i = 0; i < ALL; i++) {
        in[i] = (uint16_t)i;
        turned[i] = (uint16_t)(i << 8 | i >> 8);
    }
    numtype_to_float(NUMTYPE_F16, false, ALL, in, out);
    for (uint32_t i = 0; i < ALL; i++)
        ck_assert_msg(same(out[i], half_naive((uint16_t)i)), "%04x: %a", i, (double)out[i]);
    numtype_to_float(NUMTYPE_F16, true, ALL, turned, out);
    for (uint32_t i = 0; i < ALL; i++)
        ck_assert(same(out[i], half_naive((uint16_t)i)));
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

Suite *numtype_suite(void) {
    Suite *s = suite_create("numtype");
    TCase *t = tcase_create("numtype");
    tcase_add_test(t, every_half_and_every_bfloat_becomes_its_float);
    tcase_add_test(t, bytes_of_every_type_and_order_are_read_at_any_address);
    tcase_add_test(t, doubles_become_the_nearest_float_wherever_they_lie);
    suite_add_tcase(s, t);
    return s;
}
