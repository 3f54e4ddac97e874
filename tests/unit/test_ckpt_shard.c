/* test_ckpt_shard.c - a job that is saved and restored on any number of shards is the job that was, and
 * goes on to the same bits. */
#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/err.h"
#include "ps/ckpt_folder.h"
#include "ps/ckpt_shard.h"
#include "ps/shard_inner.h"
#include "tests/support/ckpt_job.h"
#include "tests/support/memory_disk.h"
#include "tests/support/seed.h"
#include "tests/unit/suites.h"

static struct memory_disk disk;
static struct ckpt_job job, again;

static void setup(void) {
    memory_disk_init(&disk);
}

static void teardown(void) {
    ckpt_job_fini(&job);
    ckpt_job_fini(&again);
    ck_assert_uint_eq(memory_disk_open_files(&disk), 0);
    memory_disk_fini(&disk);
}

#define ck_assert_ok(call)                                                           \
    do {                                                                             \
        rh_status is_ = (call);                                                      \
        ck_assert_msg(is_ == RH_OK, #call ": %s: %s", status_text(is_), err_text()); \
    } while (0)

/* 6 steps, saved; 6 more steps, unbroken and restored. */
static void there_and_on(uint32_t mode, uint32_t n, uint32_t m, uint64_t seed) {
    ckpt_job_init(&job, mode, n, seed);
    for (int i = 0; i < 6; i++)
        ckpt_job_step(&job);
    ck_assert_ok(ckpt_job_save(&job, &disk.io, "a", 1));
    uint64_t then = ckpt_job_digest(&job);
    ck_assert_ok(ckpt_job_restore(&again, &disk.io, "a", m));
    ck_assert_msg(ckpt_job_digest(&again) == then, "%u shards on %u are not what was saved", n, m);
    ckpt_job_resume(&again, &job);
    for (int i = 0; i < 6; i++) {
        ckpt_job_step(&job);
        ckpt_job_step(&again);
        ck_assert_msg(ckpt_job_digest(&again) == ckpt_job_digest(&job),
                      "%u shards on %u differ after %d steps", n, m, i + 1);
    }
    ck_assert_uint_ne(ckpt_job_digest(&job), then);
}

enum { SOME_PAIRS = 12, ALL_PAIRS = JOB_SHARDS * JOB_SHARDS };
static const uint32_t some[SOME_PAIRS][2] = {{1, 1}, {1, 2}, {2, 1}, {3, 1}, {3, 2}, {3, 5},
                                             {3, 8}, {3, 3}, {5, 3}, {8, 3}, {2, 7}, {8, 8}};

/* make ckpt-long asks for every pair. */
static bool all_pairs(void) {
    return getenv("RH_CKPT_LONG") != NULL;
}

static void pair(int i, uint32_t *n, uint32_t *m) {
    *n = all_pairs() ? 1 + (uint32_t)i / JOB_SHARDS : some[i][0];
    *m = all_pairs() ? 1 + (uint32_t)i % JOB_SHARDS : some[i][1];
}

START_TEST(a_restored_job_goes_on_to_the_same_bits_under_bsp) {
    uint32_t n, m;
    pair(_i, &n, &m);
    there_and_on(JOB_BSP, n, m, test_seed("ckpt bsp"));
}
END_TEST

START_TEST(a_restored_job_goes_on_to_the_same_bits_under_async) {
    uint32_t n, m;
    pair(_i, &n, &m);
    there_and_on(JOB_ASYNC, n, m, test_seed("ckpt async"));
}
END_TEST

START_TEST(a_restored_job_can_be_saved_and_restored_again) {
    ckpt_job_init(&job, JOB_BSP, 3, 5);
    for (int i = 0; i < 4; i++)
        ckpt_job_step(&job);
    uint64_t then = ckpt_job_digest(&job);
    ck_assert_ok(ckpt_job_save(&job, &disk.io, "a", 1));
    ck_assert_ok(ckpt_job_restore(&again, &disk.io, "a", 5));
    ck_assert_ok(ckpt_job_save(&again, &disk.io, "b", 2));
    ckpt_job_fini(&again);
    ck_assert_ok(ckpt_job_restore(&again, &disk.io, "b", 3));
    ck_assert_uint_eq(ckpt_job_digest(&again), then);
    char newest[CKPT_NAME_MAX + 1];
    uint64_t next;
    ck_assert_ok(ckpt_newest(&disk.io, newest, &next));
    ck_assert_str_eq(newest, "b");
    ck_assert_uint_eq(next, 3);
}
END_TEST

START_TEST(the_same_job_makes_the_same_bytes_again) {
    ckpt_job_init(&job, JOB_BSP, 3, 5);
    for (int i = 0; i < 4; i++)
        ckpt_job_step(&job);
    ck_assert_ok(ckpt_job_save(&job, &disk.io, "a", 1));
    ck_assert_ok(ckpt_job_restore(&again, &disk.io, "a", 3));
    /* The last op that was taken belongs to the life before, and is forgotten. */
    for (uint32_t i = 0; i < 3; i++)
        for (uint32_t rank = 0; rank < JOB_WORKERS; rank++)
            shard_session(again.shard[i], rank)->floor = shard_session(job.shard[i], rank)->floor;
    ck_assert_ok(ckpt_job_save(&again, &disk.io, "b", 1));
    static const char *const files[] = {"MANIFEST.json", "shard-00000-of-00003.rhs",
                                        "shard-00002-of-00003.rhs"};
    for (size_t i = 0; i < 3; i++) {
        const struct disk_node *a = memory_disk_find(&disk, "a", files[i]);
        const struct disk_node *b = memory_disk_find(&disk, "b", files[i]);
        ck_assert_ptr_nonnull(a);
        ck_assert_ptr_nonnull(b);
        ck_assert_msg(a->len == b->len && memcmp(a->bytes, b->bytes, a->len) == 0, "%s", files[i]);
    }
}
END_TEST

/* 2^30 rows and a thousand touched: the file knows the thousand alone. */
START_TEST(only_what_was_touched_is_written) {
    ckpt_job_init(&job, JOB_ASYNC, 1, 5);
    for (int i = 0; i < 4; i++)
        ckpt_job_step(&job);
    uint64_t rows = 0;
    for (uint32_t n = 1; n <= JOB_TABLES; n++)
        if (shard_table(job.shard[0], n) != NULL)
            rows += shard_table(job.shard[0], n)->store.n_touched;
    ck_assert_ok(ckpt_job_save(&job, &disk.io, "a", 1));
    struct ckpt_fd folder;
    struct ckpt_manifest m;
    ck_assert_ok(ckpt_open(&disk.io, "a", &folder, &m));
    ck_assert_uint_eq(m.files[0].rows, rows);
    ck_assert_uint_gt(rows, 300);
    ck_assert_uint_lt(m.files[0].bytes, 300000);
    ck_assert_uint_eq(m.tables[2].spec.rows, UINT64_C(1) << 30);
    ckpt_manifest_fini(&m);
    ckpt_drop(&folder);
}
END_TEST

/* ---- moments that are none ---- */

static void open_a_clock(void) {
    static const uint64_t id = 8; /* of the first shard, whichever their number */
    float g[2] = {1, 1};
    ck_assert_int_eq(talker_push(&job.talk[1][0], 1, 1, &id, 2, g, ++job.pushes[1][0]), WIRE_ACK);
}

START_TEST(a_clock_that_is_open_is_no_moment_for_a_checkpoint) {
    ckpt_job_init(&job, JOB_BSP, 1, 5);
    ckpt_job_step(&job);
    open_a_clock();
    ck_assert_int_eq(ckpt_job_save(&job, &disk.io, "a", 1), RH_EINVAL);
    ck_assert_str_eq(err_text(), "worker 1 is in clock 1, which is not closed: this is no moment "
                                 "for a checkpoint");
    ck_assert_uint_eq(disk.n_links, 0);
}
END_TEST

START_TEST(shards_at_two_moments_make_no_checkpoint) {
    ckpt_job_init(&job, JOB_ASYNC, 2, 5);
    ckpt_job_step(&job);
    open_a_clock();
    ck_assert_int_eq(ckpt_job_save(&job, &disk.io, "a", 1), RH_EMISMATCH);
    ck_assert_uint_eq(disk.n_links, 0);
}
END_TEST

START_TEST(a_shard_that_has_tables_is_not_restored_into) {
    ckpt_job_init(&job, JOB_BSP, 1, 5);
    ckpt_job_step(&job);
    ck_assert_ok(ckpt_job_save(&job, &disk.io, "a", 1));
    struct ckpt_fd folder;
    struct ckpt_manifest m;
    ck_assert_ok(ckpt_open(&disk.io, "a", &folder, &m));
    uint64_t then = ckpt_job_digest(&job);
    ck_assert_int_eq(ckpt_shard_restore(job.shard[0], &folder, &m, "a"), RH_EINVAL);
    ck_assert_uint_eq(ckpt_job_digest(&job), then);
    ckpt_manifest_fini(&m);
    ckpt_drop(&folder);
}
END_TEST

START_TEST(what_is_not_there_is_an_error_and_never_an_empty_table) {
    ckpt_job_init(&job, JOB_BSP, 3, 5);
    ckpt_job_step(&job);
    ck_assert_ok(ckpt_job_save(&job, &disk.io, "a", 1));
    ck_assert_int_eq(ckpt_job_restore(&again, &disk.io, "b", 1), RH_ENOTFOUND);
    ck_assert_str_eq(err_text(), "there is no checkpoint \"b\" in DIR");
    ck_assert_int_eq(ckpt_job_restore(&again, &disk.io, "../a", 1), RH_EINVAL);
    /* shard 0 of 3 needs nothing of the last file, which must be there all the same */
    for (uint32_t i = 0; i < disk.n_links; i++)
        if (strcmp(disk.links[i].name, "shard-00002-of-00003.rhs") == 0)
            disk.links[i] = disk.links[--disk.n_links];
    ck_assert_int_eq(ckpt_job_restore(&again, &disk.io, "a", 3), RH_ENOTFOUND);
    ck_assert_ptr_nonnull(strstr(err_text(), "cannot open DIR/a/shard-00002-of-00003.rhs"));
}
END_TEST

Suite *ckpt_shard_suite(void) {
    Suite *s = suite_create("ckpt_shard");
    TCase *t = tcase_create("shard");
    tcase_add_checked_fixture(t, setup, teardown);
    tcase_set_timeout(t, 60);
    const int n_pairs = all_pairs() ? ALL_PAIRS : SOME_PAIRS;
    tcase_add_loop_test(t, a_restored_job_goes_on_to_the_same_bits_under_bsp, 0, n_pairs);
    tcase_add_loop_test(t, a_restored_job_goes_on_to_the_same_bits_under_async, 0, n_pairs);
    tcase_add_test(t, a_restored_job_can_be_saved_and_restored_again);
    tcase_add_test(t, the_same_job_makes_the_same_bytes_again);
    tcase_add_test(t, only_what_was_touched_is_written);
    tcase_add_test(t, a_clock_that_is_open_is_no_moment_for_a_checkpoint);
    tcase_add_test(t, shards_at_two_moments_make_no_checkpoint);
    tcase_add_test(t, a_shard_that_has_tables_is_not_restored_into);
    tcase_add_test(t, what_is_not_there_is_an_error_and_never_an_empty_table);
    suite_add_tcase(s, t);
    return s;
}
