/* test_freeze.c - what is frozen on a shard, beside an array that has a clock for every row: whatever
 * ranges and lists are frozen and thawed, whoever was spoken of last is right, and all shards judge
 * the table alike. */
#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common/err.h"
#include "common/rng.h"
#include "proto/place.h"
#include "ps/freeze.h"
#include "tests/support/seed.h"
#include "tests/unit/suites.h"

enum { SHARDS_MAX = 3 };

static uint64_t seed, num;
static uint32_t shards;
static struct index ix[SHARDS_MAX];
static struct freeze f[SHARDS_MAX];

static void open_shards(uint64_t rows, uint32_t n, bool frozen) {
    struct spec s = {.kind = SPEC_DENSE, .dim = 1, .rows = rows};
    num = rows;
    shards = n;
    for (uint32_t i = 0; i < n; i++) {
        ck_assert_int_eq(index_dense.init(&ix[i], &s, i, n), RH_OK);
        ck_assert_int_eq(freeze_init(&f[i], &ix[i], frozen), RH_OK);
    }
}

static void teardown(void) {
    for (uint32_t i = 0; i < SHARDS_MAX; i++)
        freeze_fini(&f[i]);
}

static void range(uint64_t first, uint64_t count, uint64_t until) {
    for (uint32_t i = 0; i < shards; i++)
        ck_assert_int_eq(freeze_range(&f[i], first, count, until), RH_OK);
}

static uint64_t row_of(uint32_t shard, uint64_t id) {
    uint64_t row;
    ck_assert_int_eq(index_dense.locate(&ix[shard], (uint8_t *)&id, 1, &row), RH_OK);
    return row;
}

static void list(const uint64_t *ids, uint32_t n, uint64_t until) {
    uint64_t *rows = malloc((n + 1) * sizeof *rows);
    for (uint32_t i = 0; i < shards; i++) {
        uint32_t mine = 0;
        for (uint32_t k = 0; k < n; k++)
            if (place_shard(ids[k], shards) == i)
                rows[mine++] = row_of(i, ids[k]);
        ck_assert_int_eq(freeze_open_lists(&f[i]), RH_OK);
        freeze_rows(&f[i], rows, mine, until);
    }
    free(rows);
}

static uint64_t until(uint64_t id) {
    uint32_t shard = place_shard(id, shards);
    return freeze_until(&f[shard], row_of(shard, id), id);
}

static uint64_t count(uint64_t clock) {
    uint64_t n = 0;
    for (uint32_t i = 0; i < shards; i++)
        n += freeze_count(&f[i], clock);
    return n;
}

static bool is_whole(uint64_t clock) {
    for (uint32_t i = 1; i < shards; i++)
        ck_assert_uint_eq(f[i].whole, f[0].whole);
    return freeze_is_whole(&f[0], clock);
}

/* ---- by example ---- */

START_TEST(nothing_is_frozen_at_first_or_all_of_it) {
    open_shards(100, 2, false);
    ck_assert(!is_whole(0) && count(0) == 0 && until(5) == 0);
    freeze_enter(&f[0], 0);
    ck_assert(!f[0].thins);
    teardown();
    open_shards(100, 2, true);
    ck_assert(is_whole(UINT32_MAX) && count(UINT32_MAX) == 100);
    ck_assert_uint_eq(until(99), FREEZE_FOR_EVER);
}
END_TEST

START_TEST(ranges_that_cover_everything_are_the_whole_table) {
    open_shards(100, 3, false);
    range(0, 40, 9);
    range(60, 40, FREEZE_FOR_EVER);
    ck_assert(!is_whole(0));
    range(30, 30, 5);
    ck_assert(is_whole(4) && !is_whole(5));
    ck_assert_uint_eq(count(4), 100);
    ck_assert_uint_eq(count(5), 70);
    ck_assert_uint_eq(count(9), 40);
    ck_assert_uint_eq(f[0].n_runs, 3);
    range(0, 100, 0);
    ck_assert_uint_eq(f[0].n_runs, 1);
    ck_assert_uint_eq(count(0), 0);
}
END_TEST

START_TEST(neighbours_with_one_clock_are_one_run) {
    open_shards(100, 1, false);
    range(10, 10, 7);
    range(30, 10, 7);
    ck_assert_uint_eq(f[0].n_runs, 5);
    range(20, 10, 7);
    ck_assert_uint_eq(f[0].n_runs, 3);
    range(0, 10, 7);
    range(40, 60, 7);
    ck_assert_uint_eq(f[0].n_runs, 1);
    ck_assert(is_whole(6) && !is_whole(7));
}
END_TEST

START_TEST(a_shard_without_rows_of_a_list_knows_that_the_table_is_not_whole) {
    open_shards(100, 3, true);
    uint64_t id = 0; /* shard 0's */
    list(&id, 1, 0);
    ck_assert(!is_whole(0)); /* on all three */
    ck_assert_uint_eq(count(0), 99);
    list(&id, 1, FREEZE_FOR_EVER);
    ck_assert(!is_whole(0)); /* frozen row by row: all of them, but nobody can know */
    ck_assert_uint_eq(count(0), 100);
    range(0, 100, FREEZE_FOR_EVER);
    ck_assert(is_whole(0));
}
END_TEST

START_TEST(a_list_frozen_beyond_the_range_leaves_the_table_whole) {
    open_shards(100, 2, false);
    uint64_t ids[] = {1, 2, 3};
    range(0, 100, 5);
    list(ids, 3, 9);
    ck_assert(is_whole(4) && !is_whole(5));
    ck_assert_uint_eq(count(5), 3);
    ck_assert_uint_eq(count(9), 0);
}
END_TEST

START_TEST(a_range_forgets_the_lists_in_it_and_no_others) {
    open_shards(50000, 2, false);
    uint64_t ids[] = {0, 16383, 16384, 16385, 49999};
    list(ids, 5, FREEZE_FOR_EVER);
    range(16384, 100, 3);
    ck_assert_uint_eq(until(16383), FREEZE_FOR_EVER);
    ck_assert_uint_eq(until(16384), 3);
    ck_assert_uint_eq(until(16385), 3);
    ck_assert_uint_eq(until(49999), FREEZE_FOR_EVER);
    ck_assert_uint_eq(f[0].n_listed + f[1].n_listed, 3);
    range(0, 50000, 0);
    ck_assert_uint_eq(f[0].n_listed + f[1].n_listed, 0);
    ck_assert_uint_eq(count(0), 0);
    ck_assert_uint_eq(f[0].last, 0);
}
END_TEST

START_TEST(a_reset_forgets_ranges_and_lists_and_keeps_room_for_more) {
    open_shards(100, 2, false);
    uint64_t ids[] = {0, 1, 2};
    range(50, 10, 9);
    list(ids, 3, FREEZE_FOR_EVER);
    for (uint32_t i = 0; i < shards; i++) {
        freeze_reset(&f[i], true);
        ck_assert_uint_eq(f[i].n_listed, 0);
        ck_assert_ptr_nonnull(f[i].listed);
    }
    ck_assert(is_whole(UINT32_MAX) && count(UINT32_MAX) == 100);
    list(ids, 3, 0);
    ck_assert_uint_eq(count(0), 97);
}
END_TEST

START_TEST(once_everything_is_open_no_row_is_asked_for) {
    open_shards(100, 1, false);
    uint64_t ids[] = {4, 5};
    range(10, 5, 3);
    list(ids, 2, 6);
    freeze_enter(&f[0], 5);
    ck_assert(f[0].thins);
    freeze_enter(&f[0], 6);
    ck_assert(!f[0].thins);
}
END_TEST

static size_t resident_bytes(void) {
    FILE *file = fopen("/proc/self/statm", "r");
    ck_assert_ptr_nonnull(file);
    unsigned long pages = 0;
    ck_assert_int_eq(fscanf(file, "%*u %lu", &pages), 1);
    fclose(file);
    return pages * (size_t)sysconf(_SC_PAGESIZE);
}

START_TEST(a_billion_rows_are_frozen_and_counted_for_next_to_nothing) {
    const uint64_t rows = 1000 * 1000 * 1000;
    open_shards(rows, 2, false);
    size_t before = resident_bytes();
    range(1, rows - 2, 50);
    uint64_t ids[] = {0, 123456789, 999999999};
    list(ids, 3, FREEZE_FOR_EVER);
    ck_assert_uint_eq(count(49), rows);
    ck_assert_uint_eq(count(50), 3);
    range(0, rows / 2, 0);
    ck_assert_uint_eq(count(0), rows / 2);
    ck_assert_uint_eq(count(50), 1);
#if !defined(__SANITIZE_ADDRESS__) && !defined(__SANITIZE_THREAD__)
    ck_assert_uint_le(resident_bytes() - before, 1 << 20);
#else
    (void)before;
#endif
}
END_TEST

START_TEST(no_room_for_a_list_is_enomem) {
    open_shards(UINT64_C(1) << 48, 1, false);
    ck_assert_int_eq(freeze_open_lists(&f[0]), RH_ENOMEM);
    ck_assert_ptr_nonnull(strstr(err_text(), "frozen rows"));
    ck_assert_ptr_null(f[0].listed);
    range(0, UINT64_C(1) << 47, 3); /* a range needs none */
    ck_assert_uint_eq(count(2), UINT64_C(1) << 47);
}
END_TEST

/* ---- beside the naive array ---- */

enum { ROUNDS = 40, OPS = 400, LIST_MAX = 300, CLOCKS = 12 };

struct model {
    uint64_t *until; /* (num) */
    uint64_t *by_range;
    uint64_t lists_least;
};

static uint64_t any_until(struct rng *g) {
    uint32_t k = rng_below(g, 4);
    return k == 0 ? 0 : k == 1 ? FREEZE_FOR_EVER : 1 + rng_below(g, CLOCKS - 1);
}

static void any_range(struct rng *g, struct model *m) {
    uint64_t first = rng_u64(g) % num, n = 1 + rng_u64(g) % (num - first), to = any_until(g);
    if (rng_below(g, 20) == 0) {
        first = 0;
        n = num;
    }
    range(first, n, to);
    for (uint64_t id = first; id < first + n; id++)
        m->until[id] = m->by_range[id] = to;
    if (n == num)
        m->lists_least = FREEZE_FOR_EVER;
}

static void any_list(struct rng *g, struct model *m) {
    uint64_t ids[LIST_MAX], to = any_until(g), near = rng_u64(g) % num;
    uint32_t n = 1 + rng_below(g, LIST_MAX);
    bool clustered = rng_below(g, 2);
    for (uint32_t i = 0; i < n; i++) {
        ids[i] = clustered ? (near + rng_below(g, 500)) % num : rng_u64(g) % num;
        m->until[ids[i]] = to;
    }
    list(ids, n, to);
    m->lists_least = to < m->lists_least ? to : m->lists_least;
}

static void same_as_model(const struct model *m) {
    uint64_t frozen[CLOCKS + 1] = {0}, whole = m->lists_least;
    for (uint64_t id = 0; id < num; id++) {
        uint32_t shard = place_shard(id, shards);
        uint64_t row; /* no ck_assert for each of millions: it takes longer than what it checks */
        if (index_dense.locate(&ix[shard], (uint8_t *)&id, 1, &row) != RH_OK ||
            freeze_until(&f[shard], row, id) != m->until[id] || m->until[id] > f[shard].last)
            ck_abort_msg("id %llu", (unsigned long long)id);
        for (uint32_t clock = 0; clock <= CLOCKS; clock++)
            frozen[clock] += clock < m->until[id];
        whole = m->by_range[id] < whole ? m->by_range[id] : whole;
    }
    for (uint32_t clock = 0; clock <= CLOCKS; clock++) {
        ck_assert_uint_eq(count(clock), frozen[clock]);
        ck_assert(is_whole(clock) == (clock < whole));
        /* What is called whole is. */
        ck_assert(!is_whole(clock) || frozen[clock] == num);
    }
}

START_TEST(it_agrees_with_a_clock_for_every_row) {
    static const uint64_t sizes[] = {1, 7, 1000, 16384, 20000, 40001};
    struct rng g;
    rng_init(&g, seed, (uint64_t)_i);
    open_shards(sizes[rng_below(&g, 6)], 1 + rng_below(&g, SHARDS_MAX), rng_below(&g, 2));
    struct model m = {malloc(num * sizeof *m.until), malloc(num * sizeof *m.by_range),
                      FREEZE_FOR_EVER};
    for (uint64_t id = 0; id < num; id++)
        m.until[id] = m.by_range[id] = f[0].runs[0].until;
    for (int op = 0; op < OPS; op++) {
        if (rng_below(&g, 2))
            any_range(&g, &m);
        else
            any_list(&g, &m);
        if (op % 25 == 24)
            same_as_model(&m);
    }
    free(m.until);
    free(m.by_range);
}
END_TEST

Suite *freeze_suite(void) {
    TCase *tc = tcase_create("freeze");
    seed = test_seed("freeze");
    tcase_add_checked_fixture(tc, NULL, teardown);
    tcase_set_timeout(tc, 60);
    tcase_add_test(tc, nothing_is_frozen_at_first_or_all_of_it);
    tcase_add_test(tc, ranges_that_cover_everything_are_the_whole_table);
    tcase_add_test(tc, neighbours_with_one_clock_are_one_run);
    tcase_add_test(tc, a_shard_without_rows_of_a_list_knows_that_the_table_is_not_whole);
    tcase_add_test(tc, a_list_frozen_beyond_the_range_leaves_the_table_whole);
    tcase_add_test(tc, a_range_forgets_the_lists_in_it_and_no_others);
    tcase_add_test(tc, a_reset_forgets_ranges_and_lists_and_keeps_room_for_more);
    tcase_add_test(tc, once_everything_is_open_no_row_is_asked_for);
    tcase_add_test(tc, a_billion_rows_are_frozen_and_counted_for_next_to_nothing);
    tcase_add_test(tc, no_room_for_a_list_is_enomem);
    tcase_add_loop_test(tc, it_agrees_with_a_clock_for_every_row, 0, ROUNDS);
    Suite *s = suite_create("freeze");
    suite_add_tcase(s, tc);
    return s;
}
