/* test_why.c - the sentences of `rowhouse status`: who waits for whom, and what is in hand. */
#include <check.h>

#include "tests/unit/suites.h"
#include "worker/cmd/why.h"

static struct msg_member_facts members[2][2];
static struct facts_shard shards[2];

/* Two shards, two workers: neither waits, and both were heard of a while ago. */
static void setup(void) {
    for (uint32_t i = 0; i < 2; i++) {
        for (uint32_t rank = 0; rank < 2; rank++)
            members[i][rank] = (struct msg_member_facts){
                .rank = rank, .state = 1, .silent_ms = 400, .wait = {.rank = WIRE_NOBODY}};
        shards[i] = (struct facts_shard){.shard = {.shard = i, .shards = 2, .members = 2},
                                         .members = members[i],
                                         .in_hand = {.waiting_for = WIRE_NOBODY}};
    }
}

static void waits(uint32_t shard, uint32_t worker, struct msg_wait wait, uint64_t ms) {
    members[shard][worker].wait = wait;
    members[shard][worker].wait_ms = ms;
}

static void says(uint32_t rank, const char *want) {
    struct why why;
    ck_assert(why_waits(shards, 2, rank, &why) == (want != NULL));
    if (want != NULL)
        ck_assert_str_eq(why.text, want);
}

START_TEST(nobody_waits) {
    says(0, NULL);
    says(1, NULL);
    says(2, NULL); /* nobody knows it */
}
END_TEST

START_TEST(a_worker_waits_for_a_clock_where_it_has_waited_longest) {
    waits(0, 1, (struct msg_wait){MSG_WAITS_CLOCK, 0, 17}, 12300);
    waits(1, 1, (struct msg_wait){MSG_WAITS_CLOCK, 0, 16}, 12200);
    says(0, NULL);
    says(1, "worker 1 waits (12.3 s) at shard 0 for worker 0 to end clock 17; worker 0 was last "
            "heard of 0.4 s ago");
    waits(1, 1, (struct msg_wait){MSG_WAITS_CLOCK, 0, 16}, 12400);
    says(1, "worker 1 waits (12.4 s) at shard 1 for worker 0 to end clock 16; worker 0 was last "
            "heard of 0.4 s ago");
}
END_TEST

START_TEST(who_has_not_come_yet_is_not_said_to_have_been_heard) {
    waits(0, 1, (struct msg_wait){MSG_WAITS_BARRIER, 2, 1}, 500);
    says(1, "worker 1 waits (0.5 s) at shard 0 for worker 2 to come to barrier 1; worker 2 has not "
            "come yet");
    members[0][0].state = 0;
    waits(0, 1, (struct msg_wait){MSG_WAITS_BARRIER, 0, 1}, 500);
    says(1, "worker 1 waits (0.5 s) at shard 0 for worker 0 to come to barrier 1; worker 0 has not "
            "come yet");
}
END_TEST

START_TEST(checkpoints_and_missing_ops_have_sentences_too) {
    waits(0, 1, (struct msg_wait){MSG_WAITS_MARK, 0, 3}, 2000);
    says(1, "worker 1 waits (2.0 s) at shard 0 for worker 0 to come to the end of a clock, for "
            "checkpoint 3; worker 0 was last heard of 0.4 s ago");
    waits(0, 1, (struct msg_wait){MSG_WAITS_MARK, WIRE_NOBODY, 3}, 2000);
    says(1, "worker 1 waits (2.0 s) at shard 0 for checkpoint 3 to be cut");
    waits(0, 1, (struct msg_wait){MSG_WAITS_OP, 1, 4}, 2000);
    says(1, "worker 1 waits (2.0 s) at shard 0 for an op of its own, of clock 4 or before, which "
            "has not come");
}
END_TEST

START_TEST(what_is_saved_and_restored_is_told_with_whom_it_waits_for) {
    char text[WHY_TEXT];
    why_saves(&shards[0], text);
    ck_assert_str_eq(text, "");
    why_restores(&shards[0], text);
    ck_assert_str_eq(text, "");
    shards[0].in_hand = (struct msg_in_hand){.saving = MSG_GATHERING,
                                             .generation = 3,
                                             .waiting_for = 1,
                                             .saving_ms = 2100,
                                             .saving_name = "x",
                                             .restoring = 2,
                                             .restoring_ms = 900,
                                             .restoring_name = "y"};
    why_saves(&shards[0], text);
    ck_assert_str_eq(text, "saves checkpoint \"x\" (generation 3) since 2.1 s: it waits for worker "
                           "1 to come to the end of a clock; worker 1 was last heard of 0.4 s ago");
    why_restores(&shards[0], text);
    ck_assert_str_eq(text, "restores checkpoint \"y\" since 0.9 s: it is read, and waits to be put "
                           "in place");
    shards[0].in_hand.saving = MSG_WRITING;
    why_saves(&shards[0], text);
    ck_assert_str_eq(text, "saves checkpoint \"x\" (generation 3) since 2.1 s: its file is being "
                           "written");
}
END_TEST

Suite *why_suite(void) {
    Suite *suite = suite_create("why");
    TCase *tc = tcase_create("why");
    tcase_add_checked_fixture(tc, setup, NULL);
    tcase_add_test(tc, nobody_waits);
    tcase_add_test(tc, a_worker_waits_for_a_clock_where_it_has_waited_longest);
    tcase_add_test(tc, who_has_not_come_yet_is_not_said_to_have_been_heard);
    tcase_add_test(tc, checkpoints_and_missing_ops_have_sentences_too);
    tcase_add_test(tc, what_is_saved_and_restored_is_told_with_whom_it_waits_for);
    suite_add_tcase(suite, tc);
    return suite;
}
