/* scene.c - see scene.h. Every seed draws its own few kinds of trouble: where all come at once, each
 * hides the others. */
#include "tests/sim/scene.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { CLOCKS_MAX = 6, CALLS_MAX = 4, VALUE_MAX = 1000 };

static uint32_t between(struct rng *g, uint32_t least, uint32_t most) {
    return least + rng_below(g, most - least + 1);
}

static bool one_in(struct rng *g, uint32_t n) {
    return rng_below(g, n) == 0;
}

bool step_pushes(const struct step *s) {
    return s->what == DO_PUSH || s->what == DO_BEGIN || s->what == DO_BATCH;
}

/* ---- the job ---- */

static void draw_job(struct scene *p, struct rng *g) {
    static const uint32_t parts[] = {16, 64, 256, 1 << 20};
    static const rh_mode modes[] = {RH_MODE_ASYNC, RH_MODE_ASYNC, RH_MODE_SSP, RH_MODE_BSP,
                                    RH_MODE_BSP};
    static const int timeouts_ms[] = {2000, 10000, 60000};
    p->workers = between(g, 1, one_in(g, 4) ? SIM_WORKERS_MAX : 3);
    for (uint32_t i = 0; i < SCENE_LIVES_MAX; i++)
        p->shards[i] = between(g, 1, SIM_SHARDS_MAX);
    p->tables = between(g, 1, SCENE_TABLES_MAX);
    p->mode = modes[rng_below(g, 5)];
    p->staleness = p->mode == RH_MODE_SSP ? rng_below(g, 3) : 0;
    for (uint32_t t = 0; t < p->tables; t++) {
        p->dims[t] = between(g, 1, SCENE_DIM_MAX);
        p->rows[t] = SCENE_SHARED;
        p->adam[t] = p->mode == RH_MODE_BSP && one_in(g, 4);
    }
    p->saves = one_in(g, 2);
    p->deaths = one_in(g, 3);
    p->disk_us = one_in(g, 3) ? 20000 : 200;
    p->part_bytes = parts[rng_below(g, 4)];
    p->op_timeout_ms = timeouts_ms[rng_below(g, 3)];
    p->connect_timeout_ms = timeouts_ms[rng_below(g, 3)];
}

/* ---- what workers do ---- */

static bool has_id(const struct step *s, uint64_t id) {
    for (uint32_t i = 0; i < s->n; i++)
        if (s->ids[i] == id)
            return true;
    return false;
}

static void draw_push(struct scene *p, struct rng *g, struct step *s) {
    const uint32_t own = between(g, 1, 3), shared = between(g, 0, SCENE_IDS_MAX - 4);
    uint32_t *rows = &p->rows[s->table];
    for (uint32_t i = 0; i < own && *rows < SCENE_ROWS_MAX; i++)
        s->ids[s->n++] = (*rows)++;
    for (uint32_t i = 0; i < shared; i++) {
        uint64_t id = rng_below(g, SCENE_SHARED);
        if (!has_id(s, id))
            s->ids[s->n++] = id;
    }
    const uint32_t dim = p->dims[s->table];
    for (uint32_t i = 0; i < s->n; i++)
        for (uint32_t d = 0; d < dim; d++)
            s->grads[i * dim + d] =
                s->ids[i] >= SCENE_SHARED ? -1 : -(float)between(g, 1, VALUE_MAX);
    p->pushes++;
}

static void draw_pull(const struct scene *p, struct rng *g, struct step *s) {
    s->n = between(g, 1, SCENE_IDS_MAX);
    for (uint32_t i = 0; i < s->n; i++)
        s->ids[i] = rng_below(g, p->rows[s->table]);
}

static struct step *add(struct scene *p, uint32_t worker, int what) {
    struct step *s = &p->steps[worker][p->n_steps[worker]++];
    s->what = what;
    s->n = 0;
    return s;
}

static void draw_call(struct scene *p, struct rng *g, uint32_t worker) {
    static const int kinds[] = {DO_PUSH, DO_PUSH, DO_BEGIN, DO_BEGIN, DO_PULL, DO_BATCH};
    struct step *s = add(p, worker, kinds[rng_below(g, 6)]);
    s->table = rng_below(g, p->tables);
    if (s->what == DO_PULL)
        draw_pull(p, g, s);
    else
        draw_push(p, g, s);
}

static void draw_clock(struct scene *p, struct rng *g, uint32_t worker) {
    if (p->n_steps[worker] + CALLS_MAX + 4 > SCENE_STEPS_MAX - 8)
        return;
    uint32_t calls = between(g, 0, CALLS_MAX);
    for (uint32_t i = 0; i < calls; i++)
        draw_call(p, g, worker);
    if (one_in(g, 3))
        add(p, worker, DO_REST)->n = between(g, 1, one_in(g, 8) ? 3000 : 50);
    if (p->saves && !scene_saves_together(p) && one_in(g, 6))
        add(p, worker, DO_SAVE);
    if (!one_in(g, 3)) /* or what was begun goes on behind the tick */
        add(p, worker, DO_WAIT);
    add(p, worker, DO_TICK);
}

static void draw_scripts(struct scene *p, struct rng *g) {
    const uint32_t clocks = between(g, 2, CLOCKS_MAX);
    /* Those who save together do so behind the same ticks. */
    const uint32_t saved = p->saves && scene_saves_together(p)
                               ? rng_below(g, 1 << CLOCKS_MAX) & rng_below(g, 1 << CLOCKS_MAX)
                               : 0;
    for (uint32_t w = 0; w < p->workers; w++) {
        p->steps[w] = malloc(SCENE_STEPS_MAX * sizeof *p->steps[w]);
        if (p->steps[w] == NULL)
            abort();
        /* Who finishes early leaves, and the others go on. Where processes die all end together. */
        const uint32_t own = !p->deaths && one_in(g, 4) ? between(g, 1, clocks) : clocks;
        for (uint32_t c = 0; c < own; c++) {
            draw_clock(p, g, w);
            if (saved >> c & 1)
                add(p, w, DO_SAVE);
        }
    }
    while (p->pushes < 4) /* fewer tell nothing of before and after */
        for (uint32_t w = 0; w < p->workers; w++)
            draw_clock(p, g, w);
    for (uint32_t w = 0; w < p->workers; w++)
        add(p, w, DO_WAIT);
}

/* ---- whose gradients a row has ---- */

static void index_gifts(struct scene *p) {
    uint32_t n = 0;
    for (uint32_t w = 0; w < p->workers; w++)
        for (uint32_t i = 0; i < p->n_steps[w]; i++)
            n += step_pushes(&p->steps[w][i]) ? p->steps[w][i].n : 0;
    p->gifts = malloc((n + 1) * sizeof *p->gifts);
    if (p->gifts == NULL)
        abort();
    for (uint32_t w = 0; w < p->workers; w++)
        for (uint32_t i = 0; i < p->n_steps[w]; i++) {
            const struct step *s = &p->steps[w][i];
            for (uint32_t k = 0; step_pushes(s) && k < s->n; k++) {
                const struct gift **first = &p->first[s->table][s->ids[k]];
                struct gift *gift = &p->gifts[p->n_gifts++];
                *gift = (struct gift){w, i, k, *first};
                *first = gift;
            }
        }
}

/* ---- what goes wrong ---- */

static void draw_weather(struct scene *p, struct rng *g) {
    struct weather *v = &p->weather;
    v->least_us = between(g, 10, 300);
    v->spread_us = between(g, 0, one_in(g, 3) ? 20000 : 500);
    v->late_us = one_in(g, 2) ? 5000000 : 50000;
    if (one_in(g, 2))
        v->lost = between(g, 5, 150);
    if (one_in(g, 2))
        v->doubled = between(g, 5, 200);
    if (one_in(g, 2))
        v->late = between(g, 5, 250);
    p->weather_from = one_in(g, 2) ? 0 : between(g, 1, p->pushes / 2);
    for (uint32_t t = 0; t < p->tables; t++)
        if (p->adam[t] && p->weather_from == 0)
            p->weather_from = 1; /* its bits depend on the clock that each worker begins with */
}

static bool has_weather(const struct scene *p) {
    return p->weather.lost + p->weather.doubled + p->weather.late > 0;
}

static int64_t draw_time_us(struct rng *g) {
    return one_in(g, 3) ? between(g, 100, 20000) * 1000LL : between(g, 1, 2000) * 1000LL;
}

static void draw_mishap(struct scene *p, struct rng *g, struct mishap *m) {
    static const enum fault kinds[] = {FAULT_CUT,  FAULT_PAUSE,  FAULT_JUMP, FAULT_DISK,
                                       FAULT_KILL, FAULT_WORKER, FAULT_SHARD};
    static const int how[] = {EIO, ENOSPC, 0};
    m->what = kinds[rng_below(g, p->deaths ? 7 : p->saves ? 5 : 3)];
    m->at_acked = between(g, 1, p->pushes - 1);
    m->client = m->what == FAULT_CUT || m->what == FAULT_WORKER || one_in(g, 2)
                    ? rng_below(g, p->workers)
                    : SIM_CLIENTS_MAX;
    m->shard = rng_below(g, p->shards[0]);
    m->for_us = draw_time_us(g);
    m->forgets = one_in(g, 2);
    m->disk_at = between(g, 1, 40);
    m->disk_how = how[rng_below(g, 3)];
    m->dies_in = one_in(g, 3) ? 0 : between(g, 1, 12);
    m->crash = (enum disk_crash)rng_below(g, 4);
}

/* Lives are few, and the last one ends by itself. Power is lost once, at the end of a life. */
static void limit_lives(struct scene *p, struct rng *g) {
    uint32_t lives = 1;
    struct mishap *power = NULL;
    for (uint32_t i = 0; i < p->n_mishaps; i++) {
        struct mishap *m = &p->mishaps[i];
        if (m->what != FAULT_KILL)
            continue;
        if (++lives > SCENE_LIVES_MAX)
            m->what = FAULT_JUMP;
        else
            power = m;
    }
    if (power != NULL && one_in(g, 2))
        power->what = FAULT_POWER;
}

static int by_time(const void *a, const void *b) {
    const struct mishap *x = a, *y = b;
    return (x->at_acked > y->at_acked) - (x->at_acked < y->at_acked);
}

static void draw_mishaps(struct scene *p, struct rng *g) {
    p->n_mishaps = rng_below(g, 5);
    if (p->n_mishaps == 0 && !has_weather(p))
        p->n_mishaps = 1;
    for (uint32_t i = 0; i < p->n_mishaps; i++)
        draw_mishap(p, g, &p->mishaps[i]);
    qsort(p->mishaps, p->n_mishaps, sizeof *p->mishaps, by_time);
    limit_lives(p, g);
    p->n_visits = p->saves ? rng_below(g, SCENE_VISITS_MAX + 1) : 0;
    p->visits[0] = between(g, 1, p->pushes);
    p->visits[1] = between(g, (uint32_t)p->visits[0], p->pushes);
}

void scene_draw(struct scene *p, uint64_t seed) {
    struct rng g;
    memset(p, 0, sizeof *p);
    p->seed = seed;
    rng_init(&g, seed, 2);
    draw_job(p, &g);
    draw_scripts(p, &g);
    index_gifts(p);
    draw_weather(p, &g);
    draw_mishaps(p, &g);
}

void scene_fini(struct scene *p) {
    for (uint32_t w = 0; w < p->workers; w++)
        free(p->steps[w]);
    free(p->gifts);
}

void scene_describe(const struct scene *p, char *out, size_t cap) {
    static const char *const modes[] = {"", "async", "ssp", "bsp"};
    snprintf(out, cap,
             "%u workers, %u shards, %u tables, %s, %u pushes, parts of %u bytes, timeouts %d and "
             "%d ms; of a "
             "thousand frames %u lost, %u doubled, %u late; %u mishaps",
             p->workers, p->shards[0], p->tables, modes[p->mode], p->pushes, p->part_bytes,
             p->op_timeout_ms, p->connect_timeout_ms, p->weather.lost, p->weather.doubled,
             p->weather.late, p->n_mishaps);
}
