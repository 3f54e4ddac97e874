/* word2vec_cursor.h - where a worker stands in its part of the text, as the bytes that
 * rh_set_cursor keeps in checkpoints, and what has to be the same for the rest of the text to be
 * trained as it would have been. Knows no servers.
 *
 * No state of a random number generator is in it: what a step draws follows from the seed, the part
 * and the step alone (word2vec_train.c).
 *
 * Numbers are little-endian:
 *
 *     0   8 bytes "RHW2VEC\n"
 *     8   u32 version, 1; u32 0
 *     16  u64 step; u64 clock; u64 words; f64 loss; f64 seconds
 *     56  the recipe, as its fields stand below: u64, but subsample and lr are f64
 */
#ifndef EXAMPLES_WORD2VEC_CURSOR_H
#define EXAMPLES_WORD2VEC_CURSOR_H

#include <stddef.h>
#include <stdint.h>

#include "worker/rowhouse.h"

#include "common/buf.h"
#include "common/status.h"

enum { CURSOR_BYTES = 56 + 15 * 8 };

/* What the steps of a job follow from. */
struct recipe {
    uint64_t text_bytes, text_start; /* the second: its start_hash */
    uint64_t workers, mode;          /* mode: an rh_mode */
    uint64_t dim, window, negatives, epochs, min_count;
    double subsample, lr;
    uint64_t seed, batches; /* batches: in each part */
    uint64_t words, vocab;  /* different ones; the second: vocab_hash */
};

struct cursor {
    uint64_t step;  /* the first that is not in the tables; all before it are, and nothing else */
    uint64_t clock; /* the worker's (rh_clock): servers that are at another have gone on since */
    uint64_t words; /* of the text, in all steps before */
    double loss;    /* of a pair, about lately */
    double seconds; /* that training has taken so far */
    struct recipe recipe;
};

void cursor_put(struct buf *b, const struct cursor *p);

/* RH_EINVAL: somebody else's bytes, or of another version, or damaged. */
rh_status cursor_get(const void *bytes, size_t len, struct cursor *out) MUST_CHECK;

/* RH_EMISMATCH names the first thing that is not as it was. */
rh_status recipe_check(const struct recipe *was, const struct recipe *is) MUST_CHECK;

#endif
