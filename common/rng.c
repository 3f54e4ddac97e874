/* rng.c - see rng.h. */
#include "common/rng.h"

#include <assert.h>
#include <float.h>
#include <math.h>
#include <string.h>

/* Else intermediate results would be wider than double and the bits would differ. */
_Static_assert(FLT_EVAL_METHOD == 0, "floats must be computed as they are declared");

/* ---- Philox 4x32-10 ---- */

enum { PHILOX_ROUNDS = 10 };

void philox4x32(const uint32_t counter[4], const uint32_t key[2], uint32_t out[4]) {
    uint32_t c0 = counter[0], c1 = counter[1], c2 = counter[2], c3 = counter[3];
    uint32_t k0 = key[0], k1 = key[1];
    for (int round = 0; round < PHILOX_ROUNDS; round++) {
        uint64_t p0 = (uint64_t)0xD2511F53 * c0;
        uint64_t p1 = (uint64_t)0xCD9E8D57 * c2;
        c0 = (uint32_t)(p1 >> 32) ^ c1 ^ k0;
        c2 = (uint32_t)(p0 >> 32) ^ c3 ^ k1;
        c1 = (uint32_t)p1;
        c3 = (uint32_t)p0;
        k0 += 0x9E3779B9; /* the golden ratio */
        k1 += 0xBB67AE85; /* sqrt(3) - 1 */
    }
    out[0] = c0;
    out[1] = c1;
    out[2] = c2;
    out[3] = c3;
}

/* ---- logarithm and normal quantile ---- */

/* value = mantissa * 2^exponent with mantissa in [sqrt(1/2), sqrt(2)), exactly. */
static double split(double value, int *exponent) {
    int scaled = 0;
    if (value < DBL_MIN) { /* subnormal: has no exponent of its own */
        value *= 0x1p54;
        scaled = -54;
    }
    uint64_t bits;
    memcpy(&bits, &value, sizeof bits);
    *exponent = (int)(bits >> 52) - 1023 + scaled;
    bits = (bits & 0x000FFFFFFFFFFFFF) | 0x3FF0000000000000;
    memcpy(&value, &bits, sizeof value);
    if (value > 0x1.6a09e667f3bcdp+0) {
        value *= 0.5;
        (*exponent)++;
    }
    return value;
}

/* c[0] + c[1] * x + ... + c[n - 1] * x^(n - 1) */
static double polynomial(int n, const double *c, double x) {
    double sum = c[n - 1];
    for (int i = n - 2; i >= 0; i--)
        sum = sum * x + c[i];
    return sum;
}

/* 2 atanh(s) / s - 2 = z * (these, in powers of z) where z = s^2. */
enum { ATANH_TERMS = 11 };
static const double atanh_series[ATANH_TERMS] = {
    2.0 / 3,  2.0 / 5,  2.0 / 7,  2.0 / 9,  2.0 / 11, 2.0 / 13,
    2.0 / 15, 2.0 / 17, 2.0 / 19, 2.0 / 21, 2.0 / 23,
};

/* With f = m - 1 and s = f / (2 + f), ln(m) = 2 atanh(s) = 2s + s * tail. Because 2s = f - s * f,
 * that is f - s * (f - tail): f is exact, and what is rounded more than once is less than a fifth
 * of it. s^2 < 0.0295, so the terms that are left out come to less than 1e-17 of it. */
double rng_log(double x) {
    assert(x > 0 && x <= DBL_MAX);
    /* ln(2) in two parts: the first has 21 zero bits at its end, so that e * high is exact. */
    const double ln2_high = 0x1.62e42feep-1, ln2_low = 0x1.a39ef35793c76p-33;
    int e;
    double f = split(x, &e) - 1.0;
    double s = f / (2.0 + f);
    double z = s * s;
    double tail = z * polynomial(ATANH_TERMS, atanh_series, z);
    return e * ln2_high - ((s * (f - tail) - e * ln2_low) - f);
}

/* M. J. Wichura, Algorithm AS 241: The Percentage Points of the Normal Distribution, Applied
 * Statistics 37 (1988), routine PPND16: one ratio of polynomials for the middle, one for the tails,
 * one for the far tails. */
static const double middle_over[8] = {
    3.3871328727963666080e0, 1.3314166789178437745e2, 1.9715909503065514427e3,
    1.3731693765509461125e4, 4.5921953931549871457e4, 6.7265770927008700853e4,
    3.3430575583588128105e4, 2.5090809287301226727e3,
};
static const double middle_under[8] = {
    1.0,
    4.2313330701600911252e1,
    6.8718700749205790830e2,
    5.3941960214247511077e3,
    2.1213794301586595867e4,
    3.9307895800092710610e4,
    2.8729085735721942674e4,
    5.2264952788528545610e3,
};
static const double tail_over[8] = {
    1.42343711074968357734e0,  4.63033784615654529590e0,  5.76949722146069140550e0,
    3.64784832476320460504e0,  1.27045825245236838258e0,  2.41780725177450611770e-1,
    2.27238449892691845833e-2, 7.74545014278341407640e-4,
};
static const double tail_under[8] = {
    1.0,
    2.05319162663775882187e0,
    1.67638483018380384940e0,
    6.89767334985100004550e-1,
    1.48103976427480074590e-1,
    1.51986665636164571966e-2,
    5.47593808499534494600e-4,
    1.05075007164441684324e-9,
};
static const double far_over[8] = {
    6.65790464350110377720e0,  5.46378491116411436990e0,  1.78482653991729133580e0,
    2.96560571828504891230e-1, 2.65321895265761230930e-2, 1.24266094738807843860e-3,
    2.71155556874348757815e-5, 2.01033439929228813265e-7,
};
static const double far_under[8] = {
    1.0,
    5.99832206555887937690e-1,
    1.36929880922735805310e-1,
    1.48753612908506148525e-2,
    7.86869131145613259100e-4,
    1.84631831751005468180e-5,
    1.42151175831644588870e-7,
    2.04426310338993978564e-15,
};

double rng_normal_quantile(double p) {
    assert(p > 0 && p < 1);
    double q = p - 0.5;
    if (q >= -0.425 && q <= 0.425) {
        double r = 0.180625 - q * q;
        return q * polynomial(8, middle_over, r) / polynomial(8, middle_under, r);
    }
    double r = sqrt(-rng_log(q < 0 ? p : 1.0 - p));
    double x;
    if (r <= 5.0)
        x = polynomial(8, tail_over, r - 1.6) / polynomial(8, tail_under, r - 1.6);
    else
        x = polynomial(8, far_over, r - 5.0) / polynomial(8, far_under, r - 5.0);
    return q < 0 ? -x : x;
}

/* ---- a stream ---- */

void rng_init(struct rng *g, uint64_t seed, uint64_t stream) {
    *g = (struct rng){.key = {(uint32_t)seed, (uint32_t)(seed >> 32)}, .stream = stream, .used = 4};
}

uint32_t rng_u32(struct rng *g) {
    if (g->used == 4) {
        const uint32_t counter[4] = {(uint32_t)g->counter, (uint32_t)(g->counter >> 32),
                                     (uint32_t)g->stream, (uint32_t)(g->stream >> 32)};
        philox4x32(counter, g->key, g->block);
        g->counter++;
        g->used = 0;
    }
    return g->block[g->used++];
}

uint64_t rng_u64(struct rng *g) {
    uint64_t low = rng_u32(g);
    return low | (uint64_t)rng_u32(g) << 32;
}

/* The high half of bits * n (Lemire). The 2^32 mod n lowest of the low halves make some values one
 * too frequent: they are drawn again. */
uint32_t rng_below(struct rng *g, uint32_t n) {
    assert(n > 0);
    uint64_t product = (uint64_t)rng_u32(g) * n;
    if ((uint32_t)product < n) { /* cheap test first: the division is rarely needed */
        uint32_t surplus = -n % n;
        while ((uint32_t)product < surplus)
            product = (uint64_t)rng_u32(g) * n;
    }
    return (uint32_t)(product >> 32);
}

float rng_f32(struct rng *g) {
    return rng_unit_f32(rng_u32(g));
}
