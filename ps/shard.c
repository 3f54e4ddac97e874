/* shard.c - the way in: a frame is checked, its sender is known or refused, and the request goes to
 * the file that answers it. Nothing here waits; what must wait is parked by ops.c, pulls.c or
 * bsp.c. */
#include "ps/shard.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/err.h"
#include "common/failpoint.h"
#include "ps/shard_inner.h"

void shard_config_init(struct shard_config *c) {
    *c = (struct shard_config){.shards = 1,
                               .incarnation = 1,
                               .credit_bytes = 8 << 20,
                               .hold_bytes = 1 << 30,
                               .cut_timeout_ms = 10000};
}

rh_status shard_new(const struct shard_config *c, struct net *net, struct shard **out) {
    struct shard *s = calloc(1, sizeof *s);
    if (s == NULL)
        return err_set(RH_ENOMEM, "no memory for shard %u", c->shard);
    s->cfg = *c;
    s->net = net;
    s->world = c->world;
    s->born_ms = -1;
    if (c->rejoins) {
        s->state = MSG_LOST;
        /* The lead's own, which has risen, is above all that its workers were given before. */
        s->inc_floor = c->shard == 0 ? c->incarnation : 0;
    }
    fold_init(&s->fold);
    s->parts = calloc(WIRE_SECTIONS_MAX, sizeof *s->parts);
    if (s->parts == NULL) {
        shard_free(&s);
        return err_set(RH_ENOMEM, "no memory for shard %u", c->shard);
    }
    *out = s;
    return RH_OK;
}

void shard_empty(struct shard *s) {
    for (uint32_t i = 0; i < s->n_sessions; i++)
        session_free(&s->sessions[i]);
    for (uint32_t i = 0; i < s->n_tables; i++) {
        table_free(&s->tables[i]);
        table_free(&s->dropped[i]);
    }
    free(s->sessions);
    free(s->tables);
    free(s->dropped);
    free(s->steps);
    s->sessions = NULL;
    s->tables = s->dropped = NULL;
    s->steps = NULL;
    s->n_sessions = s->n_tables = 0;
}

void shard_free(struct shard **out) {
    struct shard *s = *out;
    if (s == NULL)
        return;
    restores_fini(s);
    cuts_fini(s);
    shard_empty(s);
    fold_fini(&s->fold);
    free(s->parts);
    free(s);
    *out = NULL;
}

struct table *shard_table(const struct shard *s, uint32_t number) {
    return number >= 1 && number <= s->n_tables ? s->tables[number - 1] : NULL;
}

struct table *shard_dropped(const struct shard *s, uint32_t number) {
    return number >= 1 && number <= s->n_tables ? s->dropped[number - 1] : NULL;
}

uint32_t shard_dim(const struct shard *s, uint32_t number) {
    const struct table *t = shard_table(s, number);
    return (t != NULL ? t : shard_dropped(s, number))->spec.dim;
}

rh_status shard_no_table(const struct shard *s, const char *what, uint32_t number) {
    const struct table *t = shard_dropped(s, number);
    if (t == NULL)
        return err_set(RH_EPROTO, "%s names table %u, which was not opened here", what, number);
    return err_set(RH_ENOTFOUND, "table \"%s\" was dropped by worker %u", t->name, t->dropped_by);
}

struct session *shard_session(const struct shard *s, uint32_t rank) {
    return rank < s->n_sessions ? s->sessions[rank] : NULL;
}

bool shard_finished(const struct shard *s) {
    if (s->cfg.world == 0)
        return false;
    for (uint32_t rank = 0; rank < s->cfg.world; rank++) {
        const struct session *w = shard_session(s, rank);
        if (w == NULL || w->state != SESSION_GONE)
            return false;
    }
    return true;
}

/* ---- answers ---- */

struct head shard_head(const struct shard *s, const struct head *h, uint8_t kind) {
    return (struct head){
        .version = WIRE_VERSION,
        .kind = kind,
        .flags = s->cfg.no_sums ? WIRE_NOSUM : 0,
        .job = s->cfg.job,
        .worker = h->worker,
        .worker_inc = h->worker_inc,
        .server_inc = s->cfg.incarnation,
        .num = h->num,
        .prev.clock = s->freezes,
    };
}

void shard_send(struct shard *s, uint32_t peer, struct frame *f) {
    if (f == NULL)
        return;
    /* A peer that cannot be reached has left, or will ask again. */
    rh_status ignored = s->net->ops->send(s->net, peer, f);
    (void)ignored;
}

void shard_answer(struct shard *s, uint32_t peer, const struct head *h, uint8_t kind,
                  const struct buf *body) {
    struct head a = shard_head(s, h, kind);
    shard_send(s, peer, msg_frame(s->net->pool, &a, body));
}

void shard_refuse(struct shard *s, uint32_t peer, const struct head *h, rh_status status) {
    s->refused++;
    struct head a = shard_head(s, h, WIRE_REFUSE);
    a.server_inc = h->server_inc; /* of whichever life it was asked */
    shard_send(s, peer, msg_refuse(s->net->pool, &a, status, err_text()));
}

void shard_give(struct shard *s, struct shard_task *t) {
    atomic_store(&t->done, false);
    if (s->cfg.start != NULL)
        s->cfg.start(s->cfg.start_arg, t);
    else
        shard_task_run(t);
}

/* ---- hello ---- */

static rh_status check_place(const struct shard *s, const struct msg_hello *m) {
    if (m->shard == s->cfg.shard && m->shards == s->cfg.shards)
        return RH_OK;
    return err_set(
        RH_EMISMATCH,
        "this server is shard %u of %u, but it was called as shard %u of %u: the list of "
        "servers must name every shard once, in shard order",
        s->cfg.shard, s->cfg.shards, m->shard, m->shards);
}

/* w: the session of a worker that was let in; else NULL. */
static void say_welcome(struct shard *s, uint32_t peer, const struct head *h,
                        const struct msg_hello *m, const struct session *w) {
    uint8_t room[64];
    struct buf b;
    bool redone = w != NULL && w->redone && m->life > 0 && !s->cfg.read_only;
    buf_wrap(&b, room, sizeof room);
    msg_put_welcome(&b, &(struct msg_welcome){.shard = s->cfg.shard,
                                              .shards = s->cfg.shards,
                                              .world = s->world,
                                              .clock = (uint32_t)(w != NULL ? w->ended : s->closed),
                                              .mode = s->mode,
                                              .credit_bytes = s->cfg.credit_bytes,
                                              .origin = s->origin,
                                              .state = redone ? MSG_REDONE : s->state});
    struct head a = shard_head(s, h, WIRE_WELCOME);
    a.worker_inc = w != NULL ? w->inc : h->worker_inc;
    shard_send(s, peer, msg_frame(s->net->pool, &a, &b));
}

static void on_hello(struct shard *s, uint32_t peer, const struct head *h, struct rd *r) {
    struct msg_hello m;
    msg_get_hello(r, &m);
    if (!rd_done(r)) {
        s->bad_frames++;
        return;
    }
    FAILPOINT("hello.before");
    rh_status st = check_place(s, &m);
    struct session *w = NULL;
    if (st == RH_OK && !(h->flags & WIRE_LOOK) && s->state == MSG_WHOLE)
        st = lead_admit(s, peer, h, &m, &w);
    if (st != RH_OK)
        shard_refuse(s, peer, h, st);
    else
        say_welcome(s, peer, h, &m, w);
    FAILPOINT("hello.after");
}

/* ---- everything else ---- */

rh_status shard_may(const struct shard *s, uint8_t kind) {
    static const bool changes_nothing[WIRE_REQUESTS_END] = {
        [WIRE_HELLO] = true,  [WIRE_OPEN] = true,  [WIRE_PULL] = true,    [WIRE_TICK] = true,
        [WIRE_BYE] = true,    [WIRE_BEAT] = true,  [WIRE_BARRIER] = true, [WIRE_INFO] = true,
        [WIRE_FROZEN] = true, [WIRE_CURSOR] = true};
    if (!s->cfg.read_only || changes_nothing[kind])
        return RH_OK;
    return err_set(RH_EINVAL, "these servers are read-only (--read-only): %s is refused",
                   wire_kind_name(kind));
}

rh_status shard_check_life(const struct shard *s, const struct head *h) {
    if (h->server_inc == s->cfg.incarnation)
        return RH_OK;
    if (s->cfg.incarnation - h->server_inc <= s->restored.times)
        return s->restored.generation == 0
                   ? err_set(RH_EROLLBACK, "shard %u has begun anew, with the whole job",
                             s->cfg.shard)
                   : err_set(RH_EROLLBACK, "shard %u was restored from checkpoint \"%s\"",
                             s->cfg.shard, s->restored.name);
    return err_set(RH_EROLLBACK, "shard %u was restarted (incarnation %u, not %u)", s->cfg.shard,
                   s->cfg.incarnation, h->server_inc);
}

/* The session that a frame belongs to, or a refusal. */
static rh_status find_session(struct shard *s, const struct head *h, struct session **out) {
    struct session *w = shard_session(s, h->worker);
    /* It was welcomed by a pending lead, without a session; and another client has put that right meanwhile. */
    if (h->worker_inc == 0)
        return err_set(RH_EROLLBACK,
                       "worker %u was welcomed while the job went back, which is done: it must say "
                       "hello again",
                       h->worker);
    if (w == NULL || h->worker_inc > w->inc)
        return err_set(RH_EFENCED, "shard %u does not know worker %u: it must say hello first",
                       s->cfg.shard, h->worker);
    if (h->worker_inc < w->inc)
        return err_set(RH_EFENCED, "a newer client (incarnation %u, not %u) took over as worker %u",
                       w->inc, h->worker_inc, h->worker);
    if (w->state == SESSION_GONE && h->kind != WIRE_BYE)
        return err_set(RH_EFENCED, "worker %u has said goodbye", h->worker);
    *out = w;
    return RH_OK;
}

void shard_say_alive(struct shard *s, uint32_t peer, const struct head *h,
                     const struct msg_alive *m, uint32_t wanted) {
    uint8_t room[32];
    struct buf b;
    buf_wrap(&b, room, sizeof room);
    msg_put_alive(&b, m);
    struct head a = shard_head(s, h, WIRE_ALIVE);
    a.prev.call = wanted;
    shard_send(s, peer, msg_frame(s->net->pool, &a, &b));
}

/* Tells a worker that this shard lives, and whom its oldest request waits for. */
static void on_beat(struct shard *s, struct session *w, const struct head *h) {
    int64_t since_ms;
    struct msg_alive m = {.wait = waits_of(s, w, &since_ms), .taken = w->taken};
    FAILPOINT("beat.before");
    shard_say_alive(s, w->peer, h, &m, cuts_wanted(s, w, h));
}

/* A worker's frame that shows how far it is: its last op has been taken, so it is in the clock that
 * the header says. */
static rh_status note_clock(struct shard *s, struct session *w, const struct head *h,
                            const struct frame *f) {
    if (opnum_cmp(h->prev, w->floor) > 0 || h->num.clock <= w->ended)
        return RH_OK;
    rh_status st = notes_frame(s, f);
    if (st == RH_OK)
        clocks_enter(s, w, h->num.clock);
    return st;
}

static void on_observer(struct shard *s, uint32_t peer, const struct head *h, struct frame *f,
                        struct rd *r) {
    switch (h->kind) {
    case WIRE_PULL:
        pulls_frame(s, NULL, peer, h, f);
        return;
    case WIRE_OPEN:
        ops_find(s, peer, h, f);
        return;
    case WIRE_INFO:
        facts_answer(s, peer, h, rd_u32(r));
        return;
    case WIRE_FREEZE:
    case WIRE_FREEZE_IDS:
        freezing_observed(s, peer, h, f);
        return;
    case WIRE_FROZEN:
        freezing_tell(s, peer, h, rd_u32(r));
        return;
    case WIRE_BEAT:
        shard_say_alive(s, peer, h, &(struct msg_alive){.wait.rank = WIRE_NOBODY}, 0);
        return;
    case WIRE_SAVE:
        cuts_save(s, NULL, peer, h, r);
        return;
    case WIRE_COMMIT:
        cuts_commit(s, peer, h, r);
        return;
    case WIRE_CURSOR:
        cuts_cursor(s, peer, h, r);
        return;
    default:
        shard_refuse(
            s, peer, h,
            err_set(RH_EINVAL, "an observer may look, not change (%s)", wire_kind_name(h->kind)));
    }
}

static void on_worker(struct shard *s, struct session *w, const struct head *h, struct frame *f,
                      struct rd *r) {
    if (wire_is_op(h->kind)) {
        ops_frame(s, w, h, f);
        return;
    }
    rh_status st = note_clock(s, w, h, f);
    if (st != RH_OK) {
        shard_refuse(s, w->peer, h, st);
        return;
    }
    switch (h->kind) {
    case WIRE_PULL:
        pulls_frame(s, w, w->peer, h, f);
        return;
    case WIRE_BARRIER:
        lead_barrier(s, w, h, rd_u32(r));
        return;
    case WIRE_INFO:
        facts_answer(s, w->peer, h, rd_u32(r));
        return;
    case WIRE_FROZEN:
        freezing_tell(s, w->peer, h, rd_u32(r));
        return;
    case WIRE_BEAT:
        on_beat(s, w, h);
        return;
    case WIRE_STAGE:
        loads_stage(s, w, h, f);
        return;
    case WIRE_SAVE:
        cuts_save(s, w, w->peer, h, r);
        return;
    case WIRE_COMMIT:
        cuts_commit(s, w->peer, h, r);
        return;
    case WIRE_CURSOR:
        cuts_cursor(s, w->peer, h, r);
        return;
    default:
        s->bad_frames++;
    }
}

static void on_frame(struct shard *s, uint32_t peer, struct frame *f) {
    struct head h;
    rh_status st = wire_open(f->data, f->len, &h);
    if (st == RH_EVERSION) {
        shard_refuse(s, peer, &h,
                     err_set(RH_EVERSION, "shard %u speaks protocol version %d, the caller %u",
                             s->cfg.shard, WIRE_VERSION, h.version));
        return;
    }
    if (st != RH_OK || h.kind >= WIRE_REQUESTS_END || (h.flags & WIRE_NOSUM && !s->cfg.no_sums)) {
        s->bad_frames++;
        return;
    }
    if (h.job != s->cfg.job) {
        shard_refuse(
            s, peer, &h,
            err_set(RH_EFENCED, "shard %u belongs to another job (see RH_JOB)", s->cfg.shard));
        return;
    }
    cuts_turn(s);
    restores_turn(s);
    silence_turn(s);
    struct rd r;
    rd_init(&r, f->data + WIRE_HEAD, f->len - WIRE_HEAD);
    if (h.kind == WIRE_RESTORE) { /* also where all else is refused */
        restores_frame(s, peer, &h, &r);
        return;
    }
    if (s->broken != RH_OK) {
        shard_refuse(s, peer, &h, err_set(s->broken, "%s", s->broken_text));
        return;
    }
    /* What is no op of a worker; those keep their place in its chain: see take(). */
    if (h.worker == WIRE_OBSERVER || !wire_is_op(h.kind)) {
        st = shard_may(s, h.kind);
        if (st != RH_OK) {
            shard_refuse(s, peer, &h, st);
            return;
        }
    }
    if (h.kind == WIRE_HELLO) {
        on_hello(s, peer, &h, &r);
        return;
    }
    struct session *w = NULL;
    st = shard_check_life(s, &h);
    if (st == RH_OK && s->state != MSG_WHOLE) {
        rejoin_frame(s, peer, &h, &r);
        return;
    }
    if (st == RH_OK && h.worker == WIRE_OBSERVER) {
        on_observer(s, peer, &h, f, &r);
        return;
    }
    if (st == RH_OK)
        st = find_session(s, &h, &w);
    if (st != RH_OK) {
        shard_refuse(s, peer, &h, st);
        return;
    }
    w->peer = peer;
    w->heard_ms = s->now_ms;
    on_worker(s, w, &h, f, &r);
}

void shard_frame(struct shard *s, uint32_t peer, struct frame *f, int64_t now_ms) {
    s->now_ms = now_ms;
    if (s->born_ms < 0)
        s->born_ms = now_ms;
    on_frame(s, peer, f);
    while (s->closed != s->resumed) { /* whatever has closed them */
        s->resumed = s->closed;
        ops_resume(s);
    }
}
