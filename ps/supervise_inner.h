/* supervise_inner.h - between supervise.c, which watches a child, and supervise_start.c, which
 * starts it. */
#ifndef PS_SUPERVISE_INNER_H
#define PS_SUPERVISE_INNER_H

#include <signal.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "proto/roster.h"

#define SUPERVISE_NOTE  '\x1e' /* ASCII's record separator: no terminal shows it */
#define SUPERVISE_NOTES "RH_NOTES"

struct supervisor {
    bool is_server, one_host;
    uint32_t index;          /* among the servers, or among the workers: there it is RH_RANK */
    uint32_t servers, world; /* of the job */
    char name[32];           /* "server 0" */
    char **flags;            /* (n_flags) for server children, as the user gave them */
    size_t n_flags;
    char **program; /* NULL-terminated */
    sigset_t child_mask;

    pid_t child;
    int stderr_fd;          /* the child's stderr, or -1 if it writes to ours */
    char *report;           /* what a server has told of itself, cut into pieces */
    const char **addresses; /* (n_addresses) */
    uint32_t n_addresses;
    uint64_t generation; /* the newest in its folder when the job began */
    const char *folder;  /* where it saves checkpoints; "": nowhere */

    bool stopping;   /* the child was told to end, */
    int64_t kill_ms; /* and had until then, */
    bool killed;     /* and did not */
};

/* Each returns 0, or our exit code with err_text saying why. */
int supervise_start_server(struct supervisor *s);
int supervise_start_program(struct supervisor *s, const struct roster *r);

void supervise_fini(struct supervisor *s);

#endif
