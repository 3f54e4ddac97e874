/* vec_sniff.c - what a file is, told from its first bytes and never from its name. Kinds that people
 * have lying beside their vectors are known too, to say what to do instead. */
#include <inttypes.h>
#include <string.h>

#include "common/err.h"
#include "common/floattext.h"
#include "common/vec_inner.h"

enum { HEAD_BYTES = 64 << 10 };

struct head {
    const char *p;
    size_t n;
    uint64_t size_bytes; /* of the whole file */
};

/* ---- what is not read ---- */

static const struct foreign {
    const char *magic;
    size_t len;
    const char *text;
} foreigners[] = {
#define MAGIC(bytes, text) \
    { bytes, sizeof(bytes) - 1, text }
    MAGIC("\xBA\x16\x4F\x2F", "is a model of fastText (.bin): load the .vec file that it wrote "
                              "beside it"),
    MAGIC("\x80\x02", "is a pickle, which is a program, and is not read: save the vectors with "
                      "gensim's save_word2vec_format() or numpy.save()"),
    MAGIC("\x80\x03", "is a pickle, which is a program, and is not read: save the vectors with "
                      "gensim's save_word2vec_format() or numpy.save()"),
    MAGIC("\x80\x04", "is a pickle, which is a program, and is not read: save the vectors with "
                      "gensim's save_word2vec_format() or numpy.save()"),
    MAGIC("\x80\x05", "is a pickle, which is a program, and is not read: save the vectors with "
                      "gensim's save_word2vec_format() or numpy.save()"),
    MAGIC("PK\x03\x04", "is a zip archive: of an .npz unpack the .npy that you want; of what "
                        "torch.save() wrote, save the weight with numpy.save() or safetensors"),
    MAGIC("\x1F\x8B", "is packed with gzip: gunzip it first"),
    MAGIC("\xFD"
          "7zXZ",
          "is packed with xz: unxz it first"),
    MAGIC("BZh", "is packed with bzip2: bunzip2 it first"),
    MAGIC("\x28\xB5\x2F\xFD", "is packed with zstd: unzstd it first"),
    MAGIC("\x89HDF", "is an HDF5 file: save the array with numpy.save()"),
    MAGIC("\xEF\xBB\xBF", "begins with a byte order mark: take its first three bytes away"),
#undef MAGIC
};

static bool begins_with(const struct head *h, const char *bytes, size_t len) {
    return h->n >= len && memcmp(h->p, bytes, len) == 0;
}

static rh_status refuse_foreigners(const char *path, const struct head *h) {
    for (size_t i = 0; i < sizeof foreigners / sizeof *foreigners; i++)
        if (begins_with(h, foreigners[i].magic, foreigners[i].len))
            return err_set(RH_EINVAL, "%s %s", path, foreigners[i].text);
    return RH_OK;
}

static rh_status refuse(const char *path, const struct head *h, bool is_text) {
    if (h->n == 0)
        return err_set(RH_ECORRUPT, "%s is empty", path);
    if (h->p[0] == '{')
        return err_set(RH_EINVAL,
                       "%s is JSON: if it is the index of several safetensors files, load the one "
                       "that its weight_map names for the tensor",
                       path);
    /* GloVe's is doubles: two tables of words, each with dim numbers and a bias. */
    if (!is_text && h->size_bytes % (2 * sizeof(double)) == 0)
        return err_set(RH_EINVAL,
                       "%s is no text: if it is GloVe's binary form, which has no words in it, "
                       "load the .txt of the same run",
                       path);
    return err_set(RH_ECORRUPT,
                   "%s is none of the files of vectors that are read: .npy, safetensors, word2vec "
                   "text or binary, GloVe text, fastText .vec",
                   path);
}

/* ---- what is ---- */

static bool is_npy(const struct head *h) {
    return begins_with(h, "\x93NUMPY", 6);
}

/* The length of a header, as eight bytes of which the last is 0 in any file there can be, then {.
 * All ones: a length to be refused by its reader, who names it. */
static bool is_safetensors(const struct head *h) {
    return h->n > 8 && h->p[8] == '{' && (h->p[7] == 0 || h->p[7] == '\xFF');
}

/* A byte that text does not have. Some float among the many has one. */
static bool is_binary(const char *p, size_t n) {
    for (size_t i = 0; i < n; i++)
        if ((unsigned char)p[i] < ' ' && p[i] != '\t' && p[i] != '\n' && p[i] != '\r')
            return true;
    return false;
}

/* The line that begins at p: its bytes, without its end. */
static size_t line_length(const char *p, size_t n) {
    const char *end = memchr(p, '\n', n);
    size_t len = end != NULL ? (size_t)(end - p) : n;
    return len > 0 && p[len - 1] == '\r' ? len - 1 : len;
}

static bool ends_in_a_number(const char *p, size_t len) {
    while (len > 0 && p[len - 1] == ' ')
        len--;
    const char *space = memrchr(p, ' ', len);
    float v;
    return space != NULL && floattext_read(space + 1, p + len, &v) == p + len;
}

/* Both end a row with a space; word2vec has six decimals always, fastText five digits or fewer. */
static bool is_fasttext(const char *row, size_t len) {
    if (len == 0 || row[len - 1] != ' ')
        return false;
    const char *end = row + len, *p = memchr(row, ' ', len);
    while (p + 1 < end) {
        const char *next = memchr(p + 1, ' ', (size_t)(end - p - 1));
        const char *point = memchr(p + 1, '.', (size_t)(next - p - 1));
        if (point == NULL || next - point - 1 != 6)
            return true;
        p = next;
    }
    return false;
}

static enum vec_format format_with_header(const struct head *h) {
    const char *newline = memchr(h->p, '\n', h->n);
    if (newline == NULL)
        return VEC_W2V;
    const char *rest = newline + 1;
    size_t n = h->n - (size_t)(rest - h->p);
    if (is_binary(rest, n))
        return VEC_W2V_BIN;
    return is_fasttext(rest, line_length(rest, n)) ? VEC_FASTTEXT : VEC_W2V;
}

static enum vec_format format_of(const struct head *h, bool is_text) {
    if (is_npy(h))
        return VEC_NPY;
    if (is_safetensors(h))
        return VEC_SAFETENSORS;
    uint64_t rows, dim;
    size_t len = line_length(h->p, h->n);
    if (vec_text_header(h->p, len, &rows, &dim))
        return format_with_header(h);
    return is_text && ends_in_a_number(h->p, len) ? VEC_GLOVE : VEC_AUTO;
}

rh_status vec_sniff(struct infile *in, enum vec_format asked, enum vec_format *out) {
    rh_status s = infile_want(in, HEAD_BYTES);
    if (s != RH_OK)
        return s;
    struct head h = {.p = infile_here(in), .n = infile_left(in), .size_bytes = in->size_bytes};
    if (h.n > HEAD_BYTES)
        h.n = HEAD_BYTES;
    s = refuse_foreigners(in->path, &h);
    if (s != RH_OK)
        return s;
    bool is_text = !is_binary(h.p, h.n);
    enum vec_format format = asked != VEC_AUTO ? asked : format_of(&h, is_text);
    if (format == VEC_AUTO)
        return refuse(in->path, &h, is_text);
    *out = format;
    return RH_OK;
}
