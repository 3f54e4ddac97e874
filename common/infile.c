/* infile.c - see infile.h. */
#include "common/infile.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/err.h"

static rh_status begin(struct infile *f, const char *path) {
    struct stat st;
    if (fstat(f->fd, &st) != 0)
        return err_sys(RH_EIO, "cannot look at %s", path);
    if (!S_ISREG(st.st_mode))
        return err_set(RH_EINVAL, "%s is no regular file: it cannot be read", path);
    f->size_bytes = (uint64_t)st.st_size;
    f->when = st.st_mtim;
    f->path = strdup(path);
    f->cap = INFILE_BLOCK_BYTES;
    f->buf = malloc(f->cap + 1);
    if (f->path == NULL || f->buf == NULL)
        return err_set(RH_ENOMEM, "no memory to read %s", path);
    posix_fadvise(f->fd, 0, 0, POSIX_FADV_SEQUENTIAL);
    return RH_OK;
}

rh_status infile_adopt(struct infile *f, int fd, const char *name) {
    *f = (struct infile){.fd = fd};
    rh_status s = begin(f, name);
    if (s != RH_OK)
        infile_close(f);
    return s;
}

rh_status infile_open(struct infile *f, const char *path) {
    *f = (struct infile){0};
    /* O_NONBLOCK: opening a pipe that nobody writes to would wait for ever. */
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    if (fd < 0)
        return err_sys(errno == ENOENT ? RH_ENOTFOUND : RH_EIO, "cannot open %s", path);
    return infile_adopt(f, fd, path);
}

void infile_close(struct infile *f) {
    /* All zeros is one that was never opened: descriptor 0 is then somebody else's. */
    if (f->fd > 0 || f->buf != NULL)
        close(f->fd);
    free(f->path);
    free(f->buf);
    *f = (struct infile){0};
}

/* Room for n bytes, which the file has, or had when it was opened. */
static rh_status reserve(struct infile *f, size_t n) {
    if (n <= f->cap)
        return RH_OK;
    size_t cap = n > 2 * f->cap ? n : 2 * f->cap;
    uint8_t *buf = realloc(f->buf, cap + 1);
    if (buf == NULL)
        return err_set(RH_ENOMEM, "no memory for %zu bytes of %s", cap, f->path);
    f->buf = buf;
    f->cap = cap;
    return RH_OK;
}

rh_status infile_want(struct infile *f, size_t n) {
    size_t left = infile_left(f);
    if (left >= n)
        return RH_OK;
    uint64_t to_come = f->size_bytes > f->read_bytes ? f->size_bytes - f->read_bytes : 0;
    if (n - left > to_come)
        n = left + (size_t)to_come;
    if (n == left)
        return RH_OK;
    memmove(f->buf, f->buf + f->from, left);
    f->from = 0;
    f->to = left;
    rh_status s = reserve(f, n);
    while (s == RH_OK && f->to < n) {
        size_t got = 0;
        s = infile_at(f, f->read_bytes, f->buf + f->to, f->cap - f->to, &got);
        f->to += got;
        f->read_bytes += got;
        if (got == 0)
            break;
    }
    return s;
}

void infile_seek(struct infile *f, uint64_t offset) {
    f->from = f->to = 0;
    f->read_bytes = offset;
}

rh_status infile_at(const struct infile *f, uint64_t offset, void *p, size_t n, size_t *got) {
    size_t done = 0;
    while (done < n) {
        ssize_t k = pread(f->fd, (char *)p + done, n - done, (off_t)(offset + done));
        if (k < 0 && errno == EINTR)
            continue;
        if (k < 0)
            return err_sys(RH_EIO, "cannot read %s", f->path);
        if (k == 0)
            break;
        done += (size_t)k;
    }
    *got = done;
    return RH_OK;
}

rh_status infile_unchanged(const struct infile *f) {
    struct stat st;
    if (fstat(f->fd, &st) != 0)
        return err_sys(RH_EIO, "cannot look at %s", f->path);
    if ((uint64_t)st.st_size == f->size_bytes && st.st_mtim.tv_sec == f->when.tv_sec &&
        st.st_mtim.tv_nsec == f->when.tv_nsec)
        return RH_OK;
    return err_set(RH_ECORRUPT, "%s was changed while it was read", f->path);
}
