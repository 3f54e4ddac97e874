/* vec_w2v.c - text with a first line "rows dim", then a line for each row: the word, a space, dim
 * numbers between spaces. word2vec writes six decimals and a space before the line's end, gensim
 * does not; fastText's .vec has five digits and the space. They are read alike. */
#include <inttypes.h>
#include <string.h>

#include "common/err.h"
#include "common/vec_inner.h"

static rh_status w2v_begin(struct vec_reader *r, const struct vec_options *o) {
    (void)o;
    return vec_text_begin(r);
}

static rh_status w2v_next(struct vec_reader *r, const char **word) {
    char *line = NULL;
    size_t len = 0;
    rh_status s = vec_text_line(r, &line, &len);
    if (s != RH_OK)
        return s;
    if (line == NULL)
        return err_set(RH_ECORRUPT, "%s ends after %" PRIu64 " of the %" PRIu64 " rows of line 1",
                       r->in.path, r->done, r->rows);
    const char *space = memchr(line, ' ', len);
    size_t word_len = space != NULL ? (size_t)(space - line) : len;
    r->numbers = line + word_len + (space != NULL);
    r->numbers_end = line + len;
    *word = line;
    return vec_text_word(r, line, word_len, "line", r->text.line);
}

static rh_status w2v_put(struct vec_writer *w, const char *word, const float *row) {
    rh_status s = vec_text_put_word(w, word, false);
    return s == RH_OK ? vec_text_put_row(w, row, "\n") : s;
}

/* The space is for readers that look for it behind every number. */
static rh_status fasttext_put(struct vec_writer *w, const char *word, const float *row) {
    rh_status s = vec_text_put_word(w, word, false);
    return s == RH_OK ? vec_text_put_row(w, row, " \n") : s;
}

const struct vec_ops vec_w2v = {
    .format = VEC_W2V,
    .name = "word2vec text",
    .has_words = true,
    .begin = w2v_begin,
    .next = w2v_next,
    .row = vec_text_row,
    .end = vec_text_end,
    .put_header = vec_text_put_header,
    .put = w2v_put,
};

const struct vec_ops vec_fasttext = {
    .format = VEC_FASTTEXT,
    .name = "fastText .vec",
    .has_words = true,
    .begin = w2v_begin,
    .next = w2v_next,
    .row = vec_text_row,
    .end = vec_text_end,
    .put_header = vec_text_put_header,
    .put = fasttext_put,
};
