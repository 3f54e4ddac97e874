/* wire.c - see wire.h. */
#include "tests/sim/wire.h"

#include <stdio.h>
#include <stdlib.h>

#include "common/err.h"
#include "common/hash.h"
#include "proto/wire.h"

/* A client as a shard sees it: another number for every connection. */
static uint32_t peer_of(const struct wire *x, uint32_t client, uint32_t shard) {
    return x->lines[client][shard].life * SIM_CLIENTS_MAX + client;
}

static bool chance(struct wire *x, uint32_t permille) {
    return !x->calm && permille > 0 && rng_below(&x->rng, 1000) < permille;
}

/* ---- the trace ---- */

static void digest(struct world *w, const struct frame *f, int64_t delay_us) {
    uint64_t all[] = {w->digest, (uint64_t)w->now_us, (uint64_t)delay_us,
                      hash64(f->data, f->len < WIRE_HEAD ? f->len : WIRE_HEAD)};
    w->digest = hash64(all, sizeof all);
}

static void say(const struct world *w, const struct node *from, const struct node *to,
                const struct frame *f, const char *fate, int64_t us) {
    struct head h;
    if (!w->verbose)
        return;
    if (wire_open(f->data, f->len, &h) != RH_OK) {
        world_say(w, from, "-> %s: a frame that nobody can read", to->name);
        return;
    }
    world_say(w, from,
              "-> %s: %s worker %d (%d) of %u.%u.%u behind %u.%u.%u status %u%s%s, %.3f ms",
              to->name, wire_kind_name(h.kind), (int)h.worker, (int)h.worker_inc, h.num.clock,
              h.num.call, h.num.part, h.prev.clock, h.prev.call, h.prev.part, h.status,
              *fate == '\0' ? "" : ", ", fate, (double)us / 1000);
}

/* ---- frames on their way ---- */

/* Of an event, a: the peer, which is the client and its connection. b: the shard. */
static bool is_lost(const struct wire *x, const struct event *e) {
    const struct line *l = &x->lines[e->a % SIM_CLIENTS_MAX][e->b];
    uint32_t life = e->a / SIM_CLIENTS_MAX;
    return x->w->now_us < l->cut_us || life < l->born || (l->forgets && life != l->life);
}

static void at_shard(struct world *w, const struct event *e) {
    struct wire *x = e->arg;
    (void)w;
    if (!is_lost(x, e))
        x->deliver(x->deliver_arg, e->b, e->a, e->frame);
}

static void at_client(struct world *w, const struct event *e) {
    struct wire *x = e->arg;
    (void)w;
    if (is_lost(x, e) || x->clients[e->a % SIM_CLIENTS_MAX] == NULL || e->node->dead)
        return;
    node_mail(e->node, e->b, frame_ref(e->frame));
    node_wake(e->node, 0);
}

static void carry(struct wire *x, const struct node *from, struct event e, const char *fate,
                  int64_t more_us) {
    const struct weather *v = &x->weather;
    int64_t us = v->least_us + rng_below(&x->rng, v->spread_us + 1) + more_us;
    digest(x->w, e.frame, us);
    say(x->w, from, e.node, e.frame, fate, us);
    world_add(x->w, us, e);
}

/* One frame meets its fate. Takes its reference. */
static void send_off(struct wire *x, struct node *from, struct event e) {
    const struct weather *v = &x->weather;
    const struct line *l = &x->lines[e.a % SIM_CLIENTS_MAX][e.b];
    e.arg = x;
    if (from->dies_in > 0 && --from->dies_in == 0)
        node_kill(from);
    if (from->dead || x->w->now_us < l->cut_us) {
        if (!from->dead)
            say(x->w, from, e.node, e.frame, "cut off", 0);
        frame_unref(e.frame);
        return;
    }
    if (chance(x, v->lost)) {
        world_note(x->w, FAULT_LOST);
        say(x->w, from, e.node, e.frame, "lost", 0);
        frame_unref(e.frame);
        return;
    }
    if (chance(x, v->doubled)) {
        world_note(x->w, FAULT_DOUBLED);
        frame_ref(e.frame);
        carry(x, from, e, "doubled", chance(x, v->late) ? rng_below(&x->rng, v->late_us) : 0);
    }
    if (chance(x, v->late)) {
        world_note(x->w, FAULT_LATE);
        carry(x, from, e, "late", rng_below(&x->rng, v->late_us));
        return;
    }
    carry(x, from, e, "", 0);
}

/* ---- the shards' end ---- */

static rh_status shard_send(struct net *n, uint32_t peer, struct frame *f) {
    struct shard_end *end = (struct shard_end *)n;
    struct wire *x = end->wire;
    uint32_t client = peer % SIM_CLIENTS_MAX, shard = end->node->number;
    if (x->clients[client] == NULL || peer_of(x, client, shard) != peer) {
        say(x->w, end->node, end->node, f, "to nobody", 0);
        frame_unref(f);
        return RH_EUNREACHABLE;
    }
    send_off(x, end->node,
             (struct event){
                 .run = at_client, .node = x->clients[client], .a = peer, .b = shard, .frame = f});
    return RH_OK;
}

static const struct net_ops shard_side = {.scheme = "sim", .send = shard_send};

struct net *wire_shard_net(struct wire *x, struct node *node) {
    struct shard_end *end = &x->ends[node->number];
    *end = (struct shard_end){.net = {&shard_side, x->pool}, .wire = x, .node = node};
    return &end->net;
}

/* ---- the clients' end ---- */

struct client_end {
    struct net net; /* first */
    struct wire *wire;
    struct node *node;
};

static rh_status client_dial(struct net *n, const char *address, uint32_t *peer) {
    struct client_end *end = (struct client_end *)n;
    if (sscanf(address, "sim:%u", peer) != 1 || *peer >= SIM_SHARDS_MAX)
        return err_set(RH_EINVAL, "%s: no such shard in this world", address);
    struct line *l = &end->wire->lines[end->node->number][*peer];
    l->born = ++l->life;
    return RH_OK;
}

static void client_hangup(struct net *n, uint32_t peer) {
    (void)n;
    (void)peer;
}

static rh_status client_send(struct net *n, uint32_t peer, struct frame *f) {
    struct client_end *end = (struct client_end *)n;
    struct wire *x = end->wire;
    send_off(x, end->node,
             (struct event){.run = at_shard,
                            .node = x->ends[peer].node,
                            .a = peer_of(x, end->node->number, peer),
                            .b = peer,
                            .frame = f});
    return RH_OK;
}

static struct frame *client_recv(struct net *n, uint32_t *peer) {
    struct mail m;
    if (!node_take_mail(((struct client_end *)n)->node, &m))
        return NULL;
    *peer = m.peer;
    return m.frame;
}

static int client_fd(struct net *n) {
    (void)n;
    return -1;
}

static void client_wake(struct net *n) {
    (void)n;
}

static void client_close(struct net *n, int linger_ms) {
    struct client_end *end = (struct client_end *)n;
    (void)linger_ms;
    node_drop_mail(end->node);
    end->wire->clients[end->node->number] = NULL;
    free(end);
}

static const struct net_ops client_side = {
    .scheme = "sim",
    .dial = client_dial,
    .hangup = client_hangup,
    .send = client_send,
    .recv = client_recv,
    .fd = client_fd,
    .wake = client_wake,
    .close = client_close,
};

struct net *wire_client_net(struct wire *x, struct node *node) {
    struct client_end *end = calloc(1, sizeof *end);
    if (end == NULL)
        abort();
    *end = (struct client_end){.net = {&client_side, x->pool}, .wire = x, .node = node};
    x->clients[node->number] = node;
    return &end->net;
}

/* ---- all of it ---- */

void wire_init(struct wire *x, struct world *w, struct frame_pool *pool) {
    *x = (struct wire){.w = w, .pool = pool};
    rng_init(&x->rng, w->seed, 1);
}

void wire_clear(struct wire *x) {
    for (uint32_t c = 0; c < SIM_CLIENTS_MAX; c++)
        for (uint32_t i = 0; i < SIM_SHARDS_MAX; i++) {
            x->lines[c][i].born = ++x->lines[c][i].life;
            x->lines[c][i].cut_us = 0;
        }
}

void wire_cut(struct wire *x, uint32_t client, uint32_t shard, int64_t for_us, bool forgets) {
    struct line *l = &x->lines[client][shard];
    l->life++;
    l->forgets = forgets;
    l->cut_us = x->w->now_us + for_us;
}
