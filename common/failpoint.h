/*
 * failpoint.h - places where a test may have a process die, stop, fall asleep, or fail. For tests alone: a
 * place costs one load, and does nothing unless RH_FAILPOINTS was in the environment when its process
 * began, such as
 *
 *     RH_FAILPOINTS=apply.before=500:kill,sync.after=2:sleep:300
 *
 * the 500th time that apply.before is reached, in whatever thread, and so on; each once. What can be done:
 * kill and stop (SIGKILL and SIGSTOP to the whole process), sleep:MS (the thread), error (the place fails
 * with RH_EIO; where it cannot fail, it is not reached by that). A line on stderr says that it is done.
 * tests/README.md lists the places.
 */
#ifndef COMMON_FAILPOINT_H
#define COMMON_FAILPOINT_H

#include <stdatomic.h>

#include "common/status.h"

/* Reads RH_FAILPOINTS, once in a process; a forked child is another one. RH_EINVAL: it cannot be read.
 * Any thread. */
rh_status failpoint_begin(void) MUST_CHECK;

/* A place that cannot fail; and an expression: RH_OK, or why it fails. */
#define FAILPOINT(name)                                                   \
    do {                                                                  \
        if (atomic_load_explicit(&failpoint_armed, memory_order_relaxed)) \
            failpoint_reach(name);                                        \
    } while (0)
#define FAILPOINT_STATUS(name) \
    (atomic_load_explicit(&failpoint_armed, memory_order_relaxed) ? failpoint_try(name) : RH_OK)

/* ---- what the two stand for ---- */

extern atomic_bool failpoint_armed;
void failpoint_reach(const char *name);
rh_status failpoint_try(const char *name) MUST_CHECK;

#endif
