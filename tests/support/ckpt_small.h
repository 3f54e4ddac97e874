/* ckpt_small.h - the smallest checkpoint that has everything: one shard, one table, one row, one frozen
 * row. Its file is the example of CHECKPOINT.md, but for the frozen row. */
#ifndef TESTS_SUPPORT_CKPT_SMALL_H
#define TESTS_SUPPORT_CKPT_SMALL_H

#include "ps/ckpt_io.h"
#include "ps/ckpt_manifest.h"
#include "tests/support/memory_disk.h"

struct spec ckpt_small_spec(void);

/* Under "a" generation 1, else 2. */
rh_status ckpt_small_write(struct ckpt_io *io, const char *name);

/* The example of CHECKPOINT.md: no frozen row, generation 1. */
rh_status ckpt_small_example(struct ckpt_io *io, const char *name);

/* Every byte is verified, then one shard restored. */
rh_status ckpt_small_read(struct ckpt_io *io, const char *name, uint64_t *digest);
uint64_t ckpt_small_digest(void);

/* Makes all sums right again, as far as the bytes still have places for them. */
void ckpt_small_reseal(struct memory_disk *d, const char *name);

#endif
