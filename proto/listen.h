/* listen.h - what ZeroMQ does not see to when it binds: host names, what may lie at a socket's path,
 * and the address by which others reach us. */
#ifndef PROTO_LISTEN_H
#define PROTO_LISTEN_H

#include <stddef.h>

#include "common/status.h"
#include "proto/address.h"

enum { LISTEN_ENDPOINT_MAX = ADDRESS_MAX + 16 };

/* The endpoint to bind for an address that was parsed into a. RH_EIO: its host has no number, or
 * its path is taken. */
rh_status listen_endpoint(const char *address, const struct address *a,
                          char endpoint[LISTEN_ENDPOINT_MAX]) MUST_CHECK;

/* The address to give to others, now that endpoint is bound. "Every interface" becomes the name of
 * this host. RH_EIO if it does not fit. */
rh_status listen_bound(const char *endpoint, const struct address *a, char *bound,
                       size_t cap) MUST_CHECK;

/* RH_EIO with the text for a failed bind. */
rh_status listen_failed(const char *address, int error, const char *text);

#endif
