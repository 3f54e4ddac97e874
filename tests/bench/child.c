/* child.c - see child.h. */
#include "tests/bench/child.h"

#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "common/err.h"

/* Onto the cores that our parent was kept off (taskset), if there are any. */
static void move_apart(void) {
    cpu_set_t its, ours;
    long online = sysconf(_SC_NPROCESSORS_ONLN);
    if (sched_getaffinity(0, sizeof its, &its) != 0)
        return;
    CPU_ZERO(&ours);
    for (int i = 0; i < online && i < CPU_SETSIZE; i++)
        if (!CPU_ISSET(i, &its))
            CPU_SET(i, &ours);
    if (CPU_COUNT(&ours) > 0)
        sched_setaffinity(0, sizeof ours, &ours);
}

/* report -1: it has nothing to say. */
_Noreturn static void become(const char *const *argv, int report) {
    prctl(PR_SET_PDEATHSIG, SIGTERM);
    move_apart();
    if (report == CHILD_REPORT_FD)
        fcntl(report, F_SETFD, 0);
    else if (report >= 0)
        dup2(report, CHILD_REPORT_FD);
    execv(argv[0], (char *const *)argv);
    _exit(127);
}

/* The first word of a line; false if the other side closes before its end. */
static bool read_line(int fd, char *out, size_t cap) {
    size_t len = 0;
    while (len < cap) {
        ssize_t n = read(fd, out + len, 1);
        if (n < 0 && errno == EINTR)
            continue;
        if (n <= 0)
            return false;
        if (out[len] == '\n') {
            out[len] = '\0';
            out[strcspn(out, " ")] = '\0';
            return true;
        }
        len++;
    }
    return false;
}

rh_status child_start(const char *const *argv, struct child *out) {
    int report[2];
    if (pipe2(report, O_CLOEXEC) != 0)
        return err_sys(RH_EIO, "cannot make a pipe");
    pid_t pid = fork();
    if (pid == 0)
        become(argv, report[1]);
    close(report[1]);
    struct child c = {.pid = pid};
    rh_status s = RH_OK;
    if (pid < 0) {
        s = err_sys(RH_EIO, "cannot start %s", argv[0]);
    } else if (!read_line(report[0], c.address, sizeof c.address)) {
        s = err_set(RH_EIO, "%s did not say where it listens; make builds it", argv[0]);
        child_stop(&c);
    }
    close(report[0]);
    if (s == RH_OK)
        *out = c;
    return s;
}

rh_status child_run(const char *const *argv, struct child *out) {
    pid_t pid = fork();
    if (pid == 0)
        become(argv, -1);
    if (pid < 0)
        return err_sys(RH_EIO, "cannot start %s", argv[0]);
    *out = (struct child){.pid = pid};
    return RH_OK;
}

bool child_lives(struct child *c) {
    if (c->pid != 0 && waitpid(c->pid, NULL, WNOHANG) == c->pid)
        c->pid = 0;
    return c->pid != 0;
}

void child_place(const char *transport, const char *dir, const char *name,
                 char out[CHILD_ADDRESS_MAX]) {
    if (strcmp(transport, "tcp://") == 0)
        snprintf(out, CHILD_ADDRESS_MAX, "tcp://127.0.0.1:*");
    else
        snprintf(out, CHILD_ADDRESS_MAX, "%s%s/%s", transport, dir, name);
}

void child_stop(struct child *c) {
    if (c->pid == 0)
        return;
    kill(c->pid, SIGTERM);
    while (waitpid(c->pid, NULL, 0) < 0 && errno == EINTR)
        continue;
    if (strncmp(c->address, "ipc://", 6) == 0)
        unlink(c->address + 6); /* ours leaves none; one that a signal ended does */
    c->pid = 0;
}
