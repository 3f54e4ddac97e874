/* test_failpoint.c - a place does what RH_FAILPOINTS says at its nth time, in the process that was told so, and
 * nothing without it. Each case is a child: what it was told holds for the whole of a process. */
#include <check.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "common/err.h"
#include "common/failpoint.h"
#include "tests/unit/suites.h"

/* How a child ends that was told so: waitpid's status of it, once it has ended or stopped. */
static int end_of(const char *told, void (*run)(void), pid_t *pid) {
    int status;
    *pid = fork();
    ck_assert_int_ge(*pid, 0);
    if (*pid == 0) {
        if (told != NULL)
            setenv("RH_FAILPOINTS", told, 1);
        else
            unsetenv("RH_FAILPOINTS");
        if (failpoint_begin() != RH_OK)
            _exit(strstr(err_text(), "RH_FAILPOINTS") != NULL ? 99 : 98);
        run();
        _exit(0);
    }
    ck_assert_int_eq(waitpid(*pid, &status, WUNTRACED), *pid);
    return status;
}

static int status_of(const char *told, void (*run)(void)) {
    pid_t pid;
    return end_of(told, run, &pid);
}

/* Exits with the time at which the place has failed; 0: never. */
static void try_five_times(void) {
    for (int i = 1; i <= 5; i++)
        if (FAILPOINT_STATUS("a.place") != RH_OK)
            _exit(strcmp(err_text(), "failpoint a.place") == 0 ? i : 97);
}

static void reach_three_times(void) {
    for (int i = 0; i < 3; i++)
        FAILPOINT("a.place");
}

START_TEST(without_the_variable_nothing_happens) {
    ck_assert_int_eq(status_of(NULL, try_five_times), 0);
    ck_assert_int_eq(status_of(NULL, reach_three_times), 0);
}
END_TEST

START_TEST(a_place_fails_at_its_nth_time_and_once) {
    ck_assert_int_eq(WEXITSTATUS(status_of("a.place=error", try_five_times)), 1);
    ck_assert_int_eq(WEXITSTATUS(status_of("another=error,a.place=4:error", try_five_times)), 4);
    ck_assert_int_eq(status_of("a.place=6:error", try_five_times), 0);
    ck_assert_int_eq(status_of("a.plac=error,a.place.=error", try_five_times), 0);
}
END_TEST

START_TEST(a_place_that_cannot_fail_is_not_reached_by_error) {
    ck_assert_int_eq(status_of("a.place=error", reach_three_times), 0);
}
END_TEST

START_TEST(kill_is_sigkill) {
    int status = status_of("a.place=3:kill", reach_three_times);
    ck_assert(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL);
    ck_assert_int_eq(status_of("a.place=4:kill", reach_three_times), 0);
}
END_TEST

START_TEST(stop_is_sigstop_and_who_goes_on_ends_well) {
    pid_t pid;
    int status = end_of("a.place=2:stop", reach_three_times, &pid);
    ck_assert(WIFSTOPPED(status) && WSTOPSIG(status) == SIGSTOP);
    ck_assert_int_eq(kill(pid, SIGCONT), 0);
    ck_assert_int_eq(waitpid(pid, &status, 0), pid);
    ck_assert_int_eq(status, 0);
}
END_TEST

static double now(void) {
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

START_TEST(sleep_takes_its_time) {
    double began = now();
    ck_assert_int_eq(status_of("a.place=2:sleep:150", reach_three_times), 0);
    ck_assert_double_ge(now() - began, 0.15);
}
END_TEST

START_TEST(what_cannot_be_read_is_refused) {
    static const char *const bad[] = {"a.place",         "a.place=",       "=kill",
                                      "a.place=die",     "a.place=0:kill", "a.place=3kill",
                                      "a.place=kill:3",  "a.place=sleep",  "a.place=sleep:0",
                                      "a.place=sleep:x", "b=kill,a.place="};
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
        ck_assert_msg(WEXITSTATUS(status_of(bad[i], reach_three_times)) == 99, "\"%s\"", bad[i]);
}
END_TEST

/* The parent was told to fail, the child is told by its own environment. */
START_TEST(a_forked_child_is_a_process_of_its_own) {
    ck_assert_int_eq(failpoint_begin(), RH_OK); /* the tests themselves were told nothing */
    ck_assert_int_eq(WEXITSTATUS(status_of("a.place=2:error", try_five_times)), 2);
    ck_assert_int_eq(FAILPOINT_STATUS("a.place"), RH_OK);
}
END_TEST

Suite *failpoint_suite(void) {
    Suite *s = suite_create("failpoint");
    TCase *t = tcase_create("failpoint");
    tcase_add_test(t, without_the_variable_nothing_happens);
    tcase_add_test(t, a_place_fails_at_its_nth_time_and_once);
    tcase_add_test(t, a_place_that_cannot_fail_is_not_reached_by_error);
    tcase_add_test(t, kill_is_sigkill);
    tcase_add_test(t, stop_is_sigstop_and_who_goes_on_ends_well);
    tcase_add_test(t, sleep_takes_its_time);
    tcase_add_test(t, what_cannot_be_read_is_refused);
    tcase_add_test(t, a_forked_child_is_a_process_of_its_own);
    suite_add_tcase(s, t);
    return s;
}
