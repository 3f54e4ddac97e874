/* kern.c - see kern.h. The loops are written so that the compiler turns them into vector code of
 * whatever width it has; the twins behind them say the same in the plainest way. */
#include "common/kern.h"

#include <float.h>
#include <math.h>
#include <stdint.h>
#include <string.h>

#if defined(__SSE__)
#include <xmmintrin.h>
#endif

KERN_CLONES
float kern_dot(size_t n, const float *restrict a, const float *restrict b) {
    float lane[KERN_LANES] = {0};
    size_t whole = n - n % KERN_LANES;
    for (size_t i = 0; i < whole; i += KERN_LANES)
        for (size_t l = 0; l < KERN_LANES; l++)
            lane[l] += a[i + l] * b[i + l];
    for (size_t i = whole; i < n; i++)
        lane[i - whole] += a[i] * b[i];
    for (size_t half = KERN_LANES / 2; half > 0; half /= 2)
        for (size_t l = 0; l < half; l++)
            lane[l] += lane[l + half];
    return lane[0];
}

KERN_CLONES
void kern_axpy(size_t n, float a, const float *restrict x, float *restrict y) {
    for (size_t i = 0; i < n; i++)
        y[i] += a * x[i];
}

KERN_CLONES
void kern_add(size_t n, const float *restrict x, float *restrict y) {
    for (size_t i = 0; i < n; i++)
        y[i] += x[i];
}

KERN_CLONES
void kern_scale(size_t n, float a, float *restrict y) {
    for (size_t i = 0; i < n; i++)
        y[i] *= a;
}

/* ---- norms ---- */

static double fold_lanes(double lane[KERN_LANES]) {
    for (size_t half = KERN_LANES / 2; half > 0; half /= 2)
        for (size_t l = 0; l < half; l++)
            lane[l] += lane[l + half];
    return lane[0];
}

KERN_CLONES
static double sum_of_sizes(size_t n, const float *x) {
    double lane[KERN_LANES] = {0};
    size_t whole = n - n % KERN_LANES;
    for (size_t i = 0; i < whole; i += KERN_LANES)
        for (size_t l = 0; l < KERN_LANES; l++)
            lane[l] += fabs((double)x[i + l]);
    for (size_t i = whole; i < n; i++)
        lane[i - whole] += fabs((double)x[i]);
    return fold_lanes(lane);
}

KERN_CLONES
static double sum_of_squares(size_t n, const float *x) {
    double lane[KERN_LANES] = {0};
    size_t whole = n - n % KERN_LANES;
    for (size_t i = 0; i < whole; i += KERN_LANES)
        for (size_t l = 0; l < KERN_LANES; l++)
            lane[l] += (double)x[i + l] * x[i + l];
    for (size_t i = whole; i < n; i++)
        lane[i - whole] += (double)x[i] * x[i];
    return fold_lanes(lane);
}

/* As bits, floats without their sign stand in the order of their sizes, and NaN above them all. */
KERN_CLONES
static float largest_size(size_t n, const float *x) {
    uint32_t top = 0;
    for (size_t i = 0; i < n; i++) {
        uint32_t bits;
        memcpy(&bits, &x[i], sizeof bits);
        bits &= 0x7FFFFFFF;
        top = bits > top ? bits : top;
    }
    float size;
    memcpy(&size, &top, sizeof size);
    return size;
}

/* The powers are those of x / top: 4^600 is no double, and a row that seemed endless would be made
 * zeros. by: 1 / top. */
KERN_CLONES
static double sum_of_whole_powers(size_t n, const float *x, double by, unsigned p) {
    double lane[KERN_LANES] = {0};
    for (size_t i = 0; i < n; i += KERN_LANES) {
        double base[KERN_LANES] = {0}, power[KERN_LANES];
        size_t left = n - i < KERN_LANES ? n - i : KERN_LANES;
        for (size_t l = 0; l < left; l++)
            base[l] = fabs((double)x[i + l]) * by;
        for (size_t l = 0; l < KERN_LANES; l++)
            power[l] = 1;
        for (unsigned bits = p; bits > 0; bits >>= 1) {
            for (size_t l = 0; bits & 1 && l < KERN_LANES; l++)
                power[l] *= base[l];
            for (size_t l = 0; l < KERN_LANES; l++)
                base[l] *= base[l];
        }
        for (size_t l = 0; l < KERN_LANES; l++)
            lane[l] += power[l];
    }
    return fold_lanes(lane);
}

static double sum_of_powers(size_t n, const float *x, double by, double p) {
    double lane[KERN_LANES] = {0};
    for (size_t i = 0; i < n; i++)
        lane[i % KERN_LANES] += pow(fabs((double)x[i]) * by, p);
    return fold_lanes(lane);
}

/* The p-th root of s >= 1/2, by Newton's steps from above: each is nearer, until rounding stops them. */
static double whole_root(double s, unsigned p) {
    double root = 1, next = 1;
    while (next < s) { /* the least power of two whose p-th power is not below s */
        root *= 2;
        next = 1;
        for (unsigned i = 0; i < p; i++)
            next *= root;
    }
    do {
        double power = 1;
        next = root;
        for (unsigned i = 1; i < p; i++)
            power *= next;
        root = next - (next - s / power) / p;
    } while (root < next);
    return next;
}

double kern_norm(size_t n, const float *x, double p) {
    if (p == 2)
        return sqrt(sum_of_squares(n, x));
    if (p == 1)
        return sum_of_sizes(n, x);
    const double top = largest_size(n, x);
    if (isinf(p) || !(top > 0 && top <= FLT_MAX))
        return top;
    if (p > 2 && p <= KERN_P_MAX && p == floor(p))
        return top * whole_root(sum_of_whole_powers(n, x, 1 / top, (unsigned)p), (unsigned)p);
    return top * pow(sum_of_powers(n, x, 1 / top, p), 1 / p);
}

KERN_CLONES
void kern_max(size_t n, const float *restrict x, float *restrict y) {
    for (size_t i = 0; i < n; i++)
        y[i] = x[i] > y[i] ? x[i] : y[i];
}

enum { SQUARE = 4 };

/* Four numbers of each of four columns. */
static inline void turn_square(const float *restrict in, size_t in_stride, float *restrict out,
                               size_t out_stride) {
#if defined(__SSE__)
    __m128 a = _mm_loadu_ps(in), b = _mm_loadu_ps(in + in_stride);
    __m128 c = _mm_loadu_ps(in + 2 * in_stride), d = _mm_loadu_ps(in + 3 * in_stride);
    _MM_TRANSPOSE4_PS(a, b, c, d);
    _mm_storeu_ps(out, a);
    _mm_storeu_ps(out + out_stride, b);
    _mm_storeu_ps(out + 2 * out_stride, c);
    _mm_storeu_ps(out + 3 * out_stride, d);
#else
    for (size_t i = 0; i < SQUARE; i++)
        for (size_t k = 0; k < SQUARE; k++)
            out[i * out_stride + k] = in[k * in_stride + i];
#endif
}

/* By squares: what lies in a line of the cache is read and written by few turns of the loop. */
void kern_turn(size_t rows, size_t columns, const float *restrict in, size_t in_stride,
               float *restrict out, size_t out_stride) {
    size_t whole_rows = rows - rows % SQUARE, whole_columns = columns - columns % SQUARE;
    for (size_t i = 0; i < whole_rows; i += SQUARE)
        for (size_t k = 0; k < whole_columns; k += SQUARE)
            turn_square(in + k * in_stride + i, in_stride, out + i * out_stride + k, out_stride);
    for (size_t i = 0; i < rows; i++)
        for (size_t k = i < whole_rows ? whole_columns : 0; k < columns; k++)
            out[i * out_stride + k] = in[k * in_stride + i];
}

/* By the bits of the exponent: comparing floats would keep the loop from becoming vector code. */
KERN_CLONES
bool kern_all_finite(size_t n, const float *x) {
    uint32_t found = 0;
    for (size_t i = 0; i < n; i++) {
        uint32_t bits;
        memcpy(&bits, &x[i], sizeof bits);
        found |= (bits & 0x7F800000) == 0x7F800000;
    }
    return !found;
}

/* ---- the naive twins ---- */

float kern_dot_naive(size_t n, const float *a, const float *b) {
    float sum = 0;
    for (size_t i = 0; i < n; i++)
        sum += a[i] * b[i];
    return sum;
}

void kern_axpy_naive(size_t n, float a, const float *x, float *y) {
    for (size_t i = 0; i < n; i++)
        y[i] = y[i] + a * x[i];
}

void kern_add_naive(size_t n, const float *x, float *y) {
    for (size_t i = 0; i < n; i++)
        y[i] = y[i] + x[i];
}

void kern_scale_naive(size_t n, float a, float *y) {
    for (size_t i = 0; i < n; i++)
        y[i] = y[i] * a;
}

double kern_norm_naive(size_t n, const float *x, double p) {
    double sum = 0, top = 0;
    for (size_t i = 0; i < n; i++) {
        sum += pow(fabs((double)x[i]), p);
        top = isnan(x[i]) || fabs((double)x[i]) > top ? fabs((double)x[i]) : top;
    }
    return isinf(p) ? top : pow(sum, 1 / p);
}

void kern_max_naive(size_t n, const float *x, float *y) {
    for (size_t i = 0; i < n; i++)
        if (x[i] > y[i])
            y[i] = x[i];
}

void kern_turn_naive(size_t rows, size_t columns, const float *in, size_t in_stride, float *out,
                     size_t out_stride) {
    for (size_t i = 0; i < rows; i++)
        for (size_t k = 0; k < columns; k++)
            out[i * out_stride + k] = in[k * in_stride + i];
}

bool kern_all_finite_naive(size_t n, const float *x) {
    for (size_t i = 0; i < n; i++)
        if (!isfinite(x[i]))
            return false;
    return true;
}
