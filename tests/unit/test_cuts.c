/* test_cuts.c - checkpoints of a running job as one shard sees them: whom it waits for, what it holds,
 * when it gives up, and that what it has written is the moment of the marks. */
#include <check.h>
#include <string.h>

#include "ps/ckpt_folder.h"
#include "ps/ckpt_shard.h"
#include "tests/support/memory_disk.h"
#include "tests/support/talker.h"
#include "tests/unit/suites.h"

enum {
    ASYNC = 1,
    SSP = 2,
    BSP = 3,
    ROWS = 100,
    TIMEOUT_MS = 10000,
    GRACE_MS = 2000,
    SILENT_MS = 3000,
    UNWANTED_MS = 3000
};

static struct memory_disk disk;
static struct memory_net net;
static struct shard *shard;
static struct talker a, b, o; /* ranks 0 and 1, and an observer */
static uint64_t pushes_a, pushes_b;

static void make_shard(uint32_t number, uint32_t shards) {
    struct shard_config c;
    shard_config_init(&c);
    c.incarnation = 42;
    c.shard = number;
    c.shards = shards;
    c.ckpt = &disk.io;
    ck_assert_int_eq(shard_new(&c, &net.net, &shard), RH_OK);
    talker_init(&a, shard, &net, 0);
    talker_init(&b, shard, &net, 1);
    talker_init(&o, shard, &net, WIRE_OBSERVER);
    a.now_ms = b.now_ms = o.now_ms = 1;
    pushes_a = pushes_b = 0;
}

static void setup(void) {
    memory_disk_init(&disk);
    memory_net_init(&net);
    make_shard(0, 1);
}

static void teardown(void) {
    shard_free(&shard);
    memory_net_fini(&net);
    memory_disk_fini(&disk);
}

/* ---- what is said ---- */

static void join(struct talker *t, uint32_t mode, uint32_t world) {
    struct spec s = {.kind = SPEC_DENSE,
                     .dim = 1,
                     .rows = ROWS,
                     .init = SPEC_ZEROS,
                     .opt = SPEC_SGD,
                     .lr = 1.0,
                     .padding_idx = SPEC_NO_PADDING};
    ck_assert_int_eq(talker_hello(t, mode, world), WIRE_WELCOME);
    ck_assert_int_eq(talker_open(t, "t", &s), WIRE_OPENED);
}

/* Takes 1 off a row. The kind of the answer, 0 if there is none. */
static int push(struct talker *t, uint64_t id) {
    float one = 1;
    return talker_push(t, 1, 1, &id, 1, &one, t == &a ? ++pushes_a : ++pushes_b);
}

static int mark(struct talker *t, uint32_t generation, const char *cursor) {
    uint8_t room[256];
    struct buf body;
    buf_wrap(&body, room, sizeof room);
    uint64_t pushes = t == &a ? pushes_a : pushes_b;
    msg_put_tick(&body, &(struct msg_tick){1, 0, 1, pushes});
    msg_put_mark(&body,
                 &(struct msg_mark){generation, cursor == NULL ? 0 : (uint32_t)strlen(cursor),
                                    (const uint8_t *)cursor});
    return talker_op(t, WIRE_MARK, 0, 1, &body);
}

/* The generation that the answer of a tick tells. */
static uint32_t tick(struct talker *t, uint32_t pushed) {
    uint8_t room[64];
    struct buf body;
    struct head h;
    buf_wrap(&body, room, sizeof room);
    msg_put_tick(&body, &(struct msg_tick){1, pushed, 1, t == &a ? pushes_a : pushes_b});
    struct opnum prev = t->last;
    t->last = (struct opnum){t->head.num.clock, WIRE_CALL_END, 0};
    talker_send(t, WIRE_TICK, 0, t->last, prev, 1, &body);
    ck_assert_int_eq(talker_answer(t, &h, 0, NULL), WIRE_ACK);
    t->head.num = (struct opnum){t->head.num.clock + 1, 0, 0};
    return h.prev.call;
}

/* The answer to a question of kind SAVE, COMMIT or CURSOR; of REFUSE its status. */
static rh_status ask(struct talker *t, uint8_t kind, uint16_t flags, const struct buf *body,
                     struct msg_saving *saving, struct msg_cursor_is *cursor) {
    struct head h;
    talker_send(t, kind, flags, (struct opnum){t->head.num.clock, 0x80000001, 0}, t->last, 0, body);
    struct frame *f = memory_net_take(&net);
    /* What it has set free is answered first. */
    for (struct frame *next; (next = memory_net_take(&net)) != NULL; f = next)
        frame_unref(f);
    ck_assert_ptr_nonnull(f);
    ck_assert_int_eq(wire_open(f->data, f->len, &h), RH_OK);
    struct rd r;
    rd_init(&r, f->data + WIRE_HEAD, f->len - WIRE_HEAD);
    if (h.kind == WIRE_SAVING && saving != NULL) {
        msg_get_saving(&r, saving);
        ck_assert(rd_done(&r));
    } else if (h.kind == WIRE_CURSOR_IS && cursor != NULL) {
        static uint8_t bytes[256];
        msg_get_cursor_is(&r, cursor);
        ck_assert(rd_done(&r) && cursor->len < sizeof bytes);
        memcpy(bytes, cursor->bytes, cursor->len);
        cursor->bytes = bytes;
    } else {
        ck_assert_int_eq(h.kind, WIRE_REFUSE);
    }
    frame_unref(f);
    return (rh_status)h.status;
}

/* Its status; RH_OK: *is is filled in. */
static rh_status send_save(struct talker *t, uint32_t generation, uint32_t ticket, const char *name,
                           uint16_t flags, struct msg_saving *is) {
    uint8_t room[128];
    struct buf body;
    struct msg_save m = {.generation = generation, .ticket = ticket};
    strcpy(m.name, name);
    buf_wrap(&body, room, sizeof room);
    msg_put_save(&body, &m);
    return ask(t, WIRE_SAVE, flags, &body, is, NULL);
}

/* A wish of its own each time, where it is one. */
static uint32_t ticket_for(uint32_t generation) {
    static uint32_t last = 1000000;
    return generation == 0 ? ++last : 0;
}

static struct msg_saving save(struct talker *t, uint32_t generation, const char *name,
                              uint16_t flags) {
    struct msg_saving is = {0};
    rh_status st = send_save(t, generation, ticket_for(generation), name, flags, &is);
    ck_assert_int_eq(st, RH_OK);
    return is;
}

static rh_status refused(struct talker *t, uint32_t generation, const char *name) {
    return send_save(t, generation, ticket_for(generation), name, 0, NULL);
}

static struct msg_saving want(struct talker *t, uint32_t ticket, const char *name) {
    struct msg_saving is = {0};
    ck_assert_int_eq(send_save(t, 0, ticket, name, 0, &is), RH_OK);
    return is;
}

static struct msg_saving commit(struct talker *t, const struct msg_saving *written) {
    uint8_t room[128];
    struct buf body;
    struct msg_saving is = {0};
    buf_wrap(&body, room, sizeof room);
    msg_put_commit(&body, &(struct msg_commit){written->generation, 1});
    msg_put_written(&body, &written->written);
    ck_assert_int_eq(ask(t, WIRE_COMMIT, 0, &body, &is, NULL), RH_OK);
    return is;
}

static struct msg_cursor_is cursor_of(uint32_t rank) {
    uint8_t room[16];
    struct buf body;
    struct msg_cursor_is is = {0};
    buf_wrap(&body, room, sizeof room);
    msg_put_cursor(&body, &(struct msg_cursor){rank});
    ck_assert_int_eq(ask(&o, WIRE_CURSOR, 0, &body, NULL, &is), RH_OK);
    return is;
}

/* ---- what is there ---- */

/* The value of a row in a checkpoint; 0 if the row is not in it. */
static float saved_row(const char *name, uint64_t id) {
    struct ckpt_fd folder;
    struct ckpt_manifest m;
    struct table *t;
    float row;
    ck_assert_int_eq(ckpt_open(&disk.io, name, &folder, &m), RH_OK);
    ck_assert_int_eq(ckpt_table_load(&folder, &m, 1, 0, 1, true, &t), RH_OK);
    ck_assert_int_eq(table_locate(t, (const uint8_t *)&id, 1), RH_OK);
    table_read(t, (const uint8_t *)&id, 1, (uint8_t *)&row);
    table_free(&t);
    ckpt_manifest_fini(&m);
    ckpt_drop(&folder);
    return row;
}

static uint64_t steps_of(const char *name) {
    struct ckpt_fd folder;
    struct ckpt_manifest m;
    ck_assert_int_eq(ckpt_open(&disk.io, name, &folder, &m), RH_OK);
    uint64_t steps = m.tables[0].steps;
    ckpt_manifest_fini(&m);
    ckpt_drop(&folder);
    return steps;
}

static rh_status is_there(const char *name) {
    struct ckpt_fd folder;
    struct ckpt_manifest m;
    rh_status st = ckpt_open(&disk.io, name, &folder, &m);
    if (st == RH_OK) {
        ckpt_manifest_fini(&m);
        ckpt_drop(&folder);
    }
    return st;
}

static float value(struct talker *t, uint64_t id) {
    float row;
    ck_assert_int_eq(talker_pull(t, 1, 1, &id, 1, &row), WIRE_ROWS);
    return row;
}

/* Every second until then, as clients do. */
static void beat(struct talker *t, int64_t until_ms) {
    struct head h;
    while (t->now_ms < until_ms) {
        t->now_ms = until_ms - t->now_ms < 1000 ? until_ms : t->now_ms + 1000;
        talker_send(t, WIRE_BEAT, 0, (struct opnum){t->head.num.clock, 0x80000003, 0}, t->last, 0,
                    &(struct buf){0});
        ck_assert_int_eq(talker_answer(t, &h, 0, NULL), WIRE_ALIVE);
    }
}

/* What came that nobody has taken: how many. */
static int answers(void) {
    int n = 0;
    for (struct frame *f; (f = memory_net_take(&net)) != NULL; n++)
        frame_unref(f);
    return n;
}

static void no_leftovers(void) {
    uint32_t removed;
    ck_assert_int_eq(ckpt_clean(&disk.io, &removed), RH_OK);
    ck_assert_uint_eq(removed, 0);
    ck_assert_uint_eq(memory_disk_open_files(&disk), 0);
}

/* ---- the cut ---- */

START_TEST(a_job_without_workers_is_saved_at_once) {
    struct msg_saving is = save(&o, 0, "empty", 0);
    ck_assert_uint_eq(is.phase, MSG_WRITTEN);
    ck_assert_uint_eq(is.generation, 1);
    ck_assert_uint_eq(commit(&o, &is).phase, MSG_COMMITTED);
    ck_assert_int_eq(is_there("empty"), RH_OK);
    ck_assert_uint_eq(save(&o, 0, "next", 0).generation, 2);
}
END_TEST

START_TEST(ops_behind_a_mark_wait_until_all_have_marked_and_are_not_in_the_file) {
    join(&a, ASYNC, 2);
    join(&b, ASYNC, 2);
    ck_assert_int_eq(push(&a, 1), WIRE_ACK);
    struct msg_saving is = save(&o, 0, "x", 0);
    ck_assert_uint_eq(is.phase, MSG_GATHERING);
    ck_assert_uint_eq(is.waiting_for, 0);
    ck_assert_int_eq(mark(&a, 1, NULL), WIRE_ACK);
    ck_assert_uint_eq(save(&o, 1, "x", 0).waiting_for, 1);
    ck_assert_int_eq(push(&a, 2), 0); /* held */
    ck_assert_int_eq(push(&b, 3), WIRE_ACK);
    ck_assert(value(&b, 2) == 0);
    ck_assert_int_eq(mark(&b, 1, NULL), WIRE_ACK);
    ck_assert_int_eq(answers(), 1); /* the held push's */
    ck_assert(value(&b, 2) == -1);
    ck_assert_int_eq(push(&a, 1), WIRE_ACK);
    is = save(&o, 1, "x", 0);
    ck_assert_uint_eq(is.phase, MSG_WRITTEN);
    ck_assert_uint_eq(is.written.rows, 2);
    ck_assert_uint_eq(commit(&o, &is).phase, MSG_COMMITTED);
    ck_assert(saved_row("x", 1) == -1 && saved_row("x", 2) == 0 && saved_row("x", 3) == -1);
}
END_TEST

START_TEST(who_has_not_marked_is_told_by_the_answer_to_its_tick) {
    join(&a, ASYNC, 2);
    join(&b, ASYNC, 2);
    ck_assert_uint_eq(tick(&a, 0), 0);
    save(&o, 0, "x", 0);
    ck_assert_uint_eq(tick(&a, 0), 1);
    ck_assert_int_eq(mark(&a, 1, NULL), WIRE_ACK);
    ck_assert_uint_eq(tick(&b, 0), 1);
    ck_assert_int_eq(mark(&b, 1, NULL), WIRE_ACK);
    ck_assert_uint_eq(tick(&b, 0), 0);
}
END_TEST

START_TEST(under_bsp_all_are_told_at_one_clock_that_nobody_has_ended) {
    join(&a, BSP, 2);
    join(&b, BSP, 2);
    push(&a, 1);
    ck_assert_uint_eq(tick(&a, 1), 0); /* a is in clock 1 */
    ck_assert_uint_eq(save(&o, 0, "x", 0).phase, MSG_GATHERING);
    ck_assert_uint_eq(tick(&b, 0), 0); /* too early: a's tick of clock 0 was not told */
    push(&a, 1);
    push(&b, 2);
    ck_assert_uint_eq(tick(&a, 1), 1);
    ck_assert_int_eq(mark(&a, 1, NULL), WIRE_ACK);
    ck_assert_int_eq(push(&a, 5), 0);
    ck_assert_uint_eq(tick(&b, 1), 1);
    ck_assert_int_eq(mark(&b, 1, NULL), WIRE_ACK);
    ck_assert_int_eq(answers(), 1);
    struct msg_saving is = save(&o, 1, "x", 0);
    ck_assert_uint_eq(is.phase, MSG_WRITTEN);
    commit(&o, &is);
    ck_assert(saved_row("x", 1) == -2 && saved_row("x", 2) == -1 && saved_row("x", 5) == 0);
    ck_assert_uint_eq(cursor_of(0).clock, 2);
}
END_TEST

START_TEST(under_bsp_a_push_in_the_open_clock_is_no_moment_to_save) {
    join(&a, BSP, 1);
    push(&a, 1);
    ck_assert_uint_eq(save(&a, 0, "x", 0).phase, MSG_GATHERING);
    mark(&a, 1, NULL);
    struct msg_saving is = save(&a, 1, "x", 0);
    ck_assert_uint_eq(is.phase, MSG_GIVEN_UP);
    ck_assert_uint_eq(is.status, RH_EINVAL);
    ck_assert_ptr_nonnull(strstr(is.text, "clock 0, which is not closed"));
    ck_assert_uint_eq(tick(&a, 1), 0);
    ck_assert(value(&a, 1) == -1);
    no_leftovers();
}
END_TEST

START_TEST(under_ssp_all_are_told_at_one_clock_that_nobody_has_ended) {
    a.staleness = b.staleness = 3;
    join(&a, SSP, 2);
    join(&b, SSP, 2);
    for (int clock = 0; clock < 3; clock++) {
        push(&a, 1);
        ck_assert_uint_eq(tick(&a, 1), 0); /* a is in clock 3, b in clock 0 */
    }
    ck_assert_uint_eq(save(&o, 0, "x", 0).phase, MSG_GATHERING);
    for (int clock = 0; clock < 3; clock++) {
        push(&b, 2);
        ck_assert_uint_eq(tick(&b, 1), 0); /* too early */
    }
    push(&a, 1);
    ck_assert_uint_eq(tick(&a, 1), 1);
    ck_assert_int_eq(mark(&a, 1, NULL), WIRE_ACK);
    ck_assert_int_eq(push(&a, 5), 0); /* of clock 4: it waits */
    push(&b, 2);
    ck_assert(value(&b, 5) == 0);
    ck_assert_uint_eq(tick(&b, 1), 1);
    ck_assert_int_eq(mark(&b, 1, NULL), WIRE_ACK);
    ck_assert_int_eq(answers(), 1);
    struct msg_saving is = save(&o, 1, "x", 0);
    ck_assert_uint_eq(is.phase, MSG_WRITTEN);
    commit(&o, &is);
    ck_assert(saved_row("x", 1) == -4 && saved_row("x", 2) == -4 && saved_row("x", 5) == 0);
    ck_assert_uint_eq(steps_of("x"), 8);
}
END_TEST

START_TEST(facts_tell_of_the_attempt_and_what_waits_for_its_marks) {
    join(&a, ASYNC, 2);
    join(&b, ASYNC, 2);
    ck_assert_uint_eq(talker_facts(&o).in_hand.saving, 0);
    save(&o, 0, "x", 0);
    tick(&a, 0);
    mark(&a, 1, NULL);
    ck_assert_int_eq(push(&a, 5), 0);
    o.now_ms = 501;
    struct talker_facts is = talker_facts(&o);
    ck_assert_uint_eq(is.in_hand.saving, MSG_GATHERING);
    ck_assert_uint_eq(is.in_hand.generation, 1);
    ck_assert_str_eq(is.in_hand.saving_name, "x");
    ck_assert_uint_eq(is.in_hand.saving_ms, 500);
    ck_assert_uint_eq(is.in_hand.waiting_for, 1);
    ck_assert_uint_eq(is.in_hand.restoring, 0);
    const struct msg_member_facts *m = &is.members[0];
    ck_assert_uint_eq(m->wait.why, MSG_WAITS_MARK);
    ck_assert_uint_eq(m->wait.rank, 1);
    ck_assert_uint_eq(m->wait.number, 1);
    ck_assert_uint_eq(m->wait_ms, 500);
    ck_assert_uint_eq(m->early, 1);
    ck_assert_uint_eq(is.members[1].wait.why, MSG_WAITS_NOT);
    tick(&b, 0);
    mark(&b, 1, NULL);
    ck_assert_int_eq(answers(), 1);
    is = talker_facts(&o);
    ck_assert_uint_eq(is.in_hand.saving, MSG_WRITTEN);
    ck_assert_uint_eq(is.in_hand.waiting_for, WIRE_NOBODY);
    ck_assert_uint_eq(is.members[0].wait.why, MSG_WAITS_NOT);
}
END_TEST

START_TEST(under_ssp_a_worker_at_a_barrier_does_not_mark_there) {
    struct head h;
    uint8_t room[8];
    struct buf body;
    a.staleness = b.staleness = 3;
    join(&a, SSP, 2);
    join(&b, SSP, 2);
    save(&o, 0, "x", 0);
    tick(&b, 0); /* told, and ... */
    mark(&b, 1, NULL);
    buf_wrap(&body, room, sizeof room);
    buf_put_u32(&body, 1);
    talker_send(&a, WIRE_BARRIER, 0, (struct opnum){0, 70, 0}, a.last, 0, &body);
    ck_assert_int_eq(talker_answer(&a, &h, 0, NULL), 0);
    struct msg_saving is = save(&o, 1, "x", 0); /* ... in vain: a is not at the end of that clock */
    ck_assert_uint_eq(is.phase, MSG_GIVEN_UP);
    ck_assert_ptr_nonnull(strstr(is.text, "worker 0 waits at a barrier"));
}
END_TEST

START_TEST(under_bsp_and_ssp_workers_that_save_in_different_clocks_are_refused) {
    const uint32_t mode = _i == 0 ? SSP : BSP;
    join(&a, mode, 2);
    join(&b, mode, 2);
    tick(&a, 0);
    ck_assert_int_eq(refused(&b, 0, "x"), RH_EINVAL); /* a is further */
    ck_assert_uint_eq(save(&a, 0, "x", 0).phase, MSG_GATHERING);
    ck_assert_int_eq(refused(&b, 0, "x"), RH_EINVAL);
    ck_assert_uint_eq(tick(&b, 0), 1); /* b comes to where a stands */
    ck_assert_uint_eq(save(&b, 0, "x", 0).generation, 1);
}
END_TEST

START_TEST(under_bsp_the_whole_world_is_waited_for) {
    join(&a, BSP, 2);
    save(&o, 0, "x", 0);
    tick(&a, 0);
    mark(&a, 1, NULL);
    struct msg_saving is = save(&o, 1, "x", 0);
    ck_assert_uint_eq(is.phase, MSG_GATHERING);
    ck_assert_uint_eq(is.waiting_for, 1);
    join(&b, BSP, 2);
    tick(&b, 0);
    mark(&b, 1, NULL);
    ck_assert_uint_eq(save(&o, 1, "x", 0).phase, MSG_WRITTEN);
}
END_TEST

START_TEST(who_hears_late_that_it_is_committed_hears_it_although_another_was_begun) {
    join(&a, BSP, 2);
    join(&b, BSP, 2);
    ck_assert_uint_eq(save(&a, 0, "x", 0).generation, 1);
    mark(&a, 1, NULL);
    mark(&b, 1, NULL);
    struct msg_saving is = save(&a, 1, "x", 0);
    ck_assert_uint_eq(commit(&a, &is).phase, MSG_COMMITTED);
    tick(&a, 0);
    ck_assert_uint_eq(save(&a, 0, "x", 0).generation, 2);
    ck_assert_uint_eq(save(&b, 1, "x", 0).phase, MSG_COMMITTED);
    ck_assert_uint_eq(save(&b, 1, "y", 0).phase, MSG_BUSY);
    ck_assert_uint_eq(commit(&b, &is).phase, MSG_COMMITTED);
    ck_assert_uint_eq(save(&b, 2, "x", 0).phase, MSG_GATHERING);
}
END_TEST

START_TEST(under_bsp_a_worker_that_saves_goes_before_an_observer) {
    join(&a, BSP, 2);
    join(&b, BSP, 2);
    save(&o, 0, "x", 0); /* of clock 1 */
    struct msg_saving is = save(&a, 0, "x", 0);
    ck_assert_uint_eq(is.generation, 2); /* of clock 0 */
    mark(&a, 2, NULL);
    mark(&b, 2, NULL);
    is = save(&a, 2, "x", 0);
    ck_assert_uint_eq(commit(&a, &is).phase, MSG_COMMITTED);
    ck_assert_uint_eq(save(&o, 1, "x", 0).phase, MSG_BUSY);
    ck_assert_uint_eq(save(&o, 0, "x", 0).generation, 3);
}
END_TEST

START_TEST(a_worker_that_says_goodbye_is_not_waited_for) {
    join(&a, ASYNC, 2);
    join(&b, ASYNC, 2);
    save(&o, 0, "x", 0);
    mark(&a, 1, NULL);
    ck_assert_uint_eq(save(&o, 1, "x", 0).phase, MSG_GATHERING);
    ck_assert_int_eq(talker_end(&b, WIRE_BYE, 1, 0, 1, pushes_b), WIRE_ACK);
    ck_assert_uint_eq(save(&o, 1, "x", 0).phase, MSG_WRITTEN);
}
END_TEST

/* What it has held there closes with the clock that it left in, and no file would have it before. */
START_TEST(under_bsp_an_observers_checkpoint_comes_behind_the_clocks_of_who_ran_ahead_and_left) {
    join(&a, BSP, 2);
    join(&b, BSP, 2);
    for (int clock = 0; clock < 3; clock++) {
        push(&b, 1);
        tick(&b, 1);
    }
    push(&b, 1);
    ck_assert_int_eq(talker_end(&b, WIRE_BYE, 1, 1, 1, pushes_b), WIRE_ACK);
    ck_assert_uint_eq(save(&o, 0, "x", 0).phase, MSG_GATHERING);
    for (int clock = 0; clock < 3; clock++)
        ck_assert_uint_eq(tick(&a, 0), 0);
    ck_assert_uint_eq(tick(&a, 0), 1); /* of clock 3, which b has left in */
    mark(&a, 1, NULL);
    ck_assert_uint_eq(save(&o, 1, "x", 0).phase, MSG_WRITTEN);
}
END_TEST

/* ---- giving up ---- */

START_TEST(a_mark_that_does_not_come_ends_the_attempt_and_names_the_worker) {
    join(&a, ASYNC, 2);
    join(&b, ASYNC, 2);
    save(&o, 0, "x", 0);
    mark(&a, 1, NULL);
    ck_assert_int_eq(push(&a, 2), 0);
    o.now_ms = 1 + TIMEOUT_MS;
    beat(&b, o.now_ms);
    ck_assert_uint_eq(save(&o, 1, "x", 0).phase, MSG_GATHERING);
    o.now_ms++;
    talker_send(&o, WIRE_BEAT, 0, (struct opnum){0, 1, 0}, o.last, 0, &(struct buf){0});
    ck_assert_int_eq(answers(), 2); /* the held push's, and that of the beat */
    struct msg_saving is = save(&o, 1, "x", 0);
    ck_assert_uint_eq(is.phase, MSG_GIVEN_UP);
    ck_assert_uint_eq(is.status, RH_ETIMEDOUT);
    ck_assert_ptr_nonnull(strstr(is.text, "worker 1 has not come to the end of a clock in 10.0 s"));
    ck_assert(value(&a, 2) == -1);
    ck_assert_int_eq(mark(&b, 1, NULL), WIRE_ACK); /* too late: it holds nothing */
    ck_assert_int_eq(push(&b, 2), WIRE_ACK);
    no_leftovers();
}
END_TEST

START_TEST(a_worker_that_falls_silent_ends_the_attempt_and_none_is_begun_until_it_is_heard) {
    join(&a, ASYNC, 2);
    join(&b, ASYNC, 2);
    save(&o, 0, "x", 0);
    mark(&a, 1, NULL); /* who has marked may be silent */
    o.now_ms = 1 + SILENT_MS;
    ck_assert_uint_eq(save(&o, 1, "x", 0).phase, MSG_GATHERING);
    o.now_ms++;
    struct msg_saving is = save(&o, 1, "x", 0);
    ck_assert_uint_eq(is.phase, MSG_GIVEN_UP);
    ck_assert_uint_eq(is.status, RH_ETIMEDOUT);
    ck_assert_ptr_nonnull(strstr(is.text, "worker 1"));
    ck_assert_ptr_nonnull(strstr(is.text, "last heard of 3.0 s ago"));
    beat(&a, o.now_ms);
    is = save(&o, 0, "x", 0);
    ck_assert_uint_eq(is.phase, MSG_BUSY);
    ck_assert_uint_eq(is.waiting_for, 1);
    no_leftovers();
    beat(&b, o.now_ms);
    ck_assert_uint_eq(save(&o, 0, "x", 0).generation, 2);
}
END_TEST

static void wait_at_barrier(struct talker *t) {
    uint8_t room[8];
    struct buf body;
    buf_wrap(&body, room, sizeof room);
    buf_put_u32(&body, 1);
    talker_send(t, WIRE_BARRIER, 0, (struct opnum){t->head.num.clock, 0x80000002, 0}, t->last, 0,
                &body);
}

START_TEST(a_worker_at_a_barrier_is_told_by_the_answer_to_its_beat) {
    struct head h;
    join(&a, ASYNC, 2);
    join(&b, ASYNC, 2);
    tick(&a, 0);
    push(&b, 1);
    wait_at_barrier(&a);
    ck_assert_uint_eq(save(&o, 0, "x", 0).phase, MSG_GATHERING);
    talker_send(&a, WIRE_BEAT, 0, (struct opnum){1, 0x80000003, 0}, a.last, 0, &(struct buf){0});
    ck_assert_int_eq(talker_answer(&a, &h, 0, NULL), WIRE_ALIVE);
    ck_assert_uint_eq(h.prev.call, 1);
    mark(&a, 1, NULL);
    talker_send(&a, WIRE_BEAT, 0, (struct opnum){1, 0x80000003, 0}, a.last, 0, &(struct buf){0});
    ck_assert_int_eq(talker_answer(&a, &h, 0, NULL), WIRE_ALIVE);
    ck_assert_uint_eq(h.prev.call, 0);
}
END_TEST

/* One that comes back to a job and has nothing to do there: all wait for it else, and it for them. */
START_TEST(a_worker_at_a_barrier_that_has_opened_tables_alone_is_told_too) {
    struct head h;
    join(&a, ASYNC, 2);
    join(&b, ASYNC, 2);
    push(&b, 1);
    wait_at_barrier(&a);
    ck_assert_uint_eq(save(&o, 0, "x", 0).phase, MSG_GATHERING);
    talker_send(&a, WIRE_BEAT, 0, (struct opnum){0, 0x80000003, 0}, a.last, 0, &(struct buf){0});
    ck_assert_int_eq(talker_answer(&a, &h, 0, NULL), WIRE_ALIVE);
    ck_assert_uint_eq(h.prev.call, 1);
}
END_TEST

START_TEST(a_worker_at_a_barrier_behind_a_mark_that_came_to_nothing_is_told_of_the_next_attempt) {
    struct head h;
    join(&a, ASYNC, 2);
    join(&b, ASYNC, 2);
    save(&o, 0, "x", 0);
    ck_assert_uint_eq(tick(&a, 0), 1);
    mark(&a, 1, NULL);
    wait_at_barrier(&a);
    push(&b, 1);
    ck_assert_uint_eq(save(&o, 1, "x", WIRE_UNDO).phase, MSG_GIVEN_UP);
    ck_assert_uint_eq(save(&o, 0, "x", 0).phase, MSG_GATHERING);
    talker_send(&a, WIRE_BEAT, 0, (struct opnum){1, 0x80000003, 0}, a.last, 0, &(struct buf){0});
    ck_assert_int_eq(talker_answer(&a, &h, 0, NULL), WIRE_ALIVE);
    ck_assert_uint_eq(h.prev.call, 2);
}
END_TEST

START_TEST(a_worker_at_a_barrier_in_the_midst_of_a_clock_ends_the_attempt) {
    join(&a, ASYNC, 2);
    join(&b, ASYNC, 2);
    save(&o, 0, "x", 0);
    mark(&a, 1, NULL);
    push(&b, 1);
    wait_at_barrier(&b);
    struct msg_saving is = save(&o, 1, "x", 0);
    ck_assert_uint_eq(is.phase, MSG_GIVEN_UP);
    ck_assert_ptr_nonnull(strstr(is.text, "worker 1 waits at a barrier"));
    is = save(&o, 0, "x", 0);
    ck_assert_uint_eq(is.phase, MSG_BUSY);
    ck_assert_uint_eq(is.waiting_for, 1);
    no_leftovers();
}
END_TEST

START_TEST(shards_that_do_not_agree_make_no_checkpoint) {
    struct msg_saving is = save(&o, 0, "x", 0), wrong = is;
    wrong.written.agreed.low ^= 1;
    wrong = commit(&o, &wrong);
    ck_assert_uint_eq(wrong.phase, MSG_GIVEN_UP);
    ck_assert_uint_eq(wrong.status, RH_EMISMATCH);
    ck_assert_int_eq(is_there("x"), RH_ENOTFOUND);
    no_leftovers();
    is = save(&o, 0, "x", 0);
    ck_assert_uint_eq(is.generation, 2);
    ck_assert_uint_eq(commit(&o, &is).phase, MSG_COMMITTED);
}
END_TEST

START_TEST(a_disk_that_fails_ends_the_attempt_wherever_it_does_and_harms_nothing) {
    join(&a, ASYNC, 1);
    push(&a, 1);
    bool failed = true;
    uint32_t at = 1, given_up = 0;
    for (; failed; at++) {
        memory_disk_fail(&disk, at, 28); /* ENOSPC */
        struct msg_saving is = {0};
        rh_status st = send_save(&a, 0, ticket_for(0), "x", 0, &is);
        if (st == RH_OK) {
            mark(&a, is.generation, NULL);
            is = save(&a, is.generation, "x", 0);
            if (is.phase == MSG_WRITTEN)
                is = commit(&a, &is);
        }
        failed = disk.failed;
        memory_disk_fail(&disk, 0, 0);
        given_up += is.phase == MSG_GIVEN_UP;
        if (!failed)
            ck_assert_uint_eq(is.phase, MSG_COMMITTED);
        ck_assert_int_eq(push(&a, 2), WIRE_ACK);
        if (is_there("x") == RH_OK)
            ck_assert(saved_row("x", 1) == -1);
    }
    ck_assert_uint_gt(at, 20);
    ck_assert_uint_gt(given_up, 10);
    ck_assert_int_eq(is_there("x"), RH_OK);
}
END_TEST

START_TEST(one_that_nobody_asks_for_any_more_makes_room_for_another) {
    join(&a, ASYNC, 1);
    save(&o, 0, "x", 0);
    mark(&a, 1, NULL);
    ck_assert_uint_eq(save(&o, 0, "y", 0).phase, MSG_BUSY);
    o.now_ms += UNWANTED_MS + 1;
    struct msg_saving is = save(&o, 0, "y", 0);
    ck_assert_uint_eq(is.phase, MSG_GATHERING);
    ck_assert_uint_eq(is.generation, 2);
    ck_assert_uint_eq(save(&o, 1, "x", 0).phase, MSG_BUSY);
}
END_TEST

START_TEST(who_asks_after_the_cut_gets_none_of_an_earlier_moment) {
    join(&a, ASYNC, 1);
    want(&o, 7, "x");
    ck_assert_uint_eq(save(&a, 0, "x", 0).generation, 1); /* joins it */
    mark(&a, 1, NULL);
    push(&a, 1);
    ck_assert_uint_eq(save(&a, 0, "x", 0).phase, MSG_BUSY);
    struct msg_saving is = want(&o, 7, "x"); /* a repeat: its answer was lost */
    ck_assert_uint_eq(is.phase, MSG_WRITTEN);
    ck_assert_uint_eq(is.generation, 1);
    o.now_ms = a.now_ms += UNWANTED_MS + 1; /* and now it has died */
    ck_assert_uint_eq(save(&a, 0, "x", 0).generation, 2);
    mark(&a, 2, NULL);
    is = save(&a, 2, "x", 0);
    commit(&a, &is);
    ck_assert(saved_row("x", 1) == -1);
    no_leftovers();
}
END_TEST

START_TEST(a_question_that_comes_twice_or_late_begins_one_checkpoint) {
    join(&a, ASYNC, 1);
    ck_assert_uint_eq(want(&o, 7, "x").generation, 1);
    ck_assert_uint_eq(want(&o, 7, "x").phase, MSG_GATHERING);
    ck_assert_uint_eq(want(&a, 8, "x").generation, 1); /* joins it */
    mark(&a, 1, NULL);
    struct msg_saving is = save(&o, 1, "x", 0);
    ck_assert_uint_eq(is.phase, MSG_WRITTEN);
    commit(&o, &is);
    for (uint32_t ticket = 7; ticket <= 8; ticket++) {
        is = want(&o, ticket, "x");
        ck_assert_uint_eq(is.generation, 1);
        ck_assert_uint_eq(is.phase, MSG_COMMITTED);
    }
    ck_assert_uint_eq(want(&o, 9, "y").generation, 2);
    ck_assert_uint_eq(want(&o, 7, "x").phase, MSG_COMMITTED); /* still the newest that is whole */
    mark(&a, 2, NULL);
    is = save(&o, 2, "y", 0);
    commit(&o, &is);
    is = want(&a, 8, "x");
    ck_assert_uint_eq(is.generation, 1);
    ck_assert_uint_eq(is.phase, MSG_GIVEN_UP);
    ck_assert_uint_eq(is.status, RH_EFENCED);
    ck_assert_int_eq(push(&a, 1), WIRE_ACK); /* nothing is held */
    ck_assert_uint_eq(want(&o, 10, "z").generation, 3);
}
END_TEST

START_TEST(a_question_that_was_refused_is_refused_again_when_it_comes_late) {
    join(&a, BSP, 2);
    join(&b, BSP, 2);
    tick(&a, 0);
    ck_assert_int_eq(send_save(&b, 0, 7, "x", 0, NULL), RH_EINVAL); /* a is further */
    tick(&b, 0);
    ck_assert_int_eq(send_save(&b, 0, 7, "x", 0, NULL), RH_EINVAL);
    ck_assert_uint_eq(want(&b, 8, "x").phase, MSG_GATHERING);
}
END_TEST

START_TEST(a_question_that_could_not_be_met_may_be_asked_again_until_it_is_taken_back) {
    join(&a, ASYNC, 1);
    want(&o, 7, "x");
    ck_assert_uint_eq(want(&o, 8, "y").phase, MSG_BUSY);
    save(&o, 1, "x", WIRE_UNDO);
    ck_assert_uint_eq(want(&o, 8, "y").generation, 2);
    ck_assert_uint_eq(want(&o, 9, "z").phase, MSG_BUSY);
    ck_assert_int_eq(send_save(&o, 0, 9, "z", WIRE_UNDO, NULL), RH_ETIMEDOUT);
    save(&o, 2, "y", WIRE_UNDO);
    ck_assert_int_eq(send_save(&o, 0, 9, "z", 0, NULL), RH_ETIMEDOUT);
    /* Taken back before it came at all. */
    ck_assert_int_eq(send_save(&o, 0, 10, "z", WIRE_UNDO, NULL), RH_ETIMEDOUT);
    ck_assert_int_eq(send_save(&o, 0, 10, "z", 0, NULL), RH_ETIMEDOUT);
    ck_assert_uint_eq(want(&o, 11, "z").generation, 3);
}
END_TEST

START_TEST(who_has_asked_may_give_it_up) {
    join(&a, ASYNC, 1);
    save(&o, 0, "x", 0);
    mark(&a, 7, NULL); /* of none: it holds nothing */
    ck_assert_int_eq(push(&a, 1), WIRE_ACK);
    ck_assert_uint_eq(save(&o, 1, "x", WIRE_UNDO).phase, MSG_GIVEN_UP);
    ck_assert_uint_eq(save(&o, 0, "y", 0).generation, 2);
    ck_assert_int_eq(refused(&o, 0, ".y"), RH_EINVAL);
    ck_assert_int_eq(refused(&o, 0, "latest"), RH_EINVAL);
}
END_TEST

/* ---- cursors ---- */

START_TEST(cursors_are_those_of_the_newest_checkpoint_that_is_whole) {
    join(&a, ASYNC, 1);
    ck_assert_uint_eq(cursor_of(0).generation, 0);
    save(&a, 0, "x", 0);
    mark(&a, 1, "at 10");
    struct msg_saving is = save(&a, 1, "x", 0);
    commit(&a, &is);
    save(&a, 0, "y", 0);
    mark(&a, 2, "at 20");
    save(&a, 2, "y", WIRE_UNDO);
    struct msg_cursor_is c = cursor_of(0);
    ck_assert_uint_eq(c.generation, 1);
    ck_assert_str_eq(c.name, "x");
    ck_assert(c.known == 1 && c.len == 5 && memcmp(c.bytes, "at 10", 5) == 0);
    ck_assert_uint_eq(cursor_of(1).known, 0);
    save(&a, 0, "z", 0);
    mark(&a, 3, NULL); /* as it was */
    is = save(&a, 3, "z", 0);
    commit(&a, &is);
    c = cursor_of(0);
    ck_assert(c.generation == 3 && c.len == 5 && memcmp(c.bytes, "at 20", 5) == 0);
}
END_TEST

/* Where a worker stands while the files are written is no affair of the checkpoint: what it has pushed by
 * then is not in it. */
START_TEST(clocks_and_cursors_are_those_of_the_cut_whatever_comes_before_the_commit) {
    struct ckpt_fd folder;
    struct ckpt_manifest m;
    join(&a, ASYNC, 1);
    push(&a, 1);
    tick(&a, 1);
    save(&o, 0, "x", 0);
    ck_assert_int_eq(mark(&a, 1, "at 1"), WIRE_ACK);
    struct msg_saving is = save(&o, 1, "x", 0);
    ck_assert_uint_eq(is.phase, MSG_WRITTEN);
    push(&a, 2);
    tick(&a, 1);
    ck_assert_int_eq(mark(&a, 0, "at 2"), WIRE_ACK);
    ck_assert_uint_eq(commit(&o, &is).phase, MSG_COMMITTED);
    ck_assert_int_eq(ckpt_open(&disk.io, "x", &folder, &m), RH_OK);
    ck_assert_uint_eq(m.n_workers, 1);
    ck_assert_uint_eq(m.workers[0].clock, 1);
    ck_assert_uint_eq(m.workers[0].cursor_len, 4);
    ck_assert_mem_eq(m.workers[0].cursor, "at 1", 4);
    ck_assert_uint_eq(m.workers[0].counts[0].pushes, 1);
    ckpt_manifest_fini(&m);
    ckpt_drop(&folder);
    struct msg_cursor_is c = cursor_of(0);
    ck_assert(c.known == 1 && c.len == 4 && memcmp(c.bytes, "at 1", 4) == 0);
}
END_TEST

START_TEST(a_worker_that_has_gone_keeps_the_cursor_of_its_goodbye) {
    join(&a, ASYNC, 1);
    mark(&a, 0, "the end");
    ck_assert_int_eq(talker_end(&a, WIRE_BYE, 1, 0, 1, pushes_a), WIRE_ACK);
    struct msg_saving is = save(&o, 0, "x", 0);
    ck_assert_uint_eq(commit(&o, &is).phase, MSG_COMMITTED);
    struct msg_cursor_is c = cursor_of(0);
    ck_assert(c.known == 1 && c.len == 7 && memcmp(c.bytes, "the end", 7) == 0);
}
END_TEST

/* ---- another shard than the lead ---- */

static void hello_to_shard_1(struct talker *t) {
    uint8_t room[64];
    struct buf body;
    struct head h;
    buf_wrap(&body, room, sizeof room);
    msg_put_hello(&body, &(struct msg_hello){.shard = 1, .shards = 2, .mode = ASYNC, .world = 2});
    t->head.worker_inc = 1;
    talker_send(t, WIRE_HELLO, 0, t->head.num, (struct opnum){0}, 0, &body);
    ck_assert_int_eq(talker_answer(t, &h, 0, NULL), WIRE_WELCOME);
    t->head.server_inc = h.server_inc;
    t->head.num = (struct opnum){0};
}

static int bare_mark(struct talker *t, uint32_t generation) {
    uint8_t room[64];
    struct buf body;
    buf_wrap(&body, room, sizeof room);
    msg_put_mark(&body, &(struct msg_mark){.generation = generation});
    return talker_op(t, WIRE_MARK, 0, 0, &body);
}

START_TEST(another_shard_hears_of_it_by_a_mark_and_of_its_name_by_who_asks) {
    shard_free(&shard);
    make_shard(1, 2);
    hello_to_shard_1(&a);
    hello_to_shard_1(&b);
    struct ckpt_fd folder;
    ck_assert_int_eq(ckpt_begin(&disk.io, "x", &folder), RH_OK); /* the lead has */
    ck_assert_int_eq(bare_mark(&a, 5), WIRE_ACK);
    ck_assert_int_eq(talker_freeze(&a, 1, 1, 0, false), 0); /* behind the mark */
    ck_assert_int_eq(bare_mark(&b, 5), WIRE_ACK);
    ck_assert_int_eq(refused(&o, 0, "x"), RH_EPROTO); /* only the lead begins */
    struct msg_saving is = save(&o, 5, "x", 0);
    ck_assert_int_eq(is.phase, MSG_WRITTEN);
    ckpt_drop(&folder);
}
END_TEST

START_TEST(another_shard_gives_up_by_itself_when_nobody_comes) {
    shard_free(&shard);
    make_shard(1, 2);
    hello_to_shard_1(&a);
    hello_to_shard_1(&b);
    ck_assert_int_eq(bare_mark(&a, 5), WIRE_ACK);
    a.now_ms = 1 + TIMEOUT_MS + GRACE_MS;
    beat(&b, a.now_ms);
    ck_assert_int_eq(bare_mark(&a, 5), 0);
    a.now_ms++;
    talker_send(&a, WIRE_BEAT, 0, (struct opnum){0, 0x80000001, 0}, a.last, 0, &(struct buf){0});
    ck_assert_int_eq(answers(), 2);
}
END_TEST

Suite *cuts_suite(void) {
    TCase *tc = tcase_create("cuts");
    tcase_add_checked_fixture(tc, setup, teardown);
    tcase_add_test(tc, a_job_without_workers_is_saved_at_once);
    tcase_add_test(tc, ops_behind_a_mark_wait_until_all_have_marked_and_are_not_in_the_file);
    tcase_add_test(tc, who_has_not_marked_is_told_by_the_answer_to_its_tick);
    tcase_add_test(tc, under_bsp_all_are_told_at_one_clock_that_nobody_has_ended);
    tcase_add_test(tc, under_bsp_a_push_in_the_open_clock_is_no_moment_to_save);
    tcase_add_test(tc, under_ssp_all_are_told_at_one_clock_that_nobody_has_ended);
    tcase_add_test(tc, facts_tell_of_the_attempt_and_what_waits_for_its_marks);
    tcase_add_test(tc, under_ssp_a_worker_at_a_barrier_does_not_mark_there);
    tcase_add_loop_test(tc, under_bsp_and_ssp_workers_that_save_in_different_clocks_are_refused, 0,
                        2);
    tcase_add_test(tc, under_bsp_the_whole_world_is_waited_for);
    tcase_add_test(tc, who_hears_late_that_it_is_committed_hears_it_although_another_was_begun);
    tcase_add_test(tc, under_bsp_a_worker_that_saves_goes_before_an_observer);
    tcase_add_test(tc, a_worker_that_says_goodbye_is_not_waited_for);
    tcase_add_test(
        tc, under_bsp_an_observers_checkpoint_comes_behind_the_clocks_of_who_ran_ahead_and_left);
    tcase_add_test(tc, a_mark_that_does_not_come_ends_the_attempt_and_names_the_worker);
    tcase_add_test(tc,
                   a_worker_that_falls_silent_ends_the_attempt_and_none_is_begun_until_it_is_heard);
    tcase_add_test(tc, a_worker_at_a_barrier_is_told_by_the_answer_to_its_beat);
    tcase_add_test(tc, a_worker_at_a_barrier_that_has_opened_tables_alone_is_told_too);
    tcase_add_test(
        tc, a_worker_at_a_barrier_behind_a_mark_that_came_to_nothing_is_told_of_the_next_attempt);
    tcase_add_test(tc, a_worker_at_a_barrier_in_the_midst_of_a_clock_ends_the_attempt);
    tcase_add_test(tc, shards_that_do_not_agree_make_no_checkpoint);
    tcase_add_test(tc, a_disk_that_fails_ends_the_attempt_wherever_it_does_and_harms_nothing);
    tcase_add_test(tc, one_that_nobody_asks_for_any_more_makes_room_for_another);
    tcase_add_test(tc, who_asks_after_the_cut_gets_none_of_an_earlier_moment);
    tcase_add_test(tc, a_question_that_comes_twice_or_late_begins_one_checkpoint);
    tcase_add_test(tc, a_question_that_was_refused_is_refused_again_when_it_comes_late);
    tcase_add_test(tc, a_question_that_could_not_be_met_may_be_asked_again_until_it_is_taken_back);
    tcase_add_test(tc, who_has_asked_may_give_it_up);
    tcase_add_test(tc, cursors_are_those_of_the_newest_checkpoint_that_is_whole);
    tcase_add_test(tc, clocks_and_cursors_are_those_of_the_cut_whatever_comes_before_the_commit);
    tcase_add_test(tc, a_worker_that_has_gone_keeps_the_cursor_of_its_goodbye);
    tcase_add_test(tc, another_shard_hears_of_it_by_a_mark_and_of_its_name_by_who_asks);
    tcase_add_test(tc, another_shard_gives_up_by_itself_when_nobody_comes);
    Suite *s = suite_create("cuts");
    suite_add_tcase(s, tc);
    return s;
}
