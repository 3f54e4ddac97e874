/* vec_npy.c - numpy's .npy: magic, version, length of the header, a Python dict as text, then the
 * numbers. Read are versions 1 to 3 with floats of 2, 4 or 8 bytes of either byte order, two
 * dimensions, C or Fortran order; the dict is parsed, never evaluated, and its keys may come in any
 * order. */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "common/err.h"
#include "common/size.h"
#include "common/vec_inner.h"

static const char magic[] = "\x93NUMPY";
enum { MAGIC_LEN = 6, HEAD_MAX = 10000, ALIGN = 64 }; /* numpy refuses longer headers too */

/* ---- the header's text ---- */

struct header {
    char descr[16];
    bool fortran_order;
    const char *shape_text; /* "(3, 4)", not terminated */
    int shape_len;
    int dims;
    uint64_t shape[2]; /* the first two */
};

struct cursor {
    const char *path;
    const char *text, *p; /* ends with a 0 */
    size_t offset;        /* of text in the file */
};

static rh_status expected(const struct cursor *c, const char *what) {
    return err_set(RH_ECORRUPT, "%s byte %zu: the header should have %s here", c->path,
                   c->offset + (size_t)(c->p - c->text), what);
}

static void skip_space(struct cursor *c) {
    c->p += strspn(c->p, " \t\r\n");
}

static bool take(struct cursor *c, const char *word) {
    skip_space(c);
    size_t len = strlen(word);
    if (strncmp(c->p, word, len) != 0)
        return false;
    c->p += len;
    return true;
}

/* 'text' or "text": less than cap bytes of plain ASCII without escapes, fit for a message. */
static bool take_string(struct cursor *c, char *out, size_t cap) {
    skip_space(c);
    const char quote = *c->p;
    if (quote != '\'' && quote != '"')
        return false;
    const char *start = c->p + 1, *end = start;
    while (*end >= ' ' && *end < 0x7F && *end != '\\' && *end != quote)
        end++;
    if (*end != quote || (size_t)(end - start) >= cap)
        return false;
    memcpy(out, start, (size_t)(end - start));
    out[end - start] = '\0';
    c->p = end + 1;
    return true;
}

static bool take_count(struct cursor *c, uint64_t *out) {
    skip_space(c);
    uint64_t v = 0;
    const char *start = c->p;
    for (; *c->p >= '0' && *c->p <= '9'; c->p++)
        if (__builtin_mul_overflow(v, 10, &v) || __builtin_add_overflow(v, *c->p - '0', &v))
            return false;
    if (c->p == start)
        return false;
    take(c, "L"); /* Python 2 wrote 3L */
    *out = v;
    return true;
}

static rh_status take_shape(struct cursor *c, struct header *h) {
    if (!take(c, "("))
        return expected(c, "a shape such as (3, 4)");
    h->shape_text = c->p - 1;
    while (!take(c, ")")) {
        uint64_t count;
        if (!take_count(c, &count))
            return expected(c, "a count");
        if (h->dims < 2)
            h->shape[h->dims] = count;
        h->dims++;
        skip_space(c);
        if (!take(c, ",") && *c->p != ')')
            return expected(c, "a comma or )");
    }
    h->shape_len = (int)(c->p - h->shape_text);
    return RH_OK;
}

static rh_status take_value(struct cursor *c, const char *key, struct header *h) {
    if (strcmp(key, "shape") == 0)
        return take_shape(c, h);
    if (strcmp(key, "fortran_order") == 0) {
        h->fortran_order = take(c, "True");
        return h->fortran_order || take(c, "False") ? RH_OK : expected(c, "True or False");
    }
    skip_space(c);
    if (*c->p == '[')
        return err_set(RH_EINVAL, "%s holds records; only plain floats (f2, f4, f8) are read",
                       c->path);
    return take_string(c, h->descr, sizeof h->descr) ? RH_OK : expected(c, "a type such as '<f4'");
}

static rh_status take_dict(struct cursor *c, struct header *h) {
    static const char *const keys[] = {"descr", "fortran_order", "shape"};
    bool seen[3] = {false};
    if (!take(c, "{"))
        return expected(c, "{");
    while (!take(c, "}")) {
        char key[16] = "";
        size_t k = 0;
        skip_space(c);
        struct cursor before = *c;
        if (take_string(c, key, sizeof key))
            while (k < 3 && strcmp(key, keys[k]) != 0)
                k++;
        if (key[0] == '\0' || k == 3 || seen[k])
            return expected(&before, "'descr', 'fortran_order' or 'shape', each once,");
        seen[k] = true;
        if (!take(c, ":"))
            return expected(c, "a colon");
        rh_status st = take_value(c, key, h);
        if (st != RH_OK)
            return st;
        skip_space(c);
        if (!take(c, ",") && *c->p != '}')
            return expected(c, "a comma or }");
    }
    for (size_t k = 0; k < 3; k++)
        if (!seen[k])
            return err_set(RH_ECORRUPT, "%s: the header does not say '%s'", c->path, keys[k]);
    skip_space(c);
    return *c->p == '\0' ? RH_OK : expected(c, "its end");
}

/* "<f4": the byte order, f, the bytes of a number. */
static bool take_type(struct vec_reader *r, const char *descr) {
    static const char *const types[] = {"f2", "f4", "f8"};
    static const enum numtype numtypes[] = {NUMTYPE_F16, NUMTYPE_F32, NUMTYPE_F64};
    if (*descr != '<' && *descr != '>')
        return false;
    for (int i = 0; i < 3; i++) {
        if (strcmp(descr + 1, types[i]) != 0)
            continue;
        r->array.type = numtypes[i];
        r->array.big = *descr == '>';
        return true;
    }
    return false;
}

/* Whether what the header says is a table of vectors that can be read. */
static rh_status judge(struct vec_reader *r, const struct header *h) {
    const char *path = r->in.path;
    if (strchr(h->descr, 'O') != NULL)
        return err_set(RH_EINVAL,
                       "%s holds pickled Python objects: such a file is a program, and is "
                       "not read",
                       path);
    if (!take_type(r, h->descr))
        return err_set(RH_EINVAL,
                       "%s holds %s; floats of 2, 4 and 8 bytes are read (f2, f4, f8): save it "
                       "with astype('<f4')",
                       path, h->descr);
    if (h->dims != 2)
        return err_set(RH_EINVAL,
                       "%s has shape %.*s; a table has two dimensions, (rows, numbers in "
                       "a row)",
                       path, h->shape_len, h->shape_text);
    if (h->shape[1] == 0 || h->shape[1] > VEC_DIM_MAX)
        return err_set(RH_EINVAL, "%s has shape %.*s; rows of 1 to %d numbers are read", path,
                       h->shape_len, h->shape_text, VEC_DIM_MAX);
    r->array.fortran = h->fortran_order;
    r->rows = h->shape[0];
    r->dim = (uint32_t)h->shape[1];
    snprintf(r->note, sizeof r->note, ", %s, %s order", h->descr,
             h->fortran_order ? "Fortran" : "C");
    return RH_OK;
}

/* ---- reading ---- */

/* The next n bytes of the header. */
static rh_status take_bytes(struct vec_reader *r, size_t n, char **out) {
    rh_status s = infile_want(&r->in, n);
    if (s == RH_OK && infile_left(&r->in) < n)
        s = err_set(RH_ECORRUPT, "%s ends at byte %" PRIu64 ", within its header", r->in.path,
                    r->in.size_bytes);
    if (s != RH_OK)
        return s;
    *out = infile_here(&r->in);
    r->in.from += n;
    return RH_OK;
}

/* The header's text, 0-terminated in a copy, and where in the file it lies. */
static rh_status take_text(struct vec_reader *r, char text[HEAD_MAX + 1], size_t *offset) {
    rh_status s = infile_want(&r->in, MAGIC_LEN);
    if (s != RH_OK)
        return s;
    if (infile_left(&r->in) < MAGIC_LEN || memcmp(infile_here(&r->in), magic, MAGIC_LEN) != 0)
        return err_set(RH_ECORRUPT, "%s is no .npy file: it does not begin with \\x93NUMPY",
                       r->in.path);
    char *head, *bytes;
    s = take_bytes(r, MAGIC_LEN + 2, &head);
    if (s != RH_OK)
        return s;
    unsigned major = (uint8_t)head[MAGIC_LEN], minor = (uint8_t)head[MAGIC_LEN + 1];
    if (major < 1 || major > 3 || minor != 0)
        return err_set(RH_EINVAL, "%s is of .npy version %u.%u; 1.0, 2.0 and 3.0 are read",
                       r->in.path, major, minor);
    size_t width = major == 1 ? 2 : 4;
    s = take_bytes(r, width, &bytes);
    if (s != RH_OK)
        return s;
    uint32_t len = 0;
    memcpy(&len, bytes, width);
    if (len > HEAD_MAX)
        return err_set(RH_ECORRUPT, "%s byte %d: the header has %" PRIu32 " bytes; the limit is %d",
                       r->in.path, MAGIC_LEN + 2, len, HEAD_MAX);
    s = take_bytes(r, len, &bytes);
    if (s != RH_OK)
        return s;
    memcpy(text, bytes, len);
    text[len] = '\0';
    *offset = MAGIC_LEN + 2 + width;
    if (strlen(text) != len)
        s = err_set(RH_ECORRUPT, "%s byte %zu: the header holds a 0", r->in.path,
                    *offset + strlen(text));
    return s;
}

static rh_status npy_begin(struct vec_reader *r, const struct vec_options *o) {
    (void)o;
    char text[HEAD_MAX + 1];
    struct cursor c = {.path = r->in.path, .text = text, .p = text};
    struct header h = {0};
    rh_status s = take_text(r, text, &c.offset);
    if (s == RH_OK)
        s = take_dict(&c, &h);
    if (s == RH_OK)
        s = judge(r, &h);
    if (s != RH_OK)
        return s;
    r->data = c.offset + strlen(text);
    size_t bytes, all;
    if (!size_mul3(r->rows, r->dim, numtype_bytes(r->array.type), &bytes) ||
        !size_add(r->data, bytes, &all) || all != r->in.size_bytes)
        return err_set(RH_ECORRUPT,
                       "%s has %" PRIu64 " bytes, which is not its header of %" PRIu64
                       " and an array of %s of shape %.*s",
                       r->in.path, r->in.size_bytes, r->data, h.descr, h.shape_len, h.shape_text);
    return vec_array_begin(r);
}

/* ---- writing ---- */

static rh_status npy_put_header(struct vec_writer *w) {
    char head[4 * ALIGN];
    const size_t start = MAGIC_LEN + 4; /* behind the version and the length */
    int len =
        snprintf(head + start, sizeof head - start,
                 "{'descr': '<f4', 'fortran_order': False, 'shape': (%" PRIu64 ", %" PRIu32 "), }",
                 w->rows, w->dim);
    size_t end = start + (size_t)len, all = (end + 1 + ALIGN - 1) / ALIGN * ALIGN;
    memset(head + end, ' ', all - end);
    head[all - 1] = '\n';
    uint16_t text_len = (uint16_t)(all - start);
    memcpy(head, "\x93NUMPY\x01\x00", start - sizeof text_len);
    memcpy(head + start - sizeof text_len, &text_len, sizeof text_len);
    return outfile_write(&w->out, head, all);
}

const struct vec_ops vec_npy = {
    .format = VEC_NPY,
    .name = "npy",
    .ending = ".npy",
    .has_words = false,
    .begin = npy_begin,
    .next = vec_array_next,
    .row = vec_array_row,
    .next_rows = vec_array_next_rows,
    .end = vec_array_end,
    .put_header = npy_put_header,
    .put = vec_array_put,
};
