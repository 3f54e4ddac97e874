/* file_make.c - see file_make.h. Written by hand: our writers have one type and one order each, and
 * numbers of their own. */
#include "tests/bench/file_make.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/err.h"
#include "common/rng.h"

enum { PIECE = 4096 };

/* ---- arrays ---- */

/* Some float of the middle exponents as its highest bytes: a half, a bfloat, a float, a double. */
static uint64_t draw_bits(struct rng *g, enum numtype type) {
    uint64_t x = rng_u64(g), e = 1 + (x >> 1) % 7;
    switch (type) {
    case NUMTYPE_F16:
        return (x & 0x83FF) | (e + 7) << 10;
    case NUMTYPE_BF16:
        return (x & 0x807F) | (e + 119) << 7;
    case NUMTYPE_F32:
        return (x & 0x807FFFFF) | (e + 119) << 23;
    case NUMTYPE_F64:
        return (x & 0x800FFFFFFFFFFFFF) | (e + 1015) << 52;
    }
    return 0;
}

static void put_npy_header(FILE *f, const struct file_kind *k, uint64_t rows, uint32_t dim) {
    char text[119] = "";
    int n = snprintf(
        text, sizeof text,
        "{'descr': '%cf%zu', 'fortran_order': %s, 'shape': (%" PRIu64 ", %" PRIu32 "), }",
        k->big ? '>' : '<', numtype_bytes(k->type), k->fortran ? "True" : "False", rows, dim);
    memset(text + n, ' ', sizeof text - 1 - (size_t)n);
    text[sizeof text - 2] = '\n';
    fwrite("\x93NUMPY\x01\x00\x76\x00", 1, 10, f);
    fwrite(text, 1, sizeof text - 1, f);
}

static void put_safetensors_header(FILE *f, const struct file_kind *k, uint64_t rows,
                                   uint32_t dim) {
    static const char *const names[] = {"F16", "BF16", "F32", "F64"};
    char text[256];
    int n = snprintf(text, sizeof text,
                     "{\"weight\":{\"dtype\":\"%s\",\"shape\":[%" PRIu64 ",%" PRIu32
                     "],\"data_offsets\":[0,%" PRIu64 "]}}",
                     names[k->type], rows, dim, rows * dim * numtype_bytes(k->type));
    uint64_t padded = ((uint64_t)n + 7) / 8 * 8;
    memset(text + n, ' ', padded - (uint64_t)n);
    fwrite(&padded, 1, sizeof padded, f);
    fwrite(text, 1, padded, f);
}

static void put_numbers(FILE *f, struct rng *g, const struct file_kind *k, uint64_t n) {
    uint8_t out[PIECE * 8];
    size_t width = numtype_bytes(k->type);
    for (uint64_t at = 0; at < n; at += PIECE) {
        size_t piece = n - at < PIECE ? (size_t)(n - at) : PIECE;
        for (size_t i = 0; i < piece; i++) {
            uint64_t bits = draw_bits(g, k->type);
            for (size_t b = 0; b < width; b++)
                out[i * width + b] = (uint8_t)(bits >> 8 * (k->big ? width - 1 - b : b));
        }
        fwrite(out, width, piece, f);
    }
}

static void put_array(FILE *f, struct rng *g, const struct file_kind *k, uint64_t bytes,
                      uint32_t dim) {
    uint64_t rows = bytes / (dim * numtype_bytes(k->type)) + 1;
    if (k->format == VEC_NPY)
        put_npy_header(f, k, rows, dim);
    else
        put_safetensors_header(f, k, rows, dim);
    put_numbers(f, g, k, rows * dim);
}

/* ---- words and numbers ---- */

/* As vectors are: most numbers within 0.5. */
static double draw_number(struct rng *g) {
    return rng_normal_quantile(rng_unit_open(rng_u64(g))) * 0.25;
}

static void put_words(FILE *f, struct rng *g, const struct file_kind *k, uint64_t bytes,
                      uint32_t dim) {
    const bool text = k->format != VEC_W2V_BIN;
    uint64_t rows = bytes / (dim * (text ? 10 : sizeof(float))) + 1;
    if (k->format != VEC_GLOVE)
        fprintf(f, "%" PRIu64 " %" PRIu32 "\n", rows, dim);
    for (uint64_t i = 0; i < rows; i++) {
        fprintf(f, "w%" PRIu64 "%s", i, text ? "" : " ");
        for (uint32_t d = 0; d < dim; d++) {
            double v = draw_number(g);
            float single = (float)v;
            if (text)
                fprintf(f, k->number, v);
            else
                fwrite(&single, sizeof single, 1, f);
        }
        fputs(k->format == VEC_FASTTEXT ? " \n" : "\n", f);
    }
}

rh_status file_make(const char *path, const struct file_kind *k, uint64_t bytes, uint32_t dim) {
    FILE *f = fopen(path, "w");
    if (f == NULL)
        return err_sys(RH_EIO, "cannot create %s", path);
    struct rng g;
    rng_init(&g, 1, (uint64_t)k->format);
    if (k->format == VEC_NPY || k->format == VEC_SAFETENSORS)
        put_array(f, &g, k, bytes, dim);
    else
        put_words(f, &g, k, bytes, dim);
    bool bad = ferror(f) != 0;
    if (fclose(f) != 0 || bad)
        return err_sys(RH_EIO, "cannot write %s", path);
    return RH_OK;
}
