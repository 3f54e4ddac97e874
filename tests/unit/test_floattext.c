/* test_floattext.c - numbers in text: bit for bit what strtof has. */
#include <check.h>
#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/floattext.h"
#include "common/rng.h"
#include "tests/support/seed.h"
#include "tests/unit/suites.h"

static const char *read_all(const char *text, float *v) {
    return floattext_read(text, text + strlen(text), v);
}

static void expect_as_strtof(const char *text) {
    char *end;
    float want = strtof(text, &end), got = 0;
    const char *stop = floattext_read(text, text + strlen(text), &got);
    ck_assert_msg(stop == end, "%s: read %zd bytes, not %td", text, stop ? stop - text : -1,
                  end - text);
    ck_assert_msg(memcmp(&want, &got, sizeof want) == 0, "%s: %a, not %a", text, (double)got,
                  (double)want);
}

START_TEST(numbers_at_the_edges_are_strtofs) {
    static const char *const texts[] = {
        "0", "-0", "+0.0", "1", "-1", ".5", "5.", "-.25", "0.1", "1e0", "1E+2", "1e-2", "1e", "1e+",
        "1.5e-", "00012.500", "16777216", "16777217", "16777219", "33554435",
        /* the largest, just below and just above what rounds to infinity */
        "3.4028234663852886e38", "3.4028235677973366e38", "3.4028235677973365e38",
        "340282356779733661637539395458142568447", "1e39", "-1e999999999999",
        /* the smallest normal, subnormals, the half of the smallest, and less */
        "1.17549435e-38", "1.1754942e-38", "1e-45", "7.0064923216240854e-46",
        "7.0064923216240853e-46", "7.0064923216240862e-46", "1e-60", "0e99999999",
        "0.00000000000000000000000000000000000000000000001",
        /* a double that lies between two floats, and numbers a little to either side of it */
        "1.000000059604644775390625", "1.0000000596046447753906250001",
        "1.0000000596046447753906249",
        "1.00000005960464477539062500000000000000000000000000000000000000000001",
        "9007199254740993", "9007199791611905", "123456789012345678901234567890",
        "12345678901234567890", "0.12345678901234567890123", "1e22", "1e23", "8.589973e9",
        "2.2250738585072011e-308"};
    for (size_t i = 0; i < sizeof texts / sizeof *texts; i++)
        expect_as_strtof(texts[i]);
}
END_TEST

START_TEST(random_numbers_of_every_length_are_strtofs) {
    struct rng g;
    char text[96];
    rng_init(&g, test_seed("floattext"), 0);
    for (int i = 0; i < 300000; i++) {
        uint32_t bits = rng_u32(&g), kind = rng_u32(&g);
        float v;
        memcpy(&v, &bits, sizeof v);
        if (!isfinite(v))
            continue;
        if (kind % 4 == 0)
            snprintf(text, sizeof text, "%.*g", (int)(kind >> 8) % 25, (double)v);
        else if (kind % 4 == 1)
            snprintf(text, sizeof text, "%.*f", (int)(kind >> 8) % 10, (double)rng_f32(&g) - 0.5);
        else if (kind % 4 == 2)
            snprintf(text, sizeof text, "%" PRIu32 ".%09" PRIu32 "e%d", bits % 1000,
                     rng_u32(&g) % 1000000000, (int)(kind >> 8) % 100 - 50);
        else /* all the digits of a double near the middle between two floats */
            snprintf(text, sizeof text, "%.30e",
                     ((double)v + (double)nextafterf(v, 0)) / 2 *
                         (1 + ((int)(kind >> 8) % 3 - 1) * 0x1p-52));
        expect_as_strtof(text);
    }
}
END_TEST

START_TEST(names_of_what_is_not_finite_are_known) {
    float v;
    static const char *const infinite[] = {"inf", "INF", "Infinity", "+inf"};
    for (int i = 0; i < 4; i++) {
        const char *end = infinite[i] + strlen(infinite[i]);
        ck_assert_ptr_eq(floattext_read(infinite[i], end, &v), end);
        ck_assert(isinf(v) && v > 0);
    }
    ck_assert_ptr_nonnull(read_all("-inf", &v));
    ck_assert(isinf(v) && v < 0);
    ck_assert_ptr_nonnull(read_all("NaN", &v));
    ck_assert(isnan(v));
}
END_TEST

START_TEST(what_is_no_number_is_none) {
    static const char *const none[] = {"",   "+",   "-",   ".",  "-.", "e5", "x",
                                       " 1", "--1", "+-1", "in", "na", ",5"};
    float v;
    for (size_t i = 0; i < sizeof none / sizeof *none; i++)
        ck_assert_msg(floattext_read(none[i], none[i] + strlen(none[i]), &v) == NULL, "%s",
                      none[i]);
}
END_TEST

START_TEST(nothing_behind_the_end_is_looked_at) {
    static const char text[] = "12345";
    float v;
    ck_assert_ptr_eq(floattext_read(text, text + 2, &v), text + 2);
    ck_assert(v == 12);
    static const char exponent[] = "1e5";
    ck_assert_ptr_eq(floattext_read(exponent, exponent + 2, &v), exponent + 1);
    ck_assert(v == 1);
}
END_TEST

START_TEST(a_number_may_have_128_bytes_and_no_more) {
    char text[FLOATTEXT_MAX + 2];
    float v;
    memset(text, '0', sizeof text);
    text[1] = '.';
    text[FLOATTEXT_MAX - 1] = '7';
    ck_assert_ptr_eq(floattext_read(text, text + FLOATTEXT_MAX, &v), text + FLOATTEXT_MAX);
    ck_assert(v == 0);
    memset(text, '9', sizeof text);
    ck_assert_ptr_eq(floattext_read(text, text + FLOATTEXT_MAX, &v), text + FLOATTEXT_MAX);
    ck_assert(isinf(v));
    ck_assert_ptr_null(floattext_read(text, text + FLOATTEXT_MAX + 1, &v));
}
END_TEST

Suite *floattext_suite(void) {
    Suite *s = suite_create("floattext");
    TCase *t = tcase_create("floattext");
    tcase_add_test(t, numbers_at_the_edges_are_strtofs);
    tcase_add_test(t, random_numbers_of_every_length_are_strtofs);
    tcase_add_test(t, names_of_what_is_not_finite_are_known);
    tcase_add_test(t, what_is_no_number_is_none);
    tcase_add_test(t, nothing_behind_the_end_is_looked_at);
    tcase_add_test(t, a_number_may_have_128_bytes_and_no_more);
    suite_add_tcase(s, t);
    return s;
}
