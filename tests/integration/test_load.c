/*
 * test_load.c - files that the shards read themselves, over local:, ipc:// and tcp:// alike, with real
 * servers: the bits and the report are those of a client that streams the same file, a bad file
 * changes no row on any shard, and nobody waits for a reader without a deadline.
 */
#include <inttypes.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/rng.h"
#include "common/vecfile.h"
#include "tests/support/job.h"
#include "tests/support/lossy_net.h"
#include "tests/support/scratch.h"
#include "tests/support/seed.h"
#include "worker/connect.h"
#include "worker/local.h"

enum { DIM = 5, FILE_ROWS = 1000, TABLE_ROWS = 1200, SHARDS = 3 };

static struct job job;
static char here[4096]; /* the tests' folder, which is every server's --data-dir too */
static rh_client *c;

/* Servers first: they are found by a path that may be relative. */
static void begin_servers(int transport, uint32_t shards, const char *const *dirs) {
    const char *tmp = getenv("TMPDIR");
    memset(&job, 0, sizeof job);
    job.transport = transport;
    rh_config_init(&job.cfg);
    job.cfg.connect_timeout_ms = job.cfg.op_timeout_ms = 20000;
    job.cfg.local_shards = shards;
    job.cfg.servers = "local:";
    snprintf(here, sizeof here, "%s/rh-load-XXXXXX", tmp != NULL ? tmp : "/tmp");
    ck_assert_ptr_nonnull(mkdtemp(here));
    for (uint32_t i = 0; transport != JOB_LOCAL && i < shards; i++) {
        char flag[4200];
        snprintf(flag, sizeof flag, "--data-dir=%s/%s", here, dirs[i]);
        mkdir(flag + strlen("--data-dir="), 0700);
        servers_add(&job.servers, transport == JOB_TCP ? "tcp" : "ipc", NULL, i, shards, flag);
        job.cfg.servers = job.servers.list;
    }
    ck_assert_int_eq(chdir(here), 0);
}

static void begin(int transport, uint32_t shards) {
    static const char *const same[SERVERS_MAX] = {".", ".", ".", ".", ".", ".", ".", "."};
    begin_servers(transport, shards, same);
    c = job_connect(&job, 0);
}

static void end(void) {
    char command[4200];
    rh_close(c);
    job_stop(&job);
    ck_assert_int_eq(chdir("/"), 0);
    snprintf(command, sizeof command, "rm -rf '%s'", here);
    ck_assert_int_eq(system(command), 0);
}

static rh_load_options from_shards(const char *vocab) {
    return (rh_load_options){
        .size = sizeof(rh_load_options), .source = RH_SOURCE_SHARD, .vocab = vocab};
}

/* ---- files ---- */

static float number(uint64_t row, uint32_t d) {
    return (float)((row * 37 + d * 11) % 1009) / 7 - 50;
}

static void write_file(const char *name, enum vec_format format, uint64_t rows) {
    struct vec_writer *w;
    float row[DIM];
    char word[32];
    ck_assert_ok(vec_create(name, format, rows, DIM, &w));
    for (uint64_t i = 0; i < rows; i++) {
        snprintf(word, sizeof word, "w%" PRIu64, i);
        for (uint32_t d = 0; d < DIM; d++)
            row[d] = number(i, d);
        ck_assert_ok(vec_put(w, word, row));
    }
    ck_assert_ok(vec_commit(&w));
}

/* Doubles, most significant byte first, column by column. */
static void write_fortran(const char *name, uint64_t rows) {
    static const size_t start = 10, head_bytes = 128;
    FILE *f = fopen(name, "w");
    char head[128];
    memset(head, ' ', sizeof head);
    memcpy(head, "\x93NUMPY\x01\x00\x76\x00", start);
    int n = snprintf(head + start, sizeof head - start,
                     "{'descr': '>f8', 'fortran_order': True, 'shape': (%" PRIu64 ", %d), }", rows,
                     DIM);
    head[start + (size_t)n] = ' ';
    head[head_bytes - 1] = '\n';
    ck_assert_uint_eq(fwrite(head, 1, sizeof head, f), sizeof head);
    for (uint32_t d = 0; d < DIM; d++) {
        for (uint64_t i = 0; i < rows; i++) {
            double v = (double)number(i, d);
            uint64_t bits;
            memcpy(&bits, &v, sizeof bits);
            bits = __builtin_bswap64(bits);
            ck_assert_uint_eq(fwrite(&bits, sizeof bits, 1, f), 1);
        }
    }
    ck_assert_int_eq(fclose(f), 0);
}

static const struct {
    const char *name;
    enum vec_format format;
} files[] = {{"x.vec", VEC_W2V},      {"x.npy", VEC_NPY},   {"x.safetensors", VEC_SAFETENSORS},
             {"x.bin", VEC_W2V_BIN},  {"x.txt", VEC_GLOVE}, {"x.fasttext", VEC_FASTTEXT},
             {"fortran.npy", VEC_NPY}};
enum { FILES = sizeof files / sizeof *files };

static void write_all(void) {
    for (int i = 0; i < FILES - 1; i++)
        write_file(files[i].name, files[i].format, FILE_ROWS);
    write_fortran(files[FILES - 1].name, FILE_ROWS);
}

/* ---- the same as a client that streams ---- */

static void read_table(rh_table *t, float rows[TABLE_ROWS * DIM]) {
    static uint64_t ids[TABLE_ROWS];
    for (uint64_t i = 0; i < TABLE_ROWS; i++)
        ids[i] = i;
    ck_assert_ok(rh_read(t, ids, TABLE_ROWS, rows));
}

static void same_tables(rh_table *a, rh_table *b) {
    static float of_a[TABLE_ROWS * DIM], of_b[TABLE_ROWS * DIM];
    struct rh_table_info info_a, info_b;
    read_table(a, of_a);
    read_table(b, of_b);
    ck_assert_mem_eq(of_a, of_b, sizeof of_a);
    ck_assert_ok(rh_table_info(a, &info_a));
    ck_assert_ok(rh_table_info(b, &info_b));
    ck_assert_uint_eq(info_a.touched, info_b.touched);
}

static void same_reports(const rh_load_report *a, const rh_load_report *b) {
    ck_assert_uint_eq(a->matched, b->matched);
    ck_assert_uint_eq(a->missed, b->missed);
    ck_assert_int_eq(a->format, b->format);
    ck_assert_uint_eq(a->duplicated, b->duplicated);
    ck_assert_uint_eq(a->unused, b->unused);
    ck_assert_str_eq(a->about, b->about);
    ck_assert_str_eq(a->first_matched, b->first_matched);
    ck_assert_str_eq(a->first_missed, b->first_missed);
    ck_assert_str_eq(a->first_duplicated, b->first_duplicated);
}

/* Loads a file into a table of each kind. */
static void load_both(int i, const char *path, const char *vocab) {
    char name[32];
    rh_load_report streamed, read;
    rh_load_options o = {.size = sizeof o, .source = RH_SOURCE_CLIENT, .vocab = vocab};
    snprintf(name, sizeof name, "streamed%d", i);
    rh_table *a = job_table(c, name, TABLE_ROWS, DIM);
    snprintf(name, sizeof name, "read%d", i);
    rh_table *b = job_table(c, name, TABLE_ROWS, DIM);
    ck_assert_ok(rh_load(a, path, &o, &streamed));
    o.source = RH_SOURCE_SHARD;
    ck_assert_ok(rh_load(b, path, &o, &read));
    same_reports(&streamed, &read);
    same_tables(a, b);
}

START_TEST(every_format_has_the_bits_and_the_report_of_a_client_that_streams_it) {
    static float rows[TABLE_ROWS * DIM];
    rh_load_report report;
    begin(_i, SHARDS);
    write_all();
    for (int i = 0; i < FILES; i++) {
        load_both(i, files[i].name, NULL);
        rh_table *t = job_table(c, "t", TABLE_ROWS, DIM);
        rh_load_options o = from_shards(NULL);
        ck_assert_ok(rh_load(t, files[i].name, &o, &report));
        ck_assert_int_eq(report.format, (int)files[i].format);
        ck_assert_uint_eq(report.matched, FILE_ROWS);
        read_table(t, rows);
        for (uint32_t k = 0; k < TABLE_ROWS * DIM; k++)
            ck_assert_float_eq(rows[k], k < FILE_ROWS * DIM ? number(k / DIM, k % DIM) : 0);
    }
    end();
}
END_TEST

/* A word twice, words that nobody wants, words that are missing. */
static void write_words(void) {
    FILE *f = fopen("x.txt", "a");
    for (int i = 0; i < 7; i++)
        fprintf(f, "w%d 9 9 9 9 9\n", i);
    fclose(f);
    f = fopen("v.txt", "w");
    for (int i = 0; i < TABLE_ROWS; i++) /* every third row of the file, in another order */
        fprintf(f, "w%d\t%d\n", (TABLE_ROWS - 1 - i) * 3, i);
    fclose(f);
}

START_TEST(a_vocabulary_has_them_too) {
    begin(_i, SHARDS);
    write_all();
    write_words();
    load_both(0, "x.txt", "v.txt");
    load_both(1, "x.bin", "v.txt");
    load_both(2, "x.vec", "v.txt");
    rh_load_report report;
    rh_load_options o = from_shards("v.txt");
    rh_table *t = job_table(c, "t", TABLE_ROWS, DIM);
    ck_assert_ok(rh_load(t, "x.txt", &o, &report));
    ck_assert_uint_eq(report.matched, 334);
    ck_assert_uint_eq(report.missed, TABLE_ROWS - 334);
    ck_assert_uint_eq(report.duplicated, 3);
    ck_assert_str_eq(report.first_duplicated, "w0, w3, w6");
    end();
}
END_TEST

START_TEST(the_bits_are_the_same_on_1_2_3_and_7_shards) {
    static const uint32_t shards[] = {1, 2, 3, 7};
    static float want[TABLE_ROWS * DIM], rows[TABLE_ROWS * DIM];
    for (int i = 0; i < 4; i++) {
        begin(_i, shards[i]);
        write_all();
        write_words();
        rh_load_options o = from_shards("v.txt");
        rh_table *t = job_table(c, "t", TABLE_ROWS, DIM);
        ck_assert_ok(rh_load(t, "x.txt", &o, NULL));
        o.vocab = NULL;
        rh_table *u = job_table(c, "u", TABLE_ROWS, DIM);
        ck_assert_ok(rh_load(u, "fortran.npy", &o, NULL));
        read_table(u, rows);
        for (uint32_t k = 0; k < FILE_ROWS * DIM; k++)
            ck_assert_float_eq(rows[k], number(k / DIM, k % DIM));
        read_table(t, i == 0 ? want : rows);
        if (i > 0)
            ck_assert_mem_eq(want, rows, sizeof rows);
        end();
    }
}
END_TEST

START_TEST(a_tensor_is_chosen_by_name_and_an_empty_file_loads_no_row) {
    begin(_i, 2);
    static const char head[] = "{\"a\":{\"dtype\":\"F32\",\"shape\":[1,5],\"data_offsets\":[0,20]},"
                               "\"b\":{\"dtype\":\"F32\",\"shape\":[1,5],\"data_offsets\":[20,40]}"
                               "}";
    const uint64_t len = sizeof head - 1;
    const float both[10] = {1, 1, 1, 1, 1, 2, 2, 2, 2, 2};
    FILE *f = fopen("two.safetensors", "w");
    fwrite(&len, sizeof len, 1, f);
    fwrite(head, 1, len, f);
    fwrite(both, sizeof both, 1, f);
    fclose(f);
    rh_load_report report;
    rh_load_options o = from_shards(NULL);
    rh_table *t = job_table(c, "t", TABLE_ROWS, DIM);
    ck_assert_refused(rh_load(t, "two.safetensors", &o, &report), RH_EINVAL, "a, b");
    o.tensor = "b";
    ck_assert_ok(rh_load(t, "two.safetensors", &o, &report));
    uint64_t id = 0;
    float row[DIM];
    ck_assert_ok(rh_read(t, &id, 1, row));
    ck_assert_mem_eq(row, both + 5, sizeof row);
    write_file("none.npy", VEC_NPY, 0);
    o.tensor = NULL;
    ck_assert_ok(rh_load(t, "none.npy", &o, &report));
    ck_assert_uint_eq(report.matched, 0);
    ck_assert_uint_eq(report.missed, TABLE_ROWS);
    end();
}
END_TEST

/* ---- what is refused ---- */

static void assert_untouched(rh_table *t) {
    struct rh_table_info info;
    ck_assert_ok(rh_table_info(t, &info));
    ck_assert_uint_eq(info.touched, 0);
}

START_TEST(a_bad_file_changes_no_row_and_its_line_and_shard_are_named) {
    begin(_i, SHARDS);
    rh_table *t = job_table(c, "t", 3, 2);
    rh_load_options o = from_shards(NULL);
    scratch_text("bad.vec", "3 2\na 1 2\nb 3 4\nc 5 nan\n");
    ck_assert_refused(rh_load(t, "bad.vec", &o, NULL), RH_ECORRUPT,
                      ": bad.vec line 4: number 2 is NaN");
    ck_assert_ptr_nonnull(strstr(rh_errmsg(), "rh_load: shard "));
    ck_assert_ptr_nonnull(strstr(rh_errmsg(), _i == JOB_LOCAL ? "local:" : "://"));
    scratch_text("bad.vec", "3 2\na 1.00 2.00\nb 3.00 4.00\n");
    ck_assert_refused(rh_load(t, "bad.vec", &o, NULL), RH_ECORRUPT, "ends after 2 of the 3 rows");
    scratch_text("bad.vec", "2 3\na 1 2 3\nb 3 4 5\n");
    ck_assert_refused(rh_load(t, "bad.vec", &o, NULL), RH_EMISMATCH, "3 floats, table t of 2");
    scratch_text("bad.vec", "4 2\na 1 2\nb 3 4\nc 5 6\nd 7 8\n");
    ck_assert_refused(rh_load(t, "bad.vec", &o, NULL), RH_EMISMATCH, "4 rows");
    scratch_text("bad.vec", "\x80\x04 pickle");
    ck_assert_refused(rh_load(t, "bad.vec", &o, NULL), RH_EINVAL, "is a pickle");
    ck_assert_refused(rh_load(t, "no.vec", &o, NULL), RH_ENOTFOUND, "no.vec");
    scratch_text("good.vec", "2 2\na 1 2\nb 3 4\n");
    o.vocab = "v.txt";
    ck_assert_refused(rh_load(t, "good.vec", &o, NULL), RH_ENOTFOUND, "v.txt");
    scratch_text("v.txt", "a\na\n");
    ck_assert_refused(rh_load(t, "good.vec", &o, NULL), RH_ECORRUPT, "v.txt line 2");
    scratch_text("v.txt", "a\t3\n");
    ck_assert_refused(rh_load(t, "good.vec", &o, NULL), RH_ERANGE, "v.txt line 1: row 3");
    assert_untouched(t);
    o.vocab = NULL;
    ck_assert_ok(rh_load(t, "good.vec", &o, NULL)); /* the client is as good as before */
    end();
}
END_TEST

START_TEST(servers_open_only_what_lies_beneath_their_directory) {
    begin(_i, 2);
    char path[4200];
    rh_table *t = job_table(c, "t", 3, 2);
    rh_load_options o = from_shards(NULL);
    scratch_text("good.vec", "2 2\na 1 2\nb 3 4\n");
    snprintf(path, sizeof path, "%s/good.vec", here);
    ck_assert_refused(rh_load(t, path, &o, NULL), RH_EINVAL, "relative path");
    ck_assert_refused(rh_load(t, "../good.vec", &o, NULL), RH_EINVAL, "relative path");
    ck_assert_int_eq(symlink("/etc/passwd", "link"), 0);
    ck_assert_refused(rh_load(t, "link", &o, NULL), RH_EINVAL, "leads out");
    o.vocab = "link";
    ck_assert_refused(rh_load(t, "good.vec", &o, NULL), RH_EINVAL, "leads out");
    assert_untouched(t);
    end();
}
END_TEST

START_TEST(local_reads_any_path_of_its_process) {
    begin(JOB_LOCAL, 2);
    char path[4200];
    rh_table *t = job_table(c, "t", 3, 2);
    rh_load_options o = from_shards(NULL);
    scratch_text("good.vec", "2 2\na 1 2\nb 3 4\n");
    snprintf(path, sizeof path, "%s/../%s", here, strrchr(here, '/') + 1);
    strcat(path, "/good.vec");
    ck_assert_ok(rh_load(t, path, &o, NULL));
    end();
}
END_TEST

START_TEST(servers_without_a_directory_say_what_to_do) {
    job_start(&job, _i, 2);
    c = job_connect(&job, 0);
    rh_table *t = job_table(c, "t", 3, 2);
    rh_load_options o = from_shards(NULL);
    ck_assert_refused(rh_load(t, "x.vec", &o, NULL), RH_EINVAL, "--data-dir");
    ck_assert_ptr_nonnull(strstr(rh_errmsg(), "source = client"));
    assert_untouched(t);
    rh_close(c);
    job_stop(&job);
}
END_TEST

START_TEST(options_that_make_no_sense_are_refused) {
    begin(_i, 1);
    rh_table *t = job_table(c, "t", 3, 2);
    rh_load_options o = from_shards(NULL);
    char path[1100];
    memset(path, 'x', sizeof path - 1);
    path[sizeof path - 1] = '\0';
    ck_assert_refused(rh_load(t, path, &o, NULL), RH_EINVAL, "1099 bytes");
    ck_assert_refused(rh_load(t, "", &o, NULL), RH_EINVAL, "path");
    o.vocab = path;
    ck_assert_refused(rh_load(t, "x", &o, NULL), RH_EINVAL, "vocab");
    o.vocab = NULL;
    o.source = (rh_source)7;
    ck_assert_refused(rh_load(t, "x", &o, NULL), RH_EINVAL, "source is 7");
    o.source = RH_SOURCE_SHARD;
    o.format = (rh_format)77;
    scratch_text("x", "1 2\na 1 2\n");
    ck_assert_refused(rh_load(t, "x", &o, NULL), RH_EINVAL, "format of number 77");
    if (_i != JOB_LOCAL) {
        job.cfg.observer = 1;
        rh_client *looker = job_connect(&job, 0);
        rh_table *seen;
        o = from_shards(NULL);
        ck_assert_ok(rh_table_find(looker, "t", &seen));
        ck_assert_refused(rh_load(seen, "x", &o, NULL), RH_EINVAL, "observer");
        rh_close(looker);
    }
    end();
}
END_TEST

/* ---- hosts that have different files ---- */

static const char *const apart[] = {"a", "b", "c"};

START_TEST(different_files_on_different_hosts_are_emismatch_and_the_shards_are_named) {
    begin_servers(_i, 3, apart);
    c = job_connect(&job, 0);
    rh_table *t = job_table(c, "t", 5, 2);
    rh_load_options o = from_shards(NULL);
    scratch_text("a/x.vec", "2 2\nfoo 1 2\nbar 3 4\n");
    scratch_text("b/x.vec", "2 2\nfoo 1 2\nbar 3 4\n");
    scratch_text("c/x.vec", "2 2\nfoo 1 2\nbar 3 5\n");
    ck_assert_refused(rh_load(t, "x.vec", &o, NULL), RH_EMISMATCH, "x.vec");
    ck_assert_ptr_nonnull(strstr(rh_errmsg(), "shard 2 at "));
    ck_assert_ptr_nonnull(strstr(rh_errmsg(), job.servers.addresses[2]));
    ck_assert_ptr_null(strstr(rh_errmsg(), "shard 1 at "));
    scratch_text("c/x.vec", "2 2\nfoo 1 2\nbar 3 4\n");
    scratch_text("a/v.txt", "foo\nbar\n");
    scratch_text("b/v.txt", "bar\nfoo\n");
    scratch_text("c/v.txt", "foo\nbar\n");
    o.vocab = "v.txt";
    ck_assert_refused(rh_load(t, "x.vec", &o, NULL), RH_EMISMATCH, "v.txt");
    ck_assert_ptr_nonnull(strstr(rh_errmsg(), "shard 1 at "));
    assert_untouched(t);
    scratch_text("b/v.txt", "foo\nbar\n");
    ck_assert_ok(rh_load(t, "x.vec", &o, NULL));
    end();
}
END_TEST

START_TEST(a_file_that_is_bad_on_one_host_changes_no_row_on_any) {
    begin_servers(_i, 3, apart);
    c = job_connect(&job, 0);
    rh_table *t = job_table(c, "t", 5, 2);
    rh_load_options o = from_shards(NULL);
    scratch_text("a/x.vec", "2 2\nfoo 1 2\nbar 3 4\n");
    scratch_text("b/x.vec", "2 2\nfoo 1.00 2.00\nba");
    scratch_text("c/x.vec", "2 2\nfoo 1 2\nbar 3 4\n");
    ck_assert_refused(rh_load(t, "x.vec", &o, NULL), RH_ECORRUPT, "x.vec line 3");
    ck_assert_ptr_nonnull(strstr(rh_errmsg(), "shard 1 at "));
    ck_assert_int_eq(unlink("b/x.vec"), 0);
    ck_assert_refused(rh_load(t, "x.vec", &o, NULL), RH_ENOTFOUND, "shard 1 at ");
    assert_untouched(t);
    end();
}
END_TEST

/* ---- freezing, clocks ---- */

START_TEST(a_table_is_frozen_by_its_load_if_that_is_asked_for) {
    begin(_i, 2);
    scratch_text("x.vec", "2 2\na 1 2\nb 3 4\n");
    const uint64_t id = 1;
    const float grad[2] = {1, 1};
    for (int source = RH_SOURCE_AUTO; source <= RH_SOURCE_SHARD; source++) {
        for (uint32_t freeze = 0; freeze < 2; freeze++) {
            char name[16];
            float row[2];
            struct rh_table_info info;
            snprintf(name, sizeof name, "t%d%u", source, freeze);
            rh_table *t = job_table(c, name, 5, 2);
            rh_load_options o = {.size = sizeof o, .source = (rh_source)source, .freeze = freeze};
            ck_assert_ok(rh_load(t, "x.vec", &o, NULL));
            ck_assert_ok(rh_push(t, &id, 1, grad));
            ck_assert_ok(rh_pull(t, &id, 1, row));
            ck_assert_float_eq(row[0], freeze ? 3 : 2);
            ck_assert_ok(rh_table_info(t, &info));
            ck_assert_uint_eq(info.frozen, freeze ? 5 : 0);
            o.freeze = 1;
            ck_assert_int_eq(rh_load(t, "none.vec", &o, NULL), RH_ENOTFOUND);
            ck_assert_ok(rh_table_info(t, &info)); /* only after a load that succeeded */
            ck_assert_uint_eq(info.frozen, freeze ? 5 : 0);
        }
    }
    end();
}
END_TEST

START_TEST(under_bsp_rows_come_when_the_clock_closes_and_before_its_pushes) {
    static const char *const same[] = {".", "."};
    begin_servers(_i, 2, same);
    job.cfg.mode = RH_MODE_BSP;
    c = job_connect(&job, 0);
    scratch_text("x.vec", "3 2\na 1 2\nb 3 4\nc 5 6\n");
    rh_table *t = job_table(c, "t", 5, 2);
    rh_load_options o = from_shards(NULL);
    rh_load_report report;
    const uint64_t ids[] = {0, 1, 2};
    const float ones[6] = {1, 1, 1, 1, 1, 1};
    float rows[6];
    ck_assert_ok(rh_push(t, ids, 3, ones));
    ck_assert_ok(rh_load(t, "x.vec", &o, &report));
    ck_assert_uint_eq(report.matched, 3);
    ck_assert_ok(rh_pull(t, ids, 3, rows));
    ck_assert_float_eq(rows[5], 0);
    ck_assert_ok(rh_tick(c));
    ck_assert_ok(rh_pull(t, ids, 3, rows));
    for (int i = 0; i < 6; i++)
        ck_assert_float_eq(rows[i], (float)i);
    end();
}
END_TEST

/* ---- several at once ---- */

static void write_large(uint64_t rows) {
    FILE *f = fopen("large.txt", "w");
    for (uint64_t i = 0; i < rows; i++) {
        fprintf(f, "w%" PRIu64, i);
        for (uint32_t d = 0; d < DIM; d++)
            fprintf(f, " %.6f", (double)number(i, d));
        fputc('\n', f);
    }
    ck_assert_int_eq(fclose(f), 0);
}

static atomic_int loading;

static void *load_large(void *table) {
    rh_load_options o = from_shards(NULL);
    rh_load_report report;
    ck_assert_ok(rh_load(table, "large.txt", &o, &report));
    atomic_fetch_sub(&loading, 1);
    return NULL;
}

/* A large file: a dozen slices. */
START_TEST(others_are_heard_while_a_shard_reads) {
    enum { ROWS = 400000 };
    static const char *const same[] = {"."};
    begin_servers(_i, 1, same);
    job.cfg.world = 2;
    c = job_connect(&job, 0);
    rh_client *other = job_connect(&job, 1);
    write_large(ROWS);
    rh_table *t = job_table(c, "t", ROWS, DIM), *u = job_table(other, "u", 100, 2);
    pthread_t thread;
    const uint64_t id = 7;
    float row[2];
    int64_t longest_ms = 0;
    int pulls = 0;
    atomic_store(&loading, 1);
    ck_assert_int_eq(pthread_create(&thread, NULL, load_large, t), 0);
    while (atomic_load(&loading) > 0) {
        int64_t start_ms = job_now_ms();
        ck_assert_ok(rh_pull(u, &id, 1, row));
        int64_t took_ms = job_now_ms() - start_ms;
        longest_ms = took_ms > longest_ms ? took_ms : longest_ms;
        pulls++;
    }
    ck_assert_int_eq(pthread_join(thread, NULL), 0);
    printf("%d pulls meanwhile, the longest of %" PRId64 " ms\n", pulls, longest_ms);
    ck_assert_int_ge(pulls, 5);
    ck_assert_int_lt(longest_ms, 4000);
    rh_close(other);
    end();
}
END_TEST

START_TEST(threads_of_one_client_take_turns) {
    enum { ROWS = 50000, THREADS = 4 };
    begin(_i, 2);
    write_large(ROWS);
    pthread_t threads[THREADS];
    atomic_store(&loading, THREADS);
    for (int i = 0; i < THREADS; i++) {
        char name[16];
        snprintf(name, sizeof name, "t%d", i);
        rh_table *t = job_table(c, name, ROWS, DIM);
        ck_assert_int_eq(pthread_create(&threads[i], NULL, load_large, t), 0);
    }
    for (int i = 0; i < THREADS; i++)
        ck_assert_int_eq(pthread_join(threads[i], NULL), 0);
    for (int i = 0; i < THREADS; i++) {
        char name[16];
        struct rh_table_info info;
        snprintf(name, sizeof name, "t%d", i);
        ck_assert_ok(rh_table_info(job_table(c, name, ROWS, DIM), &info));
        ck_assert_uint_eq(info.touched, ROWS);
    }
    end();
}
END_TEST

/* ---- servers that die, nets that lose ---- */

static void *kill_stopped(void *unused) {
    (void)unused;
    usleep(300000);
    servers_signal(&job.servers, 1, SIGKILL);
    return NULL;
}

START_TEST(a_server_that_dies_in_a_load_is_named_by_the_deadline) {
    begin(_i, 2);
    rh_close(c);
    job.cfg.op_timeout_ms = 900;
    c = job_connect(&job, 0);
    write_file("x.vec", VEC_W2V, FILE_ROWS);
    rh_table *t = job_table(c, "t", TABLE_ROWS, DIM);
    rh_load_options o = from_shards(NULL);
    pthread_t thread;
    servers_signal(&job.servers, 1, SIGSTOP); /* so that the load cannot be over before */
    ck_assert_int_eq(pthread_create(&thread, NULL, kill_stopped, NULL), 0);
    int64_t start_ms = job_now_ms();
    ck_assert_refused(rh_load(t, "x.vec", &o, NULL), RH_ETIMEDOUT, job.servers.addresses[1]);
    ck_assert_int_lt(job_now_ms() - start_ms, 900 + 2000);
    ck_assert_ptr_nonnull(strstr(rh_errmsg(), "bytes were read"));
    ck_assert_int_eq(pthread_join(thread, NULL), 0);
    end();
}
END_TEST

static int64_t time_now(void *arg) {
    return *(int64_t *)arg;
}

static void time_pause(void *arg, int64_t until_ms) {
    int64_t *now_ms = arg;
    if (until_ms > *now_ms)
        *now_ms = until_ms;
}

START_TEST(a_load_is_exact_over_a_net_that_loses_doubles_and_reorders) {
    uint64_t seed = test_seed("load");
    begin(JOB_LOCAL, 1);
    rh_close(c);
    write_large(100000);
    for (uint64_t i = 0; i < 10; i++) {
        int64_t now_ms = 0;
        struct roster r;
        struct net *local;
        rh_config cfg = job.cfg;
        cfg.job = "lossy";
        cfg.local_shards = 1 + (uint32_t)i % 4;
        cfg.mode = i % 2 ? RH_MODE_BSP : RH_MODE_ASYNC;
        cfg.connect_timeout_ms = cfg.op_timeout_ms = 10 * 60 * 1000;
        ck_assert_ok(local_open(&cfg, &r, &local));
        struct net *lossy = lossy_net_new(
            local, &(struct lossy_config){.seed = seed + i, .lost = 10, .doubled = 20, .late = 20});
        struct client_time time = {time_now, time_pause, &now_ms};
        ck_assert_ok(connect_over(&cfg, lossy, &r, &time, &c));
        rh_load_options o = from_shards(NULL);
        rh_load_report report;
        for (int k = 0; k < 3; k++) {
            char name[16];
            float row[DIM];
            const uint64_t id = 54321;
            snprintf(name, sizeof name, "t%d", k);
            rh_table *t = job_table(c, name, 100000, DIM);
            ck_assert_int_eq(rh_load(t, "none.txt", &o, &report), RH_ENOTFOUND);
            ck_assert_ok(rh_load(t, "large.txt", &o, &report));
            ck_assert_uint_eq(report.matched, 100000);
            ck_assert_ok(rh_tick(c));
            ck_assert_ok(rh_pull(t, &id, 1, row));
            for (uint32_t d = 0; d < DIM; d++)
                ck_assert_float_eq_tol(row[d], number(id, d), 1e-6f);
            struct rh_table_info info;
            ck_assert_ok(rh_table_info(t, &info));
            ck_assert_uint_eq(info.touched, 100000);
        }
        rh_close(c);
    }
    c = NULL;
    end();
}
END_TEST

int main(void) {
    signal(SIGPIPE, SIG_IGN);
    Suite *s = suite_create("load");
    TCase *t = tcase_create("load");
    tcase_set_timeout(t, 60);
#define OVER_ALL(test)     tcase_add_loop_test(t, test, 0, JOB_TRANSPORTS)
#define OVER_SOCKETS(test) tcase_add_loop_test(t, test, JOB_IPC, JOB_TCP + 1)
    OVER_ALL(every_format_has_the_bits_and_the_report_of_a_client_that_streams_it);
    OVER_ALL(a_vocabulary_has_them_too);
    OVER_ALL(the_bits_are_the_same_on_1_2_3_and_7_shards);
    OVER_ALL(a_tensor_is_chosen_by_name_and_an_empty_file_loads_no_row);
    OVER_ALL(a_bad_file_changes_no_row_and_its_line_and_shard_are_named);
    OVER_SOCKETS(servers_open_only_what_lies_beneath_their_directory);
    tcase_add_test(t, local_reads_any_path_of_its_process);
    OVER_SOCKETS(servers_without_a_directory_say_what_to_do);
    OVER_ALL(options_that_make_no_sense_are_refused);
    OVER_SOCKETS(different_files_on_different_hosts_are_emismatch_and_the_shards_are_named);
    OVER_SOCKETS(a_file_that_is_bad_on_one_host_changes_no_row_on_any);
    OVER_ALL(a_table_is_frozen_by_its_load_if_that_is_asked_for);
    OVER_ALL(under_bsp_rows_come_when_the_clock_closes_and_before_its_pushes);
    OVER_SOCKETS(others_are_heard_while_a_shard_reads);
    OVER_ALL(threads_of_one_client_take_turns);
    OVER_SOCKETS(a_server_that_dies_in_a_load_is_named_by_the_deadline);
    tcase_add_test(t, a_load_is_exact_over_a_net_that_loses_doubles_and_reorders);
#undef OVER_ALL
#undef OVER_SOCKETS
    suite_add_tcase(s, t);
    return job_main(s);
}
