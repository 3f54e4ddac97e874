/* stage.c - see stage.h. */
#include "ps/stage.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/size.h"
#include "proto/place.h"

struct stage_rows {
    struct stage_rows *next;
    uint32_t n;
    uint64_t ids[]; /* (n), and behind them the rows, (n, dim) */
};

static uint8_t *rows_of(struct stage_rows *k) {
    return (uint8_t *)(k->ids + k->n);
}

struct stage *stage_new(uint32_t load, uint32_t table) {
    struct stage *k = calloc(1, sizeof *k);
    if (k == NULL)
        return NULL;
    k->load = load;
    k->table = table;
    return k;
}

static void close_file(struct stage *k) {
    if (k->file != NULL)
        k->source->ops->close(k->file);
    k->file = NULL;
}

static void free_first(struct stage *k) {
    struct stage_rows *rows = k->first;
    k->first = rows->next;
    if (k->first == NULL)
        k->last = NULL;
    k->rows -= rows->n;
    free(rows);
}

static void free_rows(struct stage *k) {
    while (k->first != NULL)
        free_first(k);
}

void stage_free(struct stage **k) {
    if (*k == NULL)
        return;
    close_file(*k);
    free_rows(*k);
    free(*k);
    *k = NULL;
}

void stage_fail(struct stage *k, rh_status status) {
    k->status = status;
    snprintf(k->text, sizeof k->text, "%s", err_text());
    close_file(k);
    free_rows(k);
}

void stage_open(struct stage *k, struct source *source, const struct source_want *w) {
    k->dim = w->table.dim;
    k->source = source;
    rh_status st = source->ops->open(source, w, &k->file);
    if (st != RH_OK) {
        k->file = NULL;
        stage_fail(k, st);
        return;
    }
    source->ops->progress(k->file, &k->done_bytes, &k->total_bytes);
    k->steps++;
}

/* Room for n rows at the end. */
static struct stage_rows *add_rows(struct stage *k, size_t n) {
    size_t bytes, all;
    if (!size_mul(n, sizeof(uint64_t) + k->dim * sizeof(float), &bytes) ||
        !size_add(bytes, sizeof(struct stage_rows), &all))
        return NULL;
    struct stage_rows *rows = malloc(all);
    if (rows == NULL)
        return NULL;
    *rows = (struct stage_rows){.n = (uint32_t)n};
    if (k->last != NULL)
        k->last->next = rows;
    else
        k->first = rows;
    k->last = rows;
    k->rows += n;
    return rows;
}

static rh_status keep_own(struct stage *k, struct table *t, uint32_t shard, uint32_t shards,
                          const struct vecload_slice *slice) {
    size_t own = 0, row_bytes = k->dim * sizeof(float);
    for (size_t i = 0; i < slice->n; i++)
        own += place_shard(slice->ids[i], shards) == shard;
    if (own == 0)
        return RH_OK;
    struct stage_rows *rows = add_rows(k, own);
    if (rows == NULL)
        return err_set(RH_ENOMEM, "table \"%s\": no memory for %zu more rows of a file", t->name,
                       own);
    uint64_t *id = rows->ids;
    uint8_t *to = rows_of(rows);
    for (size_t i = 0; i < slice->n; i++) {
        if (place_shard(slice->ids[i], shards) != shard)
            continue;
        *id++ = slice->ids[i];
        memcpy(to, slice->rows + i * k->dim, row_bytes);
        to += row_bytes;
    }
    /* Now, so that it has its memory when the rows are written. */
    return table_locate(t, (const uint8_t *)rows->ids, rows->n);
}

void stage_read(struct stage *k, struct table *t, uint32_t shard, uint32_t shards) {
    assert(k->file != NULL && !k->done && t->spec.dim == k->dim);
    struct vecload_slice slice;
    rh_status st = k->source->ops->next(k->file, &slice);
    if (st == RH_OK)
        st = keep_own(k, t, shard, shards, &slice);
    if (st != RH_OK) {
        stage_fail(k, st);
        return;
    }
    k->steps++;
    k->source->ops->progress(k->file, &k->done_bytes, &k->total_bytes);
    if (!slice.end)
        return;
    k->source->ops->conclude(k->file, &k->end);
    k->done_bytes = k->total_bytes;
    k->done = true;
    close_file(k);
}

rh_status stage_write(struct stage *k, struct table *t) {
    assert(k->done && t->spec.dim == k->dim);
    for (struct stage_rows *rows; (rows = k->first) != NULL; free_first(k)) {
        const uint8_t *ids = (const uint8_t *)rows->ids;
        rh_status st = table_locate(t, ids, rows->n);
        if (st != RH_OK)
            return st;
        table_write(t, ids, rows->n, rows_of(rows));
    }
    return RH_OK;
}

rh_status stage_each(const struct stage *k,
                     rh_status (*with)(void *arg, const uint64_t *ids, const uint8_t *rows,
                                       uint32_t n),
                     void *arg) {
    rh_status st = RH_OK;
    for (struct stage_rows *p = k->first; st == RH_OK && p != NULL; p = p->next)
        st = with(arg, p->ids, rows_of(p), p->n);
    return st;
}

rh_status stage_again(struct stage *k, struct table *t, const uint8_t *ids, const uint8_t *rows,
                      uint32_t n) {
    k->dim = t->spec.dim;
    if (n == 0)
        return RH_OK;
    struct stage_rows *to = add_rows(k, n);
    if (to == NULL)
        return err_set(RH_ENOMEM, "table \"%s\": no memory for %u rows of a file", t->name, n);
    memcpy(to->ids, ids, n * sizeof *to->ids);
    memcpy(rows_of(to), rows, (size_t)n * k->dim * sizeof(float));
    return table_locate(t, (const uint8_t *)to->ids, n);
}
