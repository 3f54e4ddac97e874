/* disk.c - see disk.h. */
#include "tests/sim/disk.h"

#include <errno.h>

static struct disk *disk(struct ckpt_io *io) {
    return (struct disk *)io;
}

static bool may(struct ckpt_io *io) {
    struct disk *x = disk(io);
    return x->step(x->arg);
}

static int disk_open(struct ckpt_io *io, int dir, const char *name, enum ckpt_open how) {
    struct ckpt_io *d = &disk(io)->d.io;
    return may(io) ? d->ops->open(d, dir, name, how) : -EIO;
}

static int64_t disk_read(struct ckpt_io *io, int fd, void *p, size_t n, uint64_t offset) {
    struct ckpt_io *d = &disk(io)->d.io;
    return may(io) ? d->ops->read(d, fd, p, n, offset) : -EIO;
}

static int64_t disk_write(struct ckpt_io *io, int fd, const void *p, size_t n) {
    struct ckpt_io *d = &disk(io)->d.io;
    return may(io) ? d->ops->write(d, fd, p, n) : -EIO;
}

static int64_t disk_size(struct ckpt_io *io, int fd) {
    struct ckpt_io *d = &disk(io)->d.io;
    return may(io) ? d->ops->size(d, fd) : -EIO;
}

static int disk_sync(struct ckpt_io *io, int fd) {
    struct ckpt_io *d = &disk(io)->d.io;
    return may(io) ? d->ops->sync(d, fd) : -EIO;
}

static int disk_close(struct ckpt_io *io, int fd) {
    struct ckpt_io *d = &disk(io)->d.io;
    bool alive = may(io);
    int why = d->ops->close(d, fd); /* what the dead had open is closed too */
    return alive ? why : -EIO;
}

static int disk_mkdir(struct ckpt_io *io, const char *name) {
    struct ckpt_io *d = &disk(io)->d.io;
    return may(io) ? d->ops->mkdir(d, name) : -EIO;
}

static int disk_rename(struct ckpt_io *io, int dir, const char *from, const char *to,
                       bool exchange) {
    struct ckpt_io *d = &disk(io)->d.io;
    return may(io) ? d->ops->rename(d, dir, from, to, exchange) : -EIO;
}

static int disk_remove(struct ckpt_io *io, int dir, const char *name, bool folder) {
    struct ckpt_io *d = &disk(io)->d.io;
    return may(io) ? d->ops->remove(d, dir, name, folder) : -EIO;
}

static int disk_list(struct ckpt_io *io, int dir, int (*with)(void *arg, const char *name),
                     void *arg) {
    struct ckpt_io *d = &disk(io)->d.io;
    return may(io) ? d->ops->list(d, dir, with, arg) : -EIO;
}

static const struct ckpt_io_ops ops = {.open = disk_open,
                                       .read = disk_read,
                                       .write = disk_write,
                                       .size = disk_size,
                                       .sync = disk_sync,
                                       .close = disk_close,
                                       .mkdir = disk_mkdir,
                                       .rename = disk_rename,
                                       .remove = disk_remove,
                                       .list = disk_list};

void disk_init(struct disk *x, bool (*step)(void *arg), void *arg) {
    *x = (struct disk){.io = {&ops, "DIR"}, .step = step, .arg = arg};
    memory_disk_init(&x->d);
}

void disk_fini(struct disk *x) {
    memory_disk_fini(&x->d);
}

void disk_crash(struct disk *x, enum disk_crash how, struct rng *g) {
    struct memory_disk after;
    memory_disk_crash(&x->d, x->d.n_ops, how, g, &after);
    memory_disk_fini(&x->d);
    x->d = after;
}
