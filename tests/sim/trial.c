/* trial.c - see trial.h. */
#include "tests/sim/trial.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/err.h"
#include "worker/client.h"
#include "worker/connect.h"

enum { POOL_BYTES = 16 << 20 };

/* Nobody may need longer: mishaps together take less than a fifth of it. */
static const int64_t end_us = 900 * 1000000LL;

/* ---- clients ---- */

static int64_t now_ms(void *arg) {
    return node_now_ms(arg);
}

static void pause_until(void *arg, int64_t until_ms) {
    node_pause(arg, until_ms);
}

rh_status trial_connect(struct trial *t, struct node *n, bool observer, uint32_t succeeds,
                        rh_client **out) {
    const struct scene *p = t->scene;
    rh_config cfg;
    rh_config_init(&cfg);
    cfg.job = SEATS_JOB;
    cfg.rank = observer ? 0 : n->number;
    cfg.world = p->workers;
    cfg.mode = p->mode;
    cfg.staleness = p->staleness;
    cfg.observer = observer;
    cfg.succeeds = succeeds;
    cfg.op_timeout_ms = p->op_timeout_ms;
    cfg.connect_timeout_ms = p->connect_timeout_ms;
    struct roster r = {.shards = t->seats.n, .servers = calloc(t->seats.n, sizeof *r.servers)};
    if (r.servers == NULL)
        abort();
    for (uint32_t i = 0; i < t->seats.n; i++)
        snprintf(r.servers[i], sizeof r.servers[i], "sim:%u", i);
    struct client_time time = {now_ms, pause_until, n};
    rh_status s = connect_over(&cfg, wire_client_net(&t->x, n), &r, &time, out);
    if (s == RH_OK && !observer)
        (*out)->part_bytes = p->part_bytes;
    return s;
}

void trial_begin_client(struct trial *t, struct node *n, void (*run)(void *arg), void *arg) {
    n->coro = coro_new(run, arg);
    n->waits = true;
    node_wake(n, rng_below(&t->x.rng, 3000));
}

/* ---- the run ---- */

static bool life_is_over(const struct trial *t) {
    if (t->ends != NULL)
        return true;
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
               len == 0 ? " who comes when they have left" : "");
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

/* It dies where it stands, so that its code comes to its end. */
static void end_client(struct node *n) {
    if (n->coro != NULL && !coro_is_over(n->coro)) {
        node_kill(n);
        n->waits = false;
        coro_resume(n->coro);
    }
    node_fini(n);
}

static void end_life(struct trial *t) {
    t->ending = true;
    for (uint32_t i = 0; i < t->scene->workers; i++)
        end_client(&t->workers[i].node);
    end_client(&t->visitor);
    end_client(&t->observer);
    seats_end(&t->seats);
    wire_clear(&t->x);
    t->ending = false;
}

static void begin_life(struct trial *t, bool first) {
    const struct scene *p = t->scene;
    t->ends = NULL;
    t->over = false;
    t->w.end_us = t->w.now_us + end_us;
    if (!seats_begin(&t->seats, t->quiet ? 1 : p->shards[t->life]))
        return;
    t->restored += !first && t->seats.restored > 0;
    if (t->seats.restored < t->durable)
        world_fail(&t->w, "generation %llu was committed, and only %llu is there",
                   (unsigned long long)t->durable, (unsigned long long)t->seats.restored);
    for (uint32_t i = 0; i < p->workers; i++) {
        struct worker *k = &t->workers[i];
        bool shifted = k->shifted;
        *k = (struct worker){.t = t, .rank = i, .shifted = shifted};
        node_init(&k->node, &t->w, "worker", i);
        trial_begin_client(t, &k->node, worker_run, k);
    }
    node_init(&t->visitor, &t->w, "visitor", SIM_WORKERS_MAX + 1);
    node_init(&t->observer, &t->w, "observer", SIM_WORKERS_MAX);
}

static void live(struct trial *t) {
    begin_life(t, true);
    run_until(t, life_is_over);
    while (t->ends != NULL && !t->w.failed) {
        const struct mishap *m = t->ends;
        end_life(t);
        if (m->what == FAULT_POWER)
            disk_crash(&t->seats.disk, m->crash, &t->seats.rng);
        t->life++;
        begin_life(t, false);
        run_until(t, life_is_over);
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
    wire_init(&t->x, &t->w, pool);
    t->x.weather = p->weather;
    t->x.calm = quiet || p->weather_from > 0;
    seats_init(&t->seats, &t->x, p->workers, p->disk_us);
    live(t);
    t->x.calm = true;
    run_until(t, nothing_left); /* what comes late finds that it is known */
    for (uint32_t i = 0; i < t->seats.n; i++)
        t->seats.seats[i].node.frozen_us = 0;
    if (!t->w.failed) {
        trial_begin_client(t, &t->observer, observer_run, t);
        run_until(t, observed);
    }
    end_life(t);
    seats_fini(&t->seats);
    world_fini(&t->w);
}

/* ---- one seed ---- */

/* The same job on one shard, where nothing goes wrong. */
static const struct trial *undisturbed(const struct scene *p) {
    static struct trial want;
    play(&want, p, true, false);
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
                            .saved = t.saved,
                            .restored = t.restored,
                            .back = t.comebacks,
                            .virtual_us = t.w.now_us,
                            .digest = t.w.digest};
    memcpy(out->why, t.w.why, sizeof out->why);
    memcpy(out->faults, t.w.faults, sizeof out->faults);
    scene_fini(&p);
}
