/* word2vec_sampler.c - see word2vec_sampler.h. */
#include "worker/examples/word2vec_sampler.h"

#include <inttypes.h>
#include <math.h>
#include <stdlib.h>

#include "common/err.h"

/* share: (n) how full each column is by its own word, 1 on average. piles: (n) scratch, the poor
 * columns from its front, the rich from its end. */
static void even_out(struct sampler *s, double *share, uint32_t *piles) {
    uint32_t poor = 0, rich = s->n;
    for (uint32_t i = 0; i < s->n; i++) {
        if (share[i] < 1)
            piles[poor++] = i;
        else
            piles[--rich] = i;
    }
    /* A rich one fills up a poor one, and may be poor afterwards. */
    while (poor > 0 && rich < s->n) {
        uint32_t taker = piles[--poor], giver = piles[rich];
        s->cut[taker] = (float)share[taker];
        s->alias[taker] = giver;
        share[giver] -= 1 - share[taker];
        if (share[giver] < 1) {
            rich++;
            piles[poor++] = giver;
        }
    }
    /* The others are full, but for rounding. */
    while (poor > 0)
        s->cut[piles[--poor]] = 1;
    while (rich < s->n)
        s->cut[piles[rich++]] = 1;
}

rh_status sampler_init(struct sampler *s, const struct vocab *v, double power) {
    *s = (struct sampler){
        .n = v->n, .cut = malloc(v->n * sizeof *s->cut), .alias = calloc(v->n, sizeof *s->alias)};
    double *share = malloc(v->n * sizeof *share);
    uint32_t *piles = malloc(v->n * sizeof *piles);
    rh_status status = RH_OK;
    if (s->cut && s->alias && share && piles) {
        double sum = 0;
        for (uint32_t i = 0; i < v->n; i++)
            sum += share[i] = pow((double)v->entries[i].count, power);
        for (uint32_t i = 0; i < v->n; i++)
            share[i] *= v->n / sum;
        even_out(s, share, piles);
    } else {
        sampler_fini(s);
        status = err_set(RH_ENOMEM, "no memory to draw from %" PRIu32 " words", v->n);
    }
    free(share);
    free(piles);
    return status;
}

void sampler_fini(struct sampler *s) {
    free(s->cut);
    free(s->alias);
    *s = (struct sampler){0};
}

uint32_t sampler_draw(const struct sampler *s, struct rng *g) {
    uint32_t column = rng_below(g, s->n);
    return rng_f32(g) < s->cut[column] ? column : s->alias[column];
}
