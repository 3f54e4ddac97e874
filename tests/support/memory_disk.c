/* memory_disk.c - see memory_disk.h. */
#include "tests/support/memory_disk.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

enum { NOBODY = UINT32_MAX };

static void *grown(void *p, size_t n, size_t size) {
    if ((n & (n - 1)) != 0)
        return p; /* room was made at the last power of two */
    p = realloc(p, (n == 0 ? 1 : 2 * n) * size);
    if (p == NULL)
        abort();
    return p;
}

/* ---- nodes and links ---- */

static uint32_t node_new(struct memory_disk *d, bool folder) {
    d->nodes = grown(d->nodes, d->n_nodes, sizeof *d->nodes);
    d->nodes[d->n_nodes] = (struct disk_node){.folder = folder};
    return d->n_nodes++;
}

static struct disk_link *link_of(struct memory_disk *d, uint32_t dir, const char *name) {
    for (uint32_t i = 0; i < d->n_links; i++)
        if (d->links[i].dir == dir && strcmp(d->links[i].name, name) == 0)
            return &d->links[i];
    return NULL;
}

static void unlink_name(struct memory_disk *d, uint32_t dir, const char *name) {
    struct disk_link *l = link_of(d, dir, name);
    if (l != NULL)
        *l = d->links[--d->n_links];
}

static void link_name(struct memory_disk *d, uint32_t dir, const char *name, uint32_t node) {
    unlink_name(d, dir, name);
    d->links = grown(d->links, d->n_links, sizeof *d->links);
    struct disk_link *l = &d->links[d->n_links++];
    *l = (struct disk_link){.dir = dir, .node = node};
    strcpy(l->name, name);
}

static bool is_empty(const struct memory_disk *d, uint32_t folder) {
    for (uint32_t i = 0; i < d->n_links; i++)
        if (d->links[i].dir == folder)
            return false;
    return true;
}

static void write_at(struct disk_node *n, uint64_t offset, const uint8_t *p, size_t len) {
    if (len == 0)
        return;
    if (offset + len > n->len) {
        n->bytes = realloc(n->bytes, offset + len);
        if (n->bytes == NULL)
            abort();
        memset(n->bytes + n->len, 0, offset + len - n->len);
        n->len = offset + len;
    }
    memcpy(n->bytes + offset, p, len);
}

/* Does an operation, where it can be done: after a crash, what it builds upon may be missing. */
static void apply(struct memory_disk *d, const struct disk_op *op) {
    struct disk_link *from = link_of(d, op->dir, op->name), *to = link_of(d, op->dir, op->to);
    switch (op->what) {
    case OP_MAKE:
        link_name(d, op->dir, op->name, op->node);
        break;
    case OP_WRITE:
        write_at(&d->nodes[op->node], op->offset, op->bytes, op->len);
        break;
    case OP_SYNC:
        break;
    case OP_RENAME:
        if (from == NULL)
            break;
        uint32_t node = from->node;
        unlink_name(d, op->dir, op->name);
        link_name(d, op->dir, op->to, node);
        break;
    case OP_EXCHANGE:
        if (from == NULL || to == NULL)
            break;
        node = from->node;
        from->node = to->node;
        to->node = node;
        break;
    case OP_REMOVE:
        unlink_name(d, op->dir, op->name);
        break;
    }
}

static void record(struct memory_disk *d, struct disk_op op) {
    d->ops = grown(d->ops, d->n_ops, sizeof *d->ops);
    d->ops[d->n_ops++] = op;
    apply(d, &op);
}

static struct disk_op named(int what, uint32_t dir, uint32_t node, const char *name,
                            const char *to) {
    struct disk_op op = {.what = what, .dir = dir, .node = node};
    strcpy(op.name, name);
    strcpy(op.to, to);
    return op;
}

/* ---- calls ---- */

/* 0, or how this call fails. */
static int fails(struct memory_disk *d) {
    if (++d->calls != d->fail_at)
        return 0;
    d->failed = true;
    return -d->fail_how;
}

/* How much of n this call does; 0 if it fails with *why. */
static size_t room(struct memory_disk *d, size_t n, int *why) {
    bool now = d->calls + 1 == d->fail_at;
    *why = fails(d);
    return *why != 0 ? 0 : now ? (n + 2) / 3 : n;
}

static uint32_t node_of(const struct memory_disk *d, int fd) {
    if (fd == CKPT_ROOT)
        return 0;
    if (fd < 0 || fd >= DISK_FDS || d->fds[fd] == 0)
        abort(); /* a descriptor that is not open */
    return (uint32_t)d->fds[fd] - 1;
}

static int fd_new(struct memory_disk *d, uint32_t node) {
    for (int fd = 0; fd < DISK_FDS; fd++) {
        if (d->fds[fd] == 0) {
            d->fds[fd] = (int)node + 1;
            return fd;
        }
    }
    return -EMFILE;
}

static int disk_open(struct ckpt_io *io, int dir, const char *name, enum ckpt_open how) {
    struct memory_disk *d = (struct memory_disk *)io;
    int why = fails(d);
    if (why != 0)
        return why;
    uint32_t in = node_of(d, dir);
    struct disk_link *l = link_of(d, in, name);
    if (how == CKPT_CREATE) {
        if (l != NULL)
            return -EEXIST;
        uint32_t node = node_new(d, false);
        record(d, named(OP_MAKE, in, node, name, ""));
        return fd_new(d, node);
    }
    if (l == NULL)
        return -ENOENT;
    if (d->nodes[l->node].folder != (how == CKPT_FOLDER))
        return -ENOTDIR;
    return fd_new(d, l->node);
}

static int64_t disk_read(struct ckpt_io *io, int fd, void *p, size_t n, uint64_t offset) {
    struct memory_disk *d = (struct memory_disk *)io;
    int why;
    n = room(d, n, &why);
    const struct disk_node *f = &d->nodes[node_of(d, fd)];
    if (why != 0 || offset >= f->len)
        return why;
    n = n < f->len - offset ? n : f->len - offset;
    memcpy(p, f->bytes + offset, n);
    return (int64_t)n;
}

static int64_t disk_write(struct ckpt_io *io, int fd, const void *p, size_t n) {
    struct memory_disk *d = (struct memory_disk *)io;
    int why;
    n = room(d, n, &why);
    if (why != 0 || n == 0)
        return why;
    uint32_t node = node_of(d, fd);
    uint8_t *copy = malloc(n);
    if (copy == NULL)
        abort();
    memcpy(copy, p, n);
    record(
        d,
        (struct disk_op){
            .what = OP_WRITE, .node = node, .offset = d->nodes[node].len, .bytes = copy, .len = n});
    return (int64_t)n;
}

static int64_t disk_size(struct ckpt_io *io, int fd) {
    struct memory_disk *d = (struct memory_disk *)io;
    int why = fails(d);
    return why != 0 ? why : (int64_t)d->nodes[node_of(d, fd)].len;
}

static int disk_sync(struct ckpt_io *io, int fd) {
    struct memory_disk *d = (struct memory_disk *)io;
    int why = fails(d);
    if (why == 0)
        record(d, (struct disk_op){.what = OP_SYNC, .node = node_of(d, fd)});
    return why;
}

static int disk_close(struct ckpt_io *io, int fd) {
    struct memory_disk *d = (struct memory_disk *)io;
    (void)node_of(d, fd);
    d->fds[fd] = 0;
    return fails(d);
}

static int disk_mkdir(struct ckpt_io *io, const char *name) {
    struct memory_disk *d = (struct memory_disk *)io;
    int why = fails(d);
    if (why != 0)
        return why;
    if (link_of(d, 0, name) != NULL)
        return -EEXIST;
    record(d, named(OP_MAKE, 0, node_new(d, true), name, ""));
    return 0;
}

static int disk_rename(struct ckpt_io *io, int dir, const char *from, const char *to,
                       bool exchange) {
    struct memory_disk *d = (struct memory_disk *)io;
    int why = fails(d);
    if (why != 0)
        return why;
    uint32_t in = node_of(d, dir);
    const struct disk_link *a = link_of(d, in, from), *b = link_of(d, in, to);
    if (a == NULL || (exchange && b == NULL))
        return -ENOENT;
    if (!exchange && b != NULL && d->nodes[b->node].folder)
        return -ENOTEMPTY;
    record(d, named(exchange ? OP_EXCHANGE : OP_RENAME, in, a->node, from, to));
    return 0;
}

static int disk_remove(struct ckpt_io *io, int dir, const char *name, bool folder) {
    struct memory_disk *d = (struct memory_disk *)io;
    int why = fails(d);
    if (why != 0)
        return why;
    uint32_t in = node_of(d, dir);
    const struct disk_link *l = link_of(d, in, name);
    if (l == NULL)
        return -ENOENT;
    if (d->nodes[l->node].folder != folder)
        return folder ? -ENOTDIR : -EISDIR;
    if (folder && !is_empty(d, l->node))
        return -ENOTEMPTY;
    record(d, named(OP_REMOVE, in, l->node, name, ""));
    return 0;
}

static int disk_list(struct ckpt_io *io, int dir, int (*with)(void *arg, const char *name),
                     void *arg) {
    struct memory_disk *d = (struct memory_disk *)io;
    int why = fails(d);
    uint32_t in = node_of(d, dir);
    for (uint32_t i = 0; why == 0 && i < d->n_links; i++)
        if (d->links[i].dir == in)
            why = with(arg, d->links[i].name);
    return why;
}

static const struct ckpt_io_ops disk_ops = {.open = disk_open,
                                            .read = disk_read,
                                            .write = disk_write,
                                            .size = disk_size,
                                            .sync = disk_sync,
                                            .close = disk_close,
                                            .mkdir = disk_mkdir,
                                            .rename = disk_rename,
                                            .remove = disk_remove,
                                            .list = disk_list};

void memory_disk_init(struct memory_disk *d) {
    *d = (struct memory_disk){.io = {&disk_ops, "DIR"}};
    node_new(d, true);
}

void memory_disk_fini(struct memory_disk *d) {
    for (uint32_t i = 0; i < d->n_nodes; i++)
        free(d->nodes[i].bytes);
    for (uint32_t i = 0; i < d->n_ops; i++)
        free(d->ops[i].bytes);
    free(d->nodes);
    free(d->links);
    free(d->ops);
    *d = (struct memory_disk){0};
}

void memory_disk_fail(struct memory_disk *d, uint32_t at, int how) {
    d->calls = 0;
    d->fail_at = at;
    d->fail_how = how;
    d->failed = false;
}

uint32_t memory_disk_open_files(const struct memory_disk *d) {
    uint32_t n = 0;
    for (int fd = 0; fd < DISK_FDS; fd++)
        n += d->fds[fd] != 0;
    return n;
}

struct disk_node *memory_disk_find(struct memory_disk *d, const char *folder, const char *name) {
    const struct disk_link *l = link_of(d, 0, folder);
    l = l == NULL ? NULL : link_of(d, l->node, name);
    return l == NULL ? NULL : &d->nodes[l->node];
}

/* ---- crashes ---- */

/* A sync behind it made it last: of the file for its bytes, of the folder for its name. */
static bool was_synced(const struct memory_disk *d, uint32_t op, uint32_t n_ops) {
    const struct disk_op *o = &d->ops[op];
    uint32_t node = o->what == OP_WRITE ? o->node : o->dir;
    for (uint32_t i = op + 1; i < n_ops; i++)
        if (d->ops[i].what == OP_SYNC && d->ops[i].node == node)
            return true;
    return false;
}

static void apply_torn(struct memory_disk *d, struct disk_op op, struct rng *g) {
    op.len = rng_below(g, (uint32_t)(op.len / 512) + 1) * 512;
    apply(d, &op);
}

void memory_disk_crash(const struct memory_disk *d, uint32_t n_ops, enum disk_crash how,
                       struct rng *g, struct memory_disk *out) {
    memory_disk_init(out);
    for (uint32_t i = 1; i < d->n_nodes; i++)
        node_new(out, d->nodes[i].folder);
    for (uint32_t i = 0; i < n_ops; i++) {
        const struct disk_op *op = &d->ops[i];
        bool kept = was_synced(d, i, n_ops) || how == DISK_KEPT ||
                    (how == DISK_TORN && op->what != OP_WRITE);
        if (kept)
            apply(out, op);
        else if (how == DISK_SOME && rng_below(g, 3) > 0 && op->what != OP_WRITE)
            apply(out, op);
        else if (how == DISK_TORN || (how == DISK_SOME && rng_below(g, 2) > 0))
            apply_torn(out, *op, g);
    }
}
