/*
 * local.h - the transport "local:": shards inside this process, called directly in the caller's
 * thread. What send() hands over is answered before it returns; recv() gives the answers. This is
 * the only file above the wire that includes ps/.
 */
#ifndef WORKER_LOCAL_H
#define WORKER_LOCAL_H

#include "proto/net.h"
#include "proto/roster.h"
#include "worker/rowhouse.h"

extern const struct net_ops net_local;

/* Private shards for one client: cfg->local_shards, or N of "local:N". The roster names them, to be
 * dialled. RH_EINVAL if cfg->servers cannot be read. Both are the caller's. */
rh_status local_open(const rh_config *cfg, struct roster *roster, struct net **out) MUST_CHECK;

#endif
