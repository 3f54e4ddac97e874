/* fuzz_vec.c - see fuzz_vec.h. */
#include "tests/support/fuzz_vec.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

static void must(int good) {
    if (!good)
        abort();
}

const char *fuzz_file(const uint8_t *data, size_t size) {
    static char path[64];
    static int fd = -1;
    if (fd < 0)
        fd = memfd_create("fuzz", MFD_CLOEXEC);
    must(fd >= 0 && ftruncate(fd, 0) == 0);
    must(pwrite(fd, data, size, 0) == (ssize_t)size);
    snprintf(path, sizeof path, "/proc/self/fd/%d", fd);
    return path;
}

struct walk {
    uint64_t rows;
    rh_status end;
    uint64_t sum; /* of the bits of all numbers, and of words */
};

static uint64_t add_up(uint64_t sum, const void *p, size_t n) {
    const uint8_t *c = p;
    for (size_t i = 0; i < n; i++)
        sum = (sum ^ c[i]) * 0x100000001B3;
    return sum;
}

static void check_word(const struct vec_reader *r, const char *word) {
    size_t len = strlen(word);
    must(len < VEC_WORD_MAX && vec_has_words(r) == (len > 0));
}

/* In two steps, if later: passed over first, then looked at. */
static struct walk walk_one_by_one(struct vec_reader *r, float *row, int later) {
    struct walk w = {0};
    const char *word;
    vec_rewind(r);
    while ((w.end = vec_next(r, &word, later ? NULL : row)) == RH_OK) {
        check_word(r, word);
        uint64_t of_word = add_up(0, word, strlen(word));
        if (later && (w.end = vec_row(r, row)) != RH_OK)
            break;
        for (uint32_t i = 0; i < vec_dim(r); i++)
            must(isfinite(row[i]));
        w.sum = add_up(w.sum, row, vec_dim(r) * sizeof *row) + of_word * vec_has_words(r);
        w.rows++;
    }
    must(w.end != RH_OK && w.rows <= vec_rows(r));
    must(w.end != RH_ENOTFOUND || w.rows == vec_rows(r));
    return w;
}

static void walk_many(struct vec_reader *r, float *rows, uint64_t n_max, struct walk want) {
    uint64_t n = 0, all = 0;
    rh_status s;
    vec_rewind(r);
    while ((s = vec_next_rows(r, n_max, rows, &n)) == RH_OK && n > 0)
        all += n;
    must((s == RH_OK) == (want.end == RH_ENOTFOUND));
    must(s != RH_OK || all == want.rows);
}

static void walk_over(struct vec_reader *r, struct walk want) {
    uint64_t rows = 0;
    vec_rewind(r);
    while (vec_next(r, NULL, NULL) == RH_OK)
        rows++;
    must(rows >= want.rows);
}

void fuzz_vec(enum vec_format format, const uint8_t *data, size_t size) {
    enum { AT_ONCE = 3 };
    struct vec_reader *r;
    if (vec_open(fuzz_file(data, size), format, &r) != RH_OK)
        return;
    must(vec_dim(r) > 0 && vec_dim(r) <= VEC_DIM_MAX);
    /* Fits by the promise of vec_open, but for files of no rows. */
    must(vec_rows(r) == 0 || vec_rows(r) * vec_dim(r) <= size);
    float *rows = malloc(AT_ONCE * vec_dim(r) * sizeof *rows);
    must(rows != NULL);
    struct walk a = walk_one_by_one(r, rows, 0), b = walk_one_by_one(r, rows, 1);
    must(a.rows == b.rows && a.end == b.end && a.sum == b.sum);
    walk_many(r, rows, AT_ONCE, a);
    walk_over(r, a);
    free(rows);
    vec_close(&r);
}
