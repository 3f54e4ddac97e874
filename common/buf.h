/* buf.h - bytes written and read in order, little-endian, with a sticky error: after one failure
 * every later put or get does nothing (gets give zeros), so that a codec is written in straight
 * lines and asks once, at its end. A buf or rd belongs to one thread at a time. */
#ifndef COMMON_BUF_H
#define COMMON_BUF_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/status.h"

/* ---- writing: a buffer that grows up to max, or a fixed piece of memory ---- */

struct buf {
    uint8_t *p;
    size_t len, cap, max;
    bool fixed;     /* p is the caller's and does not grow */
    bool bad;       /* something did not fit, or memory ran out */
    bool no_memory; /* it is bad for that */
};

void buf_init(struct buf *b, size_t max); /* empty; grows on demand, never beyond max */
void buf_wrap(struct buf *b, void *memory, size_t len_bytes); /* writes into the caller's memory */
void buf_fini(struct buf *b);  /* frees what buf_init's buffer has grown; zeroes *b */
void buf_clear(struct buf *b); /* empty again and not bad; keeps its memory */

/* Room for n more bytes at the end, counted as written, for the caller to fill; NULL (and bad) if
 * they do not fit. Valid until the next put or grow, which may move the buffer. */
uint8_t *buf_grow(struct buf *b, size_t n);

void buf_put_u8(struct buf *b, uint8_t v);
void buf_put_u16(struct buf *b, uint16_t v);
void buf_put_u32(struct buf *b, uint32_t v);
void buf_put_u64(struct buf *b, uint64_t v);
void buf_put_f32(struct buf *b, float v);
void buf_put_f64(struct buf *b, double v);
void buf_put_bytes(struct buf *b, const void *p, size_t n);
void buf_put_str(struct buf *b, const char *s); /* u16 length, then the bytes without the 0 */
void buf_printf(struct buf *b, const char *fmt, ...) PRINTF_LIKE(2, 3); /* text without the 0 */

/* ---- reading: a view of somebody's bytes ---- */

struct rd {
    const uint8_t *p, *end;
    bool bad; /* something was asked for beyond the end, or made no sense */
};

/* The bytes stay the caller's and must outlive r and its views. p may be NULL if there are none. */
void rd_init(struct rd *r, const void *p, size_t len_bytes);
uint8_t rd_u8(struct rd *r);
uint16_t rd_u16(struct rd *r);
uint32_t rd_u32(struct rd *r);
uint64_t rd_u64(struct rd *r);
float rd_f32(struct rd *r);
double rd_f64(struct rd *r);

/* A view of the next n bytes; NULL (and bad) if there are fewer. It may lie at an odd address: copy
 * numbers out. */
const uint8_t *rd_bytes(struct rd *r, size_t n);

/* What buf_put_str wrote, 0-terminated; "" (and bad) if it holds a 0 or needs more than cap. */
void rd_str(struct rd *r, char *out, size_t cap);

/* Bad unless it holds: what a format says that a field must be. */
static inline void rd_must(struct rd *r, bool holds) {
    if (!holds)
        r->bad = true;
}

/* A u32 that is 0 or 1. */
static inline uint32_t rd_yesno(struct rd *r) {
    uint32_t v = rd_u32(r);
    rd_must(r, v <= 1);
    return v;
}

size_t rd_left(const struct rd *r); /* bytes; 0 once bad */
bool rd_done(const struct rd *r);   /* nothing was bad and nothing is left */

#endif
