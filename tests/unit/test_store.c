/* test_store.c - memory of a table: made at once, zero, aligned, and paid for only where touched. */
#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "common/err.h"
#include "ps/store.h"
#include "tests/unit/suites.h"

static struct store s;

static void teardown(void) {
    store_fini(&s);
}

static size_t resident_bytes(void) {
    FILE *f = fopen("/proc/self/statm", "r");
    ck_assert_ptr_nonnull(f);
    unsigned long pages = 0;
    ck_assert_int_eq(fscanf(f, "%*u %lu", &pages), 1);
    fclose(f);
    return pages * (size_t)sysconf(_SC_PAGESIZE);
}

START_TEST(strides_are_powers_of_two_below_a_line_and_lines_above) {
    static const uint32_t dims[] = {1, 2, 3, 4, 5, 8, 9, 15, 16, 17, 32, 33, 100, 4096};
    static const uint32_t strides[] = {1, 2, 4, 4, 8, 8, 16, 16, 16, 32, 32, 48, 112, 4096};
    for (size_t i = 0; i < sizeof dims / sizeof *dims; i++) {
        ck_assert_int_eq(store_init(&s, 10, dims[i], 1, 0), RH_OK);
        ck_assert_uint_eq(s.stride, strides[i]);
        ck_assert_uint_eq(s.slot_stride, strides[i]);
        store_fini(&s);
    }
}
END_TEST

START_TEST(no_row_straddles_more_lines_than_it_must) {
    for (uint32_t dim = 1; dim <= 200; dim++) {
        ck_assert_int_eq(store_init(&s, 50, dim, 2, 0), RH_OK);
        ck_assert_int_eq(store_open_slots(&s), RH_OK);
        for (uint64_t row = 0; row < 50; row++) {
            size_t in_line = (uintptr_t)store_row(&s, row) % 64 + dim * sizeof(float);
            ck_assert(in_line <= 64 || (uintptr_t)store_row(&s, row) % 64 == 0);
            in_line = (uintptr_t)store_slot(&s, row) % 64 + 2 * dim * sizeof(float);
            ck_assert(in_line <= 64 || (uintptr_t)store_slot(&s, row) % 64 == 0);
        }
        store_fini(&s);
    }
}
END_TEST

START_TEST(a_billion_rows_are_made_in_no_time_and_cost_what_is_touched) {
    const uint64_t rows = 1000 * 1000 * 1000;
    size_t before = resident_bytes();
    struct timespec t0, t1;
    clock_gettime(CLOCK_MONOTONIC, &t0);
    ck_assert_int_eq(store_init(&s, rows, 64, 2, 0), RH_OK);
    ck_assert_int_eq(store_open_slots(&s), RH_OK);
    clock_gettime(CLOCK_MONOTONIC, &t1);
    ck_assert_int_lt((t1.tv_sec - t0.tv_sec) * 1000 + (t1.tv_nsec - t0.tv_nsec) / 1000000, 100);

    const uint64_t some[] = {0, 1, rows / 2, rows - 1};
    for (int i = 0; i < 4; i++) {
        ck_assert(!store_is_touched(&s, some[i]));
        ck_assert(store_row(&s, some[i])[63] == 0 && store_slot(&s, some[i])[127] == 0);
        store_row(&s, some[i])[63] = 1;
        store_slot(&s, some[i])[127] = 2;
        store_touch(&s, some[i]);
        ck_assert(store_is_touched(&s, some[i]));
    }
    ck_assert_uint_eq(s.n_touched, 4);
    ck_assert_uint_eq(store_memory_bytes(&s), 4 * (64 + 128) * 4);
    ck_assert_uint_lt(resident_bytes() - before, 8 << 20);
}
END_TEST

START_TEST(touched_bits_do_not_spill) {
    ck_assert_int_eq(store_init(&s, 130, 3, 0, 0), RH_OK);
    static const uint64_t rows[] = {0, 63, 64, 127, 128, 129};
    for (int i = 0; i < 6; i++)
        store_touch(&s, rows[i]);
    uint32_t n = 0;
    for (uint64_t row = 0; row < 130; row++)
        n += store_is_touched(&s, row);
    ck_assert_uint_eq(n, 6);
    for (int i = 0; i < 6; i++)
        ck_assert(store_is_touched(&s, rows[i]));
}
END_TEST

START_TEST(slots_come_when_they_are_opened_and_stay) {
    ck_assert_int_eq(store_init(&s, 100, 5, 2, 0), RH_OK);
    ck_assert_ptr_null(store_slot(&s, 99));
    store_touch(&s, 7);
    ck_assert_uint_eq(store_memory_bytes(&s), 8 * 4);
    ck_assert_int_eq(store_open_slots(&s), RH_OK);
    ck_assert_uint_eq(store_memory_bytes(&s), (8 + 16) * 4);
    store_slot(&s, 99)[9] = 3;
    ck_assert_int_eq(store_open_slots(&s), RH_OK);
    ck_assert(store_slot(&s, 99)[9] == 3);
}
END_TEST

START_TEST(words_of_a_row_stand_close_together_and_need_no_slots) {
    ck_assert_int_eq(store_init(&s, 100, 64, 0, 1), RH_OK);
    ck_assert_ptr_null(store_own(&s, 99));
    ck_assert_int_eq(store_open_slots(&s), RH_OK);
    ck_assert_ptr_null(store_slot(&s, 99));
    ck_assert_ptr_eq(store_own(&s, 99), store_own(&s, 98) + 1);
    ck_assert(*store_own(&s, 99) == 0);
    store_touch(&s, 7);
    ck_assert_uint_eq(store_memory_bytes(&s), (64 + 1) * 4);
    *store_own(&s, 99) = 3;
    ck_assert_int_eq(store_open_slots(&s), RH_OK);
    ck_assert(*store_own(&s, 99) == 3);
}
END_TEST

static bool sanitized(void) {
    const char *by = getenv("RH_SAN");
    return by != NULL && *by != '\0';
}

START_TEST(a_reset_store_has_nothing_touched_and_gives_its_memory_back) {
    enum { N = 20000 };
    ck_assert_int_eq(store_init(&s, N, 64, 2, 1), RH_OK);
    size_t before = resident_bytes();
    ck_assert_int_eq(store_open_slots(&s), RH_OK);
    for (uint64_t row = 0; row < N; row++) {
        for (uint32_t i = 0; i < 64; i++)
            store_row(&s, row)[i] = 1;
        memset(store_slot(&s, row), 1, 128 * sizeof(float));
        store_own(&s, row)[0] = 1;
        store_touch(&s, row);
    }
    const size_t used = N * (64 + 128 + 1) * sizeof(float);
    ck_assert_uint_eq(store_memory_bytes(&s), used);
    ck_assert_uint_gt(resident_bytes() - before, used / 10 * 9);
    store_reset(&s);
    ck_assert_uint_eq(store_memory_bytes(&s), 0);
    if (!sanitized()) /* a sanitizer's notes of memory stay */
        ck_assert_uint_lt(resident_bytes(), before + used / 10);
    for (uint64_t row = 0; row < N; row++)
        ck_assert(!store_is_touched(&s, row));
    ck_assert_int_eq(store_open_slots(&s), RH_OK); /* state begins from zeros again */
    ck_assert(store_slot(&s, 7)[127] == 0 && *store_own(&s, 7) == 0);
    store_row(&s, 7)[63] = 2;
    store_touch(&s, 7);
    ck_assert_uint_eq(s.n_touched, 1);
}
END_TEST

/* Consecutive rows and scattered ones, in arrays of small pages and of huge ones; dim 3 has a stride of
 * 4. */
START_TEST(rows_that_are_filled_in_stand_where_they_belong_with_their_state) {
    static const uint64_t sizes[] = {2000, 1000000};
    enum { N = 500, DIM = 3 };
    static float w[N * DIM], slots[N * 2 * DIM], own[N];
    for (uint32_t i = 0; i < N * 2 * DIM; i++)
        slots[i] = (float)(i % 7) - 3; /* zeros among them, but no row of them */
    for (uint32_t i = 0; i < N * DIM; i++)
        w[i] = (float)i + 0.5f;
    for (uint32_t i = 0; i < N; i++)
        own[i] = (float)i;
    for (uint64_t step = 1; step <= 3; step += 2) {
        uint64_t rows[N];
        ck_assert_int_eq(store_init(&s, sizes[_i], DIM, 2, 1), RH_OK);
        ck_assert_int_eq(store_open_slots(&s), RH_OK);
        for (uint32_t i = 0; i < N; i++)
            rows[i] = 5 + i * step;
        store_fill(&s, rows, N, w, slots, own);
        store_fill(&s, rows, 0, w, slots, own);
        ck_assert_uint_eq(s.n_touched, N);
        for (uint32_t i = 0; i < N; i++) {
            ck_assert(store_is_touched(&s, rows[i]));
            ck_assert_mem_eq(store_row(&s, rows[i]), w + i * DIM, DIM * sizeof *w);
            ck_assert_mem_eq(store_slot(&s, rows[i]), slots + i * 2 * DIM, 2 * DIM * sizeof *w);
            ck_assert(*store_own(&s, rows[i]) == own[i]);
            ck_assert(store_row(&s, rows[i])[DIM] == 0);
        }
        ck_assert(!store_is_touched(&s, 4) && store_row(&s, 4)[0] == 0);
        ck_assert(!store_is_touched(&s, rows[N - 1] + 1));
        store_fini(&s);
    }
}
END_TEST

/* Of a table that was loaded and of which few rows were updated, most of the state is zeros. */
START_TEST(zeros_that_are_filled_in_take_no_memory) {
    enum { N = 20000, DIM = 64 };
    static float w[N * DIM], slots[N * 2 * DIM];
    static uint64_t rows[N];
    for (uint32_t i = 0; i < N * DIM; i++)
        w[i] = 1;
    for (uint32_t i = 0; i < N; i++)
        rows[i] = i;
    slots[2 * DIM - 1] = -0.0f; /* no zero, by its bits */
    ck_assert_int_eq(store_init(&s, N, DIM, 2, 0), RH_OK);
    ck_assert_int_eq(store_open_slots(&s), RH_OK);
    size_t before = resident_bytes();
    store_fill(&s, rows, N, w, slots, NULL);
    if (!sanitized())
        ck_assert_uint_lt(resident_bytes() - before, sizeof w + sizeof slots / 4);
    ck_assert_mem_eq(store_slot(&s, 0), slots, sizeof slots / N);
    ck_assert_mem_eq(store_row(&s, N - 1), w, sizeof w / N);
}
END_TEST

START_TEST(an_optimizer_without_state_has_no_slots) {
    ck_assert_int_eq(store_init(&s, 100, 5, 0, 0), RH_OK);
    ck_assert_int_eq(store_open_slots(&s), RH_OK);
    ck_assert_ptr_null(s.slots);
    ck_assert_ptr_null(store_slot(&s, 99));
}
END_TEST

START_TEST(too_much_address_space_is_enomem_with_the_sizes) {
    const uint64_t rows = UINT64_C(1) << 48;
    ck_assert_int_eq(store_init(&s, rows, 64, 0, 0), RH_ENOMEM);
    ck_assert_ptr_nonnull(strstr(err_text(), "72057594037927936 bytes"));
    ck_assert_ptr_nonnull(strstr(err_text(), "281474976710656 rows of dim 64"));
    ck_assert_int_eq(store_init(&s, UINT64_MAX / 2, 64, 0, 0), RH_ENOMEM);
    ck_assert_ptr_nonnull(strstr(err_text(), "9223372036854775807 rows of dim 64"));
}
END_TEST

START_TEST(an_empty_store_can_be_ended) {
    struct store empty = {0};
    store_fini(&empty);
    store_fini(&empty);
}
END_TEST

Suite *store_suite(void) {
    TCase *tc = tcase_create("memory");
    tcase_add_checked_fixture(tc, NULL, teardown);
    tcase_add_test(tc, strides_are_powers_of_two_below_a_line_and_lines_above);
    tcase_add_test(tc, no_row_straddles_more_lines_than_it_must);
    tcase_add_test(tc, a_billion_rows_are_made_in_no_time_and_cost_what_is_touched);
    tcase_add_test(tc, touched_bits_do_not_spill);
    tcase_add_test(tc, slots_come_when_they_are_opened_and_stay);
    tcase_add_test(tc, words_of_a_row_stand_close_together_and_need_no_slots);
    tcase_add_test(tc, a_reset_store_has_nothing_touched_and_gives_its_memory_back);
    tcase_add_loop_test(tc, rows_that_are_filled_in_stand_where_they_belong_with_their_state, 0, 2);
    tcase_add_test(tc, zeros_that_are_filled_in_take_no_memory);
    tcase_add_test(tc, an_optimizer_without_state_has_no_slots);
    tcase_add_test(tc, too_much_address_space_is_enomem_with_the_sizes);
    tcase_add_test(tc, an_empty_store_can_be_ended);
    Suite *suite = suite_create("store");
    suite_add_tcase(suite, tc);
    return suite;
}
