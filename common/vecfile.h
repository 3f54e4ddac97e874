/* vecfile.h - files of vectors, read and written row by row: numpy's .npy, safetensors, word2vec
 * text and binary, GloVe text, fastText .vec. Files are hostile: every count is checked against what
 * is there, and a refusal names the line or the byte. Memory is bounded whatever the file's size. A
 * written file appears whole or not at all (common/outfile.h).
 *
 * Numbers are finite float32: a reader refuses NaN, infinity, and what is too large for a float; a
 * writer writes what it is given. Text has nine significant digits, so that a float comes back with
 * its bits, and a point whatever the locale. Words are UTF-8 without a space (GloVe's may have one);
 * word2vec's may break off inside their last character at the length where word2vec cuts them. One
 * thread at a time per reader or writer. */
#ifndef COMMON_VECFILE_H
#define COMMON_VECFILE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/status.h"

enum vec_format { /* numbers as rh_format */
                  VEC_AUTO = 0,
                  VEC_NPY = 1,
                  VEC_W2V = 2, /* word2vec text */
                  VEC_SAFETENSORS = 3,
                  VEC_W2V_BIN = 4,
                  VEC_GLOVE = 5,
                  VEC_FASTTEXT = 6 /* .vec */
};
enum {
    VEC_WORD_MAX = 1024, /* a word's bytes, with its 0 */
    VEC_WORD_CUT = 98,   /* bytes of a word that word2vec keeps, wherever that falls */
    VEC_DIM_MAX = 65536
};

struct vec_reader;
struct vec_writer;

/* All zeros is what most callers want. */
struct vec_options {
    enum vec_format format; /* AUTO: reading, by content; writing, by the path's ending: .npy,
                               .safetensors, .bin (word2vec binary), else word2vec text */
    const char *tensor;     /* safetensors: which. NULL: the only one of floats with two dimensions;
                               writing, "weight" */
    uint32_t dim;           /* reading: numbers in a row, if not 0. GloVe's files do not say */
};

/* Opens, sniffs by content and reads the header. By then rows * dim numbers are known to fit into
 * what the file holds, so that memory may be asked for. GloVe's lines are counted. RH_ENOTFOUND,
 * RH_EIO, RH_ENOMEM; RH_EINVAL: no file, or one of a kind that is not read, and what to do about it;
 * RH_EMISMATCH: it has another dim; RH_ECORRUPT; RH_ELIMIT. */
rh_status vec_open_with(const char *path, const struct vec_options *o,
                        struct vec_reader **out) MUST_CHECK;
rh_status vec_open(const char *path, enum vec_format format, struct vec_reader **out) MUST_CHECK;

/* Opens in steps, for those who have other things to do meanwhile: a file that is open for reading
 * already, whose name is for texts. Takes fd in any case. The reader is good for vec_open_more,
 * vec_progress and vec_close, until *open is true; only then has all been checked that vec_open
 * checks. A step looks at some bytes_max of the file. */
rh_status vec_adopt(int fd, const char *name, const struct vec_options *o,
                    struct vec_reader **out) MUST_CHECK;
rh_status vec_open_more(struct vec_reader *r, uint64_t bytes_max, bool *open) MUST_CHECK;

enum vec_format vec_format_of(const struct vec_reader *r);
enum vec_format vec_format_for(const char *path); /* by its ending, as AUTO has it for a new file */
const char *vec_format_name(enum vec_format format); /* "word2vec text" */
uint64_t vec_rows(const struct vec_reader *r);
uint32_t vec_dim(const struct vec_reader *r);
bool vec_has_words(const struct vec_reader *r); /* false: npy and safetensors */

const char *vec_name(const struct vec_reader *r); /* the path that it was opened by. As long as r */

/* What the file is: "x.txt: GloVe text, 400000 x 300, no header". As long as r. */
const char *vec_about(const struct vec_reader *r);

/* The next row into row (dim). *word (may be NULL) points to the row's word until the next call; ""
 * where there are no words. row NULL: passes over the row, whose numbers are not looked at (vec_row
 * may still have them). After the last row RH_ENOTFOUND; by then the file has been checked to end
 * there. On RH_ECORRUPT and RH_EIO row holds anything, and the reader is good for vec_rewind and
 * vec_close only. */
rh_status vec_next(struct vec_reader *r, const char **word, float *row) MUST_CHECK;

/* The numbers of the row that vec_next has just passed over. */
rh_status vec_row(struct vec_reader *r, float *row) MUST_CHECK;

/* The next rows without their words, up to n_max, as vec_next has them: *n of them, 0 after the
 * last. For arrays much faster than row by row. */
rh_status vec_next_rows(struct vec_reader *r, uint64_t n_max, float *rows, uint64_t *n) MUST_CHECK;

/* How far the reader is: bytes done of those that there are to read, the opening included. */
void vec_progress(const struct vec_reader *r, uint64_t *done_bytes, uint64_t *total_bytes);

/* RH_ECORRUPT if the file was written to since it was opened; RH_EIO. */
rh_status vec_unchanged(const struct vec_reader *r) MUST_CHECK;

void vec_rewind(struct vec_reader *r); /* back to the first row of the same open file */
void vec_close(struct vec_reader **r); /* sets *r to NULL; NULL is fine */

/* Starts path.PID.tmp. Arrays are float32, in C order, little-endian. RH_EINVAL: a dim that is 0 or
 * above VEC_DIM_MAX, or path is no file; RH_EIO. */
rh_status vec_create_with(const char *path, const struct vec_options *o, uint64_t rows,
                          uint32_t dim, struct vec_writer **out) MUST_CHECK;
rh_status vec_create(const char *path, enum vec_format format, uint64_t rows, uint32_t dim,
                     struct vec_writer **out) MUST_CHECK;

/* At most rows times (asserted). word: NULL is fine where there are no words; RH_EINVAL if it could
 * not be read back: empty, too long, no UTF-8, or with a space or a line's end in it. RH_EIO. */
rh_status vec_put(struct vec_writer *w, const char *word, const float *row) MUST_CHECK;

/* All rows were put: makes the file appear. Otherwise (RH_EINVAL), or on failure (RH_EIO names the
 * step), removes the tmp. Frees and sets *w to NULL either way. */
rh_status vec_commit(struct vec_writer **w) MUST_CHECK;
void vec_abandon(struct vec_writer **w); /* removes the tmp; NULL is fine */

#endif
