/* job.h - an mpirun whose ranks are supervisors (rowhouse-server --supervise), watched until it
 * ends: what it says is passed on, signals save it and stop it in order, and of a failure one line is
 * said. */
#ifndef WORKER_CMD_JOB_H
#define WORKER_CMD_JOB_H

#include <stdint.h>

/* The variable that makes supervisors write notes. */
#define JOB_NOTES "RH_NOTES"

struct job_plan {
    char *const *line; /* mpirun and its arguments */
    uint32_t workers;
    const char *doubt;    /* what ends the line of a failure that nobody has explained, or "" */
    const char *resume;   /* the line that starts it again from checkpoint JOB_SAVE_NAME, */
    const char *go_on;    /* and from the newest */
    const char *env_file; /* for RH_SERVERS and RH_JOB, as long as it runs; NULL: none */
};

/* Returns what the job exits with: the program's status, 128 and a signal's number, or that of
 * whatever failed. */
int job_run(const struct job_plan *plan);

#endif
