/* journal_net.c - the net that a shard with a journal answers through. Where each op must be on the disk
 * before its ack, answers wait for the next sync, all of them, in order: what a pull shows must not be lost
 * either. While an earlier life is done again nobody is answered. */
#include <stdlib.h>
#include <string.h>

#include "common/err.h"
#include "ps/journal_inner.h"

enum { HELD_ANSWERS = 256, HELD_BYTES = 4 << 20 };

struct held_answer {
    struct held_answer *next;
    uint32_t peer;
    struct frame *frame;
};

static struct journal *journal_of(struct net *n) {
    return (struct journal *)((char *)n - offsetof(struct journal, net));
}

static bool must_wait(const struct journal *j) {
    return j->o.mode == JOURNAL_ALWAYS && j->broken == RH_OK &&
           (j->first != NULL || atomic_load(&j->synced) < j->written);
}

static rh_status answer(struct net *n, uint32_t peer, struct frame *f) {
    struct journal *j = journal_of(n);
    if (j->mute || peer == JOURNAL_NOBODY) {
        frame_unref(f);
        return RH_OK;
    }
    if (!must_wait(j))
        return j->under->ops->send(j->under, peer, f);
    struct held_answer *a = malloc(sizeof *a);
    if (a == NULL) {
        frame_unref(f);
        return err_set(RH_EUNREACHABLE, "no memory to keep an answer");
    }
    *a = (struct held_answer){.peer = peer, .frame = f};
    *j->last = a;
    j->last = &a->next;
    j->n_held++;
    j->held_bytes += f->len;
    return RH_OK;
}

static const struct net_ops answer_ops = {.scheme = "journal", .send = answer};

void journal_net_init(struct journal *j) {
    j->net.ops = &answer_ops;
    j->last = &j->first;
}

/* All that are held: sent, or let go. */
static void release(struct journal *j, bool send) {
    for (struct held_answer *a; (a = j->first) != NULL; free(a)) {
        j->first = a->next;
        rh_status ignored = RH_OK; /* as shard_send: a peer that is gone asks again */
        if (send)
            ignored = j->under->ops->send(j->under, a->peer, a->frame);
        else
            frame_unref(a->frame);
        (void)ignored;
    }
    j->last = &j->first;
    j->n_held = 0;
    j->held_bytes = 0;
}

void journal_net_fini(struct journal *j) {
    release(j, false);
}

struct net *journal_net(struct journal *j, struct net *under) {
    j->under = under;
    j->net.pool = under->pool;
    return &j->net;
}

bool journal_is_full(const struct journal *j) {
    return j->n_held >= HELD_ANSWERS || j->held_bytes >= HELD_BYTES;
}

rh_status journal_flush(struct journal *j, bool *sent) {
    *sent = j->first != NULL;
    if (!*sent)
        return RH_OK;
    rh_status st = journal_sync(j);
    if (st != RH_OK)
        journal_break(j, st);
    release(j, st == RH_OK);
    return st;
}
