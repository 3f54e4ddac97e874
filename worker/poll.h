/* poll.h - asking shards the same thing again and again until they have done it: what takes its time
 * there, saving and restoring. Pauses grow; the deadline is for progress, not for the whole. */
#ifndef WORKER_POLL_H
#define WORKER_POLL_H

#include "common/buf.h"
#include "worker/op.h"

struct poll {
    rh_client *c;
    const char *what;    /* for texts: "rh_save" */
    int timeout_ms;      /* negative: the client's op_timeout_ms */
    int64_t deadline_ms; /* so long behind the last progress */
    uint64_t seen;       /* a number of how far they were */
    int pause_ms;
};

/* Takes this thread's turn: one of a client's threads is in such a call. RH_ETIMEDOUT: another is.
 * On RH_OK poll_end follows. */
rh_status poll_begin(struct poll *p, rh_client *c, const char *what) MUST_CHECK;
void poll_end(struct poll *p);

/* For a thread that keeps all others out. */
void poll_init(struct poll *p, rh_client *c, const char *what, int timeout_ms);

/* One request to each of shards first .. first + n - 1, and their answers. take, sink: as in op.h. */
rh_status poll_ask(const struct poll *p, uint32_t first, uint32_t n, enum wire_kind kind,
                   uint16_t flags, const struct buf *body,
                   bool (*take)(rh_op *op, const struct op_request *q, const struct head *h,
                                struct rd *body),
                   void *sink) MUST_CHECK;

/* The same once, and nobody waits for the answers. */
void poll_tell(const struct poll *p, uint32_t first, uint32_t n, enum wire_kind kind,
               uint16_t flags, const struct buf *body);

/* Pauses: for so long, or ever longer. False: the deadline comes first, or the wait was interrupted. */
bool poll_rest_ms(struct poll *p, int ms);
bool poll_rest(struct poll *p);

/* How far they are now: if that is news, there is no hurry. */
void poll_note(struct poll *p, uint64_t seen);

#endif
