/* test_ckpt_damage.c - every bit and every length of a small checkpoint: damage is found, or is none;
 * and the parts that stand alone: names, base64, manifests of any content. */
#include <check.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "common/err.h"
#include "common/hash.h"
#include "ps/ckpt_base64.h"
#include "ps/ckpt_folder.h"
#include "tests/support/ckpt_job.h"
#include "tests/support/ckpt_small.h"
#include "tests/support/memory_disk.h"
#include "tests/support/mutate.h"
#include "tests/support/seed.h"
#include "tests/unit/suites.h"

static struct memory_disk disk;
static uint64_t whole; /* the digest of what was written */

static void setup(void) {
    memory_disk_init(&disk);
    whole = ckpt_small_digest();
    ck_assert_int_eq(ckpt_small_write(&disk.io, "a"), RH_OK);
}

static void teardown(void) {
    ck_assert_uint_eq(memory_disk_open_files(&disk), 0);
    memory_disk_fini(&disk);
}

static struct disk_node *file(const char *name) {
    struct disk_node *f = memory_disk_find(&disk, "a", name);
    ck_assert_ptr_nonnull(f);
    return f;
}

/* RH_OK: it reads as what was written. */
static rh_status look(void) {
    uint64_t digest = 0;
    rh_status st = ckpt_small_read(&disk.io, "a", &digest);
    ck_assert_msg(st != RH_OK || digest == whole, "it reads, and as something else");
    ck_assert_msg(st == RH_OK || st == RH_ECORRUPT || st == RH_EVERSION, "%s: %s", status_text(st),
                  err_text());
    ck_assert(st == RH_OK || strstr(err_text(), "DIR/a/") != NULL);
    return st;
}

static const char *const files[] = {"MANIFEST.json", "shard-00000-of-00001.rhs"};

START_TEST(every_flip_of_a_bit_is_found) {
    struct disk_node *f = file(files[_i]);
    ck_assert_int_eq(look(), RH_OK);
    for (size_t bit = 0; bit < f->len * 8; bit++) {
        f->bytes[bit / 8] ^= (uint8_t)(1u << bit % 8);
        ck_assert_msg(look() != RH_OK, "bit %zu of byte %zu of %s is not missed", bit % 8, bit / 8,
                      files[_i]);
        f->bytes[bit / 8] ^= (uint8_t)(1u << bit % 8);
    }
    ck_assert_int_eq(look(), RH_OK);
}
END_TEST

START_TEST(every_length_but_its_own_is_found) {
    struct disk_node *f = file(files[_i]);
    size_t len = f->len;
    for (f->len = 0; f->len < len; f->len++)
        ck_assert_int_ne(look(), RH_OK);
    ck_assert_int_eq(look(), RH_OK);
    f->bytes = realloc(f->bytes, len + 1);
    f->bytes[f->len++] = 0;
    ck_assert_int_ne(look(), RH_OK);
}
END_TEST

/* Bytes of any damage under sums that are right: whatever they say, nothing breaks. */
START_TEST(any_bytes_under_right_sums_are_read_or_refused) {
    struct rng g;
    rng_init(&g, test_seed("ckpt damage"), 0);
    uint32_t good = 0, bad = 0;
    for (int k = 0; k < 20000; k++) {
        const char *name = files[k % 2];
        struct disk_node *f = file(name), was = *f;
        f->bytes = mutate_any(&g, was.bytes, was.len, &f->len);
        uint8_t *mutant = f->bytes;
        f->bytes = malloc(f->len + 1);
        memcpy(f->bytes, mutant, f->len);
        mutate_free(mutant);
        uint64_t digest;
        ckpt_small_reseal(&disk, "a");
        rh_status st = ckpt_small_read(&disk.io, "a", &digest);
        good += st == RH_OK;
        bad += st != RH_OK;
        free(f->bytes);
        *f = was;
        ckpt_small_reseal(&disk, "a");
    }
    ck_assert_uint_gt(good, 10); /* a changed float is a float */
    ck_assert_uint_gt(bad, 1000);
    ck_assert_int_eq(look(), RH_OK);
}
END_TEST

START_TEST(a_file_of_another_checkpoint_is_refused_by_name) {
    ck_assert_int_eq(ckpt_small_write(&disk.io, "b"), RH_OK); /* generation 2 */
    const struct disk_node *other = memory_disk_find(&disk, "b", files[1]);
    struct disk_node *f = file(files[1]);
    ck_assert_uint_eq(f->len, other->len);
    memcpy(f->bytes, other->bytes, f->len);
    ck_assert_int_eq(look(), RH_ECORRUPT);
    ck_assert_ptr_nonnull(strstr(err_text(), "DIR/a/shard-00000-of-00001.rhs is of another "
                                             "checkpoint: shard 0 of 1, generation 2"));
}
END_TEST

/* Every block of it is right, and so is the manifest's own sum. */
START_TEST(a_file_with_another_sum_than_the_manifest_says_is_refused) {
    static const char member[] = "\"xxh3_128\": \"";
    struct disk_node *m = file("MANIFEST.json");
    char sum[HASH128_TEXT];
    uint8_t *digit = memmem(m->bytes + 48, m->len - 48, member, strlen(member));
    ck_assert_ptr_nonnull(digit);
    digit += strlen(member);
    *digit = *digit == '0' ? '1' : '0';
    hash128_text(hash128(m->bytes + 48, m->len - 48), sum);
    memcpy(m->bytes + 13, sum, 32);
    ck_assert_int_eq(look(), RH_ECORRUPT);
    ck_assert_str_eq(err_text(),
                     "DIR/a/shard-00000-of-00001.rhs is damaged: its XXH3-128 is not what "
                     "the manifest says");
}
END_TEST

/* ---- parts ---- */

START_TEST(names_are_names_and_never_paths) {
    static const char *const good[] = {"a", "-", "_x", "step-100.v2", "A.", "latest"};
    static const char *const bad[] = {"",   ".",   "..",  ".a",       "a/b",
                                      "/a", "a b", "a\n", "\xc3\xa9", "~"};
    char longest[CKPT_NAME_MAX + 2];
    for (size_t i = 0; i < sizeof good / sizeof *good; i++)
        ck_assert_int_eq(ckpt_check_name(good[i]), RH_OK);
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
        ck_assert_int_eq(ckpt_check_name(bad[i]), RH_EINVAL);
    memset(longest, 'x', sizeof longest);
    longest[CKPT_NAME_MAX + 1] = '\0';
    ck_assert_int_eq(ckpt_check_name(longest), RH_EINVAL);
    longest[CKPT_NAME_MAX] = '\0';
    ck_assert_int_eq(ckpt_check_name(longest), RH_OK);
}
END_TEST

START_TEST(base64_is_that_of_the_rfc) {
    static const char *const texts[] = {"",         "Zg==",     "Zm8=",    "Zm9v",
                                        "Zm9vYg==", "Zm9vYmE=", "Zm9vYmFy"};
    static const char *const bad[] = {
        "Z", "Zg", "Zg=", "Zh==", "Zm9=", "====", "Zg==Zg==", "Zm9v\n"};
    uint8_t out[16];
    for (size_t n = 0; n < 7; n++) {
        char *text = base64_text((const uint8_t *)"foobar", n);
        ck_assert_str_eq(text, texts[n]);
        ck_assert_int_eq(base64_bytes(text, strlen(text), out), (int64_t)n);
        ck_assert_mem_eq(out, "foobar", n);
        free(text);
    }
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
        ck_assert_int_eq(base64_bytes(bad[i], strlen(bad[i]), out), -1);
}
END_TEST

START_TEST(a_manifest_comes_back_as_it_was) {
    uint8_t cursor[300];
    for (size_t i = 0; i < sizeof cursor; i++)
        cursor[i] = (uint8_t)(i * 7);
    struct ckpt_count counts[] = {{1, 3, 0}, {2, UINT64_MAX, 5}};
    struct ckpt_worker w = {.rank = 3,
                            .incarnation = UINT32_MAX,
                            .clock = UINT64_MAX,
                            .taken = 9,
                            .left = true,
                            .floor = {7, UINT32_MAX, 65535},
                            .counts = counts,
                            .n_counts = 2,
                            .cursor = cursor,
                            .cursor_len = sizeof cursor};
    struct ckpt_table t[] = {{.number = 1, .name = "a", .dropped_by = 4},
                             {.number = 2, .name = "b.c-d_E", .dropped_by = CKPT_NOT_DROPPED}};
    t[1].spec = ckpt_small_spec();
    t[1].spec.seed = UINT64_MAX;
    t[1].spec.lr = 0.1;
    t[1].spec.padding_idx = 1;
    t[1].spec.max_norm = 1.0 / 3;
    t[1].spec.norm_type = INFINITY;
    t[1].steps = UINT64_MAX;
    t[1].renewed = UINT64_C(1) << 63;
    t[0].spec = ckpt_small_spec();
    struct ckpt_file f = {
        .name = "shard-00000-of-00001.rhs", .bytes = UINT64_MAX, .rows = 5, .sum = {1, UINT64_MAX}};
    struct ckpt_manifest m = {.job = UINT64_MAX,
                              .generation = 12,
                              .saved_unix_ms = 13,
                              .clock = 14,
                              .mode = JOB_BSP,
                              .world = 5,
                              .shards = 1,
                              .tables = t,
                              .n_tables = 2,
                              .workers = &w,
                              .n_workers = 1,
                              .files = &f};
    struct buf a, b;
    struct ckpt_manifest back;
    buf_init(&a, CKPT_MANIFEST_MAX + 1);
    buf_init(&b, CKPT_MANIFEST_MAX + 1);
    ck_assert_int_eq(ckpt_manifest_put(&m, &a), RH_OK);
    ck_assert_int_eq(ckpt_manifest_get(a.p, a.len, "it", &back), RH_OK);
    struct hash128 knew, knows;
    ck_assert_int_eq(ckpt_manifest_agreed(&m, &knew), RH_OK);
    ck_assert_int_eq(ckpt_manifest_agreed(&back, &knows), RH_OK);
    ck_assert_mem_eq(&knew, &knows, sizeof knew);
    ck_assert_uint_eq(back.workers[0].cursor_len, sizeof cursor);
    ck_assert_mem_eq(back.workers[0].cursor, cursor, sizeof cursor);
    ck_assert_uint_eq(back.workers[0].floor.part, 65535);
    ck_assert_uint_eq(back.files[0].bytes, UINT64_MAX);
    ck_assert_ptr_null(ckpt_manifest_table(&back, 1));
    ck_assert_ptr_nonnull(ckpt_manifest_table(&back, 2));
    ck_assert_ptr_null(ckpt_manifest_table(&back, 3));
    ck_assert_int_eq(ckpt_manifest_put(&back, &b), RH_OK);
    ck_assert_uint_eq(a.len, b.len);
    ck_assert_mem_eq(a.p, b.p, a.len);
    ckpt_manifest_fini(&back);
    buf_fini(&a);
    buf_fini(&b);
}
END_TEST

Suite *ckpt_damage_suite(void) {
    Suite *s = suite_create("ckpt_damage");
    TCase *t = tcase_create("damage");
    tcase_add_checked_fixture(t, setup, teardown);
    tcase_set_timeout(t, 60);
    tcase_add_loop_test(t, every_flip_of_a_bit_is_found, 0, 2);
    tcase_add_loop_test(t, every_length_but_its_own_is_found, 0, 2);
    tcase_add_test(t, any_bytes_under_right_sums_are_read_or_refused);
    tcase_add_test(t, a_file_of_another_checkpoint_is_refused_by_name);
    tcase_add_test(t, a_file_with_another_sum_than_the_manifest_says_is_refused);
    tcase_add_test(t, names_are_names_and_never_paths);
    tcase_add_test(t, base64_is_that_of_the_rfc);
    tcase_add_test(t, a_manifest_comes_back_as_it_was);
    suite_add_tcase(s, t);
    return s;
}
