/* child.h - a process of ours that listens somewhere and says where. */
#ifndef TESTS_BENCH_CHILD_H
#define TESTS_BENCH_CHILD_H

#include <stdbool.h>
#include <sys/types.h>

#include "common/status.h"

enum { CHILD_ADDRESS_MAX = 256, CHILD_REPORT_FD = 3 };

struct child {
    pid_t pid; /* 0: none */
    char address[CHILD_ADDRESS_MAX];
};

/* Starts argv[0] (NULL-terminated, with "--report-fd" and "3" among them), and waits for the line
 * with its address. It dies with this process, and runs on the cores that taskset keeps this
 * process off, if there are any. Start children before tables are filled: a fork makes the next
 * write to each page of them a fault. */
rh_status child_start(const char *const *argv, struct child *out) MUST_CHECK;

/* The same with one that listens nowhere: waits for nothing. */
rh_status child_run(const char *const *argv, struct child *out) MUST_CHECK;

/* False: it has ended by itself, or there is none. */
bool child_lives(struct child *c);

/* Where a child of this name can listen: any port of this host, or a socket file in dir. */
void child_place(const char *transport, const char *dir, const char *name,
                 char out[CHILD_ADDRESS_MAX]);

/* Asks it to end, and waits. Nothing if there is none. */
void child_stop(struct child *c);

#endif
