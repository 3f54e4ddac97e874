/* word2vec_batch.h - one mini-batch: a stretch of the text, copies of the rows that it needs, and
 * the training on these copies. Knows no servers: somebody else fills the rows and takes what they
 * have learned.
 *
 * Every pair of words sees what the pair before it has learned, as in word2vec.c, because a batch
 * trains on its own copies; the servers get the sum. Negatives come from a pool that is drawn for
 * the batch, so that a batch needs few rows beside those of its own words. */
#ifndef EXAMPLES_WORD2VEC_BATCH_H
#define EXAMPLES_WORD2VEC_BATCH_H

#include <stddef.h>
#include <stdint.h>

#include "worker/examples/word2vec_model.h"
#include "worker/examples/word2vec_text.h"

#include "common/idset.h"
#include "common/rng.h"

struct batch {
    /* set by batch_read */
    uint64_t *ids;       /* (n_out) the word of each row: first those of the text ... */
    size_t n_in, n_out;  /* ... n_in of them, then those that are negatives only */
    uint64_t words_read; /* before subsampling */
    uint32_t *words;     /* (n_words) the text, without what subsampling skips, as row numbers */
    size_t *line_ends;   /* (n_lines) where in words */
    size_t n_words, n_lines;
    uint32_t *pool; /* (n_pool) the negatives, as row numbers */
    size_t n_pool;
    struct idset rows; /* words by row number */

    /* filled by the caller, trained by batch_train */
    float *in, *out;             /* (n_in, dim) and (n_out, dim) */
    float *in_grads, *out_grads; /* the same shapes: what training has subtracted */
    double loss;                 /* over all pairs */
    uint64_t pairs;

    size_t text_cap, in_cap, out_cap;
    size_t turn; /* the next negative in the pool */
};

void batch_init(struct batch *b);
void batch_fini(struct batch *b);

/* Reads bytes [begin, end) of the reader's text and draws the negatives. Afterwards ids says which
 * rows are needed, and in and out have room for them. RH_ENOMEM, or what the reader says. */
rh_status batch_read(struct batch *b, const struct model *m, struct text_reader *r, uint64_t begin,
                     uint64_t end, struct rng *g) MUST_CHECK;

/* Trains in and out in place. The gradients are what a table with rh_sgd(1) has to be pushed to
 * arrive at the same rows. */
void batch_train(struct batch *b, const struct model *m, float lr, struct rng *g);

/* b's rows were pulled before `done` was pushed: adds what done has learned. */
void batch_catch_up(struct batch *b, const struct model *m, const struct batch *done);

#endif
