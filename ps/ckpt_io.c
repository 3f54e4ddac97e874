/* ckpt_io.c - see ckpt_io.h: the calls with their texts, above any ops table. */
#include "ps/ckpt_io.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "common/err.h"

static rh_status failed(int64_t is, const char *step, const char *name) {
    errno = (int)-is;
    return err_sys(is == -ENOENT ? RH_ENOTFOUND : RH_EIO, "cannot %s %s", step, name);
}

rh_status ckpt_open_folder(struct ckpt_io *io, const char *name, struct ckpt_fd *out) {
    struct ckpt_fd f = {.io = io};
    snprintf(f.name, sizeof f.name, "%s/%s", io->root, name);
    f.fd = io->ops->open(io, CKPT_ROOT, name, CKPT_FOLDER);
    if (f.fd < 0)
        return failed(f.fd, "open", f.name);
    *out = f;
    return RH_OK;
}

rh_status ckpt_open_file(const struct ckpt_fd *folder, const char *name, enum ckpt_open how,
                         struct ckpt_fd *out) {
    struct ckpt_fd f = {.io = folder->io};
    if (snprintf(f.name, sizeof f.name, "%s/%s", folder->name, name) >= (int)sizeof f.name)
        snprintf(f.name, sizeof f.name, ".../%s", name);
    f.fd = f.io->ops->open(f.io, folder->fd, name, how);
    if (f.fd < 0)
        return failed(f.fd, how == CKPT_CREATE ? "create" : "open", f.name);
    *out = f;
    return RH_OK;
}

rh_status ckpt_write(struct ckpt_fd *f, const void *p, size_t n) {
    for (const uint8_t *at = p; n > 0;) {
        int64_t put = f->io->ops->write(f->io, f->fd, at, n);
        if (put == -EINTR)
            continue;
        if (put <= 0)
            return failed(put == 0 ? -EIO : put, "write", f->name);
        at += put;
        n -= (size_t)put;
    }
    return RH_OK;
}

rh_status ckpt_read(struct ckpt_fd *f, void *p, size_t n, uint64_t offset) {
    for (uint8_t *at = p; n > 0;) {
        int64_t got = f->io->ops->read(f->io, f->fd, at, n, offset);
        if (got == -EINTR)
            continue;
        if (got < 0)
            return failed(got, "read", f->name);
        if (got == 0)
            return err_set(RH_ECORRUPT, "%s ends at byte %" PRIu64 ", %zu too early", f->name,
                           offset, n);
        at += got;
        n -= (size_t)got;
        offset += (uint64_t)got;
    }
    return RH_OK;
}

rh_status ckpt_size(struct ckpt_fd *f, uint64_t *bytes) {
    int64_t size = f->io->ops->size(f->io, f->fd);
    if (size < 0)
        return failed(size, "look at", f->name);
    *bytes = (uint64_t)size;
    return RH_OK;
}

/* Not again after a failure, EINTR alone aside: the kernel may have forgotten the pages that it could
 * not write, and would then say that all is well. */
rh_status ckpt_sync(struct ckpt_fd *f) {
    int is;
    do
        is = f->io->ops->sync(f->io, f->fd);
    while (is == -EINTR);
    return is < 0 ? failed(is, "sync", f->name) : RH_OK;
}

/* Not again after EINTR: on Linux the descriptor is gone by then. What was written is synced before,
 * so that EINTR says nothing about it. */
rh_status ckpt_close(struct ckpt_fd *f) {
    int is = f->io->ops->close(f->io, f->fd);
    f->fd = -2;
    return is < 0 && is != -EINTR ? failed(is, "close", f->name) : RH_OK;
}

void ckpt_drop(struct ckpt_fd *f) {
    if (f->io != NULL && f->fd >= 0)
        (void)f->io->ops->close(f->io, f->fd);
    f->fd = -2;
}
