/* draw.c - getrandom(2) for this program: what a client draws at random comes from the seed too. */
#include "tests/sim/draw.h"

#include <stddef.h>
#include <sys/random.h>

#include "common/rng.h"

static struct rng generator;

void draw_seed(uint64_t seed) {
    rng_init(&generator, seed, 3);
}

/* In the place of the C library's: a program's own function comes before it. */
ssize_t getrandom(void *p, size_t n, unsigned flags) {
    unsigned char *bytes = p;
    (void)flags;
    for (size_t i = 0; i < n; i++)
        bytes[i] = (unsigned char)rng_u32(&generator);
    return (ssize_t)n;
}
