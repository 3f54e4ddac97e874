/* run_flags.h - what the launcher looks at in the servers' flags: those about checkpoints. What they say
 * must mean the same to every rank, and what cannot work is said before anything starts. */
#ifndef WORKER_CMD_RUN_FLAGS_H
#define WORKER_CMD_RUN_FLAGS_H

#include <stdbool.h>

#include "common/status.h"

/* flags: NULL-terminated, with room for one more; --checkpoint-dir becomes absolute there, and
 * RH_CHECKPOINT_DIR becomes one. *made: to be freed when flags are not needed any more. here: servers
 * run on this host alone, so that their folder can be looked at. RH_EINVAL is the user's mistake. */
rh_status run_flags_settle(char **flags, bool here, char **made) MUST_CHECK;

#endif
