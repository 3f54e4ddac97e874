/* no_memory.c - see no_memory.h. Blocks are remembered by address: what the C library has allocated itself, and we free, was never
 * counted. */
#include "tests/support/no_memory.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

enum { BLOCKS_MAX = 1 << 16 }; /* a power of two; at most half of them are used */

static const void *blocks[BLOCKS_MAX];
static size_t n_blocks, mapped_bytes;
static uint32_t calls, fails_at;
static bool fails_all, has_failed;

void no_memory_at(uint32_t at, bool all) {
    calls = 0;
    fails_at = at;
    fails_all = all;
    has_failed = false;
}

bool no_memory_failed(void) {
    return has_failed;
}

size_t no_memory_blocks(void) {
    return n_blocks;
}

size_t no_memory_mapped(void) {
    return mapped_bytes;
}

static bool fails(void) {
    calls++;
    if (fails_at == 0 || calls < fails_at || (calls > fails_at && !fails_all))
        return false;
    has_failed = true;
    errno = ENOMEM;
    return true;
}

/* ---- the blocks: open addressing ---- */

static size_t home(const void *p) {
    return (size_t)((uintptr_t)p * UINT64_C(0x9E3779B97F4A7C15) >> 40) % BLOCKS_MAX;
}

static void *remember(void *p) {
    if (p == NULL)
        return NULL;
    if (n_blocks >= BLOCKS_MAX / 2)
        abort();
    size_t at = home(p);
    while (blocks[at] != NULL)
        at = (at + 1) % BLOCKS_MAX;
    blocks[at] = p;
    n_blocks++;
    return p;
}

static void forget(const void *p) {
    size_t at = home(p);
    while (blocks[at] != p) {
        if (blocks[at] == NULL)
            return;
        at = (at + 1) % BLOCKS_MAX;
    }
    blocks[at] = NULL;
    n_blocks--;
    /* Those behind it may have been on their way to here. */
    for (size_t next = (at + 1) % BLOCKS_MAX; blocks[next] != NULL;
         next = (next + 1) % BLOCKS_MAX) {
        const void *moved = blocks[next];
        blocks[next] = NULL;
        n_blocks--;
        remember((void *)moved);
    }
}

/* ---- what the linker puts in the place of the C library's ---- */

void *__real_malloc(size_t n);
void *__real_calloc(size_t n, size_t size);
void *__real_realloc(void *p, size_t n);
void *__real_aligned_alloc(size_t align, size_t n);
char *__real_strdup(const char *s);
void __real_free(void *p);
void *__real_mmap(void *at, size_t n, int prot, int flags, int fd, off_t offset);
int __real_munmap(void *at, size_t n);

void *__wrap_malloc(size_t n);
void *__wrap_calloc(size_t n, size_t size);
void *__wrap_realloc(void *p, size_t n);
void *__wrap_aligned_alloc(size_t align, size_t n);
char *__wrap_strdup(const char *s);
void __wrap_free(void *p);
void *__wrap_mmap(void *at, size_t n, int prot, int flags, int fd, off_t offset);
int __wrap_munmap(void *at, size_t n);

void *__wrap_malloc(size_t n) {
    return fails() ? NULL : remember(__real_malloc(n));
}

void *__wrap_calloc(size_t n, size_t size) {
    return fails() ? NULL : remember(__real_calloc(n, size));
}

void *__wrap_realloc(void *p, size_t n) {
    if (fails())
        return NULL;
    if (p != NULL)
        forget(p);
    return remember(__real_realloc(p, n));
}

void *__wrap_aligned_alloc(size_t align, size_t n) {
    return fails() ? NULL : remember(__real_aligned_alloc(align, n));
}

char *__wrap_strdup(const char *s) {
    return fails() ? NULL : remember(__real_strdup(s));
}

void __wrap_free(void *p) {
    if (p != NULL)
        forget(p);
    __real_free(p);
}

void *__wrap_mmap(void *at, size_t n, int prot, int flags, int fd, off_t offset) {
    if (fails())
        return MAP_FAILED;
    void *p = __real_mmap(at, n, prot, flags, fd, offset);
    mapped_bytes += p != MAP_FAILED ? n : 0;
    return p;
}

int __wrap_munmap(void *at, size_t n) {
    mapped_bytes -= n;
    return __real_munmap(at, n);
}
