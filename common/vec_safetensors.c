/* vec_safetensors.c - safetensors: the length of the header as u64, the header in JSON, then one
 * buffer of bytes. All rules of the format are held, for all tensors, before the one that is wanted
 * is read: names once, sizes as shape and type have them, offsets without a hole from the buffer's
 * first byte to the file's last. */
#include <inttypes.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/err.h"
#include "common/size.h"
#include "common/utf8.h"
#include "common/vec_inner.h"

/* The format allows headers of 100 MB; ours, without the spaces behind them, may have 16 MiB, which
 * is 200,000 tensors, as parsed JSON takes some twenty times its text. */
enum { LENGTH_BYTES = 8, HEADER_MAX = 100000000, JSON_MAX = 16 << 20, NAMES_MAX = 200 };

/* bits: of a number, as some types are smaller than a byte. */
static const struct dtype {
    const char *name;
    unsigned bits;
    bool read;
    enum numtype type;
} dtypes[] = {
    {"F32", 32, true, NUMTYPE_F32},
    {"F16", 16, true, NUMTYPE_F16},
    {"BF16", 16, true, NUMTYPE_BF16},
    {"F64", 64, true, NUMTYPE_F64},
    {"BOOL", 8, false, 0},
    {"U8", 8, false, 0},
    {"I8", 8, false, 0},
    {"F8_E4M3", 8, false, 0},
    {"F8_E5M2", 8, false, 0},
    {"F8_E8M0", 8, false, 0},
    {"F4", 4, false, 0},
    {"F6_E2M3", 6, false, 0},
    {"F6_E3M2", 6, false, 0},
    {"I16", 16, false, 0},
    {"U16", 16, false, 0},
    {"I32", 32, false, 0},
    {"U32", 32, false, 0},
    {"I64", 64, false, 0},
    {"U64", 64, false, 0},
    {"C64", 64, false, 0},
};

struct tensor {
    const char *name, *dtype_name; /* the JSON's */
    const struct dtype *dtype;     /* NULL: a type that we do not know, and do not judge */
    uint64_t dims, shape[2];       /* the first two */
    uint64_t begin, end;           /* in the buffer */
};

struct tensors {
    struct tensor *at; /* (n) */
    size_t n;
};

/* ---- one entry of the header ---- */

/* A name for a message: what is no plain letter is shown as a question mark. */
struct shown {
    char text[80];
};

static struct shown show(const char *name) {
    struct shown s;
    snprintf(s.text, sizeof s.text, "%s", name);
    for (char *c = s.text; *c != '\0'; c++)
        if (*c < ' ' || *c > '~')
            *c = '?';
    return s;
}

static rh_status bad_tensor(const char *path, const char *name, const char *what) {
    return err_set(RH_ECORRUPT, "%s: tensor '%s' %s", path, show(name).text, what);
}

static bool take_count(const json_t *value, uint64_t *out) {
    if (!json_is_integer(value) || json_integer_value(value) < 0)
        return false;
    *out = (uint64_t)json_integer_value(value);
    return true;
}

static const struct dtype *find_dtype(const char *name) {
    for (size_t i = 0; i < sizeof dtypes / sizeof *dtypes; i++)
        if (strcmp(dtypes[i].name, name) == 0)
            return &dtypes[i];
    return NULL;
}

/* The shape, and how many numbers it makes. */
static rh_status take_shape(const char *path, struct tensor *t, const json_t *shape,
                            uint64_t *numbers) {
    if (!json_is_array(shape))
        return bad_tensor(path, t->name, "has no shape");
    *numbers = 1;
    t->dims = json_array_size(shape);
    for (size_t i = 0; i < t->dims; i++) {
        uint64_t count;
        if (!take_count(json_array_get(shape, i), &count))
            return bad_tensor(path, t->name, "has a shape that is not of counts");
        if (!size_mul(*numbers, count, numbers))
            return bad_tensor(path, t->name, "has a shape of more numbers than there are bytes");
        if (i < 2)
            t->shape[i] = count;
    }
    return RH_OK;
}

static rh_status take_tensor(const char *path, const char *name, const json_t *entry,
                             struct tensor *t) {
    t->name = name;
    t->dtype_name = json_string_value(json_object_get(entry, "dtype"));
    if (t->dtype_name == NULL)
        return bad_tensor(path, name, "has no dtype");
    t->dtype = find_dtype(t->dtype_name);
    uint64_t numbers = 0, bits;
    rh_status s = take_shape(path, t, json_object_get(entry, "shape"), &numbers);
    if (s != RH_OK)
        return s;
    const json_t *offsets = json_object_get(entry, "data_offsets");
    if (json_array_size(offsets) != 2 || !take_count(json_array_get(offsets, 0), &t->begin) ||
        !take_count(json_array_get(offsets, 1), &t->end) || t->begin > t->end)
        return bad_tensor(path, name, "has no data_offsets [begin, end]");
    if (t->dtype == NULL)
        return RH_OK;
    if (!size_mul(numbers, t->dtype->bits, &bits) || bits % 8 != 0 || bits / 8 != t->end - t->begin)
        return bad_tensor(path, name, "has data_offsets that are not of its shape and dtype");
    return RH_OK;
}

static rh_status check_metadata(const char *path, json_t *metadata) {
    const char *key;
    json_t *value;
    if (!json_is_object(metadata))
        return err_set(RH_ECORRUPT, "%s: __metadata__ is no object", path);
    json_object_foreach(metadata, key, value) {
        if (!json_is_string(value))
            return err_set(RH_ECORRUPT, "%s: __metadata__ holds what is no string, under '%s'",
                           path, show(key).text);
    }
    return RH_OK;
}

/* ---- the header ---- */

static int by_offset(const void *a, const void *b) {
    const struct tensor *x = a, *y = b;
    if (x->begin != y->begin)
        return x->begin < y->begin ? -1 : 1;
    return x->end < y->end ? -1 : x->end > y->end;
}

/* Each begins where the one before it ends, and the last ends with the file. */
static rh_status check_offsets(const char *path, const struct tensors *all, uint64_t buffer_bytes) {
    uint64_t at = 0;
    for (size_t i = 0; i < all->n; i++) {
        if (all->at[i].begin != at)
            return err_set(RH_ECORRUPT,
                           "%s: tensor '%s' begins at byte %" PRIu64 " of the buffer; the one "
                           "before it ends at %" PRIu64,
                           path, show(all->at[i].name).text, all->at[i].begin, at);
        at = all->at[i].end;
    }
    if (at != buffer_bytes)
        return err_set(RH_ECORRUPT,
                       "%s has a buffer of %" PRIu64 " bytes; its tensors have %" PRIu64, path,
                       buffer_bytes, at);
    return RH_OK;
}

static rh_status take_tensors(const char *path, json_t *header, struct tensors *all) {
    const char *name;
    json_t *entry;
    all->at = calloc(json_object_size(header) + 1, sizeof *all->at);
    if (all->at == NULL)
        return err_set(RH_ENOMEM, "no memory for the header of %s", path);
    json_object_foreach(header, name, entry) {
        rh_status s = strcmp(name, "__metadata__") == 0
                          ? check_metadata(path, entry)
                          : take_tensor(path, name, entry, &all->at[all->n++]);
        if (s != RH_OK)
            return s;
    }
    qsort(all->at, all->n, sizeof *all->at, by_offset);
    return RH_OK;
}

/* ---- which tensor ---- */

static bool is_table(const struct tensor *t) {
    return t->dims == 2 && t->dtype != NULL && t->dtype->read;
}

static const struct tensor *find_named(const struct tensors *all, const char *name) {
    for (size_t i = 0; i < all->n; i++)
        if (strcmp(all->at[i].name, name) == 0)
            return &all->at[i];
    return NULL;
}

/* "a, b, c": the tensors there are, or the tables alone. */
static void list_names(const struct tensors *all, bool tables, char out[NAMES_MAX]) {
    size_t len = 0;
    out[0] = '\0';
    for (size_t i = 0; i < all->n; i++) {
        if (tables && !is_table(&all->at[i]))
            continue;
        struct shown name = show(all->at[i].name);
        if (len + strlen(name.text) + sizeof ", ..." > NAMES_MAX) {
            snprintf(out + len, NAMES_MAX - len, ", ...");
            return;
        }
        len += (size_t)snprintf(out + len, NAMES_MAX - len, "%s%s", len > 0 ? ", " : "", name.text);
    }
}

static rh_status choose(const char *path, const struct tensors *all, const char *asked,
                        const struct tensor **out) {
    char names[NAMES_MAX];
    const struct tensor *found = asked != NULL ? find_named(all, asked) : NULL;
    if (asked != NULL && found == NULL) {
        list_names(all, false, names);
        return err_set(RH_ENOTFOUND, "%s has no tensor '%s'; it has: %s", path, asked, names);
    }
    size_t tables = 0;
    for (size_t i = 0; i < all->n && asked == NULL; i++) {
        if (!is_table(&all->at[i]))
            continue;
        found = &all->at[i];
        tables++;
    }
    if (tables > 1) {
        list_names(all, true, names);
        return err_set(RH_EINVAL, "%s has several tables, say which tensor: %s", path, names);
    }
    if (found == NULL) {
        list_names(all, false, names);
        return err_set(RH_EINVAL, "%s has no tensor of floats with two dimensions; it has: %s",
                       path, names);
    }
    *out = found;
    return RH_OK;
}

static rh_status use(struct vec_reader *r, const struct tensor *t, uint64_t buffer_at) {
    struct shown name = show(t->name);
    if (t->dtype == NULL || !t->dtype->read)
        return err_set(RH_EINVAL, "%s: tensor '%s' is of type %s; F32, F16, BF16 and F64 are read",
                       r->in.path, name.text, show(t->dtype_name).text);
    if (t->dims != 2)
        return err_set(RH_EINVAL,
                       "%s: tensor '%s' has %" PRIu64 " dimensions; a table has two, (rows, "
                       "numbers in a row)",
                       r->in.path, name.text, t->dims);
    if (t->shape[1] == 0 || t->shape[1] > VEC_DIM_MAX)
        return err_set(RH_EINVAL,
                       "%s: tensor '%s' has rows of %" PRIu64 " numbers; 1 to %d are read",
                       r->in.path, name.text, t->shape[1], VEC_DIM_MAX);
    r->rows = t->shape[0];
    r->dim = (uint32_t)t->shape[1];
    r->array.type = t->dtype->type;
    r->data = buffer_at + t->begin;
    snprintf(r->note, sizeof r->note, ", tensor '%s', %s", name.text, t->dtype->name);
    return vec_array_begin(r);
}

/* ---- reading ---- */

static rh_status use_header(struct vec_reader *r, json_t *header, const char *asked,
                            uint64_t buffer_at) {
    struct tensors all = {0};
    const struct tensor *chosen = NULL;
    rh_status s = take_tensors(r->in.path, header, &all);
    if (s == RH_OK)
        s = check_offsets(r->in.path, &all, r->in.size_bytes - buffer_at);
    if (s == RH_OK)
        s = choose(r->in.path, &all, asked, &chosen);
    if (s == RH_OK)
        s = use(r, chosen, buffer_at);
    free(all.at);
    return s;
}

/* The header's text, len bytes, in front of the reader. */
static rh_status want_header(struct vec_reader *r, uint64_t *len) {
    rh_status s = infile_want(&r->in, LENGTH_BYTES + 1);
    if (s != RH_OK)
        return s;
    const char *p = infile_here(&r->in);
    if (infile_left(&r->in) < LENGTH_BYTES + 1 || p[LENGTH_BYTES] != '{')
        return err_set(RH_ECORRUPT,
                       "%s is no safetensors file: it does not begin with a length and {",
                       r->in.path);
    memcpy(len, p, LENGTH_BYTES);
    if (*len > HEADER_MAX || *len > r->in.size_bytes - LENGTH_BYTES)
        return err_set(RH_ECORRUPT,
                       "%s byte 0: a header of %" PRIu64 " bytes; the limit is %d, and the file "
                       "has %" PRIu64,
                       r->in.path, *len, HEADER_MAX, r->in.size_bytes);
    r->in.from += LENGTH_BYTES;
    s = infile_want(&r->in, (size_t)*len);
    if (s == RH_OK && infile_left(&r->in) < *len)
        s = err_set(RH_ECORRUPT, "%s ends within its header", r->in.path);
    return s;
}

static rh_status safetensors_begin(struct vec_reader *r, const struct vec_options *o) {
    uint64_t len = 0;
    rh_status s = want_header(r, &len);
    if (s != RH_OK)
        return s;
    const char *text = infile_here(&r->in);
    size_t json_len = (size_t)len;
    while (json_len > 0 && text[json_len - 1] == ' ')
        json_len--;
    if (json_len > JSON_MAX)
        return err_set(RH_ELIMIT, "%s byte 0: a header of %zu bytes; headers up to %d are read",
                       r->in.path, json_len, JSON_MAX);
    json_error_t why;
    json_t *header = json_loadb(text, json_len, JSON_REJECT_DUPLICATES, &why);
    if (header == NULL)
        return err_set(RH_ECORRUPT, "%s byte %d: the header is wrong here: %s", r->in.path,
                       LENGTH_BYTES + why.position, why.text);
    s = json_is_object(header) ? use_header(r, header, o->tensor, LENGTH_BYTES + len)
                               : err_set(RH_ECORRUPT, "%s: the header is no object", r->in.path);
    json_decref(header);
    return s;
}

/* ---- writing ---- */

static rh_status safetensors_put_header(struct vec_writer *w) {
    uint64_t bytes;
    if (!size_mul3(w->rows, w->dim, sizeof(float), &bytes) || bytes > INT64_MAX)
        return err_set(RH_EINVAL, "%s: %" PRIu64 " rows are too many", w->out.path, w->rows);
    /* jansson packs a key as it comes. */
    if (strcmp(w->tensor, "__metadata__") == 0 ||
        utf8_check(w->tensor, strlen(w->tensor)) != UTF8_GOOD)
        return err_set(RH_EINVAL, "%s: '%s' is no name for a tensor", w->out.path,
                       show(w->tensor).text);
    json_t *header = json_pack("{s:{s:s, s:[I, I], s:[I, I]}}", w->tensor, "dtype", "F32", "shape",
                               (json_int_t)w->rows, (json_int_t)w->dim, "data_offsets",
                               (json_int_t)0, (json_int_t)bytes);
    char *text = header != NULL ? json_dumps(header, JSON_COMPACT) : NULL;
    json_decref(header);
    if (text == NULL)
        return err_set(RH_ENOMEM, "no memory for the header of %s", w->out.path);
    size_t len = strlen(text);
    uint64_t padded = (len + 7) / 8 * 8;
    rh_status s = outfile_write(&w->out, &padded, sizeof padded);
    if (s == RH_OK)
        s = outfile_write(&w->out, text, len);
    if (s == RH_OK)
        s = outfile_write(&w->out, "        ", (size_t)padded - len);
    free(text);
    return s;
}

const struct vec_ops vec_safetensors = {
    .format = VEC_SAFETENSORS,
    .name = "safetensors",
    .ending = ".safetensors",
    .has_words = false,
    .begin = safetensors_begin,
    .next = vec_array_next,
    .row = vec_array_row,
    .next_rows = vec_array_next_rows,
    .end = vec_array_end,
    .put_header = safetensors_put_header,
    .put = vec_array_put,
};
