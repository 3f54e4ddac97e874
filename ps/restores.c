/* restores.c - a checkpoint into the running shard. Step 0 reads all of it aside, elsewhere than in
 * this thread, into a shard that nobody speaks to; step 1 puts what was read in the place of
 * everything that is here; step 2 tells the lead that all shards are there. So nothing is touched before
 * all of it was found good, and training goes on until then. PROTOCOL.md, section 3.
 *
 * One reading is in hand at a time, and belongs to a ticket. Another ticket gets its turn when that
 * one was given up, has failed, or was not asked for in a while: so of two clients one waits, and one
 * that died is waited for no longer than that. */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/err.h"
#include "common/failpoint.h"
#include "ps/ckpt_folder.h"
#include "ps/ckpt_shard.h"
#include "ps/shard_inner.h"

enum {
    RESTORES_UNWANTED_MS =
        10000, /* nobody has asked for so long: it goes when another is wanted ... */
    RESTORES_FORGOTTEN_MS = 60000 /* ... and by itself */
};

/* While its task runs nobody else looks at what the task fills in. */
struct reading {
    struct shard_task task; /* first: it is handed back */
    struct ckpt_io *io;
    /* "": until it is started the lead's last generation, then the empty job. */
    char name[CKPT_NAME_MAX + 1];
    uint32_t ticket;
    int64_t began_ms, asked_ms;
    bool started, unwanted;
    struct shard *into; /* NULL: not started, or failed */
    uint64_t generation;
    rh_status status;
    char text[256];
};

static bool is_running(const struct reading *k) {
    return k->started && !atomic_load(&k->task.done);
}

static bool has_failed(const struct reading *k) {
    return k->started && !is_running(k) && k->status != RH_OK;
}

static bool is_read(const struct reading *k) {
    return k->started && !is_running(k) && k->status == RH_OK;
}

static bool is_lead(const struct shard *s) {
    return s->cfg.shard == 0;
}

bool restores_in_hand(const struct shard *s) {
    return s->reading != NULL && !has_failed(s->reading);
}

void restores_tell(const struct shard *s, struct msg_in_hand *out) {
    if (!restores_in_hand(s))
        return;
    const struct reading *k = s->reading;
    out->restoring = is_read(k) ? 2 : 1;
    out->restoring_ms = (uint64_t)(s->now_ms - k->began_ms);
    memcpy(out->restoring_name, k->name, sizeof out->restoring_name);
}

/* It does not run. */
static void let_go(struct shard *s) {
    if (s->reading != NULL)
        shard_free(&s->reading->into);
    free(s->reading);
    s->reading = NULL;
}

void restores_fini(struct shard *s) {
    let_go(s);
}

void restores_turn(struct shard *s) {
    const struct reading *k = s->reading;
    if (k != NULL && !is_running(k) &&
        (k->unwanted || s->now_ms - k->asked_ms > RESTORES_FORGOTTEN_MS))
        let_go(s);
}

/* ---- reading ---- */

static void read_aside(struct shard_task *t) {
    struct reading *k = (struct reading *)t;
    struct ckpt_fd folder;
    struct ckpt_manifest m;
    k->status = FAILPOINT_STATUS("aside.before");
    if (k->status == RH_OK)
        k->status = ckpt_open(k->io, k->name, &folder, &m);
    if (k->status == RH_OK) {
        k->status = ckpt_shard_restore(k->into, &folder, &m, k->name);
        k->generation = m.generation;
        ckpt_manifest_fini(&m);
        ckpt_drop(&folder);
    }
    FAILPOINT("aside.after");
    snprintf(k->text, sizeof k->text, "%s", k->status == RH_OK ? "" : err_text());
}

static rh_status begin(struct shard *s, const struct msg_restore *m) {
    struct reading *k = calloc(1, sizeof *k);
    if (k == NULL)
        return err_set(RH_ENOMEM, "no memory to restore a checkpoint");
    k->io = s->cfg.ckpt;
    k->ticket = m->ticket;
    k->began_ms = s->now_ms;
    memcpy(k->name, m->name, sizeof k->name);
    k->task.run = read_aside;
    s->reading = k;
    return RH_OK;
}

/* Once no file of a cut is at work. */
static rh_status start(struct shard *s) {
    struct reading *k = s->reading;
    if (k->started || !cuts_stop(s))
        return RH_OK;
    rh_status st = RH_OK;
    if (is_lead(s) && k->name[0] == '\0')
        st = rejoin_last(s, k->name);
    if (st == RH_OK)
        st = shard_new(&s->cfg, s->net, &k->into);
    if (st != RH_OK)
        return st;
    k->started = true;
    if (k->name[0] != '\0') {
        shard_give(s, &k->task);
        return RH_OK;
    }
    k->into->world = s->world;
    atomic_store(&k->task.done, true);
    return RH_OK;
}

/* ---- answers ---- */

/* Who asks is answered in the life that it has asked. */
static void say(struct shard *s, uint32_t peer, const struct head *h, struct msg_restored *m) {
    uint8_t room[sizeof(struct msg_restored) + 16];
    struct buf b;
    rejoin_tell_gone(s, &m->gone);
    buf_wrap(&b, room, sizeof room);
    msg_put_restored(&b, m);
    struct head a = shard_head(s, h, WIRE_RESTORED);
    a.server_inc = h->server_inc;
    shard_send(s, peer, msg_frame(s->net->pool, &a, &b));
}

/* How far is what is in hand, whoever asks? */
static void say_how_far(struct shard *s, uint32_t peer, const struct head *h) {
    const struct reading *k = s->reading;
    struct msg_restored m = {.ticket = k->ticket, .step = is_read(k)};
    if (k->started) {
        m.done_bytes = atomic_load(&k->into->filled_bytes);
        memcpy(m.name, k->name, sizeof m.name);
    }
    if (is_read(k))
        m.generation = k->generation;
    say(s, peer, h, &m);
}

/* ---- step 0 ---- */

/* True if another ticket may have its place. */
static bool gives_way(const struct shard *s, const struct reading *k) {
    return !is_running(k) && (has_failed(k) || s->now_ms - k->asked_ms > RESTORES_UNWANTED_MS);
}

static void on_read(struct shard *s, uint32_t peer, const struct head *h,
                    const struct msg_restore *m) {
    if (s->reading != NULL && s->reading->ticket != m->ticket && gives_way(s, s->reading))
        let_go(s);
    rh_status st = s->reading == NULL ? begin(s, m) : RH_OK;
    struct reading *k = s->reading;
    if (st == RH_OK && k->ticket == m->ticket) {
        k->asked_ms = s->now_ms;
        st = start(s);
        if (st == RH_OK && has_failed(k))
            st = err_set(k->status, "%s", k->text);
    }
    if (st == RH_OK)
        say_how_far(s, peer, h);
    else
        shard_refuse(s, peer, h, st);
}

static void on_undo(struct shard *s, uint32_t peer, const struct head *h,
                    const struct msg_restore *m) {
    if (s->reading != NULL && s->reading->ticket == m->ticket)
        s->reading->unwanted = true;
    restores_turn(s);
    say(s, peer, h, &(struct msg_restored){.ticket = m->ticket});
}

/* ---- steps 1 and 2 ---- */

/* Everything that a checkpoint has changes hands; what is counted for people goes on. */
static void take(struct shard *s, struct shard *from) {
    shard_empty(s);
    fold_fini(&s->fold);
    fold_init(&s->fold);
    s->mode = from->mode;
    s->world = from->world;
    s->closed = from->closed;
    s->sessions = from->sessions;
    s->n_sessions = from->n_sessions;
    s->tables = from->tables;
    s->dropped = from->dropped;
    s->steps = from->steps;
    s->n_tables = from->n_tables;
    memcpy(s->saved_name, from->saved_name, sizeof s->saved_name);
    s->saved_generation = from->saved_generation;
    s->saved_clock = from->saved_clock;
    s->broken = RH_OK;
    s->freezes++; /* whoever knew what was frozen asks again */
    from->sessions = NULL;
    from->tables = from->dropped = NULL;
    from->steps = NULL;
    from->n_sessions = from->n_tables = 0;
}

/* Incarnations never fall, also of workers that the checkpoint, or the empty job, does not know: other shards may
 * have begun their next life before this one, and know what was given here last. */
static void raise_floor(struct shard *s) {
    /* The others take what the lead has given: a client that comes with a number of just before is none to be
     * fenced off. */
    for (uint32_t i = 0; is_lead(s) && i < s->n_sessions; i++)
        if (s->sessions[i] != NULL && s->sessions[i]->inc > s->inc_floor)
            s->inc_floor = s->sessions[i]->inc;
}

/* Another life: frames of this one are fenced from now on. */
static void put_in_place(struct shard *s) {
    const struct reading *k = s->reading;
    FAILPOINT("replace.before");
    raise_floor(s);
    take(s, k->into);
    for (uint32_t i = 0; i < s->n_sessions; i++)
        if (s->sessions[i] != NULL && s->sessions[i]->inc < s->inc_floor)
            s->sessions[i]->inc = s->inc_floor;
    s->state = is_lead(s) ? MSG_PENDING : MSG_WHOLE;
    s->origin = k->ticket; /* not the checkpoint's: another shard may be at its restore before */
    s->restored.times++;
    s->restored.ticket = k->ticket;
    s->restored.generation = k->generation;
    memcpy(s->restored.name, k->name, sizeof s->restored.name);
    s->cfg.incarnation++;
    if (s->cfg.incarnation == 0)
        s->cfg.incarnation = 1;
    /* One that was brought here since may be newer than all that this shard has begun. */
    if (s->cut.next != 0 && s->cut.next <= k->generation)
        s->cut.next = k->generation + 1;
    let_go(s);
}

static void say_done(struct shard *s, uint32_t peer, const struct head *h) {
    struct msg_restored m = {.ticket = s->restored.ticket,
                             .step = is_lead(s) && s->state == MSG_WHOLE ? 3 : 2,
                             .generation = s->restored.generation};
    memcpy(m.name, s->restored.name, sizeof m.name);
    say(s, peer, h, &m);
}

static void on_place(struct shard *s, uint32_t peer, const struct head *h,
                     const struct msg_restore *m) {
    const struct reading *k = s->reading;
    if (k == NULL || k->ticket != m->ticket || !is_read(k)) {
        shard_refuse(s, peer, h,
                     err_set(RH_EMISMATCH,
                             "checkpoint \"%s\" is not read, or no more: another one is being "
                             "restored, or nobody has asked for this one in %d s",
                             m->name, RESTORES_UNWANTED_MS / 1000));
        return;
    }
    if (!cuts_stop(s)) {
        say_how_far(s, peer, h);
        return;
    }
    rh_status st = lead_succeed(s, k->into);
    if (st == RH_OK)
        st = rejoin_let_go(s, k->into, &m->gone);
    if (st != RH_OK) {
        shard_refuse(s, peer, h, st);
        return;
    }
    put_in_place(s);
    FAILPOINT("replace.after");
    st = notes_begin(s, false, s->restored.name, s->restored.generation);
    if (st == RH_OK)
        say_done(s, peer, h);
    else
        shard_refuse(s, peer, h, st);
}

/* ---- the way in ---- */

static rh_status may_restore(const struct shard *s, const struct head *h,
                             const struct msg_restore *m, bool bad) {
    rh_status st = shard_check_life(s, h);
    if (st == RH_OK)
        st = shard_may(s, h->kind);
    if (st == RH_OK && (bad || m->ticket == 0))
        st = err_set(RH_EPROTO, "a RESTORE cannot be read");
    if (st != RH_OK || m->name[0] == '\0')
        return st;
    st = ckpt_check_name(m->name);
    return st == RH_OK ? cuts_check_folder(s) : st;
}

static rh_status note_whole(struct shard *s, const struct head *h, const struct msg_restore *m) {
    uint8_t room[sizeof *m + 16];
    struct buf b;
    buf_wrap(&b, room, sizeof room);
    msg_put_restore(&b, m);
    return notes_request(s, h, &b);
}

void restores_frame(struct shard *s, uint32_t peer, const struct head *h, struct rd *r) {
    struct msg_restore m;
    msg_get_restore(r, &m);
    bool bad = !rd_done(r);
    /* Who has put it in place may ask again: the answer was lost, and its life is over. */
    if (!bad && s->restored.times > 0 && m.ticket == s->restored.ticket) {
        rh_status st = RH_OK;
        if (m.step == 2 && !(h->flags & WIRE_UNDO) && s->state != MSG_WHOLE) {
            st = note_whole(s, h, &m);
            s->state = st == RH_OK ? MSG_WHOLE : s->state;
        }
        FAILPOINT("replace.told");
        if (st == RH_OK)
            say_done(s, peer, h);
        else
            shard_refuse(s, peer, h, st);
        return;
    }
    rh_status st = may_restore(s, h, &m, bad);
    if (st != RH_OK)
        shard_refuse(s, peer, h, st);
    else if (h->flags & WIRE_UNDO)
        on_undo(s, peer, h, &m);
    else if (m.step == 0)
        on_read(s, peer, h, &m);
    else if (m.step == 1)
        on_place(s, peer, h, &m);
    else
        shard_refuse(s, peer, h,
                     err_set(RH_EMISMATCH, "checkpoint \"%s\" is not in place here", m.name));
}
