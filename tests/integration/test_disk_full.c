/* test_disk_full.c - a save to a disk that is full, a real one: a small tmpfs, in a mount namespace of
 * this program's own. Skipped where neither root nor a user namespace may mount one. */
#include <check.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/err.h"
#include "ps/ckpt_folder.h"
#include "tests/support/ckpt_job.h"
#include "tests/support/full_shard.h"

enum { PATH = 256, DISK_BYTES = 16 << 20, PAGE = 4096 };

static char full[PATH], ballast[PATH + 16], room[PATH]; /* the small disk, a file on it; another */
static struct ckpt_io *small, *large;

/* ---- the disk ---- */

static void write_text(const char *path, const char *text) {
    int fd = open(path, O_WRONLY | O_CLOEXEC);
    if (fd >= 0) {
        ssize_t put = write(fd, text, strlen(text));
        (void)put; /* then the mount says no */
        close(fd);
    }
}

/* As root of a user namespace, where one is not root. */
static bool be_root(void) {
    char uids[64], gids[64];
    snprintf(uids, sizeof uids, "0 %u 1", (unsigned)geteuid());
    snprintf(gids, sizeof gids, "0 %u 1", (unsigned)getegid());
    if (unshare(CLONE_NEWUSER | CLONE_NEWNS) != 0)
        return false;
    write_text("/proc/self/uid_map", uids);
    write_text("/proc/self/setgroups", "deny"); /* or the next is refused */
    write_text("/proc/self/gid_map", gids);
    return true;
}

static bool mount_small(void) {
    return mount("rowhouse-test", full, "tmpfs", MS_NOSUID | MS_NODEV, "size=16m,mode=700") == 0;
}

/* Whether a small disk can be had; all mounts are gone with this process. */
static bool can_mount(void) {
    if ((geteuid() != 0 || unshare(CLONE_NEWNS) != 0) && !be_root())
        return false;
    if (mount("none", "/", NULL, MS_REC | MS_PRIVATE, NULL) != 0 || !mount_small())
        return false;
    return umount(full) == 0;
}

static void setup(void) {
    ck_assert(mount_small());
    ck_assert(mkdir(room, 0700) == 0 || errno == EEXIST); /* a test that failed leaves it */
    ck_assert_int_eq(ckpt_io_beneath(full, &small), RH_OK);
    ck_assert_int_eq(ckpt_io_beneath(room, &large), RH_OK);
}

static int remove_one(const char *path, const struct stat *st, int type, struct FTW *at) {
    (void)st;
    (void)type;
    (void)at;
    return remove(path);
}

/* That the disk can be unmounted says that nothing on it is open. */
static void teardown(void) {
    ckpt_io_free(&small);
    ckpt_io_free(&large);
    ck_assert_int_eq(nftw(room, remove_one, 8, FTW_DEPTH | FTW_PHYS), 0);
    ck_assert_msg(umount(full) == 0, "what is open on the disk? %s", strerror(errno));
}

/* Fills the disk but for so many bytes. */
static void leave_free(off_t bytes) {
    static const char zeros[PAGE];
    int fd = open(ballast, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    ck_assert_int_ge(fd, 0);
    off_t len = 0;
    while (write(fd, zeros, PAGE) == PAGE)
        len += PAGE;
    ck_assert_int_eq(errno, ENOSPC);
    ck_assert_int_ge(len, bytes);
    ck_assert_int_eq(ftruncate(fd, len - bytes), 0);
    close(fd);
}

static int entries(const char *path) {
    int n = 0;
    DIR *d = opendir(path);
    ck_assert_ptr_nonnull(d);
    for (struct dirent *e = readdir(d); e != NULL; e = readdir(d))
        n += strcmp(e->d_name, ".") != 0 && strcmp(e->d_name, "..") != 0;
    closedir(d);
    return n;
}

static void ck_assert_says_full(rh_status st, const char *file) {
    char place[PATH + 64];
    snprintf(place, sizeof place, "%s/.a.tmp/%s", full, file);
    ck_assert_int_eq(st, RH_EIO);
    ck_assert_ptr_nonnull(strstr(err_text(), ": No space left on device"));
    ck_assert_msg(strstr(err_text(), place) != NULL, "no %s: %s", place, err_text());
}

#define ck_assert_ok(call)                                                           \
    do {                                                                             \
        rh_status is_ = (call);                                                      \
        ck_assert_msg(is_ == RH_OK, #call ": %s: %s", status_text(is_), err_text()); \
    } while (0)

/* ---- a job of three shards ---- */

static uint64_t restored(struct ckpt_io *io) {
    struct ckpt_job again;
    ck_assert_ok(ckpt_job_restore(&again, io, "a", 2));
    uint64_t digest = ckpt_job_digest(&again);
    ckpt_job_fini(&again);
    return digest;
}

/* The room ends in the first file, in the others, in the manifest, and then it is enough. */
START_TEST(a_save_that_finds_the_disk_full_fails_by_name_and_leaves_what_was_there) {
    struct ckpt_job job;
    ckpt_job_init(&job, JOB_BSP, 3, 7);
    ckpt_job_step(&job);
    ck_assert_ok(ckpt_job_save(&job, small, "a", 1));
    const uint64_t old = ckpt_job_digest(&job);
    ckpt_job_step(&job);
    const uint64_t new = ckpt_job_digest(&job);
    ck_assert_uint_ne(old, new);
    uint32_t in_first = 0, in_last = 0, in_manifest = 0;
    for (off_t free_bytes = 0;; free_bytes += PAGE) {
        leave_free(free_bytes);
        rh_status st = ckpt_job_save(&job, small, "a", 2);
        if (st == RH_OK)
            break;
        ck_assert_says_full(st, "");
        in_first += strstr(err_text(), "shard-00000-of-00003.rhs") != NULL;
        in_last += strstr(err_text(), "shard-00002-of-00003.rhs") != NULL;
        in_manifest += strstr(err_text(), "MANIFEST.json.tmp") != NULL;
        ck_assert_uint_eq(ckpt_job_digest(&job), new);
        ck_assert_int_eq(entries(full), 2); /* a and the ballast */
        ck_assert_uint_eq(restored(small), old);
    }
    ck_assert_uint_gt(in_first, 0);
    ck_assert_uint_gt(in_last, 0);
    ck_assert_uint_gt(in_manifest, 0);
    ck_assert_uint_eq(restored(small), new);
    ck_assert_int_eq(entries(full), 2);
    ckpt_job_fini(&job);
}
END_TEST

START_TEST(the_next_save_into_a_folder_with_room_is_whole) {
    struct ckpt_job job;
    ckpt_job_init(&job, JOB_ASYNC, 3, 7);
    ckpt_job_step(&job);
    leave_free(0);
    ck_assert_says_full(ckpt_job_save(&job, small, "a", 1), "shard-00000-of-00003.rhs");
    ck_assert_int_eq(entries(full), 1);
    ck_assert_ok(ckpt_job_save(&job, large, "a", 1));
    ck_assert_uint_eq(restored(large), ckpt_job_digest(&job));
    /* and into the same one, once there is */
    ck_assert_int_eq(unlink(ballast), 0);
    ck_assert_ok(ckpt_job_save(&job, small, "a", 1));
    ck_assert_uint_eq(restored(small), ckpt_job_digest(&job));
    ckpt_job_fini(&job);
}
END_TEST

/* ---- more than the disk holds, and more than is sent there at once ---- */

START_TEST(a_table_larger_than_the_disk_fails_midway_and_fits_elsewhere) {
    enum { ROWS = 40000, DIM = 64 }; /* 31 MB */
    struct full_shard f, again;
    ck_assert_ok(full_shard_new(ROWS, DIM, false, &f));
    const uint64_t was = full_shard_digest(&f);
    ck_assert_says_full(full_shard_save(&f, small, "a"), "shard-00000-of-00001.rhs");
    ck_assert_int_eq(entries(full), 0);
    ck_assert_uint_eq(full_shard_digest(&f), was);
    ck_assert_ok(full_shard_save(&f, large, "b"));
    full_shard_free(&f);
    ck_assert_ok(full_shard_empty(&again));
    ck_assert_ok(full_shard_restore(&again, large, "b"));
    ck_assert_uint_eq(full_shard_digest(&again), was);
    full_shard_free(&again);
}
END_TEST

int main(void) {
    const char *tmp = getenv("TMPDIR");
    snprintf(full, sizeof full, "%s/rowhouse-full-%d", tmp != NULL ? tmp : "/tmp", (int)getpid());
    snprintf(room, sizeof room, "%s/rowhouse-room-%d", tmp != NULL ? tmp : "/tmp", (int)getpid());
    snprintf(ballast, sizeof ballast, "%s/ballast", full);
    if (mkdir(full, 0700) != 0) {
        fprintf(stderr, "cannot make %s: %s\n", full, strerror(errno));
        return EXIT_FAILURE;
    }
    if (!can_mount()) {
        printf("skipped: no small tmpfs can be mounted here: %s\n", strerror(errno));
        rmdir(full);
        return 77;
    }
    Suite *s = suite_create("disk_full");
    TCase *t = tcase_create("disk_full");
    tcase_add_checked_fixture(t, setup, teardown);
    tcase_set_timeout(t, 100);
    tcase_add_test(t, a_save_that_finds_the_disk_full_fails_by_name_and_leaves_what_was_there);
    tcase_add_test(t, the_next_save_into_a_folder_with_room_is_whole);
    tcase_add_test(t, a_table_larger_than_the_disk_fails_midway_and_fits_elsewhere);
    suite_add_tcase(s, t);
    SRunner *runner = srunner_create(s);
    srunner_run_all(runner, CK_NORMAL);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    rmdir(full);
    return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
