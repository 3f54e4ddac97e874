/* why.c - see why.h. */
#include "worker/cmd/why.h"

#include <inttypes.h>
#include <stdio.h>

static double seconds(uint64_t ms) {
    return (double)ms / 1000;
}

static const struct msg_member_facts *member(const struct facts_shard *f, uint32_t rank) {
    for (uint32_t i = 0; i < f->shard.members; i++)
        if (f->members[i].rank == rank)
            return &f->members[i];
    return NULL;
}

int64_t why_silent_ms(const struct facts_shard *at, uint32_t rank) {
    const struct msg_member_facts *m = member(at, rank);
    return m == NULL || m->state == 0 ? -1 : (int64_t)m->silent_ms;
}

/* "worker 0 was last heard of 0.4 s ago" */
static void put_heard(const struct facts_shard *at, uint32_t rank, char *out, size_t cap) {
    const int64_t silent_ms = why_silent_ms(at, rank);
    if (silent_ms < 0)
        snprintf(out, cap, "worker %" PRIu32 " has not come yet", rank);
    else
        snprintf(out, cap, "worker %" PRIu32 " was last heard of %.1f s ago", rank,
                 seconds((uint64_t)silent_ms));
}

/* "worker 0 to end clock 17; worker 0 was last heard of 0.4 s ago" */
static void put_whom(const struct facts_shard *at, const struct msg_wait *w, char *out,
                     size_t cap) {
    char heard[80];
    put_heard(at, w->rank, heard, sizeof heard);
    switch (w->why) {
    case MSG_WAITS_CLOCK:
        snprintf(out, cap, "worker %" PRIu32 " to end clock %" PRIu32 "; %s", w->rank, w->number,
                 heard);
        return;
    case MSG_WAITS_BARRIER:
        snprintf(out, cap, "worker %" PRIu32 " to come to barrier %" PRIu32 "; %s", w->rank,
                 w->number, heard);
        return;
    case MSG_WAITS_OP:
        snprintf(out, cap, "an op of its own, of clock %" PRIu32 " or before, which has not come",
                 w->number);
        return;
    default:
        break;
    }
    if (w->rank == WIRE_NOBODY)
        snprintf(out, cap, "checkpoint %" PRIu32 " to be cut", w->number);
    else
        snprintf(out, cap,
                 "worker %" PRIu32 " to come to the end of a clock, for checkpoint %" PRIu32 "; %s",
                 w->rank, w->number, heard);
}

bool why_waits(const struct facts_shard *shards, uint32_t n, uint32_t rank, struct why *out) {
    char whom[WHY_TEXT - 80];
    *out = (struct why){0};
    for (uint32_t i = 0; i < n; i++) {
        const struct msg_member_facts *m = member(&shards[i], rank);
        if (m == NULL || m->wait.why == MSG_WAITS_NOT ||
            (out->who != NULL && m->wait_ms <= out->who->wait_ms))
            continue;
        out->at = &shards[i];
        out->who = m;
    }
    if (out->who == NULL)
        return false;
    put_whom(out->at, &out->who->wait, whom, sizeof whom);
    snprintf(out->text, sizeof out->text,
             "worker %" PRIu32 " waits (%.1f s) at shard %" PRIu32 " for %s", rank,
             seconds(out->who->wait_ms), out->at->shard.shard, whom);
    return true;
}

void why_saves(const struct facts_shard *f, char out[WHY_TEXT]) {
    const struct msg_in_hand *h = &f->in_hand;
    char how[160] = "its file is being written", heard[80];
    out[0] = '\0';
    if (h->saving == 0)
        return;
    if (h->saving == MSG_WRITTEN)
        snprintf(how, sizeof how, "its file is written");
    if (h->saving == MSG_GATHERING && h->waiting_for == WIRE_NOBODY)
        snprintf(how, sizeof how, "it waits for nobody");
    if (h->saving == MSG_GATHERING && h->waiting_for != WIRE_NOBODY) {
        put_heard(f, h->waiting_for, heard, sizeof heard);
        snprintf(how, sizeof how,
                 "it waits for worker %" PRIu32 " to come to the end of a clock; %s",
                 h->waiting_for, heard);
    }
    snprintf(out, WHY_TEXT, "saves checkpoint \"%s\" (generation %" PRIu32 ") since %.1f s: %s",
             h->saving_name, h->generation, seconds(h->saving_ms), how);
}

void why_restores(const struct facts_shard *f, char out[WHY_TEXT]) {
    const struct msg_in_hand *h = &f->in_hand;
    out[0] = '\0';
    if (h->restoring != 0)
        snprintf(out, WHY_TEXT, "restores checkpoint \"%s\" since %.1f s: %s", h->restoring_name,
                 seconds(h->restoring_ms),
                 h->restoring == 1 ? "it is being read"
                                   : "it is read, and waits to be put in place");
}
