/* block.c - see block.h. */
#include "common/block.h"

#include <assert.h>
#include <inttypes.h>
#include <lz4.h>
#include <string.h>

#include "common/err.h"
#include "common/hash.h"

_Static_assert(BLOCK_RAW_MAX <= LZ4_MAX_INPUT_SIZE, "LZ4 takes no more at once");

/* Pieces of a block, at equal distances: a sixteenth of what LZ4 takes for all of it, where nothing
 * repeats. Trained floats are such; what is zero, or the same in many rows, shows in pieces too. */
enum { PIECES = 32, PIECE_BYTES = 256, SAMPLE_BYTES = PIECES * PIECE_BYTES };

/* Whether it is worth trying to pack so large a block. */
static bool may_pay(const uint8_t *raw, size_t raw_len) {
    if (raw_len < 4 * SAMPLE_BYTES)
        return true;
    uint8_t sample[SAMPLE_BYTES], packed[SAMPLE_BYTES];
    for (size_t i = 0; i < PIECES; i++)
        memcpy(sample + i * PIECE_BYTES, raw + raw_len / PIECES * i, PIECE_BYTES);
    const int room = SAMPLE_BYTES - SAMPLE_BYTES / 32; /* a piece begins with nothing to repeat */
    return LZ4_compress_default((const char *)sample, (char *)packed, SAMPLE_BYTES, room) > 0;
}

rh_status block_pack(const void *raw, size_t raw_len, struct buf *out) {
    assert(raw_len <= BLOCK_RAW_MAX);
    size_t start = out->len;
    bool full = out->bad || BLOCK_HEAD + raw_len > out->max - start;
    uint8_t *head = buf_grow(out, BLOCK_HEAD + raw_len);
    if (head == NULL && full)
        return err_set(RH_ELIMIT, "a block of %zu bytes does not fit behind %zu of at most %zu",
                       raw_len, start, out->max);
    if (head == NULL)
        return err_set(RH_ENOMEM, "no memory for a block of %zu bytes", raw_len);

    /* LZ4 gives up where it runs out of room, so the room says what pays: a sixteenth saved. */
    uint8_t *body = head + BLOCK_HEAD;
    int room = (int)(raw_len - raw_len / 16);
    int packed = 0;
    if (raw_len >= BLOCK_PACK_MIN && may_pay(raw, raw_len))
        packed = LZ4_compress_default(raw, (char *)body, (int)raw_len, room);
    size_t len = packed > 0 && (size_t)packed < raw_len ? (size_t)packed : raw_len;
    if (len == raw_len && raw_len > 0)
        memcpy(body, raw, raw_len);

    struct buf b;
    buf_wrap(&b, head, BLOCK_HEAD);
    buf_put_u32(&b, (uint32_t)raw_len);
    buf_put_u32(&b, (uint32_t)len);
    buf_put_u64(&b, hash64(raw, raw_len));
    out->len = start + BLOCK_HEAD + len;
    return RH_OK;
}

static rh_status unpack(struct rd *r, void *room, size_t raw_len, const uint8_t **raw) {
    uint32_t stated_len = rd_u32(r), len = rd_u32(r);
    uint64_t stated_hash = rd_u64(r);
    if (r->bad)
        return err_set(RH_ECORRUPT, "a block ends within its %d bytes of head", BLOCK_HEAD);
    if (stated_len != raw_len)
        return err_set(RH_ECORRUPT, "a block holds %" PRIu32 " bytes where %zu belong", stated_len,
                       raw_len);
    if (len > raw_len)
        return err_set(RH_ECORRUPT, "a block of %zu bytes is packed into %" PRIu32, raw_len, len);
    const uint8_t *body = rd_bytes(r, len);
    if (body == NULL)
        return err_set(RH_ECORRUPT, "a block ends before its %" PRIu32 " packed bytes do", len);

    const uint8_t *is = body;
    if (len < raw_len) {
        int got = LZ4_decompress_safe((const char *)body, room, (int)len, (int)raw_len);
        if (got < 0 || (size_t)got != raw_len)
            return err_set(RH_ECORRUPT, "a block of %zu bytes does not unpack: LZ4 says %d",
                           raw_len, got);
        is = room;
    }
    uint64_t hash = hash64(is, raw_len);
    if (hash != stated_hash)
        return err_set(RH_ECORRUPT,
                       "a block's bytes have XXH3 %016" PRIx64 ", its head says %016" PRIx64, hash,
                       stated_hash);
    *raw = is;
    return RH_OK;
}

rh_status block_unpack(struct rd *r, void *room, size_t raw_len, const uint8_t **raw) {
    assert(raw_len <= BLOCK_RAW_MAX);
    rh_status st = unpack(r, room, raw_len, raw);
    if (st != RH_OK)
        r->bad = true;
    return st;
}
