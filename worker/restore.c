/* restore.c - rh_restore: all shards to one checkpoint, while the other threads of this client stand
 * still; then this client joins the job anew. What it asks of the shards is rewind.c's. */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "common/name.h"
#include "worker/rejoin.h"
#include "worker/rewind.h"

static const char what[] = "rh_restore";

struct restoring {
    struct rewind w;
    struct poll p;
    const char *name;
    rh_interrupted *interrupted; /* the client's, while it is not asked */
};

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

/* Some shards have it and others may not: this client has none of the job any more. */
static rh_status half(struct restoring *g, rh_status status) {
    rh_client *c = g->p.c;
    char why[ERR_TEXT_MAX], done[128], rest[128], text[ERR_TEXT_MAX];
    snprintf(why, sizeof why, "%s", err_text());
    rewind_list(&g->w, true, done, sizeof done);
    rewind_list(&g->w, false, rest, sizeof rest);
    err_set(status,
            "%s; checkpoint \"%s\" is in place on %s, and is not, as far as is known, on %s: "
            "whoever comes next puts that right: " LINK_COME_BACK,
            why, g->name, done, rest);
    snprintf(text, sizeof text, "%s", err_text());
    pthread_mutex_lock(&c->lock);
    client_fail(c, 0, RH_EROLLBACK, text);
    return client_leave(c, err_set(status, "%s", text));
}

/* All have it: so has this client. */
static rh_status come_back(struct restoring *g) {
    char text[ERR_TEXT_MAX];
    snprintf(text, sizeof text, "the job was restored from checkpoint \"%s\" meanwhile", g->name);
    rh_status s = rejoin_anew(g->p.c, what, text);
    if (s == RH_OK)
        return s;
    return err_in(s,
                  "%s: the servers have checkpoint \"%s\", but this client could not join them "
                  "again",
                  what, g->name);
}

/* *nothing: nothing has changed. */
static rh_status put_in_place(struct restoring *g, bool *nothing) {
    rh_status s = rewind_place(&g->w, nothing);
    if (*nothing)
        return s;
    return s == RH_OK ? come_back(g) : half(g, s);
}

static rh_status restore(struct restoring *g) {
    bool nothing = true;
    rh_status s = rewind_read(&g->w);
    if (s == RH_OK)
        s = take_turns(g->p.c);
    if (s == RH_OK) {
        keep_out(g, true);
        s = put_in_place(g, &nothing);
        keep_out(g, false);
        end_turns(g->p.c);
    }
    if (s == RH_OK || !nothing)
        return s;
    /* The reason is the first one, whatever else goes wrong. */
    char text[ERR_TEXT_MAX];
    snprintf(text, sizeof text, "%s", err_text());
    rewind_undo(&g->w);
    return err_set(s, "%s", text);
}

rh_status rh_restore(rh_client *c, const char *name) {
    struct restoring g = {.name = name};
    rh_status s = name_check("checkpoint", name);
    if (s != RH_OK)
        return err_in(s, "%s", what);
    s = poll_begin(&g.p, c, what);
    if (s != RH_OK)
        return s;
    s = rewind_init(&g.w, &g.p, name, 0);
    if (s == RH_OK)
        s = restore(&g);
    rewind_fini(&g.w);
    poll_end(&g.p);
    return s;
}
