/*
 * lossy_net.h - a transport for tests: wraps any other and loses, doubles and reorders frames, in
 * both directions, by a seeded generator. What PROTOCOL.md says a net may do, it does all the time.
 */
#ifndef TESTS_LOSSY_NET_H
#define TESTS_LOSSY_NET_H

#include <stdbool.h>
#include <stdint.h>

#include "proto/net.h"

struct lossy_counts {
    uint64_t passed, lost, doubled, late;
    uint64_t sent[256]; /* frames that were given to it to be sent, by kind */
};

struct lossy_config {
    uint64_t seed;
    uint32_t lost, doubled, late; /* of a hundred frames */
    struct lossy_counts *counts;  /* zeroed; where it counts, if that shall outlive it. Or NULL */
};

/* Takes inner, and closes it when it is closed. Never NULL: aborts when memory is out. */
struct net *lossy_net_new(struct net *inner, const struct lossy_config *c);

/* From now on all frames to this peer are lost, or no more. */
void lossy_net_cut(struct net *n, uint32_t peer, bool cut);

/* What happened so far. */
struct lossy_counts lossy_net_counts(const struct net *n);

#endif
