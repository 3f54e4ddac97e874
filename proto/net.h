/* net.h - the transport ops table. A transport carries frames between peers; it may lose, repeat
 * and reorder them, never change or cut them. Everything above it is a state machine that is handed
 * frames and hands back frames.
 *
 * A net belongs to one thread at a time (its owner holds a lock, or is the only thread); the sole
 * call for other threads is wake. Nothing here blocks: the owner waits on fd with poll(2) after
 * recv has returned NULL. */
#ifndef PROTO_NET_H
#define PROTO_NET_H

#include <stddef.h>
#include <stdint.h>

#include "common/status.h"
#include "proto/frame.h"

struct net {
    const struct net_ops *ops;
    struct frame_pool *pool; /* frames to send come from here */
};

struct net_ops {
    const char *scheme; /* "tcp": what stands before :// in an address */

    /* A new net without peers. RH_ENOMEM, RH_EIO. */
    rh_status (*open)(const struct net_ops *ops, struct net **out);

    /* Accepts peers at address; "tcp://127.0.0.1:*" takes a free port. bound: the address to give
     * to others. A net listens at most once. RH_EIO with the address and the reason (in use, no
     * such interface); RH_EINVAL if it cannot be read. */
    rh_status (*listen)(struct net *n, const char *address, char *bound, size_t cap);

    /* A peer to send to. Does not wait: whether somebody is there shows in answers, and what is sent
     * before then may be kept until somebody is. RH_EINVAL if address cannot be read. */
    rh_status (*dial)(struct net *n, const char *address, uint32_t *peer);

    /* Forgets a dialled peer, with what was not sent. */
    void (*hangup)(struct net *n, uint32_t peer);

    /* Takes one reference to f, whatever happens. RH_EUNREACHABLE: the peer is gone or takes no
     * more; the frame is dropped, as any network may. Never blocks. f's bytes must not change until
     * it is released. */
    rh_status (*send)(struct net *n, uint32_t peer, struct frame *f);

    /* The next frame and its peer; the caller drops its reference. NULL: nothing now. Peers that
     * came to us (listen) and peers that we dialled have numbers of one space. What came in that
     * can be no frame is handed on as one of no bytes. */
    struct frame *(*recv)(struct net *n, uint32_t *peer);

    /* Readable when recv may have something, or after wake. -1: this transport needs no waiting
     * (local:). Edge-triggered underneath: recv must have returned NULL, after the last send,
     * before the owner polls. */
    int (*fd)(struct net *n);

    /* Makes fd readable once. Any thread. */
    void (*wake)(struct net *n);

    /* Gives sent frames up to linger_ms to leave, then frees. */
    void (*close)(struct net *n, int linger_ms);
};

extern const struct net_ops net_tcp; /* tcp:// over ZeroMQ: between hosts, or on 127.0.0.1 */
extern const struct net_ops net_ipc; /* ipc:// over ZeroMQ: a socket file */

/* The transport of an address by its scheme. RH_EINVAL names the schemes that there are. */
rh_status net_find(const char *address, const struct net_ops **out) MUST_CHECK;

#endif
