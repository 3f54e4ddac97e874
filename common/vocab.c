/* vocab.c - see vocab.h. */
#include "common/vocab.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "common/err.h"
#include "common/hash.h"
#include "common/idset.h"
#include "common/infile.h"
#include "common/utf8.h"
#include "common/vecfile.h"

#define BYTES_MAX ((uint64_t)1 << 31)

struct entry {
    uint64_t id;
    const char *word; /* in the text */
};

struct vocab_file {
    struct infile in;      /* its buffer, from .. to, is the text */
    struct entry *entries; /* (n) */
    uint32_t n;
    bool has_ids;
    struct idset words, ids; /* hash64 of entry i's word is member i; so is its id */
};

static rh_status bad_line(const struct vocab_file *v, const char *what) {
    return err_set(RH_ECORRUPT, "%s line %" PRIu32 ": %s", v->in.path, v->n + 1, what);
}

/* ---- reading ---- */

static rh_status read_all(struct vocab_file *v) {
    if (v->in.size_bytes > BYTES_MAX)
        return err_set(RH_ELIMIT, "%s: a vocabulary of %" PRIu64 " bytes; the limit is %" PRIu64,
                       v->in.path, v->in.size_bytes, BYTES_MAX);
    rh_status s = infile_want(&v->in, (size_t)v->in.size_bytes);
    if (s != RH_OK)
        return s;
    char *text = infile_here(&v->in);
    size_t n = (size_t)v->in.size_bytes < infile_left(&v->in) ? (size_t)v->in.size_bytes
                                                              : infile_left(&v->in);
    while (n > 0 && (text[n - 1] == '\n' || text[n - 1] == '\r'))
        n--;
    v->in.to = v->in.from + n;
    /* Some editors begin a text with a byte order mark, which nobody sees: the first word would be
     * missed. */
    if (n >= 3 && memcmp(text, "\xEF\xBB\xBF", 3) == 0)
        v->in.from += 3;
    return RH_OK;
}

static size_t count_lines(const struct vocab_file *v) {
    const char *p = infile_here(&v->in), *end = p + infile_left(&v->in);
    size_t lines = p < end;
    while ((p = memchr(p, '\n', (size_t)(end - p))) != NULL) {
        lines++;
        p++;
    }
    return lines;
}

/* Digits and nothing else, up to end. */
static bool take_id(const char *p, const char *end, uint64_t *out) {
    uint64_t id = 0;
    for (const char *c = p; c < end; c++)
        if (*c < '0' || *c > '9' || __builtin_mul_overflow(id, 10, &id) ||
            __builtin_add_overflow(id, (uint64_t)(*c - '0'), &id))
            return false;
    *out = id;
    return p < end;
}

static rh_status take_word(struct vocab_file *v, char *word, size_t len) {
    if (len == 0 || len >= VEC_WORD_MAX)
        return bad_line(v, "a word has 1 to 1023 bytes");
    enum utf8 utf8 = utf8_check(word, len);
    if (utf8 == UTF8_BAD || (utf8 == UTF8_CUT && len < VEC_WORD_CUT) ||
        memchr(word, 0, len) != NULL)
        return bad_line(v, "the word is no UTF-8 text");
    word[len] = '\0';
    uint32_t known = idset_add(&v->words, hash64(word, len));
    if (known == v->n)
        return RH_OK;
    if (strcmp(v->entries[known].word, word) != 0)
        return bad_line(v, "the word cannot be told from another one");
    return err_set(RH_ECORRUPT, "%s line %" PRIu32 ": the word stands on line %" PRIu32 " already",
                   v->in.path, v->n + 1, known + 1);
}

static rh_status take_line(struct vocab_file *v, char *line, size_t len) {
    struct entry *e = &v->entries[v->n];
    const char *tab = memrchr(line, '\t', len);
    if (v->n == 0)
        v->has_ids = tab != NULL;
    if ((tab != NULL) != v->has_ids)
        return bad_line(v, v->has_ids ? "a tab and an id should follow the word, as on line 1"
                                      : "there is a tab; on line 1 there is none");
    *e = (struct entry){.id = v->n, .word = line};
    if (tab != NULL && !take_id(tab + 1, line + len, &e->id))
        return bad_line(v, "what stands behind the tab is no id");
    rh_status s = take_word(v, line, tab != NULL ? (size_t)(tab - line) : len);
    if (s != RH_OK)
        return s;
    uint32_t known = idset_add(&v->ids, e->id);
    if (known != v->n)
        return err_set(RH_ECORRUPT,
                       "%s line %" PRIu32 ": id %" PRIu64 " stands on line %" PRIu32 " already",
                       v->in.path, v->n + 1, e->id, known + 1);
    v->n++;
    return RH_OK;
}

static rh_status take_lines(struct vocab_file *v) {
    size_t lines = count_lines(v);
    rh_status s = idset_reset(&v->words, lines);
    if (s == RH_OK)
        s = idset_reset(&v->ids, lines);
    v->entries = calloc(lines + 1, sizeof *v->entries);
    if (s == RH_OK && v->entries == NULL)
        s = err_set(RH_ENOMEM, "no memory for the %zu words of %s", lines, v->in.path);
    char *line = infile_here(&v->in), *end = line + infile_left(&v->in);
    while (s == RH_OK && line < end) {
        char *newline = memchr(line, '\n', (size_t)(end - line));
        char *stop = newline != NULL ? newline : end;
        size_t len = (size_t)(stop - line);
        if (len > 0 && line[len - 1] == '\r')
            len--;
        s = take_line(v, line, len);
        line = stop + 1;
    }
    return s;
}

/* Takes in. */
static rh_status read_vocab(struct infile *in, struct vocab_file **out) {
    struct vocab_file *v = calloc(1, sizeof *v);
    if (v == NULL) {
        rh_status s = err_set(RH_ENOMEM, "no memory to read %s", in->path);
        infile_close(in);
        return s;
    }
    v->in = *in;
    idset_init(&v->words);
    idset_init(&v->ids);
    rh_status s = read_all(v);
    if (s == RH_OK)
        s = take_lines(v);
    if (s == RH_OK)
        s = infile_unchanged(&v->in);
    if (s != RH_OK)
        vocab_file_close(&v);
    else
        *out = v;
    return s;
}

rh_status vocab_file_open(const char *path, struct vocab_file **out) {
    struct infile in;
    rh_status s = infile_open(&in, path);
    return s == RH_OK ? read_vocab(&in, out) : s;
}

rh_status vocab_file_adopt(int fd, const char *name, struct vocab_file **out) {
    struct infile in;
    rh_status s = infile_adopt(&in, fd, name);
    return s == RH_OK ? read_vocab(&in, out) : s;
}

void vocab_file_close(struct vocab_file **v) {
    struct vocab_file *old = *v;
    *v = NULL;
    if (old == NULL)
        return;
    infile_close(&old->in);
    idset_fini(&old->words);
    idset_fini(&old->ids);
    free(old->entries);
    free(old);
}

/* ---- asking ---- */

const char *vocab_file_name(const struct vocab_file *v) {
    return v->in.path;
}

uint32_t vocab_file_count(const struct vocab_file *v) {
    return v->n;
}

const char *vocab_file_word(const struct vocab_file *v, uint32_t i) {
    return v->entries[i].word;
}

uint64_t vocab_file_id(const struct vocab_file *v, uint32_t i) {
    return v->entries[i].id;
}

bool vocab_file_find(const struct vocab_file *v, const char *word, uint32_t *i) {
    uint32_t found = idset_find(&v->words, hash64(word, strlen(word)));
    if (found >= v->n || strcmp(v->entries[found].word, word) != 0)
        return false;
    *i = found;
    return true;
}

bool vocab_file_find_id(const struct vocab_file *v, uint64_t id, uint32_t *i) {
    uint32_t found = idset_find(&v->ids, id);
    if (found >= v->n)
        return false;
    *i = found;
    return true;
}
