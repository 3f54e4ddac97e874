/*
 * test_restore.c - real servers that begin with a checkpoint: the files of three shards on any number of them, row by
 * row; who is waited for; and servers that only serve one, from a client's side.
 */
#include <ftw.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "common/err.h"
#include "proto/place.h"
#include "ps/shard_inner.h"
#include "tests/support/ckpt_job.h"
#include "tests/support/job.h"
#include "tests/support/seed.h"

enum { SAVED_SHARDS = 3, BATCH = 4096, DIM_MAX = 1024, DROPPED = 11, RANDOM_IDS = 2000, SEED = 5 };

static char folder[4096];
static struct ckpt_job saved; /* what the checkpoint must be */
static struct servers servers;
static rh_client *c;

/* ---- a checkpoint, and servers of it ---- */

static void save(const char *name) {
    struct ckpt_io *io;
    ck_assert_ok(ckpt_io_beneath(folder, &io));
    ck_assert_ok(ckpt_job_save(&saved, io, name, 1));
    ckpt_io_free(&io);
}

static void setup(void) {
    const char *tmp = getenv("TMPDIR");
    snprintf(folder, sizeof folder, "%s/rowhouse-restore-XXXXXX", tmp != NULL ? tmp : "/tmp");
    ck_assert_ptr_nonnull(mkdtemp(folder));
}

static int take_away(const char *path, const struct stat *st, int what, struct FTW *at) {
    (void)st;
    (void)what;
    (void)at;
    return remove(path);
}

static void teardown(void) {
    rh_close(c);
    c = NULL;
    servers_stop(&servers);
    ckpt_job_fini(&saved);
    nftw(folder, take_away, 16, FTW_DEPTH | FTW_PHYS);
}

/* A job of two workers and three shards, six clocks on, as checkpoint "a". */
static void save_a_job(uint32_t mode, uint64_t seed) {
    ckpt_job_init(&saved, mode, SAVED_SHARDS, seed);
    for (int i = 0; i < 6; i++)
        ckpt_job_step(&saved);
    save("a");
}

/* One more server, with these settings, lines of a file, besides the folder. */
static void serve_one(uint32_t shard, uint32_t n, const char *scheme, const char *settings) {
    char path[4200], flag[4300];
    snprintf(path, sizeof path, "%s/settings", folder);
    FILE *f = fopen(path, "w");
    ck_assert_ptr_nonnull(f);
    fprintf(f, "checkpoint-dir = %s\n%s", folder, settings);
    ck_assert_int_eq(fclose(f), 0);
    snprintf(flag, sizeof flag, "--config=%s", path);
    servers_add(&servers, scheme, NULL, shard, n, flag);
}

/* Servers that begin with "a". */
static void serve(uint32_t n, const char *scheme, const char *settings) {
    char lines[256];
    snprintf(lines, sizeof lines, "restore = a\n%s", settings);
    memset(&servers, 0, sizeof servers);
    for (uint32_t i = 0; i < n; i++)
        serve_one(i, n, scheme, lines);
}

static rh_config config(rh_mode mode, uint32_t rank, uint32_t world) {
    rh_config cfg;
    rh_config_init(&cfg);
    cfg.servers = servers.list;
    cfg.mode = mode;
    cfg.rank = rank;
    cfg.world = world;
    cfg.op_timeout_ms = cfg.connect_timeout_ms = 20000;
    return cfg;
}

static rh_client *join(rh_mode mode, uint32_t rank, uint32_t world) {
    rh_config cfg = config(mode, rank, world);
    rh_client *out = NULL;
    ck_assert_ok(rh_connect(&cfg, &out));
    return out;
}

static void observe(void) {
    rh_config cfg = config(RH_MODE_ASYNC, 0, 1);
    cfg.observer = 1;
    ck_assert_ok(rh_connect(&cfg, &c));
}

static rh_table *find(rh_client *from, uint32_t number) {
    char name[32];
    rh_table *t = NULL;
    snprintf(name, sizeof name, "table-%u", number);
    ck_assert_ok(rh_table_find(from, name, &t));
    return t;
}

/* ---- every row ---- */

static struct table *table_of(uint32_t number, uint64_t id) {
    return saved.shard[place_shard(id, SAVED_SHARDS)]->tables[number - 1];
}

/* As a pull has it, or as it is stored. */
static void row_of(uint32_t number, uint64_t id, bool raw, float *row) {
    struct table *t = table_of(number, id);
    ck_assert_int_eq(table_locate(t, (const uint8_t *)&id, 1), RH_OK);
    if (raw)
        table_read(t, (const uint8_t *)&id, 1, (uint8_t *)row);
    else
        table_pull(t, (const uint8_t *)&id, 1, (uint8_t *)row);
}

static void same_rows(rh_table *t, uint32_t number, const uint64_t *ids, size_t n, bool raw) {
    static float got[BATCH * DIM_MAX], want[DIM_MAX];
    uint32_t dim = rh_table_embedding_dim(t);
    ck_assert_uint_le(n, BATCH);
    ck_assert_uint_le(dim, DIM_MAX);
    ck_assert_ok(raw ? rh_read(t, ids, n, got) : rh_pull(t, ids, n, got));
    for (size_t i = 0; i < n; i++) {
        row_of(number, ids[i], raw, want);
        ck_assert_msg(memcmp(got + i * dim, want, dim * sizeof *want) == 0,
                      "row %llu of table-%u is another", (unsigned long long)ids[i], number);
    }
}

/* All rows of a table; of one with 2^30, those that were touched and some that were not. */
static uint64_t same_table(uint32_t number, struct rng *g) {
    static uint64_t ids[BATCH];
    rh_table *t = find(c, number);
    uint64_t rows = rh_table_num_embeddings(t), done = 0;
    size_t n = 0;
    if (rows <= 20000) {
        for (uint64_t id = 0; id < rows; id++) {
            ids[n++] = id;
            if (n < BATCH && id + 1 < rows)
                continue;
            same_rows(t, number, ids, n, false);
            same_rows(t, number, ids, n, true);
            done += n;
            n = 0;
        }
        return done;
    }
    for (uint32_t shard = 0; shard < SAVED_SHARDS; shard++) {
        const struct table *s = saved.shard[shard]->tables[number - 1];
        for (uint64_t row = 0; (row = store_next_touched(&s->store, row)) != STORE_NONE; row++)
            ids[n++] = s->index.ops->id_of(&s->index, row);
    }
    for (int i = 0; i < RANDOM_IDS; i++)
        ids[n++] = rng_below(g, rows);
    same_rows(t, number, ids, n, false);
    return n;
}

static void same_job(void) {
    struct rng g;
    uint64_t done = 0;
    rng_init(&g, test_seed("restore"), 0);
    for (uint32_t number = 1; number <= JOB_TABLES; number++)
        if (number != DROPPED)
            done += same_table(number, &g);
    ck_assert_uint_gt(done, 100000);
    rh_table *t;
    ck_assert_int_eq(rh_table_find(c, "table-11", &t), RH_ENOTFOUND);
}

static const uint32_t numbers[] = {1, 2, 5, 8};

START_TEST(three_files_are_the_same_rows_on_any_number_of_servers) {
    save_a_job(_i < 4 ? JOB_BSP : JOB_ASYNC, test_seed("restore job"));
    serve(numbers[_i % 4], _i % 2 == 0 ? "tcp" : "ipc", "");
    observe();
    same_job();
}
END_TEST

START_TEST(shards_of_one_process_are_filled_as_well) {
    save_a_job(JOB_ASYNC, SEED);
    serve(1, "ipc", "shards = 5\n");
    observe();
    ck_assert_uint_eq(rh_shards(c), 5);
    same_job();
}
END_TEST

static uint64_t frozen_at(uint32_t number, uint64_t clock) {
    uint64_t n = 0;
    for (uint32_t i = 0; i < SAVED_SHARDS; i++)
        n += freeze_count(&saved.shard[i]->tables[number - 1]->freeze, clock);
    return n;
}

START_TEST(steps_and_frozen_rows_are_those_of_the_checkpoint) {
    save_a_job(JOB_BSP, SEED);
    serve(2, "ipc", "");
    observe();
    for (uint32_t number = 1; number <= JOB_TABLES; number++) {
        if (number == DROPPED)
            continue;
        struct rh_table_info info;
        uint64_t touched = 0;
        ck_assert_ok(rh_table_info(find(c, number), &info));
        for (uint32_t i = 0; i < SAVED_SHARDS; i++)
            touched += saved.shard[i]->tables[number - 1]->store.n_touched;
        ck_assert_uint_eq(info.steps, saved.shard[0]->steps[number - 1]);
        ck_assert_uint_eq(info.touched, touched);
        ck_assert_uint_eq(info.frozen, frozen_at(number, saved.shard[0]->closed));
    }
}
END_TEST

/* ---- who is waited for ---- */

static void push_one(rh_table *t) {
    static const float ones[DIM_MAX];
    const uint64_t id = 8;
    ck_assert_ok(rh_push(t, &id, 1, ones));
}

START_TEST(under_bsp_a_restored_job_waits_for_all_its_workers) {
    save_a_job(JOB_BSP, SEED);
    serve(2, "ipc", "");
    rh_config cfg = config(RH_MODE_BSP, 0, 2);
    cfg.op_timeout_ms = 1500;
    ck_assert_ok(rh_connect(&cfg, &c));
    ck_assert_uint_eq(rh_clock(c), 6);
    rh_table *t = find(c, 1);
    const uint64_t id = 8;
    float row[2];
    push_one(t);
    ck_assert_ok(rh_tick(c));
    ck_assert_refused(rh_pull(t, &id, 1, row), RH_ETIMEDOUT, "worker 1");
    rh_client *other = join(RH_MODE_BSP, 1, 2);
    ck_assert_uint_eq(rh_clock(other), 6);
    ck_assert_ok(rh_tick(other));
    ck_assert_ok(rh_pull(t, &id, 1, row));
    rh_close(other);
}
END_TEST

/* Both have said goodbye before it was saved. */
static void save_a_job_that_all_have_left(void) {
    ckpt_job_init(&saved, JOB_ASYNC, SAVED_SHARDS, 1);
    ckpt_job_step(&saved);
    for (uint32_t rank = 0; rank < JOB_WORKERS; rank++)
        for (uint32_t i = 0; i < SAVED_SHARDS; i++)
            ck_assert_int_eq(talker_end(&saved.talk[rank][i], WIRE_BYE, 0, 0, 0, 0), WIRE_ACK);
    save("a");
}

static bool has_ended(uint32_t i) {
    siginfo_t info = {0};
    ck_assert_int_eq(waitid(P_PID, (id_t)servers.pids[i], &info, WEXITED | WNOHANG | WNOWAIT), 0);
    return info.si_pid != 0;
}

START_TEST(a_launchers_servers_live_until_the_workers_of_this_life_have_left) {
    save_a_job_that_all_have_left();
    serve(2, "ipc", "world = 2\n");
    usleep(200000);
    ck_assert(!has_ended(0) && !has_ended(1));
    rh_client *a = join(RH_MODE_ASYNC, 0, 2);
    rh_close(a);
    usleep(200000);
    ck_assert(!has_ended(0) && !has_ended(1));
    rh_client *b = join(RH_MODE_ASYNC, 1, 2);
    rh_close(b);
    for (int i = 0; i < 200 && !(has_ended(0) && has_ended(1)); i++)
        usleep(50000);
    ck_assert(has_ended(0) && has_ended(1));
}
END_TEST

START_TEST(a_job_goes_on_with_fewer_workers_and_with_more) {
    uint32_t world = _i == 0 ? 1 : 3;
    rh_client *w[3];
    save_a_job(JOB_BSP, SEED);
    serve(2, "ipc", _i == 0 ? "world = 1\n" : "world = 3\n");
    for (uint32_t rank = 0; rank < world; rank++) {
        w[rank] = join(RH_MODE_BSP, rank, world);
        ck_assert_uint_eq(rh_clock(w[rank]), 6);
    }
    rh_table *t[3];
    float before[2], after[2], g[2] = {1, 1};
    const uint64_t id = 19999; /* of table-1, whose lr is 0.1 */
    for (uint32_t rank = 0; rank < world; rank++)
        t[rank] = find(w[rank], 1);
    ck_assert_ok(rh_pull(t[0], &id, 1, before));
    for (uint32_t rank = 0; rank < world; rank++)
        ck_assert_ok(rh_push(t[rank], &id, 1, g));
    for (uint32_t rank = 0; rank < world; rank++)
        ck_assert_ok(rh_tick(w[rank]));
    ck_assert_ok(rh_pull(t[0], &id, 1, after));
    for (int d = 0; d < 2; d++)
        ck_assert_float_eq(after[d], before[d] - 0.1f * (float)world);
    for (uint32_t rank = 0; rank < world; rank++)
        rh_close(w[rank]);
}
END_TEST

/* ---- servers that do not belong together ---- */

/* Workers; an observer may come, and put them right. */
static void refuses_all(const char *words) {
    rh_config cfg = config(RH_MODE_ASYNC, 0, 1);
    ck_assert_int_eq(rh_connect(&cfg, &c), RH_EMISMATCH);
    ck_assert_msg(strstr(rh_errmsg(), words) != NULL, "%s", rh_errmsg());
    cfg.observer = 1;
    ck_assert_ok(rh_connect(&cfg, &c));
    rh_close(c);
}

START_TEST(servers_of_two_moments_are_no_job) {
    memset(&servers, 0, sizeof servers);
    save_a_job(JOB_ASYNC, 5);
    ckpt_job_step(&saved);
    save("b"); /* of the same generation, too */
    serve_one(0, 3, "ipc", "restore = a\n");
    serve_one(1, 3, "ipc", "restore = a\n");
    serve_one(2, 3, "ipc", "restore = b\n");
    refuses_all("began with a checkpoint, shard 2");
    refuses_all("with another: all servers of a job need the same --restore");
}
END_TEST

START_TEST(a_server_that_has_forgotten_to_restore_is_found) {
    memset(&servers, 0, sizeof servers);
    save_a_job(JOB_ASYNC, 5);
    serve_one(0, 2, "ipc", _i == 0 ? "restore = a\n" : "");
    serve_one(1, 2, "ipc", _i == 0 ? "" : "restore = a\n");
    refuses_all(_i == 0 ? "began with a checkpoint, shard 1" : "began with no checkpoint, shard 1");
    refuses_all(_i == 0 ? "with none" : "with one");
}
END_TEST

/* ---- only serving ---- */

#define READ_ONLY "these servers are read-only (--read-only): "

/* That of table-1. */
static rh_table_spec spec_1(void) {
    const struct spec *is = &saved.shard[0]->tables[0]->spec;
    rh_table_spec spec;
    rh_table_spec_init(&spec, is->rows, is->dim);
    spec.seed = is->seed;
    spec.init = rh_uniform(-1, 1);
    spec.optimizer = rh_sgd(0.1);
    spec.padding_idx = 7;
    return spec;
}

START_TEST(read_only_servers_refuse_every_change_and_the_session_goes_on) {
    rh_mode mode = _i == 0 ? RH_MODE_ASYNC : RH_MODE_BSP;
    save_a_job(JOB_BSP, SEED);
    serve(2, "ipc", "read-only = yes\n");
    c = join(mode, 0, 1);
    rh_table *t = NULL, *same = NULL;
    rh_table_spec spec = spec_1();
    ck_assert_ok(rh_table_open(c, "table-1", &spec, &t));
    ck_assert_ok(rh_table_find(c, "table-1", &same));
    /* both shards have some of these */
    uint64_t ids[8] = {0, 1, 2, 3, 4, 5, 6, 19999};
    float grads[16] = {1, 2, 3};
    struct rh_table_info was, is;
    ck_assert_ok(rh_table_info(t, &was));
    for (int i = 0; i < 3; i++) {
        ck_assert_refused(rh_push(t, ids, 8, grads), RH_EINVAL, READ_ONLY "PUSH is refused");
        same_rows(t, 1, ids, 8, false);
        ck_assert_ok(rh_tick(c));
        same_rows(t, 1, ids, 8, false);
    }
    ck_assert_refused(rh_write(t, ids, 8, grads), RH_EINVAL, READ_ONLY "WRITE is refused");
    ck_assert_refused(rh_freeze(t, 0, 5, 0), RH_EINVAL, READ_ONLY "FREEZE is refused");
    ck_assert_refused(rh_freeze_ids(t, ids, 8, 0), RH_EINVAL, READ_ONLY "FREEZE_IDS is refused");
    ck_assert_refused(rh_table_reset(t), RH_EINVAL, READ_ONLY "RESET is refused");
    ck_assert_refused(rh_table_init(t, rh_zeros(), 1, 1), RH_EINVAL, READ_ONLY "RESET is refused");
    ck_assert_refused(rh_copy(t, ids, same, ids + 4, 4), RH_EINVAL, READ_ONLY "WRITE is refused");
    ck_assert_ok(rh_tick(c));
    spec.seed++;
    ck_assert_refused(rh_table_open(c, "table-1", &spec, &same), RH_EMISMATCH, "seed");
    ck_assert_refused(rh_table_open(c, "new", &spec, &same), RH_EINVAL, "OPEN makes none");
    ck_assert_refused(rh_table_find(c, "new", &same), RH_ENOTFOUND, "new");
    ck_assert_ok(rh_barrier(c, 5000));
    same_rows(t, 1, ids, 8, true);
    ck_assert_ok(rh_table_info(t, &is));
    ck_assert_uint_eq(is.steps, was.steps);
    ck_assert_uint_eq(is.touched, was.touched);
    ck_assert_uint_eq(is.frozen, frozen_at(1, rh_clock(c)));
    ck_assert_refused(rh_table_drop(&t), RH_EINVAL, READ_ONLY "DROP is refused");
}
END_TEST

START_TEST(read_only_servers_show_observers_every_row_and_let_them_freeze_none) {
    save_a_job(JOB_ASYNC, SEED);
    serve(5, "ipc", "read-only = yes\n");
    observe();
    ck_assert_refused(rh_freeze(find(c, 1), 0, 5, 0), RH_EINVAL, READ_ONLY "FREEZE is refused");
    same_job();
}
END_TEST

/* Nothing is sent of a push to such a row. */
static bool stays(uint32_t number, uint64_t id) {
    struct table *t = table_of(number, id);
    ck_assert_int_eq(table_locate(t, (const uint8_t *)&id, 1), RH_OK);
    return id == t->spec.padding_idx || freeze_until(&t->freeze, t->rows[0], id) > rh_clock(c);
}

/* Many pushes in flight, each to one shard: all are refused, and nothing hangs. */
START_TEST(operations_in_flight_are_refused_one_by_one) {
    enum { N = 200 };
    save_a_job(JOB_ASYNC, SEED);
    serve(5, "ipc", "read-only = yes\n");
    c = join(RH_MODE_ASYNC, 0, 1);
    rh_table *t = find(c, 1);
    rh_op *op[N];
    float g[2] = {1, 1};
    for (uint64_t i = 0; i < N; i++)
        ck_assert_ok(rh_push_begin(t, &i, 1, g, &op[i]));
    for (uint64_t i = 0; i < N; i++)
        if (stays(1, i))
            ck_assert_ok(rh_wait(&op[i], 20000));
        else
            ck_assert_refused(rh_wait(&op[i], 20000), RH_EINVAL, "PUSH is refused");
    ck_assert_ok(rh_tick(c));
    uint64_t ids[N];
    for (uint64_t i = 0; i < N; i++)
        ids[i] = i;
    same_rows(t, 1, ids, N, false);
}
END_TEST

int main(void) {
    Suite *s = suite_create("restore");
    TCase *t = tcase_create("restore");
    tcase_add_checked_fixture(t, setup, teardown);
    tcase_set_timeout(t, 120);
    tcase_add_loop_test(t, three_files_are_the_same_rows_on_any_number_of_servers, 0, 8);
    tcase_add_test(t, shards_of_one_process_are_filled_as_well);
    tcase_add_test(t, steps_and_frozen_rows_are_those_of_the_checkpoint);
    tcase_add_test(t, under_bsp_a_restored_job_waits_for_all_its_workers);
    tcase_add_test(t, a_launchers_servers_live_until_the_workers_of_this_life_have_left);
    tcase_add_loop_test(t, a_job_goes_on_with_fewer_workers_and_with_more, 0, 2);
    tcase_add_test(t, servers_of_two_moments_are_no_job);
    tcase_add_loop_test(t, a_server_that_has_forgotten_to_restore_is_found, 0, 2);
    tcase_add_loop_test(t, read_only_servers_refuse_every_change_and_the_session_goes_on, 0, 2);
    tcase_add_test(t, read_only_servers_show_observers_every_row_and_let_them_freeze_none);
    tcase_add_test(t, operations_in_flight_are_refused_one_by_one);
    suite_add_tcase(s, t);
    return job_main(s);
}
