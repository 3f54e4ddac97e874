/* word2vec_progress.c - see word2vec_progress.h. */
#include "worker/examples/word2vec_progress.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>

#include "common/err.h"

enum { LOSS_STEPS = 100, TEXT_MAX = 256 };

void progress_begin(struct progress *p, int drawing) {
    pthread_mutex_init(&p->mutex, NULL);
    bar_begin(&p->bar, drawing);
    p->steps_done = p->begun;
    p->words = 0;
    p->loss = p->lr = 0;
}

double progress_seconds(const struct progress *p) {
    return bar_seconds(&p->bar);
}

static void make_text(const struct progress *p, double seconds, char out[TEXT_MAX]) {
    uint64_t done = p->steps_done, epoch = done * p->epochs / p->steps + 1;
    double rate = seconds > 0 ? (double)p->words * p->world / seconds : 0;
    char words[BAR_TEXT], eta[BAR_TEXT];
    snprintf(out, TEXT_MAX,
             "epoch %" PRIu64 "/%" PRIu32 " %3" PRIu64 " %%  %s words/s  loss %.3f  lr %.5f  "
             "ETA %s",
             epoch < p->epochs ? epoch : p->epochs, p->epochs, done * 100 / p->steps,
             bar_grouped((uint64_t)rate, words), p->loss, p->lr,
             bar_duration(bar_left(seconds, done - p->begun, p->steps - p->begun), eta));
}

size_t progress_text(const struct progress *p, double seconds, size_t columns, char *out,
                     size_t cap) {
    char text[TEXT_MAX];
    make_text(p, seconds, text);
    return bar_line(p->steps_done, p->steps, text, columns, out, cap);
}

static void draw(struct progress *p, bool last) {
    char text[TEXT_MAX];
    make_text(p, progress_seconds(p), text);
    bar_draw(&p->bar, p->steps_done, p->steps, text, last);
}

void progress_add(struct progress *p, uint64_t words, double loss, double lr) {
    pthread_mutex_lock(&p->mutex);
    p->steps_done++;
    p->words += words;
    /* The mean of all steps, and after LOSS_STEPS of them of about the last ones. */
    uint64_t n = p->steps_done - p->begun;
    p->loss += (loss - p->loss) / (double)(n < LOSS_STEPS ? n : LOSS_STEPS);
    p->lr = lr;
    if (bar_due(&p->bar))
        draw(p, false);
    pthread_mutex_unlock(&p->mutex);
}

void progress_say(struct progress *p, const char *fmt, ...) {
    char text[ERR_TEXT_MAX + TEXT_MAX];
    va_list args;
    va_start(args, fmt);
    vsnprintf(text, sizeof text, fmt, args);
    va_end(args);
    pthread_mutex_lock(&p->mutex);
    fprintf(stderr, "%s%s\n", p->bar.style == BAR_DRAWN ? "\r\x1b[K" : "", text);
    pthread_mutex_unlock(&p->mutex);
}

void progress_end(struct progress *p) {
    if (p->steps_done > p->begun)
        draw(p, true);
    pthread_mutex_destroy(&p->mutex);
}
