/*
 * proxy.h - stands between clients and servers on TCP, in a process of its own, and does to their
 * connections what networks do. A route leads to one server, and outlives it: clients are given the
 * route's address. One fault is in hand at a time; it strikes the first connection of its route, old or new,
 * that has carried so many more bytes in its direction.
 */
#ifndef TESTS_SUPPORT_PROXY_H
#define TESTS_SUPPORT_PROXY_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

enum { PROXY_ROUTES = 8 };

enum proxy_fault {
    PROXY_CUT,       /* it is reset on both sides, behind that very byte */
    PROXY_HALF_OPEN, /* the receiver's side is reset, the sender's stays, and its bytes vanish for ms */
    PROXY_BLACKHOLE, /* both sides stay, nothing gets through for ms, then both are reset */
    PROXY_TRICKLE,   /* one byte a second each way for ms, then what was held back at once */
    PROXY_DELAY,     /* nothing gets through for ms, then what was held back at once */
    PROXY_FAULTS
};
extern const char *const proxy_fault_names[PROXY_FAULTS];

struct proxy {
    pid_t pid;
    uint32_t n;
    uint16_t ports[PROXY_ROUTES];
    char list[PROXY_ROUTES * 32]; /* of the routes' addresses, for rh_config.servers */
    struct proxy_order *order;    /* shared with the process */
};

/* A route to each of these "tcp://127.0.0.1:PORT". */
void proxy_start(struct proxy *p, const char (*servers)[256], uint32_t n);
void proxy_stop(struct proxy *p);

/* Puts a fault in hand, in the place of the one that was. to_server: which direction's bytes are counted. */
void proxy_order(struct proxy *p, enum proxy_fault fault, uint32_t route, bool to_server,
                 uint32_t after_bytes, uint32_t ms);
/* How many faults have struck, and how many of those are over, since proxy_start. */
uint32_t proxy_struck(const struct proxy *p);
uint32_t proxy_over(const struct proxy *p);

#endif
