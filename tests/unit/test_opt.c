/* test_opt.c - optimizers do what torch does: golden values that torch wrote (tests/golden), fast
 * loops against naive ones to the bit, and the first steps by hand. */
#include <check.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/rng.h"
#include "ps/opt.h"
#include "ps/table.h"
#include "tests/unit/suites.h"

static const struct spec adam_spec = {.opt = SPEC_SPARSE_ADAM, .opt_arg = {0.9, 0.999, 1e-8}};

/* Every way of working of every optimizer. */
static const struct spec ways[] = {
    {.opt = SPEC_SGD},
    {.opt = SPEC_SGD, .opt_arg = {0, 0, 0.1}},
    {.opt = SPEC_SGD, .opt_arg = {0.9}},
    {.opt = SPEC_SGD, .opt_arg = {0.9, 0.25, 0.1}},
    {.opt = SPEC_SGD, .opt_arg = {0.9, 0, 0.1}, .opt_flags = SPEC_NESTEROV},
    {.opt = SPEC_SPARSE_ADAM, .opt_arg = {0.9, 0.999, 1e-8}},
    {.opt = SPEC_SPARSE_ADAM, .opt_arg = {0.9, 0.999, 1e-8}, .opt_flags = SPEC_STEPS_PER_ROW},
    {.opt = SPEC_ADAGRAD, .opt_arg = {0.01, 0.1, 0.5, 1e-10}},
    {.opt = SPEC_ROWWISE_ADAGRAD, .opt_arg = {0.01, 0.1, 0.5, 1e-8}},
    {.opt = SPEC_ADAM, .opt_arg = {0.9, 0.999, 1e-8, 0.1}},
    {.opt = SPEC_ADAMW, .opt_arg = {0.9, 0.999, 1e-8, 0.1}},
    {.opt = SPEC_RMSPROP, .opt_arg = {0.99, 1e-8, 0.1, 0}},
    {.opt = SPEC_RMSPROP, .opt_arg = {0.99, 1e-8, 0.1, 0.9}},
    {.opt = SPEC_RMSPROP, .opt_arg = {0.99, 1e-8, 0.1, 0}, .opt_flags = SPEC_CENTERED},
    {.opt = SPEC_RMSPROP, .opt_arg = {0.99, 1e-8, 0.1, 0.9}, .opt_flags = SPEC_CENTERED},
};
enum { WAYS = sizeof ways / sizeof *ways, SLOTS_MAX = 3 };

START_TEST(every_kind_of_the_spec_is_registered) {
    for (uint32_t kind = 1; kind < SPEC_OPTS_END; kind++)
        ck_assert_ptr_nonnull(opt_find(&(struct spec){.opt = kind}));
    bool tried[SPEC_OPTS_END] = {false};
    for (int i = 0; i < WAYS; i++)
        tried[ways[i].opt] = true;
    for (uint32_t kind = 1; kind < SPEC_OPTS_END; kind++)
        ck_assert_msg(tried[kind], "no test of %s", spec_opt_name(kind));
}
END_TEST

/* What a table costs is part of what is promised. */
START_TEST(state_is_kept_only_where_the_formula_needs_it) {
    static const uint32_t slots[WAYS] = {0, 0, 1, 1, 1, 2, 2, 1, 0, 2, 2, 1, 2, 2, 3};
    static const uint32_t own[WAYS] = {[3] = 1, [6] = 1, [8] = 1};
    for (int i = 0; i < WAYS; i++) {
        ck_assert_uint_eq(opt_find(&ways[i])->slots, slots[i]);
        ck_assert_uint_eq(opt_find(&ways[i])->own, own[i]);
        ck_assert_uint_le(slots[i], SLOTS_MAX);
    }
}
END_TEST

START_TEST(powers_are_powers) {
    ck_assert(opt_power(0.9, 0) == 1);
    ck_assert(opt_power(0.9, 1) == 0.9);
    ck_assert(opt_power(2, 62) == 0x1p62);
    ck_assert(opt_power(0, 5) == 0);
    for (uint64_t n = 1; n < 5000; n += 7) {
        double want = pow(0.999, (double)n);
        ck_assert_double_eq_tol(opt_power(0.999, n) / want, 1, 1e-12);
    }
    ck_assert(opt_power(0.999, UINT64_MAX) == 0);
}
END_TEST

/* 1..100 dims at addresses that are off a vector's alignment in every way, and values of all sizes.
 * Two steps, so that the first and a later one are both seen. */
static void hold_fast_and_naive_together(const struct spec *s) {
    enum { DIM = 100, ROOM = DIM + 4 };
    const struct opt_ops *opt = opt_find(s);
    struct rng g;
    rng_init(&g, 7, 1);
    for (uint32_t dim = 1; dim <= DIM; dim++) {
        float w[ROOM], slots[SLOTS_MAX * ROOM] = {0}, own = 0, grad[ROOM];
        float w2[ROOM], slots2[SLOTS_MAX * ROOM] = {0}, own2 = 0;
        for (uint32_t i = 0; i < ROOM; i++)
            w[i] = rng_f32(&g) - 0.5f;
        memcpy(w2, w, sizeof w);
        uint32_t a = rng_below(&g, 4), b = rng_below(&g, 4), c = rng_below(&g, 4);
        for (uint32_t steps = dim; steps < dim + 2; steps++) {
            for (uint32_t i = 0; i < ROOM; i++)
                grad[i] = ldexpf(rng_f32(&g) - 0.5f, -(int)rng_below(&g, 40));
            struct opt_step step;
            opt->prepare(s, 0.01, steps, &step);
            opt->update(&step, dim, w + a, slots + b, &own, grad + c);
            opt->naive(&step, dim, w2 + a, slots2 + b, &own2, grad + c);
        }
        ck_assert_mem_eq(w, w2, sizeof w);
        ck_assert_mem_eq(slots, slots2, sizeof slots);
        ck_assert_mem_eq(&own, &own2, sizeof own);
        for (uint32_t i = b + opt->slots * dim; i < SLOTS_MAX * ROOM; i++)
            ck_assert(slots[i] == 0);
        ck_assert((opt->own != 0) == (own != 0));
    }
}

START_TEST(fast_loops_give_the_bits_of_naive_ones) {
    for (int i = 0; i < WAYS; i++)
        hold_fast_and_naive_together(&ways[i]);
}
END_TEST

START_TEST(sgd_steps_against_the_gradient) {
    struct opt_step step;
    opt_sgd->prepare(&(struct spec){.opt = SPEC_SGD}, 0.5, 1, &step);
    float w[3] = {1, 2, 3}, g[3] = {2, 0, -4};
    opt_sgd->update(&step, 3, w, NULL, NULL, g);
    ck_assert(w[0] == 0 && w[1] == 2 && w[2] == 5);
}
END_TEST

/* As torch: buf begins as the gradient, and is dampened from the second step on. The step of the row
 * is meant, not T. */
START_TEST(dampening_spares_the_first_step_of_a_row) {
    const struct spec s = {.opt = SPEC_SGD, .opt_arg = {0.5, 0.75}};
    const struct opt_ops *opt = opt_find(&s);
    struct opt_step step;
    opt->prepare(&s, 1, 100, &step);
    float w = 0, buf = 0, own = 0, g = 8;
    opt->update(&step, 1, &w, &buf, &own, &g);
    ck_assert(buf == 8 && w == -8);
    opt->update(&step, 1, &w, &buf, &own, &g);
    ck_assert(buf == 6 && w == -14);
}
END_TEST

START_TEST(row_wise_adagrad_divides_by_the_root_of_the_mean_square) {
    const struct spec s = {.opt = SPEC_ROWWISE_ADAGRAD, .opt_arg = {0, 0, 0, 1e-8}};
    const struct opt_ops *opt = opt_find(&s);
    struct opt_step step;
    opt->prepare(&s, 0.5, 1, &step);
    float w[4] = {0}, own = 0, g[4] = {4, -4, 2, 0};
    opt->update(&step, 4, w, NULL, &own, g);
    ck_assert(own == 9);
    ck_assert_float_eq_tol(w[0], -0.5f * 4 / 3, 1e-6f);
    ck_assert_float_eq_tol(w[1], 0.5f * 4 / 3, 1e-6f);
    ck_assert(w[3] == 0);
}
END_TEST

START_TEST(counts_of_a_row_stop_at_their_end) {
    float own;
    uint32_t n = UINT32_MAX - 1;
    memcpy(&own, &n, sizeof n);
    ck_assert_uint_eq(opt_count(&own), UINT32_MAX);
    ck_assert_uint_eq(opt_count(&own), UINT32_MAX);
    own = 0;
    ck_assert_uint_eq(opt_count(&own), 1);
    ck_assert_uint_eq(opt_count(&own), 2);
}
END_TEST

/* At T = 1 the corrections leave lr * sign(g), whatever the size of g. */
START_TEST(the_first_adam_step_is_lr_by_sign) {
    struct opt_step step;
    opt_sparse_adam->prepare(&adam_spec, 0.01, 1, &step);
    float w[4] = {0}, state[8] = {0}, g[4] = {3, -3, 1000, 0};
    opt_sparse_adam->update(&step, 4, w, state, NULL, g);
    ck_assert_float_eq_tol(w[0], -0.01f, 1e-7f);
    ck_assert_float_eq_tol(w[1], 0.01f, 1e-7f);
    ck_assert_float_eq_tol(w[2], -0.01f, 1e-7f);
    ck_assert(w[3] == 0);
}
END_TEST

/* As torch: a row that first appears late in a table's life takes about 3.16 times the step. */
START_TEST(t_belongs_to_the_table_not_to_the_row) {
    struct opt_step step;
    opt_sparse_adam->prepare(&adam_spec, 0.01, 100000, &step);
    float w = 0, state[2] = {0}, g = 3;
    opt_sparse_adam->update(&step, 1, &w, state, NULL, &g);
    ck_assert_float_eq_tol(w, -0.0316228f, 1e-6f);
}
END_TEST

START_TEST(with_steps_per_row_t_belongs_to_the_row) {
    struct spec s = adam_spec;
    s.opt_flags = SPEC_STEPS_PER_ROW;
    const struct opt_ops *opt = opt_find(&s);
    struct opt_step step;
    opt->prepare(&s, 0.01, 100000, &step);
    float w = 0, state[2] = {0}, own = 0, g = 3;
    opt->update(&step, 1, &w, state, &own, &g);
    ck_assert_float_eq_tol(w, -0.01f, 1e-7f);
}
END_TEST

/* ---- golden values: the format is described in tests/golden/make_golden.py ---- */

enum { GOLDEN_DIM_MAX = 64, GOLDEN_ROWS_MAX = 64 };

struct replay {
    FILE *file;
    struct table *table;
    struct spec spec;
    uint32_t n_rows;
    uint64_t steps;
    uint64_t ids[GOLDEN_ROWS_MAX];
    float rows[GOLDEN_ROWS_MAX][GOLDEN_DIM_MAX];
    double maxdiff;
    unsigned compared;
};

static uint64_t next_u64(FILE *f) {
    unsigned long long v;
    ck_assert_int_eq(fscanf(f, "%llu", &v), 1);
    return v;
}

static double next_real(FILE *f) {
    double v;
    ck_assert_int_eq(fscanf(f, "%lf", &v), 1);
    return v;
}

static void next_floats(struct replay *r, double unit, float *out) {
    for (uint32_t i = 0; i < r->spec.dim; i++)
        out[i] = (float)(next_real(r->file) * unit);
}

static uint32_t opt_named(const char *name) {
    uint32_t kind = 1;
    while (kind < SPEC_OPTS_END && strcmp(spec_opt_name(kind), name) != 0)
        kind++;
    ck_assert_msg(kind < SPEC_OPTS_END, "no optimizer is called %s", name);
    return kind;
}

static void begin_case(struct replay *r) {
    char name[24];
    ck_assert_int_eq(fscanf(r->file, "%23s", name), 1);
    r->spec = (struct spec){.kind = SPEC_DENSE,
                            .init = SPEC_ZEROS,
                            .opt = opt_named(name),
                            .padding_idx = SPEC_NO_PADDING};
    r->spec.opt_flags = (uint32_t)next_u64(r->file);
    r->spec.dim = (uint32_t)next_u64(r->file);
    r->spec.rows = next_u64(r->file);
    r->n_rows = (uint32_t)next_u64(r->file);
    ck_assert(r->spec.dim <= GOLDEN_DIM_MAX && r->n_rows <= GOLDEN_ROWS_MAX);
    for (int i = 0; i < SPEC_OPT_ARGS; i++)
        r->spec.opt_arg[i] = next_real(r->file);
    ck_assert_int_eq(spec_check(&r->spec), RH_OK);
    ck_assert_int_eq(table_new("golden", 1, &r->spec, 0, 1, &r->table), RH_OK);
    r->steps = 0;
}

static void write_row(struct replay *r) {
    uint64_t id = next_u64(r->file);
    float row[GOLDEN_DIM_MAX];
    next_floats(r, 1.0 / 256, row);
    ck_assert_int_eq(table_locate(r->table, (const uint8_t *)&id, 1), RH_OK);
    table_write(r->table, (const uint8_t *)&id, 1, (const uint8_t *)row);
}

/* Equal ids are added in order, as a client does it before it sends them. */
static void run_step(struct replay *r) {
    double lr = next_real(r->file);
    uint32_t dim = r->spec.dim, n = 0;
    for (uint64_t left = next_u64(r->file); left > 0; left--) {
        ck_assert_int_eq(fscanf(r->file, " grad"), 0);
        uint64_t id = next_u64(r->file);
        float g[GOLDEN_DIM_MAX];
        next_floats(r, ldexp(1, (int)next_real(r->file)), g);
        uint32_t at = 0;
        while (at < n && r->ids[at] != id)
            at++;
        if (at == n) {
            r->ids[n++] = id;
            memset(r->rows[at], 0, sizeof r->rows[at]);
        }
        for (uint32_t i = 0; i < dim; i++)
            r->rows[at][i] += g[i];
    }
    for (uint32_t k = 1; k < n; k++)
        memmove(&r->rows[0][0] + (size_t)k * dim, r->rows[k], dim * sizeof(float));
    ck_assert_int_eq(table_locate(r->table, (const uint8_t *)r->ids, n), RH_OK);
    ck_assert_int_eq(table_update(r->table, (const uint8_t *)r->ids, n, (const uint8_t *)r->rows,
                                  lr, ++r->steps),
                     RH_OK);
}

static void compare_row(struct replay *r) {
    uint64_t id = next_u64(r->file);
    float want[GOLDEN_DIM_MAX], have[GOLDEN_DIM_MAX];
    next_floats(r, 1, want);
    ck_assert_int_eq(table_locate(r->table, (const uint8_t *)&id, 1), RH_OK);
    table_read(r->table, (const uint8_t *)&id, 1, (uint8_t *)have);
    for (uint32_t i = 0; i < r->spec.dim; i++) {
        double diff = fabs((double)have[i] - want[i]);
        r->maxdiff = fmax(r->maxdiff, diff);
        r->compared++;
        ck_assert_msg(diff <= 1e-6 + 1e-5 * fabsf(want[i]),
                      "%s, dim %u, after step %llu, id %llu, column %u: %.9g, torch has %.9g",
                      spec_opt_name(r->spec.opt), r->spec.dim, (unsigned long long)r->steps,
                      (unsigned long long)id, i, have[i], want[i]);
    }
}

/* Replays every case of a file; says how far from torch it came. */
static void replay(const char *path) {
    static struct replay r;
    r = (struct replay){.file = fopen(path, "r")};
    ck_assert_msg(r.file != NULL, "cannot open %s: run the tests from the root of the tree", path);
    char word[16];
    while (fscanf(r.file, "%15s", word) == 1) {
        if (strcmp(word, "case") == 0)
            begin_case(&r);
        else if (strcmp(word, "row") == 0)
            write_row(&r);
        else if (strcmp(word, "step") == 0)
            run_step(&r);
        else if (strcmp(word, "want") == 0)
            ck_assert_uint_eq(next_u64(r.file), r.steps);
        else if (strcmp(word, "is") == 0)
            compare_row(&r);
        else if (strcmp(word, "end") == 0)
            table_free(&r.table);
        else
            ck_abort_msg("%s: unknown word \"%s\"", path, word);
    }
    ck_assert(feof(r.file) && r.table == NULL);
    fclose(r.file);
    ck_assert_uint_gt(r.compared, 1000);
    printf("%s: maxdiff %.3g in %u values\n", path, r.maxdiff, r.compared);
}

START_TEST(sgd_matches_torch_for_100_steps) {
    replay("tests/golden/sgd.txt");
}
END_TEST

START_TEST(sgd_momentum_matches_torch_for_100_steps) {
    replay("tests/golden/sgd_momentum.txt");
}
END_TEST

START_TEST(sparse_adam_matches_torch_for_100_steps) {
    replay("tests/golden/sparse_adam.txt");
}
END_TEST

START_TEST(sparse_adam_per_row_matches_torch_for_100_steps) {
    replay("tests/golden/sparse_adam_per_row.txt");
}
END_TEST

START_TEST(adagrad_matches_torch_for_100_steps) {
    replay("tests/golden/adagrad.txt");
}
END_TEST

START_TEST(rowwise_adagrad_matches_its_formula_in_double_for_100_steps) {
    replay("tests/golden/rowwise_adagrad.txt");
}
END_TEST

START_TEST(adam_matches_torch_for_100_steps) {
    replay("tests/golden/adam.txt");
}
END_TEST

START_TEST(adamw_matches_torch_for_100_steps) {
    replay("tests/golden/adamw.txt");
}
END_TEST

START_TEST(rmsprop_matches_torch_for_100_steps) {
    replay("tests/golden/rmsprop.txt");
}
END_TEST

Suite *opt_suite(void) {
    TCase *tc = tcase_create("formulas");
    tcase_add_test(tc, every_kind_of_the_spec_is_registered);
    tcase_add_test(tc, state_is_kept_only_where_the_formula_needs_it);
    tcase_add_test(tc, powers_are_powers);
    tcase_add_test(tc, fast_loops_give_the_bits_of_naive_ones);
    tcase_add_test(tc, sgd_steps_against_the_gradient);
    tcase_add_test(tc, dampening_spares_the_first_step_of_a_row);
    tcase_add_test(tc, row_wise_adagrad_divides_by_the_root_of_the_mean_square);
    tcase_add_test(tc, counts_of_a_row_stop_at_their_end);
    tcase_add_test(tc, the_first_adam_step_is_lr_by_sign);
    tcase_add_test(tc, t_belongs_to_the_table_not_to_the_row);
    tcase_add_test(tc, with_steps_per_row_t_belongs_to_the_row);
    Suite *s = suite_create("opt");
    suite_add_tcase(s, tc);
    tc = tcase_create("torch");
    tcase_add_test(tc, sgd_matches_torch_for_100_steps);
    tcase_add_test(tc, sgd_momentum_matches_torch_for_100_steps);
    tcase_add_test(tc, sparse_adam_matches_torch_for_100_steps);
    tcase_add_test(tc, sparse_adam_per_row_matches_torch_for_100_steps);
    tcase_add_test(tc, adagrad_matches_torch_for_100_steps);
    tcase_add_test(tc, rowwise_adagrad_matches_its_formula_in_double_for_100_steps);
    tcase_add_test(tc, adam_matches_torch_for_100_steps);
    tcase_add_test(tc, adamw_matches_torch_for_100_steps);
    tcase_add_test(tc, rmsprop_matches_torch_for_100_steps);
    suite_add_tcase(s, tc);
    return s;
}
