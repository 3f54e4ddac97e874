/* test_fold.c - gradients of a clock are added in an order that only ranks and calls decide. */
#include <check.h>
#include <string.h>

#include "ps/fold.h"
#include "tests/unit/suites.h"

static struct fold f;

static void setup(void) {
    fold_init(&f);
}

static void teardown(void) {
    fold_fini(&f);
}

static void add(uint64_t id, float x, float y) {
    float row[2] = {x, y};
    fold_add(&f, 1, (const uint8_t *)&id, (const uint8_t *)row);
}

START_TEST(rows_of_one_worker_pass_through_with_their_bits) {
    ck_assert_int_eq(fold_begin(&f, 2, 10), RH_OK);
    add(7, -0.0f, 1.5f);
    fold_end_worker(&f);
    ck_assert_uint_eq(f.all.n, 1);
    ck_assert_uint_eq(f.ids[0], 7);
    float want[2] = {-0.0f, 1.5f};
    ck_assert_mem_eq(f.sum, want, sizeof want);
}
END_TEST

/* 1e8 + 1 - 1e8 is 0 in float from the left, 1 the other way: the order shows in the bits. */
START_TEST(a_worker_is_folded_before_it_meets_the_others) {
    ck_assert_int_eq(fold_begin(&f, 2, 10), RH_OK);
    add(1, 1e8f, 1.0f);
    fold_end_worker(&f);
    add(1, -1e8f, 2.0f);
    add(1, 1.0f, 4.0f);
    fold_end_worker(&f);
    float inner = -1e8f + 1.0f;
    ck_assert(f.sum[0] == 1e8f + inner);
    ck_assert(f.sum[1] == 7.0f);
    ck_assert(f.sum[0] != (1e8f + -1e8f) + 1.0f);
}
END_TEST

START_TEST(a_worker_without_rows_changes_nothing) {
    ck_assert_int_eq(fold_begin(&f, 2, 10), RH_OK);
    fold_end_worker(&f);
    add(5, 1, 2);
    fold_end_worker(&f);
    fold_end_worker(&f);
    ck_assert_uint_eq(f.all.n, 1);
    ck_assert(f.sum[0] == 1.0f && f.sum[1] == 2.0f);
}
END_TEST

START_TEST(the_next_clock_starts_empty_also_with_more_rows) {
    for (size_t rows = 1; rows < 5000; rows *= 3) {
        ck_assert_int_eq(fold_begin(&f, 2, rows), RH_OK);
        for (size_t i = 0; i < rows; i++)
            add(i * 16384, (float)i, 1);
        fold_end_worker(&f);
        ck_assert_uint_eq(f.all.n, rows);
        ck_assert(f.sum[2 * (rows - 1)] == (float)(rows - 1));
    }
}
END_TEST

START_TEST(the_mean_is_the_sum_times_one_over_the_workers) {
    ck_assert_int_eq(fold_begin(&f, 2, 10), RH_OK);
    add(5, 1, 2);
    fold_end_worker(&f);
    fold_scale(&f, 1.0f / 3.0f);
    ck_assert(f.sum[0] == 1.0f * (1.0f / 3.0f));
}
END_TEST

START_TEST(rows_may_lie_at_odd_addresses) {
    uint8_t room[64];
    uint64_t id = 9;
    float row[2] = {3, 4};
    memcpy(room + 1, &id, sizeof id);
    memcpy(room + 11, row, sizeof row);
    ck_assert_int_eq(fold_begin(&f, 2, 10), RH_OK);
    fold_add(&f, 1, room + 1, room + 11);
    fold_add(&f, 1, room + 1, room + 11);
    fold_end_worker(&f);
    ck_assert(f.sum[0] == 6.0f && f.sum[1] == 8.0f);
}
END_TEST

Suite *fold_suite(void) {
    Suite *suite = suite_create("fold");
    TCase *tc = tcase_create("fold");
    tcase_add_checked_fixture(tc, setup, teardown);
    tcase_add_test(tc, rows_of_one_worker_pass_through_with_their_bits);
    tcase_add_test(tc, a_worker_is_folded_before_it_meets_the_others);
    tcase_add_test(tc, a_worker_without_rows_changes_nothing);
    tcase_add_test(tc, the_next_clock_starts_empty_also_with_more_rows);
    tcase_add_test(tc, the_mean_is_the_sum_times_one_over_the_workers);
    tcase_add_test(tc, rows_may_lie_at_odd_addresses);
    suite_add_tcase(suite, tc);
    return suite;
}
