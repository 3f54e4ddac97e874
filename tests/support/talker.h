/* talker.h - speaks to a shard frame by frame and reads what it answers: a net that only remembers, and a worker that says what a
 * test tells it to, well-behaved or not. */
#ifndef TESTS_SUPPORT_TALKER_H
#define TESTS_SUPPORT_TALKER_H

#include "proto/msg.h"
#include "proto/net.h"
#include "ps/shard.h"

/* A net whose send() keeps the frames in a list. */
struct memory_net {
    struct net net;
    struct frame *first, **last;
};
void memory_net_init(struct memory_net *n);
void memory_net_fini(struct memory_net *n);
struct frame *memory_net_take(struct memory_net *n); /* the oldest, or NULL */

/* One client as one shard sees it. Every field may be edited by a test. */
struct talker {
    struct shard *shard;
    struct memory_net *net;
    uint32_t peer;
    struct head head; /* job, worker, incarnations and clock of the next frame */
    struct opnum last;
    uint16_t life;               /* of its hellos; 0 */
    double lr;                   /* of pushes; 1 */
    uint32_t staleness;          /* that its hello asks for */
    const struct msg_gone *gone; /* for step 1 of RESTORE; NULL: nobody */
    struct msg_welcome welcome;  /* the last one */
    int64_t now_ms;
};

void talker_init(struct talker *t, struct shard *s, struct memory_net *n, uint32_t rank);

/* Hello, and the incarnations of the welcome if there is one. Returns the kind of the answer. */
int talker_hello(struct talker *t, uint32_t mode, uint32_t world);

/* Sends a frame whose body is made already; what comes back can be taken from the net. */
void talker_send(struct talker *t, uint8_t kind, uint16_t flags, struct opnum num,
                 struct opnum prev, uint16_t sections, const struct buf *body);

/* The next op of the chain: gives it a number and sends it. Returns the kind of the first answer, 0 if there is none. */
int talker_open(struct talker *t, const char *name, const struct spec *spec);
int talker_push(struct talker *t, uint32_t table, uint32_t n, const uint64_t *ids, uint32_t dim,
                const float *grads, uint64_t pushes);
int talker_write(struct talker *t, uint32_t table, uint32_t n, const uint64_t *ids, uint32_t dim,
                 const float *rows);
int talker_freeze(struct talker *t, uint32_t table, uint64_t count, uint64_t until, bool undo);
/* TICK or BYE naming one table (0: none). Moves on to the next clock. */
int talker_end(struct talker *t, uint8_t kind, uint32_t table, uint32_t pushed, double lr,
               uint64_t pushes);

/* An op with a body that is made already. */
int talker_op(struct talker *t, uint8_t kind, uint16_t flags, uint16_t sections,
              const struct buf *body);

/* A RESTORE. The status of the last answer; *is if it is no refusal, else err_text says its text. */
rh_status talker_restore(struct talker *t, uint32_t step, uint32_t ticket, const char *name,
                         uint16_t flags, struct msg_restored *is);

/* Asks for n rows. Returns the kind of the answer, 0 if there is none; rows are filled on ROWS. */
int talker_pull(struct talker *t, uint32_t table, uint32_t n, const uint64_t *ids, uint32_t dim,
                float *rows);

/* What the shard tells an observer of itself. It has at most 8 members; the net is empty. */
struct talker_facts {
    struct msg_shard_facts shard;
    struct msg_member_facts members[8];
    struct msg_in_hand in_hand;
};
struct talker_facts talker_facts(const struct talker *t);

/* Takes the next answer of the net: its kind (0: none), its head, and for ROWS of one section the rows. */
int talker_answer(struct talker *t, struct head *h, uint32_t dim, float *rows);

/* The text of the last REFUSE that was taken. */
const char *talker_refusal(void);

#endif
