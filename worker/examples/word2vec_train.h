/* word2vec_train.h - the training loop over rowhouse.h: which rows come when, and how the network
 * and the arithmetic take turns. Each thread of each worker is a lane with a part of the text of
 * its own; the lanes of a worker share its client. */
#ifndef EXAMPLES_WORD2VEC_TRAIN_H
#define EXAMPLES_WORD2VEC_TRAIN_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "worker/rowhouse.h"

#include "worker/examples/word2vec_batch.h"
#include "worker/examples/word2vec_checkpoint.h"
#include "worker/examples/word2vec_model.h"
#include "worker/examples/word2vec_progress.h"
#include "worker/examples/word2vec_text.h"

/* What all lanes of this worker share. */
struct training {
    const struct model *model;
    const struct text *text;
    rh_client *client;
    rh_table *in, *out; /* both learn by rh_sgd(1): see batch_train */
    double lr;          /* falls to nothing, linearly */
    uint64_t seed;
    rh_mode mode;
    uint32_t epochs;
    uint32_t parts;   /* lanes of all workers; the text has so many parts */
    uint64_t batches; /* in each part */
    struct progress *progress;
    struct checkpoints *checkpoints; /* NULL: several lanes here, which have no position together */
    double seconds_before;           /* of training, before a restart */
    int64_t began_us;                /* when this worker began to read the text */
    atomic_bool stop;                /* a lane has failed: the others need not go on */
};

/* What its steps follow from. */
struct recipe recipe_of(const struct training *t);

struct lane {
    struct training *training;
    uint32_t part;
    bool ticks; /* one lane of a worker ends its clocks */
    struct text_reader reader;
    struct rng rng;
    struct batch batches[2];
    rh_batch *calls; /* to fill, begin, and fill again */
    rh_op *pull, *push;
    uint64_t step;  /* the next one to train */
    uint64_t words; /* of the text, in all steps before */
    double loss;    /* of a pair, about lately */
};

/* RH_ENOMEM. A lane that failed to begin needs no lane_fini. */
rh_status lane_init(struct lane *l, struct training *t, uint32_t part, bool ticks) MUST_CHECK;

/* When the servers went back to a checkpoint, and this client is with them again: lets go of what was in
 * flight, all of which has ended, so that the lane may begin anew. */
rh_status lane_rewind(struct lane *l) MUST_CHECK;

/* Begins where a worker stood; all 0 is the beginning. */
void lane_go_on(struct lane *l, const struct cursor *from);

/* Trains the part, all epochs of it. On failure the text says why. */
rh_status lane_run(struct lane *l) MUST_CHECK;

/* After rh_close: in a lane that failed, rows may still be on their way to its batches. */
void lane_fini(struct lane *l);

#endif
