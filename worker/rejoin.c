/* rejoin.c - see rejoin.h. */
#include "worker/rejoin.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "worker/op.h"
#include "worker/rewind.h"
#include "worker/tables.h"

/* Not all shards are seen at one moment: so long they may seem to differ. */
enum { DIFFER_MS = 2000 };

/* ---- the life before ---- */

/* An operation that nobody waits for. */
static void forget(rh_op **op, bool waited_for) {
    if (*op == NULL || waited_for)
        return;
    op_recycle(*op);
    *op = NULL;
}

static void end_sessions(rh_client *c, const char *text) {
    for (uint32_t i = 0; i < c->shards; i++)
        if (c->links[i].state != LINK_NEW)
            link_fail(&c->links[i], RH_EROLLBACK, text);
    c->failed = RH_OK;
    forget(&c->tick, c->ending);
    forget(&c->barrier, c->passing);
    c->owed_status = RH_OK; /* a tick that is over so has said otherwise */
    c->news = true;
}

/* As a client that was never in a job: all of this is said by the shards, or counted in a session. */
static void begin_sessions(rh_client *c) {
    for (uint32_t i = 0; i < c->shards; i++)
        if (c->links[i].state != LINK_NEW)
            link_renew(&c->links[i]);
    free(c->cursor);
    c->cursor = NULL;
    c->cursor_len = 0;
    c->marked = 0;
    c->clock = 0;
    c->call = c->opens = 0;
    c->gate = false;
    c->barriers = 0;
    atomic_store(&c->freezes, 0);
}

/* ---- looking ---- */

static bool is_up(const struct link *l) {
    return l->state == LINK_UP;
}

static bool lead_is_up(const void *arg) {
    return is_up(&((const rh_client *)arg)->links[0]);
}

static bool all_are_up(const void *arg) {
    const rh_client *c = arg;
    for (uint32_t i = 0; i < c->shards; i++)
        if (!is_up(&c->links[i]))
            return false;
    return true;
}

static rh_status unreachable(const rh_client *c, int64_t since_ms) {
    char who[ERR_TEXT_MAX] = "";
    size_t len = 0;
    for (uint32_t i = 0; i < c->shards && len < sizeof who; i++)
        if (c->links[i].state == LINK_SAYING)
            len += (size_t)snprintf(who + len, sizeof who - len, "%sshard %u at %s",
                                    len == 0 ? "" : ", ", i, c->links[i].cfg.address);
    return err_set(RH_EUNREACHABLE,
                   "nobody answered in %.1f s: %s. Are the servers running, and is this where they "
                   "listen?",
                   (double)(client_now(c) - since_ms) / 1000, who);
}

/* Refused by another shard than the lead: most often the list of servers is wrong, so it is shown. */
static rh_status refused(const rh_client *c) {
    rh_status s = c->failed;
    if (s != RH_EMISMATCH || c->failed_shard == 0)
        return client_failed(c);
    char given[ERR_TEXT_MAX] = "";
    size_t len = 0;
    for (uint32_t i = 0; i < c->shards && len < sizeof given; i++)
        len += (size_t)snprintf(given + len, sizeof given - len, "%s%u %s", i == 0 ? "" : ", ", i,
                                c->links[i].cfg.address);
    return err_set(s, "%s (servers by shard, as given: %s)", c->failed_text, given);
}

/* Says hello everywhere. Where the lead has no session for us, we are nobody to the others. */
static rh_status say_hello(rh_client *c, int64_t deadline_ms) {
    const struct link *lead = &c->links[0];
    const int64_t since_ms = client_now(c);
    link_hello(&c->links[0], 0, 0, since_ms);
    if (client_wait(c, lead_is_up, c, deadline_ms)) {
        for (uint32_t i = 1; i < c->shards; i++)
            if (lead->is == MSG_WHOLE)
                link_hello(&c->links[i], lead->worker_inc, lead->clock, client_now(c));
            else
                link_look(&c->links[i], client_now(c));
        client_wait(c, all_are_up, c, deadline_ms);
    }
    if (c->failed != RH_OK)
        return refused(c);
    return all_are_up(c) ? RH_OK : unreachable(c, since_ms);
}

static bool nothing_unbegun(const void *arg) {
    return ((const rh_client *)arg)->unbegun == 0;
}

static rh_status look(rh_client *c, const char *text, int64_t deadline_ms) {
    pthread_mutex_lock(&c->lock);
    end_sessions(c, text);
    begin_sessions(c);
    /* What other threads had made for the life before may not begin in this one. */
    rh_status s = client_wait_others(c, nothing_unbegun, c, deadline_ms)
                      ? say_hello(c, deadline_ms)
                      : err_set(RH_ETIMEDOUT, "another thread is in the middle of a call");
    return client_leave(c, s);
}

/* ---- what was seen ---- */

/* The first shard whose rows are of another moment than the lead's, or 0. */
static uint32_t first_other(const rh_client *c) {
    uint32_t i = 1;
    while (i < c->shards && c->links[i].origin == c->links[0].origin)
        i++;
    return i < c->shards ? i : 0;
}

/* Some shard's rows are lost, or have what we are about to do again. */
static bool must_go_back(const rh_client *c) {
    for (uint32_t i = 0; i < c->shards; i++)
        if (c->links[i].is == MSG_LOST || c->links[i].is == MSG_REDONE)
            return true;
    return false;
}

static rh_status they_differ(const rh_client *c, uint32_t other) {
    const struct link *lead = &c->links[0], *l = &c->links[other];
    return err_set(RH_EMISMATCH,
                   "shard 0 at %s began with %s checkpoint, shard %u at %s with %s: all servers of "
                   "a job need the same --restore and the same folder, and one that is started in "
                   "the place of another needs --rejoin; or restore (rowhouse ckpt restore)",
                   lead->cfg.address, lead->origin == 0 ? "no" : "a", other, l->cfg.address,
                   l->origin == 0      ? "none"
                   : lead->origin == 0 ? "one"
                                       : "another");
}

/* All have welcomed: the client is in the job, at the largest clock of theirs. */
static void settle(rh_client *c) {
    pthread_mutex_lock(&c->lock);
    for (uint32_t i = 0; i < c->shards; i++)
        if (c->links[i].clock > c->clock)
            c->clock = c->links[i].clock;
    for (uint32_t i = 0; i < c->shards; i++)
        link_start(&c->links[i], (uint32_t)c->clock, client_now(c));
    c->mode = (rh_mode)c->links[0].mode;
    c->world = c->links[0].world;
    (void)client_leave(c, RH_OK);
}

/* ---- putting it right ---- */

static void expect_ends(rh_client *c) {
    pthread_mutex_lock(&c->lock);
    for (uint32_t i = 0; i < c->shards; i++)
        link_expect_end(&c->links[i], true);
    (void)client_leave(c, RH_OK);
}

/* ticket 0: back to the last generation; else that one is carried on. */
static rh_status put_right(rh_client *c, struct poll *p, uint32_t ticket) {
    struct rewind w;
    bool nothing = true;
    expect_ends(c);
    rh_status s = rewind_init(&w, p, "", ticket);
    if (s == RH_OK)
        s = rewind_read(&w);
    if (s == RH_OK)
        s = rewind_place(&w, &nothing);
    /* It would be waited for, and nobody puts it in place any more. */
    if (s != RH_OK && w.at != NULL && nothing && w.over) {
        char text[ERR_TEXT_MAX];
        snprintf(text, sizeof text, "%s", err_text());
        rewind_undo(&w);
        err_set(s, "%s", text);
    }
    rewind_fini(&w);
    return s;
}

/* Somebody was faster, or a server has died: it is looked at again. */
static bool is_overtaken(rh_status s) {
    return s == RH_EROLLBACK || s == RH_EMISMATCH;
}

static rh_status go_on(struct poll *p, rh_status s) {
    char text[ERR_TEXT_MAX];
    snprintf(text, sizeof text, "%s", err_text());
    if (!is_overtaken(s))
        return s;
    return poll_rest(p) ? RH_OK : err_set(RH_ETIMEDOUT, "%s", text);
}

/* One round: *in, or *differ_ms is since when they have differed (-1: they do not), or something was put
 * right. */
static rh_status round_of(rh_client *c, struct poll *p, bool heals, int64_t *differ_ms, bool *in) {
    const struct link *lead = &c->links[0];
    const uint32_t other = first_other(c);
    *in = !heals || (lead->is == MSG_WHOLE && !must_go_back(c) && other == 0);
    if (*in)
        return RH_OK;
    if (lead->is == MSG_PENDING || must_go_back(c)) {
        *differ_ms = -1;
        return go_on(p, put_right(c, p, lead->is == MSG_PENDING ? lead->origin : 0));
    }
    if (*differ_ms < 0)
        *differ_ms = client_now(c);
    if (client_now(c) - *differ_ms >= DIFFER_MS || !poll_rest(p))
        return they_differ(c, other);
    return RH_OK;
}

rh_status rejoin(rh_client *c, const char *text, int timeout_ms, bool heals) {
    int64_t differ_ms = -1;
    struct poll p;
    poll_init(&p, c, "going back", timeout_ms);
    for (;;) {
        bool in = false;
        rh_status s = look(c, text, p.deadline_ms);
        if (s == RH_OK)
            s = round_of(c, &p, heals, &differ_ms, &in);
        else if (s == RH_EROLLBACK)
            s = go_on(&p, s);
        if (in)
            settle(c);
        if (s != RH_OK || in)
            return s;
    }
}

/* ---- coming back ---- */

/* The client is rolled back, still or again. */
static rh_status stay_out(rh_client *c, rh_status s) {
    char why[ERR_TEXT_MAX], text[ERR_TEXT_MAX + 64];
    snprintf(why, sizeof why, "%s", err_text());
    snprintf(text, sizeof text, "%s: " LINK_COME_BACK, why);
    pthread_mutex_lock(&c->lock);
    client_fail(c, 0, RH_EROLLBACK, text);
    return client_leave(c, err_set(s, "%s", why));
}

rh_status rejoin_anew(rh_client *c, const char *what, const char *text) {
    const int64_t deadline_ms = client_deadline(c, -1);
    rh_status s;
    do {
        s = rejoin(c, text, -1, true);
        if (s == RH_OK)
            s = tables_find_again(c, what);
    } while (s == RH_EROLLBACK && client_now(c) < deadline_ms);
    return s == RH_OK ? s : stay_out(c, s);
}

/* Until other threads have left the calls that take more than one step: what they ask is refused. With
 * the lock held. */
static rh_status wait_for_others(rh_client *c) {
    const int64_t deadline_ms = client_deadline(c, -1);
    const bool *const turns[] = {&c->saving, &c->opening, &c->loading, &c->ending, &c->passing};
    for (size_t i = 0; i < sizeof turns / sizeof *turns; i++)
        if (!client_wait_turn(c, turns[i], deadline_ms))
            return err_set(RH_ETIMEDOUT, "another thread is in the middle of a call");
    return RH_OK;
}

rh_status rejoin_if_rolled_back(rh_client *c, const char *what) {
    char text[ERR_TEXT_MAX];
    rh_status s = client_check(c);
    if (s != RH_OK)
        return s;
    pthread_mutex_lock(&c->lock);
    if (c->renewing && !client_wait_turn(c, &c->renewing, client_deadline(c, -1)) && c->renewing)
        return client_leave(c, client_may(c));
    if (c->failed != RH_EROLLBACK)
        return client_leave(c, RH_OK);
    snprintf(text, sizeof text, "%s", c->failed_text);
    c->failed = RH_OK;
    c->renewing = true;
    c->renewer = pthread_self();
    s = client_leave(c, wait_for_others(c));
    s = s == RH_OK ? rejoin_anew(c, what, text) : stay_out(c, s);
    pthread_mutex_lock(&c->lock);
    c->renewing = false;
    c->news = true;
    (void)client_leave(c, s);
    return s == RH_OK ? s : err_in(s, "%s", what);
}
