/*
 * test_row_rules.c - padding_idx, max_norm and scale_grad_by_freq as torch.nn.Embedding has them: 50
 * steps that torch has done (tests/golden/row_rules.txt), and every promise of rowhouse.h by itself,
 * over local:, ipc:// and tcp:// alike.
 */
#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/rng.h"
#include "tests/support/job.h"
#include "tests/support/scratch.h"
#include "worker/facts.h"

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

/* 100 rows of zeros under SGD with lr 1. */
static rh_table_spec plain(uint32_t dim) {
    rh_table_spec s;
    rh_table_spec_init(&s, 100, dim);
    s.init = rh_zeros();
    s.optimizer = rh_sgd(1);
    return s;
}

static rh_table *open_table(const char *name, const rh_table_spec *s) {
    rh_table *t = NULL;
    ck_assert_ok(rh_table_open(c, name, s, &t));
    return t;
}

static struct rh_table_info info_of(rh_table *t) {
    struct rh_table_info info;
    ck_assert_ok(rh_table_info(t, &info));
    return info;
}

/* ---- against torch ---- */

enum { ROWS_MAX = 12, DIM_MAX = 17, BATCH_MAX = 16 };

struct replay {
    FILE *file;
    rh_table *table;
    uint32_t dim;
    unsigned steps, cases, compared;
    double maxdiff;
};

static double next_real(struct replay *r) {
    double v;
    ck_assert_int_eq(fscanf(r->file, "%lf", &v), 1);
    return v;
}

static void next_row(struct replay *r, double unit, float *row) {
    for (uint32_t i = 0; i < r->dim; i++)
        row[i] = (float)(next_real(r) * unit);
}

static void begin_case(struct replay *r) {
    char optimizer[16], name[16];
    rh_table_spec s;
    ck_assert_int_eq(fscanf(r->file, "%15s", optimizer), 1);
    rh_table_spec_init(&s, 1, 1);
    s.norm_type = next_real(r);
    s.max_norm = next_real(r);
    s.padding_idx = (int64_t)next_real(r);
    s.scale_grad_by_freq = (uint32_t)next_real(r);
    s.embedding_dim = r->dim = (uint32_t)next_real(r);
    s.num_embeddings = (uint64_t)next_real(r);
    ck_assert(r->dim <= DIM_MAX && s.num_embeddings <= ROWS_MAX);
    s.optimizer = strcmp(optimizer, "SGD") == 0 ? rh_sgd(1) : rh_sparse_adam(1);
    snprintf(name, sizeof name, "case%u", r->cases++);
    r->table = open_table(name, &s);
    r->steps = 0;
}

static void write_row(struct replay *r) {
    uint64_t id = (uint64_t)next_real(r);
    float row[DIM_MAX];
    next_row(r, 1.0 / 256, row);
    ck_assert_ok(rh_write(r->table, &id, 1, row));
}

static void run_step(struct replay *r) {
    uint64_t ids[BATCH_MAX];
    float grads[BATCH_MAX * DIM_MAX], rows[BATCH_MAX * DIM_MAX];
    ck_assert_ok(rh_set_lr(r->table, next_real(r)));
    size_t n = (size_t)next_real(r);
    ck_assert_uint_le(n, BATCH_MAX);
    for (size_t k = 0; k < n; k++) {
        ck_assert_int_eq(fscanf(r->file, " grad"), 0);
        ids[k] = (uint64_t)next_real(r);
        double exponent = next_real(r);
        next_row(r, ldexp(1, (int)exponent), grads + k * r->dim);
    }
    ck_assert_ok(rh_pull(r->table, ids, n, rows));
    ck_assert_ok(rh_push(r->table, ids, n, grads));
    ck_assert_ok(rh_tick(c));
    r->steps++;
}

static void compare_row(struct replay *r, const char *word) {
    uint64_t id = (uint64_t)next_real(r);
    float want[DIM_MAX], have[DIM_MAX];
    next_row(r, 1, want);
    if (strcmp(word, "seen") == 0)
        ck_assert_ok(rh_pull(r->table, &id, 1, have));
    else
        ck_assert_ok(rh_read(r->table, &id, 1, have));
    for (uint32_t i = 0; i < r->dim; i++) {
        double diff = fabs((double)have[i] - want[i]);
        r->maxdiff = fmax(r->maxdiff, diff);
        r->compared++;
        ck_assert_msg(diff <= 1e-6 + 1e-5 * fabsf(want[i]),
                      "case %u after step %u, %s %" PRIu64 " column %u: %.9g, torch has %.9g",
                      r->cases, r->steps, word, id, i, have[i], want[i]);
    }
}

START_TEST(fifty_steps_of_every_argument_match_torch) {
    struct replay r = {.file = fopen("tests/golden/row_rules.txt", "r")};
    ck_assert_msg(r.file != NULL, "run the tests from the root of the tree");
    begin(_i);
    char word[16];
    while (fscanf(r.file, "%15s", word) == 1) {
        if (strcmp(word, "case") == 0)
            begin_case(&r);
        else if (strcmp(word, "row") == 0)
            write_row(&r);
        else if (strcmp(word, "step") == 0)
            run_step(&r);
        else if (strcmp(word, "want") == 0)
            ck_assert(next_real(&r) == r.steps);
        else if (strcmp(word, "seen") == 0 || strcmp(word, "stored") == 0)
            compare_row(&r, word);
        else
            ck_assert_str_eq(word, "end");
    }
    ck_assert(feof(r.file) && r.cases == 6 && r.steps == 50);
    fclose(r.file);
    ck_assert_uint_gt(r.compared, 2000);
    printf("row_rules.txt: maxdiff %.3g in %u values\n", r.maxdiff, r.compared);
    end();
}
END_TEST

/* ---- the padding row ---- */

START_TEST(the_padding_row_begins_as_zeros_and_learns_from_nobody) {
    begin(_i);
    rh_table_spec s = plain(2);
    s.init = rh_constant(7);
    s.padding_idx = 5;
    rh_table *t = open_table("t", &s);
    const uint64_t ids[] = {5, 6, 5, 7};
    const float grads[] = {1, 2, 1, 1, 3, 4, 2, 2}, set[] = {-3, 9};
    float rows[8];
    ck_assert_ok(rh_push(t, ids, 4, grads));
    ck_assert_ok(rh_pull(t, ids, 4, rows));
    const float want[] = {0, 0, 6, 6, 0, 0, 5, 5};
    ck_assert_mem_eq(rows, want, sizeof want);
    ck_assert_uint_eq(info_of(t).touched, 2);

    ck_assert_ok(rh_write(t, ids, 1, set));
    ck_assert_ok(rh_push(t, ids, 4, grads));
    ck_assert_ok(rh_pull(t, ids, 1, rows));
    ck_assert_mem_eq(rows, set, sizeof set);
    end();
}
END_TEST

/* Losses that mask their padding have NaN there, and torch does not look at it. */
START_TEST(the_gradient_of_the_padding_row_may_be_anything) {
    begin(_i);
    for (int skip = 0; skip < 2; skip++) {
        rh_table_spec s = plain(2);
        s.padding_idx = 5;
        s.nonfinite = skip ? RH_NONFINITE_SKIP : RH_NONFINITE_REFUSE;
        rh_table *t = open_table(skip ? "skip" : "refuse", &s);
        const uint64_t ids[] = {5, 6, 5};
        float grads[] = {NAN, 2, 1, 1, 3, INFINITY}, rows[6];
        ck_assert_ok(rh_push(t, ids, 3, grads));
        ck_assert_ok(rh_pull(t, ids, 3, rows));
        ck_assert(rows[0] == 0 && rows[2] == -1 && rows[5] == 0);
        ck_assert_uint_eq(info_of(t).skipped, 0);
        ck_assert_refused(rh_write(t, ids, 3, grads), RH_EINVAL,
                          "value 0 of the row at position 0");
        if (skip)
            continue;
        grads[3] = NAN;
        ck_assert_refused(rh_push(t, ids, 3, grads), RH_EINVAL, "value 1 of the row at position 1");
    }
    end();
}
END_TEST

START_TEST(a_push_of_nothing_but_padding_is_a_step) {
    begin(_i);
    rh_table_spec s = plain(1);
    s.padding_idx = 5;
    rh_table *t = open_table("t", &s);
    const uint64_t ids[] = {5, 5};
    const float grads[] = {1, 2};
    ck_assert_ok(rh_push(t, ids, 2, grads));
    ck_assert_ok(rh_tick(c));
    ck_assert_uint_eq(info_of(t).steps, 1);
    ck_assert_uint_eq(info_of(t).touched, 0);
    end();
}
END_TEST

static uint64_t rows_received(void) {
    uint64_t rows = 0;
    for (uint32_t shard = 0; shard < SHARDS; shard++) {
        struct facts_shard f;
        ck_assert_ok(facts_ask_shard(c, shard, &f));
        rows += f.shard.pushed_rows;
        facts_fini_shard(&f);
    }
    return rows;
}

START_TEST(gradients_of_the_padding_row_are_not_even_sent) {
    begin(_i);
    rh_table_spec s = plain(1);
    s.padding_idx = 5;
    rh_table *t = open_table("t", &s);
    const uint64_t ids[] = {5, 1, 2, 5, 2, 3};
    const float grads[6] = {1, 1, 1, 1, 1, 1};
    ck_assert_ok(rh_push(t, ids, 1, grads));
    ck_assert_uint_eq(rows_received(), 0);
    ck_assert_ok(rh_push(t, ids, 6, grads));
    ck_assert_uint_eq(rows_received(), 3);
    end();
}
END_TEST

START_TEST(padding_idx_counts_from_the_end_if_it_is_negative_and_is_within_num_embeddings) {
    begin(_i);
    static const int64_t given[] = {-1, -100, 0, 99};
    static const uint64_t row[] = {99, 0, 0, 99};
    for (int k = 0; k < 4; k++) {
        char name[2] = {(char)('a' + k), 0};
        rh_table_spec s = plain(1);
        s.init = rh_ones();
        s.padding_idx = given[k];
        rh_table *t = open_table(name, &s), *same;
        float all[100];
        uint64_t ids[100];
        for (uint64_t i = 0; i < 100; i++)
            ids[i] = i;
        ck_assert_ok(rh_pull(t, ids, 100, all));
        for (uint64_t i = 0; i < 100; i++)
            ck_assert(all[i] == (i == row[k] ? 0 : 1));
        s.padding_idx = given[k] < 0 ? given[k] + 100 : given[k] - 100;
        ck_assert_ok(rh_table_open(c, name, &s, &same));
        s.padding_idx = 50;
        ck_assert_refused(rh_table_open(c, name, &s, &same), RH_EMISMATCH, "padding_idx");
        s.padding_idx = RH_NO_PADDING;
        ck_assert_refused(rh_table_open(c, name, &s, &same), RH_EMISMATCH, "not none");
    }
    static const int64_t bad[] = {100, -101, INT64_MAX, INT64_MIN + 1};
    for (int k = 0; k < 4; k++) {
        rh_table_spec s = plain(1);
        rh_table *t;
        s.padding_idx = bad[k];
        ck_assert_refused(rh_table_open(c, "bad", &s, &t), RH_EINVAL,
                          "it must be within num_embeddings: allowed is -100 to 99");
    }
    end();
}
END_TEST

START_TEST(a_loaded_file_sets_the_padding_row) {
    scratch_enter();
    begin(_i);
    rh_table_spec s = plain(2);
    s.num_embeddings = 3;
    s.padding_idx = 1;
    rh_table *t = open_table("t", &s);
    scratch_text("v.txt", "3 2\na 1 2\nb 3 4\nc 5 6\n");
    ck_assert_ok(rh_load(t, "v.txt", NULL, NULL));
    const uint64_t id = 1;
    const float g[] = {1, 1};
    float row[2];
    ck_assert_ok(rh_push(t, &id, 1, g));
    ck_assert_ok(rh_pull(t, &id, 1, row));
    ck_assert(row[0] == 3 && row[1] == 4);
    end();
    scratch_leave();
}
END_TEST

/* ---- max_norm ---- */

START_TEST(rows_are_seen_at_max_norm_and_stored_as_they_are) {
    begin(_i);
    rh_table_spec s = plain(2);
    s.max_norm = 1;
    s.padding_idx = 4;
    rh_table *t = open_table("t", &s);
    const uint64_t ids[] = {3, 4, 5};
    const float in[] = {3, 4, 30, 40, 0.5f, 0}, want[] = {0.6f, 0.8f, 0.6f, 0.8f, 0.5f, 0};
    float rows[6];
    ck_assert_ok(rh_write(t, ids, 3, in));
    for (int again = 0; again < 2; again++) {
        ck_assert_ok(rh_pull(t, ids, 3, rows));
        for (int i = 0; i < 6; i++)
            ck_assert_float_eq_tol(rows[i], want[i], 1e-7f);
        ck_assert_ok(rh_read(t, ids, 3, rows));
        ck_assert_mem_eq(rows, in, sizeof in);
    }
    /* What is pushed steps from what was seen; the padding row keeps even its norm. */
    const float grads[] = {-1, 0, 1, 1, 0, 0};
    ck_assert_ok(rh_push(t, ids, 3, grads));
    ck_assert_ok(rh_read(t, ids, 3, rows));
    ck_assert_float_eq_tol(rows[0], 1.6f, 1e-6f);
    ck_assert_float_eq_tol(rows[1], 0.8f, 1e-6f);
    ck_assert_mem_eq(rows + 2, in + 2, 4 * sizeof *in);
    end();
}
END_TEST

START_TEST(untouched_rows_are_seen_at_max_norm_and_stay_untouched) {
    begin(_i);
    rh_table_spec s = plain(3);
    s.init = rh_constant(2);
    s.max_norm = 3;
    s.norm_type = 1;
    rh_table *t = open_table("t", &s);
    const uint64_t ids[] = {3, 99};
    float rows[6];
    ck_assert_ok(rh_pull(t, ids, 2, rows));
    for (int i = 0; i < 6; i++)
        ck_assert_float_eq_tol(rows[i], 1, 1e-6f);
    ck_assert_ok(rh_read(t, ids, 2, rows));
    ck_assert(rows[0] == 2);
    ck_assert_uint_eq(info_of(t).touched, 0);
    end();
}
END_TEST

START_TEST(an_exported_row_is_what_a_pull_gives) {
    scratch_enter();
    begin(_i);
    rh_table_spec s = plain(2);
    s.num_embeddings = 2;
    s.max_norm = 5;
    s.norm_type = INFINITY;
    rh_table *t = open_table("t", &s);
    const uint64_t ids[] = {0, 1};
    const float in[] = {10, -20, 1, 2};
    ck_assert_ok(rh_write(t, ids, 2, in));
    ck_assert_ok(rh_export(t, "v.npy", NULL));
    size_t len;
    char *npy = scratch_read("v.npy", &len);
    float rows[4], pulled[4];
    memcpy(rows, npy + len - sizeof rows, sizeof rows);
    free(npy);
    ck_assert_ok(rh_pull(t, ids, 2, pulled));
    ck_assert_mem_eq(rows, pulled, sizeof rows);
    ck_assert_float_eq_tol(rows[1], -5, 1e-6f);
    ck_assert_float_eq_tol(rows[3], 2, 1e-6f);
    end();
    scratch_leave();
}
END_TEST

START_TEST(norms_that_make_no_sense_are_refused_by_name) {
    begin(_i);
    static const double bad_max[] = {-1, -INFINITY, NAN}, bad_p[] = {0, -2, -INFINITY, NAN};
    const rh_table_spec good = plain(2);
    rh_table *t;
    for (int k = 0; k < 3; k++) {
        rh_table_spec s = good;
        s.max_norm = bad_max[k];
        ck_assert_refused(rh_table_open(c, "t", &s, &t), RH_EINVAL, "max_norm is ");
    }
    for (int k = 0; k < 4; k++) {
        rh_table_spec s = good;
        s.max_norm = 1;
        s.norm_type = bad_p[k];
        ck_assert_refused(rh_table_open(c, "t", &s, &t), RH_EINVAL, "norm_type is ");
    }
    rh_table_spec s = good;
    s.norm_type = -1; /* nobody asks for it */
    ck_assert_ok(rh_table_open(c, "t", &s, &t));
    s.max_norm = 1, s.norm_type = 2;
    ck_assert_refused(rh_table_open(c, "t", &s, &t), RH_EMISMATCH, "max_norm 0, not 1");
    end();
}
END_TEST

/* ---- scale_grad_by_freq ---- */

START_TEST(repeats_of_a_push_count_as_their_mean) {
    begin(_i);
    rh_table_spec s = plain(1);
    s.scale_grad_by_freq = 1;
    rh_table *t = open_table("t", &s), *same;
    const uint64_t ids[] = {5, 6, 5, 5, 5, 7, 7};
    const float grads[] = {1, 2, 3, 5, 7, 1, 2};
    float rows[7];
    ck_assert_ok(rh_push(t, ids, 7, grads));
    ck_assert_ok(rh_pull(t, ids, 7, rows));
    ck_assert(rows[0] == -4 && rows[1] == -2 && rows[5] == -1.5f);
    ck_assert_ok(rh_push(t, ids, 1, grads)); /* the next call counts for itself */
    ck_assert_ok(rh_pull(t, ids, 1, rows));
    ck_assert(rows[0] == -5);
    ck_assert_ok(rh_write(t, ids, 7, grads)); /* of a write the last wins, as it is */
    ck_assert_ok(rh_pull(t, ids, 1, rows));
    ck_assert(rows[0] == 7);
    s.scale_grad_by_freq = 0;
    ck_assert_refused(rh_table_open(c, "t", &s, &same), RH_EMISMATCH,
                      "scale_grad_by_freq 1, not 0");
    s.scale_grad_by_freq = 2;
    ck_assert_refused(rh_table_open(c, "u", &s, &same), RH_EINVAL, "scale_grad_by_freq is 2");
    end();
}
END_TEST

START_TEST(each_push_of_a_batch_is_a_mini_batch) {
    begin(_i);
    rh_table_spec s = plain(1);
    s.scale_grad_by_freq = 1;
    rh_table *t = open_table("t", &s);
    rh_batch *b;
    const uint64_t ids[] = {5, 5, 5};
    const float grads[] = {1, 3, 8};
    float row;
    ck_assert_ok(rh_batch_new(c, &b));
    ck_assert_ok(rh_batch_push(b, t, ids, 2, grads));
    ck_assert_ok(rh_batch_push(b, t, ids + 2, 1, grads + 2));
    ck_assert_ok(rh_batch_run(b));
    rh_batch_free(&b);
    ck_assert_ok(rh_pull(t, ids, 1, &row));
    ck_assert(row == -10);
    end();
}
END_TEST

/* ---- the number of servers ---- */

enum { NUM = 300, DIM = 9, BATCH = 60, CLOCKS = 20, WORLD_MAX = 2 };

/* Trains under bsp and leaves the stored bits, then what is seen. One thread does all workers: a tick
 * waits for none of them. */
static void train(int transport, uint32_t shards, uint32_t world, double p, float *all) {
    job_start(&job, transport, shards);
    job.cfg.mode = RH_MODE_BSP;
    job.cfg.world = world;
    rh_table_spec s;
    rh_table_spec_init(&s, NUM, DIM);
    s.max_norm = 2;
    s.norm_type = p;
    s.padding_idx = -7;
    s.scale_grad_by_freq = 1;
    s.optimizer = rh_sparse_adam(0.1);
    rh_client *workers[WORLD_MAX];
    rh_table *tables[WORLD_MAX];
    for (uint32_t w = 0; w < world; w++) {
        workers[w] = job_connect(&job, w);
        ck_assert_ok(rh_table_open(workers[w], "t", &s, &tables[w]));
    }
    struct rng g;
    rng_init(&g, 11, 1);
    for (int clock = 0; clock < CLOCKS; clock++) {
        for (uint32_t w = 0; w < world; w++) {
            uint64_t ids[BATCH];
            float rows[BATCH * DIM];
            for (int i = 0; i < BATCH; i++)
                ids[i] = i % 9 == 0 ? NUM - 7 : rng_below(&g, 40) * 7;
            ck_assert_ok(rh_pull(tables[w], ids, BATCH, rows));
            for (int i = 0; i < BATCH * DIM; i++)
                rows[i] += rng_f32(&g) - 0.5f;
            ck_assert_ok(rh_push(tables[w], ids, BATCH, rows));
        }
        for (uint32_t w = 0; w < world; w++)
            ck_assert_ok(rh_tick(workers[w]));
    }
    uint64_t ids[NUM];
    for (uint64_t i = 0; i < NUM; i++)
        ids[i] = i;
    ck_assert_ok(rh_read(tables[0], ids, NUM, all));
    ck_assert_ok(rh_pull(tables[0], ids, NUM, all + NUM * DIM));
    for (uint32_t w = 0; w < world; w++)
        rh_close(workers[w]);
    job_stop(&job);
}

START_TEST(under_bsp_the_number_of_servers_does_not_show_in_the_bits) {
    static const uint32_t shards[] = {2, 3, 7};
    static const double ps[] = {2, 3};
    static float one[2 * NUM * DIM], many[2 * NUM * DIM];
    const uint32_t world = _i == JOB_LOCAL ? 1 : WORLD_MAX;
    for (int k = 0; k < 2; k++) {
        train(_i, 1, world, ps[k], one);
        ck_assert_mem_ne(one, one + NUM * DIM, sizeof one / 2);
        for (int i = 0; i < 3; i++) {
            train(_i, shards[i], world, ps[k], many);
            ck_assert_mem_eq(one, many, sizeof one);
        }
    }
}
END_TEST

int main(void) {
    Suite *s = suite_create("row_rules");
    TCase *t = tcase_create("row_rules");
    tcase_set_timeout(t, 60);
#define OVER_ALL(test) tcase_add_loop_test(t, test, 0, JOB_TRANSPORTS)
    OVER_ALL(fifty_steps_of_every_argument_match_torch);
    OVER_ALL(the_padding_row_begins_as_zeros_and_learns_from_nobody);
    OVER_ALL(the_gradient_of_the_padding_row_may_be_anything);
    OVER_ALL(a_push_of_nothing_but_padding_is_a_step);
    OVER_ALL(gradients_of_the_padding_row_are_not_even_sent);
    OVER_ALL(padding_idx_counts_from_the_end_if_it_is_negative_and_is_within_num_embeddings);
    OVER_ALL(a_loaded_file_sets_the_padding_row);
    OVER_ALL(rows_are_seen_at_max_norm_and_stored_as_they_are);
    OVER_ALL(untouched_rows_are_seen_at_max_norm_and_stay_untouched);
    OVER_ALL(an_exported_row_is_what_a_pull_gives);
    OVER_ALL(norms_that_make_no_sense_are_refused_by_name);
    OVER_ALL(repeats_of_a_push_count_as_their_mean);
    OVER_ALL(each_push_of_a_batch_is_a_mini_batch);
    OVER_ALL(under_bsp_the_number_of_servers_does_not_show_in_the_bits);
#undef OVER_ALL
    suite_add_tcase(s, t);
    return job_main(s);
}
