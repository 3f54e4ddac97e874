/* vec_inner.h - one table per format, and the structs that it works on. vecfile.c opens, sniffs and
 * closes; a format reads and writes what is its own. */
#ifndef COMMON_VEC_INNER_H
#define COMMON_VEC_INNER_H

#include <locale.h>
#include <stdbool.h>
#include <stdio.h>

#include "common/outfile.h"
#include "common/vecfile.h"

struct vec_reader {
    const struct vec_ops *ops;
    FILE *f; /* at byte 0 when ops->begin is called */
    char *path;
    uint64_t size_bytes; /* of the file, when it was opened */
    uint64_t rows, done; /* done: rows given out */
    uint32_t dim;
    locale_t c_locale; /* a point is a point, even where the application's locale writes a comma */
    /* of text only: the file's bytes from .. to are in text and not yet used */
    char *text;
    size_t text_cap, from, to;
    uint64_t line;
};

struct vec_writer {
    const struct vec_ops *ops;
    struct outfile out;
    uint64_t rows, done;
    uint32_t dim;
    locale_t c_locale;
};

/* Statuses are as vecfile.h has them; errors name r->path. */
struct vec_ops {
    enum vec_format format;
    /* Whether a file that begins with these n (up to 8) bytes may be of this format. */
    bool (*sniff)(const uint8_t *head, size_t n);
    /* Reads the header, which need not be one of this format: sets rows and dim, checked against
     * size_bytes and VEC_DIM_MAX. */
    rh_status (*begin)(struct vec_reader *r);
    /* Called while done < rows. *word is never NULL on RH_OK. */
    rh_status (*next)(struct vec_reader *r, const char **word, float *row);
    /* Called after the last row: RH_OK if the file ends here. */
    rh_status (*end)(struct vec_reader *r);
    rh_status (*put_header)(struct vec_writer *w);
    rh_status (*put)(struct vec_writer *w, const char *word, const float *row);
};

extern const struct vec_ops vec_npy, vec_w2v;

#endif
