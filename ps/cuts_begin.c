/* cuts_begin.c - somebody wants a checkpoint, of whatever generation: the lead begins one, lets the asker
 * join that which is in hand, or says that it cannot be now. See cuts.c. */
#include <inttypes.h>
#include <string.h>

#include "common/err.h"
#include "ps/ckpt_folder.h"
#include "ps/cuts_inner.h"

enum { CUTS_UNWANTED_MS = 3000 /* nobody has asked for so long: another may begin */ };

/* A worker that will not mark, or WIRE_NOBODY. The others are not held for its sake. */
static uint32_t stuck(const struct shard *s) {
    for (uint32_t rank = 0; rank < s->n_sessions; rank++)
        if (s->sessions[rank] != NULL && s->sessions[rank]->state == SESSION_HERE &&
            cuts_is_stuck(s, s->sessions[rank]))
            return rank;
    return cut_silent(s);
}

static rh_status next_generation(struct shard *s, uint32_t *out) {
    struct cut *c = &s->cut;
    if (c->next == 0) {
        rh_status st = ckpt_newest(s->cfg.ckpt, NULL, &c->next);
        if (c->next == 0)
            return st;
    }
    if (c->next <= c->begun) /* by an earlier life: workers have marked it */
        c->next = (uint64_t)c->begun + 1;
    if (c->next > UINT32_MAX)
        return err_set(RH_ELIMIT,
                       "%s has a checkpoint of generation %" PRIu64 ": there is none behind",
                       s->cfg.ckpt->root, c->next - 1);
    rh_status st = notes_generation(s, (uint32_t)c->next);
    if (st != RH_OK)
        return st;
    *out = c->begun = (uint32_t)c->next++;
    return RH_OK;
}

/* Under bsp and ssp: the clock that all workers stand at. w NULL: an observer. */
static rh_status choose_clock(const struct shard *s, const struct session *w, const struct head *h,
                              uint32_t *out) {
    uint64_t furthest = 0, left = 0; /* who has left in a clock that is open has ops in it */
    uint32_t rank = 0;
    for (uint32_t i = 0; i < s->n_sessions; i++) {
        const struct session *is = s->sessions[i];
        if (is != NULL && is->state == SESSION_HERE && is->ended > furthest) {
            furthest = is->ended;
            rank = i;
        }
        if (is != NULL && is->state == SESSION_GONE && is->ended > left)
            left = is->ended;
    }
    if (w != NULL && furthest > h->num.clock)
        return err_set(RH_EINVAL,
                       "worker %" PRIu32 " saves in clock %" PRIu32 ", but worker %" PRIu32
                       " is in clock %" PRIu64
                       " already: under bsp and ssp all workers save after the same rh_tick",
                       w->rank, h->num.clock, rank, furthest);
    const uint64_t next = left > furthest ? left : furthest + 1;
    *out = w != NULL ? h->num.clock : (uint32_t)next;
    return RH_OK;
}

static rh_status lead_begin(struct shard *s, const struct session *w, const struct head *h,
                            const char *name) {
    struct cut *c = &s->cut;
    uint32_t clock = 0, generation = 0;
    rh_status st = s->mode != MODE_ASYNC ? choose_clock(s, w, h, &clock) : RH_OK;
    if (st == RH_OK)
        st = ckpt_check_name(name);
    if (st == RH_OK)
        st = next_generation(s, &generation);
    struct cut_work *k = NULL;
    if (st == RH_OK)
        st = cut_work_new(s, name, &k);
    if (st != RH_OK)
        return st;
    cut_begin(s, generation, name);
    c->clock = clock;
    c->work = k;
    c->asker = h->worker;
    return RH_OK;
}

/* ---- tickets ---- */

static const struct save_ticket *find_ticket(const struct cut *c, uint32_t ticket) {
    uint32_t n = c->n_tickets < SHARD_TICKETS ? c->n_tickets : SHARD_TICKETS;
    for (uint32_t i = 0; i < n; i++)
        if (c->tickets[i].ticket == ticket)
            return &c->tickets[i];
    return NULL;
}

static const struct save_ticket *keep_ticket(struct cut *c, struct save_ticket k) {
    struct save_ticket *to = &c->tickets[c->n_tickets++ % SHARD_TICKETS];
    *to = k;
    return to;
}

/* Has what is in hand all that was acked until now? Not once it is cut: what was pushed since then is
 * missing there. */
static bool is_wanted(const struct cut *c, const char *name) {
    return c->phase == MSG_GATHERING && strcmp(c->name, name) == 0;
}

/* Under bsp and ssp a worker that saves ends no clock before that is done: what an observer has begun for a later
 * clock would wait in vain. */
static bool is_in_the_way(const struct shard *s, const struct session *w, const struct head *h) {
    const struct cut *c = &s->cut;
    return s->mode != MODE_ASYNC && w != NULL && c->phase == MSG_GATHERING &&
           c->asker == WIRE_OBSERVER && h->num.clock < c->clock;
}

/* It was answered for good already, or it is to be forgotten: nothing begins. */
static bool is_used(struct shard *s, uint32_t peer, const struct head *h,
                    const struct msg_save *m) {
    struct cut *c = &s->cut;
    const struct save_ticket *k = find_ticket(c, m->ticket);
    if (k == NULL && (h->flags & WIRE_UNDO) == 0)
        return false;
    if (k == NULL)
        k = keep_ticket(
            c, (struct save_ticket){m->ticket, 0, RH_ETIMEDOUT}); /* it has waited enough */
    if (k->generation == 0) {
        shard_refuse(s, peer, h, err_set(k->status, "refused before: %s", status_text(k->status)));
        return true;
    }
    if (k->generation == c->generation)
        c->asked_ms = s->now_ms;
    cuts_say_become(s, peer, h, k->generation);
    return true;
}

void cuts_want(struct shard *s, struct session *w, uint32_t peer, const struct head *h,
               const struct msg_save *m) {
    if (is_used(s, peer, h, m))
        return;
    const char *name = m->name;
    struct cut *c = &s->cut;
    if (is_in_the_way(s, w, h))
        cut_give_up(s,
                    err_set(RH_EFENCED, "worker %" PRIu32 " saves in clock %" PRIu32 ", before it",
                            w->rank, h->num.clock));
    const bool same = is_wanted(c, name);
    if (cut_in_hand(c) && !same && s->now_ms - c->asked_ms > CUTS_UNWANTED_MS)
        cut_give_up(s,
                    err_set(RH_EFENCED, "nobody has asked for it for %d s, and another is wanted",
                            CUTS_UNWANTED_MS / 1000));
    if (c->left != NULL || restores_in_hand(s) || (cut_in_hand(c) && !same)) {
        cuts_say_busy(s, peer, h, c->phase == MSG_GATHERING ? cuts_missing(s) : WIRE_NOBODY);
        return;
    }
    if (!same && stuck(s) != WIRE_NOBODY) {
        cuts_say_busy(s, peer, h, stuck(s));
        return;
    }
    rh_status st = same ? RH_OK : lead_begin(s, w, h, name);
    if (st == RH_OK && same && w != NULL && s->mode != MODE_ASYNC && h->num.clock != c->clock)
        st = err_set(RH_EINVAL,
                     "worker %" PRIu32 " saves in clock %" PRIu32 ", and another in clock %" PRIu32
                     ": under bsp and ssp all workers save after the same rh_tick",
                     w->rank, h->num.clock, c->clock);
    keep_ticket(c, (struct save_ticket){m->ticket, st == RH_OK ? c->generation : 0, st});
    if (st != RH_OK) {
        shard_refuse(s, peer, h, st);
        return;
    }
    c->asked_ms = s->now_ms;
    cuts_try(s);
    cuts_say_how_far(s, peer, h);
}
