/* report.h - what the benchmark prints: the machine, the table, the goals. */
#ifndef TESTS_BENCH_REPORT_H
#define TESTS_BENCH_REPORT_H

#include "tests/bench/measure.h"

/* The contenders, and the columns, in this order. */
enum { ROWHOUSE, PLAIN, BARE, CONTENDERS };

/* One line of the table. */
struct result {
    const char *transport, *ids, *work;
    uint32_t dim;
    struct rate rates[CONTENDERS];
};

void report_machine(const char *command);
void report_heading(void);
void report_result(const struct result *r);

/* " median [lowest..highest]" in millions, in a column; "-" if it took no part. */
void report_rate(const struct rate *r);

/* Those goals that these results can tell of. They are no gate. */
void report_goals(const struct result *results, size_t n);

#endif
