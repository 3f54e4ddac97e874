/* trial.c - see trial.h. */
#include "tests/sim/trial.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/err.h"
#include "common/hash.h"
#include "worker/client.h"
#include "worker/connect.h"

#define JOB "sim"

enum { POOL_BYTES = 16 << 20 };

/* Nobody may need longer: mishaps together take less than a fifth of it. */
static const int64_t end_us = 900 * 1000000LL;

/* ---- shards ---- */

static void deliver(void *arg, uint32_t shard, uint32_t peer, struct frame *f) {
    struct trial *t = arg;
    struct seat *seat = &t->seats[shard];
    shard_frame(seat->shard, peer, f, node_now_ms(&seat->node));
}

static void begin_shard(struct trial *t, uint32_t i) {
    struct seat *seat = &t->seats[i];
    struct shard_config c;
    node_init(&seat->node, &t->w, "shard", i);
    shard_config_init(&c);
    c.shard = i;
    c.shards = t->scene->shards;
    c.incarnation = ++seat->incarnation;
    c.world = t->scene->workers;
    c.job = hash64(JOB, strlen(JOB));
    rh_status s = shard_new(&c, wire_shard_net(&t->x, &seat->node), &seat->shard);
    if (s != RH_OK)
        abort();
}

/* ---- clients ---- */

static int64_t now_ms(void *arg) {
    return node_now_ms(arg);
}

static void pause_until(void *arg, int64_t until_ms) {
    node_pause(arg, until_ms);
}

rh_status trial_connect(struct trial *t, struct node *n, bool observer, rh_client **out) {
    const struct scene *p = t->scene;
    rh_config cfg;
    rh_config_init(&cfg);
    cfg.job = JOB;
    cfg.rank = observer ? 0 : n->number;
    cfg.world = p->workers;
    cfg.mode = p->bsp ? RH_MODE_BSP : RH_MODE_ASYNC;
    cfg.observer = observer;
    cfg.op_timeout_ms = p->op_timeout_ms;
    cfg.connect_timeout_ms = p->connect_timeout_ms;
    struct roster r = {.shards = p->shards, .servers = calloc(p->shards, sizeof *r.servers)};
    if (r.servers == NULL)
        abort();
    for (uint32_t i = 0; i < p->shards; i++)
        snprintf(r.servers[i], sizeof r.servers[i], "sim:%u", i);
    struct client_time time = {now_ms, pause_until, n};
    rh_status s = connect_over(&cfg, wire_client_net(&t->x, n), &r, &time, out);
    if (s == RH_OK && !observer)
        (*out)->part_bytes = p->part_bytes;
    return s;
}

/* A process that begins at once, or nearly. */
static void begin_client(struct trial *t, struct node *n, void (*run)(void *arg), void *arg) {
    n->coro = coro_new(run, arg);
    n->waits = true;
    node_wake(n, rng_below(&t->x.rng, 3000));
}

/* ---- the run ---- */

static bool all_gone(const struct trial *t) {
    for (uint32_t i = 0; i < t->scene->workers; i++)
        if (!t->workers[i].gone)
            return false;
    return true;
}

static void hangs(struct trial *t) {
    char who[512] = "";
    size_t len = 0;
    for (uint32_t i = 0; i < t->scene->workers && len < sizeof who; i++) {
        const struct worker *k = &t->workers[i];
        if (!k->gone)
            len += (size_t)snprintf(
                who + len, sizeof who - len, "%s worker %u in step %u (%s since %.3f s)",
                len == 0 ? "" : ",", i, k->at, k->doing == NULL ? "nothing" : k->doing,
                (double)k->since_us / 1e6);
    }
    world_fail(&t->w, "hangs: at %.3f s of its time not over:%s%s", (double)t->w.now_us / 1e6, who,
               len == 0 ? " the observer at the end" : "");
}

static void run_until(struct trial *t, bool (*over)(const struct trial *t)) {
    while (!over(t) && world_step(&t->w)) {
    }
    if (!over(t) && !t->w.failed)
        hangs(t);
}

static bool observed(const struct trial *t) {
    return coro_is_over(t->observer.coro);
}

static bool nothing_left(const struct trial *t) {
    return t->w.n == 0;
}

/* Everybody dies where they stand, so that their code comes to its end. */
static void end_clients(struct trial *t) {
    for (uint32_t i = 0; i <= t->scene->workers; i++) {
        struct node *n = i < t->scene->workers ? &t->workers[i].node : &t->observer;
        if (n->coro == NULL)
            continue;
        if (!coro_is_over(n->coro) && t->w.turns > 0) {
            node_kill(n);
            n->waits = false;
            coro_resume(n->coro);
        }
        node_fini(n);
    }
}

static void play(struct trial *t, const struct scene *p, bool quiet, bool verbose) {
    static struct frame_pool *pool; /* for all trials: fresh memory costs more than they do */
    if (pool == NULL)
        pool = frame_pool_new(POOL_BYTES);
    memset(t, 0, sizeof *t);
    t->scene = p;
    t->quiet = quiet;
    world_init(&t->w, p->seed, verbose);
    t->w.end_us = end_us;
    wire_init(&t->x, &t->w, pool);
    t->x.weather = p->weather;
    t->x.deliver = deliver;
    t->x.deliver_arg = t;
    t->x.calm = quiet || p->weather_from > 0;
    for (uint32_t i = 0; i < p->shards; i++)
        begin_shard(t, i);
    for (uint32_t i = 0; i < p->workers; i++) {
        struct worker *k = &t->workers[i];
        *k = (struct worker){.t = t, .rank = i};
        node_init(&k->node, &t->w, "worker", i);
        begin_client(t, &k->node, worker_run, k);
    }
    node_init(&t->observer, &t->w, "observer", SIM_WORKERS_MAX);
    run_until(t, all_gone);
    t->x.calm = true;
    run_until(t, nothing_left); /* what comes late finds that it is known */
    if (!t->w.failed) {
        begin_client(t, &t->observer, observer_run, t);
        run_until(t, observed);
    }
    end_clients(t);
    for (uint32_t i = 0; i < p->shards; i++) {
        shard_free(&t->seats[i].shard);
        node_fini(&t->seats[i].node);
    }
    world_fini(&t->w);
}

/* ---- one seed ---- */

/* The same job on one shard, where nothing goes wrong. */
static const struct trial *undisturbed(const struct scene *p) {
    static struct trial want;
    struct scene one = *p;
    one.shards = 1;
    play(&want, &one, true, false);
    return &want;
}

static bool has_bits(const struct trial *t) {
    bool adam = false, shifted = false;
    for (uint32_t i = 0; i < t->scene->tables; i++)
        adam |= t->scene->adam[i];
    for (uint32_t i = 0; i < t->scene->workers; i++)
        shifted |= t->workers[i].shifted;
    return adam && !shifted;
}

static bool counts(const struct trial *t) {
    const struct scene *p = t->scene;
    const uint64_t *f = t->w.faults;
    const struct weather *v = &p->weather;
    if (t->next_mishap < p->n_mishaps)
        return false;
    if ((v->lost && !f[FAULT_LOST]) || (v->doubled && !f[FAULT_DOUBLED]) ||
        (v->late && !f[FAULT_LATE]))
        return false;
    return t->w.acked_last > 0 && t->w.acked_first < t->w.acked;
}

void trial_run(uint64_t seed, bool verbose, struct outcome *out) {
    static struct trial t;
    struct scene p;
    scene_draw(&p, seed);
    if (verbose) {
        char text[512];
        scene_describe(&p, text, sizeof text);
        printf("seed %llu: %s\n", (unsigned long long)seed, text);
    }
    play(&t, &p, false, verbose);
    if (!t.w.failed)
        model_check_all(&t, has_bits(&t) ? undisturbed(&p) : NULL);
    *out = (struct outcome){.failed = t.w.failed,
                            .counted = counts(&t),
                            .pushes = t.w.acked,
                            .lost = t.lost,
                            .doubled = t.doubled,
                            .virtual_us = t.w.now_us,
                            .digest = t.w.digest};
    memcpy(out->why, t.w.why, sizeof out->why);
    memcpy(out->faults, t.w.faults, sizeof out->faults);
    scene_fini(&p);
}
