/* ckpt_small.c - see ckpt_small.h. */
#include "tests/support/ckpt_small.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/block.h"
#include "common/hash.h"
#include "ps/ckpt_file.h"
#include "ps/ckpt_folder.h"
#include "ps/ckpt_shard.h"

enum { ID = 6, LISTED = 7 };
static const float weights[] = {0.5f, -1.0f}, momentum[] = {2.0f, 0.25f};

struct spec ckpt_small_spec(void) {
    return (struct spec){.kind = SPEC_DENSE,
                         .dim = 2,
                         .rows = 100,
                         .seed = 1,
                         .init = SPEC_ZEROS,
                         .opt = SPEC_SGD,
                         .opt_arg = {[SGD_MOMENTUM] = 0.5, [SGD_DAMPENING] = 0.25},
                         .lr = 1,
                         .padding_idx = SPEC_NO_PADDING};
}

static rh_status write_file(const struct ckpt_fd *folder, uint64_t generation, bool listed,
                            struct ckpt_file *out) {
    static const struct freeze_run open_to_all = {0, 0};
    const struct ckpt_identity id = {0, generation, 0, 1};
    const struct ckpt_own own = {0, listed ? 9 : FREEZE_FOR_EVER, listed ? 9 : 0};
    struct ckpt_writer *w = NULL;
    rh_status st = ckpt_writer_new(folder, &id, &w);
    uint32_t words = 1;
    if (st == RH_OK)
        st = ckpt_writer_table(w, 1, &own, 2, 2, 1);
    if (st == RH_OK)
        st = ckpt_writer_runs(w, &open_to_all, 1);
    if (st == RH_OK)
        st = ckpt_writer_row(w, ID, weights, momentum, &words);
    if (st == RH_OK && listed)
        st = ckpt_writer_listed(w, LISTED, 9);
    if (st == RH_OK)
        st = ckpt_writer_end(w, out);
    ckpt_writer_free(&w);
    return st;
}

static rh_status write_all(struct ckpt_io *io, const char *name, uint64_t generation, bool listed) {
    struct ckpt_table t = {.number = 1,
                           .name = "t",
                           .spec = ckpt_small_spec(),
                           .steps = 1,
                           .dropped_by = CKPT_NOT_DROPPED};
    struct ckpt_count count = {1, 1, 0};
    uint8_t cursor[] = {1, 2, 3};
    struct ckpt_worker w = {.clock = 1,
                            .incarnation = 1,
                            .counts = &count,
                            .n_counts = 1,
                            .cursor = cursor,
                            .cursor_len = sizeof cursor};
    struct ckpt_file f;
    struct ckpt_manifest m = {.generation = generation,
                              .mode = 1,
                              .world = 1,
                              .shards = 1,
                              .tables = &t,
                              .n_tables = 1,
                              .workers = &w,
                              .n_workers = 1,
                              .files = &f};
    struct ckpt_fd folder;
    rh_status st = ckpt_begin(io, name, &folder);
    if (st != RH_OK)
        return st;
    st = write_file(&folder, generation, listed, &f);
    if (st == RH_OK)
        return ckpt_commit(io, name, &folder, &m);
    ckpt_abandon(io, name, &folder);
    return st;
}

rh_status ckpt_small_write(struct ckpt_io *io, const char *name) {
    return write_all(io, name, strcmp(name, "a") == 0 ? 1 : 2, true);
}

rh_status ckpt_small_example(struct ckpt_io *io, const char *name) {
    return write_all(io, name, 1, false);
}

static uint64_t digest_of(const struct table *t) {
    uint64_t sum = t->store.n_touched;
    for (uint64_t row = 0; (row = store_next_touched(&t->store, row)) != STORE_NONE; row++) {
        sum += hash64(store_row(&t->store, row), t->store.dim * sizeof(float)) * (row + 1);
        if (t->store.slots != NULL)
            sum += hash64(store_slot(&t->store, row), t->store.slot_dim * sizeof(float));
        if (t->store.own != NULL)
            sum += hash64(store_own(&t->store, row), t->store.own_dim * sizeof(float));
    }
    for (uint64_t row = 0; (row = freeze_next_listed(&t->freeze, row)) != FREEZE_NONE; row++)
        sum += row * freeze_until(&t->freeze, row, 0);
    return sum + t->freeze.runs[0].until + t->freeze.lists_least;
}

rh_status ckpt_small_read(struct ckpt_io *io, const char *name, uint64_t *digest) {
    struct ckpt_fd folder;
    struct ckpt_manifest m;
    struct ckpt_reader *r = NULL;
    struct table *t = NULL;
    rh_status st = ckpt_open(io, name, &folder, &m);
    if (st != RH_OK)
        return st;
    st = ckpt_reader_open(&folder, &m, 0, &r);
    if (st == RH_OK)
        st = ckpt_reader_verify(r, NULL, NULL);
    ckpt_reader_close(&r);
    if (st == RH_OK && ckpt_manifest_table(&m, 1) != NULL)
        st = ckpt_table_load(&folder, &m, 1, 0, 1, true, &t);
    if (st == RH_OK)
        *digest = t == NULL ? 0 : digest_of(t);
    table_free(&t);
    ckpt_manifest_fini(&m);
    ckpt_drop(&folder);
    return st;
}

uint64_t ckpt_small_digest(void) {
    struct memory_disk d;
    uint64_t digest = 0;
    memory_disk_init(&d);
    rh_status st = ckpt_small_write(&d.io, "a");
    if (st == RH_OK)
        st = ckpt_small_read(&d.io, "a", &digest);
    memory_disk_fini(&d);
    return st == RH_OK ? digest : 0;
}

/* ---- sums ---- */

static void put64(uint8_t *at, uint64_t v) {
    memcpy(at, &v, sizeof v);
}

static uint64_t get(const uint8_t *at, size_t n) {
    uint64_t v = 0;
    memcpy(&v, at, n);
    return v;
}

/* Blocks that are stored as they are, where the heads say they lie. */
static void reseal_blocks(struct disk_node *f, uint64_t end) {
    for (uint64_t at = CKPT_HEADER; at + BLOCK_HEAD <= end;) {
        uint64_t raw = get(f->bytes + at, 4), packed = get(f->bytes + at + 4, 4);
        if (packed > end - at - BLOCK_HEAD)
            return;
        if (raw == packed)
            put64(f->bytes + at + 8, hash64(f->bytes + at + BLOCK_HEAD, raw));
        at += BLOCK_HEAD + packed;
    }
}

static void reseal_shard(struct disk_node *f) {
    if (f->len < CKPT_HEADER + CKPT_TRAILER)
        return;
    put64(f->bytes + 56, hash64(f->bytes, 56));
    uint8_t *t = f->bytes + f->len - CKPT_TRAILER;
    uint64_t at = get(t + 8, 8), room = f->len - CKPT_TRAILER;
    if (at >= CKPT_HEADER && at <= room) {
        put64(t + 40, hash64(f->bytes + at, room - at));
        reseal_blocks(f, at);
    }
    put64(t + 56, hash64(t, 56));
}

static void reseal_manifest(struct disk_node *m, const struct disk_node *f) {
    char sum[HASH128_TEXT], bytes[48];
    if (m->len < 64)
        return;
    hash128_text(hash128(f->bytes, f->len), sum);
    int n = snprintf(bytes, sizeof bytes, "\"bytes\": \"%zu\"", f->len);
    uint8_t *at = memmem(m->bytes, m->len, "\"bytes\": \"", 10);
    if (at != NULL && at + n <= m->bytes + m->len)
        memcpy(at, bytes, (size_t)n);
    at = memmem(m->bytes + 48, m->len - 48, "\"xxh3_128\": \"", 13);
    if (at != NULL && at + 13 + 32 <= m->bytes + m->len)
        memcpy(at + 13, sum, 32);
    hash128_text(hash128(m->bytes + 48, m->len - 48), sum);
    memcpy(m->bytes + 13, sum, 32);
}

void ckpt_small_reseal(struct memory_disk *d, const char *name) {
    struct disk_node *f = memory_disk_find(d, name, "shard-00000-of-00001.rhs");
    struct disk_node *m = memory_disk_find(d, name, "MANIFEST.json");
    reseal_shard(f);
    reseal_manifest(m, f);
}
