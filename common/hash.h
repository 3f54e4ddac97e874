/* hash.h - XXH3 of bytes: the same number on every machine and in every version, so it may be
 * written to files and wires. Against accidents, not against attackers. Any thread. */
#ifndef COMMON_HASH_H
#define COMMON_HASH_H

#include <stddef.h>
#include <stdint.h>

uint64_t hash64(const void *p, size_t len_bytes);
uint64_t hash64_seeded(const void *p, size_t len_bytes, uint64_t seed);

/* XXH3-128, of bytes that come piece by piece. */
struct hash128 {
    uint64_t low, high;
};
struct hash_sum;
struct hash_sum *hash_sum_new(void); /* of no bytes yet; NULL: no memory */
void hash_sum_add(struct hash_sum *s, const void *p, size_t len_bytes);
struct hash128 hash_sum_end(const struct hash_sum *s); /* of those so far */
void hash_sum_free(struct hash_sum **s);
struct hash128 hash128(const void *p, size_t len_bytes);

/* 32 digits, high half first, and a 0. */
enum { HASH128_TEXT = 33 };
void hash128_text(struct hash128 h, char out[HASH128_TEXT]);

/* The low half. */
static inline uint32_t hash32(const void *p, size_t len_bytes) {
    return (uint32_t)hash64(p, len_bytes);
}

#endif
