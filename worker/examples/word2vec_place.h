/* word2vec_place.h - where a worker begins, and where it goes on when a server or its predecessor has
 * died: every one of them at the same moment, that of the last checkpoint. */
#ifndef EXAMPLES_WORD2VEC_PLACE_H
#define EXAMPLES_WORD2VEC_PLACE_H

#include "worker/examples/word2vec_train.h"

/* Where to begin. succeeds: how many workers of this rank have died. */
rh_status place_find(const struct training *t, struct checkpoints *k, bool resumes,
                     uint32_t succeeds, struct cursor *out) MUST_CHECK;

/* Where to go on behind RH_EROLLBACK: brings the client back. That may be its answer once more. */
rh_status place_return(const struct training *t, const struct checkpoints *k,
                       struct cursor *out) MUST_CHECK;

/* This worker, of one lane, begins there. */
rh_status place_take(struct training *t, const struct cursor *from) MUST_CHECK;

/* Waits for all workers, who may take longer than this one has. */
rh_status place_meet(const struct training *t, double seconds) MUST_CHECK;

#endif
