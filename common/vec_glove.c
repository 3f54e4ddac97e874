/* vec_glove.c - GloVe's text: a line for each row, the word, dim numbers between spaces, and no first
 * line that says how many. The dim is what most of the first lines have; a line is split from the
 * right, as words of the large files have spaces in them (". . ."). */
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "common/err.h"
#include "common/floattext.h"
#include "common/vec_inner.h"

enum { SAMPLE_LINES = 1000 };

struct vec_counts {
    uint32_t n, spaces[SAMPLE_LINES]; /* of the first n lines that are not empty */
};

static size_t without_spaces_behind(const char *line, size_t len) {
    while (len > 0 && line[len - 1] == ' ')
        len--;
    return len;
}

static uint32_t count_spaces(const char *p, size_t len) {
    uint32_t n = 0;
    for (const char *end = p + len; (p = memchr(p, ' ', (size_t)(end - p))) != NULL; p++)
        n++;
    return n;
}

/* The most common of the n counts; of equally common ones the smallest: words with spaces in them are
 * few, and have more. */
static uint32_t most_common(const uint32_t *counts, uint32_t n) {
    uint32_t best = 0, best_times = 0;
    for (uint32_t i = 0; i < n; i++) {
        uint32_t times = 0;
        for (uint32_t k = 0; k < n; k++)
            times += counts[k] == counts[i];
        if (times > best_times || (times == best_times && counts[i] < best)) {
            best = counts[i];
            best_times = times;
        }
    }
    return best;
}

static rh_status glove_begin(struct vec_reader *r, const struct vec_options *o) {
    (void)o;
    r->text.line_max = VEC_WORD_MAX + VEC_NUMBER_MAX * (size_t)VEC_DIM_MAX;
    r->counts = calloc(1, sizeof *r->counts);
    return r->counts != NULL ? RH_OK : err_set(RH_ENOMEM, "no memory to read %s", r->in.path);
}

/* Behind the last line: what the lines have said. */
static rh_status conclude(struct vec_reader *r) {
    if (r->rows == 0)
        return err_set(RH_ECORRUPT, "%s has no rows", r->in.path);
    r->text.dim_by = r->dim_asked != 0 ? "asked for are" : "most of the first lines have";
    r->dim = r->dim_asked != 0 ? r->dim_asked : most_common(r->counts->spaces, r->counts->n);
    if (r->dim == 0 || r->dim > VEC_DIM_MAX)
        return err_set(RH_EINVAL, "%s: rows of %" PRIu32 " numbers; 1 to %d are read", r->in.path,
                       r->dim, VEC_DIM_MAX);
    /* A row has at least a letter, " 0" for each number, and the line's end. Lines may be shorter;
     * but nobody is to ask for memory for what is not there. */
    if (r->rows > (r->in.size_bytes + 1) / (2 * (uint64_t)r->dim + 2))
        return err_set(RH_ECORRUPT,
                       "%s has %" PRIu64 " lines, which cannot all hold %" PRIu32
                       " numbers in a file of %" PRIu64 " bytes",
                       r->in.path, r->rows, r->dim, r->in.size_bytes);
    memcpy(r->note, ", no header", sizeof ", no header");
    vec_rewind(r);
    return RH_OK;
}

/* Goes through the whole file: rows is the number of the last line that is not empty. A plain read
 * of it, to find where lines end, is a small part of the time that its numbers take later. */
static rh_status glove_count(struct vec_reader *r, uint64_t bytes_max, bool *counted) {
    const uint64_t from = infile_offset(&r->in);
    *counted = false;
    while (infile_offset(&r->in) - from < bytes_max) {
        char *line = NULL;
        size_t len = 0;
        rh_status s = vec_text_line(r, &line, &len);
        if (s != RH_OK)
            return s;
        if (line == NULL) {
            *counted = true;
            return conclude(r);
        }
        len = without_spaces_behind(line, len);
        if (len == 0)
            continue;
        r->rows = r->text.line;
        if (r->counts->n < SAMPLE_LINES)
            r->counts->spaces[r->counts->n++] = count_spaces(line, len);
    }
    return RH_OK;
}

/* Where the last dim numbers begin, with the space before them; NULL if there are fewer. */
static char *split_from_the_right(char *line, size_t len, uint32_t dim) {
    char *p = line + len;
    for (uint32_t i = 0; i < dim && p != NULL; i++)
        p = memrchr(line, ' ', (size_t)(p - line));
    return p;
}

static rh_status glove_next(struct vec_reader *r, const char **word) {
    char *line = NULL;
    size_t len = 0;
    rh_status s = vec_text_line(r, &line, &len);
    if (s != RH_OK)
        return s;
    if (line == NULL)
        return err_set(RH_ECORRUPT, "%s has shrunk to %" PRIu64 " lines while it was read",
                       r->in.path, r->text.line);
    len = without_spaces_behind(line, len);
    char *split = split_from_the_right(line, len, r->dim);
    if (split == NULL)
        return err_set(RH_ECORRUPT, "%s line %" PRIu64 " has %" PRIu32 " numbers; %s %" PRIu32,
                       r->in.path, r->text.line, count_spaces(line, len), r->text.dim_by, r->dim);
    r->numbers = split + 1;
    r->numbers_end = line + len;
    /* A wider row than the others would else pass for a word with a space in it. */
    const char *space = memrchr(line, ' ', (size_t)(split - line));
    float v;
    if (space != NULL && floattext_read(space + 1, split, &v) == split)
        return err_set(RH_ECORRUPT,
                       "%s line %" PRIu64 " has more than %" PRIu32 " numbers, and %s %" PRIu32,
                       r->in.path, r->text.line, r->dim, r->text.dim_by, r->dim);
    *word = line;
    return vec_text_word(r, line, (size_t)(split - line), "line", r->text.line);
}

static rh_status glove_put_header(struct vec_writer *w) {
    (void)w;
    return RH_OK;
}

static rh_status glove_put(struct vec_writer *w, const char *word, const float *row) {
    rh_status s = vec_text_put_word(w, word, true);
    return s == RH_OK ? vec_text_put_row(w, row, "\n") : s;
}

const struct vec_ops vec_glove = {
    .format = VEC_GLOVE,
    .name = "GloVe text",
    .has_words = true,
    .begin = glove_begin,
    .count = glove_count,
    .next = glove_next,
    .row = vec_text_row,
    .end = vec_text_end,
    .put_header = glove_put_header,
    .put = glove_put,
};
