/* word2vec_checkpoint.c - see word2vec_checkpoint.h. */
#include "worker/examples/word2vec_checkpoint.h"

#include <inttypes.h>
#include <stdio.h>

#include "worker/examples/word2vec_status.h"

static bool is_due(const struct checkpoints *k, uint64_t steps_done) {
    return k->every > 0 && steps_done % k->every == 0;
}

rh_status checkpoints_tell(const struct checkpoints *k, const struct cursor *at) {
    struct cursor all = *at;
    uint8_t bytes[CURSOR_BYTES];
    struct buf b;
    all.clock = rh_clock(k->client) + 1;
    all.recipe = k->recipe;
    buf_wrap(&b, bytes, sizeof bytes);
    cursor_put(&b, &all);
    return from_library(rh_set_cursor(k->client, b.p, b.len));
}

void checkpoints_save(struct checkpoints *k, uint64_t steps_done) {
    /* Under async one saves for all. Else they do it together, after the same tick. */
    if (!is_due(k, steps_done) || (k->recipe.mode == RH_MODE_ASYNC && rh_rank(k->client) != 0))
        return;
    rh_status s = rh_save(k->client, k->name);
    if (s == RH_EROLLBACK) /* as the next call will say */
        return;
    k->wanted++;
    if (s == RH_OK)
        return;
    k->failed++;
    progress_say(k->progress,
                 "worker %" PRIu32 ": checkpoint \"%s\" was not saved, training goes on: %s",
                 rh_rank(k->client), k->name, rh_errmsg());
}

bool checkpoints_pull_anew(const struct checkpoints *k, uint64_t step) {
    return k->recipe.mode == RH_MODE_BSP && is_due(k, step);
}

/* ---- after a restart ---- */

static rh_status read_cursor(const struct checkpoints *k, uint32_t rank, struct cursor *out) {
    uint8_t bytes[RH_CURSOR_MAX];
    size_t len = sizeof bytes;
    rh_status s = from_library(rh_cursor(k->client, rank, bytes, &len));
    return s == RH_OK ? cursor_get(bytes, len, out) : s;
}

/* Also where this worker has no cursor, because it was not there: then that of rank 0 tells why. */
static rh_status check_cursor(const struct checkpoints *k, struct cursor *out) {
    uint32_t rank = rh_rank(k->client);
    struct cursor first;
    rh_status s = read_cursor(k, 0, &first);
    if (s == RH_OK)
        s = recipe_check(&first.recipe, &k->recipe);
    if (s == RH_OK)
        s = rank == 0 ? RH_OK : read_cursor(k, rank, out);
    if (s != RH_OK)
        return s;
    if (rank == 0)
        *out = first;
    s = recipe_check(&out->recipe, &k->recipe);
    /* The goodbye of one that was done has ended a clock, too. */
    const bool done = out->step == k->recipe.epochs * k->recipe.batches;
    const uint64_t clock = rh_clock(k->client);
    if (s == RH_OK && clock != out->clock && !(done && clock == out->clock + 1))
        s = err_set(RH_EMISMATCH,
                    "worker %" PRIu32 " is at clock %" PRIu64 ", and was at %" PRIu64
                    ": these servers have gone on since, and have to be started anew",
                    rank, clock, out->clock);
    return s;
}

rh_status checkpoints_find(const struct checkpoints *k, struct cursor *out,
                           rh_checkpoint_info *info) {
    static const char way_out[] =
        "start the servers with --restore NAME (or latest) and everything else as it was, or "
        "begin at the beginning, without -resume";
    *info = (rh_checkpoint_info){.size = sizeof *info};
    rh_status s = k->inside ? from_library(rh_restore(k->client, k->name)) : RH_OK;
    if (s != RH_OK)
        return err_in(s, "-resume");
    s = from_library(rh_last_checkpoint(k->client, info));
    if (s == RH_ENOTFOUND)
        return err_set(s, "-resume: there is no checkpoint to go on from: %s", way_out);
    if (s != RH_OK)
        return s;
    s = check_cursor(k, out);
    if (s != RH_OK)
        err_set(s, "-resume: checkpoint \"%s\": %s: %s", info->name, err_text(), way_out);
    return s;
}

rh_status checkpoints_begin(struct checkpoints *k) {
    rh_checkpoint_info info = {.size = sizeof info};
    rh_status s = from_library(rh_last_checkpoint(k->client, &info));
    k->passed_over = info.generation;
    return s == RH_ENOTFOUND ? RH_OK : s;
}

rh_status checkpoints_return(const struct checkpoints *k, struct cursor *out,
                             rh_checkpoint_info *info) {
    struct cursor at = {0};
    *info = (rh_checkpoint_info){.size = sizeof *info};
    rh_status had = read_cursor(k, rh_rank(k->client), &at);
    if (had == RH_EROLLBACK)
        return had;
    rh_status s = from_library(rh_last_checkpoint(k->client, info));
    bool none = s == RH_ENOTFOUND || (s == RH_OK && had == RH_ENOTFOUND) ||
                (s == RH_OK && info->generation == k->passed_over);
    *out = (struct cursor){0};
    if (none)
        *info = (rh_checkpoint_info){0};
    return none ? RH_OK : s == RH_OK ? check_cursor(k, out) : s;
}
