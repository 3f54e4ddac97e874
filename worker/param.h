/*
 * param.h - a dense parameter: a tensor kept as a table of rows of 1,024 floats, whose name ends in
 * the tensor's shape. The last row may be longer than what is left of the tensor for it: nobody sees
 * the rest of it, and its gradient is zeros.
 */
#ifndef WORKER_PARAM_H
#define WORKER_PARAM_H

#include "worker/client.h"

enum { PARAM_ROW = 1024, PARAM_NUMEL_BITS = 32 };

struct rh_param {
    rh_table *table;
    struct rh_param *next;        /* in the client's list */
    char name[WIRE_NAME_MAX + 1]; /* without the shape */
    uint32_t ndim;
    uint64_t shape[RH_PARAM_DIMS_MAX];
    uint64_t numel;
    uint32_t lacks; /* floats of the last row that are not the tensor's */
    uint64_t *ids;  /* (rows) 0, 1, 2 ... */
};

/* For client_free. */
void param_free_all(rh_client *c);

#endif
