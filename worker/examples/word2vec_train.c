/* word2vec_train.c - see word2vec_train.h. */
#include "worker/examples/word2vec_train.h"

#include <math.h>

#include "worker/examples/word2vec_status.h"

#include "common/err.h"

enum { LOSS_STEPS = 32 };

/* What a step draws random numbers for. */
enum purpose { READING, TRAINING, PURPOSES };

struct recipe recipe_of(const struct training *t) {
    const struct model *m = t->model;
    return (struct recipe){.text_bytes = t->text->size_bytes,
                           .text_start = t->text->start_hash,
                           .workers = t->parts,
                           .mode = t->mode == RH_MODE_DEFAULT ? RH_MODE_ASYNC : t->mode,
                           .dim = m->dim,
                           .window = m->window,
                           .negatives = m->negatives,
                           .epochs = t->epochs,
                           .min_count = m->min_count,
                           .subsample = m->subsample,
                           .lr = t->lr,
                           .seed = t->seed,
                           .batches = t->batches,
                           .words = m->vocab.n,
                           .vocab = vocab_hash(&m->vocab)};
}

rh_status lane_init(struct lane *l, struct training *t, uint32_t part, bool ticks) {
    *l = (struct lane){.training = t, .part = part, .ticks = ticks};
    batch_init(&l->batches[0]);
    batch_init(&l->batches[1]);
    rh_status s = text_reader_init(&l->reader, t->text);
    if (s == RH_OK)
        s = from_library(rh_batch_new(t->client, &l->calls));
    if (s != RH_OK)
        lane_fini(l);
    return s;
}

void lane_fini(struct lane *l) {
    text_reader_fini(&l->reader);
    batch_fini(&l->batches[0]);
    batch_fini(&l->batches[1]);
}

rh_status lane_rewind(struct lane *l) {
    rh_status ended = rh_wait(&l->pull, -1);
    ended = rh_wait(&l->push, -1);
    (void)ended;              /* by the way back, as whoever calls us knows */
    rh_batch_free(&l->calls); /* it may have been filled by half */
    return from_library(rh_batch_new(l->training->client, &l->calls));
}

void lane_go_on(struct lane *l, const struct cursor *from) {
    l->step = from->step;
    l->words = from->words;
    l->loss = from->loss;
}

static uint64_t steps_of(const struct training *t) {
    return t->epochs * t->batches;
}

/* The learning rate of a step. */
static double rate_at(const struct training *t, uint64_t step) {
    return t->lr * (double)(steps_of(t) - step) / (double)steps_of(t);
}

/* The numbers follow from the seed, the part and the step alone, whatever was drawn before: a worker
 * that goes on from a checkpoint draws what it would have drawn, though the text of a step is read
 * before the step in front of it is trained. */
static void draw_for(struct lane *l, uint64_t step, enum purpose purpose) {
    const struct training *t = l->training;
    uint64_t stream = (l->part * steps_of(t) + step) * PURPOSES + purpose;
    rng_init(&l->rng, t->seed, stream);
}

/* Reads the text of a step. */
static rh_status read_step(struct lane *l, struct batch *b, uint64_t step) {
    const struct training *t = l->training;
    uint64_t stretch = l->part * t->batches + step % t->batches, begin, end;
    rh_status s = text_cut(t->text, stretch, t->parts * t->batches, &begin);
    if (s == RH_OK)
        s = text_cut(t->text, stretch + 1, t->parts * t->batches, &end);
    draw_for(l, step, READING);
    if (s == RH_OK)
        s = batch_read(b, t->model, &l->reader, begin, end, &l->rng);
    return s;
}

/* Begins to pull a batch's rows of both tables: one round trip. */
static rh_status begin_pull(struct lane *l, struct batch *b) {
    const struct training *t = l->training;
    rh_status s = rh_batch_pull(l->calls, t->in, b->ids, b->n_in, b->in);
    if (s == RH_OK)
        s = rh_batch_pull(l->calls, t->out, b->ids, b->n_out, b->out);
    if (s == RH_OK)
        s = rh_batch_begin(l->calls, &l->pull);
    return from_library(s);
}

static rh_status pull(struct lane *l, struct batch *b) {
    rh_status s = begin_pull(l, b);
    return s == RH_OK ? from_library(rh_wait(&l->pull, -1)) : s;
}

static rh_status begin_push(struct lane *l, const struct batch *b) {
    const struct training *t = l->training;
    rh_status s = rh_batch_push(l->calls, t->in, b->ids, b->n_in, b->in_grads);
    if (s == RH_OK)
        s = rh_batch_push(l->calls, t->out, b->ids, b->n_out, b->out_grads);
    if (s == RH_OK)
        s = rh_batch_begin(l->calls, &l->push);
    return from_library(s);
}

static struct cursor cursor_of(const struct lane *l) {
    const struct training *t = l->training;
    return (struct cursor){.step = l->step,
                           .words = l->words,
                           .loss = l->loss,
                           .seconds = t->seconds_before + progress_seconds(t->progress)};
}

static rh_status end_clock(struct lane *l) {
    const struct training *t = l->training;
    struct cursor at = cursor_of(l);
    rh_status s = t->checkpoints != NULL ? checkpoints_tell(t->checkpoints, &at) : RH_OK;
    if (s == RH_OK)
        s = from_library(rh_tick(t->client));
    if (s == RH_OK && t->checkpoints != NULL)
        checkpoints_save(t->checkpoints, l->step);
    return s;
}

/* The push of the step before has arrived, and its clock is over: nothing else is in flight here, so
 * a checkpoint has the steps before l->step, and nothing of others. The batch of l->step, and the
 * one behind it, have been read, and the rows of the first pulled; but that has left no trace. */
static rh_status end_step(struct lane *l) {
    rh_status s = from_library(rh_wait(&l->push, -1));
    return s == RH_OK && l->ticks ? end_clock(l) : s;
}

/*
 * Trains `now`, the batch of l->step, while the rows of `next` are on their way:
 *
 *     read next | pull of next ............... | catch up
 *     ..... push | train now | push of now ..............
 *
 * The rows of next are as they were before now was trained, so what now has learned is added to
 * them when they are here: a worker never misses its own updates.
 */
static rh_status take_step(struct lane *l, struct batch *now, struct batch *next) {
    const struct training *t = l->training;
    bool last = l->step + 1 == steps_of(t), first = l->push == NULL;

    rh_status s = last ? RH_OK : read_step(l, next, l->step + 1);
    if (s == RH_OK && !first)
        s = end_step(l);
    if (s == RH_OK && !first && t->checkpoints != NULL &&
        checkpoints_pull_anew(t->checkpoints, l->step))
        s = pull(l, now);
    if (s == RH_OK && !last)
        s = begin_pull(l, next);
    if (s != RH_OK)
        return s;
    draw_for(l, l->step, TRAINING);
    batch_train(now, t->model, (float)rate_at(t, l->step), &l->rng);
    s = begin_push(l, now);
    if (s == RH_EINVAL) /* NaN and infinity are refused */
        return err_in(s, "training has run away, try a smaller -lr");
    if (s == RH_OK)
        s = from_library(rh_wait(&l->pull, -1));
    if (s == RH_OK && !last)
        batch_catch_up(next, t->model, now);
    return s;
}

/* Says how it goes, and stops where it goes wrong: scores that are all 0, as in the beginning, cost
 * log 2 each, and who does much worse than that will not find back. */
static rh_status report(struct lane *l, const struct batch *done) {
    const struct training *t = l->training;
    double loss = done->pairs > 0 ? done->loss / (double)done->pairs : l->loss;
    double guessing = (1 + t->model->negatives) * log(2);
    l->loss += (loss - l->loss) / LOSS_STEPS;
    if (l->loss > 2 * guessing)
        return err_set(RH_EINVAL,
                       "training has run away (loss %.1f; guessing makes %.1f): try a smaller "
                       "-lr or -batch",
                       l->loss, guessing);
    progress_add(t->progress, done->words_read, loss, rate_at(t, l->step));
    return RH_OK;
}

rh_status lane_run(struct lane *l) {
    struct training *t = l->training;
    struct batch *now = &l->batches[0], *next = &l->batches[1];
    if (l->step == steps_of(t)) /* it was finished before a restart */
        return RH_OK;
    rh_status s = read_step(l, now, l->step);
    if (s == RH_OK)
        s = pull(l, now);
    while (s == RH_OK && l->step < steps_of(t) && !atomic_load(&t->stop)) {
        s = take_step(l, now, next);
        if (s == RH_OK)
            s = report(l, now);
        l->words += now->words_read;
        l->step++;
        struct batch *other = now;
        now = next;
        next = other;
    }
    if (s == RH_OK)
        s = end_step(l);
    if (s != RH_OK)
        atomic_store(&t->stop, true);
    return s;
}
