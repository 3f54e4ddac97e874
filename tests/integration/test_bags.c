/* test_bags.c - bags of rows through real servers, over local:, ipc:// and tcp:// alike: torch's
 * values after torch's optimizers. The arithmetic alone is tests/unit/test_bags.c's. */
#include <math.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tests/support/golden_bags.h"
#include "tests/support/job.h"

enum { SHARDS = 2 };

static struct job job;
static rh_client *c;

static void begin(int transport) {
    job_start(&job, transport, SHARDS);
    c = job_connect(&job, 0);
}

static void end(void) {
    rh_close(c);
    job_stop(&job);
}

static const uint64_t all_rows[GOLDEN_ROWS] = {0, 1, 2, 3, 4, 5, 6, 7, 8};

static void replay_case(struct golden_bags *g, int number) {
    float out[GOLDEN_BAGS * GOLDEN_DIM], rows[GOLDEN_N * GOLDEN_DIM], d_weights[GOLDEN_N];
    float after[GOLDEN_ROWS * GOLDEN_DIM];
    char name[16];
    rh_table_spec spec;
    rh_table *t;
    rh_table_spec_init(&spec, GOLDEN_ROWS, g->dim);
    spec.optimizer = g->optimizer;
    if (g->padding != GOLDEN_NO_PADDING)
        spec.padding_idx = (int64_t)g->padding;
    snprintf(name, sizeof name, "case%d", number);
    ck_assert_ok(rh_table_open(c, name, &spec, &t));
    ck_assert_ok(rh_write(t, all_rows, GOLDEN_ROWS, g->rows));
    for (int step = 0; step < GOLDEN_STEPS; step++) {
        golden_next_step(g);
        bool back = g->weighted || g->bags.mode == RH_BAG_MAX;
        ck_assert_ok(rh_pull_bags(t, &g->bags, out, back ? rows : NULL));
        golden_assert_close("out", g->n_bags * g->dim, out, g->out);
        ck_assert_ok(rh_push_bags(t, &g->bags, g->grads, back ? rows : NULL,
                                  g->weighted ? d_weights : NULL));
        if (g->weighted)
            golden_assert_close("by_weight", g->n, d_weights, g->by_weight);
        ck_assert_ok(rh_read(t, all_rows, GOLDEN_ROWS, after));
        golden_assert_close("after", (size_t)GOLDEN_ROWS * g->dim, after, g->after);
    }
}

START_TEST(bags_are_torchs_before_and_after_its_optimizers) {
    static struct golden_bags g;
    int cases = 0;
    begin(_i);
    for (golden_open(&g); golden_next_case(&g); cases++)
        replay_case(&g, cases);
    ck_assert_int_eq(cases, 32);
    end();
}
END_TEST

START_TEST(a_push_of_bags_is_one_step_also_an_empty_one) {
    begin(_i);
    rh_table *t = job_table(c, "t", 100, 2);
    const uint64_t ids[] = {5, 6, 5, 5, 6}, offsets[] = {0, 2, 2};
    const float grads[] = {1, 2, 3, 4, 5, 6};
    float row[4];
    struct rh_table_info info;
    rh_bags b;
    rh_bags_init(&b, ids, 5, offsets, 3);
    b.mode = RH_BAG_SUM;
    ck_assert_ok(rh_push_bags(t, &b, grads, NULL, NULL));
    ck_assert_ok(rh_pull(t, ids, 2, row));
    ck_assert(row[0] == -11 && row[1] == -14 && row[2] == -6 && row[3] == -8);
    rh_bags_init(&b, NULL, 0, offsets, 1);
    ck_assert_ok(rh_pull_bags(t, &b, row, NULL));
    ck_assert(row[0] == 0 && row[1] == 0);
    ck_assert_ok(rh_push_bags(t, &b, grads, NULL, NULL));
    ck_assert_ok(rh_tick(c));
    ck_assert_ok(rh_table_info(t, &info));
    ck_assert_uint_eq(info.steps, 2);
    ck_assert_uint_eq(info.touched, 2);
    end();
}
END_TEST

START_TEST(bags_of_two_tables_travel_in_one_batch) {
    begin(_i);
    rh_table *user = job_table(c, "user", 100, 3), *item = job_table(c, "item", 100, 2);
    const uint64_t ids[] = {1, 2, 1, 3}, offsets[] = {0, 1, 4};
    float user_rows[12], item_rows[8], user_grads[12], item_grads[8], out[6];
    const float ones[] = {1, 1, 1, 1, 1, 1};
    rh_bags users, items;
    rh_batch *batch;
    rh_op *op;
    rh_bags_init(&users, ids, 4, offsets, 2);
    rh_bags_init(&items, ids, 4, offsets, 2);
    users.include_last_offset = 1;
    users.n_bags = 2;
    items.mode = RH_BAG_MAX;
    ck_assert_ok(rh_batch_new(c, &batch));
    for (int round = 0; round < 2; round++) {
        ck_assert_ok(rh_batch_pull(batch, user, ids, 4, user_rows));
        ck_assert_ok(rh_batch_pull(batch, item, ids, 4, item_rows));
        ck_assert_ok(rh_batch_begin(batch, &op));
        ck_assert_ok(rh_wait(&op, -1));
        ck_assert_ok(rh_bags_pool(user, &users, user_rows, out));
        /* row 1 gets 1 and a third a step, row 2 a third */
        ck_assert_float_eq_tol(out[0], (float)round * -4 / 3, 1e-6f);
        ck_assert_float_eq_tol(out[3], (float)round * -2 / 3, 1e-6f);
        ck_assert_ok(rh_bags_pool(item, &items, item_rows, out));
        ck_assert(out[0] == (float)-round && out[2] == 0);
        ck_assert_ok(rh_bags_unpool(user, &users, ones, NULL, user_grads, NULL));
        ck_assert_ok(rh_bags_unpool(item, &items, ones, item_rows, item_grads, NULL));
        ck_assert_ok(rh_batch_push(batch, user, ids, 4, user_grads));
        ck_assert_ok(rh_batch_push(batch, item, ids, 4, item_grads));
        ck_assert_ok(rh_batch_run(batch));
    }
    rh_batch_free(&batch);
    end();
}
END_TEST

/* Row 1 comes three times in the call, row 2 once, in whatever bags. */
START_TEST(frequencies_are_counted_over_all_bags_and_each_id_has_its_own) {
    begin(_i);
    rh_table_spec spec;
    rh_table *t;
    rh_table_spec_init(&spec, 100, 1);
    spec.init = rh_zeros();
    spec.optimizer = rh_sgd(1);
    spec.scale_grad_by_freq = 1;
    ck_assert_ok(rh_table_open(c, "t", &spec, &t));
    const uint64_t ids[] = {1, 2, 1, 1}, offsets[] = {0, 2};
    const float grads[] = {3, 6};
    float rows[2];
    rh_bags b;
    rh_bags_init(&b, ids, 4, offsets, 2);
    ck_assert_ok(rh_push_bags(t, &b, grads, NULL, NULL));
    ck_assert_ok(rh_pull(t, ids, 2, rows));
    ck_assert_float_eq_tol(rows[0], -(1.5f + 3 + 3) / 3, 1e-6f);
    ck_assert_float_eq_tol(rows[1], -1.5f, 1e-6f);
    b.mode = RH_BAG_MAX;
    ck_assert_refused(rh_pull_bags(t, &b, rows, NULL), RH_EINVAL, "scale_grad_by_freq");
    end();
}
END_TEST

/* As torch, which renormalizes rows before it looks them up: bags are of what a pull gives. */
START_TEST(bags_are_pooled_of_renormalized_rows) {
    begin(_i);
    rh_table_spec spec;
    rh_table *t;
    rh_table_spec_init(&spec, 100, 2);
    spec.max_norm = 1;
    ck_assert_ok(rh_table_open(c, "t", &spec, &t));
    const uint64_t ids[] = {1, 2};
    const float in[] = {3, 4, 0.5f, 0};
    float out[2], rows[4];
    rh_bags b;
    ck_assert_ok(rh_write(t, ids, 2, in));
    rh_bags_init(&b, ids, 2, NULL, 1);
    b.mode = RH_BAG_SUM;
    ck_assert_ok(rh_pull_bags(t, &b, out, rows));
    ck_assert_float_eq_tol(out[0], 0.6f + 0.5f, 1e-6f);
    ck_assert_float_eq_tol(out[1], 0.8f, 1e-6f);
    ck_assert_float_eq_tol(rows[0], 0.6f, 1e-6f);
    end();
}
END_TEST

START_TEST(what_is_refused_has_changed_nothing) {
    begin(_i);
    rh_table *t = job_table(c, "words", 100, 2);
    uint64_t ids[] = {1, 2, 100}, offsets[] = {0, 2}, wrong[] = {0, 4};
    float grads[] = {1, 1, 1, NAN}, out[4] = {7}, rows[6];
    struct rh_table_info info;
    rh_bags b;
    rh_bags_init(&b, ids, 3, offsets, 2);
    ck_assert_refused(rh_pull_bags(t, &b, out, rows), RH_ERANGE, "rh_pull_bags: id 100");
    grads[3] = 1;
    ck_assert_refused(rh_push_bags(t, &b, grads, NULL, NULL), RH_ERANGE, "rh_push_bags: id 100");
    ids[2] = 3, grads[3] = NAN;
    ck_assert_refused(rh_push_bags(t, &b, grads, NULL, NULL), RH_EINVAL, "id 3) is nan");
    grads[3] = 1;
    b.mode = RH_BAG_MAX;
    ck_assert_refused(rh_push_bags(t, &b, grads, NULL, NULL), RH_EINVAL, "needs the rows");
    b.offsets = wrong;
    ck_assert_refused(rh_pull_bags(t, &b, out, NULL), RH_EINVAL, "offsets[1] is 4");
    ck_assert(out[0] == 7);
    ck_assert_ok(rh_tick(c));
    ck_assert_ok(rh_table_info(t, &info));
    ck_assert(info.touched == 0 && info.steps == 0);
    end();
}
END_TEST

/* Pools and pushes some bags of every mode, and reads the table. */
static void train(uint32_t shards, float *out, float *table) {
    enum { ROWS = 200, DIM = 7, N = 400, BAGS = 50 };
    uint64_t ids[N], offsets[BAGS], every[ROWS];
    float rows[N * DIM], grads[BAGS * DIM];
    rh_table_spec spec;
    rh_table *t;
    job_start(&job, JOB_LOCAL, shards);
    c = job_connect(&job, 0);
    rh_table_spec_init(&spec, ROWS, DIM);
    spec.optimizer = rh_sparse_adam(0.1);
    ck_assert_ok(rh_table_open(c, "t", &spec, &t));
    for (uint64_t i = 0; i < N; i++)
        ids[i] = i * i % ROWS;
    for (uint64_t i = 0; i < BAGS; i++)
        offsets[i] = i * i / 8;
    for (int i = 0; i < BAGS * DIM; i++)
        grads[i] = (float)(i % 11) / 7 - 0.6f;
    for (uint64_t i = 0; i < ROWS; i++)
        every[i] = i;
    for (int step = 0; step < 9; step++) {
        rh_bags b;
        rh_bags_init(&b, ids, N, offsets, BAGS);
        b.mode = (rh_bag_mode)(step % 3);
        ck_assert_ok(rh_pull_bags(t, &b, out, rows));
        ck_assert_ok(rh_push_bags(t, &b, grads, rows, NULL));
    }
    ck_assert_ok(rh_pull(t, every, ROWS, table));
    end();
}

START_TEST(bags_have_the_same_bits_on_any_number_of_shards) {
    static float out[2][50 * 7], tables[2][200 * 7];
    train(1, out[0], tables[0]);
    train(5, out[1], tables[1]);
    ck_assert_mem_eq(out[0], out[1], sizeof out[0]);
    ck_assert_mem_eq(tables[0], tables[1], sizeof tables[0]);
}
END_TEST

int main(void) {
    Suite *s = suite_create("bags");
    TCase *t = tcase_create("bags");
    tcase_set_timeout(t, 60);
#define OVER_ALL(test) tcase_add_loop_test(t, test, 0, JOB_TRANSPORTS)
    OVER_ALL(bags_are_torchs_before_and_after_its_optimizers);
    OVER_ALL(a_push_of_bags_is_one_step_also_an_empty_one);
    OVER_ALL(bags_of_two_tables_travel_in_one_batch);
    OVER_ALL(frequencies_are_counted_over_all_bags_and_each_id_has_its_own);
    OVER_ALL(bags_are_pooled_of_renormalized_rows);
    OVER_ALL(what_is_refused_has_changed_nothing);
#undef OVER_ALL
    tcase_add_test(t, bags_have_the_same_bits_on_any_number_of_shards);
    suite_add_tcase(s, t);
    return job_main(s);
}
