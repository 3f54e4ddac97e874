/* test_hostile.c - frames of every kind, cut and changed: refused by length and sums; and, under
 * sums made right again, decoded within the limits or refused, without harm and without memory. A
 * run under sanitizers is what tells harm. */
#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "proto/wire.h"
#include "tests/support/any_frame.h"
#include "tests/support/mutate.h"
#include "tests/support/seed.h"
#include "tests/unit/suites.h"

/* Of each kind; every test is run once per kind, _i is its place in any_kinds. */
enum { FRAMES = 100, CORRUPTIONS_PER_FRAME = 1000, FRAMES_CUT = 20 };

static uint64_t seed;
static struct rng g;
static uint8_t frame[ANY_FRAME_MAX];

static void setup(void) {
    rng_init(&g, seed, 0);
}

START_TEST(a_whole_frame_is_read) {
    for (int n = 0; n < FRAMES; n++) {
        size_t len = any_frame_make(&g, any_kinds[_i], frame);
        ck_assert_int_eq(any_frame_read(frame, len), RH_OK);
    }
}
END_TEST

START_TEST(a_cut_frame_is_eproto_at_every_length) {
    for (int n = 0; n < FRAMES_CUT; n++) {
        size_t len = any_frame_make(&g, any_kinds[_i], frame);
        for (size_t cut = 0; cut < len; cut++) {
            uint8_t *copy = mutate_copy(frame, cut);
            ck_assert_int_eq(any_frame_read(copy, cut), RH_EPROTO);
            mutate_free(copy);
        }
    }
}
END_TEST

START_TEST(a_changed_frame_is_refused_by_its_sums) {
    int collisions = 0;
    for (int n = 0; n < FRAMES; n++) {
        size_t len = any_frame_make(&g, any_kinds[_i], frame);
        for (int i = 0; i < CORRUPTIONS_PER_FRAME; i++) {
            size_t changed_len;
            uint8_t *changed = mutate_any(&g, frame, len, &changed_len);
            struct head h;
            rh_status s = wire_open(changed, changed_len, &h);
            bool same = changed_len == len && memcmp(changed, frame, len) == 0;
            if (same)
                ck_assert_int_eq(s, RH_OK);
            else if (s == RH_EVERSION)
                ck_assert_uint_ne(changed[4], WIRE_VERSION);
            else
                collisions += s == RH_OK;
            mutate_free(changed);
        }
    }
    /* A body's sum has 32 bits: one in four thousand runs meets one. Two are a hole in the sums. */
    ck_assert_int_le(collisions, 1);
}
END_TEST

START_TEST(a_cut_body_is_eproto_at_every_length_under_right_sums) {
    for (int n = 0; n < FRAMES_CUT; n++) {
        size_t len = any_frame_make(&g, any_kinds[_i], frame);
        for (size_t cut = WIRE_HEAD; cut < len; cut++) {
            uint8_t *copy = mutate_copy(frame, cut);
            any_frame_reseal(copy, cut);
            ck_assert_int_eq(any_frame_read(copy, cut), RH_EPROTO);
            mutate_free(copy);
        }
    }
}
END_TEST

/* The most address space that this process has ever had. */
static long peak_kib(void) {
    char line[128];
    long kib = -1;
    FILE *f = fopen("/proc/self/status", "r");
    while (f != NULL && kib < 0 && fgets(line, sizeof line, f) != NULL)
        sscanf(line, "VmPeak: %ld", &kib);
    if (f != NULL)
        fclose(f);
    return kib;
}

START_TEST(a_changed_frame_under_right_sums_does_no_harm) {
    int refused = 0;
    long peak = peak_kib();
    for (int n = 0; n < FRAMES; n++) {
        size_t len = any_frame_make(&g, any_kinds[_i], frame);
        for (int i = 0; i < CORRUPTIONS_PER_FRAME; i++) {
            size_t changed_len;
            uint8_t *changed = mutate_any(&g, frame, len, &changed_len);
            any_frame_reseal(changed, changed_len);
            refused += any_frame_read(changed, changed_len) != RH_OK;
            mutate_free(changed);
        }
    }
    ck_assert_int_gt(refused, FRAMES * CORRUPTIONS_PER_FRAME / 10);
    /* Counts of billions were among them. */
    ck_assert_int_le(peak_kib() - peak, 4 << 10);
}
END_TEST

Suite *hostile_suite(void) {
    seed = test_seed("hostile");
    Suite *suite = suite_create("hostile");
    TCase *tc = tcase_create("hostile");
    tcase_set_timeout(tc, 60);
    tcase_add_checked_fixture(tc, setup, NULL);
    tcase_add_loop_test(tc, a_whole_frame_is_read, 0, ANY_KINDS);
    tcase_add_loop_test(tc, a_cut_frame_is_eproto_at_every_length, 0, ANY_KINDS);
    tcase_add_loop_test(tc, a_changed_frame_is_refused_by_its_sums, 0, ANY_KINDS);
    tcase_add_loop_test(tc, a_cut_body_is_eproto_at_every_length_under_right_sums, 0, ANY_KINDS);
    tcase_add_loop_test(tc, a_changed_frame_under_right_sums_does_no_harm, 0, ANY_KINDS);
    suite_add_tcase(suite, tc);
    return suite;
}
