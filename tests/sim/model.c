/* model.c - what rows must be. Each push is made by one step of one worker, once, so a row is a sum over
 * those that were made. Under bsp a reader in clock c sees those of clocks below c, no more and no less; under async its
 * own, and of the others any; under ssp besides all that are older than the staleness. */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "tests/sim/trial.h"

static const float *grads_of(const struct scene *p, const struct gift *g, uint32_t table) {
    return &p->steps[g->worker][g->step].grads[g->at * p->dims[table]];
}

/* Under ssp nobody waits for who has not come; here is who came before the reader began to read. */
static bool was_here(const struct worker *reader, uint32_t worker) {
    const struct worker *k = &reader->t->workers[worker];
    return k->joined && k->joined_us < reader->since_us;
}

/* Whether it is known if this gift has come. */
static bool is_sure(const struct trial *t, const struct gift *g) {
    return (t->unsure[g->worker][g->step] >> g->at & 1) == 0;
}

/* The clock that it was made in, + 1; 0: it was not. */
static uint32_t made_of(const struct trial *t, const struct gift *g) {
    const bool moved = t->moved[g->worker][g->step] >> g->at & 1;
    return (moved ? t->remade : t->made)[g->worker][g->step];
}

/* The reader must see it. */
static bool must_see(const struct worker *w, const struct gift *g, uint32_t clock) {
    const struct trial *t = w->t;
    switch (t->scene->mode) {
    case RH_MODE_BSP:
        return true;
    case RH_MODE_SSP:
        if (was_here(w, g->worker) && made_of(t, g) + t->scene->staleness <= clock)
            return true;
        break;
    default:
        break;
    }
    return g->worker == w->rank;
}

/* The sums of what a reader must see, and of what it may. least, most: (dim). */
static void bounds(const struct worker *w, uint32_t table, uint64_t id, float *least, float *most) {
    const struct trial *t = w->t;
    const uint32_t dim = t->scene->dims[table], clock = (uint32_t)rh_clock(w->c);
    memset(least, 0, dim * sizeof *least);
    memset(most, 0, dim * sizeof *most);
    for (const struct gift *g = t->scene->first[table][id]; g != NULL; g = g->next) {
        const uint32_t made = made_of(t, g);
        const float *grads = grads_of(t->scene, g, table);
        if (made == 0 || (t->scene->mode == RH_MODE_BSP && made > clock))
            continue;
        const bool must = is_sure(t, g) && must_see(w, g, clock);
        for (uint32_t d = 0; d < dim; d++) {
            most[d] -= grads[d];
            least[d] -= must ? grads[d] : 0;
        }
    }
}

void model_check(struct worker *w, uint32_t table, uint32_t n, const uint64_t *ids,
                 const float *rows) {
    const struct scene *p = w->t->scene;
    float least[SCENE_DIM_MAX], most[SCENE_DIM_MAX];
    for (uint32_t i = 0; i < n && !p->adam[table]; i++) {
        bounds(w, table, ids[i], least, most);
        for (uint32_t d = 0; d < p->dims[table]; d++) {
            float got = rows[i * p->dims[table] + d];
            if (got < least[d] || got > most[d])
                world_fail(&w->t->w,
                           "worker %u in clock %u has read %g in row %" PRIu64
                           " of table %u, column %u: it must be from %g to %g",
                           w->rank, (unsigned)rh_clock(w->c), (double)got, ids[i], table, d,
                           (double)least[d], (double)most[d]);
        }
    }
}

/* ---- at last ---- */

/* What a row must be at least and at most: the same, unless a worker has died in a push to it. */
static void sum(const struct trial *t, uint32_t table, uint64_t id, float *least, float *most) {
    const struct scene *p = t->scene;
    memset(least, 0, p->dims[table] * sizeof *least);
    memset(most, 0, p->dims[table] * sizeof *most);
    for (const struct gift *g = p->first[table][id]; g != NULL; g = g->next)
        for (uint32_t d = 0; d < p->dims[table]; d++) {
            most[d] -= grads_of(p, g, table)[d];
            least[d] -= is_sure(t, g) ? grads_of(p, g, table)[d] : 0;
        }
}

static bool is_wrong(const struct trial *t, uint32_t table, uint64_t id) {
    const uint32_t dim = t->scene->dims[table];
    const float *got = &t->rows[table][id * dim];
    float least[SCENE_DIM_MAX], most[SCENE_DIM_MAX];
    sum(t, table, id, least, most);
    for (uint32_t d = 0; d < dim; d++)
        if (!(got[d] >= least[d] && got[d] <= most[d]))
            return true;
    return false;
}

static void check_sums(struct trial *t, uint32_t table) {
    const uint32_t dim = t->scene->dims[table];
    uint64_t wrong = 0, first = 0;
    for (uint64_t id = 0; id < t->scene->rows[table]; id++) {
        if (!is_wrong(t, table, id))
            continue;
        first = wrong++ == 0 ? id : first;
        if (id >= SCENE_SHARED) {
            t->lost += t->rows[table][id * dim] < 1;
            t->doubled += t->rows[table][id * dim] > 1;
        }
    }
    if (wrong == 0)
        return;
    float least[SCENE_DIM_MAX], most[SCENE_DIM_MAX];
    sum(t, table, first, least, most);
    world_fail(&t->w,
               "at last %" PRIu64 " rows of table %u are wrong: %" PRIu64
               " pushes of rows lost, %" PRIu64 " doubled; the first is row %" PRIu64
               ", which begins with %g, not %g to %g",
               wrong, table, t->lost, t->doubled, first, (double)t->rows[table][first * dim],
               (double)least[0], (double)most[0]);
}

static void check_bits(struct trial *t, const struct trial *want, uint32_t table) {
    const uint32_t dim = t->scene->dims[table];
    for (uint64_t id = 0; id < t->scene->rows[table]; id++)
        if (memcmp(&t->rows[table][id * dim], &want->rows[table][id * dim], dim * sizeof(float)) !=
            0) {
            world_fail(&t->w,
                       "at last row %" PRIu64
                       " of table %u, under Adam, begins with %.9g, and undisturbed with %.9g",
                       id, table, (double)t->rows[table][id * dim],
                       (double)want->rows[table][id * dim]);
            return;
        }
}

void model_check_all(struct trial *t, const struct trial *want) {
    for (uint32_t i = 0; i < t->scene->tables && !t->w.failed; i++) {
        if (!t->scene->adam[i])
            check_sums(t, i);
        else if (want != NULL)
            check_bits(t, want, i);
    }
}
