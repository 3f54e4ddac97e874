/* batch.h - what client_free needs to know of batches; the rest of batch.c is rowhouse.h's. */
#ifndef WORKER_BATCH_H
#define WORKER_BATCH_H

#include "worker/client.h"

void batch_free_all(rh_client *c);

#endif
