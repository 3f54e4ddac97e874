/* load.h - rh_load by the shards: each reads the file itself, and this client asks for it, step by
 * step, and looks that all have read the same. */
#ifndef WORKER_LOAD_H
#define WORKER_LOAD_H

#include "common/vecload.h"
#include "worker/client.h"

/* o->source is RH_SOURCE_SHARD. On a failure no row has changed, but for one of the last step, the
 * writing (RH_ETIMEDOUT: it is owed, as a push). Texts begin with rh_load. */
rh_status load_by_shards(rh_table *t, const char *path, const rh_load_options *o,
                         struct vecload_report *report) MUST_CHECK;

#endif
