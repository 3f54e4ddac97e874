/* any_msg.c - see any_msg.h. */
#include "tests/support/any_msg.h"

#include <math.h>
#include <string.h>

void any_name(struct rng *g, char out[WIRE_NAME_MAX + 1]) {
    static const char letters[] = "abcXYZ019_.-";
    uint32_t n = 1 + rng_below(g, WIRE_NAME_MAX);
    for (uint32_t i = 0; i < n; i++)
        out[i] = letters[rng_below(g, sizeof letters - 1)];
    out[n] = 0;
}

double any_real(struct rng *g) {
    if (rng_below(g, 4) == 0)
        return 0;
    double sign = rng_below(g, 2) ? 1 : -1;
    return sign * ldexp(1 + rng_unit_open(rng_u64(g)), (int)rng_below(g, 200) - 100);
}

static void any_spec_init(struct rng *g, struct spec *s) {
    s->init = SPEC_ZEROS + rng_below(g, SPEC_INITS_END - SPEC_ZEROS);
    if (s->init != SPEC_ZEROS)
        s->init_arg[0] = any_real(g);
    if (s->init == SPEC_UNIFORM)
        s->init_arg[1] = s->init_arg[0] + fabs(any_real(g));
    if (s->init == SPEC_NORMAL)
        s->init_arg[1] = fabs(any_real(g));
    if (s->init == SPEC_TRUNC_NORMAL) {
        s->init_arg[1] = rng_unit_open(rng_u64(g));
        s->init_arg[2] = any_real(g);
        s->init_arg[3] = s->init_arg[2] + fabs(any_real(g));
    }
}

static void any_opt(struct rng *g, struct spec *s) {
    static const uint32_t args[SPEC_OPTS_END] = {
        [SPEC_SGD] = 3,  [SPEC_SPARSE_ADAM] = 3, [SPEC_ADAGRAD] = 4, [SPEC_ROWWISE_ADAGRAD] = 4,
        [SPEC_ADAM] = 4, [SPEC_ADAMW] = 4,       [SPEC_RMSPROP] = 4,
    };
    static const uint32_t flags[SPEC_OPTS_END] = {[SPEC_SGD] = SPEC_NESTEROV,
                                                  [SPEC_SPARSE_ADAM] = SPEC_STEPS_PER_ROW,
                                                  [SPEC_RMSPROP] = SPEC_CENTERED};
    s->opt = SPEC_SGD + rng_below(g, SPEC_OPTS_END - SPEC_SGD);
    for (uint32_t i = 0; i < args[s->opt]; i++)
        s->opt_arg[i] = rng_unit_open(rng_u64(g));
    s->opt_flags = rng_below(g, 2) ? flags[s->opt] : 0;
    if (s->opt_flags == SPEC_NESTEROV)
        s->opt_arg[SGD_DAMPENING] = 0;
}

static void any_lookup(struct rng *g, struct spec *s) {
    s->scale_grad_by_freq = rng_below(g, 2);
    if (rng_below(g, 2))
        s->padding_idx = rng_u64(g) % s->rows;
    if (rng_below(g, 2)) {
        s->max_norm = rng_unit_open(rng_u64(g));
        s->norm_type = rng_below(g, 2) ? HUGE_VAL : 4 * rng_unit_open(rng_u64(g));
    }
}

struct spec any_spec(struct rng *g) {
    struct spec s = {
        .kind = SPEC_DENSE,
        .dim = 1 + rng_below(g, WIRE_DIM_MAX),
        .rows = 1 + (rng_u64(g) >> (64 - SPEC_ROWS_BITS)),
        .seed = rng_u64(g),
        .lr = fabs(any_real(g)),
        .reduce = rng_below(g, 2),
        .frozen = rng_below(g, 2),
        .nonfinite = rng_below(g, 2),
        .padding_idx = SPEC_NO_PADDING,
    };
    any_spec_init(g, &s);
    any_opt(g, &s);
    any_lookup(g, &s);
    return s;
}

struct msg_hello any_hello(struct rng *g) {
    return (struct msg_hello){
        .shard = rng_u32(g),
        .shards = rng_u32(g),
        .mode = (uint8_t)(1 + rng_below(g, 3)),
        .life = (uint16_t)rng_u32(g),
        .staleness = rng_u32(g),
        .world = rng_u32(g),
        .clock_floor = rng_u32(g),
    };
}

struct msg_welcome any_welcome(struct rng *g) {
    return (struct msg_welcome){
        .shard = rng_u32(g),
        .shards = rng_u32(g),
        .world = rng_u32(g),
        .clock = rng_u32(g),
        .mode = rng_below(g, 4),
        .credit_bytes = rng_u32(g),
        .origin = rng_u32(g),
        .state = rng_below(g, 4),
    };
}

struct msg_open any_open(struct rng *g) {
    struct msg_open m = {.table = rng_u32(g), .find = rng_below(g, 2)};
    any_name(g, m.name);
    if (!m.find)
        m.spec = any_spec(g);
    return m;
}

struct msg_opened any_opened(struct rng *g) {
    return (struct msg_opened){
        .table = rng_u32(g),
        .frozen = rng_below(g, 2),
        .pushes = rng_u64(g),
        .steps = rng_u64(g),
        .spec = any_spec(g),
    };
}

struct msg_freeze any_freeze(struct rng *g) {
    return (struct msg_freeze){
        .table = rng_u32(g),
        .ticket = rng_u32(g),
        .first = rng_u64(g),
        .count = rng_u64(g),
        .until_clock = rng_u64(g),
    };
}

struct msg_reset any_reset(struct rng *g, uint32_t count) {
    return (struct msg_reset){.table = rng_u32(g), .count = count};
}

struct msg_count any_count(struct rng *g) {
    return (struct msg_count){.rank = rng_u32(g), .pushes = rng_u64(g)};
}

struct msg_init any_init(struct rng *g) {
    struct spec s = any_spec(g);
    struct msg_init m = {
        .table = rng_u32(g), .init = s.init, .seed = rng_u64(g), .turn = rng_u32(g)};
    memcpy(m.init_arg, s.init_arg, sizeof m.init_arg);
    return m;
}

struct msg_cancel any_cancel(struct rng *g) {
    return (struct msg_cancel){.call = rng_u32(g)};
}

struct msg_drop any_drop(struct rng *g) {
    return (struct msg_drop){.table = rng_u32(g)};
}

struct msg_freeze_ids any_freeze_ids(struct rng *g) {
    static uint8_t ids[8 * 8];
    for (size_t i = 0; i < sizeof ids; i++)
        ids[i] = (uint8_t)rng_u32(g);
    return (struct msg_freeze_ids){
        .table = rng_u32(g),
        .ticket = rng_u32(g),
        .until_clock = rng_u64(g),
        .count = rng_below(g, 9),
        .ids = ids,
    };
}

struct msg_frozen_rows any_frozen_rows(struct rng *g) {
    struct msg_frozen_rows m = {.table = rng_u32(g), .told = rng_below(g, 2), .whole = rng_u64(g)};
    if (m.told) {
        m.runs = 1 + rng_below(g, 4);
        m.rows = rng_below(g, 4);
    }
    return m;
}

struct msg_tick any_tick(struct rng *g) {
    return (struct msg_tick){
        .table = rng_u32(g),
        .pushed = rng_below(g, 2),
        .lr = any_real(g),
        .pushes = rng_u64(g),
    };
}

struct msg_wait any_wait(struct rng *g) {
    return (struct msg_wait){
        .why = (uint32_t)rng_below(g, 5), .rank = rng_u32(g), .number = rng_u32(g)};
}

struct msg_alive any_alive(struct rng *g) {
    return (struct msg_alive){.wait = any_wait(g), .taken = rng_u64(g)};
}

struct msg_stage any_stage(struct rng *g) {
    struct msg_stage m = {
        .table = rng_u32(g), .load = rng_u32(g), .step = rng_u32(g), .format = rng_below(g, 7)};
    any_name(g, m.path);
    if (rng_below(g, 2))
        any_name(g, m.tensor);
    if (rng_below(g, 2))
        any_name(g, m.vocab);
    return m;
}

struct msg_staged any_staged(struct rng *g) {
    struct msg_staged m = {
        .load = rng_u32(g),
        .steps = rng_u32(g),
        .done = rng_below(g, 2),
        .format = rng_below(g, 7),
        .done_bytes = rng_u64(g),
        .total_bytes = rng_u64(g),
    };
    if (!m.done)
        return m;
    m.digest = rng_u64(g);
    m.vocab_digest = rng_u64(g);
    m.rows = rng_u64(g);
    m.matched = rng_u64(g);
    m.missed = rng_u64(g);
    m.duplicated = rng_u64(g);
    m.unused = rng_u64(g);
    any_name(g, m.about);
    any_name(g, m.first_matched);
    any_name(g, m.first_missed);
    return m;
}

struct msg_load any_load(struct rng *g) {
    return (struct msg_load){
        .table = rng_u32(g),
        .load = rng_u32(g),
        .digest = rng_u64(g),
        .vocab_digest = rng_u64(g),
    };
}

struct msg_mark any_mark(struct rng *g, const uint8_t cursor[ANY_CURSOR]) {
    struct msg_mark m = {.generation = rng_u32(g)};
    if (rng_below(g, 2)) {
        m.cursor = cursor;
        m.cursor_len = rng_below(g, ANY_CURSOR);
    }
    return m;
}

struct msg_save any_save(struct rng *g) {
    struct msg_save m = {.generation = rng_below(g, 3)};
    if (m.generation == 0)
        m.ticket = 1 + rng_below(g, 1000);
    any_name(g, m.name);
    return m;
}

struct msg_written any_written(struct rng *g) {
    return (struct msg_written){.bytes = rng_u64(g),
                                .rows = rng_u64(g),
                                .sum = {rng_u64(g), rng_u64(g)},
                                .agreed = {rng_u64(g), rng_u64(g)}};
}

struct msg_saving any_saving(struct rng *g) {
    struct msg_saving m = {.generation = rng_u32(g),
                           .phase = MSG_GATHERING + rng_below(g, MSG_BUSY),
                           .waiting_for = rng_u32(g),
                           .done_bytes = rng_u64(g),
                           .written = any_written(g)};
    if (m.phase == MSG_GIVEN_UP) {
        m.status = RH_EIO;
        any_name(g, m.text);
    }
    return m;
}

struct msg_cursor_is any_cursor_is(struct rng *g, const uint8_t cursor[ANY_CURSOR]) {
    struct msg_cursor_is m = {
        .generation = rng_u64(g), .clock = rng_u64(g), .known = rng_below(g, 2)};
    any_name(g, m.name);
    if (m.known) {
        m.bytes = cursor;
        m.len = rng_below(g, ANY_CURSOR);
    }
    return m;
}

static void any_gone(struct rng *g, struct msg_gone *m) {
    m->len = 0;
    for (uint32_t n = rng_below(g, 4); n > 0; n--)
        msg_gone_add(m, rng_below(g, 100));
}

struct msg_restore any_restore(struct rng *g) {
    struct msg_restore m = {.step = rng_below(g, 3), .ticket = rng_u32(g)};
    any_name(g, m.name);
    any_gone(g, &m.gone);
    return m;
}

struct msg_restored any_restored(struct rng *g) {
    struct msg_restored m = {.ticket = rng_u32(g),
                             .step = rng_below(g, 4),
                             .done_bytes = rng_u64(g),
                             .generation = rng_u64(g)};
    any_name(g, m.name);
    any_gone(g, &m.gone);
    return m;
}

struct msg_shard_facts any_shard_facts(struct rng *g, uint32_t members) {
    return (struct msg_shard_facts){
        .shard = rng_u32(g),
        .shards = rng_u32(g),
        .mode = rng_below(g, 4),
        .world = rng_u32(g),
        .uptime_ms = rng_u64(g),
        .closed = rng_u64(g),
        .pulls = rng_u64(g),
        .pulled_rows = rng_u64(g),
        .pushes = rng_u64(g),
        .pushed_rows = rng_u64(g),
        .repeats = rng_u64(g),
        .parked = rng_u64(g),
        .refused = rng_u64(g),
        .bad_frames = rng_u64(g),
        .tables = rng_u32(g),
        .members = members,
        .staleness = rng_u32(g),
    };
}

struct msg_member_facts any_member_facts(struct rng *g) {
    return (struct msg_member_facts){
        .rank = rng_u32(g),
        .incarnation = rng_u32(g),
        .clock = rng_u32(g),
        .state = 1 + rng_below(g, 2),
        .silent_ms = rng_u64(g),
        .wait = any_wait(g),
        .pulls = rng_u32(g),
        .wait_ms = rng_u64(g),
        .early = rng_u32(g),
        .held = rng_u32(g),
        .early_bytes = rng_u64(g),
        .held_bytes = rng_u64(g),
    };
}

struct msg_in_hand any_in_hand(struct rng *g) {
    struct msg_in_hand m = {
        .saving = (uint32_t)rng_below(g, 4),
        .generation = rng_u32(g),
        .waiting_for = rng_u32(g),
        .restoring = (uint32_t)rng_below(g, 3),
        .saving_ms = rng_u64(g),
        .restoring_ms = rng_u64(g),
    };
    any_name(g, m.saving_name);
    any_name(g, m.restoring_name);
    return m;
}

struct msg_table_facts any_table_facts(struct rng *g) {
    struct msg_table_facts m = {
        .table = rng_u32(g),
        .frozen = rng_below(g, 2),
        .spec = any_spec(g),
        .steps = rng_u64(g),
        .touched = rng_u64(g),
        .skipped = rng_u64(g),
        .memory_bytes = rng_u64(g),
        .frozen_rows = rng_u64(g),
        .trainable_rows = rng_u64(g),
    };
    for (int i = 0; i < WIRE_AGES; i++)
        m.ages[i] = rng_u64(g);
    any_name(g, m.name);
    return m;
}

struct msg_life any_life(struct rng *g, uint32_t count) {
    return (struct msg_life){
        .table = rng_u32(g),
        .turn = rng_u32(g),
        .count = count,
        .steps = rng_u64(g),
        .touched = rng_u64(g),
        .held = rng_u64(g),
    };
}
