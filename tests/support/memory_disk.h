/* memory_disk.h - a disk for checkpoints that lies in memory, remembers every operation that changed
 * it, fails whichever a test wants, and can be seen as it would be after a crash: with all, none or
 * some of what was not synced, and writes torn. */
#ifndef TESTS_SUPPORT_MEMORY_DISK_H
#define TESTS_SUPPORT_MEMORY_DISK_H

#include "common/rng.h"
#include "ps/ckpt_io.h"

enum { DISK_FDS = 64 };

/* An operation that changed something. */
struct disk_op {
    enum { OP_MAKE, OP_WRITE, OP_SYNC, OP_RENAME, OP_EXCHANGE, OP_REMOVE } what;
    uint32_t node, dir; /* what it is about; the folder of its name. The root is node 0 */
    char name[128], to[128];
    uint64_t offset; /* of a write */
    uint8_t *bytes;  /* (len) */
    size_t len;
};

struct disk_node {
    bool folder;
    uint8_t *bytes;
    size_t len;
};

struct disk_link {
    uint32_t dir, node;
    char name[128];
};

struct memory_disk {
    struct ckpt_io io;
    struct disk_node *nodes;
    struct disk_link *links;
    struct disk_op *ops;
    uint32_t n_nodes, n_links, n_ops;
    int fds[DISK_FDS]; /* node + 1; 0: closed */

    uint32_t calls;   /* of any kind, since the last memory_disk_fail */
    uint32_t fail_at; /* the number of the call that fails, from 1 on; 0: none */
    int fail_how;     /* errno; 0: a read or write does less than it was asked for */
    bool failed;
};

void memory_disk_init(struct memory_disk *d);
void memory_disk_fini(struct memory_disk *d);

/* The at-th call from now on fails so. 0: none does. */
void memory_disk_fail(struct memory_disk *d, uint32_t at, int how);

uint32_t memory_disk_open_files(const struct memory_disk *d);

/* The file at folder/name, to be changed in place; NULL. */
struct disk_node *memory_disk_find(struct memory_disk *d, const char *folder, const char *name);

/* What was not synced when the machine stopped. */
enum disk_crash {
    DISK_KEPT, /* is there */
    DISK_LOST, /* is not */
    DISK_SOME, /* is there or not, each by itself; writes may be torn at any 512 bytes */
    DISK_TORN  /* is there, but for the ends of writes */
};

/* *out: a disk as it is after a crash behind the first n_ops operations. */
void memory_disk_crash(const struct memory_disk *d, uint32_t n_ops, enum disk_crash how,
                       struct rng *g, struct memory_disk *out);

#endif
