/* waits.c - why a worker's oldest request is not answered yet, and whom it waits for: told to the worker
 * by beats, and to people by facts. Changes nothing. */
#include "ps/shard_inner.h"

static const struct msg_wait nothing = {.why = MSG_WAITS_NOT, .rank = WIRE_NOBODY};

/* For an op that comes behind `prev`. */
static struct msg_wait wait_for_op(const struct shard *s, const struct session *w,
                                   struct opnum prev) {
    if (cuts_hold(s, w))
        return (struct msg_wait){MSG_WAITS_MARK, cuts_missing(s), s->cut.generation};
    if (w->early.first != NULL && limits_is_ahead(s, w->early.first->head.num.clock))
        return (struct msg_wait){MSG_WAITS_CLOCK, bsp_laggard(s, s->closed), (uint32_t)s->closed};
    return (struct msg_wait){MSG_WAITS_OP, w->rank, prev.clock};
}

static struct msg_wait wait_of_pull(const struct shard *s, const struct session *w,
                                    const struct head *h) {
    if (opnum_cmp(h->prev, w->floor) > 0)
        return wait_for_op(s, w, h->prev);
    uint64_t missing;
    uint32_t rank = clocks_laggard(s, w, h->num.clock, &missing);
    return rank == WIRE_NOBODY ? nothing
                               : (struct msg_wait){MSG_WAITS_CLOCK, rank, (uint32_t)missing};
}

struct msg_wait waits_of(const struct shard *s, const struct session *w, int64_t *since_ms) {
    struct msg_wait is = nothing;
    *since_ms = s->now_ms;
    if (w->state != SESSION_HERE)
        return is;
    const struct waiting *pull = w->pulls.first, *early = w->early.first;
    if (pull != NULL) {
        is = wait_of_pull(s, w, &pull->head);
        *since_ms = pull->since_ms;
    }
    if (early != NULL && (pull == NULL || early->since_ms < *since_ms)) {
        is = wait_for_op(s, w, early->head.prev);
        *since_ms = early->since_ms;
    }
    if (w->barrier_asked.kind != 0 && (is.why == MSG_WAITS_NOT || w->barrier_ms < *since_ms)) {
        is = (struct msg_wait){MSG_WAITS_BARRIER, lead_absent(s, w->barrier), w->barrier};
        *since_ms = w->barrier_ms;
    }
    return is;
}
