/*
 * pack.h - rows into frames and back: what is pulled and pushed becomes requests, each shard's rows
 * in sections, at most WIRE_ROWS_MAX bytes of rows in a frame or its answer. Gradients are written,
 * and those of equal ids added (each divided by how many there are, where the table says so), straight
 * into their place in the frame; those of the padding row are left out. Pulled rows are copied
 * straight from the answer to every place that wants them.
 */
#ifndef WORKER_PACK_H
#define WORKER_PACK_H

#include "worker/op.h"
#include "worker/param.h"

/*
 * Adds one table's part of a call, checked and planned: RH_ERANGE, RH_EINVAL (NaN, sizes, an
 * observer that writes), RH_ELIMIT, RH_ENOMEM. rows: read by pushes and writes (as long as the op is
 * not packed), written by pulls and reads (until the op is over).
 */
rh_status pack_add(rh_op *op, rh_table *t, enum op_action action, const uint64_t *ids, size_t n,
                   const float *in, float *out) MUST_CHECK;

/* The same for a dense parameter, whole. in, out: (numel). */
rh_status pack_add_param(rh_op *op, rh_param *p, enum op_action action, const float *in,
                         float *out) MUST_CHECK;

/* Makes the requests of everything that was added. The arrays in are not needed any more. */
rh_status pack_finish(rh_op *op) MUST_CHECK;

#endif
