/* seed.h - random tests print their seed and take it back: RH_TEST_SEED=17 make test-unit. */
#ifndef TESTS_SUPPORT_SEED_H
#define TESTS_SUPPORT_SEED_H

#include <stdint.h>

/* RH_TEST_SEED, else one drawn from the time; printed as "seed of NAME: N" either way. */
uint64_t test_seed(const char *name);

#endif
