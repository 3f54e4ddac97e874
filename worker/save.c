/* save.c - rh_save. The lead begins a checkpoint; this worker marks; then every shard is asked, again and
 * again, until its file is written, and the lead is told of all files. Whoever asks carries the word
 * between the shards, so any number of workers may ask for the same one, and any of them may die. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/failpoint.h"
#include "common/name.h"
#include "worker/mark.h"
#include "worker/poll.h"

static const char what[] = "rh_save";

enum { AGAIN_MS = 100 };

struct saving {
    struct poll p; /* its deadline: of this attempt */
    const char *name;
    uint32_t ticket; /* of the wish that the lead has not answered for good; 0: none */
    uint32_t generation;
    struct msg_saving *at; /* (shards) what each has said last */
    int64_t begun_by_ms;   /* until then it may be tried again */
};

/* ---- asking ---- */

static bool take_saving(rh_op *op, const struct op_request *q, const struct head *h,
                        struct rd *body) {
    (void)h;
    struct saving *g = op->sink;
    msg_get_saving(body, &g->at[q->shard]);
    return !body->bad;
}

static void put(const struct saving *g, uint32_t generation, struct buf *b) {
    struct msg_save m = {.generation = generation, .ticket = generation == 0 ? g->ticket : 0};
    snprintf(m.name, sizeof m.name, "%s", g->name);
    buf_init(b, sizeof m + 16);
    msg_put_save(b, &m);
}

static rh_status ask_save(struct saving *g, uint32_t n, uint32_t generation, uint16_t flags) {
    struct buf b;
    put(g, generation, &b);
    rh_status s = poll_ask(&g->p, 0, n, WIRE_SAVE, flags, &b, take_saving, g);
    buf_fini(&b);
    return s;
}

static rh_status ask_commit(struct saving *g) {
    struct buf b;
    buf_init(&b, WIRE_FRAME_MAX - WIRE_HEAD);
    msg_put_commit(&b, &(struct msg_commit){g->generation, g->p.c->shards});
    for (uint32_t i = 0; i < g->p.c->shards; i++)
        msg_put_written(&b, &g->at[i].written);
    rh_status s = poll_ask(&g->p, 0, 1, WIRE_COMMIT, 0, &b, take_saving, g);
    buf_fini(&b);
    return s;
}

/* ---- waiting ---- */

/* As long as files grow, there is no hurry. */
static void note_progress(struct saving *g) {
    uint64_t seen = 0;
    for (uint32_t i = 0; i < g->p.c->shards; i++) {
        if (g->at[i].phase == MSG_GATHERING)
            return;
        seen += g->at[i].phase + g->at[i].done_bytes;
    }
    poll_note(&g->p, seen);
}

static rh_status late(struct saving *g) {
    const struct msg_saving *m = g->at;
    for (uint32_t i = 0; i < g->p.c->shards; i++)
        if (g->at[i].waiting_for != WIRE_NOBODY)
            m = &g->at[i];
    uint32_t shard = (uint32_t)(m - g->at);
    if (m->waiting_for != WIRE_NOBODY && m->phase == MSG_BUSY)
        return err_set(RH_ETIMEDOUT,
                       "%s: worker %u cannot be saved until it goes on: it waits at a barrier, or "
                       "for another checkpoint, or nothing was heard of it lately",
                       what, m->waiting_for);
    if (m->waiting_for != WIRE_NOBODY)
        return err_set(RH_ETIMEDOUT, "%s: worker %u has not come to the end of a clock", what,
                       m->waiting_for);
    if (m->phase == MSG_BUSY)
        return err_set(RH_ETIMEDOUT, "%s: another checkpoint is being saved all the time", what);
    return err_set(RH_ETIMEDOUT, "%s: shard %u gets nowhere with its file", what, shard);
}

/* ---- one attempt ---- */

static bool all_written(const struct saving *g) {
    for (uint32_t i = 0; i < g->p.c->shards; i++)
        if (g->at[i].phase != MSG_WRITTEN)
            return false;
    return true;
}

/* Nobody wants it any more. What is said of this is lost: the reason is the first one. */
static rh_status give_up(struct saving *g, rh_status status) {
    char text[ERR_TEXT_MAX];
    snprintf(text, sizeof text, "%s", err_text());
    rh_status ignored = ask_save(g, g->p.c->shards, g->generation, WIRE_UNDO);
    (void)ignored;
    return err_set(status, "%s", text);
}

/* Shard i will not go on. *again: for a reason that may pass. */
static rh_status end_attempt(struct saving *g, uint32_t i, bool *again) {
    const struct msg_saving *m = &g->at[i];
    if (m->phase == MSG_BUSY) {
        *again = true;
        return give_up(g, err_set(RH_EFENCED, "%s: another checkpoint was begun meanwhile", what));
    }
    rh_status s = (rh_status)m->status;
    *again = s == RH_ETIMEDOUT || s == RH_EMISMATCH || s == RH_EFENCED;
    return give_up(g, err_set(s, "%s: checkpoint \"%s\" was given up by shard %u: %s", what,
                              g->name, i, m->text));
}

static bool is_over(const struct msg_saving *m) {
    return m->phase == MSG_BUSY || m->phase == MSG_GIVEN_UP;
}

static rh_status look(struct saving *g, bool *again) {
    uint32_t i = 0;
    while (i < g->p.c->shards && !is_over(&g->at[i]))
        i++;
    if (i == g->p.c->shards)
        return RH_OK;
    /* What another shard says of an attempt that the lead has ended meanwhile, whose folder is gone, is
     * no reason: the lead knows it. */
    rh_status s = i == 0 ? RH_OK : ask_save(g, 1, g->generation, 0);
    return s == RH_OK ? end_attempt(g, is_over(&g->at[0]) ? 0 : i, again) : s;
}

static rh_status follow(struct saving *g, bool *again) {
    for (;;) {
        rh_status s = ask_save(g, g->p.c->shards, g->generation, 0);
        if (s == RH_OK && g->at[0].phase == MSG_COMMITTED)
            return RH_OK;
        if (s == RH_OK)
            s = look(g, again);
        if (s == RH_OK && all_written(g)) {
            FAILPOINT("worker.commit.before");
            s = ask_commit(g);
            FAILPOINT("worker.commit.after");
            if (s == RH_OK && g->at[0].phase == MSG_COMMITTED)
                return RH_OK;
            if (s == RH_OK)
                s = look(g, again);
        }
        if (s != RH_OK)
            return s;
        note_progress(g);
        if (!poll_rest(&g->p))
            return give_up(g, late(g));
    }
}

/* Begin one, or let us join that which gathers marks. Every wish has a ticket of its own, so that a
 * question which comes twice, or late, begins no other. */
static rh_status ask_for_one(struct saving *g) {
    if (g->ticket == 0)
        g->ticket = client_draw(g->p.c);
    rh_status s = ask_save(g, 1, 0, 0);
    if (s == RH_OK && g->at[0].phase != MSG_BUSY)
        g->ticket = 0;
    return s;
}

/* The lead may still come to hear a question whose answer nobody waits for. Passes status on. */
static rh_status take_back(const struct saving *g, rh_status status) {
    char text[ERR_TEXT_MAX];
    struct buf b;
    if (g->ticket == 0)
        return status;
    snprintf(text, sizeof text, "%s", err_text());
    put(g, 0, &b);
    poll_tell(&g->p, 0, 1, WIRE_SAVE, WIRE_UNDO, &b);
    buf_fini(&b);
    return err_set(status, "%s", text);
}

/* The checkpoint that this call is about: one that takes this worker as it stands. *busy: not now. */
static rh_status join(struct saving *g, bool *busy) {
    rh_client *c = g->p.c;
    pthread_mutex_lock(&c->lock);
    uint32_t fresh = mark_is_fresh(c) ? c->marked : 0, marked = c->marked;
    pthread_mutex_unlock(&c->lock);
    *busy = false;
    if (fresh != 0) {
        rh_status s = ask_save(g, 1, fresh, 0);
        if (s != RH_OK || (g->at[0].phase != MSG_BUSY && g->at[0].phase != MSG_GIVEN_UP)) {
            g->generation = fresh;
            return s;
        }
    }
    rh_status s = ask_for_one(g);
    if (s != RH_OK)
        return s;
    g->generation = g->at[0].generation;
    if (c->observer || g->generation == fresh) {
        *busy = g->at[0].phase == MSG_BUSY;
        return RH_OK;
    }
    /* One that has taken this worker before, or that is cut already, is not the one that is wanted. One
     * of another name may wait for our mark, as we do for its end. */
    *busy = g->generation == marked || g->at[0].phase != MSG_GATHERING;
    const bool awaits_us = g->at[0].phase == MSG_BUSY && g->at[0].waiting_for == c->rank &&
                           g->generation != marked && c->mode == RH_MODE_ASYNC;
    return *busy && !awaits_us ? RH_OK : mark_now(c, what, g->generation, g->p.deadline_ms);
}

static rh_status save(struct saving *g) {
    for (;;) {
        bool busy = false, again = false;
        rh_status s = join(g, &busy);
        if (s == RH_OK && !busy)
            s = follow(g, &again);
        if (!busy && !again)
            return s;
        g->p.deadline_ms = g->begun_by_ms;
        if (!poll_rest_ms(&g->p, AGAIN_MS))
            return busy ? late(g) : s;
    }
}

rh_status rh_save(rh_client *c, const char *name) {
    struct saving g = {.name = name};
    rh_status s = name_check("checkpoint", name);
    if (s != RH_OK)
        return err_in(s, "%s", what);
    s = poll_begin(&g.p, c, what);
    if (s != RH_OK)
        return s;
    g.begun_by_ms = g.p.deadline_ms;
    g.at = calloc(c->shards, sizeof *g.at);
    for (uint32_t i = 0; g.at != NULL && i < c->shards; i++)
        g.at[i].waiting_for = WIRE_NOBODY;
    s = g.at == NULL ? err_set(RH_ENOMEM, "%s: no memory", what) : save(&g);
    if (s != RH_OK)
        s = take_back(&g, s);
    free(g.at);
    poll_end(&g.p);
    return s;
}
