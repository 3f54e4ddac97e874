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
 *
 * All in double, rounded to float once at the end. */
#include "ps/init.h"

#include <assert.h>
#include <math.h>
#include <string.h>

#include "common/hash.h"
#include "common/rng.h"

enum { UNIFORM_LOW, UNIFORM_WIDTH, UNIFORM_TOP };
enum { NORMAL_MEAN, NORMAL_STD };

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

static void fill_normal(const struct init *in, uint64_t id, float *row) {
    const double mean = in->arg[NORMAL_MEAN], std = in->arg[NORMAL_STD];
    uint32_t bits[4];
    for (uint32_t c = 0; c < in->dim; c++) {
        uint32_t at = c % 2 * 2;
        if (at == 0)
            draw(in, id, c / 2, SPEC_NORMAL, bits);
        double p = rng_unit_open(bits[at] | (uint64_t)bits[at + 1] << 32);
        row[c] = (float)(mean + std * rng_normal_quantile(p));
    }
}

static void (*const fills[SPEC_INITS_END])(const struct init *in, uint64_t id, float *row) = {
    [SPEC_ZEROS] = fill_zeros,
    [SPEC_CONSTANT] = fill_constant,
    [SPEC_UNIFORM] = fill_uniform,
    [SPEC_NORMAL] = fill_normal,
};

static void setup_uniform(struct init *in, float low, float high) {
    in->arg[UNIFORM_LOW] = low;
    in->arg[UNIFORM_WIDTH] = (double)high - (double)low;
    in->arg[UNIFORM_TOP] =
        low < high ? nextafterf(high, low) : low; /* as torch: low == high is low */
}

void init_setup(struct init *in, const struct spec *s, const char *name) {
    assert(s->init < SPEC_INITS_END && fills[s->init]);
    uint64_t key = hash64_seeded(name, strlen(name), s->seed);
    *in = (struct init){
        .fill = fills[s->init], .dim = s->dim, .key = {(uint32_t)key, (uint32_t)(key >> 32)}};
    memcpy(in->arg, s->init_arg, sizeof in->arg);
    if (s->init == SPEC_UNIFORM)
        setup_uniform(in, (float)s->init_arg[0], (float)s->init_arg[1]);
}
