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
    return k->joined && k->joined_us < reader->since_us && k->life == reader->life;
}

/* The sums of what a reader must see, and of what it may. least, most: (dim). */
static void bounds(const struct worker *w, uint32_t table, uint64_t id, float *least, float *most) {
    const struct trial *t = w->t;
    const uint32_t dim = t->scene->dims[table], clock = (uint32_t)rh_clock(w->c);
    const rh_mode mode = t->scene->mode;
    memset(least, 0, dim * sizeof *least);
    memset(most, 0, dim * sizeof *most);
    for (const struct gift *g = t->scene->first[table][id]; g != NULL; g = g->next) {
        const uint32_t made = t->made[g->worker][g->step];
        const float *grads = grads_of(t->scene, g, table);
        if (made == 0 || (mode == RH_MODE_BSP && made > clock))
            continue;
        /* Who has not come back yet does not know either what is left of its pushes. */
        const struct worker *giver = &t->workers[g->worker];
        const bool known = mode == RH_MODE_BSP && giver->joined && giver->life == w->life;
        const bool must =
            known || g->worker == w->rank ||
            (mode == RH_MODE_SSP && was_here(w, g->worker) && made + t->scene->staleness <= clock);
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
    if (w->comebacks != w->t->comebacks)
        return; /* the answer may be of the life before, and what was made there is forgotten */
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

static void sum(const struct scene *p, uint32_t table, uint64_t id, float *out) {
    memset(out, 0, p->dims[table] * sizeof *out);
    for (const struct gift *g = p->first[table][id]; g != NULL; g = g->next)
        for (uint32_t d = 0; d < p->dims[table]; d++)
            out[d] -= grads_of(p, g, table)[d];
}

static void check_sums(struct trial *t, uint32_t table) {
    const struct scene *p = t->scene;
    const uint32_t dim = p->dims[table];
    uint64_t wrong = 0, first = 0;
    for (uint64_t id = 0; id < p->rows[table]; id++) {
        float want[SCENE_DIM_MAX];
        const float *got = &t->rows[table][id * dim];
        sum(p, table, id, want);
        if (memcmp(got, want, dim * sizeof *want) == 0)
            continue;
        first = wrong++ == 0 ? id : first;
        if (id >= SCENE_SHARED) {
            t->lost += got[0] < want[0];
            t->doubled += got[0] > want[0];
        }
    }
    if (wrong == 0)
        return;
    float want[SCENE_DIM_MAX];
    sum(p, table, first, want);
    world_fail(&t->w,
               "at last %" PRIu64 " rows of table %u are wrong: %" PRIu64
               " pushes of rows lost, %" PRIu64 " doubled; the first is row %" PRIu64
               ", which begins with %g, not %g",
               wrong, table, t->lost, t->doubled, first, (double)t->rows[table][first * dim],
               (double)want[0]);
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
