/* test_server.c - what a shard gives away runs beside it: in a thread of its own, one task at a time, and never
 * longer than the server lives; and where it listens. */
#include <check.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common/err.h"
#include "ps/server.h"
#include "ps/shard_inner.h"
#include "tests/unit/suites.h"

enum { SHARDS = 2 };

static struct server *server;

/* A task that goes on when it is let, or after a while. */
struct work {
    struct shard_task task; /* first */
    pthread_t thread;
    atomic_bool begun, let;
    int waits_ms;
};

static void work(struct shard_task *t) {
    struct work *w = (struct work *)t;
    w->thread = pthread_self();
    atomic_store(&w->begun, true);
    for (int ms = 0; !atomic_load(&w->let) && ms < w->waits_ms; ms++)
        usleep(1000);
}

static struct work waits(int ms) {
    return (struct work){.task.run = work, .waits_ms = ms};
}

static void await(atomic_bool *what) {
    for (int ms = 0; !atomic_load(what) && ms < 20000; ms++)
        usleep(1000);
    ck_assert(atomic_load(what));
}

static void give_away(uint32_t shard, struct work *w) {
    const struct shard_config *c = &server_shard(server, shard)->cfg;
    c->start(c->start_arg, &w->task);
}

static void setup(void) {
    struct server_options o = {.listen = "tcp://127.0.0.1:*", .shards = SHARDS};
    struct shard_config c;
    shard_config_init(&c);
    c.shards = SHARDS;
    ck_assert_int_eq(server_open(&o, &server), RH_OK);
    ck_assert_int_eq(server_make(server, &c, NULL), RH_OK);
}

static void teardown(void) {
    server_close(&server);
}

START_TEST(a_task_runs_in_a_thread_of_its_own_and_then_is_done) {
    struct work w = waits(20000);
    give_away(0, &w);
    await(&w.begun);
    ck_assert(!atomic_load(&w.task.done));
    atomic_store(&w.let, true);
    await(&w.task.done);
    ck_assert(!pthread_equal(w.thread, pthread_self()));
}
END_TEST

START_TEST(tasks_of_two_shards_run_at_once) {
    struct work a = waits(20000), b = waits(20000);
    give_away(0, &a);
    give_away(1, &b);
    await(&a.begun);
    await(&b.begun);
    ck_assert(!atomic_load(&a.task.done));
    atomic_store(&a.let, true);
    atomic_store(&b.let, true);
    await(&a.task.done);
    await(&b.task.done);
}
END_TEST

START_TEST(of_one_shard_the_next_task_begins_when_the_one_before_is_done) {
    struct work a = waits(100), b = waits(0);
    give_away(0, &a);
    give_away(0, &b);
    ck_assert(atomic_load(&a.task.done));
    await(&b.task.done);
}
END_TEST

START_TEST(a_server_closes_when_its_tasks_are_done) {
    struct work w = waits(100);
    give_away(1, &w);
    server_close(&server);
    ck_assert(atomic_load(&w.task.done));
}
END_TEST

START_TEST(a_server_comes_back_where_its_shards_were) {
    char list[2 * ROSTER_ADDRESS_MAX];
    snprintf(list, sizeof list, "%s,%s", server_addresses(server)[0], server_addresses(server)[1]);
    server_close(&server);
    struct server_options o = {.listen = list, .shards = SHARDS};
    ck_assert_int_eq(server_open(&o, &server), RH_OK);
    char again[2 * ROSTER_ADDRESS_MAX];
    snprintf(again, sizeof again, "%s,%s", server_addresses(server)[0],
             server_addresses(server)[1]);
    ck_assert_str_eq(again, list);
}
END_TEST

START_TEST(a_list_names_an_address_for_each_shard_all_of_this_host) {
    struct server *other = NULL;
    struct server_options o = {.listen = "tcp://127.0.0.1:*,tcp://127.0.0.1:*", .shards = 3};
    ck_assert_int_eq(server_open(&o, &other), RH_EINVAL);
    ck_assert_str_eq(err_text(), "--listen names 2 addresses, and this process has 3 shards");
    o = (struct server_options){.listen = "tcp://127.0.0.1:*,tcp://0.0.0.0:*", .shards = 2};
    ck_assert_int_eq(server_open(&o, &other), RH_EINVAL);
    ck_assert_ptr_nonnull(strstr(err_text(), "tcp://0.0.0.0:* can be reached from other hosts"));
    ck_assert_ptr_null(other);
}
END_TEST

Suite *server_suite(void) {
    Suite *s = suite_create("server");
    TCase *t = tcase_create("tasks");
    tcase_add_checked_fixture(t, setup, teardown);
    tcase_add_test(t, a_task_runs_in_a_thread_of_its_own_and_then_is_done);
    tcase_add_test(t, tasks_of_two_shards_run_at_once);
    tcase_add_test(t, of_one_shard_the_next_task_begins_when_the_one_before_is_done);
    tcase_add_test(t, a_server_closes_when_its_tasks_are_done);
    suite_add_tcase(s, t);
    t = tcase_create("addresses");
    tcase_add_checked_fixture(t, setup, teardown);
    tcase_add_test(t, a_server_comes_back_where_its_shards_were);
    tcase_add_test(t, a_list_names_an_address_for_each_shard_all_of_this_host);
    suite_add_tcase(s, t);
    return s;
}
