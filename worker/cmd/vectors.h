/* vectors.h - a file of word vectors in memory, for the commands that look at what was learned. */
#ifndef WORKER_CMD_VECTORS_H
#define WORKER_CMD_VECTORS_H

#include <stdint.h>

#include "common/idset.h"
#include "common/status.h"

#define VECTORS_NONE UINT32_MAX

struct vectors {
    uint32_t n, dim;
    float *rows;  /* (n, dim), each of length 1, so that a dot product is a cosine; zeros stay */
    char **words; /* (n) */
    struct idset index; /* by hash64 of the word */
};

/* Reads any file with words that vecfile.h reads. Of a word that comes twice the first counts.
 * RH_EINVAL for a file without words (.npy), and what vec_open and vec_next say. */
rh_status vectors_load(struct vectors *v, const char *path) MUST_CHECK;
void vectors_fini(struct vectors *v);

/* The row of a word as it stands, else of the word in lower case, else VECTORS_NONE. */
uint32_t vectors_find(const struct vectors *v, const char *word);

float vectors_cosine(const struct vectors *v, uint32_t a, uint32_t b);

#endif
