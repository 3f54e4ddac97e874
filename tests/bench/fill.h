/* fill.h - tables with something in every row, so that nothing comes into being while somebody
 * measures. */
#ifndef TESTS_BENCH_FILL_H
#define TESTS_BENCH_FILL_H

#include "tests/bench/bench.h"
#include "worker/rowhouse.h"

/* What fill_table writes to these rows. out: (BENCH_BATCH, dim). */
void fill_rows(const struct stage *s, const uint64_t *ids, float *out);

/* Writes every row. pushes: also pushes to each, or the optimizer's state would be made later.
 * Uses s->out[0]. */
rh_status fill_table(const struct stage *s, rh_table *t, bool pushes) MUST_CHECK;

#endif
