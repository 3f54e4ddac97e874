/* source.c - see source.h. The kernel itself keeps a path beneath the directory (openat2), so that
 * nobody can change a link between a look at it and its use. */
#include "ps/source.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/openat2.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "common/err.h"

/* A vocabulary is read in one go; of this size in a second or two. */
enum { VOCAB_MAX = 64 << 20, OPEN_FLAGS = O_RDONLY | O_CLOEXEC | O_NONBLOCK };

struct directory {
    struct source source; /* first */
    int fd;               /* -1: none, and any path will do */
};

/* ---- opening ---- */

static bool goes_up(const char *path) {
    for (const char *at = path; at != NULL; at = strchr(at, '/')) {
        at += *at == '/';
        if (strncmp(at, "..", 2) == 0 && (at[2] == '/' || at[2] == '\0'))
            return true;
    }
    return false;
}

static rh_status open_beneath(const struct directory *d, const char *path, int *fd) {
    if (path[0] == '/' || goes_up(path))
        return err_set(RH_EINVAL,
                       "%s: the servers open files beneath their --data-dir alone: give a relative "
                       "path without \"..\"",
                       path);
    const struct open_how how = {.flags = OPEN_FLAGS,
                                 .resolve = RESOLVE_BENEATH | RESOLVE_NO_MAGICLINKS};
    *fd = (int)syscall(SYS_openat2, d->fd, path, &how, sizeof how);
    if (*fd >= 0)
        return RH_OK;
    if (errno == EXDEV)
        return err_set(RH_EINVAL, "%s leads out of the server's --data-dir", path);
    if (errno == ENOSYS)
        return err_set(RH_EIO,
                       "%s: this server's kernel cannot open files beneath a directory "
                       "(openat2, Linux 5.6): load with source = client",
                       path);
    return err_sys(errno == ENOENT ? RH_ENOTFOUND : RH_EIO, "cannot open %s beneath --data-dir",
                   path);
}

static rh_status open_path(const struct directory *d, const char *path, int *fd) {
    if (d->fd >= 0)
        return open_beneath(d, path, fd);
    *fd = open(path, OPEN_FLAGS);
    return *fd >= 0 ? RH_OK
                    : err_sys(errno == ENOENT ? RH_ENOTFOUND : RH_EIO, "cannot open %s", path);
}

static rh_status open_vocab(const struct directory *d, const char *path, struct vocab_file **out) {
    int fd;
    struct stat st;
    rh_status s = open_path(d, path, &fd);
    if (s != RH_OK)
        return s;
    if (fstat(fd, &st) == 0 && st.st_size > VOCAB_MAX) {
        close(fd);
        return err_set(RH_ELIMIT,
                       "%s: a vocabulary of %lld bytes; a shard reads up to %d: load with source = "
                       "client",
                       path, (long long)st.st_size, VOCAB_MAX);
    }
    return vocab_file_adopt(fd, path, out);
}

static rh_status file_open(struct source *s, const struct source_want *w, void **out) {
    const struct directory *d = (struct directory *)s;
    const struct vec_options o = {.format = w->format, .tensor = w->tensor};
    struct vec_reader *r = NULL;
    struct vocab_file *v = NULL;
    struct vecload *l;
    int fd;
    rh_status st = open_path(d, w->path, &fd);
    if (st == RH_OK)
        st = vec_adopt(fd, w->path, &o, &r);
    if (st == RH_OK && w->vocab != NULL)
        st = open_vocab(d, w->vocab, &v);
    if (st != RH_OK) {
        vec_close(&r);
        return st;
    }
    st = vecload_new(&w->table, r, v, &l);
    if (st != RH_OK)
        return st;
    vecload_sum(l);
    *out = l;
    return RH_OK;
}

/* ---- reading ---- */

static rh_status file_next(void *file, struct vecload_slice *out) {
    return vecload_next(file, out);
}

static void file_conclude(const void *file, struct source_end *out) {
    vecload_digests(file, &out->digest, &out->vocab_digest);
    vecload_report(file, &out->report);
}

static void file_progress(const void *file, uint64_t *done_bytes, uint64_t *total_bytes) {
    vecload_progress(file, done_bytes, total_bytes);
}

static void file_close(void *file) {
    struct vecload *l = file;
    vecload_free(&l);
}

static const struct source_ops file_ops = {
    .open = file_open,
    .next = file_next,
    .conclude = file_conclude,
    .progress = file_progress,
    .close = file_close,
};

/* ---- the two sources ---- */

rh_status source_beneath(const char *dir, struct source **out) {
    struct directory *d = malloc(sizeof *d);
    if (d == NULL)
        return err_set(RH_ENOMEM, "no memory for --data-dir %s", dir);
    *d = (struct directory){.source.ops = &file_ops};
    d->fd = open(dir, O_PATH | O_DIRECTORY | O_CLOEXEC);
    if (d->fd < 0) {
        free(d);
        return err_sys(RH_EINVAL, "--data-dir %s is no directory that can be opened", dir);
    }
    *out = &d->source;
    return RH_OK;
}

void source_free(struct source **s) {
    struct directory *d = (struct directory *)*s;
    *s = NULL;
    if (d == NULL)
        return;
    close(d->fd);
    free(d);
}

struct source *source_anywhere(void) {
    static struct directory anywhere = {.source.ops = &file_ops, .fd = -1};
    return &anywhere.source;
}
