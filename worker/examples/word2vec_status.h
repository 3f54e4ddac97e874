/* word2vec_status.h - statuses of the library as the trainer's own. */
#ifndef EXAMPLES_WORD2VEC_STATUS_H
#define EXAMPLES_WORD2VEC_STATUS_H

#include "worker/rowhouse.h"

#include "common/err.h"

/* Its text becomes err_text. */
static inline rh_status from_library(rh_status s) {
    return s == RH_OK ? s : err_set(s, "%s", rh_errmsg());
}

#endif
