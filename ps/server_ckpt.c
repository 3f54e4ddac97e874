/* server_ckpt.c - see server_ckpt.h. */
#include "ps/server_ckpt.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/clock.h"
#include "common/err.h"
#include "common/failpoint.h"
#include "common/log.h"
#include "ps/ckpt_folder.h"
#include "ps/ckpt_shard.h"

#define LATEST "latest"

/* ---- the folder ---- */

static rh_status check(const struct server_ckpt *k) {
    if (k->restore == NULL && k->read_only)
        return err_set(RH_EINVAL, "--read-only serves a checkpoint and takes nothing: which one? "
                                  "Give --restore NAME or --restore latest");
    if (k->restore != NULL && k->dir == NULL)
        return err_set(RH_EINVAL, "--restore %s: where from? Give --checkpoint-dir DIR",
                       k->restore);
    rh_status st = k->restore == NULL ? RH_OK : ckpt_check_name(k->restore);
    return st == RH_OK ? st : err_in(st, "--restore");
}

rh_status server_ckpt_open(const struct server_ckpt *k, struct ckpt_io **out) {
    *out = NULL;
    rh_status st = check(k);
    if (st != RH_OK || k->dir == NULL)
        return st;
    if (k->restore == NULL && mkdir(k->dir, 0700) != 0 && errno != EEXIST)
        return err_sys(RH_EINVAL, "--checkpoint-dir %s is not there, and cannot be made", k->dir);
    st = ckpt_io_beneath(k->dir, out);
    if (st != RH_OK)
        return err_in(st, "--checkpoint-dir");
    if (!k->read_only && faccessat(AT_FDCWD, k->dir, W_OK | X_OK, AT_EACCESS) != 0) {
        st = err_sys(RH_EINVAL, "--checkpoint-dir %s: this process cannot write there", k->dir);
        ckpt_io_free(out);
    }
    return st;
}

void server_ckpt_clean(struct ckpt_io *io) {
    uint32_t removed = 0;
    if (ckpt_clean(io, &removed) != RH_OK)
        log_warn("cannot look for leftovers of checkpoints: %s", err_text());
    else if (removed > 0)
        log_info("removed %" PRIu32 " unfinished checkpoint%s of dead attempts from %s", removed,
                 removed == 1 ? "" : "s", io->root);
}

uint64_t server_ckpt_generation(struct ckpt_io *io) {
    uint64_t next = 1;
    rh_status ignored =
        ckpt_newest(io, NULL, &next); /* who needs one of them is told of those that are damaged */
    (void)ignored;
    return next - 1;
}

void server_ckpt_rejoin(const struct server_ckpt *k, uint64_t generation, struct shard_config *c) {
    if (k->read_only)
        return;
    c->rejoins = true;
    /* What began with the newest goes back to the newest, whoever has saved it. */
    bool newest = k->restore != NULL && strcmp(k->restore, LATEST) == 0;
    c->rejoin_generation = newest ? 0 : generation;
    c->began_with = newest ? NULL : k->restore;
}

/* ---- restoring ---- */

/* One shard, in a thread of its own. */
struct filling {
    pthread_t thread;
    struct shard *shard;
    const struct ckpt_fd *folder;
    const struct ckpt_manifest *m;
    const char *name;
    rh_status status;
    char text[ERR_TEXT_MAX]; /* of this thread's err_text */
};

static void *fill(void *arg) {
    struct filling *f = arg;
    FAILPOINT("load.before");
    f->status = ckpt_shard_restore(f->shard, f->folder, f->m, f->name);
    if (f->status != RH_OK)
        memcpy(f->text, err_text(), strlen(err_text()) + 1);
    return NULL;
}

/* what: all that the shards have in common. */
static rh_status fill_all(const struct filling *what, struct server *s, uint32_t n) {
    struct filling *all = calloc(n, sizeof *all);
    uint32_t begun = 0;
    rh_status st = RH_OK;
    if (all == NULL)
        return err_set(RH_ENOMEM, "no memory to restore %" PRIu32 " shards", n);
    for (; st == RH_OK && begun < n; begun += st == RH_OK) {
        all[begun] = *what;
        all[begun].shard = server_shard(s, begun);
        int e = pthread_create(&all[begun].thread, NULL, fill, &all[begun]);
        if (e != 0)
            st = err_set(RH_ENOMEM, "cannot start a thread to restore a shard: %s", strerror(e));
    }
    for (uint32_t i = 0; i < begun; i++) {
        pthread_join(all[i].thread, NULL);
        if (st == RH_OK && all[i].status != RH_OK)
            st = err_set(all[i].status, "%s", all[i].text);
    }
    free(all);
    return st;
}

static uint64_t rows_of(const struct ckpt_manifest *m) {
    uint64_t rows = 0;
    for (uint32_t i = 0; i < m->shards; i++)
        rows += m->files[i].rows;
    return rows;
}

static rh_status restore(struct ckpt_io *io, const char *name, struct server *s, uint32_t n) {
    int64_t began_ms = clock_now_ms();
    struct ckpt_manifest m = {0};
    struct ckpt_fd folder = {.fd = -2};
    rh_status st = ckpt_open(io, name, &folder, &m);
    if (st != RH_OK)
        return st;
    const struct filling what = {.folder = &folder, .m = &m, .name = name};
    st = fill_all(&what, s, n);
    if (st == RH_OK)
        log_info("restored checkpoint %s of %s (generation %" PRIu64 ", clock %" PRIu64 ", %" PRIu64
                 " rows in %" PRIu32 " file%s) onto %" PRIu32 " shard%s here, %.1f s",
                 name, io->root, m.generation, m.clock, rows_of(&m), m.shards,
                 m.shards == 1 ? "" : "s", n, n == 1 ? "" : "s",
                 (double)(clock_now_ms() - began_ms) / 1000);
    ckpt_manifest_fini(&m);
    ckpt_drop(&folder);
    return st;
}

rh_status server_ckpt_restore(const struct server_ckpt *k, struct ckpt_io *io, struct server *s,
                              uint32_t n) {
    char newest[CKPT_NAME_MAX + 1];
    const char *name = k->restore;
    uint64_t next;
    rh_status st = RH_OK;
    if (strcmp(name, LATEST) == 0) {
        st = ckpt_newest(io, newest, &next);
        name = newest;
    }
    if (st == RH_OK)
        st = restore(io, name, s, n);
    return st == RH_OK ? st : err_in(st, "--restore %s", k->restore);
}
