/* file_make.h - files of vectors to be read, of every kind that a table of the benchmark names. */
#ifndef TESTS_BENCH_FILE_MAKE_H
#define TESTS_BENCH_FILE_MAKE_H

#include <stdbool.h>
#include <stdint.h>

#include "common/numtype.h"
#include "common/vecfile.h"

struct file_kind {
    const char *name; /* "npy <f4" */
    enum vec_format format;
    enum numtype type; /* of arrays */
    bool big, fortran;
    const char *number; /* of text: how printf writes one */
};

/* About so many bytes, in rows of dim; its numbers are finite, and the same ones every time. */
rh_status file_make(const char *path, const struct file_kind *kind, uint64_t bytes,
                    uint32_t dim) MUST_CHECK;

#endif
