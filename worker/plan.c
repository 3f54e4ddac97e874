/* plan.c - one pass over the ids numbers them by arrival and chains their positions; a counting
 * sort then brings them into shard order. With one shard the two orders are the same. */
#include "worker/plan.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "common/err.h"
#include "common/size.h"
#include "proto/place.h"

/* Ids. Batches of 8,192 take 23 ns for each id if its cell is not fetched ahead, and 6 ns if it is. */
enum { AHEAD = 8 };

/* Where the pass puts what it finds, in order of arrival. */
struct arrivals {
    uint64_t *ids;
    uint32_t *first, *last;
    uint32_t *shard; /* NULL with one shard */
};

void plan_init(struct plan *p) {
    memset(p, 0, sizeof *p);
    idset_init(&p->set);
}

void plan_fini(struct plan *p) {
    idset_fini(&p->set);
    free(p->ids);
    free(p->first);
    free(p->last);
    free(p->next);
    free(p->bounds);
    free(p->arrived_ids);
    free(p->arrived);
    memset(p, 0, sizeof *p);
}

size_t plan_memory_bytes(const struct plan *p) {
    size_t cell = 2 * sizeof *p->ids + 6 * sizeof(uint32_t);
    return p->cap * cell + p->set.held * sizeof *p->set.cells;
}

/* A new array in place of *array. What was in it is not kept. */
static bool renew(void *array, size_t n, size_t size) {
    void **p = array;
    size_t bytes;
    if (!size_mul(n, size, &bytes))
        return false;
    free(*p);
    *p = malloc(bytes);
    return *p != NULL;
}

static rh_status reserve(struct plan *p, size_t n, uint32_t shards) {
    rh_status s = idset_reset(&p->set, n); /* it knows how many are too many */
    if (s != RH_OK)
        return s;
    if (p->bounds_cap < shards + 1) {
        p->bounds_cap = 0;
        if (!renew(&p->bounds, (size_t)shards + 1, sizeof *p->bounds))
            goto no_memory;
        p->bounds_cap = shards + 1;
    }
    if (p->cap < n) {
        p->cap = 0;
        if (!renew(&p->ids, n, sizeof *p->ids) || !renew(&p->first, n, sizeof *p->first) ||
            !renew(&p->last, n, sizeof *p->last) || !renew(&p->next, n, sizeof *p->next) ||
            !renew(&p->arrived_ids, n, sizeof *p->arrived_ids) ||
            !renew(&p->arrived, n, 3 * sizeof *p->arrived))
            goto no_memory;
        p->cap = n;
    }
    return RH_OK;

no_memory:
    return err_set(RH_ENOMEM, "no memory to plan a call of %zu ids", n);
}

/* Fills a, p->next and p->unique; bounds[s + 1] counts the ids of shard s. */
static rh_status arrive(struct plan *p, const uint64_t *ids, uint64_t rows, const char *table,
                        uint32_t shards, const struct arrivals *a) {
    uint32_t *counts = p->bounds + 1;
    uint32_t unique = 0;
    for (uint32_t pos = 0; pos < p->n; pos++) {
        uint64_t id = ids[pos];
        if (id >= rows)
            return err_set(RH_ERANGE,
                           "id %" PRIu64 " at position %u: table %s has ids 0 to %" PRIu64, id, pos,
                           table, rows - 1);
        if (p->n - pos > AHEAD)
            idset_expect(&p->set, ids[pos + AHEAD]);
        uint32_t k = idset_add(&p->set, id);
        p->next[pos] = 0;
        if (k < unique) {
            p->next[a->last[k]] = pos;
            a->last[k] = pos;
            continue;
        }
        unique++;
        a->ids[k] = id;
        a->first[k] = pos;
        a->last[k] = pos;
        if (a->shard != NULL) {
            a->shard[k] = place_shard(id, shards);
            counts[a->shard[k]]++;
        }
    }
    if (a->shard == NULL)
        counts[0] = unique;
    p->unique = unique;
    return RH_OK;
}

rh_status plan_make(struct plan *p, const uint64_t *ids, size_t n, uint64_t rows, const char *table,
                    uint32_t shards) {
    rh_status s = reserve(p, n, shards);
    if (s != RH_OK)
        return s;
    p->n = (uint32_t)n;
    memset(p->bounds, 0, ((size_t)shards + 1) * sizeof *p->bounds);

    if (shards == 1) {
        struct arrivals in_place = {p->ids, p->first, p->last, NULL};
        return arrive(p, ids, rows, table, shards, &in_place);
    }

    struct arrivals a = {p->arrived_ids, p->arrived, p->arrived + p->cap, p->arrived + 2 * p->cap};
    s = arrive(p, ids, rows, table, shards, &a);
    if (s != RH_OK)
        return s;
    /* bounds[s + 1] begins as the start of shard s, and has moved to its end when all are placed:
     * that is the start of shard s + 1. */
    uint32_t start = 0;
    for (uint32_t shard = 0; shard < shards; shard++) {
        uint32_t count = p->bounds[shard + 1];
        p->bounds[shard + 1] = start;
        start += count;
    }
    for (uint32_t k = 0; k < p->unique; k++) {
        uint32_t u = p->bounds[a.shard[k] + 1]++;
        p->ids[u] = a.ids[k];
        p->first[u] = a.first[k];
        p->last[u] = a.last[k];
    }
    return RH_OK;
}

void plan_drop(struct plan *p, uint64_t id, uint32_t shards) {
    const uint32_t shard = place_shard(id, shards), end = p->bounds[shard + 1];
    uint32_t u = p->bounds[shard];
    while (u < end && p->ids[u] != id)
        u++;
    if (u == end)
        return;
    const size_t behind = p->unique - u - 1;
    memmove(p->ids + u, p->ids + u + 1, behind * sizeof *p->ids);
    memmove(p->first + u, p->first + u + 1, behind * sizeof *p->first);
    memmove(p->last + u, p->last + u + 1, behind * sizeof *p->last);
    p->unique--;
    for (uint32_t s = shard; s < shards; s++)
        p->bounds[s + 1]--;
}
