/* word2vec_sampler.h - which words stand in as negatives: drawn in proportion to a power of their
 * counts, in constant time, by Walker's alias method. Each of n columns is as likely as the other;
 * column i holds word i up to its cut, and above it a more frequent word. */
#ifndef EXAMPLES_WORD2VEC_SAMPLER_H
#define EXAMPLES_WORD2VEC_SAMPLER_H

#include <stdint.h>

#include "worker/examples/word2vec_vocab.h"

#include "common/rng.h"

struct sampler {
    uint32_t n;
    float *cut;      /* (n) in [0, 1] */
    uint32_t *alias; /* (n) the word above the cut */
};

/* RH_ENOMEM. */
rh_status sampler_init(struct sampler *s, const struct vocab *v, double power) MUST_CHECK;
void sampler_fini(struct sampler *s);

uint32_t sampler_draw(const struct sampler *s, struct rng *g);

#endif
