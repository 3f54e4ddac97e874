/* word2vec_checkpoint.h - this worker's share in the job's checkpoints: says where it stands before
 * each of its ticks, saves every so many, and finds its place again after a restart.
 *
 * Its cursor is set whether it saves or not, because a checkpoint may be asked for from outside
 * (rowhouse ckpt save), too. A save that fails is said on stderr, and training goes on. */
#ifndef EXAMPLES_WORD2VEC_CHECKPOINT_H
#define EXAMPLES_WORD2VEC_CHECKPOINT_H

#include <stdbool.h>
#include <stdint.h>

#include "worker/rowhouse.h"

#include "worker/examples/word2vec_cursor.h"
#include "worker/examples/word2vec_progress.h"

#include "common/status.h"

struct checkpoints {
    /* set by the caller */
    rh_client *client;
    const char *name;
    uint64_t every;       /* steps; 0: never */
    bool inside;          /* the shards are in this process, and have been restored from nothing */
    uint64_t passed_over; /* the generation that the servers began with, and we did not; 0: none */
    struct recipe recipe;
    struct progress *progress;

    uint64_t wanted, failed; /* saves */
};

/* Where this worker will stand after its next rh_tick; clock and recipe are filled in here. */
rh_status checkpoints_tell(const struct checkpoints *k, const struct cursor *at) MUST_CHECK;

/* Saves, if it is this worker's turn when so many steps are done: under bsp every worker's, under
 * async that of rank 0, and the library asks the others. Right after rh_tick. */
void checkpoints_save(struct checkpoints *k, uint64_t steps_done);

/* The rows that this worker has pulled before for its next step, number step, are to be pulled anew:
 * whoever goes on from a checkpoint that was saved here pulls them now, and under bsp both have to
 * come to the same bits. */
bool checkpoints_pull_anew(const struct checkpoints *k, uint64_t step);

/* Where this worker stood in the checkpoint that the servers were restored from, and the name of
 * that; shards inside are restored here. RH_ENOTFOUND: there is none; RH_EMISMATCH: it is of another job, or the servers have gone on
 * since. The text says what to do. */
rh_status checkpoints_find(const struct checkpoints *k, struct cursor *out,
                           rh_checkpoint_info *info) MUST_CHECK;

/* This worker begins at the beginning, on whatever the servers have. */
rh_status checkpoints_begin(struct checkpoints *k) MUST_CHECK;

/* Where this worker is to go on when the servers have gone back, and so when it succeeds one that died: where
 * it stood in the last checkpoint, or at the beginning, with *out and *info all 0, where there is none, or
 * none of this run. After
 * RH_EROLLBACK this is what brings the client back; and that may be its answer once more. */
rh_status checkpoints_return(const struct checkpoints *k, struct cursor *out,
                             rh_checkpoint_info *info) MUST_CHECK;

#endif
