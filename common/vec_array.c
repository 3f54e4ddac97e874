/* vec_array.c - the rows of an array of numbers: in C order they follow one another; in Fortran
 * order each column does, and rows are gathered from all columns by pread. Not by mmap:
 * a file that is cut while it is mapped kills its reader. */
#include <inttypes.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "common/err.h"
#include "common/kern.h"
#include "common/vec_inner.h"

/* Of Fortran order, read in blocks of rows. What is turned around, and what comes of it, is to stay in
 * the cache (CACHED_BYTES each); but a read of a column is to be worth its call (ROWS_GOOD), unless
 * rows are so wide that memory would go beyond BLOCK_BYTES. */
enum {
    CACHED_BYTES = 512 << 10,
    BLOCK_BYTES = 16 << 20,
    ROWS_GOOD = 1024,
    ROWS_MAX = 8192,
    COLUMNS_MIN = 16,
    COLUMNS_MAX = 64,
    /* Of floats between columns: without it those of 2^k rows would all fall on one cache set. */
    PAD = 16
};

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

/* n numbers of a column from row first on, as floats. */
static rh_status read_column(struct vec_reader *r, uint32_t column, uint64_t first, size_t n,
                             float *out, bool *finite) {
    const bool as_they_are = r->array.type == NUMTYPE_F32 && !r->array.big;
    const size_t width = numtype_bytes(r->array.type);
    void *to = as_they_are ? (void *)out : (void *)r->array.raw;
    size_t got = 0;
    uint64_t at = r->data + ((uint64_t)column * r->rows + first) * width;
    rh_status s = infile_at(&r->in, at, to, n * width, &got);
    if (s == RH_OK && got < n * width)
        s = too_short(r);
    if (s != RH_OK)
        return s;
    *finite &= as_they_are ? kern_all_finite(n, out)
                           : numtype_to_float(r->array.type, r->array.big, n, to, out);
    return RH_OK;
}

static size_t min(size_t a, size_t b) {
    return a < b ? a : b;
}

static size_t max(size_t a, size_t b) {
    return a > b ? a : b;
}

/* Of a tile: some columns of a block, from its first row to its last. */
static size_t tile_stride(size_t rows) {
    return (rows + PAD - 1) / PAD * PAD + PAD;
}

static size_t tile_columns(size_t rows) {
    size_t cached = CACHED_BYTES / (tile_stride(rows) * sizeof(float));
    return min(COLUMNS_MAX, max(COLUMNS_MIN, cached / COLUMNS_MIN * COLUMNS_MIN));
}

/* Rows first .. first + n, n at most array.block_max, into out (n, dim). */
static rh_status gather(struct vec_reader *r, uint64_t first, size_t n, float *out, bool *finite) {
    const size_t stride = tile_stride(n), most = tile_columns(n);
    float *tile = r->array.tile;
    *finite = true;
    for (size_t k = 0; k < r->dim; k += most) {
        size_t columns = min(most, r->dim - k);
        for (size_t c = 0; c < columns; c++) {
            rh_status s = read_column(r, (uint32_t)(k + c), first, n, tile + c * stride, finite);
            if (s != RH_OK)
                return s;
        }
        kern_turn(n, columns, tile, stride, out + k, r->dim);
    }
    return RH_OK;
}

/* The block that begins at row done. Finite or not is asked by row, when somebody wants the row. */
static rh_status fill_block(struct vec_reader *r) {
    bool finite;
    r->array.block_first = r->done;
    r->array.block_rows = min(r->array.block_max, r->rows - r->done);
    rh_status s = gather(r, r->done, (size_t)r->array.block_rows, r->array.block, &finite);
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

/* Asking for memory costs nothing until it is used: a caller of many rows uses no block. */
static rh_status begin_fortran(struct vec_reader *r) {
    size_t row_bytes = r->dim * sizeof(float);
    size_t rows = max(CACHED_BYTES / row_bytes, min(ROWS_GOOD, BLOCK_BYTES / row_bytes));
    rows = min(rows, ROWS_MAX);
    if (r->rows < rows)
        rows = (size_t)r->rows;
    r->array.block_max = rows;
    r->array.block = malloc(rows * row_bytes + 1);
    /* For fewer rows it has more columns, and is no larger than for ROWS_MAX. */
    r->array.tile = malloc(tile_stride(ROWS_MAX) * COLUMNS_MIN * sizeof(float));
    r->array.raw = malloc(rows * numtype_bytes(r->array.type) + 1);
    if (r->array.block == NULL || r->array.tile == NULL || r->array.raw == NULL)
        return err_set(RH_ENOMEM, "no memory for %zu rows of %s at a time", rows, r->in.path);
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
        return in_block(r, r->done) ? RH_OK : fill_block(r);
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
    bool finite;
    if (r->array.fortran) {
        memcpy(row, block_row(r, r->done - 1), r->dim * sizeof *row);
        finite = kern_all_finite(r->dim, row);
    } else {
        finite = numtype_to_float(r->array.type, r->array.big, r->dim, r->numbers, row);
    }
    return finite ? RH_OK : not_finite(r, r->done - 1, 1, row);
}

/* Rows of floats as memory has them go where they are wanted at once: what the file's cache gives is
 * copied once, by the kernel, and looked through while it is near. */
static rh_status read_straight(struct vec_reader *r, uint64_t n_max, float *rows, uint64_t *n,
                               bool *finite) {
    size_t row_bytes = r->dim * sizeof *rows, got = 0;
    uint64_t k = INFILE_BLOCK_BYTES / row_bytes + 1, at = infile_offset(&r->in);
    k = k < n_max ? k : n_max;
    rh_status s = infile_at(&r->in, at, rows, k * row_bytes, &got);
    if (s == RH_OK && got < k * row_bytes)
        s = too_short(r);
    infile_seek(&r->in, at + got);
    *n = k;
    *finite = s == RH_OK && kern_all_finite(k * r->dim, rows);
    return s;
}

static rh_status convert_rows(struct vec_reader *r, uint64_t n_max, float *rows, uint64_t *n,
                              bool *finite) {
    size_t row_bytes = r->dim * numtype_bytes(r->array.type);
    rh_status s = want_row(r, row_bytes);
    if (s != RH_OK)
        return s;
    uint64_t ready = infile_left(&r->in) / row_bytes, k = n_max < ready ? n_max : ready;
    *finite = numtype_to_float(r->array.type, r->array.big, k * r->dim, infile_here(&r->in), rows);
    r->in.from += k * row_bytes;
    *n = k;
    return RH_OK;
}

static rh_status turn_rows(struct vec_reader *r, uint64_t n_max, float *rows, uint64_t *n,
                           bool *finite) {
    uint64_t whole = min(r->array.block_max, r->rows - r->done);
    if (!in_block(r, r->done) && n_max >= min(whole, ROWS_GOOD / 2)) {
        *n = min(n_max, whole);
        return gather(r, r->done, (size_t)*n, rows, finite);
    }
    rh_status s = in_block(r, r->done) ? RH_OK : fill_block(r);
    if (s != RH_OK)
        return s;
    *n = min(n_max, r->array.block_first + r->array.block_rows - r->done);
    memcpy(rows, block_row(r, r->done), *n * r->dim * sizeof *rows);
    *finite = kern_all_finite(*n * r->dim, rows);
    return RH_OK;
}

rh_status vec_array_next_rows(struct vec_reader *r, uint64_t n_max, float *rows, uint64_t *n) {
    uint64_t k = 0;
    bool as_they_are = r->array.type == NUMTYPE_F32 && !r->array.big, finite = true;
    rh_status s = r->array.fortran ? turn_rows(r, n_max, rows, &k, &finite)
                  : as_they_are    ? read_straight(r, n_max, rows, &k, &finite)
                                   : convert_rows(r, n_max, rows, &k, &finite);
    if (s != RH_OK)
        return s;
    if (!finite)
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
