/* journal_write.c - what is added to a journal: records, segments, syncs. After a write or a sync that has
 * failed nothing more is added: nobody knows what is on the disk. */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/err.h"
#include "ps/journal_inner.h"

enum { SMALL_BYTES = 64 << 10 }; /* a record of at most so many is written in one piece */

/* ---- failures ---- */

rh_status journal_break(struct journal *j, rh_status st) {
    if (st != RH_OK && j->broken == RH_OK) {
        j->broken = RH_EIO;
        snprintf(j->text, sizeof j->text, "%s", err_text());
    }
    return st == RH_OK ? RH_OK : err_set(j->broken, "%s", j->text);
}

static rh_status check(struct journal *j) {
    if (j->broken == RH_OK && atomic_load(&j->failed))
        return journal_break(j, err_set(RH_EIO, "%s could not be synced", j->file.name));
    return j->broken == RH_OK ? RH_OK : err_set(j->broken, "%s", j->text);
}

/* ---- records ---- */

static rh_status write_record(struct journal *j, struct ckpt_fd *f, struct journal_record *r,
                              uint64_t seed, const void *p) {
    uint8_t head[JOURNAL_RECORD];
    if (j->small == NULL)
        j->small = malloc(SMALL_BYTES);
    if (j->small == NULL)
        return err_set(RH_ENOMEM, "no memory to write %s", f->name);
    journal_record_put(r, seed, p, head);
    if (sizeof head + r->len > SMALL_BYTES) {
        rh_status st = ckpt_write(f, head, sizeof head);
        return st == RH_OK ? ckpt_write(f, p, r->len) : st;
    }
    memcpy(j->small, head, sizeof head);
    if (r->len > 0)
        memcpy(j->small + sizeof head, p, r->len);
    return ckpt_write(f, j->small, sizeof head + r->len);
}

static struct journal_record record_of(const struct note *n, uint64_t number, uint64_t synced) {
    return (struct journal_record){.kind = n->kind,
                                   .len = (uint32_t)n->len,
                                   .number = number,
                                   .now_ms = n->now_ms,
                                   .synced = synced,
                                   .answered = n->answered};
}

static rh_status take(struct shard_notes *notes, const struct note *n) {
    struct journal *j = (struct journal *)notes;
    rh_status st = check(j);
    if (st != RH_OK)
        return st;
    struct journal_record r = record_of(n, j->number, atomic_load(&j->synced));
    st = write_record(j, &j->file, &r, j->head.sum, n->p);
    if (st != RH_OK)
        return journal_break(j, st);
    j->number++;
    j->written += JOURNAL_RECORD + r.len;
    atomic_store(&j->landed, j->written);
    return RH_OK;
}

/* ---- syncs ---- */

/* With the lock. */
static rh_status sync_now(struct journal *j) {
    const uint64_t landed = atomic_load(&j->landed);
    if (atomic_load(&j->failed))
        return err_set(RH_EIO, "%s could not be synced", j->file.name);
    if (j->file.fd < 0 || atomic_load(&j->synced) >= landed)
        return RH_OK;
    rh_status st = ckpt_sync(&j->file);
    if (st == RH_OK)
        atomic_store(&j->synced, landed);
    else
        atomic_store(&j->failed, true);
    return st;
}

rh_status journal_sync(struct journal *j) {
    pthread_mutex_lock(&j->lock);
    rh_status st = sync_now(j);
    pthread_mutex_unlock(&j->lock);
    return st;
}

/* ---- segments ---- */

static rh_status sync_root(struct journal *j) {
    struct ckpt_fd root = {.io = j->o.io, .fd = CKPT_ROOT};
    snprintf(root.name, sizeof root.name, "%s", j->o.io->root);
    return ckpt_sync(&root);
}

static rh_status rename_to(struct journal *j, const char *from, const char *to) {
    int is = j->o.io->ops->rename(j->o.io, CKPT_ROOT, from, to, false);
    return is == 0 ? RH_OK : err_set(RH_EIO, "cannot rename %s/%s to %s", j->o.io->root, from, to);
}

/* What it begins with, so that it has all of it as soon as it has its name. */
static rh_status write_beginning(struct journal *j, struct ckpt_fd *f, struct journal_head *h,
                                 const struct note *state, uint64_t *bytes) {
    uint8_t head[JOURNAL_HEAD];
    journal_head_put(h, head);
    *bytes = sizeof head;
    rh_status st = ckpt_write(f, head, sizeof head);
    if (st == RH_OK && state != NULL) {
        struct journal_record r = record_of(state, 0, 0);
        st = write_record(j, f, &r, h->sum, state->p);
        *bytes += JOURNAL_RECORD + r.len;
    }
    return st == RH_OK ? ckpt_sync(f) : st;
}

/* Appears whole, and stays: only then is anything taken into it. */
static rh_status create(struct journal *j, struct journal_head *h, const struct note *state,
                        struct ckpt_fd *out, uint64_t *bytes) {
    char name[JOURNAL_NAME], tmp[JOURNAL_NAME + 4];
    struct ckpt_fd root = {.io = j->o.io, .fd = CKPT_ROOT}, f;
    snprintf(root.name, sizeof root.name, "%s", j->o.io->root);
    journal_file_name(j->o.shard, j->o.shards, h->segment, name);
    snprintf(tmp, sizeof tmp, "%s.tmp", name);
    (void)j->o.io->ops->remove(j->o.io, CKPT_ROOT, tmp, false); /* of a life that died here */
    rh_status st = ckpt_open_file(&root, tmp, CKPT_CREATE, &f);
    if (st != RH_OK)
        return st;
    st = write_beginning(j, &f, h, state, bytes);
    if (st == RH_OK)
        st = rename_to(j, tmp, name);
    if (st == RH_OK)
        st = sync_root(j);
    if (st != RH_OK) {
        ckpt_drop(&f);
        return st;
    }
    f.name[strlen(f.name) - strlen(".tmp")] = '\0';
    *out = f;
    return RH_OK;
}

rh_status journal_segment_begin(struct journal *j, const struct journal_head *as,
                                const struct note *state) {
    struct journal_head h = *as;
    struct ckpt_fd f;
    uint64_t bytes = 0;
    h.shard = j->o.shard;
    h.shards = j->o.shards;
    h.job = j->o.job;
    h.sync = j->o.mode;
    h.boot = j->o.boot;
    pthread_mutex_lock(&j->lock);
    rh_status st = sync_now(j); /* that many bytes of it are promised by the next one */
    if (st == RH_OK)
        st = create(j, &h, state, &f, &bytes);
    if (st == RH_OK) {
        ckpt_drop(&j->file);
        j->file = f;
        j->head = h;
        j->number = state != NULL;
        j->written = bytes;
        atomic_store(&j->landed, bytes);
        atomic_store(&j->synced, bytes);
    }
    pthread_mutex_unlock(&j->lock);
    return journal_break(j, st);
}

void journal_remove_before(struct journal *j, uint64_t segment) {
    for (; j->first_kept < segment; j->first_kept++) {
        char name[JOURNAL_NAME];
        journal_file_name(j->o.shard, j->o.shards, j->first_kept, name);
        /* What stays costs room alone, and goes at the next start. */
        (void)j->o.io->ops->remove(j->o.io, CKPT_ROOT, name, false);
    }
}

/* Once the checkpoint of the last cut is whole, what was before that cut is needed no more. */
static void compact(struct journal *j) {
    if (j->last_cut.why == 0 || journal_is_committed(j->o.ckpt, &j->last_cut) != RH_OK)
        return;
    journal_remove_before(j, j->last_cut.segment);
    j->last_cut.why = 0;
}

static rh_status begin(struct shard_notes *notes, const struct note_base *b) {
    struct journal *j = (struct journal *)notes;
    struct journal_head h = {.incarnation = b->incarnation,
                             .segment = j->head.segment + 1,
                             .before_bytes = j->written,
                             .generation = b->generation,
                             .why = b->cut ? JOURNAL_CUT : JOURNAL_BEGINS};
    snprintf(h.name, sizeof h.name, "%s", b->name);
    rh_status st = check(j);
    if (st == RH_OK && b->cut)
        compact(j);
    if (st == RH_OK)
        st = journal_segment_begin(j, &h, &b->state);
    if (st != RH_OK)
        return st;
    if (!b->cut)
        journal_remove_before(j, h.segment);
    j->last_cut = b->cut ? j->head : (struct journal_head){0};
    return RH_OK;
}

const struct shard_notes_ops journal_notes = {.take = take, .begin = begin};

/* ---- the end ---- */

static void remove_all(struct journal *j) {
    journal_remove_before(j, j->head.segment + 1);
    rh_status ignored = sync_root(j); /* if they come back, they are of a job that is over */
    (void)ignored;
}

void journal_close(struct journal **out, bool finished) {
    struct journal *j = *out;
    if (j == NULL)
        return;
    if (j->file.fd >= 0 && finished) {
        remove_all(j);
    } else if (j->file.fd >= 0) {
        const struct note end = {.kind = NOTE_END};
        rh_status ignored = take(&j->notes, &end);
        ignored = journal_sync(j);
        (void)ignored;
    }
    ckpt_drop(&j->file);
    journal_net_fini(j);
    pthread_mutex_destroy(&j->lock);
    free(j->segments);
    free(j->small);
    free(j);
    *out = NULL;
}
