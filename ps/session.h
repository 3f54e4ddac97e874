/* session.h - what one shard remembers of one worker, so that each of its ops is taken once and in
 * order: the floor, the answers given lately, ops that came early. Decides; applies nothing.
 * PROTOCOL.md, section 2, is its specification. */
#ifndef PS_SESSION_H
#define PS_SESSION_H

#include <stdbool.h>
#include <stdint.h>

#include "common/status.h"
#include "proto/frame.h"
#include "proto/wire.h"

enum {
    SESSION_ANSWERS = 1024,   /* remembered; a power of two */
    SESSION_EARLY_MAX = 1024, /* ops parked because an earlier one is missing */
    SESSION_EARLY_BYTES = 16 << 20,
    SESSION_PULLS_MAX = 1024 /* pulls parked */
};

/* A worker's pushes to one table. */
struct push_count {
    uint64_t pushes; /* t_w: all that it has made */
    uint64_t base;   /* those before the table's last reset: they count for nothing */
};

/* Where its application stands in its data: bytes that mean nothing here. */
struct cursor {
    uint8_t *p; /* (len) NULL: none */
    uint32_t len;
};

struct stage;

enum session_state { SESSION_NEVER = 0, SESSION_HERE = 1, SESSION_GONE = 2 };

/* A frame that waits: an early op, a held op, or a parked pull. */
struct waiting {
    struct waiting *next;
    struct frame *frame;
    struct head head;
    struct stage *stage; /* of a held LOAD: what it will write; else NULL. Its own */
    int64_t since_ms;    /* of early ops and parked pulls */
    size_t bytes;        /* of both, when it came into its list */
};

/* What one takes beside its bytes. */
enum { WAITING_BYTES = sizeof(struct waiting) + sizeof(struct frame) };

struct waiting_list {
    struct waiting *first, **last;
    uint32_t n;
    size_t bytes;
};

struct answer {
    struct opnum num;
    uint16_t status;
    uint64_t digest;
};

struct session {
    enum session_state state;
    uint32_t rank, inc;
    uint32_t nonce; /* which client this is, before it has an incarnation */
    uint16_t hello; /* and which of its hellos: a later one is of a client that joins anew */
    uint16_t life;  /* as its hello has it: clients of an earlier one are dead */
    bool worked;    /* a client before this one has had an op taken */
    bool redone;    /* one that is dead has left ops which its successor will do again */
    uint32_t peer;
    int64_t heard_ms;
    struct opnum floor; /* the last op taken */
    uint64_t ended;     /* clocks below it are over for this worker */
    uint64_t taken;
    bool idle; /* since a clock ended, or it came, it has opened tables and marked, at most */
    uint32_t barrier;          /* the largest index it has reached */
    struct head barrier_asked; /* the question that is not answered yet; kind 0: none */
    int64_t barrier_ms;        /* since when it waits there */
    struct answer *answers;    /* (SESSION_ANSWERS) ring */
    uint32_t n_answers;        /* ever */
    struct waiting_list early; /* ascending */
    struct waiting_list held;  /* bsp: taken ops of clocks that are not closed, in order */
    struct waiting_list pulls; /* in order of arrival */
    struct push_count *counts; /* (n_counts) by table number */
    uint32_t n_counts;
    struct stage *stage;  /* the load that is being read, or NULL */
    uint32_t loads;       /* number of the last load that was begun */
    uint32_t marked;      /* generation of the last checkpoint that it has marked; 0: none */
    struct cursor cursor; /* of its last mark, or restored */
    struct cursor saved;  /* of the newest checkpoint that is whole */
};

rh_status session_new(uint32_t rank, struct session **out) MUST_CHECK;
void session_free(struct session **s);

/* A new incarnation begins: forgets floor, answers, whatever was parked and what was held of its
 * unfinished clock. The clocks that it has ended and its counts of pushes stay. */
void session_begin(struct session *s, uint32_t inc, uint32_t nonce);

/* The clients before the one that has just begun are dead: it is of a larger life. */
void session_succeed(struct session *s, uint16_t life);

/* The worker has said goodbye: what it was reading is let go. */
void session_leave(struct session *s);

enum session_verdict {
    SESSION_TAKE,   /* next in the chain */
    SESSION_EARLY,  /* an earlier op is missing: park it */
    SESSION_REPEAT, /* taken before: answer as before */
    SESSION_FORKED  /* it claims a past that was not */
};
enum session_verdict session_judge(const struct session *s, struct opnum num, struct opnum prev);

/* Records that an op was taken, and how it was answered. */
void session_took(struct session *s, struct opnum num, uint64_t digest, rh_status answer);

/* The answer that an op got. RH_EPROTO if its digest is another one now; RH_OK if it is too old to
 * be remembered. */
rh_status session_recall(const struct session *s, struct opnum num, uint64_t digest,
                         rh_status *answer) MUST_CHECK;

/* Keeps an early op (its own reference); a repeat of one that is kept is fine. RH_ELIMIT: no room,
 * the caller says NACK. */
rh_status session_park(struct session *s, const struct head *h, struct frame *f) MUST_CHECK;

/* The early op whose turn it is now, or NULL. The caller owns it: waiting_free. */
struct waiting *session_unpark(struct session *s);

/* t_w of a table; 0 before the first. */
uint64_t session_pushes(const struct session *s, uint32_t table);

/* Raises t_w, never lowers it. *grown: by how many that count. RH_ENOMEM. */
rh_status session_saw_pushes(struct session *s, uint32_t table, uint64_t pushes,
                             uint64_t *grown) MUST_CHECK;

/* Pushes up to this one count no more; that there were so many is known now. Never lowers either.
 * RH_ENOMEM. */
rh_status session_rebase(struct session *s, uint32_t table, uint64_t base) MUST_CHECK;

/* The pushes to a table that count for its T. */
uint64_t session_counted(const struct session *s, uint32_t table);

/* Copies. RH_ENOMEM: *c is as it was. len 0 with p NULL: none. */
rh_status cursor_set(struct cursor *c, const uint8_t *p, uint32_t len) MUST_CHECK;

/* ---- lists of waiting frames ---- */

void waiting_init(struct waiting_list *l);
void waiting_clear(struct waiting_list *l);
struct waiting *waiting_new(const struct head *h,
                            struct frame *f); /* keeps it, see frame_keep; NULL: no memory */
void waiting_free(struct waiting *w);
void waiting_append(struct waiting_list *l, struct waiting *w);
struct waiting *waiting_pop(struct waiting_list *l);
/* Takes w, which *at points to, out of the list. */
struct waiting *waiting_remove(struct waiting_list *l, struct waiting **at);

#endif
