/* watch.h - is the thread of a shard stuck? A decision of what can be seen from outside; no clock, no
 * thread. Its socket's answers do not tell: ZeroMQ goes on taking frames for a thread that hangs in a
 * file system, or in a lock. */
#ifndef PS_WATCH_H
#define PS_WATCH_H

#include <stdbool.h>
#include <stdint.h>

enum {
    WATCH_LOOK_MS = 500, /* between two looks */
    WATCH_PATIENCE = 10  /* times the timeout, for what works, or waits for who works */
};

/* One look at a thread. */
struct watch_sight {
    uint64_t turns; /* frames that it is done with */
    bool busy;      /* it has one in hand */
    bool helped;    /* a task that it gave away runs: it may wait for that, which has deadlines */
    int64_t cpu_ms; /* that it has used, ever */
};

/* What is remembered between looks; zeros at first. */
struct watch {
    uint64_t turns;
    int64_t looked_ms;
    int64_t stuck_ms; /* in one frame, as far as was seen */
    int64_t cpu_ms;   /* that it had used when that began */
};

/*
 * True if the thread has had one frame in hand for longer than timeout_ms and did not even compute; or for
 * WATCH_PATIENCE times that, whatever it does: a reset or a load of a large table is long, and legal.
 * w->stuck_ms says for how long. A pause of the whole process is none of the thread's: of the time between
 * two looks no more counts than twice what there should be.
 */
bool watch_look(struct watch *w, const struct watch_sight *is, int64_t now_ms, int64_t timeout_ms);

#endif
