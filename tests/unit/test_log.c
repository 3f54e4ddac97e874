/* test_log.c - one event, one line, one write. */
#include <check.h>
#include <errno.h>
#include <string.h>
#include <unistd.h>

#include "common/log.h"
#include "tests/unit/suites.h"

static int kept_stderr, pipe_end;

static void setup(void) {
    int ends[2];
    ck_assert_int_eq(pipe(ends), 0);
    kept_stderr = dup(STDERR_FILENO);
    dup2(ends[1], STDERR_FILENO);
    close(ends[1]);
    pipe_end = ends[0];
}

static void teardown(void) {
    dup2(kept_stderr, STDERR_FILENO);
    close(kept_stderr);
    close(pipe_end);
}

/* What was logged since the last look; at most one pipe full. */
static const char *logged(void) {
    static char text[8192];
    dup2(kept_stderr,
         STDERR_FILENO); /* closes the pipe's other end, so that read comes to an end */
    ssize_t n = 0, got;
    while ((got = read(pipe_end, text + n, sizeof text - 1 - (size_t)n)) > 0)
        n += got;
    text[n] = '\0';
    return text;
}

START_TEST(a_line_says_when_how_bad_who_and_what) {
    log_init(LOG_INFO, "server 0/2");
    log_warn("worker %d is silent", 3);
    const char *line = logged();
    /* 2026-01-31T12:00:00.123Z */
    static const char form[] = "dddd-dd-ddTdd:dd:dd.dddZ";
    for (size_t i = 0; form[i] != '\0'; i++)
        ck_assert(form[i] == 'd' ? line[i] >= '0' && line[i] <= '9' : line[i] == form[i]);
    ck_assert_str_eq(line + sizeof form - 1, " warn server 0/2: worker 3 is silent\n");
}
END_TEST

START_TEST(levels_above_the_chosen_one_are_silent) {
    log_init(LOG_WARN, "x");
    log_info("no");
    log_debug("no");
    log_error("yes");
    const char *line = logged();
    ck_assert_ptr_nonnull(strstr(line, " error x: yes\n"));
    ck_assert_ptr_null(strstr(line, "no"));
}
END_TEST

START_TEST(a_text_cannot_break_its_line_or_the_terminal) {
    log_init(LOG_INFO, "");
    log_info("a\nb\x1B[31m\tc\x7F \xC3\xA9");
    ck_assert_ptr_nonnull(strstr(logged(), "Z info a?b?[31m?c? \xC3\xA9\n"));
}
END_TEST

START_TEST(a_line_that_is_too_long_is_cut_and_ends) {
    char text[5000];
    memset(text, 'x', sizeof text - 1);
    text[sizeof text - 1] = '\0';
    log_init(LOG_INFO, text); /* the name too */
    log_info("%s", text);
    const char *line = logged();
    ck_assert_uint_eq(strlen(line), 2048);
    ck_assert_ptr_eq(strchr(line, '\n'), line + 2047);
    ck_assert_ptr_eq(strstr(line, ": "), strchr(line, ' ') + 6 + 31);
}
END_TEST

START_TEST(errno_is_kept_and_can_be_logged) {
    log_init(LOG_INFO, "x");
    errno = ENOENT;
    log_error("cannot open: %m");
    ck_assert_int_eq(errno, ENOENT);
    ck_assert_ptr_nonnull(strstr(logged(), "cannot open: No such file or directory\n"));
}
END_TEST

START_TEST(levels_are_named_in_words) {
    enum log_level level = LOG_WARN;
    ck_assert(log_level_parse("error", &level) && level == LOG_ERROR);
    ck_assert(log_level_parse("warn", &level) && level == LOG_WARN);
    ck_assert(log_level_parse("info", &level) && level == LOG_INFO);
    ck_assert(log_level_parse("debug", &level) && level == LOG_DEBUG);
    ck_assert(!log_level_parse("warning", &level) && !log_level_parse("", &level));
    ck_assert_int_eq(level, LOG_DEBUG);
}
END_TEST

Suite *log_suite(void) {
    Suite *s = suite_create("log");
    TCase *t = tcase_create("log");
    tcase_add_checked_fixture(t, setup, teardown);
    tcase_add_test(t, a_line_says_when_how_bad_who_and_what);
    tcase_add_test(t, levels_above_the_chosen_one_are_silent);
    tcase_add_test(t, a_text_cannot_break_its_line_or_the_terminal);
    tcase_add_test(t, a_line_that_is_too_long_is_cut_and_ends);
    tcase_add_test(t, errno_is_kept_and_can_be_logged);
    tcase_add_test(t, levels_are_named_in_words);
    suite_add_tcase(s, t);
    return s;
}
