/* disk.h - the folder of checkpoints that all servers of a trial share. Who works on it in a coro rests before every step,
 * so that training goes on between any two; a process that is dead does nothing to it any more. */
#ifndef TESTS_SIM_DISK_H
#define TESTS_SIM_DISK_H

#include "tests/support/memory_disk.h"

struct disk {
    struct ckpt_io io; /* first */
    struct memory_disk d;
    /* Before a step. False: the process that wants it is dead. */
    bool (*step)(void *arg);
    void *arg;
};

void disk_init(struct disk *x, bool (*step)(void *arg), void *arg);
void disk_fini(struct disk *x);

/* Power is lost, now: what was not synced is there, or not, or torn. At most once in a disk's life. */
void disk_crash(struct disk *x, enum disk_crash how, struct rng *g);

#endif
