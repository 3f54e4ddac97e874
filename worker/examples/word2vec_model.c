/* word2vec_model.c - see word2vec_model.h. */
#include "worker/examples/word2vec_model.h"

#include <stdlib.h>

#include "common/err.h"

static rh_status count_words(struct model *m, const struct text *t) {
    struct text_reader r;
    rh_status s = text_reader_init(&r, t);
    if (s != RH_OK)
        return s;
    text_seek(&r, 0, t->size_bytes);
    for (struct text_word w; s == RH_OK && text_next(&r, &w);)
        s = vocab_add(&m->vocab, w.p, w.len);
    if (s == RH_OK)
        s = r.status;
    m->too_long = r.too_long;
    text_reader_fini(&r);
    if (s != RH_OK)
        return s;
    s = vocab_seal(&m->vocab, m->min_count);
    return s == RH_OK ? s : err_in(s, "%s", t->path);
}

rh_status model_build(struct model *m, const struct text *t) {
    m->sampler = (struct sampler){0};
    m->keep = NULL;
    rh_status s = vocab_init(&m->vocab);
    if (s != RH_OK)
        return s;
    s = count_words(m, t);
    if (s == RH_OK)
        s = sampler_init(&m->sampler, &m->vocab, 0.75);
    if (s == RH_OK && !(m->keep = malloc(m->vocab.n * sizeof *m->keep)))
        s = err_set(RH_ENOMEM, "no memory for the counts of %u words", m->vocab.n);
    if (s != RH_OK) {
        model_fini(m);
        return s;
    }
    for (uint32_t i = 0; i < m->vocab.n; i++)
        m->keep[i] =
            (float)vocab_keep_probability(m->vocab.entries[i].count, m->vocab.total, m->subsample);
    return RH_OK;
}

void model_fini(struct model *m) {
    vocab_fini(&m->vocab);
    sampler_fini(&m->sampler);
    free(m->keep);
    m->keep = NULL;
}
