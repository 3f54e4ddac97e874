/* test_hash.c - the hash is XXH3-64 as published: files and other implementations depend on it. */
#include <check.h>

#include "common/hash.h"
#include "tests/unit/suites.h"

START_TEST(the_numbers_are_those_of_xxh3) {
    ck_assert_uint_eq(hash64("", 0), 0x2D06800538D394C2);
    ck_assert_uint_eq(hash64(NULL, 0), 0x2D06800538D394C2);
    ck_assert_uint_eq(hash64("a", 1), 0xE6C632B61E964E1F);
    ck_assert_uint_eq(hash64("abc", 3), 0x78AF5F94892F3950);
    ck_assert_uint_eq(hash32("abc", 3), 0x892F3950);
}
END_TEST

START_TEST(another_seed_is_another_hash) {
    ck_assert_uint_eq(hash64_seeded("abc", 3, 0), hash64("abc", 3));
    ck_assert_uint_ne(hash64_seeded("abc", 3, 1), hash64("abc", 3));
    ck_assert_uint_ne(hash64_seeded("abc", 3, 1), hash64_seeded("abc", 3, 2));
}
END_TEST

Suite *hash_suite(void) {
    Suite *s = suite_create("hash");
    TCase *t = tcase_create("hash");
    tcase_add_test(t, the_numbers_are_those_of_xxh3);
    tcase_add_test(t, another_seed_is_another_hash);
    suite_add_tcase(s, t);
    return s;
}
