/* dying_net.c - see dying_net.h. */
#include "tests/support/dying_net.h"

#include <check.h>
#include <stdlib.h>

#include "proto/wire.h"

enum { KIND_AT = 5 }; /* in a header */

struct dying_net {
    struct net net; /* first */
    struct net *inner;
    uint32_t left;
    bool dead;
};

static struct net *inner_of(struct net *n) {
    return ((struct dying_net *)n)->inner;
}

static rh_status dying_dial(struct net *n, const char *address, uint32_t *peer) {
    return inner_of(n)->ops->dial(inner_of(n), address, peer);
}

static void dying_hangup(struct net *n, uint32_t peer) {
    inner_of(n)->ops->hangup(inner_of(n), peer);
}

static rh_status dying_send(struct net *n, uint32_t peer, struct frame *f) {
    struct dying_net *d = (struct dying_net *)n;
    if (!d->dead && f->data[KIND_AT] == WIRE_RESTORE && d->left-- == 0)
        d->dead = true;
    if (!d->dead)
        return d->inner->ops->send(d->inner, peer, f);
    frame_unref(f);
    return RH_OK;
}

static struct frame *dying_recv(struct net *n, uint32_t *peer) {
    struct dying_net *d = (struct dying_net *)n;
    struct frame *f;
    while ((f = d->inner->ops->recv(d->inner, peer)) != NULL && d->dead)
        frame_unref(f);
    return f;
}

static int dying_fd(struct net *n) {
    return inner_of(n)->ops->fd(inner_of(n));
}

static void dying_wake(struct net *n) {
    inner_of(n)->ops->wake(inner_of(n));
}

static void dying_close(struct net *n, int linger_ms) {
    inner_of(n)->ops->close(inner_of(n), linger_ms);
    free(n);
}

static const struct net_ops net_dying = {
    .scheme = "dying",
    .dial = dying_dial,
    .hangup = dying_hangup,
    .send = dying_send,
    .recv = dying_recv,
    .fd = dying_fd,
    .wake = dying_wake,
    .close = dying_close,
};

struct net *dying_net_new(struct net *inner, uint32_t restores) {
    struct dying_net *d = calloc(1, sizeof *d);
    ck_assert_ptr_nonnull(d);
    *d = (struct dying_net){
        .net = {.ops = &net_dying, .pool = inner->pool}, .inner = inner, .left = restores};
    return &d->net;
}

bool dying_net_is_dead(const struct net *n) {
    return ((const struct dying_net *)n)->dead;
}
