/* test_bags.c - pooling bags and the way back, against torch's values and against the plainest loops
 * there are; and hostile offsets. */
#include <check.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "common/err.h"
#include "common/rng.h"
#include "tests/support/golden_bags.h"
#include "tests/support/seed.h"
#include "tests/unit/suites.h"
#include "worker/client.h"

static rh_table table_of(uint32_t dim, uint64_t padding) {
    return (rh_table){
        .name = "t", .spec = {.kind = SPEC_DENSE, .dim = dim, .rows = 100, .padding_idx = padding}};
}

/* ---- torch ---- */

_Static_assert(GOLDEN_NO_PADDING == SPEC_NO_PADDING, "one number for none");

static void replay_step(struct golden_bags *g, const rh_table *t) {
    float rows[GOLDEN_N * GOLDEN_DIM], row_grads[GOLDEN_N * GOLDEN_DIM];
    float out[GOLDEN_BAGS * GOLDEN_DIM], d_weights[GOLDEN_N],
        by_row[GOLDEN_ROWS * GOLDEN_DIM] = {0};
    size_t dim = g->dim;
    for (size_t i = 0; i < g->n; i++)
        memcpy(rows + i * dim, g->rows + g->ids[i] * dim, dim * sizeof *rows);
    ck_assert_int_eq(rh_bags_pool(t, &g->bags, rows, out), RH_OK);
    golden_assert_close("out", g->n_bags * dim, out, g->out);
    ck_assert_int_eq(
        rh_bags_unpool(t, &g->bags, g->grads, rows, row_grads, g->weighted ? d_weights : NULL),
        RH_OK);
    for (size_t i = 0; i < g->n * dim; i++)
        by_row[g->ids[i / dim] * dim + i % dim] += row_grads[i];
    golden_assert_close("by_row", GOLDEN_ROWS * dim, by_row, g->by_row);
    if (g->weighted)
        golden_assert_close("by_weight", g->n, d_weights, g->by_weight);
    memcpy(g->rows, g->after, sizeof g->rows);
}

START_TEST(bags_are_torchs_forward_and_backward) {
    static struct golden_bags g;
    int cases = 0;
    for (golden_open(&g); golden_next_case(&g); cases++) {
        rh_table t = table_of(g.dim, g.padding);
        for (int step = 0; step < GOLDEN_STEPS; step++) {
            golden_next_step(&g);
            replay_step(&g, &t);
        }
    }
    ck_assert_int_eq(cases, 32);
}
END_TEST

/* ---- the naive twin ---- */

enum { N_MAX = 60, DIM_MAX = 150, BAGS_MAX = 20 };

/* What a position of bag i.. end - 1 adds to column d, looked up by the definition alone. */
static float naive_pool(const rh_bags *b, uint64_t padding, size_t at, size_t end, size_t dim,
                        size_t d, const float *rows, size_t *max_at) {
    float sum = 0, count = 0, top = 0;
    for (size_t p = at; p < end; p++) {
        float v = rows[p * dim + d];
        if (b->ids[p] == padding)
            continue;
        if (count == 0 || v > top) {
            top = v;
            *max_at = p;
        }
        sum += b->per_sample_weights != NULL ? b->per_sample_weights[p] * v : v;
        count++;
    }
    return b->mode == RH_BAG_MAX    ? top
           : b->mode == RH_BAG_MEAN ? sum * (count > 0 ? 1 / count : 0)
                                    : sum;
}

static float naive_unpool(const rh_bags *b, uint64_t padding, size_t at, size_t end, size_t p,
                          size_t max_at, float g) {
    float count = 0;
    for (size_t q = at; q < end; q++)
        count += b->ids[q] != padding;
    if (b->ids[p] == padding || (b->mode == RH_BAG_MAX && max_at != p))
        return 0;
    if (b->mode == RH_BAG_MEAN)
        return (1 / count) * g;
    return b->per_sample_weights != NULL ? b->per_sample_weights[p] * g : g;
}

struct draw {
    uint64_t ids[N_MAX], offsets[BAGS_MAX + 1];
    float weights[N_MAX], rows[N_MAX * DIM_MAX], grads[BAGS_MAX * DIM_MAX];
    rh_bags bags;
};

static void draw_bags(struct rng *g, size_t dim, struct draw *w) {
    size_t n_bags = 1 + rng_below(g, BAGS_MAX - 1), n = 0;
    for (size_t i = 0; i < n_bags; i++) {
        w->offsets[i] = n;
        n += rng_below(g, 4);
    }
    n = n > N_MAX ? N_MAX : n;
    for (size_t i = 0; i < n_bags; i++)
        w->offsets[i] = w->offsets[i] > n ? n : w->offsets[i];
    w->offsets[n_bags] = n;
    for (size_t i = 0; i < n; i++) {
        w->ids[i] = rng_below(g, 6);
        w->weights[i] = rng_f32(g) - 0.5f;
    }
    for (size_t i = 0; i < n * dim; i++)
        w->rows[i] = (float)rng_below(g, 5) - 2; /* many ties */
    for (size_t i = 0; i < n_bags * dim; i++)
        w->grads[i] = rng_f32(g) - 0.5f;
    rh_bags_init(&w->bags, w->ids, n, w->offsets, n_bags);
    ck_assert_int_eq(w->bags.mode, RH_BAG_MEAN); /* torch's default */
    w->bags.mode = (rh_bag_mode)rng_below(g, 3);
    w->bags.include_last_offset = (int)rng_below(g, 2);
    if (w->bags.mode == RH_BAG_SUM && rng_below(g, 2) == 1)
        w->bags.per_sample_weights = w->weights;
}

static void check_draw(const struct draw *w, const rh_table *t) {
    static float out[BAGS_MAX * DIM_MAX], row_grads[N_MAX * DIM_MAX];
    float d_weights[N_MAX];
    const rh_bags *b = &w->bags;
    const uint64_t padding = t->spec.padding_idx;
    const size_t dim = t->spec.dim;
    bool weighted = b->per_sample_weights != NULL;
    ck_assert_int_eq(rh_bags_pool(t, b, w->rows, out), RH_OK);
    ck_assert_int_eq(
        rh_bags_unpool(t, b, w->grads, w->rows, row_grads, weighted ? d_weights : NULL), RH_OK);
    for (size_t i = 0; i < b->n_bags; i++) {
        size_t at = w->offsets[i], end = w->offsets[i + 1];
        for (size_t d = 0; d < dim; d++) {
            size_t top = SIZE_MAX;
            ck_assert(out[i * dim + d] == naive_pool(b, padding, at, end, dim, d, w->rows, &top));
            for (size_t p = at; p < end; p++)
                ck_assert(row_grads[p * dim + d] ==
                          naive_unpool(b, padding, at, end, p, top, w->grads[i * dim + d]));
        }
        for (size_t p = at; p < end && weighted; p++) {
            double dot = 0;
            for (size_t d = 0; d < dim; d++)
                dot += (double)w->grads[i * dim + d] * (double)w->rows[p * dim + d];
            ck_assert_double_eq_tol(d_weights[p], b->ids[p] == padding ? 0 : dot, 1e-4);
        }
    }
}

START_TEST(random_bags_are_those_of_the_naive_loops_to_the_bit) {
    static struct draw w;
    struct rng g;
    rng_init(&g, test_seed("bags"), 0);
    for (int round = 0; round < 150; round++) {
        uint32_t dim = 1 + rng_below(&g, DIM_MAX - 1);
        rh_table t = table_of(dim, rng_below(&g, 2) == 0 ? SPEC_NO_PADDING : 3);
        draw_bags(&g, dim, &w);
        check_draw(&w, &t);
    }
}
END_TEST

/* ---- the corners ---- */

START_TEST(max_takes_the_first_of_equals_and_no_nan_that_comes_later) {
    rh_table t = table_of(3, SPEC_NO_PADDING);
    uint64_t ids[] = {1, 2, 3}, offsets[] = {0};
    float rows[] = {1, -INFINITY, NAN, NAN, -INFINITY, 5, 1, -INFINITY, 6}, out[3], grads[9];
    const float g[] = {10, 20, 30}, want[] = {10, 20, 30, 0, 0, 0, 0, 0, 0};
    rh_bags b;
    rh_bags_init(&b, ids, 3, offsets, 1);
    b.mode = RH_BAG_MAX;
    ck_assert_int_eq(rh_bags_pool(&t, &b, rows, out), RH_OK);
    ck_assert(out[0] == 1 && out[1] == -INFINITY && isnan(out[2]));
    ck_assert_int_eq(rh_bags_unpool(&t, &b, g, rows, grads, NULL), RH_OK);
    ck_assert_mem_eq(grads, want, sizeof want);
}
END_TEST

START_TEST(bags_of_nothing_and_nothing_of_bags_are_fine) {
    rh_table t = table_of(2, 7);
    uint64_t ids[] = {7, 7, 4}, offsets[] = {0, 2, 2};
    float rows[] = {1, 2, 3, 4, 5, 6}, out[6], row_grads[6], d_weights[3] = {9, 9, 9};
    const float g[] = {1, 1, 1, 1, 1, 1};
    for (int mode = 0; mode < 3; mode++) {
        rh_bags b;
        rh_bags_init(&b, ids, 3, offsets, 3);
        b.mode = (rh_bag_mode)mode;
        memset(out, 0xFF, sizeof out);
        ck_assert_int_eq(rh_bags_pool(&t, &b, rows, out), RH_OK);
        for (int i = 0; i < 4; i++)
            ck_assert(out[i] == 0);
        ck_assert(out[4] == 5 && out[5] == 6);
        ck_assert_int_eq(rh_bags_unpool(&t, &b, g, rows, row_grads, NULL), RH_OK);
        for (int i = 0; i < 6; i++)
            ck_assert(row_grads[i] == (i < 4 ? 0 : 1));
        for (int last = 0; last < 2; last++) { /* no ids in two bags, and no bag at all */
            uint64_t none[] = {0, 0, 0};
            for (size_t n_bags = 0; n_bags < 3; n_bags += 2) {
                rh_bags_init(&b, NULL, 0, none, n_bags);
                b.mode = (rh_bag_mode)mode;
                b.include_last_offset = last;
                ck_assert_int_eq(rh_bags_pool(&t, &b, NULL, out), RH_OK);
            }
        }
    }
    rh_bags b;
    rh_bags_init(&b, ids, 3, offsets, 3);
    b.mode = RH_BAG_SUM;
    b.per_sample_weights = rows;
    ck_assert_int_eq(rh_bags_unpool(&t, &b, g, rows, row_grads, d_weights), RH_OK);
    ck_assert(d_weights[0] == 0 && d_weights[1] == 0 && d_weights[2] == 11);
}
END_TEST

/* ---- what is refused ---- */

static const uint64_t five[] = {0, 1, 2, 3, 4};

static void assert_refused(const rh_table *t, const rh_bags *b, const char *word) {
    float rows[5] = {0}, out[8];
    ck_assert_int_eq(rh_bags_pool(t, b, rows, out), RH_EINVAL);
    ck_assert_msg(strstr(err_text(), word) != NULL, "\"%s\" does not say \"%s\"", err_text(), word);
    ck_assert_int_eq(rh_bags_unpool(t, b, out, rows, out, NULL), RH_EINVAL);
    ck_assert_msg(strstr(err_text(), word) != NULL, "\"%s\" does not say \"%s\"", err_text(), word);
}

START_TEST(offsets_that_make_no_sense_are_named_with_their_value) {
    rh_table t = table_of(1, SPEC_NO_PADDING);
    static const struct {
        uint64_t offsets[3];
        int last;
        const char *word;
    } bad[] = {
        {{1, 2, 3}, 0, "offsets[0] is 1"},
        {{0, 3, 2}, 0, "offsets[2] is 2, below the 3"},
        {{0, 2, 6}, 0, "offsets[2] is 6: there are 5 ids"},
        {{0, UINT64_MAX, 2}, 0, "offsets[1] is 18446744073709551615"},
        {{0, 2, 4}, 1, "offsets[2], the end of the last bag, is 4: there are 5 ids"},
        {{0, 2, 6}, 1, "offsets[2] is 6"},
        {{5, 5, 5}, 1, "offsets[0] is 5"},
    };
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        rh_bags b;
        rh_bags_init(&b, five, 5, bad[i].offsets, bad[i].last ? 2 : 3);
        b.include_last_offset = bad[i].last;
        assert_refused(&t, &b, bad[i].word);
    }
}
END_TEST

START_TEST(what_does_not_go_together_is_refused_by_name) {
    rh_table t = table_of(1, SPEC_NO_PADDING);
    const uint64_t zero = 0;
    float x[5] = {0};
    rh_bags good, b;
    rh_bags_init(&good, five, 5, &zero, 1);
    b = good, b.size = 7;
    assert_refused(&t, &b, "rh_bags.size is 7");
    b = good, b.mode = (rh_bag_mode)3;
    assert_refused(&t, &b, "mode is 3");
    b = good, b.per_sample_weights = x;
    assert_refused(&t, &b, "not with mean");
    b.mode = RH_BAG_MAX;
    assert_refused(&t, &b, "not with max");
    b = good, b.n_bags = 0;
    assert_refused(&t, &b, "5 ids and no bag");
    b = good, b.offsets = NULL, b.n_bags = 2;
    assert_refused(&t, &b, "5 ids do not make 2 bags");
    b = good, b.offsets = NULL, b.n = 0, b.n_bags = SIZE_MAX;
    assert_refused(&t, &b, "do not fit memory");
    b = good, b.mode = RH_BAG_MAX;
    t.spec.scale_grad_by_freq = 1;
    assert_refused(&t, &b, "scale_grad_by_freq");
    t.spec.scale_grad_by_freq = 0;
    ck_assert_int_eq(rh_bags_unpool(&t, &b, x, NULL, x, NULL), RH_EINVAL);
    ck_assert_ptr_nonnull(strstr(err_text(), "mode max needs the rows"));
    b = good, b.mode = RH_BAG_SUM;
    ck_assert_int_eq(rh_bags_unpool(&t, &b, x, x, x, x), RH_EINVAL);
    ck_assert_ptr_nonnull(strstr(err_text(), "no per_sample_weights"));
    b.per_sample_weights = x;
    ck_assert_int_eq(rh_bags_unpool(&t, &b, x, NULL, x, x), RH_EINVAL);
    ck_assert_ptr_nonnull(strstr(err_text(), "per_sample_weights needs the rows"));
}
END_TEST

Suite *bags_suite(void) {
    Suite *s = suite_create("bags");
    TCase *t = tcase_create("bags");
    tcase_add_test(t, bags_are_torchs_forward_and_backward);
    tcase_add_test(t, random_bags_are_those_of_the_naive_loops_to_the_bit);
    tcase_add_test(t, max_takes_the_first_of_equals_and_no_nan_that_comes_later);
    tcase_add_test(t, bags_of_nothing_and_nothing_of_bags_are_fine);
    tcase_add_test(t, offsets_that_make_no_sense_are_named_with_their_value);
    tcase_add_test(t, what_does_not_go_together_is_refused_by_name);
    suite_add_tcase(s, t);
    return s;
}
