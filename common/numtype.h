/* numtype.h - arrays of numbers as files hold them, turned into floats. Any thread. */
#ifndef COMMON_NUMTYPE_H
#define COMMON_NUMTYPE_H

#include <stdbool.h>
#include <stddef.h>

enum numtype { NUMTYPE_F16, NUMTYPE_BF16, NUMTYPE_F32, NUMTYPE_F64 };

size_t numtype_bytes(enum numtype type);

/* in: n numbers of this type, at any address, little-endian, or big-endian if big. A double becomes
 * the nearest float, infinity if it is too large. */
void numtype_to_float(enum numtype type, bool big, size_t n, const void *in, float *restrict out);

#endif
