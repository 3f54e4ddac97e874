/* msg.c - the bodies of PROTOCOL.md, each as one put and one get side by side, and frames made of
 * them. A get refuses what the page rules out (r->bad) and hands out views; it allocates nothing,
 * so that no count in a frame costs memory. What only a table's owner can judge is left to it. */
#include "proto/msg.h"

#include <assert.h>
#include <math.h>
#include <string.h>

#include "common/err.h"
#include "common/hash.h"
#include "common/size.h"

/* What the page says a field must be. */
static void rd_must(struct rd *r, bool holds) {
    if (!holds)
        r->bad = true;
}

static uint32_t rd_yesno(struct rd *r) {
    uint32_t v = rd_u32(r);
    rd_must(r, v <= 1);
    return v;
}

/* ---- hello and welcome ---- */

void msg_put_hello(struct buf *b, const struct msg_hello *m) {
    buf_put_u32(b, m->shard);
    buf_put_u32(b, m->shards);
    buf_put_u8(b, m->mode);
    buf_put_u8(b, 0);
    buf_put_u16(b, 0);
    buf_put_u32(b, m->staleness);
    buf_put_u32(b, m->world);
    buf_put_u32(b, m->clock_floor);
}

void msg_get_hello(struct rd *r, struct msg_hello *m) {
    m->shard = rd_u32(r);
    m->shards = rd_u32(r);
    m->mode = rd_u8(r);
    rd_must(r, rd_u8(r) == 0);
    rd_must(r, rd_u16(r) == 0);
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
    buf_put_u64(b, 0);
}

void msg_get_welcome(struct rd *r, struct msg_welcome *m) {
    m->shard = rd_u32(r);
    m->shards = rd_u32(r);
    m->world = rd_u32(r);
    m->clock = rd_u32(r);
    m->mode = rd_u32(r);
    m->credit_bytes = rd_u32(r);
    rd_must(r, rd_u64(r) == 0);
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
    buf_put_u32(b, m->waiting_for);
    buf_put_u32(b, m->waiting_clock);
    buf_put_u64(b, m->taken);
}

void msg_get_alive(struct rd *r, struct msg_alive *m) {
    m->waiting_for = rd_u32(r);
    m->waiting_clock = rd_u32(r);
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

/* ---- facts ---- */

void msg_put_shard_facts(struct buf *b, const struct msg_shard_facts *m) {
    buf_put_u32(b, m->shard);
    buf_put_u32(b, m->shards);
    buf_put_u32(b, m->mode);
    buf_put_u32(b, m->world);
    buf_put_u64(b, m->uptime_ms);
    buf_put_u64(b, m->closed);
    buf_put_u64(b, m->pulls);
    buf_put_u64(b, m->pulled_rows);
    buf_put_u64(b, m->pushes);
    buf_put_u64(b, m->pushed_rows);
    buf_put_u64(b, m->repeats);
    buf_put_u64(b, m->parked);
    buf_put_u64(b, m->refused);
    buf_put_u64(b, m->bad_frames);
    buf_put_u32(b, m->tables);
    buf_put_u32(b, m->members);
}

void msg_get_shard_facts(struct rd *r, struct msg_shard_facts *m) {
    m->shard = rd_u32(r);
    m->shards = rd_u32(r);
    m->mode = rd_u32(r);
    m->world = rd_u32(r);
    m->uptime_ms = rd_u64(r);
    m->closed = rd_u64(r);
    m->pulls = rd_u64(r);
    m->pulled_rows = rd_u64(r);
    m->pushes = rd_u64(r);
    m->pushed_rows = rd_u64(r);
    m->repeats = rd_u64(r);
    m->parked = rd_u64(r);
    m->refused = rd_u64(r);
    m->bad_frames = rd_u64(r);
    m->tables = rd_u32(r);
    m->members = rd_u32(r);
}

void msg_put_member_facts(struct buf *b, const struct msg_member_facts *m) {
    buf_put_u32(b, m->rank);
    buf_put_u32(b, m->incarnation);
    buf_put_u32(b, m->clock);
    buf_put_u32(b, m->state);
    buf_put_u64(b, m->silent_ms);
}

void msg_get_member_facts(struct rd *r, struct msg_member_facts *m) {
    m->rank = rd_u32(r);
    m->incarnation = rd_u32(r);
    m->clock = rd_u32(r);
    m->state = rd_u32(r);
    m->silent_ms = rd_u64(r);
}

void msg_put_table_facts(struct buf *b, const struct msg_table_facts *m) {
    buf_put_u32(b, m->table);
    buf_put_u32(b, m->frozen);
    buf_put_str(b, m->name);
    spec_put(b, &m->spec);
    buf_put_u64(b, m->steps);
    buf_put_u64(b, m->touched);
    buf_put_u64(b, m->skipped);
    buf_put_u64(b, m->memory_bytes);
    buf_put_u64(b, m->frozen_rows);
    buf_put_u64(b, m->trainable_rows);
}

void msg_get_table_facts(struct rd *r, struct msg_table_facts *m) {
    m->table = rd_u32(r);
    m->frozen = rd_yesno(r);
    rd_str(r, m->name, sizeof m->name);
    spec_get(r, &m->spec);
    m->steps = rd_u64(r);
    m->touched = rd_u64(r);
    m->skipped = rd_u64(r);
    m->memory_bytes = rd_u64(r);
    m->frozen_rows = rd_u64(r);
    m->trainable_rows = rd_u64(r);
}

void msg_put_life(struct buf *b, const struct msg_life *m) {
    buf_put_u32(b, m->table);
    buf_put_u32(b, m->turn);
    buf_put_u64(b, m->steps);
    buf_put_u64(b, m->touched);
    buf_put_u64(b, m->held);
    buf_put_u32(b, m->count);
    buf_put_u32(b, 0);
}

void msg_get_life(struct rd *r, struct msg_life *m) {
    m->table = rd_u32(r);
    m->turn = rd_u32(r);
    m->steps = rd_u64(r);
    m->touched = rd_u64(r);
    m->held = rd_u64(r);
    m->count = rd_u32(r);
    rd_must(r, rd_u32(r) == 0);
}

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
