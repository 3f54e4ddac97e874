/* rewind.c - see rewind.h. */
#include "worker/rewind.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/failpoint.h"

enum { READ = 1, IN_PLACE = 2 }; /* steps that are done */

rh_status rewind_init(struct rewind *g, struct poll *p, const char *name, uint32_t ticket) {
    *g = (struct rewind){.p = p,
                         .any = name[0] == '\0',
                         .ticket = ticket != 0 ? ticket : client_draw(p->c),
                         .at = calloc(p->c->shards, sizeof *g->at)};
    snprintf(g->name, sizeof g->name, "%s", name);
    return g->at != NULL ? RH_OK : err_set(RH_ENOMEM, "%s: no memory", p->what);
}

void rewind_fini(struct rewind *g) {
    free(g->at);
}

/* ---- asking ---- */

static bool take_restored(rh_op *op, const struct op_request *q, const struct head *h,
                          struct rd *body) {
    (void)h;
    struct rewind *g = op->sink;
    struct msg_restored *m = &g->at[q->shard];
    msg_get_restored(body, m);
    for (uint32_t rank = 0; rank < 8 * m->gone.len; rank++)
        if (msg_gone_has(&m->gone, rank))
            msg_gone_add(&g->gone, rank);
    return !body->bad;
}

static void put(const struct rewind *g, uint32_t step, struct buf *b) {
    struct msg_restore m = {.step = step, .ticket = g->ticket};
    memcpy(m.name, g->name, sizeof m.name);
    if (step == 1)
        m.gone = g->gone;
    msg_put_restore(b, &m);
}

static rh_status ask(struct rewind *g, uint32_t first, uint32_t n, uint32_t step) {
    uint8_t room[sizeof(struct msg_restore) + 16];
    struct buf b;
    if (n == 0)
        return RH_OK;
    buf_wrap(&b, room, sizeof room);
    put(g, step, &b);
    rh_status s = poll_ask(g->p, first, n, WIRE_RESTORE, 0, &b, take_restored, g);
    if (first == 0 && (s == RH_EROLLBACK || s == RH_EMISMATCH))
        g->over = true;
    return s;
}

void rewind_undo(const struct rewind *g) {
    uint8_t room[sizeof(struct msg_restore) + 16];
    struct buf b;
    buf_wrap(&b, room, sizeof room);
    put(g, 0, &b);
    poll_tell(g->p, 0, g->p->c->shards, WIRE_RESTORE, WIRE_UNDO, &b);
}

static bool has(const struct rewind *g, uint32_t shard, uint32_t steps) {
    return g->at[shard].ticket == g->ticket && g->at[shard].step >= steps;
}

/* The first of shards first .. first + n - 1 that has not, or first + n. */
static uint32_t first_without(const struct rewind *g, uint32_t first, uint32_t n, uint32_t steps) {
    uint32_t i = first;
    while (i < first + n && has(g, i, steps))
        i++;
    return i;
}

/* Further than ever before, that is. */
static void note_progress(struct rewind *g) {
    uint64_t seen = 0;
    for (uint32_t i = 0; i < g->p->c->shards; i++)
        if (has(g, i, 0))
            seen += 1 + g->at[i].step + g->at[i].done_bytes;
    if (seen > g->p->seen)
        poll_note(g->p, seen);
}

/* ---- reading ---- */

static rh_status late(const struct rewind *g, uint32_t shard) {
    const char *what = g->p->what, *address = g->p->c->links[shard].cfg.address;
    if (!has(g, shard, 0))
        return err_set(RH_ETIMEDOUT,
                       "%s: shard %" PRIu32 " at %s is restoring another checkpoint all the time",
                       what, shard, address);
    return err_set(RH_ETIMEDOUT, "%s: shard %" PRIu32 " at %s gets nowhere with checkpoint \"%s\"",
                   what, shard, address, g->name);
}

/* What the lead says of the last generation: which ticket it has in hand, and once it knows, its name. */
static bool follow(struct rewind *g) {
    const struct msg_restored *lead = &g->at[0];
    if (!g->any)
        return has(g, 0, 0);
    g->ticket = lead->ticket;
    memcpy(g->name, lead->name, sizeof g->name);
    return lead->step >= READ || lead->name[0] != '\0';
}

static rh_status read_all(struct rewind *g) {
    const uint32_t shards = g->p->c->shards;
    for (;;) {
        rh_status s = ask(g, 0, 1, 0);
        if (s == RH_OK && follow(g))
            s = ask(g, 1, shards - 1, 0);
        uint32_t behind = first_without(g, 0, shards, READ);
        if (s != RH_OK || behind == shards)
            return s;
        note_progress(g);
        if (!poll_rest(g->p))
            return late(g, behind);
    }
}

/* A name may have been given to another checkpoint meanwhile. */
static rh_status compare(const struct rewind *g) {
    for (uint32_t i = 1; i < g->p->c->shards; i++)
        if (g->at[i].generation != g->at[0].generation)
            return err_set(RH_EMISMATCH,
                           "%s: shard 0 has read generation %" PRIu64
                           " of checkpoint \"%s\", shard %" PRIu32 " generation %" PRIu64
                           ": it was saved anew meanwhile: try again",
                           g->p->what, g->at[0].generation, g->name, i, g->at[i].generation);
    return RH_OK;
}

rh_status rewind_read(struct rewind *g) {
    rh_status s = read_all(g);
    return s == RH_OK ? compare(g) : s;
}

/* ---- putting it in place ---- */

/* Until that step is done there, the first one is 0. */
static rh_status go(struct rewind *g, uint32_t first, uint32_t n, uint32_t step) {
    for (;;) {
        rh_status s = ask(g, first, n, step);
        uint32_t behind = first_without(g, first, n, step + 1);
        if (s != RH_OK || behind == first + n)
            return s;
        note_progress(g);
        if (!poll_rest(g->p))
            return late(g, behind);
    }
}

rh_status rewind_place(struct rewind *g, bool *nothing) {
    FAILPOINT("worker.back.before");
    rh_status s = go(g, 0, 1, 1);
    FAILPOINT("worker.back.lead");
    /* What the lead has refused was not done; what it has not answered may have been. */
    *nothing = s != RH_OK && s != RH_ETIMEDOUT && s != RH_EUNREACHABLE;
    if (s == RH_OK)
        s = go(g, 1, g->p->c->shards - 1, 1);
    FAILPOINT("worker.back.all");
    return s == RH_OK ? go(g, 0, 1, 2) : s;
}

void rewind_list(const struct rewind *g, bool in_place, char *out, size_t cap) {
    size_t len = 0;
    snprintf(out, cap, "no shard");
    for (uint32_t i = 0; i < g->p->c->shards && len < cap; i++)
        if (has(g, i, IN_PLACE) == in_place)
            len +=
                (size_t)snprintf(out + len, cap - len, "%s%" PRIu32, len == 0 ? "shard " : ", ", i);
}
