/* ids.h - which rows the batches name. */
#ifndef TESTS_BENCH_IDS_H
#define TESTS_BENCH_IDS_H

#include <stddef.h>
#include <stdint.h>

#define IDS_ZIPF_EXPONENT 1.05

struct ids_kind {
    const char *name;
    void (*draw)(uint64_t rows, size_t n, uint64_t *ids); /* the same ones every time */
};

enum { IDS_KINDS = 2 };
extern const struct ids_kind ids_kinds[IDS_KINDS]; /* uniform, zipf */

#endif
