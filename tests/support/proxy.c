/* proxy.c - see proxy.h. One loop over poll; a direction of a connection has one buffer, which is filled when it is
 * empty. */
#include "tests/support/proxy.h"

#include <arpa/inet.h>
#include <check.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "common/clock.h"

enum { LINKS = 128, HELD = 1 << 16, TRICKLE_MS = 1000 };

const char *const proxy_fault_names[PROXY_FAULTS] = {"cut", "half-open", "black hole", "trickle",
                                                     "delay"};

struct order {
    enum proxy_fault fault;
    uint32_t route, after_bytes, ms;
    bool to_server;
};

/* What the parent sees, and how it speaks. */
struct proxy_order {
    atomic_uint struck, over;
    int orders[2]; /* a pipe */
};

enum { CLIENT, SERVER, ENDS };

/* What one end has sent and the other has not got yet. */
struct way {
    uint8_t held[HELD];
    size_t from, to;
    uint64_t carried; /* since the fault in hand was ordered */
};

struct link {
    bool used, struck;
    uint32_t route;
    int fd[ENDS];
    struct way way[ENDS]; /* by who sends */
    enum proxy_fault fault;
    int64_t until_ms, next_ms; /* of what has struck it */
};

struct loop {
    struct proxy *p;
    uint32_t n;
    int listeners[PROXY_ROUTES];
    uint16_t servers[PROXY_ROUTES];
    struct link *links; /* (LINKS) */
    struct order order;
    bool ordered;
    int64_t now_ms;
};

/* ---- sockets ---- */

static struct sockaddr_in loopback(uint16_t port) {
    struct sockaddr_in a = {.sin_family = AF_INET, .sin_port = htons(port)};
    a.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    return a;
}

static int listen_on_any(uint16_t *port) {
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    struct sockaddr_in a = loopback(0);
    socklen_t len = sizeof a;
    ck_assert_int_ge(fd, 0);
    ck_assert_int_eq(bind(fd, (struct sockaddr *)&a, sizeof a), 0);
    ck_assert_int_eq(listen(fd, LINKS), 0);
    ck_assert_int_eq(getsockname(fd, (struct sockaddr *)&a, &len), 0);
    *port = ntohs(a.sin_port);
    return fd;
}

/* As one whose host has lost its memory: the other side gets a reset, and nothing that was on its way. */
static void reset(int *fd) {
    struct linger hard = {.l_onoff = 1, .l_linger = 0};
    if (*fd < 0)
        return;
    setsockopt(*fd, SOL_SOCKET, SO_LINGER, &hard, sizeof hard);
    close(*fd);
    *fd = -1;
}

/* Where nobody listens a socket may be given that very port, and meet itself. */
static bool is_itself(int fd, const struct sockaddr_in *peer) {
    struct sockaddr_in us = {0};
    socklen_t len = sizeof us;
    return getsockname(fd, (struct sockaddr *)&us, &len) == 0 && us.sin_port == peer->sin_port;
}

static void set_up(int fd) {
    int on = 1;
    fcntl(fd, F_SETFL, fcntl(fd, F_GETFL) | O_NONBLOCK);
    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
}

/* ---- links ---- */

static void drop(struct loop *l, struct link *k) {
    reset(&k->fd[CLIENT]);
    reset(&k->fd[SERVER]);
    if (k->struck)
        atomic_fetch_add(&l->p->order->over, 1);
    k->used = false;
}

static void close_gently(struct link *k) {
    for (int e = 0; e < ENDS; e++) {
        if (k->fd[e] >= 0)
            close(k->fd[e]);
        k->fd[e] = -1;
    }
}

static void take_in(struct loop *l, uint32_t route) {
    int client = accept(l->listeners[route], NULL, NULL);
    struct sockaddr_in a = loopback(l->servers[route]);
    struct link *k = l->links;
    if (client < 0)
        return;
    while (k < l->links + LINKS && k->used)
        k++;
    int server = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (k == l->links + LINKS || connect(server, (struct sockaddr *)&a, sizeof a) != 0 ||
        is_itself(server, &a)) {
        reset(&client);
        reset(&server);
        return;
    }
    set_up(client);
    set_up(server);
    k->used = true;
    k->struck = false;
    k->route = route;
    k->fd[CLIENT] = client;
    k->fd[SERVER] = server;
    for (int e = 0; e < ENDS; e++)
        k->way[e].from = k->way[e].to = k->way[e].carried = 0;
}

static void strike(struct loop *l, struct link *k) {
    const struct order *o = &l->order;
    l->ordered = false;
    k->struck = true;
    k->fault = o->fault;
    k->until_ms = l->now_ms + o->ms;
    k->next_ms = l->now_ms + TRICKLE_MS;
    atomic_fetch_add(&l->p->order->struck, 1);
    if (o->fault == PROXY_CUT)
        drop(l, k);
    else if (o->fault == PROXY_HALF_OPEN)
        reset(&k->fd[o->to_server ? SERVER : CLIENT]);
}

/* What has struck it is over. */
static void recover(struct loop *l, struct link *k) {
    if (k->fault == PROXY_HALF_OPEN || k->fault == PROXY_BLACKHOLE) {
        drop(l, k);
        return;
    }
    k->struck = false;
    atomic_fetch_add(&l->p->order->over, 1);
}

/* How many bytes of a way may be passed on now. */
static size_t may_pass(const struct loop *l, const struct link *k, int sender) {
    const struct way *w = &k->way[sender];
    const size_t held = w->to - w->from;
    if (k->struck && k->fault == PROXY_TRICKLE)
        return l->now_ms >= k->next_ms && held > 0 ? 1 : 0;
    if (k->struck)
        return 0;
    const struct order *o = &l->order;
    if (!l->ordered || o->route != k->route || o->to_server != (sender == CLIENT))
        return held;
    const uint64_t left = o->after_bytes - w->carried;
    return held < left ? held : left;
}

static bool is_due(const struct loop *l, const struct link *k, int sender) {
    const struct order *o = &l->order;
    return l->ordered && !k->struck && o->route == k->route && o->to_server == (sender == CLIENT) &&
           k->way[sender].carried >= o->after_bytes;
}

/* False: the link is gone. */
static bool pass(struct loop *l, struct link *k, int sender) {
    struct way *w = &k->way[sender];
    const size_t n = may_pass(l, k, sender);
    if (n > 0) {
        ssize_t put = send(k->fd[!sender], w->held + w->from, n, MSG_NOSIGNAL);
        if (put < 0 && errno != EAGAIN && errno != EINTR) {
            drop(l, k);
            return false;
        }
        w->from += put > 0 ? (size_t)put : 0;
        w->carried += put > 0 ? (uint64_t)put : 0;
    }
    if (is_due(l, k, sender))
        strike(l, k);
    return k->used;
}

/* Bytes that vanish are read all the same. False: the link is gone. */
static bool fill(struct loop *l, struct link *k, int sender) {
    struct way *w = &k->way[sender];
    ssize_t got = recv(k->fd[sender], w->held, HELD, 0);
    if (got == 0) /* who has said goodbye: what was passed on before is still to be read */
        close_gently(k);
    if (got == 0 || (got < 0 && errno != EAGAIN && errno != EINTR)) {
        drop(l, k);
        return false;
    }
    const bool vanish = k->struck && k->fault == PROXY_HALF_OPEN;
    w->from = 0;
    w->to = got > 0 && !vanish ? (size_t)got : 0;
    return true;
}

static bool may_fill(const struct link *k, int sender) {
    return k->fd[sender] >= 0 && k->way[sender].from == k->way[sender].to &&
           !(k->struck && k->fault == PROXY_BLACKHOLE);
}

/* ---- the loop ---- */

static void take_order(struct loop *l) {
    if (read(l->p->order->orders[0], &l->order, sizeof l->order) != (ssize_t)sizeof l->order)
        _exit(0);
    l->ordered = true;
    for (struct link *k = l->links; k < l->links + LINKS; k++)
        k->way[CLIENT].carried = k->way[SERVER].carried = 0;
}

/* Milliseconds until something is due by itself. */
static int next_due(const struct loop *l) {
    int64_t due = l->now_ms + 1000;
    for (const struct link *k = l->links; k < l->links + LINKS; k++) {
        if (!k->used || !k->struck)
            continue;
        due = k->until_ms < due ? k->until_ms : due;
        due = k->fault == PROXY_TRICKLE && k->next_ms < due ? k->next_ms : due;
    }
    return due > l->now_ms ? (int)(due - l->now_ms) : 0;
}

/* In the order of the links and their ends, behind the listeners and the orders. */
static nfds_t watch(const struct loop *l, struct pollfd *all) {
    nfds_t n = 0;
    all[n++] = (struct pollfd){.fd = l->p->order->orders[0], .events = POLLIN};
    for (uint32_t i = 0; i < l->n; i++)
        all[n++] = (struct pollfd){.fd = l->listeners[i], .events = POLLIN};
    for (const struct link *k = l->links; k < l->links + LINKS; k++) {
        for (int e = 0; e < ENDS; e++) {
            short events =
                (short)((may_fill(k, e) ? POLLIN : 0) | (may_pass(l, k, !e) > 0 ? POLLOUT : 0));
            all[n++] =
                (struct pollfd){.fd = k->used && events != 0 ? k->fd[e] : -1, .events = events};
        }
    }
    return n;
}

static void turn(struct loop *l, struct link *k, const struct pollfd ends[ENDS]) {
    if (k->struck && l->now_ms >= k->until_ms)
        recover(l, k);
    for (int e = 0; k->used && e < ENDS; e++)
        if (ends[e].revents != 0 && may_fill(k, e) && !fill(l, k, e))
            return;
    for (int e = 0; k->used && e < ENDS; e++)
        if (k->fd[!e] >= 0 && !pass(l, k, e))
            return;
    if (k->used && k->struck && l->now_ms >= k->next_ms)
        k->next_ms = l->now_ms + TRICKLE_MS;
}

static void serve(struct loop *l) {
    static struct pollfd all[1 + PROXY_ROUTES + LINKS * ENDS];
    for (;;) {
        nfds_t n = watch(l, all);
        l->now_ms = clock_now_ms();
        poll(all, n, next_due(l));
        l->now_ms = clock_now_ms();
        for (uint32_t i = 0; i < LINKS; i++)
            if (l->links[i].used)
                turn(l, &l->links[i], &all[1 + l->n + i * ENDS]);
        for (uint32_t i = 0; i < l->n; i++)
            if (all[1 + i].revents != 0)
                take_in(l, i);
        if (all[0].revents != 0)
            take_order(l);
    }
}

/* ---- the parent's side ---- */

void proxy_start(struct proxy *p, const char (*servers)[256], uint32_t n) {
    static struct loop l;
    memset(p, 0, sizeof *p);
    l = (struct loop){.p = p, .n = n};
    p->n = n;
    p->order =
        mmap(NULL, sizeof *p->order, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    ck_assert(p->order != MAP_FAILED && n <= PROXY_ROUTES);
    ck_assert_int_eq(pipe2(p->order->orders, O_CLOEXEC), 0);
    for (uint32_t i = 0; i < n; i++) {
        size_t len = strlen(p->list);
        ck_assert_int_eq(sscanf(servers[i], "tcp://127.0.0.1:%hu", &l.servers[i]), 1);
        l.listeners[i] = listen_on_any(&p->ports[i]);
        snprintf(p->list + len, sizeof p->list - len, "%stcp://127.0.0.1:%u", i > 0 ? "," : "",
                 p->ports[i]);
    }
    p->pid = fork();
    ck_assert_int_ge(p->pid, 0);
    if (p->pid == 0) {
        prctl(PR_SET_PDEATHSIG, SIGKILL);
        l.links = calloc(LINKS, sizeof *l.links);
        for (uint32_t i = 0; i < LINKS; i++)
            l.links[i].fd[CLIENT] = l.links[i].fd[SERVER] = -1;
        serve(&l);
    }
    for (uint32_t i = 0; i < n; i++)
        close(l.listeners[i]);
}

void proxy_stop(struct proxy *p) {
    kill(p->pid, SIGKILL);
    ck_assert_int_eq(waitpid(p->pid, NULL, 0), p->pid);
    close(p->order->orders[0]);
    close(p->order->orders[1]);
    munmap(p->order, sizeof *p->order);
}

void proxy_order(struct proxy *p, enum proxy_fault fault, uint32_t route, bool to_server,
                 uint32_t after_bytes, uint32_t ms) {
    const struct order o = {fault, route, after_bytes, ms, to_server};
    ck_assert_int_eq(write(p->order->orders[1], &o, sizeof o), (ssize_t)sizeof o);
}

uint32_t proxy_struck(const struct proxy *p) {
    return atomic_load(&p->order->struck);
}

uint32_t proxy_over(const struct proxy *p) {
    return atomic_load(&p->order->over);
}
