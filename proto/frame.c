/* frame.c - the pool behind frame_new: one shelf of free frames per size, the last one back the
 * first one out, so that its pages and cache lines are warm. When the shelves hold too much, the
 * sizes that nobody has asked for longest go first: a job that has loaded its tables in large
 * frames then trains in small ones. */
#include "proto/frame.h"

#include <assert.h>
#include <pthread.h>
#include <sanitizer/asan_interface.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "common/err.h"
#include "proto/wire.h"

/* Sizes double from one shelf to the next and lie 1/32 above the powers of two, because a frame is
 * a payload and some heads; the last one is the largest frame there is. */
enum {
    SHELVES = 14,
    SHELF_FIRST = 256 + 256 / 32,
    ALIGN = 64,
    DATA_AT = (sizeof(struct frame) + ALIGN - 1) / ALIGN * ALIGN
};
_Static_assert(SHELF_FIRST << (SHELVES - 1) == WIRE_FRAME_MAX,
               "the last shelf is the largest frame");

struct shelf {
    struct frame *free;
    uint64_t asked; /* the pool's count when this size was last asked for */
};

struct frame_pool {
    atomic_size_t refs;   /* its owner, and every frame that is out */
    pthread_mutex_t lock; /* guards what follows */
    struct shelf shelves[SHELVES];
    size_t keep_bytes; /* 0 once the owner has left */
    size_t kept_bytes;
    uint64_t asked; /* how often frame_new was called */
};

static size_t shelf_cap(unsigned shelf) {
    return (size_t)SHELF_FIRST << shelf;
}

static unsigned shelf_of(size_t len) {
    unsigned shelf = 0;
    while (shelf_cap(shelf) < len)
        shelf++;
    return shelf;
}

/* ---- the pool ---- */

struct frame_pool *frame_pool_new(size_t keep_bytes) {
    struct frame_pool *p = calloc(1, sizeof *p);
    if (p == NULL) {
        err_set(RH_ENOMEM, "no memory for a pool of frames");
        return NULL;
    }
    atomic_init(&p->refs, 1);
    pthread_mutex_init(&p->lock, NULL);
    p->keep_bytes = keep_bytes;
    return p;
}

static void pool_unref(struct frame_pool *p) {
    if (atomic_fetch_sub_explicit(&p->refs, 1, memory_order_acq_rel) > 1)
        return;
    assert(p->kept_bytes == 0);
    pthread_mutex_destroy(&p->lock);
    free(p);
}

/* Takes frames off the shelves until no more than keep_bytes are left; returns them as a list. */
static struct frame *pool_trim(struct frame_pool *p) {
    struct frame *gone = NULL;
    while (p->kept_bytes > p->keep_bytes) {
        struct shelf *oldest = NULL;
        for (unsigned i = 0; i < SHELVES; i++) {
            struct shelf *s = &p->shelves[i];
            if (s->free != NULL && (oldest == NULL || s->asked < oldest->asked))
                oldest = s;
        }
        assert(oldest != NULL);
        struct frame *f = oldest->free;
        oldest->free = f->next;
        p->kept_bytes -= f->cap;
        f->next = gone;
        gone = f;
    }
    return gone;
}

static void free_list(struct frame *f) {
    while (f != NULL) {
        struct frame *next = f->next;
        free(f);
        f = next;
    }
}

void frame_pool_free(struct frame_pool **out) {
    struct frame_pool *p = *out;
    if (p == NULL)
        return;
    *out = NULL;
    pthread_mutex_lock(&p->lock);
    p->keep_bytes = 0;
    struct frame *gone = pool_trim(p);
    pthread_mutex_unlock(&p->lock);
    free_list(gone);
    pool_unref(p);
}

/* ---- its frames ---- */

/* Back onto its shelf, by whichever thread let it go last: often the transport's. */
static void put_back(struct frame *f) {
    struct frame_pool *p = f->pool;
    /* Or a sanitizer would see nothing wrong in a frame that is used after its release. */
    ASAN_POISON_MEMORY_REGION(f->data, f->cap);
    struct shelf *s = &p->shelves[shelf_of(f->cap)];
    pthread_mutex_lock(&p->lock);
    f->next = s->free;
    s->free = f;
    p->kept_bytes += f->cap;
    struct frame *gone = pool_trim(p);
    pthread_mutex_unlock(&p->lock);
    free_list(gone);
    pool_unref(p);
}

static struct frame *take_kept(struct frame_pool *p, unsigned shelf) {
    struct shelf *s = &p->shelves[shelf];
    pthread_mutex_lock(&p->lock);
    s->asked = ++p->asked;
    struct frame *f = s->free;
    if (f != NULL) {
        s->free = f->next;
        p->kept_bytes -= f->cap;
    }
    pthread_mutex_unlock(&p->lock);
    if (f != NULL)
        ASAN_UNPOISON_MEMORY_REGION(f->data, f->cap);
    return f;
}

static struct frame *make(struct frame_pool *p, unsigned shelf) {
    size_t cap = shelf_cap(shelf);
    struct frame *f = aligned_alloc(ALIGN, (DATA_AT + cap + ALIGN - 1) / ALIGN * ALIGN);
    if (f == NULL)
        return NULL;
    *f = (struct frame){.data = (uint8_t *)f + DATA_AT, .cap = cap, .release = put_back, .pool = p};
    return f;
}

struct frame *frame_new(struct frame_pool *p, size_t len) {
    assert(len <= WIRE_FRAME_MAX);
    unsigned shelf = shelf_of(len);
    struct frame *f = take_kept(p, shelf);
    if (f == NULL)
        f = make(p, shelf);
    if (f == NULL) {
        err_set(RH_ENOMEM, "no memory for a frame of %zu bytes", len);
        return NULL;
    }
    f->len = len;
    f->next = NULL;
    atomic_init(&f->refs, 1);
    atomic_fetch_add_explicit(&p->refs, 1, memory_order_relaxed);
    return f;
}

/* ZeroMQ reads 8 KiB at a time, and what lies within is not copied out. */
enum { KEEP_COPY_BELOW = 8192 };

static void release_copy(struct frame *f) {
    free(f);
}

struct frame *frame_keep(struct frame *f) {
    if (f->len >= KEEP_COPY_BELOW)
        return frame_ref(f);
    struct frame *copy = malloc(DATA_AT + f->len);
    if (copy == NULL)
        return NULL;
    *copy = (struct frame){
        .data = (uint8_t *)copy + DATA_AT, .len = f->len, .cap = f->len, .release = release_copy};
    atomic_init(&copy->refs, 1);
    memcpy(copy->data, f->data, f->len);
    return copy;
}

struct frame *frame_ref(struct frame *f) {
    atomic_fetch_add_explicit(&f->refs, 1, memory_order_relaxed);
    return f;
}

void frame_unref(struct frame *f) {
    if (f == NULL)
        return;
    int refs = atomic_fetch_sub_explicit(&f->refs, 1, memory_order_acq_rel);
    assert(refs > 0);
    if (refs == 1)
        f->release(f);
}
