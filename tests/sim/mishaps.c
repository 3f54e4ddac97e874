/* mishaps.c - what goes wrong in a trial, when so many pushes are acked. */
#include <inttypes.h>

#include "tests/sim/trial.h"

static void freeze(struct world *w, struct node *n, int64_t for_us) {
    if (n->frozen_us < w->now_us + for_us)
        n->frozen_us = w->now_us + for_us;
}

static void happen(struct trial *t, const struct mishap *m) {
    struct node *n =
        m->client < SIM_CLIENTS_MAX ? &t->workers[m->client].node : &t->seats[m->shard].node;
    world_note(&t->w, m->what);
    world_say(&t->w, n, "%s, for %.3f s", fault_names[m->what], (double)m->for_us / 1e6);
    switch (m->what) {
    case FAULT_CUT:
        wire_cut(&t->x, m->client, m->shard, m->for_us, m->forgets);
        break;
    case FAULT_PAUSE:
        freeze(&t->w, n, m->for_us);
        break;
    case FAULT_JUMP:
        n->ahead_us += m->for_us;
        break;
    default:
        break;
    }
}

void trial_acked(struct trial *t) {
    const struct scene *p = t->scene;
    if (t->w.acked >= p->weather_from)
        t->x.calm = t->quiet;
    for (; !t->quiet && t->next_mishap < p->n_mishaps &&
           p->mishaps[t->next_mishap].at_acked <= t->w.acked;
         t->next_mishap++)
        happen(t, &p->mishaps[t->next_mishap]);
}
