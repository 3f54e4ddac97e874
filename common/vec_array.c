/* vec_array.c - the rows of an array of numbers: in C order they follow one another; in Fortran
 * order each column does, and a block of rows is gathered from all columns by pread. Not by mmap:
 * a file that is cut while it is mapped kills its reader. */
#include <inttypes.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "common/err.h"
#include "common/kern.h"
#include "common/vec_inner.h"

/* BLOCK_ROWS numbers of TILE columns are in the cache while they are turned around; one read gets
 * BLOCK_ROWS of a column. */
enum { BLOCK_BYTES = 16 << 20, BLOCK_ROWS = 16384, TILE = 16 };

static rh_status too_short(const struct vec_reader *r) {
    return err_set(RH_ECORRUPT, "%s ends too early, after %" PRIu64 " of its rows", r->in.path,
                   r->done);
}

/* Which of the n rows from first on has a number that is none, and where it lies. */
static rh_status not_finite(const struct vec_reader *r, uint64_t first, uint64_t n,
                            const float *rows) {
    uint64_t i = 0;
    while (i + 1 < n * r->dim && isfinite(rows[i]))
        i++;
    uint64_t row = first + i / r->dim, k = i % r->dim;
    uint64_t place = r->array.fortran ? k * r->rows + row : row * r->dim + k;
    const char *what = isnan(rows[i]) ? "NaN" : "infinite";
    if (r->array.type == NUMTYPE_F64 && !isnan(rows[i]))
        what = "infinite, or too large for a float32";
    return err_set(RH_ECORRUPT, "%s byte %" PRIu64 ": number %" PRIu64 " of row %" PRIu64 " is %s",
                   r->in.path, r->data + place * numtype_bytes(r->array.type), k, row, what);
}

/* ---- Fortran order ---- */

/* Columns first .. first + n of the block's rows, into their places. */
static rh_status gather_tile(struct vec_reader *r, uint32_t first, uint32_t n) {
    size_t rows = (size_t)r->array.block_rows, width = numtype_bytes(r->array.type), got = 0;
    for (uint32_t k = 0; k < n; k++) {
        uint64_t at = ((uint64_t)(first + k) * r->rows + r->array.block_first) * width;
        rh_status s = infile_at(&r->in, r->data + at, r->array.raw, rows * width, &got);
        if (s != RH_OK)
            return s;
        if (got < rows * width)
            return too_short(r);
        /* Finite or not is asked by row, when somebody wants the row. */
        numtype_to_float(r->array.type, r->array.big, rows, r->array.raw, r->array.tile + k * rows);
    }
    for (size_t i = 0; i < rows; i++)
        for (uint32_t k = 0; k < n; k++)
            r->array.block[i * r->dim + first + k] = r->array.tile[k * rows + i];
    return RH_OK;
}

/* The block that begins at row done. */
static rh_status gather(struct vec_reader *r) {
    uint64_t left = r->rows - r->done;
    r->array.block_first = r->done;
    r->array.block_rows = left < r->array.block_max ? left : r->array.block_max;
    rh_status s = RH_OK;
    for (uint32_t k = 0; s == RH_OK && k < r->dim; k += TILE)
        s = gather_tile(r, k, r->dim - k < TILE ? r->dim - k : TILE);
    if (s != RH_OK)
        r->array.block_rows = 0;
    return s;
}

static bool in_block(const struct vec_reader *r, uint64_t row) {
    return row - r->array.block_first < r->array.block_rows;
}

static const float *block_row(const struct vec_reader *r, uint64_t row) {
    return r->array.block + (row - r->array.block_first) * r->dim;
}

static rh_status begin_fortran(struct vec_reader *r) {
    uint64_t max = BLOCK_BYTES / (r->dim * sizeof(float));
    max = max < BLOCK_ROWS ? max : BLOCK_ROWS;
    max = max < r->rows ? max : r->rows;
    r->array.block_max = max;
    r->array.block = malloc(max * r->dim * sizeof(float) + 1);
    r->array.tile = malloc(max * TILE * sizeof(float) + 1);
    r->array.raw = malloc(max * numtype_bytes(r->array.type) + 1);
    if (r->array.block == NULL || r->array.tile == NULL || r->array.raw == NULL)
        return err_set(RH_ENOMEM, "no memory for %" PRIu64 " rows of %s at a time", max,
                       r->in.path);
    return RH_OK;
}

/* ---- what the formats call ---- */

rh_status vec_array_begin(struct vec_reader *r) {
    infile_seek(&r->in, r->data);
    return r->array.fortran ? begin_fortran(r) : RH_OK;
}

/* At least one row in front of the reader, in C order. */
static rh_status want_row(struct vec_reader *r, size_t row_bytes) {
    rh_status s = infile_want(&r->in, row_bytes);
    if (s == RH_OK && infile_left(&r->in) < row_bytes)
        s = too_short(r);
    return s;
}

rh_status vec_array_next(struct vec_reader *r, const char **word) {
    *word = "";
    if (r->array.fortran)
        return in_block(r, r->done) ? RH_OK : gather(r);
    size_t row_bytes = r->dim * numtype_bytes(r->array.type);
    rh_status s = want_row(r, row_bytes);
    if (s != RH_OK)
        return s;
    r->numbers = infile_here(&r->in);
    r->numbers_end = r->numbers + row_bytes;
    r->in.from += row_bytes;
    return RH_OK;
}

rh_status vec_array_row(struct vec_reader *r, float *row) {
    if (r->array.fortran)
        memcpy(row, block_row(r, r->done - 1), r->dim * sizeof *row);
    else
        numtype_to_float(r->array.type, r->array.big, r->dim, r->numbers, row);
    return kern_all_finite(r->dim, row) ? RH_OK : not_finite(r, r->done - 1, 1, row);
}

/* Rows of floats as memory has them go where they are wanted at once: what the file's cache gives is
 * copied once, by the kernel, and looked through while it is near. */
static rh_status read_straight(struct vec_reader *r, uint64_t n_max, float *rows, uint64_t *n) {
    size_t row_bytes = r->dim * sizeof *rows, got = 0;
    uint64_t k = INFILE_BLOCK_BYTES / row_bytes + 1, at = infile_offset(&r->in);
    k = k < n_max ? k : n_max;
    rh_status s = infile_at(&r->in, at, rows, k * row_bytes, &got);
    if (s == RH_OK && got < k * row_bytes)
        s = too_short(r);
    infile_seek(&r->in, at + got);
    *n = k;
    return s;
}

static rh_status convert_rows(struct vec_reader *r, uint64_t n_max, float *rows, uint64_t *n) {
    size_t row_bytes = r->dim * numtype_bytes(r->array.type);
    rh_status s = want_row(r, row_bytes);
    if (s != RH_OK)
        return s;
    uint64_t ready = infile_left(&r->in) / row_bytes, k = n_max < ready ? n_max : ready;
    numtype_to_float(r->array.type, r->array.big, k * r->dim, infile_here(&r->in), rows);
    r->in.from += k * row_bytes;
    *n = k;
    return RH_OK;
}

static rh_status copy_block_rows(struct vec_reader *r, uint64_t n_max, float *rows, uint64_t *n) {
    rh_status s = in_block(r, r->done) ? RH_OK : gather(r);
    if (s != RH_OK)
        return s;
    uint64_t ready = r->array.block_first + r->array.block_rows - r->done;
    uint64_t k = n_max < ready ? n_max : ready;
    memcpy(rows, block_row(r, r->done), k * r->dim * sizeof *rows);
    *n = k;
    return RH_OK;
}

rh_status vec_array_next_rows(struct vec_reader *r, uint64_t n_max, float *rows, uint64_t *n) {
    uint64_t k = 0;
    bool as_they_are = r->array.type == NUMTYPE_F32 && !r->array.big;
    rh_status s = r->array.fortran ? copy_block_rows(r, n_max, rows, &k)
                  : as_they_are    ? read_straight(r, n_max, rows, &k)
                                   : convert_rows(r, n_max, rows, &k);
    if (s != RH_OK)
        return s;
    if (!kern_all_finite(k * r->dim, rows))
        return not_finite(r, r->done, k, rows);
    r->done += k;
    *n = k;
    return RH_OK;
}

rh_status vec_array_end(struct vec_reader *r) {
    uint8_t byte;
    size_t got;
    rh_status s = infile_at(&r->in, r->in.size_bytes, &byte, 1, &got);
    if (s == RH_OK && got > 0)
        s = err_set(RH_ECORRUPT, "%s has grown while it was read", r->in.path);
    return s;
}

rh_status vec_array_put(struct vec_writer *w, const char *word, const float *row) {
    (void)word;
    return outfile_write(&w->out, row, w->dim * sizeof *row);
}
