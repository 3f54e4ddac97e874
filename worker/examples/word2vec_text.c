/* word2vec_text.c - see word2vec_text.h. */
#include "worker/examples/word2vec_text.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/err.h"
#include "common/hash.h"

static bool is_white(char c) {
    return c == ' ' || (c >= '\t' && c <= '\r');
}

/* Up to n bytes from `at` on; fewer only if the file ends there. */
static rh_status read_at(const struct text *t, uint64_t at, char *p, size_t n, size_t *out) {
    size_t got = 0;
    while (got < n) {
        ssize_t k = pread(t->fd, p + got, n - got, (off_t)(at + got));
        if (k < 0 && errno == EINTR)
            continue;
        if (k < 0)
            return err_sys(RH_EIO, "%s: cannot read byte %" PRIu64, t->path, at + got);
        if (k == 0)
            break;
        got += (size_t)k;
    }
    *out = got;
    return RH_OK;
}

rh_status text_open(const char *path, struct text *out) {
    struct stat st;
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK); /* a pipe must not hold us up */
    if (fd < 0)
        return err_sys(errno == ENOENT ? RH_ENOTFOUND : RH_EIO, "%s: cannot open this text", path);
    rh_status s = RH_OK;
    if (fstat(fd, &st) != 0)
        s = err_sys(RH_EIO, "%s: cannot open this text", path);
    else if (S_ISDIR(st.st_mode))
        s = err_set(RH_EINVAL, "%s: this is a directory; name a file in it", path);
    else if (!S_ISREG(st.st_mode))
        s = err_set(RH_EINVAL, "%s: this is no regular file, and a text is read several times",
                    path);
    else if (st.st_size == 0)
        s = err_set(RH_EINVAL, "%s: this text is empty", path);
    char start[TEXT_START];
    size_t n;
    struct text t = {.path = path, .fd = fd, .size_bytes = (uint64_t)st.st_size};
    if (s == RH_OK)
        s = read_at(&t, 0, start, sizeof start, &n);
    if (s != RH_OK) {
        close(fd);
        return s;
    }
    t.start_hash = hash64(start, n);
    *out = t;
    return RH_OK;
}

void text_close(struct text *t) {
    close(t->fd);
    t->fd = -1;
}

rh_status text_cut(const struct text *t, uint64_t part, uint64_t parts, uint64_t *out) {
    assert(part <= parts && parts > 0);
    uint64_t at = t->size_bytes / parts * part + t->size_bytes % parts * part / parts;
    if (at == 0 || at == t->size_bytes) {
        *out = at;
        return RH_OK;
    }
    /* From the byte before on: if that ends a line, the part begins right here. */
    char look[TEXT_LINE_LOOK];
    size_t n;
    at--;
    rh_status s = read_at(t, at, look, sizeof look, &n);
    if (s != RH_OK)
        return s;
    const char *newline = memchr(look, '\n', n);
    size_t skip = newline ? (size_t)(newline - look) + 1 : n;
    if (!newline && at + n < t->size_bytes) {
        for (size_t i = 0; i < n && skip == n; i++)
            if (is_white(look[i]))
                skip = i + 1;
    }
    *out = at + skip;
    return RH_OK;
}

rh_status text_reader_init(struct text_reader *r, const struct text *t) {
    *r = (struct text_reader){.text = t, .block = malloc(TEXT_BLOCK)};
    if (!r->block)
        return err_set(RH_ENOMEM, "%s: no memory to read it", t->path);
    return RH_OK;
}

void text_reader_fini(struct text_reader *r) {
    free(r->block);
    r->block = NULL;
}

void text_seek(struct text_reader *r, uint64_t begin, uint64_t end) {
    assert(begin <= end && end <= r->text->size_bytes);
    r->at = begin;
    r->end = end;
    r->pos = r->len = 0;
    r->line_opened = true;
    r->status = RH_OK;
}

/* The next n bytes of the file, behind the first `left` bytes of the block. */
static rh_status load(const struct text_reader *r, size_t left, size_t n) {
    const struct text *t = r->text;
    if (n == 0)
        return err_set(RH_EINVAL,
                       "%s: this is no text: no white space in the %d bytes from byte %" PRIu64
                       " on",
                       t->path, TEXT_BLOCK, r->at - left);
    char *p = r->block + left;
    size_t got;
    rh_status s = read_at(t, r->at, p, n, &got);
    if (s != RH_OK)
        return s;
    if (got < n)
        return err_set(RH_EIO, "%s: became shorter while it was read", t->path);
    const char *zero = memchr(p, 0, n);
    if (zero)
        return err_set(RH_EINVAL, "%s: this is no text: byte %" PRIu64 " is zero", t->path,
                       r->at + (uint64_t)(zero - p));
    return RH_OK;
}

/* Moves what is left to the front and reads behind it. False: nothing came. */
static bool refill(struct text_reader *r) {
    if (r->at == r->end || r->status != RH_OK)
        return false;
    size_t left = r->len - r->pos, n = TEXT_BLOCK - left;
    if (n > r->end - r->at)
        n = (size_t)(r->end - r->at);
    memmove(r->block, r->block + r->pos, left);
    r->pos = 0;
    r->status = load(r, left, n);
    if (r->status != RH_OK) {
        r->len = 0;
        return false;
    }
    r->at += n;
    r->len = left + n;
    return true;
}

bool text_next(struct text_reader *r, struct text_word *out) {
    for (;;) {
        while (r->pos < r->len && is_white(r->block[r->pos]))
            r->line_opened |= r->block[r->pos++] == '\n';
        size_t end = r->pos;
        while (end < r->len && !is_white(r->block[end]))
            end++;
        if (end == r->len) {
            /* The word may go on in what comes next. */
            if (refill(r))
                continue;
            end = r->len;
        }
        size_t len = end - r->pos;
        if (len == 0)
            return false;
        const char *p = r->block + r->pos;
        r->pos = end;
        if (len > TEXT_WORD_MAX) {
            r->too_long++;
            continue;
        }
        *out = (struct text_word){.p = p, .len = len, .opens_line = r->line_opened};
        r->line_opened = false;
        return true;
    }
}
