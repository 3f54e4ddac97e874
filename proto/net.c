/* net.c - finds the transport of an address. A new transport is one file and one line here. */
#include "proto/net.h"

#include <stdio.h>
#include <string.h>

#include "common/err.h"

static const struct net_ops *const transports[] = {&net_tcp, &net_ipc};
enum { TRANSPORTS = sizeof transports / sizeof *transports };

rh_status net_find(const char *address, const struct net_ops **out) {
    char known[64] = "";
    size_t len = 0;
    for (int i = 0; i < TRANSPORTS; i++) {
        const char *scheme = transports[i]->scheme;
        size_t n = strlen(scheme);
        if (strncmp(address, scheme, n) == 0 && strncmp(address + n, "://", 3) == 0) {
            *out = transports[i];
            return RH_OK;
        }
        len +=
            (size_t)snprintf(known + len, sizeof known - len, "%s%s://", i > 0 ? ", " : "", scheme);
    }
    return err_set(
        RH_EINVAL,
        "the address \"%.200s\" begins with none of %s (\"local:\" and \"mpi:\" stand alone)",
        address, known);
}
