/* local.c - see local.h. Each shard has a small net of its own, whose send() puts the answer into
 * the queue that the client's recv() reads. No thread, no lock: the client's lock covers it all. */
#include "worker/local.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common/clock.h"
#include "common/err.h"
#include "common/hash.h"
#include "ps/shard.h"

enum {
    SHARDS_MAX = 64,
    POOL_BYTES = 64 << 20,
    ANSWERS_MAX = 1 << 16, /* waiting for recv(); beyond it frames are lost, as on any net */
    CLIENT = 1             /* the client's number as the shards see it */
};

struct local_shard {
    struct net net; /* first: the shard hands it back */
    struct local_net *home;
    uint32_t peer; /* its number in the client's net */
    struct shard *shard;
};

struct local_net {
    struct net net; /* first */
    struct local_shard *shards;
    uint32_t n_shards;
    struct ckpt_io *ckpt; /* the shards' folder of checkpoints; NULL: they have none */
    struct answer {
        struct frame *frame;
        uint32_t peer;
    } * answers; /* a ring of cap cells */
    uint32_t head, n, cap;
};

/* ---- the shards' side ---- */

static bool grow_ring(struct local_net *l) {
    if (l->cap >= ANSWERS_MAX)
        return false;
    uint32_t cap = l->cap == 0 ? 64 : 2 * l->cap;
    struct answer *ring = malloc(cap * sizeof *ring);
    if (ring == NULL)
        return false;
    for (uint32_t i = 0; i < l->n; i++)
        ring[i] = l->answers[(l->head + i) % l->cap];
    free(l->answers);
    l->answers = ring;
    l->head = 0;
    l->cap = cap;
    return true;
}

static rh_status shard_send(struct net *n, uint32_t peer, struct frame *f) {
    struct local_shard *s = (struct local_shard *)n;
    struct local_net *l = s->home;
    assert(peer == CLIENT);
    (void)peer;
    if (l->n == l->cap && !grow_ring(l)) {
        frame_unref(f);
        return RH_EUNREACHABLE;
    }
    l->answers[(l->head + l->n++) % l->cap] = (struct answer){f, s->peer};
    return RH_OK;
}

static const struct net_ops shard_side = {.scheme = "local", .send = shard_send};

/* ---- the client's side ---- */

static rh_status local_dial(struct net *n, const char *address, uint32_t *peer) {
    const struct local_net *l = (struct local_net *)n;
    unsigned shard;
    char rest;
    if (sscanf(address, "local:%u%c", &shard, &rest) != 1 || shard >= l->n_shards)
        return err_set(RH_EINVAL, "%s: there is no such shard in this process", address);
    *peer = shard;
    return RH_OK;
}

static void local_hangup(struct net *n, uint32_t peer) {
    (void)n;
    (void)peer;
}

static rh_status local_send(struct net *n, uint32_t peer, struct frame *f) {
    struct local_net *l = (struct local_net *)n;
    shard_frame(l->shards[peer].shard, CLIENT, f, clock_now_ms());
    frame_unref(f);
    return RH_OK;
}

static struct frame *local_recv(struct net *n, uint32_t *peer) {
    struct local_net *l = (struct local_net *)n;
    if (l->n == 0)
        return NULL;
    struct answer a = l->answers[l->head];
    l->head = (l->head + 1) % l->cap;
    l->n--;
    *peer = a.peer;
    return a.frame;
}

static int local_fd(struct net *n) {
    (void)n;
    return -1;
}

static void local_wake(struct net *n) {
    (void)n;
}

static void local_close(struct net *n, int linger_ms) {
    struct local_net *l = (struct local_net *)n;
    (void)linger_ms;
    for (uint32_t i = 0; l->shards != NULL && i < l->n_shards; i++)
        shard_free(&l->shards[i].shard);
    ckpt_io_free(&l->ckpt);
    uint32_t peer;
    struct frame *f;
    while ((f = local_recv(n, &peer)) != NULL)
        frame_unref(f);
    frame_pool_free(&l->net.pool);
    free(l->answers);
    free(l->shards);
    free(l);
}

/* Made by local_open, with its shards: open() alone could not know how many. */
const struct net_ops net_local = {
    .scheme = "local",
    .dial = local_dial,
    .hangup = local_hangup,
    .send = local_send,
    .recv = local_recv,
    .fd = local_fd,
    .wake = local_wake,
    .close = local_close,
};

/* ---- opening ---- */

static rh_status count_shards(const rh_config *cfg, uint32_t *out) {
    const char *text = cfg->servers + strlen("local:");
    *out = cfg->local_shards;
    if (*text == '\0')
        return RH_OK;
    char rest;
    if (sscanf(text, "%u%c", out, &rest) != 1 || *out < 1 || *out > SHARDS_MAX)
        return err_set(RH_EINVAL, "servers \"%s\": it is \"local:\" or \"local:N\", N from 1 to %d",
                       cfg->servers, SHARDS_MAX);
    return RH_OK;
}

static rh_status open_shards(struct local_net *l, const rh_config *cfg) {
    rh_status known =
        cfg->checkpoint_dir == NULL ? RH_OK : ckpt_io_beneath(cfg->checkpoint_dir, &l->ckpt);
    if (known != RH_OK)
        return err_in(known, "rh_config: checkpoint_dir (RH_CHECKPOINT_DIR)");
    for (uint32_t i = 0; i < l->n_shards; i++) {
        struct local_shard *s = &l->shards[i];
        *s = (struct local_shard){.net = {&shard_side, l->net.pool}, .home = l, .peer = i};
        struct shard_config c;
        shard_config_init(&c);
        c.shard = i;
        c.shards = l->n_shards;
        c.job = hash64(cfg->job, strlen(cfg->job));
        c.no_sums = true;
        c.pid = (uint32_t)getpid();
        c.unix_ms = clock_unix_ms() - clock_now_ms();
        c.source = source_anywhere();
        c.ckpt = l->ckpt;
        rh_status st = shard_new(&c, &s->net, &s->shard);
        if (st != RH_OK)
            return st;
    }
    return RH_OK;
}

rh_status local_open(const rh_config *cfg, struct roster *roster, struct net **out) {
    uint32_t n;
    rh_status s = count_shards(cfg, &n);
    if (s != RH_OK)
        return s;
    struct roster r = {.shards = n, .world = 1};
    r.servers = calloc(n, sizeof *r.servers);
    struct local_net *l = calloc(1, sizeof *l);
    if (l == NULL || r.servers == NULL) {
        s = err_set(RH_ENOMEM, "no memory for %u shards", n);
        goto free_both;
    }
    l->net.ops = &net_local;
    l->n_shards = n;
    l->shards = calloc(n, sizeof *l->shards);
    l->net.pool = frame_pool_new(POOL_BYTES);
    s = l->shards == NULL || l->net.pool == NULL ? err_set(RH_ENOMEM, "no memory for %u shards", n)
                                                 : open_shards(l, cfg);
    if (s != RH_OK) {
        local_close(&l->net, 0);
        l = NULL;
        goto free_both;
    }
    for (uint32_t i = 0; i < n; i++)
        snprintf(r.servers[i], sizeof r.servers[i], "local:%u", i);
    *roster = r;
    *out = &l->net;
    return RH_OK;

free_both:
    free(l);
    free(r.servers);
    return s;
}
