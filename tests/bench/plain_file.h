/* plain_file.h - what the file system does with a file, and nobody looks at the bytes: a copy of it,
 * synced; a read of it. */
#ifndef TESTS_BENCH_PLAIN_FILE_H
#define TESTS_BENCH_PLAIN_FILE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/status.h"

/* As cp does it, 1 MiB a piece; then fsync of the copy and of its folder. */
rh_status plain_file_copy(const char *from, const char *to, const char *folder) MUST_CHECK;

/* All of it into memory (cap), 1 MiB a piece. */
rh_status plain_file_read(const char *path, void *memory, size_t cap) MUST_CHECK;

/* Whether the system keeps the file in its cache from now on (all of it), or does not (any of it). */
bool plain_file_warm(const char *path);
bool plain_file_cold(const char *path);

rh_status plain_file_bytes(const char *path, uint64_t *bytes) MUST_CHECK;

/* What unprivileged programs may still write there. */
rh_status plain_file_room(const char *folder, uint64_t *bytes) MUST_CHECK;

/* Removes a file if it is there, and waits until that is on the disk: what a file system does with
 * the room that it gets back is nobody's save. */
void plain_file_remove(const char *path, const char *folder);

#endif
