/* connect.c - rh_connect: where the servers are, a net to them, and the hellos: the lead first,
 * which gives this client its incarnation, then the others. */
#include "worker/connect.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/failpoint.h"
#include "common/hash.h"
#include "worker/local.h"
#include "worker/op.h"

/* Without a wire a part costs little, and one that stays in the core's own cache between being
 * gathered and being read makes a pull a fifth faster. Over sockets, small parts cost wake-ups. */
enum { LOCAL_PART_BYTES = 256 << 10 };

/* ---- joining ---- */

static bool is_up(const struct link *l) {
    return l->state == LINK_UP;
}

static bool lead_is_up(const void *arg) {
    return is_up(&((const rh_client *)arg)->links[0]);
}

static bool all_are_up(const void *arg) {
    const rh_client *c = arg;
    for (uint32_t i = 0; i < c->shards; i++)
        if (!is_up(&c->links[i]))
            return false;
    return true;
}

static rh_status unreachable(const rh_client *c, int timeout_ms) {
    char who[ERR_TEXT_MAX] = "";
    size_t len = 0;
    for (uint32_t i = 0; i < c->shards && len < sizeof who; i++)
        if (c->links[i].state == LINK_SAYING)
            len += (size_t)snprintf(who + len, sizeof who - len, "%sshard %u at %s",
                                    len == 0 ? "" : ", ", i, c->links[i].cfg.address);
    return err_set(RH_EUNREACHABLE,
                   "nobody answered in %.1f s: %s. Are the servers running, and is this where they "
                   "listen?",
                   timeout_ms / 1000.0, who);
}

/* Refused by another shard than the lead: most often the list of servers is wrong, so it is shown. */
static rh_status refused(const rh_client *c) {
    rh_status s = c->failed;
    if (s != RH_EMISMATCH || c->failed_shard == 0)
        return client_failed(c);
    char given[ERR_TEXT_MAX] = "";
    size_t len = 0;
    for (uint32_t i = 0; i < c->shards && len < sizeof given; i++)
        len += (size_t)snprintf(given + len, sizeof given - len, "%s%u %s", i == 0 ? "" : ", ", i,
                                c->links[i].cfg.address);
    return err_set(s, "%s (servers by shard, as given: %s)", c->failed_text, given);
}

/* Whether all shards hold the rows of one moment. */
static rh_status check_origins(const rh_client *c) {
    const struct link *lead = &c->links[0];
    for (uint32_t i = 1; i < c->shards; i++) {
        const struct link *l = &c->links[i];
        if (l->origin != lead->origin)
            return err_set(RH_EMISMATCH,
                           "shard 0 at %s began with %s checkpoint, shard %u at %s with %s: all "
                           "servers of a job need the same --restore and the same folder; or a "
                           "restore is under way, or has ended half done: then restore again "
                           "(rowhouse ckpt restore)",
                           lead->cfg.address, lead->origin == 0 ? "no" : "a", i, l->cfg.address,
                           l->origin == 0      ? "none"
                           : lead->origin == 0 ? "one"
                                               : "another");
    }
    return RH_OK;
}

/* Says hello everywhere. */
static rh_status join(rh_client *c, int timeout_ms) {
    int64_t deadline_ms = client_deadline(c, timeout_ms);
    link_hello(&c->links[0], 0, 0, client_now(c));
    if (client_wait(c, lead_is_up, c, deadline_ms)) {
        const struct link *lead = &c->links[0];
        for (uint32_t i = 1; i < c->shards; i++)
            link_hello(&c->links[i], lead->worker_inc, lead->clock, client_now(c));
        client_wait(c, all_are_up, c, deadline_ms);
    }
    if (c->failed != RH_OK)
        return refused(c);
    if (!all_are_up(c))
        return unreachable(c, timeout_ms);
    /* By an observer's rh_restore one gets out of it. */
    rh_status s = c->observer ? RH_OK : check_origins(c);
    if (s != RH_OK)
        return s;
    for (uint32_t i = 0; i < c->shards; i++)
        if (c->links[i].clock > c->clock)
            c->clock = c->links[i].clock;
    for (uint32_t i = 0; i < c->shards; i++)
        link_start(&c->links[i], (uint32_t)c->clock, client_now(c));
    c->mode = (rh_mode)c->links[0].mode;
    c->world = c->links[0].world;
    return RH_OK;
}

/* ---- joining again ---- */

/* An operation that nobody waits for. */
static void forget(rh_op **op, bool waited_for) {
    if (*op == NULL || waited_for)
        return;
    op_recycle(*op);
    *op = NULL;
}

static void end_sessions(rh_client *c, const char *text) {
    for (uint32_t i = 0; i < c->shards; i++)
        link_fail(&c->links[i], RH_EFENCED, text);
    c->failed = RH_OK; /* a tick that is over so has said otherwise */
    forget(&c->tick, c->ending);
    forget(&c->barrier, c->passing);
    c->owed_status = RH_OK;
}

/* As a client that was never in a job: all of this is said by the shards, or counted in a session. */
static void begin_sessions(rh_client *c) {
    for (uint32_t i = 0; i < c->shards; i++)
        link_renew(&c->links[i]);
    free(c->cursor);
    c->cursor = NULL;
    c->cursor_len = 0;
    c->marked = 0;
    c->clock = 0;
    c->call = 0;
    c->gate = false;
    c->barriers = 0;
    atomic_store(&c->freezes, 0);
}

static bool nothing_unbegun(const void *arg) {
    return ((const rh_client *)arg)->unbegun == 0;
}

rh_status connect_again(rh_client *c, const char *text) {
    end_sessions(c, text);
    begin_sessions(c);
    c->news = true;
    /* What other threads had made for the life before may not begin in this one. */
    if (!client_wait_others(c, nothing_unbegun, c, client_deadline(c, -1)))
        return err_set(RH_ETIMEDOUT, "another thread is in the middle of a call");
    return join(c, c->op_timeout_ms);
}

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
    if (s == RH_OK) {
        pthread_mutex_lock(&c->lock);
        s = join(c, cfg->connect_timeout_ms);
        pthread_mutex_unlock(&c->lock);
    }
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
