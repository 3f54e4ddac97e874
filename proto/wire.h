/* wire.h - the 64-byte frame header and the limits of PROTOCOL.md: encode, decode, check. Decoding
 * treats every byte as hostile; nothing is believed before its sum is right. No I/O. */
#ifndef PROTO_WIRE_H
#define PROTO_WIRE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/status.h"

#define WIRE_MAGIC    0x31574852u /* "RHW1" */
#define WIRE_OBSERVER 0xFFFFFFFFu
#define WIRE_CALL_END 0xFFFFFFFFu /* call of the tick or bye that ends a clock */
#define WIRE_NOBODY   0xFFFFFFFFu

enum {
    WIRE_VERSION = 1,
    WIRE_HEAD = 64,
    WIRE_ROWS_MAX = 1 << 20, /* bytes of rows in a part */
    WIRE_FRAME_MAX = (2 << 20) + (64 << 10),
    WIRE_IDS_MAX = WIRE_FRAME_MAX / 8, /* no frame holds more */
    WIRE_SECTIONS_MAX = 1024,
    WIRE_DIM_MAX = 4096,
    WIRE_NAME_MAX = 64,
    WIRE_AGES = 8, /* classes that pulls are counted in by the age of what they saw */
    WIRE_STR_MAX = 1024
};

enum wire_kind {
    WIRE_HELLO = 1,
    WIRE_OPEN,
    WIRE_PULL,
    WIRE_PUSH,
    WIRE_WRITE,
    WIRE_FREEZE,
    WIRE_TICK,
    WIRE_BYE,
    WIRE_BARRIER,
    WIRE_INFO,
    WIRE_BEAT,
    WIRE_RESET = 12,
    WIRE_DROP = 13,
    WIRE_FREEZE_IDS = 14,
    WIRE_FROZEN = 15,
    WIRE_LOAD = 16,
    WIRE_STAGE = 17,
    WIRE_MARK = 18,
    WIRE_SAVE = 19,
    WIRE_COMMIT = 20,
    WIRE_CURSOR = 21,
    WIRE_RESTORE = 22,
    WIRE_CANCEL = 23,
    WIRE_REQUESTS_END,

    WIRE_WELCOME = 65,
    WIRE_ACK,
    WIRE_ROWS,
    WIRE_REFUSE,
    WIRE_NACK,
    WIRE_OPENED,
    WIRE_PASSED,
    WIRE_FACTS,
    WIRE_ALIVE,
    WIRE_FROZEN_ROWS = 74,
    WIRE_STAGED = 75,
    WIRE_SAVING = 76,
    WIRE_CURSOR_IS = 77,
    WIRE_RESTORED = 78,
    WIRE_ANSWERS_END
};

enum wire_flag { WIRE_NOSUM = 1, WIRE_RAW = 2, WIRE_UNDO = 4, WIRE_LOOK = 8, WIRE_INIT = 256 };

/* The number of an op. (0, 0, 0) comes before all. */
struct opnum {
    uint32_t clock, call;
    uint16_t part;
};

/* -1, 0 or 1, as memcmp. */
int opnum_cmp(struct opnum a, struct opnum b);

struct head {
    uint8_t version, kind;
    uint16_t flags;
    uint64_t job;
    uint32_t worker, worker_inc, server_inc;
    struct opnum num;
    uint16_t sections;
    struct opnum prev;
    uint16_t status;
    uint32_t body_len;
};

/* True for the kinds that have a number in a worker's chain. */
bool wire_is_op(uint8_t kind);

/* "PUSH" for WIRE_PUSH; "kind 99" is "?". */
const char *wire_kind_name(uint8_t kind);

/* Writes the header in front of a body that is complete at frame + WIRE_HEAD; sums both (the body
 * unless NOSUM is set). */
void wire_seal(uint8_t *frame, const struct head *h);

/* Reads and checks the header and the body's sum of a whole frame. RH_EPROTO with what was wrong.
 * RH_EVERSION: magic is right and the version is not ours; then only h->version and h->kind are
 * filled in. */
rh_status wire_open(const uint8_t *frame, size_t len, struct head *h) MUST_CHECK;

#endif
