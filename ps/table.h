/* table.h - one table's part on one shard: index, store, initializer and optimizer put together.
 * Rows in, rows out; it knows no clocks, no workers and no frames, and one thread owns it. Ids and
 * rows are views of frames: little-endian, at any address. */
#ifndef PS_TABLE_H
#define PS_TABLE_H

#include <stdbool.h>
#include <stdint.h>

#include "common/status.h"
#include "proto/spec.h"
#include "ps/freeze.h"
#include "ps/index.h"
#include "ps/init.h"
#include "ps/opt.h"
#include "ps/store.h"

struct snapshot;

#define TABLE_ROOM UINT64_MAX

struct table {
    char name[WIRE_NAME_MAX + 1];
    uint32_t number;
    struct spec spec;
    struct index index;
    struct store store;
    struct init init;
    const struct opt_ops *opt;
    struct freeze freeze;
    struct snapshot *snapshot; /* its rows at a moment, which somebody still reads; NULL: nobody */
    uint64_t renewed;          /* (turn, rank) of the last init that was applied; 0: none */
    uint64_t room;             /* so many rows may still come into being; TABLE_ROOM: any number */
    uint64_t refused; /* new rows that were passed over since room was set, and the first's id */
    uint64_t refused_first;
    uint64_t skipped;         /* rows of updates that were not finite, with SPEC_SKIP */
    uint64_t ages[WIRE_AGES]; /* pulls.c's: answered pulls, by how old what they saw may be */
    uint32_t dropped_by;      /* of what is left of a dropped table: the worker's rank */
    float *scratch;           /* (dim): one row at an aligned address */
    uint64_t *rows;           /* (rows_cap): the last table_locate's answer */
    uint32_t rows_cap;
};

rh_status table_new(const char *name, uint32_t number, const struct spec *s, uint32_t shard,
                    uint32_t shards, struct table **out) MUST_CHECK;
void table_free(struct table **t);

/* Checks all n ids and keeps their local rows in t->rows for the calls below. RH_ERANGE, RH_ENOMEM:
 * nothing has changed. */
rh_status table_locate(struct table *t, const uint8_t *ids, uint32_t n) MUST_CHECK;

/* out: (n, dim), the stored bits. Never writes the table. After table_locate of the same ids. */
void table_read(struct table *t, const uint8_t *ids, uint32_t n, uint8_t *out);

/* The same, but each row renormalized where the spec has a max_norm. */
void table_pull(struct table *t, const uint8_t *ids, uint32_t n, uint8_t *out);

/* Overwrites the located rows, the padding row too; optimizer state stays. This and table_update pass
 * over new rows once there is no room, and count them in t->refused. */
void table_write(struct table *t, const uint8_t *ids, uint32_t n, const uint8_t *in);

/* One optimizer step of the located rows, but for the padding row, those that are frozen in the clock
 * last given to freeze_enter, and those that the spec lets it skip: they and their state stay as they are. steps is T, this step included. A row that nobody has
 * touched starts from its initial value; where the spec has a max_norm, a row is renormalized first.
 * RH_ENOMEM before anything has changed. */
rh_status table_update(struct table *t, const uint8_t *ids, uint32_t n, const uint8_t *grads,
                       double lr, uint64_t steps) MUST_CHECK;

/* ---- a table's lives (table_life.c). Where a snapshot is being read, they wait until all of it
 * has been ---- */

/* Every row as if never touched, no optimizer state, frozen or not as the spec says. Gives the memory
 * back. Cannot fail. */
void table_reset(struct table *t);

/* Another initializer, and every row its value: touched ones are overwritten, and keep their
 * optimizer state. s: this table's spec but for init, its arguments, and seed; checked. */
void table_renew(struct table *t, const struct spec *s);

/* Gives all memory back but for the struct itself: name, number and spec may still be read, and
 * table_free is called in the end. */
void table_empty(struct table *t);

#endif
