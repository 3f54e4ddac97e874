/* test_restores.c - a checkpoint into a job that runs, as its shards see it: nothing is touched before all
 * of it was read, and whose turn it is when two want one. */
#include <check.h>
#include <stdio.h>
#include <string.h>

#include "common/err.h"
#include "ps/ckpt_folder.h"
#include "ps/shard_inner.h"
#include "tests/support/ckpt_job.h"
#include "tests/support/memory_disk.h"
#include "tests/unit/suites.h"

enum { THEN = 4, LATER = 3, SEED = 5, MINE = 77, OTHERS = 78, WAIT_MS = 10000, FORGET_MS = 60000 };

#define ck_assert_ok(call)                                                           \
    do {                                                                             \
        rh_status is_ = (call);                                                      \
        ck_assert_msg(is_ == RH_OK, #call ": %s: %s", status_text(is_), err_text()); \
    } while (0)

static struct memory_disk disk;
static struct ckpt_job job, then; /* then: where it stood when "a" was saved */
static struct talker o[JOB_SHARDS];
static uint64_t then_digest;

/* ---- the scene ---- */

static struct shard_task *given; /* a task that was given away and not run yet */

static void keep_task(void *arg, struct shard_task *t) {
    (void)arg;
    ck_assert_ptr_null(given);
    given = t;
}

static void run_task(void) {
    struct shard_task *t = given;
    ck_assert_ptr_nonnull(t);
    given = NULL;
    shard_task_run(t);
}

static void look(void) {
    for (uint32_t i = 0; i < job.shards; i++)
        talker_init(&o[i], job.shard[i], &job.nets[i], WIRE_OBSERVER);
}

static void steps(int n) {
    for (int i = 0; i < n; i++)
        ckpt_job_step(&job);
}

/* A job that was saved as "a", generation 7, and went on. */
static void begin(uint32_t mode, uint32_t shards) {
    ckpt_job_init(&job, mode, shards, SEED);
    for (uint32_t i = 0; i < shards; i++)
        job.shard[i]->cfg.ckpt = &disk.io;
    steps(THEN);
    ck_assert_ok(ckpt_job_save(&job, &disk.io, "a", 7));
    then = job;
    then_digest = ckpt_job_digest(&job);
    steps(LATER);
    ck_assert_uint_ne(ckpt_job_digest(&job), then_digest);
    look();
}

static void setup(void) {
    memory_disk_init(&disk);
    given = NULL;
}

static void teardown(void) {
    ck_assert_ptr_null(given);
    ckpt_job_fini(&job);
    ck_assert_uint_eq(memory_disk_open_files(&disk), 0);
    memory_disk_fini(&disk);
}

/* ---- what is said ---- */

static rh_status say(uint32_t shard, uint32_t step, uint32_t ticket, const char *name,
                     uint16_t flags, struct msg_restored *is) {
    return talker_restore(&o[shard], step, ticket, name, flags, is);
}

static struct msg_restored ask(uint32_t shard, uint32_t step, uint32_t ticket, const char *name) {
    struct msg_restored is = {0};
    ck_assert_ok(say(shard, step, ticket, name, 0, &is));
    return is;
}

static struct msg_restored undo(uint32_t shard, uint32_t ticket) {
    struct msg_restored is = {0};
    ck_assert_ok(say(shard, 0, ticket, "a", WIRE_UNDO, &is));
    return is;
}

static rh_status refused(uint32_t shard, uint32_t step, uint32_t ticket, const char *name) {
    struct msg_restored is;
    return say(shard, step, ticket, name, 0, &is);
}

static void says(const char *word) {
    ck_assert_msg(strstr(err_text(), word) != NULL, "\"%s\" does not say \"%s\"", err_text(), word);
}

static void restore_all(const char *name, uint32_t ticket) {
    for (uint32_t i = 0; i < job.shards; i++)
        ck_assert_uint_eq(ask(i, 0, ticket, name).step, 1);
    for (uint32_t i = 0; i < job.shards; i++)
        ck_assert_uint_eq(ask(i, 1, ticket, name).step, 2);
    ck_assert_uint_eq(ask(0, 2, ticket, name).step, 3);
}

/* ---- what becomes of it ---- */

START_TEST(the_checkpoint_takes_the_place_of_everything_and_the_job_goes_on_as_it_did_then) {
    begin(_i % 2 == 0 ? JOB_ASYNC : JOB_BSP, 1 + (uint32_t)_i / 2);
    uint64_t later = ckpt_job_digest(&job);
    restore_all("a", MINE);
    ck_assert_uint_eq(ckpt_job_digest(&job), then_digest);
    ckpt_job_resume(&job, &then);
    steps(LATER);
    ck_assert_uint_eq(ckpt_job_digest(&job), later);
}
END_TEST

START_TEST(a_checkpoint_of_another_number_of_shards_is_as_good) {
    begin(JOB_BSP, 3);
    struct ckpt_job three = job;
    ckpt_job_init(&job, JOB_ASYNC, 2, SEED + 1);
    ckpt_job_step(&job);
    for (uint32_t i = 0; i < job.shards; i++)
        job.shard[i]->cfg.ckpt = &disk.io;
    look();
    restore_all("a", MINE);
    ck_assert_uint_eq(ckpt_job_digest(&job), then_digest);
    ckpt_job_fini(&three);
}
END_TEST

START_TEST(training_goes_on_while_it_is_read) {
    begin(JOB_ASYNC, 1);
    job.shard[0]->cfg.start = keep_task;
    struct msg_restored is = ask(0, 0, MINE, "a");
    ck_assert(is.ticket == MINE && is.step == 0 && is.done_bytes == 0);
    steps(1);
    run_task();
    steps(1);
    uint64_t now = ckpt_job_digest(&job);
    is = ask(0, 0, MINE, "a");
    ck_assert(is.step == 1 && is.generation == 7 && is.done_bytes > 1000);
    ck_assert_uint_eq(ckpt_job_digest(&job), now);
    ck_assert_uint_eq(ask(0, 1, MINE, "a").step, 2);
    ck_assert_uint_eq(ckpt_job_digest(&job), then_digest);
}
END_TEST

START_TEST(frames_of_the_life_before_are_told_why_they_are_refused) {
    begin(JOB_ASYNC, 1);
    struct talker before = o[0];
    struct head h;
    restore_all("a", MINE);
    talker_send(&before, WIRE_BEAT, 0, (struct opnum){0, 9, 0}, before.last, 0, NULL);
    ck_assert_int_eq(talker_answer(&before, &h, 0, NULL), WIRE_REFUSE);
    ck_assert_uint_eq(h.status, RH_EROLLBACK);
    ck_assert_str_eq(talker_refusal(), "shard 0 was restored from checkpoint \"a\"");
    struct talker *w = &job.talk[0][0];
    talker_send(w, WIRE_BEAT, 0, (struct opnum){0, 9, 0}, w->last, 0, NULL);
    ck_assert_int_eq(talker_answer(w, &h, 0, NULL), WIRE_REFUSE);
    ck_assert_ptr_nonnull(strstr(talker_refusal(), "restored"));
    before.head.server_inc = 41; /* of another life of the process */
    talker_send(&before, WIRE_BEAT, 0, (struct opnum){0, 9, 0}, before.last, 0, NULL);
    ck_assert_int_eq(talker_answer(&before, &h, 0, NULL), WIRE_REFUSE);
    ck_assert_ptr_nonnull(strstr(talker_refusal(), "restarted"));
    look();
    talker_send(&o[0], WIRE_BEAT, 0, (struct opnum){0, 9, 0}, o[0].last, 0, NULL);
    ck_assert_int_eq(talker_answer(&o[0], &h, 0, NULL), WIRE_ALIVE);
}
END_TEST

START_TEST(a_welcome_says_which_restore_it_is_behind_and_no_incarnation_comes_again) {
    struct talker w;
    begin(JOB_ASYNC, 1);
    job.shard[0]->sessions[0]->inc = 9; /* it came and went since "a" was saved */
    restore_all("a", MINE);
    talker_init(&w, job.shard[0], &job.nets[0], 0);
    ck_assert_int_eq(talker_hello(&w, JOB_ASYNC, JOB_WORKERS), WIRE_WELCOME);
    ck_assert_uint_eq(w.welcome.origin, MINE);
    ck_assert_uint_eq(w.welcome.clock, THEN);
    ck_assert_uint_eq(w.head.worker_inc, 10);
    ck_assert_uint_eq(w.head.server_inc, 43);
}
END_TEST

START_TEST(repeats_of_what_is_done_are_answered_alike_in_any_life) {
    begin(JOB_ASYNC, 1);
    ck_assert_uint_eq(ask(0, 0, MINE, "a").step, 1);
    ck_assert_uint_eq(ask(0, 0, MINE, "a").step, 1);
    for (int life = 0; life < 2; life++, look())
        for (uint32_t step = 2; step-- > 0;) {
            struct msg_restored is = ask(0, step, MINE, "a");
            ck_assert(is.ticket == MINE && is.step == 2 && is.generation == 7);
        }
    ck_assert_uint_eq(job.shard[0]->restored.times, 1);
    ck_assert_uint_eq(undo(0, MINE).step, 2); /* it cannot be undone */
    ck_assert_uint_eq(ckpt_job_digest(&job), then_digest);
}
END_TEST

START_TEST(the_generations_of_later_checkpoints_go_on_rising) {
    begin(JOB_ASYNC, 1);
    struct shard *s = job.shard[0];
    s->cut.next = 5; /* "a" was brought here from elsewhere */
    restore_all("a", MINE);
    ck_assert_uint_eq(s->cut.next, 8);
    ck_assert_uint_eq(s->saved_generation, 7);
    ck_assert_str_eq(s->saved_name, "a");
    s->cut.next = 20;
    look();
    restore_all("a", OTHERS);
    ck_assert_uint_eq(s->cut.next, 20);
}
END_TEST

/* It was at work when the checkpoint was saved, and has ended since: its program does not come again. */
START_TEST(who_has_left_is_not_waited_for_while_another_is_at_work) {
    begin(JOB_BSP, 1);
    struct shard *s = job.shard[0];
    s->cfg.world = JOB_WORKERS;
    ck_assert_int_eq(talker_end(&job.talk[1][0], WIRE_BYE, 0, 0, 0, 0), WIRE_ACK);
    restore_all("a", MINE);
    ck_assert_uint_eq(ckpt_job_digest(&job), then_digest);
    ck_assert_int_eq(shard_session(s, 0)->state, SESSION_NEVER);
    ck_assert_uint_eq(bsp_laggard(s, s->closed), 0);
    shard_session(s, 0)->ended++;
    ck_assert_uint_eq(bsp_laggard(s, s->closed), WIRE_NOBODY);
    session_leave(shard_session(s, 0));
    ck_assert(shard_finished(s));
}
END_TEST

START_TEST(when_all_have_left_all_are_waited_for_anew) {
    begin(JOB_BSP, 1);
    struct shard *s = job.shard[0];
    for (uint32_t rank = 0; rank < JOB_WORKERS; rank++)
        ck_assert_int_eq(talker_end(&job.talk[rank][0], WIRE_BYE, 0, 0, 0, 0), WIRE_ACK);
    restore_all("a", MINE);
    for (uint32_t rank = 0; rank < JOB_WORKERS; rank++) {
        ck_assert_uint_eq(bsp_laggard(s, s->closed), rank);
        shard_session(s, rank)->ended++;
    }
}
END_TEST

START_TEST(a_shard_that_refuses_all_else_is_got_going_again) {
    begin(JOB_BSP, 1);
    struct shard *s = job.shard[0];
    struct head h;
    s->broken = RH_ENOMEM;
    strcpy(s->broken_text, "no memory to close a clock");
    talker_send(&o[0], WIRE_BEAT, 0, (struct opnum){0, 9, 0}, o[0].last, 0, NULL);
    ck_assert_int_eq(talker_answer(&o[0], &h, 0, NULL), WIRE_REFUSE);
    restore_all("a", MINE);
    ckpt_job_resume(&job, &then);
    steps(1);
}
END_TEST

/* ---- nothing is touched ---- */

START_TEST(a_disk_that_fails_anywhere_changes_nothing_and_the_failure_is_the_answer) {
    begin(_i == 0 ? JOB_ASYNC : JOB_BSP, 1);
    uint64_t now = ckpt_job_digest(&job);
    uint32_t at = 1;
    for (bool failed = true; failed; at++) {
        struct msg_restored is;
        char text[ERR_TEXT_MAX];
        memory_disk_fail(&disk, at, 5); /* EIO */
        rh_status st = say(0, 0, at, "a", 0, &is);
        failed = disk.failed;
        memory_disk_fail(&disk, 0, 0);
        ck_assert_uint_eq(ckpt_job_digest(&job), now);
        ck_assert_uint_eq(memory_disk_open_files(&disk), 0);
        if (st == RH_OK) {
            ck_assert_uint_eq(is.step, 1); /* what fails at a file's closing has read all of it */
            undo(0, at);
            continue;
        }
        snprintf(text, sizeof text, "%s", err_text());
        ck_assert_int_eq(refused(0, 0, at, "a"), st); /* though the disk is well again */
        ck_assert_str_eq(err_text(), text);
        ck_assert_int_eq(refused(0, 1, at, "a"), RH_EMISMATCH);
    }
    ck_assert_uint_gt(at, 20);
    steps(1);
}
END_TEST

START_TEST(what_is_damaged_or_missing_is_named_and_changes_nothing) {
    begin(JOB_ASYNC, 2);
    uint64_t now = ckpt_job_digest(&job);
    ck_assert_int_eq(refused(0, 0, 1, "b"), RH_ENOTFOUND);
    says("there is no checkpoint \"b\" in DIR");
    ck_assert_int_eq(refused(0, 0, 2, "../a"), RH_EINVAL);
    struct disk_node *f = memory_disk_find(&disk, "a", "shard-00001-of-00002.rhs");
    f->bytes[f->len / 2] ^= 1;
    ck_assert_int_eq(refused(1, 0, 3, "a"), RH_ECORRUPT);
    says("shard-00001-of-00002.rhs is damaged");
    ck_assert_uint_eq(ask(0, 0, 3, "a").step, 1); /* it needs nothing of that file's insides */
    f->len--;
    undo(0, 3);
    ck_assert_int_eq(refused(0, 0, 4, "a"), RH_ECORRUPT);
    ck_assert_uint_eq(ckpt_job_digest(&job), now);
}
END_TEST

START_TEST(read_only_shards_and_those_without_a_folder_refuse_by_name) {
    begin(JOB_ASYNC, 2);
    job.shard[0]->cfg.read_only = true;
    ck_assert_int_eq(refused(0, 0, MINE, "a"), RH_EINVAL);
    says("RESTORE is refused");
    job.shard[1]->cfg.ckpt = NULL;
    ck_assert_int_eq(refused(1, 0, MINE, "a"), RH_EINVAL);
    says("shard 1 has no folder for checkpoints");
}
END_TEST

START_TEST(step_1_before_step_0_is_refused) {
    begin(JOB_ASYNC, 1);
    ck_assert_int_eq(refused(0, 1, MINE, "a"), RH_EMISMATCH);
    job.shard[0]->cfg.start = keep_task;
    ask(0, 0, MINE, "a");
    ck_assert_int_eq(refused(0, 1, MINE, "a"), RH_EMISMATCH);
    run_task();
    ck_assert_uint_eq(ask(0, 1, MINE, "a").step, 2);
}
END_TEST

/* ---- two who want one ---- */

START_TEST(another_ticket_waits_until_the_first_is_given_up) {
    begin(JOB_ASYNC, 1);
    ck_assert_ok(ckpt_job_save(&job, &disk.io, "b", 8));
    uint64_t now = ckpt_job_digest(&job);
    ask(0, 0, MINE, "a");
    struct msg_restored is = ask(0, 0, OTHERS, "b");
    ck_assert(is.ticket == MINE && is.step == 1);
    ck_assert_int_eq(refused(0, 1, OTHERS, "b"), RH_EMISMATCH);
    undo(0, OTHERS); /* is nothing of its own */
    ck_assert_uint_eq(ask(0, 0, OTHERS, "b").ticket, MINE);
    undo(0, MINE);
    ck_assert_uint_eq(ask(0, 0, OTHERS, "b").ticket, OTHERS);
    ck_assert_int_eq(refused(0, 1, MINE, "a"), RH_EMISMATCH);
    ck_assert_uint_eq(ckpt_job_digest(&job), now);
    ck_assert_uint_eq(ask(0, 1, OTHERS, "b").step, 2);
    ck_assert_uint_eq(ckpt_job_digest(&job), now);
}
END_TEST

START_TEST(who_comes_second_is_refused_once_the_first_is_done) {
    begin(JOB_ASYNC, 1);
    ask(0, 0, MINE, "a");
    ask(0, 0, OTHERS, "a");
    ask(0, 1, MINE, "a");
    ck_assert_int_eq(refused(0, 0, OTHERS, "a"), RH_EROLLBACK);
    ck_assert_int_eq(refused(0, 1, OTHERS, "a"), RH_EROLLBACK);
    look();
    ck_assert_uint_eq(ask(0, 0, OTHERS, "a").ticket, OTHERS);
}
END_TEST

START_TEST(one_that_nobody_asks_for_any_more_makes_room_and_is_forgotten_in_the_end) {
    begin(JOB_ASYNC, 1);
    ask(0, 0, MINE, "a");
    o[0].now_ms += WAIT_MS;
    ck_assert_uint_eq(ask(0, 0, OTHERS, "a").ticket, MINE);
    o[0].now_ms++;
    ck_assert_uint_eq(ask(0, 0, OTHERS, "a").ticket, OTHERS);
    ck_assert_uint_eq(ask(0, 0, MINE, "a").ticket, OTHERS);
    o[0].now_ms += FORGET_MS;
    ck_assert_ptr_nonnull(job.shard[0]->reading);
    ck_assert_uint_eq(ask(0, 0, OTHERS, "a").step, 1);
    o[0].now_ms += FORGET_MS + 1;
    talker_send(&o[0], WIRE_BEAT, 0, (struct opnum){0, 9, 0}, o[0].last, 0, NULL);
    ck_assert_ptr_null(job.shard[0]->reading);
    frame_unref(memory_net_take(&job.nets[0]));
}
END_TEST

START_TEST(while_it_is_being_read_nobody_takes_its_place_and_giving_it_up_waits) {
    begin(JOB_ASYNC, 1);
    job.shard[0]->cfg.start = keep_task;
    ask(0, 0, MINE, "a");
    o[0].now_ms += WAIT_MS + 1;
    ck_assert_uint_eq(ask(0, 0, OTHERS, "a").ticket, MINE);
    undo(0, MINE);
    ck_assert_uint_eq(ask(0, 0, OTHERS, "a").ticket, MINE);
    run_task();
    struct msg_restored is = ask(0, 0, OTHERS, "a");
    ck_assert(is.ticket == OTHERS && is.step == 0);
    run_task();
    ck_assert_uint_eq(ask(0, 0, OTHERS, "a").step, 1);
}
END_TEST

/* ---- beside a save ---- */

static struct msg_saving save(uint32_t generation, const char *name) {
    static uint32_t wishes;
    struct msg_save m = {.generation = generation, .ticket = generation == 0 ? ++wishes : 0};
    struct msg_saving is = {0};
    uint8_t room[128];
    struct buf b;
    struct head h;
    snprintf(m.name, sizeof m.name, "%s", name);
    buf_wrap(&b, room, sizeof room);
    msg_put_save(&b, &m);
    talker_send(&o[0], WIRE_SAVE, 0, (struct opnum){0, 0x80000001, 0}, o[0].last, 0, &b);
    struct frame *f = memory_net_take(&job.nets[0]);
    ck_assert_int_eq(wire_open(f->data, f->len, &h), RH_OK);
    ck_assert_int_eq(h.kind, WIRE_SAVING);
    struct rd r;
    rd_init(&r, f->data + WIRE_HEAD, f->len - WIRE_HEAD);
    msg_get_saving(&r, &is);
    frame_unref(f);
    return is;
}

START_TEST(a_save_that_gathers_marks_is_given_up_and_none_begins_before_the_end) {
    begin(JOB_ASYNC, 1);
    struct msg_saving is = save(0, "b");
    ck_assert_uint_eq(is.phase, MSG_GATHERING);
    ask(0, 0, MINE, "a");
    is = save(is.generation, "b");
    ck_assert_uint_eq(is.phase, MSG_GIVEN_UP);
    ck_assert_str_eq(is.text, "a checkpoint is being restored");
    ck_assert_uint_eq(save(0, "b").phase, MSG_BUSY);
    undo(0, MINE);
    ck_assert_uint_eq(save(0, "b").phase, MSG_GATHERING);
}
END_TEST

static void say_goodbye(uint32_t rank) {
    struct talker *t = &job.talk[rank][0];
    ck_assert_int_eq(talker_end(t, WIRE_BYE, 0, 0, 0, 0), WIRE_ACK);
}

START_TEST(a_save_that_writes_is_given_up_and_waited_for) {
    begin(JOB_ASYNC, 1);
    for (uint32_t rank = 0; rank < JOB_WORKERS; rank++)
        say_goodbye(rank);
    job.shard[0]->cfg.start = keep_task;
    struct msg_saving is = save(0, "b");
    ck_assert_uint_eq(is.phase, MSG_WRITING);
    struct shard_task *write = given;
    given = NULL;
    ck_assert_uint_eq(ask(0, 0, MINE, "a").step, 0);
    ck_assert_ptr_null(given); /* one task at a time */
    ck_assert_uint_eq(save(is.generation, "b").phase, MSG_GIVEN_UP);
    shard_task_run(write);
    ck_assert_uint_eq(ask(0, 0, MINE, "a").step, 0);
    run_task();
    ck_assert_uint_eq(ask(0, 0, MINE, "a").step, 1);
    ck_assert_uint_eq(ask(0, 1, MINE, "a").step, 2);
    ck_assert_uint_eq(ckpt_job_digest(&job), then_digest);
    uint32_t removed;
    ck_assert_ok(ckpt_clean(&disk.io, &removed));
    ck_assert_uint_eq(removed, 0);
}
END_TEST

Suite *restores_suite(void) {
    Suite *s = suite_create("restores");
    TCase *t = tcase_create("restores");
    tcase_add_checked_fixture(t, setup, teardown);
    tcase_set_timeout(t, 60);
    tcase_add_loop_test(
        t, the_checkpoint_takes_the_place_of_everything_and_the_job_goes_on_as_it_did_then, 0, 6);
    tcase_add_test(t, a_checkpoint_of_another_number_of_shards_is_as_good);
    tcase_add_test(t, training_goes_on_while_it_is_read);
    tcase_add_test(t, frames_of_the_life_before_are_told_why_they_are_refused);
    tcase_add_test(t, a_welcome_says_which_restore_it_is_behind_and_no_incarnation_comes_again);
    tcase_add_test(t, repeats_of_what_is_done_are_answered_alike_in_any_life);
    tcase_add_test(t, the_generations_of_later_checkpoints_go_on_rising);
    tcase_add_test(t, who_has_left_is_not_waited_for_while_another_is_at_work);
    tcase_add_test(t, when_all_have_left_all_are_waited_for_anew);
    tcase_add_test(t, a_shard_that_refuses_all_else_is_got_going_again);
    tcase_add_loop_test(t, a_disk_that_fails_anywhere_changes_nothing_and_the_failure_is_the_answer,
                        0, 2);
    tcase_add_test(t, what_is_damaged_or_missing_is_named_and_changes_nothing);
    tcase_add_test(t, read_only_shards_and_those_without_a_folder_refuse_by_name);
    tcase_add_test(t, step_1_before_step_0_is_refused);
    tcase_add_test(t, another_ticket_waits_until_the_first_is_given_up);
    tcase_add_test(t, who_comes_second_is_refused_once_the_first_is_done);
    tcase_add_test(t, one_that_nobody_asks_for_any_more_makes_room_and_is_forgotten_in_the_end);
    tcase_add_test(t, while_it_is_being_read_nobody_takes_its_place_and_giving_it_up_waits);
    tcase_add_test(t, a_save_that_gathers_marks_is_given_up_and_none_begins_before_the_end);
    tcase_add_test(t, a_save_that_writes_is_given_up_and_waited_for);
    suite_add_tcase(s, t);
    return s;
}
