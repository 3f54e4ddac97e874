/* spec.h - what a table is: its shape, initializer, optimizer. Check, encode, decode, compare. */
#ifndef PROTO_SPEC_H
#define PROTO_SPEC_H

#include <stdbool.h>
#include <stdint.h>

#include "common/buf.h"
#include "common/status.h"
#include "proto/wire.h"

enum spec_kind { SPEC_DENSE = 1 };
enum spec_init {
    SPEC_ZEROS = 1,
    SPEC_CONSTANT,
    SPEC_UNIFORM,
    SPEC_NORMAL,
    SPEC_TRUNC_NORMAL,
    SPEC_INITS_END,
    SPEC_ORTHOGONAL = 64 /* only to be refused with the reason */
};
enum spec_opt {
    SPEC_SGD = 1,
    SPEC_SPARSE_ADAM,
    SPEC_ADAGRAD,
    SPEC_ROWWISE_ADAGRAD,
    SPEC_ADAM,
    SPEC_ADAMW,
    SPEC_RMSPROP,
    SPEC_OPTS_END
};
enum spec_opt_flag {
    SPEC_NESTEROV = 1,
    SPEC_CENTERED = 2,
    SPEC_STEPS_PER_ROW = 4,
    SPEC_AMSGRAD = 8,  /* only to be refused by name */
    SPEC_MAXIMIZE = 16 /* likewise */
};
enum spec_reduce { SPEC_SUM = 0, SPEC_MEAN = 1 };
enum spec_nonfinite { SPEC_REFUSE = 0, SPEC_SKIP = 1 };
enum { SPEC_BYTES = 168, SPEC_ROWS_BITS = 48, SPEC_INIT_ARGS = 4, SPEC_OPT_ARGS = 6 };
#define SPEC_NO_PADDING UINT64_MAX

/* Where each optimizer's arguments stand in opt_arg. */
enum { SGD_MOMENTUM, SGD_DAMPENING, SGD_DECAY };
enum { ADAM_BETA1, ADAM_BETA2, ADAM_EPS, ADAM_DECAY }; /* SparseAdam's too, but for the decay */
enum { ADAGRAD_LR_DECAY, ADAGRAD_DECAY, ADAGRAD_INITIAL, ADAGRAD_EPS }; /* the row-wise one's too */
enum { RMSPROP_ALPHA, RMSPROP_EPS, RMSPROP_DECAY, RMSPROP_MOMENTUM };

struct spec {
    uint32_t kind, dim;
    uint64_t rows, seed;
    uint32_t init, opt;
    double init_arg[SPEC_INIT_ARGS];
    double lr, opt_arg[SPEC_OPT_ARGS];
    uint32_t opt_flags; /* enum spec_opt_flag */
    uint32_t reduce, frozen;
    uint32_t scale_grad_by_freq, nonfinite;
    uint64_t padding_idx;       /* SPEC_NO_PADDING: none */
    double max_norm, norm_type; /* both 0: no limit */
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
