/* limits.c - how much a shard holds and keeps for others, against what it may. Whoever goes beyond is
 * told at once, with the facts; nobody waits for room. README.md lists every bound. */
#include <inttypes.h>

#include "common/err.h"
#include "ps/shard_inner.h"
#include "ps/stage.h"

static double mib(uint64_t bytes) {
    return (double)bytes / (1 << 20);
}

/* Ops that are held, and files that are read to be held. */
static uint64_t held_by(const struct session *w) {
    return w == NULL ? 0 : w->held.bytes + (w->stage != NULL ? stage_bytes(w->stage) : 0);
}

rh_status limits_hold(const struct shard *s, size_t more_bytes) {
    uint64_t all = 0, most = 0;
    uint32_t rank = 0;
    for (uint32_t i = 0; i < s->n_sessions; i++) {
        uint64_t bytes = held_by(s->sessions[i]);
        all += bytes;
        if (bytes > most) {
            most = bytes;
            rank = i;
        }
    }
    if (all + more_bytes <= s->cfg.hold_bytes)
        return RH_OK;
    uint32_t laggard = bsp_laggard(s, s->closed);
    return err_set(RH_ELIMIT,
                   "shard %" PRIu32 " holds %.1f MiB until clock %" PRIu64 " closes, of at most "
                   "%.1f MiB (--hold-limit), worker %" PRIu32 " most of it (%.1f MiB); the clock "
                   "waits for worker %" PRIu32 ": call rh_tick more often, use more shards, or "
                   "raise --hold-limit",
                   s->cfg.shard, mib(all), s->closed, mib(s->cfg.hold_bytes), rank, mib(most),
                   laggard);
}
