/* journal_job.h - the job of ckpt_job.h with a journal at each of its shards: what a server process is to a
 * shard, but for threads. Its life may end between any two frames, and another one begin. */
#ifndef TESTS_SUPPORT_JOURNAL_JOB_H
#define TESTS_SUPPORT_JOURNAL_JOB_H

#include "ps/journal.h"
#include "tests/support/ckpt_job.h"

/* Journals for the shards of j, which are new; or which stand where a checkpoint has left them. */
void journal_job_begin(struct ckpt_job *j, struct journal *of[JOB_SHARDS],
                       const struct journal_options *o);

/* Another life: shards with nothing but what their journals say; j, which is empty, has no workers' ends
 * yet. The status of the first that fails; then j is empty. */
rh_status journal_job_revive(struct ckpt_job *j, uint32_t shards, struct journal *of[JOB_SHARDS],
                             const struct journal_options *o, struct journal_report *report);

/* The talkers of a job go on with the shards of its next life, knowing nothing of that. */
void journal_job_move(struct ckpt_job *to, const struct ckpt_job *from);

/* As when the process is killed: nothing more is written. */
void journal_job_kill(struct ckpt_job *j, struct journal *of[JOB_SHARDS]);

/* All that shard i knows beside its rows, as it would write it down; to be compared. */
uint64_t journal_job_state(const struct ckpt_job *j, uint32_t i);

#endif
