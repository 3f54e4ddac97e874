/*
 * lost_job.h - a job over tcp or ipc whose servers are killed and replaced, and whose table says whether one
 * push was lost or counted twice: every step pushes whole numbers that follow from rank and step alone, into
 * rows that all workers share.
 */
#ifndef TESTS_LOST_JOB_H
#define TESTS_LOST_JOB_H

#include <stdint.h>

#include "tests/support/job.h"

enum { LOST_SHARDS = 2, LOST_ROWS = 500, LOST_DIM = 3, LOST_BATCH = 40 };

/* Two shards, with the folder "ck" for checkpoints; so many workers; deadlines of a minute. As a checked
 * fixture lost_job_setup and _teardown go around it, in a scratch folder. */
extern struct job lost_job;
void lost_job_setup(void);
void lost_job_teardown(void);
void lost_job_start(int transport, rh_mode mode, uint32_t world);

/* Bit i: shard i. All are dead before another one begins. The folder was empty when the job began. */
void lost_job_kill(uint32_t victims);
void lost_job_replace(uint32_t victims);

/* The table: zeros, under SGD with lr 1. */
rh_status lost_job_table(rh_client *c, rh_table **out);

/* Step `number` of this worker: reads, pushes in two calls, says as its cursor that the next one comes, and
 * ends the clock. */
rh_status lost_job_step(rh_client *c, rh_table *t, uint64_t number);

/* All rows are what they must be after the first so many steps of so many workers. */
void lost_job_check(rh_table *t, uint32_t workers, uint64_t steps);

/* Ids and gradients of a step. */
void lost_job_draw(uint32_t rank, uint64_t step, uint64_t ids[LOST_BATCH],
                   float grads[LOST_BATCH * LOST_DIM]);

#endif
