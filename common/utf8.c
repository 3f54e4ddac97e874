/* utf8.c - see utf8.h. */
#include "common/utf8.h"

#include <stdint.h>

/* A lead byte: how many bytes follow, and the bounds of the first of them (Unicode, table 3-7). */
struct lead {
    uint8_t more, low, high;
};

static struct lead lead_of(uint8_t c) {
    if (c >= 0xC2 && c <= 0xDF)
        return (struct lead){1, 0x80, 0xBF};
    if (c >= 0xE0 && c <= 0xEF)
        return (struct lead){2, c == 0xE0 ? 0xA0 : 0x80, c == 0xED ? 0x9F : 0xBF};
    if (c >= 0xF0 && c <= 0xF4)
        return (struct lead){3, c == 0xF0 ? 0x90 : 0x80, c == 0xF4 ? 0x8F : 0xBF};
    return (struct lead){0, 0, 0};
}

enum utf8 utf8_check(const void *p, size_t len_bytes) {
    const uint8_t *c = p, *end = c + len_bytes;
    while (c < end) {
        if (*c < 0x80) {
            c++;
            continue;
        }
        struct lead lead = lead_of(*c++);
        if (lead.more == 0)
            return UTF8_BAD;
        for (uint8_t i = 0; i < lead.more; i++, c++) {
            if (c == end)
                return UTF8_CUT;
            if (*c < (i == 0 ? lead.low : 0x80) || *c > (i == 0 ? lead.high : 0xBF))
                return UTF8_BAD;
        }
    }
    return UTF8_GOOD;
}
