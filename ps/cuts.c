/* cuts.c - checkpoints of the running job. Every worker marks its position; ops behind a mark wait until
 * all have marked; then the shard is at the cut, what its file will have is settled, and training goes
 * on while the file is written elsewhere. Shard 0 begins, names, commits; who wants the checkpoint asks
 * every shard, again and again, and carries the word between them. PROTOCOL.md, section 3. */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/err.h"
#include "ps/ckpt_folder.h"
#include "ps/ckpt_shard.h"
#include "ps/shard_inner.h"

enum {
    CUTS_GRACE_MS = 2000,   /* other shards wait so much longer for marks than the lead */
    CUTS_SILENT_MS = 3000,  /* a worker that owes a mark, and three beats: it is dead, or cut off */
    CUTS_UNWANTED_MS = 3000 /* nobody has asked for so long: another may begin */
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

static bool is_lead(const struct shard *s) {
    return s->cfg.shard == 0;
}

static bool in_hand(const struct cut *c) {
    return c->phase == MSG_GATHERING || c->phase == MSG_WRITING || c->phase == MSG_WRITTEN;
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

static rh_status work_new(struct shard *s, const char *name, struct cut_work **out) {
    struct cut_work *k = calloc(1, sizeof *k);
    if (k == NULL)
        return err_set(RH_ENOMEM, "no memory for a checkpoint");
    k->io = s->cfg.ckpt;
    k->lead = is_lead(s);
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

static void begin(struct shard *s, uint32_t generation, const char *name) {
    struct cut *c = &s->cut;
    c->generation = generation;
    c->phase = MSG_GATHERING;
    c->began_ms = c->asked_ms = s->now_ms;
    c->status = RH_OK;
    c->text[0] = '\0';
    c->written = (struct msg_written){0};
    snprintf(c->name, sizeof c->name, "%s", name);
}

/* Training goes on; err_text says why. */
static void give_up(struct shard *s, rh_status status) {
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
    rh_status st = c->work == NULL ? work_new(s, c->name, &c->work) : RH_OK;
    if (st == RH_OK)
        st = cut_now(s, &cut);
    if (st != RH_OK) {
        give_up(s, st);
        return;
    }
    c->work->cut = cut;
    c->phase = MSG_WRITING;
    begin_file(s);
    ops_resume(s);
}

static void written(struct shard *s) {
    struct cut *c = &s->cut;
    struct cut_work *k = c->work;
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
}

static void reap(struct shard *s) {
    struct cut *c = &s->cut;
    struct cut_work *k = c->work;
    if (k->status != RH_OK)
        give_up(s, err_set(k->status, "%s", k->text));
    else if (k->cut != NULL)
        written(s);
    else
        committed(s);
}

/* A worker that is here and has not marked, and of which nothing is heard; or WIRE_NOBODY. */
static uint32_t silent(const struct shard *s) {
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
    int64_t patience_ms = s->cfg.cut_timeout_ms + (is_lead(s) ? 0 : CUTS_GRACE_MS);
    if (c->phase == MSG_GATHERING && silent(s) != WIRE_NOBODY)
        give_up(s, late(s, silent(s)));
    else if (c->phase == MSG_GATHERING && s->now_ms - c->began_ms > patience_ms)
        give_up(s, late(s, cuts_missing(s)));
}

bool cuts_stop(struct shard *s) {
    if (in_hand(&s->cut))
        give_up(s, err_set(RH_EFENCED, "a checkpoint is being restored"));
    return s->cut.left == NULL;
}

void cuts_fini(struct shard *s) {
    struct cut *c = &s->cut;
    work_free(&c->left);
    work_free(&c->work);
    ckpt_manifest_fini(&c->manifest);
}

/* ---- marks ---- */

/* It waits at a barrier, and has done nothing since its last clock ended: so it may mark there. Under
 * bsp its clock is hardly the one that all mark in. */
static bool marks_at_barrier(const struct shard *s, const struct session *w) {
    const struct head *h = &w->barrier_asked;
    return s->mode != MODE_BSP && h->kind != 0 &&
           (h->prev.call == WIRE_CALL_END || opnum_cmp(h->prev, (struct opnum){0}) == 0);
}

/* It waits at a barrier, and will not mark. */
static bool is_stuck(const struct shard *s, const struct session *w) {
    return w->barrier_asked.kind != 0 && !marks_at_barrier(s, w);
}

uint32_t cuts_wanted(const struct shard *s, const struct session *w, const struct head *h) {
    const struct cut *c = &s->cut;
    if (!is_lead(s) || c->phase != MSG_GATHERING || w->marked == c->generation)
        return 0;
    bool now = h->kind == WIRE_TICK ? s->mode != MODE_BSP || (uint64_t)h->num.clock + 1 == c->clock
                                    : h->kind == WIRE_BEAT && marks_at_barrier(s, w);
    return now ? c->generation : 0;
}

void cuts_mark(struct shard *s, struct session *w, uint32_t generation) {
    struct cut *c = &s->cut;
    if (generation == 0)
        return; /* it had something to say of its cursor */
    w->marked = generation;
    if (is_lead(s) || s->cfg.ckpt == NULL || generation <= c->generation)
        return;
    if (in_hand(c))
        give_up(s, err_set(RH_EFENCED, "another checkpoint was begun"));
    begin(s, generation, "");
}

void cuts_barrier(struct shard *s, const struct session *w) {
    if (s->cut.phase == MSG_GATHERING && w->marked != s->cut.generation && is_stuck(s, w))
        give_up(s, err_set(RH_ETIMEDOUT, "worker %" PRIu32 " waits at a barrier", w->rank));
}

/* ---- those who want it ---- */

static void say(struct shard *s, uint32_t peer, const struct head *h, struct msg_saving m) {
    struct buf b;
    buf_init(&b, sizeof m);
    msg_put_saving(&b, &m);
    shard_answer(s, peer, h, WIRE_SAVING, &b);
    buf_fini(&b);
}

static void say_how_far(struct shard *s, uint32_t peer, const struct head *h) {
    const struct cut *c = &s->cut;
    struct msg_saving m = {.generation = c->generation,
                           .phase = c->phase,
                           .waiting_for = WIRE_NOBODY,
                           .status = c->phase == MSG_GIVEN_UP ? c->status : RH_OK};
    if (c->phase == MSG_GATHERING)
        m.waiting_for = cuts_missing(s);
    if (c->phase == MSG_WRITING && c->work->cut != NULL)
        m.done_bytes = ckpt_cut_done_bytes(c->work->cut);
    if (c->phase == MSG_WRITTEN || c->phase == MSG_COMMITTED)
        m.written = c->written;
    if (c->phase == MSG_GIVEN_UP)
        snprintf(m.text, sizeof m.text, "%s", c->text);
    say(s, peer, h, m);
}

static void say_busy(struct shard *s, uint32_t peer, const struct head *h, uint32_t waiting_for) {
    say(s, peer, h,
        (struct msg_saving){
            .generation = s->cut.generation, .phase = MSG_BUSY, .waiting_for = waiting_for});
}

/* How far that one is; name NULL: whatever it is called. Of the newest that was committed the lead knows it
 * still when it is about another: who has asked for it may be slow to hear of it. */
static void say_of(struct shard *s, uint32_t peer, const struct head *h, uint32_t generation,
                   const char *name) {
    if (generation == s->cut.generation)
        say_how_far(s, peer, h);
    else if (is_lead(s) && generation == s->saved_generation &&
             (name == NULL || strcmp(name, s->saved_name) == 0))
        say(s, peer, h,
            (struct msg_saving){
                .generation = generation, .phase = MSG_COMMITTED, .waiting_for = WIRE_NOBODY});
    else
        say_busy(s, peer, h, WIRE_NOBODY);
}

/* A worker that will not mark, or WIRE_NOBODY. The others are not held for its sake. */
static uint32_t stuck(const struct shard *s) {
    for (uint32_t rank = 0; rank < s->n_sessions; rank++)
        if (s->sessions[rank] != NULL && s->sessions[rank]->state == SESSION_HERE &&
            is_stuck(s, s->sessions[rank]))
            return rank;
    return silent(s);
}

static rh_status next_generation(struct shard *s, uint32_t *out) {
    struct cut *c = &s->cut;
    if (c->next == 0) {
        rh_status st = ckpt_newest(s->cfg.ckpt, NULL, &c->next);
        if (c->next == 0)
            return st;
    }
    if (c->next > UINT32_MAX)
        return err_set(RH_ELIMIT,
                       "%s has a checkpoint of generation %" PRIu64 ": there is none behind",
                       s->cfg.ckpt->root, c->next - 1);
    *out = (uint32_t)c->next++;
    return RH_OK;
}

/* Under bsp: the clock that all workers stand at. w NULL: an observer. */
static rh_status choose_clock(const struct shard *s, const struct session *w, const struct head *h,
                              uint32_t *out) {
    uint64_t furthest = 0;
    uint32_t rank = 0;
    for (uint32_t i = 0; i < s->n_sessions; i++) {
        const struct session *is = s->sessions[i];
        if (is != NULL && is->state == SESSION_HERE && is->ended > furthest) {
            furthest = is->ended;
            rank = i;
        }
    }
    if (w != NULL && furthest > h->num.clock)
        return err_set(RH_EINVAL,
                       "worker %" PRIu32 " saves in clock %" PRIu32 ", but worker %" PRIu32
                       " is in clock %" PRIu64
                       " already: under bsp all workers save after the same rh_tick",
                       w->rank, h->num.clock, rank, furthest);
    *out = w != NULL ? h->num.clock : (uint32_t)furthest + 1;
    return RH_OK;
}

static rh_status lead_begin(struct shard *s, const struct session *w, uint32_t peer,
                            const struct head *h, const char *name) {
    struct cut *c = &s->cut;
    uint32_t clock = 0, generation = 0;
    rh_status st = s->mode == MODE_BSP ? choose_clock(s, w, h, &clock) : RH_OK;
    if (st == RH_OK)
        st = ckpt_check_name(name);
    if (st == RH_OK)
        st = next_generation(s, &generation);
    struct cut_work *k = NULL;
    if (st == RH_OK)
        st = work_new(s, name, &k);
    if (st != RH_OK)
        return st;
    begin(s, generation, name);
    c->clock = clock;
    c->work = k;
    c->asker = *h;
    c->asker_peer = peer;
    return RH_OK;
}

/* Has what is in hand all that was acked until now? Not once it is cut: what was pushed since then is
 * missing there. But its asker may not have heard the answer, and ask again. */
static bool is_wanted(const struct cut *c, uint32_t peer, const struct head *h, const char *name) {
    const bool again = peer == c->asker_peer && h->worker == c->asker.worker &&
                       opnum_cmp(h->num, c->asker.num) == 0;
    return (c->phase == MSG_GATHERING || (in_hand(c) && again)) && strcmp(c->name, name) == 0;
}

/* Under bsp a worker that saves ends no clock before that is done: what an observer has begun for a later
 * clock would wait in vain. */
static bool is_in_the_way(const struct shard *s, const struct session *w, const struct head *h) {
    const struct cut *c = &s->cut;
    return s->mode == MODE_BSP && w != NULL && c->phase == MSG_GATHERING &&
           c->asker.worker == WIRE_OBSERVER && h->num.clock < c->clock;
}

/* Somebody wants a checkpoint, of whatever generation. */
static void wanted(struct shard *s, struct session *w, uint32_t peer, const struct head *h,
                   const char *name) {
    struct cut *c = &s->cut;
    if (is_in_the_way(s, w, h))
        give_up(s, err_set(RH_EFENCED, "worker %" PRIu32 " saves in clock %" PRIu32 ", before it",
                           w->rank, h->num.clock));
    const bool same = is_wanted(c, peer, h, name);
    if (in_hand(c) && !same && s->now_ms - c->asked_ms > CUTS_UNWANTED_MS)
        give_up(s, err_set(RH_EFENCED, "nobody has asked for it for %d s, and another is wanted",
                           CUTS_UNWANTED_MS / 1000));
    if (c->left != NULL || restores_in_hand(s) || (in_hand(c) && !same)) {
        say_busy(s, peer, h, c->phase == MSG_GATHERING ? cuts_missing(s) : WIRE_NOBODY);
        return;
    }
    if (!same && stuck(s) != WIRE_NOBODY) {
        say_busy(s, peer, h, stuck(s));
        return;
    }
    rh_status st = same ? RH_OK : lead_begin(s, w, peer, h, name);
    if (st == RH_OK && same && w != NULL && s->mode == MODE_BSP && h->num.clock != c->clock)
        st = err_set(RH_EINVAL,
                     "worker %" PRIu32 " saves in clock %" PRIu32 ", and another in clock %" PRIu32
                     ": under bsp all workers save after the same rh_tick",
                     w->rank, h->num.clock, c->clock);
    if (st != RH_OK) {
        shard_refuse(s, peer, h, st);
        return;
    }
    c->asked_ms = s->now_ms;
    cuts_try(s);
    say_how_far(s, peer, h);
}

/* How far is that one? */
static void asked(struct shard *s, uint32_t peer, const struct head *h, const struct msg_save *m) {
    struct cut *c = &s->cut;
    if (m->generation > c->generation && !is_lead(s)) {
        if (in_hand(c))
            give_up(s, err_set(RH_EFENCED, "another checkpoint was begun"));
        begin(s, m->generation, m->name);
    }
    if (m->generation != c->generation) {
        say_of(s, peer, h, m->generation, m->name);
        return;
    }
    if (c->name[0] != '\0' && strcmp(c->name, m->name) != 0) {
        say_busy(s, peer, h, WIRE_NOBODY);
        return;
    }
    if (h->flags & WIRE_UNDO && in_hand(c))
        give_up(s, err_set(RH_ETIMEDOUT, "it was given up by who had asked for it"));
    if (c->name[0] == '\0')
        snprintf(c->name, sizeof c->name, "%s", m->name);
    c->asked_ms = s->now_ms;
    cuts_try(s);
    say_how_far(s, peer, h);
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
    if (m->generation == 0 && !is_lead(s))
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
        wanted(s, w, peer, h, m.name);
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
    if (r->bad || !is_lead(s)) {
        shard_refuse(s, peer, h,
                     err_set(RH_EPROTO, "a COMMIT that is not for shard %" PRIu32, s->cfg.shard));
        return;
    }
    if (m.generation == c->generation && c->phase == MSG_WRITTEN && !c->work->started) {
        rh_status st = take_files(s, &m, r);
        if (st == RH_OK) {
            c->manifest.generation = c->generation;
            c->manifest.saved_unix_ms = (uint64_t)(s->cfg.unix_ms + s->now_ms);
            c->work->manifest = c->manifest;
            c->manifest = (struct ckpt_manifest){0};
            c->work->task.yields = false; /* there is little left to do */
            start(s, c->work, commit);
            cuts_turn(s);
        } else {
            give_up(s, st);
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
