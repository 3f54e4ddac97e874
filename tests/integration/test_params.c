/* test_params.c - dense parameters through real servers, over local:, ipc:// and tcp:// alike. */
#include <math.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tests/support/job.h"

enum { SHARDS = 2, NUMEL_MAX = 5000 };

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

struct shape {
    uint32_t ndim;
    uint64_t at[RH_PARAM_DIMS_MAX];
};

static rh_param_spec spec_of(struct shape s, rh_optimizer o) {
    rh_param_spec spec;
    rh_param_spec_init(&spec, s.at, s.ndim);
    spec.optimizer = o;
    return spec;
}

/* Zeros under SGD with lr 1: what is pushed is what is subtracted. */
static rh_param *param(const char *name, struct shape s) {
    rh_param_spec spec = spec_of(s, rh_sgd(1));
    rh_param *p = NULL;
    ck_assert_ok(rh_param_open(c, name, &spec, &p));
    return p;
}

/* ---- moving ---- */

enum { GUARD = 1100 }; /* more than a row */

static void move(const char *name, struct shape s, uint64_t numel) {
    static float in[NUMEL_MAX + GUARD], out[NUMEL_MAX + GUARD];
    rh_param *p = param(name, s);
    ck_assert_uint_eq(rh_param_numel(p), numel);
    for (uint64_t i = 0; i < numel + GUARD; i++)
        in[i] = i < numel ? (float)i + 1 : NAN; /* what is behind the array is not looked at ... */
    for (uint64_t i = 0; i < numel + GUARD; i++)
        out[i] = 77; /* ... and not written */
    ck_assert_ok(rh_param_write(p, in));
    ck_assert_ok(rh_param_pull(p, out));
    ck_assert_mem_eq(in, out, numel * sizeof *in);
    ck_assert_ok(rh_param_push(p, in));
    ck_assert_ok(rh_param_push(p, in));
    ck_assert_ok(rh_param_pull(p, out));
    uint64_t wrong = 0;
    for (uint64_t i = 0; i < numel + GUARD; i++)
        wrong += out[i] != (i < numel ? -(float)i - 1 : 77);
    ck_assert_uint_eq(wrong, 0);
}

START_TEST(tensors_of_any_shape_are_written_pushed_and_pulled_whole) {
    begin(_i);
    move("scalar", (struct shape){0, {0}}, 1);
    move("one", (struct shape){1, {1}}, 1);
    move("token", (struct shape){3, {1, 1, 64}}, 64);
    move("less", (struct shape){1, {1023}}, 1023);
    move("row", (struct shape){2, {32, 32}}, 1024);
    move("more", (struct shape){1, {1025}}, 1025);
    move("linear", (struct shape){2, {5, 999}}, 4995);
    move("conv", (struct shape){4, {8, 3, 5, 7}}, 840);
    move("eight", (struct shape){8, {2, 3, 1, 5, 1, 7, 11, 2}}, 4620);
    end();
}
END_TEST

START_TEST(a_small_parameter_is_a_table_of_one_row_of_its_size) {
    begin(_i);
    rh_param *p = param("cls", (struct shape){3, {1, 1, 64}});
    struct rh_table_info info;
    ck_assert_ok(rh_table_info(rh_param_table(p), &info));
    ck_assert_str_eq(info.name, "cls-1x1x64");
    ck_assert(info.num_embeddings == 1 && info.embedding_dim == 64);
    end();
}
END_TEST

START_TEST(a_push_is_one_step) {
    static float grads[3000];
    begin(_i);
    rh_param *p = param("p", (struct shape){1, {3000}});
    struct rh_table_info info;
    for (int i = 0; i < 3; i++)
        ck_assert_ok(rh_param_push(p, grads));
    ck_assert_ok(rh_tick(c));
    ck_assert_ok(rh_table_info(rh_param_table(p), &info));
    ck_assert_uint_eq(info.steps, 3);
    ck_assert_uint_eq(info.num_embeddings, 3);
    end();
}
END_TEST

/* More than the credit of all shards. */
START_TEST(a_large_parameter_moves_too) {
    enum { NUMEL = 3 * 1024 * 1024 + 5 };
    float *in = malloc(NUMEL * sizeof *in), *out = malloc(NUMEL * sizeof *out);
    begin(_i);
    rh_param *p = param("large", (struct shape){1, {NUMEL}});
    for (int i = 0; i < NUMEL; i++)
        in[i] = (float)i;
    ck_assert_ok(rh_param_push(p, in));
    ck_assert_ok(rh_param_pull(p, out));
    uint64_t wrong = 0;
    for (int i = 0; i < NUMEL; i++)
        wrong += out[i] != (float)-i;
    ck_assert_uint_eq(wrong, 0);
    end();
    free(in);
    free(out);
}
END_TEST

START_TEST(parameters_and_rows_travel_in_one_batch_and_in_flight) {
    static float pos[2000], grads[2000], token[7];
    begin(_i);
    rh_param *p = param("pos", (struct shape){2, {2, 1000}}),
             *cls = param("cls", (struct shape){1, {7}});
    rh_table *words = job_table(c, "words", 100, 3);
    const uint64_t id = 42;
    const float ones[7] = {1, 1, 1, 1, 1, 1, 1};
    float row[3];
    rh_batch *b;
    rh_op *op;
    for (int i = 0; i < 2000; i++)
        grads[i] = (float)i;
    ck_assert_ok(rh_batch_new(c, &b));
    ck_assert_ok(rh_batch_push_param(b, p, grads));
    ck_assert_ok(rh_batch_push(b, words, &id, 1, ones));
    ck_assert_ok(rh_batch_push_param(b, cls, ones));
    ck_assert_ok(rh_batch_pull_param(b, cls, token));
    ck_assert_ok(rh_batch_pull(b, words, &id, 1, row));
    ck_assert_ok(rh_batch_pull_param(b, p, pos));
    ck_assert_ok(rh_batch_begin(b, &op));
    ck_assert_ok(rh_wait(&op, -1));
    for (int i = 0; i < 2000; i++)
        ck_assert(pos[i] == (float)-i);
    ck_assert(token[0] == -1 && token[6] == -1 && row[2] == -1);
    rh_batch_free(&b);
    rh_op *push, *pull;
    ck_assert_ok(rh_param_push_begin(p, grads, &push));
    ck_assert_ok(rh_param_pull_begin(p, pos, &pull));
    ck_assert_ok(rh_wait(&push, -1));
    ck_assert_ok(rh_wait(&pull, -1));
    for (int i = 0; i < 2000; i++)
        ck_assert(pos[i] == (float)(-2 * i));
    end();
}
END_TEST

/* ---- learning ---- */

START_TEST(adam_on_a_parameter_is_torchs_formula) {
    enum { N = 2500, STEPS = 20 };
    static float w[N], grads[N], got[N];
    static double m[N], v[N], want[N];
    memset(m, 0, sizeof m); /* without forks the transports follow one another in one process */
    memset(v, 0, sizeof v);
    begin(_i);
    rh_param_spec spec =
        spec_of((struct shape){2, {50, 50}}, rh_adam_with(0.01, 0.9, 0.999, 1e-8, 0.1, 0));
    rh_param *p;
    ck_assert_ok(rh_param_open(c, "w", &spec, &p));
    for (int i = 0; i < N; i++)
        want[i] = w[i] = (float)(i % 17) / 8 - 1;
    ck_assert_ok(rh_param_write(p, w));
    for (int t = 1; t <= STEPS; t++) {
        for (int i = 0; i < N; i++) {
            grads[i] = (float)((i * 7 + t * 3) % 23) / 16 - 0.71f; /* + 0.1 w is never near 0 */
            double g = (double)grads[i] + 0.1 * want[i];
            m[i] += (g - m[i]) * (1 - 0.9);
            v[i] = 0.999 * v[i] + (1 - 0.999) * g * g;
            double root = sqrt(v[i] / (1 - pow(0.999, t)));
            want[i] -= 0.01 / (1 - pow(0.9, t)) * m[i] / (root + 1e-8);
        }
        ck_assert_ok(rh_param_push(p, grads));
    }
    ck_assert_ok(rh_param_pull(p, got));
    for (int i = 0; i < N; i++)
        ck_assert_double_eq_tol(got[i], want[i], 1e-5);
    end();
}
END_TEST

/* The end of the last row learns from zeros: nothing there may become NaN, or the row be skipped. */
START_TEST(what_is_beyond_the_tensor_stays_finite_under_every_optimizer) {
    enum { N = 1030 };
    static float grads[N], tail[1024];
    const rh_optimizer all[] = {
        rh_sgd_with(0.1, 0.9, 0, 0.1, RH_NESTEROV),
        rh_sparse_adam(0.1),
        rh_sparse_adam_with(0.1, 0.9, 0.999, 1e-8, RH_STEPS_PER_ROW),
        rh_adagrad_with(0.1, 0.1, 0.1, 0, 1e-10, 0),
        rh_adam_with(0.1, 0.9, 0.999, 1e-8, 0.1, 0),
        rh_adamw(0.1),
        rh_rmsprop_with(0.1, 0.99, 1e-8, 0.1, 0.9, RH_CENTERED),
    };
    begin(_i);
    for (int i = 0; i < N; i++)
        grads[i] = 1;
    for (size_t k = 0; k < sizeof all / sizeof *all; k++) {
        char name[8];
        const uint64_t last = 1;
        rh_param_spec spec = spec_of((struct shape){1, {N}}, all[k]);
        rh_param *p;
        struct rh_table_info info;
        snprintf(name, sizeof name, "p%zu", k);
        spec.init = k % 2 == 0 ? rh_zeros() : rh_normal(0, 1);
        spec.nonfinite = RH_NONFINITE_SKIP;
        ck_assert_ok(rh_param_open(c, name, &spec, &p));
        for (int step = 0; step < 50; step++)
            ck_assert_ok(rh_param_push(p, grads));
        ck_assert_ok(rh_read(rh_param_table(p), &last, 1, tail));
        for (int i = 0; i < 1024; i++)
            ck_assert(isfinite(tail[i]));
        ck_assert_ok(rh_table_info(rh_param_table(p), &info));
        ck_assert_uint_eq(info.skipped, 0);
    }
    end();
}
END_TEST

START_TEST(a_parameter_is_frozen_and_given_a_rate_as_every_table) {
    begin(_i);
    rh_param *p = param("p", (struct shape){1, {3}});
    const float ones[] = {1, 1, 1};
    float out[3];
    ck_assert_ok(rh_freeze(rh_param_table(p), 0, 1, 0));
    ck_assert_ok(rh_param_push(p, ones));
    ck_assert_ok(rh_param_pull(p, out));
    ck_assert(out[0] == 0 && out[2] == 0);
    ck_assert_ok(rh_unfreeze(rh_param_table(p), 0, 1));
    ck_assert_ok(rh_set_lr(rh_param_table(p), 0.5));
    ck_assert_ok(rh_param_push(p, ones));
    ck_assert_ok(rh_param_pull(p, out));
    ck_assert(out[0] == -0.5f && out[2] == -0.5f);
    end();
}
END_TEST

START_TEST(rows_of_a_parameter_are_frozen_alone_also_the_last_and_shorter_one) {
    enum { N = 2500 };
    static float ones[N], out[N];
    begin(_i);
    rh_param *p = param("p", (struct shape){1, {N}});
    rh_table *t = rh_param_table(p);
    for (int i = 0; i < N; i++)
        ones[i] = 1;
    const uint64_t frozen[] = {0, 2};
    for (int k = 0; k < 2; k++) {
        ck_assert_ok(rh_freeze(t, frozen[k], 1, 0));
        ck_assert_ok(rh_param_write(p, ones));
        ck_assert_ok(rh_param_push(p, ones));
        ck_assert_ok(rh_param_pull(p, out));
        int wrong = 0;
        for (int i = 0; i < N; i++)
            wrong += out[i] != ((uint64_t)i / 1024 == frozen[k] ? 1 : 0);
        ck_assert_int_eq(wrong, 0);
        ck_assert_ok(rh_unfreeze(t, frozen[k], 1));
    }
    end();
}
END_TEST

START_TEST(under_bsp_a_push_is_seen_when_its_clock_closes) {
    static float ones[1500], out[1500];
    job_start(&job, _i, SHARDS);
    job.cfg.mode = RH_MODE_BSP;
    c = job_connect(&job, 0);
    rh_param *p = param("p", (struct shape){1, {1500}});
    for (int i = 0; i < 1500; i++)
        ones[i] = 1;
    for (int k = 0; k < 3; k++) {
        ck_assert_ok(rh_param_push(p, ones));
        ck_assert_ok(rh_param_pull(p, out));
        ck_assert(out[0] == (float)-k && out[1499] == (float)-k);
        ck_assert_ok(rh_tick(c));
    }
    end();
}
END_TEST

static void train(uint32_t shards, float *out) {
    enum { N = 5000 };
    static float grads[N];
    job_start(&job, JOB_LOCAL, shards);
    c = job_connect(&job, 0);
    rh_param_spec spec = spec_of((struct shape){2, {100, 50}}, rh_adamw(0.01));
    rh_param *p;
    spec.init = rh_param_kaiming_uniform(&spec, 0, RH_FAN_IN, RH_RELU);
    ck_assert_ok(rh_param_open(c, "w", &spec, &p));
    for (int t = 0; t < 10; t++) {
        for (int i = 0; i < N; i++)
            grads[i] = (float)((i + t) % 13) / 7 - 0.9f;
        ck_assert_ok(rh_param_push(p, grads));
    }
    ck_assert_ok(rh_param_pull(p, out));
    end();
}

START_TEST(a_parameter_has_the_same_bits_on_any_number_of_shards) {
    static float out[3][5000];
    train(1, out[0]);
    train(2, out[1]);
    train(5, out[2]);
    ck_assert_mem_eq(out[0], out[1], sizeof out[0]);
    ck_assert_mem_eq(out[0], out[2], sizeof out[0]);
}
END_TEST

START_TEST(fans_are_those_of_the_parameters_own_shape) {
    static float w[5000];
    begin(_i);
    rh_param_spec spec = spec_of((struct shape){4, {20, 10, 5, 5}}, rh_sgd(1));
    rh_param *p;
    spec.init = rh_param_xavier_uniform(&spec, 1);
    ck_assert_ok(rh_param_open(c, "conv", &spec, &p));
    ck_assert_ok(rh_param_pull(p, w));
    const float bound = sqrtf(6.0f / (10 * 25 + 20 * 25));
    float largest = 0;
    for (int i = 0; i < 5000; i++)
        largest = fmaxf(largest, fabsf(w[i]));
    ck_assert(largest <= bound && largest > 0.99f * bound);
    end();
}
END_TEST

/* ---- the name and the shape ---- */

static void assert_other_shape(rh_client *who, const char *name, struct shape s, const char *have,
                               const char *want) {
    rh_param_spec spec = spec_of(s, rh_sgd(1));
    rh_param *p;
    ck_assert_refused(rh_param_open(who, name, &spec, &p), RH_EMISMATCH, have);
    ck_assert_refused(rh_param_open(who, name, &spec, &p), RH_EMISMATCH, want);
}

START_TEST(another_shape_is_refused_and_both_are_named) {
    begin(_i);
    rh_param *p = param("pos", (struct shape){3, {1, 6, 4}}), *again, *found;
    ck_assert_ptr_eq(param("pos", (struct shape){3, {1, 6, 4}}), p);
    assert_other_shape(c, "pos", (struct shape){1, {24}}, "(1, 6, 4)", "not (24,)");
    assert_other_shape(c, "pos", (struct shape){0, {0}}, "(1, 6, 4)", "not ()");
    assert_other_shape(c, "pos", (struct shape){3, {1, 4, 6}}, "(1, 6, 4)", "not (1, 4, 6)");
    param("scale", (struct shape){0, {0}});
    assert_other_shape(c, "scale", (struct shape){1, {1}}, "shape ()", "not (1,)");
    rh_param_spec spec = spec_of((struct shape){3, {1, 6, 4}}, rh_adam(1));
    ck_assert_refused(rh_param_open(c, "pos", &spec, &again), RH_EMISMATCH, "optimizer");
    ck_assert_ok(rh_param_find(c, "pos", &found));
    ck_assert_ptr_eq(found, p);
    uint32_t ndim;
    const uint64_t *shape = rh_param_shape(found, &ndim);
    ck_assert(ndim == 3 && shape[0] == 1 && shape[1] == 6 && shape[2] == 4);
    ck_assert_refused(rh_param_find(c, "po", &found), RH_ENOTFOUND, "po");
    end();
}
END_TEST

/* Names that only look like a parameter's do not stand in its way. */
START_TEST(tables_whose_names_end_like_a_shape_are_no_parameters) {
    begin(_i);
    rh_param *p;
    job_table(c, "users-2", 1000, 8);
    job_table(c, "users-2x", 1, 2);
    job_table(c, "users-02", 1, 2);
    job_table(c, "users", 1, 2);
    ck_assert_refused(rh_param_find(c, "users", &p), RH_ENOTFOUND, "users");
    param("users", (struct shape){1, {5}});
    param("users-5", (struct shape){1, {3}}); /* the table users-5-3 */
    ck_assert_ok(rh_param_find(c, "users", &p));
    ck_assert_uint_eq(rh_param_numel(p), 5);
    end();
}
END_TEST

START_TEST(a_dropped_parameter_may_come_back_in_another_shape) {
    job_start(&job, _i % JOB_TRANSPORTS, SHARDS);
    bool bsp = _i >= JOB_TRANSPORTS;
    job.cfg.mode = bsp ? RH_MODE_BSP : RH_MODE_ASYNC;
    c = job_connect(&job, 0);
    rh_param *p = param("pos", (struct shape){2, {2, 3}}), *q;
    const float six[] = {1, 2, 3, 4, 5, 6};
    float out[6];
    rh_table *t = rh_param_table(p);
    ck_assert_ok(rh_param_write(p, six));
    ck_assert_ok(rh_table_drop(&t));
    if (bsp)
        ck_assert_ok(rh_tick(c));
    ck_assert_refused(rh_param_find(c, "pos", &q), RH_ENOTFOUND, "pos");
    q = param("pos", (struct shape){1, {6}});
    ck_assert_ptr_ne(p, q);
    ck_assert_ok(rh_param_pull(q, out));
    ck_assert(out[0] == 0 && out[5] == 0);
    ck_assert_refused(rh_param_pull(p, out), RH_ENOTFOUND, "pos-2x3");
    t = rh_param_table(q);
    ck_assert_ok(rh_table_drop(&t));
    if (bsp)
        ck_assert_ok(rh_tick(c));
    q = param("pos", (struct shape){2, {2, 3}}); /* the first shape again, a new parameter */
    ck_assert_ok(rh_param_write(q, six));
    if (bsp)
        ck_assert_ok(rh_tick(c));
    ck_assert_ok(rh_param_pull(q, out));
    ck_assert_mem_eq(out, six, sizeof six);
    end();
}
END_TEST

/* As when two workers open it in two shapes at once: the table that the lead numbered first counts,
 * for both of them and for everybody after. */
START_TEST(of_two_shapes_at_once_the_first_one_counts) {
    begin(_i);
    rh_table_spec table;
    rh_table *t;
    rh_param_spec first = spec_of((struct shape){2, {2, 3}}, rh_sgd(1)), second = first;
    rh_param *p;
    rh_table_spec_init(&table, 1, 6);
    table.init = rh_zeros();
    table.optimizer = rh_sgd(1);
    ck_assert_ok(rh_param_open(c, "w", &first, &p));
    ck_assert_ok(rh_table_open(c, "w-6", &table, &t));
    second.ndim = 1, second.shape[0] = 6;
    ck_assert_refused(rh_param_open(c, "w", &second, &p), RH_EMISMATCH, "shape (2, 3), not (6,)");
    ck_assert_ok(rh_param_open(c, "w", &first, &p));
    end();
}
END_TEST

enum { RACES = 40 };

struct racer {
    rh_client *c;
    struct shape shape;
    rh_status status[RACES];
};

static pthread_barrier_t start;

static void *race(void *arg) {
    struct racer *r = arg;
    for (int i = 0; i < RACES; i++) {
        char name[16];
        rh_param *p;
        rh_param_spec spec = spec_of(r->shape, rh_sgd(1));
        snprintf(name, sizeof name, "race%d", i);
        pthread_barrier_wait(&start);
        r->status[i] = rh_param_open(r->c, name, &spec, &p);
    }
    return NULL;
}

START_TEST(workers_that_race_with_two_shapes_agree_on_one) {
    job_start(&job, JOB_TCP, SHARDS);
    job.cfg.world = 2;
    c = job_connect(&job, 0);
    struct racer a = {.c = c, .shape = {2, {2, 3}}};
    struct racer b = {.c = job_connect(&job, 1), .shape = {1, {6}}};
    pthread_t thread;
    pthread_barrier_init(&start, NULL, 2);
    ck_assert_int_eq(pthread_create(&thread, NULL, race, &b), 0);
    race(&a);
    pthread_join(thread, NULL);
    pthread_barrier_destroy(&start);
    for (int i = 0; i < RACES; i++) {
        char name[16];
        rh_param *p, *q;
        snprintf(name, sizeof name, "race%d", i);
        ck_assert_msg((a.status[i] == RH_OK && b.status[i] == RH_EMISMATCH) ||
                          (b.status[i] == RH_OK && a.status[i] == RH_EMISMATCH),
                      "%s: %s and %s", name, rh_strstatus(a.status[i]), rh_strstatus(b.status[i]));
        ck_assert_ok(rh_param_find(a.c, name, &p));
        ck_assert_ok(rh_param_find(b.c, name, &q));
        uint32_t ndim, same;
        rh_param_shape(p, &ndim);
        rh_param_shape(q, &same);
        ck_assert(ndim == same && ndim == (a.status[i] == RH_OK ? 2 : 1));
    }
    rh_close(b.c);
    end();
}
END_TEST

START_TEST(another_worker_sees_the_same_parameter_and_shape) {
    job_start(&job, JOB_TCP, SHARDS);
    job.cfg.world = 2;
    c = job_connect(&job, 0);
    rh_client *other = job_connect(&job, 1), *observer;
    rh_config cfg = job.cfg;
    rh_param *mine = param("pos", (struct shape){2, {3, 500}}), *theirs, *seen;
    static float in[1500], out[1500];
    assert_other_shape(other, "pos", (struct shape){1, {1500}}, "(3, 500)", "(1500,)");
    ck_assert_ok(rh_param_find(other, "pos", &theirs));
    for (int i = 0; i < 1500; i++)
        in[i] = (float)i;
    ck_assert_ok(rh_param_push(theirs, in));
    ck_assert_ok(rh_param_pull(mine, out));
    ck_assert(out[1499] == -1499 && out[1] == -1);
    cfg.observer = 1;
    ck_assert_ok(rh_connect(&cfg, &observer));
    ck_assert_ok(rh_param_find(observer, "pos", &seen));
    memset(out, 0, sizeof out);
    ck_assert_ok(rh_param_pull(seen, out));
    ck_assert(out[1499] == -1499);
    ck_assert_refused(rh_param_write(seen, in), RH_EINVAL, "observer");
    rh_param_spec spec = spec_of((struct shape){1, {2}}, rh_sgd(1));
    ck_assert_refused(rh_param_open(observer, "new", &spec, &seen), RH_EINVAL, "observer");
    rh_batch *b;
    ck_assert_ok(rh_batch_new(c, &b));
    ck_assert_ok(rh_batch_pull_param(b, theirs, out));
    ck_assert_refused(rh_batch_run(b), RH_EINVAL, "another client");
    rh_batch_free(&b);
    rh_close(observer);
    rh_close(other);
    end();
}
END_TEST

/* ---- what is refused ---- */

START_TEST(specs_that_make_no_sense_are_refused_by_name) {
    begin(_i);
    const rh_param_spec good = spec_of((struct shape){2, {4, 5}}, rh_sgd(1));
    rh_param_spec bad = good;
    rh_param *p;
    bad.size = 3;
    ck_assert_refused(rh_param_open(c, "p", &bad, &p), RH_EINVAL, "rh_param_spec.size is 3");
    bad = good, bad.ndim = 9;
    ck_assert_refused(rh_param_open(c, "p", &bad, &p), RH_EINVAL, "9 dimensions");
    bad = good, bad.shape[1] = 0;
    ck_assert_refused(rh_param_open(c, "p", &bad, &p), RH_EINVAL, "(4, 0)");
    bad = good, bad.shape[1] = UINT64_MAX;
    ck_assert_refused(rh_param_open(c, "p", &bad, &p), RH_EINVAL, "2^32");
    bad = good, bad.shape[1] = (1 << 30) + 1;
    ck_assert_refused(rh_param_open(c, "p", &bad, &p), RH_EINVAL, "2^32");
    bad = good, bad.optimizer = rh_rowwise_adagrad(1);
    ck_assert_refused(rh_param_open(c, "p", &bad, &p), RH_EINVAL, "RowWiseAdagrad");
    bad = good, bad.init = rh_orthogonal();
    ck_assert_refused(rh_param_open(c, "p", &bad, &p), RH_EINVAL, "orthogonal");
    bad = good, bad.ndim = 1;
    bad.init = rh_param_xavier_normal(&bad, 1);
    ck_assert_refused(rh_param_open(c, "p", &bad, &p), RH_EINVAL, "two dimensions");
    bad.init = rh_param_kaiming_uniform(&bad, 0, RH_FAN_IN, RH_RELU);
    ck_assert_refused(rh_param_open(c, "p", &bad, &p), RH_EINVAL, "two dimensions");
    ck_assert_refused(rh_param_open(c, "a b", &good, &p), RH_EINVAL, "a b");
    ck_assert_refused(rh_param_open(c,
                                    "a123456789a123456789a123456789a123456789a123456789a1234567890",
                                    &good, &p),
                      RH_EINVAL, "65 characters");
    end();
}
END_TEST

START_TEST(nan_is_named_by_its_place_and_nothing_has_changed) {
    float values[2000] = {0};
    begin(_i);
    rh_param *p = param("w", (struct shape){1, {2000}});
    struct rh_table_info info;
    values[1999] = NAN;
    ck_assert_refused(rh_param_push(p, values), RH_EINVAL, "parameter w: value 1999 is nan");
    values[3] = INFINITY;
    ck_assert_refused(rh_param_write(p, values), RH_EINVAL, "value 3 is inf");
    ck_assert_ok(rh_tick(c));
    ck_assert_ok(rh_table_info(rh_param_table(p), &info));
    ck_assert(info.touched == 0 && info.steps == 0);
    end();
}
END_TEST

int main(void) {
    Suite *s = suite_create("params");
    TCase *t = tcase_create("params");
    tcase_set_timeout(t, 60);
#define OVER_ALL(test) tcase_add_loop_test(t, test, 0, JOB_TRANSPORTS)
    OVER_ALL(tensors_of_any_shape_are_written_pushed_and_pulled_whole);
    OVER_ALL(a_small_parameter_is_a_table_of_one_row_of_its_size);
    OVER_ALL(a_push_is_one_step);
    OVER_ALL(a_large_parameter_moves_too);
    OVER_ALL(parameters_and_rows_travel_in_one_batch_and_in_flight);
    OVER_ALL(adam_on_a_parameter_is_torchs_formula);
    OVER_ALL(what_is_beyond_the_tensor_stays_finite_under_every_optimizer);
    OVER_ALL(a_parameter_is_frozen_and_given_a_rate_as_every_table);
    OVER_ALL(rows_of_a_parameter_are_frozen_alone_also_the_last_and_shorter_one);
    OVER_ALL(under_bsp_a_push_is_seen_when_its_clock_closes);
    OVER_ALL(fans_are_those_of_the_parameters_own_shape);
    OVER_ALL(another_shape_is_refused_and_both_are_named);
    OVER_ALL(tables_whose_names_end_like_a_shape_are_no_parameters);
    OVER_ALL(of_two_shapes_at_once_the_first_one_counts);
    OVER_ALL(specs_that_make_no_sense_are_refused_by_name);
    OVER_ALL(nan_is_named_by_its_place_and_nothing_has_changed);
#undef OVER_ALL
    tcase_add_loop_test(t, a_dropped_parameter_may_come_back_in_another_shape, 0,
                        2 * JOB_TRANSPORTS);
    tcase_add_test(t, a_parameter_has_the_same_bits_on_any_number_of_shards);
    tcase_add_test(t, workers_that_race_with_two_shapes_agree_on_one);
    tcase_add_test(t, another_worker_sees_the_same_parameter_and_shape);
    suite_add_tcase(s, t);
    return job_main(s);
}
