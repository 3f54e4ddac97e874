/* test_ckpt_cut.c - the file of a shard that goes on is, byte for byte, that of a twin which stood still;
 * and training survives whatever becomes of the file. */
#include <check.h>
#include <errno.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

#include "common/err.h"
#include "ps/ckpt_folder.h"
#include "ps/ckpt_shard.h"
#include "ps/shard_inner.h"
#include "ps/snapshot.h"
#include "tests/support/ckpt_job.h"
#include "tests/support/memory_disk.h"
#include "tests/support/seed.h"
#include "tests/unit/suites.h"

enum { TABLES = 6, WRITTEN = 5, DROPPED = 6, BATCH = 256, DIM = 32, FILE_BYTES = 5 << 20 };

#define ck_assert_ok(call)                                                           \
    do {                                                                             \
        rh_status is_ = (call);                                                      \
        ck_assert_msg(is_ == RH_OK, #call ": %s: %s", status_text(is_), err_text()); \
    } while (0)

/* ---- a shard whose tables are changed directly: no frames, no clocks ---- */

struct made {
    struct shard *shard;
    struct rng g;
};
static struct made job, twin;

static struct spec spec_of(uint32_t number) {
    static const uint64_t rows[TABLES] = {20000, 4000, UINT64_C(1) << 30, 3000, 100, 100};
    static const uint32_t dims[TABLES] = {DIM, 17, 4, 8, 3, 3};
    static const uint32_t opts[TABLES] = {SPEC_SPARSE_ADAM, SPEC_ROWWISE_ADAGRAD, SPEC_SPARSE_ADAM,
                                          SPEC_SGD,         SPEC_SPARSE_ADAM,     SPEC_SGD};
    struct spec s = {.kind = SPEC_DENSE,
                     .dim = dims[number - 1],
                     .rows = rows[number - 1],
                     .seed = number,
                     .init = SPEC_UNIFORM,
                     .init_arg = {-1, 1},
                     .opt = opts[number - 1],
                     .lr = 0.1,
                     .padding_idx = number == 2 ? 3 : SPEC_NO_PADDING,
                     .max_norm = number == 2 ? 1.5 : 0,
                     .norm_type = number == 2 ? 2 : 0};
    if (s.opt == SPEC_SPARSE_ADAM)
        memcpy(s.opt_arg, (const double[]){0.9, 0.999, 1e-8}, 3 * sizeof(double));
    if (number == 4)
        memcpy(s.opt_arg, (const double[]){0.9, 0.5}, 2 * sizeof(double));
    return s;
}

static struct table *table_of(const struct made *m, uint32_t number) {
    return shard_table(m->shard, number);
}

static void change(struct made *m, struct table *t, const uint64_t *ids, uint32_t n, bool write) {
    static float floats[BATCH * DIM];
    for (uint32_t i = 0; i < n * t->spec.dim; i++)
        floats[i] = rng_f32(&m->g) - 0.5f;
    const uint8_t *at = (const uint8_t *)ids, *rows = (const uint8_t *)floats;
    ck_assert_ok(table_locate(t, at, n));
    if (write)
        table_write(t, at, n, rows);
    else
        ck_assert_ok(table_update(t, at, n, rows, 0.1, 1));
}

/* A batch of ascending ids for one of the first four tables, or a freeze. */
static void train(struct made *m) {
    uint32_t number = 1 + rng_below(&m->g, 4);
    struct table *t = table_of(m, number);
    uint64_t ids[BATCH], step = 1 + t->spec.rows / BATCH;
    uint32_t n = 0;
    for (uint64_t id = rng_u64(&m->g) % step; n < BATCH && id < t->spec.rows;
         id += 1 + rng_u64(&m->g) % step)
        ids[n++] = id;
    if (number != 4 || rng_below(&m->g, 3) > 0) {
        change(m, t, ids, n, rng_below(&m->g, 5) == 0);
        return;
    }
    ck_assert_ok(table_locate(t, (const uint8_t *)ids, n));
    ck_assert_ok(freeze_open_lists(&t->freeze));
    freeze_rows(&t->freeze, t->rows, n, 1 + rng_below(&m->g, 9));
    ck_assert_ok(freeze_range(&t->freeze, ids[0], 10, rng_below(&m->g, 9)));
}

static void make(struct made *m, uint64_t seed) {
    struct shard_config c;
    shard_config_init(&c);
    ck_assert_ok(shard_new(&c, NULL, &m->shard));
    rng_init(&m->g, seed, 0);
    struct shard *s = m->shard;
    s->tables = calloc(TABLES, sizeof *s->tables);
    s->dropped = calloc(TABLES, sizeof *s->dropped);
    s->steps = calloc(TABLES, sizeof *s->steps);
    for (s->n_tables = 0; s->n_tables < TABLES; s->n_tables++) {
        struct spec spec = spec_of(s->n_tables + 1);
        ck_assert_ok(table_new("t", s->n_tables + 1, &spec, 0, 1, &s->tables[s->n_tables]));
    }
    s->dropped[DROPPED - 1] = s->tables[DROPPED - 1];
    s->tables[DROPPED - 1] = NULL;
    table_empty(s->dropped[DROPPED - 1]);
    uint64_t ids[BATCH] = {1, 2, 3};
    change(m, table_of(m, WRITTEN), ids, 3, true); /* and never updated: it has no state */
    for (uint64_t id = 0; id < spec_of(1).rows;) {
        uint32_t n = 0;
        while (n < BATCH && id < spec_of(1).rows)
            ids[n++] = id++;
        change(m, s->tables[0], ids, n, false);
    }
    for (int i = 0; i < 60; i++)
        train(m);
}

static bool any_attached(const struct made *m) {
    for (uint32_t n = 1; n < DROPPED; n++)
        if (table_of(m, n)->snapshot != NULL)
            return true;
    return false;
}

static void assert_alike(void) {
    for (uint32_t n = 1; n < DROPPED; n++) {
        const struct store *a = &table_of(&job, n)->store, *b = &table_of(&twin, n)->store;
        bool alike = a->n_touched == b->n_touched;
        for (uint64_t row = 0; (row = store_next_touched(a, row)) != STORE_NONE; row++)
            alike &= store_is_touched(b, row) &&
                     memcmp(store_row(a, row), store_row(b, row), a->dim * sizeof(float)) == 0;
        ck_assert_msg(alike, "table %u is not what it would be without a cut", n);
    }
}

/* ---- a disk that stops before a write, until it is told to go on ---- */

static struct memory_disk disk;
static struct ckpt_io_ops gated;
static const struct ckpt_io_ops *plain;
static struct {
    pthread_mutex_t lock;
    pthread_cond_t moved;
    uint32_t writes, stop_at; /* 0: never */
    bool stopped, open;
} gate = {.lock = PTHREAD_MUTEX_INITIALIZER, .moved = PTHREAD_COND_INITIALIZER};

static int64_t gated_write(struct ckpt_io *io, int fd, const void *p, size_t n) {
    pthread_mutex_lock(&gate.lock);
    if (++gate.writes == gate.stop_at) {
        gate.stopped = true;
        pthread_cond_broadcast(&gate.moved);
        while (!gate.open)
            pthread_cond_wait(&gate.moved, &gate.lock);
    }
    pthread_mutex_unlock(&gate.lock);
    return plain->write(io, fd, p, n);
}

static void gate_stop_at(uint32_t write) {
    gate.writes = 0;
    gate.stop_at = write;
    gate.stopped = gate.open = false;
}

static void gate_wait(void) {
    pthread_mutex_lock(&gate.lock);
    while (!gate.stopped)
        pthread_cond_wait(&gate.moved, &gate.lock);
    pthread_mutex_unlock(&gate.lock);
}

static void gate_open(void) {
    pthread_mutex_lock(&gate.lock);
    gate.open = true;
    pthread_cond_broadcast(&gate.moved);
    pthread_mutex_unlock(&gate.lock);
}

static bool gate_is_open(void) {
    pthread_mutex_lock(&gate.lock);
    bool open = gate.open;
    pthread_mutex_unlock(&gate.lock);
    return open;
}

/* For whoever waits behind it: long enough that they do wait. */
static void *open_soon(void *arg) {
    usleep(50000);
    gate_open();
    return arg;
}

/* ---- a cut, and the thread that writes it ---- */

static struct ckpt_cut *cut;
static struct ckpt_fd folder;
static struct ckpt_file file;
static pthread_t writer;
static rh_status status;
static char text[ERR_TEXT_MAX];
static atomic_bool written;

static void *write_cut(void *arg) {
    status = ckpt_cut_write(cut, &folder, 7, &file);
    snprintf(text, sizeof text, "%s", err_text());
    atomic_store(&written, true);
    return arg;
}

static void begin_writing(void) {
    atomic_store(&written, false);
    ck_assert_ok(ckpt_begin(&disk.io, "a", &folder));
    ck_assert_int_eq(pthread_create(&writer, NULL, write_cut, NULL), 0);
}

static void end_writing(void) {
    pthread_join(writer, NULL);
    ck_assert_msg(status == RH_OK, "%s", text);
}

/* Of an attempt: its one file. */
static struct disk_node *node_of(const char *attempt) {
    struct disk_node *n = memory_disk_find(&disk, attempt, "shard-00000-of-00001.rhs");
    ck_assert_ptr_nonnull(n);
    return n;
}

/* The twin's file, as it stands. */
static void write_twin(void) {
    struct ckpt_fd there;
    struct ckpt_file is;
    ck_assert_ok(ckpt_begin(&disk.io, "twin", &there));
    ck_assert_ok(ckpt_shard_write(twin.shard, &there, 7, &is));
    ck_assert_uint_gt(is.bytes, FILE_BYTES);
    ck_assert(!any_attached(&twin));
    ckpt_drop(&there);
}

static void assert_same_file(void) {
    const struct disk_node *a = node_of(".a.tmp"), *b = node_of(".twin.tmp");
    ck_assert_uint_eq(a->len, file.bytes);
    ck_assert_uint_eq(a->len, b->len);
    size_t at = 0;
    while (at < a->len && a->bytes[at] == b->bytes[at])
        at++;
    ck_assert_msg(at == a->len, "byte %zu of %zu differs", at, a->len);
    ckpt_abandon(&disk.io, "a", &folder);
}

static void setup(void) {
    memory_disk_init(&disk);
    plain = disk.io.ops;
    gated = *plain;
    gated.write = gated_write;
    disk.io.ops = &gated;
    gate_stop_at(0);
}

static void teardown(void) {
    ckpt_cut_free(&cut);
    shard_free(&job.shard);
    shard_free(&twin.shard);
    ck_assert_uint_eq(memory_disk_open_files(&disk), 0);
    memory_disk_fini(&disk);
}

static void make_twins(uint64_t seed) {
    make(&job, seed);
    make(&twin, seed);
    write_twin();
}

/* ---- what is in the file ---- */

START_TEST(changes_between_the_cut_and_its_file_are_not_in_the_file) {
    make_twins(test_seed("ckpt cut"));
    ck_assert_ok(ckpt_cut_take(job.shard, &cut));
    for (int i = 0; i < 100; i++)
        train(&job);
    change(&job, table_of(&job, WRITTEN), (const uint64_t[]){2, 4}, 2, false);
    ck_assert_ptr_nonnull(table_of(&job, WRITTEN)->store.slots);
    ck_assert_ok(ckpt_begin(&disk.io, "a", &folder));
    ck_assert_ok(ckpt_cut_write(cut, &folder, 7, &file));
    ck_assert_uint_eq(ckpt_cut_done_bytes(cut), file.bytes);
    ckpt_cut_free(&cut);
    ck_assert(!any_attached(&job));
    assert_same_file();
}
END_TEST

START_TEST(changes_while_the_file_is_written_are_not_in_the_file) {
    uint64_t seed = test_seed("ckpt cut threads"), bytes = 0;
    make_twins(seed + (uint64_t)_i);
    ck_assert_ok(ckpt_cut_take(job.shard, &cut));
    gate_stop_at(1 + (uint32_t)_i % 4);
    begin_writing();
    gate_wait();
    for (int i = 0; i < 20; i++)
        train(&job);
    gate_open();
    while (!atomic_load(&written)) {
        train(&job);
        ck_assert_uint_ge(ckpt_cut_done_bytes(cut), bytes);
        bytes = ckpt_cut_done_bytes(cut);
    }
    end_writing();
    ck_assert_uint_eq(ckpt_cut_done_bytes(cut), file.bytes);
    ckpt_cut_free(&cut);
    assert_same_file();
}
END_TEST

/* A job of all optimizers, frame by frame: steps with resets, inits and a drop race with the writer. */
static struct ckpt_job jobs[2]; /* the job and its twin */
static struct ckpt_cut *cuts[JOB_SHARDS];

static void *write_cuts(void *arg) {
    for (uint32_t i = 0; status == RH_OK && i < jobs[0].shards; i++)
        status = ckpt_cut_write(cuts[i], &folder, 7, &file);
    return arg;
}

static const struct {
    uint32_t mode, shards, steps;
} rounds[] = {{JOB_BSP, 1, 2},   {JOB_BSP, 3, 4},   {JOB_ASYNC, 1, 2},
              {JOB_ASYNC, 3, 5}, {JOB_ASYNC, 8, 1}, {JOB_BSP, 2, 7}};

START_TEST(a_job_goes_on_while_its_shards_are_written) {
    uint64_t seed = test_seed("ckpt cut job");
    struct ckpt_fd there;
    struct ckpt_manifest m;
    for (int k = 0; k < 2; k++) {
        ckpt_job_init(&jobs[k], rounds[_i].mode, rounds[_i].shards, seed);
        for (uint32_t i = 0; i < rounds[_i].steps; i++)
            ckpt_job_step(&jobs[k]);
    }
    ck_assert_ok(ckpt_begin(&disk.io, "twin", &there));
    ck_assert_ok(ckpt_begin(&disk.io, "a", &folder));
    for (uint32_t i = 0; i < jobs[0].shards; i++) {
        ck_assert_ok(ckpt_shard_write(jobs[1].shard[i], &there, 7, &file));
        ck_assert_ok(ckpt_cut_take(jobs[0].shard[i], &cuts[i]));
        ck_assert_ok(ckpt_shard_manifest(jobs[1].shard[i], &m));
        struct hash128 knows, other;
        ck_assert_ok(ckpt_manifest_agreed(ckpt_cut_manifest(cuts[i]), &knows));
        ck_assert_ok(ckpt_manifest_agreed(&m, &other));
        ck_assert_mem_eq(&knows, &other, sizeof other);
        ckpt_manifest_fini(&m);
    }
    status = RH_OK;
    ck_assert_int_eq(pthread_create(&writer, NULL, write_cuts, NULL), 0);
    for (int i = 0; i < 5; i++)
        ckpt_job_step(&jobs[0]);
    pthread_join(writer, NULL);
    ck_assert_int_eq(status, RH_OK);
    for (uint32_t i = 0; i < jobs[0].shards; i++) {
        char name[CKPT_FILE_NAME];
        ckpt_file_name(i, jobs[0].shards, name);
        const struct disk_node *a = memory_disk_find(&disk, ".a.tmp", name);
        const struct disk_node *b = memory_disk_find(&disk, ".twin.tmp", name);
        ck_assert_uint_eq(a->len, b->len);
        ck_assert_mem_eq(a->bytes, b->bytes, a->len);
        ckpt_cut_free(&cuts[i]);
    }
    /* and the job is what it would be without */
    for (int i = 0; i < 5; i++)
        ckpt_job_step(&jobs[1]);
    ck_assert_uint_eq(ckpt_job_digest(&jobs[0]), ckpt_job_digest(&jobs[1]));
    ckpt_job_fini(&jobs[0]);
    ckpt_job_fini(&jobs[1]);
    ckpt_drop(&there);
    ckpt_drop(&folder);
}
END_TEST

/* ---- waiting ---- */

START_TEST(copies_beyond_the_limit_wait_for_the_disk) {
    make_twins(test_seed("ckpt cut limit"));
    ck_assert_ok(ckpt_cut_take(job.shard, &cut));
    ckpt_cut_limit(cut, 256 << 10, 30000);
    gate_stop_at(2);
    begin_writing();
    gate_wait();
    pthread_t opener;
    ck_assert_int_eq(pthread_create(&opener, NULL, open_soon, NULL), 0);
    for (int i = 0; i < 40; i++)
        train(&job);
    ck_assert(gate_is_open());
    end_writing();
    pthread_join(opener, NULL);
    ckpt_cut_free(&cut);
    assert_same_file();
}
END_TEST

START_TEST(tables_that_begin_anew_or_end_wait_for_the_disk) {
    make_twins(test_seed("ckpt cut lives"));
    ck_assert_ok(ckpt_cut_take(job.shard, &cut));
    gate_stop_at(2);
    begin_writing();
    gate_wait();
    pthread_t opener;
    ck_assert_int_eq(pthread_create(&opener, NULL, open_soon, NULL), 0);
    struct spec zeros = spec_of(2);
    zeros.init = SPEC_ZEROS;
    table_empty(table_of(&job, 3));
    ck_assert(gate_is_open());
    table_renew(table_of(&job, 2), &zeros);
    table_reset(table_of(&job, 1));
    table_reset(table_of(&job, 4));
    end_writing();
    pthread_join(opener, NULL);
    assert_same_file();
}
END_TEST

/* ---- what goes wrong ---- */

/* Every step fails in turn, until none is left. */
START_TEST(a_file_that_fails_is_no_harm_to_training) {
    static const uint32_t steps[] = {1, 2, 3, 4, 6, 8, 9, 10, 11, 12, 1000};
    uint64_t seed = test_seed("ckpt cut faults");
    make_twins(seed);
    uint32_t failed = 0;
    for (size_t k = 0; k < sizeof steps / sizeof *steps; k++) {
        ck_assert_ok(ckpt_cut_take(job.shard, &cut));
        ckpt_cut_limit(cut, 128 << 10, 30000);
        ck_assert_ok(ckpt_begin(&disk.io, "a", &folder));
        memory_disk_fail(&disk, steps[k], ENOSPC);
        atomic_store(&written, false);
        ck_assert_int_eq(pthread_create(&writer, NULL, write_cut, NULL), 0);
        uint32_t batches = 0;
        while (!atomic_load(&written) || batches < 30) {
            train(&job);
            batches++;
        }
        pthread_join(writer, NULL);
        memory_disk_fail(&disk, 0, 0);
        ck_assert(status == RH_OK || (status == RH_EIO && strstr(text, "No space left") != NULL));
        failed += status != RH_OK;
        ckpt_cut_free(&cut);
        ck_assert(!any_attached(&job));
        if (status == RH_OK)
            assert_same_file();
        else
            ckpt_abandon(&disk.io, "a", &folder);
        while (batches-- > 0)
            train(&twin);
        assert_alike();
        write_twin();
    }
    ck_assert_uint_gt(failed, 5);
    ck_assert_int_eq(status, RH_OK);
}
END_TEST

START_TEST(a_cut_that_nobody_writes_is_given_up_at_the_limit) {
    make_twins(test_seed("ckpt cut stall"));
    ck_assert_ok(ckpt_cut_take(job.shard, &cut));
    ckpt_cut_limit(cut, 64 << 10, 20);
    for (int i = 0; i < 20; i++) {
        train(&job);
        train(&twin);
    }
    assert_alike();
    ck_assert_ok(ckpt_begin(&disk.io, "a", &folder));
    ck_assert_int_eq(ckpt_cut_write(cut, &folder, 7, &file), RH_EIO);
    ck_assert_ptr_nonnull(strstr(err_text(), "training has waited 20 ms for a checkpoint"));
    ckpt_abandon(&disk.io, "a", &folder);
}
END_TEST

START_TEST(one_cut_at_a_time) {
    struct ckpt_cut *second = NULL;
    make(&job, 1);
    ck_assert_ok(ckpt_cut_take(job.shard, &cut));
    ck_assert_int_eq(ckpt_cut_take(job.shard, &second), RH_EINVAL);
    ck_assert_str_eq(err_text(), "table \"t\": a checkpoint of it is being written: one at a time");
    ck_assert_ptr_null(second);
    ck_assert(any_attached(&job));
    ckpt_cut_free(&cut);
    ck_assert(!any_attached(&job));
    ck_assert_ok(ckpt_cut_take(job.shard, &cut));
}
END_TEST

START_TEST(a_cut_for_which_there_is_no_memory_changes_nothing) {
    struct rlimit kept, small;
    long pages = 0;
    make(&job, 1);
    FILE *f = fopen("/proc/self/statm", "r");
    ck_assert_ptr_nonnull(f);
    ck_assert_int_eq(fscanf(f, "%ld", &pages), 1);
    fclose(f);
    ck_assert_int_eq(getrlimit(RLIMIT_AS, &kept), 0);
    /* Enough for any table but number 3, whose bits alone are 128 MiB. */
    small = (struct rlimit){(rlim_t)pages * 4096 + (64 << 20), kept.rlim_max};
    ck_assert_int_eq(setrlimit(RLIMIT_AS, &small), 0);
    rh_status st = ckpt_cut_take(job.shard, &cut);
    ck_assert_int_eq(setrlimit(RLIMIT_AS, &kept), 0);
    ck_assert_int_eq(st, RH_ENOMEM);
    ck_assert_ptr_nonnull(strstr(err_text(), "table \"t\": cannot reserve 402657280 bytes"));
    ck_assert(!any_attached(&job));
    ck_assert_ok(ckpt_cut_take(job.shard, &cut));
}
END_TEST

Suite *ckpt_cut_suite(void) {
    Suite *s = suite_create("ckpt_cut");
    TCase *t = tcase_create("cut");
    tcase_add_checked_fixture(t, setup, teardown);
    tcase_set_timeout(t, 100);
    tcase_add_test(t, changes_between_the_cut_and_its_file_are_not_in_the_file);
    tcase_add_loop_test(t, changes_while_the_file_is_written_are_not_in_the_file, 0, 12);
    tcase_add_loop_test(t, a_job_goes_on_while_its_shards_are_written, 0, 6);
    tcase_add_test(t, copies_beyond_the_limit_wait_for_the_disk);
    tcase_add_test(t, tables_that_begin_anew_or_end_wait_for_the_disk);
    tcase_add_test(t, a_file_that_fails_is_no_harm_to_training);
    tcase_add_test(t, a_cut_that_nobody_writes_is_given_up_at_the_limit);
    tcase_add_test(t, one_cut_at_a_time);
    tcase_add_test(t, a_cut_for_which_there_is_no_memory_changes_nothing);
    suite_add_tcase(s, t);
    return s;
}
