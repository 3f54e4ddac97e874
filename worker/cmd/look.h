/* look.h - what `rowhouse status` and `rowhouse tables` have in common: they look at a live job as
 * an observer, print what they see as text or JSON, and end with 0, 1 (failed), 2 (usage) or 3
 * (unreachable). */
#ifndef WORKER_CMD_LOOK_H
#define WORKER_CMD_LOOK_H

#include <jansson.h>

#include "worker/client.h"

struct look {
    const char *servers, *job;
    int64_t timeout_ms;
    int json;
    rh_client *client;
};

/* Reads the flags and connects. True: go on, and call look_end. False: *exit_code is what the
 * command returns; help or the error was printed. */
bool look_begin(int argc, char **argv, const char *program, const char *about, struct look *out,
                int *exit_code);

/* Closes; prints what went wrong, if status says so. The exit code. */
int look_end(struct look *k, const char *program, rh_status status);

/* Prints the document with a newline and drops the reference. RH_ENOMEM if it is NULL. */
rh_status look_print_json(json_t *document) MUST_CHECK;

/* "12.3 MiB" into text (at least 24 bytes). Returns text. */
char *look_bytes(uint64_t bytes, char *text);

#endif
