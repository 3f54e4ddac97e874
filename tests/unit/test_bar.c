/* test_bar.c - what is drawn of how far something is. */
#include <check.h>
#include <stdlib.h>
#include <string.h>

#include "common/bar.h"
#include "tests/unit/suites.h"

START_TEST(a_line_fits_its_terminal_whatever_is_in_it) {
    char line[512], text[300];
    memset(text, 'x', sizeof text);
    for (size_t len = 0; len < sizeof text; len += 7) {
        for (size_t columns = 1; columns <= BAR_COLUMNS_MAX; columns++) {
            for (uint64_t done = 0; done <= 4; done++) {
                text[len] = '\0';
                size_t n = bar_line(done, 4, text, columns, line, sizeof line);
                text[len] = 'x';
                ck_assert_uint_eq(n, strlen(line));
                ck_assert_msg(n < columns, "%zu in %zu columns", n, columns);
            }
        }
    }
}
END_TEST

START_TEST(the_bar_is_as_full_as_the_work_is_done) {
    static const struct {
        uint64_t done, total;
        const char *want;
    } cases[] = {{0, 8, "[............] half"},
                 {4, 8, "[######......] half"},
                 {8, 8, "[############] half"},
                 {0, 0, "[############] half"},
                 {UINT64_MAX / 2, UINT64_MAX - 1, "[######......] half"},
                 {9, 8, "[############] half"}};
    char line[64];
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        bar_line(cases[i].done, cases[i].total, "half", 20, line, sizeof line);
        ck_assert_str_eq(line, cases[i].want);
    }
    bar_line(1, 2, "no terminal, no bar", 0, line, sizeof line);
    ck_assert_str_eq(line, "no terminal, no bar");
}
END_TEST

START_TEST(numbers_and_times_are_written_as_people_read_them) {
    char out[BAR_TEXT];
    ck_assert_str_eq(bar_grouped(0, out), "0");
    ck_assert_str_eq(bar_grouped(999, out), "999");
    ck_assert_str_eq(bar_grouped(1234567, out), "1,234,567");
    ck_assert_str_eq(bar_grouped(UINT64_MAX, out), "18,446,744,073,709,551,615");
    ck_assert_str_eq(bar_duration(0, out), "0:00");
    ck_assert_str_eq(bar_duration(3599.9, out), "59:59");
    ck_assert_str_eq(bar_duration(3671, out), "1:01:11");
    ck_assert(bar_left(10, 1, 4) == 30 && bar_left(10, 0, 4) == 0 && bar_left(10, 4, 4) == 0);
}
END_TEST

START_TEST(a_launcher_says_whether_there_is_a_terminal_and_nothing_is_drawn_unasked) {
    struct bar b;
    setenv("RH_TTY", "1", 1);
    setenv("RH_COLUMNS", "57", 1);
    bar_begin(&b, true);
    ck_assert(b.style == BAR_DRAWN && b.columns == 57 && !bar_due(&b));
    b.drawn_us -= 300 * 1000;
    ck_assert(bar_due(&b));
    setenv("RH_TTY", "0", 1);
    bar_begin(&b, true);
    ck_assert_int_eq(b.style, BAR_LINES);
    b.drawn_us -= 300 * 1000;
    ck_assert(!bar_due(&b));
    b.drawn_us -= 10 * 1000 * 1000;
    ck_assert(bar_due(&b));
    bar_begin(&b, false);
    b.drawn_us = 0;
    ck_assert(b.style == BAR_NONE && !bar_due(&b));
    unsetenv("RH_TTY");
    unsetenv("RH_COLUMNS");
}
END_TEST

Suite *bar_suite(void) {
    Suite *s = suite_create("bar");
    TCase *t = tcase_create("bar");
    tcase_add_test(t, a_line_fits_its_terminal_whatever_is_in_it);
    tcase_add_test(t, the_bar_is_as_full_as_the_work_is_done);
    tcase_add_test(t, numbers_and_times_are_written_as_people_read_them);
    tcase_add_test(t, a_launcher_says_whether_there_is_a_terminal_and_nothing_is_drawn_unasked);
    suite_add_tcase(s, t);
    return s;
}
