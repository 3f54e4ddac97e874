/* ckpt_folder.c - see ckpt_folder.h. */
#include "ps/ckpt_folder.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/err.h"
#include "common/failpoint.h"

#define MANIFEST     "MANIFEST.json"
#define MANIFEST_TMP "MANIFEST.json.tmp"
enum { TMP_NAME = CKPT_NAME_MAX + 8 };

static void tmp_name(const char *name, char out[TMP_NAME]) {
    snprintf(out, TMP_NAME, ".%.*s.tmp", CKPT_NAME_MAX, name);
}

/* Is it a leftover? */
static bool is_tmp(const char *entry) {
    size_t n = strlen(entry);
    char name[CKPT_NAME_MAX + 1];
    if (n < 6 || n > CKPT_NAME_MAX + 5 || entry[0] != '.' || strcmp(entry + n - 4, ".tmp") != 0)
        return false;
    memcpy(name, entry + 1, n - 5);
    name[n - 5] = '\0';
    rh_status st = ckpt_check_name(name);
    return st == RH_OK;
}

static struct ckpt_fd root_of(struct ckpt_io *io) {
    struct ckpt_fd root = {.io = io, .fd = CKPT_ROOT};
    snprintf(root.name, sizeof root.name, "%s", io->root);
    return root;
}

/* ---- names in folders ---- */

struct names {
    char (*of)[128];
    uint32_t n, cap;
};

static int take_name(void *arg, const char *name) {
    struct names *l = arg;
    if (strlen(name) >= sizeof *l->of)
        return 0; /* none of ours */
    if (l->n == l->cap) {
        uint32_t cap = l->cap == 0 ? 64 : 2 * l->cap;
        char(*of)[128] = realloc(l->of, cap * sizeof *of);
        if (of == NULL)
            return -ENOMEM;
        l->of = of;
        l->cap = cap;
    }
    strcpy(l->of[l->n++], name);
    return 0;
}

static int names_in(struct ckpt_io *io, int dir, struct names *l) {
    *l = (struct names){0};
    int is = io->ops->list(io, dir, take_name, l);
    if (is < 0) {
        free(l->of);
        *l = (struct names){0};
    }
    return is;
}

static rh_status names_in_root(struct ckpt_io *io, struct names *l) {
    int is = names_in(io, CKPT_ROOT, l);
    if (is == 0)
        return RH_OK;
    errno = -is;
    return err_sys(RH_EIO, "cannot list %s", io->root);
}

static bool is_ours(const char *file) {
    unsigned a, b;
    char rest;
    return strcmp(file, MANIFEST) == 0 || strcmp(file, MANIFEST_TMP) == 0 ||
           (sscanf(file, "shard-%5u-of-%5u.rh%c", &a, &b, &rest) == 3 && rest == 's');
}

/* Removes a leftover with the files in it; foreign ones stay, and so does the folder then. */
static bool remove_tmp(struct ckpt_io *io, const char *tmp) {
    int dir = io->ops->open(io, CKPT_ROOT, tmp, CKPT_FOLDER);
    if (dir == -ENOENT)
        return true;
    struct names l;
    if (dir < 0 || names_in(io, dir, &l) != 0) {
        if (dir >= 0)
            (void)io->ops->close(io, dir);
        return false;
    }
    for (uint32_t i = 0; i < l.n; i++)
        if (is_ours(l.of[i]))
            (void)io->ops->remove(io, dir, l.of[i], false);
    free(l.of);
    (void)io->ops->close(io, dir);
    return io->ops->remove(io, CKPT_ROOT, tmp, true) == 0;
}

/* What stands under a leftover's name may be what a checkpoint is, until the exchange of the two is on
 * the disk: so this comes before it is removed. */
static rh_status sync_root(struct ckpt_io *io) {
    struct ckpt_fd root = root_of(io);
    return ckpt_sync(&root);
}

/* ---- an attempt ---- */

rh_status ckpt_begin(struct ckpt_io *io, const char *name, struct ckpt_fd *folder) {
    char tmp[TMP_NAME];
    rh_status st = ckpt_check_name(name);
    if (st != RH_OK)
        return st;
    tmp_name(name, tmp);
    int is = io->ops->mkdir(io, tmp);
    if (is == -EEXIST) {
        st = sync_root(io);
        if (st != RH_OK)
            return st;
        (void)remove_tmp(io, tmp);
        is = io->ops->mkdir(io, tmp);
    }
    if (is < 0) {
        errno = -is;
        return err_sys(RH_EIO, "cannot make the folder %s/%s", io->root, tmp);
    }
    st = ckpt_open_folder(io, tmp, folder);
    if (st != RH_OK)
        (void)remove_tmp(io, tmp);
    return st;
}

rh_status ckpt_join(struct ckpt_io *io, const char *name, struct ckpt_fd *folder) {
    char tmp[TMP_NAME];
    rh_status st = ckpt_check_name(name);
    tmp_name(name, tmp);
    return st == RH_OK ? ckpt_open_folder(io, tmp, folder) : st;
}

void ckpt_abandon(struct ckpt_io *io, const char *name, struct ckpt_fd *folder) {
    char tmp[TMP_NAME];
    tmp_name(name, tmp);
    ckpt_drop(folder);
    (void)remove_tmp(io, tmp);
}

static rh_status write_manifest(struct ckpt_fd *folder, const struct buf *text) {
    struct ckpt_fd f = {.fd = -2};
    rh_status st = FAILPOINT_STATUS("manifest.before");
    if (st == RH_OK)
        st = ckpt_open_file(folder, MANIFEST_TMP, CKPT_CREATE, &f);
    if (st != RH_OK)
        return st;
    st = ckpt_write(&f, text->p, text->len);
    if (st == RH_OK)
        st = ckpt_sync(&f);
    if (st == RH_OK)
        st = ckpt_close(&f);
    ckpt_drop(&f);
    if (st != RH_OK)
        return st;
    struct ckpt_io *io = folder->io;
    int is = io->ops->rename(io, folder->fd, MANIFEST_TMP, MANIFEST, false);
    if (is < 0) {
        errno = -is;
        return err_sys(RH_EIO, "cannot rename %s/%s", folder->name, MANIFEST_TMP);
    }
    FAILPOINT("manifest.after");
    return ckpt_sync(folder);
}

/* *exchanged: what stood there is the leftover now. */
static rh_status put_in_place(struct ckpt_io *io, const char *name, bool *exchanged) {
    char tmp[TMP_NAME];
    tmp_name(name, tmp);
    int there = io->ops->open(io, CKPT_ROOT, name, CKPT_FOLDER);
    if (there >= 0)
        (void)io->ops->close(io, there);
    else if (there != -ENOENT) {
        errno = -there;
        return err_sys(RH_EIO, "%s/%s cannot be replaced", io->root, name);
    }
    *exchanged = there >= 0;
    FAILPOINT("place.before");
    int is = io->ops->rename(io, CKPT_ROOT, tmp, name, *exchanged);
    FAILPOINT("place.after");
    if (is == 0)
        return RH_OK;
    errno = -is;
    if (*exchanged && (is == -EINVAL || is == -ENOSYS))
        return err_set(RH_EIO,
                       "%s/%s is there, and this file system cannot exchange two folders in one "
                       "step: save under a new name",
                       io->root, name);
    return err_sys(RH_EIO, "cannot rename %s/%s to %s", io->root, tmp, name);
}

rh_status ckpt_commit(struct ckpt_io *io, const char *name, struct ckpt_fd *folder,
                      const struct ckpt_manifest *m) {
    struct buf text;
    bool exchanged = false;
    buf_init(&text, CKPT_MANIFEST_MAX + 1);
    rh_status st = ckpt_manifest_put(m, &text);
    if (st == RH_OK)
        st = write_manifest(folder, &text);
    buf_fini(&text);
    if (st == RH_OK)
        st = put_in_place(io, name, &exchanged);
    if (st != RH_OK) {
        ckpt_abandon(io, name, folder);
        return st;
    }
    ckpt_drop(folder);
    st = sync_root(io);
    if (st != RH_OK)
        return err_in(st, "checkpoint \"%s\" is there, but may not survive a crash", name);
    char tmp[TMP_NAME];
    tmp_name(name, tmp);
    FAILPOINT("place.synced");
    if (exchanged)
        (void)remove_tmp(io, tmp);
    return RH_OK;
}

rh_status ckpt_clean(struct ckpt_io *io, uint32_t *removed) {
    struct names l;
    uint32_t n = 0;
    bool synced = false;
    rh_status st = names_in_root(io, &l);
    for (uint32_t i = 0; st == RH_OK && i < l.n; i++) {
        if (!is_tmp(l.of[i]))
            continue;
        if (!synced)
            st = sync_root(io);
        synced = true;
        if (st == RH_OK)
            n += remove_tmp(io, l.of[i]);
    }
    if (l.of != NULL)
        free(l.of);
    if (removed != NULL)
        *removed = n;
    return st;
}

/* ---- what is there ---- */

static rh_status read_manifest(const struct ckpt_fd *folder, struct ckpt_manifest *m) {
    struct ckpt_fd f = {.fd = -2};
    uint64_t bytes = 0;
    rh_status st = ckpt_open_file(folder, MANIFEST, CKPT_READ, &f);
    if (st == RH_ENOTFOUND)
        return err_in(st, "%s is no checkpoint", folder->name);
    if (st == RH_OK)
        st = ckpt_size(&f, &bytes);
    if (st == RH_OK && bytes > CKPT_MANIFEST_MAX)
        st = err_set(RH_ECORRUPT, "%s has %" PRIu64 " bytes, of at most %d", f.name, bytes,
                     CKPT_MANIFEST_MAX);
    uint8_t *p = st == RH_OK ? malloc(bytes + 1) : NULL;
    if (st == RH_OK && p == NULL)
        st = err_set(RH_ENOMEM, "no memory for %s", f.name);
    if (st == RH_OK)
        st = ckpt_read(&f, p, bytes, 0);
    if (st == RH_OK)
        st = ckpt_manifest_get(p, bytes, f.name, m);
    free(p);
    ckpt_drop(&f);
    return st;
}

rh_status ckpt_open(struct ckpt_io *io, const char *name, struct ckpt_fd *folder,
                    struct ckpt_manifest *m) {
    rh_status st = ckpt_check_name(name);
    if (st == RH_OK)
        st = ckpt_open_folder(io, name, folder);
    if (st == RH_ENOTFOUND)
        return err_set(RH_ENOTFOUND, "there is no checkpoint \"%s\" in %s", name, io->root);
    if (st != RH_OK)
        return st;
    st = read_manifest(folder, m);
    if (st != RH_OK)
        ckpt_drop(folder);
    return st;
}

static void look_at(struct ckpt_io *io, const char *name, struct ckpt_seen *out) {
    struct ckpt_fd folder;
    struct ckpt_manifest m;
    *out = (struct ckpt_seen){0};
    memcpy(out->name, name, strlen(name) + 1);
    out->status = ckpt_open(io, name, &folder, &m);
    if (out->status != RH_OK)
        return;
    out->generation = m.generation;
    out->saved_unix_ms = m.saved_unix_ms;
    out->clock = m.clock;
    out->shards = m.shards;
    out->tables = m.n_tables;
    for (uint32_t i = 0; i < m.shards; i++) {
        out->rows += m.files[i].rows;
        out->bytes += m.files[i].bytes;
    }
    ckpt_manifest_fini(&m);
    ckpt_drop(&folder);
}

static int newest_first(const void *a, const void *b) {
    const struct ckpt_seen *x = a, *y = b;
    if (x->generation != y->generation)
        return x->generation < y->generation ? 1 : -1;
    return strcmp(x->name, y->name);
}

rh_status ckpt_list(struct ckpt_io *io, struct ckpt_seen **out, uint32_t *n) {
    struct names l;
    rh_status st = names_in_root(io, &l);
    if (st != RH_OK)
        return st;
    struct ckpt_seen *all = calloc(l.n + 1, sizeof *all);
    if (all == NULL) {
        free(l.of);
        return err_set(RH_ENOMEM, "no memory for a list of %s", io->root);
    }
    uint32_t k = 0;
    for (uint32_t i = 0; i < l.n; i++) {
        int dir = ckpt_check_name(l.of[i]) == RH_OK
                      ? io->ops->open(io, CKPT_ROOT, l.of[i], CKPT_FOLDER)
                      : -1;
        if (dir < 0)
            continue;
        (void)io->ops->close(io, dir);
        look_at(io, l.of[i], &all[k++]);
    }
    free(l.of);
    qsort(all, k, sizeof *all, newest_first);
    *out = all;
    *n = k;
    return RH_OK;
}

rh_status ckpt_newest(struct ckpt_io *io, char out[CKPT_NAME_MAX + 1], uint64_t *next) {
    struct ckpt_seen *all;
    uint32_t n;
    rh_status st = ckpt_list(io, &all, &n);
    if (st != RH_OK)
        return st;
    *next = 1;
    if (n > 0)
        *next = all[0].generation + 1;
    for (uint32_t i = 0; st == RH_OK && i < n; i++)
        if (all[i].status != RH_OK && all[i].status != RH_ENOTFOUND)
            st = err_set(all[i].status,
                         "checkpoint \"%s\" in %s cannot be read: name the one that "
                         "you mean",
                         all[i].name, io->root);
    bool none = n == 0 || all[0].status != RH_OK;
    if (st == RH_OK && none)
        st = err_set(RH_ENOTFOUND, "there is no checkpoint in %s", io->root);
    if (st == RH_OK && out != NULL)
        memcpy(out, all[0].name, sizeof all[0].name);
    free(all);
    return st;
}
