/* test_clocks.c - what a pull waits for under ssp and async, frame by frame, and against a model with
 * random schedules: workers that do nothing in a clock, leave early, and come late. */
#include <check.h>
#include <string.h>

#include "common/rng.h"
#include "tests/support/seed.h"
#include "tests/support/talker.h"
#include "tests/unit/suites.h"

enum { ASYNC = 1, SSP = 2, BSP = 3, WORLD = 4 };

#define NO_ANSWER 1.0f /* rows only fall, from 0 */

static struct memory_net net;
static struct shard *shard;
static struct talker t[WORLD];

static void setup(void) {
    struct shard_config c;
    shard_config_init(&c);
    c.incarnation = 42;
    memory_net_init(&net);
    ck_assert_int_eq(shard_new(&c, &net.net, &shard), RH_OK);
    for (uint32_t i = 0; i < WORLD; i++)
        talker_init(&t[i], shard, &net, i);
}

static void teardown(void) {
    shard_free(&shard);
    memory_net_fini(&net);
}

static void join(uint32_t rank, uint32_t mode, uint32_t staleness, uint32_t world) {
    struct spec s = {.kind = SPEC_DENSE,
                     .dim = 1,
                     .rows = 100,
                     .init = SPEC_ZEROS,
                     .opt = SPEC_SGD,
                     .lr = 1.0,
                     .padding_idx = SPEC_NO_PADDING};
    t[rank].staleness = staleness;
    ck_assert_int_eq(talker_hello(&t[rank], mode, world), WIRE_WELCOME);
    t[rank].head.num.clock = t[rank].welcome.clock;
    ck_assert_int_eq(talker_open(&t[rank], "t", &s), WIRE_OPENED);
}

static void push(uint32_t rank, uint64_t id, float x, uint64_t pushes) {
    ck_assert_int_eq(talker_push(&t[rank], 1, 1, &id, 1, &x, pushes), WIRE_ACK);
}

/* The row, or NO_ANSWER: it is parked. */
static float pull(uint32_t rank, uint64_t id) {
    float row;
    return talker_pull(&t[rank], 1, 1, &id, 1, &row) == WIRE_ROWS ? row : NO_ANSWER;
}

static float answered(uint32_t *rank) {
    struct head h;
    float row;
    int kind = talker_answer(&t[0], &h, 1, &row);
    *rank = h.worker;
    return kind == WIRE_ROWS ? row : NO_ANSWER;
}

/* Without a word about any table. */
static void end(uint32_t rank, uint8_t kind) {
    ck_assert_int_eq(talker_end(&t[rank], kind, 0, 0, 0, 0), WIRE_ACK);
}

START_TEST(a_pull_waits_for_who_is_more_than_the_staleness_behind) {
    uint32_t rank;
    join(0, SSP, 1, 2);
    join(1, SSP, 1, 2);
    ck_assert(pull(0, 5) == 0);
    end(0, WIRE_TICK);
    ck_assert(pull(0, 5) == 0); /* clock 1: clock -1 is over */
    end(0, WIRE_TICK);
    ck_assert(pull(0, 5) == NO_ANSWER); /* clock 2 wants clock 0 of worker 1 */
    push(1, 5, 3, 1);                   /* applied on arrival, but that does not end its clock */
    ck_assert(answered(&rank) == NO_ANSWER);
    end(1, WIRE_TICK);
    ck_assert(answered(&rank) == -3);
    ck_assert_uint_eq(rank, 0);
}
END_TEST

START_TEST(with_a_staleness_of_0_a_pull_sees_every_push_of_the_clocks_before) {
    uint32_t rank;
    join(0, SSP, 0, 2);
    join(1, SSP, 0, 2);
    push(1, 5, 1, 1);
    ck_assert(pull(0, 5) == -1); /* of this clock it sees what has come: it is not bsp */
    end(0, WIRE_TICK);
    ck_assert(pull(0, 5) == NO_ANSWER);
    push(1, 5, 1, 2);
    end(1, WIRE_TICK);
    ck_assert(answered(&rank) == -2);
}
END_TEST

START_TEST(who_says_goodbye_lets_the_others_go_on) {
    uint32_t rank;
    join(0, SSP, 0, 3);
    join(1, SSP, 0, 3);
    join(2, SSP, 0, 3);
    end(0, WIRE_TICK);
    ck_assert(pull(0, 5) == NO_ANSWER);
    end(1, WIRE_BYE);
    ck_assert(answered(&rank) == NO_ANSWER); /* worker 2 is there still */
    end(2, WIRE_BYE);
    ck_assert(answered(&rank) == 0);
    end(0, WIRE_TICK);
    ck_assert(pull(0, 5) == 0);
}
END_TEST

START_TEST(who_has_not_come_is_not_waited_for_until_it_comes) {
    uint32_t rank;
    join(0, SSP, 0, 2);
    for (int i = 0; i < 3; i++)
        end(0, WIRE_TICK);
    ck_assert(pull(0, 5) == 0);
    join(1, SSP, 0, 2);
    ck_assert(pull(0, 5) == NO_ANSWER);
    for (int i = 0; i < 3; i++) {
        ck_assert(answered(&rank) == NO_ANSWER);
        end(1, WIRE_TICK);
    }
    ck_assert(answered(&rank) == 0);
}
END_TEST

START_TEST(an_heir_frees_who_waited_for_the_dead_worker) {
    join(0, SSP, 0, 2);
    join(1, SSP, 0, 2);
    push(1, 5, 1, 1);
    end(0, WIRE_TICK);
    ck_assert(pull(0, 5) == NO_ANSWER);
    talker_init(&t[1], shard, &net, 1);
    t[1].now_ms = 60000;
    t[1].head.num.call = 99;
    ck_assert_int_eq(talker_hello(&t[1], SSP, 2),
                     WIRE_ROWS); /* the clock that was left open is over */
    struct head h;
    ck_assert_int_eq(talker_answer(&t[1], &h, 0, NULL), WIRE_WELCOME);
}
END_TEST

START_TEST(an_ops_header_tells_of_clocks_that_are_over_too) {
    uint32_t rank;
    join(0, SSP, 0, 2);
    join(1, SSP, 0, 2);
    end(0, WIRE_TICK);
    ck_assert(pull(0, 5) == NO_ANSWER);
    t[1].head.num =
        (struct opnum){1, 0, 0}; /* as after a restore: it never says that clock 0 is over */
    ck_assert(pull(1, 5) == 0);  /* that is worker 0's: it has waited longer */
    ck_assert(answered(&rank) == 0);
    ck_assert_uint_eq(rank, 1);
}
END_TEST

/* ---- what is told of the table ---- */

static struct msg_table_facts facts(void) {
    uint8_t room[4];
    struct buf b;
    struct talker o;
    struct rd r;
    struct msg_table_facts m;
    buf_wrap(&b, room, sizeof room);
    buf_put_u32(&b, 2); /* table 1 */
    talker_init(&o, shard, &net, WIRE_OBSERVER);
    talker_send(&o, WIRE_INFO, 0, (struct opnum){0, 1, 0}, o.last, 0, &b);
    struct frame *f = memory_net_take(&net);
    rd_init(&r, f->data + WIRE_HEAD, f->len - WIRE_HEAD);
    ck_assert_uint_eq(rd_u32(&r), 1);
    msg_get_table_facts(&r, &m);
    ck_assert(rd_done(&r));
    frame_unref(f);
    return m;
}

static void ages_are(const uint64_t want[WIRE_AGES]) {
    struct msg_table_facts m = facts();
    for (int i = 0; i < WIRE_AGES; i++)
        ck_assert_msg(m.ages[i] == want[i], "class %d has %llu pulls, not %llu", i,
                      (unsigned long long)m.ages[i], (unsigned long long)want[i]);
}

START_TEST(under_ssp_the_steps_of_a_table_are_counted_by_push) {
    join(0, SSP, 2, 2);
    join(1, SSP, 2, 2);
    push(0, 1, 1, 1);
    push(0, 1, 1, 2);
    push(1, 1, 1, 1);
    ck_assert_uint_eq(facts().steps, 3);
}
END_TEST

START_TEST(pulls_are_counted_by_how_many_clocks_the_last_of_the_others_is_behind) {
    join(0, ASYNC, 0, 3);
    join(1, ASYNC, 0, 3);
    join(2, ASYNC, 0, 3);
    end(2, WIRE_TICK); /* never the last one */
    for (int clock = 0; clock < 20; clock++) {
        ck_assert(pull(0, 5) == 0);
        end(0, WIRE_TICK);
    }
    ages_are((uint64_t[]){1, 1, 1, 1, 1, 4, 8, 3});
    ck_assert(pull(1, 5) == 0); /* nobody is behind it */
    ages_are((uint64_t[]){2, 1, 1, 1, 1, 4, 8, 3});
    for (int clock = 0; clock < 18; clock++)
        end(1, WIRE_TICK);
    end(2, WIRE_BYE);
    ck_assert(pull(0, 5) == 0); /* clock 20, and worker 1 has ended 18; worker 2 is gone */
    ages_are((uint64_t[]){2, 1, 2, 1, 1, 4, 8, 3});
    end(1, WIRE_BYE);
    ck_assert(pull(0, 5) == 0); /* it is alone */
    ages_are((uint64_t[]){3, 1, 2, 1, 1, 4, 8, 3});
}
END_TEST

START_TEST(under_ssp_no_pull_is_older_than_the_staleness_and_one_that_waited_counts_once) {
    uint32_t rank;
    join(0, SSP, 2, 2);
    join(1, SSP, 2, 2);
    for (int clock = 0; clock < 3; clock++) {
        ck_assert(pull(0, 5) == 0);
        end(0, WIRE_TICK);
    }
    ages_are((uint64_t[]){1, 1, 1, 0, 0, 0, 0, 0});
    ck_assert(pull(0, 5) == NO_ANSWER);
    ages_are((uint64_t[]){1, 1, 1, 0, 0, 0, 0, 0});
    end(1, WIRE_TICK);
    ck_assert(answered(&rank) == 0);
    ages_are((uint64_t[]){1, 1, 2, 0, 0, 0, 0, 0});
}
END_TEST

START_TEST(neither_a_bsp_pull_nor_an_observers_is_counted) {
    struct talker o;
    uint64_t id = 5;
    float row;
    join(0, BSP, 0, 1);
    ck_assert(pull(0, 5) == 0);
    end(0, WIRE_BYE);
    talker_init(&o, shard, &net, WIRE_OBSERVER);
    ck_assert_int_eq(talker_pull(&o, 1, 1, &id, 1, &row), WIRE_ROWS);
    ages_are((uint64_t[]){0, 0, 0, 0, 0, 0, 0, 0});
}
END_TEST

/* ---- a model ---- */

struct model {
    uint32_t staleness;
    uint64_t ended[WORLD], pulled[WORLD]; /* clocks: ended; of the pull that waits */
    uint64_t pushes[WORLD];
    bool here[WORLD], waits[WORLD];
    float sum; /* of the one row that all push to */
    uint64_t answers;
    uint32_t clients;
};

static bool allowed(const struct model *m, uint32_t rank) {
    for (uint32_t i = 0; i < WORLD; i++)
        if (i != rank && m->here[i] && m->ended[i] + m->staleness < m->pulled[rank])
            return false;
    return true;
}

/* Those whose pull is allowed now are answered now, with everything that was pushed until now; nobody
 * else is. */
static void expect_answers(struct model *m) {
    for (uint32_t i = 0; i < WORLD; i++) {
        if (!m->waits[i] || !allowed(m, i))
            continue;
        uint32_t rank;
        ck_assert(answered(&rank) == -m->sum);
        ck_assert_uint_eq(rank, i);
        m->waits[i] = false;
        m->answers++;
    }
    ck_assert_ptr_null(net.first);
}

static void act(struct model *m, struct rng *g) {
    const uint32_t i = (uint32_t)rng_below(g, WORLD);
    const uint64_t what = rng_below(g, 100);
    if (!m->here[i]) {
        if (what < 20) {
            uint64_t clock = m->ended[i];
            talker_init(&t[i], shard, &net, i); /* another client than that which said goodbye */
            t[i].head.num.call = 10000 + ++m->clients;
            join(i, SSP, m->staleness, WORLD);
            m->here[i] = true;
            ck_assert_uint_eq(t[i].welcome.clock, clock);
        }
    } else if (m->waits[i] || what < 40) { /* a clock may end without a push or a pull */
        end(i, WIRE_TICK);
        m->ended[i]++;
    } else if (what < 70) {
        push(i, 7, (float)what, ++m->pushes[i]);
        m->sum += (float)what;
    } else if (what < 98) {
        m->pulled[i] = m->ended[i];
        float row = pull(i, 7);
        m->waits[i] = row == NO_ANSWER;
        ck_assert(m->waits[i] == !allowed(m, i));
        ck_assert(m->waits[i] || row == -m->sum);
    } else {
        end(i, WIRE_BYE);
        m->ended[i]++;
        m->here[i] = false;
    }
    expect_answers(m);
}

START_TEST(random_schedules_of_four_workers_are_answered_as_the_model_says) {
    uint64_t seed = test_seed("clocks"), answers = 0;
    for (uint32_t round = 0; round < 40; round++) {
        struct rng g;
        struct model m = {.staleness = round % 5};
        rng_init(&g, seed, round);
        if (round > 0) {
            teardown();
            setup();
        }
        join(0, SSP, m.staleness, WORLD);
        m.here[0] = true;
        for (int i = 0; i < 400; i++)
            act(&m, &g);
        answers += m.answers;
    }
    ck_assert_uint_gt(answers, 40); /* some have waited, and not in vain */
}
END_TEST

Suite *clocks_suite(void) {
    Suite *suite = suite_create("clocks");
    TCase *tc = tcase_create("clocks");
    tcase_add_checked_fixture(tc, setup, teardown);
    tcase_add_test(tc, a_pull_waits_for_who_is_more_than_the_staleness_behind);
    tcase_add_test(tc, with_a_staleness_of_0_a_pull_sees_every_push_of_the_clocks_before);
    tcase_add_test(tc, who_says_goodbye_lets_the_others_go_on);
    tcase_add_test(tc, who_has_not_come_is_not_waited_for_until_it_comes);
    tcase_add_test(tc, an_heir_frees_who_waited_for_the_dead_worker);
    tcase_add_test(tc, an_ops_header_tells_of_clocks_that_are_over_too);
    tcase_add_test(tc, under_ssp_the_steps_of_a_table_are_counted_by_push);
    tcase_add_test(tc, pulls_are_counted_by_how_many_clocks_the_last_of_the_others_is_behind);
    tcase_add_test(tc,
                   under_ssp_no_pull_is_older_than_the_staleness_and_one_that_waited_counts_once);
    tcase_add_test(tc, neither_a_bsp_pull_nor_an_observers_is_counted);
    tcase_add_test(tc, random_schedules_of_four_workers_are_answered_as_the_model_says);
    suite_add_tcase(suite, tc);
    return suite;
}
