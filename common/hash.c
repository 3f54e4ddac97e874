/* hash.c - see hash.h. */
#include "common/hash.h"

#include <xxhash.h>

uint64_t hash64(const void *p, size_t len_bytes) {
    return XXH3_64bits(p, len_bytes);
}

uint64_t hash64_seeded(const void *p, size_t len_bytes, uint64_t seed) {
    return XXH3_64bits_withSeed(p, len_bytes, seed);
}
