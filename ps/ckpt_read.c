/* ckpt_read.c - reads one shard's file. See ckpt_file.h. Every byte is hostile: nothing is allocated
 * but what the file's own size allows, and one block. */
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "common/block.h"
#include "common/err.h"
#include "common/hash.h"
#include "proto/place.h"
#include "ps/ckpt_file.h"
#include "ps/opt.h"

struct ckpt_reader {
    const struct ckpt_manifest *m;
    struct ckpt_fd file;
    uint32_t shard, first, end; /* its slots: first .. end - 1 */
    uint64_t bytes, rows;
    struct ckpt_entry *entries; /* (n) */
    uint32_t n;
    uint8_t *packed, *raw; /* (BLOCK_HEAD + CKPT_RAW_MAX) a block as it is in the file,
                              (CKPT_RAW_MAX) what LZ4 makes of it */
};

static rh_status damaged(const struct ckpt_reader *r, const char *why) {
    return err_set(RH_ECORRUPT, "%s is damaged: %s", r->file.name, why);
}

/* ---- opening ---- */

static rh_status read_header(struct ckpt_reader *r) {
    uint8_t bytes[CKPT_HEADER];
    rh_status st = ckpt_read(&r->file, bytes, sizeof bytes, 0);
    if (st != RH_OK)
        return st;
    struct rd d;
    rd_init(&d, bytes, sizeof bytes);
    const uint8_t *magic = rd_bytes(&d, 8);
    uint32_t format = rd_u32(&d), shard = rd_u32(&d), shards = rd_u32(&d), zero = rd_u32(&d);
    uint64_t job = rd_u64(&d), generation = rd_u64(&d);
    r->first = rd_u32(&d);
    r->end = rd_u32(&d);
    uint64_t zeros = rd_u64(&d), sum = rd_u64(&d);
    if (memcmp(magic, "RHSHARD\n", 8) != 0)
        return err_set(RH_ECORRUPT, "%s is no shard of a checkpoint", r->file.name);
    if (format != CKPT_FORMAT)
        return err_set(RH_EVERSION, "%s: its format is %" PRIu32 ", this program reads %d",
                       r->file.name, format, CKPT_FORMAT);
    if (sum != hash64(bytes, sizeof bytes - sizeof sum))
        return damaged(r, "its header's sum is wrong");
    if (job != r->m->job || generation != r->m->generation || shard != r->shard ||
        shards != r->m->shards)
        return err_set(RH_ECORRUPT,
                       "%s is of another checkpoint: shard %" PRIu32 " of %" PRIu32
                       ", generation %" PRIu64 " of job %016" PRIx64 ", not shard %" PRIu32
                       " of %" PRIu32 ", generation %" PRIu64 " of job %016" PRIx64,
                       r->file.name, shard, shards, generation, job, r->shard, r->m->shards,
                       r->m->generation, r->m->job);
    if (zero != 0 || zeros != 0 || r->first != place_first(shard, shards) ||
        r->end != place_first(shard + 1, shards))
        return damaged(r, "its header makes no sense");
    return RH_OK;
}

struct trailer {
    uint64_t at, blocks, rows, generation, sum;
};

static rh_status read_trailer(struct ckpt_reader *r, struct trailer *t) {
    uint8_t bytes[CKPT_TRAILER];
    rh_status st = ckpt_read(&r->file, bytes, sizeof bytes, r->bytes - CKPT_TRAILER);
    if (st != RH_OK)
        return st;
    struct rd d;
    rd_init(&d, bytes, sizeof bytes);
    const uint8_t *magic = rd_bytes(&d, 8);
    t->at = rd_u64(&d);
    t->blocks = rd_u64(&d);
    t->rows = rd_u64(&d);
    t->generation = rd_u64(&d);
    t->sum = rd_u64(&d);
    uint64_t zero = rd_u64(&d), sum = rd_u64(&d);
    if (memcmp(magic, "RHINDEX\n", 8) != 0 || sum != hash64(bytes, sizeof bytes - sizeof sum))
        return damaged(r, "its last 64 bytes are no trailer");
    uint64_t room = r->bytes - CKPT_HEADER - CKPT_TRAILER;
    if (zero != 0 || t->generation != r->m->generation || t->blocks > room / CKPT_ENTRY ||
        t->at != r->bytes - CKPT_TRAILER - t->blocks * CKPT_ENTRY)
        return damaged(r, "its trailer makes no sense");
    return RH_OK;
}

static void get_entry(struct rd *d, struct ckpt_entry *e, bool *good) {
    e->offset = rd_u64(d);
    e->packed = rd_u32(d);
    e->raw = rd_u32(d);
    e->kind = rd_u32(d);
    e->table = rd_u32(d);
    e->first = rd_u32(d);
    e->last = rd_u32(d);
    e->count = rd_u32(d);
    *good = rd_u32(d) == 0;
}

/* Tables ascend; of each come TABLE, RUNS, ROWS, LISTED; slots do not descend. */
static bool follows(const struct ckpt_entry *before, const struct ckpt_entry *e) {
    if (before == NULL || e->table != before->table)
        return e->kind == CKPT_TABLE && (before == NULL || e->table > before->table);
    if (e->kind == CKPT_TABLE || e->kind < before->kind)
        return false;
    return e->kind != before->kind || e->first >= before->last;
}

/* What a block's raw bytes must come to. */
static bool right_size(const struct ckpt_reader *r, const struct ckpt_entry *e) {
    const struct ckpt_table *t = ckpt_manifest_table(r->m, e->table);
    if (t == NULL || e->raw < CKPT_RAW_HEAD || e->raw > CKPT_RAW_MAX || e->packed < BLOCK_HEAD ||
        e->packed - BLOCK_HEAD > e->raw)
        return false;
    uint64_t body = e->raw - CKPT_RAW_HEAD, n = e->count;
    bool slots = e->first >= r->first && e->last < r->end && e->first <= e->last;
    const struct opt_ops *opt = opt_find(&t->spec);
    uint64_t row = 8 + (uint64_t)t->spec.dim * 4;
    uint64_t state = (uint64_t)t->spec.dim * opt->slots * 4 + (uint64_t)opt->own * 4;
    switch (e->kind) {
    case CKPT_TABLE:
        return n == 0 && body == 24 && e->first == 0 && e->last == 0;
    case CKPT_RUNS:
        return n > 0 && body == n * 16 && e->first == 0 && e->last == 0;
    case CKPT_ROWS:
        return n > 0 && slots && (body == n * row || body == n * (row + state));
    case CKPT_LISTED:
        return n > 0 && slots && body == n * 12;
    default:
        return false;
    }
}

static rh_status read_index(struct ckpt_reader *r, const struct trailer *t) {
    size_t len = t->blocks * CKPT_ENTRY;
    uint8_t *bytes = malloc(len + 1);
    r->entries = calloc(t->blocks + 1, sizeof *r->entries);
    if (bytes == NULL || r->entries == NULL) {
        free(bytes);
        return err_set(RH_ENOMEM, "%s: no memory for its index of %zu bytes", r->file.name, len);
    }
    rh_status st = ckpt_read(&r->file, bytes, len, t->at);
    if (st == RH_OK && hash64(bytes, len) != t->sum)
        st = damaged(r, "its index' sum is wrong");
    struct rd d;
    rd_init(&d, bytes, len);
    uint64_t at = CKPT_HEADER, rows = 0;
    for (uint64_t i = 0; st == RH_OK && i < t->blocks; i++) {
        struct ckpt_entry *e = &r->entries[i];
        bool good;
        get_entry(&d, e, &good);
        if (!good || e->offset != at || !follows(i == 0 ? NULL : e - 1, e) || !right_size(r, e))
            st =
                err_set(RH_ECORRUPT, "%s is damaged: entry %" PRIu64 " of its index makes no sense",
                        r->file.name, i);
        at += e->packed;
        rows += e->kind == CKPT_ROWS ? e->count : 0;
    }
    free(bytes);
    if (st == RH_OK && (at != t->at || rows != t->rows || rows != r->rows))
        st = damaged(r, "its index does not cover it");
    r->n = (uint32_t)t->blocks;
    return st;
}

static rh_status open_all(struct ckpt_reader *r) {
    uint64_t bytes;
    rh_status st = ckpt_size(&r->file, &bytes);
    if (st != RH_OK)
        return st;
    if (bytes != r->bytes)
        return err_set(RH_ECORRUPT, "%s has %" PRIu64 " bytes, its manifest says %" PRIu64,
                       r->file.name, bytes, r->bytes);
    if (bytes < CKPT_HEADER + CKPT_TRAILER)
        return damaged(r, "it is too short for a header and a trailer");
    struct trailer t;
    st = read_header(r);
    if (st == RH_OK)
        st = read_trailer(r, &t);
    return st == RH_OK ? read_index(r, &t) : st;
}

rh_status ckpt_reader_open(const struct ckpt_fd *folder, const struct ckpt_manifest *m,
                           uint32_t shard, struct ckpt_reader **out) {
    const struct ckpt_file *is = &m->files[shard];
    struct ckpt_reader *r = calloc(1, sizeof *r);
    if (r == NULL)
        return err_set(RH_ENOMEM, "no memory to read a checkpoint");
    r->m = m;
    r->shard = shard;
    r->bytes = is->bytes;
    r->rows = is->rows;
    r->file.fd = -2;
    r->packed = malloc(BLOCK_HEAD + CKPT_RAW_MAX);
    r->raw = malloc(CKPT_RAW_MAX);
    rh_status st = r->packed == NULL || r->raw == NULL
                       ? err_set(RH_ENOMEM, "no memory to read a checkpoint")
                       : ckpt_open_file(folder, is->name, CKPT_READ, &r->file);
    if (st == RH_OK)
        st = open_all(r);
    if (st != RH_OK)
        ckpt_reader_close(&r);
    else
        *out = r;
    return st;
}

void ckpt_reader_close(struct ckpt_reader **out) {
    struct ckpt_reader *r = *out;
    *out = NULL;
    if (r == NULL)
        return;
    ckpt_drop(&r->file);
    free(r->entries);
    free(r->packed);
    free(r->raw);
    free(r);
}

uint32_t ckpt_reader_blocks(const struct ckpt_reader *r) {
    return r->n;
}

const struct ckpt_entry *ckpt_reader_entry(const struct ckpt_reader *r, uint32_t i) {
    return &r->entries[i];
}

const char *ckpt_reader_name(const struct ckpt_reader *r) {
    return r->file.name;
}

/* ---- blocks ---- */

static bool ids_ascend(const struct ckpt_block *b, uint64_t num) {
    uint64_t last = 0;
    for (uint32_t i = 0; i < b->entry->count; i++) {
        uint64_t id = index_id(b->ids, i);
        uint32_t slot = place_slot(id);
        uint64_t order = ((uint64_t)slot << SPEC_ROWS_BITS | id) + 1;
        if (id >= num || order <= last || (i == 0 && slot != b->entry->first))
            return false;
        last = order;
    }
    return (uint32_t)((last - 1) >> SPEC_ROWS_BITS) == b->entry->last;
}

/* That dims are the optimizer's, or that there is no state. */
static bool right_dims(const struct ckpt_block *b, const struct ckpt_table *t) {
    const struct opt_ops *opt = opt_find(&t->spec);
    bool none = b->slot_dim == 0 && b->own_dim == 0;
    return b->dim == t->spec.dim &&
           (none || (b->slot_dim == opt->slots * b->dim && b->own_dim == opt->own));
}

static bool get_body(struct rd *d, const struct ckpt_table *t, struct ckpt_block *b) {
    const size_t n = b->entry->count;
    switch (b->entry->kind) {
    case CKPT_TABLE:
        b->own.skipped = rd_u64(d);
        b->own.lists_least = rd_u64(d);
        b->own.lists_most = rd_u64(d);
        break;
    case CKPT_RUNS:
        b->runs = rd_bytes(d, n * 16);
        break;
    case CKPT_ROWS:
        b->ids = rd_bytes(d, n * 8);
        b->weights = rd_bytes(d, n * b->dim * 4);
        b->slots = rd_bytes(d, n * b->slot_dim * 4);
        b->words = rd_bytes(d, n * b->own_dim * 4);
        return rd_done(d) && right_dims(b, t) && ids_ascend(b, t->spec.rows);
    default:
        b->ids = rd_bytes(d, n * 8);
        b->untils = rd_bytes(d, n * 4);
        if (!rd_done(d) || !ids_ascend(b, t->spec.rows))
            return false;
    }
    return rd_done(d) && b->dim == 0 && b->slot_dim == 0 && b->own_dim == 0;
}

/* A block that lies in memory, in its packed form. */
static rh_status unpack(struct ckpt_reader *r, const uint8_t *packed, const struct ckpt_entry *e,
                        struct ckpt_block *out) {
    struct rd d;
    rd_init(&d, packed, e->packed);
    const uint8_t *raw;
    rh_status st = block_unpack(&d, r->raw, e->raw, &raw);
    if (st != RH_OK)
        return err_in(st, "%s is damaged at byte %" PRIu64, r->file.name, e->offset);
    bool good = rd_done(&d);
    struct ckpt_block b = {.entry = e};
    rd_init(&d, raw, e->raw);
    good &= rd_u32(&d) == e->kind;
    good &= rd_u32(&d) == e->table;
    good &= rd_u32(&d) == e->first;
    good &= rd_u32(&d) == e->last;
    good &= rd_u32(&d) == e->count;
    b.dim = rd_u32(&d);
    b.slot_dim = rd_u32(&d);
    b.own_dim = rd_u32(&d);
    if (!good || !get_body(&d, ckpt_manifest_table(r->m, e->table), &b))
        return err_set(RH_ECORRUPT, "%s is damaged: the block at byte %" PRIu64 " makes no sense",
                       r->file.name, e->offset);
    *out = b;
    return RH_OK;
}

rh_status ckpt_reader_block(struct ckpt_reader *r, uint32_t i, struct ckpt_block *out) {
    const struct ckpt_entry *e = &r->entries[i];
    rh_status st = ckpt_read(&r->file, r->packed, e->packed, e->offset);
    return st == RH_OK ? unpack(r, r->packed, e, out) : st;
}

/* ---- every byte ---- */

struct verifying {
    struct ckpt_reader *r;
    struct hash_sum *sum; /* of the bytes before at */
    uint64_t at;
    void (*progress)(void *arg, uint64_t bytes);
    void *arg;
};

/* The next n bytes, which lie in r->packed. */
static void add(struct verifying *v, uint64_t n) {
    hash_sum_add(v->sum, v->r->packed, n);
    v->at += n;
    if (v->progress != NULL)
        v->progress(v->arg, n);
}

/* What is no block. */
static rh_status add_up_to(struct verifying *v, uint64_t end) {
    rh_status st = RH_OK;
    while (st == RH_OK && v->at < end) {
        uint64_t n = end - v->at < CKPT_RAW_MAX ? end - v->at : CKPT_RAW_MAX;
        st = ckpt_read(&v->r->file, v->r->packed, n, v->at);
        if (st == RH_OK)
            add(v, n);
    }
    return st;
}

static rh_status verify(struct verifying *v) {
    struct ckpt_reader *r = v->r;
    rh_status st = add_up_to(v, CKPT_HEADER);
    for (uint32_t i = 0; st == RH_OK && i < r->n; i++) {
        struct ckpt_block b;
        st = ckpt_reader_block(r, i, &b);
        if (st == RH_OK)
            add(v, r->entries[i].packed);
    }
    if (st == RH_OK)
        st = add_up_to(v, r->bytes);
    if (st != RH_OK)
        return st;
    struct hash128 is = hash_sum_end(v->sum), want = r->m->files[r->shard].sum;
    if (is.low != want.low || is.high != want.high)
        return damaged(r, "its XXH3-128 is not what the manifest says");
    return RH_OK;
}

rh_status ckpt_reader_verify(struct ckpt_reader *r, void (*progress)(void *arg, uint64_t bytes),
                             void *arg) {
    struct verifying v = {.r = r, .sum = hash_sum_new(), .progress = progress, .arg = arg};
    if (v.sum == NULL)
        return err_set(RH_ENOMEM, "no memory to verify %s", r->file.name);
    rh_status st = verify(&v);
    hash_sum_free(&v.sum);
    return st;
}
