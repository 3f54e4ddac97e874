/* test_protocol.c - the frames in hex of PROTOCOL.md, section 7, are those that the code makes, so
 * that the page cannot rot. */
#include <check.h>
#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/hash.h"
#include "proto/msg.h"
#include "tests/support/any_frame.h"
#include "tests/unit/suites.h"

enum { EXAMPLE_MAX = 256 };

static struct frame_pool *pool;

static void setup(void) {
    pool = frame_pool_new(0);
}

static void teardown(void) {
    frame_pool_free(&pool);
}

/* ---- the page ---- */

static FILE *page_open(void) {
    const char *root = getenv("RH_ROOT");
    char path[1024];
    snprintf(path, sizeof path, "%s/proto/PROTOCOL.md", root != NULL ? root : ".");
    FILE *f = fopen(path, "r");
    ck_assert_msg(f != NULL, "%s is not there: run in the root of the tree, or set RH_ROOT", path);
    return f;
}

/* Bytes as two hex digits each, up to a ';': what is behind it is for people. */
static size_t read_line(const char *line, uint8_t *out, size_t len) {
    unsigned byte;
    int used;
    while (sscanf(line, " %2x%n", &byte, &used) == 1) {
        ck_assert_uint_lt(len, EXAMPLE_MAX);
        out[len++] = (uint8_t)byte;
        line += used;
    }
    line += strspn(line, " \n");
    ck_assert_msg(*line == ';' || *line == 0, "not hex: %s", line);
    return len;
}

/* The fenced block behind the line that begins with heading. */
static size_t page_read(const char *heading, uint8_t out[EXAMPLE_MAX]) {
    char line[512];
    bool found = false, inside = false;
    size_t len = 0;
    FILE *f = page_open();
    while (fgets(line, sizeof line, f) != NULL) {
        bool fence = strncmp(line, "```", 3) == 0;
        if (inside && fence)
            break;
        if (inside)
            len = read_line(line, out, len);
        inside = inside || (found && fence);
        found = found || strncmp(line, heading, strlen(heading)) == 0;
    }
    fclose(f);
    ck_assert_msg(len > 0, "PROTOCOL.md has no hex under \"%s\"", heading);
    return len;
}

static void compare(const char *heading, const struct frame *f) {
    uint8_t page[EXAMPLE_MAX];
    size_t len = page_read(heading, page);
    if (len == f->len && memcmp(page, f->data, len) == 0)
        return;
    printf("the code's frame for \"%s\":\n", heading);
    for (size_t i = 0; i < f->len; i++)
        printf("%02x%c", f->data[i], i % 8 == 7 || i + 1 == f->len ? '\n' : ' ');
    ck_abort_msg("PROTOCOL.md: the frame under \"%s\" is not what the code makes", heading);
}

/* ---- the code ---- */

static struct frame *example_hello(void) {
    uint8_t room[64];
    struct buf b;
    buf_wrap(&b, room, sizeof room);
    msg_put_hello(&b, &(struct msg_hello){.shard = 0, .shards = 2, .mode = 1, .world = 2});
    struct head h = {.kind = WIRE_HELLO, .job = hash64("demo", 4), .worker = 1, .num = {0, 1, 0}};
    return msg_frame(pool, &h, &b);
}

static struct frame *example_push(void) {
    static const uint64_t ids[] = {6, 70000};
    static const float grads[] = {0.5f, -1.0f, 2.0f, 0.25f, 0.0f, -0.125f};
    uint8_t room[128], *at;
    struct buf b, part;
    buf_wrap(&b, room, sizeof room);
    uint8_t *digest = buf_grow(&b, 8);
    uint8_t *rows;
    struct msg_section s = {.table = 2, .count = 2, .lr = 0.5, .pushes = 4};
    msg_put_section(&b, WIRE_PUSH, &s, 3, &at, &rows);
    buf_wrap(&part, at, sizeof ids);
    for (size_t i = 0; i < 2; i++)
        buf_put_u64(&part, ids[i]);
    buf_wrap(&part, digest, 8);
    buf_put_u64(&part, msg_digest(0, s.table, s.count, at));
    buf_wrap(&part, rows, sizeof grads);
    for (size_t i = 0; i < 6; i++)
        buf_put_f32(&part, grads[i]);
    struct head h = {
        .kind = WIRE_PUSH,
        .job = hash64("demo", 4),
        .worker = 1,
        .worker_inc = 5,
        .server_inc = 77,
        .num = {3, 1, 0},
        .sections = 1,
        .prev = {2, WIRE_CALL_END, 0},
    };
    return msg_frame(pool, &h, &b);
}

START_TEST(the_hello_in_the_page_is_the_codes) {
    struct frame *f = example_hello();
    ck_assert_int_eq(any_frame_read(f->data, f->len), RH_OK);
    compare("### A HELLO", f);
    frame_unref(f);
}
END_TEST

START_TEST(the_push_in_the_page_is_the_codes) {
    struct frame *f = example_push();
    ck_assert_int_eq(any_frame_read(f->data, f->len), RH_OK);
    compare("### A PUSH", f);
    frame_unref(f);
}
END_TEST

Suite *protocol_suite(void) {
    Suite *suite = suite_create("protocol");
    TCase *tc = tcase_create("page");
    tcase_add_checked_fixture(tc, setup, teardown);
    tcase_add_test(tc, the_hello_in_the_page_is_the_codes);
    tcase_add_test(tc, the_push_in_the_page_is_the_codes);
    suite_add_tcase(suite, tc);
    return suite;
}
