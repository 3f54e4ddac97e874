/* init.h - the value of a row that nobody has touched: a pure function of (seed, the table's name,
 * id), the same on any shard and any machine. A new initializer is one function and one line in the
 * table of init.c. */
#ifndef PS_INIT_H
#define PS_INIT_H

#include <stdint.h>
#include <string.h>

#include "proto/spec.h"

struct init {
    void (*fill)(const struct init *in, uint64_t id, float *row);
    uint32_t dim;
    uint64_t padding; /* the id whose row begins as zeros, or SPEC_NO_PADDING */
    uint32_t key[2];  /* of the generator: from seed and name */
    double arg[6];    /* of fill */
};

/* spec is checked. Column i of row id uses the generator's block (id, i / 4 or i / 2, ...): see
 * init.c. */
void init_setup(struct init *in, const struct spec *s, const char *name);

/* row: (dim) */
static inline void init_row(const struct init *in, uint64_t id, float *row) {
    if (id == in->padding)
        memset(row, 0, in->dim * sizeof *row);
    else
        in->fill(in, id, row);
}

#endif
