/*
 * late.h - what is said when a deadline has passed: whom it waits for, as far as the shard has told.
 * Not exported.
 */
#ifndef WORKER_LATE_H
#define WORKER_LATE_H

#include "worker/client.h"

/* `what` has asked a shard for something at since_ms, and its deadline has passed: RH_EUNREACHABLE if
 * the shard is silent, else RH_ETIMEDOUT; the text says who waits for whom. With the lock held. */
rh_status late_answer(const rh_client *c, const char *what, uint32_t shard, int64_t since_ms);

#endif
