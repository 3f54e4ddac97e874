/* errors.c - the public side of statuses and texts. The public header states the enum for its
 * readers; here the two lists are held together. */
#include "worker/rowhouse.h"

#include "common/err.h"
#include "common/status.h"

/* rowhouse.h, included first, has defined the enum itself. */
#define AGREES(name, number, text) \
    _Static_assert((int)name == (number), "rowhouse.h and common/status.h disagree on " #name);
RH_STATUS_MAP(AGREES)

const char *rh_strstatus(rh_status status) {
    return status_text(status);
}

const char *rh_errmsg(void) {
    return err_text();
}

const char *rh_version(void) {
    return RH_VERSION;
}
