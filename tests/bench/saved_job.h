/* saved_job.h - servers that save, and somebody who has them do it while others measure. */
#ifndef TESTS_BENCH_SAVED_JOB_H
#define TESTS_BENCH_SAVED_JOB_H

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>

#include "tests/bench/child.h"
#include "worker/rowhouse.h"

enum { SAVED_SERVERS = 2 };

struct saved_job {
    struct child servers[SAVED_SERVERS];
    char list[SAVED_SERVERS * CHILD_ADDRESS_MAX];
    char folder[256]; /* of its checkpoints */
    rh_client *looks; /* an observer: who saves */
    pthread_t thread;
    atomic_bool saving; /* a save is going on */
    rh_status status;   /* of the last one, in text if it has failed */
    char text[512];
    double seconds; /* that it took */
};

/* Over tcp, a process each, with a folder of checkpoints in dir. world: of its workers. */
rh_status saved_job_start(const char *bin, const char *dir, uint32_t world,
                          struct saved_job *j) MUST_CHECK;
void saved_job_stop(struct saved_job *j); /* the checkpoints are gone */

/* Begins a save in a thread of its own: j->saving until it is over. Then saved_job_end says how it went. */
rh_status saved_job_save(struct saved_job *j) MUST_CHECK;
rh_status saved_job_end(struct saved_job *j) MUST_CHECK;

#endif
