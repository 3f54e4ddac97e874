/* msg_section.c - ids and rows as they travel in PULL, PUSH, WRITE and ROWS, and frames made of finished
 * bodies: see msg.c. */
#include "proto/msg.h"

#include <assert.h>
#include <math.h>
#include <string.h>

#include "common/err.h"
#include "common/hash.h"
#include "common/size.h"

/* ---- sections ---- */

/* So the sums below cannot overflow. */
_Static_assert(UINT64_C(4) * WIRE_DIM_MAX * WIRE_IDS_MAX + 8 * WIRE_IDS_MAX + 32 <= SIZE_MAX,
               "a section's bytes fit in a size_t");

static bool has_ids(enum wire_kind kind) {
    return kind != WIRE_ROWS;
}

static bool has_rows(enum wire_kind kind) {
    return kind != WIRE_PULL;
}

/* lr and pushes stand in front of the ids of what changes rows. */
static bool has_step(enum wire_kind kind) {
    return kind == WIRE_PUSH || kind == WIRE_WRITE;
}

static size_t head_bytes(enum wire_kind kind) {
    return has_step(kind) ? 24 : 8;
}

static size_t ids_bytes(enum wire_kind kind, uint32_t count) {
    return has_ids(kind) ? count * sizeof(uint64_t) : 0;
}

static size_t rows_bytes(uint32_t count, uint32_t dim) {
    size_t bytes = 0;
    bool fits = size_mul3(count, dim, sizeof(float), &bytes);
    assert(fits);
    (void)fits;
    return bytes;
}

/* Every section begins on 8, and only rows can end off it. */
static size_t pad_bytes(size_t rows) {
    return rows % 8;
}

size_t msg_section_bytes(enum wire_kind kind, uint32_t count, uint32_t dim) {
    assert(count <= WIRE_IDS_MAX && dim <= WIRE_DIM_MAX);
    size_t rows = has_rows(kind) ? rows_bytes(count, dim) : 0;
    return head_bytes(kind) + ids_bytes(kind, count) + rows + pad_bytes(rows);
}

void msg_put_section(struct buf *b, enum wire_kind kind, const struct msg_section *s, uint32_t dim,
                     uint8_t **ids, uint8_t **rows) {
    size_t bytes = msg_section_bytes(kind, s->count, dim);
    uint8_t *at = buf_grow(b, bytes);
    if (ids != NULL)
        *ids = at != NULL && has_ids(kind) ? at + head_bytes(kind) : NULL;
    if (rows != NULL)
        *rows = NULL;
    if (at == NULL)
        return;
    struct buf head;
    buf_wrap(&head, at, head_bytes(kind));
    buf_put_u32(&head, s->table);
    buf_put_u32(&head, s->count);
    if (has_step(kind)) {
        buf_put_f64(&head, kind == WIRE_PUSH ? s->lr : 0);
        buf_put_u64(&head, kind == WIRE_PUSH ? s->pushes : 0);
    }
    assert(!head.bad);
    if (!has_rows(kind))
        return;
    size_t pad = pad_bytes(rows_bytes(s->count, dim));
    memset(at + bytes - pad, 0, pad);
    if (rows != NULL)
        *rows = at + head_bytes(kind) + ids_bytes(kind, s->count);
}

void msg_get_section(struct rd *r, enum wire_kind kind, struct msg_section *s) {
    *s = (struct msg_section){.table = rd_u32(r)};
    s->count = rd_u32(r);
    rd_must(r, s->count <= WIRE_IDS_MAX);
    if (has_step(kind)) {
        s->lr = rd_f64(r);
        s->pushes = rd_u64(r);
        rd_must(r, kind == WIRE_PUSH ? isfinite(s->lr) : s->lr == 0 && s->pushes == 0);
    }
    if (has_ids(kind))
        s->ids = rd_bytes(r, ids_bytes(kind, s->count));
    /* Whoever forgets to ask must not find a count without ids behind it. */
    if (r->bad)
        *s = (struct msg_section){0};
}

void msg_get_rows(struct rd *r, struct msg_section *s, uint32_t dim) {
    assert(s->count <= WIRE_IDS_MAX && dim <= WIRE_DIM_MAX);
    size_t bytes = rows_bytes(s->count, dim);
    s->rows = rd_bytes(r, bytes);
    if (pad_bytes(bytes) != 0)
        rd_must(r, rd_u32(r) == 0);
    if (r->bad)
        *s = (struct msg_section){0};
}

uint64_t msg_digest(uint64_t digest, uint32_t table, uint32_t count, const uint8_t *ids) {
    uint8_t head[8];
    struct buf b;
    buf_wrap(&b, head, sizeof head);
    buf_put_u32(&b, table);
    buf_put_u32(&b, count);
    digest = hash64_seeded(head, sizeof head, digest);
    return hash64_seeded(ids, count * sizeof(uint64_t), digest);
}

/* ---- frames ---- */

struct frame *msg_frame(struct frame_pool *pool, struct head *h, const struct buf *body) {
    size_t len = body == NULL ? 0 : body->len;
    if (body != NULL && (body->bad || len > WIRE_FRAME_MAX - WIRE_HEAD)) {
        err_set(RH_ELIMIT, "the body of a %s is more than a frame may hold, or memory ran out",
                wire_kind_name(h->kind));
        return NULL;
    }
    struct frame *f = frame_new(pool, WIRE_HEAD + len);
    if (f == NULL)
        return NULL;
    if (len > 0)
        memcpy(f->data + WIRE_HEAD, body->p, len);
    h->body_len = (uint32_t)len;
    wire_seal(f->data, h);
    return f;
}

/* The longest beginning of text that a str may hold, without half a character at its end. */
static size_t text_len(const char *text) {
    size_t n = strnlen(text, WIRE_STR_MAX + 1);
    if (n <= WIRE_STR_MAX)
        return n;
    n = WIRE_STR_MAX;
    while (n > 0 && ((unsigned char)text[n] & 0xC0) == 0x80)
        n--;
    return n;
}

struct frame *msg_refuse(struct frame_pool *pool, const struct head *h, rh_status s,
                         const char *text) {
    char cut[WIRE_STR_MAX + 1];
    size_t n = text_len(text);
    memcpy(cut, text, n);
    cut[n] = 0;
    uint8_t room[sizeof(uint16_t) + WIRE_STR_MAX];
    struct buf b;
    buf_wrap(&b, room, sizeof room);
    buf_put_str(&b, cut);
    struct head a = {
        .kind = WIRE_REFUSE,
        .flags = h->flags & WIRE_NOSUM,
        .job = h->job,
        .worker = h->worker,
        .worker_inc = h->worker_inc,
        .server_inc = h->server_inc,
        .num = h->num,
        .status = (uint16_t)s,
    };
    return msg_frame(pool, &a, &b);
}
