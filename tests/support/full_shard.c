/* full_shard.c - see full_shard.h. */
#include "tests/support/full_shard.h"

#include <stdlib.h>
#include <string.h>

#include "common/err.h"
#include "common/hash.h"
#include "common/rng.h"
#include "ps/ckpt_folder.h"
#include "ps/ckpt_shard.h"
#include "ps/shard_inner.h"

/* Floats that are drawn once. LZ4 looks back 64 KiB and no further, so that rows copied out of them
 * have nothing in common for it. A prime, and so is no multiple of a row. */
enum { DRAWN = 1000003 };

static struct spec spec_of(uint64_t rows, uint32_t dim) {
    return (struct spec){.kind = SPEC_DENSE,
                         .dim = dim,
                         .rows = rows,
                         .init = SPEC_ZEROS,
                         .opt = SPEC_SPARSE_ADAM,
                         .opt_arg = {[ADAM_BETA1] = 0.9, [ADAM_BETA2] = 0.999, [ADAM_EPS] = 1e-8},
                         .lr = 0.001,
                         .padding_idx = SPEC_NO_PADDING};
}

/* n of the drawn floats, from *at on. */
static void next_floats(const float *drawn, size_t *at, float *out, uint32_t n) {
    if (*at + n > DRAWN)
        *at = *at + n - DRAWN; /* some other place, so that no two rounds are alike */
    memcpy(out, drawn + *at, n * sizeof *out);
    *at += n;
}

static rh_status fill(struct table *t, bool zeros) {
    struct store *s = &t->store;
    float *drawn = malloc(DRAWN * sizeof *drawn);
    rh_status st = drawn == NULL ? err_set(RH_ENOMEM, "no memory for random rows") : RH_OK;
    if (st == RH_OK)
        st = store_open_slots(s);
    struct rng g;
    rng_init(&g, 1, 0);
    for (size_t i = 0; st == RH_OK && i < DRAWN; i++)
        drawn[i] = rng_f32(&g) - 0.5f;
    size_t at = 0;
    for (uint64_t row = 0; st == RH_OK && row < s->rows; row++) {
        if (t->index.ops->id_of(&t->index, row) >= t->spec.rows)
            continue; /* the end of a slot that has an id less */
        store_touch(s, row);
        next_floats(drawn, &at, store_row(s, row), s->dim);
        if (zeros)
            memset(store_slot(s, row), 0, s->slot_dim * sizeof(float));
        else
            next_floats(drawn, &at, store_slot(s, row), s->slot_dim);
    }
    free(drawn);
    return st;
}

rh_status full_shard_empty(struct full_shard *out) {
    struct shard_config c;
    *out = (struct full_shard){0};
    shard_config_init(&c);
    memory_net_init(&out->net);
    rh_status st = shard_new(&c, &out->net.net, &out->shard);
    if (st != RH_OK)
        full_shard_free(out);
    return st;
}

rh_status full_shard_new(uint64_t rows, uint32_t dim, bool zeros, struct full_shard *out) {
    rh_status st = full_shard_empty(out);
    if (st != RH_OK)
        return st;
    const struct spec spec = spec_of(rows, dim);
    struct talker t;
    talker_init(&t, out->shard, &out->net, 0);
    if (talker_hello(&t, MODE_ASYNC, 1) != WIRE_WELCOME ||
        talker_open(&t, "t", &spec) != WIRE_OPENED)
        st = err_set(RH_EPROTO, "the shard does not open a table: %s", talker_refusal());
    if (st == RH_OK)
        st = fill(shard_table(out->shard, 1), zeros);
    if (st != RH_OK)
        full_shard_free(out);
    return st;
}

void full_shard_free(struct full_shard *f) {
    if (f->shard == NULL)
        return;
    shard_free(&f->shard);
    memory_net_fini(&f->net);
}

rh_status full_shard_save(const struct full_shard *f, struct ckpt_io *io, const char *name) {
    struct ckpt_manifest m;
    struct ckpt_fd folder;
    rh_status st = ckpt_shard_manifest(f->shard, &m);
    if (st != RH_OK)
        return st;
    m.generation = 1;
    st = ckpt_manifest_files(&m, 1);
    if (st == RH_OK)
        st = ckpt_begin(io, name, &folder);
    if (st == RH_OK) {
        st = ckpt_shard_write(f->shard, &folder, m.generation, &m.files[0]);
        if (st == RH_OK)
            st = ckpt_commit(io, name, &folder, &m);
        else
            ckpt_abandon(io, name, &folder);
    }
    ckpt_manifest_fini(&m);
    return st;
}

rh_status full_shard_restore(struct full_shard *f, struct ckpt_io *io, const char *name) {
    struct ckpt_manifest m;
    struct ckpt_fd folder;
    rh_status st = ckpt_open(io, name, &folder, &m);
    if (st != RH_OK)
        return st;
    st = ckpt_shard_restore(f->shard, &folder, &m, name);
    ckpt_manifest_fini(&m);
    ckpt_drop(&folder);
    return st;
}

uint64_t full_shard_digest(const struct full_shard *f) {
    const struct store *s = &shard_table(f->shard, 1)->store;
    uint64_t sum = s->n_touched;
    for (uint64_t row = 0; (row = store_next_touched(s, row)) != STORE_NONE; row++) {
        sum += hash64_seeded(store_row(s, row), s->dim * sizeof(float), row);
        sum += hash64_seeded(store_slot(s, row), s->slot_dim * sizeof(float), ~row);
    }
    return sum;
}
