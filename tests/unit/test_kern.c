/* test_kern.c - each kernel against its naive twin: the same bits where the order of additions is
 * the same, close where it is not. Sizes and addresses of all remainders. */
#include <check.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "common/kern.h"
#include "common/rng.h"
#include "tests/support/seed.h"
#include "tests/unit/suites.h"

enum { N_MAX = 300, OFFSETS = 5 };

/* Memory of exactly n floats at an odd offset, so that sanitizers see a step beyond. */
struct array {
    float *all, *p;
};

static struct array array_of(struct rng *g, size_t n, size_t offset) {
    struct array a;
    a.all = malloc((n + offset) * sizeof(float) + 1);
    a.p = a.all + offset;
    for (size_t i = 0; i < n; i++)
        a.p[i] = (rng_f32(g) - 0.5f) * 8;
    return a;
}

static struct array copy_of(const struct array *a, size_t n, size_t offset) {
    struct array b;
    b.all = malloc((n + offset) * sizeof(float) + 1);
    b.p = b.all + offset;
    memcpy(b.p, a->p, n * sizeof(float));
    return b;
}

/* Lane by lane, as kern.h words it. */
static float dot_by_lanes(size_t n, const float *a, const float *b) {
    float lane[KERN_LANES];
    for (size_t l = 0; l < KERN_LANES; l++) {
        lane[l] = 0;
        for (size_t i = l; i < n; i += KERN_LANES)
            lane[l] += a[i] * b[i];
    }
    for (size_t half = 8; half >= 1; half /= 2)
        for (size_t l = 0; l < half; l++)
            lane[l] += lane[l + half];
    return lane[0];
}

START_TEST(dot_adds_in_its_lanes_to_the_bit) {
    struct rng g;
    rng_init(&g, test_seed("kern_dot"), 0);
    for (size_t n = 0; n < N_MAX; n++) {
        struct array a = array_of(&g, n, n % OFFSETS), b = array_of(&g, n, n / 7 % OFFSETS);
        float got = kern_dot(n, a.p, b.p), want = dot_by_lanes(n, a.p, b.p);
        ck_assert_msg(memcmp(&got, &want, sizeof got) == 0, "n %zu: %a, not %a", n, (double)got,
                      (double)want);
        float size = 0;
        for (size_t i = 0; i < n; i++)
            size += fabsf(a.p[i] * b.p[i]);
        float naive = kern_dot_naive(n, a.p, b.p);
        ck_assert_msg(fabsf(got - naive) <= 1e-5f * size, "n %zu: %g, naive %g", n, (double)got,
                      (double)naive);
        free(a.all);
        free(b.all);
    }
}
END_TEST

START_TEST(axpy_add_and_scale_have_the_bits_of_their_twins) {
    struct rng g;
    rng_init(&g, test_seed("kern_axpy"), 0);
    for (size_t n = 0; n < N_MAX; n++) {
        const size_t offset = n % OFFSETS;
        const float by = (rng_f32(&g) - 0.5f) * 3;
        struct array x = array_of(&g, n, n / 7 % OFFSETS), y = array_of(&g, n, offset);
        struct array z = copy_of(&y, n, offset);
        kern_axpy(n, by, x.p, y.p);
        kern_axpy_naive(n, by, x.p, z.p);
        ck_assert_mem_eq(y.p, z.p, n * sizeof(float));
        kern_add(n, x.p, y.p);
        kern_add_naive(n, x.p, z.p);
        ck_assert_mem_eq(y.p, z.p, n * sizeof(float));
        kern_scale(n, by, y.p);
        kern_scale_naive(n, by, z.p);
        ck_assert_mem_eq(y.p, z.p, n * sizeof(float));
        free(x.all);
        free(y.all);
        free(z.all);
    }
}
END_TEST

START_TEST(max_takes_what_is_larger_and_leaves_what_has_no_order) {
    const float special[] = {NAN, INFINITY, -INFINITY, 0, -0.0f};
    struct rng g;
    rng_init(&g, test_seed("kern_max"), 0);
    for (size_t n = 0; n < N_MAX; n++) {
        const size_t offset = n % OFFSETS;
        struct array x = array_of(&g, n, n / 7 % OFFSETS), y = array_of(&g, n, offset);
        for (size_t i = 0; i < n; i++) {
            if (rng_below(&g, 4) == 0)
                x.p[i] = special[rng_below(&g, 5)];
            if (rng_below(&g, 4) == 0)
                y.p[i] = special[rng_below(&g, 5)];
        }
        struct array z = copy_of(&y, n, offset);
        kern_max(n, x.p, y.p);
        kern_max_naive(n, x.p, z.p);
        ck_assert_mem_eq(y.p, z.p, n * sizeof(float));
        free(x.all);
        free(y.all);
        free(z.all);
    }
}
END_TEST

/* A multiplication and an addition in one rounding would give 2^-46 here. */
START_TEST(nothing_is_fused) {
    const float x = 1 + 0x1p-23f, product = x * x;
    float a[64], y[64];
    for (int i = 0; i < 64; i++) {
        a[i] = x;
        y[i] = -product;
    }
    kern_axpy(64, x, a, y);
    for (int i = 0; i < 64; i++)
        ck_assert(y[i] == 0);
}
END_TEST

/* Lane by lane, as for dot. */
static double norm_by_lanes(size_t n, const float *x, double p) {
    double lane[KERN_LANES] = {0};
    for (size_t i = 0; i < n; i++)
        lane[i % KERN_LANES] += p == 1 ? fabs((double)x[i]) : (double)x[i] * x[i];
    for (size_t half = 8; half >= 1; half /= 2)
        for (size_t l = 0; l < half; l++)
            lane[l] += lane[l + half];
    return p == 1 ? lane[0] : sqrt(lane[0]);
}

START_TEST(norms_add_in_their_lanes_to_the_bit_and_are_near_the_naive_ones) {
    static const double ps[] = {1, 2, INFINITY, 0.5, 3, 2.5, 4, 5, 7, 15, 16, 17, 100};
    struct rng g;
    rng_init(&g, test_seed("kern_norm"), 0);
    for (size_t n = 0; n < N_MAX; n++) {
        struct array x = array_of(&g, n, n % OFFSETS);
        for (int k = 0; k < 2; k++)
            ck_assert(kern_norm(n, x.p, ps[k]) == norm_by_lanes(n, x.p, ps[k]));
        ck_assert(kern_norm(n, x.p, INFINITY) == kern_norm_naive(n, x.p, INFINITY));
        for (size_t k = 0; k < sizeof ps / sizeof *ps; k++) {
            double got = kern_norm(n, x.p, ps[k]), naive = kern_norm_naive(n, x.p, ps[k]);
            ck_assert_msg(fabs(got - naive) <= 1e-13 * naive, "n %zu, p %g: %.17g, naive %.17g", n,
                          ps[k], got, naive);
        }
        free(x.all);
    }
}
END_TEST

START_TEST(norms_by_hand) {
    const float x[] = {3, -4, 0, -0.0f};
    ck_assert(kern_norm(4, x, 1) == 7);
    ck_assert(kern_norm(4, x, 2) == 5);
    ck_assert(kern_norm(4, x, INFINITY) == 4);
    ck_assert_double_eq_tol(kern_norm(4, x, 3), cbrt(27 + 64), 1e-14);
    ck_assert_double_eq_tol(kern_norm(4, x, 0.5), 7 + 2 * sqrt(12), 1e-13);
    float ones[4096];
    for (int i = 0; i < 4096; i++)
        ones[i] = 1;
    ck_assert(kern_norm(4096, ones, 3) == 16 && kern_norm(4096, ones, 4) == 8);
    ck_assert(kern_norm(64, ones, 6) == 2 && kern_norm(1, ones, 13) == 1);
    for (double p = 0.25; p < 5; p += 0.25)
        ck_assert(kern_norm(2, x + 2, p) == 0 && kern_norm(0, x, p) == 0);
}
END_TEST

/* Powers of these are no floats, and some of them no doubles. */
START_TEST(norms_do_not_overflow_where_the_row_does_not) {
    const float large[] = {1e38f, 1e38f, 1e38f, 1e38f}, small[] = {1e-44f, 1e-44f};
    ck_assert_double_eq_tol(kern_norm(4, large, 16) / large[0], pow(4, 0.0625), 1e-14);
    ck_assert_double_eq_tol(kern_norm(2, small, 16) / small[0], pow(2, 0.0625), 1e-14);
    ck_assert_double_eq_tol(kern_norm(4, large, 2) / large[0], 2, 1e-14);
    ck_assert_double_eq_tol(kern_norm(4, large, 1) / large[0], 4, 1e-14);
    ck_assert_double_eq_tol(kern_norm(4, large, 100) / large[0], pow(4, 0.01), 1e-14);
    ck_assert_double_eq_tol(kern_norm(2, small, 2) / small[0], sqrt(2), 1e-14);
    ck_assert_double_eq_tol(kern_norm(2, small, 100) / small[0], pow(2, 0.01), 1e-14);
}
END_TEST

START_TEST(the_norm_of_nan_is_nan_and_of_infinity_infinity) {
    static const double ps[] = {0.5, 1, 2, 3, INFINITY};
    const float nan[] = {INFINITY, 1, NAN, 9}, inf[] = {1, -INFINITY, 2};
    for (int k = 0; k < 5; k++) {
        ck_assert(isnan(kern_norm(4, nan, ps[k])));
        ck_assert(kern_norm(3, inf, ps[k]) == INFINITY);
    }
}
END_TEST

START_TEST(one_bad_value_anywhere_is_found) {
    const float bad[] = {NAN, -NAN, INFINITY, -INFINITY};
    struct rng g;
    rng_init(&g, test_seed("kern_all_finite"), 0);
    for (size_t n = 0; n < 80; n++) {
        struct array x = array_of(&g, n, n % OFFSETS);
        ck_assert(kern_all_finite(n, x.p));
        ck_assert(kern_all_finite_naive(n, x.p));
        for (size_t at = 0; at < n; at++) {
            float kept = x.p[at];
            x.p[at] = bad[at % 4];
            ck_assert_msg(!kern_all_finite(n, x.p), "n %zu at %zu", n, at);
            ck_assert(!kern_all_finite_naive(n, x.p));
            x.p[at] = kept;
        }
        free(x.all);
    }
}
END_TEST

START_TEST(the_largest_and_the_smallest_floats_are_finite) {
    const float x[] = {0x1.FFFFFEp+127f, -0x1.FFFFFEp+127f, 0x1p-149f, -0.0f, 0};
    ck_assert(kern_all_finite(5, x));
    ck_assert(kern_all_finite_naive(5, x));
}
END_TEST

START_TEST(columns_become_rows_as_the_twin_has_them_and_nothing_else_is_touched) {
    enum { MOST = 21, STRIDE = 25 };
    static float in[MOST * STRIDE], out[MOST * STRIDE], twin[MOST * STRIDE];
    struct rng g;
    rng_init(&g, test_seed("kern_turn"), 0);
    for (size_t i = 0; i < MOST * STRIDE; i++)
        in[i] = rng_unit_f32(rng_u32(&g));
    for (size_t n = 0; n < MOST; n++) {
        for (size_t columns = 0; columns < MOST; columns++) {
            memset(out, 0x55, sizeof out);
            memset(twin, 0x55, sizeof twin);
            kern_turn(n, columns, in, STRIDE, out, STRIDE - 1);
            kern_turn_naive(n, columns, in, STRIDE, twin, STRIDE - 1);
            ck_assert_mem_eq(out, twin, sizeof out);
        }
    }
    kern_turn(MOST, MOST, in, STRIDE, out, STRIDE);
    ck_assert(out[3 * STRIDE + 20] == in[20 * STRIDE + 3]);
}
END_TEST

Suite *kern_suite(void) {
    Suite *s = suite_create("kern");
    TCase *t = tcase_create("kern");
    tcase_add_test(t, dot_adds_in_its_lanes_to_the_bit);
    tcase_add_test(t, axpy_add_and_scale_have_the_bits_of_their_twins);
    tcase_add_test(t, max_takes_what_is_larger_and_leaves_what_has_no_order);
    tcase_add_test(t, nothing_is_fused);
    tcase_add_test(t, norms_add_in_their_lanes_to_the_bit_and_are_near_the_naive_ones);
    tcase_add_test(t, norms_by_hand);
    tcase_add_test(t, norms_do_not_overflow_where_the_row_does_not);
    tcase_add_test(t, the_norm_of_nan_is_nan_and_of_infinity_infinity);
    tcase_add_test(t, columns_become_rows_as_the_twin_has_them_and_nothing_else_is_touched);
    tcase_add_test(t, one_bad_value_anywhere_is_found);
    tcase_add_test(t, the_largest_and_the_smallest_floats_are_finite);
    suite_add_tcase(s, t);
    return s;
}
