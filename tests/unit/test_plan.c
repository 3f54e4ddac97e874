/* test_plan.c - the plan of a call against the plainest model there is: one that searches. */
#include "worker/plan.h"

#include <check.h>
#include <stdlib.h>
#include <string.h>

#include "common/err.h"
#include "common/rng.h"
#include "proto/place.h"
#include "tests/unit/suites.h"

#define ROWS 1000000007u

/* Position of the first occurrence of ids[pos]. */
static uint32_t first_of(const uint64_t *ids, uint32_t pos) {
    uint32_t i = 0;
    while (ids[i] != ids[pos])
        i++;
    return i;
}

/* Every position of the call is in exactly one chain, which is its id's, in order. */
static void check_chains(const struct plan *p, const uint64_t *ids, uint32_t n) {
    uint32_t seen = 0;
    for (uint32_t u = 0; u < p->unique; u++) {
        uint32_t pos = p->first[u], before = pos;
        ck_assert_uint_eq(first_of(ids, pos), pos);
        do {
            ck_assert_uint_eq(ids[pos], p->ids[u]);
            ck_assert(seen == 0 || pos >= before);
            before = pos;
            seen++;
            pos = p->next[pos];
        } while (pos != 0);
        ck_assert_uint_eq(before, p->last[u]);
    }
    ck_assert_uint_eq(seen, n);
}

/* Ids are unique, and each stands with its shard, in order of first arrival. */
static void check_order(const struct plan *p, uint32_t shards) {
    ck_assert_uint_eq(p->bounds[0], 0);
    ck_assert_uint_eq(p->bounds[shards], p->unique);
    for (uint32_t s = 0; s < shards; s++) {
        ck_assert_uint_le(p->bounds[s], p->bounds[s + 1]);
        for (uint32_t u = p->bounds[s]; u < p->bounds[s + 1]; u++) {
            ck_assert_uint_eq(place_shard(p->ids[u], shards), s);
            ck_assert(u == p->bounds[s] || p->first[u] > p->first[u - 1]);
        }
    }
}

static void check_plan(struct plan *p, const uint64_t *ids, uint32_t n, uint32_t shards) {
    ck_assert_int_eq(plan_make(p, ids, n, ROWS, "t", shards), RH_OK);
    ck_assert_uint_eq(p->n, n);
    uint32_t unique = 0;
    for (uint32_t pos = 0; pos < n; pos++)
        unique += first_of(ids, pos) == pos;
    ck_assert_uint_eq(p->unique, unique);
    check_chains(p, ids, n);
    check_order(p, shards);
}

START_TEST(random_calls_agree_with_the_model_for_1_2_3_and_7_shards) {
    static const uint32_t shards[] = {1, 2, 3, 7};
    struct plan p;
    struct rng g;
    plan_init(&p);
    rng_init(&g, 20, 1);
    for (int round = 0; round < 200; round++) {
        uint64_t ids[400];
        uint32_t n = rng_below(&g, 400);
        uint32_t kinds = 1 + rng_below(&g, round % 2 == 0 ? 50 : ROWS - 1);
        for (uint32_t i = 0; i < n; i++)
            ids[i] = rng_below(&g, kinds);
        for (size_t s = 0; s < sizeof shards / sizeof *shards; s++)
            check_plan(&p, ids, n, shards[s]);
    }
    plan_fini(&p);
}
END_TEST

/* Every id of the call but one, once, as it stood before. */
static void check_drop(struct plan *p, const uint64_t *ids, uint32_t n, uint64_t id,
                       uint32_t shards) {
    struct plan before = {0};
    ck_assert_int_eq(plan_make(&before, ids, n, ROWS, "t", shards), RH_OK);
    ck_assert_int_eq(plan_make(p, ids, n, ROWS, "t", shards), RH_OK);
    plan_drop(p, id, shards);
    check_order(p, shards);
    uint32_t left = 0;
    for (uint32_t u = 0; u < before.unique; u++) {
        if (before.ids[u] == id)
            continue;
        ck_assert_uint_eq(p->ids[left], before.ids[u]);
        ck_assert_uint_eq(p->first[left], before.first[u]);
        ck_assert_uint_eq(p->last[left], before.last[u]);
        left++;
    }
    ck_assert_uint_eq(p->unique, left);
    ck_assert_mem_eq(p->next, before.next, n * sizeof *p->next);
    plan_fini(&before);
}

START_TEST(a_dropped_id_is_gone_and_nothing_else) {
    static const uint32_t shards[] = {1, 2, 3, 7};
    struct plan p = {0};
    struct rng g;
    rng_init(&g, 21, 1);
    for (int round = 0; round < 200; round++) {
        uint64_t ids[60];
        uint32_t n = 1 + rng_below(&g, 60);
        for (uint32_t i = 0; i < n; i++)
            ids[i] = rng_below(&g, 40) * 977;
        for (size_t s = 0; s < sizeof shards / sizeof *shards; s++) {
            check_drop(&p, ids, n, ids[0], shards[s]);
            check_drop(&p, ids, n, ids[n - 1], shards[s]);
            check_drop(&p, ids, n, ids[rng_below(&g, n)], shards[s]);
            check_drop(&p, ids, n, 40 * 977, shards[s]); /* not there */
        }
    }
    plan_fini(&p);
}
END_TEST

START_TEST(a_call_of_no_ids_has_an_empty_plan) {
    struct plan p = {0};
    ck_assert_int_eq(plan_make(&p, NULL, 0, 10, "t", 3), RH_OK);
    ck_assert_uint_eq(p.unique, 0);
    for (int s = 0; s <= 3; s++)
        ck_assert_uint_eq(p.bounds[s], 0);
    plan_fini(&p);
}
END_TEST

START_TEST(an_id_out_of_range_is_named_with_its_position_and_table) {
    struct plan p = {0};
    uint64_t ids[] = {3, 9, 10, 11};
    ck_assert_int_eq(plan_make(&p, ids, 4, 10, "words", 2), RH_ERANGE);
    ck_assert_ptr_nonnull(strstr(err_text(), "id 10 at position 2"));
    ck_assert_ptr_nonnull(strstr(err_text(), "words"));
    ck_assert_ptr_nonnull(strstr(err_text(), "0 to 9"));
    ids[2] = UINT64_MAX;
    ck_assert_int_eq(plan_make(&p, ids, 4, 10, "words", 1), RH_ERANGE);
    /* The plan is fit for the next call. */
    ck_assert_int_eq(plan_make(&p, ids, 2, 10, "words", 2), RH_OK);
    ck_assert_uint_eq(p.unique, 2);
    plan_fini(&p);
}
END_TEST

START_TEST(a_warm_plan_allocates_nothing) {
    struct plan p = {0};
    uint64_t ids[256];
    for (uint32_t i = 0; i < 256; i++)
        ids[i] = i * 7;
    ck_assert_int_eq(plan_make(&p, ids, 256, ROWS, "t", 3), RH_OK);
    const struct plan warm = p;
    for (uint32_t n = 256; n > 0; n /= 2)
        ck_assert_int_eq(plan_make(&p, ids, n, ROWS, "t", 3), RH_OK);
    ck_assert_ptr_eq(p.ids, warm.ids);
    ck_assert_ptr_eq(p.next, warm.next);
    ck_assert_ptr_eq(p.bounds, warm.bounds);
    ck_assert_uint_eq(plan_memory_bytes(&p), plan_memory_bytes(&warm));
    plan_fini(&p);
}
END_TEST

START_TEST(too_many_ids_are_elimit) {
    struct plan p = {0};
    uint64_t id = 0;
    ck_assert_int_eq(plan_make(&p, &id, ((size_t)1 << 30) + 1, 10, "t", 1), RH_ELIMIT);
    plan_fini(&p);
}
END_TEST

Suite *plan_suite(void) {
    Suite *s = suite_create("plan");
    TCase *t = tcase_create("plan");
    tcase_add_test(t, random_calls_agree_with_the_model_for_1_2_3_and_7_shards);
    tcase_add_test(t, a_dropped_id_is_gone_and_nothing_else);
    tcase_add_test(t, a_call_of_no_ids_has_an_empty_plan);
    tcase_add_test(t, an_id_out_of_range_is_named_with_its_position_and_table);
    tcase_add_test(t, a_warm_plan_allocates_nothing);
    tcase_add_test(t, too_many_ids_are_elimit);
    suite_add_tcase(s, t);
    return s;
}
