/* renorm.h - what max_norm does to one row, as torch's embedding_renorm_: a row whose norm is above
 * it is scaled to it. The rule by which a row reads, and from which an update starts. */
#ifndef PS_RENORM_H
#define PS_RENORM_H

#include <stdbool.h>

#include "proto/spec.h"

/* row: (dim), aligned. The spec has a max_norm. True if the row was above it. */
bool renorm_row(const struct spec *s, float *row);

#endif
