/*
 * test_client.c - every function of rowhouse.h that one worker can call, over local:, ipc:// and
 * tcp:// alike, with real servers. Several workers are test_workers.c's; what goes wrong outside is
 * test_failures.c's.
 */
#include <math.h>
#include <pthread.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

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

/* rows i of n are all of value first + i. */
static void fill(float *rows, size_t n, uint32_t dim, float first) {
    for (size_t i = 0; i < n * dim; i++)
        rows[i] = first + (float)(i / dim);
}

static void assert_row(const float *row, uint32_t dim, float value) {
    for (uint32_t d = 0; d < dim; d++)
        ck_assert_float_eq(row[d], value);
}

/* ---- rows ---- */

START_TEST(untouched_rows_are_the_initializers_and_pulling_them_touches_nothing) {
    begin(_i);
    rh_table_spec spec;
    rh_table *t;
    rh_table_spec_init(&spec, 1000, 4);
    spec.init = rh_uniform(2, 3);
    ck_assert_ok(rh_table_open(c, "t", &spec, &t));
    uint64_t ids[] = {999, 0, 5, 999};
    float rows[4][4], again[4][4];
    ck_assert_ok(rh_pull(t, ids, 4, *rows));
    ck_assert_ok(rh_pull(t, ids, 4, *again));
    for (int i = 0; i < 16; i++)
        ck_assert(rows[i / 4][i % 4] >= 2 && rows[i / 4][i % 4] < 3);
    ck_assert_mem_eq(rows, again, sizeof rows);
    ck_assert_mem_eq(rows[0], rows[3], sizeof rows[0]);
    ck_assert_mem_ne(rows[0], rows[1], sizeof rows[0]);
    struct rh_table_info info;
    ck_assert_ok(rh_table_info(t, &info));
    ck_assert_uint_eq(info.touched, 0);
    end();
}
END_TEST

START_TEST(a_push_is_seen_by_the_next_pull) {
    begin(_i);
    rh_table *t = job_table(c, "t", 100, 3);
    uint64_t ids[] = {7, 99, 0};
    float grads[9], rows[9];
    fill(grads, 3, 3, 1);
    for (int k = 1; k <= 5; k++) {
        ck_assert_ok(rh_push(t, ids, 3, grads));
        ck_assert_ok(rh_pull(t, ids, 3, rows));
        for (int i = 0; i < 3; i++)
            assert_row(rows + 3 * i, 3, (float)(-k * (i + 1)));
    }
    end();
}
END_TEST

START_TEST(repeats_are_added_when_pushed_and_all_filled_when_pulled) {
    begin(_i);
    rh_table *t = job_table(c, "t", 100, 2);
    uint64_t ids[] = {5, 6, 5, 5, 6};
    float grads[10], rows[10];
    fill(grads, 5, 2, 1); /* 1 2 3 4 5 */
    ck_assert_ok(rh_push(t, ids, 5, grads));
    ck_assert_ok(rh_pull(t, ids, 5, rows));
    static const float want[] = {-8, -7, -8, -8, -7};
    for (int i = 0; i < 5; i++)
        assert_row(rows + 2 * i, 2, want[i]);
    end();
}
END_TEST

START_TEST(of_a_write_the_last_of_equal_ids_wins_and_read_gives_its_bits) {
    begin(_i);
    rh_table *t = job_table(c, "t", 100, 2);
    uint64_t ids[] = {3, 4, 3};
    float in[] = {1, 2, -0.0f, 1e-42f, 5, 6}, out[6];
    ck_assert_ok(rh_write(t, ids, 3, in));
    ck_assert_ok(rh_read(t, ids, 3, out));
    ck_assert_mem_eq(out, in + 4, 8);
    ck_assert_mem_eq(out + 2, in + 2, 8);
    ck_assert_mem_eq(out + 4, in + 4, 8);
    end();
}
END_TEST

START_TEST(empty_calls_are_fine_and_an_empty_push_is_a_step) {
    begin(_i);
    rh_table *t = job_table(c, "t", 100, 2);
    uint64_t id = 1;
    float row[2] = {1, 1};
    struct rh_table_info info;
    ck_assert_ok(rh_pull(t, &id, 0, row));
    ck_assert_ok(rh_read(t, &id, 0, row));
    ck_assert_ok(rh_write(t, &id, 0, row));
    ck_assert_ok(rh_push(t, &id, 0, row));
    rh_op *op = NULL;
    ck_assert_ok(rh_pull_begin(t, &id, 0, row, &op));
    ck_assert_int_eq(rh_op_done(op), 1);
    ck_assert_ok(rh_wait(&op, 0));
    ck_assert_ptr_null(op);
    ck_assert_ok(rh_wait(&op, 0));
    ck_assert_ok(rh_tick(c));
    ck_assert_ok(rh_table_info(t, &info));
    ck_assert_uint_eq(info.steps, 1);
    ck_assert_uint_eq(info.touched, 0);
    end();
}
END_TEST

/* More rows than all credit, in rows of the largest and the smallest size. */
static void move_many(const char *name, uint64_t rows, uint32_t dim) {
    rh_table *t = job_table(c, name, rows, dim);
    uint64_t *ids = malloc(rows * sizeof *ids);
    float *in = malloc(rows * dim * sizeof *in), *out = malloc(rows * dim * sizeof *out);
    for (uint64_t i = 0; i < rows; i++)
        ids[i] = (i * 7919) % rows;
    fill(in, rows, dim, 0);
    ck_assert_ok(rh_write(t, ids, rows, in));
    ck_assert_ok(rh_pull(t, ids, rows, out));
    ck_assert_mem_eq(in, out, rows * dim * sizeof *in);
    ck_assert_ok(rh_push(t, ids, rows, in));
    ck_assert_ok(rh_pull(t, ids, rows, out));
    uint64_t wrong = 0;
    for (uint64_t i = 0; i < rows * dim; i++)
        wrong += out[i] != 0;
    ck_assert_uint_eq(wrong, 0);
    free(ids);
    free(in);
    free(out);
}

START_TEST(tables_of_dim_1_and_dim_4096_move_more_than_all_credit) {
    begin(_i);
    move_many("narrow", 1000003, 1);
    move_many("wide", 701, 4096);
    end();
}
END_TEST

/* ---- what is refused ---- */

static void assert_untouched(rh_table *t) {
    struct rh_table_info info;
    ck_assert_ok(rh_tick(c));
    ck_assert_ok(rh_table_info(t, &info));
    ck_assert_uint_eq(info.touched, 0);
    ck_assert_uint_eq(info.steps, 0);
}

START_TEST(an_id_out_of_range_is_named_and_nothing_has_changed) {
    begin(_i);
    rh_table *t = job_table(c, "words", 100, 2);
    uint64_t ids[] = {1, 2, 100};
    float rows[6] = {1, 1, 1, 1, 1, 1};
    rh_op *op;
    ck_assert_refused(rh_push(t, ids, 3, rows), RH_ERANGE, "id 100");
    ck_assert_refused(rh_push(t, ids, 3, rows), RH_ERANGE, "words");
    ck_assert_refused(rh_write(t, ids, 3, rows), RH_ERANGE, "id 100");
    ck_assert_refused(rh_pull(t, ids, 3, rows), RH_ERANGE, "id 100");
    ck_assert_refused(rh_read(t, ids, 3, rows), RH_ERANGE, "id 100");
    ck_assert_refused(rh_push_begin(t, ids, 3, rows, &op), RH_ERANGE, "id 100");
    ids[0] = UINT64_MAX;
    ck_assert_refused(rh_push(t, ids, 1, rows), RH_ERANGE, "18446744073709551615");
    ck_assert_float_eq(rows[0], 1);
    assert_untouched(t);
    end();
}
END_TEST

START_TEST(nan_and_infinity_are_refused_and_nothing_has_changed) {
    begin(_i);
    rh_table *t = job_table(c, "words", 100, 2);
    uint64_t ids[] = {10, 20};
    float bad[] = {NAN, INFINITY, -INFINITY};
    for (int i = 0; i < 3; i++) {
        float rows[4] = {1, 1, 1, bad[i]};
        ck_assert_refused(rh_push(t, ids, 2, rows), RH_EINVAL, "id 20");
        ck_assert_refused(rh_write(t, ids, 2, rows), RH_EINVAL, "value 1");
    }
    assert_untouched(t);
    end();
}
END_TEST

/* The sum of two finite gradients may overflow: what is looked at is what would be applied. */
START_TEST(nan_and_infinity_are_skipped_and_counted_where_the_table_says_so) {
    begin(_i);
    rh_table_spec spec;
    rh_table_spec_init(&spec, 100, 2);
    spec.init = rh_zeros();
    spec.optimizer = rh_sgd(1);
    spec.nonfinite = RH_NONFINITE_SKIP;
    rh_table *t;
    ck_assert_ok(rh_table_open(c, "words", &spec, &t));
    uint64_t ids[] = {10, 20, 30, 30};
    float rows[] = {1, 2, 1, NAN, 3e38f, 1, 3e38f, 1};
    ck_assert_ok(rh_push(t, ids, 4, rows));
    ck_assert_ok(rh_tick(c));
    ck_assert_ok(rh_pull(t, ids, 4, rows));
    ck_assert(rows[0] == -1 && rows[1] == -2);
    for (int i = 2; i < 8; i++)
        ck_assert(rows[i] == 0);
    struct rh_table_info info;
    ck_assert_ok(rh_table_info(t, &info));
    ck_assert_uint_eq(info.skipped, 2);
    ck_assert_uint_eq(info.touched, 1);
    float nan_row[2] = {NAN, 0};
    ck_assert_refused(rh_write(t, ids, 1, nan_row), RH_EINVAL, "id 10");
    end();
}
END_TEST

START_TEST(a_table_opened_with_another_spec_names_the_field) {
    begin(_i);
    rh_table_spec spec;
    rh_table *t, *same;
    rh_table_spec_init(&spec, 100, 8);
    ck_assert_ok(rh_table_open(c, "t", &spec, &t));
    spec.optimizer.lr = 5;
    ck_assert_ok(rh_table_open(c, "t", &spec, &same));
    ck_assert_ptr_eq(t, same);
    ck_assert_ok(rh_table_find(c, "t", &same));
    ck_assert_ptr_eq(t, same);
    ck_assert_uint_eq(rh_table_num_embeddings(t), 100);
    ck_assert_uint_eq(rh_table_embedding_dim(t), 8);
    rh_table_spec other = spec;
    other.embedding_dim = 9;
    ck_assert_refused(rh_table_open(c, "t", &other, &same), RH_EMISMATCH, "dim");
    other = spec, other.seed = 1;
    ck_assert_refused(rh_table_open(c, "t", &other, &same), RH_EMISMATCH, "seed");
    other = spec, other.optimizer = rh_sparse_adam(0.1);
    ck_assert_refused(rh_table_open(c, "t", &other, &same), RH_EMISMATCH, "optimizer");
    ck_assert_refused(rh_table_find(c, "nobody", &same), RH_ENOTFOUND, "nobody");
    end();
}
END_TEST

START_TEST(specs_and_names_that_make_no_sense_are_refused_by_name) {
    begin(_i);
    rh_table_spec good, bad;
    rh_table *t;
    rh_table_spec_init(&good, 100, 8);
    bad = good, bad.size = 3;
    ck_assert_refused(rh_table_open(c, "t", &bad, &t), RH_EINVAL, "size");
    bad = good, bad.embedding_dim = 4097;
    ck_assert_refused(rh_table_open(c, "t", &bad, &t), RH_EINVAL, "dim");
    bad = good, bad.num_embeddings = 0;
    ck_assert_refused(rh_table_open(c, "t", &bad, &t), RH_EINVAL, "t");
    bad = good, bad.optimizer = rh_sgd(NAN);
    ck_assert_refused(rh_table_open(c, "t", &bad, &t), RH_EINVAL, "lr");
    bad = good, bad.optimizer = rh_sparse_adam_with(0.1, 1.5, 0.9, 1e-8, 0);
    ck_assert_refused(rh_table_open(c, "t", &bad, &t), RH_EINVAL, "beta1");
    ck_assert_refused(rh_table_open(c, "", &good, &t), RH_EINVAL, "name");
    ck_assert_refused(rh_table_open(c, "a b", &good, &t), RH_EINVAL, "a b");
    end();
}
END_TEST

/* ---- operations in flight, batches ---- */

START_TEST(many_operations_fly_at_once_and_pulls_see_the_pushes_before_them) {
    enum { OPS = 64, N = 1000, DIM = 32 };
    begin(_i);
    rh_table *t = job_table(c, "t", N, DIM);
    static uint64_t ids[N];
    static float grads[N * DIM], rows[OPS][N * DIM];
    rh_op *pushes[OPS], *pulls[OPS];
    for (int i = 0; i < N; i++)
        ids[i] = (uint64_t)i;
    for (int i = 0; i < N * DIM; i++)
        grads[i] = 1;
    for (int k = 0; k < OPS; k++) { /* beyond all credit: most of it waits */
        ck_assert_ok(rh_push_begin(t, ids, N, grads, &pushes[k]));
        ck_assert_ok(rh_pull_begin(t, ids, N, rows[k], &pulls[k]));
    }
    memset(ids, 0xFF, sizeof ids); /* they were copied */
    memset(grads, 0xFF, sizeof grads);
    for (int k = OPS - 1; k >= 0; k--) {
        ck_assert_ok(rh_wait(&pulls[k], -1));
        ck_assert_ok(rh_wait(&pushes[k], -1));
        int wrong = 0; /* it sees at least its own, and none that does not exist */
        for (int i = 0; i < N * DIM; i++)
            wrong += rows[k][i] > (float)-(k + 1) || rows[k][i] < -OPS;
        ck_assert_int_eq(wrong, 0);
    }
    end();
}
END_TEST

START_TEST(an_operation_ends_by_itself_while_the_application_computes) {
    begin(_i);
    rh_table *t = job_table(c, "t", 100, 2);
    uint64_t id = 3;
    float row[2] = {1, 1};
    rh_op *op;
    ck_assert_ok(rh_push_begin(t, &id, 1, row, &op));
    int64_t deadline = job_now_ms() + 10000;
    while (!rh_op_done(op) && job_now_ms() < deadline)
        usleep(1000);
    ck_assert_int_eq(rh_op_done(op), 1);
    ck_assert_ok(rh_wait(&op, 0));
    end();
}
END_TEST

START_TEST(a_batch_moves_several_tables_and_its_pushes_go_before_its_pulls) {
    begin(_i);
    rh_table *user = job_table(c, "user", 1000, 8), *item = job_table(c, "item", 50, 3);
    uint64_t users[] = {9, 1, 9}, items[] = {49};
    float user_grads[24], user_rows[24], item_grads[] = {1, 2, 3}, item_rows[3];
    fill(user_grads, 3, 8, 1);
    rh_batch *b;
    rh_op *op;
    ck_assert_ok(rh_batch_new(c, &b));
    ck_assert_ok(rh_batch_run(b)); /* an empty one */
    for (int round = 1; round <= 2; round++) {
        ck_assert_ok(rh_batch_pull(b, user, users, 3, user_rows));
        ck_assert_ok(rh_batch_pull(b, item, items, 1, item_rows));
        ck_assert_ok(rh_batch_push(b, user, users, 3, user_grads));
        ck_assert_ok(rh_batch_push(b, item, items, 1, item_grads));
        if (round == 1) {
            ck_assert_ok(rh_batch_run(b));
        } else {
            ck_assert_ok(rh_batch_begin(b, &op));
            ck_assert_ok(rh_wait(&op, -1));
        }
        assert_row(user_rows, 8, (float)(-4 * round));
        assert_row(user_rows + 8, 8, (float)(-2 * round));
        assert_row(user_rows + 16, 8, (float)(-4 * round));
        ck_assert_float_eq(item_rows[2], (float)(-3 * round));
    }
    uint64_t bad = 50;
    ck_assert_ok(rh_batch_push(b, user, users, 3, user_grads));
    ck_assert_ok(rh_batch_push(b, item, &bad, 1, item_grads));
    ck_assert_refused(rh_batch_run(b), RH_ERANGE, "item");
    ck_assert_ok(rh_pull(user, users, 3, user_rows));
    assert_row(user_rows, 8, -8); /* the good half was not sent either */
    rh_batch_free(&b);
    ck_assert_ptr_null(b);
    end();
}
END_TEST

/* ---- clocks, freezing ---- */

START_TEST(ticks_count_clocks_and_a_barrier_of_one_is_passed) {
    begin(_i);
    ck_assert_uint_eq(rh_rank(c), 0);
    ck_assert_uint_eq(rh_world(c), 1);
    ck_assert_uint_eq(rh_shards(c), SHARDS);
    for (uint64_t k = 0; k < 5; k++) {
        ck_assert_uint_eq(rh_clock(c), k);
        ck_assert_ok(rh_tick(c));
        ck_assert_ok(rh_barrier(c, -1));
    }
    end();
}
END_TEST

START_TEST(pushes_to_a_frozen_table_are_dropped_until_it_thaws) {
    begin(_i);
    rh_table *t = job_table(c, "t", 100, 2);
    uint64_t id = 3;
    float one[2] = {1, 1}, row[2];
    struct rh_table_info info;
    ck_assert_ok(rh_push(t, &id, 1, one));
    ck_assert_ok(rh_freeze(t, 0, 100, 0));
    ck_assert_ok(rh_push(t, &id, 1, one));
    ck_assert_ok(rh_pull(t, &id, 1, row));
    assert_row(row, 2, -1);
    ck_assert_ok(rh_table_info(t, &info));
    ck_assert_uint_eq(info.frozen, 100);
    ck_assert_uint_eq(info.trainable, 0);
    ck_assert_ok(rh_write(t, &id, 1, one)); /* not stopped by a freeze */
    ck_assert_ok(rh_unfreeze(t, 0, 100));
    ck_assert_ok(rh_push(t, &id, 1, one));
    ck_assert_ok(rh_pull(t, &id, 1, row));
    assert_row(row, 2, 0);
    ck_assert_ok(rh_freeze(t, 0, 100, 2)); /* pushes of clocks 0 and 1 */
    for (int clock = 0; clock < 4; clock++) {
        ck_assert_ok(rh_push(t, &id, 1, one));
        ck_assert_ok(rh_tick(c));
    }
    ck_assert_ok(rh_pull(t, &id, 1, row));
    assert_row(row, 2, -2);
    ck_assert_ok(rh_table_info(t, &info));
    ck_assert_uint_eq(info.frozen, 0);
    ck_assert_uint_eq(info.trainable, 200);
    ck_assert_uint_eq(info.steps, 4); /* the frozen ones were no steps */
    end();
}
END_TEST

START_TEST(a_table_that_starts_frozen_takes_pushes_and_counts_its_first_step_when_it_thaws) {
    begin(_i);
    rh_table_spec spec;
    rh_table *t;
    rh_table_spec_init(&spec, 100, 2);
    spec.init = rh_zeros();
    spec.optimizer = rh_sgd(1);
    spec.frozen = 1;
    ck_assert_ok(rh_table_open(c, "t", &spec, &t));
    uint64_t id = 3;
    float one[2] = {1, 1}, row[2];
    struct rh_table_info info;
    for (int k = 0; k < 3; k++)
        ck_assert_ok(rh_push(t, &id, 1, one));
    ck_assert_ok(rh_pull(t, &id, 1, row));
    assert_row(row, 2, 0);
    ck_assert_ok(rh_unfreeze(t, 0, 100));
    ck_assert_ok(rh_push(t, &id, 1, one));
    ck_assert_ok(rh_pull(t, &id, 1, row));
    assert_row(row, 2, -1);
    ck_assert_ok(rh_table_info(t, &info));
    ck_assert_uint_eq(info.steps, 1);
    end();
}
END_TEST

START_TEST(a_new_learning_rate_holds_for_the_next_push) {
    begin(_i);
    rh_table *t = job_table(c, "t", 100, 2);
    uint64_t id = 3;
    float one[2] = {1, 1}, row[2];
    ck_assert_ok(rh_set_lr(t, 0.5));
    ck_assert_ok(rh_push(t, &id, 1, one));
    ck_assert_ok(rh_pull(t, &id, 1, row));
    assert_row(row, 2, -0.5f);
    ck_assert_refused(rh_set_lr(t, -1), RH_EINVAL, "lr");
    ck_assert_refused(rh_set_lr(t, NAN), RH_EINVAL, "lr");
    end();
}
END_TEST

START_TEST(table_info_adds_up_all_shards) {
    begin(_i);
    rh_table_spec spec;
    rh_table *t;
    rh_table_spec_init(&spec, 1000, 16);
    spec.optimizer = rh_sparse_adam(0.1);
    ck_assert_ok(rh_table_open(c, "words", &spec, &t));
    uint64_t ids[300];
    static float grads[300 * 16];
    for (uint64_t i = 0; i < 300; i++)
        ids[i] = i * 3;
    for (int k = 0; k < 3; k++)
        ck_assert_ok(rh_push(t, ids, 300, grads));
    struct rh_table_info info;
    ck_assert_ok(rh_table_info(t, &info));
    ck_assert_str_eq(info.name, "words");
    ck_assert_str_eq(info.optimizer, "SparseAdam");
    ck_assert_uint_eq(info.num_embeddings, 1000);
    ck_assert_uint_eq(info.embedding_dim, 16);
    ck_assert_uint_eq(info.touched, 300);
    ck_assert_uint_eq(info.steps, 3);
    ck_assert_uint_ge(info.memory_bytes, 300 * 16 * 3 * sizeof(float));
    end();
}
END_TEST

/* ---- threads, forks ---- */

enum { THREADS = 6, ROUNDS = 200 };

static rh_table *shared;

/* Each thread pushes to a row of its own and to row 0, and sees at least its own. */
static void *hammer(void *arg) {
    uint64_t ids[] = {(uint64_t)(uintptr_t)arg + 1, 0};
    float ones[] = {1, 1, 1, 1, 1, 1, 1, 1}, rows[8];
    for (int k = 1; k <= ROUNDS; k++) {
        rh_op *op;
        ck_assert_ok(rh_push_begin(shared, ids, 2, ones, &op));
        ck_assert_ok(rh_pull(shared, ids, 2, rows));
        ck_assert_ok(rh_wait(&op, -1));
        ck_assert_float_eq(rows[0], (float)-k);
        ck_assert(rows[4] <= (float)-k);
        if (k % 50 == 0)
            ck_assert_ok(rh_tick(c));
    }
    return NULL;
}

START_TEST(many_threads_share_one_client) {
    begin(_i);
    shared = job_table(c, "t", 100, 4);
    pthread_t threads[THREADS];
    for (uintptr_t i = 0; i < THREADS; i++)
        ck_assert_int_eq(pthread_create(&threads[i], NULL, hammer, (void *)i), 0);
    for (int i = 0; i < THREADS; i++)
        pthread_join(threads[i], NULL);
    uint64_t id = 0;
    float row[4];
    ck_assert_ok(rh_pull(shared, &id, 1, row));
    assert_row(row, 4, -THREADS * ROUNDS);
    ck_assert_uint_eq(rh_clock(c), THREADS * ROUNDS / 50);
    end();
}
END_TEST

static int in_child(rh_table *t) {
    uint64_t id = 1;
    float row[2] = {1, 1};
    if (rh_pull(t, &id, 1, row) != RH_EINVAL || strstr(rh_errmsg(), "fork") == NULL ||
        rh_push(t, &id, 1, row) != RH_EINVAL || rh_tick(c) != RH_EINVAL)
        return 1;
    rh_close(c); /* harms nobody */
    rh_config cfg;
    rh_config_init(&cfg);
    cfg.servers = "local:";
    rh_client *own;
    if (rh_connect(&cfg, &own) != RH_OK)
        return 2;
    rh_close(own);
    return 0;
}

START_TEST(a_forked_child_is_refused_and_may_connect_itself) {
    begin(_i);
    rh_table *t = job_table(c, "t", 100, 2);
    uint64_t id = 1;
    float row[2] = {1, 1};
    ck_assert_ok(rh_push(t, &id, 1, row));
    pid_t pid = fork();
    ck_assert_int_ge(pid, 0);
    if (pid == 0)
        _exit(in_child(t));
    int status;
    ck_assert_int_eq(waitpid(pid, &status, 0), pid);
    ck_assert_int_eq(status, 0);
    ck_assert_ok(rh_push(t, &id, 1, row));
    ck_assert_ok(rh_pull(t, &id, 1, row));
    assert_row(row, 2, -2);
    end();
}
END_TEST

START_TEST(closing_frees_what_is_still_in_flight) {
    begin(_i);
    rh_table *t = job_table(c, "t", 100000, 64);
    static uint64_t ids[10000];
    static float rows[10000 * 64];
    rh_op *a, *b;
    rh_batch *batch;
    for (uint64_t i = 0; i < 10000; i++)
        ids[i] = i * 10;
    ck_assert_ok(rh_batch_new(c, &batch));
    ck_assert_ok(rh_push_begin(t, ids, 10000, rows, &a));
    ck_assert_ok(rh_pull_begin(t, ids, 10000, rows, &b));
    end();
}
END_TEST

/* ---- files ---- */

static void path_of(char *out, size_t cap, const char *name) {
    const char *tmp = getenv("TMPDIR");
    snprintf(out, cap, "%s/rh-%ld-%s", tmp != NULL ? tmp : "/tmp", (long)getpid(), name);
}

static void round_trip(const char *name, rh_format format) {
    char path[512];
    path_of(path, sizeof path, name);
    rh_table *t = job_table(c, "out", 1000, 5), *u = job_table(c, "in", 1200, 5);
    uint64_t ids[1000];
    static float rows[5000], back[5000];
    for (int i = 0; i < 5000; i++) {
        rows[i] = (float)(i * 37 % 101) / 7;
        ids[i / 5] = (uint64_t)i / 5;
    }
    ck_assert_ok(rh_write(t, ids, 1000, rows));
    ck_assert_ok(rh_export(t, path, NULL));
    rh_load_report report;
    ck_assert_ok(rh_load(u, path, NULL, &report));
    ck_assert_uint_eq(report.matched, 1000);
    ck_assert_uint_eq(report.missed, 200);
    ck_assert_int_eq(report.format, format);
    ck_assert_ok(rh_read(u, ids, 1000, back));
    ck_assert_mem_eq(rows, back, sizeof rows);
    unlink(path);
}

START_TEST(a_table_is_saved_and_loaded_in_every_format) {
    begin(_i);
    round_trip("vectors.vec", RH_FORMAT_W2V);
    round_trip("vectors.npy", RH_FORMAT_NPY);
    round_trip("vectors.safetensors", RH_FORMAT_SAFETENSORS);
    round_trip("vectors.bin", RH_FORMAT_W2V_BIN);
    end();
}
END_TEST

START_TEST(chosen_rows_are_saved_under_their_words) {
    begin(_i);
    char path[512], text[256] = "";
    path_of(path, sizeof path, "words.vec");
    rh_table *t = job_table(c, "t", 100, 2);
    uint64_t ids[] = {42, 7};
    float rows[] = {1, 2, 3, 4};
    const char *words[] = {"dog", "cat"};
    ck_assert_ok(rh_write(t, ids, 2, rows));
    rh_export_options o = {.size = sizeof o, .n = 2, .ids = ids, .words = words};
    ck_assert_ok(rh_export(t, path, &o));
    FILE *f = fopen(path, "r");
    ck_assert_ptr_nonnull(f);
    size_t n = fread(text, 1, sizeof text - 1, f);
    text[n] = '\0';
    fclose(f);
    unlink(path);
    ck_assert_ptr_nonnull(strstr(text, "2 2\ndog 1 2"));
    ck_assert_ptr_nonnull(strstr(text, "cat 3 4"));
    o.size = 1;
    ck_assert_refused(rh_export(t, path, &o), RH_EINVAL, "size");
    ck_assert_refused(rh_export(t, "/nowhere/at/all.vec", NULL), RH_EIO, "/nowhere/at/all.vec");
    end();
}
END_TEST

struct heard {
    uint64_t times, done, total;
    bool fell;
};

static void hear(void *arg, uint64_t done, uint64_t total) {
    struct heard *h = arg;
    h->fell = h->fell || done < h->done || done > total;
    *h = (struct heard){h->times + 1, done, total, h->fell};
}

START_TEST(saving_and_loading_tell_how_far_they_are_to_the_end) {
    begin(_i);
    enum { ROWS = 40000, DIM = 64 }; /* 10 MiB */
    char path[512];
    path_of(path, sizeof path, "far.npy");
    rh_table *t = job_table(c, "t", ROWS, DIM);
    struct heard saved = {0}, loaded = {0};
    rh_export_options e = {.size = sizeof e, .progress = hear, .progress_arg = &saved};
    rh_load_options l = {.size = sizeof l, .progress = hear, .progress_arg = &loaded};
    ck_assert_ok(rh_export(t, path, &e));
    ck_assert(saved.times > 1 && !saved.fell && saved.done == ROWS && saved.total == ROWS);
    ck_assert_ok(rh_load(t, path, &l, NULL));
    ck_assert(loaded.times > 3 && !loaded.fell && loaded.done == loaded.total);
    ck_assert_uint_eq(loaded.total, 2 * (128 + ROWS * DIM * sizeof(float)));
    unlink(path);
    end();
}
END_TEST

static void write_text(const char *path, const char *text) {
    FILE *f = fopen(path, "w");
    ck_assert_ptr_nonnull(f);
    fputs(text, f);
    fclose(f);
}

START_TEST(a_file_that_is_bad_at_its_end_changes_nothing) {
    begin(_i);
    char path[512];
    path_of(path, sizeof path, "bad.vec");
    rh_table *t = job_table(c, "t", 3, 2);
    write_text(path, "3 2\na 1 2\nb 3 4\nc 5 x\n");
    ck_assert_refused(rh_load(t, path, NULL, NULL), RH_ECORRUPT, "4");
    write_text(path, "2 3\na 1 2 3\nb 3 4 5\n");
    ck_assert_refused(rh_load(t, path, NULL, NULL), RH_EMISMATCH, "3 floats");
    write_text(path, "4 2\na 1 2\nb 3 4\nc 5 6\nd 7 8\n");
    ck_assert_refused(rh_load(t, path, NULL, NULL), RH_EMISMATCH, "4 rows");
    unlink(path);
    ck_assert_refused(rh_load(t, path, NULL, NULL), RH_ENOTFOUND, path);
    assert_untouched(t);
    end();
}
END_TEST

/* Rows by word: others than the table's, twice, out of order; and the words that are not there. */
START_TEST(a_vocabulary_says_which_row_a_word_is) {
    begin(_i);
    char vectors[512], vocab[512], saved[512];
    path_of(vectors, sizeof vectors, "glove.txt");
    path_of(vocab, sizeof vocab, "vocab.txt");
    path_of(saved, sizeof saved, "saved.txt");
    rh_table *t = job_table(c, "t", 10, 2);
    uint64_t ids[] = {7, 2, 9, 3};
    float before[8], after[8];
    ck_assert_ok(rh_pull(t, ids, 4, before));
    write_text(vocab, "the\t7\n. . .\t2\ncat\t9\ndog\t3\n");
    write_text(vectors, "of 9 9\n. . . 1 2\nthe 3 4\n. . . 5 6\nto 9 9\n");
    rh_load_options o = {.size = sizeof o, .vocab = vocab};
    rh_load_report report;
    ck_assert_ok(rh_load(t, vectors, &o, &report));
    ck_assert_uint_eq(report.matched, 2);
    ck_assert_uint_eq(report.missed, 2);
    ck_assert_uint_eq(report.duplicated, 1);
    ck_assert_uint_eq(report.unused, 2);
    ck_assert_str_eq(report.first_matched, ". . ., the");
    ck_assert_str_eq(report.first_missed, "cat, dog");
    ck_assert_str_eq(report.first_duplicated, ". . .");
    ck_assert_ptr_nonnull(strstr(report.about, "glove.txt: GloVe text, 5 x 2, no header"));
    ck_assert_ok(rh_read(t, ids, 4, after));
    const float want[] = {3, 4, 1, 2};
    ck_assert_mem_eq(after, want, sizeof want);
    ck_assert_mem_eq(after + 4, before + 4, sizeof want);

    rh_export_options e = {
        .size = sizeof e, .format = RH_FORMAT_GLOVE, .n = 2, .ids = ids, .vocab = vocab};
    ck_assert_ok(rh_export(t, saved, &e));
    ck_assert_ok(rh_load(t, saved, &o, &report));
    ck_assert_str_eq(report.first_matched, "the, . . .");
    ids[1] = 5;
    ck_assert_refused(rh_export(t, saved, &e), RH_EINVAL, "no word for row 5");
    unlink(vectors);
    unlink(vocab);
    unlink(saved);
    end();
}
END_TEST

START_TEST(a_bad_vocabulary_or_a_bad_row_that_nobody_wants_changes_nothing) {
    begin(_i);
    char vectors[512], vocab[512], npy[512];
    path_of(vectors, sizeof vectors, "glove.txt");
    path_of(vocab, sizeof vocab, "vocab.txt");
    path_of(npy, sizeof npy, "x.npy");
    rh_table *t = job_table(c, "t", 3, 2);
    rh_load_options o = {.size = sizeof o, .vocab = vocab};
    write_text(vocab, "a\nb\nc\nd\n");
    write_text(vectors, "a 1 2\nb 3 4\n");
    ck_assert_refused(rh_load(t, vectors, &o, NULL), RH_ERANGE, "line 4: row 3; table t has 3");
    write_text(vocab, "a\na\n");
    ck_assert_refused(rh_load(t, vectors, &o, NULL), RH_ECORRUPT, "line 2");
    write_text(vocab, "a\nb\n");
    write_text(vectors, "a 1 2\nb 3 4\nother 5 nan\n");
    ck_assert_refused(rh_load(t, vectors, &o, NULL), RH_ECORRUPT, "line 3: number 2 is NaN");
    assert_untouched(t);
    ck_assert_ok(rh_export(t, npy, NULL));
    ck_assert_refused(rh_load(t, npy, &o, NULL), RH_EINVAL, "has no words");
    assert_untouched(t);
    unlink(vectors);
    unlink(vocab);
    unlink(npy);
    end();
}
END_TEST

/* A program that was built before the options grew. */
START_TEST(options_of_an_older_program_are_taken) {
    begin(_i);
    char path[512];
    path_of(path, sizeof path, "x.vec");
    rh_table *t = job_table(c, "t", 3, 2);
    rh_export_options e = {.size = offsetof(rh_export_options, vocab), .vocab = "nowhere"};
    rh_load_options o = {.size = offsetof(rh_load_options, vocab), .vocab = "nowhere"};
    ck_assert_ok(rh_export(t, path, &e));
    ck_assert_ok(rh_load(t, path, &o, NULL));
    o.size = sizeof o + 8;
    ck_assert_refused(rh_load(t, path, &o, NULL), RH_EINVAL, "rh_load_options.size");
    unlink(path);
    end();
}
END_TEST

static void *fresh_thread(void *arg) {
    ck_assert_str_eq(rh_errmsg(), "");
    return arg;
}

START_TEST(errors_have_texts_by_thread_and_the_library_a_version) {
    pthread_t thread;
    ck_assert_str_eq(rh_version(), RH_VERSION);
    ck_assert_str_eq(rh_strstatus(RH_ERANGE), "id out of range");
    ck_assert_str_eq(rh_strstatus((rh_status)77), "unknown status");
    ck_assert_int_eq(pthread_create(&thread, NULL, fresh_thread, NULL), 0);
    pthread_join(thread, NULL);
    rh_close(NULL);
    rh_batch *b = NULL;
    rh_batch_free(&b);
}
END_TEST

int main(void) {
    Suite *s = suite_create("client");
    TCase *t = tcase_create("client");
    tcase_set_timeout(t, 60);
#define OVER_ALL(test) tcase_add_loop_test(t, test, 0, JOB_TRANSPORTS)
    OVER_ALL(untouched_rows_are_the_initializers_and_pulling_them_touches_nothing);
    OVER_ALL(a_push_is_seen_by_the_next_pull);
    OVER_ALL(repeats_are_added_when_pushed_and_all_filled_when_pulled);
    OVER_ALL(of_a_write_the_last_of_equal_ids_wins_and_read_gives_its_bits);
    OVER_ALL(empty_calls_are_fine_and_an_empty_push_is_a_step);
    OVER_ALL(tables_of_dim_1_and_dim_4096_move_more_than_all_credit);
    OVER_ALL(an_id_out_of_range_is_named_and_nothing_has_changed);
    OVER_ALL(nan_and_infinity_are_refused_and_nothing_has_changed);
    OVER_ALL(nan_and_infinity_are_skipped_and_counted_where_the_table_says_so);
    OVER_ALL(a_table_opened_with_another_spec_names_the_field);
    OVER_ALL(specs_and_names_that_make_no_sense_are_refused_by_name);
    OVER_ALL(many_operations_fly_at_once_and_pulls_see_the_pushes_before_them);
    OVER_ALL(an_operation_ends_by_itself_while_the_application_computes);
    OVER_ALL(a_batch_moves_several_tables_and_its_pushes_go_before_its_pulls);
    OVER_ALL(ticks_count_clocks_and_a_barrier_of_one_is_passed);
    OVER_ALL(pushes_to_a_frozen_table_are_dropped_until_it_thaws);
    OVER_ALL(a_table_that_starts_frozen_takes_pushes_and_counts_its_first_step_when_it_thaws);
    OVER_ALL(a_new_learning_rate_holds_for_the_next_push);
    OVER_ALL(table_info_adds_up_all_shards);
    OVER_ALL(many_threads_share_one_client);
    OVER_ALL(a_forked_child_is_refused_and_may_connect_itself);
    OVER_ALL(closing_frees_what_is_still_in_flight);
    OVER_ALL(a_table_is_saved_and_loaded_in_every_format);
    OVER_ALL(chosen_rows_are_saved_under_their_words);
    OVER_ALL(saving_and_loading_tell_how_far_they_are_to_the_end);
    OVER_ALL(a_file_that_is_bad_at_its_end_changes_nothing);
    OVER_ALL(a_vocabulary_says_which_row_a_word_is);
    OVER_ALL(a_bad_vocabulary_or_a_bad_row_that_nobody_wants_changes_nothing);
    OVER_ALL(options_of_an_older_program_are_taken);
#undef OVER_ALL
    tcase_add_test(t, errors_have_texts_by_thread_and_the_library_a_version);
    suite_add_tcase(s, t);
    return job_main(s);
}
