/* lossy_net.c - see lossy_net.h. A late frame waits in a drawer until the generator lets it go,
 * which may be after many others, or never. */
#include "tests/support/lossy_net.h"

#include <stdlib.h>

#include "common/rng.h"

enum { DRAWER = 32, READY = 4096 };

/* A frame on its way. */
struct parcel {
    struct frame *frame;
    uint32_t peer;
};

struct lossy_net {
    struct net net; /* first */
    struct net *inner;
    struct lossy_config cfg;
    struct lossy_counts *counts, own_counts;
    bool is_cut;
    uint32_t cut; /* the peer that is_cut speaks of */
    struct rng rng;
    struct parcel out[DRAWER], in[DRAWER]; /* late ones; empty where frame is NULL */
    struct parcel ready[READY];            /* for recv: a ring */
    uint32_t head, n;
};

static struct lossy_net *lossy(struct net *n) {
    return (struct lossy_net *)n;
}

static bool chance(struct lossy_net *l, uint32_t percent) {
    return rng_below(&l->rng, 100) < percent;
}

static void pass_out(struct lossy_net *l, struct parcel p) {
    l->counts->passed++;
    l->inner->ops->send(l->inner, p.peer, p.frame);
}

static void pass_in(struct lossy_net *l, struct parcel p) {
    l->counts->passed++;
    if (l->n == READY) {
        frame_unref(p.frame);
        return;
    }
    l->ready[(l->head + l->n++) % READY] = p;
}

/* Swaps the parcel with a random one of the drawer: what comes out may be nothing. */
static struct parcel delay(struct lossy_net *l, struct parcel *drawer, struct parcel p) {
    uint32_t i = rng_below(&l->rng, DRAWER);
    struct parcel other = drawer[i];
    drawer[i] = p;
    return other;
}

/* One frame meets its fate. */
static void travel(struct lossy_net *l, struct parcel p, struct parcel *drawer,
                   void (*pass)(struct lossy_net *, struct parcel)) {
    if (chance(l, l->cfg.lost)) {
        l->counts->lost++;
        frame_unref(p.frame);
        return;
    }
    if (chance(l, l->cfg.doubled)) {
        l->counts->doubled++;
        pass(l, (struct parcel){frame_ref(p.frame), p.peer});
    }
    if (chance(l, l->cfg.late)) {
        l->counts->late++;
        p = delay(l, drawer, p);
    }
    if (p.frame != NULL)
        pass(l, p);
}

static rh_status lossy_dial(struct net *n, const char *address, uint32_t *peer) {
    struct net *inner = lossy(n)->inner;
    return inner->ops->dial(inner, address, peer);
}

static void lossy_hangup(struct net *n, uint32_t peer) {
    struct net *inner = lossy(n)->inner;
    inner->ops->hangup(inner, peer);
}

static rh_status lossy_send(struct net *n, uint32_t peer, struct frame *f) {
    struct lossy_net *l = lossy(n);
    l->counts->sent[f->data[5]]++;
    if (!l->is_cut || peer != l->cut)
        travel(l, (struct parcel){f, peer}, l->out, pass_out);
    else
        frame_unref(f);
    return RH_OK;
}

static struct frame *lossy_recv(struct net *n, uint32_t *peer) {
    struct lossy_net *l = lossy(n);
    struct parcel p;
    while ((p.frame = l->inner->ops->recv(l->inner, &p.peer)) != NULL)
        travel(l, p, l->in, pass_in);
    if (l->n == 0)
        return NULL;
    p = l->ready[l->head];
    l->head = (l->head + 1) % READY;
    l->n--;
    *peer = p.peer;
    return p.frame;
}

static int lossy_fd(struct net *n) {
    struct net *inner = lossy(n)->inner;
    return inner->ops->fd(inner);
}

static void lossy_wake(struct net *n) {
    struct net *inner = lossy(n)->inner;
    inner->ops->wake(inner);
}

static void lossy_close(struct net *n, int linger_ms) {
    struct lossy_net *l = lossy(n);
    for (uint32_t i = 0; i < DRAWER; i++) {
        frame_unref(l->out[i].frame);
        frame_unref(l->in[i].frame);
    }
    for (; l->n > 0; l->n--, l->head++)
        frame_unref(l->ready[l->head % READY].frame);
    l->inner->ops->close(l->inner, linger_ms);
    free(l);
}

static const struct net_ops net_lossy = {
    .scheme = "lossy",
    .dial = lossy_dial,
    .hangup = lossy_hangup,
    .send = lossy_send,
    .recv = lossy_recv,
    .fd = lossy_fd,
    .wake = lossy_wake,
    .close = lossy_close,
};

struct net *lossy_net_new(struct net *inner, const struct lossy_config *c) {
    struct lossy_net *l = calloc(1, sizeof *l);
    if (l == NULL)
        abort();
    l->net = (struct net){&net_lossy, inner->pool};
    l->inner = inner;
    l->cfg = *c;
    l->counts = c->counts != NULL ? c->counts : &l->own_counts;
    rng_init(&l->rng, c->seed, 1);
    return &l->net;
}

void lossy_net_cut(struct net *n, uint32_t peer, bool cut) {
    struct lossy_net *l = lossy(n);
    l->is_cut = cut;
    l->cut = peer;
}

struct lossy_counts lossy_net_counts(const struct net *n) {
    return *((const struct lossy_net *)n)->counts;
}
