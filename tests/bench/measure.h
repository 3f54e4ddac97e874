/* measure.h - the measuring core: every contender does the same job, in turn, several times. */
#ifndef TESTS_BENCH_MEASURE_H
#define TESTS_BENCH_MEASURE_H

#include "tests/bench/bench.h"

enum { MEASURE_ROUNDS_MAX = 99 };

/* Rows, or bytes, per second over the rounds. median 0: took no part. */
struct rate {
    double low, median, high;
};

/* A contender that is open on a stage; self NULL: it takes no part. */
struct runner {
    const struct contender *contender;
    void *self;
};

/* One warm-up each, then rounds of one run each: what disturbs the machine for a second or two
 * disturbs all of them. rates: (n). The first failure ends it. */
rh_status measure(const struct runner *runners, size_t n, const struct job *j, unsigned rounds,
                  struct rate *rates) MUST_CHECK;

/* Of the rates that n rounds have seen, which it sorts. n at least 1. */
struct rate measure_rate(double *seen, unsigned n);

/* What this thread has worked, in seconds: what the machine does besides is not in it. */
double measure_thread_s(void);

#endif
