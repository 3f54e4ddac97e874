/* test_outfile.c - a file appears whole or not at all, whatever fails on the way. */
#include <check.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/err.h"
#include "common/outfile.h"
#include "tests/support/scratch.h"
#include "tests/unit/suites.h"

static struct outfile o;

static const char *tmp_name(const char *path) {
    static char name[256];
    snprintf(name, sizeof name, "%s.%ld.tmp", path, (long)getpid());
    return name;
}

static void expect_content(const char *name, const char *want) {
    char *got = scratch_read(name, NULL);
    ck_assert_ptr_nonnull(got);
    ck_assert_str_eq(got, want);
    free(got);
}

START_TEST(the_file_appears_at_commit) {
    ck_assert_int_eq(outfile_create(&o, "x"), RH_OK);
    ck_assert_int_eq(outfile_write(&o, "hello ", 6), RH_OK);
    ck_assert_int_eq(outfile_write(&o, "world", 5), RH_OK);
    ck_assert_int_ne(access("x", F_OK), 0);
    ck_assert_int_eq(access(tmp_name("x"), F_OK), 0);
    ck_assert_int_eq(outfile_commit(&o), RH_OK);
    expect_content("x", "hello world");
    ck_assert_int_eq(scratch_count(), 1);
}
END_TEST

START_TEST(an_old_file_stands_until_commit) {
    scratch_text("x", "old");
    ck_assert_int_eq(outfile_create(&o, "./x"), RH_OK);
    ck_assert_int_eq(outfile_write(&o, "new", 3), RH_OK);
    expect_content("x", "old");
    ck_assert_int_eq(outfile_commit(&o), RH_OK);
    expect_content("x", "new");
}
END_TEST

START_TEST(an_abandoned_file_leaves_nothing) {
    scratch_text("x", "old");
    ck_assert_int_eq(outfile_create(&o, "x"), RH_OK);
    ck_assert_int_eq(outfile_write(&o, "new", 3), RH_OK);
    outfile_abandon(&o);
    expect_content("x", "old");
    ck_assert_int_eq(scratch_count(), 1);
    outfile_abandon(&o); /* over: nothing happens */
}
END_TEST

START_TEST(two_writers_of_one_file_do_not_meet) {
    struct outfile other;
    ck_assert_int_eq(outfile_create(&o, "x"), RH_OK);
    ck_assert_int_eq(outfile_create(&other, "x"), RH_OK);
    ck_assert_int_eq(outfile_write(&o, "one", 3), RH_OK);
    ck_assert_int_eq(outfile_write(&other, "other", 5), RH_OK);
    ck_assert_int_eq(outfile_commit(&o), RH_OK);
    expect_content("x", "one");
    ck_assert_int_eq(outfile_commit(&other), RH_OK);
    expect_content("x", "other");
    ck_assert_int_eq(scratch_count(), 1);
}
END_TEST

START_TEST(what_a_killed_process_of_our_number_left_is_no_obstacle) {
    scratch_text(tmp_name("x"), "left");
    ck_assert_int_eq(outfile_create(&o, "x"), RH_OK);
    ck_assert_int_eq(outfile_commit(&o), RH_OK);
    expect_content("x", "");
    expect_content(tmp_name("x"), "left");
}
END_TEST

START_TEST(what_is_no_regular_file_is_not_replaced) {
    ck_assert_int_eq(mkdir("folder", 0755), 0);
    ck_assert_int_eq(outfile_create(&o, "folder"), RH_EINVAL);
    ck_assert_str_eq(err_text(), "folder is there and is no regular file: it cannot be replaced");
    ck_assert_int_eq(outfile_create(&o, "/dev/null"), RH_EINVAL);
    ck_assert_int_eq(scratch_count(), 1);
}
END_TEST

START_TEST(a_folder_that_is_not_there_is_named) {
    ck_assert_int_eq(outfile_create(&o, "nowhere/x"), RH_EIO);
    char want[512];
    snprintf(want, sizeof want, "cannot create %s: No such file or directory",
             tmp_name("nowhere/x"));
    ck_assert_str_eq(err_text(), want);
    outfile_abandon(&o);
}
END_TEST

START_TEST(a_full_disk_is_said_at_once_and_again_at_commit) {
    struct rlimit kept, small;
    signal(SIGXFSZ, SIG_IGN);
    ck_assert_int_eq(getrlimit(RLIMIT_FSIZE, &kept), 0);
    small = kept;
    small.rlim_cur = 100000;
    scratch_text("x", "old");
    ck_assert_int_eq(outfile_create(&o, "x"), RH_OK);
    ck_assert_int_eq(setrlimit(RLIMIT_FSIZE, &small), 0);
    static char bytes[1 << 20];
    rh_status written = outfile_write(&o, bytes, sizeof bytes);
    rh_status again = outfile_write(&o, bytes, 1);
    rh_status committed = outfile_commit(&o);
    ck_assert_int_eq(setrlimit(RLIMIT_FSIZE, &kept), 0);
    ck_assert_int_eq(written, RH_EIO);
    ck_assert_int_eq(again, RH_EIO);
    ck_assert_int_eq(committed, RH_EIO);
    char want[512];
    snprintf(want, sizeof want, "cannot write %s: File too large", tmp_name("x"));
    ck_assert_str_eq(err_text(), want);
    expect_content("x", "old");
    ck_assert_int_eq(scratch_count(), 1);
}
END_TEST

START_TEST(a_file_that_cannot_take_its_place_is_gone) {
    ck_assert_int_eq(outfile_create(&o, "x"), RH_OK);
    ck_assert_int_eq(mkdir("x", 0755), 0); /* in the meantime */
    ck_assert_int_eq(outfile_commit(&o), RH_EIO);
    char want[512];
    snprintf(want, sizeof want, "cannot rename %s: Is a directory", tmp_name("x"));
    ck_assert_str_eq(err_text(), want);
    ck_assert_int_eq(scratch_count(), 1);
}
END_TEST

Suite *outfile_suite(void) {
    Suite *s = suite_create("outfile");
    TCase *t = tcase_create("outfile");
    tcase_add_checked_fixture(t, scratch_enter, scratch_leave);
    tcase_add_test(t, the_file_appears_at_commit);
    tcase_add_test(t, an_old_file_stands_until_commit);
    tcase_add_test(t, an_abandoned_file_leaves_nothing);
    tcase_add_test(t, two_writers_of_one_file_do_not_meet);
    tcase_add_test(t, what_a_killed_process_of_our_number_left_is_no_obstacle);
    tcase_add_test(t, what_is_no_regular_file_is_not_replaced);
    tcase_add_test(t, a_folder_that_is_not_there_is_named);
    tcase_add_test(t, a_full_disk_is_said_at_once_and_again_at_commit);
    tcase_add_test(t, a_file_that_cannot_take_its_place_is_gone);
    suite_add_tcase(s, t);
    return s;
}
