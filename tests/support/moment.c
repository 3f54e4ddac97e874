/* moment.c - see moment.h. */
#include "tests/support/moment.h"

#include <inttypes.h>
#include <string.h>

#include "common/err.h"
#include "common/rng.h"
#include "ps/ckpt_folder.h"
#include "ps/ckpt_shard.h"
#include "tests/support/job.h"

enum { OWN = 64, OWN_DIM = 2, SHARED = 16384, SHARED_DIM = 4, DRAWN = 64 };

/* ---- a worker ---- */

/* The ids of a rank: OWN of them, over all slots. */
static void own_ids(uint32_t rank, uint64_t ids[OWN]) {
    for (uint32_t i = 0; i < OWN; i++)
        ids[i] = (uint64_t)i * MOMENT_WORKERS + rank;
}

static void push_ones(rh_table *t, const uint64_t *ids, size_t n, uint32_t dim) {
    float ones[DRAWN * SHARED_DIM];
    for (size_t i = 0; i < n * dim; i++)
        ones[i] = 1;
    ck_assert_ok(rh_push(t, ids, n, ones));
}

static void push_own(struct moment *m, bool lower) {
    uint64_t ids[OWN];
    own_ids(m->rank, ids);
    push_ones(m->own, lower ? ids : ids + OWN / 2, OWN / 2, OWN_DIM);
}

static void push_shared(struct moment *m) {
    uint64_t ids[DRAWN];
    struct rng g;
    rng_init(&g, m->steps, m->rank);
    for (int i = 0; i < DRAWN; i++)
        ids[i] = rng_below(&g, SHARED);
    push_ones(m->shared, ids, DRAWN, SHARED_DIM);
}

void moment_begin(struct moment *m, rh_client *c, uint32_t rank) {
    *m = (struct moment){.c = c, .rank = rank};
    m->own = job_table(c, "own", (uint64_t)OWN * MOMENT_WORKERS, OWN_DIM);
    m->shared = job_table(c, "shared", SHARED, SHARED_DIM);
}

void moment_resume(struct moment *m) {
    uint64_t ids[OWN];
    float rows[OWN * OWN_DIM];
    size_t len = sizeof m->steps;
    ck_assert_ok(rh_cursor(m->c, m->rank, &m->steps, &len));
    ck_assert_uint_eq(len, sizeof m->steps);
    own_ids(m->rank, ids);
    ck_assert_ok(rh_pull(m->own, ids, OWN, rows));
    for (int i = 0; i < OWN * OWN_DIM; i++)
        ck_assert_msg(rows[i] == -(float)m->steps,
                      "restored: row %d of worker %u is %g, its cursor %" PRIu64, i / OWN_DIM,
                      m->rank, (double)rows[i], m->steps);
}

void moment_step(struct moment *m) {
    push_own(m, true);
    push_shared(m);
    push_own(m, false);
    m->steps++;
    ck_assert_ok(rh_set_cursor(m->c, &m->steps, sizeof m->steps));
    ck_assert_ok(rh_tick(m->c));
}

void moment_half_step(struct moment *m) {
    push_own(m, true);
}

void moment_mend(struct moment *m, uint64_t steps) {
    uint64_t ids[OWN];
    float rows[OWN * OWN_DIM];
    own_ids(m->rank, ids);
    for (int i = 0; i < OWN * OWN_DIM; i++)
        rows[i] = -(float)steps;
    ck_assert_ok(rh_write(m->own, ids, OWN, rows));
    m->steps = steps;
}

/* ---- what is on disk ---- */

/* A checkpoint that is being looked at. */
struct seen {
    const char *name;
    struct ckpt_fd folder;
    struct ckpt_manifest m;
};

/* NULL: nobody had opened it yet. */
static struct table *load(const struct seen *s, const char *name) {
    struct table *t = NULL;
    for (uint32_t i = 0; i < s->m.n_tables; i++)
        if (strcmp(s->m.tables[i].name, name) == 0)
            ck_assert_msg(
                ckpt_table_load(&s->folder, &s->m, s->m.tables[i].number, 0, 1, true, &t) == RH_OK,
                "%s", err_text());
    return t;
}

static uint64_t cursor_of(const struct ckpt_worker *w) {
    uint64_t steps = 0;
    ck_assert(w->cursor_len == 0 || w->cursor_len == sizeof steps);
    if (w->cursor_len > 0)
        memcpy(&steps, w->cursor, sizeof steps);
    return steps;
}

static void own_rows_stand_at(const struct seen *s, struct table *t, uint32_t rank,
                              uint64_t steps) {
    uint64_t ids[OWN];
    float rows[OWN * OWN_DIM] = {0};
    own_ids(rank, ids);
    if (t != NULL) {
        ck_assert_int_eq(table_locate(t, (const uint8_t *)ids, OWN), RH_OK);
        table_read(t, (const uint8_t *)ids, OWN, (uint8_t *)rows);
    }
    for (int i = 0; i < OWN * OWN_DIM; i++)
        ck_assert_msg(rows[i] == -(float)steps,
                      "\"%s\", generation %" PRIu64
                      ": row %d of worker %u is %g, its cursor %" PRIu64,
                      s->name, s->m.generation, i / OWN_DIM, rank, (double)rows[i], steps);
}

static void shared_rows_lost(const struct seen *s, const struct table *t, uint64_t steps) {
    double all = 0;
    uint64_t row = 0;
    for (; t != NULL && (row = store_next_touched(&t->store, row)) != STORE_NONE; row++)
        for (uint32_t k = 0; k < SHARED_DIM; k++)
            all += (double)store_row(&t->store, row)[k];
    ck_assert_msg(all == -(double)steps * DRAWN * SHARED_DIM,
                  "\"%s\", generation %" PRIu64 ": the shared rows have lost %.0f in %" PRIu64
                  " steps, each of %d",
                  s->name, s->m.generation, -all, steps, DRAWN * SHARED_DIM);
}

uint64_t moment_check(const char *name, uint64_t cursors[MOMENT_WORKERS]) {
    struct ckpt_io *io;
    struct seen s = {.name = name};
    uint64_t sum = 0;
    ck_assert_int_eq(ckpt_io_beneath(".", &io), RH_OK);
    ck_assert_msg(ckpt_open(io, name, &s.folder, &s.m) == RH_OK, "%s", err_text());
    struct table *own = load(&s, "own"), *shared = load(&s, "shared");
    for (uint32_t i = 0; i < s.m.n_workers; i++) {
        uint64_t steps = cursor_of(&s.m.workers[i]);
        own_rows_stand_at(&s, own, s.m.workers[i].rank, steps);
        sum += steps;
        if (cursors != NULL)
            cursors[s.m.workers[i].rank] = steps;
    }
    shared_rows_lost(&s, shared, sum);
    table_free(&own);
    table_free(&shared);
    ckpt_manifest_fini(&s.m);
    ckpt_drop(&s.folder);
    ckpt_io_free(&io);
    return sum;
}
