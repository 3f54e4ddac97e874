/* facts.c - what a shard tells of itself and its tables. Changes nothing. */
#include <string.h>

#include "common/err.h"
#include "proto/place.h"
#include "ps/shard_inner.h"

enum { FACTS_MAX = WIRE_FRAME_MAX - WIRE_HEAD };

static void put_member(const struct shard *s, const struct session *w, struct buf *b) {
    int64_t heard_ms = w->state != SESSION_NEVER ? w->heard_ms : s->born_ms, since_ms;
    struct msg_wait wait = waits_of(s, w, &since_ms);
    msg_put_member_facts(b, &(struct msg_member_facts){
                                .rank = w->rank,
                                .incarnation = w->inc,
                                .clock = (uint32_t)w->ended,
                                .state = w->state,
                                .silent_ms = (uint64_t)(s->now_ms - heard_ms),
                                .wait = wait,
                                .pulls = w->pulls.n,
                                .wait_ms = (uint64_t)(s->now_ms - since_ms),
                                .early = w->early.n,
                                .held = w->held.n,
                                .early_bytes = w->early.bytes,
                                .held_bytes = w->held.bytes,
                            });
}

static void put_shard(const struct shard *s, struct buf *b) {
    uint64_t parked = 0;
    uint32_t members = 0;
    for (uint32_t i = 0; i < s->n_sessions; i++) {
        members += s->sessions[i] != NULL;
        parked += s->sessions[i] != NULL ? s->sessions[i]->pulls.n : 0;
    }
    msg_put_shard_facts(b, &(struct msg_shard_facts){
                               .shard = s->cfg.shard,
                               .shards = s->cfg.shards,
                               .mode = s->mode,
                               .world = s->world,
                               .uptime_ms = (uint64_t)(s->now_ms - s->born_ms),
                               .closed = s->closed,
                               .pulls = s->pulls,
                               .pulled_rows = s->pulled_rows,
                               .pushes = s->pushes,
                               .pushed_rows = s->pushed_rows,
                               .repeats = s->repeats,
                               .parked = parked,
                               .refused = s->refused,
                               .bad_frames = s->bad_frames,
                               .tables = s->n_tables,
                               .members = members,
                               .staleness = s->staleness,
                           });
    for (uint32_t i = 0; i < s->n_sessions; i++) {
        if (s->sessions[i] != NULL)
            put_member(s, s->sessions[i], b);
    }
    buf_put_u32(b, s->cfg.pid);
    buf_put_u32(b, 0);
    struct msg_in_hand m = {.waiting_for = WIRE_NOBODY};
    cuts_tell(s, &m);
    restores_tell(s, &m);
    msg_put_in_hand(b, &m);
}

/* A freeze until a clock is over or not by the asker's clock; for an observer by that of who is furthest. */
static uint64_t clock_of(const struct shard *s, const struct head *h) {
    return h->worker != WIRE_OBSERVER ? h->num.clock : lead_furthest(s);
}

/* Neither frozen nor the padding row. */
static uint64_t count_trainable(const struct shard *s, struct table *t, uint64_t clock,
                                uint64_t frozen) {
    uint64_t n = t->index.ops->below(&t->index, t->spec.rows) - frozen;
    const uint8_t *padding = (const uint8_t *)&t->spec.padding_idx;
    uint64_t row;
    if (t->spec.padding_idx == SPEC_NO_PADDING ||
        place_shard(t->spec.padding_idx, s->cfg.shards) != s->cfg.shard ||
        t->index.ops->locate(&t->index, padding, 1, &row) != RH_OK)
        return n;
    return n - (clock >= freeze_until(&t->freeze, row, t->spec.padding_idx));
}

static void put_table(const struct shard *s, struct table *t, uint64_t clock, struct buf *b) {
    uint64_t frozen = freeze_count(&t->freeze, clock);
    struct msg_table_facts m = {
        .table = t->number,
        .frozen = freeze_is_whole(&t->freeze, clock),
        .spec = t->spec,
        .steps = s->steps[t->number - 1],
        .touched = t->store.n_touched,
        .skipped = t->skipped,
        .memory_bytes = store_memory_bytes(&t->store),
        .frozen_rows = frozen,
        .trainable_rows = count_trainable(s, t, clock, frozen),
    };
    memcpy(m.name, t->name, sizeof m.name);
    memcpy(m.ages, t->ages, sizeof m.ages);
    msg_put_table_facts(b, &m);
}

static rh_status no_table(const struct shard *s, uint32_t number) {
    return shard_dropped(s, number) != NULL
               ? shard_no_table(s, "INFO", number)
               : err_set(RH_ENOTFOUND, "there is no table number %u", number);
}

static rh_status put_tables(const struct shard *s, uint32_t what, uint64_t clock, struct buf *b) {
    if (what != 1) {
        struct table *t = shard_table(s, what - 1);
        if (t == NULL)
            return no_table(s, what - 1);
        buf_put_u32(b, 1);
        put_table(s, t, clock, b);
        return RH_OK;
    }
    uint32_t n = 0;
    for (uint32_t i = 0; i < s->n_tables; i++)
        n += s->tables[i] != NULL;
    buf_put_u32(b, n);
    for (uint32_t i = 0; i < s->n_tables; i++)
        if (s->tables[i] != NULL)
            put_table(s, s->tables[i], clock, b);
    return RH_OK;
}

static rh_status put_life(const struct shard *s, uint32_t number, struct buf *b) {
    const struct table *t = shard_table(s, number);
    if (t == NULL)
        return no_table(s, number);
    struct msg_life m = {
        .table = number,
        .turn = (uint32_t)(t->renewed >> 32),
        .steps = s->steps[number - 1],
        .touched = t->store.n_touched,
        .held = resets_held_rows(s, number),
    };
    for (uint32_t i = 0; i < s->n_sessions; i++)
        m.count += s->sessions[i] != NULL && session_pushes(s->sessions[i], number) != 0;
    msg_put_life(b, &m);
    for (uint32_t i = 0; i < s->n_sessions; i++) {
        uint64_t pushes = s->sessions[i] != NULL ? session_pushes(s->sessions[i], number) : 0;
        if (pushes != 0)
            msg_put_count(b, &(struct msg_count){.rank = i, .pushes = pushes});
    }
    return RH_OK;
}

void facts_answer(struct shard *s, uint32_t peer, const struct head *h, uint32_t what) {
    struct buf b;
    buf_init(&b, FACTS_MAX);
    rh_status st = RH_OK;
    if (what == 0)
        put_shard(s, &b);
    else if (what & MSG_ASK_LIFE)
        st = put_life(s, what & ~MSG_ASK_LIFE, &b);
    else
        st = put_tables(s, what, clock_of(s, h), &b);
    if (st == RH_OK && b.no_memory)
        st = err_set(RH_ENOMEM, "no memory for the facts of shard %u", s->cfg.shard);
    if (st == RH_OK && b.bad)
        st = err_set(RH_ELIMIT, "the facts of shard %u do not fit a frame", s->cfg.shard);
    if (st == RH_OK)
        shard_answer(s, peer, h, WIRE_FACTS, &b);
    else
        shard_refuse(s, peer, h, st);
    buf_fini(&b);
}
