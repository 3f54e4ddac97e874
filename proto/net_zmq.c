/* net_zmq.c - tcp:// and ipc:// over ZeroMQ: at most one ROUTER that others come to, and one
 * DEALER for each peer that we dial, each frame a single-part message. Promises what net.h says;
 * leaves order, delivery and trust in the bytes to those above.
 *
 * Why the settings below: measuring libzmq 4.3.4 has taught them. A ROUTER drops silently what it
 * cannot send unless it is MANDATORY. Its identities are its own: with chosen ones a second peer
 * of the same name is never heard, or takes over the first. IMMEDIATE is off: with it a DEALER
 * throws away what it has received, but not yet handed over, when its connection breaks, such as
 * the answer to a goodbye from a server that then leaves. Without it frames for a dead peer queue,
 * up to the high-water mark, and reach its next life stale; sessions fence those off. */
#include <assert.h>
#include <errno.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/stat.h>
#include <unistd.h>
#include <zmq.h>

#include "common/err.h"
#include "proto/address.h"
#include "proto/listen.h"
#include "proto/net.h"
#include "proto/place.h"
#include "proto/wire.h"

enum {
    KEEP_BYTES = 32 << 20, /* free frames that a net keeps */
    COPY_BELOW = 256,      /* smaller frames are copied: cheaper than a reference across threads */
    HIGH_WATER = 4096,     /* frames per peer; credit stays far below it */
    FAIR = 64,             /* frames taken in before the other sockets are asked again */
    ROUTER = 0,            /* the port that listens; the others dial */
    PORTS_MAX = PLACE_SHARDS_MAX + 1,
    ID_BYTES = 5 /* an identity that a ROUTER gave: a zero, and 32 bits */
};
#define DIALLED 0x80000000u /* peer numbers of those that we dialled: this, and the port */
#define WAKE    UINT32_MAX  /* the eventfd among the ports, for epoll */

struct port {
    void *socket; /* NULL: none */
    bool look;    /* may have something to receive */
};

/* A received frame. The wrapper is malloc's: its thread caches do what a list of ours would. */
struct arrival {
    struct frame frame;
    zmq_msg_t msg;
};

struct zmq_net {
    struct net net;
    void *context;
    int epoll_fd, wake_fd;
    struct port *ports; /* (n_ports) */
    uint32_t n_ports;
    uint32_t turn;         /* the port whose turn it is to be received from */
    uint32_t taken;        /* frames since epoll was asked */
    bool woken;            /* a wake was seen and is still there */
    struct arrival *spare; /* what the next message is received into */
};

static struct zmq_net *self(struct net *n) {
    return (struct zmq_net *)n;
}

/* ---- received frames ---- */

static void release_arrival(struct frame *f) {
    struct arrival *a = f->owner;
    zmq_msg_close(&a->msg);
    free(a);
}

static struct arrival *new_arrival(void) {
    struct arrival *a = malloc(sizeof *a);
    if (a == NULL)
        return NULL;
    a->frame = (struct frame){.release = release_arrival, .owner = a};
    atomic_init(&a->frame.refs, 1);
    zmq_msg_init(&a->msg);
    return a;
}

/* ---- sockets ---- */

static bool set_int(void *socket, int option, int value) {
    return zmq_setsockopt(socket, option, &value, sizeof value) == 0;
}

static bool set_up(void *socket, bool v6) {
    int64_t frame_max = WIRE_FRAME_MAX;
    return set_int(socket, ZMQ_LINGER, 0) && set_int(socket, ZMQ_IPV6, v6) &&
           set_int(socket, ZMQ_SNDHWM, HIGH_WATER) && set_int(socket, ZMQ_RCVHWM, HIGH_WATER) &&
           zmq_setsockopt(socket, ZMQ_MAXMSGSIZE, &frame_max, sizeof frame_max) == 0 &&
           set_int(socket, ZMQ_HANDSHAKE_IVL, 3000) && set_int(socket, ZMQ_CONNECT_TIMEOUT, 3000) &&
           set_int(socket, ZMQ_RECONNECT_IVL, 50) && set_int(socket, ZMQ_RECONNECT_IVL_MAX, 1000) &&
           set_int(socket, ZMQ_BACKLOG, 1024) &&
           /* A host that is gone without a word is noticed within 10 s. */
           set_int(socket, ZMQ_HEARTBEAT_IVL, 2000) && set_int(socket, ZMQ_HEARTBEAT_TIMEOUT, 8000);
}

/* Puts a socket into ports[index] and its fd into the epoll. On failure the port is empty. */
static rh_status open_port(struct zmq_net *z, uint32_t index, int type, bool v6) {
    void *socket = zmq_socket(z->context, type);
    if (socket == NULL)
        return err_set(RH_EIO, "cannot make a socket: %s", zmq_strerror(errno));
    int fd;
    size_t size = sizeof fd;
    struct epoll_event event = {.events = EPOLLIN, .data.u32 = index};
    if (!set_up(socket, v6) || (type == ZMQ_ROUTER && !set_int(socket, ZMQ_ROUTER_MANDATORY, 1)) ||
        zmq_getsockopt(socket, ZMQ_FD, &fd, &size) != 0 ||
        epoll_ctl(z->epoll_fd, EPOLL_CTL_ADD, fd, &event) != 0) {
        rh_status s = err_set(RH_EIO, "cannot set up a socket: %s", zmq_strerror(errno));
        zmq_close(socket);
        return s;
    }
    z->ports[index] = (struct port){.socket = socket, .look = true};
    return RH_OK;
}

static void close_port(struct zmq_net *z, uint32_t index) {
    struct port *p = &z->ports[index];
    if (p->socket == NULL)
        return;
    int fd;
    size_t size = sizeof fd;
    if (zmq_getsockopt(p->socket, ZMQ_FD, &fd, &size) == 0)
        epoll_ctl(z->epoll_fd, EPOLL_CTL_DEL, fd, NULL);
    zmq_close(p->socket);
    *p = (struct port){0};
}

/* ---- open and close ---- */

static void free_net(struct zmq_net *z) {
    if (z->context != NULL)
        while (zmq_ctx_term(z->context) != 0 && errno == EINTR)
            ;
    if (z->epoll_fd >= 0)
        close(z->epoll_fd);
    if (z->wake_fd >= 0)
        close(z->wake_fd);
    frame_pool_free(&z->net.pool);
    if (z->spare != NULL)
        frame_unref(&z->spare->frame);
    free(z->ports);
    free(z);
}

static rh_status open_net(const struct net_ops *ops, struct net **out) {
    struct zmq_net *z = calloc(1, sizeof *z);
    if (z == NULL)
        return err_set(RH_ENOMEM, "no memory for a net");
    z->net.ops = ops;
    z->net.pool = frame_pool_new(KEEP_BYTES);
    z->ports = calloc(1, sizeof *z->ports); /* the ROUTER's */
    z->n_ports = 1;
    z->spare = new_arrival();
    z->epoll_fd = epoll_create1(EPOLL_CLOEXEC);
    /* A semaphore, so that each wake is taken away by itself: see ask_epoll. */
    z->wake_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK | EFD_SEMAPHORE);
    z->context = zmq_ctx_new();
    struct epoll_event wake = {.events = EPOLLIN, .data.u32 = WAKE};
    rh_status s = RH_OK;
    if (z->net.pool == NULL || z->ports == NULL || z->spare == NULL)
        s = err_set(RH_ENOMEM, "no memory for a net");
    else if (z->context == NULL || z->epoll_fd < 0 || z->wake_fd < 0 ||
             epoll_ctl(z->epoll_fd, EPOLL_CTL_ADD, z->wake_fd, &wake) != 0)
        s = err_sys(RH_EIO, "cannot open a net");
    else /* closed ones count for a moment */
        zmq_ctx_set(z->context, ZMQ_MAX_SOCKETS, PORTS_MAX + 64);
    if (s != RH_OK) {
        free_net(z);
        return s;
    }
    *out = &z->net;
    return RH_OK;
}

static void close_net(struct net *n, int linger_ms) {
    struct zmq_net *z = self(n);
    for (uint32_t i = 0; i < z->n_ports; i++) {
        if (z->ports[i].socket != NULL)
            set_int(z->ports[i].socket, ZMQ_LINGER, linger_ms);
        close_port(z, i);
    }
    free_net(z);
}

/* ---- listening ---- */

/* As address_parse, for an address of this net's scheme. */
static rh_status parse(const struct zmq_net *z, const char *address, bool listening,
                       struct address *out) {
    rh_status s = address_parse(address, listening, out);
    if (s == RH_OK && out->ipc != (z->net.ops == &net_ipc))
        s = err_set(RH_EINVAL, "the address \"%s\" is not one of %s://", address,
                    z->net.ops->scheme);
    return s;
}

static rh_status bind_port(void *socket, const char *address, const struct address *a, char *bound,
                           size_t cap) {
    char endpoint[LISTEN_ENDPOINT_MAX];
    size_t size = sizeof endpoint;
    rh_status s = listen_endpoint(address, a, endpoint);
    if (s != RH_OK)
        return s;
    if (zmq_bind(socket, endpoint) != 0 ||
        zmq_getsockopt(socket, ZMQ_LAST_ENDPOINT, endpoint, &size) != 0)
        return listen_failed(address, errno, zmq_strerror(errno));
    if (a->ipc && chmod(a->path, 0600) != 0)
        return listen_failed(address, errno, strerror(errno));
    return listen_bound(endpoint, a, bound, cap);
}

static rh_status listen_at(struct net *n, const char *address, char *bound, size_t cap) {
    struct zmq_net *z = self(n);
    struct address a;
    rh_status s = parse(z, address, true, &a);
    if (s == RH_OK && z->ports[ROUTER].socket != NULL)
        s = listen_failed(address, 0, "this net listens already");
    if (s == RH_OK)
        s = open_port(z, ROUTER, ZMQ_ROUTER, a.v6);
    if (s != RH_OK)
        return s;
    s = bind_port(z->ports[ROUTER].socket, address, &a, bound, cap);
    if (s != RH_OK)
        close_port(z, ROUTER);
    return s;
}

/* ---- dialling ---- */

/* The port of a dialled peer; NULL if the number is not one of those. */
static struct port *dialled(const struct zmq_net *z, uint32_t peer) {
    uint32_t index = peer ^ DIALLED;
    return index > ROUTER && index < z->n_ports && z->ports[index].socket != NULL ? &z->ports[index]
                                                                                  : NULL;
}

static rh_status free_port(struct zmq_net *z, uint32_t *out) {
    uint32_t i = ROUTER + 1;
    while (i < z->n_ports && z->ports[i].socket != NULL)
        i++;
    if (i == PORTS_MAX)
        return err_set(RH_ELIMIT, "a net cannot dial more than %d peers", PORTS_MAX - 1);
    if (i == z->n_ports) {
        struct port *more = realloc(z->ports, (i + 1) * sizeof *more);
        if (more == NULL)
            return err_set(RH_ENOMEM, "no memory for another peer");
        more[i] = (struct port){0};
        z->ports = more;
        z->n_ports++;
    }
    *out = i;
    return RH_OK;
}

static rh_status dial(struct net *n, const char *address, uint32_t *peer) {
    struct zmq_net *z = self(n);
    struct address a;
    uint32_t index = 0;
    rh_status s = parse(z, address, false, &a);
    if (s == RH_OK)
        s = free_port(z, &index);
    if (s == RH_OK)
        s = open_port(z, index, ZMQ_DEALER, a.v6);
    if (s != RH_OK)
        return s;
    if (zmq_connect(z->ports[index].socket, address) != 0) {
        s = err_set(RH_EINVAL, "cannot dial %s: %s", address, zmq_strerror(errno));
        close_port(z, index);
        return s;
    }
    *peer = DIALLED | index;
    return RH_OK;
}

static void hangup(struct net *n, uint32_t peer) {
    struct zmq_net *z = self(n);
    assert(dialled(z, peer) != NULL);
    close_port(z, peer ^ DIALLED);
}

/* ---- sending ---- */

/* ZeroMQ's I/O thread is done with the bytes. */
static void let_go(void *data, void *frame) {
    (void)data;
    frame_unref(frame);
}

/* Takes one reference whatever happens. False: no memory. */
static bool wrap(zmq_msg_t *m, struct frame *f) {
    if (f->len >= COPY_BELOW && zmq_msg_init_data(m, f->data, f->len, let_go, f) == 0)
        return true;
    bool made = f->len < COPY_BELOW && zmq_msg_init_size(m, f->len) == 0;
    if (made)
        memcpy(zmq_msg_data(m), f->data, f->len);
    frame_unref(f);
    return made;
}

/* The identity part of a message to an accepted peer. */
static bool put_id(void *socket, uint32_t peer) {
    uint8_t id[ID_BYTES] = {0, (uint8_t)(peer >> 24), (uint8_t)(peer >> 16), (uint8_t)(peer >> 8),
                            (uint8_t)peer};
    int sent;
    while ((sent = zmq_send(socket, id, sizeof id, ZMQ_DONTWAIT | ZMQ_SNDMORE)) < 0 &&
           errno == EINTR)
        ;
    return sent >= 0;
}

static bool put(void *socket, zmq_msg_t *m) {
    int sent;
    while ((sent = zmq_msg_send(m, socket, ZMQ_DONTWAIT)) < 0 && errno == EINTR)
        ;
    return sent >= 0;
}

static rh_status send_frame(struct net *n, uint32_t peer, struct frame *f) {
    struct zmq_net *z = self(n);
    assert(f->len <= WIRE_FRAME_MAX); /* the other side would reset the connection, and lose more */
    struct port *p = dialled(z, peer);
    bool accepted = p == NULL;
    if (accepted)
        p = &z->ports[ROUTER];
    zmq_msg_t m;
    if (!wrap(&m, f))
        return err_set(RH_EUNREACHABLE, "no memory to send to peer %08x", peer);
    if (p->socket != NULL) {
        /* Sending takes in what the socket was told meanwhile; its fd will not tell it again. */
        p->look = true;
        if ((!accepted || put_id(p->socket, peer)) && put(p->socket, &m))
            return RH_OK;
    }
    zmq_msg_close(&m); /* lets go of f */
    return err_set(RH_EUNREACHABLE, "peer %08x is gone, or does not read", peer);
}

/* ---- receiving ---- */

/* Fills the frame in from its message. */
static struct frame *finish_arrival(struct arrival *a, bool junk) {
    a->frame.data = zmq_msg_data(&a->msg);
    a->frame.cap = a->frame.len = junk ? 0 : zmq_msg_size(&a->msg);
    return &a->frame;
}

/* The next part, in place of what m holds. False: there is none now. */
static bool receive_part(zmq_msg_t *m, void *socket) {
    int n;
    while ((n = zmq_msg_recv(m, socket, ZMQ_DONTWAIT)) < 0 && errno == EINTR)
        ;
    return n >= 0;
}

/* The peer that a ROUTER's identity means. False: the peer has chosen it itself. */
static bool read_id(const struct zmq_net *z, zmq_msg_t *m, uint32_t *peer) {
    if (zmq_msg_size(m) != ID_BYTES)
        return false;
    const uint8_t *id = zmq_msg_data(m);
    *peer = (uint32_t)id[1] << 24 | (uint32_t)id[2] << 16 | (uint32_t)id[3] << 8 | id[4];
    return id[0] == 0 && dialled(z, *peer) == NULL;
}

/* A message that is no frame, of several parts or from a peer that has named itself, is handed on
 * with no bytes: who counts broken frames counts it, and a flood of them keeps nobody in here. */
static struct frame *take(struct zmq_net *z, uint32_t index, uint32_t *peer) {
    struct port *p = &z->ports[index];
    zmq_msg_t *m = &z->spare->msg;
    bool junk;
    struct arrival *next;
    do {
        *peer = DIALLED | index;
        if (!receive_part(m, p->socket))
            return NULL;
        junk = false;
        if (index == ROUTER)
            junk = !read_id(z, m, peer) || !zmq_msg_more(m) || !receive_part(m, p->socket);
        while (zmq_msg_more(m) && receive_part(m, p->socket))
            junk = true;
        next = new_arrival();
    } while (next == NULL); /* out of memory: it is lost */
    struct arrival *a = z->spare;
    z->spare = next;
    return finish_arrival(a, junk);
}

/* Notes which sockets have something. A wake stays readable until the call after the one that saw
 * it: so between a wake and the owner's sleep lies always a poll that returned, whatever the owner
 * does between recv and poll. */
static void ask_epoll(struct zmq_net *z) {
    struct epoll_event ready[64];
    int n = epoll_wait(z->epoll_fd, ready, sizeof ready / sizeof *ready, 0);
    for (int i = 0; i < n; i++) {
        if (ready[i].data.u32 != WAKE) {
            z->ports[ready[i].data.u32].look = true;
            continue;
        }
        eventfd_t one;
        if (z->woken)
            eventfd_read(z->wake_fd, &one);
        z->woken = !z->woken;
    }
    z->taken = 0;
}

static bool may_have_some(const struct zmq_net *z) {
    for (uint32_t i = 0; i < z->n_ports; i++)
        if (z->ports[i].look)
            return true;
    return false;
}

static struct frame *receive_frame(struct net *n, uint32_t *peer) {
    struct zmq_net *z = self(n);
    if (++z->taken >= FAIR || !may_have_some(z))
        ask_epoll(z);
    for (uint32_t i = 0; i < z->n_ports; i++) {
        uint32_t index = (z->turn + i) % z->n_ports;
        if (!z->ports[index].look)
            continue;
        struct frame *f = take(z, index, peer);
        if (f != NULL) {
            z->turn = index + 1;
            return f;
        }
        z->ports[index].look = false;
    }
    return NULL;
}

static int poll_fd(struct net *n) {
    return self(n)->epoll_fd;
}

static void wake(struct net *n) {
    eventfd_write(self(n)->wake_fd, 1);
}

#define ZMQ_OPS(name)                                                                              \
    {                                                                                              \
        .scheme = name, .open = open_net, .listen = listen_at, .dial = dial, .hangup = hangup,     \
        .send = send_frame, .recv = receive_frame, .fd = poll_fd, .wake = wake, .close = close_net \
    }
const struct net_ops net_tcp = ZMQ_OPS("tcp");
const struct net_ops net_ipc = ZMQ_OPS("ipc");
