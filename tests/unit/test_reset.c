/* test_reset.c - a shard whose tables begin anew, get another initializer, or are dropped: what is
 * left of rows, state, counts and numbers, and what frames that come too late do. */
#include <check.h>
#include <string.h>

#include "tests/support/talker.h"
#include "tests/unit/suites.h"

enum { ASYNC = 1, BSP = 3, DIM = 2, ROWS = 100 };

static struct memory_net net;
static struct shard *shard;
static struct talker a, b; /* ranks 0 and 1 */

static void setup(void) {
    struct shard_config c;
    shard_config_init(&c);
    c.incarnation = 42;
    memory_net_init(&net);
    ck_assert_int_eq(shard_new(&c, &net.net, &shard), RH_OK);
    talker_init(&a, shard, &net, 0);
    talker_init(&b, shard, &net, 1);
}

static void teardown(void) {
    shard_free(&shard);
    memory_net_fini(&net);
}

/* Constant 10, and SGD with momentum 0.5 and lr 1: the second push of g subtracts 1.5 g. */
static struct spec tens(void) {
    return (struct spec){.kind = SPEC_DENSE,
                         .dim = DIM,
                         .rows = ROWS,
                         .init = SPEC_CONSTANT,
                         .init_arg = {10},
                         .opt = SPEC_SGD,
                         .opt_arg = {[SGD_MOMENTUM] = 0.5},
                         .lr = 1.0,
                         .padding_idx = SPEC_NO_PADDING};
}

static void join(uint32_t mode) {
    ck_assert_int_eq(talker_hello(&a, mode, 2), WIRE_WELCOME);
    ck_assert_int_eq(talker_hello(&b, mode, 2), WIRE_WELCOME);
    struct spec s = tens();
    ck_assert_int_eq(talker_open(&a, "t", &s), WIRE_OPENED);
    ck_assert_int_eq(talker_open(&b, "t", &s), WIRE_OPENED);
}

static int push(struct talker *t, uint32_t table, uint64_t id, float x, uint64_t pushes) {
    float g[DIM] = {x, x};
    return talker_push(t, table, 1, &id, DIM, g, pushes);
}

static int write(struct talker *t, uint32_t table, uint64_t id, float x) {
    float row[DIM] = {x, x};
    return talker_write(t, table, 1, &id, DIM, row);
}

/* The first number of a row; -999: no answer, -998: refused. */
static float pull(struct talker *t, uint32_t table, uint64_t id) {
    float row[DIM];
    int kind = talker_pull(t, table, 1, &id, DIM, row);
    return kind == WIRE_ROWS ? row[0] : kind == 0 ? -999.0f : -998.0f;
}

struct counts {
    uint32_t n;
    struct msg_count of[4];
};

static int reset(struct talker *t, uint32_t table, struct counts c) {
    uint8_t room[128];
    struct buf body;
    buf_wrap(&body, room, sizeof room);
    msg_put_reset(&body, &(struct msg_reset){table, c.n});
    for (uint32_t i = 0; i < c.n; i++)
        msg_put_count(&body, &c.of[i]);
    return talker_op(t, WIRE_RESET, 0, 0, &body);
}

static int init(struct talker *t, uint32_t table, struct msg_init m) {
    uint8_t room[128];
    struct buf body;
    buf_wrap(&body, room, sizeof room);
    m.table = table;
    msg_put_init(&body, &m);
    return talker_op(t, WIRE_RESET, WIRE_INIT, 0, &body);
}

static struct msg_init constant(double value, uint32_t turn) {
    return (struct msg_init){.init = SPEC_CONSTANT, .init_arg = {value}, .turn = turn};
}

static int drop(struct talker *t, uint32_t table) {
    uint8_t room[16];
    struct buf body;
    buf_wrap(&body, room, sizeof room);
    msg_put_drop(&body, &(struct msg_drop){table});
    return talker_op(t, WIRE_DROP, 0, 0, &body);
}

/* Opens with a number, as a client that has it from the lead does. */
static int open_as(struct talker *t, uint32_t number, const char *name) {
    uint8_t room[512];
    struct buf body;
    struct msg_open m = {.table = number, .spec = tens()};
    strcpy(m.name, name);
    buf_wrap(&body, room, sizeof room);
    msg_put_open(&body, &m);
    return talker_op(t, WIRE_OPEN, 0, 0, &body);
}

static int tick(struct talker *t, uint32_t table, uint32_t pushed, uint64_t pushes) {
    return talker_end(t, WIRE_TICK, table, pushed, 1.0, pushes);
}

static void tick_both(void) {
    ck_assert_int_eq(tick(&a, 0, 0, 0), WIRE_ACK);
    ck_assert_int_eq(tick(&b, 0, 0, 0), WIRE_ACK);
}

/* What an observer is told of a table. RH_OK, or the status of the refusal. */
static int ask(uint32_t what, struct rd *r, struct frame **keep) {
    struct talker o;
    talker_init(&o, shard, &net, WIRE_OBSERVER);
    uint8_t room[8];
    struct buf body;
    buf_wrap(&body, room, sizeof room);
    buf_put_u32(&body, what);
    talker_send(&o, WIRE_INFO, 0, (struct opnum){0, 1, 0}, (struct opnum){0}, 0, &body);
    struct frame *f = memory_net_take(&net);
    struct head h;
    ck_assert_ptr_nonnull(f);
    ck_assert_int_eq(wire_open(f->data, f->len, &h), RH_OK);
    rd_init(r, f->data + WIRE_HEAD, f->len - WIRE_HEAD);
    *keep = f;
    return h.status;
}

static struct msg_table_facts facts(uint32_t table) {
    struct rd r;
    struct frame *f;
    struct msg_table_facts m;
    ck_assert_int_eq(ask(1 + table, &r, &f), RH_OK);
    ck_assert_uint_eq(rd_u32(&r), 1);
    msg_get_table_facts(&r, &m);
    ck_assert(rd_done(&r));
    frame_unref(f);
    return m;
}

static struct msg_life life(uint32_t table, struct counts *c) {
    struct rd r;
    struct frame *f;
    struct msg_life m;
    ck_assert_int_eq(ask(MSG_ASK_LIFE | table, &r, &f), RH_OK);
    msg_get_life(&r, &m);
    ck_assert_uint_le(m.count, 4);
    c->n = m.count;
    for (uint32_t i = 0; i < m.count; i++)
        msg_get_count(&r, &c->of[i]);
    ck_assert(rd_done(&r));
    frame_unref(f);
    return m;
}

#define ck_assert_said(word)                                                            \
    ck_assert_msg(strstr(talker_refusal(), word) != NULL, "\"%s\" does not say \"%s\"", \
                  talker_refusal(), word)

/* ---- reset ---- */

START_TEST(a_reset_table_is_as_if_never_touched) {
    join(ASYNC);
    ck_assert_int_eq(push(&a, 1, 5, 1, 1), WIRE_ACK);
    ck_assert_int_eq(push(&a, 1, 5, 1, 2), WIRE_ACK);
    ck_assert_int_eq(write(&a, 1, 6, 77), WIRE_ACK);
    ck_assert(pull(&a, 1, 5) == 7.5f);
    ck_assert_uint_gt(facts(1).memory_bytes, 0);
    ck_assert_int_eq(reset(&a, 1, (struct counts){1, {{0, 2}}}), WIRE_ACK);
    ck_assert(pull(&a, 1, 5) == 10.0f);
    ck_assert(pull(&a, 1, 6) == 10.0f);
    struct msg_table_facts f = facts(1);
    ck_assert_uint_eq(f.touched, 0);
    ck_assert_uint_eq(f.memory_bytes, 0);
    ck_assert_uint_eq(f.steps, 0);
    ck_assert_int_eq(push(&a, 1, 5, 1, 3), WIRE_ACK); /* no momentum is left */
    ck_assert(pull(&a, 1, 5) == 9.0f);
    ck_assert_uint_eq(facts(1).steps, 1);
}
END_TEST

START_TEST(t_begins_anew_by_what_any_shard_has_seen) {
    join(ASYNC);
    ck_assert_int_eq(push(&a, 1, 5, 1, 4), WIRE_ACK);
    ck_assert_int_eq(push(&b, 1, 5, 1, 2), WIRE_ACK);
    ck_assert_uint_eq(facts(1).steps, 6);
    /* pushes 5 and 6 of rank 0 had no rows here, and 3 of rank 1 is still under way */
    ck_assert_int_eq(reset(&a, 1, (struct counts){2, {{0, 6}, {1, 3}}}), WIRE_ACK);
    ck_assert_uint_eq(facts(1).steps, 0);
    ck_assert_int_eq(push(&a, 1, 5, 1, 7), WIRE_ACK);
    ck_assert_uint_eq(facts(1).steps, 1);
    ck_assert_int_eq(push(&b, 1, 5, 1, 3), WIRE_ACK); /* of the life before: no step */
    ck_assert_uint_eq(facts(1).steps, 1);
    ck_assert_int_eq(push(&b, 1, 5, 1, 4), WIRE_ACK);
    ck_assert_uint_eq(facts(1).steps, 2);
}
END_TEST

START_TEST(a_push_of_the_life_before_is_a_first_step_that_does_not_count) {
    join(ASYNC);
    ck_assert_int_eq(reset(&a, 1, (struct counts){1, {{1, 9}}}), WIRE_ACK);
    ck_assert_int_eq(push(&b, 1, 5, 1, 9), WIRE_ACK);
    ck_assert(pull(&b, 1, 5) == 9.0f);
    ck_assert_uint_eq(facts(1).steps, 0);
}
END_TEST

START_TEST(two_resets_count_the_same_in_either_order) {
    for (int order = 0; order < 2; order++) {
        join(ASYNC);
        ck_assert_int_eq(push(&a, 1, 5, 1, 8), WIRE_ACK);
        struct counts early = {1, {{0, 5}}}, late = {1, {{0, 7}}};
        ck_assert_int_eq(reset(&a, 1, order == 0 ? early : late), WIRE_ACK);
        ck_assert_int_eq(reset(&b, 1, order == 0 ? late : early), WIRE_ACK);
        ck_assert_uint_eq(facts(1).steps, 1);
        teardown();
        setup();
    }
}
END_TEST

START_TEST(a_reset_table_is_frozen_if_its_spec_says_so) {
    join(ASYNC);
    struct spec s = tens();
    s.frozen = 1;
    ck_assert_int_eq(talker_open(&a, "frozen", &s), WIRE_OPENED);
    ck_assert_int_eq(talker_freeze(&a, 1, ROWS, 0, false), WIRE_ACK);
    ck_assert_int_eq(talker_freeze(&a, 2, ROWS, 0, true), WIRE_ACK);
    ck_assert_int_eq(reset(&a, 1, (struct counts){0}), WIRE_ACK);
    ck_assert_int_eq(reset(&a, 2, (struct counts){0}), WIRE_ACK);
    ck_assert_uint_eq(facts(1).frozen, 0);
    ck_assert_uint_eq(facts(2).frozen, 1);
}
END_TEST

START_TEST(a_repeated_reset_is_acked_and_not_applied) {
    join(ASYNC);
    struct talker before = a;
    ck_assert_int_eq(reset(&a, 1, (struct counts){0}), WIRE_ACK);
    ck_assert_int_eq(push(&a, 1, 5, 1, 1), WIRE_ACK);
    ck_assert_int_eq(reset(&before, 1, (struct counts){1, {{0, 1}}}), WIRE_ACK); /* redone later */
    ck_assert(pull(&a, 1, 5) == 9.0f);
    ck_assert_uint_eq(facts(1).steps, 1);
}
END_TEST

START_TEST(counts_of_nobody_are_passed_over) {
    join(ASYNC);
    ck_assert_int_eq(reset(&a, 1, (struct counts){2, {{7, 3}, {WIRE_OBSERVER, 3}}}), WIRE_ACK);
    ck_assert_int_eq(push(&a, 1, 5, 1, 1), WIRE_ACK);
    ck_assert_uint_eq(facts(1).steps, 1);
}
END_TEST

START_TEST(the_life_of_a_table_tells_each_workers_pushes) {
    struct counts c;
    join(ASYNC);
    ck_assert_uint_eq(life(1, &c).count, 0);
    ck_assert_int_eq(push(&b, 1, 5, 1, 3), WIRE_ACK);
    struct msg_life m = life(1, &c);
    ck_assert_uint_eq(m.touched, 1);
    ck_assert_uint_eq(m.steps, 3);
    ck_assert_uint_eq(m.held, 0);
    ck_assert_uint_eq(m.turn, 0);
    ck_assert_uint_eq(c.n, 1);
    ck_assert_uint_eq(c.of[0].rank, 1);
    ck_assert_uint_eq(c.of[0].pushes, 3);
}
END_TEST

/* ---- init ---- */

START_TEST(an_init_overwrites_every_row_and_keeps_optimizer_state_and_t) {
    join(ASYNC);
    ck_assert_int_eq(push(&a, 1, 5, 1, 1), WIRE_ACK);
    ck_assert_int_eq(write(&a, 1, 6, 77), WIRE_ACK);
    ck_assert_int_eq(talker_freeze(&a, 1, ROWS, 0, false), WIRE_ACK);
    ck_assert_int_eq(init(&a, 1, constant(20, 1)), WIRE_ACK);
    for (uint64_t id = 4; id < 7; id++)
        ck_assert(pull(&a, 1, id) == 20.0f);
    struct msg_table_facts f = facts(1);
    ck_assert_uint_eq(f.touched, 2);
    ck_assert_uint_eq(f.steps, 1);
    ck_assert_uint_eq(f.frozen, 1);
    ck_assert_int_eq(talker_freeze(&a, 1, ROWS, 0, true), WIRE_ACK);
    ck_assert_int_eq(push(&a, 1, 5, 1, 2), WIRE_ACK);
    ck_assert(pull(&a, 1, 5) == 18.5f); /* 20 - (0.5 * 1 + 1) */
}
END_TEST

/* One row after the other would tell a table with wrong ids for its rows. */
START_TEST(an_inited_row_is_what_a_new_table_of_that_spec_has) {
    join(ASYNC);
    struct spec s = tens();
    struct msg_init m = {.init = SPEC_NORMAL, .init_arg = {0, 1}, .seed = 7, .turn = 1};
    for (uint64_t id = 0; id < ROWS; id += 3)
        ck_assert_int_eq(write(&a, 1, id, 77), WIRE_ACK);
    ck_assert_int_eq(init(&a, 1, m), WIRE_ACK);
    float want[ROWS];
    for (uint64_t id = 0; id < ROWS; id++)
        want[id] = pull(&a, 1, id);
    teardown();
    setup();
    ck_assert_int_eq(talker_hello(&a, ASYNC, 1), WIRE_WELCOME);
    s.init = SPEC_NORMAL;
    s.init_arg[0] = 0, s.init_arg[1] = 1;
    s.seed = 7;
    ck_assert_int_eq(talker_open(&a, "t", &s), WIRE_OPENED);
    for (uint64_t id = 0; id < ROWS; id++)
        ck_assert(pull(&a, 1, id) == want[id]);
}
END_TEST

START_TEST(an_init_makes_the_padding_row_zeros_again) {
    join(ASYNC);
    struct spec s = tens();
    s.padding_idx = 6;
    ck_assert_int_eq(talker_open(&a, "padded", &s), WIRE_OPENED);
    ck_assert_int_eq(write(&a, 2, 6, 77), WIRE_ACK);
    ck_assert_int_eq(init(&a, 2, constant(20, 1)), WIRE_ACK);
    ck_assert(pull(&a, 2, 5) == 20.0f);
    ck_assert(pull(&a, 2, 6) == 0.0f);
    ck_assert_int_eq(write(&a, 2, 6, 77), WIRE_ACK);
    ck_assert_int_eq(reset(&a, 2, (struct counts){0}), WIRE_ACK);
    ck_assert(pull(&a, 2, 6) == 0.0f);
}
END_TEST

START_TEST(a_table_is_opened_with_its_new_initializer_from_then_on) {
    join(ASYNC);
    struct spec s = tens();
    struct msg_init m = constant(20, 1);
    m.seed = 3;
    ck_assert_int_eq(init(&a, 1, m), WIRE_ACK);
    ck_assert_int_eq(talker_open(&b, "t", &s), WIRE_REFUSE);
    ck_assert_said("has seed 3, not 0");
    s.seed = 3;
    ck_assert_int_eq(talker_open(&b, "t", &s), WIRE_REFUSE);
    ck_assert_said("constant's value 20, not 10");
    s.init_arg[0] = 20;
    ck_assert_int_eq(talker_open(&b, "t", &s), WIRE_OPENED);
}
END_TEST

START_TEST(inits_of_two_workers_end_the_same_in_either_order) {
    for (int order = 0; order < 2; order++) {
        join(ASYNC);
        struct talker *first = order == 0 ? &a : &b, *second = order == 0 ? &b : &a;
        ck_assert_int_eq(init(first, 1, constant(order == 0 ? 20 : 30, 1)), WIRE_ACK);
        ck_assert_int_eq(init(second, 1, constant(order == 0 ? 30 : 20, 1)), WIRE_ACK);
        ck_assert(pull(&a, 1, 5) == 30.0f); /* of equal turns the higher rank */
        ck_assert_int_eq(init(&a, 1, constant(40, 2)), WIRE_ACK);
        ck_assert_int_eq(init(&b, 1, constant(50, 1)), WIRE_ACK);
        ck_assert(pull(&a, 1, 5) == 40.0f);
        struct counts c;
        ck_assert_uint_eq(life(1, &c).turn, 2);
        teardown();
        setup();
    }
}
END_TEST

START_TEST(an_initializer_that_cannot_be_is_refused_and_nothing_has_changed) {
    join(ASYNC);
    ck_assert_int_eq(init(&a, 1, (struct msg_init){.init = SPEC_ORTHOGONAL, .turn = 1}),
                     WIRE_REFUSE);
    ck_assert_said("orthogonal");
    ck_assert_int_eq(init(&a, 1, (struct msg_init){.init = 99, .turn = 1}), WIRE_REFUSE);
    ck_assert_int_eq(init(&a, 1, constant(1.0 / 0.0, 1)), WIRE_REFUSE);
    ck_assert(pull(&a, 1, 5) == 10.0f);
}
END_TEST

/* ---- drop ---- */

START_TEST(whoever_names_a_dropped_table_is_told_who_dropped_it_and_goes_on) {
    join(ASYNC);
    struct spec s = tens();
    ck_assert_int_eq(talker_open(&a, "u", &s), WIRE_OPENED);
    ck_assert_int_eq(push(&a, 1, 5, 1, 1), WIRE_ACK);
    ck_assert_int_eq(push(&a, 2, 5, 1, 1), WIRE_ACK);
    ck_assert_int_eq(drop(&b, 1), WIRE_ACK);
    ck_assert_int_eq(push(&a, 1, 5, 1, 2), WIRE_REFUSE);
    ck_assert_said("table \"t\" was dropped by worker 1");
    ck_assert_int_eq(write(&a, 1, 5, 1), WIRE_REFUSE);
    ck_assert_said("dropped by worker 1");
    ck_assert_int_eq(talker_freeze(&a, 1, ROWS, 0, false), WIRE_REFUSE);
    ck_assert_said("dropped by worker 1");
    ck_assert_int_eq(reset(&a, 1, (struct counts){0}), WIRE_REFUSE);
    ck_assert_said("dropped by worker 1");
    ck_assert_int_eq(init(&a, 1, constant(1, 1)), WIRE_REFUSE);
    ck_assert_said("dropped by worker 1");
    ck_assert_int_eq(drop(&a, 1), WIRE_REFUSE);
    ck_assert_said("dropped by worker 1");
    ck_assert(pull(&a, 1, 5) == -998.0f);
    ck_assert_said("dropped by worker 1");
    ck_assert_int_eq(tick(&a, 1, 1, 2), WIRE_ACK);
    ck_assert_int_eq(push(&a, 2, 5, 1, 2), WIRE_ACK);
    ck_assert(pull(&a, 2, 5) == 7.5f);
}
END_TEST

START_TEST(the_refusal_is_enotfound_which_ends_no_session) {
    join(ASYNC);
    ck_assert_int_eq(drop(&b, 1), WIRE_ACK);
    float one[DIM] = {1, 1};
    uint64_t id = 5;
    struct msg_section sec = {.table = 1, .count = 1, .lr = 1, .pushes = 1};
    uint8_t room[128], *ids, *rows;
    struct buf body;
    buf_wrap(&body, room, sizeof room);
    buf_put_u64(&body, msg_digest(0, 1, 1, (const uint8_t *)&id));
    msg_put_section(&body, WIRE_PUSH, &sec, DIM, &ids, &rows);
    memcpy(ids, &id, sizeof id);
    memcpy(rows, one, sizeof one);
    struct opnum prev = a.last;
    a.last = (struct opnum){0, ++a.head.num.call, 0};
    struct head h;
    for (int repeat = 0; repeat < 2; repeat++) {
        talker_send(&a, WIRE_PUSH, 0, a.last, prev, 1, &body);
        ck_assert_int_eq(talker_answer(&a, &h, 0, NULL), WIRE_REFUSE);
        ck_assert_int_eq(h.status, RH_ENOTFOUND);
    }
    struct rd r;
    struct frame *f;
    ck_assert_int_eq(ask(1 + 1, &r, &f), RH_ENOTFOUND);
    frame_unref(f);
    ck_assert_int_eq(ask(MSG_ASK_LIFE | 1, &r, &f), RH_ENOTFOUND);
    frame_unref(f);
}
END_TEST

START_TEST(a_dropped_name_is_free_and_its_number_is_not) {
    join(ASYNC);
    ck_assert_int_eq(push(&a, 1, 5, 1, 1), WIRE_ACK);
    ck_assert_int_eq(drop(&a, 1), WIRE_ACK);
    struct spec s = tens();
    s.rows = 50;
    ck_assert_int_eq(talker_open(&b, "t", &s), WIRE_OPENED);
    ck_assert(pull(&b, 2, 5) == 10.0f);
    ck_assert_uint_eq(facts(2).steps, 0);
    ck_assert_int_eq(open_as(&b, 1, "t"), WIRE_REFUSE);
    ck_assert_said("dropped by worker 0");
}
END_TEST

START_TEST(a_worker_that_runs_ahead_and_drops_takes_no_name_from_those_behind) {
    join(BSP);
    struct spec s = tens();
    ck_assert_int_eq(tick(&b, 0, 0, 0), WIRE_ACK); /* b is in clock 1, a still in 0 */
    ck_assert_int_eq(drop(&b, 1), WIRE_ACK);
    ck_assert_int_eq(talker_open(&a, "t", &s), WIRE_OPENED);
    struct rd r;
    struct frame *f;
    ck_assert_int_eq(ask(1 + 2, &r, &f), RH_ENOTFOUND); /* no second table was made for a */
    frame_unref(f);
    ck_assert_int_eq(push(&a, 1, 5, 1, 1), WIRE_ACK);
    ck_assert_int_eq(talker_open(&b, "t", &s), WIRE_OPENED);
    ck_assert_int_eq(push(&b, 2, 5, 1, 1), WIRE_ACK);
    ck_assert_int_eq(tick(&b, 2, 1, 1), WIRE_ACK);
    ck_assert_int_eq(tick(&a, 1, 1, 1), WIRE_ACK);
    ck_assert_uint_eq(facts(1).steps, 1); /* of clock 0: one table of the name is no other */
    ck_assert_int_eq(tick(&a, 0, 0, 0), WIRE_ACK);
    ck_assert_uint_eq(facts(2).steps, 1);
    ck_assert_int_eq(talker_open(&a, "t", &s), WIRE_OPENED);
    ck_assert(pull(&a, 2, 5) == 9.0f);
    ck_assert_int_eq(push(&a, 1, 5, 1, 1), WIRE_REFUSE);
    ck_assert_said("dropped by worker 1");
}
END_TEST

START_TEST(a_repeated_drop_is_acked_and_drops_nothing_else) {
    join(ASYNC);
    struct spec s = tens();
    struct talker before = a;
    ck_assert_int_eq(drop(&a, 1), WIRE_ACK);
    ck_assert_int_eq(talker_open(&a, "t", &s), WIRE_OPENED);
    ck_assert_int_eq(push(&a, 2, 5, 1, 1), WIRE_ACK);
    ck_assert_int_eq(drop(&before, 1), WIRE_ACK);
    ck_assert(pull(&a, 2, 5) == 9.0f);
}
END_TEST

START_TEST(a_repeated_open_of_a_table_that_was_dropped_makes_nothing) {
    join(ASYNC);
    struct spec s = tens();
    struct talker before = a;
    ck_assert_int_eq(talker_open(&a, "u", &s), WIRE_OPENED);
    ck_assert_int_eq(drop(&b, 2), WIRE_ACK);
    ck_assert_int_eq(talker_open(&before, "u", &s), WIRE_REFUSE);
    ck_assert_said("worker 1 has dropped it");
    ck_assert_int_eq(talker_open(&a, "v", &s), WIRE_OPENED);
    ck_assert_str_eq(facts(3).name, "v");
}
END_TEST

START_TEST(an_open_may_come_before_the_drop_that_made_its_name_free) {
    join(ASYNC);
    ck_assert_int_eq(push(&a, 1, 5, 1, 1), WIRE_ACK);
    ck_assert_int_eq(open_as(&b, 2, "t"), WIRE_OPENED);
    ck_assert_int_eq(push(&b, 2, 5, 2, 1), WIRE_ACK);
    ck_assert_int_eq(drop(&a, 1), WIRE_ACK);
    ck_assert(pull(&b, 2, 5) == 8.0f);
    /* but no number that is older than the one that is here */
    ck_assert_int_eq(open_as(&b, 4, "u"), WIRE_OPENED);
    ck_assert_int_eq(open_as(&b, 3, "u"), WIRE_REFUSE);
    ck_assert_said("is number 4 here, not 3");
}
END_TEST

START_TEST(a_table_that_nobody_opened_is_another_matter) {
    join(ASYNC);
    ck_assert_int_eq(drop(&a, 2), WIRE_REFUSE);
    ck_assert_said("not opened");
    ck_assert_int_eq(reset(&a, 2, (struct counts){0}), WIRE_REFUSE);
    ck_assert_said("not opened");
    ck_assert_int_eq(init(&a, 0, constant(1, 1)), WIRE_REFUSE);
    ck_assert_said("not opened");
    uint8_t room[8];
    struct buf body;
    buf_wrap(&body, room, sizeof room);
    msg_put_reset(&body, &(struct msg_reset){1, UINT32_MAX});
    ck_assert_int_eq(talker_op(&a, WIRE_RESET, 0, 0, &body), WIRE_REFUSE);
    ck_assert_said("cannot be read");
    ck_assert_int_eq(tick(&a, 2, 1, 1), WIRE_REFUSE);
}
END_TEST

/* ---- under bsp ---- */

START_TEST(bsp_resets_at_the_close_before_the_pushes) {
    join(BSP);
    ck_assert_int_eq(push(&a, 1, 5, 1, 1), WIRE_ACK);
    ck_assert_int_eq(tick(&a, 1, 1, 1), WIRE_ACK);
    ck_assert_int_eq(tick(&b, 0, 0, 0), WIRE_ACK);
    ck_assert_int_eq(push(&b, 1, 5, 3, 1), WIRE_ACK);
    ck_assert_int_eq(reset(&a, 1, (struct counts){0}), WIRE_ACK);
    ck_assert(pull(&a, 1, 5) == 9.0f);
    ck_assert_int_eq(tick(&a, 1, 0, 1), WIRE_ACK);
    ck_assert_int_eq(tick(&b, 1, 1, 1), WIRE_ACK);
    ck_assert(pull(&a, 1, 5) == 7.0f); /* 10 - 3, without momentum */
    ck_assert_uint_eq(facts(1).steps, 1);
}
END_TEST

START_TEST(bsp_orders_writes_resets_and_inits_by_rank) {
    join(BSP);
    ck_assert_int_eq(write(&b, 1, 5, 3), WIRE_ACK);
    ck_assert_int_eq(write(&a, 1, 6, 3), WIRE_ACK);
    ck_assert_int_eq(reset(&a, 1, (struct counts){0}), WIRE_ACK);
    ck_assert_int_eq(init(&b, 1, constant(30, 1)), WIRE_ACK);
    ck_assert_int_eq(init(&b, 1, constant(40, 1)), WIRE_ACK); /* turns are not looked at */
    ck_assert_int_eq(init(&a, 1, constant(20, 9)), WIRE_ACK);
    ck_assert_int_eq(write(&b, 1, 7, 5), WIRE_ACK);
    tick_both();
    ck_assert(pull(&a, 1, 5) == 40.0f);
    ck_assert(pull(&a, 1, 6) == 40.0f);
    ck_assert(pull(&a, 1, 7) == 5.0f);
}
END_TEST

START_TEST(bsp_leaves_out_what_is_held_for_a_dropped_table_and_applies_the_rest) {
    join(BSP);
    struct spec s = tens();
    ck_assert_int_eq(talker_open(&a, "u", &s), WIRE_OPENED);
    /* one op on both tables: the first will go */
    float rows[2][DIM] = {{1, 1}, {4, 4}};
    uint64_t ids[2] = {5, 5}, digest = 0;
    uint8_t room[256], *ids_at, *rows_at;
    for (int kind = WIRE_PUSH; kind <= WIRE_WRITE; kind++) {
        struct buf body;
        buf_wrap(&body, room, sizeof room);
        buf_put_u64(&body, digest);
        for (uint32_t i = 0; i < 2; i++) {
            struct msg_section sec = {.table = 1 + i, .count = 1, .lr = 1, .pushes = 1};
            msg_put_section(&body, kind, &sec, DIM, &ids_at, &rows_at);
            memcpy(ids_at, &ids[i], sizeof *ids);
            memcpy(rows_at, rows[i], sizeof *rows);
        }
        ck_assert_int_eq(talker_op(&b, (uint8_t)kind, 0, 2, &body), WIRE_ACK);
    }
    ck_assert_int_eq(talker_freeze(&b, 1, ROWS, 0, false), WIRE_ACK);
    ck_assert_int_eq(reset(&b, 1, (struct counts){0}), WIRE_ACK);
    ck_assert_int_eq(drop(&b, 1), WIRE_ACK);
    ck_assert_int_eq(drop(&a, 1), WIRE_ACK); /* rank 0 comes first */
    ck_assert(pull(&b, 1, 5) == 10.0f);      /* it is there until the close */
    ck_assert_int_eq(tick(&a, 1, 0, 0), WIRE_ACK);
    ck_assert_int_eq(tick(&b, 2, 1, 1), WIRE_ACK);
    ck_assert(pull(&b, 2, 5) == 0.0f); /* written 4, pushed 4 */
    ck_assert(pull(&b, 1, 5) == -998.0f);
    ck_assert_said("dropped by worker 0");
}
END_TEST

START_TEST(bsp_forgets_what_a_worker_ahead_has_pushed_to_a_table_that_is_dropped_behind_it) {
    join(BSP);
    ck_assert_int_eq(tick(&b, 0, 0, 0), WIRE_ACK);
    ck_assert_int_eq(push(&b, 1, 5, 1, 1), WIRE_ACK);
    ck_assert_int_eq(tick(&b, 1, 1, 1), WIRE_ACK);
    ck_assert_int_eq(drop(&a, 1), WIRE_ACK);
    ck_assert_int_eq(tick(&a, 0, 0, 0), WIRE_ACK);
    ck_assert_int_eq(tick(&a, 0, 0, 0), WIRE_ACK);
    ck_assert(pull(&a, 1, 5) == -998.0f);
    ck_assert_int_eq(push(&b, 1, 5, 1, 2), WIRE_REFUSE);
    ck_assert_said("dropped by worker 0");
    ck_assert_int_eq(tick(&b, 1, 1, 2), WIRE_ACK);
    ck_assert_int_eq(tick(&a, 0, 0, 0), WIRE_ACK);
    struct spec s = tens();
    ck_assert_int_eq(talker_open(&a, "t", &s), WIRE_OPENED);
    ck_assert(pull(&a, 2, 5) == 10.0f);
}
END_TEST

START_TEST(bsp_frees_the_name_before_the_clock_closes) {
    join(BSP);
    struct spec s = tens();
    s.rows = 50;
    ck_assert_int_eq(drop(&a, 1), WIRE_ACK);
    ck_assert_int_eq(talker_open(&a, "t", &s), WIRE_OPENED);
    ck_assert_int_eq(push(&a, 2, 5, 1, 1), WIRE_ACK);
    ck_assert_int_eq(tick(&a, 2, 1, 1), WIRE_ACK);
    ck_assert_int_eq(tick(&b, 0, 0, 0), WIRE_ACK);
    ck_assert(pull(&a, 2, 5) == 9.0f);
    ck_assert_int_eq(talker_open(&b, "t", &s), WIRE_OPENED);
    ck_assert_str_eq(facts(2).name, "t");
}
END_TEST

START_TEST(bsp_drops_nothing_for_a_worker_that_died_in_the_clock) {
    join(BSP);
    ck_assert_int_eq(drop(&b, 1), WIRE_ACK);
    struct talker heir;
    talker_init(&heir, shard, &net, 1);
    heir.now_ms = 60000;
    heir.head.num.call = 99;
    ck_assert_int_eq(talker_hello(&heir, BSP, 2), WIRE_WELCOME);
    heir.head.num.clock = 1;
    ck_assert_int_eq(tick(&a, 0, 0, 0), WIRE_ACK);
    ck_assert(pull(&heir, 1, 5) == 10.0f);
    struct spec s = tens();
    ck_assert_int_eq(talker_open(&heir, "t", &s), WIRE_OPENED);
    ck_assert_str_eq(facts(1).name, "t");
}
END_TEST

START_TEST(bsp_tells_how_many_rows_are_held) {
    struct counts c;
    join(BSP);
    ck_assert_int_eq(push(&a, 1, 5, 1, 1), WIRE_ACK);
    ck_assert_int_eq(write(&b, 1, 6, 1), WIRE_ACK);
    ck_assert_uint_eq(life(1, &c).held, 2);
    ck_assert_uint_eq(life(1, &c).touched, 0);
    ck_assert_int_eq(tick(&a, 1, 1, 1), WIRE_ACK);
    ck_assert_int_eq(tick(&b, 0, 0, 0), WIRE_ACK);
    ck_assert_uint_eq(life(1, &c).held, 0);
    ck_assert_uint_eq(life(1, &c).touched, 2);
}
END_TEST

Suite *reset_suite(void) {
    Suite *suite = suite_create("reset");
    TCase *tc = tcase_create("reset");
    tcase_add_checked_fixture(tc, setup, teardown);
    tcase_add_test(tc, a_reset_table_is_as_if_never_touched);
    tcase_add_test(tc, t_begins_anew_by_what_any_shard_has_seen);
    tcase_add_test(tc, a_push_of_the_life_before_is_a_first_step_that_does_not_count);
    tcase_add_test(tc, two_resets_count_the_same_in_either_order);
    tcase_add_test(tc, a_reset_table_is_frozen_if_its_spec_says_so);
    tcase_add_test(tc, a_repeated_reset_is_acked_and_not_applied);
    tcase_add_test(tc, counts_of_nobody_are_passed_over);
    tcase_add_test(tc, the_life_of_a_table_tells_each_workers_pushes);
    tcase_add_test(tc, an_init_overwrites_every_row_and_keeps_optimizer_state_and_t);
    tcase_add_test(tc, an_inited_row_is_what_a_new_table_of_that_spec_has);
    tcase_add_test(tc, an_init_makes_the_padding_row_zeros_again);
    tcase_add_test(tc, a_table_is_opened_with_its_new_initializer_from_then_on);
    tcase_add_test(tc, inits_of_two_workers_end_the_same_in_either_order);
    tcase_add_test(tc, an_initializer_that_cannot_be_is_refused_and_nothing_has_changed);
    tcase_add_test(tc, whoever_names_a_dropped_table_is_told_who_dropped_it_and_goes_on);
    tcase_add_test(tc, the_refusal_is_enotfound_which_ends_no_session);
    tcase_add_test(tc, a_dropped_name_is_free_and_its_number_is_not);
    tcase_add_test(tc, a_worker_that_runs_ahead_and_drops_takes_no_name_from_those_behind);
    tcase_add_test(tc, a_repeated_drop_is_acked_and_drops_nothing_else);
    tcase_add_test(tc, a_repeated_open_of_a_table_that_was_dropped_makes_nothing);
    tcase_add_test(tc, an_open_may_come_before_the_drop_that_made_its_name_free);
    tcase_add_test(tc, a_table_that_nobody_opened_is_another_matter);
    tcase_add_test(tc, bsp_resets_at_the_close_before_the_pushes);
    tcase_add_test(tc, bsp_orders_writes_resets_and_inits_by_rank);
    tcase_add_test(tc, bsp_leaves_out_what_is_held_for_a_dropped_table_and_applies_the_rest);
    tcase_add_test(tc,
                   bsp_forgets_what_a_worker_ahead_has_pushed_to_a_table_that_is_dropped_behind_it);
    tcase_add_test(tc, bsp_frees_the_name_before_the_clock_closes);
    tcase_add_test(tc, bsp_drops_nothing_for_a_worker_that_died_in_the_clock);
    tcase_add_test(tc, bsp_tells_how_many_rows_are_held);
    suite_add_tcase(suite, tc);
    return suite;
}
