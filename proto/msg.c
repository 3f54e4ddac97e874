/* msg.c - the bodies of PROTOCOL.md, each as one put and one get side by side (facts: msg_facts.c;
 * sections and whole frames: msg_section.c). A get refuses what the page rules out (r->bad) and
 * hands out views; it allocates nothing, so that no count in a frame costs memory. What only a
 * table's owner can judge is left to it. */
#include "proto/msg.h"

#include <assert.h>
#include <math.h>
#include <string.h>

#include "common/err.h"
#include "common/size.h"

/* ---- hello and welcome ---- */

void msg_put_hello(struct buf *b, const struct msg_hello *m) {
    buf_put_u32(b, m->shard);
    buf_put_u32(b, m->shards);
    buf_put_u8(b, m->mode);
    buf_put_u8(b, 0);
    buf_put_u16(b, m->life);
    buf_put_u32(b, m->staleness);
    buf_put_u32(b, m->world);
    buf_put_u32(b, m->clock_floor);
}

void msg_get_hello(struct rd *r, struct msg_hello *m) {
    m->shard = rd_u32(r);
    m->shards = rd_u32(r);
    m->mode = rd_u8(r);
    rd_must(r, rd_u8(r) == 0);
    m->life = rd_u16(r);
    m->staleness = rd_u32(r);
    m->world = rd_u32(r);
    m->clock_floor = rd_u32(r);
}

void msg_put_welcome(struct buf *b, const struct msg_welcome *m) {
    buf_put_u32(b, m->shard);
    buf_put_u32(b, m->shards);
    buf_put_u32(b, m->world);
    buf_put_u32(b, m->clock);
    buf_put_u32(b, m->mode);
    buf_put_u32(b, m->credit_bytes);
    buf_put_u32(b, m->origin);
    buf_put_u32(b, m->state);
}

void msg_get_welcome(struct rd *r, struct msg_welcome *m) {
    m->shard = rd_u32(r);
    m->shards = rd_u32(r);
    m->world = rd_u32(r);
    m->clock = rd_u32(r);
    m->mode = rd_u32(r);
    m->credit_bytes = rd_u32(r);
    m->origin = rd_u32(r);
    m->state = rd_u32(r);
    rd_must(r, m->state <= MSG_REDONE);
}

/* ---- open ---- */

void msg_put_open(struct buf *b, const struct msg_open *m) {
    buf_put_u32(b, m->table);
    buf_put_u8(b, m->find);
    buf_put_str(b, m->name);
    if (!m->find)
        spec_put(b, &m->spec);
}

void msg_get_open(struct rd *r, struct msg_open *m) {
    m->table = rd_u32(r);
    uint8_t find = rd_u8(r);
    rd_must(r, find <= 1);
    m->find = find == 1;
    rd_str(r, m->name, sizeof m->name);
    if (m->find)
        m->spec = (struct spec){0};
    else
        spec_get(r, &m->spec);
}

void msg_put_opened(struct buf *b, const struct msg_opened *m) {
    buf_put_u32(b, m->table);
    buf_put_u32(b, m->frozen);
    buf_put_u64(b, m->pushes);
    buf_put_u64(b, m->steps);
    spec_put(b, &m->spec);
}

void msg_get_opened(struct rd *r, struct msg_opened *m) {
    m->table = rd_u32(r);
    m->frozen = rd_yesno(r);
    m->pushes = rd_u64(r);
    m->steps = rd_u64(r);
    spec_get(r, &m->spec);
}

/* ---- freeze, reset, drop, tick, alive ---- */

void msg_put_freeze(struct buf *b, const struct msg_freeze *m) {
    buf_put_u32(b, m->table);
    buf_put_u32(b, m->ticket);
    buf_put_u64(b, m->first);
    buf_put_u64(b, m->count);
    buf_put_u64(b, m->until_clock);
}

void msg_get_freeze(struct rd *r, struct msg_freeze *m) {
    m->table = rd_u32(r);
    m->ticket = rd_u32(r);
    m->first = rd_u64(r);
    m->count = rd_u64(r);
    m->until_clock = rd_u64(r);
}

void msg_put_reset(struct buf *b, const struct msg_reset *m) {
    buf_put_u32(b, m->table);
    buf_put_u32(b, m->count);
}

void msg_get_reset(struct rd *r, struct msg_reset *m) {
    m->table = rd_u32(r);
    m->count = rd_u32(r);
}

void msg_put_count(struct buf *b, const struct msg_count *m) {
    buf_put_u32(b, m->rank);
    buf_put_u32(b, 0);
    buf_put_u64(b, m->pushes);
}

void msg_get_count(struct rd *r, struct msg_count *m) {
    m->rank = rd_u32(r);
    rd_must(r, rd_u32(r) == 0);
    m->pushes = rd_u64(r);
}

void msg_put_init(struct buf *b, const struct msg_init *m) {
    buf_put_u32(b, m->table);
    buf_put_u32(b, m->init);
    for (int i = 0; i < SPEC_INIT_ARGS; i++)
        buf_put_f64(b, m->init_arg[i]);
    buf_put_u64(b, m->seed);
    buf_put_u32(b, m->turn);
    buf_put_u32(b, 0);
}

void msg_get_init(struct rd *r, struct msg_init *m) {
    m->table = rd_u32(r);
    m->init = rd_u32(r);
    for (int i = 0; i < SPEC_INIT_ARGS; i++)
        m->init_arg[i] = rd_f64(r);
    m->seed = rd_u64(r);
    m->turn = rd_u32(r);
    rd_must(r, rd_u32(r) == 0);
}

void msg_put_cancel(struct buf *b, const struct msg_cancel *m) {
    buf_put_u32(b, m->call);
    buf_put_u32(b, 0);
}

void msg_get_cancel(struct rd *r, struct msg_cancel *m) {
    m->call = rd_u32(r);
    rd_must(r, rd_u32(r) == 0);
}

void msg_put_drop(struct buf *b, const struct msg_drop *m) {
    buf_put_u32(b, m->table);
    buf_put_u32(b, 0);
}

void msg_get_drop(struct rd *r, struct msg_drop *m) {
    m->table = rd_u32(r);
    rd_must(r, rd_u32(r) == 0);
}

void msg_put_freeze_ids(struct buf *b, const struct msg_freeze_ids *m) {
    buf_put_u32(b, m->table);
    buf_put_u32(b, m->ticket);
    buf_put_u64(b, m->until_clock);
    buf_put_u32(b, m->count);
    buf_put_u32(b, 0);
    buf_put_bytes(b, m->ids, m->count * sizeof(uint64_t));
}

void msg_get_freeze_ids(struct rd *r, struct msg_freeze_ids *m) {
    m->table = rd_u32(r);
    m->ticket = rd_u32(r);
    m->until_clock = rd_u64(r);
    m->count = rd_u32(r);
    rd_must(r, rd_u32(r) == 0);
    rd_must(r, m->count <= WIRE_IDS_MAX);
    m->ids = r->bad ? NULL : rd_bytes(r, m->count * sizeof(uint64_t));
}

void msg_put_frozen_rows(struct buf *b, const struct msg_frozen_rows *m) {
    buf_put_u32(b, m->table);
    buf_put_u32(b, m->told);
    buf_put_u64(b, m->whole);
    buf_put_u32(b, m->runs);
    buf_put_u32(b, m->rows);
}

void msg_get_frozen_rows(struct rd *r, struct msg_frozen_rows *m) {
    m->table = rd_u32(r);
    m->told = rd_yesno(r);
    m->whole = rd_u64(r);
    m->runs = rd_u32(r);
    m->rows = rd_u32(r);
    uint64_t pairs = (uint64_t)m->runs + m->rows;
    /* Where they are told, ids from 0 on are in some run. */
    rd_must(r, pairs <= MSG_FROZEN_PAIRS_MAX && (m->told ? m->runs > 0 : pairs == 0));
    m->pairs = r->bad ? NULL : rd_bytes(r, (size_t)pairs * MSG_FROZEN_PAIR);
}

void msg_put_tick(struct buf *b, const struct msg_tick *m) {
    buf_put_u32(b, m->table);
    buf_put_u32(b, m->pushed);
    buf_put_f64(b, m->lr);
    buf_put_u64(b, m->pushes);
}

void msg_get_tick(struct rd *r, struct msg_tick *m) {
    m->table = rd_u32(r);
    m->pushed = rd_yesno(r);
    m->lr = rd_f64(r);
    rd_must(r, isfinite(m->lr));
    m->pushes = rd_u64(r);
}

void msg_put_alive(struct buf *b, const struct msg_alive *m) {
    msg_put_wait(b, &m->wait);
    buf_put_u32(b, 0);
    buf_put_u64(b, m->taken);
}

void msg_get_alive(struct rd *r, struct msg_alive *m) {
    msg_get_wait(r, &m->wait);
    rd_must(r, rd_u32(r) == 0);
    m->taken = rd_u64(r);
}

/* ---- files ---- */

void msg_put_stage(struct buf *b, const struct msg_stage *m) {
    buf_put_u32(b, m->table);
    buf_put_u32(b, m->load);
    buf_put_u32(b, m->step);
    buf_put_u32(b, m->format);
    buf_put_str(b, m->path);
    buf_put_str(b, m->tensor);
    buf_put_str(b, m->vocab);
}

void msg_get_stage(struct rd *r, struct msg_stage *m) {
    m->table = rd_u32(r);
    m->load = rd_u32(r);
    m->step = rd_u32(r);
    m->format = rd_u32(r);
    rd_str(r, m->path, sizeof m->path);
    rd_str(r, m->tensor, sizeof m->tensor);
    rd_str(r, m->vocab, sizeof m->vocab);
}

void msg_put_staged(struct buf *b, const struct msg_staged *m) {
    buf_put_u32(b, m->load);
    buf_put_u32(b, m->steps);
    buf_put_u32(b, m->done);
    buf_put_u32(b, m->format);
    buf_put_u64(b, m->done_bytes);
    buf_put_u64(b, m->total_bytes);
    buf_put_u64(b, m->digest);
    buf_put_u64(b, m->vocab_digest);
    buf_put_u64(b, m->rows);
    buf_put_u64(b, m->matched);
    buf_put_u64(b, m->missed);
    buf_put_u64(b, m->duplicated);
    buf_put_u64(b, m->unused);
    buf_put_str(b, m->about);
    buf_put_str(b, m->first_matched);
    buf_put_str(b, m->first_missed);
    buf_put_str(b, m->first_duplicated);
}

void msg_get_staged(struct rd *r, struct msg_staged *m) {
    m->load = rd_u32(r);
    m->steps = rd_u32(r);
    m->done = rd_yesno(r);
    m->format = rd_u32(r);
    m->done_bytes = rd_u64(r);
    m->total_bytes = rd_u64(r);
    m->digest = rd_u64(r);
    m->vocab_digest = rd_u64(r);
    m->rows = rd_u64(r);
    m->matched = rd_u64(r);
    m->missed = rd_u64(r);
    m->duplicated = rd_u64(r);
    m->unused = rd_u64(r);
    rd_str(r, m->about, sizeof m->about);
    rd_str(r, m->first_matched, sizeof m->first_matched);
    rd_str(r, m->first_missed, sizeof m->first_missed);
    rd_str(r, m->first_duplicated, sizeof m->first_duplicated);
}

void msg_put_load(struct buf *b, const struct msg_load *m) {
    buf_put_u32(b, m->table);
    buf_put_u32(b, m->load);
    buf_put_u64(b, m->digest);
    buf_put_u64(b, m->vocab_digest);
}

void msg_get_load(struct rd *r, struct msg_load *m) {
    m->table = rd_u32(r);
    m->load = rd_u32(r);
    m->digest = rd_u64(r);
    m->vocab_digest = rd_u64(r);
}
