/* test_journal_crash.c - a machine that stops at any moment of a journal's life, with a disk that keeps all,
 * none or some of what was not synced: what was synced is there, nothing is there that was not, and where
 * acked ops may be missing nobody goes on as if they were not. */
#include <check.h>
#include <stdio.h>
#include <string.h>

#include "common/err.h"
#include "ps/journal_inner.h"
#include "ps/shard_inner.h"
#include "tests/support/journal_job.h"
#include "tests/support/memory_disk.h"
#include "tests/support/seed.h"
#include "tests/unit/suites.h"

enum { NOW = 1, NEXT = 2, SOME = 9, NOTES = 400 };

#define ck_assert_ok(call)                                                           \
    do {                                                                             \
        rh_status is_ = (call);                                                      \
        ck_assert_msg(is_ == RH_OK, #call ": %s: %s", status_text(is_), err_text()); \
    } while (0)

static struct memory_disk disk, checkpoints;
static struct ckpt_job job;
static struct journal *journals[JOB_SHARDS];
static struct journal_options options;

/* Stands before the journal: what the shard was before each thing that was written, by the number of
 * operations of the disk. */
static struct {
    struct shard_notes notes;
    uint64_t digest[NOTES];
    uint32_t ops[NOTES]; /* the disk had then; the last is the end */
    uint32_t n, comes;   /* all; and until both workers were there */
} spy;

static void look(void) {
    ck_assert_uint_lt(spy.n, NOTES);
    spy.digest[spy.n] = spy.comes != 0 ? ckpt_job_digest(&job) : 0;
    spy.ops[spy.n++] = disk.n_ops;
}

static rh_status take(struct shard_notes *n, const struct note *note) {
    (void)n;
    look();
    return journal_notes.take(&journals[0]->notes, note);
}

static rh_status begin(struct shard_notes *n, const struct note_base *base) {
    (void)n;
    return journal_notes.begin(&journals[0]->notes, base);
}

static const struct shard_notes_ops spying = {take, begin};

/* ---- a life ---- */

/* Synced behind each step but the last; saved twice, once to no end. Answers do not wait: that they do is
 * another test's. */
static void live(enum journal_mode mode) {
    memory_disk_init(&disk);
    memory_disk_init(&checkpoints);
    options = (struct journal_options){
        .io = &disk.io, .ckpt = &checkpoints.io, .boot = NOW, .mode = mode};
    ckpt_job_shards(&job, 1);
    journal_job_begin(&job, journals, &options);
    memset(&spy, 0, sizeof spy);
    spy.notes.ops = &spying;
    job.shard[0]->cfg.notes = &spy.notes;
    job.shard[0]->net = &job.nets[0].net;
    ckpt_job_come(&job, JOB_BSP, 3);
    spy.comes = spy.n;
    for (int n = 0; n < 3; n++) {
        ckpt_job_step(&job);
        if (n == 2)
            break;
        ck_assert_ok(notes_begin(job.shard[0], true, "a", (uint64_t)n + 1));
        if (n == 0)
            ck_assert_ok(ckpt_job_save(&job, &checkpoints.io, "a", 1));
        ck_assert_ok(journal_sync(journals[0]));
    }
    look();
}

static void end(void) {
    journal_job_kill(&job, journals);
    memory_disk_fini(&disk);
    memory_disk_fini(&checkpoints);
}

/* How many of those notes a life that came back has: told by its digest. */
static uint32_t found(const struct ckpt_job *again) {
    const uint64_t digest = ckpt_job_digest(again);
    for (uint32_t i = spy.n; i-- > spy.comes;)
        if (spy.digest[i] == digest)
            return i;
    ck_abort_msg("a state that never was");
    return 0;
}

/* The notes that were synced when the disk had so many operations. */
static uint32_t synced_by(uint32_t ops) {
    uint32_t last = 0, n = 0;
    for (uint32_t i = 0; i < ops; i++)
        if (disk.ops[i].what == OP_SYNC)
            last = i;
    while (n + 1 < spy.n && spy.ops[n + 1] <= last)
        n++;
    return n;
}

static rh_status revive(struct memory_disk *after, struct ckpt_job *again,
                        struct journal *of[JOB_SHARDS], struct journal_report *report) {
    struct journal_options o = options;
    o.io = &after->io;
    o.boot = NEXT;
    return journal_job_revive(again, 1, of, &o, report);
}

static uint32_t least_op(void) {
    return spy.ops[spy.comes] + 1;
}

/* ---- what is left ---- */

START_TEST(with_always_what_was_synced_is_there_whatever_the_disk_kept_of_the_rest) {
    struct rng g;
    uint32_t states = 0, cut = 0;
    live(JOURNAL_ALWAYS);
    rng_init(&g, test_seed("journal crash"), 0);
    for (uint32_t at = least_op(); at <= disk.n_ops; at++) {
        const uint32_t least = synced_by(at);
        for (int k = 0; k < 3 + SOME; k++) {
            struct memory_disk after;
            struct ckpt_job again;
            struct journal *of[JOB_SHARDS];
            struct journal_report report;
            memory_disk_crash(&disk, at,
                              k < 3 ? (enum disk_crash[]){DISK_KEPT, DISK_LOST, DISK_TORN}[k]
                                    : DISK_SOME,
                              &g, &after);
            if (least < spy.comes) {
                memory_disk_fini(&after);
                continue;
            }
            ck_assert_ok(revive(&after, &again, of, &report));
            ck_assert(!report.may_have_lost);
            ck_assert_uint_eq(again.shard[0]->state, MSG_WHOLE);
            ck_assert_uint_ge(found(&again), least);
            cut += report.cut_bytes > 0;
            states++;
            journal_job_kill(&again, of);
            ck_assert_uint_eq(memory_disk_open_files(&after), 0);
            memory_disk_fini(&after);
        }
    }
    printf("%u states of a journal after a crash, %u with a torn end\n", states, cut);
    ck_assert_uint_gt(states, 1000);
    ck_assert_uint_gt(cut, 100);
    end();
}
END_TEST

START_TEST(otherwise_the_shard_is_as_one_that_has_lost_all_or_says_that_it_is_damaged) {
    struct rng g;
    uint32_t lost = 0, damaged = 0;
    const enum journal_mode mode = _i == 0 ? JOURNAL_SOON : JOURNAL_NEVER;
    live(mode);
    rng_init(&g, test_seed("journal crash"), 1);
    for (uint32_t at = least_op(); at <= disk.n_ops; at++) {
        for (int k = 0; k < 4; k++) {
            struct memory_disk after;
            struct ckpt_job again;
            struct journal *of[JOB_SHARDS];
            struct journal_report report;
            memory_disk_crash(&disk, at, (enum disk_crash)k, &g, &after);
            rh_status st = revive(&after, &again, of, &report);
            if (st == RH_OK) {
                ck_assert_uint_eq(again.shard[0]->state, MSG_LOST);
                ck_assert_uint_eq(again.shard[0]->cfg.incarnation, 43);
                journal_job_kill(&again, of);
                lost++;
            } else {
                ck_assert_int_eq(st, RH_ECORRUPT);
                ck_assert_int_eq(mode, JOURNAL_NEVER);
                damaged++;
            }
            memory_disk_fini(&after);
        }
    }
    ck_assert_uint_gt(lost, 100);
    ck_assert_uint_eq(damaged > 0, mode == JOURNAL_NEVER);
    end();
}
END_TEST

START_TEST(a_shard_that_has_lost_all_has_lost_it_in_its_next_life_too) {
    struct rng g = {0};
    struct memory_disk after;
    struct ckpt_job again;
    struct journal *of[JOB_SHARDS];
    struct journal_report report;
    live(JOURNAL_SOON);
    memory_disk_crash(&disk, disk.n_ops, DISK_KEPT, &g, &after);
    ck_assert_ok(revive(&after, &again, of, &report));
    journal_job_kill(&again, of);
    ck_assert_ok(revive(&after, &again, of, &report));
    ck_assert_uint_eq(again.shard[0]->state, MSG_LOST);
    ck_assert_uint_eq(again.shard[0]->cfg.incarnation, 43);
    ck_assert_uint_eq(again.shard[0]->n_tables, 0);
    ck_assert_uint_eq(shard_session(again.shard[0], 0)->inc, 1); /* it goes on rising */
    journal_job_kill(&again, of);
    memory_disk_fini(&after);
    end();
}
END_TEST

Suite *journal_crash_suite(void) {
    Suite *s = suite_create("journal_crash");
    TCase *tc = tcase_create("journal_crash");
    tcase_set_timeout(tc, 240);
    tcase_add_test(tc, with_always_what_was_synced_is_there_whatever_the_disk_kept_of_the_rest);
    tcase_add_loop_test(
        tc, otherwise_the_shard_is_as_one_that_has_lost_all_or_says_that_it_is_damaged, 0, 2);
    tcase_add_test(tc, a_shard_that_has_lost_all_has_lost_it_in_its_next_life_too);
    suite_add_tcase(s, tc);
    return s;
}
