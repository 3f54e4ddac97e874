/* test_wire.c - the header says what it was given, and what makes no sense is refused with the
 * reason. Damage of every sort is test_hostile.c's. */
#include <check.h>
#include <string.h>

#include "common/buf.h"
#include "common/err.h"
#include "common/hash.h"
#include "proto/wire.h"
#include "tests/support/any_frame.h"
#include "tests/unit/suites.h"

static struct head push(void) {
    return (struct head){
        .version = WIRE_VERSION,
        .kind = WIRE_PUSH,
        .flags = WIRE_NOSUM,
        .job = UINT64_C(0x0102030405060708),
        .worker = 9,
        .worker_inc = 10,
        .server_inc = 11,
        .num = {12, 13, 14},
        .sections = 15,
        .prev = {16, 17, 18},
        .body_len = 5,
    };
}

static void says(const char *words) {
    ck_assert_msg(strstr(err_text(), words) != NULL, "\"%s\" does not say \"%s\"", err_text(),
                  words);
}

START_TEST(a_header_comes_back_from_any_address) {
    for (size_t odd = 0; odd < 8; odd++) {
        uint8_t room[WIRE_HEAD + 5 + 8] = {0};
        uint8_t *frame = room + odd;
        struct head in = push(), out;
        wire_seal(frame, &in);
        ck_assert_int_eq(wire_open(frame, WIRE_HEAD + 5, &out), RH_OK);
        ck_assert_uint_eq(out.version, WIRE_VERSION);
        ck_assert_uint_eq(out.kind, in.kind);
        ck_assert_uint_eq(out.flags, in.flags);
        ck_assert_uint_eq(out.job, in.job);
        ck_assert_uint_eq(out.worker, in.worker);
        ck_assert_uint_eq(out.worker_inc, in.worker_inc);
        ck_assert_uint_eq(out.server_inc, in.server_inc);
        ck_assert_int_eq(opnum_cmp(out.num, in.num), 0);
        ck_assert_uint_eq(out.sections, in.sections);
        ck_assert_int_eq(opnum_cmp(out.prev, in.prev), 0);
        ck_assert_uint_eq(out.status, 0);
        ck_assert_uint_eq(out.body_len, in.body_len);
    }
}
END_TEST

START_TEST(another_version_is_eversion_whatever_follows) {
    uint8_t frame[WIRE_HEAD] = {'R', 'H', 'W', '1', 7, WIRE_HELLO, 0xff, 0xff, 0xff};
    struct head h = push();
    ck_assert_int_eq(wire_open(frame, sizeof frame, &h), RH_EVERSION);
    ck_assert_uint_eq(h.version, 7);
    ck_assert_uint_eq(h.kind, WIRE_HELLO);
    ck_assert_uint_eq(h.job, 0);
    ck_assert_uint_eq(h.worker, 0);
    says("version 7");
}
END_TEST

START_TEST(what_is_not_ours_is_eproto) {
    uint8_t frame[WIRE_HEAD] = "GET / HTTP/1.1\r\n";
    struct head h;
    ck_assert_int_eq(wire_open(frame, sizeof frame, &h), RH_EPROTO);
    says("not rowhouse's");
}
END_TEST

/* A header with one byte changed, under a right sum. */
static rh_status opened(size_t at, uint8_t value) {
    uint8_t frame[WIRE_HEAD + 5] = {0};
    struct head h = push();
    wire_seal(frame, &h);
    frame[at] = value;
    struct buf sum;
    buf_wrap(&sum, frame + 60, 4);
    buf_put_u32(&sum, hash32(frame, 60));
    return wire_open(frame, sizeof frame, &h);
}

START_TEST(a_sum_does_not_excuse_a_header_that_makes_no_sense) {
    ck_assert_int_eq(opened(5, 0), RH_EPROTO);
    says("kind 0");
    ck_assert_int_eq(opened(5, WIRE_REQUESTS_END), RH_EPROTO);
    ck_assert_int_eq(opened(5, WIRE_ANSWERS_END), RH_EPROTO);
    ck_assert_int_eq(opened(5, 255), RH_EPROTO);
    ck_assert_int_eq(opened(5, WIRE_HELLO), RH_EPROTO);
    says("HELLO with 15 sections");
    ck_assert_int_eq(opened(6, WIRE_RAW), RH_EPROTO);
    says("PUSH with flags 0x2");
    ck_assert_int_eq(opened(6, 0x10), RH_EPROTO);
    ck_assert_int_eq(opened(7, 0x80), RH_EPROTO);
    ck_assert_int_eq(opened(39, 0x04), RH_EPROTO); /* 1024 + 15 */
    says("1039 sections");
    ck_assert_int_eq(opened(50, RH_EIO), RH_EPROTO);
    says("PUSH with status 14");
    ck_assert_int_eq(opened(51, 1), RH_EPROTO);
    ck_assert_int_eq(opened(52, 4), RH_EPROTO);
    says("has 4 bytes; 5 came");
    ck_assert_int_eq(opened(52, 6), RH_EPROTO);
    ck_assert_int_eq(opened(55, 0xff), RH_EPROTO);
    says("more than");
    ck_assert_int_eq(opened(40, 1), RH_OK);
}
END_TEST

START_TEST(a_refusal_needs_a_status_that_there_is) {
    uint8_t frame[WIRE_HEAD];
    struct head h = {.kind = WIRE_REFUSE, .status = RH_EFENCED};
    wire_seal(frame, &h);
    ck_assert_int_eq(wire_open(frame, sizeof frame, &h), RH_OK);
    ck_assert_uint_eq(h.status, RH_EFENCED);
    frame[50] = RH_OK;
    any_frame_reseal(frame, sizeof frame);
    ck_assert_int_eq(wire_open(frame, sizeof frame, &h), RH_EPROTO);
    frame[50] = 99;
    any_frame_reseal(frame, sizeof frame);
    ck_assert_int_eq(wire_open(frame, sizeof frame, &h), RH_EPROTO);
}
END_TEST

START_TEST(a_frame_without_body_sum_says_zero_there) {
    uint8_t frame[WIRE_HEAD + 5] = {0};
    struct head h = push();
    wire_seal(frame, &h);
    ck_assert_mem_eq(frame + 56, "\0\0\0\0", 4);
    frame[WIRE_HEAD] = 1; /* not summed, so not seen */
    ck_assert_int_eq(wire_open(frame, sizeof frame, &h), RH_OK);
    h.flags = 0;
    wire_seal(frame, &h);
    frame[WIRE_HEAD] = 2;
    ck_assert_int_eq(wire_open(frame, sizeof frame, &h), RH_EPROTO);
    says("body's sum");
}
END_TEST

START_TEST(op_numbers_are_ordered_by_clock_call_part) {
    static const struct opnum rising[] = {
        {0, 0, 0}, {0, 0, 1}, {0, 1, 0}, {0, WIRE_CALL_END, 65535}, {1, 0, 0}, {UINT32_MAX, 0, 0}};
    int n = sizeof rising / sizeof *rising;
    for (int i = 0; i < n; i++)
        for (int j = 0; j < n; j++)
            ck_assert_int_eq(opnum_cmp(rising[i], rising[j]), (i > j) - (i < j));
}
END_TEST

START_TEST(ops_are_the_kinds_that_change_state) {
    static const uint8_t ops[] = {WIRE_OPEN,       WIRE_PUSH, WIRE_WRITE, WIRE_FREEZE,
                                  WIRE_FREEZE_IDS, WIRE_TICK, WIRE_BYE,   WIRE_RESET,
                                  WIRE_DROP,       WIRE_LOAD, WIRE_MARK,  WIRE_CANCEL};
    for (int kind = 0; kind < 256; kind++)
        ck_assert_int_eq(wire_is_op((uint8_t)kind), memchr(ops, kind, sizeof ops) != NULL);
}
END_TEST

START_TEST(kinds_have_names) {
    ck_assert_str_eq(wire_kind_name(WIRE_HELLO), "HELLO");
    ck_assert_str_eq(wire_kind_name(WIRE_ALIVE), "ALIVE");
    ck_assert_str_eq(wire_kind_name(0), "?");
    ck_assert_str_eq(wire_kind_name(WIRE_REQUESTS_END), "?");
    ck_assert_str_eq(wire_kind_name(99), "?");
    ck_assert_str_eq(wire_kind_name(255), "?");
}
END_TEST

Suite *wire_suite(void) {
    Suite *suite = suite_create("wire");
    TCase *tc = tcase_create("wire");
    tcase_add_test(tc, a_header_comes_back_from_any_address);
    tcase_add_test(tc, another_version_is_eversion_whatever_follows);
    tcase_add_test(tc, what_is_not_ours_is_eproto);
    tcase_add_test(tc, a_sum_does_not_excuse_a_header_that_makes_no_sense);
    tcase_add_test(tc, a_refusal_needs_a_status_that_there_is);
    tcase_add_test(tc, a_frame_without_body_sum_says_zero_there);
    tcase_add_test(tc, op_numbers_are_ordered_by_clock_call_part);
    tcase_add_test(tc, ops_are_the_kinds_that_change_state);
    tcase_add_test(tc, kinds_have_names);
    suite_add_tcase(suite, tc);
    return suite;
}
