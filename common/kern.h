/* kern.h - the float loops: sizes and pointers in, nothing else. Reductions use a fixed number of
 * lanes, so their bits do not depend on the width of the machine's vectors; each kernel has a naive
 * twin that the tests hold it against. Any thread. */
#ifndef COMMON_KERN_H
#define COMMON_KERN_H

#include <stdbool.h>
#include <stddef.h>

/* One binary serves mixed clusters. Off under sanitizers (their runtime is not up when ifuncs
 * resolve). */
#if defined(__x86_64__) && defined(__GNUC__) && !defined(__clang__) && \
    !defined(__SANITIZE_ADDRESS__) && !defined(__SANITIZE_THREAD__) && !defined(RH_NO_CLONES)
#define KERN_CLONES __attribute__((target_clones("arch=x86-64-v4", "arch=x86-64-v3", "default")))
#else
#define KERN_CLONES
#endif

enum { KERN_LANES = 16 };

/* sum of a[i] * b[i]: lane l adds i = l, l + 16, ... in order; then lanes are folded by halves (8,
 * 4, 2, 1). */
float kern_dot(size_t n, const float *restrict a, const float *restrict b);
float kern_dot_naive(size_t n, const float *a, const float *b);

/* y += a * x */
void kern_axpy(size_t n, float a, const float *restrict x, float *restrict y);
void kern_axpy_naive(size_t n, float a, const float *x, float *y);

/* y += x */
void kern_add(size_t n, const float *restrict x, float *restrict y);
void kern_add_naive(size_t n, const float *x, float *y);

/* y *= a */
void kern_scale(size_t n, float a, float *restrict y);
void kern_scale_naive(size_t n, float a, float *y);

/* The p-norm for p > 0, (sum of |x[i]|^p)^(1/p); for p = INFINITY the largest |x[i]|. NaN if any x[i]
 * is. In double, and in lanes as kern_dot. INFINITY and whole p up to KERN_P_MAX need + - * / sqrt
 * only, so their bits are the same on every machine. Any other p is libm's pow: slower, the same on
 * like machines, but its last bit may differ between processors and C libraries. */
enum { KERN_P_MAX = 16 };
double kern_norm(size_t n, const float *x, double p);
double kern_norm_naive(size_t n, const float *x, double p);

/* y = x where x is larger: of equals, and of what has no order (NaN), y stays. */
void kern_max(size_t n, const float *restrict x, float *restrict y);
void kern_max_naive(size_t n, const float *x, float *y);

/* Columns become rows: out[i * out_stride + k] = in[k * in_stride + i], i < rows, k < columns. */
void kern_turn(size_t rows, size_t columns, const float *restrict in, size_t in_stride,
               float *restrict out, size_t out_stride);
void kern_turn_naive(size_t rows, size_t columns, const float *in, size_t in_stride, float *out,
                     size_t out_stride);

/* True if no value is NaN or infinite. */
bool kern_all_finite(size_t n, const float *x);
bool kern_all_finite_naive(size_t n, const float *x);

#endif
