/* numtype.c - see numtype.h. One pass per array: whether the floats are finite is seen while they
 * are in registers. The bytes are loaded where they lie, as in files they lie at odd addresses. */
#include "common/numtype.h"

#include <math.h>
#include <stdint.h>
#include <string.h>

#include "common/kern.h"

/* As with KERN_CLONES. clang 14 cannot ask for F16C. */
#if defined(__x86_64__) && defined(__GNUC__) && !defined(__clang__)
#define MAY_HAVE_F16C 1
#include <immintrin.h>
#else
#define MAY_HAVE_F16C 0
#endif

_Static_assert(__BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__, "a little-endian machine");

/* Of a float; EXPONENT: all ones in what is not finite. */
enum { EXPONENT = 0x7F800000, BIAS_SHIFT = (127 - 15) << 23 };

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

static inline uint32_t bits_of_float(float v) {
    uint32_t bits;
    memcpy(&bits, &v, sizeof bits);
    return bits;
}

static inline uint32_t is_infinite(uint32_t bits) {
    return (bits & EXPONENT) == EXPONENT;
}

static inline uint16_t load16(const uint8_t *p, bool big) {
    uint16_t v;
    memcpy(&v, p, sizeof v);
    return big ? __builtin_bswap16(v) : v;
}

static inline uint32_t load32(const uint8_t *p, bool big) {
    uint32_t v;
    memcpy(&v, p, sizeof v);
    return big ? __builtin_bswap32(v) : v;
}

static inline uint64_t load64(const uint8_t *p, bool big) {
    uint64_t v;
    memcpy(&v, p, sizeof v);
    return big ? __builtin_bswap64(v) : v;
}

/* ---- the loops: true if all is finite ---- */

/* A half of exponent 0 is its fraction times 2^-24: by way of an integer, as a library in the same
 * process may have told the processor to take small floats for zero. Masks, as a choice between
 * three would keep the loop from becoming vector code. */
KERN_CLONES bool numtype_halves_portable(bool big, size_t n, const uint8_t *restrict in,
                                         float *restrict out) {
    uint32_t found = 0;
    for (size_t i = 0; i < n; i++) {
        uint32_t h = load16(in + 2 * i, big), sign = (h & 0x8000) << 16, rest = h & 0x7FFF;
        uint32_t is_small = -(uint32_t)(rest < 0x0400), is_special = -(uint32_t)(rest >= 0x7C00);
        uint32_t small = bits_of_float((float)(int32_t)rest * 0x1p-24f);
        uint32_t normal = (rest << 13) + BIAS_SHIFT + (is_special & BIAS_SHIFT);
        out[i] = float_of_bits(sign | (small & is_small) | (normal & ~is_small));
        found |= is_special;
    }
    return !found;
}

#if MAY_HAVE_F16C
/* Twice as fast as the loop above; compilers turn no loop of ours into it. */
__attribute__((target("avx2,f16c"))) static bool
halves_by_f16c(bool big, size_t n, const uint8_t *restrict in, float *restrict out) {
    const __m256i exponent = _mm256_set1_epi16(0x7C00);
    const __m128i turned = _mm_set_epi8(14, 15, 12, 13, 10, 11, 8, 9, 6, 7, 4, 5, 2, 3, 0, 1);
    __m256i found = _mm256_setzero_si256();
    size_t whole = n - n % 16;
    for (size_t i = 0; i < whole; i += 16) {
        __m128i a = _mm_loadu_si128((const __m128i *)(const void *)(in + 2 * i));
        __m128i b = _mm_loadu_si128((const __m128i *)(const void *)(in + 2 * i + 16));
        if (big) {
            a = _mm_shuffle_epi8(a, turned);
            b = _mm_shuffle_epi8(b, turned);
        }
        _mm256_storeu_ps(out + i, _mm256_cvtph_ps(a));
        _mm256_storeu_ps(out + i + 8, _mm256_cvtph_ps(b));
        __m256i both = _mm256_and_si256(_mm256_set_m128i(b, a), exponent);
        found = _mm256_or_si256(found, _mm256_cmpeq_epi16(both, exponent));
    }
    bool rest = numtype_halves_portable(big, n - whole, in + 2 * whole, out + whole);
    return rest && _mm256_movemask_epi8(found) == 0;
}
#endif

static bool halves_to_float(bool big, size_t n, const uint8_t *restrict in, float *restrict out) {
#if MAY_HAVE_F16C
    if (__builtin_cpu_supports("avx2") && __builtin_cpu_supports("f16c"))
        return halves_by_f16c(big, n, in, out);
#endif
    return numtype_halves_portable(big, n, in, out);
}

KERN_CLONES static bool brains_to_float(bool big, size_t n, const uint8_t *restrict in,
                                        float *restrict out) {
    uint32_t found = 0;
    for (size_t i = 0; i < n; i++) {
        uint32_t bits = (uint32_t)load16(in + 2 * i, big) << 16;
        out[i] = float_of_bits(bits);
        found |= is_infinite(bits);
    }
    return !found;
}

KERN_CLONES static bool floats_to_float(bool big, size_t n, const uint8_t *restrict in,
                                        float *restrict out) {
    uint32_t found = 0;
    for (size_t i = 0; i < n; i++) {
        uint32_t bits = load32(in + 4 * i, big);
        out[i] = float_of_bits(bits);
        found |= is_infinite(bits);
    }
    return !found;
}

KERN_CLONES static bool doubles_to_float(bool big, size_t n, const uint8_t *restrict in,
                                         float *restrict out) {
    uint32_t found = 0;
    for (size_t i = 0; i < n; i++) {
        uint64_t bits = load64(in + 8 * i, big);
        double v;
        memcpy(&v, &bits, sizeof v);
        out[i] = (float)v;
        found |= is_infinite(bits_of_float((float)v));
    }
    return !found;
}

bool numtype_to_float(enum numtype type, bool big, size_t n, const void *in, float *restrict out) {
    switch (type) {
    case NUMTYPE_F16:
        return halves_to_float(big, n, in, out);
    case NUMTYPE_BF16:
        return brains_to_float(big, n, in, out);
    case NUMTYPE_F32:
        return floats_to_float(big, n, in, out);
    case NUMTYPE_F64:
        return doubles_to_float(big, n, in, out);
    }
    return false;
}

/* ---- the naive twin ---- */

/* By the definition: sign, exponent, fraction. */
static float half_naive(uint32_t h) {
    int exponent = h >> 10 & 31, fraction = h & 1023;
    double v = exponent == 0    ? ldexp(fraction, -24)
               : exponent == 31 ? (fraction == 0 ? INFINITY : NAN)
                                : ldexp(1024 + fraction, exponent - 25);
    return (float)(h >> 15 ? -v : v);
}

bool numtype_to_float_naive(enum numtype type, bool big, size_t n, const void *in, float *out) {
    const uint8_t *p = in;
    const size_t width = numtype_bytes(type);
    bool finite = true;
    for (size_t i = 0; i < n; i++) {
        uint64_t bits = 0;
        for (size_t b = 0; b < width; b++)
            bits |= (uint64_t)p[i * width + b] << 8 * (big ? width - 1 - b : b);
        double v;
        memcpy(&v, &bits, sizeof v);
        out[i] = type == NUMTYPE_F16    ? half_naive((uint32_t)bits)
                 : type == NUMTYPE_BF16 ? float_of_bits((uint32_t)bits << 16)
                 : type == NUMTYPE_F32  ? float_of_bits((uint32_t)bits)
                                        : (float)v;
        finite = finite && isfinite(out[i]);
    }
    return finite;
}
