/* rng.h - counter-based random numbers (Philox 4x32-10, Salmon et al., SC'11): a value is a pure
 * function of a key and a counter, so it does not depend on what was drawn before, on threads or on
 * machines. Only + - * / and sqrt are used on floats, because libm differs between CPUs. Any
 * thread; a struct rng belongs to one at a time. */
#ifndef COMMON_RNG_H
#define COMMON_RNG_H

#include <stdint.h>

void philox4x32(const uint32_t counter[4], const uint32_t key[2], uint32_t out[4]);

/* 24 bits to a float in [0, 1), exactly as torch draws a uniform float. */
static inline float rng_unit_f32(uint32_t bits) {
    return (float)(bits >> 8) * 0x1p-24f;
}

/* 64 bits to a double strictly inside (0, 1): (top 52 bits + 0.5) / 2^52. */
static inline double rng_unit_open(uint64_t bits) {
    return ((double)(bits >> 12) + 0.5) * 0x1p-52;
}

/* The standard normal quantile of p in (0, 1), by Wichura's AS 241 (relative error about 1e-16),
 * with a logarithm of our own so that its bits are the same on every machine. */
double rng_normal_quantile(double p);

/* ln(x) for finite x > 0, + - * / only. Error below 2 ulp. */
double rng_log(double x);

/* A stream for programs that want numbers one after the other (trainers, tests). Same seed and
 * stream, same numbers. */
struct rng {
    uint32_t key[2];
    uint64_t counter, stream;
    uint32_t block[4];
    uint32_t used;
};

void rng_init(struct rng *g, uint64_t seed, uint64_t stream);
uint32_t rng_u32(struct rng *g);
uint64_t rng_u64(struct rng *g);
uint32_t rng_below(struct rng *g, uint32_t n); /* uniform in [0, n), without bias; n > 0 */
float rng_f32(struct rng *g);                  /* uniform in [0, 1) */

#endif
