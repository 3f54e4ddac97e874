/* ckpt_write.c - writes one shard's file. See ckpt_file.h. Rows come one by one and leave as blocks of
 * whole slots: a block that is full ends where the last slot that is whole does, and the rest goes
 * into the next. */
#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "common/block.h"
#include "common/err.h"
#include "proto/place.h"
#include "ps/ckpt_file.h"

enum { STREAM_BYTES = 1 << 20, ENTRIES_FIRST = 256 };

struct ckpt_writer {
    const struct ckpt_fd *folder;
    struct ckpt_fd file;
    struct ckpt_identity id;
    char name[CKPT_FILE_NAME];
    struct hash_sum *sum;
    struct buf stream; /* bytes that are not written yet */
    uint64_t bytes;    /* all, those in stream included */
    uint64_t rows;

    struct ckpt_entry *entries; /* (entries_cap) */
    uint32_t n_entries, entries_cap;

    uint32_t table, kind; /* what is being gathered */
    uint32_t dim, slot_dim, own_dim;
    uint32_t n, cap, whole; /* rows gathered; room; those of whole slots */
    uint8_t *raw;           /* (CKPT_RAW_MAX) a block as it is packed */
    uint64_t *ids;          /* (cap) and behind them the others: see columns */
    uint8_t *column[3];     /* (cap, width) each: weights, slots, own; or until */
    size_t width[3];        /* bytes of a row */
    uint8_t *memory;        /* of ids and columns */
    uint64_t last;          /* slot << 48 | id of the last row, + 1; 0: none */
};

/* ---- bytes ---- */

static rh_status flush(struct ckpt_writer *w) {
    hash_sum_add(w->sum, w->stream.p, w->stream.len);
    rh_status st = ckpt_write(&w->file, w->stream.p, w->stream.len);
    buf_clear(&w->stream);
    return st;
}

static rh_status flush_if_full(struct ckpt_writer *w) {
    return w->stream.len >= STREAM_BYTES ? flush(w) : RH_OK;
}

static rh_status grow_entries(struct ckpt_writer *w) {
    if (w->n_entries < w->entries_cap)
        return RH_OK;
    uint32_t cap = w->entries_cap == 0 ? ENTRIES_FIRST : 2 * w->entries_cap;
    struct ckpt_entry *p = realloc(w->entries, cap * sizeof *p);
    if (p == NULL)
        return err_set(RH_ENOMEM, "%s: no memory for an index of %u blocks", w->file.name, cap);
    w->entries = p;
    w->entries_cap = cap;
    return RH_OK;
}

/* Packs w->raw, whose head says what e says. */
static rh_status put_block(struct ckpt_writer *w, struct ckpt_entry e) {
    rh_status st = grow_entries(w);
    if (st != RH_OK)
        return st;
    struct buf head;
    buf_wrap(&head, w->raw, CKPT_RAW_HEAD);
    bool rows = e.kind == CKPT_ROWS;
    buf_put_u32(&head, e.kind);
    buf_put_u32(&head, e.table);
    buf_put_u32(&head, e.first);
    buf_put_u32(&head, e.last);
    buf_put_u32(&head, e.count);
    buf_put_u32(&head, rows ? w->dim : 0);
    buf_put_u32(&head, rows ? w->slot_dim : 0);
    buf_put_u32(&head, rows ? w->own_dim : 0);
    size_t before = w->stream.len;
    st = block_pack(w->raw, e.raw, &w->stream);
    if (st != RH_OK)
        return err_in(st, "%s", w->file.name);
    e.offset = w->bytes;
    e.packed = (uint32_t)(w->stream.len - before);
    w->bytes += e.packed;
    w->entries[w->n_entries++] = e;
    return flush_if_full(w);
}

/* ---- gathering ---- */

static uint32_t slot_of(const struct ckpt_writer *w, uint32_t i) {
    return place_slot(w->ids[i]);
}

/* The first n gathered rows become a block; the others move up. */
static rh_status put_rows(struct ckpt_writer *w, uint32_t n) {
    uint8_t *at = w->raw + CKPT_RAW_HEAD;
    uint32_t left = w->n - n;
    struct ckpt_entry e = {.kind = w->kind,
                           .table = w->table,
                           .first = slot_of(w, 0),
                           .last = slot_of(w, n - 1),
                           .count = n};
    memcpy(at, w->ids, n * sizeof *w->ids);
    at += n * sizeof *w->ids;
    memmove(w->ids, w->ids + n, left * sizeof *w->ids);
    for (int c = 0; c < 3; c++) {
        size_t bytes = n * w->width[c];
        memcpy(at, w->column[c], bytes);
        at += bytes;
        memmove(w->column[c], w->column[c] + bytes, left * w->width[c]);
    }
    e.raw = (uint32_t)(at - w->raw);
    assert(e.raw <= CKPT_RAW_MAX);
    w->n = left;
    w->whole = 0;
    return put_block(w, e);
}

static rh_status put_rest(struct ckpt_writer *w) {
    return w->n > 0 ? put_rows(w, w->n) : RH_OK;
}

/* What follows is of another kind: columns of these widths. */
static rh_status gather(struct ckpt_writer *w, enum ckpt_kind kind, size_t a, size_t b, size_t c) {
    rh_status st = put_rest(w);
    size_t width = sizeof *w->ids + a + b + c;
    w->kind = kind;
    w->last = 0;
    w->whole = 0;
    w->cap = (uint32_t)((CKPT_RAW_MAX - CKPT_RAW_HEAD) / width);
    w->ids = (uint64_t *)w->memory;
    w->width[0] = a;
    w->width[1] = b;
    w->width[2] = c;
    w->column[0] = w->memory + w->cap * sizeof *w->ids;
    w->column[1] = w->column[0] + w->cap * a;
    w->column[2] = w->column[1] + w->cap * b;
    return st;
}

static rh_status add_row(struct ckpt_writer *w, uint64_t id, const void *a, const void *b,
                         const void *c) {
    rh_status st = RH_OK;
    uint64_t order = ((uint64_t)place_slot(id) << SPEC_ROWS_BITS | id) + 1;
    assert(order > w->last);
    if (w->n > 0 && place_slot(id) != slot_of(w, w->n - 1))
        w->whole = w->n;
    if (w->n == w->cap)
        st = put_rows(w, w->whole > 0 ? w->whole : w->n);
    w->last = order;
    w->ids[w->n] = id;
    memcpy(w->column[0] + w->n * w->width[0], a, w->width[0]);
    if (w->width[1] > 0)
        memcpy(w->column[1] + w->n * w->width[1], b, w->width[1]);
    if (w->width[2] > 0)
        memcpy(w->column[2] + w->n * w->width[2], c, w->width[2]);
    w->n++;
    return st;
}

/* ---- calls ---- */

static void put_header(const struct ckpt_identity *id, uint8_t out[CKPT_HEADER]) {
    struct buf b;
    buf_wrap(&b, out, CKPT_HEADER);
    buf_put_bytes(&b, "RHSHARD\n", 8);
    buf_put_u32(&b, CKPT_FORMAT);
    buf_put_u32(&b, id->shard);
    buf_put_u32(&b, id->shards);
    buf_put_u32(&b, 0);
    buf_put_u64(&b, id->job);
    buf_put_u64(&b, id->generation);
    buf_put_u32(&b, place_first(id->shard, id->shards));
    buf_put_u32(&b, place_first(id->shard + 1, id->shards));
    buf_put_u64(&b, 0);
    buf_put_u64(&b, hash64(out, b.len));
}

rh_status ckpt_writer_new(const struct ckpt_fd *folder, const struct ckpt_identity *id,
                          struct ckpt_writer **out) {
    struct ckpt_writer *w = calloc(1, sizeof *w);
    if (w == NULL)
        return err_set(RH_ENOMEM, "no memory to write a checkpoint");
    w->folder = folder;
    w->file.fd = -2;
    w->id = *id;
    ckpt_file_name(id->shard, id->shards, w->name);
    buf_init(&w->stream, STREAM_BYTES + 2 * (CKPT_RAW_MAX + BLOCK_HEAD));
    w->sum = hash_sum_new();
    w->raw = malloc(CKPT_RAW_MAX);
    w->memory = malloc(CKPT_RAW_MAX);
    uint8_t header[CKPT_HEADER];
    put_header(id, header);
    buf_put_bytes(&w->stream, header, sizeof header);
    w->bytes = sizeof header;
    if (w->sum == NULL || w->raw == NULL || w->memory == NULL || w->stream.bad) {
        ckpt_writer_free(&w);
        return err_set(RH_ENOMEM, "no memory to write a checkpoint");
    }
    rh_status st = ckpt_open_file(folder, w->name, CKPT_CREATE, &w->file);
    if (st != RH_OK)
        ckpt_writer_free(&w);
    else
        *out = w;
    return st;
}

rh_status ckpt_writer_table(struct ckpt_writer *w, uint32_t number, const struct ckpt_own *own,
                            uint32_t dim, uint32_t slot_dim, uint32_t own_dim) {
    assert(number > w->table);
    rh_status st = put_rest(w);
    if (st != RH_OK)
        return st;
    w->table = number;
    w->dim = dim;
    w->slot_dim = slot_dim;
    w->own_dim = own_dim;
    struct buf b;
    buf_wrap(&b, w->raw + CKPT_RAW_HEAD, CKPT_RAW_MAX - CKPT_RAW_HEAD);
    buf_put_u64(&b, own->skipped);
    buf_put_u64(&b, own->lists_least);
    buf_put_u64(&b, own->lists_most);
    st = put_block(w, (struct ckpt_entry){.kind = CKPT_TABLE,
                                          .table = number,
                                          .raw = (uint32_t)(CKPT_RAW_HEAD + b.len)});
    if (st == RH_OK)
        st = gather(w, CKPT_ROWS, dim * sizeof(float), slot_dim * sizeof(float),
                    own_dim * sizeof(float));
    return st;
}

rh_status ckpt_writer_runs(struct ckpt_writer *w, const struct freeze_run *runs, uint32_t n) {
    assert(w->n == 0 && w->kind == CKPT_ROWS);
    const uint32_t most = (CKPT_RAW_MAX - CKPT_RAW_HEAD) / 16;
    rh_status st = RH_OK;
    for (uint32_t part; st == RH_OK && n > 0; runs += part, n -= part) {
        part = n < most ? n : most;
        struct buf b;
        buf_wrap(&b, w->raw + CKPT_RAW_HEAD, CKPT_RAW_MAX - CKPT_RAW_HEAD);
        for (uint32_t i = 0; i < part; i++) {
            buf_put_u64(&b, runs[i].first);
            buf_put_u64(&b, runs[i].until);
        }
        st = put_block(w, (struct ckpt_entry){.kind = CKPT_RUNS,
                                              .table = w->table,
                                              .count = part,
                                              .raw = (uint32_t)(CKPT_RAW_HEAD + b.len)});
    }
    return st;
}

rh_status ckpt_writer_row(struct ckpt_writer *w, uint64_t id, const void *weights,
                          const void *slots, const void *own) {
    assert(w->kind == CKPT_ROWS);
    assert((slots != NULL) == (w->slot_dim > 0) && (own != NULL) == (w->own_dim > 0));
    w->rows++;
    return add_row(w, id, weights, slots, own);
}

rh_status ckpt_writer_listed(struct ckpt_writer *w, uint64_t id, uint64_t until) {
    uint32_t word = until == FREEZE_FOR_EVER ? UINT32_MAX : (uint32_t)until;
    rh_status st = RH_OK;
    if (w->kind != CKPT_LISTED)
        st = gather(w, CKPT_LISTED, sizeof word, 0, 0);
    return st == RH_OK ? add_row(w, id, &word, NULL, NULL) : st;
}

/* ---- the end ---- */

static rh_status put_index(struct ckpt_writer *w, uint64_t *hash) {
    size_t len = (size_t)w->n_entries * CKPT_ENTRY;
    uint8_t *index = malloc(len + 1);
    if (index == NULL)
        return err_set(RH_ENOMEM, "%s: no memory for its index", w->file.name);
    struct buf b;
    buf_wrap(&b, index, len);
    for (uint32_t i = 0; i < w->n_entries; i++) {
        const struct ckpt_entry *e = &w->entries[i];
        buf_put_u64(&b, e->offset);
        const uint32_t words[] = {e->packed, e->raw,  e->kind,  e->table,
                                  e->first,  e->last, e->count, 0};
        for (size_t k = 0; k < sizeof words / sizeof *words; k++)
            buf_put_u32(&b, words[k]);
    }
    *hash = hash64(index, len);
    rh_status st = flush(w);
    hash_sum_add(w->sum, index, len);
    if (st == RH_OK)
        st = ckpt_write(&w->file, index, len);
    w->bytes += len;
    free(index);
    return st;
}

static rh_status put_end(struct ckpt_writer *w) {
    uint64_t at = w->bytes, hash = 0;
    rh_status st = put_index(w, &hash);
    if (st != RH_OK)
        return st;
    uint8_t trailer[CKPT_TRAILER];
    struct buf b;
    buf_wrap(&b, trailer, sizeof trailer);
    buf_put_bytes(&b, "RHINDEX\n", 8);
    buf_put_u64(&b, at);
    buf_put_u64(&b, w->n_entries);
    buf_put_u64(&b, w->rows);
    buf_put_u64(&b, w->id.generation);
    buf_put_u64(&b, hash);
    buf_put_u64(&b, 0);
    buf_put_u64(&b, hash64(trailer, b.len));
    hash_sum_add(w->sum, trailer, sizeof trailer);
    w->bytes += sizeof trailer;
    return ckpt_write(&w->file, trailer, sizeof trailer);
}

rh_status ckpt_writer_end(struct ckpt_writer *w, struct ckpt_file *out) {
    rh_status st = put_rest(w);
    if (st == RH_OK)
        st = put_end(w);
    if (st == RH_OK)
        st = ckpt_sync(&w->file);
    if (st == RH_OK)
        st = ckpt_close(&w->file);
    struct ckpt_fd folder = *w->folder;
    if (st == RH_OK)
        st = ckpt_sync(&folder);
    if (st != RH_OK)
        return st;
    *out = (struct ckpt_file){.bytes = w->bytes, .rows = w->rows, .sum = hash_sum_end(w->sum)};
    memcpy(out->name, w->name, sizeof out->name);
    return RH_OK;
}

uint64_t ckpt_writer_bytes(const struct ckpt_writer *w) {
    return w->bytes;
}

void ckpt_writer_free(struct ckpt_writer **out) {
    struct ckpt_writer *w = *out;
    *out = NULL;
    if (w == NULL)
        return;
    ckpt_drop(&w->file);
    if (w->sum != NULL)
        hash_sum_free(&w->sum);
    buf_fini(&w->stream);
    free(w->entries);
    free(w->raw);
    free(w->memory);
    free(w);
}
