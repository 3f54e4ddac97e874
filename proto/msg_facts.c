/* msg_facts.c - what a shard tells about itself, its workers and its tables: see msg.c. */
#include "proto/msg.h"

void msg_put_wait(struct buf *b, const struct msg_wait *m) {
    buf_put_u32(b, m->why);
    buf_put_u32(b, m->rank);
    buf_put_u32(b, m->number);
}

void msg_get_wait(struct rd *r, struct msg_wait *m) {
    m->why = rd_u32(r);
    rd_must(r, m->why <= MSG_WAITS_OP);
    m->rank = rd_u32(r);
    m->number = rd_u32(r);
}

void msg_put_shard_facts(struct buf *b, const struct msg_shard_facts *m) {
    buf_put_u32(b, m->shard);
    buf_put_u32(b, m->shards);
    buf_put_u32(b, m->mode);
    buf_put_u32(b, m->world);
    buf_put_u64(b, m->uptime_ms);
    buf_put_u64(b, m->closed);
    buf_put_u64(b, m->pulls);
    buf_put_u64(b, m->pulled_rows);
    buf_put_u64(b, m->pushes);
    buf_put_u64(b, m->pushed_rows);
    buf_put_u64(b, m->repeats);
    buf_put_u64(b, m->parked);
    buf_put_u64(b, m->refused);
    buf_put_u64(b, m->bad_frames);
    buf_put_u32(b, m->tables);
    buf_put_u32(b, m->members);
    buf_put_u32(b, m->staleness);
    buf_put_u32(b, 0);
}

void msg_get_shard_facts(struct rd *r, struct msg_shard_facts *m) {
    m->shard = rd_u32(r);
    m->shards = rd_u32(r);
    m->mode = rd_u32(r);
    m->world = rd_u32(r);
    m->uptime_ms = rd_u64(r);
    m->closed = rd_u64(r);
    m->pulls = rd_u64(r);
    m->pulled_rows = rd_u64(r);
    m->pushes = rd_u64(r);
    m->pushed_rows = rd_u64(r);
    m->repeats = rd_u64(r);
    m->parked = rd_u64(r);
    m->refused = rd_u64(r);
    m->bad_frames = rd_u64(r);
    m->tables = rd_u32(r);
    m->members = rd_u32(r);
    m->staleness = rd_u32(r);
    rd_must(r, rd_u32(r) == 0);
}

void msg_put_member_facts(struct buf *b, const struct msg_member_facts *m) {
    buf_put_u32(b, m->rank);
    buf_put_u32(b, m->incarnation);
    buf_put_u32(b, m->clock);
    buf_put_u32(b, m->state);
    buf_put_u64(b, m->silent_ms);
    msg_put_wait(b, &m->wait);
    buf_put_u32(b, m->pulls);
    buf_put_u64(b, m->wait_ms);
    buf_put_u32(b, m->early);
    buf_put_u32(b, m->held);
    buf_put_u64(b, m->early_bytes);
    buf_put_u64(b, m->held_bytes);
}

void msg_get_member_facts(struct rd *r, struct msg_member_facts *m) {
    m->rank = rd_u32(r);
    m->incarnation = rd_u32(r);
    m->clock = rd_u32(r);
    m->state = rd_u32(r);
    m->silent_ms = rd_u64(r);
    msg_get_wait(r, &m->wait);
    m->pulls = rd_u32(r);
    m->wait_ms = rd_u64(r);
    m->early = rd_u32(r);
    m->held = rd_u32(r);
    m->early_bytes = rd_u64(r);
    m->held_bytes = rd_u64(r);
}

void msg_put_in_hand(struct buf *b, const struct msg_in_hand *m) {
    buf_put_u32(b, m->saving);
    buf_put_u32(b, m->generation);
    buf_put_u32(b, m->waiting_for);
    buf_put_u32(b, m->restoring);
    buf_put_u64(b, m->saving_ms);
    buf_put_u64(b, m->restoring_ms);
    buf_put_str(b, m->saving_name);
    buf_put_str(b, m->restoring_name);
}

void msg_get_in_hand(struct rd *r, struct msg_in_hand *m) {
    m->saving = rd_u32(r);
    rd_must(r, m->saving <= MSG_WRITTEN);
    m->generation = rd_u32(r);
    m->waiting_for = rd_u32(r);
    m->restoring = rd_u32(r);
    rd_must(r, m->restoring <= 2);
    m->saving_ms = rd_u64(r);
    m->restoring_ms = rd_u64(r);
    rd_str(r, m->saving_name, sizeof m->saving_name);
    rd_str(r, m->restoring_name, sizeof m->restoring_name);
}

void msg_put_table_facts(struct buf *b, const struct msg_table_facts *m) {
    buf_put_u32(b, m->table);
    buf_put_u32(b, m->frozen);
    buf_put_str(b, m->name);
    spec_put(b, &m->spec);
    buf_put_u64(b, m->steps);
    buf_put_u64(b, m->touched);
    buf_put_u64(b, m->skipped);
    buf_put_u64(b, m->memory_bytes);
    buf_put_u64(b, m->frozen_rows);
    buf_put_u64(b, m->trainable_rows);
    for (int i = 0; i < WIRE_AGES; i++)
        buf_put_u64(b, m->ages[i]);
}

void msg_get_table_facts(struct rd *r, struct msg_table_facts *m) {
    m->table = rd_u32(r);
    m->frozen = rd_yesno(r);
    rd_str(r, m->name, sizeof m->name);
    spec_get(r, &m->spec);
    m->steps = rd_u64(r);
    m->touched = rd_u64(r);
    m->skipped = rd_u64(r);
    m->memory_bytes = rd_u64(r);
    m->frozen_rows = rd_u64(r);
    m->trainable_rows = rd_u64(r);
    for (int i = 0; i < WIRE_AGES; i++)
        m->ages[i] = rd_u64(r);
}

void msg_put_life(struct buf *b, const struct msg_life *m) {
    buf_put_u32(b, m->table);
    buf_put_u32(b, m->turn);
    buf_put_u64(b, m->steps);
    buf_put_u64(b, m->touched);
    buf_put_u64(b, m->held);
    buf_put_u32(b, m->count);
    buf_put_u32(b, 0);
}

void msg_get_life(struct rd *r, struct msg_life *m) {
    m->table = rd_u32(r);
    m->turn = rd_u32(r);
    m->steps = rd_u64(r);
    m->touched = rd_u64(r);
    m->held = rd_u64(r);
    m->count = rd_u32(r);
    rd_must(r, rd_u32(r) == 0);
}
