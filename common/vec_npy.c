/* vec_npy.c - numpy's .npy: magic, version, length of the header, a Python dict as text, then the
 * numbers. Read are versions 1 to 3 with little-endian float32 in C order and two dimensions; the
 * dict is parsed, never evaluated, and its keys may come in any order. */
#include <inttypes.h>
#include <math.h>
#include <string.h>

#include "common/err.h"
#include "common/kern.h"
#include "common/size.h"
#include "common/vec_inner.h"

/* Rows go to and from the file as they lie in memory. */
_Static_assert(__BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__, "a little-endian machine");

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
        return err_set(RH_EINVAL, "%s holds records; only plain float32 (<f4) is read", c->path);
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

/* Whether what the header says is a table of vectors that can be read. */
static rh_status judge(const struct vec_reader *r, const struct header *h) {
    if (strchr(h->descr, 'O') != NULL)
        return err_set(RH_EINVAL,
                       "%s holds pickled Python objects: such a file is a program, and is "
                       "not read",
                       r->path);
    if (strcmp(h->descr, "<f4") != 0)
        return err_set(RH_EINVAL,
                       "%s holds %s, only little-endian float32 (<f4) is read: save it "
                       "with astype('<f4')",
                       r->path, h->descr);
    if (h->fortran_order)
        return err_set(RH_EINVAL,
                       "%s is in Fortran order, column by column: save it with "
                       "numpy.ascontiguousarray()",
                       r->path);
    if (h->dims != 2)
        return err_set(RH_EINVAL,
                       "%s has shape %.*s; a table has two dimensions, (rows, numbers in "
                       "a row)",
                       r->path, h->shape_len, h->shape_text);
    if (h->shape[1] == 0 || h->shape[1] > VEC_DIM_MAX)
        return err_set(RH_EINVAL, "%s has shape %.*s; rows of 1 to %d numbers are read", r->path,
                       h->shape_len, h->shape_text, VEC_DIM_MAX);
    return RH_OK;
}

/* ---- reading ---- */

static bool npy_sniff(const uint8_t *head, size_t n) {
    return n >= MAGIC_LEN && memcmp(head, magic, MAGIC_LEN) == 0;
}

static rh_status read_exactly(struct vec_reader *r, void *p, size_t n) {
    if (fread(p, 1, n, r->f) == n)
        return RH_OK;
    if (ferror(r->f))
        return err_sys(RH_EIO, "cannot read %s", r->path);
    return err_set(RH_ECORRUPT, "%s ends too early, after %" PRIu64 " of its rows", r->path,
                   r->done);
}

/* The header's text, 0-terminated, and where in the file it lies. */
static rh_status read_text(struct vec_reader *r, char text[HEAD_MAX + 1], size_t *offset) {
    uint8_t head[MAGIC_LEN + 2] = {0};
    size_t got = fread(head, 1, sizeof head, r->f);
    if (!npy_sniff(head, got) && !ferror(r->f))
        return err_set(RH_ECORRUPT, "%s is no .npy file: it does not begin with \\x93NUMPY",
                       r->path);
    unsigned major = head[MAGIC_LEN], minor = head[MAGIC_LEN + 1];
    if (got == sizeof head && (major < 1 || major > 3 || minor != 0))
        return err_set(RH_EINVAL, "%s is of .npy version %u.%u; 1.0, 2.0 and 3.0 are read", r->path,
                       major, minor);
    size_t width = major == 1 ? 2 : 4;
    uint32_t len = 0;
    rh_status st = read_exactly(r, &len, width);
    if (st == RH_OK && len > HEAD_MAX)
        st = err_set(RH_ECORRUPT, "%s byte %zu: the header has %" PRIu32 " bytes; the limit is %d",
                     r->path, sizeof head, len, HEAD_MAX);
    if (st == RH_OK)
        st = read_exactly(r, text, len);
    if (st != RH_OK)
        return st;
    *offset = sizeof head + width;
    text[len] = '\0';
    if (strlen(text) != len)
        st = err_set(RH_ECORRUPT, "%s byte %zu: the header holds a 0", r->path,
                     *offset + strlen(text));
    return st;
}

static rh_status npy_begin(struct vec_reader *r) {
    char text[HEAD_MAX + 1];
    struct cursor c = {.path = r->path, .text = text, .p = text};
    struct header h = {0};
    rh_status st = read_text(r, text, &c.offset);
    if (st == RH_OK)
        st = take_dict(&c, &h);
    if (st == RH_OK)
        st = judge(r, &h);
    if (st != RH_OK)
        return st;
    size_t data = c.offset + strlen(text), bytes, all;
    if (!size_mul3(h.shape[0], h.shape[1], sizeof(float), &bytes) || !size_add(data, bytes, &all) ||
        all != r->size_bytes)
        return err_set(RH_ECORRUPT,
                       "%s has %" PRIu64 " bytes, which is not its header of %zu and a "
                       "float32 array of shape %.*s",
                       r->path, r->size_bytes, data, h.shape_len, h.shape_text);
    r->rows = h.shape[0];
    r->dim = (uint32_t)h.shape[1];
    return RH_OK;
}

static rh_status npy_next(struct vec_reader *r, const char **word, float *row) {
    rh_status st = read_exactly(r, row, r->dim * sizeof *row);
    if (st != RH_OK)
        return st;
    if (!kern_all_finite(r->dim, row)) {
        uint64_t bytes_left = (r->rows - r->done) * r->dim * sizeof *row;
        uint32_t i = 0;
        while (isfinite(row[i]))
            i++;
        return err_set(RH_ECORRUPT, "%s byte %" PRIu64 ": number %u of row %" PRIu64 " is %s",
                       r->path, r->size_bytes - bytes_left + i * sizeof *row, i, r->done,
                       isnan(row[i]) ? "NaN" : "infinite");
    }
    *word = "";
    return RH_OK;
}

static rh_status npy_end(struct vec_reader *r) {
    if (fgetc(r->f) == EOF)
        return RH_OK;
    return err_set(RH_ECORRUPT, "%s has grown while it was read", r->path);
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

static rh_status npy_put(struct vec_writer *w, const char *word, const float *row) {
    (void)word;
    return outfile_write(&w->out, row, w->dim * sizeof *row);
}

const struct vec_ops vec_npy = {
    .format = VEC_NPY,
    .sniff = npy_sniff,
    .begin = npy_begin,
    .next = npy_next,
    .end = npy_end,
    .put_header = npy_put_header,
    .put = npy_put,
};
