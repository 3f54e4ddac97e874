/* test_loads.c - a shard that reads files itself, spoken to frame by frame: no row changes before
 * LOAD, each step is taken once whatever is repeated, and what is not loaded is let go. Its files are
 * made up here. */
#include <check.h>
#include <stdio.h>
#include <string.h>

#include "common/err.h"
#include "ps/journal_inner.h"
#include "ps/session.h"
#include "tests/support/memory_disk.h"
#include "tests/support/talker.h"
#include "tests/unit/suites.h"

enum { ASYNC = 1, BSP = 3, DIM = 2, SLICES = 3 };

/* A file of three slices with a row in each: row i is (first + i, first + i). It is bad from slice
 * bad_at on. */
static struct fake {
    struct source source; /* first */
    float first;
    int bad_at, opened, closed, slices_read;
    int at;
    uint64_t id;
    float row[DIM];
} fake;

static rh_status fake_open(struct source *s, const struct source_want *w, void **file) {
    struct fake *f = (struct fake *)s;
    ck_assert_uint_eq(w->table.dim, DIM);
    if (strcmp(w->path, "file") != 0)
        return err_set(RH_ENOTFOUND, "there is no %s", w->path);
    f->opened++;
    f->at = 0;
    *file = f;
    return RH_OK;
}

static rh_status fake_next(void *file, struct vecload_slice *out) {
    struct fake *f = file;
    if (f->at == f->bad_at)
        return err_set(RH_ECORRUPT, "file line %d: nonsense", f->at + 1);
    f->slices_read++;
    f->id = (uint64_t)f->at;
    f->row[0] = f->row[1] = f->first + (float)f->at;
    *out = (struct vecload_slice){.n = 1, .ids = &f->id, .rows = f->row};
    out->end = ++f->at == SLICES;
    return RH_OK;
}

static void fake_conclude(const void *file, struct source_end *out) {
    (void)file;
    *out = (struct source_end){.digest = 77, .report = {.matched = SLICES, .about = "a file"}};
}

static void fake_progress(const void *file, uint64_t *done_bytes, uint64_t *total_bytes) {
    *done_bytes = (uint64_t)((const struct fake *)file)->at * 10;
    *total_bytes = SLICES * 10;
}

static void fake_close(void *file) {
    ((struct fake *)file)->closed++;
}

static const struct source_ops fake_ops = {fake_open, fake_next, fake_conclude, fake_progress,
                                           fake_close};

static struct memory_net net;
static struct shard *shard;
static struct talker a, b;

static void start_with(uint32_t world, uint32_t mode, uint64_t hold_bytes, uint64_t memory_bytes) {
    struct shard_config c;
    shard_config_init(&c);
    c.hold_bytes = hold_bytes;
    c.memory_bytes = memory_bytes;
    c.incarnation = 42;
    c.world = world;
    c.source = &fake.source;
    fake = (struct fake){.source.ops = &fake_ops, .first = 5, .bad_at = -1};
    memory_net_init(&net);
    ck_assert_int_eq(shard_new(&c, &net.net, &shard), RH_OK);
    talker_init(&a, shard, &net, 0);
    talker_init(&b, shard, &net, 1);
    struct spec s = {.kind = SPEC_DENSE,
                     .dim = DIM,
                     .rows = 10,
                     .init = SPEC_ZEROS,
                     .opt = SPEC_SGD,
                     .lr = 1.0,
                     .padding_idx = SPEC_NO_PADDING};
    ck_assert_int_eq(talker_hello(&a, mode, world), WIRE_WELCOME);
    ck_assert_int_eq(talker_open(&a, "t", &s), WIRE_OPENED);
    if (world > 1)
        ck_assert_int_eq(talker_hello(&b, mode, world), WIRE_WELCOME);
}

static void start(uint32_t world, uint32_t mode) {
    start_with(world, mode, 1 << 20, 0);
}

static void stop(void) {
    shard_free(&shard);
    memory_net_fini(&net);
    ck_assert_int_eq(fake.opened, fake.closed);
}

/* The kind of the answer, 0 if there is none; of STAGED what it says, of REFUSE its status. */
static struct msg_staged told;
static rh_status refused_with;

static int stage_file(struct talker *t, uint16_t flags, uint32_t load, uint32_t step,
                      const char *path) {
    uint8_t room[512];
    struct buf body;
    struct msg_stage m = {.table = 1, .load = load, .step = step};
    strcpy(m.path, path);
    buf_wrap(&body, room, sizeof room);
    msg_put_stage(&body, &m);
    struct opnum num = {t->head.num.clock, 0x80000000u + step, 0};
    talker_send(t, WIRE_STAGE, flags, num, t->last, 0, &body);
    struct frame *f = net.first;
    if (f == NULL)
        return 0;
    struct rd r;
    rd_init(&r, f->data + WIRE_HEAD, f->len - WIRE_HEAD);
    struct msg_staged m2;
    msg_get_staged(&r, &m2);
    if (rd_done(&r))
        told = m2;
    struct head h;
    int kind = talker_answer(t, &h, 0, NULL);
    refused_with = (rh_status)h.status;
    return kind;
}

static int stage(struct talker *t, uint32_t load, uint32_t step) {
    return stage_file(t, 0, load, step, "file");
}

static void stage_all(struct talker *t, uint32_t load) {
    for (uint32_t step = 0; step <= SLICES; step++) {
        ck_assert_int_eq(stage(t, load, step), WIRE_STAGED);
        ck_assert_uint_eq(told.steps, step + 1);
        ck_assert_uint_eq(told.done, step == SLICES);
        ck_assert_uint_eq(told.done_bytes, 10 * step);
        ck_assert_uint_eq(told.total_bytes, 10 * SLICES);
    }
    ck_assert_uint_eq(told.digest, 77);
    ck_assert_uint_eq(told.rows, SLICES);
    ck_assert_str_eq(told.about, "a file");
}

static int load(struct talker *t, uint32_t number, uint64_t digest) {
    uint8_t room[64];
    struct buf body;
    buf_wrap(&body, room, sizeof room);
    msg_put_load(&body, &(struct msg_load){.table = 1, .load = number, .digest = digest});
    return talker_op(t, WIRE_LOAD, 0, 0, &body);
}

static int drop(struct talker *t) {
    uint8_t room[16];
    struct buf body;
    buf_wrap(&body, room, sizeof room);
    msg_put_drop(&body, &(struct msg_drop){1});
    return talker_op(t, WIRE_DROP, 0, 0, &body);
}

static float pull1(struct talker *t, uint64_t id) {
    float row[DIM];
    return talker_pull(t, 1, 1, &id, DIM, row) == WIRE_ROWS ? row[0] : -999.0f;
}

static void expect_rows(struct talker *t, float first, float second, float third) {
    ck_assert_float_eq(pull1(t, 0), first);
    ck_assert_float_eq(pull1(t, 1), second);
    ck_assert_float_eq(pull1(t, 2), third);
}

START_TEST(no_row_changes_before_the_load) {
    start(1, ASYNC);
    stage_all(&a, 1);
    expect_rows(&a, 0, 0, 0);
    ck_assert_int_eq(fake.closed, 1);
    ck_assert_int_eq(load(&a, 1, 77), WIRE_ACK);
    expect_rows(&a, 5, 6, 7);
    ck_assert_float_eq(pull1(&a, 3), 0);
    stop();
}
END_TEST

START_TEST(a_repeated_step_reads_no_slice_and_is_answered_alike) {
    start(1, ASYNC);
    for (uint32_t step = 0; step <= SLICES; step++) {
        for (int again = 0; again < 3; again++) {
            ck_assert_int_eq(stage(&a, 1, step), WIRE_STAGED);
            ck_assert_uint_eq(told.steps, step + 1);
        }
        ck_assert_int_eq(fake.slices_read, (int)step);
    }
    ck_assert_int_eq(stage(&a, 1, 0), WIRE_STAGED); /* one that comes late */
    ck_assert_uint_eq(told.steps, SLICES + 1);
    ck_assert_int_eq(fake.opened, 1);
    stop();
}
END_TEST

START_TEST(a_repeated_load_is_acked_and_not_written_again) {
    start(1, ASYNC);
    stage_all(&a, 1);
    struct talker before = a;
    ck_assert_int_eq(load(&a, 1, 77), WIRE_ACK);
    uint64_t id = 1;
    float row[DIM] = {1, 1};
    ck_assert_int_eq(talker_write(&a, 1, 1, &id, DIM, row), WIRE_ACK);
    for (int i = 0; i < 3; i++) {
        struct talker again = before;
        ck_assert_int_eq(load(&again, 1, 77), WIRE_ACK);
    }
    expect_rows(&a, 5, 1, 7);
    stop();
}
END_TEST

START_TEST(a_repeat_from_a_load_that_is_over_is_dropped) {
    start(1, ASYNC);
    stage_all(&a, 1);
    ck_assert_int_eq(load(&a, 1, 77), WIRE_ACK);
    ck_assert_int_eq(stage(&a, 1, 0), 0);
    ck_assert_int_eq(stage(&a, 1, SLICES), 0);
    ck_assert_int_eq(fake.opened, 1);
    ck_assert_int_eq(stage(&a, 2, 0), WIRE_STAGED);
    ck_assert_int_eq(stage(&a, 1, 0), 0);
    ck_assert_int_eq(fake.opened, 2);
    stop();
}
END_TEST

START_TEST(a_bad_file_is_refused_alike_however_often_it_is_asked_for_and_changes_nothing) {
    for (int bad_at = 0; bad_at < SLICES; bad_at++) {
        start(1, ASYNC);
        fake.bad_at = bad_at;
        uint32_t step = 0;
        while (stage(&a, 1, step) == WIRE_STAGED)
            step++;
        ck_assert_uint_eq(step, 1 + (uint32_t)bad_at);
        ck_assert_int_eq(fake.closed, 1);
        fake.bad_at = -1;
        for (int again = 0; again < 3; again++) {
            ck_assert_int_eq(stage(&a, 1, step), WIRE_REFUSE);
            ck_assert_int_eq(refused_with, RH_ECORRUPT);
            char want[32];
            snprintf(want, sizeof want, "file line %d: nonsense", bad_at + 1);
            ck_assert_str_eq(talker_refusal(), want);
        }
        ck_assert_int_eq(load(&a, 1, 77), WIRE_REFUSE);
        expect_rows(&a, 0, 0, 0);
        stage_all(&a, 2); /* the next one is as good as any */
        ck_assert_int_eq(load(&a, 2, 77), WIRE_ACK);
        expect_rows(&a, 5, 6, 7);
        stop();
    }
}
END_TEST

START_TEST(a_load_of_what_was_not_read_to_its_end_is_refused) {
    start(1, ASYNC);
    ck_assert_int_eq(load(&a, 1, 77), WIRE_REFUSE);
    for (uint32_t step = 0; step < SLICES; step++)
        ck_assert_int_eq(stage(&a, 2, step), WIRE_STAGED);
    ck_assert_int_eq(load(&a, 2, 77), WIRE_REFUSE);
    ck_assert_int_eq(stage(&a, 2, SLICES), WIRE_STAGED);
    ck_assert_int_eq(load(&a, 1, 77), WIRE_REFUSE);
    ck_assert_int_eq(load(&a, 2, 78), WIRE_REFUSE); /* another file */
    expect_rows(&a, 0, 0, 0);
    ck_assert_int_eq(load(&a, 2, 77), WIRE_ACK);
    expect_rows(&a, 5, 6, 7);
    stop();
}
END_TEST

START_TEST(steps_that_cannot_be_are_refused) {
    start(1, ASYNC);
    ck_assert_int_eq(stage(&a, 1, 1), WIRE_REFUSE);
    ck_assert_int_eq(refused_with, RH_EPROTO);
    ck_assert_int_eq(stage(&a, 1, 0), WIRE_STAGED);
    ck_assert_int_eq(stage(&a, 1, 2), WIRE_REFUSE);
    ck_assert_int_eq(refused_with, RH_EPROTO);
    ck_assert_int_eq(fake.slices_read, 0);
    ck_assert_int_eq(stage_file(&a, 0, 2, 0, "none"), WIRE_REFUSE);
    ck_assert_int_eq(refused_with, RH_ENOTFOUND);
    stop();
}
END_TEST

START_TEST(a_shard_without_files_says_what_to_do) {
    start(1, ASYNC);
    struct shard_config c;
    struct spec s = {.kind = SPEC_DENSE,
                     .dim = DIM,
                     .rows = 10,
                     .init = SPEC_ZEROS,
                     .opt = SPEC_SGD,
                     .lr = 1.0,
                     .padding_idx = SPEC_NO_PADDING};
    shard_free(&shard);
    shard_config_init(&c);
    ck_assert_int_eq(shard_new(&c, &net.net, &shard), RH_OK);
    talker_init(&a, shard, &net, 0);
    ck_assert_int_eq(talker_hello(&a, ASYNC, 1), WIRE_WELCOME);
    ck_assert_int_eq(stage(&a, 1, 0), WIRE_REFUSE);
    ck_assert_int_eq(refused_with, RH_EPROTO); /* before the table is opened */
    ck_assert_int_eq(talker_open(&a, "t", &s), WIRE_OPENED);
    ck_assert_int_eq(stage(&a, 2, 0), WIRE_REFUSE);
    ck_assert_int_eq(refused_with, RH_EINVAL);
    ck_assert_ptr_nonnull(strstr(talker_refusal(), "start it with --data-dir"));
    stop();
}
END_TEST

START_TEST(an_observer_reads_no_files) {
    start(1, ASYNC);
    struct talker o;
    talker_init(&o, shard, &net, WIRE_OBSERVER);
    ck_assert_int_eq(stage(&o, 1, 0), WIRE_REFUSE);
    ck_assert_ptr_nonnull(strstr(talker_refusal(), "look, not change"));
    ck_assert_int_eq(fake.opened, 0);
    stop();
}
END_TEST

/* Forgotten, replaced by the next load, gone with the worker's goodbye or its next life: stop() asks
 * whether each file was closed, and a sanitizer whether memory was. */
START_TEST(what_is_not_loaded_is_let_go) {
    start(1, ASYNC);
    ck_assert_int_eq(stage(&a, 1, 0), WIRE_STAGED);
    ck_assert_int_eq(stage(&a, 1, 1), WIRE_STAGED);
    ck_assert_int_eq(stage_file(&a, WIRE_UNDO, 1, 2, "file"), WIRE_STAGED);
    ck_assert_int_eq(fake.closed, 1);
    ck_assert_int_eq(stage(&a, 1, 2), 0);
    ck_assert_int_eq(stage_file(&a, WIRE_UNDO, 2, 0, "file"), WIRE_STAGED);
    ck_assert_int_eq(stage(&a, 2, 0), 0); /* its beginning came late */
    ck_assert_int_eq(stage(&a, 3, 0), WIRE_STAGED);
    ck_assert_int_eq(stage(&a, 4, 0), WIRE_STAGED);
    ck_assert_int_eq(fake.closed, 2);
    a.now_ms = 20000;
    a.head = (struct head){.version = WIRE_VERSION, .num.call = 9};
    ck_assert_int_eq(talker_hello(&a, ASYNC, 1), WIRE_WELCOME);
    a.head.num.clock = 1; /* the one that it was in is over */
    ck_assert_int_eq(fake.closed, 3);
    ck_assert_int_eq(stage(&a, 1, 0), WIRE_STAGED);
    ck_assert_int_eq(talker_end(&a, WIRE_BYE, 0, 0, 0, 0), WIRE_ACK);
    ck_assert_int_eq(fake.closed, 4);
    stop();
}
END_TEST

START_TEST(bsp_writes_at_the_clocks_close_in_rank_order) {
    start(2, BSP);
    uint64_t id = 1;
    float row[DIM] = {1, 1};
    stage_all(&b, 1);
    ck_assert_int_eq(load(&b, 1, 77), WIRE_ACK);
    ck_assert_int_eq(talker_write(&a, 1, 1, &id, DIM, row), WIRE_ACK);
    expect_rows(&a, 0, 0, 0);
    ck_assert_int_eq(talker_end(&b, WIRE_TICK, 0, 0, 0, 0), WIRE_ACK);
    expect_rows(&a, 0, 0, 0);
    ck_assert_int_eq(talker_end(&a, WIRE_TICK, 0, 0, 0, 0), WIRE_ACK);
    expect_rows(&a, 5, 6, 7); /* rank 1 after rank 0 */

    fake.first = 50;
    stage_all(&a, 1);
    ck_assert_int_eq(load(&a, 1, 77), WIRE_ACK);
    fake.first = 500;
    stage_all(&a, 2); /* while the first one is held */
    ck_assert_int_eq(talker_write(&b, 1, 1, &id, DIM, row), WIRE_ACK);
    ck_assert_int_eq(talker_end(&a, WIRE_TICK, 0, 0, 0, 0), WIRE_ACK);
    ck_assert_int_eq(talker_end(&b, WIRE_TICK, 0, 0, 0, 0), WIRE_ACK);
    expect_rows(&a, 50, 1, 52);
    stop();
}
END_TEST

/* The clock that a worker has not ended goes without its ops; one that it has ended stays. */
START_TEST(bsp_keeps_what_a_dead_worker_has_loaded_in_clocks_that_it_ended) {
    for (int ended = 0; ended < 2; ended++) {
        start(2, BSP);
        stage_all(&b, 1);
        ck_assert_int_eq(load(&b, 1, 77), WIRE_ACK);
        if (ended)
            ck_assert_int_eq(talker_end(&b, WIRE_TICK, 0, 0, 0, 0), WIRE_ACK);
        b.now_ms = 20000;
        b.head = (struct head){.version = WIRE_VERSION, .worker = 1, .num.call = 9};
        ck_assert_int_eq(talker_hello(&b, BSP, 2), WIRE_WELCOME);
        ck_assert_int_eq(talker_end(&a, WIRE_TICK, 0, 0, 0, 0), WIRE_ACK);
        expect_rows(&a, ended ? 5 : 0, ended ? 6 : 0, ended ? 7 : 0);
        stop();
    }
}
END_TEST

START_TEST(a_table_that_is_dropped_meanwhile_takes_its_load_with_it) {
    start(2, ASYNC);
    ck_assert_int_eq(stage(&a, 1, 0), WIRE_STAGED);
    ck_assert_int_eq(stage(&a, 1, 1), WIRE_STAGED);
    ck_assert_int_eq(drop(&b), WIRE_ACK);
    ck_assert_int_eq(stage(&a, 1, 2), WIRE_REFUSE);
    ck_assert_int_eq(refused_with, RH_ENOTFOUND);
    ck_assert_ptr_nonnull(strstr(talker_refusal(), "was dropped by worker 1"));
    stop();

    start(2, ASYNC);
    stage_all(&a, 1);
    ck_assert_int_eq(drop(&b), WIRE_ACK);
    ck_assert_int_eq(load(&a, 1, 77), WIRE_REFUSE);
    ck_assert_ptr_nonnull(strstr(talker_refusal(), "was dropped by worker 1"));
    stop();

    start(2, BSP);
    stage_all(&b, 1);
    ck_assert_int_eq(load(&b, 1, 77), WIRE_ACK);
    ck_assert_int_eq(drop(&a), WIRE_ACK);
    ck_assert_int_eq(talker_end(&a, WIRE_TICK, 0, 0, 0, 0), WIRE_ACK);
    ck_assert_int_eq(talker_end(&b, WIRE_TICK, 0, 0, 0, 0), WIRE_ACK);
    uint64_t id = 0;
    float row[DIM];
    ck_assert_int_eq(talker_pull(&a, 1, 1, &id, DIM, row), WIRE_REFUSE);
    ck_assert_ptr_nonnull(strstr(talker_refusal(), "was dropped by worker 0"));
    stop();
}
END_TEST

/* ---- limits ---- */

START_TEST(under_bsp_the_rows_of_a_file_count_as_held_while_it_is_read) {
    start_with(1, BSP, 2 * (8 + DIM * 4), 0);
    ck_assert_int_eq(stage(&a, 1, 0), WIRE_STAGED);
    ck_assert_int_eq(stage(&a, 1, 1), WIRE_STAGED);
    ck_assert_int_eq(stage(&a, 1, 2), WIRE_STAGED);
    ck_assert_int_eq(stage(&a, 1, 3), WIRE_REFUSE);
    ck_assert_int_eq(refused_with, RH_ELIMIT);
    ck_assert_ptr_nonnull(strstr(talker_refusal(), "--hold-limit"));
    ck_assert_int_eq(stage(&a, 1, 3), WIRE_REFUSE); /* and what was read is let go */
    ck_assert_int_eq(stage(&a, 2, 0), WIRE_STAGED);
    ck_assert_int_eq(stage(&a, 2, 1), WIRE_STAGED);
    stop();
}
END_TEST

START_TEST(a_file_that_is_half_read_does_not_decide_what_becomes_of_an_op) {
    enum { OP_BYTES = 64 + 32 + WAITING_BYTES }; /* a FREEZE that is held */
    start_with(1, BSP, OP_BYTES + (8 + DIM * 4), 0);
    ck_assert_int_eq(stage(&a, 1, 0), WIRE_STAGED);
    ck_assert_int_eq(stage(&a, 1, 1), WIRE_STAGED);
    ck_assert_int_eq(stage(&a, 1, 2), WIRE_STAGED);
    ck_assert_int_eq(talker_freeze(&a, 1, 10, 0, false), WIRE_ACK); /* as if no row was read */
    ck_assert_int_eq(stage(&a, 1, 3), WIRE_REFUSE); /* but the op counts for the file */
    stop();
}
END_TEST

START_TEST(a_load_writes_the_rows_that_fit_and_names_the_others) {
    start_with(1, ASYNC, 1, 2 * DIM * 4);
    stage_all(&a, 1);
    ck_assert_int_eq(load(&a, 1, 77), WIRE_REFUSE);
    ck_assert_ptr_nonnull(
        strstr(talker_refusal(), "no room for 1 new row, the first of them id 2"));
    expect_rows(&a, 5, 6, 0);
    stop();
}
END_TEST

START_TEST(under_bsp_a_load_whose_rows_do_not_all_fit_is_refused_as_whole) {
    start_with(1, BSP, 1 << 20, 2 * DIM * 4);
    stage_all(&a, 1);
    ck_assert_int_eq(load(&a, 1, 77), WIRE_REFUSE);
    ck_assert_int_eq(talker_end(&a, WIRE_TICK, 0, 0, 1, 0), WIRE_ACK);
    expect_rows(&a, 0, 0, 0);
    stop();
}
END_TEST

/* ---- a shard that is killed, and comes back from its journal ---- */

static struct memory_disk disk;
static struct journal *journal;
static const struct journal_options journal_options = {
    .io = &disk.io, .shards = 1, .boot = 1, .mode = JOURNAL_NEVER};

static void another_life(void) {
    struct shard_config c;
    shard_config_init(&c);
    c.source = &fake.source;
    ck_assert_int_eq(journal_open(&journal_options, &journal), RH_OK);
    ck_assert_int_eq(shard_new(&c, journal_net(journal, &net.net), &shard), RH_OK);
}

static void start_journaled(uint32_t mode) {
    struct spec s = {.kind = SPEC_DENSE,
                     .dim = DIM,
                     .rows = 10,
                     .init = SPEC_ZEROS,
                     .opt = SPEC_SGD,
                     .lr = 1.0,
                     .padding_idx = SPEC_NO_PADDING};
    memory_disk_init(&disk);
    memory_net_init(&net);
    fake = (struct fake){.source.ops = &fake_ops, .first = 5, .bad_at = -1};
    another_life();
    ck_assert_int_eq(journal_begin(journal, shard), RH_OK);
    talker_init(&a, shard, &net, 0);
    ck_assert_int_eq(talker_hello(&a, mode, 1), WIRE_WELCOME);
    ck_assert_int_eq(talker_open(&a, "t", &s), WIRE_OPENED);
}

static void kill_and_revive(void) {
    struct journal_report report;
    ckpt_drop(&journal->file);
    journal_close(&journal, false);
    shard_free(&shard);
    another_life();
    rh_status st = journal_replay(journal, shard, 2000, &report);
    ck_assert_msg(st == RH_OK, "%s", err_text());
    a.shard = shard;
}

static void stop_journaled(void) {
    stop();
    journal_close(&journal, false);
    ck_assert_uint_eq(memory_disk_open_files(&disk), 0);
    memory_disk_fini(&disk);
}

START_TEST(what_was_read_is_not_read_again_when_the_server_was_killed_before_the_load) {
    start_journaled(_i == 0 ? ASYNC : BSP);
    stage_all(&a, 1);
    fake.bad_at = 0; /* the file has changed since */
    kill_and_revive();
    ck_assert_int_eq(stage(&a, 1, SLICES), WIRE_STAGED); /* the answer was lost */
    ck_assert_uint_eq(told.done, 1);
    ck_assert_uint_eq(told.rows, SLICES);
    ck_assert_str_eq(told.about, "a file");
    ck_assert_int_eq(load(&a, 1, 77), WIRE_ACK);
    kill_and_revive();
    if (_i == 1)
        ck_assert_int_eq(talker_end(&a, WIRE_TICK, 0, 0, 0, 0), WIRE_ACK);
    expect_rows(&a, 5, 6, 7);
    kill_and_revive();
    expect_rows(&a, 5, 6, 7);
    ck_assert_int_eq(fake.opened, 1);
    stop_journaled();
}
END_TEST

START_TEST(a_file_half_read_is_opened_anew_and_read_as_far_as_it_was) {
    start_journaled(ASYNC);
    for (uint32_t step = 0; step < SLICES; step++)
        ck_assert_int_eq(stage(&a, 1, step), WIRE_STAGED);
    kill_and_revive();
    ck_assert_int_eq(stage(&a, 1, SLICES), WIRE_STAGED);
    ck_assert_uint_eq(told.steps, SLICES + 1);
    ck_assert_uint_eq(told.done, 1);
    ck_assert_int_eq(fake.opened, 2);
    ck_assert_int_eq(load(&a, 1, 77), WIRE_ACK);
    expect_rows(&a, 5, 6, 7);
    stop_journaled();
}
END_TEST

START_TEST(a_load_that_was_let_go_stays_so) {
    start_journaled(ASYNC);
    stage_all(&a, 1);
    ck_assert_int_eq(stage_file(&a, WIRE_UNDO, 1, 0, "file"), WIRE_STAGED);
    kill_and_revive();
    ck_assert_int_eq(load(&a, 1, 77), WIRE_REFUSE);
    kill_and_revive();
    stage_all(&a, 2);
    ck_assert_int_eq(load(&a, 2, 77), WIRE_ACK);
    expect_rows(&a, 5, 6, 7);
    stop_journaled();
}
END_TEST

Suite *loads_suite(void) {
    Suite *suite = suite_create("loads");
    TCase *tc = tcase_create("loads");
    tcase_add_test(tc, no_row_changes_before_the_load);
    tcase_add_test(tc, a_repeated_step_reads_no_slice_and_is_answered_alike);
    tcase_add_test(tc, a_repeated_load_is_acked_and_not_written_again);
    tcase_add_test(tc, a_repeat_from_a_load_that_is_over_is_dropped);
    tcase_add_test(tc,
                   a_bad_file_is_refused_alike_however_often_it_is_asked_for_and_changes_nothing);
    tcase_add_test(tc, a_load_of_what_was_not_read_to_its_end_is_refused);
    tcase_add_test(tc, steps_that_cannot_be_are_refused);
    tcase_add_test(tc, a_shard_without_files_says_what_to_do);
    tcase_add_test(tc, an_observer_reads_no_files);
    tcase_add_test(tc, what_is_not_loaded_is_let_go);
    tcase_add_test(tc, bsp_writes_at_the_clocks_close_in_rank_order);
    tcase_add_test(tc, bsp_keeps_what_a_dead_worker_has_loaded_in_clocks_that_it_ended);
    tcase_add_test(tc, a_table_that_is_dropped_meanwhile_takes_its_load_with_it);
    tcase_add_test(tc, under_bsp_the_rows_of_a_file_count_as_held_while_it_is_read);
    tcase_add_test(tc, a_file_that_is_half_read_does_not_decide_what_becomes_of_an_op);
    tcase_add_test(tc, a_load_writes_the_rows_that_fit_and_names_the_others);
    tcase_add_test(tc, under_bsp_a_load_whose_rows_do_not_all_fit_is_refused_as_whole);
    tcase_add_loop_test(
        tc, what_was_read_is_not_read_again_when_the_server_was_killed_before_the_load, 0, 2);
    tcase_add_test(tc, a_file_half_read_is_opened_anew_and_read_as_far_as_it_was);
    tcase_add_test(tc, a_load_that_was_let_go_stays_so);
    suite_add_tcase(suite, tc);
    return suite;
}
