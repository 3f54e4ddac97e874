/* test_renorm.c - what max_norm does: to a row alone, as torch does it; and in a table, where reading
 * shows it and only an update stores it. */
#include "ps/renorm.h"

#include <check.h>
#include <math.h>
#include <string.h>

#include "common/kern.h"
#include "ps/table.h"
#include "tests/unit/suites.h"

enum { DIM = 4 };

static struct table *t;

static void open_table(uint32_t opt, double max_norm, double norm_type) {
    struct spec s = {.kind = SPEC_DENSE,
                     .dim = DIM,
                     .rows = 1000,
                     .init = SPEC_UNIFORM,
                     .init_arg = {2, 3},
                     .opt = opt,
                     .padding_idx = SPEC_NO_PADDING,
                     .max_norm = max_norm,
                     .norm_type = norm_type};
    if (opt == SPEC_SPARSE_ADAM)
        memcpy(s.opt_arg, (const double[]){0.9, 0.999, 1e-8}, 3 * sizeof(double));
    ck_assert_int_eq(spec_check(&s), RH_OK);
    ck_assert_int_eq(table_new("words", 1, &s, 0, 1, &t), RH_OK);
}

static void teardown(void) {
    table_free(&t);
}

static void locate(const uint64_t *ids, uint32_t n) {
    ck_assert_int_eq(table_locate(t, (const uint8_t *)ids, n), RH_OK);
}

static void read_rows(const uint64_t *ids, uint32_t n, float *rows) {
    locate(ids, n);
    table_read(t, (const uint8_t *)ids, n, (uint8_t *)rows);
}

static void pull_rows(const uint64_t *ids, uint32_t n, float *rows) {
    locate(ids, n);
    table_pull(t, (const uint8_t *)ids, n, (uint8_t *)rows);
}

static void write_rows(const uint64_t *ids, uint32_t n, const float *rows) {
    locate(ids, n);
    table_write(t, (const uint8_t *)ids, n, (const uint8_t *)rows);
}

static void update_rows(const uint64_t *ids, uint32_t n, const float *grads, double lr) {
    locate(ids, n);
    ck_assert_int_eq(table_update(t, (const uint8_t *)ids, n, (const uint8_t *)grads, lr, 1),
                     RH_OK);
}

/* ---- a row ---- */

/* What torch 1.13's embedding_renorm_ makes of the row (3, 4) for max_norm 1. */
START_TEST(rows_are_scaled_as_torch_does) {
    static const struct {
        double p;
        float want[2];
    } cases[] = {
        {0.01, {6.830988102713146e-31f, 9.107984136950861e-31f}},
        {0.5, {0.21539029479026794f, 0.2871870696544647f}},
        {1, {0.4285714030265808f, 0.5714285373687744f}},
        {2, {0.6000000238418579f, 0.800000011920929f}},
        {3, {0.6669718027114868f, 0.8892956972122192f}},
        {INFINITY, {0.75f, 1}},
    };
    for (size_t k = 0; k < sizeof cases / sizeof *cases; k++) {
        struct spec s = {.dim = 2, .max_norm = 1, .norm_type = cases[k].p};
        float row[2] = {3, 4};
        ck_assert(renorm_row(&s, row));
        for (int i = 0; i < 2; i++)
            ck_assert_float_eq_tol(row[i] / cases[k].want[i], 1, k == 0 ? 2e-5f : 1.5e-7f);
    }
}
END_TEST

START_TEST(a_row_that_is_not_above_max_norm_keeps_its_bits) {
    struct spec s = {.dim = 4, .max_norm = 5, .norm_type = 2};
    float at[4] = {3, 4, -0.0f, 0}, below[4] = {3, 3.9f, 0, 1e-42f}, zeros[4] = {0}, was[4];
    memcpy(was, at, sizeof at);
    ck_assert(!renorm_row(&s, at));
    ck_assert_mem_eq(at, was, sizeof at);
    memcpy(was, below, sizeof below);
    ck_assert(!renorm_row(&s, below));
    ck_assert_mem_eq(below, was, sizeof below);
    ck_assert(!renorm_row(&s, zeros));
    s.max_norm = INFINITY;
    float large[4] = {3e38f, 3e38f, 3e38f, 3e38f};
    ck_assert(!renorm_row(&s, large));
}
END_TEST

/* torch has no number for this norm, and makes zeros of the row. */
START_TEST(a_large_p_does_not_make_zeros_of_a_row) {
    struct spec s = {.dim = 2, .max_norm = 1, .norm_type = 100};
    float row[2] = {3, 4};
    ck_assert(renorm_row(&s, row));
    ck_assert_float_eq_tol(row[0], 0.75f, 1e-6f);
    ck_assert_float_eq_tol(row[1], 1, 1e-6f);
}
END_TEST

START_TEST(a_row_with_nan_stays_as_it_is) {
    struct spec s = {.dim = 2, .max_norm = 1, .norm_type = INFINITY};
    float row[2] = {NAN, 4};
    ck_assert(!renorm_row(&s, row));
    ck_assert(row[1] == 4);
}
END_TEST

/* ---- a table ---- */

START_TEST(a_pull_shows_renormalized_rows_and_changes_nothing) {
    open_table(SPEC_SGD, 1, 2);
    const uint64_t ids[3] = {7, 8, 500}; /* above, below, untouched and above */
    const float in[2][DIM] = {{0, 6, 0, 8}, {0.5f, 0, 0, 0}};
    float out[3][DIM], raw[3][DIM];
    write_rows(ids, 2, in[0]);
    for (int again = 0; again < 2; again++) {
        pull_rows(ids, 3, out[0]);
        ck_assert_float_eq_tol(out[0][1], 0.6f, 1e-7f);
        ck_assert_float_eq_tol(out[0][3], 0.8f, 1e-7f);
        ck_assert_mem_eq(out[1], in[1], sizeof in[1]);
        ck_assert_double_eq_tol(kern_norm(DIM, out[2], 2), 1, 1e-6);
        read_rows(ids, 3, raw[0]);
        ck_assert_mem_eq(raw, in, sizeof in);
        ck_assert(raw[2][0] >= 2);
        ck_assert_uint_eq(t->store.n_touched, 2);
    }
}
END_TEST

/* What the worker has computed its gradient for is what it has pulled. */
START_TEST(an_update_starts_from_what_a_pull_shows) {
    static const double ps[] = {1, 2, 3, INFINITY};
    for (int k = 0; k < 4; k++) {
        open_table(SPEC_SGD, 1, ps[k]);
        const uint64_t ids[4] = {7, 8, 9, 500}; /* above, below, above and absent, untouched */
        const float in[3][DIM] = {{0, 6, 0, 8}, {0.25f, 0, 0, 0}, {9, 9, 9, 9}};
        const float g[3][DIM] = {{1, 2, 3, 4}, {5, 6, 7, 8}, {-1, -2, -3, -4}};
        const uint64_t named[3] = {7, 8, 500};
        float shown[3][DIM], have[3][DIM], absent[DIM];
        write_rows(ids, 3, in[0]);
        pull_rows(named, 3, shown[0]);
        ck_assert(shown[0][3] < 8 && shown[2][0] < 2);
        update_rows(named, 3, g[0], 0.5);
        read_rows(named, 3, have[0]);
        for (int i = 0; i < 3; i++)
            for (int d = 0; d < DIM; d++)
                ck_assert(have[i][d] == shown[i][d] - 0.5f * g[i][d]);
        read_rows(ids + 2, 1, absent);
        ck_assert_mem_eq(absent, in[2], sizeof absent);
        table_free(&t);
    }
}
END_TEST

START_TEST(a_row_that_an_update_passes_over_is_not_renormalized) {
    open_table(SPEC_SPARSE_ADAM, 1, 2);
    t->spec.nonfinite = SPEC_SKIP;
    t->spec.padding_idx = 3;
    const uint64_t ids[3] = {3, 4, 5};
    const float in[3][DIM] = {{9, 9, 9, 9}, {9, 9, 9, 9}, {9, 9, 9, 9}};
    const float g[3][DIM] = {{1, 1, 1, 1}, {1, NAN, 1, 1}, {1, 1, 1, 1}};
    float have[3][DIM];
    write_rows(ids, 3, in[0]);
    update_rows(ids, 3, g[0], 0.5);
    read_rows(ids, 3, have[0]);
    ck_assert_mem_eq(have, in, 2 * sizeof in[0]);
    ck_assert_float_eq_tol(have[2][0], 0.5f - 0.5f, 1e-6f);
    ck_assert_uint_eq(t->skipped, 1);
    pull_rows(ids, 3, have[0]); /* the padding row too, as in torch */
    ck_assert_float_eq_tol(have[0][0], 0.5f, 1e-6f);
}
END_TEST

START_TEST(answers_may_stand_at_any_address) {
    open_table(SPEC_SGD, 1, 3);
    const uint64_t ids[2] = {7, 500};
    float want[2][DIM];
    pull_rows(ids, 2, want[0]);
    for (size_t shift = 1; shift < 8; shift++) {
        uint8_t id_bytes[sizeof ids + 8], bytes[sizeof want + 8];
        memcpy(id_bytes + shift, ids, sizeof ids);
        ck_assert_int_eq(table_locate(t, id_bytes + shift, 2), RH_OK);
        table_pull(t, id_bytes + shift, 2, bytes + shift);
        ck_assert_mem_eq(bytes + shift, want, sizeof want);
    }
}
END_TEST

Suite *renorm_suite(void) {
    Suite *s = suite_create("renorm");
    TCase *tc = tcase_create("row");
    tcase_add_test(tc, rows_are_scaled_as_torch_does);
    tcase_add_test(tc, a_row_that_is_not_above_max_norm_keeps_its_bits);
    tcase_add_test(tc, a_large_p_does_not_make_zeros_of_a_row);
    tcase_add_test(tc, a_row_with_nan_stays_as_it_is);
    suite_add_tcase(s, tc);
    tc = tcase_create("table");
    tcase_add_checked_fixture(tc, NULL, teardown);
    tcase_add_test(tc, a_pull_shows_renormalized_rows_and_changes_nothing);
    tcase_add_test(tc, an_update_starts_from_what_a_pull_shows);
    tcase_add_test(tc, a_row_that_an_update_passes_over_is_not_renormalized);
    tcase_add_test(tc, answers_may_stand_at_any_address);
    suite_add_tcase(s, tc);
    return s;
}
