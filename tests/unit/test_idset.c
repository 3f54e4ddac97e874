/* test_idset.c - ids are numbered by first arrival, whatever they are and however often they come */
#include <check.h>
#include <stdlib.h>

#include "common/err.h"
#include "common/idset.h"
#include "common/rng.h"
#include "tests/support/seed.h"
#include "tests/unit/suites.h"

static struct idset s;

static void setup(void) {
    idset_init(&s);
}

static void teardown(void) {
    idset_fini(&s);
}

START_TEST(members_are_numbered_by_first_arrival) {
    ck_assert_int_eq(idset_reset(&s, 10), RH_OK);
    ck_assert_uint_eq(idset_add(&s, 500), 0);
    ck_assert_uint_eq(idset_add(&s, 7), 1);
    ck_assert_uint_eq(idset_add(&s, 500), 0);
    ck_assert_uint_eq(idset_add(&s, 0), 2);
    ck_assert_uint_eq(idset_add(&s, UINT64_MAX), 3);
    ck_assert_uint_eq(idset_add(&s, 0), 2);
    ck_assert_uint_eq(s.n, 4);
    ck_assert_uint_eq(idset_find(&s, 7), 1);
    ck_assert_uint_eq(idset_find(&s, 8), UINT32_MAX);
}
END_TEST

START_TEST(nothing_is_found_in_an_empty_set) {
    ck_assert_uint_eq(idset_find(&s, 0), UINT32_MAX);
    ck_assert_int_eq(idset_reset(&s, 0), RH_OK);
    ck_assert_uint_eq(idset_find(&s, 0), UINT32_MAX);
}
END_TEST

START_TEST(reset_forgets_members_and_keeps_memory) {
    ck_assert_int_eq(idset_reset(&s, 1000), RH_OK);
    for (uint64_t id = 0; id < 1000; id++)
        idset_add(&s, id);
    const void *memory = s.cells;
    ck_assert_int_eq(idset_reset(&s, 10), RH_OK);
    ck_assert_uint_eq(s.n, 0);
    ck_assert_uint_eq(idset_find(&s, 5), UINT32_MAX);
    ck_assert_uint_eq(idset_add(&s, 5), 0);
    ck_assert_int_eq(idset_reset(&s, 1000), RH_OK);
    ck_assert_uint_eq(idset_find(&s, 5), UINT32_MAX);
    ck_assert_ptr_eq(s.cells, memory);
}
END_TEST

/* After 2^32 resets a stamp comes again; cells of its first time must not. */
START_TEST(stamps_that_wrap_bring_nothing_back) {
    ck_assert_int_eq(idset_reset(&s, 100), RH_OK);
    for (uint64_t id = 0; id < 100; id++)
        idset_add(&s, id); /* with stamp 1 */
    s.stamp = UINT32_MAX - 1;
    for (int i = 0; i < 3; i++) { /* stamps 2^32 - 1, 1, 2 */
        ck_assert_int_eq(idset_reset(&s, 100), RH_OK);
        for (uint64_t id = 0; id < 100; id++)
            ck_assert_uint_eq(idset_find(&s, id), UINT32_MAX);
        ck_assert_uint_eq(idset_add(&s, 3), 0);
    }
    ck_assert_uint_eq(s.stamp, 2);
}
END_TEST

START_TEST(more_members_than_the_limit_are_refused) {
    ck_assert_int_eq(idset_reset(&s, 10), RH_OK);
    idset_add(&s, 1);
    ck_assert_int_eq(idset_reset(&s, ((size_t)1 << 30) + 1), RH_ELIMIT);
    ck_assert_str_eq(err_text(), "1073741825 ids in one set; the limit is 1073741824");
    ck_assert_int_eq(idset_reset(&s, SIZE_MAX), RH_ELIMIT);
    ck_assert_uint_eq(idset_find(&s, 1), 0);
}
END_TEST

/* Ids as they come: dense, strided by powers of two, high bits only, random. */
static uint64_t id_of(int pattern, uint64_t i, struct rng *g) {
    switch (pattern) {
    case 0:
        return i;
    case 1:
        return i << 14;
    case 2:
        return i << 32;
    case 3:
        return i << 48;
    case 4:
        return ~i;
    default:
        return rng_below(g, 3000);
    }
}

START_TEST(any_pattern_of_ids_is_numbered_as_a_plain_list_is) {
    enum { N = 4000, PATTERNS = 6 };
    struct rng g;
    rng_init(&g, test_seed("idset"), 0);
    uint64_t *list = malloc(N * sizeof *list);
    for (int round = 0; round < 2 * PATTERNS; round++) {
        ck_assert_int_eq(idset_reset(&s, N), RH_OK);
        uint32_t n = 0;
        for (uint64_t i = 0; i < N; i++) {
            uint64_t id = id_of(round % PATTERNS, i, &g);
            uint32_t want = 0;
            if (round % PATTERNS < 5)
                want = n; /* all differ */
            while (want < n && list[want] != id)
                want++;
            if (want == n)
                list[n++] = id;
            ck_assert_uint_eq(idset_add(&s, id), want);
        }
        ck_assert_uint_eq(s.n, n);
        for (uint32_t i = 0; i < n; i++)
            ck_assert_uint_eq(idset_find(&s, list[i]), i);
    }
    free(list);
}
END_TEST

Suite *idset_suite(void) {
    Suite *suite = suite_create("idset");
    TCase *t = tcase_create("idset");
    tcase_add_checked_fixture(t, setup, teardown);
    tcase_add_test(t, members_are_numbered_by_first_arrival);
    tcase_add_test(t, nothing_is_found_in_an_empty_set);
    tcase_add_test(t, reset_forgets_members_and_keeps_memory);
    tcase_add_test(t, stamps_that_wrap_bring_nothing_back);
    tcase_add_test(t, more_members_than_the_limit_are_refused);
    tcase_add_test(t, any_pattern_of_ids_is_numbered_as_a_plain_list_is);
    suite_add_tcase(suite, t);
    return suite;
}
