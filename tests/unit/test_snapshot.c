/* test_snapshot.c - a snapshot has every row as it stood at its moment, whatever was changed since, and
 * between which two rows that were read; and who changes rows waits only where it must. */
#include <check.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

#include "common/err.h"
#include "common/rng.h"
#include "ps/snapshot.h"
#include "ps/table.h"
#include "tests/support/seed.h"
#include "tests/unit/suites.h"

enum { BATCH = 40, BLOCK = 320, DIM_MAX = 200, SEEDS = 60 };

static struct table *t, *other;
static struct snapshot_set set;
static struct snapshot *snap, *next;
static struct rng g;

/* What a snapshot must tell: rows ascending, each as one run of floats. */
static struct wanted {
    uint64_t *rows; /* (n) */
    float *floats;  /* (n, width) */
    size_t n, at, width, dim, own;
} want;

static void setup(void) {
    snapshot_set_init(&set);
    set.stall_ms = 10000;
    rng_init(&g, 1, 0);
}

static void teardown(void) {
    snapshot_free(&snap);
    snapshot_free(&next);
    snapshot_set_fini(&set);
    table_free(&t);
    table_free(&other);
    free(want.rows);
    free(want.floats);
}

/* ---- a table, and changes to it ---- */

static struct spec spec_of(uint32_t opt, uint64_t rows, uint32_t dim) {
    struct spec s = {.kind = SPEC_DENSE,
                     .dim = dim,
                     .rows = rows,
                     .seed = 3,
                     .init = SPEC_UNIFORM,
                     .init_arg = {-1, 1},
                     .opt = opt,
                     .lr = 0.1,
                     .padding_idx = 0};
    if (opt == SPEC_SPARSE_ADAM)
        memcpy(s.opt_arg, (const double[]){0.9, 0.999, 1e-8}, 3 * sizeof(double));
    if (opt == SPEC_ROWWISE_ADAGRAD)
        s.opt_arg[ADAGRAD_EPS] = 1e-10;
    return s;
}

static struct table *open_table(struct spec s) {
    struct table *out;
    ck_assert_int_eq(table_new("words", 1, &s, 0, 1, &out), RH_OK);
    return out;
}

static void change(struct table *to, uint32_t n, const uint64_t *ids, bool write) {
    static float floats[BATCH * DIM_MAX];
    for (uint32_t i = 0; i < n * to->spec.dim; i++)
        floats[i] = rng_f32(&g) - 0.5f;
    const uint8_t *at = (const uint8_t *)ids, *rows = (const uint8_t *)floats;
    ck_assert_int_eq(table_locate(to, at, n), RH_OK);
    if (write)
        table_write(to, at, n, rows);
    else
        ck_assert_int_eq(table_update(to, at, n, rows, 0.1, 1), RH_OK);
}

static void update_ids(struct table *to, uint64_t first, uint32_t n) {
    uint64_t ids[BATCH];
    for (uint32_t i = 0; i < n; i++)
        ids[i] = first + i;
    change(to, n, ids, false);
}

/* Among the first `among` ids, and now and then any. An update names no row twice. */
static void change_some(struct table *to, uint32_t among) {
    uint64_t ids[BATCH];
    uint32_t n = 0, most = rng_below(&g, BATCH);
    for (uint32_t i = 0; i < most; i++) {
        uint64_t id = rng_below(&g, 8) == 0 ? rng_u64(&g) % to->spec.rows : rng_below(&g, among);
        bool there = false;
        for (uint32_t k = 0; k < n; k++)
            there |= ids[k] == id;
        if (!there)
            ids[n++] = id;
    }
    change(to, n, ids, rng_below(&g, 4) == 0);
}

/* ---- what must be told, and what is ---- */

static void put_row(const struct store *s, uint64_t row, float *to) {
    memcpy(to, store_row(s, row), s->dim * sizeof *to);
    if (s->slots != NULL)
        memcpy(to + s->dim, store_slot(s, row), s->slot_dim * sizeof *to);
    if (s->own != NULL)
        memcpy(to + want.width - s->own_dim, store_own(s, row), s->own_dim * sizeof *to);
}

static void take(struct table *of) {
    const struct store *s = &of->store;
    want = (struct wanted){.dim = s->dim, .own = s->own != NULL ? s->own_dim : 0};
    want.width = want.dim + want.own + (s->slots != NULL ? s->slot_dim : 0);
    want.rows = malloc(s->n_touched * sizeof *want.rows);
    want.floats = malloc(s->n_touched * want.width * sizeof *want.floats);
    for (uint64_t row = 0; (row = store_next_touched(s, row)) != STORE_NONE; row++) {
        put_row(s, row, want.floats + want.n * want.width);
        want.rows[want.n++] = row;
    }
    rh_status st = snapshot_take(&set, s, &of->snapshot, &snap);
    ck_assert_msg(st == RH_OK, "%s", err_text());
    ck_assert_ptr_eq(of->snapshot, snap);
}

static bool is_wanted(const struct snapshot_row *r) {
    const float *floats = want.floats + want.at * want.width;
    const size_t dim = want.dim, own = want.own, slots = want.width - dim - own;
    return want.at < want.n && r->row == want.rows[want.at] &&
           memcmp(r->weights, floats, dim * sizeof *floats) == 0 &&
           (r->slots != NULL) == (slots > 0) &&
           (slots == 0 || memcmp(r->slots, floats + dim, slots * sizeof *floats) == 0) &&
           (r->own != NULL) == (own > 0) &&
           (own == 0 || memcmp(r->own, floats + dim + slots, own * sizeof *floats) == 0);
}

/* Reads on by n rows. In any thread: true if they are as they should be, and no more than that. */
static bool walk(size_t n) {
    struct snapshot_row r = {0};
    for (; n > 0 && r.row != STORE_NONE; n--, want.at++) {
        if (snapshot_next(snap, &r) != RH_OK)
            return false;
        if (r.row == STORE_NONE ? want.at != want.n : !is_wanted(&r))
            return false;
    }
    return true;
}

static bool walk_all(void) {
    return walk(SIZE_MAX);
}

/* ---- rows ---- */

START_TEST(rows_are_told_as_they_stood_whatever_came_after) {
    t = open_table(spec_of(SPEC_SPARSE_ADAM, 1000, 5));
    update_ids(t, 10, 4);
    take(t);
    ck_assert_uint_eq(want.n, 4);
    update_ids(t, 11, 1);                           /* one is updated, */
    change(t, 1, (const uint64_t[]){12}, true);     /* one overwritten, */
    update_ids(t, 20, 8);                           /* and eight come to be, */
    change(t, 2, (const uint64_t[]){384, 0}, true); /* the padding row is one of two more */
    ck_assert(walk_all());
    ck_assert_uint_eq(t->store.n_touched, 14);
}
END_TEST

START_TEST(state_that_was_opened_after_the_moment_is_not_told) {
    t = open_table(spec_of(SPEC_SPARSE_ADAM, 1000, 5));
    change(t, 2, (const uint64_t[]){7, 8}, true);
    take(t);
    ck_assert_uint_eq(want.width, 5);
    update_ids(t, 8, 1);
    ck_assert_ptr_nonnull(t->store.slots);
    ck_assert(walk_all());
}
END_TEST

static const struct {
    uint32_t opt, flags, dim, among;
    uint64_t rows;
    bool momentum;
} kinds[] = {
    {SPEC_SGD, 0, 1, 300, 20000, false},
    {SPEC_SGD, 0, 19, 3000, 3000, true}, /* momentum with dampening: a word for each row */
    {SPEC_SPARSE_ADAM, 0, 33, 500, UINT64_C(1) << 30, false},
    {SPEC_SPARSE_ADAM, SPEC_STEPS_PER_ROW, DIM_MAX, 200, 400, false},
    {SPEC_ROWWISE_ADAGRAD, 0, 76, 2000, 100000, false},
};
enum { KINDS = sizeof kinds / sizeof *kinds };

/* One thread, so that a seed says all. */
START_TEST(random_changes_between_any_two_rows_are_not_told) {
    const size_t kind = (size_t)_i % KINDS;
    uint64_t seed = test_seed("snapshot");
    rng_init(&g, seed, (uint64_t)_i);
    struct spec s = spec_of(kinds[kind].opt, kinds[kind].rows, kinds[kind].dim);
    s.opt_flags = kinds[kind].flags;
    if (kinds[kind].momentum)
        memcpy(s.opt_arg, (const double[]){0.9, 0.5}, 2 * sizeof(double));
    t = open_table(s);
    for (uint32_t n = 1 + rng_below(&g, 40); n > 0 || t->store.n_touched == 0; n -= n > 0)
        change_some(t, kinds[kind].among);
    take(t);
    const uint32_t changes = rng_below(&g, 20);
    while (want.at <= want.n) {
        for (uint32_t i = rng_below(&g, changes + 1); i > 0; i--)
            change_some(t, kinds[kind].among);
        const size_t rows = 1 + rng_below(&g, 1 + (uint32_t)want.n / 4);
        ck_assert_msg(walk(rows), "kind %zu: row %zu of %zu is not as it stood", kind, want.at,
                      want.n);
    }
    ck_assert(!set.given_up);
}
END_TEST

/* ---- copies ---- */

/* A row of 33 floats, 99 with its state, takes two blocks. */
START_TEST(a_row_is_copied_once_and_only_if_it_was_touched_and_is_not_read) {
    t = open_table(spec_of(SPEC_SPARSE_ADAM, 1000000, 33));
    update_ids(t, 1, 20); /* each in a slab of its own */
    take(t);
    ck_assert(walk(1));
    for (int i = 0; i < 3; i++)
        update_ids(t, 1, 30);
    ck_assert_uint_eq(set.used_bytes, 19 * 2 * BLOCK);
    ck_assert(walk_all());
    ck_assert_uint_eq(set.n_idle, 19 * 2);
}
END_TEST

START_TEST(a_snapshot_that_was_read_is_forgotten_by_its_table) {
    t = open_table(spec_of(SPEC_SGD, 1000, 5));
    update_ids(t, 1, 20);
    take(t);
    ck_assert(walk_all());
    update_ids(t, 1, 1);
    ck_assert_ptr_null(t->snapshot);
    ck_assert_uint_eq(set.used_bytes, 0);
}
END_TEST

START_TEST(a_snapshot_that_was_freed_is_forgotten_by_its_table) {
    t = open_table(spec_of(SPEC_SGD, 1000, 5));
    update_ids(t, 1, 20);
    take(t);
    update_ids(t, 1, 10);
    snapshot_free(&snap);
    ck_assert_ptr_null(t->snapshot);
    update_ids(t, 1, 10);
}
END_TEST

/* Rows of another width: what is given back fits them all the same. */
START_TEST(what_one_table_had_is_good_for_another) {
    other = open_table(spec_of(SPEC_SGD, 1000000, 100));
    t = open_table(spec_of(SPEC_SPARSE_ADAM, 1000000, 33));
    update_ids(other, 1, 20);
    update_ids(t, 1, 20);
    ck_assert_int_eq(snapshot_take(&set, &other->store, &other->snapshot, &next), RH_OK);
    take(t);
    set.limit_bytes = 10 * 2 * BLOCK;
    set.stall_ms = 1;
    update_ids(t, 1, 10);
    ck_assert(walk_all());
    update_ids(other, 1, 10);
    ck_assert_uint_eq(set.used_bytes, 10 * 2 * BLOCK);
    ck_assert_uint_eq(set.n_idle, 0);
    ck_assert(!set.given_up);
}
END_TEST

/* ---- waiting ---- */

static void wait_until_awaited(void) {
    for (bool awaited = false; !awaited;) {
        pthread_mutex_lock(&set.lock);
        awaited = set.awaited;
        pthread_mutex_unlock(&set.lock);
    }
}

static void *read_when_awaited(void *good) {
    wait_until_awaited();
    *(bool *)good = walk_all();
    return NULL;
}

static void *end_when_awaited(void *arg) {
    wait_until_awaited();
    snapshot_set_end(&set);
    return arg;
}

static void reset(void) {
    table_reset(t);
    ck_assert_uint_eq(t->store.n_touched, 0);
}

static void renew(void) {
    struct spec s = t->spec;
    s.init = SPEC_ZEROS;
    table_renew(t, &s);
    ck_assert(store_row(&t->store, t->rows[0])[0] == 0);
}

static void drop(void) {
    table_empty(t);
    ck_assert_ptr_null(t->store.weights);
}

static void (*const lives[])(void) = {reset, renew, drop};

START_TEST(a_table_that_is_reset_renewed_or_dropped_waits_until_it_was_read) {
    t = open_table(spec_of(SPEC_ROWWISE_ADAGRAD, 1000000, 33));
    update_ids(t, 1, BATCH);
    take(t);
    update_ids(t, 30, BATCH);
    update_ids(t, 1, BATCH);
    bool good = false;
    pthread_t reader;
    ck_assert_int_eq(pthread_create(&reader, NULL, read_when_awaited, &good), 0);
    lives[_i]();
    ck_assert_ptr_null(t->snapshot);
    pthread_join(reader, NULL);
    ck_assert(good);
    ck_assert(!set.given_up);
}
END_TEST

START_TEST(at_the_limit_a_change_waits_for_the_reader) {
    t = open_table(spec_of(SPEC_SPARSE_ADAM, 1000000, 33));
    update_ids(t, 1, BATCH);
    take(t);
    set.limit_bytes = 20 * 2 * BLOCK + 1; /* of the 40 */
    bool good = false;
    pthread_t reader;
    ck_assert_int_eq(pthread_create(&reader, NULL, read_when_awaited, &good), 0);
    for (int i = 0; i < 5; i++)
        update_ids(t, 1, BATCH);
    pthread_join(reader, NULL);
    ck_assert(good);
    ck_assert_uint_eq(set.used_bytes, 20 * 2 * BLOCK);
    ck_assert(!set.given_up);
}
END_TEST

/* No address space is as large as this limit. */
START_TEST(without_memory_for_copies_a_change_waits_for_the_reader) {
    t = open_table(spec_of(SPEC_SPARSE_ADAM, 1000000, 33));
    update_ids(t, 1, BATCH);
    take(t);
    set.limit_bytes = SIZE_MAX / 2;
    bool good = false;
    pthread_t reader;
    ck_assert_int_eq(pthread_create(&reader, NULL, read_when_awaited, &good), 0);
    update_ids(t, 1, BATCH);
    pthread_join(reader, NULL);
    ck_assert(good);
    ck_assert_uint_eq(set.used_bytes, 0);
}
END_TEST

START_TEST(a_reader_that_fails_wakes_who_waits_for_it) {
    t = open_table(spec_of(SPEC_SGD, 1000000, 33));
    update_ids(t, 1, BATCH);
    take(t);
    set.limit_bytes = 0;
    pthread_t reader;
    ck_assert_int_eq(pthread_create(&reader, NULL, end_when_awaited, NULL), 0);
    update_ids(t, 1, BATCH);
    pthread_join(reader, NULL);
    ck_assert_ptr_null(t->snapshot);
    ck_assert(!set.given_up);
}
END_TEST

START_TEST(a_reader_that_does_not_come_on_is_given_up_and_training_goes_on) {
    t = open_table(spec_of(SPEC_SGD, 1000000, 33));
    update_ids(t, 1, BATCH);
    take(t);
    set.limit_bytes = 10 * BLOCK;
    set.stall_ms = 20;
    ck_assert(walk(1));
    update_ids(t, 1, BATCH);
    ck_assert(set.given_up);
    ck_assert_ptr_null(t->snapshot);
    struct snapshot_row r;
    ck_assert_int_eq(snapshot_next(snap, &r), RH_EIO);
    ck_assert_str_eq(err_text(), "training has waited 20 ms for a checkpoint that did not come on, "
                                 "and gave it up: is the disk full, slow or gone?");
}
END_TEST

/* ---- two threads ---- */

static atomic_bool was_read;

static void *read_now(void *good) {
    *(bool *)good = walk_all();
    atomic_store(&was_read, true);
    return NULL;
}

START_TEST(a_reader_in_another_thread_is_told_the_same) {
    uint64_t seed = test_seed("snapshot threads");
    rng_init(&g, seed, (uint64_t)_i);
    struct spec s = spec_of(_i % 2 == 0 ? SPEC_SPARSE_ADAM : SPEC_ROWWISE_ADAGRAD, 4000, 76);
    t = open_table(s);
    for (int i = 0; i < 300; i++)
        change_some(t, 4000);
    take(t);
    set.limit_bytes = _i % 3 == 0 ? 300 * BLOCK : set.limit_bytes;
    bool good = false;
    pthread_t reader;
    ck_assert_int_eq(pthread_create(&reader, NULL, read_now, &good), 0);
    while (!atomic_load(&was_read))
        change_some(t, 4000);
    pthread_join(reader, NULL);
    ck_assert(good);
    ck_assert(!set.given_up);
}
END_TEST

Suite *snapshot_suite(void) {
    Suite *s = suite_create("snapshot");
    TCase *c = tcase_create("snapshot");
    tcase_add_checked_fixture(c, setup, teardown);
    tcase_set_timeout(c, 60);
    tcase_add_test(c, rows_are_told_as_they_stood_whatever_came_after);
    tcase_add_test(c, state_that_was_opened_after_the_moment_is_not_told);
    tcase_add_loop_test(c, random_changes_between_any_two_rows_are_not_told, 0, SEEDS);
    tcase_add_test(c, a_row_is_copied_once_and_only_if_it_was_touched_and_is_not_read);
    tcase_add_test(c, a_snapshot_that_was_read_is_forgotten_by_its_table);
    tcase_add_test(c, a_snapshot_that_was_freed_is_forgotten_by_its_table);
    tcase_add_test(c, what_one_table_had_is_good_for_another);
    tcase_add_loop_test(c, a_table_that_is_reset_renewed_or_dropped_waits_until_it_was_read, 0, 3);
    tcase_add_test(c, at_the_limit_a_change_waits_for_the_reader);
    tcase_add_test(c, without_memory_for_copies_a_change_waits_for_the_reader);
    tcase_add_test(c, a_reader_that_fails_wakes_who_waits_for_it);
    tcase_add_test(c, a_reader_that_does_not_come_on_is_given_up_and_training_goes_on);
    tcase_add_loop_test(c, a_reader_in_another_thread_is_told_the_same, 0, 20);
    suite_add_tcase(s, c);
    return s;
}
