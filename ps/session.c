/* session.c - see session.h. */
#include "ps/session.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "common/err.h"
#include "ps/stage.h"

void waiting_init(struct waiting_list *l) {
    *l = (struct waiting_list){.last = &l->first};
}

struct waiting *waiting_new(const struct head *h, struct frame *f) {
    struct waiting *w = malloc(sizeof *w);
    struct frame *kept = w == NULL ? NULL : frame_keep(f);
    if (kept == NULL) {
        free(w);
        return NULL;
    }
    *w = (struct waiting){.frame = kept, .head = *h};
    return w;
}

void waiting_free(struct waiting *w) {
    if (w == NULL)
        return;
    frame_unref(w->frame);
    stage_free(&w->stage);
    free(w);
}

static void waiting_insert(struct waiting_list *l, struct waiting **at, struct waiting *w) {
    w->next = *at;
    *at = w;
    if (w->next == NULL)
        l->last = &w->next;
    l->n++;
    w->bytes = w->frame->len + (w->stage != NULL ? stage_bytes(w->stage) : 0);
    l->bytes += w->bytes;
}

void waiting_append(struct waiting_list *l, struct waiting *w) {
    waiting_insert(l, l->last, w);
}

struct waiting *waiting_remove(struct waiting_list *l, struct waiting **at) {
    struct waiting *w = *at;
    *at = w->next;
    if (w->next == NULL)
        l->last = at;
    w->next = NULL;
    l->n--;
    l->bytes -= w->bytes;
    return w;
}

struct waiting *waiting_pop(struct waiting_list *l) {
    return l->first == NULL ? NULL : waiting_remove(l, &l->first);
}

void waiting_clear(struct waiting_list *l) {
    while (l->first != NULL)
        waiting_free(waiting_pop(l));
}

rh_status session_new(uint32_t rank, struct session **out) {
    struct session *s = calloc(1, sizeof *s);
    if (s == NULL)
        return err_set(RH_ENOMEM, "no memory for the session of worker %u", rank);
    s->answers = calloc(SESSION_ANSWERS, sizeof *s->answers);
    if (s->answers == NULL) {
        free(s);
        return err_set(RH_ENOMEM, "no memory for the session of worker %u", rank);
    }
    s->rank = rank;
    waiting_init(&s->early);
    waiting_init(&s->held);
    waiting_init(&s->pulls);
    *out = s;
    return RH_OK;
}

void session_free(struct session **s) {
    if (*s == NULL)
        return;
    waiting_clear(&(*s)->early);
    waiting_clear(&(*s)->held);
    waiting_clear(&(*s)->pulls);
    free((*s)->answers);
    free((*s)->counts);
    free((*s)->cursor.p);
    free((*s)->saved.p);
    stage_free(&(*s)->stage);
    free(*s);
    *s = NULL;
}

void session_begin(struct session *s, uint32_t inc, uint32_t nonce) {
    bool only_left = s->state == SESSION_GONE && s->n_answers == 1;
    s->worked |= s->n_answers > 0 && !only_left;
    waiting_clear(&s->early);
    waiting_clear(&s->pulls);
    for (struct waiting **at = &s->held.first; *at != NULL;) {
        if ((*at)->head.num.clock >= s->ended)
            waiting_free(waiting_remove(&s->held, at));
        else
            at = &(*at)->next;
    }
    /* The clock that the last client left open has what it did. Tables that it opened are no step, or
     * a client that is in vain again and again would begin ever later. */
    if (s->floor.clock >= s->ended && s->floor.call > 0 && !s->idle)
        s->ended = (uint64_t)s->floor.clock + 1;
    s->state = SESSION_HERE;
    s->inc = inc;
    s->nonce = nonce;
    s->floor = (struct opnum){0, 0, 0};
    s->idle = true;
    s->n_answers = 0;
    s->barrier = 0;
    s->barrier_asked.kind = 0;
    stage_free(&s->stage);
    s->loads = 0;
}

void session_succeed(struct session *s, uint16_t life) {
    s->redone |= s->worked;
    s->life = life;
}

void session_leave(struct session *s) {
    s->state = SESSION_GONE;
    stage_free(&s->stage);
}

enum session_verdict session_judge(const struct session *s, struct opnum num, struct opnum prev) {
    if (opnum_cmp(num, s->floor) <= 0)
        return SESSION_REPEAT;
    int order = opnum_cmp(prev, s->floor);
    if (order == 0)
        return SESSION_TAKE;
    return order > 0 && opnum_cmp(prev, num) < 0 ? SESSION_EARLY : SESSION_FORKED;
}

void session_took(struct session *s, struct opnum num, uint64_t digest, rh_status answer) {
    assert(opnum_cmp(num, s->floor) > 0);
    s->floor = num;
    s->taken++;
    s->answers[s->n_answers++ % SESSION_ANSWERS] =
        (struct answer){.num = num, .status = (uint16_t)answer, .digest = digest};
}

rh_status session_recall(const struct session *s, struct opnum num, uint64_t digest,
                         rh_status *answer) {
    uint32_t n = s->n_answers < SESSION_ANSWERS ? s->n_answers : SESSION_ANSWERS;
    for (uint32_t back = 1; back <= n; back++) {
        const struct answer *a = &s->answers[(s->n_answers - back) % SESSION_ANSWERS];
        if (opnum_cmp(a->num, num) != 0)
            continue;
        if (a->digest != digest)
            return err_set(
                RH_EPROTO,
                "worker %u sent another op under the number of one that was taken (clock %u, "
                "call %u, part %u): a clock must be redone with the same calls",
                s->rank, num.clock, num.call, num.part);
        *answer = (rh_status)a->status;
        return RH_OK;
    }
    *answer = RH_OK;
    return RH_OK;
}

rh_status session_park(struct session *s, const struct head *h, struct frame *f) {
    struct waiting **at = &s->early.first;
    while (*at != NULL && opnum_cmp((*at)->head.num, h->num) < 0)
        at = &(*at)->next;
    if (*at != NULL && opnum_cmp((*at)->head.num, h->num) == 0)
        return RH_OK;
    if (s->early.n >= SESSION_EARLY_MAX || s->early.bytes + f->len > SESSION_EARLY_BYTES)
        return err_set(RH_ELIMIT, "worker %u: %u ops wait for an earlier one", s->rank, s->early.n);
    struct waiting *w = waiting_new(h, f);
    if (w == NULL)
        return err_set(RH_ENOMEM, "no memory to park an op of worker %u", s->rank);
    w->since_ms = s->heard_ms;
    waiting_insert(&s->early, at, w);
    return RH_OK;
}

struct waiting *session_unpark(struct session *s) {
    while (s->early.first != NULL) {
        struct waiting *w = s->early.first;
        enum session_verdict v = session_judge(s, w->head.num, w->head.prev);
        if (v == SESSION_EARLY)
            return NULL;
        w = waiting_pop(&s->early);
        if (v == SESSION_TAKE)
            return w;
        waiting_free(w);
    }
    return NULL;
}

uint64_t session_pushes(const struct session *s, uint32_t table) {
    return table < s->n_counts ? s->counts[table].pushes : 0;
}

static uint64_t counted(const struct push_count *c) {
    return c->pushes > c->base ? c->pushes - c->base : 0;
}

uint64_t session_counted(const struct session *s, uint32_t table) {
    return table < s->n_counts ? counted(&s->counts[table]) : 0;
}

static rh_status count_of(struct session *s, uint32_t table, struct push_count **out) {
    if (table >= s->n_counts) {
        uint32_t n = table + 16;
        struct push_count *c = realloc(s->counts, n * sizeof *c);
        if (c == NULL)
            return err_set(RH_ENOMEM, "no memory to count the pushes of worker %u", s->rank);
        memset(c + s->n_counts, 0, (n - s->n_counts) * sizeof *c);
        s->counts = c;
        s->n_counts = n;
    }
    *out = &s->counts[table];
    return RH_OK;
}

rh_status session_saw_pushes(struct session *s, uint32_t table, uint64_t pushes, uint64_t *grown) {
    struct push_count *c = NULL;
    rh_status st = count_of(s, table, &c);
    if (st != RH_OK)
        return st;
    uint64_t before = counted(c);
    if (pushes > c->pushes)
        c->pushes = pushes;
    *grown = counted(c) - before;
    return RH_OK;
}

rh_status session_rebase(struct session *s, uint32_t table, uint64_t base) {
    struct push_count *c = NULL;
    rh_status st = count_of(s, table, &c);
    if (st != RH_OK)
        return st;
    if (base > c->base)
        c->base = base;
    if (base > c->pushes)
        c->pushes = base;
    return RH_OK;
}

rh_status cursor_set(struct cursor *c, const uint8_t *p, uint32_t len) {
    uint8_t *copy = NULL;
    if (p != NULL) {
        copy = malloc(len > 0 ? len : 1);
        if (copy == NULL)
            return err_set(RH_ENOMEM, "no memory for a cursor of %u bytes", len);
        memcpy(copy, p, len);
    }
    free(c->p);
    *c = (struct cursor){.p = copy, .len = len};
    return RH_OK;
}
