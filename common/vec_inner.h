/* vec_inner.h - one table per format, and the structs that it works on. vecfile.c opens and closes,
 * vec_sniff.c tells formats apart; a format reads and writes what is its own, with the lines of
 * vec_text.c or the arrays of vec_array.c. */
#ifndef COMMON_VEC_INNER_H
#define COMMON_VEC_INNER_H

#include <locale.h>

#include "common/infile.h"
#include "common/numtype.h"
#include "common/outfile.h"
#include "common/vecfile.h"

struct vec_reader {
    const struct vec_ops *ops;
    struct infile in;
    uint64_t rows, done; /* done: rows passed over */
    uint32_t dim;
    uint64_t data;      /* offset of the first row */
    char note[160];     /* what the line about the file ends with, or "" */
    char *about;        /* NULL: it is not open yet */
    uint32_t dim_asked; /* 0: any */
    struct vec_counts *counts;

    /* The numbers of the row last passed over, until the next infile_want. */
    const char *numbers, *numbers_end;

    struct {                       /* of text only */
        uint64_t line, first_line; /* lines used; those before the first row */
        size_t line_max;           /* bytes; a longer line is refused */
        const char *dim_by;        /* who says how many numbers a row has: "line 1 says" */
    } text;

    struct { /* of arrays only */
        enum numtype type;
        bool big, fortran;
        float *block; /* Fortran order: rows block_first .. + block_rows, turned around */
        float *tile;
        uint8_t *raw;
        uint64_t block_first, block_rows, block_max;
    } array;
};

struct vec_writer {
    const struct vec_ops *ops;
    struct outfile out;
    uint64_t rows, done;
    uint32_t dim;
    const char *tensor; /* while put_header is called */
    locale_t c_locale;  /* a point is a point, even where the application's locale writes a comma */
};

/* Statuses are as vecfile.h has them; errors name in.path. */
struct vec_ops {
    enum vec_format format;
    const char *name;   /* "word2vec text" */
    const char *ending; /* a new file with this ending is of this format; NULL: none is */
    bool has_words;
    /* Reads the header, which need not be one of this format: sets rows, dim, data and the format's
     * own, checked against the file's size and VEC_DIM_MAX. */
    rh_status (*begin)(struct vec_reader *r, const struct vec_options *o);
    /* Where only the whole file says how many rows there are: looks at some bytes_max more of it.
     * When *counted is true, what begin sets is set. NULL: begin has set it. */
    rh_status (*count)(struct vec_reader *r, uint64_t bytes_max, bool *counted);
    /* Called while done < rows. Sets numbers and numbers_end; *word is never NULL on RH_OK. */
    rh_status (*next)(struct vec_reader *r, const char **word);
    /* The numbers of the row before done. */
    rh_status (*row)(struct vec_reader *r, float *row);
    /* The next n rows, which are there by rows, or fewer, but at least one. NULL: row by row. */
    rh_status (*next_rows)(struct vec_reader *r, uint64_t n_max, float *rows, uint64_t *n);
    /* Called after the last row: RH_OK if the file ends here. */
    rh_status (*end)(struct vec_reader *r);
    rh_status (*put_header)(struct vec_writer *w);
    rh_status (*put)(struct vec_writer *w, const char *word, const float *row);
};

extern const struct vec_ops vec_npy, vec_safetensors, vec_w2v, vec_w2v_bin, vec_glove, vec_fasttext;

/* ---- vec_sniff.c ---- */

/* Looks at the file's beginning; in is as before afterwards. RH_EINVAL with a hint for a kind of
 * file that is known and not read, whatever format was asked for; RH_ECORRUPT for what is none. */
rh_status vec_sniff(struct infile *in, enum vec_format asked, enum vec_format *out) MUST_CHECK;

/* ---- vec_text.c: lines, words, numbers ---- */

enum { VEC_HEADER_LINE_MAX = 1 << 16, VEC_NUMBER_MAX = 64 }; /* "%f" of FLT_MAX has 46 bytes */

/* Reads "rows dim", or false. */
bool vec_text_header(const char *line, size_t len, uint64_t *rows, uint64_t *dim);
/* The next line without its end; NULL behind the last. It may be written to. */
rh_status vec_text_line(struct vec_reader *r, char **line, size_t *len) MUST_CHECK;
/* The word that is to end here, terminated in place. unit: "line" or "byte", and its number. */
rh_status vec_text_word(const struct vec_reader *r, char *word, size_t len, const char *unit,
                        uint64_t number) MUST_CHECK;
rh_status vec_text_row(struct vec_reader *r, float *row) MUST_CHECK; /* the op */
rh_status vec_text_end(struct vec_reader *r) MUST_CHECK;             /* the op */
/* rows and dim, as the first line has them, against what can be in the file. least: bytes of the
 * shortest row. */
rh_status vec_text_counts(struct vec_reader *r, uint64_t rows, uint64_t dim,
                          uint64_t least) MUST_CHECK;
/* After the header's line: what all formats with one set. */
rh_status vec_text_begin(struct vec_reader *r) MUST_CHECK;

rh_status vec_text_put_header(struct vec_writer *w) MUST_CHECK;
rh_status vec_text_put_word(struct vec_writer *w, const char *word, bool spaces) MUST_CHECK;
rh_status vec_text_put_row(struct vec_writer *w, const float *row, const char *end) MUST_CHECK;

/* ---- vec_array.c: arrays in either order ---- */

/* rows, dim, data and array.{type, big, fortran} are set and checked. */
rh_status vec_array_begin(struct vec_reader *r) MUST_CHECK;
rh_status vec_array_next(struct vec_reader *r, const char **word) MUST_CHECK;
rh_status vec_array_row(struct vec_reader *r, float *row) MUST_CHECK;
rh_status vec_array_next_rows(struct vec_reader *r, uint64_t n_max, float *rows,
                              uint64_t *n) MUST_CHECK;
rh_status vec_array_end(struct vec_reader *r) MUST_CHECK;
rh_status vec_array_put(struct vec_writer *w, const char *word, const float *row) MUST_CHECK;

#endif
