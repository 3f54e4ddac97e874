/*
 * soak.c - the program of `make soak`: a job of two servers and two workers under load for a long time, with a
 * checkpoint every so often and a fault, mild or deadly, drawn at random every so often. At the end: what
 * was lost or doubled, how memory and descriptors went, and how soon the throughput was back.
 * RH_TEST_SECONDS, RH_TEST_FAULT_EVERY and RH_TEST_SAVE_EVERY are in seconds.
 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "tests/chaos/faults.h"
#include "tests/chaos/gauge.h"
#include "tests/support/job.h"
#include "tests/support/scratch.h"
#include "tests/support/seed.h"

enum { KINDS_MAX = 64, CALM_AFTER_MS = 5000, LOOK_MS = 1000 };

static struct world world;

static int64_t setting(const char *name, int64_t otherwise) {
    const char *given = getenv(name);
    return given != NULL && *given != '\0' ? atoll(given) : otherwise;
}

/* The throughput behind the faults. */
struct back {
    uint32_t faults, within_5_s, never;
    int64_t worst_ms;
};

static void note(struct back *b, int64_t back_ms) {
    b->faults++;
    b->never += back_ms < 0;
    b->within_5_s += back_ms >= 0 && back_ms <= 5000;
    b->worst_ms = back_ms > b->worst_ms ? back_ms : b->worst_ms;
}

/* What lies between two faults. */
static void rest(struct gauge *g, int64_t until_ms, int64_t calm_from_ms) {
    for (int64_t now_ms; (now_ms = job_now_ms()) < until_ms; usleep(LOOK_MS * 1000)) {
        gauge_calm(g, now_ms >= calm_from_ms);
        gauge_look(g, &world);
    }
    gauge_calm(g, false);
}

static uint32_t all_faults(struct fault *all) {
    memcpy(all, faults_mild, faults_mild_n * sizeof *all);
    memcpy(all + faults_mild_n, faults_hard, faults_hard_n * sizeof *all);
    return faults_mild_n + faults_hard_n;
}

START_TEST(a_job_lives_through_all_of_it) {
    static struct fault all[KINDS_MAX];
    static struct tally tallies[KINDS_MAX];
    const int64_t seconds = setting("RH_TEST_SECONDS", 3600);
    const int64_t every_ms = setting("RH_TEST_FAULT_EVERY", 30) * 1000;
    const int64_t save_ms = setting("RH_TEST_SAVE_EVERY", 60) * 1000;
    const uint32_t n = all_faults(all);
    struct back back = {0};
    struct rng g;
    rng_init(&g, test_seed("soak"), 0);
    world_begin(&world, RH_MODE_ASYNC, (uint32_t)save_ms, NULL);
    struct gauge *gauge = gauge_start(&world, (uint32_t)seconds + 600);
    const int64_t began_ms = job_now_ms(), end_ms = began_ms + seconds * 1000;
    rest(gauge, began_ms + every_ms, began_ms + CALM_AFTER_MS);
    while (job_now_ms() < end_ms) {
        const int64_t next_ms = job_now_ms() + every_ms;
        const struct fault *f = faults_draw(all, n, &g);
        ck_assert_msg(f != NULL, "RH_TEST_KIND names no kind of fault");
        const int64_t again_ms = faults_try(&world, f, &g, &tallies[f - all]);
        rest(gauge,
             next_ms > job_now_ms() + 2 * CALM_AFTER_MS ? next_ms
                                                        : job_now_ms() + 2 * CALM_AFTER_MS,
             job_now_ms() + CALM_AFTER_MS);
        note(&back, gauge_back_ms(gauge, again_ms));
    }
    const double minutes = (double)(job_now_ms() - began_ms) / 60000;
    printf("| %.1f minutes, %" PRIu32 " faults, %" PRIu64 " checkpoints (%" PRIu64
           " given up), %.0f steps/s of all workers in calm seconds |\n|---|\n",
           minutes, back.faults, (uint64_t)atomic_load(&world.told->saves),
           (uint64_t)atomic_load(&world.told->failed_saves), gauge_usual(gauge));
    printf("| back to 90 %% of that within 5 s of the first steps: %" PRIu32 " of %" PRIu32
           "; at the latest %.1f s; not before the next fault: %" PRIu32 " |\n",
           back.within_5_s, back.faults, (double)back.worst_ms / 1000, back.never);
    faults_print(all, n, tallies);
    gauge_print(gauge);
    gauge_stop(&gauge);
    world_end(&world);
}
END_TEST

int main(void) {
    TCase *tc = tcase_create("soak");
    tcase_add_checked_fixture(tc, scratch_enter, scratch_leave);
    tcase_set_timeout(tc, (double)setting("RH_TEST_SECONDS", 3600) + 900);
    tcase_add_test(tc, a_job_lives_through_all_of_it);
    Suite *s = suite_create("soak");
    suite_add_tcase(s, tc);
    return job_main(s);
}
