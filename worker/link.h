/*
 * link.h - one session with one shard, as a deterministic state machine: frames and the time go in,
 * frames come out through a net. No socket, no clock, no lock, no thread: whoever drives it holds
 * the client's lock. It promises that every request submitted to it is answered once, or forgotten,
 * or failed, whatever the net loses, repeats or reorders (PROTOCOL.md, section 2). It leaves rows,
 * tables and deadlines to those who submit.
 */
#ifndef WORKER_LINK_H
#define WORKER_LINK_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/buf.h"
#include "common/err.h"
#include "common/status.h"
#include "proto/frame.h"
#include "proto/msg.h"
#include "proto/net.h"
#include "proto/wire.h"

/* What to do about RH_EROLLBACK, for its texts. */
#define LINK_COME_BACK "call rh_cursor, then open your tables again"

enum {
    LINK_HELLO_MS = 200, /* a hello is repeated after this; the wait doubles each time ... */
    LINK_HELLO_MAX_MS = 1000,
    LINK_RESEND_MS = 1000, /* ... and so it does for every request */
    LINK_RESEND_MAX_MS = 4000,
    LINK_BEAT_MS = 1000,
    LINK_NACK_MS = 100,    /* another NACK with the same floor within this says nothing new */
    LINK_SILENT_MS = 5000, /* a shard that was not heard of for this long counts as unreachable */
    LINK_FLYING_MAX = 512, /* requests of a lane in flight: half of what a shard remembers */
    LINK_REQUESTS_MAX = 1 << 17 /* requests of a lane, those that wait for credit included */
};

/*
 * One frame that wants an answer. It lives in whoever asks; the link holds a pointer to it from
 * link_submit until it calls done, or until link_forget. The frame's reference passes to the link.
 */
struct request {
    struct head head;      /* by the asker: kind, flags, sections, num.clock; of ops all of num */
    struct frame *frame;   /* room for the header, then the finished body */
    uint32_t credit_bytes; /* PUSH, WRITE: of the body. PULL: of the larger of body and answer */

    /* Reads the body of an answer of the right kind; r is done right after. False: the body makes
     * no sense, and the session is over. */
    bool (*take)(struct request *r, const struct head *h, struct rd *body);

    /* It is over, and the link knows it no more: it may be freed. text says why if status is not
     * RH_OK. Must not call the link. */
    void (*done)(struct request *r, rh_status status, const char *text);

    /* the link's */
    struct request *next, *prev;
    int64_t due_ms; /* when it is sent again */
    uint32_t wait_ms;
    bool flying; /* it was sent; otherwise it waits for credit */
};

struct request_list {
    struct request *first, *last;
    uint32_t n;
};

/* Ops form the worker's chain on this shard; asks (pulls, infos, barriers) have no place in it. */
enum link_lane { LINK_OPS, LINK_ASKS, LINK_LANES };

enum link_state {
    LINK_NEW,    /* link_hello was not called yet */
    LINK_SAYING, /* said hello, and waits for the welcome */
    LINK_UP,     /* in session */
    LINK_FAILED  /* over for good: status and text say why */
};

struct link_config {
    struct net *net;
    uint32_t peer;       /* the shard's number in net */
    const char *address; /* for texts; outlives the link */
    uint32_t shard, shards;
    uint64_t job;
    uint32_t worker, world; /* worker: the rank, or WIRE_OBSERVER */
    uint8_t mode;           /* rh_mode's numbers */
    uint32_t staleness;
    uint16_t life;  /* how many had the worker's rank before, and are dead */
    uint32_t nonce; /* tells this client's first hello from that of another of its rank */
    bool no_sums;   /* the net is memory: bodies are not summed */
};

struct link {
    struct link_config cfg;
    enum link_state state;
    rh_status status; /* of LINK_FAILED */
    char text[ERR_TEXT_MAX];

    uint32_t worker_inc, server_inc;
    bool looks;           /* said hello as an observer, whoever the client is */
    uint16_t lives;       /* how often the session was made anew */
    uint32_t clock;       /* welcomed to; then that of the last request */
    uint32_t clock_floor; /* said in the hello */
    uint32_t mode, world; /* of the job, as the welcome has them */
    uint32_t origin;      /* the checkpoint that the shard has begun with; 0: none */
    uint32_t is;          /* enum msg_state: what its welcome says that it is */
    uint32_t hello_wait_ms;
    int64_t hello_due_ms;

    struct opnum last; /* number of the last op submitted: what the next one follows */
    uint32_t serial;   /* numbers the asks */
    struct lane {
        struct request_list queued, flying;
        uint32_t paying; /* how many of those in flight use credit */
    } lanes[LINK_LANES];
    uint64_t credit_bytes, credit_used;
    int64_t resend_due_ms; /* not later than the first due_ms in flight */
    int64_t sent_ms, beat_ms;
    int64_t nack_ms; /* when the last NACK came, and its floor */
    struct opnum nack_floor;

    /* what is known of the other side */
    bool heard; /* a frame of it has come, ever */
    int64_t heard_ms;
    struct msg_wait wait; /* of our oldest request there, as the last ALIVE has it */
    int64_t alive_ms;
    uint32_t freezes; /* how many freezes it has applied, by the latest of its answers. Wraps */
    uint32_t mark;    /* generation of the last checkpoint that the lead has told us to mark; 0 */
    bool ends;        /* see link_expect_end */
    uint64_t dropped; /* frames that were broken, late, or not for us */
};

void link_init(struct link *l, const struct link_config *cfg);

/* Drops what is left without a word: neither take nor done is called. */
void link_fini(struct link *l);

/* Says hello, again and again until the shard answers. worker_inc: 0 to the lead, to the others
 * what the lead gave. clock_floor: the largest clock welcomed so far. */
void link_hello(struct link *l, uint32_t worker_inc, uint32_t clock_floor, int64_t now_ms);

/* The same to a shard that is only to be looked at, as an observer. */
void link_look(struct link *l, int64_t now_ms);

/* All shards have welcomed: the client begins at this clock, and tells the shard so. */
void link_start(struct link *l, uint32_t clock, int64_t now_ms);

/* Takes back a hello that was welcomed, if it was, in any state: the client could not join the other
 * shards. Nothing was submitted. Does not wait for an answer. */
void link_withdraw(struct link *l, int64_t now_ms);

/* True if n more requests fit into the lane. */
bool link_has_room(const struct link *l, enum link_lane lane, uint32_t n);

/*
 * Takes a request into the session (LINK_UP): numbers it if it is an ask, chains it, seals the
 * frame, and sends it as soon as there is credit. Ops come in the order of their numbers.
 */
void link_submit(struct link *l, struct request *r, int64_t now_ms);

/* A RESTORE is about to end this life of the shard, or (false) is not any more. Until then that it has
 * ended is news to a RESTORE alone; whatever else is asked stays unanswered until link_fail. */
void link_expect_end(struct link *l, bool ends);

/* Behind link_fail: as link_init left it, to say hello anew. It stays the client that it was, so that the
 * shard takes a late hello of it for this one; a late welcome to that is told by its part. */
void link_renew(struct link *l);

/* Forgets an ask that was submitted and is not done: neither take nor done will be called. */
void link_forget(struct link *l, struct request *r);

/* One frame from the shard. The caller keeps its reference. */
void link_frame(struct link *l, const struct frame *f, int64_t now_ms);

/* Does what is due: hellos, resends, beats, and sending what waited for credit. Returns when it
 * wants to be called again; INT64_MAX: never. */
int64_t link_turn(struct link *l, int64_t now_ms);

/* Ends the session: every request is done with this status and text. Nothing if it is over. A
 * failure of the link's own making has the shard and its address in front of the text. */
void link_fail(struct link *l, rh_status status, const char *text);

/* Ops that no answer has come for. */
static inline uint32_t link_owed(const struct link *l) {
    return l->lanes[LINK_OPS].queued.n + l->lanes[LINK_OPS].flying.n;
}

/* True if something waits for credit. */
static inline bool link_is_blocked(const struct link *l) {
    return l->lanes[LINK_OPS].queued.n + l->lanes[LINK_ASKS].queued.n != 0;
}

#endif
