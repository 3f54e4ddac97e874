/* server.c - see server.h. */
#include "ps/server.h"

#include <errno.h>
#include <inttypes.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/resource.h>
#include <sys/signalfd.h>
#include <time.h>
#include <unistd.h>

#include "common/buf.h"
#include "common/clock.h"
#include "common/err.h"
#include "common/log.h"
#include "proto/net.h"
#include "proto/wire.h"
#include "ps/journal.h"
#include "ps/server_journal.h"
#include "ps/watch.h"

enum { SERVER_LINGER_MS = 2000 };

/* One shard and its thread; and that of the task which it has given away last. */
struct seat {
    struct server *server;
    struct net *net;
    struct shard *shard;
    struct journal *journal; /* NULL: none */
    uint32_t number;         /* of the shard */
    pthread_t thread, helper;
    int running, helped;
    struct shard_task *task;    /* the helper's */
    atomic_bool helping;        /* it runs */
    atomic_uint_fast64_t turns; /* frames that are done with */
    atomic_uint_fast64_t
        in_hand; /* what the thread is about: see what_is; 0: it waits for frames */
    struct watch watch;
    char address[ROSTER_ADDRESS_MAX];
};

struct server {
    struct server_options o;
    uint32_t total;         /* shards of the job */
    struct seat *seats;     /* (o.shards) */
    const char **addresses; /* (o.shards) */
    atomic_int stop;
    atomic_uint finished;
    int done_fd; /* readable when every shard is finished */
};

/* True if only this host can reach the address. */
static int is_private(const char *address) {
    static const char *const hosts[] = {"ipc://", "tcp://127.", "tcp://localhost:", "tcp://[::1]:"};
    for (size_t i = 0; i < sizeof hosts / sizeof *hosts; i++)
        if (strncmp(address, hosts[i], strlen(hosts[i])) == 0)
            return 1;
    return 0;
}

static uint32_t count_addresses(const char *listen) {
    uint32_t n = 1;
    for (; (listen = strchr(listen, ',')) != NULL; listen++)
        n++;
    return n;
}

/* The i-th shard's address: its own of a list; else the next port, any free port, or the next socket
 * file. */
static rh_status nth_address(const char *listen, uint32_t i, char *out, size_t cap) {
    if (strchr(listen, ',') != NULL) {
        for (; i > 0; i--)
            listen = strchr(listen, ',') + 1;
        size_t len = strcspn(listen, ",");
        if (len >= cap)
            return err_set(RH_EINVAL, "the address %s is too long", listen);
        snprintf(out, cap, "%.*s", (int)len, listen);
        return RH_OK;
    }
    const char *colon = strrchr(listen, ':');
    size_t head = colon == NULL ? 0 : (size_t)(colon - listen) + 1;
    int n;
    if (strncmp(listen, "tcp://", 6) != 0)
        n = i == 0 ? snprintf(out, cap, "%s", listen) : snprintf(out, cap, "%s.%u", listen, i);
    else if (colon == NULL || colon[1] == '*' || i == 0)
        n = snprintf(out, cap, "%s", listen);
    else {
        char *end;
        unsigned long port = strtoul(colon + 1, &end, 10);
        if (*end != '\0' || end == colon + 1 || port + i > 65535)
            return err_set(RH_EINVAL, "%s: no port for shard %u of this process", listen, i);
        n = snprintf(out, cap, "%.*s%lu", (int)head, listen, port + i);
    }
    if (n < 0 || (size_t)n >= cap)
        return err_set(RH_EINVAL, "the address %s is too long", listen);
    return RH_OK;
}

static rh_status open_seat(struct server *s, uint32_t i) {
    struct seat *seat = &s->seats[i];
    seat->server = s;
    char wanted[ROSTER_ADDRESS_MAX];
    const struct net_ops *ops;
    rh_status st = nth_address(s->o.listen, i, wanted, sizeof wanted);
    if (st == RH_OK && !is_private(wanted) && !s->o.insecure)
        st = err_set(RH_EINVAL,
                     "%s can be reached from other hosts, and connections are not encrypted yet: "
                     "listen on tcp://127.0.0.1:PORT, or give --insecure",
                     wanted);
    if (st == RH_OK)
        st = net_find(wanted, &ops);
    if (st == RH_OK)
        st = ops->open(ops, &seat->net);
    if (st == RH_OK)
        st = ops->listen(seat->net, wanted, seat->address, sizeof seat->address);
    s->addresses[i] = seat->address;
    return st;
}

rh_status server_open(const struct server_options *o, struct server **out) {
    uint32_t listed = count_addresses(o->listen);
    if (listed != 1 && listed != o->shards)
        return err_set(RH_EINVAL, "--listen names %u addresses, and this process has %u shard%s",
                       listed, o->shards, o->shards == 1 ? "" : "s");
    struct server *s = calloc(1, sizeof *s);
    if (s == NULL)
        return err_set(RH_ENOMEM, "no memory for the server");
    s->o = *o;
    s->done_fd = eventfd(0, EFD_CLOEXEC);
    s->seats = calloc(o->shards, sizeof *s->seats);
    s->addresses = calloc(o->shards, sizeof *s->addresses);
    rh_status st = RH_OK;
    if (s->done_fd < 0 || s->seats == NULL || s->addresses == NULL)
        st = err_set(RH_ENOMEM, "no memory for %u shards", o->shards);
    for (uint32_t i = 0; st == RH_OK && i < o->shards; i++)
        st = open_seat(s, i);
    if (st != RH_OK) {
        server_close(&s);
        return st;
    }
    *out = s;
    return RH_OK;
}

const char *const *server_addresses(const struct server *s) {
    return s->addresses;
}

/* Answers that wait for the disk go. True if some did: then there may be more to receive. */
static bool flush(struct seat *seat) {
    bool sent = false;
    if (seat->journal != NULL && journal_flush(seat->journal, &sent) != RH_OK)
        shard_break(seat->shard, RH_EIO);
    return sent;
}

/* ---- who is stuck ---- */

enum { KIND_AT = 5, WORKER_AT = 16 }; /* in a header: PROTOCOL.md, section 1 */
enum { IN_HAND = 1 << 8 };            /* beside the kind, so that what is in hand is not 0 */

/* Kind and worker of a frame that nobody has checked yet. */
static uint64_t what_is(const struct frame *f) {
    struct rd r;
    if (f->len < WIRE_HEAD)
        return IN_HAND;
    rd_init(&r, f->data + WORKER_AT, sizeof(uint32_t));
    return (uint64_t)rd_u32(&r) << 32 | IN_HAND | f->data[KIND_AT];
}

static int64_t cpu_ms(pthread_t thread) {
    clockid_t clock;
    struct timespec t = {0};
    if (pthread_getcpuclockid(thread, &clock) != 0 || clock_gettime(clock, &t) != 0)
        return 0; /* it has ended */
    return (int64_t)t.tv_sec * 1000 + t.tv_nsec / 1000000;
}

static void watch_seat(const struct server *s, struct seat *seat) {
    const uint64_t in_hand = atomic_load(&seat->in_hand);
    const struct watch_sight is = {.turns = atomic_load(&seat->turns),
                                   .busy = in_hand != 0,
                                   .helped = atomic_load(&seat->helping),
                                   .cpu_ms = cpu_ms(seat->thread)};
    if (!watch_look(&seat->watch, &is, clock_now_ms(), s->o.stuck_timeout_ms))
        return;
    log_error("shard %" PRIu32 " is stuck: it has had a %s of worker %" PRIu32
              " in hand for %.1f s (--stuck-timeout %.0f s). This process ends",
              seat->number, wire_kind_name((uint8_t)in_hand), (uint32_t)(in_hand >> 32),
              (double)seat->watch.stuck_ms / 1000, (double)s->o.stuck_timeout_ms / 1000);
    abort();
}

static void watch_all(struct server *s) {
    for (uint32_t i = 0; s->o.stuck_timeout_ms > 0 && i < s->o.shards; i++)
        if (s->seats[i].running)
            watch_seat(s, &s->seats[i]);
}

/* Its thread comes to an end; or the process does. By the time of day, for that is the one of the two calls
 * that thread sanitizers know; a clock that jumps makes a look late, no more. */
static void join(struct server *s, struct seat *seat) {
    struct timespec until;
    do {
        watch_all(s);
        clock_gettime(CLOCK_REALTIME, &until);
        until.tv_nsec += WATCH_LOOK_MS * 1000000L;
        until.tv_sec += until.tv_nsec / 1000000000;
        until.tv_nsec %= 1000000000;
    } while (pthread_timedjoin_np(seat->thread, NULL, &until) == ETIMEDOUT);
    seat->running = 0;
}

static void *serve(void *arg) {
    struct seat *seat = arg;
    struct server *s = seat->server;
    struct net *net = seat->net;
    struct pollfd p = {.fd = net->ops->fd(net), .events = POLLIN};
    while (!atomic_load(&s->stop) && !shard_finished(seat->shard)) {
        uint32_t peer;
        struct frame *f = net->ops->recv(net, &peer);
        if (f != NULL) {
            atomic_store_explicit(&seat->in_hand, what_is(f), memory_order_relaxed);
            shard_frame(seat->shard, peer, f, clock_now_ms());
            frame_unref(f);
            if (seat->journal != NULL && journal_is_full(seat->journal))
                flush(seat);
            atomic_fetch_add_explicit(&seat->turns, 1, memory_order_relaxed);
            atomic_store_explicit(&seat->in_hand, 0, memory_order_relaxed);
        } else if (!flush(seat)) {
            poll(&p, 1, -1);
        }
    }
    flush(seat);
    if (atomic_fetch_add(&s->finished, 1) + 1 == s->o.shards)
        eventfd_write(s->done_fd, 1);
    return NULL;
}

/* ---- tasks ---- */

/* So much nicer than training is who writes a checkpoint: with as many busy threads as processors, one
 * that takes its share of them made a pull of 1,024 rows ten times as long, at worst. */
enum { YIELDS_BY = 10 };

static void *help(void *arg) {
    struct seat *seat = arg;
    struct shard_task *t = seat->task;
    if (t->yields) /* of this thread alone, as Linux has it; and if not, it is no harm */
        (void)setpriority(PRIO_PROCESS, 0, getpriority(PRIO_PROCESS, 0) + YIELDS_BY);
    shard_task_run(t);
    atomic_store(&seat->helping, false);
    return NULL;
}

static void await_task(struct seat *seat) {
    if (seat->helped)
        pthread_join(seat->helper, NULL);
    seat->helped = 0;
}

/* shard_config.start, in the shard's own thread. */
static void start_task(void *arg, struct shard_task *t) {
    struct seat *seat = arg;
    await_task(seat);
    seat->task = t;
    atomic_store(&seat->helping, true);
    int e = pthread_create(&seat->helper, NULL, help, seat);
    seat->helped = e == 0;
    if (e == 0)
        return;
    atomic_store(&seat->helping, false);
    log_warn("no thread for a task of shard %u, which answers nobody meanwhile: %s", seat->number,
             strerror(e));
    shard_task_run(t);
}

/* ---- a life ---- */

rh_status server_make(struct server *s, const struct shard_config *base,
                      struct journals *journals) {
    s->total = base->shards;
    for (uint32_t i = 0; i < s->o.shards; i++) {
        struct seat *seat = &s->seats[i];
        struct shard_config c = *base;
        c.shard = seat->number = base->shard + i;
        c.pid = (uint32_t)getpid();
        c.start = start_task;
        c.start_arg = seat;
        struct net *net = seat->net;
        if (journals != NULL) {
            seat->journal = journals_of(journals, i);
            net = journals_net(journals, i, net);
        }
        rh_status st = shard_new(&c, net, &seat->shard);
        if (st != RH_OK)
            return st;
    }
    return RH_OK;
}

struct shard *server_shard(struct server *s, uint32_t i) {
    return s->seats[i].shard;
}

rh_status server_start(struct server *s) {
    for (uint32_t i = 0; i < s->o.shards; i++) {
        struct seat *seat = &s->seats[i];
        int e = pthread_create(&seat->thread, NULL, serve, seat);
        if (e != 0)
            return err_set(RH_ENOMEM, "cannot start a thread for shard %u: %s", seat->number,
                           strerror(e));
        seat->running = 1;
        log_info("shard %u of %u listens on %s", seat->number, s->total, seat->address);
    }
    return RH_OK;
}

int server_wait(struct server *s) {
    sigset_t set;
    sigemptyset(&set);
    sigaddset(&set, SIGTERM);
    sigaddset(&set, SIGINT);
    int fd = signalfd(-1, &set, SFD_CLOEXEC);
    struct pollfd p[2] = {{.fd = fd, .events = POLLIN}, {.fd = s->done_fd, .events = POLLIN}};
    struct signalfd_siginfo info = {0};
    for (;;) {
        int n = poll(p, 2, s->o.stuck_timeout_ms > 0 ? WATCH_LOOK_MS : -1);
        watch_all(s);
        if (n < 0 && errno == EINTR)
            continue;
        if (p[0].revents & POLLIN && read(fd, &info, sizeof info) == sizeof info)
            break;
        if (n < 0 || p[1].revents & POLLIN)
            break;
    }
    close(fd);
    return (int)info.ssi_signo;
}

bool server_finished(const struct server *s) {
    return atomic_load(&s->finished) == s->o.shards;
}

void server_close(struct server **out) {
    struct server *s = *out;
    if (s == NULL)
        return;
    atomic_store(&s->stop, 1);
    for (uint32_t i = 0; s->seats != NULL && i < s->o.shards; i++) {
        struct seat *seat = &s->seats[i];
        if (seat->running) {
            seat->net->ops->wake(seat->net);
            join(s, seat);
        }
        await_task(seat);
        shard_free(&seat->shard);
        if (seat->net != NULL)
            seat->net->ops->close(seat->net, SERVER_LINGER_MS);
    }
    if (s->done_fd >= 0)
        close(s->done_fd);
    free(s->seats);
    free(s->addresses);
    free(s);
    *out = NULL;
}
