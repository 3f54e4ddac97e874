/* journal_replay.c - an earlier life of a shard done again: from its checkpoint, if it goes on from one, then
 * record by record in the order of then. See journal.h. */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/err.h"
#include "ps/ckpt_folder.h"
#include "ps/ckpt_shard.h"
#include "ps/journal_inner.h"
#include "ps/shard_inner.h"
#include "ps/stage.h"

struct replay {
    struct journal *j;
    struct shard *s;
    struct journal_report *report;
    const struct journal_segment *segment;
    bool is_base, ended;
};

/* ---- records ---- */

static rh_status restore(const struct replay *p) {
    const struct journal_head *h = &p->segment->head;
    struct ckpt_fd folder;
    struct ckpt_manifest m;
    rh_status st = journal_is_committed(p->j->o.ckpt, h);
    if (st == RH_OK)
        st = ckpt_open(p->j->o.ckpt, h->name, &folder, &m);
    if (st != RH_OK)
        return err_in(st, "the journal of shard %" PRIu32 " goes on from checkpoint \"%s\"",
                      h->shard, h->name);
    st = ckpt_shard_restore(p->s, &folder, &m, h->name);
    ckpt_manifest_fini(&m);
    ckpt_drop(&folder);
    p->report->generation = h->generation;
    memcpy(p->report->name, h->name, sizeof h->name);
    return st;
}

/* Whoever goes on from the segment before has come to the same. */
static rh_status compare(const struct replay *p, const uint8_t *was, size_t len) {
    struct buf b;
    buf_init(&b, NOTES_STATE_MAX);
    notes_state_put(p->s, &b);
    rh_status st = RH_OK;
    if (b.bad)
        st = err_set(RH_ENOMEM, "no memory to compare");
    else if (b.len != len || memcmp(b.p, was, len) != 0)
        st = err_set(RH_ECORRUPT, "the shard has come to another state than then");
    buf_fini(&b);
    return st;
}

static rh_status again(const struct replay *p, const struct journal_record *r,
                       const uint8_t *bytes) {
    struct frame *f = frame_new(p->s->net->pool, r->len);
    if (f == NULL)
        return err_set(RH_ENOMEM, "no memory for a frame");
    memcpy(f->data, bytes, r->len);
    shard_frame(p->s, JOURNAL_NOBODY, f, r->now_ms);
    frame_unref(f);
    return RH_OK;
}

static rh_status one(struct replay *p, const struct journal_record *r, const uint8_t *bytes) {
    struct shard *s = p->s;
    if (r->kind == NOTE_STATE)
        return p->is_base ? notes_state_get(s, bytes, r->len) : compare(p, bytes, r->len);
    if (p->ended)
        return err_set(RH_ECORRUPT, "it goes on behind its end");
    if (r->kind == NOTE_END) {
        p->ended = true;
        return RH_OK;
    }
    if (r->answered != s->answered)
        return err_set(RH_ECORRUPT,
                       "the op before was answered with status %" PRIu32 " then, and with %u now: "
                       "was the server started with other flags?",
                       r->answered, s->answered);
    s->now_ms = r->now_ms;
    p->report->records++;
    switch (r->kind) {
    case NOTE_GENERATION:
        if (r->len != sizeof s->cut.begun)
            return err_set(RH_ECORRUPT, "a generation of %" PRIu32 " bytes", r->len);
        memcpy(&s->cut.begun, bytes, sizeof s->cut.begun);
        return RH_OK;
    case NOTE_STAGED:
        return notes_stage(s, bytes, r->len);
    default:
        return r->len < WIRE_HEAD || r->len > WIRE_FRAME_MAX
                   ? err_set(RH_ECORRUPT, "a frame of %" PRIu32 " bytes", r->len)
                   : again(p, r, bytes);
    }
}

/* ---- segments ---- */

static bool is_whole_state(const struct journal_record *r, bool base, uint32_t why) {
    return !base || why == JOURNAL_GOES_ON || r->kind == NOTE_STATE;
}

static rh_status records(struct replay *p, struct journal_reader *in, uint64_t end) {
    for (;;) {
        struct journal_record r;
        const uint8_t *bytes = NULL;
        const uint64_t at = in->at;
        bool is;
        rh_status st = journal_next(in, end, &r, &bytes, &is);
        if (st != RH_OK || !is)
            return st;
        if (r.number == 0 && !is_whole_state(&r, p->is_base, in->head.why))
            st = err_set(RH_ECORRUPT, "it does not begin with what the shard knew");
        else
            st = one(p, &r, bytes);
        if (st != RH_OK)
            return err_in(st, "%s, record %" PRIu64 " at byte %" PRIu64, in->file.name, r.number,
                          at);
    }
}

static rh_status is_damaged(const struct journal_reader *in) {
    return err_set(RH_ECORRUPT,
                   "%s is damaged at byte %" PRIu64 ", in the midst of it: go back to a checkpoint "
                   "(--restore, with the journal of every shard removed)",
                   in->file.name, in->at);
}

/* What is behind the last record of all. A process that was killed leaves the beginning of one record at
 * most, of an op that was not acked. A machine that was stopped leaves whatever its disk had of what was
 * not synced: there later writes may be whole, and earlier ones not. All else is damage. */
static rh_status judge_tail(struct replay *p, struct journal_reader *in) {
    const struct journal_head *h = &in->head;
    const bool stopped = h->boot != p->j->o.boot;
    struct journal_tail tail = {0};
    rh_status st = journal_tail(in, &tail);
    if (st != RH_OK)
        return st;
    const bool never_written = !stopped && !tail.torn;
    const bool was_synced = tail.whole > 0 && (h->sync == JOURNAL_NEVER || tail.synced > in->at);
    if (tail.bytes > 0 && (p->ended || never_written || was_synced))
        return is_damaged(in);
    p->report->cut_bytes = tail.bytes;
    p->report->may_have_lost = stopped && !p->ended && h->sync != JOURNAL_ALWAYS;
    p->j->last_bytes = in->at;
    return RH_OK;
}

static rh_status segment(struct replay *p, uint32_t i) {
    struct journal *j = p->j;
    struct journal_reader in;
    const bool last = i + 1 == j->n_segments;
    p->segment = &j->segments[i];
    p->is_base = i == j->base;
    p->ended = false;
    rh_status st = journal_reader_open(j->o.io, p->segment->name, &in);
    if (st != RH_OK)
        return st;
    const uint64_t end = last ? in.size : p->segment[1].head.before_bytes;
    p->s->cfg.incarnation = in.head.incarnation;
    if (end > in.size || end < JOURNAL_HEAD)
        st = err_set(RH_ECORRUPT, "%s has %" PRIu64 " bytes, of %" PRIu64, in.file.name, in.size,
                     end);
    if (st == RH_OK && p->is_base && in.head.name[0] != '\0')
        st = restore(p);
    if (st == RH_OK)
        st = records(p, &in, end);
    if (st == RH_OK && last)
        st = judge_tail(p, &in);
    else if (st == RH_OK && in.at != end)
        st = is_damaged(&in);
    if (st == RH_OK && last)
        st = ckpt_sync(&in.file); /* that many bytes of it are promised by the next one */
    journal_reader_close(&in);
    return st;
}

/* ---- a shard goes on ---- */

/* Nobody was silent while there was nobody to hear. A file that was being read is opened anew. A
 * checkpoint that was in hand is not any more, and its marks, or the lead's word, say which. */
static void wake(struct shard *s, int64_t now_ms) {
    struct cut *c = &s->cut;
    uint32_t last = s->cfg.shard == 0 ? c->begun : 0;
    s->now_ms = s->born_ms = s->begun_ms = now_ms;
    for (uint32_t i = 0; i < s->n_sessions; i++) {
        struct session *w = s->sessions[i];
        if (w == NULL)
            continue;
        w->heard_ms = w->barrier_ms = now_ms;
        w->peer = JOURNAL_NOBODY;
        if (w->stage != NULL && !w->stage->done) {
            stage_free(&w->stage);
            w->loads--;
        }
        if (s->cfg.shard != 0 && w->marked > last)
            last = w->marked;
    }
    if (last == 0 || (s->cfg.shard == 0 && last == s->saved_generation))
        return;
    c->generation = last;
    c->phase = MSG_GIVEN_UP;
    c->status = RH_EFENCED;
    snprintf(c->text, sizeof c->text, "shard %" PRIu32 " was restarted meanwhile", s->cfg.shard);
}

/* Who may have forgotten what was acked is as one that has lost all of it: the job goes back. */
static rh_status lose(struct shard *s) {
    s->cfg.incarnation++;
    s->state = MSG_LOST;
    return notes_begin(s, false, "", 0);
}

/* What was there stays, and is gone on with. */
static rh_status go_on(struct journal *j, const struct shard *s) {
    const struct journal_head h = {.incarnation = s->cfg.incarnation,
                                   .segment = j->head.segment + 1,
                                   .before_bytes = j->last_bytes,
                                   .why = JOURNAL_GOES_ON};
    rh_status st = journal_segment_begin(j, &h, NULL);
    if (st != RH_OK)
        return st;
    journal_remove_before(j, j->segments[j->base].head.segment);
    for (uint32_t i = j->n_segments; i-- > j->base + 1 && j->last_cut.why == 0;)
        if (j->segments[i].head.why == JOURNAL_CUT)
            j->last_cut = j->segments[i].head;
    return RH_OK;
}

static rh_status replay(struct journal *j, struct shard *s, struct journal_report *out) {
    struct replay p = {.j = j, .s = s, .report = out};
    struct source *source = s->cfg.source;
    struct ckpt_io *ckpt = s->cfg.ckpt;
    s->cfg.source = NULL; /* files may have changed since then */
    s->cfg.ckpt = NULL;
    s->revived = true;
    j->mute = true;
    rh_status st = RH_OK;
    for (uint32_t i = j->base; st == RH_OK && i < j->n_segments; i++)
        st = segment(&p, i);
    j->mute = false;
    s->cfg.source = source;
    s->cfg.ckpt = ckpt;
    return st;
}

rh_status journal_replay(struct journal *j, struct shard *s, int64_t now_ms,
                         struct journal_report *out) {
    *out = (struct journal_report){.found = true};
    rh_status st = replay(j, s, out);
    if (st != RH_OK)
        return st;
    wake(s, now_ms);
    j->first_kept = j->segments[0].head.segment;
    j->head.segment = j->segments[j->n_segments - 1].head.segment;
    s->cfg.notes = &j->notes;
    return out->may_have_lost ? lose(s) : go_on(j, s);
}

rh_status journal_begin(struct journal *j, struct shard *s) {
    j->first_kept = 1;
    s->cfg.notes = &j->notes;
    return notes_begin(s, false, s->saved_generation != 0 ? s->saved_name : "",
                       s->saved_generation);
}
