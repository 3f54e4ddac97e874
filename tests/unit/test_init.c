/* test_init.c - initial rows: their bits never change, and they are as random as they claim. */
#include <check.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "ps/init.h"
#include "tests/unit/suites.h"

enum { SAMPLE = 100000 };

static struct init make_trunc(double mean, double std, double a, double b, uint32_t dim,
                              uint64_t seed, const char *name) {
    struct spec s = {.dim = dim,
                     .seed = seed,
                     .init = SPEC_TRUNC_NORMAL,
                     .init_arg = {mean, std, a, b},
                     .padding_idx = SPEC_NO_PADDING};
    struct init in;
    init_setup(&in, &s, name);
    return in;
}

/* A truncated normal without bounds that are worth mentioning. */
static struct init make(uint32_t kind, double a, double b, uint32_t dim, uint64_t seed,
                        const char *name) {
    if (kind == SPEC_TRUNC_NORMAL)
        return make_trunc(a, b, a - 9 * b, a + 9 * b, dim, seed, name);
    struct spec s = {.kind = SPEC_DENSE,
                     .dim = dim,
                     .rows = UINT64_C(1) << 48,
                     .seed = seed,
                     .init = kind,
                     .init_arg = {a, b},
                     .padding_idx = SPEC_NO_PADDING};
    struct init in;
    init_setup(&in, &s, name);
    return in;
}

static void assert_bits(const struct init *in, uint64_t id, const uint32_t *want) {
    float row[16];
    uint32_t bits[16];
    init_row(in, id, row);
    memcpy(bits, row, sizeof row);
    for (uint32_t i = 0; i < in->dim; i++)
        ck_assert_msg(bits[i] == want[i], "id %llu column %u is 0x%08x (%.9g), not 0x%08x",
                      (unsigned long long)id, i, bits[i], row[i], want[i]);
}

/* Computed once by another program, in Python, from nothing but the comment of init.c. If one of
 * these fails, every table that was not saved has changed under its user: mend the code instead. */
START_TEST(golden_rows_never_change) {
    const uint64_t large = 123456789012;
    struct init in = make(SPEC_UNIFORM, -0.1, 0.1, 6, 0, "user");
    assert_bits(
        &in, 0,
        (const uint32_t[]){0xbc54470d, 0xbc8a18e7, 0x3c232f8d, 0xbd2d26da, 0x3d0f6d17, 0x3db1ecf5});
    in = make(SPEC_UNIFORM, -0.1, 0.1, 6, 42, "user");
    assert_bits(
        &in, large,
        (const uint32_t[]){0xbd5a899d, 0xbc6fb25a, 0x3b9e6db3, 0x3be7e600, 0xbda35da5, 0xbdaf286d});
    in = make(SPEC_NORMAL, 0, 1, 6, 0, "user");
    assert_bits(
        &in, 0,
        (const uint32_t[]){0x3f9378b0, 0xbe569470, 0xbf82d2f2, 0x3fbab0f8, 0xbf13803b, 0x3f801698});
    in = make(SPEC_NORMAL, 0.5, 0.02, 6, UINT64_MAX, "item.table");
    assert_bits(
        &in, large,
        (const uint32_t[]){0x3effc203, 0x3efae0d4, 0x3f021c8a, 0x3f04a067, 0x3ef0ac9b, 0x3efd3836});
    in = make_trunc(0, 1, -2, 2, 6, 0, "user");
    assert_bits(
        &in, 0,
        (const uint32_t[]){0x3c8ee348, 0x3e714f3d, 0x3f826d44, 0x3ea3f664, 0xbf08ca2c, 0xbf0d3a30});
    in = make_trunc(0.5, 0.02, 0.5, 0.75, 6, UINT64_MAX, "item.table");
    assert_bits(
        &in, large,
        (const uint32_t[]){0x3f0633d2, 0x3f02385f, 0x3f01d7a8, 0x3f070795, 0x3f022bda, 0x3f02fe97});
    in = make_trunc(0, 1, 9, 11, 6, 42, "user");
    assert_bits(
        &in, 7,
        (const uint32_t[]){0x41114cf2, 0x4112f5ac, 0x41113d2a, 0x4110ef49, 0x4110e120, 0x4111fdcb});
}
END_TEST

START_TEST(zeros_and_constants_are_what_they_say) {
    float row[5] = {9, 9, 9, 9, 9};
    struct init in = make(SPEC_ZEROS, 0, 0, 4, 1, "t");
    init_row(&in, 3, row);
    for (int i = 0; i < 4; i++)
        ck_assert(row[i] == 0.0f && !signbit(row[i]));
    in = make(SPEC_CONSTANT, 0.1, 0, 4, 1, "t");
    init_row(&in, 3, row);
    for (int i = 0; i < 4; i++)
        ck_assert(row[i] == 0.1f);
    ck_assert(row[4] == 9.0f);
}
END_TEST

START_TEST(a_row_is_written_up_to_its_dim_only) {
    for (uint32_t kind = SPEC_ZEROS; kind < SPEC_INITS_END; kind++) {
        for (uint32_t dim = 1; dim <= 13; dim++) {
            float row[14];
            for (int i = 0; i < 14; i++)
                row[i] = 77;
            struct init in = make(kind, 0, 1, dim, 5, "t");
            init_row(&in, 1, row);
            for (uint32_t i = 0; i < 14; i++)
                ck_assert((row[i] == 77) == (i >= dim));
        }
    }
}
END_TEST

/* So a model may be widened and keep its first columns. */
START_TEST(a_wider_row_begins_with_the_narrower_one) {
    for (uint32_t kind = SPEC_UNIFORM; kind <= SPEC_TRUNC_NORMAL; kind++) {
        float wide[33], narrow[33];
        struct init in = make(kind, -1, 1, 33, 5, "t");
        init_row(&in, 99, wide);
        for (uint32_t dim = 1; dim < 33; dim++) {
            in = make(kind, -1, 1, dim, 5, "t");
            init_row(&in, 99, narrow);
            ck_assert_mem_eq(wide, narrow, dim * sizeof(float));
        }
    }
}
END_TEST

START_TEST(seed_name_and_every_bit_of_the_id_count) {
    float first[8], other[8];
    struct init in = make(SPEC_UNIFORM, 0, 1, 8, 5, "t");
    init_row(&in, 99, first);
    for (int bit = 0; bit < 48; bit++) {
        init_row(&in, 99 ^ UINT64_C(1) << bit, other);
        for (int i = 0; i < 8; i++)
            ck_assert(first[i] != other[i]);
    }
    struct init others[] = {make(SPEC_UNIFORM, 0, 1, 8, 6, "t"),
                            make(SPEC_UNIFORM, 0, 1, 8, 5 + (UINT64_C(1) << 32), "t"),
                            make(SPEC_UNIFORM, 0, 1, 8, 5, "u")};
    for (int k = 0; k < 3; k++) {
        init_row(&others[k], 99, other);
        for (int i = 0; i < 8; i++)
            ck_assert(first[i] != other[i]);
    }
}
END_TEST

START_TEST(uniform_keeps_below_high_and_not_below_low) {
    static const double bounds[][2] = {
        {1, 1 + 0x1p-23}, {-1 - 0x1p-23, -1}, {16777216, 16777218}, {-3e38, 3e38}, {0, 1e-45}};
    float row[4096];
    for (size_t k = 0; k < sizeof bounds / sizeof *bounds; k++) {
        struct init in = make(SPEC_UNIFORM, bounds[k][0], bounds[k][1], 4096, 5, "t");
        init_row(&in, k, row);
        for (int i = 0; i < 4096; i++)
            ck_assert_msg(row[i] >= (float)bounds[k][0] && row[i] < (float)bounds[k][1],
                          "%.9g is not in [%.9g, %.9g)", row[i], bounds[k][0], bounds[k][1]);
    }
    struct init in = make(SPEC_UNIFORM, 2.5, 2.5, 8, 5, "t");
    init_row(&in, 0, row);
    ck_assert(row[0] == 2.5f && row[7] == 2.5f);
}
END_TEST

static int by_value(const void *a, const void *b) {
    float x = *(const float *)a, y = *(const float *)b;
    return (x > y) - (x < y);
}

START_TEST(trunc_normal_keeps_within_its_bounds_however_far_out) {
    static const double cases[][4] = {
        {0, 1, -2, 2},        {0, 1, 1, 1},         {0, 1, 0, 1e-45},          {0, 1, 30, 31},
        {0, 1, -31, -30},     {0, 1, 60, 61},       {0, 1e-40, -1, 1},         {5, 1, -3e38, 5},
        {0, 3e38, -0.1, 0.1}, {-3e38, 1e-45, 1, 2}, {1e8, 1, 1e8 - 1, 1e8 + 1}};
    float row[4096];
    for (size_t k = 0; k < sizeof cases / sizeof *cases; k++) {
        const double *arg = cases[k];
        struct init in = make_trunc(arg[0], arg[1], arg[2], arg[3], 4096, 5, "t");
        init_row(&in, k, row);
        for (int i = 0; i < 4096; i++)
            ck_assert_msg(row[i] >= (float)arg[2] && row[i] <= (float)arg[3],
                          "case %zu: %.9g is not in [%.9g, %.9g]", k, row[i], arg[2], arg[3]);
    }
}
END_TEST

static double cdf_uniform(double x) {
    return (x + 2) / 5; /* on [-2, 3) */
}

static double cdf_normal(double x) {
    return erfc(-(x - 1) / 0.5 / sqrt(2)) / 2; /* mean 1, std 0.5 */
}

static double phi(double z) {
    return erfc(-z / sqrt(2)) / 2;
}

static double cdf_trunc(double x) {
    return (phi((x - 3) / 0.5) - phi(-2)) / (phi(2) - phi(-2)); /* mean 3, std 0.5, in [2, 4] */
}

static double cdf_upper_tail(double x) {
    return 1 - (phi(-x) - phi(-6)) / (phi(-3) - phi(-6)); /* of the standard normal, in [3, 6] */
}

/* Kolmogorov and Smirnov's distance is below 1.95 / sqrt(n) in 999 of 1000 samples; ours is one. */
static void check_distance(float *v, double (*cdf)(double)) {
    qsort(v, SAMPLE, sizeof *v, by_value);
    double distance = 0;
    for (uint32_t i = 0; i < SAMPLE; i++) {
        double f = cdf(v[i]);
        distance = fmax(distance, fmax(f - (double)i / SAMPLE, (double)(i + 1) / SAMPLE - f));
    }
    ck_assert_double_lt(distance, 1.95 / sqrt(SAMPLE));
}

static float *draw_sample(const struct init *in) {
    float *v = malloc(SAMPLE * sizeof *v);
    for (uint32_t i = 0; i < SAMPLE; i += in->dim)
        init_row(in, i / in->dim * UINT64_C(16384), v + i);
    return v;
}

static void check_distribution(struct init in, double mean, double std, double kurtosis,
                               double (*cdf)(double)) {
    float *v = draw_sample(&in);
    double sum = 0, neighbours = 0, m2 = 0, m3 = 0, m4 = 0;
    for (uint32_t i = 0; i < SAMPLE; i++)
        sum += v[i];
    for (uint32_t i = 0; i < SAMPLE; i++) {
        double z = (v[i] - sum / SAMPLE) / std;
        m2 += z * z / SAMPLE;
        m3 += z * z * z / SAMPLE;
        m4 += z * z * z * z / SAMPLE;
        if (i > 0)
            neighbours += z * (v[i - 1] - sum / SAMPLE) / std / SAMPLE;
    }
    ck_assert_double_eq_tol(sum / SAMPLE, mean, 4 * std / sqrt(SAMPLE));
    ck_assert_double_eq_tol(m2, 1, 0.02);
    ck_assert_double_eq_tol(m3, 0, 0.04);
    ck_assert_double_eq_tol(m4, kurtosis, 0.1);
    ck_assert_double_eq_tol(neighbours, 0, 4 / sqrt(SAMPLE));

    check_distance(v, cdf);
    free(v);
}

START_TEST(uniform_is_uniform) {
    check_distribution(make(SPEC_UNIFORM, -2, 3, 10, 5, "t"), 0.5, 5 / sqrt(12), 1.8, cdf_uniform);
}
END_TEST

START_TEST(normal_is_normal) {
    check_distribution(make(SPEC_NORMAL, 1, 0.5, 10, 5, "t"), 1, 0.5, 3, cdf_normal);
}
END_TEST

START_TEST(trunc_normal_is_a_normal_cut_off) {
    check_distribution(make_trunc(3, 0.5, 2, 4, 10, 5, "t"), 3, 0.5 * 0.87962566103424,
                       2.36553671712965, cdf_trunc);
}
END_TEST

START_TEST(the_tail_of_a_normal_has_its_shape) {
    struct init in = make_trunc(0, 1, 3, 6, 10, 5, "t");
    float *v = draw_sample(&in);
    check_distance(v, cdf_upper_tail);
    free(v);
}
END_TEST

START_TEST(the_padding_row_begins_as_zeros_whatever_the_initializer) {
    static const struct spec specs[] = {
        {.init = SPEC_ZEROS},
        {.init = SPEC_CONSTANT, .init_arg = {7}},
        {.init = SPEC_UNIFORM, .init_arg = {1, 2}},
        {.init = SPEC_NORMAL, .init_arg = {5, 1}},
        {.init = SPEC_TRUNC_NORMAL, .init_arg = {5, 1, 4, 6}},
    };
    ck_assert_uint_eq(sizeof specs / sizeof *specs, SPEC_INITS_END - 1);
    for (size_t k = 0; k < sizeof specs / sizeof *specs; k++) {
        struct spec s = specs[k];
        struct init with, without;
        float row[5], other[5], zeros[5] = {0};
        s.dim = 5;
        s.padding_idx = 70000;
        init_setup(&with, &s, "t");
        s.padding_idx = SPEC_NO_PADDING;
        init_setup(&without, &s, "t");
        init_row(&with, 70000, row);
        ck_assert_mem_eq(row, zeros, sizeof row);
        init_row(&without, 70000, row);
        ck_assert(k == 0 || row[0] != 0);
        init_row(&with, 70001, row);
        init_row(&without, 70001, other);
        ck_assert_mem_eq(row, other, sizeof row);
    }
}
END_TEST

Suite *init_suite(void) {
    TCase *tc = tcase_create("rows");
    tcase_add_test(tc, golden_rows_never_change);
    tcase_add_test(tc, zeros_and_constants_are_what_they_say);
    tcase_add_test(tc, a_row_is_written_up_to_its_dim_only);
    tcase_add_test(tc, a_wider_row_begins_with_the_narrower_one);
    tcase_add_test(tc, seed_name_and_every_bit_of_the_id_count);
    tcase_add_test(tc, uniform_keeps_below_high_and_not_below_low);
    tcase_add_test(tc, trunc_normal_keeps_within_its_bounds_however_far_out);
    tcase_add_test(tc, uniform_is_uniform);
    tcase_add_test(tc, normal_is_normal);
    tcase_add_test(tc, trunc_normal_is_a_normal_cut_off);
    tcase_add_test(tc, the_tail_of_a_normal_has_its_shape);
    Suite *s = suite_create("init");
    tcase_add_test(tc, the_padding_row_begins_as_zeros_whatever_the_initializer);
    suite_add_tcase(s, tc);
    return s;
}
