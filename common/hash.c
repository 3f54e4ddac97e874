/* hash.c - see hash.h. */
#include "common/hash.h"

#include <inttypes.h>
#include <stdio.h>

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

/* XXH3_state_t has to lie at a multiple of 64: their malloc sees to it. */
struct hash_sum *hash_sum_new(void) {
    XXH3_state_t *s = XXH3_createState();
    if (s != NULL)
        XXH3_128bits_reset(s);
    return (struct hash_sum *)s;
}

void hash_sum_add(struct hash_sum *s, const void *p, size_t len_bytes) {
    XXH3_128bits_update((XXH3_state_t *)s, p, len_bytes);
}

struct hash128 hash_sum_end(const struct hash_sum *s) {
    XXH128_hash_t h = XXH3_128bits_digest((const XXH3_state_t *)s);
    return (struct hash128){h.low64, h.high64};
}

void hash_sum_free(struct hash_sum **s) {
    XXH3_freeState((XXH3_state_t *)*s);
    *s = NULL;
}

struct hash128 hash128(const void *p, size_t len_bytes) {
    XXH128_hash_t h = XXH3_128bits(p, len_bytes);
    return (struct hash128){h.low64, h.high64};
}

void hash128_text(struct hash128 h, char out[HASH128_TEXT]) {
    snprintf(out, HASH128_TEXT, "%016" PRIx64 "%016" PRIx64, h.high, h.low);
}
