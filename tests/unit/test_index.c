/* test_index.c - ids become rows by the formula of DESIGN and PROTOCOL, each id its own, and what is
 * not ours is refused by name. */
#include <check.h>
#include <stdlib.h>
#include <string.h>

#include "common/err.h"
#include "proto/place.h"
#include "ps/index.h"
#include "tests/unit/suites.h"

static struct index ix;

static void open_index(uint64_t num, uint32_t shard, uint32_t shards) {
    struct spec s = {.kind = SPEC_DENSE, .dim = 1, .rows = num};
    ck_assert_int_eq(index_dense.init(&ix, &s, shard, shards), RH_OK);
}

static rh_status locate(const uint64_t *ids, uint32_t n, uint64_t *rows) {
    return index_dense.locate(&ix, (const uint8_t *)ids, n, rows);
}

START_TEST(every_id_has_a_row_of_its_own_on_one_shard) {
    static const uint64_t sizes[] = {1, 5, 16383, 16384, 16385, 50000};
    static const uint32_t worlds[] = {1, 2, 3, 7, 1024};
    const uint64_t num = sizes[_i % 6];
    const uint32_t shards = worlds[_i / 6];
    for (uint32_t shard = 0; shard < shards; shard++) {
        open_index(num, shard, shards);
        bool *taken = calloc(ix.rows, sizeof *taken);
        for (uint64_t id = 0; id < num; id++) {
            if (place_shard(id, shards) != shard)
                continue;
            uint64_t row;
            ck_assert_int_eq(locate(&id, 1, &row), RH_OK);
            ck_assert_uint_lt(row, ix.rows);
            ck_assert(!taken[row]);
            taken[row] = true;
            ck_assert_uint_eq(index_dense.id_of(&ix, row), id);
        }
        free(taken);
        index_dense.fini(&ix);
    }
}
END_TEST

START_TEST(ids_of_a_shard_are_counted_without_looking_at_each) {
    static const uint64_t sizes[] = {1, 5, 16383, 16384, 16385, 50000};
    static const uint32_t worlds[] = {1, 2, 3, 7, 1024};
    const uint64_t num = sizes[_i % 6];
    const uint32_t shards = worlds[_i / 6];
    for (uint32_t shard = 0; shard < shards; shard += 1 + shards / 8) {
        open_index(num, shard, shards);
        uint64_t mine = 0;
        for (uint64_t end = 0; end <= num; end++) {
            if (index_dense.below(&ix, end) != mine)
                ck_abort_msg("%llu ids below %llu", (unsigned long long)mine,
                             (unsigned long long)end);
            mine += end < num && place_shard(end, shards) == shard;
        }
        index_dense.fini(&ix);
    }
}
END_TEST

START_TEST(rows_follow_the_formula) {
    open_index(40000, 1, 2); /* slots 8192 to 16383, three rows each */
    ck_assert_uint_eq(ix.rows, 8192 * 3);
    /* Odd ids are the upper half of the slots. Id 1 reversed is slot 8192, id 3 is 12288. */
    const uint64_t ids[] = {1, 1 + 16384, 1 + 32768, 3, 16383};
    const uint64_t want[] = {0, 1, 2, 4096 * 3, 8191 * 3};
    uint64_t rows[5];
    ck_assert_int_eq(locate(ids, 5, rows), RH_OK);
    for (int i = 0; i < 5; i++)
        ck_assert_uint_eq(rows[i], want[i]);
}
END_TEST

START_TEST(ids_are_found_at_any_address) {
    open_index(1000000, 0, 1);
    uint64_t ids[40], want[40], rows[40];
    for (uint64_t i = 0; i < 40; i++)
        ids[i] = i * 24989 % 1000000;
    ck_assert_int_eq(locate(ids, 40, want), RH_OK);
    for (size_t shift = 0; shift < 8; shift++) {
        uint8_t frame[sizeof ids + 8];
        memcpy(frame + shift, ids, sizeof ids);
        ck_assert_int_eq(index_dense.locate(&ix, frame + shift, 40, rows), RH_OK);
        ck_assert_mem_eq(rows, want, sizeof rows);
    }
}
END_TEST

START_TEST(no_ids_are_fine) {
    open_index(10, 0, 1);
    ck_assert_int_eq(index_dense.locate(&ix, NULL, 0, NULL), RH_OK);
}
END_TEST

START_TEST(the_largest_table_can_be_addressed) {
    const uint64_t num = UINT64_C(1) << SPEC_ROWS_BITS;
    open_index(num, 0, 1);
    const uint64_t ids[] = {0, num - 1, num};
    uint64_t rows[3];
    ck_assert_int_eq(locate(ids, 2, rows), RH_OK);
    ck_assert_uint_eq(rows[0], 0);
    ck_assert_uint_eq(rows[1], num - 1);
    ck_assert_int_eq(locate(ids, 3, rows), RH_ERANGE);
}
END_TEST

START_TEST(an_id_at_num_embeddings_is_erange_and_named) {
    open_index(5000, 0, 1);
    const uint64_t ids[] = {4999, 0, 5000, 77777};
    uint64_t rows[4];
    ck_assert_int_eq(locate(ids, 4, rows), RH_ERANGE);
    ck_assert_ptr_nonnull(strstr(err_text(), "id 5000 "));
    ck_assert_ptr_nonnull(strstr(err_text(), "num_embeddings 5000"));
    const uint64_t last = UINT64_MAX;
    ck_assert_int_eq(locate(&last, 1, rows), RH_ERANGE);
    ck_assert_ptr_nonnull(strstr(err_text(), "id 18446744073709551615 "));
}
END_TEST

START_TEST(an_id_of_another_shard_is_erange_and_named) {
    for (uint32_t shard = 0; shard < 3; shard++) {
        open_index(5000, shard, 3);
        for (uint64_t id = 0; id < 5000; id++) {
            uint64_t row;
            rh_status want = place_shard(id, 3) == shard ? RH_OK : RH_ERANGE;
            ck_assert_int_eq(locate(&id, 1, &row), want);
        }
    }
    const uint64_t even =
        4242; /* slots of even ids are the lower half, shard 2 has the upper third */
    uint64_t row;
    ck_assert_int_eq(locate(&even, 1, &row), RH_ERANGE);
    ck_assert_ptr_nonnull(strstr(err_text(), "id 4242 "));
    ck_assert_ptr_nonnull(strstr(err_text(), "slots 10923 to 16383"));
}
END_TEST

Suite *index_suite(void) {
    TCase *tc = tcase_create("dense");
    tcase_add_loop_test(tc, every_id_has_a_row_of_its_own_on_one_shard, 0, 30);
    tcase_add_loop_test(tc, ids_of_a_shard_are_counted_without_looking_at_each, 0, 30);
    tcase_add_test(tc, rows_follow_the_formula);
    tcase_add_test(tc, ids_are_found_at_any_address);
    tcase_add_test(tc, no_ids_are_fine);
    tcase_add_test(tc, the_largest_table_can_be_addressed);
    tcase_add_test(tc, an_id_at_num_embeddings_is_erange_and_named);
    tcase_add_test(tc, an_id_of_another_shard_is_erange_and_named);
    Suite *s = suite_create("index");
    suite_add_tcase(s, tc);
    return s;
}
