/* fuzz_vec.h - what the fuzz targets of the readers share: bytes as a file that lies in memory, and
 * a walk through it. */
#ifndef TESTS_SUPPORT_FUZZ_VEC_H
#define TESTS_SUPPORT_FUZZ_VEC_H

#include <stddef.h>
#include <stdint.h>

#include "common/vecfile.h"

/* The name of a file of these bytes, until the next call. Aborts where there is no memory. */
const char *fuzz_file(const uint8_t *data, size_t size);

/* Opens the bytes as this format and reads all rows, in every way that there is: one by one, passed
 * over, many at once. Aborts if the ways differ, a word is none, or a number is not finite. */
void fuzz_vec(enum vec_format format, const uint8_t *data, size_t size);

#endif
