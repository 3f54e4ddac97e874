/* look.h - what the commands on a live job have in common: they join it as an observer, print what
 * they see as text or JSON, and end with 0, 1 (failed), 2 (usage) or 3 (unreachable). */
#ifndef WORKER_CMD_LOOK_H
#define WORKER_CMD_LOOK_H

#include <jansson.h>

#include "common/conf.h"
#include "worker/client.h"

struct look {
    const char *servers, *job;
    int64_t timeout_ms;  /* to connect */
    int64_t patience_ms; /* of a call; 0: as long */
    int json;
    rh_client *client;
};

/* Which job: settings of every such command; at: where its struct look is in what it reads them into. */
#define LOOK_WHERE_ITEMS(at)                                                               \
    {"servers",                                                                            \
     CONF_STRING,                                                                          \
     (at) + offsetof(struct look, servers),                                                \
     NULL,                                                                                 \
     0,                                                                                    \
     0,                                                                                    \
     "RH_SERVERS",                                                                         \
     "ADDRESSES",                                                                          \
     "Where the servers listen, comma-separated, in shard order: "                         \
     "tcp://host:7700,tcp://host:7701."},                                                  \
    {                                                                                      \
        "job", CONF_STRING, (at) + offsetof(struct look, job), "", 0, 0, "RH_JOB", "NAME", \
            "The job's name or token; servers of another job do not answer."               \
    }

/* And how long one that only looks will wait. */
#define LOOK_ITEMS(at)                                                                           \
    LOOK_WHERE_ITEMS(at), {                                                                      \
        "timeout", CONF_INT, (at) + offsetof(struct look, timeout_ms), "5000", 1, 3600000, NULL, \
            "MS", "How long to wait for an answer."                                              \
    }

/* Whether the servers' addresses can be looked at; then connects. RH_EINVAL is wrong usage, and only
 * look_check says it. */
rh_status look_check(const struct look *k) MUST_CHECK;
rh_status look_join(struct look *k) MUST_CHECK;

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
