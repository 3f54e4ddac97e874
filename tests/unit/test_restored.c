/* test_restored.c - a shard that begins with a checkpoint: whom it waits for, at which clock they go on, what it
 * remembers; and shards that only serve one. */
#include <check.h>
#include <stdio.h>
#include <string.h>

#include "common/err.h"
#include "ps/ckpt_folder.h"
#include "ps/ckpt_shard.h"
#include "ps/shard_inner.h"
#include "tests/support/memory_disk.h"
#include "tests/support/talker.h"
#include "tests/unit/suites.h"

enum { ASYNC = 1, SSP = 2, BSP = 3, DIM = 2, RANKS = 3 };

static struct memory_disk disk;
static struct memory_net net;
static struct shard *shard;
static struct talker w[RANKS];
static struct shard_config cfg;

#define ck_assert_ok(call)                                                           \
    do {                                                                             \
        rh_status is_ = (call);                                                      \
        ck_assert_msg(is_ == RH_OK, #call ": %s: %s", status_text(is_), err_text()); \
    } while (0)

static void begin(void) {
    ck_assert_ok(shard_new(&cfg, &net.net, &shard));
    for (uint32_t rank = 0; rank < RANKS; rank++)
        talker_init(&w[rank], shard, &net, rank);
}

static void setup(void) {
    memory_disk_init(&disk);
    memory_net_init(&net);
    shard_config_init(&cfg);
    begin();
}

static void teardown(void) {
    shard_free(&shard);
    memory_net_fini(&net);
    ck_assert_uint_eq(memory_disk_open_files(&disk), 0);
    memory_disk_fini(&disk);
}

/* Says hello, and goes on where the welcome says; opens the table. */
static int come(uint32_t rank, uint32_t mode, uint32_t world) {
    static const struct spec zeros = {.kind = SPEC_DENSE,
                                      .dim = DIM,
                                      .rows = 100,
                                      .init = SPEC_ZEROS,
                                      .opt = SPEC_SGD,
                                      .lr = 1.0,
                                      .padding_idx = SPEC_NO_PADDING};
    int kind = talker_hello(&w[rank], mode, world);
    if (kind != WIRE_WELCOME)
        return kind;
    w[rank].head.num.clock = w[rank].welcome.clock;
    return talker_open(&w[rank], "t", &zeros);
}

static void join(uint32_t rank, uint32_t mode, uint32_t world) {
    ck_assert_msg(come(rank, mode, world) == WIRE_OPENED, "rank %u: %s", rank, talker_refusal());
}

static int push(uint32_t rank, uint64_t id, float x) {
    float g[DIM] = {x, x};
    return talker_push(&w[rank], 1, 1, &id, DIM, g, 1);
}

static int end_clock(uint32_t rank, uint8_t kind) {
    return talker_end(&w[rank], kind, 1, 1, 1.0, 1);
}

static void end_clocks(uint32_t rank, int n) {
    for (int i = 0; i < n; i++)
        ck_assert_int_eq(end_clock(rank, WIRE_TICK), WIRE_ACK);
}

/* The first number of row 5, or -999 if there is no answer yet. */
static float pull(uint32_t rank) {
    uint64_t id = 5;
    float row[DIM];
    return talker_pull(&w[rank], 1, 1, &id, DIM, row) == WIRE_ROWS ? row[0] : -999.0f;
}

/* The answer that came by itself meanwhile. */
static float answered(uint32_t rank) {
    struct head h;
    float row[DIM];
    return talker_answer(&w[rank], &h, DIM, row) == WIRE_ROWS ? row[0] : -999.0f;
}

static void save(void) {
    struct ckpt_manifest m;
    struct ckpt_fd folder;
    ck_assert_ok(ckpt_shard_manifest(shard, &m));
    ck_assert_ok(ckpt_manifest_files(&m, 1));
    m.generation = 7;
    ck_assert_ok(ckpt_begin(&disk.io, "a", &folder));
    ck_assert_ok(ckpt_shard_write(shard, &folder, 7, &m.files[0]));
    ck_assert_ok(ckpt_commit(&disk.io, "a", &folder, &m));
    ckpt_manifest_fini(&m);
}

/* Another life, from the checkpoint; world: as a launcher says, or 0. */
static void restore(uint32_t world) {
    struct ckpt_manifest m;
    struct ckpt_fd folder;
    shard_free(&shard);
    cfg.world = world;
    cfg.incarnation++;
    begin();
    ck_assert_ok(ckpt_open(&disk.io, "a", &folder, &m));
    ck_assert_ok(ckpt_shard_restore(shard, &folder, &m, "a"));
    ckpt_manifest_fini(&m);
    ckpt_drop(&folder);
}

static void save_and_restore(uint32_t world) {
    save();
    restore(world);
}

/* Two workers of bsp, five clocks on; row 5 is -4. */
static void five_clocks(void) {
    join(0, BSP, 2);
    join(1, BSP, 2);
    ck_assert_int_eq(push(0, 5, 4), WIRE_ACK);
    end_clocks(0, 5);
    end_clocks(1, 5);
    ck_assert(pull(0) == -4.0f);
}

/* ---- what it knows ---- */

START_TEST(it_remembers_what_it_was_restored_from) {
    five_clocks();
    save_and_restore(0);
    ck_assert_str_eq(shard->saved_name, "a");
    ck_assert_uint_eq(shard->saved_generation, 7);
    ck_assert_uint_eq(shard->saved_clock, 5);
}
END_TEST

START_TEST(workers_go_on_at_their_clock_with_the_next_incarnation) {
    five_clocks();
    save_and_restore(0);
    join(0, BSP, 2);
    ck_assert_uint_eq(w[0].welcome.clock, 5);
    ck_assert_uint_eq(w[0].head.worker_inc, 2);
    ck_assert(pull(0) == -4.0f);
}
END_TEST

START_TEST(frames_of_the_life_before_are_fenced_off) {
    five_clocks();
    save();
    struct talker old = w[0];
    restore(0);
    old.shard = shard;
    float row[DIM];
    uint64_t id = 5;
    ck_assert_int_eq(talker_pull(&old, 1, 1, &id, DIM, row), WIRE_REFUSE);
    ck_assert_ptr_nonnull(strstr(talker_refusal(), "was restarted"));
}
END_TEST

/* ---- who is waited for ---- */

START_TEST(under_bsp_a_clock_is_not_closed_before_all_have_come_again) {
    five_clocks();
    save_and_restore(0);
    join(0, BSP, 2);
    ck_assert_int_eq(push(0, 5, 1), WIRE_ACK);
    end_clocks(0, 1);
    ck_assert(pull(0) == -999.0f);
    join(1, BSP, 2);
    ck_assert_uint_eq(w[1].welcome.clock, 5);
    ck_assert_int_eq(push(1, 5, 2), WIRE_ACK);
    end_clocks(1, 1);
    ck_assert(answered(0) == -7.0f);
}
END_TEST

/* Rank 1 was through long before the checkpoint: it is started with the others, and goes on from
 * their clock. */
START_TEST(under_bsp_who_had_left_is_waited_for_and_comes_at_the_clock_of_the_others) {
    join(0, BSP, 2);
    join(1, BSP, 2);
    end_clocks(0, 1);
    ck_assert_int_eq(end_clock(1, WIRE_BYE), WIRE_ACK);
    end_clocks(0, 4);
    save_and_restore(2);
    join(0, BSP, 2);
    ck_assert_uint_eq(w[0].welcome.clock, 5);
    ck_assert_int_eq(push(0, 5, 1), WIRE_ACK);
    end_clocks(0, 1);
    ck_assert(pull(0) == -999.0f);
    join(1, BSP, 2);
    ck_assert_uint_eq(w[1].welcome.clock, 5);
    ck_assert_int_eq(push(1, 5, 2), WIRE_ACK);
    ck_assert_int_eq(end_clock(1, WIRE_BYE), WIRE_ACK);
    ck_assert(answered(0) == -3.0f);
}
END_TEST

START_TEST(a_shard_whose_workers_had_all_left_is_finished_when_they_leave_again) {
    for (uint32_t rank = 0; rank < 2; rank++)
        join(rank, ASYNC, 2);
    for (uint32_t rank = 0; rank < 2; rank++)
        ck_assert_int_eq(end_clock(rank, WIRE_BYE), WIRE_ACK);
    save_and_restore(2);
    ck_assert(!shard_finished(shard));
    join(0, ASYNC, 2);
    ck_assert_int_eq(end_clock(0, WIRE_BYE), WIRE_ACK);
    ck_assert(!shard_finished(shard));
    join(1, ASYNC, 2);
    ck_assert_int_eq(end_clock(1, WIRE_BYE), WIRE_ACK);
    ck_assert(shard_finished(shard));
}
END_TEST

START_TEST(a_barrier_waits_for_who_had_left) {
    join(0, ASYNC, 2);
    join(1, ASYNC, 2);
    ck_assert_int_eq(end_clock(1, WIRE_BYE), WIRE_ACK);
    save_and_restore(0);
    join(0, ASYNC, 2);
    ck_assert_uint_eq(lead_absent(shard, 1), 0);
    shard_session(shard, 0)->barrier = 1;
    ck_assert_uint_eq(lead_absent(shard, 1), 1);
}
END_TEST

START_TEST(under_ssp_who_was_in_the_checkpoint_is_waited_for_before_it_comes_again) {
    for (uint32_t rank = 0; rank < 3; rank++) {
        w[rank].staleness = 1;
        join(rank, SSP, 3);
        end_clocks(rank, 5);
    }
    save_and_restore(0);
    w[0].staleness = w[1].staleness = 1;
    join(0, SSP, 2); /* worker 2 does not come again: nobody waits for it */
    end_clocks(0, 2);
    ck_assert(pull(0) == -999.0f); /* clock 7: worker 1 stands at 5 */
    uint64_t missing;
    ck_assert_uint_eq(clocks_laggard(shard, shard_session(shard, 0), 7, &missing), 1);
    ck_assert_uint_eq(missing, 5);
    join(1, SSP, 2);
    ck_assert_int_eq(push(1, 5, 1), WIRE_ACK);
    end_clocks(1, 1);
    ck_assert(answered(0) == -1.0f);
}
END_TEST

/* ---- worlds ---- */

START_TEST(a_world_may_shrink_and_nobody_waits_for_who_is_gone) {
    for (uint32_t rank = 0; rank < 3; rank++)
        join(rank, BSP, 3);
    for (uint32_t rank = 0; rank < 3; rank++)
        end_clocks(rank, 5);
    save_and_restore(_i == 0 ? 0 : 2);
    ck_assert_uint_eq(shard->world, _i == 0 ? 3 : 2);
    join(0, BSP, 2);
    join(1, BSP, 2);
    ck_assert_int_eq(push(0, 5, 1), WIRE_ACK);
    ck_assert_int_eq(push(1, 5, 2), WIRE_ACK);
    end_clocks(0, 1);
    ck_assert(pull(0) == -999.0f);
    end_clocks(1, 1);
    ck_assert(answered(0) == -3.0f);
    ck_assert_int_eq(come(2, BSP, 2), WIRE_REFUSE);
}
END_TEST

START_TEST(a_world_may_grow_and_the_new_worker_begins_at_the_clock_of_the_others) {
    five_clocks();
    save_and_restore(_i == 0 ? 0 : 3);
    join(2, BSP, 3);
    ck_assert_uint_eq(w[2].welcome.clock, 5);
    join(0, BSP, 3);
    join(1, BSP, 3);
    for (uint32_t rank = 0; rank < 3; rank++)
        ck_assert_int_eq(push(rank, 5, 1), WIRE_ACK);
    end_clocks(0, 1);
    end_clocks(1, 1);
    ck_assert(pull(0) == -999.0f);
    end_clocks(2, 1);
    ck_assert(answered(0) == -7.0f);
}
END_TEST

START_TEST(another_world_than_the_launchers_is_refused) {
    five_clocks();
    save_and_restore(3);
    ck_assert_int_eq(come(0, BSP, 2), WIRE_REFUSE);
    ck_assert_str_eq(talker_refusal(), "the job has 3 workers, worker 0 says 2");
}
END_TEST

/* ---- modes ---- */

START_TEST(an_async_job_goes_on_under_bsp_at_the_clock_of_who_was_furthest) {
    join(0, ASYNC, 2);
    join(1, ASYNC, 2);
    end_clocks(0, 7);
    end_clocks(1, 9);
    save_and_restore(0);
    join(0, BSP, 3);
    join(2, BSP, 3);
    join(1, BSP, 3);
    for (uint32_t rank = 0; rank < 3; rank++) {
        ck_assert_uint_eq(w[rank].welcome.clock, 9);
        ck_assert_int_eq(push(rank, 5, 1), WIRE_ACK);
    }
    end_clocks(0, 1);
    end_clocks(1, 1);
    ck_assert(pull(0) == -999.0f);
    end_clocks(2, 1);
    ck_assert(answered(0) == -3.0f);
}
END_TEST

START_TEST(a_bsp_job_goes_on_under_async_at_its_clock) {
    five_clocks();
    save_and_restore(0);
    join(1, ASYNC, 2);
    ck_assert_uint_eq(w[1].welcome.clock, 5);
    ck_assert_int_eq(push(1, 5, 1), WIRE_ACK);
    ck_assert(pull(1) == -5.0f);
}
END_TEST

/* ---- only serving ---- */

static void five_clocks_to_look_at(uint32_t mode) {
    five_clocks();
    save();
    cfg.read_only = true;
    restore(0);
    join(0, mode, 1);
}

#define READ_ONLY "these servers are read-only (--read-only): "

START_TEST(a_read_only_shard_refuses_a_push_by_name_and_the_session_goes_on) {
    uint32_t mode = _i == 0 ? ASYNC : BSP;
    five_clocks_to_look_at(mode);
    uint64_t steps = shard->steps[0];
    for (uint64_t i = 0; i < 3; i++) {
        ck_assert_int_eq(push(0, 5, 1), WIRE_REFUSE);
        ck_assert_str_eq(talker_refusal(), READ_ONLY "PUSH is refused");
        ck_assert(pull(0) == -4.0f);
        ck_assert_int_eq(talker_end(&w[0], WIRE_TICK, 1, 1, 1.0, 10 + i), WIRE_ACK);
        ck_assert(pull(0) == -4.0f);
    }
    ck_assert_uint_eq(shard->steps[0], steps);
    ck_assert_int_eq(end_clock(0, WIRE_BYE), WIRE_ACK);
    ck_assert_int_eq(shard_session(shard, 0)->state, SESSION_GONE);
}
END_TEST

START_TEST(a_refused_push_that_is_sent_again_is_refused_again) {
    five_clocks_to_look_at(ASYNC);
    struct opnum before = w[0].last;
    ck_assert_int_eq(push(0, 5, 1), WIRE_REFUSE);
    w[0].last = before;
    w[0].head.num.call--;
    ck_assert_int_eq(push(0, 5, 1), WIRE_REFUSE);
    ck_assert_uint_eq(shard->repeats, 1);
    ck_assert(pull(0) == -4.0f);
}
END_TEST

/* Every kind of a request that a worker may send, without a body: those that change something are
 * refused before anybody looks at it. */
START_TEST(a_read_only_shard_refuses_every_other_op) {
    static const uint8_t kinds[] = {
        WIRE_PUSH, WIRE_WRITE, WIRE_FREEZE, WIRE_RESET,  WIRE_DROP,    WIRE_LOAD,  WIRE_FREEZE_IDS,
        WIRE_MARK, WIRE_STAGE, WIRE_SAVE,   WIRE_COMMIT, WIRE_RESTORE, WIRE_CANCEL};
    char text[128];
    uint8_t room[64];
    struct buf b;
    five_clocks_to_look_at(ASYNC);
    buf_wrap(&b, room, sizeof room);
    buf_put_u64(&b, 0);
    for (size_t i = 0; i < sizeof kinds; i++) {
        snprintf(text, sizeof text, READ_ONLY "%s is refused", wire_kind_name(kinds[i]));
        struct head h;
        if (wire_is_op(kinds[i])) {
            ck_assert_int_eq(talker_op(&w[0], kinds[i], 0, 0, &b), WIRE_REFUSE);
        } else {
            talker_send(&w[0], kinds[i], 0, w[0].head.num, w[0].last, 0, &b);
            ck_assert_int_eq(talker_answer(&w[0], &h, 0, NULL), WIRE_REFUSE);
            ck_assert_uint_eq(h.status, RH_EINVAL);
        }
        ck_assert_str_eq(talker_refusal(), text);
    }
    ck_assert(pull(0) == -4.0f);
}
END_TEST

START_TEST(a_read_only_shard_opens_what_it_has_and_makes_nothing) {
    static const struct spec other = {.kind = SPEC_DENSE,
                                      .dim = DIM,
                                      .rows = 9,
                                      .init = SPEC_ZEROS,
                                      .opt = SPEC_SGD,
                                      .lr = 1.0,
                                      .padding_idx = SPEC_NO_PADDING};
    five_clocks_to_look_at(ASYNC);
    ck_assert_int_eq(talker_open(&w[0], "new", &other), WIRE_REFUSE);
    ck_assert_str_eq(talker_refusal(), "these servers are read-only (--read-only), and have no "
                                       "table \"new\": OPEN makes none");
    ck_assert_int_eq(talker_open(&w[0], "t", &other), WIRE_REFUSE);
    ck_assert_msg(strstr(talker_refusal(), "num_embeddings 100") != NULL, "%s", talker_refusal());
    ck_assert_uint_eq(shard->n_tables, 1);
    ck_assert(pull(0) == -4.0f);
}
END_TEST

START_TEST(a_read_only_shard_shows_observers_all_and_lets_them_freeze_nothing) {
    struct talker o;
    uint8_t room[64];
    struct buf b;
    uint64_t id = 5;
    float row[DIM];
    five_clocks_to_look_at(ASYNC);
    talker_init(&o, shard, &net, WIRE_OBSERVER);
    ck_assert_int_eq(talker_pull(&o, 1, 1, &id, DIM, row), WIRE_ROWS);
    ck_assert(row[0] == -4.0f);
    buf_wrap(&b, room, sizeof room);
    msg_put_freeze(&b, &(struct msg_freeze){.table = 1, .count = 1, .ticket = 9});
    ck_assert_int_eq(talker_op(&o, WIRE_FREEZE, 0, 0, &b), WIRE_REFUSE);
    ck_assert_str_eq(talker_refusal(), READ_ONLY "FREEZE is refused");
}
END_TEST

Suite *restored_suite(void) {
    Suite *s = suite_create("restored");
    TCase *t = tcase_create("restored");
    tcase_add_checked_fixture(t, setup, teardown);
    tcase_add_test(t, it_remembers_what_it_was_restored_from);
    tcase_add_test(t, workers_go_on_at_their_clock_with_the_next_incarnation);
    tcase_add_test(t, frames_of_the_life_before_are_fenced_off);
    tcase_add_test(t, under_bsp_a_clock_is_not_closed_before_all_have_come_again);
    tcase_add_test(t, under_bsp_who_had_left_is_waited_for_and_comes_at_the_clock_of_the_others);
    tcase_add_test(t, a_shard_whose_workers_had_all_left_is_finished_when_they_leave_again);
    tcase_add_test(t, a_barrier_waits_for_who_had_left);
    tcase_add_test(t, under_ssp_who_was_in_the_checkpoint_is_waited_for_before_it_comes_again);
    tcase_add_loop_test(t, a_world_may_shrink_and_nobody_waits_for_who_is_gone, 0, 2);
    tcase_add_loop_test(t, a_world_may_grow_and_the_new_worker_begins_at_the_clock_of_the_others, 0,
                        2);
    tcase_add_test(t, another_world_than_the_launchers_is_refused);
    tcase_add_test(t, an_async_job_goes_on_under_bsp_at_the_clock_of_who_was_furthest);
    tcase_add_test(t, a_bsp_job_goes_on_under_async_at_its_clock);
    tcase_add_loop_test(t, a_read_only_shard_refuses_a_push_by_name_and_the_session_goes_on, 0, 2);
    tcase_add_test(t, a_refused_push_that_is_sent_again_is_refused_again);
    tcase_add_test(t, a_read_only_shard_refuses_every_other_op);
    tcase_add_test(t, a_read_only_shard_opens_what_it_has_and_makes_nothing);
    tcase_add_test(t, a_read_only_shard_shows_observers_all_and_lets_them_freeze_nothing);
    suite_add_tcase(s, t);
    return s;
}
