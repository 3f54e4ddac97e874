/* test_table.c - rows in, rows out: what a shard may rely on, on any number of shards and at any
 * address. */
#include <check.h>
#include <stdlib.h>
#include <string.h>

#include "common/err.h"
#include "common/rng.h"
#include "proto/place.h"
#include "ps/table.h"
#include "tests/unit/suites.h"

enum { DIM = 7 };

static struct table *t;

static struct spec spec_of(uint64_t rows, uint32_t dim, uint32_t opt) {
    struct spec s = {.kind = SPEC_DENSE,
                     .dim = dim,
                     .rows = rows,
                     .seed = 3,
                     .init = SPEC_UNIFORM,
                     .init_arg = {-1, 1},
                     .opt = opt,
                     .lr = 0.1,
                     .padding_idx = SPEC_NO_PADDING};
    if (opt == SPEC_SPARSE_ADAM)
        memcpy(s.opt_arg, (const double[]){0.9, 0.999, 1e-8}, 3 * sizeof(double));
    return s;
}

static void open_table(uint64_t rows, uint32_t dim, uint32_t opt) {
    struct spec s = spec_of(rows, dim, opt);
    ck_assert_int_eq(table_new("words", 1, &s, 0, 1, &t), RH_OK);
}

static void teardown(void) {
    table_free(&t);
}

static void read_rows(struct table *from, const uint64_t *ids, uint32_t n, float *rows) {
    ck_assert_int_eq(table_locate(from, (const uint8_t *)ids, n), RH_OK);
    table_read(from, (const uint8_t *)ids, n, (uint8_t *)rows);
}

static void write_rows(struct table *to, const uint64_t *ids, uint32_t n, const float *rows) {
    ck_assert_int_eq(table_locate(to, (const uint8_t *)ids, n), RH_OK);
    table_write(to, (const uint8_t *)ids, n, (const uint8_t *)rows);
}

static void update_rows(struct table *to, const uint64_t *ids, uint32_t n, const float *grads,
                        uint64_t steps) {
    ck_assert_int_eq(table_locate(to, (const uint8_t *)ids, n), RH_OK);
    ck_assert_int_eq(table_update(to, (const uint8_t *)ids, n, (const uint8_t *)grads, 0.1, steps),
                     RH_OK);
}

static void draw_floats(struct rng *g, float *out, size_t n) {
    for (size_t i = 0; i < n; i++)
        out[i] = rng_f32(g) - 0.5f;
}

START_TEST(an_untouched_row_reads_as_its_initial_value_and_stays_untouched) {
    open_table(100000, DIM, SPEC_SGD);
    const uint64_t ids[] = {0, 99999, 5, 5};
    float rows[4][DIM], want[DIM];
    read_rows(t, ids, 4, rows[0]);
    for (int i = 0; i < 4; i++) {
        init_row(&t->init, ids[i], want);
        ck_assert_mem_eq(rows[i], want, sizeof want);
    }
    ck_assert_uint_eq(t->store.n_touched, 0);
    ck_assert_uint_eq(store_memory_bytes(&t->store), 0);
}
END_TEST

START_TEST(a_written_row_reads_back_its_bits) {
    open_table(100000, 3, SPEC_SGD);
    const uint64_t ids[] = {7, 16391, 99998};
    /* -0, NaN with a payload, a subnormal: whatever was written. */
    const uint32_t bits[3][3] = {{0x80000000, 0x7fc12345, 1}, {2, 3, 4}, {5, 6, 0xff800000}};
    float rows[3][3];
    memcpy(rows, bits, sizeof bits);
    write_rows(t, ids, 3, rows[0]);
    memset(rows, 0, sizeof rows);
    read_rows(t, ids, 3, rows[0]);
    ck_assert_mem_eq(rows, bits, sizeof bits);
    ck_assert_uint_eq(t->store.n_touched, 3);
    write_rows(t, ids, 3, rows[0]);
    ck_assert_uint_eq(t->store.n_touched, 3);
}
END_TEST

START_TEST(an_update_of_an_untouched_row_starts_from_its_initial_value) {
    open_table(100000, DIM, SPEC_SGD);
    const uint64_t id = 54321;
    float g[DIM] = {1, 2, 3, 4, 5, 6, 7}, want[DIM], have[DIM];
    read_rows(t, &id, 1, want);
    update_rows(t, &id, 1, g, 1);
    read_rows(t, &id, 1, have);
    for (int i = 0; i < DIM; i++)
        ck_assert(have[i] == want[i] - 0.1f * g[i]);
    ck_assert_uint_eq(t->store.n_touched, 1);
}
END_TEST

START_TEST(rows_that_are_not_finite_are_skipped_and_counted_if_the_spec_says_so) {
    struct spec s = spec_of(100, 2, SPEC_SPARSE_ADAM);
    s.nonfinite = SPEC_SKIP;
    ck_assert_int_eq(table_new("words", 1, &s, 0, 1, &t), RH_OK);
    const uint64_t ids[3] = {5, 6, 7};
    const float g[6] = {1, NAN, 1, 1, INFINITY, 1};
    float before[6], after[6];
    read_rows(t, ids, 3, before);
    update_rows(t, ids, 3, g, 1);
    ck_assert_uint_eq(t->skipped, 2);
    ck_assert_uint_eq(t->store.n_touched, 1);
    ck_assert(store_slot(&t->store, t->rows[0])[0] == 0);
    read_rows(t, ids, 3, after);
    ck_assert_mem_eq(before, after, 2 * sizeof(float));
    ck_assert_mem_eq(before + 4, after + 4, 2 * sizeof(float));
    ck_assert(before[2] != after[2] && before[3] != after[3]);
}
END_TEST

/* Clients do not send its gradients; those that do are passed over, wherever they stand in a batch. */
START_TEST(no_update_changes_the_padding_row_or_its_state) {
    enum { N = 5 };
    struct spec s = spec_of(100000, 3, SPEC_SPARSE_ADAM);
    s.padding_idx = 5;
    s.nonfinite = SPEC_SKIP;
    const uint64_t ids[N][N] = {
        {5, 1, 2, 3, 4}, {1, 2, 5, 3, 4}, {1, 2, 3, 4, 5}, {5, 5, 1, 2, 5}, {5, 5, 5, 5, 5}};
    const uint32_t others[N] = {4, 4, 4, 2, 0};
    float grads[N][3], rows[N][3], before[N][3];
    for (int k = 0; k < N; k++) {
        ck_assert_int_eq(table_new("words", 1, &s, 0, 1, &t), RH_OK);
        for (int i = 0; i < N; i++)
            grads[i][0] = grads[i][1] = grads[i][2] = ids[k][i] == 5 ? NAN : 1;
        read_rows(t, ids[k], N, before[0]);
        update_rows(t, ids[k], N, grads[0], 1);
        read_rows(t, ids[k], N, rows[0]);
        for (int i = 0; i < N; i++)
            ck_assert_int_eq(rows[i][0] == before[i][0], ids[k][i] == 5);
        ck_assert_uint_eq(t->store.n_touched, others[k]);
        ck_assert_uint_eq(t->skipped, 0);

        const float set[3] = {1, -2, 3};
        const uint64_t padding = 5;
        write_rows(t, &padding, 1, set);
        update_rows(t, ids[k], N, grads[0], 2);
        read_rows(t, &padding, 1, rows[0]);
        ck_assert_mem_eq(rows[0], set, sizeof set);
        for (int i = 0; i < 6; i++)
            ck_assert(store_slot(&t->store, t->rows[0])[i] == 0);
        table_free(&t);
    }
}
END_TEST

START_TEST(a_write_leaves_the_optimizer_state) {
    open_table(100000, 1, SPEC_SPARSE_ADAM);
    const uint64_t id = 5;
    const float g = 2, w = 9;
    update_rows(t, &id, 1, &g, 1);
    uint64_t row = t->rows[0];
    float m = store_slot(&t->store, row)[0], v = store_slot(&t->store, row)[1];
    ck_assert(m != 0 && v != 0);
    write_rows(t, &id, 1, &w);
    ck_assert(store_slot(&t->store, row)[0] == m && store_slot(&t->store, row)[1] == v);
}
END_TEST

START_TEST(frames_may_stand_at_any_address) {
    enum { N = 40 };
    struct rng g;
    rng_init(&g, 1, 1);
    uint64_t ids[N];
    float grads[N][DIM], rows[N][DIM], want[N][DIM];
    for (uint32_t i = 0; i < N; i++)
        ids[i] = i * 977;
    draw_floats(&g, grads[0], (size_t)N * DIM);
    draw_floats(&g, rows[0], (size_t)N * DIM);
    for (size_t shift = 0; shift < 8; shift++) {
        uint8_t id_bytes[sizeof ids + 8], bytes[sizeof rows + 8];
        memcpy(id_bytes + shift, ids, sizeof ids);
        open_table(100000, DIM, SPEC_SPARSE_ADAM);
        ck_assert_int_eq(table_locate(t, id_bytes + shift, N), RH_OK);
        memcpy(bytes + shift, rows, sizeof rows);
        table_write(t, id_bytes + shift, N, bytes + shift);
        memcpy(bytes + shift, grads, sizeof grads);
        ck_assert_int_eq(table_update(t, id_bytes + shift, N, bytes + shift, 0.1, 1), RH_OK);
        table_read(t, id_bytes + shift, N, bytes + shift);
        if (shift == 0)
            memcpy(want, bytes, sizeof want);
        ck_assert_mem_eq(bytes + shift, want, sizeof want);
        table_free(&t);
    }
}
END_TEST

START_TEST(every_dim_works) {
    static const uint32_t dims[] = {1, 2, 3, 4, 15, 16, 17, 31, 64, 100, 255, 257, 1000, 4096};
    enum { N = 20 };
    struct rng g;
    rng_init(&g, 2, 1);
    for (size_t k = 0; k < sizeof dims / sizeof *dims; k++) {
        uint32_t dim = dims[k];
        open_table(N, dim, SPEC_SGD);
        float *rows = malloc(sizeof(float) * N * dim), *grads = malloc(sizeof(float) * N * dim);
        float *have = malloc(sizeof(float) * N * dim);
        uint64_t ids[N];
        for (uint32_t i = 0; i < N; i++)
            ids[i] = N - 1 - i;
        draw_floats(&g, rows, (size_t)N * dim);
        draw_floats(&g, grads, (size_t)N * dim);
        write_rows(t, ids, N, rows);
        update_rows(t, ids, N, grads, 1);
        read_rows(t, ids, N, have);
        for (size_t i = 0; i < (size_t)N * dim; i++)
            ck_assert(have[i] == rows[i] - 0.1f * grads[i]);
        free(rows);
        free(grads);
        free(have);
        table_free(&t);
    }
}
END_TEST

/* 40 steps of random rows; every row of the table at the end, by id. */
static void train(const struct spec *s, uint32_t shards, float *all) {
    const uint64_t num = s->rows;
    struct table *parts[7];
    for (uint32_t k = 0; k < shards; k++)
        ck_assert_int_eq(table_new("words", 1, s, k, shards, &parts[k]), RH_OK);
    struct rng g;
    rng_init(&g, 9, 1);
    for (uint64_t step = 1; step <= 40; step++) {
        for (uint32_t i = 0; i < 50; i++) {
            uint64_t id = rng_below(&g, (uint32_t)num);
            float grad[DIM];
            draw_floats(&g, grad, DIM);
            update_rows(parts[place_shard(id, shards)], &id, 1, grad, step);
        }
    }
    for (uint64_t id = 0; id < num; id++)
        read_rows(parts[place_shard(id, shards)], &id, 1, all + id * DIM);
    for (uint32_t k = 0; k < shards; k++)
        table_free(&parts[k]);
}

START_TEST(the_number_of_shards_does_not_show_in_the_bits) {
    enum { NUM = 20000, KINDS = 6 };
    static float one[NUM * DIM], many[NUM * DIM];
    struct spec specs[KINDS] = {
        spec_of(NUM, DIM, SPEC_SPARSE_ADAM), spec_of(NUM, DIM, SPEC_SPARSE_ADAM),
        spec_of(NUM, DIM, SPEC_SGD),         spec_of(NUM, DIM, SPEC_ROWWISE_ADAGRAD),
        spec_of(NUM, DIM, SPEC_SGD),         spec_of(NUM, DIM, SPEC_SPARSE_ADAM),
    };
    specs[1].opt_flags = SPEC_STEPS_PER_ROW;
    specs[2].opt_arg[SGD_MOMENTUM] = 0.9;
    specs[2].opt_arg[SGD_DAMPENING] = 0.5;
    specs[3].opt_arg[ADAGRAD_EPS] = 1e-8;
    for (int k = 4; k < KINDS; k++) {
        specs[k].padding_idx = 12345;
        specs[k].max_norm = 1.5;
        specs[k].norm_type = k == 4 ? 2 : 3;
    }
    static const uint32_t worlds[] = {2, 3, 7};
    for (int k = 0; k < KINDS; k++) {
        train(&specs[k], 1, one);
        for (int i = 0; i < 3; i++) {
            train(&specs[k], worlds[i], many);
            ck_assert_mem_eq(one, many, sizeof one);
        }
    }
}
END_TEST

START_TEST(a_bad_id_is_erange_and_names_table_and_id) {
    open_table(5000, DIM, SPEC_SGD);
    const uint64_t ids[] = {1, 2, 5000};
    ck_assert_int_eq(table_locate(t, (const uint8_t *)ids, 3), RH_ERANGE);
    ck_assert_ptr_nonnull(strstr(err_text(), "\"words\""));
    ck_assert_ptr_nonnull(strstr(err_text(), "id 5000 "));
    ck_assert_uint_eq(t->store.n_touched, 0);
}
END_TEST

START_TEST(no_rows_are_fine) {
    open_table(5000, DIM, SPEC_SPARSE_ADAM);
    ck_assert_int_eq(table_locate(t, NULL, 0), RH_OK);
    table_read(t, NULL, 0, NULL);
    table_write(t, NULL, 0, NULL);
    ck_assert_int_eq(table_update(t, NULL, 0, NULL, 0.1, 1), RH_OK);
    ck_assert_uint_eq(t->store.n_touched, 0);
}
END_TEST

/* Weights that just fit the address space, and twice as much optimizer state, which does not. */
START_TEST(no_room_for_optimizer_state_is_enomem_and_changes_nothing) {
    struct spec s = spec_of(UINT64_C(60) << 28, 1024, SPEC_SPARSE_ADAM);
    if (table_new("huge", 1, &s, 0, 1, &t) != RH_OK)
        return; /* a sanitizer or ulimit -v has left no such room */
    const uint64_t id = s.rows - 1;
    static float g[1024];
    ck_assert_int_eq(table_locate(t, (const uint8_t *)&id, 1), RH_OK);
    ck_assert_int_eq(table_update(t, (const uint8_t *)&id, 1, (const uint8_t *)g, 0.1, 1),
                     RH_ENOMEM);
    ck_assert_ptr_nonnull(strstr(err_text(), "\"huge\""));
    ck_assert_ptr_nonnull(strstr(err_text(), "optimizer state"));
    ck_assert_uint_eq(t->store.n_touched, 0);
}
END_TEST

START_TEST(a_table_beyond_the_address_space_is_enomem) {
    struct spec s = spec_of(UINT64_C(1) << 48, 4096, SPEC_SPARSE_ADAM);
    ck_assert_int_eq(table_new("huge", 1, &s, 0, 1, &t), RH_ENOMEM);
    ck_assert_ptr_null(t);
    ck_assert_ptr_nonnull(strstr(err_text(), "\"huge\""));
}
END_TEST

START_TEST(a_freeze_ends_at_its_clock) {
    open_table(10, 1, SPEC_SGD);
    ck_assert(!freeze_is_whole(&t->freeze, 0));
    ck_assert_int_eq(freeze_range(&t->freeze, 0, 10, 5), RH_OK);
    ck_assert(freeze_is_whole(&t->freeze, 4) && !freeze_is_whole(&t->freeze, 5));
    table_free(&t);
    struct spec s = spec_of(10, 1, SPEC_SGD);
    s.frozen = 1;
    ck_assert_int_eq(table_new("words", 1, &s, 0, 1, &t), RH_OK);
    ck_assert(freeze_is_whole(&t->freeze, 0) && freeze_is_whole(&t->freeze, UINT32_MAX));
}
END_TEST

START_TEST(an_update_leaves_frozen_rows_as_they_are_and_untouched_ones_untouched) {
    open_table(10, 2, SPEC_SPARSE_ADAM);
    uint64_t ids[3] = {2, 3, 4};
    float grads[6] = {1, 1, 1, 1, 1, 1}, before[6], after[6];
    ck_assert_int_eq(table_locate(t, (uint8_t *)ids, 3), RH_OK);
    ck_assert_int_eq(table_update(t, (uint8_t *)ids, 1, (uint8_t *)grads, 0.1, 1), RH_OK);
    table_read(t, (uint8_t *)ids, 3, (uint8_t *)before);
    float state[4];
    memcpy(state, store_slot(&t->store, t->rows[0]), sizeof state);
    ck_assert_int_eq(freeze_range(&t->freeze, 2, 2, 7), RH_OK);
    freeze_enter(&t->freeze, 6);
    ck_assert_int_eq(table_update(t, (uint8_t *)ids, 3, (uint8_t *)grads, 0.1, 2), RH_OK);
    table_read(t, (uint8_t *)ids, 3, (uint8_t *)after);
    ck_assert_mem_eq(before, after, 4 * sizeof *before);
    ck_assert(before[4] != after[4]);
    ck_assert_mem_eq(state, store_slot(&t->store, t->rows[0]), sizeof state);
    ck_assert(!store_is_touched(&t->store, t->rows[1]));
    ck_assert_uint_eq(t->store.n_touched, 2);
    for (int i = 0; i < 4; i++)
        ck_assert(store_slot(&t->store, t->rows[1])[i] == 0);
    freeze_enter(&t->freeze, 7);
    ck_assert_int_eq(table_update(t, (uint8_t *)ids, 3, (uint8_t *)grads, 0.1, 3), RH_OK);
    ck_assert_uint_eq(t->store.n_touched, 3);
}
END_TEST

Suite *table_suite(void) {
    TCase *tc = tcase_create("rows");
    tcase_add_checked_fixture(tc, NULL, teardown);
    tcase_add_test(tc, an_untouched_row_reads_as_its_initial_value_and_stays_untouched);
    tcase_add_test(tc, a_written_row_reads_back_its_bits);
    tcase_add_test(tc, an_update_of_an_untouched_row_starts_from_its_initial_value);
    tcase_add_test(tc, rows_that_are_not_finite_are_skipped_and_counted_if_the_spec_says_so);
    tcase_add_test(tc, no_update_changes_the_padding_row_or_its_state);
    tcase_add_test(tc, a_write_leaves_the_optimizer_state);
    tcase_add_test(tc, frames_may_stand_at_any_address);
    tcase_add_test(tc, every_dim_works);
    tcase_add_test(tc, the_number_of_shards_does_not_show_in_the_bits);
    tcase_add_test(tc, a_bad_id_is_erange_and_names_table_and_id);
    tcase_add_test(tc, no_rows_are_fine);
    tcase_add_test(tc, no_room_for_optimizer_state_is_enomem_and_changes_nothing);
    tcase_add_test(tc, a_table_beyond_the_address_space_is_enomem);
    tcase_add_test(tc, a_freeze_ends_at_its_clock);
    tcase_add_test(tc, an_update_leaves_frozen_rows_as_they_are_and_untouched_ones_untouched);
    Suite *s = suite_create("table");
    suite_add_tcase(s, tc);
    return s;
}
