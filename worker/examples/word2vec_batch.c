/* word2vec_batch.c - see word2vec_batch.h. */
#include "worker/examples/word2vec_batch.h"

#include <stdlib.h>
#include <string.h>

#include "worker/examples/word2vec_sgns.h"

#include "common/err.h"
#include "common/kern.h"
#include "common/size.h"

/* A batch draws a negative for every so many of its words, and a few more: fewer would save rows, but
 * then training turns against those few. Measured on WordNet's glosses, 10,000 words to a batch: 2,000
 * negatives give MEN .64, and 500 give .61. */
enum { POOL_SHARE = 4, POOL_MIN = 64 };

static size_t pool_size(size_t words) {
    return words / POOL_SHARE + POOL_MIN;
}

void batch_init(struct batch *b) {
    *b = (struct batch){0};
    idset_init(&b->rows);
}

static void free_rows(struct batch *b) {
    free(b->in);
    free(b->out);
    free(b->in_grads);
    free(b->out_grads);
    b->in = b->out = b->in_grads = b->out_grads = NULL;
    b->in_cap = b->out_cap = 0;
}

static void free_text(struct batch *b) {
    free(b->ids);
    free(b->words);
    free(b->line_ends);
    free(b->pool);
    b->ids = NULL;
    b->words = b->pool = NULL;
    b->line_ends = NULL;
    b->text_cap = 0;
}

void batch_fini(struct batch *b) {
    free_rows(b);
    free_text(b);
    idset_fini(&b->rows);
}

/* Room for a text of n words. */
static rh_status reserve_text(struct batch *b, size_t n) {
    if (n > b->text_cap) {
        free_text(b);
        b->ids = malloc((n + pool_size(n)) * sizeof *b->ids);
        b->words = malloc(n * sizeof *b->words);
        b->line_ends = malloc(n * sizeof *b->line_ends);
        b->pool = malloc(pool_size(n) * sizeof *b->pool);
        if (!b->ids || !b->words || !b->line_ends || !b->pool)
            return err_set(RH_ENOMEM, "no memory for a batch of up to %zu words", n);
        b->text_cap = n;
    }
    return idset_reset(&b->rows, n + pool_size(n));
}

/* (n, dim) floats, where the widest vector loads like it. NULL if there is no memory. */
static float *new_rows(size_t n, size_t dim) {
    size_t bytes;
    if (!size_mul3(n, dim, sizeof(float), &bytes) || !size_add(bytes, 64, &bytes))
        return NULL;
    return aligned_alloc(64, bytes & ~(size_t)63);
}

/* Room for the rows that the batch turned out to need, and a half more: batches differ. */
static rh_status reserve_rows(struct batch *b, const struct model *m) {
    if (b->n_in <= b->in_cap && b->n_out <= b->out_cap)
        return RH_OK;
    size_t in_cap = b->n_in + b->n_in / 2, out_cap = b->n_out + b->n_out / 2;
    free_rows(b);
    b->in = new_rows(in_cap, m->dim);
    b->in_grads = new_rows(in_cap, m->dim);
    b->out = new_rows(out_cap, m->dim);
    b->out_grads = new_rows(out_cap, m->dim);
    if (!b->in || !b->out || !b->in_grads || !b->out_grads)
        return err_set(RH_ENOMEM, "no memory for the %zu rows of a batch", b->n_in + b->n_out);
    b->in_cap = in_cap;
    b->out_cap = out_cap;
    return RH_OK;
}

static uint32_t row_of(struct batch *b, uint32_t word) {
    uint32_t row = idset_add(&b->rows, word);
    b->ids[row] = word;
    return row;
}

rh_status batch_read(struct batch *b, const struct model *m, struct text_reader *r, uint64_t begin,
                     uint64_t end, struct rng *g) {
    /* A word takes two bytes at least, with its blank. */
    rh_status s = reserve_text(b, (size_t)(end - begin) / 2 + 1);
    if (s != RH_OK)
        return s;
    b->n_words = b->n_lines = 0;
    b->words_read = 0;
    text_seek(r, begin, end);
    for (struct text_word w; text_next(r, &w);) {
        if (w.opens_line && b->n_words > 0)
            b->line_ends[b->n_lines++] = b->n_words;
        uint32_t id = vocab_find(&m->vocab, w.p, w.len);
        if (id == VOCAB_NONE)
            continue;
        b->words_read++;
        if (rng_f32(g) < m->keep[id])
            b->words[b->n_words++] = row_of(b, id);
    }
    if (r->status != RH_OK)
        return r->status;
    b->line_ends[b->n_lines++] = b->n_words;
    b->n_in = b->rows.n;
    b->n_pool = pool_size(b->n_words);
    for (size_t i = 0; i < b->n_pool; i++)
        b->pool[i] = row_of(b, sampler_draw(&m->sampler, g));
    b->n_out = b->rows.n;
    return reserve_rows(b, m);
}

/* The next negatives of the pool, which was drawn at random: nothing is left to draw. targets: the
 * true one, then what is added here. Returns how many there are. */
static size_t add_negatives(struct batch *b, const struct model *m, uint32_t *targets) {
    size_t n = 1;
    for (uint32_t k = 0; k < m->negatives; k++) {
        uint32_t negative = b->pool[b->turn];
        b->turn = b->turn + 1 < b->n_pool ? b->turn + 1 : 0;
        if (negative != targets[0])
            targets[n++] = negative;
    }
    return n;
}

/* Pairs each word of a line with its neighbours, 1 to window words away: nearer ones come more
 * often, because the reach is drawn anew for each word. */
static void train_line(struct batch *b, const struct model *m, size_t begin, size_t end, float lr,
                       struct rng *g) {
    uint32_t targets[SGNS_TARGETS_MAX];
    for (size_t i = begin; i < end; i++) {
        float *u = b->in + b->words[i] * (size_t)m->dim;
        size_t reach = 1 + rng_below(g, m->window);
        size_t first = i - begin > reach ? i - reach : begin;
        size_t last = end - 1 - i > reach ? i + reach : end - 1;
        for (size_t j = first; j <= last; j++) {
            if (j == i)
                continue;
            targets[0] = b->words[j];
            size_t n = add_negatives(b, m, targets);
            b->loss += sgns_step(m->dim, lr, targets, n, u, b->out);
            b->pairs++;
        }
    }
}

void batch_train(struct batch *b, const struct model *m, float lr, struct rng *g) {
    size_t in_floats = b->n_in * m->dim, out_floats = b->n_out * m->dim;
    memcpy(b->in_grads, b->in, in_floats * sizeof *b->in);
    memcpy(b->out_grads, b->out, out_floats * sizeof *b->out);
    b->loss = 0;
    b->pairs = 0;
    b->turn = 0;
    size_t begin = 0;
    for (size_t l = 0; l < b->n_lines; l++) {
        train_line(b, m, begin, b->line_ends[l], lr, g);
        begin = b->line_ends[l];
    }
    kern_axpy(in_floats, -1, b->in, b->in_grads);
    kern_axpy(out_floats, -1, b->out, b->out_grads);
}

void batch_catch_up(struct batch *b, const struct model *m, const struct batch *done) {
    size_t dim = m->dim;
    for (size_t i = 0; i < done->n_out; i++) {
        uint32_t row = idset_find(&b->rows, done->ids[i]);
        if (row == UINT32_MAX)
            continue;
        kern_axpy(dim, -1, done->out_grads + i * dim, b->out + row * dim);
        if (i < done->n_in && row < b->n_in)
            kern_axpy(dim, -1, done->in_grads + i * dim, b->in + row * dim);
    }
}
