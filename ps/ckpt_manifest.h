/* ckpt_manifest.h - what a checkpoint is made of, but for the rows: the job, its tables, its workers,
 * its files. As a struct, and as the JSON of CHECKPOINT.md, section 2. Owns its arrays. */
#ifndef PS_CKPT_MANIFEST_H
#define PS_CKPT_MANIFEST_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/buf.h"
#include "common/hash.h"
#include "common/status.h"
#include "proto/spec.h"
#include "proto/wire.h"

enum {
    CKPT_FORMAT = 1,
    CKPT_NAME_MAX = 64,
    CKPT_CURSOR_MAX = 65536,
    CKPT_MANIFEST_MAX = 256 << 20,
    CKPT_FILE_NAME = 40
};
#define CKPT_NOT_DROPPED UINT32_MAX

struct ckpt_table {
    uint32_t number;
    char name[WIRE_NAME_MAX + 1];
    struct spec spec;
    uint64_t steps, renewed;
    uint32_t dropped_by; /* CKPT_NOT_DROPPED; else a rank */
};

/* A worker's pushes to a table: struct push_count of session.h. */
struct ckpt_count {
    uint32_t table;
    uint64_t pushes, base;
};

struct ckpt_worker {
    uint32_t rank, incarnation;
    uint64_t clock, taken;
    bool left;
    struct opnum floor;
    struct ckpt_count *counts; /* (n_counts) ascending by table */
    uint32_t n_counts, cursor_len;
    uint8_t *cursor; /* (cursor_len) */
};

struct ckpt_file {
    char name[CKPT_FILE_NAME];
    uint64_t bytes, rows;
    struct hash128 sum;
};

struct ckpt_manifest {
    uint64_t job, generation, saved_unix_ms, clock;
    uint32_t mode, world; /* mode as in shard_inner.h; both 0: no worker had come */
    uint32_t shards;
    struct ckpt_table *tables; /* (n_tables) number i + 1 */
    uint32_t n_tables;
    struct ckpt_worker *workers; /* (n_workers) ascending by rank */
    uint32_t n_workers;
    struct ckpt_file *files; /* (shards) in order; NULL: none yet */
};

void ckpt_manifest_fini(struct ckpt_manifest *m); /* fine on a zeroed one */

/* All zeros but for the counts, which are as given. RH_ENOMEM: *m is zeroed. */
rh_status ckpt_manifest_files(struct ckpt_manifest *m, uint32_t shards) MUST_CHECK;

/* A sum of what all shards know alike at a cut: shards whose sums differ were asked at different
 * moments. PROTOCOL.md, section 3. RH_ENOMEM. */
rh_status ckpt_manifest_agreed(const struct ckpt_manifest *m, struct hash128 *out) MUST_CHECK;

/* The bytes of MANIFEST.json. RH_ENOMEM; RH_ELIMIT beyond CKPT_MANIFEST_MAX. */
rh_status ckpt_manifest_put(const struct ckpt_manifest *m, struct buf *out) MUST_CHECK;

/* Reads them. what is for texts. RH_ECORRUPT, RH_EVERSION (another format), RH_ENOMEM. */
rh_status ckpt_manifest_get(const void *bytes, size_t len, const char *what,
                            struct ckpt_manifest *out) MUST_CHECK;

/* The table of that number, or NULL: there is none, or it was dropped. */
const struct ckpt_table *ckpt_manifest_table(const struct ckpt_manifest *m, uint32_t number);

/* "async", "bsp", "ssp", "unset". */
const char *ckpt_mode_name(uint32_t mode);

/* shard-00000-of-00003.rhs */
void ckpt_file_name(uint32_t shard, uint32_t shards, char out[CKPT_FILE_NAME]);

/* [A-Za-z0-9_-][A-Za-z0-9._-]{0,63}. RH_EINVAL says what is wrong. */
rh_status ckpt_check_name(const char *name) MUST_CHECK;

#endif
