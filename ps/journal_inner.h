/* journal_inner.h - the inside of a shard's journal, shared by journal_format.c (its bytes), journal_read.c
 * (one segment, record by record), journal_look.c (what is there at a start), journal_replay.c (and back
 * into a shard), journal_write.c (what is added) and journal_net.c (answers that wait for the disk). */
#ifndef PS_JOURNAL_INNER_H
#define PS_JOURNAL_INNER_H

#include <stdatomic.h>
#include <stdbool.h>

#include <pthread.h>

#include "common/buf.h"
#include "ps/ckpt_manifest.h"
#include "ps/journal.h"

enum {
    JOURNAL_FORMAT = 1,
    JOURNAL_HEAD = 152,  /* bytes of a segment's header ... */
    JOURNAL_RECORD = 48, /* ... and of a record's, before its payload */
    JOURNAL_NAME = 80
};
#define JOURNAL_NOBODY UINT32_MAX /* the peer of frames that are done again: no answer reaches it */

/* How a segment goes on from the one before. Numbers of the file format. */
enum journal_why {
    JOURNAL_BEGINS = 1,  /* not at all: from a checkpoint, or from nothing */
    JOURNAL_GOES_ON = 2, /* from all of it: a server was started */
    JOURNAL_CUT = 3      /* from all of it, or from a checkpoint if that has become whole */
};

struct journal_head {
    uint32_t shard, shards, incarnation;
    uint64_t job, segment, before_bytes, generation;
    uint32_t why, sync;
    uint64_t boot;
    char name[CKPT_NAME_MAX + 1];
    uint64_t sum; /* of all of the above; seed of its records */
};

struct journal_record {
    uint32_t kind, len;
    uint64_t number; /* in its segment, from 0 on */
    int64_t now_ms;
    uint64_t synced; /* bytes of the segment that were on disk for sure when this was written */
    uint32_t answered;
};

/* ---- journal_format.c ---- */
void journal_head_put(struct journal_head *h, uint8_t out[JOURNAL_HEAD]); /* sets h->sum */
/* RH_ECORRUPT, RH_EVERSION; what: the file, for the text. */
rh_status journal_head_get(const uint8_t p[JOURNAL_HEAD], const char *what,
                           struct journal_head *out) MUST_CHECK;
/* payload: (r->len) */
void journal_record_put(const struct journal_record *r, uint64_t seed, const void *payload,
                        uint8_t out[JOURNAL_RECORD]);
/* Whether the head of a record is at p; says nothing of its payload. */
bool journal_record_get(const uint8_t p[JOURNAL_RECORD], uint64_t seed, struct journal_record *out);
/* Whether the payload (r->len) behind such a head is the one that was written. */
bool journal_record_is_whole(const uint8_t p[JOURNAL_RECORD], const struct journal_record *r,
                             uint64_t seed);
/* "shard-00000-of-00002.0000000001.rhj" */
void journal_file_name(uint32_t shard, uint32_t shards, uint64_t segment, char out[JOURNAL_NAME]);
/* The segment's number, or 0: not a file of this shard. */
uint64_t journal_file_number(uint32_t shard, uint32_t shards, const char *name);

/* ---- journal_read.c ---- */
struct journal_reader {
    struct ckpt_fd file;
    struct journal_head head;
    uint64_t size, at, number; /* the next record */
    uint8_t *p;                /* (cap) what is in memory: bytes from .. from + n - 1 */
    size_t cap, n;
    uint64_t from;
};

/* What stands behind the last whole record of a segment. */
struct journal_tail {
    uint64_t bytes;  /* 0: nothing */
    bool torn;       /* it is how a record begins, and the file ends before that does */
    uint64_t whole;  /* records that are whole all the same */
    uint64_t synced; /* bytes of the segment that were on disk by what those say */
};

rh_status journal_reader_open(struct ckpt_io *io, const char *name,
                              struct journal_reader *r) MUST_CHECK;
void journal_reader_close(struct journal_reader *r);
/* The next record; *payload is valid until the next call. *out = false: there is none at r->at. end: where
 * the segment ends. */
rh_status journal_next(struct journal_reader *r, uint64_t end, struct journal_record *out,
                       const uint8_t **payload, bool *is) MUST_CHECK;
rh_status journal_tail(struct journal_reader *r, struct journal_tail *out) MUST_CHECK;

/* ---- a journal ---- */
struct journal_segment {
    struct journal_head head;
    char name[JOURNAL_NAME];
};

struct held_answer;

struct journal {
    struct shard_notes notes; /* first: what the shard calls */
    struct journal_options o;
    struct journal_segment
        *segments;             /* (n_segments) by number, as they were found at the start ... */
    uint32_t n_segments, base; /* ... and the one that the shard goes on from */
    uint64_t last_bytes;       /* of the last of them: all of it that counts */

    /* The segment that is written. The shard's thread alone changes which it is, with the lock. */
    pthread_mutex_t lock;
    struct ckpt_fd file;
    struct journal_head head;
    uint64_t number;              /* of the next record */
    uint64_t written;             /* bytes; the shard's thread alone */
    atomic_uint_fast64_t landed;  /* the same, for others */
    atomic_uint_fast64_t synced;  /* of those: on disk */
    atomic_bool failed;           /* a sync: nothing more is taken */
    rh_status broken;             /* a write, or a sync: nothing more is taken, and ... */
    char text[256];               /* ... why */
    uint64_t first_kept;          /* segments below were removed */
    struct journal_head last_cut; /* the one before this, if it was one; why 0: none */
    uint8_t *small;               /* room for a record that is written in one piece */

    /* Answers that wait. */
    struct net net;
    struct net *under;
    bool mute;
    struct held_answer *first, **last;
    uint32_t n_held;
    size_t held_bytes;
};

/* ---- journal_look.c ---- */
/* Whether checkpoint name of generation is whole. RH_OK, RH_ENOTFOUND, others. */
rh_status journal_is_committed(struct ckpt_io *io, const struct journal_head *h) MUST_CHECK;

/* ---- journal_write.c ---- */
extern const struct shard_notes_ops journal_notes;
/* Nothing more is taken. Returns st with err_text as it was at the first failure. */
rh_status journal_break(struct journal *j, rh_status st);
rh_status journal_segment_begin(struct journal *j, const struct journal_head *as,
                                const struct note *state) MUST_CHECK;
void journal_remove_before(struct journal *j, uint64_t segment);

/* ---- journal_net.c ---- */
void journal_net_init(struct journal *j);
void journal_net_fini(struct journal *j);

#endif
