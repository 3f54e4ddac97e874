/* test_roster.c - the list of servers from a text, piece by piece; and what "mpi:" says where
 * there is no mpirun, or no plug-in. Exchanges among real ranks are tests/integration/mpirun.sh's. */
#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/err.h"
#include "proto/roster.h"
#include "tests/unit/suites.h"

START_TEST(addresses_are_listed_in_their_order) {
    struct roster r;
    ck_assert_int_eq(
        roster_parse("tcp://b:2,tcp://a:1,ipc:///run/x.sock,tcp://[::1]:7700,tcp://10.0.0.1:65535",
                     &r),
        RH_OK);
    ck_assert_uint_eq(r.shards, 5);
    ck_assert_str_eq(r.servers[0], "tcp://b:2");
    ck_assert_str_eq(r.servers[1], "tcp://a:1");
    ck_assert_str_eq(r.servers[2], "ipc:///run/x.sock");
    ck_assert_str_eq(r.servers[3], "tcp://[::1]:7700");
    ck_assert_str_eq(r.servers[4], "tcp://10.0.0.1:65535");
    ck_assert_uint_eq(r.world, 0);
    ck_assert_str_eq(r.job, "");
    roster_fini(&r);
}
END_TEST

START_TEST(blanks_around_addresses_are_nothing) {
    struct roster r;
    ck_assert_int_eq(roster_parse(" tcp://a:1 ,\ttcp://b:2\n", &r), RH_OK);
    ck_assert_uint_eq(r.shards, 2);
    ck_assert_str_eq(r.servers[0], "tcp://a:1");
    ck_assert_str_eq(r.servers[1], "tcp://b:2");
    roster_fini(&r);
}
END_TEST

START_TEST(a_list_that_makes_no_sense_is_einval_and_names_the_piece) {
    static const char *const bad[][2] = {
        {"", "empty"},
        {" ", "empty"},
        {"tcp://a:1,", "empty"},
        {",tcp://a:1", "empty"},
        {"tcp://a:1,,tcp://b:2", "empty"},
        {"tcp://a:1,udp://b:2", "udp://b:2"},
        {"tcp://a:1,local:", "local:"},
        {"tcp://a:1,mpi:", "mpi:"},
        {"tcp://a:1,tcp://b:1,tcp://a:1", "tcp://a:1 is listed twice"},
        {"tcp://a:1,tcp://b", "\"tcp://b\" needs a port"},
        {"tcp://a:1,tcp://b:70000", "\"tcp://b:70000\" needs a port"},
        {"tcp://a:*", "needs a port"},
        {"tcp://a:1 tcp://b:2", "host that cannot be one"},
    };
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        struct roster r;
        ck_assert_msg(roster_parse(bad[i][0], &r) == RH_EINVAL, "%s", bad[i][0]);
        ck_assert_msg(strstr(err_text(), bad[i][1]) != NULL, "%s: %s", bad[i][0], err_text());
    }
}
END_TEST

/* "tcp://h:1,tcp://h:2,...", n of them. */
static char *many(int n) {
    char *list = malloc((size_t)n * 16 + 1), *at = list;
    for (int i = 1; i <= n; i++)
        at += sprintf(at, "%stcp://h:%d", i > 1 ? "," : "", i);
    return list;
}

START_TEST(there_is_room_for_as_many_servers_as_shards_and_no_more) {
    struct roster r;
    char *list = many(PLACE_SHARDS_MAX);
    ck_assert_int_eq(roster_parse(list, &r), RH_OK);
    ck_assert_uint_eq(r.shards, PLACE_SHARDS_MAX);
    ck_assert_str_eq(r.servers[PLACE_SHARDS_MAX - 1], "tcp://h:1024");
    roster_fini(&r);
    free(list);
    list = many(PLACE_SHARDS_MAX + 1);
    ck_assert_int_eq(roster_parse(list, &r), RH_EINVAL);
    ck_assert_ptr_nonnull(strstr(err_text(), "more than 1024"));
    free(list);
}
END_TEST

START_TEST(an_address_that_does_not_fit_is_einval) {
    char list[ROSTER_ADDRESS_MAX + 16] = "tcp://";
    memset(list + 6, 'h', ROSTER_ADDRESS_MAX);
    strcpy(list + 6 + ROSTER_ADDRESS_MAX, ":1");
    struct roster r;
    ck_assert_int_eq(roster_parse(list, &r), RH_EINVAL);
    ck_assert_ptr_nonnull(strstr(err_text(), "longer than 255"));
}
END_TEST

START_TEST(freeing_an_empty_roster_is_fine) {
    struct roster r = {0};
    roster_fini(&r);
    roster_fini(&r);
}
END_TEST

START_TEST(without_mpirun_mpi_is_einval) {
    struct roster r;
    unsetenv("OMPI_COMM_WORLD_RANK");
    ck_assert(!roster_under_mpi());
    ck_assert_int_eq(roster_from_mpi(NULL, 0, NULL, NULL, &r), RH_EINVAL);
    ck_assert_ptr_nonnull(strstr(err_text(), "mpirun"));
}
END_TEST

START_TEST(without_the_plug_in_mpi_is_eio_and_the_package_is_named) {
    struct roster r;
    setenv("OMPI_COMM_WORLD_RANK", "0", 1);
    setenv("RH_MPI_PLUGIN", "/no/such/rowhouse-mpi.so", 1);
    ck_assert(roster_under_mpi());
    ck_assert_int_eq(roster_from_mpi(NULL, 0, NULL, NULL, &r), RH_EIO);
    ck_assert_ptr_nonnull(strstr(err_text(), "/no/such/rowhouse-mpi.so"));
    ck_assert_ptr_nonnull(strstr(err_text(), "openmpi-bin"));
    unsetenv("RH_MPI_PLUGIN");
    unsetenv("OMPI_COMM_WORLD_RANK");
}
END_TEST

Suite *roster_suite(void) {
    Suite *suite = suite_create("roster");
    TCase *tc = tcase_create("roster");
    tcase_add_test(tc, addresses_are_listed_in_their_order);
    tcase_add_test(tc, blanks_around_addresses_are_nothing);
    tcase_add_test(tc, a_list_that_makes_no_sense_is_einval_and_names_the_piece);
    tcase_add_test(tc, there_is_room_for_as_many_servers_as_shards_and_no_more);
    tcase_add_test(tc, an_address_that_does_not_fit_is_einval);
    tcase_add_test(tc, freeing_an_empty_roster_is_fine);
    tcase_add_test(tc, without_mpirun_mpi_is_einval);
    tcase_add_test(tc, without_the_plug_in_mpi_is_eio_and_the_package_is_named);
    suite_add_tcase(suite, tc);
    return suite;
}
