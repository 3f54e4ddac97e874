/* limits.c - how much a shard holds and keeps for others, against what it may. Whoever goes beyond is
 * told at once, with the facts; nobody waits for room. README.md lists every bound. */
#include <inttypes.h>

#include "common/err.h"
#include "ps/shard_inner.h"
#include "ps/stage.h"

bool limits_is_ahead(const struct shard *s, uint64_t clock) {
    return s->mode == MODE_BSP && clock >= s->closed + SHARD_CLOCKS_AHEAD;
}

bool limits_may_park(const struct shard *s, const struct session *w, size_t more_bytes) {
    return w->pulls.n < SESSION_PULLS_MAX &&
           w->pulls.bytes + more_bytes <= (uint64_t)s->cfg.credit_bytes + WIRE_FRAME_MAX;
}

static double mib(uint64_t bytes) {
    return (double)bytes / (1 << 20);
}

/* Ops that are held, and files that are read to be held. A file that is not read to its end is in no
 * journal: it must not decide what becomes of an op. */
static uint64_t held_by(const struct session *w, bool with_half_read) {
    if (w == NULL)
        return 0;
    const bool reads = w->stage != NULL && (with_half_read || w->stage->done);
    return w->held.bytes + (uint64_t)w->held.n * WAITING_BYTES +
           (reads ? stage_bytes(w->stage) : 0);
}

static rh_status check(const struct shard *s, size_t more_bytes, bool with_half_read) {
    uint64_t all = 0, most = 0;
    uint32_t rank = 0;
    for (uint32_t i = 0; i < s->n_sessions; i++) {
        uint64_t bytes = held_by(s->sessions[i], with_half_read);
        all += bytes;
        if (bytes > most) {
            most = bytes;
            rank = i;
        }
    }
    if (all + more_bytes <= s->cfg.hold_bytes)
        return RH_OK;
    uint32_t laggard = bsp_laggard(s, s->closed);
    return err_set(RH_ELIMIT,
                   "shard %" PRIu32 " holds %.1f MiB until clock %" PRIu64 " closes, of at most "
                   "%.1f MiB (--hold-limit), worker %" PRIu32 " most of it (%.1f MiB); the clock "
                   "waits for worker %" PRIu32 ": call rh_tick more often, use more shards, or "
                   "raise --hold-limit",
                   s->cfg.shard, mib(all), s->closed, mib(s->cfg.hold_bytes), rank, mib(most),
                   laggard);
}

rh_status limits_hold(const struct shard *s, size_t op_bytes) {
    return check(s, op_bytes + WAITING_BYTES, false);
}

rh_status limits_read(const struct shard *s) {
    return check(s, 0, true);
}

/* ---- memory ---- */

/* With its optimizer's state, also before that is there: or the first update of a table could take many
 * times what fits. A table that never learns has none. */
static uint64_t row_bytes(const struct table *t) {
    return store_row_bytes(&t->store,
                           t->store.slots == NULL && t->store.own == NULL && t->spec.frozen);
}

/* Of all tables, as if what is held were applied. */
static uint64_t used_bytes(const struct shard *s) {
    uint64_t bytes = 0;
    for (uint32_t i = 0; i < s->n_tables; i++) {
        const struct table *t = s->tables[i];
        if (t != NULL)
            bytes += (t->store.n_touched + t->store.n_promised) * row_bytes(t);
    }
    return bytes;
}

static uint64_t room_for(const struct shard *s, const struct table *t) {
    uint64_t used = used_bytes(s);
    return used < s->cfg.memory_bytes ? (s->cfg.memory_bytes - used) / row_bytes(t) : 0;
}

/* Under bsp that was decided when the op came. */
static bool is_limited(const struct shard *s) {
    return s->cfg.memory_bytes != 0 && s->mode != MODE_BSP;
}

void limits_enter(const struct shard *s, struct table *t) {
    t->refused = 0;
    t->room = is_limited(s) ? room_for(s, t) : TABLE_ROOM;
}

void limits_leave(struct table *t, struct over *over) {
    if (over->rows == 0) {
        over->table = t;
        over->id = t->refused_first;
    }
    over->rows += t->refused;
    t->refused = 0;
    t->room = TABLE_ROOM;
}

static rh_status say(const struct shard *s, const struct over *over, const char *others) {
    return err_set(RH_ELIMIT,
                   "shard %" PRIu32 " has no room for %" PRIu64 " new row%s, the first of them id "
                   "%" PRIu64 " of table \"%s\", %s: rows take %.1f MiB of at most %.1f MiB "
                   "(--memory-limit) there; use more shards or hosts, or raise it",
                   s->cfg.shard, over->rows, over->rows == 1 ? "" : "s", over->id,
                   over->table->name, others, mib(used_bytes(s)), mib(s->cfg.memory_bytes));
}

rh_status limits_say(const struct shard *s, const struct over *over) {
    return over->rows == 0 ? RH_OK : say(s, over, "and has taken all other rows of the call");
}

/* ---- promises: under bsp, the new rows of what is held ---- */

static bool is_new(const struct table *t, uint32_t i) {
    return !store_is_touched(&t->store, t->rows[i]) && !store_is_promised(&t->store, t->rows[i]);
}

/* New rows among n ids, which were located. over: *left, the bytes that there is room for, are used up;
 * what does not fit is counted. NULL: promises them. */
static rh_status promise(struct table *t, const uint8_t *ids, uint32_t n, uint64_t *left,
                         struct over *over) {
    rh_status st = RH_OK;
    const uint64_t bytes = row_bytes(t);
    for (uint32_t i = 0; st == RH_OK && i < n; i++) {
        if (!is_new(t, i))
            continue;
        if (over == NULL)
            st = store_promise(&t->store, t->rows[i]);
        else if (*left >= bytes)
            *left -= bytes;
        else if (over->rows++ == 0)
            *over = (struct over){1, t, index_id(ids, i)};
    }
    return st;
}

static rh_status promise_parts(struct shard *s, uint16_t sections, uint64_t *left,
                               struct over *over) {
    rh_status st = RH_OK;
    for (uint16_t i = 0; st == RH_OK && i < sections; i++) {
        const struct part *p = &s->parts[i];
        if (p->table == NULL)
            continue;
        st = table_locate(p->table, p->sec.ids, p->sec.count);
        if (st == RH_OK)
            st = promise(p->table, p->sec.ids, p->sec.count, left, over);
    }
    return st;
}

/* A file's rows, a run at a time. */
struct promising {
    struct table *table;
    uint64_t *left;
    struct over *over;
};

static rh_status promise_run(void *arg, const uint64_t *ids, const uint8_t *rows, uint32_t n) {
    const struct promising *g = arg;
    (void)rows;
    rh_status st = table_locate(g->table, (const uint8_t *)ids, n);
    return st == RH_OK ? promise(g->table, (const uint8_t *)ids, n, g->left, g->over) : st;
}

static rh_status promise_load(struct table *t, const struct stage *k, uint64_t *left,
                              struct over *over) {
    struct promising g = {t, left, over};
    return stage_each(k, promise_run, &g);
}

static uint64_t left_bytes(const struct shard *s) {
    uint64_t used = used_bytes(s);
    return used < s->cfg.memory_bytes ? s->cfg.memory_bytes - used : 0;
}

static rh_status none_of_it(const struct shard *s, const struct over *over) {
    return over->rows == 0 ? RH_OK : say(s, over, "and nothing of the call is applied");
}

rh_status limits_promise(struct shard *s, uint16_t sections) {
    if (s->cfg.memory_bytes == 0)
        return RH_OK;
    uint64_t left = left_bytes(s);
    struct over over = {0};
    rh_status st = promise_parts(s, sections, &left, &over);
    if (st == RH_OK)
        st = none_of_it(s, &over);
    return st == RH_OK ? promise_parts(s, sections, NULL, NULL) : st;
}

rh_status limits_promise_load(struct shard *s, struct table *t, const struct stage *k) {
    if (s->cfg.memory_bytes == 0)
        return RH_OK;
    uint64_t left = left_bytes(s);
    struct over over = {0};
    rh_status st = promise_load(t, k, &left, &over);
    if (st == RH_OK)
        st = none_of_it(s, &over);
    return st == RH_OK ? promise_load(t, k, NULL, NULL) : st;
}

static rh_status promise_held(struct shard *s, const struct waiting *op) {
    if (op->head.kind == WIRE_LOAD) {
        struct table *t = shard_table(s, op->stage->table);
        return t == NULL ? RH_OK : promise_load(t, op->stage, NULL, NULL);
    }
    if (op->head.kind != WIRE_PUSH && op->head.kind != WIRE_WRITE)
        return RH_OK;
    rh_status st = ops_held_parts(s, op);
    return st == RH_OK ? promise_parts(s, op->head.sections, NULL, NULL) : st;
}

void limits_recount(struct shard *s) {
    if (s->cfg.memory_bytes == 0 || s->mode != MODE_BSP)
        return;
    for (uint32_t i = 0; i < s->n_tables; i++)
        if (s->tables[i] != NULL)
            store_forget_promises(&s->tables[i]->store);
    rh_status st = RH_OK;
    for (uint32_t i = 0; i < s->n_sessions; i++)
        for (struct waiting *op = s->sessions[i] == NULL ? NULL : s->sessions[i]->held.first;
             st == RH_OK && op != NULL; op = op->next)
            st = promise_held(
                s, op); /* no memory for bits: what is not promised is applied all the same */
}
