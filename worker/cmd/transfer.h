/* transfer.h - what `rowhouse export` and `rowhouse import` have in common: names of formats, and a
 * bar. */
#ifndef WORKER_CMD_TRANSFER_H
#define WORKER_CMD_TRANSFER_H

#include "common/bar.h"
#include "worker/rowhouse.h"

#include "common/status.h"

#define TRANSFER_FORMATS "npy, safetensors, w2v, w2v-bin, glove or fasttext"

/* NULL is RH_FORMAT_AUTO. RH_EINVAL for a name that is none of them. */
rh_status transfer_format(const char *name, rh_format *out) MUST_CHECK;
const char *transfer_name(rh_format format);

/* A bar for one transfer, as rh_load_options and rh_export_options want it. */
struct transfer {
    struct bar bar;
    const char *name;                        /* in front */
    const char *(*show)(double, char *text); /* a rate in words: "1.2 MiB/s" */
    uint64_t done, total;
};

const char *transfer_rows(double per_second, char *text);  /* "212,345 rows/s" */
const char *transfer_bytes(double per_second, char *text); /* "81.4 MiB/s" */

void transfer_begin(struct transfer *t, const char *name,
                    const char *(*show)(double per_second, char *text));
void transfer_progress(void *t, uint64_t done, uint64_t total); /* an rh_progress */
/* Ends the line, if anything was drawn. The seconds that it took. */
double transfer_end(struct transfer *t);

#endif
