/*
 * rewind.h - the steps by which all shards go to one checkpoint: each reads it aside; when all have, it
 * goes into the place of everything they have, at the lead first; then the lead is told that all are
 * there. For rh_restore, and for clients that put a job right whose server has died.
 *
 * Several clients may want this at once, and none may leave half of it for good. A random ticket tells
 * their requests apart. The lead has one ticket in hand at a time, and a client asks the other shards only
 * while the lead has its own; so all do not read at once. Step 1 is sent to the others only behind the
 * lead's: of two clients whose tickets were in hand one after the other, the lead refuses step 1 to the
 * one whose ticket is not there any more. So one ticket only is ever put in place elsewhere. Whoever sends
 * it may die at any point: the lead stays pending, and the next client carries the ticket on.
 */
#ifndef WORKER_REWIND_H
#define WORKER_REWIND_H

#include "proto/msg.h"
#include "worker/poll.h"

struct rewind {
    struct poll *p;
    char name[WIRE_NAME_MAX + 1]; /* "": the last generation, until the lead tells which that is */
    bool any;                     /* it was "", so another's ticket is as good */
    bool over;                    /* the lead has refused the ticket: it is in nobody's hands */
    uint32_t ticket;
    struct msg_restored *at; /* (shards) what each has said last */
    struct msg_gone gone;    /* by all that any of them has told */
};

/* To checkpoint `name`, or ("") to the job's last generation; under a new ticket, or (not 0) under one that
 * the lead has put in place already. RH_ENOMEM. */
rh_status rewind_init(struct rewind *g, struct poll *p, const char *name,
                      uint32_t ticket) MUST_CHECK;
void rewind_fini(struct rewind *g);

/* Step 0: until all have read the same. Nothing has changed then. */
rh_status rewind_read(struct rewind *g) MUST_CHECK;

/* Steps 1 and 2. *nothing: it has failed, and nothing has changed. */
rh_status rewind_place(struct rewind *g, bool *nothing) MUST_CHECK;

/* Whoever still has it in hand lets it go. The error text may be another one then. */
void rewind_undo(const struct rewind *g);

/* "shards 0, 2", or "no shard": where it is in place, as far as is known, or where it is not. */
void rewind_list(const struct rewind *g, bool in_place, char *out, size_t cap);

#endif
