/* pulls.c - what reads. A pull waits for its worker's own ops (read your writes) and, under bsp and
 * ssp, for clocks before its own; parked it keeps its ids only, and nothing queues behind it. */
#include <assert.h>

#include "common/err.h"
#include "common/failpoint.h"
#include "ps/shard_inner.h"

/* Reads and checks the sections into s->parts; how many bytes the answer's body has. */
static rh_status read_parts(struct shard *s, const struct head *h, const struct frame *f,
                            size_t *body_len) {
    struct rd r;
    rd_init(&r, f->data + WIRE_HEAD, f->len - WIRE_HEAD);
    size_t rows = 0, rows_bytes = 0;
    *body_len = 0;
    for (uint32_t i = 0; i < h->sections; i++) {
        struct part *p = &s->parts[i];
        msg_get_section(&r, WIRE_PULL, &p->sec);
        if (r.bad)
            break;
        p->table = shard_table(s, p->sec.table);
        if (p->table == NULL)
            return shard_no_table(s, "PULL", p->sec.table);
        *body_len += msg_section_bytes(WIRE_ROWS, p->sec.count, p->table->spec.dim);
        rows += p->sec.count;
        rows_bytes += (size_t)p->sec.count * p->table->spec.dim * sizeof(float);
        if ((rows > 1 && rows_bytes > WIRE_ROWS_MAX) || *body_len > WIRE_FRAME_MAX - WIRE_HEAD)
            return err_set(RH_EPROTO, "PULL asks for more rows than an answer holds");
    }
    if (!rd_done(&r))
        return err_set(RH_EPROTO, "the body of a PULL from worker %u cannot be read", h->worker);
    return RH_OK;
}

/* 0 to 4 clocks; 5 to 8; 9 to 16; more. */
static uint32_t age_class(uint64_t age) {
    return age <= 4 ? (uint32_t)age : age <= 8 ? 5 : age <= 16 ? 6 : 7;
}

/* How old what it sees may be. Under bsp nothing is; and an observer is in no clock. */
static void note_ages(struct shard *s, const struct session *w, const struct head *h) {
    if (w == NULL || s->mode == MODE_BSP)
        return;
    uint32_t class = age_class(clocks_age(s, w, h->num.clock));
    for (uint32_t i = 0; i < h->sections; i++)
        s->parts[i].table->ages[class]++;
}

/* w NULL: an observer. */
static void answer(struct shard *s, const struct session *w, uint32_t peer, const struct head *h,
                   const struct frame *f) {
    size_t body_len;
    FAILPOINT("pull.before");
    rh_status st = read_parts(s, h, f, &body_len);
    struct frame *out = NULL;
    if (st == RH_OK) {
        out = frame_new(s->net->pool, WIRE_HEAD + body_len);
        if (out == NULL)
            st = err_set(RH_ENOMEM, "no memory for an answer of %zu bytes", body_len);
    }
    struct buf b;
    if (st == RH_OK)
        buf_wrap(&b, out->data + WIRE_HEAD, body_len);
    for (uint32_t i = 0; st == RH_OK && i < h->sections; i++) {
        const struct part *p = &s->parts[i];
        uint8_t *rows;
        st = table_locate(p->table, p->sec.ids, p->sec.count);
        if (st != RH_OK)
            break;
        msg_put_section(&b, WIRE_ROWS, &p->sec, p->table->spec.dim, NULL, &rows);
        assert(!b.bad);
        if (h->flags & WIRE_RAW)
            table_read(p->table, p->sec.ids, p->sec.count, rows);
        else
            table_pull(p->table, p->sec.ids, p->sec.count, rows);
        s->pulled_rows += p->sec.count;
    }
    if (st != RH_OK) {
        frame_unref(out);
        shard_refuse(s, peer, h, st);
        return;
    }
    assert(b.len == body_len);
    struct head a = shard_head(s, h, WIRE_ROWS);
    a.sections = h->sections;
    a.body_len = (uint32_t)body_len;
    wire_seal(out->data, &a);
    s->pulls++;
    note_ages(s, w, h);
    shard_send(s, peer, out);
    FAILPOINT("pull.after");
}

static bool ready(const struct shard *s, const struct session *w, const struct head *h) {
    return opnum_cmp(h->prev, w->floor) <= 0 && clocks_allow(s, w, h->num.clock);
}

void pulls_frame(struct shard *s, struct session *w, uint32_t peer, const struct head *h,
                 struct frame *f) {
    if (w == NULL || ready(s, w, h)) {
        answer(s, w, peer, h, f);
        return;
    }
    for (const struct waiting *p = w->pulls.first; p != NULL; p = p->next)
        if (p->head.num.call == h->num.call && p->head.num.part == h->num.part)
            return;
    if (!limits_may_park(s, w, f->len)) {
        shard_refuse(
            s, peer, h,
            err_set(RH_ELIMIT,
                    "worker %u has %u pulls of %zu bytes waiting at shard %u: wait for some "
                    "of them before beginning more",
                    w->rank, w->pulls.n, w->pulls.bytes, s->cfg.shard));
        return;
    }
    struct waiting *p = waiting_new(h, f);
    if (p == NULL) {
        shard_refuse(s, peer, h, err_set(RH_ENOMEM, "no memory to park a pull"));
        return;
    }
    p->since_ms = s->now_ms;
    waiting_append(&w->pulls, p);
}

void pulls_release(struct shard *s, struct session *w) {
    for (struct waiting **at = &w->pulls.first; *at != NULL;) {
        if (!ready(s, w, &(*at)->head)) {
            at = &(*at)->next;
            continue;
        }
        struct waiting *p = waiting_remove(&w->pulls, at);
        rh_status st = RH_OK;
        if (p->head.num.clock > w->ended) {
            st = notes_frame(s, p->frame);
            if (st == RH_OK)
                clocks_enter(s, w, p->head.num.clock);
            at = &w->pulls.first; /* it may have let go others of this list */
        }
        if (st == RH_OK)
            answer(s, w, w->peer, &p->head, p->frame);
        else
            shard_refuse(s, w->peer, &p->head, st);
        waiting_free(p);
    }
}

void pulls_release_all(struct shard *s) {
    for (uint32_t i = 0; i < s->n_sessions; i++)
        if (s->sessions[i] != NULL)
            pulls_release(s, s->sessions[i]);
}
