/* job_save.h - the last checkpoint of a job that was told to stop: made by `rowhouse ckpt save` in a
 * process of its own, so that whoever watches the job goes on watching. */
#ifndef WORKER_CMD_JOB_SAVE_H
#define WORKER_CMD_JOB_SAVE_H

#include <limits.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <sys/types.h>

#include "common/err.h"

/* One name for all such checkpoints. They replace one another, so stops do not fill a disk, and a
 * script that is stopped and started over and over can always be started with --restore stopped. */
#define JOB_SAVE_NAME "stopped"

struct job_save {
    char folder[PATH_MAX]; /* of the servers' checkpoints; "": they have none */
    pid_t child;           /* 0: none, or none any more */
    int said_fd;
    bool tried, saved;
    char text[2 * ERR_TEXT_MAX]; /* "generation 7, clock 1200"; or why it was not saved */
};

/* Begins to save, of the job that RH_SERVERS and RH_JOB of our environment name. mask: the child's
 * signals. True: it is under way, and SIGCHLD comes when it is over. False: there is no folder, or the
 * child could not be started. */
bool job_save_begin(struct job_save *v, const sigset_t *mask);

/* True once: it is over, well or not. */
bool job_save_ended(struct job_save *v);

/* Ends the child, if there is one; the job was not saved, because of that. */
void job_save_give_up(struct job_save *v, const char *because);

/* What became of it, if it was tried. resume: the line that goes on from there. To be freed; NULL: no
 * memory. */
char *job_save_outcome(const struct job_save *v, const char *resume);

#endif
