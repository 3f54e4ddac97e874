/* test_watch.c - what counts as a thread that is stuck, and what does not. */
#include <check.h>

#include "ps/watch.h"
#include "tests/unit/suites.h"

enum { TIMEOUT_MS = 60000, BEGIN_MS = 777000 };

static struct watch w;
static int64_t now_ms;

static void setup(void) {
    w = (struct watch){0};
    now_ms = BEGIN_MS;
}

/* Looks until for_ms have passed; in that time the thread gets on by so many frames each look, and uses so
 * much of a processor. After how long it is told to be stuck; -1: never. */
static int64_t look(int64_t for_ms, struct watch_sight is, uint64_t turns, double cpu) {
    for (int64_t ms = 0; ms <= for_ms; ms += WATCH_LOOK_MS) {
        is.cpu_ms += (int64_t)(cpu * WATCH_LOOK_MS);
        is.turns += turns;
        now_ms += WATCH_LOOK_MS;
        if (watch_look(&w, &is, now_ms, TIMEOUT_MS))
            return ms;
    }
    return -1;
}

static const struct watch_sight busy = {.turns = 5, .busy = true};
static const struct watch_sight idle = {.turns = 5};

START_TEST(one_frame_for_longer_than_the_timeout_without_computing_is_stuck) {
    int64_t ms = look(2 * TIMEOUT_MS, busy, 0, 0);
    ck_assert_int_gt(ms, TIMEOUT_MS);
    ck_assert_int_le(ms, TIMEOUT_MS + 2 * WATCH_LOOK_MS);
    ck_assert_int_gt(w.stuck_ms, TIMEOUT_MS);
}
END_TEST

START_TEST(a_thread_that_waits_for_frames_is_never_stuck) {
    ck_assert_int_eq(look(100 * TIMEOUT_MS, idle, 0, 0), -1);
}
END_TEST

START_TEST(a_thread_that_comes_on_however_slowly_is_not_stuck) {
    for (int i = 0; i < 20; i++) {
        struct watch_sight is = busy;
        is.turns += (uint64_t)i;
        ck_assert_int_eq(look(TIMEOUT_MS - WATCH_LOOK_MS, is, 0, 0), -1);
    }
}
END_TEST

START_TEST(one_frame_that_takes_its_time_and_computes_is_not_stuck_before_ten_times_that) {
    int64_t ms = look(20 * TIMEOUT_MS, busy, 0, 0.5);
    ck_assert_int_gt(ms, 10 * TIMEOUT_MS);
    ck_assert_int_le(ms, 10 * TIMEOUT_MS + 2 * WATCH_LOOK_MS);
}
END_TEST

START_TEST(who_waits_for_a_task_is_not_stuck_before_ten_times_that) {
    struct watch_sight is = busy;
    is.helped = true;
    ck_assert_int_gt(look(20 * TIMEOUT_MS, is, 0, 0), 10 * TIMEOUT_MS);
}
END_TEST

START_TEST(a_pause_of_the_whole_process_does_not_count) {
    ck_assert_int_eq(look(TIMEOUT_MS / 2, busy, 0, 0), -1);
    ck_assert(!watch_look(&w, &busy, now_ms + 100 * TIMEOUT_MS, TIMEOUT_MS));
    ck_assert_int_le(w.stuck_ms, TIMEOUT_MS / 2 + 4 * WATCH_LOOK_MS);
}
END_TEST

START_TEST(a_frame_that_is_done_begins_the_time_anew) {
    ck_assert_int_eq(look(TIMEOUT_MS - WATCH_LOOK_MS, busy, 0, 0), -1);
    ck_assert(!watch_look(&w, &idle, now_ms, TIMEOUT_MS));
    ck_assert_int_ge(look(2 * TIMEOUT_MS, busy, 0, 0), TIMEOUT_MS);
}
END_TEST

Suite *watch_suite(void) {
    Suite *suite = suite_create("watch");
    TCase *tc = tcase_create("watch");
    tcase_add_checked_fixture(tc, setup, NULL);
    tcase_add_test(tc, one_frame_for_longer_than_the_timeout_without_computing_is_stuck);
    tcase_add_test(tc, a_thread_that_waits_for_frames_is_never_stuck);
    tcase_add_test(tc, a_thread_that_comes_on_however_slowly_is_not_stuck);
    tcase_add_test(tc,
                   one_frame_that_takes_its_time_and_computes_is_not_stuck_before_ten_times_that);
    tcase_add_test(tc, who_waits_for_a_task_is_not_stuck_before_ten_times_that);
    tcase_add_test(tc, a_pause_of_the_whole_process_does_not_count);
    tcase_add_test(tc, a_frame_that_is_done_begins_the_time_anew);
    suite_add_tcase(suite, tc);
    return suite;
}
