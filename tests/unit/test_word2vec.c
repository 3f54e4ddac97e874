/* test_word2vec.c - the trainer without its servers: counts, negatives, one pair's arithmetic, a
 * batch on copies of rows, and the line that shows how far it is. */
#include <check.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/err.h"
#include "common/rng.h"
#include "tests/support/scratch.h"
#include "tests/support/seed.h"
#include "tests/unit/suites.h"
#include "worker/examples/word2vec_batch.h"
#include "worker/examples/word2vec_progress.h"
#include "worker/examples/word2vec_sgns.h"

/* ---- the vocabulary ---- */

static struct vocab vocab;

static void add_times(const char *word, int times) {
    for (int i = 0; i < times; i++)
        ck_assert_int_eq(vocab_add(&vocab, word, strlen(word)), RH_OK);
}

static uint32_t find(const char *word) {
    return vocab_find(&vocab, word, strlen(word));
}

START_TEST(words_are_numbered_by_count_and_equals_by_arrival) {
    ck_assert_int_eq(vocab_init(&vocab), RH_OK);
    add_times("rare", 1);
    add_times("b", 3);
    add_times("a", 3);
    add_times("the", 9);
    add_times("b", 2);
    add_times("late", 3);
    ck_assert_int_eq(vocab_seal(&vocab, 3), RH_OK);
    const char *want[] = {"the", "b", "a", "late"};
    const uint64_t counts[] = {9, 5, 3, 3};
    ck_assert_uint_eq(vocab.n, 4);
    for (uint32_t i = 0; i < 4; i++) {
        ck_assert_str_eq(vocab_word(&vocab, i), want[i]);
        ck_assert_uint_eq(vocab.entries[i].count, counts[i]);
        ck_assert_uint_eq(find(want[i]), i);
    }
    ck_assert_uint_eq(vocab.total, 20);
    ck_assert_uint_eq(find("rare"), VOCAB_NONE);
    ck_assert_uint_eq(vocab_find(&vocab, "th", 2), VOCAB_NONE);
    vocab_fini(&vocab);
}
END_TEST

START_TEST(a_vocabulary_grows) {
    enum { N = 50000 };
    char word[16];
    ck_assert_int_eq(vocab_init(&vocab), RH_OK);
    for (int i = 0; i < N; i++) {
        snprintf(word, sizeof word, "w%d", i);
        add_times(word, 1 + i % 2);
    }
    ck_assert_int_eq(vocab_seal(&vocab, 1), RH_OK);
    ck_assert_uint_eq(vocab.n, N);
    for (int i = 0; i < N; i++) {
        snprintf(word, sizeof word, "w%d", i);
        ck_assert_uint_eq(find(word), (uint32_t)(i % 2 ? i / 2 : N / 2 + i / 2));
    }
    vocab_fini(&vocab);
}
END_TEST

/* The same words, by a word and how often it came. */
static uint64_t hash_of(const char *first, int times) {
    ck_assert_int_eq(vocab_init(&vocab), RH_OK);
    add_times(first, times);
    add_times("b", 2);
    ck_assert_int_eq(vocab_seal(&vocab, 1), RH_OK);
    uint64_t hash = vocab_hash(&vocab);
    vocab_fini(&vocab);
    return hash;
}

START_TEST(a_vocabulary_has_the_hash_of_its_words_and_counts) {
    ck_assert_uint_eq(hash_of("a", 3), hash_of("a", 3));
    ck_assert_uint_ne(hash_of("a", 3), hash_of("a", 4));
    ck_assert_uint_ne(hash_of("a", 3), hash_of("c", 3));
}
END_TEST

START_TEST(a_text_without_a_frequent_word_is_refused) {
    ck_assert_int_eq(vocab_init(&vocab), RH_OK);
    add_times("a", 4);
    add_times("b", 2);
    ck_assert_int_eq(vocab_seal(&vocab, 5), RH_EINVAL);
    ck_assert_str_eq(err_text(), "no word comes 5 times (the most frequent comes 4): use a larger "
                                 "text or a smaller -minCount");
    vocab_fini(&vocab);
}
END_TEST

START_TEST(frequent_words_are_used_less_often) {
    ck_assert_double_eq_tol(vocab_keep_probability(1000, 10000, 1e-3), 0.1 + 0.01, 1e-12);
    ck_assert_double_eq_tol(vocab_keep_probability(40, 10000, 1e-3), 0.5 + 0.25, 1e-12);
    ck_assert_double_eq(vocab_keep_probability(10, 10000, 1e-3), 1);
    ck_assert_double_eq(vocab_keep_probability(1, 10000, 1e-3), 1);
    ck_assert_double_eq(vocab_keep_probability(9999, 10000, 0), 1);
}
END_TEST

/* ---- negatives ---- */

static void count_words(uint32_t n, const uint64_t *counts) {
    char word[16];
    ck_assert_int_eq(vocab_init(&vocab), RH_OK);
    for (uint32_t i = 0; i < n; i++) {
        snprintf(word, sizeof word, "w%u", i);
        add_times(word, 1);
        vocab.entries[i].count = counts[i];
    }
}

/* Not by drawing: the columns say exactly how likely each word is. */
START_TEST(negatives_are_as_likely_as_their_counts_to_the_power) {
    enum { N = 6 };
    const uint64_t counts[N] = {1000000, 4096, 4096, 16, 2, 1};
    count_words(N, counts);
    struct sampler s;
    ck_assert_int_eq(sampler_init(&s, &vocab, 0.75), RH_OK);
    double share[N] = {0}, sum = 0;
    for (uint32_t i = 0; i < N; i++) {
        ck_assert_float_ge(s.cut[i], 0);
        ck_assert_float_le(s.cut[i], 1);
        share[i] += (double)s.cut[i] / N;
        share[s.alias[i]] += (1 - (double)s.cut[i]) / N;
        sum += pow((double)counts[i], 0.75);
    }
    for (uint32_t i = 0; i < N; i++)
        ck_assert_double_eq_tol(share[i], pow((double)counts[i], 0.75) / sum, 1e-7);
    sampler_fini(&s);
    vocab_fini(&vocab);
}
END_TEST

START_TEST(negatives_are_drawn_as_the_columns_say) {
    enum { N = 4, DRAWS = 100000 };
    const uint64_t counts[N] = {50, 30, 15, 5};
    count_words(N, counts);
    struct sampler s;
    struct rng g;
    uint64_t drawn[N] = {0};
    rng_init(&g, 1, 0);
    ck_assert_int_eq(sampler_init(&s, &vocab, 1), RH_OK);
    for (int i = 0; i < DRAWS; i++)
        drawn[sampler_draw(&s, &g)]++;
    for (uint32_t i = 0; i < N; i++) {
        double p = (double)counts[i] / 100, sigma = sqrt(DRAWS * p * (1 - p));
        ck_assert_double_eq_tol((double)drawn[i], DRAWS * p, 4 * sigma);
    }
    sampler_fini(&s);
    vocab_fini(&vocab);
}
END_TEST

START_TEST(a_single_word_can_only_draw_itself) {
    const uint64_t one = 7;
    count_words(1, &one);
    struct sampler s;
    struct rng g;
    rng_init(&g, 2, 0);
    ck_assert_int_eq(sampler_init(&s, &vocab, 0.75), RH_OK);
    for (int i = 0; i < 100; i++)
        ck_assert_uint_eq(sampler_draw(&s, &g), 0);
    sampler_fini(&s);
    vocab_fini(&vocab);
}
END_TEST

/* ---- one pair ---- */

/* As the paper writes it, in double. */
static double naive_step(size_t dim, double lr, const uint32_t *targets, size_t n, double *u,
                         double *out) {
    double step[256] = {0}, loss = 0;
    for (size_t i = 0; i < n; i++) {
        double *v = out + targets[i] * dim, score = 0;
        for (size_t c = 0; c < dim; c++)
            score += u[c] * v[c];
        double sign = i == 0 ? 1 : -1, wrong = 1 / (1 + exp(sign * score));
        loss += log(1 + exp(-sign * score));
        for (size_t c = 0; c < dim; c++) {
            step[c] += lr * sign * wrong * v[c];
            v[c] += lr * sign * wrong * u[c];
        }
    }
    for (size_t c = 0; c < dim; c++)
        u[c] += step[c];
    return loss;
}

START_TEST(a_step_is_the_one_of_the_paper) {
    enum { ROWS = 4, DIM_MAX = 100 };
    const uint32_t targets[] = {2, 0, 3, 0}; /* a negative that comes twice learns twice */
    const size_t dims[] = {1, 3, 16, 64, 100};
    struct rng g;
    rng_init(&g, test_seed("word2vec"), 0);
    for (size_t d = 0; d < sizeof dims / sizeof dims[0]; d++) {
        size_t dim = dims[d];
        float u[DIM_MAX], out[ROWS * DIM_MAX];
        double want_u[DIM_MAX], want_out[ROWS * DIM_MAX];
        for (size_t i = 0; i < dim; i++)
            want_u[i] = u[i] = rng_f32(&g) - 0.5f;
        for (size_t i = 0; i < ROWS * dim; i++)
            want_out[i] = out[i] = rng_f32(&g) - 0.5f;
        float loss = sgns_step(dim, 0.1f, targets, 4, u, out);
        double want = naive_step(dim, 0.1f, targets, 4, want_u, want_out);
        ck_assert_double_eq_tol((double)loss, want, 1e-5);
        for (size_t i = 0; i < dim; i++)
            ck_assert_double_eq_tol((double)u[i], want_u[i], 1e-6);
        for (size_t i = 0; i < ROWS * dim; i++)
            ck_assert_double_eq_tol((double)out[i], want_out[i], 1e-6);
    }
}
END_TEST

START_TEST(a_hopeless_score_has_a_finite_loss) {
    const uint32_t targets[] = {0, 1};
    float u[1] = {100}, out[2] = {-100, 100};
    float loss = sgns_step(1, 0.01f, targets, 2, u, out);
    ck_assert(isfinite(loss) && loss > 10);
    ck_assert(isfinite(u[0]) && isfinite(out[0]) && isfinite(out[1]));
}
END_TEST

/* ---- a batch ---- */

static const char LINES[] = "a b c d a\nb c unknown e\n\nf a a b\n";
static struct text text;
static struct text_reader reader;
static struct model model;
static struct batch batches[2];
static struct rng rng;

static void begin_batches(double subsample) {
    scratch_text("text", LINES);
    ck_assert_int_eq(text_open("text", &text), RH_OK);
    ck_assert_int_eq(text_reader_init(&reader, &text), RH_OK);
    model = (struct model){
        .dim = 8, .window = 2, .negatives = 3, .min_count = 1, .subsample = subsample};
    ck_assert_int_eq(model_build(&model, &text), RH_OK);
    rng_init(&rng, 3, 0);
    batch_init(&batches[0]);
    batch_init(&batches[1]);
}

static void end_batches(void) {
    batch_fini(&batches[0]);
    batch_fini(&batches[1]);
    model_fini(&model);
    text_reader_fini(&reader);
    text_close(&text);
}

static void read_batch(struct batch *b, uint64_t begin, uint64_t end) {
    ck_assert_int_eq(batch_read(b, &model, &reader, begin, end, &rng), RH_OK);
}

/* The rows of a table that both batches pull from. */
static float table_value(uint64_t id, size_t c, int out) {
    return sinf((float)(1 + id * 17 + c * 3 + (size_t)out * 1000)) / 4;
}

static void pull(struct batch *b) {
    for (size_t i = 0; i < b->n_out; i++) {
        for (size_t c = 0; c < model.dim; c++) {
            b->out[i * model.dim + c] = table_value(b->ids[i], c, 1);
            if (i < b->n_in)
                b->in[i * model.dim + c] = table_value(b->ids[i], c, 0);
        }
    }
}

START_TEST(a_batch_names_each_word_once_and_the_text_by_rows) {
    begin_batches(0);
    struct batch *b = &batches[0];
    read_batch(b, 0, text.size_bytes);
    char got[64] = "";
    size_t line = 0;
    for (size_t i = 0; i < b->n_words; i++) {
        if (i == b->line_ends[line]) {
            strcat(got, "/");
            line++;
        }
        ck_assert_uint_lt(b->words[i], b->n_in);
        strcat(got, vocab_word(&model.vocab, (uint32_t)b->ids[b->words[i]]));
    }
    ck_assert_str_eq(got, "abcda/bcunknowne/faab");
    ck_assert_uint_eq(line + 1, b->n_lines);
    ck_assert_uint_eq(b->words_read, 13);
    ck_assert_uint_eq(b->n_in, 7);
    for (size_t i = 0; i < b->n_out; i++)
        ck_assert_uint_eq(idset_find(&b->rows, b->ids[i]), i);
    for (size_t i = 0; i < b->n_pool; i++)
        ck_assert_uint_lt(b->pool[i], b->n_out);
    end_batches();
}
END_TEST

START_TEST(words_outside_the_vocabulary_are_passed_over) {
    begin_batches(0);
    model_fini(&model);
    model.min_count = 4;
    ck_assert_int_eq(model_build(&model, &text), RH_OK);
    read_batch(&batches[0], 0, text.size_bytes);
    ck_assert_uint_eq(batches[0].words_read, 4);
    ck_assert_uint_eq(batches[0].n_in, 1);
    end_batches();
}
END_TEST

START_TEST(subsampling_uses_a_word_as_often_as_it_says) {
    begin_batches(0.01);
    double want = 0, got = 0;
    const int rounds = 2000;
    for (uint32_t i = 0; i < model.vocab.n; i++)
        want += (double)model.keep[i] * (double)model.vocab.entries[i].count;
    for (int i = 0; i < rounds; i++) {
        read_batch(&batches[0], 0, text.size_bytes);
        ck_assert_uint_eq(batches[0].words_read, 13);
        got += (double)batches[0].n_words;
    }
    ck_assert_double_eq_tol(got / rounds, want, 4 * sqrt(13.0 / 4 / rounds));
    end_batches();
}
END_TEST

START_TEST(an_empty_stretch_is_a_batch_without_words) {
    begin_batches(0);
    read_batch(&batches[0], 3, 3);
    ck_assert_uint_eq(batches[0].n_words, 0);
    ck_assert_uint_eq(batches[0].n_in, 0);
    pull(&batches[0]);
    batch_train(&batches[0], &model, 0.1f, &rng);
    ck_assert_uint_eq(batches[0].pairs, 0);
    end_batches();
}
END_TEST

START_TEST(gradients_are_what_training_subtracted) {
    begin_batches(0);
    struct batch *b = &batches[0];
    read_batch(b, 0, text.size_bytes);
    pull(b);
    batch_train(b, &model, 0.1f, &rng);
    ck_assert_uint_gt(b->pairs, 0);
    ck_assert(b->loss > 0);
    double moved = 0;
    for (size_t i = 0; i < b->n_out; i++) {
        for (size_t c = 0; c < model.dim; c++) {
            size_t at = i * model.dim + c;
            ck_assert_float_eq_tol(table_value(b->ids[i], c, 1) - b->out_grads[at], b->out[at],
                                   1e-6f);
            if (i < b->n_in)
                ck_assert_float_eq_tol(table_value(b->ids[i], c, 0) - b->in_grads[at], b->in[at],
                                       1e-6f);
            moved += fabs((double)b->out_grads[at]);
        }
    }
    ck_assert(moved > 0.1);
    end_batches();
}
END_TEST

/* Rows pulled too early, and caught up, are the rows pulled after the push. */
START_TEST(a_batch_catches_up_with_the_one_before) {
    begin_batches(0);
    struct batch *done = &batches[0], *next = &batches[1];
    read_batch(done, 0, 10);
    read_batch(next, 10, text.size_bytes);
    pull(done);
    pull(next);
    batch_train(done, &model, 0.1f, &rng);
    batch_catch_up(next, &model, done);
    for (size_t i = 0; i < next->n_out; i++) {
        uint32_t row = idset_find(&done->rows, next->ids[i]);
        for (size_t c = 0; c < model.dim; c++) {
            size_t at = i * model.dim + c, done_at = row * (size_t)model.dim + c;
            float out = table_value(next->ids[i], c, 1), in = table_value(next->ids[i], c, 0);
            if (row < done->n_out)
                out = done->out[done_at];
            if (row < done->n_in)
                in = done->in[done_at];
            ck_assert_float_eq_tol(next->out[at], out, 1e-6f);
            if (i < next->n_in)
                ck_assert_float_eq_tol(next->in[at], in, 1e-6f);
        }
    }
    end_batches();
}
END_TEST

/* ---- progress ---- */

START_TEST(progress_says_where_it_is_and_for_how_long) {
    const struct progress p = {.epochs = 5,
                               .world = 2,
                               .steps = 100,
                               .steps_done = 25,
                               .words = 617284,
                               .loss = 1.9341,
                               .lr = 0.0375};
    char line[256];
    size_t len = progress_text(&p, 10, 0, line, sizeof line);
    ck_assert_str_eq(line, "epoch 2/5  25 %  123,456 words/s  loss 1.934  lr 0.03750  ETA 0:30");
    ck_assert_uint_eq(len, strlen(line));

    len = progress_text(&p, 10, 90, line, sizeof line);
    ck_assert_uint_eq(len,
                      89); /* a terminal that is full to the last column may begin a new line */
    ck_assert_str_eq(line, "[#####...............] "
                           "epoch 2/5  25 %  123,456 words/s  loss 1.934  lr 0.03750  ETA 0:30");
    progress_text(&p, 10, 70, line, sizeof line);
    ck_assert_int_eq(line[0], 'e'); /* no room for a bar */
    len = progress_text(&p, 10, 40, line, sizeof line);
    ck_assert_uint_eq(len, 39); /* nor for all of the text */
    ck_assert_str_eq(line, "epoch 2/5  25 %  123,456 words/s  loss ");
}
END_TEST

START_TEST(progress_after_a_restart_counts_all_steps_and_the_pace_of_the_new_ones) {
    const struct progress p = {
        .epochs = 5, .world = 1, .steps = 100, .begun = 60, .steps_done = 70, .words = 1000};
    char line[256];
    progress_text(&p, 10, 0, line, sizeof line);
    ck_assert_str_eq(line, "epoch 4/5  70 %  100 words/s  loss 0.000  lr 0.00000  ETA 0:30");
}
END_TEST

START_TEST(progress_of_nothing_and_of_everything_makes_sense) {
    struct progress p = {.epochs = 3, .world = 1, .steps = 7};
    char line[256];
    progress_text(&p, 0, 0, line, sizeof line);
    ck_assert_str_eq(line, "epoch 1/3   0 %  0 words/s  loss 0.000  lr 0.00000  ETA 0:00");
    p.steps_done = 7;
    p.words = 7000;
    progress_text(&p, 7200, 0, line, sizeof line);
    ck_assert_str_eq(line, "epoch 3/3 100 %  0 words/s  loss 0.000  lr 0.00000  ETA 0:00");
    p.steps_done = 1;
    progress_text(&p, 7200, 0, line, sizeof line);
    ck_assert_str_eq(line, "epoch 1/3  14 %  0 words/s  loss 0.000  lr 0.00000  ETA 12:00:00");
}
END_TEST

Suite *word2vec_suite(void) {
    Suite *s = suite_create("word2vec");
    TCase *t = tcase_create("word2vec");
    tcase_add_checked_fixture(t, scratch_enter, scratch_leave);
    tcase_add_test(t, words_are_numbered_by_count_and_equals_by_arrival);
    tcase_add_test(t, a_vocabulary_grows);
    tcase_add_test(t, a_vocabulary_has_the_hash_of_its_words_and_counts);
    tcase_add_test(t, a_text_without_a_frequent_word_is_refused);
    tcase_add_test(t, frequent_words_are_used_less_often);
    tcase_add_test(t, negatives_are_as_likely_as_their_counts_to_the_power);
    tcase_add_test(t, negatives_are_drawn_as_the_columns_say);
    tcase_add_test(t, a_single_word_can_only_draw_itself);
    tcase_add_test(t, a_step_is_the_one_of_the_paper);
    tcase_add_test(t, a_hopeless_score_has_a_finite_loss);
    tcase_add_test(t, a_batch_names_each_word_once_and_the_text_by_rows);
    tcase_add_test(t, words_outside_the_vocabulary_are_passed_over);
    tcase_add_test(t, subsampling_uses_a_word_as_often_as_it_says);
    tcase_add_test(t, an_empty_stretch_is_a_batch_without_words);
    tcase_add_test(t, gradients_are_what_training_subtracted);
    tcase_add_test(t, a_batch_catches_up_with_the_one_before);
    tcase_add_test(t, progress_says_where_it_is_and_for_how_long);
    tcase_add_test(t, progress_after_a_restart_counts_all_steps_and_the_pace_of_the_new_ones);
    tcase_add_test(t, progress_of_nothing_and_of_everything_makes_sense);
    suite_add_tcase(s, t);
    return s;
}
