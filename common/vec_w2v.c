/* vec_w2v.c - word2vec's text: "rows dim", then a line for each row: the word, a space, dim numbers
 * between spaces. Writers differ, so a space before the line's end is as good as none, CRLF as good
 * as LF, and the last line may lack its end. Words are bytes without a space; nothing is
 * trimmed. */
#include <assert.h>
#include <inttypes.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "common/err.h"
#include "common/size.h"
#include "common/vec_inner.h"

enum { HEADER_LINE_MAX = 1 << 16, NUMBER_MAX = 64 }; /* "%f" of the largest float has 46 bytes */

/* ---- lines ---- */

/* Memory for lines of at most cap bytes, and the 0 behind them. */
static rh_status reserve(struct vec_reader *r, size_t cap) {
    if (cap <= r->text_cap)
        return RH_OK;
    char *text = realloc(r->text, cap + 1);
    if (text == NULL)
        return err_set(RH_ENOMEM, "no memory for a line of %s", r->path);
    r->text = text;
    r->text_cap = cap;
    return RH_OK;
}

/* Moves what is left of the text to the front and reads on behind it. *more: something came. */
static rh_status refill(struct vec_reader *r, bool *more) {
    memmove(r->text, r->text + r->from, r->to - r->from);
    r->to -= r->from;
    r->from = 0;
    if (r->to == r->text_cap)
        return err_set(RH_ECORRUPT, "%s line %" PRIu64 " is longer than any row can be, %zu bytes",
                       r->path, r->line + 1, r->text_cap);
    size_t got = fread(r->text + r->to, 1, r->text_cap - r->to, r->f);
    if (got == 0 && ferror(r->f))
        return err_sys(RH_EIO, "cannot read %s", r->path);
    r->to += got;
    *more = got > 0;
    return RH_OK;
}

/* The next line, 0-terminated and without its end, until the next call; NULL behind the last. */
static rh_status next_line(struct vec_reader *r, char **line) {
    bool more = true;
    char *end;
    while ((end = memchr(r->text + r->from, '\n', r->to - r->from)) == NULL && more) {
        rh_status st = refill(r, &more);
        if (st != RH_OK)
            return st;
    }
    *line = NULL;
    if (end == NULL && r->from == r->to)
        return RH_OK;
    char *start = r->text + r->from;
    if (end == NULL)
        end = r->text + r->to;
    r->from = end < r->text + r->to ? (size_t)(end - r->text) + 1 : r->to;
    r->line++;
    if (end > start && end[-1] == '\r')
        end--;
    *end = '\0';
    if (strlen(start) != (size_t)(end - start))
        return err_set(RH_ECORRUPT,
                       "%s line %" PRIu64 " holds a 0 byte, so it is no text; word2vec's "
                       "binary form is not read",
                       r->path, r->line);
    *line = start;
    return RH_OK;
}

/* ---- reading ---- */

static bool w2v_sniff(const uint8_t *head, size_t n) {
    return n > 0 && head[0] >= '0' && head[0] <= '9';
}

static bool take_count(const char **p, uint64_t *out) {
    uint64_t v = 0;
    const char *start = *p;
    for (; **p >= '0' && **p <= '9'; (*p)++)
        if (__builtin_mul_overflow(v, 10, &v) || __builtin_add_overflow(v, **p - '0', &v))
            return false;
    *out = v;
    return *p > start;
}

static bool take_header(const char *p, uint64_t *rows, uint64_t *dim) {
    if (!take_count(&p, rows) || *p != ' ')
        return false;
    p += strspn(p, " ");
    if (!take_count(&p, dim))
        return false;
    p += strspn(p, " ");
    return *p == '\0';
}

static rh_status w2v_begin(struct vec_reader *r) {
    char *line;
    rh_status st = reserve(r, HEADER_LINE_MAX);
    if (st == RH_OK)
        st = next_line(r, &line);
    if (st != RH_OK)
        return st;
    uint64_t dim;
    if (line == NULL || !take_header(line, &r->rows, &dim))
        return err_set(RH_ECORRUPT,
                       "%s line 1 is not two numbers, how many rows there are and how "
                       "many numbers a row has; files without such a line (GloVe) are "
                       "not read",
                       r->path);
    if (dim == 0 || dim > VEC_DIM_MAX)
        return err_set(RH_EINVAL, "%s line 1: rows of %" PRIu64 " numbers; 1 to %d are read",
                       r->path, dim, VEC_DIM_MAX);
    /* A row has at least a letter, " 0" for each number, and the line's end, which the last may
     * lack. */
    size_t least;
    if (!size_mul(r->rows, 2 * dim + 2, &least) || least > r->size_bytes - r->from + 1)
        return err_set(RH_ECORRUPT,
                       "%s line 1 promises %" PRIu64 " rows of %" PRIu64 " numbers; they "
                       "cannot be in a file of %" PRIu64 " bytes",
                       r->path, r->rows, dim, r->size_bytes);
    r->dim = (uint32_t)dim;
    return reserve(r, VEC_WORD_MAX + NUMBER_MAX * dim);
}

/* The i-th number of the line, from *p on, which is moved behind it. */
static rh_status take_number(const struct vec_reader *r, uint32_t i, const char **p, float *out) {
    const char *start = *p + strspn(*p, " ");
    if (*start == '\0')
        return err_set(RH_ECORRUPT,
                       "%s line %" PRIu64 " has %" PRIu32 " numbers; line 1 says %" PRIu32, r->path,
                       r->line, i, r->dim);
    char *end;
    float v = strtof_l(start, &end, r->c_locale);
    /* strtof skips tabs and the like, which are not to stand between numbers. */
    if ((unsigned char)*start <= ' ' || end == start || (*end != ' ' && *end != '\0'))
        return err_set(RH_ECORRUPT, "%s line %" PRIu64 ": number %" PRIu32 " is no number", r->path,
                       r->line, i + 1);
    if (!isfinite(v))
        return err_set(RH_ECORRUPT, "%s line %" PRIu64 ": number %" PRIu32 " is %s", r->path,
                       r->line, i + 1, isnan(v) ? "NaN" : "infinite, or too large for a float32");
    *out = v;
    *p = end;
    return RH_OK;
}

static rh_status w2v_next(struct vec_reader *r, const char **word, float *row) {
    char *line;
    rh_status st = next_line(r, &line);
    if (st != RH_OK)
        return st;
    if (line == NULL)
        return err_set(RH_ECORRUPT, "%s ends after %" PRIu64 " of the %" PRIu64 " rows of line 1",
                       r->path, r->done, r->rows);
    size_t word_len = strcspn(line, " ");
    if (word_len == 0 || word_len >= VEC_WORD_MAX)
        return err_set(RH_ECORRUPT, "%s line %" PRIu64 ": a word of %zu bytes; 1 to %d are read",
                       r->path, r->line, word_len, VEC_WORD_MAX - 1);
    const char *p = line + word_len;
    for (uint32_t i = 0; i < r->dim; i++) {
        st = take_number(r, i, &p, &row[i]);
        if (st != RH_OK)
            return st;
    }
    if (p[strspn(p, " ")] != '\0')
        return err_set(RH_ECORRUPT,
                       "%s line %" PRIu64 " has more than the %" PRIu32 " numbers of line 1",
                       r->path, r->line, r->dim);
    line[word_len] = '\0';
    *word = line;
    return RH_OK;
}

/* Empty lines at the end do no harm. */
static rh_status w2v_end(struct vec_reader *r) {
    char *line;
    rh_status st;
    do
        st = next_line(r, &line);
    while (st == RH_OK && line != NULL && *line == '\0');
    if (st == RH_OK && line != NULL)
        st = err_set(RH_ECORRUPT,
                     "%s line %" PRIu64 ": the file goes on after the %" PRIu64 " rows of line 1",
                     r->path, r->line, r->rows);
    return st;
}

/* ---- writing ---- */

static rh_status w2v_put_header(struct vec_writer *w) {
    char line[64];
    int len = snprintf(line, sizeof line, "%" PRIu64 " %" PRIu32 "\n", w->rows, w->dim);
    return outfile_write(&w->out, line, (size_t)len);
}

static rh_status w2v_put(struct vec_writer *w, const char *word, const float *row) {
    assert(word != NULL);
    size_t len = strlen(word);
    if (len == 0 || len >= VEC_WORD_MAX || strpbrk(word, " \r\n") != NULL)
        return err_set(RH_EINVAL,
                       "%s: row %" PRIu64 " cannot be written: a word has 1 to %d bytes, and "
                       "no space or line's end",
                       w->out.path, w->done, VEC_WORD_MAX - 1);
    rh_status st = outfile_write(&w->out, word, len);
    locale_t callers = uselocale(w->c_locale);
    for (uint32_t i = 0; i < w->dim && st == RH_OK; i++) {
        char number[32];
        int n = snprintf(number, sizeof number, " %.9g", (double)row[i]);
        st = outfile_write(&w->out, number, (size_t)n);
    }
    uselocale(callers);
    return st == RH_OK ? outfile_write(&w->out, "\n", 1) : st;
}

const struct vec_ops vec_w2v = {
    .format = VEC_W2V,
    .sniff = w2v_sniff,
    .begin = w2v_begin,
    .next = w2v_next,
    .end = w2v_end,
    .put_header = w2v_put_header,
    .put = w2v_put,
};
