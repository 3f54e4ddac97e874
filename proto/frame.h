/* frame.h - one frame in memory, counted by reference and pooled: fresh buffers cost page faults,
 * and a session keeps what the transport is still sending. */
#ifndef PROTO_FRAME_H
#define PROTO_FRAME_H

#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>

#include "common/status.h"

struct frame_pool;

/* data is 64-byte aligned in frames from frame_new; at any address in received ones: copy out with
 * memcpy. */
struct frame {
    uint8_t *data;
    size_t len, cap;
    atomic_int refs;
    void (*release)(struct frame *f); /* called by the thread that drops the last reference */
    struct frame_pool *pool;
    struct frame *next; /* for whoever holds it in a list: the pool, a queue */
    void *owner;        /* for release */
};

/* Keeps up to keep_bytes of free buffers. Any thread. Frames may outlive the pool's owner: it is
 * counted too. */
struct frame_pool *frame_pool_new(size_t keep_bytes);
void frame_pool_free(struct frame_pool **p);

/* A frame of len bytes, at most WIRE_FRAME_MAX (asserted), contents undefined, one reference, the
 * caller's. NULL when memory is out. */
struct frame *frame_new(struct frame_pool *p, size_t len);
struct frame *frame_ref(struct frame *f);

/* For who keeps a frame: the same bytes, one reference, and no more memory than they are. A small one
 * that was received shares a buffer of many KiB with its neighbours, and is copied; else this is
 * frame_ref. NULL when memory is out. */
struct frame *frame_keep(struct frame *f);
void frame_unref(struct frame *f); /* NULL is fine */

#endif
