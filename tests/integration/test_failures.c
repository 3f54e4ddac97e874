/*
 * test_failures.c - what goes wrong outside the client: servers that are not there, that are others
 * than they should be, that die, stop, or talk nonsense. Every call ends with a status by its
 * deadline, and the text says who and where.
 */
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "proto/msg.h"
#include "proto/net.h"
#include "tests/support/job.h"

static struct job job;

static void begin(int transport, uint32_t shards) {
    job_start(&job, transport, shards);
}

static const char *scheme(int transport) {
    return transport == JOB_TCP ? "tcp" : "ipc";
}

/* rh_connect fails so, within the deadline and a bit. */
static void assert_no_entry(const char *servers, int timeout_ms, rh_status want,
                            const char *const *words) {
    rh_config cfg = job.cfg;
    rh_client *c = NULL;
    cfg.servers = servers;
    cfg.connect_timeout_ms = timeout_ms;
    int64_t start_ms = job_now_ms();
    for (; *words != NULL; words++)
        ck_assert_refused(rh_connect(&cfg, &c), want, *words);
    ck_assert_ptr_null(c);
    ck_assert_int_lt(job_now_ms() - start_ms, 3 * (timeout_ms + 2000));
}

/* ---- nobody, or somebody else ---- */

START_TEST(nobody_listens_is_eunreachable_by_the_deadline_and_names_the_address) {
    begin(JOB_LOCAL, 1);
    assert_no_entry("tcp://127.0.0.1:9", 600, RH_EUNREACHABLE,
                    (const char *[]){"tcp://127.0.0.1:9", "0.6 s", NULL});
    assert_no_entry("ipc:///tmp/nobody-is-here.sock", 600, RH_EUNREACHABLE,
                    (const char *[]){"ipc:///tmp/nobody-is-here.sock", NULL});
}
END_TEST

START_TEST(one_shard_of_two_that_does_not_answer_is_the_one_that_is_named) {
    begin(_i, 1);
    struct servers s = {0};
    servers_add(&s, scheme(_i), NULL, 0, 2, NULL);
    char list[sizeof s.list + 64];
    snprintf(list, sizeof list, "%s,%s", s.list,
             _i == JOB_TCP ? "tcp://127.0.0.1:9" : "ipc:///tmp/nobody-is-here.sock");
    rh_config cfg = job.cfg;
    cfg.servers = list;
    cfg.connect_timeout_ms = 600;
    rh_client *c = NULL;
    ck_assert_refused(rh_connect(&cfg, &c), RH_EUNREACHABLE, "shard 1 at ");
    ck_assert_ptr_null(strstr(rh_errmsg(), "shard 0 at "));
    servers_stop(&s);
    job_stop(&job);
}
END_TEST

START_TEST(two_servers_that_claim_one_shard_are_named) {
    begin(_i, 1);
    struct servers s = {0};
    servers_add(&s, scheme(_i), NULL, 0, 2, NULL);
    servers_add(&s, scheme(_i), NULL, 0, 2, NULL);
    assert_no_entry(s.list, 5000, RH_EMISMATCH,
                    (const char *[]){"shard 0 of 2", s.addresses[0], s.addresses[1], NULL});
    servers_stop(&s);
    job_stop(&job);
}
END_TEST

START_TEST(a_missing_shard_and_a_wrong_order_are_emismatch) {
    begin(_i, 1);
    struct servers s = {0};
    servers_add(&s, scheme(_i), NULL, 0, 2, NULL);
    assert_no_entry(s.list, 5000, RH_EMISMATCH,
                    (const char *[]){"shard 0 of 2", "shard 0 of 1", s.addresses[0], NULL});
    servers_add(&s, scheme(_i), NULL, 1, 2, NULL);
    char swapped[2 * SERVERS_ADDRESS + 2];
    snprintf(swapped, sizeof swapped, "%s,%s", s.addresses[1], s.addresses[0]);
    assert_no_entry(swapped, 5000, RH_EMISMATCH, (const char *[]){"shard order", NULL});
    servers_stop(&s);
    job_stop(&job);
}
END_TEST

START_TEST(addresses_that_cannot_be_read_are_einval) {
    begin(JOB_LOCAL, 1);
    static const char *const bad[] = {"http://x:1", "tcp://",  "",        ",",
                                      "tcp://h:1,", "local:0", "local:x", "local:65"};
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        rh_config cfg = job.cfg;
        rh_client *c = NULL;
        cfg.servers = bad[i];
        ck_assert_refused(rh_connect(&cfg, &c), RH_EINVAL, "rh_connect");
    }
}
END_TEST

START_TEST(a_server_that_starts_later_is_waited_for) {
    begin(_i, 1);
    struct servers s = {0};
    servers_add(&s, scheme(_i), NULL, 0, 1, NULL);
    char address[SERVERS_ADDRESS];
    snprintf(address, sizeof address, "%s", s.addresses[0]);
    servers_stop(&s);
    pid_t pid = fork(); /* a client that begins before its server */
    if (pid == 0) {
        rh_config cfg = job.cfg;
        rh_client *c = NULL;
        cfg.servers = address;
        rh_status status = rh_connect(&cfg, &c);
        if (status != RH_OK)
            fprintf(stderr, "%s\n", rh_errmsg());
        rh_close(c);
        _exit(status == RH_OK ? 0 : 1);
    }
    usleep(700000);
    s = (struct servers){0};
    servers_add(&s, NULL, address, 0, 1, NULL);
    int status;
    ck_assert_int_eq(waitpid(pid, &status, 0), pid);
    ck_assert_int_eq(status, 0);
    servers_stop(&s);
    job_stop(&job);
}
END_TEST

/* ---- servers that talk otherwise ---- */

/* A server made by hand, which answers every frame with one of its own. */
struct impostor {
    struct net *net;
    char address[SERVERS_ADDRESS];
    pthread_t thread;
    atomic_bool stop;
    struct frame *(*answer)(struct net *net, const struct frame *asked);
};

static void *pretend(void *arg) {
    struct impostor *p = arg;
    while (!p->stop) {
        uint32_t peer;
        struct frame *f = p->net->ops->recv(p->net, &peer);
        if (f == NULL) {
            usleep(1000);
            continue;
        }
        struct frame *a = p->answer(p->net, f);
        if (a != NULL)
            p->net->ops->send(p->net, peer, a);
        frame_unref(f);
    }
    return NULL;
}

static void impostor_start(struct impostor *p,
                           struct frame *(*answer)(struct net *net, const struct frame *asked)) {
    *p = (struct impostor){.answer = answer};
    ck_assert_int_eq(net_tcp.open(&net_tcp, &p->net), RH_OK);
    ck_assert_int_eq(net_tcp.listen(p->net, "tcp://127.0.0.1:*", p->address, sizeof p->address),
                     RH_OK);
    ck_assert_int_eq(pthread_create(&p->thread, NULL, pretend, p), 0);
}

static void impostor_stop(struct impostor *p) {
    p->stop = true;
    pthread_join(p->thread, NULL);
    p->net->ops->close(p->net, 0);
}

static struct frame *of_version_2(struct net *net, const struct frame *asked) {
    struct frame *f = frame_new(net->pool, asked->len);
    memcpy(f->data, asked->data, asked->len);
    f->data[4] = 2;
    return f;
}

static struct frame *noise(struct net *net, const struct frame *asked) {
    struct frame *f = frame_new(net->pool, asked->len);
    memcpy(f->data, asked->data, asked->len);
    f->data[20] ^= 1;
    return f;
}

/* A welcome of a shard that is as it should be, which then answers nothing but nonsense. */
static struct frame *welcome_then_nonsense(struct net *net, const struct frame *asked) {
    struct head h;
    if (wire_open(asked->data, asked->len, &h) != RH_OK)
        return NULL;
    uint8_t room[64];
    struct buf b;
    buf_wrap(&b, room, sizeof room);
    uint8_t kind = h.kind == WIRE_HELLO ? WIRE_WELCOME : WIRE_OPENED;
    if (h.kind == WIRE_HELLO)
        msg_put_welcome(
            &b, &(struct msg_welcome){.shards = 1, .world = 1, .mode = 1, .credit_bytes = 1 << 20});
    else
        buf_put_u32(&b, 12345);
    struct head a = h;
    a.kind = kind;
    a.flags = 0;
    a.worker_inc = a.server_inc = 1;
    a.prev = (struct opnum){0, 0, 0};
    return msg_frame(net->pool, &a, &b);
}

START_TEST(a_server_of_another_version_is_eversion_and_both_are_named) {
    begin(JOB_LOCAL, 1);
    struct impostor p;
    impostor_start(&p, of_version_2);
    assert_no_entry(p.address, 5000, RH_EVERSION,
                    (const char *[]){"version 2", "1", p.address, NULL});
    impostor_stop(&p);
}
END_TEST

START_TEST(a_server_that_talks_noise_is_eunreachable) {
    begin(JOB_LOCAL, 1);
    struct impostor p;
    impostor_start(&p, noise);
    assert_no_entry(p.address, 600, RH_EUNREACHABLE, (const char *[]){p.address, NULL});
    impostor_stop(&p);
}
END_TEST

START_TEST(a_server_that_answers_nonsense_is_eproto_from_then_on) {
    begin(JOB_LOCAL, 1);
    struct impostor p;
    impostor_start(&p, welcome_then_nonsense);
    job.cfg.servers = p.address;
    rh_client *c = job_connect(&job, 0);
    rh_table_spec spec;
    rh_table *t;
    rh_table_spec_init(&spec, 10, 2);
    ck_assert_refused(rh_table_open(c, "t", &spec, &t), RH_EPROTO, "makes no sense");
    ck_assert_refused(rh_tick(c), RH_EPROTO, "makes no sense");
    rh_close(c);
    impostor_stop(&p);
}
END_TEST

/* ---- servers that die, or stop ---- */

START_TEST(a_killed_server_ends_every_call_by_its_deadline) {
    begin(_i, 2);
    job.cfg.op_timeout_ms = 700;
    rh_client *c = job_connect(&job, 0);
    rh_table *t = job_table(c, "t", 100, 2);
    uint64_t ids[100];
    float rows[200] = {0};
    for (uint64_t i = 0; i < 100; i++)
        ids[i] = i;
    ck_assert_ok(rh_push(t, ids, 100, rows));
    servers_signal(&job.servers, 1, SIGKILL);
    int64_t start_ms = job_now_ms();
    ck_assert_refused(rh_pull(t, ids, 100, rows), RH_ETIMEDOUT, job.servers.addresses[1]);
    ck_assert_refused(rh_push(t, ids, 100, rows), RH_ETIMEDOUT, "shard 1");
    ck_assert_refused(rh_tick(c), RH_ETIMEDOUT, "shard 1");
    ck_assert_int_lt(job_now_ms() - start_ms, 3 * 700 + 2000);
    usleep(4000000); /* silent for more than 5 s */
    ck_assert_refused(rh_pull(t, ids, 100, rows), RH_EUNREACHABLE, job.servers.addresses[1]);
    start_ms = job_now_ms();
    rh_close(c); /* does not wait for a shard that is silent */
    ck_assert_int_lt(job_now_ms() - start_ms, 2000);
    job_stop(&job);
}
END_TEST

/* Counts only while it is armed: what is to succeed may be slow. */
struct interrupter {
    bool armed;
    int asked;
};

static int third_time(void *arg) {
    struct interrupter *i = arg;
    return i->armed && ++i->asked % 3 == 0;
}

START_TEST(an_interrupted_wait_ends_as_if_its_deadline_had_passed) {
    begin(_i, 1);
    struct interrupter i = {0};
    job.cfg.interrupted = third_time;
    job.cfg.interrupted_arg = &i;
    rh_client *c = job_connect(&job, 0);
    rh_table *t = job_table(c, "t", 100, 2);
    uint64_t id = 7;
    float row[2] = {1, 1};
    servers_signal(&job.servers, 0, SIGSTOP);
    i.armed = true;
    int64_t start_ms = job_now_ms();
    ck_assert_refused(rh_pull(t, &id, 1, row), RH_ETIMEDOUT, "shard 0");
    ck_assert_int_eq(i.asked, 3);
    ck_assert_refused(rh_push(t, &id, 1, row), RH_ETIMEDOUT, "shard 0");
    ck_assert_int_eq(i.asked, 6);
    ck_assert_refused(rh_tick(c), RH_ETIMEDOUT, "shard 0");
    ck_assert_int_eq(i.asked, 9);
    ck_assert_int_lt(job_now_ms() - start_ms, 10000); /* op_timeout_ms is 20 s */
    i.armed = false;
    servers_signal(&job.servers, 0, SIGCONT);
    ck_assert_ok(rh_tick(c)); /* the push was owed */
    ck_assert_ok(rh_pull(t, &id, 1, row));
    rh_close(c);
    job.cfg.servers = "tcp://127.0.0.1:9";
    i = (struct interrupter){.armed = true};
    ck_assert_refused(rh_connect(&job.cfg, &c), RH_EUNREACHABLE, "tcp://127.0.0.1:9");
    ck_assert_int_eq(i.asked, 3);
    job_stop(&job);
}
END_TEST

START_TEST(a_push_to_a_stopped_server_is_owed_and_applied_once) {
    begin(_i, 2);
    rh_client *c = job_connect(&job, 0);
    rh_table *t = job_table(c, "t", 100, 2);
    uint64_t ids[100];
    float ones[200], rows[200];
    for (uint64_t i = 0; i < 100; i++)
        ids[i] = i;
    for (int i = 0; i < 200; i++)
        ones[i] = 1;
    servers_signal(&job.servers, 1, SIGSTOP);
    rh_op *op;
    ck_assert_ok(rh_push_begin(t, ids, 100, ones, &op));
    ck_assert_refused(rh_wait(&op, 2500), RH_ETIMEDOUT, "shard 1"); /* sent twice by now */
    ck_assert_ptr_nonnull(op);
    servers_signal(&job.servers, 1, SIGCONT);
    ck_assert_ok(rh_tick(c)); /* waits for it */
    ck_assert_int_eq(rh_op_done(op), 1);
    ck_assert_ok(rh_wait(&op, -1));
    ck_assert_ok(rh_pull(t, ids, 100, rows));
    for (int i = 0; i < 200; i++)
        ck_assert_float_eq(rows[i], -1);
    rh_close(c);
    job_stop(&job);
}
END_TEST

START_TEST(a_restarted_server_tells_its_old_workers_that_the_job_goes_back) {
    begin(_i, 1);
    rh_client *c = job_connect(&job, 0);
    rh_table *t = job_table(c, "t", 100, 2);
    uint64_t id = 1;
    float row[2] = {1, 1};
    ck_assert_ok(rh_push(t, &id, 1, row));
    char address[SERVERS_ADDRESS];
    snprintf(address, sizeof address, "%s", job.servers.addresses[0]);
    servers_signal(&job.servers, 0, SIGKILL);
    servers_add(&job.servers, NULL, address, 0, 1, "--rejoin=0");
    ck_assert_refused(rh_push(t, &id, 1, row), RH_EROLLBACK, address);
    ck_assert_refused(rh_pull(t, &id, 1, row), RH_EROLLBACK, address);
    ck_assert_refused(rh_tick(c), RH_EROLLBACK, address);
    rh_close(c);
    job_stop(&job);
}
END_TEST

int main(void) {
    signal(SIGPIPE, SIG_IGN);
    Suite *s = suite_create("failures");
    TCase *t = tcase_create("failures");
    tcase_set_timeout(t, 60);
#define OVER_SOCKETS(test) tcase_add_loop_test(t, test, JOB_IPC, JOB_TCP + 1)
    tcase_add_test(t, nobody_listens_is_eunreachable_by_the_deadline_and_names_the_address);
    OVER_SOCKETS(one_shard_of_two_that_does_not_answer_is_the_one_that_is_named);
    OVER_SOCKETS(two_servers_that_claim_one_shard_are_named);
    OVER_SOCKETS(a_missing_shard_and_a_wrong_order_are_emismatch);
    tcase_add_test(t, addresses_that_cannot_be_read_are_einval);
    OVER_SOCKETS(a_server_that_starts_later_is_waited_for);
    tcase_add_test(t, a_server_of_another_version_is_eversion_and_both_are_named);
    tcase_add_test(t, a_server_that_talks_noise_is_eunreachable);
    tcase_add_test(t, a_server_that_answers_nonsense_is_eproto_from_then_on);
    OVER_SOCKETS(an_interrupted_wait_ends_as_if_its_deadline_had_passed);
    OVER_SOCKETS(a_killed_server_ends_every_call_by_its_deadline);
    OVER_SOCKETS(a_push_to_a_stopped_server_is_owed_and_applied_once);
    OVER_SOCKETS(a_restarted_server_tells_its_old_workers_that_the_job_goes_back);
#undef OVER_SOCKETS
    suite_add_tcase(s, t);
    return job_main(s);
}
