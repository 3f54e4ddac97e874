/* vecfile.c - see vecfile.h. What all formats share; each format is a table of vec_inner.h. */
#include "common/vecfile.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/err.h"
#include "common/vec_inner.h"

enum { FORMATS = 2 };
static const struct vec_ops *const formats[FORMATS] = {&vec_npy, &vec_w2v};

/* ---- reading ---- */

/* O_NONBLOCK: opening a pipe that nobody writes to would wait for ever. */
static rh_status open_file(struct vec_reader *r, const char *path) {
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    if (fd < 0)
        return err_sys(errno == ENOENT ? RH_ENOTFOUND : RH_EIO, "cannot open %s", path);
    struct stat st;
    if (fstat(fd, &st) != 0) {
        err_sys(RH_EIO, "cannot look at %s", path);
        close(fd);
        return RH_EIO;
    }
    if (!S_ISREG(st.st_mode)) {
        close(fd);
        return err_set(RH_EINVAL, "%s is no regular file: vectors cannot be read from it", path);
    }
    r->size_bytes = (uint64_t)st.st_size;
    r->f = fdopen(fd, "r");
    if (r->f == NULL) {
        err_sys(RH_ENOMEM, "cannot open %s", path);
        close(fd);
        return RH_ENOMEM;
    }
    return RH_OK;
}

static rh_status choose(struct vec_reader *r, enum vec_format format) {
    uint8_t head[8];
    size_t n = fread(head, 1, sizeof head, r->f);
    if (ferror(r->f) || fseek(r->f, 0, SEEK_SET) != 0)
        return err_sys(RH_EIO, "cannot read %s", r->path);
    for (size_t i = 0; i < FORMATS && r->ops == NULL; i++)
        if (format == VEC_AUTO ? formats[i]->sniff(head, n) : formats[i]->format == format)
            r->ops = formats[i];
    if (r->ops != NULL)
        return RH_OK;
    if (format != VEC_AUTO)
        return err_set(RH_EINVAL, "%s: there is no format of number %d", r->path, (int)format);
    return err_set(
        RH_ECORRUPT,
        "%s is neither an .npy file nor word2vec text, whose first line has two numbers: "
        "how many rows there are, and how many numbers a row has",
        r->path);
}

rh_status vec_open(const char *path, enum vec_format format, struct vec_reader **out) {
    struct vec_reader *r = calloc(1, sizeof *r);
    if (r == NULL)
        return err_set(RH_ENOMEM, "no memory to read %s", path);
    r->path = strdup(path);
    r->c_locale = newlocale(LC_ALL_MASK, "C", (locale_t)0);
    rh_status st = RH_OK;
    if (r->path == NULL || r->c_locale == (locale_t)0)
        st = err_set(RH_ENOMEM, "no memory to read %s", path);
    if (st == RH_OK)
        st = open_file(r, path);
    if (st == RH_OK)
        st = choose(r, format);
    if (st == RH_OK)
        st = r->ops->begin(r);
    if (st != RH_OK)
        vec_close(&r);
    else
        *out = r;
    return st;
}

enum vec_format vec_format_of(const struct vec_reader *r) {
    return r->ops->format;
}

uint64_t vec_rows(const struct vec_reader *r) {
    return r->rows;
}

uint32_t vec_dim(const struct vec_reader *r) {
    return r->dim;
}

rh_status vec_next(struct vec_reader *r, const char **word, float *row) {
    if (r->done == r->rows) {
        rh_status st = r->ops->end(r);
        return st != RH_OK ? st : err_set(RH_ENOTFOUND, "%s has no more rows", r->path);
    }
    const char *found;
    rh_status st = r->ops->next(r, &found, row);
    if (st != RH_OK)
        return st;
    r->done++;
    if (word != NULL)
        *word = found;
    return RH_OK;
}

void vec_close(struct vec_reader **r) {
    struct vec_reader *old = *r;
    *r = NULL;
    if (old == NULL)
        return;
    if (old->f != NULL)
        fclose(old->f);
    if (old->c_locale != (locale_t)0)
        freelocale(old->c_locale);
    free(old->path);
    free(old->text);
    free(old);
}

/* ---- writing ---- */

static const struct vec_ops *format_for(const char *path, enum vec_format format) {
    size_t len = strlen(path);
    if (format == VEC_AUTO)
        format = len >= 4 && strcmp(path + len - 4, ".npy") == 0 ? VEC_NPY : VEC_W2V;
    for (size_t i = 0; i < FORMATS; i++)
        if (formats[i]->format == format)
            return formats[i];
    return NULL;
}

rh_status vec_create(const char *path, enum vec_format format, uint64_t rows, uint32_t dim,
                     struct vec_writer **out) {
    const struct vec_ops *ops = format_for(path, format);
    if (ops == NULL)
        return err_set(RH_EINVAL, "%s: there is no format of number %d", path, (int)format);
    if (dim == 0 || dim > VEC_DIM_MAX)
        return err_set(RH_EINVAL, "%s: vectors have 1 to %d numbers, not %u", path, VEC_DIM_MAX,
                       dim);
    struct vec_writer *w = calloc(1, sizeof *w);
    if (w == NULL)
        return err_set(RH_ENOMEM, "no memory to write %s", path);
    *w = (struct vec_writer){.ops = ops, .rows = rows, .dim = dim};
    w->c_locale = newlocale(LC_ALL_MASK, "C", (locale_t)0);
    rh_status st = w->c_locale == (locale_t)0 ? err_set(RH_ENOMEM, "no memory to write %s", path)
                                              : outfile_create(&w->out, path);
    if (st == RH_OK)
        st = ops->put_header(w);
    if (st != RH_OK)
        vec_abandon(&w);
    else
        *out = w;
    return st;
}

rh_status vec_put(struct vec_writer *w, const char *word, const float *row) {
    assert(w->done < w->rows);
    rh_status st = w->ops->put(w, word, row);
    if (st == RH_OK)
        w->done++;
    return st;
}

rh_status vec_commit(struct vec_writer **w) {
    struct vec_writer *old = *w;
    rh_status st = RH_OK;
    if (old->done != old->rows && old->out.failed == 0)
        st = err_set(RH_EINVAL, "%s: %" PRIu64 " of its %" PRIu64 " rows were put", old->out.path,
                     old->done, old->rows);
    else
        st = outfile_commit(&old->out);
    vec_abandon(w);
    return st;
}

void vec_abandon(struct vec_writer **w) {
    struct vec_writer *old = *w;
    *w = NULL;
    if (old == NULL)
        return;
    outfile_abandon(&old->out);
    if (old->c_locale != (locale_t)0)
        freelocale(old->c_locale);
    free(old);
}
