/* word2vec.c - rowhouse-word2vec: word vectors by skip-gram with negative sampling, on any number
 * of servers and workers, or all in one process.
 *
 *     rowhouse-word2vec -input text.txt -output vectors                         in this process
 *     rowhouse run -s 2 -w 2 -- rowhouse-word2vec -input text.txt -output vectors
 *
 * A word has a row in each of two tables, and the servers hold both. A worker goes through its part
 * of the text batch by batch: it pulls the rows of the batch's words, trains its copies, and pushes
 * the differences. This file puts the pieces together; in the order to read them:
 *
 *     word2vec_text     words of a file, and its parts        word2vec_sgns      the arithmetic
 *     word2vec_vocab    words and their counts                word2vec_batch     a mini-batch
 *     word2vec_sampler  drawing negatives                     word2vec_train     the training loop
 *     word2vec_model    all that a batch has to know          word2vec_progress  the bar
 *     word2vec_vectors  the file at the end                   word2vec_cursor  where a worker stands
 *     word2vec_checkpoint  and how it is kept, for a restart
 *     word2vec_place  where it begins, and where it goes on
 */
#include <inttypes.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "worker/rowhouse.h"

#include "worker/examples/word2vec_checkpoint.h"
#include "worker/examples/word2vec_model.h"
#include "worker/examples/word2vec_place.h"
#include "worker/examples/word2vec_progress.h"
#include "worker/examples/word2vec_sgns.h"
#include "worker/examples/word2vec_status.h"
#include "worker/examples/word2vec_text.h"
#include "worker/examples/word2vec_train.h"
#include "worker/examples/word2vec_vectors.h"

#include "common/clock.h"
#include "common/conf.h"
#include "common/err.h"
#include "common/name.h"

static const char PROGRAM[] = "rowhouse-word2vec";

enum { EXIT_USAGE = 2, EXIT_UNREACHABLE = 3 };
/* A part has at least so many batches, that the learning rate may fall in so many steps. */
enum { BATCHES_MIN = 16 };

struct settings {
    const char *input, *output, *servers, *mode, *checkpoint_name;
    int64_t dim, window, negatives, epochs, min_count, threads, seed, batch, checkpoint_every;
    double subsample, lr;
    int resume;
};

#define SETTING(field) offsetof(struct settings, field)
static const struct conf_item ITEMS[] = {
    {.type = CONF_SECTION, .help = "Files"},
    {"input", CONF_STRING, SETTING(input), NULL, 0, 0, NULL, "FILE",
     "The text: words between white space, a sentence or a paragraph a line. Every worker reads it "
     "for its vocabulary, and trains a part of it."},
    {"output", CONF_STRING, SETTING(output), NULL, 0, 0, NULL, "NAME",
     "Writes NAME.vec: word2vec text, the most frequent word first."},
    {.type = CONF_SECTION, .help = "Vectors, with the names of fastText"},
    {"dim", CONF_INT, SETTING(dim), "100", 1, SGNS_DIM_MAX, NULL, "N", "Numbers in a vector."},
    {"ws", CONF_INT, SETTING(window), "5", 1, 1000, NULL, "N",
     "Window: how many words away a neighbour may be."},
    {"neg", CONF_INT, SETTING(negatives), "5", 1, SGNS_TARGETS_MAX - 1, NULL, "N",
     "Negatives for each pair of neighbours."},
    {"epoch", CONF_INT, SETTING(epochs), "5", 1, 1e6, NULL, "N", "Passes over the text."},
    {"minCount", CONF_INT, SETTING(min_count), "5", 1, 1e12, NULL, "N",
     "Rarer words are left out."},
    {"t", CONF_REAL, SETTING(subsample), "1e-4", 0, 1, NULL, "SHARE",
     "Words more frequent than this share of the text are used less often; 0 uses all."},
    {"lr", CONF_REAL, SETTING(lr), "0.05", 1e-9, 100, NULL, "RATE",
     "Learning rate at the start. It falls to nothing, linearly."},
    {"seed", CONF_INT, SETTING(seed), "0", 0, 1e15, NULL, "N", "Of everything random."},
    {.type = CONF_SECTION, .help = "Job"},
    {"servers", CONF_STRING, SETTING(servers), NULL, 0, 0, NULL, "ADDRESSES",
     "Where the servers are, in shard order: tcp://host:port,... or local: for none. Default: "
     "what the launcher says (RH_SERVERS), else local:."},
    {"mode", CONF_STRING, SETTING(mode), NULL, 0, 0, NULL, "MODE",
     "async: updates are applied on arrival. ssp:N: likewise, but no worker is more than N steps "
     "ahead of another. bsp: workers go in step, and the same seed gives the same vectors. "
     "Default: "
     "RH_MODE, else async."},
    {"thread", CONF_INT, SETTING(threads), "1", 1, 256, NULL, "N",
     "Threads of a worker; the same for all workers."},
    {"batch", CONF_INT, SETTING(batch), "0", 0, 1e7, NULL, "WORDS",
     "Words of text in a batch; 0: 10,000, and fewer with more than one worker or thread."},
    {.type = CONF_SECTION, .help = "Checkpoints, in the servers' --checkpoint-dir"},
    {"checkpoint-every", CONF_INT, SETTING(checkpoint_every), "0", 0, 1e15, NULL, "N",
     "Saves one when N batches more of a worker are done, in place of the one before; the same for "
     "all workers. 0: never."},
    {"checkpoint-name", CONF_STRING, SETTING(checkpoint_name), "word2vec", 0, 0, NULL, "NAME",
     "What it is called."},
    {"resume", CONF_BOOL, SETTING(resume), "no", 0, 0, NULL, NULL,
     "Goes on from the checkpoint that the servers were started from (--restore; with local: from "
     "-checkpoint-name in RH_CHECKPOINT_DIR), with the same "
     "text, settings and number of workers, all of which resume; servers may be more or fewer."},
};

static int exit_code(rh_status s) {
    return s == RH_OK ? EXIT_SUCCESS : s == RH_EUNREACHABLE ? EXIT_UNREACHABLE : EXIT_FAILURE;
}

/* ---- the job ---- */

/* One thread of a worker ends its clocks, and a checkpoint takes a worker there: the others would be
 * in the middle of something. */
static rh_status check_checkpoints(const struct settings *set) {
    if (set->threads > 1 && (set->checkpoint_every > 0 || set->resume))
        return err_set(RH_EINVAL,
                       "%s is for workers of one thread, whose place in the text is one: instead "
                       "of -thread %" PRId64 " start as many workers",
                       set->resume ? "-resume" : "-checkpoint-every", set->threads);
    rh_status s = name_check("checkpoint", set->checkpoint_name);
    if (s == RH_OK && set->checkpoint_name[0] == '.')
        s = err_set(RH_EINVAL, "checkpoint name \"%s\" begins with a dot", set->checkpoint_name);
    return s == RH_OK ? s : err_in(s, "-checkpoint-name");
}

static rh_status configure(const struct settings *set, rh_config *cfg) {
    if (set->servers)
        cfg->servers = set->servers;
    rh_status s = set->mode ? from_library(rh_config_set_mode(cfg, set->mode)) : RH_OK;
    if (s != RH_OK)
        return err_in(s, "-mode");
    if (cfg->mode == RH_MODE_BSP && set->threads > 1)
        return err_set(RH_EINVAL,
                       "under bsp a worker goes step by step, in one thread: instead of "
                       "-thread %" PRId64 " start as many workers",
                       set->threads);
    return check_checkpoints(set);
}

static rh_status open_tables(struct training *t) {
    const struct model *m = t->model;
    rh_table_spec spec;
    rh_table_spec_init(&spec, m->vocab.n, m->dim);
    spec.seed = t->seed;
    spec.optimizer = rh_sgd(1); /* what is pushed has been multiplied by the learning rate */
    spec.init = rh_uniform(-0.5 / m->dim, 0.5 / m->dim);
    rh_status s = rh_table_open(t->client, "word2vec.input", &spec, &t->in);
    if (s == RH_OK) {
        spec.init = rh_zeros();
        s = rh_table_open(t->client, "word2vec.output", &spec, &t->out);
    }
    return from_library(s);
}

/* ---- the threads ---- */

struct thread {
    pthread_t id;
    struct lane lane;
    rh_status status;
    char error[ERR_TEXT_MAX]; /* texts belong to threads: carried over to the main one */
};

static void *thread_main(void *arg) {
    struct thread *self = arg;
    self->status = lane_run(&self->lane);
    snprintf(self->error, sizeof self->error, "%s", err_text());
    return NULL;
}

/* Runs this worker's lanes to the end, and returns the first failure. */
static rh_status run_threads(struct training *t, struct thread *threads, uint32_t n) {
    rh_status s = RH_OK;
    uint32_t started = 0;
    for (; started < n && s == RH_OK; started++) {
        int e = pthread_create(&threads[started].id, NULL, thread_main, &threads[started]);
        if (e != 0) {
            s = err_set(RH_ELIMIT, "cannot start thread %u of %u: %s", started + 1, n, strerror(e));
            atomic_store(&t->stop, true);
            break;
        }
    }
    for (uint32_t i = 0; i < started; i++) {
        pthread_join(threads[i].id, NULL);
        if (s == RH_OK && threads[i].status != RH_OK)
            s = err_set(threads[i].status, "%s", threads[i].error);
    }
    return s;
}

/* Words in a batch, if the user does not say. While a batch is trained all the others train theirs:
 * what each of them corrects is corrected once too often by each, and from some size on the vectors
 * run away. Measured at -lr 0.05: 2 lanes bear 20,000 words, 4 bear 2,000, and 8 bear 500; half of
 * that costs no time and wins two points of word similarity. */
static uint64_t default_batch(uint64_t parts) {
    uint64_t words = 10000 / (parts * parts);
    return words < 100 ? 100 : words > 10000 ? 10000 : words;
}

static uint64_t batches_of_a_part(const struct model *m, uint64_t parts, uint64_t batch_words) {
    uint64_t words = m->vocab.total / parts, batches = (words + batch_words - 1) / batch_words;
    return batches > BATCHES_MIN ? batches : BATCHES_MIN;
}

/* ---- from the beginning to the end ---- */

static void tell_failures(const struct checkpoints *k) {
    if (k->failed > 0)
        fprintf(stderr, "%" PRIu64 " of %" PRIu64 " checkpoints were not saved\n", k->failed,
                k->wanted);
}

/* All lanes of this worker; then rank 0 writes what everybody has learned. */
static rh_status train_and_write(const struct settings *set, struct training *t,
                                 struct thread *threads, const char *path) {
    bool first = rh_rank(t->client) == 0;
    progress_begin(t->progress, first);
    rh_status s = run_threads(t, threads, (uint32_t)set->threads);
    double seconds = t->seconds_before + progress_seconds(t->progress);
    progress_end(t->progress);
    if (t->checkpoints != NULL && first)
        tell_failures(t->checkpoints);
    if (s == RH_OK)
        s = place_meet(t, seconds);
    if (s == RH_OK && first)
        s = vectors_write(t->in, &t->model->vocab, path);
    /* Nobody leaves before that: if a server dies now, all have to do their part again. */
    if (s == RH_OK)
        s = place_meet(t, seconds);
    if (s == RH_OK && first)
        printf("%s: %" PRIu32 " words, %" PRIu32 " numbers each, trained in %.1f s\n", path,
               t->model->vocab.n, t->model->dim, seconds);
    return s;
}

/* From there to the end. */
static rh_status train_from(const struct settings *set, struct training *t, struct thread *threads,
                            const struct cursor *begin, const char *path) {
    rh_status s = open_tables(t);
    for (int64_t i = 0; i < set->threads; i++)
        lane_go_on(&threads[i].lane, begin);
    if (s == RH_OK && t->checkpoints != NULL)
        s = place_take(t, begin);
    return s == RH_OK ? train_and_write(set, t, threads, path) : s;
}

/* The servers went back to a checkpoint: so do we. */
static rh_status come_back(const struct settings *set, struct training *t, struct thread *threads,
                           const struct checkpoints *k, struct cursor *begin) {
    rh_status s = place_return(t, k, begin);
    atomic_store(&t->stop, false);
    for (int64_t i = 0; s == RH_OK && i < set->threads; i++)
        s = lane_rewind(&threads[i].lane);
    return s;
}

/* Takes the client. */
static rh_status work(const struct settings *set, struct training *t, struct checkpoints *k,
                      uint32_t succeeds, const char *path) {
    uint32_t n = (uint32_t)set->threads, ready = 0, rank = rh_rank(t->client);
    struct thread *threads = calloc(n, sizeof *threads);
    struct cursor begin = {0};
    rh_status s = threads ? RH_OK : err_set(RH_ENOMEM, "no memory for %u threads", n);
    if (s == RH_OK && rank == 0)
        s = vectors_check(path);
    while (s == RH_OK && ready < n) {
        s = lane_init(&threads[ready].lane, t, rank * n + ready, ready == 0);
        ready += s == RH_OK;
    }
    if (s == RH_OK)
        s = place_find(t, k, set->resume, succeeds, &begin);
    if (s == RH_OK)
        s = train_from(set, t, threads, &begin, path);
    while (s == RH_EROLLBACK) {
        s = come_back(set, t, threads, k, &begin);
        if (s == RH_OK)
            s = train_from(set, t, threads, &begin, path);
    }
    rh_close(t->client);
    while (ready > 0)
        lane_fini(&threads[--ready].lane);
    free(threads);
    return s;
}

static void describe_text(const struct text *text, const struct model *m) {
    fprintf(stderr, "%s: %" PRIu64 " words, %" PRIu32 " different ones\n", text->path,
            m->vocab.total, m->vocab.n);
    if (m->too_long > 0)
        fprintf(stderr, "%s: left out %" PRIu64 " words of more than %d bytes\n", text->path,
                m->too_long, TEXT_WORD_MAX);
}

static rh_status join(const struct settings *set, const rh_config *cfg, const struct text *text,
                      const struct model *m, int64_t began_us, const char *path) {
    struct progress progress = {.epochs = (uint32_t)set->epochs};
    struct checkpoints checkpoints = {.name = set->checkpoint_name,
                                      .every = (uint64_t)set->checkpoint_every,
                                      .inside = strncmp(cfg->servers, "local:", 6) == 0,
                                      .progress = &progress};
    struct training t = {.model = m,
                         .text = text,
                         .lr = set->lr,
                         .seed = (uint64_t)set->seed,
                         .epochs = (uint32_t)set->epochs,
                         .mode = cfg->mode,
                         .progress = &progress,
                         .checkpoints = set->threads == 1 ? &checkpoints : NULL,
                         .began_us = began_us};
    rh_status s = from_library(rh_connect(cfg, &t.client));
    if (s != RH_OK)
        return s;
    progress.world = rh_world(t.client);
    t.parts = progress.world * (uint32_t)set->threads;
    t.batches = batches_of_a_part(m, t.parts,
                                  set->batch > 0 ? (uint64_t)set->batch : default_batch(t.parts));
    progress.steps = t.batches * t.epochs * (uint64_t)set->threads;
    checkpoints.client = t.client;
    checkpoints.recipe = recipe_of(&t);
    if (rh_rank(t.client) == 0)
        describe_text(text, m);
    return work(set, &t, &checkpoints, cfg->succeeds, path);
}

static rh_status run(const struct settings *set, const rh_config *cfg) {
    const int64_t began_us = clock_now_us();
    struct text text;
    struct model m = {.dim = (uint32_t)set->dim,
                      .window = (uint32_t)set->window,
                      .negatives = (uint32_t)set->negatives,
                      .min_count = (uint64_t)set->min_count,
                      .subsample = set->subsample};
    char *path = NULL;
    if (asprintf(&path, "%s.vec", set->output) < 0)
        return err_set(RH_ENOMEM, "no memory for a file name");
    rh_status s = text_open(set->input, &text);
    if (s != RH_OK)
        goto free_path;
    s = model_build(&m, &text);
    if (s != RH_OK)
        goto close_text;
    s = join(set, cfg, &text, &m, began_us, path);
    model_fini(&m);
close_text:
    text_close(&text);
free_path:
    free(path);
    return s;
}

static rh_status parse(struct conf *c, int argc, char **argv, struct settings *out,
                       rh_config *cfg) {
    int words;
    rh_status s = conf_defaults(c, out);
    if (s == RH_OK)
        s = conf_args(c, argc, argv, out, &words);
    if (s != RH_OK)
        return s;
    if (words > 0)
        return err_set(RH_EINVAL, "what is '%s'? Every setting has a name: -input FILE", argv[1]);
    if (!out->input)
        return err_set(RH_EINVAL, "-input is missing: the text to learn from");
    if (!out->output)
        return err_set(RH_EINVAL, "-output is missing: NAME of the NAME.vec to write");
    return configure(out, cfg);
}

/* "rowhouse-word2vec 1/2: why", the rank only where there are several. */
static void complain(const rh_config *cfg) {
    char who[32] = "";
    if (cfg->world > 1)
        snprintf(who, sizeof who, " %u/%u", cfg->rank, cfg->world);
    fprintf(stderr, "%s%s: %s\n", PROGRAM, who, err_text());
}

int main(int argc, char **argv) {
    struct settings set;
    rh_config cfg;
    struct conf conf = {.program = PROGRAM,
                        .usage = "-input FILE -output NAME [options]",
                        .about = "Learns word vectors from a text, on Rowhouse's servers.",
                        .items = ITEMS,
                        .n_items = sizeof ITEMS / sizeof ITEMS[0],
                        .single_dash = true};
    if (conf_wants_help(argc, argv)) {
        conf_help(&conf, stdout);
        return EXIT_SUCCESS;
    }
    rh_config_init(&cfg);
    int code = EXIT_USAGE;
    rh_status s = parse(&conf, argc, argv, &set, &cfg);
    if (s == RH_OK) {
        s = run(&set, &cfg);
        code = exit_code(s);
    }
    if (s != RH_OK)
        complain(&cfg);
    conf_fini(&conf);
    return code;
}
