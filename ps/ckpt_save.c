/* ckpt_save.c - a shard that stands still, to a manifest and a file. See ckpt_shard.h. */
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "common/err.h"
#include "ps/ckpt_shard.h"
#include "ps/shard_inner.h"

/* ---- the manifest ---- */

static struct ckpt_table table_of(const struct shard *s, const struct table *t, bool dropped) {
    struct ckpt_table out = {.number = t->number, .spec = t->spec, .dropped_by = CKPT_NOT_DROPPED};
    memcpy(out.name, t->name, sizeof out.name);
    if (dropped) {
        out.dropped_by = t->dropped_by;
        return out;
    }
    out.steps = s->steps[t->number - 1];
    out.renewed = t->renewed;
    return out;
}

static rh_status put_tables(const struct shard *s, struct ckpt_manifest *m) {
    m->tables = calloc(s->n_tables + 1, sizeof *m->tables);
    if (m->tables == NULL)
        return err_set(RH_ENOMEM, "no memory for a manifest");
    m->n_tables = s->n_tables;
    for (uint32_t i = 0; i < s->n_tables; i++) {
        const struct table *t = s->tables[i] != NULL ? s->tables[i] : s->dropped[i];
        if (t == NULL)
            return err_set(RH_EINVAL,
                           "shard %" PRIu32 " has not heard of table number %" PRIu32
                           " yet: this is no moment for a checkpoint",
                           s->cfg.shard, i + 1);
        m->tables[i] = table_of(s, t, s->tables[i] == NULL);
    }
    return RH_OK;
}

/* Of tables that were dropped, shards may know different counts; nobody asks for them. */
static rh_status put_counts(const struct shard *s, const struct session *w,
                            struct ckpt_worker *out) {
    out->counts = calloc(s->n_tables + 1, sizeof *out->counts);
    if (out->counts == NULL)
        return err_set(RH_ENOMEM, "no memory for a manifest");
    for (uint32_t number = 1; number <= s->n_tables && number < w->n_counts; number++) {
        const struct push_count *c = &w->counts[number];
        if (s->tables[number - 1] == NULL || (c->pushes == 0 && c->base == 0))
            continue;
        out->counts[out->n_counts++] = (struct ckpt_count){number, c->pushes, c->base};
    }
    return RH_OK;
}

static rh_status put_worker(const struct shard *s, const struct session *w,
                            struct ckpt_worker *out) {
    if (w->held.n > 0)
        return err_set(RH_EINVAL,
                       "worker %" PRIu32 " is in clock %" PRIu32
                       ", which is not closed: this is no moment for a checkpoint",
                       w->rank, w->held.first->head.num.clock);
    *out = (struct ckpt_worker){.rank = w->rank,
                                .incarnation = w->inc,
                                .clock = w->ended,
                                .taken = w->taken,
                                .left = w->state == SESSION_GONE,
                                .floor = w->floor};
    return put_counts(s, w, out);
}

static rh_status put_workers(const struct shard *s, struct ckpt_manifest *m) {
    m->workers = calloc(s->n_sessions + 1, sizeof *m->workers);
    if (m->workers == NULL)
        return err_set(RH_ENOMEM, "no memory for a manifest");
    rh_status st = RH_OK;
    for (uint32_t rank = 0; st == RH_OK && rank < s->n_sessions; rank++)
        if (s->sessions[rank] != NULL)
            st = put_worker(s, s->sessions[rank], &m->workers[m->n_workers++]);
    return st;
}

rh_status ckpt_shard_manifest(const struct shard *s, struct ckpt_manifest *out) {
    struct ckpt_manifest m = {
        .job = s->cfg.job, .clock = s->closed, .mode = s->mode, .world = s->world};
    rh_status st = s->broken == RH_OK ? RH_OK : err_set(s->broken, "%s", s->broken_text);
    if (st == RH_OK)
        st = put_tables(s, &m);
    if (st == RH_OK)
        st = put_workers(s, &m);
    if (st == RH_OK)
        *out = m;
    else
        ckpt_manifest_fini(&m);
    return st;
}

/* ---- the file ---- */

rh_status ckpt_shard_write(struct shard *s, const struct ckpt_fd *folder, uint64_t generation,
                           struct ckpt_file *out) {
    struct ckpt_cut *c = NULL;
    rh_status st = ckpt_cut_take(s, &c);
    if (st == RH_OK)
        st = ckpt_cut_write(c, folder, generation, out);
    ckpt_cut_free(&c);
    return st;
}
