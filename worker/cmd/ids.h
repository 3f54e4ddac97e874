/* ids.h - which rows a command is about: numbers from its line, or from a file. */
#ifndef WORKER_CMD_IDS_H
#define WORKER_CMD_IDS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/status.h"

/* All zeros is one without any. */
struct ids {
    uint64_t *at; /* (n) */
    size_t n, cap;
};

bool ids_one(const char *text, size_t len, uint64_t *out); /* all of len characters are one id */
bool ids_is_list(const char *text);                        /* else it is a file's name */

/* "3,17,42". RH_EINVAL, RH_ENOMEM. */
rh_status ids_from_list(const char *text, struct ids *out) MUST_CHECK;

/* A text file of ids with white space between. RH_ENOTFOUND, RH_EIO, RH_ENOMEM; RH_ECORRUPT names the
 * line. */
rh_status ids_from_file(const char *path, struct ids *out) MUST_CHECK;
void ids_fini(struct ids *ids);

#endif
