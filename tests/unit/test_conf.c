/* test_conf.c - one table of settings, four sources, and a clear word for each mistake. */
#include <check.h>
#include <math.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include "common/conf.h"
#include "common/err.h"
#include "tests/support/scratch.h"
#include "tests/unit/suites.h"

struct settings {
    int verbose, color;
    int64_t port, epoch, any;
    double lr, top;
    const char *mode, *job;
};

#define AT(field) offsetof(struct settings, field)
static const struct conf_item items[] = {
    {NULL, CONF_SECTION, 0, NULL, 0, 0, NULL, NULL, "Where:"},
    {"port", CONF_INT, AT(port), "7700", 1, 65535, "UNIT_PORT", "PORT", "Where to listen."},
    {"mode", CONF_STRING, AT(mode), "async", 0, 0, "UNIT_MODE", "MODE", "async or bsp."},
    {"job", CONF_STRING, AT(job), NULL, 0, 0, NULL, "NAME", "The job."},
    {NULL, CONF_SECTION, 0, NULL, 0, 0, NULL, NULL, "How:"},
    {"epoch", CONF_INT, AT(epoch), "5", 1, INFINITY, NULL, "N",
     "How many times the whole text is read; more than a few help little on a large one."},
    {"any", CONF_INT, AT(any), "-3", 0, 0, NULL, "N", "Any number."},
    {"lr", CONF_REAL, AT(lr), "0.05", 0, 1, "UNIT_LR", "RATE", "The learning rate."},
    {"top", CONF_REAL, AT(top), NULL, 0, 0, NULL, "X", "Any real."},
    {"verbose", CONF_BOOL, AT(verbose), "no", 0, 0, "UNIT_VERBOSE", NULL, "Say more."},
    {"color", CONF_BOOL, AT(color), "yes", 0, 0, NULL, NULL, "In color."},
};

static struct conf c;
static struct settings set;

static void setup(void) {
    scratch_enter();
    unsetenv("UNIT_PORT");
    unsetenv("UNIT_MODE");
    unsetenv("UNIT_LR");
    unsetenv("UNIT_VERBOSE");
    c = (struct conf){.program = "unit",
                      .usage = "[options] WORD...",
                      .about = "A program that tests settings.",
                      .items = items,
                      .n_items = sizeof items / sizeof *items};
    ck_assert_int_eq(conf_defaults(&c, &set), RH_OK);
}

static void teardown(void) {
    conf_fini(&c);
    scratch_leave();
}

enum { ARGS_MAX = 10 };
static char *argv[ARGS_MAX + 1];
static int words;

/* The program's arguments, the last of them NULL; at most ARGS_MAX. */
static rh_status args(const char *first, ...) {
    va_list list;
    int argc = 1;
    memset(argv, 0, sizeof argv);
    argv[0] = (char *)(uintptr_t) "unit";
    va_start(list, first);
    for (const char *a = first; a != NULL; a = va_arg(list, const char *))
        argv[argc++] = (char *)(uintptr_t)a;
    va_end(list);
    words = -1;
    return conf_args(&c, argc, argv, &set, &words);
}

#define REFUSED(text, ...)                                    \
    do {                                                      \
        ck_assert_int_eq(args(__VA_ARGS__, NULL), RH_EINVAL); \
        ck_assert_str_eq(err_text(), text);                   \
    } while (0)

/* ---- values ---- */

START_TEST(defaults_come_from_the_table) {
    ck_assert_int_eq(set.port, 7700);
    ck_assert_int_eq(set.any, -3);
    ck_assert(set.lr == 0.05);
    ck_assert(set.top == 0);
    ck_assert_int_eq(set.verbose, 0);
    ck_assert_int_eq(set.color, 1);
    ck_assert_str_eq(set.mode, "async");
    ck_assert_ptr_null(set.job);
}
END_TEST

START_TEST(flags_set_values_in_all_their_forms) {
    ck_assert_int_eq(
        args("--port", "1", "--lr=0.5", "--any", "-7", "--verbose", "--no-color", "--job=", NULL),
        RH_OK);
    ck_assert_int_eq(set.port, 1);
    ck_assert(set.lr == 0.5);
    ck_assert_int_eq(set.any, -7);
    ck_assert_int_eq(set.verbose, 1);
    ck_assert_int_eq(set.color, 0);
    ck_assert_str_eq(set.job, "");
    ck_assert_int_eq(words, 0);
    ck_assert_int_eq(args("--verbose=no", "--color=true", "--job", "a", "--job", "b=c", NULL),
                     RH_OK);
    ck_assert_int_eq(set.verbose, 0);
    ck_assert_int_eq(set.color, 1);
    ck_assert_str_eq(set.job, "b=c");
}
END_TEST

START_TEST(bounds_are_inclusive_and_named) {
    ck_assert_int_eq(args("--port", "65535", "--lr", "0", "--epoch", "9000000000", NULL), RH_OK);
    ck_assert_int_eq(set.epoch, 9000000000);
    ck_assert_int_eq(args("--port=1", "--lr=1", NULL), RH_OK);
    REFUSED("--port 70000: must be from 1 to 65535", "--port", "70000");
    REFUSED("--port 0: must be from 1 to 65535", "--port=0");
    REFUSED("--port 99999999999999999999: must be from 1 to 65535", "--port",
            "99999999999999999999");
    REFUSED("--epoch 0: must be at least 1", "--epoch", "0");
    REFUSED("--lr 1.5: must be from 0 to 1", "--lr", "1.5");
    REFUSED("--any 9223372036854775808: must be a whole number of 64 bits", "--any",
            "9223372036854775808");
    ck_assert_int_eq(args("--any", "-9223372036854775808", NULL), RH_OK);
    ck_assert_int_eq(set.any, INT64_MIN);
}
END_TEST

START_TEST(what_is_no_number_is_refused) {
    static const char *const no_int[] = {"",    " 5",   "5 ",  "5x",     "x",
                                         "1.5", "0x10", "1e3", "--epoch"};
    for (size_t i = 0; i < sizeof no_int / sizeof *no_int; i++) {
        ck_assert_int_eq(args("--port", no_int[i], NULL), RH_EINVAL);
        ck_assert_ptr_nonnull(strstr(err_text(), ": must be a whole number from 1 to 65535"));
    }
    static const char *const no_real[] = {"", " 1", "nan", "inf", "-inf", "1e999", "1,5", "x", "."};
    for (size_t i = 0; i < sizeof no_real / sizeof *no_real; i++) {
        ck_assert_int_eq(args("--top", no_real[i], NULL), RH_EINVAL);
        ck_assert_ptr_nonnull(strstr(err_text(), ": must be a number"));
    }
    REFUSED("--verbose=maybe: must be yes or no", "--verbose=maybe");
    ck_assert(set.top == 0);
    ck_assert_int_eq(set.port, 7700);
}
END_TEST

START_TEST(a_missing_value_is_refused) {
    REFUSED("--port: a value is missing behind it (PORT)", "--verbose", "--port");
}
END_TEST

/* ---- flags and words ---- */

START_TEST(unknown_flags_are_refused_with_a_guess) {
    REFUSED("unknown flag --epochs; did you mean --epoch?", "--epochs", "5");
    REFUSED("unknown flag --prot; did you mean --port?", "--prot=5");
    REFUSED("unknown flag --no-port; --help lists those that there are", "--no-port");
    REFUSED("unknown flag --something-else; --help lists those that there are", "--something-else");
    REFUSED("unknown flag -port; did you mean --port?", "-port", "5");
    REFUSED("unknown flag --; --help lists those that there are", "--=x");
}
END_TEST

START_TEST(words_move_to_the_front_in_their_order) {
    ck_assert_int_eq(args("one", "--port", "9", "two", "-", "--", "--port", "three", NULL), RH_OK);
    ck_assert_int_eq(words, 5);
    ck_assert_str_eq(argv[1], "one");
    ck_assert_str_eq(argv[2], "two");
    ck_assert_str_eq(argv[3], "-");
    ck_assert_str_eq(argv[4], "--port");
    ck_assert_str_eq(argv[5], "three");
    ck_assert_ptr_null(argv[6]);
    ck_assert_int_eq(set.port, 9);
}
END_TEST

START_TEST(a_program_to_run_keeps_its_own_flags) {
    c.stop_at_word = true;
    ck_assert_int_eq(args("--port", "9", "prog", "--port", "x", NULL), RH_OK);
    ck_assert_int_eq(words, 3);
    ck_assert_str_eq(argv[1], "prog");
    ck_assert_str_eq(argv[2], "--port");
    ck_assert_str_eq(argv[3], "x");
    ck_assert_ptr_null(argv[4]);
}
END_TEST

START_TEST(one_dash_is_enough_where_the_program_says_so) {
    c.single_dash = true;
    ck_assert_int_eq(args("-epoch", "2", "--port=3", "-no-color", NULL), RH_OK);
    ck_assert_int_eq(set.epoch, 2);
    ck_assert_int_eq(set.port, 3);
    ck_assert_int_eq(set.color, 0);
    REFUSED("unknown flag -epochs; did you mean -epoch?", "-epochs", "5");
    REFUSED("-port 0: must be from 1 to 65535", "-port", "0");
}
END_TEST

START_TEST(help_is_asked_for_before_two_dashes) {
    char *with[] = {"unit", "-x", "--help", NULL}, *without[] = {"unit", "--", "--help", NULL};
    char *brief[] = {"unit", "-h", NULL}, *fasttext[] = {"unit", "-help", NULL};
    ck_assert(conf_wants_help(3, with));
    ck_assert(!conf_wants_help(3, without));
    ck_assert(conf_wants_help(2, brief));
    ck_assert(conf_wants_help(2, fasttext));
    ck_assert(!conf_wants_help(1, brief));
}
END_TEST

/* ---- environment and file ---- */

START_TEST(the_environment_beats_the_defaults_and_flags_beat_it) {
    setenv("UNIT_PORT", "8000", 1);
    setenv("UNIT_MODE", "bsp", 1);
    setenv("UNIT_LR", "", 1);
    ck_assert_int_eq(conf_defaults(&c, &set), RH_OK);
    ck_assert_int_eq(set.port, 8000);
    ck_assert_str_eq(set.mode, "bsp");
    ck_assert(set.lr == 0.05);
    setenv("UNIT_MODE", "changed", 1); /* the text was kept */
    ck_assert_str_eq(set.mode, "bsp");
    ck_assert_int_eq(args("--port", "8001", NULL), RH_OK);
    ck_assert_int_eq(set.port, 8001);
}
END_TEST

START_TEST(a_bad_variable_is_named) {
    setenv("UNIT_PORT", "foo", 1);
    ck_assert_int_eq(conf_defaults(&c, &set), RH_EINVAL);
    ck_assert_str_eq(err_text(), "UNIT_PORT=foo: must be a whole number from 1 to 65535");
    unsetenv("UNIT_PORT");
    setenv("UNIT_VERBOSE", "maybe", 1);
    ck_assert_int_eq(conf_defaults(&c, &set), RH_EINVAL);
    ck_assert_str_eq(err_text(), "UNIT_VERBOSE=maybe: must be yes or no");
}
END_TEST

static rh_status file(const char *text, size_t len) {
    scratch_file("x.ini", text, len);
    return conf_file(&c, "x.ini", &set);
}

static rh_status file_text(const char *text) {
    return file(text, strlen(text));
}

START_TEST(a_file_sets_what_the_environment_does_not) {
    setenv("UNIT_MODE", "bsp", 1);
    ck_assert_int_eq(file_text("\xEF\xBB\xBF# settings\r\n"
                               "port = 9000\r\n"
                               "\n"
                               "  lr=0.25 ; a comment\n"
                               "mode = async\n"
                               "verbose : yes\n"
                               "job = two words"),
                     RH_OK);
    ck_assert_int_eq(set.port, 9000);
    ck_assert(set.lr == 0.25);
    ck_assert_str_eq(set.mode, "bsp");
    ck_assert_int_eq(set.verbose, 1);
    ck_assert_str_eq(set.job, "two words");
}
END_TEST

START_TEST(a_bad_line_of_a_file_is_named) {
    static const struct {
        const char *text, *error;
    } cases[] = {
        {"port = 1\n\nepochs = 3\n", "x.ini:3: unknown setting epochs; did you mean epoch?"},
        {"wrong = 3\n", "x.ini:1: unknown setting wrong"},
        {"port = 70000\nlr = 9\n", "x.ini:1: port = 70000: must be from 1 to 65535"},
        {"port = 1\njust words\n", "x.ini:2: expected name = value"},
        {"[server]\nport = 1\n", "x.ini:2: settings stand in no section, and this is in [server]"},
        {"job = x\n   port = 0\n", "x.ini:2: port = 0: must be from 1 to 65535"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        ck_assert_int_eq(file_text(cases[i].text), RH_EINVAL);
        ck_assert_str_eq(err_text(), cases[i].error);
    }
}
END_TEST

START_TEST(a_line_that_is_too_long_or_no_text_is_refused_not_split) {
    char text[1000];
    memset(text, 'x', sizeof text);
    memcpy(text, "port = 5\njob = ", 15);
    ck_assert_int_eq(file(text, sizeof text), RH_EINVAL);
    ck_assert_ptr_nonnull(strstr(err_text(), "x.ini:2: the line is longer than "));
    ck_assert_int_eq(file("port = 5\0\nlr = 1\n", 17), RH_EINVAL);
    ck_assert_ptr_nonnull(strstr(err_text(), "x.ini:1: the line is longer than "));
}
END_TEST

START_TEST(the_file_that_a_flag_names_is_weaker_than_any_flag) {
    scratch_text("x.ini", "port = 9000\nepoch = 9\nlr = 0.9\njob = y.ini\n");
    c.file_item = "job";
    setenv("UNIT_LR", "0.5", 1);
    ck_assert_int_eq(args("one", "--port", "8000", "--job", "x.ini", "two", NULL), RH_OK);
    ck_assert_int_eq(set.port, 8000);
    ck_assert_int_eq(set.epoch, 9);
    ck_assert(set.lr == 0.5);
    ck_assert_str_eq(set.job, "x.ini");
    ck_assert_int_eq(words, 2);
    ck_assert_str_eq(argv[2], "two");
    ck_assert_int_eq(args("--job", "nowhere.ini", NULL), RH_ENOTFOUND);
}
END_TEST

START_TEST(a_file_that_cannot_be_read_is_named) {
    ck_assert_int_eq(conf_file(&c, "/nowhere/x.ini", &set), RH_ENOTFOUND);
    ck_assert_str_eq(err_text(),
                     "cannot read settings from /nowhere/x.ini: No such file or directory");
    ck_assert_int_eq(conf_file(&c, "/", &set), RH_EIO);
    ck_assert_str_eq(err_text(), "cannot read settings from /: Is a directory");
}
END_TEST

/* ---- as text ---- */

static char *text_of(void (*put)(FILE *to)) {
    char *text;
    size_t len;
    FILE *f = open_memstream(&text, &len);
    put(f);
    fclose(f);
    return text;
}

static void put_help(FILE *to) {
    conf_help(&c, to);
}

static void put_settings(FILE *to) {
    conf_print(&c, &set, to);
}

START_TEST(help_shows_every_setting_with_default_bounds_and_variable) {
    char *text = text_of(put_help);
    ck_assert_str_eq(
        text, "usage: unit [options] WORD...\n"
              "\n"
              "A program that tests settings.\n"
              "\n"
              "Where:\n"
              "  --port PORT             Where to listen. [default 7700, from 1 to 65535,\n"
              "                          UNIT_PORT]\n"
              "  --mode MODE             async or bsp. [default async, UNIT_MODE]\n"
              "  --job NAME              The job.\n"
              "\n"
              "How:\n"
              "  --epoch N               How many times the whole text is read; more than a few\n"
              "                          help little on a large one. [default 5, at least 1]\n"
              "  --any N                 Any number. [default -3]\n"
              "  --lr RATE               The learning rate. [default 0.05, from 0 to 1,\n"
              "                          UNIT_LR]\n"
              "  --top X                 Any real.\n"
              "  --verbose               Say more. [UNIT_VERBOSE]\n"
              "  --[no-]color            In color. [default yes]\n"
              "\n"
              "A flag beats the environment variable that is named behind it.\n");
    free(text);
}
END_TEST

START_TEST(no_line_of_help_is_wider_than_80_columns) {
    static const struct conf_item wide[] = {
        {"a-flag-with-a-name-that-is-long", CONF_INT, AT(port), "5", 1, 2, NULL, "NUMBER",
         "Its help begins on a line of its own, and is wrapped there as that of any other flag "
         "is."},
        {"edge", CONF_BOOL, AT(color), NULL, 0, 0, NULL, NULL,
         "123456789 123456789 123456789 123456789 123456789 1234 56789"},
    };
    c.items = wide;
    c.n_items = 2;
    c.single_dash = true;
    char *text = text_of(put_help);
    size_t widest = 0;
    for (const char *p = text; *p != '\0'; p += strcspn(p, "\n") + 1)
        widest = strcspn(p, "\n") > widest ? strcspn(p, "\n") : widest;
    ck_assert_uint_eq(widest, 80);
    ck_assert_ptr_nonnull(strstr(text, "\n  -a-flag-with-a-name-that-is-long NUMBER\n"
                                       "                          Its help"));
    ck_assert_ptr_nonnull(strstr(text, "one dash or with two"));
    free(text);
}
END_TEST

START_TEST(what_is_printed_is_read_back) {
    ck_assert_int_eq(args("--port=12", "--lr=0.1", "--top=1e-300", "--any=-9223372036854775808",
                          "--verbose", "--job=a b", NULL),
                     RH_OK);
    struct settings before = set;
    char *text = text_of(put_settings);
    ck_assert_ptr_nonnull(strstr(text, "port = 12\n"));
    ck_assert_ptr_nonnull(strstr(text, "lr = 0.1\n"));
    ck_assert_ptr_nonnull(strstr(text, "color = yes\n"));
    struct settings other;
    struct conf kept = c;
    c.texts = NULL;
    c.n_texts = 0;
    ck_assert_int_eq(conf_defaults(&c, &other), RH_OK);
    set = other;
    ck_assert_int_eq(file_text(text), RH_OK);
    ck_assert_int_eq(set.port, before.port);
    ck_assert_int_eq(set.any, before.any);
    ck_assert(set.lr == before.lr && set.top == before.top);
    ck_assert_int_eq(set.verbose, before.verbose);
    ck_assert_str_eq(set.job, before.job);
    conf_fini(&kept);
    free(text);
}
END_TEST

START_TEST(a_string_that_is_not_set_is_printed_as_a_comment) {
    char *text = text_of(put_settings);
    ck_assert_ptr_nonnull(strstr(text, "# job is not set\n"));
    free(text);
}
END_TEST

START_TEST(the_nearest_word_is_meant_if_it_is_near) {
    static const char *const words_known[] = {"status", "tables", "nearest", "eval", "run"};
    ck_assert_str_eq(conf_did_you_mean("stauts", words_known, 5), "status");  /* swapped */
    ck_assert_str_eq(conf_did_you_mean("nearst", words_known, 5), "nearest"); /* lost */
    ck_assert_str_eq(conf_did_you_mean("evall", words_known, 5), "eval");     /* added */
    ck_assert_str_eq(conf_did_you_mean("tibles", words_known, 5), "tables");  /* changed */
    ck_assert_str_eq(conf_did_you_mean("rnu", words_known, 5), "run");
    ck_assert_ptr_null(conf_did_you_mean("checkpoint", words_known, 5));
    ck_assert_ptr_null(conf_did_you_mean("x", words_known, 5));
    ck_assert_ptr_null(conf_did_you_mean("", words_known, 5));
    ck_assert_ptr_null(conf_did_you_mean("run", words_known, 0));
    char endless[1000];
    memset(endless, 'e', sizeof endless - 1);
    endless[sizeof endless - 1] = '\0';
    ck_assert_ptr_null(conf_did_you_mean(endless, words_known, 5));
}
END_TEST

Suite *conf_suite(void) {
    Suite *s = suite_create("conf");
    TCase *t = tcase_create("flags");
    tcase_add_checked_fixture(t, setup, teardown);
    tcase_add_test(t, defaults_come_from_the_table);
    tcase_add_test(t, flags_set_values_in_all_their_forms);
    tcase_add_test(t, bounds_are_inclusive_and_named);
    tcase_add_test(t, what_is_no_number_is_refused);
    tcase_add_test(t, a_missing_value_is_refused);
    tcase_add_test(t, unknown_flags_are_refused_with_a_guess);
    tcase_add_test(t, words_move_to_the_front_in_their_order);
    tcase_add_test(t, a_program_to_run_keeps_its_own_flags);
    tcase_add_test(t, one_dash_is_enough_where_the_program_says_so);
    tcase_add_test(t, help_is_asked_for_before_two_dashes);
    suite_add_tcase(s, t);
    t = tcase_create("environment and file");
    tcase_add_checked_fixture(t, setup, teardown);
    tcase_add_test(t, the_environment_beats_the_defaults_and_flags_beat_it);
    tcase_add_test(t, a_bad_variable_is_named);
    tcase_add_test(t, a_file_sets_what_the_environment_does_not);
    tcase_add_test(t, a_bad_line_of_a_file_is_named);
    tcase_add_test(t, a_line_that_is_too_long_or_no_text_is_refused_not_split);
    tcase_add_test(t, the_file_that_a_flag_names_is_weaker_than_any_flag);
    tcase_add_test(t, a_file_that_cannot_be_read_is_named);
    suite_add_tcase(s, t);
    t = tcase_create("text");
    tcase_add_checked_fixture(t, setup, teardown);
    tcase_add_test(t, help_shows_every_setting_with_default_bounds_and_variable);
    tcase_add_test(t, no_line_of_help_is_wider_than_80_columns);
    tcase_add_test(t, what_is_printed_is_read_back);
    tcase_add_test(t, a_string_that_is_not_set_is_printed_as_a_comment);
    tcase_add_test(t, the_nearest_word_is_meant_if_it_is_near);
    suite_add_tcase(s, t);
    return s;
}
