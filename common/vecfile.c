/* vecfile.c - see vecfile.h. What all formats share; each format is a table of vec_inner.h. */
#include "common/vecfile.h"

#include <assert.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/err.h"
#include "common/vec_inner.h"

static const struct vec_ops *const formats[] = {&vec_npy,     &vec_safetensors, &vec_w2v,
                                                &vec_w2v_bin, &vec_glove,       &vec_fasttext};
enum { FORMATS = sizeof formats / sizeof *formats };

static rh_status find_format(const char *path, enum vec_format format, const struct vec_ops **out) {
    for (size_t i = 0; i < FORMATS; i++) {
        if (formats[i]->format == format) {
            *out = formats[i];
            return RH_OK;
        }
    }
    return err_set(RH_EINVAL, "%s: there is no format of number %d", path, (int)format);
}

/* ---- reading ---- */

static rh_status choose(struct vec_reader *r, enum vec_format asked) {
    const struct vec_ops *unused;
    rh_status s = asked == VEC_AUTO ? RH_OK : find_format(r->in.path, asked, &unused);
    enum vec_format format = VEC_AUTO;
    if (s == RH_OK)
        s = vec_sniff(&r->in, asked, &format);
    return s == RH_OK ? find_format(r->in.path, format, &r->ops) : s;
}

/* Takes in. */
static rh_status begin(struct infile *in, const struct vec_options *o, struct vec_reader **out) {
    struct vec_reader *r = calloc(1, sizeof *r);
    if (r == NULL) {
        rh_status s = err_set(RH_ENOMEM, "no memory to read %s", in->path);
        infile_close(in);
        return s;
    }
    r->in = *in;
    r->dim_asked = o->dim;
    rh_status s = choose(r, o->format);
    if (s == RH_OK)
        s = r->ops->begin(r, o);
    if (s != RH_OK)
        vec_close(&r);
    else
        *out = r;
    return s;
}

rh_status vec_adopt(int fd, const char *name, const struct vec_options *o,
                    struct vec_reader **out) {
    struct infile in;
    rh_status s = infile_adopt(&in, fd, name);
    return s == RH_OK ? begin(&in, o, out) : s;
}

rh_status vec_open_more(struct vec_reader *r, uint64_t bytes_max, bool *open) {
    bool counted = true;
    *open = false;
    if (r->about == NULL && r->ops->count != NULL) {
        rh_status s = r->ops->count(r, bytes_max, &counted);
        if (s != RH_OK || !counted)
            return s;
    }
    if (r->dim_asked != 0 && r->dim_asked != r->dim)
        return err_set(RH_EMISMATCH, "%s has rows of %" PRIu32 " numbers, not of %" PRIu32,
                       r->in.path, r->dim, r->dim_asked);
    if (r->about == NULL && asprintf(&r->about, "%s: %s, %" PRIu64 " x %" PRIu32 "%s", r->in.path,
                                     r->ops->name, r->rows, r->dim, r->note) < 0) {
        r->about = NULL;
        return err_set(RH_ENOMEM, "no memory to read %s", r->in.path);
    }
    *open = true;
    return RH_OK;
}

rh_status vec_open_with(const char *path, const struct vec_options *o, struct vec_reader **out) {
    struct infile in;
    struct vec_reader *r = NULL;
    bool open = false;
    rh_status s = infile_open(&in, path);
    if (s == RH_OK)
        s = begin(&in, o, &r);
    while (s == RH_OK && !open)
        s = vec_open_more(r, UINT64_MAX, &open);
    if (s != RH_OK)
        vec_close(&r);
    else
        *out = r;
    return s;
}

rh_status vec_open(const char *path, enum vec_format format, struct vec_reader **out) {
    return vec_open_with(path, &(struct vec_options){.format = format}, out);
}

enum vec_format vec_format_of(const struct vec_reader *r) {
    return r->ops->format;
}

const char *vec_format_name(enum vec_format format) {
    const struct vec_ops *ops = NULL;
    return find_format("", format, &ops) == RH_OK ? ops->name : "";
}

uint64_t vec_rows(const struct vec_reader *r) {
    return r->rows;
}

uint32_t vec_dim(const struct vec_reader *r) {
    return r->dim;
}

bool vec_has_words(const struct vec_reader *r) {
    return r->ops->has_words;
}

const char *vec_name(const struct vec_reader *r) {
    return r->in.path;
}

const char *vec_about(const struct vec_reader *r) {
    return r->about;
}

rh_status vec_next(struct vec_reader *r, const char **word, float *row) {
    if (r->done == r->rows) {
        rh_status s = r->ops->end(r);
        return s != RH_OK ? s : err_set(RH_ENOTFOUND, "%s has no more rows", r->in.path);
    }
    const char *found;
    rh_status s = r->ops->next(r, &found);
    if (s != RH_OK)
        return s;
    r->done++;
    if (word != NULL)
        *word = found;
    return row != NULL ? r->ops->row(r, row) : RH_OK;
}

rh_status vec_row(struct vec_reader *r, float *row) {
    assert(r->done > 0);
    return r->ops->row(r, row);
}

rh_status vec_next_rows(struct vec_reader *r, uint64_t n_max, float *rows, uint64_t *n) {
    uint64_t done = 0, left = r->rows - r->done;
    if (n_max > left)
        n_max = left;
    if (left == 0) {
        rh_status s = r->ops->end(r);
        if (s != RH_OK)
            return s;
    }
    while (done < n_max) {
        uint64_t k = 1;
        float *to = rows + done * r->dim;
        rh_status s = r->ops->next_rows != NULL ? r->ops->next_rows(r, n_max - done, to, &k)
                                                : vec_next(r, NULL, to);
        if (s != RH_OK)
            return s;
        done += k;
    }
    *n = done;
    return RH_OK;
}

void vec_progress(const struct vec_reader *r, uint64_t *done_bytes, uint64_t *total_bytes) {
    const bool open = r->about != NULL, counts = r->ops->count != NULL;
    *total_bytes = r->in.size_bytes * (counts ? 2 : 1);
    if (open && !r->ops->has_words)
        *done_bytes = (uint64_t)((double)r->in.size_bytes * (double)r->done /
                                 (double)(r->rows > 0 ? r->rows : 1));
    else
        *done_bytes = infile_offset(&r->in) + (open && counts ? r->in.size_bytes : 0);
}

rh_status vec_unchanged(const struct vec_reader *r) {
    return infile_unchanged(&r->in);
}

void vec_rewind(struct vec_reader *r) {
    infile_seek(&r->in, r->data);
    r->done = 0;
    r->text.line = r->text.first_line;
}

void vec_close(struct vec_reader **r) {
    struct vec_reader *old = *r;
    *r = NULL;
    if (old == NULL)
        return;
    infile_close(&old->in);
    free(old->array.block);
    free(old->array.tile);
    free(old->array.raw);
    free(old->counts);
    free(old->about);
    free(old);
}

/* ---- writing ---- */

enum vec_format vec_format_for(const char *path) {
    size_t len = strlen(path);
    for (size_t i = 0; i < FORMATS; i++) {
        const char *ending = formats[i]->ending;
        if (ending != NULL && len >= strlen(ending) &&
            strcmp(path + len - strlen(ending), ending) == 0)
            return formats[i]->format;
    }
    return VEC_W2V;
}

rh_status vec_create_with(const char *path, const struct vec_options *o, uint64_t rows,
                          uint32_t dim, struct vec_writer **out) {
    const struct vec_ops *ops = NULL;
    rh_status s = find_format(path, o->format == VEC_AUTO ? vec_format_for(path) : o->format, &ops);
    if (s != RH_OK)
        return s;
    if (dim == 0 || dim > VEC_DIM_MAX)
        return err_set(RH_EINVAL, "%s: vectors have 1 to %d numbers, not %u", path, VEC_DIM_MAX,
                       dim);
    struct vec_writer *w = calloc(1, sizeof *w);
    if (w == NULL)
        return err_set(RH_ENOMEM, "no memory to write %s", path);
    *w = (struct vec_writer){.ops = ops, .rows = rows, .dim = dim};
    w->tensor = o->tensor != NULL ? o->tensor : "weight";
    w->c_locale = newlocale(LC_ALL_MASK, "C", (locale_t)0);
    s = w->c_locale == (locale_t)0 ? err_set(RH_ENOMEM, "no memory to write %s", path)
                                   : outfile_create(&w->out, path);
    if (s == RH_OK)
        s = ops->put_header(w);
    w->tensor = NULL;
    if (s != RH_OK)
        vec_abandon(&w);
    else
        *out = w;
    return s;
}

rh_status vec_create(const char *path, enum vec_format format, uint64_t rows, uint32_t dim,
                     struct vec_writer **out) {
    return vec_create_with(path, &(struct vec_options){.format = format}, rows, dim, out);
}

rh_status vec_put(struct vec_writer *w, const char *word, const float *row) {
    assert(w->done < w->rows);
    rh_status s = w->ops->put(w, word, row);
    if (s == RH_OK)
        w->done++;
    return s;
}

rh_status vec_commit(struct vec_writer **w) {
    struct vec_writer *old = *w;
    rh_status s = RH_OK;
    if (old->done != old->rows && old->out.failed == 0)
        s = err_set(RH_EINVAL, "%s: %" PRIu64 " of its %" PRIu64 " rows were put", old->out.path,
                    old->done, old->rows);
    else
        s = outfile_commit(&old->out);
    vec_abandon(w);
    return s;
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
