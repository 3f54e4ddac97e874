/* source.h - where a shard's files come from: an ops table, so that the shard itself opens none, and
 * a test may hand it rows of its own. A source is shared by all shards of a process; a file that it
 * has opened belongs to one thread at a time. */
#ifndef PS_SOURCE_H
#define PS_SOURCE_H

#include "common/status.h"
#include "common/vecload.h"

struct source {
    const struct source_ops *ops;
};

/* Which file, and for which table. */
struct source_want {
    const char *path;
    const char *tensor; /* safetensors: which. NULL: the only one */
    const char *vocab;  /* NULL: none */
    enum vec_format format;
    struct vecload_table table;
};

struct source_end {
    uint64_t digest, vocab_digest; /* as vecload_digests */
    struct vecload_report report;
};

struct source_ops {
    /* Opens a file of vectors, and reads its vocabulary. RH_EINVAL: not a path that this source
     * opens; else as vec_adopt, vocab_file_adopt and vecload_new. Any thread. */
    rh_status (*open)(struct source *s, const struct source_want *w, void **file);

    /* The next slice of an open file, as vecload_next. Takes milliseconds. */
    rh_status (*next)(void *file, struct vecload_slice *out);

    /* After the last slice: what there is to tell. */
    void (*conclude)(const void *file, struct source_end *out);

    void (*progress)(const void *file, uint64_t *done_bytes, uint64_t *total_bytes);

    void (*close)(void *file); /* at any time */
};

/* Files beneath a directory, by relative paths, however links lead: what is outside is RH_EINVAL.
 * RH_EINVAL if dir is no directory. */
rh_status source_beneath(const char *dir, struct source **out) MUST_CHECK;
void source_free(struct source **s); /* sets *s to NULL; NULL is fine */

/* Any path of this process. Nothing to free. */
struct source *source_anywhere(void);

#endif
