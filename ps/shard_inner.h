/* shard_inner.h - the inside of a shard, shared by the files that make it up: shard.c (frames in,
 * hello), ops.c (what changes state), loads.c (files), pulls.c (what reads), clocks.c and bsp.c (clocks),
 * limits.c (how much may be held), silence.c (how long others wait for who is silent), lead.c (what all
 * shards must agree on), cuts*.c (checkpoints of the running job), restores.c (and back), rejoin.c (a shard
 * that waits to be filled), freezing.c, resets.c (tables that begin anew, or end), notes.c (what it writes
 * down), waits.c (why somebody waits), facts.c. */
#ifndef PS_SHARD_INNER_H
#define PS_SHARD_INNER_H

#include "proto/msg.h"
#include "ps/ckpt_manifest.h"
#include "ps/fold.h"
#include "ps/session.h"
#include "ps/shard.h"
#include "ps/table.h"

enum {
    SHARD_WORLD_MAX = 65536,
    SHARD_TABLES_MAX = 65536,
    SHARD_TAKEN_AFTER_MS = 10000,
    SHARD_TICKETS = 1024,
    SHARD_CLOCKS_AHEAD = 1024 /* bsp: of the clock that is open: further ones are not begun */
};

/* rh_mode's numbers: they are on the wire. */
enum { MODE_UNSET = 0, MODE_ASYNC = 1, MODE_SSP = 2, MODE_BSP = 3 };

/* One section of an op, with its table. */
struct part {
    struct msg_section sec;
    struct table *table;
};

struct cut_work;

/* A wish for a checkpoint that the lead has answered for good. */
struct save_ticket {
    uint32_t ticket;
    uint32_t generation; /* that it has begun or joined; 0: none, and it was refused with ... */
    rh_status status;
};

/* A checkpoint of the running job: the attempt in hand, or the last one. */
struct cut {
    uint32_t generation;          /* 0: there was none yet */
    uint32_t phase;               /* enum msg_phase; 0: none yet */
    char name[CKPT_NAME_MAX + 1]; /* "": not heard yet */
    int64_t began_ms, asked_ms;   /* asked: somebody still wants it */
    uint32_t asker;               /* the lead: rank of who has begun it, or WIRE_OBSERVER */
    uint32_t clock;               /* the lead, but not under async: the clock that it stands at */
    rh_status status;             /* of MSG_GIVEN_UP */
    char text[256];
    struct msg_written written;    /* agreed from MSG_WRITING on, all of it from MSG_WRITTEN on */
    struct ckpt_manifest manifest; /* from MSG_WRITING on */
    struct cut_work *work;         /* its files; NULL: nothing is written */
    struct cut_work *left;         /* of an attempt that was given up: goes when it is done */
    uint64_t next;                 /* the lead: the next generation; 0: to be looked up */
    uint32_t begun;                /* the lead: the last one, of an earlier life too */
    struct save_ticket tickets[SHARD_TICKETS]; /* the lead: ring */
    uint32_t n_tickets;                        /* ever */
};

struct reading;

/* The last checkpoint that was restored into the running shard. */
struct restored {
    uint32_t times; /* lives that were ended so; 0: none was */
    uint32_t ticket;
    uint64_t generation;
    char name[CKPT_NAME_MAX + 1];
};

struct shard {
    struct shard_config cfg;
    struct net *net;
    int64_t now_ms; /* of the frame in hand */
    int64_t born_ms;
    int64_t begun_ms;     /* when the first worker of those that are here was let in */
    int64_t looked_ms;    /* for silent workers, last */
    uint32_t mode, world; /* of the job; 0: no worker has come yet */
    uint32_t staleness;   /* ssp: how many clocks others may be behind a pull; else 0 */
    uint64_t closed;      /* bsp: clocks below it are closed */
    uint64_t resumed;     /* bsp: what was ahead of clocks below it has been taken */

    struct session **sessions; /* (n_sessions) by rank; NULL: never seen */
    uint32_t n_sessions;
    uint32_t inc_floor; /* incarnations of workers are not below it */

    struct table **tables; /* (n_tables) by number - 1; NULL: another shard's lead has given it, not
                              heard of here */
    struct table **dropped; /* (n_tables) likewise: what is left of those that were dropped */
    uint64_t *steps;        /* (n_tables) T of each */
    uint32_t n_tables;

    struct fold fold;
    struct part *parts; /* (WIRE_SECTIONS_MAX) of the op in hand */
    enum msg_state state;
    uint16_t answered; /* the status of the last op that was taken */
    bool revived;      /* it goes on from what an earlier life has written down */
    rh_status broken;  /* not RH_OK: a clock could not be closed, or an op not be written down;
                          every request is refused with broken_text */
    char broken_text[256];

    struct cut cut;
    struct reading *reading; /* a checkpoint that is to be restored, read aside; or NULL */
    struct restored restored;
    atomic_uint_fast64_t filled_bytes; /* of files, by ckpt_shard_restore: others may look */
    /* The newest checkpoint that was committed, or restored, in this life. */
    char saved_name[CKPT_NAME_MAX + 1];
    uint64_t saved_generation, saved_clock; /* generation 0: none */
    uint32_t origin; /* a number of the checkpoint or restore that all this is of; 0: of none */

    uint32_t freezes; /* and unfreezes that were applied; wraps. Every answer tells it */
    uint64_t tickets[SHARD_TICKETS]; /* ring: digests of what observers have frozen */
    uint32_t n_tickets;              /* ever */

    uint64_t pulls, pulled_rows, pushes, pushed_rows, repeats, refused, bad_frames;
};

/* ---- answers (shard.c): to whoever sent h, from peer. What cannot be sent is lost, as on any
 * network. ---- */
void shard_answer(struct shard *s, uint32_t peer, const struct head *h, uint8_t kind,
                  const struct buf *body);
void shard_refuse(struct shard *s, uint32_t peer, const struct head *h, rh_status status);
void shard_send(struct shard *s, uint32_t peer, struct frame *f);
/* The header of an answer to h: echoes its number, names both incarnations. */
struct head shard_head(const struct shard *s, const struct head *h, uint8_t kind);

/* Gives a task away. The one before is done. */
void shard_give(struct shard *s, struct shard_task *t);

/* RH_EROLLBACK: a frame that was meant for another life of this shard. */
rh_status shard_check_life(const struct shard *s, const struct head *h) MUST_CHECK;

/* ALIVE. wanted: the generation that the asker is to mark, or 0. */
void shard_say_alive(struct shard *s, uint32_t peer, const struct head *h,
                     const struct msg_alive *m, uint32_t wanted);

/* Sessions and tables are gone. */
void shard_empty(struct shard *s);

/* RH_EINVAL: this shard is read-only, and such a request changes something. */
rh_status shard_may(const struct shard *s, uint8_t kind) MUST_CHECK;

struct table *shard_table(const struct shard *s, uint32_t number);   /* NULL: no such table */
struct table *shard_dropped(const struct shard *s, uint32_t number); /* NULL: it was not dropped */
/* Why shard_table is NULL, to whom `what` names that number: RH_ENOTFOUND if it was dropped, or
 * RH_EPROTO. */
rh_status shard_no_table(const struct shard *s, const char *what, uint32_t number) MUST_CHECK;
/* Of a table that is here, or was. */
uint32_t shard_dim(const struct shard *s, uint32_t number);
struct session *shard_session(const struct shard *s, uint32_t rank); /* NULL: never seen */

/* ---- notes.c: before something changes. RH_EIO: it may not, and nothing may any more. ---- */
enum { NOTES_STATE_MAX = 1 << 30 };
rh_status notes_frame(struct shard *s, const struct frame *f) MUST_CHECK;
/* The same of one that is at hand no more. */
rh_status notes_request(struct shard *s, const struct head *h, const struct buf *body) MUST_CHECK;
/* A HELLO that lets this incarnation in. */
rh_status notes_hello(struct shard *s, const struct head *h, const struct msg_hello *m,
                      uint32_t inc) MUST_CHECK;
rh_status notes_generation(struct shard *s, uint32_t generation) MUST_CHECK;
/* What a load has read, if that is all of it. */
rh_status notes_staged(struct shard *s, const struct session *w) MUST_CHECK;
/* What follows goes on from this checkpoint, which was put in place ("": the empty job was), or, if it is
 * a cut, is about to be taken here and now. */
rh_status notes_begin(struct shard *s, bool cut, const char *name, uint64_t generation) MUST_CHECK;
/* The way back, of NOTE_STAGED. */
rh_status notes_stage(struct shard *s, const void *p, size_t len) MUST_CHECK;

/* ---- notes_state.c ---- */
void notes_state_put(const struct shard *s, struct buf *b);
/* Into a shard that is empty, or filled from the checkpoint that this goes with. RH_ECORRUPT. */
rh_status notes_state_get(struct shard *s, const void *p, size_t len) MUST_CHECK;

/* ---- ops.c ---- */
void ops_frame(struct shard *s, struct session *w, const struct head *h, struct frame *f);
/* Reads and checks every section of a PUSH or WRITE into s->parts, ids and all: nothing is applied
 * before all of it is known to be good. */
rh_status ops_parts(struct shard *s, const struct head *h, const struct frame *f) MUST_CHECK;
/* The same of an op that is held: a section of a table that was dropped since then has table NULL. */
rh_status ops_held_parts(struct shard *s, const struct waiting *op) MUST_CHECK;
/* A taken write, now: on arrival (async) or at the close of its clock
 * (bsp). */
rh_status ops_write(struct shard *s, const struct head *h, const struct frame *f) MUST_CHECK;
/* Takes what has waited for a cut, or for clocks to close, of every worker. */
void ops_resume(struct shard *s);
/* An observer may ask for a table that exists. */
void ops_find(struct shard *s, uint32_t peer, const struct head *h, struct frame *f);

/* ---- loads.c ---- */
/* STAGE: reads on in a file. */
void loads_stage(struct shard *s, struct session *w, const struct head *h, const struct frame *f);
/* What STAGED tells of it, and a stage that all of it was told of. */
struct msg_staged loads_told(const struct stage *k);
void loads_end(struct stage *k, const struct msg_staged *told);
/* LOAD: writes what was read, or holds it until the clock closes, when loads_apply writes it. */
rh_status loads_take(struct shard *s, struct session *w, const struct head *h,
                     struct frame *f) MUST_CHECK;
rh_status loads_apply(struct shard *s, struct waiting *op) MUST_CHECK; /* the table is there */

/* ---- freezing.c ---- */
/* A FREEZE or FREEZE_IDS: whether it can be applied; then doing so. */
rh_status freezing_check(struct shard *s, const struct head *h, const struct frame *f) MUST_CHECK;
rh_status freezing_apply(struct shard *s, const struct head *h, const struct frame *f) MUST_CHECK;
/* The same from an observer, answered. */
void freezing_observed(struct shard *s, uint32_t peer, const struct head *h, struct frame *f);
/* Tells what is frozen in a table. */
void freezing_tell(struct shard *s, uint32_t peer, const struct head *h, uint32_t table);

/* ---- pulls.c ---- */
/* w NULL: an observer, who waits for nothing. */
void pulls_frame(struct shard *s, struct session *w, uint32_t peer, const struct head *h,
                 struct frame *f);
/* Answers the parked pulls of a worker (or of all) whose time has come. */
void pulls_release(struct shard *s, struct session *w);
void pulls_release_all(struct shard *s);

/* ---- clocks.c ---- */
/* The worker is in clock `clock` now: the ones before are over for it. */
void clocks_enter(struct shard *s, struct session *w, uint64_t clock);
/* A worker has ended clocks, has come, or has left: closes those that are over for all (bsp), and
 * answers the pulls that have waited for it. */
void clocks_turn(struct shard *s);
/* True if a pull of that clock waits for nobody's clocks. */
bool clocks_allow(const struct shard *s, const struct session *w, uint64_t clock);
/* The lowest rank that it waits for, to end clock *missing; or WIRE_NOBODY. */
uint32_t clocks_laggard(const struct shard *s, const struct session *w, uint64_t clock,
                        uint64_t *missing);
/* How many of the clocks before that one have not been ended by all others who are here, or come back
 * after a restore: so old may be what a pull of it sees. */
uint64_t clocks_age(const struct shard *s, const struct session *w, uint64_t clock);

/* ---- bsp.c ---- */
/* Closes every clock that all workers have ended. */
void bsp_close(struct shard *s);
/* The lowest rank that has not ended `clock`, or WIRE_NOBODY. */
uint32_t bsp_laggard(const struct shard *s, uint64_t clock);

/* A CANCEL of this worker: what is held of that call of its open clock is let go. */
void bsp_cancel(struct shard *s, struct session *w, const struct head *h, uint32_t call);

/* ---- limits.c ---- */
/* Whether an op of so many bytes may be held under bsp; whether the rows of files that are read may stay.
 * RH_ELIMIT says how much is held, and by whom. */
rh_status limits_hold(const struct shard *s, size_t op_bytes) MUST_CHECK;
rh_status limits_read(const struct shard *s) MUST_CHECK;
/* Under bsp: an op of that clock is not taken yet. */
bool limits_is_ahead(const struct shard *s, uint64_t clock);
/* Whether one more pull of so many bytes may be parked. */
bool limits_may_park(const struct shard *s, const struct session *w, size_t more_bytes);
/* Around a batch that goes into a table at once: sets how many new rows it may have, then tells in
 * *over what did not fit. */
struct over {
    uint64_t rows;             /* in all */
    const struct table *table; /* and the first of them */
    uint64_t id;
};
void limits_enter(const struct shard *s, struct table *t);
void limits_leave(struct table *t, struct over *over);
/* RH_ELIMIT if any did not. */
rh_status limits_say(const struct shard *s, const struct over *over) MUST_CHECK;
/* Under bsp: promises the new rows of the op in s->parts, or of a file. RH_ELIMIT: they do not all fit,
 * and none is promised. */
rh_status limits_promise(struct shard *s, uint16_t sections) MUST_CHECK;
rh_status limits_promise_load(struct shard *s, struct table *t, const struct stage *k) MUST_CHECK;
/* What is held has become less: promises are made anew. */
void limits_recount(struct shard *s);

/* ---- silence.c ---- */
/* Refuses what waits for a worker that is silent for too long. */
void silence_turn(struct shard *s);

/* ---- lead.c ---- */
/* Lets a worker in, or says why not: mode, world, rank. Creates its session. *welcome is filled in.
 */
rh_status lead_admit(struct shard *s, uint32_t peer, const struct head *h,
                     const struct msg_hello *m, struct session **out) MUST_CHECK;
/* The table that an OPEN of this worker means, made if need be and allowed. *out is checked against
 * the spec that was asked for. */
rh_status lead_open(struct shard *s, const struct msg_open *m, uint32_t rank, bool make,
                    struct table **out) MUST_CHECK;
bool lead_anybody_here(const struct shard *s);
/* The session of a rank below the world, made if need be. */
rh_status lead_session(struct shard *s, uint32_t rank, struct session **out) MUST_CHECK;
/* Before `into` takes the place of s: while others are at work, who has said goodbye does not come
 * again, wherever it stood in a checkpoint; when nobody is, all come anew. Incarnations go on rising, so
 * that a hello of before, which comes late, is none of a newer client. RH_ENOMEM. */
rh_status lead_succeed(const struct shard *s, struct shard *into) MUST_CHECK;
/* The clock of whoever is furthest. */
uint64_t lead_furthest(const struct shard *s);
void lead_barrier(struct shard *s, struct session *w, const struct head *h, uint32_t index);
/* Lets go whoever waits at a barrier that everyone has reached. */
void lead_release(struct shard *s);
/* The lowest rank that has not reached a barrier, or WIRE_NOBODY. */
uint32_t lead_absent(const struct shard *s, uint32_t index);

/* ---- cuts.c ---- */
/* What has become due: files that are written, marks that are missing for too long. */
void cuts_turn(struct shard *s);
/* The ops of this worker wait until the cut is made. */
bool cuts_hold(const struct shard *s, const struct session *w);
/* Whom they wait for: the lowest rank that has not marked, or WIRE_NOBODY. */
uint32_t cuts_missing(const struct shard *s);
/* Which attempt is in hand, since when, and whom it waits for. */
void cuts_tell(const struct shard *s, struct msg_in_hand *out);
/* The generation that the sender of a TICK or BEAT is told to mark, or 0. */
uint32_t cuts_wanted(const struct shard *s, const struct session *w, const struct head *h);
/* A MARK was taken. */
void cuts_mark(struct shard *s, struct session *w, uint32_t generation);
/* Cuts if all have marked. */
void cuts_try(struct shard *s);
/* A worker that has not marked will not, for it waits for others. */
void cuts_barrier(struct shard *s, const struct session *w);
/* w NULL: an observer. */
void cuts_save(struct shard *s, struct session *w, uint32_t peer, const struct head *h,
               struct rd *r);
void cuts_commit(struct shard *s, uint32_t peer, const struct head *h, struct rd *r);
void cuts_cursor(struct shard *s, uint32_t peer, const struct head *h, struct rd *r);
/* RH_EINVAL: this shard has no folder for checkpoints. */
rh_status cuts_check_folder(const struct shard *s) MUST_CHECK;
/* Gives up the attempt in hand, since a checkpoint is being restored. False: files of it, or of an
 * earlier one, are still at work. */
bool cuts_stop(struct shard *s);
void cuts_fini(struct shard *s);

/* ---- restores.c ---- */
void restores_frame(struct shard *s, uint32_t peer, const struct head *h, struct rd *r);
/* What has become due: a reading that is over, or that nobody wants any more. */
void restores_turn(struct shard *s);
/* A checkpoint is being read, or waits to be put in place: no other is begun. */
bool restores_in_hand(const struct shard *s);
/* Which one, and how far it is. */
void restores_tell(const struct shard *s, struct msg_in_hand *out);
void restores_fini(struct shard *s);

/* ---- rejoin.c ---- */
/* RH_EROLLBACK: this shard waits to be filled, or for others to be where it is. */
rh_status rejoin_check(const struct shard *s) MUST_CHECK;
/* A request, of whomever, to such a shard: neither HELLO nor RESTORE, and meant for this life. */
void rejoin_frame(struct shard *s, uint32_t peer, const struct head *h, struct rd *r);
/* The lead: the name of the job's last generation; "" is the empty job. May read the folder. */
rh_status rejoin_last(const struct shard *s, char out[CKPT_NAME_MAX + 1]) MUST_CHECK;

/* Who has said goodbye, as long as somebody of the world has not. */
void rejoin_tell_gone(const struct shard *s, struct msg_gone *out);
/* Before `into` takes the place of s: nor are those waited for who have said goodbye to other shards, unless
 * they are at work here. RH_ENOMEM. */
rh_status rejoin_let_go(const struct shard *s, struct shard *into,
                        const struct msg_gone *gone) MUST_CHECK;

/* ---- resets.c ---- */
/* A RESET or DROP: checked, and applied if it is time to. */
rh_status resets_reset(struct shard *s, const struct head *h, const struct frame *f,
                       bool apply) MUST_CHECK;
rh_status resets_drop(struct shard *s, const struct head *h, const struct frame *f,
                      bool apply) MUST_CHECK;
/* True if a DROP of this table by this worker is held until its clock closes: for the worker, its
 * name is free already. */
bool resets_will_drop(const struct shard *s, uint32_t table, uint32_t rank);
/* True if a held op that is all about one table is about one that was dropped meanwhile. */
bool resets_is_void(const struct shard *s, const struct waiting *op);
/* Rows of a table that held pushes and writes name. */
uint64_t resets_held_rows(const struct shard *s, uint32_t table);

/* ---- waits.c ---- */
/* What this worker's oldest request waits for, and since when. */
struct msg_wait waits_of(const struct shard *s, const struct session *w, int64_t *since_ms);

/* ---- facts.c ---- */
void facts_answer(struct shard *s, uint32_t peer, const struct head *h, uint32_t what);

#endif
