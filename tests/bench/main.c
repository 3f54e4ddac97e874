/* main.c - make bench: which cases there are, and the walk through them. Ours and what it is held
 * against take turns within one run, because a machine is never as fast as it was a minute ago. No
 * time is a failure: it exits with 0 unless something did not run. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common/conf.h"
#include "common/err.h"
#include "tests/bench/ckpt.h"
#include "tests/bench/features.h"
#include "tests/bench/files.h"
#include "tests/bench/ids.h"
#include "tests/bench/report.h"
#include "tests/bench/saving.h"

static const char *const transports[] = {"local:", "ipc://", "tcp://"};
static const uint32_t dims[] = {16, 64, 128};
static const struct work {
    const char *name;
    bool adam, push;
    uint32_t depth;
} works[] = {
    {"pull", false, false, 1},       {"pull x3", false, false, 3}, {"push sgd", false, true, 1},
    {"push sgd x3", false, true, 3}, {"push adam", true, true, 1}, {"push adam x3", true, true, 3},
};
static const struct contender *const contenders[CONTENDERS] = {
    [ROWHOUSE] = &bench_rowhouse, [PLAIN] = &bench_plain, [BARE] = &bench_bare};

enum {
    N_TRANSPORTS = sizeof transports / sizeof *transports,
    N_DIMS = sizeof dims / sizeof *dims,
    N_WORKS = sizeof works / sizeof *works,
    RESULTS_MAX = N_TRANSPORTS * N_DIMS * N_WORKS * IDS_KINDS,
    ARRAY_BYTES = 1 << 30, /* of a table's weights */
    QUICK_ROWS = 1 << 20,
    FEATURE_DIM = 64,
    FEATURE_PART = 4, /* of ARRAY_BYTES: there are two tables at a time, and up to three arrays */
    QUICK_FEATURE_PART = 8,
    QUICK_ROUNDS = 3,
    QUICK_PART = 4,
    FILE_BYTES = 64 << 20,
    QUICK_FILE_BYTES = 16 << 20,
    CKPT_DIM = 64,
    QUICK_CKPT_PART = 8,
    SAVING_ROWS = 1 << 20,
    QUICK_SAVING_PART = 8,
    SAVING_WORDS = 100000,
    ROUNDS = 5
};

/* ---- settings ---- */

struct settings {
    const char *bin, *transport, *ids, *work, *contender, *feature, *file, *ckpt, *saved, *answer;
    int64_t dim, rows, rounds, chunk_kib, report_fd;
    int quick, features, files, ckpts, saving;
};

#define AT(field) offsetof(struct settings, field)
static const struct conf_item items[] = {
    {"quick", CONF_BOOL, AT(quick), "no", 0, 0, NULL, NULL,
     "Small tables and fewer rounds: under two minutes."},
    {"transport", CONF_STRING, AT(transport), NULL, 0, 0, NULL, "NAME",
     "Only this one: local:, ipc:// or tcp://."},
    {"dim", CONF_INT, AT(dim), "0", 0, 128, NULL, "N", "Only this one: 16, 64 or 128."},
    {"ids", CONF_STRING, AT(ids), NULL, 0, 0, NULL, "NAME", "Only these: uniform or zipf."},
    {"work", CONF_STRING, AT(work), NULL, 0, 0, NULL, "NAME",
     "Only this, as the table calls it: pull, \"pull x3\", \"push sgd\", ..."},
    {"contender", CONF_STRING, AT(contender), NULL, 0, 0, NULL, "NAME",
     "Only this one: rowhouse, plain or bare. For profiles."},
    {"features", CONF_BOOL, AT(features), "no", 0, 0, NULL, NULL,
     "Only what features cost. Without it, they come second, unless one line was asked for."},
    {"feature", CONF_STRING, AT(feature), NULL, 0, 0, NULL, "NAME",
     "Only this one, as the table calls it: \"push padding_idx\", ..."},
    {"files", CONF_BOOL, AT(files), "no", 0, 0, NULL, NULL,
     "Only the reading of files. Without it, they come third, unless one line was asked for."},
    {"file", CONF_STRING, AT(file), NULL, 0, 0, NULL, "NAME",
     "Only files of this kind, as the table calls it: \"npy <f4\", ..."},
    {"chunk", CONF_INT, AT(chunk_kib), "512", 256, 1 << 20, NULL, "KIB",
     "The buffer that files are read into."},
    {"checkpoints", CONF_BOOL, AT(ckpts), "no", 0, 0, NULL, NULL,
     "Only checkpoints. Without it, they come fourth, unless one line was asked for."},
    {"checkpoint", CONF_STRING, AT(ckpt), NULL, 0, 0, NULL, "NAME",
     "Only of rows of this kind, as the table calls them: random, \"state zeros\"."},
    {"saving", CONF_BOOL, AT(saving), "no", 0, 0, NULL, NULL,
     "Only what a job feels of being saved. Without it, that comes last, unless one line was asked "
     "for."},
    {"saved", CONF_STRING, AT(saved), NULL, 0, 0, NULL, "NAME",
     "Only this of it: word2vec, calls or stream."},
    {"rows", CONF_INT, AT(rows), "0", 0, 1 << 30, NULL, "N",
     "Rows of a table. 0: as many as make 1 GiB of weights, or 1,048,576 if quick."},
    {"rounds", CONF_INT, AT(rounds), "0", 0, MEASURE_ROUNDS_MAX, NULL, "N",
     "Medians of so many. 0: of five, or of three if quick."},
    {"bin", CONF_STRING, AT(bin), "build/bin", 0, 0, "RH_BIN", "DIR", "Where rowhouse-server is."},
    {NULL, CONF_SECTION, 0, NULL, 0, 0, NULL, NULL, "Of the process that the benchmark starts:"},
    {"answer", CONF_STRING, AT(answer), NULL, 0, 0, NULL, "ADDRESS",
     "Listen there, and answer bare requests."},
    {"report-fd", CONF_INT, AT(report_fd), "-1", -1, 65535, NULL, "FD",
     "Write the address to this descriptor."},
};

static bool wanted(const char *filter, const char *name) {
    return filter == NULL || strcmp(filter, name) == 0;
}

/* ---- one stage ---- */

struct bench {
    struct settings set;
    char dir[128];
    char command[512]; /* as it was given: reading the flags moves argv about */
    struct result results[RESULTS_MAX];
    size_t n_results;
};

/* So many batches that a round touches as many bytes as there are in an array of weights: of a
 * uniform draw, nearly two thirds of the rows. */
static uint32_t batches_for(const struct bench *b, const struct stage *s) {
    uint64_t draws = s->adam ? s->rows / 3 : s->rows; /* Adam touches three arrays */
    if (b->set.quick)
        draws /= QUICK_PART;
    return draws < BENCH_BATCH ? 1 : (uint32_t)(draws / BENCH_BATCH);
}

static rh_status run_cases(struct bench *b, const struct stage *s, const struct ids_kind *kind,
                           const struct runner *runners) {
    uint32_t batches = batches_for(b, s);
    size_t n = (size_t)batches * BENCH_BATCH;
    uint64_t *ids = malloc(n * sizeof *ids);
    if (ids == NULL)
        return err_set(RH_ENOMEM, "no memory for %zu ids", n);
    kind->draw(s->rows, n, ids);
    rh_status st = RH_OK;
    for (const struct work *w = works; st == RH_OK && w < works + N_WORKS; w++) {
        if (w->adam != s->adam || !wanted(b->set.work, w->name))
            continue;
        struct job j = {.push = w->push, .depth = w->depth, .ids = ids, .batches = batches};
        struct result *r = &b->results[b->n_results];
        *r = (struct result){
            .transport = s->transport, .ids = kind->name, .work = w->name, .dim = s->dim};
        st = measure(runners, CONTENDERS, &j, (unsigned)b->set.rounds, r->rates);
        if (st == RH_OK) {
            report_result(r);
            b->n_results++;
        }
    }
    free(ids);
    return st;
}

static void close_all(struct runner *runners) {
    for (int i = 0; i < CONTENDERS; i++)
        if (runners[i].self != NULL)
            runners[i].contender->close(runners[i].self);
}

/* The bare contender first, for its child's sake (child.h); the plain one last. */
static rh_status open_all(const struct bench *b, const struct stage *s, struct runner *runners) {
    static const int order[CONTENDERS] = {BARE, ROWHOUSE, PLAIN};
    for (int k = 0; k < CONTENDERS; k++) {
        struct runner *r = &runners[order[k]];
        r->contender = contenders[order[k]];
        if (!r->contender->takes_part(s) || !wanted(b->set.contender, r->contender->name))
            continue;
        rh_status st = r->contender->open(s, &r->self);
        if (st != RH_OK)
            return err_in(st, "%s", r->contender->name);
    }
    return RH_OK;
}

static rh_status run_on(struct bench *b, const struct stage *s) {
    struct runner runners[CONTENDERS] = {0};
    rh_status st = open_all(b, s, runners);
    for (int k = 0; st == RH_OK && k < IDS_KINDS; k++)
        if (wanted(b->set.ids, ids_kinds[k].name))
            st = run_cases(b, s, &ids_kinds[k], runners);
    close_all(runners);
    return st == RH_OK ? RH_OK : err_in(st, "%s dim %u", s->transport, s->dim);
}

/* ---- all stages ---- */

static float *new_rows(uint32_t dim) {
    float *rows = aligned_alloc(64, (size_t)BENCH_BATCH * dim * sizeof *rows);
    for (size_t i = 0; rows != NULL && i < (size_t)BENCH_BATCH * dim; i++)
        rows[i] = (float)(i % 1000) * 1e-5f - 5e-3f;
    return rows;
}

static bool new_arrays(struct stage *s) {
    s->grads = new_rows(s->dim);
    bool whole = s->grads != NULL;
    for (int i = 0; i < BENCH_DEPTH_MAX; i++) {
        s->out[i] = new_rows(s->dim);
        whole = whole && s->out[i] != NULL;
    }
    return whole;
}

static void free_arrays(struct stage *s) {
    for (int i = 0; i < BENCH_DEPTH_MAX; i++)
        free(s->out[i]);
    free(s->grads);
}

static rh_status no_arrays(void) {
    return err_set(RH_ENOMEM, "no memory for batches");
}

static rh_status run_stage(struct bench *b, const char *transport, uint32_t dim, bool adam) {
    struct stage s = {.transport = transport,
                      .dim = dim,
                      .adam = adam,
                      .rows = (uint64_t)b->set.rows,
                      .bin = b->set.bin,
                      .dir = b->dir};
    if (s.rows == 0)
        s.rows = b->set.quick ? QUICK_ROWS : ARRAY_BYTES / (dim * sizeof(float));
    rh_status st = new_arrays(&s) ? run_on(b, &s) : no_arrays();
    free_arrays(&s);
    return st;
}

static bool stage_wanted(const struct bench *b, bool adam) {
    for (const struct work *w = works; w < works + N_WORKS; w++)
        if (w->adam == adam && wanted(b->set.work, w->name))
            return true;
    return false;
}

static rh_status run_stages(struct bench *b) {
    report_heading();
    rh_status st = RH_OK;
    for (int t = 0; t < N_TRANSPORTS; t++)
        for (int d = 0; d < N_DIMS; d++)
            for (int adam = 0; adam <= 1; adam++)
                if (st == RH_OK && wanted(b->set.transport, transports[t]) &&
                    (b->set.dim == 0 || b->set.dim == dims[d]) && stage_wanted(b, adam))
                    st = run_stage(b, transports[t], dims[d], adam);
    if (st == RH_OK)
        report_goals(b->results, b->n_results);
    return st;
}

/* Whether some lines of the first table were asked for. */
static bool is_filtered(const struct bench *b) {
    return b->set.transport != NULL || b->set.dim != 0 || b->set.ids != NULL ||
           b->set.work != NULL || b->set.contender != NULL;
}

enum part { CASES, FEATURES, FILES, CKPTS, SAVING };

/* Those that were asked for by name; else the first, and the others too if it is whole. */
static bool part_wanted(const struct bench *b, enum part part) {
    const bool features = b->set.features || b->set.feature != NULL;
    const bool files = b->set.files || b->set.file != NULL;
    const bool ckpts = b->set.ckpts || b->set.ckpt != NULL;
    const bool saving = b->set.saving || b->set.saved != NULL;
    if (features || files || ckpts || saving)
        return (part == FEATURES && features) || (part == FILES && files) ||
               (part == CKPTS && ckpts) || (part == SAVING && saving);
    return part == CASES || !is_filtered(b);
}

static rh_status run_features(struct bench *b) {
    struct stage s = {.transport = "local:", .dim = FEATURE_DIM};
    struct bench_features o = {.rows = (uint64_t)b->set.rows,
                               .rounds = (unsigned)b->set.rounds,
                               .only = b->set.feature,
                               .ids = b->set.ids};
    if (o.rows == 0)
        o.rows = ARRAY_BYTES / (FEATURE_DIM * sizeof(float)) /
                 (b->set.quick ? QUICK_FEATURE_PART : FEATURE_PART);
    rh_status st = new_arrays(&s) ? bench_features(&o, &s) : no_arrays();
    free_arrays(&s);
    return st;
}

static rh_status run_files(struct bench *b) {
    return bench_files(
        &(struct bench_files){.dir = b->dir,
                              .file_bytes = b->set.quick ? QUICK_FILE_BYTES : FILE_BYTES,
                              .chunk_bytes = (size_t)b->set.chunk_kib << 10,
                              .rounds = (unsigned)b->set.rounds,
                              .only = b->set.file});
}

static rh_status run_ckpts(struct bench *b) {
    struct bench_ckpt o = {.dir = b->dir,
                           .rows = (uint64_t)b->set.rows,
                           .dim = CKPT_DIM,
                           .rounds = (unsigned)b->set.rounds,
                           .only = b->set.ckpt};
    if (o.rows == 0)
        o.rows = ARRAY_BYTES / (CKPT_DIM * sizeof(float)) / (b->set.quick ? QUICK_CKPT_PART : 1);
    return bench_ckpt(&o);
}

static rh_status run_saving(struct bench *b) {
    struct bench_saving o = {.bin = b->set.bin,
                             .dir = b->dir,
                             .rows = (uint64_t)b->set.rows,
                             .words = SAVING_WORDS / (b->set.quick ? QUICK_SAVING_PART : 1),
                             .rounds = (unsigned)b->set.rounds,
                             .only = b->set.saved};
    if (o.rows == 0)
        o.rows = SAVING_ROWS / (b->set.quick ? QUICK_SAVING_PART : 1);
    return bench_saving(&o);
}

static rh_status run_bench(struct bench *b) {
    if (b->set.rounds == 0)
        b->set.rounds = b->set.quick ? QUICK_ROUNDS : ROUNDS;
    const char *tmp = getenv("TMPDIR");
    int len = snprintf(b->dir, sizeof b->dir, "%s/rowhouse-bench-XXXXXX", tmp ? tmp : "/tmp");
    if (len >= (int)sizeof b->dir || mkdtemp(b->dir) == NULL)
        return err_sys(RH_EIO, "cannot make the folder %s", b->dir);
    report_machine(b->command);
    rh_status st = RH_OK;
    if (part_wanted(b, CASES))
        st = run_stages(b);
    if (st == RH_OK && part_wanted(b, FEATURES))
        st = run_features(b);
    if (st == RH_OK && part_wanted(b, FILES))
        st = run_files(b);
    if (st == RH_OK && part_wanted(b, CKPTS))
        st = run_ckpts(b);
    if (st == RH_OK && part_wanted(b, SAVING))
        st = run_saving(b);
    rmdir(b->dir);
    return st;
}

int main(int argc, char **argv) {
    struct conf conf = {.program = "bench",
                        .usage = "[options]",
                        .about =
                            "Rows per second, pulled and pushed, beside what the machine can do.",
                        .items = items,
                        .n_items = sizeof items / sizeof *items};
    if (conf_wants_help(argc, argv)) {
        conf_help(&conf, stdout);
        return 0;
    }
    static struct bench b;
    for (int i = 0, len = 0; i < argc && len < (int)sizeof b.command; i++)
        len += snprintf(b.command + len, sizeof b.command - (size_t)len, "%s%s", i ? " " : "",
                        argv[i]);
    int words = 0;
    rh_status st = conf_defaults(&conf, &b.set);
    if (st == RH_OK)
        st = conf_args(&conf, argc, argv, &b.set, &words);
    if (st == RH_OK && words > 0)
        st = err_set(RH_EINVAL, "what is \"%s\"? See --help", argv[1]);
    if (st == RH_OK && b.set.answer != NULL)
        return bench_answer(b.set.answer, (int)b.set.report_fd);
    if (st == RH_OK)
        st = run_bench(&b);
    if (st != RH_OK)
        fprintf(stderr, "bench: %s\n", err_text());
    conf_fini(&conf);
    return st == RH_OK ? 0 : 1;
}
