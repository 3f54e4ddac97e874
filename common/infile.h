/* infile.h - a file read from front to back in large blocks, parsed where it lies in the buffer. The
 * buffer never grows beyond what the file holds, and no byte is mapped: a file that shrinks while it
 * is read ends early, and kills nobody. One thread at a time. */
#ifndef COMMON_INFILE_H
#define COMMON_INFILE_H

#include <stddef.h>
#include <stdint.h>
#include <time.h>

#include "common/status.h"

enum { INFILE_BLOCK_BYTES = 128 << 10 };

struct infile {
    int fd;
    char *path;
    uint64_t size_bytes;  /* when it was opened */
    struct timespec when; /* it was written to last, when it was opened */
    uint64_t read_bytes;  /* offset in the file of buf[to] */
    uint8_t *buf;         /* (cap + 1): a byte behind the last may be written */
    size_t cap, from, to; /* buf[from .. to) was read and is not used yet */
};

/* RH_ENOTFOUND, RH_EIO; RH_EINVAL for what is no regular file; RH_ENOMEM. On failure there is
 * nothing to close. */
rh_status infile_open(struct infile *f, const char *path) MUST_CHECK;

/* The same for a file that is open for reading already; name is for texts. Takes fd in any case. */
rh_status infile_adopt(struct infile *f, int fd, const char *name) MUST_CHECK;

void infile_close(struct infile *f); /* also for one that is all zeros or closed */

/* Reads on until n bytes lie in front of the reader, or the file ends: how many, infile_left tells.
 * Moves the buffer: pointers into it are void. RH_EIO, RH_ENOMEM. */
rh_status infile_want(struct infile *f, size_t n) MUST_CHECK;

/* Goes on at this byte of the file. */
void infile_seek(struct infile *f, uint64_t offset);

/* Reads n bytes at an offset, past the buffer; *got is less than n only at the file's end. */
rh_status infile_at(const struct infile *f, uint64_t offset, void *p, size_t n,
                    size_t *got) MUST_CHECK;

/* RH_ECORRUPT if the file was written to since it was opened; RH_EIO. */
rh_status infile_unchanged(const struct infile *f) MUST_CHECK;

/* The next byte, how many of them are in the buffer, and where in the file the first lies. */
static inline char *infile_here(const struct infile *f) {
    return (char *)f->buf + f->from;
}
static inline size_t infile_left(const struct infile *f) {
    return f->to - f->from;
}
static inline uint64_t infile_offset(const struct infile *f) {
    return f->read_bytes - infile_left(f);
}

#endif
