/* cuts_attempt.c - the life of one attempt at a checkpoint on one shard: it gathers marks, cuts, has its
 * file written elsewhere, is committed, or given up. See cuts.c. */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/err.h"
#include "common/failpoint.h"
#include "ps/ckpt_folder.h"
#include "ps/ckpt_shard.h"
#include "ps/cuts_inner.h"

enum {
    CUTS_GRACE_MS = 2000, /* other shards wait so much longer for marks than the lead */
    CUTS_SILENT_MS = 3000 /* a worker that owes a mark, and three beats: it is dead, or cut off */
};

/* The files of one attempt. While its task runs nobody else looks into it. */
struct cut_work {
    struct shard_task task; /* first: it is handed back */
    struct ckpt_io *io;
    char name[CKPT_NAME_MAX + 1];
    uint32_t generation;
    bool lead, started;
    struct ckpt_fd folder;
    struct ckpt_cut *cut;          /* what is to be written; then NULL, and ... */
    struct ckpt_manifest manifest; /* ... this is to be committed */
    struct ckpt_file file;
    rh_status status;
    char text[256];
};

static bool is_running(const struct cut_work *k) {
    return k != NULL && k->started && !atomic_load(&k->task.done);
}

/* ---- files ---- */

static void keep_failure(struct cut_work *k, rh_status st) {
    k->status = st;
    snprintf(k->text, sizeof k->text, "%s", st == RH_OK ? "" : err_text());
}

static void write_file(struct shard_task *t) {
    struct cut_work *k = (struct cut_work *)t;
    keep_failure(k, ckpt_cut_write(k->cut, &k->folder, k->generation, &k->file));
}

static void commit(struct shard_task *t) {
    struct cut_work *k = (struct cut_work *)t;
    keep_failure(k, ckpt_commit(k->io, k->name, &k->folder, &k->manifest));
}

static void start(struct shard *s, struct cut_work *k, void (*run)(struct shard_task *t)) {
    k->started = true;
    k->task.run = run;
    shard_give(s, &k->task);
}

/* It does not run. An attempt that is not whole leaves nothing behind. */
static void work_free(struct cut_work **out) {
    struct cut_work *k = *out;
    if (k == NULL)
        return;
    ckpt_cut_free(&k->cut);
    if (k->folder.fd >= 0 && k->lead)
        ckpt_abandon(k->io, k->name, &k->folder);
    else
        ckpt_drop(&k->folder);
    ckpt_manifest_fini(&k->manifest);
    free(k);
    *out = NULL;
}

rh_status cut_work_new(struct shard *s, const char *name, struct cut_work **out) {
    struct cut_work *k = calloc(1, sizeof *k);
    if (k == NULL)
        return err_set(RH_ENOMEM, "no memory for a checkpoint");
    k->io = s->cfg.ckpt;
    k->lead = cut_is_lead(s);
    k->folder.fd = -2;
    snprintf(k->name, sizeof k->name, "%s", name);
    rh_status st =
        k->lead ? ckpt_begin(k->io, name, &k->folder) : ckpt_join(k->io, name, &k->folder);
    if (st != RH_OK) {
        k->lead = false; /* there is nothing of ours to remove */
        work_free(&k);
        if (st != RH_ENOTFOUND)
            return st;
        return err_set(RH_EINVAL,
                       "shard %" PRIu32 " does not find in %s what shard 0 has begun there: all "
                       "servers must have the same folder as --checkpoint-dir, also on other hosts",
                       s->cfg.shard, s->cfg.ckpt->root);
    }
    *out = k;
    return RH_OK;
}

/* ---- the life of an attempt ---- */

void cut_begin(struct shard *s, uint32_t generation, const char *name) {
    struct cut *c = &s->cut;
    c->generation = generation;
    c->phase = MSG_GATHERING;
    c->began_ms = c->asked_ms = s->now_ms;
    c->status = RH_OK;
    c->text[0] = '\0';
    c->written = (struct msg_written){0};
    snprintf(c->name, sizeof c->name, "%s", name);
    FAILPOINT("cut.begin");
}

void cut_give_up(struct shard *s, rh_status status) {
    struct cut *c = &s->cut;
    bool held = c->phase == MSG_GATHERING;
    c->phase = MSG_GIVEN_UP;
    c->status = status;
    snprintf(c->text, sizeof c->text, "%s", err_text());
    ckpt_manifest_fini(&c->manifest);
    if (is_running(c->work)) {
        work_free(&c->left); /* that was over when this one was started */
        c->left = c->work;
        c->work = NULL;
    } else {
        work_free(&c->work);
    }
    if (held)
        ops_resume(s);
}

/* Under bsp no clock closes before the whole world has come; where nobody is, none is open. */
uint32_t cuts_missing(const struct shard *s) {
    const bool all = s->mode == MODE_BSP && lead_anybody_here(s);
    const uint32_t ranks = all ? s->world : s->n_sessions;
    for (uint32_t rank = 0; rank < ranks; rank++) {
        const struct session *w = shard_session(s, rank);
        const bool came = w != NULL && w->state != SESSION_NEVER;
        if (came ? w->state == SESSION_HERE && w->marked != s->cut.generation : all)
            return rank;
    }
    return WIRE_NOBODY;
}

bool cuts_hold(const struct shard *s, const struct session *w) {
    return s->cut.phase == MSG_GATHERING && w->marked == s->cut.generation;
}

static void begin_file(struct shard *s) {
    struct cut *c = &s->cut;
    c->work->generation = c->generation;
    c->work->task.yields = true; /* training goes before it */
    start(s, c->work, write_file);
    cuts_turn(s);
}

/* Everybody has marked, and nothing behind the marks was taken: this is the moment. */
static rh_status cut_now(struct shard *s, struct ckpt_cut **out) {
    struct cut *c = &s->cut;
    rh_status st = ckpt_shard_manifest(s, &c->manifest);
    if (st == RH_OK)
        st = ckpt_manifest_agreed(&c->manifest, &c->written.agreed);
    for (uint32_t i = 0; st == RH_OK && i < c->manifest.n_workers; i++) {
        struct ckpt_worker *to = &c->manifest.workers[i];
        struct cursor copy = {0};
        const struct cursor *is = &shard_session(s, to->rank)->cursor;
        st = cursor_set(&copy, is->p, is->len);
        to->cursor = copy.p;
        to->cursor_len = copy.len;
    }
    return st == RH_OK ? ckpt_cut_take(s, out) : st;
}

void cuts_try(struct shard *s) {
    struct cut *c = &s->cut;
    if (c->phase != MSG_GATHERING || c->name[0] == '\0' || c->left != NULL || restores_in_hand(s) ||
        cuts_missing(s) != WIRE_NOBODY)
        return;
    struct ckpt_cut *cut = NULL;
    rh_status st = c->work == NULL ? cut_work_new(s, c->name, &c->work) : RH_OK;
    if (st == RH_OK)
        st = FAILPOINT_STATUS("cut.before");
    if (st == RH_OK)
        st = notes_begin(s, true, c->name, c->generation);
    if (st == RH_OK)
        st = cut_now(s, &cut);
    FAILPOINT("cut.after");
    if (st != RH_OK) {
        cut_give_up(s, st);
        return;
    }
    c->work->cut = cut;
    c->phase = MSG_WRITING;
    begin_file(s);
    ops_resume(s);
}

bool cut_is_committing(const struct cut *c) {
    return c->work->started;
}

void cut_commit(struct shard *s) {
    struct cut *c = &s->cut;
    c->work->manifest = c->manifest;
    c->manifest = (struct ckpt_manifest){0};
    c->work->task.yields = false; /* there is little left to do */
    start(s, c->work, commit);
    cuts_turn(s);
}

uint64_t cut_done_bytes(const struct cut *c) {
    return c->work->cut != NULL ? ckpt_cut_done_bytes(c->work->cut) : 0;
}

static void written(struct shard *s) {
    struct cut *c = &s->cut;
    struct cut_work *k = c->work;
    FAILPOINT("written.before");
    ckpt_cut_free(&k->cut);
    k->started = false;
    c->written.bytes = k->file.bytes;
    c->written.rows = k->file.rows;
    c->written.sum = k->file.sum;
    c->phase = MSG_WRITTEN;
}

/* The cursors of the checkpoint are what CURSOR tells from now on. */
static void committed(struct shard *s) {
    struct cut *c = &s->cut;
    struct ckpt_manifest *m = &c->work->manifest;
    FAILPOINT("committed.before");
    for (uint32_t i = 0; i < m->n_workers; i++) {
        struct session *w = shard_session(s, m->workers[i].rank);
        free(w->saved.p);
        w->saved = (struct cursor){m->workers[i].cursor, m->workers[i].cursor_len};
        m->workers[i].cursor = NULL;
        m->workers[i].cursor_len = 0;
    }
    snprintf(s->saved_name, sizeof s->saved_name, "%s", c->name);
    s->saved_generation = c->generation;
    s->saved_clock = m->clock;
    c->phase = MSG_COMMITTED;
    work_free(&c->work);
    FAILPOINT("committed.after");
}

static void reap(struct shard *s) {
    struct cut *c = &s->cut;
    struct cut_work *k = c->work;
    if (k->status != RH_OK)
        cut_give_up(s, err_set(k->status, "%s", k->text));
    else if (k->cut != NULL)
        written(s);
    else
        committed(s);
}

uint32_t cut_silent(const struct shard *s) {
    for (uint32_t rank = 0; rank < s->n_sessions; rank++) {
        const struct session *w = s->sessions[rank];
        if (w != NULL && w->state == SESSION_HERE && w->marked != s->cut.generation &&
            s->now_ms - w->heard_ms > CUTS_SILENT_MS)
            return rank;
    }
    return WIRE_NOBODY;
}

static rh_status late(const struct shard *s, uint32_t rank) {
    const struct session *w = shard_session(s, rank);
    double waited = (double)(s->now_ms - s->cut.began_ms) / 1000;
    if (rank == WIRE_NOBODY)
        return err_set(RH_ETIMEDOUT, "nobody has asked shard %" PRIu32 " for it in %.1f s",
                       s->cfg.shard, waited);
    if (w == NULL || w->state == SESSION_NEVER)
        return err_set(RH_ETIMEDOUT, "worker %" PRIu32 " has not come in %.1f s", rank, waited);
    return err_set(RH_ETIMEDOUT,
                   "worker %" PRIu32 " has not come to the end of a clock in %.1f s (last heard of "
                   "%.1f s ago)",
                   rank, waited, (double)(s->now_ms - w->heard_ms) / 1000);
}

void cuts_turn(struct shard *s) {
    struct cut *c = &s->cut;
    if (c->left != NULL && !is_running(c->left))
        work_free(&c->left);
    if (c->work != NULL && c->work->started && !is_running(c->work))
        reap(s);
    int64_t patience_ms = s->cfg.cut_timeout_ms + (cut_is_lead(s) ? 0 : CUTS_GRACE_MS);
    if (c->phase == MSG_GATHERING && cut_silent(s) != WIRE_NOBODY)
        cut_give_up(s, late(s, cut_silent(s)));
    else if (c->phase == MSG_GATHERING && s->now_ms - c->began_ms > patience_ms)
        cut_give_up(s, late(s, cuts_missing(s)));
}

void cuts_tell(const struct shard *s, struct msg_in_hand *out) {
    const struct cut *c = &s->cut;
    if (!cut_in_hand(c))
        return;
    out->saving = c->phase;
    out->generation = c->generation;
    out->waiting_for = c->phase == MSG_GATHERING ? cuts_missing(s) : WIRE_NOBODY;
    out->saving_ms = (uint64_t)(s->now_ms - c->began_ms);
    memcpy(out->saving_name, c->name, sizeof out->saving_name);
}

bool cuts_stop(struct shard *s) {
    if (cut_in_hand(&s->cut))
        cut_give_up(s, err_set(RH_EFENCED, "a checkpoint is being restored"));
    return s->cut.left == NULL;
}

void cuts_fini(struct shard *s) {
    struct cut *c = &s->cut;
    work_free(&c->left);
    work_free(&c->work);
    ckpt_manifest_fini(&c->manifest);
}
