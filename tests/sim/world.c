/* world.c - see world.h. */
#include "tests/sim/world.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

const char *const fault_names[FAULTS] = {
    [FAULT_LOST] = "lost",         [FAULT_DOUBLED] = "doubled",     [FAULT_LATE] = "late",
    [FAULT_CUT] = "cuts",          [FAULT_PAUSE] = "pauses",        [FAULT_JUMP] = "jumps",
    [FAULT_DISK] = "disk",         [FAULT_WORKER] = "dead workers", [FAULT_SHARD] = "dead shards",
    [FAULT_KILL] = "kills of all", [FAULT_POWER] = "power cuts",
};

/* ---- events: a heap ---- */

static bool before(const struct event *a, const struct event *b) {
    return a->at_us != b->at_us ? a->at_us < b->at_us : a->turn < b->turn;
}

static void swap(struct event *a, struct event *b) {
    struct event t = *a;
    *a = *b;
    *b = t;
}

static void *grown(void *p, uint32_t n, uint32_t *cap, size_t size) {
    if (n < *cap)
        return p;
    *cap = *cap == 0 ? 64 : 2 * *cap;
    p = realloc(p, *cap * size);
    if (p == NULL)
        abort();
    return p;
}

static void put(struct world *w, const struct event *e) {
    w->heap = grown(w->heap, w->n, &w->cap, sizeof *w->heap);
    uint32_t i = w->n++;
    w->heap[i] = *e;
    for (; i > 0 && before(&w->heap[i], &w->heap[(i - 1) / 2]); i = (i - 1) / 2)
        swap(&w->heap[i], &w->heap[(i - 1) / 2]);
}

static struct event take(struct world *w) {
    struct event first = w->heap[0];
    w->heap[0] = w->heap[--w->n];
    for (uint32_t i = 0, child; (child = 2 * i + 1) < w->n; i = child) {
        if (child + 1 < w->n && before(&w->heap[child + 1], &w->heap[child]))
            child++;
        if (!before(&w->heap[child], &w->heap[i]))
            break;
        swap(&w->heap[child], &w->heap[i]);
    }
    return first;
}

void world_init(struct world *w, uint64_t seed, bool verbose) {
    *w = (struct world){.seed = seed, .end_us = INT64_MAX, .verbose = verbose};
}

void world_fini(struct world *w) {
    for (uint32_t i = 0; i < w->n; i++)
        frame_unref(w->heap[i].frame);
    free(w->heap);
    w->heap = NULL;
    w->n = w->cap = 0;
}

void world_add(struct world *w, int64_t delay_us, struct event e) {
    e.at_us = w->now_us + delay_us;
    e.turn = w->turns++;
    put(w, &e);
}

bool world_step(struct world *w) {
    if (w->failed || w->n == 0)
        return false;
    struct event e = take(w);
    if (e.at_us > w->end_us) {
        put(w, &e);
        return false;
    }
    w->now_us = e.at_us;
    if (e.node != NULL && e.node->frozen_us > w->now_us) {
        e.at_us = e.node->frozen_us;
        put(w, &e);
        return true;
    }
    e.run(w, &e);
    frame_unref(e.frame);
    return true;
}

void world_fail(struct world *w, const char *fmt, ...) {
    if (w->failed)
        return;
    va_list args;
    va_start(args, fmt);
    vsnprintf(w->why, sizeof w->why, fmt, args);
    va_end(args);
    w->failed = true;
    world_say(w, NULL, "FAILED: %s", w->why);
}

void world_note(struct world *w, enum fault f) {
    uint64_t n = 0;
    for (int i = 0; i < FAULTS; i++)
        n += w->faults[i];
    if (n == 0)
        w->acked_first = w->acked;
    w->acked_last = w->acked;
    w->faults[f]++;
}

void world_say(const struct world *w, const struct node *n, const char *fmt, ...) {
    if (!w->verbose)
        return;
    printf("%10.6f  %-10s ", (double)w->now_us / 1e6, n == NULL ? "" : n->name);
    va_list args;
    va_start(args, fmt);
    vprintf(fmt, args);
    va_end(args);
    putchar('\n');
}

/* ---- nodes ---- */

void node_init(struct node *n, struct world *w, const char *kind, uint32_t number) {
    *n = (struct node){.w = w, .number = number};
    snprintf(n->name, sizeof n->name, "%s %" PRIu32, kind, number);
}

void node_drop_mail(struct node *n) {
    struct mail m;
    while (node_take_mail(n, &m))
        frame_unref(m.frame);
}

void node_fini(struct node *n) {
    node_drop_mail(n);
    free(n->mail);
    coro_free(&n->coro);
}

int64_t node_now_ms(const struct node *n) {
    return n->dead ? n->dead_ms : (n->w->now_us + n->ahead_us) / 1000;
}

static void on_wake(struct world *w, const struct event *e) {
    (void)w;
    struct node *n = e->node;
    if (n->waits && n->wake == e->a) {
        n->waits = false;
        coro_resume(n->coro);
    }
}

void node_wake(struct node *n, int64_t delay_us) {
    if (n->waits)
        world_add(n->w, delay_us, (struct event){.run = on_wake, .node = n, .a = n->wake});
}

void node_pause(struct node *n, int64_t until_ms) {
    if (!n->dead) {
        n->waits = true;
        n->wake++;
        int64_t left_us = until_ms >= INT64_MAX / 1000
                              ? INT64_MAX / 4
                              : until_ms * 1000 - n->ahead_us - n->w->now_us;
        node_wake(n, left_us > 0 ? left_us : 0);
        coro_yield(n->coro);
    }
    if (n->dead && until_ms > n->dead_ms)
        n->dead_ms = until_ms;
}

void node_mail(struct node *n, uint32_t peer, struct frame *f) {
    if (n->mail_n == n->mail_cap) {
        uint32_t cap = n->mail_cap == 0 ? 16 : 2 * n->mail_cap;
        struct mail *ring = malloc(cap * sizeof *ring);
        if (ring == NULL)
            abort();
        for (uint32_t i = 0; i < n->mail_n; i++)
            ring[i] = n->mail[(n->mail_first + i) % n->mail_cap];
        free(n->mail);
        n->mail = ring;
        n->mail_cap = cap;
        n->mail_first = 0;
    }
    n->mail[(n->mail_first + n->mail_n++) % n->mail_cap] = (struct mail){f, peer};
}

bool node_take_mail(struct node *n, struct mail *out) {
    if (n->mail_n == 0)
        return false;
    *out = n->mail[n->mail_first];
    n->mail_first = (n->mail_first + 1) % n->mail_cap;
    n->mail_n--;
    return true;
}

void node_kill(struct node *n) {
    n->dead_ms = node_now_ms(n);
    n->dead = true;
    node_drop_mail(n);
}
