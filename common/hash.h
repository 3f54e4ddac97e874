/* hash.h - XXH3-64 of bytes: the same number on every machine and in every version, so it may be
 * written to files and wires. Against accidents, not against attackers. Any thread. */
#ifndef COMMON_HASH_H
#define COMMON_HASH_H

#include <stddef.h>
#include <stdint.h>

uint64_t hash64(const void *p, size_t len_bytes);
uint64_t hash64_seeded(const void *p, size_t len_bytes, uint64_t seed);

/* The low half. */
static inline uint32_t hash32(const void *p, size_t len_bytes) {
    return (uint32_t)hash64(p, len_bytes);
}

#endif
