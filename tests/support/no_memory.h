/* no_memory.h - memory that ends when a test says so, and the count of what was not given back. For programs that are linked
 * with --wrap for malloc, calloc, realloc, aligned_alloc, strdup, mmap, munmap and free: it sees the calls of our own objects,
 * in one thread. */
#ifndef TESTS_SUPPORT_NO_MEMORY_H
#define TESTS_SUPPORT_NO_MEMORY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* The at-th allocation from now on fails, from 1 on, and with `all` every one behind it; 0: none does. */
void no_memory_at(uint32_t at, bool all);

/* Has one failed since then? */
bool no_memory_failed(void);

/* Blocks that are there now, and bytes that are mapped. */
size_t no_memory_blocks(void);
size_t no_memory_mapped(void);

#endif
