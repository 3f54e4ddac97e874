/* silence.c - how long others are kept waiting for a worker of which nothing is heard. The shard acts on
 * frames; who waits sends one every second, so time passes. */
#include <inttypes.h>
#include <stdio.h>

#include "common/err.h"
#include "ps/shard_inner.h"

enum { SILENCE_LOOK_MS = 250 };

/* Since when nothing was heard of a rank. */
static int64_t silent_since(const struct shard *s, uint32_t rank) {
    const struct session *w = shard_session(s, rank);
    return w != NULL && w->state == SESSION_HERE ? w->heard_ms : s->begun_ms;
}

static bool is_lost(const struct shard *s, uint32_t rank) {
    return rank != WIRE_NOBODY && s->now_ms - silent_since(s, rank) > s->cfg.worker_timeout_ms;
}

static rh_status lost(const struct shard *s, uint32_t rank, const char *what) {
    const struct session *w = shard_session(s, rank);
    const bool came = w != NULL && w->state == SESSION_HERE;
    return err_set(RH_EUNREACHABLE,
                   "%s waits for worker %" PRIu32 ", %s %.1f s (--worker-timeout %.0f s): start it "
                   "again as RH_RANK=%" PRIu32 ", then call again",
                   what, rank, came ? "of which nothing was heard for" : "which has not come in",
                   (double)(s->now_ms - silent_since(s, rank)) / 1000,
                   (double)s->cfg.worker_timeout_ms / 1000, rank);
}

static void refuse_pulls(struct shard *s, struct session *w) {
    char what[64];
    for (struct waiting **at = &w->pulls.first; *at != NULL;) {
        uint64_t missing;
        uint32_t rank = clocks_laggard(s, w, (*at)->head.num.clock, &missing);
        if (!is_lost(s, rank)) {
            at = &(*at)->next;
            continue;
        }
        snprintf(what, sizeof what, "the end of clock %" PRIu64, missing);
        struct waiting *p = waiting_remove(&w->pulls, at);
        shard_refuse(s, w->peer, &p->head, lost(s, rank, what));
        waiting_free(p);
    }
}

static void refuse_barrier(struct shard *s, struct session *w) {
    char what[64];
    uint32_t rank = lead_absent(s, w->barrier);
    if (!is_lost(s, rank))
        return;
    struct head asked = w->barrier_asked;
    w->barrier_asked.kind = 0;
    snprintf(what, sizeof what, "barrier %" PRIu32, w->barrier);
    shard_refuse(s, w->peer, &asked, lost(s, rank, what));
}

void silence_turn(struct shard *s) {
    if (s->cfg.worker_timeout_ms == 0 || s->now_ms - s->looked_ms < SILENCE_LOOK_MS)
        return;
    s->looked_ms = s->now_ms;
    for (uint32_t i = 0; i < s->n_sessions; i++) {
        struct session *w = s->sessions[i];
        if (w != NULL)
            refuse_pulls(s, w);
        if (w != NULL && w->barrier_asked.kind != 0)
            refuse_barrier(s, w);
    }
}
