/* address.h - reading the text of an address: "tcp://host:7700", "tcp://[::1]:7700",
 * "ipc:///run/rowhouse.sock". Only the text is looked at; nothing is resolved or opened. */
#ifndef PROTO_ADDRESS_H
#define PROTO_ADDRESS_H

#include <stdbool.h>
#include <stdint.h>

#include "common/status.h"

enum {
    ADDRESS_MAX = 256, /* with the 0 at its end */
    ADDRESS_HOST_MAX = 128,
    ADDRESS_PATH_MAX = 108 /* what fits into a sockaddr_un, with the 0 */
};

struct address {
    bool ipc;                    /* else tcp */
    bool v6;                     /* tcp: host was written in brackets, and is a number */
    bool every;                  /* tcp: host is "*" or a number that means every interface */
    char host[ADDRESS_HOST_MAX]; /* tcp: without brackets */
    uint16_t port;               /* tcp: 0 is "*", any free one */
    char path[ADDRESS_PATH_MAX]; /* ipc */
};

/* listening: host and port may be "*". RH_EINVAL names the address and what is wrong with it. */
rh_status address_parse(const char *text, bool listening, struct address *out) MUST_CHECK;

#endif
