/* ckpt_io.h - what checkpoints ask of a file system, as an ops table, so that tests can record it,
 * fail any step of it, and lose what was not synced. Names are single components; links are not
 * followed. An ops table's functions return -errno on failure; the ckpt_io_ functions around them
 * set a text with the name, and never let a short count or EINTR through. One thread at a time per
 * file; an io may be shared by threads. */
#ifndef PS_CKPT_IO_H
#define PS_CKPT_IO_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/status.h"

struct ckpt_io {
    const struct ckpt_io_ops *ops;
    const char *root; /* for texts: the folder that all checkpoints are in */
};

enum { CKPT_ROOT = -1 }; /* as `dir`: the root itself */

enum ckpt_open {
    CKPT_READ,   /* a regular file, for reading */
    CKPT_CREATE, /* a file that is not there yet, mode 0600, for writing */
    CKPT_FOLDER  /* a folder, as `dir` */
};

struct ckpt_io_ops {
    /* dir: CKPT_ROOT or a folder that is open. A descriptor, at least 0. */
    int (*open)(struct ckpt_io *io, int dir, const char *name, enum ckpt_open how);
    /* Bytes, maybe fewer than n; 0 at the file's end. */
    int64_t (*read)(struct ckpt_io *io, int fd, void *p, size_t n, uint64_t offset);
    /* Behind the last; bytes, maybe fewer than n. */
    int64_t (*write)(struct ckpt_io *io, int fd, const void *p, size_t n);
    int64_t (*size)(struct ckpt_io *io, int fd);
    int (*sync)(struct ckpt_io *io, int fd); /* a file or a folder; CKPT_ROOT too */
    int (*close)(struct ckpt_io *io, int fd);
    int (*mkdir)(struct ckpt_io *io, const char *name); /* in the root, mode 0700 */
    /* Within one folder. exchange: both are there, and change places in one step; else `to` is not
     * there, or a file. */
    int (*rename)(struct ckpt_io *io, int dir, const char *from, const char *to, bool exchange);
    int (*remove)(struct ckpt_io *io, int dir, const char *name, bool folder);
    /* with() for every name but . and ..; nothing changes meanwhile. Stops at what is not 0, and
     * returns it. */
    int (*list)(struct ckpt_io *io, int dir, int (*with)(void *arg, const char *name), void *arg);
};

/* Checkpoints beneath path, a folder. RH_EINVAL: it is none. */
rh_status ckpt_io_beneath(const char *path, struct ckpt_io **out) MUST_CHECK;
void ckpt_io_free(struct ckpt_io **io); /* of ckpt_io_beneath; NULL is fine */

/* ---- a file, or a folder, that is open: fd and how to call it in texts ---- */

struct ckpt_fd {
    struct ckpt_io *io;
    int fd; /* -2: closed */
    char name[192];
};

/* A folder in the root, or a file in a folder. RH_ENOTFOUND, RH_EIO. On failure there is nothing to
 * close. */
rh_status ckpt_open_folder(struct ckpt_io *io, const char *name, struct ckpt_fd *out) MUST_CHECK;
rh_status ckpt_open_file(const struct ckpt_fd *folder, const char *name, enum ckpt_open how,
                         struct ckpt_fd *out) MUST_CHECK;

/* All n bytes. RH_EIO. */
rh_status ckpt_write(struct ckpt_fd *f, const void *p, size_t n) MUST_CHECK;
/* All n bytes; RH_ECORRUPT if the file ends before. */
rh_status ckpt_read(struct ckpt_fd *f, void *p, size_t n, uint64_t offset) MUST_CHECK;
rh_status ckpt_size(struct ckpt_fd *f, uint64_t *bytes) MUST_CHECK;
rh_status ckpt_sync(struct ckpt_fd *f) MUST_CHECK;
/* Closes; that a file was closed without an error belongs to what has been written. */
rh_status ckpt_close(struct ckpt_fd *f) MUST_CHECK;
void ckpt_drop(struct ckpt_fd *f); /* closes, whatever comes of it. Also one that is closed */

#endif
