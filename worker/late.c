/* late.c - see late.h. */
#include "worker/late.h"

/* The shard lives, and has said what it waits for itself. */
static rh_status kept_waiting(const struct link *l, const char *what, double waited) {
    const struct msg_wait *w = &l->wait;
    const uint32_t shard = l->cfg.shard;
    const char *at = l->cfg.address;
    if (w->why == MSG_WAITS_BARRIER)
        return err_set(RH_ETIMEDOUT, "%s: waits for worker %u, which is not here after %.1f s",
                       what, w->rank, waited);
    if (w->why == MSG_WAITS_OP)
        return err_set(RH_ETIMEDOUT,
                       "%s: shard %u at %s waits for an earlier op of this worker, which has not "
                       "come in %.1f s",
                       what, shard, at, waited);
    if (w->why == MSG_WAITS_MARK && w->rank == WIRE_NOBODY)
        return err_set(RH_ETIMEDOUT,
                       "%s: shard %u at %s holds it for checkpoint %u, which was not cut in %.1f s",
                       what, shard, at, w->number, waited);
    if (w->why == MSG_WAITS_MARK)
        return err_set(
            RH_ETIMEDOUT,
            "%s: shard %u at %s holds it for checkpoint %u, until worker %u comes to the "
            "end of a clock, after %.1f s",
            what, shard, at, w->number, w->rank, waited);
    return err_set(RH_ETIMEDOUT,
                   "%s: shard %u at %s waits for worker %u to end clock %u, after %.1f s", what,
                   shard, at, w->rank, w->number, waited);
}

rh_status late_answer(const rh_client *c, const char *what, uint32_t shard, int64_t since_ms) {
    const struct link *l = &c->links[shard];
    int64_t now_ms = client_now(c);
    int64_t heard_ms = l->heard ? l->heard_ms : since_ms;
    double waited = (double)(now_ms - since_ms) / 1000;
    double silent = (double)(now_ms - heard_ms) / 1000;
    if (now_ms - heard_ms > LINK_SILENT_MS)
        return err_set(RH_EUNREACHABLE,
                       "%s: nothing was heard of shard %u at %s for %.1f s: is its server alive?",
                       what, shard, l->cfg.address, silent);
    /* What was told before this was asked is about something else. */
    if (l->wait.why == MSG_WAITS_NOT || l->alive_ms < since_ms ||
        now_ms - l->alive_ms > LINK_SILENT_MS)
        return err_set(
            RH_ETIMEDOUT,
            "%s: no answer from shard %u at %s in %.1f s; it was last heard of %.1f s ago", what,
            shard, l->cfg.address, waited, silent);
    return kept_waiting(l, what, waited);
}
