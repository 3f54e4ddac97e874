/* seat.c - see seat.h. */
#include "tests/sim/seat.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "common/err.h"
#include "common/hash.h"
#include "ps/ckpt_folder.h"
#include "ps/ckpt_shard.h"

/* ---- tasks ---- */

static void on_task(struct world *w, const struct event *e) {
    struct seat *s = e->arg;
    (void)w;
    if (s->coro == NULL || s->node.dead)
        return;
    s->all->working = s;
    coro_resume(s->coro);
    s->all->working = NULL;
    if (coro_is_over(s->coro))
        coro_free(&s->coro);
}

static void go_on(struct seat *s) {
    world_add(s->all->w, rng_below(&s->all->rng, s->all->disk_us + 1),
              (struct event){.run = on_task, .node = &s->node, .arg = s});
}

/* Before a step on the disk. A shard's own thread does not rest: it is the event. */
static bool step(void *arg) {
    struct seats *a = arg;
    struct seat *s = a->working;
    if (s == NULL)
        return !a->ending;
    if (!s->node.dead) {
        go_on(s);
        coro_yield(s->coro);
    }
    return !s->node.dead;
}

static void run_task(void *arg) {
    shard_task_run(((struct seat *)arg)->task);
}

static void start_task(void *arg, struct shard_task *t) {
    struct seat *s = arg;
    s->task = t;
    s->coro = coro_new(run_task, s);
    go_on(s);
}

/* ---- lives ---- */

static void begin(struct seats *a, uint32_t i, bool rejoins) {
    struct seat *s = &a->seats[i];
    struct shard_config c;
    s->all = a;
    node_init(&s->node, a->w, "shard", i);
    shard_config_init(&c);
    c.shard = i;
    c.shards = a->n;
    c.incarnation = s->incarnation += 1000; /* restores count in between */
    c.rejoins = rejoins;
    c.world = a->world;
    c.job = hash64(SEATS_JOB, strlen(SEATS_JOB));
    c.ckpt = &a->disk.io;
    c.start = start_task;
    c.start_arg = s;
    if (shard_new(&c, wire_shard_net(a->x, &s->node), &s->shard) != RH_OK)
        abort();
}

/* Its process is gone, with all that it had. */
static void bury(struct seat *s) {
    if (s->coro != NULL) {
        s->all->working = s;
        coro_resume(s->coro); /* to its end: nothing that it does has an effect */
        s->all->working = NULL;
        coro_free(&s->coro);
    }
    const bool was = s->all->ending;
    s->all->ending = true;
    shard_free(&s->shard);
    s->all->ending = was;
    node_fini(&s->node);
}

static void end(struct seat *s) {
    if (!s->node.dead)
        node_kill(&s->node);
    bury(s);
}

/* Another process takes its place. */
static void on_rise(struct world *w, const struct event *e) {
    struct seat *s = e->arg;
    if (s->shard != NULL || e->b != s->deaths || s->all->n == 0)
        return;
    begin(s->all, s->node.number, true);
    world_say(w, &s->node, "rejoins");
}

/* It is dead. */
static void fall(struct seat *s) {
    struct seats *a = s->all;
    world_say(a->w, &s->node, "is dead");
    bury(s);
    s->deaths++;
    for (uint32_t c = 0; c < SIM_CLIENTS_MAX; c++)
        wire_cut(a->x, c, s->node.number, 0, s->forgets);
    world_add(a->w, 1000LL * rng_below(&a->rng, 3000),
              (struct event){.run = on_rise, .b = s->deaths, .arg = s});
}

void seats_kill(struct seats *a, uint32_t i, uint32_t dies_in, bool forgets) {
    struct seat *s = &a->seats[i];
    if (s->shard == NULL)
        return;
    s->forgets = forgets;
    s->node.dies_in = dies_in;
    if (dies_in > 0)
        return;
    node_kill(&s->node);
    fall(s);
}

static void deliver(void *arg, uint32_t shard, uint32_t peer, struct frame *f) {
    struct seats *a = arg;
    struct seat *s = &a->seats[shard];
    if (s->shard == NULL)
        return;
    shard_frame(s->shard, peer, f, node_now_ms(&s->node));
    if (s->node.dead)
        fall(s);
}

static rh_status restore(struct seats *a, const char *name) {
    struct ckpt_manifest m = {0};
    struct ckpt_fd folder = {.fd = -2};
    rh_status st = ckpt_open(&a->disk.io, name, &folder, &m);
    if (st != RH_OK)
        return st;
    for (uint32_t i = 0; st == RH_OK && i < a->n; i++)
        st = ckpt_shard_restore(a->seats[i].shard, &folder, &m, name);
    a->restored = m.generation;
    world_say(a->w, NULL, "restored \"%s\", generation %" PRIu64 ", of %u shards onto %u", name,
              m.generation, m.shards, a->n);
    ckpt_manifest_fini(&m);
    ckpt_drop(&folder);
    return st;
}

bool seats_begin(struct seats *a, uint32_t n) {
    char name[CKPT_NAME_MAX + 1];
    uint64_t next;
    a->n = n;
    a->restored = 0;
    memory_disk_fail(&a->disk.d, 0, 0);
    rh_status st = ckpt_clean(&a->disk.io, NULL);
    for (uint32_t i = 0; i < n; i++)
        begin(a, i, false);
    if (st == RH_OK)
        st = ckpt_newest(&a->disk.io, name, &next);
    if (st == RH_ENOTFOUND)
        return true;
    if (st == RH_OK)
        st = restore(a, name);
    if (st != RH_OK)
        world_fail(a->w, "the newest checkpoint cannot be restored: %s: %s", status_text(st),
                   err_text());
    return st == RH_OK;
}

void seats_end(struct seats *a) {
    a->ending = true;
    for (uint32_t i = 0; i < a->n; i++) {
        end(&a->seats[i]);
        a->seats[i].deaths++; /* nobody takes its place */
    }
    a->ending = false;
    if (memory_disk_open_files(&a->disk.d) > 0)
        world_fail(a->w, "shards that are gone have left %u files open",
                   memory_disk_open_files(&a->disk.d));
    a->n = 0;
}

void seats_init(struct seats *a, struct wire *x, uint32_t world, uint32_t disk_us) {
    *a = (struct seats){.w = x->w, .x = x, .world = world, .disk_us = disk_us};
    disk_init(&a->disk, step, a);
    rng_init(&a->rng, x->w->seed, 4);
    x->deliver = deliver;
    x->deliver_arg = a;
}

void seats_fini(struct seats *a) {
    disk_fini(&a->disk);
}
