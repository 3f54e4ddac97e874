/* files.h - the third table of the benchmark: how fast files of vectors are read as floats, beside
 * the least that anybody does who reads them: read(2) for arrays, strtof for text. */
#ifndef TESTS_BENCH_FILES_H
#define TESTS_BENCH_FILES_H

#include <stddef.h>
#include <stdint.h>

#include "common/status.h"

struct bench_files {
    const char *dir;     /* a folder for the files, which are removed again */
    uint64_t file_bytes; /* of each file, about */
    size_t chunk_bytes;  /* of the buffer that rows are read into */
    unsigned rounds;     /* medians of so many */
    const char *only;    /* only files of this name, as the table calls it; or NULL */
};

/* Prints a line for each kind of file, and whether it has reached its goal. */
rh_status bench_files(const struct bench_files *o) MUST_CHECK;

#endif
