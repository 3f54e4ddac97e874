/* test_net.c - tcp:// and ipc://: frames arrive whole and in order while a connection lasts,
 * nothing ever blocks, every reference comes back, and what a bad address, a dead peer or a
 * hostile one gets. Each test runs over both transports. */
#include <arpa/inet.h>
#include <check.h>
#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "common/clock.h"
#include "common/err.h"
#include "proto/net.h"
#include "proto/wire.h"
#include "tests/unit/suites.h"

enum { TCP = 0, IPC = 1, TRANSPORTS = 2, MIB = 1 << 20, LONG_MS = 10000 };

static char folder[64];

static void setup(void) {
    snprintf(folder, sizeof folder, "%s/rhnet.XXXXXX",
             getenv("TMPDIR") != NULL && strlen(getenv("TMPDIR")) < 40 ? getenv("TMPDIR") : "/tmp");
    ck_assert_ptr_nonnull(mkdtemp(folder));
}

static void teardown(void) {
    char path[128];
    snprintf(path, sizeof path, "%s/sock", folder);
    unlink(path);
    rmdir(folder);
}

/* ---- helpers ---- */

static const char *any_address(int transport) {
    static char address[128];
    snprintf(address, sizeof address, transport == TCP ? "tcp://127.0.0.1:*" : "ipc://%s/sock",
             folder);
    return address;
}

static struct net *must_open(const char *address) {
    const struct net_ops *ops;
    struct net *n;
    ck_assert_int_eq(net_find(address, &ops), RH_OK);
    ck_assert_int_eq(ops->open(ops, &n), RH_OK);
    return n;
}

static struct net *must_listen(const char *address, char bound[256]) {
    struct net *n = must_open(address);
    rh_status s = n->ops->listen(n, address, bound, 256);
    ck_assert_msg(s == RH_OK, "%s", err_text());
    return n;
}

static struct net *must_dial(const char *address, uint32_t *peer) {
    struct net *n = must_open(address);
    ck_assert_int_eq(n->ops->dial(n, address, peer), RH_OK);
    return n;
}

/* A server and a client that know each other: the server has heard of the client. */
struct pair {
    struct net *server, *client;
    uint32_t to_server, to_client;
};

static struct frame *filled(struct net *n, size_t len, uint32_t seed) {
    struct frame *f = frame_new(n->pool, len);
    ck_assert_ptr_nonnull(f);
    for (size_t i = 0; i < len; i++)
        f->data[i] = (uint8_t)(seed * 31 + i * 7 + (i >> 8));
    return f;
}

static bool is_filled(const struct frame *f, size_t len, uint32_t seed) {
    if (f->len != len)
        return false;
    for (size_t i = 0; i < len; i++)
        if (f->data[i] != (uint8_t)(seed * 31 + i * 7 + (i >> 8)))
            return false;
    return true;
}

static rh_status send_to(struct net *n, uint32_t peer, struct frame *f) {
    return n->ops->send(n, peer, f);
}

/* As an owner does it: recv until nothing, then poll. NULL after timeout_ms. */
static struct frame *receive(struct net *n, uint32_t *peer, int timeout_ms) {
    int64_t until_ms = clock_now_ms() + timeout_ms;
    for (;;) {
        struct frame *f = n->ops->recv(n, peer);
        int64_t left_ms = until_ms - clock_now_ms();
        if (f != NULL || left_ms <= 0)
            return f;
        struct pollfd p = {.fd = n->ops->fd(n), .events = POLLIN};
        poll(&p, 1, (int)left_ms);
    }
}

static void must_receive(struct net *n, uint32_t *peer, size_t len, uint32_t seed) {
    struct frame *f = receive(n, peer, LONG_MS);
    ck_assert_msg(f != NULL, "nothing came within %d ms", LONG_MS);
    ck_assert_msg(is_filled(f, len, seed), "not frame %u: %zu bytes, expected %zu", seed, f->len,
                  len);
    frame_unref(f);
}

static struct pair must_pair(int transport) {
    struct pair p;
    char bound[256];
    p.server = must_listen(any_address(transport), bound);
    p.client = must_dial(bound, &p.to_server);
    ck_assert_int_eq(send_to(p.client, p.to_server, filled(p.client, 5, 1)), RH_OK);
    must_receive(p.server, &p.to_client, 5, 1);
    return p;
}

static void close_pair(struct pair *p) {
    p->client->ops->close(p->client, 0);
    p->server->ops->close(p->server, 0);
}

/* ---- carrying ---- */

static size_t nth_length(uint32_t i) {
    static const size_t lens[] = {1, 33, 34, 64, 255, 256, 257, 4096, 8192, 70001};
    return lens[i % (sizeof lens / sizeof *lens)];
}

START_TEST(thousands_of_frames_arrive_whole_and_in_order_both_ways) {
    enum { FRAMES = 5000, WINDOW = 200 };
    struct pair p = must_pair(_i);
    for (uint32_t sent = 0, back = 0; back < FRAMES;) {
        uint32_t peer;
        for (; sent < FRAMES && sent < back + WINDOW; sent++)
            ck_assert_int_eq(
                send_to(p.client, p.to_server, filled(p.client, nth_length(sent), sent)), RH_OK);
        must_receive(p.server, &peer, nth_length(back), back);
        ck_assert_uint_eq(peer, p.to_client);
        ck_assert_int_eq(send_to(p.server, peer, filled(p.server, nth_length(back + 3), back)),
                         RH_OK);
        must_receive(p.client, &peer, nth_length(back + 3), back);
        ck_assert_uint_eq(peer, p.to_server);
        back++;
    }
    close_pair(&p);
}
END_TEST

START_TEST(frames_of_a_mebibyte_and_of_the_maximum_arrive_unchanged) {
    struct pair p = must_pair(_i);
    uint32_t peer;
    static const size_t lens[] = {MIB, WIRE_FRAME_MAX, MIB + 1, WIRE_FRAME_MAX - 1};
    for (uint32_t i = 0; i < 4; i++)
        ck_assert_int_eq(send_to(p.client, p.to_server, filled(p.client, lens[i], i)), RH_OK);
    for (uint32_t i = 0; i < 4; i++)
        must_receive(p.server, &peer, lens[i], i);
    close_pair(&p);
}
END_TEST

START_TEST(an_empty_frame_arrives_empty) {
    struct pair p = must_pair(_i);
    uint32_t peer;
    ck_assert_int_eq(send_to(p.client, p.to_server, filled(p.client, 0, 0)), RH_OK);
    must_receive(p.server, &peer, 0, 0);
    close_pair(&p);
}
END_TEST

START_TEST(answers_go_to_the_peer_that_asked) {
    enum { CLIENTS = 5 };
    char bound[256];
    struct net *server = must_listen(any_address(_i), bound);
    struct net *clients[CLIENTS];
    uint32_t peers[CLIENTS], from;
    for (uint32_t i = 0; i < CLIENTS; i++) {
        clients[i] = must_dial(bound, &peers[i]);
        send_to(clients[i], peers[i], filled(clients[i], 300 + i, i));
        struct frame *f = receive(server, &from, LONG_MS);
        ck_assert_int_eq(send_to(server, from, filled(server, f->len + 1, (uint32_t)f->len)),
                         RH_OK);
        frame_unref(f);
    }
    for (uint32_t i = 0; i < CLIENTS; i++) {
        must_receive(clients[i], &from, 301 + i, 300 + i);
        clients[i]->ops->close(clients[i], 0);
    }
    server->ops->close(server, 0);
}
END_TEST

START_TEST(one_net_hears_all_its_dialled_peers) {
    enum { SERVERS = 7, ROUNDS = 30 };
    struct net *servers[SERVERS], *client = must_open("tcp://127.0.0.1:1");
    uint32_t peers[SERVERS], back[SERVERS], heard[SERVERS] = {0}, from;
    for (uint32_t i = 0; i < SERVERS; i++) {
        char bound[256];
        servers[i] = must_listen("tcp://127.0.0.1:*", bound);
        ck_assert_int_eq(client->ops->dial(client, bound, &peers[i]), RH_OK);
        send_to(client, peers[i], filled(client, 9, i));
    }
    for (uint32_t i = 0; i < SERVERS; i++) {
        frame_unref(receive(servers[i], &back[i], LONG_MS));
    }
    for (uint32_t k = 0; k < SERVERS * ROUNDS; k++) {
        uint32_t i = k % SERVERS;
        ck_assert_int_eq(send_to(servers[i], back[i], filled(servers[i], 1000, k / SERVERS)),
                         RH_OK);
    }
    for (uint32_t k = 0; k < SERVERS * ROUNDS; k++) {
        struct frame *f = receive(client, &from, LONG_MS);
        ck_assert_ptr_nonnull(f);
        uint32_t i = 0;
        while (peers[i] != from)
            ck_assert_uint_lt(++i, SERVERS);
        ck_assert(is_filled(f, 1000, heard[i]++));
        frame_unref(f);
    }
    client->ops->hangup(client, peers[3]);
    ck_assert_int_eq(send_to(client, peers[3], filled(client, 10, 1)), RH_EUNREACHABLE);
    for (uint32_t i = 0; i < SERVERS; i++)
        servers[i]->ops->close(servers[i], 0);
    client->ops->close(client, 0);
}
END_TEST

START_TEST(a_received_frame_may_outlive_its_net) {
    struct pair p = must_pair(_i);
    uint32_t peer;
    send_to(p.client, p.to_server, filled(p.client, 20, 4));
    send_to(p.client, p.to_server, filled(p.client, MIB, 5));
    struct frame *small = receive(p.server, &peer, LONG_MS),
                 *large = receive(p.server, &peer, LONG_MS);
    close_pair(&p);
    ck_assert(is_filled(small, 20, 4));
    ck_assert(is_filled(large, MIB, 5));
    frame_unref(small);
    frame_unref(large);
}
END_TEST

START_TEST(what_was_sent_before_a_close_with_linger_still_arrives) {
    struct pair p = must_pair(_i);
    uint32_t peer;
    for (uint32_t i = 0; i < 20; i++)
        send_to(p.server, p.to_client, filled(p.server, 100000, i));
    p.server->ops->close(p.server, 2000);
    for (uint32_t i = 0; i < 20; i++)
        must_receive(p.client, &peer, 100000, i);
    p.client->ops->close(p.client, 0);
}
END_TEST

/* ---- references ---- */

static atomic_int released;

static void count_release(struct frame *f) {
    free(f);
    atomic_fetch_add(&released, 1);
}

static struct frame *counted(size_t len) {
    static uint8_t bytes[MIB];
    struct frame *f = calloc(1, sizeof *f);
    *f = (struct frame){.data = bytes, .len = len, .cap = len, .release = count_release};
    atomic_init(&f->refs, 1);
    return f;
}

START_TEST(every_sent_frame_is_released_once) {
    struct pair p = must_pair(_i);
    uint32_t peer;
    atomic_store(&released, 0);
    for (uint32_t i = 0; i < 100; i++) {
        send_to(p.client, p.to_server, counted(i % 2 ? 100 : 5000));
        send_to(p.server, p.to_client, counted(i % 2 ? 100 : 5000));
    }
    send_to(p.server, 12345, counted(5000)); /* nobody */
    send_to(p.server, 12345, counted(50));
    for (uint32_t i = 0; i < 100; i++)
        frame_unref(receive(p.server, &peer, LONG_MS));
    close_pair(&p);
    ck_assert_int_eq(atomic_load(&released), 202);
}
END_TEST

START_TEST(frames_to_nobody_queue_up_to_a_limit_and_are_released_too) {
    uint32_t peer;
    struct net *n = must_dial(_i == TCP ? "tcp://127.0.0.1:1" : "ipc:///nowhere/at/all", &peer);
    atomic_store(&released, 0);
    int64_t began_ms = clock_now_ms();
    int queued = 0;
    for (int i = 0; i < 20000; i++)
        queued += send_to(n, peer, counted(5000)) == RH_OK;
    ck_assert_int_lt(clock_now_ms() - began_ms, 2000);
    ck_assert_int_lt(queued, 10000);
    ck_assert_int_eq(atomic_load(&released), 20000 - queued);
    n->ops->close(n, 0);
    ck_assert_int_eq(atomic_load(&released), 20000);
}
END_TEST

/* ---- peers that come and go ---- */

START_TEST(what_was_sent_before_anybody_listened_arrives_in_order) {
    char bound[256];
    struct net *server = must_listen(any_address(_i), bound);
    server->ops->close(server, 0); /* a free address */
    uint32_t to, from;
    struct net *client = must_dial(bound, &to);
    for (uint32_t i = 0; i < 10; i++)
        ck_assert_int_eq(send_to(client, to, filled(client, 1000, i)), RH_OK);
    ck_assert_ptr_null(receive(client, &from, 100));
    server = must_listen(bound, bound);
    for (uint32_t i = 0; i < 10; i++)
        must_receive(server, &from, 1000, i);
    client->ops->close(client, 0);
    server->ops->close(server, 0);
}
END_TEST

START_TEST(sending_to_a_peer_that_left_is_unreachable_and_never_blocks) {
    struct pair p = must_pair(_i);
    p.client->ops->close(p.client, 0);
    rh_status s = RH_OK;
    uint32_t peer;
    int64_t began_ms = clock_now_ms();
    while (s == RH_OK && clock_now_ms() - began_ms < LONG_MS) {
        s = send_to(p.server, p.to_client, filled(p.server, 1000, 0));
        ck_assert_ptr_null(receive(p.server, &peer, 1));
    }
    ck_assert_int_eq(s, RH_EUNREACHABLE);
    p.server->ops->close(p.server, 0);
}
END_TEST

START_TEST(a_peer_that_does_not_read_makes_sends_fail_not_wait) {
    struct pair p = must_pair(_i);
    int lost = 0;
    int64_t began_ms = clock_now_ms();
    for (int i = 0; i < 20000; i++)
        lost += send_to(p.server, p.to_client, counted(3000)) != RH_OK;
    ck_assert_int_gt(lost, 0);
    ck_assert_int_lt(clock_now_ms() - began_ms, LONG_MS);
    close_pair(&p);
}
END_TEST

START_TEST(a_client_finds_the_next_life_of_its_server) {
    struct pair p = must_pair(TCP);
    char bound[256];
    uint32_t to, from;
    struct net *server = must_listen("tcp://127.0.0.1:*", bound);
    struct net *client = must_dial(bound, &to);
    for (int life = 0; life < 3; life++) {
        struct frame *f = NULL;
        for (uint32_t i = 0; f == NULL && i < 500; i++) {
            ck_assert_int_eq(send_to(client, to, filled(client, 500, 7)), RH_OK);
            ck_assert_ptr_null(receive(client, &from, 10));
            f = receive(server, &from, 10);
        }
        ck_assert_msg(f != NULL, "life %d was not found", life);
        frame_unref(f);
        server->ops->close(server, 0);
        server = must_listen(bound, bound);
    }
    client->ops->close(client, 0);
    server->ops->close(server, 0);
    close_pair(&p);
}
END_TEST

/* ---- waking ---- */

static void *wake_soon(void *net) {
    struct net *n = net;
    usleep(50000);
    n->ops->wake(n);
    return NULL;
}

static bool readable(struct net *n, int timeout_ms) {
    struct pollfd p = {.fd = n->ops->fd(n), .events = POLLIN};
    return poll(&p, 1, timeout_ms) == 1;
}

START_TEST(another_thread_wakes_the_owner_once) {
    uint32_t peer;
    struct net *n = must_open(any_address(_i));
    ck_assert_ptr_null(n->ops->recv(n, &peer));
    ck_assert(!readable(n, 0));
    pthread_t thread;
    ck_assert_int_eq(pthread_create(&thread, NULL, wake_soon, n), 0);
    ck_assert(readable(n, LONG_MS));
    pthread_join(thread, NULL);
    ck_assert_ptr_null(n->ops->recv(n, &peer));
    ck_assert_ptr_null(n->ops->recv(n, &peer));
    ck_assert(!readable(n, 0));
    n->ops->close(n, 0);
}
END_TEST

/* An owner that looks at its orders, then receives, then polls, must not sleep through a wake that
 * came between the first two: the last of these lines is that poll. */
START_TEST(a_wake_before_recv_is_seen_by_the_poll_behind_it) {
    uint32_t peer;
    struct net *n = must_open(any_address(_i));
    ck_assert_ptr_null(n->ops->recv(n, &peer));
    n->ops->wake(n);
    ck_assert_ptr_null(n->ops->recv(n, &peer));
    ck_assert(readable(n, 0));
    n->ops->wake(n);
    ck_assert_ptr_null(n->ops->recv(n, &peer));
    ck_assert(readable(n, 0));
    n->ops->close(n, 0);
}
END_TEST

/* ---- addresses ---- */

START_TEST(a_port_in_use_is_eio_and_names_the_address) {
    char bound[256], other[256];
    struct net *first = must_listen(any_address(_i), bound), *second = must_open(bound);
    ck_assert_int_eq(second->ops->listen(second, bound, other, sizeof other), RH_EIO);
    ck_assert_ptr_nonnull(strstr(err_text(), bound));
    ck_assert_ptr_nonnull(strstr(err_text(), "address already in use; is another server running?"));
    second->ops->close(second, 0);

    /* ... and the first is still there. */
    uint32_t to, from;
    struct net *client = must_dial(bound, &to);
    send_to(client, to, filled(client, 5, 1));
    struct frame *f = receive(first, &from, LONG_MS);
    frame_unref(f);
    client->ops->close(client, 0);
    first->ops->close(first, 0);
}
END_TEST

START_TEST(a_net_listens_once) {
    char bound[256];
    struct net *n = must_listen(any_address(_i), bound);
    ck_assert_int_eq(
        n->ops->listen(n, _i == TCP ? "tcp://127.0.0.1:*" : "ipc:///tmp/x", bound, 256), RH_EIO);
    n->ops->close(n, 0);
}
END_TEST

static void unix_address(struct sockaddr_un *to) {
    *to = (struct sockaddr_un){.sun_family = AF_UNIX};
    snprintf(to->sun_path, sizeof to->sun_path, "%s/sock", folder);
}

START_TEST(the_socket_of_a_dead_server_is_replaced) {
    struct sockaddr_un at;
    unix_address(&at);
    int fd = socket(AF_UNIX, SOCK_STREAM, 0);
    ck_assert_int_eq(bind(fd, (struct sockaddr *)&at, sizeof at), 0);
    ck_assert_int_eq(listen(fd, 1), 0);
    close(fd);
    struct pair p = must_pair(IPC);
    struct stat st;
    ck_assert_int_eq(stat(at.sun_path, &st), 0);
    ck_assert_uint_eq(st.st_mode & 0777, 0600);
    close_pair(&p);
}
END_TEST

START_TEST(a_file_at_the_path_is_left_alone) {
    struct sockaddr_un at;
    unix_address(&at);
    FILE *file = fopen(at.sun_path, "w");
    ck_assert_ptr_nonnull(file);
    fclose(file);
    char bound[256];
    struct net *n = must_open(any_address(IPC));
    ck_assert_int_eq(n->ops->listen(n, any_address(IPC), bound, sizeof bound), RH_EIO);
    ck_assert_ptr_nonnull(strstr(err_text(), "not a socket"));
    ck_assert_int_eq(access(at.sun_path, F_OK), 0);
    n->ops->close(n, 0);
}
END_TEST

START_TEST(addresses_that_cannot_be_read_are_einval) {
    static const char *const both[] = {"tcp://",
                                       "tcp://127.0.0.1",
                                       "tcp://127.0.0.1:",
                                       "tcp://:7700",
                                       "tcp://h:99999",
                                       "tcp://h:-5",
                                       "tcp://h: 5",
                                       "tcp://h:0",
                                       "tcp://h:77x",
                                       "tcp://a b:7700",
                                       "tcp://[::1]",
                                       "tcp://::1:7700",
                                       "ipc://",
                                       "ipc://@abstract",
                                       "ipc://*",
                                       "tcp:/h:7700",
                                       "tcp://h:7700/x",
                                       "tcp://[::1:7700",
                                       "tcp://h:000000000007700"};
    static const char *const dial_only[] = {"tcp://*:7700", "tcp://127.0.0.1:*"};
    struct net *tcp = must_open("tcp://x:1"), *ipc = must_open("ipc:///x");
    char bound[256];
    uint32_t peer;
    for (size_t i = 0; i < sizeof both / sizeof *both; i++) {
        struct net *n = strncmp(both[i], "ipc", 3) == 0 ? ipc : tcp;
        ck_assert_msg(n->ops->dial(n, both[i], &peer) == RH_EINVAL, "%s", both[i]);
        ck_assert_msg(n->ops->listen(n, both[i], bound, sizeof bound) == RH_EINVAL, "%s", both[i]);
        ck_assert_ptr_nonnull(strstr(err_text(), both[i]));
    }
    for (size_t i = 0; i < 2; i++)
        ck_assert_msg(tcp->ops->dial(tcp, dial_only[i], &peer) == RH_EINVAL, "%s", dial_only[i]);
    ck_assert_int_eq(tcp->ops->dial(tcp, "ipc:///x", &peer), RH_EINVAL);
    ck_assert_int_eq(ipc->ops->dial(ipc, "tcp://h:5", &peer), RH_EINVAL);
    tcp->ops->close(tcp, 0);
    ipc->ops->close(ipc, 0);
}
END_TEST

START_TEST(a_path_that_no_socket_can_have_is_einval_with_its_length) {
    char address[256] = "ipc:///tmp/";
    size_t n = strlen(address);
    memset(address + n, 'x', 104);
    address[n + 104] = '\0'; /* "/tmp/" and these: 109 */
    struct net *net = must_open(address);
    uint32_t peer;
    ck_assert_int_eq(net->ops->dial(net, address, &peer), RH_EINVAL);
    ck_assert_ptr_nonnull(strstr(err_text(), "109 bytes"));
    net->ops->close(net, 0);
}
END_TEST

START_TEST(an_unknown_scheme_is_einval_and_the_known_ones_are_named) {
    static const char *const bad[] = {"udp://h:1", "tcp",        "",         "://",
                                      "local:",    "tcpx://h:1", "TCP://h:1"};
    const struct net_ops *ops;
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        ck_assert_int_eq(net_find(bad[i], &ops), RH_EINVAL);
        ck_assert_ptr_nonnull(strstr(err_text(), "tcp://"));
        ck_assert_ptr_nonnull(strstr(err_text(), "ipc://"));
    }
}
END_TEST

START_TEST(addresses_that_cannot_be_bound_are_eio_with_the_reason) {
    static const char *const bad[][2] = {{"tcp://203.0.113.7:*", "no interface of this host"},
                                         {"tcp://no-such-host.invalid:7700", "cannot listen on"},
                                         {"ipc:///no/such/folder/sock", "No such file"}};
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        struct net *n = must_open(bad[i][0]);
        char bound[256];
        ck_assert_int_eq(n->ops->listen(n, bad[i][0], bound, sizeof bound), RH_EIO);
        ck_assert_msg(strstr(err_text(), bad[i][0]) && strstr(err_text(), bad[i][1]), "%s",
                      err_text());
        n->ops->close(n, 0);
    }
}
END_TEST

START_TEST(names_are_bound_and_every_interface_has_the_name_of_this_host) {
    char bound[256], name[128] = "", begin[160];
    struct net *n = must_listen("tcp://localhost:*", bound);
    ck_assert_int_eq(strncmp(bound, "tcp://localhost:", 16), 0);
    n->ops->close(n, 0);
    gethostname(name, sizeof name - 1);
    snprintf(begin, sizeof begin, "tcp://%s:", name);
    n = must_listen("tcp://*:*", bound);
    ck_assert_int_eq(strncmp(bound, begin, strlen(begin)), 0);
    ck_assert_int_gt(atoi(bound + strlen(begin)), 0);
    n->ops->close(n, 0);
}
END_TEST

/* ---- a hostile peer: bytes of ZMTP 3.0, written by hand ---- */

/* Connects, shakes hands, and says the identity. */
static int raw_connect(const char *bound, const char *identity, size_t len) {
    struct sockaddr_in to = {.sin_family = AF_INET,
                             .sin_port = htons((uint16_t)atoi(strrchr(bound, ':') + 1)),
                             .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    int fd = socket(AF_INET, SOCK_STREAM, 0);
    ck_assert_int_eq(connect(fd, (struct sockaddr *)&to, sizeof to), 0);
    uint8_t greeting[64] = {0xFF, [9] = 0x7F, [10] = 3, [12] = 'N', 'U', 'L', 'L'};
    ck_assert_int_eq(write(fd, greeting, sizeof greeting), sizeof greeting);
    uint8_t ready[64] = {4,   0,   5,   'R', 'E', 'A', 'D', 'Y', 11,  'S',         'o',
                         'c', 'k', 'e', 't', '-', 'T', 'y', 'p', 'e', 0,           0,
                         0,   6,   'D', 'E', 'A', 'L', 'E', 'R', 8,   'I',         'd',
                         'e', 'n', 't', 'i', 't', 'y', 0,   0,   0,   (uint8_t)len};
    memcpy(ready + 43, identity, len);
    ready[1] = (uint8_t)(41 + len);
    ck_assert_int_eq(write(fd, ready, 43 + len), (ssize_t)(43 + len));
    uint8_t theirs[64 + 43]; /* what comes before their READY is not counted as a message */
    ck_assert_int_eq(recv(fd, theirs, sizeof theirs, MSG_WAITALL), sizeof theirs);
    return fd;
}

static void raw_write(int fd, const void *p, size_t n) {
    ck_assert_int_eq(write(fd, p, n), (ssize_t)n);
}

START_TEST(a_message_that_is_no_frame_is_handed_on_empty) {
    char bound[256];
    uint32_t peer;
    struct net *server = must_listen("tcp://127.0.0.1:*", bound);
    int fd = raw_connect(bound, "", 0);
    raw_write(fd, "\1\2ab\1\1c\0\3def", 12); /* three parts */
    raw_write(fd, "\0\4good", 6);
    struct frame *f = receive(server, &peer, LONG_MS);
    ck_assert_ptr_nonnull(f);
    ck_assert_uint_eq(f->len, 0);
    frame_unref(f);
    f = receive(server, &peer, LONG_MS);
    ck_assert_uint_eq(f->len, 4);
    ck_assert_int_eq(memcmp(f->data, "good", 4), 0);
    frame_unref(f);
    close(fd);
    server->ops->close(server, 0);
}
END_TEST

START_TEST(a_peer_that_names_itself_is_handed_on_empty) {
    static const struct {
        const char *id;
        size_t len;
    } names[] = {{"fred", 4}, {"alice", 5}, {"abcdefgh", 8}};
    char bound[256];
    uint32_t peer;
    struct net *server = must_listen("tcp://127.0.0.1:*", bound);
    for (int i = 0; i < 3; i++) {
        int fd = raw_connect(bound, names[i].id, names[i].len);
        raw_write(fd, "\0\4good", 6);
        struct frame *f = receive(server, &peer, LONG_MS);
        ck_assert_ptr_nonnull(f);
        ck_assert_uint_eq(f->len, 0);
        frame_unref(f);
        close(fd);
    }
    server->ops->close(server, 0);
}
END_TEST

START_TEST(a_frame_above_the_maximum_ends_its_connection_and_no_other) {
    char bound[256];
    uint32_t peer, to;
    struct net *server = must_listen("tcp://127.0.0.1:*", bound), *client = must_dial(bound, &to);
    int fd = raw_connect(bound, "", 0);
    raw_write(fd, "\2\0\0\0\2\0\0\0\0", 9); /* 8 GiB are to come */
    char rest[256];
    ssize_t n;
    struct pollfd p = {.fd = fd, .events = POLLIN};
    do {
        ck_assert_int_eq(poll(&p, 1, LONG_MS), 1);
        n = read(fd, rest, sizeof rest);
    } while (n > 0);
    close(fd);
    send_to(client, to, filled(client, 5, 1));
    struct frame *f = receive(server, &peer, LONG_MS);
    frame_unref(f);
    client->ops->close(client, 0);
    server->ops->close(server, 0);
}
END_TEST

Suite *net_suite(void) {
    Suite *suite = suite_create("net");
    TCase *tc = tcase_create("net");
    tcase_add_checked_fixture(tc, setup, teardown);
    tcase_set_timeout(tc, 60);
    tcase_add_loop_test(tc, thousands_of_frames_arrive_whole_and_in_order_both_ways, 0, TRANSPORTS);
    tcase_add_loop_test(tc, frames_of_a_mebibyte_and_of_the_maximum_arrive_unchanged, 0,
                        TRANSPORTS);
    tcase_add_loop_test(tc, an_empty_frame_arrives_empty, 0, TRANSPORTS);
    tcase_add_loop_test(tc, answers_go_to_the_peer_that_asked, 0, TRANSPORTS);
    tcase_add_test(tc, one_net_hears_all_its_dialled_peers);
    tcase_add_loop_test(tc, a_received_frame_may_outlive_its_net, 0, TRANSPORTS);
    tcase_add_loop_test(tc, what_was_sent_before_a_close_with_linger_still_arrives, 0, TRANSPORTS);
    tcase_add_loop_test(tc, every_sent_frame_is_released_once, 0, TRANSPORTS);
    tcase_add_loop_test(tc, frames_to_nobody_queue_up_to_a_limit_and_are_released_too, 0,
                        TRANSPORTS);
    tcase_add_loop_test(tc, what_was_sent_before_anybody_listened_arrives_in_order, 0, TRANSPORTS);
    tcase_add_loop_test(tc, sending_to_a_peer_that_left_is_unreachable_and_never_blocks, 0,
                        TRANSPORTS);
    tcase_add_loop_test(tc, a_peer_that_does_not_read_makes_sends_fail_not_wait, 0, TRANSPORTS);
    tcase_add_test(tc, a_client_finds_the_next_life_of_its_server);
    tcase_add_loop_test(tc, another_thread_wakes_the_owner_once, 0, TRANSPORTS);
    tcase_add_loop_test(tc, a_wake_before_recv_is_seen_by_the_poll_behind_it, 0, TRANSPORTS);
    tcase_add_loop_test(tc, a_port_in_use_is_eio_and_names_the_address, 0, TRANSPORTS);
    tcase_add_loop_test(tc, a_net_listens_once, 0, TRANSPORTS);
    tcase_add_test(tc, the_socket_of_a_dead_server_is_replaced);
    tcase_add_test(tc, a_file_at_the_path_is_left_alone);
    tcase_add_test(tc, addresses_that_cannot_be_read_are_einval);
    tcase_add_test(tc, a_path_that_no_socket_can_have_is_einval_with_its_length);
    tcase_add_test(tc, an_unknown_scheme_is_einval_and_the_known_ones_are_named);
    tcase_add_test(tc, addresses_that_cannot_be_bound_are_eio_with_the_reason);
    tcase_add_test(tc, names_are_bound_and_every_interface_has_the_name_of_this_host);
    tcase_add_test(tc, a_message_that_is_no_frame_is_handed_on_empty);
    tcase_add_test(tc, a_peer_that_names_itself_is_handed_on_empty);
    tcase_add_test(tc, a_frame_above_the_maximum_ends_its_connection_and_no_other);
    suite_add_tcase(suite, tc);
    return suite;
}
