/* loads.c - files that this shard reads itself. STAGE reads on in one, a slice at a time, so that
 * the shard hears others in between, and writes no row; LOAD is an op like any, and writes what was
 * read. */
#include <string.h>

#include "common/err.h"
#include "ps/shard_inner.h"
#include "ps/stage.h"

/* ---- reading ---- */

static void begin(struct shard *s, struct stage *k, const struct msg_stage *m) {
    const struct table *t = shard_table(s, m->table);
    if (t == NULL) {
        stage_fail(k, shard_no_table(s, "STAGE", m->table));
        return;
    }
    if (s->cfg.source == NULL) {
        stage_fail(k, err_set(RH_EINVAL,
                              "%s: this server reads no files: start it with --data-dir DIR, or "
                              "load with source = client",
                              m->path));
        return;
    }
    const struct source_want want = {.path = m->path,
                                     .tensor = m->tensor[0] != '\0' ? m->tensor : NULL,
                                     .vocab = m->vocab[0] != '\0' ? m->vocab : NULL,
                                     .format = (enum vec_format)m->format,
                                     .table = {t->name, t->spec.rows, t->spec.dim}};
    stage_open(k, s->cfg.source, &want);
}

static void read_on(struct shard *s, struct stage *k, const struct msg_stage *m) {
    if (k->steps == 0) {
        begin(s, k, m);
        return;
    }
    struct table *t = shard_table(s, k->table);
    if (t == NULL)
        stage_fail(k, shard_no_table(s, "STAGE", k->table));
    else
        stage_read(k, t, s->cfg.shard, s->cfg.shards);
    if (k->status == RH_OK && s->mode == MODE_BSP && limits_read(s) != RH_OK)
        stage_fail(k, RH_ELIMIT);
}

struct msg_staged loads_told(const struct stage *k) {
    struct msg_staged a = {.load = k->load,
                           .steps = k->steps,
                           .done = k->done,
                           .done_bytes = k->done_bytes,
                           .total_bytes = k->total_bytes};
    if (k->done) {
        const struct vecload_report *r = &k->end.report;
        a.format = r->format;
        a.digest = k->end.digest;
        a.vocab_digest = k->end.vocab_digest;
        a.rows = k->rows;
        a.matched = r->matched;
        a.missed = r->missed;
        a.duplicated = r->duplicated;
        a.unused = r->unused;
        memcpy(a.about, r->about, sizeof a.about);
        memcpy(a.first_matched, r->first_matched, sizeof a.first_matched);
        memcpy(a.first_missed, r->first_missed, sizeof a.first_missed);
        memcpy(a.first_duplicated, r->first_duplicated, sizeof a.first_duplicated);
    }
    return a;
}

void loads_end(struct stage *k, const struct msg_staged *a) {
    struct vecload_report *r = &k->end.report;
    k->steps = a->steps;
    k->done = true;
    k->done_bytes = a->done_bytes;
    k->total_bytes = a->total_bytes;
    k->end.digest = a->digest;
    k->end.vocab_digest = a->vocab_digest;
    r->format = (enum vec_format)a->format;
    r->matched = a->matched;
    r->missed = a->missed;
    r->duplicated = a->duplicated;
    r->unused = a->unused;
    memcpy(r->about, a->about, sizeof r->about);
    memcpy(r->first_matched, a->first_matched, sizeof r->first_matched);
    memcpy(r->first_missed, a->first_missed, sizeof r->first_missed);
    memcpy(r->first_duplicated, a->first_duplicated, sizeof r->first_duplicated);
}

static void answer(struct shard *s, struct session *w, const struct head *h,
                   const struct stage *k) {
    const struct msg_staged a = loads_told(k);
    uint8_t room[1024];
    struct buf b;
    buf_wrap(&b, room, sizeof room);
    msg_put_staged(&b, &a);
    shard_answer(s, w->peer, h, WIRE_STAGED, &b);
}

static void forget(struct shard *s, struct session *w, const struct head *h, const struct frame *f,
                   uint32_t load) {
    if (load >= w->loads) {
        rh_status st = notes_frame(s, f);
        if (st != RH_OK) {
            shard_refuse(s, w->peer, h, st);
            return;
        }
        w->loads = load; /* if its first step is still on the way, it comes too late */
        stage_free(&w->stage);
    }
    answer(s, w, h, &(struct stage){.load = load});
}

void loads_stage(struct shard *s, struct session *w, const struct head *h, const struct frame *f) {
    struct rd r;
    struct msg_stage m;
    rd_init(&r, f->data + WIRE_HEAD, f->len - WIRE_HEAD);
    msg_get_stage(&r, &m);
    if (!rd_done(&r) ||
        (m.load > w->loads && m.step != 0 && !s->revived && !(h->flags & WIRE_UNDO))) {
        shard_refuse(s, w->peer, h,
                     err_set(RH_EPROTO, "a STAGE from worker %u cannot be read", w->rank));
        return;
    }
    if (h->flags & WIRE_UNDO) {
        forget(s, w, h, f, m.load);
        return;
    }
    if (m.load > w->loads) {
        rh_status st = notes_frame(s, f);
        struct stage *fresh = st == RH_OK ? stage_new(m.load, m.table) : NULL;
        if (fresh == NULL) {
            if (st == RH_OK)
                st = err_set(RH_ENOMEM, "no memory to read %s", m.path);
            shard_refuse(s, w->peer, h, st);
            return;
        }
        stage_free(&w->stage);
        w->stage = fresh;
        w->loads = m.load;
    }
    struct stage *k = w->stage;
    if (k == NULL || k->load != m.load)
        return; /* a repeat of a load that is over: nobody waits for it */
    while (s->revived && m.step > k->steps && k->status == RH_OK && !k->done)
        read_on(s, k, &m); /* as far as the earlier life was */
    if (m.step > k->steps && k->status == RH_OK) {
        shard_refuse(s, w->peer, h,
                     err_set(RH_EPROTO, "step %u of a load of worker %u, of which %u were taken",
                             m.step, w->rank, k->steps));
        return;
    }
    if (m.step == k->steps && k->status == RH_OK && !k->done) {
        read_on(s, k, &m);
        rh_status st = notes_staged(s, w);
        if (st != RH_OK)
            stage_fail(k, st);
    }
    if (k->status != RH_OK)
        shard_refuse(s, w->peer, h, err_set(k->status, "%s", k->text));
    else
        answer(s, w, h, k);
}

/* ---- writing ---- */

static rh_status read_load(const struct session *w, const struct frame *f) {
    struct rd r;
    struct msg_load m;
    rd_init(&r, f->data + WIRE_HEAD, f->len - WIRE_HEAD);
    msg_get_load(&r, &m);
    const struct stage *k = w->stage;
    if (!rd_done(&r) || k == NULL || !k->done || k->load != m.load || k->table != m.table ||
        k->end.digest != m.digest || k->end.vocab_digest != m.vocab_digest)
        return err_set(RH_EPROTO,
                       "a LOAD from worker %u of a file that was not read here, or not to its end",
                       w->rank);
    return RH_OK;
}

rh_status loads_take(struct shard *s, struct session *w, const struct head *h, struct frame *f) {
    rh_status st = read_load(w, f);
    if (st != RH_OK)
        return st;
    if (s->mode == MODE_BSP) {
        struct table *t = shard_table(s, w->stage->table);
        st = limits_hold(s, f->len);
        if (st == RH_OK && t != NULL)
            st = limits_promise_load(s, t, w->stage);
        if (st != RH_OK)
            return st;
        struct waiting *op = waiting_new(h, f);
        if (op == NULL)
            return err_set(RH_ENOMEM, "no memory to hold an op of worker %u", w->rank);
        op->stage = w->stage;
        w->stage = NULL;
        waiting_append(&w->held, op);
        return RH_OK;
    }
    struct table *t = shard_table(s, w->stage->table);
    struct over over = {0};
    if (t == NULL)
        st = shard_no_table(s, "LOAD", w->stage->table);
    if (st == RH_OK) {
        limits_enter(s, t);
        st = stage_write(w->stage, t);
        limits_leave(t, &over);
    }
    stage_free(&w->stage);
    return st == RH_OK ? limits_say(s, &over) : st;
}

rh_status loads_apply(struct shard *s, struct waiting *op) {
    return stage_write(op->stage, shard_table(s, op->stage->table));
}
