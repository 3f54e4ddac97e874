/* msg_ckpt.c - checkpoints of a running job, as they are begun, followed, committed and restored: see
 * msg.c. */
#include <string.h>

#include "proto/msg.h"

static void put_hash(struct buf *b, struct hash128 h) {
    buf_put_u64(b, h.low);
    buf_put_u64(b, h.high);
}

static struct hash128 get_hash(struct rd *r) {
    uint64_t low = rd_u64(r);
    return (struct hash128){.low = low, .high = rd_u64(r)};
}

/* ---- saving ---- */

void msg_put_mark(struct buf *b, const struct msg_mark *m) {
    bool kept = m->cursor == NULL;
    buf_put_u32(b, m->generation);
    buf_put_u32(b, kept ? MSG_CURSOR_KEPT : m->cursor_len);
    if (!kept)
        buf_put_bytes(b, m->cursor, m->cursor_len);
}

void msg_get_mark(struct rd *r, struct msg_mark *m) {
    m->generation = rd_u32(r);
    m->cursor_len = rd_u32(r);
    m->cursor = NULL;
    if (m->cursor_len == MSG_CURSOR_KEPT) {
        m->cursor_len = 0;
        return;
    }
    rd_must(r, m->cursor_len <= MSG_CURSOR_MAX);
    if (!r->bad)
        m->cursor = rd_bytes(r, m->cursor_len);
}

void msg_put_save(struct buf *b, const struct msg_save *m) {
    buf_put_u32(b, m->generation);
    buf_put_u32(b, m->ticket);
    buf_put_str(b, m->name);
}

void msg_get_save(struct rd *r, struct msg_save *m) {
    m->generation = rd_u32(r);
    m->ticket = rd_u32(r);
    rd_must(r, (m->generation == 0) == (m->ticket != 0));
    rd_str(r, m->name, sizeof m->name);
}

void msg_put_written(struct buf *b, const struct msg_written *m) {
    buf_put_u64(b, m->bytes);
    buf_put_u64(b, m->rows);
    put_hash(b, m->sum);
    put_hash(b, m->agreed);
}

void msg_get_written(struct rd *r, struct msg_written *m) {
    m->bytes = rd_u64(r);
    m->rows = rd_u64(r);
    m->sum = get_hash(r);
    m->agreed = get_hash(r);
}

void msg_put_saving(struct buf *b, const struct msg_saving *m) {
    buf_put_u32(b, m->generation);
    buf_put_u32(b, m->phase);
    buf_put_u32(b, m->waiting_for);
    buf_put_u32(b, m->status);
    buf_put_u64(b, m->done_bytes);
    msg_put_written(b, &m->written);
    buf_put_str(b, m->text);
}

void msg_get_saving(struct rd *r, struct msg_saving *m) {
    m->generation = rd_u32(r);
    m->phase = rd_u32(r);
    m->waiting_for = rd_u32(r);
    m->status = rd_u32(r);
    m->done_bytes = rd_u64(r);
    msg_get_written(r, &m->written);
    rd_str(r, m->text, sizeof m->text);
    rd_must(r, m->phase >= MSG_GATHERING && m->phase <= MSG_BUSY);
    rd_must(r, (m->phase == MSG_GIVEN_UP) == (m->status != RH_OK) && status_known(m->status));
}

void msg_put_commit(struct buf *b, const struct msg_commit *m) {
    buf_put_u32(b, m->generation);
    buf_put_u32(b, m->shards);
}

void msg_get_commit(struct rd *r, struct msg_commit *m) {
    m->generation = rd_u32(r);
    m->shards = rd_u32(r);
}

/* ---- cursors ---- */

void msg_put_cursor(struct buf *b, const struct msg_cursor *m) {
    buf_put_u32(b, m->rank);
    buf_put_u32(b, 0);
}

void msg_get_cursor(struct rd *r, struct msg_cursor *m) {
    m->rank = rd_u32(r);
    rd_must(r, rd_u32(r) == 0);
}

void msg_put_cursor_is(struct buf *b, const struct msg_cursor_is *m) {
    buf_put_u64(b, m->generation);
    buf_put_u64(b, m->clock);
    buf_put_str(b, m->name);
    buf_put_u32(b, m->known);
    buf_put_u32(b, m->len);
    if (m->len > 0)
        buf_put_bytes(b, m->bytes, m->len);
}

void msg_get_cursor_is(struct rd *r, struct msg_cursor_is *m) {
    m->generation = rd_u64(r);
    m->clock = rd_u64(r);
    rd_str(r, m->name, sizeof m->name);
    m->known = rd_yesno(r);
    m->len = rd_u32(r);
    rd_must(r, m->len <= (m->known ? MSG_CURSOR_MAX : 0));
    m->bytes = r->bad ? NULL : rd_bytes(r, m->len);
}

/* ---- restoring ---- */

bool msg_gone_has(const struct msg_gone *m, uint32_t rank) {
    return rank / 8 < m->len && (m->bits[rank / 8] >> rank % 8 & 1) != 0;
}

void msg_gone_add(struct msg_gone *m, uint32_t rank) {
    while (m->len <= rank / 8)
        m->bits[m->len++] = 0;
    m->bits[rank / 8] |= (uint8_t)(1u << rank % 8);
}

static void put_gone(struct buf *b, const struct msg_gone *m) {
    buf_put_u32(b, m->len);
    if (m->len > 0)
        buf_put_bytes(b, m->bits, m->len);
}

static void get_gone(struct rd *r, struct msg_gone *m) {
    m->len = rd_u32(r);
    rd_must(r, m->len <= MSG_GONE_MAX);
    const uint8_t *bits = r->bad ? NULL : rd_bytes(r, m->len);
    if (r->bad)
        m->len = 0;
    if (m->len > 0)
        memcpy(m->bits, bits, m->len);
}

void msg_put_restore(struct buf *b, const struct msg_restore *m) {
    buf_put_u32(b, m->step);
    buf_put_u32(b, m->ticket);
    buf_put_str(b, m->name);
    put_gone(b, &m->gone);
}

void msg_get_restore(struct rd *r, struct msg_restore *m) {
    m->step = rd_u32(r);
    m->ticket = rd_u32(r);
    rd_str(r, m->name, sizeof m->name);
    get_gone(r, &m->gone);
    rd_must(r, m->step <= 2);
}

void msg_put_restored(struct buf *b, const struct msg_restored *m) {
    buf_put_u32(b, m->ticket);
    buf_put_u32(b, m->step);
    buf_put_u64(b, m->done_bytes);
    buf_put_u64(b, m->generation);
    buf_put_str(b, m->name);
    put_gone(b, &m->gone);
}

void msg_get_restored(struct rd *r, struct msg_restored *m) {
    m->ticket = rd_u32(r);
    m->step = rd_u32(r);
    m->done_bytes = rd_u64(r);
    m->generation = rd_u64(r);
    rd_str(r, m->name, sizeof m->name);
    get_gone(r, &m->gone);
    rd_must(r, m->step <= 3);
}
