/* test_rng.c - random numbers: Philox against the known answers of its authors, the floats against
 * other implementations, the streams against their promises. */
#include <check.h>
#include <float.h>
#include <math.h>
#include <string.h>

#include "common/rng.h"
#include "tests/support/seed.h"
#include "tests/unit/suites.h"

/* ---- Philox ---- */

/* Random123, kat_vectors: philox4x32, 10 rounds. */
START_TEST(philox_gives_the_known_answers) {
    static const struct {
        uint32_t counter[4], key[2], out[4];
    } known[] = {
        {{0, 0, 0, 0}, {0, 0}, {0x6627E8D5, 0xE169C58D, 0xBC57AC4C, 0x9B00DBD8}},
        {{0xFFFFFFFF, 0xFFFFFFFF, 0xFFFFFFFF, 0xFFFFFFFF},
         {0xFFFFFFFF, 0xFFFFFFFF},
         {0x408F276D, 0x41C83B0E, 0xA20BC7C6, 0x6D5451FD}},
        {{0x243F6A88, 0x85A308D3, 0x13198A2E, 0x03707344},
         {0xA4093822, 0x299F31D0},
         {0xD16CFE09, 0x94FDCCEB, 0x5001E420, 0x24126EA1}},
    };
    for (int i = 0; i < 3; i++) {
        uint32_t out[4];
        philox4x32(known[i].counter, known[i].key, out);
        ck_assert_mem_eq(out, known[i].out, sizeof out);
    }
}
END_TEST

START_TEST(philox_may_write_over_its_counter) {
    const uint32_t counter[4] = {1, 2, 3, 4}, key[2] = {5, 6};
    uint32_t apart[4], inplace[4] = {1, 2, 3, 4};
    philox4x32(counter, key, apart);
    philox4x32(inplace, key, inplace);
    ck_assert_mem_eq(apart, inplace, sizeof apart);
}
END_TEST

/* ---- floats ---- */

START_TEST(unit_floats_reach_zero_and_stay_below_one) {
    ck_assert(rng_unit_f32(0) == 0.0f);
    ck_assert(rng_unit_f32(0xFF) == 0.0f);
    ck_assert(rng_unit_f32(0x100) == 0x1p-24f);
    ck_assert(rng_unit_f32(0x80000000) == 0.5f);
    ck_assert(rng_unit_f32(0xFFFFFFFF) == 1.0f - 0x1p-24f);
    ck_assert(rng_unit_open(0) == 0x1p-53);
    ck_assert(rng_unit_open(UINT64_MAX) == 1.0 - 0x1p-53);
}
END_TEST

/* How far got is from want, in units of the last place of a double. */
static double ulps(double got, long double want) {
    double unit = nextafter(fabs((double)want), INFINITY) - fabs((double)want);
    return (double)fabsl(((long double)got - want) / (long double)unit);
}

START_TEST(log_is_within_two_ulp_everywhere) {
    struct rng g;
    rng_init(&g, test_seed("rng_log"), 0);
    double worst = 0;
    for (int i = 0; i < 200000; i++) {
        uint64_t bits = rng_u64(&g) >> 1;
        double x;
        if (i % 2 ==
            0) /* near 1, where the logarithm is small and its error relative to it large */
            bits = 0x3FE0000000000000 + (bits >> 10);
        memcpy(&x, &bits, sizeof x);
        if (!isfinite(x) || x == 0 || x == 1)
            continue;
        double error = ulps(rng_log(x), logl((long double)x));
        if (error > worst)
            worst = error;
    }
    ck_assert_msg(worst < 2, "%.3f ulp", worst);
}
END_TEST

START_TEST(log_is_exact_where_it_can_be) {
    ck_assert(rng_log(1.0) == 0.0);
    ck_assert(rng_log(2.0) == 0x1.62E42FEFA39EFp-1);
    ck_assert(rng_log(0.5) == -0x1.62E42FEFA39EFp-1);
    static const double edges[] = {
        DBL_TRUE_MIN,        DBL_MIN,     DBL_MAX,    0x1.6A09E667F3BCDp0,
        0x1.6A09E667F3BCCp0, 1 - 0x1p-53, 1 + 0x1p-52};
    for (int i = 0; i < 7; i++)
        ck_assert_msg(ulps(rng_log(edges[i]), logl((long double)edges[i])) < 2, "%a", edges[i]);
}
END_TEST

/* Bits that other machines must have too, whatever their libm and compiler. */
START_TEST(floats_have_the_same_bits_everywhere) {
    static const double logs[][2] = {
        {3.0, 0x1.193EA7AAD030Ap+0},    {10.0, 0x1.26BB1BBB55516p+1},
        {0.7, -0x1.6D3C324E13F5p-2},    {1e-300, -0x1.5963447F87FB5p+9},
        {1.4142, 0x1.62E1AC5B1D181p-2}, {0.99999, -0x1.4F8BC681DF714p-17},
    };
    static const double quantiles[][2] = {
        {0.2, -0x1.AEE8FA73A1333p-1}, {0.01, -0x1.29C5C4630FF0Ep+1}, {1e-12, -0x1.C234FBA57A32Ap+2},
        {0.7, 0x1.0C7E39582C5FAp-1},  {0.93, 0x1.79CD70D9C27F3p+0},
    };
    for (int i = 0; i < 6; i++)
        ck_assert(rng_log(logs[i][0]) == logs[i][1]);
    for (int i = 0; i < 5; i++)
        ck_assert(rng_normal_quantile(quantiles[i][0]) == quantiles[i][1]);
    struct rng g;
    rng_init(&g, 1, 0);
    double sum = 0;
    for (int i = 0; i < 100000; i++)
        sum += rng_normal_quantile(rng_unit_open(rng_u64(&g)));
    ck_assert(sum == -0x1.8D4CD0ADD0DECp+8);
}
END_TEST

START_TEST(quantile_matches_another_implementation) {
    /* Python 3.11, statistics.NormalDist().inv_cdf(p) */
    static const struct {
        double p, x;
    } known[] = {
        {0x1p-53, -8.209536151601386}, {1e-300, -37.0470962993612},    {1e-20, -9.262340089798405},
        {1e-10, -6.361340902404056},   {1e-5, -4.2648907939228256},    {0.001, -3.090232306167813},
        {0.0249, -1.9616778690637862}, {0.025, -1.9599639845400538},   {0.07, -1.4757910281791702},
        {0.075, -1.4395314709384557},  {0.08, -1.4050715603096322},    {0.1, -1.2815515655446008},
        {0.25, -0.6744897501960817},   {0.3333, -0.43081897699671273}, {0.5, 0.0},
        {0.6, 0.2533471031357998},     {0.925, 1.439531470938456},     {0.975, 1.9599639845400536},
        {0.999, 3.090232306167813},    {0.99999, 4.26489079392384},
    };
    for (size_t i = 0; i < sizeof known / sizeof *known; i++) {
        double x = rng_normal_quantile(known[i].p);
        ck_assert_msg(fabs(x - known[i].x) <= 4e-16 * fabs(known[i].x), "p %.17g: %.17g, not %.17g",
                      known[i].p, x, known[i].x);
    }
}
END_TEST

START_TEST(quantile_is_symmetric_to_the_bit) {
    struct rng g;
    rng_init(&g, test_seed("quantile symmetry"), 0);
    for (int i = 0; i < 20000; i++) {
        double p = rng_unit_open(rng_u64(&g) >> (i % 40)); /* also far out in the tail */
        ck_assert_msg(rng_normal_quantile(p) == -rng_normal_quantile(1.0 - p), "%a", p);
    }
}
END_TEST

START_TEST(quantile_rises) {
    double last = -INFINITY;
    for (int i = 1; i < 20000; i++) {
        double x = rng_normal_quantile(i / 20000.0);
        ck_assert_msg(x > last, "at %d", i);
        last = x;
    }
    /* across the borders of the three approximations, by steps of some hundred ulp */
    static const double borders[] = {0.075, 0.925, 1.3887943864964021e-11};
    for (int b = 0; b < 3; b++) {
        last = -INFINITY;
        for (int i = -1000; i < 1000; i++) {
            double x = rng_normal_quantile(borders[b] * (1 + i * 1e-13));
            ck_assert_msg(x >= last, "border %d at %d", b, i);
            last = x;
        }
    }
}
END_TEST

START_TEST(normal_numbers_have_mean_zero_and_deviation_one) {
    struct rng g;
    rng_init(&g, 42, 0);
    double sum = 0, squares = 0;
    enum { N = 200000 };
    for (int i = 0; i < N; i++) {
        double x = rng_normal_quantile(rng_unit_open(rng_u64(&g)));
        sum += x;
        squares += x * x;
    }
    ck_assert(fabs(sum / N) < 0.01);
    ck_assert(fabs(squares / N - 1) < 0.02);
}
END_TEST

/* ---- streams ---- */

START_TEST(a_stream_is_philox_of_its_seed_counter_and_number) {
    struct rng g;
    rng_init(&g, 0x299F31D0A4093822, 0x0370734413198A2E);
    g.counter = 0x85A308D3243F6A88;
    ck_assert_uint_eq(rng_u32(&g), 0xD16CFE09);
    ck_assert_uint_eq(rng_u32(&g), 0x94FDCCEB);
    ck_assert_uint_eq(rng_u64(&g), 0x24126EA15001E420);
    ck_assert_uint_eq(g.counter, 0x85A308D3243F6A89);
}
END_TEST

START_TEST(seeds_and_streams_differ_and_repeat) {
    struct rng a, same, seed, stream;
    rng_init(&a, 1, 2);
    rng_init(&same, 1, 2);
    rng_init(&seed, 2, 2);
    rng_init(&stream, 1, 3);
    int equal_seed = 0, equal_stream = 0;
    for (int i = 0; i < 1000; i++) {
        uint32_t v = rng_u32(&a);
        ck_assert_uint_eq(v, rng_u32(&same));
        equal_seed += v == rng_u32(&seed);
        equal_stream += v == rng_u32(&stream);
    }
    ck_assert_int_lt(equal_seed, 3);
    ck_assert_int_lt(equal_stream, 3);
}
END_TEST

START_TEST(below_is_even_and_in_bounds) {
    struct rng g;
    rng_init(&g, 7, 0);
    static const uint32_t bounds[] = {1, 2, 3, 10, 100};
    for (int b = 0; b < 5; b++) {
        uint32_t counts[100] = {0};
        const uint32_t n = bounds[b], draws = n * 1000;
        for (uint32_t i = 0; i < draws; i++) {
            uint32_t v = rng_below(&g, n);
            ck_assert_uint_lt(v, n);
            counts[v]++;
        }
        for (uint32_t v = 0; v < n; v++)
            ck_assert_msg(counts[v] > 800 && counts[v] < 1200, "%u of %u: %u", v, n, counts[v]);
    }
    /* Below 3 * 2^30 every third number would come twice as often without the second draw. */
    const uint32_t large = 3u << 30;
    uint32_t first = 0;
    for (int i = 0; i < 30000; i++)
        first += rng_below(&g, large) % 3 == 0;
    ck_assert(first > 9500 && first < 10500);
}
END_TEST

START_TEST(unit_floats_of_a_stream_are_even) {
    struct rng g;
    rng_init(&g, 7, 1);
    double sum = 0;
    for (int i = 0; i < 100000; i++) {
        float v = rng_f32(&g);
        ck_assert(v >= 0 && v < 1);
        sum += (double)v;
    }
    ck_assert(fabs(sum / 100000 - 0.5) < 0.005);
}
END_TEST

Suite *rng_suite(void) {
    Suite *s = suite_create("rng");
    TCase *t = tcase_create("philox");
    tcase_add_test(t, philox_gives_the_known_answers);
    tcase_add_test(t, philox_may_write_over_its_counter);
    suite_add_tcase(s, t);
    t = tcase_create("floats");
    tcase_add_test(t, unit_floats_reach_zero_and_stay_below_one);
    tcase_add_test(t, log_is_within_two_ulp_everywhere);
    tcase_add_test(t, log_is_exact_where_it_can_be);
    tcase_add_test(t, floats_have_the_same_bits_everywhere);
    tcase_add_test(t, quantile_matches_another_implementation);
    tcase_add_test(t, quantile_is_symmetric_to_the_bit);
    tcase_add_test(t, quantile_rises);
    tcase_add_test(t, normal_numbers_have_mean_zero_and_deviation_one);
    suite_add_tcase(s, t);
    t = tcase_create("streams");
    tcase_add_test(t, a_stream_is_philox_of_its_seed_counter_and_number);
    tcase_add_test(t, seeds_and_streams_differ_and_repeat);
    tcase_add_test(t, below_is_even_and_in_bounds);
    tcase_add_test(t, unit_floats_of_a_stream_are_even);
    suite_add_tcase(s, t);
    return s;
}
