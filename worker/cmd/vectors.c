/* vectors.c - see vectors.h. */
#include "worker/cmd/vectors.h"

#include <inttypes.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "common/err.h"
#include "common/hash.h"
#include "common/kern.h"
#include "common/size.h"
#include "common/vecfile.h"

void vectors_fini(struct vectors *v) {
    for (uint32_t i = 0; v->words && i < v->n; i++)
        free(v->words[i]);
    free(v->words);
    free(v->rows);
    idset_fini(&v->index);
    *v = (struct vectors){0};
}

static rh_status reserve(struct vectors *v, const char *path, uint64_t rows) {
    size_t bytes;
    if (rows > 1 << 30)
        return err_set(RH_ELIMIT, "%s: %" PRIu64 " rows are more than fit here", path, rows);
    if (!size_mul3((size_t)rows, v->dim, sizeof *v->rows, &bytes))
        return err_set(RH_ENOMEM, "%s: %" PRIu64 " rows do not fit into memory", path, rows);
    v->rows = malloc(bytes + 1);
    v->words = calloc((size_t)rows + 1, sizeof *v->words);
    if (!v->rows || !v->words)
        return err_set(RH_ENOMEM, "%s: no memory for %" PRIu64 " rows", path, rows);
    return idset_reset(&v->index, (size_t)rows);
}

static void make_unit(size_t dim, float *row) {
    float length = sqrtf(kern_dot(dim, row, row));
    if (length > 0)
        kern_scale(dim, 1 / length, row);
}

static rh_status read_rows(struct vectors *v, struct vec_reader *r) {
    const char *word;
    rh_status s;
    while ((s = vec_next(r, &word, v->rows + v->n * (size_t)v->dim)) == RH_OK) {
        uint32_t row = idset_add(&v->index, hash64(word, strlen(word)));
        if (row < v->n)
            continue; /* again; the next row is written over it */
        make_unit(v->dim, v->rows + row * (size_t)v->dim);
        v->words[row] = strdup(word);
        if (!v->words[row])
            return err_set(RH_ENOMEM, "no memory for the words of the vectors");
        v->n++;
    }
    return s == RH_ENOTFOUND ? RH_OK : s;
}

rh_status vectors_load(struct vectors *v, const char *path) {
    struct vec_reader *r;
    *v = (struct vectors){0};
    idset_init(&v->index);
    rh_status s = vec_open(path, VEC_AUTO, &r);
    if (s != RH_OK)
        return s;
    v->dim = vec_dim(r);
    if (!vec_has_words(r))
        s = err_set(RH_EINVAL, "%s has no words; a file of word2vec, GloVe or fastText is needed",
                    path);
    if (s == RH_OK)
        s = reserve(v, path, vec_rows(r));
    if (s == RH_OK)
        s = read_rows(v, r);
    vec_close(&r);
    if (s != RH_OK)
        vectors_fini(v);
    return s;
}

static uint32_t find_exactly(const struct vectors *v, const char *word) {
    uint32_t row = idset_find(&v->index, hash64(word, strlen(word)));
    return row < v->n && strcmp(v->words[row], word) == 0 ? row : VECTORS_NONE;
}

uint32_t vectors_find(const struct vectors *v, const char *word) {
    uint32_t row = find_exactly(v, word);
    if (row != VECTORS_NONE)
        return row;
    char lower[VEC_WORD_MAX];
    size_t len = strlen(word);
    if (len >= sizeof lower)
        return VECTORS_NONE;
    for (size_t i = 0; i <= len; i++)
        lower[i] = word[i] >= 'A' && word[i] <= 'Z' ? (char)(word[i] - 'A' + 'a') : word[i];
    return find_exactly(v, lower);
}

float vectors_cosine(const struct vectors *v, uint32_t a, uint32_t b) {
    return kern_dot(v->dim, v->rows + a * (size_t)v->dim, v->rows + b * (size_t)v->dim);
}
