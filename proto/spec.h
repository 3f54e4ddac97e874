/* spec.h - what a table is: its shape, initializer, optimizer. Check, encode, decode, compare. */
#ifndef PROTO_SPEC_H
#define PROTO_SPEC_H

#include <stdbool.h>
#include <stdint.h>

#include "common/buf.h"
#include "common/status.h"
#include "proto/wire.h"

enum spec_kind { SPEC_DENSE = 1 };
enum spec_init { SPEC_ZEROS = 1, SPEC_CONSTANT, SPEC_UNIFORM, SPEC_NORMAL, SPEC_INITS_END };
enum spec_opt { SPEC_SGD = 1, SPEC_SPARSE_ADAM, SPEC_OPTS_END };
enum spec_reduce { SPEC_SUM = 0, SPEC_MEAN = 1 };
enum { SPEC_BYTES = 128, SPEC_ROWS_BITS = 48 };

struct spec {
    uint32_t kind, dim;
    uint64_t rows, seed;
    uint32_t init, opt;
    double init_arg[4];
    double lr, opt_arg[6];
    uint32_t reduce, frozen;
};

/* RH_EINVAL names the field, its value and what is allowed. */
rh_status spec_check(const struct spec *s) MUST_CHECK;

/* RH_EMISMATCH names the first field that differs and both values. lr and frozen may differ. */
rh_status spec_same(const struct spec *have, const struct spec *want, const char *table) MUST_CHECK;

/* 1 to 64 of [A-Za-z0-9_.-]. RH_EINVAL. */
rh_status spec_check_name(const char *name) MUST_CHECK;

void spec_put(struct buf *b, const struct spec *s);
void spec_get(struct rd *r, struct spec *s); /* r->bad if it is short; check it with spec_check */

const char *spec_opt_name(uint32_t opt);   /* "SparseAdam" */
const char *spec_init_name(uint32_t init); /* "normal" */

#endif
