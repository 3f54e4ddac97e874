/* process.c - see process.h. */
#include "common/process.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "common/err.h"

/* In the child: becomes the program, or writes errno to fd. Only what is safe after a fork of a
 * process with threads. */
static void become(const struct process_plan *plan, pid_t parent, int fd) {
    prctl(PR_SET_PDEATHSIG, plan->death_signal);
    if (getppid() != parent) /* it died before the prctl */
        _exit(1);
    setpgid(0, 0);
    if (plan->stderr_fd >= 0)
        dup2(plan->stderr_fd, STDERR_FILENO);
    if (plan->stdout_too)
        dup2(STDERR_FILENO, STDOUT_FILENO);
    sigprocmask(SIG_SETMASK, plan->mask, NULL);
    execvpe(plan->argv[0], plan->argv, plan->environment != NULL ? plan->environment : environ);
    int e = errno;
    ssize_t ignored = write(fd, &e, sizeof e);
    (void)ignored;
    _exit(127);
}

/* Waits until fd, which exec closes, says why there was none. 0: there was. */
static int exec_error(int fd) {
    int e = 0;
    ssize_t n;
    while ((n = read(fd, &e, sizeof e)) < 0 && errno == EINTR)
        ;
    return n == sizeof e ? e : 0;
}

rh_status process_start(const struct process_plan *plan, pid_t *out) {
    int fds[2];
    pid_t parent = getpid(), pid = -1;
    if (pipe2(fds, O_CLOEXEC) != 0)
        return err_sys(RH_EIO, "cannot start %s", plan->argv[0]);
    pid = fork();
    if (pid == 0)
        become(plan, parent, fds[1]);
    int e = errno;
    close(fds[1]);
    if (pid > 0) {
        setpgid(pid, pid); /* here too: whoever comes first */
        e = exec_error(fds[0]);
    }
    close(fds[0]);
    if (pid > 0 && e == 0) {
        *out = pid;
        return RH_OK;
    }
    while (pid > 0 && waitpid(pid, NULL, 0) < 0 && errno == EINTR)
        ;
    errno = e;
    return err_sys(e == ENOENT ? RH_ENOTFOUND : RH_EIO, "cannot start %s", plan->argv[0]);
}

const char *process_end(int status, char *text, size_t cap) {
    if (WIFSIGNALED(status))
        snprintf(text, cap, "was killed by signal %d (%s)", WTERMSIG(status),
                 strsignal(WTERMSIG(status)));
    else
        snprintf(text, cap, "ended with status %d", WEXITSTATUS(status));
    return text;
}

int process_exit_code(int status) {
    return WIFSIGNALED(status) ? 128 + WTERMSIG(status) : WEXITSTATUS(status);
}
