/* ckpt_job.h - a job of two workers and some shards, driven frame by frame in one thread by a stream of
 * random numbers: the same stream does the same to any number of shards. Tables of every optimizer,
 * frozen, padded, limited, reset, renewed, dropped and empty ones, and a dense parameter. */
#ifndef TESTS_SUPPORT_CKPT_JOB_H
#define TESTS_SUPPORT_CKPT_JOB_H

#include "common/rng.h"
#include "ps/ckpt_io.h"
#include "ps/ckpt_manifest.h"
#include "tests/support/talker.h"

enum { JOB_SHARDS = 8, JOB_WORKERS = 2, JOB_TABLES = 15, JOB_ASYNC = 1, JOB_BSP = 3 };

struct ckpt_job {
    uint32_t mode, shards;
    struct memory_net nets[JOB_SHARDS];
    struct shard *shard[JOB_SHARDS];
    struct talker talk[JOB_WORKERS][JOB_SHARDS];
    uint64_t pushes[JOB_WORKERS][JOB_TABLES];
    uint32_t steps;
    struct rng g;
};

void ckpt_job_init(struct ckpt_job *j, uint32_t mode, uint32_t shards, uint64_t seed);
void ckpt_job_fini(struct ckpt_job *j);

/* The two halves of ckpt_job_init: shards that nobody has spoken to yet; and the workers come. */
void ckpt_job_shards(struct ckpt_job *j, uint32_t shards);
void ckpt_job_come(struct ckpt_job *j, uint32_t mode, uint64_t seed);

/* One clock: both workers push to all tables, and now and then write, freeze, thaw, reset, init,
 * drop. */
void ckpt_job_step(struct ckpt_job *j);

/* A number of all that matters: rows and their optimizer state, T, frozen rows, counts of pushes,
 * clocks. It does not depend on the number of shards. */
uint64_t ckpt_job_digest(const struct ckpt_job *j);

/* Saves all shards under a name, as a server would. The status of the first step that fails; then the
 * attempt is abandoned. */
rh_status ckpt_job_save(const struct ckpt_job *j, struct ckpt_io *io, const char *name,
                        uint64_t generation);

/* The checkpoint in another number of shards, no workers yet. On failure *j is empty. */
rh_status ckpt_job_restore(struct ckpt_job *j, struct ckpt_io *io, const char *name,
                           uint32_t shards);

/* Its workers say hello and go on where those of `from` are. */
void ckpt_job_resume(struct ckpt_job *j, const struct ckpt_job *from);

#endif
