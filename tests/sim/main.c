/*
 * main.c - sim: seeds, one after the other.
 *
 *     sim SEED               plays one seed, and tells what happened; -v: with every frame
 *     sim -n N [-f FIRST]    plays N of them, from FIRST on (1); -t SECONDS: no longer than that
 *     sim -n 0 -t SECONDS    as many as there is time for, with a line every ten seconds
 *     -2                     every seed twice: the second run must be the first one again
 *
 * Exit 0: nothing was lost, nothing applied twice, nothing hung.
 */
#include <getopt.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/clock.h"
#include "tests/sim/draw.h"
#include "tests/sim/trial.h"

enum { TELL_EVERY_S = 10 };

struct totals {
    uint64_t seeds, counted, failed, pushes, lost, doubled, saved, restored, back;
    uint64_t faults[FAULTS];
    double virtual_s;
};

static void add(struct totals *a, const struct outcome *o) {
    a->seeds++;
    a->counted += o->counted;
    a->failed += o->failed;
    a->pushes += o->pushes;
    a->lost += o->lost;
    a->doubled += o->doubled;
    a->saved += o->saved;
    a->restored += o->restored;
    a->back += o->back;
    a->virtual_s += (double)o->virtual_us / 1e6;
    for (int i = 0; i < FAULTS; i++)
        a->faults[i] += o->faults[i];
}

static void tell(const struct totals *a, double seconds) {
    printf("%" PRIu64 " seeds, %" PRIu64 " counted (%" PRIu64 " too quiet), faults:", a->seeds,
           a->counted, a->seeds - a->counted);
    for (int i = 0; i < FAULTS; i++)
        if (a->faults[i] > 0)
            printf(" %s %" PRIu64, fault_names[i], a->faults[i]);
    printf("; %" PRIu64 " checkpoints saved, %" PRIu64 " restored, %" PRIu64
           " comebacks of workers; %" PRIu64 " pushes, %" PRIu64 " lost, %" PRIu64
           " doubled, %" PRIu64 " failed; %.0f s of virtual time in %.1f s, %.0f seeds/s\n",
           a->saved, a->restored, a->back, a->pushes, a->lost, a->doubled, a->failed, a->virtual_s,
           seconds, (double)a->seeds / seconds);
    fflush(stdout);
}

static void tell_failure(uint64_t seed, const struct outcome *o) {
    printf("seed %" PRIu64 " FAILED: %s\n    again, with every frame: make sim SEED=%" PRIu64 "\n",
           seed, o->why, seed);
    fflush(stdout);
}

static void play(uint64_t seed, bool verbose, bool twice, struct outcome *o) {
    draw_seed(seed);
    trial_run(seed, verbose, o);
    if (!twice)
        return;
    static struct outcome second;
    draw_seed(seed);
    trial_run(seed, false, &second);
    if (second.digest != o->digest && !o->failed) {
        o->failed = true;
        snprintf(o->why, sizeof o->why, "two runs of it are not the same");
    }
}

static int play_one(uint64_t seed, bool verbose, bool twice) {
    static struct outcome o;
    struct totals a = {0};
    int64_t began_us = clock_now_us();
    play(seed, verbose, twice, &o);
    add(&a, &o);
    if (o.failed)
        tell_failure(seed, &o);
    tell(&a, (double)(clock_now_us() - began_us) / 1e6);
    return o.failed ? EXIT_FAILURE : EXIT_SUCCESS;
}

static int play_many(uint64_t first, uint64_t n, double limit_s, bool twice) {
    static struct outcome o;
    struct totals a = {0};
    const int64_t began_us = clock_now_us();
    double now_s = 0, told_s = 0;
    while ((n == 0 || a.seeds < n) && (limit_s <= 0 || now_s < limit_s)) {
        uint64_t seed = first + a.seeds;
        play(seed, false, twice, &o);
        add(&a, &o);
        if (o.failed)
            tell_failure(seed, &o);
        if (a.failed == 10)
            break;
        now_s = (double)(clock_now_us() - began_us) / 1e6;
        if (n == 0 && now_s - told_s >= TELL_EVERY_S) {
            tell(&a, now_s);
            told_s = now_s;
        }
    }
    tell(&a, now_s);
    return a.failed > 0 ? EXIT_FAILURE : EXIT_SUCCESS;
}

static int usage(void) {
    fputs("usage: sim SEED [-v] [-2] | sim -n SEEDS [-f FIRST] [-t SECONDS] [-2]\n", stderr);
    return 2;
}

int main(int argc, char **argv) {
    bool verbose = false, twice = false, many = false;
    uint64_t first = 1, n = 0;
    double limit_s = 0;
    int c;
    while ((c = getopt(argc, argv, "v2n:f:t:")) != -1) {
        switch (c) {
        case 'v':
            verbose = true;
            break;
        case '2':
            twice = true;
            break;
        case 'n':
            many = true;
            n = strtoull(optarg, NULL, 10);
            break;
        case 'f':
            first = strtoull(optarg, NULL, 10);
            break;
        case 't':
            limit_s = strtod(optarg, NULL);
            break;
        default:
            return usage();
        }
    }
    if (many == (optind < argc) || argc - optind > 1 || (many && n == 0 && limit_s <= 0))
        return usage();
    return many ? play_many(first, n, limit_s, twice)
                : play_one(strtoull(argv[optind], NULL, 10), verbose, twice);
}
