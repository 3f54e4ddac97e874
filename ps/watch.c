/* watch.c - see watch.h. */
#include "ps/watch.h"

bool watch_look(struct watch *w, const struct watch_sight *is, int64_t now_ms, int64_t timeout_ms) {
    int64_t step_ms = now_ms - w->looked_ms;
    w->looked_ms = now_ms;
    if (!is->busy || is->turns != w->turns) {
        w->turns = is->turns;
        w->stuck_ms = 0;
        w->cpu_ms = is->cpu_ms;
        return false;
    }
    w->stuck_ms += step_ms < 2 * WATCH_LOOK_MS ? step_ms : 2 * WATCH_LOOK_MS;
    const bool works = is->cpu_ms - w->cpu_ms > w->stuck_ms / 10;
    return w->stuck_ms > (works || is->helped ? WATCH_PATIENCE * timeout_ms : timeout_ms);
}
