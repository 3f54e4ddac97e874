/*
 * test_no_memory.c - memory ends at the k-th allocation of a call, for every call and every k: the call says RH_ENOMEM, or has
 * done all of it; called again it does what it should have, once; and nothing is lost. Client, shards and files in one
 * process, in a time of the test's own, so that what was lost on the way and is sent again costs nothing.
 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "proto/place.h"
#include "tests/support/job.h"
#include "tests/support/no_memory.h"
#include "worker/client.h"
#include "worker/connect.h"
#include "worker/local.h"

enum { ROWS = 64, DIM = 4, SHARDS = 2, BATCH = 24 };

static char folder[512];

/* ---- a life: calls that follow one another, and what the table is then ---- */

struct life {
    int64_t now_ms;
    rh_client *c;
    rh_table *t, *adam;
    rh_param *p;
    uint64_t ids[BATCH];
    float ones[BATCH * DIM], rows[BATCH * DIM];
    float want[ROWS]; /* the first number of each row */
};

static int64_t time_now(void *arg) {
    return *(int64_t *)arg;
}

static void time_pause(void *arg, int64_t until_ms) {
    int64_t *now_ms = arg;
    if (until_ms > *now_ms)
        *now_ms = until_ms;
}

static rh_status join(struct life *l) {
    rh_config cfg;
    rh_config_init(&cfg);
    cfg.servers = "local:";
    cfg.local_shards = SHARDS;
    cfg.checkpoint_dir = folder;
    cfg.connect_timeout_ms = cfg.op_timeout_ms = 100000;
    struct roster r;
    struct net *local;
    rh_status st = local_open(&cfg, &r, &local);
    struct client_time time = {time_now, time_pause, &l->now_ms};
    return st == RH_OK ? connect_over(&cfg, local, &r, &time, &l->c) : st;
}

static rh_status open_sgd(struct life *l) {
    rh_table_spec spec;
    rh_table_spec_init(&spec, ROWS, DIM);
    spec.init = rh_zeros();
    spec.optimizer = rh_sgd(1);
    return rh_table_open(l->c, "t", &spec, &l->t);
}

static rh_status open_adam(struct life *l) {
    rh_table_spec spec;
    rh_table_spec_init(&spec, ROWS, DIM);
    spec.optimizer = rh_sparse_adam(0.01);
    return rh_table_open(l->c, "adam", &spec, &l->adam);
}

static rh_status push(struct life *l) {
    return rh_push(l->t, l->ids, BATCH, l->ones);
}

static rh_status push_adam(struct life *l) {
    return rh_push(l->adam, l->ids, BATCH, l->ones);
}

static rh_status pull(struct life *l) {
    return rh_pull(l->t, l->ids, BATCH, l->rows);
}

static rh_status write(struct life *l) {
    return rh_write(l->t, l->ids, 3, l->ones);
}

static rh_status freeze(struct life *l) {
    return rh_freeze(l->adam, 3, 20, 0);
}

static rh_status freeze_ids(struct life *l) {
    return rh_freeze_ids(l->adam, l->ids, 8, 0);
}

static rh_status set_cursor(struct life *l) {
    return rh_set_cursor(l->c, "page 3", 6);
}

static rh_status tick(struct life *l) {
    return rh_tick(l->c);
}

static rh_status barrier(struct life *l) {
    return rh_barrier(l->c, 50000);
}

static rh_status batch(struct life *l) {
    rh_batch *b = NULL;
    rh_status st = rh_batch_new(l->c, &b);
    if (st == RH_OK)
        st = rh_batch_push(b, l->t, l->ids, BATCH, l->ones);
    if (st == RH_OK)
        st = rh_batch_pull(b, l->adam, l->ids, BATCH, l->rows);
    if (st == RH_OK)
        st = rh_batch_run(b);
    rh_batch_free(&b);
    return st;
}

static rh_status info(struct life *l) {
    struct rh_table_info is;
    return rh_table_info(l->t, &is);
}

static rh_status open_param(struct life *l) {
    rh_param_spec spec;
    rh_param_spec_init(&spec, (const uint64_t[]){30, 70}, 2);
    return rh_param_open(l->c, "w", &spec, &l->p);
}

static rh_status pull_param(struct life *l) {
    static float values[30 * 70];
    return rh_param_pull(l->p, values);
}

static rh_status save(struct life *l) {
    return rh_save(l->c, "a");
}

static rh_status cursor(struct life *l) {
    char page[16];
    size_t len = sizeof page;
    rh_status st = rh_cursor(l->c, 0, page, &len);
    return st != RH_OK || (len == 6 && memcmp(page, "page 3", 6) == 0) ? st : RH_ECORRUPT;
}

static rh_status restore(struct life *l) {
    return rh_restore(l->c, "a");
}

static rh_status reset(struct life *l) {
    return rh_table_reset(l->adam);
}

static rh_status drop(struct life *l) {
    return rh_table_drop(&l->adam);
}

/* What a call does to the table that is looked at, on these shards. */
static void expect(struct life *l, rh_status (*call)(struct life *l), const bool on[SHARDS]) {
    for (uint32_t i = 0; i < BATCH && (call == push || call == batch); i++)
        l->want[l->ids[i]] -= on[place_shard(l->ids[i], SHARDS)] ? 1 : 0;
    for (uint32_t i = 0; i < 3 && call == write; i++)
        if (on[place_shard(l->ids[i], SHARDS)])
            l->want[l->ids[i]] = 1;
}

static const struct {
    const char *name;
    rh_status (*call)(struct life *l);
    bool saved; /* what it makes shows in a checkpoint: so there is one in its lives */
} steps[] = {
#define STEP(call) \
    { #call, call, false }
#define SAVED(call) \
    { #call, call, true }
    STEP(join),       SAVED(open_sgd), SAVED(open_adam), STEP(push),       STEP(push_adam),
    STEP(pull),       STEP(write),     STEP(freeze),     STEP(freeze_ids), STEP(set_cursor),
    STEP(tick),       STEP(barrier),   STEP(batch),      STEP(info),       STEP(open_param),
    STEP(pull_param), SAVED(save),     SAVED(cursor),    SAVED(restore),   STEP(push),
    STEP(reset),      STEP(push_adam), STEP(drop),       STEP(tick),
#undef STEP
#undef SAVED
};
enum { STEPS = sizeof steps / sizeof *steps };

/* Every row, or those of one shard. */
static bool is_wanted(struct life *l, const float *want, uint32_t shard, uint32_t of) {
    static float rows[ROWS * DIM];
    uint64_t ids[ROWS];
    for (uint64_t i = 0; i < ROWS; i++)
        ids[i] = i;
    ck_assert_ok(rh_pull(l->t, ids, ROWS, rows));
    for (uint32_t i = 0; i < ROWS * DIM; i++)
        if (place_shard(i / DIM, of) == shard && rows[i] != want[i / DIM])
            return false;
    return true;
}

/* A call that was refused has changed all that it should have on a shard, or nothing. */
static void settle(struct life *l, rh_status (*call)(struct life *l)) {
    bool on[SHARDS] = {false};
    struct life done = *l;
    expect(&done, call, (const bool[SHARDS]){true, true});
    for (uint32_t shard = 0; shard < SHARDS; shard++) {
        on[shard] = is_wanted(l, done.want, shard, SHARDS);
        ck_assert_msg(on[shard] || is_wanted(l, l->want, shard, SHARDS), "half of it on shard %u",
                      shard);
    }
    expect(l, call, on);
}

/* Whether it is what a call may say that has had no memory. What nobody had the memory to ask or to answer is late. */
static bool is_fine(rh_status (*call)(struct life *l), rh_status st, bool all) {
    if (st == RH_ENOMEM || (all && (st == RH_ETIMEDOUT || st == RH_EUNREACHABLE)))
        return true;
    if (call == save) /* a mark that could not be made is waited for */
        return st == RH_ETIMEDOUT ||
               (st == RH_EIO && strstr(rh_errmsg(), "Cannot allocate memory"));
    /* The refusal was lost, and the repeat of an OPEN makes nothing. */
    return all && (call == open_sgd || call == open_adam || call == open_param) &&
           st == RH_ENOTFOUND;
}

/* Makes the call of a step without memory. False: it needed less. */
static bool suffer(struct life *l, uint32_t step, uint32_t k, bool all) {
    rh_status (*call)(struct life *) = steps[step].call;
    no_memory_at(k, all);
    rh_status st = call(l);
    const bool failed = no_memory_failed();
    no_memory_at(0, false);
    if (st == RH_OK) {
        expect(l, call, (const bool[SHARDS]){true, true});
        return failed;
    }
    ck_assert_msg(failed && is_fine(call, st, all), "%s, allocation %u: %s: %s", steps[step].name,
                  k, rh_strstatus(st), rh_errmsg());
    if (call == push || call == write || call == batch) {
        settle(l, call);
        return true;
    }
    st = call(l);
    /* The servers have it, and this client was left behind. */
    if (call == restore && st == RH_EROLLBACK) {
        ck_assert_ok(cursor(l));
        ck_assert_ok(open_sgd(l));
        ck_assert_ok(open_adam(l));
        ck_assert_ok(open_param(l));
        st = call(l);
    }
    if (call == save && st != RH_OK) /* that was the attempt from before, which fails by itself */
        st = call(l);
    ck_assert_msg(st == RH_OK, "%s again, behind allocation %u: %s: %s", steps[step].name, k,
                  rh_strstatus(st), rh_errmsg());
    return true;
}

static bool is_of_files(rh_status (*call)(struct life *l)) {
    return call == save || call == cursor || call == restore;
}

/* Lives a life in which memory ends at the k-th allocation of one call. False: that call has not so many. */
static bool live(uint32_t step, uint32_t k, bool all) {
    static struct life l;
    bool failed = false;
    l = (struct life){0};
    for (uint32_t i = 0; i < BATCH; i++)
        l.ids[i] = i * 11 % ROWS / 2;
    for (uint32_t i = 0; i < BATCH * DIM; i++)
        l.ones[i] = 1;
    for (uint32_t i = 0; i < STEPS; i++) {
        if (i == step) {
            failed = suffer(&l, step, k, all);
            continue;
        }
        if (is_of_files(steps[i].call) && !steps[step].saved)
            continue; /* files cost time */
        rh_status st = steps[i].call(&l);
        ck_assert_msg(st == RH_OK, "%s, behind allocation %u of %s: %s: %s", steps[i].name, k,
                      steps[step].name, rh_strstatus(st), rh_errmsg());
        expect(&l, steps[i].call, (const bool[SHARDS]){true, true});
    }
    ck_assert(is_wanted(&l, l.want, 0, 1));
    rh_close(l.c);
    return failed;
}

static void sweep(uint32_t step, bool all) {
    const size_t blocks = no_memory_blocks(), mapped = no_memory_mapped();
    uint32_t k = 1;
    while (live(step, k, all)) {
        ck_assert_msg(no_memory_blocks() == blocks && no_memory_mapped() == mapped,
                      "%s, allocation %u: %zu blocks and %zu mapped bytes are left",
                      steps[step].name, k, no_memory_blocks() - blocks,
                      no_memory_mapped() - mapped);
        k++;
    }
    printf("%s: %u allocations%s\n", steps[step].name, k - 1, all ? ", each the last" : "");
}

START_TEST(a_call_without_memory_for_one_thing_says_so_and_can_be_made_again) {
    sweep((uint32_t)_i, false);
}
END_TEST

START_TEST(a_call_without_any_more_memory_says_so_and_can_be_made_again) {
    sweep((uint32_t)_i, true);
}
END_TEST

int main(void) {
    snprintf(folder, sizeof folder, "%s", getenv("TMPDIR"));
    Suite *suite = suite_create("no_memory");
    TCase *t = tcase_create("no_memory");
    tcase_set_timeout(t, 100);
    tcase_add_loop_test(t, a_call_without_memory_for_one_thing_says_so_and_can_be_made_again, 0,
                        STEPS);
    tcase_add_loop_test(t, a_call_without_any_more_memory_says_so_and_can_be_made_again, 0, STEPS);
    suite_add_tcase(suite, t);
    return job_main(suite);
}
