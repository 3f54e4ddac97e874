/* seed.c - see seed.h. */
#include "tests/support/seed.h"

#include <stdio.h>
#include <stdlib.h>
#include <time.h>

uint64_t test_seed(const char *name) {
    const char *given = getenv("RH_TEST_SEED");
    struct timespec t;
    clock_gettime(CLOCK_REALTIME, &t);
    uint64_t seed = given != NULL ? strtoull(given, NULL, 10)
                                  : (uint64_t)t.tv_sec * 1000000 + (uint64_t)t.tv_nsec / 1000;
    printf("seed of %s: %llu\n", name, (unsigned long long)seed);
    fflush(stdout);
    return seed;
}
