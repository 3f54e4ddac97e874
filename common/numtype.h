/* numtype.h - arrays of numbers as files hold them, turned into floats. Any thread. */
#ifndef COMMON_NUMTYPE_H
#define COMMON_NUMTYPE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum numtype { NUMTYPE_F16, NUMTYPE_BF16, NUMTYPE_F32, NUMTYPE_F64 };

size_t numtype_bytes(enum numtype type);

/* in: n numbers of this type, at any address, little-endian, or big-endian if big. A double becomes
 * the nearest float, infinity if it is too large. False if a float is infinite or NaN; all are there
 * nevertheless. */
bool numtype_to_float(enum numtype type, bool big, size_t n, const void *in, float *restrict out);

/* The naive twin. A NaN need not be the same one. */
bool numtype_to_float_naive(enum numtype type, bool big, size_t n, const void *in, float *out);

/* Halves where the processor has no instruction for them. */
bool numtype_halves_portable(bool big, size_t n, const uint8_t *restrict in, float *restrict out);

#endif
