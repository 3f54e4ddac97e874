/* supervise_inner.h - between the files of a supervisor: supervise.c is its life, supervise_watch.c
 * what it does while a child runs, supervise_start.c starts one, supervise_report.c hears what a
 * server tells of itself, supervise_notes.c tells others. */
#ifndef PS_SUPERVISE_INNER_H
#define PS_SUPERVISE_INNER_H

#include <signal.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "proto/roster.h"
#include "ps/supervise_budget.h"

#define SUPERVISE_NOTE  '\x1e' /* ASCII's record separator: no terminal shows it */
#define SUPERVISE_NOTES "RH_NOTES"

enum { SUPERVISE_FAILED = 1 };

/* What a server writes to us once it listens. */
struct report {
    int fd;           /* -1: nothing is awaited */
    char *text;       /* NUL-terminated, without the newline */
    size_t len;       /* of what has come so far */
    int64_t until_ms; /* when it must be here; INT64_MAX: it has the time that it takes */
};

struct supervisor {
    bool is_server, one_host;
    uint32_t index;          /* among the servers, or among the workers: there it is RH_RANK */
    uint32_t servers, world; /* of the job */
    char name[32];           /* "server 0" */
    char **flags;            /* (n_flags) for server children, as the user gave them */
    size_t n_flags;
    char *own_listen;            /* --listen, where the user gives none */
    char **program;              /* NULL-terminated */
    const struct roster *roster; /* NULL until all ranks know one another */
    sigset_t child_mask;

    pid_t child;                 /* 0: the last one has died, and the next ... */
    uint32_t lives;              /* (so many were before it) */
    bool listens;                /* it is a program, or has reported */
    int64_t started_ms, next_ms; /* ... starts then */
    struct budget budget;
    char died[160];         /* how the last one did, until it is said that there is another one */
    int64_t retry_until_ms; /* until when a server that cannot start again is tried again */

    int stderr_fd;          /* the child's stderr, or -1 if it writes to ours */
    struct report report;   /* of the child that runs */
    char *told;             /* what the first one has reported, cut into the next three: */
    const char **addresses; /* (n_addresses) */
    uint32_t n_addresses;
    uint64_t generation; /* the newest in its folder when the job began */
    const char *folder;  /* where it saves checkpoints; "": nowhere */
    char *listen; /* --listen for its successors, so that they are found at the same addresses */

    bool stopping;   /* the child was told to end, */
    int64_t kill_ms; /* and had until then, */
    bool killed;     /* and did not */
};

/* ---- notes ---- */

/* One line of ps/supervise.h, if anybody reads them. */
void supervise_note(char letter, const char *text);

/* The job has failed, with this line. Returns code. */
int supervise_fail(int code, const char *fmt, ...) PRINTF_LIKE(2, 3);

/* A line for people, while the job goes on. */
void supervise_say(const char *fmt, ...) PRINTF_LIKE(1, 2);

/* Where the servers are, and their checkpoints. */
void supervise_tell_servers(const struct supervisor *s, const struct roster *r);

/* ---- starting ---- */

/* The first server child: returns when it has reported. 0, or our exit code with err_text. */
int supervise_start_server(struct supervisor *s);

/* Another one where that was: its report is awaited in s->report. 0, or our exit code. */
int supervise_start_server_again(struct supervisor *s);

/* The program, first or again. 0, or our exit code with err_text. */
int supervise_start_program(struct supervisor *s);

/* What the user gives a flag of the server, or NULL. */
const char *supervise_given(const struct supervisor *s, const char *flag);

/* ---- what a server reports ---- */

/* Takes what there is to read. 1: it is whole; 0: more will come; -1: no more will come, or not in
 * time. RH_ENOMEM is -1 too. */
int supervise_report_read(struct report *r);

void supervise_report_close(struct report *r);

/* The first report becomes s->addresses, s->folder and s->listen. False: no memory. */
bool supervise_report_keep(struct supervisor *s);

/* Whether a later one names the same addresses. */
bool supervise_report_same(const struct supervisor *s);

/* What a server child that has ended has left on its stderr: passed on to ours, but for its last word,
 * which err_text tells. False: there is none. */
bool supervise_last_word(struct supervisor *s);

/* ---- watching ---- */

/* Until the child has ended for good: it and its successors. Our exit code. */
int supervise_watch(struct supervisor *s, int signal_fd);

/* mpirun has died: so do we. */
void supervise_orphaned(struct supervisor *s);

#endif
