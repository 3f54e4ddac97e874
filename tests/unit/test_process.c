/* test_process.c - a process that is started becomes its program or says why not, is on its own
 * with the terminal's signals, and ends when its parent does. */
#include <check.h>
#include <errno.h>
#include <signal.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "common/err.h"
#include "common/process.h"
#include "tests/unit/suites.h"

static sigset_t no_signals;

/* `sh -c script`, with its stderr to fd or ours. */
static pid_t must_start(const char *script, char *const *environment, int fd) {
    sigemptyset(&no_signals);
    char *argv[] = {"sh", "-c", (char *)(uintptr_t)script, NULL};
    struct process_plan plan = {.argv = argv,
                                .environment = environment,
                                .mask = &no_signals,
                                .death_signal = SIGKILL,
                                .stderr_fd = fd};
    pid_t pid;
    rh_status s = process_start(&plan, &pid);
    ck_assert_msg(s == RH_OK, "%s", err_text());
    return pid;
}

static int must_wait(pid_t pid) {
    int status;
    ck_assert_int_eq(waitpid(pid, &status, 0), pid);
    return status;
}

START_TEST(how_it_ended_is_told_as_a_shell_would) {
    char how[64];
    int status = must_wait(must_start("exit 0", NULL, -1));
    ck_assert_int_eq(process_exit_code(status), 0);
    status = must_wait(must_start("exit 3", NULL, -1));
    ck_assert_int_eq(process_exit_code(status), 3);
    ck_assert_str_eq(process_end(status, how, sizeof how), "ended with status 3");
    status = must_wait(must_start("kill -9 $$", NULL, -1));
    ck_assert_int_eq(process_exit_code(status), 137);
    ck_assert_str_eq(process_end(status, how, sizeof how), "was killed by signal 9 (Killed)");
}
END_TEST

START_TEST(what_cannot_be_run_says_why_and_leaves_no_child) {
    char *missing[] = {"/no/such/program", NULL}, *folder[] = {"/", NULL};
    sigemptyset(&no_signals);
    struct process_plan plan = {.argv = missing, .mask = &no_signals, .stderr_fd = -1};
    pid_t pid;
    ck_assert_int_eq(process_start(&plan, &pid), RH_ENOTFOUND);
    ck_assert_str_eq(err_text(), "cannot start /no/such/program: No such file or directory");
    plan.argv = folder;
    ck_assert_int_eq(process_start(&plan, &pid), RH_EIO);
    ck_assert_str_eq(err_text(), "cannot start /: Permission denied");
    ck_assert_int_eq(waitpid(-1, NULL, WNOHANG), -1);
    ck_assert_int_eq(errno, ECHILD);
}
END_TEST

START_TEST(its_environment_and_stderr_are_those_of_the_plan) {
    int fds[2];
    char said[64] = "", *environment[] = {"GREETING=hello", NULL};
    ck_assert_int_eq(pipe(fds), 0);
    pid_t pid = must_start("echo $GREETING >&2", environment, fds[1]);
    close(fds[1]);
    ck_assert_int_eq(read(fds[0], said, sizeof said - 1), 6);
    ck_assert_str_eq(said, "hello\n");
    close(fds[0]);
    must_wait(pid);
}
END_TEST

START_TEST(its_stdout_goes_with_its_stderr_if_the_plan_says_so) {
    int fds[2];
    char said[64] = "", *argv[] = {"sh", "-c", "echo out; echo err >&2", NULL};
    ck_assert_int_eq(pipe(fds), 0);
    sigemptyset(&no_signals);
    struct process_plan plan = {
        .argv = argv, .mask = &no_signals, .stderr_fd = fds[1], .stdout_too = true};
    pid_t pid;
    ck_assert_int_eq(process_start(&plan, &pid), RH_OK);
    close(fds[1]);
    must_wait(pid);
    ck_assert_int_eq(read(fds[0], said, sizeof said - 1), 8);
    ck_assert_str_eq(said, "out\nerr\n");
    close(fds[0]);
}
END_TEST

START_TEST(its_group_is_its_own_and_takes_its_children_along) {
    int fds[2];
    char rest;
    ck_assert_int_eq(pipe(fds), 0);
    pid_t pid = must_start("sleep 1000 & echo >&2; wait", NULL, fds[1]);
    close(fds[1]);
    ck_assert_int_eq(read(fds[0], &rest, 1), 1);
    ck_assert_int_eq(getpgid(pid), pid);
    ck_assert_int_eq(kill(-pid, SIGKILL), 0);
    must_wait(pid);
    ck_assert_int_eq(read(fds[0], &rest, 1), 0); /* sleep has closed it too */
    close(fds[0]);
}
END_TEST

START_TEST(it_dies_with_its_parent) {
    int fds[2];
    char rest;
    ck_assert_int_eq(pipe(fds), 0);
    pid_t middle = fork();
    if (middle == 0) {
        must_start("exec sleep 1000", NULL, -1); /* it inherits the pipe */
        _exit(0);
    }
    close(fds[1]);
    must_wait(middle);
    ck_assert_int_eq(read(fds[0], &rest, 1), 0);
    close(fds[0]);
}
END_TEST

Suite *process_suite(void) {
    Suite *suite = suite_create("process");
    TCase *tc = tcase_create("process");
    tcase_add_test(tc, how_it_ended_is_told_as_a_shell_would);
    tcase_add_test(tc, what_cannot_be_run_says_why_and_leaves_no_child);
    tcase_add_test(tc, its_environment_and_stderr_are_those_of_the_plan);
    tcase_add_test(tc, its_stdout_goes_with_its_stderr_if_the_plan_says_so);
    tcase_add_test(tc, its_group_is_its_own_and_takes_its_children_along);
    tcase_add_test(tc, it_dies_with_its_parent);
    suite_add_tcase(suite, tc);
    return suite;
}
