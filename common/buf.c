/* buf.c - see buf.h. Numbers go through memcpy in little-endian order, so neither their alignment
 * nor the machine's byte order matters; compilers make single moves of it. */
#include "common/buf.h"

#include <assert.h>
#include <endian.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { BUF_FIRST_BYTES = 64 };

/* ---- writing ---- */

void buf_init(struct buf *b, size_t max) {
    *b = (struct buf){.max = max};
}

void buf_wrap(struct buf *b, void *memory, size_t len_bytes) {
    assert(memory != NULL);
    *b = (struct buf){.p = memory, .cap = len_bytes, .max = len_bytes, .fixed = true};
}

void buf_fini(struct buf *b) {
    if (!b->fixed)
        free(b->p);
    *b = (struct buf){0};
}

void buf_clear(struct buf *b) {
    b->len = 0;
    b->bad = b->no_memory = false;
}

/* need is at most b->max. Doubling keeps the cost of many small puts linear. */
static bool enlarge(struct buf *b, size_t need) {
    size_t cap = b->cap < BUF_FIRST_BYTES ? BUF_FIRST_BYTES : b->cap;
    while (cap < need)
        cap = cap > b->max / 2 ? b->max : cap * 2;
    if (cap > b->max)
        cap = b->max;
    uint8_t *p = realloc(b->p, cap);
    b->no_memory = p == NULL;
    if (p == NULL)
        return false;
    b->p = p;
    b->cap = cap;
    return true;
}

uint8_t *buf_grow(struct buf *b, size_t n) {
    bool full = b->p == NULL || n > b->cap - b->len;
    if (b->bad || n > b->max - b->len || (full && !enlarge(b, b->len + n))) {
        b->bad = true;
        return NULL;
    }
    b->len += n;
    return b->p + (b->len - n);
}

/* The low n bytes of v, the lowest first. */
static inline void put_number(struct buf *b, uint64_t v, size_t n) {
    uint64_t le = htole64(v);
    uint8_t *p = buf_grow(b, n);
    if (p != NULL)
        memcpy(p, &le, n);
}

void buf_put_u8(struct buf *b, uint8_t v) {
    put_number(b, v, sizeof v);
}

void buf_put_u16(struct buf *b, uint16_t v) {
    put_number(b, v, sizeof v);
}

void buf_put_u32(struct buf *b, uint32_t v) {
    put_number(b, v, sizeof v);
}

void buf_put_u64(struct buf *b, uint64_t v) {
    put_number(b, v, sizeof v);
}

void buf_put_f32(struct buf *b, float v) {
    uint32_t bits;
    memcpy(&bits, &v, sizeof bits);
    put_number(b, bits, sizeof bits);
}

void buf_put_f64(struct buf *b, double v) {
    uint64_t bits;
    memcpy(&bits, &v, sizeof bits);
    put_number(b, bits, sizeof bits);
}

void buf_put_bytes(struct buf *b, const void *p, size_t n) {
    if (n == 0)
        return; /* p may be NULL, which memcpy may not see */
    uint8_t *to = buf_grow(b, n);
    if (to != NULL)
        memcpy(to, p, n);
}

void buf_put_str(struct buf *b, const char *s) {
    size_t len = strlen(s);
    if (len > UINT16_MAX) {
        b->bad = true;
        return;
    }
    buf_put_u16(b, (uint16_t)len);
    buf_put_bytes(b, s, len);
}

void buf_printf(struct buf *b, const char *fmt, ...) {
    /* Made elsewhere first: the 0 that vsnprintf sets might not fit into b, where the text does. */
    char *text;
    va_list args;
    va_start(args, fmt);
    int len = vasprintf(&text, fmt, args);
    va_end(args);
    if (len < 0) {
        b->bad = true;
        return;
    }
    buf_put_bytes(b, text, (size_t)len);
    free(text);
}

/* ---- reading ---- */

void rd_init(struct rd *r, const void *p, size_t len_bytes) {
    assert(p != NULL || len_bytes == 0);
    static const uint8_t nothing[1];
    r->p = p != NULL ? p : nothing; /* arithmetic on NULL is undefined, even + 0 */
    r->end = r->p + len_bytes;
    r->bad = false;
}

const uint8_t *rd_bytes(struct rd *r, size_t n) {
    if (r->bad || n > (size_t)(r->end - r->p)) {
        r->bad = true;
        return NULL;
    }
    r->p += n;
    return r->p - n;
}

static inline uint64_t get_number(struct rd *r, size_t n) {
    const uint8_t *p = rd_bytes(r, n);
    uint64_t le = 0;
    if (p != NULL)
        memcpy(&le, p, n);
    return le64toh(le);
}

uint8_t rd_u8(struct rd *r) {
    return (uint8_t)get_number(r, sizeof(uint8_t));
}

uint16_t rd_u16(struct rd *r) {
    return (uint16_t)get_number(r, sizeof(uint16_t));
}

uint32_t rd_u32(struct rd *r) {
    return (uint32_t)get_number(r, sizeof(uint32_t));
}

uint64_t rd_u64(struct rd *r) {
    return get_number(r, sizeof(uint64_t));
}

float rd_f32(struct rd *r) {
    uint32_t bits = rd_u32(r);
    float v;
    memcpy(&v, &bits, sizeof v);
    return v;
}

double rd_f64(struct rd *r) {
    uint64_t bits = rd_u64(r);
    double v;
    memcpy(&v, &bits, sizeof v);
    return v;
}

void rd_str(struct rd *r, char *out, size_t cap) {
    assert(cap > 0);
    size_t len = rd_u16(r);
    const uint8_t *p = rd_bytes(r, len);
    if (p == NULL || len >= cap || memchr(p, 0, len) != NULL) {
        r->bad = true;
        out[0] = '\0';
        return;
    }
    memcpy(out, p, len);
    out[len] = '\0';
}

size_t rd_left(const struct rd *r) {
    return r->bad ? 0 : (size_t)(r->end - r->p);
}

bool rd_done(const struct rd *r) {
    return !r->bad && r->p == r->end;
}
