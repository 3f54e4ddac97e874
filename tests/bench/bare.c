/* bare.c - the transport without a parameter server: frames from the pool, as long as rowhouse's
 * requests and answers and as many of them, whose bytes nobody fills in. Who receives one reads it
 * where it lies. It goes through proto/net.h, so it is the same ZeroMQ with the same settings. */
#include <assert.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common/err.h"
#include "proto/msg.h"
#include "proto/net.h"
#include "tests/bench/bench.h"
#include "tests/bench/child.h"

struct bare {
    const struct stage *stage;
    struct child answerer;
    struct net *net;
    uint32_t peer;
};

/* The first bytes of a request: how long an answer it wants. */
struct ask {
    uint64_t answer_len;
};

/* ---- one way ---- */

/* Keeps the compiler from dropping the reads. */
static volatile uint64_t read_sum;

/* One word of each cache line. */
static void read_all(const struct frame *f) {
    uint64_t sum = 0, word;
    for (size_t at = 0; at + sizeof word <= f->len; at += 64) {
        memcpy(&word, f->data + at, sizeof word);
        sum += word;
    }
    read_sum = sum;
}

/* The next frame, read and waited for. */
static struct frame *receive(struct net *n, uint32_t *peer) {
    for (;;) {
        struct frame *f = n->ops->recv(n, peer);
        if (f != NULL) {
            read_all(f);
            return f;
        }
        struct pollfd p = {.fd = n->ops->fd(n), .events = POLLIN};
        poll(&p, 1, -1);
    }
}

static rh_status send_new(struct net *n, uint32_t peer, size_t len, const struct ask *ask) {
    struct frame *f = frame_new(n->pool, len);
    if (f == NULL)
        return RH_ENOMEM;
    if (ask != NULL)
        memcpy(f->data, ask, sizeof *ask);
    return n->ops->send(n, peer, f);
}

/* ---- the process that answers ---- */

int bench_answer(const char *address, int report_fd) {
    const struct net_ops *ops;
    struct net *n;
    char bound[CHILD_ADDRESS_MAX];
    rh_status s = net_find(address, &ops);
    if (s == RH_OK)
        s = ops->open(ops, &n);
    if (s == RH_OK)
        s = ops->listen(n, address, bound, sizeof bound);
    if (s == RH_OK && dprintf(report_fd, "%s\n", bound) < 0)
        s = err_sys(RH_EIO, "cannot report the address");
    close(report_fd);
    while (s == RH_OK) { /* until SIGTERM */
        uint32_t peer;
        struct frame *f = receive(n, &peer);
        struct ask ask;
        assert(f->len >= sizeof ask);
        memcpy(&ask, f->data, sizeof ask);
        frame_unref(f);
        s = send_new(n, peer, ask.answer_len, NULL);
    }
    fprintf(stderr, "bench: %s\n", err_text());
    return 1;
}

/* ---- the contender ---- */

static bool takes_part(const struct stage *s) {
    return strcmp(s->transport, "local:") != 0;
}

static void close_bare(void *self) {
    struct bare *b = self;
    if (b->net != NULL)
        b->net->ops->close(b->net, 0);
    child_stop(&b->answerer);
    free(b);
}

/* One frame there and back: what is sent before the connection stands may be lost. */
static rh_status meet(struct bare *b) {
    uint32_t peer;
    rh_status s = send_new(b->net, b->peer, WIRE_HEAD, &(struct ask){WIRE_HEAD});
    if (s == RH_OK)
        frame_unref(receive(b->net, &peer));
    return s;
}

static rh_status open_bare(const struct stage *s, void **out) {
    struct bare *b = calloc(1, sizeof *b);
    if (b == NULL)
        return err_set(RH_ENOMEM, "no memory");
    b->stage = s;
    char listen[CHILD_ADDRESS_MAX];
    child_place(s->transport, s->dir, "bare", listen);
    const char *argv[] = {"/proc/self/exe", "--answer", listen, "--report-fd", "3", NULL};
    rh_status st = child_start(argv, &b->answerer);
    const struct net_ops *ops;
    if (st == RH_OK)
        st = net_find(b->answerer.address, &ops);
    if (st == RH_OK)
        st = ops->open(ops, &b->net);
    if (st == RH_OK)
        st = ops->dial(b->net, b->answerer.address, &b->peer);
    if (st == RH_OK)
        st = meet(b);
    if (st != RH_OK) {
        close_bare(b);
        return st;
    }
    *out = b;
    return RH_OK;
}

/* A batch travels in parts, as rowhouse's do. */
static rh_status send_part(struct bare *b, bool push, uint32_t first, uint32_t rows_max) {
    uint32_t dim = b->stage->dim, left = BENCH_BATCH - first;
    uint32_t rows = left < rows_max ? left : rows_max;
    enum { DIGEST = 8 };
    size_t len = WIRE_HEAD, answer_len = WIRE_HEAD;
    if (push) {
        len += DIGEST + msg_section_bytes(WIRE_PUSH, rows, dim);
    } else {
        len += msg_section_bytes(WIRE_PULL, rows, dim);
        answer_len += msg_section_bytes(WIRE_ROWS, rows, dim);
    }
    return send_new(b->net, b->peer, len, &(struct ask){answer_len});
}

static rh_status run(void *self, const struct job *j) {
    struct bare *b = self;
    const uint32_t rows_max = WIRE_ROWS_MAX / (b->stage->dim * sizeof(float));
    const uint32_t parts = (BENCH_BATCH + rows_max - 1) / rows_max;
    const uint32_t all = j->batches * parts;
    for (uint32_t sent = 0, done = 0; done < all; done++) {
        /* A batch begins when the one depth before it is whole: so does a caller who waits. */
        for (; sent < all && sent / parts < done / parts + j->depth; sent++) {
            rh_status s = send_part(b, j->push, sent % parts * rows_max, rows_max);
            if (s != RH_OK)
                return s;
        }
        uint32_t peer;
        frame_unref(receive(b->net, &peer));
    }
    return RH_OK;
}

const struct contender bench_bare = {
    .name = "bare", .takes_part = takes_part, .open = open_bare, .run = run, .close = close_bare};
