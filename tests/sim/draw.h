/* draw.h - what the product draws at random, in a simulation. */
#ifndef TESTS_SIM_DRAW_H
#define TESTS_SIM_DRAW_H

#include <stdint.h>

/* From now on getrandom(2) gives what follows from this seed. */
void draw_seed(uint64_t seed);

#endif
