/* connect.h - joining a job over a net that is open already: what rh_connect ends in, and where the
 * tests put a net and a time of their own. */
#ifndef WORKER_CONNECT_H
#define WORKER_CONNECT_H

#include "worker/client.h"

/* RH_EINVAL names the field, or the environment's variable that it came from. */
rh_status config_check(const rh_config *cfg) MUST_CHECK;

/*
 * Dials the roster's addresses, says hello, and waits until every shard has welcomed. Takes net and
 * what roster points to in any case. cfg was checked.
 */
rh_status connect_over(const rh_config *cfg, struct net *net, const struct roster *roster,
                       const struct client_time *time, rh_client **out) MUST_CHECK;

#endif
