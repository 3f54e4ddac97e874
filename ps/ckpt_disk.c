/* ckpt_disk.c - checkpoints on a real file system: the ops table of ckpt_io.h. */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/err.h"
#include "common/failpoint.h"
#include "ps/ckpt_io.h"

struct disk {
    struct ckpt_io io; /* first */
    int root;
    char *path;
};

static int folder_of(struct ckpt_io *io, int dir) {
    return dir == CKPT_ROOT ? ((struct disk *)io)->root : dir;
}

/* As a failing disk says it. */
static int fails(const char *place) {
    return FAILPOINT_STATUS(place) == RH_OK ? 0 : -EIO;
}

static int says(int result) {
    return result < 0 ? -errno : result;
}

/* A pipe in a file's place would let nobody go on; a folder could not be read. A file is read from
 * end to end, nearly always: the system may look further ahead. */
static int for_reading(int fd) {
    struct stat st;
    int why = fstat(fd, &st) != 0 ? errno : S_ISREG(st.st_mode) ? 0 : EINVAL;
    if (why == 0) {
        (void)posix_fadvise(fd, 0, 0, POSIX_FADV_SEQUENTIAL);
        return fd;
    }
    close(fd);
    return -why;
}

static int disk_open(struct ckpt_io *io, int dir, const char *name, enum ckpt_open how) {
    static const int flags[] = {
        [CKPT_READ] = O_RDONLY | O_NONBLOCK,
        [CKPT_CREATE] = O_WRONLY | O_CREAT | O_EXCL,
        [CKPT_FOLDER] = O_RDONLY | O_DIRECTORY,
    };
    if (how == CKPT_CREATE && fails("create.before") != 0)
        return -EIO;
    int fd = says(openat(folder_of(io, dir), name, flags[how] | O_NOFOLLOW | O_CLOEXEC, 0600));
    return fd >= 0 && how == CKPT_READ ? for_reading(fd) : fd;
}

static int64_t disk_read(struct ckpt_io *io, int fd, void *p, size_t n, uint64_t offset) {
    (void)io;
    if (fails("read.before") != 0)
        return -EIO;
    ssize_t got = pread(fd, p, n, (off_t)offset);
    return got < 0 ? -errno : got;
}

/* Every part of so many bytes goes to the disk as soon as it is whole: the disk works while the next
 * one is packed, and the sync at the end has little left to wait for. */
enum { PART_BYTES = 8 << 20 };

/* put bytes were written just now. Starts, waits for nothing, and makes nothing last. What the disk
 * says of the bytes counts, lest the sync does not say it again; that they could not be started does
 * not. */
static int start_parts(int fd, int64_t put) {
    off_t end = lseek(fd, 0, SEEK_CUR);
    off_t from = (end - put) / PART_BYTES * PART_BYTES, to = end / PART_BYTES * PART_BYTES;
    if (end < 0 || from == to)
        return 0;
    if (sync_file_range(fd, from, to - from, SYNC_FILE_RANGE_WRITE) == 0)
        return 0;
    return errno == EIO || errno == ENOSPC || errno == EDQUOT ? -errno : 0;
}

static int64_t disk_write(struct ckpt_io *io, int fd, const void *p, size_t n) {
    (void)io;
    if (fails("write.before") != 0)
        return -EIO;
    ssize_t put = write(fd, p, n);
    int started = put < 0 ? -errno : start_parts(fd, put);
    FAILPOINT("write.after");
    return started < 0 ? started : put;
}

static int64_t disk_size(struct ckpt_io *io, int fd) {
    (void)io;
    struct stat st;
    return fstat(fd, &st) < 0 ? -errno : (int64_t)st.st_size;
}

static int disk_sync(struct ckpt_io *io, int fd) {
    if (fails("sync.before") != 0)
        return -EIO;
    int is = says(fsync(folder_of(io, fd)));
    FAILPOINT("sync.after");
    return is;
}

static int disk_close(struct ckpt_io *io, int fd) {
    (void)io;
    return says(close(fd));
}

static int disk_mkdir(struct ckpt_io *io, const char *name) {
    FAILPOINT("mkdir.before");
    int is = says(mkdirat(folder_of(io, CKPT_ROOT), name, 0700));
    FAILPOINT("mkdir.after");
    return is;
}

static int disk_rename(struct ckpt_io *io, int dir, const char *from, const char *to,
                       bool exchange) {
    int at = folder_of(io, dir);
    if (fails("rename.before") != 0)
        return -EIO;
    int is = says(renameat2(at, from, at, to, exchange ? RENAME_EXCHANGE : 0));
    FAILPOINT("rename.after");
    return is;
}

static int disk_remove(struct ckpt_io *io, int dir, const char *name, bool folder) {
    FAILPOINT("remove.before");
    return says(unlinkat(folder_of(io, dir), name, folder ? AT_REMOVEDIR : 0));
}

static int disk_list(struct ckpt_io *io, int dir, int (*with)(void *arg, const char *name),
                     void *arg) {
    int fd = openat(folder_of(io, dir), ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    DIR *d = fd < 0 ? NULL : fdopendir(fd);
    if (d == NULL) {
        int why = errno;
        if (fd >= 0)
            close(fd);
        return -why;
    }
    int stop = 0;
    errno = 0;
    for (struct dirent *e; stop == 0 && (e = readdir(d)) != NULL; errno = 0)
        if (strcmp(e->d_name, ".") != 0 && strcmp(e->d_name, "..") != 0)
            stop = with(arg, e->d_name);
    if (stop == 0 && errno != 0)
        stop = -errno;
    closedir(d);
    return stop;
}

static const struct ckpt_io_ops disk_ops = {
    .open = disk_open,
    .read = disk_read,
    .write = disk_write,
    .size = disk_size,
    .sync = disk_sync,
    .close = disk_close,
    .mkdir = disk_mkdir,
    .rename = disk_rename,
    .remove = disk_remove,
    .list = disk_list,
};

rh_status ckpt_io_beneath(const char *path, struct ckpt_io **out) {
    struct disk *d = calloc(1, sizeof *d);
    char *copy = strdup(path);
    if (d == NULL || copy == NULL) {
        free(d);
        free(copy);
        return err_set(RH_ENOMEM, "no memory for the checkpoints in %s", path);
    }
    *d = (struct disk){.io = {&disk_ops, copy}, .path = copy};
    d->root = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (d->root < 0) {
        err_sys(RH_EINVAL, "%s is no folder that can be opened", path);
        free(copy);
        free(d);
        return RH_EINVAL;
    }
    *out = &d->io;
    return RH_OK;
}

void ckpt_io_free(struct ckpt_io **io) {
    struct disk *d = (struct disk *)*io;
    *io = NULL;
    if (d == NULL)
        return;
    close(d->root);
    free(d->path);
    free(d);
}
