/* cuts.c - checkpoints of the running job. Every worker marks its position; ops behind a mark wait until
 * all have marked; then the shard is at the cut, what its file will have is settled, and training goes
 * on while the file is written elsewhere (cuts_attempt.c). Shard 0 begins, names, commits; who wants the
 * checkpoint asks every shard, again and again, and carries the word between them. PROTOCOL.md, section
 * 3. */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "common/err.h"
#include "ps/ckpt_folder.h"
#include "ps/cuts_inner.h"

/* ---- marks ---- */

/* It waits at a barrier, and has done nothing since its last clock ended but open tables, or mark for an
 * attempt that came to nothing: so it may mark there. But where all mark in one clock, it is hardly in that. */
static bool marks_at_barrier(const struct shard *s, const struct session *w) {
    const struct head *h = &w->barrier_asked;
    return s->mode == MODE_ASYNC && h->kind != 0 && opnum_cmp(h->prev, w->floor) <= 0 && w->idle;
}

bool cuts_is_stuck(const struct shard *s, const struct session *w) {
    return w->barrier_asked.kind != 0 && !marks_at_barrier(s, w);
}

uint32_t cuts_wanted(const struct shard *s, const struct session *w, const struct head *h) {
    const struct cut *c = &s->cut;
    if (!cut_is_lead(s) || c->phase != MSG_GATHERING || w->marked == c->generation)
        return 0;
    bool now = h->kind == WIRE_TICK
                   ? s->mode == MODE_ASYNC || (uint64_t)h->num.clock + 1 == c->clock
                   : h->kind == WIRE_BEAT && marks_at_barrier(s, w);
    return now ? c->generation : 0;
}

void cuts_mark(struct shard *s, struct session *w, uint32_t generation) {
    struct cut *c = &s->cut;
    if (generation == 0)
        return; /* it had something to say of its cursor */
    w->marked = generation;
    if (cut_is_lead(s) || s->cfg.ckpt == NULL || generation <= c->generation)
        return;
    if (cut_in_hand(c))
        cut_give_up(s, err_set(RH_EFENCED, "another checkpoint was begun"));
    cut_begin(s, generation, "");
}

void cuts_barrier(struct shard *s, const struct session *w) {
    if (s->cut.phase == MSG_GATHERING && w->marked != s->cut.generation && cuts_is_stuck(s, w))
        cut_give_up(s, err_set(RH_ETIMEDOUT, "worker %" PRIu32 " waits at a barrier", w->rank));
}

/* ---- those who want it ---- */

static void say(struct shard *s, uint32_t peer, const struct head *h, struct msg_saving m) {
    struct buf b;
    buf_init(&b, sizeof m);
    msg_put_saving(&b, &m);
    shard_answer(s, peer, h, WIRE_SAVING, &b);
    buf_fini(&b);
}

void cuts_say_how_far(struct shard *s, uint32_t peer, const struct head *h) {
    const struct cut *c = &s->cut;
    struct msg_saving m = {.generation = c->generation,
                           .phase = c->phase,
                           .waiting_for = WIRE_NOBODY,
                           .status = c->phase == MSG_GIVEN_UP ? c->status : RH_OK};
    if (c->phase == MSG_GATHERING)
        m.waiting_for = cuts_missing(s);
    if (c->phase == MSG_WRITING)
        m.done_bytes = cut_done_bytes(c);
    if (c->phase == MSG_WRITTEN || c->phase == MSG_COMMITTED)
        m.written = c->written;
    if (c->phase == MSG_GIVEN_UP)
        snprintf(m.text, sizeof m.text, "%s", c->text);
    say(s, peer, h, m);
}

void cuts_say_busy(struct shard *s, uint32_t peer, const struct head *h, uint32_t waiting_for) {
    say(s, peer, h,
        (struct msg_saving){
            .generation = s->cut.generation, .phase = MSG_BUSY, .waiting_for = waiting_for});
}

/* How far that one is; name NULL: whatever it is called. Of the newest that was committed the lead knows it
 * still when it is about another: who has asked for it may be slow to hear of it. */
static void say_of(struct shard *s, uint32_t peer, const struct head *h, uint32_t generation,
                   const char *name) {
    if (generation == s->cut.generation)
        cuts_say_how_far(s, peer, h);
    else if (cut_is_lead(s) && generation == s->saved_generation &&
             (name == NULL || strcmp(name, s->saved_name) == 0))
        say(s, peer, h,
            (struct msg_saving){
                .generation = generation, .phase = MSG_COMMITTED, .waiting_for = WIRE_NOBODY});
    else
        cuts_say_busy(s, peer, h, WIRE_NOBODY);
}

void cuts_say_become(struct shard *s, uint32_t peer, const struct head *h, uint32_t generation) {
    if (generation == s->cut.generation || generation == s->saved_generation) {
        say_of(s, peer, h, generation, NULL);
        return;
    }
    say(s, peer, h,
        (struct msg_saving){.generation = generation,
                            .phase = MSG_GIVEN_UP,
                            .waiting_for = WIRE_NOBODY,
                            .status = RH_EFENCED,
                            .text = "another checkpoint was begun since"});
}

/* How far is that one? */
static void asked(struct shard *s, uint32_t peer, const struct head *h, const struct msg_save *m) {
    struct cut *c = &s->cut;
    if (m->generation > c->generation && !cut_is_lead(s)) {
        if (cut_in_hand(c))
            cut_give_up(s, err_set(RH_EFENCED, "another checkpoint was begun"));
        cut_begin(s, m->generation, m->name);
    }
    if (m->generation != c->generation) {
        say_of(s, peer, h, m->generation, m->name);
        return;
    }
    if (c->name[0] != '\0' && strcmp(c->name, m->name) != 0) {
        cuts_say_busy(s, peer, h, WIRE_NOBODY);
        return;
    }
    if (h->flags & WIRE_UNDO && cut_in_hand(c))
        cut_give_up(s, err_set(RH_ETIMEDOUT, "it was given up by who had asked for it"));
    if (c->name[0] == '\0')
        snprintf(c->name, sizeof c->name, "%s", m->name);
    c->asked_ms = s->now_ms;
    cuts_try(s);
    cuts_say_how_far(s, peer, h);
}

rh_status cuts_check_folder(const struct shard *s) {
    if (s->cfg.ckpt != NULL)
        return RH_OK;
    return err_set(RH_EINVAL,
                   "shard %" PRIu32 " has no folder for checkpoints (--checkpoint-dir; with local: "
                   "RH_CHECKPOINT_DIR)",
                   s->cfg.shard);
}

static rh_status may_save(const struct shard *s, const struct msg_save *m, bool bad) {
    if (bad)
        return err_set(RH_EPROTO, "a SAVE cannot be read");
    if (m->generation == 0 && !cut_is_lead(s))
        return err_set(RH_EPROTO, "checkpoints are begun by the lead, shard 0");
    rh_status st = ckpt_check_name(m->name);
    if (st == RH_OK && strcmp(m->name, "latest") == 0)
        st = err_set(RH_EINVAL, "a checkpoint cannot be called \"latest\": --restore means the "
                                "newest by that");
    return st == RH_OK ? cuts_check_folder(s) : st;
}

void cuts_save(struct shard *s, struct session *w, uint32_t peer, const struct head *h,
               struct rd *r) {
    struct msg_save m;
    msg_get_save(r, &m);
    rh_status st = may_save(s, &m, !rd_done(r));
    if (st != RH_OK)
        shard_refuse(s, peer, h, st);
    else if (m.generation == 0)
        cuts_want(s, w, peer, h, &m);
    else
        asked(s, peer, h, &m);
}

/* ---- commit ---- */

/* Takes the files' facts into the manifest. */
static rh_status take_files(struct shard *s, const struct msg_commit *m, struct rd *r) {
    struct cut *c = &s->cut;
    if (m->shards != s->cfg.shards)
        return err_set(RH_EPROTO, "a COMMIT of %" PRIu32 " files, of %" PRIu32, m->shards,
                       s->cfg.shards);
    rh_status st = ckpt_manifest_files(&c->manifest, s->cfg.shards);
    for (uint32_t i = 0; st == RH_OK && i < m->shards; i++) {
        struct msg_written f;
        msg_get_written(r, &f);
        if (r->bad)
            break;
        if (f.agreed.low != c->written.agreed.low || f.agreed.high != c->written.agreed.high)
            return err_set(RH_EMISMATCH,
                           "shard %" PRIu32 " was asked at another moment than shard 0: a worker "
                           "came, left, or opened a table meanwhile",
                           i);
        struct ckpt_file *to = &c->manifest.files[i];
        to->bytes = f.bytes;
        to->rows = f.rows;
        to->sum = f.sum;
        ckpt_file_name(i, m->shards, to->name);
    }
    if (st == RH_OK && !rd_done(r))
        st = err_set(RH_EPROTO, "a COMMIT cannot be read");
    return st;
}

void cuts_commit(struct shard *s, uint32_t peer, const struct head *h, struct rd *r) {
    struct cut *c = &s->cut;
    struct msg_commit m;
    msg_get_commit(r, &m);
    if (r->bad || !cut_is_lead(s)) {
        shard_refuse(s, peer, h,
                     err_set(RH_EPROTO, "a COMMIT that is not for shard %" PRIu32, s->cfg.shard));
        return;
    }
    if (m.generation == c->generation && c->phase == MSG_WRITTEN && !cut_is_committing(c)) {
        rh_status st = take_files(s, &m, r);
        if (st == RH_OK) {
            c->manifest.generation = c->generation;
            c->manifest.saved_unix_ms = (uint64_t)(s->cfg.unix_ms + s->now_ms);
            cut_commit(s);
        } else {
            cut_give_up(s, st);
        }
    }
    say_of(s, peer, h, m.generation, NULL);
}

/* ---- cursors ---- */

void cuts_cursor(struct shard *s, uint32_t peer, const struct head *h, struct rd *r) {
    struct msg_cursor m;
    msg_get_cursor(r, &m);
    if (!rd_done(r)) {
        shard_refuse(s, peer, h, err_set(RH_EPROTO, "a CURSOR cannot be read"));
        return;
    }
    const struct session *w = shard_session(s, m.rank);
    struct msg_cursor_is is = {.generation = s->saved_generation, .clock = s->saved_clock};
    memcpy(is.name, s->saved_name, sizeof is.name);
    if (w != NULL && w->saved.p != NULL && is.generation != 0) {
        is.known = 1;
        is.len = w->saved.len;
        is.bytes = w->saved.p;
    }
    struct buf b;
    buf_init(&b, MSG_CURSOR_MAX + sizeof is);
    msg_put_cursor_is(&b, &is);
    shard_answer(s, peer, h, WIRE_CURSOR_IS, &b);
    buf_fini(&b);
}
