/* plain_file.c - see plain_file.h. */
#include "tests/bench/plain_file.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include "common/err.h"

enum { PIECE_BYTES = 1 << 20 };

static rh_status open_file(const char *path, int flags, int *fd) {
    *fd = open(path, flags | O_CLOEXEC, 0600);
    return *fd >= 0 ? RH_OK : err_sys(RH_EIO, "cannot open %s", path);
}

static bool write_all(int fd, const char *p, size_t n) {
    while (n > 0) {
        ssize_t put = write(fd, p, n);
        if (put < 0 && errno == EINTR)
            continue;
        if (put <= 0)
            return false;
        p += put;
        n -= (size_t)put;
    }
    return true;
}

static bool sync_folder(const char *folder) {
    int fd = open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    bool good = fd >= 0 && fsync(fd) == 0;
    if (fd >= 0)
        close(fd);
    return good;
}

static bool copy(int from, int to, char *piece) {
    for (;;) {
        ssize_t got = read(from, piece, PIECE_BYTES);
        if (got < 0 && errno == EINTR)
            continue;
        if (got <= 0)
            return got == 0 && fsync(to) == 0;
        if (!write_all(to, piece, (size_t)got))
            return false;
    }
}

rh_status plain_file_copy(const char *from, const char *to, const char *folder) {
    int in = -1, out = -1;
    char *piece = malloc(PIECE_BYTES);
    rh_status st = piece == NULL ? err_set(RH_ENOMEM, "no memory to copy %s", from) : RH_OK;
    if (st == RH_OK)
        st = open_file(from, O_RDONLY, &in);
    if (st == RH_OK)
        st = open_file(to, O_WRONLY | O_CREAT | O_EXCL, &out);
    if (st == RH_OK && (!copy(in, out, piece) || !sync_folder(folder)))
        st = err_sys(RH_EIO, "cannot copy %s to %s", from, to);
    if (in >= 0)
        close(in);
    if (out >= 0)
        close(out);
    free(piece);
    return st;
}

rh_status plain_file_read(const char *path, void *memory, size_t cap) {
    int fd;
    char *at = memory;
    rh_status st = open_file(path, O_RDONLY, &fd);
    if (st != RH_OK)
        return st;
    ssize_t got;
    do {
        size_t most = cap < PIECE_BYTES ? cap : PIECE_BYTES;
        got = read(fd, at, most);
        at += got > 0 ? got : 0;
        cap -= got > 0 ? (size_t)got : 0;
    } while (got > 0 || (got < 0 && errno == EINTR));
    close(fd);
    return got == 0 ? RH_OK : err_sys(RH_EIO, "cannot read %s", path);
}

/* How much of the file is in the cache: 0 to 1; -1: nobody can tell. */
static double cached(int fd, size_t bytes) {
    size_t page = (size_t)sysconf(_SC_PAGESIZE), pages = (bytes + page - 1) / page, n = 0;
    unsigned char *in = malloc(pages + 1);
    void *map = mmap(NULL, bytes, PROT_READ, MAP_SHARED, fd, 0);
    bool known = in != NULL && map != MAP_FAILED && mincore(map, bytes, in) == 0;
    for (size_t i = 0; known && i < pages; i++)
        n += in[i] & 1;
    if (map != MAP_FAILED)
        munmap(map, bytes);
    free(in);
    return known ? (double)n / (double)pages : -1;
}

static double cached_after(const char *path, int advice) {
    uint64_t bytes;
    int fd = -1;
    double part = -1;
    if (plain_file_bytes(path, &bytes) == RH_OK && open_file(path, O_RDONLY, &fd) == RH_OK &&
        bytes > 0) {
        (void)posix_fadvise(fd, 0, 0, advice);
        part = cached(fd, bytes);
    }
    if (fd >= 0)
        close(fd);
    return part;
}

bool plain_file_cold(const char *path) {
    double part = cached_after(path, POSIX_FADV_DONTNEED);
    return part >= 0 && part < 0.01;
}

bool plain_file_warm(const char *path) {
    char piece[65536];
    int fd;
    if (open_file(path, O_RDONLY, &fd) != RH_OK)
        return false;
    while (read(fd, piece, sizeof piece) > 0)
        continue;
    close(fd);
    return cached_after(path, POSIX_FADV_NORMAL) > 0.99;
}

rh_status plain_file_bytes(const char *path, uint64_t *bytes) {
    struct stat st;
    if (stat(path, &st) != 0)
        return err_sys(RH_EIO, "cannot look at %s", path);
    *bytes = (uint64_t)st.st_size;
    return RH_OK;
}

rh_status plain_file_room(const char *folder, uint64_t *bytes) {
    struct statvfs v;
    if (statvfs(folder, &v) != 0)
        return err_sys(RH_EIO, "cannot look at %s", folder);
    *bytes = (uint64_t)v.f_bavail * v.f_frsize;
    return RH_OK;
}

void plain_file_remove(const char *path, const char *folder) {
    if (unlink(path) == 0)
        (void)sync_folder(folder);
}
