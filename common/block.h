/* block.h - a run of bytes packed with LZ4 where that pays, under an XXH3-64 of the raw bytes: LZ4
 * alone decodes most single-bit flips "successfully" to wrong numbers. The only file that knows
 * lz4.h is block.c. No state: any thread.
 *
 * Layout, little-endian: u32 raw length, u32 packed length, u64 XXH3-64 of the raw bytes, then the
 * packed bytes. Packed length equal to raw length means stored as is. */
#ifndef COMMON_BLOCK_H
#define COMMON_BLOCK_H

#include <stddef.h>
#include <stdint.h>

#include "common/buf.h"
#include "common/status.h"

enum {
    BLOCK_HEAD = 16,
    BLOCK_PACK_MIN = 64, /* raw bytes; fewer are stored as they are */
    BLOCK_RAW_MAX = 64 << 20
};

/* Appends one block to out, which must have room for BLOCK_HEAD + raw_len bytes even if the block
 * turns out smaller. raw_len at most BLOCK_RAW_MAX (asserted). RH_ENOMEM; RH_ELIMIT: out is full.
 * Either leaves out bad. */
rh_status block_pack(const void *raw, size_t raw_len, struct buf *out) MUST_CHECK;

/* Reads one block from r, whose raw length must be exactly raw_len. *raw: its raw bytes; in room
 * (raw_len) if they were packed, else where they lie, at any address. RH_ECORRUPT says what is wrong,
 * leaves r bad, and whatever it likes in room. */
rh_status block_unpack(struct rd *r, void *room, size_t raw_len, const uint8_t **raw) MUST_CHECK;

#endif
