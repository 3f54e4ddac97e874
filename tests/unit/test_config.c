/* test_config.c - rh_config: what the environment says, and how rh_connect refuses what cannot be. */
#include "worker/connect.h"

#include <check.h>
#include <stdlib.h>
#include <string.h>

#include "tests/unit/suites.h"

static const char *const variables[] = {"RH_SERVERS",        "RH_JOB",     "RH_RANK",
                                        "RH_WORLD",          "RH_MODE",    "RH_OP_TIMEOUT_MS",
                                        "RH_CHECKPOINT_DIR", "RH_SUCCEEDS"};

static void clean(void) {
    for (size_t i = 0; i < sizeof variables / sizeof *variables; i++)
        unsetenv(variables[i]);
}

static void assert_refused(const rh_config *cfg, const char *word) {
    ck_assert_int_eq(config_check(cfg), RH_EINVAL);
    ck_assert_msg(strstr(rh_errmsg(), word) != NULL, "\"%s\" does not name %s", rh_errmsg(), word);
}

START_TEST(without_environment_the_defaults_hold) {
    rh_config cfg;
    rh_config_init(&cfg);
    ck_assert_uint_eq(cfg.size, sizeof cfg);
    ck_assert_uint_eq(cfg.rank, 0);
    ck_assert_uint_eq(cfg.world, 1);
    ck_assert_int_eq(cfg.mode, RH_MODE_ASYNC);
    ck_assert_int_eq(cfg.op_timeout_ms, 60000);
    ck_assert_int_eq(cfg.connect_timeout_ms, 60000);
    ck_assert_uint_eq(cfg.local_shards, 1);
    ck_assert_uint_eq(cfg.succeeds, 0);
    ck_assert_int_eq(cfg.observer, 0);
    ck_assert_str_eq(cfg.job, "");
    ck_assert_ptr_null(cfg.checkpoint_dir);
    ck_assert_int_eq(config_check(&cfg), RH_OK);
}
END_TEST

START_TEST(the_environment_fills_the_fields) {
    setenv("RH_SERVERS", "tcp://10.0.0.1:7700", 1);
    setenv("RH_JOB", "night", 1);
    setenv("RH_RANK", "3", 1);
    setenv("RH_WORLD", "4", 1);
    setenv("RH_MODE", "bsp", 1);
    setenv("RH_OP_TIMEOUT_MS", "250", 1);
    setenv("RH_CHECKPOINT_DIR", "kept", 1);
    setenv("RH_SUCCEEDS", "2", 1);
    rh_config cfg;
    rh_config_init(&cfg);
    ck_assert_str_eq(cfg.servers, "tcp://10.0.0.1:7700");
    ck_assert_str_eq(cfg.job, "night");
    ck_assert_uint_eq(cfg.rank, 3);
    ck_assert_uint_eq(cfg.world, 4);
    ck_assert_int_eq(cfg.mode, RH_MODE_BSP);
    ck_assert_int_eq(cfg.op_timeout_ms, 250);
    ck_assert_str_eq(cfg.checkpoint_dir, "kept");
    ck_assert_uint_eq(cfg.succeeds, 2);
    ck_assert_int_eq(config_check(&cfg), RH_OK);
}
END_TEST

START_TEST(an_unreadable_variable_is_refused_by_name_unless_the_field_is_set) {
    static const char *const bad[] = {"x", "-1", "1x", "99999999999", " 1"};
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        rh_config cfg;
        clean();
        setenv("RH_RANK", bad[i], 1);
        rh_config_init(&cfg);
        assert_refused(&cfg, "RH_RANK");
        cfg.rank = 0;
        ck_assert_int_eq(config_check(&cfg), RH_OK);
        clean();
        setenv("RH_WORLD", bad[i], 1);
        rh_config_init(&cfg);
        assert_refused(&cfg, "RH_WORLD");
        clean();
        setenv("RH_OP_TIMEOUT_MS", bad[i], 1);
        rh_config_init(&cfg);
        assert_refused(&cfg, "RH_OP_TIMEOUT_MS");
        clean();
        setenv("RH_MODE", bad[i], 1);
        rh_config_init(&cfg);
        assert_refused(&cfg, "RH_MODE");
        cfg.mode = RH_MODE_BSP;
        ck_assert_int_eq(config_check(&cfg), RH_OK);
    }
}
END_TEST

START_TEST(a_mode_is_set_by_its_name_with_its_staleness) {
    static const struct {
        const char *name;
        rh_mode mode;
        uint32_t staleness;
    } good[] = {{"async", RH_MODE_ASYNC, 0},
                {"ssp:0", RH_MODE_SSP, 0},
                {"ssp:17", RH_MODE_SSP, 17},
                {"bsp", RH_MODE_BSP, 0}};
    static const char *const bad[] = {"",       "ssp",    "ssp:",  "ssp:-1",
                                      "ssp:3x", "ssp: 3", "SSP:3", "bsp:1"};
    rh_config cfg;
    for (size_t i = 0; i < sizeof good / sizeof *good; i++) {
        clean();
        setenv("RH_MODE", good[i].name, 1);
        rh_config_init(&cfg);
        ck_assert_int_eq(cfg.mode, good[i].mode);
        ck_assert_uint_eq(cfg.staleness, good[i].staleness);
        ck_assert_int_eq(config_check(&cfg), RH_OK);
    }
    ck_assert_int_eq(rh_config_set_mode(&cfg, "ssp:9"), RH_OK);
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        ck_assert_int_eq(rh_config_set_mode(&cfg, bad[i]), RH_EINVAL);
        ck_assert_ptr_nonnull(strstr(rh_errmsg(), bad[i]));
        ck_assert_int_eq(cfg.mode, RH_MODE_SSP);
        ck_assert_uint_eq(cfg.staleness, 9);
    }
}
END_TEST

START_TEST(fields_out_of_bounds_are_refused_by_name) {
    rh_config cfg, good;
    rh_config_init(&good);
    cfg = good, cfg.size = 8;
    assert_refused(&cfg, "size");
    cfg = good, cfg.rank = 1;
    assert_refused(&cfg, "rank 1 of world 1");
    cfg = good, cfg.world = 65537;
    assert_refused(&cfg, "world");
    cfg = good, cfg.mode = (rh_mode)4;
    assert_refused(&cfg, "mode is 4");
    cfg = good, cfg.op_timeout_ms = 0;
    assert_refused(&cfg, "op_timeout_ms");
    cfg = good, cfg.connect_timeout_ms = -5;
    assert_refused(&cfg, "connect_timeout_ms");
    cfg = good, cfg.local_shards = 65;
    assert_refused(&cfg, "local_shards");
    cfg = good, cfg.servers = NULL;
    assert_refused(&cfg, "servers");
    cfg = good, cfg.job = NULL;
    assert_refused(&cfg, "job");
}
END_TEST

START_TEST(local_wants_a_folder_for_its_checkpoints_that_is_there) {
    rh_config cfg;
    rh_client *c = NULL;
    rh_config_init(&cfg);
    cfg.servers = "local:2";
    cfg.checkpoint_dir = "/no/such";
    ck_assert_int_eq(rh_connect(&cfg, &c), RH_EINVAL);
    ck_assert_str_eq(rh_errmsg(),
                     "rh_connect: rh_config: checkpoint_dir (RH_CHECKPOINT_DIR): /no/such is no "
                     "folder that can be opened: No such file or directory");
    cfg.checkpoint_dir = "/";
    ck_assert_int_eq(rh_connect(&cfg, &c), RH_OK);
    rh_close(c);
}
END_TEST

START_TEST(an_observer_needs_neither_rank_nor_world) {
    setenv("RH_RANK", "seven", 1);
    setenv("RH_WORLD", "dwarves", 1);
    rh_config cfg;
    rh_config_init(&cfg);
    cfg.observer = 1;
    ck_assert_int_eq(config_check(&cfg), RH_OK);
}
END_TEST

Suite *config_suite(void) {
    Suite *s = suite_create("config");
    TCase *t = tcase_create("config");
    tcase_add_checked_fixture(t, clean, clean);
    tcase_add_test(t, without_environment_the_defaults_hold);
    tcase_add_test(t, the_environment_fills_the_fields);
    tcase_add_test(t, an_unreadable_variable_is_refused_by_name_unless_the_field_is_set);
    tcase_add_test(t, a_mode_is_set_by_its_name_with_its_staleness);
    tcase_add_test(t, fields_out_of_bounds_are_refused_by_name);
    tcase_add_test(t, local_wants_a_folder_for_its_checkpoints_that_is_there);
    tcase_add_test(t, an_observer_needs_neither_rank_nor_world);
    suite_add_tcase(s, t);
    return s;
}
