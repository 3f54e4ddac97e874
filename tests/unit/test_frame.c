/* test_frame.c - frames are pooled: aligned, reused without page faults, kept within bounds, and
 * safe after their pool's owner has left. */
#include <check.h>
#include <malloc.h>
#include <pthread.h>
#include <string.h>
#include <sys/resource.h>

#include "proto/frame.h"
#include "proto/wire.h"
#include "tests/unit/suites.h"

enum { MIB = 1 << 20, PAGE = 4096 };

static struct frame_pool *pool;

static void setup(void) {
    pool = frame_pool_new(8 * MIB);
    ck_assert_ptr_nonnull(pool);
}

static void teardown(void) {
    frame_pool_free(&pool);
}

static struct frame *must_new(size_t len) {
    struct frame *f = frame_new(pool, len);
    ck_assert_ptr_nonnull(f);
    return f;
}

static long page_faults(void) {
    struct rusage u;
    ck_assert_int_eq(getrusage(RUSAGE_SELF, &u), 0);
    return u.ru_minflt;
}

/* Of malloc; a sanitizer's says 0. */
static size_t bytes_in_use(void) {
    struct mallinfo2 m = mallinfo2();
    return m.uordblks + m.hblkhd;
}

START_TEST(every_length_is_aligned_and_writable_to_its_end) {
    static const size_t lens[] = {0, 1, 63, 64, 264, 265, 4096, 65537, MIB, WIRE_FRAME_MAX};
    for (size_t i = 0; i < sizeof lens / sizeof *lens; i++) {
        struct frame *f = must_new(lens[i]);
        ck_assert_uint_eq((uintptr_t)f->data % 64, 0);
        ck_assert_uint_eq(f->len, lens[i]);
        ck_assert_uint_ge(f->cap, lens[i]);
        memset(f->data, 0x5a, f->cap);
        frame_unref(f);
    }
}
END_TEST

START_TEST(a_released_frame_is_given_out_again) {
    struct frame *f = must_new(5000);
    void *data = f->data;
    frame_unref(f);
    f = must_new(6000);
    ck_assert_ptr_eq(f->data, data);
    ck_assert_uint_eq(f->len, 6000);
    frame_unref(f);
}
END_TEST

START_TEST(a_frame_lives_as_long_as_its_last_reference) {
    struct frame *f = must_new(100);
    ck_assert_ptr_eq(frame_ref(f), f);
    frame_unref(f);
    struct frame *other = must_new(100);
    ck_assert_ptr_ne(other, f);
    memset(f->data, 1, f->len);
    frame_unref(f);
    frame_unref(other);
    frame_unref(NULL);
}
END_TEST

START_TEST(reuse_faults_no_pages) {
    struct frame *f = must_new(MIB);
    memset(f->data, 1, f->len);
    frame_unref(f);
    long before = page_faults();
    for (int i = 0; i < 100; i++) {
        f = must_new(MIB - (size_t)i);
        memset(f->data, i, f->len);
        frame_unref(f);
    }
    ck_assert_int_lt(page_faults() - before, MIB / PAGE);
}
END_TEST

START_TEST(no_more_than_keep_bytes_is_kept) {
    frame_pool_free(&pool);
    size_t before = bytes_in_use();
    pool = frame_pool_new(5 * MIB);
    struct frame *f[5];
    for (int i = 0; i < 5; i++)
        f[i] = must_new(WIRE_FRAME_MAX);
    for (int i = 0; i < 5; i++)
        frame_unref(f[i]);
    ck_assert_uint_le(bytes_in_use() - before, 5 * MIB + PAGE);
    frame_pool_free(&pool);
    ck_assert_uint_le(bytes_in_use() - before, PAGE);
}
END_TEST

START_TEST(sizes_that_nobody_asks_for_any_more_make_room) {
    struct frame *big[3];
    for (int i = 0; i < 3; i++)
        big[i] = must_new(WIRE_FRAME_MAX);
    for (int i = 0; i < 3; i++)
        frame_unref(big[i]);
    struct frame *small[100]; /* 6.6 MB */
    for (int i = 0; i < 100; i++) {
        small[i] = must_new(65536);
        memset(small[i]->data, 1, small[i]->len);
    }
    for (int i = 0; i < 100; i++)
        frame_unref(small[i]);
    long before = page_faults();
    for (int i = 0; i < 100; i++) {
        small[i] = must_new(65536);
        memset(small[i]->data, 1, small[i]->len);
    }
    ck_assert_int_lt(page_faults() - before, 200);
    for (int i = 0; i < 100; i++)
        frame_unref(small[i]);
}
END_TEST

START_TEST(a_frame_may_outlive_its_pool) {
    struct frame *small = must_new(10);
    struct frame *large = must_new(MIB);
    struct frame *kept = must_new(10);
    frame_unref(kept);
    frame_pool_free(&pool);
    ck_assert_ptr_null(pool);
    memset(large->data, 1, large->len);
    frame_unref(large);
    memset(small->data, 1, small->len);
    frame_unref(small);
}
END_TEST

START_TEST(freeing_no_pool_is_fine) {
    frame_pool_free(&pool);
    frame_pool_free(&pool);
}
END_TEST

START_TEST(a_pool_that_keeps_nothing_works) {
    frame_pool_free(&pool);
    pool = frame_pool_new(0);
    for (int i = 0; i < 10; i++)
        frame_unref(must_new(1000));
}
END_TEST

static void received_is_over(struct frame *f) {
    ++*(int *)f->owner;
}

START_TEST(a_received_frame_is_released_by_whoever_made_it) {
    int released = 0;
    uint8_t bytes[3];
    struct frame f = {
        .data = bytes, .len = 3, .cap = 3, .release = received_is_over, .owner = &released};
    atomic_init(&f.refs, 1);
    frame_ref(&f);
    frame_unref(&f);
    ck_assert_int_eq(released, 0);
    frame_unref(&f);
    ck_assert_int_eq(released, 1);
}
END_TEST

/* What a transport's thread does with the frames of the thread that made them. */
static void *let_go(void *arg) {
    struct frame **f = arg;
    for (int i = 0; i < 200; i++) {
        f[i]->data[f[i]->len - 1] ^= 1;
        frame_unref(f[i]);
    }
    return NULL;
}

START_TEST(any_thread_may_let_go_last) {
    for (int round = 0; round < 20; round++) {
        struct frame *f[200];
        for (int i = 0; i < 200; i++) {
            f[i] = must_new(1 + (size_t)(i * 37));
            f[i]->data[f[i]->len - 1] = 0;
        }
        pthread_t thread;
        ck_assert_int_eq(pthread_create(&thread, NULL, let_go, f), 0);
        for (int i = 0; i < 200; i++)
            frame_unref(must_new(1 + (size_t)(i * 41)));
        if (round == 19)
            frame_pool_free(&pool);
        ck_assert_int_eq(pthread_join(thread, NULL), 0);
    }
}
END_TEST

START_TEST(who_keeps_a_small_frame_has_a_copy_and_of_a_large_one_the_frame_itself) {
    struct frame *small = must_new(100), *large = must_new(MIB);
    memset(small->data, 7, small->len);
    struct frame *kept = frame_keep(small), *same = frame_keep(large);
    ck_assert_ptr_ne(kept, small);
    ck_assert_uint_eq(kept->len, 100);
    ck_assert_mem_eq(kept->data, small->data, 100);
    ck_assert_ptr_eq(same, large);
    frame_unref(small);
    ck_assert_int_eq(kept->data[99], 7);
    frame_unref(kept);
    frame_unref(same);
    frame_unref(large);
}
END_TEST

Suite *frame_suite(void) {
    Suite *suite = suite_create("frame");
    TCase *tc = tcase_create("frame");
    tcase_add_checked_fixture(tc, setup, teardown);
    tcase_add_test(tc, every_length_is_aligned_and_writable_to_its_end);
    tcase_add_test(tc, a_released_frame_is_given_out_again);
    tcase_add_test(tc, a_frame_lives_as_long_as_its_last_reference);
    tcase_add_test(tc, reuse_faults_no_pages);
    tcase_add_test(tc, no_more_than_keep_bytes_is_kept);
    tcase_add_test(tc, sizes_that_nobody_asks_for_any_more_make_room);
    tcase_add_test(tc, a_frame_may_outlive_its_pool);
    tcase_add_test(tc, freeing_no_pool_is_fine);
    tcase_add_test(tc, a_pool_that_keeps_nothing_works);
    tcase_add_test(tc, a_received_frame_is_released_by_whoever_made_it);
    tcase_add_test(tc, who_keeps_a_small_frame_has_a_copy_and_of_a_large_one_the_frame_itself);
    tcase_add_test(tc, any_thread_may_let_go_last);
    suite_add_tcase(suite, tc);
    return suite;
}
