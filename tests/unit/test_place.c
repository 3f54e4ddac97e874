/* test_place.c - the few lines that the whole world must agree on. */
#include <check.h>
#include <string.h>

#include "proto/place.h"
#include "tests/unit/suites.h"

enum { SHARDS_TRIED = 64 };

static uint32_t reversed(uint32_t v) {
    uint32_t out = 0;
    for (int bit = 0; bit < PLACE_SLOT_BITS; bit++)
        out |= (v >> bit & 1) << (PLACE_SLOT_BITS - 1 - bit);
    return out;
}

START_TEST(a_slot_is_the_low_14_bits_reversed) {
    for (uint32_t id = 0; id < PLACE_SLOTS; id++)
        ck_assert_uint_eq(place_slot(id), reversed(id));
}
END_TEST

START_TEST(every_slot_is_hit_by_one_of_16384_neighbours) {
    static uint8_t hit[PLACE_SLOTS];
    memset(hit, 0, sizeof hit);
    for (uint32_t id = 0; id < PLACE_SLOTS; id++) {
        uint32_t slot = place_slot(id);
        ck_assert_uint_lt(slot, PLACE_SLOTS);
        ck_assert_uint_eq(hit[slot]++, 0);
    }
}
END_TEST

START_TEST(bits_above_the_low_14_do_not_matter) {
    for (int bit = PLACE_SLOT_BITS; bit < 64; bit++)
        ck_assert_uint_eq(place_slot((UINT64_C(1) << bit) | 0x1234), place_slot(0x1234));
    ck_assert_uint_eq(place_slot(UINT64_MAX), PLACE_SLOTS - 1);
}
END_TEST

START_TEST(the_ranges_of_the_shards_cover_all_slots_once) {
    for (uint32_t shards = 1; shards <= SHARDS_TRIED; shards++) {
        ck_assert_uint_eq(place_first(0, shards), 0);
        ck_assert_uint_eq(place_first(shards, shards), PLACE_SLOTS);
        for (uint32_t s = 0; s < shards; s++)
            ck_assert_uint_lt(place_first(s, shards), place_first(s + 1, shards));
    }
    for (uint32_t s = 0; s < PLACE_SHARDS_MAX; s++)
        ck_assert_uint_eq(place_first(s + 1, PLACE_SHARDS_MAX) - place_first(s, PLACE_SHARDS_MAX),
                          PLACE_SLOTS / PLACE_SHARDS_MAX);
}
END_TEST

START_TEST(a_slot_lies_in_the_range_of_its_shard) {
    for (uint32_t shards = 1; shards <= SHARDS_TRIED; shards++) {
        for (uint32_t slot = 0; slot < PLACE_SLOTS; slot++) {
            uint32_t s = place_shard_of_slot(slot, shards);
            if (s >= shards || slot < place_first(s, shards) || slot >= place_first(s + 1, shards))
                ck_abort_msg("slot %u of %u shards: shard %u", slot, shards, s);
        }
    }
}
END_TEST

START_TEST(the_first_ids_spread_evenly) {
    for (uint32_t shards = 1; shards <= SHARDS_TRIED; shards *= 2) {
        uint32_t ids[SHARDS_TRIED] = {0};
        for (uint64_t id = 0; id < SHARDS_TRIED; id++)
            ids[place_shard(id, shards)]++;
        for (uint32_t s = 0; s < shards; s++)
            ck_assert_uint_eq(ids[s], SHARDS_TRIED / shards);
    }
}
END_TEST

Suite *place_suite(void) {
    Suite *suite = suite_create("place");
    TCase *tc = tcase_create("place");
    tcase_add_test(tc, a_slot_is_the_low_14_bits_reversed);
    tcase_add_test(tc, every_slot_is_hit_by_one_of_16384_neighbours);
    tcase_add_test(tc, bits_above_the_low_14_do_not_matter);
    tcase_add_test(tc, the_ranges_of_the_shards_cover_all_slots_once);
    tcase_add_test(tc, a_slot_lies_in_the_range_of_its_shard);
    tcase_add_test(tc, the_first_ids_spread_evenly);
    suite_add_tcase(suite, tc);
    return suite;
}
