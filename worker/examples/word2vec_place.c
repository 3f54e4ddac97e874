/* word2vec_place.c - see word2vec_place.h. */
#include "worker/examples/word2vec_place.h"

#include <inttypes.h>
#include <limits.h>
#include <stdio.h>

#include "worker/examples/word2vec_status.h"

#include "common/clock.h"

/* The others may take longer than this worker has, but hardly twice as long. */
rh_status place_meet(const struct training *t, double seconds) {
    double patience_ms = 1e3 * (60 + seconds);
    return from_library(rh_barrier(t->client, patience_ms < INT_MAX ? (int)patience_ms : INT_MAX));
}

/* The tick is for checkpoints from outside, which take a worker at the end
 * of a clock, or at a barrier if it has done nothing since. Under async they take those who are there:
 * so, where we save, all have to be there first. */
rh_status place_take(struct training *t, const struct cursor *from) {
    t->seconds_before = from->seconds;
    t->progress->begun = from->step;
    rh_status s = checkpoints_tell(t->checkpoints, from);
    if (s == RH_OK)
        s = from_library(rh_tick(t->client));
    if (s == RH_OK && t->checkpoints->every > 0 && t->mode != RH_MODE_BSP)
        s = place_meet(t, (double)(clock_now_us() - t->began_us) * 1e-6);
    return s;
}

static void tell_place(const struct training *t, const char *why, const struct cursor *at,
                       const rh_checkpoint_info *info) {
    if (info->generation == 0)
        fprintf(stderr, "%sbegins at the beginning\n", why);
    else
        fprintf(stderr,
                "%sgoes on from checkpoint \"%s\": %" PRIu64 " of %" PRIu64 " batches are done\n",
                why, info->name, at->step, t->batches * t->epochs);
}

/* Several lanes have no place together but the beginning. */
static rh_status go_on(const struct training *t, const struct checkpoints *k, const char *because,
                       struct cursor *out) {
    char why[96];
    rh_checkpoint_info info;
    rh_status s = checkpoints_return(k, out, &info);
    if (s == RH_OK && t->checkpoints == NULL && info.generation != 0)
        s = err_set(RH_EMISMATCH,
                    "the servers went back to checkpoint \"%s\", in which workers of several "
                    "threads have no place",
                    info.name);
    snprintf(why, sizeof why, "worker %" PRIu32 ": %s: ", rh_rank(t->client), because);
    if (s == RH_OK)
        tell_place(t, why, out, &info);
    return s;
}

rh_status place_return(const struct training *t, const struct checkpoints *k, struct cursor *out) {
    return go_on(t, k, "the servers went back", out);
}

rh_status place_find(const struct training *t, struct checkpoints *k, bool resumes,
                     uint32_t succeeds, struct cursor *out) {
    rh_checkpoint_info info;
    if (succeeds > 0 && !k->inside)
        return go_on(t, k, "succeeds one that died", out);
    if (!resumes) {
        if (rh_clock(t->client) > 0)
            fprintf(stderr,
                    "worker %" PRIu32 " was at these servers before, and begins at the "
                    "beginning all the same; -resume goes on from a checkpoint\n",
                    rh_rank(t->client));
        return checkpoints_begin(k);
    }
    rh_status s = checkpoints_find(k, out, &info);
    if (s == RH_OK && rh_rank(t->client) == 0)
        tell_place(t, "", out, &info);
    return s;
}
