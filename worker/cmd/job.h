/* job.h - an mpirun whose ranks are supervisors (rowhouse-server --supervise), watched until it
 * ends: what it says is passed on, signals stop it in order, and of a failure one line is said. */
#ifndef WORKER_CMD_JOB_H
#define WORKER_CMD_JOB_H

#include <stdint.h>

/* The variable that makes supervisors write notes. */
#define JOB_NOTES "RH_NOTES"

/* line: mpirun and its arguments. doubt: what ends the line of a failure that nobody has explained, or
 * "". Returns what the job exits with: the program's status, 128 and a signal's number, or that of
 * whatever failed. */
int job_run(char *const *line, uint32_t workers, const char *doubt);

#endif
