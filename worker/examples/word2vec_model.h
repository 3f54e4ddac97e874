/* word2vec_model.h - what is the same for every batch of every thread: the vocabulary, what follows
 * from its counts, and the settings of skip-gram. Read-only once it is built. */
#ifndef EXAMPLES_WORD2VEC_MODEL_H
#define EXAMPLES_WORD2VEC_MODEL_H

#include <stdint.h>

#include "worker/examples/word2vec_sampler.h"
#include "worker/examples/word2vec_text.h"
#include "worker/examples/word2vec_vocab.h"

struct model {
    /* set by the caller */
    uint32_t dim, window;
    uint32_t negatives; /* for each pair, below SGNS_TARGETS_MAX */
    uint64_t min_count;
    double subsample; /* -t */

    /* built from the text */
    struct vocab vocab;
    struct sampler sampler; /* count^0.75 */
    float *keep;            /* (vocab.n) the probability that an occurrence is used */
    uint64_t too_long;      /* words that are none, see TEXT_WORD_MAX */
};

/* Reads the whole text. RH_ENOMEM, RH_ELIMIT; RH_EINVAL, RH_EIO as text_next says; RH_EINVAL when
 * no word comes often enough. */
rh_status model_build(struct model *m, const struct text *t) MUST_CHECK;
void model_fini(struct model *m);

#endif
