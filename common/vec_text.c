/* vec_text.c - what all text formats share: lines of a word and numbers between spaces. Writers
 * differ, so a space before the line's end is as good as none, CRLF as good as LF, and the last line
 * may lack its end. Only 0x20 is a space: Unicode has others, and words hold them. */
#include <assert.h>
#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "common/err.h"
#include "common/floattext.h"
#include "common/size.h"
#include "common/utf8.h"
#include "common/vec_inner.h"

/* ---- lines ---- */

rh_status vec_text_line(struct vec_reader *r, char **line, size_t *len) {
    size_t seen = 0, left;
    char *end = NULL;
    for (;;) {
        left = infile_left(&r->in);
        size_t look = left < r->text.line_max ? left : r->text.line_max;
        if (look > seen)
            end = memchr(infile_here(&r->in) + seen, '\n', look - seen);
        if (end != NULL)
            break;
        if (left >= r->text.line_max)
            return err_set(RH_ECORRUPT,
                           "%s line %" PRIu64 " is longer than any row can be, %zu bytes",
                           r->in.path, r->text.line + 1, r->text.line_max);
        rh_status s = infile_want(&r->in, left + 1);
        if (s != RH_OK)
            return s;
        if (infile_left(&r->in) == left)
            break;
        seen = left;
    }
    *line = NULL;
    if (left == 0)
        return RH_OK;
    char *start = infile_here(&r->in);
    size_t n = end != NULL ? (size_t)(end - start) : left;
    r->in.from += n + (end != NULL);
    r->text.line++;
    if (n > 0 && start[n - 1] == '\r')
        n--;
    *line = start;
    *len = n;
    return RH_OK;
}

static bool take_count(const char **p, const char *end, uint64_t *out) {
    uint64_t v = 0;
    const char *start = *p;
    for (; *p < end && **p >= '0' && **p <= '9'; (*p)++)
        if (__builtin_mul_overflow(v, 10, &v) || __builtin_add_overflow(v, **p - '0', &v))
            return false;
    *out = v;
    return *p > start;
}

static const char *skip_spaces(const char *p, const char *end) {
    while (p < end && *p == ' ')
        p++;
    return p;
}

bool vec_text_header(const char *line, size_t len, uint64_t *rows, uint64_t *dim) {
    const char *p = line, *end = line + len;
    if (!take_count(&p, end, rows) || p == end || *p != ' ')
        return false;
    p = skip_spaces(p, end);
    return take_count(&p, end, dim) && skip_spaces(p, end) == end;
}

rh_status vec_text_counts(struct vec_reader *r, uint64_t rows, uint64_t dim, uint64_t least) {
    if (dim == 0 || dim > VEC_DIM_MAX)
        return err_set(RH_EINVAL, "%s line 1: rows of %" PRIu64 " numbers; 1 to %d are read",
                       r->in.path, dim, VEC_DIM_MAX);
    /* The last row may lack its end. */
    size_t all;
    if (!size_mul(rows, least, &all) || all > r->in.size_bytes - infile_offset(&r->in) + 1)
        return err_set(RH_ECORRUPT,
                       "%s line 1 promises %" PRIu64 " rows of %" PRIu64 " numbers; they "
                       "cannot be in a file of %" PRIu64 " bytes",
                       r->in.path, rows, dim, r->in.size_bytes);
    r->rows = rows;
    r->dim = (uint32_t)dim;
    r->data = infile_offset(&r->in);
    return RH_OK;
}

rh_status vec_text_begin(struct vec_reader *r) {
    char *line = NULL;
    size_t len = 0;
    r->text.line_max = VEC_HEADER_LINE_MAX;
    rh_status s = vec_text_line(r, &line, &len);
    if (s != RH_OK)
        return s;
    uint64_t rows, dim;
    if (line == NULL || !vec_text_header(line, len, &rows, &dim))
        return err_set(RH_ECORRUPT,
                       "%s line 1 is not two numbers, how many rows there are and how many "
                       "numbers a row has; files without such a line are GloVe's",
                       r->in.path);
    r->text.first_line = 1;
    r->text.dim_by = "line 1 says";
    /* A row has at least a letter, " 0" for each number, and the line's end. */
    s = vec_text_counts(r, rows, dim, dim <= VEC_DIM_MAX ? 2 * dim + 2 : 0);
    size_t line_max = VEC_WORD_MAX + VEC_NUMBER_MAX * (size_t)r->dim;
    if (line_max > r->text.line_max)
        r->text.line_max = line_max;
    return s;
}

/* Empty lines at the end do no harm. */
rh_status vec_text_end(struct vec_reader *r) {
    char *line;
    size_t len = 0;
    rh_status s;
    do
        s = vec_text_line(r, &line, &len);
    while (s == RH_OK && line != NULL && len == 0);
    if (s == RH_OK && line != NULL)
        s = err_set(RH_ECORRUPT, "%s line %" PRIu64 ": the file goes on after its %" PRIu64 " rows",
                    r->in.path, r->text.line, r->rows);
    return s;
}

/* ---- words and numbers ---- */

rh_status vec_text_word(const struct vec_reader *r, char *word, size_t len, const char *unit,
                        uint64_t number) {
    if (len == 0 || len >= VEC_WORD_MAX)
        return err_set(RH_ECORRUPT, "%s %s %" PRIu64 ": a word of %zu bytes; 1 to %d are read",
                       r->in.path, unit, number, len, VEC_WORD_MAX - 1);
    enum utf8 utf8 = utf8_check(word, len);
    const bool cut_by_word2vec = utf8 == UTF8_CUT && len >= VEC_WORD_CUT &&
                                 (r->ops->format == VEC_W2V || r->ops->format == VEC_W2V_BIN);
    if ((utf8 != UTF8_GOOD && !cut_by_word2vec) || memchr(word, 0, len) != NULL)
        return err_set(RH_ECORRUPT, "%s %s %" PRIu64 ": the word is no UTF-8 text", r->in.path,
                       unit, number);
    word[len] = '\0';
    return RH_OK;
}

static rh_status no_number(const struct vec_reader *r, uint32_t i) {
    if (memchr(r->numbers, 0, (size_t)(r->numbers_end - r->numbers)) != NULL)
        return err_set(RH_ECORRUPT, "%s line %" PRIu64 " holds a 0 byte, so it is no text",
                       r->in.path, r->text.line);
    return err_set(RH_ECORRUPT, "%s line %" PRIu64 ": number %" PRIu32 " is no number", r->in.path,
                   r->text.line, i + 1);
}

rh_status vec_text_row(struct vec_reader *r, float *row) {
    const char *p = r->numbers, *end = r->numbers_end;
    for (uint32_t i = 0; i < r->dim; i++) {
        p = skip_spaces(p, end);
        if (p == end)
            return err_set(RH_ECORRUPT, "%s line %" PRIu64 " has %" PRIu32 " numbers; %s %" PRIu32,
                           r->in.path, r->text.line, i, r->text.dim_by, r->dim);
        p = floattext_read(p, end, &row[i]);
        if (p == NULL || (p < end && *p != ' '))
            return no_number(r, i);
        if (!isfinite(row[i]))
            return err_set(RH_ECORRUPT, "%s line %" PRIu64 ": number %" PRIu32 " is %s", r->in.path,
                           r->text.line, i + 1,
                           isnan(row[i]) ? "NaN" : "infinite, or too large for a float32");
    }
    if (skip_spaces(p, end) != end)
        return err_set(RH_ECORRUPT,
                       "%s line %" PRIu64 " has more numbers than %" PRIu32 ", which %s",
                       r->in.path, r->text.line, r->dim, r->text.dim_by);
    return RH_OK;
}

/* ---- writing ---- */

rh_status vec_text_put_header(struct vec_writer *w) {
    char line[64];
    int len = snprintf(line, sizeof line, "%" PRIu64 " %" PRIu32 "\n", w->rows, w->dim);
    return outfile_write(&w->out, line, (size_t)len);
}

/* A word with spaces is told from its numbers by not being followed by one more. */
static bool ends_in_a_number(const char *word) {
    const char *last = strrchr(word, ' '), *end = word + strlen(word);
    float v;
    return last != NULL && floattext_read(last + 1, end, &v) == end;
}

rh_status vec_text_put_word(struct vec_writer *w, const char *word, bool spaces) {
    assert(word != NULL);
    size_t len = strlen(word);
    if (len == 0 || len >= VEC_WORD_MAX || strpbrk(word, spaces ? "\r\n" : " \r\n") != NULL ||
        ends_in_a_number(word))
        return err_set(RH_EINVAL,
                       "%s: row %" PRIu64 " cannot be written: a word has 1 to %d bytes, and "
                       "no %s",
                       w->out.path, w->done, VEC_WORD_MAX - 1,
                       spaces ? "line's end, nor a number at its own" : "space or line's end");
    enum utf8 utf8 = utf8_check(word, len);
    if (utf8 == UTF8_BAD || (utf8 == UTF8_CUT && len < VEC_WORD_CUT))
        return err_set(RH_EINVAL, "%s: row %" PRIu64 " cannot be written: its word is no UTF-8",
                       w->out.path, w->done);
    return outfile_write(&w->out, word, len);
}

rh_status vec_text_put_row(struct vec_writer *w, const float *row, const char *end) {
    rh_status s = RH_OK;
    locale_t callers = uselocale(w->c_locale);
    for (uint32_t i = 0; i < w->dim && s == RH_OK; i++) {
        char number[32];
        int n = snprintf(number, sizeof number, " %.9g", (double)row[i]);
        s = outfile_write(&w->out, number, (size_t)n);
    }
    uselocale(callers);
    return s == RH_OK ? outfile_write(&w->out, end, strlen(end)) : s;
}
