/* test_source.c - which files a server opens for others: those beneath its directory, and no path
 * leads out of it. */
#include <check.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/err.h"
#include "ps/source.h"
#include "tests/support/scratch.h"
#include "tests/unit/suites.h"

static struct source *s;
static const char text[] = "1 2\na 1 2\n";

static void setup(void) {
    scratch_enter();
    ck_assert_int_eq(mkdir("data", 0700), 0);
    ck_assert_int_eq(mkdir("data/sub", 0700), 0);
    scratch_text("data/in.vec", text);
    scratch_text("data/sub/in.vec", text);
    scratch_text("data/v.txt", "a\n");
    scratch_text("out.vec", text);
    ck_assert_int_eq(symlink("../out.vec", "data/out"), 0);
    ck_assert_int_eq(symlink("..", "data/up"), 0);
    ck_assert_int_eq(symlink("/etc/hostname", "data/absolute"), 0);
    ck_assert_int_eq(symlink("in.vec", "data/inside"), 0);
    ck_assert_int_eq(symlink("../in.vec", "data/sub/inside"), 0);
    ck_assert_int_eq(mkfifo("data/pipe", 0600), 0);
    ck_assert_int_eq(source_beneath("data", &s), RH_OK);
}

static void teardown(void) {
    static const char *const made[] = {
        "data/in.vec", "data/sub/in.vec", "data/v.txt", "data/out", "data/up", "data/absolute",
        "data/inside", "data/sub/inside", "data/pipe",  "data/sub", "out.vec"};
    source_free(&s);
    for (size_t i = 0; i < sizeof made / sizeof *made; i++)
        remove(made[i]);
    scratch_leave();
}

/* Opens a file and reads it through. */
static rh_status read_file(struct source *from, const char *path, const char *vocab) {
    const struct source_want w = {.path = path, .vocab = vocab, .table = {"t", 5, 2}};
    struct vecload_slice k = {.end = false};
    struct source_end end;
    void *file;
    rh_status st = from->ops->open(from, &w, &file);
    if (st != RH_OK)
        return st;
    while (st == RH_OK && !k.end)
        st = from->ops->next(file, &k);
    if (st == RH_OK) {
        from->ops->conclude(file, &end);
        ck_assert_uint_eq(end.report.matched, 1);
        ck_assert(end.digest != 0);
    }
    from->ops->close(file);
    return st;
}

static void refused(const char *path, const char *says) {
    ck_assert_msg(read_file(s, path, NULL) == RH_EINVAL, "%s: %s", path, err_text());
    ck_assert_msg(strstr(err_text(), path) != NULL && strstr(err_text(), says) != NULL, "%s",
                  err_text());
    ck_assert_int_eq(read_file(s, "in.vec", path), RH_EINVAL); /* and as a vocabulary */
    ck_assert_msg(strstr(err_text(), says) != NULL, "%s", err_text());
}

START_TEST(files_beneath_the_directory_are_read) {
    ck_assert_int_eq(read_file(s, "in.vec", NULL), RH_OK);
    ck_assert_int_eq(read_file(s, "./sub//in.vec", NULL), RH_OK);
    ck_assert_int_eq(read_file(s, "in.vec", "v.txt"), RH_OK);
}
END_TEST

START_TEST(links_that_stay_inside_are_followed) {
    ck_assert_int_eq(read_file(s, "inside", NULL), RH_OK);
    ck_assert_int_eq(read_file(s, "sub/inside", NULL), RH_OK);
}
END_TEST

START_TEST(absolute_paths_and_dots_are_refused) {
    char path[4200], here[4096];
    ck_assert_ptr_nonnull(getcwd(here, sizeof here));
    snprintf(path, sizeof path, "%s/data/in.vec", here);
    refused(path, "relative path without \"..\"");
    refused("../out.vec", "relative path without \"..\"");
    refused("sub/../in.vec", "relative path without \"..\"");
    refused("sub/..", "relative path without \"..\"");
    refused("..", "relative path without \"..\"");
}
END_TEST

START_TEST(links_that_lead_out_are_refused) {
    refused("out", "leads out");
    refused("up/out.vec", "leads out");
    refused("absolute", "leads out");
}
END_TEST

START_TEST(what_is_no_file_is_refused_and_hangs_nobody) {
    ck_assert_int_eq(read_file(s, "none.vec", NULL), RH_ENOTFOUND);
    ck_assert_ptr_nonnull(strstr(err_text(), "none.vec"));
    ck_assert_int_eq(read_file(s, "in.vec", "none.txt"), RH_ENOTFOUND);
    ck_assert_int_eq(read_file(s, "pipe", NULL), RH_EINVAL);
    ck_assert_int_eq(read_file(s, "sub", NULL), RH_EINVAL);
    scratch_text("data/..x", text); /* a name, not a way up */
    ck_assert_int_eq(read_file(s, "..x", NULL), RH_OK);
    remove("data/..x");
}
END_TEST

START_TEST(a_directory_that_is_none_is_refused) {
    struct source *none = NULL;
    ck_assert_int_eq(source_beneath("out.vec", &none), RH_EINVAL);
    ck_assert_ptr_nonnull(strstr(err_text(), "--data-dir out.vec"));
    ck_assert_int_eq(source_beneath("nowhere", &none), RH_EINVAL);
    ck_assert_ptr_null(none);
}
END_TEST

START_TEST(the_other_source_opens_any_path) {
    char path[4200], here[4096];
    ck_assert_ptr_nonnull(getcwd(here, sizeof here));
    snprintf(path, sizeof path, "%s/out.vec", here);
    ck_assert_int_eq(read_file(source_anywhere(), path, "data/v.txt"), RH_OK);
    ck_assert_int_eq(read_file(source_anywhere(), "data/up/out.vec", NULL), RH_OK);
}
END_TEST

START_TEST(a_vocabulary_that_would_take_long_is_refused) {
    scratch_text("data/v.txt", "");
    ck_assert_int_eq(truncate("data/v.txt", (64 << 20) + 1), 0);
    ck_assert_int_eq(read_file(s, "in.vec", "v.txt"), RH_ELIMIT);
    ck_assert_ptr_nonnull(strstr(err_text(), "source = client"));
}
END_TEST

Suite *source_suite(void) {
    Suite *suite = suite_create("source");
    TCase *tc = tcase_create("source");
    tcase_add_checked_fixture(tc, setup, teardown);
    tcase_add_test(tc, files_beneath_the_directory_are_read);
    tcase_add_test(tc, links_that_stay_inside_are_followed);
    tcase_add_test(tc, absolute_paths_and_dots_are_refused);
    tcase_add_test(tc, links_that_lead_out_are_refused);
    tcase_add_test(tc, what_is_no_file_is_refused_and_hangs_nobody);
    tcase_add_test(tc, a_directory_that_is_none_is_refused);
    tcase_add_test(tc, the_other_source_opens_any_path);
    tcase_add_test(tc, a_vocabulary_that_would_take_long_is_refused);
    suite_add_tcase(suite, tc);
    return suite;
}
