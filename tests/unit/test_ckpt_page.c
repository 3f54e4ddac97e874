/* test_ckpt_page.c - the file in hex of CHECKPOINT.md, section 5, is the one that the code makes; and the
 * checkpoints of the first version, kept in tests/golden/ckpt-v1, still load, to the same numbers. */
#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/err.h"
#include "ps/ckpt_folder.h"
#include "tests/support/ckpt_job.h"
#include "tests/support/ckpt_small.h"
#include "tests/support/memory_disk.h"
#include "tests/unit/suites.h"

enum { EXAMPLE_MAX = 4096 };

static const char *in_tree(const char *name, char path[1024]) {
    const char *root = getenv("RH_ROOT");
    snprintf(path, 1024, "%s/%s", root != NULL ? root : ".", name);
    return path;
}

/* The hex between the fences behind the heading of section 5; what follows ';' is for people. */
static size_t read_page(uint8_t out[EXAMPLE_MAX]) {
    char path[1024], line[512];
    FILE *f = fopen(in_tree("ps/CHECKPOINT.md", path), "r");
    ck_assert_msg(f != NULL, "%s is not there", path);
    bool section = false, inside = false;
    size_t len = 0;
    while (fgets(line, sizeof line, f) != NULL) {
        bool fence = strncmp(line, "```", 3) == 0;
        if (inside && fence)
            break;
        unsigned byte;
        int used;
        for (const char *at = line; inside && sscanf(at, " %2x%n", &byte, &used) == 1; at += used)
            out[len++ % EXAMPLE_MAX] = (uint8_t)byte;
        inside |= section && fence;
        section |= strncmp(line, "## 5.", 5) == 0;
    }
    fclose(f);
    return len;
}

START_TEST(the_page_has_the_bytes_that_the_code_makes) {
    uint8_t page[EXAMPLE_MAX];
    struct memory_disk d;
    memory_disk_init(&d);
    ck_assert_int_eq(ckpt_small_example(&d.io, "a"), RH_OK);
    const struct disk_node *f = memory_disk_find(&d, "a", "shard-00000-of-00001.rhs");
    size_t len = read_page(page);
    if (len != f->len || memcmp(page, f->bytes, len) != 0) {
        for (size_t i = 0; i < f->len; i++)
            printf("%02x%c", f->bytes[i], i % 32 == 31 || i + 1 == f->len ? '\n' : ' ');
        fflush(stdout);
        ck_abort_msg("CHECKPOINT.md, section 5, has other bytes than the code makes");
    }
    memory_disk_fini(&d);
}
END_TEST

/* What tests/golden/ckpt-v1 holds: make it with RH_CKPT_MAKE=DIR, once for each version of the format. */
static const struct golden {
    const char *name;
    uint32_t mode, shards;
    uint64_t digest;
} goldens[] = {{"bsp-3", JOB_BSP, 3, UINT64_C(1980493203789658755)},
               {"async-2", JOB_ASYNC, 2, UINT64_C(4089171208180357861)}};

static void make(const struct golden *g, const char *dir) {
    struct ckpt_job j;
    struct ckpt_io *io;
    ck_assert_int_eq(ckpt_io_beneath(dir, &io), RH_OK);
    ckpt_job_init(&j, g->mode, g->shards, 1);
    for (int i = 0; i < 6; i++)
        ckpt_job_step(&j);
    ck_assert_int_eq(ckpt_job_save(&j, io, g->name, 1), RH_OK);
    ckpt_job_fini(&j);
    ckpt_io_free(&io);
}

START_TEST(checkpoints_of_version_1_load_for_ever) {
    const struct golden *g = &goldens[_i];
    if (getenv("RH_CKPT_MAKE") != NULL)
        make(g, getenv("RH_CKPT_MAKE"));
    char path[1024];
    struct ckpt_io *io;
    ck_assert_int_eq(ckpt_io_beneath(in_tree("tests/golden/ckpt-v1", path), &io), RH_OK);
    for (uint32_t shards = 1; shards <= 4; shards++) {
        struct ckpt_job j;
        rh_status st = ckpt_job_restore(&j, io, g->name, shards);
        ck_assert_msg(st == RH_OK, "%s", err_text());
        ck_assert_uint_eq(ckpt_job_digest(&j), g->digest);
        ckpt_job_fini(&j);
    }
    ckpt_io_free(&io);
}
END_TEST

Suite *ckpt_page_suite(void) {
    Suite *s = suite_create("ckpt_page");
    TCase *t = tcase_create("page");
    tcase_set_timeout(t, 60);
    tcase_add_test(t, the_page_has_the_bytes_that_the_code_makes);
    tcase_add_loop_test(t, checkpoints_of_version_1_load_for_ever, 0, 2);
    suite_add_tcase(s, t);
    return s;
}
