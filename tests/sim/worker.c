/* worker.c - a worker of a trial: does its steps with the real, blocking client. A call whose deadline has passed is
 * called again where that is what rowhouse.h says. Whatever else fails fails the trial. */
#include <string.h>

#include "ps/shard_inner.h"
#include "tests/sim/trial.h"
#include "worker/client.h"

static const struct step *steps_of(const struct worker *k) {
    return k->t->scene->steps[k->rank];
}

static struct world *world_of(struct worker *k) {
    return &k->t->w;
}

/* The next thing it does, for those who wonder why nothing goes on. */
static void says(struct worker *k, const char *what) {
    k->doing = what;
    k->since_us = world_of(k)->now_us;
    k->comebacks = k->t->comebacks;
    world_say(world_of(k), &k->node, "step %u of clock %u: %s", k->at,
              k->c == NULL ? 0 : (unsigned)rh_clock(k->c), what);
}

static bool dead(const struct worker *k) {
    return k->node.dead || k->t->w.failed;
}

/* True if it goes on: the call has succeeded. */
static bool fine(struct worker *k, rh_status s) {
    if (dead(k))
        return false;
    if (s == RH_OK)
        return true;
    if (s == RH_EROLLBACK && k->t->scene->deaths) {
        world_say(world_of(k), &k->node, "%s", rh_errmsg());
        k->back = true;
        k->joined = false;
        return false;
    }
    world_fail(world_of(k), "worker %u, step %u, %s: %s: %s", k->rank, k->at, k->doing,
               rh_strstatus(s), rh_errmsg());
    return false;
}

/* True if its deadline has passed, and it may be called again. */
static bool late(const struct worker *k, rh_status s) {
    return (s == RH_ETIMEDOUT || s == RH_EUNREACHABLE) && !dead(k);
}

/* ---- pushes ---- */

static void note_made(struct worker *k, uint32_t step) {
    k->t->made[k->rank][step] = (uint32_t)rh_clock(k->c) + 1;
}

static void note_acked(struct worker *k) {
    world_of(k)->acked++;
    trial_acked(k->t);
}

static bool wait_one(struct worker *k, uint32_t i) {
    rh_status s;
    says(k, "rh_wait");
    do
        s = rh_wait(&k->flights[i].op, -1);
    while (late(k, s) && k->flights[i].op != NULL);
    if (late(k, s))
        return true; /* of a silent shard: it is still owed, and the tick waits for it */
    if (!fine(k, s))
        return false;
    note_acked(k);
    return true;
}

static bool wait_all(struct worker *k) {
    for (uint32_t i = 0; i < k->n_flights; i++)
        if (!wait_one(k, i))
            return false;
    k->n_flights = 0;
    return true;
}

static bool begin_push(struct worker *k, const struct step *s) {
    if (k->n_flights == FLIGHTS_MAX && !wait_all(k))
        return false;
    says(k, "rh_push_begin");
    note_made(k, k->at);
    if (!fine(k, rh_push_begin(k->tables[s->table], s->ids, s->n, s->grads,
                               &k->flights[k->n_flights].op)))
        return false;
    k->flights[k->n_flights++].step = k->at;
    return true;
}

/* After a timeout it is still owed: it is applied once, and must not be called again. */
static bool push(struct worker *k, const struct step *s) {
    says(k, "rh_push");
    note_made(k, k->at);
    rh_status st = rh_push(k->tables[s->table], s->ids, s->n, s->grads);
    if (late(k, st))
        return true;
    if (!fine(k, st))
        return false;
    note_acked(k);
    return true;
}

/* ---- pulls ---- */

static bool pull(struct worker *k, const struct step *s) {
    float rows[SCENE_IDS_MAX * SCENE_DIM_MAX];
    rh_status st;
    says(k, "rh_pull");
    do
        st = rh_pull(k->tables[s->table], s->ids, s->n, rows);
    while (late(k, st));
    if (!fine(k, st))
        return false;
    model_check(k, s->table, s->n, s->ids, rows);
    return true;
}

static bool batch(struct worker *k, const struct step *s) {
    float rows[SCENE_IDS_MAX * SCENE_DIM_MAX];
    rh_batch *b = NULL;
    rh_op *op = NULL;
    says(k, "rh_batch_begin");
    rh_status st = rh_batch_new(k->c, &b);
    if (st == RH_OK)
        st = rh_batch_push(b, k->tables[s->table], s->ids, s->n, s->grads);
    if (st == RH_OK)
        st = rh_batch_pull(b, k->tables[s->table], s->ids, s->n, rows);
    note_made(k, k->at);
    if (st == RH_OK)
        st = rh_batch_begin(b, &op);
    rh_batch_free(&b);
    if (!fine(k, st))
        return false;
    says(k, "rh_wait of a batch");
    do
        st = rh_wait(&op, -1);
    while (late(k, st) && op != NULL);
    if (late(k, st))
        return true;
    if (!fine(k, st))
        return false;
    note_acked(k);
    model_check(k, s->table, s->n, s->ids, rows);
    return true;
}

/* ---- time ---- */

static bool never(const void *arg) {
    (void)arg;
    return false;
}

/* It computes, and the client's thread drives the net meanwhile: that thread is played here. */
static void rest(struct worker *k, uint32_t ms) {
    says(k, "rest");
    pthread_mutex_lock(&k->c->lock);
    client_wait(k->c, never, NULL, client_now(k->c) + ms);
    (void)client_leave(k->c, RH_OK);
}

/* Where it goes on if it has to begin again from here. */
static bool set_cursor(struct worker *k, uint32_t at) {
    return !(k->t->scene->saves || k->t->scene->deaths) ||
           fine(k, rh_set_cursor(k->c, &at, sizeof at));
}

static bool save(struct worker *k) {
    static const char shared[] = "shared";
    const char own[] = {'w', (char)('0' + k->rank), '\0'};
    /* Where all save together the tick may have marked for it already, and the cursor is that of the tick. */
    if (!scene_saves_together(k->t->scene) && !set_cursor(k, k->at + 1))
        return false;
    says(k, "rh_save");
    rh_status s = rh_save(k->c, scene_saves_together(k->t->scene) || k->at % 2 == 0 ? shared : own);
    if (s == RH_OK && !dead(k)) {
        save_note(k->t, k->c);
        return !dead(k);
    }
    world_say(world_of(k), &k->node, "%s", rh_errmsg());
    return s != RH_EROLLBACK && save_may_fail(k->t, s) ? !dead(k) : fine(k, s);
}

static bool tick(struct worker *k) {
    rh_status s;
    if (!set_cursor(k, k->at + 1))
        return false;
    says(k, "rh_tick");
    do
        s = rh_tick(k->c);
    while (late(k, s));
    return fine(k, s);
}

/* ---- a life ---- */

static bool do_step(struct worker *k, const struct step *s) {
    switch (s->what) {
    case DO_PUSH:
        return push(k, s);
    case DO_BEGIN:
        return begin_push(k, s);
    case DO_WAIT:
        return wait_all(k);
    case DO_PULL:
        return pull(k, s);
    case DO_BATCH:
        return batch(k, s);
    case DO_REST:
        rest(k, s->n);
        return !dead(k);
    case DO_SAVE:
        return save(k);
    case DO_TICK:
        return tick(k);
    }
    return false;
}

static bool join(struct worker *k) {
    rh_status s;
    if (k->c != NULL)
        return true;
    for (;;) {
        says(k, "rh_connect");
        s = trial_connect(k->t, &k->node, false, k->succeeds, &k->c);
        /* RH_EMISMATCH: of an earlier attempt some shard thinks that it is still here. */
        if (s != RH_EUNREACHABLE && s != RH_ETIMEDOUT && s != RH_EMISMATCH && s != RH_EIO)
            break;
        if (dead(k))
            break;
        node_pause(&k->node, node_now_ms(&k->node) + 500);
    }
    return fine(k, s);
}

static bool open_tables(struct worker *k) {
    const struct scene *p = k->t->scene;
    char name[] = "t0";
    for (uint32_t t = 0; t < p->tables; t++) {
        rh_table_spec spec;
        rh_status s;
        name[1] = (char)('0' + t);
        rh_table_spec_init(&spec, p->rows[t], p->dims[t]);
        spec.init = rh_zeros();
        spec.optimizer = p->adam[t] ? rh_adam(0.125) : rh_sgd(1);
        says(k, "rh_table_open");
        do
            s = rh_table_open(k->c, name, &spec, &k->tables[t]);
        while (late(k, s));
        if (!fine(k, s))
            return false;
    }
    return true;
}

/* A goodbye that the net has lost leaves a worker behind that all wait for: its supervisor would start
 * another. */
static bool is_heard(const struct worker *k) {
    for (uint32_t i = 0; i < k->t->seats.n; i++) {
        const struct shard *shard = k->t->seats.seats[i].shard;
        const struct session *w = shard == NULL ? NULL : shard_session(shard, k->rank);
        if (w == NULL || w->state != SESSION_GONE)
            return false;
    }
    return true;
}

static void leave(struct worker *k) {
    says(k, "rh_close");
    rh_close(k->c);
    k->c = NULL;
    while (!dead(k) && !is_heard(k)) {
        if (!join(k) || !set_cursor(k, k->at)) /* its farewell may not have come either */
            return;
        says(k, "rh_close again");
        rh_close(k->c);
        k->c = NULL;
    }
}

static uint32_t ticks_before(const struct worker *k) {
    uint32_t n = 0;
    for (uint32_t i = 0; i < k->at; i++)
        n += steps_of(k)[i].what == DO_TICK;
    return n;
}

/* What it did behind its cursor is in no table. The checkpoint is no older than the last one that anybody was
 * told of. */
static bool resume(struct worker *k) {
    uint32_t at = 0;
    size_t len = sizeof at;
    const uint64_t durable = k->t->durable;
    rh_status s;
    says(k, "rh_cursor");
    do
        s = rh_cursor(k->c, k->rank, &at, &len);
    while (late(k, s) || ((s == RH_EMISMATCH || s == RH_EIO) && !dead(k))); /* not yet */
    if (s == RH_ENOTFOUND)
        at = 0;
    else if (!fine(k, s))
        return false;
    world_say(world_of(k), &k->node, "goes on at step %u", at);
    memset(&k->t->made[k->rank][at], 0, (SCENE_STEPS_MAX - at) * sizeof k->t->made[k->rank][at]);
    k->t->comebacks++;
    k->at = at;
    k->shifted |= rh_clock(k->c) != ticks_before(k);
    rh_checkpoint_info is = {.size = sizeof is};
    s = rh_last_checkpoint(k->c, &is);
    if (s == RH_OK && is.generation < durable)
        world_fail(world_of(k), "generation %u was committed, and the job went back to %u",
                   (unsigned)durable, (unsigned)is.generation);
    return s == RH_ENOTFOUND || late(k, s) || fine(k, s);
}

static bool do_steps(struct worker *k) {
    for (; k->at < k->t->scene->n_steps[k->rank]; k->at++)
        if (!do_step(k, &steps_of(k)[k->at]))
            return false;
    return true;
}

static uint32_t ticks_left(const struct worker *k) {
    uint32_t n = 0;
    for (uint32_t i = k->at; i < k->t->scene->n_steps[k->rank]; i++)
        n += steps_of(k)[i].what == DO_TICK;
    return n;
}

/* One that came back late begins at a later clock, and so ends at one: it would wait there for those who have ended
 * all their own. */
static bool catch_up(struct worker *k) {
    uint64_t target = 0;
    for (uint32_t i = 0; i < k->t->scene->workers; i++) {
        const struct worker *o = &k->t->workers[i];
        uint64_t last = o->c != NULL ? o->c->clock + ticks_left(o) : 0;
        target = last > target ? last : target;
    }
    for (uint64_t clock = rh_clock(k->c); clock < target; clock++)
        if (!tick(k))
            return false;
    return true;
}

/* Who leaves for good does not come again when a server dies behind it, so all leave together, having seen that
 * all shards are as they know them. */
static bool end_together(struct worker *k) {
    float rows[SCENE_SHARED * SCENE_DIM_MAX];
    uint64_t ids[SCENE_SHARED];
    rh_status s;
    k->ends = true;
    k->node.dies_in = 0;
    says(k, "rh_barrier");
    while (late(k, s = rh_barrier(k->c, 500)))
        if (scene_saves_together(k->t->scene) && !catch_up(k))
            return false;
    if (!fine(k, s))
        return false;
    trial_is_over(k->t);
    for (uint32_t i = 0; i < SCENE_SHARED; i++)
        ids[i] = i;
    says(k, "rh_pull at the end");
    do
        s = rh_pull(k->tables[0], ids, SCENE_SHARED, rows);
    while (late(k, s));
    return fine(k, s);
}

static bool work(struct worker *k, bool again) {
    const bool deaths = k->t->scene->deaths;
    if (!join(k))
        return false;
    if (k->t->life == 0 && k->succeeds == 0 && !again)
        k->shifted |= rh_clock(k->c) > 0;
    else if (!resume(k))
        return false;
    k->joined = true;
    k->joined_us = world_of(k)->now_us;
    k->life = k->c->links[0].server_inc;
    return open_tables(k) && do_steps(k) && (!deaths || end_together(k));
}

/* What is in flight ends with the life that it was begun in. */
static void drop_flights(struct worker *k) {
    for (uint32_t i = 0; i < k->n_flights; i++) {
        rh_status ignored = rh_wait(&k->flights[i].op, -1);
        (void)ignored;
    }
    k->n_flights = 0;
}

void worker_run(void *arg) {
    struct worker *k = arg;
    k->n_flights = 0;
    bool done = work(k, false);
    while (k->back && !dead(k)) {
        k->back = k->ends = false;
        drop_flights(k);
        done = work(k, true);
    }
    drop_flights(k);
    if (done)
        leave(k);
    client_free(k->c);
    k->c = NULL;
    k->gone = !dead(k);
    k->doing = "gone";
    if (k->node.dead && !k->t->ending)
        trial_revive(k);
}
