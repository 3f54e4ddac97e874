/* test_link.c - a session as a pure machine: the test is the net, the shard and the clock. */
#include "worker/link.h"

#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "proto/msg.h"
#include "tests/unit/suites.h"

enum { WORKER = 3, WORKER_INC = 7, SERVER_INC = 99, NONCE = 4711, JOB = 5, CREDIT = 1000 };

/* ---- a net that keeps what is sent ---- */

enum { SENT_MAX = 4096 };

struct fake {
    struct net net;
    struct frame *sent[SENT_MAX];
    struct head heads[SENT_MAX];
    int n, read;
};

static rh_status fake_send(struct net *n, uint32_t peer, struct frame *f) {
    struct fake *t = (struct fake *)n;
    ck_assert_uint_eq(peer, 1);
    ck_assert_int_lt(t->n, SENT_MAX);
    ck_assert_int_eq(wire_open(f->data, f->len, &t->heads[t->n]), RH_OK);
    t->sent[t->n++] = f;
    return RH_OK;
}

static const struct net_ops fake_ops = {.scheme = "fake", .send = fake_send};

/* The next frame that was sent; it must be there. */
static const struct head *next_sent(struct fake *t) {
    ck_assert_int_lt(t->read, t->n);
    return &t->heads[t->read++];
}

static void assert_no_more(const struct fake *t) {
    ck_assert_msg(t->read == t->n, "%d more frames, the first a %s", t->n - t->read,
                  wire_kind_name(t->heads[t->read].kind));
}

/* ---- a request that remembers ---- */

struct ask {
    struct request r;
    int taken, done;
    rh_status status;
    char text[128];
    bool refuse_body;
};

static bool ask_take(struct request *r, const struct head *h, struct rd *body) {
    struct ask *a = (struct ask *)r;
    (void)h;
    a->taken++;
    body->p = body->end;
    return !a->refuse_body;
}

static void ask_done(struct request *r, rh_status status, const char *text) {
    struct ask *a = (struct ask *)r;
    a->done++;
    a->status = status;
    snprintf(a->text, sizeof a->text, "%s", text);
}

/* ---- the scene ---- */

static struct fake fake;
static struct link session;
static struct ask asks[2048];
static uint32_t n_asks;
static uint16_t hello_again; /* which hello is welcomed */

static struct frame *answer_frame(struct head h, const struct buf *body) {
    h.version = WIRE_VERSION;
    h.job = JOB;
    h.worker = WORKER;
    struct frame *f = msg_frame(fake.net.pool, &h, body);
    ck_assert_ptr_nonnull(f);
    return f;
}

/* An answer of this session to the request h. */
static void answer(uint8_t kind, const struct head *h, const struct buf *body, int64_t now_ms) {
    struct head a = {
        .kind = kind, .num = h->num, .worker_inc = WORKER_INC, .server_inc = SERVER_INC};
    struct frame *f = answer_frame(a, body);
    link_frame(&session, f, now_ms);
    frame_unref(f);
}

static void refuse(rh_status s, const char *text, const struct head *h, int64_t now_ms) {
    struct head a = {.kind = WIRE_REFUSE,
                     .num = h->num,
                     .job = JOB,
                     .worker = WORKER,
                     .worker_inc = h->worker_inc,
                     .server_inc = h->server_inc};
    struct frame *f = msg_refuse(fake.net.pool, &a, s, text);
    link_frame(&session, f, now_ms);
    frame_unref(f);
}

static void nack(struct opnum floor, int64_t now_ms) {
    struct head a = {
        .kind = WIRE_NACK, .worker_inc = WORKER_INC, .server_inc = SERVER_INC, .prev = floor};
    struct frame *f = answer_frame(a, NULL);
    link_frame(&session, f, now_ms);
    frame_unref(f);
}

static void welcome_as(uint32_t shard, uint32_t shards, int64_t now_ms) {
    uint8_t room[64];
    struct buf b;
    buf_wrap(&b, room, sizeof room);
    msg_put_welcome(&b, &(struct msg_welcome){.shard = shard,
                                              .shards = shards,
                                              .world = 4,
                                              .clock = 2,
                                              .mode = 3,
                                              .credit_bytes = CREDIT});
    struct head h = {.num = {.call = NONCE, .part = hello_again}};
    answer(WIRE_WELCOME, &h, &b, now_ms);
}

static void set_up_new(void) {
    memset(&fake, 0, sizeof fake);
    fake.net.ops = &fake_ops;
    fake.net.pool = frame_pool_new(1 << 20);
    n_asks = 0;
    link_init(&session, &(struct link_config){.net = &fake.net,
                                              .peer = 1,
                                              .address = "fake://here",
                                              .shard = 1,
                                              .shards = 2,
                                              .job = JOB,
                                              .worker = WORKER,
                                              .world = 4,
                                              .mode = 3,
                                              .nonce = NONCE});
}

/* In session since 0 ms, at clock 2, with nothing left to read. */
static void set_up_welcomed(void) {
    set_up_new();
    link_hello(&session, WORKER_INC, 2, 0);
    welcome_as(1, 2, 0);
    link_start(&session, 2, 0);
    ck_assert_int_eq(session.state, LINK_UP);
    fake.read = fake.n;
}

static void tear_down(void) {
    link_fini(&session);
    for (int i = 0; i < fake.n; i++)
        frame_unref(fake.sent[i]);
    frame_pool_free(&fake.net.pool);
}

/* Submits a request with a body of that many bytes, which is also what it costs in credit. */
static struct ask *submit(uint8_t kind, struct opnum num, uint32_t body_bytes, int64_t now_ms) {
    struct ask *a = &asks[n_asks++];
    *a = (struct ask){.r = {.take = ask_take, .done = ask_done}};
    a->r.head.kind = kind;
    a->r.head.num = num;
    a->r.frame = frame_new(fake.net.pool, WIRE_HEAD + body_bytes);
    memset(a->r.frame->data, 0, WIRE_HEAD + body_bytes);
    a->r.credit_bytes = kind == WIRE_PUSH || kind == WIRE_PULL ? body_bytes : 0;
    link_submit(&session, &a->r, now_ms);
    return a;
}

static struct ask *push(uint32_t call, uint32_t bytes, int64_t now_ms) {
    return submit(WIRE_PUSH, (struct opnum){2, call, 0}, bytes, now_ms);
}

static struct ask *pull(uint32_t bytes, int64_t now_ms) {
    return submit(WIRE_PULL, (struct opnum){.clock = 2}, bytes, now_ms);
}

/* ---- hello ---- */

START_TEST(hello_is_repeated_ever_more_slowly_until_welcomed) {
    static const int64_t at[] = {200, 600, 1400, 2400, 3400};
    link_hello(&session, WORKER_INC, 2, 0);
    const struct head *h = next_sent(&fake);
    ck_assert_int_eq(h->kind, WIRE_HELLO);
    ck_assert_uint_eq(h->num.call, NONCE);
    ck_assert_uint_eq(h->worker_inc, WORKER_INC);
    for (size_t i = 0; i < sizeof at / sizeof *at; i++) {
        ck_assert_int_eq(link_turn(&session, at[i] - 1), at[i]);
        assert_no_more(&fake);
        link_turn(&session, at[i]);
        ck_assert_int_eq(next_sent(&fake)->kind, WIRE_HELLO);
    }
    welcome_as(1, 2, 3500);
    ck_assert_int_eq(session.state, LINK_UP);
    ck_assert_uint_eq(session.server_inc, SERVER_INC);
    ck_assert_uint_eq(session.clock, 2);
    ck_assert_uint_eq(session.world, 4);
    /* A late welcome to a repeated hello changes nothing. */
    welcome_as(1, 2, 3600);
    ck_assert_uint_eq(session.dropped, 1);
}
END_TEST

START_TEST(a_refused_hello_fails_the_session_with_its_status_and_address) {
    link_hello(&session, 0, 0, 0);
    refuse(RH_EMISMATCH, "the job runs in mode bsp", next_sent(&fake), 1);
    ck_assert_int_eq(session.state, LINK_FAILED);
    ck_assert_int_eq(session.status, RH_EMISMATCH);
    ck_assert_str_eq(session.text, "shard 1 at fake://here: the job runs in mode bsp");
    ck_assert_int_eq(link_turn(&session, 5000), INT64_MAX);
    assert_no_more(&fake);
}
END_TEST

START_TEST(a_welcome_of_another_shard_is_emismatch) {
    link_hello(&session, WORKER_INC, 0, 0);
    welcome_as(0, 2, 1);
    ck_assert_int_eq(session.status, RH_EMISMATCH);
    ck_assert_ptr_nonnull(strstr(session.text, "shard 1 of 2, but is shard 0 of 2"));
}
END_TEST

START_TEST(a_server_of_another_version_is_eversion) {
    link_hello(&session, WORKER_INC, 0, 0);
    struct head h = {.kind = WIRE_WELCOME, .num.call = NONCE, .server_inc = SERVER_INC};
    struct frame *f = answer_frame(h, NULL);
    f->data[4] = 2;
    link_frame(&session, f, 1);
    frame_unref(f);
    ck_assert_int_eq(session.status, RH_EVERSION);
    ck_assert_ptr_nonnull(strstr(session.text, "version 2"));
}
END_TEST

START_TEST(frames_of_other_jobs_workers_and_lives_are_dropped) {
    link_hello(&session, WORKER_INC, 0, 0);
    struct head good = {.kind = WIRE_WELCOME,
                        .num.call = NONCE,
                        .job = JOB,
                        .worker = WORKER,
                        .version = WIRE_VERSION};
    struct head bad[3] = {good, good, good};
    bad[0].job = JOB + 1;
    bad[1].worker = WORKER + 1;
    bad[2].kind = WIRE_HELLO;
    for (int i = 0; i < 3; i++) {
        struct frame *f = msg_frame(fake.net.pool, &bad[i], NULL);
        link_frame(&session, f, 1);
        frame_unref(f);
        ck_assert_int_eq(session.state, LINK_SAYING);
    }
    ck_assert_uint_eq(session.dropped, 3);
    ck_assert(!session.heard);
}
END_TEST

/* ---- the chain ---- */

START_TEST(ops_are_chained_and_pulls_follow_the_last_op) {
    push(1, 8, 0);
    pull(8, 0);
    push(2, 8, 0);
    const struct head *first = next_sent(&fake);
    ck_assert_int_eq(first->kind, WIRE_PUSH);
    ck_assert_int_eq(opnum_cmp(first->prev, (struct opnum){0, 0, 0}), 0);
    ck_assert_uint_eq(first->server_inc, SERVER_INC);
    ck_assert_uint_eq(first->worker_inc, WORKER_INC);
    const struct head *second = next_sent(&fake);
    ck_assert_int_eq(second->kind, WIRE_PULL);
    ck_assert_int_eq(opnum_cmp(second->prev, first->num), 0);
    ck_assert_uint_ge(second->num.call, 0x80000000u);
    const struct head *third = next_sent(&fake);
    ck_assert_int_eq(opnum_cmp(third->prev, first->num), 0);
}
END_TEST

START_TEST(an_answer_is_taken_once_and_its_repeats_are_dropped) {
    struct ask *a = push(1, 8, 0);
    const struct head *h = next_sent(&fake);
    answer(WIRE_ACK, h, NULL, 5);
    ck_assert_int_eq(a->taken, 1);
    ck_assert_int_eq(a->done, 1);
    ck_assert_int_eq(a->status, RH_OK);
    answer(WIRE_ACK, h, NULL, 6);
    ck_assert_int_eq(a->done, 1);
    ck_assert_uint_eq(session.dropped, 1);
    ck_assert_uint_eq(link_owed(&session), 0);
}
END_TEST

START_TEST(an_answer_of_the_wrong_kind_is_dropped) {
    struct ask *a = push(1, 8, 0);
    answer(WIRE_ROWS, next_sent(&fake), NULL, 5);
    ck_assert_int_eq(a->done, 0);
    ck_assert_uint_eq(session.dropped, 1);
}
END_TEST

START_TEST(acks_may_come_in_any_order) {
    struct ask *a[5];
    for (uint32_t i = 0; i < 5; i++)
        a[i] = push(i + 1, 8, 0);
    static const int order[] = {3, 0, 4, 2, 1};
    for (int i = 0; i < 5; i++) {
        answer(WIRE_ACK, &fake.heads[fake.read + order[i]], NULL, 1);
        ck_assert_int_eq(a[order[i]]->done, 1);
        ck_assert_uint_eq(link_owed(&session), (uint32_t)(4 - i));
    }
}
END_TEST

START_TEST(a_refused_op_is_done_with_its_status_and_the_session_goes_on) {
    struct ask *a = push(1, 8, 0), *b = push(2, 8, 0);
    refuse(RH_ENOMEM, "no memory for rows", next_sent(&fake), 5);
    ck_assert_int_eq(a->taken, 0);
    ck_assert_int_eq(a->status, RH_ENOMEM);
    ck_assert_str_eq(a->text, "no memory for rows");
    answer(WIRE_ACK, next_sent(&fake), NULL, 5);
    ck_assert_int_eq(b->status, RH_OK);
    ck_assert_int_eq(session.state, LINK_UP);
}
END_TEST

START_TEST(fenced_sessions_are_over_and_everything_in_flight_fails) {
    struct ask *a = push(1, 8, 0), *b = pull(8, 0), *waiting = push(2, CREDIT, 0);
    refuse(RH_EFENCED, "a newer client took over", next_sent(&fake), 5);
    ck_assert_int_eq(session.state, LINK_FAILED);
    struct ask *all[] = {a, b, waiting};
    for (int i = 0; i < 3; i++) {
        ck_assert_int_eq(all[i]->done, 1);
        ck_assert_int_eq(all[i]->status, RH_EFENCED);
        ck_assert_str_eq(all[i]->text, "shard 1 at fake://here: a newer client took over");
    }
}
END_TEST

START_TEST(who_expects_the_end_of_a_life_is_fenced_off_by_the_answer_to_a_restore_alone) {
    struct ask *a = push(1, 8, 0);
    const struct head pushed = *next_sent(&fake);
    struct ask *b = submit(WIRE_RESTORE, (struct opnum){.clock = 2}, 8, 0);
    const struct head restore = *next_sent(&fake);
    link_expect_end(&session, true);
    refuse(RH_EROLLBACK, "shard 1 was restored", &pushed, 5);
    ck_assert_int_eq(session.state, LINK_UP);
    ck_assert_int_eq(a->done, 0);
    refuse(RH_EROLLBACK, "by another", &restore, 6);
    ck_assert_int_eq(session.state, LINK_UP);
    ck_assert_int_eq(b->status, RH_EROLLBACK);
    link_expect_end(&session, false);
    refuse(RH_EROLLBACK, "shard 1 was restored", &pushed, 7);
    ck_assert_int_eq(session.state, LINK_FAILED);
    ck_assert_int_eq(a->status, RH_EROLLBACK);
    ck_assert_str_eq(a->text, "shard 1 at fake://here: shard 1 was restored: " LINK_COME_BACK);
}
END_TEST

START_TEST(a_session_made_anew_is_that_of_the_same_client_and_takes_no_earlier_welcome) {
    push(1, 8, 0);
    link_fail(&session, RH_EROLLBACK, "restored");
    link_renew(&session);
    fake.read = fake.n;
    link_hello(&session, 0, 0, 10);
    const struct head *h = next_sent(&fake);
    ck_assert_uint_eq(h->num.call, NONCE);
    ck_assert_uint_eq(h->num.part, 1);
    ck_assert_uint_eq(h->server_inc, 0);
    welcome_as(1, 2, 11); /* to the first hello */
    ck_assert_int_eq(session.state, LINK_SAYING);
    ck_assert_uint_eq(session.dropped, 1);
    hello_again++;
    welcome_as(1, 2, 12);
    hello_again--;
    ck_assert_int_eq(session.state, LINK_UP);
    ck_assert_uint_eq(link_owed(&session), 0);
}
END_TEST

START_TEST(a_shard_that_is_only_looked_at_hears_of_an_observer) {
    link_fail(&session, RH_EROLLBACK, "restored");
    link_renew(&session);
    fake.read = fake.n;
    link_look(&session, 10);
    const struct head *h = next_sent(&fake);
    ck_assert_uint_eq(h->worker, WIRE_OBSERVER);
    ck_assert_uint_eq(h->flags, WIRE_LOOK);
    ck_assert_uint_eq(h->worker_inc, 0);
}
END_TEST

START_TEST(a_refusal_meant_for_an_earlier_client_is_dropped) {
    push(1, 8, 0);
    struct head old = *next_sent(&fake);
    old.worker_inc = WORKER_INC - 1;
    refuse(RH_EFENCED, "old", &old, 5);
    ck_assert_int_eq(session.state, LINK_UP);
    old.worker_inc = WORKER_INC;
    old.server_inc = SERVER_INC - 1;
    refuse(RH_EFENCED, "old", &old, 5);
    ck_assert_int_eq(session.state, LINK_UP);
    ck_assert_uint_eq(session.dropped, 2);
}
END_TEST

START_TEST(a_refusal_of_what_was_said_before_the_hello_is_dropped) {
    link_hello(&session, WORKER_INC, 2, 0);
    struct head old = *next_sent(&fake);
    old.num.call = 1;
    old.server_inc = SERVER_INC - 1;
    refuse(RH_EFENCED, "old", &old, 5);
    ck_assert_int_eq(session.state, LINK_SAYING);
    welcome_as(1, 2, 6);
    ck_assert_int_eq(session.state, LINK_UP);
}
END_TEST

START_TEST(an_answer_that_makes_no_sense_is_eproto) {
    struct ask *a = push(1, 8, 0);
    a->refuse_body = true;
    answer(WIRE_ACK, next_sent(&fake), NULL, 5);
    ck_assert_int_eq(session.status, RH_EPROTO);
    ck_assert_int_eq(a->done, 1);
    ck_assert_int_eq(a->status, RH_EPROTO);
}
END_TEST

/* ---- resends ---- */

START_TEST(what_is_not_answered_is_sent_again_after_1_2_4_and_4_seconds) {
    static const int64_t at[] = {1000, 3000, 7000, 11000, 15000};
    push(1, 8, 0);
    const struct head first = *next_sent(&fake);
    for (size_t i = 0; i < sizeof at / sizeof *at; i++) {
        link_turn(&session, at[i] - 1);
        while (fake.read < fake.n)
            ck_assert_int_eq(next_sent(&fake)->kind, WIRE_BEAT);
        link_turn(&session, at[i]);
        const struct head *h = next_sent(&fake);
        ck_assert_int_eq(h->kind, WIRE_PUSH);
        ck_assert_int_eq(opnum_cmp(h->num, first.num), 0);
        ck_assert_int_eq(opnum_cmp(h->prev, first.prev), 0);
        while (fake.read < fake.n)
            ck_assert_int_eq(next_sent(&fake)->kind, WIRE_BEAT);
    }
}
END_TEST

START_TEST(pulls_are_sent_again_too_and_a_forgotten_one_is_not) {
    struct ask *a = pull(8, 0), *b = pull(8, 0);
    fake.read = fake.n;
    link_forget(&session, &a->r);
    link_turn(&session, 1000);
    int pulls = 0;
    struct head again = {0};
    for (; fake.read < fake.n; fake.read++) {
        if (fake.heads[fake.read].kind == WIRE_PULL) {
            pulls++;
            again = fake.heads[fake.read];
        }
    }
    ck_assert_int_eq(pulls, 1);
    answer(WIRE_ROWS, &again, NULL, 1001);
    ck_assert_int_eq(b->done, 1);
    ck_assert_int_eq(a->done, 0);
    ck_assert_uint_eq(session.credit_used, 0);
}
END_TEST

START_TEST(a_nack_brings_everything_above_its_floor_again) {
    for (uint32_t i = 1; i <= 5; i++)
        push(i, 8, 0);
    fake.read = fake.n;
    nack((struct opnum){2, 2, 0}, 10);
    for (uint32_t call = 3; call <= 5; call++)
        ck_assert_uint_eq(next_sent(&fake)->num.call, call);
    assert_no_more(&fake);
    /* The same word again, at once, says nothing new; a little later it does. */
    nack((struct opnum){2, 2, 0}, 20);
    assert_no_more(&fake);
    nack((struct opnum){2, 4, 0}, 30);
    ck_assert_uint_eq(next_sent(&fake)->num.call, 5);
    nack((struct opnum){2, 4, 0}, 130);
    ck_assert_uint_eq(next_sent(&fake)->num.call, 5);
    assert_no_more(&fake);
}
END_TEST

/* ---- credit ---- */

START_TEST(frames_beyond_the_credit_wait_for_answers) {
    struct ask *a[4];
    for (uint32_t i = 0; i < 4; i++)
        a[i] = push(i + 1, 400, 0);
    ck_assert_int_eq(fake.n - fake.read, 2);
    ck_assert(link_is_blocked(&session));
    answer(WIRE_ACK, next_sent(&fake), NULL, 1);
    ck_assert_int_eq(a[0]->done, 1);
    ck_assert_uint_eq(next_sent(&fake)->num.call, 2);
    ck_assert_uint_eq(next_sent(&fake)->num.call, 3);
    assert_no_more(&fake);
    ck_assert_uint_eq(link_owed(&session), 3);
}
END_TEST

START_TEST(a_frame_larger_than_all_credit_flies_alone) {
    push(1, 5 * CREDIT, 0);
    push(2, 8, 0);
    ck_assert_int_eq(fake.n - fake.read, 1);
    answer(WIRE_ACK, next_sent(&fake), NULL, 1);
    ck_assert_uint_eq(next_sent(&fake)->num.call, 2);
}
END_TEST

START_TEST(pulls_that_hold_all_credit_do_not_stop_the_ops) {
    for (int i = 0; i < 3; i++)
        pull(CREDIT, 0);
    ck_assert_int_eq(next_sent(&fake)->kind, WIRE_PULL);
    assert_no_more(&fake);
    push(1, 400, 0);
    ck_assert_int_eq(next_sent(&fake)->kind, WIRE_PUSH);
    push(2, 400, 0);
    assert_no_more(&fake);
}
END_TEST

START_TEST(a_pull_does_not_overtake_the_op_that_it_follows) {
    push(1, CREDIT, 0);
    push(2, 8, 0);
    pull(8, 0);
    ck_assert_uint_eq(next_sent(&fake)->num.call, 1);
    assert_no_more(&fake);
    answer(WIRE_ACK, &fake.heads[fake.read - 1], NULL, 1);
    ck_assert_uint_eq(next_sent(&fake)->num.call, 2);
    ck_assert_int_eq(next_sent(&fake)->kind, WIRE_PULL);
}
END_TEST

START_TEST(what_needs_no_credit_flies_at_once) {
    push(1, CREDIT, 0);
    submit(WIRE_OPEN, (struct opnum){2, 2, 0}, 8, 0);
    submit(WIRE_INFO, (struct opnum){.clock = 2}, 4, 0);
    ck_assert_int_eq(next_sent(&fake)->kind, WIRE_PUSH);
    ck_assert_int_eq(next_sent(&fake)->kind, WIRE_OPEN);
    ck_assert_int_eq(next_sent(&fake)->kind, WIRE_INFO);
}
END_TEST

START_TEST(no_more_ops_fly_than_a_shard_remembers) {
    for (uint32_t i = 1; i <= LINK_FLYING_MAX + 10; i++)
        push(i, 1, 0);
    ck_assert_int_eq(fake.n - fake.read, LINK_FLYING_MAX);
    ck_assert(link_has_room(&session, LINK_OPS, LINK_REQUESTS_MAX - LINK_FLYING_MAX - 10));
    ck_assert(!link_has_room(&session, LINK_OPS, LINK_REQUESTS_MAX - LINK_FLYING_MAX - 9));
}
END_TEST

/* ---- beats ---- */

START_TEST(it_beats_every_second_when_nothing_else_was_sent) {
    ck_assert_int_eq(link_turn(&session, 500), 1000);
    assert_no_more(&fake);
    ck_assert_int_eq(link_turn(&session, 1000), 2000);
    const struct head *h = next_sent(&fake);
    ck_assert_int_eq(h->kind, WIRE_BEAT);
    ck_assert_uint_eq(h->num.clock, 2);
    push(1, 8, 1900);
    answer(WIRE_ACK, next_sent(&fake), NULL, 1901);
    ck_assert_int_eq(link_turn(&session, 2000), 2900);
    assert_no_more(&fake);
}
END_TEST

START_TEST(it_asks_whom_a_parked_pull_waits_for) {
    pull(8, 900);
    fake.read = fake.n;
    link_turn(&session, 1000);
    const struct head *h = next_sent(&fake);
    ck_assert_int_eq(h->kind, WIRE_BEAT);
    uint8_t room[32];
    struct buf b;
    buf_wrap(&b, room, sizeof room);
    msg_put_alive(&b, &(struct msg_alive){.wait = {MSG_WAITS_CLOCK, 1, 6}});
    answer(WIRE_ALIVE, h, &b, 1010);
    ck_assert_uint_eq(session.wait.why, MSG_WAITS_CLOCK);
    ck_assert_uint_eq(session.wait.rank, 1);
    ck_assert_uint_eq(session.wait.number, 6);
    ck_assert_int_eq(session.heard_ms, 1010);
}
END_TEST

Suite *link_suite(void) {
    Suite *s = suite_create("link");
    TCase *hello = tcase_create("hello");
    tcase_add_checked_fixture(hello, set_up_new, tear_down);
    tcase_add_test(hello, hello_is_repeated_ever_more_slowly_until_welcomed);
    tcase_add_test(hello, a_refused_hello_fails_the_session_with_its_status_and_address);
    tcase_add_test(hello, a_welcome_of_another_shard_is_emismatch);
    tcase_add_test(hello, a_server_of_another_version_is_eversion);
    tcase_add_test(hello, frames_of_other_jobs_workers_and_lives_are_dropped);
    tcase_add_test(hello, a_refusal_of_what_was_said_before_the_hello_is_dropped);
    suite_add_tcase(s, hello);
    TCase *t = tcase_create("session");
    tcase_add_checked_fixture(t, set_up_welcomed, tear_down);
    tcase_add_test(t, ops_are_chained_and_pulls_follow_the_last_op);
    tcase_add_test(t, an_answer_is_taken_once_and_its_repeats_are_dropped);
    tcase_add_test(t, an_answer_of_the_wrong_kind_is_dropped);
    tcase_add_test(t, acks_may_come_in_any_order);
    tcase_add_test(t, a_refused_op_is_done_with_its_status_and_the_session_goes_on);
    tcase_add_test(t, fenced_sessions_are_over_and_everything_in_flight_fails);
    tcase_add_test(t, a_refusal_meant_for_an_earlier_client_is_dropped);
    tcase_add_test(t, who_expects_the_end_of_a_life_is_fenced_off_by_the_answer_to_a_restore_alone);
    tcase_add_test(t, a_session_made_anew_is_that_of_the_same_client_and_takes_no_earlier_welcome);
    tcase_add_test(t, a_shard_that_is_only_looked_at_hears_of_an_observer);
    tcase_add_test(t, an_answer_that_makes_no_sense_is_eproto);
    tcase_add_test(t, what_is_not_answered_is_sent_again_after_1_2_4_and_4_seconds);
    tcase_add_test(t, pulls_are_sent_again_too_and_a_forgotten_one_is_not);
    tcase_add_test(t, a_nack_brings_everything_above_its_floor_again);
    tcase_add_test(t, frames_beyond_the_credit_wait_for_answers);
    tcase_add_test(t, a_frame_larger_than_all_credit_flies_alone);
    tcase_add_test(t, pulls_that_hold_all_credit_do_not_stop_the_ops);
    tcase_add_test(t, a_pull_does_not_overtake_the_op_that_it_follows);
    tcase_add_test(t, what_needs_no_credit_flies_at_once);
    tcase_add_test(t, no_more_ops_fly_than_a_shard_remembers);
    tcase_add_test(t, it_beats_every_second_when_nothing_else_was_sent);
    tcase_add_test(t, it_asks_whom_a_parked_pull_waits_for);
    suite_add_tcase(s, t);
    return s;
}
