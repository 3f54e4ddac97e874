/* floattext.c - see floattext.h. Nearly every number has few digits and a small exponent: its digits
 * and the power of ten are exact doubles, so that one operation gives the nearest double, and that
 * rounds to the nearest float unless it lies just between two (Clinger 1990). The rest is strtof's. */
#include "common/floattext.h"

#include <float.h>
#include <math.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

_Static_assert(FLT_EVAL_METHOD == 0, "doubles are rounded to double after each operation");

static const double powers[] = {1e0,  1e1,  1e2,  1e3,  1e4,  1e5,  1e6,  1e7,
                                1e8,  1e9,  1e10, 1e11, 1e12, 1e13, 1e14, 1e15,
                                1e16, 1e17, 1e18, 1e19, 1e20, 1e21, 1e22};
enum { POWER_MAX = 22, EXPONENT_MAX = 100000, DIGITS_MAX = 19 };

/* What stands there: 0.m m m * 10^exponent, in pieces. */
struct decimal {
    const char *first, *behind; /* the digits, and perhaps a point among them */
    uint64_t value;             /* of the digits; right if there are at most DIGITS_MAX */
    int digits;                 /* without leading zeros */
    int exponent;               /* of ten, for value */
    bool negative;
};

static inline bool is_digit(char c) {
    return (unsigned char)(c - '0') <= 9;
}

static inline const char *take_digits(struct decimal *d, const char *p, const char *end) {
    for (; p < end && is_digit(*p); p++) {
        d->value = d->value * 10 + (uint64_t)(*p - '0');
        d->digits += d->digits > 0 || *p != '0';
    }
    return p;
}

/* The exponent behind e, or p again if there is none: the e then belongs to something else. */
static const char *take_exponent(struct decimal *d, const char *p, const char *end) {
    const char *start = p++;
    bool negative = p < end && *p == '-';
    if (p < end && (*p == '-' || *p == '+'))
        p++;
    if (p == end || !is_digit(*p))
        return start;
    int e = 0;
    for (; p < end && is_digit(*p); p++)
        if (e < EXPONENT_MAX)
            e = e * 10 + (*p - '0');
    d->exponent += negative ? -e : e;
    return p;
}

static const char *take_decimal(struct decimal *d, const char *p, const char *end) {
    d->first = p;
    p = take_digits(d, p, end);
    ptrdiff_t seen = p - d->first;
    if (p < end && *p == '.') {
        const char *point = p;
        p = take_digits(d, p + 1, end);
        d->exponent = (int)(point + 1 - p);
        seen += p - point - 1;
    }
    d->behind = p;
    if (seen == 0)
        return NULL;
    return p < end && (*p == 'e' || *p == 'E') ? take_exponent(d, p, end) : p;
}

/* The digits without their point and the exponent behind them, for strtof: no locale has a say. */
static float by_strtof(const struct decimal *d) {
    char text[FLOATTEXT_MAX + 16];
    size_t n = 0;
    for (const char *p = d->first; p < d->behind; p++)
        if (*p != '.')
            text[n++] = *p;
    snprintf(text + n, sizeof text - n, "e%d", d->exponent);
    return strtof(text, NULL);
}

static inline bool is_between_floats(double v) {
    uint64_t bits;
    memcpy(&bits, &v, sizeof bits);
    return (bits & 0x1FFFFFFF) == 0x10000000;
}

static inline float value_of(const struct decimal *d) {
    if (d->digits <= DIGITS_MAX && d->value <= (uint64_t)1 << 53 && d->exponent >= -POWER_MAX &&
        d->exponent <= POWER_MAX) {
        double v = d->exponent < 0 ? (double)d->value / powers[-d->exponent]
                                   : (double)d->value * powers[d->exponent];
        if (v == 0 || (v >= (double)FLT_MIN && v <= (double)FLT_MAX && !is_between_floats(v)))
            return (float)v;
    }
    return by_strtof(d);
}

static const char *take_word(const char *p, const char *end, float *out) {
    static const struct {
        const char *text;
        float value;
    } words[] = {{"infinity", INFINITY}, {"inf", INFINITY}, {"nan", NAN}};
    for (size_t i = 0; i < sizeof words / sizeof *words; i++) {
        size_t len = strlen(words[i].text);
        if ((size_t)(end - p) < len || strncasecmp(p, words[i].text, len) != 0)
            continue;
        *out = words[i].value;
        return p + len;
    }
    return NULL;
}

const char *floattext_read(const char *p, const char *end, float *out) {
    const char *start = p;
    struct decimal d = {.negative = p < end && *p == '-'};
    if (p < end && (*p == '-' || *p == '+'))
        p++;
    float v;
    const char *behind = take_decimal(&d, p, end);
    if (behind != NULL && behind - start > FLOATTEXT_MAX)
        return NULL;
    if (behind != NULL)
        v = value_of(&d);
    else
        behind = take_word(p, end, &v);
    if (behind != NULL)
        *out = d.negative ? -v : v;
    return behind;
}
