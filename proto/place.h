/* place.h - which slot and which shard an id belongs to. The whole world agrees on these few lines.
 */
#ifndef PROTO_PLACE_H
#define PROTO_PLACE_H

#include <stdint.h>

enum { PLACE_SLOTS = 16384, PLACE_SLOT_BITS = 14, PLACE_SHARDS_MAX = 1024 };

/* Bit reversal of the low 14 bits: neighbours in id spread over all shards, so frequent (small) ids
 * do too. */
static inline uint32_t place_slot(uint64_t id) {
    uint32_t v = (uint32_t)id & (PLACE_SLOTS - 1);
    v = ((v >> 1) & 0x5555u) | ((v & 0x5555u) << 1);
    v = ((v >> 2) & 0x3333u) | ((v & 0x3333u) << 2);
    v = ((v >> 4) & 0x0F0Fu) | ((v & 0x0F0Fu) << 4);
    v = ((v >> 8) & 0x00FFu) | ((v & 0x00FFu) << 8);
    return v >> (16 - PLACE_SLOT_BITS);
}

static inline uint32_t place_shard_of_slot(uint32_t slot, uint32_t shards) {
    return (uint32_t)((uint64_t)slot * shards / PLACE_SLOTS);
}

static inline uint32_t place_shard(uint64_t id, uint32_t shards) {
    return place_shard_of_slot(place_slot(id), shards);
}

/* A shard owns slots place_first(shard) .. place_first(shard + 1) - 1. */
static inline uint32_t place_first(uint32_t shard, uint32_t shards) {
    return (uint32_t)(((uint64_t)shard * PLACE_SLOTS + shards - 1) / shards);
}

#endif
