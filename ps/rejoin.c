/* rejoin.c - a shard that waits to be filled: one that has begun anew in the place of one that died, or the
 * lead while others may not be where it is. It tells what it is, and refuses all that needs rows or
 * sessions; clients put it right (PROTOCOL.md, section 3, Going back). */
#include <stdio.h>
#include <string.h>

#include "common/err.h"
#include "ps/ckpt_folder.h"
#include "ps/shard_inner.h"

rh_status rejoin_check(const struct shard *s) {
    if (s->state == MSG_LOST)
        return err_set(RH_EROLLBACK,
                       "shard %u was restarted, and what it had is lost: the job goes back to its "
                       "last checkpoint",
                       s->cfg.shard);
    if (s->state == MSG_PENDING && s->restored.generation == 0)
        return err_set(RH_EROLLBACK, "the job begins anew, and not all shards are there yet");
    if (s->state == MSG_PENDING)
        return err_set(RH_EROLLBACK,
                       "the job goes back to checkpoint \"%s\", and not all shards are there yet",
                       s->restored.name);
    return RH_OK;
}

void rejoin_frame(struct shard *s, uint32_t peer, const struct head *h, struct rd *r) {
    rh_status st = rejoin_check(s);
    if (h->kind == WIRE_INFO)
        facts_answer(s, peer, h, rd_u32(r));
    else if (h->kind == WIRE_BEAT)
        shard_say_alive(s, peer, h, &(struct msg_alive){.wait.rank = WIRE_NOBODY}, 0);
    else
        shard_refuse(s, peer, h, st);
}

/* ---- who does not come again ---- */

static bool is_gone(const struct shard *s, uint32_t rank) {
    const struct session *w = shard_session(s, rank);
    return w != NULL && w->state == SESSION_GONE;
}

void rejoin_tell_gone(const struct shard *s, struct msg_gone *out) {
    uint32_t n = 0;
    out->len = 0;
    for (uint32_t rank = 0; rank < s->world; rank++)
        if (is_gone(s, rank)) {
            msg_gone_add(out, rank);
            n++;
        }
    if (n == s->world)
        out->len = 0;
}

rh_status rejoin_let_go(const struct shard *s, struct shard *into, const struct msg_gone *gone) {
    uint32_t n = 0;
    for (uint32_t rank = 0; rank < into->world; rank++)
        n += msg_gone_has(gone, rank);
    rh_status st = RH_OK;
    for (uint32_t rank = 0; st == RH_OK && n < into->world && rank < into->world; rank++) {
        const struct session *was = shard_session(s, rank);
        struct session *w;
        if (!msg_gone_has(gone, rank) || (was != NULL && was->state == SESSION_HERE))
            continue;
        st = lead_session(into, rank, &w);
        if (st == RH_OK)
            w->state = SESSION_GONE;
    }
    return st;
}

/* ---- the last generation ---- */

/* What a lead that has lost its memory finds in its folder. */
static rh_status look_up(const struct shard *s, char out[CKPT_NAME_MAX + 1]) {
    uint64_t next = 0;
    out[0] = '\0';
    if (s->cfg.ckpt == NULL)
        return RH_OK;
    rh_status st = ckpt_newest(s->cfg.ckpt, out, &next);
    if (st == RH_OK && next - 1 > s->cfg.rejoin_generation)
        return RH_OK; /* this job has saved it */
    if (st != RH_OK && st != RH_ENOTFOUND)
        return err_in(st, "which checkpoint is the job's last one?");
    snprintf(out, CKPT_NAME_MAX + 1, "%s", s->cfg.began_with != NULL ? s->cfg.began_with : "");
    return RH_OK;
}

rh_status rejoin_last(const struct shard *s, char out[CKPT_NAME_MAX + 1]) {
    if (s->state == MSG_LOST)
        return look_up(s, out);
    memcpy(out, s->saved_name, sizeof s->saved_name);
    return RH_OK;
}
