/* process.h - starting a process that does not outlive us, and saying how one has ended. */
#ifndef COMMON_PROCESS_H
#define COMMON_PROCESS_H

#include <signal.h>
#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

#include "common/status.h"

struct process_plan {
    char *const *argv;        /* argv[0] is looked for on PATH if it has no slash */
    char *const *environment; /* NULL: ours */
    const sigset_t *mask;     /* its signal mask */
    int death_signal;         /* what it gets when the thread that started it ends */
    int stderr_fd;            /* -1: ours */
    bool stdout_too;          /* its stdout goes where its stderr does */
};

/*
 * Starts it as the leader of a process group of its own, so that a terminal's ctrl-C does not reach
 * it, and kill(-pid) reaches what it starts in turn. Returns when it has become its program:
 * RH_ENOTFOUND if there is none, RH_EIO with the reason if it cannot be run.
 */
rh_status process_start(const struct process_plan *plan, pid_t *out) MUST_CHECK;

/* "was killed by signal 9 (Killed)", "ended with status 3": what waitpid has said. Returns text. */
const char *process_end(int status, char *text, size_t cap);

/* What a shell would exit with: the status, or 128 and the signal. */
int process_exit_code(int status);

#endif
