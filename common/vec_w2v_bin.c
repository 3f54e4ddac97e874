/* vec_w2v_bin.c - word2vec's binary form: a line "rows dim", then for each row the word, a space,
 * and dim little-endian float32. word2vec ends a row with a line's end, gensim does not. The numbers
 * hold any byte, so there are no lines to be looked for. */
#include <inttypes.h>
#include <math.h>
#include <string.h>

#include "common/err.h"
#include "common/vec_inner.h"

static rh_status bin_begin(struct vec_reader *r, const struct vec_options *o) {
    (void)o;
    char *line = NULL;
    size_t len = 0;
    uint64_t rows, dim;
    r->text.line_max = VEC_HEADER_LINE_MAX;
    rh_status s = vec_text_line(r, &line, &len);
    if (s != RH_OK)
        return s;
    if (line == NULL || !vec_text_header(line, len, &rows, &dim))
        return err_set(RH_ECORRUPT,
                       "%s line 1 is not two numbers, how many rows there are and how many "
                       "numbers a row has",
                       r->in.path);
    /* A row has at least a letter, a space and its numbers. */
    return vec_text_counts(r, rows, dim, dim <= VEC_DIM_MAX ? 2 + dim * sizeof(float) : 0);
}

static rh_status skip_line_ends(struct vec_reader *r) {
    rh_status s;
    while ((s = infile_want(&r->in, 1)) == RH_OK && infile_left(&r->in) > 0 &&
           *infile_here(&r->in) == '\n')
        r->in.from++;
    return s;
}

static rh_status bin_next(struct vec_reader *r, const char **word) {
    const size_t row_bytes = r->dim * sizeof(float);
    rh_status s = skip_line_ends(r);
    if (s == RH_OK)
        s = infile_want(&r->in, VEC_WORD_MAX + row_bytes);
    if (s != RH_OK)
        return s;
    uint64_t at = infile_offset(&r->in);
    char *start = infile_here(&r->in);
    size_t left = infile_left(&r->in), look = left < VEC_WORD_MAX ? left : VEC_WORD_MAX;
    const char *space = memchr(start, ' ', look);
    size_t len = space != NULL ? (size_t)(space - start) : look;
    bool cut = space != NULL ? left - len - 1 < row_bytes : left < VEC_WORD_MAX;
    if (cut)
        return err_set(RH_ECORRUPT,
                       "%s ends at byte %" PRIu64 ", after %" PRIu64 " of the %" PRIu64
                       " rows of line 1",
                       r->in.path, at + left, r->done, r->rows);
    s = vec_text_word(r, start, len, "byte", at);
    if (s != RH_OK)
        return s;
    r->numbers = start + len + 1;
    r->numbers_end = r->numbers + row_bytes;
    r->in.from += len + 1 + row_bytes;
    *word = start;
    return RH_OK;
}

static rh_status bin_row(struct vec_reader *r, float *row) {
    if (numtype_to_float(NUMTYPE_F32, false, r->dim, r->numbers, row))
        return RH_OK;
    uint32_t i = 0;
    while (i + 1 < r->dim && isfinite(row[i]))
        i++;
    uint64_t at = infile_offset(&r->in) - (r->dim - i) * sizeof *row;
    return err_set(RH_ECORRUPT, "%s byte %" PRIu64 ": number %" PRIu32 " of row %" PRIu64 " is %s",
                   r->in.path, at, i, r->done - 1, isnan(row[i]) ? "NaN" : "infinite");
}

static rh_status bin_end(struct vec_reader *r) {
    rh_status s = skip_line_ends(r);
    if (s == RH_OK && infile_left(&r->in) > 0)
        s = err_set(RH_ECORRUPT, "%s byte %" PRIu64 ": the file goes on after its %" PRIu64 " rows",
                    r->in.path, infile_offset(&r->in), r->rows);
    return s;
}

static rh_status bin_put(struct vec_writer *w, const char *word, const float *row) {
    rh_status s = vec_text_put_word(w, word, false);
    if (s == RH_OK)
        s = outfile_write(&w->out, " ", 1);
    if (s == RH_OK)
        s = outfile_write(&w->out, row, w->dim * sizeof *row);
    return s == RH_OK ? outfile_write(&w->out, "\n", 1) : s;
}

const struct vec_ops vec_w2v_bin = {
    .format = VEC_W2V_BIN,
    .name = "word2vec binary",
    .ending = ".bin",
    .has_words = true,
    .begin = bin_begin,
    .next = bin_next,
    .row = bin_row,
    .end = bin_end,
    .put_header = vec_text_put_header,
    .put = bin_put,
};
