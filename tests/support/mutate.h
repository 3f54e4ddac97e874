/* mutate.h - copies of bytes with random damage. A copy begins at an odd address and ends where its
 * memory ends, so that a sanitizer sees every byte that is read beyond it. */
#ifndef TESTS_SUPPORT_MUTATE_H
#define TESTS_SUPPORT_MUTATE_H

#include <stddef.h>
#include <stdint.h>

#include "common/rng.h"

uint8_t *mutate_copy(const uint8_t *p, size_t len);
void mutate_free(uint8_t *copy);

/* A copy in which 1 to 8 bytes are changed, or 1 to 8 are put in somewhere, or the end is cut off,
 * or four bytes hold a number that somebody might multiply. By chance it may be the same again. */
uint8_t *mutate_any(struct rng *g, const uint8_t *p, size_t len, size_t *out_len);

#endif
