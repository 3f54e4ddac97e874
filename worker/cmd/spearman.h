/* spearman.h - Spearman's rank correlation: do two lists of numbers rank things alike? */
#ifndef WORKER_CMD_SPEARMAN_H
#define WORKER_CMD_SPEARMAN_H

#include <stddef.h>

#include "common/status.h"

/* a, b: (n). Equal numbers share the mean of their ranks. RH_EINVAL below two pairs, or where all
 * numbers of a list are equal: then there is no rank. */
rh_status spearman(size_t n, const double *a, const double *b, double *out) MUST_CHECK;

#endif
