/* batch.h - what others need of batch.c; the rest of it is rowhouse.h's. */
#ifndef WORKER_BATCH_H
#define WORKER_BATCH_H

#include "worker/op.h"

/* One call on one table, run; what is its caller's name, for texts. in: read by pushes and writes,
 * out: written by pulls and reads. */
rh_status batch_rows(rh_table *t, const char *what, enum op_action action, const uint64_t *ids,
                     size_t n, const float *in, float *out) MUST_CHECK;

/* For client_free. */
void batch_free_all(rh_client *c);

#endif
