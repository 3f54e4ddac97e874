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
    uint32_t epochs;
    uint32_t parts;   /* lanes of all workers; the text has so many parts */
    uint64_t batches; /* in each part */
    struct progress *progress;
    atomic_bool stop; /* a lane has failed: the others need not go on */
};

struct lane {
    struct training *training;
    uint32_t part;
    bool ticks; /* one lane of a worker ends its clocks */
    struct text_reader reader;
    struct rng rng;
    struct batch batches[2];
    rh_batch *calls; /* to fill, begin, and fill again */
    rh_op *pull, *push;
    double loss; /* of a pair, about lately */
};

/* RH_ENOMEM. A lane that failed to begin needs no lane_fini. */
rh_status lane_init(struct lane *l, struct training *t, uint32_t part, bool ticks) MUST_CHECK;

/* Trains the part, all epochs of it. On failure the text says why. */
rh_status lane_run(struct lane *l) MUST_CHECK;

/* After rh_close: in a lane that failed, rows may still be on their way to its batches. */
void lane_fini(struct lane *l);

#endif
