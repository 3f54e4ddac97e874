/* reborn.c - what a worker does that comes in the place of a dead one: of the pushes that its predecessor was not told of, it
 * reads which have come, by the rows that they alone change, and pushes the others again. The shards take nothing of the
 * predecessor any more, so what is there is there, and what is not will not come. Under bsp a shard has closed the
 * predecessor's last clock with all of its pushes or with none. */
#include "proto/place.h"
#include "tests/sim/trial.h"

enum fate { UNKNOWN, THERE, MISSING };

/* What became of the clock in hand, by shard. */
struct fates {
    enum fate of[SIM_SHARDS_MAX];
};

static uint32_t shard_of(const struct worker *k, uint64_t id) {
    return place_shard(id, k->t->seats.n);
}

/* *got: which of the rows that this step alone changes are there. */
static bool read_own(struct worker *k, const struct step *s, uint16_t *got) {
    float rows[SCENE_IDS_MAX * SCENE_DIM_MAX];
    uint32_t n = 0;
    rh_status st;
    *got = 0;
    while (n < s->n && s->ids[n] >= SCENE_SHARED)
        n++;
    worker_says(k, "rh_pull of what has come");
    do
        st = rh_pull(k->tables[s->table], s->ids, n, rows);
    while (worker_late(k, st));
    if (!worker_fine(k, st))
        return false;
    for (uint32_t i = 0; i < n; i++) {
        float is = rows[i * k->t->scene->dims[s->table]];
        *got |= (uint16_t)((is == 1) << i);
        if (is != 0 && is != 1)
            world_fail(&k->t->w, "behind worker %u's death the row %u of table %u is %g", k->rank,
                       (unsigned)s->ids[i], s->table, (double)is);
    }
    return true;
}

/* The rows of mask once more. */
static bool push_again(struct worker *k, uint32_t step, uint16_t mask) {
    const struct step *s = &k->t->scene->steps[k->rank][step];
    const uint32_t dim = k->t->scene->dims[s->table];
    uint64_t ids[SCENE_IDS_MAX];
    float grads[SCENE_IDS_MAX * SCENE_DIM_MAX];
    uint32_t n = 0;
    for (uint32_t i = 0; i < s->n; i++) {
        if ((mask >> i & 1) == 0)
            continue;
        for (uint32_t d = 0; d < dim; d++)
            grads[n * dim + d] = s->grads[i * dim + d];
        ids[n++] = s->ids[i];
    }
    k->t->moved[k->rank][step] = mask;
    k->t->remade[k->rank][step] = (uint32_t)rh_clock(k->c) + 1;
    if (n == 0)
        return true;
    worker_says(k, "rh_push of what has not come");
    rh_status st = rh_push(k->tables[s->table], ids, n, grads);
    return worker_late(k, st) || worker_fine(k, st);
}

/* Each part has its own fate: of rows that others push to as well nobody can say. */
static bool repair_parts(struct worker *k, uint32_t step, uint16_t got) {
    const struct step *s = &k->t->scene->steps[k->rank][step];
    uint16_t own = 0;
    for (uint32_t i = 0; i < s->n; i++)
        own |= (uint16_t)((s->ids[i] >= SCENE_SHARED) << i);
    k->t->unsure[k->rank][step] = ALL_IDS & ~own;
    return push_again(k, step, own & ~got);
}

static void learn(struct worker *k, uint32_t step, uint16_t got, struct fates *f) {
    const struct step *s = &k->t->scene->steps[k->rank][step];
    for (uint32_t i = 0; i < s->n && s->ids[i] >= SCENE_SHARED; i++) {
        enum fate is = got >> i & 1 ? THERE : MISSING, *was = &f->of[shard_of(k, s->ids[i])];
        if (*was != UNKNOWN && *was != is)
            world_fail(&k->t->w, "shard %u has closed a clock with half of worker %u's pushes",
                       shard_of(k, s->ids[i]), k->rank);
        *was = is;
    }
}

static bool repair_clock(struct worker *k, uint32_t step, const struct fates *f) {
    const struct step *s = &k->t->scene->steps[k->rank][step];
    uint16_t missing = 0, unsure = 0;
    for (uint32_t i = 0; i < s->n; i++) {
        enum fate is = f->of[shard_of(k, s->ids[i])];
        missing |= (uint16_t)((is == MISSING) << i);
        unsure |= (uint16_t)((is == UNKNOWN) << i);
    }
    k->t->unsure[k->rank][step] = unsure;
    return push_again(k, step, missing);
}

static void count_halves(struct trial *t, const struct fates *f) {
    bool there = false, missing = false;
    for (uint32_t i = 0; i < t->seats.n; i++) {
        there |= f->of[i] == THERE;
        missing |= f->of[i] == MISSING;
    }
    t->halves += there && missing;
}

bool reborn_repair(struct worker *k) {
    const bool bsp = k->t->scene->mode == RH_MODE_BSP;
    uint16_t *unsure = k->t->unsure[k->rank], got[SCENE_STEPS_MAX];
    struct fates f = {0};
    for (uint32_t i = 0; i <= k->at; i++) {
        if (unsure[i] != ALL_IDS)
            continue;
        if (!read_own(k, &k->t->scene->steps[k->rank][i], &got[i]))
            return false;
        if (bsp)
            learn(k, i, got[i], &f);
    }
    count_halves(k->t, &f);
    for (uint32_t i = 0; i <= k->at; i++)
        if (unsure[i] == ALL_IDS && !(bsp ? repair_clock(k, i, &f) : repair_parts(k, i, got[i])))
            return false;
    k->at += k->t->made[k->rank][k->at] != 0; /* all but a push may be done again */
    return true;
}
