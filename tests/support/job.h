/*
 * job.h - what tests of the client have in common: a job over any transport, a client of it, and
 * assertions that print rh_errmsg().
 */
#ifndef TESTS_JOB_H
#define TESTS_JOB_H

#include "worker/rowhouse.h"

#include <check.h>

#include "tests/support/servers.h"

#define ck_assert_ok(call)                                                                        \
    do {                                                                                          \
        rh_status status_ = (call);                                                               \
        ck_assert_msg(status_ == RH_OK, "%s: %s: %s", #call, rh_strstatus(status_), rh_errmsg()); \
    } while (0)

/* The call fails with that status, and the text has that word in it. */
#define ck_assert_refused(call, want, word)                                                  \
    do {                                                                                     \
        rh_status status_ = (call);                                                          \
        ck_assert_msg(status_ == (want), "%s: %s, not %s: %s", #call, rh_strstatus(status_), \
                      rh_strstatus(want), rh_errmsg());                                      \
        ck_assert_msg(strstr(rh_errmsg(), (word)) != NULL, "\"%s\" does not say \"%s\"",     \
                      rh_errmsg(), (word));                                                  \
    } while (0)

/* Every transport, for loop tests. */
enum { JOB_LOCAL, JOB_IPC, JOB_TCP, JOB_TRANSPORTS };

struct job {
    int transport;
    struct servers servers; /* none for JOB_LOCAL */
    rh_config cfg;          /* of worker 0; deadlines of 20 s */
};

void job_start(struct job *j, int transport, uint32_t shards);
void job_stop(struct job *j);

/* A client of the job. Fails the test if it cannot connect. */
rh_client *job_connect(struct job *j, uint32_t rank);

/* A table of zeros under SGD with lr 1: what is pushed is what is subtracted. */
rh_table *job_table(rh_client *c, const char *name, uint64_t rows, uint32_t dim);

/* Milliseconds of a clock that does not jump. */
int64_t job_now_ms(void);

/* main() of a suite: 0 if all of it passed. */
int job_main(Suite *s);

#endif
