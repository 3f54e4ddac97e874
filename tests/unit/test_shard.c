/* test_shard.c - a shard, spoken to frame by frame: who is let in, what is taken, what waits, and what is refused unchanged. */
#include <check.h>
#include <string.h>

#include "ps/shard_inner.h"
#include "tests/support/talker.h"
#include "tests/unit/suites.h"

enum { ASYNC = 1, SSP = 2, BSP = 3, DIM = 2 };

static struct memory_net net;
static struct shard *shard;
static struct talker a, b; /* ranks 0 and 1 */

static void start(uint32_t world) {
    struct shard_config c;
    shard_config_init(&c);
    c.incarnation = 42;
    c.world = world;
    memory_net_init(&net);
    ck_assert_int_eq(shard_new(&c, &net.net, &shard), RH_OK);
    talker_init(&a, shard, &net, 0);
    talker_init(&b, shard, &net, 1);
}

static void setup(void) {
    start(0);
}

static void teardown(void) {
    shard_free(&shard);
    memory_net_fini(&net);
}

static struct spec zeros(uint64_t rows) {
    return (struct spec){.kind = SPEC_DENSE,
                         .dim = DIM,
                         .rows = rows,
                         .init = SPEC_ZEROS,
                         .opt = SPEC_SGD,
                         .lr = 1.0,
                         .padding_idx = SPEC_NO_PADDING};
}

static void join(struct talker *t, uint32_t mode, uint32_t world) {
    ck_assert_int_eq(talker_hello(t, mode, world), WIRE_WELCOME);
}

static void open_table(struct talker *t) {
    struct spec s = zeros(100);
    ck_assert_int_eq(talker_open(t, "t", &s), WIRE_OPENED);
}

static int push1(struct talker *t, uint64_t id, float x, uint64_t pushes) {
    float g[DIM] = {x, x};
    return talker_push(t, 1, 1, &id, DIM, g, pushes);
}

/* The first number of a row, or -999 if there is no answer yet. */
static float pull1(struct talker *t, uint64_t id) {
    float row[DIM];
    return talker_pull(t, 1, 1, &id, DIM, row) == WIRE_ROWS ? row[0] : -999.0f;
}

static float taken(struct talker *t) {
    struct head h;
    float row[DIM];
    return talker_answer(t, &h, DIM, row) == WIRE_ROWS ? row[0] : -999.0f;
}

/* ---- hello ---- */

START_TEST(a_worker_is_welcomed_and_gets_an_incarnation) {
    join(&a, ASYNC, 1);
    ck_assert_uint_eq(a.head.worker_inc, 1);
    ck_assert_uint_eq(a.head.server_inc, 42);
}
END_TEST

START_TEST(a_repeated_hello_is_the_same_client) {
    uint32_t nonce = a.head.num.call;
    join(&a, ASYNC, 1);
    a.head.worker_inc = 0;
    a.head.num.call = nonce;
    join(&a, ASYNC, 1);
    ck_assert_uint_eq(a.head.worker_inc, 1);
}
END_TEST

START_TEST(who_succeeds_a_dead_client_is_let_in_at_once) {
    join(&a, ASYNC, 1);
    struct talker next, one_more;
    talker_init(&next, shard, &net, 0);
    next.head.num.call = 4711;
    next.life = 1;
    join(&next, ASYNC, 1);
    ck_assert_uint_eq(next.head.worker_inc, 2);
    struct spec s = zeros(100);
    ck_assert_int_eq(talker_open(&a, "t", &s), WIRE_REFUSE);
    ck_assert_ptr_nonnull(strstr(talker_refusal(), "newer client"));
    /* but not another client of the same process, nor of one before */
    talker_init(&one_more, shard, &net, 0);
    one_more.head.num.call = 4712;
    for (one_more.life = 0; one_more.life <= 1; one_more.life++)
        ck_assert_int_eq(talker_hello(&one_more, ASYNC, 1), WIRE_REFUSE);
    ck_assert_ptr_nonnull(strstr(talker_refusal(), "rank 0 is taken"));
    join(&one_more, ASYNC, 1);
    ck_assert_uint_eq(one_more.head.worker_inc, 3);
}
END_TEST

/* Its chain begins at the first number again, which the session before would take for a repeat. */
START_TEST(a_client_that_joins_anew_is_another_incarnation_and_its_late_hello_is_not) {
    const struct head hello = a.head;
    struct spec s = zeros(100);
    join(&a, ASYNC, 1);
    ck_assert_int_eq(talker_open(&a, "t", &s), WIRE_OPENED);
    ck_assert_int_eq(push1(&a, 5, 4, 1), WIRE_ACK);
    a.head = hello;
    a.head.num.part = 1;
    join(&a, ASYNC, 1);
    ck_assert_uint_eq(a.head.worker_inc, 2);
    a.head.num.clock = a.welcome.clock;
    ck_assert_int_eq(talker_open(&a, "t", &s), WIRE_OPENED);
    ck_assert_int_eq(push1(&a, 5, 4, 2), WIRE_ACK);
    ck_assert(pull1(&a, 5) == -8.0f);
    a.head = hello; /* the first one, come once more */
    join(&a, ASYNC, 1);
    ck_assert_uint_eq(a.head.worker_inc, 2);
}
END_TEST

/* Its session would have nobody: under bsp the others would wait for it for ever. */
START_TEST(a_hello_that_comes_behind_its_clients_goodbye_brings_nobody_back) {
    struct head hello = b.head;
    join(&a, BSP, 2);
    join(&b, BSP, 2);
    struct head late = b.head;
    late.num.call = hello.num.call;
    open_table(&a);
    ck_assert_int_eq(talker_end(&b, WIRE_BYE, 0, 0, 0, 0), WIRE_ACK);
    b.head = hello; /* as the lead may get it: without an incarnation */
    ck_assert_int_eq(talker_hello(&b, BSP, 2), WIRE_REFUSE);
    ck_assert_ptr_nonnull(strstr(talker_refusal(), "worker 1 has said goodbye"));
    b.head = late; /* and as another shard may */
    ck_assert_int_eq(talker_hello(&b, BSP, 2), WIRE_REFUSE);
    ck_assert_int_eq(push1(&a, 5, 4, 1), WIRE_ACK);
    ck_assert_int_eq(talker_end(&a, WIRE_TICK, 1, 1, 1.0, 1), WIRE_ACK);
    ck_assert(pull1(&a, 5) == -4.0f);
}
END_TEST

/* It was under way for long, and the client is at work since its first welcome. */
START_TEST(a_hello_that_is_repeated_late_clears_nothing) {
    for (uint32_t inc = 0; inc <= 1; inc++) { /* as the lead hears it, and as the other shards do */
        struct talker late = a;
        join(&a, ASYNC, 1);
        open_table(&a);
        struct talker before = a;
        ck_assert_int_eq(push1(&a, 7, 1, 1), WIRE_ACK);
        late.head.worker_inc = inc;
        join(&late, ASYNC, 1);
        ck_assert_uint_eq(late.head.worker_inc, 1);
        ck_assert_int_eq(push1(&before, 7, 1, 1), WIRE_ACK);
        ck_assert(pull1(&a, 7) == -1.0f);
        ck_assert_int_eq(push1(&a, 7, 1, 2), WIRE_ACK);
        ck_assert(pull1(&a, 7) == -2.0f);
        teardown();
        setup();
    }
}
END_TEST

START_TEST(workers_256_ranks_apart_are_two) {
    struct talker far;
    talker_init(&far, shard, &net, 256);
    join(&a, ASYNC, 300);
    join(&far, ASYNC, 300);
    open_table(&a);
    open_table(&far);
    ck_assert_int_eq(push1(&a, 7, 1, 1), WIRE_ACK);
    ck_assert_int_eq(push1(&far, 7, 2, 1), WIRE_ACK);
    ck_assert(pull1(&a, 7) == -3.0f);
}
END_TEST

/* The state of the welcome to the next client of rank 0. */
static uint32_t welcomed_as(struct talker *t, uint32_t nonce, uint16_t life) {
    talker_init(t, shard, &net, 0);
    t->head.num.call = nonce;
    t->life = life;
    t->now_ms = a.now_ms;
    join(t, ASYNC, 1);
    t->head.num.clock = t->welcome.clock;
    return t->welcome.state;
}

START_TEST(a_successor_is_told_of_what_it_will_do_again) {
    struct talker t;
    join(&a, ASYNC, 1);
    ck_assert_uint_eq(welcomed_as(&t, 1, 1), MSG_WHOLE); /* nothing was done */
    open_table(&t);
    ck_assert_int_eq(push1(&t, 7, 1, 1), WIRE_ACK);
    ck_assert_uint_eq(welcomed_as(&t, 2, 2), MSG_REDONE);
    ck_assert_uint_eq(welcomed_as(&t, 2, 2), MSG_REDONE); /* its hello, once more */
    ck_assert_uint_eq(welcomed_as(&t, 3, 3), MSG_REDONE); /* one that has not seen to it */
    a.now_ms += 10000;
    ck_assert_uint_eq(welcomed_as(&t, 4, 0), MSG_WHOLE); /* nobody counts */
}
END_TEST

START_TEST(who_has_said_goodbye_and_died_is_succeeded_too) {
    struct talker t;
    join(&a, ASYNC, 1);
    ck_assert_int_eq(talker_end(&a, WIRE_BYE, 0, 0, 0, 0), WIRE_ACK); /* it has only looked in */
    ck_assert_uint_eq(welcomed_as(&t, 1, 1), MSG_WHOLE);
    open_table(&t);
    ck_assert_int_eq(talker_end(&t, WIRE_BYE, 0, 0, 0, 0), WIRE_ACK);
    ck_assert_uint_eq(welcomed_as(&t, 2, 1), MSG_WHOLE); /* the same process, once more */
    ck_assert_uint_eq(welcomed_as(&t, 3, 2), MSG_REDONE);
}
END_TEST

START_TEST(a_rank_that_is_taken_is_refused_until_it_falls_silent) {
    join(&a, ASYNC, 1);
    struct talker other;
    talker_init(&other, shard, &net, 0);
    other.head.num.call = 4711;
    ck_assert_int_eq(talker_hello(&other, ASYNC, 1), WIRE_REFUSE);
    ck_assert_ptr_nonnull(strstr(talker_refusal(), "rank 0 is taken"));
    other.now_ms = 1000 + 10000;
    join(&other, ASYNC, 1);
    ck_assert_uint_eq(other.head.worker_inc, 2);
    /* and the old one is fenced off */
    struct spec s = zeros(100);
    ck_assert_int_eq(talker_open(&a, "t", &s), WIRE_REFUSE);
    ck_assert_ptr_nonnull(strstr(talker_refusal(), "newer client"));
}
END_TEST

START_TEST(another_mode_or_world_is_a_mismatch_that_says_both) {
    join(&a, ASYNC, 2);
    ck_assert_int_eq(talker_hello(&b, BSP, 2), WIRE_REFUSE);
    ck_assert_ptr_nonnull(strstr(talker_refusal(), "mode async, worker 1 asks for bsp"));
    ck_assert_int_eq(talker_hello(&b, ASYNC, 3), WIRE_REFUSE);
    ck_assert_ptr_nonnull(strstr(talker_refusal(), "has 2 workers, worker 1 says 3"));
    join(&b, ASYNC, 2);
}
END_TEST

START_TEST(a_staleness_belongs_to_ssp_and_to_the_job) {
    a.staleness = 3;
    ck_assert_int_eq(talker_hello(&a, ASYNC, 2), WIRE_REFUSE);
    ck_assert_ptr_nonnull(strstr(talker_refusal(), "async with a staleness of 3"));
    join(&a, SSP, 2);
    b.staleness = 2;
    ck_assert_int_eq(talker_hello(&b, SSP, 2), WIRE_REFUSE);
    ck_assert_ptr_nonnull(strstr(talker_refusal(), "mode ssp:3, worker 1 asks for ssp:2"));
    b.staleness = 3;
    join(&b, SSP, 2);
    ck_assert_int_eq(talker_hello(&a, 4, 2), WIRE_REFUSE);
    ck_assert_ptr_nonnull(strstr(talker_refusal(), "mode 4"));
}
END_TEST

START_TEST(a_rank_beyond_the_world_is_refused) {
    ck_assert_int_eq(talker_hello(&b, ASYNC, 1), WIRE_REFUSE);
    ck_assert_ptr_nonnull(strstr(talker_refusal(), "rank 1 in a job of 1"));
}
END_TEST

START_TEST(a_shard_that_is_called_by_another_number_says_who_it_is) {
    uint8_t room[64];
    struct buf body;
    buf_wrap(&body, room, sizeof room);
    msg_put_hello(&body, &(struct msg_hello){.shard = 1, .shards = 2, .mode = ASYNC, .world = 1});
    talker_send(&a, WIRE_HELLO, 0, (struct opnum){0, 1, 0}, (struct opnum){0}, 0, &body);
    struct head h;
    ck_assert_int_eq(talker_answer(&a, &h, 0, NULL), WIRE_REFUSE);
    ck_assert_int_eq(h.status, RH_EMISMATCH);
    ck_assert_ptr_nonnull(strstr(talker_refusal(), "shard 0 of 1"));
}
END_TEST

START_TEST(another_job_is_fenced_off) {
    a.head.job = 1;
    ck_assert_int_eq(talker_hello(&a, ASYNC, 1), WIRE_REFUSE);
    ck_assert_ptr_nonnull(strstr(talker_refusal(), "another job"));
}
END_TEST

START_TEST(another_protocol_version_is_told_so) {
    uint8_t raw[WIRE_HEAD] = {0};
    struct head h = {.version = WIRE_VERSION, .kind = WIRE_HELLO};
    wire_seal(raw, &h);
    raw[4] = 9;
    struct frame *f = frame_new(net.net.pool, sizeof raw);
    memcpy(f->data, raw, sizeof raw);
    shard_frame(shard, 1, f, 0);
    frame_unref(f);
    ck_assert_int_eq(talker_answer(&a, &h, 0, NULL), WIRE_REFUSE);
    ck_assert_int_eq(h.status, RH_EVERSION);
    ck_assert_ptr_nonnull(strstr(talker_refusal(), "version 1, the caller 9"));
}
END_TEST

START_TEST(who_has_not_said_hello_is_fenced_off) {
    a.head.server_inc = 42;
    a.head.worker_inc = 1;
    ck_assert_int_eq(push1(&a, 1, 1, 1), WIRE_REFUSE);
    ck_assert_ptr_nonnull(strstr(talker_refusal(), "hello first"));
}
END_TEST

/* Its client looks at the other shards still, while another one has brought the job back. */
START_TEST(who_was_welcomed_by_a_pending_lead_is_told_to_say_hello_again) {
    join(&a, ASYNC, 2);
    b.head.server_inc = 42;
    b.head.num.call = 1;
    talker_send(&b, WIRE_BEAT, 0, b.head.num, (struct opnum){0}, 0, NULL);
    struct head h;
    ck_assert_int_eq(talker_answer(&b, &h, 0, NULL), WIRE_REFUSE);
    ck_assert_int_eq(h.status, RH_EROLLBACK);
    ck_assert_ptr_nonnull(strstr(talker_refusal(), "hello again"));
}
END_TEST

START_TEST(a_frame_for_an_earlier_life_of_the_shard_is_told_of_the_rollback) {
    join(&a, ASYNC, 1);
    a.head.server_inc = 41;
    ck_assert_int_eq(push1(&a, 1, 1, 1), WIRE_REFUSE);
    ck_assert_ptr_nonnull(strstr(talker_refusal(), "restarted"));
}
END_TEST

START_TEST(an_observers_frame_too_and_the_refusal_names_the_life_that_was_asked) {
    struct talker o;
    struct head h;
    talker_init(&o, shard, &net, WIRE_OBSERVER);
    o.head.server_inc = 41;
    talker_send(&o, WIRE_BEAT, 0, (struct opnum){0, 9, 0}, o.last, 0, NULL);
    ck_assert_int_eq(talker_answer(&o, &h, 0, NULL), WIRE_REFUSE);
    ck_assert_uint_eq(h.status, RH_EROLLBACK);
    ck_assert_uint_eq(h.server_inc, 41);
}
END_TEST

START_TEST(an_observer_looks_and_cannot_change) {
    join(&a, ASYNC, 1);
    open_table(&a);
    ck_assert_int_eq(push1(&a, 3, -5, 1), WIRE_ACK);
    struct talker o;
    talker_init(&o, shard, &net, WIRE_OBSERVER);
    ck_assert(pull1(&o, 3) == 5.0f);
    ck_assert_int_eq(push1(&o, 3, 1, 1), WIRE_REFUSE);
    ck_assert_ptr_nonnull(strstr(talker_refusal(), "look, not change"));
}
END_TEST

/* ---- ops ---- */

START_TEST(a_push_is_seen_by_the_next_pull) {
    join(&a, ASYNC, 1);
    open_table(&a);
    ck_assert_int_eq(push1(&a, 99, 2, 1), WIRE_ACK);
    ck_assert(pull1(&a, 99) == -2.0f);
    ck_assert(pull1(&a, 98) == 0.0f);
}
END_TEST

START_TEST(a_frame_without_a_sum_is_dropped_where_sums_are_due) {
    join(&a, ASYNC, 1);
    talker_send(&a, WIRE_BEAT, WIRE_NOSUM, (struct opnum){0, 9, 0}, a.last, 0, NULL);
    struct head h;
    ck_assert_int_eq(talker_answer(&a, &h, 0, NULL), 0);
    talker_send(&a, WIRE_BEAT, 0, (struct opnum){0, 9, 0}, a.last, 0, NULL);
    ck_assert_int_eq(talker_answer(&a, &h, 0, NULL), WIRE_ALIVE);
}
END_TEST

START_TEST(a_repeated_push_is_acked_and_not_applied) {
    join(&a, ASYNC, 1);
    open_table(&a);
    struct talker before = a;
    ck_assert_int_eq(push1(&a, 7, 1, 1), WIRE_ACK);
    for (int i = 0; i < 3; i++) {
        struct talker again = before;
        ck_assert_int_eq(push1(&again, 7, 1, 1), WIRE_ACK);
    }
    ck_assert(pull1(&a, 7) == -1.0f);
}
END_TEST

START_TEST(a_different_push_under_a_used_number_is_eproto) {
    join(&a, ASYNC, 1);
    open_table(&a);
    struct talker before = a;
    ck_assert_int_eq(push1(&a, 7, 1, 1), WIRE_ACK);
    ck_assert_int_eq(push1(&before, 8, 1, 1), WIRE_REFUSE);
    ck_assert(pull1(&a, 8) == 0.0f);
}
END_TEST

START_TEST(ops_that_come_out_of_order_are_applied_in_order) {
    join(&a, ASYNC, 1);
    open_table(&a);
    struct talker late = a, early = a;
    early.head.num.call++;
    early.last = early.head.num;
    uint64_t id = 7;
    float one[DIM] = {1, 1}, ten[DIM] = {10, 10};
    ck_assert_int_eq(talker_write(&early, 1, 1, &id, DIM, ten), 0); /* parked: no answer */
    ck_assert(pull1(&early, 7) == -999.0f);                         /* and its pull waits for it */
    ck_assert_int_eq(talker_write(&late, 1, 1, &id, DIM, one), WIRE_ACK);
    struct head h;
    ck_assert_int_eq(talker_answer(&a, &h, 0, NULL), WIRE_ACK);
    ck_assert(taken(&a) == 10.0f);
}
END_TEST

/* It is not dropped in silence: its sender would find out by waiting alone, each time anew. */
START_TEST(an_op_that_finds_no_room_among_the_parked_ones_is_told_the_floor) {
    enum { PARKED = 1024 };
    join(&a, ASYNC, 1);
    open_table(&a);
    struct talker late = a, early = a;
    struct head h;
    early.head.num.call++;
    early.last = early.head.num;
    for (uint32_t i = 0; i < PARKED; i++)
        ck_assert_int_eq(push1(&early, 7, 1, i + 2), 0);
    for (int again = 0; again < 2; again++) {
        talker_send(&early, WIRE_TICK, 0, (struct opnum){0, WIRE_CALL_END, 0}, early.last, 0, NULL);
        ck_assert_int_eq(talker_answer(&a, &h, 0, NULL), WIRE_NACK);
        ck_assert_int_eq(opnum_cmp(h.prev, a.last), 0);
    }
    ck_assert_int_eq(push1(&late, 7, 1, 1), WIRE_ACK);
    for (uint32_t i = 0; i < PARKED; i++)
        ck_assert_int_eq(talker_answer(&a, &h, 0, NULL), WIRE_ACK);
    ck_assert(pull1(&early, 7) == -(float)(PARKED + 1));
}
END_TEST

START_TEST(an_id_of_nowhere_is_refused_and_the_chain_goes_on) {
    join(&a, ASYNC, 1);
    open_table(&a);
    uint64_t ids[2] = {1, 100};
    float g[2 * DIM] = {1, 1, 1, 1};
    ck_assert_int_eq(talker_push(&a, 1, 2, ids, DIM, g, 1), WIRE_REFUSE);
    ck_assert(pull1(&a, 1) == 0.0f); /* nothing of it was applied */
    ck_assert_int_eq(push1(&a, 1, 1, 1), WIRE_ACK);
    ck_assert(pull1(&a, 1) == -1.0f);
}
END_TEST

START_TEST(a_push_without_a_count_or_with_a_senseless_lr_is_eproto) {
    join(&a, ASYNC, 1);
    open_table(&a);
    ck_assert_int_eq(push1(&a, 1, 1, 0), WIRE_REFUSE);
    a.lr = -1;
    ck_assert_int_eq(push1(&a, 1, 1, 1), WIRE_REFUSE);
    ck_assert_int_eq(talker_end(&a, WIRE_TICK, 1, 1, -1, 1), WIRE_REFUSE);
    ck_assert(pull1(&a, 1) == 0.0f);
}
END_TEST

START_TEST(a_table_nobody_opened_is_refused) {
    join(&a, ASYNC, 1);
    ck_assert_int_eq(push1(&a, 1, 1, 1), WIRE_REFUSE);
    ck_assert_ptr_nonnull(strstr(talker_refusal(), "not opened"));
}
END_TEST

START_TEST(opening_with_another_spec_names_the_field) {
    join(&a, ASYNC, 1);
    open_table(&a);
    struct spec s = zeros(101);
    ck_assert_int_eq(talker_open(&a, "t", &s), WIRE_REFUSE);
    ck_assert_ptr_nonnull(strstr(talker_refusal(), "num_embeddings"));
    open_table(&a);
}
END_TEST

START_TEST(a_frozen_table_drops_pushes_and_takes_writes) {
    join(&a, ASYNC, 1);
    open_table(&a);
    ck_assert_int_eq(talker_freeze(&a, 1, 100, 0, false), WIRE_ACK);
    ck_assert_int_eq(push1(&a, 5, 1, 1), WIRE_ACK);
    ck_assert(pull1(&a, 5) == 0.0f);
    uint64_t id = 5;
    float row[DIM] = {8, 8};
    ck_assert_int_eq(talker_write(&a, 1, 1, &id, DIM, row), WIRE_ACK);
    ck_assert(pull1(&a, 5) == 8.0f);
    ck_assert_int_eq(talker_freeze(&a, 1, 100, 0, true), WIRE_ACK);
    ck_assert_int_eq(push1(&a, 5, 1, 2), WIRE_ACK);
    ck_assert(pull1(&a, 5) == 7.0f);
}
END_TEST

START_TEST(a_freeze_until_a_clock_is_measured_by_the_pushers_clock) {
    join(&a, ASYNC, 1);
    open_table(&a);
    ck_assert_int_eq(talker_freeze(&a, 1, 100, 1, false), WIRE_ACK);
    ck_assert_int_eq(push1(&a, 5, 1, 1), WIRE_ACK);
    ck_assert(pull1(&a, 5) == 0.0f);
    ck_assert_int_eq(talker_end(&a, WIRE_TICK, 0, 0, 0, 0), WIRE_ACK);
    ck_assert_int_eq(push1(&a, 5, 1, 2), WIRE_ACK);
    ck_assert(pull1(&a, 5) == -1.0f);
}
END_TEST

/* ---- clocks ---- */

START_TEST(bsp_applies_a_clock_when_all_have_ended_it) {
    join(&a, BSP, 2);
    join(&b, BSP, 2);
    open_table(&a);
    open_table(&b);
    ck_assert_int_eq(push1(&a, 5, 1, 1), WIRE_ACK);
    ck_assert_int_eq(push1(&b, 5, 2, 1), WIRE_ACK);
    ck_assert(pull1(&a, 5) == 0.0f); /* a pull of clock 0 sees clock 0's beginning */
    ck_assert_int_eq(talker_end(&a, WIRE_TICK, 1, 1, 1.0, 1), WIRE_ACK);
    ck_assert(pull1(&a, 5) == -999.0f); /* clock 0 is not closed: rank 1 */
    ck_assert_int_eq(talker_end(&b, WIRE_TICK, 1, 1, 1.0, 1), WIRE_ACK);
    ck_assert(taken(&a) == -3.0f);
    ck_assert(pull1(&b, 5) == -3.0f);
}
END_TEST

/* Or the bias correction of Adam would differ from shard to shard. */
START_TEST(bsp_counts_a_step_of_a_table_on_shards_that_got_no_rows_of_it_too) {
    join(&a, BSP, 1);
    open_table(&a);
    ck_assert_int_eq(talker_end(&a, WIRE_TICK, 1, 1, 1.0, 1), WIRE_ACK);
    ck_assert_uint_eq(shard->steps[0], 1);
    ck_assert_int_eq(talker_end(&a, WIRE_TICK, 1, 0, 1.0, 1), WIRE_ACK);
    ck_assert_uint_eq(shard->steps[0], 1);
}
END_TEST

START_TEST(bsp_takes_the_lr_of_the_lowest_rank_that_pushed) {
    join(&a, BSP, 2);
    join(&b, BSP, 2);
    open_table(&a);
    open_table(&b);
    ck_assert_int_eq(push1(&b, 5, 2, 1), WIRE_ACK);
    ck_assert_int_eq(talker_end(&b, WIRE_TICK, 1, 1, 0.5, 1), WIRE_ACK);
    ck_assert_int_eq(talker_end(&a, WIRE_TICK, 1, 0, 100.0, 0), WIRE_ACK);
    ck_assert(pull1(&a, 5) == -1.0f);
}
END_TEST

/* 1e8 + 1 is 1e8 again: the sum tells who was added to whom. */
START_TEST(bsp_adds_up_in_the_order_of_ranks_whoever_came_first) {
    static const float gradients[3] = {1e8f, 1, -1e8f};
    static const int orders[][3] = {{0, 1, 2}, {0, 2, 1}, {1, 0, 2},
                                    {1, 2, 0}, {2, 0, 1}, {2, 1, 0}};
    for (size_t i = 0; i < sizeof orders / sizeof *orders; i++) {
        struct talker t[3];
        for (uint32_t rank = 0; rank < 3; rank++) {
            talker_init(&t[rank], shard, &net, rank);
            join(&t[rank], BSP, 3);
            open_table(&t[rank]);
        }
        for (int k = 0; k < 3; k++)
            ck_assert_int_eq(push1(&t[orders[i][k]], 5, gradients[orders[i][k]], 1), WIRE_ACK);
        for (int k = 0; k < 3; k++)
            ck_assert_int_eq(talker_end(&t[orders[i][k]], WIRE_TICK, 1, 1, 1.0, 1), WIRE_ACK);
        ck_assert(pull1(&t[0], 5) == 0.0f);
        teardown();
        setup();
    }
}
END_TEST

START_TEST(bsp_applies_writes_before_the_sum) {
    join(&a, BSP, 2);
    join(&b, BSP, 2);
    open_table(&a);
    open_table(&b);
    uint64_t id = 5;
    float row[DIM] = {100, 100};
    ck_assert_int_eq(push1(&a, 5, 1, 1), WIRE_ACK);
    ck_assert_int_eq(talker_write(&b, 1, 1, &id, DIM, row), WIRE_ACK);
    ck_assert_int_eq(talker_end(&a, WIRE_TICK, 1, 1, 1.0, 1), WIRE_ACK);
    ck_assert_int_eq(talker_end(&b, WIRE_TICK, 1, 0, 1.0, 0), WIRE_ACK);
    ck_assert(pull1(&a, 5) == 99.0f);
}
END_TEST

/* Whatever workers send: ours do not send its gradients at all. */
START_TEST(no_worker_moves_the_padding_row) {
    for (uint32_t mode = ASYNC; mode <= BSP; mode += BSP - ASYNC) {
        struct spec s = zeros(100);
        s.padding_idx = 5;
        uint64_t ids[2] = {5, 6};
        float grads[2 * DIM] = {1, 1, 1, 1};
        join(&a, mode, 2);
        join(&b, mode, 2);
        ck_assert_int_eq(talker_open(&a, "t", &s), WIRE_OPENED);
        ck_assert_int_eq(talker_open(&b, "t", &s), WIRE_OPENED);
        ck_assert_int_eq(talker_push(&a, 1, 2, ids, DIM, grads, 1), WIRE_ACK);
        ck_assert_int_eq(talker_push(&b, 1, 1, ids, DIM, grads, 1), WIRE_ACK);
        ck_assert_int_eq(talker_end(&a, WIRE_TICK, 1, 1, 1.0, 1), WIRE_ACK);
        ck_assert_int_eq(talker_end(&b, WIRE_TICK, 1, 1, 1.0, 1), WIRE_ACK);
        ck_assert(pull1(&a, 5) == 0.0f);
        ck_assert(pull1(&a, 6) == -1.0f);
        teardown();
        setup();
    }
}
END_TEST

START_TEST(a_worker_that_left_is_not_waited_for) {
    join(&a, BSP, 2);
    join(&b, BSP, 2);
    open_table(&a);
    open_table(&b);
    ck_assert_int_eq(push1(&b, 5, 4, 1), WIRE_ACK);
    ck_assert_int_eq(talker_end(&b, WIRE_BYE, 1, 1, 1.0, 1), WIRE_ACK);
    for (int clock = 0; clock < 3; clock++)
        ck_assert_int_eq(talker_end(&a, WIRE_TICK, 0, 0, 0, 0), WIRE_ACK);
    ck_assert(pull1(&a, 5) == -4.0f);
}
END_TEST

/* Its next client begins at the clock that is open: into one that is closed it could put nothing. */
START_TEST(a_worker_that_left_and_comes_again_begins_at_the_open_clock) {
    join(&a, BSP, 2);
    join(&b, BSP, 2);
    open_table(&a);
    ck_assert_int_eq(talker_end(&b, WIRE_BYE, 0, 0, 0, 0), WIRE_ACK);
    for (int clock = 0; clock < 3; clock++)
        ck_assert_int_eq(talker_end(&a, WIRE_TICK, 0, 0, 0, 0), WIRE_ACK);
    b.head.worker_inc = 0;
    b.head.num = (struct opnum){0, 77, 0};
    join(&b, BSP, 2);
    ck_assert_uint_eq(b.welcome.clock, 3);
    b.head.num.clock = 3;
    open_table(&b);
    ck_assert_int_eq(push1(&b, 5, 4, 1), WIRE_ACK);
    ck_assert_int_eq(talker_end(&b, WIRE_TICK, 1, 1, 1.0, 1), WIRE_ACK);
    ck_assert_int_eq(talker_end(&a, WIRE_TICK, 0, 0, 0, 0), WIRE_ACK);
    ck_assert(pull1(&a, 5) == -4.0f);
}
END_TEST

START_TEST(a_job_whose_workers_all_left_closes_what_they_ended) {
    join(&a, BSP, 1);
    open_table(&a);
    ck_assert_int_eq(push1(&a, 5, 4, 1), WIRE_ACK);
    ck_assert_int_eq(talker_end(&a, WIRE_BYE, 1, 1, 1.0, 1), WIRE_ACK);
    struct talker o;
    talker_init(&o, shard, &net, WIRE_OBSERVER);
    ck_assert(pull1(&o, 5) == -4.0f);
}
END_TEST

START_TEST(the_dead_workers_half_clock_is_dropped_when_its_heir_comes) {
    join(&a, BSP, 1);
    open_table(&a);
    ck_assert_int_eq(push1(&a, 5, 4, 1), WIRE_ACK);
    struct talker heir;
    talker_init(&heir, shard, &net, 0);
    heir.now_ms = 60000;
    heir.head.num.call = 99;
    join(&heir, BSP, 1);
    heir.head.num.clock = 1; /* as the welcome said */
    open_table(&heir);
    ck_assert(pull1(&heir, 5) == 0.0f);
}
END_TEST

START_TEST(beats_say_for_whom_a_pull_waits) {
    join(&a, BSP, 2);
    join(&b, BSP, 2);
    open_table(&a);
    ck_assert_int_eq(talker_end(&a, WIRE_TICK, 0, 0, 0, 0), WIRE_ACK);
    ck_assert(pull1(&a, 5) == -999.0f);
    talker_send(&a, WIRE_BEAT, 0, a.head.num, a.last, 0, NULL);
    struct frame *f = memory_net_take(&net);
    struct head h;
    ck_assert_int_eq(wire_open(f->data, f->len, &h), RH_OK);
    ck_assert_int_eq(h.kind, WIRE_ALIVE);
    struct rd r;
    struct msg_alive m;
    rd_init(&r, f->data + WIRE_HEAD, f->len - WIRE_HEAD);
    msg_get_alive(&r, &m);
    ck_assert_uint_eq(m.wait.why, MSG_WAITS_CLOCK);
    ck_assert_uint_eq(m.wait.rank, 1);
    ck_assert_uint_eq(m.wait.number, 0);
    frame_unref(f);
}
END_TEST

static int barrier(struct talker *t, uint32_t index) {
    uint8_t room[8];
    struct buf body;
    struct head h;
    buf_wrap(&body, room, sizeof room);
    buf_put_u32(&body, index);
    talker_send(t, WIRE_BARRIER, 0, (struct opnum){0, 70, 0}, t->last, 0, &body);
    return talker_answer(t, &h, 0, NULL);
}

START_TEST(a_barrier_lets_go_when_all_are_there_and_may_be_asked_again) {
    struct head h;
    join(&a, ASYNC, 2);
    join(&b, ASYNC, 2);
    ck_assert_int_eq(barrier(&a, 1), 0);
    ck_assert_int_eq(barrier(&a, 1), 0);
    ck_assert_int_eq(barrier(&b, 1), WIRE_PASSED);
    ck_assert_int_eq(talker_answer(&a, &h, 0, NULL), WIRE_PASSED);
    ck_assert_int_eq(talker_answer(&a, &h, 0, NULL), 0);
    ck_assert_int_eq(barrier(&a, 1), WIRE_PASSED);
}
END_TEST

START_TEST(a_barrier_does_not_wait_for_who_has_left) {
    struct head h;
    join(&a, ASYNC, 2);
    join(&b, ASYNC, 2);
    ck_assert_int_eq(barrier(&a, 1), 0);
    ck_assert_int_eq(talker_end(&b, WIRE_BYE, 0, 0, 0, 0), WIRE_ACK);
    ck_assert_int_eq(talker_answer(&a, &h, 0, NULL), WIRE_PASSED);
}
END_TEST

START_TEST(a_shard_is_finished_when_the_launchers_world_has_left) {
    teardown();
    start(2);
    join(&a, ASYNC, 2);
    join(&b, ASYNC, 2);
    ck_assert_int_eq(talker_end(&a, WIRE_BYE, 0, 0, 0, 0), WIRE_ACK);
    ck_assert(!shard_finished(shard));
    ck_assert_int_eq(talker_end(&b, WIRE_BYE, 0, 0, 0, 0), WIRE_ACK);
    ck_assert(shard_finished(shard));
    ck_assert_int_eq(a.net->first == NULL, 1);
}
END_TEST

START_TEST(a_shard_without_a_launcher_stays) {
    join(&a, ASYNC, 1);
    ck_assert_int_eq(talker_end(&a, WIRE_BYE, 0, 0, 0, 0), WIRE_ACK);
    ck_assert(!shard_finished(shard));
}
END_TEST

Suite *shard_suite(void) {
    Suite *suite = suite_create("shard");
    TCase *tc = tcase_create("shard");
    tcase_add_checked_fixture(tc, setup, teardown);
    tcase_add_test(tc, a_worker_is_welcomed_and_gets_an_incarnation);
    tcase_add_test(tc, a_repeated_hello_is_the_same_client);
    tcase_add_test(tc, who_succeeds_a_dead_client_is_let_in_at_once);
    tcase_add_test(tc, a_hello_that_comes_behind_its_clients_goodbye_brings_nobody_back);
    tcase_add_test(tc, a_hello_that_is_repeated_late_clears_nothing);
    tcase_add_test(tc, workers_256_ranks_apart_are_two);
    tcase_add_test(tc, a_successor_is_told_of_what_it_will_do_again);
    tcase_add_test(tc, who_has_said_goodbye_and_died_is_succeeded_too);
    tcase_add_test(tc, a_client_that_joins_anew_is_another_incarnation_and_its_late_hello_is_not);
    tcase_add_test(tc, a_rank_that_is_taken_is_refused_until_it_falls_silent);
    tcase_add_test(tc, another_mode_or_world_is_a_mismatch_that_says_both);
    tcase_add_test(tc, a_staleness_belongs_to_ssp_and_to_the_job);
    tcase_add_test(tc, a_rank_beyond_the_world_is_refused);
    tcase_add_test(tc, a_shard_that_is_called_by_another_number_says_who_it_is);
    tcase_add_test(tc, another_job_is_fenced_off);
    tcase_add_test(tc, another_protocol_version_is_told_so);
    tcase_add_test(tc, who_has_not_said_hello_is_fenced_off);
    tcase_add_test(tc, who_was_welcomed_by_a_pending_lead_is_told_to_say_hello_again);
    tcase_add_test(tc, a_frame_for_an_earlier_life_of_the_shard_is_told_of_the_rollback);
    tcase_add_test(tc, an_observers_frame_too_and_the_refusal_names_the_life_that_was_asked);
    tcase_add_test(tc, an_observer_looks_and_cannot_change);
    tcase_add_test(tc, a_push_is_seen_by_the_next_pull);
    tcase_add_test(tc, a_frame_without_a_sum_is_dropped_where_sums_are_due);
    tcase_add_test(tc, a_repeated_push_is_acked_and_not_applied);
    tcase_add_test(tc, a_different_push_under_a_used_number_is_eproto);
    tcase_add_test(tc, ops_that_come_out_of_order_are_applied_in_order);
    tcase_add_test(tc, an_op_that_finds_no_room_among_the_parked_ones_is_told_the_floor);
    tcase_add_test(tc, an_id_of_nowhere_is_refused_and_the_chain_goes_on);
    tcase_add_test(tc, a_push_without_a_count_or_with_a_senseless_lr_is_eproto);
    tcase_add_test(tc, a_table_nobody_opened_is_refused);
    tcase_add_test(tc, opening_with_another_spec_names_the_field);
    tcase_add_test(tc, a_frozen_table_drops_pushes_and_takes_writes);
    tcase_add_test(tc, a_freeze_until_a_clock_is_measured_by_the_pushers_clock);
    tcase_add_test(tc, bsp_applies_a_clock_when_all_have_ended_it);
    tcase_add_test(tc, bsp_counts_a_step_of_a_table_on_shards_that_got_no_rows_of_it_too);
    tcase_add_test(tc, bsp_takes_the_lr_of_the_lowest_rank_that_pushed);
    tcase_add_test(tc, bsp_adds_up_in_the_order_of_ranks_whoever_came_first);
    tcase_add_test(tc, bsp_applies_writes_before_the_sum);
    tcase_add_test(tc, no_worker_moves_the_padding_row);
    tcase_add_test(tc, a_worker_that_left_is_not_waited_for);
    tcase_add_test(tc, a_worker_that_left_and_comes_again_begins_at_the_open_clock);
    tcase_add_test(tc, a_job_whose_workers_all_left_closes_what_they_ended);
    tcase_add_test(tc, the_dead_workers_half_clock_is_dropped_when_its_heir_comes);
    tcase_add_test(tc, beats_say_for_whom_a_pull_waits);
    tcase_add_test(tc, a_barrier_lets_go_when_all_are_there_and_may_be_asked_again);
    tcase_add_test(tc, a_barrier_does_not_wait_for_who_has_left);
    tcase_add_test(tc, a_shard_is_finished_when_the_launchers_world_has_left);
    tcase_add_test(tc, a_shard_without_a_launcher_stays);
    suite_add_tcase(suite, tc);
    return suite;
}
