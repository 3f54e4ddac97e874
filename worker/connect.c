/* connect.c - rh_connect: where the servers are, and a net to them. Then rejoin.c says hello. */
#include "worker/connect.h"

#include <string.h>

#include "common/failpoint.h"
#include "common/hash.h"
#include "worker/local.h"
#include "worker/rejoin.h"

/* Without a wire a part costs little, and one that stays in the core's own cache between being
 * gathered and being read makes a pull a fifth faster. Over sockets, small parts cost wake-ups. */
enum { LOCAL_PART_BYTES = 256 << 10 };

/* ---- the net ---- */

static rh_status dial(rh_client *c, const rh_config *cfg) {
    const uint32_t nonce = client_draw(c);
    for (uint32_t i = 0; i < c->shards; i++) {
        struct link_config l = {
            .net = c->net,
            .address = c->roster.servers[i],
            .shard = i,
            .shards = c->shards,
            .job = c->job,
            .worker = c->observer ? WIRE_OBSERVER : c->rank,
            .world = c->world,
            .mode = (uint8_t)c->mode,
            .staleness = c->mode == RH_MODE_SSP ? cfg->staleness : 0,
            .life = c->observer ? 0 : (uint16_t)cfg->succeeds,
            .nonce = nonce,
            .no_sums = c->net->ops == &net_local,
        };
        rh_status s = c->net->ops->dial(c->net, l.address, &l.peer);
        if (s != RH_OK)
            return s;
        link_init(&c->links[i], &l);
    }
    c->fd = c->net->ops->fd(c->net);
    return RH_OK;
}

rh_status connect_over(const rh_config *cfg, struct net *net, const struct roster *roster,
                       const struct client_time *time, rh_client **out) {
    rh_client *c = client_new(net, roster, time);
    if (c == NULL) {
        struct roster r = *roster;
        roster_fini(&r);
        net->ops->close(net, 0);
        return err_set(RH_ENOMEM, "no memory for a client of %u shards", roster->shards);
    }
    c->observer = cfg->observer != 0;
    c->rank = c->observer ? WIRE_OBSERVER : cfg->rank;
    c->world = cfg->world;
    c->mode = cfg->mode == RH_MODE_DEFAULT ? RH_MODE_ASYNC : cfg->mode;
    c->op_timeout_ms = cfg->op_timeout_ms;
    c->interrupted = cfg->interrupted;
    c->interrupted_arg = cfg->interrupted_arg;
    c->connector = pthread_self();
    const char *job = *cfg->job == '\0' ? roster->job : cfg->job;
    c->job = hash64(job, strlen(job));
    c->part_bytes = net->ops == &net_local ? LOCAL_PART_BYTES : WIRE_ROWS_MAX;
    rh_status s = dial(c, cfg);
    /* An observer comes in wherever the shards are: to look at that, and to restore. */
    if (s == RH_OK)
        s = rejoin(c, "", cfg->connect_timeout_ms, !c->observer);
    if (s == RH_OK && c->fd >= 0)
        s = client_start_thread(c);
    if (s != RH_OK) {
        /* Or the rank would count as taken when the caller tries again. */
        for (uint32_t i = 0; i < c->shards; i++)
            link_withdraw(&c->links[i], client_now(c));
        client_free(c);
        return s;
    }
    *out = c;
    return RH_OK;
}

static rh_status open_net(const struct roster *r, struct net **out) {
    const struct net_ops *ops;
    rh_status s = net_find(r->servers[0], &ops);
    for (uint32_t i = 1; s == RH_OK && i < r->shards; i++) {
        const struct net_ops *other;
        s = net_find(r->servers[i], &other);
        if (s == RH_OK && other != ops)
            s = err_set(RH_EINVAL,
                        "servers %s and %s: all servers of a job must be reached the same way",
                        r->servers[0], r->servers[i]);
    }
    return s == RH_OK ? ops->open(ops, out) : s;
}

/* Servers elsewhere: given by name, or by this mpirun. */
static rh_status connect_far(const rh_config *cfg, rh_client **out) {
    struct roster r;
    rh_config known = *cfg;
    rh_status s;
    if (strcmp(cfg->servers, "mpi:") == 0) {
        s = roster_from_mpi(NULL, 0, NULL, NULL, &r);
        if (s == RH_OK && r.world > 0) {
            known.rank = r.rank;
            known.world = r.world;
        }
    } else {
        s = roster_parse(cfg->servers, &r);
    }
    if (s != RH_OK)
        return s;
    struct net *net;
    s = open_net(&r, &net);
    if (s != RH_OK) {
        roster_fini(&r);
        return s;
    }
    return connect_over(&known, net, &r, &client_real_time, out);
}

static rh_status connect_local(const rh_config *cfg, rh_client **out) {
    if (cfg->world > 1 && !cfg->observer)
        return err_set(
            RH_EINVAL,
            "local: is for one worker, and the world is %u (RH_WORLD): start servers and "
            "name them in RH_SERVERS",
            cfg->world);
    struct roster r;
    struct net *net;
    rh_status s = local_open(cfg, &r, &net);
    return s == RH_OK ? connect_over(cfg, net, &r, &client_real_time, out) : s;
}

rh_status rh_connect(const rh_config *cfg, rh_client **out) {
    rh_status s = failpoint_begin();
    if (s == RH_OK)
        s = config_check(cfg);
    if (s != RH_OK)
        return s;
    rh_client *c = NULL;
    bool local = strncmp(cfg->servers, "local:", strlen("local:")) == 0;
    s = local ? connect_local(cfg, &c) : connect_far(cfg, &c);
    if (s != RH_OK)
        return err_in(s, "rh_connect");
    *out = c;
    return RH_OK;
}

uint32_t rh_rank(const rh_client *c) {
    return c->rank;
}

uint32_t rh_world(const rh_client *c) {
    return c->world;
}

uint32_t rh_shards(const rh_client *c) {
    return c->shards;
}
