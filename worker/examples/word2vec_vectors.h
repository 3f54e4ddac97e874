/* word2vec_vectors.h - the file of vectors that is left of it all: word2vec text, the most frequent
 * word first. */
#ifndef EXAMPLES_WORD2VEC_VECTORS_H
#define EXAMPLES_WORD2VEC_VECTORS_H

#include "worker/rowhouse.h"

#include "worker/examples/word2vec_vocab.h"

#include "common/status.h"

/* Whether it can be written: better now than after hours of training. */
rh_status vectors_check(const char *path) MUST_CHECK;

/* Row i of the table is word i's. */
rh_status vectors_write(rh_table *t, const struct vocab *v, const char *path) MUST_CHECK;

#endif
