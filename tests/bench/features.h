/* features.h - the second table of the benchmark: what each feature of a table costs who uses it,
 * beside the same work without it. */
#ifndef TESTS_BENCH_FEATURES_H
#define TESTS_BENCH_FEATURES_H

#include "tests/bench/bench.h"

struct bench_features {
    uint64_t rows;    /* of each table; at least BENCH_BATCH */
    unsigned rounds;  /* medians of so many */
    const char *only; /* only the feature of this name; or NULL */
    const char *ids;  /* only these draws; or NULL */
};

/* Prints a line for each feature and draw. s: transport "local:", dim and arrays; not rows. */
rh_status bench_features(const struct bench_features *o, const struct stage *s) MUST_CHECK;

#endif
