/* test_ckpt_crash.c - a machine that stops at any moment of a save leaves the checkpoint that was there
 * or the new one, whole; a step that fails leaves the job, and the old checkpoint, as they were. */
#include <check.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "common/err.h"
#include "common/hash.h"
#include "ps/ckpt_folder.h"
#include "tests/support/ckpt_job.h"
#include "tests/support/memory_disk.h"
#include "tests/support/seed.h"
#include "tests/unit/suites.h"

enum { SOME = 40 }; /* random states of each prefix */

static struct memory_disk disk;
static struct ckpt_job job;
static uint64_t old, new; /* digests */

/* A disk on which the old checkpoint is "a", and a job that is further. */
static void setup(void) {
    memory_disk_init(&disk);
    ckpt_job_init(&job, JOB_BSP, 3, 7);
    ckpt_job_step(&job);
    old = ckpt_job_digest(&job);
    ck_assert_int_eq(ckpt_job_save(&job, &disk.io, "a", 1), RH_OK);
    ckpt_job_step(&job);
    new = ckpt_job_digest(&job);
    ck_assert_uint_ne(old, new);
}

static void teardown(void) {
    ck_assert_uint_eq(ckpt_job_digest(&job), new);
    ck_assert_uint_eq(memory_disk_open_files(&disk), 0);
    ckpt_job_fini(&job);
    memory_disk_fini(&disk);
}

/* The digest of what a server would restore from this disk: the newest, leftovers cleaned away. */
static uint64_t restored(struct memory_disk *d) {
    struct ckpt_job again;
    char newest[CKPT_NAME_MAX + 1] = "";
    uint64_t next;
    rh_status st = ckpt_clean(&d->io, NULL);
    if (st == RH_OK)
        st = ckpt_newest(&d->io, newest, &next);
    if (st == RH_OK)
        st = ckpt_job_restore(&again, &d->io, newest, 1);
    ck_assert_msg(st == RH_OK, "neither the old nor the new one: \"%s\": %s", newest, err_text());
    for (uint32_t i = 0; i < d->n_links; i++)
        ck_assert_msg(d->links[i].name[0] != '.', "%s was not cleaned away", d->links[i].name);
    uint64_t digest = ckpt_job_digest(&again);
    ckpt_job_fini(&again);
    return digest;
}

/* States that were looked at already: many are alike. */
static struct known { uint64_t state, digest; } known[4096];
static uint32_t n_known;

static uint64_t state_of(const struct memory_disk *d) {
    uint64_t sum = 0;
    for (uint32_t i = 0; i < d->n_links; i++) {
        const struct disk_link *l = &d->links[i];
        const struct disk_node *n = &d->nodes[l->node];
        const uint64_t all[] = {l->dir, l->node, hash64(l->name, strlen(l->name)), n->len,
                                hash64(n->bytes, n->len)};
        sum += hash64(all, sizeof all);
    }
    return sum;
}

static uint64_t restored_once(struct memory_disk *d) {
    uint64_t state = state_of(d);
    for (uint32_t i = 0; i < n_known; i++)
        if (known[i].state == state)
            return known[i].digest;
    uint64_t digest = restored(d);
    if (n_known < sizeof known / sizeof *known)
        known[n_known++] = (struct known){state, digest};
    return digest;
}

/* Saves the new one under a name, and stops the machine behind every operation, in many ways. */
static uint32_t crash_everywhere(const char *name) {
    uint32_t from = disk.n_ops, states = 0, olds = 0, news = 0;
    struct rng g;
    rng_init(&g, test_seed("ckpt crash"), 0);
    ck_assert_int_eq(ckpt_job_save(&job, &disk.io, name, 2), RH_OK);
    for (uint32_t at = from; at <= disk.n_ops; at++) {
        for (int k = 0; k < 3 + SOME; k++) {
            enum disk_crash how = k == 0   ? DISK_KEPT
                                  : k == 1 ? DISK_LOST
                                  : k == 2 ? DISK_TORN
                                           : DISK_SOME;
            struct memory_disk after;
            memory_disk_crash(&disk, at, how, &g, &after);
            uint64_t digest = restored_once(&after);
            ck_assert_msg(digest == old || digest == new, "a mix, behind operation %u", at - from);
            ck_assert_msg(at != from || digest == old, "the new one before it was begun");
            ck_assert_msg(at != disk.n_ops || digest == new, "a save that was done is lost");
            olds += digest == old;
            news += digest == new;
            states++;
            memory_disk_fini(&after);
        }
    }
    ck_assert_uint_gt(olds, 0);
    ck_assert_uint_gt(news, 0);
    printf("%u crash states of a save as \"%s\", %u different: %u old, %u new\n", states, name,
           n_known, olds, news);
    return states;
}

START_TEST(a_crash_leaves_the_old_checkpoint_or_the_new_one_beside_it) {
    ck_assert_uint_ge(crash_everywhere("b"), 1000);
}
END_TEST

START_TEST(a_crash_leaves_the_old_checkpoint_or_the_new_one_in_its_place) {
    ck_assert_uint_ge(crash_everywhere("a"), 1000);
}
END_TEST

/* Mutants of the order of steps must not pass: without the sync of what was written, and without
 * that of the folder, some state is neither. */
START_TEST(a_save_without_its_syncs_is_seen_by_these_tests) {
    uint32_t from = disk.n_ops, bad = 0;
    struct rng g;
    rng_init(&g, 3, 0);
    ck_assert_int_eq(ckpt_job_save(&job, &disk.io, "a", 2), RH_OK);
    for (uint32_t i = from; i + 1 < disk.n_ops; i++)
        if (disk.ops[i].what == OP_SYNC && disk.ops[i].node != 0)
            disk.ops[i].node = UINT32_MAX; /* of nothing */
    for (int k = 0; k < 50; k++) {
        struct memory_disk after;
        struct ckpt_job again;
        memory_disk_crash(&disk, disk.n_ops, DISK_SOME, &g, &after);
        if (ckpt_job_restore(&again, &after.io, "a", 1) == RH_OK)
            ckpt_job_fini(&again);
        else
            bad++;
        memory_disk_fini(&after);
    }
    ck_assert_uint_gt(bad, 10);
}
END_TEST

/* ---- one step fails ---- */

static const int hows[] = {EIO, ENOSPC, EINTR, 0};

/* The k-th call of a save fails, for every k. */
START_TEST(a_save_fails_whole_at_every_step) {
    uint32_t refused = 0, done = 0;
    for (uint32_t k = 1;; k++) {
        struct memory_disk d;
        struct rng g;
        rng_init(&g, k, 0);
        memory_disk_crash(&disk, disk.n_ops, DISK_KEPT, &g, &d);
        memory_disk_fail(&d, k, hows[_i]);
        rh_status st = ckpt_job_save(&job, &d.io, _i % 2 == 0 ? "a" : "b", 2);
        bool failed = d.failed || hows[_i] == 0;
        bool over = d.calls < k;
        memory_disk_fail(&d, 0, 0);
        ck_assert_uint_eq(memory_disk_open_files(&d), 0);
        ck_assert_msg(st == RH_OK || (failed && strstr(err_text(), "DIR") != NULL), "%u: %s", k,
                      err_text());
        uint64_t digest = restored(&d);
        ck_assert(digest == new || (st != RH_OK && digest == old));
        /* and the next one goes well */
        ck_assert_int_eq(ckpt_job_save(&job, &d.io, "a", 3), RH_OK);
        ck_assert(restored(&d) == new);
        refused += st != RH_OK;
        done += st == RH_OK;
        memory_disk_fini(&d);
        if (over)
            break;
    }
    ck_assert_uint_gt(refused + done, 30);
    ck_assert(hows[_i] == 0 ? refused == 0 : refused > (hows[_i] == EINTR ? 3 : 20));
}
END_TEST

static const struct ckpt_io_ops *plain;
static int syncs_until_it_fails;

static int sync_or_fail(struct ckpt_io *io, int fd) {
    return --syncs_until_it_fails == 0 ? -EIO : plain->sync(io, fd);
}

/* What a sync could not bring to the disk is still read back from memory, so the next restore would not
 * tell: the save has to. */
START_TEST(a_save_whose_sync_fails_is_no_save_whichever_sync_it_is) {
    uint32_t refused = 0;
    for (;; refused++) {
        struct memory_disk d;
        struct rng g;
        rng_init(&g, 1, 0);
        memory_disk_crash(&disk, disk.n_ops, DISK_KEPT, &g, &d);
        plain = d.io.ops;
        struct ckpt_io_ops ops = *plain;
        ops.sync = sync_or_fail;
        d.io.ops = &ops;
        syncs_until_it_fails = (int)refused + 1;
        rh_status st = ckpt_job_save(&job, &d.io, _i == 0 ? "a" : "b", 2);
        d.io.ops = plain;
        memory_disk_fini(&d);
        if (syncs_until_it_fails > 0) {
            ck_assert_int_eq(st, RH_OK);
            break;
        }
        ck_assert_msg(st == RH_EIO, "sync %u has failed: %s", refused + 1, status_text(st));
        ck_assert_ptr_nonnull(strstr(err_text(), "cannot sync"));
    }
    /* Of each shard its file and the folder, the manifest and the folder, then the folder above. */
    ck_assert_uint_eq(refused, 2 * job.shards + 3);
}
END_TEST

START_TEST(a_restore_fails_whole_at_every_step) {
    uint32_t refused = 0;
    for (uint32_t k = 1;; k++) {
        struct ckpt_job again;
        memory_disk_fail(&disk, k, hows[_i]);
        rh_status st = ckpt_job_restore(&again, &disk.io, "a", 2);
        bool over = disk.calls < k;
        memory_disk_fail(&disk, 0, 0);
        ck_assert_uint_eq(memory_disk_open_files(&disk), 0);
        ck_assert_msg(st == RH_OK || strstr(err_text(), "DIR/a") != NULL, "%u: %s", k, err_text());
        if (st == RH_OK) {
            ck_assert(ckpt_job_digest(&again) == old);
            ckpt_job_fini(&again);
        }
        refused += st != RH_OK;
        if (over)
            break;
    }
    ck_assert(hows[_i] == 0 ? refused == 0 : refused > 2);
}
END_TEST

/* Whose rows they were would be as if never touched. */
START_TEST(a_file_that_is_missing_is_an_error_on_any_number_of_shards_and_never_an_empty_table) {
    for (uint32_t shards = 1; shards <= 4; shards++) {
        struct memory_disk d;
        struct rng g;
        struct ckpt_job again;
        char name[CKPT_FILE_NAME];
        rng_init(&g, 1, 0);
        memory_disk_crash(&disk, disk.n_ops, DISK_KEPT, &g, &d);
        ckpt_file_name((uint32_t)_i, job.shards, name);
        int folder = d.io.ops->open(&d.io, CKPT_ROOT, "a", CKPT_FOLDER);
        ck_assert_int_eq(d.io.ops->remove(&d.io, folder, name, false), 0);
        d.io.ops->close(&d.io, folder);
        ck_assert_int_eq(ckpt_job_restore(&again, &d.io, "a", shards), RH_ENOTFOUND);
        ck_assert_msg(strstr(err_text(), name) != NULL, "%s", err_text());
        memory_disk_fini(&d);
    }
}
END_TEST

START_TEST(leftovers_are_no_error_and_go) {
    struct memory_disk half;
    struct rng g;
    uint32_t from = disk.n_ops, removed;
    ck_assert_int_eq(ckpt_job_save(&job, &disk.io, "b", 2), RH_OK);
    memory_disk_crash(&disk, from + 8, DISK_KEPT, &g, &half);
    ck_assert_int_eq(ckpt_clean(&half.io, &removed), RH_OK);
    ck_assert_uint_eq(removed, 1);
    ck_assert(restored(&half) == old);
    memory_disk_fini(&half);
    /* and a save under the same name clears it away itself */
    memory_disk_crash(&disk, from + 8, DISK_KEPT, &g, &half);
    ck_assert_int_eq(ckpt_job_save(&job, &half.io, "b", 2), RH_OK);
    ck_assert(restored(&half) == new);
    memory_disk_fini(&half);
}
END_TEST

Suite *ckpt_crash_suite(void) {
    Suite *s = suite_create("ckpt_crash");
    TCase *t = tcase_create("crash");
    tcase_add_checked_fixture(t, setup, teardown);
    tcase_set_timeout(t, 100);
    tcase_add_test(t, a_crash_leaves_the_old_checkpoint_or_the_new_one_beside_it);
    tcase_add_test(t, a_crash_leaves_the_old_checkpoint_or_the_new_one_in_its_place);
    tcase_add_test(t, a_save_without_its_syncs_is_seen_by_these_tests);
    tcase_add_loop_test(t, a_save_fails_whole_at_every_step, 0, 4);
    tcase_add_loop_test(t, a_save_whose_sync_fails_is_no_save_whichever_sync_it_is, 0, 2);
    tcase_add_loop_test(t, a_restore_fails_whole_at_every_step, 0, 4);
    tcase_add_loop_test(
        t, a_file_that_is_missing_is_an_error_on_any_number_of_shards_and_never_an_empty_table, 0,
        3);
    tcase_add_test(t, leftovers_are_no_error_and_go);
    suite_add_tcase(s, t);
    return s;
}
