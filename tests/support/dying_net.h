/*
 * dying_net.h - a transport for tests: wraps any other, lets so many RESTOREs out, and is dead from then on,
 * as if the client's process had been killed there: nothing leaves any more, and nothing comes in.
 */
#ifndef TESTS_DYING_NET_H
#define TESTS_DYING_NET_H

#include <stdbool.h>
#include <stdint.h>

#include "proto/net.h"

/* Takes inner, and closes it when it is closed. Fails the test when memory is out. */
struct net *dying_net_new(struct net *inner, uint32_t restores);

/* True once one has been kept from leaving. */
bool dying_net_is_dead(const struct net *n);

#endif
