/* ids.c - see ids.h. */
#include "worker/cmd/ids.h"

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "common/err.h"
#include "common/infile.h"

enum { IDS_MAX = INT32_MAX, ID_CHARS = 32 };

bool ids_one(const char *text, size_t len, uint64_t *out) {
    char digits[ID_CHARS];
    if (len == 0 || len >= sizeof digits || strspn(text, "0123456789") < len)
        return false;
    memcpy(digits, text, len);
    digits[len] = '\0';
    errno = 0;
    *out = strtoull(digits, NULL, 10);
    return errno == 0;
}

static rh_status add_id(struct ids *out, uint64_t id) {
    if (out->n == out->cap) {
        size_t cap = out->cap == 0 ? 1024 : 2 * out->cap;
        uint64_t *at = cap > IDS_MAX ? NULL : realloc(out->at, cap * sizeof *at);
        if (at == NULL)
            return err_set(RH_ENOMEM, "no memory for more than %zu ids", out->n);
        out->at = at;
        out->cap = cap;
    }
    out->at[out->n++] = id;
    return RH_OK;
}

rh_status ids_from_list(const char *text, struct ids *out) {
    for (const char *p = text;; p++) {
        size_t len = strcspn(p, ",");
        uint64_t id;
        if (!ids_one(p, len, &id))
            return err_set(RH_EINVAL, "--ids %s: \"%.*s\" is no id", text, (int)len, p);
        rh_status s = add_id(out, id);
        p += len;
        if (s != RH_OK || *p == '\0')
            return s;
    }
}

static bool is_space(char ch) {
    return ch == ' ' || (ch >= '\t' && ch <= '\r');
}

/* The word in front of the reader, of which ID_CHARS are there unless the file ends. */
static rh_status read_word(struct infile *f, uint64_t line, struct ids *out) {
    const char *word = infile_here(f);
    size_t len = 0, left = infile_left(f);
    while (len < left && len < ID_CHARS && !is_space(word[len]))
        len++;
    char text[ID_CHARS + 1];
    memcpy(text, word, len);
    text[len] = '\0';
    uint64_t id;
    if (!ids_one(text, len, &id))
        return err_set(RH_ECORRUPT, "%s, line %" PRIu64 ": \"%s\" is no id", f->path, line, text);
    f->from += len;
    return add_id(out, id);
}

rh_status ids_from_file(const char *path, struct ids *out) {
    struct infile f;
    rh_status s = infile_open(&f, path);
    if (s != RH_OK)
        return s;
    uint64_t line = 1;
    while ((s = infile_want(&f, ID_CHARS)) == RH_OK && infile_left(&f) > 0) {
        char ch = *infile_here(&f);
        line += ch == '\n';
        if (is_space(ch))
            f.from++;
        else if ((s = read_word(&f, line, out)) != RH_OK)
            break;
    }
    infile_close(&f);
    return s;
}

bool ids_is_list(const char *text) {
    return strspn(text, "0123456789,") == strlen(text);
}

void ids_fini(struct ids *ids) {
    free(ids->at);
    *ids = (struct ids){0};
}
