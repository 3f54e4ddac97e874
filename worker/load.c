/* load.c - see load.h. STAGE after STAGE makes every shard read a slice, so that none is deaf
 * meanwhile and each wait has a deadline of its own; only when all have read the whole file, found it
 * good, and found it the same, one LOAD makes them write their rows. */
#include "worker/load.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "proto/msg.h"
#include "worker/op.h"
#include "worker/tables.h"

static const char what[] = "rh_load";

struct reading {
    rh_client *c;
    struct msg_stage ask;
    struct msg_staged *at; /* (shards) how far each is */
};

/* ---- asking ---- */

static bool take_staged(rh_op *op, const struct op_request *q, const struct head *h,
                        struct rd *body) {
    (void)h;
    struct reading *g = op->sink;
    struct msg_staged m = {0}, *at = &g->at[q->shard];
    msg_get_staged(body, &m);
    if (body->bad || m.load != g->ask.load || m.steps != at->steps + 1)
        return false;
    *at = m;
    g->c->load_steps++;
    return true;
}

static rh_status ask_shard(rh_op *op, uint32_t shard, const struct msg_stage *m, uint16_t flags) {
    struct buf b;
    buf_init(&b, sizeof *m);
    msg_put_stage(&b, m);
    rh_status s =
        b.bad ? err_set(RH_ENOMEM, "%s: no memory", what) : op_ask(op, shard, WIRE_STAGE, &b, 0);
    buf_fini(&b);
    if (s == RH_OK)
        op->requests[op->n_requests - 1].r.head.flags = flags;
    return s;
}

/* Makes every shard that is not done read a slice. */
static rh_status read_slice(struct reading *g) {
    rh_op *op;
    rh_status s = op_new(g->c, what, &op);
    if (s != RH_OK)
        return s;
    op->take = take_staged;
    op->sink = g;
    for (uint32_t i = 0; s == RH_OK && i < g->c->shards; i++) {
        g->ask.step = g->at[i].steps;
        if (!g->at[i].done)
            s = ask_shard(op, i, &g->ask, 0);
    }
    if (s != RH_OK) {
        op_free(op);
        return s;
    }
    return op_run(op);
}

static bool all_done(const struct reading *g) {
    uint32_t i = 0;
    while (i < g->c->shards && g->at[i].done)
        i++;
    return i == g->c->shards;
}

/* The text of a deadline that has passed says how far the file was read. */
static rh_status late(const struct reading *g, rh_status s) {
    char text[ERR_TEXT_MAX];
    uint64_t done = UINT64_MAX, total = 0;
    for (uint32_t i = 0; i < g->c->shards; i++) {
        done = g->at[i].done_bytes < done ? g->at[i].done_bytes : done;
        total = g->at[i].total_bytes > total ? g->at[i].total_bytes : total;
    }
    snprintf(text, sizeof text, "%s", err_text());
    return err_set(s, "%s; of %s %" PRIu64 " of %" PRIu64 " bytes were read", text, g->ask.path,
                   done, total);
}

static void tell_progress(const struct reading *g, const rh_load_options *o) {
    uint64_t done = 0, total = 0;
    for (uint32_t i = 0; i < g->c->shards; i++) {
        done += g->at[i].done_bytes;
        total += g->at[i].total_bytes;
    }
    if (o->progress != NULL)
        o->progress(o->progress_arg, done, total);
}

static rh_status read_all(struct reading *g, const rh_load_options *o) {
    rh_status s = RH_OK;
    while (s == RH_OK && !all_done(g)) {
        s = read_slice(g);
        if (s == RH_OK)
            tell_progress(g, o);
    }
    return s == RH_ETIMEDOUT || s == RH_EUNREACHABLE ? late(g, s) : s;
}

/* The shards need not remember what they have read. Nobody waits for their answers, and whatever
 * fails here changes nothing about what has failed before. */
static void forget(struct reading *g) {
    rh_op *op;
    if (op_new(g->c, what, &op) != RH_OK)
        return;
    rh_status s = RH_OK;
    for (uint32_t i = 0; s == RH_OK && i < g->c->shards; i++)
        s = ask_shard(op, i, &g->ask, WIRE_UNDO);
    if (s != RH_OK) {
        op_free(op);
        return;
    }
    pthread_mutex_lock(&g->c->lock);
    if (op_submit(op) == RH_OK)
        op_abandon(op);
    else
        op_recycle(op);
    (void)client_leave(g->c, RH_OK);
}

/* ---- agreeing ---- */

/* Names the shards whose file is not that of shard 0. */
static rh_status differ(const struct reading *g, const char *path, size_t digest_at) {
    char names[512] = "";
    uint64_t of_lead, own;
    memcpy(&of_lead, (const char *)&g->at[0] + digest_at, sizeof of_lead);
    for (uint32_t i = 1; i < g->c->shards; i++) {
        memcpy(&own, (const char *)&g->at[i] + digest_at, sizeof own);
        size_t len = strlen(names);
        if (own != of_lead && len + ROSTER_ADDRESS_MAX + 32 < sizeof names)
            snprintf(names + len, sizeof names - len, "%sshard %u at %s", len > 0 ? ", " : "", i,
                     g->c->links[i].cfg.address);
    }
    if (names[0] == '\0')
        return RH_OK;
    return err_set(RH_EMISMATCH,
                   "%s: %s: not the same file for all shards: shard 0 at %s has another one than "
                   "%s",
                   what, path, g->c->links[0].cfg.address, names);
}

static rh_status compare(const struct reading *g) {
    rh_status s = differ(g, g->ask.path, offsetof(struct msg_staged, digest));
    if (s == RH_OK)
        s = differ(g, g->ask.vocab, offsetof(struct msg_staged, vocab_digest));
    uint64_t rows = 0;
    for (uint32_t i = 0; i < g->c->shards; i++)
        rows += g->at[i].rows;
    if (s == RH_OK && rows != g->at[0].matched)
        s = err_set(RH_EPROTO, "%s: %s: the shards have %" PRIu64 " of its %" PRIu64 " rows", what,
                    g->ask.path, rows, g->at[0].matched);
    return s;
}

static rh_status write_rows(const struct reading *g) {
    rh_op *op;
    rh_status s = op_new(g->c, what, &op);
    if (s != RH_OK)
        return s;
    uint8_t room[32];
    struct buf b;
    buf_wrap(&b, room, sizeof room);
    msg_put_load(&b, &(struct msg_load){.table = g->ask.table,
                                        .load = g->ask.load,
                                        .digest = g->at[0].digest,
                                        .vocab_digest = g->at[0].vocab_digest});
    for (uint32_t i = 0; s == RH_OK && i < g->c->shards; i++)
        s = op_ask(op, i, WIRE_LOAD, &b, 0);
    if (s != RH_OK) {
        op_free(op);
        return s;
    }
    return op_run(op);
}

static void report_of(const struct msg_staged *m, struct vecload_report *out) {
    *out = (struct vecload_report){.matched = m->matched,
                                   .missed = m->missed,
                                   .duplicated = m->duplicated,
                                   .unused = m->unused,
                                   .format = (enum vec_format)m->format};
    memcpy(out->about, m->about, sizeof out->about);
    memcpy(out->first_matched, m->first_matched, sizeof out->first_matched);
    memcpy(out->first_missed, m->first_missed, sizeof out->first_missed);
    memcpy(out->first_duplicated, m->first_duplicated, sizeof out->first_duplicated);
}

/* ---- one after the other ---- */

/* A shard reads one file at a time for a worker, so that threads take turns: as long as the one
 * whose turn it is gets on, each of its steps within its deadline. */
static rh_status take_turn(rh_client *c, uint32_t *load) {
    rh_status s = client_enter(c);
    if (s != RH_OK)
        return s;
    uint64_t seen;
    bool free;
    do {
        seen = c->load_steps;
        free = client_wait_turn(c, &c->loading, client_deadline(c, -1));
    } while (!free && c->failed == RH_OK && seen != c->load_steps);
    if (!free)
        return client_leave(
            c,
            c->failed != RH_OK
                ? client_failed(c)
                : err_set(RH_ETIMEDOUT, "%s: another thread loads a file, and gets nowhere", what));
    c->loading = true;
    *load = ++c->loads;
    return client_leave(c, RH_OK);
}

static void end_turn(rh_client *c) {
    pthread_mutex_lock(&c->lock);
    c->loading = false;
    c->news = true;
    (void)client_leave(c, RH_OK);
}

static rh_status take_string(const char *name, const char *in, char out[WIRE_STR_MAX + 1]) {
    size_t len = in == NULL ? 0 : strlen(in);
    if ((in != NULL && len == 0) || len > WIRE_STR_MAX)
        return err_set(RH_EINVAL, "%s: a %s of %zu bytes; it has 1 to %d", what, name, len,
                       WIRE_STR_MAX);
    memcpy(out, len > 0 ? in : "", len + 1);
    return RH_OK;
}

static rh_status begin(struct reading *g, rh_table *t, const char *path, const rh_load_options *o) {
    rh_client *c = t->c;
    if (c->observer)
        return err_set(RH_EINVAL, "%s: an observer may look at table %s, not change it", what,
                       t->name);
    *g = (struct reading){.c = c};
    g->ask.format = o->format;
    rh_status s = take_string("path", path, g->ask.path);
    if (s == RH_OK)
        s = take_string("tensor", o->tensor, g->ask.tensor);
    if (s == RH_OK)
        s = take_string("vocab", o->vocab, g->ask.vocab);
    if (s != RH_OK)
        return s;
    g->at = calloc(c->shards, sizeof *g->at);
    return g->at != NULL ? RH_OK : err_set(RH_ENOMEM, "%s: no memory", what);
}

rh_status load_by_shards(rh_table *t, const char *path, const rh_load_options *o,
                         struct vecload_report *report) {
    struct reading g;
    rh_status s = begin(&g, t, path, o);
    if (s != RH_OK)
        return s;
    s = take_turn(g.c, &g.ask.load);
    if (s != RH_OK) {
        free(g.at);
        return s;
    }
    s = tables_check(t, what);
    g.ask.table = t->number;
    if (s == RH_OK)
        s = read_all(&g, o);
    if (s == RH_OK)
        s = compare(&g);
    if (s == RH_OK) {
        s = write_rows(&g);
    } else {
        char text[ERR_TEXT_MAX];
        snprintf(text, sizeof text, "%s", err_text());
        forget(&g);
        err_set(s, "%s", text);
    }
    end_turn(g.c);
    if (s == RH_OK)
        report_of(&g.at[0], report);
    free(g.at);
    return s;
}
