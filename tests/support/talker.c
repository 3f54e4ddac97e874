/* talker.c - see talker.h. */
#include "tests/support/talker.h"

#include <assert.h>
#include <stdio.h>
#include <string.h>

#include "common/err.h"
#include "ps/shard_inner.h"

static char refusal[WIRE_STR_MAX + 1];
static struct msg_welcome welcome;

static rh_status remember(struct net *net, uint32_t peer, struct frame *f) {
    struct memory_net *n = (struct memory_net *)net;
    (void)peer;
    f->next = NULL;
    *n->last = f;
    n->last = &f->next;
    return RH_OK;
}

static const struct net_ops memory_ops = {.scheme = "memory", .send = remember};

void memory_net_init(struct memory_net *n) {
    n->net.ops = &memory_ops;
    n->net.pool = frame_pool_new(1 << 20);
    n->first = NULL;
    n->last = &n->first;
}

void memory_net_fini(struct memory_net *n) {
    for (struct frame *f; (f = memory_net_take(n)) != NULL; frame_unref(f))
        ;
    frame_pool_free(&n->net.pool);
}

struct frame *memory_net_take(struct memory_net *n) {
    struct frame *f = n->first;
    if (f == NULL)
        return NULL;
    n->first = f->next;
    if (n->first == NULL)
        n->last = &n->first;
    return f;
}

void talker_init(struct talker *t, struct shard *s, struct memory_net *n, uint32_t rank) {
    *t = (struct talker){.shard = s, .net = n, .peer = rank + 100, .lr = 1.0, .now_ms = 1000};
    t->head = (struct head){.version = WIRE_VERSION, .worker = rank};
    if (rank == WIRE_OBSERVER) /* its hello changes nothing */
        t->head.server_inc = s->cfg.incarnation;
    t->head.num.call = 5000 + rank;
}

void talker_send(struct talker *t, uint8_t kind, uint16_t flags, struct opnum num,
                 struct opnum prev, uint16_t sections, const struct buf *body) {
    struct head h = t->head;
    h.kind = kind;
    h.flags = flags;
    h.num = num;
    h.prev = prev;
    h.sections = sections;
    struct frame *f = msg_frame(t->net->net.pool, &h, body);
    assert(f != NULL);
    shard_frame(t->shard, t->peer, f, t->now_ms);
    frame_unref(f);
}

int talker_answer(struct talker *t, struct head *h, uint32_t dim, float *rows) {
    struct frame *f = memory_net_take(t->net);
    if (f == NULL)
        return 0;
    rh_status st = wire_open(f->data, f->len, h);
    assert(st == RH_OK);
    struct rd r;
    rd_init(&r, f->data + WIRE_HEAD, f->len - WIRE_HEAD);
    if (h->kind == WIRE_REFUSE)
        rd_str(&r, refusal, sizeof refusal);
    if (h->kind == WIRE_WELCOME)
        msg_get_welcome(&r, &welcome);
    if (h->kind == WIRE_ROWS && rows != NULL) {
        struct msg_section sec;
        msg_get_section(&r, WIRE_ROWS, &sec);
        msg_get_rows(&r, &sec, dim);
        assert(rd_done(&r));
        memcpy(rows, sec.rows, (size_t)sec.count * dim * sizeof *rows);
    }
    frame_unref(f);
    return h->kind;
}

const char *talker_refusal(void) {
    return refusal;
}

static int next_answer(struct talker *t) {
    struct head h;
    return talker_answer(t, &h, 0, NULL);
}

int talker_hello(struct talker *t, uint32_t mode, uint32_t world) {
    uint8_t room[64];
    struct buf b;
    buf_wrap(&b, room, sizeof room);
    msg_put_hello(&b, &(struct msg_hello){.shard = t->shard->cfg.shard,
                                          .shards = t->shard->cfg.shards,
                                          .mode = (uint8_t)mode,
                                          .life = t->life,
                                          .staleness = t->staleness,
                                          .world = world});
    uint16_t flags = t->head.worker == WIRE_OBSERVER ? WIRE_LOOK : 0;
    talker_send(t, WIRE_HELLO, flags, t->head.num, (struct opnum){0}, 0, &b);
    struct head h;
    int kind = talker_answer(t, &h, 0, NULL);
    if (kind == WIRE_WELCOME) {
        t->head.worker_inc = h.worker_inc;
        t->head.server_inc = h.server_inc;
        t->head.num = (struct opnum){0};
        t->last = (struct opnum){0};
        t->welcome = welcome;
    }
    return kind;
}

int talker_op(struct talker *t, uint8_t kind, uint16_t flags, uint16_t sections,
              const struct buf *body) {
    struct opnum prev = t->last;
    t->head.num.call++;
    t->head.num.part = 0;
    t->last = t->head.num;
    talker_send(t, kind, flags, t->last, prev, sections, body);
    return next_answer(t);
}

int talker_open(struct talker *t, const char *name, const struct spec *spec) {
    uint8_t room[512];
    struct buf b;
    struct msg_open m = {.table = 0, .spec = *spec};
    strcpy(m.name, name);
    buf_wrap(&b, room, sizeof room);
    msg_put_open(&b, &m);
    return talker_op(t, WIRE_OPEN, 0, 0, &b);
}

static int send_rows(struct talker *t, uint8_t kind, const struct msg_section *sec, uint32_t dim,
                     const uint64_t *ids, const float *rows) {
    uint8_t room[16384], *ids_at, *rows_at;
    struct buf b;
    buf_wrap(&b, room, sizeof room);
    buf_put_u64(&b, msg_digest(0, sec->table, sec->count, (const uint8_t *)ids));
    msg_put_section(&b, kind, sec, dim, &ids_at, &rows_at);
    assert(!b.bad);
    memcpy(ids_at, ids, sec->count * sizeof *ids);
    memcpy(rows_at, rows, (size_t)sec->count * dim * sizeof *rows);
    return talker_op(t, kind, 0, 1, &b);
}

int talker_push(struct talker *t, uint32_t table, uint32_t n, const uint64_t *ids, uint32_t dim,
                const float *grads, uint64_t pushes) {
    struct msg_section sec = {.table = table, .count = n, .lr = t->lr, .pushes = pushes};
    return send_rows(t, WIRE_PUSH, &sec, dim, ids, grads);
}

int talker_write(struct talker *t, uint32_t table, uint32_t n, const uint64_t *ids, uint32_t dim,
                 const float *rows) {
    struct msg_section sec = {.table = table, .count = n};
    return send_rows(t, WIRE_WRITE, &sec, dim, ids, rows);
}

int talker_freeze(struct talker *t, uint32_t table, uint64_t count, uint64_t until, bool undo) {
    uint8_t room[64];
    struct buf b;
    buf_wrap(&b, room, sizeof room);
    msg_put_freeze(&b, &(struct msg_freeze){.table = table, .count = count, .until_clock = until});
    return talker_op(t, WIRE_FREEZE, undo ? WIRE_UNDO : 0, 0, &b);
}

int talker_end(struct talker *t, uint8_t kind, uint32_t table, uint32_t pushed, double lr,
               uint64_t pushes) {
    uint8_t room[64];
    struct buf b;
    buf_wrap(&b, room, sizeof room);
    if (table != 0)
        msg_put_tick(&b, &(struct msg_tick){table, pushed, lr, pushes});
    t->head.num.call = WIRE_CALL_END - 1;
    int answer = talker_op(t, kind, 0, table != 0, &b);
    t->head.num = (struct opnum){t->head.num.clock + 1, 0, 0};
    return answer;
}

rh_status talker_restore(struct talker *t, uint32_t step, uint32_t ticket, const char *name,
                         uint16_t flags, struct msg_restored *is) {
    struct msg_restore m = {.step = step, .ticket = ticket};
    uint8_t room[128];
    struct buf b;
    struct head h;
    snprintf(m.name, sizeof m.name, "%s", name);
    if (step == 1 && t->gone != NULL)
        m.gone = *t->gone;
    buf_wrap(&b, room, sizeof room);
    msg_put_restore(&b, &m);
    talker_send(t, WIRE_RESTORE, flags, (struct opnum){0, 0x80000001, 0}, t->last, 0, &b);
    struct frame *f = memory_net_take(t->net);
    for (struct frame *next; (next = memory_net_take(t->net)) != NULL; f = next)
        frame_unref(f); /* what a cut had held is answered first */
    assert(f != NULL && wire_open(f->data, f->len, &h) == RH_OK);
    assert(h.server_inc == t->head.server_inc);
    struct rd r;
    rd_init(&r, f->data + WIRE_HEAD, f->len - WIRE_HEAD);
    if (h.kind == WIRE_RESTORED) {
        msg_get_restored(&r, is);
        assert(rd_done(&r));
    } else {
        char text[WIRE_STR_MAX + 1];
        assert(h.kind == WIRE_REFUSE);
        rd_str(&r, text, sizeof text);
        err_set((rh_status)h.status, "%s", text);
    }
    frame_unref(f);
    return (rh_status)h.status;
}

int talker_pull(struct talker *t, uint32_t table, uint32_t n, const uint64_t *ids, uint32_t dim,
                float *rows) {
    uint8_t room[4096], *ids_at;
    struct buf b;
    buf_wrap(&b, room, sizeof room);
    msg_put_section(&b, WIRE_PULL, &(struct msg_section){.table = table, .count = n}, 0, &ids_at,
                    NULL);
    memcpy(ids_at, ids, n * sizeof *ids);
    struct opnum num = {t->head.num.clock, 900, 0};
    talker_send(t, WIRE_PULL, 0, num, t->last, 1, &b);
    struct head h;
    return talker_answer(t, &h, dim, rows);
}

struct talker_facts talker_facts(const struct talker *t) {
    uint8_t room[4];
    struct buf b;
    struct talker o;
    struct talker_facts is;
    struct rd r;
    talker_init(&o, t->shard, t->net, WIRE_OBSERVER);
    o.now_ms = t->now_ms;
    buf_wrap(&b, room, sizeof room);
    buf_put_u32(&b, 0);
    talker_send(&o, WIRE_INFO, 0, (struct opnum){0, 1, 0}, o.last, 0, &b);
    struct frame *f = memory_net_take(t->net);
    assert(f != NULL && t->net->first == NULL);
    rd_init(&r, f->data + WIRE_HEAD, f->len - WIRE_HEAD);
    msg_get_shard_facts(&r, &is.shard);
    for (uint32_t i = 0; i < is.shard.members && i < 8; i++)
        msg_get_member_facts(&r, &is.members[i]);
    rd_u32(&r);
    rd_u32(&r);
    msg_get_in_hand(&r, &is.in_hand);
    assert(rd_done(&r));
    frame_unref(f);
    return is;
}
