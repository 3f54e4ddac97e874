/* test_journal.c - a shard that was killed comes back from its journal to the same bits, sessions and
 * answers; a torn end is passed over, and all other damage is named. */
#include <check.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "common/err.h"
#include "ps/journal_inner.h"
#include "ps/shard_inner.h"
#include "tests/support/journal_job.h"
#include "tests/support/memory_disk.h"
#include "tests/unit/suites.h"

enum { SEED = 11, NOW = 1, NEXT = 2 };

#define ck_assert_ok(call)                                                           \
    do {                                                                             \
        rh_status is_ = (call);                                                      \
        ck_assert_msg(is_ == RH_OK, #call ": %s: %s", status_text(is_), err_text()); \
    } while (0)

static struct memory_disk disk, checkpoints;
static struct journal *journals[JOB_SHARDS];
static struct ckpt_job job, twin; /* the twin is never killed */
static struct journal_options options;
static struct journal_report report;

static void setup(void) {
    memory_disk_init(&disk);
    memory_disk_init(&checkpoints);
    options = (struct journal_options){
        .io = &disk.io, .ckpt = &checkpoints.io, .boot = NOW, .mode = JOURNAL_NEVER};
    job = twin = (struct ckpt_job){0};
    memset(journals, 0, sizeof journals);
}

static void teardown(void) {
    journal_job_kill(&job, journals);
    ckpt_job_fini(&twin);
    ck_assert_uint_eq(memory_disk_open_files(&disk), 0);
    ck_assert_uint_eq(memory_disk_open_files(&checkpoints), 0);
    memory_disk_fini(&disk);
    memory_disk_fini(&checkpoints);
}

static void begin(uint32_t mode, uint32_t shards) {
    ckpt_job_shards(&job, shards);
    journal_job_begin(&job, journals, &options);
    ckpt_job_come(&job, mode, SEED);
    ckpt_job_init(&twin, mode, shards, SEED);
}

static void step(void) {
    ckpt_job_step(&job);
    ckpt_job_step(&twin);
    ck_assert_uint_eq(ckpt_job_digest(&job), ckpt_job_digest(&twin));
}

/* The files of shard i, of segments from .. to - 1. */
static uint32_t files(uint32_t i, uint64_t from, uint64_t to) {
    uint32_t n = 0;
    for (uint32_t k = 0; k < disk.n_links; k++) {
        uint64_t number = journal_file_number(i, job.shards, disk.links[k].name);
        n += number >= from && number < to;
    }
    return n;
}

static struct disk_node *file(uint32_t i, uint64_t segment) {
    char name[JOURNAL_NAME];
    journal_file_name(i, job.shards, segment, name);
    for (uint32_t k = 0; k < disk.n_links; k++)
        if (strcmp(disk.links[k].name, name) == 0)
            return &disk.nodes[disk.links[k].node];
    ck_abort_msg("there is no %s", name);
    return NULL;
}

/* The job's servers are killed, and started again; its workers know nothing of that. */
static rh_status revive(void) {
    const struct ckpt_job before = job;
    journal_job_kill(&job, journals);
    rh_status st = journal_job_revive(&job, before.shards, journals, &options, &report);
    if (st == RH_OK)
        journal_job_move(&job, &before);
    return st;
}

/* ---- the same bits ---- */

START_TEST(killed_after_any_step_a_job_comes_back_to_the_same_bits_and_goes_on_as_if_nothing_were) {
    begin(_i % 2 == 0 ? JOB_ASYNC : JOB_BSP, _i < 2 ? 1 : 3);
    for (int n = 0; n < 8; n++) {
        step();
        uint64_t state[JOB_SHARDS];
        for (uint32_t i = 0; i < job.shards; i++)
            state[i] = journal_job_state(&job, i);
        ck_assert_ok(revive());
        ck_assert_uint_eq(ckpt_job_digest(&job), ckpt_job_digest(&twin));
        for (uint32_t i = 0; i < job.shards; i++)
            ck_assert_uint_eq(journal_job_state(&job, i), state[i]);
        ck_assert_uint_gt(report.records, 10);
        ck_assert(report.cut_bytes == 0 && !report.may_have_lost && report.generation == 0);
    }
    step();
}
END_TEST

/* ---- sessions ---- */

static struct spec spec_of(void) {
    return (struct spec){.kind = SPEC_DENSE,
                         .dim = 1,
                         .rows = 64,
                         .init = SPEC_ZEROS,
                         .opt = SPEC_SGD,
                         .lr = 1,
                         .padding_idx = SPEC_NO_PADDING};
}

static struct talker *talk[JOB_WORKERS];
static const uint64_t row = 5;
static const float one = 1;

/* Two workers of one shard who have opened a table of zeros, "t". */
static void small(uint32_t mode) {
    ckpt_job_shards(&job, 1);
    journal_job_begin(&job, journals, &options);
    for (uint32_t rank = 0; rank < JOB_WORKERS; rank++) {
        struct spec s = spec_of();
        struct talker *t = talk[rank] = &job.talk[rank][0];
        talker_init(t, job.shard[0], &job.nets[0], rank);
        ck_assert_int_eq(talker_hello(t, mode, JOB_WORKERS), WIRE_WELCOME);
        ck_assert_int_eq(talker_open(t, "t", &s), WIRE_OPENED);
    }
}

static float pull(uint32_t rank) {
    float is = -1;
    ck_assert_int_eq(talker_pull(talk[rank], 1, 1, &row, 1, &is), WIRE_ROWS);
    return is;
}

static int push(uint32_t rank, uint64_t pushes) {
    return talker_push(talk[rank], 1, 1, &row, 1, &one, pushes);
}

/* The last op once more, as one whose ack was lost. */
static int push_again(uint32_t rank, uint64_t pushes, struct opnum before) {
    struct talker *t = talk[rank];
    t->head.num.call--;
    t->last = before;
    return push(rank, pushes);
}

START_TEST(an_op_whose_ack_was_lost_is_acked_again_and_not_taken_again) {
    small(JOB_ASYNC);
    struct opnum before = talk[0]->last;
    ck_assert_int_eq(push(0, 1), WIRE_ACK);
    ck_assert_ok(revive());
    ck_assert_int_eq(push_again(0, 1, before), WIRE_ACK);
    ck_assert_float_eq(pull(0), -1);
    ck_assert_int_eq(push(0, 2), WIRE_ACK);
    ck_assert_float_eq(pull(0), -2);
}
END_TEST

START_TEST(an_op_that_was_refused_is_refused_again_and_the_chain_goes_on) {
    small(JOB_ASYNC);
    struct opnum before = talk[0]->last;
    ck_assert_int_eq(talker_push(talk[0], 9, 1, &row, 1, &one, 1), WIRE_REFUSE);
    ck_assert_ok(revive());
    talk[0]->head.num.call--;
    talk[0]->last = before;
    ck_assert_int_eq(talker_push(talk[0], 9, 1, &row, 1, &one, 1), WIRE_REFUSE);
    ck_assert_ptr_nonnull(strstr(talker_refusal(), "refused before"));
    ck_assert_int_eq(push(0, 1), WIRE_ACK);
}
END_TEST

START_TEST(what_came_early_was_not_acked_and_comes_again) {
    small(JOB_ASYNC);
    struct talker *t = talk[0];
    struct opnum first = t->last;
    t->head.num.call++; /* the first push is on its way still */
    t->last = t->head.num;
    ck_assert_int_eq(push(0, 2), 0);
    ck_assert_int_eq(shard_session(job.shard[0], 0)->early.n, 1);
    ck_assert_ok(revive());
    ck_assert_int_eq(shard_session(job.shard[0], 0)->early.n, 0);
    t->last = first;
    t->head.num.call -= 2;
    ck_assert_int_eq(push(0, 1), WIRE_ACK);
    ck_assert_int_eq(push(0, 2), WIRE_ACK);
    ck_assert_float_eq(pull(0), -2);
}
END_TEST

START_TEST(early_ops_that_were_taken_are_done_again_in_that_order) {
    small(JOB_ASYNC);
    struct talker *t = talk[0];
    struct head h;
    struct opnum first = t->last;
    t->head.num.call++;
    t->last = t->head.num;
    ck_assert_int_eq(push(0, 2), 0);
    struct opnum second = t->last;
    t->last = first;
    t->head.num.call -= 2;
    ck_assert_int_eq(push(0, 1), WIRE_ACK);
    ck_assert_int_eq(talker_answer(t, &h, 0, NULL), WIRE_ACK);
    t->last = second;
    t->head.num = second;
    uint64_t state = journal_job_state(&job, 0);
    ck_assert_ok(revive());
    ck_assert_uint_eq(journal_job_state(&job, 0), state);
    ck_assert_float_eq(pull(0), -2);
}
END_TEST

START_TEST(under_bsp_what_is_held_is_held_again_until_its_clock_closes) {
    small(JOB_BSP);
    ck_assert_int_eq(push(0, 1), WIRE_ACK);
    ck_assert_int_eq(push(1, 1), WIRE_ACK);
    ck_assert_int_eq(talker_end(talk[0], WIRE_TICK, 1, 1, 1, 1), WIRE_ACK);
    ck_assert_ok(revive());
    ck_assert_uint_eq(shard_session(job.shard[0], 0)->held.n, 2);
    ck_assert_uint_eq(job.shard[0]->closed, 0);
    ck_assert_int_eq(talker_pull(talk[0], 1, 1, &row, 1, NULL), 0);
    ck_assert_int_eq(talker_end(talk[1], WIRE_TICK, 1, 1, 1, 1), WIRE_ACK);
    ck_assert_uint_eq(job.shard[0]->closed, 1);
    struct head h;
    while (talker_answer(talk[0], &h, 0, NULL) != 0)
        ;
    ck_assert_float_eq(pull(0), -2);
    ck_assert_ok(revive());
    ck_assert_float_eq(pull(1), -2);
}
END_TEST

START_TEST(a_worker_is_the_same_incarnation_and_another_client_of_its_rank_is_not_let_in) {
    small(JOB_ASYNC);
    struct talker other;
    ck_assert_ok(revive());
    talker_init(&other, job.shard[0], &job.nets[0], 0);
    other.now_ms = 5000 + 9000; /* it is as if heard of when the server came back */
    other.head.num.call = 77;
    ck_assert_int_eq(talker_hello(&other, JOB_ASYNC, JOB_WORKERS), WIRE_REFUSE);
    ck_assert_ptr_nonnull(strstr(talker_refusal(), "taken by a live worker"));
    other.now_ms += 2000;
    ck_assert_int_eq(talker_hello(&other, JOB_ASYNC, JOB_WORKERS), WIRE_WELCOME);
    ck_assert_uint_eq(other.head.worker_inc, 2);
    ck_assert_ok(revive()); /* which it was let in as then, at whatever time */
    ck_assert_uint_eq(shard_session(job.shard[0], 0)->inc, 2);
    ck_assert_int_eq(push(0, 1), WIRE_REFUSE);
    ck_assert_ptr_nonnull(strstr(talker_refusal(), "took over"));
}
END_TEST

static int barrier(uint32_t rank, uint32_t index) {
    struct talker *t = talk[rank];
    struct head h;
    uint8_t room[4];
    struct buf b;
    buf_wrap(&b, room, sizeof room);
    buf_put_u32(&b, index);
    talker_send(t, WIRE_BARRIER, 0, (struct opnum){0, 700 + index, 0}, t->last, 0, &b);
    return talker_answer(t, &h, 0, NULL);
}

START_TEST(a_barrier_that_was_reached_stays_reached) {
    small(JOB_ASYNC);
    struct head h;
    ck_assert_int_eq(barrier(0, 1), 0);
    ck_assert_int_eq(barrier(1, 1), WIRE_PASSED);
    ck_assert_int_eq(talker_answer(talk[0], &h, 0, NULL), WIRE_PASSED);
    ck_assert_ok(revive());
    ck_assert_int_eq(barrier(1, 1),
                     WIRE_PASSED); /* it had not heard; the other will not come again */
    ck_assert_int_eq(barrier(1, 2), 0);
    ck_assert_ok(revive());
    ck_assert_int_eq(barrier(0, 2), WIRE_PASSED);
    ck_assert_int_eq(talker_answer(talk[1], &h, 0, NULL), 0); /* its old address is nobody's */
    ck_assert_int_eq(barrier(1, 2), WIRE_PASSED);
}
END_TEST

START_TEST(a_shard_that_everybody_has_left_is_finished_still) {
    small(JOB_BSP);
    job.shard[0]->cfg.world = JOB_WORKERS;
    for (uint32_t rank = 0; rank < JOB_WORKERS; rank++)
        ck_assert_int_eq(talker_end(talk[rank], WIRE_BYE, 0, 0, 0, 0), WIRE_ACK);
    ck_assert_ok(revive());
    job.shard[0]->cfg.world = JOB_WORKERS;
    ck_assert(shard_finished(job.shard[0]));
    ck_assert_uint_eq(job.shard[0]->closed, 1);
}
END_TEST

/* ---- torn and damaged ---- */

/* What the shard was before each record, by the spy that stands before its journal. */
static struct spy {
    struct shard_notes notes;
    uint64_t state[64], at[64];
    uint32_t n;
    bool hello[64];
} spy;

static rh_status look(struct shard_notes *n, const struct note *note) {
    (void)n;
    ck_assert_uint_lt(spy.n, 64);
    struct head h = {0};
    ck_assert_int_eq(wire_open(note->p, note->len, &h), RH_OK);
    spy.hello[spy.n] = h.kind == WIRE_HELLO; /* mode and world are asked before */
    if (spy.n > 2)                           /* both workers are there */
        spy.state[spy.n] = journal_job_state(&job, 0) + ckpt_job_digest(&job);
    spy.at[spy.n++] = journals[0]->written;
    return journals[0]->notes.ops->take(&journals[0]->notes, note);
}

static const struct shard_notes_ops spying = {.take = look};

/* A life with a bit of everything, killed in the midst of a clock. The bytes of its only segment. */
static uint64_t short_life(uint32_t mode) {
    ckpt_job_shards(&job, 1);
    journal_job_begin(&job, journals, &options);
    spy = (struct spy){.notes = {&spying}};
    job.shard[0]->cfg.notes = &spy.notes;
    for (uint32_t rank = 0; rank < JOB_WORKERS; rank++) {
        struct spec s = spec_of();
        struct talker *t = talk[rank] = &job.talk[rank][0];
        talker_init(t, job.shard[0], &job.nets[0], rank);
        ck_assert_int_eq(talker_hello(t, mode, JOB_WORKERS), WIRE_WELCOME);
        ck_assert_int_eq(talker_open(t, "t", &s), WIRE_OPENED);
    }
    for (uint32_t clock = 0; clock < 2; clock++) {
        for (uint32_t rank = 0; rank < JOB_WORKERS; rank++)
            ck_assert_int_eq(push(rank, clock + 1), WIRE_ACK);
        ck_assert_int_eq(talker_freeze(talk[0], 1, 3, clock + 2, false), WIRE_ACK);
        for (uint32_t rank = 0; rank < JOB_WORKERS; rank++)
            ck_assert_int_eq(talker_end(talk[rank], WIRE_TICK, 1, 1, 1, clock + 1), WIRE_ACK);
    }
    ck_assert_int_eq(push(1, 3), WIRE_ACK);
    ck_assert_int_eq(push(0, 3), WIRE_ACK);
    spy.state[spy.n] = journal_job_state(&job, 0) + ckpt_job_digest(&job);
    spy.at[spy.n++] = journals[0]->written;
    ck_assert_uint_gt(spy.n, 15);
    return journals[0]->written;
}

START_TEST(an_end_torn_at_any_byte_is_passed_over_and_nothing_that_was_acked_is_missing) {
    uint64_t bytes = short_life(_i == 0 ? JOB_ASYNC : JOB_BSP), torn = 0;
    uint32_t n = spy.n - 1;
    journal_job_kill(&job, journals);
    struct memory_disk whole = disk;
    for (uint64_t len = bytes; len >= spy.at[0]; len--) {
        struct rng g = {0};
        memory_disk_crash(&whole, whole.n_ops, DISK_KEPT, &g, &disk);
        job.shards = 1;
        file(0, 1)->len = len;
        while (spy.at[n] > len)
            n--;
        ck_assert_ok(journal_job_revive(&job, 1, journals, &options, &report));
        ck_assert_uint_eq(report.cut_bytes, len - spy.at[n]);
        ck_assert(!report.may_have_lost);
        ck_assert_uint_eq(report.records, n);
        if (!spy.hello[n] && n > 2)
            ck_assert_uint_eq(journal_job_state(&job, 0) + ckpt_job_digest(&job), spy.state[n]);
        torn += report.cut_bytes > 0;
        journal_job_kill(&job, journals);
        /* And once more: what was passed over stays passed over. */
        ck_assert_ok(journal_job_revive(&job, 1, journals, &options, &report));
        ck_assert_uint_eq(report.records, n);
        ck_assert_uint_eq(report.cut_bytes, 0);
        journal_job_kill(&job, journals);
        memory_disk_fini(&disk);
    }
    ck_assert_uint_gt(torn, 1000);
    disk = whole;
}
END_TEST

START_TEST(every_flipped_bit_is_noticed_and_named) {
    uint64_t bytes = short_life(JOB_BSP);
    journal_job_kill(&job, journals);
    struct memory_disk whole = disk;
    for (uint64_t at = 0; at < bytes * 8; at++) {
        struct rng g = {0};
        memory_disk_crash(&whole, whole.n_ops, DISK_KEPT, &g, &disk);
        job.shards = 1;
        file(0, 1)->bytes[at / 8] ^= (uint8_t)(1 << at % 8);
        rh_status st = journal_job_revive(&job, 1, journals, &options, &report);
        ck_assert_msg(st == RH_ECORRUPT, "bit %u of byte %u: %s", (unsigned)at % 8,
                      (unsigned)at / 8, status_text(st));
        ck_assert_ptr_nonnull(strstr(err_text(), "DIR/shard-00000-of-00001.0000000001.rhj"));
        memory_disk_fini(&disk);
    }
    disk = whole;
}
END_TEST

START_TEST(a_segment_of_another_job_or_that_is_missing_is_named) {
    small(JOB_ASYNC);
    ck_assert_ok(revive());
    ck_assert_int_eq(push(0, 1), WIRE_ACK);
    ck_assert_ok(revive());
    ck_assert_uint_eq(files(0, 1, 4), 3);
    options.job = 5;
    ck_assert_int_eq(revive(), RH_EMISMATCH);
    ck_assert_ptr_nonnull(strstr(err_text(), "of another job"));
    options.job = 0;
    ck_assert_int_eq(
        disk.io.ops->remove(&disk.io, CKPT_ROOT, "shard-00000-of-00001.0000000002.rhj", false), 0);
    job.shards = 1;
    ck_assert_int_eq(revive(), RH_ECORRUPT);
    ck_assert_str_eq(err_text(), "part 2 of the journal of shard 0 is missing in DIR");
}
END_TEST

/* ---- a machine that was stopped ---- */

START_TEST(where_acked_ops_may_be_lost_workers_are_fenced) {
    static const struct {
        enum journal_mode mode;
        bool stopped, lost;
    } all[] = {{JOURNAL_NEVER, false, false},  {JOURNAL_NEVER, true, true},
               {JOURNAL_SOON, false, false},   {JOURNAL_SOON, true, true},
               {JOURNAL_ALWAYS, false, false}, {JOURNAL_ALWAYS, true, false}};
    options.mode = all[_i].mode;
    ckpt_job_shards(&job, 1);
    journal_job_begin(&job, journals, &options);
    uint32_t life = job.shard[0]->cfg.incarnation;
    options.boot = all[_i].stopped ? NEXT : NOW;
    ck_assert_ok(revive());
    ck_assert_int_eq(report.may_have_lost, all[_i].lost);
    ck_assert_uint_eq(job.shard[0]->cfg.incarnation, life + all[_i].lost);
    life = job.shard[0]->cfg.incarnation;
    journal_close(&journals[0], false); /* in order: all of it is on the disk */
    options.boot = 99;
    ck_assert_ok(revive());
    ck_assert_uint_eq(job.shard[0]->cfg.incarnation, life);
}
END_TEST

START_TEST(damage_to_what_was_synced_is_no_torn_end_even_of_a_machine_that_was_stopped) {
    options.mode = JOURNAL_SOON;
    small(JOB_ASYNC);
    uint64_t at = journals[0]->written;
    ck_assert_int_eq(push(0, 1), WIRE_ACK);
    if (_i == 0)
        ck_assert_ok(journal_sync(journals[0]));
    ck_assert_int_eq(push(0, 2), WIRE_ACK);
    file(0, 1)->bytes[at + 60] ^= 1;
    options.boot = NEXT;
    rh_status st = revive();
    if (_i == 0) {
        ck_assert_int_eq(st, RH_ECORRUPT);
        ck_assert_ptr_nonnull(strstr(err_text(), "in the midst of it"));
    } else {
        ck_assert_ok(st);
        ck_assert(report.may_have_lost && report.cut_bytes > 100);
        ck_assert_uint_eq(job.shard[0]->pushes, 0);
    }
}
END_TEST

/* ---- answers that wait for the disk ---- */

START_TEST(with_always_nobody_is_answered_before_the_disk_has_it_and_then_all_are_in_order) {
    options.mode = JOURNAL_ALWAYS;
    ckpt_job_shards(&job, 1);
    journal_job_begin(&job, journals, &options);
    struct talker *t = talk[0] = &job.talk[0][0];
    struct head h;
    struct spec s = spec_of();
    bool sent;
    talker_init(t, job.shard[0], &job.nets[0], 0);
    ck_assert_int_eq(talker_hello(t, JOB_ASYNC, 1), 0);
    ck_assert_ok(journal_flush(journals[0], &sent));
    ck_assert(sent);
    ck_assert_int_eq(talker_answer(t, &h, 0, NULL), WIRE_WELCOME);
    t->head.worker_inc = h.worker_inc;
    t->head.server_inc = h.server_inc;
    t->head.num = t->last = (struct opnum){0};
    ck_assert_int_eq(talker_open(t, "t", &s), 0);
    ck_assert_int_eq(push(0, 1), 0);
    ck_assert_int_eq(talker_pull(t, 1, 1, &row, 1, NULL), 0);
    uint32_t ops = disk.n_ops;
    ck_assert_ok(journal_flush(journals[0], &sent));
    ck_assert_uint_eq(disk.n_ops, ops + 1); /* one sync for all */
    ck_assert_int_eq(talker_answer(t, &h, 0, NULL), WIRE_OPENED);
    ck_assert_int_eq(talker_answer(t, &h, 0, NULL), WIRE_ACK);
    ck_assert_int_eq(talker_answer(t, &h, 0, NULL), WIRE_ROWS);
    ck_assert_ok(journal_flush(journals[0], &sent));
    ck_assert(!sent);
    ck_assert_int_eq(talker_pull(t, 1, 1, &row, 1, NULL), WIRE_ROWS); /* nothing waits: at once */
}
END_TEST

START_TEST(a_sync_that_fails_is_final_and_who_waited_is_never_acked) {
    options.mode = JOURNAL_ALWAYS;
    ckpt_job_shards(&job, 1);
    journal_job_begin(&job, journals, &options);
    struct talker *t = &job.talk[0][0];
    struct head h;
    bool sent;
    talker_init(t, job.shard[0], &job.nets[0], 0);
    ck_assert_int_eq(talker_hello(t, JOB_ASYNC, 1), 0);
    memory_disk_fail(&disk, 1, EIO);
    ck_assert_int_eq(journal_flush(journals[0], &sent), RH_EIO);
    shard_break(job.shard[0], RH_EIO);
    memory_disk_fail(&disk, 0, 0);
    ck_assert_int_eq(talker_answer(t, &h, 0, NULL), 0);
    ck_assert_int_eq(talker_hello(t, JOB_ASYNC, 1), WIRE_REFUSE); /* though it was let in */
    ck_assert_ptr_nonnull(strstr(talker_refusal(), "cannot sync DIR/shard-00000-of-00001"));
    ck_assert_int_eq(journal_sync(journals[0]), RH_EIO);
}
END_TEST

/* ---- a disk that is full ---- */

START_TEST(an_op_that_cannot_be_written_down_is_refused_by_name_and_so_is_all_behind_it) {
    small(JOB_ASYNC);
    ck_assert_int_eq(push(0, 1), WIRE_ACK);
    memory_disk_fail(&disk, 1, 0);
    ck_assert_int_eq(push(0, 2), WIRE_ACK); /* a short write is gone on with */
    uint64_t digest = ckpt_job_digest(&job);
    memory_disk_fail(&disk, 1, ENOSPC);
    ck_assert_int_eq(push(0, 3), WIRE_REFUSE);
    ck_assert_str_eq(talker_refusal(),
                     "shard 0 can write down nothing more, and so takes nothing: cannot write "
                     "DIR/shard-00000-of-00001.0000000001.rhj: No space left on device");
    memory_disk_fail(&disk, 0, 0);
    ck_assert_int_eq(talker_pull(talk[1], 1, 1, &row, 1, NULL), WIRE_REFUSE);
    ck_assert_uint_eq(ckpt_job_digest(&job), digest);
    talk[0]->head.num.call--; /* with room again, and the server started again, it is taken */
    talk[0]->last = shard_session(job.shard[0], 0)->floor;
    ck_assert_ok(revive());
    ck_assert_int_eq(push(0, 3), WIRE_ACK);
    ck_assert_float_eq(pull(0), -3);
}
END_TEST

/* ---- checkpoints ---- */

static void cut(uint64_t generation, const char *name, bool whole) {
    for (uint32_t i = 0; i < job.shards; i++)
        ck_assert_ok(notes_begin(job.shard[i], true, name, generation));
    if (whole)
        ck_assert_ok(ckpt_job_save(&job, &checkpoints.io, name, generation));
}

START_TEST(a_checkpoint_that_is_whole_takes_the_place_of_what_was_before_its_cut) {
    begin(_i % 2 == 0 ? JOB_ASYNC : JOB_BSP, _i < 2 ? 1 : 3);
    for (uint64_t generation = 1; generation <= 3; generation++) {
        step();
        cut(generation, generation % 2 == 0 ? "a" : "b", true);
        step();
        uint64_t state = journal_job_state(&job, 0);
        ck_assert_ok(revive());
        ck_assert_uint_eq(report.generation, generation);
        ck_assert_uint_eq(journal_job_state(&job, 0), state);
        ck_assert_uint_eq(ckpt_job_digest(&job), ckpt_job_digest(&twin));
        /* The cut's own segment, and that of this life. */
        ck_assert_uint_eq(files(job.shards - 1, 1, 100), 2);
    }
    step();
    cut(4, "b", true); /* in place of an older one of that name */
    step();
    ck_assert_ok(revive());
    ck_assert_uint_eq(report.generation, 4);
    step();
}
END_TEST

START_TEST(the_next_cut_removes_what_the_last_whole_one_has_made_needless) {
    begin(JOB_ASYNC, 1);
    step();
    cut(1, "a", true);
    ck_assert_uint_eq(files(0, 1, 100), 2);
    step();
    cut(2, "b", false);
    ck_assert_uint_eq(files(0, 1, 2), 0);
    ck_assert_uint_eq(files(0, 2, 100), 2);
    step();
    cut(3, "c", true);
    ck_assert_uint_eq(files(0, 2, 100), 3); /* 2 was given up: its segment is needed */
    step();
    cut(4, "d", true);
    ck_assert_uint_eq(files(0, 4, 100), 2);
    ck_assert_uint_eq(files(0, 1, 4), 0);
}
END_TEST

START_TEST(a_checkpoint_that_was_given_up_is_passed_over) {
    begin(_i == 0 ? JOB_ASYNC : JOB_BSP, 2);
    step();
    cut(1, "a", true);
    step();
    cut(2, "b", false);
    step();
    cut(3, "a", false);
    step();
    ck_assert_ok(revive());
    ck_assert_uint_eq(report.generation, 1);
    ck_assert_uint_eq(ckpt_job_digest(&job), ckpt_job_digest(&twin));
    step();
    ck_assert_ok(revive());
    ck_assert_uint_eq(ckpt_job_digest(&job), ckpt_job_digest(&twin));
}
END_TEST

START_TEST(a_checkpoint_that_is_needed_and_gone_is_named) {
    begin(JOB_ASYNC, 1);
    step();
    cut(1, "a", true);
    step();
    ck_assert_ok(revive());
    ck_assert_ok(ckpt_job_save(&twin, &checkpoints.io, "a", 9)); /* somebody else's */
    ck_assert_int_eq(revive(), RH_ENOTFOUND);
    ck_assert_str_eq(err_text(), "the journal of shard 0 goes on from checkpoint \"a\": checkpoint "
                                 "\"a\" in DIR is of generation 9, not 1");
}
END_TEST

START_TEST(a_job_that_begins_with_a_checkpoint_comes_back_from_that) {
    ckpt_job_init(&twin, JOB_BSP, 3, SEED);
    ckpt_job_step(&twin);
    ck_assert_ok(ckpt_job_save(&twin, &checkpoints.io, "a", 7));
    ck_assert_ok(ckpt_job_restore(&job, &checkpoints.io, "a", 2));
    journal_job_begin(&job, journals, &options);
    ckpt_job_resume(&job, &twin);
    const struct ckpt_job then = twin;
    ckpt_job_fini(&twin); /* from now on: the job, as it would be without a kill */
    ck_assert_ok(ckpt_job_restore(&twin, &checkpoints.io, "a", 2));
    ckpt_job_resume(&twin, &then);
    step();
    ck_assert_ok(revive());
    ck_assert_uint_eq(report.generation, 7);
    step();
    ck_assert_uint_eq(job.shard[1]->origin, twin.shard[1]->origin);
    ck_assert_uint_eq(job.shard[0]->saved_generation, 7);
}
END_TEST

static void mark(uint32_t rank, uint32_t generation) {
    uint8_t room[64];
    struct buf b;
    buf_wrap(&b, room, sizeof room);
    msg_put_mark(&b, &(struct msg_mark){.generation = generation,
                                        .cursor = (const uint8_t *)"here",
                                        .cursor_len = 4});
    ck_assert_int_eq(talker_op(talk[rank], WIRE_MARK, 0, 0, &b), WIRE_ACK);
}

/* One begun by a life of before is not gone on with: its marks stand for a moment that is over. */
START_TEST(a_checkpoint_that_was_in_hand_is_given_up_and_its_number_is_not_used_again) {
    small(JOB_ASYNC);
    ck_assert_ok(notes_generation(job.shard[0], 5));
    job.shard[0]->cut.begun = 5;
    mark(0, 5);
    ck_assert_ok(revive());
    struct shard *s = job.shard[0];
    ck_assert_uint_eq(s->cut.generation, 5);
    ck_assert_uint_eq(s->cut.phase, MSG_GIVEN_UP);
    ck_assert_uint_eq(shard_session(s, 0)->marked, 5);
    ck_assert_uint_eq(shard_session(s, 0)->cursor.len, 4);
    ck_assert_int_eq(push(0, 1), WIRE_ACK); /* nothing is held */
    struct talker o;
    struct msg_save m = {.generation = 0, .ticket = 3, .name = "a"};
    uint8_t room[64];
    struct buf b;
    buf_wrap(&b, room, sizeof room);
    msg_put_save(&b, &m);
    talker_init(&o, s, &job.nets[0], WIRE_OBSERVER);
    o.now_ms = 5001;
    talker_send(&o, WIRE_SAVE, 0, (struct opnum){0, 3, 0}, o.last, 0, &b);
    ck_assert_uint_eq(s->cut.generation, 6);
    ck_assert_uint_eq(s->cut.phase, MSG_GATHERING);
    struct head h;
    ck_assert_int_eq(talker_answer(&o, &h, 0, NULL), WIRE_SAVING);
    cuts_stop(s);
}
END_TEST

Suite *journal_suite(void) {
    Suite *s = suite_create("journal");
    TCase *tc = tcase_create("journal");
    tcase_add_checked_fixture(tc, setup, teardown);
    tcase_set_timeout(tc, 240);
    tcase_add_loop_test(
        tc, killed_after_any_step_a_job_comes_back_to_the_same_bits_and_goes_on_as_if_nothing_were,
        0, 4);
    tcase_add_test(tc, an_op_whose_ack_was_lost_is_acked_again_and_not_taken_again);
    tcase_add_test(tc, an_op_that_was_refused_is_refused_again_and_the_chain_goes_on);
    tcase_add_test(tc, what_came_early_was_not_acked_and_comes_again);
    tcase_add_test(tc, early_ops_that_were_taken_are_done_again_in_that_order);
    tcase_add_test(tc, under_bsp_what_is_held_is_held_again_until_its_clock_closes);
    tcase_add_test(tc,
                   a_worker_is_the_same_incarnation_and_another_client_of_its_rank_is_not_let_in);
    tcase_add_test(tc, a_barrier_that_was_reached_stays_reached);
    tcase_add_test(tc, a_shard_that_everybody_has_left_is_finished_still);
    tcase_add_loop_test(
        tc, an_end_torn_at_any_byte_is_passed_over_and_nothing_that_was_acked_is_missing, 0, 2);
    tcase_add_test(tc, every_flipped_bit_is_noticed_and_named);
    tcase_add_test(tc, a_segment_of_another_job_or_that_is_missing_is_named);
    tcase_add_loop_test(tc, where_acked_ops_may_be_lost_workers_are_fenced, 0, 6);
    tcase_add_loop_test(
        tc, damage_to_what_was_synced_is_no_torn_end_even_of_a_machine_that_was_stopped, 0, 2);
    tcase_add_test(tc,
                   with_always_nobody_is_answered_before_the_disk_has_it_and_then_all_are_in_order);
    tcase_add_test(tc, a_sync_that_fails_is_final_and_who_waited_is_never_acked);
    tcase_add_test(tc,
                   an_op_that_cannot_be_written_down_is_refused_by_name_and_so_is_all_behind_it);
    tcase_add_loop_test(tc, a_checkpoint_that_is_whole_takes_the_place_of_what_was_before_its_cut,
                        0, 4);
    tcase_add_test(tc, the_next_cut_removes_what_the_last_whole_one_has_made_needless);
    tcase_add_loop_test(tc, a_checkpoint_that_was_given_up_is_passed_over, 0, 2);
    tcase_add_test(tc, a_checkpoint_that_is_needed_and_gone_is_named);
    tcase_add_test(tc, a_job_that_begins_with_a_checkpoint_comes_back_from_that);
    tcase_add_test(tc, a_checkpoint_that_was_in_hand_is_given_up_and_its_number_is_not_used_again);
    suite_add_tcase(s, tc);
    return s;
}
