/*
 * restore.c - rh_restore. Every shard reads the checkpoint aside; when all have, it goes into the place
 * of everything they have, at the lead first; then this client joins the job anew.
 *
 * Two clients may want this at once, and neither may leave half of its checkpoint. A random ticket
 * tells their requests apart. The lead has one ticket in hand at a time, and a client asks the other
 * shards only while the lead has its own; so both do not read at once, and one waits. Step 1 is sent to
 * the others only behind the lead's: of two clients whose tickets were in hand one after the other, the
 * lead refuses step 1 to the one whose ticket is not there any more, and takes it from the other one,
 * which is the moment that fences the first. So only one of them ever sends step 1 to anybody but the
 * lead. It may die before it has sent all: then shards differ, until somebody restores again.
 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/name.h"
#include "proto/msg.h"
#include "worker/connect.h"
#include "worker/poll.h"
#include "worker/tables.h"

static const char what[] = "rh_restore";

enum { READ = 1, IN_PLACE = 2 }; /* steps that are done */

struct restoring {
    struct poll p;
    const char *name;
    uint32_t ticket;
    struct msg_restored *at;     /* (shards) what each has said last */
    rh_interrupted *interrupted; /* the client's, while it is not asked */
};

/* ---- asking ---- */

static bool take_restored(rh_op *op, const struct op_request *q, const struct head *h,
                          struct rd *body) {
    (void)h;
    struct restoring *g = op->sink;
    msg_get_restored(body, &g->at[q->shard]);
    return !body->bad;
}

static void put(const struct restoring *g, uint32_t step, struct buf *b) {
    struct msg_restore m = {.step = step, .ticket = g->ticket};
    snprintf(m.name, sizeof m.name, "%s", g->name);
    msg_put_restore(b, &m);
}

static rh_status ask(struct restoring *g, uint32_t first, uint32_t n, uint32_t step) {
    uint8_t room[sizeof(struct msg_restore) + 16];
    struct buf b;
    if (n == 0)
        return RH_OK;
    buf_wrap(&b, room, sizeof room);
    put(g, step, &b);
    return poll_ask(&g->p, first, n, WIRE_RESTORE, 0, &b, take_restored, g);
}

/* Whoever still has it in hand lets it go. */
static void undo(const struct restoring *g) {
    uint8_t room[sizeof(struct msg_restore) + 16];
    struct buf b;
    buf_wrap(&b, room, sizeof room);
    put(g, 0, &b);
    poll_tell(&g->p, 0, g->p.c->shards, WIRE_RESTORE, WIRE_UNDO, &b);
}

static bool has(const struct restoring *g, uint32_t shard, uint32_t steps) {
    return g->at[shard].ticket == g->ticket && g->at[shard].step >= steps;
}

/* The first of shards first .. first + n - 1 that has not, or first + n. */
static uint32_t first_without(const struct restoring *g, uint32_t first, uint32_t n,
                              uint32_t steps) {
    uint32_t i = first;
    while (i < first + n && has(g, i, steps))
        i++;
    return i;
}

static void note_progress(struct restoring *g) {
    uint64_t seen = 0;
    for (uint32_t i = 0; i < g->p.c->shards; i++)
        if (has(g, i, 0))
            seen += 1 + g->at[i].step + g->at[i].done_bytes;
    poll_note(&g->p, seen);
}

/* ---- reading ---- */

static rh_status late(const struct restoring *g, uint32_t shard) {
    const char *address = g->p.c->links[shard].cfg.address;
    if (!has(g, shard, 0))
        return err_set(RH_ETIMEDOUT,
                       "%s: shard %" PRIu32 " at %s is restoring another checkpoint all the time",
                       what, shard, address);
    return err_set(RH_ETIMEDOUT, "%s: shard %" PRIu32 " at %s gets nowhere with checkpoint \"%s\"",
                   what, shard, address, g->name);
}

static rh_status read_all(struct restoring *g) {
    const uint32_t shards = g->p.c->shards;
    for (;;) {
        rh_status s = ask(g, 0, 1, 0);
        if (s == RH_OK && has(g, 0, 0))
            s = ask(g, 1, shards - 1, 0);
        uint32_t behind = first_without(g, 0, shards, READ);
        if (s != RH_OK || behind == shards)
            return s;
        note_progress(g);
        if (!poll_rest(&g->p))
            return late(g, behind);
    }
}

/* A name may have been given to another checkpoint meanwhile. */
static rh_status compare(const struct restoring *g) {
    for (uint32_t i = 1; i < g->p.c->shards; i++)
        if (g->at[i].generation != g->at[0].generation)
            return err_set(RH_EMISMATCH,
                           "%s: shard 0 has read generation %" PRIu64
                           " of checkpoint \"%s\", shard %" PRIu32 " generation %" PRIu64
                           ": it was saved anew meanwhile: try again",
                           what, g->at[0].generation, g->name, i, g->at[i].generation);
    return RH_OK;
}

/* Nothing has changed. What is said of this is lost: the reason is the first one. */
static rh_status give_up(struct restoring *g, rh_status status) {
    char text[ERR_TEXT_MAX];
    snprintf(text, sizeof text, "%s", err_text());
    undo(g);
    return err_set(status, "%s", text);
}

/* ---- the other threads of this client ---- */

/* Calls that ask shards one after the other are over, or have not begun. */
static rh_status take_turns(rh_client *c) {
    int64_t deadline_ms = client_deadline(c, -1);
    pthread_mutex_lock(&c->lock);
    bool opens = client_wait_turn(c, &c->opening, deadline_ms);
    c->opening |= opens;
    bool loads = opens && client_wait_turn(c, &c->loading, deadline_ms);
    c->loading |= loads;
    if (opens && !loads)
        c->opening = false;
    rh_status s = loads ? RH_OK
                  : c->failed != RH_OK
                      ? client_failed(c)
                      : err_set(RH_ETIMEDOUT,
                                "%s: another thread is opening a table, or loading a file", what);
    c->news = true;
    return client_leave(c, s);
}

static void end_turns(rh_client *c) {
    pthread_mutex_lock(&c->lock);
    c->opening = c->loading = false;
    c->news = true;
    (void)client_leave(c, RH_OK);
}

/* Operations that others begin meanwhile are refused; those in flight wait for what becomes of the job.
 * This thread is not interrupted: half a restore would be worse than a late one. */
static void keep_out(struct restoring *g, bool yes) {
    rh_client *c = g->p.c;
    pthread_mutex_lock(&c->lock);
    c->renewing = yes;
    c->renewer = pthread_self();
    for (uint32_t i = 0; i < c->shards; i++)
        link_expect_end(&c->links[i], yes);
    if (pthread_equal(c->connector, c->renewer)) { /* nobody else is asked */
        rh_interrupted *was = c->interrupted;
        c->interrupted = g->interrupted;
        g->interrupted = was;
    }
    c->news = true;
    (void)client_leave(c, RH_OK);
}

/* ---- putting it in place ---- */

static rh_status place(struct restoring *g, uint32_t first, uint32_t n) {
    for (;;) {
        rh_status s = ask(g, first, n, 1);
        uint32_t behind = first_without(g, first, n, IN_PLACE);
        if (s != RH_OK || behind == first + n)
            return s;
        note_progress(g);
        if (!poll_rest(&g->p))
            return late(g, behind);
    }
}

/* "shards 0, 2", or "no shard". */
static void list_shards(const struct restoring *g, bool in_place, char *out, size_t cap) {
    size_t len = 0;
    snprintf(out, cap, "no shard");
    for (uint32_t i = 0; i < g->p.c->shards && len < cap; i++)
        if (has(g, i, IN_PLACE) == in_place)
            len +=
                (size_t)snprintf(out + len, cap - len, "%s%" PRIu32, len == 0 ? "shard " : ", ", i);
}

/* Some shards have it and others may not: there is no job to go on with. */
static rh_status half(struct restoring *g, rh_status status) {
    rh_client *c = g->p.c;
    char why[ERR_TEXT_MAX], done[128], rest[128], text[ERR_TEXT_MAX];
    snprintf(why, sizeof why, "%s", err_text());
    undo(g);
    list_shards(g, true, done, sizeof done);
    list_shards(g, false, rest, sizeof rest);
    err_set(
        status,
        "%s; checkpoint \"%s\" is in place on %s, and is not, as far as is known, on %s: connect "
        "again, and call rh_restore again",
        why, g->name, done, rest);
    snprintf(text, sizeof text, "%s", err_text());
    pthread_mutex_lock(&c->lock);
    client_fail(c, 0, status, text);
    return client_leave(c, client_failed(c));
}

/* All have it: so has this client. */
static rh_status come_back(struct restoring *g) {
    rh_client *c = g->p.c;
    char text[ERR_TEXT_MAX];
    snprintf(text, sizeof text, "the job was restored from checkpoint \"%s\" meanwhile", g->name);
    pthread_mutex_lock(&c->lock);
    rh_status s = client_leave(c, connect_again(c, text));
    if (s == RH_OK)
        s = tables_find_again(c, what);
    if (s == RH_OK)
        return s;
    err_in(s,
           "%s: the servers have checkpoint \"%s\", but this client could not join them again "
           "(connect again)",
           what, g->name);
    snprintf(text, sizeof text, "%s", err_text());
    pthread_mutex_lock(&c->lock);
    client_fail(c, 0, s, text);
    return client_leave(c, client_failed(c));
}

/* *nothing: nothing has changed. */
static rh_status put_in_place(struct restoring *g, bool *nothing) {
    rh_status s = place(g, 0, 1);
    /* What the lead has refused was not done; what it has not answered may have been. */
    *nothing = s != RH_OK && s != RH_ETIMEDOUT && s != RH_EUNREACHABLE;
    if (*nothing)
        return s;
    if (s == RH_OK)
        s = place(g, 1, g->p.c->shards - 1);
    return s == RH_OK ? come_back(g) : half(g, s);
}

static rh_status restore(struct restoring *g) {
    bool nothing = true;
    rh_status s = read_all(g);
    if (s == RH_OK)
        s = compare(g);
    if (s == RH_OK)
        s = take_turns(g->p.c);
    if (s == RH_OK) {
        keep_out(g, true);
        s = put_in_place(g, &nothing);
        keep_out(g, false);
        end_turns(g->p.c);
    }
    return s != RH_OK && nothing ? give_up(g, s) : s;
}

rh_status rh_restore(rh_client *c, const char *name) {
    struct restoring g = {.name = name};
    rh_status s = name_check("checkpoint", name);
    if (s != RH_OK)
        return err_in(s, "%s", what);
    s = poll_begin(&g.p, c, what);
    if (s != RH_OK)
        return s;
    g.ticket = client_draw(c);
    g.at = calloc(c->shards, sizeof *g.at);
    s = g.at == NULL ? err_set(RH_ENOMEM, "%s: no memory", what) : restore(&g);
    free(g.at);
    poll_end(&g.p);
    return s;
}
