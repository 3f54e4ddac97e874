/* vecload.h - a file of vectors as rows of a table: which row of the table each row of the file is
 * for, by its place or by a vocabulary; and what there is to tell of it. The file is read in slices,
 * from its first byte to its last, and may be read again. It has no more rows than the table, unless
 * a vocabulary chooses among them, and its dim. One thread at a time. */
#ifndef COMMON_VECLOAD_H
#define COMMON_VECLOAD_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/vecfile.h"
#include "common/vocab.h"

enum { VECLOAD_SLICE_BYTES = 4 << 20, VECLOAD_ROWS_MAX = 65536, VECLOAD_LIST = 128 };

/* The table that the rows are for. */
struct vecload_table {
    const char *name; /* for texts; copied */
    uint64_t rows;
    uint32_t dim;
};

/* As rh_load_report has them. */
struct vecload_report {
    uint64_t matched, missed, duplicated, unused;
    enum vec_format format;
    char about[256];
    char first_matched[VECLOAD_LIST], first_missed[VECLOAD_LIST], first_duplicated[VECLOAD_LIST];
};

struct vecload_slice {
    bool end;            /* that was the last of the file, and it has been checked to end there */
    size_t n;            /* 0: none of these rows is for the table, or there were none yet */
    const uint64_t *ids; /* (n), each once in the whole file */
    const float *rows;   /* (n, dim). Both until the next call */
};

struct vecload;

/* A reader, open or not yet, and a vocabulary, or NULL: row i of the file is row i of the table.
 * Takes both, in any case. RH_ERANGE: the vocabulary has a row that the table has not. */
rh_status vecload_new(const struct vecload_table *t, struct vec_reader *r, struct vocab_file *v,
                      struct vecload **out) MUST_CHECK;
void vecload_free(struct vecload **l); /* sets *l to NULL; NULL is fine */

/* The next slice, some VECLOAD_SLICE_BYTES of numbers. Failures are those of the reader, and
 * RH_EMISMATCH and RH_EINVAL for a file that is not for this table; after one l is good for
 * vecload_free only. */
rh_status vecload_next(struct vecload *l, struct vecload_slice *out) MUST_CHECK;

/* After the end, back to the first row. Numbers of rows that are for nobody are not looked at this
 * time. */
void vecload_rewind(struct vecload *l);

/* After the end. */
void vecload_report(const struct vecload *l, struct vecload_report *out);

/* After the end of the first pass: of all words and numbers of the file, and of all of the vocabulary
 * (0: none). Whoever has read the same has the same. Only if vecload_sum was called at the start. */
void vecload_sum(struct vecload *l);
void vecload_digests(const struct vecload *l, uint64_t *file, uint64_t *vocab);

/* As vec_progress. */
void vecload_progress(const struct vecload *l, uint64_t *done_bytes, uint64_t *total_bytes);

#endif
