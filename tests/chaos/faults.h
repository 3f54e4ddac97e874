/*
 * faults.h - the kinds of fault that strike a world, one after the other, and the tally of what came of
 * them. A trial is one fault: every worker makes steps, it strikes, every worker makes steps again, and
 * the tables equal the model. It counts if the fault has struck; one that does not strike in time fails
 * the test.
 */
#ifndef TESTS_CHAOS_FAULTS_H
#define TESTS_CHAOS_FAULTS_H

#include "common/rng.h"
#include "tests/chaos/world.h"

enum {
    FAULTS_STEPS = 100
}; /* that every worker makes before and after, of 4 pushes each to each server */

struct fault {
    const char *kind;
    void (*strike)(struct world *w, struct rng *g);
    uint32_t share; /* of all, how often it is drawn */
    bool goes_back; /* the job must, and some worker notice */
};

struct tally {
    uint32_t fired;
    uint64_t lost, doubled;
    int64_t slowest_ms; /* from the end of the fault until every worker has made a step */
};

/* Those that no server and no worker dies of. */
extern const struct fault faults_mild[];
extern const uint32_t faults_mild_n;
/* Those that they die of. */
extern const struct fault faults_hard[];
extern const uint32_t faults_hard_n;

/* One of them, by their shares; NULL if RH_TEST_KIND wants none of them. */
const struct fault *faults_draw(const struct fault *all, uint32_t n, struct rng *g);

/* One trial. Prints a line; fails the test if the tables are not exact. When, by job_now_ms, every worker
 * had made a step again. */
int64_t faults_try(struct world *w, const struct fault *f, struct rng *g, struct tally *t);

/* A line for each kind that has fired. */
void faults_print(const struct fault *all, uint32_t n, const struct tally *tallies);

#endif
