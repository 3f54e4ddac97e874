/* clocks.c - what the clocks of others mean for a worker that pulls: whom it waits for, and how many
 * clocks old what it sees may be. Under bsp it waits for clocks to be closed (bsp.c); under ssp for
 * whoever is here, or comes back after a restore, to have ended all but the last few; under async for
 * nobody. */
#include "ps/shard_inner.h"

/* How many clocks a worker has ended that w may have to wait for; UINT64_MAX: w waits for none of it. */
static uint64_t ended_by(const struct shard *s, const struct session *is, const struct session *w) {
    const bool counts = is != NULL && is != w && is->state != SESSION_GONE && is->rank < s->world;
    return counts ? is->ended : UINT64_MAX;
}

uint32_t clocks_laggard(const struct shard *s, const struct session *w, uint64_t clock,
                        uint64_t *missing) {
    if (s->mode == MODE_BSP && clock > s->closed) {
        *missing = s->closed;
        return bsp_laggard(s, s->closed);
    }
    if (s->mode != MODE_SSP || clock <= s->staleness)
        return WIRE_NOBODY;
    *missing = clock - s->staleness - 1;
    for (uint32_t rank = 0; rank < s->n_sessions; rank++)
        if (ended_by(s, s->sessions[rank], w) <= *missing)
            return rank;
    return WIRE_NOBODY;
}

bool clocks_allow(const struct shard *s, const struct session *w, uint64_t clock) {
    uint64_t missing;
    return s->mode == MODE_BSP ? clock <= s->closed
                               : clocks_laggard(s, w, clock, &missing) == WIRE_NOBODY;
}

uint64_t clocks_age(const struct shard *s, const struct session *w, uint64_t clock) {
    uint64_t lowest = clock;
    for (uint32_t rank = 0; rank < s->n_sessions; rank++) {
        uint64_t ended = ended_by(s, s->sessions[rank], w);
        lowest = ended < lowest ? ended : lowest;
    }
    return clock - lowest;
}

void clocks_turn(struct shard *s) {
    if (s->mode == MODE_BSP)
        bsp_close(s);
    else if (s->mode == MODE_SSP)
        pulls_release_all(s);
}

void clocks_enter(struct shard *s, struct session *w, uint64_t clock) {
    w->ended = clock;
    clocks_turn(s);
}
