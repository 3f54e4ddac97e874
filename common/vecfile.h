/* vecfile.h - files of vectors, read and written row by row: word2vec text and numpy's .npy. Files
 * are hostile: every count is checked against what is there, and a refusal names the line or the
 * byte. A written file appears whole or not at all (common/outfile.h).
 *
 * Numbers are finite float32: a reader refuses NaN, infinity, and what is too large for a float; a
 * writer writes what it is given. Text has nine significant digits, so that a float comes back with
 * its bits, and a point whatever the locale. One thread at a time per reader or writer. */
#ifndef COMMON_VECFILE_H
#define COMMON_VECFILE_H

#include <stddef.h>
#include <stdint.h>

#include "common/status.h"

enum vec_format { VEC_AUTO = 0, VEC_NPY = 1, VEC_W2V = 2 }; /* numbers as rh_format */
enum { VEC_WORD_MAX = 1024, VEC_DIM_MAX = 65536 };          /* a word's bytes, with its 0 */

struct vec_reader;
struct vec_writer;

/* Opens and sniffs by content; reads the header. By then rows * dim numbers are known to fit into
 * what the file holds, so that memory may be asked for. RH_ENOTFOUND, RH_EIO; RH_EINVAL: no file,
 * or one of a kind that is not read (another type of numbers, Fortran order, ...); RH_ECORRUPT. */
rh_status vec_open(const char *path, enum vec_format format, struct vec_reader **out) MUST_CHECK;
enum vec_format vec_format_of(const struct vec_reader *r);
uint64_t vec_rows(const struct vec_reader *r);
uint32_t vec_dim(const struct vec_reader *r);

/* The next row into row (dim). *word (may be NULL) points to the row's word until the next call; ""
 * for npy. After the last row RH_ENOTFOUND; by then the file has been checked to end there. On
 * RH_ECORRUPT and RH_EIO row holds anything, and the reader is good for vec_close only. */
rh_status vec_next(struct vec_reader *r, const char **word, float *row) MUST_CHECK;
void vec_close(struct vec_reader **r); /* sets *r to NULL; NULL is fine */

/* Starts path.PID.tmp. npy: float32, C order, little-endian. format AUTO: by path's ending, .npy,
 * else word2vec text. RH_EINVAL: a dim that is 0 or above VEC_DIM_MAX, or path is no file;
 * RH_EIO. */
rh_status vec_create(const char *path, enum vec_format format, uint64_t rows, uint32_t dim,
                     struct vec_writer **out) MUST_CHECK;

/* At most rows times (asserted). word: read for word2vec text alone; RH_EINVAL if it is empty, too
 * long, or holds a space or a line's end. RH_EIO. */
rh_status vec_put(struct vec_writer *w, const char *word, const float *row) MUST_CHECK;

/* All rows were put: makes the file appear. Otherwise (RH_EINVAL), or on failure (RH_EIO names the
 * step), removes the tmp. Frees and sets *w to NULL either way. */
rh_status vec_commit(struct vec_writer **w) MUST_CHECK;
void vec_abandon(struct vec_writer **w); /* removes the tmp; NULL is fine */

#endif
