/* fill.c - see fill.h. */
#include "tests/bench/fill.h"

/* Any value that tells the rows apart. */
static float first_value(uint64_t id) {
    return (float)(id % 8191) * 0x1p-12f;
}

void fill_rows(const struct stage *s, const uint64_t *ids, float *out) {
    for (size_t i = 0; i < BENCH_BATCH; i++)
        for (size_t k = 0; k < s->dim; k++)
            out[i * s->dim + k] = first_value(ids[i]);
}

rh_status fill_table(const struct stage *s, rh_table *t, bool pushes) {
    static uint64_t ids[BENCH_BATCH];
    rh_status st = RH_OK;
    for (uint64_t first = 0; st == RH_OK && first < s->rows; first += BENCH_BATCH) {
        uint64_t left = s->rows - first;
        size_t n = left < BENCH_BATCH ? left : BENCH_BATCH;
        for (size_t i = 0; i < BENCH_BATCH; i++)
            ids[i] = first + i;
        fill_rows(s, ids, s->out[0]);
        st = rh_write(t, ids, n, s->out[0]);
        if (st == RH_OK && pushes)
            st = rh_push(t, ids, n, s->grads);
    }
    return st;
}
