/* word2vec_progress.h - how far training is, on stderr (common/bar.h). */
#ifndef EXAMPLES_WORD2VEC_PROGRESS_H
#define EXAMPLES_WORD2VEC_PROGRESS_H

#include <pthread.h>
#include <stddef.h>
#include <stdint.h>

#include "common/bar.h"
#include "common/status.h"

struct progress {
    /* set by the caller: */
    uint32_t epochs;
    uint32_t world; /* workers that are taken to be as fast as this one */
    uint64_t steps; /* of all threads, to the end */
    uint64_t begun; /* of them, those that were done before the watch starts */

    pthread_mutex_t mutex; /* over all that follows */
    struct bar bar;
    uint64_t steps_done, words;
    double loss; /* of a pair, lately */
    double lr;
};

/* Starts the watch. Nothing is ever drawn if not `drawing`. */
void progress_begin(struct progress *p, int drawing);

/* One step is done. Any thread. */
void progress_add(struct progress *p, uint64_t words, double loss, double lr);

/* A line of its own, which the bar does not run into. Any thread. */
void progress_say(struct progress *p, const char *fmt, ...) PRINTF_LIKE(2, 3);

/* The last state, and the end of the line. */
void progress_end(struct progress *p);

double progress_seconds(const struct progress *p);

/* "epoch 2/5  31 %  212,345 words/s  loss 1.93  lr 0.0240  ETA 0:41", with a bar in front if
 * columns is not 0 and leaves room for one. `seconds` since the start. Returns the length. */
size_t progress_text(const struct progress *p, double seconds, size_t columns, char *out,
                     size_t cap);

#endif
