/* word2vec_sgns.c - see word2vec_sgns.h. Where a trainer spends its time: for each pair of words,
 * neg + 1 dot products and twice as many additions of rows. */
#include "worker/examples/word2vec_sgns.h"

#include <assert.h>
#include <math.h>
#include <string.h>

#include "common/kern.h"

/* A likelihood below this counts as this: SGNS_TARGETS_MAX of them multiply up to a double. */
static const float LIKELIHOOD_MIN = 1e-4f;

float sgns_step(size_t dim, float lr, const uint32_t *targets, size_t n, float *restrict u,
                float *restrict out) {
    assert(dim <= SGNS_DIM_MAX && n > 0 && n <= SGNS_TARGETS_MAX);
    _Alignas(64) float step[SGNS_DIM_MAX]; /* of u */
    double likelihood = 1;
    memset(step, 0, dim * sizeof *step);
    for (size_t i = 0; i < n; i++) {
        float *v = out + targets[i] * dim;
        float p = 1 / (1 + expf(-kern_dot(dim, u, v))); /* that it is the true one */
        float likely = i == 0 ? p : 1 - p;
        float g = lr * ((i == 0) - p);
        kern_axpy(dim, g, v, step);
        kern_axpy(dim, g, u, v);
        likelihood *= likely > LIKELIHOOD_MIN ? likely : LIKELIHOOD_MIN;
    }
    kern_add(dim, step, u);
    return (float)-log(likelihood);
}
