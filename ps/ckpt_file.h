/* ckpt_file.h - one shard's file: what is in it, as structs, and how it is written and read.
 * CHECKPOINT.md, section 3, is the specification. Knows specs and slots; no tables, no sessions. */
#ifndef PS_CKPT_FILE_H
#define PS_CKPT_FILE_H

#include <stdbool.h>
#include <stdint.h>

#include "common/status.h"
#include "ps/ckpt_io.h"
#include "ps/ckpt_manifest.h"
#include "ps/freeze.h"

enum {
    CKPT_HEADER = 64,
    CKPT_TRAILER = 64,
    CKPT_ENTRY = 40,
    CKPT_RAW_HEAD = 32,
    CKPT_RAW_MAX = 262144 /* bytes of a block, its head included */
};

enum ckpt_kind { CKPT_TABLE = 1, CKPT_RUNS = 2, CKPT_ROWS = 3, CKPT_LISTED = 4 };

/* Which file it is. */
struct ckpt_identity {
    uint64_t job, generation;
    uint32_t shard, shards;
};

/* What a shard knows of a table, besides its rows and runs. */
struct ckpt_own {
    uint64_t skipped, lists_least, lists_most;
};

/* One entry of the index. */
struct ckpt_entry {
    uint64_t offset;
    uint32_t packed, raw; /* packed: with its head */
    uint32_t kind, table, first, last, count;
};

/* ---- writing ---- */

struct ckpt_writer;

/* Creates the file in a folder that is open (and stays so). RH_EIO, RH_ENOMEM. */
rh_status ckpt_writer_new(const struct ckpt_fd *folder, const struct ckpt_identity *id,
                          struct ckpt_writer **out) MUST_CHECK;

/* A table begins; numbers ascend. Then its runs, its rows, its listed rows, in this order. State:
 * whether there is optimizer state; slot_dim and own_dim as in store.h. The failure of any of these
 * calls ends the file: ckpt_writer_free is all that may follow. */
rh_status ckpt_writer_table(struct ckpt_writer *w, uint32_t number, const struct ckpt_own *own,
                            uint32_t dim, uint32_t slot_dim, uint32_t own_dim) MUST_CHECK;
rh_status ckpt_writer_runs(struct ckpt_writer *w, const struct freeze_run *runs,
                           uint32_t n) MUST_CHECK;
/* A row, ascending by (slot, id). slots and own: NULL if the table has no state (asserted). */
rh_status ckpt_writer_row(struct ckpt_writer *w, uint64_t id, const void *weights,
                          const void *slots, const void *own) MUST_CHECK;
/* A listed row, likewise; until as freeze_until has it. */
rh_status ckpt_writer_listed(struct ckpt_writer *w, uint64_t id, uint64_t until) MUST_CHECK;

/* Writes what is left, syncs, closes, syncs the folder. *out: what the manifest says of the file. */
rh_status ckpt_writer_end(struct ckpt_writer *w, struct ckpt_file *out) MUST_CHECK;

/* Bytes written so far. */
uint64_t ckpt_writer_bytes(const struct ckpt_writer *w);

/* Closes the file if it is open; it stays where it is, for ckpt_abandon. NULL is fine. */
void ckpt_writer_free(struct ckpt_writer **w);

/* ---- reading ---- */

struct ckpt_reader;

/* Checks the file's size, header, trailer and index against the manifest; the manifest must outlive
 * the reader. RH_ENOTFOUND, RH_ECORRUPT, RH_EIO, RH_ENOMEM name the file. Memory: the index. */
rh_status ckpt_reader_open(const struct ckpt_fd *folder, const struct ckpt_manifest *m,
                           uint32_t shard, struct ckpt_reader **out) MUST_CHECK;
void ckpt_reader_close(struct ckpt_reader **r); /* NULL is fine */

uint32_t ckpt_reader_blocks(const struct ckpt_reader *r);
const struct ckpt_entry *ckpt_reader_entry(const struct ckpt_reader *r, uint32_t i);
const char *ckpt_reader_name(const struct ckpt_reader *r);

/* A block, unpacked and checked: views of the reader's memory, at any address, until the next call.
 */
struct ckpt_block {
    const struct ckpt_entry *entry;
    uint32_t dim, slot_dim, own_dim; /* ROWS; the last two 0: no state */
    struct ckpt_own own;             /* TABLE */
    const uint8_t *runs;             /* RUNS: (count) of two u64 */
    const uint8_t *ids;              /* ROWS, LISTED: (count) u64 */
    const uint8_t *weights, *slots,
        *words;            /* ROWS: (count, dim), (count, slot_dim), (count, own_dim) */
    const uint8_t *untils; /* LISTED: (count) u32 */
};

/* RH_ECORRUPT, RH_EIO, RH_ENOMEM. */
rh_status ckpt_reader_block(struct ckpt_reader *r, uint32_t i, struct ckpt_block *out) MUST_CHECK;

/* Every byte: the file's XXH3-128, and every block. *progress, if not NULL, grows by the bytes
 * done. */
rh_status ckpt_reader_verify(struct ckpt_reader *r, void (*progress)(void *arg, uint64_t bytes),
                             void *arg) MUST_CHECK;

#endif
