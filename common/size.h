/* size.h - the one door through which sizes are multiplied and added: overflow is an answer, not a
 * wrap. */
#ifndef COMMON_SIZE_H
#define COMMON_SIZE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Counts of files and frames have 64 bits, and go through here as they are. */
_Static_assert(sizeof(size_t) == sizeof(uint64_t), "a 64-bit machine");

static inline bool __attribute__((warn_unused_result)) size_mul(size_t a, size_t b, size_t *out) {
    return !__builtin_mul_overflow(a, b, out);
}

static inline bool __attribute__((warn_unused_result)) size_add(size_t a, size_t b, size_t *out) {
    return !__builtin_add_overflow(a, b, out);
}

/* a * b * c */
static inline bool __attribute__((warn_unused_result))
size_mul3(size_t a, size_t b, size_t c, size_t *out) {
    size_t ab;
    return size_mul(a, b, &ab) && size_mul(ab, c, out);
}

#endif
