/* mishaps.c - what goes wrong in a trial, when so many pushes are acked. */
#include <inttypes.h>

#include "tests/sim/trial.h"

static void freeze(struct world *w, struct node *n, int64_t for_us) {
    if (n->frozen_us < w->now_us + for_us)
        n->frozen_us = w->now_us + for_us;
}

/* ---- deaths ---- */

static void worker_again(struct world *w, const struct event *e) {
    struct worker *k = e->arg;
    if (e->b != k->t->life || k->t->ending || w->failed)
        return;
    node_fini(&k->node);
    node_init(&k->node, w, "worker", k->rank);
    k->succeeds++;
    k->joined = k->ends = k->back = false;
    trial_begin_client(k->t, &k->node, worker_run, k);
}

void trial_revive(struct worker *k) {
    world_say(&k->t->w, &k->node, "is dead");
    world_add(&k->t->w, 1000LL * rng_below(&k->t->x.rng, 5000),
              (struct event){.run = worker_again, .b = k->t->life, .arg = k});
}

/* Now, or in the middle of what it sends. */
static void worker_dies(struct worker *k, uint32_t dies_in) {
    if (k->gone || k->ends || k->node.dead || coro_is_over(k->node.coro))
        return;
    k->node.dies_in = dies_in;
    if (dies_in > 0)
        return;
    node_kill(&k->node);
    k->node.waits = false;
    coro_resume(k->node.coro);
}

void trial_is_over(struct trial *t) {
    t->over = true;
    for (uint32_t i = 0; i < t->scene->workers; i++)
        t->workers[i].node.dies_in = 0;
    for (uint32_t i = 0; i < t->seats.n; i++)
        t->seats.seats[i].node.dies_in = 0;
}

static void happen(struct world *w, const struct event *e) {
    struct trial *t = e->arg;
    const struct mishap *m = &t->scene->mishaps[e->a];
    struct node *n =
        m->client < SIM_CLIENTS_MAX ? &t->workers[m->client].node : &t->seats.seats[m->shard].node;
    if (e->b != t->life || m->shard >= t->seats.n || t->over)
        return; /* who it was for died before */
    world_note(w, m->what);
    world_say(w, n, "%s, for %.3f s", fault_names[m->what], (double)m->for_us / 1e6);
    switch (m->what) {
    case FAULT_CUT:
        wire_cut(&t->x, m->client, m->shard, m->for_us, m->forgets);
        break;
    case FAULT_PAUSE:
        freeze(w, n, m->for_us);
        break;
    case FAULT_JUMP:
        n->ahead_us += m->for_us;
        break;
    case FAULT_DISK:
        memory_disk_fail(&t->seats.disk.d, m->disk_at, m->disk_how);
        break;
    case FAULT_WORKER:
        worker_dies(&t->workers[m->client], m->dies_in);
        break;
    case FAULT_SHARD:
        seats_kill(&t->seats, m->shard, m->dies_in, m->forgets);
        break;
    case FAULT_KILL:
    case FAULT_POWER:
        t->ends = m;
        break;
    default:
        break;
    }
}

static void visit(struct trial *t) {
    if (t->visitor.coro != NULL && !coro_is_over(t->visitor.coro))
        return;
    node_fini(&t->visitor);
    node_init(&t->visitor, &t->w, "visitor", SIM_WORKERS_MAX + 1);
    trial_begin_client(t, &t->visitor, visitor_run, t);
}

void trial_acked(struct trial *t) {
    const struct scene *p = t->scene;
    if (t->quiet)
        return;
    if (t->w.acked >= p->weather_from)
        t->x.calm = false;
    for (; t->next_mishap < p->n_mishaps && p->mishaps[t->next_mishap].at_acked <= t->w.acked;
         t->next_mishap++)
        world_add(&t->w, rng_below(&t->x.rng, 3000),
                  (struct event){.run = happen, .a = t->next_mishap, .b = t->life, .arg = t});
    for (; t->next_visit < p->n_visits && p->visits[t->next_visit] <= t->w.acked; t->next_visit++)
        visit(t);
}
