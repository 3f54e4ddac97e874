/*
 * test_chaos.c - a job of real processes is struck by one fault after the other, and its tables equal the
 * model exactly after each. tests/chaos has the job, the faults and the model. RH_TEST_SECONDS=600 goes on
 * for so long, with faults drawn at random, and prints a table of them.
 */
#include <stdio.h>
#include <stdlib.h>

#include "tests/chaos/faults.h"
#include "tests/support/job.h"
#include "tests/support/scratch.h"
#include "tests/support/seed.h"

enum { KINDS_MAX = 64, SAVE_EVERY_MS = 300 };

static struct world world;

static int seconds(void) {
    const char *given = getenv("RH_TEST_SECONDS");
    return given != NULL ? atoi(given) : 0;
}

/* One of each, and the last one some more times; or as many as the time allows. */
static void strike_with(const struct fault *all, uint32_t n, uint32_t more, struct rng *g) {
    struct tally tallies[KINDS_MAX] = {{0}};
    const int64_t until_ms = job_now_ms() + (int64_t)seconds() * 1000;
    ck_assert_uint_le(n, KINDS_MAX);
    for (uint32_t i = 0; seconds() == 0 && i < n + more; i++) {
        const uint32_t k = i < n ? i : n - 1;
        faults_try(&world, &all[k], g, &tallies[k]);
    }
    for (const struct fault *f; job_now_ms() < until_ms && (f = faults_draw(all, n, g)) != NULL;)
        faults_try(&world, f, g, &tallies[f - all]);
    faults_print(all, n, tallies);
}

static void strike(const char *seed, rh_mode mode, const struct fault *all, uint32_t n,
                   uint32_t more) {
    struct rng g;
    rng_init(&g, test_seed(seed), (uint64_t)mode);
    world_begin(&world, mode, SAVE_EVERY_MS, NULL);
    strike_with(all, n, more, &g);
    world_end(&world);
}

/* The last three take longer than is good for `make test`. */
START_TEST(nothing_is_lost_or_doubled_where_nobody_dies) {
    strike("chaos", RH_MODE_ASYNC, faults_mild, faults_mild_n - (seconds() == 0 ? 3 : 0), 0);
}
END_TEST

START_TEST(likewise_under_bsp) {
    enum { FIRST = 2, SOME = 4 };
    if (seconds() == 0)
        strike("chaos", RH_MODE_BSP, faults_mild + FIRST, SOME, 0);
    else
        strike("chaos", RH_MODE_BSP, faults_mild, faults_mild_n, 0);
}
END_TEST

/* The last kind is a kill at one of many places. */
START_TEST(nothing_is_lost_or_doubled_whoever_dies) {
    static const rh_mode modes[] = {RH_MODE_ASYNC, RH_MODE_BSP};
    strike("kills", modes[_i], faults_hard, faults_hard_n, 4);
}
END_TEST

/* A save that fails costs that checkpoint alone: the next one is whole. Places that a server's process reaches
 * while it saves fail, or take long, and whoever acks late hears what it has acked again. */
START_TEST(a_disk_that_fails_and_a_server_that_dawdles_cost_no_step) {
    struct sums_wrong wrong;
    world_begin(&world, RH_MODE_ASYNC, SAVE_EVERY_MS / 3,
                "create.before=4:error,write.before=15:error,sync.before=12:error,"
                "rename.before=9:error,cut.before=12:error,manifest.before=12:error,"
                "sync.after=20:sleep:700,ack.before=2000:sleep:1500,apply.after=4000:sleep:1500,"
                "slab.taken=40:sleep:500,tick.after=500:sleep:1500");
    /* Of the lead's six and the other's three some meet in one save. */
    world_await_failed_saves(&world, 5);
    world_await_steps(&world, 10 * FAULTS_STEPS);
    wrong = world_check(&world);
    ck_assert_uint_eq(wrong.lost + wrong.doubled + wrong.other, 0);
    world_await_saves(&world, 4);
    world_end(&world);
}
END_TEST

static TCase *begin_case(Suite *s, const char *name) {
    TCase *tc = tcase_create(name);
    tcase_add_checked_fixture(tc, scratch_enter, scratch_leave);
    tcase_set_timeout(tc, 230 + 2 * seconds());
    suite_add_tcase(s, tc);
    return tc;
}

int main(void) {
    Suite *s = suite_create("chaos");
    TCase *mild = begin_case(s, "mild"), *hard = begin_case(s, "hard");
    tcase_add_test(mild, nothing_is_lost_or_doubled_where_nobody_dies);
    tcase_add_test(mild, likewise_under_bsp);
    tcase_add_test(mild, a_disk_that_fails_and_a_server_that_dawdles_cost_no_step);
    tcase_add_loop_test(hard, nothing_is_lost_or_doubled_whoever_dies, 0, 2);
    return job_main(s);
}
