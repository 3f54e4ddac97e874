/* test_word2vec_cursor.c - where a worker of the trainer stands: its bytes, which checkpoints keep,
 * and that a job which is not the same is told what differs. */
#include <check.h>
#include <math.h>
#include <string.h>

#include "common/err.h"
#include "tests/unit/suites.h"
#include "worker/examples/word2vec_cursor.h"

static const struct cursor SOME = {
    .step = 7,
    .clock = 9,
    .words = 70001,
    .loss = 1.5,
    .seconds = 12.25,
    .recipe = {.text_bytes = 1000,
               .text_start = 0x1122334455667788,
               .workers = 2,
               .mode = RH_MODE_BSP,
               .dim = 64,
               .window = 5,
               .negatives = 6,
               .epochs = 3,
               .min_count = 4,
               .subsample = 1e-4,
               .lr = 0.5,
               .seed = 42,
               .batches = 16,
               .words = 300,
               .vocab = 0xfedcba9876543210},
};

/* Written by hand from word2vec_cursor.h. */
static const uint8_t PAGE[CURSOR_BYTES] = {
    'R',  'H',  'W',  '2',  'V',  'E',  'C',  '\n',
    1,    0,    0,    0,    0,    0,    0,    0, /* version */
    7,    0,    0,    0,    0,    0,    0,    0,
    9,    0,    0,    0,    0,    0,    0,    0, /* step, clock */
    0x71, 0x11, 1,    0,    0,    0,    0,    0,
    0,    0,    0,    0,    0,    0,    0xf8, 0x3f, /* words, loss */
    0,    0,    0,    0,    0,    0x80, 0x28, 0x40,
    0xe8, 3,    0,    0,    0,    0,    0,    0,    /* seconds; text: bytes, */
    0x88, 0x77, 0x66, 0x55, 0x44, 0x33, 0x22, 0x11, /* its start */
    2,    0,    0,    0,    0,    0,    0,    0,
    3,    0,    0,    0,    0,    0,    0,    0, /* workers, mode */
    64,   0,    0,    0,    0,    0,    0,    0,
    5,    0,    0,    0,    0,    0,    0,    0, /* dim, window */
    6,    0,    0,    0,    0,    0,    0,    0,
    3,    0,    0,    0,    0,    0,    0,    0,    /* negatives, epochs */
    4,    0,    0,    0,    0,    0,    0,    0,    /* min_count */
    0x2d, 0x43, 0x1c, 0xeb, 0xe2, 0x36, 0x1a, 0x3f, /* subsample */
    0,    0,    0,    0,    0,    0,    0xe0, 0x3f, /* lr */
    42,   0,    0,    0,    0,    0,    0,    0,
    16,   0,    0,    0,    0,    0,    0,    0,    /* seed, batches */
    0x2c, 1,    0,    0,    0,    0,    0,    0,    /* words */
    0x10, 0x32, 0x54, 0x76, 0x98, 0xba, 0xdc, 0xfe, /* vocab */
};

static void put(const struct cursor *p, uint8_t out[CURSOR_BYTES]) {
    struct buf b;
    buf_wrap(&b, out, CURSOR_BYTES);
    cursor_put(&b, p);
    ck_assert(!b.bad);
    ck_assert_uint_eq(b.len, CURSOR_BYTES);
}

START_TEST(a_cursor_has_the_bytes_of_the_page) {
    uint8_t bytes[CURSOR_BYTES];
    put(&SOME, bytes);
    ck_assert_mem_eq(bytes, PAGE, CURSOR_BYTES);
}
END_TEST

START_TEST(a_cursor_comes_back_from_its_bytes) {
    struct cursor p;
    ck_assert_int_eq(cursor_get(PAGE, sizeof PAGE, &p), RH_OK);
    ck_assert_uint_eq(p.step, 7);
    ck_assert_uint_eq(p.clock, 9);
    ck_assert_uint_eq(p.words, 70001);
    ck_assert_double_eq(p.loss, 1.5);
    ck_assert_double_eq(p.seconds, 12.25);
    ck_assert_mem_eq(&p.recipe, &SOME.recipe, sizeof p.recipe);
}
END_TEST

START_TEST(what_is_no_cursor_is_refused_at_every_length) {
    uint8_t longer[CURSOR_BYTES + 1] = {0};
    struct cursor p;
    memcpy(longer, PAGE, sizeof PAGE);
    for (size_t len = 0; len <= sizeof longer; len++) {
        if (len != CURSOR_BYTES)
            ck_assert_int_eq(cursor_get(longer, len, &p), RH_EINVAL);
    }
    ck_assert_int_eq(cursor_get("seven", 5, &p), RH_EINVAL);
    ck_assert_str_eq(err_text(), "5 bytes that are not the cursor of a word2vec trainer");
}
END_TEST

START_TEST(another_version_is_refused_by_its_number) {
    uint8_t bytes[CURSOR_BYTES];
    struct cursor p;
    memcpy(bytes, PAGE, sizeof bytes);
    bytes[8] = 2;
    ck_assert_int_eq(cursor_get(bytes, sizeof bytes, &p), RH_EINVAL);
    ck_assert_str_eq(err_text(), "a cursor of version 2; this trainer knows version 1");
}
END_TEST

START_TEST(numbers_that_make_no_sense_are_refused) {
    uint8_t bytes[CURSOR_BYTES];
    struct cursor out, p = SOME;
    p.step = 48;
    put(&p, bytes);
    ck_assert_int_eq(cursor_get(bytes, sizeof bytes, &out), RH_OK); /* at the end of it all */
    p.step = 49;
    put(&p, bytes);
    ck_assert_int_eq(cursor_get(bytes, sizeof bytes, &out), RH_EINVAL);
    p = SOME;
    p.loss = NAN;
    put(&p, bytes);
    ck_assert_int_eq(cursor_get(bytes, sizeof bytes, &out), RH_EINVAL);
    p = SOME;
    p.seconds = INFINITY;
    put(&p, bytes);
    ck_assert_int_eq(cursor_get(bytes, sizeof bytes, &out), RH_EINVAL);
}
END_TEST

static void expect_difference(const struct recipe *is, const char *want) {
    ck_assert_int_eq(recipe_check(&SOME.recipe, is), RH_EMISMATCH);
    ck_assert_str_eq(err_text(), want);
}

#define EXPECT(field, value, want)       \
    do {                                 \
        struct recipe is_ = SOME.recipe; \
        is_.field = (value);             \
        expect_difference(&is_, (want)); \
    } while (0)

START_TEST(a_job_that_is_not_the_same_is_told_what_differs) {
    ck_assert_int_eq(recipe_check(&SOME.recipe, &SOME.recipe), RH_OK);
    EXPECT(text_bytes, 999, "the size of the text, in bytes, is 999 here, and was 1000");
    EXPECT(text_start, 1,
           "the beginning of the text (its hash) is 0000000000000001 here, and was "
           "1122334455667788");
    EXPECT(workers, 3, "the number of workers is 3 here, and was 2");
    EXPECT(mode, RH_MODE_ASYNC, "-mode is async here, and was bsp");
    EXPECT(dim, 65, "-dim is 65 here, and was 64");
    EXPECT(window, 4, "-ws is 4 here, and was 5");
    EXPECT(negatives, 5, "-neg is 5 here, and was 6");
    EXPECT(epochs, 5, "-epoch is 5 here, and was 3");
    EXPECT(min_count, 5, "-minCount is 5 here, and was 4");
    EXPECT(subsample, 0.001, "-t is 0.001 here, and was 0.0001");
    EXPECT(lr, 0.05, "-lr is 0.05 here, and was 0.5");
    EXPECT(seed, 0, "-seed is 0 here, and was 42");
    EXPECT(batches, 17, "the number of batches in a part (-batch) is 17 here, and was 16");
    EXPECT(words, 301, "the number of different words is 301 here, and was 300");
    EXPECT(vocab, 0,
           "the vocabulary (its hash) is 0000000000000000 here, and was fedcba9876543210");
}
END_TEST

Suite *word2vec_cursor_suite(void) {
    Suite *s = suite_create("word2vec_cursor");
    TCase *t = tcase_create("word2vec_cursor");
    tcase_add_test(t, a_cursor_has_the_bytes_of_the_page);
    tcase_add_test(t, a_cursor_comes_back_from_its_bytes);
    tcase_add_test(t, what_is_no_cursor_is_refused_at_every_length);
    tcase_add_test(t, another_version_is_refused_by_its_number);
    tcase_add_test(t, numbers_that_make_no_sense_are_refused);
    tcase_add_test(t, a_job_that_is_not_the_same_is_told_what_differs);
    suite_add_tcase(s, t);
    return s;
}
