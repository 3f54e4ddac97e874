/* files.c - see files.h. The file is in the system's cache; both sides take turns. */
#include "tests/bench/files.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/err.h"
#include "tests/bench/file_make.h"
#include "tests/bench/measure.h"

static const uint32_t dims[] = {64, 300};
static const struct file_kind kinds[] = {
    {"npy <f4", VEC_NPY, NUMTYPE_F32, false, false, NULL},
    {"npy >f4", VEC_NPY, NUMTYPE_F32, true, false, NULL},
    {"npy <f2", VEC_NPY, NUMTYPE_F16, false, false, NULL},
    {"npy >f2", VEC_NPY, NUMTYPE_F16, true, false, NULL},
    {"npy <f8", VEC_NPY, NUMTYPE_F64, false, false, NULL},
    {"npy >f8", VEC_NPY, NUMTYPE_F64, true, false, NULL},
    {"npy <f4 Fortran", VEC_NPY, NUMTYPE_F32, false, true, NULL},
    {"npy >f4 Fortran", VEC_NPY, NUMTYPE_F32, true, true, NULL},
    {"npy <f2 Fortran", VEC_NPY, NUMTYPE_F16, false, true, NULL},
    {"npy <f8 Fortran", VEC_NPY, NUMTYPE_F64, false, true, NULL},
    {"safetensors F32", VEC_SAFETENSORS, NUMTYPE_F32, false, false, NULL},
    {"safetensors F16", VEC_SAFETENSORS, NUMTYPE_F16, false, false, NULL},
    {"safetensors BF16", VEC_SAFETENSORS, NUMTYPE_BF16, false, false, NULL},
    {"safetensors F64", VEC_SAFETENSORS, NUMTYPE_F64, false, false, NULL},
    {"word2vec binary", VEC_W2V_BIN, NUMTYPE_F32, false, false, NULL},
    {"word2vec %.6f", VEC_W2V, NUMTYPE_F32, false, false, " %.6f"},
    {"word2vec %.9g", VEC_W2V, NUMTYPE_F32, false, false, " %.9g"},
    {"GloVe %.5g", VEC_GLOVE, NUMTYPE_F32, false, false, " %.5g"},
    {"fastText %.5g", VEC_FASTTEXT, NUMTYPE_F32, false, false, " %.5g"},
};
enum { N_KINDS = sizeof kinds / sizeof *kinds, N_DIMS = sizeof dims / sizeof *dims };

#define GOAL_ARRAYS 0.7
#define GOAL_TEXT   0.8

/* One file on which both sides run. */
struct run {
    const struct file_kind *kind;
    const char *path;
    uint32_t dim;
    uint64_t bytes;
    char *text; /* the whole file of text, with a 0 behind it */
    size_t chunk_bytes;
    float *rows; /* (chunk_bytes), into which both sides read, again and again */
    double sum;  /* keeps the compiler honest */
};

static bool is_text(const struct file_kind *k) {
    return k->number != NULL;
}

/* ---- the two sides ---- */

static rh_status by_reader(struct run *r) {
    struct vec_reader *v;
    rh_status s = vec_open(r->path, VEC_AUTO, &v);
    if (s != RH_OK)
        return s;
    uint64_t n = 1, max = r->chunk_bytes / (r->dim * sizeof *r->rows);
    while (s == RH_OK && n > 0) {
        s = vec_next_rows(v, max, r->rows, &n);
        r->sum += (double)r->rows[0];
    }
    vec_close(&v);
    return s;
}

static rh_status by_plain_read(struct run *r) {
    int fd = open(r->path, O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return err_sys(RH_EIO, "cannot open %s", r->path);
    ssize_t n;
    while ((n = read(fd, r->rows, r->chunk_bytes)) > 0 || (n < 0 && errno == EINTR))
        continue;
    close(fd);
    return n == 0 ? RH_OK : err_sys(RH_EIO, "cannot read %s", r->path);
}

/* Lines of a word and numbers, and nothing looked at: no file, no UTF-8, no count. */
static rh_status by_bare_strtof(struct run *r) {
    char *p = r->text;
    if (r->kind->format != VEC_GLOVE)
        p = strchr(p, '\n') + 1;
    while (*p != '\0') {
        p = strchr(p, ' ');
        for (uint32_t i = 0; i < r->dim; i++)
            r->rows[i] = strtof(p, &p);
        r->sum += (double)r->rows[0];
        p = strchr(p, '\n') + 1;
    }
    return RH_OK;
}

/* ---- one line of the table ---- */

static rh_status timed(rh_status (*side)(struct run *), struct run *r, double *bytes_per_s) {
    double begin = measure_thread_s();
    rh_status s = side(r);
    double took = measure_thread_s() - begin;
    *bytes_per_s = (double)r->bytes / (took > 0 ? took : 1e-9);
    return s;
}

static rh_status take_turns(struct run *r, unsigned rounds, struct rate *ours,
                            struct rate *others) {
    rh_status (*other)(struct run *) = is_text(r->kind) ? by_bare_strtof : by_plain_read;
    double a[MEASURE_ROUNDS_MAX], b[MEASURE_ROUNDS_MAX];
    rh_status s = timed(by_reader, r, a); /* to warm up */
    if (s == RH_OK)
        s = timed(other, r, b);
    for (unsigned i = 0; s == RH_OK && i < rounds; i++) {
        s = timed(by_reader, r, &a[i]);
        if (s == RH_OK)
            s = timed(other, r, &b[i]);
    }
    if (s != RH_OK)
        return s;
    *ours = measure_rate(a, rounds);
    *others = measure_rate(b, rounds);
    return RH_OK;
}

static void print_rate(const struct rate *r) {
    char text[64];
    snprintf(text, sizeof text, "%.0f [%.0f..%.0f]", r->median / 1e6, r->low / 1e6, r->high / 1e6);
    printf(" %-22s", text);
}

/* Whether the goal was reached, if the kind has one. */
static bool print_line(const struct run *r, const struct rate *ours, const struct rate *others) {
    double ratio = others->median > 0 ? ours->median / others->median : 0;
    double goal = is_text(r->kind) ? GOAL_TEXT : GOAL_ARRAYS;
    bool has_goal = r->kind->format != VEC_W2V_BIN;
    printf("%-17s %4u %-12s", r->kind->name, r->dim, is_text(r->kind) ? "strtof" : "read");
    print_rate(ours);
    print_rate(others);
    printf(" %5.2f  %s\n", ratio, !has_goal ? "" : ratio >= goal ? "reached" : "BELOW ITS GOAL");
    fflush(stdout);
    return !has_goal || ratio >= goal;
}

static rh_status read_all(struct run *r) {
    size_t got = 0;
    FILE *f = fopen(r->path, "r");
    r->text = malloc(r->bytes + 1);
    if (f != NULL && r->text != NULL)
        got = fread(r->text, 1, r->bytes, f);
    if (f != NULL)
        fclose(f);
    if (got < r->bytes)
        return err_set(RH_EIO, "cannot read %s at once", r->path);
    r->text[got] = '\0';
    return RH_OK;
}

static rh_status run_kind(const struct file_kind *k, const char *path, uint32_t dim,
                          const struct bench_files *o, unsigned *below) {
    struct run r = {.kind = k, .path = path, .dim = dim, .chunk_bytes = o->chunk_bytes};
    struct stat st;
    struct rate ours, others;
    rh_status s = file_make(path, k, o->file_bytes, dim);
    if (s == RH_OK && stat(path, &st) != 0)
        s = err_sys(RH_EIO, "cannot look at %s", path);
    if (s != RH_OK)
        return s;
    r.bytes = (uint64_t)st.st_size;
    r.rows = calloc(1, r.chunk_bytes);
    if (r.rows == NULL)
        s = err_set(RH_ENOMEM, "no memory to read %s", path);
    if (s == RH_OK && is_text(k))
        s = read_all(&r);
    if (s == RH_OK)
        s = take_turns(&r, o->rounds, &ours, &others);
    if (s == RH_OK && !print_line(&r, &ours, &others))
        ++*below;
    free(r.text);
    free(r.rows);
    return s;
}

rh_status bench_files(const struct bench_files *o) {
    char path[512];
    unsigned below = 0;
    rh_status s = RH_OK;
    snprintf(path, sizeof path, "%s/vectors", o->dir);
    printf(
        "\nMillions of bytes of the file per second of this thread, median [lowest..highest]; the "
        "medians' ratio.\n"
        "Goals: %.1f of a plain read into the same buffer of %zu KiB; %.1f of a bare strtof loop "
        "over the same text in memory.\n\n",
        GOAL_ARRAYS, o->chunk_bytes >> 10, GOAL_TEXT);
    printf("%-17s %4s %-12s %-22s %-22s %5s\n", "file", "dim", "beside", "as floats", "beside",
           "ratio");
    for (size_t k = 0; k < N_KINDS; k++)
        for (size_t d = 0; d < N_DIMS; d++)
            if (s == RH_OK && (o->only == NULL || strcmp(o->only, kinds[k].name) == 0))
                s = run_kind(&kinds[k], path, dims[d], o, &below);
    unlink(path);
    if (s == RH_OK)
        printf("\n%u below their goals\n", below);
    return s == RH_OK ? RH_OK : err_in(s, "files");
}
