/* hash.c - see hash.h. */
#include "common/hash.h"

/* The library's plain entry points are built for the oldest x86-64: 9 GB/s where those that look at
 * the machine first do 21. The values are the same. */
#if defined(__x86_64__) && __has_include(<xxh_x86dispatch.h>)
#include <xxh_x86dispatch.h>
#else
#include <xxhash.h>
#endif

uint64_t hash64(const void *p, size_t len_bytes) {
    return XXH3_64bits(p, len_bytes);
}

uint64_t hash64_seeded(const void *p, size_t len_bytes, uint64_t seed) {
    return XXH3_64bits_withSeed(p, len_bytes, seed);
}
