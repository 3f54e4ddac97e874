/* journal_look.c - what of a shard's journal is there when a server starts: its segments, whether they are
 * this shard's, and from which of them the shard goes on. Changes nothing. */
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "common/err.h"
#include "ps/ckpt_folder.h"
#include "ps/journal_inner.h"

rh_status journal_is_committed(struct ckpt_io *io, const struct journal_head *h) {
    struct ckpt_fd folder;
    struct ckpt_manifest m;
    if (io == NULL)
        return err_set(RH_ENOTFOUND,
                       "this server has no folder for checkpoints (--checkpoint-dir)");
    rh_status st = ckpt_open(io, h->name, &folder, &m);
    if (st != RH_OK)
        return st;
    if (m.generation != h->generation)
        st = err_set(RH_ENOTFOUND,
                     "checkpoint \"%s\" in %s is of generation %" PRIu64 ", not %" PRIu64, h->name,
                     io->root, m.generation, h->generation);
    ckpt_manifest_fini(&m);
    ckpt_drop(&folder);
    return st;
}

/* ---- the files ---- */

struct finding {
    struct journal *j;
    rh_status status;
};

static int found(void *arg, const char *name) {
    struct finding *f = arg;
    struct journal *j = f->j;
    uint64_t number = journal_file_number(j->o.shard, j->o.shards, name);
    if (number == 0)
        return 0;
    struct journal_segment *p = realloc(j->segments, (j->n_segments + 1) * sizeof *p);
    if (p == NULL) {
        f->status = err_set(RH_ENOMEM, "no memory to look at the journal in %s", j->o.io->root);
        return 1;
    }
    j->segments = p;
    p[j->n_segments] = (struct journal_segment){.head.segment = number};
    memcpy(p[j->n_segments++].name, name, strlen(name) + 1);
    return 0;
}

static int by_number(const void *a, const void *b) {
    const struct journal_segment *x = a, *y = b;
    return x->head.segment < y->head.segment ? -1 : x->head.segment > y->head.segment;
}

static rh_status list(struct journal *j) {
    struct finding f = {.j = j};
    int is = j->o.io->ops->list(j->o.io, CKPT_ROOT, found, &f);
    if (f.status == RH_OK && is != 0)
        return err_set(RH_EIO, "the folder %s cannot be read", j->o.io->root);
    if (j->n_segments > 0)
        qsort(j->segments, j->n_segments, sizeof *j->segments, by_number);
    return f.status;
}

static rh_status read_head(struct journal *j, struct journal_segment *g) {
    struct journal_reader r;
    uint64_t number = g->head.segment;
    rh_status st = journal_reader_open(j->o.io, g->name, &r);
    if (st != RH_OK)
        return st;
    g->head = r.head;
    if (g->head.segment != number || g->head.shard != j->o.shard || g->head.shards != j->o.shards)
        st = err_set(RH_ECORRUPT, "%s is of another shard, or another part of its journal",
                     r.file.name);
    else if (g->head.job != j->o.job)
        st = err_set(RH_EMISMATCH,
                     "%s is of another job: give this one a folder of its own, or remove the "
                     "journal if that job is over",
                     r.file.name);
    journal_reader_close(&r);
    return st;
}

/* ---- the base ---- */

/* From the newest back to one that needs nothing of those before. */
static rh_status find_base(struct journal *j) {
    for (uint32_t i = j->n_segments; i-- > 0;) {
        struct journal_segment *g = &j->segments[i];
        rh_status st = read_head(j, g);
        if (st != RH_OK)
            return st;
        if (i + 1 < j->n_segments && g->head.segment + 1 != g[1].head.segment)
            return err_set(RH_ECORRUPT,
                           "part %" PRIu64 " of the journal of shard %" PRIu32 " is missing in %s",
                           g[1].head.segment - 1, j->o.shard, j->o.io->root);
        j->base = i;
        if (g->head.why == JOURNAL_BEGINS ||
            (g->head.why == JOURNAL_CUT && journal_is_committed(j->o.ckpt, &g->head) == RH_OK))
            return RH_OK;
    }
    if (j->n_segments == 0)
        return RH_OK;
    const struct journal_head *first = &j->segments[0].head;
    if (first->why == JOURNAL_CUT) {
        rh_status st = journal_is_committed(j->o.ckpt, first);
        return err_in(st == RH_OK ? RH_ECORRUPT : st,
                      "the journal of shard %" PRIu32 " goes on from checkpoint \"%s\"", j->o.shard,
                      first->name);
    }
    return err_set(RH_ECORRUPT,
                   "part %" PRIu64 " of the journal of shard %" PRIu32 " is missing in %s",
                   first->segment - 1, j->o.shard, j->o.io->root);
}

rh_status journal_open(const struct journal_options *o, struct journal **out) {
    struct journal *j = calloc(1, sizeof *j);
    if (j == NULL)
        return err_set(RH_ENOMEM, "no memory for the journal of shard %" PRIu32, o->shard);
    j->o = *o;
    j->notes.ops = &journal_notes;
    j->file.fd = -2;
    pthread_mutex_init(&j->lock, NULL);
    journal_net_init(j);
    rh_status st = list(j);
    if (st == RH_OK)
        st = find_base(j);
    if (st == RH_OK)
        *out = j;
    else
        journal_close(&j, false);
    return st;
}

bool journal_found(const struct journal *j) {
    return j->n_segments > 0;
}
