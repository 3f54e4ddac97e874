/* roster.h - who is in the job and where: from a list of addresses, or from MPI, which is opened at
 * run time as a plug-in of ours, only when it is asked for, and sleeps for ever after one exchange.
 */
#ifndef PROTO_ROSTER_H
#define PROTO_ROSTER_H

#include <stddef.h>
#include <stdint.h>

#include "common/status.h"
#include "proto/place.h"

enum { ROSTER_ADDRESS_MAX = 256 };

struct roster {
    char (*servers)[ROSTER_ADDRESS_MAX]; /* (shards), in shard order */
    uint32_t shards;
    uint32_t rank, world; /* this worker's; world 0: not known from here */
    char job[65];         /* the job's token, when the exchange made one; else "" */
};

/* "tcp://a:1,tcp://b:2" in shard order. RH_EINVAL names the piece: unknown scheme, empty, given
 * twice, too many. */
rh_status roster_parse(const char *servers, struct roster *out) MUST_CHECK;
void roster_fini(struct roster *r);

/* True inside a process that mpirun started. */
int roster_under_mpi(void);

/* What a rank does when it knows who is in the job, before any rank goes on. */
typedef rh_status roster_ready_fn(void *arg, const struct roster *r);

/* One exchange among all ranks of this mpirun, then MPI is finalized. A server rank gives the
 * addresses of its shards (n of them, in its order); a worker rank gives none. Server ranks come
 * first in shard order by rank; workers are numbered by rank among workers. Sleeps while it waits,
 * also for the others' ready. ready: NULL, or a function whose failure is ours; then the process must
 * end. RH_EIO: the plug-in or MPI is missing, with the package to install. */
rh_status roster_from_mpi(const char *const *addresses, uint32_t n, roster_ready_fn *ready,
                          void *arg, struct roster *out) MUST_CHECK;

#endif
