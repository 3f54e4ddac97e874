/* measure.c - see measure.h. */
#include "tests/bench/measure.h"

#include <assert.h>
#include <stdlib.h>
#include <time.h>

#include "common/clock.h"
#include "common/err.h"

enum { WARM_UP_BATCHES = 16, RUNNERS_MAX = 8 };

static int compare(const void *a, const void *b) {
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

struct rate measure_rate(double *seen, unsigned n) {
    qsort(seen, n, sizeof *seen, compare);
    return (struct rate){seen[0], seen[n / 2], seen[n - 1]};
}

double measure_thread_s(void) {
    struct timespec t = {0};
    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t);
    return (double)t.tv_sec + (double)t.tv_nsec * 1e-9;
}

static double now_s(const struct job *j) {
    return j->of_thread ? measure_thread_s() : (double)clock_now_us() * 1e-6;
}

static rh_status run_once(const struct runner *r, const struct job *j, double *rows_per_s) {
    double begin_s = now_s(j);
    rh_status s = r->contender->run(r->self, j);
    if (s != RH_OK)
        return err_in(s, "%s", r->contender->name);
    double took_s = now_s(j) - begin_s;
    *rows_per_s = (double)j->batches * BENCH_BATCH / (took_s > 0 ? took_s : 1e-6);
    return RH_OK;
}

rh_status measure(const struct runner *runners, size_t n, const struct job *j, unsigned rounds,
                  struct rate *rates) {
    assert(n <= RUNNERS_MAX && rounds > 0 && rounds <= MEASURE_ROUNDS_MAX);
    double seen[RUNNERS_MAX][MEASURE_ROUNDS_MAX], ignored;
    struct job warm_up = *j;
    if (warm_up.batches > WARM_UP_BATCHES)
        warm_up.batches = WARM_UP_BATCHES;
    rh_status s = RH_OK;
    for (size_t i = 0; s == RH_OK && i < n; i++)
        if (runners[i].self != NULL)
            s = run_once(&runners[i], &warm_up, &ignored);
    for (unsigned round = 0; s == RH_OK && round < rounds; round++)
        for (size_t i = 0; s == RH_OK && i < n; i++)
            if (runners[i].self != NULL)
                s = run_once(&runners[i], j, &seen[i][round]);
    for (size_t i = 0; s == RH_OK && i < n; i++) {
        rates[i] = (struct rate){0};
        if (runners[i].self == NULL)
            continue;
        rates[i] = measure_rate(seen[i], rounds);
    }
    return s;
}
