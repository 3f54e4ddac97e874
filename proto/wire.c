/* wire.c - the 64-byte header and the table of kinds: what a frame may be before anybody looks into
 * its body. Promises that nothing but magic and version is acted on before its sum was right.
 * Bodies are msg.c's. */
#include "proto/wire.h"

#include <assert.h>

#include "common/buf.h"
#include "common/err.h"
#include "common/hash.h"

enum { BODY_SUM_AT = 56, HEAD_SUM_AT = 60, BODY_MAX = WIRE_FRAME_MAX - WIRE_HEAD };

/* PROTOCOL.md, section 3. NOSUM may stand on any kind. */
static const struct kind {
    const char *name;
    bool op;        /* has a number in the chain */
    bool sections;  /* has a body of sections */
    uint16_t flags; /* that this kind may carry */
} kinds[WIRE_ANSWERS_END] = {
    [WIRE_HELLO] = {.name = "HELLO", .flags = WIRE_LOOK},
    [WIRE_OPEN] = {.name = "OPEN", .op = true},
    [WIRE_PULL] = {.name = "PULL", .sections = true, .flags = WIRE_RAW},
    [WIRE_PUSH] = {.name = "PUSH", .op = true, .sections = true},
    [WIRE_WRITE] = {.name = "WRITE", .op = true, .sections = true},
    [WIRE_FREEZE] = {.name = "FREEZE", .op = true, .flags = WIRE_UNDO},
    [WIRE_TICK] = {.name = "TICK", .op = true, .sections = true},
    [WIRE_BYE] = {.name = "BYE", .op = true, .sections = true},
    [WIRE_BARRIER] = {.name = "BARRIER"},
    [WIRE_INFO] = {.name = "INFO"},
    [WIRE_BEAT] = {.name = "BEAT"},
    [WIRE_RESET] = {.name = "RESET", .op = true, .flags = WIRE_INIT},
    [WIRE_DROP] = {.name = "DROP", .op = true},
    [WIRE_FREEZE_IDS] = {.name = "FREEZE_IDS", .op = true, .flags = WIRE_UNDO},
    [WIRE_FROZEN] = {.name = "FROZEN"},
    [WIRE_LOAD] = {.name = "LOAD", .op = true},
    [WIRE_STAGE] = {.name = "STAGE", .flags = WIRE_UNDO},
    [WIRE_MARK] = {.name = "MARK", .op = true, .sections = true},
    [WIRE_SAVE] = {.name = "SAVE", .flags = WIRE_UNDO},
    [WIRE_COMMIT] = {.name = "COMMIT"},
    [WIRE_CURSOR] = {.name = "CURSOR"},
    [WIRE_RESTORE] = {.name = "RESTORE", .flags = WIRE_UNDO},
    [WIRE_CANCEL] = {.name = "CANCEL", .op = true},
    [WIRE_WELCOME] = {.name = "WELCOME"},
    [WIRE_ACK] = {.name = "ACK"},
    [WIRE_ROWS] = {.name = "ROWS", .sections = true},
    [WIRE_REFUSE] = {.name = "REFUSE"},
    [WIRE_NACK] = {.name = "NACK"},
    [WIRE_OPENED] = {.name = "OPENED"},
    [WIRE_PASSED] = {.name = "PASSED"},
    [WIRE_FACTS] = {.name = "FACTS"},
    [WIRE_ALIVE] = {.name = "ALIVE"},
    [WIRE_FROZEN_ROWS] = {.name = "FROZEN_ROWS"},
    [WIRE_STAGED] = {.name = "STAGED"},
    [WIRE_SAVING] = {.name = "SAVING"},
    [WIRE_CURSOR_IS] = {.name = "CURSOR_IS"},
    [WIRE_RESTORED] = {.name = "RESTORED"},
};

static const struct kind *kind_find(uint8_t kind) {
    return kind < WIRE_ANSWERS_END && kinds[kind].name != NULL ? &kinds[kind] : NULL;
}

bool wire_is_op(uint8_t kind) {
    const struct kind *k = kind_find(kind);
    return k != NULL && k->op;
}

const char *wire_kind_name(uint8_t kind) {
    const struct kind *k = kind_find(kind);
    return k != NULL ? k->name : "?";
}

int opnum_cmp(struct opnum a, struct opnum b) {
    if (a.clock != b.clock)
        return a.clock < b.clock ? -1 : 1;
    if (a.call != b.call)
        return a.call < b.call ? -1 : 1;
    if (a.part != b.part)
        return a.part < b.part ? -1 : 1;
    return 0;
}

/* What a header may say of itself. Asked on both sides: before it is sealed, and after its sum. */
static rh_status head_check(const struct head *h) {
    const struct kind *k = kind_find(h->kind);
    if (k == NULL)
        return err_set(RH_EPROTO, "frame of kind %u: there is none", h->kind);
    if ((h->flags & ~(k->flags | WIRE_NOSUM)) != 0)
        return err_set(RH_EPROTO, "%s with flags 0x%x, of which it may have 0x%x", k->name,
                       h->flags, (unsigned)k->flags | WIRE_NOSUM);
    if (h->sections > (k->sections ? WIRE_SECTIONS_MAX : 0))
        return err_set(RH_EPROTO, "%s with %u sections, of which it may have %d", k->name,
                       h->sections, k->sections ? WIRE_SECTIONS_MAX : 0);
    bool refusal = h->kind == WIRE_REFUSE;
    if (refusal != (h->status != RH_OK) || !status_known(h->status))
        return err_set(RH_EPROTO, "%s with status %u", k->name, h->status);
    if (h->body_len > BODY_MAX)
        return err_set(RH_EPROTO, "%s with a body of %u bytes, more than %d", k->name, h->body_len,
                       BODY_MAX);
    return RH_OK;
}

void wire_seal(uint8_t *frame, const struct head *h) {
    assert(head_check(h) == RH_OK);
    struct buf b;
    buf_wrap(&b, frame, WIRE_HEAD);
    buf_put_u32(&b, WIRE_MAGIC);
    buf_put_u8(&b, WIRE_VERSION);
    buf_put_u8(&b, h->kind);
    buf_put_u16(&b, h->flags);
    buf_put_u64(&b, h->job);
    buf_put_u32(&b, h->worker);
    buf_put_u32(&b, h->worker_inc);
    buf_put_u32(&b, h->server_inc);
    buf_put_u32(&b, h->num.clock);
    buf_put_u32(&b, h->num.call);
    buf_put_u16(&b, h->num.part);
    buf_put_u16(&b, h->sections);
    buf_put_u32(&b, h->prev.clock);
    buf_put_u32(&b, h->prev.call);
    buf_put_u16(&b, h->prev.part);
    buf_put_u16(&b, h->status);
    buf_put_u32(&b, h->body_len);
    buf_put_u32(&b, h->flags & WIRE_NOSUM ? 0 : hash32(frame + WIRE_HEAD, h->body_len));
    buf_put_u32(&b, hash32(frame, HEAD_SUM_AT));
    assert(!b.bad && b.len == WIRE_HEAD);
}

/* Reads what stands between magic and sums, believing nothing. */
static void head_read(struct rd *r, struct head *h) {
    h->version = rd_u8(r);
    h->kind = rd_u8(r);
    h->flags = rd_u16(r);
    h->job = rd_u64(r);
    h->worker = rd_u32(r);
    h->worker_inc = rd_u32(r);
    h->server_inc = rd_u32(r);
    h->num.clock = rd_u32(r);
    h->num.call = rd_u32(r);
    h->num.part = rd_u16(r);
    h->sections = rd_u16(r);
    h->prev.clock = rd_u32(r);
    h->prev.call = rd_u32(r);
    h->prev.part = rd_u16(r);
    h->status = rd_u16(r);
    h->body_len = rd_u32(r);
}

rh_status wire_open(const uint8_t *frame, size_t len, struct head *h) {
    if (len < WIRE_HEAD)
        return err_set(RH_EPROTO, "frame of %zu bytes is shorter than its header", len);
    struct rd r;
    struct head in;
    rd_init(&r, frame, WIRE_HEAD);
    uint32_t magic = rd_u32(&r);
    head_read(&r, &in);
    uint32_t body_sum = rd_u32(&r);
    uint32_t head_sum = rd_u32(&r);

    if (magic != WIRE_MAGIC)
        return err_set(RH_EPROTO, "frame begins with 0x%08x: not rowhouse's", magic);
    if (in.version != WIRE_VERSION) {
        *h = (struct head){.version = in.version, .kind = in.kind};
        return err_set(RH_EVERSION, "the other side speaks protocol version %u, this one %d",
                       in.version, WIRE_VERSION);
    }
    uint32_t sum = hash32(frame, HEAD_SUM_AT);
    if (sum != head_sum)
        return err_set(RH_EPROTO, "header's sum is %08x, computed %08x", head_sum, sum);
    rh_status s = head_check(&in);
    if (s != RH_OK)
        return s;
    if (in.body_len != len - WIRE_HEAD)
        return err_set(RH_EPROTO, "%s says that its body has %u bytes; %zu came",
                       wire_kind_name(in.kind), in.body_len, len - WIRE_HEAD);
    sum = in.flags & WIRE_NOSUM ? 0 : hash32(frame + WIRE_HEAD, in.body_len);
    if (sum != body_sum)
        return err_set(RH_EPROTO, "%s: body's sum is %08x, computed %08x", wire_kind_name(in.kind),
                       body_sum, sum);
    *h = in;
    return RH_OK;
}
