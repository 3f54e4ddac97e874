/* numtype.c - see numtype.h. Loops over small pieces, so that what one loop has written the next
 * still finds in the nearest cache. */
#include "common/numtype.h"

#include <stdint.h>
#include <string.h>

#include "common/kern.h"

_Static_assert(__BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__, "a little-endian machine");

enum { PIECE = 2048 };

size_t numtype_bytes(enum numtype type) {
    static const size_t bytes[] = {
        [NUMTYPE_F16] = 2, [NUMTYPE_BF16] = 2, [NUMTYPE_F32] = 4, [NUMTYPE_F64] = 8};
    return bytes[type];
}

static inline float float_of_bits(uint32_t bits) {
    float v;
    memcpy(&v, &bits, sizeof v);
    return v;
}

/* A half of exponent 0 is its fraction times 2^-24: by way of an integer, as a library in the same
 * process may have told the processor to take small floats for zero. */
KERN_CLONES static void halves_to_float(size_t n, const uint16_t *restrict in,
                                        float *restrict out) {
    for (size_t i = 0; i < n; i++) {
        uint32_t h = in[i], sign = (h & 0x8000) << 16, rest = h & 0x7FFF;
        uint32_t normal = (rest << 13) + ((127 - 15) << 23);
        uint32_t special = (rest << 13) | 0x7F800000;
        float tiny = (float)(int32_t)rest * 0x1p-24f;
        uint32_t small;
        memcpy(&small, &tiny, sizeof small);
        uint32_t bits = rest >= 0x7C00 ? special : rest < 0x0400 ? small : normal;
        out[i] = float_of_bits(sign | bits);
    }
}

KERN_CLONES static void brains_to_float(size_t n, const uint16_t *restrict in,
                                        float *restrict out) {
    for (size_t i = 0; i < n; i++)
        out[i] = float_of_bits((uint32_t)in[i] << 16);
}

KERN_CLONES static void doubles_to_float(size_t n, const double *restrict in, float *restrict out) {
    for (size_t i = 0; i < n; i++)
        out[i] = (float)in[i];
}

static void swap16(size_t n, uint16_t *p) {
    for (size_t i = 0; i < n; i++)
        p[i] = __builtin_bswap16(p[i]);
}

static void swap32(size_t n, uint32_t *p) {
    for (size_t i = 0; i < n; i++)
        p[i] = __builtin_bswap32(p[i]);
}

static void swap64(size_t n, uint64_t *p) {
    for (size_t i = 0; i < n; i++)
        p[i] = __builtin_bswap64(p[i]);
}

/* At most PIECE numbers, not floats as memory has them. They are copied first: in files they lie at odd addresses. */
static void piece_to_float(enum numtype type, bool big, size_t n, const void *in,
                           float *restrict out) {
    union {
        uint16_t u16[PIECE];
        uint32_t u32[PIECE];
        uint64_t u64[PIECE];
        double f64[PIECE];
    } piece;
    memcpy(&piece, in, n * numtype_bytes(type));
    switch (type) {
    case NUMTYPE_F16:
    case NUMTYPE_BF16:
        if (big)
            swap16(n, piece.u16);
        if (type == NUMTYPE_F16)
            halves_to_float(n, piece.u16, out);
        else
            brains_to_float(n, piece.u16, out);
        break;
    case NUMTYPE_F32:
        swap32(n, piece.u32);
        memcpy(out, piece.u32, n * sizeof *out);
        break;
    case NUMTYPE_F64:
        if (big)
            swap64(n, piece.u64);
        doubles_to_float(n, piece.f64, out);
        break;
    }
}

void numtype_to_float(enum numtype type, bool big, size_t n, const void *in, float *restrict out) {
    const char *from = in;
    if (type == NUMTYPE_F32 && !big) {
        memcpy(out, in, n * sizeof *out);
        return;
    }
    for (size_t i = 0; i < n; i += PIECE)
        piece_to_float(type, big, n - i < PIECE ? n - i : PIECE, from + i * numtype_bytes(type),
                       out + i);
}
