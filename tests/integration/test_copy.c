/* test_copy.c - rh_copy between tables and within one, over local:, ipc:// and tcp:// alike. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

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

/* Writes rows 0 .. n - 1, row i of all i. */
static void number_rows(rh_table *t, uint64_t n) {
    uint32_t dim = rh_table_embedding_dim(t);
    uint64_t *ids = malloc(n * sizeof *ids);
    float *rows = malloc(n * dim * sizeof *rows);
    for (uint64_t i = 0; i < n; i++)
        ids[i] = i;
    for (uint64_t i = 0; i < n * dim; i++)
        rows[i] = (float)(i / dim);
    ck_assert_ok(rh_write(t, ids, n, rows));
    free(ids);
    free(rows);
}

/* Row i is all of value first + i * step, for i = 0 .. n - 1. */
static void assert_rows(rh_table *t, uint64_t n, double first, double step) {
    uint32_t dim = rh_table_embedding_dim(t);
    uint64_t *ids = malloc(n * sizeof *ids);
    float *rows = malloc(n * dim * sizeof *rows);
    uint64_t wrong = 0;
    for (uint64_t i = 0; i < n; i++)
        ids[i] = i;
    ck_assert_ok(rh_read(t, ids, n, rows));
    for (uint64_t i = 0; i < n * dim; i++)
        wrong += rows[i] != (float)(first + step * (double)(i / dim));
    ck_assert_uint_eq(wrong, 0);
    free(ids);
    free(rows);
}

START_TEST(a_prompt_starts_from_rows_of_a_vocabulary_bit_by_bit) {
    begin(_i);
    rh_table *vocab = job_table(c, "vocab", 1000, 3), *prompt = job_table(c, "prompt", 4, 3);
    uint64_t words[] = {999, 7, 7, 500}, places[] = {2, 0, 3, 1}, untouched = 123;
    float in[] = {-0.0f, 1e-42f, 3, 4, 5, 6, 7, 8, 9, 0.1f, 0.2f, 0.3f}, out[12];
    ck_assert_ok(rh_write(vocab, words, 4, in));
    ck_assert_ok(rh_copy(prompt, places, vocab, words, 4));
    ck_assert_ok(rh_read(prompt, places, 4, out));
    memcpy(in + 3, in + 6, 3 * sizeof *in); /* of equal ids the last was written */
    ck_assert_mem_eq(out, in, sizeof in);
    ck_assert_ok(rh_copy(prompt, places, vocab, &untouched, 1));
    ck_assert_ok(rh_read(prompt, places, 1, out));
    ck_assert(out[0] == 0 && out[1] == 0 && out[2] == 0);
    ck_assert_ok(rh_copy(prompt, places, vocab, words, 0));
    end();
}
END_TEST

/* As torch: weights are copied, not what a look-up would make of them. */
START_TEST(rows_are_copied_as_they_are_stored_not_renormalized) {
    begin(_i);
    rh_table_spec spec;
    rh_table *t, *copy = job_table(c, "copy", 10, 2);
    rh_table_spec_init(&spec, 100, 2);
    spec.max_norm = 1;
    ck_assert_ok(rh_table_open(c, "t", &spec, &t));
    const uint64_t id = 3;
    const float in[] = {3, 4};
    float out[2];
    ck_assert_ok(rh_write(t, &id, 1, in));
    ck_assert_ok(rh_copy(copy, &id, t, &id, 1));
    ck_assert_ok(rh_pull(copy, &id, 1, out));
    ck_assert_mem_eq(out, in, sizeof in);
    end();
}
END_TEST

START_TEST(an_untouched_row_is_copied_as_its_initializer_has_it) {
    begin(_i);
    rh_table_spec spec;
    rh_table *t, *copy = job_table(c, "copy", 10, 5);
    rh_table_spec_init(&spec, 100, 5);
    ck_assert_ok(rh_table_open(c, "t", &spec, &t));
    uint64_t from = 77, to = 9;
    float want[5], got[5];
    ck_assert_ok(rh_copy(copy, &to, t, &from, 1));
    ck_assert_ok(rh_read(t, &from, 1, want));
    ck_assert_ok(rh_read(copy, &to, 1, got));
    ck_assert_mem_eq(want, got, sizeof want);
    end();
}
END_TEST

START_TEST(more_rows_than_a_chunk_are_copied_and_of_equal_ids_the_last_wins) {
    enum { ROWS = 40000, DIM = 64 }; /* about 10 MiB */
    begin(_i);
    rh_table *from = job_table(c, "from", ROWS, DIM), *to = job_table(c, "to", ROWS, DIM);
    static uint64_t ids[ROWS], back[ROWS];
    number_rows(from, ROWS);
    for (uint64_t i = 0; i < ROWS; i++) {
        ids[i] = i;
        back[i] = ROWS - 1 - i;
    }
    ck_assert_ok(rh_copy(to, ids, from, back, ROWS));
    assert_rows(to, ROWS, ROWS - 1, -1);
    for (uint64_t i = 0; i < ROWS; i++)
        back[i] = 5;
    ck_assert_ok(rh_copy(to, back, from, ids, ROWS));
    float row[DIM];
    ck_assert_ok(rh_read(to, back, 1, row));
    ck_assert_float_eq(row[0], ROWS - 1);
    end();
}
END_TEST

START_TEST(within_one_table_all_rows_are_read_before_the_first_is_written) {
    enum { ROWS = 20001, DIM = 128 };
    begin(_i);
    rh_table *t = job_table(c, "t", ROWS, DIM);
    static uint64_t to[ROWS], from[ROWS];
    number_rows(t, ROWS);
    for (uint64_t i = 0; i < ROWS; i++) {
        to[i] = i;
        from[i] = ROWS - 1 - i; /* every row is read and written */
    }
    ck_assert_ok(rh_copy(t, to, t, from, ROWS));
    assert_rows(t, ROWS, ROWS - 1, -1);
    uint64_t a[] = {1, 2}, b[] = {2, 1};
    float rows[2][DIM];
    ck_assert_ok(rh_copy(t, a, t, b, 2));
    ck_assert_ok(rh_read(t, a, 2, *rows));
    ck_assert(rows[0][0] == ROWS - 3 && rows[1][0] == ROWS - 2);
    end();
}
END_TEST

START_TEST(what_is_refused_has_changed_nothing) {
    begin(_i);
    rh_table *from = job_table(c, "vocab", 100, 4), *to = job_table(c, "prompt", 10, 4);
    rh_table *wide = job_table(c, "wide", 100, 5);
    uint64_t ids[] = {1, 2, 10, 100};
    number_rows(from, 100);
    ck_assert_refused(rh_copy(wide, ids, from, ids, 2), RH_EMISMATCH, "vocab have 4 floats");
    ck_assert_refused(rh_copy(wide, ids, from, ids, 2), RH_EMISMATCH, "wide have 5");
    ck_assert_refused(rh_copy(to, ids, from, ids, 3), RH_ERANGE,
                      "id 10 at position 2: table prompt");
    ck_assert_refused(rh_copy(to, ids, from, ids, 4), RH_ERANGE,
                      "id 100 at position 3: table vocab");
    struct rh_table_info info;
    ck_assert_ok(rh_table_info(to, &info));
    ck_assert_uint_eq(info.touched, 0);
    end();
}
END_TEST

START_TEST(observers_and_tables_of_another_client_are_refused) {
    begin(JOB_TCP);
    rh_table *mine = job_table(c, "t", 100, 4), *seen, *other;
    rh_config cfg = job.cfg;
    rh_client *observer, *alone;
    cfg.observer = 1;
    ck_assert_ok(rh_connect(&cfg, &observer));
    ck_assert_ok(rh_table_find(observer, "t", &seen));
    uint64_t id = 3;
    ck_assert_refused(rh_copy(seen, &id, seen, &id, 1), RH_EINVAL, "observer");
    cfg.observer = 0;
    cfg.servers = "local:";
    ck_assert_ok(rh_connect(&cfg, &alone));
    other = job_table(alone, "other", 100, 4);
    ck_assert_refused(rh_copy(mine, &id, other, &id, 1), RH_EINVAL, "different clients");
    rh_close(observer);
    rh_close(alone);
    end();
}
END_TEST

START_TEST(under_bsp_a_copy_reads_closed_clocks_and_is_seen_when_its_own_closes) {
    job_start(&job, _i, SHARDS);
    job.cfg.mode = RH_MODE_BSP;
    c = job_connect(&job, 0);
    rh_table *from = job_table(c, "from", 100, 2), *to = job_table(c, "to", 100, 2);
    uint64_t id = 3;
    float row[2] = {4, 5};
    ck_assert_ok(rh_write(from, &id, 1, row));
    ck_assert_ok(rh_tick(c));
    ck_assert_ok(rh_copy(to, &id, from, &id, 1));
    ck_assert_ok(rh_read(to, &id, 1, row));
    ck_assert(row[0] == 0 && row[1] == 0);
    ck_assert_ok(rh_tick(c));
    ck_assert_ok(rh_read(to, &id, 1, row));
    ck_assert(row[0] == 4 && row[1] == 5);
    end();
}
END_TEST

int main(void) {
    Suite *s = suite_create("copy");
    TCase *t = tcase_create("copy");
    tcase_set_timeout(t, 60);
#define OVER_ALL(test) tcase_add_loop_test(t, test, 0, JOB_TRANSPORTS)
    OVER_ALL(a_prompt_starts_from_rows_of_a_vocabulary_bit_by_bit);
    OVER_ALL(rows_are_copied_as_they_are_stored_not_renormalized);
    OVER_ALL(an_untouched_row_is_copied_as_its_initializer_has_it);
    OVER_ALL(more_rows_than_a_chunk_are_copied_and_of_equal_ids_the_last_wins);
    OVER_ALL(within_one_table_all_rows_are_read_before_the_first_is_written);
    OVER_ALL(what_is_refused_has_changed_nothing);
    OVER_ALL(under_bsp_a_copy_reads_closed_clocks_and_is_seen_when_its_own_closes);
#undef OVER_ALL
    tcase_add_test(t, observers_and_tables_of_another_client_are_refused);
    suite_add_tcase(s, t);
    return job_main(s);
}
