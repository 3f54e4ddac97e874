/* test_rejoin.c - a server has died, and another one is in its place: what its shard takes and refuses, what
 * the lead says is the last generation, and how the job is put back, by one client or by several that each
 * do a part. */
#include <check.h>
#include <stdio.h>
#include <string.h>

#include "common/err.h"
#include "ps/shard_inner.h"
#include "tests/support/ckpt_job.h"
#include "tests/support/memory_disk.h"
#include "tests/unit/suites.h"

enum { THEN = 4, LATER = 3, SEED = 5, MINE = 77, OTHERS = 78, LIFE = 5000, SHARDS = 3 };

#define ck_assert_ok(call)                                                           \
    do {                                                                             \
        rh_status is_ = (call);                                                      \
        ck_assert_msg(is_ == RH_OK, #call ": %s: %s", status_text(is_), err_text()); \
    } while (0)

static struct memory_disk disk;
static struct ckpt_job job, then; /* then: where it stood when "a" was saved */
static struct talker o[JOB_SHARDS];
static uint64_t then_digest;

static void look(uint32_t shard) {
    talker_init(&o[shard], job.shard[shard], &job.nets[shard], WIRE_OBSERVER);
}

static void save(const char *name, uint32_t generation) {
    ck_assert_ok(ckpt_job_save(&job, &disk.io, name, generation));
    then = job;
    then_digest = ckpt_job_digest(&job);
}

static void steps(int n) {
    for (int i = 0; i < n; i++)
        ckpt_job_step(&job);
}

/* A job that was saved as "a", generation 7, and went on. Its lead has forgotten that: it is another life. */
static void begin(uint32_t mode, uint32_t shards) {
    ckpt_job_init(&job, mode, shards, SEED);
    for (uint32_t i = 0; i < shards; i++)
        job.shard[i]->cfg.ckpt = &disk.io;
    steps(THEN);
    save("a", 7);
    steps(LATER);
    for (uint32_t i = 0; i < shards; i++)
        look(i);
}

/* The server dies, and another one begins in its place, in a job before which the folder had that. */
static void lose(uint32_t shard, uint64_t generation, const char *began_with) {
    struct shard_config c = job.shard[shard]->cfg;
    c.rejoins = true;
    c.rejoin_generation = generation;
    c.began_with = began_with;
    c.incarnation = LIFE;
    shard_free(&job.shard[shard]);
    ck_assert_ok(shard_new(&c, &job.nets[shard].net, &job.shard[shard]));
    look(shard);
}

static void lead_remembers(const char *name, uint64_t generation) {
    snprintf(job.shard[0]->saved_name, sizeof job.shard[0]->saved_name, "%s", name);
    job.shard[0]->saved_generation = generation;
}

static void setup(void) {
    memory_disk_init(&disk);
}

static void teardown(void) {
    ckpt_job_fini(&job);
    memory_disk_fini(&disk);
}

/* ---- what is said ---- */

static struct msg_restored ask(uint32_t shard, uint32_t step, uint32_t ticket, const char *name) {
    struct msg_restored is = {0};
    ck_assert_ok(talker_restore(&o[shard], step, ticket, name, 0, &is));
    return is;
}

static rh_status refused(uint32_t shard, uint32_t step, uint32_t ticket, const char *name) {
    struct msg_restored is;
    return talker_restore(&o[shard], step, ticket, name, 0, &is);
}

/* As a client does it: the lead says which, all read it, the lead first puts it in place. */
static struct msg_restored go_back(uint32_t ticket) {
    static struct msg_gone gone;
    struct msg_restored lead = ask(0, 0, ticket, "");
    ck_assert_uint_eq(lead.step, 1);
    gone = lead.gone;
    for (uint32_t i = 1; i < job.shards; i++) {
        struct msg_restored is = ask(i, 0, ticket, lead.name);
        ck_assert(is.step == 1 && is.generation == lead.generation);
        for (uint32_t rank = 0; rank < 8; rank++)
            if (msg_gone_has(&is.gone, rank))
                msg_gone_add(&gone, rank);
    }
    for (uint32_t i = 0; i < job.shards; i++)
        o[i].gone = &gone;
    for (uint32_t i = 0; i < job.shards; i++)
        ck_assert_uint_eq(ask(i, 1, ticket, lead.name).step, 2);
    ck_assert_uint_eq(ask(0, 2, ticket, lead.name).step, 3);
    return lead;
}

static uint32_t state_of(uint32_t shard, uint32_t rank, uint32_t inc) {
    struct talker t;
    talker_init(&t, job.shard[shard], &job.nets[shard], rank);
    t.head.worker_inc = inc;
    ck_assert_msg(talker_hello(&t, job.mode, JOB_WORKERS) == WIRE_WELCOME, "%s", talker_refusal());
    if (t.welcome.state != MSG_WHOLE && rank != WIRE_OBSERVER)
        ck_assert_uint_eq(t.head.worker_inc, inc);
    return t.welcome.state;
}

static void answers(struct talker *t, uint8_t kind, const struct buf *body, int answer,
                    const char *word) {
    struct head h;
    talker_send(t, kind, 0, (struct opnum){0, 9, 0}, t->last, 0, body);
    ck_assert_int_eq(talker_answer(t, &h, 0, NULL), answer);
    if (answer != WIRE_REFUSE)
        return;
    ck_assert_uint_eq(h.status, RH_EROLLBACK);
    ck_assert_msg(strstr(talker_refusal(), word) != NULL, "%s", talker_refusal());
}

/* What a shard that waits to be filled does with each kind of request, of worker and observer. */
static void waits(uint32_t shard, const char *word) {
    uint8_t zeros[64] = {0};
    struct buf four;
    buf_wrap(&four, zeros, sizeof zeros);
    buf_put_u32(&four, 0);
    for (int i = 0; i < 2; i++) {
        struct talker t;
        talker_init(&t, job.shard[shard], &job.nets[shard], i == 0 ? 0 : WIRE_OBSERVER);
        t.head.server_inc = job.shard[shard]->cfg.incarnation;
        answers(&t, WIRE_BEAT, NULL, WIRE_ALIVE, "");
        answers(&t, WIRE_INFO, &four, WIRE_FACTS, "");
        for (uint8_t kind = 1; kind < WIRE_REQUESTS_END; kind++)
            if (kind != WIRE_HELLO && kind != WIRE_BEAT && kind != WIRE_INFO &&
                kind != WIRE_RESTORE && wire_kind_name(kind) != NULL)
                answers(&t, kind, &four, WIRE_REFUSE, word);
    }
}

/* ---- a lost shard ---- */

START_TEST(a_lost_shard_welcomes_all_and_refuses_what_needs_rows) {
    begin(JOB_ASYNC, SHARDS);
    for (uint32_t i = 0; i < SHARDS; i++) {
        lose(i, 0, NULL);
        ck_assert_uint_eq(state_of(i, WIRE_OBSERVER, 0), MSG_LOST);
        ck_assert_uint_eq(state_of(i, 0, i == 0 ? 0 : 3), MSG_LOST);
        ck_assert_uint_eq(job.shard[i]->n_sessions, 0);
        waits(i, "was restarted, and what it had is lost");
    }
}
END_TEST

START_TEST(frames_for_the_life_that_has_ended_are_told_of_the_restart) {
    begin(JOB_ASYNC, 1);
    struct talker before = o[0];
    struct head h;
    lose(0, 0, NULL);
    before.shard = job.shard[0];
    talker_send(&before, WIRE_BEAT, 0, (struct opnum){0, 9, 0}, before.last, 0, NULL);
    ck_assert_int_eq(talker_answer(&before, &h, 0, NULL), WIRE_REFUSE);
    ck_assert_uint_eq(h.status, RH_EROLLBACK);
    ck_assert_str_eq(talker_refusal(), "shard 0 was restarted (incarnation 5000, not 42)");
}
END_TEST

START_TEST(whichever_shard_is_lost_the_job_is_what_it_was_and_goes_on_as_it_did_then) {
    begin(_i % 2 == 0 ? JOB_ASYNC : JOB_BSP, SHARDS);
    uint64_t later = ckpt_job_digest(&job);
    lead_remembers("a", 7);
    lose((uint32_t)_i / 2, 0, NULL);
    struct msg_restored is = go_back(MINE);
    ck_assert_str_eq(is.name, "a");
    ck_assert_uint_eq(is.generation, 7);
    ck_assert_uint_eq(ckpt_job_digest(&job), then_digest);
    for (uint32_t i = 0; i < SHARDS; i++) {
        ck_assert_uint_eq(state_of(i, WIRE_OBSERVER, 0), MSG_WHOLE);
        ck_assert_uint_eq(job.shard[i]->origin, MINE);
    }
    ckpt_job_resume(&job, &then);
    steps(LATER);
    ck_assert_uint_eq(ckpt_job_digest(&job), later);
}
END_TEST

START_TEST(without_a_checkpoint_it_is_the_empty_job_also_without_a_folder) {
    begin(_i % 2 == 0 ? JOB_ASYNC : JOB_BSP, SHARDS);
    for (uint32_t i = 0; i < SHARDS; i++)
        job.shard[i]->cfg.ckpt = NULL;
    lose((uint32_t)_i / 2, 0, NULL);
    struct msg_restored is = go_back(MINE);
    ck_assert_str_eq(is.name, "");
    ck_assert_uint_eq(is.generation, 0);
    for (uint32_t i = 0; i < SHARDS; i++) {
        ck_assert_uint_eq(job.shard[i]->n_tables, 0);
        ck_assert_uint_eq(job.shard[i]->closed, 0);
        ck_assert_uint_eq(job.shard[i]->saved_generation, 0);
    }
    struct talker w;
    talker_init(&w, job.shard[0], &job.nets[0], 1);
    ck_assert_int_eq(talker_hello(&w, JOB_BSP, 2), WIRE_WELCOME);
    ck_assert_uint_eq(w.welcome.clock, 0);
}
END_TEST

/* ---- which generation is the last ---- */

static void lost_lead_says(uint64_t before, const char *began_with, const char *name) {
    lose(0, before, began_with);
    struct msg_restored is = ask(0, 0, MINE, "");
    ck_assert_str_eq(is.name, name);
    ck_assert_uint_eq(is.step, 1);
}

START_TEST(a_lost_lead_takes_what_the_job_has_saved_else_what_it_began_with_else_nothing) {
    begin(JOB_ASYNC, 1);
    steps(1);
    save("b", 9);
    lost_lead_says(0, NULL, "b");
    lost_lead_says(8, "a", "b");
    lost_lead_says(9, "a", "a"); /* "b" was there before the job began */
    lost_lead_says(9, NULL, "");
    job.shard[0]->cfg.ckpt = NULL;
    lost_lead_says(0, NULL, "");
}
END_TEST

START_TEST(a_lead_that_lives_takes_what_it_has_saved_whatever_the_folder_has) {
    begin(JOB_ASYNC, 2);
    save("b", 9); /* another job's */
    lose(1, 0, NULL);
    ck_assert_str_eq(ask(0, 0, MINE, "").name, "");
    lead_remembers("a", 7);
    struct msg_restored is;
    ck_assert_ok(talker_restore(&o[0], 0, MINE, "", WIRE_UNDO, &is));
    ck_assert_str_eq(ask(0, 0, OTHERS, "").name, "a");
}
END_TEST

START_TEST(a_lost_lead_does_not_guess_where_a_checkpoint_cannot_be_read) {
    begin(JOB_ASYNC, 1);
    struct disk_node *f = memory_disk_find(&disk, "a", "MANIFEST.json");
    f->len /= 2;
    lose(0, 0, NULL);
    ck_assert_int_eq(refused(0, 0, MINE, ""), RH_ECORRUPT);
    ck_assert_ptr_nonnull(strstr(err_text(), "which checkpoint is the job's last one?"));
    ck_assert_uint_eq(job.shard[0]->state, MSG_LOST);
}
END_TEST

START_TEST(a_damaged_checkpoint_leaves_the_job_as_lost_as_it_was) {
    begin(JOB_ASYNC, 2);
    lead_remembers("a", 7);
    uint64_t now = ckpt_job_digest(&job);
    struct disk_node *f = memory_disk_find(&disk, "a", "shard-00000-of-00002.rhs");
    f->bytes[f->len / 2] ^= 1;
    ck_assert_int_eq(refused(0, 0, MINE, ""), RH_ECORRUPT);
    ck_assert_uint_eq(ckpt_job_digest(&job), now);
    ck_assert_uint_eq(job.shard[0]->state, MSG_WHOLE);
    lose(1, 0, NULL);
    ck_assert_int_eq(refused(1, 1, MINE, "a"), RH_EMISMATCH);
    ck_assert_uint_eq(job.shard[1]->state, MSG_LOST);
}
END_TEST

/* ---- half-done ones ---- */

START_TEST(the_lead_is_pending_until_it_is_told_that_all_are_there) {
    begin(JOB_ASYNC, 2);
    lead_remembers("a", 7);
    lose(1, 0, NULL);
    ask(0, 0, MINE, "");
    ck_assert_uint_eq(state_of(0, WIRE_OBSERVER, 0), MSG_WHOLE);
    ck_assert_uint_eq(ask(0, 1, MINE, "").step, 2);
    look(0);
    ck_assert_uint_eq(state_of(0, WIRE_OBSERVER, 0), MSG_PENDING);
    ck_assert_uint_eq(state_of(0, 0, 0), MSG_PENDING);
    waits(0, "goes back to checkpoint \"a\", and not all shards are there yet");
    ck_assert_int_eq(refused(0, 2, OTHERS, ""), RH_EMISMATCH);
    ask(1, 0, MINE, "a");
    ask(1, 1, MINE, "a");
    ck_assert_uint_eq(state_of(1, WIRE_OBSERVER, 0), MSG_WHOLE);
    ck_assert_uint_eq(state_of(0, WIRE_OBSERVER, 0), MSG_PENDING);
    ck_assert_uint_eq(ask(0, 2, MINE, "a").step, 3);
    ck_assert_uint_eq(ask(0, 2, MINE, "a").step, 3);
    ck_assert_uint_eq(state_of(0, 0, 0), MSG_WHOLE);
    ck_assert_uint_eq(job.shard[0]->restored.times, 1);
}
END_TEST

/* Whoever has begun it said less and less before it died. */
START_TEST(another_client_carries_on_what_was_begun_from_wherever_it_stands) {
    begin(JOB_BSP, SHARDS);
    lead_remembers("a", 7);
    lose(2, 0, NULL);
    ask(0, 0, MINE, "");
    ask(0, 1, MINE, "");
    for (uint32_t i = 1; i <= (uint32_t)_i; i++) {
        ask(i, 0, MINE, "a");
        ask(i, 1, MINE, "a");
    }
    for (uint32_t i = 0; i < SHARDS; i++)
        look(i); /* another one, who knows nothing but the lead's origin */
    struct msg_restored lead = ask(0, 0, job.shard[0]->origin, "");
    ck_assert(lead.step == 2 && lead.generation == 7);
    ck_assert_str_eq(lead.name, "a");
    for (uint32_t i = 1; i < SHARDS; i++) {
        uint32_t step = ask(i, 0, MINE, lead.name).step;
        ck_assert_uint_eq(step, i <= (uint32_t)_i ? 2 : 1);
        ck_assert_uint_eq(ask(i, 1, MINE, lead.name).step, 2);
    }
    ck_assert_uint_eq(ask(0, 2, MINE, "").step, 3);
    ck_assert_uint_eq(ckpt_job_digest(&job), then_digest);
    ckpt_job_resume(&job, &then);
    steps(1);
}
END_TEST

START_TEST(a_lead_that_dies_pending_is_lost_and_all_go_back_again) {
    begin(JOB_ASYNC, 2);
    lead_remembers("a", 7);
    lose(1, 0, NULL);
    ask(0, 0, MINE, "");
    ask(0, 1, MINE, "");
    lose(0, 0, NULL);
    ck_assert_int_eq(refused(0, 2, MINE, ""), RH_EMISMATCH);
    ck_assert_str_eq(go_back(OTHERS).name, "a");
    ck_assert_uint_eq(ckpt_job_digest(&job), then_digest);
}
END_TEST

/* ---- who is who afterwards ---- */

static uint32_t inc_of(uint32_t rank) {
    struct talker t;
    talker_init(&t, job.shard[0], &job.nets[0], rank);
    ck_assert_msg(talker_hello(&t, job.mode, JOB_WORKERS) == WIRE_WELCOME, "%s", talker_refusal());
    return t.head.worker_inc;
}

START_TEST(a_lost_lead_gives_incarnations_above_all_that_it_gave_before) {
    begin(JOB_ASYNC, 2);
    lose(0, 0, _i == 0 ? "a" : NULL);
    job.shard[0]->cfg.rejoin_generation = 7;
    go_back(MINE);
    ck_assert_uint_eq(inc_of(0), LIFE + 1);
    ck_assert_uint_eq(inc_of(1), LIFE + 1);
    struct talker w; /* and the other shard, which lived, takes them */
    talker_init(&w, job.shard[1], &job.nets[1], 0);
    w.head.worker_inc = LIFE + 1;
    ck_assert_int_eq(talker_hello(&w, JOB_ASYNC, JOB_WORKERS), WIRE_WELCOME);
}
END_TEST

START_TEST(another_lost_shard_takes_the_incarnations_that_the_lead_goes_on_giving) {
    begin(JOB_ASYNC, 2);
    lead_remembers("a", 7);
    job.shard[0]->sessions[0]->inc = 4;
    lose(1, 0, NULL);
    go_back(MINE);
    ck_assert_uint_eq(inc_of(0), 5);
    struct talker w;
    talker_init(&w, job.shard[1], &job.nets[1], 0);
    w.head.worker_inc = 5;
    ck_assert_int_eq(talker_hello(&w, JOB_ASYNC, JOB_WORKERS), WIRE_WELCOME);
}
END_TEST

/* Worker 1 has, on all shards. Behind "a", or the beginning. */
static void worker_1_leaves(int behind_a) {
    begin(JOB_BSP, 2);
    for (uint32_t i = 0; i < 2; i++) {
        ck_assert_int_eq(talker_end(&job.talk[1][i], WIRE_BYE, 0, 0, 0, 0), WIRE_ACK);
        job.shard[i]->cfg.world = JOB_WORKERS; /* as a launcher has it */
    }
    if (behind_a)
        lead_remembers("a", 7);
}

/* The other one comes and ends its clock: all clocks are closed, on all shards. */
static void is_not_waited_for(void) {
    const uint32_t inc = inc_of(0);
    for (uint32_t i = 0; i < 2; i++) {
        struct shard *s = job.shard[i];
        struct talker t;
        talker_init(&t, s, &job.nets[i], 0);
        t.head.worker_inc = inc;
        ck_assert_int_eq(talker_hello(&t, JOB_BSP, JOB_WORKERS), WIRE_WELCOME);
        ck_assert_uint_eq(bsp_laggard(s, s->closed), 0);
        shard_session(s, 0)->ended++;
        ck_assert_uint_eq(bsp_laggard(s, s->closed), WIRE_NOBODY);
    }
}

START_TEST(who_had_left_is_waited_for_by_no_shard_whichever_is_lost) {
    worker_1_leaves(_i % 2);
    lose((uint32_t)_i / 2, 0, NULL);
    if (_i / 2 == 0 && _i % 2 == 0)
        job.shard[0]->cfg.rejoin_generation = 7;
    go_back(MINE);
    is_not_waited_for();
}
END_TEST

START_TEST(a_half_done_restore_is_carried_on_with_those_who_had_left) {
    worker_1_leaves(1);
    lose(1, 0, NULL);
    ask(0, 0, MINE, "");
    ask(0, 1, MINE, "");
    look(0);
    struct msg_restored lead = ask(0, 0, MINE, "");
    ck_assert(lead.step == 2 && msg_gone_has(&lead.gone, 1) && !msg_gone_has(&lead.gone, 0));
    ask(1, 0, MINE, "a");
    o[1].gone = &lead.gone;
    ask(1, 1, MINE, "a");
    ask(0, 2, MINE, "");
    is_not_waited_for();
}
END_TEST

START_TEST(when_all_have_left_nobody_is_told_to_have) {
    worker_1_leaves(1);
    for (uint32_t i = 0; i < 2; i++)
        ck_assert_int_eq(talker_end(&job.talk[0][i], WIRE_BYE, 0, 0, 0, 0), WIRE_ACK);
    lose(1, 0, NULL);
    ck_assert_uint_eq(ask(0, 0, MINE, "").gone.len, 0);
    go_back(MINE);
    for (uint32_t i = 0; i < 2; i++)
        for (uint32_t rank = 0; rank < JOB_WORKERS; rank++)
            ck_assert_int_eq(shard_session(job.shard[i], rank)->state, SESSION_NEVER);
}
END_TEST

Suite *rejoin_suite(void) {
    Suite *s = suite_create("rejoin");
    TCase *tc = tcase_create("rejoin");
    tcase_add_checked_fixture(tc, setup, teardown);
    tcase_add_test(tc, a_lost_shard_welcomes_all_and_refuses_what_needs_rows);
    tcase_add_test(tc, frames_for_the_life_that_has_ended_are_told_of_the_restart);
    tcase_add_loop_test(tc,
                        whichever_shard_is_lost_the_job_is_what_it_was_and_goes_on_as_it_did_then,
                        0, 2 * SHARDS);
    tcase_add_loop_test(tc, without_a_checkpoint_it_is_the_empty_job_also_without_a_folder, 0,
                        2 * SHARDS);
    tcase_add_test(tc,
                   a_lost_lead_takes_what_the_job_has_saved_else_what_it_began_with_else_nothing);
    tcase_add_test(tc, a_lead_that_lives_takes_what_it_has_saved_whatever_the_folder_has);
    tcase_add_test(tc, a_lost_lead_does_not_guess_where_a_checkpoint_cannot_be_read);
    tcase_add_test(tc, a_damaged_checkpoint_leaves_the_job_as_lost_as_it_was);
    tcase_add_test(tc, the_lead_is_pending_until_it_is_told_that_all_are_there);
    tcase_add_loop_test(tc, another_client_carries_on_what_was_begun_from_wherever_it_stands, 0,
                        SHARDS);
    tcase_add_test(tc, a_lead_that_dies_pending_is_lost_and_all_go_back_again);
    tcase_add_loop_test(tc, a_lost_lead_gives_incarnations_above_all_that_it_gave_before, 0, 2);
    tcase_add_test(tc, another_lost_shard_takes_the_incarnations_that_the_lead_goes_on_giving);
    tcase_add_loop_test(tc, who_had_left_is_waited_for_by_no_shard_whichever_is_lost, 0, 4);
    tcase_add_test(tc, a_half_done_restore_is_carried_on_with_those_who_had_left);
    tcase_add_test(tc, when_all_have_left_nobody_is_told_to_have);
    suite_add_tcase(s, tc);
    return s;
}
