/* init.c - initial rows. A row is a pure function of (seed, table name, id); these few lines say
 * which one, so that another program can compute the same bits:
 *
 *     key     = XXH3-64 of the name's bytes, with the table's seed as its seed
 *     key[2]  = { low half, high half }
 *     counter = { id's low half, id's high half, block, number of the initializer in the spec }
 *     u32[4]  = Philox 4x32-10 of counter and key
 *
 *     uniform (3): column c is u32[c % 4] of block c / 4. Its top 24 bits are u in [0, 1);
 *                  low + u * (high - low), kept below high; both bounds rounded to float first.
 *     normal (4):  column c is a pair of block c / 2: the low half of 64 bits is u32[c % 2 * 2],
 *                  the high half the word behind it. Their top 52 bits, plus a half, are p in
 *                  (0, 1); mean + std * quantile(p), by Wichura's AS 241 (common/rng.h).
 *     trunc_normal (5): p as for normal; mean + std * quantile(l + p * (h - l)), kept within a and
 *                  b rounded to float. l is the smallest double above 0 whose quantile is at least
 *                  (a - mean) / std, and h that of (b - mean) / std; both are below 1. Where
 *                  the sum of these two bounds is above 0, all is mirrored at the mean (then
 *                  mean - std * quantile(...), bounds (mean - b) / std and (mean - a) / std),
 *                  because doubles are dense near 0 and not near 1.
 *
 * All in double, rounded to float once at the end. The row of padding_idx is zeros instead, whatever
 * the initializer. */
#include "ps/init.h"

#include <assert.h>
#include <math.h>
#include <string.h>

#include "common/hash.h"
#include "common/rng.h"

enum { UNIFORM_LOW, UNIFORM_WIDTH, UNIFORM_TOP };
enum { NORMAL_MEAN, NORMAL_STD };
enum { TRUNC_MEAN, TRUNC_STD, TRUNC_LOW, TRUNC_WIDTH, TRUNC_A, TRUNC_B };

static void draw(const struct init *in, uint64_t id, uint32_t block, uint32_t kind,
                 uint32_t out[4]) {
    const uint32_t counter[4] = {(uint32_t)id, (uint32_t)(id >> 32), block, kind};
    philox4x32(counter, in->key, out);
}

static void fill_zeros(const struct init *in, uint64_t id, float *row) {
    (void)id;
    memset(row, 0, in->dim * sizeof *row);
}

static void fill_constant(const struct init *in, uint64_t id, float *row) {
    (void)id;
    for (uint32_t c = 0; c < in->dim; c++)
        row[c] = (float)in->arg[0];
}

static void fill_uniform(const struct init *in, uint64_t id, float *row) {
    const double low = in->arg[UNIFORM_LOW], width = in->arg[UNIFORM_WIDTH];
    const float top = (float)in->arg[UNIFORM_TOP];
    uint32_t bits[4];
    for (uint32_t c = 0; c < in->dim; c++) {
        if (c % 4 == 0)
            draw(in, id, c / 4, SPEC_UNIFORM, bits);
        float v = (float)(low + (double)rng_unit_f32(bits[c % 4]) * width);
        row[c] = v < top ? v : top; /* rounding to float may have reached high */
    }
}

/* The p of column c: two columns have one block. */
static double draw_open(const struct init *in, uint64_t id, uint32_t c, uint32_t kind,
                        uint32_t bits[4]) {
    uint32_t at = c % 2 * 2;
    if (at == 0)
        draw(in, id, c / 2, kind, bits);
    return rng_unit_open(bits[at] | (uint64_t)bits[at + 1] << 32);
}

static void fill_normal(const struct init *in, uint64_t id, float *row) {
    const double mean = in->arg[NORMAL_MEAN], std = in->arg[NORMAL_STD];
    uint32_t bits[4];
    for (uint32_t c = 0; c < in->dim; c++) {
        double p = draw_open(in, id, c, SPEC_NORMAL, bits);
        row[c] = (float)(mean + std * rng_normal_quantile(p));
    }
}

static void fill_trunc_normal(const struct init *in, uint64_t id, float *row) {
    const double mean = in->arg[TRUNC_MEAN], std = in->arg[TRUNC_STD];
    const double low = in->arg[TRUNC_LOW], width = in->arg[TRUNC_WIDTH];
    const float a = (float)in->arg[TRUNC_A], b = (float)in->arg[TRUNC_B];
    uint32_t bits[4];
    for (uint32_t c = 0; c < in->dim; c++) {
        double p = low + draw_open(in, id, c, SPEC_TRUNC_NORMAL, bits) * width;
        float v = (float)(mean + std * rng_normal_quantile(p));
        row[c] = v < a ? a : v > b ? b : v;
    }
}

static void (*const fills[SPEC_INITS_END])(const struct init *in, uint64_t id, float *row) = {
    [SPEC_ZEROS] = fill_zeros,
    [SPEC_CONSTANT] = fill_constant,
    [SPEC_UNIFORM] = fill_uniform,
    [SPEC_NORMAL] = fill_normal,
    [SPEC_TRUNC_NORMAL] = fill_trunc_normal,
};

static void setup_uniform(struct init *in, float low, float high) {
    in->arg[UNIFORM_LOW] = low;
    in->arg[UNIFORM_WIDTH] = (double)high - (double)low;
    in->arg[UNIFORM_TOP] =
        low < high ? nextafterf(high, low) : low; /* as torch: low == high is low */
}

/* The smallest double in (0, 1) whose quantile is at least z, or the largest of all. A bisection of
 * bit patterns, which stand in the order of their doubles: erf, which would say it at once, differs
 * between CPUs. */
static double probability_of(double z) {
    const double one = 1;
    uint64_t low = 1, high;
    memcpy(&high, &one, sizeof high);
    high--;
    double p;
    while (low < high) {
        uint64_t middle = low + (high - low) / 2;
        memcpy(&p, &middle, sizeof p);
        if (rng_normal_quantile(p) < z)
            low = middle + 1;
        else
            high = middle;
    }
    memcpy(&p, &low, sizeof p);
    return p;
}

static void setup_trunc_normal(struct init *in, double mean, double std, double a, double b) {
    double low = (a - mean) / std, high = (b - mean) / std;
    const bool mirrored = low + high > 0;
    if (mirrored) {
        double was = low;
        low = -high;
        high = -was;
    }
    in->arg[TRUNC_MEAN] = mean;
    in->arg[TRUNC_STD] = mirrored ? -std : std;
    in->arg[TRUNC_LOW] = probability_of(low);
    in->arg[TRUNC_WIDTH] = probability_of(high) - in->arg[TRUNC_LOW];
    in->arg[TRUNC_A] = a;
    in->arg[TRUNC_B] = b;
}

void init_setup(struct init *in, const struct spec *s, const char *name) {
    assert(s->init < SPEC_INITS_END && fills[s->init]);
    uint64_t key = hash64_seeded(name, strlen(name), s->seed);
    *in = (struct init){.fill = fills[s->init],
                        .dim = s->dim,
                        .padding = s->padding_idx,
                        .key = {(uint32_t)key, (uint32_t)(key >> 32)}};
    memcpy(in->arg, s->init_arg, sizeof s->init_arg);
    if (s->init == SPEC_UNIFORM)
        setup_uniform(in, (float)s->init_arg[0], (float)s->init_arg[1]);
    else if (s->init == SPEC_TRUNC_NORMAL)
        setup_trunc_normal(in, s->init_arg[0], s->init_arg[1], s->init_arg[2], s->init_arg[3]);
}
