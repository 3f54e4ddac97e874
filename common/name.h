/* name.h - names that people give to tables and checkpoints: which characters, and how many. */
#ifndef COMMON_NAME_H
#define COMMON_NAME_H

#include "common/status.h"

enum { NAME_MAX_BYTES = 64 };

/* 1 to 64 of [A-Za-z0-9_.-]. RH_EINVAL calls it the name of a `what`, such as "table". */
rh_status name_check(const char *what, const char *name) MUST_CHECK;

#endif
