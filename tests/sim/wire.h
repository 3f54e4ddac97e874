/* wire.h - the network between clients and shards: frames take their time, and by the weather they are
 * lost, doubled, or late behind others; a connection may be cut for a while, and is another one then. All that
 * PROTOCOL.md says a net may do. */
#ifndef TESTS_SIM_WIRE_H
#define TESTS_SIM_WIRE_H

#include "proto/net.h"
#include "tests/sim/world.h"

struct weather {
    uint32_t lost, doubled, late; /* of a thousand frames */
    uint32_t least_us, spread_us; /* of every frame */
    uint32_t late_us;             /* of late ones, at most */
};

/* What a client has to a shard. */
struct line {
    uint32_t life;  /* of the connection */
    uint32_t born;  /* the first of this client: what was of those before has nobody to come to */
    int64_t cut_us; /* nothing passes until then */
    bool forgets;   /* what was on its way when it was cut is lost */
};

struct wire {
    struct world *w;
    struct frame_pool *pool;
    struct rng rng;
    struct weather weather;
    bool calm; /* no weather */
    struct line lines[SIM_CLIENTS_MAX][SIM_SHARDS_MAX];
    struct node *clients[SIM_CLIENTS_MAX]; /* by number; NULL: it has no net */
    struct shard_end {
        struct net net; /* first: the shard hands it back */
        struct wire *wire;
        struct node *node;
    } ends[SIM_SHARDS_MAX];

    /* A frame comes to a shard. The reference stays the wire's. */
    void (*deliver)(void *arg, uint32_t shard, uint32_t peer, struct frame *f);
    void *deliver_arg;
};

void wire_init(struct wire *x, struct world *w, struct frame_pool *pool);

/* The net of shard number node->number; lives as long as the wire. */
struct net *wire_shard_net(struct wire *x, struct node *node);

/* A net for a client; its addresses are "sim:0", "sim:1" ... Closed by net->ops->close. */
struct net *wire_client_net(struct wire *x, struct node *node);

/* Everybody has died: what was on its way has nobody to come to. */
void wire_clear(struct wire *x);

/* No frame passes between them for so long. forgets: those that are on their way are lost. */
void wire_cut(struct wire *x, uint32_t client, uint32_t shard, int64_t for_us, bool forgets);

#endif
