/* notes.c - what a shard writes down of itself, and where it cannot: then it takes nothing any more,
 * for what it took could not come back. See notes.h. */
#include <stdio.h>
#include <string.h>

#include "common/err.h"
#include "ps/shard_inner.h"
#include "ps/stage.h"

static struct note note_of(const struct shard *s, uint32_t kind, const void *p, size_t len) {
    return (struct note){
        .kind = kind, .now_ms = s->now_ms, .answered = s->answered, .p = p, .len = len};
}

void shard_break(struct shard *s, rh_status status) {
    if (s->broken != RH_OK)
        return;
    snprintf(s->broken_text, sizeof s->broken_text,
             "shard %u can write down nothing more, and so takes nothing: %s", s->cfg.shard,
             err_text());
    s->broken = status;
}

/* What has become of it: from a failure on the shard refuses all requests, with this text. */
static rh_status judge(struct shard *s, rh_status st) {
    if (st == RH_OK)
        return RH_OK;
    shard_break(s, st);
    return err_set(s->broken, "%s", s->broken_text);
}

static rh_status keep(struct shard *s, uint32_t kind, const void *p, size_t len) {
    struct shard_notes *n = s->cfg.notes;
    if (n == NULL)
        return RH_OK;
    const struct note note = note_of(s, kind, p, len);
    return judge(s, n->ops->take(n, &note));
}

rh_status notes_frame(struct shard *s, const struct frame *f) {
    return keep(s, NOTE_FRAME, f->data, f->len);
}

rh_status notes_request(struct shard *s, const struct head *h, const struct buf *body) {
    if (s->cfg.notes == NULL)
        return RH_OK;
    struct head as = *h;
    struct frame *f = msg_frame(s->net->pool, &as, body);
    if (f == NULL)
        return err_set(RH_ENOMEM, "no memory to write down a %s of worker %u",
                       wire_kind_name(h->kind), h->worker);
    rh_status st = notes_frame(s, f);
    frame_unref(f);
    return st;
}

rh_status notes_hello(struct shard *s, const struct head *h, const struct msg_hello *m,
                      uint32_t inc) {
    uint8_t room[64];
    struct buf b;
    struct head as = *h;
    as.worker_inc = inc; /* with one it is let in, whenever the one before was heard of last */
    buf_wrap(&b, room, sizeof room);
    msg_put_hello(&b, m);
    return notes_request(s, &as, &b);
}

rh_status notes_generation(struct shard *s, uint32_t generation) {
    uint8_t room[4];
    struct buf b;
    buf_wrap(&b, room, sizeof room);
    buf_put_u32(&b, generation);
    return keep(s, NOTE_GENERATION, room, sizeof room);
}

rh_status notes_begin(struct shard *s, bool cut, const char *name, uint64_t generation) {
    struct shard_notes *n = s->cfg.notes;
    if (n == NULL)
        return RH_OK;
    struct buf b;
    buf_init(&b, NOTES_STATE_MAX);
    notes_state_put(s, &b);
    struct note_base base = {.cut = cut,
                             .incarnation = s->cfg.incarnation,
                             .generation = generation,
                             .name = name,
                             .state = note_of(s, NOTE_STATE, b.p, b.len)};
    rh_status st =
        b.bad ? err_set(RH_ENOMEM, "no memory to write down what shard %u knows", s->cfg.shard)
              : n->ops->begin(n, &base);
    buf_fini(&b);
    for (uint32_t i = 0; st == RH_OK && i < s->n_sessions; i++)
        if (s->sessions[i] != NULL)
            st = notes_staged(s, s->sessions[i]);
    return judge(s, st);
}

/* ---- files that were read ---- */

struct telling {
    struct shard *s;
    const struct session *w;
    struct buf b;
};

static void put_head(struct telling *t, uint32_t rows, bool last) {
    const struct stage *k = t->w->stage;
    buf_clear(&t->b);
    buf_put_u32(&t->b, t->w->rank);
    buf_put_u32(&t->b, k->load);
    buf_put_u32(&t->b, k->table);
    buf_put_u32(&t->b, k->dim);
    buf_put_u32(&t->b, rows);
    buf_put_u32(&t->b, last);
}

static rh_status keep_told(struct telling *t) {
    if (t->b.bad)
        return err_set(RH_ENOMEM, "no memory to write down the rows of a file");
    return keep(t->s, NOTE_STAGED, t->b.p, t->b.len);
}

static rh_status put_rows(void *arg, const uint64_t *ids, const uint8_t *rows, uint32_t n) {
    struct telling *t = arg;
    put_head(t, n, false);
    buf_put_bytes(&t->b, ids, n * sizeof *ids);
    buf_put_bytes(&t->b, rows, (size_t)n * t->w->stage->dim * sizeof(float));
    return keep_told(t);
}

rh_status notes_staged(struct shard *s, const struct session *w) {
    if (s->cfg.notes == NULL || w->stage == NULL || !w->stage->done)
        return RH_OK;
    struct telling t = {.s = s, .w = w};
    buf_init(&t.b, NOTES_STATE_MAX);
    rh_status st = stage_each(w->stage, put_rows, &t);
    if (st == RH_OK) {
        const struct msg_staged told = loads_told(w->stage);
        put_head(&t, 0, true);
        msg_put_staged(&t.b, &told);
        st = keep_told(&t);
    }
    buf_fini(&t.b);
    return st;
}

/* The stage that these rows are for: another load than the one before begins empty. */
static struct stage *stage_of(struct session *w, uint32_t load, uint32_t table) {
    struct stage *k = w->stage;
    if (k != NULL && k->load == load && k->status == RH_OK && !k->done)
        return k;
    stage_free(&w->stage);
    w->loads = load;
    w->stage = stage_new(load, table);
    return w->stage;
}

rh_status notes_stage(struct shard *s, const void *p, size_t len) {
    struct rd r;
    struct msg_staged told = {0};
    rd_init(&r, p, len);
    const uint32_t rank = rd_u32(&r), load = rd_u32(&r), table = rd_u32(&r), dim = rd_u32(&r),
                   n = rd_u32(&r), last = rd_yesno(&r);
    const uint8_t *ids = rd_bytes(&r, (size_t)n * sizeof(uint64_t));
    const uint8_t *rows = rd_bytes(&r, (size_t)n * dim * sizeof(float));
    if (last)
        msg_get_staged(&r, &told);
    struct session *w = shard_session(s, rank);
    struct table *t = shard_table(s, table);
    if (!rd_done(&r) || w == NULL || t == NULL || t->spec.dim != dim)
        return err_set(RH_ECORRUPT, "rows of a file for a worker or table that is not there");
    struct stage *k = stage_of(w, load, table);
    if (k == NULL)
        return err_set(RH_ENOMEM, "no memory for the rows of a file");
    rh_status st = stage_again(k, t, ids, rows, n);
    if (st == RH_OK && last)
        loads_end(k, &told);
    return st;
}
