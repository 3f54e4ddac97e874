/* journal_format.c - a journal's bytes: the header of a segment and the head of a record, as JOURNAL.md has
 * them. No I/O. */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "common/err.h"
#include "common/hash.h"
#include "ps/journal_inner.h"

static const char magic[8] = {'R', 'H', 'J', 'O', 'U', 'R', 'N', '\n'};

enum {
    NAME_BYTES = 72,
    HEAD_SUM_AT = JOURNAL_HEAD - 8,
    RECORD_SUM_AT = JOURNAL_RECORD - 8,
    HEAD_ONLY_AT = JOURNAL_RECORD - 12
};

void journal_head_put(struct journal_head *h, uint8_t out[JOURNAL_HEAD]) {
    struct buf b;
    memset(out, 0, JOURNAL_HEAD);
    buf_wrap(&b, out, JOURNAL_HEAD);
    buf_put_bytes(&b, magic, sizeof magic);
    buf_put_u32(&b, JOURNAL_FORMAT);
    buf_put_u32(&b, h->shard);
    buf_put_u32(&b, h->shards);
    buf_put_u32(&b, h->incarnation);
    buf_put_u64(&b, h->job);
    buf_put_u64(&b, h->segment);
    buf_put_u64(&b, h->before_bytes);
    buf_put_u64(&b, h->generation);
    buf_put_u32(&b, h->why);
    buf_put_u32(&b, h->sync);
    buf_put_u64(&b, h->boot);
    uint8_t name[NAME_BYTES] = {0};
    memcpy(name, h->name, strlen(h->name));
    buf_put_bytes(&b, name, sizeof name);
    h->sum = hash64(out, HEAD_SUM_AT);
    buf_put_u64(&b, h->sum);
}

rh_status journal_head_get(const uint8_t p[JOURNAL_HEAD], const char *what,
                           struct journal_head *out) {
    struct journal_head h = {0};
    struct rd r;
    rd_init(&r, p, JOURNAL_HEAD);
    bool good = memcmp(rd_bytes(&r, sizeof magic), magic, sizeof magic) == 0;
    uint32_t format = rd_u32(&r);
    h.shard = rd_u32(&r);
    h.shards = rd_u32(&r);
    h.incarnation = rd_u32(&r);
    h.job = rd_u64(&r);
    h.segment = rd_u64(&r);
    h.before_bytes = rd_u64(&r);
    h.generation = rd_u64(&r);
    h.why = rd_u32(&r);
    h.sync = rd_u32(&r);
    h.boot = rd_u64(&r);
    const uint8_t *name = rd_bytes(&r, NAME_BYTES);
    memcpy(h.name, name, CKPT_NAME_MAX);
    h.sum = rd_u64(&r);
    good = good && h.sum == hash64(p, HEAD_SUM_AT);
    if (good && format != JOURNAL_FORMAT)
        return err_set(RH_EVERSION, "%s has format %" PRIu32 "; this program reads %d", what,
                       format, JOURNAL_FORMAT);
    if (!good || h.why < JOURNAL_BEGINS || h.why > JOURNAL_CUT || h.sync > JOURNAL_ALWAYS ||
        h.segment == 0)
        return err_set(RH_ECORRUPT, "%s is damaged: its header makes no sense", what);
    *out = h;
    return RH_OK;
}

/* Of the payload, with the head before it. */
static uint64_t sum_of(const uint8_t *head, uint64_t seed, const void *payload, size_t len) {
    return hash64_seeded(payload, len, hash64_seeded(head, RECORD_SUM_AT, seed));
}

void journal_record_put(const struct journal_record *r, uint64_t seed, const void *payload,
                        uint8_t out[JOURNAL_RECORD]) {
    struct buf b;
    buf_wrap(&b, out, JOURNAL_RECORD);
    buf_put_u32(&b, r->kind);
    buf_put_u32(&b, r->len);
    buf_put_u64(&b, r->number);
    buf_put_u64(&b, (uint64_t)r->now_ms);
    buf_put_u64(&b, r->synced);
    buf_put_u32(&b, r->answered);
    buf_put_u32(&b, (uint32_t)hash64_seeded(out, HEAD_ONLY_AT, seed));
    buf_put_u64(&b, sum_of(out, seed, payload, r->len));
}

bool journal_record_get(const uint8_t p[JOURNAL_RECORD], uint64_t seed,
                        struct journal_record *out) {
    struct rd r;
    rd_init(&r, p, JOURNAL_RECORD);
    out->kind = rd_u32(&r);
    out->len = rd_u32(&r);
    out->number = rd_u64(&r);
    out->now_ms = (int64_t)rd_u64(&r);
    out->synced = rd_u64(&r);
    out->answered = rd_u32(&r);
    return out->kind > 0 && out->kind < NOTE_KINDS_END &&
           rd_u32(&r) == (uint32_t)hash64_seeded(p, HEAD_ONLY_AT, seed);
}

bool journal_record_is_whole(const uint8_t p[JOURNAL_RECORD], const struct journal_record *r,
                             uint64_t seed) {
    struct rd sum;
    rd_init(&sum, p + RECORD_SUM_AT, sizeof(uint64_t));
    return rd_u64(&sum) == sum_of(p, seed, p + JOURNAL_RECORD, r->len);
}

void journal_file_name(uint32_t shard, uint32_t shards, uint64_t segment, char out[JOURNAL_NAME]) {
    snprintf(out, JOURNAL_NAME, "shard-%05" PRIu32 "-of-%05" PRIu32 ".%010" PRIu64 ".rhj", shard,
             shards, segment);
}

uint64_t journal_file_number(uint32_t shard, uint32_t shards, const char *name) {
    uint32_t i, n;
    uint64_t segment;
    char again[JOURNAL_NAME];
    if (sscanf(name, "shard-%" SCNu32 "-of-%" SCNu32 ".%" SCNu64, &i, &n, &segment) != 3 ||
        i != shard || n != shards)
        return 0;
    journal_file_name(shard, shards, segment, again);
    return strcmp(name, again) == 0 ? segment : 0;
}
