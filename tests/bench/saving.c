/* saving.c - see saving.h. Two jobs: trainers of word vectors, and one worker that pulls and pushes at random. In
 * each, a stretch without a save and one with saves follow each other, as long as one another, round by round. */
#include "tests/bench/saving.h"

#include <inttypes.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common/clock.h"
#include "common/err.h"
#include "common/rng.h"
#include "tests/bench/ids.h"
#include "tests/bench/measure.h"
#include "tests/bench/plain_file.h"
#include "tests/bench/saved_job.h"

#define GOAL 0.8

enum {
    TRAINERS = 2,
    BATCH_WORDS = 5000,
    WORDS_A_ROUND = 40, /* of the text, for each of the vocabulary */
    WARM_UP_S = 5,
    STRETCH_MS = 2000,
    DIM = 64,
    FEW = 1024,         /* rows of a call that is waited for */
    MANY = 8192,        /* rows of a call of the full stream */
    DEPTH = 3,          /* of them in flight */
    CALLS_MAX = 1 << 20 /* that one stretch times */
};

/* ---- what is printed ---- */

/* What both stretches of each round have seen. */
struct seen {
    double without[MEASURE_ROUNDS_MAX], with[MEASURE_ROUNDS_MAX];
};

static void print_rate(const struct rate *r, double unit) {
    char text[64];
    snprintf(text, sizeof text, "%.4g [%.4g..%.4g]", r->median / unit, r->low / unit,
             r->high / unit);
    printf(" %-26s", text);
}

/* goal 0: none. */
static void print_line(const char *what, struct seen *s, unsigned rounds, double unit,
                       double goal) {
    double of[MEASURE_ROUNDS_MAX];
    for (unsigned i = 0; i < rounds; i++)
        of[i] = s->with[i] / s->without[i];
    const struct rate ratio = measure_rate(of, rounds);
    const struct rate without = measure_rate(s->without, rounds),
                      with = measure_rate(s->with, rounds);
    printf("%-22s", what);
    print_rate(&without, unit);
    print_rate(&with, unit);
    printf(" %.2f [%.2f..%.2f]%s\n", ratio.median, ratio.low, ratio.high,
           goal == 0              ? ""
           : ratio.median >= goal ? "  reached"
                                  : "  BELOW ITS GOAL");
    fflush(stdout);
}

static void print_saves(double *seconds, unsigned n) {
    const struct rate r = measure_rate(seconds, n);
    printf("%-22s %.3g s [%.3g..%.3g]\n", "  a save took", r.median, r.low, r.high);
}

/* ---- the trainer ---- */

static rh_status write_text(const char *path, uint64_t words) {
    const size_t n = (size_t)words * WORDS_A_ROUND;
    uint64_t *ids = malloc(n * sizeof *ids);
    FILE *f = ids == NULL ? NULL : fopen(path, "w");
    if (f == NULL) {
        free(ids);
        return err_sys(RH_EIO, "cannot make the text %s", path);
    }
    ids_kinds[1].draw(words, n, ids); /* zipf */
    for (size_t i = 0; i < n; i++)
        fprintf(f, "w%" PRIu64 "%c", ids[i], i % 20 == 19 ? '\n' : ' ');
    free(ids);
    return fclose(f) == 0 ? RH_OK : err_sys(RH_EIO, "cannot write %s", path);
}

struct trainers {
    const struct bench_saving *o;
    struct saved_job job;
    struct child workers[TRAINERS];
    char text[256];
    rh_table *table;
};

static rh_status start_trainer(struct trainers *t, int rank) {
    char line[8192];
    snprintf(
        line, sizeof line,
        "RH_RANK=%d RH_WORLD=%d exec '%s/rowhouse-word2vec' -servers '%s' -input '%s' -output '%s' "
        "-epoch 1000000 -minCount 1 -batch %d >/dev/null 2>&1",
        rank, TRAINERS, t->o->bin, t->job.list, t->text, t->text, BATCH_WORDS);
    const char *argv[] = {"/bin/sh", "-c", line, NULL};
    return child_run(argv, &t->workers[rank]);
}

/* The number of batches that were pushed. */
static rh_status count(struct trainers *t, double *batches) {
    struct rh_table_info is;
    for (int i = 0; i < TRAINERS; i++)
        if (!child_lives(&t->workers[i]))
            return err_set(RH_EIO, "trainer %d has ended by itself", i);
    rh_status st = rh_table_info(t->table, &is);
    *batches = (double)is.steps;
    return st;
}

/* They have opened their tables, and trained for a while. */
static rh_status warm_up(struct trainers *t) {
    rh_status st = RH_ENOTFOUND;
    double batches;
    for (int i = 0; st == RH_ENOTFOUND && i < 600; i++) {
        st = rh_table_find(t->job.looks, "word2vec.output", &t->table);
        if (st == RH_ENOTFOUND)
            usleep(100000);
    }
    for (int i = 0; st == RH_OK && i < 10 * WARM_UP_S; i++) {
        usleep(100000);
        st = count(t, &batches);
    }
    return st;
}

/* One stretch; saves one after the other if seconds is not NULL: (*n) of them more. */
static rh_status stretch(struct trainers *t, double *words_per_s, double *seconds, unsigned *n) {
    double from, to;
    const int64_t begin_us = clock_now_us();
    rh_status st = count(t, &from);
    while (st == RH_OK && clock_now_us() - begin_us < STRETCH_MS * INT64_C(1000)) {
        if (seconds == NULL) {
            usleep(10000);
            continue;
        }
        st = saved_job_save(&t->job);
        if (st == RH_OK)
            st = saved_job_end(&t->job);
        seconds[(*n)++ % MEASURE_ROUNDS_MAX] = t->job.seconds;
    }
    if (st == RH_OK)
        st = count(t, &to);
    if (st == RH_OK)
        *words_per_s = (to - from) * BATCH_WORDS / ((double)(clock_now_us() - begin_us) * 1e-6);
    return st;
}

static rh_status run_trainers(struct trainers *t) {
    static struct seen seen;
    double seconds[MEASURE_ROUNDS_MAX];
    unsigned saves = 0;
    rh_status st = warm_up(t);
    for (unsigned i = 0; st == RH_OK && i < t->o->rounds; i++) {
        st = stretch(t, &seen.without[i], NULL, NULL);
        if (st == RH_OK)
            st = stretch(t, &seen.with[i], seconds, &saves);
    }
    if (st != RH_OK)
        return st;
    print_line("word2vec", &seen, t->o->rounds, 1e3, GOAL);
    print_saves(seconds, saves < MEASURE_ROUNDS_MAX ? saves : MEASURE_ROUNDS_MAX);
    return RH_OK;
}

static rh_status train(const struct bench_saving *o) {
    struct trainers t = {.o = o};
    snprintf(t.text, sizeof t.text, "%s/text", o->dir);
    rh_status st = write_text(t.text, o->words);
    if (st == RH_OK)
        st = saved_job_start(o->bin, o->dir, TRAINERS, &t.job);
    for (int i = 0; st == RH_OK && i < TRAINERS; i++)
        st = start_trainer(&t, i);
    if (st == RH_OK)
        st = run_trainers(&t);
    for (int i = 0; i < TRAINERS; i++)
        child_stop(&t.workers[i]);
    saved_job_stop(&t.job);
    (void)remove(t.text);
    return st;
}

/* ---- one worker ---- */

struct worker {
    const struct bench_saving *o;
    struct saved_job job;
    rh_client *c;
    rh_table *table;
    struct rng rng;
    uint64_t ids[DEPTH][MANY];
    float rows[MANY * DIM], grads[MANY * DIM];
    double pulls_us[CALLS_MAX], pushes_us[CALLS_MAX]; /* (calls) */
    unsigned calls;
    double save_seconds[MEASURE_ROUNDS_MAX];
    double stretch_seconds; /* of one without a save: as long as the save before it was */
};

static void draw(struct worker *w, uint64_t *ids, size_t n) {
    for (size_t i = 0; i < n; i++)
        ids[i] = rng_below(&w->rng, w->o->rows);
}

/* Every row with all of its state. */
static rh_status fill(struct worker *w) {
    rh_status st = RH_OK;
    for (uint64_t first = 0; st == RH_OK && first < w->o->rows; first += MANY) {
        const uint64_t left = w->o->rows - first;
        const size_t n = left < MANY ? left : MANY;
        for (size_t i = 0; i < n; i++)
            w->ids[0][i] = first + i;
        st = rh_push(w->table, w->ids[0], n, w->grads);
    }
    return st == RH_OK ? rh_tick(w->c) : st;
}

static rh_status join(struct worker *w) {
    rh_config cfg;
    rh_config_init(&cfg);
    cfg.servers = w->job.list;
    cfg.rank = 0;
    cfg.world = 1;
    cfg.mode = RH_MODE_ASYNC;
    rh_status st = rh_connect(&cfg, &w->c);
    if (st != RH_OK)
        return st;
    rh_table_spec spec;
    rh_table_spec_init(&spec, w->o->rows, DIM);
    spec.optimizer = rh_sparse_adam(1e-3);
    st = rh_table_open(w->c, "bench", &spec, &w->table);
    return st == RH_OK ? fill(w) : st;
}

static bool is_over(const struct worker *w, bool saved, int64_t begin_us) {
    return saved ? !atomic_load(&w->job.saving)
                 : (double)(clock_now_us() - begin_us) * 1e-6 >= w->stretch_seconds;
}

/* A pull and a push of a few rows in turns, and the end of a clock. */
static rh_status call_few(struct worker *w, bool saved, double *rows_per_s) {
    const int64_t begin_us = clock_now_us();
    rh_status st = RH_OK;
    *rows_per_s = 0;
    for (w->calls = 0; st == RH_OK && w->calls < CALLS_MAX && !is_over(w, saved, begin_us);
         w->calls++) {
        draw(w, w->ids[0], FEW);
        const int64_t a = clock_now_us();
        st = rh_pull(w->table, w->ids[0], FEW, w->rows);
        const int64_t b = clock_now_us();
        if (st == RH_OK)
            st = rh_push(w->table, w->ids[0], FEW, w->grads);
        w->pulls_us[w->calls] = (double)(b - a);
        w->pushes_us[w->calls] = (double)(clock_now_us() - b);
        if (st == RH_OK)
            st = rh_tick(w->c);
    }
    return st;
}

/* Pushes of many rows, as many in flight as make sense. */
static rh_status push_many(struct worker *w, bool saved, double *rows_per_s) {
    rh_op *ops[DEPTH] = {0};
    const int64_t begin_us = clock_now_us();
    uint64_t rows = 0;
    rh_status st = RH_OK;
    for (unsigned at = 0; st == RH_OK && !is_over(w, saved, begin_us); at = (at + 1) % DEPTH) {
        st = rh_wait(&ops[at], -1);
        draw(w, w->ids[at], MANY);
        if (st == RH_OK)
            st = rh_push_begin(w->table, w->ids[at], MANY, w->grads, &ops[at]);
        rows += MANY;
        if (st == RH_OK && at == DEPTH - 1)
            st = rh_tick(w->c);
    }
    for (unsigned at = 0; at < DEPTH; at++) {
        rh_status is = rh_wait(&ops[at], -1);
        st = st == RH_OK ? is : st;
    }
    *rows_per_s = (double)rows / ((double)(clock_now_us() - begin_us) * 1e-6);
    return st;
}

typedef rh_status load(struct worker *w, bool saved, double *rows_per_s);

static rh_status while_saved(struct worker *w, load *run, double *rows_per_s) {
    rh_status st = saved_job_save(&w->job);
    if (st != RH_OK)
        return st;
    st = run(w, true, rows_per_s);
    rh_status is = saved_job_end(&w->job);
    w->stretch_seconds = w->job.seconds;
    return st == RH_OK ? is : st;
}

static int compare(const void *a, const void *b) {
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

/* Sorts them. */
static double part_of(double *us, unsigned n, double part) {
    qsort(us, n, sizeof *us, compare);
    return n == 0 ? 0 : us[(unsigned)((n - 1) * part)];
}

struct latencies {
    struct seen pull_half, pull_most, push_half, push_most;
};

static void note(struct worker *w, struct latencies *l, unsigned i, bool saved) {
    double *pull_half = saved ? l->pull_half.with : l->pull_half.without;
    double *pull_most = saved ? l->pull_most.with : l->pull_most.without;
    double *push_half = saved ? l->push_half.with : l->push_half.without;
    double *push_most = saved ? l->push_most.with : l->push_most.without;
    pull_half[i] = part_of(w->pulls_us, w->calls, 0.5);
    pull_most[i] = part_of(w->pulls_us, w->calls, 0.99);
    push_half[i] = part_of(w->pushes_us, w->calls, 0.5);
    push_most[i] = part_of(w->pushes_us, w->calls, 0.99);
}

static rh_status run_calls(struct worker *w) {
    static struct latencies l;
    const unsigned rounds = w->o->rounds;
    double ignored;
    rh_status st = RH_OK;
    for (unsigned i = 0; st == RH_OK && i < rounds; i++) {
        st = while_saved(w, call_few, &ignored);
        note(w, &l, i, true);
        w->save_seconds[i] = w->job.seconds;
        if (st == RH_OK)
            st = call_few(w, false, &ignored);
        note(w, &l, i, false);
    }
    if (st != RH_OK)
        return st;
    print_line("pull 1024, p50", &l.pull_half, rounds, 1, 0);
    print_line("pull 1024, p99", &l.pull_most, rounds, 1, 0);
    print_line("push 1024, p50", &l.push_half, rounds, 1, 0);
    print_line("push 1024, p99", &l.push_most, rounds, 1, 0);
    print_saves(w->save_seconds, rounds);
    return RH_OK;
}

static rh_status run_stream(struct worker *w) {
    static struct seen s;
    rh_status st = RH_OK;
    for (unsigned i = 0; st == RH_OK && i < w->o->rounds; i++) {
        st = while_saved(w, push_many, &s.with[i]);
        w->save_seconds[i] = w->job.seconds;
        if (st == RH_OK)
            st = push_many(w, false, &s.without[i]);
    }
    if (st != RH_OK)
        return st;
    print_line("push 8192 x3", &s, w->o->rounds, 1e3, 0);
    print_saves(w->save_seconds, w->o->rounds);
    return RH_OK;
}

static bool is_wanted(const struct bench_saving *o, const char *what) {
    return o->only == NULL || strcmp(o->only, what) == 0;
}

static rh_status pull_and_push(const struct bench_saving *o) {
    struct worker *w = calloc(1, sizeof *w);
    if (w == NULL)
        return err_set(RH_ENOMEM, "no memory for a worker");
    w->o = o;
    rng_init(&w->rng, 1, 0);
    for (size_t i = 0; i < (size_t)MANY * DIM; i++)
        w->grads[i] = (float)(i % 1000) * 1e-5f - 5e-3f;
    rh_status st = saved_job_start(o->bin, o->dir, 1, &w->job);
    if (st == RH_OK)
        st = join(w);
    if (st == RH_OK && is_wanted(o, "calls"))
        st = run_calls(w);
    if (st == RH_OK && is_wanted(o, "stream"))
        st = run_stream(w);
    rh_close(w->c);
    saved_job_stop(&w->job);
    free(w);
    return st;
}

/* ---- the table ---- */

rh_status bench_saving(const struct bench_saving *o) {
    const double bytes = (double)o->rows * DIM * sizeof(float) * 3;
    uint64_t room;
    rh_status st = plain_file_room(o->dir, &room);
    printf(
        "\nWhile a job of %d servers over tcp:// is saved: medians [lowest..highest] of %u rounds, "
        "without "
        "and with in\neach; the ratio's is of the rounds' ratios. word2vec: %d trainers, %" PRIu64
        " words, thousands of words a second.\nThe others: one worker, %" PRIu64
        " rows of dim %d with Adam's state, %.2f GB: microseconds of a call;\nthousands of rows a "
        "second. Goal: %.1f for word2vec.\n\n",
        SAVED_SERVERS, o->rounds, TRAINERS, o->words, o->rows, DIM, bytes / 1e9, GOAL);
    if (st == RH_OK && (double)room < 3 * bytes) {
        printf("not here: %s has %.1f GB free, %.1f are needed (TMPDIR says where)\n", o->dir,
               (double)room / 1e9, 3 * bytes / 1e9);
        return RH_OK;
    }
    printf("%-22s %-26s %-26s %s\n", "", "without", "while saved", "ratio");
    if (st == RH_OK && is_wanted(o, "word2vec"))
        st = train(o);
    if (st == RH_OK && (is_wanted(o, "calls") || is_wanted(o, "stream")))
        st = pull_and_push(o);
    return st == RH_OK ? RH_OK : err_in(st, "a job that is saved");
}
