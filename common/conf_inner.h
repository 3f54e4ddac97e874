/* conf_inner.h - what conf.c and conf_help.c share. */
#ifndef COMMON_CONF_INNER_H
#define COMMON_CONF_INNER_H

#include "common/conf.h"

enum { CONF_BOUNDS_MAX = 64 };

/* " from 1 to 65535", " of at least 1", or "". */
void conf_bounds(const struct conf_item *item, char out[CONF_BOUNDS_MAX]);

#endif
