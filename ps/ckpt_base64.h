/* ckpt_base64.h - RFC 4648, padded: bytes inside JSON. */
#ifndef PS_CKPT_BASE64_H
#define PS_CKPT_BASE64_H

#include <stddef.h>
#include <stdint.h>

/* To be freed; NULL: no memory. */
char *base64_text(const uint8_t *p, size_t n);

/* How many bytes the text holds, at most strlen(text) / 4 * 3, into out; -1 if it is no base64, or
 * not the one text of its bytes. */
int64_t base64_bytes(const char *text, size_t len, uint8_t *out);

#endif
