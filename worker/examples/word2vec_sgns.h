/* word2vec_sgns.h - skip-gram with negative sampling (Mikolov et al., NIPS 2013): the arithmetic of
 * one pair. A word's input row u should score high with the output row of a word seen near it, and
 * low with those of words drawn at random:
 *
 *     loss = -log s(u . true) - sum over negatives of log s(-u . negative)        s(x) = 1 / (1 +
 * e^-x)
 */
#ifndef EXAMPLES_WORD2VEC_SGNS_H
#define EXAMPLES_WORD2VEC_SGNS_H

#include <stddef.h>
#include <stdint.h>

enum { SGNS_DIM_MAX = 4096, SGNS_TARGETS_MAX = 64 };

/*
 * One step of gradient descent. u: (dim). out: (rows, dim). targets: (n) row numbers in out, 1 to
 * SGNS_TARGETS_MAX of them; the first is the true one. Returns the loss before the step. As in
 * word2vec.c, each output row learns at once, and u when all of them have been seen.
 */
float sgns_step(size_t dim, float lr, const uint32_t *targets, size_t n, float *restrict u,
                float *restrict out);

#endif
